"""The drawing pad in a real browser: what it reads, what it shows, and that nothing leaves it."""

import base64
import itertools

import lab
import nbformat
import numpy as np
import pytest
from scipy import ndimage
from traitlets import TraitError

from helpers import data, digits, drawing, model, model_files
from tools import ink

LESSON = "06_look_inside"
# Corners of a 3, in shares of the paper's width.
THREE = (
    (0.30, 0.25), (0.40, 0.18), (0.55, 0.16), (0.66, 0.24), (0.66, 0.36), (0.56, 0.45),
    (0.45, 0.48), (0.58, 0.50), (0.70, 0.60), (0.70, 0.74), (0.58, 0.84), (0.42, 0.84),
    (0.30, 0.76),
)  # fmt: skip
# Read all images with both modules' functions in the page's reach.
READ = """([weights, images, n]) => {
    const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));
    const network = modules.unpack(bytes(weights)), pixels = bytes(images), times = [], all = [];
    for (let i = 0; i < n; i++) {
        const image = Float32Array.from(pixels.slice(784 * i, 784 * i + 784), value => value / 255);
        const start = performance.now();
        all.push([...modules.read(network, image).activation_6.values]);
        times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    return {all, median: times[n >> 1], quick: times[n >> 3]};
}"""


@pytest.fixture(scope="module")
def network():
    return model_files.load_shipped_model()


@pytest.fixture(scope="module")
def test_digits():
    _, (images, labels) = data.load_mnist()
    return images[:1000], labels[:1000]


@pytest.fixture
def modules(browser):
    """Return an empty page in which `modules` has the functions of the pad."""
    page = browser.new_page()
    page.add_script_tag(
        type="module",
        content=drawing.read_script() + "\nwindow.modules = {read, unpack, prepare};",
    )
    page.wait_for_function("window.modules")
    yield page
    page.close()


@pytest.fixture(scope="module")
def page_file(network, test_digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("pad") / "pad.html"
    images, labels = test_digits
    drawing.write_page(path, network, images[:100], labels[:100])
    return path


@pytest.fixture
def pad(browser, page_file):
    """Return a page with the pad, opened from a file, and every address that it turned to."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(page_file.as_uri())
    page.get_by_text("Read as").wait_for()
    yield page
    assert (requests, errors) == ([page_file.as_uri()], [])
    page.close()


def text64(array):
    """Return an array's bytes as text."""
    return base64.b64encode(bytes(array)).decode("ascii")


def box_side(image):
    """Return the longest side of an image's ink in pixels."""
    return max(np.ptp(places) + 1 for places in np.nonzero(image))


def draw(page, corners):
    """Draw a line on the pad with the mouse."""
    paper = page.locator(".pad canvas").first
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["width"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()


def maps(page):
    """Return the pictures of all layers."""
    return page.eval_on_selector_all(".pad-maps canvas", "all => all.map(one => one.toDataURL())")


@pytest.mark.mnist
@pytest.mark.parametrize(("dtype", "most"), [("<f4", 1e-4), ("<f2", 2e-3)])
def test_the_browser_reads_as_keras_does(modules, network, test_digits, dtype, most):
    images, _ = test_digits
    weights = drawing.pack(network, dtype)
    found = modules.evaluate(READ, [text64(weights), text64(images.tobytes()), len(images)])
    expected = model.predict(network, images)
    probabilities = np.array(found["all"])
    flips = (probabilities.argmax(axis=1) != expected.argmax(axis=1)).sum()
    largest = abs(probabilities - expected).max()
    print(f"{dtype}: {flips} flips, largest difference {largest:.1e}, {found['median']:.1f} ms")
    assert flips == 0 and largest <= most
    assert found["quick"] < 25  # the median of a machine that has nothing else to do is 10


def test_a_digit_is_prepared_as_mnist_was(modules):
    """A frame of 100 × 50 in a corner: its longest side to 20, its middle to row and column 14."""
    ink = np.zeros((280, 280), np.uint8)
    ink[10:110, 20:70] = 200
    ink[15:105, 25:65] = 0
    prepared = modules.evaluate("ink => [...modules.prepare(ink, 280)]", ink.ravel().tolist())
    image = np.reshape(prepared, (28, 28))
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 10, 19)
    assert image.sum() == pytest.approx(ink.sum() / 25, rel=0.01)  # five pixels a side, averaged
    assert modules.evaluate("() => modules.prepare(new Uint8Array(4), 2).some(Boolean)") is False


@pytest.mark.parametrize("digit", range(10))
def test_the_pad_and_python_prepare_a_drawing_alike(modules, digit):
    """The same middle; the strokes' width is Python's alone to change."""
    random = np.random.default_rng(digit)
    middle, height = random.uniform(110, 170, 2), random.uniform(120, 190)
    strokes = ink.write_digit(digit, random, shake=0.01)
    drawn = np.round(255 * ink.draw_strokes((280, 280), [(strokes, *middle, height)], 22))
    drawn = np.uint8(drawn)
    prepared = modules.evaluate("ink => [...modules.prepare(ink, 280)]", drawn.ravel().tolist())
    by_pad = np.reshape(prepared, (28, 28)).astype(float)
    by_python = digits.read_one(drawn).astype(float)
    middles = [ndimage.center_of_mass(image) for image in (by_pad, by_python)]
    assert np.abs(np.subtract(*middles)).max() < 1
    assert np.abs(np.subtract(middles, 14)).max() < 0.55
    # A middle near half a pixel may be rounded to the other side.
    near = [np.roll(by_python, shift, (0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)]
    assert min(np.abs(by_pad - image).mean() for image in near) < 9


@pytest.mark.mnist
def test_a_digit_of_mnist_is_prepared_already(modules, test_digits):
    """Enlarged and moved to a corner, it comes back as it was: box, grey, and centre of mass."""
    images = [image for image in test_digits[0][:100] if box_side(image) == 20]
    same = 0
    for image in images:
        ink = np.zeros((280, 280), np.uint8)
        ink[:224, 56:] = np.kron(image, np.ones((8, 8), np.uint8))
        prepared = modules.evaluate("ink => [...modules.prepare(ink, 280)]", ink.ravel().tolist())
        same += np.array_equal(np.reshape(prepared, (28, 28)), image)
    print(f"{same} of {len(images)} digits come back as they were")
    assert same >= 0.95 * len(images)


@pytest.mark.mnist
def test_a_drawn_three_is_read_and_seen_in_every_layer(pad):
    pad.get_by_role("button", name="Clear").click()
    assert pad.get_by_text("An empty page").first.is_visible()
    empty = maps(pad)
    draw(pad, THREE)
    assert pad.locator(".pad-says").inner_text().startswith("Read as 3")
    assert len(empty) == 7 and all(a != b for a, b in zip(empty, maps(pad), strict=True))
    assert pad.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.mnist
def test_the_keyboard_reaches_every_button_and_map(pad):
    """From the top by Tab: undo, clear, ten digits, then the maps by the arrow keys."""
    heard = pad.get_by_role("status")
    reached = []
    for _ in range(13):
        pad.keyboard.press("Tab")
        reached.append(pad.evaluate("document.activeElement.textContent"))
        if reached[-1] == "7":
            pad.keyboard.press("Enter")
            assert heard.inner_text().startswith("Read as 7")
    assert reached[:2] == ["Undo", "Clear"] and sorted(reached[2:12]) == list("0123456789")
    pad.keyboard.press("ArrowRight")
    assert "activation_1, map 1" in pad.locator(".pad-answer").last.inner_text()
    pad.get_by_role("button", name="Clear").press("Enter")
    assert heard.inner_text() == "An empty page"
    pad.get_by_role("button", name="Undo").press("Space")
    assert heard.inner_text().startswith("Read as 7")


def test_what_the_browser_sends_arrives_in_python(network, digits):
    images, labels = digits
    pad = drawing.Pad(network, images, labels)
    assert np.array_equal(pad.image, images[0])
    sent = {"_prepared": memoryview(images[1].tobytes()), "_drawing": memoryview(bytes(280**2))}
    pad.set_state(sent)
    assert np.array_equal(pad.image, images[1]) and not pad.drawing.any()
    bundle, _ = pad._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    with pytest.raises(TraitError):
        pad._prepared = "text"


@pytest.mark.mnist
def test_the_pad_works_in_jupyterlab_and_hands_the_drawing_to_python(browser, tmp_path):
    """Only the lesson's cells that the pad needs, in a JupyterLab started by `make lab`."""
    with lab.start_lab(tmp_path) as started:
        path = tmp_path / "project" / "notebooks" / f"{LESSON}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        needed = [cell for cell in notebook.cells if cell.id in ("cell-02", "cell-03", "cell-05")]
        pad_cell = next(i for i, cell in enumerate(notebook.cells) if "drawing.Pad(" in cell.source)
        shown, read = notebook.cells[pad_cell], notebook.cells[pad_cell + 2]
        notebook.cells = [*needed, shown, read]
        nbformat.write(notebook, path)
        page = lab.Page(
            browser.new_context(viewport={"width": 1280, "height": 900}), started.url(LESSON)
        )
        assert page.run("notebook:run-all-cells") is True
        page.page.get_by_role("button", name="Clear").click()
        before = maps(page.page)
        draw(page.page, THREE)
        assert page.page.locator(".pad-says").inner_text().startswith("Read as 3")
        assert all(a != b for a, b in zip(before, maps(page.page), strict=True))
        page.ask("panel.content.activeCellIndex = 4")
        page.run("notebook:run-cell")
        assert "Python reads a 3" in page.read().cells[4].outputs[0].text
        assert lab.outside(started.home, page.requests) == set()
        page.close()
