"""The network's rows, its fast twin, and the model that ships."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from helpers import data, model, model_files
from tools import records, scores, train

ROWS = [
    ("conv2d_1", (None, 26, 26, 32), 320),
    ("batch_normalization_1", (None, 26, 26, 32), 128),
    ("activation_1", (None, 26, 26, 32), 0),
    ("conv2d_2", (None, 24, 24, 32), 9_248),
    ("batch_normalization_2", (None, 24, 24, 32), 128),
    ("activation_2", (None, 24, 24, 32), 0),
    ("max_pooling2d_1", (None, 12, 12, 32), 0),
    ("conv2d_3", (None, 10, 10, 64), 18_496),
    ("batch_normalization_3", (None, 10, 10, 64), 256),
    ("activation_3", (None, 10, 10, 64), 0),
    ("conv2d_4", (None, 8, 8, 64), 36_928),
    ("batch_normalization_4", (None, 8, 8, 64), 256),
    ("activation_4", (None, 8, 8, 64), 0),
    ("max_pooling2d_2", (None, 4, 4, 64), 0),
    ("flatten_1", (None, 1024), 0),
    ("dense_1", (None, 512), 524_800),
    ("batch_normalization_5", (None, 512), 2_048),
    ("activation_5", (None, 512), 0),
    ("dropout_1", (None, 512), 0),
    ("dense_2", (None, 10), 5_130),
    ("activation_6", (None, 10), 0),
]


@pytest.fixture(scope="module")
def shipped():
    return model_files.load_shipped_model()


@pytest.mark.parametrize(
    ("dtype", "normalization"),
    [("float32", layers.BatchNormalization), ("mixed_bfloat16", model.BatchNormalization)],
)
def test_all_21_rows(dtype, normalization):
    network = model.build_model(dtype=dtype, normalization=normalization)
    assert model.summary_rows(network) == ROWS
    assert network.count_params() == 597_738
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("BatchNormalization") == 5
    activations = [layer for layer in network.layers if "activation" in layer.name]
    assert [a.activation.__name__ for a in activations] == ["relu"] * 5 + ["softmax"]
    assert network.get_layer("dropout_1").rate == 0.2


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
