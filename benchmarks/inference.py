"""Time the shipped network on the 10,000 test images, and on one image, in several ways.

`python -m benchmarks.inference` prints a line of JSON.
"""

import json
import time

import numpy as np
import tensorflow as tf

from helpers import data, model, model_files

BATCH_SIZE = 250


def ways(network, dtype):
    """Return the ways to call a network: a dict of functions from images to probabilities."""
    fast = model.build_model(dtype=dtype)
    fast.set_weights(network.get_weights())
    graph = tf.function(lambda images: fast(images, training=False))
    compiled = tf.function(lambda images: network(images, training=False), jit_compile=True)
    return {
        "predict": lambda images: network.predict(images, verbose=0),
        "direct call": lambda images: network(images, training=False).numpy(),
        "predict_on_batch": network.predict_on_batch,
        "graph, in the type of training": lambda images: graph(tf.constant(images)).numpy(),
        "graph, float32, compiled by XLA": lambda images: compiled(tf.constant(images)).numpy(),
    }


def time_all(read, images, batch_size):
    """Return the median seconds of five passes over all images, a batch at a time."""
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    return round(float(np.median(time_calls(lambda: [read(b) for b in batches], 5))), 3)


def time_one(read, image):
    """Return the median and the 99th percentile, in milliseconds, of 300 calls with an image."""
    seconds = time_calls(lambda: read(image), 300)
    return {
        "median_ms": round(float(np.median(seconds)) * 1e3, 3),
        "p99_ms": round(float(np.percentile(seconds, 99)) * 1e3, 3),
    }


def time_calls(call, n):
    """Call n times, after three times for warmth; return the seconds of each."""
    seconds = []
    for _ in range(n + 3):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds[3:]


def main():
    """Time every way and print the results; each must read as `predict` does."""
    _, (images, _) = data.load_mnist()
    images, results = model.scale(images), {}
    network = model_files.load_shipped_model()
    expected = network.predict(images[:BATCH_SIZE], verbose=0)
    for name, read in ways(network, model.training_dtype()).items():
        np.testing.assert_allclose(read(images[:BATCH_SIZE]), expected, atol=0.02)
        batch_size = len(images) if name == "predict" else BATCH_SIZE  # it cuts its own batches
        seconds = time_all(read, images, batch_size)
        results[name] = {"test_set_seconds": seconds, **time_one(read, images[:1])}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
