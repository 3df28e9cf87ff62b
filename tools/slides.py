"""Say what each cell of a notebook is in a deck of slides: headings, questions, figures, answers.

The runner marks the cells when it cleans a notebook, so nobody sets a mark by hand. From the marks,
`python -m jupyter nbconvert --to slides --no-input notebooks/03_train_the_network.ipynb` makes
the deck; the prose goes into the speaker's notes.
"""

import base64
import itertools
import re
import struct

HEIGHT = 690  # pixels of a slide of nbconvert, less a little
TALLEST = 600  # of a figure that fits on a slide of its own
QUESTION = r"\*\*(Predict|Think|Compute|Before you|While it|Which|What|Write down|Look for)\b"
LEFT_OUT = r"## (On your own|What's next|Further reading)\b"


def mark_slides(notebook):
    """Give each cell of a notebook its `slide_type`, from what it holds and what is above it."""
    used, question, left_out = HEIGHT, False, False
    for cell, below in itertools.pairwise([*notebook.cells, None]):
        question = question or is_answer(cell)
        kind, height = kind_of(cell, question, is_answer(below)), height_of(cell)
        if kind in ("slide", "subslide"):
            used, left_out = 0, re.match(LEFT_OUT, cell.source) is not None
        elif cell.cell_type == "code" and max(figures(cell), default=0) > TALLEST:
            kind = "skip"  # a gallery: it is for the page, not for a slide
        elif kind == "fragment" and used + height > HEIGHT:
            kind, used = "subslide", 0
        question = kind != "notes" and cell.cell_type == "markdown" and is_question(cell.source)
        used += height if kind not in ("notes", "skip") else 0
        # An answer fills its slide: the next question or figure begins another one.
        used = HEIGHT if cell.cell_type == "code" and kind != "skip" else used
        cell.metadata["slideshow"] = {"slide_type": "skip" if left_out else kind}


def kind_of(cell, answers=False, asks=False):
    """Return what a cell is by itself.

    Args:
        cell: a cell.
        answers: whether it answers the cell above.
        asks: whether the cell below answers it.
    """
    if cell.cell_type == "code":
        ours = "checks.check_" in cell.source or "test" in cell.metadata.get("tags", [])
        return "fragment" if not ours and (answers or figures(cell)) else "skip"
    if re.match(r"##? ", cell.source):
        return "slide"
    if cell.source.startswith("### "):
        return "subslide"
    return "fragment" if asks or is_question(cell.source) else "notes"


def is_answer(cell):
    """Tell whether a cell's output is folded, since it answers the question above."""
    return bool(cell and cell.metadata.get("jupyter", {}).get("outputs_hidden"))


def is_question(markdown):
    """Tell whether a text asks the reader something, and nothing but that."""
    alone = len(markdown.split()) <= 45 and "\n\n" not in markdown
    return bool(alone and (re.match(QUESTION, markdown) or markdown.rstrip().endswith("?")))


def height_of(cell):
    """Estimate how many pixels a cell takes on a slide without its code."""
    if cell.cell_type == "code":
        printed = sum(output.get("text", "").count("\n") for output in cell.outputs)
        return 80 + 23 * printed + sum(25 + height for height in figures(cell))
    return 90 + 30 * sum(1 + len(line) // 90 for line in cell.source.splitlines() if line)


def figures(cell):
    """Return the heights of the figures that a cell shows, in pixels."""
    pictures = [output.get("data", {}).get("image/png", "") for output in cell.outputs]
    # The header of a PNG ends with the width and the height.
    headers = [base64.b64decode(picture[:32]) for picture in pictures if picture]
    return [struct.unpack(">I", header[20:24])[0] for header in headers if len(header) == 24]
