"""Widgets as a browser sees them: seconds of a race and of every property, frames a second.

    python research/benchmarks/widgets.py                    # a quarter of an hour; needs chromium
    python research/benchmarks/widgets.py --only frames race bench

JupyterLab and a headless Chromium, which draws without a graphics card, share the machine with what
they show. Run it on an otherwise idle machine. Every line is a fresh kernel's, but for the second
race and the properties after the first.
"""

import argparse
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

    def answer(self):
        """What the second cell prints now."""
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(300)
        browser.wait_idle(self.page, timeout=30)
        return float(self.page.locator(".jp-OutputArea-output").last.inner_text().split()[-1])


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
    parts = dict(race=race, frames=frames, bench=bench)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    for name in parser.parse_args().only:
        with browser.page(1400, 950) as page:
            parts[name](page)


if __name__ == "__main__":
    main()
