"""What the preflight says of a machine that is not ready."""

import subprocess
import sys

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
    with pytest.raises(preflight.SetupError, match=r"PYTHON=python3\.12") as error:
        preflight.setup()
    assert error.value._render_traceback_() == [str(error.value)]


def test_missing_and_old_packages_are_named(monkeypatch, capsys):
    wanted = ["no-such-package>=1", "numpy>=99"]
    monkeypatch.setattr(preflight, "_requirements", lambda: wanted)
    problems = preflight.check_machine()
    assert "no-such-package is missing; numpy is" in problems[0]
    assert "make lab" in capsys.readouterr().out


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
