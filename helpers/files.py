"""Files that are whole or not there: written beside their place, then moved to it."""

import os
from pathlib import Path


def write_beside(path, write):
    """Write a file so that the good one on disk is replaced only by a complete one.

    Args:
        path: the file to make or replace.
        write: called with a temporary path in the same folder; `model.save`, for example.
    """
    path = Path(path)
    beside = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())  # or a power cut may leave the good name on an empty file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file, whole or not at all."""
    write_beside(path, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))
