"""Read the digits on a picture for any program: `python -m tools.serve`, then

    curl --data-binary @page.png http://127.0.0.1:8000/read

It answers with each digit, its box (top, left, bottom, right, in pixels), the ten probabilities and
lesson 08's doubt, which is above 0.33 where that lesson refuses, and null for a network without a
judge. A picture may have 5 MB and 50 megapixels; it is opened in a process of its own, which is
ended if it takes too long. Nothing from a request is unpickled, written to disk, taken for a path
or repeated in an answer. Only this machine is served: before others are, put a proxy with TLS and
passwords in front of it.
"""

import argparse
import asyncio
import contextlib
import io
import multiprocessing
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import digits, formats
from tools import lessons

try:
    import ai_edge_litert  # noqa: F401, which helpers.formats opens the network with
    import uvicorn
    from fastapi import FastAPI, HTTPException, Request
    from fastapi.middleware.trustedhost import TrustedHostMiddleware
    from fastapi.responses import FileResponse
    from pebble import ProcessExpired, ProcessPool
except ModuleNotFoundError as error:
    raise SystemExit(f"{error.name} is missing. Install it: {formats.INSTALL}") from None

FOLDER = lessons.ROOT / "build" / "export"
LARGEST = 5_000_000  # bytes
PIXELS = 50_000_000
SECONDS = 10  # for sending a picture, and for reading it
WORKERS = 2  # processes that read
INSIDE = 8  # pictures that are read or wait for it; one more is sent away
WAIT = SECONDS * INSIDE // WORKERS  # for those before it too, or for a process that starts slowly
CONNECTIONS = 200
KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # what Pillow may take a picture for


def build_app(folder=FOLDER, name="robust"):
    """Build the service.

    Args:
        folder: where `python -m tools.export` wrote its files.
        name: of the network that it exported.

    Returns:
        A `fastapi.FastAPI`; its processes start and end with it.
    """

    @contextlib.asynccontextmanager
    async def run(app):
        spawn = multiprocessing.get_context("spawn")
        app.state.inside = 0
        app.state.pool = ProcessPool(WORKERS, 0, prepare, (find_network(folder, name),), spawn)
        yield
        app.state.pool.stop()
        app.state.pool.join()

    # Without the pages that explain the service: they would load scripts from elsewhere.
    app = FastAPI(lifespan=run, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    app.get("/health")(lambda: {"status": "ok", "network": name})
    app.get("/")(lambda: FileResponse(folder / f"{name}_pad.html"))
    app.post("/read")(read)
    return app


def find_network(folder, name):
    """Return the path of the network that answers with doubt too, or else of that of int8."""
    paths = [folder / f"{name}_{kind}.tflite" for kind in ("doubt", "int8")]
    return next((path for path in paths if path.is_file()), None)


async def read(request: Request):
    """Answer a picture, the body of a request, with what is read on it."""
    state, busy = request.app.state, request.app.state.inside >= INSIDE
    if busy:
        await take(request)  # or the connection would break before the answer is heard
        raise HTTPException(429, "Too many pictures at a time. Try again.", {"Retry-After": "1"})
    state.inside += 1
    try:
        content = await take(request)
        future = state.pool.schedule(read_picture, (content,), timeout=SECONDS)
        async with asyncio.timeout(WAIT):
            status, answer = await asyncio.wrap_future(future)
    except TimeoutError:
        reason = "That takes too long. Send less, or try again later."
        raise HTTPException(408, reason, {"Connection": "close"}) from None
    except ProcessExpired:  # Pillow died of it, or the memory ran out
        raise HTTPException(422, "The picture cannot be read. Save it again as PNG.") from None
    finally:
        state.inside -= 1
    if status != 200:
        raise HTTPException(status, answer)
    return answer


async def take(request):
    """Take the body of a request, a little more than is allowed, so that its sender hears why."""
    content, size = bytearray(), 0
    async with asyncio.timeout(SECONDS):
        async for chunk in request.stream():
            size += len(chunk)
            if size <= LARGEST:
                content += chunk
            elif size > 4 * LARGEST:
                break
    if size > LARGEST:
        reason = f"More than {LARGEST // 10**6} MB. Send a smaller picture."
        raise HTTPException(413, reason, {"Connection": "close"})
    return bytes(content)


# In a process that reads ------------------------------------------------------------------------


def prepare(file):
    """Open the network, once in each process."""
    global network
    network = formats.open_litert(file)


def read_picture(content):
    """Find and read the digits on a picture.

    Args:
        content: bytes, of its file.

    Returns:
        The status of the answer, and the answer: a dict, or why there is none.
    """
    try:
        picture = Image.open(io.BytesIO(content), formats=KINDS)
        if picture.width * picture.height > PIXELS:
            return 413, f"More than {PIXELS // 10**6} megapixels. Send a smaller picture."
        found = digits.list_digits(picture)
    except Image.UnidentifiedImageError:
        return 415, "Not a picture. Send the file itself, a JPEG, PNG or WebP, as the body."
    except digits.PictureError:
        return 422, "The picture is damaged, or too small. Save it again as PNG."
    except Exception:  # what is in the file decides what Pillow raises
        return 422, "The picture cannot be read. Save it again as PNG."
    images = np.array([digit.image for digit in found], np.uint8).reshape(-1, 28, 28)
    return 200, {"digits": [describe(*pair) for pair in zip(found, network(images), strict=True)]}


def describe(digit, answers):
    """Return what is answered for a digit, of ten probabilities and the doubt, if there is one."""
    probabilities, doubt = answers[:10], answers[10:]
    return {
        "digit": int(probabilities.argmax()),
        "box": [int(side) for side in digit.box],
        "probabilities": [round(float(share), 4) for share in probabilities],
        "doubt": round(float(doubt[0]), 4) if doubt.size else None,
        "note": digit.note(),
    }


def main():
    """Serve until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description=main.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="build/export")
    parser.add_argument("--name", default="robust", help="of the network exported there")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    if not find_network(options.folder, options.name):
        print(f"There is no {options.name}_int8.tflite in {options.folder.name}/.", file=sys.stderr)
        print("Make it first: python -m tools.export", file=sys.stderr)
        return 1
    print(f"Send pictures to http://127.0.0.1:{options.port}/read; Ctrl-C ends it.", flush=True)
    uvicorn.run(
        build_app(options.folder.resolve(), options.name),
        host="127.0.0.1", port=options.port, log_level="warning", server_header=False,
        limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=5,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
