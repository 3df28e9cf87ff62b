"""The Makefile: what it lists, and one plain line for a Python that will not do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("lab", "run", "check", "test", "test-all", "notebooks", "measure", "publish", "bench")
pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or sys.platform == "win32", reason="Windows goes without make"
)


def make(*arguments, cwd=ROOT, **more):
    # `make test` itself is a make: its flags would make this one talk.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    environment |= more
    command = ["make", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_help_lists_the_commands():
    listed = make().stdout
    assert all(f"make {name}" in listed for name in TARGETS)


@pytest.mark.parametrize(
    ("version", "says"), [("3.10", "is 3.10"), ("3.14", "is 3.14"), ("", "not there")]
)
def test_other_python_gets_one_plain_line(tmp_path, version, says):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    python = tmp_path / "python"
    if version:
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)
    done = make("run", f"PYTHON={python}", cwd=tmp_path)
    assert done.returncode != 0 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr and says in done.stderr
    assert not (tmp_path / ".venv").exists()


def write_script(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return path


def test_venv_without_a_python_is_made_anew(tmp_path):
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(tmp_path / "python3.10-of-last-year")
    (tmp_path / ".venv" / ".ready").touch()
    new = write_script(tmp_path / "new", 'test "$1" = -c || echo "$*"')
    copy = f"rm .venv/bin/python && cp '{new}' .venv/bin/python"
    write_script(
        tmp_path / "python",
        f'case "$*" in *version_info*) echo 3.12;; "-m venv --clear .venv") {copy};; esac',
    )
    for user in (0, 1000):
        write_script(tmp_path / "id", f"echo {user}")
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = make("lab", f"PYTHON={tmp_path / 'python'}", cwd=tmp_path, PATH=path)
        assert done.returncode == 0, done.stderr
        assert ("Installing into .venv" in done.stdout) == (user == 0)
        assert ("--allow-root" in done.stdout.splitlines()[-1]) == (user == 0)
