"""A real JupyterLab, started as a reader starts it, and a browser that works in it."""

import contextlib
import ipaddress
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import psutil

from tools import offline_pack

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120
OPEN_SECONDS = 120
RUN_SECONDS = 900  # a notebook; no more than a limit, since this machine may be busy
# What to add to the command: no browser of the reader's, any free port, and the means to run
# JupyterLab's own commands. `--allow-root`, since CI may be root. The token stays on.
OPTIONS = "--no-browser --port=0 --expose-app-in-browser --allow-root"
# Playwright's flags switch off what Chromium asks its maker for; no other name is even looked up.
CHROMIUM_FLAGS = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
PANEL = "window.jupyterapp?.shell.currentWidget"
# Note every picture and every state that a progress bar and the figure beside it go through.
WATCH_TRAINING = """panel => {
    window.seen = {};
    const look = () => panel.content.widgets.forEach((cell, number) => {
        const bar = cell.node.querySelector('.jp-OutputArea progress');
        if (!bar) return;
        const seen = window.seen[number] ??= {pictures: new Set(), texts: new Set()};
        seen.texts.add(bar.parentElement.textContent.trim());
        const figure = cell.node.querySelector('.jp-OutputArea img');
        if (figure) seen.pictures.add(figure.src);
    });
    new MutationObserver(look).observe(
        panel.node, {subtree: true, childList: true, attributes: true, attributeFilter: ['src']});
}"""


def find_chromium(playwright):
    """Return the path of a Chromium or Chrome on this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    own = Path(playwright.chromium.executable_path)
    return next(filter(None, map(shutil.which, names)), str(own) if own.is_file() else None)


@contextlib.contextmanager
def start_lab(folder, **variables):
    """Start JupyterLab on a copy of the project, with nothing of the user's own settings.

    Args:
        folder: an empty one.
        variables: of the environment.

    Yields:
        A `Lab`.
    """
    project, home = folder / "project", folder / "home"
    offline_pack.copy_project(project)
    home.mkdir()
    command = _lab_command(project)
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=project, env=environment(home) | variables, stdout=log, stderr=log
        )
    try:
        yield Lab(home, _wait_for_redirect(home, server, folder / "log.txt"))
    finally:
        _stop(server)


class Lab:
    """A running JupyterLab."""

    def __init__(self, home, redirect):
        self.home, self.redirect = home, redirect
        # What the reader's own browser is sent to.
        self.first_url = re.search(r'url=(http[^"]+)"', redirect.read_text(encoding="utf-8"))[1]

    def url(self, name):
        """Return the address of a notebook, in a workspace in which nothing else is open."""
        return self.first_url.replace("00_start_here", name) + "&reset"


class Page:
    """A page of the browser with a notebook in it.

    Args:
        context: a `BrowserContext` of Playwright.
        url: where to go.
    """

    def __init__(self, context, url):
        self.page, self.requests = context.new_page(), []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.goto(url)
        self.wait_for("panel?.context?.isReady", OPEN_SECONDS)
        self.ask("Promise.all([panel.revealed, panel.sessionContext.ready])")
        self.wait_for("panel.sessionContext.session?.kernel?.status === 'idle'", OPEN_SECONDS)
        # JupyterLab draws the cells below the window when it has nothing else to do.
        self.wait_for("panel.content.widgets.every(c => c.node.isConnected)", OPEN_SECONDS)

    def ask(self, expression):
        """Evaluate JavaScript, in which `panel` is the notebook's widget."""
        return self.page.evaluate(f"() => {{ const panel = {PANEL}; return {expression}; }}")

    def wait_for(self, expression, seconds=RUN_SECONDS):
        """Wait until JavaScript gives something true."""
        self.page.wait_for_function(
            f"() => {{ const panel = {PANEL}; return {expression}; }}",
            timeout=1000 * seconds,
            polling=100,
        )

    def read(self):
        """Return the notebook as JupyterLab holds it."""
        return nbformat.from_dict(self.ask("panel.content.model.sharedModel.toJSON()"))

    def start(self, command):
        """Start one of JupyterLab's commands."""
        self.page.evaluate(
            """command => {
                window.ended = null;
                window.jupyterapp.commands.execute(command).then(
                    result => { window.ended = {result}; },
                    error => { window.ended = {result: String(error)}; });
            }""",
            command,
        )

    def finish(self):
        """Wait for the command; return its result."""
        self.wait_for("window.ended")
        return self.page.evaluate("window.ended.result")

    def run(self, command):
        """Run one of JupyterLab's commands; return its result."""
        self.start(command)
        return self.finish()

    def press(self, button):
        """Press a button of the notebook's toolbar."""
        self.page.locator(f'.jp-NotebookPanel-toolbar [data-jp-item-name="{button}"]').click()

    def watch_training(self):
        """Begin to note what live figures and progress bars show."""
        self.page.evaluate(f"() => ({WATCH_TRAINING})({PANEL})")

    def seen_in_training(self):
        """Return `{cell number: {"pictures": how many, "texts": of the bar, in order}}`."""
        seen = self.ask(
            """Object.entries(window.seen).map(
                ([cell, {pictures, texts}]) => [+cell, pictures.size, [...texts]])"""
        )
        return {cell: {"pictures": n, "texts": texts} for cell, n, texts in seen}

    def progress(self, cell):
        """Return how far a cell's progress bar is, from 0 to 1."""
        return self.ask(f"(bar => bar.value / bar.max)({progress_bar(cell)})")

    def figures(self):
        """Return `[(width, height, width on the page) of each picture]` for each cell's outputs."""
        return self.ask(
            """Promise.all(panel.content.widgets.map(cell => Promise.all(
                [...cell.node.querySelectorAll('.jp-OutputArea img')].map(async image => {
                    await image.decode();  // rejects a picture that is broken
                    return [image.naturalWidth, image.naturalHeight, image.clientWidth];
                }))))"""
        )

    def show_all(self):
        """Make the window so tall that nothing of the notebook needs scrolling to."""
        for _ in range(20):
            below = self.ask(
                """(outer => {
                    outer.scrollTop = 0;
                    const last = panel.content.widgets.at(-1).node.getBoundingClientRect();
                    return Math.ceil(last.bottom - outer.getBoundingClientRect().bottom);
                })(panel.content.outerNode)"""
            )
            if below <= 0:
                return
            size = self.page.viewport_size
            self.page.set_viewport_size({**size, "height": size["height"] + below})
            self.page.wait_for_timeout(500)
        raise AssertionError("The notebook's height does not settle.")

    def screenshot(self, path):
        """Keep a picture of the whole notebook."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.show_all()
        self.page.screenshot(path=path)

    def close(self):
        """Shut the kernel down, for its memory, and close the page."""
        with contextlib.suppress(Exception):  # what a broken page says now hides why it broke
            self.ask("window.jupyterapp.serviceManager.sessions.shutdownAll()")
        self.page.close()


def progress_bar(cell):
    """Return JavaScript for a cell's progress bar."""
    return f"panel.content.widgets[{cell}].node.querySelector('.jp-OutputArea progress')"


def environment(home):
    """Return the environment for a server: the tests' data, an empty home, the network watched."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "MAKE", "MNIST_RUNS"))
    }
    return kept | {
        "MNIST_DIR": str(ROOT / Path(os.environ.get("MNIST_DIR", "data/mnist")).expanduser()),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": str(ROOT / "tests" / "watch_network"),
        "WATCH_NETWORK": str(home / "network.txt"),
    }


def outside(home, requests=()):
    """Return the hosts outside this machine that a page, the server or a kernel turned to."""
    watched = home / "network.txt"
    hosts = {urlsplit(url).hostname or "" for url in requests}
    hosts |= set(watched.read_text(encoding="utf-8").split()) if watched.exists() else set()
    return {host for host in hosts if not is_loopback(host)}


def is_loopback(host):
    """Tell whether a host is this machine; the empty one is what `data:` and `file:` have."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


def _lab_command(project):
    """Return the command of the README that starts JupyterLab: the one for Windows has no make."""
    if sys.platform == "win32":
        options = OPTIONS.split()
        return [sys.executable, "-m", "jupyterlab", *options, "notebooks/00_start_here.ipynb"]
    (project / ".venv").symlink_to(sys.prefix)
    # What is installed was installed already.
    return ["make", "--old-file=.venv/.ready", "lab", f"LAB_OPTIONS={OPTIONS}"]


def _wait_for_redirect(home, server, log):
    """Wait for the page that the server writes for the reader's browser; return its path."""
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        for path in (home / "runtime").glob("*file-to-run*.html"):
            if "</html>" in path.read_text(encoding="utf-8"):
                return path
        time.sleep(0.2)
    raise AssertionError("JupyterLab did not start:\n" + log.read_text(encoding="utf-8")[-2000:])


def _stop(server):
    """Stop a server and its kernels, which are in process groups of their own."""
    tree = []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        tree = [process, *process.children(recursive=True)]
    for stop in (psutil.Process.terminate, psutil.Process.kill):
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                stop(process)
        _, tree = psutil.wait_procs(tree, timeout=15)
    server.wait()
