"""Check a machine before the first lesson. Imports only the standard library, so that it can say
what is missing, and is understood by the Pythons that it refuses: make runs it with any."""

import dis
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = Path("/sys/fs/cgroup")  # where Linux says what it grants this container
LAST_WORDS = Path(tempfile.gettempdir())  # where is kept what a process said that may die
MEMORY_NEEDED = 1.25  # GB, the most a notebook of the series may take


class SetupError(Exception):
    """A reason why the notebook cannot run here, shown without a traceback."""

    def _render_traceback_(self):
        return [f"{self}"]


def setup():
    """Make a notebook ready: check Python and packages, set the style of the figures.

    From then on a cell that is run before the one it needs says so in one line.

    Raises:
        SetupError: Python or a package is missing or too old; the message has the command.
    """
    for check in (check_platform, check_python, check_packages, check_settings):
        ok, found, fix = check()
        if not ok:
            own_kernel, _, choose = check_kernel()
            raise SetupError(f"{found}.\nTo fix it, {fix if own_kernel else choose}")
    choose_settings()
    for said in find_last_words():
        print(f"A kernel ended while TensorFlow was loading. It said: {said}")
    _prepare_kernel()
    from helpers import plots

    plots.use_style()
    print("Setup complete.")


def choose_settings():
    """Decide for this process what Keras takes, whatever the reader's environment says.

    Keras reads `KERAS_BACKEND` and `~/.keras/keras.json` when it is imported; its own defaults are
    what the series needs, so it is led to a place where there is no such file.
    """
    os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=str(ROOT / "README.md" / "keras"))


def _prepare_kernel():
    """In a notebook's kernel: show figures in the notebook, and explain names that are missing."""
    from IPython import get_ipython

    shell = get_ipython()
    if hasattr(shell, "kernel"):
        shell.enable_matplotlib("inline")
        shell.set_custom_exc((NameError,), _show_name_error)


def load_tensorflow():
    """Load TensorFlow without its greeting; it takes some seconds and half a gigabyte.

    A container may see more cores than it may use (Binder's use one). TensorFlow would start a
    thread for each that it sees; these would only take turns.

    Raises:
        SetupError: TensorFlow cannot be loaded; the message has the cause and the command.
    """
    choose_settings()
    try:
        with quiet_stderr():
            import keras  # noqa: F401, with the settings chosen
            import tensorflow as tf

            threading, cores = tf.config.threading, count_cores()
            if cores < (os.cpu_count() or 1) and not threading.get_intra_op_parallelism_threads():
                with suppress(RuntimeError):  # somebody has used TensorFlow already
                    threading.set_intra_op_parallelism_threads(cores)
                    threading.set_inter_op_parallelism_threads(cores)
            tf.constant(1.0) + 1  # the first operation prints as well
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise SetupError(
            f"TensorFlow cannot be loaded: {cause}\nInstall it again: {_install_command()}"
        ) from error
    # A notebook makes several networks; TensorFlow would warn that it has to trace each of them.
    tf.get_logger().addFilter(lambda record: "retracing" not in record.getMessage())


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
            print(f"     {'':<9} -> {fix}")
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


def check_platform():
    """Check that there is a TensorFlow for this system; pip would say so late and at length."""
    system, machine = platform.system(), platform.machine().lower()
    known = {
        "Linux": ("x86_64", "aarch64"),
        "Darwin": ("arm64",),
        "Windows": ("amd64", "x86_64"),
    }
    libc = f", {platform.libc_ver()[0] or 'no glibc'}" if system == "Linux" else ""
    found = f"{system}, {machine}{libc}, {sys.maxsize.bit_length() + 1} bits"
    return (
        machine in known.get(system, ()) and libc in ("", ", glibc") and sys.maxsize > 2**32,
        f"there is no TensorFlow 2.21 for this Python ({found}): only for 64 bits, on Linux with "
        "glibc (not Alpine), on Windows with x86-64, and on a Mac with an Apple chip",
        "open the notebooks on Binder instead (README.md has the link), or use another machine",
    )


def check_packages():
    """Check that what requirements.txt lists is installed, within its bounds."""
    from packaging.requirements import Requirement

    missing, problems, versions = [], [], {}
    lines = _requirements_file().read_text(encoding="utf-8").splitlines()
    for wanted in (Requirement(line) for line in lines if line and line[0] != "#"):
        try:
            version = versions[wanted.name] = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(wanted.name)
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            problems.append(f"{wanted.name} is {version}, not {wanted.specifier}")
    if missing:
        problems.insert(0, f"not installed in this kernel: {', '.join(missing)}")
    if problems:
        return False, "; ".join(problems), _install_command()
    if shadows := [shadow for shadow in map(_find_shadow, versions) if shadow]:
        fix = "move it away, or take its folder out of PYTHONPATH; then restart the kernel"
        return False, "; ".join(shadows), fix
    tensorflow = versions.get("tensorflow") or versions["tensorflow-cpu"]
    found = f"TensorFlow {tensorflow}, Keras {versions['keras']}"
    return True, f"{found}, {len(versions)} packages in all", ""


def _find_shadow(name):
    """Say what is imported in the place of a package that is installed, or return None."""
    module = {"scikit-learn": "sklearn", "tensorflow-cpu": "tensorflow"}.get(name, name)
    found = importlib.util.find_spec(module)
    place = Path(found.origin).resolve().parent if found and found.origin else None
    installed = Path(importlib.metadata.distribution(name).locate_file("")).resolve()
    if place and not place.is_relative_to(installed):
        return f"{module} is found in {place}, not {installed}"
    return None


def check_settings():
    """Check that Keras, where somebody has imported it, computes as the series needs it."""
    keras = sys.modules.get("keras")
    wanted = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32"}
    found = {name: getattr(keras.config, name)() for name in wanted} if keras else wanted
    wrong = [f"{name} {v}, not {wanted[name]}" for name, v in found.items() if v != wanted[name]]
    return (
        not wrong,
        f"Keras has {'; '.join(wrong)}",
        "restart the kernel and run the setup cell before anything imports Keras",
    )


def check_kernel():
    """Check that the kernel runs in the project's own environment, where there is one."""
    own = ROOT / ".venv"
    chosen = Path(sys.prefix).resolve() == own.resolve()
    return (
        chosen or not own.is_dir(),
        "the project's own environment" if chosen else "another environment",
        "close JupyterLab and start it with `make lab`, or choose the .venv kernel (Kernel menu)",
    )


def check_memory():
    """Check that enough memory is free for the largest notebook."""
    import psutil

    own = psutil.Process().memory_info().rss
    free = (min(psutil.virtual_memory().available, _read_memory_left()) + own) / 1e9
    return (
        free >= MEMORY_NEEDED,
        f"{free:.1f} GB free for this notebook; a notebook takes up to {MEMORY_NEEDED} GB",
        "close other programs and shut down other kernels (Kernel menu)",
    )


def check_cores():
    """Say how many cores there are; one is enough, two are what times are stated for."""
    cores = count_cores()
    return True, f"{cores}; the stated times are for 2" + (", expect twice" * (cores == 1)), ""


def check_data():
    """Check that MNIST is on this machine, so that nothing needs the network later."""
    from helpers import data

    if os.environ.get("MNIST_SAMPLE") == "1":
        return True, "MNIST_SAMPLE=1 asks for the sample, not MNIST", ""
    contents, complaints = data.find_local()
    if len(contents) == len(data.FILES):
        return True, "MNIST is on this machine, verified", ""
    if complaints:
        return False, complaints[0], "then run this cell again"
    fix = "run `load_mnist()` below with a network (11 MB), or set MNIST_DIR to a folder with it"
    return False, "MNIST is not on this machine yet", fix


def count_cores():
    """Count the cores that this process may use: a container's share, not the whole machine."""
    from joblib import cpu_count

    return cpu_count()


def _read_memory_left(folder=CONTAINER):
    """Return how many bytes a container may still take; infinity where it sets no limit."""
    for name, usage in (  # version 2, then 1
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        limit = folder / name
        try:
            most, used = (int(path.read_text(encoding="utf-8")) for path in (limit, folder / usage))
            details = limit.with_name("memory.stat").read_text(encoding="utf-8")
        except (OSError, ValueError):  # not there, or "max"
            continue
        given_back = [0, *map(int, re.findall(r"inactive_file (\d+)", details))]
        return max(0, most - used + given_back[-1])
    return math.inf


def _read_cpuinfo():
    """Return what Linux says of the CPU; nothing elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""


def multiplies_bfloat16():
    """Tell whether this CPU has instructions for bfloat16; only Linux says so."""
    return any(flag in _read_cpuinfo() for flag in ("avx512_bf16", "amx_bf16"))


def describe_machine():
    """Describe this machine and its main packages, for a results file.

    Returns:
        A dict of str: CPU, cores, system, whether it multiplies bfloat16 itself, and versions of
        Python, TensorFlow and Keras.
    """
    named = re.search("model name.*?: (.*)", _read_cpuinfo())  # elsewhere platform knows it
    return {
        "cpu": named[1] if named else platform.processor() or platform.machine(),
        "cores": str(count_cores()),
        "system": platform.system(),
        "bfloat16": "yes" if multiplies_bfloat16() else "no",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
    }


@contextmanager
def quiet_stderr():
    """Hold back what C++ code prints to file descriptor 2; TensorFlow's greeting cannot be
    switched off otherwise. It is shown if something goes wrong, and kept if the process dies."""
    sys.stderr.flush()
    kept, said = os.dup(2), LAST_WORDS / f"mnist-CNN-{os.getpid()}.txt"
    try:
        with said.open("wb") as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)
    except BaseException:
        sys.stderr.write(said.read_text(encoding="utf-8", errors="replace"))
        raise
    finally:
        said.unlink()


def find_last_words(process=None):
    """Return, and delete, what kernels said that ended while something was held back.

    Args:
        process: the number of one that has ended; else all that are gone.

    Returns:
        A list of str, the last line of each.
    """
    import psutil

    words = []
    for path in LAST_WORDS.glob("mnist-CNN-*.txt"):
        number = int(path.stem.rpartition("-")[2])
        if number == process or (process is None and not psutil.pid_exists(number)):
            with suppress(OSError):  # somebody else's
                lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                path.unlink()
                words += lines[-1:]
    return words


def _requirements_file():
    """Return the requirements.txt that holds here: Binder has a twin of it."""
    on_binder = any(name.startswith("BINDER_") for name in os.environ)
    return ROOT / ("binder/requirements.txt" if on_binder else "requirements.txt")


def _install_command():
    """Return what installs the packages, in the project's environment or in this kernel's."""
    command = [sys.executable, "-m", "pip", "install", "-r", str(_requirements_file())]
    return f"run `make lab`, or: {subprocess.list2cmdline(command)}"


def _show_name_error(shell, kind, error, trace, tb_offset=None):
    """Show a NameError: in one line where a cell above makes the name, else as IPython does."""
    cells = _cells_above(shell.get_parent()["content"].get("code", ""))
    if maker := _find_maker(error.name, cells):
        line = (
            f"`{error.name}` is not there yet. First run the cell that begins "
            f"`{maker.strip().splitlines()[0][:60].rstrip()}`, or all cells above this one "
            "(Run menu, Run All Above Selected Cell)."
        )
        error._render_traceback_ = lambda: [line]
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def _find_maker(name, cells):
    """Return the last of the sources of cells that assigns, defines or imports a name, or None."""
    for cell in reversed(cells):
        with suppress(SyntaxError):  # a reader's cell, half-way through
            steps = dis.get_instructions(compile(cell, "cell", "exec"))
            if any(step.opname == "STORE_NAME" and step.argval == name for step in steps):
                return cell
    return None


def _cells_above(source):
    """Return the code cells above the one with this source, in the notebook that holds it."""
    opened = Path(os.environ.get("JPY_SESSION_NAME", ""))  # JupyterLab says which that is
    for path in (opened, *sorted((ROOT / "notebooks").glob("*.ipynb"))):
        cells = _code_cells(path)
        if source in cells:
            return cells[: cells.index(source)]
    return _code_cells(opened)  # the cell was changed, and the notebook is not saved yet


def _code_cells(path):
    """Return the sources of a notebook's code cells; none where there is no notebook."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return []


if __name__ == "__main__":  # of make, before pip starts: a line if there is no TensorFlow
    ok, found, fix = check_platform()
    print("" if ok else f"{found}; {fix}.")
