"""The checks of lesson 08."""

import numpy as np
from scipy import special

from helpers.checks.exercise import (
    NotYet,
    array,
    call,
    choices,
    exercise,
    expect_number,
    expect_share,
)


def _softened_wrongly(scores, probabilities):
    """Return what other ways of softening by 2 give, by what to say of them."""
    return {
        "That divides the probabilities. What did the temperature divide?": probabilities / 2,
        "After dividing, softmax was taken of probabilities. Softmax expects scores.": (
            special.softmax(probabilities / 2, axis=1)
        ),
        "That is surer, not softer: the scores were multiplied.": special.softmax(
            2 * scores, axis=1
        ),
        "They do not add up to 1 in each row yet.": probabilities**0.5,
        "Softmax ran over all numbers at once, or down the columns. Each row is an image.": (
            special.softmax(scores / 2, axis=0)
        ),
        "Nothing has changed. Where did the temperature go?": probabilities,
    }


@exercise
def check_08_1(soften):
    """Apply a temperature to probabilities."""
    scores = np.random.default_rng(0).normal(0, 3, (6, 10))
    probabilities = special.softmax(scores, axis=1)
    before = probabilities.copy()
    softened = array(call(soften, probabilities, 2.0), (6, 10))
    if not np.array_equal(probabilities, before):
        raise NotYet("Your function changes what it was given. Return new numbers.")
    for cause, wrong in _softened_wrongly(scores, probabilities).items():
        if np.allclose(softened, wrong):
            raise NotYet(cause)
    if not np.allclose(softened.sum(axis=1), 1):
        raise NotYet("The ten numbers of an image should add up to 1.")
    if not np.allclose(softened, special.softmax(scores / 2, axis=1), atol=1e-4):
        raise NotYet("Not these. How do you get from probabilities back to scores?")
    return "The answer stays, its confidence moves: a repair that costs no accuracy at all."


@exercise
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


@exercise
def check_08_3(promise):
    """Say for which images a conformal promise holds."""
    given = choices(promise, ("new", "grey", "large", "letters"), ("holds", "breaks"))
    if given["new"] == "breaks":
        raise NotYet("new: these come as the calibration digits came. What else would it need?")
    if given["grey"] == "holds":
        raise NotYet("grey: the digits are the same, the images are not. Look at the figure.")
    if given["large"] == "holds":
        raise NotYet("large: the mean holds over all sets. These are picked out for being hard.")
    if given["letters"] == "holds":
        raise NotYet("letters: can a set of digits hold the letter that a person would type?")
    return "A promise is about a mean, over images that come as before; pick some out, and it ends."


@exercise
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
