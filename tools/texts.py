"""Read what the texts say and what the lessons show: prose by cell, numbers of code and outputs."""

import dataclasses
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field

from tools import lessons, numbers, publish


@dataclass
class Page:
    """A text with numbers: the Markdown cells of a notebook, or a file as its only cell."""

    name: str  # from the project's folder
    cells: list  # of `(number, section, text)`
    evidence: dict = field(default_factory=dict)  # value: [(section, Number), …]
    lesson: lessons.Lesson | None = None
    copied: str = ""  # the text of the lesson that solutions may repeat

    @property
    def prose(self):
        """Return all its Markdown."""
        return "\n\n".join(text for _, _, text in self.cells)


def read_pages():
    """Return all pages: lessons, solutions and files, a list of `Page`."""
    files = [lessons.ROOT / name for name in publish.PAGES]
    pages = [Page(_name(path), [(0, 0, path.read_text(encoding="utf-8"))]) for path in files]
    for lesson in lessons.read_lessons():
        main = read_notebook(lesson.path, lesson)
        pages.append(main)
        if lesson.exercises:
            solved = read_notebook(lesson.solutions, lesson)
            solved.copied = main.prose
            for value, shown in main.evidence.items():
                solved.evidence[value] = [(0, n) for _, n in shown] + solved.evidence.get(value, [])
            pages.append(solved)
    return pages


def read_notebook(path, lesson=None):
    """Read a notebook into a `Page`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    cells, evidence, section = [], defaultdict(list), 0
    for number, cell in enumerate(content["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            section += len(re.findall(r"^## ", source, re.MULTILINE))
            cells.append((number, section, source))
        for text in [source, *read_outputs(cell)] if cell["cell_type"] == "code" else []:
            for shown in numbers.find_shown(text):
                take_evidence(evidence, section, shown)
    return Page(_name(path), cells, dict(evidence), lesson)


def read_outputs(cell):
    """Return the texts of a code cell's outputs; of a table as HTML, a line for each row."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if table := "".join(data.get("text/html", "")):
            table = re.sub(r"<style.*?</style>", "", table, flags=re.DOTALL)
            rows = re.sub(r"<[^>]*>", " ", table.replace("\n", " ").replace("</tr>", "\n"))
            yield "\n".join(" ".join(row.split()) for row in rows.splitlines())
        else:
            yield "".join(output.get("text", "")) or "".join(data.get("text/plain", ""))


def take_evidence(evidence, section, shown):
    """Note a number that is shown, each part of a shape too, and 0.05 as 5 % as well."""
    evidence[shown.values].append((section, shown))
    value = shown.values[0]
    if len(shown.values) == 1 and value < 1 and "." in shown.text:
        share = dataclasses.replace(shown, unit="%")
        evidence[(round(100 * value, 6),)].append((section, share))


def _name(path):
    """Return a path as it is called from the project's folder."""
    return path.relative_to(lessons.ROOT).as_posix()
