"""A person's picture becomes MNIST's form: what is found, and what is refused in plain words."""

import io
import time
import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from helpers import data, digits, model, model_files


def draw_seven(side=60, pen=4):
    """Draw a 7 of two strokes, ink 30 on paper 230: uint8 `(side, side)`."""
    image = Image.new("L", (side, side), 230)
    corners = ((0.25, 0.2), (0.77, 0.2), (0.43, 0.83))
    ImageDraw.Draw(image).line([(side * x, side * y) for x, y in corners], 30, pen)
    return np.asarray(image)


SEVEN = draw_seven()
INK = SEVEN < 128
# How the 7 is given; each must be prepared to nearly the same image.
FORMS = {
    "white on black": 255 - SEVEN,
    "true and false": INK,
    "0 to 1": SEVEN / 255,
    "16 bit": Image.fromarray(SEVEN.astype(np.uint16) * 257),
    "a channel": SEVEN[..., np.newaxis],
    "colours": np.uint8(np.where(INK[..., np.newaxis], [20, 40, 160], [250, 240, 200])),
    "1 bit": Image.fromarray(~INK),
    "palette": Image.fromarray(SEVEN).convert("P"),
    "CMYK": Image.fromarray(SEVEN).convert("RGB").convert("CMYK"),
    "black on transparent": np.uint8(255 * np.stack([0 * INK] * 3 + [INK], axis=2)),
    "white on transparent": np.uint8(255 * np.stack([INK] * 4, axis=2)),
    "uneven light": SEVEN * np.linspace(0.5, 1, 60),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_digit_in_any_form(form):
    got = digits.read_one(FORMS[form])
    assert got.shape == (28, 28) and got.dtype == np.uint8
    assert np.abs(got - digits.read_one(SEVEN).astype(float)).mean() < 12
    assert len(digits.find_digits(FORMS[form])[0]) == 1


def test_a_digit_has_mnist_form():
    image = digits.read_one(SEVEN)
    rows, columns = (np.flatnonzero(image.max(axis=axis) > 40) for axis in (1, 0))
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    assert np.allclose(ndimage.center_of_mass(image), 14, atol=0.51)


def test_boxes_are_in_the_pictures_pixels_and_in_reading_order():
    page = np.full((2000, 4000), 230, np.uint8)
    for top, left in ((200, 2400), (230, 400), (1200, 1000)):
        page[top : top + 600, left : left + 600] = draw_seven(600, 40)
    images, boxes = digits.find_digits(page)
    assert images.shape == (3, 28, 28)
    expected = [(330, 550), (300, 2550), (1300, 1150)]  # of the 7's own box
    assert np.abs(boxes[:, :2] - expected).max() < 30


@pytest.mark.parametrize("pen", [1, 2, 4])
def test_a_fine_pen_on_a_large_picture_loses_no_stroke(pen):
    fine = digits.read_one(draw_seven(1400, pen)).astype(float)
    assert np.abs(fine - digits.read_one(SEVEN)).mean() < 12


def test_upright_by_exif(tmp_path):
    turned = Image.fromarray(SEVEN).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera says: turn it clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    difference = digits.read_one(tmp_path / "turned.png").astype(float)
    assert np.abs(difference - digits.read_one(SEVEN)).mean() < 3


@pytest.mark.parametrize("kind", ["white", "noise", "slope", "lines"])
def test_a_blank_page_has_no_digit(kind):
    random, page = np.random.default_rng(0), np.full((300, 400), 220.0)
    page += random.normal(0, 4, page.shape) if kind != "white" else 0
    page *= np.linspace(0.6, 1, 400) if kind == "slope" else 1
    page[50::50] -= 60 * (kind == "lines")
    images, boxes = digits.find_digits(page.clip(0, 255).astype(np.uint8))
    assert images.shape == (0, 28, 28) and boxes.shape == (0, 4)


def cut_short(kind):
    """Return the first 900 bytes of a picture's file."""
    file, noise = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (80, 80), np.uint8)
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()[:900]


# What is given in place of a picture, and words of the line that refuses it: a name in an empty
# folder, what is in a file, or no file at all.
REFUSED = [
    (".", "is a folder"),
    ("none.png", "Is the name right?"),
    (bytes(900), "is empty"),
    (b"%PDF-1.7 ...", "is a PDF"),
    (b"\0\0\0\x18ftypheic" + bytes(99), "save or send it as JPEG"),
    (b"<?xml version='1.0'?><svg/>", "is an SVG"),
    (b"<!doctype html><title>Log in", "is a web page"),
    (b"PK\3\4...", "is a zip file"),
    (b'{"cells": []}', "is text"),
    (b"\x93NUMPY\1\0", "np.load"),
    (b"\x89PNG\r\n\x1a\n", "is not a picture, or is damaged"),
    (cut_short("PNG"), "picture is damaged"),
    (cut_short("JPEG"), "picture is damaged"),
    (np.zeros((2, 2), np.uint8), "too small"),
    (Image.new("1", (20_000, 8_000)), "too large"),
    (np.zeros(400, np.uint8), "shape (400,)"),
    (np.zeros((9, 28, 28, 1), np.uint8), "shape (9, 28, 28, 1)"),
    (np.zeros((0, 28), np.uint8), "shape (0, 28)"),
    (np.full((28, 28), np.nan), "NaN"),
    (np.linspace(-1, 1, 784).reshape(28, 28), "these -1 to 1"),
    (None, "got object"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_no_picture_is_refused_in_plain_words(given, words, tmp_path):
    if isinstance(given, bytes):
        (tmp_path / "file.png").write_bytes(given)
        given = "file.png"
    picture = tmp_path / given if isinstance(given, str) else given
    for call in (digits.find_digits, digits.read_one):
        with warnings.catch_warnings(action="error"), pytest.raises(digits.PictureError) as caught:
            call(picture)
        assert words in str(caught.value) and len(str(caught.value).splitlines()) <= 2


def test_a_blank_picture_has_no_one_digit():
    with pytest.raises(digits.PictureError, match="stands out"):
        digits.read_one(np.full((100, 100), 255, np.uint8))


@pytest.mark.slow
def test_fifty_megapixels_take_seconds(tmp_path):
    Image.fromarray(draw_seven(7_100, 470)).save(tmp_path / "large.jpg")
    start = time.monotonic()
    assert len(digits.find_digits(tmp_path / "large.jpg")[0]) == 1
    assert time.monotonic() - start < 10  # 2 on a quiet machine


@pytest.mark.slow
@pytest.mark.mnist
def test_validation_digits_drawn_on_paper_are_read_and_two_are_two():
    images, labels = (part[:300] for part in data.split_validation(*data.load_mnist()[0])[1])
    large = 255 - np.kron(images, np.ones((1, 4, 4), np.uint8))
    prepared = np.array([digits.read_one(picture) for picture in large])
    network = model_files.load_shipped_model()
    assert (model.predict(network, prepared).argmax(axis=1) == labels).mean() > 0.97
    pairs = [np.hstack(large[i : i + 2]) for i in range(0, 60, 2)]
    counts = [len(digits.find_digits(pair)[0]) for pair in pairs]
    assert np.mean(np.array(counts) == 2) > 0.85
