"""How far to believe a reading: a probability, a distance, and one number of doubt from both."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from scipy import special

from helpers import inputs, model_files

# A temperature at which all ten scores have a say, not only the two largest: 2 and 4 told kinds
# that were left out of the fit a little better than 1.
SOFT = 2
BATCH = 50  # images at a time


class Looks(NamedTuple):
    """What a network passes on for n images."""

    scores: np.ndarray  # float32 (n, 10), before softmax
    features: np.ndarray  # float32 (n, 512), of the last layer but one, of length 1


class Reading(NamedTuple):
    """What a network read in n images, and how far to believe it."""

    digits: np.ndarray  # int (n,)
    probabilities: np.ndarray  # float32 (n, 10), calibrated
    distances: np.ndarray  # float32 (n,), to the nearest of the training digits, 0 to √2
    doubt: np.ndarray  # float32 (n,), 0 (a digit, read right) to 1 (not to be believed)


def look(network, images):
    """Compute what a network passes on, a batch at a time so that memory stays low.

    Args:
        network: a `keras.Sequential` with the layers of notebook 02.
        images: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink); they may show anything.

    Returns:
        `Looks` of all n images.

    Raises:
        ValueError: another type or shape (see `inputs.check_images`).
    """
    with warnings.catch_warnings(action="ignore"):  # that it looks odd is what doubt is for
        inputs.check_images(images)
    taps = keras.Model(network.inputs[0], tap(network))
    batches = [  # called, not `predict`: nothing is compiled anew for each call
        taps(images[i : i + BATCH, ..., np.newaxis].astype("float32") / 255, training=False)
        for i in range(0, len(images), BATCH)
    ]
    scores, features = (np.concatenate(part) for part in zip(*batches, strict=True))
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return Looks(scores, features / np.maximum(length, 1e-6))


def tap(network):
    """Return Keras' symbols of what `Looks` holds, the features still of any length."""
    return [network.get_layer(name).output for name in ("dense_2", "activation_5")]


def join(network, judge):
    """Make one network of a network and its judge, so that doubt goes where the network goes.

    The arithmetic is that of `Judge.read`, in operations that LiteRT has too.

    Args:
        network: the one that the judge was fitted for, in float32.
        judge: a `Judge`.

    Returns:
        A `keras.Model` from float32 `(n, 28, 28, 1)`, 0 to 1, to `(n, 11)`: ten calibrated
        probabilities, and the doubt.
    """
    scores, features = tap(network)
    ordered = ops.top_k(scores / SOFT, 10)[0]
    odds = ops.logsumexp(ordered[:, 1:], axis=1, keepdims=True) - ordered[:, :1]
    features = features / ops.maximum(ops.norm(features, axis=1, keepdims=True), 1e-6)
    # A layer: of a constant a converter would keep many copies.
    compare = keras.layers.Dense(len(judge.references), use_bias=False, name="references")
    nearest = ops.max(compare(features), axis=1, keepdims=True)
    compare.set_weights([judge.references.T])
    distances = ops.sqrt(ops.maximum(2 - 2 * nearest, 0))
    signs = ops.concatenate([odds, distances], axis=1)
    is_digit = ops.sigmoid(-(ops.matmul(signs, judge.weights[:, np.newaxis]) + judge.bias))
    probabilities = ops.softmax(scores / judge.temperature)
    doubt = 1 - is_digit * ops.max(probabilities, axis=1, keepdims=True)
    return keras.Model(network.inputs[0], ops.concatenate([probabilities, doubt], axis=1))


def read_digits(networks, judge, test_images, validation_images):
    """Read test and validation digits with both networks, as `tools.doubt` records it.

    Args:
        networks: a dict, `shipped` and `robust`.
        judge: of `robust`.
        test_images, validation_images: uint8 `(n, 28, 28)`.

    Returns:
        A dict: the scores `shipped_test`, `shipped_validation`, `robust_test`, `robust_validation`,
        float32 `(n, 10)`, and `distances` and `doubt` of the test digits by `robust`, `(n,)`.
    """
    recorded = {}
    for name, network in networks.items():
        recorded[f"{name}_validation"] = look(network, validation_images).scores
        looks = look(network, test_images)
        recorded[f"{name}_test"] = looks.scores
    reading = judge.read(looks)
    return recorded | {"distances": reading.distances, "doubt": reading.doubt}


def load_recorded():
    """Load what `tools.doubt` recorded of MNIST: the dict of `read_digits`."""
    return load_arrays(model_files.MODELS / "doubt_of_digits.npz")


def load_arrays(path):
    """Load the arrays of a file in models/, after its digest is checked, as float32."""
    model_files.check_digest(path)
    with np.load(path) as stored:
        return {name: stored[name].astype("float32") for name in stored.files}


def calibrate(scores, temperature):
    """Turn scores into probabilities after dividing them by a temperature (Guo and others, 2017).

    Args:
        scores: `(n, 10)`, before softmax.
        temperature: above 0; above 1 makes the network less sure.

    Returns:
        Probabilities of the same shape.
    """
    return special.softmax(scores / temperature, axis=1)


def log_odds_against(scores):
    """Return the logarithm of the odds against each largest score: low where it is sure, `(n,)`."""
    ordered = np.sort(scores.astype("float64"), axis=1)
    return special.logsumexp(ordered[:, :-1], axis=1) - ordered[:, -1]


@dataclass
class Judge:
    """What `tools.doubt` fitted for one network, and how it is applied."""

    temperature: float
    references: np.ndarray  # (m, 512), features of training digits, of length 1
    weights: np.ndarray  # (2,), of the signs
    bias: float
    threshold: float  # of doubt: a hundredth of the validation digits lies above

    def distances(self, features):
        """Return how far each is from its nearest training digit, `(n,)`, 0 to √2."""
        nearest = (features @ self.references.T).max(axis=1)
        return np.sqrt(np.maximum(2 - 2 * nearest, 0))

    def signs(self, looks):
        """Return what doubt is worked out from: softened log odds, distance, float32 `(n, 2)`."""
        odds = log_odds_against(looks.scores / SOFT)
        return np.stack([odds, self.distances(looks.features)], axis=1).astype("float32")

    def read(self, looks):
        """Say what was read, and how far to believe it: the `Reading` of what `look` returned."""
        signs = self.signs(looks)
        is_digit = special.expit(-(signs @ self.weights + self.bias))
        probabilities = calibrate(looks.scores, self.temperature)
        doubt = 1 - is_digit * probabilities.max(axis=1)
        return Reading(looks.scores.argmax(axis=1), probabilities, signs[:, 1], doubt)

    def doubt(self, looks):
        """Return 1 less the chance that it is a digit and that it is read right, `(n,)`."""
        return self.read(looks).doubt

    def measure(self, network, images):
        """Read images, and say how far to believe each reading.

        Args:
            network: the one that the judge was fitted for.
            images: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink); they may show anything.

        Returns:
            A `Reading`; refuse what has `doubt` above `threshold`.

        Raises:
            ValueError: another type or shape (see `inputs.check_images`).
        """
        return self.read(look(network, images))


def load(path=model_files.ROBUST):
    """Load the judge that was fitted for a network.

    Args:
        path: of the network's `.keras` file; the judge lies beside it, as `NAME_doubt.npz`.

    Returns:
        A `Judge`.

    Raises:
        FileNotFoundError, ModelError: as `model_files.load_shipped_model`.
    """
    path = Path(path)
    parts = load_arrays(path.with_name(f"{path.stem}_doubt.npz"))
    return Judge(**{name: part if part.ndim else float(part) for name, part in parts.items()})
