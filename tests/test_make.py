"""The Makefile: what it lists, and one plain line for a Python that will not do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or sys.platform == "win32", reason="Windows goes without make"
)


def make(*arguments, cwd=ROOT, **more):
    # `make test` itself is a make: its flags would make this one talk.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    environment |= more
    command = ["make", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def write_script(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return path


@pytest.fixture
def project(tmp_path):
    """Return a folder with what `make` needs to begin."""
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_help_lists_the_commands():
    assert all(f"make {name}" in make().stdout for name in ("lab", "run", "check", "test", "bench"))


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("3.14", "mnist-CNN needs Python 3.11, 3.12 or 3.13; {} is 3.14."),
        ("", "mnist-CNN needs Python 3.11, 3.12 or 3.13; {} is not there."),
        ("3.12", "no TensorFlow for this machine"),
    ],
)
def test_python_that_will_not_do_gets_one_plain_line(project, version, says):
    python, refusal = project / "python", "no TensorFlow for this machine"
    if version:
        answers = f'case "$*" in *version_info*) echo {version};; *) echo {refusal};; esac'
        write_script(python, answers)
    done = make("run", f"PYTHON={python}", cwd=project)
    assert done.returncode != 0 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and says.format(python) in done.stderr
    assert not (project / ".venv").exists()


def test_venv_without_a_python_is_made_anew(project):
    binaries = project / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(project / "python3.10-of-last-year")
    (project / ".venv" / ".ready").touch()
    new = write_script(project / "new", 'test "$1" = -c || echo "$*"')
    copy = f"rm .venv/bin/python && cp '{new}' .venv/bin/python"
    write_script(
        project / "python",
        f'case "$*" in *version_info*) echo 3.12;; "-m venv --clear .venv") {copy};; esac',
    )
    for user in (0, 1000):
        write_script(project / "id", f"echo {user}")
        path = f"{project}{os.pathsep}{os.environ['PATH']}"
        done = make("lab", f"PYTHON={project / 'python'}", cwd=project, PATH=path)
        assert done.returncode == 0, done.stderr
        assert ("Installing into .venv" in done.stdout) == (user == 0)
        assert ("--allow-root" in done.stdout.splitlines()[-1]) == (user == 0)
