"""What data the tests run on, which notebooks nbval takes, and how it sees a kernel die."""

import atexit
import contextlib
import io
import os
import queue
import shutil
import tempfile
import time

import nbval.kernel
import pytest
from nbval.kernel import RunningKernel

from tools import execute, lessons


def pytest_configure(config):
    """Compare the notebooks' outputs on MNIST; on the sample, only execute them."""
    # Workers of pytest-xdist inherit the environment, so what is found out here once holds there.
    if not hasattr(config, "workerinput") and not _on_sample() and not _have_mnist():
        if os.environ.get("CI") == "true":
            pytest.exit("MNIST is not to be had. Set MNIST_DIR, or MNIST_SAMPLE=1.", returncode=1)
        os.environ["MNIST_SAMPLE"] = "1"
    config.option.nbval = not _on_sample()
    config.option.nbval_lax = _on_sample()


def pytest_report_header():
    """Say which data is used."""
    if _on_sample():
        return "data: scikit-learn's digits, NOT MNIST; notebooks run, their outputs differ"
    return "data: MNIST; notebooks run, and their outputs are compared"


def pytest_ignore_collect(collection_path):
    """Keep nbval to the series: what a reader made beside it is theirs."""
    of_others = (
        collection_path.suffix == ".ipynb" and collection_path not in lessons.list_notebooks()
    )
    return of_others or None


def pytest_collection_modifyitems(items):
    """Skip, on the sample, the tests that need MNIST."""
    for item in items if _on_sample() else []:
        if item.get_closest_marker("mnist"):
            item.add_marker(pytest.mark.skip(reason="needs real MNIST; this is the sample"))


class KernelDied(Exception):
    """The kernel that a cell ran in is gone; the argument is its process."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Let the cell that killed its kernel say so; nbval expects those after it to fail."""
    killed = execute.count_killed()
    try:
        return (yield)
    except KernelDied as death:
        item.parent.timed_out = True
        cause = execute.explain_death(death.args[0], "", execute.count_killed() - killed)
        item.raise_cell_error(f"{item.path.name} stopped in this cell: {cause}.")


def _receive(kernel, stream, timeout=None, receive=RunningKernel.get_message):
    """Wait for a kernel's message as nbval does, but no longer than the kernel lives."""
    end = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        alive = kernel.is_alive()  # asked first: what it said before it died is still read
        try:
            return receive(kernel, stream, max(0, min(1, end - time.monotonic())))
        except queue.Empty:
            if not alive:
                raise KernelDied(execute.find_process(kernel.km)) from None
            if time.monotonic() >= end:
                raise


RunningKernel.get_message = _receive


@execute.start_again
def _start(start=nbval.kernel.start_new_kernel, **options):
    """Start a kernel as nbval does, out of reach of what a killed one left in the usual folder."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return start(env={**os.environ, "TMPDIR": folder}, **options)


nbval.kernel.start_new_kernel = _start


def _on_sample():
    """Tell whether the sample stands in for MNIST."""
    return os.environ.get("MNIST_SAMPLE") == "1"


def _have_mnist():
    """Load MNIST, downloading it where that is needed, and tell whether it came."""
    from helpers import data

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        (_, train_labels), _ = data.load_mnist()
    if not data.is_mnist(train_labels):
        print(said.getvalue().strip())
    return data.is_mnist(train_labels)
