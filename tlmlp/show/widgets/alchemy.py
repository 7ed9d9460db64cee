"""Alchemy: a slider from silicon to germanium, and what becomes of the crystal."""

import time

import numpy as np
from ase.build import bulk
from matplotlib.colors import LinearSegmentedColormap, to_hex

from ... import crystal
from ...alchemy import AlchemicalCalculator, masses
from ...course.results import rows
from ...potential import Potential
from ...properties import elastic
from ...refusal import one_of, refuse
from ..figures.alloys import mixture, nearest
from ..figures.style import ELEMENT_COLOURS
from .controls import image, line, menu, slider, tag, text
from .job import Job
from .viewer import KINDS, usual

PAIR = ("Si", "Ge")
STEPS = 32  # of the slider
SIZE = (910, 350)  # pixels of the picture, which is that of `figures.alloys.mixture`
VIEW = (330, 300)
GUESS = 5.6  # Å
MODULI = dict(bulk_modulus="B (GPa)", c11="C11", c12="C12", c44="C44")  # GPa
WAYS = {"two nodes at a place": "nodes", "mixed rows": "embedding"}
SHOWN = {"every atom is a mixture": False, "a random alloy": True}


def between(first, second, n):
    """n colours from one to the other, "#rrggbb"."""
    return [to_hex(c) for c in LinearSegmentedColormap.from_list("", (first, second), n)(range(n))]


class Alchemy(Job):
    """A slider for the fraction of germanium, the crystal, and properties on the way.

    The curves are precomputed (`course.rows("alchemy")`). *Relax* computes the crystal of this
    fraction now, with a potential of both elements. `.found` has what it gave, by (fraction, way).
    """

    shows = "Lattice constant, bulk modulus and phonons between silicon and germanium."

    def __init__(self, potential="sige-dft-course", viewer=None):
        super().__init__("Relax", image(SIZE))
        self.potential = Potential.load(potential) if isinstance(potential, str) else potential
        self.rows, self.found = rows("alchemy"), {}
        self.fraction = slider(STEPS // 2, STEPS, "fraction of germanium", width=300)
        way = menu(WAYS.items(), "nodes", 190, tip="how elements are mixed")
        self.controls = dict(fraction=self.fraction, way=way)
        self.shown = menu(SHOWN.items(), False, 190, tip="which atoms are drawn")
        atoms = bulk("Si", "diamond", a=GUESS, cubic=True).repeat(2)
        self.atoms, self._drawn_atoms = atoms, None
        self.order_of = np.random.default_rng(0).permutation(len(atoms))  # who changes first
        scale = between(*map(ELEMENT_COLOURS.get, PAIR), 9)
        self.view = KINDS[viewer or usual()](atoms, VIEW, scale)
        self.heading, self.numbers = text(), text()
        self.shown.observe(self.changed, "value")
        self.view.heard += (self.changed,)
        side = [self.heading, self.fraction, line(self.controls["way"], self.shown)]
        side += [line(self.start_button, self.stop_button, self.bar), self.time, self.numbers]
        column = line(*side, flex_flow="column", align_items="flex-start", width="540px")
        self.arrange(line(self.view.widget, column), self.picture, width=SIZE[0] + 20)

    @property
    def x(self):
        """The fraction of germanium that the slider says."""
        return self.fraction.value / STEPS

    def set(self, x, way="nodes"):
        """Move the slider to a fraction from 0 to 1, and the menu; returns the widget."""
        refuse(not 0 <= x <= 1, f"x must be a fraction from 0 to 1, not {x!r}")
        one_of("way", way, WAYS.values())
        self.fraction.value, self.controls["way"].value = round(x * STEPS), way
        return self

    def work(self):
        began, x, way = time.perf_counter(), self.order["fraction"] / STEPS, self.order["way"]
        calculator = AlchemicalCalculator(self.potential, PAIR, x, way=way)
        atoms = crystal.at_zero_pressure(bulk("Si", "diamond", a=GUESS), calculator, accuracy=0.01)
        atoms.set_masses(masses(atoms, PAIR, x))
        found = dict(x=x, way=way, lattice_constant=crystal.cubic_edge(atoms))
        yield found | dict(seconds=time.perf_counter() - began)
        constants = elastic(atoms, calculator)
        found |= {name: getattr(constants, name) for name in MODULI}
        yield found | dict(seconds=time.perf_counter() - began)

    def take(self, found):
        self.found[found["x"], found["way"]] = found

    def paint(self, run):
        way, x = self.controls["way"].value, self.x
        self.heading.value = f"Fraction of germanium: <b>x = {x:.2f}</b>"
        self._colour(x)
        known = run.latest or {}
        self.progress(run, ("lattice_constant" in known) + ("bulk_modulus" in known), 2, "")
        self.show((x, way), lambda: mixture(self.rows, x, way))
        self.numbers.value = self._table(x, way)
        words = {"": "The crystal relaxes.", "done": f"Done in {known.get('seconds', 0):.1f} s."}
        words["idle"] = "Move the slider. Relax computes the crystal at x now."
        self.say(words.get(run.how, "Stopped."))

    def _colour(self, x):
        """The atoms in the colours of this fraction, once the browser shows them."""
        wanted = x, self.shown.value
        if wanted == self._drawn_atoms or not self.view.ready:
            return
        n = len(self.atoms)
        exact = (self.order_of < round(x * n)).astype(float) if self.shown.value else np.full(n, x)
        self.view.draw(self.atoms.positions, exact)
        self._drawn_atoms = wanted

    def _table(self, x, way):
        """Precomputed numbers at the nearest fraction, and those that Relax gave."""
        near = nearest(self.rows, way, x)
        lines = [(f"precomputed, x = {near['x']:.4g}", near)]
        if found := self.found.get((x, way)):
            lines.append((f"computed now, x = {x:.4g}", found))
        cell = lambda words: tag("td", words, padding="1px 14px 1px 0")
        out = tag("tr", "".join(map(cell, ("", "a (Å)", *MODULI.values()))))
        for words, row in lines:
            moduli = (f"{row[name]:.1f}" if name in row else "–" for name in MODULI)
            lattice = f"{row['lattice_constant']:.4f}"
            out += tag("tr", "".join(map(cell, (words, lattice, *moduli))))
        return tag("table", out)
