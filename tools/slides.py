"""Say what each cell of a notebook is in a deck of slides: headings, questions, figures, answers.

The runner marks the cells when it cleans a notebook, so nobody sets a mark by hand. From the marks,
`python -m jupyter nbconvert --to slides --no-input notebooks/03_train_the_network.ipynb` makes
the deck; the prose goes into the speaker's notes.
"""

import base64
import re
import struct

HEIGHT = 690  # pixels of a slide of nbconvert, less a little
TALLEST = 600  # of a figure that fits on a slide of its own
QUESTION = r"\*\*(Predict|Think|Compute|Before you|While it|Which|What|Write down|Look for)\b"
LEFT_OUT = r"## (On your own|What's next|Further reading)\b"


def mark_slides(notebook):
    """Give each cell of a notebook its `slide_type`, from what it holds and what is above it."""
    used, question, left_out = HEIGHT, False, False
    for cell in notebook.cells:
        kind, height = kind_of(cell, question), height_of(cell)
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


def kind_of(cell, answers):
    """Return what a cell is by itself.

    Args:
        cell: a cell.
        answers: whether the cell above asks a question.
    """
    if cell.cell_type == "code":
        shown = "checks.check_" not in cell.source and (answers or figures(cell))
        return "fragment" if shown else "skip"
    if re.match(r"##? ", cell.source):
        return "slide"
    if cell.source.startswith("### "):
        return "subslide"
    return "fragment" if is_question(cell.source) else "notes"


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
