"""MNIST in: where it is looked for, what is refused, and what takes its place."""

import functools
import gzip
import hashlib
import http.server
import shutil
import threading

import numpy as np
import pytest

from helpers import data


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No MNIST_DIR, an empty cache, and mirrors that nobody serves."""
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.delenv("MNIST_SAMPLE", raising=False)
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/", "http://127.0.0.1:9/"))
    return tmp_path


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory):
    """Four IDX files of 12 and 3 blank images, packed, with their digests."""
    folder, files = tmp_path_factory.mktemp("small"), {}
    for name in data.FILES:
        n = 12 if name.startswith("train") else 3
        shape = (n, 28, 28) if "images" in name else (n,)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(s.to_bytes(4, "big") for s in shape)
        content = header + bytes(int(np.prod(shape)))
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        packed = (folder / f"{name}.gz").read_bytes()
        files[name] = (hashlib.sha256(packed).hexdigest(), hashlib.sha256(content).hexdigest())
    return folder, files


@pytest.fixture
def mirror(small_mnist, nowhere, monkeypatch):
    """Serve the small files from the second of two mirrors; the first answers 404."""
    folder, files = small_mnist
    monkeypatch.setattr(data, "FILES", files)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(data, "MIRRORS", (f"{address}missing/", address))
    yield
    server.shutdown()


@pytest.mark.mnist
def test_mnist_has_the_shapes_types_and_classes_it_should():
    (train_images, train_labels), (test_images, test_labels) = data.load_mnist()
    assert (train_images.shape, train_labels.shape) == ((60_000, 28, 28), (60_000,))
    assert (test_images.shape, test_labels.shape) == ((10_000, 28, 28), (10_000,))
    assert {a.dtype for a in (train_images, train_labels, test_images, test_labels)} == {
        np.dtype("uint8")
    }
    assert list(test_labels[:5]) == [7, 2, 1, 0, 4]
    assert data.is_mnist(train_labels) and data.is_mnist(test_labels)


@pytest.mark.mnist
def test_split_is_stratified_seeded_and_leaves_nothing_out():
    (images, labels), _ = data.load_mnist()
    (train, train_labels), (validation, validation_labels) = data.split_validation(images, labels)
    assert (len(train), len(validation)) == (55_000, 5_000)
    counts = [np.bincount(part) for part in (labels, train_labels, validation_labels)]
    assert (counts[1] + counts[2] == counts[0]).all()
    assert abs(counts[2] - counts[0] / 12).max() <= 1
    again = data.split_validation(images, labels)[1][1]
    assert (again == validation_labels).all()
    assert hashlib.sha256(validation_labels.tobytes()).hexdigest().startswith("0dbbde1686f05a1d")


def test_packed_and_unpacked_files_read_alike(small_mnist, monkeypatch, tmp_path):
    folder, files = small_mnist
    monkeypatch.setattr(data, "FILES", files)
    for name in files:
        (tmp_path / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
    (images, labels), (test_images, _) = data.read_folder(tmp_path)
    assert images.shape == (12, 28, 28) and labels.shape == (12,) and test_images.shape[0] == 3
    assert (data.read_folder(folder)[0][0] == images).all()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "Copy the four MNIST files there"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "cannot be read"),
        (lambda path: path.write_bytes(b"<html>"), "cannot be read"),
        (lambda path: path.write_bytes(gzip.compress(b"other")), "is not MNIST's"),
    ],
    ids=["missing", "torn", "HTML", "other content"],
)
def test_bad_file_is_named_with_what_to_do(small_mnist, monkeypatch, tmp_path, spoil, says):
    folder, files = small_mnist
    monkeypatch.setattr(data, "FILES", files)
    shutil.copytree(folder, tmp_path / "copy")
    spoil(tmp_path / "copy" / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(data.DataError, match="t10k-labels") as error:
        data.read_folder(tmp_path / "copy")
    assert says in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_second_mirror_serves_when_the_first_does_not(mirror, capfd):
    (train_images, _), _ = data.load_mnist()
    assert len(train_images) == 12
    assert sorted(path.name for path in data.CACHE.iterdir()) == sorted(
        f"{name}.gz" for name in data.FILES
    )
    assert "Traceback" not in capfd.readouterr().err


def test_download_keeps_files_that_are_right_and_replaces_a_wrong_one(mirror):
    data.download(data.CACHE)
    good, bad = sorted(data.CACHE.iterdir())[:2]
    written = good.stat().st_mtime_ns
    bad.write_bytes(b"wrong")
    data.download(data.CACHE)
    assert good.stat().st_mtime_ns == written
    data.read_folder(data.CACHE)


def test_wrong_content_from_the_mirrors_is_refused(mirror, monkeypatch):
    name = next(iter(data.FILES))
    monkeypatch.setitem(data.FILES, name, ("0" * 64, data.FILES[name][1]))
    with pytest.raises(data.DataError, match="could not be downloaded"):
        data.download(data.CACHE)


def test_without_mnist_the_sample_takes_its_place_loudly(nowhere, capsys):
    (train_images, train_labels), (test_images, test_labels) = data.load_mnist()
    assert train_images.shape == (1500, 28, 28) and test_images.shape == (297, 28, 28)
    assert train_images.dtype == train_labels.dtype == np.uint8
    assert train_images.max() == 255 and set(test_labels) == set(range(10))
    said = capsys.readouterr().out
    assert "NOT MNIST" in said and "MNIST_DIR" in said and len(said.splitlines()) == 1
    assert not data.is_mnist(train_labels)
    assert not train_images[:, :4].any() and not train_images[:, :, 24:].any()


def test_sample_can_be_asked_for_and_is_the_same_every_time(nowhere, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_SAMPLE", "1")
    first, second = data.load_mnist(), data.load_mnist()
    assert all(
        (a == b).all()
        for x, y in zip(first, second, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert capsys.readouterr().out.count("MNIST_SAMPLE=1 asks for the sample") == 2


def test_unusable_mnist_dir_is_named_and_the_cache_serves(mirror, monkeypatch, tmp_path, capsys):
    data.download(data.CACHE)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "ungefüllt # 空"))
    (train_images, _), _ = data.load_mnist()
    said = capsys.readouterr().out
    assert len(train_images) == 12
    assert "ungefüllt # 空" in said and "Copy the four MNIST files there" in said


def test_relative_mnist_dir_counts_from_the_project(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", "some/folder")
    assert data.local_folders()[0] == data.ROOT / "some" / "folder"
