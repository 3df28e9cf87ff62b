"""A small MNIST of four files, servers for it, images of noise, and which files go first."""

import gzip
import hashlib

import lab
import numpy as np
import pytest
from servers import Server, make_idx

from helpers import data

# The files that take longest, in order: begun last, one of them would keep a core waiting.
LONGEST = [
    "test_series", "03_train_the_network", "test_jupyterlab", "test_faults_training",
    "test_cluster", "test_recipes", "03_train_the_network_solutions", "test_website", "test_serve",
]  # fmt: skip
PROXIES = [f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")]


def pytest_collection_modifyitems(items):
    """Put the files that take longest first; `make test` keeps the order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """Four IDX files of 60 and 6 images of noise, packed, in a folder, and their `data.FILES`."""
    folder, files = tmp_path_factory.mktemp("small"), {}
    random = np.random.default_rng(0)
    for name in data.FILES:
        n = 60 if name.startswith("train") else 6
        shape = (n, 28, 28) if "images" in name else (n,)
        content = make_idx(random.integers(0, 256 if "images" in name else 10, shape))
        packed = gzip.compress(content, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        digests = (hashlib.sha256(part).hexdigest() for part in (packed, content))
        files[name] = (*digests, shape)
    return folder, files


@pytest.fixture
def digits():
    """Forty images of noise and their labels, four of each class."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    return images, (np.arange(40) % 10).astype(np.uint8)


@pytest.fixture
def shown(monkeypatch):
    """Stand in for the notebook: collect what is displayed and updated."""
    from helpers import live  # with TensorFlow, which the process that hands out tests can spare

    contents = []

    class Handle:
        def __init__(self, content):
            contents.append(content)

        def update(self, content, **_):
            contents.append(content)

    monkeypatch.setattr(live, "display", lambda content, **_: Handle(content))
    return contents


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No MNIST_DIR, empty caches, a mirror that nobody serves, and no proxy."""
    for name in ("MNIST_DIR", "MNIST_SAMPLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", *PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(data, "CACHE", tmp_path / "project" / "data" / "mnist")
    monkeypatch.setattr(data, "_user_cache", lambda: tmp_path / "user" / "mnist-CNN")
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/",))
    return tmp_path


@pytest.fixture
def small(small_mnist, nowhere, monkeypatch):
    """Take the small files for MNIST."""
    monkeypatch.setattr(data, "FILES", small_mnist[1])
    return small_mnist[0]


@pytest.fixture
def serve(small, monkeypatch):
    """Return a function that starts a server for each answer and makes these the mirrors."""
    files, servers = {path.name: path.read_bytes() for path in small.iterdir()}, []

    def start(*answers, tls=None):
        servers.extend(Server(files, answer, tls) for answer in answers)
        started = servers[-len(answers) :]
        monkeypatch.setattr(data, "MIRRORS", tuple(server.url for server in started))
        return started if len(started) > 1 else started[0]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def browser():
    """Start Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lab.needs("Playwright", "python -m pip install -r tests/requirements.txt")
    with sync_playwright() as playwright:
        path = lab.find_chromium(playwright)
        if path is None:
            lab.needs(
                "Chromium", "install Chromium or Chrome, or: python -m playwright install chromium"
            )
        chromium = playwright.chromium.launch(executable_path=path, args=lab.CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
