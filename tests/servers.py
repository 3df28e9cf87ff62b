"""Local servers that serve a small MNIST well or badly."""

import gzip
import http.server
import threading
from pathlib import Path


class Answers:
    """What a server does with a request, by name; `self` is the request's handler."""

    def good(self, status=200, content=None, length=None):
        content = self.server.files[self.path[1:]] if content is None else content
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def wrong(self):
        Answers.good(self, content=gzip.compress(b"another file"))

    def page(self):
        Answers.good(self, content=b"<!DOCTYPE html>\n<HTML><body>Welcome! Log in</body></HTML>")

    def status_403(self):
        Answers.good(self, 403, b"<html>Forbidden</html>")

    def cut(self):
        content = self.server.files[self.path[1:]]
        Answers.good(self, content=content[: len(content) // 2], length=len(content))

    def silent(self):
        self.server.waiting.set()
        self.server.closing.wait(60)

    def half_then_silent(self):
        Answers.cut(self)
        Answers.silent(self)

    def trickle(self, size=2_500, seconds=0.1):
        content = self.server.files[self.path[1:]]
        Answers.good(self, content=b"", length=len(content))
        for i in range(0, len(content), size):
            if self.server.closing.wait(seconds):
                return
            self.wfile.write(content[i : i + size])

    def slow(self):
        Answers.trickle(self, size=5_000, seconds=0.2)

    def redirect(self):
        self.send_response(302)
        self.send_header("Location", self.server.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def refuse_proxying(self):
        self.send_error(407)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer as the server says at the time."""

    def do_GET(self):
        self.server.asked.append(f"{self.command} {self.path}")
        try:
            getattr(Answers, self.server.answer)(self)
        except OSError:  # the client has gone
            self.close_connection = True

    do_CONNECT = do_GET

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A server of the small files; `answer` may be changed while it runs."""

    request_queue_size = 50

    def __init__(self, files, answer="good", tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.answer, self.asked, self.tls = files, answer, [], tls
        self.waiting, self.closing = threading.Event(), threading.Event()
        self.netloc = f"127.0.0.1:{self.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.netloc}/"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request, client_address):
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # a client that breaks off, as some of the tests want it

    def stop(self):
        self.closing.set()
        self.shutdown()
        self.server_close()


def make_idx(array):
    """Return an array as the bytes of an IDX file."""
    numbers = (0x800 + array.ndim, *array.shape)
    return b"".join(n.to_bytes(4, "big") for n in numbers) + array.astype("uint8").tobytes()


class Trap:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))
