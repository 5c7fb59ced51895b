"""`make lab` opens a notebook that runs to its verdict, and whose controls answer at once."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import pytest
from playwright.sync_api import expect

from miri_background.runs.names import VALIDATION
from miri_background.runs.notebook import render_notebook

pytestmark = pytest.mark.slow

SMALL = {"subarray": "SUB256", "groups": 10, "science_exposures": 2, "background_exposures": 4}
STARTED, EXECUTED, ANSWERED = 60, 300, 3  # s, at most, on a machine that is busy with other tests
QUESTIONS = ".jp-Dialog, .Toastify__toast"
ANSWER = ".jupyter-widgets img[alt^='Combined background']"


@pytest.fixture
def copy(repository, tmp_path_factory):
    """Return a copy of the validation's notebook in the checkout, small and never executed."""
    (repository / "build").mkdir(exist_ok=True)
    directory = tmp_path_factory.mktemp("run")
    path = repository / "build" / f"jupyterlab-{os.getpid()}" / f"{VALIDATION}.ipynb"
    path.parent.mkdir()
    render_notebook(VALIDATION, SMALL | {"working_directory": str(directory)}, path)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)
    yield path.relative_to(repository)
    shutil.rmtree(path.parent)


@pytest.fixture
def home(tmp_path):
    """Return the home of a user who has a kernel of the same name that does not work."""
    kernel = tmp_path / ".local" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(
        json.dumps({"argv": ["false"], "display_name": "another", "language": "python"})
    )
    return tmp_path


@pytest.fixture
def taken_port():
    """Return a port at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def in_checkout(repository):
    """Tell whether this test runs in the environment that `make` has completed."""
    command = ["make", "--question", "env"]
    current = subprocess.run(command, cwd=repository, capture_output=True, check=False)
    return current.returncode == 0 and Path(sys.prefix) == repository / ".venv"


@pytest.fixture
def opened(repository, suite_environment, program, home, copy, taken_port):
    """Return the address that `make lab` opens in the user's browser, and its server's log."""
    if not in_checkout(repository):
        pytest.skip("this is not the environment of `make env`, which `make lab` uses")
    address, log = home / "address", home / "log"
    program(home / "browser", f'echo "$1" > "{address}.part" && mv "{address}.part" "{address}"')
    kept = {
        name: value
        for name, value in suite_environment.items()
        if not name.startswith(("JUPYTER", "IPYTHON", "MAKE", "MFLAGS", "XDG_"))
    }
    arguments = [f"--ServerApp.port={taken_port}", *["--allow-root"] * (os.geteuid() == 0)]
    with log.open("w") as stream:
        server = subprocess.Popen(
            ["make", "lab", f"NOTEBOOK={copy}", f"ARGS={' '.join(arguments)}"],
            cwd=repository,
            env=kept | {"HOME": str(home), "BROWSER": f"{home / 'browser'} %s"},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield wait_for(address, server, log)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=STARTED)


def wait_for(address, server, log):
    """Return what is written to a file, once a server has come so far."""
    for _ in range(10 * STARTED):
        if address.exists():
            return address.read_text().strip()
        if server.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(log.read_text())


def answer(page):
    """Return what the picture below the controls says in words."""
    return page.locator(ANSWER).get_attribute("alt")


def changed(page, expected):
    """Return the seconds until the picture below the controls says what is expected."""
    started = time.monotonic()
    expect(page.locator(ANSWER)).to_have_attribute("alt", expected, timeout=1000 * ANSWERED)
    return time.monotonic() - started


@pytest.mark.long
def test_notebook_runs_to_its_verdict_and_answers(browser, screenshots, opened, copy):
    """All cells run without a question or a request to another host, and controls answer."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    outside = []

    def watch(route):
        """Let nothing out but to this machine."""
        address = urlparse(route.request.url)
        if address.hostname in ("localhost", "127.0.0.1") or address.scheme in ("file", "data"):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", watch)
    page = context.new_page()
    page.goto(opened)
    page.wait_for_url(f"**/lab/tree/{copy}*", timeout=1000 * STARTED)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=1000 * STARTED)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    verdict = page.get_by_text("PASSED: every metric is within its limit.")
    expect(verdict).to_be_visible(timeout=1000 * EXECUTED)
    page.locator(ANSWER).scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "jupyterlab.png")
    own = answer(page)
    assert "With sigma = 2, " in own
    page.get_by_role("slider").press("End")
    changed(page, re.compile("With sigma = 5, 0 of"))
    page.get_by_label("exposure").select_option("2")
    changed(page, re.compile("exposure 2"))
    page.screenshot(path=screenshots / "jupyterlab_another_choice.png")
    page.get_by_text("Look closer").click()
    canvas = page.locator(".jupyter-matplotlib-canvas-div canvas").first
    expect(canvas).to_be_visible(timeout=1000 * ANSWERED)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    # Over the first image; its value is said in brackets, beside the place.
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.3 * box["height"])
    words = page.locator(".jupyter-matplotlib-footer")
    of_sky = re.compile(r"\(x, y\) = .*\[1\d", re.DOTALL)
    expect(words).to_have_text(of_sky, timeout=1000 * ANSWERED)
    page.screenshot(path=screenshots / "jupyterlab_look_closer.png")
    assert page.locator(QUESTIONS).count() == 0
    assert outside == []
    context.close()
