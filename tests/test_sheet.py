"""The sheet for forty digits: written, filled in, photographed, and read back."""

import numpy as np
import pytest

from helpers import digits, model, model_files, sheet
from tools import ink
from tools import sheet as drawn
from tools.examples import fill_sheet

SIZE = (1300, 1000)


@pytest.fixture(scope="module")
def filled():
    """A sheet written in a neat hand."""
    return fill_sheet(np.random.default_rng(0), hand=ink.PLAIN, shake=0.015)


def test_the_sheet_asks_for_each_digit_four_times_and_each_ten_boxes_for_all():
    assert all(sorted(sheet.DIGITS[i : i + 10]) == list(range(10)) for i in range(0, 40, 10))


def test_the_pdf_is_the_same_every_time(tmp_path):
    for name in ("one.pdf", "two.pdf"):
        drawn.write_sheet(tmp_path / name)
    content = (tmp_path / "one.pdf").read_bytes()
    assert content == (tmp_path / "two.pdf").read_bytes() and content.startswith(b"%PDF")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_photographed_sheet_gives_forty_digits(filled, seed):
    """Perspective, shadow, blur and noise; and lying on its side, as cameras like to store it."""
    random = np.random.default_rng(seed)
    photograph = ink.photograph(filled, random, SIZE, margin=0.07, askew=0.08, depth=0.45)
    images, labels = sheet.read_sheet(np.rot90(photograph, seed))
    assert tuple(labels) == sheet.DIGITS and images.shape == (40, 28, 28)
    read = model.predict(model_files.load_robust_model(), images).argmax(axis=1)
    assert (read == labels).sum() >= 39


@pytest.mark.slow
def test_a_scan_without_any_desk_is_read_and_empty_boxes_are_left_out():
    page = fill_sheet(np.random.default_rng(0), skip=(0, 7, 39), hand=ink.PLAIN)
    _, labels = sheet.read_sheet(np.round(255 * page.clip(0, 1)).astype(np.uint8))
    assert tuple(labels) == tuple(np.delete(sheet.DIGITS, [0, 7, 39]))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a corner is missing", "nothing"])
def test_what_is_no_whole_sheet_is_refused_in_plain_words(filled, what):
    page = np.round(255 * filled.clip(0, 1)).astype(np.uint8)
    page = np.full_like(page, 200) if what == "nothing" else page[: -page.shape[0] // 6]
    with pytest.raises(digits.PictureError, match="four corner marks") as refused:
        sheet.read_sheet(page)
    assert len(str(refused.value).splitlines()) <= 2


def test_digits_are_saved_in_the_readers_folder(tmp_path):
    images, labels = np.zeros((2, 28, 28), np.uint8), np.array([3, 8], np.uint8)
    sheet.save_digits(tmp_path / "mine" / "digits.npz", images, labels)
    with np.load(tmp_path / "mine" / "digits.npz") as saved:
        assert saved["images"].shape == (2, 28, 28) and list(saved["labels"]) == [3, 8]
