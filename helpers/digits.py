"""From a person's page to MNIST's form: find the digits on a picture, and prepare each of them."""

import functools
import io
import itertools
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage
from skimage import filters, measure, transform

LONGEST = 1400  # pixels: the longest side that is worked on; a larger picture is reduced first
SHORTEST = 200  # and the longest side of a small one, which is enlarged
SURVEY = 160  # longest side of the small copy on which paper and light are estimated
FINE = 8  # a digit is cut out at eight times MNIST's resolution
STROKES = (2.4, 3.4)  # what a stroke's width is brought between; MNIST's middle half, in pixels
WINDOWS = (27, 41, 61)  # survey pixels, wider than a stroke, narrower than a shadow
MINIMUM = 0.1  # the mean contrast of a whole stroke, at least
FAINTEST = 0.05  # the contrast to its paper, of 1, below which nothing is taken for ink
SMALLEST = 12  # pixels, of the longer side
LARGEST = 120_000_000  # pixels
ASK = " A photograph or scan as JPEG or PNG is due."
TOO_LARGE = "is too large. Make it smaller: 2,000 pixels are plenty."
KINDS = {
    b"%pdf": "is a PDF: take a picture of its page",
    b"<svg": "is an SVG drawing: export it as PNG",
    b"<?xml": "is an SVG drawing: export it as PNG",
    b"<": "is a web page, perhaps a log-in page",
    b"pk": "is a zip file: unpack it first",
    b"{": "is text, perhaps a notebook",
    b"\x93numpy": "is a NumPy file: pass np.load of it",
}


class PictureError(ValueError):
    """A picture that cannot be read; the message says why, and what to do."""


class Digit(NamedTuple):
    """A digit that was found: prepared, where it is, and what may be wrong with it."""

    image: np.ndarray  # uint8 (28, 28), as MNIST has them
    box: tuple  # top, left, bottom, right, in pixels of the picture
    contrast: float  # of the ink to its paper, 0 to 1
    touching: bool  # wide enough for two
    cut_off: bool  # at the picture's edge

    def note(self):
        """Say what to do better next time, or that all is well."""
        causes = {
            "too faint: a darker pen, or more light": self.contrast < 0.3,
            "too small: closer to the page": self.box[2] - self.box[0] < 20,
            "cut off: leave a margin": self.cut_off,
            "perhaps two that touch: leave room between digits": self.touching,
        }
        return "; ".join(cause for cause, holds in causes.items() if holds) or "fine"


def find_digits(picture):
    """Find the digits on a page and prepare each as MNIST's were.

    Args:
        picture: a path, a PIL image or an array (see `open_picture`), dark ink on light paper or
            light on dark.

    Returns:
        `(images, boxes)` in reading order: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink), and int
        `(n, 4)`: top, left, bottom, right in pixels of the picture. A blank page has n = 0.

    Raises:
        PictureError: the picture cannot be read; the message says why and what to do.
    """
    found = list_digits(picture)
    images = np.array([digit.image for digit in found], np.uint8).reshape(-1, 28, 28)
    return images, np.array([digit.box for digit in found], int).reshape(-1, 4)


def list_digits(picture):
    """Find the digits on a page, in reading order: a list of `Digit`; else as `find_digits`."""
    page, scale = to_working_size(*open_picture(picture))
    ink = find_ink(page)
    labels, parts = find_parts(ink)
    parts = [part for part in parts if part.contrast > 0.3 or not touches_edge(part.box, ink.shape)]
    found = []
    for part in in_reading_order(join_parts(parts)):
        mask = np.isin(labels[part.place], part.labels)
        digit = Digit(
            image=prepare(mask),
            box=tuple(round(side / scale) for side in part.box),
            contrast=float(part.contrast),
            touching=part.width > 1.3 * part.height,
            cut_off=touches_edge(part.box, ink.shape),
        )
        found.append(digit)
    return found


def read_one(picture):
    """Prepare the one digit on a picture, all its parts together, also at the picture's edge.

    Args:
        picture: as in `find_digits`.

    Returns:
        uint8 `(28, 28)`, 0 (paper) to 255 (ink), as MNIST has them.

    Raises:
        PictureError: the picture cannot be read, or nothing stands out from its paper.
    """
    page, _ = to_working_size(*open_picture(picture))
    ink = find_ink(page)
    labels, parts = find_parts(ink)
    parts = parts or find_parts(ink, doubtful=True)[1]
    if not parts:
        raise PictureError("No digit on this picture stands out from its paper.")
    one = join_one(parts, ink.shape)
    return prepare(np.isin(labels[one.place], one.labels))


def open_picture(picture):
    """Open a picture and lay it on its paper.

    Args:
        picture: a path, a PIL image, or an array: `(h, w)` or `(h, w, 1 to 4)`, of uint8, uint16,
            bool, or float from 0 to 1 or from 0 to 255.

    Returns:
        The pixels, float32 `(h, w, 3)`, 0 to 1, upright, a large picture reduced; and the longest
        side that the picture had.

    Raises:
        PictureError: it is none of these, damaged, or too small or too large to read.
    """
    if isinstance(picture, (str, Path)):
        picture = _read_file(Path(picture))
    image = picture if isinstance(picture, Image.Image) else _to_image(picture)
    if max(image.size) < SMALLEST or min(image.size) < 3:
        raise PictureError(f"A picture of {image.width} × {image.height} pixels is too small.{ASK}")
    if image.width * image.height > LARGEST:
        raise PictureError(f"A picture of {image.width} × {image.height} pixels {TOO_LARGE}")
    given = max(image.size)
    try:
        image.draft("RGB", (LONGEST, LONGEST))  # a JPEG is decoded at the size that is needed
        image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"The picture is damaged: {error}.\nCopy or save it again.") from None
    return _to_pixels(image), given


def _read_file(path):
    """Open a file with PIL, or say in plain words why not."""
    if path.is_dir():
        raise PictureError(f"{path.name} is a folder. Give the name of one picture in it.")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PictureError(f"There is no file {path}. Is the name right?") from None
    except OSError as error:
        raise PictureError(f"{path.name} cannot be read: {error.strerror}.") from None
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            return Image.open(io.BytesIO(content))
    except Image.DecompressionBombError:
        raise PictureError(f"{path.name} {TOO_LARGE}") from None
    except (OSError, SyntaxError, ValueError):
        raise PictureError(f"{path.name} {_kind(content[:512])}.{ASK}") from None


def _kind(head):
    """Say what a file is that PIL does not open, by how it begins."""
    if not head.strip(b"\0"):
        return "is empty"
    if head[4:8] == b"ftyp":
        return "is HEIC or a film, which phones make: save or send it as JPEG"
    head = head.lstrip().lower()
    kinds = (words for start, words in KINDS.items() if head.startswith(start))
    return next(kinds, "is not a picture, or is damaged")


def _to_image(array):
    """Make a PIL image of an array, by its type and range."""
    array = np.asarray(array)
    if array.shape[2:] == (1,):
        array = array[..., 0]
    shaped = array.ndim > 1 and array.shape[2:] in ((), (2,), (3,), (4,))
    if array.dtype.kind not in "buif" or not shaped or not array.size:
        raise PictureError(
            "A picture is a path, a PIL image or an array of numbers, (h, w) or (h, w, 3); "
            f"got {array.dtype}, shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise PictureError("There are NaN or infinite pixels in it. Find out where they come from.")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 65535:
        raise PictureError(f"Pixels go from 0 to 255 (or 1, or 65,535); these {low:g} to {high:g}.")
    top = 1 if high <= 1 and array.dtype.kind in "bf" else 255
    if high > 255 or array.dtype == np.uint16:
        top = 65535
    return Image.fromarray(np.round(array * (255.0 / top)).astype(np.uint8))


def _to_pixels(image):
    """Turn a PIL image of any mode into float32 (h, w, 3); a large one is reduced."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = _to_image(np.asarray(image))
    clear = image.has_transparency_data
    if image.mode in ("1", "P", "PA"):  # there is no average of these
        image = image.convert("RGBA" if clear else "RGB")
    image = image.reduce(max(1, max(image.size) // LONGEST))
    pixels = np.asarray(image.convert("RGBA" if clear else "RGB"), "float32") / 255
    return on_paper(pixels) if clear else pixels


def on_paper(pixels):
    """Lay pixels `(h, w, 4)` on paper, white or black, from which their ink stands out."""
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    tone = (colours * alpha).sum() / max(3 * alpha.sum(), 1e-6)
    return colours * alpha + (1 - alpha) * (tone < 0.5)


def to_working_size(page, given):
    """Resize pixels `(h, w, 3)` to what is worked on; return them and their scale."""
    longest = max(page.shape[:2])
    page = _scale(page, np.clip(longest, SHORTEST, LONGEST) / longest)
    return page, max(page.shape[:2]) / given


def _scale(image, times, least=8):
    """Resize as `_resize`, both sides by the same factor, to `least` pixels at least."""
    return _resize(image, [max(least, round(side * times)) for side in image.shape[:2]])


def _resize(image, size):
    """Resize float (h, w[, 3]): bicubic, with area averaging where it shrinks."""
    if image.ndim == 3:
        return np.stack([_resize(image[..., i], size) for i in range(3)], axis=2)
    method = Image.Resampling.BOX if size[1] < image.shape[1] else Image.Resampling.BICUBIC
    image = Image.fromarray(image.astype("float32"))
    return np.asarray(image.resize(size[::-1], method))


def _survey(image):
    """Return a small copy, on which paper and light are estimated."""
    return _scale(image, 1 / max(1, round(max(image.shape[:2]) / SURVEY)))


def find_ink(page):
    """Return each pixel's contrast to its paper, float32 `(h, w)`, 0 (paper) to 1 (ink)."""
    grey = to_grey(page)
    small = _survey(grey)
    if not is_dark_ink(small):
        grey, small = 1 - grey, 1 - small
    paper = _resize(find_paper(small), grey.shape)
    return ((paper - grey) / np.maximum(paper, 0.15)).clip(0, 1)


def find_paper(small):
    """The paper's tone behind the ink: a closing, as narrow as the strokes allow."""
    margin = min(max(WINDOWS) // 2, min(small.shape) - 1)
    soft = ndimage.gaussian_filter(small, 0.7)
    # Beyond the edge the light goes on falling as it did; a mirror would turn it round.
    falling = np.pad(soft, margin, "reflect", reflect_type="odd")
    wide = np.minimum(falling, np.pad(soft, margin, "edge"))
    wide = np.maximum(wide, 0.5 * np.median(soft))
    inner = (slice(margin, -margin),) * 2
    candidates = [ndimage.grey_closing(wide, side)[inner] for side in WINDOWS]
    depths = [np.quantile(paper - soft, 0.99) for paper in candidates]
    enough = next(i for i, depth in enumerate(depths) if depth >= 0.9 * max(depths))
    best = candidates[min(enough + 1, len(candidates) - 1)]
    return ndimage.gaussian_filter(best, 1)


def to_grey(page):
    """Mix the channels so that ink and paper differ most: their main axis (Pearson, 1901)."""
    small = _survey(page)
    residual = (small - ndimage.gaussian_filter(small, (SURVEY / 6, SURVEY / 6, 0))).reshape(-1, 3)
    size = np.linalg.norm(residual, axis=1)
    _, _, axes = np.linalg.svd(residual[size >= np.quantile(size, 0.9)], full_matrices=False)
    axis = axes[0] * (1 if axes[0].sum() >= 0 else -1)
    low, high = np.minimum(axis, 0).sum(), np.maximum(axis, 0).sum()
    return (page @ axis - low) / (high - low)


def is_dark_ink(small):
    """Tell dark ink from light: taking the right one for ink leaves the smoother paper."""
    dark, light = (roughness(find_paper(grey)) for grey in (small, 1 - small))
    return dark < 1.3 * light


def roughness(paper):
    """Return the mean step from a pixel to the next; ink left in the paper makes it large."""
    return sum(np.abs(np.diff(paper, axis=axis)).mean() for axis in (0, 1))


def noise_of(ink):
    """Return the standard deviation of the paper's grain, smoothed as the ink is."""
    soft = ndimage.gaussian_filter(ink, 1)[::2, ::2]
    return float(np.quantile(np.abs(soft - ndimage.uniform_filter(soft, 9)), 0.25)) / 0.32


def threshold(ink):
    """Mark as ink what is half as dark as the darkest nearby, and what hangs on to it."""
    soft = ndimage.gaussian_filter(ink, 0.7)
    level = float(np.quantile(soft, 1 - max(0.0008, 60 / soft.size)))
    floor = max(FAINTEST, min(5 * noise_of(ink), 0.4 * level), 0.22 * level)
    local = ndimage.maximum_filter(soft, max(9, int(max(soft.shape) / 12)))
    high = np.maximum(0.5 * local, floor)
    low = np.maximum(0.35 * local, 0.6 * floor)
    return filters.apply_hysteresis_threshold(soft, low, high)


def remove_lines(mask, ink):
    """Rub out ruled and squared paper: lines that run from edge to edge, where nothing crosses."""
    found = [line for turned in (False, True) for line in find_lines(mask, ink, turned)]
    rest = mask & ~draw_band(found, mask.shape)
    lines = [line for line in found if is_ruled(line, found, rest, ink)]
    if not lines:
        return mask
    band = draw_band(lines, mask.shape)
    width = int(max(line.width for line in lines))
    beside = ndimage.binary_dilation(band, iterations=width // 2 + 1) & ~band
    crossed = ndimage.binary_dilation(mask & beside, iterations=width + 1)
    return mask & (~band | crossed)


def width_of(inside, depth):
    """Return the mean width of strokes `inside`, by how deep their pixels lie."""
    return 4 * (float(depth[inside].mean()) - 0.5)


class Line(NamedTuple):
    """A line across the picture."""

    turned: bool  # from top to bottom
    places: np.ndarray  # row of its middle in each column (column in each row, if turned)
    width: float
    contrast: float
    reach: float  # the share of it that is there, 0 to 1


def draw_band(lines, shape):
    """Draw lines as a mask, a little wider than they are."""
    band = np.zeros(shape, bool)
    for line in lines:
        view = band.T if line.turned else band
        rows = np.arange(len(view))[:, np.newaxis]
        view |= np.abs(rows - line.places) <= np.ceil(line.width / 2 + 1) + 0.5
    return band


def is_ruled(line, lines, rest, ink):
    """Tell a ruled line from a digit's own stroke, which runs from edge to edge in a tight crop."""
    middle = len(line.places) // 2
    gaps = [
        abs(other.places[middle] - line.places[middle])
        for other in lines
        if other.turned == line.turned
        and line.contrast / 1.6 < other.contrast < 1.6 * line.contrast
    ]
    parallel = max(gaps, default=0) > 3 * line.width + 4
    if parallel or not rest.any():
        return parallel or not line.turned or line.width < 0.02 * len(line.places)
    if line.reach < 0.97:  # a stroke of a digit that has a margin
        return False
    tone = float(np.quantile(ink[rest], 0.7))
    pen = width_of(rest, ndimage.distance_transform_edt(rest))
    across = np.flatnonzero(rest.any(axis=0 if line.turned else 1))
    tight = np.ptp(across) > 0.6 * rest.shape[1 if line.turned else 0]
    return line.contrast < 0.7 * tone or line.width < 0.65 * pen or not tight


def find_lines(mask, ink, turned):
    """Find straight thin lines from edge to edge (Hough, 1962), within 8° of the sides."""
    if turned:
        mask, ink = mask.T, ink.T
    k = max(1, -(-max(mask.shape) // 400))
    few = ndimage.maximum_filter(mask, k)[::k, ::k]
    angles = np.pi / 2 + np.deg2rad(np.arange(-8, 8.1, 0.4))
    votes, angles, distances = transform.hough_line(few, theta=angles)
    peaks = transform.hough_line_peaks(
        votes, angles, distances, min_distance=4, min_angle=10, threshold=0.55 * few.shape[1]
    )
    along = np.arange(mask.shape[1])
    lines = [
        _follow(mask, ink, (k * distance - along * np.cos(angle)) / np.sin(angle), turned)
        for angle, distance in zip(*peaks[1:], strict=True)
    ]
    return [line for line in lines if line.reach > 0.8]


def _follow(mask, ink, places, turned):
    """Measure along a line: where its middle is, how wide, how dark, how much of it is there."""
    reach = max(16, int(0.06 * min(mask.shape)))
    offsets = np.arange(-reach, reach + 1)
    across = np.round(places + offsets[:, np.newaxis]).astype(int)
    seen = (across.clip(0, len(mask) - 1), np.arange(len(places)))
    hit = mask[seen] & (across == seen[0])
    share = hit.mean(axis=1)
    near = share > 0.5 * share.max()
    if not near.any():
        return Line(turned, places, 0, 0, 0)
    middle = float(np.average(offsets[near], weights=share[near]))
    thin = share.max() > 0.6 and near.sum() < 0.6 * reach + 2 and not near[[0, -1]].any()
    covered = float(ndimage.binary_dilation(hit[near].any(axis=0), iterations=3).mean())
    contrast = float(np.median(ink[seen][hit & near[:, np.newaxis]]))
    return Line(turned, places + middle, float(near.sum()), contrast, covered * thin)


class Part(NamedTuple):
    """A connected piece of ink, or several that make a digit."""

    labels: tuple  # of its pieces
    box: tuple  # top, left, bottom, right
    area: float  # pixels
    mass: float  # the sum of its contrast

    @property
    def contrast(self):
        return self.mass / self.area

    @property
    def height(self):
        return self.box[2] - self.box[0]

    @property
    def width(self):
        return self.box[3] - self.box[1]

    @property
    def longest(self):
        return max(self.height, self.width)

    @property
    def place(self):
        return np.s_[self.box[0] : self.box[2], self.box[1] : self.box[3]]


def find_parts(ink, doubtful=False):
    """Label the pieces of ink, without specks and without what is not sharp."""
    mask = remove_lines(threshold(ink), ink)
    labels = measure.label(mask, connectivity=2)
    regions = measure.regionprops(labels, intensity_image=ink)
    parts = [Part((r.label,), r.bbox, r.area, r.area * r.intensity_mean) for r in regions]
    heaviest = max((part.mass for part in parts), default=0)
    parts = [part for part in parts if part.mass > 0.01 * heaviest and part.longest > 7]
    if not doubtful:
        noise = noise_of(ink)
        parts = [part for part in parts if is_stroke(part, labels, ink, noise)]
        parts = [part for part in parts if not is_frame(part, parts, labels)]
    return labels, parts


def is_frame(part, parts, labels):
    """Tell a frame, with others inside it, and a bar from edge to edge."""
    top, left, bottom, right = part.box
    if part.longest < 0.7 * max(labels.shape):
        return False
    boxes = [other.box for other in parts if other.mass > 0.3 * part.mass]
    if any(top < b[0] and left < b[1] and b[2] < bottom and b[3] < right for b in boxes):
        return True
    inside = labels[part.place] == part.labels
    thin = width_of(inside, ndimage.distance_transform_edt(inside)) < 0.02 * part.longest
    return thin and part.height >= max(2.5 * part.width, len(labels) - 2)


def is_stroke(part, labels, ink, noise):
    """Tell a stroke, long and with sharp edges, from a shadow's corner and the paper's grain."""
    inside = np.pad(labels[part.place] == part.labels, 1)
    depth = ndimage.distance_transform_edt(inside)
    pen = width_of(inside, depth)
    if pen > 0.42 * part.longest or part.contrast < MINIMUM:
        return False
    if part.contrast > 0.35:
        return True
    soft = ndimage.gaussian_filter(ink[part.place], 1)
    slope = np.hypot(*np.gradient(np.pad(soft, 1, "edge")))
    steep = np.median(slope[inside & (depth <= 1.5)]) * pen / part.contrast
    return steep > 1.1 and part.contrast > 6.5 * noise


def join(one, other):
    """Make one part of two."""
    boxes = np.array([one.box, other.box])
    box = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    return Part(one.labels + other.labels, box, one.area + other.area, one.mass + other.mass)


def join_one(parts, shape):
    """Join the parts of the one digit: the main one, and what is close and dark enough."""
    edge = {part: touches_edge(part.box, shape) for part in parts}
    main = max(parts, key=lambda part: part.mass * (0.4 if edge[part] else 1))

    def belongs(part):
        near, tone = (0.1, 0.7) if edge[part] else (0.3, 0.4)
        close = box_gap(part.box, main.box) < near * main.longest
        return close and part.mass > 0.015 * main.mass and part.contrast > tone * main.contrast

    return functools.reduce(join, (part for part in parts if part is main or belongs(part)))


def join_parts(parts):
    """Join pieces into digits; leave out dashes, and what is small beside the others."""
    while pair := next((p for p in itertools.combinations(parts, 2) if belong_together(*p)), None):
        parts = [part for part in parts if part not in pair] + [join(*pair)]
    sides = sorted(part.longest for part in parts)
    typical = sides[3 * len(sides) // 4] if sides else 0
    heaviest = max((part.mass for part in parts), default=0)
    return [
        part
        for part in parts
        if part.longest > 0.3 * typical
        and part.mass > 0.04 * heaviest
        and part.width < 2.5 * part.height
    ]


def belong_together(one, other):
    """Two pieces are one digit if one lies within the other's box, or is small and close."""
    large, small = sorted((one, other), key=lambda part: part.longest, reverse=True)
    down, across = shared_sides(large.box, small.box)
    if across > 0 and down > 0:
        return across * down > 0.35 * small.width * small.height
    if small.height < 0.65 * large.longest and across > 0.15 * min(large.width, small.width):
        return -down < 0.15 * large.longest
    close = box_gap(large.box, small.box) < 0.1 * large.longest
    return close and small.longest < 0.62 * large.longest


def in_reading_order(parts):
    """Sort digits line by line, from left to right."""
    lines = []
    for part in sorted(parts, key=lambda part: part.box[0]):
        for line in lines:
            shared, _ = shared_sides(part.box, line[0].box)
            if shared > 0.4 * min(part.height, line[0].height):
                line.append(part)
                break
        else:
            lines.append([part])
    return [part for line in lines for part in sorted(line, key=lambda part: part.box[1])]


def touches_edge(box, shape):
    """Tell whether a box reaches the picture's edge."""
    return min(box[0], box[1], shape[0] - box[2], shape[1] - box[3]) <= 1


def shared_sides(one, other):
    """Return the height and the width that two boxes share; the gap, below 0, where they do not."""
    down, across = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    return down, across


def overlap(one, other):
    """Return what two boxes share, of all that they cover: 0 (nothing) to 1 (the same box)."""
    down, across = shared_sides(one, other)
    shared = max(0, down) * max(0, across)
    areas = [(bottom - top) * (right - left) for top, left, bottom, right in (one, other)]
    return shared / (sum(areas) - shared)


def box_gap(one, other):
    """Return the pixels between two boxes, 0 where they overlap."""
    return max(0, *(-side for side in shared_sides(one, other)))


def prepare(mask):
    """Prepare a digit's mask as MNIST's were (LeCun and others, 1998): uint8 `(28, 28)`."""
    cover = cut_out(mask, 20 * FINE)
    touched = cover > 0.05
    fine = np.median(cover[touched]) < 0.75  # strokes that would be lost, finer than a pixel here
    large = np.pad(touched if fine else cover > 0.5, 4 * FINE)  # with room for wider strokes
    return centre(cut_out(fit_strokes(large), 20).clip(0, 1))


def cut_out(mask, side):
    """Cut the ink out of a mask, and bring its longer side to so many pixels: float32."""
    cut = mask[ndimage.find_objects(mask.astype(np.uint8))[0]]
    return _scale(cut, side / max(cut.shape), least=1)


def fit_strokes(fine):
    """Bring the width of strokes towards MNIST's, by moving their edges in or out."""
    inside = ndimage.distance_transform_edt(fine)
    width = 4 * inside[fine].mean() / FINE
    change = (np.clip(width, *STROKES) - width) / 2 * FINE
    # However wide a stroke is, some of it stays.
    return inside - ndimage.distance_transform_edt(~fine) > min(-change, 0.6 * inside.max())


def centre(digit):
    """Put the centre of mass of a digit, float `(h, w)`, in row and column 14: uint8 `(28, 28)`."""
    image = np.zeros((28, 28), np.uint8)
    # Where it is in MNIST's training images, counted from 0: 14.0 in the mean, 13.5 to 14.5.
    corner = np.floor(14.5 - np.array(ndimage.center_of_mass(digit)))
    top, left = np.clip(corner, 0, 28 - np.array(digit.shape)).astype(int)
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = np.round(255 * digit)
    return image
