"""The checks of lesson 11."""

import json
from pathlib import Path

import numpy as np

from helpers.checks.exercise import NotYet, call, expect_choices, expect_number

MODELS = Path(__file__).resolve().parents[2] / "models"
FORMS = 20_000


def check_11_1(answer):
    """Predict the size of a file whose weights take 8 bits in place of 32."""
    misconceptions = {
        2.39: "That is the size it has now.",
        1.195: "That would be 16 bits for each weight.",
        0.299: "That divides by 8. How many times do 8 bits go into 32?",
        0.0747: "That divides by 32: one bit for each weight.",
        9.56: "Fewer bits make the file smaller.",
    }
    expect_number(answer, 0.61, misconceptions, tolerance=0.05, rel_tol=0.03)
    return "Nearly all of the file is weights; the description of the layers adds a hundredth."


def check_11_2(agrees):
    """Keep copies that read as the network does, and refuse those that do not."""
    expected = np.random.default_rng(0).dirichlet(np.full(10, 0.1), 40).astype("float32")
    noise = np.random.default_rng(1).uniform(-0.04, 0.04, expected.shape)
    good = [call(agrees, copy, expected) for copy in (expected, expected + noise)]
    if not all(isinstance(answer, bool | np.bool_) for answer in good):
        raise NotYet("Return True or False. For an array, .all() makes one of it.")
    if not good[0]:
        raise NotYet("It refuses a perfect copy.")
    if not good[1]:
        raise NotYet("It refuses a copy that differs by 0.04 at most. 0.05 is allowed.")
    gone, turned = expected.copy(), expected.copy()
    gone[7], turned[11] = np.nan, np.roll(expected[11], 1)
    broken = {
        "It keeps a copy whose answers are all NaN. Is NaN > 0.05 true?": expected * np.nan,
        "It keeps a copy with NaN for one image of 40. Look at every image.": gone,
        "It keeps a copy that differs on one image of 40. Look at every image.": turned,
        "It keeps a copy that answers half of the images. Compare the shapes first.": expected[:20],
        "It keeps a copy with infinite answers.": np.where(expected > 0.5, np.inf, expected),
    }
    for cause, copy in broken.items():
        if call(agrees, copy, expected):
            raise NotYet(cause)
    return "Asked for what must be true of every answer, not for what must not: NaN passes no test."


def check_11_3(choice):
    """Choose between float32, full int8 and a page, for three tasks."""
    right = {"meter": "full int8", "museum": "page", "archive": "float32"}
    misconceptions = {
        ("meter", "float32"): "its processor has no floating point, nor the memory.",
        ("meter", "page"): "who would run a browser on a water meter?",
        ("museum", "float32"): "what would open that file? Nothing may be installed.",
        ("museum", "full int8"): "an interpreter would have to be installed to read it.",
        ("archive", "full int8"): "it must repeat what was audited. Look at *changed*.",
        ("archive", "page"): "a million a night, without anybody to watch the browser?",
    }
    expect_choices(choice, right, ("float32", "full int8", "page"), misconceptions)
    return "No format is the best: each task had one thing that it could not do without."


def check_11_4(answer):
    """Estimate the misread digits of 20,000 on grey paper from the card."""
    card, record = (
        json.loads((MODELS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("card", "robust")
    )
    clean = record["runs"]["seed_0"]["test"]
    counted = {name: card[name]["groups"]["grey paper"] for name in ("robust", "mnist_cnn")}
    right, plain = (FORMS * part["errors"] / part["n"] for part in counted.values())
    misconceptions = {
        FORMS * clean["errors"] / clean["n"]: "That is the rate on clean paper; theirs is grey.",
        counted["robust"]["errors"]: "Those were misread of 8,000. How many of 20,000 is that?",
        plain: "That is the network of part I. Who reads here?",
        FORMS - right: "Those are read right. How many are not?",
        right / FORMS: "That is the share. How many of 20,000 is it?",
    }
    expect_number(answer, right, misconceptions, tolerance=0.06 * right, rel_tol=0.01)
    return "Over twice the rate of clean paper, and for even grey only: try a hundred first."
