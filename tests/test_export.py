"""Other formats of the network: they read as Keras does, and what does not is not kept."""

import functools
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, doubt, formats, model, model_files
from tools import export

N = 200


@pytest.fixture(scope="module")
def network():
    return export.load(model_files.ROBUST)


@pytest.fixture(scope="module")
def test():
    _, (images, labels) = data.load_mnist()
    return images[:N], labels[:N]


@pytest.fixture(scope="module")
def expected(network, test):
    return model.predict(network, test[0])


@pytest.fixture(scope="module")
def calibration():
    (images, _), _ = data.load_mnist()
    return model.scale(images[:50])


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("name", export.FORMATS)
def test_format_reads_as_keras_does(network, test, expected, calibration, tmp_path, name):
    suffix, make, open_ = export.FORMATS[name]
    target = tmp_path / suffix
    write = functools.partial(make, network, calibration=calibration)
    row, _ = export.keep(target, write, open_, test, expected)
    assert [path.name for path in tmp_path.iterdir()] == [suffix]
    assert row["n"] == N and row["changed"] <= 1
    assert row["largest_difference"] < (0.5 if "int8" in name else 0.01)
    full = "float32" in name or name == "SavedModel"
    megabytes = (
        (2.3, 5.5) if full else (1.1, 1.8) if name in ("LiteRT float16", "page") else (0.6, 0.7)
    )
    assert megabytes[0] < row["bytes"] / 1e6 < megabytes[1]


@pytest.mark.slow
def test_litert_is_read_without_its_package_too(network, test, expected, monkeypatch):
    content = formats.to_litert(network)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert abs(formats.open_litert(content)(test[0]) - expected).max() < 1e-4


def convert_without_variables(network):
    """Convert in the way that looks right and loses all weights but one layer's or two."""
    function = tf.function(lambda images: network(images, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 28, 28, 1)))
    with formats.quiet():
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete], network).convert()


@pytest.mark.mnist
@pytest.mark.slow
def test_doubt_goes_where_the_network_goes(network, test, tmp_path):
    ((suffix, write, open_, expected),) = export.join_judge(
        network, model_files.ROBUST, test[0]
    ).values()
    row, read = export.keep(tmp_path / suffix, write, open_, test, expected)
    assert row["largest_difference"] < 0.1 and row["bytes"] < 2e6
    noise = np.random.default_rng(0).integers(0, 256, (N, 28, 28), dtype=np.uint8)
    refused = [(read(images)[:, 10] > doubt.load().threshold).mean() for images in (test[0], noise)]
    assert refused[0] < 0.05 and refused[1] > 0.95


def test_export_goes_on_past_a_format_that_does_not_agree(
    network, test, expected, tmp_path, monkeypatch, capsys
):
    def write(network, path, calibration):
        path.write_bytes(b"x")

    made = {"other": np.roll(expected, 1, axis=1), "good": expected}
    made = {n: (f"{n}.bin", write, lambda _, a=answers: lambda _: a) for n, answers in made.items()}
    monkeypatch.setattr(export, "FORMATS", made)
    for name in ("mine.keras", "mine_doubt.tflite"):  # no judge: that file is an older network's
        (tmp_path / name).write_bytes(b"x")
    rows, _ = export.keep_formats(network, tmp_path / "mine.keras", tmp_path, test[0], test)
    assert set(rows) == {"Keras", "good"} and "200 of 200" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"mine.keras", "mine_good.bin"}
    assert not export.is_whole({"formats": rows})


@pytest.mark.slow
def test_conversion_that_gives_nan_is_seen_and_not_kept(network, test, expected, tmp_path):
    target = tmp_path / "network.tflite"
    target.write_bytes(b"the good one")
    broken = convert_without_variables(network)
    assert np.isnan(formats.open_litert(broken)(test[0])).all()
    with pytest.raises(export.ExportError, match=r"NaN\) for 200 of 200 images"):
        export.keep(target, lambda p: p.write_bytes(broken), formats.open_litert, test, expected)
    assert target.read_bytes() == b"the good one" and len(list(tmp_path.iterdir())) == 1


def test_format_that_reads_otherwise_is_not_kept(test, expected, tmp_path):
    turned = np.roll(expected, 1, axis=1)
    for target in (tmp_path / "file.bin", tmp_path / "folder"):

        def make(part, folder=not target.suffix):
            part.mkdir() if folder else part.write_bytes(b"x")

        with pytest.raises(export.ExportError, match="200 of 200 predictions changed"):
            export.keep(target, make, lambda path: lambda images: turned, test, expected)
    assert list(tmp_path.iterdir()) == []


def test_other_network_is_refused(tmp_path, capsys):
    other = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    other.save(tmp_path / "other.keras")
    with pytest.raises(export.ExportError, match="does not have the 21 layers"):
        export.load(tmp_path / "other.keras")


def test_network_of_another_type_becomes_float32(tmp_path, test):
    trained = model.build_model(dtype="mixed_bfloat16")
    trained.save(tmp_path / "mine.keras")
    loaded = export.load(tmp_path / "mine.keras")
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert np.allclose(model.predict(loaded, test[0]), model.predict(trained, test[0]), atol=0.05)


def test_file_that_is_not_there_is_told_in_a_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, "hold_one_core", lambda: None)
    assert export.main([str(tmp_path / "none.keras"), "--to", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("There is no model file")


def test_what_is_recorded_holds_together():
    table = json.loads((model_files.MODELS / "export.json").read_text(encoding="utf-8"))
    rows = table["formats"]
    assert set(export.FORMATS) < set(rows)
    assert all(rows[name]["n"] == 10_000 for name in (*export.FORMATS, export.WITH_DOUBT))
    assert rows[export.WITH_DOUBT]["largest_difference"] < 0.1
    changed = {name: rows[name]["changed"] for name in export.FORMATS}
    assert max(changed.values()) <= 50 and changed["LiteRT float32"] == changed["ONNX float32"] == 0
    assert rows["LiteRT dynamic int8"]["ms"] < rows["compiled by XLA"]["ms"] < rows["predict"]["ms"]
