"""The search: what a configuration changes, and a record that is whole and grows."""

import json
import time

import numpy as np
import pytest

from helpers import data, model, model_files
from tools import optimizers, search, train


@pytest.fixture
def runs(monkeypatch, tmp_path, digits):
    """Train nothing: the runs have 1, 4, 9 … errors; return the list of what was asked for."""
    asked = []

    def try_seed(*task_and_cores):
        asked.append(task_and_cores[:3])
        errors = len(asked) ** 2
        return task_and_cores[:3], {"errors": errors, "loss": 0.1, "misread": [7], "cpu_seconds": 9}

    monkeypatch.setattr(search, "try_seed", try_seed)
    monkeypatch.setattr(search, "RECORD", tmp_path / "search.json")
    monkeypatch.setattr(data, "load_mnist", lambda: (digits, digits))
    monkeypatch.setattr(data, "is_mnist", lambda labels: True)
    return asked


def test_what_is_recorded_is_not_trained_again(runs):
    search.main(["race/adamw", "ledger/muon", "--seeds", "1"])
    search.main(["race/adamw", "--seeds", "2"])
    assert runs == [("race", "adamw", 0), ("ledger", "muon", 0), ("race", "adamw", 1)]
    race = search.read_record()["race"]
    assert race["configurations"]["adamw"]["changes"] == {"epochs": 2}
    assert list(race["configurations"]["adamw"]["runs"]) == ["seed_0", "seed_1"]
    assert (race["base"], race["recipe"]["epochs"]) == ("quick", 3)


def test_differences_are_paired_by_seed(runs, capsys):
    search.main(["race/base", "race/adamw", "--seeds", "3"])  # 1, 9, 25 and 4, 16, 36
    search.main(["race/muon", "--seeds", "2"])  # 49, 64
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines[0] == "race/base: 11.7 errors in the mean of 3, 9 CPU seconds"
    assert lines[1].endswith("+7.0 against base, 95 % interval -2.9 to +16.9")
    assert lines[2].endswith("+51.5 against base, 95 % interval +7.0 to +96.0")


def test_runs_on_a_card_are_kept_apart(runs, monkeypatch, capsys):
    monkeypatch.setattr(search, "run_on_gpu", lambda tasks: (search.try_seed(*t, 0) for t in tasks))
    search.main(["race/base", "race/adamw", "--seeds", "2"])  # 1, 9 and 4, 16
    search.main(["race/base", "race/adamw", "--seeds", "2", "--gpu"])  # 25, 49 and 36, 64
    assert len(runs) == 8
    adamw = search.read_record()["race"]["configurations"]["adamw"]
    assert [run["errors"] for run in adamw["on_gpu"].values()] == [36, 64]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("race/adamw, on a GPU: 50.0 errors in the mean of 2, 9 CPU seconds; +13")


def test_without_a_card_one_line_says_so(runs):
    with pytest.raises(SystemExit, match=r"PyTorch (is missing: install|finds no NVIDIA card)"):
        search.main(["race/base", "--gpu"])


def test_times_are_of_whole_runs(runs, monkeypatch, digits):
    monkeypatch.setattr(search, "load_split", lambda: (digits, digits))
    monkeypatch.setattr(search, "prepare_steps", lambda recipe, steps: lambda: time.sleep(0.03))
    search.main(["race/base", "--seeds", "1"])
    search.time_runs("race", rounds=1, steps=2)
    times = search.read_record()["race"]["times"]
    assert set(times["runs"]) == set(search.GROUPS["race"][1]) and times["computed_in"]
    assert {run["step_ms"] >= 15 for run in times["runs"].values()} == {True}
    assert list(search.read_record()["race"]["configurations"]) == ["base"]


def test_a_name_keeps_to_what_it_was_recorded_with(runs, monkeypatch):
    search.main(["race/adamw", "--seeds", "1"])
    monkeypatch.setitem(search.GROUPS["race"][1], "adamw", {"epochs": 4})
    with pytest.raises(SystemExit, match=r"race/adamw was recorded with other changes.*name of"):
        search.main(["race/adamw", "--seeds", "2"])
    assert runs == [("race", "adamw", 0)]


def test_record_is_of_the_configurations_as_they_are():
    model_files.check_digest(search.RECORD)
    for group, (base, configurations) in search.GROUPS.items():
        found = search.read_record()[group]
        assert found["base"] == base
        for name, configuration in found["configurations"].items():
            changes = json.loads(json.dumps(configurations[name]))
            assert configuration["changes"] == changes, f"{group}/{name}"
            on_gpu = configuration.get("on_gpu", {})
            for run in [*configuration["runs"].values(), *on_gpu.values()]:
                assert run["errors"] == len(set(run["misread"])) and max(run["misread"]) < 5_000
                assert 0 < run["loss"] < 1 and run["seconds"] > 0
            assert all(run["cpu_seconds"] > 0 for run in configuration["runs"].values())


def test_looks_at_the_test_images_are_of_what_was_chosen():
    looks = search.read_record()["test"]
    for name, look in looks.items():
        group, configuration = name.split("/")
        assert configuration in search.read_record()[group]["configurations"]
        for read in (look["plain"], look["shifted"]):
            mean = 1 - np.mean(read["errors"]) / 10_000
            assert read["spread"]["mean"] == pytest.approx(mean, abs=1e-6)
            assert len(read["errors"]) == read["spread"]["seeds"]


def test_what_was_chosen_is_the_recipe_race():
    assert search.find_recipe("race", "muon_smooth_larger_steps") == train.RECIPES["race"]


def test_muon_takes_the_kernels_of_three_convolutions_and_evens_out_their_steps():
    muon, network = optimizers.ConvolutionMuon(), model.build_model()
    chosen = [w for w in network.trainable_weights if not muon._should_use_adamw(w)]
    names = [f"mnist_cnn/conv2d_{number}/kernel" for number in (2, 3, 4)]
    assert [weights.path for weights in chosen] == names
    gradient = np.random.default_rng(0).normal(size=chosen[2].shape).astype("float32")
    gradient[..., 0] *= 20  # one filter outshouts the others
    step = muon.zeropower_via_newtonschulz5(gradient, 5)
    sizes = [np.linalg.svd(np.reshape(k, (-1, 64)), compute_uv=False) for k in (gradient, step)]
    before, after = (size.max() / size.min() for size in sizes)
    assert before > 20 and after < 2
