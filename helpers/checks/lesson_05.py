"""The checks of lesson 05."""

import numpy as np

from helpers.checks.exercise import NotYet, array, call, expect_array, expect_share


def check_05_1(margin):
    """Return by how much the best class leads over the second, for each image."""
    few = [[0.1, 0.7, 0.2], [0.4, 0.25, 0.35], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]
    probabilities = np.pad(np.array(few), ((0, 0), (0, 7)))
    changed = "Your function changes the probabilities that it was given. Sort a copy."
    margins = array(call(margin, probabilities, if_changed=changed))
    if margins.shape == ():
        raise NotYet("That is one number. Return one for each image: mind the axis.")
    if margins.shape != (4,):
        raise NotYet(f"4 images should give 4 margins, yours have the shape {margins.shape}.")
    right, confidences = np.array([0.5, 0.05, 1.0, 0.0]), [0.7, 0.4, 1.0, 0.5]
    misconceptions = {
        "That is the confidence, or what it leads the smallest by. Take the second.": confidences,
        "The sign is turned: a clear case should have a large margin.": -right,
    }
    otherwise = "An image with 0.7, 0.2 and 0.1 among its ten has a margin of 0.5."
    expect_array(margins, right, misconceptions, otherwise)
    return "0.4 against 0.35 is a close call, which the confidence of 0.4 alone does not show."


def check_05_2(without):
    """Leave out values by their positions, not by their values."""
    values = np.array([5, 7, 1, 5, 9, 3])
    left = array(call(without, values, np.array([1, 3])))
    mask = left if left.dtype == bool else [1, 0, 1, 0, 1, 1]
    misconceptions = {
        "It drops the *values* 1 and 3. The 1 and the 3 are positions.": [5, 7, 5, 9],
        "That keeps what should go. Keep the rest.": [7, 5],
        "That is the mask. Use it to choose from the values.": mask,
        "Those are the positions that stay. Return the values there.": [0, 2, 4, 5],
    }
    otherwise = "From 5, 7, 1, 5, 9, 3 without positions 1 and 3, keep 5, 1, 9, 3."
    expect_array(left, [5, 1, 9, 3], misconceptions, otherwise)
    return (
        "With the disputed images, an accuracy would have come out, unnoticed, for the wrong ones."
    )


def check_05_3(answer):
    """Choose the share to decide when a person's reading and an error have a price."""
    misconceptions = {
        1.0: "Then 36 errors cost 36.00, and nobody was paid to prevent them.",
        0.99: "Cheaper than no help, but the next 100 readings would pay for themselves too.",
        0.95: "One error is left, but 300 more readings cost more than the 3 errors they prevent.",
        0.02: "That is the share for the person. Give the share that the network decides.",
        0.05: "That is a share for the person. Give the share that the network decides.",
        0.01: "That is a share for the person. Give the share that the network decides.",
    }
    others = "Choose one of the four shares: 1, 0.99, 0.98, 0.95."
    expect_share(answer, 0.98, misconceptions, tolerance=1e-6, otherwise=others)
    return "The best threshold is a question of prices. No accuracy answers it."
