"""Structure: at which distances an atom's neighbours are, how many, and how tetrahedral.

    g(r) = V/N² Σ_i Σ_j≠i <δ(r - r_ij)> / 4πr²

is the density of N atoms in the volume V at distances r_ij, over that of an ideal gas. Pairs are
counted through periodic images, so it is right in small cells too. From half the smallest height of
the cell on, an atom meets images of atoms that it has met before.

Errors are standard errors of the mean over frames, by blocks; nan for a single frame.
Source: D. Frenkel and B. Smit, Understanding Molecular Simulation (2002). Unit: Å.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms

from ..graph import box_of, heights, pairs
from ..refusal import refuse
from .blocks import Trajectory, frames_of, mean_and_error


class RadialDistribution(NamedTuple):
    r: np.ndarray  # [B] Å, middles of the bins
    g: np.ndarray  # [B], 1 in an ideal gas; without absolute scale where there is vacuum
    error: np.ndarray  # [B]
    half_height: float  # Å, half the smallest height of the cell; infinite where not periodic
    frames: int


class Coordination(NamedTuple):
    mean: float  # neighbours of an atom
    error: float
    share: np.ndarray  # [n], fraction of the atoms that have 0, 1, 2 .. neighbours
    share_error: np.ndarray  # [n]
    cutoff: float  # Å, what counts as a neighbour
    frames: int


def radial_distribution(
    trajectory: Trajectory, farthest: float = 8.0, bins: int = 160, skip: float = 0, blocks: int = 5
) -> RadialDistribution:
    """Radial distribution function up to `farthest` Å in `bins` bins.

    `skip` is the fraction of the frames to leave out at the beginning; the scatter of `blocks` of
    the rest is the error. The density is that of the cell. Atoms in no cell (clusters) get 20 Å³
    each, so that g(r) has a shape but no scale.
    """
    frames = frames_of(trajectory, skip)
    words = "a distribution needs a positive end and at least 2 bins"
    bad = not 0 < farthest < np.inf or int(bins) != bins or bins < 2
    refuse(bad, f"{words}, not {farthest!r} and {bins!r}")
    edges, each = np.linspace(0, farthest, int(bins) + 1), []
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    for atoms in frames:
        (d,) = pairs(atoms, farthest, "d")
        volume = atoms.get_volume() if atoms.cell.rank == 3 else 20.0 * len(atoms)
        each.append(np.histogram(d, edges)[0] * volume / (len(atoms) ** 2 * shells))
    g, error = mean_and_error(each, blocks)
    highest = [heights(box_of(atoms))[atoms.pbc] for atoms in frames]
    half = float(np.concatenate(highest).min(initial=np.inf) / 2)
    return RadialDistribution((edges[1:] + edges[:-1]) / 2, g, error, half, len(frames))


def first_minimum(trajectory: Trajectory) -> float:
    """Distance in Å between first and second neighbours: the first minimum of g(r).

    Where the minimum is flat, as in a crystal, it is the middle of the flat part. Raises ValueError
    where g(r) has no first peak with a minimum behind it.
    """
    frames = frames_of(trajectory)
    frames = frames[:: max(1, len(frames) // 50)]
    r, g, *_ = radial_distribution(frames, 8.0, 160)
    kernel = np.exp(-0.5 * (np.arange(-6, 7) * 0.05 / 0.1) ** 2)  # a tenth of an Å wide
    smooth = np.convolve(g, kernel / kernel.sum(), "same")
    left, middle, right = smooth[:-2], smooth[1:-1], smooth[2:]
    peaks = 1 + np.flatnonzero((middle >= left) & (middle > right) & (middle > 1.2))
    if len(peaks):
        after = smooth[peaks[0] :]
        rises = np.flatnonzero((np.diff(after) > 0) & (after[:-1] < 0.9 * after[0]))
        if len(rises) and after[rises[0]] < 1.0:
            bottom = after[: rises[0] + 1]
            flat = np.flatnonzero(bottom <= bottom[-1] + 1e-3)
            return float(r[peaks[0] + (flat[0] + rises[0]) // 2])
    words = "g(r) has no minimum behind a first peak"
    raise ValueError(f"{words}: say what counts as a neighbour with cutoff, in Å")


def coordination(
    trajectory: Trajectory, cutoff: float | None = None, skip: float = 0, blocks: int = 5
) -> Coordination:
    """Number of neighbours of an atom within `cutoff` Å [default: the first minimum of g(r)]."""
    frames = frames_of(trajectory, skip)
    cutoff = first_minimum(frames) if cutoff is None else cutoff
    centres = [pairs(atoms, cutoff, "i")[0].astype(int) for atoms in frames]
    counts = [np.bincount(i, minlength=len(atoms)) for i, atoms in zip(centres, frames)]
    most = max(int(c.max()) for c in counts)
    fractions = [np.bincount(c, minlength=most + 1) / len(c) for c in counts]
    each = mean_and_error(fractions, blocks)
    mean, error = mean_and_error([c.mean() for c in counts], blocks)
    return Coordination(float(mean), float(error), *each, cutoff, len(frames))


def tetrahedrality(atoms: Atoms) -> np.ndarray:
    """Order parameter [N] of each atom and its four nearest: 1 in diamond, 0 on average at random.

    q = 1 - 3/8 Σ_a<b (cos θ_ab + 1/3)², θ_ab between the bonds to neighbours a and b.
    Source: J. R. Errington and P. G. Debenedetti, Nature 409, 318 (2001).
    """
    reach = 4.0
    while True:
        i, D = pairs(atoms, reach, "iD")
        counts = np.bincount(i.astype(int), minlength=len(atoms))
        if len(atoms) and counts.min() >= 4:
            break
        refuse(reach > 50, "an atom has fewer than four neighbours; tetrahedral order needs four")
        reach *= 1.25
    d = np.linalg.norm(D, axis=1)
    refuse(d.min() < 1e-3, "two atoms are at the same place; angles between them have no meaning")
    order = np.lexsort((d, i))
    first = np.cumsum(counts) - counts
    u = (D[order] / d[order][:, None])[first[:, None] + np.arange(4)]  # [N, 4, 3]
    a, b = np.triu_indices(4, 1)
    return 1 - 3 / 8 * ((np.einsum("ikx,ikx->ik", u[:, a], u[:, b]) + 1 / 3) ** 2).sum(1)
