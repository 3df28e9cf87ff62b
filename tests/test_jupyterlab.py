"""Every notebook in a real JupyterLab, started by `make lab` and driven by a real browser."""

import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import lab
import nbformat
import pytest
from test_pad import THREE, draw

from tools import lessons
from tools.execute import WIDGET

pytestmark = pytest.mark.slow
# In `make test` where the browser is the point, the others weekly.
LESSONS = [
    pytest.param(lesson.file, marks=() if lesson.browser else pytest.mark.weekly)
    for lesson in lessons.read_lessons()
]
SCREENSHOTS = lab.ROOT / "build" / "screenshots"
TRAINING, PAD = "03_train_the_network", "drawing.Pad("
WITH_PAD = [p.stem for p in lessons.list_notebooks() if PAD in p.read_text(encoding="utf-8")]
# On the sample also when there is MNIST: nbval trains on that, and a second time is six minutes.
ON_SAMPLE = {TRAINING}


@pytest.fixture(scope="module")
def context(browser):
    """Make a profile for the browser: its cache saves a third of the time."""
    return browser.new_context(viewport={"width": 1280, "height": 900})


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory):
    """Start JupyterLab on the data of this test run."""
    if sys.platform != "win32" and shutil.which("make") is None:
        lab.needs("make", "install it; `make lab` is what is tested")
    with lab.start_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture(scope="module")
def small_server(server, tmp_path_factory):
    """Start JupyterLab on the sample, where an epoch takes a second."""
    with lab.start_lab(tmp_path_factory.mktemp("small_lab"), MNIST_SAMPLE="1") as started:
        yield started


@pytest.fixture
def open_page(context):
    """Return a function that opens a notebook; its kernel is shut down after the test."""
    pages = []

    def open_page(started, name):
        pages.append(lab.Page(context, started.url(name)))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def code_cells(notebook):
    """Return `(number, cell)` of the code cells."""
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def find_outputs(notebook, what):
    """Return `(cell number, output)` of the outputs for which a function is true."""
    outputs = ((i, output) for i, cell in code_cells(notebook) for output in cell.outputs)
    return [(i, output) for i, output in outputs if what(output)]


def is_alarm(output):
    """Tell whether an output is an error, or printed to stderr, which a notebook shows in red."""
    return output.output_type == "error" or output.get("name") == "stderr"


def shows_outputs(page, cells):
    """Return for each of these cells whether its outputs are seen, not folded."""
    seen = "panel.content.widgets[{}].node.querySelector('.jp-OutputArea')?.checkVisibility()"
    return [page.ask(seen.format(cell)) for cell in cells]


def count_pictures(notebook):
    """Return how many pictures each cell's outputs have."""
    kinds = [
        [output.get("data", {}) for output in cell.get("outputs", [])] for cell in notebook.cells
    ]
    return [sum("image/png" in data and WIDGET not in data for data in cell) for cell in kinds]


def check_outputs(page):
    """Assert that all cells ran, none failed, and every picture is seen; return the notebook."""
    notebook = page.read()
    assert find_outputs(notebook, is_alarm) == []
    counts = [cell.execution_count for _, cell in code_cells(notebook)]
    assert all(counts) and counts == sorted(set(counts))
    page.show_all()
    figures = page.figures()
    assert [len(cell) for cell in figures] == count_pictures(notebook)
    assert all(min(size) > 0 for cell in figures for size in cell)
    for _, output in find_outputs(notebook, bool):
        kinds = set(output.get("data", {}))
        still = {"image/png"} if WIDGET in kinds else set()  # for where it cannot run
        assert still <= kinds <= {"image/png", "text/html", "text/plain", WIDGET}
    return notebook


def check_training(page, cell):
    """Assert that a cell's live figure moved and its progress bar is full; return its texts."""
    seen = page.seen_in_training()[cell]
    assert seen["pictures"] >= 2, f"the figure of cell {cell} stood still"
    assert page.progress(cell) == 1
    return seen["texts"]


def check_hints(page, notebook):
    """Assert that each folded hint opens at a click and, by keyboard, closes and opens."""
    written = sum(
        cell.source.count("<details") for cell in notebook.cells if cell.cell_type == "markdown"
    )
    hints = page.page.locator(".jp-MarkdownOutput details")
    assert hints.count() == written
    for hint in hints.all():
        text = hint.locator(":scope > :not(summary)").first
        assert not text.is_visible()
        hint.locator("summary").click()
        assert text.is_visible()
        hint.locator("summary").focus()
        page.page.keyboard.press("Space")
        assert not text.is_visible()
        page.page.keyboard.press("Enter")
        assert text.is_visible()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows goes without make")
def test_make_lab_opens_what_the_readme_names(server, context):
    readme = (lab.ROOT / "README.md").read_text(encoding="utf-8")
    entry = re.search(r"urlpath=(lab/tree/\S+\.ipynb)\)", readme)[1]
    page = context.new_page()
    page.goto(server.redirect.as_uri())
    page.wait_for_url(f"http://localhost:*/{entry}")
    page.get_by_role("tab", name=entry.split("/")[-1]).wait_for()
    page.close()


def test_nobody_comes_in_without_the_token(server):
    address = server.first_url.split("/lab/")[0]
    assert re.search(r"[?&]token=\w{32,}", server.first_url)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/api/contents", timeout=30)
    assert refused.value.code == 403


def test_what_turns_to_the_outside_is_noticed(tmp_path):
    addresses = ("https://example.org/a", "http://localhost:1/", "ws://127.0.0.1/", "data:,a")
    assert lab.outside(tmp_path, addresses) == {"example.org"}
    call = "import urllib.request as r; r.urlopen('http://mnist.invalid/', timeout=9)"
    command, variables = [sys.executable, "-c", call], lab.environment(tmp_path)
    assert subprocess.run(command, env=variables, stderr=subprocess.DEVNULL).returncode == 1
    assert lab.outside(tmp_path) >= {"mnist.invalid"}


@pytest.mark.parametrize("name", LESSONS)
def test_notebook_runs_in_jupyterlab(server, small_server, open_page, name):
    started = small_server if name in ON_SAMPLE else server
    page = open_page(started, name)
    cells = code_cells(page.read())
    answers = [i for i, cell in cells if cell.metadata.get("jupyter", {}).get("outputs_hidden")]
    assert not any(shows_outputs(page, answers))
    page.run("notebook:clear-all-cell-outputs")
    page.watch_training()
    try:
        assert page.run("notebook:run-all-cells") is True, find_outputs(page.read(), is_alarm)
        notebook = check_outputs(page)
        assert all(shows_outputs(page, answers))
        trained = list(page.seen_in_training())
        assert len(trained) == (2 if name == TRAINING else 0)
        for cell in trained:
            check_training(page, cell)
        check_hints(page, notebook)
        assert lab.outside(started.home, page.requests) == set()
        assert page.page.locator(".Toastify__toast").count() == 0
    finally:
        page.screenshot(SCREENSHOTS / f"{name}.png")


def find_training(notebook):
    """Return the number of the cell that trains the network and saves it after each epoch."""
    (cell,) = [i for i, cell in code_cells(notebook) if "Checkpoint(folder)" in cell.source]
    return cell


def wait_for_an_epoch(page, training):
    """Wait until the training is past its first epoch, and not at its end."""
    bar = lab.progress_bar(training)
    page.wait_for(f"{bar}?.value > 0 && {bar}.value < {bar}.max")


@pytest.mark.weekly
def test_restart_and_stop_while_training(small_server, open_page):
    page = open_page(small_server, TRAINING)
    training = find_training(page.read())
    page.run("notebook:clear-all-cell-outputs")
    page.start("notebook:run-all-cells")
    wait_for_an_epoch(page, training)
    page.press("restart-and-run")
    page.page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for(f"!{lab.progress_bar(training)}")
    wait_for_an_epoch(page, training)
    page.press("interrupt")
    page.wait_for("panel.sessionContext.session.kernel.status === 'idle'")
    ((stopped, error),) = find_outputs(page.read(), is_alarm)
    assert stopped == training
    shown = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))
    assert re.fullmatch(
        r"Stopped in epoch [123] of 3\. [12] epochs? (is|are) saved .+; run this cell again .+",
        shown,
    )
    assert len(page.figures()[training]) == 1
    assert 0 < page.progress(training) < 1
    before = page.ask(f"{lab.progress_bar(training)}.parentElement.textContent.trim()")

    page.watch_training()
    page.ask(f"panel.content.activeCellIndex = {training}")
    assert page.run("notebook:run-all-below") is True, find_outputs(page.read(), is_alarm)
    check_outputs(page)
    resumed = set(check_training(page, training)) - {before}
    assert not [text for text in resumed if text.startswith("epoch 1 of")], resumed


@pytest.mark.mnist
@pytest.mark.parametrize("name", WITH_PAD)
def test_digit_drawn_on_the_pad_of_a_lesson_is_read_by_it(server, open_page, name):
    """Only the cells that the pad needs: nbval runs the others."""
    folder = server.home.parent / "project" / "notebooks"
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    code = [cell for _, cell in code_cells(notebook)]
    shown = next(i for i, cell in enumerate(code) if PAD in cell.source)
    notebook.cells = [*code[:4], *code[shown : shown + 2]]
    nbformat.write(notebook, folder / "drawn.ipynb")
    page = open_page(server, "drawn")
    assert page.run("notebook:run-all-cells") is True
    page.page.get_by_role("button", name="Clear").click()
    draw(page.page, THREE)
    assert page.page.locator(".pad-says").inner_text().startswith("Read as 3")
    page.ask("panel.content.activeCellIndex = 5")
    page.run("notebook:run-cell")
    answers = re.findall(r"\ba (\d) \(", page.read().cells[5].outputs[0].text)
    assert set(answers) == {"3"}
    assert lab.outside(server.home, page.requests) == set()
