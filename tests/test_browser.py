"""What a learner sees in the first minutes: the opening notebook in JupyterLab, in a real browser."""

import io
import time

import browser
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(browser.CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]


def picture(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


def differing(a, b):
    """Fraction of pixels that differ visibly."""
    return (abs(a - b).max(axis=-1) > 30).mean() if a.shape == b.shape else 0.0


def test_atoms_move_while_the_kernel_is_free():
    with browser.lab(ROOT / "notebooks") as url, browser.page() as page:
        browser.open_notebook(page, url("00_start_here.ipynb"))
        browser.run_all(page)
        browser.wait_idle(page)
        assert browser.errors(page) == []

        canvas = browser.viewer(page)
        canvas.wait_for(timeout=30_000)
        moved, end = [], time.monotonic() + 90  # the simulation compiles first
        before = picture(canvas)
        while moved[-2:] != [True, True] and time.monotonic() < end:  # twice: a structure that appears changes once
            page.wait_for_timeout(1200)
            browser.wait_idle(page, timeout=5)
            after = picture(canvas)
            moved.append(bool(differing(before, after) > 1e-3))
            before = after
        assert moved[-2:] == [True, True], f"the viewer stands still: {moved}"
        assert differing(before, np.broadcast_to(before[0, 0], before.shape)) > 0.01, "the viewer shows no atoms"
        assert browser.errors(page) == []
