"""Where things are: what imports what, how long a function is, and what a lesson consists of."""

import ast
import graphlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import offline_pack

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("helpers", "tools", "benchmarks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


# Imports --------------------------------------------------------------------------------------


def name_module(path):
    """Return the name by which a file is imported, of a package its own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def find_imports(source, modules):
    """Return those of the modules that a source imports, in its functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    packages = {name.rpartition(".")[0] for name in found & modules}
    return (found & modules) - packages


def check_imports(sources):
    """Return which helpers import what is no helper, and a circle of imports.

    Args:
        sources: `{module: source}`.
    """
    imports = {
        name: find_imports(source, sources.keys() - {name}) for name, source in sources.items()
    }
    found = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in sorted(others)
        if name.startswith("helpers.") and not other.startswith("helpers")
    ]
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        found.append(f"import each other: {', '.join(sorted({*error.args[1]}))}")
    return found


def test_imports_keep_the_rules():
    sources = {name_module(path): path.read_text(encoding="utf-8") for path in FILES}
    assert check_imports(sources) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("helpers.data", "def f():\n    import tools.run", "helpers.data imports tools.run"),
        ("helpers.data", "from helpers import plots", "each other: helpers.data, helpers.plots"),
        (
            "helpers.files",
            "from helpers.plots import draw",
            "each other: helpers.data, helpers.files, helpers.plots",
        ),
    ],
)
def test_import_that_breaks_a_rule_is_named(module, source, expected):
    sources = {
        "helpers": "",
        "helpers.data": "from helpers import files",
        "helpers.files": "import os",
        "helpers.plots": "from helpers.data import x",
        "tools.run": "from helpers import data, plots",
    }
    assert check_imports(sources) == []
    assert expected in "\n".join(check_imports(sources | {module: source}))


# Functions ------------------------------------------------------------------------------------


def check_functions(source):
    """Return functions with more than 25 lines beside their docstring, and undocumented ones."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            docstring = node.body[0] if ast.get_docstring(node) else None
            lines = node.end_lineno - node.lineno + 1
            lines -= docstring.end_lineno - docstring.lineno + 1 if docstring else 0
            found += [f"{node.name} has {lines} lines"] if lines > 25 else []
    public = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    public = [node for node in public if not node.name.startswith("_")]
    return found + [f"{n.name} has no docstring" for n in public if not ast.get_docstring(n)]


@pytest.mark.parametrize("path", FILES, ids=name_module)
def test_functions_are_short_and_documented(path):
    assert check_functions(path.read_text(encoding="utf-8")) == []


# A lesson is four things ----------------------------------------------------------------------


def check_lessons(root):
    """Return what a lesson of a project lacks, and what belongs to no lesson."""
    rows = tomllib.loads((root / "lessons.toml").read_text(encoding="utf-8"))["lesson"]
    wanted = {f"notebooks/{row['file']}.ipynb": row["number"] for row in rows}
    for row in (row for row in rows if row.get("exercises", True)):
        wanted[f"notebooks/{row['file']}_solutions.ipynb"] = row["number"]
        wanted[f"helpers/checks/lesson_{row['number']}.py"] = row["number"]
    pattern = r"notebooks/\d\d_\w+\.ipynb|helpers/checks/lesson_\d\d\.py"
    files = (*(root / "notebooks").iterdir(), *(root / "helpers" / "checks").iterdir())
    there = {path.relative_to(root).as_posix() for path in files}
    there = {name for name in there if re.fullmatch(pattern, name)}
    missing = [f"lesson {wanted[name]} has no {name}" for name in sorted(set(wanted) - there)]
    return missing + [f"{name} has no row in lessons.toml" for name in sorted(there - set(wanted))]


def test_every_lesson_has_its_four_things():
    assert check_lessons(ROOT) == []


NOTEBOOK, SOLUTIONS = "notebooks/99_made_up.ipynb", "notebooks/99_made_up_solutions.ipynb"
CHECKS = "helpers/checks/lesson_99.py"


def test_lesson_without_one_of_its_four_things_is_named(tmp_path):
    for name in (NOTEBOOK, SOLUTIONS, CHECKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = tmp_path / "lessons.toml"
    rows.write_text("lesson = []", encoding="utf-8")
    names = (CHECKS, NOTEBOOK, SOLUTIONS)
    assert check_lessons(tmp_path) == [f"{name} has no row in lessons.toml" for name in names]
    rows.write_text('[[lesson]]\nnumber = "99"\nfile = "99_made_up"', encoding="utf-8")
    assert check_lessons(tmp_path) == []
    for name in names:
        (tmp_path / name).unlink()
        assert f"lesson 99 has no {name}" in check_lessons(tmp_path)


def rename(text):
    """Make lesson 99 of what is written of lesson 02."""
    pairs = {"02_build_the_layers": "99_made_up", "lesson_02": "lesson_99", '"02"': '"99"'}
    for old, new in (pairs | {"check_02_": "check_99_", "Exercise 02.": "Exercise 99."}).items():
        text = text.replace(old, new)
    return text


@pytest.mark.slow
def test_made_up_lesson_is_accepted(tmp_path):
    project = tmp_path / "project"
    offline_pack.copy_project(project)
    for path in (project / "helpers/checks/lesson_02.py", *project.glob("notebooks/02_*.ipynb")):
        text = rename(path.read_text(encoding="utf-8"))
        path.with_name(rename(path.name)).write_text(text, encoding="utf-8")
    rows = (project / "lessons.toml").read_text(encoding="utf-8")
    row = next(row for row in rows.split("[[lesson]]") if 'number = "02"' in row)
    (project / "lessons.toml").write_text(f"{rows}\n[[lesson]]{rename(row)}", encoding="utf-8")
    files = [f"tests/test_{name}.py" for name in ("house", "lessons", "hygiene", "slides")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    command += ["-k", "not made_up_lesson and not ruff"]
    settings = {**os.environ, "MNIST_SAMPLE": "1", "PYTHONUTF8": "1"}
    settings.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
