"""LiveMD: molecular dynamics to watch, to heat and to take apart, which stops when it breaks."""

import itertools
import re
import time
from collections import deque
from html import escape
from pathlib import Path

import ase
import ase.io
import jax
import numpy as np
from ase import units
from ase.build import bulk, diamond100

from ... import datasets, properties, simulate
from ...course import machine
from ...course.sources import SOURCES, melt
from ...elements import ELEMENTS, element as element_row
from ...files import expanded
from ...potential import Potential, header, shipped
from ...refusal import one_of, refuse
from ...simulate import trajectory
from ..figures.style import GREEN, RED
from . import plots
from .controls import NUMBERS, block, button, image, line, menu, muted, plain, slider, tag, text
from .player import Player
from .viewer import SCALE

SYSTEMS = ("crystal", "melt", "vacancy", "slab")
COLOURS = {"element": "", "speed": "Å/ps", "force error": "eV/Å against SW"}
SW = "Stillinger-Weber"
HOTTEST = 4000  # K, end of the slider
FRAME = 0.05  # s that a chunk should take
FRAMES = POINTS = 2000  # kept for Save, and of the curves
BINS = 80  # of g(r)
PLOTTED = "Temperature and potential energy against time, and the radial distribution g(r)"


def structure(element, system, lattice):
    """ase.Atoms of 63 to 72 atoms, large enough for every cutoff that ships.

    A melt is a frame of Stillinger-Weber far above the melting point, in the cell of the crystal.
    """
    crystal = bulk(element, "diamond", a=lattice, cubic=True).repeat(2)
    if system == "vacancy":
        del crystal[27]
    if system == "melt":
        cell, crystal = crystal.cell, melt("stillinger-weber", element)[0]
        crystal.set_cell(cell, scale_atoms=True)
    if system == "slab":
        crystal = diamond100(element, (3, 3, 8), a=lattice, vacuum=6.0)
        crystal.pbc = (True, True, False)
    return crystal


def rounded_up(value):
    """The next of 1, 2, 5 and 10 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(d * power for d in (1, 2, 5, 10) if d * power >= value * (1 - 1e-9)))


def thinned(curve):
    """A list of points; every second one is given up where there are too many."""
    return curve[::2] if len(curve) > POINTS else curve


class LiveMD(Player):
    """Molecular dynamics in the background: a viewer beside temperature, energy and g(r).

    potential: the name of one that ships, a Potential, or "Stillinger-Weber"; element: "Si" or
    "Ge"; system: "crystal", "melt", "vacancy" or "slab"; temperature_K: K; potentials: more of
    them to choose from, a dict from a name to a Potential or a file; atoms: ase.Atoms of your own
    in place of element and system; viewer: "nglview" or "canvas", for Colab and without WebGL;
    pause_after: s after which it pauses by itself; colour: more to colour atoms by, a dict from
    words with a unit to a function of ase.Atoms that gives numbers [N] from 0 on, such as
    {"spread of forces (eV/Å)": committee.spread}. The first is chosen. Only frames that
    are shown are measured. The brightest colour is the largest number so far, rounded up.

    The temperature acts while it runs; so does another potential, which takes the atoms over where
    they are. Another element or system begins anew, and plays on where it played. Save writes the
    newest 2000 frames as extended xyz. `.snapshot` is the newest Snapshot, `.health` "ok" or
    what went wrong.
    """

    plot_size = (390, 390)  # pixels; with the viewer no wider than a cell on a small screen
    colouring = property(lambda self: self.colour_menu.value)

    def __init__(
        self,
        potential=None,
        element="Si",
        system="crystal",
        temperature_K=300,
        potentials=None,
        atoms=None,
        viewer=None,
        pause_after=300,
        seed=0,
        colour=None,
    ):
        one_of("system", system, SYSTEMS)
        words = "colour must be a dict from words to functions of ase.Atoms; words other than "
        fine = isinstance(colour, dict) and all(map(callable, colour.values()))
        fine = colour is None or fine and not set(colour) & set(COLOURS)
        refuse(not fine, f"{words}{', '.join(COLOURS)}")
        self._measures, self._largest = dict(colour or {}), {}  # the largest number of each so far
        words = f"temperature_K must be between 0 and {HOTTEST} K, not {temperature_K!r}"
        refuse(not (np.isscalar(temperature_K) and 0 <= temperature_K <= HOTTEST), words)
        element = element_row(element if atoms is None else str(atoms.symbols[:1])).symbol
        self._potentials = {name: name for name in shipped()} | dict(potentials or {})
        if isinstance(potential, Potential):
            self._potentials["your potential"], potential = potential, "your potential"
        names = self._names(element)
        potential = potential or next((n for n in names if n.endswith("course")), names[0])
        words = f"there is no potential {potential!r} for {element}; use one of "
        refuse(potential not in names, words + ", ".join(map(repr, names)))
        super().__init__(viewer, pause_after)
        self.seed, self.choice, self._own_atoms = seed, potential, atoms
        self._every, self._single, self.target = 5, False, float(temperature_K)
        self._build(names, element, system)
        self.back()
        self.redraw()

    def _build(self, names, element, system):
        step = button("Step", "step-forward", self.step, "one step of 2 fs")
        tip = "write what was seen to an extended xyz file"
        buttons = self.play_button, step, self.stop_button, button("Save", "save", self._save, tip)
        self.step_button = step
        self.potential_menu = menu(names, self.choice, 235, "potential")
        self.element_menu = menu(ELEMENTS, element, 120, "element")
        self.system_menu = menu(SYSTEMS, system, 150, "system")
        first = next(iter(self._measures), "element")
        self.colour_menu = menu(list(COLOURS) + list(self._measures), first, 160, "colour")
        self.element_menu.disabled = self.system_menu.disabled = self._own_atoms is not None
        self.thermostat = slider(round(self.target), HOTTEST, "K", 50, description="thermostat")
        self.kelvin, self.legend = text(min_width="70px"), text(margin="0 0 0 24px")
        self.lamp, self.numbers = text(), text()
        self.image = image(self.plot_size, margin="0 0 0 8px")
        self.beside = [self.image]
        menus = self.potential_menu, self.element_menu, self.system_menu, self.colour_menu
        heat = line(*buttons, self.thermostat, self.kelvin)
        health = line(self.lamp, self.legend), self.numbers, self.status
        self.children = [line(*menus, self.viewer_menu), self.stage, heat, *health]
        actions = self._choose, self._anew, self._anew, self.redraw, self.heat
        for control, action in zip((*menus, self.thermostat), actions):
            control.observe(action, "value")

    def play(self):
        self._single = False
        return super().play()

    def step(self):
        """One step of the integrator."""
        if not self.running:
            self._single = True
            self.start()
        return self

    def save(self, path):
        """Write the newest 2000 frames to a file that ASE can write; returns its path."""
        with self.lock:
            frames = list(self._frames)
        refuse(not frames, "there is nothing to save yet: press Play first")
        atoms = [s.atoms for s in frames]
        if (path := expanded(path)).suffix in trajectory.FORMATS:
            trajectory.write(path, atoms)
        else:
            ase.io.write(path, atoms)
        return path

    def _names(self, element):
        """Potentials that were trained on an element, Stillinger-Weber last."""
        return [n for n, p in self._potentials.items() if element in header(p)["trained"]] + [SW]

    def _choose(self, change):
        with self.lock:
            self.choice = change["new"]
            if self.snapshot is None and not self.alive:
                self.back()  # its crystal has a lattice constant of its own
        self.redraw()

    def _anew(self, *_):
        """Another element or system, which may need another potential."""
        names = self._names(self.element_menu.value)
        keep = self.choice if self.choice in names else names[0]

        def offer():
            if names != list(self.potential_menu.options):
                self.potential_menu.options, self.potential_menu.value = names, keep

        self.anew(between=offer)

    def _save(self):
        kind = self.rest[0].get_chemical_formula()  # of atoms of one's own the menus say nothing
        if self._own_atoms is None:
            kind = f"{self.element_menu.value} {self.system_menu.value}"
        words = f"{self.choice} {kind} {self.target:.0f}K"
        name = re.sub(r"\W+", "-", words).strip("-")
        paths = (Path(f"{name}-{number}.extxyz") for number in itertools.count())
        try:
            path = self.save(next(path for path in paths if not path.exists()))
            words = "frames" if len(self._frames) < FRAMES else f"newest {FRAMES} frames"
            words = f"The {words} are in {path.resolve()}; ase.io.read('{path}', ':') reads them."
            self.say(words, hold=10)
        except (OSError, ValueError) as error:
            self.say(plain(error), "warn", hold=5)

    def back(self):
        element, system, source = self.element_menu.value, self.system_menu.value, ""
        if self.choice != SW:
            source = header(self._potentials[self.choice])["info"].get("data")
        known = SOURCES.get(str(source).split(":")[0], SOURCES["stillinger-weber"])
        own, edge = self._own_atoms, known.lattice[element]
        self.rest = [structure(element, system, edge) if own is None else own.copy()]
        self.beginning = f"Compiling for {len(self.rest[0])} atoms"
        self._reference = datasets.stillinger_weber_calculator(element)
        self._frames, self._curves, self._largest = deque(maxlen=FRAMES), [], {}
        self._made_for = None  # the potential that the generator was made for
        self.snapshot, self.health, self._speed = None, "ok", float("nan")

    def work(self):
        if self.health != "ok":  # the generator has ended
            self._made_for, self.health = None, "ok"
        measured = False  # a chunk that includes compilation says nothing about speed
        while self.health == "ok":
            if self._made_for != self.choice:
                s, measured = self._begin(self.choice), False
                if self.snapshot is None or s.health != "ok":
                    yield self._keep(s, float("nan"))
                continue
            clock = time.monotonic()
            every = self._every = 1 if self._single else self._every
            try:
                s = next(self._md)
            except Exception:
                self._made_for = None  # a generator that failed has ended
                raise
            speed = every / (time.monotonic() - clock) if measured else float("nan")
            if measured and s.health == "ok":
                self._every = int(np.clip(FRAME * speed, max(1, every // 2), 2 * every + 1))
            measured = True
            yield self._keep(s, speed)
            if self._single:
                self._every = 5
                return

    def _begin(self, choice):
        """The first Snapshot of a new generator, from where the atoms are."""
        last = self.snapshot
        start = last.atoms if last else self.rest[0]
        self._made_for, self._offset = None, (last.step, last.time_fs) if last else (0, 0.0)
        with self.lock:
            self._curves = []  # another potential has another zero of energy
        forces = self._reference if choice == SW else self._potentials[choice]
        target, every = lambda _: self.target, lambda: self._every
        self._md = simulate.nvt(forces, start, target, every=every, seed=self.seed)
        first = next(self._md)
        self._made_for = choice
        return first

    def _keep(self, s, speed):
        """Keep a Snapshot; not in `take`: it counts also where Pause was pressed meanwhile."""
        if s.health != "ok":
            self.health = s.health
            return s
        step, time_fs = self._offset
        s = s._replace(step=s.step + step, time_fs=s.time_fs + time_fs)
        point = s.time_fs / 1000, s.temperature_K, s.target_K, s.potential_energy / len(s.positions)
        with self.lock:
            self.snapshot, self._speed, self._curves = s, speed, thinned([*self._curves, point])
            self._frames.append(s)
        return s

    def frames(self):
        return [self.snapshot]

    @property
    def brightest(self):
        """What the brightest colour stands for; 0 where no atoms have been measured.

        Three times a thermal speed (Å/ps), 1 eV/Å, or what `colour` says in the class.
        """
        if self.colouring in self._measures:
            largest = self._largest.get(self.colouring, 0)
            return rounded_up(largest) if largest > 0 else 0
        if self.colouring != "speed":
            return 1.0
        mass = element_row(self.element_menu.value).mass
        thermal = np.sqrt(3 * units.kB * max(self.target, 300) / mass)  # Å per unit of time of ASE
        return round(float(3 * thermal * 1000 * units.fs), -1)

    def colours(self, frame):
        colouring, rests = self.colouring, isinstance(frame, ase.Atoms)
        if colouring == "element" or rests and colouring in self._measures:
            return None
        if rests:
            return np.zeros(len(frame))
        if colouring in self._measures:
            values = np.asarray(self._measures[colouring](frame.atoms), float)
            words = f"{colouring!r} must give one finite number for each atom"
            refuse(values.shape != (len(frame.positions),) or not np.isfinite(values).all(), words)
            self._largest[colouring] = max(self._largest.get(colouring, 0), values.max())
            return values / (self.brightest or 1)
        vectors = frame.velocities * 1000
        if colouring == "force error":
            vectors = self._reference.get_forces(frame.atoms) - frame.forces
        return np.linalg.norm(vectors, axis=1) / self.brightest

    def tell(self, run):
        self.step_button.disabled = not run.how
        self.kelvin.value = f"<b>{self.target:.0f} K</b>"
        scale = "".join(block(colour, 16) for colour in SCALE)
        unit = COLOURS.get(self.colouring, escape(self.colouring))
        scale = f"0 {scale} {self.brightest:g} {unit}"
        self.legend.value = scale if self.colouring != "element" and self.brightest else ""
        colour, word = (GREEN, "ok") if self.health == "ok" else (RED, "stopped")
        lamp, device = block(colour, 13, border_radius="50%"), jax.devices()[0]
        gpu, cpu = device.device_kind, f"CPU, {machine.cores():g} cores"
        where = muted(f"&nbsp; on {gpu if device.platform == 'gpu' else cpu}")
        self.lamp.value = f"{lamp} health: <b>{word}</b> {where}"

    def plot(self):
        with self.lock:
            s, speed, curves = self.snapshot, self._speed, list(self._curves)
            frames, n = list(self._frames)[-20:], len(self.rest[0])
        rdf = properties.radial_distribution(frames, plots.FARTHEST, BINS)[:2] if frames else None
        png = plots.live(curves, rdf, self.plot_size)
        cells = [muted(f"{n} atoms at rest")]
        if s:
            cells = [f"step {s.step}", f"{s.time_fs / 1000:.2f} ps", f"{s.temperature_K:.0f} K"]
            fast = f"{speed:.0f} steps/s, {speed * 2e-6 * 86400:.1f} ns/day"
            fast = fast if speed == speed else "measuring its speed"
            cells += [f"{s.potential_energy / n:.3f} eV/atom", fast, f"{n} atoms"]
        look = dict(display="inline-block", min_width="90px", padding_right="16px") | NUMBERS
        self.numbers.value = "".join(tag("span", words, **look) for words in cells)
        self.image.tooltip = f"{PLOTTED}: {re.sub('<.*?>', '', ', '.join(cells))}."
        self.image.value = png  # last: whoever sees new curves sees their numbers beside them

    def words(self, run):
        last = "The last good frame is shown; Stop takes the atoms back, Play tries again."
        words = "One step of 2 fs." if run.how == "done" else super().words(run)
        return words if self.health == "ok" else f"{self.health} {last}"
