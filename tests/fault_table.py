"""Collect the faults that the tests provoke: `python tests/fault_table.py` writes tests/README.md.

A test says which fault it is with `@pytest.mark.fault(number, fault, provoked=…, outcome=…)`.
"""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS / "README.md"
INTRODUCTION = """# What is tested when, and what can go wrong

| Command | What it runs | Where |
|---|---|---|
| `make check` | style, structure, numbers, links, quick tests: no kernel, no training | before a commit |
| `make test` | also what is marked `slow`: the lessons, kernels, a browser, servers, training | each push |
| `make test-all` | also what is marked `weekly` | weekly, or by hand |

A lesson is run by several engines, each for what no other one sees.

| Engine | Data | Lessons | What it adds | Command |
|---|---|---|---|---|
| nbval, strict | MNIST | all, with solutions | what is printed is what was committed | `make test` |
| `tools.run` in a fresh clone | sample | all; solutions in `make test-all` | `make run` works without MNIST; pages stand alone; what figures hold (`figures.py`) | `make test` |
| JupyterLab in a browser | MNIST; 03 on the sample | `browser = true` in lessons.toml | live curves, hints, the pad; stop and restart in `make test-all` | `make test` |
| JupyterLab in a browser | MNIST | the others | no alarm, every picture is seen, nothing from outside | `make test-all` |
| a kernel with one core and 1.5 GB | sample | all | twice in a kernel, cell by cell, from the bottom up | `make test-all` |
| kernels in other locales | sample | 00 and 02 | the same lines with a decimal comma, in Turkish, in ASCII | `make test-all` |
| the offline pack | MNIST | 00 | it sets up and runs without a network | `make test-all` |

## What can go wrong, and what then happens

Each fault is provoked for real by a test of its own; the last column says which command runs it.
This page is made from the tests, by `python tests/fault_table.py`, and a test compares the two.

"""  # noqa: E501
HEAD = "| | Fault | How it is provoked | What happens | Test | In |\n|---|---|---|---|---|---|\n"


def find_faults():
    """Return the marked tests.

    Returns:
        A sorted list of `(number, fault, provoked, outcome, test, command)`.
    """
    found = []
    for path in TESTS.glob("test_*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        of_file = [n.value for n in body if ast.unparse(n).startswith("pytestmark =")]
        for node in (node for node in body if isinstance(node, ast.FunctionDef)):
            command = _find_command([*of_file, *node.decorator_list])
            test = f"{path.stem}::{node.name}"
            found += [(*literals, test, command) for literals in _fault_markers(node)]
    return sorted(found)


def render(faults):
    """Write the faults as a page of Markdown."""
    rows = "".join(
        f"| {number} | {fault} | {provoked} | {outcome} | `{test}` | `make {command}` |\n"
        for number, fault, provoked, outcome, test, command in faults
    )
    return INTRODUCTION + HEAD + rows


def _find_command(markers):
    """Return the first of `make check`, `make test` and `make test-all` that runs a test."""
    text = " ".join(map(ast.unparse, markers))
    return "test-all" if "mark.weekly" in text else "test" if "mark.slow" in text else "check"


def _fault_markers(function):
    """Yield `(number, fault, provoked, outcome)` of each fault marker of a test."""
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
            number, fault = (ast.literal_eval(argument) for argument in call.args)
            named = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
            yield number, fault, named["provoked"], named["outcome"]


if __name__ == "__main__":
    PAGE.write_text(render(find_faults()), encoding="utf-8", newline="\n")
