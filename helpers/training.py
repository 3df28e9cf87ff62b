"""Training: the pipeline that feeds `fit`, the one-cycle schedule, compile."""

import keras
import numpy as np
import tensorflow as tf

from helpers import augmentation, inputs

BATCH_SIZE = 128
PEAK_LEARNING_RATE = 4e-3


def make_dataset(
    images,
    labels,
    training=False,
    batch_size=BATCH_SIZE,
    seed=0,
    limits=augmentation.LIMITS,
    spoil=None,
):
    """Make the pipeline that feeds `fit`: uint8 in memory, scaled a batch at a time.

    Args:
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        training: shuffle, and transform every image anew in every epoch.
        batch_size: images per batch; the last one may be smaller.
        seed: of the shuffling and the transforms.
        limits: of the transforms (see `augmentation.random_transform`); None shows the images as
            they are.
        spoil: what else is done to the images of a training batch, called with them and a
            `tf.random.Generator`; `corruptions.spoil`, for example.

    Returns:
        A `tf.data.Dataset` of float32 `(batch, 28, 28, 1)` in [0, 1] and uint8 `(batch,)`.

    Raises:
        ValueError: images or labels are something else; it names expected and got.
    """
    inputs.check_images(images)
    inputs.check_labels(labels, len(images))
    images, labels = tf.constant(images[..., np.newaxis]), tf.constant(labels)
    positions = tf.data.Dataset.range(len(images))
    positions = positions.shuffle(len(images), seed=seed) if training else positions
    random = tf.random.Generator.from_seed(seed)

    def load(batch):
        batch_images = tf.cast(tf.gather(images, batch), tf.float32) / 255
        if training and limits:
            batch_images = augmentation.random_transform(batch_images, random, limits)
        if training and spoil:
            batch_images = spoil(batch_images, random)
        return batch_images, tf.gather(labels, batch)

    return positions.batch(batch_size).map(load).prefetch(2).with_options(_steady_options())


def one_cycle(steps, peak=PEAK_LEARNING_RATE):
    """Return the one-cycle learning rate: a linear warm-up, then half a cosine down to 0.

    Args:
        steps: batches in the whole run.
        peak: the highest learning rate, reached after a fifth of the steps.

    Returns:
        A Keras learning-rate schedule. After Smith, "Super-Convergence", 2018, with the
        momentum left alone.
    """
    warm_up = max(1, steps // 5)
    return keras.optimizers.schedules.CosineDecay(
        peak / 25, steps - warm_up, warmup_target=peak, warmup_steps=warm_up
    )


def compile_model(network, steps):
    """Compile a model as notebook 03 does: cross-entropy, and AdamW on the one-cycle schedule.

    Args:
        network: a Keras classifier that returns probabilities.
        steps: batches in the whole run.
    """
    network.compile(
        optimizer=keras.optimizers.AdamW(one_cycle(steps), weight_decay=0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def _steady_options():
    """Return the options of a pipeline without anything to tune.

    The end of an epoch may wait for the tuner, which sleeps longer and longer: 10, 20, 40 ms, up to
    a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # so as not to share the network's threads
    return options
