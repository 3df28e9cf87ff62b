"""From a person's page to MNIST's form: find the digits on a picture, and prepare each of them."""

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
WINDOWS = (27, 41, 61)
FAINTEST = 0.05  # the contrast to its paper, of 1, below which nothing is taken for ink


class PictureError(ValueError):
    """A picture that cannot be read; the message says why, and what to do."""


class Digit(NamedTuple):
    """A digit that was found: prepared, where it is, and what may be wrong with it."""

    image: np.ndarray  # uint8 (28, 28), as MNIST has them
    box: tuple  # top, left, bottom, right, in pixels of the picture
    contrast: float  # of the ink to its paper, 0 to 1
    touching: bool  # wide enough for two
    cut_off: bool  # at the picture's edge


def find_digits(picture):
    found = list_digits(picture)
    images = np.array([digit.image for digit in found], np.uint8).reshape(-1, 28, 28)
    return images, np.array([digit.box for digit in found], int).reshape(-1, 4)


def read_one(picture):
    page, scale = to_working_size(open_picture(picture))
    ink = find_ink(page)
    mask = remove_lines(threshold(ink), ink)
    parts = measure.label(mask, connectivity=2)
    keep = main_parts(parts, ink)
    if not keep:
        raise PictureError("There is no digit on this picture that stands out from its paper.")
    return prepare(np.where(np.isin(parts, keep), ink, 0), np.isin(parts, keep))


# ---------------------------------------------------------------- opening
def open_picture(picture):
    """float32 (h, w, 3) in [0, 1]"""
    if isinstance(picture, (str, Path)):
        picture = read_file(Path(picture))
    image = picture if isinstance(picture, Image.Image) else to_image(picture)
    image = ImageOps.exif_transpose(image)
    if max(image.size) > 2 * LONGEST:
        image = image.reduce(max(image.size) // LONGEST)
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, "float32")
        grey = grey / (255 if grey.max() <= 255 else 65535)
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    return on_paper(np.asarray(image.convert("RGBA"), "float32") / 255)


def read_file(path):
    return Image.open(path)


def to_image(a):
    return Image.fromarray(a)


def on_paper(pixels):
    """Lay transparent pixels on what their ink stands out from"""
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 1:
        return colours
    tone = (colours * alpha).sum() / max(3 * alpha.sum(), 1e-6)
    return colours * alpha + (1 - alpha) * (tone < 0.5)


def to_working_size(page):
    longest = max(page.shape[:2])
    scale = 1.0
    if longest > LONGEST:
        scale = LONGEST / longest
    elif longest < SHORTEST:
        scale = SHORTEST / longest
    if scale != 1:
        size = [max(8, round(side * scale)) for side in page.shape[:2]]
        page = _resize(page, size)
    return page, scale


def _resize(image, size):
    """Resize float (h, w[, 3]): bicubic, with area averaging where it shrinks"""
    if image.ndim == 3:
        return np.stack([_resize(image[..., i], size) for i in range(image.shape[2])], axis=2)
    size = (int(size[1]), int(size[0]))
    shrinks = size[0] < image.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.asarray(image, "float32"), "F").resize(size, method))


def _survey(image):
    k = max(1, round(max(image.shape[:2]) / SURVEY))
    size = [max(8, round(s / k)) for s in image.shape[:2]]
    return _resize(image, size) if k > 1 else image


# ---------------------------------------------------------------- ink
def find_ink(page):
    """contrast of each pixel to its paper, float32 (h, w), ink positive"""
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
    wide = np.minimum(
        np.pad(soft, margin, "reflect", reflect_type="odd"), np.pad(soft, margin, "edge")
    )
    inner = (slice(margin, -margin),) * 2
    candidates = [ndimage.grey_closing(wide, side)[inner] for side in WINDOWS]
    depths = [np.quantile(paper - soft, 0.99) for paper in candidates]
    enough = next(i for i, depth in enumerate(depths) if depth >= 0.8 * max(depths))
    best = candidates[min(enough + 1, len(candidates) - 1)]
    return ndimage.gaussian_filter(best, 1)


def to_grey(page):
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
    """Is the ink darker?  by area and border"""
    few = _resize(small, [max(8, round(40 * s / max(small.shape))) for s in small.shape])
    residual = few - ndimage.median_filter(few, max(5, min(few.shape) // 2))
    spread = residual.std() + 1e-6
    skew = float((residual**3).mean()) / spread**3
    if abs(skew) > 2.0:
        return skew < 0
    dark = small < filters.threshold_otsu(small) if np.ptp(small) > 0 else small < 0
    border = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    return border.mean() + 0.5 * dark.mean() < 0.75


# ---------------------------------------------------------------- mask
def noise_of(ink):
    """standard deviation of the paper's own grain after smoothing"""
    d = ndimage.gaussian_filter(ink, 1.0)
    d = d[::2, ::2]
    d = d - ndimage.uniform_filter(d, 5)
    return 1.4826 * float(np.median(np.abs(d)))


def threshold(ink):
    soft = ndimage.gaussian_filter(ink, 0.7)
    level = float(np.quantile(soft, 1 - max(0.0008, 60 / soft.size)))
    floor = max(FAINTEST, 7 * noise_of(ink), 0.22 * level)
    small = _survey(soft)
    k = soft.shape[0] / small.shape[0]
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


def draw_band(lines, shape):
    band = np.zeros(shape, bool)
    for line in lines:
        line.draw(band)
    return band


def is_ruled(line, lines, rest, ink):
    """Tell a ruled line from a digit's own stroke, which runs from edge to edge in a tight crop."""
    middle = len(line.places) // 2
    gaps = [abs(o.places[middle] - line.places[middle]) for o in lines if o.turned == line.turned]
    parallel = max(gaps) > 3 * line.width + 4
    if parallel or not rest.any():
        return parallel or not line.turned or line.width < 0.02 * len(line.places)
    tone = float(np.quantile(ink[rest], 0.7))
    pen = 4 * ndimage.distance_transform_edt(rest)[rest].mean()
    across = np.flatnonzero(rest.any(axis=0 if line.turned else 1))
    tight = np.ptp(across) > 0.6 * rest.shape[1 if line.turned else 0]
    return line.contrast < 0.7 * tone or line.width < 0.5 * pen or not tight


class Line(NamedTuple):
    turned: bool
    places: np.ndarray  # of its middle, for each column (row, if turned)
    width: float
    contrast: float
    reach: float

    def draw(self, band):
        view = band.T if self.turned else band
        half = self.width / 2 + 1
        along = np.arange(len(self.places))
        for offset in range(-int(np.ceil(half)), int(np.ceil(half)) + 1):
            across = np.round(self.places + offset).astype(int)
            fits = (across >= 0) & (across < view.shape[0])
            view[across[fits], along[fits]] = True


def find_lines(mask, ink, turned):
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
    along = np.arange(mask.shape[1])
    reach = max(10, int(0.05 * min(mask.shape)))
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
    tone = ink[across, along][near]
    return Line(turned, places + middle, float(near.sum()), float(np.median(tone)), covered * thin)


# ---------------------------------------------------------------- parts
def main_parts(parts, ink):
    """labels of the parts of the one digit"""
    regions = measure.regionprops(parts, intensity_image=ink)
    if not regions:
        return []
    mass = np.array([g.area * g.intensity_mean for g in regions])
    edge = np.array([touches_edge(g.bbox, parts.shape) for g in regions])
    main = regions[int((mass * np.where(edge, 0.4, 1)).argmax())]
    height = max(main.bbox[2] - main.bbox[0], main.bbox[3] - main.bbox[1])
    keep = []
    for region, m, at_edge in zip(regions, mass, edge, strict=True):
        tone = region.intensity_mean / main.intensity_mean
        near = box_gap(region.bbox, main.bbox) < (0.1 if at_edge else 0.3) * height
        heavy = m > 0.015 * main.area * main.intensity_mean
        if region is main or (near and heavy and tone > (0.7 if at_edge else 0.4)):
            keep.append(region.label)
    return keep


def touches_edge(box, shape):
    return min(box[0], box[1], shape[0] - box[2], shape[1] - box[3]) <= 1


def box_gap(a, b):
    """pixels between two boxes, 0 where they overlap"""
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3], 0)


# ---------------------------------------------------------------- prepare
def prepare(ink, mask):
    """uint8 (28, 28)"""
    fine = _cut_fine(ink, mask)
    fine = fit_strokes(fine)
    return centre(fine)


def _cut_fine(ink, mask):
    rows, columns = (np.flatnonzero(mask.any(axis=a)) for a in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    cut, m = ink[top:bottom, left:right], mask[top:bottom, left:right]
    k = 20 * FINE / max(cut.shape)
    size = [max(2, round(s * k)) for s in cut.shape]
    return np.pad(_resize(m.astype("float32"), size) > 0.5, 4 * FINE)


def fit_strokes(fine):
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
    rows, columns = (np.flatnonzero(fine.any(axis=a)) for a in (1, 0))
    cut = fine[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype("float32")
    k = 20 / max(cut.shape)
    digit = _resize(cut, [max(1, round(s * k)) for s in cut.shape]).clip(0, 1)
    image = np.zeros((28, 28), "float32")
    h, w = digit.shape
    y, x = ndimage.center_of_mass(digit)
    top = int(np.clip(round(14 - 0.5 - y), 0, 28 - h))
    left = int(np.clip(round(14 - 0.5 - x), 0, 28 - w))
    image[top : top + h, left : left + w] = digit
    return np.round(255 * image).astype(np.uint8)


def list_digits(picture):
    return []
