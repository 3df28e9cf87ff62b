"""Learning curves that grow in the notebook while `fit` runs."""

import time

import matplotlib.pyplot as plt
from IPython.display import display

from helpers import plots
from helpers.checkpoints import Watch


class LiveCurves(Watch):
    """Show a progress bar and the learning curves in the notebook while `fit` runs.

    Args:
        history: the finished epochs of a run that is resumed, as `resume` returns them.
        every: batches between two updates.
    """

    def __init__(self, history=(), every=20):
        super().__init__()
        self.every = every
        self.past = {}
        for row in history:
            self.on_epoch_logs(row)

    def on_train_begin(self, logs=None):
        steps, epochs = self.params["steps"], self.params["epochs"]
        finished = len(self.past.get("loss", ()))
        self.start, self.epoch, self.running = time.monotonic(), min(finished, epochs - 1), []
        self.done, self.total = finished * steps, epochs * steps
        self.bar = display(self.describe(), raw=True, display_id=True)
        self.fig, self.axs = plt.subplots(1, 2, figsize=(7, 3))
        plt.close(self.fig)  # or the notebook shows it a second time at the end of the cell
        self.draw()
        self.picture = display(self.fig, display_id=True)
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.done = epoch * self.params["steps"]
        self.running.append([])

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.done += 1
        if batch % self.every == self.every - 1:
            epoch = self.done / self.params["steps"]
            self.running[-1].append((epoch, logs["loss"], logs["accuracy"]))
            self.update()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.note != "diverged":  # what is not a number has no place on an axis
            self.on_epoch_logs(logs)
            self.update()

    def on_epoch_logs(self, logs):
        """Add an epoch's results to the curves."""
        for name, value in logs.items():
            self.past.setdefault(name, []).append(value)

    def update(self):
        """Show how far the run is, and the curves so far."""
        self.bar.update(self.describe(), raw=True)
        self.draw()
        self.picture.update(self.fig)

    def describe(self):
        """Return the progress bar, as HTML and as text."""
        seconds = time.monotonic() - self.start
        text = (
            f"epoch {self.epoch + 1} of {self.params['epochs']}, {self.done} of {self.total} "
            f"batches, {seconds:.0f} s"
        )
        bar = f'<progress value="{self.done}" max="{self.total}" style="width: 16em"></progress>'
        return {"text/plain": text, "text/html": f"{bar} {text}"}

    def draw(self):
        """Draw the curves so far."""
        plots.plot_curves(self.axs, self.past, self.params["epochs"], self.running)
