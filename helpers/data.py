"""MNIST in, verified by content; scikit-learn's digits where there is no MNIST to be had."""

import gzip
import hashlib
import math
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "data" / "mnist"
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

# SHA-256 of the packed files as both mirrors serve them, and of what is inside, and its shape. The
# second one decides whether data is MNIST, whatever it was packed with.
FILES = {
    "train-images-idx3-ubyte": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        (60_000, 28, 28),
    ),
    "train-labels-idx1-ubyte": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        (60_000,),
    ),
    "t10k-images-idx3-ubyte": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        (10_000, 28, 28),
    ),
    "t10k-labels-idx1-ubyte": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        (10_000,),
    ),
}

# The test labels that most of five human raters judged wrong: Northcutt, Athalye and Mueller,
# "Pervasive Label Errors in Test Sets", NeurIPS 2021.
DISPUTED_TEST_LABELS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip
REPLACE = "Copy it again, or delete it to download it."

# What the four are called: as IDX files, and in Keras' mnist.npz.
NAMES = dict(zip(("x_train", "y_train", "x_test", "y_test"), FILES, strict=True))
NAMES |= {name: name for name in FILES}
MOST = 500_000_000  # bytes in a file that is looked into: MNIST takes 440 million as float64


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
    contents, complaints = find_local()
    for complaint in complaints:
        print(complaint)
    try:
        sets = _parse(contents if len(contents) == len(FILES) else download(CACHE))
    except DataError as error:
        return _load_sample(str(error))
    (_, train_labels), (_, test_labels) = sets
    print(f"MNIST: {len(train_labels):,} training and {len(test_labels):,} test images, verified.")
    return sets


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
    """Read MNIST from a folder and those in it, whatever the files are called and packed with.

    Args:
        folder: a path; a file's means that file, and those beside it.

    Returns:
        What `load_mnist` returns.

    Raises:
        DataError: a file is missing, cannot be read, or is not MNIST's content.
    """
    found, complaint = _search(Path(folder))
    if complaint:
        raise DataError(complaint)
    return _parse({name: content for name, (content, _) in found.items()})


def find_local():
    """Find on this machine what there is of MNIST, in all of its folders together.

    Returns:
        `(contents, complaints)`: a dict of names of `FILES` to unpacked bytes, and a line for each
        folder that is not whole.
    """
    contents, complaints = {}, []
    for folder in local_folders():
        found, complaint = _search(folder)
        contents = {name: content for name, (content, _) in found.items()} | contents
        complaints += [complaint] if complaint else []
        if len(contents) == len(FILES):
            break
    return contents, complaints


def download(folder):
    """Complete a folder with MNIST, each file verified before it gets its name.

    What is on this machine already is not downloaded again. Where the folder cannot be written, the
    user's own cache folder takes its place; without room there, nothing is kept.

    Args:
        folder: a path; made if it is not there. Files in it that verify are left alone.

    Returns:
        A dict of the four names and their unpacked content, in bytes.

    Raises:
        DataError: no mirror served a file with the right SHA-256.
    """
    from helpers.download import FetchError, fetch

    contents, packed = find_local()[0], {}
    lacking = {f"{name}.gz": FILES[name][0] for name in FILES if name not in contents}
    try:
        for file_name, file in fetch(MIRRORS, lacking):
            name = file_name.removesuffix(".gz")
            packed[name], contents[name] = file, gzip.decompress(file)
    except FetchError as error:
        raise DataError(str(error)) from None
    finally:  # a file that came whole is not fetched a second time
        if packed or len(contents) == len(FILES):
            _keep(contents, packed, [Path(folder), _user_cache()])
    return contents


def local_folders():
    """Yield the folders to look in, those that were asked for first."""
    if chosen := os.environ.get("MNIST_DIR"):
        # A relative MNIST_DIR means the same in a terminal and in a notebook: from the project.
        yield ROOT / expand(chosen)
    for cache in (CACHE, _user_cache()):
        if os.access(cache, os.R_OK) and any(cache.glob("*-ubyte*")):
            yield cache


def expand(path):
    """Return a path with a leading `~` replaced, where there is a home folder."""
    return Path(os.path.expanduser(path))  # noqa: PTH111, pathlib's raises without a home


def spare_folders(name):
    """Return where files go that the project's own folder does not take: two paths."""
    return [_user_cache() / name, Path(tempfile.gettempdir()) / "mnist-CNN" / name]


def _user_cache():
    """Return the folder for what the project's own does not take."""
    import platformdirs  # of pooch's

    folder = platformdirs.user_cache_path("mnist-CNN")
    return folder if folder.is_absolute() else Path(tempfile.gettempdir()) / "mnist-CNN"


def find_files(folder):
    """Return the files that hold MNIST in a folder: a dict of names of `FILES` to paths."""
    return {name: path for name, (_, path) in _search(folder)[0].items()}


def _search(folder):
    """Look for MNIST in a folder and two levels below it; content decides.

    Returns:
        `(found, complaint)`: a dict of names of `FILES` to `(unpacked bytes, path)`, and why it is
        not all there, or None.
    """
    known, found, refusals = {FILES[name][1]: name for name in FILES}, {}, []
    try:
        paths = _list_files(folder)
    except OSError as error:
        return {}, f"{folder} cannot be read ({error}). {REPLACE}"
    for path in paths:
        try:
            with path.open("rb") as file:
                for key, content in _unpack(path.name, file):
                    if name := known.get(hashlib.sha256(content).hexdigest()):
                        found.setdefault(name, (content, path))
                    elif name := _name_in(key):
                        difference = _difference(content, FILES[name][2])
                        refusals.append(f"{path} is not MNIST's {name}: {difference}")
        except Exception as error:  # gzip, zipfile and NumPy raise a dozen kinds
            refusals.append(f"{path} cannot be read ({error})")
        if len(found) == len(FILES):
            return found, None
    return found, _complain(folder, found, refusals, paths)


def _complain(folder, found, refusals, paths):
    """Say why MNIST is not all there: what was refused, or else what is missing."""
    if refusals:
        return f"{'; '.join(refusals[:3])}. {REPLACE}"
    name = next(name for name in FILES if name not in found)
    seen = ", ".join(path.name for path in paths[:5]) or "nothing"
    return (
        f"No {name} or {name}.gz in {folder}. Copy the four MNIST files there, or unset MNIST_DIR "
        f"to download them. Found: {seen}."
    )


def _list_files(folder):
    """Return the files in a folder and two levels below it, those called as MNIST's first."""
    folder = folder.parent if folder.is_file() else folder
    if not folder.is_dir():
        return []
    paths = [*sorted(folder.iterdir()), *sorted(folder.glob("*/*")), *sorted(folder.glob("*/*/*"))]
    files = [path for path in paths[:5_000] if path.is_file() and path.stat().st_size < MOST]
    return sorted(files, key=lambda path: _name_in(path.name) is None)


def _name_in(name):
    """Return which of the four is called so, a dot in place of a dash and endings apart."""
    name = name.replace(".", "-")
    return next((NAMES[called] for called in NAMES if name.startswith(called)), None)


def _unpack(name, file):
    """Yield `(name, IDX bytes)` of what is in an open file; its first bytes say how it is packed.

    A zip or npz yields its members one by one. What is not IDX yields its first eight bytes.
    """
    head = file.read(8)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(file) as inner:
            yield from _unpack(name, inner)
    elif head.startswith(b"PK\3\4") or name.endswith(".npz"):
        with zipfile.ZipFile(file) as archive:
            for key in archive.namelist():
                with archive.open(key) as inner:
                    yield from _unpack(key, inner)
    elif head.startswith(b"\x93NUMPY"):
        yield name, _read_array(name, file)
    else:
        yield name, file.read(MOST) if head.startswith(b"\0\0\x08") else head


def _read_array(name, file):
    """Return the numbers of an npy file, of any type, as IDX bytes."""
    try:
        array = np.load(file, allow_pickle=False)
        with np.errstate(invalid="ignore"):
            return _header(array.shape) + array.astype(np.uint8).tobytes()
    except ValueError:
        raise ValueError(f"{name} is not a plain array of numbers") from None


def _header(shape):
    """Return how an IDX file of bytes begins (format: LeCun's MNIST page, 1998)."""
    return np.array([0x800 + len(shape), *shape], ">u4").tobytes()


def _difference(content, shape):
    """Say what makes content another than that of MNIST's file of this shape."""
    begin, values = content[: len(_header(shape))], content[len(_header(shape)) :]
    if not begin.startswith(b"\0\0\x08"):
        return f"it begins with {begin[:8]}"
    if begin != _header(shape):
        found = np.frombuffer(begin[: len(begin) // 4 * 4], ">u4").tolist()
        return f"its magic number and sizes are {found}, not {[0x800 + len(shape), *shape]}"
    if len(values) != math.prod(shape):
        return f"{len(values):,} bytes follow its header, not {math.prod(shape):,}"
    return "its SHA-256 is another, as Fashion-MNIST's would be"


def _parse(contents):
    """Turn IDX bytes, already verified, into uint8 arrays."""
    train_images, train_labels, test_images, test_labels = (
        np.frombuffer(contents[name], np.uint8, offset=len(_header(shape))).reshape(shape).copy()
        for name, (_, _, shape) in FILES.items()
    )
    return (train_images, train_labels), (test_images, test_labels)


def _keep(contents, packed, folders):
    """Complete the first of the folders that takes the files, and say so if it is the second."""
    refusals = []
    for folder in folders:
        kept = _search(folder)[0]
        lacking = [name for name in contents if name not in kept]
        files = {name: packed.get(name) or gzip.compress(contents[name], 1) for name in lacking}
        try:
            _write(folder, files)
        except OSError as error:
            if contents.keys() - _search(folder)[0].keys():  # else another process wrote them
                refusals.append(f"{folder} cannot be written ({error.strerror})")
                continue
        if refusals:
            print(f"{refusals[0]}. MNIST is kept in {folder} instead.")
        return
    room = math.ceil(sum(map(len, files.values())) / 1e6)
    print(f"{'; '.join(refusals)}. Make room there, {room} MB, or it is downloaded every time.")


def _write(folder, files):
    """Write packed files into a folder, all of them beside their names before any gets its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("[0-9]*-[0-9].part"):  # by a process that was killed in here
        if not psutil.pid_exists(int(left.name.partition("-")[0])):
            left.unlink(missing_ok=True)
    parts = {folder / f"{os.getpid()}-{i}.part": name for i, name in enumerate(files)}
    try:
        for part, name in parts.items():
            part.write_bytes(files[name])
        for part, name in parts.items():
            part.replace(folder / f"{name}.gz")
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


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
