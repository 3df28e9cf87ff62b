"""A look inside the network: what its layers pass on, its kernels as they are applied, figures."""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from helpers import model, plots


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


def pool(network, images):
    """Compute what the layers pass on, each map averaged to 4 × 4 places: as many for all layers.

    Args:
        network, images: as for `activations`.

    Returns:
        A dict of float32 `(n, …)`: the pixels, the four layers of maps, and `activation_5`.
    """
    names = ["activation_1", "activation_2", "activation_3", "activation_4"]
    average = layers.AdaptiveAveragePooling2D(4)
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


# Figures -----------------------------------------------------------------------------------------


def draw_kernels(kernels, titles, columns=8, heading=None):
    """Draw kernels with their numbers: red above zero, blue with a minus below, white at zero.

    Args:
        kernels: float `(3, 3, n)`.
        titles: n short texts, one above each kernel.
        columns: kernels in a row.
        heading: the finding, above the whole figure.
    """
    rows, limit = -(-len(titles) // columns), abs(kernels).max() / 0.5  # pale: numbers are black
    size = (plots.WIDTH * columns / 8, 1.12 * rows + (0.3 if heading else 0))
    fig, axs = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax, kernel, title in zip(axs.flat, np.moveaxis(kernels, -1, 0), titles, strict=True):
        ax.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        for (row, column), value in np.ndenumerate(kernel):
            text = f"{abs(value):.2f}".removeprefix("0")[:3]
            ax.text(column + 0.13, row, text, ha="center", va="center", fontsize=9)
        below = np.nonzero(kernel <= -0.005)
        ax.plot(below[1] - 0.38, below[0], "_", color="black", markersize=3.5)
        ax.set_title(title, fontsize=9, pad=2)
        ax.axis("off")
    fig.suptitle(heading, fontsize=11)


def draw_strips(passed, most=12):
    """Draw, for one image, the maps of each layer that answer most.

    Args:
        passed: as `activations` returns it for an image.
        most: how many maps of a layer.
    """
    _, axs = plt.subplots(len(passed), 1, figsize=(plots.WIDTH, 0.9 * len(passed)))
    for ax, (name, maps) in zip(axs, passed.items(), strict=True):
        strongest = maps[0].sum(axis=(0, 1)).argsort()[::-1][:most]
        ax.imshow(tile(maps[0][:, :, strongest], most), cmap="cividis")
        ax.set_title(f"{name}: {maps.shape[1]} × {maps.shape[2]} places", loc="left")
        ax.axis("off")


def draw_paths(pictures, paths, places, title):
    """Draw some digits, and beside them how a measure of them changes from layer to layer.

    Args:
        pictures: a dict of text to uint8 `(28, 28)`, three of them.
        paths: a dict of name to numbers, one for each place.
        places: names of the layers.
        title: the finding.
    """
    _, axs = plt.subplots(1, 4, figsize=(plots.WIDTH, 2.8), width_ratios=[1, 1, 1, 4.2])
    for ax, (text, picture) in zip(axs, pictures.items(), strict=False):
        ax.imshow(picture)
        ax.set_title(text, fontsize=9)
        ax.axis("off")
    for style, (name, numbers) in zip(("o-", "s--"), paths.items(), strict=True):
        axs[-1].plot(numbers, style, label=name)
    axs[-1].set_xticks(range(len(places)), places, rotation=40, ha="right")
    axs[-1].set(ylabel="relative distance", title=title)
    axs[-1].legend()


def draw_pictures(image, rows):
    """Draw an image, and beside it pictures of where a network looked, a row for each network.

    Args:
        image: `(28, 28)`.
        rows: a dict of the row's name to a dict of the picture's name to `(28, 28)`; shown is how
            strong a number is, whatever its sign.
    """
    columns = 1 + max(map(len, rows.values()))
    fig, axs = plt.subplots(len(rows), columns, figsize=(plots.WIDTH, 1.6 * len(rows)))
    for row, (title, pictures) in zip(axs, rows.items(), strict=True):
        row[0].imshow(image)
        row[0].set_ylabel(title)
        for ax, (name, picture) in zip(row[1:], pictures.items(), strict=True):
            ax.imshow(abs(picture), cmap="cividis")
            ax.set_title(name)
    for ax in fig.axes:
        ax.set(xticks=[], yticks=[])


def draw_map(ax, points, labels, marked, title):
    """Draw digits where a map puts them, as numbers, and some of them as crosses.

    Args:
        ax: matplotlib axes.
        points: `(n, 2)`.
        labels: n integers from 0 to 9.
        marked: n booleans; the others are drawn by their label, up to 40 of each class.
        title: the finding.
    """
    for digit, colour in enumerate(plots.TEXT_PALETTE):
        for x, y in points[(labels == digit) & ~marked][:40]:
            ax.text(x, y, str(digit), color=colour, fontsize=9, ha="center", va="center")
    for x, y in points[marked]:
        ax.text(x, y, "×", fontsize=16, weight="bold", ha="center", va="center")
    (left, bottom), (right, top) = 1.06 * points.min(axis=0), 1.06 * points.max(axis=0)
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], title=title)
