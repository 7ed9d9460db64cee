"""Will a transfer pay? Three numbers of a pair of elements, before anything is trained.

    print(outlook(silicon, old, new))

`python -m research.sweep pairs` trains pairs, whose gains these numbers can be compared with.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from .. import datasets, transfer
from ..frames import labels, symbols_of
from ..graph import pairs
from ..potential import Potential
from ..refusal import refuse

REACH = 2.0  # bonds, to which structures are compared
BINS = 60


class Outlook(NamedTuple):
    bonds: float  # length of a bond, new over old; reduced units absorb it
    overlap: float  # of neighbours at the same distance in bonds: 1 where structures are alike
    error: float  # force MAE of the old network in the new units, over the mean |F| of the new data

    def __str__(self) -> str:
        words = f"bonds {self.bonds:.3f} times as long, {self.overlap:.0%} of neighbours alike, "
        return words + f"error before training {self.error:.0%} of the mean force"


def outlook(source: Potential, old: Sequence[Atoms], new: Sequence[Atoms]) -> Outlook:
    """Compare structures of a new element with those that `source` was trained on, and its forces.

    The network's lengths are brought to those of the new bonds, its energies by one factor, fitted
    to the new forces. ValueError where `new` holds more than one element, or bad data.
    """
    old, new = datasets.check(old), datasets.check(new)
    held = sorted(symbols_of(new))
    refuse(len(held) > 1, f"the new structures must hold one element, not {', '.join(held)}")
    ratio = bond(new) / bond(old)
    start = transfer.start(source, held[0], new, True, ratio)
    return Outlook(ratio, overlap(old, new), 1e-3 * start.evaluate(new).force_mae / mean_force(new))


def mean_force(frames: Sequence[Atoms]) -> float:
    """eV/Å: the mean |F| of all atoms, the error of a network that predicts no forces at all."""
    return float(np.abs(np.concatenate(labels(frames, "forces"))).mean())


def bond(frames: Sequence[Atoms]) -> float:
    """Å: the median distance of an atom to its nearest neighbour."""
    nearest = []
    for atoms in frames:
        i, d = pairs(atoms, 6.0, "id")
        closest = np.full(len(atoms), np.inf)
        np.minimum.at(closest, i, d)
        nearest.append(closest)
    return float(np.median(np.concatenate(nearest)))


def overlap(old: Sequence[Atoms], new: Sequence[Atoms]) -> float:
    """The share of neighbours, counted by their distance in bonds, that two sets have in common.

    ∫ min(n, n') over ∫ max(n, n') up to two bonds, where n is 4πr² times density and g(r).
    """
    both = [_neighbours(frames) for frames in (old, new)]
    return float(np.minimum(*both).sum() / np.maximum(*both).sum())


def _neighbours(frames):
    """Mean number of neighbours of an atom [BINS], by the distance in bonds."""
    length, edges = bond(frames), np.linspace(0, REACH, BINS + 1)
    each = (pairs(atoms, REACH * length, "d")[0] / length for atoms in frames)
    return np.histogram(np.concatenate([*each]), edges)[0] / sum(map(len, frames))
