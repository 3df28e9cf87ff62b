"""Varied images: small random transforms, anew for every image in every epoch."""

import keras
import numpy as np
import tensorflow as tf

# One small affine transform per image: rotation in degrees, zoom and shear as fractions, shift
# in pixels; each drawn uniformly from ± its limit.
LIMITS = {"rotation": 8.0, "zoom": 0.08, "shear": 0.1, "shift": 2.0}


def random_transform(images, random, limits=LIMITS):
    """Rotate, zoom, shear and shift every image a little, by one bilinear resampling.

    Args:
        images: float32 `(n, 28, 28, 1)`.
        random: a `tf.random.Generator`.
        limits: the largest rotation (degrees), zoom and shear (fractions) and shift (pixels); with
            `elastic` (pixels), the image is bent as well (see `random_field`); with `uneven`,
            each image keeps to a part of them, a quarter to all and mostly little.

    Returns:
        float32 `(n, 28, 28, 1)`; from outside an image comes 0, or with `elastic` its border.
    """
    n = tf.shape(images)[0]
    part = 0.25 + 0.75 * tf.square(random.uniform([n])) if limits.get("uneven") else tf.ones([n])
    angle, shear = (
        part * random.uniform([n], -limit, limit)
        for limit in (np.deg2rad(limits["rotation"]), limits["shear"])
    )
    zoom, shift = (
        part[:, tf.newaxis] * random.uniform([n, 2], -limits[k], limits[k])
        for k in ("zoom", "shift")
    )
    coefficients = affine_coefficients(angle, 1 + zoom, shear, shift)
    if "elastic" in limits:
        return bend(images, random_field(n, random, limits["elastic"]), *coefficients)
    return transform(images, *coefficients)


def affine_coefficients(angle, scales, shear, shift):
    """Work out where each output pixel comes from: `A (output − centre) + centre + shift`.

    Args:
        angle: rotation in radians, `(n,)`.
        scales: step in the source per output pixel, x and y, `(n, 2)`; 1 keeps the size.
        shear: how far x moves per unit of y, `(n,)`.
        shift: in pixels, x and y, `(n, 2)`.

    Returns:
        The six coefficients a0, a1, a2, b0, b1, b2, each `(n,)`, of
        `x = a0 X + a1 Y + a2` and `y = b0 X + b1 Y + b2`.
    """
    centre = 13.5  # of 28 pixels numbered from 0
    cos, sin = tf.cos(angle), tf.sin(angle)
    a0, a1 = scales[:, 0] * cos, scales[:, 0] * (shear * cos - sin)
    b0, b1 = scales[:, 1] * sin, scales[:, 1] * (shear * sin + cos)
    a2 = centre - centre * (a0 + a1) + shift[:, 0]
    b2 = centre - centre * (b0 + b1) + shift[:, 1]
    return a0, a1, a2, b0, b1, b2


def transform(images, a0, a1, a2, b0, b1, b2):
    """Resample each image by its own six affine coefficients (see `affine_coefficients`).

    Args:
        images: float32 `(n, 28, 28, 1)`.
        a0, a1, a2, b0, b1, b2: `(n,)` each.

    Returns:
        float32 `(n, 28, 28, 1)`.
    """
    zero = tf.zeros_like(a0)
    coefficients = tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)
    return keras.ops.image.affine_transform(images, coefficients, data_format="channels_last")


def random_field(n, random, limit):
    """Draw a smooth field of displacements for each image.

    Args:
        n: how many images.
        random: a `tf.random.Generator`.
        limit: how far each of 5 × 5 knots is moved at most, in x and in y, in pixels; between
            the knots the field is cubic.

    Returns:
        float32 `(n, 2, 28, 28)`: displacements in x and in y, in pixels. After Simard and others,
        "Best practices for convolutional neural networks", 2003, who blur noise instead.
    """
    knots = random.uniform([n, 2, 5, 5], -limit, limit)
    weights = knot_weights(5)  # both axes take the same
    return tf.einsum("yi,ndij,xj->ndyx", weights, knots, weights)


def knot_weights(knots):
    """Return what a cubic enlargement to 28 pixels takes from each knot: float32 `(28, knots)`."""
    return tf.image.resize(tf.eye(knots)[..., tf.newaxis], (28, knots), "bicubic")[..., 0]


def bend(images, field, a0, a1, a2, b0, b1, b2):
    """Resample each image as `transform` does, with a displacement for every pixel.

    Args:
        images: float32 `(n, 28, 28, 1)`, empty at the border, which is repeated outwards.
        field: `(n, 2, 28, 28)`, added to x and to y, in pixels.
        a0, a1, a2, b0, b1, b2: `(n,)` each (see `affine_coefficients`).

    Returns:
        float32 `(n, 28, 28, 1)`.
    """
    a0, a1, a2, b0, b1, b2 = (c[:, tf.newaxis, tf.newaxis] for c in (a0, a1, a2, b0, b1, b2))
    column, row = tf.range(28.0), tf.range(28.0)[:, tf.newaxis]
    x = tf.clip_by_value(a0 * column + a1 * row + a2 + field[:, 0], 0, 26.999)
    y = tf.clip_by_value(b0 * column + b1 * row + b2 + field[:, 1], 0, 26.999)
    left, top = tf.floor(x), tf.floor(y)
    first = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis] * 784
    corner = first + tf.cast(top, tf.int32) * 28 + tf.cast(left, tf.int32)
    pixels = tf.reshape(images, [-1])
    a, b, c, d = (tf.gather(pixels, corner + step) for step in (0, 1, 28, 29))
    upper, lower = a + (x - left) * (b - a), c + (x - left) * (d - c)
    return (upper + (y - top) * (lower - upper))[..., tf.newaxis]
