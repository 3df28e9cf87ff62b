"""The drawing pad in a real browser: what it reads, what it shows, and that nothing leaves it."""

import base64
import itertools

import numpy as np
import pytest
from scipy import ndimage
from traitlets import TraitError

from helpers import data, digits, drawing, model, model_files
from tools import ink

# Corners of a 3, in shares of the paper's width.
THREE = (
    (0.30, 0.25), (0.40, 0.18), (0.55, 0.16), (0.66, 0.24), (0.66, 0.36), (0.56, 0.45),
    (0.45, 0.48), (0.58, 0.50), (0.70, 0.60), (0.70, 0.74), (0.58, 0.84), (0.42, 0.84),
    (0.30, 0.76),
)  # fmt: skip
# What a page makes of images that it is sent as text: it reads them, or prepares drawings.
READ = """([weights, images]) => {
    const network = modules.unpack(modules.bytes(weights));
    return modules.split(images, 784).map(pixels =>
        [...modules.read(network, Float32Array.from(pixels, value => value / 255))
            .activation_6.values]);
}"""
PREPARE = """drawings => modules.split(drawings, 280 * 280).map(
    drawing => [...modules.prepare(drawing, 280)])"""
MODULES = """
const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));
const split = (text, size) => {
    const all = bytes(text);
    return Array.from({length: all.length / size}, (_, i) => all.slice(size * i, size * (i + 1)));
};
window.modules = {read, unpack, prepare, bytes, split};"""


@pytest.fixture(scope="module")
def network():
    return model_files.load_shipped_model()


@pytest.fixture(scope="module")
def test_digits():
    _, (images, labels) = data.load_mnist()
    return images[:400], labels[:400]


@pytest.fixture
def modules(browser):
    """Return an empty page in which `modules` has the functions of the pad."""
    page = browser.new_page()
    page.add_script_tag(type="module", content=drawing.read_script() + MODULES)
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


def prepare(page, drawings):
    """Return what the pad makes of drawings, uint8 `(n, 280, 280)`."""
    return np.reshape(page.evaluate(PREPARE, text64(drawings.tobytes())), (-1, 28, 28))


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(("dtype", "most"), [("<f4", 1e-4), ("<f2", 2e-3)])
def test_the_browser_reads_as_keras_does(modules, network, test_digits, dtype, most):
    weights = text64(drawing.pack(network, dtype))
    found = np.array(modules.evaluate(READ, [weights, text64(test_digits[0].tobytes())]))
    expected = model.predict(network, test_digits[0])
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert abs(found - expected).max() <= most


@pytest.mark.slow
def test_a_digit_is_prepared_as_mnist_was(modules):
    """A frame of 100 × 50 in a corner: its longest side to 20, its middle to row and column 14."""
    ink = np.zeros((2, 280, 280), np.uint8)
    ink[0, 10:110, 20:70] = 200
    ink[0, 15:105, 25:65] = 0
    image, empty = prepare(modules, ink)
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 10, 19)
    assert image.sum() == pytest.approx(ink.sum() / 25, rel=0.01)  # five pixels a side, averaged
    assert not empty.any()


@pytest.mark.slow
def test_the_pad_and_python_prepare_a_drawing_alike(modules):
    """The same middle; the strokes' width is Python's alone to change."""
    random, drawn = np.random.default_rng(0), []
    for digit in range(10):
        middle, height = random.uniform(110, 170, 2), random.uniform(120, 190)
        strokes = ink.write_digit(digit, random, shake=0.01)
        drawn.append(255 * ink.draw_strokes((280, 280), [(strokes, *middle, height)], 22))
    drawn = np.round(drawn).astype(np.uint8)
    for by_pad, picture in zip(prepare(modules, drawn).astype(float), drawn, strict=True):
        by_python = digits.read_one(picture).astype(float)
        middles = [ndimage.center_of_mass(image) for image in (by_pad, by_python)]
        assert np.abs(np.subtract(*middles)).max() < 1
        assert np.abs(np.subtract(middles, 14)).max() < 0.55
        # A middle near half a pixel may be rounded to the other side.
        shifts = itertools.product((-1, 0, 1), repeat=2)
        near = [np.roll(by_python, shift, (0, 1)) for shift in shifts]
        assert min(np.abs(by_pad - image).mean() for image in near) < 9


@pytest.mark.slow
@pytest.mark.mnist
def test_a_digit_of_mnist_is_prepared_already(modules, test_digits):
    """Enlarged and moved to a corner, it comes back as it was: box, grey, and centre of mass."""
    images = np.array([image for image in test_digits[0][:100] if box_side(image) == 20])
    ink = np.zeros((len(images), 280, 280), np.uint8)
    ink[:, :224, 56:] = np.kron(images, np.ones((1, 8, 8), np.uint8))
    same = (prepare(modules, ink) == images).all(axis=(1, 2))
    assert same.mean() >= 0.95


@pytest.mark.slow
@pytest.mark.mnist
def test_a_drawn_three_is_read_and_seen_in_every_layer(pad):
    pad.get_by_role("button", name="Clear").click()
    assert pad.get_by_text("An empty page").first.is_visible()
    empty = maps(pad)
    draw(pad, THREE)
    assert pad.locator(".pad-says").inner_text().startswith("Read as 3")
    assert len(empty) == 7 and all(a != b for a, b in zip(empty, maps(pad), strict=True))
    assert pad.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
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
