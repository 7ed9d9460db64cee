"""Curvatures of the energy: how stiff is a structure at rest along fixed directions?

    k = -e·[F(+u e) - F(-u e)] / 2u      curvature along a direction e, by displacements u

`softening_of_curvature` asks the same as `softening`, without a test set. Units: Å, eV/Å².
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import ArrayLike

from ..crystal import hessian, with_calculator
from ..refusal import is_whole, refuse
from .blocks import bare


class Curvatures(NamedTuple):
    reference: np.ndarray  # [M] eV/Å², along each direction
    predicted: np.ndarray  # [M] eV/Å²
    slope: float  # Σ k_ref k_pred / Σ k_ref²
    spread: float  # standard deviation of k_pred / k_ref over the directions


def modes(atoms: Atoms, calculator: Calculator, n: int | None = None) -> np.ndarray:
    """Directions [M, N, 3] of length 1 along which a structure at rest vibrates, softest first.

    They are the eigenvectors of its Hessian, in 6 N force calls. The three translations are left
    out; of the rest, `n` are chosen, evenly spread [default: all].
    """
    words = f"n must be a whole number of at least 1, or None for all, not {n!r}"
    refuse(n is not None and not is_whole(n), words)
    moved, N = with_calculator(bare(atoms), calculator), len(atoms)
    shift = np.tile(np.eye(3), (N, 1)) / N**0.5
    keep = np.eye(3 * N) - shift @ shift.T
    _, vectors = np.linalg.eigh(keep @ hessian(moved) @ keep)
    rest = np.flatnonzero(np.linalg.norm(shift.T @ vectors, axis=0) < 0.5)
    if n is not None:
        rest = rest[np.unique(np.linspace(0, len(rest) - 1, n).round().astype(int))]
    return vectors[:, rest].T.reshape(len(rest), N, 3)


def curvatures(
    atoms: Atoms, calculator: Calculator, directions: ArrayLike, displacement: float = 0.05
) -> np.ndarray:
    """Second derivatives [M] of the energy in eV/Å² along directions [M, N, 3] of length 1."""
    moved, out = with_calculator(bare(atoms), calculator), []
    for e in np.asarray(directions, float):
        forces = []
        for sign in (1, -1):
            moved.positions = atoms.positions + sign * displacement * e
            forces.append(moved.get_forces())
        out.append(-((forces[0] - forces[1]) * e).sum() / (2 * displacement))
    return np.array(out)


def softening_of_curvature(
    atoms: Atoms, reference: Calculator, calculator: Calculator, n: int = 40
) -> Curvatures:
    """Curvatures of a calculator beside those of a reference, along `n` of the reference's modes.

    `atoms` are a structure in which the reference has no forces, such as a perfect crystal.
    """
    directions = modes(atoms, reference, n)
    true = curvatures(atoms, reference, directions)
    guess = curvatures(atoms, calculator, directions)
    firm = true > 0.02 * true.max()
    slope, spread = true @ guess / (true @ true), np.std(guess[firm] / true[firm])
    return Curvatures(true, guess, float(slope), float(spread))
