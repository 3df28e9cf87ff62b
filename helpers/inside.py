"""A look inside the network: what its layers pass on, and its kernels as they are applied."""

import keras
import numpy as np
from keras import layers

from helpers import model


def activations(network, images, names):
    """Compute what some layers pass on, scaling one batch at a time so that memory stays low.

    Args:
        network: a `keras.Sequential`, such as `model.load_shipped_model()`.
        images: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink).
        names: of layers, such as `["activation_1", "dense_1"]`.

    Returns:
        A dict of layer name to float32 `(n, …)`, the layer's outputs for all n images, in the
        order of `names`.

    Raises:
        ValueError: the images are something else (see `model.check_images`), or the network has
            no layer of such a name.
    """
    taps = {name: network.get_layer(name).output for name in names}
    return _read(keras.Model(network.inputs, taps), images, names)


def pool(network, images, places=4):
    """Compute what the layers pass on, each map averaged to a few places: the same for all layers.

    Args:
        network, images: as for `activations`.
        places: on a side.

    Returns:
        A dict of float32 `(n, …)`: the pixels, the four layers of maps, and `activation_5`.
    """
    names = ["activation_1", "activation_2", "activation_3", "activation_4"]
    average = layers.AdaptiveAveragePooling2D(places)
    taps = {name: average(network.get_layer(name).output) for name in names}
    taps["activation_5"] = network.get_layer("activation_5").output
    passed = _read(keras.Model(network.inputs, taps), images, list(taps))
    passed = {"pixels": model.scale(images)} | passed
    return {name: numbers.reshape(len(images), -1) for name, numbers in passed.items()}


def _read(taps, images, names):
    """Return the outputs of a model that has several, without holding any of them twice."""
    passed = {}
    for i in range(0, len(images), 100):
        batch = taps.predict_on_batch(model.scale(images[i : i + 100]))
        for name in names:
            if not i:
                passed[name] = np.empty((len(images), *batch[name].shape[1:]), "float32")
            passed[name][i : i + 100] = batch[name]
    return passed


def fold(network):
    """Fold each normalisation of a trained network into the layer before it.

    In use, normalisation multiplies each channel by gamma / sqrt(variance + epsilon) and adds a
    number, and so does the layer before it: one multiplication is enough. Notebook 06 derives it.

    Args:
        network: the network of notebook 02.

    Returns:
        A dict of layer name to `(kernel, bias)`, float32, of the four convolutions and two dense
        layers: 594,922 numbers. With ReLU after all but the last, they read as the network does.
    """
    folded, last = {}, None
    for layer in network.layers:
        if layer.name.startswith(("conv2d", "dense")):
            last = layer.name
            folded[last] = tuple(layer.get_weights())
        elif layer.name.startswith("batch_normalization"):
            gamma, beta, mean, variance = layer.get_weights()
            factor = gamma / np.sqrt(variance + layer.epsilon)
            kernel, bias = folded[last]
            folded[last] = (kernel * factor, (bias - mean) * factor + beta)
    return folded


def tile(maps, columns):
    """Lay a layer's maps side by side, a blank line apart, for one picture.

    Args:
        maps: `(rows, columns, n)`.
        columns: maps in a row of the picture.

    Returns:
        float32, two axes; the lines between maps are NaN, which `imshow` leaves blank.
    """
    rows, width, _ = maps.shape
    padded = np.pad(maps, ((0, 1), (0, 1), (0, 0)), constant_values=np.nan)
    grid = padded.transpose(2, 0, 1).reshape(-1, columns, rows + 1, width + 1)
    return grid.transpose(0, 2, 1, 3).reshape(-1, columns * (width + 1))[:-1, :-1]
