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


def make(*arguments, cwd=ROOT):
    # `make test` itself is a make: its flags would make this one talk.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
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
