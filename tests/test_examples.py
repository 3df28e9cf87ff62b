"""The pages that the project made itself: every digit found, none invented, nearly all read."""

import json

import numpy as np
import pytest

from helpers import digits, model, model_files
from tools import examples

LABELS = json.loads((examples.FOLDER / "labels.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found():
    """What is found on each page: images and boxes."""
    return {name: digits.find_digits(examples.FOLDER / name) for name in LABELS}


def test_pages_and_labels_are_those_of_the_command_and_small():
    rows = {name: page[0] for name, page in examples.PAGES.items()} | examples.DRAWING
    assert {name: tuple(given) for name, given in LABELS.items()} == rows
    files = {path.name for path in examples.FOLDER.iterdir()}
    assert files == {*LABELS, *examples.SHEETS, "labels.json"}
    assert sum(path.stat().st_size for path in examples.FOLDER.iterdir()) < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", LABELS)
def test_every_digit_is_found_and_none_invented(found, name):
    _, boxes = found[name]
    *starts, total = np.cumsum([len(row) for row in LABELS[name]])
    assert len(boxes) == total
    for line in np.split(boxes, starts):
        assert (np.diff(line[:, 1]) > 0).all()  # from left to right, line by line


@pytest.mark.slow
def test_the_robust_network_reads_nearly_all(found):
    labels = [int(digit) for rows in LABELS.values() for digit in "".join(rows)]
    images = np.concatenate([images for images, _ in found.values()])
    read = model.predict(model_files.load_robust_model(), images).argmax(axis=1)
    assert (read == labels).mean() >= 0.98
