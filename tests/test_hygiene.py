"""What every notebook, page and helper keeps to, found by reading the files."""

import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import lessons
from tools.clean import METADATA, SETUP

ROOT = Path(__file__).resolve().parents[1]
PATHS = lessons.list_notebooks()
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in PATHS}
LESSONS = [name for name in NOTEBOOKS if not name.endswith("_solutions")]

OPENING = ("**You will**", "**After this notebook you can**", "**You need**", "**Time**")
CLOSING = ["Summary", "What's next", "Further reading"]
BANNED = r"\b(simply|just|easy|easily|obvious|obviously|trivial|trivially|of course)\b"
MACHINE_PATH = r"(?<![\w.~$}/-])/(work|root|tmp|home|Users)/\w"


# Reading -------------------------------------------------------------------------------------


def code_cells(notebook):
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(markdown):
    """Return Markdown without its code."""
    without_blocks = re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", without_blocks)


def markdown_cells(notebook):
    """Return `(cell number, prose)` of the Markdown cells."""
    cells = enumerate(notebook.cells)
    return [(i, prose(cell.source)) for i, cell in cells if cell.cell_type == "markdown"]


def headings(markdown):
    """Return `(level, text)` of each heading."""
    text = re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#{1,6}) (.+)$", text, re.MULTILINE)]


def notebook_headings(notebook):
    """Return `(level, text)` of each heading of a notebook."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return headings("\n\n".join(sources))


def git_files():
    """Return the files that are tracked or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def is_tagged(cell):
    """Tell whether nbval leaves a cell's outputs alone."""
    return "nbval-ignore-output" in cell.metadata.get("tags", [])


# Checks of a notebook, each returning its findings ------------------------------------------


def check_executed(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"executed as {counts}"]


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
    sections = [text for level, text in notebook_headings(notebook) if level == 2]
    return [] if sections[-3:] == CLOSING else [f"the last sections are {sections[-3:]}"]


def check_cell_lengths(notebook):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    found = [f"In [{i}] has {n} lines" for i, n in enumerate(lengths, start=1) if n > 25]
    # The setup cell is folded, and the same in every notebook.
    read = [
        n for cell, n in zip(code_cells(notebook), lengths, strict=True) if SETUP not in cell.source
    ]
    mean = sum(read) / len(read)
    return found if 3 <= mean <= 9 else [*found, f"code cells have {mean:.1f} lines in the mean"]


def check_prose_before_code(notebook):
    found = []
    # Tests are folded: a reader does not see them.
    cells = [cell for cell in notebook.cells if "test" not in cell.metadata.get("tags", [])]
    for i, (before, cell) in enumerate(itertools.pairwise(cells), start=1):
        if cell.cell_type == "code" and before.cell_type == "code":
            after_setup = before is code_cells(notebook)[0]
            if not (after_setup or is_tagged(before)):
                found.append(f"cell {i}: code with no prose before it")
    return found


def check_bands(notebook):
    cells = code_cells(notebook)
    following = [*cells[1:], new_code_cell()]
    return [
        f"In [{cell.execution_count}] is not compared, and the next code cell asserts nothing"
        for cell, after in zip(cells, following, strict=True)
        if is_tagged(cell) and not re.search(r"^\s*assert ", after.source, re.MULTILINE)
    ]


def check_words(notebook):
    found = []
    for i, text in markdown_cells(notebook):
        found += [f"cell {i}: '{m[0]}'" for m in re.finditer(BANNED, text, re.IGNORECASE)]
        found += [f"cell {i}: {m[0]!r} reads as LaTeX" for m in re.finditer(r"\$[^$]+\$", text)]
    return found


def check_code(notebook):
    pattern = r"^\s*[!%].*|^\s*from \S+ import \*"
    return [
        f"In [{cell.execution_count}]: {match[0].strip()}"
        for cell in code_cells(notebook)
        for match in re.finditer(pattern, cell.source, re.MULTILINE)
    ]


CHECKS = (
    check_executed,
    check_no_errors,
    check_metadata,
    check_opening,
    check_closing,
    check_cell_lengths,
    check_prose_before_code,
    check_bands,
    check_words,
    check_code,
)

OF_LESSONS = (check_opening, check_closing)  # a solutions notebook has neither


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name, check):
    if name in LESSONS or check not in OF_LESSONS:
        assert check(NOTEBOOKS[name]) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_is_small(path):
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("name", LESSONS)
def test_number_of_code_cells(name):
    fewest, most = (5, 15) if name.startswith("00") else (15, 45)
    assert fewest <= len(code_cells(NOTEBOOKS[name])) <= most


def test_setup_cell_is_the_same_everywhere():
    cells = {name: [cell.source for cell in code_cells(nb)] for name, nb in NOTEBOOKS.items()}
    setup = next(iter(cells.values()))[0]
    assert {name for name, sources in cells.items() if sources[0] != setup} == set()
    assert {name for name, sources in cells.items() if sources.count(setup) != 1} == set()


# Each check on a notebook that breaks its rule ----------------------------------------------


def good_notebook():
    """Return a small notebook in which every check finds nothing."""
    code = "first = 1\nsecond = 2\nprint(first + second)"
    opening = [f"{marker} something" for marker in OPENING]
    opening.insert(3, "\n| What | Where |\n|---|---|\n| Python | here |\n")
    closing = [f"## {section}\n\nText." for section in CLOSING]
    cells = [
        new_markdown_cell("# Do it\n\n" + "\n".join(opening)),
        new_code_cell(code, execution_count=1),
        new_markdown_cell("## Look\n\nProse, `just` a name.\n\n```\n# %just\n```"),
        new_code_cell(code, execution_count=2, outputs=[figure(), printed()]),
        new_markdown_cell("\n\n".join(closing)),
    ]
    return new_notebook(cells=cells, metadata=METADATA)


def figure():
    """Return a figure as an output."""
    return new_output("display_data", data={"image/png": "iVBO", "text/plain": "<Figure>"})


def printed(name="stdout", text="3\n"):
    """Return a printed text as an output."""
    return new_output("stream", name=name, text=text)


def spoil(changes):
    """Return the good notebook with keys of cells changed: `{(cell, key): value}`."""
    notebook = good_notebook()
    for (i, key), value in changes.items():
        notebook.cells[i][key] = value
    return notebook


tagged = nbformat.from_dict({"tags": ["nbval-ignore-output"]})
opening_source = good_notebook().cells[0].source
BAD = [
    (check_executed, {(3, "execution_count"): 3}),
    (check_executed, {(1, "execution_count"): None}),
    (check_no_errors, {(1, "outputs"): [printed("stderr")]}),
    (check_no_errors, {(1, "outputs"): [new_output("error", ename="E", evalue="", traceback=[])]}),
    (check_metadata, {(1, "metadata"): nbformat.from_dict({"execution": {}})}),
    *((check_opening, {(0, "source"): opening_source.replace(m, "")}) for m in OPENING),
    (check_opening, {(0, "source"): opening_source.replace("|---|---|", "")}),
    (check_closing, {(4, "source"): "## Summary\n\n## Further reading\n\n## What's next"}),
    (check_cell_lengths, {(3, "source"): "x = 1\n" * 26}),
    (check_cell_lengths, {(1, "source"): "1", (3, "source"): "1"}),
    (check_prose_before_code, {(4, "cell_type"): "code"}),
    (check_bands, {(3, "metadata"): tagged}),
    (check_words, {(2, "source"): "This is Just so."}),
    (check_words, {(2, "source"): "Here $x^2$ grows."}),
    (check_code, {(1, "source"): "%matplotlib inline"}),
    (check_code, {(1, "source"): "!pip install x"}),
    (check_code, {(1, "source"): "from x import *"}),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check_passes_on_a_good_notebook(check):
    assert check(good_notebook()) == []


@pytest.mark.parametrize(("check", "changes"), BAD)
def test_check_fails_on_a_bad_notebook(check, changes):
    assert check(spoil(changes)) != []


def test_every_check_has_a_bad_notebook():
    assert {check for check, _ in BAD} == set(CHECKS)


# Links and images ----------------------------------------------------------------------------


class Tags(HTMLParser):
    """The links and images that are written as HTML inside Markdown."""

    def __init__(self, text):
        super().__init__()
        self.links, self.images = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append((attributes.get("alt") or "", attributes.get("src", "")))


def links_and_images(markdown):
    """Return link targets, and images as `(alt, target)`."""
    text = prose(markdown)
    tags = Tags(text)
    images = re.findall(r"!\[([^\]]*)\]\((\S+?)(?: \"[^\"]*\")?\)", text) + tags.images
    links = re.findall(r"\]\(([^\s)]+)(?: \"[^\"]*\")?\)", text) + tags.links
    return list(dict.fromkeys(links + [target for _, target in images])), images


def anchors(path):
    """Return the anchors that a Markdown file or notebook offers."""
    if path.suffix == ".ipynb":
        return {t.replace(" ", "-") for _, t in notebook_headings(nbformat.read(path, 4))}
    found = headings(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in found}


def check_links(markdown, path):
    """Return the links of a text in a file that lead nowhere, and images poorly described."""
    links, images = links_and_images(markdown)
    found = [f"says little: {alt!r} of {target}" for alt, target in images if len(alt.split()) < 3]
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            found.append(f"no such file: {link}")
        elif anchor and anchor not in anchors(file):
            found.append(f"no such heading: {link}")
    return found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_links_of_notebooks(path):
    cells = [cell.source for cell in NOTEBOOKS[path.stem].cells if cell.cell_type == "markdown"]
    assert check_links("\n\n".join(cells), path) == []


def test_links_of_markdown_files():
    files = [path for path in git_files() if path.suffix == ".md"]
    found = {p.name: check_links(p.read_text(encoding="utf-8"), p) for p in files}
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
        '<a href="none.md">a</a>',
        "[a](book.ipynb#do-it)",
    ],
)
def test_link_check_fails_on_a_bad_link(tmp_path, markdown):
    nbformat.write(good_notebook(), tmp_path / "book.ipynb")
    (tmp_path / "picture.png").touch()
    page = tmp_path / "page.md"
    good = "# A `b`: c\n\n[a](page.md#a-b-c) [b](book.ipynb#Do-it) ![d e f](picture.png) [e](https://f)"
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
    for path in git_files():
        if path.suffix in {".ipynb", ".md", ".json"}:
            text = path.read_text(encoding="utf-8")
            text = re.sub(r'"image/png": "[^"]*"', "", text)
            found[path.name] = re.findall(rf".{{,30}}{MACHINE_PATH}.{{,30}}", text)
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize("text", ["File '/tmp/a.py'", "see /root/main", '"/home/me/x"'])
def test_path_of_a_machine_is_seen(text):
    assert re.search(MACHINE_PATH, text)
    assert not re.search(MACHINE_PATH, "https://x.org/root/a and a/tmp/b and ~/root/")


def test_tracked_files_are_small_and_hold_no_data_set():
    names = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in git_files()}
    assert {name for name, size in names.items() if size > 5_000_000} == set()
    assert {name for name in names if re.search(r"ubyte|mnist\.npz|\.idx", name)} == set()
