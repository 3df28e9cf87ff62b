"""Notebooks in real kernels: cells out of order, wrong environments, kernels that die."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from kernels import Kernel, pictures
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement
from reading import code_cells, read

from tools import execute, lessons, measure, offline_pack

ROOT = Path(__file__).resolve().parents[1]
PATHS = lessons.list_notebooks()
LESSONS = [lesson.file for lesson in lessons.read_lessons()]
pytestmark = pytest.mark.slow
KEEP = "_kept = None\n_kept = {*globals()}"
FORGET = "for _name in {*globals()} - _kept:\n    del globals()[_name]"


def cells_of(name):
    """Return the code cells of a notebook of the series."""
    return code_cells(read(ROOT / "notebooks" / f"{name}.ipynb"))


def sources(name):
    """Return the sources of these cells."""
    return [cell.source for cell in cells_of(name)]


def clone(folder):
    """Copy the project as somebody gets it: no environment, no data, nothing built."""
    offline_pack.copy_project(folder)
    return folder / "notebooks"


# Cells out of order --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=LESSONS)
def opened(request, tmp_path_factory):
    """A notebook in a clone of its own, its kernel, and its cells; the setup cell has run."""
    with Kernel(clone(tmp_path_factory.mktemp("fresh") / "mnist-CNN")) as kernel:
        kernel.become_small()
        cells = cells_of(request.param)
        assert kernel.run(cells[0].source) == (True, "Setup complete.\n", [])
        assert kernel.run(KEEP)[0]
        yield kernel, cells


def run_through(kernel, cells):
    """Run all cells from top to bottom; return what those printed that nbval compares."""
    printed = []
    for cell in cells:
        worked, text, errors = kernel.run(cell.source)
        assert worked and not errors, f"{cell.source}\n{errors}"
        if "nbval-ignore-output" not in cell.metadata.get("tags", []):
            printed.append(text)
    return printed


@pytest.mark.weekly
def test_notebook_runs_first_and_a_second_time(opened):
    kernel, cells = opened
    assert run_through(kernel, cells) == run_through(kernel, cells)
    if hasattr(kernel.process, "rlimit"):
        status = Path(f"/proc/{kernel.process.pid}/status").read_text(encoding="utf-8")
        assert 100 < int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000 < measure.SMALL_MB


def find_needed(result, above):
    """Return the number of the one cell above that a cell asks for in a line; None if it worked."""
    worked, _, lines = result
    if worked:
        return None
    assert len(lines) == 1, "\n".join(lines)
    beginning = re.search(r"First run the cell that begins `(.+?)(?: …)?`, or", lines[0])[1]
    (needed,) = (i for i, source in enumerate(above) if source.startswith(beginning))
    return needed


@pytest.mark.weekly
def test_cell_runs_alone_or_names_the_cell_that_it_needs(opened):
    kernel, cells = opened
    cells = [cell.source for cell in cells]
    for imports in ("", cells[1]):
        for number, cell in enumerate(cells[1:], start=1):
            kernel.run(FORGET)
            kernel.run(imports)
            find_needed(kernel.run(cell), cells[:number])
    kernel.run(FORGET)
    for number in range(len(cells) - 1, 0, -1):
        find_needed(kernel.run(cells[number]), cells[:number])


def run_and_follow(kernel, cells, number):
    """Run a cell; where it names another, follow that one first. Return how many were run."""
    runs = 1
    while (needed := find_needed(kernel.run(cells[number]), cells[:number])) is not None:
        runs += run_and_follow(kernel, cells, needed) + 1
    return runs


def test_following_the_messages_leads_to_a_cell_that_works(tmp_path):
    cells = sources("02_build_the_layers")
    wanted = next(number for number, cell in enumerate(cells) if "network.summary(" in cell)
    with Kernel(clone(tmp_path / "mnist-CNN")) as kernel:
        kernel.run(cells[0])
        assert 5 < run_and_follow(kernel, cells, wanted) < len(cells)
        worked, _, errors = kernel.run("def mine():\n    return predcited\n\n\nmine()")
        assert not worked and len(errors) > 5
        assert errors[-1].endswith("name 'predcited' is not defined")


def test_cell_changed_and_not_saved_is_told_too(tmp_path):
    notebook = new_notebook(cells=[new_code_cell(s) for s in ("first = 1", "half a cell", "first")])
    path = tmp_path / "mine.ipynb"
    nbformat.write(notebook, path)
    with Kernel(ROOT / "notebooks", JPY_SESSION_NAME=str(path)) as kernel:
        kernel.run(sources("00_start_here")[0])
        for cell in ("first", "print(first)"):
            (line,) = kernel.run(cell)[2]
            assert line.startswith("`first` is not there yet. First run the cell that begins `fir")
        path.write_text("{", encoding="utf-8")  # as while it is being saved
        assert "NameError" in kernel.run("print(first)")[2][-1]


# Wrong places and environments ---------------------------------------------------------------


def test_notebook_outside_the_project_is_told_to_go_back(tmp_path):
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").touch()
    setup = sources("00_start_here")[0]
    with Kernel(tmp_path) as kernel:
        worked, printed, lines = kernel.run(setup)
        assert (worked, printed, len(lines)) == (False, "", 1)
        assert "must stay in the folder notebooks/" in lines[0]
        kernel.run(f"import os; os.environ['JPY_SESSION_NAME'] = {str(PATHS[0])!r}")
        assert kernel.run(setup) == (True, "Setup complete.\n", [])
        assert kernel.run("print(preflight.ROOT)")[1] == f"{ROOT}\n"


def bare_environment(folder):
    """Make a virtual environment that holds what a kernel needs and nothing else."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = next(folder.glob("[Ll]ib/**/site-packages"))
    todo, done = ["ipykernel"], set()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            for file in importlib.metadata.files(name):
                if ".." not in file.parts:
                    target = packages / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file.locate(), target)
            wanted = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [w.name for w in wanted if not w.marker or w.marker.evaluate({"extra": ""})]
    return python


def test_kernel_without_the_packages_is_told_the_command(tmp_path):
    notebooks = clone(tmp_path / "mnist-CNN")
    python = bare_environment(tmp_path / "bare")
    setup = sources("00_start_here")[0]
    with Kernel(notebooks, python=python) as kernel:
        worked, printed, lines = kernel.run(setup)
        assert (worked, printed, len(lines)) == (False, "", 2)
        assert lines[0].startswith("not installed in this kernel: ") and "tensorflow" in lines[0]
        requirements = notebooks.parent / "requirements.txt"
        assert lines[1].endswith(f"or: {python} -m pip install -r {requirements}")
        (notebooks.parent / ".venv").mkdir()
        assert "start it with `make lab`, or choose the .venv kernel" in kernel.run(setup)[2][1]


# Locales and time zones ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def locales(tmp_path_factory):
    """Return the variables that make German and Turkish known to a process."""
    folder = tmp_path_factory.mktemp("locales")
    try:
        for name in ("de_DE", "tr_TR"):
            command = ["localedef", "-i", name, "-f", "UTF-8", folder / f"{name}.UTF-8"]
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = f"German and Turkish cannot be made here (apt-get install locales): {error}"
        expected = os.environ.get("CI") == "true" and sys.platform == "linux"
        (pytest.fail if expected else pytest.skip)(reason)
    return {"LOCPATH": str(folder)}


def printed_in(notebooks, **environment):
    """Run notebooks 00 and 02 in an environment; return it as seen there, and what was printed."""
    look = (
        "import locale, sys, time\n"
        "locale.setlocale(locale.LC_ALL, '')\n"
        "print(locale.localeconv()['decimal_point'], locale.getlocale()[0], time.tzname[0],\n"
        "      locale.getpreferredencoding(False), sys.flags.utf8_mode, end='')\n"
    )
    with Kernel(notebooks, **environment) as kernel:
        worked, seen, errors = kernel.run(look)
        assert worked, errors
        cells = [*cells_of("00_start_here"), *cells_of("02_build_the_layers")]
        return seen, run_through(kernel, cells)


@pytest.mark.weekly
def test_outputs_are_the_same(locales, tmp_path):
    plain = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1"}
    _, expected = printed_in(clone(tmp_path / "plain"), **plain)
    notebooks = clone(tmp_path / "Übung 数字")
    for environment, seen in (
        ({"LC_ALL": "de_DE.UTF-8", "TZ": "<+0545>-5:45"}, ", de_DE +0545 UTF-8 0"),
        ({"LC_ALL": "tr_TR.UTF-8", "TZ": "<-0930>9:30"}, ", tr_TR -0930 UTF-8 0"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, ". None UTC ANSI_X3.4-1968 0"),
    ):
        environment = {"PYTHONUTF8": "0", "TZ": "UTC", **locales, **environment}
        assert printed_in(notebooks, **environment) == (seen, expected)


# Figures -------------------------------------------------------------------------------------

SHOW = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"


def test_figures_are_shown_whatever_is_set(tmp_path):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("backend: agg\nfigure.figsize: 1, 1\ntext.usetex: True\n")
    with Kernel(ROOT / "notebooks", MPLBACKEND="TkAgg", MATPLOTLIBRC=str(settings)) as kernel:
        assert kernel.run(sources("00_start_here")[0]) == (True, "Setup complete.\n", [])
        ((status, outputs),) = kernel.send(SHOW)
        assert status == "ok" and len(pictures(outputs)) == 1
        look = "print(plt.rcParams['figure.figsize'], plt.rcParams['text.usetex'])"
        assert kernel.run(look)[1] == "[6.0, 3.5] False\n"


def test_runner_refuses_a_figure_without_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    nbformat.write(new_notebook(cells=[new_code_cell(SHOW)]), tmp_path / "a.ipynb")
    with pytest.raises(execute.NotebookError, match="it shows no picture: is MPLBACKEND set"):
        execute.execute(tmp_path / "a.ipynb")


# Other files than the series' ------------------------------------------------------------------


def run_python(folder, *arguments, **environment):
    """Run Python in a folder, on the sample."""
    environment = {**os.environ, "MNIST_SAMPLE": "1", "PYTHONUTF8": "1", **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, timeout=600, capture_output=True,
        env=environment, text=True, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.weekly
def test_lesson_runs_as_a_script(tmp_path):
    notebooks = clone(tmp_path / "mnist-CNN")
    name = "03_train_the_network"
    convert = ["-m", "nbconvert", "--log-level=ERROR", "--to", "script", f"{name}.ipynb"]
    for command in (convert, [f"{name}.py"]):
        done = run_python(notebooks, *command, MPLBACKEND="agg")
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Setup complete.\n") and "epoch 3 of 3, " in done.stdout


LESSON = """
[[lesson]]
number = "01"
file = "01_try"
part = "I"
title = ""
question = ""
able = ""
seconds = 1
memory_gb = 1
exercises = false
"""


def make_series(folder, *cells):
    """Make a project whose only lesson has these cells; return its folder."""
    notebooks = clone(folder / "project")
    rows = notebooks.parent / "lessons.toml"
    parts = rows.read_text(encoding="utf-8").partition("[[lesson]]")[0]
    rows.write_text(parts + LESSON, encoding="utf-8")
    for path in notebooks.glob("*.ipynb"):
        path.unlink()
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    nbformat.write(notebook, notebooks / "01_try.ipynb")
    return notebooks.parent


PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "notebooks", "--nbval-cell-timeout=900")


def test_copied_notebook_is_none_of_the_series(tmp_path):
    project = make_series(tmp_path, "print(1)")
    copy = project / "notebooks" / "01_try-Copy1.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), copy)
    before = copy.read_bytes()
    code = "import sys; from tools import run; run.have_mnist = lambda: True;"
    code += "sys.exit(run.main(['--save']))"
    for arguments in (["-c", code], PYTEST):
        done = run_python(project, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Copy1" not in done.stdout
    assert "1 passed" in done.stdout and copy.read_bytes() == before


# Kernels that die ----------------------------------------------------------------------------


def test_dead_kernel_is_seen_at_once_and_named(tmp_path):
    done = run_python(
        make_series(tmp_path, "print(1)", "import os\nos.kill(os.getpid(), 9)", "2"), *PYTEST
    )
    assert done.returncode == 1
    assert "Cell 1: 01_try.ipynb stopped in this cell: its kernel died (SIGKILL)." in done.stdout
    assert "os.kill(os.getpid(), 9)" in done.stdout
    assert "FAILED notebooks/01_try.ipynb::Cell 1" in done.stdout
    assert "1 failed, 1 passed, 1 xfailed" in done.stdout


# Takes the first port that a kernel is given; `kept` keeps it taken.
TAKE_PORTS = """
import socket, sys, pytest
from jupyter_client import LocalPortCache as Ports
from tools import run
find, kept, taken = Ports.find_available_port, [], []
Ports.find_available_port = lambda ports, ip: taken.pop() if taken else find(ports, ip)
for start in (lambda: run.main(["01_try"]), lambda: pytest.main(sys.argv[1:])):
    kept.append(socket.create_server(("127.0.0.1", 0)))
    taken.append(kept[-1].getsockname()[1])
    assert start() == 0 and not taken
"""


def test_kernel_whose_port_is_taken_is_started_again(tmp_path):
    done = run_python(make_series(tmp_path, "print(1)"), "-c", TAKE_PORTS, *PYTEST[2:])
    assert done.returncode == 0, done.stdout + done.stderr
