"""The look inside: activations, and normalisation folded into the kernels."""

import keras
import numpy as np
import pytest

from helpers import inside, model, model_files


@pytest.fixture(scope="module")
def network():
    return model_files.load_shipped_model()


def test_activations_are_what_the_layers_pass_on(network, digits):
    images, _ = digits
    passed = inside.activations(network, np.repeat(images, 7, axis=0), ["activation_6", "conv2d_1"])
    assert list(passed) == ["activation_6", "conv2d_1"]
    assert np.allclose(passed["activation_6"][::7], model.predict(network, images), atol=1e-5)
    first = keras.Sequential(network.layers[:1])
    assert np.allclose(passed["conv2d_1"][::7], first(model.scale(images)), atol=1e-5)


def test_folded_network_reads_the_same(network, digits):
    images, _ = digits
    stack = []
    for layer in network.layers:
        if not layer.name.startswith("batch_normalization"):
            stack.append(type(layer).from_config(layer.get_config()))
    folded = keras.Sequential([keras.Input((28, 28, 1)), *stack])
    for name, weights in inside.fold(network).items():
        folded.get_layer(name).set_weights(weights)
    assert folded.count_params() == 594_922
    difference = model.predict(folded, images) - model.predict(network, images)
    assert abs(difference).max() < 1e-4  # of noise, on which it is unsure


def test_tiles_lie_in_reading_order_with_a_line_between():
    maps = np.arange(4, dtype="float32") * np.ones((2, 3, 1), "float32")
    tiled = inside.tile(maps, columns=2)
    assert tiled.shape == (5, 7)
    assert np.isnan(tiled[2]).all() and np.isnan(tiled[:, 3]).all()
    assert [tiled[0, 0], tiled[0, 4], tiled[3, 0], tiled[3, 4]] == [0, 1, 2, 3]
