"""Whole training runs by name: `python -m tools.train best` trains and records ten seeds.

A run that was killed goes on at its last finished epoch when the command is given again; seeds that
are recorded already are left alone.
"""

import argparse
import contextlib
import functools
import itertools
import shutil
import time
import warnings
from dataclasses import asdict, dataclass, field

import keras
import numpy as np
import tensorflow as tf

from helpers import augmentation, corruptions, model, model_files, preflight, training
from helpers.checkpoints import Checkpoint, resume, run_folder
from helpers.files import write_beside
from tools import cluster, non_digits, optimizers, records, scores

SHIPPED_RECIPE = "best"
PLAIN = "plain.keras"  # a run's network, when it is trained
NO_DIGIT = 10  # the label of what is none of the ten
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
    others: int = 0  # images beside each batch that are no digits; needs smoothed labels
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
    "race": Recipe(  # as accurate in two
        epochs=2, optimizer="muon", muon_rate=0.5, label_smoothing=0.05, dropout=0.3
    ),
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
        others=16,
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
        network = build(recipe, len(images))
    callbacks = [Checkpoint(folder), *callbacks] if folder else [*callbacks]
    options = {"callbacks": callbacks, "verbose": 2 if folder else 0, "shuffle": False}
    done = len(past)
    for dataset, end in make_stages(recipe, images, labels, seed):
        if done < end:
            network.fit(dataset, initial_epoch=done, epochs=end, **options)
            done = end
    if recipe.average:
        optimizers.refresh_normalization(network, dataset)
    return network, resume(folder, network)[1] if folder else []


def build(recipe, n):
    """Return the network of a recipe, untrained, and compiled for a run on n images."""
    network = model.build_model(
        recipe.batch_norm_momentum, model.training_dtype(), dropout=recipe.dropout
    )
    optimizers.compile_by(recipe, network, count_steps(recipe, n))
    return network


def plan(recipe):
    """List the epochs of a run: the images of a batch, the share of batches shown as they are."""
    sizes, first_plain = recipe.batch_sizes, recipe.epochs - recipe.plain_epochs
    return [
        (sizes[min(epoch, len(sizes) - 1)], min(1, max(0, epoch + 1 - first_plain)))
        for epoch in range(recipe.epochs)
    ]


def count_steps(recipe, n):
    """Return the batches of a run on n images."""
    return sum(-(-n // size) for size, _ in plan(recipe))


def make_stages(recipe, images, labels, seed):
    """Yield the parts of a run in which images are varied alike: `(dataset, last epoch)`.

    Its targets are labels, uint8 `(batch,)`, or, to be smoothed, probabilities, `(batch, 10)`.
    """
    make = make_spoiled_stages if any(recipe.spoiled) else make_plain_stages
    for dataset, end in make(recipe, images, labels, seed):
        if recipe.label_smoothing:
            dataset = dataset.map(lambda batch, labels: (batch, make_targets(labels)))
        yield dataset, end


def make_targets(labels):
    """Turn labels, uint8 `(n,)`, into float32 `(n, 10)`: one-hot, or even for what is no digit."""
    return tf.where(labels[:, tf.newaxis] == NO_DIGIT, 0.1, tf.one_hot(labels, 10))


def make_plain_stages(recipe, images, labels, seed):
    """Yield the stages of a run whose images are transformed, or shown as they are."""
    make = functools.partial(training.make_dataset, images, labels, True, seed=seed)
    end = 0
    for (batch_size, plain), alike in itertools.groupby(plan(recipe)):
        end += len(list(alike))
        dataset = make(batch_size, limits=None if plain == 1 else recipe.limits)
        if 0 < plain < 1:  # of the images in the same order, the last ones
            change = round((1 - plain) * len(dataset))
            dataset = dataset.take(change).concatenate(make(batch_size, limits=None).skip(change))
        yield dataset, end


def make_spoiled_stages(recipe, images, labels, seed):
    """Yield an epoch at a time of a run in which a changing share of a batch is spoiled."""
    pool = non_digits.make_pool(images, labels) if recipe.others else None
    shares = np.linspace(*recipe.spoiled, recipe.epochs).tolist()
    for epoch, (size, plain) in enumerate(plan(recipe)):
        spoil = functools.partial(corruptions.spoil, families=recipe.families, share=shares[epoch])
        limits = None if plain == 1 else recipe.limits
        options = {"seed": 1_000 * seed + epoch, "limits": limits, "spoil": spoil}
        dataset = training.make_dataset(images, labels, True, size, **options)
        if recipe.others:
            dataset = add_others(dataset, pool, recipe.others, options)
        yield dataset, epoch + 1


def add_others(dataset, pool, number, options):
    """Put images that are no digits beside each batch, varied and spoiled like it.

    Args:
        dataset: of images and labels.
        pool: of images that are no digits, uint8 `(n, 28, 28)`.
        number: of them to a batch.
        options: of `training.make_dataset`.

    Returns:
        A dataset of images and labels, for what is no digit `NO_DIGIT`.
    """
    with warnings.catch_warnings(action="ignore"):  # that they do not look like digits
        others = training.make_dataset(pool, np.zeros(len(pool), "uint8"), True, **options)
    # Of sixteen images a family that takes a twentieth would get none: so spoiled 128 at a time.
    others = others.repeat().rebatch(number)

    def join(digits, others):
        labels = digits[1], tf.fill([number], tf.constant(NO_DIGIT, "uint8"))
        return tf.concat([digits[0], others[0]], 0), tf.concat(labels, 0)

    joined = tf.data.Dataset.zip(dataset, others).map(join)
    return joined.apply(tf.data.experimental.assert_cardinality(len(dataset)))


def main(arguments=None):
    """Train and record the seeds that the command line asks for and that are not recorded yet."""
    options = read_options(arguments)
    digits = records.load_mnist()
    begin, done = time.monotonic(), 0
    with contextlib.ExitStack() as claims:
        seeds = claim_missing(options.recipe, options.seeds, claims)
        for seed, run in train_seeds(options.recipe, seeds, digits, options.jobs, options.cluster):
            record_seed(options.recipe, seed, run, *digits[1])
            done += 1
    print(f"{options.recipe}: {done} seeds in {time.monotonic() - begin:.0f} s.")


def read_options(arguments):
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.train",
        description="Train the network by a recipe with several seeds, and record them in models/.",
    )
    parser.add_argument("recipe", nargs="?", choices=RECIPES, default=SHIPPED_RECIPE)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to N - 1 (10)", metavar="N")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--jobs", type=int, default=1, help="seeds at a time (1)", metavar="N")
    place.add_argument(
        "--cluster", help="a Dask scheduler, tcp://HOST:8786 (models/CLUSTER.md)", metavar="ADDRESS"
    )
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs must be 1 or more: how many seeds to train at a time.")
    return options


def claim_missing(name, number, claims):
    """Yield the seeds of a recipe that are not recorded, each claimed when it is asked for.

    Args:
        name: of the recipe.
        number: of seeds.
        claims: an `ExitStack`, which holds the claims until the seeds are recorded.
    """
    for seed in range(number):
        if not is_missing(name, seed):
            continue
        try:
            claims.enter_context(records.hold(f"{name}_seed_{seed}", wait=0))
        except records.Held:
            print(f"{name}, seed {seed}: another command trains it.", flush=True)
            continue
        if is_missing(name, seed):  # nobody has recorded it between the two
            yield seed


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


def train_seeds(name, seeds, digits, jobs=1, address=None):
    """Train seeds of a recipe here, or several at a time by the workers of a cluster.

    Args:
        name: of the recipe.
        seeds: an iterable; the next one is taken when there is somebody to train it.
        digits: what `load_mnist` returned.
        jobs: how many at a time on this machine, each with its share of the cores.
        address: of a Dask scheduler, whose workers train instead.

    Yields:
        `(seed, run)`, as `train_seed` makes them; the first that is finished first.
    """
    if jobs == 1 and not address:
        for seed in seeds:
            yield seed, train_seed(name, seed, digits, find_folder(name, seed))
        return
    seeds = iter(seeds)
    first = next(seeds, None)
    if first is None:  # no cluster is needed
        return
    with cluster.connect(address, jobs) as client:
        seeds = itertools.chain([first], seeds)
        for seed, (run, network) in cluster.share_out(client, train_apart, name, seeds, digits):
            folder = find_folder(name, seed)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / PLAIN).write_bytes(network)
            yield seed, run


def load_tensorflow(cores):
    """Load TensorFlow in a process of its own, for so many cores."""
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(cores)
    preflight.load_tensorflow()


def train_apart(name, seed, digits, mark, cores):
    """Train one seed of a recipe in a worker of a cluster.

    Args:
        name, seed, digits: see `train_seed`.
        mark: of the code; what another version of it has saved does not go on.
        cores: how many to use; the same for each seed that a process trains.

    Returns:
        `(run, network)`: as of `train_seed`, and the content of the network's file.
    """
    load_tensorflow(cores)
    folder = run_folder(f"{name}_seed_{seed}_{mark}")
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: cluster.check_wanted()
    )
    run = train_seed(name, seed, digits, folder, [watch])
    network = (folder / PLAIN).read_bytes()
    shutil.rmtree(folder)
    return run, network


def find_folder(name, seed):
    """Return the folder of a seed of a recipe on this machine."""
    return run_folder(f"{name}_seed_{seed}")


def train_seed(name, seed, digits, folder, callbacks=()):
    """Train one seed of a recipe on all training images, and read the test images with it.

    Args:
        name: of the recipe.
        seed: see `train`.
        digits: what `load_mnist` returned.
        folder: for what is saved; the network lies there in the end, plain.
        callbacks: see `train`.

    Returns:
        A dict: what the record says of the run, and `probabilities` as `predict_shifted` returns.
    """
    (images, labels), (test_images, _) = digits
    network, rows = train(RECIPES[name], images, labels, seed, folder, callbacks)
    write_beside(folder / PLAIN, model.plain_copy(network).save)
    return {
        "computed_in": model.training_dtype(),
        "machine": preflight.describe_machine(),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "history": {key: [round(row[key], 5) for row in rows] for key in ("loss", "accuracy")},
        "probabilities": predict_shifted(model_files.load_model(folder / PLAIN), test_images),
    }


def record_seed(name, seed, run, images, labels):
    """Add a trained seed to its recipe's record, and to the models if it is one that ships."""
    folder = find_folder(name, seed)
    plain, shifted = run.pop("probabilities")
    if shipped := find_shipped(name, seed):
        picture = shipped.with_suffix(".png")
        records.draw_mistakes(picture, images, labels, plain)
        write_beside(shipped, functools.partial(shutil.copyfile, folder / PLAIN))
        records.record_digests(shipped, picture)
    results = {
        "test": scores.measure(plain, labels),
        "test_shifted": scores.measure(shifted, labels),
    }
    with records.hold("models"):
        begun = {"command": f"python -m tools.train {name}", "recipe": asdict(RECIPES[name])}
        record, kept = begun | records.read_record(name), records.read_probabilities(name)
        runs = {**record["runs"], f"seed_{seed}": {**results, **run}}
        record["runs"] = dict(sorted(runs.items()))  # they may have finished in any order
        kept |= {f"seed_{seed}": plain, f"seed_{seed}_shifted": shifted}
        records.write_record(name, record, kept)
        records.summarise(name, labels)
    shutil.rmtree(folder)  # or nothing would be left to do another time
    print(f"{name}, seed {seed}: {results}", flush=True)


def predict_shifted(network, images, predict=model.predict):
    """Read images as they are, and as the mean over `SHIFTS`.

    Args:
        network: what `build_model` returned, trained.
        images: uint8 `(n, 28, 28)`.
        predict: what reads images with a network.

    Returns:
        Two arrays of probabilities, float16 `(n, 10)`.
    """
    read = [predict(network, np.roll(images, shift, axis=(1, 2))) for shift in SHIFTS]
    return read[0].astype(np.float16), np.mean(read, axis=0).astype(np.float16)


def run():
    """Do what the command line asks for; say in a plain line why it ends too soon."""
    try:
        main()
    except (preflight.SetupError, records.Held) as reason:
        raise SystemExit(f"{reason}") from None
    except KeyboardInterrupt:
        line = "Stopped. Give the command again to go on after what is recorded."
        raise SystemExit(line) from None


if __name__ == "__main__":
    from tools.train import run  # workers look functions up by this module's name

    run()
