"""What every notebook, page and helper keeps to, found by reading the files."""

import copy
import itertools
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from reading import code_cells, files_of_git, markdown_of, read, text_of, without_blocks

from tools import lessons
from tools.clean import METADATA

ROOT = Path(__file__).resolve().parents[1]
PATHS = lessons.list_notebooks()
LESSONS = [lesson.file for lesson in lessons.read_lessons()]
IGNORED = "nbval-ignore-output"

OPENING = ("**You will**", "**After this notebook you can**", "**You need**", "**Time**")
CLOSING = ["Summary", "What's next", "Further reading"]
BANNED = r"\b(simply|just|easy|easily|obvious|obviously|trivial|trivially|of course)\b"
MACHINE_PATH = r"(?<![\w.~$}/-])/(?:work|root|tmp|home|Users)/\w.{,30}"


# Reading -------------------------------------------------------------------------------------


def prose(markdown):
    """Return Markdown without its code."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(markdown))


def markdown_cells(notebook):
    """Return `(cell number, prose)` of the Markdown cells."""
    cells = enumerate(notebook.cells)
    return [(i, prose(cell.source)) for i, cell in cells if cell.cell_type == "markdown"]


def headings(markdown):
    """Return `(level, text)` of each heading."""
    found = re.finditer(r"^(#{1,6}) (.+)$", without_blocks(markdown), re.MULTILINE)
    return [(len(match[1]), match[2].strip()) for match in found]


def is_tagged(cell):
    """Tell whether nbval leaves a cell's outputs alone."""
    return IGNORED in cell.metadata.get("tags", [])


# Checks of a notebook, each returning its findings ------------------------------------------


def check_executed(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"executed as {counts}"]


def check_setup(notebook):
    first, *others = [cell.source for cell in code_cells(notebook)]
    same = first == code_cells(read(PATHS[0]))[0].source and first not in others
    return [] if same else ["its first code cell is not the one of all others"]


def check_no_errors(notebook):
    return [
        f"In [{cell.execution_count}] shows an error or stderr"
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def check_metadata(notebook):
    found = [] if notebook.metadata == METADATA else [f"notebook metadata: {notebook.metadata}"]
    for i, cell in enumerate(notebook.cells):
        extra = set(cell.metadata) - {"tags", "slideshow", "jupyter"}
        found += [f"cell {i}: metadata {sorted(extra)}"] if extra else []
    return found


def check_opening(notebook):
    first_code = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    opening = "\n".join(text for i, text in markdown_cells(notebook) if i < first_code)
    found = [f"opening lacks {marker}" for marker in OPENING if marker not in opening]
    table = re.search(r"\*\*You need\*\*[^|]*\n\|.+\n\|[ :|-]+\n\|", opening)
    return found if table else [*found, "no table after **You need**"]


def check_closing(notebook):
    sections = [text for level, text in headings(markdown_of(notebook)) if level == 2]
    return [] if sections[-3:] == CLOSING else [f"the last sections are {sections[-3:]}"]


def check_number_of_cells(notebook):
    n = len(code_cells(notebook))
    return [] if n <= 45 else [f"{n} code cells"]


def check_cell_lengths(notebook):
    setup, *lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]  # folded
    found = [f"In [{i}] has {n} lines" for i, n in enumerate([setup, *lengths], 1) if n > 25]
    mean = sum(lengths) / len(lengths)
    return found if mean <= 9 else [*found, f"code cells have {mean:.1f} lines in the mean"]


def check_prose_before_code(notebook):
    # Tests are folded: a reader does not see them.
    cells = [cell for cell in notebook.cells if "test" not in cell.metadata.get("tags", [])]
    first = code_cells(notebook)[0]
    return [
        f"cell {i}: code with no prose before it"
        for i, (before, cell) in enumerate(itertools.pairwise(cells), start=1)
        if cell.cell_type == before.cell_type == "code"
        and not (before is first or is_tagged(before))
    ]


def check_bands(notebook):
    return [
        f"In [{cell.execution_count}] is not compared, and the next code cell asserts nothing"
        for cell, after in itertools.pairwise([*code_cells(notebook), new_code_cell()])
        if is_tagged(cell) and not re.search(r"^\s*assert ", after.source, re.MULTILINE)
    ]


def check_words(notebook):
    found = []
    for i, text in markdown_cells(notebook):
        found += [f"cell {i}: '{m[0]}'" for m in re.finditer(BANNED, text, re.IGNORECASE)]
        found += [f"cell {i}: {m[0]!r} reads as LaTeX" for m in re.finditer(r"\$[^$]+\$", text)]
    return found


def check_code(notebook):
    return [
        f"In [{cell.execution_count}]: {line.strip()}"
        for cell in code_cells(notebook)
        for line in re.findall(r"^\s*[!%].*", cell.source, re.MULTILINE)
    ]


def check_lines(notebook):
    # A line of words and numbers stands below the figures of a cell.
    found = []
    for place, cell in enumerate(notebook.cells):
        outputs = cell.get("outputs", [])
        pictures = [i for i, o in enumerate(outputs) if "image/png" in o.get("data", {})]
        printed = "".join(o.get("text", "") for i in pictures[-1:] for o in outputs[i:]).strip()
        line = next(iter(printed.splitlines()), "")
        told = re.search(r"\d", line) and len(re.findall(r"[^\W\d]{2,}", line)) >= 3
        found += [f"cell {place}: {line!r}"] if pictures and not told else []
    return found


FIGURE = new_output("display_data", data={"image/png": "iVBO"})
# Each with what breaks it in a notebook that keeps them all.
CHECKS = {
    check_executed: lambda cells, code: code.update(execution_count=None),
    check_no_errors: lambda cells, code: code.outputs.append(new_output("error")),
    check_metadata: lambda cells, code: code.metadata.update(execution={}),
    check_opening: lambda cells, code: cells[0].update(source="# Do it"),
    check_closing: lambda cells, code: cells.append(new_markdown_cell("## More")),
    check_setup: lambda cells, code: code.update(source="x = 1"),
    check_number_of_cells: lambda cells, code: cells.extend([new_code_cell()] * 50),
    check_cell_lengths: lambda cells, code: code.update(source="x = 1\n" * 26),
    check_prose_before_code: lambda cells, code: cells.extend([new_code_cell()] * 2),
    check_bands: lambda cells, code: code.metadata.update(tags=[IGNORED]),
    check_words: lambda cells, code: cells[0].update(source="This is Just so."),
    check_code: lambda cells, code: code.update(source="!pip install x"),
    check_lines: lambda cells, code: code.outputs.append(FIGURE),
}

OF_LESSONS = (check_opening, check_closing)  # not of solutions


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook(path):
    checks = CHECKS if path.stem in LESSONS else set(CHECKS) - set(OF_LESSONS)
    found = {check.__name__: check(read(path)) for check in checks}
    assert {name: findings for name, findings in found.items() if findings} == {}
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_committed_outputs_need_neither_scripts_nor_widgets(path):
    for cell in code_cells(read(path)):
        assert not re.search(r"plot_model|graphviz|pydot|ipywidgets", cell.source)
        for data in (output.data for output in cell.outputs if "data" in output):
            assert {"text/plain"} <= set(data) <= {"text/plain", "text/html", "image/png"}
            assert not re.search(r"<(script|iframe|object)|src=", data.get("text/html", ""))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check_fails_on_a_bad_notebook(check):
    notebook = copy.deepcopy(read(PATHS[1]))
    assert check(notebook) == []
    CHECKS[check](notebook.cells, code_cells(notebook)[0])
    assert check(notebook) != []


# Links and images ----------------------------------------------------------------------------


def anchors(path):
    """Return the anchors that a Markdown file or notebook offers."""
    texts = [text for _, text in headings(text_of(path))]
    if path.suffix == ".ipynb":
        return {text.replace(" ", "-") for text in texts}
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def check_links(markdown, path):
    """Return the links of a text in a file that lead nowhere, and images poorly described."""
    text = prose(markdown)
    images = re.findall(r"!\[([^\]]*)\]", text)
    found = [f"says little: {alt!r}" for alt in images if len(alt.split()) < 3]
    found += [f"not in Markdown: {tag}" for tag in re.findall(r"<(?:a|img) [^>]*", text)]
    for link in re.findall(r"\]\(([^\s)]+)", text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            found.append(f"no such file: {link}")
        elif anchor and anchor not in anchors(file):
            found.append(f"no such heading: {link}")
    return found


def test_links():
    paths = [path for path in files_of_git() if path.suffix == ".md" or path in PATHS]
    found = {path.name: check_links(text_of(path), path) for path in paths}
    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.parametrize(
    "markdown",
    [
        "[a](none.md)",
        "[a](page.md#None)",
        "[a](#none)",
        "![](picture.png)",
        "![a b c](none.png)",
        '<img src="picture.png">',
        "[a](book.ipynb#summary)",
    ],
)
def test_link_check_fails_on_a_bad_link(tmp_path, markdown):
    nbformat.write(read(PATHS[0]), tmp_path / "book.ipynb")
    (tmp_path / "picture.png").touch()
    page = tmp_path / "page.md"
    good = "# A `b`: c\n\n[a](page.md#a-b-c) [b](book.ipynb#Summary) ![d e f](picture.png) [e](https://f)"
    page.write_text(good, encoding="utf-8")
    assert check_links(good, page) == []
    assert len(check_links(markdown, page)) == 1


# The rest of the project ----------------------------------------------------------------------


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command):
    pytest.importorskip("ruff")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_path_of_a_machine():
    found = {}
    for path in files_of_git():
        if path.suffix in {".ipynb", ".md", ".json"}:
            text = path.read_text(encoding="utf-8")
            text = re.sub(r'"image/png": "[^"]*"', "", text)
            found[path.name] = re.findall(MACHINE_PATH, text)
    assert {name: places for name, places in found.items() if places} == {}
    assert re.search(MACHINE_PATH, "File '/tmp/a.py'")
    assert not re.search(MACHINE_PATH, "https://x.org/root/a and a/tmp/b and ~/root/")


def test_tracked_files_are_small_and_hold_no_data_set():
    names = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files_of_git()}
    assert {name for name, size in names.items() if size > 5_000_000} == set()
    assert {name for name in names if re.search(r"ubyte|mnist\.npz|\.idx", name)} == set()
