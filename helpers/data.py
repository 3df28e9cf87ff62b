"""MNIST in, verified by content; scikit-learn's digits where there is no MNIST to be had."""

import gzip
import hashlib
import os
import struct
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "data" / "mnist"
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
READ_TIMEOUT = 15  # seconds without a byte before the next mirror is tried
RETRIES = 1  # a second try at each mirror

# SHA-256 of the packed files as both mirrors serve them, and of what is inside. The second one
# decides whether data is MNIST, whatever it was packed with.
FILES = {
    "train-images-idx3-ubyte": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

# The test labels that most of five human raters judged wrong: Northcutt, Athalye and Mueller,
# "Pervasive Label Errors in Test Sets", NeurIPS 2021.
DISPUTED_TEST_LABELS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip


class DataError(Exception):
    """Data that is missing, torn or not MNIST; the message says which file and what to do."""


def load_mnist():
    """Load MNIST from `MNIST_DIR`, the project's `data/mnist`, or two mirrors, in this order.

    Where none of them has it, or with `MNIST_SAMPLE=1`, scikit-learn's digits take its place and
    one loud line says so.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`: uint8 arrays of shape
        `(60000, 28, 28)`, `(60000,)`, `(10000, 28, 28)` and `(10000,)`; ink is 255, paper 0.
        The sample has 1,500 and 297 images.
    """
    if os.environ.get("MNIST_SAMPLE") == "1":
        return _load_sample("MNIST_SAMPLE=1 asks for the sample")
    for folder in local_folders():
        try:
            return _announce(read_folder(folder))
        except DataError as error:
            print(error)
    try:
        download(CACHE)
        return _announce(read_folder(CACHE))
    except DataError as error:
        return _load_sample(str(error))


def is_mnist(labels):
    """Tell whether labels are MNIST's (60,000 or 10,000 of them) rather than the sample's."""
    return len(labels) >= 10_000


def split_validation(images, labels, seed=0):
    """Split training data into training and validation, the same everywhere, class by class.

    Args:
        images: uint8 `(n, 28, 28)`.
        labels: uint8 `(n,)`.
        seed: keep 0 for the split that every number in the series is measured on.

    Returns:
        `(train_images, train_labels), (validation_images, validation_labels)`; a twelfth of the
        images are for validation: 55,000 and 5,000 of MNIST's 60,000.
    """
    from sklearn.model_selection import train_test_split

    train, validation = train_test_split(
        np.arange(len(labels)), test_size=len(labels) // 12, random_state=seed, stratify=labels
    )
    return (images[train], labels[train]), (images[validation], labels[validation])


def read_folder(folder):
    """Read the four MNIST files, `.gz` or unpacked, from a folder.

    Args:
        folder: a path.

    Returns:
        What `load_mnist` returns.

    Raises:
        DataError: a file is missing, cannot be read, or is not MNIST's content.
    """
    train_images, train_labels, test_images, test_labels = (
        _parse(_read(Path(folder), name)) for name in FILES
    )
    return (train_images, train_labels), (test_images, test_labels)


def download(folder):
    """Download the four packed MNIST files into a folder, each verified before it gets its name.

    Args:
        folder: a path; made if it is not there. Files in it that verify are kept.

    Raises:
        DataError: no mirror served a file with the right SHA-256.
    """
    import pooch

    # pooch reports to stderr, which a notebook shows as an alarm.
    pooch.get_logger().setLevel("ERROR")
    for name, (packed_digest, _) in FILES.items():
        for mirror in MIRRORS:
            failure = _fetch(mirror, f"{name}.gz", packed_digest, folder)
            if failure is None:
                break
        else:
            raise DataError(f"{name}.gz could not be downloaded ({failure})")


def local_folders():
    """List the folders to look in, those that were asked for first."""
    chosen = os.environ.get("MNIST_DIR")
    # A relative MNIST_DIR means the same in a terminal and in a notebook: from the project.
    asked = [ROOT / Path(chosen).expanduser()] if chosen else []
    return asked + ([CACHE] if any(CACHE.glob("*-ubyte*")) else [])


def _read(folder, name):
    """Return the unpacked bytes of one file, verified."""
    paths = [path for path in (folder / f"{name}.gz", folder / name) if path.is_file()]
    if not paths:
        raise DataError(
            f"No {name} or {name}.gz in {folder}. "
            "Copy the four MNIST files there, or unset MNIST_DIR to download them."
        )
    try:
        content = paths[0].read_bytes()
        content = gzip.decompress(content) if paths[0].suffix == ".gz" else content
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise DataError(
            f"{paths[0]} cannot be read ({error}). Delete it and copy or download it again."
        ) from None
    if hashlib.sha256(content).hexdigest() != FILES[name][1]:
        raise DataError(
            f"{paths[0]} is not MNIST's {name}: its content has another SHA-256. "
            "Delete it and copy or download it again."
        )
    return content


def _parse(content):
    """Turn IDX bytes, already verified, into a uint8 array (format: LeCun's MNIST page, 1998)."""
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _fetch(mirror, file_name, digest, folder):
    """Fetch one file from one mirror unless it is there; return the cause of a failure or None."""
    import pooch
    from tqdm import tqdm

    # To stdout, since a notebook shows stderr as an alarm; the delay keeps it silent for files
    # that are there already. pooch sets the true total, but ignores a bar that has none.
    bar = tqdm(total=1, desc=file_name, unit="B", unit_scale=True, file=sys.stdout, delay=0.5)
    downloader = pooch.HTTPDownloader(timeout=READ_TIMEOUT, progressbar=bar)
    # pooch writes a temporary file, checks the digest, then renames.
    files = pooch.create(folder, mirror, registry={file_name: digest}, retry_if_failed=RETRIES)
    try:
        files.fetch(file_name, downloader=downloader)
    except (OSError, ValueError) as error:
        return f"{type(error).__name__} from {mirror}"
    return None


def _load_sample(reason):
    """Enlarge scikit-learn's 8×8 digits to MNIST's form: a 20×20 digit in a 28×28 frame."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    enlarged = zoom(images.reshape(-1, 8, 8) * (255 / 16), (1, 2.5, 2.5), order=1)
    framed = np.pad(enlarged.round().astype(np.uint8), ((0, 0), (4, 4), (4, 4)))
    train_images, test_images, train_labels, test_labels = train_test_split(
        framed, labels.astype(np.uint8), test_size=297, random_state=0, stratify=labels
    )
    print(
        f"*** THESE ARE NOT MNIST: {reason}. You see scikit-learn's 1,797 small digits instead, "
        "and every number will differ from the text. For MNIST, set MNIST_DIR to a folder "
        "that holds its four files. ***"
    )
    return (train_images, train_labels), (test_images, test_labels)


def _announce(sets):
    """Say what was loaded, and pass it on."""
    (_, train_labels), (_, test_labels) = sets
    print(f"MNIST: {len(train_labels):,} training and {len(test_labels):,} test images, verified.")
    return sets


if __name__ == "__main__":
    load_mnist()
