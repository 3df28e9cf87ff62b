"""Runs that are killed, stopped, or go wrong, and disks that are full or damage what they hold."""

import itertools
import os
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
import tensorflow as tf
from kernels import Kernel, pictures, printed
from reading import code_cells, read

from helpers import checkpoints, files, live

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
BATCHES = 3  # in an epoch of the runs below
LOSS = "sparse_categorical_crossentropy"


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
    network.compile(optimizer, LOSS, metrics=["accuracy"], run_eagerly=True)
    return network


def make_digits():
    """Return 96 rows of 64 numbers from 0 to 1 that tell their labels: three batches of 32."""
    labels = np.arange(96) % 10
    images = np.random.default_rng(0).random((96, 64), dtype="float32") / 2
    images[np.arange(96), labels] += 0.5
    return images, labels


def batch(images, labels):
    """Return batches of 32, without TensorFlow's tuner: it may sleep for a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(32).with_options(options)


def fit(network, digits, folder, epochs=3, moments=None, callbacks=None, **options):
    """Train, saving in a folder; return the Checkpoint."""
    checkpoint = checkpoints.Checkpoint(folder)
    options = {"validation_data": batch(*make_digits()).take(1), **options}
    callbacks = [Call(moments or {}), *(callbacks or [checkpoint])]
    network.fit(batch(*digits), epochs=epochs, callbacks=callbacks, verbose=0, **options)
    return checkpoint


@pytest.fixture
def digits():
    return make_digits()


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """Return a folder with a run of two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    fit(make_network(), make_digits(), folder, epochs=2)
    return folder


def find(folder, number, suffix=".keras"):
    """Return the file of an epoch."""
    (path,) = folder.glob(f"epoch_{number}_*{suffix}")
    return path


def place(folder):
    """Return the end of a path, as messages give it."""
    return f"{folder.parent.name}/{folder.name}"


def same(network, other):
    """Tell whether two networks have the same weights and the same optimizer's state."""
    ours, theirs = (
        [*n.get_weights(), *(v.numpy() for v in n.optimizer.variables)] for n in (network, other)
    )
    return all(map(np.array_equal, ours, theirs))


def press():
    """Press the stop button."""
    signal.raise_signal(signal.SIGINT)


def count_points(shown):
    """Return how many points each line of the loss has in the figure that a run has shown."""
    axes = next(content for content in shown if hasattr(content, "axes")).axes
    return [len(line.get_xdata()) for line in axes[0].lines]


@pytest.fixture(autouse=True)
def sigint_is_given_back():
    """Check after each test that SIGINT has the handler that it had before."""
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


# Killed, torn (11) -----------------------------------------------------------------------------

# TensorFlow is loaded once; each life of the run is a fork of this process.
NURSERY = """
import os, pathlib, resource, signal, sys
from helpers import checkpoints
from test_faults_training import fit, keras, make_digits, make_network

class Report(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        os.write(1, f"{epoch + 1}\\n".encode())  # at once: a kill must not leave half a line

def live(kind, amount):
    def begin():
        if kind == "seconds":
            signal.setitimer(signal.ITIMER_REAL, float(amount))
        if kind == "bytes":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(amount), int(amount)))

    folder = pathlib.Path(sys.argv[1])
    network, past = checkpoints.resume(folder)
    fit(network or make_network(), make_digits(), folder, epochs=len(past) + 4,
        initial_epoch=len(past), moments={(len(past), 0): begin},
        callbacks=[checkpoints.Checkpoint(folder), Report()])

for line in sys.stdin:
    child = os.fork()
    if not child:
        live(*line.split())
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"gone\\n")
"""


@pytest.fixture
def nursery(tmp_path):
    """Return a function that lets a run live for four epochs at most, until the system kills it:
    at a byte of a file, or so many seconds after its first batch; the last epoch that it saved."""
    if sys.platform != "linux":
        pytest.skip("forks a process that has TensorFlow loaded, which only Linux takes well")
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY, tmp_path],
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, bufsize=1,
    )  # fmt: skip

    def live(kind, amount):
        process.stdin.write(f"{kind} {amount}\n")
        said = [*itertools.takewhile(lambda line: line != "gone\n", process.stdout)]
        return int((said or [0])[-1])

    with process:
        yield live
        process.kill()


def test_killed_run_goes_on_after_the_last_saved_epoch(nursery, tmp_path, capsys):
    chance, known = random.Random(11), 0
    deaths = [("bytes", chance.randrange(1, 39_000)) for _ in range(5)]
    deaths += [("seconds", chance.uniform(1e-4, 0.4)) for _ in range(7)]
    chance.shuffle(deaths)
    for kind, amount in [*deaths, ("never", 0)]:
        saved = nursery(kind, amount)
        assert kind != "bytes" or list(tmp_path.glob("*.part.keras"))
        states = checkpoints._read_states(tmp_path)
        rows = states[0]["rows"] if states else []
        assert len(rows) >= max(saved, known)
        assert all(state["steps"] == BATCHES * len(state["rows"]) for state in states)
        if rows:
            best, past = checkpoints.resume(tmp_path, best=True)
            assert past[-1]["val_accuracy"] == max(row["val_accuracy"] for row in rows)
            assert int(best.optimizer.iterations) == BATCHES * len(past)
        before, known = known, len(rows)
    assert known == before + 4
    assert not list(tmp_path.glob("*.part.keras"))
    assert capsys.readouterr().out == ""  # a killed writer leaves nothing that reads as damaged


def flip(path, position, bit):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


DAMAGES = {
    "state gone": (".keras", Path.unlink),
    "a bit flipped": (".keras", lambda path: flip(path, path.stat().st_size // 3, 4)),
    "record cut short": (".json", lambda path: os.truncate(path, path.stat().st_size // 2)),
    "record of nothing": (".json", lambda path: path.write_text("null")),
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


def test_every_flipped_bit_is_seen(finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    whole, chance, undetected = checkpoints._read_states(folder), random.Random(0), 0
    for path in (find(folder, 2, ".json"), find(folder, 2)):
        good = path.read_bytes()
        positions = range(len(good))
        for position in positions if path.suffix == ".json" else chance.sample(positions, 300):
            flip(path, position, chance.randrange(8))
            found = checkpoints._read_states(folder, quiet=True)
            # The seventeenth digit of a number may change, and the number be the same.
            assert found in (whole, whole[1:]), (path.suffix, position)
            undetected += found == whole
            path.write_bytes(good)
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


@pytest.fixture
def disk():
    """Return a disk on which the system refuses files above four kilobytes, once it is "full"."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))

    yield SimpleNamespace(fill=lambda: limit(4096), free=lambda: limit(limits[0]))
    limit(limits[0])


def test_full_disk_keeps_the_last_state_and_the_run(disk, digits, tmp_path, capsys):
    folder, found = tmp_path / "run", []
    moments = {
        (1, "end"): disk.fill,
        (2, 0): lambda: found.extend(checkpoints.resume(folder)),
        (2, "end"): disk.free,
    }
    network = make_network()
    checkpoint = fit(network, digits, folder, moments=moments)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "After epoch 2, nothing could be saved in" in said
    assert "File too large" in said
    before, past = found
    assert len(past) == 1 and int(before.optimizer.iterations) == BATCHES
    assert len(checkpoint.history["loss"]) == 3
    after, past = checkpoints.resume(folder)
    assert len(past) == 3 and same(after, network)
    assert not list(folder.glob("*.part.*"))


def test_disk_that_stays_full_keeps_the_run_before(disk, digits, tmp_path, capsys):
    first = make_network()
    fit(first, digits, tmp_path, epochs=1)
    disk.fill()
    checkpoint = fit(make_network(), digits, tmp_path, epochs=2)
    nothing = "Nothing of it is saved; to begin anew, build and"
    with pytest.raises(checkpoints.Stopped, match=nothing):
        fit(make_network(), digits, tmp_path, moments={(0, 1): press})
    disk.free()
    assert capsys.readouterr().out.count("nothing could be saved") == 3 + 1
    assert len(checkpoint.history["loss"]) == 2
    saved, past = checkpoints.resume(tmp_path)
    assert len(past) == 1 and same(saved, first)


def test_full_disk_at_the_last_save_costs_a_line(disk, digits, tmp_path):
    plain = SimpleNamespace(plain_copy=lambda network: network, predict=lambda n, x: n.predict(x))
    given = {"network": make_network(), "folder": tmp_path, "validation_images": digits[0]}
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


@pytest.mark.parametrize(("cause", "epoch", "finished"), [("image", 1, 0), ("learning rate", 3, 2)])
def test_loss_that_is_not_a_number_stops_the_run(cause, epoch, finished, digits, tmp_path):
    network, moments = make_network("sgd"), {}
    start = network.get_weights()
    if cause == "image":
        digits[0][40] = np.nan  # in the second batch
    else:
        moments[1, "end"] = lambda: network.optimizer.learning_rate.assign(1e30)
    with pytest.raises(checkpoints.Stopped) as stopped:
        fit(network, digits, tmp_path, moments=moments)
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
    validation = batch(np.full((32, 64), np.nan), digits[1][:32])
    callbacks = [live.LiveCurves(every=2), *([checkpoints.Checkpoint(tmp_path)] if saving else [])]
    kept = "as it was at the start" if saving else "Mend that, then build and compile"
    with pytest.raises(checkpoints.Stopped, match=kept):
        fit(make_network(), digits, tmp_path, callbacks=callbacks, validation_data=validation)
    assert count_points(shown) == [1, 0, 0]  # the running mean, at the second batch


# The best, and what must not go on (14) --------------------------------------------------------


def test_worse_epochs_never_replace_the_best(digits, tmp_path):
    keras.utils.set_random_seed(0)  # how much four epochs teach depends on the first weights
    network = make_network(keras.optimizers.Adam(0.03))
    fit(network, digits, tmp_path, epochs=4)
    good, past = checkpoints.resume(tmp_path, best=True)
    number, score = len(past), past[-1]["val_accuracy"]
    network.optimizer.learning_rate.assign(0.2)
    wrong = digits[0], (digits[1] + 5) % 10
    checkpoint = fit(network, wrong, tmp_path, epochs=7, initial_epoch=4)
    assert score > max(checkpoint.history["val_accuracy"][4:])
    best, past = checkpoints.resume(tmp_path, best=True)
    assert len(past) == number and same(best, good)
    kept = itertools.product((number, 6, 7), (".json", ".keras"))
    assert {*tmp_path.iterdir()} == {find(tmp_path, *parts) for parts in kept}


OTHERS = {
    "more units": ({"units": 21}, "layer 1 has units 20 there, 21 here"),
    "other activation": ({"activation": "tanh"}, "layer 1 has activation relu there, tanh here"),
    "another layer more": ({"layers": 2}, "layer 2 has units 10 there, 20 here"),
    "other optimizer": ({"optimizer": "sgd"}, "the optimizer has class Adam there, SGD here"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_architecture_is_refused(other, finished_run, digits):
    before = {path: path.read_bytes() for path in finished_run.iterdir()}
    options, difference = OTHERS[other]
    network = make_network(**options)
    network.fit(batch(*digits), verbose=0)
    weights = network.get_weights()
    with pytest.raises(checkpoints.CheckpointError) as refused:
        checkpoints.resume(finished_run, network)
    first, second = str(refused.value).splitlines()
    assert first == f"{place(find(finished_run, 2))} holds another network: {difference}."
    assert second.startswith("Use another folder, or begin anew")
    assert {path: path.read_bytes() for path in finished_run.iterdir()} == before
    assert all(map(np.array_equal, weights, network.get_weights()))


def test_other_keras_version_is_refused(digits, tmp_path, monkeypatch):
    network = make_network()
    with monkeypatch.context() as patch:
        patch.setattr(keras, "__version__", "3.12.0")
        fit(network, digits, tmp_path, epochs=1)
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


def test_compiled_again_begins_a_new_run(finished_run, digits, tmp_path):
    folder, fresh = shutil.copytree(finished_run, tmp_path / "run"), make_network()
    assert checkpoints.resume(folder, fresh) == (fresh, [])
    raw = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    assert checkpoints.resume(folder, raw) == (raw, [])  # not compiled at all
    fit(fresh, digits, folder, epochs=1)
    assert len([*folder.glob("*.keras")]) == 2 + 2  # what another network saved stays
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    fit(make_network(), digits, folder, epochs=1)
    assert len([*folder.glob("*.keras")]) == 2  # and goes after a day


def test_best_epoch_trained_further_is_a_run_of_its_own(finished_run, digits, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    network, past = checkpoints.resume(folder)
    network.load_weights(find(folder, 1))  # as if that were the best one
    checkpoint = fit(network, digits, folder, epochs=2, initial_epoch=1)
    assert checkpoint.history["loss"][0] == past[0]["loss"] and len(checkpoint.rows) == 2
    assert {path.name for path in finished_run.iterdir()} < {path.name for path in folder.iterdir()}


def test_stop_without_a_checkpoint(shown, digits, tmp_path):
    curves = [live.LiveCurves(every=2)]
    with pytest.raises(checkpoints.Stopped) as stopped:
        fit(make_network(), digits, tmp_path, moments={(1, 1): press}, callbacks=curves)
    assert str(stopped.value) == (
        "Stopped in epoch 2 of 3. Nothing of it is saved; to begin anew, build and compile the "
        "network again."
    )
    assert count_points(shown) == [1, 1, 1, 1]


@pytest.mark.parametrize("order", [1, -1])
def test_checkpoint_answers_whatever_the_order_of_callbacks(order, shown, digits, tmp_path):
    callbacks = [live.LiveCurves(), checkpoints.Checkpoint(tmp_path)][::order]
    with pytest.raises(checkpoints.Stopped, match=f"saved in {place(tmp_path)}"):
        fit(make_network(), digits, tmp_path, moments={(1, 0): press}, callbacks=callbacks)


def test_second_press_interrupts_at_once(digits, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(make_network(), digits, tmp_path, moments={(1, 0): lambda: (press(), press())})
    assert len(checkpoints.resume(tmp_path)[1]) == 1


def test_stop_after_another_error_is_an_ordinary_interrupt(digits, tmp_path):
    with pytest.raises(ZeroDivisionError):
        fit(make_network(), digits, tmp_path, moments={(0, 1): lambda: 1 / 0})
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

def make_dataset(seconds):
    def wait(number):
        time.sleep(seconds)
        return np.full((10, 4), number / 60, "float32")
    def load(number):
        images = tf.numpy_function(wait, [number], tf.float32)
        return tf.ensure_shape(images, (10, 4)), tf.range(10)
    return tf.data.Dataset.range(60).map(load)

train_data, validation_data = make_dataset(0.03), make_dataset(0).take(2)
real, epochs = False, 3
network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10, "softmax")])
training.compile_model(network, steps=180)
"""


def cell_of_03(words):
    """Return the first cell of notebook 03 in which words are."""
    cells = code_cells(read(ROOT / "notebooks" / "03_train_the_network.ipynb"))
    return next(cell.source for cell in cells if words in cell.source)


def test_stop_button_in_a_real_kernel(tmp_path):
    cell = cell_of_03("checkpoints.Checkpoint(folder)")
    with Kernel(ROOT / "notebooks", MNIST_RUNS=str(tmp_path), TF_CPP_MIN_LOG_LEVEL="3") as kernel:
        ((status, outputs),) = kernel.send(STAND_INS.format(root=str(ROOT)))
        assert status == "ok", outputs
        (status, outputs), (waiting, _) = kernel.send(cell, "print(1)", stop_at="epoch 2 of 3")
        assert (status, waiting) == ("error", "aborted")
        error = next(content for kind, content in outputs if kind == "error")
        assert error["ename"] == "Stopped" and error["traceback"] == [error["evalue"]]
        line = r"Stopped in epoch 2 of 3\. 1 epoch is saved in \S+/training_sample; run this cell"
        assert re.fullmatch(rf"{line} again to go on\.", error["evalue"])
        assert len(pictures(outputs)) >= 3  # the first one, and updates in both epochs
        kernel.send("train_data = make_dataset(0)")
        ((status, outputs),) = kernel.send(cell)
        assert status == "ok" and "3 epochs in" in printed(outputs)
        assert "epoch 2 of 3, 60 of 180" in str(outputs) and "epoch 1 of 3" not in str(outputs)
        kernel.send("first = history")
        ((status, outputs),) = kernel.send(cell)
        assert status == "ok" and "All 3 epochs are finished already. To train" in printed(outputs)
        check = "print(history == first, [len(v) for v in history.values()])"
        assert printed(kernel.send(check)[0][1]) == "True [3, 3, 3, 3, 3]\n"


# A run has a name (24) ---------------------------------------------------------------------------


def test_run_gets_back_its_own_state(digits, tmp_path):
    a, b, stranger = make_network(), make_network(), make_network()
    fit(a, digits, tmp_path, epochs=2)
    fit(b, digits, tmp_path, epochs=1)
    for network, epochs in ((a, 2), (b, 1)):
        weights = network.get_weights()
        assert len(checkpoints.resume(tmp_path, network)[1]) == epochs
        assert all(map(np.array_equal, weights, network.get_weights()))
    stranger.fit(batch(*digits), epochs=4, verbose=0)
    weights = stranger.get_weights()
    with pytest.raises(checkpoints.CheckpointError) as refused:
        checkpoints.resume(tmp_path, stranger)
    first, second = str(refused.value).splitlines()
    assert re.search(r"is of another run, saved 2\S+ \d\d:\d\d, and nothing of this one", first)
    assert second.startswith("Use another folder, or begin anew")
    assert all(map(np.array_equal, weights, stranger.get_weights()))


@pytest.mark.parametrize("end", ["stop", "diverge"])
def test_second_writer_leaves_the_first_alone(end, digits, tmp_path):
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
    kept = "2 epochs are saved" if end == "stop" else "The network is again as it was after epoch"
    assert kept in str(stopped.value)
    _, past = checkpoints.resume(tmp_path, a)
    assert len(past) == 2 and int(a.optimizer.iterations) == 2 * BATCHES
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
    "metrics=['acc'], validation_freq": (["acc"], {"validation_freq": [1, 3]}),
    "no metrics": (None, {}),
    "another metric, unknown length": (["sparse_top_k_categorical_accuracy"], {}),
    "two outputs": ([["accuracy"], ["accuracy"]], {}),
}


class Numbers(keras.callbacks.Callback):
    """Put NumPy's numbers into the logs."""

    def on_epoch_end(self, epoch, logs=None):
        logs["extra"] = np.float32(epoch)


@pytest.mark.parametrize("change", CHANGES)
def test_run_survives_what_readers_change(change, shown, digits, tmp_path):
    metrics, options = CHANGES[change]
    (images, labels), network, loss = digits, make_network(), LOSS
    if change == "two outputs":
        outputs = [keras.layers.Dense(10, "softmax")(network.layers[0].output) for _ in range(2)]
        network, loss = keras.Model(network.inputs, outputs), [LOSS, LOSS]
        labels = labels, labels
    network.compile("adam", loss, metrics=metrics, run_eagerly=True)
    dataset = batch(images, labels)
    if "unknown length" in change:
        dataset = dataset.filter(lambda images, labels: True)
    checkpoint = checkpoints.Checkpoint(tmp_path)
    callbacks = [Numbers(), live.LiveCurves(every=2), checkpoint]
    options = {"validation_data": dataset.take(1), "callbacks": callbacks, **options}
    network.fit(dataset, epochs=3, verbose=0, **options)
    assert len(checkpoints.resume(tmp_path, network)[1]) == 3
    assert {len(values) for values in checkpoint.history.values()} == {3}
    assert 3 in count_points(shown)


def test_run_outside_a_notebook_prints_a_line_for_each_epoch(digits, tmp_path, capsys):
    fit(make_network(), digits, tmp_path, callbacks=[live.LiveCurves(every=3)])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and said[2].startswith("epoch 3 of 3, 9 of 9 batches")
