"""Softening: are the slopes of a predicted energy landscape as steep as those of the reference?

    s = Σ F_ref·F_pred / Σ F_ref²        slope of predicted against reference forces, through 0
    R² = 1 - Σ |F_pred - F_ref|² / Σ F_ref²
    s' = Σ F_ref·F_pred / Σ F_pred²      the other way round

A potential with too little training, whose forces F_pred are right on average but miss a part of
F_ref at random, has s near R² and s' near 1 (as a regression has). A soft one has s < 1, R² near
s(2 - s), and s' near 1 / s.

Source: B. Deng et al., npj Comput. Mater. 11, 9 (2025), arXiv 2405.07105. Units: eV/Å.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from ..crystal import with_calculator
from ..frames import group_of, labels, structures
from ..potential import Potential
from ..refusal import refuse


class Slope(NamedTuple):
    slope: float  # s
    r2: float  # R², about the origin
    reverse: float  # s'
    error: float  # of s, standard error over structures
    frames: int


class Softening(NamedTuple):
    overall: Slope
    groups: dict[str, Slope]  # of each info["group"]
    true: np.ndarray  # [F] eV/Å, force components of the reference
    predicted: np.ndarray  # [F] eV/Å


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
        predicted = [with_calculator(atoms.copy(), predicted) for atoms in frames]
    elif hasattr(predicted, "predict"):
        predicted = predicted.predict(frames)
    guess = labels(list(predicted), "forces")
    words = f"there are {len(frames)} structures and {len(guess)} predictions"
    same = [g.shape for g in guess] == [t.shape for t in true]
    refuse(not same, f"{words}; they must be the same, in one order")
    names = [group_of(atoms) for atoms in frames]
    groups = sorted({name for name in names if name is not None})
    each = {}
    for group in groups if len(groups) > 1 else ():
        own = [k for k, name in enumerate(names) if name == group]
        each[group] = _slope([true[k] for k in own], [guess[k] for k in own])
    flat = [np.concatenate([forces.ravel() for forces in part]) for part in (true, guess)]
    return Softening(_slope(true, guess), each, *flat)


def _slope(true, guess):
    """Slope of the forces of some structures; its error is that of a ratio of sums over them."""
    products = lambda x, y: np.array([float((a * b).sum()) for a, b in zip(x, y)])
    both, square, other = products(true, guess), products(true, true), products(guess, guess)
    words = "the reference forces are all zero; a slope needs structures out of equilibrium"
    refuse(not square.sum() > 0, words)
    n, s, error = len(square), both.sum() / square.sum(), np.nan
    if n > 1:
        error = np.sqrt(n / (n - 1) * np.square(both - s * square).sum()) / square.sum()
    rest = square.sum() - 2 * both.sum() + other.sum()
    reverse = both.sum() / other.sum() if other.sum() > 0 else np.nan
    return Slope(float(s), float(1 - rest / square.sum()), float(reverse), float(error), n)
