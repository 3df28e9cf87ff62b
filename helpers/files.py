"""Files that are whole or not there: written beside their place, then moved to it."""

import contextlib
import os
from pathlib import Path


class WriteError(OSError):
    """A file that cannot be written, on a full disk for example; shown without a traceback."""

    def __str__(self):
        return (
            f"{self.filename} cannot be written ({self.strerror}). What is in memory is not lost: "
            "make room there, or choose another folder, and run this again."
        )

    def _render_traceback_(self):
        return [f"{self}"]


def write_beside(path, write):
    """Write a file so that the good one on disk is replaced only by a complete one.

    Args:
        path: the file to make or replace.
        write: called with a temporary path in the same folder; `model.save`, for example.

    Raises:
        WriteError: there is no room, or no permission; the good file is as it was.
    """
    path = Path(path)
    beside = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())  # or a power cut may leave the good name on an empty file
        beside.replace(path)
    except OSError as error:
        raise WriteError(error.errno, error.strerror or f"{error}", str(path)) from None
    finally:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing is left
            beside.unlink()


def write_text(path, text):
    """Write a text file, whole or not at all."""
    write_beside(path, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))
