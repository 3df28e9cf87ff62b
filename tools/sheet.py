"""Draw the sheet for forty digits: `python -m tools.sheet` writes notebooks/sheet.pdf."""

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers import sheet
from helpers.files import write_beside
from tools import lessons

PATH = lessons.NOTEBOOKS / "sheet.pdf"
PAGE = (210, 297)  # millimetres: A4; on Letter, print it fitted to the page
FIRST = (17, 37)  # where the first mark's middle is
INCH = 25.4
TEXT = (
    "Write each small digit into the box beside it, as you usually do, with a dark pen.\n"
    "Then photograph the whole sheet from above, all four black corners in the picture."
)


def draw_sheet():
    """Return the sheet as a matplotlib figure."""
    fig = Figure(figsize=(PAGE[0] / INCH, PAGE[1] / INCH))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-FIRST[0], PAGE[0] - FIRST[0]), ylim=(PAGE[1] - FIRST[1], -FIRST[1]))
    ax.axis("off")
    ax.text(0, -22, "Forty digits in your own hand", size=16, va="center")
    ax.text(0, -12.5, TEXT, size=10, va="center")
    for corner in np.ndindex(2, 2):
        x, y = corner[0] * sheet.WIDTH, corner[1] * sheet.HEIGHT
        draw_square(ax, x, y, sheet.MARK, facecolor="black")
        if corner == (0, 0):
            draw_square(ax, x, y, sheet.HOLE, facecolor="white")
    for i, digit in enumerate(sheet.DIGITS):
        x, y = sheet.place_box(i)
        half = sheet.BOX / 2
        draw_square(ax, x + half, y + half, sheet.BOX, fill=False, edgecolor="0.6", linewidth=0.6)
        ax.text(x - 4, y + half, str(digit), size=13, color="0.35", ha="center", va="center")
    return fig


def draw_square(ax, x, y, side, linewidth=0, **style):
    """Draw a square by its middle."""
    corner = (x - side / 2, y - side / 2)
    ax.add_patch(Rectangle(corner, side, side, linewidth=linewidth, **style))


def write_sheet(path=PATH):
    """Write the sheet as a PDF, the same bytes every time."""
    metadata = {"Creator": None, "Producer": None, "CreationDate": None, "Title": "Forty digits"}
    with mpl.rc_context({"pdf.fonttype": 42}):
        write_beside(path, lambda part: draw_sheet().savefig(part, format="pdf", metadata=metadata))


def render_sheet(pixels):
    """Return the sheet as an image.

    Args:
        pixels: for a millimetre.

    Returns:
        float32 `(rows, columns, 3)`, 0 to 1.
    """
    fig = draw_sheet()
    fig.set_dpi(pixels * INCH)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), "float32")[..., :3] / 255


if __name__ == "__main__":
    write_sheet()
    print(f"Print {PATH}")
