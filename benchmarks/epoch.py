"""Time one epoch of the network of notebook 02, on 60,000 images, in a fresh process.

`python -m benchmarks.epoch project-bfloat16` prints a line of JSON. `bench.py` calls it for every
contender in turn.
"""

import json
import resource
import sys
import time
from functools import partial

BATCH_SIZE = 128
WARM_UP = 20  # batches before the clock starts: compiling is part of the time to an accuracy


def project(dtype, images, labels, transforms=False):
    """Return a function that trains an epoch as notebook 03 does, with or without transforms."""
    from helpers import augmentation, model, training

    limits = augmentation.LIMITS if transforms else None
    dataset = training.make_dataset(images, labels, training=True, limits=limits)
    network = model.build_model(dtype=dtype)
    training.compile_model(network, steps=2 * len(dataset))
    network.fit(dataset.take(WARM_UP), verbose=0, shuffle=False)
    return lambda: network.fit(dataset, verbose=0, shuffle=False)


def keras_as_it_comes(dtype, images, labels):
    """Return a function that trains an epoch with Keras' own layers, optimizer and loader."""
    import keras

    from helpers import model

    network = model.build_model(dtype=dtype, normalization=keras.layers.BatchNormalization)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = model.scale(images)
    first = WARM_UP * BATCH_SIZE
    network.fit(images[:first], labels[:first], batch_size=BATCH_SIZE, verbose=0)
    return lambda: network.fit(images, labels, batch_size=BATCH_SIZE, verbose=0)


def pytorch(dtype, images, labels):
    """Return a function that trains an epoch with PyTorch, channels last, its fastest setting here.

    `torch.compile` was slower: it compiles anew for the last, smaller batch.
    """
    import torch

    network = torch_network(torch).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    images = torch.from_numpy(images)[:, None].contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(labels).long()

    def train(n):
        for batch in torch.randperm(len(images))[:n].split(BATCH_SIZE):
            x = (images[batch].float() / 255).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                outputs = network(x)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(outputs.float(), labels[batch]).backward()
            optimizer.step()

    train(WARM_UP * BATCH_SIZE)
    return lambda: train(len(images))


def torch_network(torch):
    """Return the 21 layers in PyTorch, up to the softmax, which its loss contains."""
    nn, stack, channels = torch.nn, [], 1
    for number, filters in enumerate((32, 32, 64, 64), start=1):
        stack += [nn.Conv2d(channels, filters, 3), nn.BatchNorm2d(filters, 1e-3), nn.ReLU(True)]
        stack += [nn.MaxPool2d(2)] if number % 2 == 0 else []
        channels = filters
    stack += [nn.Flatten(), nn.Linear(1024, 512), nn.BatchNorm1d(512, 1e-3), nn.ReLU(True)]
    network = nn.Sequential(*stack, nn.Dropout(0.2), nn.Linear(512, 10))
    assert sum(p.numel() for p in network.parameters()) == 596_330
    return network


CONTENDERS = {
    "project-bfloat16": partial(project, "mixed_bfloat16"),
    "project-bfloat16-transforms": partial(project, "mixed_bfloat16", transforms=True),
    "keras-bfloat16": partial(keras_as_it_comes, "mixed_bfloat16"),
    "pytorch-bfloat16": partial(pytorch, "bfloat16"),
    "project-float32": partial(project, "float32"),
    "keras-float32": partial(keras_as_it_comes, "float32"),
    "pytorch-float32": partial(pytorch, "float32"),
}


def main(name):
    """Time an epoch of one contender; print seconds and the process' peak memory in MB."""
    from helpers import data, preflight

    if not name.startswith("pytorch"):
        preflight.load_tensorflow()
    (images, labels), _ = data.load_mnist()
    train = CONTENDERS[name](images, labels)
    start = time.perf_counter()
    train()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
    print(json.dumps({"seconds": round(seconds, 2), "peak_mb": peak}))


if __name__ == "__main__":
    main(sys.argv[1])
