"""What a learner sees in JupyterLab, in a real browser: notebook 00 and each of the widgets.

Each widget is also driven through odd orders: settings changed at the wrong moment, a cell run
twice or too early, its output cleared. axe-core looks at them in both themes.
"""

import io
import re
import time
from contextlib import contextmanager

import browser
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
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
        canvas.wait_for(timeout=120_000)
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


@contextmanager
def opened(folder, *cells, size=(1280, 1000), theme="Light"):
    """A page with a notebook of these cells, which have run, in a theme of JupyterLab."""
    with browser.lab(browser.notebook(folder, *cells)) as url, browser.page(*size) as page:
        browser.open_notebook(page, url("live.ipynb"))
        browser.theme(page, theme)
        browser.run_all(page)
        browser.wait_idle(page)
        yield page
        assert browser.errors(page) == []


def button(page, name):
    return page.locator(".widget-button").filter(has_text=name).first


def seen(page, words):
    return page.get_by_text(words).first.is_visible()


def run_cell(page, number, wait=10):
    """Run one cell, and wait so many s at most until the kernel is free again; None: not at all."""
    page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").nth(number).click()
    page.keyboard.press("Control+Enter")
    if wait:
        browser.wait_idle(page, timeout=wait)


def output(page, number):
    return page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".jp-OutputArea-output")


def choose(page, name, value):
    page.get_by_label(name, exact=True).select_option(value)


def accessible(page):
    """No fault of serious or critical impact, in the light theme and in the dark one."""
    for theme in ("Dark", "Light"):
        browser.theme(page, theme)
        found = Axe().run(page, ".jp-OutputArea-output").response["violations"]
        faults = [
            (theme, fault["id"], node["html"][:200])
            for fault in found
            for node in fault["nodes"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert faults == []


def cut_off(page):
    """What reaches beyond the right edge of its output, or makes an output scroll sideways."""
    outside = """output => {
        const end = output.getBoundingClientRect().right + 1;
        const beyond = e => e.checkVisibility() && e.getBoundingClientRect().right > end;
        const parts = [...output.querySelectorAll("button, select, img, canvas, input")];
        return [...parts.filter(beyond), ...output.scrollWidth > output.clientWidth ? [output] : []]
            .map(e => e.outerHTML.slice(0, 200));
    }"""
    outputs = page.locator(".jp-OutputArea-output").all()
    return [found for output in outputs for found in output.evaluate(outside)]


def until(page, condition, seconds=180):
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


def blocks(image):
    """Means of 8 x 8 pixels: nglview smooths edges less after a while."""
    image = image[: len(image) // 8 * 8, : image.shape[1] // 8 * 8]
    return image.reshape(len(image) // 8, 8, -1, 8, 3).mean((1, 3))


def shows(image):
    return differing(image, np.broadcast_to(image[0, 0], image.shape)) > 0.01


@pytest.mark.parametrize("kind, theme", [("nglview", "Light"), ("canvas", "Dark")])
def test_molecular_dynamics_in_the_hands_of_a_learner(tmp_path, kind, theme):
    """Play, another cell meanwhile, another temperature, Pause, Stop; then another system."""
    code = f"import tlmlp\nlive = tlmlp.show.LiveMD('Stillinger-Weber', viewer={kind!r})\nlive"
    with opened(tmp_path, code, "print(6 * 7)", theme=theme) as page:
        canvas = page.locator("canvas.tlmlp-canvas").first
        atoms = browser.viewer(page) if kind == "nglview" else canvas
        plots = page.locator(".widget-image").first
        atoms.wait_for(timeout=120_000)
        until(page, lambda: shows(picture(atoms)))
        page.wait_for_timeout(2000)
        at_rest, empty = picture(atoms), picture(plots)
        button(page, "Play").click()
        moved = lambda: differing(at_rest, picture(atoms)) > 1e-3
        until(page, lambda: moved() and differing(empty, picture(plots)) > 1e-3)
        run_cell(page, 1)
        assert "42" in output(page, 1).inner_text()
        before = picture(atoms)
        until(page, lambda: differing(before, picture(atoms)) > 1e-3)

        slider = page.locator(".widget-hslider").filter(has_text="thermostat")
        slider.locator(".noUi-handle").press("End")
        until(page, lambda: seen(page, "4000 K"))
        # Hot atoms look different, those at the start do not.
        unlike = lambda image: differing(blocks(at_rest), blocks(image))
        until(page, lambda: unlike(picture(atoms)) > 0.05)
        button(page, "Pause").click()
        until(page, lambda: seen(page, "Paused."))
        assert unlike(settled(page, atoms)) > 0.03
        button(page, "Stop").click()
        until(page, lambda: seen(page, "back at the start"))
        until(page, lambda: unlike(picture(atoms)) < 0.01)
        if kind == "canvas":
            another_system_while_it_compiles(page, plots)


@pytest.mark.parametrize("kind, theme", [("nglview", "Light"), ("canvas", "Dark")])
def test_the_slider_from_silicon_to_germanium(tmp_path, kind, theme):
    """Atoms, curves and numbers follow the slider, also while Relax works."""
    code = f"import tlmlp\nslider = tlmlp.show.Alchemy(viewer={kind!r})\nslider"
    with opened(tmp_path, code, theme=theme) as page:
        canvas = page.locator("canvas.tlmlp-canvas").first
        atoms = browser.viewer(page) if kind == "nglview" else canvas
        atoms.wait_for(timeout=120_000)
        until(page, lambda: shows(picture(atoms)))
        half, curves = settled(page, atoms), page.locator(".widget-image").first
        drawn = picture(curves)
        handle = page.locator(".widget-hslider .noUi-handle").last
        other = lambda: differing(half, picture(atoms)) > 0.1  # smoother edges are 0.03 at most
        handle.press("Home")
        until(page, lambda: seen(page, "x = 0.00") and other())
        handle.press("End")
        until(page, lambda: seen(page, "x = 1.00") and other())
        until(page, lambda: differing(drawn, picture(curves)) > 1e-3)
        button(page, "Relax").click()
        handle.press("Home")
        until(page, lambda: seen(page, "Done in") and seen(page, "x = 0.00"))
        until(page, lambda: not seen(page, "computed now"))  # that was at another fraction
        handle.press("End")
        until(page, lambda: seen(page, "computed now, x = 1"))
        choose(page, "which atoms are drawn", "a random alloy")
        handle.press("ArrowLeft")
        until(page, lambda: seen(page, "x = 0.97"))
        assert cut_off(page) == [] and browser.errors(page) == []
        accessible(page)


def another_system_while_it_compiles(page, plots):
    """The kernel stays free, and the new system plays on by itself."""
    choose(page, "potential", "si-sw-course")
    button(page, "Play").click()
    # Where this program was compiled before, that state is over before anybody can see it.
    until(page, lambda: seen(page, "Compiling for 64 atoms") or seen(page, "The atoms move."))
    choose(page, "system", "vacancy")
    run_cell(page, 1)
    choose(page, "element", "Ge")
    run_cell(page, 1)
    canvas = page.locator("canvas.tlmlp-canvas").first
    until(page, lambda: "63 atoms, Ge63" in canvas.get_attribute("aria-label"))
    until(page, lambda: re.search("step [1-9].*63 atoms", plots.get_attribute("alt")))
    accessible(page)


def test_the_explorer_in_the_hands_of_a_learner(tmp_path):
    """Sliders and blocks, Train, curves that grow while another cell runs, Stop, a control."""
    code = "import tlmlp\nexplorer = tlmlp.show.TransferExplorer(precomputed=[])\nexplorer"
    with opened(tmp_path, code, "print(6 * 7)", size=(1366, 768)) as page:
        block = lambda name: page.locator("button.tlmlp-block", has_text=name)
        curves = page.locator(".widget-image").first
        curves.wait_for(timeout=120_000)

        slider = page.locator(".noUi-handle").first
        slider.press("ArrowRight")
        slider.press("ArrowRight")
        frozen = lambda name: "frozen" in block(name).inner_text()
        until(page, lambda: frozen("interaction 1") and seen(page, "11 350 of 64 742 frozen"))
        assert not frozen("interaction 2")
        block("embedding").click()
        first = lambda: slider.get_attribute("aria-valuenow") in ("0", "0.0")
        until(page, lambda: seen(page, "9 040 of 64 742 frozen") and first())

        empty = picture(curves)
        button(page, "Train").click()
        until(page, lambda: seen(page, "training, step"))  # two programs are compiled
        until(page, lambda: differing(empty, picture(curves)) > 1e-3)
        begun = picture(curves)
        run_cell(page, 1)
        assert "42" in output(page, 1).inner_text()
        until(page, lambda: differing(begun, picture(curves)) > 1e-3)
        assert "moved 0" in block("interaction 1").inner_text()
        assert "%" in block("output 2").inner_text()

        button(page, "Stop").click()
        until(page, lambda: seen(page, "Stopped. After"))
        held = settled(page, curves)
        assert button(page, "Train").is_enabled()
        page.get_by_role("button", name="50", exact=True).click()
        until(page, lambda: differing(held, picture(curves)) > 1e-3)  # marked stale
        accessible(page)
        button(page, "Reset").click()
        until(page, lambda: seen(page, "All runs are forgotten"))
        until(page, lambda: differing(empty, picture(curves)) < 1e-3)


def test_the_explorer_in_odd_orders(tmp_path):
    """A control while it trains, the cell twice, Reset while it trains, a cell too early."""
    code = "import tlmlp\nexplorer = tlmlp.show.TransferExplorer(precomputed=[])\nexplorer"
    early = "print(sorted(explorer.result()), explorer.running)"
    with opened(tmp_path, code, "print(explorer.running)", theme="Dark") as page:
        pressed = lambda n: page.get_by_role("button", name=n, exact=True).get_attribute
        training = lambda: until(page, lambda: seen(page, "training, step"))
        button(page, "Train").click()
        training()
        page.get_by_role("button", name="50", exact=True).click()
        until(page, lambda: seen(page, "This training has 10 DFT structures"))
        assert (pressed("10")("aria-pressed"), pressed("50")("aria-pressed")) == ("false", "true")
        until(page, lambda: page.locator(".tlmlp-runs td").count())
        run_cell(page, 0, 60)
        until(page, lambda: seen(page, "Taken over from the explorer before"))
        assert page.locator(".tlmlp-runs tr").count() == 2  # its head and the run

        button(page, "Train").click()
        training()
        button(page, "Reset").click()
        until(page, lambda: seen(page, "All runs are forgotten"))
        page.wait_for_timeout(3000)  # the step under way has ended
        assert seen(page, "All runs are forgotten")

        button(page, "Train").click()
        training()
        page.evaluate("window.jupyterapp.commands.execute('notebook:clear-cell-output')")
        ended = lambda: run_cell(page, 1) or "False" in output(page, 1).inner_text()
        until(page, ended)  # nobody sees it any more

        page.locator(".jp-Notebook .jp-CodeCell").nth(1).click()
        page.evaluate(
            "source => window.jupyterapp.shell.currentWidget.content.activeCell.model"
            ".sharedModel.setSource(source)",
            early,
        )
        run_cell(page, 0, 60)
        choose(page, "steps", "100")
        button(page, "Train").click()
        run_cell(page, 1, 300)
        words = output(page, 1).first.inner_text()
        assert "this cell waits for its end" in words
        assert "['scratch', 'transfer'] False" in words and "stopped" not in words


def test_a_duel_in_the_hands_of_a_learner(tmp_path):
    """Play, both sides move while another cell runs, Stop takes both back; settings as it plays."""
    sides = "'Stillinger-Weber', 'ge-sw-course-transfer-10'"
    code = f"import tlmlp\nduel = tlmlp.show.Duel({sides}, rate=800)\nduel"
    with opened(tmp_path, code, "print(6 * 7)", theme="Light") as page:
        sides = page.locator(browser.VIEWER)
        until(page, lambda: sides.count() == 2)
        left, right, plots = sides.nth(0), sides.nth(1), page.locator(".widget-image").first
        until(page, lambda: shows(picture(left)) and shows(picture(right)))
        at_rest, empty = [settled(page, side) for side in (left, right)], picture(plots)
        moved = lambda old: all(differing(a, picture(b)) > 1e-3 for a, b in zip(old, (left, right)))
        button(page, "Play").click()
        until(page, lambda: moved(at_rest) and differing(empty, picture(plots)) > 1e-3)
        run_cell(page, 1)
        assert "42" in output(page, 1).inner_text()
        before = [picture(left), picture(right)]
        until(page, lambda: moved(before))

        choose(page, "heat by", "400 K/ps")
        page.get_by_label("seed").fill("3")
        page.get_by_label("seed").press("Enter")

        def heated():
            """Whether it plays the new duel: 400 K/ps from 300 K on."""
            words = re.search(r"([\d.]+) ps\s+(\d+) K\s+holds", page.locator(".tlmlp").inner_text())
            t, kelvin = map(float, words.groups()) if words else (0, 0)
            return t > 0.1 and abs(kelvin - 300 - 400 * t) < 15

        until(page, heated)
        until(page, lambda: seen(page, "Both hold."))
        button(page, "Pause").click()
        until(page, lambda: seen(page, "Paused."))
        choose(page, "heat by", "800 K/ps")
        until(page, lambda: seen(page, "back at the start"))
        button(page, "Play").click()
        until(page, lambda: seen(page, "Both hold."))

        button(page, "Pause").click()
        until(page, lambda: seen(page, "Paused."))
        held = settled(page, left)
        assert differing(held, picture(left)) < 1e-3
        button(page, "Stop").click()
        until(page, lambda: seen(page, "back at the start"))
        until(page, lambda: page.get_by_text("0.00 ps").count() == 2)
        unlike = lambda a, b: differing(blocks(a), blocks(picture(b)))
        until(page, lambda: all(unlike(a, b) < 0.01 for a, b in zip(at_rest, (left, right))))


def test_the_bench_in_the_hands_of_a_learner(tmp_path):
    """Another property, Compute, a picture that grows while another cell runs, a control."""
    code = "import tlmlp\ntlmlp.show.PropertyBench()"
    with opened(tmp_path, code, "print(6 * 7)", theme="Dark") as page:
        plot = page.locator(".widget-image").first
        plot.wait_for(timeout=120_000)
        empty, alt = picture(plot), lambda: plot.get_attribute("alt")
        choose(page, "property", "equation of state")
        button(page, "Compute").click()
        until(page, lambda: differing(empty, picture(plot)) > 1e-2)
        reference = picture(plot)
        choose(page, "property", "other crystals")  # for the next one
        run_cell(page, 1)
        until(page, lambda: differing(reference, picture(plot)) > 1e-2, 120)  # scratch has come
        until(page, lambda: seen(page, "other settings: press Compute"))
        assert alt().startswith("Equation of state of Ge: ") and "silicon unchanged" in alt()
        choose(page, "property", "equation of state")
        until(page, lambda: seen(page, "10 structures, nothing frozen."))
        assert button(page, "Compute").is_enabled() and not button(page, "Stop").is_enabled()
        page.locator(".noUi-handle").first.press("ArrowRight")
        until(page, lambda: seen(page, "embedding (trains here"))
        assert seen(page, "other settings: press Compute")


WIDGETS = """
import tlmlp
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin
from IPython.display import display
from tlmlp import course, datasets, show

def atoms():
    atoms = bulk("Si", cubic=True)
    atoms.calc = datasets.stillinger_weber_calculator("Si")
    return Langevin(atoms, 2 * units.fs, temperature_K=300, friction=0.01, fixcm=False)
---
explorer = show.TransferExplorer()
explorer
---
show.LiveMD("Stillinger-Weber")
---
show.LiveMD("Stillinger-Weber", viewer="canvas", colour={"z (Å)": lambda a: a.positions[:, 2]})
---
show.Duel(viewer="canvas")
---
show.PropertyBench("dft")
---
show.Training(lambda: tlmlp.fit(None, []))
---
show.watch(atoms(), autoplay=False)
---
sheet = show.Worksheet("00_start_here")
display(sheet.predict(1, 2, 3), sheet.table(1), sheet.answer(1))
---
display(*(course.check_kinetic_energy(answer, 300) for answer in (3, 0.0388)), course.doctor())
"""


def test_every_widget_can_be_used_by_everyone(tmp_path):
    """axe-core in both themes; nothing cut off, also at 125 %; without a kernel it says so."""
    with opened(tmp_path, *WIDGETS.strip().split("\n---\n"), size=(1366, 768)) as page:
        widgets = page.locator(".tlmlp")
        until(page, lambda: widgets.count() == 10 and browser.viewer(page).is_visible())
        until(page, lambda: page.locator(".widget-image:not([alt])").count() == 0)
        accessible(page)
        for size in ((1366, 768), (1093, 614)):
            page.set_viewport_size(dict(width=size[0], height=size[1]))
            page.wait_for_timeout(1000)
            assert cut_off(page) == []
        page.evaluate("void window.jupyterapp.commands.execute('kernelmenu:restart')")
        page.get_by_role("button", name="Confirm Kernel Restart").click()
        words = "e => getComputedStyle(e, '::before').content"
        dead = lambda e: "run the cells again" in e.evaluate(words)
        until(page, lambda: all(map(dead, widgets.all())))
