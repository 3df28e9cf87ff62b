"""Run the benchmarks side by side: `make bench` writes results.json and the tables of README.md.

Every run is a fresh process; contenders take turns, so that what slows the machine
for a while slows all of them. `python -m benchmarks.bench epoch` runs one part only.
"""

import json
import math
import re
import statistics
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

from helpers import data, preflight
from helpers.files import write_text

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results.json", HERE / "README.md"
NOTEBOOKS = HERE / "notebooks.json"  # what `make notebooks` measured

ROUNDS = 3  # alternating runs of each contender; for an accuracy, as many seeds
EPOCH_ROUNDS = 5  # the fastest two are close together
TERAFLOP = 3.66  # in an epoch of 60,000 images: forward, and twice as much backward
EPOCH = {
    "project-bfloat16": "this project, bfloat16",
    "project-bfloat16-transforms": "the same, with the transforms of notebook 03",
    "keras-bfloat16": "Keras as it comes, bfloat16",
    "pytorch-bfloat16": "PyTorch, channels last, bfloat16",
    "project-float32": "this project, float32",
    "keras-float32": "Keras as it comes, float32",
    "pytorch-float32": "PyTorch, channels last, float32",
}
THREADS = {"as `load_tensorflow` sets them": 0, "1": 1, "8": 8, "32": 32}
RECIPES = {
    "one_epoch": "this project, *one_epoch*",
    "quick": "this project, *quick*, 3 epochs",
    "keras-example": "Keras' MNIST convnet example, 15 epochs",
    "lineage-2017": "the recipe of 2017, this network, 5 epochs",
}


def main(parts):
    """Run the parts that were named, or all; write the results and the tables after each."""
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
        write_text(PAGE, fill_tables(PAGE.read_text(encoding="utf-8"), results))


def run_epochs():
    """Time an epoch of every contender, and the machine's matrix products."""
    runs = {name: [] for name in EPOCH}
    rates = []
    for _ in range(EPOCH_ROUNDS):
        rates.append(_call("matmul"))
        for name in EPOCH:
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
    """Train each recipe with each seed; note when it first reads 99.0 % and 99.5 %."""
    runs = {name: {} for name in RECIPES}
    for seed in range(ROUNDS):
        for name in RECIPES:
            runs[name][f"seed {seed}"] = _call("to_accuracy", name, str(seed))
    reached = {}
    for name, by_seed in runs.items():
        reached[name] = {
            "to_99.0": [find_first(rows, 0.99) for rows in by_seed.values()],
            "to_99.5": [find_first(rows, 0.995) for rows in by_seed.values()],
            "last_accuracy": [rows[-1]["accuracy"] for rows in by_seed.values()],
            "seconds": [rows[-1]["seconds"] for rows in by_seed.values()],
            "epochs": by_seed,
        }
    for run in reached.values():
        run["speed_to_99.0"] = compare(reached["keras-example"]["to_99.0"], run["to_99.0"])
    return {"accuracies": [0.99, 0.995], "runs": reached}


def find_first(rows, accuracy):
    """Return the seconds of the first evaluation that reaches an accuracy, or None."""
    return next((row["seconds"] for row in rows if row["accuracy"] >= accuracy), None)


def compare(slower, faster):
    """Return the ratio of two medians of seconds; None among them counts as never."""
    medians = [statistics.median(math.inf if s is None else s for s in x) for x in (slower, faster)]
    return round(medians[0] / medians[1], 2)


def run_inference():
    """Time the ways to read images."""
    return {"ways": _call("inference")}


def run_threads():
    """Time a training step on one core with several numbers of threads."""
    runs = {label: [] for label in THREADS}
    for _ in range(ROUNDS):
        for label, number in THREADS.items():
            runs[label].append(_call("one_core", str(number))["step_ms"])
    return {"step_ms": {label: statistics.median(values) for label, values in runs.items()}}


def run_profile():
    """Sum up where a training step's time goes."""
    return {"step_ms": _call("profile_step")}


PARTS = {
    "epoch": run_epochs,
    "to_accuracy": run_to_accuracy,
    "inference": run_inference,
    "threads": run_threads,
    "profile": run_profile,
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


def fill_tables(page, results):
    """Put every table into its place in the page, between `<!-- name -->` and `<!-- end -->`."""
    results = {**results, "notebooks": json.loads(NOTEBOOKS.read_text(encoding="utf-8"))}
    for name, make in TABLES.items():
        if name in results:
            table = make(results[name]) + describe(results[name])
            pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
            page = re.sub(pattern, lambda m, t=table: m[1] + t + m[2], page, flags=re.DOTALL)
    return page


def describe(part):
    """Return a line that says where and when a part was measured."""
    machine = part["machine"]
    names = {"tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch"}
    versions = ", ".join(
        f"{label} {machine[key]}" for key, label in names.items() if key in machine
    )
    return f"\n*{machine['cores']} cores of an {machine['cpu']}, {versions}; {part['date']}.*\n"


def table_of_epochs(part):
    """Show seconds per epoch, against Keras as it comes, and the share of the possible rate."""
    rows, runs = [], part["runs"]
    for name, label in EPOCH.items():
        run = runs[name]
        ratio = runs["keras-float32"]["seconds"] / run["seconds"]
        cells = (f"{run['seconds']:.1f}", f"{ratio:.2f}×", f"{run['share']:.0%}".replace("%", " %"))
        rows.append((label, *cells, f"{run['peak_mb']:,}"))
    head = ("", "s per epoch", "speed", "of the machine's rate", "peak MB")
    return _table(head, rows)


def table_of_accuracy(part):
    """Show the seconds to 99.0 % and 99.5 %, seed by seed, and the speed of the medians."""
    rows = [
        (
            label,
            _list_seconds(part["runs"][name]["to_99.0"]),
            f"{part['runs'][name]['speed_to_99.0']:.2f}×",
            _list_seconds(part["runs"][name]["to_99.5"]),
            _list_seconds(part["runs"][name]["seconds"]),
            ", ".join(
                f"{value:.2%}".replace("%", " %") for value in part["runs"][name]["last_accuracy"]
            ),
        )
        for name, label in RECIPES.items()
    ]
    head = ("", "s to 99.0 %", "speed", "s to 99.5 %", "s in all", "test accuracy at the end")
    return _table(head, rows)


def _list_seconds(values):
    """Return one number for each seed; a dash where the accuracy was not reached."""
    return ", ".join("–" if value is None else f"{value:.0f}" for value in values)


def table_of_inference(part):
    """Show the ways to read images."""
    rows = [
        (name, f"{way['test_set_seconds']:.2f}", f"{way['median_ms']:.2f}", f"{way['p99_ms']:.2f}")
        for name, way in part["ways"].items()
    ]
    return _table(("", "10,000 images, s", "one image, ms", "99th percentile, ms"), rows)


def table_of_threads(part):
    """Show a step on one core with several numbers of threads."""
    return _table(("threads", "ms per step"), [(k, f"{v:.1f}") for k, v in part["step_ms"].items()])


def table_of_profile(part):
    """Show where a step's milliseconds go."""
    columns = list(part["step_ms"])
    kinds = list(dict.fromkeys(kind for column in columns for kind in part["step_ms"][column]))
    rows = [(k, *(f"{part['step_ms'][c].get(k, 0):.1f}" for c in columns)) for k in kinds]
    sums = (f"{sum(part['step_ms'][column].values()):.1f}" for column in columns)
    return _table(("ms per step", *columns), [*rows, ("all", *sums)])


def table_of_notebooks(part):
    """Show what each notebook takes when the series runs."""
    lessons = {k: v for k, v in part["notebooks"].items() if not k.endswith("_solutions")}
    rows = [(name, f"{n['seconds']:.0f}", f"{n['peak_mb']:,}") for name, n in lessons.items()]
    return _table(("", "s", "peak MB"), rows)


def _table(head, rows):
    """Return a Markdown table; all columns but the first are aligned right."""
    lines = [head, ("---", *["--:"] * (len(head) - 1)), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


TABLES = {
    "epoch": table_of_epochs,
    "to_accuracy": table_of_accuracy,
    "inference": table_of_inference,
    "threads": table_of_threads,
    "profile": table_of_profile,
    "notebooks": table_of_notebooks,
}


if __name__ == "__main__":
    main(sys.argv[1:])
