"""A run of `fit` that is saved as it goes, ends in good order when it must, and can be resumed."""

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
import traceback
import zipfile
from pathlib import Path

import keras
import numpy as np

from helpers import data, model_files, preflight
from helpers.files import write_beside, write_text


class Stopped(preflight.SetupError):
    """A run that was stopped, or that went wrong; shown without a traceback."""


class CheckpointError(preflight.SetupError):
    """A saved run that cannot go on here; the message says what differs."""


class Watch(keras.callbacks.Callback):
    """End `fit` in good order: after the stop button, and at a loss that is not a number.

    SIGINT (the stop button, Ctrl-C) only leaves a note, read between two batches, so that nothing
    is torn; a second one interrupts as ever. The callbacks of a run share the note.
    """

    note = None  # why to end: "stopped" or "diverged"
    handler_before = None

    def on_train_begin(self, logs=None):
        Watch.note = None
        # Python lets only the main thread handle signals.
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if handler is not Watch.press:
                Watch.handler_before = handler or signal.default_int_handler
                signal.signal(signal.SIGINT, Watch.press)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.check()

    def on_train_batch_begin(self, batch, logs=None):
        self.check()

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            Watch.note = "diverged"

    def on_epoch_end(self, epoch, logs=None):
        # The last step may have broken weights that no loss was computed from yet.
        values = [*logs.values(), *self.model.get_weights()]
        if not all(np.isfinite(value).all() for value in values):
            Watch.note = "diverged"

    def on_train_end(self, logs=None):
        self.release()
        self.check()

    @staticmethod
    def press(number, frame):
        """Handle SIGINT: leave the note, and give the next one to who had it before."""
        Watch.release()
        if any(inner.f_code.co_name == "fit" for inner, _ in traceback.walk_stack(frame)):
            Watch.note = "stopped"
        else:  # an error has ended `fit` since; Keras tells no callback of that
            signal.raise_signal(signal.SIGINT)

    @staticmethod
    def release():
        """Give SIGINT back."""
        if signal.getsignal(signal.SIGINT) is Watch.press:
            signal.signal(signal.SIGINT, Watch.handler_before)

    def check(self):
        """Raise `Stopped` if there is a note."""
        note, Watch.note = Watch.note, None
        if note is None:
            return
        self.release()
        place = f"epoch {self.epoch + 1} of {self.params['epochs']}"
        if note == "stopped":
            raise Stopped(f"Stopped in {place}. {self.say_what_is_kept()}")
        raise Stopped(
            f"The loss became infinite or not a number in {place}. Most often the learning rate is "
            f"too high, or the images are not scaled to [0, 1].\n{self.put_back()}"
        )

    def say_what_is_kept(self):
        """Return what is left of a run that was stopped."""
        return "Nothing of it is saved; to begin anew, build and compile the network again."

    def put_back(self):
        """Mend the network where that can be done; return what was done."""
        return "Mend that, then build and compile the network again."


class Checkpoint(Watch):
    """Save network, optimizer and history after every epoch, for `resume`.

    Kept are the last two epochs and the best one (the highest accuracy on the validation images),
    each as a `.keras` file with a `.json` that seals it. A new run is saved at once, as epoch 0;
    the run before it is deleted when the first epoch is finished. If nothing can be saved (a full
    disk), a line says so and the run goes on.

    Args:
        folder: where to; made if it is not there. What `resume` loaded from it goes on; any other
            network begins a new run.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    @property
    def history(self):
        """The finished epochs, resumed ones too: a dict of lists, `seconds` among them."""
        return {name: [row[name] for row in self.rows] for name in (self.rows or [{}])[0]}

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        states, steps = _read_states(self.folder, quiet=True), _count_steps(self.model)
        same = [state for state in states if steps and state["steps"] == steps]
        self.run, self.rows = (same[0]["run"], same[0]["rows"]) if same else (time.time_ns(), [])
        of_run = [s for s in states if s["run"] == self.run and s["steps"] <= steps]
        self.saved = {len(state["rows"]): _score(state) for state in of_run}
        self.epoch, self.start = len(self.rows), None
        if not same:
            if not self.model.optimizer.built:  # Keras does so in the first step: too late to save
                self.model.optimizer.build(self.model.trainable_variables)
            self.save()

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.check()  # here, before a LiveCurves looks at the note: it knows less

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.note != "diverged":
            self.rows.append({**logs, "seconds": round(time.monotonic() - self.start, 3)})
            self.save()
        self.check()

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self.start is None:
            print(
                f"All {len(self.rows)} epochs are finished already. To train again from the start, "
                "run the cell that compiles the network, then this one."
            )

    def save(self):
        """Save the state as it is between two epochs."""
        number = len(self.rows)
        state = {"run": self.run, "steps": _count_steps(self.model), "rows": self.rows}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_state(self.folder / f"epoch_{number}.keras", self.model, state)
        except OSError as error:
            print(
                f"After epoch {number}, nothing could be saved in {_name(self.folder)}: "
                f"{error.strerror or error}. What was saved before is still there; the run goes on "
                "and tries again after the next epoch."
            )
            return
        self.saved[number] = _score(state)
        if number:
            self.tidy()

    def tidy(self):
        """Delete all but the last two epochs and the best one."""
        kept = {*sorted(self.saved)[-2:], max(self.saved, key=self.saved.get)}
        self.saved = {number: self.saved[number] for number in kept}
        for path in sorted(self.folder.glob("epoch_*")):  # .json first: without it nothing is read
            if path.stem not in {f"epoch_{number}" for number in kept}:
                with contextlib.suppress(OSError):  # Windows, while somebody reads it
                    path.unlink()

    def say_what_is_kept(self):
        if not self.saved:
            return super().say_what_is_kept()
        number = max(self.saved)
        epochs = {0: "No epoch is", 1: "1 epoch is"}.get(number, f"{number} epochs are")
        return f"{epochs} saved in {_name(self.folder)}; run this cell again to go on."

    def put_back(self):
        if not self.saved:
            return super().put_back()
        _, rows = resume(self.folder, self.model, best=True)
        state = f"after epoch {len(rows)}, the best one" if rows else "at the start"
        return (
            f"The network is again as it was {state}, saved in {_name(self.folder)}. "
            "Mend the cause, then build and compile the network again."
        )


def resume(folder, network=None, best=False):
    """Go back to what `Checkpoint` saved last, or to the best epoch of that run.

    Args:
        folder: the one that `Checkpoint` was given.
        network: a compiled network. If it has taken no step yet, nothing is loaded: it begins a new
            run. Else it gets back the weights and the optimizer's state. Without one, the network
            is loaded as well.
        best: go back to the epoch with the highest accuracy on the validation images.

    Returns:
        `(network, history)`: the network, None if there is none, and a list with a dict for each
        epoch that it has finished.

    Raises:
        CheckpointError: another architecture or another version of Keras was saved.
    """
    steps = float("inf") if network is None else _count_steps(network)
    if steps == 0:
        return network, []
    # A state that is ahead of the network belongs to another run.
    states = [state for state in _read_states(folder) if state["steps"] <= steps]
    if not states:
        if network is not None:
            print(f"Nothing of this run is saved in {_name(folder)}: it goes on as it is.")
        return network, []
    of_run = [state for state in states if state["run"] == states[0]["run"]]
    state = max(of_run, key=_score) if best else states[0]
    _check_fits(state, network)
    if network is None:
        return model_files.load_model(state["path"]), state["rows"]
    network.load_weights(state["path"])
    return network, state["rows"]


def run_folder(name):
    """Return the folder for a run's files: in `build/`, or where `MNIST_RUNS` says.

    Args:
        name: of the run.

    Returns:
        A `pathlib.Path`; it need not exist yet.
    """
    return Path(os.environ.get("MNIST_RUNS", data.ROOT / "build")) / name


def _write_state(path, network, state):
    """Write a network, then the .json that makes it count."""
    write_beside(path, network.save)
    state = {**state, "keras": keras.__version__}
    text = json.dumps({**state, "seal": _seal(path, state)}, indent=1)
    write_text(path.with_suffix(".json"), text)


def _seal(path, state):
    """Return a SHA-256 of a network's file and of what is stored with it."""
    content = [
        model_files.digest(path),
        *(state[name] for name in ("run", "steps", "keras", "rows")),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read_states(folder, quiet=False):
    """Read the states in a folder, the newest first; leave out, with a line, what is damaged."""
    states = []
    for path in sorted(Path(folder).glob("epoch_*.json")):
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            state["path"] = path.with_suffix(".keras")
            whole = state["seal"] == _seal(state["path"], state)
        except (OSError, ValueError, KeyError, TypeError):  # whatever a torn file makes of JSON
            whole = False
        if whole:
            states.append(state)
        elif not quiet:
            print(f"{_name(path.with_suffix(''))} is damaged and is left out.")
    return sorted(states, key=lambda state: (state["run"], state["steps"]), reverse=True)


def _score(state):
    """Return what makes one epoch better than another."""
    last = {"loss": float("inf"), **(state["rows"] or [{}])[-1]}
    return last.get("val_accuracy", last.get("accuracy", 0)), -last.get("val_loss", last["loss"])


def _count_steps(network):
    """Return how many steps a network's optimizer has taken; 0 if it is not compiled."""
    return int(network.optimizer.iterations) if network.optimizer else 0


def _check_fits(state, network):
    """Refuse a state of another version of Keras, or of other layers than those of a network."""
    wrong = None
    if state["keras"] != keras.__version__:
        wrong = f"was saved by Keras {state['keras']}; this is Keras {keras.__version__}"
    elif network is not None and (difference := _find_difference(state["path"], network)):
        wrong = f"holds another network: {difference}"
    if wrong:
        raise CheckpointError(
            f"{_name(state['path'])} {wrong}.\n"
            "Use another folder, or begin anew: build and compile the network again."
        )


def _find_difference(path, network):
    """Return the first difference between a saved network and another, or None."""
    with zipfile.ZipFile(path) as archive:
        texts = archive.read("config.json"), network.to_json()
    there, here = map(_list_parts, texts)
    for part in there | here:
        saved, given = there.get(part, {}), here.get(part, {})
        for key in saved | given:
            if saved.get(key) != given.get(key):
                return f"{part} has {key} {saved.get(key)} there, {given.get(key)} here"
    return None


def _list_parts(text):
    """Return what a network's JSON says of its layers and of the class of its optimizer."""
    # Keras numbers what layers share anew each time.
    config = json.loads(
        text, object_hook=lambda d: {key: d[key] for key in d if key != "shared_object_id"}
    )
    parts = {
        f"layer {number}": {"class": layer["class_name"], **layer["config"], "name": None}
        for number, layer in enumerate(config["config"].get("layers", [config]))
    }
    optimizer = config.get("compile_config", {}).get("optimizer", {})
    return {**parts, "the optimizer": {"class": optimizer.get("class_name")}}


def _name(path):
    """Return the end of a path, which says enough: `build/training`."""
    return "/".join(Path(path).absolute().parts[-2:])
