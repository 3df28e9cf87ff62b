"""Everybody can read the series: figures, their descriptions, pages, headings, links and keys."""

import itertools
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from reading import text_of, without_blocks

pytest.importorskip("colorspacious", reason="install tests/requirements.txt")
import figures

from helpers import plots
from tools import lessons, pages

ROOT = Path(__file__).resolve().parents[1]
PAGES = [p for name in ("", "notebooks", "models", "tests") for p in (ROOT / name).glob("*.md")]
DOCUMENTS = [*lessons.list_notebooks(), *PAGES]


# Figures --------------------------------------------------------------------------------------


def test_text_palette_is_legible_and_told_apart():
    colours = [tuple(mpl.colors.to_rgb(colour)) for colour in plots.TEXT_PALETTE]
    assert figures.contrast(colours, (1, 1, 1)).min() >= figures.CONTRAST
    sights = [sight for sight in figures.SIGHTS if sight != "grey print"]  # there, shapes tell
    assert len(set(colours)) == 10 and figures.close_pairs(colours, sights) == []


def test_numbers_are_legible_on_every_colour_of_a_heat_map():
    sns = pytest.importorskip("seaborn")
    fig, ax = plt.subplots()
    sns.heatmap(np.arange(256).reshape(16, 16), annot=True, cmap="cividis", cbar=False, ax=ax)
    plots.make_numbers_legible(ax)
    colours = mpl.colormaps["cividis"](np.arange(256))[:, :3]
    inks = [mpl.colors.to_rgb(text.get_color()) for text in ax.texts]
    assert figures.contrast(inks, colours).min() >= figures.CONTRAST
    plt.close(fig)


# Figures that break a rule --------------------------------------------------------------------


@pytest.fixture
def axes():
    """Return axes of a figure of the series' style and usual size."""
    with mpl.rc_context():
        plots.use_style()
        fig, ax = plt.subplots()
        yield ax
        plt.close(fig)


def lines(ax, *styles):
    """Draw a line for each style."""
    for place, style in enumerate(styles):
        ax.plot([0, 1], [place, place + 1], **style)


def test_checks_pass_on_a_good_figure(axes):
    lines(axes, {"color": "C0", "marker": "o"}, {"color": "C1", "linestyle": "--"})
    axes.imshow([[0, 1]], cmap="cividis")
    axes.set(title="Training falls", xlabel="epoch")
    held = figures.capture(axes.figure)
    assert [check(held) for check in figures.FIGURE_CHECKS] == [[], [], [], []]


BAD_FIGURES = {
    "9 points in 10 inches": (figures.check_texts, lambda ax: ax.figure.set_size_inches(10, 3)),
    "an exponent": (figures.check_texts, lambda ax: ax.set_xlabel("$10^{3}$")),
    "half transparent": (figures.check_texts, lambda ax: ax.set_title("pale", alpha=0.5)),
    "black on navy": (
        figures.check_texts,
        lambda ax: (ax.imshow([[0, 0]], cmap="cividis"), ax.text(0, 0, "7", color="black")),
    ),
    "red and green": (
        figures.check_colours,
        lambda ax: lines(ax, {"color": "#d62728"}, {"color": "#7f7f00", "linestyle": "--"}),
    ),
    "two lines alike": (
        figures.check_styles,
        lambda ax: lines(ax, {"color": "C0"}, {"color": "C1"}),
    ),
    "bars alike": (
        figures.check_styles,
        lambda ax: (ax.bar([0, 1], [1, 2], color=["C0", "C1"]), ax.set_xticks([])),
    ),
    "a rainbow": (figures.check_maps, lambda ax: ax.imshow([[0, 1]], cmap="jet")),
}


@pytest.mark.parametrize("name", BAD_FIGURES)
def test_check_fails_on_a_bad_figure(axes, name):
    check, draw = BAD_FIGURES[name]
    draw(axes)
    assert check(figures.capture(axes.figure)) != []


def test_bars_with_names_may_differ_in_colour_alone(axes):
    axes.barh(["one", "two"], [1, 2], color=["C0", "C1"])
    assert figures.check_styles(figures.capture(axes.figure)) == []


# Pages ----------------------------------------------------------------------------------------


def test_page_asks_before_it_answers_and_leaves_out_what_is_ours():
    hidden = {"jupyter": {"outputs_hidden": True}}
    figure = new_output("display_data", data={"image/png": "iVBO", "text/plain": "<Figure>"})
    printed = new_output("stream", name="stdout", text="42 digits")
    cells = [
        new_markdown_cell("# Do it\n\n## Look\n\n**Predict** the count."),
        new_code_cell("print(6 * 7)", metadata=hidden, outputs=[figure, printed]),
        new_code_cell("assert ours", metadata={"tags": ["test"]}),
    ]
    page = pages.render(new_notebook(cells=cells), ROOT / "a.ipynb")
    folded = re.search(
        r"<details class=.answer.>\s*<summary>(.*?)</summary>(.*?)</details>", page, re.S
    )
    assert folded and "Predict" in folded[1] and "42 digits" in folded[2]
    assert 'alt="42 digits"' in folded[2]  # a figure is described by the line below it
    assert page.count("Predict") == 1 and page.count("42 digits") == 2 and "Look</a>" in page
    assert "ours" not in page


# Prose ----------------------------------------------------------------------------------------


def check_headings(markdown):
    """Return gaps between headings, and titles that are not the first or not the only one."""
    levels = [len(marks) for marks in re.findall(r"^(#{1,6}) ", markdown, re.MULTILINE)]
    found = [] if levels[:1] == [1] and levels.count(1) == 1 else [f"titles: {levels}"]
    return found + [f"{a} to {b}" for a, b in itertools.pairwise(levels) if b > a + 1]


def check_links(markdown):
    """Return the links that do not say where they lead."""
    prose = re.sub(r"`[^`\n]*`", "code", markdown)
    prose = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", prose)  # a badge: its alternative is the text
    links = re.findall(r"\[([^\]]+)\]\(\s*([^\s)]+)[^)]*\)", prose)
    vague = r"(?i)(click )?(here|this|that|it|link|this (page|link|notebook)|(read )?more|page)\W*"
    found = [text for text, _ in links if re.fullmatch(vague, text.strip()) or "://" in text]
    places = {}
    for text, target in links:
        places.setdefault(text.strip().lower(), set()).add(target)
    found += [f"{text}: {sorted(targets)}" for text, targets in places.items() if len(targets) > 1]
    without_links = re.sub(r"\[[^\]]*\]\([^)]*\)", "", prose)
    return found + re.findall(r"https?://\S+", without_links)


def check_keys(markdown):
    """Return the paragraphs and rows that ask for a mouse and name no key beside it."""
    mouse = r"(?i)\b(double-|right-)?(click|drag|hover|mouse|button|toolbar|menu)(s|ed|ging)?\b"
    key = r"`(Ctrl|Cmd|Shift|Alt|Enter|Esc|Tab|Space|[A-Z0-9])`"
    parts = re.split(r"\n\s*\n|\n(?=\||- |\d+\. )", markdown)
    found = [part for part in parts if re.search(mouse, re.sub(r"`[^`\n]*`", "", part))]
    return [part.strip() for part in found if not re.search(key, part)]


PROSE_CHECKS = {
    check_headings: "# A\n\n## B\n\n### C\n\n## D",
    check_links: "# A\n\nSee [the Keras guide](https://a.b) and `https://c.d`.",
    check_keys: "# A\n\nChoose *Close* in the File menu (`Alt`+`F`).\n\n| Press `Esc` |",
}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_prose(path):
    prose = without_blocks(text_of(path))
    found = {check.__name__: check(prose) for check in PROSE_CHECKS}
    if path.parent.name == "tests":  # it tells of faults and buttons, and asks nobody to press one
        del found["check_keys"]
    assert [*found.values()] == [[]] * len(found), found


@pytest.mark.parametrize(
    ("check", "markdown"),
    [
        (check_headings, "# A\n\n## B\n\n#### D"),
        (check_headings, "# A\n\n# B"),
        (check_links, "For more, [click here](https://a.b)."),
        (check_links, "Look at https://a.b now."),
        (check_links, "[The guide](a.md) and [the guide](b.md)"),
        (check_keys, "| What | Choose *Restart* in the Kernel menu |"),
    ],
)
def test_prose_check_fails_on_bad_prose(check, markdown):
    assert check(PROSE_CHECKS[check]) == []
    assert check(markdown) != []
