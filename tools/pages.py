"""Pages of the lessons, to read without a kernel and without a network, and their index."""

import html
import re

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter

from tools.clean import METADATA

# A page must work with no network: without the scripts that JupyterLab's template asks for, and
# with each figure's description, which that template leaves out.
PAGE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block data_png %}<div class="jp-RenderedImage jp-OutputArea-output"><img
src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}"
{%- if output.metadata.alt %} alt="{{ output.metadata.alt | escape_html }}"{% endif %}></div>
{% endblock %}"""
INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>mnist-CNN</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{ font: 1rem/1.5 sans-serif; margin: 2rem auto; max-width: 45rem; padding: 0 1rem }}
th, td {{ padding: 0.2rem 1.5rem 0.2rem 0; text-align: left }}</style></head>
<body><main><h1>mnist-CNN</h1><table>
<tr><th></th><th>Notebook</th><th>Seconds</th><th>Peak memory (MB)</th></tr>
{rows}
</table></main></body></html>
"""


def render(notebook, title, folder):
    """Turn an executed notebook into a page that needs no other file and no network."""
    notebook.metadata = nbformat.from_dict({**METADATA, "title": title})
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relink(cell.source)
        describe_figures(cell.get("outputs", []))
    exporter = HTMLExporter(
        embed_images=True,
        extra_loaders=[DictLoader({"page.html.j2": PAGE})],
        template_file="page.html.j2",
    )
    return exporter.from_notebook_node(notebook, {"metadata": {"path": str(folder)}})[0]


def find_title(notebook, path):
    """Return a notebook's `#` heading, or its file name."""
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    return heading[1].strip() if heading else path.stem


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


def render_index(results):
    """List the pages in a page."""
    rows = (
        f"<tr><td>{r['path'].stem[:2]}</td>"
        f'<td><a href="{r["path"].stem}.html">{html.escape(r["title"])}</a></td>'
        f"<td>{r['seconds']:.1f}</td><td>{r['peak_mb']:,}</td></tr>"
        for r in results
    )
    return INDEX.format(rows="\n".join(rows))
