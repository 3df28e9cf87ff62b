"""Measure how fast this machine multiplies matrices: the rate that an epoch may come near."""

import json
import statistics
import time

from helpers import preflight

SIZE = 2048


def main():
    """Print gigaflops (1e9 multiplications and additions a second) in float32 and bfloat16."""
    preflight.load_tensorflow()
    import tensorflow as tf

    multiply, rates = tf.function(tf.matmul), {}
    for dtype in ("float32", "bfloat16"):
        matrix = tf.cast(tf.random.normal((SIZE, SIZE)), dtype)
        seconds = []
        for _ in range(20):
            start = time.perf_counter()
            multiply(matrix, matrix)
            seconds.append(time.perf_counter() - start)
        rates[dtype] = round(2 * SIZE**3 / statistics.median(seconds) / 1e9, 1)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
