"""The checks of lesson 03."""

import numpy as np

from helpers.checks.exercise import NotAnswered, NotYet, exercise, expect_number, number, pair


@exercise
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


@exercise
def check_03_2(dataset):
    """Make a validation pipeline that shows the same images every time."""
    if not hasattr(dataset, "element_spec"):
        raise NotYet("Give the dataset that make_dataset returns.")
    first, second = ([pair(element) for element in dataset.take(3)] for _ in range(2))
    if not first:
        raise NotYet("This dataset is empty.")
    if any(not np.array_equal(a[1], b[1]) for a, b in zip(first, second, strict=True)):
        raise NotYet("The order changes from one pass to the next: it is still shuffled.")
    if any(not np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True)):
        raise NotYet("The same image comes out different the second time: it is still varied.")
    if first[0][0].max() > 1:
        raise NotYet(f"The pixels go up to {first[0][0].max():.0f}. The network expects 0 to 1.")
    return "A ruler must not change its length: now a change of the score is the network's."


@exercise
def check_03_3(answer):
    """Read from two curves after which epoch to stop."""
    if number(answer) in (1, 2, 3):
        raise NotYet("After that epoch the loss in validation still falls. Go on to the right.")
    misconceptions = {
        5: "Epoch 5 is the first that is worse. Which one would you like to have kept?",
        6: "By epoch 6 the loss in validation has risen twice.",
        7: "By epoch 7 the loss in validation has risen three times.",
        8: "The loss in training is lowest there. It cannot tell you when to stop.",
        0.014: "That is the lowest loss in training. It cannot tell you when to stop.",
        0.062: "That is the loss. In which epoch is it reached?",
        62: "That is the loss, times a thousand. In which epoch is it reached?",
    }
    expect_number(answer, 4, misconceptions)
    return "After it the network learns these images rather than digits: it overfits."


@exercise
def check_03_4(plan):
    """Plan a fair comparison of two dropout rates."""
    if not isinstance(plan, dict):
        raise NotYet("Give the plan as the dict that the cell begins with.")
    measured_on, runs, epochs = (plan.get(k, ...) for k in ("measured on", "runs", "epochs"))
    if measured_on is ... or runs is ... or epochs is ...:
        raise NotAnswered
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
