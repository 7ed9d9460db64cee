"""Phases: which crystal is the most stable at which volume. Units: Å, eV, GPa."""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import bulk

from .mechanics import equation_of_state

PHASES = ("diamond", "beta-tin", "sc", "bcc", "fcc")
SPAN = 0.02  # of the length: what Birch and Murnaghan fit to 0.1 meV an atom, also where neighbours cross a cutoff
AXIAL_RATIO = (
    0.55  # c / a of beta-tin, held: where it may relax, some potentials turn it into diamond
)
# Volumes of an atom, in those of diamond, where a search begins; of DFT for silicon, but for fcc and bcc all are much alike.
VOLUME = {"diamond": 1.0, "beta-tin": 0.75, "sc": 0.80, "bcc": 0.72, "fcc": 0.72}


class Phases(NamedTuple):
    curves: dict  # of a phase: EquationOfState
    missing: dict  # of a phase: why it has none

    @property
    def differences(self):
        """Energy of each phase above diamond, both at their best volume, in eV per atom."""
        return {
            name: eos.energy - self.curves["diamond"].energy for name, eos in self.curves.items()
        }

    def pressure(self, phase, start="diamond"):
        """Pressure in GPa, of 0 to 100, at which `start` turns into `phase` at 0 K: where H = E + PV of both is the same.

        It is the slope of their common tangent; nan where there is none.
        """
        from scipy.optimize import brentq

        def enthalpy(eos, p):
            v = np.linspace(0.6, 1.2, 1201) * eos.volume
            return (eos.at(v) + p * units.GPa * v).min()

        difference = lambda p: enthalpy(self.curves[phase], p) - enthalpy(self.curves[start], p)
        pressures = np.arange(0, 101.0)
        ahead = [difference(p) > 0 for p in pressures]
        if ahead[0] and not all(ahead):
            first = ahead.index(False)
            return float(brentq(difference, pressures[first - 1], pressures[first], xtol=1e-3))
        return float("nan")

    def plot(self):
        from . import plot

        return plot({"": self})


def crystal(symbol, phase, lattice_constant):
    """ase.Atoms, 8 of them, in one of PHASES, at about the volume that belongs to a diamond lattice of so many Å."""
    if phase not in PHASES:
        raise ValueError(f"phase must be one of {', '.join(PHASES)}, not {phase!r}")
    volume = VOLUME[phase] * lattice_constant**3 / 8
    if phase == "diamond":
        return bulk(symbol, "diamond", a=lattice_constant, cubic=True)
    if phase == "beta-tin":
        a = (4 * volume / AXIAL_RATIO) ** (1 / 3)
        places = [(0, 0, 0), (0, 0.5, 0.25), (0.5, 0.5, 0.5), (0.5, 0, 0.75)]
        return Atoms(
            [symbol] * 4, scaled_positions=places, cell=(a, a, AXIAL_RATIO * a), pbc=True
        ).repeat((1, 1, 2))
    per_cube, repeat = {"sc": (1, (2, 2, 2)), "bcc": (2, (2, 2, 1)), "fcc": (4, (2, 1, 1))}[phase]
    return bulk(symbol, phase, a=(per_cube * volume) ** (1 / 3), cubic=True).repeat(repeat)


def phases(symbol, calculator, lattice_constant, names=PHASES):
    """Phases: energy against volume of several crystals, each of one shape at all volumes.

    symbol: of the element; lattice_constant: Å, of its diamond, within some 10 %. A phase whose energy has no minimum is left out,
    with the reason in `missing`.
    """
    curves, missing = {}, {}
    for name in sorted(
        names, key=PHASES.index, reverse=True
    ):  # the one with the most neighbours first: compiled once, fits all
        try:
            curves[name] = equation_of_state(
                crystal(symbol, name, lattice_constant), calculator, SPAN
            )
        except RuntimeError as error:
            missing[name] = str(error)
    return Phases({name: curves[name] for name in PHASES if name in curves}, missing)
