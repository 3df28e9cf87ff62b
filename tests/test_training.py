"""The pipeline, the transforms, the schedule, and what is left of a run that was stopped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import augmentation, live, training


def coefficients(angle=0.0, scales=(1.0, 1.0), shear=0.0, shift=(0.0, 0.0)):
    values = (tf.constant([v], tf.float32) for v in (angle, scales, shear, shift))
    return augmentation.affine_coefficients(*values)


def dot(row, column):
    image = np.zeros((1, 28, 28, 1), "float32")
    image[0, row, column] = 1
    return image


def test_dataset_scales_keeps_labels_with_images_and_shuffles_anew(digits):
    images, labels = digits
    images[:] = labels[:, None, None] * 12
    plain = list(training.make_dataset(images, labels, batch_size=16))
    assert [len(y) for _, y in plain] == [16, 16, 8]
    assert plain[0][0].dtype == tf.float32 and plain[0][0].shape == (16, 28, 28, 1)
    assert (np.concatenate([y for _, y in plain]) == labels).all()
    shuffled = training.make_dataset(images, labels, training=True, batch_size=16)
    orders = []
    for _ in range(2):
        batches = list(shuffled)
        middle = np.concatenate([x[:, 14, 14, 0] for x, _ in batches])
        drawn = np.concatenate([y for _, y in batches])
        np.testing.assert_allclose(middle, drawn * 12 / 255, atol=1e-5)
        orders.append(drawn.tolist())
    assert sorted(orders[0]) == sorted(labels.tolist()) and orders[0] != orders[1]
    assert shuffled.options().autotune.enabled is False  # it would keep an epoch's end waiting


@pytest.mark.parametrize(
    ("given", "lands"),
    [
        ({}, (10, 10)),
        ({"shift": (2.0, 1.0)}, (9, 8)),  # the source lies right and below: ink moves left and up
        ({"angle": np.pi / 2}, (17, 10)),  # (10, 10) turns about the centre, (13.5, 13.5)
        ({"scales": (0.5, 0.5)}, (6, 6)),
    ],
    ids=["nothing", "shift", "quarter turn", "zoom"],
)
def test_transforms_move_a_dot_where_they_should(given, lands):
    moved = augmentation.transform(dot(10, 10), *coefficients(**given)).numpy()[0, ..., 0]
    row, column = np.unravel_index(moved.argmax(), moved.shape)
    assert abs(row - lands[0]) <= 1 and abs(column - lands[1]) <= 1


@pytest.mark.parametrize("more", [{}, {"elastic": 0.5}], ids=["affine", "elastic"])
def test_random_transform_stays_within_its_limits(more):
    images, random = tf.repeat(dot(14, 14), 200, axis=0), tf.random.Generator.from_seed(0)
    moved = augmentation.random_transform(images, random, {**augmentation.LIMITS, **more}).numpy()[
        ..., 0
    ]
    ink = moved.sum(axis=(1, 2))
    centre = (moved.sum(axis=2) @ np.arange(28)) / ink
    assert abs(centre - 14).max() < augmentation.LIMITS["shift"] + 0.6 + sum(more.values()) * 1.4
    assert centre.std() > 0.8


def test_field_of_displacements_is_smooth_and_within_its_limit():
    field = augmentation.random_field(50, tf.random.Generator.from_seed(0), 1.5).numpy()
    assert field.shape == (50, 2, 28, 28)
    assert 1.5 < abs(field).max() < 1.5 * 1.4  # a cubic overshoots its knots
    assert abs(field.mean()) < 0.1 and 0.5 < field.std() < 1
    steps = abs(np.diff(field, axis=-1))
    assert steps.max() < 1.5 < abs(field[..., 0] - field[..., 14]).max()


def test_bending_by_no_field_is_the_affine_transform(digits):
    images = np.pad(digits[0][:20, 4:-4, 4:-4, None], ((0, 0), (4, 4), (4, 4), (0, 0))) / 255
    turn = [np.repeat(c, 20) for c in coefficients(angle=0.2, shift=(1.0, -1.5))]
    bent = augmentation.bend(images.astype("float32"), np.zeros((20, 2, 28, 28), "float32"), *turn)
    affine = augmentation.transform(images.astype("float32"), *turn)
    np.testing.assert_allclose(bent, affine, atol=1e-4)


def test_bending_moves_each_pixel_by_its_own_displacement():
    field = np.zeros((1, 2, 28, 28), "float32")
    field[0, 0, :, :14] = 3  # left of the middle, ink comes from three pixels to the right
    images = dot(10, 8) + dot(10, 20)
    moved = augmentation.bend(images, field, *coefficients()).numpy()[0, 10, :, 0]
    assert moved[5] == pytest.approx(1) and moved[20] == pytest.approx(1)
    assert np.count_nonzero(moved > 1e-3) == 2


def test_one_cycle_rises_peaks_after_a_fifth_and_ends_near_zero():
    schedule = training.one_cycle(50, peak=0.01)
    rates = np.array([float(schedule(step)) for step in range(51)])
    assert rates.argmax() == 10 and rates.max() == pytest.approx(0.01)
    assert rates[0] < 0.001 and rates[-1] < 1e-6
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()


def test_live_curves_show_a_full_bar_and_a_figure(digits, shown):
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    network = keras.Sequential(layers)
    training.compile_model(network, steps=10)
    dataset = training.make_dataset(*digits, batch_size=8)
    curves = live.LiveCurves(every=2)
    network.fit(dataset, epochs=2, validation_data=dataset, callbacks=[curves], verbose=0)
    bars = [content["text/html"] for content in shown if isinstance(content, dict)]
    assert 'value="0" max="10"' in bars[0]
    assert 'value="10" max="10"' in bars[-1] and "epoch 2 of 2" in bars[-1]
    lines = next(content for content in shown if hasattr(content, "axes")).axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [2, 2, 2, 2]
    labels = [line.get_label() for line in lines if line.get_label()[0] != "_"]
    assert labels == ["running mean", "training", "validation"]
