"""Check a machine before the first lesson. Imports only the standard library, so that it can
say what is missing."""

import dis
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
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
    from helpers import plots

    plots.use_style()
    explain_missing_names()
    print("Setup complete.")


def choose_settings():
    """Decide for this process what the reader's environment would: backend, axes, figures.

    Keras reads `KERAS_BACKEND` and `~/.keras/keras.json` when it is imported; its own defaults are
    what the series needs, so it is led to a place where there is no such file.
    """
    if "keras" not in sys.modules:
        os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=str(ROOT / "README.md" / "keras"))
        for name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
            os.environ.pop(name, None)
    shell = _find_kernel()
    if shell:  # MPLBACKEND may be set for other work
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        shell.enable_matplotlib("inline")


def _find_kernel():
    """Return the IPython shell of a notebook's kernel, or None outside one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if hasattr(shell, "kernel") else None


def explain_missing_names():
    """Let a cell that needs a name from a cell above say which one, in one line and no traceback.

    Every other error, a reader's own misspelt name included, is shown as always.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if hasattr(shell, "get_parent"):  # a notebook's kernel, which knows the cell it was sent
        shell.set_custom_exc((NameError,), _show_name_error)


def find_maker(name, cells):
    """Find the cell that makes a name.

    Args:
        name: a variable, function or module.
        cells: sources of code cells in the notebook's order.

    Returns:
        The source of the last of them that assigns, defines or imports the name, or None.
    """
    return next((cell for cell in reversed(cells) if name in _names_made(cell)), None)


def load_tensorflow():
    """Load TensorFlow without its greeting; it takes some seconds and half a gigabyte.

    A container may see more cores than it may use (Binder's use one). TensorFlow would start a
    thread for each that it sees; these would only take turns.
    """
    choose_settings()
    with explain_failure(), quiet_stderr():
        import keras  # noqa: F401, with the settings chosen
        import tensorflow as tf

        threading, cores = tf.config.threading, count_cores()
        if cores < (os.cpu_count() or 1) and not threading.get_intra_op_parallelism_threads():
            with suppress(RuntimeError):  # somebody has used TensorFlow already
                threading.set_intra_op_parallelism_threads(cores)
                threading.set_inter_op_parallelism_threads(cores)
        tf.constant(1.0) + 1  # the first operation prints as well
    ok, found, fix = check_settings()
    if not ok:
        raise SetupError(f"{found}.\nTo fix it, {fix}")
    # A notebook makes several networks; TensorFlow would warn that it has to trace each of them.
    tf.get_logger().addFilter(lambda record: "retracing" not in record.getMessage())


@contextmanager
def explain_failure():
    """Say in two lines why TensorFlow cannot be loaded."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()
        raise SetupError(
            f"TensorFlow cannot be loaded: {type(error).__name__}: {cause[0][:300]}\n"
            f"Install it again: {_install_command()}"
        ) from error


def check_machine():
    """Check Python, packages, kernel, memory, cores and data, and print a line for each.

    Returns:
        The lines that need a fix, a list of str; empty when all is well.
    """
    checks = {
        "Python": check_python,
        "packages": check_packages,
        "kernel": check_kernel,
        "settings": check_settings,
        "memory": check_memory,
        "cores": check_cores,
        "data": check_data,
    }
    problems = []
    for name, check in checks.items():
        try:
            ok, found, fix = check()
        except ImportError as error:
            ok, found, fix = False, f"not checked: {error}", _install_command()
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
    wrong = None
    if system == "Darwin" and machine != "arm64":
        wrong = "Macs with an Intel chip, or for an Intel Python on an Apple chip"
    elif system == "Windows" and machine not in ("amd64", "x86_64"):
        wrong = "Windows on ARM"
    elif system == "Linux" and machine not in ("x86_64", "aarch64"):
        wrong = f"Linux on {machine}"
    elif system == "Linux" and platform.libc_ver()[0] != "glibc":
        wrong = "Alpine and other systems without glibc"
    elif sys.maxsize < 2**32:
        wrong = "a 32-bit Python"
    elif system not in ("Linux", "Darwin", "Windows"):
        wrong = system
    return (
        wrong is None,
        f"{system}, {machine}" if wrong is None else f"there is no TensorFlow 2.21 for {wrong}",
        "open the notebooks on Binder instead (README.md has the link), or use another machine",
    )


def check_packages():
    """Check that what requirements.txt lists is installed, within its bounds."""
    missing, problems, versions = [], [], {}
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return False, "this kernel has none of the series' packages", _install_command()
    for line in _requirements():
        wanted = Requirement(line)
        try:
            versions[wanted.name] = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(wanted.name)
            continue
        if not wanted.specifier.contains(versions[wanted.name], prereleases=True):
            problems.append(f"{wanted.name} is {versions[wanted.name]}, not {wanted.specifier}")
    if missing:
        problems.insert(0, f"not installed in this kernel: {', '.join(missing)}")
    if problems:
        return False, "; ".join(problems), _install_command()
    if shadows := find_shadows(versions):
        fix = "move it away, or take its folder out of PYTHONPATH; then restart the kernel"
        return False, "; ".join(shadows), fix
    tensorflow = versions.get("tensorflow") or versions["tensorflow-cpu"]
    found = f"TensorFlow {tensorflow}, Keras {versions['keras']}"
    return True, f"{found}, {len(versions)} packages in all", ""


def find_shadows(names):
    """Find what is imported in the place of packages that are installed.

    Args:
        names: of packages, as in requirements.txt.

    Returns:
        A list of str, a sentence for each package that another file or folder hides.
    """
    modules = {"scikit-learn": "sklearn", "tensorflow-cpu": "tensorflow"}
    shadows = []
    for name in names:
        module = modules.get(name, name.replace("-", "_"))
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):  # it was put among the modules by hand
            continue
        installed = Path(importlib.metadata.distribution(name).locate_file("")).resolve()
        place = Path(found.origin).resolve() if found and found.origin else None
        if place and place.name.startswith(("__init__", module)) and installed not in place.parents:
            shadows.append(f"{module} is found in {place.parent}, not {installed}")
    return shadows


def check_settings():
    """Check that Keras computes as the series needs it, whatever the environment says."""
    keras = sys.modules.get("keras")
    if not hasattr(keras, "config"):
        return True, "Keras will take TensorFlow, channels last, float32", ""
    wanted = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32"}
    found = {name: getattr(keras.config, name)() for name in wanted}
    wrong = [f"{name} {v}, not {wanted[name]}" for name, v in found.items() if v != wanted[name]]
    source = "KERAS_BACKEND" if "KERAS_BACKEND" in os.environ else "~/.keras/keras.json"
    return (
        not wrong,
        f"Keras has {'; '.join(wrong)} ({source})"
        if wrong
        else "TensorFlow, channels last, float32",
        "restart the kernel and run the setup cell before anything imports Keras",
    )


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
    files = {"memory.max": "memory.current"}  # version 2, then 1
    files["memory/memory.limit_in_bytes"] = "memory/memory.usage_in_bytes"
    for limit, usage in files.items():
        try:
            most, used = (
                int((folder / name).read_text(encoding="utf-8")) for name in (limit, usage)
            )
            details = (folder / limit).with_name("memory.stat").read_text(encoding="utf-8")
        except (OSError, ValueError):  # not there, or "max"
            continue
        given_back = [line.split()[1] for line in details.splitlines() if "inactive_file " in line]
        return max(0, most - used + int((given_back or [0])[-1]))
    return math.inf


def multiplies_bfloat16():
    """Tell whether this CPU has instructions for bfloat16; only Linux says so."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text(encoding="utf-8", errors="replace") if cpu.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def describe_machine():
    """Describe this machine and its main packages, for a results file.

    Returns:
        A dict of str: CPU, cores, system, whether it multiplies bfloat16 itself, and versions of
        Python, TensorFlow and Keras.
    """
    cpu = platform.processor() or platform.machine()
    details = Path("/proc/cpuinfo")  # Linux; elsewhere platform knows the name
    if details.is_file():
        lines = details.read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.split(": ")[1] for line in lines if "model name" in line), cpu)
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {
        "cpu": cpu,
        "cores": str(count_cores()),
        "system": platform.system(),
        "bfloat16": "yes" if multiplies_bfloat16() else "no",
        "python": platform.python_version(),
        **versions,
    }


@contextmanager
def quiet_stderr():
    """Hold back what C++ code prints to file descriptor 2; TensorFlow's greeting cannot be
    switched off otherwise. It is shown if something goes wrong, and kept if the process dies."""
    sys.stderr.flush()
    kept, said = os.dup(2), LAST_WORDS / f"mnist-CNN-{os.getpid()}.txt"
    with said.open("w+", encoding="utf-8", errors="replace") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            file.seek(0)
            sys.stderr.write(file.read())
            file.truncate(0)
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    said.unlink()


def find_last_words(process=None):
    """Return, and delete, what kernels said that ended while something was held back.

    Args:
        process: the number of one that has ended; else all that are gone.

    Returns:
        A list of str, the last line of each.
    """
    words = []
    for path in LAST_WORDS.glob("mnist-CNN-*.txt"):
        number = int(path.stem.rpartition("-")[2])
        with suppress(OSError):
            import psutil

            if number == process or (process is None and not psutil.pid_exists(number)):
                lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                words += lines[-1:]
                path.unlink()
    return words


def _requirements_file():
    """Return the requirements.txt that holds here: Binder has a twin of it."""
    on_binder = any(name.startswith("BINDER_") for name in os.environ)
    return ROOT / ("binder/requirements.txt" if on_binder else "requirements.txt")


def _requirements():
    """Return the lines of that file that name a package."""
    lines = _requirements_file().read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _install_command():
    """Return what installs the packages, in the project's environment or in this kernel's."""
    command = [sys.executable, "-m", "pip", "install", "-r", str(_requirements_file())]
    return f"run `make lab`, or: {subprocess.list2cmdline(command)}"


def _show_name_error(shell, kind, error, traceback, tb_offset=None):
    """Show a NameError: in one line where a cell above makes the name, else as IPython does."""
    last = traceback
    while last.tb_next:
        last = last.tb_next
    if last.tb_frame.f_globals is shell.user_ns:  # not in a library
        cells = _cells_above(shell.get_parent()["content"].get("code", ""))
        maker = find_maker(error.name, cells)
        if maker:
            line = (
                f"`{error.name}` is not there yet. First run the cell that begins "
                f"`{_beginning(maker)}`, or all cells above this one "
                "(Run menu, Run All Above Selected Cell)."
            )
            error._render_traceback_ = lambda: [line]
    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)


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


def _beginning(source, most=60):
    """Return the first line of a cell, or as much of it as a message has room for."""
    line = source.strip().splitlines()[0]
    return line if len(line) <= most else f"{line[:most].rstrip()} …"


def _names_made(source):
    """Return the names that a cell assigns, defines or imports, those of its functions apart."""
    try:
        code = compile(source, "cell", "exec")
    except SyntaxError:  # a reader's cell, half-way through
        return set()
    return {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}


if __name__ == "__main__":  # of make, before pip starts: nothing but a line if something is wrong
    refusals = [
        f"{found}; {fix}." for ok, found, fix in (check_platform(), check_python()) if not ok
    ]
    print("".join(refusals[:1]))
