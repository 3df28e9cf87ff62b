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
def entries():
    """All that takes images, as functions of the images alone."""
    network = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    )
    return [
        lambda images: model.scale(images),
        lambda images: model.predict(network, images, batch_size=2),
        lambda images: training.make_dataset(images, np.zeros(len(images), "uint8")),
    ]


def refuse(call, argument):
    """Return the message with which a call refuses its argument: one or two plain lines."""
    with pytest.raises(ValueError) as caught:
        call(argument)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2 and len(message) < 260
    return message


# How the five digits are spoiled, and words of the message.
BAD_IMAGES = {
    "text": (lambda x: x.astype(str), "<U3, shape (5, 28, 28)"),
    "no image": (lambda x: x[:0], "shape (0, 28, 28)"),
    "one image": (lambda x: x[0], "image[np.newaxis]"),
    "five axes": (lambda x: x[None, ..., None], "shape (1, 5, 28, 28, 1)"),
    "0 to 255 in float32": (lambda x: x.astype("float32"), "float32, shape (5, 28, 28), 0 to 255"),
    "scaled twice": (lambda x: x / 255 / 255, "0 to 0.003922.\nThey look scaled already"),
    "above 255": (lambda x: x * 2.0, "Bring the pixels to 0 to 255"),
    "one NaN": (lambda x: np.where(np.arange(28) == 3, np.nan, x), "0 to 255, and NaN"),
    "only NaN": (lambda x: np.full(x.shape, np.nan), "and NaN or infinity in it"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_wrong_images_are_refused(digits, entries, kind):
    spoil, words = BAD_IMAGES[kind]
    for entry in entries:
        message = refuse(entry, spoil(digits[0]))
        assert message.startswith("Images must be a NumPy array of uint8, shape (n, 28, 28), 0 (pa")
        assert words in message
    assert "got a list" in refuse(inputs.check_images, digits[0].tolist())


# How five labels are spoiled, and words of the message.
BAD_LABELS = {
    "a list": (lambda y: y.tolist(), "a list"),
    "10": (lambda y: np.array([1, 2, 10, 3, 4]), "1 to 10"),
    "-1": (lambda y: np.array([1, -1, 2, 3, 4]), "-1 to 4"),
    "one-hot": (lambda y: np.eye(10)[y], "0 to 1.\nFrom one-hot labels: labels.argmax(axis=1)"),
    "one missing": (lambda y: y[:4], "shape (4,)"),
    "float32": (lambda y: y.astype("float32"), "float32, shape (5,)"),
    "text": (lambda y: y.astype(str), "shape (5,)"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_wrong_labels_are_refused(digits, kind):
    spoil, words = BAD_LABELS[kind]
    images, labels = digits
    message = refuse(lambda y: training.make_dataset(images, y), spoil(labels))
    assert message.startswith("Labels must be a NumPy array of integers from 0 to 9, shape (5,)")
    assert words in message
    training.make_dataset(images, labels.astype("int64"))


def warned(call, images):
    """Return the messages and places of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(images)
    return [str(w.message) for w in caught], {w.filename for w in caught}


def test_inverted_images_are_warned_of(digits, entries):
    images, _ = digits
    for entry in entries:
        (message,), places = warned(entry, 255 - images)
        assert places == {__file__}
        assert "5 of 5 images look inverted" in message and "clear_ground(images)" in message
        mixed = np.concatenate([255 - images[:1], images[1:]])
        assert "1 of 5 images" in warned(entry, mixed)[0][0]
        assert "1 of 1 images" in warned(entry, mixed[:1])[0][0]
        assert warned(entry, images) == ([], set())


@pytest.mark.parametrize("spoil", [lambda x: x // 255, lambda x: (x / 255).round().astype("uint8")])
def test_scaled_uint8_images_are_warned_of(digits, entries, spoil):
    for entry in entries:
        (message,), places = warned(entry, spoil(digits[0]))
        assert "look scaled already" in message and "0 to 255" in message
        assert places == {__file__}


def test_good_images_are_never_warned_of(loaded):
    (train_images, _), _ = loaded
    boldest = train_images[train_images.mean(axis=(1, 2)).argsort()[-500:]]
    thick = ndimage.maximum_filter(boldest, size=(1, 9, 9))
    assert thick.mean() > 1.5 * boldest.mean()
    with warnings.catch_warnings(action="error"):
        for images, labels in (*loaded, (thick, None)):
            inputs.check_images(images)
            for digit in range(10 if labels is not None else 0):
                inputs.check_images(images[labels == digit])
            for i in range(0, len(images), max(1, len(images) // 5000)):
                inputs.check_images(images[i : i + 1])


def test_transposed_images_are_warned_of(loaded):
    (message,), _ = warned(inputs.check_images, loaded[0][0][:1_000].transpose(0, 2, 1))
    assert "transposed" in message


# Pictures and papers (27) ------------------------------------------------------------------------

DIGITS = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
DIGITS[:, :4] = DIGITS[:, -4:] = DIGITS[:, :, :4] = DIGITS[:, :, -4:] = 0
LARGE = DIGITS.repeat(2, axis=1).repeat(2, axis=2)
COLOURED = np.repeat(DIGITS[..., None], 3, axis=3)


def transparent(images, ink=0):
    """Return ink on nothing, as a drawing program gives it."""
    colours = np.full((*images.shape, 3), ink, "uint8")
    return np.concatenate([colours, images[..., None]], axis=-1)


# What a picture library returns, and how many digits are in it.
PICTURES = {
    "RGBA": (transparent(DIGITS)[0], 1),
    "RGBA, many, white ink": (transparent(DIGITS, 255), 5),
    "RGBA, opaque": (np.insert(COLOURED[0], 3, 255, axis=2), 1),
    "RGB": (COLOURED[0], 1),
    "RGB on white, many": (255 - COLOURED, 5),
    "RGB from 0 to 1": (COLOURED[0] / 255, 1),
    "RGB, channels first, many": (np.moveaxis(COLOURED, -1, 1), 5),
    "grey and opacity": (transparent(DIGITS)[0][..., 2:], 1),
    "grey, a channel": (DIGITS[..., None], 5),
    "grey, a channel first": (DIGITS[:, None], 5),
    "RGBA of 56 pixels": (transparent(LARGE)[0], 1),
    "grey of 56 pixels": (LARGE[0], 1),
    "16 bits": (DIGITS.astype("uint16") * 257, 5),
    "int64": (DIGITS.astype("int64"), 5),
    "true and false": (DIGITS > 127, 5),
    "-1 to 1": (DIGITS / 127.5 - 1, 5),
    "one row": (DIGITS[0].ravel(), 1),
    "columns of 784": (DIGITS.reshape(5, 784).T, 5),
    "n last": (np.moveaxis(DIGITS, 0, -1), 5),
    "a list": ([*DIGITS], 5),
    "an array of arrays": (np.array([*DIGITS, None], dtype=object)[:5], 5),
}


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
        advised = re.search(r"(?:: |[Pp]ass )(\(*(?:np|helpers|scipy|images?)\b.*?)\.?$", message)
        if not advised:
            return given, message
        given = eval(advised[1], {**names, "image": given, "images": given})
    raise AssertionError(message)


@pytest.mark.parametrize("kind", PICTURES)
def test_advice_followed_ends_well(kind):
    given, n = PICTURES[kind]
    refuse(inputs.check_images, given)
    images, message = follow_advice(given)
    assert message == "" and images.shape == (n, 28, 28)
    if "56" not in kind and "true" not in kind:
        assert np.abs(images.astype(int) - DIGITS[:n]).max() <= 3


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (200, 20), (40, 250)])
def test_grey_paper_is_cleared(loaded, paper, ink):
    images, labels = (part[:2_000] for part in loaded[1])
    photographs = (paper + images.astype("float32") * ((ink - paper) / 255)).astype("uint8")
    (message,), _ = warned(inputs.check_images, photographs)
    assert "2,000 of 2,000 images" in message
    cleared, message = follow_advice(photographs)
    assert message == ""
    network = model_files.load_shipped_model()
    assert (model.predict(network, cleared).argmax(axis=1) == labels).mean() > 0.99
