"""MNIST in: where it is looked for, what is refused, and what takes its place."""

import hashlib

import numpy as np
import pytest

from helpers import data


@pytest.mark.mnist
def test_mnist_has_the_shapes_types_and_classes_it_should():
    (train_images, train_labels), (test_images, test_labels) = data.load_mnist()
    assert (train_images.shape, train_labels.shape) == ((60_000, 28, 28), (60_000,))
    assert (test_images.shape, test_labels.shape) == ((10_000, 28, 28), (10_000,))
    assert {train_images.dtype, train_labels.dtype, test_images.dtype} == {np.dtype("uint8")}
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


def test_sample_takes_the_place_of_mnist_loudly_and_can_be_asked_for(nowhere, monkeypatch, capsys):
    (train_images, train_labels), (test_images, test_labels) = data.load_mnist()
    assert train_images.shape == (1500, 28, 28) and test_images.shape == (297, 28, 28)
    assert train_images.dtype == train_labels.dtype == np.uint8
    assert train_images.max() == 255 and set(test_labels) == set(range(10))
    assert not train_images[:, :4].any() and not train_images[:, :, 24:].any()
    assert not data.is_mnist(train_labels)
    said = capsys.readouterr().out
    assert "NOT MNIST" in said and "MNIST_DIR" in said and len(said.splitlines()) == 1
    monkeypatch.setenv("MNIST_SAMPLE", "1")
    assert (data.load_mnist()[0][0] == train_images).all()
    assert "MNIST_SAMPLE=1 asks for the sample" in capsys.readouterr().out


def test_relative_mnist_dir_counts_from_the_project(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", "some/folder")
    assert next(data.local_folders()) == data.ROOT / "some" / "folder"
