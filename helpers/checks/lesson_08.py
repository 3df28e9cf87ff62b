"""The checks of lesson 08."""

import numpy as np
from scipy import special

from helpers.checks.exercise import (
    array,
    call,
    expect_array,
    expect_choices,
    expect_number,
    expect_share,
)


def check_08_1(soften):
    """Apply a temperature to probabilities."""
    scores = np.random.default_rng(0).normal(0, 3, (6, 10))
    p = special.softmax(scores, axis=1)
    changed = "Your function changes what it was given. Return new numbers."
    softened = array(call(soften, p, 2.0, if_changed=changed), p.shape)
    right, surer, of_p = (special.softmax(x, axis=1) for x in (scores / 2, 2 * scores, p / 2))
    axis = None if np.isclose(softened.sum(), 1) else 0
    not_in_rows = special.softmax(np.log(p) / 2, axis=axis)
    misconceptions = {
        "That divides the probabilities. What did the temperature divide?": p / 2,
        "After dividing, softmax was taken of probabilities. Softmax expects scores.": of_p,
        "That is surer, not softer: the scores were multiplied.": surer,
        "They do not add up to 1 in each row yet.": np.sqrt(p),
        "Softmax ran over all numbers at once, or down the columns. Each row is an image.": (
            not_in_rows
        ),
        "Nothing has changed. Where did the temperature go?": p,
    }
    otherwise = "Not these. How do you get from probabilities back to scores?"
    if not np.allclose(softened.sum(axis=1), 1):
        otherwise = "The ten numbers of an image should add up to 1."
    expect_array(softened, right, misconceptions, otherwise)
    return "The answer stays, its confidence moves: a repair that costs no accuracy at all."


def check_08_2(answer):
    """Work out which share of what is refused is a digit."""
    misconceptions = {
        0.01: "That is the share of the digits that is refused. Of what is refused, how many are?",
        0.9: "That is the share of the others that is refused. Count boxes.",
        0.98: "That is the share of digits among all boxes. Look into the tray.",
        0.6475: "That is the share that is no digit. The question is the other way round.",
        0.011: "That divides one share by another. Count boxes: there are many more digits.",
        0.544: "That divides digits by the others. Divide by all that lies in the tray.",
        0.0278: "That is how much of everything is refused. Which part of it are digits?",
        0.357: "That takes 1 % of all boxes for the digits. How many boxes hold one?",
    }
    expect_share(answer, 98 / 278, misconceptions, tolerance=0.003)
    return "A third of what a good threshold refuses are digits, since digits are so many."


def check_08_3(promise):
    """Say for which images a conformal promise holds."""
    right = {"new": "holds", "grey": "breaks", "large": "breaks", "letters": "breaks"}
    misconceptions = {
        "new": "these come as the calibration digits came. What else would it need?",
        "grey": "the digits are the same, the images are not. Look at the figure.",
        "large": "the mean holds over all sets. These are picked out for being hard.",
        "letters": "can a set of digits hold the letter that a person would type?",
    }
    expect_choices(promise, right, ("holds", "breaks"), misconceptions)
    return "A promise is about a mean, over images that come as before; pick some out, and it ends."


def check_08_4(answer):
    """Find the probability of an error from which asking is cheaper than believing."""
    misconceptions = {
        0.004: "That is her time alone. She errs as well, and each error costs as much.",
        0.25: "2 / 500 is far less than a quarter.",
        250: "That is 500 / 2. Which of the two is divided by the other?",
        0.002: "Twice her rate of errors? Write down both costs, then set them equal.",
        0.001: "That is how often she errs. When does asking cost less than believing?",
        2.5: "That is what asking costs. From which probability on does believing cost as much?",
        0.003: "Her errors make asking dearer, so the threshold rises.",
    }
    expect_number(answer, 0.005, misconceptions, tolerance=0.00005)
    return "Below one error in two hundred, asking does harm: costs decide, and so does the helper."
