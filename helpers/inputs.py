"""What may enter the network: images and labels, checked before anything is computed."""

import warnings

import numpy as np

# The brightness of an image's border above which its ground is not MNIST's: there it is 0.
GROUND = 10
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
    if advice := _look_at_ground(images) or _look_at_form(images):
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
    what = "look inverted" if np.median(grounds) > 127 else "have a ground that is not 0"
    return (
        f"{len(grounds):,} of {len(images):,} images {what} (ground {np.median(grounds):.0f}): the "
        "network was trained with paper 0 and ink 255. Pass helpers.inputs.clear_ground(images)."
    )


def _look_at_form(images):
    """Return a warning for images that look transposed or turned, or None."""
    if len(images) < MANY:
        return None
    ink = images > 63
    high, wide = (ink.any(axis=axis).sum(axis=1) for axis in (2, 1))
    if (wide > high).mean() < 0.5:
        return None
    return (
        "Most images are wider than high: they look transposed or turned by 90 degrees, as EMNIST's"
        " are. If a digit lies on its side in a plot, pass images.transpose(0, 2, 1)."
    )


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
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "biuf":
        return "Make an array of numbers first: np.stack(images).astype(float)"
    if not images.size:
        return "There is no image in it: look at what selected them."
    if not np.isfinite(images).all():
        return "Find out where the NaN or infinite pixels come from."
    if images.dtype == np.uint8:
        return _advise_shape(images)
    if images.min() >= 0 and images.max() <= 1:
        return (
            "They look scaled already: pass them as they were before, scaling is done here. "
            "Or undo it: (images * 255).round().astype('uint8')"
        )
    if images.min() >= 0 and images.max() <= 255:
        return "Whole numbers are due: images.round().astype('uint8')"
    if images.dtype.kind == "u":
        return "Bring the pixels to 0 to 255 first: (images // 257).astype('uint8')"
    return (
        "Bring the pixels to 0 to 255 first: "
        "((images - images.min()) * (255 / np.ptp(images))).round().astype('uint8')"
    )


def _advise_shape(images):
    """Return what to do about uint8 images whose shape is not (n, 28, 28)."""
    match images.shape:
        case (784,) | (_, 784):
            return "Give each image its rows: images.reshape(-1, 28, 28)"
        case (784, _):
            return "Give each image its rows: images.T.reshape(-1, 28, 28)"
        case (_, _):
            return "One image needs an axis for n: image[np.newaxis]"
        case (_, _, 1) | (_, _, _, 1):
            return "Drop the channel axis: images[..., 0]"
        case (_, _, 3) | (_, _, _, 3):
            return "Make them grey: images.mean(axis=-1).round().astype('uint8')"
        case (_, _, 2 | 4) | (_, _, _, 2 | 4) if images[..., -1].min() == 255:
            return "Leave out the last channel, opacity: images[..., :-1]"
        case (_, _, 2 | 4) | (_, _, _, 2 | 4):
            return "Take the last channel, opacity, which is 0 on paper: images[..., -1]"
        case (_, 1 | 2 | 3 | 4, _, _):
            return "Put the channels last: np.moveaxis(images, 1, -1)"
        case (28, 28, _):
            return "Put n first: np.moveaxis(images, -1, 0)"
        case (_, rows, columns):
            zoom = f"scipy.ndimage.zoom(images, (1, 28 / {rows}, 28 / {columns}), order=1)"
            return f"Bring each image to 28 rows of 28 pixels: {zoom}"
    return "Bring each image to 28 rows of 28 pixels, and all to (n, 28, 28)."
