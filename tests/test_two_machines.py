"""One run on two machines: two processes agree with one, and end when either does."""

import multiprocessing
import threading
import time

import psutil
import pytest

from helpers import data
from tools import two_machines, worker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits():
    """One batch."""
    (images, labels), _ = data.load_mnist()
    return images[:128], labels[:128]


def test_two_agree_with_one_if_they_normalise_by_the_same_statistics(digits):
    two = two_machines.run(2, 2, *digits, repeats=0)
    apart = two_machines.compare_all(worker.take_part(0, 1, *digits, 0)["weights"], two["weights"])
    assert apart["two processes, global statistics, float64"]["largest"] < 1e-9
    assert apart["two processes, own statistics, float64"]["share"] > 0.02
    # The gradients go together; each of five layers sums three times on the way, and twice back.
    assert two["collectives"]["own"] == 1 and two["collectives"]["global"] == 26


def list_children():
    """Return the numbers of the processes at work, by name."""
    return {process.name: process.pid for process in multiprocessing.active_children()}


@pytest.mark.parametrize("worked", [0, 8], ids=["at the start", "in mid-run"])
def test_machine_that_is_killed_ends_the_run_with_a_line(digits, worked, capfd):
    killed = []

    def kill():
        give_up = time.monotonic() + 60
        while "machine 2" not in (children := list_children()) and time.monotonic() < give_up:
            time.sleep(0.01)
        process = psutil.Process(children["machine 2"])
        while process.cpu_times().user < worked and time.monotonic() < give_up:
            time.sleep(0.01)
        process.kill()
        killed.append(time.monotonic())

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(SystemExit, match="machine 2 ended with exit code") as end:
        two_machines.run(2, 2, *digits, repeats=10_000)
    assert time.monotonic() - killed[0] < 10 and "\n" not in str(end.value)
    assert list_children() == {} and capfd.readouterr().err == ""
