"""Which model files are loaded: whole ones that hold no code, and the one that ships."""

import hashlib
import re
import zipfile
from pathlib import Path

import h5py
import keras

from helpers import model  # noqa: F401, registers the layer that our files hold

MODELS = Path(__file__).resolve().parents[1] / "models"
SHIPPED = MODELS / "mnist_cnn.keras"
ROBUST = MODELS / "robust.keras"
DIGESTS = "SHA256SUMS"  # beside the files, in the format of the command `sha256sum`


class ModelError(ValueError):
    """A model file that is not loaded; the message says which one, why, and what to do."""


def load_shipped_model():
    """Load the trained network that comes with the project.

    Returns:
        The `keras.Sequential` of `models/mnist_cnn.keras`; models/README.md says how it was made.

    Raises:
        FileNotFoundError: the file is not there.
        ModelError: it is not the file whose SHA-256 was recorded when it was made.
    """
    check_digest(SHIPPED)
    return load_model(SHIPPED)


def load_robust_model():
    """Load the network that was trained on spoiled images; notebook 07 tells how.

    Returns:
        The `keras.Sequential` of `models/robust.keras`, the same layers as the shipped network.

    Raises:
        FileNotFoundError, ModelError: as `load_shipped_model`.
    """
    check_digest(ROBUST)
    return load_model(ROBUST)


def load_model(path):
    """Load a `.keras` file that is whole and holds no code.

    Keras' safe mode stays on: layers of Keras and of this project are made, nothing else.

    Args:
        path: of the file.

    Returns:
        The Keras model, compiled if it was so when it was saved.

    Raises:
        FileNotFoundError: the file is not there.
        ModelError: it is damaged, something else, or holds what Keras refuses to make.
    """
    path = Path(path)
    if kind := _find_kind(path):
        raise ModelError(f"{path.name} {kind}")
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}. Is the name right?")
    if wrong := _look_into(path):
        raise ModelError(f"{path.name} {wrong}.\nCopy it again, or make it again.")
    try:
        return keras.saving.load_model(path)
    except Exception as error:  # what is in the file decides what h5py and Keras raise
        raise ModelError(
            f"{path.name} is not loaded: {_cause(error)}\nUse a file that you or this project made."
        ) from None


def check_digest(path):
    """Compare a file of models/ with the SHA-256 that was recorded when it was made.

    Args:
        path: of the file; `SHA256SUMS` lies beside it.

    Raises:
        FileNotFoundError: the file is not there.
        ModelError: it is another file than the one recorded, or was never recorded.
    """
    fix = "Restore it (git checkout models/), or make it again: python -m tools.train"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing from {path.parent.name}/.\n{fix}")
    if digest(path) != read_digests(path.parent).get(path.name):
        wrong = (_look_into(path) if path.suffix == ".keras" else None) or "was changed"
        raise ModelError(f"{path.name} {wrong}; its SHA-256 is not the one in {DIGESTS}.\n{fix}")


def digest(path):
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_digests(folder):
    """Return what a folder's `SHA256SUMS` has recorded: a dict of file name to SHA-256."""
    path = folder / DIGESTS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {name: recorded for recorded, _, name in (line.partition("  ") for line in lines)}


def _find_kind(path):
    """Return what a model of another kind than `.keras` is and what to do with it, or None."""
    if (path / "saved_model.pb").is_file():
        return (
            "is a SavedModel, TensorFlow's format for serving. To use it: "
            f"keras.layers.TFSMLayer('{path.name}', call_endpoint='serving_default')\n"
            "To train it, save the network again where it was made: network.save('name.keras')"
        )
    if (path / "config.json").is_file() and any(path.glob("model.weights.*")):
        return "is an unpacked .keras file. Zip the files in it, without the folder, to name.keras."
    if zipfile.is_zipfile(path):
        return None
    try:
        with h5py.File(path) as file:
            whole = "model_config" in file.attrs
    except OSError:
        return None
    if whole:
        return (
            "is a model in HDF5, the format before .keras. If you trust who made it, bring it over:"
            f"\nkeras.saving.load_model('{path.name}').save('{path.stem}.keras')"
        )
    return (
        "holds weights alone, in HDF5.\nBuild the network that they belong to, then: "
        f"network.load_weights('{path.name}')"
    )


def _look_into(path):
    """Return what is plainly wrong with a `.keras` file, or None."""
    with path.open("rb") as file:
        head = file.read(512).lstrip()
    if not head:
        return "is empty"
    if head.startswith(b"<"):
        return "is a web page, perhaps a log-in page, not a model"
    if not zipfile.is_zipfile(path):
        return "is cut short" if head.startswith(b"PK") else "is not a Keras model file"
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except Exception as error:  # where a bit flipped decides what zipfile raises
        return f"is damaged ({error})"
    return f"is damaged: {broken} inside it fails its checksum" if broken else None


def _cause(error):
    """Return the sentence of a Keras error that has the cause; later ones advise against safety."""
    said = " ".join(str(error).split()).strip('"')
    said = re.sub(r"^.*(Exception encountered|Example error message for object <.*?>): ", "", said)
    return re.match(r".{0,200}?\.(?= |$)|.{0,200}", said)[0]
