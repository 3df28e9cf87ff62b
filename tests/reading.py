"""Notebooks as the tests read them, each once, and the files of the project."""

import functools
import re

import nbformat
import pytest

from tools import lessons, offline_pack


@functools.cache
def read(path):
    """Return a notebook; it is shared, so whoever changes it makes a copy."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_of(notebook):
    """Return the text of all Markdown cells."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def text_of(path):
    """Return the Markdown of a page or of a notebook."""
    return markdown_of(read(path)) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")


def without_blocks(markdown):
    """Return Markdown without its blocks of code."""
    return re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)


def files_of_git():
    """Return the files that are tracked or about to be; without git, skip the test."""
    paths = [lessons.ROOT / name for name in offline_pack.files_of_git()]
    if not paths:
        pytest.skip("not a git checkout: clone the repository with git")
    return sorted(paths)
