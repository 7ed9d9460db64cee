"""Open the notebooks the way a learner does: JupyterLab in a browser.

    python tests/browser.py notebooks/00_start_here.ipynb --out shots

runs every cell, then scrolls through the notebook and writes one picture per screenful. `--wait 30`
keeps widgets working for half a minute before the pictures are taken.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = """--no-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader
    --ignore-gpu-blocklist --disable-background-networking --disable-component-update --disable-sync
    --no-first-run""".split()

PROMPTS = ".jp-Notebook .jp-CodeCell .jp-InputPrompt"
ERRORS = (
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], '
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], '
    ".jupyter-widgets-error-widget"  # "Click to show javascript error"
)
VIEWER = ".jp-OutputArea .ui-resizable canvas"  # nglview gives its box no class of its own

# Every cell is drawn, also those out of sight, and nothing pops up.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


def notebook(folder, *cells):
    """A folder [Path] with one notebook of these cells in it, live.ipynb; returns it."""
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    nbformat.write(book, folder / "live.ipynb")
    return folder


@contextmanager
def lab(notebooks_dir):
    """JupyterLab on a copy of a folder, with none of the user's settings. Yields `url(name)`."""
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as temporary:
        home = Path(temporary)
        root = shutil.copytree(
            notebooks_dir, home / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
        )
        for name, setting in SETTINGS.items():
            path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(setting))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        token = secrets.token_hex(16)
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTEST"))
        } | {
            "JUPYTER_TOKEN": token,
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            "IPYTHONDIR": str(home / "ipython"),
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.root_dir={root}", f"--ServerApp.port={port}"]
        command += ["--ServerApp.port_retries=0", "--LabApp.news_url="]
        command += ["--LabApp.expose_app_in_browser=True"]  # for `theme`
        with open(home / "log", "w+") as log:
            server = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            try:
                address = f"http://127.0.0.1:{port}"
                _wait_for(f"{address}/api?token={token}", server, log)
                yield lambda name: f"{address}/lab/tree/{name}?token={token}"
            finally:
                server.terminate()  # asks the kernels to end too
                try:
                    server.wait(20)
                except subprocess.TimeoutExpired:
                    server.kill()


def _wait_for(address, server, log, timeout=90):
    end = time.monotonic() + timeout
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(f"JupyterLab did not answer within {timeout} s:\n{log.read()[-2000:]}")


@contextmanager
def page(width=1280, height=1000):
    """A page of a browser that draws WebGL without a graphics card."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


def open_notebook(page, url):
    """Open one notebook and wait until its kernel answers.

    If cells run earlier, JupyterLab asks which kernel to take.
    """
    page.goto(url, timeout=120_000)
    page.wait_for_selector(PROMPTS, timeout=120_000, state="attached")
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=120_000)


def prompts(page):
    """The brackets left of the code cells: "[ ]:" not run, "[*]:" waits or runs, "[3]:" done."""
    return page.locator(PROMPTS).all_inner_texts()


def run_all(page):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(PROMPTS).get_by_text(re.compile("[*1]")).first.wait_for(state="attached")


def wait_idle(page, timeout=600):
    """Wait until no cell waits or runs; widgets may go on working in threads."""
    end = time.monotonic() + timeout
    while True:
        status = page.locator(".jp-Notebook-ExecutionIndicator").first.get_attribute("data-status")
        texts = prompts(page)
        if status == "idle" and not any("*" in text for text in texts):
            return
        if time.monotonic() > end:
            raise TimeoutError(
                f"cells still run after {timeout:.0f} s: {' '.join(texts)}, kernel {status}"
            )
        page.wait_for_timeout(300)


def errors(page):
    """The text of every error and every line on stderr below a cell."""
    return page.locator(ERRORS).all_inner_texts()


def theme(page, name):
    """Change to the theme "Light" or "Dark" of JupyterLab."""
    execute = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
    page.evaluate(execute, f"JupyterLab {name}")
    page.locator(f"body[data-jp-theme-name='JupyterLab {name}']").wait_for(state="attached")


def viewer(page):
    """The canvas of the first molecular viewer."""
    return page.locator(VIEWER).first


def screenshot(page, path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)


def scroll_through(page, out, name="page"):
    """One picture per screenful of the notebook. Returns their paths."""
    scroller = page.locator(".jp-WindowedPanel-outer").first
    top, paths = 0, []
    while True:
        scroller.evaluate("(e, top) => e.scrollTo(0, top)", top)
        page.wait_for_timeout(700)
        paths.append(Path(out) / f"{name}_{len(paths):02d}.png")
        screenshot(page, paths[-1])
        seen, whole = scroller.evaluate("e => [e.scrollTop + e.clientHeight, e.scrollHeight]")
        if seen >= whole - 2:
            return paths
        top = seen - 40


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--wait", type=float, default=2, help="seconds between the last cell and the first picture"
    )
    parser.add_argument("--timeout", type=float, default=1800, help="seconds the cells may take")
    parser.add_argument("--size", default="1280x1400")
    parser.add_argument("--theme", choices=("Light", "Dark"), default="Light")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with lab(arguments.notebook.resolve().parent) as url, page(width, height) as tab:
        open_notebook(tab, url(arguments.notebook.name))
        theme(tab, arguments.theme)
        start = time.monotonic()
        run_all(tab)
        try:
            wait_idle(tab, arguments.timeout)
            print(f"all cells ran in {time.monotonic() - start:.0f} s")
        finally:
            tab.wait_for_timeout(1000 * arguments.wait)
            for path in scroll_through(tab, arguments.out, arguments.notebook.stem):
                print(path)
        found = errors(tab)
    for text in found:
        print("error output:", text[:2000])
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
