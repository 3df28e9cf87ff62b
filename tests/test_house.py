"""Where things are: what imports what, how long a function is, and what a lesson consists of."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("helpers", "tools", "benchmarks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


# Imports --------------------------------------------------------------------------------------


def read_modules(files, root):
    """Return `{module: source}` of Python files, a package by its own name."""
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in files}
    return {
        name.removesuffix(".__init__"): path.read_text(encoding="utf-8")
        for path, name in names.items()
    }


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
    """Return what breaks the rules of imports.

    Args:
        sources: `{module: source}`.
    """
    imports = {name: find_imports(source, set(sources)) for name, source in sources.items()}
    found = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in sorted(others)
        if name.startswith("helpers.") and not other.startswith("helpers")
    ]
    found += [
        f"{name} imports a lesson"
        for name, source in sources.items()
        if re.search(r"^\s*(from|import) notebooks\b", source, re.MULTILINE)
    ]
    return found + [f"{a} and {b} import each other" for a, b in find_circles(imports)]


def find_circles(imports):
    """Return the pairs of modules that import each other, through others too."""
    reached = {name: set(others) for name, others in imports.items()}
    for middle in reached:
        for name in reached:
            if middle in reached[name]:
                reached[name] |= reached[middle]
    return [(a, b) for a in reached for b in sorted(reached[a]) if a < b and a in reached[b]]


def test_imports_keep_the_rules():
    assert check_imports(read_modules(FILES, ROOT)) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("helpers.data", "from tools import run", "helpers.data imports tools.run"),
        ("helpers.data", "def f():\n    import tools.run", "helpers.data imports tools.run"),
        ("helpers.data", "from helpers import plots", "helpers.data and helpers.plots import each"),
        ("helpers.files", "from helpers.plots import draw", "helpers.files and helpers.plots"),
        ("tools.run", "from notebooks import x", "tools.run imports a lesson"),
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
            documented = ast.get_docstring(node) is not None
            docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if documented else 0
            lines = node.end_lineno - node.lineno + 1 - docstring
            found += [f"{node.name} has {lines} lines"] if lines > 25 else []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found += [] if ast.get_docstring(node) else [f"{node.name} has no docstring"]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
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
    there = {
        path.relative_to(root).as_posix()
        for folder, name in (
            ("notebooks", r"\d\d_\w+\.ipynb"),
            ("helpers/checks", r"lesson_\d\d\.py"),
        )
        for path in (root / folder).iterdir()
        if re.fullmatch(name, path.name)
    }
    missing = [f"lesson {wanted[name]} has no {name}" for name in sorted(set(wanted) - there)]
    return missing + [f"{name} has no row in lessons.toml" for name in sorted(there - set(wanted))]


def test_every_lesson_has_its_four_things():
    assert check_lessons(ROOT) == []


# A new lesson's four things.
NOTEBOOK, SOLUTIONS = "notebooks/99_made_up.ipynb", "notebooks/99_made_up_solutions.ipynb"
CHECKS, LIST = "helpers/checks/lesson_99.py", "lessons.toml"


@pytest.fixture
def made_up(tmp_path):
    """Return a copy of the project with a lesson 99, made up from lesson 02."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "data")
    project = shutil.copytree(ROOT, tmp_path / "project", ignore=left_out)
    for new in (NOTEBOOK, SOLUTIONS, CHECKS):
        old = new.replace("99_made_up", "02_build_the_layers").replace("lesson_99", "lesson_02")
        text = (project / old).read_text(encoding="utf-8").replace("check_02_", "check_99_")
        text = text.replace("Exercise 02.", "Exercise 99.")
        text = text.replace("02_build_the_layers", "99_made_up")
        (project / new).write_text(text, encoding="utf-8")
    rows = (project / LIST).read_text(encoding="utf-8")
    row = next(row for row in rows.split("[[lesson]]") if 'number = "02"' in row)
    row = row.replace("02_build_the_layers", "99_made_up").replace('"02"', '"99"')
    (project / LIST).write_text(f"{rows}\n[[lesson]]{row}", encoding="utf-8")
    return project


@pytest.mark.slow
def test_made_up_lesson_is_accepted(made_up):
    files = [f"tests/test_{name}.py" for name in ("house", "lessons", "hygiene", "slides")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    command += ["-k", "not made_up and not numbers and not ruff"]
    settings = {**os.environ, "MNIST_SAMPLE": "1", "PYTHONUTF8": "1"}
    settings.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=made_up, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("thing", [NOTEBOOK, SOLUTIONS, CHECKS, LIST])
def test_made_up_lesson_without_one_of_its_four_things_is_named(made_up, thing):
    assert check_lessons(made_up) == []
    if thing == LIST:
        shutil.copy(ROOT / LIST, made_up)
        named = [f"{name} has no row in lessons.toml" for name in (CHECKS, NOTEBOOK, SOLUTIONS)]
    else:
        (made_up / thing).unlink()
        named = [f"lesson 99 has no {thing}"]
    assert check_lessons(made_up) == named
