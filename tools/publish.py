"""Write what was measured into the texts: `python -m tools.publish`.

A text keeps places for numbers and sentences, from `<!-- name -->` to `<!-- end -->`. What stands
there is written by the block of that name in `tools/templates/PAGE.jinja`, from the results files,
lessons.toml and the lessons themselves. Nothing changes if nothing was measured.
"""

import functools
import re

import jinja2

from helpers.files import write_text
from tools import lessons, results, timetable

TEMPLATES = lessons.ROOT / "tools" / "templates"
PAGES = (
    "README.md",
    "models/README.md",
    "models/CARD.md",
    "benchmarks/README.md",
    "notebooks/WORKSHOP.md",
)


@functools.cache
def render(name):
    """Return what the blocks of a page's template say: `{block: text}`.

    Args:
        name: of the page, one of PAGES.
    """
    environment = results.read_environment()
    environment.loader = jinja2.FileSystemLoader(TEMPLATES)
    environment.globals["timetable"] = timetable
    template = environment.get_template(f"{name}.jinja")
    context = template.new_context()
    "".join(template.root_render_func(context))  # which defines the macros that blocks share
    return {block: "".join(make(context)).strip() for block, make in template.blocks.items()}


def find_places(text):
    """Return the places that a text keeps: a list of matches with the groups `name` and `text`."""
    pattern = r"<!-- (?P<name>\w+) -->\n*(?P<text>.*?)\n*<!-- end -->"
    return [m for m in re.finditer(pattern, text, re.DOTALL) if m["name"] != "end"]


def find_written(name, text):
    """Return the places that a page's template wrote and nobody changed: `{place: source}`."""
    blocks = render(name) if name in PAGES else {}
    return {
        place: f"tools/templates/{name}.jinja, block {match['name']}"
        for match in find_places(text)
        if match["text"] == blocks.get(match["name"])
        for place in range(*match.span("text"))
    }


def find_block(name, text, place):
    """Return the name of the block in which a place of a page's text lies, or None."""
    places = find_places(text) if name in PAGES else []
    return next((m["name"] for m in places if m.start() <= place < m.end()), None)


def fill(text, blocks, name):
    """Put each block into its place in a page.

    Raises:
        ValueError: a block has no place, or a place no block.
    """
    places = find_places(text)
    if wrong := {place["name"] for place in places} ^ set(blocks):
        raise ValueError(f"{name} and its template differ in: {', '.join(sorted(wrong))}.")
    for place in reversed(places):
        start, end = place.span("text")
        text = text[:start] + blocks[place["name"]] + text[end:]
    return text


def main():
    """Fill all pages; name those that changed. A page that cannot be filled is left as it was."""
    problems = []
    for name in PAGES:
        path = lessons.ROOT / name
        before = path.read_text(encoding="utf-8")
        try:
            after = fill(before, render(name), name)
        except (ValueError, jinja2.TemplateError) as error:
            problems.append(f"{name} is left as it was: {error}")
            continue
        if after != before:
            write_text(path, after)
            print(f"{name} was filled again.")
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
