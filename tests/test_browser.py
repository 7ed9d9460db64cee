"""What a learner sees in JupyterLab, in a real browser: notebook 00 and each of the widgets."""

import io
import time

import browser
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        browser.CHROMIUM is None,
        reason="no chromium, chromium-browser or google-chrome on the PATH",
    ),
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
        while (
            moved[-2:] != [True, True] and time.monotonic() < end
        ):  # twice: a structure that appears changes once
            page.wait_for_timeout(1200)
            browser.wait_idle(page, timeout=5)
            after = picture(canvas)
            moved.append(bool(differing(before, after) > 1e-3))
            before = after
        assert moved[-2:] == [True, True], f"the viewer stands still: {moved}"
        assert differing(before, np.broadcast_to(before[0, 0], before.shape)) > 0.01, (
            "the viewer shows no atoms"
        )
        assert browser.errors(page) == []


def until(page, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        page.wait_for_timeout(400)


def settled(page, locator):
    """The picture once it no longer changes.

    Frames on their way and nglview's smoothing of edges may take a while.
    """
    last = [picture(locator)]

    def still():
        page.wait_for_timeout(1500)
        last.append(picture(locator))
        return differing(*last[-2:]) < 1e-3

    until(page, still)
    return last[-1]


@pytest.mark.parametrize("kind", ["nglview", "canvas"])
def test_molecular_dynamics_in_the_hands_of_a_learner(tmp_path, kind):
    """Play, another cell meanwhile, another temperature, Pause, Stop."""
    cells = (
        f"import tlmlp\nlive = tlmlp.show.LiveMD('Stillinger-Weber', viewer={kind!r})\nlive",
        "print(6 * 7)",
    )
    with browser.lab(browser.notebook(tmp_path, *cells)) as url, browser.page() as page:
        browser.open_notebook(page, url("live.ipynb"))
        browser.run_all(page)
        browser.wait_idle(page)
        atoms = (
            browser.viewer(page) if kind == "nglview" else page.locator("canvas.tlmlp-canvas").first
        )
        plots = page.locator(".widget-image").first
        atoms.wait_for(timeout=30_000)
        button = lambda name: page.locator(".widget-button").filter(has_text=name).first
        status = lambda words: page.get_by_text(words).first.is_visible()

        shows = lambda image: differing(image, np.broadcast_to(image[0, 0], image.shape)) > 0.01
        until(page, lambda: shows(picture(atoms)))
        page.wait_for_timeout(2000)
        at_rest, empty = picture(atoms), picture(plots)
        button("Play").click()
        until(
            page,
            lambda: (
                differing(at_rest, picture(atoms)) > 1e-3
                and differing(empty, picture(plots)) > 1e-3
            ),
            120,
        )
        page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        page.keyboard.press("Control+Enter")
        browser.wait_idle(page, timeout=10)
        assert "42" in page.locator(".jp-OutputArea-output").last.inner_text()
        before = picture(atoms)
        until(page, lambda: differing(before, picture(atoms)) > 1e-3)

        page.locator(".widget-hslider").filter(has_text="thermostat").locator(".noUi-handle").press(
            "End"
        )
        until(page, lambda: status("4000 K"))
        # Block by block, since nglview smooths edges less after a while. Hot atoms look different,
        # those at the start do not.
        blocks = lambda image: (
            image[: len(image) // 8 * 8, : image.shape[1] // 8 * 8]
            .reshape(len(image) // 8, 8, -1, 8, 3)
            .mean((1, 3))
        )
        unlike = lambda image: differing(blocks(at_rest), blocks(image))
        until(page, lambda: unlike(picture(atoms)) > 0.05, 120)
        button("Pause").click()
        until(page, lambda: status("Paused."))
        assert unlike(settled(page, atoms)) > 0.03
        button("Stop").click()
        until(page, lambda: status("back at the start"))
        until(page, lambda: unlike(picture(atoms)) < 0.01)
        assert browser.errors(page) == []


def test_the_explorer_in_the_hands_of_a_learner(tmp_path):
    """Sliders and blocks, Train, curves that grow while another cell runs, Stop, a control."""
    cells = (
        "import tlmlp\nexplorer = tlmlp.show.TransferExplorer(precomputed=[])\nexplorer",
        "print(6 * 7)",
    )
    with browser.lab(browser.notebook(tmp_path, *cells)) as url, browser.page(1400, 950) as page:
        browser.open_notebook(page, url("live.ipynb"))
        browser.run_all(page)
        browser.wait_idle(page)
        button = lambda name: page.locator(".widget-button").filter(has_text=name).first
        block = lambda name: page.locator("button.tlmlp-block", has_text=name)
        seen = lambda words: page.get_by_text(words).first.is_visible()
        curves = page.locator(".widget-image").first
        curves.wait_for(timeout=30_000)

        slider = page.locator(".noUi-handle").first
        slider.press("ArrowRight")
        slider.press("ArrowRight")
        until(
            page,
            lambda: (
                "frozen" in block("interaction 1").inner_text() and seen("11 350 of 64 742 frozen")
            ),
        )
        assert "frozen" not in block("interaction 2").inner_text()
        block("embedding").click()
        until(
            page,
            lambda: (
                seen("9 040 of 64 742 frozen")
                and slider.get_attribute("aria-valuenow") in ("0", "0.0")
            ),
        )

        empty = picture(curves)
        button("Train").click()
        until(page, lambda: seen("training, step"), 180)  # two programs are compiled
        until(page, lambda: differing(empty, picture(curves)) > 1e-3)
        begun = picture(curves)
        page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        page.keyboard.press("Control+Enter")
        browser.wait_idle(page, timeout=10)
        assert "42" in page.locator(".jp-OutputArea-output").last.inner_text()
        until(page, lambda: differing(begun, picture(curves)) > 1e-3)
        assert (
            "moved 0" in block("interaction 1").inner_text()
            and "%" in block("output 2").inner_text()
        )

        button("Stop").click()
        until(page, lambda: seen("Stopped. After"), 5)
        held = settled(page, curves)
        assert button("Train").is_enabled()
        page.get_by_role("button", name="50", exact=True).click()
        until(page, lambda: differing(held, picture(curves)) > 1e-3)  # marked stale
        button("Reset").click()
        until(
            page,
            lambda: seen("All runs are forgotten") and differing(empty, picture(curves)) < 1e-3,
        )
        assert browser.errors(page) == []


def test_a_duel_in_the_hands_of_a_learner(tmp_path):
    """Play, both sides move while another cell runs, Stop takes both back."""
    sides = "'Stillinger-Weber', 'ge-sw-course-transfer-10'"
    code = f"import tlmlp\nduel = tlmlp.show.Duel({sides}, rate=800)\nduel"
    with (
        browser.lab(browser.notebook(tmp_path, code, "print(6 * 7)")) as url,
        browser.page() as page,
    ):
        browser.open_notebook(page, url("live.ipynb"))
        browser.run_all(page)
        browser.wait_idle(page)
        sides = page.locator(browser.VIEWER)
        until(page, lambda: sides.count() == 2)
        left, right, plots = sides.nth(0), sides.nth(1), page.locator(".widget-image").first
        button = lambda name: page.locator(".widget-button").filter(has_text=name).first
        seen = lambda words: page.get_by_text(words).first.is_visible()

        shows = lambda image: differing(image, np.broadcast_to(image[0, 0], image.shape)) > 0.01
        until(page, lambda: shows(picture(left)) and shows(picture(right)))
        at_rest, empty = [settled(page, side) for side in (left, right)], picture(plots)
        button("Play").click()
        moved = lambda: all(differing(a, picture(b)) > 1e-3 for a, b in zip(at_rest, (left, right)))
        until(page, lambda: moved() and differing(empty, picture(plots)) > 1e-3, 180)
        page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        page.keyboard.press("Control+Enter")
        browser.wait_idle(page, timeout=10)
        assert "42" in page.locator(".jp-OutputArea-output").last.inner_text()
        before = [picture(left), picture(right)]
        until(
            page,
            lambda: all(differing(a, picture(b)) > 1e-3 for a, b in zip(before, (left, right))),
        )

        button("Pause").click()
        until(page, lambda: seen("Paused."))
        held = settled(page, left)
        assert differing(held, picture(left)) < 1e-3
        button("Stop").click()
        until(page, lambda: seen("back at the start") and page.get_by_text("0.00 ps").count() == 2)
        blocks = lambda image: (
            image[: len(image) // 8 * 8, : image.shape[1] // 8 * 8]
            .reshape(len(image) // 8, 8, -1, 8, 3)
            .mean((1, 3))
        )
        until(
            page,
            lambda: all(
                differing(blocks(a), blocks(picture(b))) < 0.01
                for a, b in zip(at_rest, (left, right))
            ),
        )
        assert browser.errors(page) == []


def test_the_bench_in_the_hands_of_a_learner(tmp_path):
    """Another property, Compute, a picture that grows while another cell runs, a control."""
    with (
        browser.lab(
            browser.notebook(tmp_path, "import tlmlp\ntlmlp.show.PropertyBench()", "print(6 * 7)")
        ) as url,
        browser.page() as page,
    ):
        browser.open_notebook(page, url("live.ipynb"))
        browser.run_all(page)
        browser.wait_idle(page)
        button = lambda name: page.locator(".widget-button").filter(has_text=name).first
        seen = lambda words: page.get_by_text(words).first.is_visible()
        plot = page.locator(".widget-image").first
        plot.wait_for(timeout=30_000)
        empty = picture(plot)
        page.locator("select").filter(has_text="phonon bands").first.select_option(
            "equation of state"
        )
        button("Compute").click()
        until(page, lambda: differing(empty, picture(plot)) > 1e-2, 120)
        reference = picture(plot)
        page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        page.keyboard.press("Control+Enter")
        browser.wait_idle(page, timeout=10)
        until(page, lambda: differing(reference, picture(plot)) > 1e-2, 120)  # scratch has come
        until(page, lambda: seen("10 structures, nothing frozen."), 180)
        assert button("Compute").is_enabled() and not button("Stop").is_enabled()
        page.locator(".noUi-handle").first.press("ArrowRight")
        until(
            page, lambda: seen("embedding (trains here") and seen("other settings: press Compute")
        )
        assert browser.errors(page) == []
