"""Train a recipe and note the test accuracy after each epoch, with the seconds since the start.

`python -m benchmarks.to_accuracy quick 0` prints a line of JSON. The clock starts before
the data are loaded, TensorFlow being imported; compiling and the evaluations count. The peers'
recipes are written from their published descriptions.
"""

import json
import sys
import time

import keras
import numpy as np
from keras import layers

from helpers import data, model, training
from tools import scores, train


class Race(keras.callbacks.Callback):
    """Note how many of the test images are read correctly after each epoch, and when."""

    def __init__(self, images, labels, start):
        super().__init__()
        self.images, self.labels, self.start, self.rows = images, labels, start, []

    def on_epoch_end(self, epoch, logs=None):
        self.note(model.predict(self.model, self.images))

    def note(self, probabilities):
        accuracy = scores.measure(probabilities, self.labels)["accuracy"]
        seconds = round(time.perf_counter() - self.start, 2)
        self.rows.append({"seconds": seconds, "accuracy": accuracy})


def keras_example(images, labels, race, seed):
    """Train Keras' MNIST convnet example: 15 epochs on the first 54,000 images, no transforms.

    Its own validation after each epoch, on the other 6,000, is left out: the test images take its
    place.
    """
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    kept = len(images) * 9 // 10
    one_hot = keras.utils.to_categorical(labels[:kept], 10)
    images = model.scale(images[:kept])
    network.fit(images, one_hot, batch_size=128, epochs=15, callbacks=[race], verbose=0)


def lineage_2017(images, labels, race, seed):
    """Train this network as the tutorial of 2017 did: Adam, batches of 64, 5 epochs, Keras' layers.

    Its generator's transforms (8° of rotation, shifts and zoom of 8 %, 0.3° of shear) are made by
    this project's pipeline, which is faster than the generator was.
    """
    limits = {"rotation": 8.0, "zoom": 0.08, "shear": 0.005, "shift": 0.08 * 28}
    dataset = training.make_dataset(
        images, labels, training=True, batch_size=64, seed=seed, limits=limits
    )
    network = model.build_model(0.99, normalization=layers.BatchNormalization)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(dataset.take(60_000 // 64), epochs=5, shuffle=False, callbacks=[race], verbose=0)


def train_mnist_fast(images, labels, race, seed):
    """Train what T. Oikarinen's train_mnist_fast describes: 99 % in one epoch, in PyTorch.

    The fastest published recipe that was found (2021; 0.76 s on a laptop's graphics card). The rate
    rises and falls linearly, with its peak in the middle; all else that the description leaves open
    is PyTorch's default.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    )  # fmt: skip
    optimizer, steps = torch.optim.Adam(network.parameters(), 0.01, (0.7, 0.9)), len(images) // 256
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - abs(2 * (step + 1) / (steps + 2) - 1)
    )
    digits = torch.from_numpy(standardise(images))
    labels = torch.from_numpy(labels).long()
    for batch in torch.randperm(len(digits)).split(256):
        loss = nn.functional.cross_entropy(network(digits[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    with torch.no_grad():
        race.note(network(torch.from_numpy(standardise(race.images))).numpy())


def standardise(images):
    """Scale images as PyTorch's own MNIST example does: float32 `(n, 1, 28, 28)`."""
    return (model.scale(images)[:, np.newaxis, :, :, 0] - 0.1307) / 0.3081


PEERS = {
    "train_mnist_fast": train_mnist_fast,
    "keras-example": keras_example,
    "lineage-2017": lineage_2017,
}


def run(name, images, labels, race, seed):
    """Train by a recipe of this project or by that of a peer."""
    if name in PEERS:
        PEERS[name](images, labels, race, seed)
    else:
        train.train(train.RECIPES[name], images, labels, seed, callbacks=[race])


def main(name, seed):
    """Run one recipe with one seed and print what its race noted."""
    start = time.perf_counter()
    keras.utils.set_random_seed(seed)
    (images, labels), test = data.load_mnist()
    race = Race(*test, start)
    run(name, images, labels, race, seed)
    print(json.dumps(race.rows))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
