"""Seeds spread over a Dask cluster: real schedulers and workers, and a stand-in for training."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from helpers import data
from tools import cluster

ROOT, TESTS = data.ROOT, Path(__file__).parent
LABELS = (np.arange(40) % 10).astype(np.uint8)
DIGITS = ((np.zeros((40, 28, 28), np.uint8), LABELS),) * 2
LOG = Path(os.environ.get("CLUSTER_LOG", "log"))  # of what workers begin to train
NO_MNIST = "from helpers import data; data.find_local = lambda: ({}, [])"


def train_slowly(name, seed, digits, mark, cores):
    """In a worker: stand in for `train.train_apart`, without TensorFlow."""
    with LOG.open("a", encoding="utf-8") as file:
        file.write(f"{seed} {os.getpid()}\n")
    for _ in range(int(os.environ.get("CLUSTER_STEPS", 10))):
        cluster.check_wanted()
        time.sleep(0.1)
    predictions = digits[1][1].copy()
    predictions[: seed + 1] = 9 - predictions[: seed + 1]
    probabilities = (np.eye(10, dtype=np.float16)[predictions],) * 2
    return {"seconds": 1, "probabilities": probabilities}, b"network %d" % seed


def list_changes(folder):
    """Return what to set for the stand-in, as `(object, attribute, value)`; loads TensorFlow."""
    from helpers import model_files
    from tools import train

    (folder / "models").mkdir(exist_ok=True)
    os.environ["MNIST_RUNS"] = str(folder / "runs")
    return [
        (train, "train_apart", train_slowly),
        (data, "load_mnist", lambda: DIGITS),
        (data, "is_mnist", lambda labels: True),
        (data, "DISPUTED_TEST_LABELS", (3, 5)),
        (model_files, "MODELS", folder / "models"),
        (model_files, "SHIPPED", folder / "models" / "mnist_cnn.keras"),
    ]


COMMAND = """
import pathlib, sys
import test_cluster
from tools import cluster, train
cluster.PATIENCE = 300  # until the test starts the workers
for change in test_cluster.list_changes(pathlib.Path(sys.argv.pop(1))):
    setattr(*change)
train.run()
"""


class Place:
    """A scheduler, workers and commands, in a folder."""

    def __init__(self, folder):
        self.folder, self.log, self.processes = folder, folder / "log", {}
        self.log.touch()
        self.path = os.pathsep.join(map(str, (ROOT, TESTS)))
        self.env = {k: v for k, v in os.environ.items() if k not in ("MNIST_DIR", "MNIST_SAMPLE")}

    def start(self, name, *arguments, **changes):
        """Start Python with arguments, in the project's folder."""
        env = {**self.env, "CLUSTER_LOG": str(self.log), "PYTHONPATH": self.path, **changes}
        with (self.folder / f"{name}.txt").open("w") as said:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT, env=env, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        return self.processes[name]

    def start_cluster(self):
        """Start a scheduler; return its address."""
        where = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.start("scheduler", "-m", "dask", "scheduler", *where)
        wait_until(lambda: "Scheduler at:" in self.said("scheduler"))
        self.address = re.search(r"Scheduler at: +(\S+)", self.said("scheduler"))[1]
        return self.address

    def start_worker(self, name, preload=NO_MNIST, **changes):
        """Start a worker, without a nanny to start it again; return its process."""
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", preload)
        own = ("--local-directory", str(self.folder / name))
        return self.start(name, "-m", "dask", "worker", self.address, *options, *own, **changes)

    def wait_for(self, *names):
        """Wait until workers have registered."""
        wait_until(lambda: all("Registered to" in self.said(name) for name in names))

    def begun(self):
        """Return `[seed, number of the process]` for each seed that a worker began to train."""
        return [[*map(int, line.split())] for line in self.log.read_text().splitlines()]

    def said(self, name):
        """Return what a process printed."""
        return (self.folder / f"{name}.txt").read_text(encoding="utf-8")

    def recorded(self):
        """Return the seeds in the record."""
        path = self.folder / "models" / "best.json"
        return [*json.loads(path.read_text(encoding="utf-8"))["runs"]]


def wait_until(condition, seconds=120):
    """Wait, not for ever, until something is so."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    assert condition()


def then(condition, action):
    """Do something as soon as something is so, while this goes on."""
    threading.Thread(target=lambda: (wait_until(condition), action()), daemon=True).start()


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    for process in place.processes.values():
        process.kill()
        process.wait()


@pytest.fixture
def train(place, monkeypatch):
    """Return `tools.train` with the stand-in, in this process."""
    from tools import train

    monkeypatch.setenv("MNIST_RUNS", "")  # put back afterwards
    for change in list_changes(place.folder):
        monkeypatch.setattr(*change)
    return train


@pytest.mark.slow
def test_killed_worker_costs_its_seed_and_a_killed_scheduler_the_command(place, train, capfd):
    address = place.start_cluster()
    place.start_worker("one", CLUSTER_STEPS="50")  # time to kill the scheduler before a seed ends
    lost = place.start_worker("two", CLUSTER_STEPS="9999")  # its seed would not end by itself
    place.wait_for("one", "two")  # or the first might train all seeds alone
    then(lambda: lost.pid in dict(map(reversed, place.begun())), lost.kill)
    train.main(["best", "--seeds", "2", "--cluster", address])
    [seed] = [seed for seed, process in place.begun() if process == lost.pid]
    assert sorted(begun for begun, _ in place.begun()) == sorted([0, 1, seed])
    assert (place.folder / "models" / "mnist_cnn.keras").read_bytes() == b"network 0"
    said = capfd.readouterr()
    assert re.search(rf"best, seed {seed}: not finished on tcp://\S+: it is gone\.", said.out)
    then(lambda: "seed_2" in place.recorded(), place.processes["scheduler"].kill)
    with pytest.raises(cluster.ClusterError, match=r"^The scheduler at \S+ is gone\. .+$"):
        train.main(["best", "--seeds", "9", "--cluster", address])
    assert place.recorded() == ["seed_0", "seed_1", "seed_2"]
    assert not re.search("distributed|Error|Traceback", said.err + capfd.readouterr().err)


@pytest.mark.slow
def test_worker_that_differs_is_refused_by_name(place, train, capsys, monkeypatch, small_mnist):
    address = place.start_cluster()
    other = place.folder / "tensorflow-2.20.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorflow\nVersion: 2.20.0\n")
    path = os.pathsep.join((str(place.folder), place.path))
    place.start_worker("tensorflow", PYTHONPATH=path)
    place.start_worker("mnist", preload="import os", MNIST_DIR=str(small_mnist[0]))
    place.start_worker("elsewhere", preload="import os", PYTHONSAFEPATH="1", PYTHONPATH="")
    place.wait_for("tensorflow", "mnist", "elsewhere")
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(cluster.ClusterError, match=r"^No worker that may train"):
        train.main(["best", "--seeds", "1", "--cluster", address])
    place.start_worker("good")
    monkeypatch.setattr(cluster, "PATIENCE", 60)
    train.main(["best", "--seeds", "1", "--cluster", address])
    said = capsys.readouterr().out
    refused = set(re.findall(r"tcp://\S+:\d+ is left out: .+", said))
    for cause in ("TensorFlow 2.20.0 there, 2.", "is not MNIST's t10k-images", "No module named"):
        assert sum(cause in line for line in refused) == 1, said
    assert place.recorded() == ["seed_0"]


@pytest.mark.slow
def test_two_commands_do_not_train_a_seed_twice(place, train, monkeypatch, capsys):
    address = place.start_cluster()
    monkeypatch.setattr(cluster, "PATIENCE", 300)
    arguments = ("best", "--seeds", "5", "--cluster", address)
    other = place.start("other", "-c", COMMAND, str(place.folder), *arguments)

    def train_alone(_):
        with cluster.connect(address) as client:
            return [*cluster.share_out(client, train_slowly, "best", [7], DIGITS)]

    with ThreadPoolExecutor(2) as pool:
        own = pool.submit(train.main, arguments)
        wait_until(lambda: place.said("scheduler").count("Receive client connection") == 2)
        place.start_worker("one"), place.start_worker("two")
        own.result(300)
        assert other.wait(300) == 0
        assert sorted(seed for seed, _ in place.begun()) == [0, 1, 2, 3, 4]
        assert place.recorded() == [f"seed_{seed}" for seed in range(5)]
        assert "another command trains it" in capsys.readouterr().out + place.said("other")
        (one,), (two,) = pool.map(train_alone, range(2))
    assert one[0] == two[0] == 7 and one[1][1] == two[1][1] == b"network 7"
    assert sum(seed == 7 for seed, _ in place.begun()) == 1


@pytest.mark.slow
def test_ctrl_c_ends_the_command_and_its_workers_in_a_line(place):
    arguments = ("-c", COMMAND, str(place.folder), "best", "--jobs", "2")
    command = place.start("command", *arguments, CLUSTER_STEPS="9999")  # it would not end by itself
    wait_until(lambda: len(place.begun()) >= 2)
    workers = psutil.Process(command.pid).children(recursive=True)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    assert command.wait(60) == 1 and len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    said = place.said("command")
    assert said.endswith("Stopped. Give the command again to go on after what is recorded.\n")
    assert "Traceback" not in said and "distributed" not in said


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "tcp://127.0.0.1:9", "nonsense"])
def test_address_without_a_scheduler_is_told_in_time(address, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = address.format(port=silent.getsockname()[1])
        told = rf"^No Dask scheduler answers at {address} \("
        with pytest.raises(cluster.ClusterError, match=told), cluster.connect(address):
            pass
