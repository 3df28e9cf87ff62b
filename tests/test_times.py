"""The times that the texts state are those that benchmarks/notebooks.json holds."""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
MEASURED = json.loads((ROOT / "benchmarks" / "notebooks.json").read_text(encoding="utf-8"))
NOTEBOOKS = MEASURED["notebooks"]


def table_rows(text):
    """Return `{notebook: cells of its row}` of the tables in a Markdown text."""
    rows = re.findall(r"^\| \[[^]]+\]\((?:notebooks/)?(\w+)\.ipynb\) \|(.+)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def opening(name):
    """Return the first cell of a notebook."""
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells[0].source


def test_every_notebook_was_measured():
    assert sorted(NOTEBOOKS) == sorted(p.stem for p in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_readme_has_the_measured_seconds():
    rows = table_rows((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {name: cells[-1] for name, cells in rows.items()} == {
        name: f"{result['seconds']:.0f} s" for name, result in NOTEBOOKS.items()
    }


def test_map_in_the_first_notebook_allows_for_the_measured_seconds():
    first = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    rows = table_rows("\n\n".join(cell.source for cell in first.cells))
    for name, result in NOTEBOOKS.items():
        minutes = int(rows[name][-1].removesuffix(" min"))
        assert result["seconds"] <= 60 * minutes, name


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_opening_allows_for_the_measured_seconds_and_agrees_on_the_reading(name):
    time = opening(name).partition("**Time**")[2]
    minutes = int(re.search(r"(?:less than|up to) (\d) minutes?", time)[1])
    assert NOTEBOOKS[name]["seconds"] <= 60 * minutes
    reading = int(re.search(r"(\d+) minutes to read", time)[1])
    readme = table_rows((ROOT / "README.md").read_text(encoding="utf-8"))
    assert readme[name][-2] == f"{reading} min"


def test_memory_stays_below_what_the_readme_says():
    assert max(result["peak_mb"] for result in NOTEBOOKS.values()) < 1200
