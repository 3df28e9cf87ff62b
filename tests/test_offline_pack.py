"""The offline pack: what is in it, that it sets up with no network, and what spoils making it."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from helpers import data

ROOT = Path(__file__).resolve().parents[1]
NOWHERE = "http://127.0.0.1:9"  # a proxy that is not there
# Puts up the loopback device of a fresh network namespace: a kernel and its client talk over it.
LOOPBACK = """
import fcntl, os, socket, struct, sys
device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(device, 0x8914, struct.pack("16sh", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
pytestmark = [pytest.mark.mnist, pytest.mark.weekly]


def run(command, network=False, **options):
    """Run a command, by itself without a network and without this machine's settings for pip."""
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    if not network:
        kept = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "TEMP", "USERPROFILE", "APPDATA")
        environment = {key: os.environ[key] for key in kept if key in os.environ}
        environment.update(PIP_CONFIG_FILE=os.devnull, http_proxy=NOWHERE, https_proxy=NOWHERE)
        command = [*leave_network(), *command]
    environment.update(options.pop("env", {}), PYTHONUTF8="1")
    return subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True,
        encoding="utf-8", errors="replace", **options,
    )  # fmt: skip


@functools.cache
def leave_network():
    """Return what starts a command with no network but loopback; nothing where that cannot be."""
    for flags in ("-n", "-rn") if shutil.which("unshare") else ():
        command = ["unshare", flags, sys.executable, "-c", LOOPBACK]
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return []


@pytest.fixture(scope="module")
def folder():
    """Return a folder on the disk that holds gigabytes, and goes when the tests are over."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def pack(folder):
    """Make the real pack, with all wheels, as `make offline-pack` does."""
    command = [sys.executable, "-m", "tools.offline_pack", "--out", folder / "pack"]
    done = run(command, network=True, cwd=ROOT)
    if done.returncode and "network" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip(f"connect to the network, to collect wheels: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return folder / "pack"


@pytest.fixture
def project(pack, tmp_path):
    """Return a copy of the project, with MNIST and without git: one lesson, one package."""
    ignore = shutil.ignore_patterns(".venv")
    project = shutil.copytree(pack / "mnist-CNN", tmp_path / "project", ignore=ignore)
    head, first, *_ = (project / "lessons.toml").read_text(encoding="utf-8").split("[[lesson]]")
    (project / "lessons.toml").write_text(f"{head}[[lesson]]{first}", encoding="utf-8")
    (project / "requirements.txt").write_text("tqdm\n", encoding="utf-8")
    return project


def make_small_pack(project, pack, **options):
    """Make a pack of the small project, its wheels from the real pack."""
    links = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(pack / "wheels")}
    command = [sys.executable, "-m", "tools.offline_pack"]
    return run(command, cwd=project, env={**links, **options.pop("env", {})}, **options)


def names_in(folder):
    """Return the names of all files in a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# What is in it --------------------------------------------------------------------------------


def test_pack_has_the_project_with_verified_data_and_a_short_readme(pack):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    mnist = {name for name in names_in(pack / "mnist-CNN") if name.startswith("data/")}
    assert tracked <= names_in(pack / "mnist-CNN") and len(mnist) == 4
    (train_images, _), (test_images, _) = data.read_folder(pack / "mnist-CNN" / "data" / "mnist")
    assert (len(train_images), len(test_images)) == (60_000, 10_000)
    text = (pack / "README.txt").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line]) <= 14
    assert "{}.{}".format(*sys.version_info) in text
    assert not re.search(r"https?:|(?<![\w.])/(work|root|tmp|home|Users)/", text)


# That it works --------------------------------------------------------------------------------


def test_pack_sets_up_and_runs_without_a_network(pack):
    here = pack / "mnist-CNN"
    venv, install, start = readme_commands(pack)
    for command in (venv, install, [*start[:-1], "--version"]):
        done = run(command, cwd=here, env={"PIP_NO_COMPILE": "1"})  # half a minute less
        assert done.returncode == 0, done.stdout + done.stderr
    done = run([start[0], "-m", "tools.run", "--out", pack / "run", "00_start_here"], cwd=here)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (pack / "run" / "00_start_here.html").read_text(encoding="utf-8")
    assert "MNIST: 60,000 training and 10,000 test images, verified." in page
    assert "To fix before you go on: nothing." in page


def readme_commands(pack):
    """Return the three lines that the pack's README gives for this system, as lists of words."""
    text = (pack / "README.txt").read_text(encoding="utf-8")
    section = text.split("Windows, in" if sys.platform == "win32" else "Linux, macOS")[1]
    lines = re.findall(r"^    (.+)$", section, re.MULTILINE)[:3]
    venv, install, start = (line.split() for line in lines)
    venv[: venv.index("-m")] = [sys.executable]  # it may go by another name here
    return venv, *([str(pack / "mnist-CNN" / words[0]), *words[1:]] for words in (install, start))


# What spoils it -------------------------------------------------------------------------------


def test_pack_is_replaced_by_a_complete_one(project, pack):
    first = make_small_pack(project, pack)
    assert first.returncode == 0, first.stderr
    out = project / "build" / "offline-pack"
    names = names_in(out)
    (out / "README.txt").write_text("an old pack", encoding="utf-8")
    (project / "extra.md").write_text("new", encoding="utf-8")
    assert make_small_pack(project, pack).returncode == 0
    assert names_in(out) == names | {"mnist-CNN/extra.md"}
    assert "an old pack" not in (out / "README.txt").read_text(encoding="utf-8")
    assert [path.name for path in out.parent.iterdir()] == ["offline-pack"]


@pytest.fixture
def build(project):
    """Return the folder for the pack; what is in the pack's place must outlive a failure."""
    old = project / "build" / "offline-pack" / "wheels" / "old"
    old.parent.mkdir(parents=True)
    old.touch()
    return project / "build"


def check_failure(done, build, *words):
    """Check that one or two plain lines say what is wrong, and that only the old pack is there."""
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and 1 <= len(lines) <= 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert names_in(build) == {"offline-pack/wheels/old"}


def test_no_mnist_is_said(project, pack, build):
    shutil.rmtree(project / "data")
    done = make_small_pack(project, pack)
    check_failure(done, build, "could not be downloaded", "MNIST_DIR")


def test_no_network_is_said(project, build):
    done = run([sys.executable, "-m", "tools.offline_pack"], cwd=project)
    check_failure(done, build, "No matching distribution", "network")


@pytest.mark.parametrize(("size", "says"), [(5_000_000, "written"), (11_000_000, "wheels")])
def test_full_disk_is_said(project, pack, build, size, says):
    resource = pytest.importorskip("resource", reason="Windows has no limit of this kind")
    (project / "requirements.txt").write_text("numpy\n", encoding="utf-8")
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}
    done = make_small_pack(project, pack, **limits)
    check_failure(done, build, says, "too large", "as it was")


def test_what_is_not_a_pack_is_left_alone(project, pack, build):
    mine = (build / "offline-pack" / "wheels").rename(build / "offline-pack" / "mine")
    done = make_small_pack(project, pack)
    assert done.returncode == 1 and "not a pack" in done.stderr
    assert mine.is_dir() and names_in(build) == {"offline-pack/mine/old"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_kill_leaves_the_old_pack_and_the_next_run_succeeds(project, pack, build):
    part = build / "offline-pack.part"
    command = [sys.executable, "-m", "tools.offline_pack"]
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.DEVNULL, start_new_session=True
    ) as making:
        while not part.exists():
            assert making.poll() is None
            time.sleep(0.01)
        os.killpg(making.pid, signal.SIGKILL)
    assert part.exists() and names_in(build / "offline-pack") == {"wheels/old"}
    assert make_small_pack(project, pack).returncode == 0
    assert [path.name for path in build.iterdir()] == ["offline-pack"]
    assert "wheels/old" not in names_in(build / "offline-pack")
