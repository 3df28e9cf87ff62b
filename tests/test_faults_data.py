"""What becomes of `load_mnist` on a bad download, a bad disk, and with bad files."""

import gzip
import io
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

import lab
import numpy as np
import pytest
from servers import Trap, make_idx

from helpers import data, download, preflight

MIRRORS, NAMES = data.MIRRORS, sorted(f"{name}.gz" for name in data.FILES)
TEST_LABELS = "t10k-labels-idx1-ubyte"
LOADED = "MNIST: 60 training and 6 test images, verified."
# A process of its own, with this process' settings; `first` is what befalls it.
LOAD = """
import os, pathlib, signal, time
from helpers import data, download
data.FILES, data.MIRRORS = {files}, {mirrors}
data.CACHE, data._user_cache = pathlib.Path({cache}), lambda: pathlib.Path({user})
{first}
(images, _), _ = data.load_mnist()
kept = os.listdir(data.CACHE) if os.access(data.CACHE, os.R_OK) else []
print("loaded", len(images), sorted(kept))
"""
# No file may be larger than this, in bytes.
LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
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


@pytest.fixture
def fail(load):
    """Return a function that loads the sample and returns the lines; the last is the loud one."""

    def fail():
        n, lines = load()
        assert n == 1500
        assert "THESE ARE NOT MNIST" in lines[-1] and "set MNIST_DIR to a folder" in lines[-1]
        return lines

    return fail


def start(first=""):
    """Start a process that loads as this one would, after some code."""
    given = {"files": data.FILES, "mirrors": data.MIRRORS}
    given |= {"cache": str(data.CACHE), "user": str(data._user_cache())}
    code = LOAD.format(first=first, **{name: repr(value) for name, value in given.items()})
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=data.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip


def finish(process):
    """Return the lines that a process printed, progress left out; it must not fail."""
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return [line for line in out.splitlines() if line and "ubyte.gz: " not in line]


def listing(folder):
    """Return the names in a folder."""
    return sorted(path.name for path in folder.glob("*"))


# 1. No network --------------------------------------------------------------------------------


def test_no_network_from_the_start(small, load, fail, monkeypatch):
    def refuse(*arguments):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(data, "MIRRORS", MIRRORS)
    (line,) = fail()
    assert line.count("it cannot be reached") == 2
    monkeypatch.setenv("MNIST_DIR", str(small))
    assert load() == (60, [LOADED])


# 2. Stalls ------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["silent", "trickle"])
def test_wait_for_a_mirror_that_stalls_is_bounded(serve, load, monkeypatch, answer):
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.5)
    servers = serve(answer, answer)
    begun = time.monotonic()
    with pytest.raises(data.DataError, match=r"it stalled for 0\.5 s"):
        data.download(data.CACHE)
    assert 2 * 0.5 < time.monotonic() - begun < 4
    assert [len(server.asked) for server in servers] == [1, 1]
    servers[1].answer = "good"
    line = f"{servers[0].netloc} stalled for 0.5 s and is not asked again."
    n, lines = load()  # progress may stand before, where a mirror sends slowly
    assert n == 60 and lines[-2:] == [line, LOADED]
    assert len(servers[0].asked) == 2


def test_slow_network_that_goes_on_is_not_given_up(serve, load, monkeypatch):
    monkeypatch.setattr(download, "READ_TIMEOUT", 1.5)
    monkeypatch.setattr(download, "LEAST_BYTES", 2_000)
    server = serve("slow")
    begun = time.monotonic()
    n, lines = load()
    assert n == 60 and len(server.asked) == 4
    assert time.monotonic() - begun > download.READ_TIMEOUT
    progress = [line for line in lines if line.startswith("train-images-idx3-ubyte.gz: ")]
    assert "100%" in progress[-1] and lines[-1] == LOADED


# 3. Wrong answers -----------------------------------------------------------------------------

WRONG_ANSWERS = {
    "cut": "the connection broke off",
    "wrong": "what came, 32 bytes, is cut short or another file",
    "page": "a web page came instead; it looks like the network's log-in page",
    "status_403": "it answers 403 Forbidden",
}


@pytest.mark.parametrize("answer", WRONG_ANSWERS)
def test_wrong_answers_are_named_and_not_kept(serve, load, fail, answer):
    servers = serve(answer, answer)
    (line,) = fail()
    for server in servers:
        assert len(server.asked) == download.TRIES
        assert f"{server.netloc}: {WRONG_ANSWERS[answer]}" in line
    assert listing(data.CACHE) == []
    servers[1].answer = "good"
    assert load() == (60, [LOADED])
    assert listing(data.CACHE) == NAMES
    assert len(servers[1].asked) == download.TRIES + 4


def test_files_that_came_whole_are_kept_when_a_later_one_does_not(serve, fail):
    server = serve("good")
    del server.files[f"{TEST_LABELS}.gz"]  # the server's handler fails on it
    fail()
    assert listing(data.CACHE) == [name for name in NAMES if TEST_LABELS not in name]


# 4. TLS and proxies ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Make a certificate that nobody signed; return its path and a server's TLS context."""
    if not shutil.which("openssl"):
        lab.needs("openssl", "install the command, which makes a certificate for the test")
    folder = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem"
    made = [*made.split(), "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def test_untrusted_certificate_is_explained_and_never_passed_over(
    serve, load, fail, certificate, monkeypatch
):
    path, context = certificate
    server = serve("good", tls=context)
    (line,) = fail()
    assert "its certificate is not to be trusted" in line and "clock" in line
    assert server.asked == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    assert load()[0] == 60 and len(server.asked) == 4


def test_redirection_to_plain_http_is_not_followed(serve, fail, certificate, monkeypatch):
    path, context = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    plain, server = serve("good"), serve("redirect", tls=context)
    server.elsewhere = f"{plain.url}{NAMES[0]}"
    fail()
    assert len(server.asked) == download.TRIES and plain.asked == []


def test_refusing_proxy_is_explained(serve, fail, monkeypatch):
    proxy = serve("refuse_proxying")
    monkeypatch.setattr(data, "MIRRORS", MIRRORS)
    for address in (proxy.url, "http://127.0.0.1:9"):
        monkeypatch.setenv("HTTPS_PROXY", address)
        (line,) = fail()
        assert line.count("the proxy refuses; HTTPS_PROXY must name the right one") == 2
    hosts = [mirror.split("/")[2] for mirror in MIRRORS] * download.TRIES
    assert proxy.asked == [f"CONNECT {host}:443" for host in hosts]


@pytest.mark.parametrize("password", ["secret#word", "#secretword", "secret[word"])
def test_password_of_a_proxy_is_not_printed(nowhere, fail, monkeypatch, password):
    monkeypatch.setattr(data, "MIRRORS", MIRRORS)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{password}@127.0.0.1:9")
    (line,) = fail()
    assert "secret" not in line and "HTTPS_PROXY" in line


# 5. and 6. Many processes, and killed ones ----------------------------------------------------


@pytest.mark.slow
def test_processes_that_load_at_once_all_succeed(serve, tmp_path):
    server, ready = serve("slow"), tmp_path / "ready"
    ready.mkdir()
    first = (
        f"ready = pathlib.Path({str(ready)!r})\n(ready / str(os.getpid())).touch()\n"
        "while len(list(ready.iterdir())) < 4: time.sleep(0.01)"
    )
    for process in [start(first) for _ in range(4)]:
        assert finish(process) == [LOADED, f"loaded 60 {NAMES}"]
    assert sum("train-images" in request for request in server.asked) > 1
    assert listing(data.CACHE) == NAMES and listing(data._user_cache()) == []


def test_kill_in_mid_download_leaves_nothing_behind(serve, load):
    server = serve("half_then_silent")
    process = start()
    assert server.waiting.wait(60)
    process.kill()
    assert process.wait() != 0 and listing(data.CACHE) == []
    server.answer = "good"
    assert load() == (60, [LOADED])
    assert listing(data.CACHE) == NAMES


@posix
def test_kill_while_writing_is_cleaned_up(serve, load):
    serve("good")
    die = "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    process = start(LIMIT + die + "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGXFSZ
    assert listing(data.CACHE) == [f"{process.pid}-0.part"]
    living = f"{os.getppid()}-0.part"
    (data.CACHE / living).touch()
    assert load() == (60, [LOADED])
    assert listing(data.CACHE) == sorted([living, *NAMES])


# 7. A corrupt cache ---------------------------------------------------------------------------

SPOILT = {
    "torn": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "HTML": lambda content: b"<html>Log in</html>",
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_corrupt_cache_is_named_and_kept(small, serve, load, fail, spoil):
    shutil.copytree(small, data.CACHE)
    bad = data.CACHE / f"{TEST_LABELS}.gz"
    bad.write_bytes(spoil(bad.read_bytes()))
    before = times()
    line, _ = fail()
    assert line.startswith(f"{bad} ") and "Copy it again" in line
    assert times() == before
    server = serve("good")
    assert load() == (60, [line, LOADED]) and len(server.asked) == 1
    assert {path for path, _ in times().items() ^ before.items()} == {bad}
    assert load() == (60, [LOADED])


def times():
    """Return when each file in the cache was written."""
    return {path: path.stat().st_mtime_ns for path in data.CACHE.iterdir()}


# 8. Where the cache cannot be written ---------------------------------------------------------


def test_file_in_the_place_of_the_cache_folder(serve, load):
    server = serve("good")
    data.CACHE.parent.parent.mkdir()
    data.CACHE.parent.write_text("a file")
    n, lines = load()
    assert n == 60 and lines[0].startswith(f"{data.CACHE} cannot be written (")
    assert lines[0].endswith(f"MNIST is kept in {data._user_cache()} instead.")
    assert listing(data._user_cache()) == NAMES and data.CACHE.parent.read_text() == "a file"
    assert load() == (60, [LOADED]) and len(server.asked) == 4


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
    assert lines[1:] == [LOADED, "loaded 60 []"]
    user.parent.chmod(0o777)
    lines = finish(start(foreign))
    assert lines[0] == f"{data.CACHE} {refusal}. MNIST is kept in {user} instead."
    assert lines[1:] == [LOADED, "loaded 60 []"]
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
    lines = finish(start(LIMIT))
    assert lines[0].startswith(f"{data.CACHE} cannot be written (File too large); ")
    assert "Make room there, 1 MB" in lines[0]
    assert lines[1:] == [LOADED, "loaded 60 []"]
    assert load()[0] == 60 and listing(data.CACHE) == NAMES


# 9. Files that are not MNIST's ----------------------------------------------------------------

noise = np.random.default_rng(1).integers(0, 256, (60, 28, 28), dtype=np.uint8)
NOT_MNIST = {
    "lying header": (
        lambda content: content.replace(b"\0\0\0\x3c", b"\0\0\0\x3d", 1),
        "magic number and sizes are [2051, 61, 28, 28], not [2051, 60, 28, 28]",
    ),
    "missing rows": (lambda content: content[:-784], "46,256 bytes follow its header, not 47,040"),
    "header only": (lambda content: content[:9], "are [2051, 60], not"),
    "other images": (lambda content: make_idx(noise), "Fashion-MNIST"),
}


@pytest.mark.parametrize(("spoil", "says"), NOT_MNIST.values(), ids=NOT_MNIST)
def test_file_that_is_not_mnist_is_refused(small, load, fail, monkeypatch, tmp_path, spoil, says):
    contents, name = unpacked(small), "train-images-idx3-ubyte"
    folder = put(tmp_path / "mine", {**contents, name: spoil(contents[name])})
    monkeypatch.setenv("MNIST_DIR", str(folder))
    line, _ = fail()
    assert line.startswith(f"{folder / name} is not MNIST's {name}: ") and says in line
    put(folder, contents)
    assert load() == (60, [LOADED])


def test_npz_is_taken_when_it_is_mnist_and_refused_with_objects(
    small, load, fail, monkeypatch, tmp_path
):
    path, trace = tmp_path / "mnist.npz", tmp_path / "code was run"
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    path.write_bytes(pack_npz(small, y_train=np.array([Trap(trace)] * 60, object)))
    assert fail()[0].startswith(f"{path} cannot be read (y_train.npy is not a plain array of numb")
    assert not trace.exists()
    path.write_bytes(pack_npz(small, x_train=noise))
    assert "Fashion-MNIST" in fail()[0]
    whole = pack_npz(small)
    for content in (whole[:9_000], b"<html>Log in</html>"):
        path.write_bytes(content)
        assert fail()[0].startswith(f"{path} cannot be read (File is not a zip file)")
    path.write_bytes(whole)
    assert load() == (60, [LOADED])


# 10. What MNIST_DIR may be --------------------------------------------------------------------


def test_partial_folder_is_completed(small, serve, load, fail, monkeypatch, tmp_path):
    odd = tmp_path / "two  spaces # Übung 数字 손글씨 100% '~ $HOME"
    folder = shutil.copytree(small, odd / "partial")
    (folder / f"{TEST_LABELS}.gz").unlink()
    monkeypatch.setenv("MNIST_DIR", str(folder))
    monkeypatch.setattr(data, "CACHE", odd / "cache")
    line, _ = fail()
    says = f"No {TEST_LABELS} or {TEST_LABELS}.gz in {folder}. Copy the four MNIST files there, or"
    assert line.startswith(says)
    server = serve("good")
    for _ in range(2):
        assert load() == (60, [line, LOADED]) and server.asked == [f"GET /{TEST_LABELS}.gz"]
    assert listing(data.CACHE) == NAMES and len(listing(folder)) == 3


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


def pack_npz(small, dtype="uint8", **others):
    """Return MNIST as Keras' mnist.npz, with other arrays in place of some."""
    (x, y), (x_test, y_test) = data.read_folder(small)
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    file = io.BytesIO()
    np.savez(file, **{name: array.astype(dtype) for name, array in arrays.items()} | others)
    return file.getvalue()


# What is in the folder, from the unpacked files and the folder of packed ones; and which path in it
# is given.
FORMS = {
    "a dot for the dash": lambda f, s: ({n.replace("-idx", ".idx"): f[n] for n in f}, ""),
    "packed, without .gz": lambda f, s: ({n: (s / f"{n}.gz").read_bytes() for n in f}, ""),
    "unpacked, called .gz": lambda f, s: ({f"{n}.gz": f[n] for n in f}, ""),
    "MNIST/raw below": lambda f, s: ({f"MNIST/raw/{n}": f[n] for n in f}, ""),
    "names of their own": lambda f, s: ({f"{i}.bin": f[n] for i, n in enumerate(f)}, ""),
    "an npz of int64": lambda f, s: ({"mnist.npz": pack_npz(s, "int64")}, "mnist.npz"),
    "one of the files": lambda f, s: (f, TEST_LABELS),
    "a bad one beside": lambda f, s: ({**f, f"{TEST_LABELS}.gz": b"torn"}, ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_mnist_is_known_by_its_content(small, load, monkeypatch, tmp_path, form):
    contents, given = FORMS[form](unpacked(small), small)
    monkeypatch.setenv("MNIST_DIR", str(put(tmp_path / "mine", contents) / given))
    assert load() == (60, [LOADED])
    assert preflight.check_data()[0]


def test_nothing_of_mnist_is_told_alike(small, fail, monkeypatch, tmp_path):
    put(tmp_path / "mine", {"notes.txt": b"no data"})
    for chosen in (str(tmp_path / "mine"), "~nobody-of-this-name/mnist"):
        monkeypatch.setenv("MNIST_DIR", chosen)
        ok, found, _ = preflight.check_data()
        assert not ok and found == fail()[0] and "Copy the four MNIST files there" in found
