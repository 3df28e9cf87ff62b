"""The exercises' checks: stubs, misconceptions, right answers in any type, and junk."""

import ast
import inspect
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from helpers import checks

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SOLUTIONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*_solutions.ipynb"))
EXERCISE = r"^### (Exercise (\d\d)\.(\d): .+ \((\d+) minutes\))$"
CHECKS = {name: check for name, check in vars(checks).items() if name.startswith("check_")}

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers


def cnn(*last, normalization=True):
    """Return the network of exercise 02.4 with other last layers."""
    extra = [layers.BatchNormalization()] if normalization else []
    stack = [layers.Conv2D(8, 3), *extra, layers.Activation("relu"), layers.Flatten(), *last]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


def dataset(images, shuffle=False):
    """Return a pipeline as exercise 03.2 asks for, from float images."""
    pairs = tf.data.Dataset.from_tensor_slices((images, np.arange(len(images))))
    return (pairs.shuffle(len(images)) if shuffle else pairs).batch(64)


def plan(measured_on="validation", runs=5, epochs="the same"):
    """Return the plan of exercise 03.4."""
    return {"measured on": measured_on, "runs": runs, "epochs": epochs}


def varied():
    """Return a pipeline whose images differ from pass to pass, in the same order."""
    pixels = tf.random.Generator.from_seed(0)
    return dataset(np.zeros((256, 28, 28, 1), "float32")).map(
        lambda images, labels: (images + pixels.uniform(tf.shape(images)), labels)
    )


def judged(epoch=9, gap=0.05, last=0.95, epochs=12, **other):
    """Return an answer to exercise 03.3; its validation loss is lowest after epoch 9."""
    history = {
        "accuracy": [0.5] * (epochs - 1) + [last],
        "val_accuracy": [0.6] * (epochs - 2) + [0.95, last - 0.05],
        "loss": [1 - 0.05 * i for i in range(epochs)],
        "val_loss": [1 + 0.01 * (i - 8) ** 2 for i in range(epochs)],
    }
    return {"history": history, "best epoch": epoch, "gap": gap, **other}


def right_on(labels, first, second):
    """Return where each of two methods is right."""
    return first == labels, second == labels


def in_place(image):
    """Clip at 155 in the reader's own array, then add."""
    np.minimum(image, 155, out=image)
    return np.add(image, 100, out=image)


ones = np.zeros((256, 28, 28, 1), "float32")
noisy = np.random.default_rng(0).random((256, 28, 28, 1), "float32")
dense = layers.Dense

# For each check: right answers, and wrong ones with a word of the message that each must get.
ANSWERS = {
    "01_1": (
        [49.152, 49, 49.15, np.float32(49.152), tf.constant(49.152), np.array([49.152])],
        {12.288: "uint8", 98.304: "float64", 16.384: "channels", 49_152_000: "million"},
    ),
    "01_2": (
        [
            lambda image: np.clip(image.astype(int) + 100, 0, 255).astype("uint8"),
            lambda image: np.where(image > 155, 255, image + np.uint8(100)).astype(np.uint8),
            lambda image: tf.cast(tf.minimum(tf.cast(image, tf.int32) + 100, 255), tf.uint8),
        ],
        {
            (lambda image: np.clip(image + np.uint8(100), 0, 255)): "put into a uint8",
            (lambda image: image.astype(int) + 100): "the most a uint8",
            (lambda image: np.clip(image.astype(int) + 100, 0, 255)): "Return uint8",
            (lambda image: np.maximum(image, 100)): "Dark pixels",
            in_place: "changes the image",
            (lambda image: image[0]): "shape",
        },
    ),
    "01_3": (
        [
            lambda labels: np.bincount(labels).max() / len(labels),
            lambda labels: max(list(labels).count(x) for x in labels) / len(labels),
            lambda labels: tf.constant(
                np.unique(labels, return_counts=True)[1].max() / len(labels)
            ),
        ],
        {
            (lambda labels: np.bincount(labels).argmax()): "commonest class",
            (lambda labels: np.bincount(labels).max()): "Divide",
            (lambda labels: 100 * np.bincount(labels).max() / len(labels)): "percentage",
            (lambda labels: 1 / len(set(labels))): "equally common",
            (lambda labels: np.mean(labels == 1)): "certain digit",
            (lambda labels: 0.625): "all the same",
            (lambda labels: 0.62): "Do not round",
        },
    ),
    "02_1": (
        [
            [[-1, -1, 2], [-1, 2, -1], [2, -1, -1]],
            np.array([[-1, 0, 1.5], [-1, 1, -1], [1.5, 0, -1]]),
            tf.constant([[-1, -1, 2], [-1, 2, -1], [2, -1, -1]]),
        ],
        {
            tuple(map(tuple, np.fliplr(np.eye(3)))): "add up to",
            ((2, -1, -1), (-1, 2, -1), (-1, -1, 2)): "falling",
            ((-1, 2, -1), (-1, 2, -1), (-1, 2, -1)): "upright",
            ((-1, -1, -1), (2, 2, 2), (-1, -1, -1)): "level",
            ((0, 0, 0), (0, 0, 0), (0, 0, 0)): "nothing above 0",
            ((1, float("nan"), 0), (0, 0, 0), (0, 0, 0)): "finite",
            (1, 2, 3): "three rows",
        },
    ),
    "02_2": (
        [1_216, 1_216.0, np.int64(1_216), tf.constant(1_216), [1_216]],
        {1_200: "bias", 416: "one channel", 448: "3 × 3", 9_216: "come out", 1_203: "channel"},
    ),
    "02_3": (
        [0.35, 35, 0.349, np.float32(0.36), tf.constant(0.34)],
        {0.26: "own half", 0.52: "all of conv2d_2", 0.09: "Add", 0.5: "share of its filters"},
    ),
    "02_4": (
        [cnn(dense(10, activation="softmax")), cnn(dense(10), layers.Activation("softmax"))],
        {
            cnn(dense(10, activation="softmax"), normalization=False): "not among them",
            cnn(dense(10, activation="relu")): "add up to 1",
            cnn(dense(9, activation="softmax")): "parameters",
            cnn(dense(10, activation="relu"), layers.Softmax()): "'relu', 'relu', 'softmax'",
            keras.Sequential([layers.Flatten(), dense(10)]): "not built",
        },
    ),
    "03_1": (
        [785, 785.0, np.int32(785), tf.constant(785)],
        {157: "one epoch", 780: "smaller", 782: "across", 781.25: "quarter", 50_000: "images"},
    ),
    "03_2": (
        [dataset(noisy), dataset(ones)],
        {
            varied(): "varied",
            dataset(noisy, shuffle=True): "shuffled",
            dataset(255 * noisy): "0 to 1",
            dataset(noisy).map(lambda images, labels: images): "pair",
            dataset(noisy).take(0): "empty",
            tuple(noisy[:2, 0, 0, 0]): "make_dataset",
        },
    ),
    "03_3": (
        [judged(), judged(np.int64(9), np.float32(0.05)), judged(tf.constant(9), 0.048)],
        {
            ("judged", 8): "from 1",
            ("judged", 12): "training is lowest",
            ("judged", 1): "highest",
            ("judged", 9, 5): "ten points",
            ("judged", 9, 0.0): "both in the last epoch",
            ("judged", 9, 0.05, 1.0): "varied",
            ("judged", 9, 0.05, 0.95, 5): "too short",
        },
    ),
    "03_4": (
        [plan(), plan(runs=np.int64(10)), plan("Validation images", 3, "same")],
        {
            ("plan", "test", 5, "the same"): "spoils",
            ("plan", "training", 5, "the same"): "not learned",
            ("plan", "validation", 1, "the same"): "luck",
            ("plan", "validation", 2, "the same"): "spread",
            ("plan", "validation", 5, "more for 0.4"): "epochs differ",
            ("plan", "validation", 5, 3): '"epochs" should be',
            ("plan", "all images", 5, "the same"): '"measured on" should be',
        },
    ),
    "04_1": (
        [0.98736, 0.987, 98.7, np.float64(0.98736), tf.constant(0.98736)],
        {
            1: "upper end",
            0.95: "how often",
            0.99: "rule of thumb",
            0.0126: "begin",
            0.9967: "None was seen",
        },
    ),
    "04_2": (
        [36 / 52, 0.692, 69.2, np.float32(36 / 52), tf.constant(36 / 52)],
        {0.72: "recall", 0.8: "accuracy", 0.706: "F1", 0.24: "all images", 36: "count"},
    ),
    "04_3": (
        [
            lambda t, a, b: (((a == t) & (b != t)).sum(), ((b == t) & (a != t)).sum()),
            lambda t, a, b: np.array([((a == t) > (b == t)).sum(), ((b == t) > (a == t)).sum()]),
            lambda t, a, b: [
                tf.reduce_sum(tf.cast((a == t) & (b != t), tf.int32)),
                tf.reduce_sum(tf.cast((b == t) & (a != t), tf.int32)),
            ],
        ],
        {
            (lambda t, a, b: (((b == t) & (a != t)).sum(), ((a == t) & (b != t)).sum())): "swapped",
            (lambda t, a, b: ((a == t).sum(), (b == t).sum())): "correct answers",
            (lambda t, a, b: ((a != t).sum(), (b != t).sum())): "errors",
            (lambda t, a, b: ((a != b).sum(), (a != b).sum())): "Who is right",
            (lambda t, a, b: (len(a), len(b))): "length",
            (lambda t, a, b: (((a == t) != (b == t)).sum(),) * 2): "apart",
            (lambda t, a, b: (1, 0)): "ten images",
            (lambda t, a, b: 3): "shape",
        },
    ),
    "04_4": (
        [40_000, 4e4, np.int64(40_000), tf.constant(40_000)],
        {10_000: "up to about 19", 20_000: "grows too", 80_000: "smaller one", 5: "Choose one"},
    ),
    "05_1": (
        [
            lambda p: np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2],
            lambda p: [sorted(row)[-1] - sorted(row)[-2] for row in p],
            lambda p: tf.math.top_k(p, 2).values[:, 0] - tf.math.top_k(p, 2).values[:, 1],
        ],
        {
            (lambda p: p.max(axis=1)): "confidence",
            (lambda p: np.sort(p)[:, -2] - np.sort(p)[:, -1]): "sign",
            (lambda p: p.max() - p.min()): "one number",
            (lambda p: p.max(axis=0)): "4 images",
            (lambda p: p[:, 1] - p[:, 0]): "among its ten",
            (lambda p: p.sort(axis=1)): "changes the probabilities",
        },
    ),
    "05_2": (
        [
            lambda values, positions: np.delete(values, positions),
            lambda values, positions: values[~np.isin(np.arange(len(values)), positions)],
            lambda values, positions: [v for i, v in enumerate(values) if i not in positions],
        ],
        {
            (lambda values, positions: values[~np.isin(values, positions)]): "*values*",
            (lambda values, positions: values[positions]): "should go",
            (lambda values, positions: ~np.isin(np.arange(len(values)), positions)): "mask",
            (
                lambda values, positions: np.setdiff1d(np.arange(len(values)), positions)
            ): "positions",
            (lambda values, positions: values): "keep 5, 1, 9, 3",
        },
    ),
    "05_3": (
        [0.98, 98, np.float64(0.98), tf.constant(0.98)],
        {1: "36 errors", 0.99: "next 100", 0.95: "300 more", 0.02: "person", 0.5: "Choose one"},
    ),
}
RIGHT = [(name, answer) for name, (right, _) in ANSWERS.items() for answer in right]
WRONG = [(name, *pair) for name, (_, wrong) in ANSWERS.items() for pair in wrong.items()]


class Hostile:
    """An object of which nothing can be asked."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    __repr__ = __str__ = __eq__ = __array__ = __len__ = lambda *_: 1 / 0
    __hash__ = None


def stops():
    """Raise what a reader's `exit()` would."""
    raise SystemExit


JUNK = [
    None, "", "text", float("nan"), float("inf"), -1, 10**400, True, 1j, b"bytes", [], [1, 2], {},
    {1: ...}, (..., ...), object(), Hostile(), Hostile, np.array([]), np.array(["a"]), np.eye(2),
    ValueError("x"), lambda: 1, lambda *a: ..., lambda *a: None, lambda *a: "text", lambda *a: a,
    lambda *a: 1 / 0, lambda *a: stops(), lambda *a: Hostile(), np, keras.Sequential(),
    tf.constant("a"), tf.data.Dataset.range(3), [[1], [2, 3]], "conv2d", plan(runs="many"),
    plan(runs=None),
]  # fmt: skip


def verdict(capsys, name, *answer):
    """Return what a check prints; it returns nothing, so that a cell shows nothing else."""
    capsys.readouterr()
    assert CHECKS[f"check_{name}"](*answer) is None
    printed = capsys.readouterr().out
    assert printed.endswith("\n") and printed.count("\n") == 1, printed
    return printed.strip()


def made(answer):
    """Return a wrong answer; a dict is no key, so `plan` and `judged` are named with arguments."""
    makers = {"plan": plan, "judged": judged}
    named = isinstance(answer, tuple) and isinstance(answer[0], str) and answer[0] in makers
    return makers[answer[0]](*answer[1:]) if named else answer


def test_every_check_is_tested():
    assert set(CHECKS) == {f"check_{name}" for name in ANSWERS}


@pytest.mark.parametrize("name", ANSWERS)
def test_stub_is_not_answered_yet(capsys, name):
    for stub in ((), (...,)):
        assert verdict(capsys, name, *stub).startswith("Not answered yet")
    assert not verdict(capsys, name, None).startswith("Right")


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answer_in_any_type(capsys, name, answer):
    said = verdict(capsys, name, answer)
    assert said.startswith("Right. ") and len(said) > 50


@pytest.mark.parametrize(("name", "answer", "word"), WRONG)
def test_wrong_answer_names_the_misconception(capsys, name, answer, word):
    said = verdict(capsys, name, made(answer))
    assert said.startswith("Not yet. ") and word in said


@pytest.mark.parametrize("name", ANSWERS)
def test_each_misconception_has_its_own_message(capsys, name):
    wrong = [answer for other, answer, _ in WRONG if other == name]
    said = [verdict(capsys, name, made(answer)) for answer in wrong]
    assert len(set(said)) == len(said) >= 2


@pytest.mark.parametrize("name", ANSWERS)
def test_junk_gets_a_line_and_never_an_error(capsys, name):
    for junk in JUNK:
        said = verdict(capsys, name, junk)
        assert said.startswith(("Not yet. ", "Not answered yet.")), (junk, said)
        assert len(said) < 260


# Lessons and solutions ------------------------------------------------------------------------


def exercises(notebook):
    """Return the headings of a notebook's exercises."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return [match[1] for match in re.finditer(EXERCISE, text, re.MULTILINE)]


def calls(notebook):
    """Return the checks that a notebook calls, in order."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    trees = (node for source in sources for node in ast.walk(ast.parse(source)))
    names = [n.func.attr for n in trees if isinstance(n, ast.Call) and hasattr(n.func, "attr")]
    return [name for name in names if name.startswith("check_0")]


def printed(notebook):
    """Return the lines in which a notebook's checks say what they think."""
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    lines = "\n".join(o.get("text", "") for o in outputs).splitlines()
    return [line for line in lines if line.startswith(("Right. ", "Not yet. ", "Not answered"))]


def lesson_of(path):
    """Return the lesson that a solutions notebook belongs to."""
    return nbformat.read(path.with_stem(path.stem.removesuffix("_solutions")), as_version=4)


def test_lessons_01_to_05_have_solutions():
    assert [path.stem[:2] for path in SOLUTIONS] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_lesson_and_solutions_have_the_same_exercises(path):
    lesson, solutions = lesson_of(path), nbformat.read(path, as_version=4)
    assert 2 <= len(exercises(lesson)) <= 4
    assert exercises(lesson) == exercises(solutions)
    number = path.stem[:2]
    of_notebook = sorted(name for name in CHECKS if name.startswith(f"check_{number}"))
    assert calls(lesson) == calls(solutions) == of_notebook


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_lessons_are_unanswered_and_solutions_are_right(path):
    lesson, solutions = lesson_of(path), nbformat.read(path, as_version=4)
    assert [line[:9] for line in printed(solutions)] == [
        "Right. " + line[7:9] for line in printed(solutions)
    ]
    assert len(printed(solutions)) == len(exercises(solutions))
    assert not [line for line in printed(lesson) if line.startswith("Right")]
    assert len(printed(lesson)) == len(exercises(lesson))


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_the_stated_minutes_are_the_sum(path):
    lesson = lesson_of(path)
    minutes = sum(int(re.match(EXERCISE, f"### {e}")[4]) for e in exercises(lesson))
    opening = "\n\n".join(cell.source for cell in lesson.cells).partition("\n## ")[0]
    assert f"{minutes} for the exercises" in opening


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_each_exercise_has_a_folded_hint_and_own_ideas_follow(path):
    text = "\n\n".join(c.source for c in lesson_of(path).cells if c.cell_type == "markdown")
    hints = re.findall(r"<details>\n<summary>Hint</summary>\n\n.+\n\n</details>", text)
    assert len(hints) == len(re.findall(EXERCISE, text, re.MULTILINE))
    assert re.search(r"^## On your own$", text, re.MULTILINE)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem[:2])
def test_no_later_cell_depends_on_an_answer(path):
    cells = [cell.source for cell in lesson_of(path).cells if cell.cell_type == "code"]
    made_by_exercises, used = set(), set()
    for source in cells:
        names = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)]
        loaded = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        if "checks.check_" in source:
            functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
            made_by_exercises |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
            made_by_exercises |= set(functions)
        else:
            stored = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
            used |= (loaded - stored) & made_by_exercises
    assert used == set()


def test_checks_never_show_a_solution():
    """What a wrong answer is told holds no line of code of the solutions."""
    source = inspect.getsource(checks)
    for path in SOLUTIONS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "checks.check_" in cell.source:
                lines = [line.strip() for line in cell.source.splitlines() if "return " in line]
                assert not [line for line in lines if line in source]
