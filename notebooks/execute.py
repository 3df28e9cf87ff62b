"""Execute the notebooks in order, each in a fresh kernel.

`python notebooks/execute.py` writes pages to build/html and leaves the notebooks alone;
`python notebooks/execute.py --save` executes and cleans the notebooks themselves.
`python notebooks/execute.py --small` leaves them one core and 1.5 GB, and notes what they take.
"""

import argparse
import contextlib
import datetime
import html
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import slides
from jinja2 import DictLoader
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbconvert import HTMLExporter

NOTEBOOKS = Path(__file__).resolve().parent
ROOT = NOTEBOOKS.parent
PAGES = ROOT / "build" / "html"
MEASURED = ROOT / "benchmarks" / "notebooks.json"
SERIES = "[0-9][0-9]_*.ipynb"
CELL_SECONDS = 900
SMALL_MB = 1500
KEPT_CELL_METADATA = ("tags", "slideshow")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
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


class NotebookError(Exception):
    """A notebook that did not run cleanly; the message names it, the cell and the cause."""


def main(arguments=None):
    """Run what the command line asks for; return the exit status."""
    options = read_options(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a Windows console may lack a character
    # Their causes are reported below, in one or two lines.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    try:
        paths = find_notebooks(options.notebooks)
        if options.small:
            become_small(psutil.Process())
        real = have_mnist()
        if options.save and not real:
            raise NotebookError("--save needs real MNIST: set MNIST_DIR to a folder that holds it.")
        results = run_all(paths, None if options.save else options.out.resolve())
        if options.save or (options.small and real):
            record(results, options.small)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def read_options(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Execute the notebooks in order.")
    parser.add_argument("notebooks", nargs="*", help="only these, in this order (default: all)")
    parser.add_argument("--out", type=Path, default=PAGES, help="where pages go (build/html)")
    parser.add_argument("--save", action="store_true", help="execute and clean the notebooks")
    parser.add_argument("--small", action="store_true", help="on one core, with 1.5 GB (Linux)")
    return parser.parse_args(arguments)


def find_notebooks(names):
    """Return the paths of the notebooks that were named, or of the whole series."""
    candidates = [(Path(name), NOTEBOOKS / f"{Path(name).stem}.ipynb") for name in names]
    paths = [given if given.is_file() else ours for given, ours in candidates]
    for path in paths:
        if not path.is_file():
            raise NotebookError(f"There is no notebook {path.name} in {NOTEBOOKS.name}/.")
    return [path.resolve() for path in paths] or sorted(NOTEBOOKS.glob(SERIES))


def become_small(process):
    """Leave a process, and each of those that it starts from then on, one core and 1.5 GB."""
    if not hasattr(process, "rlimit"):
        raise NotebookError("--small needs Linux: elsewhere memory cannot be limited.")
    process.cpu_affinity(process.cpu_affinity()[:1])
    process.rlimit(psutil.RLIMIT_DATA, (SMALL_MB * 10**6, SMALL_MB * 10**6))


def have_mnist():
    """Load the data once, so that a download and its progress bar are seen here and once."""
    sys.path.insert(0, str(ROOT))
    from helpers import data

    (_, train_labels), _ = data.load_mnist()
    if not data.is_mnist(train_labels):
        os.environ["MNIST_SAMPLE"] = "1"  # or every kernel would try the network again
        return False
    return True


def run_all(paths, pages=None):
    """Execute notebooks; write pages to a folder or, without one, save the notebooks.

    Returns:
        A list of `{"path", "title", "seconds", "peak_mb", "sections"}`.
    """
    results = []
    for path in paths:
        notebook, seconds, peak_mb = execute(path)
        title = find_title(notebook, path)
        results.append(
            {"path": path, "title": title, "seconds": round(seconds, 1), "peak_mb": peak_mb}
            | {"sections": time_sections(notebook)}
        )
        if pages:
            write(pages / f"{path.stem}.html", render(notebook, title, path.parent))
            write(pages / "index.html", render_index(results))
        else:
            check_quiet(notebook, path)
            write(path, clean(notebook))
        print(f"{path.stem:<32} {seconds:7.1f} s {peak_mb:6,} MB", flush=True)
    if pages:
        print(f"Open {pages / 'index.html'}")
    return results


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


def time_sections(notebook):
    """Return the seconds of the CPU under each `##` heading, from nbclient's time stamps."""
    sections, name = {}, "Opening"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            name = (re.findall(r"^## (.+)$", cell.source, re.MULTILINE) or [name])[-1].strip()
            continue
        start, end = (
            datetime.datetime.fromisoformat(cell.metadata["execution"][key])
            for key in ("iopub.status.busy", "iopub.status.idle")
        )
        sections[name] = round(sections.get(name, 0) + (end - start).total_seconds(), 1)
    return sections


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


def find_title(notebook, path):
    """Return a notebook's `#` heading, or its file name."""
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    return heading[1].strip() if heading else path.stem


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
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in KEPT_CELL_METADATA if cell.metadata.get(key)}
        )
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write(path, text):
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def record(results, small=False):
    """Note what the series' notebooks took in benchmarks/notebooks.json.

    Args:
        results: what `run_all` returned.
        small: they ran on one core; that is noted apart, with the machine and the date.
    """
    kept = ("seconds", "peak_mb", "sections")
    of_series = [result for result in results if result["path"].parent == NOTEBOOKS]
    measured = {result["path"].stem: {key: result[key] for key in kept} for result in of_series}
    if not measured:
        return
    from helpers import preflight

    content = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    known = content.get("one_core", {}) if small else content
    machine, notebooks = preflight.describe_machine(), {}
    if known and len(measured) < len(list(NOTEBOOKS.glob(SERIES))):
        if known["machine"] != machine:
            print(f"{MEASURED.name} comes from another machine and is left as it was.")
            return
        notebooks = known["notebooks"]
    notebooks = dict(sorted({**notebooks, **measured}.items()))
    noted = {"machine": machine, "date": datetime.date.today().isoformat(), "notebooks": notebooks}
    content = {**content, "one_core": noted} if small else {**content, **noted}
    write(MEASURED, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
