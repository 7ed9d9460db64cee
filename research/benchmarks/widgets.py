"""Widgets as a browser sees them: first waits, seconds of a race or property, frames a second.

    python research/benchmarks/widgets.py                    # a quarter of an hour; needs chromium
    python research/benchmarks/widgets.py --only starts frames race bench

JupyterLab and a headless Chromium, which draws without a graphics card, share the machine with what
they show. Run it on an otherwise idle machine. Every line is a fresh kernel's, but for the second
race and the properties after the first.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import browser  # noqa: E402

PATIENCE = 300  # s
SETTLED = 20  # s after Play, when everything is compiled
COUNTED = 20  # s over which frames are counted


class Notebook:
    """A widget in a fresh kernel, open in a browser; with a second cell that can be asked."""

    def __init__(self, page, code, ask="None"):
        self.page = page
        self.folder = tempfile.TemporaryDirectory(prefix="widgets-")
        self._lab = browser.lab(
            browser.notebook(Path(self.folder.name), code, f"print('answer', {ask})")
        )

    def __enter__(self):
        url = self._lab.__enter__()
        browser.open_notebook(self.page, url("live.ipynb"))
        browser.run_all(self.page)
        browser.wait_idle(self.page)
        self.page.wait_for_timeout(3000)
        return self

    def __exit__(self, *error):
        self._lab.__exit__(*error)
        self.folder.cleanup()

    def button(self, name):
        return self.page.locator(".widget-button").filter(has_text=name).first

    def seconds(self, name):
        """From a press of a button until it can be pressed again."""
        start = time.monotonic()
        self.button(name).click()
        while self.button(name).is_enabled():  # not yet taken notice of
            self.page.wait_for_timeout(20)
        while not self.button(name).is_enabled():
            if time.monotonic() - start > PATIENCE:
                raise SystemExit(
                    f"{name} is not done after {PATIENCE} s: {browser.errors(self.page)}"
                )
            self.page.wait_for_timeout(100)
        return time.monotonic() - start

    def answer(self, which=-1):
        """A number that the second cell prints now, the last one."""
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(300)
        browser.wait_idle(self.page, timeout=30)
        return float(self.page.locator(".jp-OutputArea-output").last.inner_text().split()[which])


# What a learner waits for in a fresh kernel: code, and what says that it is there.
STARTS = {
    "00, atoms move": (
        """potential = tlmlp.Potential.load("si-sw-course")
atoms = bulk("Si", cubic=True) * (2, 2, 2)
atoms.calc = potential.calculator()
thermalize_momenta(atoms, temperature_K=300)
viewer = tlmlp.show.watch(Langevin(atoms, 2 * fs, temperature_K=300, friction=0.01 / fs))
display(viewer)""",
        "viewer.views[0].answered",
    ),
    "02, first point of a race": (
        "explorer = tlmlp.show.TransferExplorer()\ndisplay(explorer.start())",
        "explorer.runs and explorer.runs[-1]['rows']",
    ),
    "02, first point after training": (
        "explorer = tlmlp.show.TransferExplorer()\ndisplay(explorer.start())",
        "any(len(row['curve']) > 1 for run in explorer.runs for row in run['rows'])",
    ),
    "03, first chunk of nvt": (
        """atoms = bulk("Si", cubic=True) * (2, 2, 2)
run = iter(tlmlp.simulate.nvt("si-sw-course", atoms, 300, every=10))
next(run), next(run)""",
        "True",
    ),
}
CLOCK = """import threading, time
begun, used, took = time.monotonic(), time.process_time(), float("nan")
import tlmlp
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.units import fs
{code}
def look():
    global took, used
    while not ({there}):
        time.sleep(0.02)
    used, took = time.process_time() - used, time.monotonic() - begun
threading.Thread(target=look, daemon=True).start()"""


def starts(page):
    """From the first cell of a fresh kernel, with nothing compiled before and with all of it."""
    for name, (code, there) in STARTS.items():
        with tempfile.TemporaryDirectory() as place:
            os.environ["TLMLP_COMPILATION_CACHE"] = place
            rows = []
            for _ in ("cold", "warm"):
                with Notebook(page, CLOCK.format(code=code, there=there), "used, took") as book:
                    while math.isnan(seconds := book.answer()):
                        page.wait_for_timeout(500)
                    rows.append((seconds, book.answer(-2)))
        del os.environ["TLMLP_COMPILATION_CACHE"]
        (cold, cold_cpu), (warm, warm_cpu) = rows
        print(
            f"{name}: {cold:.1f} s, then {warm:.1f} s ({warm / cold:.2f}); of the kernel's", end=" "
        )
        print(
            f"CPU {cold_cpu:.1f} s, then {warm_cpu:.1f} s ({warm_cpu / cold_cpu:.2f})", flush=True
        )


def race(page):
    with Notebook(page, "import tlmlp\ntlmlp.show.TransferExplorer()") as book:
        for which in ("first", "second"):
            print(
                f"explorer, a race of 400 steps, {which}: {book.seconds('Train'):.0f} s", flush=True
            )


def frames(page):
    ask = "sum(view.answered for view in w.views) / len(w.views)"
    for name, code in (
        ("LiveMD, 64 atoms, nglview", "w = tlmlp.show.LiveMD('si-sw-course')"),
        ("LiveMD, 64 atoms, canvas", "w = tlmlp.show.LiveMD('si-sw-course', viewer='canvas')"),
        ("Duel, nglview, each side", "w = tlmlp.show.Duel()"),
    ):
        with Notebook(page, f"import tlmlp\n{code}\nw", ask) as book:
            book.button("Play").click()
            page.wait_for_timeout(1000 * SETTLED)
            start, first = time.monotonic(), book.answer()
            page.wait_for_timeout(1000 * COUNTED)
            seconds, last = time.monotonic() - start, book.answer()
            print(f"{name}: {(last - first) / seconds:.1f} frames a second", flush=True)


def bench(page):
    sys.path.insert(0, str(ROOT))
    from tlmlp.course.sources import COURSE
    from tlmlp.show.widgets.bench import KINDS

    kinds = ["liquid", *(k for k in KINDS if k != "liquid")]  # the longest in a fresh kernel
    for source in COURSE:
        with Notebook(
            page, f"import tlmlp\ntlmlp.show.PropertyBench({source!r}, kind='liquid')"
        ) as book:
            for kind in kinds:
                page.locator("select").filter(has_text="phonon bands").first.select_option(kind)
                page.wait_for_timeout(500)
                print(f"bench, {source}, {kind}: {book.seconds('Compute'):.0f} s", flush=True)


def main():
    parts = dict(starts=starts, race=race, frames=frames, bench=bench)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    for name in parser.parse_args().only:
        with browser.page(1400, 950) as page:
            parts[name](page)


if __name__ == "__main__":
    main()
