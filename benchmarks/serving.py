"""Load the service of tools/serve.py on loopback, and then overload it.

`python -m benchmarks.serving` writes benchmarks/serving.json: requests a second, the time of one,
memory on the way, and what 40 clients at once are answered. `python -m tools.export` comes first.
"""

import argparse
import collections
import concurrent.futures
import http.client
import io
import json
import subprocess
import sys
import time
from datetime import date
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from helpers import data, preflight
from helpers.files import write_text

RESULTS = Path(__file__).resolve().with_name("serving.json")
PORT = 8765
CLIENTS = 2  # as many as the service has processes
MANY = 40


def make_page():
    """Return a picture of one test digit, as the bytes of a PNG."""
    _, (images, _) = data.load_mnist()
    page = np.full((56, 56), 255, np.uint8)
    page[14:42, 14:42] -= images[0]
    file = io.BytesIO()
    Image.fromarray(np.kron(page, np.ones((4, 4), np.uint8))).save(file, "PNG")
    return file.getvalue()


def ask(page):
    """Send the page; return the status of the answer and its seconds."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    try:
        connection.request("POST", "/read", page)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer.status, time.perf_counter() - start


def send(page, requests, clients):
    """Send the page so often, from so many clients; return statuses, seconds and the rate."""
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        statuses, seconds = zip(*pool.map(ask, [page] * requests), strict=True)
    return statuses, seconds, requests / (time.perf_counter() - start)


def held(service):
    """Return what the service and its processes hold, in MB."""
    processes = [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]
    return round(sum(process.memory_info().rss for process in processes) / 1e6, 1)


def measure(service, requests):
    """Send so many requests in ten parts, then too many at a time; return the results."""
    page = make_page()
    send(page, 50, CLIENTS)  # for warmth
    memory, seconds, rates, statuses = [held(service)], [], [], collections.Counter()
    for _ in range(10):
        answered, times, rate = send(page, requests // 10, CLIENTS)
        statuses.update(answered)
        seconds += times
        rates.append(rate)
        memory.append(held(service))
    overload, _, _ = send(page, 400, MANY)
    return {
        "requests": requests,
        "clients": CLIENTS,
        "answered": {str(status): n for status, n in statuses.items()},
        "per_second": round(float(np.median(rates)), 1),
        "ms": [round(float(q) * 1e3, 1) for q in np.percentile(seconds, [50, 99])],
        "memory_mb": memory,
        "overload": {str(status): n for status, n in collections.Counter(overload).items()},
    }


def main():
    """Start the service, measure it, end it, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=main.__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    service = subprocess.Popen([sys.executable, "-m", "tools.serve", "--port", str(PORT)])
    try:
        time.sleep(10)
        results = measure(service, options.requests)
    finally:
        service.terminate()
        service.wait(30)
    versions = {name: metadata.version(name) for name in ("fastapi", "uvicorn", "pebble")}
    machine = preflight.describe_machine() | versions
    results = {"machine": machine, "date": date.today().isoformat(), **results}
    write_text(RESULTS, json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
