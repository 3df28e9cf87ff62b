"""Training: augmentation, the one-cycle schedule, live curves; checkpoints come from `runs`.

`python -m helpers.training` makes the files in models/ again.
"""

import json
import shutil
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from IPython.display import display

from helpers import data, model, plots, preflight
from helpers.runs import (
    Checkpoint,
    CheckpointError,
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


def make_dataset(images, labels, training=False, batch_size=BATCH_SIZE, seed=0):
    """Make the pipeline that feeds `fit`: uint8 in memory, scaled a batch at a time.

    Args:
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        training: shuffle, and transform every image anew in every epoch.
        batch_size: images per batch; the last one may be smaller.
        seed: of the shuffling and the transforms.

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
        if training:
            batch_images = random_affine(batch_images, random)
        return batch_images, tf.gather(labels, batch)

    return positions.batch(batch_size).map(load).prefetch(2)


def random_affine(images, random, limits=LIMITS):
    """Rotate, zoom, shear and shift every image a little, by one bilinear resampling.

    Args:
        images: float32 `(n, 28, 28, 1)`.
        random: a `tf.random.Generator`.
        limits: the largest rotation (degrees), zoom and shear (fractions) and shift (pixels).

    Returns:
        float32 `(n, 28, 28, 1)`; what comes from outside an image is 0.
    """
    n = tf.shape(images)[0]
    angle, shear = (
        random.uniform([n], -limit, limit)
        for limit in (np.deg2rad(limits["rotation"]), limits["shear"])
    )
    zoom, shift = (random.uniform([n, 2], -limits[k], limits[k]) for k in ("zoom", "shift"))
    return transform(images, *affine_coefficients(angle, 1 + zoom, shear, shift))


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


def compile_model(network, steps, peak=PEAK_LEARNING_RATE):
    """Compile a model as notebook 03 does: cross-entropy, and AdamW on the one-cycle schedule.

    Args:
        network: a Keras classifier that returns probabilities.
        steps: batches in the whole run.
        peak: the highest learning rate.
    """
    network.compile(
        optimizer=keras.optimizers.AdamW(one_cycle(steps, peak), weight_decay=0.01),
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


def train(images, labels, validation, folder, epochs=3, seed=0):
    """Train the network as notebook 03 does, or go on where a run was killed.

    Args:
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        validation: `(images, labels)`, measured after each epoch.
        folder: for `Checkpoint`.
        epochs: passes over the images; the one-cycle schedule spans them all.
        seed: of the weights, the shuffling and the transforms.

    Returns:
        `(network, history)`: the trained network and a dict of lists with a value per epoch.
    """
    keras.utils.set_random_seed(seed)
    dataset = make_dataset(images, labels, training=True, seed=seed)
    network, past = resume(folder)
    if network is None:
        network = model.build_model(dtype=model.training_dtype())
        compile_model(network, steps=epochs * len(dataset))
    checkpoint = Checkpoint(folder)
    network.fit(
        dataset,
        epochs=epochs,
        initial_epoch=len(past),
        validation_data=make_dataset(*validation),
        callbacks=[checkpoint],
        shuffle=False,  # the dataset does that
        verbose=2,
    )
    return network, checkpoint.history


def make_shipped_model(seed=0, epochs=3):
    """Train the model that the notebooks load, and write it to models/ with its results."""
    (images, labels), (test_images, test_labels) = data.load_mnist()
    if not data.is_mnist(labels):
        raise SystemExit("The shipped model is made from MNIST. Set MNIST_DIR to its folder.")
    (images, labels), validation = data.split_validation(images, labels)
    folder = run_folder(f"shipped_seed_{seed}_epochs_{epochs}")
    network, history = train(images, labels, validation, folder, epochs, seed)
    seconds = sum(history.pop("seconds"))
    plain = model.plain_copy(network)
    probabilities = model.predict(plain, test_images).astype(np.float16)
    results = {
        "command": "python -m helpers.training",
        "seed": seed,
        "epochs": epochs,
        "training_images": len(images),
        "computed_in": model.training_dtype(),
        "seconds": round(seconds, 1),
        "validation": measure(model.predict(plain, validation[0]), validation[1]),
        "test": measure(probabilities, test_labels),
        "machine": preflight.describe_machine(),
        "history": {name: [round(v, 5) for v in values] for name, values in history.items()},
    }
    draw_mistakes(model.SHIPPED.with_suffix(".png"), test_images, test_labels, probabilities)
    save_with_results(model.SHIPPED, plain, probabilities, results)
    shutil.rmtree(folder)  # or the next call would find nothing left to do


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


def save_with_results(path, network, probabilities, results):
    """Write a trained network, its test probabilities and results, and the digests of them.

    Args:
        path: where the `.keras` file goes; `.npz` and `.json` get the same name. A `.png` of that
            name, drawn before, gets its digest too.
        network: a Keras model.
        probabilities: `(n, 10)` for the test images.
        results: a dict for the `.json`.
    """
    text = json.dumps(results, indent=1) + "\n"
    write_beside(path, network.save)
    write_beside(
        path.with_suffix(".npz"),
        lambda part: np.savez_compressed(part, test_probabilities=probabilities),
    )
    write_beside(
        path.with_suffix(".json"),
        lambda part: part.write_text(text, encoding="utf-8", newline="\n"),
    )
    files = (path.with_suffix(suffix) for suffix in (".json", ".keras", ".npz", ".png"))
    record_digests(*(file for file in files if file.is_file()))
    print(f"{path.name}: validation {results['validation']}, test {results['test']}")


def record_digests(*paths):
    """Record the SHA-256 of files of one folder in its `SHA256SUMS`; other files' lines stay.

    Args:
        paths: of the files, complete and final.
    """
    folder = paths[0].parent
    digests = model.read_digests(folder) | {path.name: model.digest(path) for path in paths}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    write_beside(
        folder / model.DIGESTS,
        lambda part: part.write_text(text, encoding="utf-8", newline="\n"),
    )


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


if __name__ == "__main__":
    try:
        make_shipped_model()
    except (Stopped, CheckpointError) as reason:
        raise SystemExit(f"{reason}") from None
