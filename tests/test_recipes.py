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
import matplotlib.pyplot as plt
import numpy as np
import psutil
import pytest

from helpers import checkpoints, data, model, model_files
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


@pytest.mark.parametrize(
    ("recipe", "sizes", "plain"),
    [
        (train.Recipe(5, 2), {3: 40, 5: 40}, [0, 1]),
        (train.Recipe(2, 0.5, batch_sizes=(8, 4)), {1: 8, 2: 4}, [0, 0.5]),
    ],
)
def test_last_epochs_show_the_images_as_they_are(recipe, sizes, plain, digits):
    known = {image.tobytes() for image in digits[0][..., np.newaxis] / np.float32(255)}
    stages = list(train.make_stages(recipe, *digits, seed=0))
    assert [end for _, end in stages] == list(sizes)
    for (dataset, end), share in zip(stages, plain, strict=True):
        images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
        assert {len(batch) for batch in images} == {min(sizes[end], 40)}
        assert sorted(np.concatenate(labels)) == sorted(digits[1])  # each digit once
        as_it_is = [image.tobytes() in known for image in np.concatenate(images)]
        change = round(40 * (1 - share))
        assert as_it_is == [False] * change + [True] * (40 - change)


def test_robust_spoils_a_share_that_changes_by_epoch_and_adds_what_is_no_digit(digits, monkeypatch):
    pool = np.full((40, 28, 28), 51, np.uint8)
    monkeypatch.setattr(non_digits, "make_pool", lambda images, labels: pool)
    recipe = train.Recipe(
        2, 2, label_smoothing=0.05, families=("inversion",), spoiled=(1.0, 0.0), others=4
    )
    known = {image.tobytes() for image in digits[0][..., np.newaxis] / np.float32(255)}
    (first, _), (last, end) = train.make_stages(recipe, *digits, seed=0)
    assert end == 2 and len(first) == 1  # known before the epoch: Keras would warn of its end
    for dataset, levels in ((first, {0.2, 0.8}), (last, {0.2})):
        ((images, targets),) = dataset.as_numpy_iterator()
        as_it_is = [image.tobytes() in known for image in images[:40]]
        assert all(as_it_is) == (dataset is last)
        assert sorted(targets[:40].argmax(axis=1)) == sorted(digits[1])
        assert (targets[:40].max(axis=1) == 1).all()
        np.testing.assert_allclose(targets[40:], np.full((4, 10), 0.1))
        others = [batch[40:].ravel() for batch, _ in dataset.repeat(10).as_numpy_iterator()]
        assert set(np.concatenate(others).round(2)) == {*map(np.float32, levels)}


@pytest.mark.slow
def test_command_records_each_seed_once_and_ships_seed_0_of_best(digits, tiny, monkeypatch):
    monkeypatch.setattr(data, "load_mnist", lambda: (digits, digits))
    monkeypatch.setattr(data, "is_mnist", lambda labels: True)
    monkeypatch.setattr(data, "DISPUTED_TEST_LABELS", (3, 5))
    monkeypatch.setitem(train.RECIPES, "best", train.Recipe(3, 1, weight_decay=0.1))
    train.main(["quick", "--seeds", "1"])
    assert not model_files.SHIPPED.exists()
    train.main(["--seeds", "1"])
    first = records.read_record("best")
    read = model.predict(model_files.load_shipped_model(), digits[0])
    np.testing.assert_allclose(records.read_probabilities("best")["seed_0"], read, atol=1e-3)
    train.main(["best", "--seeds", "2"])
    record, kept = records.read_record("best"), records.read_probabilities("best")
    assert list(record["runs"]) == ["seed_0", "seed_1"]
    assert record["runs"]["seed_0"] == first["runs"]["seed_0"]
    assert record["recipe"]["weight_decay"] == 0.1
    assert len(record["runs"]["seed_1"]["history"]["loss"]) == 3
    assert record["statistics"]["all"]["one_network"]["seeds"] == 2
    assert record["statistics"]["without_disputed"]["n"] == 38
    recorded = model_files.read_digests(tiny)
    assert {"best.json", "best.npz", "mnist_cnn.keras", "mnist_cnn.png"} < set(recorded)
    for file in recorded:
        model_files.check_digest(tiny / file)
    assert kept["seed_0"].dtype == np.float16 and kept["seed_0_shifted"].shape == (40, 10)
    assert not checkpoints.run_folder("best_seed_1").exists()
    model_files.SHIPPED.write_bytes(b"damaged")  # then it is made again, and only it
    train.main(["--seeds", "2"])
    model_files.check_digest(model_files.SHIPPED)
    assert records.read_record("best")["runs"]["seed_1"] == record["runs"]["seed_1"]


def test_picture_of_no_mistakes_says_so(digits, tmp_path):
    records.draw_mistakes(tmp_path / "none.png", *digits, np.eye(10)[digits[1]])
    assert plt.imread(tmp_path / "none.png").std() > 0.01  # not blank


def test_no_seed_at_a_time_is_refused_in_a_line(capsys):
    with pytest.raises(SystemExit):
        train.main(["quick", "--jobs", "0"])
    assert "--jobs must be 1 or more" in capsys.readouterr().err


@pytest.mark.slow
def test_worker_trains_a_seed_and_ends_with_the_process_that_started_it(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(
        "from helpers import data\nfrom tools import cluster, train\n"
        "if __name__ == '__main__':\n"
        "    with cluster.connect() as client:\n"
        "        what = train.train_apart, 'one_epoch', range(9), data.load_mnist()\n"
        "        for seed, (run, network) in cluster.share_out(client, *what):\n"
        "            print('seed', seed, len(run['history']['loss']), flush=True)\n"
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
    assert (seed, epochs, left) == (0, 1, []) and workers


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
