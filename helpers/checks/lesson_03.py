"""The checks of lesson 03."""

import numpy as np

from helpers.checks.exercise import NotYet, entries, expect_number, number


def check_03_1(answer):
    """Count the steps of five epochs over 10,000 images in batches of 64."""
    misconceptions = {
        157: "That is one epoch. There are five.",
        156: "That is one epoch, and its last batch is missing.",
        780: "The last batch of an epoch is smaller, but it is a step too.",
        782: "Batches do not reach across epochs: round up in each epoch.",
        781: "Batches do not reach across epochs: round up in each epoch.",
        781.25: "There is no quarter of a step: round up in each epoch.",
        50_000: "That counts images. A step takes 64 of them.",
        640_000: "Divide by the size of the batch, do not multiply.",
    }
    expect_number(answer, 785, misconceptions)
    return "You will need such a count: the learning rate is planned for all steps beforehand."


def check_03_2(dataset):
    """Make a validation pipeline that shows the same images every time."""
    if not hasattr(dataset, "element_spec"):
        raise NotYet("Give the dataset that make_dataset returns.")
    batches, again = (list(dataset.take(3)) for _ in range(2))
    if not batches:
        raise NotYet("This dataset is empty.")
    if any(not isinstance(batch, tuple) or len(batch) != 2 for batch in batches):
        raise NotYet("A batch should be a pair of images and labels.")
    pairs = list(zip(batches, again, strict=True))
    if not all(np.array_equal(a[1], b[1]) for a, b in pairs):
        raise NotYet("The order changes from one pass to the next: it is still shuffled.")
    if not all(np.array_equal(a[0], b[0]) for a, b in pairs):
        raise NotYet("The same image comes out different the second time: it is still varied.")
    if (most := np.max(batches[0][0])) > 1:
        raise NotYet(f"The pixels go up to {most:.0f}. The network expects 0 to 1.")
    return "A ruler must not change its length: now a change of the score is the network's."


def check_03_3(judged):
    """Judge a short run with varied images by its own curves."""
    names = ("history", "best epoch", "gap")
    history, epoch, gap = entries(judged, names, "the answer as the dict")
    accuracies, validation_accuracies, losses, validation_losses = read_history(history)
    if accuracies[-1] > 0.995:
        raise NotYet("This run reads nearly all its training images: were they varied?")
    best = int(np.argmin(validation_losses)) + 1
    misconceptions = {
        best - 1: "Epochs count from 1, positions in a list from 0.",
        int(np.argmin(losses)) + 1: "There the loss in training is lowest. It cannot tell you.",
        int(np.argmax(validation_losses)) + 1: "There the loss in validation is highest.",
    }
    expect_number(epoch, best, misconceptions, otherwise="Where is the validation loss lowest?")
    right = accuracies[-1] - validation_accuracies[-1]
    misconceptions = {
        100 * right: "Give the gap as a share: 0.1 is ten points.",
        validation_losses[-1] - losses[-1]: "That is the gap of the losses. Take the accuracies.",
        max(accuracies) - max(validation_accuracies): "Take both in the last epoch.",
    }
    otherwise = "Take the accuracy in training minus that in validation, both in the last epoch."
    expect_number(gap, right, misconceptions, tolerance=0.0051, otherwise=otherwise)
    return "Varied images narrow the gap, and dim the training score: judge by validation."


def read_history(history):
    """Return the four lists of a run of at least ten epochs."""
    history = getattr(history, "history", history)  # what fit returns, or what is in it
    names = ("accuracy", "val_accuracy", "loss", "val_loss")
    if not isinstance(history, dict) or any(name not in history for name in names):
        raise NotYet('"history" should be what train_few returns.')
    if min(len(history[name]) for name in names) < 10:
        raise NotYet("That is too short to judge. Train as many epochs as the run above.")
    return [history[name] for name in names]


def check_03_4(plan):
    """Plan a fair comparison of two dropout rates."""
    names = ("measured on", "runs", "epochs")
    measured_on, runs, epochs = entries(plan, names, "the plan as the dict")
    measured_on, epochs = (str(text).strip().lower() for text in (measured_on, epochs))
    if measured_on.startswith("test"):
        raise NotYet("Choosing by the test set spoils it: its score would then be too good.")
    if measured_on.startswith("training"):
        raise NotYet("Choose by images that the network has not learned from.")
    if not measured_on.startswith("validation"):
        raise NotYet('"measured on" should be "training", "validation" or "test".')
    if number(runs) < 2:
        raise NotYet("One run each cannot tell dropout from the luck of a seed.")
    if number(runs) < 3:
        raise NotYet("Two runs each give a difference, but hardly a spread. Afford some more.")
    if epochs.startswith("more"):
        raise NotYet("If the epochs differ too, you cannot say which of the two made the change.")
    if not epochs.startswith(("the same", "same")):
        raise NotYet('"epochs" should be "the same" or "more for 0.4".')
    return "One change, several seeds, validation images: what is left may be called an effect."
