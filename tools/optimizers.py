"""What takes the steps of a recipe: its optimizer, schedule and loss."""

import math
import re

import keras

from helpers import training


@keras.saving.register_keras_serializable("mnist_cnn")
class ConvolutionMuon(keras.optimizers.Muon):
    """Keras' Muon for the kernels of convolutions 2 to 4, a row per input; AdamW for the rest.

    Keras' own takes matrices only, so that it would leave every convolution to AdamW (Jordan and
    others, "Muon", 2024).
    """

    def _should_use_adamw(self, variable):
        return not re.search(r"conv2d_[2-4]/kernel", variable.path)

    def zeropower_via_newtonschulz5(self, x, steps):
        """Make the singular values of a kernel's gradient equal, roughly."""
        rows = keras.ops.reshape(x, (-1, x.shape[-1]))
        return keras.ops.reshape(super().zeropower_via_newtonschulz5(rows, steps), x.shape)

    def lr_adjust(self, x):
        """Scale a kernel's step as that of its matrix."""
        return x * math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * self.rms_rate


def compile_by(recipe, network, steps):
    """Compile a network by a recipe; with smoothed labels they must be one-hot.

    Args:
        recipe: a `train.Recipe`.
        network: what `build_model` returned.
        steps: batches in the whole run.
    """
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    network.compile(
        optimizer=make_optimizer(recipe, steps),
        loss=smoothed if recipe.label_smoothing else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def make_optimizer(recipe, steps):
    """Return the optimizer of a recipe, at the start of a run of so many steps."""
    rate, decay = recipe.peak, recipe.weight_decay
    if recipe.schedule == "one_cycle":
        rate = training.one_cycle(steps, rate)
    options = {"use_ema": True, "ema_momentum": recipe.average} if recipe.average else {}
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate, **options)
    options["weight_decay"] = decay
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **options)
    if recipe.optimizer == "muon":
        options |= {"adam_weight_decay": decay, "rms_rate": recipe.muon_rate}
        return ConvolutionMuon(rate, **options)
    return keras.optimizers.AdamW(rate, **options)


def refresh_normalization(network, dataset, batches=100):
    """Let a network's normalisation follow weights that were averaged, and never trained with.

    Args:
        network: what `build_model` returned, its weights averaged.
        dataset: what `training.make_dataset` returned.
        batches: how many to show it; the moving averages forget all but the last dozens.
    """
    for images, _ in dataset.take(batches):
        network(images, training=True)
