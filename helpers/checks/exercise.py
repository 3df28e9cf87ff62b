"""What makes a check of an exercise: it prints what to think of an answer and never raises,
whatever it is given, so that Run All always finishes.

A lesson's `check_NN_K` judges an answer that is not the stub: it raises `NotYet`, or returns why
the answer matters. `helpers.checks` makes a check of each.
"""

import copy
import functools
import math

import numpy as np

NOT_ANSWERED = "Not answered yet. Put your answer in place of the `...` and run this cell again."


class NotYet(Exception):
    """An answer that is not right; the message names the misconception, never the solution."""


class NotAnswered(Exception):
    """The answer is still the stub."""


def make_check(judge):
    """Turn a function that judges an answer into a check that prints the verdict."""

    @functools.wraps(judge)
    def check(answer=...):
        try:
            verdict = NOT_ANSWERED if answer is ... else f"Right. {judge(answer)}"
        except NotAnswered:
            verdict = NOT_ANSWERED
        except NotYet as reason:
            verdict = f"Not yet. {reason}"
        except (Exception, SystemExit) as error:  # an answer is a reader's own code
            said = (str(error).strip() or "no message").splitlines()[0][:120]
            verdict = f"Not yet. Your answer stops with {type(error).__name__}: {said}"
        print(verdict)

    return check


def expect_number(
    answer, right, misconceptions, tolerance=0.001, otherwise=None, rel_tol=0.002, abs_tol=1e-9
):
    """Raise `NotYet` unless a number is right; `misconceptions` maps wrong ones to causes.

    A wrong one is recognised within `rel_tol` or `abs_tol`, as `math.isclose` has it.
    """
    given = number(answer)
    if abs(given - right) <= tolerance:
        return
    near = min(misconceptions, key=lambda wrong: abs(wrong - given), default=math.inf)
    if math.isclose(given, near, rel_tol=rel_tol, abs_tol=abs_tol):
        raise NotYet(misconceptions[near])
    size = "too large" if given > right else "too small"
    raise NotYet(otherwise or f"{given:,.6g} is {size}. The hint shows the way.")


def expect_share(answer, right, misconceptions, tolerance, otherwise=None, slack=0.0006):
    """Do as `expect_number` for a share; 98.7 is taken for 98.7 %.

    A wrong one is recognised within `slack`.
    """
    share = number(answer)
    if 1 < share <= 100:
        share /= 100
    if not 0 <= share <= 1:
        raise NotYet("A share lies between 0 and 1.")
    expect_number(share, right, misconceptions, tolerance, otherwise, rel_tol=0, abs_tol=slack)


def expect_array(given, right, misconceptions, otherwise):
    """Raise `NotYet` unless an array is right; `misconceptions` maps causes to wrong ones."""

    def is_like(other):
        return given.shape == np.shape(other) and np.allclose(given, other, atol=1e-4)

    for cause, wrong in misconceptions.items():
        if is_like(wrong):
            raise NotYet(cause)
    if not is_like(right):
        raise NotYet(otherwise)


def expect_choices(answer, right, words, misconceptions):
    """Raise `NotYet` unless a dict chooses the right one of the words for each name.

    Args:
        answer: the reader's dict; words count in any case.
        right: `{name: word}`.
        words: all there are to choose from.
        misconceptions: maps a name and a wrong word, or a name alone, to what to say.
    """
    given = [str(word).strip().lower() for word in entries(answer, right)]
    if not set(given) <= set(words):
        raise NotYet(f"Use the words {_listed(words, 'and')}.")
    for name, word in zip(right, given, strict=True):
        if word != right[name]:
            cause = misconceptions.get((name, word)) or misconceptions[name]
            raise NotYet(f"{name}: {cause}")


def number(answer):
    """Return a Python, NumPy or TensorFlow number as one of Python's."""
    if answer is None:
        raise NotYet("Your answer is None. Does your function return something?")
    values = np.asarray(answer)
    if values.size != 1 or values.dtype.kind not in "iuf":
        raise NotYet(f"Give one number; yours is of the type {type(answer).__name__}.")
    number = values.item()
    if not math.isfinite(number):
        raise NotYet(f"Your answer is {number}, which is no finite number.")
    return number


def array(answer, shape=None):
    """Return a list, an array or a tensor of numbers as an array."""
    if answer is None:
        raise NotYet("Your function returns None. Does it end with `return`?")
    values = np.asarray(answer)
    if values.dtype.kind not in "iufb":
        raise NotYet("Your function should return numbers.")
    if shape is not None and values.shape != shape:
        raise NotYet(f"The result should have the shape {shape}, yours has {values.shape}.")
    return values


def entries(answer, names, what="the dict"):
    """Return what a reader's dict holds for each of the names."""
    if not isinstance(answer, dict):
        raise NotYet(f"Give {what} that the cell begins with.")
    given = [answer.get(name, ...) for name in names]
    if any(value is ... for value in given):
        raise NotAnswered
    return given


def word_and_number(answer, words, ask, first="The first of the two"):
    """Return one of the words, which counts in any case, and the number that is given with it.

    `ask` is what to say to an answer that is no pair, `first` begins what to say of another word.
    """
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet(ask)
    if answer[0] is ... or answer[1] is ...:
        raise NotAnswered
    chosen = [word for word in words if word.lower() == str(answer[0]).strip().lower()]
    if not chosen:
        raise NotYet(f"{first} should be {_listed(words, 'or')}.")
    return chosen[0], answer[1]


def call(function, *arguments, if_changed=None):
    """Call a reader's function with copies; say so if it is none, or if it is still the stub.

    `if_changed` is what to say to a function that changes the arrays that it is given.
    """
    if function is None:
        raise NotYet("Your answer is None. Give the function itself, without calling it.")
    if not callable(function):
        raise NotYet("Give the function itself, its name without brackets.")
    given = copy.deepcopy(arguments)
    result = function(*given)
    if result is ...:
        raise NotAnswered
    if if_changed and not all(map(np.array_equal, given, arguments)):
        raise NotYet(if_changed)
    return result


def _listed(words, conjunction):
    """Write words in quotes, with "and" or "or" before the last one."""
    *first, last = (f'"{word}"' for word in words)
    return f"{', '.join(first)} {conjunction} {last}"
