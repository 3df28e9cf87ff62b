"""Execute one notebook in a fresh kernel, and see what it takes."""

import contextlib
import functools
import re
import signal
import tempfile
import threading
import time

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from helpers import preflight

CELL_SECONDS = 900
WIDGET = "application/vnd.jupyter.widget-view+json"


class NotebookError(Exception):
    """A notebook that did not run cleanly; the message names it, the cell and the cause."""


def start_again(start):
    """Let a kernel that dies at its start be started once more.

    Its ports are chosen before it has them, so that another process may take one meanwhile.
    """

    @functools.wraps(start)
    def start_up_to_twice(*args, **kwargs):
        with contextlib.suppress(RuntimeError):
            return start(*args, **kwargs)
        return start(*args, **kwargs)

    return start_up_to_twice


def execute(path, again=True):
    """Execute one notebook in its own folder; return it, the seconds and the peak memory in MB.

    A kernel that dies at its start is started `again`.
    """
    notebook = nbformat.read(path, as_version=4)
    started = notebook.cells[:1]
    client = make_client(notebook, path, lambda cell, cell_index: started.append(cell))
    processes = []  # the client forgets the kernel that died
    client.on_notebook_start = lambda notebook: processes.append(find_process(client.km))
    start, killed_before = time.perf_counter(), count_killed()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            with peak_memory() as samples:
                client.execute(stderr=said)
        except CellExecutionError as error:
            raise stopped(path, started, f"{error.ename}: {error.evalue}") from None
        except CellTimeoutError:
            raise stopped(path, started, f"it took longer than {CELL_SECONDS} seconds") from None
        except RuntimeError:
            if again and not processes:
                return execute(path, again=False)
            said.seek(0)
            cause = explain_death(*processes or [None], said.read(), count_killed() - killed_before)
            raise stopped(path, started, cause) from None
        except AssertionError:  # what nbclient makes of Ctrl-C
            raise KeyboardInterrupt from None
    check_pictures(notebook, path)
    return tidy_outputs(notebook), time.perf_counter() - start, round(max(samples) / 1e6)


def make_client(notebook, path, note):
    """Return what executes a notebook in its own folder, calling `note` before each cell."""
    return NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=note,
    )


def tidy_outputs(notebook):
    """Join what was printed, leave out widgets: they end with their kernel; return the notebook."""
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs = join_streams(cell.outputs)
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def check_pictures(notebook, path):
    """Refuse a notebook in which a cell shows a figure and no picture came of it."""
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        shows = re.search(r"^\s*(plt\.show\(\)|plots\.show_\w+\()", cell.source, re.MULTILINE)
        pictures = [o for o in cell.outputs if any("image/" in kind for kind in o.get("data", {}))]
        if shows and not pictures:
            cause = "it shows no picture: is MPLBACKEND set, or another backend chosen?"
            raise stopped(path, [cell], cause, "is left as it was: it lacks a figure")


def find_process(manager):
    """Return a kernel's process, or None where the kernel is not on this machine."""
    return getattr(manager.provisioner, "process", None)


def explain_death(process, said, killed):
    """Return why a kernel died, as far as there is evidence.

    Args:
        process: of the kernel, or None.
        said: its stderr.
        killed: how many processes the container has killed for memory meanwhile.
    """
    status = process.poll() if process else None
    words = [line for line in said.strip().splitlines() if "debugger" not in line.lower()]
    words += preflight.find_last_words(process.pid if process else None)
    if killed > 0 or status == 137:
        return "its kernel died: the container's memory ran out"
    how = f" ({signal.Signals(-status).name})" if status and status < 0 else ""
    how = how or (f" (exit code {status})" if status else "")
    if status == -signal.SIGTERM or not words:
        return f"its kernel died{how}"
    return f"its kernel died{how}; it said: {words[-1][:300]}"


def count_killed():
    """Return how many processes this container has killed for want of memory; 0 if unknown."""
    for name in ("memory.events", "memory/memory.oom_control"):
        with contextlib.suppress(OSError):
            text = (preflight.CONTAINER / name).read_text(encoding="utf-8")
            return int((re.findall(r"^oom_kill (\d+)", text, re.MULTILINE) or [0])[0])
    return 0


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
