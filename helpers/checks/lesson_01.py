"""The checks of lesson 01."""

import numpy as np

from helpers.checks.exercise import NotYet, array, call, expect_number, number


def check_01_1(answer):
    """Say how many MB 1,000 colour images of 64 × 64 pixels take as float32."""
    misconceptions = {
        12.288: "That is one byte a number, as in uint8. How many bytes has a float32?",
        98.304: "That is eight bytes a number, as in float64. A float32 has 32 bits.",
        16.384: "That is one number a pixel. A colour image has three channels.",
        4.096: "That is one byte a pixel, and one channel. Look at both again.",
        393.216: "That counts bits, not bytes.",
        49_152: "That would be kB. Divide by a million for MB.",
        49_152_000: "That counts bytes. Divide by a million for MB.",
        46.875: "That counts 1,024 × 1,024 bytes as one MB; here one MB is a million bytes.",
    }
    expect_number(answer, 49.152, misconceptions, tolerance=0.2, rel_tol=0.03)
    return "Four times the memory of uint8: so this series scales a few hundred images at a time."


def check_01_2(brighten):
    """Add 100 to uint8 pixels without wrapping around, and stay within uint8."""
    image = np.array([[0, 100, 200], [255, 155, 156]], np.uint8)
    changed = "Your function changes the image that it was given. Return a new one."
    brighter = array(call(brighten, image, if_changed=changed), image.shape)
    if brighter[0, 2] == 44:
        raise NotYet("200 comes out as 44: somewhere 300 was put into a uint8, which wraps around.")
    if brighter.max() > 255:
        raise NotYet(f"A pixel comes out as {brighter.max():.0f}; the most a uint8 holds is 255.")
    if brighter[0, 1] != 200 or brighter[0, 0] != 100:
        raise NotYet("Dark pixels must be brighter by 100: 0 becomes 100, and 100 becomes 200.")
    if not (brighter[0, 2] == brighter[1, 0] == 255):
        raise NotYet("What would be more than 255 should be 255, full ink, and nothing else.")
    if brighter.dtype != np.uint8:
        raise NotYet(f"The values are right, the type is {brighter.dtype}. Return uint8 again.")
    return (
        "The first version gave no error and no warning: that is how such a bug reaches a network."
    )


def check_01_3(commonest_share):
    """Return the accuracy of always answering with the commonest class."""
    labels = np.array([7, 7, 2, 7, 5, 2, 7, 7])
    share = number(call(commonest_share, labels))
    misconceptions = {
        7: "That is the commonest class. How large is its share of all labels?",
        5: "That is how often it occurs. Divide by the number of labels.",
        62.5: "Return a share between 0 and 1, not a percentage.",
        1 / 3: "That is one divided by the number of classes. Here they are not equally common.",
        0.125: "That is the share of the rarest class.",
        0: "That looks for a certain digit. Find out which one is the commonest here.",
    }
    otherwise = f"For the labels 7, 7, 2, 7, 5, 2, 7, 7 yours returns {share:.4g}. Do not round."
    expect_number(share, 0.625, misconceptions, tolerance=1e-6, otherwise=otherwise)
    one_class = number(call(commonest_share, np.zeros(4, int)))
    expect_number(one_class, 1, {}, 1e-6, "For labels that are all the same, the share is 1.")
    return "Where 62 % have one label, an accuracy of 62 % is no achievement. Ask for this first."
