"""The checks of lesson 10."""

import numpy as np

from helpers.checks.exercise import NotYet, array, call, expect_array, expect_share, word_and_number


def check_10_1(new_size):
    """Bring a digit's longest side to 20 pixels, and keep its shape."""
    high = array(call(new_size, 100, 50), (2,))
    misconceptions = {
        "100 × 50 comes out as 20 × 20: the digit is squeezed. Keep its shape.": [20, 20],
        "100 × 50 comes out as 40 × 20. It is the *longest* side that becomes 20.": [40, 20],
        "100 × 50 comes out as 10 × 20. Height first, then width.": [10, 20],
    }
    otherwise = f"100 × 50 should be 20 × 10; yours comes out as {high[0]:g} × {high[1]:g}."
    expect_array(high, [20, 10], misconceptions, otherwise)
    wide = array(call(new_size, 30, 60), (2,))
    if not np.allclose(wide, [10, 20]):
        raise NotYet(f"30 × 60 comes out as {wide[0]:g} × {wide[1]:g}. Here the width is longest.")
    small = array(call(new_size, 5, 10), (2,))
    if not np.allclose(small, [10, 20]):
        raise NotYet("5 × 10 is smaller than 20: it must grow, to 10 × 20.")
    thin = array(call(new_size, 400, 5), (2,))
    if thin.min() < 1:
        raise NotYet("A stroke of 400 × 5 is left without any width. Keep at least 1 pixel.")
    uneven = array(call(new_size, 90, 64), (2,))
    if not np.array_equal(uneven, np.round(uneven)):
        raise NotYet("90 × 64 comes out with a part of a pixel. Give whole numbers.")
    if not (np.array_equal(thin, [20, 1]) and uneven[0] == 20 and uneven[1] in (14, 15)):
        raise NotYet("For 90 × 64 and 400 × 5 something else is due. Is it one factor for both?")
    return "A 1 stays narrow and a 0 round: the shape is what a network reads."


def check_10_2(answer):
    """Read from a budget of errors which step to make perfect, and what that gives at most."""
    steps = ("found", "cut", "prepared", "read")
    ask = 'Give two things: the step and the share, such as ("found", 0.5).'
    step, share = word_and_number(answer, steps, ask, first="The step")
    if step == "read":
        raise NotYet("A perfect network would save 7 digits. Another step spoils more than twice.")
    if step != "cut":
        raise NotYet("That step spoils the fewest or nearly so. Which one spoils most?")
    misconceptions = {
        0.84: "That is the share that is right now. What does the perfect step add to it?",
        0.91: "That leaves out the errors of the other three steps, 14 in all.",
        0.09: "That is the share that the step saves. Add what is right now.",
        1.0: "The other steps go on making their errors.",
        0.965: "That counts the 7 misread digits only. The others are lost as well.",
    }
    expect_share(share, 0.93, misconceptions, tolerance=0.001)
    return "Room between the digits gains more than any network could: 14 errors are left of 32."


def check_10_3(answer):
    """Say how low the accuracy may be if 38 of 40 digits were read."""
    misconceptions = {
        0.95: "That is the share of the forty digits. Its interval reaches below.",
        0.986: "That is the upper end.",
        0.882: "That is the rule of thumb, p - 1.96 · √(p(1 - p)/n). Near 1 it is too narrow.",
        0.911: "That is the middle of the interval.",
        0.912: "That is for 40 of 40. Two were misread.",
        0.15: "That is how wide the interval is. Where does it begin?",
    }
    expect_share(answer, 0.835, misconceptions, tolerance=0.004)
    return "From one in six to one in seventy: that is how far forty digits leave it open."
