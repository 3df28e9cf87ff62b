"""The checks of lesson 04."""

import numpy as np

from helpers.checks.exercise import (
    NotYet,
    array,
    call,
    expect_array,
    expect_number,
    expect_share,
    word_and_number,
)


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


def check_04_2(answer):
    """Choose between two networks by their confusion matrices, and say what the choice costs."""
    ask = 'Give the network and the cost, such as ("A", 120).'
    name, cost = word_and_number(answer, ("A", "B"), ask)
    if name == "A":
        raise NotYet("A reads more papers correctly, but which one ships fewer wrong ones?")
    misconceptions = {
        30: "That pays for the wrong papers only. The other two trays are looked at.",
        60: "That pays for the looks only. Some papers in tray 1 are wrong.",
        280: "That takes row 1, the papers that *are* a 1. Tray 1 is what was *called* a 1.",
        105: "That pays for a look at all papers. Those in tray 1 are shipped at once.",
    }
    expect_number(cost, 90, misconceptions)
    return "B is less accurate and cheaper: what an error costs decides, and columns tell which."


def check_04_3(disagreements):
    """Count the images that exactly one of two methods reads, for McNemar's test."""
    labels = np.arange(10)
    first = np.array([0, 1, 2, 3, 4, 5, 9, 9, 9, 8])
    second = np.array([0, 1, 2, 9, 9, 9, 6, 7, 1, 8])
    counts = array(call(disagreements, labels, first, second))
    if counts.shape == (2, 10):
        raise NotYet("Those are two arrays of True and False. Count the True in each with `sum`.")
    misconceptions = {
        "The two counts are swapped: first those that only the first one reads.": (2, 3),
        "Those are all correct answers. Leave out the images that both read.": (6, 5),
        "Those are all errors. Leave out the images that both misread.": (4, 5),
        "That counts where the answers differ. Who is right matters as well.": (6, 6),
        "That counts where exactly one is right. Count each of the two apart.": (5, 5),
        "That is the length of the arrays. Count the True in them with `sum`.": (10, 10),
    }
    otherwise = "On ten images made for the purpose the counts are not right."
    expect_array(array(counts, (2,)), (3, 2), misconceptions, otherwise)
    return "Images that both read or both misread say nothing about which one is better."


def check_04_4(answer):
    """Find the smallest test set that has the power to see 0.1 points."""
    misconceptions = {
        20_000: "There the better network visibly wins in about one of three comparisons.",
        40_000: "There 0.1 points are about what chance makes, and show in half of the tries.",
        160_000: "That is enough, but a smaller one is enough as well.",
    }
    others = "Choose one of 20,000, 40,000, 80,000 and 160,000."
    expect_number(answer, 80_000, misconceptions, otherwise=others)
    return "MNIST's test set is too small for the differences that tables of results live on."
