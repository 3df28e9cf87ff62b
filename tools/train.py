"""Whole training runs by name: `python -m tools.train best` trains and records ten seeds.

A run that was killed goes on at its last finished epoch when the command is given again; seeds that
are recorded already are left alone.
"""

import argparse
import functools
import itertools
import shutil
from dataclasses import asdict, dataclass, field

import keras
import numpy as np
import tensorflow as tf

from helpers import (
    augmentation,
    checkpoints,
    corruptions,
    data,
    model,
    model_files,
    preflight,
    training,
)
from helpers.checkpoints import Checkpoint, resume, run_folder
from helpers.files import write_beside
from tools import optimizers, records, scores

SHIPPED_RECIPE = "best"
PLAIN = "plain.keras"  # a run's network, when it is trained
# The image as it is and moved by a pixel to each side: (rows, columns).
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class Recipe:
    """What a run is made of; the network is always that of notebook 02."""

    epochs: int
    plain_epochs: float = 0  # the last ones, in which the images are shown as they are
    weight_decay: float = 0.01
    limits: dict = field(default_factory=lambda: augmentation.LIMITS)  # of the transforms
    label_smoothing: float = 0.0
    families: tuple = ()  # of `corruptions`, to spoil images by
    spoiled: tuple = (0.0, 0.0)  # the share of a batch, in the first epoch and in the last
    dropout: float = 0.2
    batch_norm_momentum: float = 0.9
    batch_sizes: tuple = (training.BATCH_SIZE,)  # of the first epochs; the last one stays
    optimizer: str = "adamw"  # or "adam" and "sgd", or "muon" for convolutions 2 to 4
    schedule: str = "one_cycle"  # or "constant"
    peak: float = training.PEAK_LEARNING_RATE
    muon_rate: float = 0.2  # the size of Muon's steps, as a share of the learning rate
    average: float = 0.0  # of the weights over the steps: how much of it each step keeps


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
    "robust": Recipe(
        epochs=16,
        plain_epochs=1,
        limits={"rotation": 25.0, "zoom": 0.4, "shear": 0.3, "shift": 5.0, "uneven": True},
        label_smoothing=0.05,
        families=tuple(corruptions.FAMILIES),
        spoiled=(0.75, 0.3),
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
    network, past = resume(folder) if folder else (None, [])
    if network is None:
        network = model.build_model(
            recipe.batch_norm_momentum, model.training_dtype(), dropout=recipe.dropout
        )
        optimizers.compile_by(recipe, network, count_steps(recipe, len(images)))
    callbacks = [*([Checkpoint(folder)] if folder else []), *callbacks]
    options = {"callbacks": callbacks, "verbose": 2 if folder else 0, "shuffle": False}
    done = len(past)
    for dataset, end in make_stages(recipe, images, labels, seed):
        if done < end:
            network.fit(dataset, initial_epoch=done, epochs=end, **options)
            done = end
    if recipe.average:
        optimizers.refresh_normalization(network, dataset)
    return network, resume(folder, network)[1] if folder else []


def find_batch_size(recipe, epoch):
    """Return how many images a batch of an epoch has, counted from 0."""
    return recipe.batch_sizes[min(epoch, len(recipe.batch_sizes) - 1)]


def count_steps(recipe, n):
    """Return the batches of a run on n images."""
    return sum(-(-n // find_batch_size(recipe, epoch)) for epoch in range(recipe.epochs))


def make_stages(recipe, images, labels, seed):
    """Yield the parts of a run in which images are varied alike: `(dataset, last epoch)`."""
    make = make_spoiled_stages if any(recipe.spoiled) else make_plain_stages
    for dataset, end in make(recipe, images, labels, seed):
        if recipe.label_smoothing:
            dataset = dataset.map(lambda batch, digits: (batch, tf.one_hot(digits, 10)))
        yield dataset, end


def make_plain_stages(recipe, images, labels, seed):
    """Yield the stages of a run whose images are transformed, or shown as they are."""
    make = functools.partial(training.make_dataset, images, labels, True, seed=seed)
    first = recipe.epochs - recipe.plain_epochs
    plan = [
        (find_batch_size(recipe, epoch), min(1, max(0, epoch + 1 - first)))
        for epoch in range(recipe.epochs)
    ]
    end = 0
    for (batch_size, plain), alike in itertools.groupby(plan):
        end += len(list(alike))
        dataset = make(batch_size, limits=None if plain == 1 else recipe.limits)
        if 0 < plain < 1:  # of the images in the same order, the last ones
            change = round((1 - plain) * len(dataset))
            dataset = dataset.take(change).concatenate(make(batch_size, limits=None).skip(change))
        yield dataset, end


def make_spoiled_stages(recipe, images, labels, seed):
    """Yield an epoch at a time of a run in which a changing share of a batch is spoiled."""
    change = recipe.epochs - recipe.plain_epochs
    for epoch, share in enumerate(np.linspace(*recipe.spoiled, recipe.epochs).tolist()):
        spoil = functools.partial(corruptions.spoil, families=recipe.families, share=share)
        yield (
            training.make_dataset(
                images,
                labels,
                True,
                find_batch_size(recipe, epoch),
                seed=1_000 * seed + epoch,
                limits=recipe.limits if epoch < change else None,
                spoil=spoil,
            ),
            epoch + 1,
        )


def main(arguments=None):
    """Train and record the seeds that the command line asks for and that are not recorded yet."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.train",
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


def find_shipped(name, seed):
    """Return the file that the notebooks load, if a recipe's seed is the one that makes it."""
    files = {SHIPPED_RECIPE: model_files.SHIPPED, "robust": model_files.ROBUST}
    return files.get(name) if seed == 0 else None


def is_missing(name, seed):
    """Tell whether to train a seed of a recipe: not recorded, or its model is not as recorded."""
    if shipped := find_shipped(name, seed):
        try:
            model_files.check_digest(shipped)
        except (FileNotFoundError, model_files.ModelError):
            return True
    return f"seed_{seed}" not in records.read_record(name)["runs"]


def train_seeds(name, seeds, jobs):
    """Train seeds of a recipe, `jobs` at a time with their share of the cores; yield results."""
    if jobs == 1:
        yield from (train_seed(name, seed) for seed in seeds)
        return
    try:
        from dask.distributed import Client, LocalCluster, as_completed
    except ImportError:
        install = "python -m pip install -r tools/requirements.txt"
        raise SystemExit(f"--jobs needs dask, which is not installed: {install}") from None
    cores = max(1, preflight.count_cores() // jobs)
    # A process each, which ends with this one; without a page to watch them by.
    pool = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**pool) as cluster, Client(cluster) as client:
        futures = [client.submit(train_apart, name, seed, cores, pure=False) for seed in seeds]
        yield from (future.result() for future in as_completed(futures))


def train_apart(name, seed, cores):
    """Train one seed of a recipe in a process of its own, on so many cores."""
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(cores)
    preflight.load_tensorflow()
    return train_seed(name, seed)


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
    if shipped := find_shipped(name, seed):
        picture = shipped.with_suffix(".png")
        records.draw_mistakes(picture, images, labels, plain)
        write_beside(shipped, network.save)
        records.record_digests(shipped, picture)
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
    from tools.train import main  # workers look functions up by this module's name

    try:
        main()
    except (checkpoints.Stopped, checkpoints.CheckpointError) as reason:
        raise SystemExit(f"{reason}") from None
