"""Check a machine before the first lesson. Imports only the standard library, so that it can
say what is missing."""

import importlib.metadata
import os
import platform
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL = "run `make lab`, or: python -m pip install -r requirements.txt"
MEMORY_NEEDED = 1.2  # GB, the most a notebook of the series may take


class SetupError(Exception):
    """A reason why the notebook cannot run here, shown without a traceback."""

    def _render_traceback_(self):
        return [f"{self}"]


def setup():
    """Make a notebook ready: check Python and packages, set the style of the figures.

    Raises:
        SetupError: Python or a package is missing or too old; the message has the command.
    """
    for ok, found, fix in (check_python(), check_packages()):
        if not ok:
            raise SetupError(f"{found}. To fix it, {fix}")
    from helpers import plots

    plots.use_style()
    print("Setup complete.")


def load_tensorflow():
    """Load TensorFlow without its greeting; it takes some seconds and half a gigabyte."""
    with quiet_stderr():
        import tensorflow as tf

        tf.constant(1.0) + 1  # the first operation prints as well


def check_machine():
    """Check Python, packages, kernel, memory, cores and data, and print a line for each.

    Returns:
        The lines that need a fix, a list of str; empty when all is well.
    """
    checks = {
        "Python": check_python,
        "packages": check_packages,
        "kernel": check_kernel,
        "memory": check_memory,
        "cores": check_cores,
        "data": check_data,
    }
    problems = []
    for name, check in checks.items():
        ok, found, fix = check()
        print(f"{'ok ' if ok else 'FIX'}  {name:<9} {found}")
        if not ok:
            print(f"     {'':<9} → {fix}")
            problems.append(f"{name}: {found}")
    return problems


def check_python():
    """Check that this is Python 3.11, 3.12 or 3.13.

    Returns:
        `(ok, found, fix)`, as each check does: whether it passed, what was found, what to do.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    return (
        (3, 11) <= sys.version_info[:2] <= (3, 13),
        f"Python {version}; the series needs 3.11, 3.12 or 3.13",
        "install one of them, then: make lab PYTHON=python3.12",
    )


def check_packages():
    """Check that what requirements.txt lists is installed, within its bounds."""
    problems, versions = [], {}
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return False, "the series' packages are not installed in this kernel", INSTALL
    for line in _requirements():
        wanted = Requirement(line)
        try:
            versions[wanted.name] = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            problems.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(versions[wanted.name], prereleases=True):
            problems.append(f"{wanted.name} is {versions[wanted.name]}, not {wanted.specifier}")
    if problems:
        return False, "; ".join(problems), INSTALL
    tensorflow = versions.get("tensorflow") or versions["tensorflow-cpu"]
    found = f"TensorFlow {tensorflow}, Keras {versions['keras']}"
    return True, f"{found}, {len(versions)} packages in all", ""


def check_kernel():
    """Check that the kernel runs in the project's own environment, where there is one."""
    own = ROOT / ".venv"
    here = Path(sys.prefix).resolve()
    return (
        not own.is_dir() or here == own.resolve(),
        "the project's own environment" if here == own.resolve() else "another environment",
        "close JupyterLab and start it with `make lab`, or choose the .venv kernel (Kernel menu)",
    )


def check_memory():
    """Check that enough memory is free for the largest notebook."""
    import psutil

    free = psutil.virtual_memory().available / 1e9
    return (
        free >= MEMORY_NEEDED,
        f"{free:.1f} GB free; a notebook takes up to {MEMORY_NEEDED} GB",
        "close other programs and shut down other kernels (Kernel menu)",
    )


def check_cores():
    """Say how many cores there are; one is enough, two are what times are stated for."""
    cores = os.cpu_count() or 1
    return True, f"{cores}; the stated times are for 2" + (", expect twice" * (cores == 1)), ""


def check_data():
    """Check that MNIST is on this machine, so that nothing needs the network later."""
    from helpers import data

    for folder in data.local_folders():
        try:
            data.read_folder(folder)
        except data.DataError as error:
            return False, str(error), "then run this cell again"
        return True, "MNIST is on this machine, verified", ""
    fix = "run `load_mnist()` below with a network (11 MB), or set MNIST_DIR to a folder with it"
    return False, "MNIST is not on this machine yet", fix


def describe_machine():
    """Describe this machine and its main packages, for a results file.

    Returns:
        A dict of str: CPU, cores, system, and versions of Python, TensorFlow and Keras.
    """
    cpu = platform.processor() or platform.machine()
    details = Path("/proc/cpuinfo")  # Linux; elsewhere platform knows the name
    if details.is_file():
        lines = details.read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.split(": ")[1] for line in lines if "model name" in line), cpu)
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": platform.python_version(),
        **versions,
    }


@contextmanager
def quiet_stderr():
    """Hold back what C++ code prints to file descriptor 2; TensorFlow's greeting cannot be
    switched off otherwise."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _requirements():
    """Return the lines of requirements.txt (Binder's twin of it there) that name a package."""
    on_binder = any(name.startswith("BINDER_") for name in os.environ)
    name = "binder/requirements.txt" if on_binder else "requirements.txt"
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
