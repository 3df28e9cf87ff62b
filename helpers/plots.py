"""Figures that several notebooks draw; a figure that is a lesson stays in its notebook."""

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.ticker import MaxNLocator

# seaborn's palette "colorblind". Written out, since importing seaborn takes 100 MB that a
# training notebook needs.
PALETTE = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc",
    "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
)  # fmt: skip
# Ten colours for text on white: a contrast of 4.5 at least, and told apart by the colour-blind.
TEXT_PALETTE = (
    "#4e4e59", "#64212c", "#4e00c8", "#432c64", "#2c7ab1",
    "#b13785", "#a600ff", "#6f6f00", "#4e6f64", "#900000",
)  # fmt: skip
WIDTH = 7.2  # inches: a wider figure would be shrunk to a page's column, and its text with it
LEARNED = {"Conv2D": "#0173b2", "Dense": "#0173b2", "BatchNormalization": "#de8f05"}


def use_style():
    """Set the look of every figure: seaborn's colour-blind palette, 6×3.5 inches, 100 dpi."""
    plt.style.use(["default", "seaborn-v0_8-whitegrid"])  # whatever a matplotlibrc says
    plt.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=PALETTE),
            "figure.figsize": (6, 3.5),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "image.cmap": "gray_r",
        }
    )


def show_digits(images, titles=None, columns=10, size=0.75, heading=None, black=None):
    """Show digits in a grid in the notebook; the arguments are those of `draw_digits`."""
    draw_digits(images, titles, columns, size, heading, black)
    plt.show()


def draw_digits(images, titles=None, columns=10, size=0.75, heading=None, black=None):
    """Draw digits in a grid, dark ink on white.

    Args:
        images: uint8 or float `(n, 28, 28)`.
        titles: n short texts, one above each digit.
        columns: digits in a row.
        size: width of a digit in inches; less where so many columns would not fit on a page.
        heading: the finding, above the whole figure.
        black: the value that is drawn black; by default 255 for uint8, else each image's largest.

    Returns:
        The matplotlib figure.
    """
    columns = min(columns, len(images))
    size = min(size, WIDTH / columns)
    rows = -(-len(images) // columns)
    lines = max((str(title).count("\n") + 1 for title in titles or ()), default=0)
    height = rows * (size + 0.17 * lines) + (0.35 if heading else 0)
    fig, axs = plt.subplots(rows, columns, figsize=(columns * size, height), squeeze=False)
    for ax in axs.flat:
        ax.axis("off")
    for i, image in enumerate(images):
        axs.flat[i].imshow(image, vmin=0, vmax=255 if image.dtype == np.uint8 else black)
        if titles is not None:
            axs.flat[i].set_title(titles[i], fontsize=9, pad=2)
    if heading:
        fig.suptitle(heading, fontsize=11)
    return fig


def draw_boxes(ax, boxes, texts, dashed):
    """Draw boxes on a picture, each with a text above it.

    Args:
        ax: matplotlib axes that show the picture.
        boxes: n times top, left, bottom, right, in pixels.
        texts: n short texts.
        dashed: n booleans; a dashed box stands out.
    """
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    for (top, left, bottom, right), text, stands_out in zip(boxes, texts, dashed, strict=True):
        style, colour = ("--", "black") if stands_out else ("-", "#0173b2")
        x, y = (left, right, right, left, left), (top, top, bottom, bottom, top)
        ax.plot(x, y, style, color=colour, linewidth=2)
        ax.text(left, top - 12, text, size=9, color="black", bbox=paper)
    ax.axis("off")


def plot_curves(axs, history, epochs, running=(), metric="accuracy"):
    """Draw loss and a metric against epochs on two axes.

    Args:
        axs: two matplotlib axes.
        history: dict of lists, one value an epoch: `loss`, `accuracy`, `val_loss`,
            `val_accuracy`; a list may be shorter while training runs.
        epochs: in the whole run.
        running: a list for each epoch of `(epoch, loss, accuracy)`, Keras' running means since
            the epoch began, the epoch a fraction; drawn as thin lines.
        metric: what the second axis shows; None for nothing.
    """
    for ax, name, place in zip(axs, ("loss", metric or "accuracy"), (1, 2), strict=True):
        ax.clear()
        for points in running:
            columns = list(zip(*points, strict=True)) or [()] * 3
            label = "running mean" if points is running[0] else None
            ax.plot(columns[0], columns[place], ".-", color="C0", alpha=0.35, lw=1, label=label)
        for key, style, label in ((name, "o-", "training"), (f"val_{name}", "s--", "validation")):
            values = history.get(key, [])
            colour = "C0" if label == "training" else "C1"
            ax.plot(range(1, len(values) + 1), values, style, color=colour, label=label)
        ax.set(xlabel="epoch", ylabel=name, xlim=(0, 1.05 * epochs))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    # Once an epoch is finished, look at the epochs: the start of the run would dwarf them.
    if history.get("loss"):
        axs[0].set_ylim(0, 1.5 * np.nanmax([*history["loss"], *history.get("val_loss", [])]) or 1)
        if metric and "acc" in metric:
            lowest = np.nanmin([*history[metric], *history.get(f"val_{metric}", [])])
            axs[1].set_ylim(max(0, lowest - 0.03), 1.003)
    axs[1].legend(loc="lower right")


def draw_signed(ax, values, limit=None, title=None):
    """Draw a map of signed numbers: red above zero, blue with a minus below, white at zero.

    Args:
        ax: matplotlib axes.
        values: float `(rows, columns)`; up to 25 of them are written into their cells.
        limit: the size of number that is drawn in full colour; by default the largest.
        title: the finding, above the map.
    """
    limit = limit or abs(values).max() or 1
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    if values.size <= 25:
        for (row, column), value in np.ndenumerate(values):
            colour = _choose_ink(image.cmap(image.norm(value)))
            text = f"{value:+.3g}" if value else "0"
            ax.text(column, row, text, ha="center", va="center", color=colour)
    else:  # grey print must keep the sign
        rows, columns = np.nonzero(values < -0.1 * limit)
        cell = ax.get_window_extent().width / ax.figure.dpi * 72 / values.shape[1]
        ax.plot(columns, rows, "_", color="black", ms=0.5 * cell, mew=0.1 * cell)
    ax.set(title=title, xticks=[], yticks=[])


def draw_layers(model):
    """Draw a model's layers as bars, from the model itself: longer is more numbers per image.

    Blue layers have weights, orange ones normalise, grey ones have nothing to learn.

    Args:
        model: a built `keras.Sequential`.

    Returns:
        The matplotlib figure.
    """
    fig, ax = plt.subplots(figsize=(6.6, 0.25 * len(model.layers) + 0.6))
    sizes = [int(np.prod(layer.output.shape[1:])) for layer in model.layers]
    for row, (layer, size) in enumerate(zip(model.layers, sizes, strict=True)):
        colour = LEARNED.get(type(layer).__name__, "#d9d9d9")  # its name stands beside it
        ax.barh(row, size, color=colour, height=0.75)
        text = " × ".join(f"{side:,}" for side in layer.output.shape[1:])
        if layer.count_params():
            text += f"   ({layer.count_params():,} parameters)"
        ax.text(size + 0.01 * max(sizes), row, text, va="center", fontsize=9)
    ax.set_yticks(range(len(model.layers)), [layer.name for layer in model.layers])
    ax.set(xlabel="numbers that the layer passes on for one image", xlim=(0, 1.8 * max(sizes)))
    ax.set_xticks(range(0, max(sizes), 5_000))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.grid(False)
    ax.invert_yaxis()
    return fig


def make_numbers_legible(ax):
    """Turn each number in a heat map black or white, whichever its cell sets off better.

    Args:
        ax: axes with a heat map that seaborn drew with `annot=True`.
    """
    cells = ax.collections[0]
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        text.set_color(_choose_ink(cells.cmap(cells.norm(cells.get_array()[row, column]))))


def _choose_ink(colour):
    """Return black or white, whichever an sRGB colour, 0 to 1, sets off better (WCAG 2.2)."""
    colour = np.array(colour[:3])
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    # From a luminance of 0.179 on, black has the higher contrast.
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"
