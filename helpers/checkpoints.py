"""A run of `fit` that is saved as it goes, ends in good order when it must, and can be resumed."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import threading
import time
import traceback
import uuid
import weakref
import zipfile
from pathlib import Path

import keras
import numpy as np
import psutil

from helpers import data, model_files, preflight
from helpers.files import write_beside, write_text

ROOM = 50e6  # bytes: two epochs of this series' network, the best one, and one being written
DAY = 24 * 60 * 60  # seconds
networks = weakref.WeakValueDictionary()  # those that save in this process, by their run


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
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is Watch.press:
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
    each as a `.keras` file with a `.json` that seals it. A new run is saved at once, as epoch 0.
    Each run has a name of its own, in its files and in the network's optimizer, so that several may
    share a folder; a line says so where another one saves there now. What a process that has
    ended left behind is deleted after a day. If nothing can be saved (a full disk), a line says so
    and the run goes on.

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
        states, steps = _read_states(self.folder, quiet=True), _count_steps(self.model)
        of_run = [s for s in states if s["run"] == _run_of(self.model) and s["steps"] <= steps]
        same = of_run if steps and of_run and of_run[0]["steps"] == steps else []
        self.rows = [*same[0]["rows"]] if same else []
        others = _find_writers(states, self.model)
        taken = {state["run"] for state in others} | {
            run for run, network in networks.items() if network is not self.model
        }
        mine = bool(same) and same[0]["run"] not in taken
        self.run = same[0]["run"] if mine else uuid.uuid4().hex[:8]
        self.saved = {len(state["rows"]): _score(state) for state in of_run if mine}
        self.epoch, self.start = len(self.rows), None
        self.model.optimizer.run, networks[self.run] = self.run, self.model
        if others:
            print(
                f"{_describe_run(others[0])} is being saved in {_name(self.folder)} as well. "
                "Each keeps its own epochs."
            )
        if not mine:
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
        state = {"run": self.run, "steps": _count_steps(self.model), "rows": self.rows}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_state(self.folder / f"epoch_{number}_{self.run}.keras", self.model, state)
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
        """Delete this run's epochs but the last two and the best one, and what is long over."""
        kept = {*sorted(self.saved)[-2:], max(self.saved, key=self.saved.get)}
        self.saved = {number: self.saved[number] for number in kept}
        names = {f"epoch_{number}_{self.run}" for number in kept}
        for path in sorted(self.folder.glob("epoch_*")):  # .json first: without it nothing is read
            with contextlib.suppress(OSError):  # Windows, while somebody reads it
                own = path.name.partition(".")[0].endswith(f"_{self.run}")
                if path.stem not in names and (own or _is_over(path)):
                    path.unlink()

    def find_saved(self):
        """Return the epochs of this run that are on the disk, whole, the last one first."""
        states = _read_states(self.folder, quiet=True)
        return [state for state in states if state["run"] == self.run]

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
    steps = float("inf") if network is None else _count_steps(network)
    if steps == 0:
        return network, []
    states = _read_states(folder)
    run = _run_of(network) if network else (states or [{"run": None}])[0]["run"]
    # A state that is ahead of the network is none that it came from.
    of_run = [state for state in states if state["run"] == run and state["steps"] <= steps]
    if not of_run:
        if states:
            _refuse_other(states[0], network)
        if network is not None:
            print(f"Nothing of this run is saved in {_name(folder)}: it goes on as it is.")
        return network, []
    state = max(of_run, key=_score) if best else of_run[0]
    _check_fits(state, network)
    if network is None:
        network = model_files.load_model(state["path"])
        network.optimizer.run, networks[run] = run, network
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
    chosen = Path(os.environ.get("MNIST_RUNS") or data.ROOT / "build")
    folders = [data.ROOT / data.expand(chosen), *data.spare_folders("runs")]
    refusals = {folder: _find_refusal(folder) for folder in folders}
    folder = next((folder for folder, refusal in refusals.items() if not refusal), folders[0])
    if refusals[folders[0]]:
        where = f"Runs are kept in {folder} instead" if folder != folders[0] else "Nothing is saved"
        print(
            f"{folders[0]} cannot be used ({refusals[folders[0]]}). {where}; "
            "set MNIST_RUNS to a folder to choose another."
        )
    return folder / name


def _find_refusal(folder):
    """Return why a folder cannot take a run's files, or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f"{uuid.uuid4().hex}.part"
        beside.write_bytes(b"0" * 4096)
        beside.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return error.strerror or f"{error}"
    return None if free >= ROOM else f"{free / 1e6:.0f} MB free, {ROOM / 1e6:.0f} needed"


def _write_state(path, network, state):
    """Write a network, then the .json that makes it count."""
    write_beside(path, network.save)
    state = {**state, "keras": keras.__version__, "writer": _describe_writer()}
    state["saved"] = time.time()
    text = json.dumps({**state, "seal": _seal(path, state)}, indent=1)
    write_text(path.with_suffix(".json"), text)


def _seal(path, state):
    """Return a SHA-256 of a network's file and of what is stored with it."""
    content = [
        model_files.digest(path),
        *(state[name] for name in ("run", "steps", "keras", "writer", "saved", "rows")),
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
    latest = {}
    for state in states:
        latest[state["run"]] = max(state["saved"], latest.get(state["run"], 0))
    return sorted(states, key=lambda s: (latest[s["run"]], s["run"], s["steps"]), reverse=True)


def _score(state):
    """Return what makes one epoch better than another: validation first, accuracy before loss."""
    last = (state["rows"] or [{}])[-1]
    rest = {name.removeprefix("val_"): v for name, v in last.items() if name.startswith("val_")}
    values = {name: np.mean(value) for name, value in (rest or last).items()}
    right = [value for name, value in values.items() if "acc" in name]
    return bool(rest), np.mean(right or [0]), -values.get("loss", np.inf)


def _run_of(network):
    """Return the run that a network belongs to; the optimizer has it, as it counts the steps."""
    return getattr(getattr(network, "optimizer", None), "run", None)


def _describe_writer():
    """Return which process this is, for others to see whether it still lives."""
    process = psutil.Process()
    return {"host": platform.node(), "process": process.pid, "begun": process.create_time()}


def _is_alive(writer):
    """Tell whether the process that wrote a state lives; of another machine's nobody knows."""
    if writer["host"] != platform.node():
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(writer["process"])
        same = abs(process.create_time() - writer["begun"]) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    return False


def _find_writers(states, network):
    """Return the latest states of the runs, of other networks, that are being written now."""
    found = {}
    for state in states:
        here = state["writer"] == _describe_writer()
        if here:
            other = networks.get(state["run"])
            writes = other is not None and other is not network and _is_training(other)
        else:
            alive = _is_alive(state["writer"])
            writes = alive or (alive is None and time.time() - state["saved"] < DAY / 24)
        if writes:
            found.setdefault(state["run"], state)
    return [*found.values()]


def _is_training(network):
    """Tell whether a network is inside `fit`, in any thread of this process."""
    return any(
        frame.f_code.co_name == "fit" and frame.f_locals.get("self") is network
        for last in sys._current_frames().values()
        for frame, _ in traceback.walk_stack(last)
    )


def _is_over(path):
    """Tell whether a file is of a run whose process has ended, and a day old."""
    if time.time() - path.stat().st_mtime < DAY:
        return False
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return not _is_alive(state["writer"])
    return True


def _describe_run(state):
    """Say whose a state is."""
    writer, rows = state["writer"], len(state["rows"])
    saved = time.strftime("%Y-%m-%d %H:%M", time.localtime(state["saved"]))
    return (
        f"Another run (epoch {rows}, saved {saved} by process {writer['process']} "
        f"on {writer['host']})"
    )


def _refuse_other(state, network):
    """Refuse a state of another run than the network's."""
    _check_fits(state, network)
    raise CheckpointError(
        f"{_describe_run(state)} is in {_name(state['path'].parent)}, and nothing of this one: "
        "use another folder, or build and compile the network again to begin anew."
    )


def _count_steps(network):
    """Return how many steps a network's optimizer has taken; 0 if it is not compiled."""
    optimizer = getattr(network, "optimizer", None)  # Keras knows none before `compile`
    return int(optimizer.iterations) if optimizer else 0


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
