"""Measure what the lessons take on a quiet machine, into benchmarks/notebooks.json.

`python -m tools.measure` executes the series three times and notes the medians;
`python -m tools.measure --small` leaves it one core and 1.5 GB, and notes that apart.
"""

import argparse
import datetime
import json
import re
import statistics
import sys

import psutil

from helpers import preflight
from helpers.files import write_text
from tools import lessons
from tools.execute import NotebookError, execute
from tools.run import find_notebooks, have_mnist, report, tell_failure

MEASURED = lessons.ROOT / "benchmarks" / "notebooks.json"
SMALL_MB = 1500


def main(arguments=None):
    """Measure what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.measure", description=__doc__)
    parser.add_argument("notebooks", nargs="*", help="only these (default: all)")
    parser.add_argument("--small", action="store_true", help="on one core, with 1.5 GB (Linux)")
    parser.add_argument("--times", type=int, default=3, help="executions of each (3)", metavar="N")
    return tell_failure(measure_all, parser.parse_args(arguments))


def measure_all(options):
    """Execute the notebooks some times, and note what they take."""
    paths = find_notebooks(options.notebooks)
    if options.small:
        become_small(psutil.Process())
    if not have_mnist():
        raise NotebookError("Times are those of MNIST: set MNIST_DIR to a folder that has it.")
    note({path.stem: measure(path, options.times) for path in paths}, options.small)


def measure(path, times):
    """Execute a notebook some times; return its median seconds, peak memory and sections."""
    runs = [execute(path) for _ in range(times)]
    sections = [time_sections(notebook) for notebook, _, _ in runs]
    seconds = statistics.median(seconds for _, seconds, _ in runs)
    peak_mb = max(peak for _, _, peak in runs)
    report(path, seconds, peak_mb)
    return {
        "seconds": round(seconds, 1),
        "peak_mb": peak_mb,
        "sections": {
            name: round(statistics.median(run[name] for run in sections), 1) for name in sections[0]
        },
    }


def become_small(process):
    """Leave a process, and each of those that it starts from then on, one core and 1.5 GB."""
    if not hasattr(process, "rlimit"):
        raise NotebookError("--small needs Linux: elsewhere memory cannot be limited.")
    process.cpu_affinity(process.cpu_affinity()[:1])
    process.rlimit(psutil.RLIMIT_DATA, (SMALL_MB * 10**6, SMALL_MB * 10**6))


def time_sections(notebook):
    """Return the seconds of the CPU under each `##` heading, from nbclient's time stamps."""
    sections, name = {}, "Opening"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            name = (re.findall(r"^## (.+)$", cell.source, re.MULTILINE) or [name])[-1].strip()
            continue
        start, end = (
            datetime.datetime.fromisoformat(cell.metadata["execution"][key])
            for key in ("iopub.status.busy", "iopub.status.idle")
        )
        sections[name] = round(sections.get(name, 0) + (end - start).total_seconds(), 1)
    return sections


def note(measured, small=False):
    """Note what notebooks took in benchmarks/notebooks.json, with the machine and the date.

    Args:
        measured: a dict of a notebook's stem to what `measure` returned.
        small: they ran on one core; that is noted apart.

    Where these are some of the notebooks and the others come from another machine, theirs is noted
    with each of them.
    """
    content = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    known = content.get("one_core", {}) if small else content
    where = {"machine": preflight.describe_machine(), "date": datetime.date.today().isoformat()}
    series = {path.stem for path in lessons.list_notebooks()}
    others = {k: v for k, v in known.get("notebooks", {}).items() if k in series - set(measured)}
    if others and known["machine"] != where["machine"]:
        measured = {name: {**row, **where} for name, row in measured.items()}
        where = {key: known[key] for key in where}
    notebooks = dict(sorted({**others, **measured}.items()))
    noted = {**where, "notebooks": notebooks}
    content = {**content, "one_core": noted} if small else {**content, **noted}
    write_text(MEASURED, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
