"""What each machine of one run does, its loop written out; `tools.two_machines` starts it.

Keras' `fit` fails under this strategy.
"""

import functools
import time

import keras
import numpy as np
import psutil
import tensorflow as tf
from keras import layers

from helpers import model, training

LEARNING_RATE = 0.01
LOOPBACK = ("lo", "lo0")  # Linux, macOS
COUNTERS = ("ms", "cpu_ms", "bytes")


def take_part(index, machines, images, labels, repeats):
    """Train from the same weights by every one of `KINDS`; then time what a step consists of.

    Args:
        index: of this machine.
        machines: how many there are; they share each batch of 128 images.
        images, labels: of all batches, uint8 `(n, 28, 28)` and `(n,)`; n is a multiple of 128.
        repeats: of everything that is timed; 0 times nothing.

    Returns:
        A dict: for each of `KINDS`, `weights`, the arrays before and after the run, and
        `collectives`, how often a step waits for the other machines; and `times`, see `measure`.
    """
    strategy = tf.distribute.get_strategy()
    if machines > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    batches = share_out(images, labels, index, machines)
    steps, weights, collectives = {}, {}, {}
    for kind, (normalization, dtype) in KINDS.items():
        network, steps[kind] = make_step(strategy, normalization, dtype)
        collectives[kind] = count_collectives(steps[kind], batches[0])
        weights[kind] = [read_weights(network)]
        for batch in batches:
            steps[kind](*batch)
        weights[kind].append(read_weights(network))
    times = measure(strategy, network, steps, batches[0], repeats) if repeats else {}
    return {"weights": weights, "collectives": collectives, "times": times}


def share_out(images, labels, index, machines):
    """Return this machine's images and labels of each batch, a list of two tensors each."""
    parts, size = (model.scale(images), labels), training.BATCH_SIZE
    return [
        [tf.constant(part[first : first + size][index::machines]) for part in parts]
        for first in range(0, len(images), size)
    ]


def normalize_by_all(**options):
    """Return a layer that normalises by mean and variance of the whole batch, on all machines."""
    return layers.BatchNormalization(synchronized=True, **options)


KINDS = {  # of runs: whose statistics normalise, and what the layers compute in
    "own": (model.BatchNormalization, "float32"),
    "global": (normalize_by_all, "float32"),
    "own, float64": (layers.BatchNormalization, "float64"),  # the fused kernel has no float64
    "global, float64": (normalize_by_all, "float64"),
}


def make_step(strategy, normalization, dtype):
    """Build the network from seed 0, and what trains it for a step.

    Args:
        strategy: of `tf.distribute`.
        normalization, dtype: see `model.build_model`.

    Returns:
        `(network, step)`; `step(images, labels)` takes this machine's part of a batch, float32
        `(n, 28, 28, 1)` and uint8 `(n,)`.
    """
    keras.utils.set_random_seed(0)
    with strategy.scope():
        network = model.build_model(dtype=dtype, normalization=normalization)
        network.get_layer("dropout_1").rate = 0  # each machine would draw its own
        optimizer = keras.optimizers.SGD(LEARNING_RATE)
        optimizer.build(network.trainable_variables)

    def train(images, labels):
        with tf.GradientTape() as tape:
            probabilities = network(images, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
            loss = tf.reduce_sum(losses) / training.BATCH_SIZE
        variables = network.trainable_variables
        # The optimizer adds up the gradients of all machines before it uses them.
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    return network, tf.function(lambda *batch: strategy.run(train, args=batch))


def read_weights(network):
    """Return the weights that are trained, a list of arrays."""
    return [variable.numpy() for variable in network.trainable_variables]


def count_collectives(step, batch):
    """Count the sums over all machines in a step."""
    graph = step.get_concrete_function(*batch).graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return sum(node.op.startswith("CollectiveReduce") for node in nodes)


def measure(strategy, network, steps, batch, repeats):
    """Time steps and, with several machines, the sums of a step alone.

    Returns:
        What `time_calls` returns for `own` and `global`, steps of either kind; alone also `half`,
        an `own` step with half the images; else `gradients` and `number`, the sum of all gradients
        and of a single number.
    """
    calls = {kind: functools.partial(steps[kind], *batch) for kind in ("own", "global")}
    if strategy.num_replicas_in_sync == 1:
        half = [part[: len(part) // 2] for part in batch]
        return time_calls(repeats, half=lambda: steps["own"](*half), **calls)
    shapes = [variable.shape for variable in network.trainable_variables]
    sums = {"gradients": make_sum(strategy, shapes), "number": make_sum(strategy, [()])}
    return time_calls(repeats, **calls, **sums)


def make_sum(strategy, shapes):
    """Return a function that adds up arrays of such shapes over all machines."""
    arrays = [tf.ones(shape) for shape in shapes]

    def add_up():
        parts = [tf.identity(array) for array in arrays]
        tf.distribute.get_replica_context().all_reduce("SUM", parts)

    return tf.function(lambda: strategy.run(add_up))


def time_calls(repeats, **calls):
    """Call functions in turn, so often, and return medians.

    Returns:
        A dict of name to a dict: `ms`; `cpu_ms`, how long this process' cores worked in that time,
        which other work on the computer hardly changes; `bytes`, sent over the loopback interface
        by all processes, NaN where the system does not count them.
    """
    for call in calls.values():
        call()
    seen = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            before = read_counters()
            call()
            seen[name].append(read_counters() - before)
    medians = {name: np.median(rows, axis=0).tolist() for name, rows in seen.items()}
    return {name: dict(zip(COUNTERS, row, strict=True)) for name, row in medians.items()}


def read_counters():
    """Return the time, that of this process' cores, in ms, and the bytes sent over loopback."""
    interfaces = psutil.net_io_counters(pernic=True)
    sent = [interfaces[name].bytes_sent for name in LOOPBACK if name in interfaces]
    times = 1e3 * time.perf_counter(), 1e3 * time.process_time()
    return np.array([*times, *sent, float("nan")][: len(COUNTERS)])
