"""The times that the texts state are those that benchmarks/notebooks.json holds."""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
MEASURED = json.loads((ROOT / "benchmarks" / "notebooks.json").read_text(encoding="utf-8"))
ALL = MEASURED["notebooks"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = {name: ALL[name] for name in ALL if not name.endswith("_solutions")}
ONE_CORE = MEASURED.get("one_core", {"notebooks": {}})["notebooks"]


def table_rows(text):
    """Return `{notebook: cells of its row}` of the tables in a Markdown text."""
    rows = re.findall(r"^\| \[[^]]+\]\((?:notebooks/)?(\w+)\.ipynb\) \|(.+)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def column(title):
    """Return `{notebook: cell}` of a column of the README's table of notebooks."""
    head = re.search(r"^\| Notebook \|(.+)\|$", README, re.MULTILINE)[1]
    titles = [cell.strip() for cell in head.split("|")]
    assert title in titles, f"README.md has no column {title}"
    return {name: cells[titles.index(title)] for name, cells in table_rows(README).items()}


def opening(name):
    """Return a notebook's text above its first section."""
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells).partition("\n## ")[0]


def test_every_notebook_was_measured():
    assert sorted(ALL) == sorted(p.stem for p in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_readme_has_the_measured_seconds():
    expected = {name: f"{result['seconds']:.0f} s" for name, result in NOTEBOOKS.items()}
    assert column("CPU") == expected


def test_readme_has_the_seconds_measured_on_one_core_where_there_are_any():
    head = re.search(r"^\| Notebook \|.+$", README, re.MULTILINE)[0]
    assert ("One core" in head) == bool(ONE_CORE), "run: python -m tools.measure --small"
    if ONE_CORE:
        assert set(NOTEBOOKS) <= set(ONE_CORE)
        expected = {name: f"{ONE_CORE[name]['seconds']:.0f} s" for name in NOTEBOOKS}
        assert column("One core") == expected
        assert MEASURED["one_core"]["machine"]["cores"] == "1"
        assert max(result["peak_mb"] for result in ONE_CORE.values()) < 1500


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
    assert column("Read")[name] == f"{reading} min"


def test_memory_stays_below_what_the_readme_says():
    assert max(result["peak_mb"] for result in NOTEBOOKS.values()) <= 1250
