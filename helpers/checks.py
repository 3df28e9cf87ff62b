"""Checks of the exercises. Each prints what to think of an answer and never raises, whatever it is
given, so that Run All always finishes."""

import functools
import math

import numpy as np

NOT_ANSWERED = "Not answered yet. Put your answer in place of the `...` and run this cell again."


class NotYet(Exception):
    """An answer that is not right; the message names the misconception, never the solution."""


class NotAnswered(Exception):
    """The answer is still the stub."""


def _exercise(judge):
    """Turn a function that judges an answer into a check that prints the verdict.

    The function returns why the answer matters if it is right, and raises `NotYet` if not.
    """

    @functools.wraps(judge)
    def check(answer=...):
        try:
            verdict = NOT_ANSWERED if answer is ... else f"Right. {judge(answer)}"
        except NotAnswered:
            verdict = NOT_ANSWERED
        except NotYet as reason:
            verdict = f"Not yet. {reason}"
        except (Exception, SystemExit) as error:  # an answer is a reader's own code
            verdict = f"Not yet. Your answer stops with {_describe_error(error)}"
        print(verdict)

    return check


@_exercise
def check_01_1(answer):
    """Say how many MB 1,000 colour images of 64 × 64 pixels take as float32."""
    misconceptions = {
        12.288: "That is one byte a number, as in uint8. How many bytes has a float32?",
        98.304: "That is eight bytes a number, as in float64. A float32 has 32 bits.",
        16.384: "That is one number a pixel. A colour image has three channels.",
        4.096: "That is one byte a pixel, and one channel. Look at both again.",
        393.216: "That counts bits, not bytes.",
        49_152: "That would be kB. Divide by a million for MB.",
        49_152_000: "That counts bytes. Divide by a million for MB.",
        46.875: "That counts 1,024 × 1,024 bytes as one MB; here one MB is a million bytes.",
    }
    _expect_number(answer, 49.152, misconceptions, tolerance=0.2, slack=0.03)
    return "Four times the memory of uint8: so this series scales a few hundred images at a time."


@_exercise
def check_01_2(brighten):
    """Add 100 to uint8 pixels without wrapping around, and stay within uint8."""
    image = np.array([[0, 100, 200], [255, 155, 156]], np.uint8)
    before = image.copy()
    brighter = _array(_call(brighten, image), image.shape)
    if not np.array_equal(image, before):
        raise NotYet("Your function changes the image that it was given. Return a new one.")
    if brighter[0, 2] == 44:
        raise NotYet("200 comes out as 44: somewhere 300 was put into a uint8, which wraps around.")
    if brighter.max() > 255:
        raise NotYet(f"A pixel comes out as {brighter.max():.0f}; the most a uint8 holds is 255.")
    if brighter[0, 1] != 200 or brighter[0, 0] != 100:
        raise NotYet("Dark pixels must be brighter by 100: 0 becomes 100, and 100 becomes 200.")
    if not (brighter[0, 2] == brighter[1, 0] == 255):
        raise NotYet("What would be more than 255 should be 255, full ink, and nothing else.")
    if brighter.dtype != np.uint8:
        raise NotYet(f"The values are right, the type is {brighter.dtype}. Return uint8 again.")
    return (
        "The first version gave no error and no warning: that is how such a bug reaches a network."
    )


@_exercise
def check_01_3(commonest_share):
    """Return the accuracy of always answering with the commonest class."""
    labels = np.array([7, 7, 2, 7, 5, 2, 7, 7])
    share = _number(_call(commonest_share, labels))
    misconceptions = {
        7: "That is the commonest class. How large is its share of all labels?",
        5: "That is how often it occurs. Divide by the number of labels.",
        62.5: "Return a share between 0 and 1, not a percentage.",
        1 / 3: "That is one divided by the number of classes. Here they are not equally common.",
        0.125: "That is the share of the rarest class.",
        0: "That looks for a certain digit. Find out which one is the commonest here.",
    }
    others = (
        f"For the labels {', '.join(map(str, labels))} yours returns {share:.4g}. Do not round."
    )
    _expect_number(share, 0.625, misconceptions, tolerance=1e-6, otherwise=others)
    one_class = _number(_call(commonest_share, np.zeros(4, int)))
    _expect_number(one_class, 1, {}, 1e-6, "For labels that are all the same, the share is 1.")
    return "Where 62 % have one label, an accuracy of 62 % is no achievement. Ask for this first."


@_exercise
def check_02_1(answer):
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
    _expect_number(answer, 1_216, misconceptions)
    return "The size of the image did not enter: the same 1,216 numbers serve any photo."


@_exercise
def check_02_2(max_pool):
    """Pool 2 × 2 with NumPy."""
    image = np.array(
        [[1, 2, 9, 3], [5, 4, 0, 1], [7, 0, 2, 2], [0, 0, 2, 8], [3, 1, 0, 6], [2, 2, 4, 0]]
    )
    pooled = _array(_call(max_pool, image.astype("float32")))
    if pooled.shape == ():
        raise NotYet("That is one number for the whole image. Take the maximum in each square.")
    if pooled.shape == (5, 3):
        raise NotYet("Your squares overlap: they must not share pixels, so move on by 2.")
    if pooled.shape == (2, 3):
        raise NotYet("Rows and columns are swapped: 6 × 4 pixels become 3 × 2.")
    if pooled.shape != (3, 2):
        raise NotYet(f"6 × 4 pixels should become 3 × 2, yours become {_shape(pooled)}.")
    squares = image.reshape(3, 2, 2, 2)
    if np.allclose(pooled, squares.mean(axis=(1, 3))):
        raise NotYet("That is the mean of each square. Max pooling keeps the largest.")
    if np.allclose(pooled, image[::2, ::2]):
        raise NotYet("That keeps the upper left pixel of each square, whatever its value.")
    if not np.allclose(pooled, squares.max(axis=(1, 3))):
        raise NotYet("The shape is right, the values are not: is each from one square of 2 × 2?")
    return "No parameters and no multiplication; a quarter of the numbers goes on."


@_exercise
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
    _expect_share(answer, 0.35, misconceptions, tolerance=0.021)
    return "A layer's filters are the next layer's channels: what you cut is saved twice."


@_exercise
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
    activations = [name for layer in network.layers if (name := _activation(layer))]
    if activations != ["relu", "softmax"]:
        raise NotYet(f"Its activations are {activations}: one ReLU, then one softmax in its place.")
    return "Keras ran the broken one without a word. A count and a sum found both mistakes."


@_exercise
def check_03_1(answer):
    """Count the steps of five epochs over 10,000 images in batches of 64."""
    misconceptions = {
        157: "That is one epoch. There are five.",
        156: "That is one epoch, and its last batch is missing.",
        780: "The last batch of an epoch is smaller, but it is a step too.",
        782: "Batches do not reach across epochs: round up in each epoch.",
        781: "Batches do not reach across epochs: round up in each epoch.",
        781.25: "There is no quarter of a step: round up in each epoch.",
        50_000: "That counts images. A step takes 64 of them.",
        640_000: "Divide by the size of the batch, do not multiply.",
    }
    _expect_number(answer, 785, misconceptions)
    return "You will need such a count: the learning rate is planned for all steps beforehand."


@_exercise
def check_03_2(dataset):
    """Make a validation pipeline that shows the same images every time."""
    if not hasattr(dataset, "element_spec"):
        raise NotYet("Give the dataset that make_dataset returns.")
    first, second = ([_pair(element) for element in dataset.take(3)] for _ in range(2))
    if not first:
        raise NotYet("This dataset is empty.")
    if any(not np.array_equal(a[1], b[1]) for a, b in zip(first, second, strict=True)):
        raise NotYet("The order changes from one pass to the next: it is still shuffled.")
    if any(not np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True)):
        raise NotYet("The same image comes out different the second time: it is still varied.")
    if first[0][0].max() > 1:
        raise NotYet(f"The pixels go up to {first[0][0].max():.0f}. The network expects 0 to 1.")
    return "A ruler must not change its length: now a change of the score is the network's."


@_exercise
def check_03_3(answer):
    """Read from two curves after which epoch to stop."""
    if _number(answer) in (1, 2, 3):
        raise NotYet("After that epoch the loss in validation still falls. Go on to the right.")
    misconceptions = {
        5: "Epoch 5 is the first that is worse. Which one would you like to have kept?",
        6: "By epoch 6 the loss in validation has risen twice.",
        7: "By epoch 7 the loss in validation has risen three times.",
        8: "The loss in training is lowest there. It cannot tell you when to stop.",
        0.014: "That is the lowest loss in training. It cannot tell you when to stop.",
        0.062: "That is the loss. In which epoch is it reached?",
        62: "That is the loss, times a thousand. In which epoch is it reached?",
    }
    _expect_number(answer, 4, misconceptions)
    return "After it the network learns these images rather than digits: it overfits."


@_exercise
def check_03_4(plan):
    """Plan a fair comparison of two dropout rates."""
    if not isinstance(plan, dict):
        raise NotYet("Give the plan as the dict that the cell begins with.")
    measured_on, runs, epochs = (plan.get(k, ...) for k in ("measured on", "runs", "epochs"))
    if measured_on is ... or runs is ... or epochs is ...:
        raise NotAnswered
    measured_on, epochs = (str(text).strip().lower() for text in (measured_on, epochs))
    if measured_on.startswith("test"):
        raise NotYet("Choosing by the test set spoils it: its score would then be too good.")
    if measured_on.startswith("training"):
        raise NotYet("Choose by images that the network has not learned from.")
    if not measured_on.startswith("validation"):
        raise NotYet('"measured on" should be "training", "validation" or "test".')
    if _number(runs) < 2:
        raise NotYet("One run each cannot tell dropout from the luck of a seed.")
    if _number(runs) < 3:
        raise NotYet("Two runs each give a difference, but hardly a spread. Afford some more.")
    if epochs.startswith("more"):
        raise NotYet("If the epochs differ too, you cannot say which of the two made the change.")
    if not epochs.startswith(("the same", "same")):
        raise NotYet('"epochs" should be "the same" or "more for 0.4".')
    return "One change, several seeds, validation images: what is left may be called an effect."


@_exercise
def check_04_1(answer):
    """Find the lower end of the 95 % interval for 300 correct of 300."""
    misconceptions = {
        1.0: "That is the upper end, or the schoolbook rule, whose interval has no width here.",
        0.95: "95 % is how often the rule catches the truth, not where the interval ends.",
        0.99: "Close: that is a rule of thumb, 1 − 3/n. Wilson's interval reaches a little lower.",
        0.0126: "That is how far it reaches below 100 %. Where does it begin?",
        0.9996: "That is for 10,000 images. These are 300.",
        0.9967: "That is one error in 300. None was seen; how many could have been missed?",
    }
    _expect_share(answer, 0.98736, misconceptions, tolerance=0.0007)
    return "No error in 300 still allows more than one in a hundred. Ask for n, always."


@_exercise
def check_04_2(answer):
    """Compute the precision of the middle class of a small confusion matrix."""
    misconceptions = {
        0.72: "That divides by the row, by all that *are* a 1: the recall.",
        0.8: "That is the accuracy over all three classes.",
        12 / 17: "That is F1, which mixes precision and recall.",
        36 / 150: "That divides by all images. Take those that were *called* a 1.",
        16 / 52: "That is the share of false alarms: one minus the precision.",
        36: "That is a count. Divide it by all that were called a 1.",
    }
    others = "Not that. Give a share with two digits after the point; the hint shows the way."
    _expect_share(answer, 36 / 52, misconceptions, 0.003, others, slack=0.004)
    return "Of ten answers of 1, three are wrong: that is what the one who gets the answers asks."


@_exercise
def check_04_3(disagreements):
    """Count the images that exactly one of two methods reads, for McNemar's test."""
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    first = np.array([0, 1, 2, 3, 4, 5, 9, 9, 9, 8])
    second = np.array([0, 1, 2, 9, 9, 9, 6, 7, 1, 8])
    counts = _array(_call(disagreements, labels, first, second))
    if counts.shape == (2, 10):
        raise NotYet("Those are two arrays of True and False. Count the True in each with `sum`.")
    counts = _array(counts, (2,)).astype(float).tolist()
    causes = {
        (2, 3): "The two counts are swapped: first those that only the first one reads.",
        (6, 5): "Those are all correct answers. Leave out the images that both read.",
        (4, 5): "Those are all errors. Leave out the images that both misread.",
        (3, 2): None,
        (6, 6): "That counts where the answers differ. Who is right matters as well.",
        (5, 5): "That counts where exactly one is right. Count each of the two apart.",
        (10, 10): "That is the length of the arrays. Count the True in them with `sum`.",
    }
    cause = causes.get(
        tuple(counts), "On ten images made for the purpose the counts are not right."
    )
    if cause:
        raise NotYet(cause)
    return "Images that both read or both misread say nothing about which one is better."


@_exercise
def check_04_4(answer):
    """Find the smallest test set that can tell 0.1 points from noise."""
    misconceptions = {
        10_000: "There 0.1 points are 10 errors, and chance alone makes up to about 19.",
        20_000: "Twice the images double the 10 errors, but chance grows too, by √2.",
        80_000: "That is enough, but a smaller one is enough as well.",
    }
    others = "Choose one of 10,000, 20,000, 40,000 and 80,000."
    _expect_number(answer, 40_000, misconceptions, otherwise=others)
    return "MNIST's test set is too small for the differences that tables of results live on."


@_exercise
def check_05_1(margin):
    """Return by how much the best class leads over the second, for each image."""
    few = [[0.1, 0.7, 0.2], [0.4, 0.25, 0.35], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]
    probabilities = np.pad(np.array(few), ((0, 0), (0, 7)))
    before = probabilities.copy()
    margins = _call(margin, probabilities)
    if not np.array_equal(probabilities, before):
        raise NotYet("Your function changes the probabilities that it was given. Sort a copy.")
    margins = _array(margins)
    if margins.shape == ():
        raise NotYet("That is one number. Return one for each image: mind the axis.")
    if margins.shape != (4,):
        raise NotYet(f"4 images should give 4 margins, yours have the shape {margins.shape}.")
    if np.allclose(margins, [0.7, 0.4, 1.0, 0.5]):
        raise NotYet("That is the confidence, or what it leads the smallest by. Take the second.")
    if np.allclose(margins, [-0.5, -0.05, -1.0, 0.0]):
        raise NotYet("The sign is turned: a clear case should have a large margin.")
    if not np.allclose(margins, [0.5, 0.05, 1.0, 0.0]):
        raise NotYet("An image with 0.7, 0.2 and 0.1 among its ten has a margin of 0.5.")
    return "0.4 against 0.35 is a close call, which the confidence of 0.4 alone does not show."


@_exercise
def check_05_2(without):
    """Leave out values by their positions, not by their values."""
    values = np.array([5, 7, 1, 5, 9, 3])
    left = _array(_call(without, values, np.array([1, 3])))
    if np.array_equal(left, [5, 7, 5, 9]):
        raise NotYet("It drops the *values* 1 and 3. The 1 and the 3 are positions.")
    if np.array_equal(left, [7, 5]):
        raise NotYet("That keeps what should go. Keep the rest.")
    if left.dtype == bool or np.array_equal(left, [1, 0, 1, 0, 1, 1]):
        raise NotYet("That is the mask. Use it to choose from the values.")
    if np.array_equal(left, [0, 2, 4, 5]):
        raise NotYet("Those are the positions that stay. Return the values there.")
    if not np.array_equal(left, [5, 1, 9, 3]):
        raise NotYet("From 5, 7, 1, 5, 9, 3 without positions 1 and 3, keep 5, 1, 9, 3.")
    return (
        "With the disputed images, an accuracy would have come out, unnoticed, for the wrong ones."
    )


@_exercise
def check_05_3(answer):
    """Choose the share to decide when a person's reading and an error have a price."""
    misconceptions = {
        1.0: "Then 36 errors cost 36.00, and nobody was paid to prevent them.",
        0.99: "Cheaper than no help, but the next 100 readings would pay for themselves too.",
        0.95: "One error is left, but 300 more readings cost more than the 3 errors they prevent.",
        0.02: "That is the share for the person. Give the share that the network decides.",
        0.05: "That is a share for the person. Give the share that the network decides.",
        0.01: "That is a share for the person. Give the share that the network decides.",
    }
    others = "Choose one of the four shares: 1, 0.99, 0.98, 0.95."
    _expect_share(answer, 0.98, misconceptions, tolerance=1e-6, otherwise=others)
    return "The best threshold is a question of prices. No accuracy answers it."


def _expect_number(answer, right, misconceptions, tolerance=0.001, otherwise=None, slack=0.002):
    """Raise `NotYet` unless a number is right; `misconceptions` maps wrong ones to causes."""
    number = _number(answer)
    if abs(number - right) <= tolerance:
        return
    near = min(misconceptions, key=lambda wrong: abs(wrong - number), default=math.inf)
    if math.isclose(number, near, rel_tol=slack, abs_tol=1e-9):
        raise NotYet(misconceptions[near])
    size = "too large" if number > right else "too small"
    raise NotYet(otherwise or f"{number:,.6g} is {size}. The hint shows the way.")


def _expect_share(answer, right, misconceptions, tolerance, otherwise=None, slack=0.0006):
    """Do as `_expect_number` for a share; 98.7 is taken for 98.7 %."""
    number = _number(answer)
    percent = 1 < number <= 100 and number not in misconceptions
    share = number / 100 if percent else number
    if abs(share - right) <= tolerance:
        return
    near = min(misconceptions, key=lambda wrong: abs(wrong - share))
    if abs(near - share) <= slack:
        raise NotYet(misconceptions[near])
    if not 0 <= share <= 1:
        raise NotYet("A share lies between 0 and 1.")
    size = "too large" if share > right else "too small"
    raise NotYet(otherwise or f"{share:.4g} is {size}. The hint shows the way.")


def _number(answer):
    """Return a Python, NumPy or TensorFlow number as a float."""
    if answer is ...:
        raise NotAnswered
    if answer is None:
        raise NotYet("Your answer is None. Does your function return something?")
    values = np.asarray(answer)
    if isinstance(answer, str | bool) or values.size != 1 or values.dtype.kind not in "iuf":
        raise NotYet(f"Give one number; yours is of the type {type(answer).__name__}.")
    number = float(values.reshape(()))
    if not math.isfinite(number):
        raise NotYet(f"Your answer is {number}, which is no finite number.")
    return number


def _array(answer, shape=None):
    """Return a list, an array or a tensor of numbers as an array."""
    if answer is ...:
        raise NotAnswered
    if answer is None:
        raise NotYet("Your function returns None. Does it end with `return`?")
    values = np.asarray(answer)
    if values.dtype.kind not in "iufb":
        raise NotYet("Your function should return numbers.")
    if shape is not None and values.shape != shape:
        raise NotYet(f"The result should have the shape {shape}, yours has {values.shape}.")
    return values


def _call(function, *arguments):
    """Call a reader's function; say so if it is none, or if it is still the stub."""
    if function is None:
        raise NotYet("Your answer is None. Give the function itself, without calling it.")
    if not callable(function):
        raise NotYet("Give the function itself, its name without brackets.")
    result = function(*arguments)
    if result is ...:
        raise NotAnswered
    return result


def _activation(layer):
    """Return the name of a layer's activation, if it has one that does something."""
    kind, function = type(layer).__name__.lower(), getattr(layer, "activation", None)
    name = kind if kind in ("relu", "softmax") else getattr(function, "__name__", "linear")
    return None if name == "linear" else name


def _pair(element):
    """Return a batch's images and labels as arrays."""
    if not isinstance(element, tuple) or len(element) != 2:
        raise NotYet("A batch should be a pair of images and labels.")
    return tuple(np.asarray(part) for part in element)


def _shape(array):
    """Write a shape as 3 × 2."""
    return " × ".join(str(size) for size in array.shape)


def _describe_error(error):
    """Write an error in one line, even one that cannot be printed."""
    try:
        text = (str(error).strip() or "no message").splitlines()[0][:120]
    except Exception:
        text = "no message"
    return f"{type(error).__name__}: {text}"
