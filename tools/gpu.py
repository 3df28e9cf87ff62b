"""Recipes on a graphics card, by PyTorch: all seeds of a recipe side by side, in seconds.

The network, the transforms and the steps are those of `helpers` and of `tools.optimizers`, written
once more for a card, which is kept busy by recording a step of all seeds as one CUDA graph. The
weights are one vector, in the order of Keras' `get_weights`. Products are computed in TF32: 32-bit
numbers, multiplied with 11 significant bits (bfloat16 was a fifth slower on an H200).
"""

import functools
import math
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F

from helpers import augmentation
from tools import train

# The trainable weights, in Keras' order and shapes.
SHAPES = [
    shape
    for kernel in ((3, 3, 1, 32), (3, 3, 32, 32), (3, 3, 32, 64), (3, 3, 64, 64), (1024, 512))
    for shape in (kernel, kernel[-1:], kernel[-1:], kernel[-1:])  # kernel, bias, gamma, beta
] + [(512, 10), (10,)]
ENDS = np.cumsum([0] + [math.prod(shape) for shape in SHAPES])
CHANNELS = [shape[-1] for shape in SHAPES[0:20:4]]  # of the five normalisation layers
EPSILON = 1e-3  # of the normalisation layers, as in Keras
MUON_KERNELS = (4, 8, 12)  # convolutions 2 to 4, among SHAPES


def describe_machine():
    """Return what a record says of the card: its name, PyTorch's version, the arithmetic."""
    name = torch.cuda.get_device_name()
    return {"machine": {"gpu": name, "torch": torch.__version__}, "computed_in": "tf32"}


class Run:
    """One seed of a recipe: its weights, its optimizer's numbers, and its own random numbers."""

    def __init__(self, recipe, seed, n, device):
        self.recipe, self.device, self.size = recipe, device, n
        self.random = torch.Generator(device).manual_seed(seed)
        self.weights = draw_weights(self.random, device).requires_grad_()
        self.first, self.second, self.average = (torch.zeros_like(self.weights) for _ in range(3))
        self.momenta = [torch.zeros(SHAPES[place], device=device) for place in MUON_KERNELS]
        self.means = [torch.zeros(channels, device=device) for channels in CHANNELS]
        self.variances = [torch.ones(channels, device=device) for channels in CHANNELS]
        self.order = torch.arange(n, device=device)
        self.place = torch.zeros((), dtype=torch.int64, device=device)  # in the epoch's order
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        steps = train.count_steps(recipe, n)
        self.rates = torch.tensor(schedule(recipe, steps), dtype=torch.float32, device=device)
        done = np.arange(1, steps + 1)
        unbiased = np.sqrt(1 - 0.999**done) / (1 - 0.9**done)
        self.unbiased = torch.tensor(unbiased, dtype=torch.float32, device=device)

    def shuffle(self):
        """Put the images into a new order, as at the start of an epoch."""
        keys = torch.rand(self.size, generator=self.random, device=self.device)
        self.order.copy_(keys.argsort())
        self.place.zero_()


def draw_weights(random, device):
    """Draw a network's first weights as Keras does: Glorot's uniform kernels, gamma 1, the rest 0.

    Args:
        random: a `torch.Generator` of the device.
        device: of PyTorch.

    Returns:
        float32 `(596,970,)`.
    """
    parts = []
    for place, shape in enumerate(SHAPES):
        if len(shape) > 1:
            limit = math.sqrt(6 / (math.prod(shape[:-1]) + math.prod(shape[:-2]) * shape[-1]))
            values = limit * (2 * torch.rand(shape, generator=random, device=device) - 1)
        else:
            values = torch.full(shape, float(place < 20 and place % 4 == 2), device=device)
        parts.append(values.flatten())
    return torch.cat(parts)


def schedule(recipe, steps):
    """Return the learning rate of each step: `helpers.training.one_cycle`, or a constant."""
    if recipe.schedule == "constant":
        return np.full(steps, recipe.peak)
    warm_up, step, low = max(1, steps // 5), np.arange(steps), recipe.peak / 25
    part = np.clip((step - warm_up) / max(1, steps - warm_up), 0, 1)
    rise = low + (recipe.peak - low) * step / warm_up
    return np.where(step < warm_up, rise, recipe.peak * (1 + np.cos(np.pi * part)) / 2)


@functools.cache
def knot_weights(knots, device):
    """Return `augmentation.knot_weights` on a device."""
    return torch.tensor(augmentation.knot_weights(knots).numpy(), device=device)


def transform(images, random, limits):
    """Rotate, zoom, shear, shift and perhaps bend images: `augmentation.random_transform`.

    Args:
        images: float32 `(n, 1, 28, 28)`.
        random: a `torch.Generator` of the images' device.
        limits: see `augmentation.random_transform`; `uneven` is not known here.

    Returns:
        float32 `(n, 1, 28, 28)`.
    """
    n, device = len(images), images.device

    def uniform(limit, *shape):
        return limit * (2 * torch.rand((n, *shape), generator=random, device=device) - 1)

    angle, shear = uniform(math.radians(limits["rotation"])), uniform(limits["shear"])
    scales, shift = 1 + uniform(limits["zoom"], 2), uniform(limits["shift"], 2)
    field = uniform(limits["elastic"], 2, 5, 5) if "elastic" in limits else None
    return resample(images, angle, scales, shear, shift, field)


def resample(images, angle, scales, shear, shift, field=None):
    """Resample each image by its own affine transform; arguments as in `augmentation`."""
    device = images.device
    column = torch.arange(28.0, device=device) - 13.5
    cos, sin = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
    scale_x, scale_y, shear = scales[:, :1, None], scales[:, 1:, None], shear[:, None, None]
    moved = column + shear * column[:, None]
    x = scale_x * (cos * moved - sin * column[:, None]) + 13.5 + shift[:, :1, None]
    y = scale_y * (sin * moved + cos * column[:, None]) + 13.5 + shift[:, 1:, None]
    if field is not None:
        knots = knot_weights(5, device)
        bent = torch.einsum("yi,ndij,xj->ndyx", knots, field, knots)
        x, y = x + bent[:, 0], y + bent[:, 1]
    outside = "zeros" if field is None else "border"
    places = torch.stack([x, y], dim=-1) * (2 / 27) - 1
    return F.grid_sample(images, places, padding_mode=outside, align_corners=True)


def read(run, weights, images, training):
    """Return the network's logits, `(n, 10)`, for float32 images `(n, 1, 28, 28)`."""
    parts = [
        part.view(shape)
        for part, shape in zip(weights.split(np.diff(ENDS).tolist()), SHAPES, strict=True)
    ]
    x = images.contiguous(memory_format=torch.channels_last)
    for layer in range(5):
        kernel, bias, gamma, beta = parts[4 * layer : 4 * layer + 4]
        if layer < 4:
            x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias)
        else:
            x = torch.addmm(bias, x.permute(0, 2, 3, 1).flatten(1), kernel)
        share = 1 - run.recipe.batch_norm_momentum
        running = run.means[layer], run.variances[layer]
        x = F.relu(F.batch_norm(x, *running, gamma, beta, training, share, EPSILON))
        x = F.max_pool2d(x, 2) if layer in (1, 3) else x
    if training and run.recipe.dropout:
        left = torch.rand(x.shape, generator=run.random, device=x.device) >= run.recipe.dropout
        x = x * left / (1 - run.recipe.dropout)
    return torch.addmm(parts[-1], x, parts[-2])


def train_step(run, images, labels, size, limits):
    """Take a step: the next `size` images of the run's order, their gradient, new weights."""
    chosen = run.order.index_select(0, run.place + torch.arange(size, device=run.device))
    batch = images.index_select(0, chosen).float()[:, None] / 255
    if limits:
        batch = transform(batch, run.random, limits)
    logits = read(run, run.weights, batch, True)
    smoothing = run.recipe.label_smoothing
    loss = F.cross_entropy(logits, labels.index_select(0, chosen), label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, run.weights)
    with torch.no_grad():
        update(run, gradient)
        run.place += size
        run.step += 1


def update(run, gradient):
    """Change a run's weights by its optimizer's step, as Keras does."""
    recipe, weights = run.recipe, run.weights
    rate = run.rates.index_select(0, run.step.view(1))
    if recipe.optimizer != "adam":
        weights.mul_(1 - recipe.weight_decay * rate)
    if recipe.optimizer == "sgd":
        run.first.mul_(0.9).sub_(rate * gradient)
        weights.add_(0.9 * run.first - rate * gradient)
    else:
        run.first.lerp_(gradient, 1 - 0.9)
        run.second.lerp_(gradient.square(), 1 - 0.999)
        alpha = rate * run.unbiased.index_select(0, run.step.view(1))
        change = alpha * run.first / (run.second.sqrt() + 1e-7)
        if recipe.optimizer == "muon":
            put_muon(run, gradient, change, rate)
        weights.sub_(change)
    if recipe.average:
        kept = recipe.average * (run.step > 0)
        run.average.copy_(kept * run.average + (1 - kept) * weights)


def put_muon(run, gradient, change, rate):
    """Put Muon's steps for convolutions 2 to 4 into a change of all weights."""
    for place, momentum in zip(MUON_KERNELS, run.momenta, strict=True):
        first, last, shape = ENDS[place], ENDS[place + 1], SHAPES[place]
        slope = gradient[first:last].view(shape)
        momentum.mul_(0.95).add_(slope)
        step = orthogonalise((slope + 0.95 * momentum).view(-1, shape[-1]))
        size = math.sqrt(max(step.shape)) * run.recipe.muon_rate
        change[first:last] = (rate * size * step).flatten()


def orthogonalise(matrix):
    """Make the singular values of a matrix equal, roughly: five steps of Newton and Schulz."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def record_graph(runs, images, labels, size, limits):
    """Record a step of all runs as a CUDA graph, each on a stream of its own; return its replay."""
    graph, streams = torch.cuda.CUDAGraph(), [torch.cuda.Stream() for _ in runs]
    for run in runs:
        graph.register_generator_state(run.random)
    with torch.cuda.graph(graph):
        here = torch.cuda.current_stream()
        for run, stream in zip(runs, streams, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                train_step(run, images, labels, size, limits)
            here.wait_stream(stream)
    return graph.replay


def prepare_step(runs, images, labels, size, limits):
    """Return a function that takes a step of all runs: a graph's replay, on a card."""

    def step():
        for run in runs:
            train_step(run, images, labels, size, limits)

    if images.device.type != "cuda":
        return step
    # Libraries that were never called before cannot be recorded.
    trial = Run(runs[0].recipe, 0, len(images), images.device)
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            trial.place.zero_()
            trial.step.zero_()
            train_step(trial, images, labels, size, limits)
    torch.cuda.current_stream().wait_stream(beside)
    torch.cuda.synchronize()
    return record_graph(runs, images, labels, size, limits)


def plan(recipe, n):
    """List the steps of each epoch: `(size, limits)` of its batches, as `tools.train` does."""
    for size, plain in train.plan(recipe):
        ends = [*range(0, n, size), n]
        change = round((1 - plain) * (len(ends) - 1))
        yield [
            (end - begin, recipe.limits if number < change else None)
            for number, (begin, end) in enumerate(pairwise(ends))
        ]


def train_together(recipe, images, labels, seeds, device="cuda"):
    """Train a recipe with several seeds at once.

    Args:
        recipe: a `tools.train.Recipe` without families.
        images: uint8 `(n, 28, 28)`.
        labels: integers `(n,)`.
        seeds: of the weights, the order, the transforms and dropout.
        device: of PyTorch.

    Returns:
        A list of `Run`, trained.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    images = torch.as_tensor(images, device=device)
    labels = torch.as_tensor(np.asarray(labels, np.int64), device=device)
    runs, steps = [Run(recipe, seed, len(images), images.device) for seed in seeds], {}
    for batches in plan(recipe, len(images)):
        for run in runs:
            run.shuffle()
        for size, limits in batches:
            key = size, limits is None
            if key not in steps:
                steps[key] = prepare_step(runs, images, labels, size, limits)
            steps[key]()
    for run in runs:
        finish(run, images)
    return runs


@torch.no_grad()
def finish(run, images):
    """Take the averaged weights, if there are any, and Keras' kind of variances."""
    if run.recipe.average:
        run.weights.copy_(run.average)
        for part in images[run.order[: 100 * 128]].split(128):
            read(run, run.weights, part.float()[:, None] / 255, True)
    size, _ = train.plan(run.recipe)[-1]
    run.variances[4].mul_(1 - 1 / size)  # PyTorch divides by n - 1; elsewhere n is large


@torch.no_grad()
def predict(run, images):
    """Read uint8 images `(n, 28, 28)`; return probabilities, float32 `(n, 10)`."""
    parts = torch.as_tensor(images, device=run.device).split(2_000)
    logits = [read(run, run.weights, part.float()[:, None] / 255, False) for part in parts]
    return torch.softmax(torch.cat(logits), dim=1).cpu().numpy()


def keras_weights(run):
    """Return a run's weights as `set_weights` of `model.build_model()` takes them: a list."""
    flat = run.weights.detach().cpu().numpy().copy()
    weights = []
    for place, shape in enumerate(SHAPES):
        weights.append(flat[ENDS[place] : ENDS[place + 1]].reshape(shape))
        if place < 20 and place % 4 == 3:
            running = run.means[place // 4], run.variances[place // 4]
            weights += [values.cpu().numpy().copy() for values in running]
    return weights
