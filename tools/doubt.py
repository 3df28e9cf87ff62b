"""Fit how far to believe `robust`: `python -m tools.doubt`.

A temperature, references, weights and a threshold go to models/robust_doubt.npz, and how they were
made to models/robust_doubt.json. Fitted on training and validation digits, which the network was
trained on too, and on `tools.non_digits`.
"""

import json
import platform

import keras
import numpy as np
import sklearn
import tensorflow as tf
from scipy import optimize, special
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import corruptions, data, doubt, model_files
from helpers.files import write_beside, write_text
from tools import non_digits, records

REFERENCES = 2_000
REFUSED = 0.01  # of the validation digits
OTHERS = 1 / 4  # of the images that come are taken to be no digits


def main():
    """Fit and record."""
    (images, labels), (test_images, _) = records.load_mnist()
    training, validation = data.split_validation(images, labels)
    believed, others = make_sets(*training)
    fit(model_files.ROBUST, training[0][:REFERENCES], validation, believed, others)
    networks = {
        "shipped": model_files.load_shipped_model(),
        "robust": model_files.load_robust_model(),
    }
    record_digits(doubt.read_digits(networks, doubt.load(), test_images, validation[0]))


def spoil(images, seed=0):
    """Spoil digits as in the training of `robust`: uint8 `(n, 28, 28)`."""
    random, scaled = tf.random.Generator.from_seed(seed), images[..., np.newaxis] / np.float32(255)
    return np.round(corruptions.spoil(scaled, random)[..., 0] * 255).astype("uint8")


def make_sets(images, labels, seed=0):
    """Make the images to fit on.

    Args:
        images, labels: training digits.
        seed: of what is drawn.

    Returns:
        A dict of name to `(images, labels)` of digits, and one of name to images of other things.
    """
    random = np.random.default_rng(seed)
    digits = {
        "digits": (images[10_000:16_000], labels[10_000:16_000]),
        "spoiled digits": (spoil(images[16_000:20_000]), labels[16_000:20_000]),
        "digits prepared again": (
            np.stack([non_digits.prepare_again(i, random) for i in images[20_000:21_200]]),
            labels[20_000:21_200],
        ),
    }
    digits["printed digits"] = non_digits.print_digits(1_200, random)
    source = images[30_000:35_000], labels[30_000:35_000]
    others = {
        name: non_digits.repeat(make, n, *source, random)
        for name, (make, n) in non_digits.KINDS.items()
    }
    return digits, others


def fit(path, references, validation, digits, others):
    """Fit a judge for one network, and record it.

    Args:
        path: of the network's `.keras` file.
        references: uint8 `(n, 28, 28)`, digits to be near to.
        validation: images and labels, to fit temperature and threshold on.
        digits, others: what `make_sets` made.
    """
    network = model_files.load_model(path)
    judge = doubt.Judge(1.0, doubt.look(network, references).features, np.zeros(2), 0.0, 1.0)
    looks = doubt.look(network, validation[0])
    judge.temperature = fit_temperature(looks.scores, validation[1])
    signs, wrong, counts = [], [], {}
    for name, (images, labels) in digits.items():
        seen = doubt.look(network, images)
        signs.append(judge.signs(seen))
        wrong.append(seen.scores.argmax(axis=1) != labels)
        counts[name] = {"n": len(images), "misread": int(wrong[-1].sum())}
    for name, images in others.items():
        signs.append(judge.signs(doubt.look(network, images)))
        wrong.append(np.ones(len(images), bool))
        counts[name] = {"n": len(images)}
    judge.weights, judge.bias = fit_weights(np.concatenate(signs), np.concatenate(wrong))
    judge.bias += float(special.logit(OTHERS))  # the fit weighed both classes alike
    judge.threshold = float(np.quantile(judge.doubt(looks), 1 - REFUSED))
    record(path, judge, counts)


def record_digits(readings):
    """Record what both networks make of test and validation digits, for notebook 08."""
    kept = {
        name: values.astype("float16" if values.ndim > 1 else "float32")
        for name, values in readings.items()
    }
    path = model_files.MODELS / "doubt_of_digits.npz"
    write_beside(path, lambda part: np.savez_compressed(part, **kept))
    records.record_digests(path)


def fit_temperature(scores, labels):
    """Return the temperature under which the labels are likeliest."""

    def loss(temperature):
        logarithms = special.log_softmax(scores.astype("float64") / temperature, axis=1)
        return -logarithms[np.arange(len(labels)), labels].mean()

    return float(optimize.minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x)


def fit_weights(signs, wrong):
    """Fit a logistic regression that tells what is not to be believed from digits read right.

    Args:
        signs: float32 `(n, 2)`.
        wrong: bool `(n,)`.

    Returns:
        Weights, float32 `(2,)`, and bias, for signs as they are.
    """
    fitted = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    fitted.fit(signs, wrong)
    scaler, regression = fitted[0], fitted[1]
    weights = regression.coef_[0] / scaler.scale_
    return weights.astype("float32"), float(regression.intercept_[0] - weights @ scaler.mean_)


def record(path, judge, counts):
    """Write a judge and how it was made, and the digests of the two files."""
    kept = vars(judge) | {"references": judge.references.astype("float16")}
    target = path.with_name(f"{path.stem}_doubt.npz")
    write_beside(target, lambda part: np.savez_compressed(part, **kept))
    about = {
        "command": "python -m tools.doubt",
        "network": path.name,
        "temperature": round(judge.temperature, 4),
        "threshold": round(judge.threshold, 6),
        "references": len(judge.references),
        "others expected": OTHERS,
        "weights": [round(float(weight), 4) for weight in judge.weights],
        "fitted on": counts,
        "versions": {
            "Python": platform.python_version(),
            **{m.__name__: m.__version__ for m in (keras, tf, np, sklearn)},
        },
    }
    write_text(target.with_suffix(".json"), json.dumps(about, indent=1) + "\n")
    records.record_digests(target, target.with_suffix(".json"))
    print(f"{path.name}: temperature {judge.temperature:.2f}, threshold {judge.threshold:.3f}")


if __name__ == "__main__":
    main()
