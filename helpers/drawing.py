"""The drawing pad: the whole network in the browser, in a notebook and as a page of its own."""

import base64
import io
import json
import re
from pathlib import Path
from string import Template

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets

from helpers import inside
from helpers.files import write_text

FILES = Path(__file__).with_name("pad")
MODULES = ("network.js", "prepare.js", "pad.js")  # each needs those before it
SIDE = 280  # of a drawing, in pixels
LAYERS = {"activation_1": 16, "activation_2": 16, "max_pooling2d_1": 16, "activation_4": 32}


class Pad(anywidget.AnyWidget):
    """A pad on which a digit is drawn while all layers of a network show what they pass on.

    The browser reads the digit itself; after each stroke the drawing comes to Python as well.

    Args:
        network: a network with the 21 layers of notebook 02, trained.
        images: uint8 `(n, 28, 28)`, digits that the pad's buttons load; it starts with the first.
        labels: n integers from 0 to 9, the buttons.
    """

    _weights = traitlets.Bytes().tag(sync=True)
    _digits = traitlets.Bytes().tag(sync=True)
    _labels = traitlets.List().tag(sync=True)
    # A browser sends a memoryview, which traitlets refuses without a word.
    _drawing = traitlets.Bytes().tag(sync=True, from_json=lambda value, widget: bytes(value))
    _prepared = traitlets.Bytes().tag(sync=True, from_json=lambda value, widget: bytes(value))

    def __init__(self, network, images, labels):
        self._esm, self._css = read_script(), (FILES / "pad.css").read_text(encoding="utf-8")
        self._network = network
        super().__init__(
            _weights=pack(network),
            _digits=images.tobytes(),
            _labels=[int(label) for label in labels],
            _drawing=np.kron(images[0], np.ones((10, 10), np.uint8)).tobytes(),
            _prepared=images[0].tobytes(),
        )

    @property
    def drawing(self):
        """What was drawn, uint8 `(280, 280)`, 0 (paper) to 255 (ink)."""
        return np.frombuffer(self._drawing, np.uint8).reshape(SIDE, SIDE)

    @property
    def image(self):
        """The drawing as MNIST would have it, uint8 `(28, 28)`: what the network gets."""
        return np.frombuffer(self._prepared, np.uint8).reshape(28, 28)

    def __repr__(self):
        return "Pad()"

    def _repr_mimebundle_(self, **options):
        """Add a still picture, for where a widget cannot run: a page, or GitHub."""
        bundle, metadata = super()._repr_mimebundle_(**options)
        picture = base64.b64encode(draw_still(self._network, self.image)).decode("ascii")
        return bundle | {"image/png": picture}, metadata


def pack(network, dtype="<f2"):
    """Pack a network's folded weights for the browser.

    Args:
        network: a network with the 21 layers of notebook 02.
        dtype: of the numbers, `"<f2"` (float16) or `"<f4"` (float32).

    Returns:
        bytes: kernel and bias of each layer, one after the other.
    """
    folded = inside.fold(network).values()
    return b"".join(part.astype(dtype).tobytes() for layer in folded for part in layer)


def draw_still(network, image):
    """Draw what the pad shows for one image, as a picture that does not move.

    Args:
        network: as for `Pad`.
        image: uint8 `(28, 28)`.

    Returns:
        bytes, a PNG.
    """
    names = [*LAYERS, "activation_6"]
    passed = inside.activations(network, image[np.newaxis], names)
    fig, axs = plt.subplot_mosaic(
        [["digit", name] for name in LAYERS][:2] + [["bars", name] for name in LAYERS][2:],
        figsize=(7.2, 3.6),
        width_ratios=[1, 3],
        layout="constrained",
    )
    axs["digit"].imshow(image, cmap="gray_r", vmin=0, vmax=255)
    for name, columns in LAYERS.items():
        axs[name].imshow(inside.tile(passed[name][0], columns), cmap="cividis")
        axs[name].set_title(name, fontsize=9, pad=2)
    for name in ("digit", *LAYERS):
        axs[name].axis("off")
    axs["bars"].barh(range(10), passed["activation_6"][0])
    axs["bars"].set(yticks=range(10), xlim=(0, 1), xlabel="probability")
    axs["bars"].invert_yaxis()
    axs["bars"].grid(False)
    file = io.BytesIO()
    fig.savefig(file, format="png", metadata={"Software": None})
    plt.close(fig)
    return file.getvalue()


def write_page(path, network, images, labels):
    """Write the pad as one page that needs no server, no notebook and no network connection.

    Args:
        path: of the file, about 1.7 MB with the weights; its folder is made if it is not there.
        network, images, labels: as for `Pad`.
    """
    page = Template((FILES / "page.html").read_text(encoding="utf-8")).substitute(
        style=(FILES / "pad.css").read_text(encoding="utf-8"),
        script=read_script(),
        weights=base64.b64encode(pack(network)).decode("ascii"),
        digits=base64.b64encode(images.tobytes()).decode("ascii"),
        labels=json.dumps([int(label) for label in labels]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)


def read_script():
    """Join the modules into one: a page that is opened from a stick may not import another."""
    texts = [(FILES / name).read_text(encoding="utf-8") for name in MODULES]
    return re.sub(r"^import .+\n", "", "\n".join(texts), flags=re.MULTILINE)
