"""The one list of lessons, `lessons.toml`, and the notebooks that it names."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
LIST = ROOT / "lessons.toml"


@dataclass(frozen=True)
class Lesson:
    """A row of the list; a lesson without exercises has no solutions."""

    number: str  # two digits
    file: str  # of the notebook, without .ipynb
    part: str  # "I" or "II"
    title: str
    question: str
    able: str  # what a reader can do after it
    seconds: int  # on two quiet cores, at most
    memory_gb: float  # of its kernel, at most
    together: list[str] | None = None  # sections that a second day reads; None is all
    browser: bool = False  # whether the tests run it in a browser
    exercises: bool = True
    figure: str = ""  # the id of the cell whose figure stands for the lesson; else its first

    @property
    def path(self):
        """Return the path of the notebook."""
        return NOTEBOOKS / f"{self.file}.ipynb"

    @property
    def solutions(self):
        """Return the path of the notebook with the solutions."""
        return NOTEBOOKS / f"{self.file}_solutions.ipynb"

    @property
    def notebooks(self):
        """Return the lesson's notebooks, the solutions after the lesson."""
        return [self.path, *([self.solutions] if self.exercises else [])]


@functools.cache
def read_parts():
    """Return what the list says of the parts: `{"I": {"title": …, "time": …}, …}`."""
    return _read()["parts"]


@functools.cache
def read_lessons():
    """Return the lessons in their order, a list of `Lesson`."""
    return [Lesson(**row) for row in _read()["lesson"]]


def find_lesson(number):
    """Return the lesson with a number, such as "03"."""
    return next(lesson for lesson in read_lessons() if lesson.number == number)


def list_notebooks():
    """Return the paths of all notebooks of the series, in order."""
    return [path for lesson in read_lessons() for path in lesson.notebooks]


def _read():
    """Read the list."""
    return tomllib.loads(LIST.read_text(encoding="utf-8"))
