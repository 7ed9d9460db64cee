"""Exercises on alchemical atoms: the slope by a fraction, and a composition that is wanted."""

import numpy as np
from ase import Atoms
from ase.build import bulk

from .. import crystal
from ..alchemy import AlchemicalCalculator
from ..potential import Potential
from .checks import Verdict, judge, recorded

WITHIN = 2e-3  # Å, between a lattice constant and the one that is wanted


@recorded
def check_fraction_slope(answer, calculator: AlchemicalCalculator, atoms: Atoms) -> Verdict:
    """∂E/∂λ in eV, one number for the alchemical atoms of a calculator, within 1 %."""
    slope, n = float(calculator.slopes(atoms).sum()), len(atoms)
    wrong = (
        (slope / 2, "this is half of it: the two energies are 2h apart, divide by 2h."),
        (2 * slope, "this is twice as much: the two energies are 2h apart, divide by 2h."),
        (-slope, "the sign: the energy at λ + h comes first."),
        (slope / n, f"this is for each of {n} atoms; E is the energy of all."),
    )
    right = slope, f"ΔE/Δλ = {slope:.3f} eV, as the gradient of the network gives it."
    otherwise = "take the energies at λ + h and λ - h, and divide their difference by 2h."
    return judge(answer, lambda value: 0.01 * abs(value), right, wrong, otherwise)


@recorded
def check_composition(answer, wanted: float, potential: Potential, way: str = "nodes") -> Verdict:
    """A fraction of germanium whose alchemical crystal has the lattice constant `wanted` (Å)."""
    number = isinstance(answer, (int, float, np.number)) and not isinstance(answer, bool)
    if not number or not 0 <= answer <= 1:
        return Verdict(False, f"a fraction is a number from 0 to 1, not {answer!r}.")
    calculator = AlchemicalCalculator(potential, ("Si", "Ge"), float(answer), way=way)
    edge = crystal.lattice_constant(bulk("Si", "diamond", a=wanted), calculator)
    found = f"at x = {answer:.3f} the lattice constant is {edge:.4f} Å"
    if abs(edge - wanted) <= WITHIN:
        return Verdict(True, f"{found}, within {1e3 * WITHIN:g} mÅ of {wanted:g} Å.")
    more = "more" if edge < wanted else "less"
    return Verdict(False, f"{found}, not {wanted:g} Å: it needs {more} germanium.")
