"""A perfect crystal, its cubic cell, and the volume at which its pressure is zero."""

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, PropertyNotImplementedError

from .graph import check_cell, check_masses, pairs
from .refusal import refuse


def crystal_of(atoms: Atoms) -> Atoms:
    """A copy of a perfect crystal without calculator; ValueError where the cell has no volume."""
    check_cell(atoms)
    check_masses(atoms)
    words = "a crystal must have atoms and must be periodic in three directions"
    refuse(not atoms.pbc.all() or not len(atoms), words)
    refuse(not atoms.numbers.all(), "a crystal has no atoms 'X' without an element")
    (close,) = pairs(atoms, 0.1, "d")
    refuse(len(close), "two atoms of the crystal are at the same place, within 0.1 Å")
    out = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    out.set_masses(atoms.get_masses())
    if atoms.has("initial_magmoms"):
        out.set_initial_magnetic_moments(atoms.get_initial_magnetic_moments())
    return out


def symmetry(atoms: Atoms) -> Any:
    """spglib's dataset of a crystal, or None; a magnetic moment of its own makes a kind of atom."""
    import spglib

    kinds, moments = atoms.numbers, atoms.get_initial_magnetic_moments()
    if moments.any():
        rows = np.column_stack([kinds, moments.round(3)])
        kinds = np.unique(rows, axis=0, return_inverse=True)[1].ravel() + 1
    structure = (atoms.cell.array, atoms.get_scaled_positions(), kinds)
    return spglib.get_symmetry_dataset(structure, symprec=1e-3)


def in_standard_frame(atoms: Atoms) -> tuple[Atoms, np.ndarray]:
    """(a copy turned into its standard frame, the rotation [3, 3] R of column vectors, r' = R r).

    There a cubic crystal's axes are x, y and z; of others the first axis is along x and the second
    in the plane of x and y, as spglib has it.
    """
    data, out = symmetry(atoms), atoms.copy()
    if data is None or np.allclose(data.std_rotation_matrix, np.eye(3), atol=1e-6):
        return out, np.eye(3)
    rotation = data.std_rotation_matrix
    out.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    return out, rotation


def cubic_edge(atoms: Atoms) -> float:
    """Edge in Å of the conventional cell of a cubic crystal, from any of its cells; else nan."""
    data = symmetry(atoms)
    if data is None or data.number < 195:
        return float("nan")
    return float(abs(np.linalg.det(data.std_lattice)) ** (1 / 3))


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """A copy in the cell (1 + strain) [3, 3], atoms carried along."""
    out = atoms.copy()
    out.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return out


def hessian(atoms: Atoms, displacement: float = 0.01) -> np.ndarray:
    """Second derivatives of the energy [3N, 3N] in eV/Å² of atoms with a calculator.

    displacement: of central differences of the forces, in Å.
    """
    start, rows = atoms.positions.copy(), []
    for n in range(start.size):
        forces = []
        for step in (displacement, -displacement):
            atoms.positions.flat[n] += step
            forces.append(atoms.get_forces().ravel())
            atoms.positions[:] = start
        rows.append((forces[1] - forces[0]) / (2 * displacement))
    whole = np.array(rows)
    return (whole + whole.T) / 2


def with_calculator(atoms: Atoms, calculator: Any) -> Atoms:
    """The same object, not a copy, with this calculator of ASE's."""
    words = f"a calculator of ASE's is needed, not {type(calculator).__name__}"
    refuse(not hasattr(calculator, "get_property"), words, TypeError)
    atoms.calc = calculator
    return atoms


def stress(atoms: Atoms, calculator: Calculator) -> np.ndarray:
    """Stress [6] in GPa; ValueError where the calculator knows none."""
    with_calculator(atoms, calculator)
    try:
        return atoms.get_stress() / units.GPa
    except (PropertyNotImplementedError, NotImplementedError):
        name = type(calculator).__name__
        raise ValueError(f"{name} knows no stress, which this property needs") from None


def at_zero_pressure(atoms: Atoms, calculator: Calculator, accuracy: float = 1e-3) -> Atoms:
    """The crystal, all lengths scaled alike, where its pressure is within `accuracy` GPa of zero.

    Raises RuntimeError where no such volume is found in 30 secant steps.
    """
    atoms = crystal_of(atoms)
    scaled = lambda x: strained(atoms, (np.exp(x) - 1) * np.eye(3))
    pressure = lambda x: -stress(scaled(x), calculator)[:3].mean()
    x, p = 0.0, pressure(0.0)
    slope = -250.0  # GPa per logarithm of the length, three times a bulk modulus
    for _ in range(30):
        if abs(p) < accuracy:
            return scaled(x)
        move = float(np.clip(-p / slope, -0.03, 0.03))
        x, before = x + move, p
        p = pressure(x)
        if p < before and move > 0 or p > before and move < 0:
            slope = (p - before) / move
        if not np.isfinite(p) or abs(x) > 0.3:
            break
    last = f"the last pressure was {p:.3g} GPa at {np.exp(x):.3f} times the length"
    raise RuntimeError(f"no volume with zero pressure was found; {last}")


def lattice_constant(atoms: Atoms, calculator: Calculator) -> float:
    """Edge in Å of the cubic cell at zero pressure, from any cell of the crystal.

    Of a crystal that is not cubic, the cube root of its cell's volume. Raises as at_zero_pressure.
    """
    out = at_zero_pressure(atoms, calculator)
    edge = cubic_edge(out)
    return edge if np.isfinite(edge) else float(out.get_volume() ** (1 / 3))
