"""Softening: are the hills of a predicted energy landscape as steep as those of the true one?

    s = Σ F_ref·F_pred / Σ F_ref²        slope of predicted against true forces, through the origin; below 1: too soft
    R² = 1 - Σ |F_pred - F_ref|² / Σ F_ref²
    s' = Σ F_ref·F_pred / Σ F_pred²      the other way round

A potential that has merely learned too little, and predicts forces that are right on average but miss part of them at random, has
s near R² and s' near 1 (as a regression has). One that is soft has s < 1, R² near s(2 - s), and s' near 1 / s. The curvature along
fixed directions asks the same without a training set: k = -e·[F(+u e) - F(-u e)] / 2u.

Source: B. Deng et al., npj Comput. Mater. 11, 9 (2025), arXiv 2405.07105. Units: eV/Å, eV/Å².
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms


class Slope(NamedTuple):
    """Of one group of structures."""

    slope: float  # s
    r2: float  # R², about the origin
    reverse: float  # s'
    error: float  # of s, standard error over structures
    frames: int


class Softening(NamedTuple):
    overall: Slope
    groups: dict  # Slope of each info["group"]
    true: np.ndarray  # [F] eV/Å, force components
    predicted: np.ndarray  # [F] eV/Å

    def plot(self):
        return _plot(self)


class Curvatures(NamedTuple):
    reference: np.ndarray  # [M] eV/Å², along each direction
    predicted: np.ndarray  # [M] eV/Å²
    slope: float  # Σ k_ref k_pred / Σ k_ref²
    spread: float  # standard deviation of k_pred / k_ref over the directions

    def plot(self):
        return _plot(self)


def _plot(result):
    from . import plot

    return plot({"": result})


def softening(frames, predicted):
    """Softening of predicted forces.

    frames: list of ase.Atoms that carry true forces; predicted: the same structures carrying predictions, a tlmlp.Potential, or any
    ASE calculator. Groups are those of info["group"]. The error of s is that of a ratio of sums over structures.
    """
    frames = list(frames)
    if not frames:
        raise ValueError("a slope needs at least one structure")
    true = [atoms.get_forces(apply_constraint=False) for atoms in frames]
    if hasattr(predicted, "predict"):
        guess = [atoms.get_forces() for atoms in predicted.predict(frames)]
    elif hasattr(predicted, "get_property"):
        guess = [_forces(atoms, predicted) for atoms in frames]
    else:
        guess = [atoms.get_forces(apply_constraint=False) for atoms in predicted]
    if [g.shape for g in guess] != [t.shape for t in true]:
        raise ValueError(
            f"there are {len(frames)} structures and {len(guess)} predictions; they must be the same, in one order"
        )
    names = [atoms.info.get("group") for atoms in frames]
    groups = sorted({name for name in names if name is not None})
    part = lambda name: _slope(
        *zip(*((t, g) for t, g, own in zip(true, guess, names) if own == name))
    )
    flat = lambda parts: np.concatenate([p.ravel() for p in parts])
    return Softening(
        _slope(true, guess),
        {name: part(name) for name in groups} if len(groups) > 1 else {},
        flat(true),
        flat(guess),
    )


def _forces(atoms, calculator):
    moved = atoms.copy()
    moved.calc = calculator
    return moved.get_forces(apply_constraint=False)


def _slope(true, guess):
    both, square, other = (
        np.array([float((a * b).sum()) for a, b in zip(x, y)])
        for x, y in ((true, guess), (true, true), (guess, guess))
    )
    if not square.sum() > 0:
        raise ValueError(
            "the true forces are all zero; a slope needs structures out of equilibrium"
        )
    s = both.sum() / square.sum()
    n = len(square)
    scatter = (
        np.sqrt(n / (n - 1) * np.square(both - s * square).sum()) / square.sum()
        if n > 1
        else np.nan
    )
    rest = square.sum() - 2 * both.sum() + other.sum()
    reverse = both.sum() / other.sum() if other.sum() > 0 else np.nan
    return Slope(float(s), float(1 - rest / square.sum()), float(reverse), float(scatter), n)


def modes(atoms, calculator, n=None, displacement=0.01):
    """Directions [M, N, 3], each of length 1, along which a structure at rest vibrates: eigenvectors of its Hessian, softest first.

    The three translations are left out; n: that many of the rest, evenly spread. 6 N force calls.
    """
    moved, N = _copy(atoms), len(atoms)
    moved.calc = calculator
    hessian = np.zeros((3 * N, 3 * N))
    for k in range(3 * N):
        for sign in (1, -1):
            moved.positions[k // 3, k % 3] += sign * displacement
            hessian[k] -= sign * moved.get_forces().ravel() / (2 * displacement)
            moved.positions[k // 3, k % 3] -= sign * displacement
    hessian = (hessian + hessian.T) / 2
    shift = np.tile(np.eye(3), (N, 1)) / N**0.5
    keep = np.eye(3 * N) - shift @ shift.T
    values, vectors = np.linalg.eigh(keep @ hessian @ keep)
    rest = [k for k in range(3 * N) if np.linalg.norm(shift.T @ vectors[:, k]) < 0.5]
    chosen = (
        rest
        if n is None
        else [rest[k] for k in np.unique(np.linspace(0, len(rest) - 1, n).round().astype(int))]
    )
    return vectors[:, chosen].T.reshape(len(chosen), N, 3)


def _copy(atoms):
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def curvatures(atoms, calculator, directions, displacement=0.05):
    """Second derivative [M] of the energy in eV/Å² along directions [M, N, 3] of length 1, each `displacement` Å to either side."""
    moved, out = _copy(atoms), []
    moved.calc = calculator
    for e in np.asarray(directions, float):
        forces = []
        for sign in (1, -1):
            moved.positions = atoms.positions + sign * displacement * e
            forces.append(moved.get_forces())
        out.append(-((forces[0] - forces[1]) * e).sum() / (2 * displacement))
    return np.array(out)


def softening_of_curvature(atoms, reference, calculator, n=40, displacement=0.05):
    """Curvatures of a calculator against those of a reference, along `n` of the reference's own modes of a structure at rest.

    atoms: in which the reference feels no force, such as a perfect crystal in a cell of 64 atoms. Both see the same structure.
    """
    directions = modes(atoms, reference, n)
    true = curvatures(atoms, reference, directions, displacement)
    guess = curvatures(atoms, calculator, directions, displacement)
    firm = true > 0.02 * true.max()
    return Curvatures(
        true, guess, float(true @ guess / (true @ true)), float(np.std(guess[firm] / true[firm]))
    )
