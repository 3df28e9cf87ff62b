"""Images and labels that are not what the network was trained on: refused, or warned of."""

import re
import warnings

import keras
import numpy as np
import pytest
from scipy import ndimage

from helpers import data, inputs, model, model_files, training


@pytest.fixture(scope="module")
def loaded():
    return data.load_mnist()


@pytest.fixture(scope="module")
def digits(loaded):
    images, labels = loaded[0]
    return images[:5], labels[:5]


@pytest.fixture(scope="module")
def tiny():
    return keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    )


def make_dataset(images):
    return training.make_dataset(images, np.zeros(5, "uint8"))


ENTRIES = [model.scale, lambda images: model.predict(None, images), make_dataset]
ENTRY_NAMES = ["scale", "predict", "make_dataset"]

# How the five digits are spoiled, and words of the message.
BAD_IMAGES = {
    "a list": (lambda x: x.tolist(), "a list"),
    "nothing": (lambda x: None, "a NoneType"),
    "text": (lambda x: x.astype(str), "<U3, shape (5, 28, 28)"),
    "objects": (lambda x: x.astype(object), "object, shape (5, 28, 28)"),
    "no image": (lambda x: x[:0], "shape (0, 28, 28)"),
    "one image": (lambda x: x[0], "image[np.newaxis]"),
    "one image with a channel": (lambda x: x[0, ..., None], "np.moveaxis(images, -1, 0)"),
    "n last": (lambda x: np.moveaxis(x, 0, -1), "np.moveaxis(images, -1, 0)"),
    "channel last": (lambda x: x[..., None], "images[..., 0]"),
    "channel first": (lambda x: x[:, None], "images[:, 0]"),
    "colours": (lambda x: np.repeat(x[..., None], 3, axis=3), "Make them grey"),
    "rows of 784": (lambda x: x.reshape(5, 784), "images.reshape(-1, 28, 28)"),
    "32 pixels": (lambda x: np.pad(x, ((0, 0), (2, 2), (2, 2))), "shape (5, 32, 32)"),
    "five axes": (lambda x: x[None, ..., None], "shape (1, 5, 28, 28, 1)"),
    "a number": (lambda x: np.array(x[0, 0, 0]), "shape ()"),
    "0 to 255 in float32": (lambda x: x.astype("float32"), "float32, shape (5, 28, 28), 0 to 255"),
    "int64": (lambda x: x.astype("int64"), "images.round().astype('uint8')"),
    "int8": (lambda x: x.astype("int8"), "int8, shape (5, 28, 28), -"),
    "0 to 1": (lambda x: x / 255, "float64, shape (5, 28, 28), 0 to 1.\nThey look scaled already"),
    "scaled by us": (lambda x: model.scale(x), "scaled already"),
    "scaled twice": (lambda x: x / 255 / 255, "0 to 0.003922.\nThey look scaled already"),
    "true and false": (lambda x: x > 0, "bool, shape (5, 28, 28), 0 to 1"),
    "-1 to 1": (lambda x: x / 127.5 - 1, "-1 to 1.\nBring the pixels to 0 to 255"),
    "above 255": (lambda x: x * 2.0, "Bring the pixels to 0 to 255"),
    "one NaN": (lambda x: np.where(np.arange(28) == 3, np.nan, x), "0 to 255, and NaN"),
    "only NaN": (lambda x: np.full(x.shape, np.nan), "and NaN or infinity in it"),
    "infinity": (lambda x: np.where(np.arange(28) == 3, np.inf, x), "and NaN or infinity in it"),
}


def refuse(call, argument):
    """Return the message with which a call refuses its argument: one or two plain lines."""
    with pytest.raises(ValueError) as caught:
        call(argument)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2 and len(message) < 260
    return message


@pytest.mark.parametrize("entry", ENTRIES, ids=ENTRY_NAMES)
@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_wrong_images_are_refused(digits, entry, kind):
    spoil, words = BAD_IMAGES[kind]
    message = refuse(entry, spoil(digits[0]))
    assert message.startswith("Images must be a NumPy array of uint8, shape (n, 28, 28), 0 (paper)")
    assert words in message


# How five labels are spoiled, and words of the message.
BAD_LABELS = {
    "a list": (lambda y: y.tolist(), "a list"),
    "10": (lambda y: np.array([1, 2, 10, 3, 4]), "1 to 10"),
    "-1": (lambda y: np.array([1, -1, 2, 3, 4]), "-1 to 4"),
    "255": (lambda y: y - y - np.uint8(1), "255 to 255"),
    "one-hot": (lambda y: np.eye(10)[y], "shape (5, 10), 0 to 1.\nFrom one-hot"),
    "one-hot integers": (lambda y: np.eye(10, dtype="uint8")[y], "labels.argmax(axis=1)"),
    "one missing": (lambda y: y[:4], "shape (4,)"),
    "one too many": (lambda y: np.append(y, y[:1]), "shape (6,)"),
    "none": (lambda y: y[:0], "shape (0,)"),
    "a column": (lambda y: y[:, None], "shape (5, 1)"),
    "float32": (lambda y: y.astype("float32"), "float32, shape (5,)"),
    "NaN": (lambda y: np.full(5, np.nan), "NaN"),
    "text": (lambda y: y.astype(str), "shape (5,)"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_wrong_labels_are_refused(digits, kind):
    spoil, words = BAD_LABELS[kind]
    images, labels = digits
    message = refuse(lambda y: training.make_dataset(images, y), spoil(labels))
    assert message.startswith("Labels must be a NumPy array of integers from 0 to 9, shape (5,)")
    assert words in message
    training.make_dataset(images, labels)
    training.make_dataset(images, labels.astype("int64"))


def warned(call, *arguments):
    """Return the messages and places of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments)
    return [str(w.message) for w in caught], {w.filename for w in caught}


def test_inverted_images_are_warned_of(digits, tiny):
    images, labels = digits
    for call in (
        lambda x: model.scale(x),
        lambda x: model.predict(tiny, x, batch_size=2),
        lambda x: training.make_dataset(x, labels[: len(x)]),
    ):
        messages, places = warned(call, 255 - images)
        assert len(messages) == 1 and places == {__file__}
        assert "5 of 5 images look inverted" in messages[0] and "255 - images" in messages[0]
        assert "1 of 1 images" in warned(call, 255 - images[:1])[0][0]
        assert "1 of 5 images" in warned(call, np.concatenate([255 - images[:1], images[1:]]))[0][0]
        assert warned(call, images) == ([], set())


@pytest.mark.parametrize("spoil", [lambda x: x // 255, lambda x: (x / 255).round().astype("uint8")])
def test_scaled_uint8_images_are_warned_of(digits, tiny, spoil):
    messages, places = warned(model.predict, tiny, spoil(digits[0]), 2)
    assert len(messages) == 1 and "look scaled already" in messages[0]
    assert "0 to 255" in messages[0]
    assert places != {model.__file__}


@pytest.mark.slow
@pytest.mark.mnist
def test_accuracy_on_inverted_and_doubly_scaled_images(loaded):
    images, labels = (part[:2_000] for part in loaded[1])
    network = model_files.load_shipped_model()

    def accuracy(given):
        read = []
        messages, _ = warned(lambda: read.append(model.predict(network, given)))
        return (read[0].argmax(axis=1) == labels).mean(), messages

    right, silence = accuracy(images)
    inverted, inverted_warning = accuracy(255 - images)
    twice, twice_warning = accuracy((images / 255).round().astype("uint8"))
    assert right > 0.99 and silence == []
    assert inverted < 0.3 and "2,000 of 2,000 images look inverted" in inverted_warning[0]
    assert twice < 0.2 and "scaled already" in twice_warning[0]


def test_good_images_are_never_warned_of(loaded):
    with warnings.catch_warnings(action="error"):
        for images, labels in loaded:
            inputs.check_images(images)
            for digit in range(10):
                inputs.check_images(images[labels == digit])
            for i in range(0, len(images), max(1, len(images) // 5000)):
                inputs.check_images(images[i : i + 1])
            training.make_dataset(images, labels)


def test_bold_digits_are_never_warned_of(loaded):
    images = loaded[0][0]
    boldest = images[images.mean(axis=(1, 2)).argsort()[-500:]]
    thick = ndimage.maximum_filter(boldest, size=(1, 9, 9))
    assert thick.mean() > 1.5 * boldest.mean()
    with warnings.catch_warnings(action="error"):
        inputs.check_images(thick)
        for i in range(len(thick)):
            inputs.check_images(thick[i : i + 1])


# Pictures and papers (27) ------------------------------------------------------------------------

DIGITS = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
DIGITS[:, :4] = DIGITS[:, -4:] = DIGITS[:, :, :4] = DIGITS[:, :, -4:] = 0


def transparent(images):
    """Return black ink on nothing, as a drawing program gives it."""
    colours = np.zeros((*images.shape, 3), "uint8")
    return np.concatenate([colours, images[..., None]], axis=-1)


# What a picture library returns, and how many digits are in it.
PICTURES = {
    "RGBA": (transparent(DIGITS)[0], 1),
    "RGBA, many": (transparent(DIGITS), 5),
    "RGB": (np.repeat(DIGITS[0][..., None], 3, axis=2), 1),
    "grey and opacity": (transparent(DIGITS)[0][..., 2:], 1),
    "grey, a channel": (DIGITS[0][..., None], 1),
    "RGB, channels first, many": (np.repeat(DIGITS[:, None], 3, axis=1), 5),
    "RGB, channels first": (np.repeat(DIGITS[:1], 3, axis=0), 1),
    "RGB on white, channels first": (np.repeat(255 - DIGITS[:1], 3, axis=0), 1),
    "RGBA, channels first": (np.moveaxis(transparent(DIGITS)[0], -1, 0), 1),
    "RGB from 0 to 1": (np.repeat(DIGITS[0][..., None], 3, axis=2) / 255, 1),
    "RGBA of 56 pixels": (transparent(DIGITS.repeat(2, axis=1).repeat(2, axis=2))[0], 1),
    "grey of 56 pixels": (DIGITS.repeat(2, axis=1).repeat(2, axis=2)[0], 1),
    "16 bits": (DIGITS.astype("uint16") * 257, 5),
    "true and false": (DIGITS > 127, 5),
    "-1 to 1": (DIGITS / 127.5 - 1, 5),
    "one row": (DIGITS[0].ravel(), 1),
    "columns of 784": (DIGITS.reshape(5, 784).T, 5),
    "a list": ([*DIGITS], 5),
}
SPOILT = {"n last": 5, "one image": 1, "channel last": 5, "channel first": 5}
SPOILT |= {"0 to 255 in float32": 5, "int64": 5}
PICTURES |= {kind: (BAD_IMAGES[kind][0](DIGITS), n) for kind, n in SPOILT.items()}


def follow_advice(given):
    """Do what each message says until the images are taken; return them and the warnings left."""
    names = {
        "np": np,
        "scipy": __import__("scipy.ndimage"),
        "helpers": __import__("helpers.inputs"),
    }
    for _ in range(6):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                inputs.check_images(given)
            except ValueError as error:
                message = str(error)
            else:
                message = str(caught[0].message) if caught else ""
        advised = re.search(
            r"(?:: |[Pp]ass )((?:\(*(?:np|helpers|scipy|images?)\b|255 -).*?)\.?$", message
        )
        if not advised:
            return given, message
        given = eval(advised[1], {**names, "image": given, "images": given})
    raise AssertionError(message)


@pytest.mark.parametrize("kind", PICTURES)
def test_advice_followed_ends_well(kind):
    given, n = PICTURES[kind]
    images, message = follow_advice(given)
    assert message == "" and images.shape == (n, 28, 28)
    if "56" not in kind and "true" not in kind:
        assert np.abs(images.astype(int) - DIGITS[:n]).max() <= 3


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(("paper", "ink"), [(240, 30), (200, 20), (40, 250)])
def test_grey_paper_is_cleared(loaded, paper, ink):
    images, labels = (part[:2_000] for part in loaded[1])
    photographs = (paper + images.astype("float32") * ((ink - paper) / 255)).astype("uint8")
    messages, _ = warned(inputs.check_images, photographs)
    assert "2,000 of 2,000 images" in messages[0]
    cleared, message = follow_advice(photographs)
    assert message == ""
    network = model_files.load_shipped_model()
    assert (model.predict(network, cleared).argmax(axis=1) == labels).mean() > 0.99


def test_transposed_images_are_warned_of(loaded):
    images = loaded[0][0][:1_000]
    messages, _ = warned(inputs.check_images, images.transpose(0, 2, 1))
    assert len(messages) == 1 and "transposed" in messages[0]
    assert warned(inputs.check_images, images)[0] == []
