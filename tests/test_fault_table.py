"""The table of faults in tests/README.md: each row names a test, and the command that runs it."""

import ast
import functools
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROW = re.compile(r"\| (\d+) (?:\| [^|]+ ){3}\| `(\w+)::(\w+)` \| `make ([\w-]+)` \|")
ROWS = re.findall(r"^\| \d.*$", (TESTS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@functools.cache
def find_commands(module):
    """Return the first of `make check`, `make test` and `make test-all` that runs each test."""
    body = ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8")).body
    of_file = [ast.unparse(n.value) for n in body if ast.unparse(n).startswith("pytestmark =")]
    commands = {}
    for function in (node for node in body if isinstance(node, ast.FunctionDef)):
        marks = " ".join([*of_file, *map(ast.unparse, function.decorator_list)])
        slow = "test" if "mark.slow" in marks else "check"
        commands[function.name] = "test-all" if "mark.weekly" in marks else slow
    return commands


def test_every_row_names_a_test_and_the_command_that_runs_it():
    for row in ROWS:
        _, module, test, command = ROW.fullmatch(row).groups()
        assert find_commands(module).get(test) == command, row


def test_rows_are_sorted_and_no_fault_is_missing():
    numbers = [int(ROW.fullmatch(row)[1]) for row in ROWS]
    assert numbers == sorted(numbers) and {*numbers} == {*range(1, numbers[-1] + 1)}
