"""Spoiled digits: nine general families of what happens to an image on its way, and their mixture.

Every function takes float32 images `(n, 28, 28)` in [0, 1], 0 paper and 1 ink, and a
`tf.random.Generator`, and returns images of the same shape, each spoiled by an amount of its own.
They vary more than what one is likely to meet; none imitates a particular camera or benchmark. Some
go below 0 or above 1: `spoil` clips.
"""

import math

import numpy as np
import tensorflow as tf

from helpers import augmentation

SIDE = 28
# NumPy, since TensorFlow's first operation would fix how many cores it may use.
COLUMN = np.arange(SIDE, dtype=np.float32)[np.newaxis, np.newaxis]
ROW = np.arange(SIDE, dtype=np.float32)[np.newaxis, :, np.newaxis]


def draw(random, images, low, high):
    """Draw one number for each image, uniformly: float32 `(n, 1, 1)`."""
    return random.uniform([tf.shape(images)[0], 1, 1], low, high)


def dilate(images):
    """Give each pixel the largest value among its neighbours, 3 × 3."""
    return tf.nn.max_pool2d(images[..., tf.newaxis], 3, 1, "SAME")[..., 0]


def erode(images):
    """Give each pixel the smallest value among its neighbours, 3 × 3."""
    return 1 - dilate(1 - images)


def smooth(images, sigma_x, sigma_y):
    """Blur by a Gaussian, of its own width in each direction.

    Args:
        images: float32 `(n, 28, 28)`.
        sigma_x, sigma_y: standard deviations in pixels, `(n, 1, 1)`.

    Returns:
        float32 `(n, 28, 28)`; outside an image counts as nothing.
    """
    distance = tf.square(ROW - COLUMN)

    def weights(sigma):
        kernel = tf.exp(-distance / (2 * tf.square(sigma) + 1e-3))
        return kernel / tf.reduce_sum(kernel, axis=2, keepdims=True)

    return tf.matmul(tf.matmul(weights(sigma_y), images), weights(sigma_x), transpose_b=True)


def random_surface(random, images, knots):
    """Draw a smooth surface for each image: random heights at knots, cubic between them.

    Args:
        random: a `tf.random.Generator`.
        images: `(n, 28, 28)`, for their number.
        knots: how many along each side; more make it rougher.

    Returns:
        float32 `(n, 28, 28)`, about −0.5 to 0.5.
    """
    heights = random.uniform([tf.shape(images)[0], knots, knots], -0.5, 0.5)
    weights = augmentation.knot_weights(knots)  # both axes take the same
    return tf.einsum("yi,nij,xj->nyx", weights, heights, weights)


def draw_line(random, images, margin):
    """Lay a line across each image, through a place `margin` pixels from its edges or more.

    Returns:
        How far each pixel lies along it and across it, float32 `(n, 28, 28)` each.
    """
    angle = draw(random, images, 0, math.pi)
    x, y = (draw(random, images, margin, SIDE - margin) for _ in "xy")
    along = (COLUMN - x) * tf.cos(angle) + (ROW - y) * tf.sin(angle)
    across = (ROW - y) * tf.cos(angle) - (COLUMN - x) * tf.sin(angle)
    return along, across


def thicken(images, random):
    """Make strokes thicker: part of the way to the image dilated once or twice."""
    thick = dilate(images)
    thick = tf.where(draw(random, images, 0, 1) < 0.3, dilate(thick), thick)
    return images + draw(random, images, 0.2, 1) * (thick - images)


def thin(images, random):
    """Make strokes thinner: keep their ridges, where they are darker than around."""
    sigma = draw(random, images, 0.8, 1.6)
    ridge = tf.nn.relu(images - draw(random, images, 0.2, 1) * smooth(images, sigma, sigma))
    darkest = tf.reduce_max(ridge, axis=(1, 2), keepdims=True)
    return draw(random, images, 0.6, 1.5) * ridge / (darkest + 1e-3)


def outline(images, random):
    """Leave the contour of the strokes, drawn outside, inside or astride of their edge."""
    place = draw(random, images, 0, 1)
    outer = images + place * (dilate(images) - images)
    inner = erode(images) + place * (images - erode(images))
    return draw(random, images, 0.7, 3) * (outer - inner)


def change_ink(images, random):
    """Make grey ink lighter or darker, black and white stay: a power of each pixel."""
    return tf.pow(images + 1e-6, tf.exp(draw(random, images, -1, 1)))


def blur(images, random):
    """Blur by a Gaussian of 0.2 to 1.6 pixels, of its own width in each direction."""
    return smooth(images, draw(random, images, 0.2, 1.6), draw(random, images, 0.2, 1.6))


def sharpen(images, random):
    """Exaggerate what a blur would take away (unsharp masking)."""
    sigma = draw(random, images, 0.5, 2)
    detail = images - smooth(images, sigma, sigma)
    return tf.clip_by_value(images + draw(random, images, 0.5, 4) * detail, 0, 1)


def scatter(images, random):
    """Fetch every pixel from a random place nearby, up to 0.5 to 2.5 pixels away."""
    reach, n = draw(random, images, 0.5, 2.5), tf.shape(images)[0]

    def near(place):
        moved = tf.round(place + reach * random.uniform(tf.shape(images), -1, 1))
        return tf.cast(tf.clip_by_value(moved, 0, SIDE - 1), tf.int32)

    source = tf.reshape(near(ROW) * SIDE + near(COLUMN), [n, -1])
    pixels = tf.gather(tf.reshape(images, [n, -1]), source, batch_dims=1)
    return tf.reshape(pixels, tf.shape(images))


def cross_out(images, random):
    """Draw a stroke across: straight or wavy, whole or dashed, light or dark."""
    along, across = draw_line(random, images, margin=2)
    period, phase = draw(random, images, 3, 14), draw(random, images, 0, 2 * math.pi)
    height = tf.nn.relu(draw(random, images, -3, 3))  # half of them are straight
    across += height * tf.sin(2 * math.pi * along / period + phase)
    ink = tf.clip_by_value(draw(random, images, 0.6, 2.2) + 0.5 - tf.abs(across), 0, 1)
    place = tf.math.floormod(along / draw(random, images, 2, 12), 1)
    ink *= tf.cast(place < draw(random, images, 0.3, 1.6), tf.float32)  # below 1 it is dashed
    return images + ink * (draw(random, images, 0, 1.3) - images)


def flip_part(images, random):
    """Turn the tone round beyond a line, within a band, or in every second stripe."""
    _, across = draw_line(random, images, margin=4)
    period = draw(random, images, 2.5, 7.5) ** 2  # pixels: from stripes to half planes
    inside = tf.math.floormod(across / period, 1) < draw(random, images, 0.2, 0.8)
    return tf.where(inside, 1 - images, images)


def erase(images, random):
    """Cover a box of 2 to 10 pixels a side with one tone, half the time that of the paper."""
    x, y = draw(random, images, 2, 26), draw(random, images, 2, 26)
    inside = tf.abs(COLUMN - x) < draw(random, images, 1, 5)
    inside &= tf.abs(ROW - y) < draw(random, images, 1, 5)
    return tf.where(inside, tf.nn.relu(draw(random, images, -1, 1)), images)


def invert(images, random):
    """Write with light ink on dark paper, or the other way round."""
    return 1 - images


def tone(images, random):
    """Put the digit on paper of any tone, even or uneven, at any contrast."""
    paper = draw(random, images, 0, 1)
    uneven = tf.nn.relu(draw(random, images, -0.5, 1))  # a third of the papers are even
    rough = draw(random, images, 0, 1) * random_surface(random, images, 10)
    paper += uneven * (random_surface(random, images, 4) + rough)
    contrast = draw(random, images, 0.2, 1)
    return contrast * images + (1 - contrast) * tf.clip_by_value(paper, 0, 1)


def add_noise(images, random):
    """Add Gaussian noise with a standard deviation of up to 0.35."""
    return images + draw(random, images, 0, 0.35) * random.normal(tf.shape(images))


def multiply_noise(images, random):
    """Multiply each pixel by a random number around 1 (speckle)."""
    return images * (1 + draw(random, images, 0, 0.8) * random.normal(tf.shape(images)))


def sprinkle(images, random):
    """Turn up to 15 % of the pixels black and as many white (impulse noise)."""
    chance, share = random.uniform(tf.shape(images)), draw(random, images, 0, 0.15)
    return tf.where(chance < share, 0.0, tf.where(chance > 1 - share, 1.0, images))


# In the order in which a photograph comes about: pen, page, light, lens, sensor.
# With each function, the share of the images that it is applied to: about two to an image.
FAMILIES = {
    "stroke": {thicken: 0.07, thin: 0.09, outline: 0.09, change_ink: 0.1},
    "crossing": {cross_out: 0.22},
    "halves": {flip_part: 0.14},
    "gaps": {erase: 0.1},
    "inversion": {invert: 0.25},
    "tone": {tone: 0.3},
    "focus": {blur: 0.16, sharpen: 0.08},
    "scatter": {scatter: 0.14},
    "noise": {add_noise: 0.12, multiply_noise: 0.06, sprinkle: 0.12},
}


def spoil(images, random, families=tuple(FAMILIES), share=1.0):
    """Spoil part of a batch by a random mixture of families.

    Each function of a family is applied to its share of the images, drawn anew for each function:
    most get one to three, about one in eight none.

    Args:
        images: float32 `(n, 28, 28, 1)` in [0, 1].
        random: a `tf.random.Generator`.
        families: names from `FAMILIES`.
        share: of the images that may be spoiled, the first ones; the rest stay clean.

    Returns:
        float32 `(n, 28, 28, 1)` in [0, 1].
    """
    n = tf.cast(share * tf.cast(tf.shape(images)[0], tf.float32), tf.int32)
    spoiled, clean = images[:n, ..., 0], images[n:]
    for family in families:
        for function, part in FAMILIES[family].items():
            amount = tf.cast(part * tf.cast(n, tf.float32), tf.int32)
            chosen = tf.argsort(random.uniform([n]))[:amount]
            changed = function(tf.gather(spoiled, chosen), random)
            spoiled = tf.tensor_scatter_nd_update(spoiled, chosen[:, tf.newaxis], changed)
    return tf.concat([tf.clip_by_value(spoiled, 0, 1)[..., tf.newaxis], clean], axis=0)
