"""The checks of lesson 06."""

import numpy as np

from helpers.checks.exercise import NotYet, array, expect_number, expect_share


def check_06_1(kernel):
    """Design a kernel that, after ReLU, answers to left edges only."""
    kernel = array(kernel)
    if kernel.shape != (3, 3):
        raise NotYet(f"A kernel has the shape (3, 3), yours has {kernel.shape}.")
    if not np.isfinite(kernel).all():
        raise NotYet("A number of your kernel is not finite.")
    row = np.array([0, 1, 1])
    left, right = (kernel * row).sum(), (kernel * row[::-1]).sum()
    upper, lower = (kernel * row[:, None]).sum(), (kernel * row[::-1, None]).sum()
    if left <= 1e-6 < right:
        raise NotYet(
            "It answers to right edges. Turn it round: ink is on the right of a left edge."
        )
    if left <= 1e-6:
        raise NotYet("It is silent on a left edge. Where must the positive numbers stand?")
    if kernel.sum() > 1e-6:
        raise NotYet("It answers in the middle of ink too: its nine numbers must add up to 0.")
    if max(upper, lower) > 1e-6:
        raise NotYet("It answers to an upper or a lower edge too. Let every row add up to 0.")
    if right > 1e-6:
        raise NotYet(
            "It answers to right edges too. A point or a line does that; you need a slope."
        )
    return "An edge is a difference: that is why the slope needs a minus as well as a plus."


def check_06_2(answer):
    """Measure what the first half of the maps of the second pooling is worth."""
    misconceptions = {
        3: "That is with none or one map off. One map has stand-ins; do 32 have them as well?",
        500: "Half the maps is not half the images. Measure it: count_errors(…, range(32)).",
        1000: "Not all are lost. Measure it: count_errors(…, range(32)).",
        802: "That counts those that are still read correctly.",
        379: "Those are the maps of the other pooling. Take last_maps and after_last.",
        35: "That is the other half, range(32, 64). It matters less; why should it not?",
        0.198: "Give the number of images, not their share.",
        19.8: "Give the number of images, not their percentage.",
    }
    expect_number(answer, 198, misconceptions, tolerance=12, rel_tol=0.03)
    return "One map has stand-ins, half a layer has not: parts that work together fail together."


def check_06_3(answer):
    """Name the layer at which a misread digit parts from its twin."""
    name = str(answer).strip().lower()
    if name == "dense_2":
        raise NotYet(
            "By then it has happened: in the layer before, the lines have crossed already."
        )
    if name in ("dense_1", "batch_normalization_5"):
        raise NotYet("That is the right place; answer with the layer's name on the axis.")
    if name in ("pixels", "activation_1", "max_pooling2d_1", "activation_3", "max_pooling2d_2"):
        raise NotYet(f"At {name} it is still nearer to its twin. Where do the two lines cross?")
    if name != "activation_5":
        raise NotYet('Give a name from the axis of the figure in quotes, such as "activation_1".')
    return "It stays with its twin through all convolutions; the dense layer decides against it."


def check_06_4(answer):
    """Read from two curves how much of the rise an untrained network reaches."""
    misconceptions = {
        0.495: "That is the untrained network's last layer. Take its best one.",
        0.972: "That compares the scores. Compare the rises: both begin at the pixels.",
        0.968: "That is a score. How far is it above the pixels, compared with the other?",
        0.081: "That is the rise in points. What share is it of the trained network's rise?",
        0.7: "That is one layer of random kernels. A later one reaches more.",
        0.257: "That is what is left for training. What does the untrained network reach?",
    }
    expect_share(answer, 0.743, misconceptions, tolerance=0.015, slack=0.012)
    return "Before you praise what a network has learned, ask what it had before it learned."
