"""Sum up, by kind of operation, where the time of training steps goes.

`python -m benchmarks.profile_step` prints a line of JSON: milliseconds a step, on TensorFlow's own
profiler with one operation at a time, for this project's layers and for Keras' in both types.
"""

import collections
import json
import tempfile
from pathlib import Path

from helpers import preflight

STEPS = 50
# The first that a name contains decides; a name is scope and kind: `…/conv2d_2/BiasAdd:_Mkl…`.
KINDS = {
    "adam": "optimizer",
    "batch_normalization": "batch normalization",
    "Conv2DBackpropFilter": "convolutions, gradient of the kernels",
    "Conv2DBackpropInput": "convolutions, gradient of the inputs",
    "Conv2D": "convolutions, forward",
    "MatMul": "dense layers",
    "MaxPool": "pooling",
    "ReluGrad": "ReLU, gradient",
}


def profile(dtype, normalization):
    """Return the milliseconds a step of each kind, for one network."""
    import tensorflow as tf

    from helpers import data, model, training

    (images, labels), _ = data.load_mnist()
    dataset = training.make_dataset(images, labels, training=True)
    network = model.build_model(dtype=dtype, normalization=normalization)
    training.compile_model(network, steps=1000)
    network.fit(dataset.take(STEPS), verbose=0, shuffle=False)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        network.fit(dataset.take(STEPS), verbose=0, shuffle=False)
        tf.profiler.experimental.stop()
        sums = collections.Counter()
        for name, milliseconds in read_events(next(Path(folder).rglob("*.xplane.pb"))):
            sums[next((KINDS[k] for k in KINDS if k in name), "the rest")] += milliseconds / STEPS
    return {name: round(value, 2) for name, value in sums.most_common()}


def read_events(path):
    """Yield `(name, milliseconds)` of every operation of a training step in a profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in (plane for plane in space.planes if "CPU" in plane.name):
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            if name.startswith("StatefulPartitionedCall/"):
                yield name, event.duration_ps / 1e9


def main():
    """Print the profiles of the four combinations."""
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)
    preflight.load_tensorflow()
    from keras import layers

    from helpers import model

    normalizations = {"fused": model.BatchNormalization, "keras": layers.BatchNormalization}
    results = {
        f"{name}-{dtype}": profile(dtype, normalization)
        for name, normalization in normalizations.items()
        for dtype in dict.fromkeys((model.training_dtype(), "float32"))
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
