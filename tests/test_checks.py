"""The exercises' checks: stubs, misconceptions, right answers in any type, and junk."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import special

from helpers import checks

CHECKS = {name: check for name, check in vars(checks).items() if name.startswith("check_")}

# The dicts of the exercises that choose, answered rightly.
PLAN = {"measured on": "validation", "runs": 5, "epochs": "the same"}
CURES = {"till": "prepare", "archive": "renew", "strangers": "train"}
PROMISES = {"new": "holds", "grey": "breaks", "large": "breaks", "letters": "breaks"}
CLAIMS = {"a": "mean", "b": "best", "c": "one", "d": "best"}
FORMATS = {"meter": "full int8", "museum": "page", "archive": "float32"}

IMAGES = np.random.default_rng(0).random((256, 28, 28, 1), "float32")
LIFTS = tf.random.Generator.from_seed(0)


def cnn(*last, normalization=True):
    """Return the network of exercise 02.4 with other last layers."""
    extra = [layers.BatchNormalization()] if normalization else []
    stack = [layers.Conv2D(8, 3), *extra, layers.Activation("relu"), layers.Flatten(), *last]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


def dataset(images):
    """Return a pipeline as exercise 03.2 asks for, from float images."""
    return tf.data.Dataset.from_tensor_slices((images, np.arange(len(images)))).batch(64)


def judged(epoch=9, gap=0.05, last=0.95, epochs=12):
    """Return an answer to exercise 03.3; its validation loss is lowest after epoch 9."""
    history = {
        "accuracy": [0.5] * (epochs - 1) + [last],
        "val_accuracy": [0.6] * (epochs - 2) + [0.95, last - 0.05],
        "loss": [1 - 0.05 * i for i in range(epochs)],
        "val_loss": [1 + 0.01 * (i - 8) ** 2 for i in range(epochs)],
    }
    return {"history": history, "best epoch": epoch, "gap": gap}


def sides(height, width, longest=20):
    """Return the sides of exercise 10.1, not yet rounded."""
    scale = longest / max(height, width)
    return scale * height, scale * width


# For each check: right answers beside the solution, and wrong ones, each by a word of the message
# that it must get.
ANSWERS = {
    "01_1": ([49.152, 49], {"uint8": 12.288, "float64": 98.304, "million": 49_152_000}),
    "01_2": (
        [
            lambda image: np.where(image > 155, 255, image + np.uint8(100)).astype(np.uint8),
            lambda image: tf.cast(tf.minimum(tf.cast(image, tf.int32) + 100, 255), tf.uint8),
        ],
        {
            "put into a uint8": lambda image: np.clip(image + np.uint8(100), 0, 255),
            "the most a uint8": lambda image: image.astype(int) + 100,
            "Return uint8": lambda image: np.clip(image.astype(int) + 100, 0, 255),
            "Dark pixels": lambda image: np.maximum(image, 100),
            "full ink": lambda image: np.clip(image.astype(int) + 100, 0, 254),
            "changes the image": lambda image: np.add(image, 1, out=image),
            "shape": lambda image: image[0],
        },
    ),
    "01_3": (
        [lambda labels: max(list(labels).count(x) for x in labels) / len(labels)],
        {
            "commonest class": lambda labels: np.bincount(labels).argmax(),
            "Divide": lambda labels: np.bincount(labels).max(),
            "percentage": lambda labels: 100 * np.bincount(labels).max() / len(labels),
            "certain digit": lambda labels: np.mean(labels == 1),
            "all the same": lambda labels: 0.625,
            "Do not round": lambda labels: 0.62,
        },
    ),
    "02_1": (
        [np.array([[-1, 0, 1.5], [-1, 1, -1], [1.5, 0, -1]]), tf.constant(3 * np.eye(3)[::-1] - 1)],
        {
            "add up to": np.eye(3)[::-1],
            "falling": 3 * np.eye(3) - 1,
            "upright": [[-1, 2, -1]] * 3,
            "level": [[-1] * 3, [2] * 3, [-1] * 3],
            "nothing above 0": np.zeros((3, 3)),
            "finite": np.full((3, 3), np.nan),
            "three rows": (1, 2, 3),
        },
    ),
    "02_2": (
        [1_216, 1_216.0, np.int64(1_216), np.float32(1_216), tf.constant(1_216), [1_216]],
        {"bias.": 1_200, "one channel": 416, "3 × 3": 448, "large": 2_000, "finite": np.nan},
    ),
    "02_3": ([0.35, 35, tf.constant(0.34)], {"own half": 0.26, "Add": 9, "0 and 1": 135}),
    "02_4": (
        [cnn(layers.Dense(10, activation="softmax")), cnn(layers.Dense(10), layers.Softmax())],
        {
            "not among them": cnn(layers.Dense(10), normalization=False),
            "add up to 1": cnn(layers.Dense(10, activation="relu")),
            "parameters": cnn(layers.Dense(9, activation="softmax")),
            "'relu', 'relu', 'softmax'": cnn(layers.Dense(10, "relu"), layers.Softmax()),
            "not built": keras.Sequential([layers.Flatten(), layers.Dense(10)]),
        },
    ),
    "03_1": ([785], {"one epoch": 157, "smaller": 780, "across": 782, "quarter": 781.25}),
    "03_2": (
        [dataset(IMAGES), dataset(0 * IMAGES)],
        {
            "varied": dataset(IMAGES).map(lambda x, y: (x + LIFTS.uniform(()), y)),
            "shuffled": dataset(IMAGES).unbatch().shuffle(256).batch(64),
            "0 to 1": dataset(255 * IMAGES),
            "pair": dataset(IMAGES).map(lambda images, labels: images),
            "empty": dataset(IMAGES).take(0),
            "make_dataset": IMAGES,
        },
    ),
    "03_3": (
        [judged(np.int64(9), np.float32(0.05)), judged(tf.constant(9), 0.048)],
        {
            "from 1": judged(8),
            "training is lowest": judged(12),
            "highest": judged(1),
            "ten points": judged(gap=5),
            "both in the last epoch": judged(gap=0.0),
            "varied": judged(last=1.0),
            "too short": judged(epochs=5),
            "what train_few returns": judged() | {"history": {}},
        },
    ),
    "03_4": (
        [PLAN, {"measured on": "Validation images", "runs": np.int64(3), "epochs": "same"}],
        {
            "spoils": PLAN | {"measured on": "test"},
            "not learned": PLAN | {"measured on": "training"},
            '"measured on" should be': PLAN | {"measured on": "all images"},
            "luck": PLAN | {"runs": 1},
            "spread": PLAN | {"runs": 2},
            "epochs differ": PLAN | {"epochs": "more for 0.4"},
            '"epochs" should be': PLAN | {"epochs": 3},
        },
    ),
    "04_1": ([0.987, 98.7], {"upper end": 1, "how often": 95, "thumb": 0.99, "begin": 0.0126}),
    "04_2": (
        [("B", 90), ["b ", tf.constant(90)]],
        {
            "more papers": ("A", 209),
            "looked at": ("B", 30),
            '"A" or "B"': ("C", 90),
            "Give the network": 90,
        },
    ),
    "04_3": (
        [
            lambda t, a, b: np.array([((a == t) > (b == t)).sum(), ((b == t) > (a == t)).sum()]),
            lambda t, a, b: [tf.reduce_sum(tf.cast((a == t) & (b != t), tf.int32)), 2],
        ],
        {
            "swapped": lambda t, a, b: (((b == t) & (a != t)).sum(), ((a == t) & (b != t)).sum()),
            "correct answers": lambda t, a, b: ((a == t).sum(), (b == t).sum()),
            "errors": lambda t, a, b: ((a != t).sum(), (b != t).sum()),
            "Who is right": lambda t, a, b: ((a != b).sum(), (a != b).sum()),
            "length": lambda t, a, b: (len(a), len(b)),
            "apart": lambda t, a, b: (((a == t) != (b == t)).sum(),) * 2,
            "two arrays": lambda t, a, b: (a == t, b == t),
            "ten images": lambda t, a, b: (1, 0),
            "shape": lambda t, a, b: 3,
        },
    ),
    "04_4": ([8e4], {"one of three": 20_000, "half of the tries": 40_000, "Choose one": 5}),
    "05_1": (
        [
            lambda p: [sorted(row)[-1] - sorted(row)[-2] for row in p],
            lambda p: tf.math.top_k(p, 2).values[:, 0] - tf.math.top_k(p, 2).values[:, 1],
        ],
        {
            "confidence": lambda p: p.max(axis=1),
            "sign": lambda p: np.sort(p)[:, -2] - np.sort(p)[:, -1],
            "one number": lambda p: p.max() - p.min(),
            "4 images": lambda p: p.max(axis=0),
            "among its ten": lambda p: p[:, 1] - p[:, 0],
            "changes the probabilities": lambda p: p.sort(axis=1),
        },
    ),
    "05_2": (
        [
            lambda values, positions: values[~np.isin(np.arange(len(values)), positions)],
            lambda values, positions: [v for i, v in enumerate(values) if i not in positions],
        ],
        {
            "*values*": lambda values, positions: values[~np.isin(values, positions)],
            "should go": lambda values, positions: values[positions],
            "mask": lambda values, positions: ~np.isin(np.arange(len(values)), positions),
            "positions that": lambda values, positions: [0, 2, 4, 5],
            "keep 5, 1, 9, 3": lambda values, positions: values,
        },
    ),
    "05_3": ([98, 0.98], {"36 errors": 1, "next 100": 0.99, "person": 2, "Choose one": 0.5}),
    "06_1": (
        [
            np.array([[0, 0, 0], [-0.5, 0, 0.5], [0, 0, 0]]),
            tf.constant([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]),
            ((-2, 1, 1),) * 3,
        ],
        {
            "Turn it round": [(1, 0, -1)] * 3,
            "silent": [(-1, -1, -1), (0, 0, 0), (1, 1, 1)],
            "finite": np.full((3, 3), np.nan),
            "middle of ink": [(0, 0, 0), (0, 1, 0), (0, 0, 0)],
            "upper or a lower": [(-1, 0, 0), (0, 0, 0), (0, 0, 1)],
            "a slope": [(-1, 2, -1)] * 3,
            "shape": (-1, 0, 1),
        },
    ),
    "06_2": ([198, 205], {"none or one": 3, "Half the maps": 500, "read correctly": 802}),
    "06_3": (
        [" Activation_5 "],
        {
            "crossed already": "dense_2",
            "right place": "dense_1",
            "nearer to its twin": "pixels",
            "in quotes": "text",
        },
    ),
    "06_4": ([0.74, 75], {"last layer": 0.5, "a score": 0.968, "scores": 0.97, "training": 26}),
    "07_1": ([0.08, 0.085], {"most digits": 0.05, "more than half": 0.1, "share of digits": 0.5}),
    "07_2": (
        [
            lambda stored, kernel, c: stored + c * kernel.reshape(9, 32).sum(axis=0),
            lambda stored, kernel, c: tf.constant(stored) + c * tf.reduce_sum(kernel, (0, 1, 2)),
        ],
        {
            "sign": lambda stored, kernel, c: stored - c * kernel.sum(axis=(0, 1, 2)),
            "the changes": lambda stored, kernel, c: c * kernel.sum(axis=(0, 1, 2)),
            "mean of the": lambda stored, kernel, c: stored + c * kernel.mean(axis=(0, 1, 2)),
            "leaves the filters out": lambda stored, kernel, c: stored + c,
            "all filters": lambda stored, kernel, c: stored + c * kernel.sum(),
            "has c gone": lambda stored, kernel, c: stored + kernel.sum(axis=(0, 1, 2)),
            "Not these": lambda stored, kernel, c: stored,
            "changes what": lambda stored, kernel, c: np.add(stored, c, out=stored),
            "shape": lambda stored, kernel, c: c,
        },
    ),
    "07_3": (
        [CURES | {"till": "PREPARE "}],
        {
            "till: nothing may be trained": CURES | {"till": "train"},
            "one digit at a time": CURES | {"till": "renew"},
            "mottled is not even": CURES | {"archive": "prepare"},
            "without labels": CURES | {"archive": "train"},
            "another way": CURES | {"strangers": "renew"},
            '"prepare", "renew" and "train"': CURES | {"till": "wash"},
        },
    ),
    "07_4": (
        [lambda images: images[:, ::-1], lambda images: images**2],
        {
            "Nothing has changed": lambda images: images,
            "above 1": lambda images: images + 1,
            "shape": lambda images: images[:2],
            "digits are gone": lambda images: np.zeros_like(images),
            "not numbers": lambda images: images * np.nan,
            "changes the images": lambda images: np.subtract(1, images, out=images),
        },
    ),
    "08_1": (
        [
            lambda p, t: p ** (1 / t) / (p ** (1 / t)).sum(axis=1, keepdims=True),
            lambda p, t: tf.nn.softmax(tf.math.log(tf.cast(p, "float32")) / t),
        ],
        {
            "divides the probabilities": lambda p, t: p / t,
            "expects scores": lambda p, t: special.softmax(p / t, axis=1),
            "multiplied": lambda p, t: special.softmax(np.log(p) * t, axis=1),
            "in each row yet": lambda p, t: p ** (1 / t),
            "down the columns": lambda p, t: special.softmax(np.log(p) / t, axis=0),
            "all numbers at once": lambda p, t: special.softmax(np.log(p) / t),
            "an image should add up": lambda p, t: p**t,
            "Nothing has changed": lambda p, t: p,
            "back to scores": lambda p, t: np.ones((6, 10)) / 10,
            "changes what": lambda p, t: np.divide(p, t, out=p),
            "shape": lambda p, t: p[0],
        },
    ),
    "08_2": (
        [98 / 278, 35.3],
        {"how many are": 0.01, "Count boxes": 0.9, "other way round": 0.6475},
    ),
    "08_3": (
        [PROMISES | {"new": " Holds"}],
        {
            "come as the calibration": PROMISES | {"new": "breaks"},
            "grey: the digits are": PROMISES | {"grey": "holds"},
            "picked out": PROMISES | {"large": "holds"},
            "letter that a person": PROMISES | {"letters": "holds"},
        },
    ),
    "08_4": ([0.005], {"her time alone": 0.004, "divided by the other": 250, "too large": 0.1}),
    "09_1": (
        [("B", 2.37), ["b", 2.4427]],
        {
            "from seed to seed": ("A", 3.4),
            "mean gain": ("B", 2.9),
            "upper end": ("B", 3.43),
            "that of their mean": ("B", 1.23),
            "should be": ("now", 1),
            "Give the recipe": 2.4,
        },
    ),
    "09_2": ([62.72, 64], {"Both recipes vary": 31, "together": 126, "rule of thumb": 500}),
    "09_3": (
        [CLAIMS | {"c": "ONE"}],
        {
            "a spread": CLAIMS | {"a": "one"},
            "up to": CLAIMS | {"b": "mean"},
            "such committees": CLAIMS | {"c": "best"},
            "for each epoch": CLAIMS | {"d": "mean"},
        },
    ),
    "09_4": ([8], {"How many bits": 1, "megabytes": 1_000, "twice": 16, "too small": 3}),
    "10_1": (
        [
            lambda h, w: np.maximum(1, np.array([h, w]) * 20 // max(h, w)),
            lambda h, w: [max(1, round(side)) for side in sides(h, w)],
        ],
        {
            "squeezed": lambda h, w: (20, 20),
            "*longest*": lambda h, w: sides(h, w, 40),
            "Height first": lambda h, w: sides(w, h),
            "should be 20 × 10": lambda h, w: (h, w),
            "width is longest": lambda h, w: (20, 20 * w / h),
            "must grow": lambda h, w: np.minimum((h, w), sides(h, w)),
            "any width": lambda h, w: np.round(sides(h, w)),
            "whole numbers": lambda h, w: np.maximum(1, sides(h, w)),
            "one factor": lambda h, w: (20, 14) if h == 90 else np.ceil(sides(h, w)) + (h == 400),
            "shape": lambda h, w: 20,
        },
    ),
    "10_2": (
        [("Cut", np.float64(0.93)), ["cut", 93]],
        {
            "save 7": ("read", 0.875),
            "spoils most": ("found", 0.86),
            "right now": ("cut", 0.84),
            'The step should be "found"': ("network", 0.9),
            "two things": "cut",
        },
    ),
    "10_3": ([0.835, 83.5], {"of the forty": 0.95, "upper end": 0.986, "40 of 40": 0.912}),
    "11_1": ([0.6], {"16 bits": 1.2, "divides by 8": 0.3, "one bit": 0.0747, "smaller": 9.56}),
    "11_2": (
        [
            lambda p, e: p.shape == e.shape and abs(p - e).max() < 0.05,
            lambda p, e: len(p) == len(e) and np.allclose(p, e, rtol=0, atol=0.05),
        ],
        {
            "all NaN": lambda p, e: not (abs(p[:20] - e[:20]) > 0.05).any(),
            "NaN for one image": lambda p, e: abs(np.nan_to_num(p[0]) - e[0]).max() < 0.05,
            "differs on one": lambda p, e: np.isfinite(p).all() and abs(p - e)[0].max() < 0.05,
            "half of the images": lambda p, e: bool((abs(p[:20] - e[:20]) <= 0.05).all()),
            "infinite": lambda p, e: len(p) == len(e) and (abs(p - e)[~(p > 9)] < 0.05).all(),
            "True or False": lambda p, e: abs(p - e) <= 0.05,
            "a perfect copy": lambda p, e: False,
            "0.04 at most": lambda p, e: bool((p == e).all()),
        },
    ),
    "11_3": (
        [FORMATS | {"museum": " Page"}],
        {
            "no floating point": FORMATS | {"meter": "float32"},
            "water meter": FORMATS | {"meter": "page"},
            "what would open": FORMATS | {"museum": "float32"},
            "an interpreter": FORMATS | {"museum": "full int8"},
            "audited": FORMATS | {"archive": "full int8"},
            "a night": FORMATS | {"archive": "page"},
        },
    ),
    "11_4": ([158, 160], {"clean paper": 58, "of 8,000": 63, "the share": 0.0079}),
}


class Hostile:
    """An object of which nothing can be asked."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    __repr__ = __str__ = __eq__ = __array__ = __len__ = lambda *_: 1 / 0
    __hash__ = None


JUNK = [
    None, "text", float("nan"), -1, 10**400, True, 1j, [], {}, {1: ...}, (..., ...), Hostile(),
    Hostile, np.array([]), np.array(["a"]), np.eye(2), [[1], [2, 3]], lambda: 1, lambda *a: ...,
    lambda *a: None, lambda *a: "text", lambda *a: a, lambda *a: sys.exit(), lambda *a: Hostile(),
    keras.Sequential(), tf.data.Dataset.range(3), PLAN | {"runs": "many"},
]  # fmt: skip


@pytest.fixture(params=ANSWERS)
def name(request):
    """Each check's name."""
    return request.param


@pytest.fixture
def verdict(capsys, name):
    """Return a function that gives an answer to a check and returns what that prints.

    It returns nothing, so that a cell shows nothing else.
    """

    def ask(*answer):
        assert CHECKS[f"check_{name}"](*answer) is None
        printed = capsys.readouterr().out
        assert printed.endswith("\n") and printed.count("\n") == 1, printed
        return printed.strip()

    return ask


def test_every_check_is_tested():
    assert set(CHECKS) == {f"check_{name}" for name in ANSWERS}


def test_stub_is_not_answered_yet(verdict, name):
    right = ANSWERS[name][0][0]
    assert verdict().startswith("Not answered yet")
    assert verdict(...).startswith("Not answered yet")
    if isinstance(right, dict):
        assert verdict(right | {[*right][-1]: ...}).startswith("Not answered yet")
    if isinstance(right, tuple):
        assert verdict((right[0], ...)).startswith("Not answered yet")


def test_right_answers_in_any_type(verdict, name):
    for answer in ANSWERS[name][0]:
        said = verdict(answer)
        assert said.startswith("Right. ") and len(said) > 50, said


def test_wrong_answers_are_told_the_misconception(verdict, name):
    for word, answer in ANSWERS[name][1].items():
        said = verdict(answer)
        assert said.startswith("Not yet. ") and word in said, (word, said)


def test_junk_gets_a_line_and_never_an_error(verdict):
    for junk in JUNK:
        said = verdict(junk)
        assert said.startswith(("Not yet. ", "Not answered yet.")) and len(said) < 260, said
