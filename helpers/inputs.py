"""What may enter the network: images and labels, checked before anything is computed."""

import warnings

import numpy as np

# The brightness of an image's border above which its ground is not MNIST's: there it is 0.
GROUND = 10
WHITE = 250
ALIKE = 0.98  # the correlation of a picture's colours; that of two digits is less
# MNIST's digits are higher than wide: of a hundred mixed ones, at most a third are wider.
MANY = 50


def check_images(images):
    """Check that images are what the network was trained on, before anything is computed.

    Warns where their type is right but their ground is not 0 (paper), where they look scaled
    already, or turned.

    Args:
        images: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink), n at least 1.

    Raises:
        ValueError: another type, shape or range, or no image at all; it names expected and got.
    """
    right = isinstance(images, np.ndarray) and images.dtype == np.uint8
    if not (right and images.ndim == 3 and images.shape[1:] == (28, 28) and len(images)):
        raise ValueError(
            "Images must be a NumPy array of uint8, shape (n, 28, 28), 0 (paper) to 255 (ink); "
            f"got {_describe(images)}.\n{_advise(images)}"
        )
    if images.max() <= 1:
        warnings.warn(
            "No pixel is above 1: the images look scaled already, or blank. The network was "
            "trained with pixels from 0 to 255; they are scaled here.",
            stacklevel=3,
        )
    if advice := _look_at_colours(images) or _look_at_ground(images) or _look_at_form(images):
        warnings.warn(advice, stacklevel=3)


def clear_ground(images):
    """Bring each image's ground to 0 and its ink to 255: subtract the paper, stretch the rest.

    Args:
        images: uint8 `(n, rows, columns)`, even paper of any brightness, darker or lighter ink.

    Returns:
        uint8 of the same shape; an image with nothing on it is 0 everywhere.
    """
    distance = abs(images.astype("float32") - _find_ground(images)[:, None, None])
    most = distance.max(axis=(1, 2), keepdims=True)
    return (distance * (255 / np.maximum(most, 1))).round().astype("uint8")


def make_grey(pictures):
    """Make coloured or transparent pictures grey, as they look on paper of the other brightness.

    Args:
        pictures: uint8 `(rows, columns, channels)` or `(n, rows, columns, channels)`: grey and
            opacity (2), red, green and blue (3), or these and opacity (4).

    Returns:
        uint8 `(n, rows, columns)`.
    """
    pictures = pictures.reshape(-1, *pictures.shape[-3:]).astype("float32")
    opaque = pictures.shape[-1] % 2 == 1
    colours = pictures if opaque else pictures[..., :-1]
    opacity = np.ones_like(colours[..., 0]) if opaque else pictures[..., -1] / 255
    grey = colours.mean(axis=-1)
    ink = (grey * opacity).sum(axis=(1, 2)) / np.maximum(opacity.sum(axis=(1, 2)), 1e-6)
    paper = np.where(ink > 127, 0, 255)[:, None, None]
    return (grey * opacity + paper * (1 - opacity)).round().astype("uint8")


def _find_ground(images, share=0.5):
    """Return a quantile of the brightness of each image's border, which a digit leaves free."""
    sides = images[:, [0, -1]], images[:, :, [0, -1]]
    border = np.hstack([side.reshape(len(images), -1) for side in sides])
    return np.quantile(border, share, axis=1, method="nearest")


def _look_at_ground(images):
    """Return a warning for images whose ground is not MNIST's, or None."""
    ground = _find_ground(images, share=0.1)  # a bold digit may touch most of the border
    grounds = ground[ground > GROUND]
    if not len(grounds):
        return None
    white = grounds.min() >= WHITE
    repair = "255 - images" if white else "helpers.inputs.clear_ground(images)"
    what = "look inverted" if np.median(grounds) > 127 else "have a ground that is not 0"
    return (
        f"{len(grounds):,} of {len(images):,} images {what} (ground {np.median(grounds):.0f}): the "
        f"network was trained with paper 0 and ink 255. Pass {repair}."
    )


def _look_at_colours(images):
    """Return a warning for three or four images that look like one picture's colours, or None."""
    if len(images) not in (3, 4):
        return None
    pixels = images.reshape(len(images), -1).astype("float32")
    even = np.ptp(pixels, axis=1) < 2
    opaque = even.any() and (pixels[even] > WHITE).any()
    if even.all() or (even.any() and not opaque and (~even).sum() > 1):
        return None
    if np.abs(np.corrcoef(pixels[~even])).min() < ALIKE:
        return None
    return (
        f"The {len(images)} images look alike: if they are the colours of one picture, "
        "pass helpers.inputs.make_grey(np.moveaxis(images, 0, -1))."
    )


def _look_at_form(images):
    """Return a warning for images that look transposed or turned, or None."""
    if len(images) < MANY:
        return None
    ink = images > 63
    high, wide = (_measure_extent(ink.any(axis=axis)) for axis in (2, 1))
    if (wide > high).mean() < 0.5:
        return None
    return (
        "Most images are wider than high: they look transposed or turned by 90 degrees, as EMNIST's"
        " are. If a digit lies on its side in a plot, pass images.transpose(0, 2, 1)."
    )


def _measure_extent(rows):
    """Return how far the true values of each row, bool `(n, 28)`, reach."""
    return rows.shape[1] - rows.argmax(axis=1) - rows[:, ::-1].argmax(axis=1)


def check_labels(labels, n):
    """Check that labels are one class from 0 to 9 for each image.

    Args:
        labels: integers `(n,)`.
        n: how many images there are.

    Raises:
        ValueError: another type, shape, length or range; it names expected and got.
    """
    right = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape == (n,)
    if right and labels.size and labels.min() >= 0 and labels.max() <= 9:
        return
    one_hot = isinstance(labels, np.ndarray) and labels.shape == (n, 10)
    advice = "\nFrom one-hot labels: labels.argmax(axis=1)" if one_hot else ""
    raise ValueError(
        f"Labels must be a NumPy array of integers from 0 to 9, shape ({n},), one for each image; "
        f"got {_describe(labels)}.{advice}"
    )


def _describe(array):
    """Return the type, shape and range of an array, in words."""
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}"
    words = f"{array.dtype}, shape {array.shape}"
    if array.dtype.kind not in "biuf" or not array.size:
        return words
    finite = array[np.isfinite(array)]
    words += f", {float(finite.min()):.4g} to {float(finite.max()):.4g}" if finite.size else ""
    return words + (", and NaN or infinity in it" if finite.size < array.size else "")


def _advise(images):
    """Return what to do about images that `check_images` refuses, by the first cause that fits."""
    if not isinstance(images, np.ndarray):
        return "Make an array of numbers first: np.array(images)"
    if images.dtype.kind not in "biuf":
        stack = images.dtype.kind == "O" and images.ndim == 1
        code = "np.stack(images)" if stack else "images.astype(float)"
        return f"Make an array of numbers first: {code}"
    if not images.size:
        return "There is no image in it: look at what selected them."
    if not np.isfinite(images).all():
        return "Find out where the NaN or infinite pixels come from."
    if images.dtype != np.uint8 and images.min() >= 0 and images.max() <= 1:
        return (
            "They look scaled already: pass them as they were before, scaling is done here. "
            "Or undo it: (images * 255).round().astype('uint8')"
        )
    return _advise_pixels(images) or _advise_shape(images.shape)


def _advise_pixels(images):
    """Return what to do about the type or the range of pixels, or None."""
    if images.dtype == np.uint8:
        return None
    if images.min() >= 0 and images.max() <= 255:
        return "Whole numbers are due: images.round().astype('uint8')"
    if images.dtype.kind == "u":
        return "Bring the pixels to 0 to 255 first: (images // 257).astype('uint8')"
    return (
        "Bring the pixels to 0 to 255 first: "
        "((images - images.min()) * (255 / np.ptp(images))).round().astype('uint8')"
    )


def _advise_shape(shape):
    """Return what to do about a shape that is not (n, 28, 28)."""
    grey = "Make them grey: helpers.inputs.make_grey({})"
    flat = "Give each image its rows: images.{}reshape(-1, 28, 28)"
    last, axes = shape[-1:], len(shape)
    causes = {
        "One image needs an axis for n: image[np.newaxis]": shape == (28, 28),
        flat.format(""): last == (784,) and axes in (1, 2),
        flat.format("T."): shape[:1] == (784,) and axes == 2,
        "One image needs an axis for n: images[np.newaxis]": axes == 2,
        grey.format("images"): axes in (3, 4) and last in ((2,), (3,), (4,)),
        "Put n first: np.moveaxis(images, -1, 0)": axes == 3
        and (last == (1,) or shape[:2] == (28, 28)),
        "Drop the channel axis: images[..., 0]": axes == 4 and last == (1,),
        "Drop the channel axis: images[:, 0]": axes == 4 and shape[1] == 1,
        grey.format("np.moveaxis(images, 1, -1)"): axes == 4 and shape[1] in (2, 3, 4),
        "Bring each image to 28 rows of 28 pixels: scipy.ndimage.zoom(images, "
        f"(1, 28 / {shape[-2:][0] if axes else 0}, 28 / {last[0] if axes else 0}), order=1)": axes
        == 3,
    }
    other = "Bring each image to 28 rows of 28 pixels, and all to (n, 28, 28)."
    return next((advice for advice, fits in causes.items() if fits), other)
