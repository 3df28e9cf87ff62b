"""The checks of lesson 07."""

import numpy as np

from helpers.checks.exercise import NotYet, array, call, expect_array, expect_choices, expect_number


def check_07_1(answer):
    """Find the level of grey at which half of the digits are lost."""
    misconceptions = {
        0.05: "There most digits are still read. Go on towards 0.10.",
        0.07: "There two thirds are still read. A little further.",
        0.09: "There less than two fifths are read. A little back.",
        0.1: "There far more than half are lost already. Go back towards 0.05.",
        0.3: "There nearly every answer is an 8. Look between 0.05 and 0.10.",
        0.5: "Is that the share of digits? Give the level of grey at which it is reached.",
    }
    expect_number(answer, 0.0825, misconceptions, tolerance=0.0036, rel_tol=0.02)
    return "A twelfth of the way from white to black: a person would still call that paper white."


def check_07_2(repaired_means):
    """Renew the means of a normalisation for images that are lifted by a constant."""
    random = np.random.default_rng(0)
    stored, kernel = random.normal(size=32), random.normal(size=(3, 3, 1, 32))
    changed = "Your function changes what it was given. Return new numbers."
    repaired = array(call(repaired_means, stored, kernel, 0.2, if_changed=changed), (32,))
    sums = kernel.sum(axis=(0, 1, 2))
    up = 0.2 * sums
    misconceptions = {
        "The sign is turned: if every output rises, so does the mean to subtract.": stored - up,
        "Those are the changes. Add them to the means that are stored.": up,
        "That takes the mean of the weights. A convolution adds them up.": stored + up / 9,
        "That leaves the filters out: each has its own sum of weights.": stored + 0.2,
        "That adds up the weights of all filters. Each filter has its own sum.": stored + up.sum(),
        "Where has c gone? Twice the constant moves the outputs twice as far.": stored + sums,
    }
    otherwise = "Not these. By how much does c move each filter's output?"
    expect_array(repaired, stored + up, misconceptions, otherwise)
    return "Nothing is learned and nothing is lost: 32 numbers, known beforehand, undo the grey."


def check_07_3(choice):
    """Choose between preparing the image, renewing statistics and training, for three tasks."""
    right = {"till": "prepare", "archive": "renew", "strangers": "train"}
    misconceptions = {
        ("till", "train"): "nothing may be trained there, and one line of arithmetic is enough.",
        ("till", "renew"): "it reads one digit at a time. Where would a set of its kind come from?",
        ("archive", "prepare"): "mottled is not even. Which formula would undo it?",
        ("archive", "train"): "that may work, but a cure without labels or training is at hand.",
        "strangers": "every image is spoiled in another way, in no way you can write down.",
    }
    expect_choices(choice, right, ("prepare", "renew", "train"), misconceptions)
    return (
        "The cheapest cure that fits: a formula, a set of the same kind, or a wider training set."
    )


def check_07_4(corruption):
    """Invent a corruption that keeps the form of the images and changes their content."""
    images = np.random.default_rng(0).random((6, 28, 28)).astype("float32")
    images[:, :4] = 0
    changed = "It changes the images that it was given. Begin with images.copy()."
    spoiled = array(call(corruption, images, if_changed=changed), images.shape)
    if not np.isfinite(spoiled).all():
        raise NotYet("Some of its pixels are not numbers, or infinite.")
    if spoiled.min() < 0 or spoiled.max() > 1:
        raise NotYet("Some pixels are below 0 or above 1. End with np.clip(..., 0, 1).")
    if np.allclose(spoiled, images, atol=1e-3):
        raise NotYet("Nothing has changed.")
    if np.allclose(spoiled, spoiled[:1]):
        raise NotYet("All images come out the same: the digits are gone, nobody could read them.")
    return "Whatever it reads: you knew before you looked, or you learned what it has not learned."
