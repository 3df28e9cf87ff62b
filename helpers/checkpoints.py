"""A run of `fit` that is saved as it goes, ends in good order when it must, and can be resumed."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
import traceback
import uuid
import zipfile
from pathlib import Path

import keras
import numpy as np

from helpers import data, model_files, preflight
from helpers.files import write_beside, write_text

ROOM = 50e6  # bytes: two epochs of this series' network, the best one, and one being written
DAY = 24 * 60 * 60  # seconds


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
    handler_before = signal.default_int_handler

    def on_train_begin(self, logs=None):
        Watch.note = None
        if signal.getsignal(signal.SIGINT) is not Watch.press:
            with contextlib.suppress(ValueError):  # of Python, in a thread that is not the main one
                handler = signal.signal(signal.SIGINT, Watch.press)
                Watch.handler_before = handler or signal.default_int_handler

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.check()

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite((logs or {}).get("loss", 0)).all():
            Watch.note = "diverged"

    def on_epoch_end(self, epoch, logs=None):
        # The last step may have broken weights that no loss was computed from yet.
        values = [*(logs or {}).values(), *self.model.get_weights()]
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
            with contextlib.suppress(ValueError):  # the main thread took it, and has it still
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
    each a `.keras` file with a `.json` that seals it. A new run is saved at once, as epoch 0. Each
    run has a name of its own, in its files and in the network's optimizer, so that several may
    share a folder; what others saved there is deleted after a day. If nothing can be saved (a full
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
        """The finished epochs, resumed ones too: a dict of lists, `seconds` among them.

        What was not measured in an epoch is NaN there.
        """
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {name: [row.get(name, float("nan")) for row in self.rows] for name in names}

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.run, steps = _find_place(self.model)
        states = self.find_saved()
        here = [state for state in states if state["steps"] == steps]
        self.rows = [*here[0]["rows"]] if here else []
        self.epoch, self.start = len(self.rows), None
        if not here or here[0] is not states[0]:  # what this run has saved further on stays
            self.run = self.model.optimizer.run = uuid.uuid4().hex[:8]
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
            row = {name: np.asarray(value).tolist() for name, value in (logs or {}).items()}
            self.rows.append({**row, "seconds": round(time.monotonic() - self.start, 3)})
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_state(self.folder / f"epoch_{number}_{self.run}.keras", self.model, self.rows)
        except OSError as error:
            print(
                f"After epoch {number}, nothing could be saved in {_name(self.folder)}: "
                f"{error.strerror or error}. What was saved before is still there; the run goes on "
                "and tries again after the next epoch."
            )
            return
        if number:
            self.tidy()

    def tidy(self):
        """Delete this run's epochs but the last two and the best one, and what is a day old."""
        states = self.find_saved()
        best = sorted(states, key=_score)[-1:]
        kept = {state["path"].stem for state in [*states[:2], *best]}
        for path in sorted(self.folder.glob("epoch_*")):  # .json first: without it nothing is read
            with contextlib.suppress(OSError):  # Windows, while somebody reads it
                own = path.name.partition(".")[0].endswith(f"_{self.run}")
                old = time.time() - path.stat().st_mtime > DAY
                if path.stem not in kept and (own or old):
                    path.unlink()

    def find_saved(self):
        """Return the epochs of this run that are on the disk, whole, the last one first."""
        return _read_states(self.folder, self.run, quiet=True)

    def say_what_is_kept(self):
        states = self.find_saved()
        if not states:
            return super().say_what_is_kept()
        number = len(states[0]["rows"])
        epochs = {0: "No epoch is", 1: "1 epoch is"}.get(number, f"{number} epochs are")
        return f"{epochs} saved in {_name(self.folder)}; run this cell again to go on."

    def put_back(self):
        if not self.find_saved():
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
            run. Else it gets back the weights and the optimizer's state of its own run. Without
            one, the network of the latest run is loaded as well.
        best: go back to the epoch with the highest accuracy on the validation images.

    Returns:
        `(network, history)`: the network, None if there is none, and a list with a dict for each
        epoch that it has finished.

    Raises:
        CheckpointError: another run, architecture or version of Keras was saved.
    """
    run, steps = _find_place(network)
    if network is not None and steps == 0:
        return network, []
    states = _read_states(folder)
    if not states:
        if network is not None:
            print(f"Nothing of this run is saved in {_name(folder)}: it goes on as it is.")
        return network, []
    own = [s for s in states if s["run"] == (run if network else states[0]["run"])]
    state = max(own or states, key=_score) if best else (own or states)[0]
    _check_fits(state, network)
    if network is None:
        network = model_files.load_model(state["path"])
        network.optimizer.run = state["run"]
    else:
        network.load_weights(state["path"])
    return network, state["rows"]


def run_folder(name):
    """Return the folder for a run's files: in `build/`, or where `MNIST_RUNS` says.

    Where that cannot be written or has no room, the user's own cache folder takes its place, and a
    line says so.

    Args:
        name: of the run.

    Returns:
        A `pathlib.Path`; it need not exist yet.
    """
    folder = data.ROOT / data.expand(os.environ.get("MNIST_RUNS") or "build")
    refusal = _find_refusal(folder)
    if refusal is None:
        return folder / name
    spare = next((f for f in data.spare_folders("runs") if _find_refusal(f) is None), None)
    where = f"Runs are kept in {spare} instead" if spare else "Nothing is saved"
    print(
        f"{folder} cannot be used ({refusal}). {where}; "
        "set MNIST_RUNS to a folder to choose another."
    )
    return (spare or folder) / name


def _find_refusal(folder):
    """Return why a folder cannot take a run's files, or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return error.strerror or f"{error}"
    return None if free >= ROOM else f"{free / 1e6:.0f} MB free, {ROOM / 1e6:.0f} needed"


def _write_state(path, network, rows):
    """Write a network, then the .json that makes it count."""
    write_beside(path, network.save)
    run, steps = _find_place(network)
    state = {"run": run, "steps": steps, "keras": keras.__version__, "saved": time.time()}
    state["rows"] = rows
    record = {"seal": _seal(path, state), "state": state}
    write_text(path.with_suffix(".json"), json.dumps(record, indent=1))


def _seal(path, state):
    """Return a SHA-256 of a network's file and of what is stored with it."""
    return hashlib.sha256((model_files.digest(path) + json.dumps(state)).encode()).hexdigest()


def _read_states(folder, run="*", quiet=False):
    """Read what is saved of a run or of all, the newest first; a line names what is damaged."""
    states, latest = [], {}
    for path in sorted(Path(folder).glob(f"epoch_*_{run}.json")):
        if ".part" in path.name:
            continue  # its writer was killed
        network = path.with_suffix(".keras")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            whole = record["seal"] == _seal(network, record["state"])
        except (OSError, ValueError, KeyError, TypeError):  # whatever a torn file makes of JSON
            whole = False
        if whole:
            state = {**record["state"], "path": network}
            states.append(state)
            latest[state["run"]] = max(state["saved"], latest.get(state["run"], 0))
        elif not quiet:
            print(f"{_name(path.with_suffix(''))} is damaged and is left out.")
    return sorted(states, key=lambda s: (latest[s["run"]], s["steps"]), reverse=True)


def _score(state):
    """Return what makes one epoch better than another: validation first, accuracy before loss."""
    last = (state["rows"] or [{}])[-1]
    names = [name for name in last if name.startswith("val_")]
    right = [np.mean(last[name]) for name in names or last if "acc" in name]
    loss = last.get("val_loss" if names else "loss", np.inf)
    return bool(names), np.mean(right or [0]), -np.mean(loss)


def _find_place(network):
    """Return a network's run, or None, and the steps it has taken; its optimizer has both."""
    optimizer = getattr(network, "optimizer", None)  # Keras knows none before `compile`
    return getattr(optimizer, "run", None), int(optimizer.iterations) if optimizer else 0


def _check_fits(state, network):
    """Refuse a state of another version of Keras, or of other layers or another run than ours."""
    if state["keras"] != keras.__version__:
        wrong = f"was saved by Keras {state['keras']}; this is Keras {keras.__version__}"
    elif network is not None and (difference := _find_difference(state["path"], network)):
        wrong = f"holds another network: {difference}"
    elif network is not None and state["run"] != _find_place(network)[0]:
        saved = time.strftime("%Y-%m-%d %H:%M", time.localtime(state["saved"]))
        wrong = f"is of another run, saved {saved}, and nothing of this one is there"
    else:
        return
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
