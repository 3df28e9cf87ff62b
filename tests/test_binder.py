"""The image that Binder would build, read without building it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from reading import files_of_git

ROOT = Path(__file__).resolve().parents[1]


def read_bounds(path):
    """Return a requirements file as `{name: bounds}`."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(re.match(r"([\w.-]+)(.*)", line).groups() for line in lines if line)


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory):
    """Render the Dockerfile from the tracked files alone, as Binder sees them."""
    if sys.platform == "win32":
        pytest.skip("repo2docker does not run on Windows")
    checkout = tmp_path_factory.mktemp("checkout")
    for path in files_of_git():
        copy = checkout / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug"]
    command += ["--user-id", "1000", "--user-name", "jovyan", "."]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_image_has_its_python_its_packages_first_and_its_scripts(dockerfile):
    assert "python=3.12" in dockerfile  # as runtime.txt says
    copied_alone = dockerfile.index("COPY --chown=1000:1000 src/binder/requirements.txt")
    installed = dockerfile.index("pip install", copied_alone)
    all_copied = dockerfile.index("COPY --chown=1000:1000 src/ ${REPO_DIR}")
    assert copied_alone < installed < all_copied
    assert "src/requirements.txt" not in dockerfile
    assert "binder/postBuild" in dockerfile and "binder/start" in dockerfile


@pytest.mark.parametrize(
    ("name", "line"), [("postBuild", "set -euo pipefail"), ("start", 'exec "$@"')]
)
def test_scripts_are_executable_and_strict(name, line):
    script = ROOT / "binder" / name
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and line in lines
    assert sys.platform == "win32" or script.stat().st_mode & 0o111


@pytest.mark.skipif(sys.platform == "win32", reason="a Bash script")
def test_post_build_keeps_jupyterlab_from_asking_about_its_news(tmp_path):
    python = tmp_path / "python"  # in place of one that would fetch MNIST, and says its prefix
    python.write_text(f"#!/bin/sh\necho '{tmp_path}'\n")
    python.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "binder/postBuild"], cwd=ROOT, env=environment, check=True)
    settings = tmp_path / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    asked = json.loads(settings.read_text())["@jupyterlab/apputils-extension:notification"]
    assert asked == {"checkForUpdates": False, "fetchNews": "false"}


def test_bounds_are_those_of_the_root():
    names = ("requirements.txt", "requirements-export.txt", "binder/requirements.txt")
    root, export, binder = (read_bounds(ROOT / name) for name in names)
    root |= export
    root["tensorflow-cpu"] = root.pop("tensorflow")
    assert binder == {name: root[name] for name in binder}
    assert set(root) - set(binder) == {"nbclient", "nbconvert", "nbval", "pytest"}
