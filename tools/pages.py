"""Pages of the lessons, to read without a kernel and without a network, and their index."""

import re
from pathlib import Path

import nbformat
from jinja2 import DictLoader, Environment
from nbconvert import HTMLExporter

from helpers.files import write_text
from tools import lessons, overview, pad
from tools.clean import METADATA, SETUP

STYLE = Path(__file__).with_name("pages.css")
# What nbconvert makes of a cell, with each figure's description, and what is ours folded.
CELLS = """{% extends 'basic/index.html.j2' %}
{% block codecell %}
{%- if cell.metadata.summary %}<details{% if cell.metadata.answer %} class="answer"{% endif %}>
<summary>{{ cell.metadata.summary | markdown2html | replace('<p>', '') | replace('</p>', '') }}
</summary>{% endif %}
{{ super() }}
{%- if cell.metadata.summary %}</details>{% endif %}
{% endblock %}
{% block data_png %}<div><img src="data:image/png;base64,{{ output.data['image/png'] | trim }}"
{%- if output.metadata.alt %} alt="{{ output.metadata.alt | escape_html }}"{% endif %}></div>
{% endblock %}
{% block data_widget_view %}<p>What you would see here needs a kernel: open the notebook.</p>
{% endblock %}
{% block footer %}{% endblock %}"""
HEAD = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{{ style | safe }}</style></head>
<body>"""
PAGE = """
{%- macro ways() %}
{% if before %}<a href="{{ before.file }}.html" rel="prev">←
{{ before.number }} {{ before.title }}</a>{% endif %}
{% if after %}<a class="next" href="{{ after.file }}.html" rel="next">
{{- after.number }} {{ after.title }} →</a>
{% endif %}
{%- endmacro %}
<header><a href="index.html">mnist-CNN</a>{{ ways() }}</header>
<div class="page">
<nav class="contents" aria-label="On this page"><details><summary>On this page</summary><ol>
{% for anchor, heading in headings %}<li><a href="#{{ anchor }}">{{ heading | safe }}</a></li>
{% endfor %}</ol></details></nav>
<main>{{ body | safe }}</main>
</div>
<footer>{{ ways() }}</footer>
</body></html>
"""
INDEX = """<main>
<h1>mnist-CNN: read handwritten digits with a network that you build and train</h1>
{% if front %}{{ front | safe }}
{% endif %}{% for name, part, cards in parts %}
<h2>{{ name }} · {{ part.title }}</h2>
<p>{{ part.time | capitalize }}: {{ part.promise }}.</p>
<ul class="lessons">
{% for card in cards %}<li class="lesson">
{% if card.picture %}<img src="data:image/png;base64,{{ card.picture }}" alt="{{ card.alt }}">
{% endif %}
<h3><a href="{{ card.lesson.file }}.html">{{ card.lesson.number }} {{ card.lesson.title }}</a></h3>
<p>{{ card.lesson.question }}</p>
<p class="quiet">{{ card.times.read }} minutes to read
{%- if card.times.exercises %}, {{ card.times.exercises }} for the exercises{% endif %}</p>
{% if card.solutions %}<p><a href="{{ card.solutions }}.html">Solutions of
{{ card.lesson.number }}</a></p>{% endif %}
</li>
{% endfor %}</ul>
{% endfor %}
{% if others %}<h2>Others</h2>
<ul>{% for stem, title in others %}<li><a href="{{ stem }}.html">{{ title }}</a></li>{% endfor %}
</ul>{% endif %}
</main></body></html>
"""
PAD = f"""<p><a href="{pad.NAME}">Draw a digit</a> and watch the network read it, layer by layer,
in your browser.</p>"""


def write_pages(paths, folder, load, front=None):
    """Write notebooks as pages, with an index.

    Args:
        paths: of the notebooks, in their order.
        folder: where the pages go; it is made if it is missing.
        load: a function that returns the notebook of a path, executed.
        front: HTML above the lessons of the index; by default the way to the pad that lies there.
    """
    if front is None:
        front = PAD if (folder / pad.NAME).is_file() else ""
    folder.mkdir(parents=True, exist_ok=True)
    shown = {}
    try:
        for path in paths:
            shown[path.stem] = load(path)
            page = render(shown[path.stem], path, paths)
            write_text(folder / f"{path.stem}.html", page)
    finally:  # where a notebook fails, the index lists those before it
        write_text(folder / "index.html", render_index(shown, front))


def render(notebook, path, paths=()):
    """Turn an executed notebook into a page that needs no other file and no network.

    Args:
        notebook: as it was executed; it is changed.
        path: of the notebook.
        paths: of all notebooks that have a page.
    """
    title = find_title(notebook, path.stem)
    notebook.metadata = nbformat.from_dict({**METADATA, "title": title})
    notebook.cells = [
        cell for cell in notebook.cells if "test" not in cell.metadata.get("tags", [])
    ]
    ask_first(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", relink(cell.source))
        describe_figures(cell.get("outputs", []))
    exporter = HTMLExporter(
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        extra_loaders=[DictLoader({"cells.html.j2": CELLS})],
        template_file="cells.html.j2",
    )
    body = exporter.from_notebook_node(notebook, {"metadata": {"path": str(path.parent)}})[0]
    headings = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', body)
    before, after = find_neighbours(path, paths)
    return fill(PAGE, title=title, body=body, headings=headings, before=before, after=after)


def fill(template, title, **values):
    """Fill a template of ours, below the head of a page."""
    template = Environment(autoescape=True).from_string(HEAD + template)
    return template.render(style=STYLE.read_text(encoding="utf-8"), title=title, **values)


def find_title(notebook, otherwise):
    """Return a notebook's `#` heading, or what is given."""
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    return heading[1].strip() if heading else otherwise


def ask_first(notebook):
    """Fold setup cells, and each answer behind the question that stands above it."""
    for above, cell in zip([None, *notebook.cells], notebook.cells, strict=False):
        if cell.cell_type != "code":
            continue
        if SETUP in cell.source:
            cell.metadata.summary = "Setup"
        elif cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            cell.metadata.answer = True
            cell.metadata.summary = "What it prints"
            if above is not None and above.cell_type == "markdown":
                above.source, _, question = above.source.rstrip().rpartition("\n\n")
                cell.metadata.summary = relink(question)
    notebook.cells = [cell for cell in notebook.cells if cell.source]


def find_neighbours(path, paths):
    """Return the lessons before and after a page that have a page too, or None.

    A lesson stands between lessons; solutions between their lesson and the next one.
    """
    stems, own = [other.stem for other in paths], path.stem.removesuffix("_solutions")
    series = [lesson for lesson in lessons.read_lessons() if lesson.file in stems]
    files = [lesson.file for lesson in series]
    if own not in files:
        return None, None
    series, place = [None, *series, None], files.index(own) + 1
    return series[place - 1 if path.stem == own else place], series[place + 1]


def relink(markdown):
    """Point links at the pages; unlink files that are not among them."""
    markdown = re.sub(r"\]\((\d\d_\w+)\.ipynb", r"](\1.html", markdown)
    return re.sub(r"(?<!!)\[([^\]]*)\]\((?!#|\w+:|\d\d_\w+\.html)[^)]*\)", r"\1", markdown)


def describe_figures(outputs):
    """Give each figure the first line that is printed after it as its text alternative."""
    for number, output in enumerate(outputs):
        if "image/png" in output.get("data", {}):
            printed = "".join(o.text for o in outputs[number:] if o.get("name") == "stdout")
            output.metadata["alt"] = next(iter(printed.strip().splitlines()), "")


def render_index(shown, front=""):
    """List the lessons of each part in a page.

    Args:
        shown: `{stem: notebook}` of the pages that there are.
        front: HTML above the lessons.
    """
    cards = [card(lesson, shown) for lesson in lessons.read_lessons() if lesson.file in shown]
    parts = [
        (name, part, [card for card in cards if card["lesson"].part == name])
        for name, part in lessons.read_parts().items()
    ]
    listed = {path.stem for path in lessons.list_notebooks()}
    return fill(
        INDEX,
        title="mnist-CNN",
        front=front,
        parts=[part for part in parts if part[2]],
        others=[(stem, find_title(shown[stem], stem)) for stem in shown if stem not in listed],
    )


def card(lesson, shown):
    """Return what the index says of a lesson."""
    notebook, solutions = shown[lesson.file], lesson.solutions.stem
    pictures = [
        (cell.id == lesson.figure, output)
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    picture = max(pictures, key=lambda pair: pair[0], default=(False, None))[1]
    return {
        "lesson": lesson,
        "times": overview.read_times(notebook),
        "solutions": solutions if solutions in shown else None,
        "picture": picture and picture.data["image/png"].strip(),
        "alt": picture and picture.metadata.get("alt", ""),
    }
