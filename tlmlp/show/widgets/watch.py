"""Watch: atoms that move while you look, at a temperature that you set."""

import time

import ipywidgets as widgets
import numpy as np
from ase import units

from ...refusal import is_whole, refuse
from ...simulate import health
from .controls import NUMBERS, slider, tag, text
from .player import Player

HOTTEST = 3000  # K, end of the slider
FASTEST = 30  # kT; heat gives an atom so much once in 10^12 times
NOTHING = dict.fromkeys(("time", "temperature", "potential energy", "speed"), "–")


class Watch(Player):
    """Molecular dynamics in the background, drawn as it goes.

    dynamics: ASE dynamics, such as ase.md.langevin.Langevin, whose atoms have a calculator; with a
    `set_temperature` there is a slider for it. steps_per_frame: steps of the dynamics between two
    frames, of which there are ten a second at most. pause_after: s after which it pauses by itself.
    autoplay: whether it plays as soon as the browser shows it. size: of the viewer, in pixels.

    It stops with a sentence when a number is no longer one, or when the temperature runs away.
    """

    interval, noun = 0.1, "viewer"

    def __init__(
        self, dynamics, steps_per_frame=5, pause_after=180, autoplay=True, size=(480, 400)
    ):
        words = "the atoms have no calculator; set atoms.calc = potential.calculator()"
        refuse(dynamics.atoms.calc is None, words)
        words = f"steps_per_frame must be a whole number of at least 1, not {steps_per_frame!r}"
        refuse(not is_whole(steps_per_frame), words)
        super().__init__(pause_after=pause_after)
        self.dynamics, self.atoms, self.size = dynamics, dynamics.atoms, size
        self.steps_per_frame, self.steps, self.frame = steps_per_frame, 0, None
        self.beginning = f"Compiling the potential for {len(self.atoms)} atoms"
        self.rest = [self.atoms.copy()]
        self.target = self._hottest = self._applied = self._temperature()
        kelvin = round(self.target or 0)
        self.thermostat = slider(kelvin, max(HOTTEST, kelvin), "temperature in K", 50, 250)
        self.thermostat.observe(self.heat, "value")
        self.heading, self.numbers = text(), text()
        thermostat = [] if self.target is None else [self.heading, self.thermostat]
        side = [widgets.HBox([self.play_button, self.stop_button]), *thermostat, self.numbers]
        self.beside = [widgets.VBox(side, layout=dict(width="280px", padding="0 0 0 16px"))]
        self.children = [self.stage, self.status]
        self.redraw()
        if autoplay:
            self.say("Waiting for the browser to show the atoms.")
            self.views[0].heard += (lambda: None if self.begun else self.play(),)

    def _temperature(self):
        """Target of the thermostat in K; None where there is nothing to set."""
        if not hasattr(self.dynamics, "set_temperature"):
            return None
        names = ("temperature_K", "temp", "temperature")
        own = [x for name in names if np.ndim(x := getattr(self.dynamics, name, ())) == 0]
        if not own:
            return self.atoms.get_temperature()
        return float(own[0] if own[0] > 1 else own[0] / units.kB)  # ASE has K, and kT in eV

    def work(self):
        begun, first = None, self.steps
        while True:
            clock, target = time.monotonic(), self.target
            if target != self._applied:
                self.dynamics.set_temperature(temperature_K=target)
                self._applied, self._hottest = target, max(self._hottest, target)
            self.dynamics.run(self.steps_per_frame)
            self.steps += self.steps_per_frame
            if begun is None:  # the first frame includes compilation
                begun, first = time.monotonic(), self.steps
            yield self._frame((self.steps - first) / max(time.monotonic() - begun, 1e-9))
            time.sleep(max(0.0, self.interval - (time.monotonic() - clock)))

    def take(self, frame):
        self.frame = frame

    def _frame(self, speed):
        """The atoms as they are now, without calculator; info: what to say of them."""
        frame, time_ps = self.atoms.copy(), self.steps * self.dynamics.dt / units.fs / 1000
        energy = float(self.atoms.get_potential_energy()) / len(frame)
        hottest = np.inf if self.target is None else self._hottest
        temperature = frame.get_temperature()
        words = health.check((frame.positions, energy), temperature, hottest, time_ps)
        kinetic = (frame.get_momenta() ** 2).sum(1) / (2 * frame.get_masses())
        if not words and kinetic.max() > FASTEST * units.kB * (hottest + 300):
            words = f"Atom {kinetic.argmax()} has {kinetic.max():.1f} eV of kinetic energy, far "
            words += f"more than heat gives it at {hottest:.0f} K: the potential is wrong for such "
            words += "structures, or the timestep is too long."
        if words:
            raise FloatingPointError(f"{words} Stop takes the atoms back.")
        energy, speed = f"{energy:.3f} eV/atom", f"{speed:.0f} steps/s" if speed else "–"
        told = f"{time_ps:.2f} ps", f"{temperature:.0f} K", energy, speed
        frame.info = dict(zip(NOTHING, told))
        return frame

    def back(self):
        self.atoms.set_cell(self.rest[0].cell)
        self.atoms.positions[:] = self.rest[0].positions
        self.atoms.set_momenta(self.rest[0].get_momenta(), apply_constraint=False)
        self.steps, self.frame, self._hottest = 0, None, self.target

    def frames(self):
        return [self.frame]

    def tell(self, run):
        self.heading.value = f"Temperature of the thermostat: <b>{self.thermostat.value:.0f} K</b>"
        rows = NOTHING if self.frame is None else self.frame.info
        cell = lambda words: tag("td", words, padding="2px 12px 2px 0", **NUMBERS)
        lines = (f"<tr>{cell(name)}{cell(f'<b>{words}</b>')}</tr>" for name, words in rows.items())
        self.numbers.value = f"<table>{''.join(lines)}</table>"
