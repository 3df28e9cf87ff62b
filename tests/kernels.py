"""A real kernel, and what it says to each cell."""

import os
import subprocess
import sys

import psutil
from jupyter_client.manager import KernelManager

from tools import execute, measure


class Kernel:
    """A kernel as Jupyter starts it, in a folder, with one cell after the other sent to it."""

    def __init__(self, folder, python=sys.executable, **environment):
        # One thread: several wait for each other where other tests use the same cores.
        variables = {"MNIST_SAMPLE": "1", "OMP_NUM_THREADS": "1", **environment}
        self._start(python, cwd=str(folder), env={**os.environ, **variables})
        self.process = psutil.Process(self.manager.provisioner.pid)

    @execute.start_again
    def _start(self, python, **options):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.kernel_spec.argv[0] = str(python)
        self.manager.start_kernel(stderr=subprocess.DEVNULL, **options)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def become_small(self):
        """Leave the kernel one core and 1.5 GB of memory, where the system can."""
        if hasattr(self.process, "rlimit"):
            measure.become_small(self.process)

    def send(self, *sources, stop_at=None):
        """Run cells at once; press the stop button when a text is shown.

        Returns:
            For each cell its status, and its outputs as `(type, content)`.
        """
        ids = [self.client.execute(s, store_history=False, allow_stdin=False) for s in sources]
        outputs = {message_id: [] for message_id in ids}
        done = 0
        while done < len(ids):
            message = self.client.get_iopub_msg(timeout=600)
            kind, content = message["header"]["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") not in outputs:
                continue
            done += kind == "status" and content["execution_state"] == "idle"
            outputs[message["parent_header"]["msg_id"]].append((kind, content))
            if stop_at and stop_at in str(content):
                self.manager.interrupt_kernel()
                stop_at = None
        statuses = {}
        while not outputs.keys() <= statuses.keys():
            message = self.client.get_shell_msg(timeout=60)
            statuses[message["parent_header"]["msg_id"]] = message["content"].get("status")
        return [(statuses[message_id], outputs[message_id]) for message_id in ids]

    def run(self, source):
        """Run a cell; return whether it worked, what it printed, and its errors' lines."""
        ((status, outputs),) = self.send(source)
        lines = [
            line
            for kind, content in outputs
            if kind == "error"
            for line in "\n".join(content["traceback"]).splitlines()
        ]
        return status == "ok", printed(outputs), lines + printed(outputs, "stderr").splitlines()


def printed(outputs, name="stdout"):
    """Return what a cell printed."""
    streams = (content for kind, content in outputs if kind == "stream")
    return "".join(content["text"] for content in streams if content["name"] == name)


def pictures(outputs):
    """Return the pictures that a cell showed, updates too."""
    return [c["data"]["image/png"] for _, c in outputs if "image/png" in c.get("data", {})]
