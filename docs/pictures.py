"""Pictures of the widgets, for pages that have no kernel: docs/pictures/NAME.webp.

python docs/pictures.py [NAME ...]     opens JupyterLab in a browser (Chromium must be installed)

The names are those of the classes in tlmlp.show. `PICTURES` is the only table of what a picture
shows; `docs/build.py` puts it where a page would show the widget.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "pictures"
ROOT = FOLDER.parents[1]


class Picture(NamedTuple):
    """How a widget is brought to life, and what its picture shows."""

    code: str  # of the notebook's cell
    alt: str
    press: tuple[str, ...] = ()  # words on buttons, in this order
    seconds: float = 1  # it works for so long at least
    seen: str = ""  # words that stand there when the picture may be taken


PICTURES = {
    "TransferExplorer": Picture(
        "explorer = show.TransferExplorer('dft')\nexplorer",
        "The transfer explorer. On the left menus for data, number of structures, start, learning "
        "rate and steps. On the right the blocks of the network, and curves of the force error of "
        "transfer and of scratch against the step. Below them a table of runs.",
        press=("Train",),
        seen="Done in",
    ),
    "LiveMD": Picture(
        "show.LiveMD('si-sw-course', temperature_K=1200)",
        "Live molecular dynamics. On the left 64 silicon atoms in their cell. On the right "
        "curves of temperature and energy against time, and the radial distribution function. "
        "Below them Play, Step, Stop, Save and a slider for the temperature.",
        press=("Play",),
        seconds=60,
        seen="The atoms move.",
    ),
    "Duel": Picture(
        "show.Duel(n=10, rate=800)",
        "The duel. Germanium atoms of scratch on the left and of transfer on the right, both "
        "heated at the same rate. Below them a curve for each shows when its crystal breaks.",
        press=("Play",),
        seconds=90,
    ),
    "PropertyBench": Picture(
        "show.PropertyBench(kind='equation of state')",
        "The property bench. Menus choose a property, the data and the frozen groups. Below them "
        "energy against volume for the reference, scratch, transfer and silicon unchanged.",
        press=("Compute",),
        seen="nothing frozen.",
    ),
    "LammpsRun": Picture(
        "from pathlib import Path\n"
        "lines = 'units metal', 'lattice diamond 5.431', 'region box block 0 3 0 3 0 3', \\\n"
        "    'create_box 1 box', 'create_atoms 1 box', 'mass 1 28.0855', 'pair_style tlmlp', \\\n"
        "    'pair_coeff * * si-sw-course Si', 'velocity all create 3000 1', 'fix 1 all nve', \\\n"
        "    'timestep 0.002', 'thermo 10', 'thermo_modify flush yes', 'run 200'\n"
        "script = Path('in.melt')\nscript.write_text('\\n'.join(lines))\nshow.LammpsRun(script)",
        "A LAMMPS run. A menu for the number of processes, Run, Stop, a progress bar, and curves "
        "of the temperature and of the total energy against the step.",
        press=("Run",),
        seen="Done.",
    ),
    "Alchemy": Picture(
        "show.Alchemy()",
        "The slider from silicon to germanium. On the left 64 atoms in a colour between those of "
        "both elements. On the right the slider, two menus, Relax, and a table of the lattice "
        "constant and elastic constants. Below them curves of two of these, and of phonons.",
        press=("Relax",),
        seen="Done in",
    ),
    "Family": Picture(
        "show.Family().set(stiffness=30.0)",
        "The family of Stillinger-Weber. On the left sliders for the size, energy, stiffness and "
        "angle of an element, a menu for the start, Train and Stop. On the right curves of the "
        "force error of scratch and of transfer against the step.",
        press=("Train",),
        seen="a gain of",
    ),
    "Choices": Picture(
        "widget = show.Choices().set(choice='calm')\nwidget.result()\n"
        "widget.set(choice='calm, more').start().wait()\nwidget.set(algorithm='transfer')",
        "Four menus choose structures of germanium, their number, an algorithm and a loss. Beside "
        "them a line for each training, with its force errors on warm crystals, on liquids and on "
        "all test structures.",
        press=("Train",),
        seen="meV/Å, ",
    ),
    "Training": Picture(
        "train, valid = tlmlp.datasets.split(course.data('stillinger-weber', 'Si')[0], 20)\n"
        "potential = tlmlp.Potential.create('course', elements=('Si', 'Ge'))\n"
        "show.Training(lambda: tlmlp.fit(potential, train, valid, steps=800, report_every=5))",
        "A training. Buttons Train and Stop, a progress bar, and curves of the force error on "
        "training and validation structures against the step.",
        press=("Train",),
        seconds=60,
    ),
    "Watch": Picture(
        "from ase.build import bulk\nfrom ase import units\nfrom ase.md.langevin import Langevin\n"
        "atoms = bulk('Si', 'diamond', a=5.431, cubic=True) * (2, 2, 2)\n"
        "atoms.calc = tlmlp.Potential.load('si-sw-course').calculator()\n"
        "heat = dict(temperature_K=300, friction=0.01 / units.fs, fixcm=False)\n"
        "show.watch(Langevin(atoms, 2 * units.fs, **heat))",
        "Silicon atoms that move: 64 spheres in their cell. Beside them Play, Stop, a slider for "
        "the temperature, and time, temperature and energy in numbers.",
        seconds=30,
    ),
}


def take(name, page, url):
    """The widget of this name, at work, as a picture of Pillow."""
    import browser
    from PIL import Image

    picture = PICTURES[name]
    browser.open_notebook(page, url("live.ipynb"))
    browser.run_all(page)
    browser.wait_idle(page)
    for words in picture.press:
        page.locator(".widget-button").filter(has_text=words).first.click()
    page.wait_for_timeout(1000 * picture.seconds)
    if picture.seen:
        page.get_by_text(picture.seen).first.wait_for(timeout=300_000)
        page.wait_for_timeout(3000)  # what was painted before is drawn
    if faults := browser.errors(page):
        raise RuntimeError(f"{name}: {faults}")
    widget = page.locator(".jp-OutputArea-output .jupyter-widgets").first
    return Image.open(io.BytesIO(widget.screenshot())).convert("RGB")


def main(names):
    """Write the pictures of these widgets [default: of all]."""
    sys.path.insert(0, str(ROOT / "tests"))
    import browser

    FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            code = f"import tlmlp\nfrom tlmlp import course, show\n\n{PICTURES[name].code}"
            home = browser.notebook(Path(folder), code)
            with browser.lab(home) as url, browser.page(1366, 1600) as page:
                shot = take(name, page, url)
        shot.save(FOLDER / f"{name}.webp", quality=85, method=6)
        print(FOLDER / f"{name}.webp", *shot.size)


if __name__ == "__main__":
    main(sys.argv[1:])
