"""Execute the notebooks in order, each in a fresh kernel.

`python -m tools.run` writes pages to build/html and leaves the notebooks alone;
`python -m tools.run --save` executes and cleans the notebooks themselves.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from helpers import data
from helpers.files import write_text
from tools import clean, lessons, pad, pages
from tools.execute import NotebookError, execute

PAGES = lessons.ROOT / "build" / "html"


def main(arguments=None):
    """Run what the command line asks for; return the exit status."""
    options = read_options(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a Windows console may lack a character
    # Their causes are reported below, in one or two lines.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    return tell_failure(save_or_show, options)


def tell_failure(work, options):
    """Do what the options ask for; return the exit status, and say in two lines why it failed."""
    try:
        work(options)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def save_or_show(options):
    """Execute the notebooks, and save them or write their pages."""
    paths = find_notebooks(options.notebooks)
    real = have_mnist()
    if options.save and not real:
        raise NotebookError("--save needs real MNIST: set MNIST_DIR to a folder that holds it.")
    if options.save:
        save_all(paths)
        return
    if not options.notebooks:
        print(f"Draw on {pad.write_pad(options.out.resolve())}", flush=True)
    write_pages(paths, options.out.resolve())


def read_options(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Execute the notebooks in order.")
    parser.add_argument("notebooks", nargs="*", help="only these, in this order (default: all)")
    parser.add_argument("--out", type=Path, default=PAGES, help="where pages go (build/html)")
    parser.add_argument("--save", action="store_true", help="execute and clean the notebooks")
    return parser.parse_args(arguments)


def find_notebooks(names):
    """Return the paths of the notebooks that were named, or of the whole series."""
    folder = lessons.NOTEBOOKS
    candidates = [(Path(name), folder / f"{Path(name).stem}.ipynb") for name in names]
    paths = [given if given.is_file() else ours for given, ours in candidates]
    for path in paths or lessons.list_notebooks():
        if not path.is_file():
            raise NotebookError(f"There is no notebook {path.name} in {folder.name}/.")
    return [path.resolve() for path in paths] or lessons.list_notebooks()


def have_mnist():
    """Load the data once, so that a download and its progress bar are seen here and once."""
    (_, train_labels), _ = data.load_mnist()
    if not data.is_mnist(train_labels):
        os.environ["MNIST_SAMPLE"] = "1"  # or every kernel would try the network again
        return False
    return True


def save_all(paths):
    """Execute notebooks, and save each as it is committed; one that is not quiet is left alone."""
    for path in paths:
        notebook, seconds, peak_mb = execute(path)
        clean.check_quiet(notebook, path)
        write_text(path, clean.clean(notebook))
        report(path, seconds, peak_mb)


def write_pages(paths, folder):
    """Execute notebooks, and write each as a page, with an index, to a folder."""

    def load(path):
        notebook, seconds, peak_mb = execute(path)
        report(path, seconds, peak_mb)
        return notebook

    pages.write_pages(paths, folder, load)
    print(f"Open {folder / 'index.html'}")


def report(path, seconds, peak_mb):
    """Print what a notebook took."""
    print(f"{path.stem:<32} {seconds:7.1f} s {peak_mb:6,} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
