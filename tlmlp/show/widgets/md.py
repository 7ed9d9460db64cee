"""LiveMD: molecular dynamics to watch, to heat, to take apart, with the brakes on."""

import re
import threading
import time
from collections import deque
from pathlib import Path

import ase.io
import ipywidgets as widgets
import numpy as np
from ase.build import bulk, diamond100

from ... import datasets
from ...course import machine as course
from ...course.sources import SOURCES
from ...elements import ELEMENTS, element as element_row
from ...potential import Potential, header, shipped
from ...properties import structure as structure_of
from ..figures.picture import Picture, quiet
from ..figures.style import BLUE, GREEN, GREY, ORANGE, RED
from .live import duration, sentence
from .player import Player
from .viewer import KINDS, SCALE, check_kind, viewer as make_viewer

SYSTEMS = ("crystal", "melt", "vacancy", "slab")
COLOURS = {"element": None, "speed": "Å/ps", "force error": "eV/Å"}
SW = "Stillinger-Weber"
HOTTEST = 4000  # K, end of the slider
FRAME = 0.05  # s that a chunk should take
FRAMES = 2000  # kept for Save
POINTS = 2000  # kept of the curves
BINS, FARTHEST = 80, 6.0  # of g(r), Å


def structure(element, system, lattice):
    """ase.Atoms of 63 to 72 atoms, large enough for every cutoff that ships; a melt is a crystal that was not yet molten."""
    crystal = bulk(element, "diamond", a=lattice, cubic=True).repeat(2)
    if system == "vacancy":
        del crystal[27]
    if system == "slab":
        crystal = diamond100(element, (3, 3, 8), a=lattice, vacuum=6.0)
        crystal.pbc = (True, True, False)
    return crystal


def molten(atoms, element, seed=0):
    """The same atoms after a picosecond far above the melting temperature of Stillinger-Weber, at rest."""
    from ... import simulate

    hot = 1.9 * element_row(element).melting_temperature
    run = simulate.nvt(
        datasets.stillinger_weber_calculator(element),
        atoms,
        hot,
        steps=600,
        every=200,
        damping_fs=30,
        seed=seed,
    )
    for last in run:
        pass
    out = atoms.copy()
    out.positions = last.positions
    return out


def radial_distribution(frames, positions, bins=BINS, farthest=FARTHEST):
    """(r [bins] in Å, g [bins]) of ase.Atoms at several positions [N, 3]; beside vacuum it has no absolute scale."""
    copies = [frames.copy() for _ in positions]
    for atoms, p in zip(copies, positions):
        atoms.positions = p
    return structure_of.radial_distribution(copies, farthest, bins)[:2]


class LiveMD(Player):
    """Molecular dynamics in the background: a viewer beside temperature, energy and g(r), and the controls.

    potential: the name of one that ships, a Potential, or "Stillinger-Weber"; potentials: more of them to choose from, a dict
    from a name to a Potential or a file. element: "Si" or "Ge"; system: "crystal", "melt", "vacancy" or "slab"; or `atoms`, ase.Atoms of
    your own. temperature_K: K; viewer: "nglview" or "canvas", which needs no WebGL; pause_after: s after which it pauses
    by itself.

    The temperature acts while it runs; so does another potential, which takes the atoms over where they are. Another element or
    system begins anew. Pause keeps the atoms where they are, Stop takes them back to the start, Step does one step of 2 fs.
    Save writes what was seen since the start as extended xyz. `.snapshot` is the newest tlmlp.simulate.Snapshot.
    """

    interval = 0.02
    size = (
        410,
        390,
    )  # of the viewer, in pixels; with the plots no wider than a cell on a small screen
    plot_size = (390, 390)

    def __init__(
        self,
        potential=None,
        element="Si",
        system="crystal",
        temperature_K=300,
        potentials=None,
        atoms=None,
        viewer="nglview",
        pause_after=300,
        seed=0,
    ):
        if system not in SYSTEMS:
            raise ValueError(
                f"system must be one of {', '.join(map(repr, SYSTEMS))}, not {system!r}"
            )
        if not (np.isscalar(temperature_K) and 0 <= temperature_K <= HOTTEST):
            raise ValueError(
                f"temperature_K must be between 0 and {HOTTEST} K, not {temperature_K!r}"
            )
        check_kind(viewer)
        element_row(element)
        self.seed, self.pause_after, self._own_atoms = seed, pause_after, atoms
        self._potentials = {name: name for name in shipped()} | dict(potentials or {})
        if isinstance(potential, Potential):
            self._potentials["your potential"], potential = potential, "your potential"
        self._loaded = {}
        if atoms is not None:
            element = atoms.get_chemical_symbols()[0]
        names = self._names(element)
        potential = potential or next((n for n in names if n.endswith("course")), names[0])
        if potential not in names:
            raise ValueError(
                f"there is no potential {potential!r} for {element}; use one of {', '.join(map(repr, names))}"
            )

        self.snapshot = None
        self._md = self._made_for = None  # the generator, and the potential it was made for
        self._every, self._single = 5, False
        self._frames, self._curves, self._saved = deque(maxlen=FRAMES), [], 0
        self._colour, self._lock_frames = "element", threading.Lock()
        self._sent = self._plotted = None
        self._plot_after = self._newest = 0.0
        self._target, self._choice = float(temperature_K), potential

        small = widgets.Layout(width="92px", min_width="92px")
        button = lambda text, icon, tip: widgets.Button(
            description=text, icon=icon, tooltip=tip, layout=small
        )
        self._play = button("Play", "play", "go on, or begin")
        self._step = button("Step", "step-forward", "one step of 2 fs")
        self._stop = button("Stop", "stop", "end, and go back to the start")
        self._save = button("Save", "save", "write what was seen to an extended xyz file")
        choose = lambda text, options, value, width: widgets.Dropdown(
            description=text,
            options=options,
            value=value,
            style={"description_width": "initial"},
            layout=widgets.Layout(width=width),
        )
        self._potential = choose("potential", names, potential, "235px")
        self._element = choose("element", list(ELEMENTS), element, "120px")
        self._system = choose("system", SYSTEMS, system, "150px")
        self._colours = choose("colour", list(COLOURS), "element", "160px")
        self._viewer = choose("viewer", list(KINDS), viewer, "140px")
        self._slider = widgets.IntSlider(
            round(temperature_K),
            0,
            HOTTEST,
            50,
            description="thermostat",
            readout=False,
            continuous_update=True,
            layout=widgets.Layout(width="300px", min_width="260px"),
        )
        self._kelvin = widgets.HTML(layout=widgets.Layout(min_width="70px"))
        self._legend = widgets.HTML(layout=widgets.Layout(margin="0 0 0 24px"))
        self._lamp = widgets.HTML()
        self._numbers = widgets.HTML()
        width, height = self.plot_size
        self._plot = widgets.Image(
            value=_plots([], None, None, self.plot_size),
            format="png",
            width=width,
            height=height,
            layout=widgets.Layout(
                width=f"{width}px", height=f"{height}px", margin="0 0 0 8px", object_fit="fill"
            ),
        )
        self._stage = widgets.HBox()
        row = lambda *children: widgets.HBox(children, layout=widgets.Layout(align_items="center"))
        if atoms is not None:
            self._element.disabled = self._system.disabled = True
        super().__init__(
            [
                row(self._potential, self._element, self._system, self._colours, self._viewer),
                self._stage,
                row(self._play, self._step, self._stop, self._save, self._slider, self._kelvin),
                row(self._lamp, self._legend),
                self._numbers,
            ]
        )
        self.layout.overflow = "hidden"
        self._set_target(self._slider.value)
        self._light("ok")
        self._begin(self._start_atoms())
        self.status.value = sentence("Press Play.")
        self._play.on_click(lambda _: self.pause() if self.running else self.play())
        self._step.on_click(lambda _: self.step())
        self._stop.on_click(lambda _: self.stop())
        self._save.on_click(lambda _: self._save_clicked())
        self._slider.observe(lambda change: self._set_target(change["new"]), "value")
        self._potential.observe(lambda change: self._choose(change["new"]), "value")
        self._element.observe(lambda change: self._other_element(change["new"]), "value")
        self._system.observe(lambda change: self._anew(), "value")
        self._colours.observe(lambda change: self._recolour(change["new"]), "value")
        self._viewer.observe(lambda change: self._show(self._drawn_atoms()), "value")

    # -- for everyone --------------------------------------------------------------------------------------------------

    def play(self):
        """Go on, or begin."""
        self._single = False
        return super().play()

    def step(self):
        """One step of the integrator."""
        if not self.running:
            self._single = True
            self.start()
        return self

    def save(self, path):
        """Write the frames seen since the start to a file that ASE can write; returns its path."""
        with self._lock_frames:
            frames = [s.atoms for s in self._frames]
        if not frames:
            raise ValueError("there is nothing to save yet: press Play first")
        ase.io.write(path, frames)
        return Path(path)

    @property
    def health(self):
        """ "ok", or what went wrong."""
        return self._health

    # -- choices -------------------------------------------------------------------------------------------------------

    def _names(self, element):
        """Potentials that know an element, Stillinger-Weber last."""
        return [n for n, p in self._potentials.items() if element in header(p)["trained"]] + [SW]

    def _load(self, name):
        if name not in self._loaded:
            p = self._potentials[name]
            self._loaded[name] = p if isinstance(p, Potential) else Potential.load(p)
        return self._loaded[name]

    def _forces_of(self, name, element):
        return datasets.stillinger_weber_calculator(element) if name == SW else self._load(name)

    def _start_atoms(self):
        if self._own_atoms is not None:
            return self._own_atoms.copy()
        element, name = self._element.value, self._potential.value
        trained_on = (
            ""
            if name == SW
            else str(header(self._potentials[name])["info"].get("data")).split(":")[0]
        )
        lattice = SOURCES.get(trained_on, SOURCES["stillinger-weber"]).lattice[element]
        return structure(element, self._system.value, lattice)

    def _begin(self, atoms):
        """Show atoms at rest, from which the next run starts."""
        self._start, self._asked_back = atoms, False
        self._reference = datasets.stillinger_weber_calculator(self._element.value)
        with self._lock_frames:
            self._frames.clear()
            self._curves = []
        self.snapshot = self._md = self._sent = self._plotted = None
        looks = atoms.numbers.tobytes(), atoms.cell.array.tobytes(), self._viewer.value
        if getattr(self, "_looks", None) != looks:
            self._show(atoms)
        else:
            self.view.draw(
                atoms.positions, self._zeros()
            )  # one frame more does not hurt, and nothing is drawn after it
        self._looks = looks
        self._plot.value = _plots([], None, None, self.plot_size)
        self._numbers.value = _numbers(None, len(atoms), None, self._target)
        self._light("ok")

    def _show(self, atoms):
        old = getattr(self, "view", None)
        self.view = make_viewer(atoms, self.size, self._viewer.value)
        self._stage.children = [self.view.widget, self._plot]
        self._sent = None
        if old is not None:
            old.widget.close()

    def _zeros(self):
        return None if self._colour == "element" else np.zeros(len(self._start))

    def _drawn_atoms(self):
        atoms = self._start.copy()
        if self.snapshot is not None:
            atoms.positions = self.snapshot.positions
        return atoms

    def _back(self):
        self._begin(self._start_atoms())
        self.status.value = sentence("The atoms are back at the start.")

    def _set_target(self, temperature):
        self._target = float(temperature)
        self._kelvin.value = f"<b>{temperature:.0f} K</b>"

    def _choose(self, name):
        self._choice = name  # a run that is under way takes it up by itself
        if self.snapshot is None and not self.alive:
            self._begin(self._start_atoms())  # its crystal has a lattice constant of its own

    def _other_element(self, element):
        names = self._names(element)
        keep = self._potential.value if self._potential.value in names else names[0]
        self._potential.options = names
        self._potential.value = self._choice = keep
        self._anew()

    def _anew(self):
        """Another system: begin from its start, and go on playing where it played."""
        playing = self.running
        super().stop("stopped")
        if self.alive:
            self._run.worker.join(30)
        with self._lock:
            self._begin(self._start_atoms())
        if playing:
            self.play()

    def _recolour(self, colour):
        self._colour = colour
        self._sent = None
        self._legend.value = _legend(colour, self._colour_end())

    def _colour_end(self):
        """What the brightest colour stands for: three times a thermal speed in Å/ps, or 1 eV/Å."""
        if self._colour == "speed":
            mass = element_row(self._element.value).mass
            return round(
                3 * (3 * 8.617e-5 * max(self._target, 300) / (mass * 1.0364e-4)) ** 0.5, -1
            )
        return 1.0

    def _save_clicked(self):
        name = re.sub(
            r"\W+", "-", f"{self._choice} {self._system.value} {self._target:.0f}K"
        ).strip("-")
        try:
            while (path := Path(f"{name}-{self._saved}.extxyz")).exists():
                self._saved += 1
            self.save(path)
            self.status.value = sentence(
                f"{len(self._frames)} frames are in {path.resolve()}; ase.io.read('{path}', ':') reads them."
            )
        except (OSError, ValueError) as error:
            self.status.value = sentence(str(error), "warn")

    # -- what Live asks for --------------------------------------------------------------------------------------------

    def work(self):
        from ... import simulate  # 10 to 20 s the first time, because of jax-md

        self._rewind()
        if self._health != "ok":  # the generator has ended
            self._md, self._health = None, "ok"
        begun = None
        while True:
            if self._md is None or self._made_for != self._choice:
                self._made_for = self._choice
                start = self.snapshot.atoms if self.snapshot is not None else self._prepared()
                self._offset = self._step_now()
                with self._lock_frames:
                    self._curves = []  # another potential has another zero of energy
                self._md = simulate.nvt(
                    self._forces_of(self._choice, self._element.value),
                    start,
                    lambda _: self._target,
                    every=lambda: self._every,
                    seed=self.seed,
                )
                s = next(self._md)
                begun = None
                if self.snapshot is None or s.health != "ok":
                    yield self._taken(s, float("nan"))
                    if s.health != "ok":
                        return
            clock = time.monotonic()
            self._every = 1 if self._single else self._every
            s, every = next(self._md), self._every
            seconds = time.monotonic() - clock
            if begun is None or s.health != "ok":
                begun, speed = clock, float("nan")  # this chunk includes compilation
            else:
                speed = every / seconds
                self._every = int(
                    np.clip(every * FRAME / seconds, max(1, every // 2), 2 * every + 1)
                )
            yield self._taken(s, speed)
            if s.health != "ok" or self._single:
                self._every = max(self._every, 5)
                return

    def _step_now(self):
        return (
            (self.snapshot.step, self.snapshot.time_fs) if self.snapshot is not None else (0, 0.0)
        )

    def _prepared(self):
        if self._system.value == "melt" and self._own_atoms is None:
            return molten(self._start, self._element.value, self.seed)
        return self._start

    def _taken(self, s, speed):
        """Keep a Snapshot, here and not in `take`: what was simulated counts also when Pause was pressed meanwhile."""
        if s.health != "ok":
            self._health = s.health
            return s, speed
        step, time_fs = self._offset
        self._newest = time.monotonic()
        self.snapshot = s = s._replace(step=s.step + step, time_fs=s.time_fs + time_fs)
        with self._lock_frames:
            self._frames.append(s)
            self._curves.append(
                (
                    s.time_fs / 1000,
                    s.temperature_K,
                    s.target_K,
                    s.potential_energy / len(s.positions),
                )
            )
            if len(self._curves) > POINTS:
                self._curves = self._curves[::2]
        return s, speed

    def paint(self, run):
        running, item = not run.stop.is_set(), run.latest
        self._play.description, self._play.icon = (
            ("Pause", "pause") if running else ("Play", "play")
        )
        self._step.disabled = running
        if self._went_back(run):
            return
        s = self.snapshot
        last = not run.worker.is_alive()
        if s is not None and s is not self._sent and (self.view.ready or last):
            self.view.draw(s.positions, self._colours_of(s))
            self._sent = s
        now = time.monotonic()
        if s is not None and s is not self._plotted and (now > self._plot_after or last):
            self._draw_plots(s, item[1] if item else float("nan"))
            self._plot_after = time.monotonic() + max(
                0.9, 6 * (time.monotonic() - now)
            )  # drawing never takes over
            self._plotted = s
        if running and self.pause_after and run.seconds > self.pause_after:
            self.stop("rested")
        self._light(self._health)
        if self._health != "ok":
            self.status.value = sentence(
                f"{self._health} The last good frame is shown; Stop takes the atoms back, Play tries again from here.",
                "error",
            )
            return
        made = {"melt": "Melting a crystal, then compiling"}.get(self._system.value, "Compiling")
        moving = (
            "The atoms move."
            if now - self._newest < 1.5
            else "Compiling again: an atom has more neighbours than any had before."
        )
        words = {
            "": moving
            if s is not None
            else f"{made} for {len(self._start)} atoms, {duration(run.seconds)}.",
            "done": "One step of 2 fs.",
            "paused": "Paused.",
            "stopped": "Stopping.",
            "rested": f"Paused after {duration(self.pause_after or 0)}, to spare the processor. Play goes on.",
            "superseded": "Paused, because another simulation plays. Play goes on here.",
        }.get(run.how, "Stopped.")
        self.status.value = sentence(words)

    def _colours_of(self, s):
        if self._colour == "speed":
            return np.linalg.norm(s.velocities, axis=1) * 1000 / self._colour_end()
        if self._colour == "force error":
            atoms = s.atoms
            atoms.calc = self._reference
            return np.linalg.norm(atoms.get_forces() - s.forces, axis=1) / self._colour_end()
        return None

    def _draw_plots(self, s, speed):
        with self._lock_frames:
            curves, frames = list(self._curves), [f.positions for f in list(self._frames)[-20:]]
        atoms = self._start.copy()
        self._plot.value = _plots(
            curves, radial_distribution(atoms, frames), self._target, self.plot_size
        )
        self._numbers.value = _numbers(s, len(atoms), speed, self._target)
        if self._colour == "speed":
            self._legend.value = _legend(self._colour, self._colour_end())

    def _light(self, health):
        self._health = health
        colour, word = (GREEN, "ok") if health == "ok" else (RED, "stopped")
        device = _device()
        self._lamp.value = (
            f'<span style="display:inline-block;width:13px;height:13px;border-radius:50%;background:{colour};'
            f'vertical-align:-2px"></span> health: <b>{word}</b> <span style="color:#56606b">&nbsp; on {device}</span>'
        )


def _device():
    import jax

    device = jax.devices()[0]
    return device.device_kind if device.platform == "gpu" else f"CPU, {course.cores():g} cores"


def _numbers(s, n, speed, target):
    if s is None:
        return f'<span style="color:#56606b">{n} atoms at rest</span>'
    fast = (
        f"{speed:.0f} steps/s, {speed * 2e-6 * 86400:.1f} ns/day"
        if speed == speed
        else "measuring its speed"
    )
    cells = [
        f"step {s.step}",
        f"{s.time_fs / 1000:.2f} ps",
        f"{s.temperature_K:.0f} K",
        f"{s.potential_energy / n:.3f} eV/atom",
        fast,
        f"{n} atoms",
    ]
    return "".join(
        f'<span style="display:inline-block;min-width:90px;padding-right:16px;font-variant-numeric:tabular-nums">{c}</span>'
        for c in cells
    )


def _legend(colour, end):
    if COLOURS[colour] is None:
        return ""
    blocks = "".join(
        f'<span style="display:inline-block;width:16px;height:12px;background:{c}"></span>'
        for c in SCALE
    )
    what = "" if colour == "speed" else " against SW"
    return f'<span style="white-space:nowrap">0 {blocks} {end:g} {COLOURS[colour]}{what}</span>'


def _plots(curves, rdf, target, size):
    figure = Picture(size[0] / 100, size[1] / 100)
    heat, energy, g = figure.subplots(3, 1)
    for ax in (heat, energy, g):
        quiet(ax)
        ax.tick_params(labelsize=8)
        ax.locator_params(axis="y", nbins=4)
    if curves:
        t, T, wanted, E = np.array(curves).T
        heat.plot(t, T, color=RED, lw=1, label="atoms")
        heat.plot(t, wanted, color=GREY, lw=1.2, ls="--", label="thermostat")
        heat.legend(
            fontsize=7, frameon=False, loc="upper left", ncol=2, borderpad=0, handlelength=1.4
        )
        heat.set_ylim(0, 1.35 * max(T.max(), wanted.max(), 100))
        energy.plot(t, E, color=BLUE, lw=1)
    if rdf is not None:
        g.fill_between(*rdf, color=ORANGE, alpha=0.25, lw=0)
        g.plot(*rdf, color=ORANGE, lw=1.2)
        g.set_ylim(0, max(3.0, min(12, 1.1 * rdf[1].max())))
    g.set_xlim(0, FARTHEST)
    for ax in (heat, energy) * (not curves) + (g,) * (rdf is None):
        ax.set_yticks([])  # no numbers that nothing was measured in
    for ax, x, y in (
        (heat, "", "T (K)"),
        (energy, "time (ps)", "$E_{pot}$ (eV/atom)"),
        (g, "r (Å)", "g(r)"),
    ):
        ax.set_xlabel(x, fontsize=8.5, labelpad=1)
        ax.set_ylabel(y, fontsize=8.5)
    figure.align_ylabels()
    return figure.png(130)
