"""What a saved notebook looks like: the same bytes every time, and nothing about a machine."""

import nbformat

from tools import slides
from tools.execute import stopped

KEPT_CELL_METADATA = ("tags", "slideshow", "jupyter")
SETUP = "preflight.setup()"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def check_quiet(notebook, path):
    """Refuse a notebook that shows an error or a warning."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" or output.get("name") == "stderr":
                cause = output.get("text") or f"{output.get('ename')}: {output.get('evalue')}"
                raise stopped(path, [cell], cause, "is left as it was: it shows a warning")


def clean(notebook):
    """Return an executed notebook's text as it is committed: the same bytes every time."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    slides.mark_slides(notebook)
    for cell in notebook.cells:
        fold(cell)
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in KEPT_CELL_METADATA if cell.metadata.get(key)}
        )
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def fold(cell):
    """Fold the code of a cell that is ours, the setup and the tests, in JupyterLab."""
    if SETUP in cell.source or "test" in cell.metadata.get("tags", []):
        cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
