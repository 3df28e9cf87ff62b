"""Spoiled validation digits, to choose between recipes by: `python -m tools.trials NETWORK NAME`.

They are made with SciPy and scikit-image, by other code and other kinds than `helpers.corruptions`,
so that a recipe is not judged by what it was trained on. Results go to models/robust_tries.json.
"""

import argparse
import json

import numpy as np
from scipy import ndimage
from skimage import draw, feature, filters, morphology, transform, util

from helpers import corruptions

N = 1_000  # validation digits of each kind
SEED = 7


def warp(image, scale=1.0, rotation=0.0, shear=0.0, shift=(0.0, 0.0)):
    """Resample an image about its centre; scale above 1 enlarges, rotation is in degrees."""
    centre = np.array([13.5, 13.5])
    move = transform.AffineTransform(
        scale=scale, rotation=np.deg2rad(rotation), shear=shear, translation=shift
    )
    there, back = (transform.AffineTransform(translation=s * centre) for s in (-1, 1))
    return transform.warp(image, (there + move + back).inverse)


def place_freely(image, random, reach=1.0):
    """Shift, turn and resize an image, within what keeps its ink in the frame."""
    return warp(
        image, random.uniform(0.7, 1.15), random.uniform(-20, 20) * reach, 0,
        random.uniform(-3, 3, 2) * reach,
    )  # fmt: skip


def draw_line(image, random):
    """Draw one straight anti-aliased line between two opposite sides."""
    ends = random.integers(0, 28, 2)
    rows, columns, values = draw.line_aa(0, ends[0], 27, ends[1])
    line = np.zeros_like(image)
    line[rows, columns] = values
    line = line if random.random() < 0.5 else line.T
    return np.maximum(image, morphology.dilation(line, morphology.disk(random.integers(0, 2))))


def scribble(image, random):
    """Draw a closed curve through random points over the digit."""
    line = np.zeros_like(image)
    points = random.integers(1, 27, (4, 2))
    for (r0, c0), (r1, c1) in zip(points, np.roll(points, 1, axis=0), strict=True):
        rows, columns = draw.line(r0, c0, r1, c1)
        line[rows, columns] = 1
    return np.maximum(image, line * random.uniform(0.5, 1))


def cloud(random, roughness):
    """Return clouds between 0 and 1: Gaussian noise, blurred at several widths."""
    noise = sum(
        width * ndimage.gaussian_filter(random.normal(size=(28, 28)), width, mode="wrap")
        for width in (1, 2, 4, 8)
        if width >= roughness
    )
    return (noise - noise.min()) / np.ptp(noise)


def fog(image, random):
    """Mix an image with clouds that hide up to two thirds of it."""
    amount = random.uniform(0.3, 0.67)
    return (1 - amount) * image + amount * cloud(random, random.choice([1, 2, 4]))


def swipe(image, random):
    """Blur along one direction, as a moving camera does."""
    length = random.integers(3, 8)
    kernel = np.zeros((9, 9))
    kernel[4, 4 - length // 2 : 4 + (length + 1) // 2] = 1
    kernel = ndimage.rotate(kernel, random.uniform(0, 180), reshape=False, order=1)
    return ndimage.convolve(image, kernel / kernel.sum())


def photograph(image, random):
    """Photograph a page: thin dark ink, light paper, uneven light, anywhere in the frame."""
    large = transform.resize(image, (112, 112), order=3)
    ink = np.clip((large - random.uniform(0.25, 0.65)) * 8, 0, 1)
    ink = transform.resize(ink, (28, 28), anti_aliasing=True)
    ink = place_freely(ink, random, 0.8)
    ramp = np.add.outer(*(random.uniform(-0.2, 0.2) * np.linspace(-1, 1, 28) for _ in "xy"))
    paper = random.uniform(0.5, 0.95) + ramp + 0.1 * (cloud(random, 4) - 0.5)
    dark = random.uniform(0.05, 0.45)
    page = paper * (1 - ink * (1 - dark))
    return ndimage.gaussian_filter(page, random.uniform(0, 0.5)) + random.normal(0, 0.02, (28, 28))


KINDS = {
    "as it is": lambda image, random: image,
    "shifted": lambda image, random: warp(image, shift=random.choice([-1, 1], 2) * random.uniform(2, 5, 2)),
    "turned": lambda image, random: warp(image, rotation=random.choice([-1, 1]) * random.uniform(15, 30)),
    "small": lambda image, random: warp(image, random.uniform(0.5, 0.75)),
    "large": lambda image, random: warp(image, random.uniform(1.15, 1.35)),
    "slanted": lambda image, random: warp(image, shear=random.choice([-1, 1]) * random.uniform(0.3, 0.6)),
    "swirled": lambda image, random: transform.swirl(image, strength=random.uniform(-1.5, 1.5), radius=25),
    "line": draw_line,
    "scribble": scribble,
    "edges": lambda image, random: feature.canny(image, random.uniform(0.3, 1.2)).astype(float),
    "gradient": lambda image, random: filters.sobel(image),
    "bold": lambda image, random: morphology.dilation(image, morphology.disk(random.integers(1, 3))),
    "thin": lambda image, random: morphology.skeletonize(image > 0.4).astype(float),
    "fog": fog,
    "spots": lambda image, random: np.where(cloud(random, 2) > 0.75, random.random(), image),
    "grain": lambda image, random: image + random.normal(0, 0.25, image.shape),
    "few photons": lambda image, random: random.poisson(image * 6) / 6,
    "salt and pepper": lambda image, random: util.random_noise(image, "s&p", rng=random, amount=0.2),
    "defocus": lambda image, random: ndimage.convolve(image, morphology.disk(2) / 13.0),
    "moved camera": swipe,
    "coarse pixels": lambda image, random: transform.resize(
        transform.resize(image, (12, 12), anti_aliasing=True), (28, 28), order=0
    ),
    "bright": lambda image, random: image + random.uniform(0.3, 0.7),
    "faint": lambda image, random: image * random.uniform(0.15, 0.4),
    "inverted": lambda image, random: 1 - image,
    "striped": lambda image, random: np.where((np.arange(28) // 4 % 2)[:, None] > 0, 1 - image, image),
    "photograph": photograph,
    **{
        f"grey {level}": lambda image, random, level=level: np.maximum(image, level)
        for level in (0.1, 0.3, 0.5, 0.7)
    },
    **{
        f"blended grey {level}": lambda image, random, level=level: image * (1 - level) + level
        for level in (0.1, 0.3, 0.5, 0.7)
    },
}  # fmt: skip


def make_spoiled(images, kind):
    """Spoil images by one kind, always in the same way.

    Args:
        images: uint8 `(n, 28, 28)`.
        kind: a key of `KINDS`.

    Returns:
        uint8 `(n, 28, 28)`.
    """
    random = np.random.default_rng(SEED)
    spoiled = np.stack([KINDS[kind](image / 255, random) for image in images])
    return (np.clip(spoiled, 0, 1) * 255).round().astype(np.uint8)
