"""What is recorded of a recipe's runs: models/NAME.json, their probabilities, the digests."""

import contextlib
import json
import sqlite3

import matplotlib.pyplot as plt
import numpy as np

from helpers import data, model_files, plots, preflight
from helpers.files import write_beside, write_text
from tools import scores


class Held(Exception):
    """Something that another command holds."""


@contextlib.contextmanager
def hold(name, wait=60):
    """Hold a name, so that no other command on this machine does; it ends with this process.

    Args:
        name: of what is held; "models" while files in models/ are read, changed and written.
        wait: how long for another command, in seconds.

    Raises:
        Held: another command holds it still.
    """
    folder = model_files.MODELS.parent / "build"
    folder.mkdir(exist_ok=True)
    # SQLite's lock is the one that Python brings along and that works alike on every system.
    path = folder / f"{name}.lock"
    with contextlib.closing(sqlite3.connect(path, timeout=wait, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise Held(f"Another command holds {name} ({path}: {error}).") from None
        yield


def read_record(name):
    """Return what models/ records of a recipe, or what to begin with."""
    path = model_files.MODELS / f"{name}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"runs": {}}


def read_probabilities(name):
    """Return the test probabilities of a recipe's recorded seeds, a dict of float16 `(n, 10)`."""
    path = model_files.MODELS / f"{name}.npz"
    return dict(np.load(path)) if path.is_file() else {}


def write_record(name, record, probabilities):
    """Write a recipe's record and probabilities, and the digests of the two files.

    What holds "models" from reading them on loses nothing that another command writes.
    """
    path = model_files.MODELS / f"{name}.json"
    write_beside(path.with_suffix(".npz"), lambda part: np.savez_compressed(part, **probabilities))
    write_text(path, json.dumps(record, indent=1) + "\n")
    write_digests(path, path.with_suffix(".npz"))


def record_digests(*paths):
    """Record the SHA-256 of files of one folder in its `SHA256SUMS`; other files' lines stay.

    Args:
        paths: of the files, complete and final.
    """
    with hold("models"):
        write_digests(*paths)


def write_digests(*paths):
    """Record digests as `record_digests` does, where "models" is held already."""
    folder = paths[0].parent
    digests = model_files.read_digests(folder) | {
        path.name: model_files.digest(path) for path in paths
    }
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    write_text(folder / model_files.DIGESTS, text)


def summarise(name, labels):
    """Work out the statistics of a recipe's seeds from their probabilities, and record them."""
    record, kept = read_record(name), read_probabilities(name)
    runs = list(record["runs"])
    if len(runs) < 2:  # one number has no spread
        return
    plain = np.stack([kept[run] for run in runs])
    shifted = np.stack([kept[f"{run}_shifted"] for run in runs])
    every = np.arange(len(labels))
    undisputed = np.setdiff1d(every, data.DISPUTED_TEST_LABELS)
    record["statistics"] = {}
    for part, chosen in {"all": every, "without_disputed": undisputed}.items():
        right = labels[chosen]
        record["statistics"][part] = {
            "n": len(chosen),
            "one_network": scores.spread(scores.accuracy(plain[:, chosen], right)),
            "one_network_shifted": scores.spread(scores.accuracy(shifted[:, chosen], right)),
            "ensemble": scores.ensemble(plain[:, chosen], right),
            "ensemble_shifted": scores.ensemble(shifted[:, chosen], right),
        }
    write_record(name, record, kept)
    print(f"{name}: {record['statistics']['all']['one_network']}", flush=True)


def draw_mistakes(path, images, labels, probabilities):
    """Draw every misread digit, the surest first, into a file.

    Args:
        path: of the PNG.
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        probabilities: `(n, 10)`.
    """
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    wrong = wrong[probabilities.max(axis=1)[wrong].argsort()[::-1]]
    titles = [f"{labels[i]}, read {predictions[i]}" for i in wrong]
    plots.use_style()
    if len(wrong):
        fig = plots.draw_digits(images[wrong], titles, columns=10, size=0.72)
    else:
        fig = plt.figure(figsize=(3, 0.5))
        fig.suptitle("No digit is misread.", y=0.5, va="center")
    write_beside(path, lambda part: fig.savefig(part, dpi=100))


def load_mnist():
    """Load TensorFlow and MNIST for a record, as `data.load_mnist` returns it.

    Raises:
        SystemExit: there is no MNIST; what is recorded is measured on nothing else.
    """
    preflight.load_tensorflow()
    loaded = data.load_mnist()
    if not data.is_mnist(loaded[0][1]):
        raise SystemExit("What is recorded is measured on MNIST. Set MNIST_DIR to its folder.")
    return loaded
