"""What a graphics card trains is what Keras trains: network, transforms, schedule, steps.

It needs PyTorch, which `make bench` installs; its arithmetic is the same on a processor.
"""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is installed by `make bench`")

from helpers import augmentation, model, training  # noqa: E402
from tools import gpu, optimizers, train  # noqa: E402


@pytest.mark.parametrize("elastic", [False, True])
def test_transforms_are_the_same(digits, elastic):
    random, n = np.random.default_rng(0), 20
    images = (digits[0][:n, ..., np.newaxis] / 255).astype("float32")
    angle, zoom, shear, shift = (
        random.uniform(-limit, limit, shape).astype("float32")
        for limit, shape in ((0.3, n), (0.2, (n, 2)), (0.2, n), (3, (n, 2)))
    )
    drawn = (angle, 1 + zoom, shear, shift)
    coefficients = augmentation.affine_coefficients(*drawn)
    if elastic:
        expected = augmentation.bend(images, np.ones((n, 2, 28, 28), "float32"), *coefficients)
    else:
        expected = augmentation.transform(images, *coefficients)
    field = torch.ones(n, 2, 5, 5) if elastic else None
    tensors = map(torch.from_numpy, (images.transpose(0, 3, 1, 2), *drawn))
    found = gpu.resample(*tensors, field)
    np.testing.assert_allclose(found[:, 0], expected[..., 0], atol=2e-3)


@pytest.mark.parametrize("changes", [{}, {"batch_sizes": (64, 256)}, {"plain_epochs": 0.5}])
def test_schedule_and_batches_are_the_same(changes):
    recipe = dataclasses.replace(train.RECIPES["race"], **changes)
    steps = train.count_steps(recipe, 55_000)
    batches = [batch for epoch in gpu.plan(recipe, 55_000) for batch in epoch]
    assert (len(batches), sum(size for size, _ in batches)) == (steps, 110_000)
    assert sum(limits is None for _, limits in batches) == 215 * bool(recipe.plain_epochs)
    rate = training.one_cycle(steps, recipe.peak)
    expected = [float(rate(step)) for step in range(0, steps, 50)]
    np.testing.assert_allclose(gpu.schedule(recipe, steps)[::50], expected, atol=1e-8)


def test_network_and_step_are_the_same(digits):
    images, labels = digits[0] * (digits[0] > 99), digits[1]  # their paper is 0
    recipe = train.Recipe(
        epochs=5, limits=None, dropout=0.0, optimizer="sgd", peak=0.1, batch_sizes=(40,)
    )
    run, network = gpu.Run(recipe, 0, 40, torch.device("cpu")), model.build_model(dropout=0.0)
    first = gpu.keras_weights(run)
    network.set_weights(first)
    read = model.predict(network, images)
    np.testing.assert_allclose(gpu.predict(run, images), read, atol=1e-6)
    optimizers.compile_by(recipe, network, 5)
    network.train_on_batch(model.scale(images), labels)
    tensors = (torch.from_numpy(part) for part in (images, labels.astype("int64")))
    gpu.train_step(run, *tensors, 40, None)
    all_but = len(first) - 3  # the last variance, which `finish` corrects
    ends = gpu.keras_weights(run), network.get_weights()
    for place, (before, found, expected) in enumerate(zip(first, *ends, strict=True)):
        gone = np.linalg.norm(expected - before)
        assert place == all_but or np.linalg.norm(found - expected) < 0.01 * gone + 1e-5


def test_muon_is_the_same():
    gradient = np.random.default_rng(0).normal(size=(3, 3, 32, 64)).astype("float32")
    expected = optimizers.ConvolutionMuon().zeropower_via_newtonschulz5(gradient, 5)
    found = gpu.orthogonalise(torch.from_numpy(gradient).view(-1, 64)).view(gradient.shape)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_seeds_learn(digits):
    recipe = train.Recipe(epochs=30, limits=None, batch_sizes=(20,))
    runs = gpu.train_together(recipe, *digits, seeds=(0, 1), device="cpu")
    right = [(gpu.predict(run, digits[0]).argmax(axis=1) == digits[1]).mean() for run in runs]
    assert min(right) > 0.5 and not torch.equal(runs[0].weights, runs[1].weights)
