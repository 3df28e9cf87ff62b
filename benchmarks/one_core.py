"""Time training steps on one core, with several numbers of threads (Linux).

`python -m benchmarks.one_core 8` prints a line of JSON. A container often sees all cores of
its host but may use one; TensorFlow then starts a thread for each that it sees.
"""

import json
import sys
import time

import psutil

from helpers import preflight

STEPS = 60


def main(threads):
    """Print the milliseconds of a step; threads 0 leaves it to `load_tensorflow`."""
    psutil.Process().cpu_affinity([0])
    if threads:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    preflight.load_tensorflow()
    from helpers import data, model, training

    (images, labels), _ = data.load_mnist()
    dataset = training.make_dataset(images, labels, training=True)
    network = model.build_model(dtype=model.training_dtype())
    training.compile_model(network, steps=STEPS)
    network.fit(dataset.take(20), verbose=0, shuffle=False)
    start = time.perf_counter()
    network.fit(dataset.take(STEPS), verbose=0, shuffle=False)
    print(json.dumps({"step_ms": round((time.perf_counter() - start) / STEPS * 1000, 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
