"""The network's rows, its fast twin, and the model that ships."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from helpers import data, model, model_files
from tools import records, scores, train


@pytest.fixture(scope="module")
def shipped():
    return model_files.load_shipped_model()


@pytest.mark.parametrize(
    ("dtype", "normalization"),
    [("float32", layers.BatchNormalization), ("mixed_bfloat16", model.BatchNormalization)],
)
def test_network_is_the_one_that_ships(shipped, dtype, normalization):
    network = model.build_model(dtype=dtype, normalization=normalization)
    assert model.summary_rows(network) == model.summary_rows(shipped)
    for ours, theirs in zip(network.layers, shipped.layers, strict=True):
        assert type(ours).__name__ == type(theirs).__name__
        assert getattr(ours, "activation", None) == getattr(theirs, "activation", None)


def test_plain_copy_reads_the_same_without_custom_objects(tmp_path):
    network = model.build_model(batch_norm_momentum=0.8)
    network.set_weights([np.abs(w) + 0.01 for w in network.get_weights()])
    plain = model.plain_copy(network)
    images = np.random.default_rng(0).random((7, 28, 28, 1), "float32")
    np.testing.assert_allclose(plain(images), network(images))
    assert plain.get_layer("batch_normalization_3").momentum == 0.8
    plain.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as file:
        assert b"helpers" not in file.read("config.json")


def test_predict_scales_uint8_in_batches(shipped):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0  # paper
    scaled = model.scale(images)
    assert scaled.dtype == np.float32 and scaled.shape == (5, 28, 28, 1)
    np.testing.assert_allclose(scaled[..., 0], images / 255, rtol=1e-6)
    by_keras = shipped.predict(scaled, verbose=0)
    np.testing.assert_allclose(model.predict(shipped, images, batch_size=2), by_keras, atol=1e-5)


@pytest.mark.parametrize("path", [model_files.SHIPPED, model_files.ROBUST], ids=lambda p: p.stem)
def test_what_ships_is_plain_keras(path):
    with zipfile.ZipFile(path) as file:
        assert b"helpers" not in file.read("config.json")
    network = keras.saving.load_model(path)
    assert (network.count_params(), network.input_shape) == (597_738, (None, 28, 28, 1))
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}


def test_loaded_model_keeps_its_custom_layer_and_its_optimizer(tmp_path):
    network = model.build_model()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    network.save(tmp_path / "own.keras")
    loaded = model_files.load_model(str(tmp_path / "own.keras"))
    assert isinstance(loaded.get_layer("batch_normalization_1"), model.BatchNormalization)
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)
    for a, b in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.mnist
def test_shipped_model_is_seed_0_of_its_recipe(shipped):
    _, (images, labels) = data.load_mnist()
    name = train.SHIPPED_RECIPE
    kept = records.read_probabilities(name)["seed_0"]
    probabilities = model.predict(shipped, images)
    np.testing.assert_allclose(kept, probabilities, atol=2e-3)
    recorded = records.read_record(name)["runs"]["seed_0"]["test"]
    assert scores.measure(probabilities, labels) == recorded
    assert recorded["n"] == 10_000 and recorded["errors"] <= 40
