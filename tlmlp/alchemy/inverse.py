"""The composition at which a crystal has a property that is wanted.

    a(λ):  ∂E/∂x = 0, x = ln a       da/dλ = -a (∂²E/∂x∂λ) / (∂²E/∂x²)
    B(λ) = -V ∂P/∂V at a(λ)

a is the lattice constant in Å, B the bulk modulus in GPa, P the pressure, V the volume. Derivatives
by x are central differences of the stress and of ∂E/∂λ; dB/dλ is a central difference of B.
Newton's method finds λ, and bisection where it would leave the interval that holds the solution.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms, units

from ..crystal import at_zero_pressure, crystal_of, cubic_edge, strained
from ..refusal import is_whole, one_of, positive, refuse
from .mixed import AlchemicalCalculator, alchemical

STRAIN = 0.003  # of the length, to either side
CHANGE = 0.02  # of λ, likewise


class Step(NamedTuple):
    fraction: float  # λ of all alchemical atoms
    value: float  # of the quantity: Å or GPa
    slope: float  # its derivative by λ


def descend(
    calculator: AlchemicalCalculator,
    atoms: Atoms,
    wanted: float,
    quantity: str = "lattice_constant",
    start: float = 0.5,
    steps: int = 12,
    accuracy: float = 1e-4,
) -> Iterator[Step]:
    """Find the fraction, one for all alchemical atoms, at which a crystal has a wanted property.

    The crystal keeps its shape and its fractional positions, as symmetry wants it where all atoms
    are alchemical. The calculator keeps the fraction of the last step.

    Args:
        calculator: float64 for a bulk modulus of more than three digits.
        atoms: any cell of the crystal.
        wanted: Å or GPa, between the values of the two elements.
        quantity: "lattice_constant" (of the cubic cell) or "bulk_modulus".
        start: the first fraction.
        steps: at most so many.
        accuracy: of the value, relative to the wanted one.

    Yields a Step for each fraction; the last one is the answer. Raises ValueError for a value that
    none between both elements has, RuntimeError for too few steps, TypeError for other calculators.
    """
    alchemical(calculator)
    one_of("quantity", quantity, VALUES)
    positive(wanted=wanted, accuracy=accuracy)
    refuse(not 0 <= start <= 1, f"start must be a fraction from 0 to 1, not {start!r}")
    refuse(not is_whole(steps), f"steps must be a whole number of at least 1, not {steps!r}")
    crystal, of = crystal_of(atoms), VALUES[quantity]
    ends = [of(calculator, crystal, end)[0] for end in (0.0, 1.0)]
    words = f"{quantity} goes from {ends[0]:.4g} to {ends[1]:.4g} between the elements"
    refuse(not min(ends) <= wanted <= max(ends), f"{words}; {wanted:g} is outside")
    low, high, fraction = 0.0, 1.0, float(start)
    for _ in range(steps):
        value, slope = of(calculator, crystal, fraction)
        yield Step(fraction, value, slope)
        if abs(value - wanted) <= accuracy * wanted:
            return
        below = (value < wanted) == (ends[0] < ends[1])
        low, high = (fraction, high) if below else (low, fraction)
        newton = fraction - (value - wanted) / slope if slope else low
        fraction = newton if low < newton < high else (low + high) / 2
    words = f"{quantity} was {value:.6g} after {steps} steps, not {wanted:g}"
    raise RuntimeError(f"{words}; allow more steps, or a larger accuracy")


def _lattice_constant(calculator, crystal, fraction):
    """(a in Å, da/dλ in Å)."""
    calculator.fractions = fraction
    crystal = at_zero_pressure(crystal, calculator)
    edge = cubic_edge(crystal)
    edge = edge if np.isfinite(edge) else crystal.get_volume() ** (1 / 3)
    forces, slopes = np.subtract(*(_by_length(calculator, crystal, h) for h in (STRAIN, -STRAIN)))
    return float(edge), float(-edge * slopes / forces)


def _bulk_modulus(calculator, crystal, fraction):
    """(B in GPa, dB/dλ in GPa)."""
    points, found = [max(0.0, fraction - CHANGE), min(1.0, fraction + CHANGE), fraction], []
    for calculator.fractions in points:
        middle = at_zero_pressure(crystal, calculator)
        up, down = (_by_length(calculator, middle, h)[0] for h in (STRAIN, -STRAIN))
        width = np.log((1 + STRAIN) / (1 - STRAIN))
        found.append((up - down) / width / (9 * middle.get_volume()) / units.GPa)
    return float(found[2]), float((found[1] - found[0]) / (points[1] - points[0]))


def _by_length(calculator, crystal, strain):
    """(∂E/∂ln a, ∂E/∂λ) in eV, in a cell that is larger by `strain` of the length."""
    atoms = strained(crystal, strain * np.eye(3))
    atoms.calc = calculator
    by_length = atoms.get_stress()[:3].sum() * atoms.get_volume()
    return np.array([by_length, calculator.slopes(atoms).sum()])


VALUES = dict(lattice_constant=_lattice_constant, bulk_modulus=_bulk_modulus)
