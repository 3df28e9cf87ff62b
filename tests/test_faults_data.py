"""What becomes of `load_mnist` on a bad download, a bad disk, and with bad files."""

import gzip
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from servers import Trap, make_idx

from helpers import data, download, preflight

MIRRORS, NAMES = data.MIRRORS, sorted(f"{name}.gz" for name in data.FILES)
TEST_LABELS = "t10k-labels-idx1-ubyte"
# A process of its own, with this process' settings; `given["first"]` says what befalls it.
LOAD = """
import json, os, pathlib, signal, socket, sys, time
import pooch, psutil, requests, tqdm
from helpers import data
given = json.loads(sys.argv[1])
data.CACHE, data._user_cache = pathlib.Path(given["cache"]), lambda: pathlib.Path(given["user"])
data.MIRRORS = given["mirrors"]
data.FILES = {name: (*digests, tuple(shape)) for name, (*digests, shape) in given["files"].items()}
exec(given["first"])
(images, _), _ = data.load_mnist()
kept = os.listdir(data.CACHE) if os.access(data.CACHE, os.R_OK) else []
print("loaded", len(images), sorted(kept))
"""
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX")


@pytest.fixture
def load(capsys):
    """Return a function that loads and returns the number of images and the lines printed."""

    def load():
        capsys.readouterr()
        (images, _), _ = data.load_mnist()
        out, err = capsys.readouterr()
        assert err == ""
        return len(images), out.splitlines()

    return load


def start(first="", wrapper=()):
    """Start a process that loads as this one would, after some code, and inside a command."""
    given = {"cache": data.CACHE, "user": data._user_cache(), "mirrors": data.MIRRORS}
    given = json.dumps({**given, "files": data.FILES, "first": first}, default=str)
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", LOAD, given],
        cwd=data.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip


def finish(process):
    """Return the lines that a process printed, progress left out; it must not fail."""
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return [line for line in out.splitlines() if line and "ubyte.gz: " not in line]


def unshare(*flags):
    """Return the command that gives a process namespaces of its own, or None."""
    for command in (["unshare", *flags], ["unshare", "-Ur", *flags]):
        if (
            shutil.which("unshare")
            and not subprocess.run([*command, "true"], check=False).returncode
        ):
            return command
    return None


def is_sample(lines):
    """Tell whether the last line is the loud one, with what to do."""
    return "THESE ARE NOT MNIST" in lines[-1] and "set MNIST_DIR to a folder" in lines[-1]


def listing(folder):
    """Return the names in a folder."""
    return sorted(path.name for path in folder.glob("*"))


# 1. No network --------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [True, False], ids=["MNIST_DIR", "sample"])
def test_no_network_from_the_start(small, monkeypatch, folder):
    monkeypatch.setattr(data, "MIRRORS", MIRRORS)
    if folder:
        monkeypatch.setenv("MNIST_DIR", str(small))
    refuse = "def refuse(*a): raise OSError(101, 'Network is unreachable')\n"
    refuse += "socket.socket.connect = socket.getaddrinfo = refuse"
    command = unshare("-n")
    lines = finish(start("" if command else refuse, command or ()))
    if folder:
        assert lines[0].startswith("MNIST: 60 ") and lines[1].startswith("loaded 60 ")
    else:
        assert is_sample(lines[:1]) and "it cannot be reached" in lines[0]
        assert lines[1].startswith("loaded 1500 ")
    assert len(lines) == 2


# 2. Stalls ------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["silent", "half_then_silent", "trickle"])
def test_wait_for_a_mirror_that_stalls_is_bounded(serve, load, monkeypatch, answer):
    stated = download.READ_TIMEOUT * download.TRIES * len(data.MIRRORS)
    assert download.READ_TIMEOUT == 15 and stated <= 60
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.5)
    servers = serve(answer, answer)
    begun = time.monotonic()
    with pytest.raises(data.DataError, match=r"it stalled for 0\.5 s"):
        data.download(data.CACHE)
    limit = download.READ_TIMEOUT * download.TRIES * len(data.MIRRORS)
    assert 2 * 0.5 < time.monotonic() - begun < limit + 2
    assert [len(server.asked) for server in servers] == [1, 1]
    assert is_sample(load()[1])
    servers[1].answer = "good"
    n, lines = load()
    assert n == 60 and lines[0] == f"{servers[0].netloc} stalled for 0.5 s and is not asked again."
    assert lines[1].startswith("MNIST: 60 ") and len(lines) == 2
    assert len(servers[0].asked) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ignores what a full queue takes")
def test_host_that_ignores_connections_is_given_up(nowhere, monkeypatch):
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.5)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        monkeypatch.setattr(data, "MIRRORS", (f"http://127.0.0.1:{full.getsockname()[1]}/",))
        begun = time.monotonic()
        with pytest.raises(data.DataError, match="stalled"):
            data.download(data.CACHE)
        assert time.monotonic() - begun < 3


def test_slow_network_that_goes_on_is_not_given_up(serve, load, monkeypatch):
    monkeypatch.setattr(download, "READ_TIMEOUT", 1.5)
    monkeypatch.setattr(download, "LEAST_BYTES", 2_000)
    server = serve("slow")
    begun = time.monotonic()
    assert load()[0] == 60 and len(server.asked) == 4
    assert time.monotonic() - begun > download.READ_TIMEOUT


@pytest.mark.slow
def test_first_load_in_a_notebook_shows_progress_and_no_alarm(serve):
    serve("slow")
    given = json.dumps({"cache": data.CACHE, "mirrors": data.MIRRORS}, default=str)
    code = f"""
import json, pathlib, sys
sys.path.insert(0, {str(data.ROOT)!r})
from helpers import data
given = json.loads({given!r})
data.MIRRORS, data.CACHE = given["mirrors"], pathlib.Path(given["cache"])
data._user_cache = lambda: data.CACHE / "user"
data.FILES = {data.FILES!r}
_ = data.load_mnist()
"""
    notebook = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    assert {output.name for output in outputs} == {"stdout"}
    shown = "".join(output.text for output in outputs)
    assert "train-images-idx3-ubyte.gz: " in shown and "100%" in shown
    assert shown.splitlines()[-1] == "MNIST: 60 training and 6 test images, verified."


# 3. Wrong answers -----------------------------------------------------------------------------

WRONG_ANSWERS = {
    "cut": "the connection broke off",
    "cut_without_length": "is cut short or another file",
    "wrong": "is cut short or another file",
    "page": "it looks like the network's log-in page",
    "status_403": "it answers 403 Forbidden",
    "status_404": "it answers 404 Not Found",
}


@pytest.mark.parametrize("answer", WRONG_ANSWERS)
def test_wrong_answers_are_named_and_not_kept(serve, load, answer):
    servers = serve(answer, answer)
    n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 1
    for server in servers:
        assert len(server.asked) == download.TRIES
        assert f"{server.netloc}: " in lines[0] and WRONG_ANSWERS[answer] in lines[0]
    assert listing(data.CACHE) == []
    servers[1].answer = "good"
    assert load() == (60, ["MNIST: 60 training and 6 test images, verified."])
    assert listing(data.CACHE) == NAMES
    assert len(servers[1].asked) == download.TRIES + 4


def test_files_that_came_whole_are_kept_when_a_later_one_does_not(serve, load):
    server = serve("good")
    del server.files[f"{TEST_LABELS}.gz"]  # the server's handler fails on it
    assert is_sample(load()[1])
    assert listing(data.CACHE) == [name for name in NAMES if TEST_LABELS not in name]


# 4. TLS and proxies ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Make a certificate that nobody signed; return its path and a server's TLS context."""
    if not shutil.which("openssl"):
        reason = "needs the openssl command, which makes a certificate for the test"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem"
    made = [*made.split(), "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def test_untrusted_certificate_is_explained_and_never_passed_over(
    serve, load, certificate, monkeypatch
):
    path, context = certificate
    server = serve("good", tls=context)
    n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 1
    assert "its certificate is not to be trusted" in lines[0] and "clock" in lines[0]
    assert server.asked == [] and set(server.first_bytes) == {b"\x16"}  # TLS handshakes only
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    assert load()[0] == 60 and len(server.asked) == 4


def test_redirection_to_plain_http_is_not_followed(serve, load, certificate, monkeypatch):
    path, context = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    plain, server = serve("good"), serve("redirect", tls=context)
    server.elsewhere = f"{plain.url}{NAMES[0]}"
    assert is_sample(load()[1])
    assert len(server.asked) == download.TRIES and plain.asked == []


@pytest.mark.parametrize("answer", [None, "refuse_proxying"], ids=["closed port", "407"])
def test_refusing_proxy_is_explained(serve, load, monkeypatch, answer):
    proxy = answer and serve(answer)
    monkeypatch.setattr(data, "MIRRORS", MIRRORS)
    assert all(mirror.startswith("https://") for mirror in MIRRORS)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url if proxy else "http://127.0.0.1:9")
    n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 1
    assert lines[0].count("the proxy refuses; HTTPS_PROXY must name the right one") == 2
    if proxy:
        hosts = [mirror.split("/")[2] for mirror in MIRRORS] * download.TRIES
        assert proxy.asked == [f"CONNECT {host}:443" for host in hosts]
    monkeypatch.delenv("HTTPS_PROXY")
    serve("good")
    assert load()[0] == 60


# 5. and 6. Many processes, and killed ones ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 8])
def test_processes_that_load_at_once_all_succeed(serve, tmp_path, n):
    server, ready = serve("slow"), tmp_path / "ready"
    ready.mkdir()
    first = (
        f"ready = pathlib.Path({str(ready)!r})\n(ready / str(os.getpid())).touch()\n"
        f"while len(list(ready.iterdir())) < {n}: time.sleep(0.01)"
    )
    for process in [start(first) for _ in range(n)]:
        lines = finish(process)
        assert lines[0] == "MNIST: 60 training and 6 test images, verified."
        assert lines[1].startswith("loaded 60 ") and len(lines) == 2
    assert sum("train-images" in request for request in server.asked) > 1
    assert listing(data.CACHE) == NAMES and listing(data._user_cache()) == []
    data.read_folder(data.CACHE)


def test_kill_in_mid_download_leaves_nothing_behind(serve, load):
    server = serve("half_then_silent")
    process = start()
    assert server.waiting.wait(60)
    process.kill()
    process.communicate()
    assert process.returncode != 0 and listing(data.CACHE) == []
    server.answer = "good"
    assert load() == (60, ["MNIST: 60 training and 6 test images, verified."])
    assert listing(data.CACHE) == NAMES


@posix
def test_kill_while_writing_is_cleaned_up(serve, load):
    serve("good")
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    process = start(limit + "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGXFSZ
    assert listing(data.CACHE) == [f"{process.pid}-0.part"]
    living = f"{os.getppid()}-0.part"
    (data.CACHE / living).touch()
    assert load() == (60, ["MNIST: 60 training and 6 test images, verified."])
    assert listing(data.CACHE) == sorted([living, *NAMES])


# 7. A corrupt cache ---------------------------------------------------------------------------

SPOILT = {
    "torn": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a bit flipped": lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
    "HTML": lambda content: b"<html>Log in</html>",
    "another file": lambda content: gzip.compress(b"another file"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_corrupt_cache_is_named_and_kept(serve, load, monkeypatch, spoil):
    server = serve("good")
    load()
    bad = data.CACHE / f"{TEST_LABELS}.gz"
    bad.write_bytes(spoil(bad.read_bytes()))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in data.CACHE.iterdir()}
    with monkeypatch.context() as offline:
        offline.setattr(data, "MIRRORS", ("http://127.0.0.1:9/",))
        n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 2
    assert lines[0].startswith(f"{bad} ") and "Copy it again" in lines[0]
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in data.CACHE.iterdir()}
    assert after == before
    n, lines = load()
    assert n == 60 and len(lines) == 2 and len(server.asked) == 5
    assert [path for path in before if path.stat().st_mtime_ns != before[path][1]] == [bad]
    assert load() == (60, lines[1:])


# 8. Where the cache cannot be written ---------------------------------------------------------


def test_file_in_the_place_of_the_cache_folder(serve, load):
    server = serve("good")
    data.CACHE.parent.parent.mkdir()
    data.CACHE.parent.write_text("a file")
    n, lines = load()
    assert n == 60 and len(lines) == 2
    assert lines[0].startswith(f"{data.CACHE} cannot be written (")
    assert lines[0].endswith(f"MNIST is kept in {data._user_cache()} instead.")
    assert listing(data._user_cache()) == NAMES and data.CACHE.parent.read_text() == "a file"
    assert load() == (60, lines[1:]) and len(server.asked) == 4


@pytest.fixture
def foreign(serve, monkeypatch):
    """Make two cache folders that a process may not write to; return the code that makes it so."""
    folder = Path(tempfile.mkdtemp()).resolve()
    for path in (folder / "project", folder / "user"):
        path.mkdir()
        path.chmod(0o555)
    folder.chmod(0o755)
    monkeypatch.setattr(data, "CACHE", folder / "project" / "mnist")
    monkeypatch.setattr(data, "_user_cache", lambda: folder / "user" / "mnist")
    serve("good")
    # Root may write everywhere: the process becomes somebody else, whose folders these are not.
    yield "os.setgroups([])\nos.setgid(65534)\nos.setuid(65534)" if os.getuid() == 0 else ""
    for path in folder.iterdir():
        path.chmod(0o755)
    shutil.rmtree(folder)


@posix
@pytest.mark.parametrize("mode", [0o555, 0], ids=["read-only", "closed"])
def test_cache_folder_of_somebody_else(foreign, mode):
    project, user = data.CACHE.parent, data._user_cache()
    project.chmod(mode)
    refusal = "cannot be written (Permission denied)"
    lines = finish(start(foreign))
    assert lines[0].startswith(f"{data.CACHE} {refusal}; {user} {refusal}. Make room there, 1 MB")
    assert lines[1].startswith("MNIST: 60 ") and lines[2] == "loaded 60 []"
    user.parent.chmod(0o777)
    lines = finish(start(foreign))
    assert lines[0] == f"{data.CACHE} {refusal}. MNIST is kept in {user} instead."
    assert lines[1].startswith("MNIST: 60 ") and lines[2] == "loaded 60 []"
    assert listing(user) == NAMES
    shutil.rmtree(user)
    project.chmod(0o777)
    assert finish(start(foreign))[-1] == f"loaded 60 {NAMES}"


@posix
def test_folder_that_may_not_be_read(foreign, monkeypatch):
    closed, project = data.CACHE.parents[1] / "closed", data.CACHE.parent
    closed.mkdir(mode=0)
    project.chmod(0o777)
    monkeypatch.setenv("MNIST_DIR", str(closed))
    lines = finish(start(foreign))
    assert lines[0].startswith(f"{closed}") and "Permission denied" in lines[0]
    assert lines[-1] == f"loaded 60 {NAMES}" and len(lines) == 3


@posix
def test_no_room_for_a_file(serve, load):
    serve("good")
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    lines = finish(start(limit))
    assert lines[0].startswith(f"{data.CACHE} cannot be written (File too large); ")
    assert "Make room there, 1 MB" in lines[0]
    assert lines[-1] == "loaded 60 []" and len(lines) == 3
    assert load()[0] == 60 and listing(data.CACHE) == NAMES


# 9. Files that are not MNIST's ----------------------------------------------------------------

noise = np.random.default_rng(1).integers(0, 256, (60, 28, 28))
NOT_MNIST = {
    "wrong magic": ("labels", lambda labels: make_idx(labels, magic=2051), "magic number"),
    "lying header": (
        "images",
        lambda images: make_idx(images).replace(b"\0\0\0\x3c", b"\0\0\0\x3d", 1),
        "magic number and sizes are [2051, 61, 28, 28], not [2051, 60, 28, 28]",
    ),
    "missing rows": ("images", lambda images: make_idx(images)[:-784], "46,256 bytes follow"),
    "header only": ("images", lambda images: make_idx(images)[:9], "are [2051, 60], not"),
    "labels above 9": ("labels", lambda labels: make_idx(labels + 1), "labels up to 10, not 9"),
    "32×32": (
        "images",
        lambda images: make_idx(np.pad(images, ((0, 0), (2, 2), (2, 2)))),
        "are [2051, 60, 32, 32], not [2051, 60, 28, 28]",
    ),
    "other images": ("images", lambda images: make_idx(noise), "Fashion-MNIST"),
}


@pytest.mark.parametrize(("kind", "spoil", "says"), NOT_MNIST.values(), ids=NOT_MNIST)
def test_file_that_is_not_mnist_is_refused(small, load, monkeypatch, tmp_path, kind, spoil, says):
    (images, labels), _ = data.read_folder(small)
    name = next(name for name in data.FILES if kind in name)
    folder = shutil.copytree(small, tmp_path / "copy")
    (folder / f"{name}.gz").unlink()
    (folder / name).write_bytes(spoil(images if kind == "images" else labels.astype("uint8")))
    monkeypatch.setenv("MNIST_DIR", str(folder))
    n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 2
    assert lines[0].startswith(f"{folder / name} is not MNIST's {name}: ") and says in lines[0]
    (folder / name).write_bytes(make_idx(images if kind == "images" else labels))
    assert load()[0] == 60


def test_npz_is_taken_when_it_is_mnist_and_refused_with_objects(small, load, monkeypatch, tmp_path):
    (x_train, y_train), (x_test, y_test) = data.read_folder(small)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    path, trace = tmp_path / "mnist.npz", tmp_path / "code was run"
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    np.savez(path, **{**arrays, "y_train": np.array([Trap(trace)] * 60, object)})
    n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 2 and not trace.exists()
    assert lines[0].startswith(f"{path} cannot be read (y_train in it must be a plain array")
    np.savez(path, **arrays)
    assert load() == (60, ["MNIST: 60 training and 6 test images, verified."])
    for content in (path.read_bytes()[:9_000], b"<html>Log in</html>", b""):
        path.write_bytes(content)
        assert "x_train in it must be a plain array" in load()[1][0]
    np.savez(path, **{**arrays, "x_train": noise.astype("uint8")})
    assert "Fashion-MNIST" in load()[1][0]


# 10. What MNIST_DIR may be --------------------------------------------------------------------


@pytest.mark.parametrize("name", data.FILES)
def test_partial_folder_is_completed(serve, load, monkeypatch, tmp_path, small, name):
    server, mirrors = serve("good"), data.MIRRORS
    folder = shutil.copytree(small, tmp_path / "partial")
    (folder / f"{name}.gz").unlink()
    monkeypatch.setenv("MNIST_DIR", str(folder))
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/",))
    n, lines = load()
    assert n == 1500 and is_sample(lines) and len(lines) == 2
    says = f"No {name} or {name}.gz in {folder}. Copy the four MNIST files there, or unset"
    assert lines[0].startswith(says)
    monkeypatch.setattr(data, "MIRRORS", mirrors)
    assert load()[0] == 60 and server.asked == [f"GET /{name}.gz"]
    assert listing(data.CACHE) == NAMES and len(listing(folder)) == 3
    assert load()[0] == 60 and len(server.asked) == 1


@pytest.mark.parametrize(
    "odd",
    ["with  spaces", "number # one", "Übungsgrößen", "数字の写真 손글씨", "100% '~ $HOME"],
)
def test_odd_paths_and_unpacked_files_load(serve, load, monkeypatch, tmp_path, small, odd):
    server = serve("good")
    monkeypatch.setattr(data, "CACHE", tmp_path / odd / "cache")
    assert load()[0] == 60 and load()[0] == 60 and len(server.asked) == 4
    folder = put(tmp_path / odd / "mnist", unpacked(small))
    shutil.copy(small / f"{TEST_LABELS}.gz", folder)
    (folder / TEST_LABELS).unlink()
    monkeypatch.setattr(data, "CACHE", tmp_path / "empty")
    monkeypatch.setenv("MNIST_DIR", str(folder))
    assert load() == (60, ["MNIST: 60 training and 6 test images, verified."])
    monkeypatch.setenv("MNIST_DIR", str(folder / "not there"))
    n, lines = load()
    assert n == 60 and f"in {folder / 'not there'}. Copy the four MNIST files there" in lines[0]


# 29. MNIST under other names ------------------------------------------------------------------


def unpacked(small):
    """Return the four files' names and content, unpacked."""
    return {name: gzip.decompress((small / f"{name}.gz").read_bytes()) for name in data.FILES}


def put(folder, contents):
    """Write files into a folder, which is made."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pack_npz(small, dtype):
    """Return MNIST as an npz with keys of its own."""
    (x, y), (x_test, y_test) = data.read_folder(small)
    file = io.BytesIO()
    np.savez(file, *(part.astype(dtype) for part in (x, y, x_test, y_test)))
    return file.getvalue()


# What is in the folder, from the unpacked files and the folder of packed ones; and which path in it
# is given.
FORMS = {
    "a dot for the dash": lambda f, s: ({n.replace("-idx", ".idx"): f[n] for n in f}, ""),
    "packed, without .gz": lambda f, s: ({n: (s / f"{n}.gz").read_bytes() for n in f}, ""),
    "unpacked, called .gz": lambda f, s: ({f"{n}.gz": f[n] for n in f}, ""),
    "MNIST/raw below": lambda f, s: ({f"MNIST/raw/{n}": f[n] for n in f}, ""),
    "names of their own": lambda f, s: ({f"{i}.bin": f[n] for i, n in enumerate(f)}, ""),
    "an npz of int64": lambda f, s: ({"mnist.npz": pack_npz(s, "int64")}, ""),
    "the npz itself": lambda f, s: ({"mnist.npz": pack_npz(s, "uint8")}, "mnist.npz"),
    "one of the files": lambda f, s: (f, TEST_LABELS),
    "a bad one beside": lambda f, s: ({**f, f"{TEST_LABELS}.gz": b"torn"}, ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_mnist_is_known_by_its_content(small, load, monkeypatch, tmp_path, form):
    contents, given = FORMS[form](unpacked(small), small)
    monkeypatch.setenv("MNIST_DIR", str(put(tmp_path / "mine", contents) / given))
    assert load() == (60, ["MNIST: 60 training and 6 test images, verified."])
    assert preflight.check_data()[0]


def test_nothing_of_mnist_is_told_alike(small, load, monkeypatch, tmp_path):
    put(tmp_path / "mine", {"notes.txt": b"no data"})
    for chosen in (str(tmp_path / "mine"), "~nobody-of-this-name/mnist"):
        monkeypatch.setenv("MNIST_DIR", chosen)
        n, lines = load()
        assert n == 1500 and is_sample(lines) and len(lines) == 2
        ok, found, _ = preflight.check_data()
        assert not ok and found == lines[0] and "Copy the four MNIST files there" in found


def test_password_of_a_proxy_is_not_printed(nowhere, load, monkeypatch):
    monkeypatch.setattr(data, "MIRRORS", MIRRORS)
    for password in ("secret#word", "#secretword", "secret/word"):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{password}@127.0.0.1:9")
        n, lines = load()
        assert n == 1500 and "secret" not in "".join(lines) and "HTTPS_PROXY" in lines[-1]
