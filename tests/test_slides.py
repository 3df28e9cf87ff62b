"""The deck of slides: what each cell becomes, and what nbconvert makes of it."""

import base64
import re
import struct

import nbformat
import pytest
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import lessons, slides


def code(height=None, source="print(1)", **metadata):
    """Return a code cell that prints a line, below a figure of a height if one is given."""
    outputs = [new_output("stream", name="stdout", text="1 of 2.\n")]
    if height:
        header = b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", 600, height)
        picture = base64.b64encode(header + bytes(8)).decode()
        outputs.insert(0, new_output("display_data", data={"image/png": picture}))
    return new_code_cell(source, outputs=outputs, metadata=metadata)


def marks(*cells):
    """Return the slide type of each cell; a text stands for a Markdown cell."""
    cells = [new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    notebook = new_notebook(cells=cells)
    slides.mark_slides(notebook)
    return [cell.metadata.slideshow.slide_type for cell in notebook.cells]


PROSE = "A long explanation. " * 20
QUESTION = "**Predict:** how many?"
CASES = {
    "prose goes to the notes": (("# Do it", "## Look", PROSE), "slide slide notes"),
    "code without a figure is left out": (("## Look", code()), "slide skip"),
    "a second figure has its own slide": (
        ("## Look", code(300), code(300)),
        "slide fragment subslide",
    ),
    "a tall figure has its own slide": (("## Look", code(590)), "slide subslide"),
    "a gallery is left to the page": (("## Look", code(1200)), "slide skip"),
    "the next question and its answer have their own slide": (
        ("## Look", QUESTION, code(), QUESTION, code()),
        "slide fragment fragment subslide fragment",
    ),
    "an exercise, without the answer": (
        ("### Exercise 01.1", code(source="checks.check_01_1(answer)")),
        "subslide skip",
    ),
    "a long question stands before its folded answer": (
        ("## Look", PROSE, code(jupyter={"outputs_hidden": True})),
        "slide fragment fragment",
    ),
    "a cell that tests is left out": (
        ("## Look", QUESTION, code(tags=["test"])),
        "slide fragment skip",
    ),
    "the last sections are left out": (
        ("## Summary", "## What's next", PROSE, "## Further reading", PROSE),
        "slide skip skip skip skip",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_cells_are_marked(case):
    cells, expected = CASES[case]
    assert marks(*cells) == expected.split()


@pytest.mark.slow
def test_deck_has_the_headings_and_no_code():
    notebook = nbformat.read(lessons.find_lesson("05").path, as_version=4)
    slides.mark_slides(notebook)
    deck = SlidesExporter(exclude_input=True).from_notebook_node(notebook)[0]
    seen = re.sub(r'<aside class="notes">.*?</aside>', "", deck, flags=re.DOTALL)
    assert len(re.findall("<h2", seen)) >= 5
    assert '<div class="jp-CodeMirrorEditor' not in seen and "<section" in seen and "<img" in seen
