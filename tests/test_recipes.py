"""Runs by name: they resume, and what they record follows from the probabilities they keep."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import psutil
import pytest
from scipy import stats

from helpers import augmentation, checkpoints, data, model, model_files
from tools import non_digits, records, scores, train

RECORDED = [name for name in train.RECIPES if (model_files.MODELS / f"{name}.json").is_file()]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Make a network of one dense layer of every recipe, and models/ a folder of its own."""
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    monkeypatch.setattr(model, "build_model", lambda *_, **__: keras.Sequential(layers))
    monkeypatch.setattr(model, "plain_copy", lambda network: network)
    monkeypatch.setattr(model_files, "MODELS", tmp_path / "models")
    monkeypatch.setattr(model_files, "SHIPPED", tmp_path / "models" / "mnist_cnn.keras")
    monkeypatch.setenv("MNIST_RUNS", str(tmp_path / "runs"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.mark.slow
def test_train_goes_on_where_it_was_stopped(digits, tiny, tmp_path):
    folder = tmp_path / "run"

    def stop_after_the_first_epoch():
        while len(list(folder.glob("epoch_*.json"))) < 2:
            time.sleep(0.001)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=stop_after_the_first_epoch, daemon=True).start()
    with pytest.raises(checkpoints.Stopped, match=r"Stopped in epoch \d+ of 300"):
        train.train(train.Recipe(epochs=300), *digits, 0, folder)
    _, past = checkpoints.resume(folder)
    assert 1 <= len(past) < 300
    longer = train.Recipe(epochs=len(past) + 1)
    network, rows = train.train(longer, *digits, 0, folder)
    assert rows[:-1] == past and len(rows) == int(network.optimizer.iterations)
    assert train.train(longer, *digits, 0, folder)[1] == rows  # nothing is left to do


def test_last_epochs_show_the_images_as_they_are(digits, tiny, monkeypatch):
    shown = []

    def fit(network, dataset, initial_epoch, epochs, **_):
        pixels = np.sort(next(iter(dataset))[0].numpy(), axis=None)
        given = np.sort(digits[0] / 255, axis=None)
        shown.append((initial_epoch, epochs, np.allclose(pixels, given, atol=1e-5)))

    monkeypatch.setattr(keras.Sequential, "fit", fit)
    train.train(train.Recipe(epochs=5, plain_epochs=2), *digits, 0)
    assert shown == [(0, 3, False), (3, 5, True)]


def test_robust_spoils_a_share_of_each_batch_that_changes_by_epoch(digits):
    recipe = train.Recipe(
        2, 2, label_smoothing=0.05, families=("inversion", "tone"), spoiled=(1.0, 0.0)
    )
    spoiled = []
    for dataset, end in train.make_stages(recipe, *digits, seed=0):
        images, labels = next(iter(dataset))
        assert labels.shape == (len(images), 10)
        known = {image.tobytes() for image in (digits[0][..., np.newaxis] / np.float32(255))}
        spoiled.append((end, sum(image.tobytes() not in known for image in images.numpy())))
    assert [end for end, _ in spoiled] == [1, 2]
    assert spoiled[0][1] > 10 and spoiled[1][1] == 0


def test_non_digits_beside_a_batch_have_even_targets_and_are_spoiled_too(digits, monkeypatch):
    pool = np.full((40, 28, 28), 51, np.uint8)
    monkeypatch.setattr(non_digits, "make_pool", lambda images, labels: pool)
    recipe = train.Recipe(
        1, 1, label_smoothing=0.05, families=("inversion",), spoiled=(1.0, 1.0), others=4
    )
    (dataset, _), *_ = train.make_stages(recipe, *digits, seed=0)
    (images, targets), *_ = dataset
    assert len(dataset) == 1  # known before the epoch: Keras would warn of its end
    n = len(images) - recipe.others
    assert sorted(targets[:n].numpy().argmax(axis=1)) == sorted(digits[1])
    np.testing.assert_allclose(targets[n:], 0.1)
    levels = np.concatenate([batch[-4:].numpy().ravel() for batch, _ in dataset.repeat(10)])
    assert set(levels.round(2)) == {np.float32(0.2), np.float32(0.8)}


@pytest.fixture
def small_data(digits, tiny, monkeypatch):
    """Take forty digits for MNIST, two of them with disputed labels."""
    monkeypatch.setattr(data, "load_mnist", lambda: (digits, digits))
    monkeypatch.setattr(data, "is_mnist", lambda labels: True)
    monkeypatch.setattr(data, "DISPUTED_TEST_LABELS", (3, 5))
    monkeypatch.setattr(data, "split_validation", lambda *both: (digits, digits))


@pytest.mark.slow
def test_command_records_each_seed_once(small_data, tiny, monkeypatch):
    short = train.Recipe(epochs=3, plain_epochs=1, weight_decay=0.1)
    monkeypatch.setitem(train.RECIPES, "best", short)
    train.main(["best", "--seeds", "2"])
    first = records.read_record("best")
    train.main(["best", "--seeds", "3"])
    record, kept = records.read_record("best"), records.read_probabilities("best")
    assert list(record["runs"]) == ["seed_0", "seed_1", "seed_2"]
    assert record["runs"]["seed_0"] == first["runs"]["seed_0"]
    assert record["recipe"]["weight_decay"] == 0.1
    assert record["statistics"]["all"]["one_network"]["seeds"] == 3
    assert record["statistics"]["without_disputed"]["n"] == 38
    shipped = {"mnist_cnn.keras", "mnist_cnn.png"}
    assert set(model_files.read_digests(tiny)) == {"best.json", "best.npz"} | shipped
    for file in model_files.read_digests(tiny):
        model_files.check_digest(tiny / file)
    assert kept["seed_0"].dtype == np.float16 and kept["seed_0_shifted"].shape == (40, 10)
    assert not checkpoints.run_folder("best_seed_2").exists()


@pytest.mark.slow
def test_seed_0_of_best_is_the_shipped_model(small_data, digits, tiny, monkeypatch):
    monkeypatch.setitem(train.RECIPES, "best", train.Recipe(epochs=2))
    train.main(["quick", "--seeds", "1"])
    assert not model_files.SHIPPED.exists()
    train.main(["--seeds", "2"])
    read = model.predict(model_files.load_shipped_model(), digits[0])
    np.testing.assert_allclose(records.read_probabilities("best")["seed_0"], read, atol=1e-3)
    model_files.SHIPPED.write_bytes(b"damaged")  # then it is made again, and only it
    first = records.read_record("best")["runs"]
    train.main(["--seeds", "1"])
    second = records.read_record("best")["runs"]
    assert model_files.SHIPPED.is_file() and set(second) == {"seed_0", "seed_1"}
    assert second["seed_1"] == first["seed_1"]


def test_no_seed_at_a_time_is_refused_in_a_line(capsys):
    with pytest.raises(SystemExit):
        train.main(["quick", "--jobs", "0"])
    assert "--jobs must be 1 or more" in capsys.readouterr().err


@pytest.mark.slow
def test_seeds_are_trained_apart_and_end_with_the_process_that_started_them(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(
        "from helpers import data\nfrom tools import train\n"
        "if __name__ == '__main__':\n"
        "    for seed, run in train.train_seeds('quick', range(9), data.load_mnist(), 2):\n"
        "        print('seed', seed, len(run['history']['loss']), flush=True)\n"
    )
    settings = {"MNIST_SAMPLE": "1", "MNIST_RUNS": str(tmp_path), "PYTHONPATH": str(data.ROOT)}
    options = {"env": {**os.environ, **settings}, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, script], **options) as starter:
        found = (re.search(r"seed (\d) (\d)", line) for line in starter.stdout)
        seed, epochs = map(int, next(filter(None, found)).groups())
        workers = psutil.Process(starter.pid).children(recursive=True)
        starter.kill()
    _, left = psutil.wait_procs(workers, timeout=30)
    for worker in left:
        worker.kill()
    assert (seed in (0, 1), epochs, len(workers) >= 2, left) == (True, 3, True, [])


def test_shifted_reading_is_the_mean_over_five_positions(digits):
    class Network:
        output_shape = (None, 10)

        def predict_on_batch(self, images):
            return np.repeat(images[:, 14, 14], 10, axis=1)  # the pixel in the middle

    images = digits[0][:3]
    plain, shifted = train.predict_shifted(Network(), images)
    around = [images[:, 14 - r, 14 - c] / 255 for r, c in train.SHIFTS]
    np.testing.assert_allclose(plain[:, 0], around[0], atol=1e-3)
    np.testing.assert_allclose(shifted[:, 0], np.mean(around, axis=0), atol=1e-3)
    assert len(set(train.SHIFTS)) == 5


def test_spread_is_students():
    values = [0.995, 0.996, 0.997, 0.9955]
    result = scores.spread(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(result["interval"], expected, atol=1e-6)
    assert (result["best"], result["worst"], result["seeds"]) == (0.997, 0.995, 4)
    assert result["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)


def test_ensemble_reads_by_the_mean_of_the_probabilities():
    labels = np.arange(4) % 10
    sure, unsure = np.eye(10)[labels], np.eye(10)[(labels + 1) % 10] * 0.4
    result = scores.ensemble(np.stack([sure, unsure, unsure]), labels)
    assert (result["errors"], result["n"]) == (0, 4)
    assert result["without_two"]["worst"] == 0.0  # where only one of the unsure is left
    assert result["interval"][1] == 1.0 and 0.5 < result["interval"][0] < 0.52


@pytest.mark.parametrize("name", RECORDED)
def test_record_follows_from_the_kept_probabilities(name):
    record, kept = records.read_record(name), records.read_probabilities(name)
    recorded, recipe = train.Recipe(**record["recipe"]), train.RECIPES[name]
    assert json.dumps(train.asdict(recorded)) == json.dumps(train.asdict(recipe))
    assert sorted(kept) == sorted(
        f"{run}{part}" for run in record["runs"] for part in ("", "_shifted")
    )
    for run in record["runs"].values():
        assert len(run["history"]["loss"]) == record["recipe"]["epochs"]
        assert {"cpu", "cores", "python", "tensorflow", "keras"} <= set(run["machine"])
    assert {p.dtype.name for p in kept.values()} == {"float16"}
    assert {p.shape for p in kept.values()} == {(10_000, 10)}


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("name", RECORDED)
def test_statistics_follow_from_the_kept_probabilities(name, tmp_path, monkeypatch):
    _, (_, labels) = data.load_mnist()
    record, kept = records.read_record(name), records.read_probabilities(name)
    for run, values in record["runs"].items():
        assert values["test"] == scores.measure(kept[run], labels)
        assert values["test_shifted"] == scores.measure(kept[f"{run}_shifted"], labels)
    monkeypatch.setattr(model_files, "MODELS", tmp_path)
    records.write_record(name, record, kept)
    records.summarise(name, labels)
    assert records.read_record(name) == record


def test_quick_is_the_recipe_of_notebook_03():
    quick = train.RECIPES["quick"]
    assert (quick.epochs, quick.plain_epochs, quick.limits) == (3, 0, augmentation.LIMITS)
