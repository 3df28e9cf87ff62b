"""What the figures of the notebooks hold, as a reader sees them.

`python tests/figures.py OUT.json` runs the notebooks on the sample, in one process, and writes
down what each figure holds; `python tests/figures.py OUT.json 04 05` runs only those whose names
begin so. With a folder in FIGURES, the figures are saved there.
"""

import contextlib
import json
import os
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn import datasets

ROOT = Path(__file__).resolve().parents[1]
CSS_DPI = 96  # a browser shows a pixel of a figure as 1/96 inch
COLUMN = 720  # pixels: a wider figure is shrunk to the column that a notebook is read in
SHOWS = r"plt\.show|show_digits|LiveCurves"  # what a cell that shows a figure calls
EXPONENT = 0.7  # its size, as a share of its text's


def capture(fig, picture=None):
    """Describe a figure as a reader sees it.

    Args:
        fig: a matplotlib figure.
        picture: a path to save it at, as a notebook shows it.

    Returns:
        A dict: `width` in pixels; `texts`, as `describe_text` returns them; `marks`, the lines
        and bars, each with its axes, its colour, its style, and whether a tick names it; and
        `maps`, the names of the colour maps.
    """
    width, drawn = save(fig, picture)
    layout = fig.get_layout_engine()
    fig.set_layout_engine("none")  # what is under a text must not move when the text goes
    with text_drawn_by(lambda draw, text, *arguments: None):
        canvas = FigureCanvasAgg(fig)  # a figure that was closed has lost its own
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    shown = fig.dpi / CSS_DPI * min(1, COLUMN / width)
    texts = [describe_text(text, pixels, shown) for text in drawn]
    fig.set_layout_engine(layout)
    marks = [{"axes": i, **mark} for i, ax in enumerate(fig.axes) for mark in marks_of(ax, drawn)]
    mapped = [artist for ax in fig.axes for artist in (*ax.images, *ax.collections)]
    mapped = [artist for artist in mapped if np.ndim(artist.get_array()) in (1, 2)]
    maps = sorted({artist.get_cmap().name for artist in mapped})
    return {"width": width, "texts": texts, "marks": marks, "maps": maps}


def save(fig, picture):
    """Draw a figure, and save it if asked to; return its width in pixels and the texts in it."""
    drawn = {}

    def draw_and_note(draw, text, *arguments):
        if text.get_visible() and text.get_text().strip():
            drawn[text] = True
        draw(text, *arguments)

    with text_drawn_by(draw_and_note):
        FigureCanvasAgg(fig).draw()
    if picture:
        fig.savefig(picture, dpi=fig.dpi, bbox_inches="tight")
    # A notebook crops the figure to what it holds, and adds a frame.
    inches = fig.get_tightbbox().width + 2 * plt.rcParams["savefig.pad_inches"]
    return round(inches * fig.dpi), list(drawn)


@contextlib.contextmanager
def text_drawn_by(function):
    """Let a function draw each text: it is given matplotlib's own, and what that one takes."""
    original = Text.draw
    Text.draw = lambda *arguments: function(original, *arguments)
    try:
        yield
    finally:
        Text.draw = original


def describe_text(text, pixels, shown):
    """Describe a text: its words, its points as shown, its contrast with what is under it.

    Args:
        text: a matplotlib text.
        pixels: the figure without texts, `(rows, columns, 3)`, 0 to 1.
        shown: what a point of the figure is on the page.
    """
    box = text.get_window_extent()
    top, bottom = (round(max(0, len(pixels) - y)) for y in (box.y1, box.y0))
    under = pixels[top:bottom, round(max(0, box.x0)) : round(max(0, box.x1))].reshape(-1, 3)
    if not len(under):  # beyond the canvas, where the frame that a notebook draws is paper
        under = np.ones((1, 3))
    *ink, opacity = to_rgba(text.get_color(), text.get_alpha())
    words = text.get_text().strip()
    smallest = EXPONENT if "$" in words and "^" in words else 1
    return {
        "text": words,
        "points": round(text.get_fontsize() * smallest * shown, 2),
        # All but the worst tenth of the pixels: a line of the grid may cross.
        "contrast": round(float(np.quantile(contrast(blend(ink, opacity, under), under), 0.1)), 2),
    }


def blend(ink, opacity, under):
    """Return the colours that an ink gives on others."""
    return opacity * np.asarray(ink) + (1 - opacity) * np.asarray(under)


def contrast(first, second):
    """Return the contrast of sRGB colours, 1 to 21 (WCAG 2.2)."""
    first, second = luminance(first) + 0.05, luminance(second) + 0.05
    return np.maximum(first, second) / np.minimum(first, second)


def luminance(colours):
    """Return the relative luminance of sRGB colours, 0 to 1 (WCAG 2.2)."""
    colours = np.asarray(colours)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def marks_of(ax, drawn):
    """Describe the lines, bars and points of axes."""
    paper = to_rgba(ax.get_facecolor())[:3]
    marks = []
    for line in ax.lines:
        if len(line.get_xdata()):
            style = f"{line.get_linestyle()} {line.get_marker()}"
            marks.append((to_rgba(line.get_color(), line.get_alpha()), style, False))
    for patch in ax.patches:
        colour = patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor()
        marks.append(
            (colour, f"filled {patch.get_fill()} {patch.get_hatch()}", named(patch, drawn))
        )
    for points in ax.collections:
        if points.get_array() is None:
            shapes = [path.vertices.round(2).tolist() for path in points.get_paths()]
            marks += [(colour, f"points {shapes}", False) for colour in points.get_facecolor()]
    return [
        {"colour": [round(v, 4) for v in blend(rgb, opacity, paper)], "style": style, "named": name}
        for (*rgb, opacity), style, name in dict.fromkeys(
            (tuple(map(float, colour)), style, name) for colour, style, name in marks
        )
    ]


def named(patch, drawn):
    """Tell whether a bar has the text of a tick at its middle."""
    box = patch.get_path().get_extents(patch.get_patch_transform())
    vertical = box.y0 == 0
    axis = patch.axes.xaxis if vertical else patch.axes.yaxis
    low, high = (box.x0, box.x1) if vertical else (box.y0, box.y1)
    ticks = [tick.get_loc() for tick in axis.get_major_ticks() if tick.label1 in drawn]
    return any(abs(tick - (low + high) / 2) < (high - low) / 4 for tick in ticks)


# Running the notebooks ------------------------------------------------------------------------


class Watcher:
    """Captures what is shown, as `plt.show` or as the picture that a training run updates."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.place, self.found = None, {}

    def show(self):
        """Capture the open figures, as `plt.show` shows them."""
        for number in plt.get_fignums():
            self.note(plt.figure(number), number)
        plt.close("all")

    def note(self, fig, number="shown"):
        """Capture a figure; of one that is shown again and again in a cell, the last stays."""
        name = f"{self.place[0]}-{self.place[1]}-{number}"
        picture = self.pictures and Path(self.pictures) / f"{name}.png"
        self.found[name] = {"notebook": self.place[0], "cell": self.place[1]}
        self.found[name] |= capture(fig, picture)


def run(names, pictures=None):
    """Run notebooks in this process; return a description of each figure."""
    shell, watcher = InteractiveShell.instance(), Watcher(pictures)
    take_few_digits()
    plt.switch_backend("agg")
    plt.show = lambda *arguments, **options: watcher.show()
    shell.display_formatter.formatters["image/png"].for_type(Figure, watcher.note)
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        if path.stem.startswith(tuple(names)):
            shell.reset(new_session=False)
            run_until_the_last_figure(path, shell, watcher)
    return list(watcher.found.values())


def take_few_digits(number=800):
    """Let the sample be smaller than it is: figures show what they hold with few digits too."""
    load_digits = datasets.load_digits
    datasets.load_digits = lambda **options: [part[:number] for part in load_digits(**options)]


def run_until_the_last_figure(path, shell, watcher):
    """Run the code cells of a notebook that its figures need."""
    cells = list(enumerate(nbformat.read(path, as_version=4).cells))
    cells = [(place, cell.source) for place, cell in cells if cell.cell_type == "code"]
    last = max((place for place, source in cells if re.search(SHOWS, source)), default=-1)
    for place, source in cells:
        if place <= last:
            watcher.place = (path.stem, place)
            shell.run_cell(source, store_history=False).raise_error()


if __name__ == "__main__":
    os.environ.setdefault("MNIST_SAMPLE", "1")
    out = Path(sys.argv[1]).resolve()
    os.chdir(ROOT / "notebooks")
    found = run(sys.argv[2:] or [""], os.environ.get("FIGURES"))
    out.write_text(json.dumps(found, indent=1), encoding="utf-8")
