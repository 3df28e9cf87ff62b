"""What the figures of the notebooks hold, as a reader sees them, and what is wrong with them.

`STARTUP`, put among IPython's startup files, makes a kernel write down what its figures hold.
"""

import contextlib
import itertools
import json
import os
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from colorspacious import cspace_convert
from IPython.core import pylabtools
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.text import Text

CSS_DPI = 96  # a browser shows a pixel of a figure as 1/96 inch
COLUMN = 720  # pixels: a wider figure is shrunk to the column that a notebook is read in
EXPONENT = 0.7  # its size, as a share of its text's
POINTS = 9  # of text, at the size shown
CONTRAST = 4.5  # of text with what is under it (WCAG 2.2, level AA)
# How far apart two colours of a figure must lie for each way of seeing: CAM02-UCS, in which 1 is
# about what can be told apart side by side. Blue and orange lie 60 apart, in grey print 20.
DISTANCE = 10
SIGNED = ("RdBu_r",)  # diverging maps, white at zero
# Machado, Oliveira and Fernandes, 2009; a severity of 100 is the complete lack of a kind of cone.
SIGHTS = {
    "usual sight": None,
    "deuteranopia": "deuteranomaly",
    "protanopia": "protanomaly",
    "tritanopia": "tritanomaly",
    "grey print": None,
}
STARTUP = f"""import sys
sys.path.append({str(Path(__file__).parent)!r})
import figures
figures.watch(get_ipython())
"""


def capture(fig):
    """Describe a figure as a reader sees it.

    Args:
        fig: a matplotlib figure.

    Returns:
        A dict: `width` in pixels; `texts`, as `describe_text` returns them; `marks`, the lines
        and bars, each with its axes, its colour, its style, and whether a tick names it; and
        `maps`, the names of the colour maps.
    """
    width, drawn = measure(fig)
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


def measure(fig):
    """Draw a figure; return its width in pixels and the texts in it."""
    drawn = {}

    def draw_and_note(draw, text, *arguments):
        if text.get_visible() and text.get_text().strip():
            drawn[text] = True
        draw(text, *arguments)

    with text_drawn_by(draw_and_note):
        FigureCanvasAgg(fig).draw()
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
    return cspace_convert(colours, "sRGB1", "XYZ1")[..., 1]


def marks_of(ax, drawn):
    """Describe the lines, bars and points of axes, each look once."""
    paper, marks = to_rgba(ax.get_facecolor())[:3], []

    def note(colour, style, name=False):
        *rgb, opacity = colour
        shown = blend(rgb, opacity, paper).round(4).tolist()
        mark = {"colour": shown, "style": style, "named": name}
        if mark not in marks:
            marks.append(mark)

    for line in ax.lines:
        if len(line.get_xdata()):
            style = f"{line.get_linestyle()} {line.get_marker()}"
            note(to_rgba(line.get_color(), line.get_alpha()), style)
    for patch in ax.patches:
        colour = patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor()
        note(colour, f"filled {patch.get_fill()} {patch.get_hatch()}", named(patch, drawn))
    for points in ax.collections:
        if points.get_array() is None:
            shapes = [path.vertices.round(2).tolist() for path in points.get_paths()]
            for colour in np.unique(points.get_facecolor(), axis=0):
                note(colour, f"points {shapes}")
    return marks


def named(patch, drawn):
    """Tell whether a bar has the text of a tick at its middle."""
    box = patch.get_path().get_extents(patch.get_patch_transform())
    vertical = box.y0 == 0
    axis = patch.axes.xaxis if vertical else patch.axes.yaxis
    low, high = (box.x0, box.x1) if vertical else (box.y0, box.y1)
    ticks = [tick.get_loc() for tick in axis.get_major_ticks() if tick.label1 in drawn]
    return any(abs(tick - (low + high) / 2) < (high - low) / 4 for tick in ticks)


# Watching a kernel ----------------------------------------------------------------------------


def watch(shell):
    """Write down, after each cell of this kernel, what the figures hold that were shown.

    The folder is named by the variable FIGURES; each kernel has a file of its own there.
    """
    out, shown, found = Path(os.environ["FIGURES"]) / f"{os.getpid()}.json", {}, []
    print_figure = pylabtools.print_figure

    def print_and_note(fig, *arguments, **options):
        shown[id(fig)] = fig  # of a figure that is shown again in a cell, the last counts
        return print_figure(fig, *arguments, **options)

    def capture_shown(result):
        place = result.execution_count
        found.extend({"cell": place, **capture(fig)} for fig in shown.values())
        shown.clear()
        out.write_text(json.dumps(found), encoding="utf-8")

    pylabtools.print_figure = print_and_note
    shell.events.register("post_run_cell", capture_shown)


# What is wrong with a figure ------------------------------------------------------------------


def seen(colours, sight):
    """Return sRGB colours, 0 to 1, as CAM02-UCS coordinates, for a way of seeing."""
    colours = np.array(colours, float)
    if sight == "grey print":
        white = cspace_convert([1, 1, 1], "sRGB1", "XYZ1")
        grey = cspace_convert(luminance(colours)[..., np.newaxis] * white, "XYZ1", "sRGB1")
        colours = np.clip(grey, 0, 1)
    elif SIGHTS[sight]:
        space = {"name": "sRGB1+CVD", "cvd_type": SIGHTS[sight], "severity": 100}
        colours = np.clip(cspace_convert(colours, space, "sRGB1"), 0, 1)
    return cspace_convert(colours, "sRGB1", "CAM02-UCS")


def check_texts(figure):
    """Return the texts that are too small or too pale."""
    found = []
    for text in figure["texts"]:
        if text["points"] < POINTS:
            found.append(f"{text['text']!r}: {text['points']} points")
        if text["contrast"] < CONTRAST:
            found.append(f"{text['text']!r}: contrast {text['contrast']}")
    return found


def check_colours(figure):
    """Return the pairs of colours that somebody cannot tell apart."""
    return close_pairs({tuple(mark["colour"]) for mark in figure["marks"]})


def close_pairs(colours, sights=SIGHTS):
    """Return the pairs of colours that lie too close together for a way of seeing."""
    colours, found = sorted(colours), []
    for sight in sights if colours else ():
        places = zip(colours, seen(colours, sight), strict=True)
        for (one, here), (other, there) in itertools.combinations(places, 2):
            distance = np.linalg.norm(here - there)
            if distance < DISTANCE:
                found.append(f"{one} and {other} for {sight}: {distance:.1f}")
    return found


def check_styles(figure):
    """Return what only a colour tells apart: no marker, line style, hatch or name of its own."""
    found = []
    for one, other in itertools.combinations(figure["marks"], 2):
        same = (one["axes"], one["style"]) == (other["axes"], other["style"])
        if same and one["colour"] != other["colour"] and not (one["named"] and other["named"]):
            found.append(f"{one['colour']} and {other['colour']}: both {one['style']}")
    return found


def check_maps(figure):
    """Return the colour maps that do not get steadily lighter, or darker, for everybody.

    A map of signed numbers may get darker to both ends where a minus, drawn or written, marks what
    is below zero.
    """
    found, texts = [], [text["text"] for text in figure["texts"]]
    minus = any(mark["style"].endswith("_") for mark in figure["marks"])
    # Written as `plots.draw_signed` does; the numbers of an axis have a longer minus.
    minus = minus or any(re.fullmatch(r"-[\d.]+", text) for text in texts)
    for name in figure["maps"]:
        colours = mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3]
        halves = (colours[31::-1], colours[32:]) if minus and name in SIGNED else (colours,)
        for half, sight in itertools.product(halves, SIGHTS):
            lightness = seen(half, sight)[:, 0]
            steps = np.diff(lightness) * np.sign(lightness[-1] - lightness[0])
            if steps.min() < 0 or abs(lightness[-1] - lightness[0]) < 50:
                found.append(f"{name} for {sight}")
    return found


FIGURE_CHECKS = (check_texts, check_colours, check_styles, check_maps)
