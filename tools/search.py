"""Which change of a recipe helps, on validation digits: `python -m tools.search ledger --seeds 5`.

Every configuration is trained on the 55,000 of the split, with the same seeds as the recipe that
it changes, and reads the 5,000. Each run is added to models/search.json as it is finished, and
nothing is left out; what is recorded is not trained again. The test images are not read. With
`--gpu` a graphics card trains all seeds of a configuration side by side, by `tools.gpu`; such runs
are recorded beside those of the CPU. `--time` measures what a change costs. With `--test` a card
trains what was chosen on all 60,000 and reads the test images; each such look stays on record.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import statistics
import time

import joblib
import numpy as np

from helpers import augmentation, data, model, model_files, preflight
from helpers.files import write_text
from tools import records, scores, train

RECORD = model_files.MODELS / "search.json"
SMALL = train.RECIPES["one_epoch"].limits
SMOOTH = {"label_smoothing": 0.05, "dropout": 0.3}
LARGE = {"rotation": 15.0, "zoom": 0.15, "shear": 0.2, "shift": 3.0, "elastic": 1.5}
SMOOTHER = {"label_smoothing": 0.1, "dropout": 0.4}
TWO = {"epochs": 2}
MUON = {"epochs": 2, "optimizer": "muon"}

# A group: the recipe that its configurations start from, and what each of them changes.
GROUPS = {
    "ledger": (
        "one_epoch",
        {
            "base": {},
            "keras_defaults": {"optimizer": "adam", "schedule": "constant", "peak": 1e-3},
            "momentum_0.99": {"batch_norm_momentum": 0.99},
            "no_transforms": {"limits": None},
            "full_transforms": {"limits": augmentation.LIMITS},
            "batch_64": {"batch_sizes": (64,)},
            "batch_256": {"batch_sizes": (256,)},
            "dropout_0": {"dropout": 0.0},
            "dropout_0.4": {"dropout": 0.4},
            "smoothing_0.1": {"label_smoothing": 0.1},
            "no_weight_decay": {"weight_decay": 0.0},
            "muon": {"optimizer": "muon"},
            "two_epochs": {"epochs": 2},
            "three_epochs": {"epochs": 3},
        },
    ),
    "race": (
        "quick",
        {
            "base": {},  # three epochs
            "adamw": TWO,
            "adamw_small": TWO | {"limits": SMALL},
            "adamw_smooth": TWO | SMOOTH,
            "muon": MUON,
            "muon_small": MUON | {"limits": SMALL},
            "muon_smooth": MUON | SMOOTH,
            "muon_smooth_small": MUON | SMOOTH | {"limits": SMALL},
            "muon_smooth_plain": MUON | SMOOTH | {"plain_epochs": 0.5},
            "muon_smooth_larger_steps": MUON | SMOOTH | {"muon_rate": 0.5},
            "muon_smooth_batches": MUON | SMOOTH | {"batch_sizes": (64, 256)},
            "adamw_smooth_averaged": TWO | SMOOTH | {"schedule": "constant", "average": 0.99},
            "sgd_smooth": TWO | SMOOTH | {"optimizer": "sgd", "peak": 0.2, "weight_decay": 5e-4},
        },
    ),
    "best": (
        "best",
        {
            "base": {},
            "smooth_0.05_dropout_0.4": {"label_smoothing": 0.05, "dropout": 0.4},
            "smooth_0.1_dropout_0.4": SMOOTHER,
            "muon_smooth": SMOOTHER | {"optimizer": "muon"},
            "larger_transforms": SMOOTHER | {"limits": LARGE},
            "thirty": {"epochs": 30},
            "thirty_smooth": SMOOTHER | {"epochs": 30},
        },
    ),
}


def main(arguments=None):
    """Train and record the seeds that the command line asks for and that are not recorded yet."""
    options, chosen = read_options(arguments)
    if not data.is_mnist(data.load_mnist()[1][1]):
        raise SystemExit("The record is made from MNIST. Set MNIST_DIR to its folder.")
    groups = dict.fromkeys(name.partition("/")[0] for name in chosen)
    if options.test:
        for name in chosen:
            test_on_gpu(name, options.seeds)
    elif options.time:
        for group in groups:
            time_runs(group)
    else:
        train_missing(chosen, options)
        for group in groups:
            print(*describe(group), sep="\n")


def read_options(arguments):
    """Return what the command line asks for, and the names of the configurations that it means."""
    every = [f"{group}/{name}" for group, (_, changes) in GROUPS.items() for name in changes]
    parser = argparse.ArgumentParser(prog="python -m tools.search", description=main.__doc__)
    add, place = parser.add_argument, parser.add_mutually_exclusive_group()
    add("names", nargs="*", help="ledger, race, best, or ledger/muon for one (all)", metavar="NAME")
    add("--seeds", type=int, default=3, help="seeds 0 to N - 1 (3)", metavar="N")
    add = place.add_argument
    add("--jobs", type=int, default=1, help="runs at a time (1)", metavar="N")
    add("--gpu", action="store_true", help="train on a graphics card, by PyTorch")
    add("--test", action="store_true", help="so, with all 60,000, and read the test images")
    add("--time", action="store_true", help="only time a few steps of each here")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in GROUPS and name not in every:
            parser.error(f"{name} is none of {', '.join([*GROUPS, *every])}.")
    meant = options.names or GROUPS
    return options, [n for asked in meant for n in every if asked in (n, n.partition("/")[0])]


def train_missing(chosen, options):
    """Train what is not recorded of configurations, where the command line says."""
    tasks = [(*name.split("/"), seed) for seed in range(options.seeds) for name in chosen]
    place = "on_gpu" if options.gpu else "runs"
    tasks = [task for task in tasks if is_missing(*task, place)]
    for task, run in run_on_gpu(tasks) if options.gpu else run_all(tasks, options.jobs):
        add_to_record(*task, run, place)


def run_all(tasks, jobs):
    """Train tasks, `jobs` at a time with their share of the cores; yield `(task, run)`."""
    cores = max(1, preflight.count_cores() // jobs)
    pool = joblib.Parallel(jobs, return_as="generator_unordered")
    return pool(joblib.delayed(try_seed)(*task, cores) for task in tasks)


def run_on_gpu(tasks):
    """Train tasks on a graphics card, all seeds of a configuration at once; yield as `run_all`."""
    gpu = load_gpu()
    training, (images, labels) = load_split()
    seeds = {}
    for group, name, seed in tasks:
        seeds.setdefault((group, name), []).append(seed)
    for configuration, chosen in seeds.items():
        runs, how = train_on_gpu(gpu, find_recipe(*configuration), training, chosen)
        for seed, run in zip(chosen, runs, strict=True):
            yield (*configuration, seed), {**measure(gpu.predict(run, images), labels), **how}


def train_on_gpu(gpu, recipe, digits, seeds):
    """Train seeds of a recipe side by side; return the runs, and how they were made."""
    began = time.perf_counter()
    runs = gpu.train_together(recipe, *digits, seeds)
    seconds = round((time.perf_counter() - began) / len(seeds), 2)
    return runs, {"seconds": seconds, **gpu.describe_machine()}


def load_gpu():
    """Return `tools.gpu`, if this machine has what it needs.

    Raises:
        SystemExit: PyTorch is missing, or finds no card.
    """
    try:
        from tools import gpu
    except ModuleNotFoundError:
        raise SystemExit("PyTorch is missing: install benchmarks/requirements.txt.") from None
    if not gpu.torch.cuda.is_available():
        raise SystemExit("PyTorch finds no NVIDIA card here: leave out --gpu, or use --jobs.")
    return gpu


def test_on_gpu(name, number):
    """Train seeds of a configuration on all 60,000, read the test images, and record the look."""
    gpu = load_gpu()
    training, (images, labels) = data.load_mnist()
    runs, how = train_on_gpu(gpu, find_recipe(*name.split("/")), training, range(number))
    read = [train.predict_shifted(run, images, gpu.predict) for run in runs]
    result = summarise_test(*zip(*read, strict=True), labels)
    with change_record() as record:
        record.setdefault("test", {})[name] = {**result, **how}
    print(name, result, flush=True)


def summarise_test(plain, shifted, labels):
    """Describe what the seeds of a configuration read of the test images.

    Args:
        plain: the seeds' probabilities, `(seeds, n, 10)`.
        shifted: the same as means over `train.SHIFTS`.
        labels: `(n,)`.

    Returns:
        A dict: for "plain" and "shifted" the `errors` of each seed, their `spread`, and the
        `ensemble` of all (see `tools.scores`).
    """
    return {
        key: {
            "errors": [scores.measure(seed, labels)["errors"] for seed in read],
            "spread": scores.spread(scores.accuracy(read, labels)),
            "ensemble": scores.ensemble(read, labels),
        }
        for key, read in (("plain", np.asarray(plain)), ("shifted", np.asarray(shifted)))
    }


def time_runs(group, rounds=5, steps=30):
    """Time some steps of each configuration of a group in turns; record what a run takes.

    Args:
        group: a key of `GROUPS`.
        rounds: how often each has its turn; the median counts.
        steps: of a turn.
    """
    preflight.load_tensorflow()
    runs = {name: prepare_steps(find_recipe(group, name), steps) for name in GROUPS[group][1]}
    taken = {name: [] for name in runs}
    for name in list(runs) * rounds:
        began = time.perf_counter()
        runs[name]()
        taken[name].append((time.perf_counter() - began) / steps)
    where = {"machine": preflight.describe_machine(), "computed_in": model.training_dtype()}
    times, n = {}, len(load_split()[0][1])
    for name, seconds in taken.items():
        step = statistics.median(seconds)
        run = round(step * train.count_steps(find_recipe(group, name), n), 1)
        times[name] = {"step_ms": round(1_000 * step, 1), "seconds": run}
    with change_record() as record:
        record[group]["times"] = {**where, "runs": times}
    print(group, times, flush=True)


def prepare_steps(recipe, steps):
    """Return a function that takes so many steps of a recipe, its graph built already."""
    training, _ = load_split()
    network = train.build(recipe, len(training[1]))
    dataset, _ = next(train.make_stages(recipe, *training, seed=0))
    options = {"steps_per_epoch": steps, "verbose": 0, "shuffle": False}
    run = functools.partial(network.fit, dataset.repeat(), **options)
    run()
    return run


def find_recipe(group, name):
    """Return the recipe that a configuration is."""
    base, configurations = GROUPS[group]
    return dataclasses.replace(train.RECIPES[base], **configurations[name])


def try_seed(group, name, seed, cores):
    """Train a configuration with a seed on the 55,000, and read the 5,000.

    Args:
        group: a key of `GROUPS`.
        name: of a configuration in it.
        seed: see `train.train`.
        cores: how many the network's arithmetic may use.

    Returns:
        `((group, name, seed), run)`, the second for the record.
    """
    train.load_tensorflow(cores)
    training, (images, labels) = load_split()
    began = time.perf_counter(), time.process_time()
    network, _ = train.train(find_recipe(group, name), *training, seed)
    seconds, cpu_seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    run = {
        **measure(model.predict(network, images), labels),
        "cpu_seconds": round(cpu_seconds, 1),
        "seconds": round(seconds, 1),
        "threads": cores,
        "computed_in": model.training_dtype(),
        "machine": preflight.describe_machine(),
    }
    return (group, name, seed), run


@functools.cache
def load_split():
    """Return the 55,000 and the 5,000 of `data.split_validation`, loaded once in a process."""
    return data.split_validation(*data.load_mnist()[0])


def measure(probabilities, labels):
    """Count and name what a network misreads of the validation digits.

    Args:
        probabilities: float32 `(n, 10)`.
        labels: `(n,)`.

    Returns:
        A dict: `errors`; `loss`, the mean cross-entropy against the labels as they are, smoothed in
        training or not; and `misread`, the digits' numbers in the validation part.
    """
    of_labels = np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1)
    misread = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    loss = round(float(-np.log(of_labels).mean()), 5)
    return {"errors": len(misread), "loss": loss, "misread": misread.tolist()}


def read_record():
    """Return what is recorded already, or what to begin with."""
    if RECORD.is_file():
        return json.loads(RECORD.read_text(encoding="utf-8"))
    return {"command": "python -m tools.search", "training": 55_000, "validation": 5_000}


def is_missing(group, name, seed, place):
    """Tell whether to train a seed of a configuration.

    Args:
        group, name, seed: see `try_seed`.
        place: "runs", or "on_gpu" for those of a graphics card.

    Raises:
        SystemExit: the configuration was another when its first seed was recorded.
    """
    found = read_record().get(group, {}).get("configurations", {}).get(name)
    if found and found["changes"] != json.loads(json.dumps(GROUPS[group][1][name])):
        raise SystemExit(
            f"{group}/{name} was recorded with other changes: {found['changes']}. Give the new "
            "configuration a name of its own, so that the record keeps both."
        )
    return not found or f"seed_{seed}" not in found.get(place, {})


def add_to_record(group, name, seed, run, place):
    """Add a run to models/search.json."""
    base, configurations = GROUPS[group]
    recipe = dataclasses.asdict(train.RECIPES[base])
    with change_record() as record:
        found = record.setdefault(group, {"base": base, "recipe": recipe, "configurations": {}})
        empty = {"changes": configurations[name], "runs": {}}
        runs = found["configurations"].setdefault(name, empty).setdefault(place, {})
        runs[f"seed_{seed}"] = run
    print(f"{group}/{name}, seed {seed}: {run['errors']} of 5,000, loss {run['loss']}", flush=True)


@contextlib.contextmanager
def change_record():
    """Yield the record to be changed, which no other command changes meanwhile; then write it."""
    with records.hold("models"):
        record = read_record()
        yield record
        write_text(RECORD, json.dumps(record, indent=1) + "\n")
        records.write_digests(RECORD)


def describe(group):
    """Return lines on the configurations of a group: differences from "base", seed by seed."""
    lines, found = [], read_record().get(group, {"configurations": {}})["configurations"]
    for place in ("runs", "on_gpu"):
        base = found.get("base", {}).get(place, {})
        for name, configuration in found.items():
            if runs := configuration.get(place):
                described = describe_runs(runs, base if name != "base" else {})
                lines.append(f"{group}/{name}{', on a GPU' * (place == 'on_gpu')}: {described}")
    return lines


def describe_runs(runs, base):
    """Describe a configuration's runs in a line, and their differences from those of the base."""
    errors = [run["errors"] for run in runs.values()]
    line = f"{np.mean(errors):.1f} errors in the mean of {len(errors)}"
    if cpu := [run["cpu_seconds"] for run in runs.values() if "cpu_seconds" in run]:
        line += f", {np.mean(cpu):.0f} CPU seconds"
    if len(runs.keys() & base.keys()) > 1:
        more = scores.compare(runs, base)
        low, high = more["interval"]
        line += f"; {more['mean']:+.1f} against base, 95 % interval {low:+.1f} to {high:+.1f}"
    return line


if __name__ == "__main__":
    from tools.search import main  # workers look functions up by this module's name

    main()
