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
    assert names == ["Python", "packages", "kernel", "memory", "cores", "data"]
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


def test_missing_and_old_packages_are_named(monkeypatch, tmp_path, capsys):
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("# those\nno-such-package>=1\nnumpy>=99\n")
    monkeypatch.setattr(preflight, "_requirements_file", lambda: wanted)
    problems = preflight.check_machine()
    assert "not installed in this kernel: no-such-package; numpy is" in problems[0]
    said = capsys.readouterr().out
    assert "make lab" in said and f"{sys.executable} -m pip install -r {wanted}" in said


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
    found = {name: cells.index(preflight._find_maker(name, cells)) for name in makers}
    assert found == makers
    unmade = ("argument", "inside", "c", "print", None)
    assert [preflight._find_maker(name, cells) for name in unmade] == [None] * len(unmade)


def test_on_binder_its_own_requirements_count(monkeypatch):
    def as_on_binder(ask):
        return lambda name: ask(name.removesuffix("-cpu"))

    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    for ask in ("version", "distribution"):
        patched = as_on_binder(getattr(preflight.importlib.metadata, ask))
        monkeypatch.setattr(preflight.importlib.metadata, ask, patched)
    ok, found, _ = preflight.check_packages()
    assert ok and "TensorFlow 2." in found


def test_data_that_is_not_there_is_said(nowhere):
    ok, found, fix = preflight.check_data()
    assert not ok and "not on this machine" in found and "MNIST_DIR" in fix


# What the reader has set for other work ----------------------------------------------------------


def run_python(code, **environment):
    """Run code in a process of its own, in an environment; return what became of it."""
    kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_HOME", "KERAS_BACKEND")}
    environment = kept | {name: str(value) for name, value in environment.items()}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=preflight.ROOT, env=environment, capture_output=True, text=True
    )


LOAD = "from helpers import preflight; preflight.setup(); preflight.load_tensorflow();"
LOAD_ON_ONE_CORE = """
import os, sys
from helpers import preflight
preflight.setup()
assert "tensorflow" not in sys.modules
preflight.count_cores = lambda: 1
preflight.load_tensorflow()
preflight.load_tensorflow()
import tensorflow as tf
assert tf.config.threading.get_intra_op_parallelism_threads() == (os.cpu_count() > 1)
"""
SHOW = """
import keras.config as c
print(c.backend(), c.image_data_format(), c.floatx())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "said"), [(LOAD_ON_ONE_CORE, "Setup complete.\n"), ("import tools.train", "")]
)
def test_other_settings_of_keras_have_no_say(first, said, tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(
        '{"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"}'
    )
    places = dict.fromkeys(("HOME", "MPLCONFIGDIR", "TMPDIR"), tmp_path)
    done = run_python(first + SHOW, KERAS_BACKEND="torch", **places)
    assert done.stdout == f"{said}tensorflow channels_last float32\n", done.stderr
    assert done.stderr == "" or not said


@pytest.mark.slow
def test_no_home_is_needed(tmp_path):
    (tmp_path / "file").touch()
    code = f"{LOAD} from helpers import data; data.find_local()"
    done = run_python(code, HOME=tmp_path / "file" / "home", TMPDIR=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout == "Setup complete.\n"


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
    package, environment = tmp_path / "tensorflow.py", {"PYTHONPATH": tmp_path, "TMPDIR": tmp_path}
    code = "import sys, types; sys.modules['keras'] = types.ModuleType('keras');"
    code += "from helpers import preflight; preflight.load_tensorflow()"
    speak = "import os\nos.write(2, b'libsomething.so is missing\\n')\n"
    package.write_text(f"{speak}raise ImportError('no libsomething')")
    done = run_python(code, **environment)
    assert "libsomething.so is missing" in done.stderr
    assert "TensorFlow cannot be loaded: ImportError: no libsomething" in done.stderr
    assert list(tmp_path.glob("mnist-CNN-*")) == []
    package.write_text(f"{speak}os.abort()")
    assert run_python(code, **environment).returncode != 0
    package.unlink()
    code = "from helpers import preflight; print(preflight.find_last_words())"
    assert run_python(code, **environment).stdout == "['libsomething.so is missing']\n"


@pytest.mark.parametrize(
    ("limit", "usage"),
    [
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ],
)
def test_memory_of_a_container_is_read(limit, usage, tmp_path):
    assert preflight._read_memory_left(tmp_path) == math.inf
    folder = (tmp_path / limit).parent
    folder.mkdir(exist_ok=True)
    (tmp_path / limit).write_text("1000000000\n")
    (tmp_path / usage).write_text("600000000\n")
    (folder / "memory.stat").write_text("inactive_file 100000000\n")
    assert preflight._read_memory_left(tmp_path) == 500_000_000


def test_check_is_printed_on_any_console():
    code = "from helpers import preflight; preflight.MEMORY_NEEDED = 1e6; preflight.check_machine()"
    done = run_python(code, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 0 and "-> close other programs" in done.stdout


@pytest.mark.parametrize(
    ("system", "machine", "libc", "largest", "says"),
    [
        ("Darwin", "x86_64", "", 2**63 - 1, "(Darwin, x86_64, 64 bits)"),
        ("Windows", "ARM64", "", 2**63 - 1, "(Windows, arm64, 64 bits)"),
        ("Windows", "AMD64", "", 2**31 - 1, "(Windows, amd64, 32 bits)"),
        ("Linux", "x86_64", "", 2**63 - 1, "(Linux, x86_64, no glibc, 64 bits)"),
    ],
)
def test_machine_without_tensorflow_is_told(system, machine, libc, largest, says, monkeypatch):
    assert preflight.check_platform()[0]
    monkeypatch.setattr(preflight.platform, "system", lambda: system)
    monkeypatch.setattr(preflight.platform, "machine", lambda: machine)
    monkeypatch.setattr(preflight.platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(preflight.sys, "maxsize", largest)
    ok, found, fix = preflight.check_platform()
    assert not ok and f"no TensorFlow 2.21 for this Python {says}" in found and "Binder" in fix
