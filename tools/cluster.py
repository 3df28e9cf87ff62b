"""Seeds trained by the workers of a Dask cluster: who may train, and what a lost one costs.

models/CLUSTER.md says how to get a cluster. Functions that begin with "In a worker" run there.
"""

import asyncio
import collections
import contextlib
import hashlib
import json
import logging
import os
import pkgutil
import sys
import threading
import time
import warnings
from concurrent.futures import CancelledError
from pathlib import Path

from helpers import data, preflight

ANSWER = 10  # seconds that a scheduler has to answer
PATIENCE = 30  # seconds without any worker, before the command ends
LOSSES = 3  # workers that a seed may cost: perhaps it is what kills them
# Dask has workers that it starts itself give memory back at once, which trains slowly: the next
# step asks for it again. glibc's own way is not to.
KEEP_MEMORY = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**31 - 1,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
}
TASK = "mnist-CNN"  # what the keys of this project's tasks begin with

training = threading.Lock()  # of a worker's process: Keras' random state is one for all threads
sets = {}  # a worker's MNIST, by its digest


class ClusterError(preflight.SetupError):
    """A cluster that cannot be used, or is no more; shown without a traceback."""


class Unwanted(Exception):
    """A run that nobody waits for any more."""


# What a worker is asked -----------------------------------------------------------------------


def describe(files, expected, dask_worker=None):
    """In a worker: say what decides whether it trains as the command itself would.

    Args:
        files: of the project, relative to its folder.
        expected: the digest of the command's MNIST.
        dask_worker: filled in by Dask.

    Returns:
        A dict of str: versions, a digest for each file, and that of the MNIST that is there: None
        where there is none, a sentence where it is another.
    """
    machine = preflight.describe_machine()
    found = {
        "Python": machine["python"].rpartition(".")[0],
        "TensorFlow": machine["tensorflow"],
        "Keras": machine["keras"],
    }
    for file in files:
        path = data.ROOT / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        found[file] = hashlib.sha256(text.encode()).hexdigest()
    if dask_worker is None:
        return {**found, "MNIST": expected}
    return {**found, "MNIST": _find_digits(expected), "cores": dask_worker.state.nthreads}


def _find_digits(expected):
    """In a worker: load what it has of MNIST; return its digest, None, or what is wrong."""
    if expected in sets:
        return expected
    if os.environ.get("MNIST_SAMPLE") != "1":
        contents, complaints = data.find_local()
        if len(contents) < len(data.FILES):
            return complaints[0] if complaints else None
    return keep(data.load_mnist())


def keep(digits):
    """In a worker: keep MNIST, what it found or what it was sent; return the digest."""
    digest = digest_of(digits)
    sets[digest] = digits
    return digest


def digest_of(digits):
    """Return the SHA-256 of what `load_mnist` returned."""
    digest = hashlib.sha256()
    for array in (array for part in digits for array in part):
        digest.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


def work(function, name, seed, digest, mark, cores):
    """In a worker: train a seed, when it has no other one to train.

    Args:
        function: as `module:name`; it is called with name, seed, MNIST, mark and cores.
        name, seed: of the run.
        digest: of the MNIST to train on.
        mark: of the versions and the code; other ones do not go on with what these have saved.
        cores: how many to use.

    Returns:
        What the function returns.
    """
    with training:
        check_wanted()
        return pkgutil.resolve_name(function)(name, seed, sets[digest], mark, cores)


def check_wanted():
    """In a worker: end the task that runs in this thread if nobody waits for it any more.

    Raises:
        Unwanted: the command has ended, or the scheduler is gone.
    """
    from dask.distributed import Status, get_worker

    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    if task is None or task.state == "cancelled" or worker.status is not Status.running:
        raise Unwanted


# What the command does ------------------------------------------------------------------------


@contextlib.contextmanager
def connect(address=None, jobs=1):
    """Connect to a Dask scheduler, or start one with workers on this machine.

    Args:
        address: of the scheduler, such as `tcp://HOST:8786`; without one it is started here.
        jobs: how many workers to start here; they share the cores and end with this process.

    Yields:
        A `dask.distributed.Client`.

    Raises:
        ClusterError: no scheduler answers at this address.
    """
    try:
        import dask
        from dask.distributed import Client, LocalCluster
    except ImportError:
        install = "python -m pip install -r tools/requirements.txt"
        raise SystemExit(f"This needs dask, which is not installed: {install}") from None
    _quiet()
    with contextlib.ExitStack() as stack:
        if address is None:
            stack.enter_context(dask.config.set(KEEP_MEMORY))
            stack.enter_context(pool := LocalCluster(**_describe_pool(jobs)))
        try:
            if address:
                asyncio.run(asyncio.wait_for(_call(address), ANSWER + 1))
            client = stack.enter_context(Client(address or pool, timeout=ANSWER))
        except (OSError, ValueError, TypeError, ImportError) as error:
            cause = f"{error}" or "what listens there says nothing"
            raise ClusterError(
                f"No Dask scheduler answers at {address} ({cause}).\n"
                "models/CLUSTER.md says how to start one; its first lines show its address."
            ) from None
        yield client


def _describe_pool(jobs):
    """Return the options of a cluster of this machine's own."""
    return {
        "n_workers": jobs,
        "threads_per_worker": max(1, preflight.count_cores() // jobs),
        "memory_limit": 0,  # or a worker near its share would pause, for ever
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
        # Ctrl-C means the command, which ends its workers itself.
        "preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
    }


async def _call(address):
    """Connect and hang up: `Client` would wait for ever at a port that takes calls in silence."""
    from distributed import Security
    from distributed.comm import connect

    comm = await connect(address, timeout=ANSWER, **Security().get_connection_args("client"))
    await comm.close()


def _quiet():
    """Keep to this project's own lines what Dask would tell at length."""
    from distributed.versions import VersionMismatchWarning

    warnings.simplefilter("ignore", VersionMismatchWarning)  # `admit` compares what matters
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def share_out(client, function, name, seeds, digits):
    """Have seeds trained, one at a time by each worker that may; what a lost one had, by another.

    Two commands that want the same seed of the same scheduler both get what is trained once.

    Args:
        client: from `connect`.
        function: what trains a seed, see `work`; of a module that workers can import.
        name: of the recipe.
        seeds: the next one is taken when a worker is free.
        digits: what `load_mnist` returned.

    Yields:
        `(seed, result)`, the first that is finished first.

    Raises:
        ClusterError: the scheduler is gone, there is no worker, or a seed cannot be trained.
    """
    team = Team(client, function, name, digits)
    try:
        yield from team.train(iter(seeds))
    except (OSError, CancelledError):
        raise ClusterError(
            f"The scheduler at {client.scheduler.address} is gone. What was recorded stays; "
            "start it again, then give this command again to go on."
        ) from None


class Team:
    """The workers of a cluster, and what each of them trains for this command."""

    def __init__(self, client, function, name, digits):
        self.client, self.name, self.digits = client, name, digits
        self.function = f"{function.__module__}:{function.__name__}"
        self.files = _list_code()
        self.expected = describe(self.files, digest_of(digits))
        text = json.dumps(self.expected, sort_keys=True)
        self.mark = hashlib.sha256(text.encode()).hexdigest()[:8]
        self.cores = {}  # of each worker that was looked at; None for one that is left out
        self.running = {}  # seed: (future, address of the worker)
        self.lost, self.losses = [], collections.Counter()  # seeds
        self.seen = time.monotonic()  # when there was a worker last

    def train(self, seeds):
        """Yield `(seed, result)` for each seed of an iterator."""
        more = True
        while more or self.lost or self.running:
            busy = self.client.processing()  # the keys of the tasks of each worker that is there
            self.admit(busy)
            self.find_lost(busy)
            for address in self.find_free(busy):
                seed = self.lost.pop() if self.lost else next(seeds, None)
                if seed is None:
                    more = False
                    break
                self.begin(seed, address, busy)
            yield from self.collect()

    def admit(self, busy):
        """Look at workers that have come: send MNIST to those without, leave out what differs."""
        self.cores = {address: self.cores[address] for address in busy if address in self.cores}
        new = [address for address in busy if address not in self.cores]
        question = describe, self.files, self.expected["MNIST"]
        found = self.ask(new, *question)
        without = [a for a, told in found.items() if isinstance(told, dict) and not told["MNIST"]]
        if without:
            self.ask(without, keep, self.digits)
            found = self.ask(new, *question)
        for address, there in found.items():
            if difference := find_difference(there, self.expected):
                print(f"{address} is left out: {difference}", flush=True)
            self.cores[address] = None if difference else there["cores"]
        if any(self.cores.values()):
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > PATIENCE:
            raise ClusterError(
                f"No worker that may train has been at {self.client.scheduler.address} for "
                f"{PATIENCE} s. models/CLUSTER.md says how to start some; what was recorded stays."
            )

    def ask(self, addresses, function, *arguments):
        """Call a function in workers; return what each returned or raised, those gone left out."""
        if not addresses:
            return {}
        answers = self.client.run(function, *arguments, workers=addresses, on_error="return")
        return {a: answer for a, answer in answers.items() if not isinstance(answer, OSError)}

    def find_lost(self, busy):
        """Put back the seeds of workers that are gone."""
        for seed, (future, address) in [*self.running.items()]:
            if address not in busy and not future.done():
                self.put_back(seed, "it is gone")

    def put_back(self, seed, cause):
        """Have a seed trained again by another worker, unless it has cost too many."""
        future, address = self.running.pop(seed)
        future.cancel()
        self.lost.append(seed)
        self.losses[seed] += 1
        print(f"{self.name}, seed {seed}: not finished on {address}: {cause}.", flush=True)
        if self.losses[seed] == LOSSES:
            raise ClusterError(
                f"{self.name}, seed {seed} has failed {LOSSES} times; see above. "
                "A worker that goes without a word may lack memory. What was recorded stays."
            )

    def find_free(self, busy):
        """Return the workers that may train, and have no seed of this command or another one."""
        taken = {address for _, address in self.running.values()}
        return [
            address
            for address, keys in busy.items()
            if self.cores.get(address)
            and address not in taken
            and not any(str(key).startswith(TASK) for key in keys)
        ]

    def begin(self, seed, address, busy):
        """Give a seed to a worker, or wait for the one that trains it for another command."""

        def call(*arguments):  # sent whole, since a scheduler need not have the project
            from tools import cluster

            return cluster.work(*arguments)

        task = f"{TASK} {self.name} seed {seed} {self.mark}"
        there = {key: a for a, keys in busy.items() for key in keys if str(key).startswith(task)}
        key, address = next(iter(there.items()), (f"{task} {self.losses[seed]}", address))
        future = self.client.submit(
            call, self.function, self.name, seed, self.expected["MNIST"], self.mark,
            self.cores.get(address), key=key, workers=[address],
        )  # fmt: skip
        self.running[seed] = future, address
        whose = " for another command" * bool(there)
        print(f"{self.name}, seed {seed}: begun on {address}{whose}.", flush=True)

    def collect(self):
        """Wait a moment for results; yield those that there are."""
        from dask.distributed import wait

        futures = [future for future, _ in self.running.values()]
        with contextlib.suppress(TimeoutError):
            wait(futures, timeout=1, return_when="FIRST_COMPLETED") if futures else time.sleep(1)
        for seed in [seed for seed, (future, _) in self.running.items() if future.done()]:
            future, address = self.running[seed]
            try:
                result = future.result(timeout=ANSWER)
            except TimeoutError:  # gone with the worker
                self.put_back(seed, "it is gone")
            except Exception as error:
                if future.status != "error":  # the future's own, not the task's
                    raise
                self.cores[address] = None
                cause, _, _ = f"{type(error).__name__}: {error}".partition("\n")
                self.put_back(seed, cause)
            else:
                del self.running[seed]
                yield seed, result


def find_difference(there, here):
    """Say in what a worker differs from this command; "" if it does not.

    Args:
        there: what `describe` returned there, or the exception.
        here: what it returned here.
    """
    if isinstance(there, Exception):
        return f"{there}. Start it in the project's folder, with the project's packages."
    for name, value in here.items():
        if there[name] == value:
            continue
        if name == "MNIST" and " " in f"{there[name]}":
            return there[name]
        if name == "MNIST" or "/" in name:
            return f"its {name} is another."
        return f"{name} {there[name]} there, {value} here."
    return ""


def _list_code():
    """Return the files of helpers/ and tools/ that are loaded: those that training uses."""
    return sorted(
        Path(module.__file__).resolve().relative_to(data.ROOT).as_posix()
        for name, module in [*sys.modules.items()]
        if name.partition(".")[0] in ("helpers", "tools")
    )
