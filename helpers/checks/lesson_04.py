"""The checks of lesson 04."""

import numpy as np

from helpers.checks.exercise import NotYet, array, call, exercise, expect_number, expect_share


@exercise
def check_04_1(answer):
    """Find the lower end of the 95 % interval for 300 correct of 300."""
    misconceptions = {
        1.0: "That is the upper end, or the schoolbook rule, whose interval has no width here.",
        0.95: "95 % is how often the rule catches the truth, not where the interval ends.",
        0.99: "Close: that is a rule of thumb, 1 − 3/n. Wilson's interval reaches a little lower.",
        0.0126: "That is how far it reaches below 100 %. Where does it begin?",
        0.9996: "That is for 10,000 images. These are 300.",
        0.9967: "That is one error in 300. None was seen; how many could have been missed?",
    }
    expect_share(answer, 0.98736, misconceptions, tolerance=0.0007)
    return "No error in 300 still allows more than one in a hundred. Ask for n, always."


@exercise
def check_04_2(answer):
    """Compute the precision of the middle class of a small confusion matrix."""
    misconceptions = {
        0.72: "That divides by the row, by all that *are* a 1: the recall.",
        0.8: "That is the accuracy over all three classes.",
        12 / 17: "That is F1, which mixes precision and recall.",
        36 / 150: "That divides by all images. Take those that were *called* a 1.",
        16 / 52: "That is the share of false alarms: one minus the precision.",
        36: "That is a count. Divide it by all that were called a 1.",
    }
    others = "Not that. Give a share with two digits after the point; the hint shows the way."
    expect_share(answer, 36 / 52, misconceptions, 0.003, others, slack=0.004)
    return "Of ten answers of 1, three are wrong: that is what the one who gets the answers asks."


@exercise
def check_04_3(disagreements):
    """Count the images that exactly one of two methods reads, for McNemar's test."""
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    first = np.array([0, 1, 2, 3, 4, 5, 9, 9, 9, 8])
    second = np.array([0, 1, 2, 9, 9, 9, 6, 7, 1, 8])
    counts = array(call(disagreements, labels, first, second))
    if counts.shape == (2, 10):
        raise NotYet("Those are two arrays of True and False. Count the True in each with `sum`.")
    counts = array(counts, (2,)).astype(float).tolist()
    causes = {
        (2, 3): "The two counts are swapped: first those that only the first one reads.",
        (6, 5): "Those are all correct answers. Leave out the images that both read.",
        (4, 5): "Those are all errors. Leave out the images that both misread.",
        (3, 2): None,
        (6, 6): "That counts where the answers differ. Who is right matters as well.",
        (5, 5): "That counts where exactly one is right. Count each of the two apart.",
        (10, 10): "That is the length of the arrays. Count the True in them with `sum`.",
    }
    cause = causes.get(
        tuple(counts), "On ten images made for the purpose the counts are not right."
    )
    if cause:
        raise NotYet(cause)
    return "Images that both read or both misread say nothing about which one is better."


@exercise
def check_04_4(answer):
    """Find the smallest test set that can tell 0.1 points from noise."""
    misconceptions = {
        10_000: "There 0.1 points are 10 errors, and chance alone makes up to about 19.",
        20_000: "Twice the images double the 10 errors, but chance grows too, by √2.",
        80_000: "That is enough, but a smaller one is enough as well.",
    }
    others = "Choose one of 10,000, 20,000, 40,000 and 80,000."
    expect_number(answer, 40_000, misconceptions, otherwise=others)
    return "MNIST's test set is too small for the differences that tables of results live on."
