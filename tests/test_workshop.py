"""The run sheet's times add up, and are those that were measured and counted."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from tools import lessons, publish

ROOT = Path(__file__).resolve().parents[1]
LESSONS = ("00", "01", "02", "03", "04", "05")
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = "\n\n".join(cell.source for cell in nbformat.read(lessons.find_lesson("00").path, 4).cells)


def rows(text, number):
    """Return the cells of the row that links to a lesson."""
    return re.search(rf"^\| \[{number} .+\|$", text, re.MULTILINE)[0].strip("| ").split(" | ")


def exercise_minutes(number):
    """Return the minutes of a lesson's exercises."""
    return sum(section["exercises"] for section in publish.measure_sections(number).values())


def test_sheet_is_up_to_date():
    sheet = publish.SHEET.read_text(encoding="utf-8")
    assert publish.fill(sheet) == sheet, "run: python -m tools.publish"


@pytest.mark.parametrize("name", publish.PLANS)
def test_plan_adds_up_and_leaves_time_for_questions(name):
    plan = publish.PLANS[name]
    table = publish.render_plan(plan)
    timed = [row for row in table.splitlines() if re.match(r"\| \d", row)]
    minutes = [int(row.rsplit("|", 2)[1]) for row in timed]
    assert sum(minutes) == plan["minutes"]
    assert minutes[-1] >= 5
    for row in timed:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if cells[3]:
            assert sum(int(cell) for cell in cells[3:6]) == int(cells[6])


def test_every_section_has_its_row():
    table = publish.render_sections()
    for number in LESSONS:
        sources = [c.source for c in nbformat.read(lessons.find_lesson(number).path, 4).cells]
        for heading in re.findall(r"^## (.+)$", "\n".join(sources), re.MULTILINE):
            assert heading in publish.CLOSING or f"| {number} | {heading} |" in table


@pytest.mark.parametrize("number", LESSONS)
def test_lesson_and_tables_state_the_counted_minutes(number):
    read, exercises = publish.state_reading(number), exercise_minutes(number)
    cells = nbformat.read(lessons.find_lesson(number).path, 4).cells
    opening = "\n\n".join(cell.source for cell in cells).partition("\n## ")[0]
    assert f"{read} minutes to read" in opening
    for text in (README, FIRST):
        assert rows(text, number)[2:4] == [f"{read} min", f"{exercises} min" if exercises else "–"]


def test_sections_take_what_the_notebook_takes():
    measured = json.loads(publish.MEASURED.read_text(encoding="utf-8"))["notebooks"]
    for number in LESSONS:
        whole = measured[lessons.find_lesson(number).path.stem]
        assert 0 < sum(whole["sections"].values()) <= whole["seconds"]


def test_a_section_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="03 has no section Nothing"):
        publish.add_up("03", ["Nothing"])


def test_a_sheet_without_a_place_is_refused():
    with pytest.raises(ValueError, match="no place for the table: <!-- 90 minutes -->"):
        publish.fill("# A sheet")
