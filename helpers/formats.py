"""A trained network in other formats: converted to LiteRT, and read without TensorFlow."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np

from helpers import preflight

INSTALL = "python -m pip install -r requirements-export.txt"


def to_litert(network, kind="float32", calibration=None):
    """Convert a network to LiteRT, the format of phones and small computers.

    Args:
        network: a Keras model that takes float32 `(n, 28, 28, 1)`.
        kind: "float32"; "float16", weights of 16 bits; "dynamic int8", weights of 8 bits; or "full
            int8", what passes between the layers too.
        calibration: for full int8 float32 `(n, 28, 28, 1)`, some hundred training images, from
            which the range of what passes each layer is taken.

    Returns:
        bytes, to be written to a file as they are.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "full int8":
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with quiet():
        return converter.convert()


def open_litert(model):
    """Open a LiteRT model with `ai-edge-litert`, a few megabytes, or else with TensorFlow.

    Args:
        model: the path of a `.tflite` file, or its bytes.

    Returns:
        A function that reads on one core: uint8 `(n, 28, 28)`, 0 (paper) to 255 (ink), to
        probabilities, float32 `(n, 10)`, or whatever the network answers with for each.

    Raises:
        ValueError: it is no LiteRT model.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    content = model if isinstance(model, bytes) else Path(model).read_bytes()
    with quiet():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def read_one(image):
        interpreter.set_tensor(into["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])[0]

    return lambda images: read_each(read_one, images, out["shape"][-1])


def open_onnx(path):
    """Open an ONNX model with ONNX Runtime, which must be installed; else as `open_litert`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: read_each(lambda image: session.run(None, {name: image})[0][0], images)


def read_each(read_one, images, answers=10):
    """Read images one by one: float32 `(1, 28, 28, 1)`, 0 to 1, to so many answers each."""
    scaled = images[:, np.newaxis, :, :, np.newaxis].astype("float32") / 255
    return np.array([read_one(image) for image in scaled], "float32").reshape(-1, answers)


@contextlib.contextmanager
def quiet():
    """Hold back what a converter says, in whatever way it says it."""
    logging.disable(logging.WARNING)
    try:
        with (
            preflight.quiet_stderr(),
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
