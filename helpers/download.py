"""Files from public mirrors, verified, within a bounded time."""

import hashlib
import io
import sys
import threading
import time
import warnings
from functools import partial
from urllib.parse import urlsplit

from requests import exceptions
from tqdm import tqdm

with warnings.catch_warnings():  # tqdm.auto advises a notebook, in red, about other bars
    warnings.filterwarnings("ignore", "IProgress not found")
    import pooch

# A mirror stalls when neither this many bytes nor the end of the file come in this many seconds.
READ_TIMEOUT, LEAST_BYTES = 15, 100_000
TRIES = 2  # at each mirror, for all files together: with two mirrors 60 s of waiting at most


class FetchError(Exception):
    """A file that could not be had; the message says why."""


def fetch(mirrors, digests):
    """Fetch files into memory, each from whichever mirror serves it.

    Args:
        mirrors: addresses that end in a slash, the first to be asked first.
        digests: a dict of file names and the SHA-256 that each must have.

    Yields:
        `(file name, content in bytes)`, as soon as a file has come.

    Raises:
        FetchError: no mirror served a file; the message has each one's cause.
    """
    mirrors, causes = [*mirrors] * TRIES, {}
    for name, digest in digests.items():
        content = None
        while content is None:
            if not mirrors:
                failures = "; ".join(f"{host}: {cause}" for host, cause in causes.items())
                raise FetchError(f"{name} could not be downloaded ({failures})")
            host = urlsplit(mirrors[0]).netloc
            try:
                content = _receive(mirrors[0] + name, digest)
            except TimeoutError:
                causes[host] = f"it stalled for {READ_TIMEOUT} s"
                print(f"{host} stalled for {READ_TIMEOUT} s and is not asked again.")
                mirrors = [other for other in mirrors if other != mirrors[0]]
            except FetchError as error:
                causes[host] = error
                mirrors = mirrors[1:]
        yield name, content


def _receive(url, digest):
    """Return what an address serves, verified; raise TimeoutError when it stalls."""
    # To stdout, since a notebook shows stderr as an alarm. The delay keeps a quick one silent, but
    # tqdm's own `reset` would show it. pooch sets the true total, and ignores a bar without one.
    style = {"desc": url.rpartition("/")[2], "unit": "B", "unit_scale": True, "file": sys.stdout}
    with tqdm(total=1, delay=0.5, **style) as bar, io.BytesIO() as body:
        bar.reset = partial(setattr, bar, "n", 0)
        # In a thread, since looking up a name, or trying the many addresses of a host one by
        # one, keeps to no time-out. Once the body is closed, its next byte ends the thread.
        failures, since, received = [], time.monotonic(), 0
        request = threading.Thread(target=_request, args=(url, body, bar, failures), daemon=True)
        request.start()
        while request.is_alive():
            if body.tell() >= received + LEAST_BYTES:
                since, received = time.monotonic(), body.tell()
            elif time.monotonic() > since + READ_TIMEOUT:
                raise TimeoutError
            request.join(0.05)
        content = body.getvalue()
    if failures:
        raise FetchError(_explain(failures[0]))
    if hashlib.sha256(content).hexdigest() == digest:
        return content
    if b"<html" in content[:1000].lower():
        raise FetchError("a web page came instead; it looks like the network's log-in page")
    raise FetchError(f"what came, {len(content):,} bytes, is cut short or another file")


def _request(url, body, bar, failures):
    """Write what an address serves to `body`; note an error for the thread that waits."""
    # Redirections are not followed: one could lead to where no certificate is checked.
    options = {"timeout": READ_TIMEOUT + 5, "allow_redirects": False}
    try:
        pooch.HTTPDownloader(progressbar=bar, **options)(url, body, None)
    except Exception as error:  # of any kind: it belongs to the thread that waits
        failures.append(error)


def _explain(error):
    """Say in plain words why a request failed."""
    if isinstance(error, exceptions.HTTPError):
        return f"it answers {error.response.status_code} {error.response.reason}"
    # Not by the error's own text, which may show a part of a proxy's password.
    causes = {
        ValueError: "the proxy's address cannot be read; in HTTPS_PROXY, write # in a password "
        "as %23",
        exceptions.ProxyError: "the proxy refuses; HTTPS_PROXY must name the right one",
        exceptions.SSLError: "its certificate is not to be trusted; something in between reads "
        "along, or this computer's clock is wrong",
        exceptions.ChunkedEncodingError: "the connection broke off",
        exceptions.ConnectionError: "it cannot be reached",
    }
    found = (text for kind, text in causes.items() if isinstance(error, kind))
    return next(found, type(error).__name__)
