"""The exercises' checks: stubs, misconceptions, right answers in any type, and junk."""

import numpy as np
import pytest

from helpers import checks

CHECKS = {name: check for name, check in vars(checks).items() if name.startswith("check_")}

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers


def cnn(*last, normalization=True):
    """Return the network of exercise 02.4 with other last layers."""
    extra = [layers.BatchNormalization()] if normalization else []
    stack = [layers.Conv2D(8, 3), *extra, layers.Activation("relu"), layers.Flatten(), *last]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


def dataset(images, shuffle=False):
    """Return a pipeline as exercise 03.2 asks for, from float images."""
    pairs = tf.data.Dataset.from_tensor_slices((images, np.arange(len(images))))
    return (pairs.shuffle(len(images)) if shuffle else pairs).batch(64)


def plan(measured_on="validation", runs=5, epochs="the same"):
    """Return the plan of exercise 03.4."""
    return {"measured on": measured_on, "runs": runs, "epochs": epochs}


def formats(meter="full int8", museum="page", archive="float32"):
    """Return the choice of exercise 11.3."""
    return {"meter": meter, "museum": museum, "archive": archive}


def cures(till="prepare", archive="renew", strangers="train"):
    """Return the choice of exercise 07.3."""
    return {"till": till, "archive": archive, "strangers": strangers}


def promised(new="holds", grey="breaks", large="breaks", letters="breaks"):
    """Return the choice of exercise 08.3."""
    return {"new": new, "grey": grey, "large": large, "letters": letters}


def claimed(a="mean", b="best", c="one", d="best"):
    """Return the answer of exercise 09.3."""
    return {"a": a, "b": b, "c": c, "d": d}


def soft(scores, axis=1):
    """Return softmax."""
    return tf.nn.softmax(scores, axis=axis).numpy()


def varied():
    """Return a pipeline whose images differ from pass to pass, in the same order."""
    pixels = tf.random.Generator.from_seed(0)
    return dataset(np.zeros((256, 28, 28, 1), "float32")).map(
        lambda images, labels: (images + pixels.uniform(tf.shape(images)), labels)
    )


def judged(epoch=9, gap=0.05, last=0.95, epochs=12, **other):
    """Return an answer to exercise 03.3; its validation loss is lowest after epoch 9."""
    history = {
        "accuracy": [0.5] * (epochs - 1) + [last],
        "val_accuracy": [0.6] * (epochs - 2) + [0.95, last - 0.05],
        "loss": [1 - 0.05 * i for i in range(epochs)],
        "val_loss": [1 + 0.01 * (i - 8) ** 2 for i in range(epochs)],
    }
    return {"history": history, "best epoch": epoch, "gap": gap, **other}


def in_place(image):
    """Clip at 155 in the reader's own array, then add."""
    np.minimum(image, 155, out=image)
    return np.add(image, 100, out=image)


ones = np.zeros((256, 28, 28, 1), "float32")
noisy = np.random.default_rng(0).random((256, 28, 28, 1), "float32")
dense = layers.Dense

# For each check: right answers, and wrong ones with a word of the message that each must get.
ANSWERS = {
    "01_1": (
        [49.152, 49, 49.15, np.float32(49.152), tf.constant(49.152), np.array([49.152])],
        {12.288: "uint8", 98.304: "float64", 16.384: "channels", 49_152_000: "million"},
    ),
    "01_2": (
        [
            lambda image: np.clip(image.astype(int) + 100, 0, 255).astype("uint8"),
            lambda image: np.where(image > 155, 255, image + np.uint8(100)).astype(np.uint8),
            lambda image: tf.cast(tf.minimum(tf.cast(image, tf.int32) + 100, 255), tf.uint8),
        ],
        {
            (lambda image: np.clip(image + np.uint8(100), 0, 255)): "put into a uint8",
            (lambda image: image.astype(int) + 100): "the most a uint8",
            (lambda image: np.clip(image.astype(int) + 100, 0, 255)): "Return uint8",
            (lambda image: np.maximum(image, 100)): "Dark pixels",
            in_place: "changes the image",
            (lambda image: image[0]): "shape",
        },
    ),
    "01_3": (
        [
            lambda labels: np.bincount(labels).max() / len(labels),
            lambda labels: max(list(labels).count(x) for x in labels) / len(labels),
            lambda labels: tf.constant(
                np.unique(labels, return_counts=True)[1].max() / len(labels)
            ),
        ],
        {
            (lambda labels: np.bincount(labels).argmax()): "commonest class",
            (lambda labels: np.bincount(labels).max()): "Divide",
            (lambda labels: 100 * np.bincount(labels).max() / len(labels)): "percentage",
            (lambda labels: 1 / len(set(labels))): "equally common",
            (lambda labels: np.mean(labels == 1)): "certain digit",
            (lambda labels: 0.625): "all the same",
            (lambda labels: 0.62): "Do not round",
        },
    ),
    "02_1": (
        [
            [[-1, -1, 2], [-1, 2, -1], [2, -1, -1]],
            np.array([[-1, 0, 1.5], [-1, 1, -1], [1.5, 0, -1]]),
            tf.constant([[-1, -1, 2], [-1, 2, -1], [2, -1, -1]]),
        ],
        {
            tuple(map(tuple, np.fliplr(np.eye(3)))): "add up to",
            ((2, -1, -1), (-1, 2, -1), (-1, -1, 2)): "falling",
            ((-1, 2, -1), (-1, 2, -1), (-1, 2, -1)): "upright",
            ((-1, -1, -1), (2, 2, 2), (-1, -1, -1)): "level",
            ((0, 0, 0), (0, 0, 0), (0, 0, 0)): "nothing above 0",
            ((1, float("nan"), 0), (0, 0, 0), (0, 0, 0)): "finite",
            (1, 2, 3): "three rows",
        },
    ),
    "02_2": (
        [1_216, 1_216.0, np.int64(1_216), tf.constant(1_216), [1_216]],
        {1_200: "bias", 416: "one channel", 448: "3 × 3", 9_216: "come out", 1_203: "channel"},
    ),
    "02_3": (
        [0.35, 35, 0.349, np.float32(0.36), tf.constant(0.34)],
        {0.26: "own half", 0.52: "all of conv2d_2", 0.09: "Add", 0.5: "share of its filters"},
    ),
    "02_4": (
        [cnn(dense(10, activation="softmax")), cnn(dense(10), layers.Activation("softmax"))],
        {
            cnn(dense(10, activation="softmax"), normalization=False): "not among them",
            cnn(dense(10, activation="relu")): "add up to 1",
            cnn(dense(9, activation="softmax")): "parameters",
            cnn(dense(10, activation="relu"), layers.Softmax()): "'relu', 'relu', 'softmax'",
            keras.Sequential([layers.Flatten(), dense(10)]): "not built",
        },
    ),
    "03_1": (
        [785, 785.0, np.int32(785), tf.constant(785)],
        {157: "one epoch", 780: "smaller", 782: "across", 781.25: "quarter", 50_000: "images"},
    ),
    "03_2": (
        [dataset(noisy), dataset(ones)],
        {
            varied(): "varied",
            dataset(noisy, shuffle=True): "shuffled",
            dataset(255 * noisy): "0 to 1",
            dataset(noisy).map(lambda images, labels: images): "pair",
            dataset(noisy).take(0): "empty",
            tuple(noisy[:2, 0, 0, 0]): "make_dataset",
        },
    ),
    "03_3": (
        [judged(), judged(np.int64(9), np.float32(0.05)), judged(tf.constant(9), 0.048)],
        {
            ("judged", 8): "from 1",
            ("judged", 12): "training is lowest",
            ("judged", 1): "highest",
            ("judged", 9, 5): "ten points",
            ("judged", 9, 0.0): "both in the last epoch",
            ("judged", 9, 0.05, 1.0): "varied",
            ("judged", 9, 0.05, 0.95, 5): "too short",
        },
    ),
    "03_4": (
        [plan(), plan(runs=np.int64(10)), plan("Validation images", 3, "same")],
        {
            ("plan", "test", 5, "the same"): "spoils",
            ("plan", "training", 5, "the same"): "not learned",
            ("plan", "validation", 1, "the same"): "luck",
            ("plan", "validation", 2, "the same"): "spread",
            ("plan", "validation", 5, "more for 0.4"): "epochs differ",
            ("plan", "validation", 5, 3): '"epochs" should be',
            ("plan", "all images", 5, "the same"): '"measured on" should be',
        },
    ),
    "04_1": (
        [0.98736, 0.987, 98.7, np.float64(0.98736), tf.constant(0.98736)],
        {
            1: "upper end",
            0.95: "how often",
            0.99: "rule of thumb",
            0.0126: "begin",
            0.9967: "None was seen",
        },
    ),
    "04_2": (
        [("B", 90), ["b", 90.0], ("B", np.float64(90)), ("B", tf.constant(90))],
        {
            ("A", 209): "more papers",
            ("B", 30): "looked at",
            ("B", 60): "looks only",
            ("B", 280): "row 1",
            ("B", 105): "shipped at once",
            ("C", 90): "should be",
            90: "Give the network",
        },
    ),
    "04_3": (
        [
            lambda t, a, b: (((a == t) & (b != t)).sum(), ((b == t) & (a != t)).sum()),
            lambda t, a, b: np.array([((a == t) > (b == t)).sum(), ((b == t) > (a == t)).sum()]),
            lambda t, a, b: [
                tf.reduce_sum(tf.cast((a == t) & (b != t), tf.int32)),
                tf.reduce_sum(tf.cast((b == t) & (a != t), tf.int32)),
            ],
        ],
        {
            (lambda t, a, b: (((b == t) & (a != t)).sum(), ((a == t) & (b != t)).sum())): "swapped",
            (lambda t, a, b: ((a == t).sum(), (b == t).sum())): "correct answers",
            (lambda t, a, b: ((a != t).sum(), (b != t).sum())): "errors",
            (lambda t, a, b: ((a != b).sum(), (a != b).sum())): "Who is right",
            (lambda t, a, b: (len(a), len(b))): "length",
            (lambda t, a, b: (((a == t) != (b == t)).sum(),) * 2): "apart",
            (lambda t, a, b: (1, 0)): "ten images",
            (lambda t, a, b: 3): "shape",
        },
    ),
    "04_4": (
        [80_000, 8e4, np.int64(80_000), tf.constant(80_000)],
        {
            20_000: "one of three",
            40_000: "half of the tries",
            160_000: "smaller one",
            5: "Choose one",
        },
    ),
    "05_1": (
        [
            lambda p: np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2],
            lambda p: [sorted(row)[-1] - sorted(row)[-2] for row in p],
            lambda p: tf.math.top_k(p, 2).values[:, 0] - tf.math.top_k(p, 2).values[:, 1],
        ],
        {
            (lambda p: p.max(axis=1)): "confidence",
            (lambda p: np.sort(p)[:, -2] - np.sort(p)[:, -1]): "sign",
            (lambda p: p.max() - p.min()): "one number",
            (lambda p: p.max(axis=0)): "4 images",
            (lambda p: p[:, 1] - p[:, 0]): "among its ten",
            (lambda p: p.sort(axis=1)): "changes the probabilities",
        },
    ),
    "05_2": (
        [
            lambda values, positions: np.delete(values, positions),
            lambda values, positions: values[~np.isin(np.arange(len(values)), positions)],
            lambda values, positions: [v for i, v in enumerate(values) if i not in positions],
        ],
        {
            (lambda values, positions: values[~np.isin(values, positions)]): "*values*",
            (lambda values, positions: values[positions]): "should go",
            (lambda values, positions: ~np.isin(np.arange(len(values)), positions)): "mask",
            (
                lambda values, positions: np.setdiff1d(np.arange(len(values)), positions)
            ): "positions",
            (lambda values, positions: values): "keep 5, 1, 9, 3",
        },
    ),
    "05_3": (
        [0.98, 98, np.float64(0.98), tf.constant(0.98)],
        {1: "36 errors", 0.99: "next 100", 0.95: "300 more", 0.02: "person", 0.5: "Choose one"},
    ),
    "07_1": (
        [0.08, 0.0825, np.float32(0.08), tf.constant(0.082)],
        {0.05: "most digits", 0.1: "more than half", 0.3: "an 8", 0.5: "share of digits"},
    ),
    "07_2": (
        [
            lambda stored, kernel, c: stored + c * kernel.sum(axis=(0, 1, 2)),
            lambda stored, kernel, c: stored + c * kernel.reshape(9, 32).sum(axis=0),
            lambda stored, kernel, c: tf.constant(stored) + c * tf.reduce_sum(kernel, (0, 1, 2)),
        ],
        {
            (lambda stored, kernel, c: stored - c * kernel.sum(axis=(0, 1, 2))): "sign",
            (lambda stored, kernel, c: c * kernel.sum(axis=(0, 1, 2))): "the changes",
            (lambda stored, kernel, c: stored + c * kernel.mean(axis=(0, 1, 2))): "mean of the",
            (lambda stored, kernel, c: stored + c): "leaves the filters out",
            (lambda stored, kernel, c: stored + c * kernel.sum()): "all filters",
            (lambda stored, kernel, c: stored + kernel.sum(axis=(0, 1, 2))): "has c gone",
            (lambda stored, kernel, c: stored): "Not these",
            (lambda stored, kernel, c: np.add(stored, c, out=stored)): "changes what",
            (lambda stored, kernel, c: c): "shape",
        },
    ),
    "07_3": (
        [
            cures(),
            cures(till="PREPARE "),
        ],
        {
            ("cures", "train", "renew", "prepare"): "nothing may be trained",
            ("cures", "renew", "prepare", "train"): "one digit at a time",
            ("cures", "prepare", "prepare", "train"): "mottled is not even",
            ("cures", "prepare", "train", "train"): "without labels",
            ("cures", "prepare", "renew", "renew"): "another way",
            ("cures", "wash", "renew", "train"): "Use the words",
        },
    ),
    "07_4": (
        [lambda images: images[:, ::-1], lambda images: 1 - images, lambda images: images**2],
        {
            (lambda images: images): "Nothing has changed",
            (lambda images: images + 1): "above 1",
            (lambda images: images[:2]): "shape",
            (lambda images: np.zeros_like(images)): "digits are gone",
            (lambda images: images * np.nan): "not numbers",
            (lambda images: np.subtract(1, images, out=images)): "changes the images",
        },
    ),
    "06_1": (
        [
            [[-1, 0, 1]] * 3,
            np.array([[0, 0, 0], [-0.5, 0, 0.5], [0, 0, 0]]),
            tf.constant([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]),
            ((-2, 1, 1),) * 3,
        ],
        {
            ((1, 0, -1),) * 3: "Turn it round",
            ((-1, -1, -1), (0, 0, 0), (1, 1, 1)): "silent",
            ((0, 0, 0), (0, 1, 0), (0, 0, 0)): "middle of ink",
            ((-1, 0, 0), (0, 0, 0), (0, 0, 1)): "upper or a lower",
            ((-1, 2, -1),) * 3: "a slope",
            (-1, 0, 1): "shape",
        },
    ),
    "06_2": (
        [198, 198.0, np.int64(198), tf.constant(198)],
        {3: "none or one", 500: "Half the maps", 802: "read correctly", 379: "other pooling"},
    ),
    "06_3": (
        ["activation_5", " Activation_5 "],
        {"dense_2": "crossed already", "dense_1": "right place", "pixels": "nearer to its twin"},
    ),
    "06_4": (
        [0.743, 0.74, 75, np.float32(0.743), tf.constant(0.74)],
        {
            0.5: "last layer",
            0.968: "a score",
            0.97: "scores",
            0.7: "one layer",
            0.26: "for training",
        },
    ),
    "08_1": (
        [
            lambda p, t: soft(np.log(p) / t),
            lambda p, t: p ** (1 / t) / (p ** (1 / t)).sum(axis=1, keepdims=True),
            lambda p, t: tf.nn.softmax(tf.math.log(p) / t),
        ],
        {
            (lambda p, t: p / t): "divides the probabilities",
            (lambda p, t: soft(p / t)): "expects scores",
            (lambda p, t: soft(np.log(p) * t)): "multiplied",
            (lambda p, t: p ** (1 / t)): "add up to 1",
            (lambda p, t: soft(np.log(p) / t, axis=0)): "add up to 1",
            (lambda p, t: p): "Nothing has changed",
            (lambda p, t: np.ones((6, 10)) / 10): "back to scores",
            (lambda p, t: np.divide(p, t, out=p)): "changes what",
            (lambda p, t: p[0]): "shape",
        },
    ),
    "08_2": (
        [98 / 278, 0.35, 35.3, tf.constant(0.353)],
        {0.01: "refused, how many", 0.9: "Count boxes", 0.98: "Look into the tray"}
        | {0.6475: "other way round", 0.544: "all that lies", 0.357: "all boxes"},
    ),
    "08_3": (
        [promised(), promised(new=" Holds")],
        {
            ("promised", "breaks"): "come as the calibration",
            ("promised", "holds", "holds"): "the images are not",
            ("promised", "holds", "breaks", "holds"): "picked out",
            ("promised", "holds", "breaks", "breaks", "holds"): "letter that a person",
            ("promised", "maybe"): "Use the words",
        },
    ),
    "08_4": (
        [0.005, 2.5 / 500, np.float32(0.005)],
        {0.004: "her time alone", 250: "divided by the other", 0.001: "how often she errs"}
        | {2.5: "what asking costs", 0.003: "threshold rises", 0.1: "too large"},
    ),
    "09_1": (
        [("B", 2.37), ["b", 2.4427], ("B ", np.float64(2.4)), ("B", tf.constant(2.37))],
        {
            ("A", 3.4): "from seed to seed",
            ("B", 2.9): "mean gain",
            ("B", 3.43): "upper end",
            ("B", 1.23): "that of their mean",
            ("B", 0.25): "without their pairs",
            ("B", 20): "too large",
            ("now", 1): "should be",
            2.4: "Give the recipe",
        },
    ),
    "09_2": (
        [63, 62.72, 64, np.int64(60), tf.constant(65)],
        {31: "Both recipes vary", 11: "squared that was not", 126: "together", 16: "Where is the"}
        | {500: "rule of thumb"},
    ),
    "09_3": (
        [claimed(), claimed(c="ONE")],
        {
            ("claimed", "one"): "a spread",
            ("claimed", "mean", "mean"): "up to",
            ("claimed", "mean", "best", "best"): "such committees",
            ("claimed", "mean", "best", "one", "mean"): "for each epoch",
            ("claimed", "most"): "Use the words",
        },
    ),
    "09_4": (
        [8, 8.0, np.float32(8), tf.constant(8)],
        {
            1: "How many bits",
            1_000: "megabytes",
            8_000: "megabits",
            4: "whole step",
            0.5: "in gigabytes, and",
            16: "twice",
            3: "too small",
        },
    ),
    "10_1": (
        [
            lambda h, w: tuple(max(1, round(20 * side / max(h, w))) for side in (h, w)),
            lambda h, w: np.maximum(1, np.array([h, w]) * 20 // max(h, w)),
            lambda h, w: [max(1, int(20 * h / max(h, w))), max(1, int(20 * w / max(h, w)))],
        ],
        {
            (lambda h, w: (20, 20)): "squeezed",
            (lambda h, w: (round(20 * h / min(h, w)), round(20 * w / min(h, w)))): "*longest*",
            (lambda h, w: (round(20 * w / max(h, w)), round(20 * h / max(h, w)))): "Height first",
            (lambda h, w: (20, round(20 * w / h))): "width is longest",
            (lambda h, w: (round(20 * h / max(h, w)), round(20 * w / max(h, w)))): "any width",
            (lambda h, w: (20 * h / max(h, w), max(1, 20 * w / max(h, w)))): "whole numbers",
            (
                lambda h, w: (
                    min(h, round(20 * h / max(h, w))),
                    max(1, min(w, round(20 * w / max(h, w)))),
                )
            ): "must grow",
            (lambda h, w: 20): "shape",
        },
    ),
    "10_2": (
        [("cut", 0.93), ["cut", 93], ("Cut", np.float64(0.93)), ("cut", tf.constant(0.93))],
        {
            ("read", 0.875): "save 7",
            ("found", 0.86): "spoils most",
            ("cut", 0.84): "right now",
            ("cut", 0.91): "other three",
            ("cut", 1): "go on making",
            ("network", 0.9): "should be",
            "cut": "two things",
        },
    ),
    "10_3": (
        [0.835, 83.5, np.float64(0.83496), tf.constant(0.835)],
        {
            0.95: "share of the forty",
            0.986: "upper end",
            0.8825: "rule of thumb",
            0.912: "40 of 40",
        },
    ),
    "11_1": (
        [0.61, 0.6, np.float32(0.5975), tf.constant(0.6)],
        {1.2: "16 bits", 0.3: "divides by 8", 0.0747: "one bit", 2.39: "now", 9.56: "smaller"},
    ),
    "11_2": (
        [
            lambda p, e: p.shape == e.shape and bool((abs(p - e) <= 0.05).all()),
            lambda p, e: p.shape == e.shape and abs(p - e).max() < 0.05,
            lambda p, e: len(p) == len(e) and np.allclose(p, e, rtol=0, atol=0.05),
        ],
        {
            (lambda p, e: not (abs(p[:20] - e[:20]) > 0.05).any()): "all NaN",
            (lambda p, e: abs(np.nan_to_num(p[0]) - e[0]).max() < 0.05): "one image of 40",
            (lambda p, e: np.isfinite(p).all() and abs(p - e)[0].max() < 0.05): "differs on one",
            (lambda p, e: bool((abs(p[:20] - e[:20]) <= 0.05).all())): "half of the images",
            (lambda p, e: abs(p - e) <= 0.05): "True or False",
            (lambda p, e: False): "a perfect copy",
            (lambda p, e: bool((p == e).all())): "0.04 at most",
        },
    ),
    "11_3": (
        [formats(), formats(museum=" Page")],
        {
            ("formats", "float32"): "no floating point",
            ("formats", "page"): "water meter",
            ("formats", "full int8", "float32"): "what would open",
            ("formats", "full int8", "full int8"): "an interpreter",
            ("formats", "full int8", "page", "full int8"): "audited",
            ("formats", "full int8", "page", "page"): "a night",
            ("formats", "onnx"): "Use the words",
        },
    ),
    "11_4": (
        [158, 160, np.int64(158), tf.constant(158)],
        {58: "clean paper", 63: "of 8,000", 0.0079: "the share", 19_842: "read right"},
    ),
}
MADE = ("plan", "judged", "cures", "promised", "claimed", "formats")
RIGHT = [(name, answer) for name, (right, _) in ANSWERS.items() for answer in right]
WRONG = [
    # A dict is no key of a dict, so its function and arguments stand for it.
    (name, globals()[a[0]](*a[1:]) if isinstance(a, tuple) and a[0] in MADE else a, word)
    for name, (_, wrong) in ANSWERS.items()
    for a, word in wrong.items()
]


class Hostile:
    """An object of which nothing can be asked."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    __repr__ = __str__ = __eq__ = __array__ = __len__ = lambda *_: 1 / 0
    __hash__ = None


def stops():
    """Raise what a reader's `exit()` would."""
    raise SystemExit


JUNK = [
    None, "", "text", float("nan"), float("inf"), -1, 10**400, True, 1j, b"bytes", [], [1, 2], {},
    {1: ...}, (..., ...), object(), Hostile(), Hostile, np.array([]), np.array(["a"]), np.eye(2),
    ValueError("x"), lambda: 1, lambda *a: ..., lambda *a: None, lambda *a: "text", lambda *a: a,
    lambda *a: 1 / 0, lambda *a: stops(), lambda *a: Hostile(), np, keras.Sequential(),
    tf.constant("a"), tf.data.Dataset.range(3), [[1], [2, 3]], "conv2d", plan(runs="many"),
    plan(runs=None),
]  # fmt: skip


def verdict(capsys, name, *answer):
    """Return what a check prints; it returns nothing, so that a cell shows nothing else."""
    capsys.readouterr()
    assert CHECKS[f"check_{name}"](*answer) is None
    printed = capsys.readouterr().out
    assert printed.endswith("\n") and printed.count("\n") == 1, printed
    return printed.strip()


def test_every_check_is_tested():
    assert set(CHECKS) == {f"check_{name}" for name in ANSWERS}


@pytest.mark.parametrize("name", ANSWERS)
def test_stub_is_not_answered_yet(capsys, name):
    for stub in ((), (...,)):
        assert verdict(capsys, name, *stub).startswith("Not answered yet")
    assert not verdict(capsys, name, None).startswith("Right")


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answer_in_any_type(capsys, name, answer):
    said = verdict(capsys, name, answer)
    assert said.startswith("Right. ") and len(said) > 50


@pytest.mark.parametrize(("name", "answer", "word"), WRONG)
def test_wrong_answer_names_the_misconception(capsys, name, answer, word):
    said = verdict(capsys, name, answer)
    assert said.startswith("Not yet. ") and word in said


@pytest.mark.parametrize("name", ANSWERS)
def test_each_misconception_has_its_own_message(capsys, name):
    wrong = [answer for other, answer, _ in WRONG if other == name]
    said = [verdict(capsys, name, answer) for answer in wrong]
    assert len(set(said)) == len(said) >= 2


@pytest.mark.parametrize("name", ANSWERS)
def test_junk_gets_a_line_and_never_an_error(capsys, name):
    for junk in JUNK:
        said = verdict(capsys, name, junk)
        assert said.startswith(("Not yet. ", "Not answered yet.")), (junk, said)
        assert len(said) < 260
