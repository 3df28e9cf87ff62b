"""Runs that are killed, stopped, or go wrong, and disks that are full or damage what they hold."""

import contextlib
import itertools
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from kernels import Kernel, pictures, printed
from reading import code_cells, read

from helpers import checkpoints, files, live

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
BATCHES = 3  # in an epoch of the runs below


class Call(keras.callbacks.Callback):
    """Call functions at moments of `fit`: `{(epoch, place): function}`; the place is a batch,
    "validation", or "end" (of the epoch, before it is saved)."""

    def __init__(self, moments):
        super().__init__()
        self.moments = moments

    def call(self, place):
        self.moments.get((self.epoch, place), int)()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.call(batch)

    def on_test_begin(self, logs=None):
        self.call("validation")

    def on_epoch_end(self, epoch, logs=None):
        self.call("end")


def make_network(optimizer="adam", units=20, activation="relu", layers=1):
    """Make a small compiled network; eager, since tracing would take longer than the run."""
    network = keras.Sequential(
        [
            keras.Input((64,)),
            *(keras.layers.Dense(units, activation) for _ in range(layers)),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    network.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=True)
    return network


@pytest.fixture
def digits():
    return make_digits()


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """Return a folder with a run of two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    fit(make_network(), make_digits(), folder, epochs=2)
    return folder


def make_digits():
    """Return 96 rows of 64 numbers from 0 to 1 that tell their labels: three batches of 32."""
    labels = np.arange(96) % 10
    images = np.random.default_rng(0).random((96, 64), dtype="float32") / 2
    images[np.arange(96), labels] += 0.5
    return images, labels


def fit(network, digits, folder, epochs=3, moments=None, callbacks=None, **options):
    """Train, saving in a folder; return the Checkpoint."""
    checkpoint = checkpoints.Checkpoint(folder)
    images, labels = digits
    options = {"validation_data": (images[:32], labels[:32]), **options}
    callbacks = [Call(moments or {}), *(callbacks or [checkpoint])]
    network.fit(
        images, labels, batch_size=32, epochs=epochs, shuffle=False, callbacks=callbacks,
        verbose=0, **options,
    )  # fmt: skip
    return checkpoint


def find(folder, number, suffix=".keras"):
    """Return the file of an epoch."""
    (path,) = folder.glob(f"epoch_{number}_*{suffix}")
    return path


def same(network, other):
    """Tell whether two networks have the same weights and the same optimizer's state."""
    ours, theirs = (
        [*n.get_weights(), *(v.numpy() for v in n.optimizer.variables)] for n in (network, other)
    )
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def press():
    """Press the stop button."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def sigint_is_given_back():
    """Check after each test that SIGINT has the handler that it had before."""
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


# Killed, torn (11) -----------------------------------------------------------------------------

# TensorFlow is loaded once; each life of the run is a fork of this process. What it trains is
# small and what it saves is large, so that saves take a good part of the time.
NURSERY = """
import os, pathlib, signal, sys, threading, time
import keras, numpy as np
from helpers import checkpoints
from test_faults_training import half_written

class Report(keras.callbacks.Callback):
    batches = 0
    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
    def on_epoch_end(self, epoch, logs=None):
        os.write(1, f"{epoch + 1}\\n".encode())  # at once: a kill must not leave half a line

def kill(report, moment, delay):
    old = half_written(folder)
    while report.batches < moment if moment else half_written(folder) <= old:
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)

def live(moment, delay):
    signal.alarm(300)
    random, report = np.random.default_rng(0), Report()
    images, labels = random.random((48, 64), dtype="float32"), random.integers(0, 10, 48)
    network, past = checkpoints.resume(folder)
    if network is None:
        network = keras.Sequential([
            keras.Input((64,)), keras.layers.Dense(20_000), keras.layers.Dense(10, "softmax")])
        network.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy",
                        metrics=["accuracy"], run_eagerly=True)
    if moment >= 0:
        threading.Thread(target=kill, args=(report, moment, delay), daemon=True).start()
    network.fit(images, labels, batch_size=16, epochs=int(sys.argv[2]), initial_epoch=len(past),
                validation_data=(images[:16], labels[:16]), verbose=0,
                callbacks=[checkpoints.Checkpoint(folder), report])

folder = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    child = os.fork()
    if not child:
        live(*map(float, line.split()))
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"gone\\n")
"""


def half_written(folder):
    """Return the files that are being written, or were when their writer was killed."""
    found = set()
    for path in folder.glob("*.part.*"):
        with contextlib.suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_mtime_ns))
    return found


@pytest.fixture
def nursery(tmp_path):
    """Return a function that lets a run live in the folder until it is killed: so many seconds
    after so many batches, or after a save began (0), or not at all (-1); what it saved last."""
    if sys.platform != "linux":
        pytest.skip("forks a process that has TensorFlow loaded, which only Linux takes well")
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY, tmp_path, "30"],
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, bufsize=1,
    )  # fmt: skip

    def live(moment, delay):
        process.stdin.write(f"{moment} {delay}\n")
        said = [*itertools.takewhile(lambda line: line != "gone\n", process.stdout)]
        return int((said or [0])[-1])

    with process:
        yield live
        process.kill()


def test_killed_run_goes_on_after_the_last_saved_epoch(nursery, tmp_path, capsys):
    chance, known, hits = random.Random(11), 0, {True: 0, False: 0}
    moments = [0] * 10 + [chance.randint(1, 2 * BATCHES) for _ in range(10)]
    chance.shuffle(moments)
    for moment in [*moments, -1]:
        old = half_written(tmp_path)
        saved = nursery(moment, chance.uniform(0, 0.03))
        hits[bool(half_written(tmp_path) - old)] += moment >= 0
        states = checkpoints._read_states(tmp_path)
        rows = states[0]["rows"] if states else []
        assert len(rows) >= max(saved, known)
        assert all(state["steps"] == BATCHES * len(state["rows"]) for state in states)
        if rows:
            best, past = checkpoints.resume(tmp_path, best=True)
            assert past[-1]["val_accuracy"] == max(row["val_accuracy"] for row in rows)
            assert int(best.optimizer.iterations) == BATCHES * len(past)
        known = len(rows)
    assert known == 30
    assert min(hits.values()) >= 4, hits
    assert half_written(tmp_path) == set()
    assert capsys.readouterr().out == ""  # a killed writer leaves nothing that reads as damaged


def flip(path, position, bit):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


DAMAGES = {
    "state cut short": (".keras", lambda path: os.truncate(path, path.stat().st_size // 2)),
    "state empty": (".keras", lambda path: path.write_bytes(b"")),
    "state gone": (".keras", Path.unlink),
    "a bit flipped": (".keras", lambda path: flip(path, path.stat().st_size // 3, 4)),
    "record cut short": (".json", lambda path: os.truncate(path, path.stat().st_size // 2)),
    "record empty": (".json", lambda path: path.write_bytes(b"")),
    "record of nothing": (".json", lambda path: path.write_text("null")),
    "record of a list": (".json", lambda path: path.write_text("[1]")),
    "record without a seal": (".json", lambda path: path.write_text('{"rows": []}')),
    "record not text": (".json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_torn_state_falls_back_to_the_one_before(damage, finished_run, digits, tmp_path, capsys):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    suffix, spoil = DAMAGES[damage]
    path = find(folder, 2, suffix)
    spoil(path)
    network, past = checkpoints.resume(folder)
    assert capsys.readouterr().out == f"run/{path.stem} is damaged and is left out.\n"
    assert len(past) == 1 and int(network.optimizer.iterations) == BATCHES
    checkpoint = fit(network, digits, folder, epochs=2, initial_epoch=1)
    assert [len(values) for values in checkpoint.history.values()] == [2] * 5
    assert len(checkpoints.resume(folder)[1]) == 2 and capsys.readouterr().out == ""


def test_every_flipped_bit_is_seen(digits, tmp_path):
    fit(make_network(), digits, tmp_path, epochs=1)
    whole = checkpoints._read_states(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "good")
    chance, undetected = random.Random(0), 0
    for suffix, number in ((".json", None), (".keras", 500)):
        path, good = (find(folder, 1, suffix) for folder in (tmp_path, tmp_path / "good"))
        size = path.stat().st_size
        for position in range(size) if number is None else chance.sample(range(size), number):
            flip(path, position, chance.randrange(8))
            found = checkpoints._read_states(tmp_path, quiet=True)
            # The seventeenth digit of a number may change, and the number be the same.
            assert found in (whole, whole[1:]), (suffix, position)
            undetected += found == whole
            shutil.copyfile(good, path)
    assert undetected < 10


def test_nothing_whole_left_begins_anew_or_goes_on_in_memory(digits, tmp_path, capsys):
    network = make_network()
    fit(network, digits, tmp_path, epochs=1)
    for path in tmp_path.glob("*.json"):
        path.write_bytes(b"")
    assert checkpoints.resume(tmp_path) == (None, [])
    assert capsys.readouterr().out.count("is damaged and is left out.\n") == 2
    weights = network.get_weights()
    assert checkpoints.resume(tmp_path, network) == (network, [])
    assert "Nothing of this run is saved in" in capsys.readouterr().out
    assert all(map(np.array_equal, weights, network.get_weights()))


# The disk is full (12) -------------------------------------------------------------------------


class Disk:
    """A disk on which the system refuses files above four kilobytes, once it is "full"."""

    def __init__(self):
        self.resource = pytest.importorskip("resource", reason="Windows has no such limit")
        self.limits = self.resource.getrlimit(self.resource.RLIMIT_FSIZE)

    def fill(self):
        self.resource.setrlimit(self.resource.RLIMIT_FSIZE, (4096, self.limits[1]))

    def free(self):
        self.resource.setrlimit(self.resource.RLIMIT_FSIZE, self.limits)


@pytest.fixture
def disk():
    disk = Disk()
    yield disk
    disk.free()


def test_full_disk_keeps_the_last_state_and_the_run(disk, digits, tmp_path, capsys):
    folder, found = tmp_path / "run", []
    moments = {
        (1, "end"): disk.fill,
        (2, 0): lambda: found.append(checkpoints.resume(folder)),
        (2, "end"): disk.free,
    }
    network = make_network()
    checkpoint = fit(network, digits, folder, moments=moments)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "After epoch 2, nothing could be saved in" in said
    assert "File too large" in said
    (before, past), *_ = found
    assert len(past) == 1 and int(before.optimizer.iterations) == BATCHES
    assert len(checkpoint.history["loss"]) == 3
    after, past = checkpoints.resume(folder)
    assert len(past) == 3 and same(after, network)
    assert not list(folder.glob("*.part.*"))


def test_disk_that_stays_full_keeps_the_run_before(disk, digits, tmp_path, capsys):
    first = make_network()
    fit(first, digits, tmp_path / "run", epochs=1)
    disk.fill()
    second = make_network()
    checkpoint = fit(second, digits, tmp_path / "run", epochs=2)
    with pytest.raises(
        checkpoints.Stopped, match="Nothing of it is saved; to begin anew, build and"
    ):
        fit(make_network(), digits, tmp_path / "run", moments={(0, 1): press})
    disk.free()
    assert capsys.readouterr().out.count("nothing could be saved") == 3 + 1
    assert len(checkpoint.history["loss"]) == 2
    saved, past = checkpoints.resume(tmp_path / "run")
    assert len(past) == 1 and same(saved, first)


def test_full_disk_at_the_last_save_costs_a_line(disk, digits, tmp_path):
    network = make_network()
    plain = SimpleNamespace(plain_copy=lambda network: network, predict=lambda n, x: n.predict(x))
    given = {"network": network, "folder": tmp_path, "validation_images": digits[0]}
    given |= {"model": plain, "files": files, "keras": keras, "np": np}
    disk.fill()
    with pytest.raises(files.WriteError, match="What is in memory is not lost") as error:
        exec(cell_of_03("plain_copy(network)"), given)
    (line,) = error.value._render_traceback_()
    assert "\n" not in line and "mnist_cnn.keras cannot be written" in line
    assert not list(tmp_path.glob("*.keras"))
    disk.free()
    for folder in (tmp_path, tmp_path / "another"):
        folder.mkdir(exist_ok=True)
        exec(cell_of_03("plain_copy(network)"), given | {"folder": folder})
        assert (folder / "mnist_cnn.keras").is_file()


# The loss is not a number (13) -----------------------------------------------------------------


def spoil_images(network, digits):
    """Put a NaN into the second batch."""
    digits[0][40] = np.nan
    return {}


def raise_the_learning_rate(network, digits):
    """Multiply the learning rate after the second of three epochs."""
    return {(1, "end"): lambda: network.optimizer.learning_rate.assign(1e30)}


@pytest.mark.parametrize(
    ("cause", "epoch", "finished"), [(spoil_images, 1, 0), (raise_the_learning_rate, 3, 2)]
)
def test_loss_that_is_not_a_number_stops_the_run(cause, epoch, finished, digits, tmp_path):
    network = make_network("sgd")
    start = network.get_weights()
    moments = cause(network, digits)
    options = {"validation_data": (digits[0][:32], digits[1][:32]), "moments": moments}
    with pytest.raises(checkpoints.Stopped) as stopped:
        fit(network, digits, tmp_path, **options)
    first, second = str(stopped.value).splitlines()
    assert f"infinite or not a number in epoch {epoch} of 3." in first
    assert "learning rate" in first and "[0, 1]" in first
    assert len(checkpoints.resume(tmp_path)[1]) == finished
    best, past = checkpoints.resume(tmp_path, best=True)
    kept = f"after epoch {len(past)}, the best one" if finished else "at the start"
    assert f"The network is again as it was {kept}, saved in {place(tmp_path)}." in second
    assert same(network, best) and all(np.isfinite(w).all() for w in network.get_weights())
    assert finished or all(map(np.array_equal, start, network.get_weights()))
    # Mended, the same call works.
    fit(make_network("sgd"), (np.nan_to_num(digits[0]), digits[1]), tmp_path)
    assert len(checkpoints.resume(tmp_path)[1]) == 3


def test_broken_weights_are_never_saved_as_an_epoch(digits, tmp_path):
    network = make_network(keras.optimizers.SGD(float("inf")))
    start = network.get_weights()
    with pytest.raises(checkpoints.Stopped, match="in epoch 1 of 3"):
        fit(network, (digits[0][:32], digits[1][:32]), tmp_path, validation_data=None)
    assert all(map(np.array_equal, start, network.get_weights()))
    assert checkpoints.resume(tmp_path)[1] == []


@pytest.mark.parametrize("saving", [True, False])
def test_validation_loss_that_is_not_a_number(saving, shown, digits, tmp_path):
    validation = digits[0][:32].copy()
    validation[3] = np.nan
    callbacks = [live.LiveCurves(every=2), *([checkpoints.Checkpoint(tmp_path)] if saving else [])]
    kept = "as it was at the start" if saving else "Mend that, then build and compile"
    with pytest.raises(checkpoints.Stopped, match=kept):
        fit(
            make_network(), digits, tmp_path, callbacks=callbacks,
            validation_data=(validation, digits[1][:32]),
        )  # fmt: skip
    axes = next(content for content in shown if hasattr(content, "axes")).axes
    assert len(axes[0].lines[0].get_xdata()) == 1  # the running mean, at the second batch
    assert all(len(line.get_xdata()) == 0 for line in axes[0].lines[1:])


# The best, and what must not go on (14) --------------------------------------------------------


def test_worse_epochs_never_replace_the_best(digits, tmp_path):
    images, labels = digits
    keras.utils.set_random_seed(0)  # how much eight epochs teach depends on the first weights
    fit(make_network(keras.optimizers.Adam(0.03)), digits, tmp_path, epochs=8)
    good, past = checkpoints.resume(tmp_path, best=True)
    number, score = len(past), past[-1]["val_accuracy"]
    network, past = checkpoints.resume(tmp_path)
    network.optimizer.learning_rate.assign(0.2)
    options = {"initial_epoch": len(past), "validation_data": (images[:32], labels[:32])}
    checkpoint = fit(network, (images, (labels + 5) % 10), tmp_path, epochs=12, **options)
    assert score > 0.8 > max(checkpoint.history["val_accuracy"][8:])
    best, past = checkpoints.resume(tmp_path, best=True)
    assert len(past) == number and same(best, good)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        find(tmp_path, n, suffix).name for n in {number, 11, 12} for suffix in (".json", ".keras")
    )


OTHERS = {
    "more units": ({"units": 21}, "layer 1 has units 20 there, 21 here"),
    "other activation": ({"activation": "tanh"}, "layer 1 has activation relu there, tanh here"),
    "another layer more": ({"layers": 2}, "layer 2 has units 10 there, 20 here"),
    "no such layer": ({"layers": 0}, "layer 1 has units 20 there, 10 here"),
    "other optimizer": ({"optimizer": "sgd"}, "the optimizer has class Adam there, SGD here"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_architecture_is_refused(other, digits, tmp_path):
    fit(make_network(), digits, tmp_path, epochs=1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    options, difference = OTHERS[other]
    network = make_network(**options)
    network.fit(*digits, verbose=0)
    weights = network.get_weights()
    with pytest.raises(checkpoints.CheckpointError) as refused:
        checkpoints.resume(tmp_path, network)
    first, second = str(refused.value).splitlines()
    assert first == f"{tmp_path.name}/{find(tmp_path, 1).name} holds another network: {difference}."
    assert second.startswith("Use another folder, or begin anew")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert all(map(np.array_equal, weights, network.get_weights()))


def test_other_keras_version_is_refused(digits, tmp_path):
    network = make_network()
    fit(network, digits, tmp_path, epochs=1)
    for path in tmp_path.glob("*.json"):
        state = {**json.loads(path.read_text()), "keras": "3.12.0"}
        state["seal"] = checkpoints._seal(path.with_suffix(".keras"), state)
        path.write_text(json.dumps(state))
    for given in ({}, {"network": network}, {"best": True}):
        with pytest.raises(checkpoints.CheckpointError) as refused:
            checkpoints.resume(tmp_path, **given)
        versions = f"was saved by Keras 3.12.0; this is Keras {keras.__version__}."
        assert f".keras {versions}\nUse another folder" in str(refused.value)
    fresh, past = checkpoints.resume(tmp_path, make_network())
    fit(fresh, digits, tmp_path, epochs=1)
    assert past == [] and len(checkpoints.resume(tmp_path)[1]) == 1


# The stop button (15) --------------------------------------------------------------------------

STOPS = {
    "first epoch": ((0, 1), "Stopped in epoch 1 of 3. No epoch is saved", 0),
    "second epoch": ((1, 0), "Stopped in epoch 2 of 3. 1 epoch is saved", 1),
    "last batch": ((1, BATCHES - 1), "Stopped in epoch 2 of 3. 1 epoch is saved", 1),
    "validation": ((1, "validation"), "Stopped in epoch 2 of 3. 2 epochs are saved", 2),
    "while it saves": ((1, "end"), "Stopped in epoch 2 of 3. 2 epochs are saved", 2),
    "too late": ((2, "validation"), "Stopped in epoch 3 of 3. 3 epochs are saved", 3),
}


@pytest.mark.parametrize("stop", STOPS)
def test_stopped_run_goes_on_when_run_again(stop, digits, tmp_path, capsys):
    moment, line, finished = STOPS[stop]
    network = make_network()
    with pytest.raises(checkpoints.Stopped) as stopped:
        fit(network, digits, tmp_path, moments={moment: press})
    assert str(stopped.value) == f"{line} in {place(tmp_path)}; run this cell again to go on."
    assert stopped.value._render_traceback_() == [str(stopped.value)]
    saved, _ = checkpoints.resume(tmp_path)
    resumed, past = checkpoints.resume(tmp_path, network)
    assert resumed is network and same(network, saved) and len(past) == finished
    checkpoint = fit(network, digits, tmp_path, initial_epoch=len(past))
    assert [len(values) for values in checkpoint.history.values()] == [3] * 5
    assert int(network.optimizer.iterations) == 3 * BATCHES
    assert ("All 3 epochs are finished already." in capsys.readouterr().out) == (finished == 3)


def place(folder):
    """Return the end of a path, as messages give it."""
    return f"{folder.parent.name}/{folder.name}"


def test_compiled_again_begins_a_new_run(digits, tmp_path):
    before = make_network()
    fit(before, digits, tmp_path, epochs=2)
    fresh = make_network()
    assert checkpoints.resume(tmp_path, fresh) == (fresh, [])
    raw = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    assert checkpoints.resume(tmp_path, raw) == (raw, [])  # not compiled at all
    with pytest.raises(checkpoints.Stopped, match="No epoch is saved"):
        fit(fresh, digits, tmp_path, moments={(0, 1): press})
    again, past = checkpoints.resume(tmp_path, fresh)
    assert again is fresh and past == [] and int(fresh.optimizer.iterations) == 0
    fit(fresh, digits, tmp_path, epochs=1)
    ours = checkpoints._run_of(fresh)
    assert {path.stem for path in tmp_path.glob(f"*{ours}.keras")} == {
        f"epoch_0_{ours}",
        f"epoch_1_{ours}",
    }
    assert len(checkpoints.resume(tmp_path, before)[1]) == 2  # what another network saved stays
    for path in tmp_path.glob("*"):
        os.utime(path, (0, 0))
        if path.suffix == ".json":  # as if its process had ended
            state = json.loads(path.read_text()) | {"writer": {"host": platform.node()}}
            state["writer"] |= {"process": 2**22 + 1, "begun": 0}
            path.write_text(json.dumps(state))
    fit(make_network(), digits, tmp_path, epochs=1)
    assert len([*tmp_path.glob("*.keras")]) == 2  # and goes a day after its process


def test_stop_without_a_checkpoint(shown, digits, tmp_path):
    with pytest.raises(checkpoints.Stopped) as stopped:
        fit(
            make_network(), digits, tmp_path, moments={(1, 1): press},
            callbacks=[live.LiveCurves(every=2)],
        )  # fmt: skip
    assert str(stopped.value) == (
        "Stopped in epoch 2 of 3. Nothing of it is saved; to begin anew, build and compile the "
        "network again."
    )
    axes = next(content for content in shown if hasattr(content, "axes")).axes
    assert [len(line.get_xdata()) for line in axes[0].lines] == [1, 1, 1, 1]


def test_checkpoint_answers_whatever_the_order_of_callbacks(shown, digits, tmp_path):
    for number, moment in enumerate([(1, 0), (1, "validation")]):
        folder = tmp_path / f"{number}"
        callbacks = [checkpoints.Checkpoint(folder), live.LiveCurves()]
        with pytest.raises(checkpoints.Stopped, match=f"saved in {place(folder)}"):
            fit(make_network(), digits, folder, moments={moment: press}, callbacks=callbacks)


def test_second_press_interrupts_at_once(digits, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(make_network(), digits, tmp_path, moments={(1, 0): lambda: (press(), press())})
    assert len(checkpoints.resume(tmp_path)[1]) == 1


def test_stop_after_another_error_is_an_ordinary_interrupt(digits, tmp_path):
    def fail():
        raise LookupError("something else")

    with pytest.raises(LookupError):
        fit(make_network(), digits, tmp_path, moments={(0, 1): fail})
    with pytest.raises(KeyboardInterrupt):
        press()


# In a real kernel: the cell of notebook 03 that trains, on stand-ins of what it needs. An epoch
# takes some seconds, so that there is time to press.
STAND_INS = """
import sys, time
sys.path.insert(0, {root!r})
from helpers import checkpoints, live, preflight, training
preflight.setup()
preflight.load_tensorflow()
import keras, numpy as np, tensorflow as tf

def wait_and_yield(batches, seconds):
    for number in range(batches):
        time.sleep(seconds)
        yield np.full((10, 4), number / batches, "float32"), np.arange(10)

def make_slow_dataset(batches, seconds):
    shapes = tf.TensorSpec((10, 4)), tf.TensorSpec((10,), tf.int64)
    dataset = tf.data.Dataset.from_generator(
        lambda: wait_and_yield(batches, seconds), output_signature=shapes)
    return dataset.apply(tf.data.experimental.assert_cardinality(batches))

train_data, validation_data = make_slow_dataset(60, 0.03), make_slow_dataset(2, 0)
real, epochs = False, 3
"""
COMPILE = """
network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10, "softmax")])
training.compile_model(network, steps=180)
"""


@pytest.fixture
def kernel(tmp_path):
    with Kernel(ROOT / "notebooks", MNIST_RUNS=str(tmp_path), TF_CPP_MIN_LOG_LEVEL="3") as kernel:
        yield kernel


def cell_of_03(words):
    """Return the first cell of notebook 03 in which words are."""
    cells = code_cells(read(ROOT / "notebooks" / "03_train_the_network.ipynb"))
    return next(cell.source for cell in cells if words in cell.source)


def test_stop_button_in_a_real_kernel(kernel):
    cell = cell_of_03("checkpoints.Checkpoint(folder)")
    ((status, outputs),) = kernel.send(STAND_INS.format(root=str(ROOT)))
    assert status == "ok", outputs
    kernel.send(COMPILE)
    (status, outputs), (waiting, _) = kernel.send(cell, "print(1)", stop_at="epoch 2 of 3")
    assert (status, waiting) == ("error", "aborted")
    error = next(content for kind, content in outputs if kind == "error")
    assert error["ename"] == "Stopped" and len(error["traceback"]) == 1
    assert error["traceback"] == [error["evalue"]]
    line = r"Stopped in epoch 2 of 3\. 1 epoch is saved in \S+/training_sample; run this cell again"
    assert re.fullmatch(rf"{line} to go on\.", error["evalue"])
    assert len(pictures(outputs)) >= 3  # the first one, and updates in both epochs
    ((status, outputs),) = kernel.send(cell)
    assert status == "ok" and "3 epochs in" in printed(outputs)
    assert "epoch 2 of 3, 60 of 180" in str(outputs) and "epoch 1 of 3" not in str(outputs)
    kernel.send("first = history")
    ((status, outputs),) = kernel.send(cell)
    assert status == "ok" and "All 3 epochs are finished already. To train" in printed(outputs)
    check = "print(history == first, [len(v) for v in history.values()])"
    assert printed(kernel.send(check)[0][1]) == "True [3, 3, 3, 3, 3]\n"
    (_, (status, outputs)) = kernel.send(COMPILE, cell, stop_at="epoch 1 of 3, 20")
    assert "Stopped in epoch 1 of 3. No epoch is saved" in str(outputs)


# A run has a name (24) ---------------------------------------------------------------------------


def test_run_gets_back_its_own_state(digits, tmp_path):
    a, b, stranger = make_network(), make_network(), make_network()
    fit(a, digits, tmp_path, epochs=2)
    fit(b, digits, tmp_path, epochs=1)
    for network, epochs in ((a, 2), (b, 1)):
        weights = network.get_weights()
        assert len(checkpoints.resume(tmp_path, network)[1]) == epochs
        assert all(map(np.array_equal, weights, network.get_weights()))
    stranger.fit(*digits, batch_size=32, epochs=4, verbose=0)
    weights = stranger.get_weights()
    with pytest.raises(checkpoints.CheckpointError) as refused:
        checkpoints.resume(tmp_path, stranger)
    (line,) = str(refused.value).splitlines()
    assert f"by process {os.getpid()}" in line and "use another folder, or build" in line
    assert all(map(np.array_equal, weights, stranger.get_weights()))


@pytest.mark.parametrize("end", ["stop", "diverge"])
def test_second_writer_is_noticed_and_leaves_the_first_alone(end, digits, tmp_path, capsys):
    a, b = make_network("sgd"), make_network("sgd")

    def befall():
        thread = threading.Thread(target=fit, args=(b, digits, tmp_path, 2))
        thread.start()
        thread.join()
        if end == "stop":
            press()
        else:
            a.optimizer.learning_rate.assign(1e30)

    with pytest.raises(checkpoints.Stopped) as stopped:
        fit(a, digits, tmp_path, epochs=4, moments={(2, 0): befall})
    assert f"by process {os.getpid()}" in capsys.readouterr().out
    kept = "2 epochs are saved" if end == "stop" else "The network is again as it was after epoch"
    assert kept in str(stopped.value)
    assert len(checkpoints.resume(tmp_path, a)[1]) == 2
    assert int(a.optimizer.iterations) == 2 * BATCHES
    assert not np.array_equal(a.get_weights()[0], b.get_weights()[0])


def test_claim_is_looked_up_on_the_disk(digits, tmp_path):
    def befall():
        for path in tmp_path.iterdir():
            path.unlink()
        press()

    with pytest.raises(checkpoints.Stopped, match="Nothing of it is saved"):
        fit(make_network(), digits, tmp_path, moments={(2, 0): befall})


def test_runs_have_a_spare_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MNIST_RUNS", str(tmp_path))
    assert checkpoints.run_folder("a") == tmp_path / "a"
    monkeypatch.setenv("MNIST_RUNS", str(tmp_path / "file" / "runs"))
    monkeypatch.setattr(checkpoints.data, "_user_cache", lambda: tmp_path / "user")
    assert checkpoints.run_folder("a") == tmp_path / "user" / "runs" / "a"
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "instead; set MNIST_RUNS to a folder" in said
    monkeypatch.delenv("MNIST_RUNS")
    assert checkpoints.run_folder("a").parts[-2:] == ("build", "a")


# Readers change one thing (26) -------------------------------------------------------------------

CHANGES = {
    "metrics=['acc']": {"metrics": ["acc"]},
    "no metrics": {"metrics": None},
    "another metric": {"metrics": ["sparse_top_k_categorical_accuracy"]},
}


@pytest.mark.parametrize(
    "change", [*CHANGES, "validation_freq", "unknown length", "NumPy numbers", "two outputs"]
)
def test_run_survives_what_readers_change(change, shown, digits, tmp_path):
    network, options = make_network(), {}
    if change in CHANGES:
        loss = "sparse_categorical_crossentropy"
        network.compile("adam", loss, run_eagerly=True, **CHANGES[change])

    class Numbers(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = np.float32(epoch)

    images, labels = digits
    data = (images, labels)
    validation = images[:32], labels[:32]
    if change == "two outputs":
        outputs = [keras.layers.Dense(10, "softmax")(network.layers[0].output) for _ in range(2)]
        network, data = keras.Model(network.inputs, outputs), (images, [labels, labels])
        loss, validation = ["sparse_categorical_crossentropy"] * 2, (images[:32], [labels[:32]] * 2)
        network.compile("adam", loss, metrics=[["accuracy"], ["accuracy"]], run_eagerly=True)
    if change == "validation_freq":
        options["validation_freq"] = [1, 3]
    if change == "unknown length":
        import tensorflow as tf

        batches = tf.data.Dataset.from_tensor_slices(data).batch(32).filter(lambda x, y: True)
        data = (batches,)
    else:
        options["batch_size"] = 32
    callbacks = [Numbers()] if change == "NumPy numbers" else []
    checkpoint = checkpoints.Checkpoint(tmp_path)
    network.fit(
        *data, epochs=3, validation_data=validation, verbose=0,
        callbacks=[*callbacks, live.LiveCurves(every=2), checkpoint], **options,
    )  # fmt: skip
    assert len(checkpoints.resume(tmp_path, network)[1]) == 3
    assert {len(values) for values in checkpoint.history.values()} == {3}
    axes = next(content for content in shown if hasattr(content, "axes")).axes
    assert any(len(line.get_xdata()) == 3 for line in axes[0].lines)


def test_run_outside_a_notebook_prints_a_line_for_each_epoch(digits, tmp_path, capsys):
    fit(make_network(), digits, tmp_path, callbacks=[live.LiveCurves(every=2)])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and said[2].startswith("epoch 3 of 3, 9 of 9 batches")
