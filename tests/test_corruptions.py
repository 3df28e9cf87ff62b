"""Spoiled images: every function spoils, and the mixture keeps to its share."""

import numpy as np
import pytest
import tensorflow as tf

from helpers import corruptions

FUNCTIONS = [function for family in corruptions.FAMILIES.values() for function in family]


@pytest.fixture
def strokes():
    """Forty images of a grey-edged cross, float32 `(40, 28, 28)`."""
    image = np.zeros((28, 28), "float32")
    image[12:16, 6:22] = image[6:22, 12:16] = 1
    image[11, 6:22] = image[6:22, 11] = 0.5
    return np.repeat(image[np.newaxis], 40, axis=0)


def make_random(seed=0):
    return tf.random.Generator.from_seed(seed)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_each_function_spoils_every_image_in_its_own_way(function, strokes):
    spoiled = function(tf.constant(strokes), make_random()).numpy()
    assert spoiled.shape == strokes.shape
    assert spoiled.dtype == np.float32
    assert np.isfinite(spoiled).all()
    changed = abs(spoiled - strokes).max(axis=(1, 2)) > 1e-3
    assert changed.mean() > 0.6  # a box or a stroke may miss the ink, or have the paper's tone
    if function is not corruptions.invert:
        assert len(np.unique(spoiled.reshape(40, -1).round(3), axis=0)) > 20


def test_a_constant_image_is_not_changed_by_blur_inside(strokes):
    ones = tf.ones_like(strokes)
    blurred = corruptions.blur(ones, make_random()).numpy()
    np.testing.assert_allclose(blurred[:, 8:20, 8:20], 1, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_mixture_leaves_the_rest_of_a_batch_clean(strokes, share):
    images = strokes[..., np.newaxis]
    spoiled = corruptions.spoil(images, make_random(), share=share).numpy()
    assert spoiled.min() >= 0 and spoiled.max() <= 1
    n = int(share * 40)
    np.testing.assert_array_equal(spoiled[n:], images[n:])
    changed = abs(spoiled[:n] - images[:n]).max(axis=(1, 2, 3)) > 1e-3
    assert not n or changed.mean() > 0.6


def test_the_mixture_follows_its_seed_and_its_families(strokes):
    images = strokes[..., np.newaxis]
    first, second = (corruptions.spoil(images, make_random(3)).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, corruptions.spoil(images, make_random(4)))
    np.testing.assert_array_equal(corruptions.spoil(images, make_random(), families=()), images)
    inverted = corruptions.spoil(images, make_random(), families=("inversion",)).numpy()
    assert (inverted[:, 0, 0, 0] == 1).sum() == 10  # a quarter of forty
