"""MNIST in, verified by content; scikit-learn's digits where there is no MNIST to be had."""

import gzip
import hashlib
import io
import math
import os
import struct
import tempfile
import zipfile
import zlib
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
    if len(contents) == len(FILES):
        return _announce(_parse(contents))
    try:
        return _announce(_parse(download(CACHE)))
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

    packed, found = {}, _search(Path(folder))[0]
    here = {name: content for name, (content, _) in found.items()}
    contents = dict.fromkeys(FILES) | find_local()[0] | here
    try:
        lacking = {f"{n}.gz": FILES[n][0] for n, content in contents.items() if content is None}
        for file_name, file in fetch(MIRRORS, lacking):
            name = file_name.removesuffix(".gz")
            packed[name], contents[name] = file, gzip.decompress(file)
    except FetchError as error:
        raise DataError(str(error)) from None
    finally:  # a file that came whole is not fetched a second time
        if packed or None not in contents.values():
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
        candidates = _list_candidates(folder)
    except OSError as error:
        return {}, f"{folder} cannot be read ({error}). {REPLACE}"
    for path in candidates:
        try:
            for key, content in _unpack(path):
                name = known.get(hashlib.sha256(content).hexdigest())
                if name:
                    found.setdefault(name, (content, path))
                elif path.suffix == ".npz" or _name_in(path):
                    name = _name_in(path) or _guess(key, content)
                    refusals.append(f"{path} is not MNIST's {name}: {_difference(name, content)}")
        except (OSError, EOFError, ValueError, zlib.error) as error:
            refusals.append(f"{path} cannot be read ({error})")
        if len(found) == len(FILES):
            return found, None
    return found, _complain(folder, found, refusals, candidates)


def _complain(folder, found, refusals, candidates):
    """Say why MNIST is not all there: what was refused, or else what is missing."""
    if refusals:
        more = f"; {len(refusals) - 3} files more" * (len(refusals) > 3)
        return f"{'; '.join(refusals[:3])}{more}. {REPLACE}"
    name = next(name for name in FILES if name not in found)
    seen = ", ".join(path.name for path in candidates[:5]) or "nothing that could be it"
    return (
        f"No {name} or {name}.gz in {folder}. Copy the four MNIST files there, or unset MNIST_DIR "
        f"to download them. Found: {seen}."
    )


def _list_candidates(folder):
    """Return the files that may hold MNIST: those named as it first, then by their first bytes."""
    given = [folder] if folder.is_file() else []
    folder = folder.parent if given else folder
    if not folder.is_dir():
        return []
    files = [path for pattern in ("*", "*/*", "*/*/*") for path in sorted(folder.glob(pattern))]
    files = [path for path in files[:5_000] if path.is_file()]
    os.listdir(folder)  # noqa: PTH208, a folder that may not be read says so
    named = [path for path in files if _name_in(path) or path.suffix == ".npz"]
    others = [path for path in files if path not in named and _looks_packed(path)]
    return [*dict.fromkeys([*given, *named, *others])]


def _name_in(path):
    """Return which of the four a file is called, a dot in place of a dash and endings apart."""
    return next((name for name in FILES if path.name.replace(".", "-").startswith(name)), None)


def _looks_packed(path):
    """Tell from size and first bytes whether a file may hold one of the four."""
    try:
        if not 8 < path.stat().st_size < 1e9:
            return False
        with path.open("rb") as file:
            return file.read(4).startswith((b"\0\0\x08", b"\x1f\x8b", b"PK\3\4", b"\x93NUM"))
    except OSError:
        return False


def _unpack(path, most=500_000_000):
    """Yield `(name, IDX bytes)` of what is in a file; its first bytes say how it is packed."""
    with path.open("rb") as file:
        head = file.read(4)
    if path.suffix == ".npz" or head in (b"PK\3\4", b"\x93NUM"):
        yield from _unpack_arrays(path, head)
        return
    packed = head.startswith(b"\x1f\x8b")
    if path.suffix == ".gz" and not packed and not head.startswith(b"\0\0"):
        raise ValueError("it is not packed with gzip")
    with gzip.open(path) if packed else path.open("rb") as file:
        yield path.name, file.read(most)


def _unpack_arrays(path, head):
    """Yield `(name, IDX bytes)` of a zip of files, an npz with any keys, or an npy."""
    key = "the file"
    try:
        if head == b"\x93NUM":
            yield path.name, _as_idx(np.load(path, allow_pickle=False))
            return
        with zipfile.ZipFile(path) as archive:
            for key in sorted(archive.namelist(), reverse=True):
                content = archive.read(key)
                if key.endswith(".npy"):
                    content = _as_idx(np.load(io.BytesIO(content), allow_pickle=False))
                elif content.startswith(b"\x1f\x8b"):
                    content = gzip.decompress(content)
                yield key, content
    except Exception:  # zipfile and NumPy raise a dozen kinds for a file that is none of theirs
        key = "x_train" if key == "the file" else key.removesuffix(".npy")
        raise ValueError(f"{key} in it must be a plain array of numbers, not objects") from None


def _as_idx(array):
    """Return an array of whole numbers from 0 to 255, of any type, as IDX bytes."""
    if array.ndim == 2 and array.shape[1] == 784:
        array = array.reshape(-1, 28, 28)
    if array.dtype.kind not in "iuf":
        raise ValueError(array.dtype)
    with np.errstate(invalid="ignore"):
        return _header(array.shape) + array.astype(np.uint8).tobytes()


def _guess(key, content):
    """Return which of the four a file or array is meant to be, by its name and its axes."""
    part = "t10k" if "test" in key or "t10k" in key else "train"
    return f"{part}-{'images-idx3' if content[3:4] == bytes([3]) else 'labels-idx1'}-ubyte"


def _header(shape):
    """Return how an IDX file of bytes begins (format: LeCun's MNIST page, 1998)."""
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def _difference(name, content):
    """Say what makes content another than that of MNIST's file of this name."""
    shape = FILES[name][2]
    begin, values = content[: len(_header(shape))], content[len(_header(shape)) :]
    if begin != _header(shape):
        found = np.frombuffer(begin[: len(begin) // 4 * 4], ">u4").tolist()
        return f"its magic number and sizes are {found}, not {[0x800 + len(shape), *shape]}"
    if len(values) != math.prod(shape):
        return f"{len(values):,} bytes follow its header, not {math.prod(shape):,}"
    if "labels" in name and values and max(values) > 9:
        return f"it has labels up to {max(values)}, not 9"
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
    refusals, names = [], [name for name, content in contents.items() if content]
    for folder in folders:
        kept = _search(folder)[0]
        lacking = [name for name in names if name not in kept]
        files = {name: packed.get(name) or gzip.compress(contents[name], 1) for name in lacking}
        cause = "it gives back other bytes"
        try:
            _write(folder, files)
        except OSError as error:
            cause = error.strerror
        if {*names} <= {*_search(folder)[0]}:  # another process' work counts as well
            if refusals:
                print(f"{refusals[0]}. MNIST is kept in {folder} instead.")
            return
        refusals.append(f"{folder} cannot be written ({cause})")
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


def _announce(sets):
    """Say what was loaded, and pass it on."""
    (_, train_labels), (_, test_labels) = sets
    print(f"MNIST: {len(train_labels):,} training and {len(test_labels):,} test images, verified.")
    return sets


if __name__ == "__main__":
    load_mnist()
