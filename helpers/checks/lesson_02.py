"""The checks of lesson 02."""

import numpy as np

from helpers.checks.exercise import NotYet, expect_number, expect_share


def check_02_1(kernel):
    """Design a kernel that finds strokes which rise to the right."""
    if np.shape(kernel) != (3, 3):
        raise NotYet("Give three rows of three numbers, in square brackets.")
    kernel = np.asarray(kernel)
    if kernel.dtype.kind not in "iuf" or not np.isfinite(kernel).all():
        raise NotYet("All nine of them should be finite numbers.")
    if abs(kernel.sum()) > 1e-3 * abs(kernel).sum():
        raise NotYet(f"Even ink gives {kernel.sum():.3g}, not 0. What must the nine add up to?")
    found = strongest(kernel, np.fliplr(np.eye(9)))
    if found <= 0:
        raise NotYet("A rising stroke gives nothing above 0. Where on the kernel does it lie?")
    level = np.arange(9)[:, np.newaxis] == np.full(9, 4)
    strokes = {"falling": np.eye(9), "level": level, "upright": level.T}
    others = {name: strongest(kernel, stroke) for name, stroke in strokes.items()}
    name = max(others, key=others.get)
    if others[name] > found / 2:
        raise NotYet(f"The {name} stroke gives {others[name]:.3g}, the rising one {found:.3g}.")
    return "You chose nine numbers for one feature. Training chooses all of them, for 192 filters."


def strongest(kernel, image):
    """Return the largest sum that a kernel of 3 × 3 finds in an image."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    return (windows * kernel).sum(axis=(2, 3)).max()


def check_02_2(answer):
    """Count the parameters of 16 filters of 5 × 5 on a colour image."""
    misconceptions = {
        1_200: "Nearly: each filter also has a bias.",
        416: "That is for one channel. Each filter looks at all three.",
        400: "That is for one channel and without biases.",
        448: "That is for kernels of 3 × 3. These have 5 × 5.",
        1_203: "There is one bias for each filter, not for each channel.",
        1_201: "There is one bias for each filter, not one for the layer.",
        9_216: "That counts the numbers that come out. Parameters do not depend on the image.",
        76: "That is a single filter. There are 16.",
        432: "That is for kernels of 3 × 3, and without biases.",
        75: "Each of the 16 filters has 5 · 5 · 3 weights of its own.",
        91: "Each of the 16 filters has 5 · 5 · 3 weights of its own.",
        1_219: "There is one bias for each filter; channels have none.",
    }
    expect_number(answer, 1_216, misconceptions)
    return "The size of the image did not enter: the same 1,216 numbers serve any photo."


def check_02_3(answer):
    """Read from the bars what half the filters of conv2d_2 save."""
    misconceptions = {
        0.26: "That is the layer's own half. The convolution that comes next gets cheaper too.",
        0.52: "That is all of conv2d_2. Half of it stays.",
        0.70: "That is both layers as a whole. Half of each stays.",
        0.09: "That is what the next convolution saves. Add the layer's own half.",
        0.61: "That saves all of conv2d_2. Half of it stays.",
        0.44: "The next convolution loses half of its channels, not all of its work.",
        0.5: "That is the share of its filters. What share of all multiplications is it?",
    }
    expect_share(answer, 0.35, misconceptions, tolerance=0.021)
    return "A layer's filters are the next layer's channels: what you cut is saved twice."


def check_02_4(network):
    """Mend a network whose normalisation was never added and whose output is no probability."""
    if not hasattr(network, "layers") or not hasattr(network, "count_params"):
        raise NotYet("Give the network itself, a keras.Sequential.")
    if not getattr(network, "built", False):
        raise NotYet("This network is not built: it has no keras.Input, so it has no weights yet.")
    kinds = [type(layer).__name__ for layer in network.layers]
    if "BatchNormalization" not in kinds:
        raise NotYet(f"Its layers are {', '.join(kinds)}. One was created and is not among them.")
    if network.count_params() != 54_202:
        raise NotYet(f"It has {network.count_params():,} parameters, not 80 + 32 + 54,090.")
    outputs = np.asarray(network(np.linspace(0, 1, 2 * 784, dtype="float32").reshape(2, 28, 28, 1)))
    if not np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise NotYet("Its ten outputs do not add up to 1. Which activation makes probabilities?")
    activations = [name for name in map(activation, network.layers) if name != "linear"]
    if activations != ["relu", "softmax"]:
        raise NotYet(f"Its activations are {activations}: one ReLU, then one softmax in its place.")
    return "Keras ran the broken one without a word. A count and a sum found both mistakes."


def activation(layer):
    """Return the name of what a layer does last: "relu", "softmax", …, or "linear" for nothing."""
    kind = type(layer).__name__.lower()
    function = getattr(layer, "activation", None)
    return kind if kind in ("relu", "softmax") else getattr(function, "__name__", "linear")
