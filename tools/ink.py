"""Digits written by strokes in code, papers to write them on, and a camera that looks askew."""

import io

import numpy as np
from PIL import Image, ImageDraw
from scipy import interpolate, ndimage
from skimage import transform

from helpers.sheet import fit_perspective

# The strokes of each digit, corners as (x, y) in a box of 1 × 1, y downwards; a curve runs through
# the corners of a stroke. Several ways to write a digit; a hand keeps to one of them.
STROKES = {
    0: (
        [[(.5, .02), (.25, .1), (.1, .4), (.12, .75), (.35, .98), (.65, .93), (.85, .6),
          (.8, .25), (.6, .05), (.45, .03)]],
        [[(.5, .02), (.25, .1), (.1, .4), (.12, .75), (.35, .98), (.65, .93), (.85, .6),
          (.8, .25), (.6, .05), (.45, .03)], [(.92, .02), (.5, .5), (.05, 1.02)]],
    ),
    1: (
        [[(.5, 0), (.5, .5), (.5, 1)]],
        [[(.05, .52), (.3, .3), (.56, 0)], [(.56, 0), (.54, .5), (.52, 1)]],
        [[(.3, .22), (.52, 0)], [(.52, 0), (.51, 1)], [(.25, 1), (.78, 1)]],
        [[(-.1, .72), (.25, .38), (.6, 0)], [(.6, 0), (.57, .5), (.55, 1)]],
    ),
    2: (
        [[(.15, .25), (.3, .05), (.6, .02), (.8, .2), (.7, .5), (.4, .78), (.12, .98)],
         [(.12, .98), (.5, .95), (.88, .97)]],
        [[(.15, .2), (.4, 0), (.75, .12), (.72, .45), (.4, .8), (.2, .95), (.12, .85), (.3, .8),
          (.6, .95), (.9, .92)]],
    ),
    3: (
        [[(.15, .12), (.45, 0), (.75, .12), (.7, .35), (.4, .47)],
         [(.4, .47), (.75, .55), (.82, .8), (.5, 1), (.12, .88)]],
        [[(.15, .03), (.5, .02), (.8, .03)], [(.8, .03), (.6, .22), (.42, .4)],
         [(.42, .4), (.75, .5), (.82, .8), (.45, 1), (.12, .9)]],
    ),
    4: (
        [[(.6, 0), (.35, .35), (.08, .68)], [(.08, .68), (.5, .67), (.95, .66)],
         [(.68, .35), (.66, .7), (.65, 1)]],
        [[(.2, .05), (.18, .3), (.2, .5)], [(.2, .5), (.5, .52), (.78, .48)],
         [(.78, .02), (.77, .5), (.74, 1)]],
    ),
    5: (
        [[(.25, .03), (.22, .25), (.2, .45)],
         [(.2, .45), (.5, .38), (.82, .55), (.75, .88), (.4, 1), (.1, .9)],
         [(.25, .03), (.5, .03), (.85, .02)]],
    ),
    6: (
        [[(.7, .02), (.4, .2), (.18, .55), (.2, .85), (.5, 1), (.78, .85), (.78, .6), (.5, .5),
          (.22, .65)]],
    ),
    7: (
        [[(.1, .05), (.5, .04), (.88, .03)], [(.88, .03), (.6, .45), (.42, 1)]],
        [[(.1, .05), (.5, .05), (.88, .03)], [(.88, .03), (.62, .45), (.4, 1)],
         [(.32, .52), (.55, .5), (.8, .48)]],
    ),
    8: (
        [[(.75, .15), (.5, 0), (.22, .15), (.3, .38), (.65, .55), (.82, .8), (.5, 1), (.18, .82),
          (.35, .55), (.7, .35), (.75, .15)]],
        [[(.5, 0), (.28, .2), (.5, .45), (.72, .22), (.5, 0)],
         [(.5, .45), (.2, .75), (.5, 1), (.8, .75), (.5, .45)]],
    ),
    9: (
        [[(.75, .2), (.5, .02), (.2, .2), (.25, .45), (.5, .52), (.75, .3), (.76, .15)],
         [(.76, .15), (.74, .6), (.65, 1)]],
        [[(.72, .15), (.4, .03), (.2, .3), (.45, .5), (.72, .3), (.75, .1)],
         [(.75, .1), (.75, .6), (.6, .95), (.25, .95)]],
    ),
}  # fmt: skip
PLAIN = dict.fromkeys(range(10), 0)  # the way in which a hand writes each digit
CONTINENTAL = PLAIN | {1: 1, 2: 1, 4: 1, 7: 1, 8: 1, 9: 1}
# A stroke through the 0 from well beyond it, and a 1 with an upstroke from far below.
STRUCK = [STROKES[0][0][0], [(1.1, -.1), (.5, .5), (-.1, 1.12)]]  # fmt: skip
HABITS = CONTINENTAL | {0: STRUCK, 1: 3}
FINE = 4  # strokes are drawn at four times the page's resolution
INKS = {"black": (0.1, 0.1, 0.12), "blue": (0.1, 0.16, 0.5), "pencil": (0.42, 0.42, 0.43)}


def trace(corners):
    """Return 30 points along a stroke's corners, float `(30, 2)`: a curve, or a straight line."""
    corners = np.array(corners, float)
    lengths = np.hypot(*np.diff(corners, axis=0).T)
    along = np.r_[0, np.cumsum(lengths + 1e-6)]
    places = np.linspace(0, along[-1], 30)
    if len(corners) < 3:
        return np.stack([np.interp(places, along, axis) for axis in corners.T], axis=1)
    return interpolate.CubicSpline(along, corners)(places)


def write_digit(digit, random, hand=None, lean=0.1, width=0.68, shake=0.02):
    """Write a digit as a hand does: no two are alike.

    Args:
        digit: 0 to 9.
        random: a NumPy generator.
        hand: `{digit: way}`, such as `PLAIN`, a way being a number or strokes; by default any way.
        lean: how far its top leans to the right, in heights.
        width: of its box, in heights.
        shake: by how much each corner is off, in heights.

    Returns:
        A list of float `(n, 2)`, the strokes: x and y in heights from the digit's middle.
    """
    ways = STROKES[digit]
    way = hand[digit] if hand else random.integers(len(ways))
    strokes = way if isinstance(way, list) else ways[way]
    lean, width = lean + random.normal(0, 0.06), width * random.uniform(0.88, 1.12)
    written = []
    for corners in strokes:
        points = trace(np.array(corners) + random.normal(0, shake, (len(corners), 2))) - 0.5
        across = width * points[:, 0] - lean * points[:, 1]
        written.append(np.stack([across, points[:, 1]], axis=1))
    return written


def draw_strokes(shape, placed, pen):
    """Draw strokes onto an empty page.

    Args:
        shape: rows and columns of the page.
        placed: a list of `(strokes, x, y, height)`, the digit's middle and height in pixels.
        pen: width of the strokes in pixels.

    Returns:
        float32 of that shape, 0 (paper) to 1 (ink).
    """
    image = Image.new("L", (shape[1] * FINE, shape[0] * FINE))
    canvas, width = ImageDraw.Draw(image), max(1, round(pen * FINE))
    for strokes, x, y, height in placed:
        for points in strokes:
            line = [tuple(point) for point in FINE * (points * height + (x, y))]
            canvas.line(line, fill=255, width=width, joint="curve")
            for px, py in (line[0], line[-1]):
                canvas.circle((px, py), width / 2, fill=255)
    return np.asarray(image.reduce(FINE), "float32") / 255


def make_paper(shape, random, lines=None):
    """Make a page and nothing written on it, float32 `(rows, columns, 3)`, 0 to 1.

    Args:
        shape: rows and columns.
        random: a NumPy generator, for the paper's grain.
        lines: `"ruled"`, `"squared"` or None; 50 pixels apart.
    """
    page = np.full((*shape, 3), 0.93, "float32") * np.array([1, 0.99, 0.96], "float32")
    page += 0.012 * ndimage.gaussian_filter(random.normal(size=shape), 1)[..., np.newaxis]
    for turned in {"ruled": (0,), "squared": (0, 1)}.get(lines, ()):
        view = page.swapaxes(0, turned)
        for start in range(25, len(view), 50):
            view[start : start + 2] *= (0.72, 0.82, 0.93)
    return page


def lay_ink(page, cover, ink):
    """Lay ink onto a page: `cover`, 0 to 1 for each pixel, in a colour of `INKS`."""
    cover = cover[..., np.newaxis]
    return page * (1 - cover) + np.array(INKS[ink], "float32") * cover


def shade(shape, random, depth):
    """Return the light on a page, float `(rows, columns)`: it falls to one side, with a shadow."""
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    angle, edge = random.uniform(0, 2 * np.pi, 2), random.uniform(-0.1, 0.3)
    fall, side = (np.cos(a) * (x - 0.5) + np.sin(a) * (y - 0.5) for a in angle)
    return (1 + 0.3 * fall) * (1 - depth / (1 + np.exp(-(side - edge) / 0.04)))


def photograph(page, random, size, margin=0.0, askew=0.04, depth=0.35):
    """Photograph a page: perspective, shadow, blur and noise.

    Args:
        page: float `(rows, columns, 3)`, 0 to 1.
        random: a NumPy generator.
        size: rows and columns of the photograph.
        margin: what is seen of the desk on each side, as a share of the photograph; with 0 the page
            reaches beyond it.
        askew: how far each corner is off, as a share.
        depth: of the shadow, 0 (none) to 1.

    Returns:
        uint8 `(rows, columns, 3)`.
    """
    ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    seen = margin + (1 - 2 * margin) * ends
    seen += random.uniform(0, askew, (4, 2)) * np.sign(0.5 - ends) * (1 if margin else -1)
    matrix = fit_perspective(seen * (size[1], size[0]), ends * (page.shape[1], page.shape[0]))
    desk = 0.35 + 0.1 * np.outer(np.ones(size[0]), np.sin(np.arange(size[1]) / 9) ** 2)
    # Averaged over what falls on one pixel, or thin lines would come and go.
    soft = ndimage.gaussian_filter(page, (*[0.4 * page.shape[0] / size[0]] * 2, 0))
    seen = transform.warp(soft, matrix, output_shape=size, order=1, cval=np.nan)
    image = np.where(np.isnan(seen), desk[..., np.newaxis], seen)
    image *= shade(size, random, depth)[..., np.newaxis]
    image = ndimage.gaussian_filter(image, (0.7, 0.7, 0))
    image += random.normal(0, 0.015, image.shape)
    return np.round(255 * image.clip(0, 1)).astype(np.uint8)


def as_jpeg(image):
    """Return an image, uint8 `(rows, columns, 3)`, as the bytes of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75)
    return file.getvalue()
