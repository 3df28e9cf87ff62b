"""Training: augmentation, the one-cycle schedule, live curves; checkpoints come from `runs`.

`python -m helpers.training` makes the files in models/ again; `recipes` has what it does.
"""

import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from IPython.display import display

from helpers import model, plots
from helpers.runs import (  # noqa: F401, what notebook 03 uses of a run is found in one place
    Checkpoint,
    Stopped,
    Watch,
    resume,
    run_folder,
    write_beside,
)

BATCH_SIZE = 128
PEAK_LEARNING_RATE = 4e-3
# One small affine transform per image: rotation in degrees, zoom and shear as fractions, shift
# in pixels; each drawn uniformly from ± its limit.
LIMITS = {"rotation": 8.0, "zoom": 0.08, "shear": 0.1, "shift": 2.0}


def make_dataset(images, labels, training=False, batch_size=BATCH_SIZE, seed=0, limits=LIMITS):
    """Make the pipeline that feeds `fit`: uint8 in memory, scaled a batch at a time.

    Args:
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        training: shuffle, and transform every image anew in every epoch.
        batch_size: images per batch; the last one may be smaller.
        seed: of the shuffling and the transforms.
        limits: of the transforms (see `random_transform`); None shows the images as they are.

    Returns:
        A `tf.data.Dataset` of float32 `(batch, 28, 28, 1)` in [0, 1] and uint8 `(batch,)`.

    Raises:
        ValueError: images or labels are something else; it names expected and got.
    """
    model.check_images(images)
    model.check_labels(labels, len(images))
    images, labels = tf.constant(images[..., np.newaxis]), tf.constant(labels)
    positions = tf.data.Dataset.range(len(images))
    if training:
        positions = positions.shuffle(len(images), seed=seed)
    random = tf.random.Generator.from_seed(seed)

    def load(batch):
        batch_images = tf.cast(tf.gather(images, batch), tf.float32) / 255
        if training and limits:
            batch_images = random_transform(batch_images, random, limits)
        return batch_images, tf.gather(labels, batch)

    # There is nothing to tune here, and the end of an epoch may wait for the tuner, which sleeps
    # longer and longer: 10, 20, 40 ms, up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # so as not to share the network's threads
    return positions.batch(batch_size).map(load).prefetch(2).with_options(options)


def random_transform(images, random, limits=LIMITS):
    """Rotate, zoom, shear and shift every image a little, by one bilinear resampling.

    Args:
        images: float32 `(n, 28, 28, 1)`.
        random: a `tf.random.Generator`.
        limits: the largest rotation (degrees), zoom and shear (fractions) and shift (pixels); with
            `elastic` (pixels), the image is bent as well (see `random_field`).

    Returns:
        float32 `(n, 28, 28, 1)`; from outside an image comes 0, or with `elastic` its border.
    """
    n = tf.shape(images)[0]
    angle, shear = (
        random.uniform([n], -limit, limit)
        for limit in (np.deg2rad(limits["rotation"]), limits["shear"])
    )
    zoom, shift = (random.uniform([n, 2], -limits[k], limits[k]) for k in ("zoom", "shift"))
    coefficients = affine_coefficients(angle, 1 + zoom, shear, shift)
    if "elastic" in limits:
        return bend(images, random_field(n, random, limits["elastic"]), *coefficients)
    return transform(images, *coefficients)


def affine_coefficients(angle, scales, shear, shift):
    """Work out where each output pixel comes from: `A (output − centre) + centre + shift`.

    Args:
        angle: rotation in radians, `(n,)`.
        scales: step in the source per output pixel, x and y, `(n, 2)`; 1 keeps the size.
        shear: how far x moves per unit of y, `(n,)`.
        shift: in pixels, x and y, `(n, 2)`.

    Returns:
        The six coefficients a0, a1, a2, b0, b1, b2, each `(n,)`, of
        `x = a0 X + a1 Y + a2` and `y = b0 X + b1 Y + b2`.
    """
    centre = 13.5  # of 28 pixels numbered from 0
    cos, sin = tf.cos(angle), tf.sin(angle)
    a0, a1 = scales[:, 0] * cos, scales[:, 0] * (shear * cos - sin)
    b0, b1 = scales[:, 1] * sin, scales[:, 1] * (shear * sin + cos)
    a2 = centre - centre * (a0 + a1) + shift[:, 0]
    b2 = centre - centre * (b0 + b1) + shift[:, 1]
    return a0, a1, a2, b0, b1, b2


def transform(images, a0, a1, a2, b0, b1, b2):
    """Resample each image by its own six affine coefficients (see `affine_coefficients`).

    Args:
        images: float32 `(n, 28, 28, 1)`.
        a0, a1, a2, b0, b1, b2: `(n,)` each.

    Returns:
        float32 `(n, 28, 28, 1)`.
    """
    zero = tf.zeros_like(a0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
    )


def random_field(n, random, limit):
    """Draw a smooth field of displacements for each image.

    Args:
        n: how many images.
        random: a `tf.random.Generator`.
        limit: how far each of 5 × 5 knots is moved at most, in x and in y, in pixels; between
            the knots the field is cubic.

    Returns:
        float32 `(n, 2, 28, 28)`: displacements in x and in y, in pixels. After Simard and others,
        "Best practices for convolutional neural networks", 2003, who blur noise instead.
    """
    knots = random.uniform([n, 2, 5, 5], -limit, limit)
    # What a cubic enlargement from 5 to 28 pixels takes from each knot; both axes take the same.
    weights = tf.image.resize(tf.eye(5)[..., tf.newaxis], (28, 5), "bicubic")[..., 0]
    return tf.einsum("yi,ndij,xj->ndyx", weights, knots, weights)


def bend(images, field, a0, a1, a2, b0, b1, b2):
    """Resample each image as `transform` does, with a displacement for every pixel.

    Args:
        images: float32 `(n, 28, 28, 1)`, empty at the border, which is repeated outwards.
        field: `(n, 2, 28, 28)`, added to x and to y, in pixels.
        a0, a1, a2, b0, b1, b2: `(n,)` each (see `affine_coefficients`).

    Returns:
        float32 `(n, 28, 28, 1)`.
    """
    a0, a1, a2, b0, b1, b2 = (c[:, tf.newaxis, tf.newaxis] for c in (a0, a1, a2, b0, b1, b2))
    column, row = tf.range(28.0), tf.range(28.0)[:, tf.newaxis]
    x = tf.clip_by_value(a0 * column + a1 * row + a2 + field[:, 0], 0, 26.999)
    y = tf.clip_by_value(b0 * column + b1 * row + b2 + field[:, 1], 0, 26.999)
    left, top = tf.floor(x), tf.floor(y)
    first = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis] * 784
    corner = first + tf.cast(top, tf.int32) * 28 + tf.cast(left, tf.int32)
    pixels = tf.reshape(images, [-1])
    a, b, c, d = (tf.gather(pixels, corner + step) for step in (0, 1, 28, 29))
    upper, lower = a + (x - left) * (b - a), c + (x - left) * (d - c)
    return (upper + (y - top) * (lower - upper))[..., tf.newaxis]


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


def compile_model(network, steps, weight_decay=0.01):
    """Compile a model as notebook 03 does: cross-entropy, and AdamW on the one-cycle schedule.

    Args:
        network: a Keras classifier that returns probabilities.
        steps: batches in the whole run.
        weight_decay: how strongly all parameters are pulled towards 0.
    """
    network.compile(
        optimizer=keras.optimizers.AdamW(one_cycle(steps), weight_decay=weight_decay),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


class LiveCurves(Watch):
    """Show a progress bar and the learning curves in the notebook while `fit` runs.

    Args:
        history: the finished epochs of a run that is resumed, as `resume` returns them.
        every: batches between two updates.
    """

    def __init__(self, history=(), every=20):
        super().__init__()
        self.every = every
        self.past = {}
        for row in history:
            self.on_epoch_logs(row)

    def on_train_begin(self, logs=None):
        steps, epochs = self.params["steps"], self.params["epochs"]
        finished = len(self.past.get("loss", ()))
        self.start, self.epoch, self.running = time.monotonic(), min(finished, epochs - 1), []
        self.done, self.total = finished * steps, epochs * steps
        self.bar = display(self.describe(), raw=True, display_id=True)
        self.fig, self.axs = plt.subplots(1, 2, figsize=(7, 3))
        plt.close(self.fig)  # or the notebook shows it a second time at the end of the cell
        self.draw()
        self.picture = display(self.fig, display_id=True)
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.done = epoch * self.params["steps"]
        self.running.append([])

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.done += 1
        if batch % self.every == self.every - 1:
            epoch = self.done / self.params["steps"]
            self.running[-1].append((epoch, logs["loss"], logs["accuracy"]))
            self.update()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.note != "diverged":  # what is not a number has no place on an axis
            self.on_epoch_logs(logs)
            self.update()

    def on_epoch_logs(self, logs):
        """Add an epoch's results to the curves."""
        for name, value in logs.items():
            self.past.setdefault(name, []).append(value)

    def update(self):
        """Show how far the run is, and the curves so far."""
        self.bar.update(self.describe(), raw=True)
        self.draw()
        self.picture.update(self.fig)

    def describe(self):
        """Return the progress bar, as HTML and as text."""
        seconds = time.monotonic() - self.start
        text = (
            f"epoch {self.epoch + 1} of {self.params['epochs']}, {self.done} of {self.total} "
            f"batches, {seconds:.0f} s"
        )
        bar = f'<progress value="{self.done}" max="{self.total}" style="width: 16em"></progress>'
        return {"text/plain": text, "text/html": f"{bar} {text}"}

    def draw(self):
        """Draw the curves so far."""
        plots.plot_curves(self.axs, self.past, self.params["epochs"], self.running)


if __name__ == "__main__":
    from helpers import recipes, runs

    try:
        recipes.main()
    except (runs.Stopped, runs.CheckpointError) as reason:
        raise SystemExit(f"{reason}") from None
