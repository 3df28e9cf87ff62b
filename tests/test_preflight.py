"""What the preflight says of a machine that is not ready."""

import ast
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import preflight


def test_this_machine_passes_what_the_tests_need(capsys):
    preflight.check_machine()
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[1] for line in lines if line.startswith(("ok", "FIX"))]
    assert names == ["Python", "packages", "kernel", "settings", "memory", "cores", "data"]
    assert preflight.check_python()[0] and preflight.check_packages()[0]


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 14, 0)])
def test_other_python_is_refused_with_the_command(monkeypatch, version):
    monkeypatch.setattr(preflight.sys, "version_info", version)
    monkeypatch.setattr(preflight, "check_kernel", lambda: (True, "", ""))
    with pytest.raises(preflight.SetupError, match=r"PYTHON=python3\.12") as error:
        preflight.setup()
    assert error.value._render_traceback_() == [str(error.value)]


def test_preflight_is_understood_by_the_pythons_that_it_refuses():
    source = Path(preflight.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))


def test_missing_and_old_packages_are_named(monkeypatch, capsys):
    wanted = ["no-such-package>=1", "numpy>=99"]
    monkeypatch.setattr(preflight, "_requirements", lambda: wanted)
    problems = preflight.check_machine()
    assert "not installed in this kernel: no-such-package; numpy is" in problems[0]
    said = capsys.readouterr().out
    assert "make lab" in said and f"{sys.executable} -m pip install -r" in said


def test_check_that_cannot_import_is_a_line_and_no_traceback(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "psutil", None)
    problems = preflight.check_machine()
    assert any(problem.startswith("memory: not checked") for problem in problems)
    assert "data " in capsys.readouterr().out


def test_only_cores_that_may_be_used_are_counted():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot hold a process to one core")
    code = (
        "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1]);"
        "from helpers import preflight; print(preflight.check_cores()[1])"
    )
    done = run_python(code)
    assert done.stdout == "1; the stated times are for 2, expect twice\n"


def test_maker_of_a_name_is_the_last_cell_that_makes_it():
    cells = [
        "import numpy as np",
        "for i, (a, b) in []:\n    pass\nwith open('x') as file:\n    text = [c for c in file]",
        "def work(argument):\n    inside = 1\n    return inside",
        "text: str = ''",
        "half a cell",
        "print(text, np)",
    ]
    makers = {"np": 0, "i": 1, "b": 1, "file": 1, "work": 2, "text": 3}
    found = {name: cells.index(preflight.find_maker(name, cells)) for name in makers}
    assert found == makers
    unmade = ("argument", "inside", "c", "print", None)
    assert [preflight.find_maker(name, cells) for name in unmade] == [None] * len(unmade)


def test_on_binder_its_own_requirements_count(monkeypatch):
    def as_on_binder(ask):
        return lambda name: ask("tensorflow" if name == "tensorflow-cpu" else name)

    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    for ask in ("version", "distribution"):
        patched = as_on_binder(getattr(preflight.importlib.metadata, ask))
        monkeypatch.setattr(preflight.importlib.metadata, ask, patched)
    assert any(line.startswith("tensorflow-cpu") for line in preflight._requirements())
    ok, found, _ = preflight.check_packages()
    assert ok and "TensorFlow 2." in found


def test_little_memory_is_said(monkeypatch):
    monkeypatch.setattr(preflight, "MEMORY_NEEDED", 1e6)
    ok, found, fix = preflight.check_memory()
    assert not ok and "GB free" in found and "close" in fix


def test_data_that_is_not_there_is_said(monkeypatch, tmp_path):
    from helpers import data

    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setattr(data, "CACHE", tmp_path)
    monkeypatch.setattr(data, "_user_cache", lambda: tmp_path)
    ok, found, fix = preflight.check_data()
    assert not ok and "not on this machine" in found and "MNIST_DIR" in fix


@pytest.mark.slow
def test_setup_is_quiet_and_tensorflow_has_a_thread_for_each_core_that_may_be_used(tmp_path):
    code = (
        "import sys; from helpers import preflight; preflight.setup();"
        "assert 'tensorflow' not in sys.modules; preflight.count_cores = lambda: 1;"
        "preflight.load_tensorflow(); preflight.load_tensorflow();"
        "import keras, tensorflow as tf; keras.ops.ones(3) + 1;"
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    done = run_python(code, TMPDIR=tmp_path)  # where nobody else's kernel has died
    threads = 1 if os.cpu_count() > 1 else 0
    assert (done.stdout, done.stderr) == (f"Setup complete.\n{threads}\n", "")


# What the reader has set for other work ----------------------------------------------------------

SHOW = (
    "import keras; print(keras.config.backend(), keras.config.image_data_format(),"
    "keras.config.floatx())"
)
LOAD = "from helpers import preflight; preflight.setup(); preflight.load_tensorflow();"


def run_python(code, **environment):
    """Run code in a process of its own, in an environment; return what became of it."""
    kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_HOME", "KERAS_BACKEND")}
    environment = kept | {name: str(value) for name, value in environment.items()}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=preflight.ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", [LOAD, "import tools.train;", "import conftest;"])
def test_other_settings_of_keras_have_no_say(first, tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(
        '{"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"}'
    )
    done = run_python(first + SHOW, HOME=tmp_path, KERAS_BACKEND="torch", MPLCONFIGDIR=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["tensorflow channels_last float32"], done.stderr
    assert first != LOAD or done.stderr == ""


@pytest.mark.slow
def test_no_home_is_needed(tmp_path):
    (tmp_path / "file").touch()
    code = f"{LOAD}from helpers import data; print(data._user_cache(), len(data.find_local()[0]))"
    done = run_python(code, HOME=tmp_path / "file" / "home", TMPDIR=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.startswith("Setup complete.\n")


def test_settings_of_an_imported_keras_are_checked():
    import keras

    assert preflight.check_settings()[0]
    keras.config.set_floatx("float16")
    try:
        ok, found, fix = preflight.check_settings()
    finally:
        keras.config.set_floatx("float32")
    assert not ok and "floatx float16, not float32" in found and "restart the kernel" in fix


def test_another_numpy_is_named(tmp_path):
    (tmp_path / "numpy.py").write_text("")
    code = "from helpers import preflight; print(preflight.check_packages())"
    done = run_python(code, PYTHONPATH=tmp_path)
    assert f"numpy is found in {tmp_path}" in done.stdout and "PYTHONPATH" in done.stdout


def test_what_tensorflow_said_is_shown(tmp_path):
    package, code = tmp_path / "tensorflow.py", "from helpers import preflight;"
    environment = {"PYTHONPATH": tmp_path, "TMPDIR": tmp_path}
    code += "import sys, types; sys.modules['keras'] = types.ModuleType('keras');"
    speak = "import os\nos.write(2, b'libsomething.so is missing\\n')\n"
    package.write_text(f"{speak}raise ImportError('no libsomething')")
    done = run_python(f"{code}preflight.load_tensorflow()", **environment)
    assert "libsomething.so is missing" in done.stderr
    assert "TensorFlow cannot be loaded: ImportError: no libsomething" in done.stderr
    package.write_text(f"{speak}os.abort()")
    assert run_python(f"{code}preflight.load_tensorflow()", **environment).returncode != 0
    package.unlink()
    done = run_python(f"{code}print(preflight.find_last_words())", **environment)
    assert done.stdout == "['libsomething.so is missing']\n"


@pytest.mark.parametrize("version", [1, 2])
def test_memory_of_a_container_is_read(version, tmp_path):
    assert preflight._read_memory_left(tmp_path) == math.inf
    folder = tmp_path / "memory" if version == 1 else tmp_path
    names = ["memory.limit_in_bytes", "memory.usage_in_bytes"]
    names = names if version == 1 else ["memory.max", "memory.current"]
    folder.mkdir(exist_ok=True)
    for name, text in zip(names, ("1000000000", "600000000"), strict=True):
        (folder / name).write_text(text)
    (folder / "memory.stat").write_text("inactive_file 100000000\n")
    assert preflight._read_memory_left(tmp_path) == 500_000_000


def test_check_is_printed_on_any_console():
    code = "from helpers import preflight; preflight.MEMORY_NEEDED = 1e6; preflight.check_machine()"
    done = run_python(code, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 0 and "-> close other programs" in done.stdout


@pytest.mark.parametrize(
    ("system", "machine", "libc", "says"),
    [
        ("Darwin", "x86_64", "", "Intel chip"),
        ("Windows", "ARM64", "", "Windows on ARM"),
        ("Linux", "x86_64", "", "Alpine"),
        ("Linux", "armv7l", "glibc", "armv7l"),
    ],
)
def test_machine_without_tensorflow_is_told(system, machine, libc, says, monkeypatch):
    assert preflight.check_platform()[0]
    monkeypatch.setattr(preflight.platform, "system", lambda: system)
    monkeypatch.setattr(preflight.platform, "machine", lambda: machine)
    monkeypatch.setattr(preflight.platform, "libc_ver", lambda: (libc, ""))
    ok, found, fix = preflight.check_platform()
    assert not ok and says in found and "Binder" in fix
