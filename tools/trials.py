"""Spoiled validation digits, to choose between recipes by: `python -m tools.trials FILE NAME`.

They are made with SciPy and scikit-image, by other code and mostly other kinds than those of
`helpers.corruptions`, so that a recipe is not judged by what it was trained on. Results go to
models/robust_tries.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage import draw, feature, filters, morphology, transform, util

from helpers import data, model, model_files, preflight
from helpers.files import write_text
from tools import records

RECORD = model_files.MODELS / "robust_tries.json"
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


def coarsen(image, random):
    """Leave 12 × 12 pixels."""
    coarse = transform.resize(image, (12, 12), anti_aliasing=True)
    return transform.resize(coarse, (28, 28), order=0)


def stripe(image, random):
    """Turn the tone round in every second stripe of four rows."""
    return np.where((np.arange(28) // 4 % 2)[:, np.newaxis] > 0, 1 - image, image)


def either(random, low, high, size=None):
    """Draw numbers whose size lies between two limits, with either sign."""
    return random.choice([-1, 1], size) * random.uniform(low, high, size)


# x is an image, r a NumPy generator.
KINDS = {
    "as it is": lambda x, r: x,
    "shifted": lambda x, r: warp(x, shift=either(r, 2, 5, 2)),
    "turned": lambda x, r: warp(x, rotation=either(r, 15, 30)),
    "small": lambda x, r: warp(x, r.uniform(0.5, 0.75)),
    "large": lambda x, r: warp(x, r.uniform(1.15, 1.35)),
    "slanted": lambda x, r: warp(x, shear=either(r, 0.3, 0.6)),
    "swirled": lambda x, r: transform.swirl(x, strength=r.uniform(-1.5, 1.5), radius=25),
    "line": draw_line,
    "scribble": scribble,
    "edges": lambda x, r: feature.canny(x, r.uniform(0.3, 1.2)).astype(float),
    "gradient": lambda x, r: filters.sobel(x),
    "bold": lambda x, r: morphology.dilation(x, morphology.disk(r.integers(1, 3))),
    "thin": lambda x, r: morphology.skeletonize(x > 0.4).astype(float),
    "fog": fog,
    "spots": lambda x, r: np.where(cloud(r, 2) > 0.75, r.random(), x),
    "grain": lambda x, r: x + r.normal(0, 0.25, x.shape),
    "few photons": lambda x, r: r.poisson(x * 6) / 6,
    "salt and pepper": lambda x, r: util.random_noise(x, "s&p", rng=r, amount=0.2),
    "defocus": lambda x, r: ndimage.convolve(x, morphology.disk(2) / 13.0),
    "moved camera": swipe,
    "coarse pixels": coarsen,
    "bright": lambda x, r: x + r.uniform(0.3, 0.7),
    "faint": lambda x, r: x * r.uniform(0.15, 0.4),
    "inverted": lambda x, r: 1 - x,
    "striped": stripe,
    "photograph": photograph,
}
for level in (0.1, 0.3, 0.5, 0.7):
    KINDS[f"grey {level}"] = lambda x, r, level=level: np.maximum(x, level)
    KINDS[f"blended grey {level}"] = lambda x, r, level=level: x * (1 - level) + level


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


def measure(network, images, labels, kinds=tuple(KINDS)):
    """Read the first `N` images, spoiled by each kind.

    Args:
        network: what `build_model` returned, trained.
        images: uint8 `(n, 28, 28)`, of validation.
        labels: uint8 `(n,)`.
        kinds: keys of `KINDS`.

    Returns:
        A dict of the share that is read of each kind.
    """
    shares = {}
    for kind in kinds:
        batch = make_spoiled(images[:N], kind)[..., np.newaxis].astype("float32") / 255
        predictions = network.predict(batch, batch_size=250, verbose=0).argmax(axis=1)
        shares[kind] = round(float(np.mean(predictions == labels[:N])), 4)
    return shares


def main():
    """Measure a network that was trained on the 55,000, and add it to the record of tries."""
    parser = argparse.ArgumentParser(prog="python -m tools.trials", description=main.__doc__)
    parser.add_argument("network", type=Path, help="a .keras file")
    parser.add_argument("name", help="of the try, in the record")
    parser.add_argument("recipe", nargs="?", default="{}", help="what it was made of, as JSON")
    options = parser.parse_args()
    preflight.load_tensorflow()
    _, (images, labels) = data.split_validation(*data.load_mnist()[0])
    network = model_files.load_model(options.network)
    wrong = model.predict(network, images).argmax(axis=1) != labels
    shares = measure(network, images, labels)
    spoiled = [share for kind, share in shares.items() if kind != "as it is" and "grey" not in kind]
    tries = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    tries[options.name] = {
        "recipe": json.loads(options.recipe),
        "clean": {"n": len(labels), "errors": int(wrong.sum())},
        "spoiled": {"n": N, "mean": round(float(np.mean(spoiled)), 4), "worst": min(spoiled)},
        "kinds": shares,
    }
    write_text(RECORD, json.dumps(tries, indent=1) + "\n")
    records.record_digests(RECORD)
    print(options.name, {key: tries[options.name][key] for key in ("clean", "spoiled")})


if __name__ == "__main__":
    main()
