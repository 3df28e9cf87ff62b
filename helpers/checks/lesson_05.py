"""The checks of lesson 05."""

import numpy as np

from helpers.checks.exercise import NotYet, array, call, exercise, expect_share


@exercise
def check_05_1(margin):
    """Return by how much the best class leads over the second, for each image."""
    few = [[0.1, 0.7, 0.2], [0.4, 0.25, 0.35], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]
    probabilities = np.pad(np.array(few), ((0, 0), (0, 7)))
    before = probabilities.copy()
    margins = call(margin, probabilities)
    if not np.array_equal(probabilities, before):
        raise NotYet("Your function changes the probabilities that it was given. Sort a copy.")
    margins = array(margins)
    if margins.shape == ():
        raise NotYet("That is one number. Return one for each image: mind the axis.")
    if margins.shape != (4,):
        raise NotYet(f"4 images should give 4 margins, yours have the shape {margins.shape}.")
    if np.allclose(margins, [0.7, 0.4, 1.0, 0.5]):
        raise NotYet("That is the confidence, or what it leads the smallest by. Take the second.")
    if np.allclose(margins, [-0.5, -0.05, -1.0, 0.0]):
        raise NotYet("The sign is turned: a clear case should have a large margin.")
    if not np.allclose(margins, [0.5, 0.05, 1.0, 0.0]):
        raise NotYet("An image with 0.7, 0.2 and 0.1 among its ten has a margin of 0.5.")
    return "0.4 against 0.35 is a close call, which the confidence of 0.4 alone does not show."


@exercise
def check_05_2(without):
    """Leave out values by their positions, not by their values."""
    values = np.array([5, 7, 1, 5, 9, 3])
    left = array(call(without, values, np.array([1, 3])))
    if np.array_equal(left, [5, 7, 5, 9]):
        raise NotYet("It drops the *values* 1 and 3. The 1 and the 3 are positions.")
    if np.array_equal(left, [7, 5]):
        raise NotYet("That keeps what should go. Keep the rest.")
    if left.dtype == bool or np.array_equal(left, [1, 0, 1, 0, 1, 1]):
        raise NotYet("That is the mask. Use it to choose from the values.")
    if np.array_equal(left, [0, 2, 4, 5]):
        raise NotYet("Those are the positions that stay. Return the values there.")
    if not np.array_equal(left, [5, 1, 9, 3]):
        raise NotYet("From 5, 7, 1, 5, 9, 3 without positions 1 and 3, keep 5, 1, 9, 3.")
    return (
        "With the disputed images, an accuracy would have come out, unnoticed, for the wrong ones."
    )


@exercise
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
