"""A look inside the network: what its layers pass on, and its kernels as they are applied."""

import keras
import numpy as np

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
    taps = keras.Model(network.inputs, {name: network.get_layer(name).output for name in names})
    batches = [
        taps.predict_on_batch(model.scale(images[i : i + 250])) for i in range(0, len(images), 250)
    ]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


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
