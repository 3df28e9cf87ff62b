"""What a recipe's seeds have in common: accuracy, spread, ensemble, intervals."""

import itertools
import warnings

import numpy as np
from scipy import stats


def accuracy(probabilities, labels):
    """Return the share of images that are read as their label says.

    Args:
        probabilities: `(n, 10)`, or those of several networks, `(networks, n, 10)`.
        labels: `(n,)`.

    Returns:
        A number, or one for each network, `(networks,)`.
    """
    return (probabilities.argmax(axis=-1) == labels).mean(axis=-1)


def measure(probabilities, labels):
    """Count what a network misreads.

    Args:
        probabilities: `(n, 10)`.
        labels: `(n,)`.

    Returns:
        A dict: `n`, `errors`, `accuracy`.
    """
    errors = int((probabilities.argmax(axis=1) != labels).sum())
    return {"n": len(labels), "errors": errors, "accuracy": round(1 - errors / len(labels), 5)}


def spread(accuracies):
    """Describe what training again would change: mean, standard deviation, interval of the mean.

    Args:
        accuracies: one for each seed.

    Returns:
        A dict; `interval` holds the true mean with 95 % confidence (Student's t).
    """
    interval = [round(end, 6) for end in interval_of_mean(accuracies)]
    return {"seeds": len(accuracies), **summarise(accuracies), "interval": interval}


def interval_of_mean(values):
    """Return the ends of the mean's 95 % interval (Student's t), of two values or more."""
    with warnings.catch_warnings(action="ignore"):  # SciPy's, where all values are equal
        return [float(end) for end in stats.ttest_1samp(values, 0).confidence_interval(0.95)]


def compare(runs, base):
    """Describe how many more errors runs make than those of a base, seed by seed.

    Args:
        runs, base: dicts of seed to a run, a dict with `errors`.

    Returns:
        A dict: `mean` and its 95 % `interval` (Student's t) over the seeds that both have.
    """
    more = [runs[seed]["errors"] - base[seed]["errors"] for seed in runs if seed in base]
    return {"mean": float(np.mean(more)), "interval": interval_of_mean(more)}


def summarise(accuracies):
    """Return the mean, the standard deviation, the best and the worst of accuracies."""
    mean, sd = np.mean(accuracies), np.std(accuracies, ddof=1)
    values = {"mean": mean, "sd": sd, "best": max(accuracies), "worst": min(accuracies)}
    return {key: round(float(value), 6) for key, value in values.items()}


def ensemble(probabilities, labels):
    """Describe the mean of several networks' probabilities.

    Args:
        probabilities: `(networks, n, 10)`.
        labels: `(n,)`.

    Returns:
        A dict: `errors`, `accuracy` and Wilson's 95 % `interval` of all networks together, and
        `without_two`, the spread over the ensembles that leave out two of them.
    """
    result = measure(probabilities.mean(axis=0, dtype=np.float32), labels)
    right = stats.binomtest(result["n"] - result["errors"], result["n"])
    interval = [round(end, 6) for end in right.proportion_ci(0.95, method="wilson")]
    left = itertools.combinations(probabilities, max(1, len(probabilities) - 2))
    without_two = [accuracy(np.mean(some, axis=0, dtype=np.float32), labels) for some in left]
    return {**result, "interval": interval, "without_two": summarise(without_two)}
