"""Whole training runs by name: `python -m helpers.training best` trains and records ten seeds.

A run that was killed goes on at its last finished epoch when the command is given again; seeds that
are recorded already are left alone.
"""

import argparse
import concurrent.futures
import itertools
import json
import multiprocessing
import os
import shutil
import threading
from dataclasses import asdict, dataclass, field

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from helpers import data, model, plots, preflight, training
from helpers.runs import Checkpoint, resume, run_folder, write_beside

SHIPPED_RECIPE = "best"  # its seed 0 is the model that the notebooks load
PLAIN = "plain.keras"  # a run's network, when it is trained
# The image as it is and moved by a pixel to each side: (rows, columns).
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class Recipe:
    """What a run is made of; the network is always that of notebook 02."""

    epochs: int
    plain_epochs: int = 0  # the last ones, in which the images are shown as they are
    weight_decay: float = 0.01
    limits: dict = field(default_factory=lambda: training.LIMITS)  # of the transforms


RECIPES = {
    "one_epoch": Recipe(
        epochs=1, limits={"rotation": 4.0, "zoom": 0.04, "shear": 0.05, "shift": 1.0}
    ),
    "quick": Recipe(epochs=3),  # that of notebook 03
    "best": Recipe(
        epochs=15,
        plain_epochs=1,
        weight_decay=0.05,
        limits={"rotation": 10.0, "zoom": 0.1, "shear": 0.125, "shift": 2.5, "elastic": 1.0},
    ),
}


def train(recipe, images, labels, seed, folder=None, callbacks=()):
    """Train the network by a recipe, or go on where a run was killed.

    Args:
        recipe: a `Recipe`.
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        seed: of the weights, the shuffling and the transforms.
        folder: for `Checkpoint`; without one nothing is saved.
        callbacks: more of Keras' callbacks.

    Returns:
        `(network, rows)`: the trained network, and a dict for each epoch; none without a folder.
    """
    keras.utils.set_random_seed(seed)
    varied, plain = (
        training.make_dataset(images, labels, training=True, seed=seed, limits=limits)
        for limits in (recipe.limits, None)
    )
    network, past = resume(folder) if folder else (None, [])
    if network is None:
        network = model.build_model(dtype=model.training_dtype())
        training.compile_model(network, recipe.epochs * len(varied), recipe.weight_decay)
    callbacks = [*([Checkpoint(folder)] if folder else []), *callbacks]
    options = {"callbacks": callbacks, "verbose": 2 if folder else 0, "shuffle": False}
    done, change = len(past), recipe.epochs - recipe.plain_epochs
    for dataset, end in ((varied, change), (plain, recipe.epochs)):
        if done < end:
            network.fit(dataset, initial_epoch=done, epochs=end, **options)
            done = end
    return network, resume(folder, network)[1] if folder else []


def main(arguments=None):
    """Train and record the seeds that the command line asks for and that are not recorded yet."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.training",
        description="Train the network by a recipe with several seeds, and record them in models/.",
    )
    parser.add_argument("recipe", nargs="?", choices=RECIPES, default=SHIPPED_RECIPE)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to N - 1 (10)", metavar="N")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time (1)", metavar="N")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs must be 1 or more: how many seeds to train at a time.")
    preflight.load_tensorflow()
    _, (test_images, test_labels) = data.load_mnist()
    if not data.is_mnist(test_labels):
        raise SystemExit("The models are made from MNIST. Set MNIST_DIR to its folder.")
    missing = [seed for seed in range(options.seeds) if is_missing(options.recipe, seed)]
    for seed, run in train_seeds(options.recipe, missing, options.jobs):
        record_seed(options.recipe, seed, run, test_images, test_labels)
        summarise(options.recipe, test_labels)


def is_missing(name, seed):
    """Tell whether to train a seed of a recipe: not recorded, or its model is not as recorded."""
    if (name, seed) == (SHIPPED_RECIPE, 0):
        try:
            model.check_digest(model.SHIPPED)
        except (FileNotFoundError, model.ModelError):
            return True
    return f"seed_{seed}" not in read_record(name)["runs"]


def train_seeds(name, seeds, jobs):
    """Train seeds of a recipe, `jobs` at a time with their share of the cores; yield results."""
    if jobs == 1:
        yield from (train_seed(name, seed) for seed in seeds)
        return
    cores = max(1, preflight.count_cores() // jobs)
    spawn = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    with concurrent.futures.ProcessPoolExecutor(jobs, spawn, prepare_worker, (cores,)) as pool:
        futures = [pool.submit(train_seed, name, seed) for seed in seeds]
        yield from (future.result() for future in concurrent.futures.as_completed(futures))


def prepare_worker(cores):
    """Load TensorFlow for so many cores in a fresh process of a pool, and tie it to its parent."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(cores)
    preflight.load_tensorflow()


def end_with_parent():
    """Wait until the process that started this one is gone, killed perhaps; then end as well."""
    multiprocessing.parent_process().join()
    os._exit(1)


def train_seed(name, seed):
    """Train one seed of a recipe on all training images.

    Args:
        name: of the recipe.
        seed: see `train`.

    Returns:
        `(seed, run)`, the second for the record. The network lies in the run's folder, plain.
    """
    (images, labels), _ = data.load_mnist()
    folder = run_folder(f"{name}_seed_{seed}")
    network, rows = train(RECIPES[name], images, labels, seed, folder)
    write_beside(folder / PLAIN, model.plain_copy(network).save)
    return seed, describe_run(rows)


def describe_run(rows):
    """Return what a record says of a run, from the rows of its epochs."""
    return {
        "computed_in": model.training_dtype(),
        "machine": preflight.describe_machine(),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "history": {key: [round(row[key], 5) for row in rows] for key in ("loss", "accuracy")},
    }


def record_seed(name, seed, run, images, labels):
    """Read the test images with the network of a trained seed; add it to the recipe's record."""
    folder = run_folder(f"{name}_seed_{seed}")
    network = model.load_model(folder / PLAIN)
    plain, shifted = predict_shifted(network, images)
    if (name, seed) == (SHIPPED_RECIPE, 0):
        draw_mistakes(model.SHIPPED.with_suffix(".png"), images, labels, plain)
        write_beside(model.SHIPPED, network.save)
        record_digests(model.SHIPPED, model.SHIPPED.with_suffix(".png"))
    record, kept = read_record(name), read_probabilities(name)
    kept |= {f"seed_{seed}": plain, f"seed_{seed}_shifted": shifted}
    results = {"test": measure(plain, labels), "test_shifted": measure(shifted, labels)}
    runs = {**record["runs"], f"seed_{seed}": {**results, **run}}
    record["runs"] = dict(sorted(runs.items()))  # they may have finished in any order
    write_record(name, record, kept)
    shutil.rmtree(folder)  # or nothing would be left to do another time
    print(f"{name}, seed {seed}: {results}", flush=True)


def predict_shifted(network, images):
    """Read images as they are, and as the mean over `SHIFTS`.

    Args:
        network: what `build_model` returned, trained.
        images: uint8 `(n, 28, 28)`.

    Returns:
        Two arrays of probabilities, float16 `(n, 10)`.
    """
    read = [model.predict(network, np.roll(images, shift, axis=(1, 2))) for shift in SHIFTS]
    return read[0].astype(np.float16), np.mean(read, axis=0).astype(np.float16)


def summarise(name, labels):
    """Work out the statistics of a recipe's seeds from their probabilities, and record them."""
    record, kept = read_record(name), read_probabilities(name)
    runs = list(record["runs"])
    if len(runs) < 2:  # one number has no spread
        return
    plain = np.stack([kept[run] for run in runs])
    shifted = np.stack([kept[f"{run}_shifted"] for run in runs])
    parts = {"all": np.arange(len(labels)), "without_disputed": undisputed(len(labels))}
    record["statistics"] = {
        part: {
            "n": len(chosen),
            "one_network": spread([accuracy(p[chosen], labels[chosen]) for p in plain]),
            "one_network_shifted": spread([accuracy(p[chosen], labels[chosen]) for p in shifted]),
            "ensemble": ensemble(plain[:, chosen], labels[chosen]),
            "ensemble_shifted": ensemble(shifted[:, chosen], labels[chosen]),
        }
        for part, chosen in parts.items()
    }
    write_record(name, record, kept)
    print(f"{name}: {record['statistics']['all']['one_network']}", flush=True)


def undisputed(n):
    """Return the numbers of the test images whose labels are not among the disputed ones."""
    return np.setdiff1d(np.arange(n), data.DISPUTED_TEST_LABELS)


def accuracy(probabilities, labels):
    """Return the share of images that are read as their label says."""
    return float((probabilities.argmax(axis=-1) == labels).mean())


def spread(accuracies):
    """Describe what training again would change: mean, standard deviation, interval of the mean.

    Args:
        accuracies: one for each seed.

    Returns:
        A dict; `interval` holds the true mean with 95 % confidence (Student's t).
    """
    mean, sd, n = np.mean(accuracies), np.std(accuracies, ddof=1), len(accuracies)
    reach = stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n)
    values = {"mean": mean, "sd": sd, "best": max(accuracies), "worst": min(accuracies)}
    rounded = {key: round(float(value), 6) for key, value in values.items()}
    interval = [round(float(end), 6) for end in (mean - reach, mean + reach)]
    return {"seeds": n, **rounded, "interval": interval}


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
    ends = right.proportion_ci(0.95, method="wilson")
    subsets = itertools.combinations(range(len(probabilities)), max(1, len(probabilities) - 2))
    left = [
        accuracy(probabilities[list(chosen)].mean(axis=0, dtype=np.float32), labels)
        for chosen in subsets
    ]
    kept = ("mean", "sd", "best", "worst")
    without_two = {key: value for key, value in spread(left).items() if key in kept}
    return {**result, "interval": [round(end, 6) for end in ends], "without_two": without_two}


def read_record(name):
    """Return what models/ records of a recipe, or what to begin with."""
    path = model.MODELS / f"{name}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    command = f"python -m helpers.training {name}"
    return {"command": command, "recipe": asdict(RECIPES[name]), "runs": {}}


def read_probabilities(name):
    """Return the test probabilities of a recipe's recorded seeds, a dict of float16 `(n, 10)`."""
    path = model.MODELS / f"{name}.npz"
    return dict(np.load(path)) if path.is_file() else {}


def write_record(name, record, probabilities):
    """Write a recipe's record and probabilities, and the digests of the two files."""
    path = model.MODELS / f"{name}.json"
    write_beside(path.with_suffix(".npz"), lambda part: np.savez_compressed(part, **probabilities))
    write_text(path, json.dumps(record, indent=1) + "\n")
    record_digests(path, path.with_suffix(".npz"))


def write_text(path, text):
    """Write a text file, whole or not at all."""
    write_beside(path, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))


def draw_mistakes(path, images, labels, probabilities):
    """Draw every misread digit, the surest first, into a file.

    Args:
        path: of the PNG.
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        probabilities: `(n, 10)`.
    """
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    wrong = wrong[probabilities.max(axis=1)[wrong].argsort()[::-1]]
    titles = [f"{labels[i]}, read {predictions[i]}" for i in wrong]
    plots.use_style()
    fig = plots.draw_digits(images[wrong], titles, columns=10, size=0.72)
    write_beside(path, lambda part: fig.savefig(part, dpi=100))


def record_digests(*paths):
    """Record the SHA-256 of files of one folder in its `SHA256SUMS`; other files' lines stay.

    Args:
        paths: of the files, complete and final.
    """
    folder = paths[0].parent
    digests = model.read_digests(folder) | {path.name: model.digest(path) for path in paths}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    write_text(folder / model.DIGESTS, text)


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
