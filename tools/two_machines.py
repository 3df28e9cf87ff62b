"""Whether a second machine would pay for one run: `python -m tools.two_machines`.

Two processes on this computer, half of its cores each, share every batch and train one network over
the loopback interface. models/two_machines.json records how far their weights are from those of one
process, the times, and the speed of a network from which on two machines are faster than one. It
takes two minutes; let the machine do nothing else.
"""

import contextlib
import json
import math
import multiprocessing
import os
import socket
import threading
import time
from datetime import date
from multiprocessing import connection

import numpy as np
import psutil

from helpers import data, preflight
from helpers.files import write_text

RECORD = preflight.ROOT / "models" / "two_machines.json"
STEPS = 10
REPEATS = 60
LIMIT = 600  # seconds, for all that is asked of the processes at once
# Assumed: MB/s, and the milliseconds that a message is on its way.
NETWORKS = {
    "10 Gbit/s, one rack": (1250, 0.05),
    "1 Gbit/s, one building": (125, 0.2),
    "100 Mbit/s, Wi-Fi": (12.5, 3.0),
}
MESSAGES = 2  # one after the other, when two machines add up: halves of the sum, then the sums
LARGER = {  # by how much bytes and arithmetic grow
    "this network": (1, 1),
    "100 times the weights and the arithmetic": (100, 100),
    "100 times the arithmetic on the same weights": (1, 100),
}


def main():
    """Train, measure, record, and print the record."""
    (images, labels), _ = data.load_mnist()
    if not data.is_mnist(labels):
        raise SystemExit("The record is made from MNIST. Set MNIST_DIR to its folder.")
    some = images[: STEPS * 128], labels[: STEPS * 128]
    one = run(1, 2, *some, REPEATS)
    two = run(2, 2, *some, REPEATS)
    whole = run(1, 1, images[:128], labels[:128], REPEATS)
    text = json.dumps(rounded(describe(one, two, whole)), indent=1)
    write_text(RECORD, text + "\n")
    preflight.load_tensorflow()  # no sooner: it would take cores and memory from the processes
    from tools import records

    records.record_digests(RECORD)
    print(text)


def describe(one, two, whole):
    """Return the record of three runs.

    Args:
        one, two: what `run` returned for one process and for two, with half of the cores each.
        whole: what it returned for one process with all cores.
    """
    size = 4 * sum(array.size for array in one["weights"]["own"][0])
    step, half = (whole["times"][name]["ms"] for name in ("own", "half"))
    exchange = two["times"]["gradients"]["ms"]
    return {
        "command": "python -m tools.two_machines",
        "date": date.today().isoformat(),
        "machine": preflight.describe_machine(),
        "steps": STEPS,
        "repeats": REPEATS,
        "apart": compare_all(one["weights"], two["weights"]),
        "collectives": two["collectives"],
        "bytes": size,
        "one_process_all_cores": whole["times"],
        "one_process_half_the_cores": one["times"],
        "two_processes_half_the_cores_each": two["times"],
        "assumed": {"networks": NETWORKS, "messages": MESSAGES},
        "pays": {
            name: judge(size * more, step * longer, half * longer, exchange * more)
            for name, (more, longer) in LARGER.items()
        },
    }


def compare_all(one, two):
    """Compare two processes' trainings with one's, and what rounding does to those of one."""
    pairs = {
        "two processes, global statistics, float64": (
            one["global, float64"],
            two["global, float64"],
        ),
        "two processes, own statistics, float64": (one["own, float64"], two["own, float64"]),
        "two processes, global statistics": (one["own"], two["global"]),
        "two processes, own statistics": (one["own"], two["own"]),
        "one process, another kernel": (one["own"], one["global"]),
    }
    return {name: compare(*pair) for name, pair in pairs.items()}


def compare(ours, theirs):
    """Say how far apart two trainings ended that began alike.

    Args:
        ours, theirs: the weights before and after, two lists of arrays.

    Returns:
        A dict: `largest`, the largest difference; `share`, the distance between the two ends over
        that which ours went.
    """
    (start, end), (_, other) = (
        [np.concatenate([array.ravel() for array in arrays]) for arrays in run]
        for run in (ours, theirs)
    )
    apart, gone = end - other, end - start
    share = np.linalg.norm(apart) / np.linalg.norm(gone)
    return {"largest": float(abs(apart).max()), "share": float(share)}


def judge(size, step, half, exchange):
    """Work out what a second machine brings: half the images, and gradients to exchange.

    Args:
        size: of the gradients, in bytes; of n machines each sends 2 (n - 1) / n of that.
        step, half: milliseconds of a step with all images of a batch, and with half of them.
        exchange: milliseconds that the exchange takes without a network in between.

    Returns:
        A dict: `saved_ms`, what is left for the network; `break_even`, from how many MB/s on two
        are faster than one if messages are there at once, and `break_even_at_best`, if the exchange
        itself took no time; `times_as_fast`, on each of `NETWORKS`.
    """
    saved = step - half - exchange
    two = {
        name: half + exchange + size / 1e3 / speed + MESSAGES * latency
        for name, (speed, latency) in NETWORKS.items()
    }
    return {
        "saved_ms": saved,
        "break_even": size / 1e3 / saved if saved > 0 else None,
        "break_even_at_best": size / 1e3 / (step - half),
        "times_as_fast": {name: step / ms for name, ms in two.items()},
    }


def rounded(value):
    """Return a record with four significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.4g}")  # JSON has no NaN
    return value


def run(machines, share, images, labels, repeats):
    """Let processes take part in one run, and end all of them, whatever happens.

    Args:
        machines: how many processes.
        share: the part of this computer's cores that each gets: 1 of so many.
        images, labels, repeats: see `worker.take_part`.

    Returns:
        What `worker.take_part` returned to the first of them.

    Raises:
        SystemExit: one of them ended, failed, or all of them took too long; a line says which.
    """
    context = multiprocessing.get_context("spawn")
    addresses = find_addresses(machines)
    channels, processes = [], []
    try:
        for index in range(machines):
            channel, end = context.Pipe(duplex=False)
            arguments = (index, addresses, share, end, images, labels, repeats)
            process = context.Process(target=work, name=f"machine {index + 1}", args=arguments)
            process.start()
            end.close()  # so that a process that is gone is noticed
            channels.append(channel)
            processes.append(process)
        return collect(channels, processes)
    finally:
        for process in processes:
            process.kill()
            process.join()


def collect(channels, processes):
    """Wait for an answer from each of the processes; return the first one's."""
    give_up = time.monotonic() + LIMIT
    answers = {}
    while len(answers) < len(channels):
        waiting = [channel for channel in channels if channel not in answers]
        ready = connection.wait(waiting, max(0, give_up - time.monotonic()))
        if not ready:
            raise SystemExit(f"Nothing was recorded: the run was not done after {LIMIT} seconds.")
        for channel in ready:
            try:
                answers[channel], problem = channel.recv()
            except EOFError:
                problem = "one of the processes ended"
            if problem:
                raise SystemExit(f"Nothing was recorded: {name_cause(processes, problem)}.")
    return answers[channels[0]]


def name_cause(processes, problem):
    """Say which process is gone, if one is: the others may only complain of that."""
    for process in processes:
        process.join(1)
    gone = [process for process in processes if process.exitcode]
    return f"{gone[0].name} ended with exit code {gone[0].exitcode}" if gone else problem


def find_addresses(machines):
    """Return so many free addresses on this computer."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(machines)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def work(index, addresses, share, channel, *task):
    """Be one machine: take part in the run, and send `(answer, None)` or `(None, problem)`."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    here = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    # Without the second, a proxy that is set for other work would be asked for 127.0.0.1.
    os.environ.update(TF_CONFIG=json.dumps(here), no_grpc_proxy="127.0.0.1")
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        cores = process.cpu_affinity()
        process.cpu_affinity(cores[index % len(cores) :: share])
    preflight.choose_settings()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow writes there, of its peers too
    try:
        from tools import worker

        channel.send((worker.take_part(index, len(addresses), *task), None))
    except Exception as error:
        problem = f"machine {index + 1} failed, {type(error).__name__}: {error}"
        channel.send((None, problem.splitlines()[0]))


def end_with_parent():
    """End this process, whatever it waits for, when the one that started it has ended."""
    multiprocessing.parent_process().join()
    os._exit(1)


if __name__ == "__main__":
    main()
