"""Work out how long the lessons take, section by section, and what fits into a workshop.

CPU seconds are those that `make measure` measured. Reading is counted: 150 words or ten lines of
code a minute. Exercises take the minutes that their headings say.
"""

import functools
import json
import math
import re

from tools import lessons

MEASURED = lessons.ROOT / "benchmarks" / "notebooks.json"
WORDS_A_MINUTE, LINES_A_MINUTE = 150, 10
OPENING = "Opening"
CLOSING = ("On your own", "Summary", "What's next", "Further reading")


def plan_part(part, breaks):
    """Return the steps of a plan that takes every lesson of a part.

    Args:
        part: its name in lessons.toml, which says what of each lesson is read together.
        breaks: minutes of a break after a lesson, by its number.
    """
    steps = []
    for lesson in lessons.read_lessons():
        if lesson.part == part:
            steps.append((lesson.number, lesson.together))
            steps += [(None, breaks[lesson.number])] if lesson.number in breaks else []
    return steps


# Which sections of which notebook are read together, break by break; None is all of them. A step
# without a notebook is a break, in minutes. Then what to drop first when time runs out.
PLANS = {
    "90 minutes": {
        "minutes": 90,
        "steps": [
            ("00", None),
            ("01", ["Load the data and ask what it is", "See ten of each"]),
            (
                "02",
                [
                    "Convolve a patch by hand",
                    "Let Conv2D do it",
                    "Count before you look",
                    "Put the layers together",
                ],
            ),
            (
                "03",
                [
                    "Feed the network in batches",
                    "Choose what to minimise, and how",
                    "Train",
                    "Read the learning curves",
                ],
            ),
            ("04", ["Open the test set, once", "Put an interval around it"]),
        ],
        "cuts": [("02", "Count before you look"), ("03", "Choose what to minimise, and how")],
    },
    "half a day": {
        "minutes": 210,
        "steps": [
            ("00", None),
            (
                "01",
                [
                    "Load the data and ask what it is",
                    "See ten of each",
                    "Look at the pixels",
                    "Split, and know what each part is for",
                    "Measure baselines",
                    "See what one per cent looks like",
                ],
            ),
            (None, 10),
            (
                "02",
                [
                    "Convolve a patch by hand",
                    "Let Conv2D do it",
                    "Count before you look",
                    "ReLU: keep what is positive",
                    "Pooling: keep the strongest of four",
                    "Flatten and Dense: everything to everything",
                    "Softmax: from sums to probabilities",
                    "BatchNormalization: one layer, two behaviours",
                    "Put the layers together",
                ],
            ),
            (
                "03",
                [
                    "Feed the network in batches",
                    "Vary the images",
                    "Choose what to minimise, and how",
                    "Go downhill by hand",
                    "Break it: an epoch with the default momentum",
                    "Draw the learning rate",
                    "Train",
                    "Read the learning curves",
                    "Take the convolutions away",
                ],
            ),
            (None, 10),
            (
                "04",
                [
                    "Open the test set, once",
                    "Put an interval around it",
                    "Count who is taken for whom",
                ],
            ),
            ("05", ["See every mistake", "Meet the disputed labels", "Let the network abstain"]),
        ],
        "cuts": [("05", "Let the network abstain"), ("02", "Softmax: from sums to probabilities")],
    },
    "a full day": {
        "minutes": 400,
        "steps": [
            ("00", None),
            ("01", None),
            (None, 15),
            ("02", None),
            (None, 60),
            ("03", None),
            (None, 15),
            ("04", None),
            ("05", None),
        ],
        "cuts": [("05", "Ask what the network was reminded of"), ("03", "Stop and resume")],
    },
    "a second day": {
        "minutes": 440,
        "steps": plan_part("II", {"07": 15, "08": 60, "10": 15}),
        "cuts": [("06", "Switch kernels off"), ("11", "Choose a format")],
    },
}


@functools.cache  # a table asks for the same lesson many times
def measure_sections(number):
    """Work out how long each section of a lesson takes.

    Args:
        number: of the lesson, such as "03".

    Returns:
        `{section: {"read": minutes, "exercises": minutes, "seconds": of the CPU}}`, in order.
    """
    path = lessons.find_lesson(number).path
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))["notebooks"]
    seconds = measured.get(path.stem, {"sections": {}})["sections"]
    sections, name = {}, OPENING
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        kind, source = cell["cell_type"], "".join(cell["source"])
        if "test" in cell["metadata"].get("tags", ()):  # folded: it is ours, not the reader's
            continue
        for part in re.split(r"^(?=## )", source, flags=re.MULTILINE):
            heading = re.match(r"## (.+)", part) if kind == "markdown" else None
            name = heading[1].strip() if heading else name
            found = sections.setdefault(
                name, {"read": 0, "exercises": 0, "seconds": seconds.get(name, 0)}
            )
            _add_minutes(found, part, kind)
    return sections


def _add_minutes(section, text, cell_type):
    """Add to a section what a part of a cell takes."""
    exercise = re.search(r"^### Exercise .+\((\d+) minutes\)", text, re.MULTILINE)
    if cell_type == "markdown" and exercise:
        section["exercises"] += int(exercise[1])
    elif cell_type == "markdown":
        section["read"] += len(text.split()) / WORDS_A_MINUTE
    elif "preflight.setup()" not in text and "checks.check_" not in text:
        section["read"] += len(text.splitlines()) / LINES_A_MINUTE


def add_up(number, names=None):
    """Add up sections of a lesson: `(read, exercises, CPU)` in whole minutes, none rounded down.

    Args:
        number: of the lesson.
        names: of the sections, the opening aside, which always counts; None is all.
    """
    sections = measure_sections(number)
    unknown = set(names or ()) - set(sections)
    if unknown:
        raise ValueError(f"Notebook {number} has no section {', '.join(sorted(unknown))}.")
    chosen = [sections[name] for name in (sections if names is None else [OPENING, *names])]
    read, exercises = (sum(section[key] for section in chosen) for key in ("read", "exercises"))
    last = max(list(sections).index(name) for name in (names or sections))
    # What is not read is run all the same: later cells need what it makes.
    seconds = sum(section["seconds"] for section in list(sections.values())[: last + 1])
    return math.ceil(read), exercises, math.ceil(seconds / 60)


def count_reading(number):
    """Return the minutes that reading a lesson takes, a float."""
    return sum(section["read"] for section in measure_sections(number).values())


def state_reading(number):
    """Return the minutes that a lesson says its reading takes; `tools.claims` compares the two."""
    stated = re.search(r"(\d+) minutes to read", read_opening(number))
    return int(stated[1]) if stated else max(5, 5 * round(count_reading(number) / 5))


@functools.cache
def read_opening(number):
    """Return what a lesson says before its first section."""
    cells = json.loads(lessons.find_lesson(number).path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return "\n\n".join(texts).partition("\n## ")[0]


def count_exercises(number):
    """Return the minutes of a lesson's exercises."""
    return sum(section["exercises"] for section in measure_sections(number).values())


def render_plan(plan):
    """Write a plan as a Markdown table with the clock and the sum."""
    rows, clock = [], 0
    for number, what in plan["steps"]:
        start = f"{clock // 60}:{clock % 60:02}"
        if number is None:
            rows.append(f"| {start} | *break* | | | | | {what} |")
            clock += what
            continue
        minutes = add_up(number, what)
        sections = "all" if what is None else "; ".join(what)
        cells = " | ".join(str(m) for m in minutes)
        rows.append(f"| {start} | {number} | {sections} | {cells} | {sum(minutes)} |")
        clock += sum(minutes)
    left = plan["minutes"] - clock
    rows.append(f"| {clock // 60}:{clock % 60:02} | *questions* | | | | | {left} |")
    head = "| From | Notebook | Read together | Read | Exercises | CPU | Minutes |\n" + "|---" * 7
    return "\n".join([head + "|", *rows, "", _render_cuts(plan)])


def _render_cuts(plan):
    """Say what to drop first, and what that saves."""
    cuts = []
    for number, name in plan["cuts"]:
        section = measure_sections(number)[name]
        cuts.append(f"{number} {name} ({math.ceil(section['read'] + section['exercises'])} min)")
    return f"If you are late, run these without reading them, in this order: {'; '.join(cuts)}."


def render_sections():
    """Write all sections of all lessons as a Markdown table."""
    rows = []
    for number in (lesson.number for lesson in lessons.read_lessons()):
        for name, section in measure_sections(number).items():
            if name not in CLOSING:
                read, seconds = max(1, round(section["read"])), round(section["seconds"])
                exercises = section["exercises"] or ""
                rows.append(f"| {number} | {name} | {read} | {exercises} | {seconds or '<1'} |")
    head = "| | Section | Read (min) | Exercises (min) | CPU (s) |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])
