"""Whole training runs by name: `python -m tools.train best` trains and records ten seeds.

A run that was killed goes on at its last finished epoch when the command is given again; seeds that
are recorded already are left alone.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import shutil
import threading
from dataclasses import asdict, dataclass, field

import keras
import numpy as np
import tensorflow as tf

from helpers import augmentation, checkpoints, data, model, model_files, preflight, training
from helpers.checkpoints import Checkpoint, resume, run_folder
from helpers.files import write_beside
from tools import records, scores

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
    limits: dict = field(default_factory=lambda: augmentation.LIMITS)  # of the transforms


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
        records.summarise(options.recipe, test_labels)


def is_missing(name, seed):
    """Tell whether to train a seed of a recipe: not recorded, or its model is not as recorded."""
    if (name, seed) == (SHIPPED_RECIPE, 0):
        try:
            model_files.check_digest(model_files.SHIPPED)
        except (FileNotFoundError, model_files.ModelError):
            return True
    return f"seed_{seed}" not in records.read_record(name)["runs"]


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
    network = model_files.load_model(folder / PLAIN)
    plain, shifted = predict_shifted(network, images)
    if (name, seed) == (SHIPPED_RECIPE, 0):
        records.draw_mistakes(model_files.SHIPPED.with_suffix(".png"), images, labels, plain)
        write_beside(model_files.SHIPPED, network.save)
        records.record_digests(model_files.SHIPPED, model_files.SHIPPED.with_suffix(".png"))
    command = f"python -m tools.train {name}"
    record = {"command": command, "recipe": asdict(RECIPES[name]), **records.read_record(name)}
    kept = records.read_probabilities(name)
    kept |= {f"seed_{seed}": plain, f"seed_{seed}_shifted": shifted}
    results = {
        "test": scores.measure(plain, labels),
        "test_shifted": scores.measure(shifted, labels),
    }
    runs = {**record["runs"], f"seed_{seed}": {**results, **run}}
    record["runs"] = dict(sorted(runs.items()))  # they may have finished in any order
    records.write_record(name, record, kept)
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


if __name__ == "__main__":
    try:
        main()
    except (checkpoints.Stopped, checkpoints.CheckpointError) as reason:
        raise SystemExit(f"{reason}") from None
