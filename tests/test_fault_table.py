"""The table of faults in tests/README.md: each row names a test, and the command that runs it."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROW = re.compile(r"\| (\d+) (?:\| [^|]+ ){3}\| `(\w+)::(\w+)` \| `make ([\w-]+)` \|")


def read_rows():
    """Return the table's rows, as they stand there."""
    text = (TESTS / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| \d.*$", text, re.MULTILINE)


def find_command(module, test):
    """Return the first of `make check`, `make test` and `make test-all` that runs a test."""
    body = ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8")).body
    of_file = [ast.unparse(n.value) for n in body if ast.unparse(n).startswith("pytestmark =")]
    (function,) = (n for n in body if isinstance(n, ast.FunctionDef) and n.name == test)
    marks = " ".join([*of_file, *map(ast.unparse, function.decorator_list)])
    return "test-all" if "mark.weekly" in marks else "test" if "mark.slow" in marks else "check"


def test_every_row_names_a_test_and_the_command_that_runs_it():
    for row in read_rows():
        _, module, test, command = ROW.fullmatch(row).groups()
        assert find_command(module, test) == command, row


def test_rows_are_sorted_and_no_fault_is_missing():
    numbers = [int(ROW.fullmatch(row)[1]) for row in read_rows()]
    assert numbers == sorted(numbers) and {*numbers} == {*range(1, numbers[-1] + 1)}
