"""Draw the map of the lessons in 00 from their list: `python -m tools.overview`."""

import re

import nbformat

from helpers.files import write_text
from tools import lessons

START, END = "<!-- lessons -->", "<!-- end -->"
HEAD = (
    "| Notebook | The question it answers | Read | Exercises | CPU, at most |\n" + "|---" * 5 + "|"
)


def read_times(notebook):
    """Return the minutes that a lesson's opening states, a dict of texts.

    Returns:
        `{"read": "35", "exercises": "19", "cpu": "1"}`; None for what it does not state.
    """
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    time = prose.partition("**Time**")[2].partition("\n\n")[0]
    patterns = {
        "read": r"(\d+) minutes to read",
        "exercises": r"(\d+) for the exercises",
        "cpu": r"(?:less than|up to) (\d+) minutes?",
    }
    found = {name: re.search(pattern, time) for name, pattern in patterns.items()}
    return {name: match and match[1] for name, match in found.items()}


def render_map():
    """Write the lessons of each part as a Markdown table."""
    parts = []
    for name, part in lessons.read_parts().items():
        rows = [row(lesson) for lesson in lessons.read_lessons() if lesson.part == name]
        if rows:
            title = f"**{name} {part['title']}** ({part['time']}): {part['promise']}."
            parts.append("\n".join([title, "", HEAD, *rows]))
    return "\n\n".join(parts)


def row(lesson):
    """Write a lesson's row."""
    times = read_times(nbformat.read(lesson.path, as_version=4)).values()
    minutes = " | ".join(f"{time} min" if time else "–" for time in times)
    link = f"[{lesson.number} {lesson.title}]({lesson.path.name})"
    return f"| {link} | {lesson.question} | {minutes} |"


def fill(text):
    """Put the map between its markers; a text without them is returned as it is."""
    pattern = rf"(?<={START}\n\n).*?(?=\n\n{END})"
    return re.sub(pattern, lambda _: render_map(), text, flags=re.DOTALL)


def fill_first_lesson():
    """Put the map into the first lesson; what the lesson shows stays."""
    path = lessons.read_lessons()[0].path
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = fill(cell.source)
    write_text(path, nbformat.writes(notebook).rstrip("\n") + "\n")


if __name__ == "__main__":
    fill_first_lesson()
