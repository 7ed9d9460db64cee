"""Softening: are the slopes of a predicted energy landscape as steep as those of the reference?

    s  = Σ F_ref·F_pred / Σ F_ref²        slope of predicted against reference forces, through 0
    R² = 1 - Σ |F_pred - F_ref|² / Σ F_ref²
    s' = Σ F_ref·F_pred / Σ F_pred²       the other way round
    q  = (1 - s)² / (1 - R²)              fraction of the squared error that the slope explains

F_pred = s F_ref + rest, and the rest is orthogonal to F_ref. So Σ |F_pred - F_ref|² is
(1 - s)² Σ F_ref² + Σ rest², of which q is the first part. A factor mends less: it scales all.

A potential with too little training, whose forces F_pred are right on average but miss a part of
F_ref at random, has s near R² and s' near 1 (as a regression has). A soft one has s < 1, R² near
s(2 - s), s' near 1 / s and q near 1. Energies per atom, minus their mean over all structures, have
a slope as forces have. Errors leave out one structure at a time (jackknife).

Source: B. Deng et al., npj Comput. Mater. 11, 9 (2025), arXiv 2405.07105. Units: eV/Å, eV.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from ..crystal import with_calculator
from ..frames import copies, group_of, label, labels, structures
from ..potential import Potential
from ..refusal import refuse


class Slope(NamedTuple):
    slope: float  # s
    r2: float  # R², about the origin; that of energies about their mean
    reverse: float  # s'
    error: float  # of s, standard error over structures
    frames: int
    share: float = np.nan  # q, of the squared error
    share_error: float = np.nan  # of q, standard error over structures


class Softening(NamedTuple):
    overall: Slope
    groups: dict[str, Slope]  # of each info["group"]
    true: np.ndarray  # [F] eV/Å, force components of the reference
    predicted: np.ndarray  # [F] eV/Å
    energy: Slope | None = None  # of energies per atom; None where there are none, or all one


def softening(
    frames: Iterable[Atoms], predicted: Iterable[Atoms] | Potential | Calculator
) -> Softening:
    """Softening of predicted forces, over all structures and for each info["group"].

    `frames` carry reference forces; `predicted` are the same structures carrying predictions, a
    tlmlp.Potential, or any of ASE's calculators.
    """
    frames = structures(frames)
    true = labels(frames, "forces")
    if hasattr(predicted, "get_property"):
        predicted = _evaluated(frames, predicted)
    elif hasattr(predicted, "predict"):
        predicted = predicted.predict(frames)
    predicted = list(predicted)  # type: ignore[arg-type] # structures by now
    guess = labels(predicted, "forces")
    words = f"there are {len(frames)} structures and {len(guess)} predictions"
    same = [g.shape for g in guess] == [t.shape for t in true]
    refuse(not same, f"{words}; they must be the same, in one order")
    names = [group_of(atoms) for atoms in frames]
    groups = sorted({name for name in names if name is not None})
    each = {}
    for group in groups if len(groups) > 1 else ():
        own = [k for k, name in enumerate(names) if name == group]
        each[group] = _of_forces([true[k] for k in own], [guess[k] for k in own])
    x, y = (np.concatenate([forces.ravel() for forces in part]) for part in (true, guess))
    return Softening(_of_forces(true, guess), each, x, y, _of_energies(frames, predicted))


def _evaluated(frames, calculator):
    """Copies that carry what a calculator predicts, each evaluated once."""
    out = []
    for atoms in frames:
        atoms = with_calculator(atoms.copy(), calculator)
        label(atoms, "forces")
        out += copies([atoms])
    return out


def _of_forces(true, guess):
    products = lambda x, y: [float((a * b).sum()) for a, b in zip(x, y)]
    sums = np.array([products(true, guess), products(true, true), products(guess, guess)])
    words = "the reference forces are all zero; a slope needs structures out of equilibrium"
    refuse(not sums[1].sum() > 0, words)
    return _slope(sums, sums)


def _of_energies(frames, predicted):
    try:
        both = [np.array(labels(part, "energy")) for part in (frames, predicted)]
    except ValueError:
        return None
    x, y = (energies / [len(a) for a in frames] for energies in both)
    x, y, n = x - x.mean(), y - y.mean(), len(frames)
    sums = np.array([x * y, x * x, y * y])
    # The mean moves when a structure is left out, by which more than its own product is lost.
    return _slope(sums, sums * n / max(n - 1, 1)) if np.ptp(x) > 0 else None


def _slope(sums, lost):
    """Slope from products [3, n] of each structure, and those that go when it is left out."""
    n, (s, r2, reverse, share) = sums.shape[1], _numbers(sums.sum(1))
    left = _numbers(sums.sum(1)[:, None] - lost) if n > 1 else np.full((4, 1), np.nan)
    errors = np.sqrt(max(n - 1, 1) * np.var(left, axis=1))
    return Slope(*map(float, (s, r2, reverse, errors[0])), n, float(share), float(errors[3]))


def _numbers(sums):
    """[4, ...]: s, R², s' and q from the sums of F_ref·F_pred, F_ref² and F_pred²."""
    both, square, other = sums
    with np.errstate(all="ignore"):
        s, rest = both / square, square - 2 * both + other
        return np.array([s, 1 - rest / square, both / other, (1 - s) ** 2 * square / rest])
