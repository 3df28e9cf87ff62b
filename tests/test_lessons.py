"""A lesson and its solutions: the same exercises, asked in the one and answered in the other."""

import ast
import inspect
import re
import sys

import pytest
from reading import code_cells, markdown_of, read

from helpers import checks
from tools import lessons

EXERCISE = r"^### (Exercise \d\d\.\d: .+ \((\d+) minutes\))$"
ROWS = [row for row in lessons.read_lessons() if row.exercises]

pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)


def exercises(notebook):
    """Return the headings of a notebook's exercises and their minutes."""
    return re.findall(EXERCISE, markdown_of(notebook), re.MULTILINE)


def calls(notebook):
    """Return the checks that a notebook calls, in order."""
    return re.findall(r"\bchecks\.(check_\w+)\(", "\n".join(c.source for c in code_cells(notebook)))


def printed(notebook):
    """Return the lines in which a notebook's checks say what they think."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    lines = "\n".join(o.get("text", "") for o in outputs).splitlines()
    return [line for line in lines if line.startswith(("Right. ", "Not yet. ", "Not answered"))]


def test_lesson_and_solutions_have_the_same_exercises(row):
    lesson, solutions = map(read, row.notebooks)
    assert exercises(lesson) == exercises(solutions)
    assert 2 <= len(exercises(lesson)) <= 4
    there = sorted(name for name in vars(checks) if name.startswith(f"check_{row.number}"))
    assert calls(lesson) == calls(solutions) == there


def test_lessons_are_unanswered_and_solutions_are_right(row):
    lesson, solutions = map(read, row.notebooks)
    assert len(printed(lesson)) == len(printed(solutions)) == len(exercises(solutions))
    assert all(line.startswith("Right. ") for line in printed(solutions))
    assert not any(line.startswith("Right. ") for line in printed(lesson))


def test_minutes_are_the_sum_and_hints_are_folded(row):
    lesson = read(row.path)
    minutes = sum(int(minutes) for _, minutes in exercises(lesson))
    opening = "\n\n".join(cell.source for cell in lesson.cells).partition("\n## ")[0]
    assert f"{minutes} for the exercises" in opening
    hints = re.findall(
        r"<details>\n<summary>Hint</summary>\n\n.+\n\n</details>", markdown_of(lesson)
    )
    assert len(hints) == len(exercises(lesson))
    assert re.search(r"^## On your own$", markdown_of(lesson), re.MULTILINE)


def test_no_later_cell_depends_on_an_answer(row):
    made_by_exercises, used = set(), set()
    for cell in code_cells(read(row.path)):
        tree = ast.parse(cell.source)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        loaded = {name.id for name in names if isinstance(name.ctx, ast.Load)}
        stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        if "checks.check_" in cell.source:
            made_by_exercises |= stored
            made_by_exercises |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        else:
            used |= (loaded - stored) & made_by_exercises
    assert used == set()


def test_checks_never_show_a_solution(row):
    """What a wrong answer is told holds no line of code of the solutions."""
    cells = [
        cell.source for cell in code_cells(read(row.solutions)) if "checks.check_" in cell.source
    ]
    lines = [line.strip() for line in "\n".join(cells).splitlines() if "return " in line]
    source = inspect.getsource(sys.modules[f"helpers.checks.lesson_{row.number}"])
    assert not [line for line in lines if line in source]
