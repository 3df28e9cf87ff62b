"""The runner: the whole series on the sample, and what it does with notebooks that fail."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from reading import read

pytest.importorskip("colorspacious", reason="install tests/requirements.txt")
import figures

from tools import clean, execute, lessons, measure, offline_pack
from tools import run as runner

ROOT = Path(__file__).resolve().parents[1]
LESSONS = [lesson.file for lesson in lessons.read_lessons()]
SERIES = [path.stem for path in lessons.list_notebooks()]
pytestmark = pytest.mark.slow
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """What a browser would load for a page, and how its images are described."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.descriptions, self.links = [], [], []
        self.feed(text)
        self.loads += re.findall(r"@import[^;]*|url\(\s*['\"]?(?!data:|#)[^)]*\)", text)
        self.loads += re.findall(r"import\(\s*['\"]http[^)]*\)", text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        for name, value in attributes.items():
            if (tag, name) in LOADED and not value.startswith("data:"):
                self.loads.append(f"{tag} {name}={value}")
        if tag == "img":
            self.descriptions.append(attributes.get("alt") or "")
        if tag == "a":
            self.links.append(attributes.get("href", ""))


def run(*arguments, module="tools.run", cwd=ROOT, **environment):
    """Run the runner on the sample; return what it did."""
    environment = {**os.environ, "MNIST_SAMPLE": "1", "PYTHONUTF8": "1", **environment}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


@pytest.fixture
def toy(tmp_path):
    """Return a function that writes a small notebook of a title and code cells."""

    def write(*sources, metadata=None):
        cells = [new_markdown_cell("# Try it\n\n[Next](02_x.ipynb#A), [code](../a.py).")]
        cells += [new_code_cell(source, metadata=metadata or {}) for source in sources]
        path = tmp_path / "01_toy.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata={"custom": 1}), path)
        return path

    return write


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Run the lessons on the sample in a fresh clone: what is printed, pages, folder of figures."""
    above = tmp_path_factory.mktemp("pages")
    folder, project, seen = (above / name for name in ("out", "mnist-CNN", "seen"))
    startup = above / "profile_default" / "startup" / "watch.py"
    for made in (seen, startup.parent):
        made.mkdir(parents=True)
    startup.write_text(figures.STARTUP, encoding="utf-8")
    offline_pack.copy_project(project)
    rows = (project / "lessons.toml").read_text(encoding="utf-8").replace("exercises = false\n", "")
    rows = rows.replace("[[lesson]]", "[[lesson]]\nexercises = false")  # thus no solutions
    (project / "lessons.toml").write_text(rows, encoding="utf-8")
    done = run("--out", folder, cwd=project, IPYTHONDIR=str(above), FIGURES=str(seen))
    assert done.returncode == 0, done.stdout + done.stderr
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    return done.stdout, texts, seen


@pytest.fixture(scope="module")
def shown(pages):
    """Return what the figures of each notebook hold, by its name; each kernel wrote a file."""
    seen = sorted(pages[2].glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = [json.loads(path.read_text(encoding="utf-8")) for path in seen]
    return dict(zip(LESSONS, found, strict=True))


def test_all_lessons_run_on_the_sample(pages):
    printed, texts, _ = pages
    lines = re.findall(r"^(\d\d_\w+) +[\d.]+ s +[\d,]+ MB$", printed, re.MULTILINE)
    assert lines == LESSONS
    assert set(texts) == {*LESSONS, "index", "pad"}
    linked = {link.removesuffix(".html") for link in Page(texts["index"]).links}
    assert linked == {"pad", *LESSONS}


@pytest.mark.weekly
def test_all_solutions_run_on_the_sample(tmp_path):
    done = run("--out", tmp_path, *sorted({*SERIES} - {*LESSONS}))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", LESSONS)
def test_page_stands_alone(pages, name):
    text = pages[1][name]
    page = Page(text)
    assert "NOT MNIST" in text
    assert '<html lang="en">' in text
    assert re.search(r"<title>\w", text)
    assert page.loads == []
    assert [alt for alt in page.descriptions if not alt or "No description" in alt] == []
    targets = {link.partition("#")[0] for link in page.links if not link.startswith("http")}
    assert targets - {""} <= {f"{other}.html" for other in (*SERIES, "index", "pad")}


@pytest.mark.parametrize("check", figures.FIGURE_CHECKS, ids=lambda check: check.__name__)
def test_figures(shown, check):
    found = {f"{name}, In [{f['cell']}]": check(f) for name, held in shown.items() for f in held}
    assert {place: findings for place, findings in found.items() if findings} == {}


@pytest.mark.parametrize("name", LESSONS)
def test_no_figure_was_left_out(shown, name):
    notebook = read(lessons.NOTEBOOKS / f"{name}.ipynb")
    pictured = {
        cell.execution_count
        for cell in notebook.cells
        if "drawing.Pad(" not in cell.source  # a picture that the pad brings along
        and any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    }
    assert pictured <= {figure["cell"] for figure in shown[name]}


def test_widest_figure_is_as_wide_as_the_column(shown):
    # The README's figure comes from the same function, at the same width.
    width = plt.imread(ROOT / "models" / "mnist_cnn.png").shape[1]
    assert max(width, *(figure["width"] for held in shown.values() for figure in held)) <= 750


def test_page_has_figures_described_and_links_rewritten(toy, tmp_path):
    figure = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\nprint('One <point>: 1')"
    path = toy("print('first')", figure)
    before = path.read_bytes()
    done = run(path, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    page = Page((tmp_path / "out" / "01_toy.html").read_text(encoding="utf-8"))
    assert page.descriptions == ["One <point>: 1"]
    assert page.links == ["index.html", "#Try-it", "02_x.html#A"]
    assert page.loads == []
    assert path.read_bytes() == before


def test_runner_works_where_only_ascii_is_known(toy, tmp_path):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(toy("print('é', '数')"), "--out", tmp_path / "é 数", **ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "é 数" in (tmp_path / "é 数" / "01_toy.html").read_text(encoding="utf-8")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="--small needs Linux")
def test_small_machine_has_one_core_and_no_more_memory(toy):
    cells = ("import os\nassert len(os.sched_getaffinity(0)) == 1", "len(bytes(10**9))")
    path = toy(*cells, "len(bytes(2 * 10**9))")
    code = (
        "import psutil, sys, pathlib; from tools import execute, measure;"
        "measure.become_small(psutil.Process()); execute.execute(pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.splitlines()[-2:] == [
        "tools.execute.NotebookError: 01_toy.ipynb stopped in the cell that begins: "
        "len(bytes(2 * 10**9))",
        "MemoryError:",
    ]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("x = 1\nraise ValueError('seven')", "ValueError: seven"),
        ("import os\nos._exit(1)", "its kernel died (exit code 1)"),
        ("import os\nos._exit(137)", "its kernel died: the container's memory ran out"),
    ],
)
def test_failure_is_told_in_two_lines(toy, tmp_path, source, cause):
    done = run(toy("print(1)", source, "print(2)"), "--out", tmp_path / "out")
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert len(lines) == 2
    assert "01_toy.ipynb" in lines[0] and source.splitlines()[0] in lines[0]
    assert cause in lines[1]


def test_unknown_notebook_is_told_in_one_line():
    done = run("99_none")
    assert done.returncode == 1
    assert done.stderr == "There is no notebook 99_none.ipynb in notebooks/.\n"


def test_save_refuses_the_sample(toy):
    path = toy("print(1)")
    before = path.read_bytes()
    done = run("--save", path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "needs real MNIST" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "source", ["1 / 0", "import sys\nprint('careful', file=sys.stderr)", "import os; os._exit(1)"]
)
def test_save_leaves_a_notebook_that_is_not_clean(toy, source):
    path = toy("print(1)", source)
    before = path.read_bytes()
    with pytest.raises(execute.NotebookError, match=re.escape(source.splitlines()[0])):
        runner.save_all([path])
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_save_cleans_and_writes_the_same_bytes_again(toy):
    metadata = {"tags": ["nbval-ignore-output"], "execution": {"a": "1"}, "collapsed": True}
    slow = "import time\nfor i in range(3):\n    print('é', i, flush=True)\n    time.sleep(0.2)"
    path = toy(slow, "1 + 1", metadata=metadata)
    runner.save_all([path])
    first = path.read_bytes()
    notebook = json.loads(first)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"] == clean.METADATA
    assert [cell["execution_count"] for cell in code] == [1, 2]
    kept = {"slideshow": {"slide_type": "skip"}, "tags": ["nbval-ignore-output"]}
    assert [cell["metadata"] for cell in code] == [kept] * 2
    assert code[0]["outputs"][0]["text"] == ["é 0\n", "é 1\n", "é 2\n"]
    assert first.startswith(b'{\n "cells"') and first.endswith(b"}\n")
    runner.save_all([path])
    assert path.read_bytes() == first


def test_saving_one_notebook_leaves_the_others_and_all_results_as_they_were(tmp_path):
    project = tmp_path / "project"
    offline_pack.copy_project(project)
    saved = project / "notebooks" / "00_start_here.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), saved)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    code = (
        "import sys; from tools import run; run.have_mnist = lambda: True;"
        "sys.exit(run.main(['--save', 'notebooks/00_start_here.ipynb']))"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=project, env=environment)
    assert done.returncode == 0
    after = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert {path for path in before | after if before.get(path) != after.get(path)} == {saved}


def test_usual_and_small_machine_are_noted_apart(tmp_path, monkeypatch):
    paths = [tmp_path / f"{name}.ipynb" for name in ("00_a", "01_b")]
    monkeypatch.setattr(measure.lessons, "list_notebooks", lambda: paths)
    monkeypatch.setattr(measure, "MEASURED", tmp_path / "notebooks.json")

    def note(small=False, **seconds):
        rest = {"peak_mb": 7, "sections": {"Try": 1}}
        measure.note({name[1:]: {"seconds": s, **rest} for name, s in seconds.items()}, small)
        return json.loads(measure.MEASURED.read_text(encoding="utf-8"))

    note(_00_a=1.3, _01_b=2)
    note(small=True, _00_a=5, _01_b=6)
    note(_01_b=3)
    noted = note(small=True, _00_a=4)
    taken = {
        part: {name: result["seconds"] for name, result in section["notebooks"].items()}
        for part, section in (("usual", noted), ("one core", noted["one_core"]))
    }
    assert taken == {"usual": {"00_a": 1.3, "01_b": 3}, "one core": {"00_a": 4, "01_b": 6}}
    assert {"cpu", "cores", "python", "tensorflow", "keras"} <= set(noted["machine"])
    other = {**noted, "one_core": {**noted["one_core"], "machine": {"cpu": "another"}}}
    measure.MEASURED.write_text(json.dumps(other), encoding="utf-8")
    one_core = note(small=True, _01_b=9)["one_core"]
    assert one_core["machine"] == {"cpu": "another"}
    assert "machine" not in one_core["notebooks"]["00_a"]
    assert one_core["notebooks"]["01_b"]["machine"] == noted["machine"]
    assert note(_00_a=1, _01_b=1)["one_core"] == one_core
