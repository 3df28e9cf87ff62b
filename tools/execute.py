"""Execute one notebook in a fresh kernel, and see what it takes."""

import contextlib
import re
import subprocess
import threading
import time

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

CELL_SECONDS = 900


class NotebookError(Exception):
    """A notebook that did not run cleanly; the message names it, the cell and the cause."""


def execute(path):
    """Execute one notebook in its own folder; return it, the seconds and the peak memory in MB."""
    notebook = nbformat.read(path, as_version=4)
    started = notebook.cells[:1]
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=lambda cell, cell_index: started.append(cell),
    )
    start = time.perf_counter()
    try:
        with peak_memory() as samples:
            client.execute(stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        raise stopped(path, started, f"{error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise stopped(path, started, f"it took longer than {CELL_SECONDS} seconds") from None
    except RuntimeError:
        raise stopped(path, started, "its kernel died; the usual cause is memory") from None
    except AssertionError:  # what nbclient makes of Ctrl-C
        raise KeyboardInterrupt from None
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs = join_streams(cell.outputs)
    return notebook, time.perf_counter() - start, round(max(samples) / 1e6)


@contextlib.contextmanager
def peak_memory(interval=0.1):
    """Sample, while a block runs, the bytes that this process' children hold: the kernel."""
    samples, done = [0], threading.Event()

    def watch():
        while not done.wait(interval):
            held = 0
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    held += child.memory_info().rss
            samples.append(held)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield samples
    finally:
        done.set()
        watcher.join()


def stopped(path, cells, cause, what="stopped"):
    """Return an error that says in two lines what happened in the last of these cells."""
    first_line = (cells[-1].source.strip() or "(empty)").splitlines()[0]
    cause = (cause.strip() or "(no message)").splitlines()[0]
    return NotebookError(f"{path.name} {what} in the cell that begins: {first_line}\n{cause}")


def join_streams(outputs):
    """Join the pieces in which a printed text arrives: where it is cut varies with timing."""
    joined = []
    for output in outputs:
        if joined and output.get("name") and output.get("name") == joined[-1].get("name"):
            joined[-1].text += output.text
        else:
            joined.append(output)
    for output in joined:
        if "text" in output:  # of a progress line, keep what a terminal would still show
            output.text = re.sub(r"^.*\r(?=[^\n])", "", output.text, flags=re.MULTILINE)
    return joined
