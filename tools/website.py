"""Build the site of the series: `python -m tools.website` writes build/site, of plain files.

The lessons as they are committed, the drawing pad, the model card, and a front page on which a
visitor draws at once. No page asks for anything from elsewhere; all of them open from a disk too.
"""

import re

import nbformat
from nbconvert.filters import markdown2html

from helpers.files import write_text
from tools import lessons, pad, pages

FOLDER = lessons.ROOT / "build" / "site"
CARD = lessons.ROOT / "models" / "CARD.md"
FRONT = """<p>Draw a digit: a network of 597,738 numbers reads it in this page while you draw, and
shows what each of its layers passes on. Nothing is sent anywhere.</p>
<iframe class="pad" src="pad.html" title="A drawing pad with the network"></iframe>
<p>The lessons below build and train that network. <a href="pad.html">The pad in a page of its
own</a> · <a href="card.html">What a network of this kind may be used for</a></p>"""


def build(folder=FOLDER):
    """Build the site.

    Args:
        folder: where it goes; it is made if it is not there.

    Returns:
        The path of its front page.
    """
    paths = lessons.list_notebooks()
    pages.write_pages(paths, folder, lambda path: nbformat.read(path, 4), FRONT)
    pad.write_pad(folder)
    write_text(folder / "card.html", render_card())
    return folder / "index.html"


def render_card():
    """Turn the model card into a page."""
    markdown = re.sub(r"<!--.*?-->", "", CARD.read_text(encoding="utf-8"))
    body = markdown2html(pages.relink(markdown))
    headings = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', body)
    return pages.fill(
        pages.PAGE, title="Model card", body=body, headings=headings, before=None, after=None
    )


if __name__ == "__main__":
    print(f"Open {build()}")
