"""The sheet for forty digits of one's own: where things are on it, and how its picture is read."""

import itertools

import numpy as np
from skimage import filters, measure, transform

from helpers import digits
from helpers.files import write_beside

# In millimetres; the corner marks are squares, and x and y count from the middle of the first of
# them, which has a hole.
WIDTH, HEIGHT = 176, 240  # from mark to mark
MARK, HOLE = 8, 4  # sides
COLUMNS, ROWS = 5, 8
CELL = (32, 28)  # width and height; the first begins a mark's width from the first mark
BOX = 22  # side of the box to write in
DIGITS = tuple((7 * i + 3 * (i // 10)) % 10 for i in range(COLUMNS * ROWS))  # each ten has them all
FINE = 6  # pixels a millimetre, of the flattened picture
SMALLEST = 1.5e-4  # a mark's share of the picture; it has 0.001 of the whole sheet
BORDER = 1.2  # millimetres inside a box that are left out: its line, and an error of the corners


def place_box(i):
    """Return where box i begins, 0 to 39 in reading order: x and y in millimetres."""
    row, column = divmod(i, COLUMNS)
    return MARK + column * CELL[0] + 8, MARK + row * CELL[1] + 3


def read_sheet(picture):
    """Read a photographed or scanned sheet: perspective undone, each box cut out and prepared.

    Args:
        picture: as in `digits.find_digits`; turned by any quarter, or a little more.

    Returns:
        `(images, labels)`: uint8 `(n, 28, 28)`, as MNIST has them, and uint8 `(n,)`, the digits
        that the sheet asks for. n is 40 less the boxes that are empty.

    Raises:
        PictureError: the picture cannot be read, or not all four corner marks are seen.
    """
    flat, images, labels = flatten(picture), [], []
    for i, label in enumerate(DIGITS):
        box = cut_box(flat, i)
        found = digits.list_digits(box)
        if found:
            images.append(found[0].image if len(found) == 1 else digits.read_one(box))
            labels.append(label)
    return np.array(images, np.uint8).reshape(-1, 28, 28), np.array(labels, np.uint8)


def flatten(picture):
    """Undo the perspective: uint8 `(1440, 1056, 3)`, the middles of the marks in its corners."""
    page, _ = digits.to_working_size(*digits.open_picture(picture))
    corners = find_marks(page.mean(axis=2))
    wanted = FINE * np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)])
    matrix = fit_perspective(wanted, corners)
    flat = transform.warp(page, matrix, output_shape=(FINE * HEIGHT, FINE * WIDTH), mode="edge")
    return np.round(255 * flat.clip(0, 1)).astype(np.uint8)


def cut_box(flat, i):
    """Cut box i out of a flattened sheet, without its line."""
    left, top = (round(FINE * (start + BORDER)) for start in place_box(i))
    side = round(FINE * (BOX - 2 * BORDER))
    return flat[top : top + side, left : left + side]


def find_marks(grey):
    """Find the middles of the corner marks, clockwise, the one with the hole first.

    Args:
        grey: float `(h, w)`, 0 (black) to 1.

    Returns:
        float `(4, 2)`: x and y in pixels.

    Raises:
        PictureError: not all four are seen.
    """
    window = max(grey.shape) // 14 | 1  # three times a mark's side
    dark = grey < filters.threshold_sauvola(grey, window)
    regions = measure.regionprops(measure.label(dark, connectivity=2))
    regions = [region for region in regions if region.area_bbox > SMALLEST * grey.size]
    marks = sorted(filter(is_mark, regions), key=lambda region: -region.area_filled)[:16]
    fours = map(put_in_order, itertools.combinations(marks, 4))
    corners = [middles_of(four) for four in fours if are_alike(four)]
    if not corners:
        raise digits.PictureError(
            "Not all four corner marks of the sheet are seen.\nPhotograph the whole sheet, lying "
            "flat, from above and in even light."
        )
    return max(corners, key=area_of)


def is_mark(region):
    """Tell a square, upright or a little turned, from writing."""
    full = region.area_filled > 0.85 * region.area_convex
    return full and region.axis_minor_length > 0.6 * region.axis_major_length


def has_hole(region):
    """Tell the first mark from the others."""
    return region.area < 0.9 * region.area_filled


def are_alike(marks):
    """Tell the marks of a sheet: one has a hole, and they are as large as their distances ask."""
    areas = np.array([mark.area_filled for mark in marks])
    wanted = area_of(middles_of(marks)) * MARK**2 / (WIDTH * HEIGHT)
    return sum(map(has_hole, marks)) == 1 and (abs(np.log2(areas / wanted)) < 1).all()


def put_in_order(marks):
    """Put marks in order, clockwise, the one with the hole first."""
    middles = middles_of(marks)
    x, y = (middles - middles.mean(axis=0)).T
    marks = [marks[i] for i in np.argsort(np.arctan2(y, x))]
    first = max(range(4), key=lambda i: has_hole(marks[i]))
    return marks[first:] + marks[:first]


def middles_of(marks):
    """Return x and y of the middles of marks, float `(n, 2)`."""
    return np.array([mark.centroid[::-1] for mark in marks])


def area_of(corners):
    """Return the area of a polygon, by its corners in order (the shoelace formula)."""
    x, y = corners.T
    return 0.5 * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))


def fit_perspective(source, target):
    """Find the perspective that carries four points to four others.

    Args:
        source, target: float `(4, 2)`, x and y.

    Returns:
        float `(3, 3)`, for `skimage.transform.warp`, which asks where an output's pixel comes from.
    """
    rows, wanted = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return np.append(np.linalg.solve(rows, wanted), 1).reshape(3, 3)


def save_digits(path, images, labels):
    """Save digits of one's own, whole or not at all; its folder is made if it is not there.

    Args:
        path: of the file, `.npz`.
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, lambda part: np.savez_compressed(part, images=images, labels=labels))
