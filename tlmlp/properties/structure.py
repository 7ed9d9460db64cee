"""Structure: where neighbours are, at which angles, how many; and what a diffraction experiment would see.

Everything takes a trajectory: one ase.Atoms, a list of them, or Snapshots of tlmlp.simulate. Any cell, small ones too: pairs are
counted through periodic images, so g(r) is right beyond half the cell, as a count. What it cannot give is what the cell does not
hold: from half its smallest height on (`half_height`), an atom meets images of atoms it has met before.

    g(r) = V/N² Σ_i Σ_j≠i <δ(r - r_ij)> / 4πr²          S(q) = <|Σ_j exp(i q·r_j)|²> / N,  q of the reciprocal lattice of the cell

Errors are standard errors of the mean over frames, by blocks; nan for a single frame.
Source: D. Frenkel and B. Smit, Understanding Molecular Simulation (2002). Units: Å, 1/Å, degrees.
"""

from typing import NamedTuple

import numpy as np

from ..graph import pairs
from .blocks import frames_of, mean_and_error


class RadialDistribution(NamedTuple):
    r: np.ndarray  # [B] Å, middles of the bins
    g: np.ndarray  # [B], 1 in an ideal gas; without absolute scale where there is vacuum
    error: np.ndarray  # [B]
    half_height: float  # Å, half the smallest height of the cell; infinite where it is not periodic
    frames: int

    def plot(self):
        return _plot(self)


class AngularDistribution(NamedTuple):
    angle: np.ndarray  # [B] degrees, middles of the bins
    density: (
        np.ndarray
    )  # [B] 1/degree, of the angles between two bonds of an atom; its integral is 1
    error: np.ndarray  # [B]
    cutoff: float  # Å, what counts as a bond
    frames: int

    def plot(self):
        return _plot(self)


class Coordination(NamedTuple):
    mean: float  # neighbours of an atom
    error: float
    share: np.ndarray  # [n], of the atoms that have 0, 1, 2 .. neighbours
    share_error: np.ndarray  # [n]
    cutoff: float  # Å, what counts as a neighbour
    frames: int

    def plot(self):
        return _plot(self)


class StructureFactor(NamedTuple):
    q: (
        np.ndarray
    )  # [B] 1/Å, mean length of the reciprocal vectors of each bin; bins without any are left out
    s: np.ndarray  # [B], 1 in an ideal gas
    error: np.ndarray  # [B]
    frames: int

    def plot(self):
        return _plot(self)


def _plot(result):
    from . import plot

    return plot({"": result})


def radial_distribution(trajectory, farthest=8.0, bins=160, skip=0.0, blocks=5):
    """RadialDistribution up to `farthest` Å in `bins` bins; skip: share of the frames at the beginning to leave out.

    The density is that of the cell; atoms in no cell (clusters) get 20 Å^3 each, so that g(r) has a shape but no scale.
    """
    frames = frames_of(trajectory, skip)
    edges = _edges(farthest, bins)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    each = []
    for atoms in frames:
        (d,) = pairs(atoms, farthest, "d")
        volume = atoms.get_volume() if atoms.cell.rank == 3 else 20.0 * len(atoms)
        each.append(np.histogram(d, edges)[0] * volume / (len(atoms) ** 2 * shells))
    g, error = mean_and_error(each, blocks)
    half = min(_half_height(atoms) for atoms in frames)
    return RadialDistribution((edges[1:] + edges[:-1]) / 2, g, error, half, len(frames))


def _edges(farthest, bins):
    if not (np.isscalar(farthest) and 0 < farthest < np.inf) or not int(bins) == bins or bins < 2:
        raise ValueError(
            f"a distribution needs a positive end and at least 2 bins, not {farthest!r} and {bins!r}"
        )
    return np.linspace(0, farthest, int(bins) + 1)


def _half_height(atoms):
    if not atoms.pbc.any():
        return float("inf")
    inverse = np.linalg.inv(atoms.cell.complete().array)
    return float((0.5 / np.linalg.norm(inverse, axis=0))[atoms.pbc].min())


def first_minimum(trajectory, skip=0.0):
    """Distance in Å that parts first from second neighbours: the first minimum of g(r), the middle of it where it is flat.

    Raises ValueError where g(r) has no first peak with a minimum behind it.
    """
    frames = frames_of(trajectory, skip)
    frames = frames[:: max(1, len(frames) // 50)]
    r, g, *_ = radial_distribution(frames, 8.0, 160)
    kernel = np.exp(-0.5 * (np.arange(-6, 7) * 0.05 / 0.1) ** 2)  # a tenth of an Å wide
    smooth = np.convolve(g, kernel / kernel.sum(), "same")
    peaks = [
        b
        for b in range(1, len(g) - 1)
        if smooth[b] >= smooth[b - 1] and smooth[b] > smooth[b + 1] and smooth[b] > 1.2
    ]
    for peak in peaks[:1]:
        after = smooth[peak:]
        rises = np.flatnonzero((np.diff(after) > 0) & (after[:-1] < 0.9 * after[0]))
        if len(rises) and after[rises[0]] < 1.0:
            bottom = after[: rises[0] + 1]
            flat = np.flatnonzero(
                bottom <= bottom[-1] + 1e-3
            )  # nothing at all between two shells of a crystal
            return float(r[peak + (flat[0] + rises[0]) // 2])
    raise ValueError(
        "g(r) has no minimum behind a first peak: say what counts as a neighbour with cutoff, in Å"
    )


def coordination(trajectory, cutoff=None, skip=0.0, blocks=5):
    """Coordination: how many neighbours atoms have within `cutoff` Å [default: the first minimum of g(r)]."""
    frames = frames_of(trajectory, skip)
    cutoff = first_minimum(frames) if cutoff is None else float(cutoff)
    counts = [
        np.bincount(pairs(atoms, cutoff, "i")[0].astype(int), minlength=len(atoms))
        for atoms in frames
    ]
    most = max(int(c.max()) for c in counts)
    share, share_error = mean_and_error(
        [np.bincount(c, minlength=most + 1) / len(c) for c in counts], blocks
    )
    mean, error = mean_and_error([c.mean() for c in counts], blocks)
    return Coordination(float(mean), float(error), share, share_error, cutoff, len(frames))


def angular_distribution(trajectory, cutoff=None, bins=90, skip=0.0, blocks=5):
    """AngularDistribution of the angles that two bonds of an atom make; bonds are shorter than `cutoff` Å [default: the first
    minimum of g(r)].

    An angle at random has density sin θ / 2, per radian. Raises ValueError where no atom has two neighbours.
    """
    frames = frames_of(trajectory, skip)
    cutoff = first_minimum(frames) if cutoff is None else float(cutoff)
    edges, each = np.linspace(0, 180, bins + 1), []
    for atoms in frames:
        i, D = pairs(atoms, cutoff, "iD")
        angles = np.concatenate(
            [np.zeros(0), *(_angles(D[i == atom]) for atom in range(len(atoms)))]
        )
        each.append(np.histogram(angles, edges)[0] / max(1, len(angles)) / np.diff(edges))
    if not np.any(each):
        raise ValueError(f"no atom has two neighbours within {cutoff:.2f} Å; take a larger cutoff")
    density, error = mean_and_error(each, blocks)
    return AngularDistribution((edges[1:] + edges[:-1]) / 2, density, error, cutoff, len(frames))


def _angles(vectors):
    """Angles in degrees between all pairs of vectors [n, 3]; of two alike it is 0 and of two opposed 180, to the last bit."""
    a, b = np.triu_indices(len(vectors), 1)
    a, b = vectors[a], vectors[b]
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))


def structure_factor(trajectory, farthest=10.0, bins=100, skip=0.0, blocks=5, most=200, seed=0):
    """StructureFactor up to `farthest` 1/Å, from the waves that fit into the cell.

    most: waves of one bin; where there are more, that many are drawn with `seed`. The atoms must be periodic in three
    directions.
    """
    frames = frames_of(trajectory, skip)
    if not all(atoms.pbc.all() for atoms in frames):
        raise ValueError("a structure factor needs atoms that are periodic in three directions")
    edges, rng = _edges(farthest, bins), np.random.default_rng(seed)
    waves = _waves(
        frames[0].cell.array, edges, most, rng
    )  # whole numbers [W, 3]; a cell that changes carries them along
    bin_of = np.digitize(np.linalg.norm(waves @ _reciprocal(frames[0]), axis=1), edges) - 1
    count = np.bincount(bin_of, minlength=bins)
    lengths, each = [], []
    for atoms in frames:
        power = np.zeros(len(waves))
        scaled = atoms.get_scaled_positions(wrap=False)
        for part in np.array_split(
            np.arange(len(waves)), max(1, len(waves) * len(atoms) // 2_000_000)
        ):
            power[part] = np.abs(np.exp(2j * np.pi * (waves[part] @ scaled.T)).sum(1)) ** 2 / len(
                atoms
            )
        each.append(np.bincount(bin_of, power, bins)[count > 0] / count[count > 0])
        length = np.linalg.norm(waves @ _reciprocal(atoms), axis=1)
        lengths.append(np.bincount(bin_of, length, bins)[count > 0] / count[count > 0])
    s, error = mean_and_error(each, blocks)
    return StructureFactor(np.mean(lengths, 0), s, error, len(frames))


def _reciprocal(atoms):
    return 2 * np.pi * np.linalg.inv(atoms.cell.array).T


def _waves(cell, edges, most, rng):
    """Whole numbers [W, 3] of reciprocal vectors shorter than the last edge, one of each pair ±q, at most `most` in a bin."""
    reach = np.floor(edges[-1] * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1).reshape(
        -1, 3
    )
    first = grid[np.arange(len(grid)), np.argmax(grid != 0, axis=1)]
    grid = grid[first > 0]
    length = np.linalg.norm(grid @ (2 * np.pi * np.linalg.inv(cell).T), axis=1)
    grid, length = grid[length < edges[-1]], length[length < edges[-1]]
    if not len(grid):
        raise ValueError(
            f"no wave of the cell is shorter than {edges[-1]:g} 1/Å; take a larger end"
        )
    bin_of, chosen = np.digitize(length, edges) - 1, []
    for b in np.unique(bin_of):
        members = np.flatnonzero(bin_of == b)
        chosen.append(members if len(members) <= most else rng.choice(members, most, replace=False))
    return grid[np.sort(np.concatenate(chosen))]


def tetrahedrality(atoms):
    """Order parameter [N] of each atom and its four nearest: 1 in diamond, 0 on average at random.

    q = 1 - 3/8 Σ_a<b (cos θ_ab + 1/3)²        Source: J. R. Errington and P. G. Debenedetti, Nature 409, 318 (2001)
    """
    reach = 4.0
    while True:
        i, D = pairs(atoms, reach, "iD")
        if len(atoms) and np.bincount(i.astype(int), minlength=len(atoms)).min() >= 4:
            break
        if reach > 50:
            raise ValueError("an atom has fewer than four neighbours; tetrahedral order needs four")
        reach *= 1.25
    d = np.linalg.norm(D, axis=1)
    order = np.lexsort((d, i))
    counts = np.bincount(i.astype(int), minlength=len(atoms))
    first = np.cumsum(counts) - counts
    u = (D[order] / d[order][:, None])[first[:, None] + np.arange(4)]  # [N, 4, 3]
    a, b = np.triu_indices(4, 1)
    return 1 - 3 / 8 * ((np.einsum("ikx,ikx->ik", u[:, a], u[:, b]) + 1 / 3) ** 2).sum(1)
