"""The benchmarks run, and their page shows what was measured."""

import json
import statistics
import time

import numpy as np
import pytest

from benchmarks import bench, epoch, to_accuracy
from tools import train

RESULTS = json.loads(bench.RESULTS.read_text(encoding="utf-8"))


def test_other_digits_and_unknown_parts_are_refused(monkeypatch, digits):
    monkeypatch.setattr(bench.data, "load_mnist", lambda: (digits, digits))
    monkeypatch.setattr(bench, "PARTS", {"epoch": lambda: pytest.fail("it was measured")})
    with pytest.raises(SystemExit, match="Set MNIST_DIR"):
        bench.main([])
    with pytest.raises(SystemExit, match="no part epcoh; choose from: epoch"):
        bench.main(["epcoh"])


def test_every_part_was_measured_and_says_where():
    assert set(RESULTS) == set(bench.PARTS)
    for part in RESULTS.values():
        assert {"cpu", "cores", "tensorflow", "keras", "torch"} <= set(part["machine"])


def test_medians_follow_from_the_runs_of_each_contender():
    runs = RESULTS["epoch"]["runs"]
    assert set(runs) == set(epoch.CONTENDERS)
    for run in runs.values():
        assert len(run["all_seconds"]) == bench.EPOCH_ROUNDS
        assert run["seconds"] == round(statistics.median(run["all_seconds"]), 1)
    possible = RESULTS["epoch"]["gigaflops"]["float32"]
    share = bench.TERAFLOP * 1000 / possible / runs["keras-float32"]["seconds"]
    assert runs["keras-float32"]["share"] == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize(
    ("part", "names"), [("to_accuracy", bench.RECIPES), ("race", bench.SHORTER)]
)
def test_times_to_an_accuracy_follow_from_the_epochs_of_three_seeds(part, names):
    runs = RESULTS[part]["runs"]
    assert set(runs) == set(names) <= {*train.RECIPES, *to_accuracy.PEERS}
    for run in runs.values():
        epochs = list(run["epochs"].values())
        assert len(epochs) >= 3
        assert run["to_99.0"] == [bench.find_first(rows, 0.99) for rows in epochs]
        assert run["to_99.5"] == [bench.find_first(rows, 0.995) for rows in epochs]
        if part == "to_accuracy":
            peer = runs["keras-example"]
            assert run["speed_to_99.0"] == bench.compare(peer["to_99.0"], run["to_99.0"])
        else:
            medians = [statistics.median(r["seconds"]) for r in (run, runs["quick"])]
            assert run["share_of_quick"] == round(medians[0] / medians[1], 3)


def test_first_evaluation_that_reaches_an_accuracy_counts_and_never_is_slow():
    rows = [{"seconds": 1.0, "accuracy": 0.98}, {"seconds": 2.0, "accuracy": 0.99}]
    assert bench.find_first(rows, 0.99) == 2.0
    assert bench.find_first(rows, 0.991) is None
    assert bench.compare([70.0, 90.0, 80.0], [40.0, 30.0, 50.0]) == 2.0
    assert bench.compare([80.0, 80.0, 80.0], [None, 40.0, None]) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs"), [("quick", 3), ("keras-example", 15)])
def test_recipes_of_the_race_run(name, epochs, digits):
    race = to_accuracy.Race(*digits, time.perf_counter())
    to_accuracy.run(name, *digits, race, seed=0)
    seconds = [row["seconds"] for row in race.rows]
    assert len(seconds) == epochs and seconds == sorted(seconds)
    assert {len(row) for row in race.rows} == {2}


def test_recipe_of_2017_has_keras_layers_and_its_own_transforms(digits, monkeypatch):
    seen = {}

    def fit(network, dataset, **options):
        seen.update(network=network, steps=len(dataset), **options)

    monkeypatch.setattr(to_accuracy.keras.Sequential, "fit", fit)
    to_accuracy.run("lineage-2017", *digits, None, seed=0)
    layer = seen["network"].get_layer("batch_normalization_1")
    assert type(layer) is to_accuracy.layers.BatchNormalization and layer.momentum == 0.99
    assert (seen["epochs"], seen["steps"]) == (5, 1) and seen["network"].count_params() == 597_738


@pytest.mark.slow
@pytest.mark.parametrize("name", ["project-float32", "keras-float32"])
def test_contenders_train_an_epoch(name, digits):
    history = epoch.CONTENDERS[name](*digits)().history
    assert np.isfinite(history["loss"]).all() and len(history["loss"]) == 1
