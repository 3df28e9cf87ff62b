"""The drawing pad as one page that opens by a double click: build/html/pad.html."""

import numpy as np

from helpers import data, preflight
from tools import lessons

NAME = "pad.html"
EACH = 3  # test digits of each class that its buttons load


def write_pad(folder):
    """Write the pad's page to a folder; return its path."""
    preflight.load_tensorflow()
    from helpers import drawing, model_files

    _, (images, labels) = data.load_mnist()
    choice = np.concatenate([np.flatnonzero(labels == digit)[:EACH] for digit in range(10)])
    network = model_files.load_shipped_model()
    drawing.write_page(folder / NAME, network, images[choice], labels[choice])
    return folder / NAME


if __name__ == "__main__":
    print(f"Open {write_pad(lessons.ROOT / 'build' / 'html')}")
