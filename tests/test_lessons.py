"""A lesson and its solutions: the same exercises, asked in the one and answered in the other."""

import ast
import inspect
import re
import sys

import pytest
from reading import code_cells, markdown_of, read

from helpers import checks
from tools import lessons

SOLUTIONS = [lesson.solutions for lesson in lessons.read_lessons() if lesson.exercises]
EXERCISE = r"^### (Exercise (\d\d)\.(\d): .+ \((\d+) minutes\))$"
CHECKS = {name: check for name, check in vars(checks).items() if name.startswith("check_")}


def exercises(notebook):
    """Return the headings of a notebook's exercises."""
    return [m[1] for m in re.finditer(EXERCISE, markdown_of(notebook), re.MULTILINE)]


def calls(notebook):
    """Return the checks that a notebook calls, in order."""
    trees = (node for cell in code_cells(notebook) for node in ast.walk(ast.parse(cell.source)))
    names = [n.func.attr for n in trees if isinstance(n, ast.Call) and hasattr(n.func, "attr")]
    return [name for name in names if name.startswith("check_")]


def printed(notebook):
    """Return the lines in which a notebook's checks say what they think."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    lines = "\n".join(o.get("text", "") for o in outputs).splitlines()
    return [line for line in lines if line.startswith(("Right. ", "Not yet. ", "Not answered"))]


def lesson_of(path):
    """Return the lesson that a solutions notebook belongs to."""
    return read(path.with_stem(path.stem.removesuffix("_solutions")))


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_lesson_and_solutions_have_the_same_exercises(path):
    lesson, solutions = lesson_of(path), read(path)
    assert 2 <= len(exercises(lesson)) <= 4
    assert exercises(lesson) == exercises(solutions)
    number = path.stem[:2]
    of_notebook = sorted(name for name in CHECKS if name.startswith(f"check_{number}"))
    assert calls(lesson) == calls(solutions) == of_notebook


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_lessons_are_unanswered_and_solutions_are_right(path):
    lesson, solutions = lesson_of(path), read(path)
    assert [line[:9] for line in printed(solutions)] == [
        "Right. " + line[7:9] for line in printed(solutions)
    ]
    assert len(printed(solutions)) == len(exercises(solutions))
    assert not [line for line in printed(lesson) if line.startswith("Right")]
    assert len(printed(lesson)) == len(exercises(lesson))


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_the_stated_minutes_are_the_sum(path):
    lesson = lesson_of(path)
    minutes = sum(int(re.match(EXERCISE, f"### {e}")[4]) for e in exercises(lesson))
    opening = "\n\n".join(cell.source for cell in lesson.cells).partition("\n## ")[0]
    assert f"{minutes} for the exercises" in opening


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_each_exercise_has_a_folded_hint_and_own_ideas_follow(path):
    text = markdown_of(lesson_of(path))
    hints = re.findall(r"<details>\n<summary>Hint</summary>\n\n.+\n\n</details>", text)
    assert len(hints) == len(re.findall(EXERCISE, text, re.MULTILINE))
    assert re.search(r"^## On your own$", text, re.MULTILINE)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_no_later_cell_depends_on_an_answer(path):
    cells = [cell.source for cell in code_cells(lesson_of(path))]
    made_by_exercises, used = set(), set()
    for source in cells:
        names = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)]
        loaded = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        if "checks.check_" in source:
            functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
            made_by_exercises |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
            made_by_exercises |= set(functions)
        else:
            stored = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
            used |= (loaded - stored) & made_by_exercises
    assert used == set()


def test_checks_never_show_a_solution():
    """What a wrong answer is told holds no line of code of the solutions."""
    for path in SOLUTIONS:
        source = inspect.getsource(sys.modules[f"helpers.checks.lesson_{path.stem[:2]}"])
        for cell in code_cells(read(path)):
            if "checks.check_" in cell.source:
                lines = [line.strip() for line in cell.source.splitlines() if "return " in line]
                assert not [line for line in lines if line in source]
