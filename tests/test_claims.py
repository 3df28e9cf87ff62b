"""Each number of the texts has a source, and a changed digit is noticed."""

import re
import subprocess
import sys
from collections import defaultdict

import pytest

from tools import claims, lessons, numbers, publish, results, sources, strip, texts, timetable

PAGES = texts.read_pages()
CLAIMS = sources.read_claims()


def find_missing(page, entries=CLAIMS):
    """Return the numbers of a page that have no source."""
    return [f.number.text for f in claims.check(page, entries) if f.source is None]


def make_page(text, output="", section=1):
    """Return a page with one cell of prose, and what a section shows."""
    evidence = defaultdict(list)
    for shown in numbers.find_shown(output):
        texts.take_evidence(evidence, section, shown)
    return texts.Page("notebooks/none.ipynb", [(0, 1, text)], evidence)


# The texts as they are -------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_number_has_a_source(page):
    assert find_missing(page) == [], "run: python -m tools.claims"


def test_every_entry_holds_and_stands_on_its_page():
    assert [*CLAIMS.wrong, *CLAIMS.find_stale(PAGES)] == []


def test_a_changed_digit_is_noticed():
    tried = claims.mutate(PAGES, CLAIMS, 100, seed=0)
    assert len(tried) == 100 and sum(noticed for *_, noticed in tried) >= 95


def test_claims_are_listed_without_tensorflow():
    code = "import sys; from tools import claims; claims.main([]); sys.exit('keras' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=lessons.ROOT, check=True, capture_output=True)


# The rules, on small pages ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "output", "missing"),
    [
        ("It misreads 36 digits.", "36 of 10,000 digits misread", []),
        ("It misreads 37 digits.", "36 of 10,000 digits misread", ["37"]),
        ("It misreads 36 % of the digits.", "36 of 10,000 digits misread", ["36"]),
        ("It reads 99.64 % of them.", "read: 99.64%", []),
        ("A share of 5 % is left.", "share 0.05", []),
        ("Images are 28 × 28.", "shape (60000, 28, 28)", []),
        ("Images are 28 × 29.", "shape (60000, 28, 28)", ["28 × 29"]),
        # A digit away stands a number that fits as well: a slip would not be seen.
        ("It makes 36 errors.", "36 errors\n46 errors", ["36"]),
        ("`36` is code, [36](page_36.md) a link.", "", ["36"]),
        ("The first:\n\n1. one\n2. two", "", []),
        ("The first:\n\n1. one\n3. two", "", ["1", "3"]),
    ],
)
def test_a_number_needs_an_output_that_fits(text, output, missing):
    assert find_missing(make_page(text, output=output), sources.Claims([])) == missing


def test_an_output_further_down_vouches_for_nothing():
    page = make_page("It misreads 36 digits.", output="36 digits misread", section=2)
    assert find_missing(page, sources.Claims([])) == ["36"]


@pytest.mark.parametrize(
    ("text", "source", "problem"),
    [
        ("36 misread", "= best.runs.seed_0.test.errors", None),
        ("99.64 % of them", "= best.runs.seed_0.test.accuracy", None),
        ("0.99 to the power of 300 is 0.049", "= 0.99 ** 300", None),
        ("0.99 to the power of 301 is 0.049", "= 0.99 ** 300", "differs"),
        ("36 misread", "= best.nothing", "has no value"),
        ("60,000 images", "in helpers/data.py", None),
        ("61,000 images", "in helpers/data.py", "does not stand"),
        ("36", "in nothing.py", "no file"),
        ("99.55 %", "cited: the tutorial", None),
        ("99.55 %", "cited:", "needs a source"),
        ("no number", "cited: the tutorial", "no number"),
    ],
)
def test_an_entry_is_checked(text, source, problem):
    found = sources.verify(sources.Claim("page", text, source))
    assert (found is None) if problem is None else (problem in found)


def test_an_entry_vouches_where_it_stands_and_is_reported_where_it_does_not():
    entries = sources.Claims([sources.Claim("none", "in 2017 a tutorial", "cited: it")])
    page = make_page("Well, in\n2017 a tutorial said so.")
    assert find_missing(page, entries) == [] and not entries.is_stale(page)
    other = make_page("Well, in 2018 a tutorial said so.")
    assert find_missing(other, entries) == ["2018"] and entries.is_stale(other)
    assert len(entries.find_stale([other])) == 1


def test_what_to_add_is_said():
    page = make_page("They said it in 2017, and\nnobody knew.\n\n| 12 | of 13 |")
    found = claims.check(page, sources.Claims([]))
    advice = list(claims.advise(found))
    _, said, line = advice[0]
    assert line == '"it in 2017, and nobody" = "?"' and said.endswith(line)
    assert "notebooks/none.ipynb, cell 0: 2017" in said and len(advice) == 3


def test_what_is_missing_is_written_into_the_file(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text('# Why\n\n[none]\n"36 were" = "cited: x"\n"37 are" = "cited: x"\n', "utf-8")
    stale = sources.read_claims(path).find_stale([make_page("The 37 are here.")])
    added = [("notebooks/none.ipynb", '"in 2017" = "?"'), ("README.md", '"1 of" = "shown"')]
    assert [claim.text for claim in stale] == ["36 were"]
    sources.edit(added, stale, path)
    none = '# Why\n\n[none]\n"37 are" = "cited: x"\n"in 2017" = "?"\n'
    assert path.read_text("utf-8") == none + '\n["README.md"]\n"1 of" = "shown"\n'


# Publishing and counting -----------------------------------------------------------------------


def test_places_and_blocks_must_agree():
    text = "A <!-- number -->1<!-- end --> b.\n<!-- table -->\n| a |\n<!-- end -->\n"
    filled = publish.fill(text, {"number": "2", "table": "| b |"}, "page")
    assert filled == "A <!-- number -->2<!-- end --> b.\n<!-- table -->\n| b |\n<!-- end -->\n"
    with pytest.raises(ValueError, match="page and its template differ in: table"):
        publish.fill(text, {"number": "2"}, "page")


def test_pages_are_filled_with_what_was_measured(tmp_path, monkeypatch):
    texts = {name: (lessons.ROOT / name).read_text(encoding="utf-8") for name in publish.PAGES}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("99.64 %", "99.99 %"), encoding="utf-8")
    monkeypatch.setattr(publish.lessons, "ROOT", tmp_path)
    publish.main()
    for name, text in texts.items():
        filled = (tmp_path / name).read_text(encoding="utf-8")
        assert filled == text, "run: python -m tools.publish"


@pytest.mark.parametrize("name", timetable.PLANS)
def test_a_plan_leaves_time_for_questions(name):
    left = timetable.render_plan(timetable.PLANS[name]).partition("*questions*")[2]
    assert int(re.search(r"-?\d+", left)[0]) >= 5


def test_a_section_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="03 has no section Nothing"):
        timetable.add_up("03", "Train; Nothing")


MEASURED = [lesson for lesson in lessons.read_lessons() if lesson.file in results.read_series()]


@pytest.mark.parametrize("lesson", MEASURED, ids=lambda lesson: lesson.number)
def test_a_lesson_stays_within_what_is_said_of_it(lesson):
    measured = results.read_series()
    first, *solutions = (measured[p.stem] for p in lesson.notebooks if p.stem in measured)
    assert first["seconds"] <= 60 * int(timetable.state_minutes(lesson.number)[-1])
    assert 0 < sum(first["sections"].values()) <= first["seconds"]
    for run in (first, *solutions):
        assert run["seconds"] <= lesson.seconds and run["peak_mb"] <= 1000 * lesson.memory_gb


def test_the_strip_is_as_wide_as_it_should_be():
    picture = strip.draw()
    assert picture.width == strip.WIDTH and 300 < picture.height < picture.width
