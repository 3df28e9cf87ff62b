"""Lesson 10 in a real JupyterLab, with a real mouse: what is drawn there is read in Python."""

import lab
import nbformat
import pytest
from test_pad import THREE, draw

LESSON = "10_read_your_own_handwriting"


@pytest.mark.slow
@pytest.mark.mnist
def test_a_digit_drawn_in_the_lesson_is_read_by_both_networks(browser, tmp_path):
    """Only the lesson's cells that the pad needs, in a JupyterLab started by `make lab`."""
    with lab.start_lab(tmp_path) as started:
        path = tmp_path / "project" / "notebooks" / f"{LESSON}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        shown = next(i for i, cell in enumerate(code) if "drawing.Pad(" in cell.source)
        notebook.cells = [*code[:4], *code[shown : shown + 2]]
        nbformat.write(notebook, path)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = lab.Page(context, started.url(LESSON))
        assert page.run("notebook:run-all-cells") is True
        page.page.get_by_role("button", name="Clear").click()
        draw(page.page, THREE)
        assert page.page.locator(".pad-says").inner_text().startswith("Read as 3")
        page.ask("panel.content.activeCellIndex = 5")
        page.run("notebook:run-cell")
        read = page.read().cells[5].outputs[0].text
        assert read.count("a 3 (") == 4, read
        assert lab.outside(started.home, page.requests) == set()
        page.close()
