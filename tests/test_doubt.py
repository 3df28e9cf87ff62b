"""Doubt: low for digits, high for what is none, and the same for an image whatever lies beside."""

import numpy as np
import pytest
from scipy import special

from helpers import doubt, model, model_files
from tools import non_digits
from tools.doubt import fit_temperature, fit_weights


@pytest.fixture(scope="module")
def network_and_judge():
    return model_files.load_robust_model(), doubt.load()


def test_blank_paper_and_noise_are_refused(network_and_judge):
    network, judge = network_and_judge
    noise = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    blank = np.ones((52, 28, 28), np.uint8) * np.arange(0, 256, 5, dtype=np.uint8)[:, None, None]
    for images in (noise, blank):
        assert (judge.measure(network, images).doubt > judge.threshold).mean() > 0.95


@pytest.mark.filterwarnings("ignore:.*images have a ground")
def test_a_reading_says_what_the_network_says(network_and_judge, digits):
    network, judge = network_and_judge
    images, _ = digits
    reading = judge.measure(network, images)
    assert (reading.digits == model.predict(network, images).argmax(axis=1)).all()
    assert np.allclose(reading.probabilities.sum(axis=1), 1, atol=1e-5)
    assert ((reading.doubt >= 0) & (reading.doubt <= 1)).all()
    one = judge.measure(network, images[:1])
    for alone, among in zip(one, reading, strict=True):
        assert np.allclose(alone[0], among[0], atol=1e-3)
    assert judge.distances(judge.references[:20]).max() < 0.05
    with pytest.raises(ValueError, match="uint8"):
        judge.measure(network, images / 255)


def test_temperature_undoes_what_was_done_to_scores():
    random = np.random.default_rng(0)
    scores = random.normal(0, 2, (20_000, 10))
    labels = (special.softmax(scores, axis=1).cumsum(axis=1) < random.random((20_000, 1))).sum(1)
    assert abs(fit_temperature(3 * scores, np.minimum(labels, 9)) - 3) < 0.15


def test_weights_are_for_signs_as_they_are():
    signs = np.random.default_rng(0).normal(5, 3, (400, 2)).astype("float32")
    wrong = signs[:, 0] > 5
    weights, bias = fit_weights(signs, wrong)
    assert ((signs @ weights + bias > 0) == wrong).mean() > 0.9


@pytest.mark.parametrize("kind", non_digits.KINDS)
def test_each_kind_of_non_digit_is_an_image_with_something_on_it(kind, digits):
    make, _ = non_digits.KINDS[kind]
    images, random = np.repeat(digits[0], 20, axis=0), np.random.default_rng(0)
    made = np.stack([make(images, np.arange(len(images)) % 10, random) for _ in range(5)])
    assert made.shape == (5, 28, 28)
    assert np.isfinite(made).all()
    assert len(np.unique(made.reshape(5, -1).round(), axis=0)) > 1
