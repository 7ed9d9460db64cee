"""Watch: atoms that move while you look, at a temperature that you set."""

import time
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from ase import units

from .live import duration, sentence
from .player import Player
from .viewer import nglview_of, wrapping

HOTTEST = 3000  # K, end of the slider
FASTEST = 30  # kT; heat gives an atom so much once in 10^12 times
LOST = "Two atoms came closer than the potential has ever seen, or the time step is too long. Stop takes the atoms back."
BACK = "Stopped; the atoms are back where they started."


class Frame(NamedTuple):
    """What the viewer shows of the dynamics."""

    positions: np.ndarray  # [N, 3] Å
    time: float  # ps
    temperature: float  # K
    energy: float  # potential, eV/atom
    speed: float  # steps per second


def watch(dynamics, steps_per_frame=5, pause_after=180, autoplay=True, size=(480, 400)):
    """A viewer beside the controls of any ASE dynamics, such as ase.md.langevin.Langevin; see Watch."""
    return Watch(dynamics, steps_per_frame, pause_after, autoplay, size)


class Watch(Player):
    """Molecular dynamics in the background, drawn as it goes.

    dynamics: ASE dynamics whose atoms have a calculator; with a `set_temperature` there is a slider for it.
    steps_per_frame: steps of the dynamics between two frames, of which there are ten a second at most.
    pause_after: s after which it pauses by itself, so that a forgotten notebook does not work for ever.
    autoplay: whether it plays as soon as the browser shows it. size: of the viewer, in pixels.

    Pause keeps the atoms where they are, Stop takes them back to where they started. It stops with a sentence when a number
    is no longer one, or when the temperature runs away.
    """

    interval = 0.1

    def __init__(
        self, dynamics, steps_per_frame=5, pause_after=180, autoplay=True, size=(480, 400)
    ):
        if dynamics.atoms.calc is None:
            raise ValueError(
                "the atoms have no calculator; set atoms.calc = potential.calculator()"
            )
        if (
            isinstance(steps_per_frame, bool)
            or not isinstance(steps_per_frame, int)
            or steps_per_frame < 1
        ):
            raise ValueError(
                f"steps_per_frame must be a whole number of at least 1, not {steps_per_frame!r}"
            )
        self.dynamics, self.atoms = dynamics, dynamics.atoms
        self.steps_per_frame, self.pause_after = steps_per_frame, pause_after
        self._start = dynamics.atoms.positions.copy(), dynamics.atoms.get_momenta()
        self._steps, self._sent = 0, None
        self._wrap = wrapping(self.atoms)
        self.view = nglview_of(self.atoms, self._wrap, size)

        self._target = self._temperature_of(dynamics)
        self._hottest = self._target
        self._play = widgets.Button(
            description="Play", icon="play", layout=widgets.Layout(width="110px")
        )
        self._stop = widgets.Button(
            description="Stop",
            icon="stop",
            tooltip="end, and go back to the start",
            layout=widgets.Layout(width="110px"),
        )
        self._slider = widgets.IntSlider(
            round(self._target or 0),
            0,
            max(HOTTEST, round(self._target or 0)),
            50,
            continuous_update=True,
            readout=False,
            layout=widgets.Layout(width="250px"),
        )
        self._heading = widgets.HTML()
        self._numbers = widgets.HTML(_table(None, self._target))
        controls = [widgets.HBox([self._play, self._stop])]
        if self._target is not None:
            controls += [self._heading, self._slider]
        side = widgets.VBox(
            [*controls, self._numbers], layout=widgets.Layout(width="280px", padding="0 0 0 16px")
        )
        super().__init__([widgets.HBox([self.view, side])])
        self._set_target(self._slider.value)
        self.layout.overflow = "hidden"
        self._play.on_click(lambda _: self.pause() if self.running else self.play())
        self._stop.on_click(lambda _: self.stop())
        self._slider.observe(lambda change: self._set_target(change["new"]), "value")
        if autoplay:
            self.status.value = sentence("Waiting for the browser to show the atoms.")
            self.view.observe(self._shown, "loaded")
        else:
            self.status.value = sentence("Press Play.")

    def _shown(self, change):
        if change["new"] and self._run is None:
            self.play()

    def _temperature_of(self, dynamics):
        """Target of the thermostat in K; None where there is nothing to set."""
        if not hasattr(dynamics, "set_temperature"):
            return None
        kT = getattr(dynamics, "temp", None)
        return (
            float(kT / units.kB)
            if np.ndim(kT) == 0 and kT is not None
            else self.atoms.get_temperature()
        )

    def _set_target(self, temperature):
        if self._target is None:
            return
        self._target = float(temperature)
        self._heading.value = f"Temperature of the thermostat: <b>{temperature:.0f} K</b>"

    # -- what Live asks for --------------------------------------------------------------------------------------------

    def work(self):
        self._rewind()
        applied, begun, first = None, None, self._steps
        while True:
            frame_begun = time.monotonic()
            target = self._target
            if target is not None and target != applied:
                self.dynamics.set_temperature(temperature_K=target)
                applied, self._hottest = target, max(self._hottest, target)
            self.dynamics.run(self.steps_per_frame)
            self._steps += self.steps_per_frame
            if begun is None:
                begun, first = time.monotonic(), self._steps  # the first frame includes compilation
            frame = self._frame(begun, first)
            self._sound(frame)
            yield frame
            pause = self.interval - (time.monotonic() - frame_begun)
            if pause > 0:
                self._run.stop.wait(pause)

    def _frame(self, begun, first):
        atoms, seconds = self.atoms, time.monotonic() - begun
        speed = (self._steps - first) / seconds if self._steps > first else float("nan")
        return Frame(
            atoms.positions.copy(),
            self._steps * self.dynamics.dt / units.fs / 1000,
            float(atoms.get_temperature()),
            float(atoms.get_potential_energy()) / len(atoms),
            speed,
        )

    def _sound(self, frame):
        if not (np.isfinite(frame.positions).all() and np.isfinite(frame.energy)):
            raise FloatingPointError(
                f"the simulation broke down at {frame.time:.2f} ps: a position or an energy is no longer a number. "
                f"Take a shorter time step, or a potential that knows such structures. Stop takes the atoms back."
            )
        if self._target is None:
            return
        if frame.temperature > 2 * self._hottest + 1000:
            raise FloatingPointError(
                f"the atoms reached {frame.temperature:.0f} K, far above the {self._hottest:.0f} K asked for. {LOST}"
            )
        kinetic = (self.atoms.get_momenta() ** 2).sum(1) / (2 * self.atoms.get_masses())
        if kinetic.max() > FASTEST * units.kB * (self._hottest + 300):
            raise FloatingPointError(
                f"atom {kinetic.argmax()} has {kinetic.max():.1f} eV of kinetic energy, far more than heat gives it at "
                f"{self._hottest:.0f} K. {LOST}"
            )

    def _back(self):
        positions, momenta = self._start
        self.atoms.positions[:] = positions
        self.atoms.set_momenta(momenta, apply_constraint=False)
        self._steps, self._sent = 0, None
        self._hottest = self._target
        self.view.set_coordinates({0: self._wrap(positions)})
        self._numbers.value = _table(None, self._target)
        self.status.value = sentence(BACK)

    def paint(self, run):
        running, frame = not run.stop.is_set(), run.latest
        self._play.description, self._play.icon = (
            ("Pause", "pause") if running else ("Play", "play")
        )
        if self._went_back(run):
            return
        if frame is not None and frame is not self._sent:
            self.view.set_coordinates({0: self._wrap(frame.positions)})
            self._sent = frame
            self._numbers.value = _table(frame, self._target)
        if running and self.pause_after and run.seconds > self.pause_after:
            super().stop("rested")
        words = {
            "": "The atoms move."
            if frame
            else f"Compiling the potential for {len(self.atoms)} atoms, {duration(run.seconds)}.",
            "paused": "Paused.",
            "stopped": BACK,
            "rested": f"Paused after {duration(self.pause_after)}, to spare the processor. Play goes on.",
            "superseded": "Paused, because another viewer plays. Play goes on here.",
        }.get(run.how, "Stopped.")
        self.status.value = sentence(words)


def _table(frame, target):
    rows = [
        ("time", f"{frame.time:.2f} ps" if frame else "0 ps"),
        ("temperature", f"{frame.temperature:.0f} K" if frame else "–"),
        ("potential energy", f"{frame.energy:.3f} eV/atom" if frame else "–"),
        ("speed", f"{frame.speed:.0f} steps/s" if frame and frame.speed == frame.speed else "–"),
    ]
    cell = 'style="padding: 2px 12px 2px 0; text-align: {}; white-space: nowrap; font-variant-numeric: tabular-nums"'
    return (
        "<table>"
        + "".join(
            f"<tr><td {cell.format('left')}>{name}</td><td {cell.format('left')}><b>{value}</b></td></tr>"
            for name, value in rows
        )
        + "</table>"
    )
