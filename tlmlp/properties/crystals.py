"""Phases: which crystal is the most stable at which volume. Units: Å, eV, GPa."""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator

from .mechanics import EquationOfState, equation_of_state

PHASES = ("diamond", "beta-tin", "sc", "bcc", "fcc")
SPAN = 0.02  # of the length: what Birch and Murnaghan fit to 0.1 meV per atom
AXIAL_RATIO = 0.55  # c / a of beta-tin, held: some potentials would turn it into diamond
# Volumes of an atom over that in diamond, where a search begins: about those of silicon by DFT.
VOLUME = {"diamond": 1.0, "beta-tin": 0.75, "sc": 0.80, "bcc": 0.72, "fcc": 0.72}


class Phases(NamedTuple):
    curves: dict[str, EquationOfState]  # of each phase
    missing: dict[str, str]  # of a phase without one: why

    @property
    def differences(self) -> dict[str, float]:
        """Energy of each phase above diamond, both at their best volume, in eV per atom."""
        lowest = self.curves["diamond"].energy
        return {name: eos.energy - lowest for name, eos in self.curves.items()}

    def pressure(self, phase: str, start: str = "diamond") -> float:
        """Pressure in GPa, of 0 to 100, at which `start` turns into `phase` at 0 K; or nan.

        There both have the same enthalpy H = E + PV: it is the slope of their common tangent.
        """
        from scipy.optimize import brentq

        def enthalpy(eos, p):
            v = np.linspace(0.6, 1.2, 1201) * eos.volume
            return (eos.at(v) + p * units.GPa * v).min()

        difference = lambda p: enthalpy(self.curves[phase], p) - enthalpy(self.curves[start], p)
        pressures = np.arange(0, 101.0)
        higher = [difference(p) > 0 for p in pressures]
        if not higher[0] or all(higher):
            return float("nan")
        first = higher.index(False)
        return float(brentq(difference, pressures[first - 1], pressures[first], xtol=1e-3))


def crystal(symbol: str, phase: str, lattice_constant: float) -> Atoms:
    """Eight atoms in one of PHASES, at about the volume that goes with a diamond lattice in Å."""
    if phase not in PHASES:
        raise ValueError(f"phase must be one of {', '.join(PHASES)}, not {phase!r}")
    volume = VOLUME[phase] * lattice_constant**3 / 8
    if phase == "diamond":
        return bulk(symbol, "diamond", a=lattice_constant, cubic=True)
    if phase == "beta-tin":
        a = (4 * volume / AXIAL_RATIO) ** (1 / 3)
        places = [(0, 0, 0), (0, 0.5, 0.25), (0.5, 0.5, 0.5), (0.5, 0, 0.75)]
        cell = (a, a, AXIAL_RATIO * a)
        half = Atoms([symbol] * 4, scaled_positions=places, cell=cell, pbc=True)
        return half.repeat((1, 1, 2))
    per_cube, repeat = {"sc": (1, (2, 2, 2)), "bcc": (2, (2, 2, 1)), "fcc": (4, (2, 1, 1))}[phase]
    return bulk(symbol, phase, a=(per_cube * volume) ** (1 / 3), cubic=True).repeat(repeat)


def phases(symbol: str, calculator: Calculator, lattice_constant: float) -> Phases:
    """Energy against volume of several crystals, each of one shape at all volumes.

    `lattice_constant` is that of the element's diamond structure in Å, within some 10 %. A phase
    whose energy has no minimum is left out, with the reason in `missing`.
    """
    curves, missing = {}, {}
    for name in reversed(PHASES):  # most neighbours first: a network compiled for them fits all
        try:
            atoms = crystal(symbol, name, lattice_constant)
            curves[name] = equation_of_state(atoms, calculator, SPAN)
        except RuntimeError as error:
            missing[name] = str(error)
    return Phases({name: curves[name] for name in PHASES if name in curves}, missing)
