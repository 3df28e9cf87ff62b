"""Make one folder from which the series is set up, and read, without a network.

`python -m tools.offline_pack` writes build/offline-pack: the project with MNIST in it, the
wheels for this system and this Python, the notebooks as pages, and a README. It is made beside
its place and moved there when it is complete.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from helpers import data
from helpers.files import write_text
from tools import lessons, pad, pages

ROOT = lessons.ROOT
PACK = ROOT / "build" / "offline-pack"
README = """mnist-CNN, to set up without a network. To read and draw only, open html/index.html.
This pack is for Python {version} on {system} ({machine}). For another, make a pack there (make
offline-pack) and add its wheels to these. Copy this folder to your disk (4 GB with what gets
installed), open a terminal in its mnist-CNN folder, and run three lines.

Linux, macOS:
    python{version} -m venv --without-pip .venv
    .venv/bin/python ../wheels/{pip}/pip install {options}
    .venv/bin/python -m jupyterlab notebooks/00_start_here.ipynb

Windows, in PowerShell:
    py -{version} -m venv --without-pip .venv
    .venv\\Scripts\\python ../wheels/{pip}/pip install {options}
    .venv\\Scripts\\python -m jupyterlab notebooks/00_start_here.ipynb

MNIST, by LeCun, Cortes and Burges, is in mnist-CNN/data/mnist, under CC BY-SA 3.0.
"""
# pip runs from its own wheel: a Python from a Linux distribution may come without one.
OPTIONS = "--no-index --find-links ../wheels pip -r requirements.txt"


class PackError(Exception):
    """A reason why there is no new pack; the message says what to do."""


def main(arguments=None):
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description="Make a folder to set up from without a network.")
    parser.add_argument("--out", type=Path, default=PACK, help="where (build/offline-pack)")
    out = parser.parse_args(arguments).out.resolve()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a Windows console may lack a character
    try:
        make_pack(out)
    except PackError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The pack could not be written: {error.strerror or error}.", file=sys.stderr)
        print("What was there is as it was. Make room, or use --out.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def make_pack(out):
    """Make a pack beside its place, and move it there when it is complete.

    Args:
        out: the pack's path; a pack that is there is replaced.

    Raises:
        PackError: something else is there, or data or wheels cannot be had.
        OSError: the disk is full, or the folder cannot be written.
    """
    part, old = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.old")
    if out.exists() and not (out / "wheels").is_dir():
        raise PackError(f"{out} is there and is not a pack; it is left alone. Name another: --out.")
    if old.exists() and not out.exists():
        old.rename(out)  # a run that ended between the two renames below
    shutil.rmtree(part, ignore_errors=True)
    try:
        copy_project(part / "mnist-CNN")
        copy_mnist(part / "mnist-CNN" / "data" / "mnist")
        paths = lessons.list_notebooks()
        pad.write_pad(part / "html")
        pages.write_pages(paths, part / "html", lambda path: nbformat.read(path, as_version=4))
        wheels = fetch_wheels(ROOT / "requirements.txt", part / "wheels")
        write_readme(part)
        size = sum(path.stat().st_size for path in part.rglob("*"))
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    print(f"{out}: {wheels} wheels, {len(paths)} pages, MNIST, {size / 1e9:.1f} GB in all.")
    print("Copy the whole folder; its README.txt says how to set up from it.")


def copy_project(folder):
    """Copy the project's files as they are now, without data and what was built."""
    for name in files_of_git():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    if not folder.is_dir():  # no git here: an unpacked archive
        lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
        names = [line.strip("/").rpartition("/")[2] for line in lines]
        ignore = shutil.ignore_patterns(".git", "*.part", *names)
        shutil.copytree(ROOT, folder, ignore=ignore, copy_function=shutil.copyfile)


def files_of_git():
    """Return the names of the files that git tracks or would; none without git."""
    if not shutil.which("git"):
        return []
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return [name for name in listed.stdout.decode().split("\0") if (ROOT / name).is_file()]


def copy_mnist(folder):
    """Copy the MNIST files, verified, and download them first where there are none."""
    source = find_mnist()
    folder.mkdir(parents=True)
    names = {path: name for name, path in data.find_files(source).items()}
    for path, name in names.items():
        shutil.copyfile(path, folder / f"{name}{path.suffix}")


def find_mnist():
    """Return the first folder that holds MNIST, in the order that the notebooks look."""
    for folder in data.local_folders():
        try:
            data.read_folder(folder)
            return folder
        except data.DataError as error:
            print(error)
    try:
        data.download(data.CACHE)
    except data.DataError as error:
        message = "To make a pack, set MNIST_DIR to a folder with the four MNIST files."
        raise PackError(f"{error}.\n{message}") from None
    return data.CACHE


def fetch_wheels(requirements, folder):
    """Collect a wheel for each requirement and for all that they need, and for pip itself.

    `pip wheel` rather than `pip download`, since it builds a wheel where there is none.
    """
    print("Collecting the wheels, about 0.8 GB: this takes some minutes.", flush=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-input", "--retries", "2"]
    command += ["--disable-pip-version-check", "--wheel-dir", folder, "-r", requirements, "pip"]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        errors = [line for line in lines if re.match(r"ERROR: (?!Exception:$)", line)]
        cause = ["(no message)", *lines, *errors][-1]
        raise PackError(
            f"pip could not collect the wheels: {cause.removeprefix('ERROR: ')[:300]}\n"
            "Check the network and the room on the disk. What was there is as it was."
        )
    return len(list(folder.glob("*.whl")))


def write_readme(folder):
    """Say in the pack how to set up from it."""
    text = README.format(
        version="{}.{}".format(*sys.version_info),
        system={"Darwin": "macOS"}.get(platform.system(), platform.system()),
        machine=platform.machine(),
        pip=next((folder / "wheels").glob("pip-*.whl")).name,
        options=OPTIONS,
    )
    write_text(folder / "README.txt", text)


if __name__ == "__main__":
    sys.exit(main())
