"""Make the pages of examples/, in nobody's handwriting: `python -m tools.examples`."""

import json

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from helpers import sheet
from helpers.files import write_beside, write_text
from tools import ink, lessons
from tools.sheet import FIRST, render_sheet

FOLDER = lessons.ROOT / "examples"
SIZE = (900, 1200)  # of a page that is written on, in pixels
PHOTOGRAPH = (750, 1000)
SHEET_PIXELS = 7  # a millimetre
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10")
# A page: its rows, how it is written, its paper and its ink.
PAGES = {
    "plain.jpg": (("314159", "265358", "979323"), ink.PLAIN, None, "black"),
    "ruled.jpg": (("271828", "182845", "904523"), ink.CONTINENTAL, "ruled", "blue"),
    "squared.jpg": (("141421", "356237", "309504"), None, "squared", "pencil"),
    "printed.jpg": (("1618033", "9887498", "9484820"), "fonts", None, "black"),
}
# The sheets, and the hands they are written in.
SHEETS = {
    "sheet_neat.jpg": {"hand": ink.PLAIN, "shake": 0.015},
    "sheet_habits.jpg": {"hand": ink.HABITS, "lean": -0.3, "width": 0.9, "shake": 0.03},
}
DRAWING = {"drawing.png": ("7",)}  # one digit, black on nothing, as a drawing program saves it


def place_rows(rows, random):
    """Return `(digit, x, y, height)` for rows of digits on a page, none quite in line."""
    step_y = SIZE[0] / (len(rows) + 0.4)
    for row, digits in enumerate(rows):
        step_x = SIZE[1] / (len(digits) + 1.2)
        for column, digit in enumerate(digits):
            x = (column + 1.1) * step_x + random.normal(0, 0.03 * step_x)
            y = (row + 0.7) * step_y + random.normal(0, 0.03 * step_y)
            yield int(digit), x, y, 0.42 * step_y * random.uniform(0.85, 1.15)


def write_page(rows, hand, random):
    """Write or print rows of digits: where ink is on the page, float32 of `SIZE`, 0 to 1."""
    placed = list(place_rows(rows, random))
    if hand == "fonts":
        return print_digits(placed, random)
    strokes = [(ink.write_digit(digit, random, hand), *place) for digit, *place in placed]
    return ink.draw_strokes(SIZE, strokes, pen=8)


def print_digits(placed, random):
    """Print digits with matplotlib's fonts, another one for each seven."""
    image = Image.new("L", SIZE[::-1])
    canvas, folder = ImageDraw.Draw(image), f"{mpl.get_data_path()}/fonts/ttf"
    names = random.permutation(FONTS)
    for i, (digit, x, y, _) in enumerate(placed):
        font = ImageFont.truetype(f"{folder}/{names[i // 7]}.ttf", 150)
        canvas.text((x, y), str(digit), fill=255, font=font, anchor="mm")
    return np.asarray(image, "float32") / 255


def make_page(name, random):
    """Make a page and photograph it: the bytes of a JPEG."""
    rows, hand, lines, colour = PAGES[name]
    paper = ink.make_paper(SIZE, random, lines)
    page = ink.lay_ink(paper, write_page(rows, hand, random), colour)
    return ink.as_jpeg(ink.photograph(page, random, PHOTOGRAPH))


def fill_sheet(random, skip=(), **hand):
    """Write into the sheet's boxes: float32 `(rows, columns, 3)`.

    Args:
        random: a NumPy generator.
        skip: boxes, 0 to 39, that stay empty.
        hand: how it is written, the keywords of `ink.write_digit`.
    """
    page, placed = render_sheet(SHEET_PIXELS), []
    for i, digit in enumerate(sheet.DIGITS):
        middle = np.array(sheet.place_box(i)) + FIRST + sheet.BOX / 2 + random.normal(0, 0.8, 2)
        strokes = ink.write_digit(digit, random, **hand)
        size = (*(SHEET_PIXELS * middle), SHEET_PIXELS * random.uniform(12, 16))
        placed += [] if i in skip else [(strokes, *size)]
    cover = ink.draw_strokes(page.shape[:2], placed, pen=0.8 * SHEET_PIXELS)
    return ink.lay_ink(page * ink.make_paper(page.shape[:2], random), cover, "blue")


def make_sheet(name, random):
    """Fill in a sheet and photograph it on a desk: the bytes of a JPEG."""
    page = fill_sheet(random, **SHEETS[name])
    return ink.as_jpeg(ink.photograph(page, random, (1400, 1050), margin=0.06, askew=0.06))


def make_drawing(name, random):
    """Draw one digit on a transparent ground, 280 × 280: a Pillow image."""
    strokes = ink.write_digit(int(DRAWING[name][0]), random, ink.CONTINENTAL)
    image = np.zeros((280, 280, 4), np.uint8)
    image[..., 3] = np.round(255 * ink.draw_strokes((280, 280), [(strokes, 165, 120, 170)], pen=14))
    return Image.fromarray(image)


def write_all(folder=FOLDER):
    """Write all pages and what stands on them, each page from a seed of its own."""
    folder.mkdir(exist_ok=True)
    names = [*PAGES, *SHEETS, *DRAWING]
    for seed, name in enumerate(names):
        random = np.random.default_rng(seed)
        if name in DRAWING:
            image = make_drawing(name, random)
            write_beside(folder / name, lambda part, image=image: image.save(part, optimize=True))
        else:
            content = (make_page if name in PAGES else make_sheet)(name, random)
            write_beside(folder / name, lambda part, content=content: part.write_bytes(content))
    rows = {name: page[0] for name, page in PAGES.items()} | DRAWING
    write_text(folder / "labels.json", json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    write_all()
    print(f"Look at {FOLDER}")
