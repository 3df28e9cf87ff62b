"""Work out how long the lessons take, section by section, and what fits into a workshop.

CPU seconds are those that `make measure` measured. Reading is counted: 150 words or ten lines of
code a minute. Exercises take the minutes that their headings say.
"""

import functools
import math
import re

import nbformat

from tools import lessons, overview, results

WORDS_A_MINUTE, LINES_A_MINUTE = 150, 10
OPENING = "Opening"
CLOSING = ("On your own", "Summary", "What's next", "Further reading")
ALL = "all"  # its sections
BREAK = "*break*"


def plan_part(part, breaks):
    """Return the steps of a plan that takes every lesson of a part.

    Args:
        part: its name in lessons.toml, which says what of each lesson is read together.
        breaks: minutes of a break after a lesson, by its number.
    """
    steps = []
    for lesson in lessons.read_lessons():
        if lesson.part == part:
            steps.append((lesson.number, "; ".join(lesson.together or [ALL])))
            steps += [(BREAK, breaks[lesson.number])] if lesson.number in breaks else []
    return steps


# Which sections of which notebook are read together, break by break, a break in minutes. Then what
# to drop first when time runs out.
PLANS = {
    "90 minutes": {
        "minutes": 90,
        "steps": [
            ("00", ALL),
            ("01", "Load the data and ask what it is; See ten of each"),
            (
                "02",
                "Convolve a patch by hand; Let Conv2D do it; Count before you look; "
                "Put the layers together",
            ),
            (
                "03",
                "Feed the network in batches; Choose what to minimise, and how; Train; "
                "Read the learning curves",
            ),
            ("04", "Open the test set, once; Put an interval around it"),
        ],
        "cuts": [("02", "Count before you look"), ("03", "Choose what to minimise, and how")],
    },
    "half a day": {
        "minutes": 210,
        "steps": [
            ("00", ALL),
            (
                "01",
                "Load the data and ask what it is; See ten of each; Look at the pixels; "
                "Split, and know what each part is for; Measure baselines; "
                "See what one per cent looks like",
            ),
            (BREAK, 10),
            (
                "02",
                "Convolve a patch by hand; Let Conv2D do it; Count before you look; "
                "ReLU: keep what is positive; Pooling: keep the strongest of four; "
                "Flatten and Dense: everything to everything; "
                "Softmax: from sums to probabilities; "
                "BatchNormalization: one layer, two behaviours; Put the layers together",
            ),
            (
                "03",
                "Feed the network in batches; Vary the images; Choose what to minimise, and how; "
                "Go downhill by hand; Break it: an epoch with the default momentum; "
                "Draw the learning rate; Train; Read the learning curves; "
                "Take the convolutions away",
            ),
            (BREAK, 10),
            (
                "04",
                "Open the test set, once; Put an interval around it; Count who is taken for whom",
            ),
            ("05", "See every mistake; Meet the disputed labels; Let the network abstain"),
        ],
        "cuts": [("05", "Let the network abstain"), ("02", "Softmax: from sums to probabilities")],
    },
    "a full day": {
        "minutes": 400,
        "steps": plan_part("I", {"01": 15, "02": 60, "03": 15}),
        "cuts": [("05", "Ask what the network was reminded of"), ("03", "Stop and resume")],
    },
    "a second day": {
        "minutes": 440,
        "steps": plan_part("II", {"07": 15, "08": 60, "10": 15}),
        "cuts": [("06", "Switch kernels off"), ("11", "Choose a format")],
    },
}


@functools.cache
def read(number):
    """Return the notebook of a lesson."""
    return nbformat.read(lessons.find_lesson(number).path, as_version=4)


def read_prose(number):
    """Return the Markdown of a lesson."""
    cells = read(number).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@functools.cache  # a table asks for the same lesson many times
def measure_sections(number):
    """Work out how long each section of a lesson takes.

    Args:
        number: of the lesson, such as "03".

    Returns:
        `{section: {"read": minutes, "exercises": minutes, "seconds": of the CPU}}`, in order.
    """
    path = lessons.find_lesson(number).path
    seconds = results.read_series().get(path.stem, {}).get("sections", {})
    sections, name = {}, OPENING
    for cell in read(number).cells:
        if "test" in cell.metadata.get("tags", ()):  # folded: it is ours, not the reader's
            continue
        for part in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            heading = re.match(r"## (.+)", part) if cell.cell_type == "markdown" else None
            name = heading[1].strip() if heading else name
            empty = {"read": 0, "exercises": 0, "seconds": seconds.get(name, 0)}
            _add_minutes(sections.setdefault(name, empty), part, cell.cell_type)
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


def add_up(number, what=ALL):
    """Add up sections of a lesson: `(read, exercises, CPU)` in whole minutes, none rounded down.

    Args:
        number: of the lesson.
        what: names of the sections, "; " between them; the opening, aside, always counts.
    """
    sections = measure_sections(number)
    names = [*sections] if what == ALL else [OPENING, *what.split("; ")]
    if unknown := set(names) - set(sections):
        raise ValueError(f"Notebook {number} has no section {', '.join(sorted(unknown))}.")
    read, exercises = (sum(sections[n][key] for n in names) for key in ("read", "exercises"))
    last = max(list(sections).index(name) for name in names)
    # What is not read is run all the same: later cells need what it makes.
    seconds = sum(section["seconds"] for section in list(sections.values())[: last + 1])
    return math.ceil(read), exercises, math.ceil(seconds / 60)


def count_reading(number):
    """Return the minutes that reading a lesson takes, a float."""
    return sum(section["read"] for section in measure_sections(number).values())


def state_reading(number):
    """Return the minutes that a lesson says its reading takes; `tools.claims` compares the two."""
    return state_minutes(number)[0]


def state_minutes(number):
    """Return what a lesson itself states, a list of texts: reading, exercises if any, CPU."""
    return [minutes for minutes in overview.read_times(read(number)).values() if minutes]


def count_exercises(number):
    """Return the minutes of a lesson's exercises."""
    return sum(section["exercises"] for section in measure_sections(number).values())


def render_plan(plan):
    """Write a plan as a Markdown table with the clock and the sum."""
    rows, clock = [], 0
    for number, what in plan["steps"]:
        start = f"{clock // 60}:{clock % 60:02}"
        if number == BREAK:
            rows.append(f"| {start} | {BREAK} | | | | | {what} |")
            clock += what
            continue
        minutes = add_up(number, what)
        cells = " | ".join(str(m) for m in minutes)
        rows.append(f"| {start} | {number} | {what} | {cells} | {sum(minutes)} |")
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
