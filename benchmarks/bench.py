"""Run the benchmarks side by side: `make bench` writes results.json and fills README.md from it.

Every run is a fresh process; contenders take turns, so that what slows the machine
for a while slows all of them. `python -m benchmarks.bench epoch` runs one part only.
"""

import json
import math
import statistics
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

from benchmarks.epoch import CONTENDERS
from helpers import data, preflight
from helpers.files import write_text

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"

ROUNDS = 3  # alternating runs of each contender; for an accuracy, as many seeds
EPOCH_ROUNDS = 5  # the fastest two are close together
TERAFLOP = 3.66  # in an epoch of 60,000 images: forward, and twice as much backward
THREADS = {"as `load_tensorflow` sets them": 0, "1": 1, "8": 8, "32": 32}
RECIPES = ("one_epoch", "quick", "keras-example", "lineage-2017")
SHORTER = ("quick", "race", "train_mnist_fast")  # in another session than RECIPES


def main(parts):
    """Run the parts that were named, or all; write the results after each."""
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"There is no part {unknown.pop()}; choose from: {', '.join(PARTS)}.")
    _, (_, labels) = data.load_mnist()
    if not data.is_mnist(labels):
        raise SystemExit("These are benchmarks on MNIST. Set MNIST_DIR to its folder.")
    for name in parts or PARTS:
        measured = PARTS[name]()
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        machine = {**preflight.describe_machine(), "torch": metadata.version("torch")}
        results[name] = {"machine": machine, "date": date.today().isoformat(), **measured}
        write_text(RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def run_epochs():
    """Time an epoch of every contender, and the machine's matrix products."""
    rates, runs = [], {name: [] for name in CONTENDERS}
    for _ in range(EPOCH_ROUNDS):
        rates.append(_call("matmul"))
        for name in CONTENDERS:
            runs[name].append(_call("epoch", name))
    rate = {key: round(statistics.median(r[key] for r in rates), 1) for key in rates[0]}
    return {"gigaflops": rate, "runs": {name: _summarise(runs[name], rate, name) for name in runs}}


def _summarise(runs, rate, name):
    """Return a contender's median, all its runs, its memory and its share of the possible rate."""
    seconds = [run["seconds"] for run in runs]
    possible = rate["bfloat16" if "bfloat16" in name else "float32"]
    median = statistics.median(seconds)
    return {
        "seconds": round(median, 1),
        "all_seconds": seconds,
        "peak_mb": max(run["peak_mb"] for run in runs),
        "share": round(TERAFLOP * 1000 / possible / median, 2),
    }


def run_to_accuracy():
    """Note when this project's recipes and its peers read 99.0 % and 99.5 %, against Keras' own."""
    measured = race(RECIPES)
    for run in measured["runs"].values():
        peer = measured["runs"]["keras-example"]
        run["speed_to_99.0"] = compare(peer["to_99.0"], run["to_99.0"])
    return measured


def run_race():
    """Note the same of the recipes that are in more of a hurry, against *quick*."""
    measured = race(SHORTER)
    for run in measured["runs"].values():
        run["share_of_quick"] = compare(run["seconds"], measured["runs"]["quick"]["seconds"], 3)
    return measured


def race(names):
    """Train each recipe with each seed; note when it first reads 99.0 % and 99.5 %."""
    runs = {name: {} for name in names}
    for seed in range(ROUNDS):
        for name in names:
            runs[name][f"seed {seed}"] = _call("to_accuracy", name, str(seed))
    reached = {
        name: {
            "to_99.0": [find_first(rows, 0.99) for rows in by_seed.values()],
            "to_99.5": [find_first(rows, 0.995) for rows in by_seed.values()],
            "last_accuracy": [rows[-1]["accuracy"] for rows in by_seed.values()],
            "seconds": [rows[-1]["seconds"] for rows in by_seed.values()],
            "epochs": by_seed,
        }
        for name, by_seed in runs.items()
    }
    return {"accuracies": [0.99, 0.995], "runs": reached}


def find_first(rows, accuracy):
    """Return the seconds of the first evaluation that reaches an accuracy, or None."""
    return next((row["seconds"] for row in rows if row["accuracy"] >= accuracy), None)


def compare(slower, faster, decimals=2):
    """Return the ratio of two medians of seconds; None among them counts as never."""
    medians = [statistics.median(math.inf if s is None else s for s in x) for x in (slower, faster)]
    return round(medians[0] / medians[1], decimals)


def run_threads():
    """Time a training step on one core with several numbers of threads."""
    runs = {label: [] for label in THREADS}
    for _ in range(ROUNDS):
        for label, number in THREADS.items():
            runs[label].append(_call("one_core", str(number))["step_ms"])
    return {"step_ms": {label: statistics.median(values) for label, values in runs.items()}}


PARTS = {
    "epoch": run_epochs,
    "to_accuracy": run_to_accuracy,
    "race": run_race,
    "inference": lambda: {"ways": _call("inference")},
    "threads": run_threads,
    "profile": lambda: {"step_ms": _call("profile_step")},
}


def _call(script, *arguments):
    """Run a script of this folder; return what its last line says, from JSON."""
    print(script, *arguments, end=" ", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{script}", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=HERE.parent)
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    line = done.stdout.splitlines()[-1]
    print(line if len(line) < 200 else "done", flush=True)
    return json.loads(line)


if __name__ == "__main__":
    main(sys.argv[1:])
