"""A person's picture becomes MNIST's form: what is found, and what is refused in plain words."""

import time
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from helpers import data, digits, model, model_files


@pytest.fixture(scope="module")
def validation():
    (images, labels), _ = data.load_mnist()
    return data.split_validation(images, labels)[1]


@pytest.fixture(scope="module")
def seven():
    """A 7 of two strokes, ink 1 on paper 0, 60 × 60."""
    page = np.zeros((60, 60), bool)
    page[10:14, 15:45] = True
    for row in range(10, 50):
        page[row, 44 - (row - 10) // 2 : 48 - (row - 10) // 2] = True
    return page


def grey(page):
    return np.where(page, 30, 230).astype(np.uint8)


# How the 7 is given; each must be prepared to nearly the same image.
FORMS = {
    "grey": grey,
    "white on black": lambda page: 255 - grey(page),
    "true and false": lambda page: page,
    "0 to 1": lambda page: grey(page) / 255,
    "16 bit": lambda page: grey(page).astype(np.uint16) * 257,
    "a channel": lambda page: grey(page)[..., None],
    "colours": lambda page: np.where(page[..., None], [20, 40, 160], [250, 240, 200]).astype(
        "uint8"
    ),
    "1 bit": lambda page: Image.fromarray(~page),
    "palette": lambda page: Image.fromarray(grey(page)).convert("P"),
    "CMYK": lambda page: Image.fromarray(grey(page)).convert("RGB").convert("CMYK"),
    "black on transparent": lambda page: np.stack([page * 0] * 3 + [page * 255], -1).astype(
        "uint8"
    ),
    "white on transparent": lambda page: np.stack([page * 255] * 4, -1).astype("uint8"),
    "uneven light": lambda page: grey(page) * np.linspace(0.5, 1, 60),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_digit_in_any_form(seven, form):
    expected = digits.read_one(grey(seven)).astype(float)
    got = digits.read_one(FORMS[form](seven))
    assert got.shape == (28, 28) and got.dtype == np.uint8
    assert np.abs(got - expected).mean() < 12
    assert len(digits.find_digits(FORMS[form](seven))[0]) == 1


def test_a_digit_has_mnist_form(seven):
    image = digits.read_one(grey(seven))
    rows, columns = (np.flatnonzero(image.max(axis=axis) > 40) for axis in (1, 0))
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    assert np.allclose(ndimage.center_of_mass(image), 14, atol=0.51)


def test_boxes_are_in_the_pictures_pixels_and_in_reading_order(seven):
    page = np.zeros((2000, 4000), bool)
    for top, left in ((200, 2400), (230, 400), (1200, 1000)):
        page[top : top + 600, left : left + 600] = np.kron(seven, np.ones((10, 10), bool))
    images, boxes = digits.find_digits(grey(page))
    assert images.shape == (3, 28, 28)
    expected = [(330, 550), (300, 2550), (1300, 1150)]  # of the 7's own box
    assert np.abs(boxes[:, :2] - expected).max() < 30


def test_upright_by_exif(seven, tmp_path):
    turned = Image.fromarray(grey(seven)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera says: turn it clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    difference = digits.read_one(tmp_path / "turned.png").astype(float)
    assert np.abs(difference - digits.read_one(grey(seven))).mean() < 3


@pytest.mark.parametrize("kind", ["white", "noise", "slope", "lines"])
def test_a_blank_page_has_no_digit(kind):
    random, page = np.random.default_rng(0), np.full((300, 400), 220.0)
    page += random.normal(0, 4, page.shape) if kind != "white" else 0
    page *= np.linspace(0.6, 1, 400) if kind == "slope" else 1
    page[50::50] -= 60 * (kind == "lines")
    images, boxes = digits.find_digits(page.clip(0, 255).astype(np.uint8))
    assert images.shape == (0, 28, 28) and boxes.shape == (0, 4)


def save(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut_short(name, **options):
    def make(folder):
        noise = np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name, **options)
        (folder / name).write_bytes((folder / name).read_bytes()[:900])
        return folder / name

    return make


# What is given in place of a picture, and words of the line that refuses it.
REFUSED = {
    "a folder": (lambda folder: folder, "is a folder"),
    "no such file": (lambda folder: folder / "none.png", "Is the name right?"),
    "an empty file": (save("a.png", b""), "is empty"),
    "zeros": (save("a.png", bytes(900)), "is empty"),
    "a PDF": (save("a.pdf", b"%PDF-1.7 ..."), "is a PDF"),
    "HEIC": (save("a.heic", b"\0\0\0\x18ftypheic" + bytes(99)), "save or send it as JPEG"),
    "HEIC called JPEG": (save("a.jpg", b"\0\0\0\x18ftypmif1" + bytes(99)), "is HEIC"),
    "SVG": (save("a.svg", b"<svg xmlns='x'/>"), "is an SVG"),
    "SVG with a header": (save("a.svg", b"<?xml version='1.0'?><svg/>"), "is an SVG"),
    "a web page": (save("a.png", b"<!doctype html><title>Log in"), "is a web page"),
    "a zip file": (save("a.png", b"PK\3\4..."), "is a zip file"),
    "text": (save("a.png", b"seven"), "is not a picture"),
    "a notebook": (save("a.ipynb", b'{"cells": []}'), "is text"),
    "a NumPy file": (save("a.npy", b"\x93NUMPY\1\0"), "np.load"),
    "a PNG cut short": (cut_short("a.png"), "is damaged"),
    "a JPEG cut short": (cut_short("a.jpg"), "is damaged"),
    "a PNG's head only": (save("a.png", b"\x89PNG\r\n\x1a\n"), "is not a picture, or is damaged"),
    "4 pixels": (lambda _: np.zeros((2, 2), np.uint8), "too small"),
    "a line": (lambda _: np.zeros(400, np.uint8), "shape (400,)"),
    "a batch": (lambda _: np.zeros((9, 28, 28, 1), np.uint8), "shape (9, 28, 28, 1)"),
    "no pixel": (lambda _: np.zeros((0, 28), np.uint8), "shape (0, 28)"),
    "NaN": (lambda _: np.full((28, 28), np.nan), "NaN"),
    "below zero": (lambda _: np.linspace(-1, 1, 784).reshape(28, 28), "these -1 to 1"),
    "nothing": (lambda _: None, "got object"),
    "words": (lambda _: np.array([["seven"]]), "<U5"),
    "too many pixels": (lambda _: Image.new("1", (20_000, 8_000)), "too large"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_refused_in_plain_words(kind, tmp_path):
    make, words = REFUSED[kind]
    picture = make(tmp_path)
    for call in (digits.find_digits, digits.read_one):
        with warnings.catch_warnings(action="error"), pytest.raises(digits.PictureError) as caught:
            call(picture)
        assert words in str(caught.value) and len(str(caught.value).splitlines()) <= 2


def test_a_blank_picture_has_no_one_digit():
    with pytest.raises(digits.PictureError, match="stands out"):
        digits.read_one(np.full((100, 100), 255, np.uint8))


@pytest.mark.slow
def test_fifty_megapixels_take_seconds(seven, tmp_path):
    page = np.kron(seven, np.ones((100, 140), bool))
    Image.fromarray(grey(page)).save(tmp_path / "large.jpg")
    start = time.monotonic()
    assert len(digits.find_digits(tmp_path / "large.jpg")[0]) == 1
    assert time.monotonic() - start < 10  # 2 on a quiet machine


@pytest.mark.slow
@pytest.mark.mnist
def test_validation_digits_drawn_on_paper_are_read(validation):
    images, labels = (part[:300] for part in validation)
    large = [255 - np.kron(image, np.ones((4, 4), np.uint8)) for image in images]
    prepared = np.array([digits.read_one(picture) for picture in large])
    network = model_files.load_shipped_model()
    assert (model.predict(network, prepared).argmax(axis=1) == labels).mean() > 0.97


@pytest.mark.mnist
def test_two_digits_are_two(validation):
    images = validation[0]
    pairs = [255 - np.hstack(images[i : i + 2]) for i in range(0, 60, 2)]
    counts = [
        len(digits.find_digits(np.kron(pair, np.ones((4, 4), np.uint8)))[0]) for pair in pairs
    ]
    assert np.mean(np.array(counts) == 2) > 0.85
