"""What makes a check of an exercise: it prints what to think of an answer and never raises,
whatever it is given, so that Run All always finishes."""

import functools
import math

import numpy as np

NOT_ANSWERED = "Not answered yet. Put your answer in place of the `...` and run this cell again."


class NotYet(Exception):
    """An answer that is not right; the message names the misconception, never the solution."""


class NotAnswered(Exception):
    """The answer is still the stub."""


def exercise(judge):
    """Turn a function that judges an answer into a check that prints the verdict.

    The function returns why the answer matters if it is right, and raises `NotYet` if not.
    """

    @functools.wraps(judge)
    def check(answer=...):
        try:
            verdict = NOT_ANSWERED if answer is ... else f"Right. {judge(answer)}"
        except NotAnswered:
            verdict = NOT_ANSWERED
        except NotYet as reason:
            verdict = f"Not yet. {reason}"
        except (Exception, SystemExit) as error:  # an answer is a reader's own code
            verdict = f"Not yet. Your answer stops with {describe_error(error)}"
        print(verdict)

    return check


def expect_number(answer, right, misconceptions, tolerance=0.001, otherwise=None, slack=0.002):
    """Raise `NotYet` unless a number is right; `misconceptions` maps wrong ones to causes."""
    given = number(answer)
    if abs(given - right) <= tolerance:
        return
    near = min(misconceptions, key=lambda wrong: abs(wrong - given), default=math.inf)
    if math.isclose(given, near, rel_tol=slack, abs_tol=1e-9):
        raise NotYet(misconceptions[near])
    size = "too large" if given > right else "too small"
    raise NotYet(otherwise or f"{given:,.6g} is {size}. The hint shows the way.")


def expect_share(answer, right, misconceptions, tolerance, otherwise=None, slack=0.0006):
    """Do as `expect_number` for a share; 98.7 is taken for 98.7 %."""
    given = number(answer)
    percent = 1 < given <= 100 and given not in misconceptions
    share = given / 100 if percent else given
    if abs(share - right) <= tolerance:
        return
    near = min(misconceptions, key=lambda wrong: abs(wrong - share))
    if abs(near - share) <= slack:
        raise NotYet(misconceptions[near])
    if not 0 <= share <= 1:
        raise NotYet("A share lies between 0 and 1.")
    size = "too large" if share > right else "too small"
    raise NotYet(otherwise or f"{share:.4g} is {size}. The hint shows the way.")


def number(answer):
    """Return a Python, NumPy or TensorFlow number as a float."""
    if answer is ...:
        raise NotAnswered
    if answer is None:
        raise NotYet("Your answer is None. Does your function return something?")
    values = np.asarray(answer)
    if isinstance(answer, str | bool) or values.size != 1 or values.dtype.kind not in "iuf":
        raise NotYet(f"Give one number; yours is of the type {type(answer).__name__}.")
    number = float(values.reshape(()))
    if not math.isfinite(number):
        raise NotYet(f"Your answer is {number}, which is no finite number.")
    return number


def array(answer, shape=None):
    """Return a list, an array or a tensor of numbers as an array."""
    if answer is ...:
        raise NotAnswered
    if answer is None:
        raise NotYet("Your function returns None. Does it end with `return`?")
    values = np.asarray(answer)
    if values.dtype.kind not in "iufb":
        raise NotYet("Your function should return numbers.")
    if shape is not None and values.shape != shape:
        raise NotYet(f"The result should have the shape {shape}, yours has {values.shape}.")
    return values


def choices(answer, names, words):
    """Return what a dict chooses for each name, one of the words, in any case."""
    if not isinstance(answer, dict):
        raise NotYet("Give the dict that the cell begins with.")
    given = {name: answer.get(name, ...) for name in names}
    if any(word is ... for word in given.values()):
        raise NotAnswered
    given = {name: str(word).strip().lower() for name, word in given.items()}
    if not set(given.values()) <= set(words):
        *first, last = (f'"{word}"' for word in words)
        raise NotYet(f"Use the words {', '.join(first)} and {last}.")
    return given


def call(function, *arguments):
    """Call a reader's function; say so if it is none, or if it is still the stub."""
    if function is None:
        raise NotYet("Your answer is None. Give the function itself, without calling it.")
    if not callable(function):
        raise NotYet("Give the function itself, its name without brackets.")
    result = function(*arguments)
    if result is ...:
        raise NotAnswered
    return result


def activation(layer):
    """Return the name of a layer's activation, if it has one that does something."""
    kind, function = type(layer).__name__.lower(), getattr(layer, "activation", None)
    name = kind if kind in ("relu", "softmax") else getattr(function, "__name__", "linear")
    return None if name == "linear" else name


def pair(element):
    """Return a batch's images and labels as arrays."""
    if not isinstance(element, tuple) or len(element) != 2:
        raise NotYet("A batch should be a pair of images and labels.")
    return tuple(np.asarray(part) for part in element)


def shape(array):
    """Write a shape as 3 × 2."""
    return " × ".join(str(size) for size in array.shape)


def describe_error(error):
    """Write an error in one line, even one that cannot be printed."""
    try:
        text = (str(error).strip() or "no message").splitlines()[0][:120]
    except Exception:
        text = "no message"
    return f"{type(error).__name__}: {text}"
