"""From a person's page to MNIST's form: find the digits on a picture, and prepare each of them."""

import io
import itertools
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
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
    found = []
    parts = [part for part in parts if part.contrast > 0.3 or not touches_edge(part.box, ink.shape)]
    for group in in_reading_order(join_parts(parts)):
        mask = np.isin(labels, [part.label for part in group])
        found.append(describe(mask, ink, scale))
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
    mask = np.isin(labels, [part.label for part in parts_of_one(parts, ink.shape)])
    return prepare(mask)


def describe(mask, ink, scale):
    """Prepare a digit and note where it is and how well it stands out."""
    rows, columns = (np.flatnonzero(mask.any(axis=a)) for a in (1, 0))
    box = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    wide = (box[3] - box[1]) > 1.3 * (box[2] - box[0])
    return Digit(
        prepare(mask),
        tuple(round(side / scale) for side in box),
        float(ink[mask].mean()),
        bool(wide),
        touches_edge(box, mask.shape),
    )


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
        raise PictureError(
            f"A picture of {image.width} × {image.height} pixels is too large. Make it smaller: "
            "2,000 pixels are plenty."
        )
    given = max(image.size)
    try:
        image.draft("RGB", (LONGEST, LONGEST))  # a JPEG is decoded at the size that is needed
        pixels = _to_pixels(_shrink(ImageOps.exif_transpose(image)))
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"The picture is damaged: {error}.\nCopy or save it again.") from None
    return pixels, given


def _read_file(path):
    """Open a file with PIL, or say in plain words why not."""
    if path.is_dir():
        raise PictureError(f"{path.name} is a folder. Give the name of one picture in it.")
    if not path.is_file():
        raise PictureError(f"There is no file {path}. Is the name right?")
    try:
        content = path.read_bytes()
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            return Image.open(io.BytesIO(content))
    except Image.DecompressionBombError:
        raise PictureError(
            f"{path.name} is too large. Make it smaller: 2,000 pixels are plenty."
        ) from None
    except PermissionError:
        raise PictureError(f"{path.name} may not be read: its permissions forbid it.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise PictureError(f"{path.name} {_kind(content[:512])}.{ASK}") from None


def _kind(head):
    """Say what a file is that PIL does not open, by how it begins."""
    if not head.strip(b"\0"):
        return "is empty"
    if head[4:8] == b"ftyp":
        return "is HEIC or a film, which phones make: save or send it as JPEG"
    for start, words in KINDS.items():
        if head.lstrip().lower().startswith(start):
            return words
    return "is not a picture, or is damaged"


def _to_image(array):
    """Make a PIL image of an array, by its type and range."""
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if (
        array.dtype.kind not in "buif"
        or array.ndim not in (2, 3)
        or not array.size
        or (array.ndim == 3 and array.shape[2] not in (2, 3, 4))
    ):
        raise PictureError(
            "A picture is a path, a PIL image or an array of numbers, (h, w) or (h, w, 3); "
            f"got {array.dtype}, shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise PictureError("There are NaN or infinite pixels in it. Find out where they come from.")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 65535:
        raise PictureError(f"Pixels go from 0 to 255 (or 1, or 65,535); these {low:g} to {high:g}.")
    top = 1 if high <= 1 and array.dtype.kind in "bf" else 255 if high <= 255 else 65535
    if array.dtype == np.uint16:
        top = 65535
    return Image.fromarray(np.round(array * (255.0 / top)).astype(np.uint8))


def _shrink(image):
    """Reduce a large picture by averaging, whatever its mode."""
    times = max(image.size) // LONGEST
    if times < 2:
        return image
    if image.mode in ("1", "P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image.reduce(times)


def _to_pixels(image):
    """Turn a PIL image of any mode into float32 (h, w, 3), transparency laid on paper."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        grey = np.asarray(image, "float32")
        top = 1 if grey.max() <= 1 else 255 if grey.max() <= 255 else 65535
        return np.repeat((grey / top).clip(0, 1)[..., np.newaxis], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return on_paper(np.asarray(image.convert("RGBA"), "float32") / 255)
    return np.asarray(image.convert("RGB"), "float32") / 255


def on_paper(pixels):
    """Lay pixels `(h, w, 4)` on paper, white or black, from which their ink stands out."""
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 1:
        return colours
    tone = (colours * alpha).sum() / max(3 * alpha.sum(), 1e-6)
    return colours * alpha + (1 - alpha) * (tone < 0.5)


def to_working_size(page, given):
    """Resize pixels `(h, w, 3)` to what is worked on; return them and their scale."""
    longest = max(page.shape[:2])
    scale = 1.0
    if longest > LONGEST:
        scale = LONGEST / longest
    elif longest < SHORTEST:
        scale = SHORTEST / longest
    if scale != 1:
        size = [max(8, round(side * scale)) for side in page.shape[:2]]
        page = _resize(page, size)
    return page, max(page.shape[:2]) / given


def _resize(image, size):
    """Resize float (h, w[, 3]): bicubic, with area averaging where it shrinks"""
    if image.ndim == 3:
        return np.stack([_resize(image[..., i], size) for i in range(image.shape[2])], axis=2)
    size = (int(size[1]), int(size[0]))
    shrinks = size[0] < image.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.asarray(image, "float32"), "F").resize(size, method))


def _survey(image):
    """Return a small copy, on which paper and light are estimated."""
    k = max(1, round(max(image.shape[:2]) / SURVEY))
    size = [max(8, round(s / k)) for s in image.shape[:2]]
    return _resize(image, size) if k > 1 else image


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
    residual = small - ndimage.gaussian_filter(small, (SURVEY / 6, SURVEY / 6, 0))
    r = residual.reshape(-1, 3)
    strong = r[(np.linalg.norm(r, axis=1) >= np.quantile(np.linalg.norm(r, axis=1), 0.9))]
    _, _, axes = np.linalg.svd(strong, full_matrices=False)
    axis = axes[0] * (1 if axes[0].sum() >= 0 else -1)
    grey = page @ axis.astype("float32")
    low = np.minimum(axis, 0).sum()
    high = np.maximum(axis, 0).sum()
    return (grey - low) / (high - low)


def is_dark_ink(small):
    """Is the ink darker?  The right answer leaves the smoother paper; else by border and area."""
    dark, light = (roughness(find_paper(grey)) for grey in (small, 1 - small))
    return dark < 1.3 * light


def roughness(paper):
    """Return the mean step from a pixel to the next; ink left in the paper makes it large."""
    return float(np.abs(np.diff(paper, axis=0)).mean() + np.abs(np.diff(paper, axis=1)).mean())


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
    around = ndimage.binary_dilation(band, iterations=width // 2 + 1) & ~band
    crossed = ndimage.binary_dilation(mask & around, iterations=width + 1)
    return mask & ~(band & ~crossed)


def width_of(depth, inside):
    """Return the mean width of strokes, by how deep their pixels lie inside them."""
    return 4 * (float(depth[inside].mean()) - 0.5)


def draw_band(lines, shape):
    """Draw lines as a mask."""
    band = np.zeros(shape, bool)
    for line in lines:
        line.draw(band)
    return band


def is_ruled(line, lines, rest, ink):
    """Tell a ruled line from a digit's own stroke, which runs from edge to edge in a tight crop."""
    middle = len(line.places) // 2
    alike = [o for o in lines if o.turned == line.turned and o.contrast < 1.6 * line.contrast]
    alike = [o for o in alike if line.contrast < 1.6 * o.contrast]
    gaps = [abs(o.places[middle] - line.places[middle]) for o in alike]
    parallel = max(gaps, default=0) > 3 * line.width + 4
    if parallel or not rest.any():
        return parallel or not line.turned or line.width < 0.02 * len(line.places)
    if line.reach < 0.97:  # a stroke of a digit that has a margin
        return False
    tone = float(np.quantile(ink[rest], 0.7))
    pen = width_of(ndimage.distance_transform_edt(rest), rest)
    across = np.flatnonzero(rest.any(axis=0 if line.turned else 1))
    tight = np.ptp(across) > 0.6 * rest.shape[1 if line.turned else 0]
    return line.contrast < 0.7 * tone or line.width < 0.65 * pen or not tight


class Line(NamedTuple):
    """A line across the picture."""

    turned: bool
    places: np.ndarray  # of its middle, for each column (row, if turned)
    width: float
    contrast: float
    reach: float

    def draw(self, band):
        """Draw it into a mask."""
        view = band.T if self.turned else band
        half = self.width / 2 + 1
        along = np.arange(len(self.places))
        for offset in range(-int(np.ceil(half)), int(np.ceil(half)) + 1):
            across = np.round(self.places + offset).astype(int)
            fits = (across >= 0) & (across < view.shape[0])
            view[across[fits], along[fits]] = True


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
    lines = []
    for angle, distance in zip(*peaks[1:], strict=True):
        places = (k * distance - along * np.cos(angle)) / np.sin(angle)
        lines.append(_follow(mask, ink, places, turned))
    return [line for line in lines if line.reach > 0.8]


def _follow(mask, ink, places, turned):
    """Measure along a line: where its middle is, how wide, how dark, how much of it is there."""
    along = np.arange(mask.shape[1])
    reach = max(16, int(0.06 * min(mask.shape)))
    offsets = np.arange(-reach, reach + 1)
    across = np.round(places + offsets[:, None]).astype(int)
    inside = (across >= 0) & (across < mask.shape[0])
    across = across.clip(0, mask.shape[0] - 1)
    hit = mask[across, along] & inside
    share = hit.mean(axis=1)
    near = share > 0.5 * share.max()
    middle = float((offsets * share)[near].sum() / max(share[near].sum(), 1e-6))
    thin = share.max() > 0.6 and near.sum() < 0.6 * reach + 2 and not near[[0, -1]].any()
    covered = float(ndimage.binary_dilation(hit[near].any(axis=0), iterations=3).mean())
    tone = ink[across, along][near[:, None] & hit]
    return Line(
        turned,
        places + middle,
        float(near.sum()),
        float(np.median(tone)) if tone.size else 0.0,
        covered * thin,
    )


class Part(NamedTuple):
    """A connected piece of ink."""

    label: int
    box: tuple  # top, left, bottom, right
    mass: float  # the sum of its contrast
    contrast: float  # its mean

    @property
    def longest(self):
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


def find_parts(ink, doubtful=False):
    """Label the pieces of ink, without specks and without what is not sharp"""
    mask = remove_lines(threshold(ink), ink)
    labels = measure.label(mask, connectivity=2)
    regions = measure.regionprops(labels, intensity_image=ink)
    parts = [Part(r.label, r.bbox, r.area * r.intensity_mean, r.intensity_mean) for r in regions]
    heaviest = max((part.mass for part in parts), default=0)
    parts = [part for part in parts if part.mass > 0.01 * heaviest and part.longest > 7]
    if doubtful:
        return labels, parts
    noise = noise_of(ink)
    parts = [part for part in parts if is_stroke(part, labels, ink, noise)]
    return labels, [part for part in parts if not is_frame(part, parts, labels)]


def is_frame(part, parts, labels):
    """Tell a frame or a grid, from edge to edge with others inside or with many holes."""
    top, left, bottom, right = part.box
    if part.longest < 0.7 * max(labels.shape):
        return False
    inside = labels[top:bottom, left:right] == part.label
    holes = np.bincount(measure.label(~inside, connectivity=1).ravel())[1:]
    if (holes > 0.01 * inside.size).sum() > 8:
        return True
    thin = width_of(ndimage.distance_transform_edt(inside), inside) < 0.02 * part.longest
    within = [o for o in parts if o.mass > 0.3 * part.mass and o.box[0] > top and o.box[1] > left]
    return any(o.box[2] < bottom and o.box[3] < right for o in within) or (
        thin and not is_upright((left, top, right, bottom)) and bottom - top >= len(labels) - 2
    )


def is_stroke(part, labels, ink, noise):
    """Tell a stroke, long and with sharp edges, from a shadow's corner and the paper's grain."""
    top, left, bottom, right = part.box
    inside = np.pad(labels[top:bottom, left:right] == part.label, 1)
    depth = ndimage.distance_transform_edt(inside)
    pen = width_of(depth, inside)
    if pen > 0.42 * part.longest or part.contrast < MINIMUM:
        return False
    if part.contrast > 0.35:
        return True
    soft = ndimage.gaussian_filter(ink[top:bottom, left:right], 1)
    slope = np.hypot(*np.gradient(np.pad(soft, 1, "edge")))
    steep = np.median(slope[inside & (depth <= 1.5)]) * pen / part.contrast
    return steep > 1.1 and part.contrast > 6.5 * noise


def parts_of_one(parts, shape):
    """The parts of the one digit: the main one, and what is close and dark enough."""
    edge = {part.label: touches_edge(part.box, shape) for part in parts}
    main = max(parts, key=lambda part: part.mass * (0.4 if edge[part.label] else 1))

    def belongs(part):
        near, tone = (0.1, 0.7) if edge[part.label] else (0.3, 0.4)
        close = box_gap(part.box, main.box) < near * main.longest
        return close and part.mass > 0.015 * main.mass and part.contrast > tone * main.contrast

    return [part for part in parts if part is main or belongs(part)]


def join_parts(parts):
    """Join pieces into digits"""
    groups = [[part] for part in parts]
    while pair := next(
        (pair for pair in itertools.combinations(groups, 2) if belong_together(*pair)), None
    ):
        groups = [group for group in groups if group not in pair] + [pair[0] + pair[1]]
    longest = sorted(longest_side(around(group)) for group in groups)
    typical = longest[(3 * len(longest)) // 4] if longest else 0
    heaviest = max((mass_of(group) for group in groups), default=0)
    return [
        group
        for group in groups
        if longest_side(around(group)) > 0.3 * typical
        and mass_of(group) > 0.04 * heaviest
        and is_upright(around(group))
    ]


def mass_of(group):
    """Return the ink of all parts of a digit."""
    return sum(part.mass for part in group)


def is_upright(box):
    """Tell a digit, at most two and a half times as wide as high, from a dash."""
    return box[3] - box[1] < 2.5 * (box[2] - box[0])


def around(group):
    """Return the box around all parts of a digit."""
    boxes = np.array([part.box for part in group])
    return (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))


def longest_side(box):
    """Return the longer side of a box."""
    return max(box[2] - box[0], box[3] - box[1])


def belong_together(one, other):
    """Two pieces are one digit if one lies within the other's box, or is small and close."""
    a, b = sorted((around(one), around(other)), key=longest_side, reverse=True)
    across = min(a[3], b[3]) - max(a[1], b[1])
    down = min(a[2], b[2]) - max(a[0], b[0])
    height = longest_side(a)
    if across > 0 and down > 0:
        return across * down > 0.35 * (b[3] - b[1]) * (b[2] - b[0])
    if b[2] - b[0] < 0.65 * height and across > 0.15 * min(a[3] - a[1], b[3] - b[1]):
        return -down < 0.15 * height
    return longest_side(b) < 0.62 * height and box_gap(a, b) < 0.1 * height


def in_reading_order(groups):
    """Line by line, from left to right"""
    groups = sorted(groups, key=lambda group: around(group)[0])
    lines = []
    for group in groups:
        top, _, bottom, _ = around(group)
        for line in lines:
            first = around(line[0])
            shared = min(bottom, first[2]) - max(top, first[0])
            if shared > 0.4 * min(bottom - top, first[2] - first[0]):
                line.append(group)
                break
        else:
            lines.append([group])
    return [group for line in lines for group in sorted(line, key=lambda g: around(g)[1])]


def touches_edge(box, shape):
    """Tell whether a box reaches the picture's edge."""
    return min(box[0], box[1], shape[0] - box[2], shape[1] - box[3]) <= 1


def overlap(one, other):
    """Return what two boxes share, of all that they cover: 0 (nothing) to 1 (the same box)."""
    down = min(one[2], other[2]) - max(one[0], other[0])
    across = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, down) * max(0, across)
    areas = [(bottom - top) * (right - left) for top, left, bottom, right in (one, other)]
    return shared / (sum(areas) - shared)


def box_gap(a, b):
    """Return the pixels between two boxes, 0 where they overlap."""
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3], 0)


def prepare(mask):
    """Prepare a digit's mask as MNIST's were (LeCun and others, 1998): uint8 `(28, 28)`."""
    return centre(fit_strokes(enlarge(mask)))


def enlarge(mask):
    """Cut a digit out at eight times MNIST's resolution, with room for wider strokes."""
    rows, columns = (np.flatnonzero(mask.any(axis=a)) for a in (1, 0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype("float32")
    k = 20 * FINE / max(cut.shape)
    size = [max(2, round(side * k)) for side in cut.shape]
    return np.pad(_resize(cut, size) > 0.5, 4 * FINE)


def fit_strokes(fine):
    """Bring the width of strokes towards MNIST's, by moving their edges in or out."""
    inside = ndimage.distance_transform_edt(fine)
    if not fine.any():
        return fine
    width = 4 * inside[fine].mean() / FINE
    wanted = float(np.clip(width, *STROKES))
    if wanted == width:
        return fine
    distance = inside - ndimage.distance_transform_edt(~fine)
    change = (wanted - width) / 2 * FINE
    if change > 0:
        return distance > -change
    return distance > min(-change, 0.6 * inside.max())


def centre(fine):
    """Reduce a digit to 20 pixels by area, and put its centre of mass in row and column 14."""
    rows, columns = (np.flatnonzero(fine.any(axis=a)) for a in (1, 0))
    cut = fine[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype("float32")
    k = 20 / max(cut.shape)
    digit = _resize(cut, [max(1, round(s * k)) for s in cut.shape]).clip(0, 1)
    image = np.zeros((28, 28), "float32")
    h, w = digit.shape
    y, x = ndimage.center_of_mass(digit)
    # Where it is in MNIST's training images, counted from 0: 14.0 in the mean, 13.5 to 14.5.
    top = int(np.clip(np.floor(14.5 - y), 0, 28 - h))
    left = int(np.clip(np.floor(14.5 - x), 0, 28 - w))
    image[top : top + h, left : left + w] = digit
    return np.round(255 * image).astype(np.uint8)
