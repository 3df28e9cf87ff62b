"""What the preflight says of a machine that is not ready."""

import ast
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
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=preflight.ROOT, capture_output=True, text=True)
    assert done.stdout == "1; the stated times are for 2, expect twice\n"


def test_tensorflow_starts_a_thread_for_each_core_that_may_be_used():
    code = (
        "from helpers import preflight; preflight.count_cores = lambda: 1;"
        "preflight.load_tensorflow(); preflight.load_tensorflow(); import tensorflow as tf;"
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=preflight.ROOT, capture_output=True, text=True)
    assert done.stdout == ("1\n" if os.cpu_count() > 1 else "0\n"), done.stderr


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
    installed = preflight.importlib.metadata.version

    def version(name):
        return installed("tensorflow" if name == "tensorflow-cpu" else name)

    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    monkeypatch.setattr(preflight.importlib.metadata, "version", version)
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


def test_setup_and_tensorflow_print_one_line_and_nothing_on_stderr():
    code = (
        "import sys; from helpers import preflight; preflight.setup();"
        "assert 'tensorflow' not in sys.modules; preflight.load_tensorflow();"
        "import keras; keras.ops.ones(3) + 1"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=preflight.ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("Setup complete.\n", "")
