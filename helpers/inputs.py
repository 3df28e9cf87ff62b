"""What may enter the network: images and labels, checked before anything is computed."""

import warnings

import numpy as np

# The mean of an image's border above which its paper is taken for white. MNIST's borders stay below
# 9, those of inverted MNIST above 246; a bold digit leaves most of its border free.
WHITE = 150


def check_images(images):
    """Check that images are what the network was trained on, before anything is computed.

    Warns where their type is right but they look inverted (white paper) or scaled already.

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
    border = np.hstack([images[:, [0, -1]].reshape(-1, 56), images[:, :, [0, -1]].reshape(-1, 56)])
    inverted = int((border.mean(axis=1) > WHITE).sum())
    if inverted:
        warnings.warn(
            f"{inverted:,} of {len(images):,} images look inverted: the network was trained with "
            "paper 0 and ink 255. If yours have white paper, pass 255 - images.",
            stacklevel=3,
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
        return "Make an array of numbers first: np.array(images)"
    shape, last = images.shape, images.shape[-1:]
    if not images.size:
        return "There is no image in it: look at what selected them."
    if not np.isfinite(images).all():
        return "Find out where the NaN or infinite pixels come from."
    if images.dtype != np.uint8 and images.min() >= 0 and images.max() <= 1:
        return "They look scaled already: pass them as they were before, scaling is done here."
    causes = {
        "One image needs an axis for n: image[np.newaxis]": shape == (28, 28),
        "Put n first: np.moveaxis(images, -1, 0)": shape[:2] == (28, 28) and len(shape) == 3,
        "Drop the channel axis: images[..., 0]": shape[1:] == (28, 28, 1),
        "Drop the channel axis: images[:, 0]": shape[1:] == (1, 28, 28),
        "Make them grey: one number for each pixel.": len(shape) == 4 and last in ((3,), (4,)),
        "Give each image its rows: images.reshape(-1, 28, 28)": shape[1:] == (784,),
        "Bring each image to 28 rows of 28 pixels.": shape[1:] != (28, 28),
        "Bring the pixels to 0 to 255 first.": images.min() < 0 or images.max() > 255,
    }
    round_them = "Whole numbers are due: images.round().astype('uint8')"
    return next((advice for advice, fits in causes.items() if fits), round_them)
