"""Model files that are damaged or hostile, and what the repository must never contain."""

import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from reading import files_of_git
from servers import Trap

from helpers import model, model_files
from tools import records

ROOT = Path(__file__).resolve().parents[1]
LOG_IN_PAGE = b"\r\n<!DOCTYPE html><html><title>Guest Wi-Fi</title><form>Log in</form></html>"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the path of a small good model, and its weights."""
    path = tmp_path_factory.mktemp("models") / "tiny.keras"
    network = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    network.save(path)
    return path, network.get_weights()


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Put a copy of models/ in the place of models/, and return its model file."""
    folder = shutil.copytree(model_files.MODELS, tmp_path / "models")
    monkeypatch.setattr(model_files, "SHIPPED", folder / model_files.SHIPPED.name)
    return model_files.SHIPPED


def refuse(call, *arguments):
    """Return the message with which a model is refused: one or two plain lines."""
    with pytest.raises(model_files.ModelError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2 and len(message) < 350
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def read_config(good):
    """Return the configuration in a model file."""
    with zipfile.ZipFile(good) as file:
        return json.loads(file.read("config.json"))


def forge(path, good, config, weights="model.weights.h5", content=None):
    """Write a good model again, with another configuration or other weights; return its path."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        target.writestr("metadata.json", source.read("metadata.json"))
        target.writestr("config.json", json.dumps(config))
        target.writestr(weights, content or source.read(weights))
    return path


# Damage --------------------------------------------------------------------------------------


def flip(content, place):
    """Return bytes with one bit of one of them flipped."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


EMPTY_ZIP = b"PK\5\6" + bytes(18)
DAMAGE = {
    "empty": (lambda good: b"", "is empty"),
    "a log-in page": (lambda good: LOG_IN_PAGE, "is a web page, perhaps a log-in page"),
    "cut in half": (lambda good: good[: len(good) // 2], "is cut short"),
    "one bit flipped": (
        lambda good: flip(good, len(good) // 2),
        "model.weights.h5 inside it fails its checksum",
    ),
    "a torn HDF5": (lambda good: b"\x89HDF\r\n\x1a\n" + bytes(99), "is not a Keras model file"),
    "an empty zip": (lambda good: EMPTY_ZIP, "no item named 'config.json'"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_model_is_refused(tiny, tmp_path, kind):
    good, weights = tiny
    damage, words = DAMAGE[kind]
    path = tmp_path / "mine.keras"
    path.write_bytes(damage(good.read_bytes()))
    message = refuse(model_files.load_model, path)
    assert message.startswith("mine.keras is") and words in message
    shutil.copy(good, path)
    np.testing.assert_array_equal(model_files.load_model(path).get_weights()[0], weights[0])


def test_flipped_bits_never_load_other_weights(tiny, tmp_path):
    good, weights = tiny
    content = good.read_bytes()
    random = np.random.default_rng(0)
    places = [*random.integers(0, len(content), 80), *random.integers(-300, 0, 40)]
    path, refused = tmp_path / "flipped.keras", 0
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        try:
            loaded = model_files.load_model(path).get_weights()
        except model_files.ModelError:
            refused += 1
        else:
            assert all(np.array_equal(a, b) for a, b in zip(loaded, weights, strict=True))
    assert refused >= 80
    for length in np.linspace(0, len(content) - 1, 100, dtype=int):
        path.write_bytes(content[:length])
        refuse(model_files.load_model, path)


def test_missing_model_is_named(tmp_path):
    for path in (tmp_path / "none.keras", tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(f"There is no model file {path}")):
            model_files.load_model(path)


# Hostile files -------------------------------------------------------------------------------


@pytest.fixture
def mark(tmp_path):
    """Return the path of the file that every hostile model tries to make."""
    return tmp_path / "executed"


def works(mark):
    """Tell whether a payload has just made its file, and clear it away."""
    made = mark.exists()
    mark.unlink(missing_ok=True)
    return made


@pytest.mark.parametrize("nested", [False, True])
def test_lambda_is_refused_and_not_executed(tmp_path, mark, nested):
    place = str(mark)
    hostile = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(place).touch(), x)[1])
    if nested:
        hostile = keras.layers.TimeDistributed(hostile)
    keras.Sequential([keras.Input((2, 28, 28, 1)), hostile]).save(tmp_path / "lambda.keras")
    assert works(mark)
    message = refuse(model_files.load_model, tmp_path / "lambda.keras")
    assert "lambda.keras is not loaded" in message and "Lambda" in message
    assert "safe" not in message
    assert not mark.exists()


def test_custom_objects_are_refused_by_name(tmp_path):
    class Doubling(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    def doubled(inputs):
        return 2 * inputs

    path = tmp_path / "own.keras"
    layers = {"class 'Doubling'": Doubling(), "function 'doubled'": keras.layers.Dense(2, doubled)}
    for name, layer in layers.items():
        keras.Sequential([keras.Input((3,)), layer]).save(path)
        assert f"Could not locate {name}" in refuse(model_files.load_model, path)


def test_pickles_are_refused_and_not_opened(tiny, tmp_path, mark):
    pickled = pickle.dumps(Trap(mark))
    pickle.loads(pickled)
    assert works(mark)
    path = tmp_path / "pickle.keras"
    path.write_bytes(pickled)
    assert "is not a Keras model file" in refuse(model_files.load_model, path)
    weights = io.BytesIO()
    np.savez(weights, **{"layers/dense/vars": np.array({"0": Trap(mark)}, dtype=object)})
    mark.unlink(missing_ok=True)
    forge(path, tiny[0], read_config(tiny[0]), "model.weights.npz", weights.getvalue())
    assert "pickle.keras is not loaded" in refuse(model_files.load_model, path)
    assert not mark.exists()


@pytest.mark.parametrize("place", ["layer", "activation", "compiled"])
def test_modules_are_not_imported(tiny, tmp_path, monkeypatch, place):
    (tmp_path / "trap_module.py").write_text("class Trap: pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    trap = {"module": "trap_module", "class_name": "Trap", "config": {}, "registered_name": "Trap"}
    function = trap | {"class_name": "function", "config": "Trap"}
    config = read_config(tiny[0])
    if place == "layer":
        config["config"]["layers"].append(trap)
    elif place == "activation":
        config["config"]["layers"][-1]["config"]["activation"] = function
    else:
        config["compile_config"] = {"optimizer": trap, "loss": function}
    path = forge(tmp_path / "module.keras", tiny[0], config)
    assert "Trap" in refuse(model_files.load_model, path)
    assert "trap_module" not in sys.modules


@pytest.mark.parametrize(
    "name",
    ["os.system", "keras.utils.get_file", "keras.config.enable_unsafe_" + "deserialization"],
)
def test_functions_are_not_called(tiny, tmp_path, mark, name):
    module, _, function = name.rpartition(".")
    command = {"command": f"touch {mark}", "args": ["touch", str(mark)]}
    path = tmp_path / "call.keras"
    for kind, argument in ((function, command), ("function", function)):
        config = {"module": module, "class_name": kind, "config": argument}
        forge(path, tiny[0], config | {"registered_name": function})
        assert function in refuse(model_files.load_model, path)
    assert not mark.exists()
    keras.Sequential([keras.Input((1,)), keras.layers.Lambda(lambda x: x)]).save(path)
    assert "Lambda" in refuse(model_files.load_model, path)


# The files that ship --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a log-in page", "one bit of a date", "another good model"])
def test_shipped_model_is_compared_with_its_digest(shipped, tiny, kind):
    good = shipped.read_bytes()
    damaged = {"a log-in page": LOG_IN_PAGE, "one bit of a date": flip(good, 12)}
    shipped.write_bytes(damaged.get(kind, tiny[0].read_bytes()))
    message = refuse(model_files.load_shipped_model)
    assert message.startswith("mnist_cnn.keras")
    assert "SHA-256" in message and "git checkout models/" in message


def test_shipped_model_that_is_missing_or_was_never_recorded_is_refused(shipped):
    digests = shipped.with_name(model_files.DIGESTS)
    for damage in (digests.unlink, digests.touch):
        damage()
        assert "git checkout models/" in refuse(model_files.load_shipped_model)
    shipped.unlink()
    with pytest.raises(FileNotFoundError, match="git checkout models/"):
        model_files.load_shipped_model()


def test_git_checkout_restores_every_file_byte_by_byte(shipped):
    if not shutil.which("git"):
        assert os.environ.get("CI") != "true", "git is missing"
        pytest.skip("git is missing: install it")
    folder, project = shipped.parent, shipped.parents[1]
    settings = ("user.name=Test", "user.email=test@example.org", "core.autocrlf=true")
    options = [part for setting in settings for part in ("-c", setting)]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        command = ["git", *options, *arguments]
        subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)

    shutil.copy(ROOT / ".gitattributes", project)
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "models")
    for path in folder.iterdir():
        path.write_bytes(b"damaged")
    git("checkout", "models/")
    recorded = model_files.read_digests(folder)
    assert recorded == model_files.read_digests(model_files.MODELS)
    for name in recorded:
        model_files.check_digest(folder / name)


def test_every_file_of_models_is_recorded_and_unchanged():
    files = {path for path in model_files.MODELS.iterdir() if path.name[0] != "."}
    recorded = {path.name for path in files if path.suffix != ".md"} - {model_files.DIGESTS}
    assert recorded == set(model_files.read_digests(model_files.MODELS))
    for name in model_files.read_digests(model_files.MODELS):
        model_files.check_digest(model_files.MODELS / name)


def test_recorded_digests_are_what_sha256sum_writes(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.keras"
    for path in (second, first):
        path.write_text("as it was", encoding="utf-8")
        records.record_digests(path)
    text = (tmp_path / "SHA256SUMS").read_bytes()
    assert re.fullmatch(rb"[0-9a-f]{64}  a\.json\n[0-9a-f]{64}  b\.keras\n", text)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True)
    first.write_text("changed", encoding="utf-8")
    assert "a.json was changed" in refuse(model_files.check_digest, first)


# The repository -------------------------------------------------------------------------------

# In two pieces each, so that this file is not found.
FORBIDDEN = {
    "safe_" + "mode=False": r"safe_mode['\"]?\s*[=:]\s*(?:False|0)",
    "enable_unsafe_" + "deserialization()": r"unsafe[_]deserialization",
    "allow_" + "pickle=True": r"allow_pickle['\"]?\s*[=:]\s*(?:True|1)",
    "ver" + "ify=False": r"\bverify['\"]?\s*[=:]\s*(?:False|0)",
    "_create_" + "unverified_context()": r"_create[_]unverified|CERT[_]NONE",
    "curl --inse" + "cure": r"[-]-insecure|[-]-no-check-certificate|http\.ssl[vV]erify",
    "--ServerApp.tok" + "en= --no": r"(?:token|password|TOKEN)\s*=(?:\s*\\?['\"](?![\w{$-])|\s+--)",
}


def test_no_safety_is_switched_off_anywhere():
    texts = {path.name: path.read_bytes().decode("utf-8", "replace") for path in files_of_git()}
    assert len(texts) > 30
    for example, pattern in FORBIDDEN.items():
        assert re.search(pattern, example)
        assert [name for name, text in texts.items() if re.search(pattern, text)] == [], example


# Models of other kinds (28) ----------------------------------------------------------------------


def test_other_kinds_of_models_are_named(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = keras.saving.load_model(tiny[0])
    network.save("old.h5")
    network.save_weights("mine.weights.h5")
    network.export("served", verbose=False)
    with zipfile.ZipFile(tiny[0]) as file:
        file.extractall("unpacked")
    message = refuse(model_files.load_model, "old.h5")
    eval(message.splitlines()[1], {"keras": keras})
    assert np.array_equal(model_files.load_model("old.keras").get_weights()[0], tiny[1][0])
    message = refuse(model_files.load_model, "mine.weights.h5")
    eval(message.partition("then: ")[2], {"network": network})
    assert "SavedModel" in refuse(model_files.load_model, "served")
    assert "an unpacked .keras" in refuse(model_files.load_model, "unpacked")


READ = """
import keras, numpy as np
for path in {paths!r}:
    network = keras.saving.load_model(path)
    print(keras.__version__, network(np.load({images!r})).numpy().argmax(axis=1))
"""


@pytest.mark.weekly
def test_oldest_keras_reads_the_shipped_files(tmp_path):
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path]
    done = subprocess.run([*command, "keras==3.8.0"], capture_output=True, text=True)
    if done.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"connect to the network, to get Keras 3.8: {done.stderr.strip()}")
    model.plain_copy(model.build_model()).save(tmp_path / "mine.keras")
    paths = [model_files.SHIPPED, model_files.ROBUST, tmp_path / "mine.keras"]
    images = np.random.default_rng(0).random((20, 28, 28, 1), "float32")
    np.save(tmp_path / "images.npy", images)
    code = READ.format(paths=list(map(str, paths)), images=str(tmp_path / "images.npy"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    read = [model_files.load_model(path)(images).numpy().argmax(axis=1) for path in paths]
    assert done.stdout.splitlines() == [f"3.8.0 {digits}" for digits in read], done.stderr


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((12, 5), {}),
        ((4, 3, 3, 3, 5), {}),
        ((4, 6, 6, 5), {}),
        ((4, 6, 6, 5), {"scale": False}),
        ((4, 6, 6, 5), {"trainable": False}),
        ((4, 5, 6, 6), {"axis": 1}),
    ],
)
def test_normalization_is_that_of_keras(shape, options):
    values = tf.constant(np.random.default_rng(0).normal(2, 3, shape), tf.float32)
    results = []
    for kind in (model.BatchNormalization, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, **options)
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values, training=True)
            loss = tf.reduce_sum(outputs**3)
        gradients = tape.gradient(loss, [values, *layer.trainable_variables])
        layer(values, training=True)
        results.append([outputs, *gradients, *layer.get_weights(), layer(values)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-3)
