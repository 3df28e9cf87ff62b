"""Write a network in other formats, each verified on the 10,000 test images before it is kept.

`python -m tools.export` exports models/robust.keras to build/export;
`python -m tools.export my.keras --to FOLDER` any network of notebook 02. FOLDER/export.json says
how large each is, how it agrees with Keras, and what one image takes on one core. A network for
which `tools.doubt` fitted a judge is also written with it: that file answers with the doubt too.
"""

import argparse
import base64
import functools
import json
import os
import re
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from helpers import data, formats, preflight
from helpers.files import write_beside, write_text
from tools import lessons

FOLDER = lessons.ROOT / "build" / "export"
CALIBRATION = 500  # training images
MOST_CHANGED = 0.005  # of the predictions; a conversion that changes more is not kept
ROUNDS = 300  # of timing; in each, every format reads one image
WITH_DOUBT = "LiteRT with doubt"  # of a network that has a judge
PACKAGES = ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx")


class ExportError(ValueError):
    """A file that is not kept; the message says why."""


def main(arguments=None):
    """Export a network and write the table; return the exit status."""
    options = read_options(arguments)
    hold_one_core()
    preflight.load_tensorflow()
    from helpers import model_files

    try:
        table = export(options.model or model_files.ROBUST, options.to.resolve(), options.rounds)
        print_table(table)
        if options.record:
            record(table)
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing. Install it: {formats.INSTALL}", file=sys.stderr)
        return 1
    except (ExportError, model_files.ModelError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if is_whole(table) else 1


def is_whole(table):
    """Tell whether every format was kept."""
    return set(FORMATS) <= set(table["formats"])


def record(table):
    """Keep the table in models/, for texts and lesson 11."""
    from helpers import model_files
    from tools import records

    if not is_whole(table) or table["formats"]["Keras"]["n"] != 10_000:
        raise ExportError("It is not recorded: that takes MNIST, and every format.")
    path = model_files.MODELS / "export.json"
    write_text(path, json.dumps(table, indent=1) + "\n")
    records.record_digests(path)


def read_options(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.export", description=main.__doc__)
    parser.add_argument("model", nargs="?", type=Path, help="a .keras file (models/robust.keras)")
    parser.add_argument("--to", type=Path, default=FOLDER, help="where to (build/export)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of timing ({ROUNDS})")
    parser.add_argument("--record", action="store_true", help="the table in models/, for texts")
    return parser.parse_args(arguments)


def hold_one_core():
    """Keep this process to one core, where the system can, so that times are of one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def export(path, folder, rounds=ROUNDS):
    """Export a network in all formats.

    Args:
        path: of the `.keras` file.
        folder: where the files and `export.json` go; it is made if it is not there.
        rounds: of timing.

    Returns:
        What `export.json` holds, a dict.

    Raises:
        ModelError, FileNotFoundError: as `model_files.load_model`.
        ExportError: it is another network, or a conversion does not read as the network does.
    """
    network = load(path)
    (train_images, _), test = data.load_mnist()
    folder.mkdir(parents=True, exist_ok=True)
    rows, readers = keep_formats(network, path, folder, train_images[:CALIBRATION], test)
    readers.pop("page", None)  # the browser reads it
    times = time_one(network, readers, test[0][:1], rounds)
    table = describe(path.name, rows, times)
    write_text(folder / "export.json", json.dumps(table, indent=1) + "\n")
    return table


def keep_formats(network, path, folder, calibration, test):
    """Keep a network in each format that reads as it does, and say why another is not kept.

    Args:
        network, path, folder: as of `export`.
        calibration: uint8 `(n, 28, 28)`.
        test: images and labels.

    Returns:
        Rows of the table and functions that read: two dicts by name of the format.
    """
    from helpers import model

    expected, calibration = model.predict(network, test[0]), model.scale(calibration)
    rows, readers = {"Keras": {"bytes": path.stat().st_size, **score(*test, expected)}}, {}
    jobs = {
        name: (suffix, functools.partial(make, network, calibration=calibration), open_, expected)
        for name, (suffix, make, open_) in FORMATS.items()
    }
    judged = join_judge(network, path, test[0])
    if not judged:  # what lies there is of another network
        (folder / f"{path.stem}_doubt.tflite").unlink(missing_ok=True)
    for name, (suffix, write, open_, wanted) in (jobs | judged).items():
        target = folder / f"{path.stem}_{suffix}"
        try:
            rows[name], readers[name] = keep(target, write, open_, test, wanted)
        except ExportError as error:
            print(error, file=sys.stderr, flush=True)
    return rows, readers


def load(path):
    """Load a network in plain Keras layers and float32, whatever it was trained in."""
    from helpers import model, model_files

    network = model_files.load_model(path)
    if model.summary_rows(network) != model.summary_rows(model.build_model()):
        raise ExportError(
            f"{path.name} does not have the 21 layers of notebook 02.\n"
            "Give a network that build_model() of helpers/model.py made."
        )
    return model.plain_copy(network)


def keep(target, make, open_, test, expected):
    """Make a file or folder beside its place, verify it, and move it there if it agrees.

    Args:
        target: the final path.
        make: called with the path to write to.
        open_: called with it, returns a function from uint8 `(n, 28, 28)` to answers.
        test: images and labels.
        expected: Keras' answers, `(n, 10)` probabilities or `(n, 11)`, with doubt.

    Returns:
        Its row of the table, a dict, and what `open_` returns for the target.

    Raises:
        ExportError: it does not agree; what was at the target stays.
    """
    row = {}

    def make_and_verify(part):
        make(part)
        row["bytes"] = sum(f.stat().st_size for f in [part, *part.rglob("*")] if f.is_file())
        row.update(verify(target.name, open_(part)(test[0]), *test, expected))

    if target.suffix:
        write_beside(target, make_and_verify)
    else:
        replace_folder(target, make_and_verify)
    print(f"{target.name} agrees.", flush=True)
    return row, open_(target)


def join_judge(network, path, images):
    """Return how to keep a network together with its judge, if `tools.doubt` made one beside it.

    Args:
        network, path: as of `export`.
        images: uint8 `(n, 28, 28)`.

    Returns:
        A dict of at most one name: suffix, `write`, `open_` and `expected` of `keep`.
    """
    from helpers import doubt, model_files

    if not path.with_name(f"{path.stem}_doubt.npz").is_file():
        return {}
    model_files.check_digest(path)  # the judge is of this very network
    judge = doubt.load(path)
    reading = judge.measure(network, images)
    expected = np.column_stack([reading.probabilities, reading.doubt])
    joined, make = doubt.join(network, judge), write_litert("dynamic int8")
    write = functools.partial(make, joined, calibration=None)
    return {WITH_DOUBT: ("doubt.tflite", write, formats.open_litert, expected)}


def replace_folder(target, write):
    """Write a folder beside its place, then put it there."""
    beside = target.with_name(f"{target.name}.part")
    try:
        write(beside)
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def verify(name, answers, images, labels, expected):
    """Compare a format's answers with Keras'; return its score.

    Raises:
        ExportError: they are not numbers, or too many predictions changed.
    """
    if broken := int((~np.isfinite(answers)).any(axis=1).sum()):
        raise ExportError(
            f"{name} is not kept: it gives no numbers (NaN) for {broken:,} of {len(images):,} "
            "images.\nConvert the network itself (from_keras_model), not a concrete function of it."
        )
    row = score(images, labels, answers)
    row["changed"] = int((read_digits(answers) != read_digits(expected)).sum())
    row["largest_difference"] = float(f"{abs(answers - expected).max():.2g}")
    if row["changed"] > MOST_CHANGED * len(images):
        raise ExportError(
            f"{name} is not kept: {row['changed']:,} of {len(images):,} predictions changed.\n"
            f"At most {MOST_CHANGED:.1%} may. Use another format."
        )
    return row


def score(images, labels, answers):
    """Return how many images are misread, of how many."""
    return {"n": len(images), "errors": int((read_digits(answers) != labels).sum())}


def read_digits(answers):
    """Return the digits that answers name; an eleventh number is the doubt."""
    return answers[:, :10].argmax(axis=1)


def describe(name, rows, times):
    """Put the table together, with the machine and the versions that it was made with."""
    for way, milliseconds in times["ways"].items():
        rows.setdefault(way, {}).update(milliseconds)
    machine = preflight.describe_machine() | {p: metadata.version(p) for p in PACKAGES}
    return {
        "command": "python -m tools.export",
        "model": name,
        "machine": machine,
        "gigaflops": times["gigaflops"],
        "formats": rows,
    }


# Formats: `make(network, path, calibration)` and `open(path)` -----------------------------------


def write_litert(kind):
    """Return what writes a network as LiteRT of a kind."""
    return lambda network, path, calibration: path.write_bytes(
        formats.to_litert(network, kind, calibration)
    )


def write_onnx(network, path, calibration):
    """Write a network as ONNX; Keras' converter knows operations up to set 18."""
    with formats.quiet():
        network.export(str(path), format="onnx", opset_version=18, verbose=False)


def write_onnx_int8(network, path, calibration):
    """Write a network as ONNX with weights and what passes between the layers in 8 bits."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        """Give one image after the other."""

        def __init__(self, name):
            self.images = ({name: image[np.newaxis]} for image in calibration)

        def get_next(self):
            return next(self.images, None)

    plain = path.with_name(f"{path.stem}.float32.onnx")
    try:
        write_onnx(network, plain, calibration)
        name = network.inputs[0].name
        with formats.quiet():
            quantization.quantize_static(plain, path, Reader(name), per_channel=True)
    finally:
        plain.unlink(missing_ok=True)


def write_saved_model(network, path, calibration):
    """Write a network as a SavedModel, a folder, which TensorFlow Serving takes."""
    with formats.quiet():
        network.export(str(path), verbose=False)


def open_saved_model(path):
    """Open a SavedModel."""
    import tensorflow as tf

    with formats.quiet():
        loaded = tf.saved_model.load(path)

    def read(images):
        scaled = images[..., np.newaxis].astype("float32") / 255
        parts = (loaded.serve(scaled[i : i + 250]).numpy() for i in range(0, len(images), 250))
        return np.concatenate(list(parts))

    read.keep = loaded  # or its variables go with it
    return read


def write_page(network, path, calibration):
    """Write the drawing pad of lesson 06 with these weights."""
    from helpers import drawing

    _, (images, labels) = data.load_mnist()
    choice = np.concatenate([np.flatnonzero(labels == digit)[:3] for digit in range(10)])
    drawing.write_page(path, network, images[choice], labels[choice])


def open_page(path):
    """Read the weights that a page holds into a network that computes what its script does."""
    from helpers import inside, model

    text = path.read_text(encoding="utf-8")
    packed = max(re.findall(r'bytes\("([^"]*)"\)', text), key=len)
    numbers = np.frombuffer(base64.b64decode(packed), "<f2").astype("float32")
    network = model.build_model()
    for name, (kernel, bias) in inside.fold(network).items():
        layer, at = network.get_layer(name), kernel.size
        layer.set_weights([numbers[:at].reshape(kernel.shape), numbers[at : at + bias.size]])
        numbers = numbers[at + bias.size :]
    for layer in network.layers:
        if layer.name.startswith("batch_normalization"):
            one = np.ones(layer.gamma.shape, "float32")
            layer.set_weights([np.sqrt(one + layer.epsilon), 0 * one, 0 * one, one])
    return lambda images: model.predict(network, images)


FORMATS = {
    "LiteRT float32": ("float32.tflite", write_litert("float32"), formats.open_litert),
    "LiteRT float16": ("float16.tflite", write_litert("float16"), formats.open_litert),
    "LiteRT dynamic int8": ("int8.tflite", write_litert("dynamic int8"), formats.open_litert),
    "LiteRT full int8": ("full_int8.tflite", write_litert("full int8"), formats.open_litert),
    "ONNX float32": ("float32.onnx", write_onnx, formats.open_onnx),
    "ONNX static int8": ("int8.onnx", write_onnx_int8, formats.open_onnx),
    "SavedModel": ("saved_model", write_saved_model, open_saved_model),
    "page": ("pad.html", write_page, open_page),
}


# Times --------------------------------------------------------------------------------------------


def time_one(network, readers, image, rounds):
    """Time one image in every way, in turns, so that a disturbance meets all of them.

    Args:
        network: the Keras network.
        readers: `{name: function}`, as of `keep`.
        image: uint8 `(1, 28, 28)`.
        rounds: how often each is timed.

    Returns:
        A dict: `ways`, of each the median and the 99th percentile in milliseconds, and
        `gigaflops`, what a large product of matrices reaches on the same core.
    """
    import tensorflow as tf

    scaled = image[..., np.newaxis].astype("float32") / 255
    compiled = tf.function(lambda images: network(images, training=False), jit_compile=True)
    ways = {
        "predict": lambda: network.predict(scaled, verbose=0),
        "direct call": lambda: network(scaled, training=False).numpy(),
        "compiled by XLA": lambda: compiled(scaled).numpy(),
    } | {name: lambda read=read: read(image) for name, read in readers.items()}
    with formats.quiet():  # XLA says that it begins
        compiled(scaled)
    square = np.random.default_rng(0).random((1024, 1024), "float32")
    ways["product"] = lambda: square @ square
    turns = [{name: time_call(call) for name, call in ways.items()} for _ in range(rounds + 3)]
    seconds = {name: [turn[name] for turn in turns[3:]] for name in ways}  # three for warmth
    product = np.median(seconds.pop("product"))
    return {
        "ways": {name: summarise(times) for name, times in seconds.items()},
        "gigaflops": round(2 * 1024**3 / product / 1e9),
    }


def time_call(call):
    """Return the seconds that a call takes on its core, whatever else that does."""
    start = time.process_time()
    call()
    return time.process_time() - start


def summarise(seconds):
    """Return the median and the 99th percentile, in milliseconds."""
    median, high = np.percentile(seconds, [50, 99]) * 1e3
    return {"ms": round(float(median), 3), "ms_99": round(float(high), 3)}


def print_table(table):
    """Print the table."""
    print(f"{'':22}{'kB':>7}{'errors':>8}{'changed':>9}{'difference':>12}{'ms':>9}{'99 %':>9}")
    for name, row in table["formats"].items():
        size = f"{row['bytes'] / 1e3:,.0f}" if "bytes" in row else ""
        cells = (row.get(key, "") for key in ("errors", "changed", "largest_difference"))
        times = (row.get(key, "") for key in ("ms", "ms_99"))
        print(f"{name:22}{size:>7}{{:>8}}{{:>9}}{{:>12}}{{:>9}}{{:>9}}".format(*cells, *times))


if __name__ == "__main__":
    sys.exit(main())
