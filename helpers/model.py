"""The network: 21 layers, 597,738 parameters; what may enter it, and which files are loaded."""

import hashlib
import re
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

MODELS = Path(__file__).resolve().parents[1] / "models"
SHIPPED = MODELS / "mnist_cnn.keras"
DIGESTS = "SHA256SUMS"  # beside the files, in the format of the command `sha256sum`
# The mean of an image's border above which its paper is taken for white. MNIST's borders stay below
# 9, those of inverted MNIST above 246; a bold digit leaves most of its border free.
WHITE = 150


class ModelError(ValueError):
    """A model file that is not loaded; the message says which one, why, and what to do."""


@keras.saving.register_keras_serializable("mnist_cnn")
class BatchNormalization(layers.BatchNormalization):
    """Keras' layer, trained with TensorFlow's fused kernel: the same numbers in half the time.

    The name is Keras' own, so that `summary()` reads the same.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalise `(n, …, channels)` by the batch in training, by the moving averages else."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        images = inputs if len(inputs.shape) == 4 else inputs[:, None, None, :]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=self.gamma, offset=self.beta, mean=[], variance=[],
            epsilon=self.epsilon, exponential_avg_factor=1.0, is_training=True,
        )  # fmt: skip
        # The kernel's variance divides by n - 1, Keras' moving average by n.
        n = tf.cast(tf.size(images) // tf.shape(images)[-1], variance.dtype)
        new = 1 - self.momentum
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * new)
        self.moving_variance.assign(
            self.moving_variance * self.momentum + variance * (n - 1) / n * new
        )
        return outputs if len(inputs.shape) == 4 else outputs[:, 0, 0, :]


def build_model(batch_norm_momentum=0.9, dtype="float32", normalization=BatchNormalization):
    """Build the network of notebook 02, untrained and not compiled.

    Args:
        batch_norm_momentum: how much of the old moving mean and variance each batch keeps.
            Keras' default of 0.99 lags behind in a run of three epochs; notebook 03 shows it.
        dtype: what the layers compute in; `training_dtype()` is the fastest for this CPU.
        normalization: the class of the five normalisation layers.

    Returns:
        A `keras.Sequential`: float32 `(n, 28, 28, 1)` in [0, 1] to class probabilities, float32
        `(n, 10)`.
    """
    stack = [keras.Input((28, 28, 1))]
    for number, filters in enumerate((32, 32, 64, 64), start=1):
        stack += [
            layers.Conv2D(filters, 3, dtype=dtype, name=f"conv2d_{number}"),
            normalization(
                momentum=batch_norm_momentum, dtype=dtype, name=f"batch_normalization_{number}"
            ),
            layers.Activation("relu", dtype=dtype, name=f"activation_{number}"),
        ]
        if number % 2 == 0:
            pool = layers.MaxPooling2D(2, dtype=dtype, name=f"max_pooling2d_{number // 2}")
            stack.append(pool)
    stack += [
        layers.Flatten(dtype=dtype, name="flatten_1"),
        layers.Dense(512, dtype=dtype, name="dense_1"),
        normalization(momentum=batch_norm_momentum, dtype=dtype, name="batch_normalization_5"),
        layers.Activation("relu", dtype=dtype, name="activation_5"),
        layers.Dropout(0.2, dtype=dtype, name="dropout_1"),
        layers.Dense(10, dtype=dtype, name="dense_2"),
        layers.Activation("softmax", dtype="float32", name="activation_6"),
    ]
    return keras.Sequential(stack, name="mnist_cnn")


def training_dtype():
    """Choose what to train in: bfloat16 where the CPU multiplies it itself, else float32.

    Returns:
        `"mixed_bfloat16"` (16-bit arithmetic, 32-bit weights) or `"float32"`. Without the
        CPU's own instructions bfloat16 is emulated, and slower.
    """
    cpu = Path("/proc/cpuinfo")  # only Linux tells
    flags = cpu.read_text(encoding="utf-8", errors="replace") if cpu.is_file() else ""
    native = "avx512_bf16" in flags or "amx_bf16" in flags
    return "mixed_bfloat16" if native else "float32"


def plain_copy(model):
    """Copy a trained network into plain Keras layers in float32, which any Keras can load.

    Args:
        model: what `build_model` returned, trained.

    Returns:
        A `keras.Sequential` with the same weights, no custom objects, and no optimizer.
    """
    momentum = model.get_layer("batch_normalization_1").momentum
    plain = build_model(momentum, normalization=layers.BatchNormalization)
    plain.set_weights(model.get_weights())
    return plain


def load_shipped_model():
    """Load the trained network that comes with the project.

    Returns:
        The `keras.Sequential` of `models/mnist_cnn.keras`; models/README.md says how it was made.

    Raises:
        FileNotFoundError: the file is not there.
        ModelError: it is not the file whose SHA-256 was recorded when it was made.
    """
    check_digest(SHIPPED)
    return load_model(SHIPPED)


def load_model(path):
    """Load a `.keras` file that is whole and holds no code.

    Keras' safe mode stays on: layers of Keras and of this project are made, nothing else.

    Args:
        path: of the file.

    Returns:
        The Keras model, compiled if it was so when it was saved.

    Raises:
        FileNotFoundError: the file is not there.
        ModelError: it is damaged, something else, or holds what Keras refuses to make.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}. Is the name right?")
    if wrong := _look_into(path):
        raise ModelError(f"{path.name} {wrong}.\nCopy it again, or make it again.")
    try:
        return keras.saving.load_model(path)
    except MemoryError:
        raise
    except Exception as error:  # what is in the file decides what h5py and Keras raise
        raise ModelError(
            f"{path.name} is not loaded: {_cause(error)}\nUse a file that you or this project made."
        ) from None


def check_digest(path):
    """Compare a file of models/ with the SHA-256 that was recorded when it was made.

    Args:
        path: of the file; `SHA256SUMS` lies beside it.

    Raises:
        FileNotFoundError: the file is not there.
        ModelError: it is another file than the one recorded, or was never recorded.
    """
    fix = "Restore it (git checkout models/), or make it again: python -m helpers.training"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing from {path.parent.name}/.\n{fix}")
    if digest(path) != read_digests(path.parent).get(path.name):
        wrong = (_look_into(path) if path.suffix == ".keras" else None) or "was changed"
        raise ModelError(f"{path.name} {wrong}; its SHA-256 is not the one in {DIGESTS}.\n{fix}")


def digest(path):
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_digests(folder):
    """Return what a folder's `SHA256SUMS` has recorded: a dict of file name to SHA-256."""
    path = folder / DIGESTS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {name: recorded for recorded, _, name in (line.partition("  ") for line in lines)}


def summary_rows(model):
    """Return what `model.summary()` prints, as data.

    Args:
        model: a built Keras model.

    Returns:
        A list of `(name, output shape, parameters)`, a row per layer.
    """
    return [(layer.name, layer.output.shape, layer.count_params()) for layer in model.layers]


def scale(images):
    """Scale images to what the network expects.

    Args:
        images: uint8 `(n, 28, 28)`, 0 to 255.

    Returns:
        float32 `(n, 28, 28, 1)`, 0 to 1.

    Raises:
        ValueError: the images are something else (see `check_images`).
    """
    check_images(images)
    return _scale(images)


def predict(model, images, batch_size=250):
    """Read digits, scaling one batch at a time so that memory stays low.

    Args:
        model: a network that takes float32 `(n, 28, 28, 1)` in [0, 1].
        images: uint8 `(n, 28, 28)`.
        batch_size: images at a time.

    Returns:
        What the network returns for all n images, float32 `(n, …)`: for `build_model()` class
        probabilities, `(n, 10)`.

    Raises:
        ValueError: the images are something else (see `check_images`).
    """
    check_images(images)
    outputs = np.empty((len(images), *model.output_shape[1:]), "float32")
    for i in range(0, len(images), batch_size):
        outputs[i : i + batch_size] = model.predict_on_batch(_scale(images[i : i + batch_size]))
    return outputs


def check_images(images):
    """Check that images are what the network was trained on, before anything is computed.

    Warns where their type is right but they look inverted (white paper) or scaled already.

    Args:
        images: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink), n at least 1.

    Raises:
        ValueError: another type, shape or range, or no image at all; it names expected and got.
    """
    right = isinstance(images, np.ndarray) and images.dtype == np.uint8
    if not (right and images.ndim == 3 and images.shape[1:] == (28, 28) and len(images)):
        raise ValueError(
            "Images must be a NumPy array of uint8, shape (n, 28, 28), 0 (paper) to 255 (ink); "
            f"got {_describe(images)}.\n{_advise(images)}"
        )
    if images.max() <= 1:
        warnings.warn(
            "No pixel is above 1: the images look scaled already, or blank. The network was "
            "trained with pixels from 0 to 255; they are scaled here.",
            stacklevel=3,
        )
    border = np.hstack([images[:, [0, -1]].reshape(-1, 56), images[:, :, [0, -1]].reshape(-1, 56)])
    inverted = int((border.mean(axis=1) > WHITE).sum())
    if inverted:
        warnings.warn(
            f"{inverted:,} of {len(images):,} images look inverted: the network was trained with "
            "paper 0 and ink 255. If yours have white paper, pass 255 - images.",
            stacklevel=3,
        )


def check_labels(labels, n):
    """Check that labels are one class from 0 to 9 for each image.

    Args:
        labels: integers `(n,)`.
        n: how many images there are.

    Raises:
        ValueError: another type, shape, length or range; it names expected and got.
    """
    right = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape == (n,)
    if right and labels.size and labels.min() >= 0 and labels.max() <= 9:
        return
    one_hot = isinstance(labels, np.ndarray) and labels.shape == (n, 10)
    advice = "\nFrom one-hot labels: labels.argmax(axis=1)" if one_hot else ""
    raise ValueError(
        f"Labels must be a NumPy array of integers from 0 to 9, shape ({n},), one for each image; "
        f"got {_describe(labels)}.{advice}"
    )


def _scale(images):
    """Scale images that have been checked."""
    return images[..., np.newaxis].astype("float32") / 255


def _describe(array):
    """Return the type, shape and range of an array, in words."""
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}"
    words = f"{array.dtype}, shape {array.shape}"
    if array.dtype.kind not in "biuf" or not array.size:
        return words
    finite = array[np.isfinite(array)]
    words += f", {float(finite.min()):.4g} to {float(finite.max()):.4g}" if finite.size else ""
    return words + (", and NaN or infinity in it" if finite.size < array.size else "")


def _advise(images):
    """Return what to do about images that `check_images` refuses, by the first cause that fits."""
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "biuf":
        return "Make an array of numbers first: np.array(images)"
    shape, last = images.shape, images.shape[-1:]
    if not images.size:
        return "There is no image in it: look at what selected them."
    if not np.isfinite(images).all():
        return "Find out where the NaN or infinite pixels come from."
    if images.dtype != np.uint8 and images.min() >= 0 and images.max() <= 1:
        return "They look scaled already: pass them as they were before, scaling is done here."
    causes = {
        "One image needs an axis for n: image[np.newaxis]": shape == (28, 28),
        "Put n first: np.moveaxis(images, -1, 0)": shape[:2] == (28, 28) and len(shape) == 3,
        "Drop the channel axis: images[..., 0]": shape[1:] == (28, 28, 1),
        "Drop the channel axis: images[:, 0]": shape[1:] == (1, 28, 28),
        "Make them grey: one number for each pixel.": len(shape) == 4 and last in ((3,), (4,)),
        "Give each image its rows: images.reshape(-1, 28, 28)": shape[1:] == (784,),
        "Bring each image to 28 rows of 28 pixels.": shape[1:] != (28, 28),
        "Bring the pixels to 0 to 255 first.": images.min() < 0 or images.max() > 255,
    }
    round_them = "Whole numbers are due: images.round().astype('uint8')"
    return next((advice for advice, fits in causes.items() if fits), round_them)


def _look_into(path):
    """Return what is plainly wrong with a `.keras` file, or None."""
    with path.open("rb") as file:
        head = file.read(512).lstrip()
    if not head:
        return "is empty"
    if head.startswith(b"<"):
        return "is a web page, perhaps a log-in page, not a model"
    if not zipfile.is_zipfile(path):
        return "is cut short" if head.startswith(b"PK") else "is not a Keras model file"
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except Exception as error:  # where a bit flipped decides what zipfile raises
        return f"is damaged ({error})"
    return f"is damaged: {broken} inside it fails its checksum" if broken else None


def _cause(error):
    """Return the sentence of a Keras error that has the cause; later ones advise against safety."""
    said = " ".join(str(error).split()).strip('"')
    said = re.sub(r"^.*(Exception encountered|Example error message for object <.*?>): ", "", said)
    return re.match(r".{0,200}?\.(?= |$)|.{0,200}", said)[0]
