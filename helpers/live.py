"""Learning curves that grow in the notebook while `fit` runs."""

import contextlib
import io
import time

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from helpers import plots
from helpers.checkpoints import Watch


class LiveCurves(Watch):
    """Show a progress bar and the learning curves in the notebook while `fit` runs.

    Drawn are the loss and the first accuracy that `compile` was given, or else its first metric.
    Outside a notebook, a line is printed for each epoch instead.

    Args:
        history: the finished epochs of a run that is resumed, as `resume` returns them.
        every: batches between two updates.
    """

    def __init__(self, history=(), every=20):
        super().__init__()
        self.every = every
        self.past = {}
        for row in history:
            self.add_epoch(row)

    def on_train_begin(self, logs=None):
        self.steps, finished = self.params["steps"] or 0, len(self.past.get("loss", ()))
        self.start, self.done, self.running = time.monotonic(), finished * self.steps, []
        self.epoch = min(finished, self.params["epochs"] - 1)
        self.bar = _show(self.describe(), raw=True)
        self.fig, self.axs = plt.subplots(1, 2, figsize=(7, 3))
        plt.close(self.fig)  # or the notebook shows it a second time at the end of the cell
        self.draw()
        self.picture = _show(self.fig)
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.done = epoch * self.steps
        self.running.append([])

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.done += 1
        if batch % self.every == self.every - 1:
            # Of a dataset of unknown length, the first epoch tells how long it is.
            epoch = self.done / self.steps if self.steps else self.epoch + batch / (batch + 1)
            values = (np.mean(logs.get(name, np.nan)) for name in ("loss", find_metric(logs)))
            self.running[-1].append((epoch, *values))
            self.update()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.steps = self.steps or self.done
        if self.note != "diverged":  # what is not a number has no place on an axis
            self.add_epoch(logs)
            self.update()
            if not self.picture:
                last = (f"{name} {values[-1]:.4g}" for name, values in self.past.items())
                print(self.describe()["text/plain"], *last, sep=", ")

    def add_epoch(self, logs):
        """Add an epoch's results to the curves."""
        finished = max(map(len, self.past.values()), default=0)
        for name in {**self.past, **logs}:  # what was not measured in an epoch is a gap
            values = self.past.setdefault(name, [np.nan] * finished)
            values.append(np.mean(logs.get(name, np.nan)))

    def update(self):
        """Show how far the run is, and the curves so far."""
        if self.picture:
            self.bar.update(self.describe(), raw=True)
            self.draw()
            self.picture.update(self.fig)

    def describe(self):
        """Return the progress bar, as HTML and as text."""
        seconds, total = time.monotonic() - self.start, self.steps * self.params["epochs"]
        text = (
            f"epoch {self.epoch + 1} of {self.params['epochs']}, {self.done} of "
            f"{total or 'an unknown number of'} batches, {seconds:.0f} s"
        )
        if self.past and not find_metric(self.past):
            text += "; no metric is shown: compile was given none"
        known = f'value="{self.done}" max="{total}" ' if total else ""
        bar = f'<progress {known}style="width: 16em"></progress>'
        return {"text/plain": text, "text/html": f"{bar} {text}"}

    def draw(self):
        """Draw the curves so far."""
        metric = find_metric(self.past)
        plots.plot_curves(self.axs, self.past, self.params["epochs"], self.running, metric)


def find_metric(logs):
    """Return the name of the first accuracy in the results of an epoch, or else of a metric.

    Args:
        logs: a dict of names and values, as callbacks get it; `val_` and losses apart.

    Returns:
        A name, or None.
    """
    others = ("val_", "seconds", "learning_rate")
    names = [name for name in logs if "loss" not in name and not name.startswith(others)]
    return min(names, key=lambda n: (n not in ("accuracy", "acc"), "acc" not in n), default=None)


def _show(content, **options):
    """Display something that can be updated; return None, in silence, outside a notebook."""
    with contextlib.redirect_stdout(io.StringIO()):
        return display(content, display_id=True, **options)
