"""The network: 21 layers, 597,738 parameters, and how it reads."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import inputs, preflight


@keras.saving.register_keras_serializable("mnist_cnn")
class BatchNormalization(layers.BatchNormalization):
    """Keras' layer, trained with TensorFlow's fused kernel: the same numbers in half the time.

    The name is Keras' own, so that `summary()` reads the same.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalise `(n, …, channels)` by the batch in training, by the moving averages else."""
        channels, rank = inputs.shape[-1], len(inputs.shape)
        usual = self.axis in (-1, rank - 1) and self.scale and self.center and not self.renorm
        if not (training and self.trainable and usual and mask is None):
            return super().call(inputs, training=training, mask=mask)
        images = inputs if rank == 4 else tf.reshape(inputs, (-1, 1, 1, channels))
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=self.gamma, offset=self.beta, mean=[], variance=[],
            epsilon=self.epsilon, exponential_avg_factor=1.0, is_training=True,
        )  # fmt: skip
        # The kernel's variance divides by n - 1, Keras' moving average by n.
        n = tf.cast(tf.size(images) // channels, variance.dtype)
        new = 1 - self.momentum
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * new)
        self.moving_variance.assign(
            self.moving_variance * self.momentum + variance * (n - 1) / n * new
        )
        return outputs if rank == 4 else tf.reshape(outputs, tf.shape(inputs))


def build_model(
    batch_norm_momentum=0.9, dtype="float32", normalization=BatchNormalization, dropout=0.2
):
    """Build the network of notebook 02, untrained and not compiled.

    Args:
        batch_norm_momentum: how much of the old moving mean and variance each batch keeps.
            Keras' default of 0.99 lags behind in a run of three epochs; notebook 03 shows it.
        dtype: what the layers compute in; `training_dtype()` is the fastest for this CPU.
        normalization: the class of the five normalisation layers.
        dropout: the share of the 512 features that training leaves out at a time.

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
        layers.Dropout(dropout, dtype=dtype, name="dropout_1"),
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
    return "mixed_bfloat16" if preflight.multiplies_bfloat16() else "float32"


def plain_copy(model):
    """Copy a trained network into plain Keras layers in float32, which Keras 3.8 can load too.

    What is None in a layer's configuration is its default and is left out: a version that does not
    know the name would refuse it.

    Args:
        model: what `build_model` returned, trained.

    Returns:
        A `keras.Sequential` with the same weights, no custom objects, and no optimizer.
    """
    momentum = model.get_layer("batch_normalization_1").momentum
    dropout = model.get_layer("dropout_1").rate
    plain = build_model(momentum, normalization=layers.BatchNormalization, dropout=dropout)
    plain.set_weights(model.get_weights())
    for layer in plain.layers:
        config = _leave_out_none(layer.get_config())
        layer.get_config = lambda config=config: config
    return plain


def _leave_out_none(config):
    """Return a layer's configuration without what is None, or new and switched off."""
    return {
        key: _leave_out_none(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if value is not None and not key.startswith("renorm")
    }


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
        ValueError: the images are something else (see `inputs.check_images`).
    """
    inputs.check_images(images)
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
        ValueError: the images are something else (see `inputs.check_images`).
    """
    inputs.check_images(images)
    outputs = np.empty((len(images), *model.output_shape[1:]), "float32")
    for i in range(0, len(images), batch_size):
        outputs[i : i + batch_size] = model.predict_on_batch(_scale(images[i : i + batch_size]))
    return outputs


def _scale(images):
    """Scale images that have been checked."""
    return images[..., np.newaxis].astype("float32") / 255
