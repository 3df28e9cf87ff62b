"""The site in a real browser, from a disk: nothing breaks, nothing is asked for elsewhere."""

import re

import figures
import pytest

from tools import lessons, website

pytestmark = [pytest.mark.slow, pytest.mark.mnist]
LATEST = lessons.read_lessons()[-1].file
NAMES = ("index.html", "card.html", "pad.html", f"{LATEST}.html")
# The colours of all words and of what they stand on, each with some of the words; folds are opened.
COLOURS = """() => {
  document.querySelectorAll("details").forEach(one => { one.open = true });
  const ground = document.body.appendChild(document.createElement("i"));
  ground.style.background = "Canvas";  // what a browser paints where a page says nothing
  const paper = one => {
    const colour = getComputedStyle(one ?? ground).backgroundColor;
    return colour.endsWith(", 0)") ? paper(one.parentElement) : colour;
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = {};
  while (words.nextNode()) {
    const text = words.currentNode.data.trim(), one = words.currentNode.parentElement;
    if (text && one.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
      found[`${getComputedStyle(one).color} on ${paper(one)}`] = text;
  }
  return found;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the whole site."""
    return website.build(tmp_path_factory.mktemp("site")).parent


@pytest.fixture(params=[(1200, "light"), (390, "dark")], ids=["wide-light", "narrow-dark"])
def page(browser, request):
    """Return a page of a width and a theme, and what it asked for and complained about."""
    width, theme = request.param
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=theme)
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.complaints.append(f"{error}"))
    page.on("console", lambda said: page.complaints.append(said.text))
    yield page
    page.close()


def find_pale(page):
    """Return the words of a page that hardly stand out, by the colours that a browser gives them.

    Raises:
        ValueError: a colour is half transparent; only whole ones can be compared.
    """
    found = page.evaluate(COLOURS)
    assert found
    numbers = {pair: [int(part) / 255 for part in re.findall(r"\d+", pair)] for pair in found}
    return {
        f"{found[pair]}: {pair}"
        for pair, (*words, red, green, blue) in numbers.items()
        if figures.contrast([words], (red, green, blue)).min() < figures.CONTRAST
    }


@pytest.mark.parametrize("name", NAMES)
def test_page_is_whole_legible_and_fits(folder, page, name):
    page.goto((folder / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    without = "all => all.filter(one => !one.alt.trim()).length"
    assert page.eval_on_selector_all("img", without) == 0
    assert page.locator("h1").count() == 1
    links = page.eval_on_selector_all("a", "all => all.map(one => one.getAttribute('href'))")
    inside = {link.partition("#")[0] for link in links if ":" not in link} - {""}
    assert {link for link in inside if not (folder / link).is_file()} == set()
    assert find_pale(page) == set()
    page.add_style_tag(content="a, button { color: #7a7a7a !important }")
    assert find_pale(page) != set()
    assert {url.partition(":")[0] for url in page.asked} <= {"file", "data"}
    assert page.complaints == []


def test_a_visitor_draws_on_the_front_page_at_once(folder, page):
    page.goto((folder / "index.html").as_uri())
    pad = page.frame_locator("iframe")
    pad.get_by_text("Read as").first.wait_for()
    pad.get_by_role("button", name="Clear").click()
    box = pad.locator("canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 0.6 * box["height"], steps=5)
    page.mouse.up()
    assert pad.locator(".pad-says").inner_text().startswith("Read as 1")
    assert page.complaints == []
