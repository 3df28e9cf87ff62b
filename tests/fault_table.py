"""Collect the faults that the tests provoke: `python tests/fault_table.py` writes tests/README.md.

A test says which fault it is with `@pytest.mark.fault(number, fault, provoked=…, outcome=…)`.
"""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS / "README.md"
INTRODUCTION = """# What can go wrong, and what then happens

Each fault is provoked for real by a test of its own; `make test` runs them all. This table is made
from the tests, by `python tests/fault_table.py`, and a test compares the two.

"""
HEAD = "| | Fault | How it is provoked | What happens | Test |\n|---|---|---|---|---|\n"


def find_faults():
    """Return the marked tests.

    Returns:
        A sorted list of `(number, fault, provoked, outcome, test)`.
    """
    return sorted(
        (*literals, f"{path.stem}::{node.name}")
        for path in TESTS.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        for literals in _fault_markers(node)
    )


def render(faults):
    """Write the faults as a page of Markdown."""
    rows = "".join(
        f"| {number} | {fault} | {provoked} | {outcome} | `{test}` |\n"
        for number, fault, provoked, outcome, test in faults
    )
    return INTRODUCTION + HEAD + rows


def _fault_markers(function):
    """Yield `(number, fault, provoked, outcome)` of each fault marker of a test."""
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
            number, fault = (ast.literal_eval(argument) for argument in call.args)
            named = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
            yield number, fault, named["provoked"], named["outcome"]


if __name__ == "__main__":
    PAGE.write_text(render(find_faults()), encoding="utf-8", newline="\n")
