"""Graph: the neighbours of every atom, in slots, for one structure or for many at once.

Letters: N atoms (of all structures, padding included), K slots per atom, B structures, i centre,
a slot, S cell shift.

Slot (i, a) holds one neighbour k of i, within the cutoff, and the vector from i to it:

    neighbors[i, a] = k        vectors[i, a] = r_k + S·cell - r_i

The same bond appears at k, seen from the other end. `reverse` names that slot: it pairs (i, slot of
k with shift S) with (k, slot of i with shift -S), also where an atom is its own neighbour. It is a
permutation of the N·K slots and its own inverse.

Several structures are one graph with more atoms: no bond crosses between them. Padding (atoms
without neighbours, slots without an atom) lets graphs share a shape: each is compiled for anew.
"""

import itertools
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import vesin
from ase import Atoms
from ase.geometry import complete_cell
from numpy.typing import DTypeLike

from .refusal import is_whole, positive, refuse

PAIRS = 3e8  # that a list may hold: some 10 GB
Frames = Sequence[Atoms]  # a dataset
Shapes = int | Sequence[tuple[int, int]]  # at most so many padded shapes (N, K), or these


class Graph(NamedTuple):
    """Neighbour slots of B structures with N atoms and K slots per atom; goes through jax.jit."""

    species: np.ndarray  # [N] int32, row of the element in the embedding table; see alchemy
    vectors: np.ndarray  # [N, K, 3] Å, from the centre to the neighbour
    neighbors: np.ndarray  # [N, K] int32, index of the neighbour
    reverse: np.ndarray  # [N, K] int32, flat index k·K + b of the same bond from its other end
    mask: np.ndarray  # [N, K] bool, False: an empty slot
    structure: np.ndarray  # [N] int32, the structure that each atom belongs to
    atom_mask: np.ndarray  # [N] bool, False: an atom that is only padding
    volume: np.ndarray  # [B] Å^3; 0 where not periodic in all three directions
    weights: np.ndarray | None = None  # [N] of nodes (tlmlp.alchemy); vectors may be of places


class Topology(NamedTuple):
    """The bonds of one structure; the same while no atom moves farther than half the skin."""

    neighbors: np.ndarray  # [N, K] int32
    offsets: np.ndarray  # [N, K, 3] Å, S·cell
    reverse: np.ndarray  # [N, K] int32
    mask: np.ndarray  # [N, K] bool

    def vectors(self, positions: np.ndarray) -> np.ndarray:
        """Bond vectors [N, K, 3] in Å for positions [N, 3] in Å; empty slots give zeros."""
        vectors = positions[self.neighbors] - positions[:, None] + self.offsets
        return np.where(self.mask[..., None], vectors, 0)


def heights(cell: np.ndarray) -> np.ndarray:
    """Distances [3] in Å between opposite faces of a cell [3, 3]."""
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def box_of(atoms: Atoms) -> np.ndarray:
    """The cell [3, 3] in Å, with unit vectors for directions that are not periodic."""
    pbc = np.asarray(atoms.pbc)
    return atoms.cell.array if pbc.all() else complete_cell(atoms.cell.array * pbc[:, None])


def check_cell(atoms: Atoms) -> None:
    """ValueError where there are no neighbours to find: by positions, or by periodic directions."""
    words = f"a structure is one ase.Atoms, not {type(atoms).__name__}"
    refuse(not isinstance(atoms, Atoms), words, TypeError)
    words = "positions and cell must be finite, and positions within 1e6 Å of the origin"
    refuse(not np.isfinite(atoms.cell.array).all() or not (abs(atoms.positions) < 1e6).all(), words)
    pbc, cell = np.asarray(atoms.pbc), atoms.cell.array
    flat = np.linalg.matrix_rank(cell[pbc], tol=1e-6) < pbc.sum()
    words = "a periodic direction has no cell vector of its own, so the cell has no volume"
    refuse(flat, f"{words}: set the cell, or pbc to False there")
    lowest = heights(box_of(atoms))[pbc].min(initial=1.0)
    refuse(lowest < 0.3, f"a cell must be 0.3 Å high at least, this one is {lowest:.2g} Å")
    volume = abs(np.linalg.det(cell)) if pbc.all() else np.inf
    words = f"{len(atoms)} atoms in {volume:.3g} Å³ are too dense: at most 20 fit into one Å³"
    refuse(len(atoms) > 20 * volume, words)


def check_masses(atoms: Atoms) -> None:
    """ValueError for a mass that is not a positive number."""
    masses = atoms.get_masses()
    words = "masses must be positive and finite; atoms.set_masses() sets those of the elements"
    refuse(not ((masses > 1e-3) & (masses < 1e6)).all(), words)


def pairs(atoms: Atoms, cutoff: float, quantities: str) -> list[np.ndarray]:
    """All pairs of atoms within `cutoff` (Å), through periodic images, each from both ends (vesin).

    `quantities` are letters: i and j, the two atoms [P]; S, the cell shift of j [P, 3]; d and D,
    distance [P] and vector [P, 3] from i to j in Å. ValueError as check_cell.
    """
    check_cell(atoms)
    positive(cutoff=cutoff)
    pbc, cubes = np.asarray(atoms.pbc), np.floor(atoms.positions / cutoff)
    # vesin wants a box also where nothing is periodic, and shifts no atom along those directions
    points, box = (np.ascontiguousarray(x) for x in (atoms.positions, box_of(atoms)))
    if pbc.all():
        likely = 4 / 3 * np.pi * len(atoms) ** 2 / atoms.get_volume() * cutoff**3
    else:  # each periodic direction has images, and atoms may fill a small part of space
        same = (np.unique(cubes, axis=0, return_counts=True)[1].astype(float) ** 2).sum()
        likely = min(4 / 3 * np.pi * same, float(len(atoms)) ** 2)
        likely *= np.maximum(2 * cutoff / heights(box)[pbc], 1).prod()
    words = f"pairs of atoms are within {cutoff:g} Å, too many to list"
    refuse(likely > PAIRS, f"some {likely:.0e} {words}")
    search = vesin.NeighborList(cutoff=float(cutoff), full_list=True)
    return search.compute(points=points, box=box, periodic=pbc, quantities=quantities)


def topology(atoms: Atoms, cutoff: float, slots: int = 1, step: int = 1) -> Topology:
    """Neighbour slots of one structure within `cutoff` (Å), any cell, any pbc.

    K is the largest number of neighbours, rounded up to a multiple of `step`, and at least `slots`.
    Raises ValueError where two atoms sit at the same place.
    """
    n = len(atoms)
    i, j, S, d = pairs(atoms, cutoff, "ijSd")
    i, j, S = (x.astype(np.int64) for x in (i, j, S))
    if len(d) and d.min() < 1e-3:
        which = f"atoms {i[d.argmin()]} and {j[d.argmin()]} are at the same place"
        raise ValueError(f"{which}; every pair must be at least 0.001 Å apart")
    order = np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))
    i, j, S = i[order], j[order], S[order]
    counts = np.bincount(i, minlength=n)
    K = max(slots, -(-int(counts.max(initial=1)) // step) * step)
    slot = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
    flat = i * K + slot
    # Bonds sorted by (i, j, S) and by (j, i, -S) list the same bonds from their two ends.
    other = np.lexsort((-S[:, 2], -S[:, 1], -S[:, 0], i, j))
    same = np.array_equal(i[other], j) and np.array_equal(S[other], -S)
    why = "a distance coincides with the cutoff to the last bit"
    refuse(not same, f"the neighbour list is not symmetric; {why}")

    def in_slots(empty: np.ndarray, values: np.ndarray | bool) -> np.ndarray:
        empty[flat] = values
        return empty.reshape(n, K, *empty.shape[1:])

    neighbors = in_slots(np.repeat(np.arange(n), K), j).astype(np.int32)  # empty: its own atom
    reverse = in_slots(np.arange(n * K), flat[other]).astype(np.int32)
    offsets = in_slots(np.zeros((n * K, 3)), S @ atoms.cell.array)
    return Topology(neighbors, offsets, reverse, in_slots(np.zeros(n * K, bool), True))


def species_of(atoms: Atoms, elements: Sequence[str]) -> np.ndarray:
    """Rows [N] of the atoms' elements in `elements`; ValueError names those that are missing."""
    symbols = atoms.get_chemical_symbols()
    unknown, known = ", ".join(sorted(set(symbols) - set(elements))), ", ".join(elements)
    refuse(unknown, f"this potential knows {known}; it has never seen {unknown}")
    return np.array([elements.index(s) for s in symbols], np.int32)


def volume_of(atoms: Atoms) -> float:
    """Cell volume in Å^3; 0 where a stress has no meaning: not periodic in all three directions."""
    return float(atoms.get_volume()) if atoms.pbc.all() else 0.0


def from_topology(
    atoms: Atoms, top: Topology, elements: Sequence[str], dtype: DTypeLike = np.float32
) -> Graph:
    """Graph of one structure whose Topology is known already."""
    n, volume = len(atoms), np.array([volume_of(atoms)], dtype)
    species, vectors = species_of(atoms, elements), top.vectors(atoms.positions).astype(dtype)
    structure, real = np.zeros(n, np.int32), np.ones(n, bool)
    return Graph(species, vectors, top.neighbors, top.reverse, top.mask, structure, real, volume)


def from_atoms(
    frames: Atoms | Frames, elements: Sequence[str], cutoff: float, dtype: DTypeLike = np.float32
) -> Graph:
    """Graph of structures within `cutoff` (Å), in few slots; `elements` by their embedding rows."""
    frames = [frames] if isinstance(frames, Atoms) else list(frames)
    words = "a graph needs at least one structure, and each needs at least one atom"
    refuse(not frames or not all(map(len, frames)), words)
    return join([from_topology(a, topology(a, cutoff), elements, dtype) for a in frames])


def join(graphs: Sequence[Graph], atoms: int = 0, slots: int = 0, structures: int = 0) -> Graph:
    """One graph of several, padded to `atoms` N, `slots` K and `structures` B [0: not padded].

    Empty slots point at themselves. Padding atoms belong to the last structure and carry no energy.
    No graphs are padding alone. Raises ValueError where the shape asked for is too small: nothing
    is ever cut off.
    """
    n, K = sum(len(g.species) for g in graphs), max([g.neighbors.shape[1] for g in graphs] or [0])
    B = sum(len(g.volume) for g in graphs)
    N, slots, structures = atoms or n, slots or K, structures or B
    what = f"{B} structures with {n} atoms and {K} neighbours do not fit a shape of"
    refuse(n > N or K > slots or B > structures, f"{what} {structures}, {N} and {slots}")
    dtype = graphs[0].vectors.dtype if graphs else np.float32
    species, structure = np.zeros(N, np.int32), np.full(N, structures - 1, np.int32)
    vectors, mask = np.zeros((N, slots, 3), dtype), np.zeros((N, slots), bool)
    neighbors = np.repeat(np.arange(N, dtype=np.int32)[:, None], slots, 1)
    reverse = np.arange(N * slots, dtype=np.int32).reshape(N, slots)
    atom_mask, volume = np.zeros(N, bool), np.zeros(structures, dtype)
    out = Graph(species, vectors, neighbors, reverse, mask, structure, atom_mask, volume)
    first, first_structure = 0, 0
    for g in graphs:
        n, K = g.neighbors.shape
        rows = slice(first, first + n)
        centre, slot = np.divmod(g.reverse, K)
        out.species[rows] = g.species
        out.vectors[rows, :K] = g.vectors
        out.neighbors[rows, :K] = g.neighbors + first
        out.reverse[rows, :K] = (centre + first) * slots + slot
        out.mask[rows, :K] = g.mask
        out.structure[rows] = g.structure + first_structure
        out.atom_mask[rows] = g.atom_mask
        out.volume[first_structure : first_structure + len(g.volume)] = g.volume
        first, first_structure = first + n, first_structure + len(g.volume)
    return out


def shapes_of(
    frames: Frames, elements: Sequence[str], cutoff: float, most: Shapes = 3
) -> list[tuple[int, int]]:
    """The padded shapes (N, K), at most `most`, that hold every structure of a dataset."""
    return sorted(set(few_shapes([from_atoms(atoms, elements, cutoff) for atoms in frames], most)))


def few_shapes(graphs: Sequence[Graph], most: Shapes) -> list[tuple[int, int]]:
    """A padded shape (N, K) for each graph, at most `most` different ones, with little padding.

    Shapes are merged two at a time, always the two that add the fewest slots. `most` may also be
    the shapes themselves, of a larger dataset; ValueError for a graph that fits none of them.
    """
    words = f"shapes must be a whole number of at least 1 or a list of pairs, not {most!r}"
    pair = lambda x: isinstance(x, (tuple, list)) and len(x) == 2 and all(map(is_whole, x))
    listed = isinstance(most, (list, tuple)) and all(map(pair, most))
    refuse(not is_whole(most) and not listed, words)
    own: list[tuple[int, int]] = [g.neighbors.shape for g in graphs]
    if not isinstance(most, (int, np.integer)):
        fitting = [[(N * K, (N, K)) for N, K in most if N >= n and K >= k] for n, k in own]
        if not all(fitting):
            what = f"a structure with {own[fitting.index([])]} atoms and slots"
            raise ValueError(f"{what} fits none of the shapes {most}")
        return [min(shapes)[1] for shapes in fitting]
    members = {shape: own.count(shape) for shape in set(own)}
    becomes = {shape: shape for shape in members}
    larger = lambda two: tuple(map(max, *two))
    added = lambda two: sum(members[s] * (prod(larger(two)) - prod(s)) for s in two)
    while len(members) > most:
        a, b = min(itertools.combinations(sorted(members), 2), key=added)
        both = larger((a, b))
        count = members.pop(a) + members.pop(b)
        members[both] = members.get(both, 0) + count
        becomes = {s: both if to in (a, b) else to for s, to in becomes.items()}
    return [becomes[s] for s in own]
