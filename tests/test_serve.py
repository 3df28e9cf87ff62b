"""The service of tools/serve.py on loopback: what it answers, refuses, and keeps up with."""

import concurrent.futures
import http.client
import io
import json
import pickle
import socket
import struct
import threading
import time
import zlib

import numpy as np
import psutil
import pytest
import uvicorn
from PIL import Image

from helpers import data, doubt, formats, model_files
from tools import export, serve

pytestmark = pytest.mark.slow


class Service:
    """A service in this process, on a port of its own."""

    def __init__(self, folder):
        self.app = serve.build_app(folder)
        config = uvicorn.Config(self.app, "127.0.0.1", 0, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        give_up = time.monotonic() + 30
        while not self.server.started and time.monotonic() < give_up:
            time.sleep(0.05)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def ask(self, method, path, body=None, **headers):
        """Return the status and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stop(self):
        """End it, and its processes."""
        self.server.should_exit = True
        self.thread.join(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with what the service needs."""
    folder = tmp_path_factory.mktemp("export")
    network = model_files.load_robust_model()
    for kind, made in {"int8": network, "doubt": doubt.join(network, doubt.load())}.items():
        content = formats.to_litert(made, "dynamic int8")
        (folder / f"robust_{kind}.tflite").write_bytes(content)
    export.write_page(network, folder / "robust_pad.html", None)
    return folder


@pytest.fixture(scope="module")
def service(folder):
    service = Service(folder)
    yield service
    service.stop()


def write(image, kind="PNG"):
    """Return an image as the bytes of its file."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def make_page(digits):
    """Return a page with digits side by side, three times as large, as a PIL image."""
    page = np.full((80, 50 * len(digits)), 255, np.uint8)
    for place, digit in enumerate(digits):
        page[20:48, 20 + 50 * place : 48 + 50 * place] -= digit
    return Image.fromarray(np.kron(page, np.ones((3, 3), np.uint8)))


@pytest.fixture(scope="module")
def page():
    """Return a page of eight test digits and what they are."""
    _, (images, labels) = data.load_mnist()
    return write(make_page(images[:8])), labels[:8].tolist()


@pytest.mark.mnist
def test_a_page_of_digits_is_read(service, page):
    status, text = service.ask("POST", "/read", page[0])
    found = json.loads(text)["digits"]
    assert status == 200 and [digit["digit"] for digit in found] == page[1]
    for digit in found:
        top, left, bottom, right = digit["box"]
        assert 0 <= top < bottom <= 240 and 0 <= left < right <= 1200
        assert sum(digit["probabilities"]) == pytest.approx(1, abs=0.01)
        assert 0 <= digit["doubt"] < 0.5


@pytest.mark.mnist
def test_a_letter_is_doubted_and_without_a_judge_nothing_is(service, folder, page):
    letter = np.zeros((28, 28), np.uint8)
    letter[4:24, 8:11], letter[[4, 5, 13, 14, 22, 23], 8:20] = 255, 255  # an E
    (digit,) = json.loads(service.ask("POST", "/read", write(make_page([letter])))[1])["digits"]
    assert digit["doubt"] > doubt.load().threshold
    serve.prepare(folder / "robust_int8.tflite")
    _, answer = serve.read_picture(page[0])
    assert {digit["doubt"] for digit in answer["digits"]} == {None}


def test_an_empty_page_has_no_digits(service):
    blank = write(Image.new("L", (300, 300), 255))
    assert service.ask("POST", "/read", blank) == (200, '{"digits":[]}')


def test_health_and_the_pad(service):
    assert service.ask("GET", "/health") == (200, '{"status":"ok","network":"robust"}')
    status, text = service.ask("GET", "/")
    assert status == 200 and "Watch the network think" in text


# Bad input ----------------------------------------------------------------------------------------


def png_of(width, height):
    """Return a PNG of a kilobyte that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def malformed():
    """Return sixty bodies that are no picture to read: `{name: bytes}`."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8))
    files = {kind: write(small, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")}
    cuts = {
        f"{kind} cut at {share}": content[: int(len(content) * share)]
        for kind, content in files.items()
        for share in (0.01, 0.1, 0.3, 0.5, 0.8)
        if (kind, share) not in (("TIFF", 0.01),)
    }
    flips = {
        f"PNG changed at {place}": files["PNG"][:place] + b"\xff" + files["PNG"][place + 1 :]
        for place in (1, 8, 14, 20, 24, 25, 26, 30, 37, 60)
    }
    texts = {
        text: text.encode() * 3
        for text in ("hello", "{}", "<html>", "<svg>", "%PDF-1.4", "%!PS-Adobe-3.0 EPSF-3.0", "PK",
                     "GIF89a", "BM", "RIFF", "II*", "#!/bin/sh", "../../etc/passwd")
    }  # fmt: skip
    others = {
        "nothing": b"", "zeros": bytes(1000), "noise": bytes(range(256)) * 9,
        "pickle": pickle.dumps(print), "a form": b"--x\r\nContent-Disposition: form-data\r\n\r\n",
        "too many bytes": bytes(5_000_001), "10,000 megapixels": png_of(100_000, 100_000),
        "51 megapixels": png_of(7_150, 7_150), "one pixel": write(Image.new("L", (1, 1))),
    }  # fmt: skip
    return cuts | flips | texts | others


MALFORMED = malformed()


def test_sixty_malformed_bodies_are_answered_in_plain_lines(service):
    assert len(MALFORMED) >= 60
    answers = {name: service.ask("POST", "/read", body) for name, body in MALFORMED.items()}
    assert {n: a for n, a in answers.items() if a[0] not in (413, 415, 422)} == {}
    for _, text in answers.values():
        detail = json.loads(text)["detail"]
        assert detail.endswith(".") and len(detail) < 100 and "Error" not in detail
    assert service.ask("GET", "/health")[0] == 200


def test_other_requests_are_refused_and_nothing_is_repeated(service, page):
    asked = [
        ("GET", "/read", 405), ("DELETE", "/read", 405), ("POST", "/", 405),
        ("GET", "/../serve.py", 404), ("GET", "/robust_int8.tflite", 404), ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
    ]  # fmt: skip
    assert [service.ask(method, path)[0] for method, path, _ in asked] == [a[2] for a in asked]
    headers = {"Content-Disposition": 'attachment; filename="<b>secret</b>.png"'}
    _, text = service.ask("POST", "/read?name=secret", page[0], **headers)
    assert "secret" not in text
    # What a page elsewhere would ask for under a name of its own that leads here.
    assert service.ask("GET", "/health", Host="example.org")[0] == 400


def test_a_body_without_end_is_refused(service):
    with socket.create_connection(("127.0.0.1", service.port), 60) as connection:
        head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        piece = bytes(1_000_000)
        with pytest.raises(OSError):  # the service hangs up
            for _ in range(200):
                connection.sendall(b"f4240\r\n" + piece + b"\r\n")


def test_what_takes_too_long_is_ended(folder, page, monkeypatch):
    service = Service(folder)
    try:
        # A process that was ended is replaced: afterwards the service reads as before.
        for limit in ("SECONDS", "WAIT"):
            with monkeypatch.context() as short:
                short.setattr(serve, limit, 0.001)
                assert service.ask("POST", "/read", page[0])[0] == 408
        monkeypatch.setattr(serve, "SECONDS", 60)
        assert service.ask("POST", "/read", page[0])[0] == 200
        assert service.app.state.inside == 0
    finally:
        service.stop()


# Load ---------------------------------------------------------------------------------------------


def test_overload_is_sent_away_and_nothing_is_lost(service, page):
    """Forty clients at once: each is answered, with 200 or with 429."""
    with concurrent.futures.ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda _: service.ask("POST", "/read", page[0]), range(120)))
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 429}
    texts = {text for status, text in answers if status == 200}
    assert len(texts) == 1  # every page read in the same way
    assert service.app.state.inside == 0
    assert service.ask("POST", "/read", page[0])[0] == 200


def test_memory_stays_flat(service, page):
    def held():
        own = psutil.Process()
        return sum(process.memory_info().rss for process in own.children(recursive=True))

    def read(times):
        for _ in range(times):
            assert service.ask("POST", "/read", page[0])[0] == 200

    read(30)
    before = held()
    read(60)
    assert held() - before < 15e6


def test_missing_file_is_told_in_two_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["serve", str(tmp_path)])
    assert serve.main() == 1
    assert capsys.readouterr().err.splitlines()[-1] == "Make it first: python -m tools.export"
