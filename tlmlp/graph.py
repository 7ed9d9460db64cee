"""Graph: the neighbours of every atom, in slots, for one structure or for many at once.

Letters: N atoms (of all structures, padding included), K slots per atom, B structures, i centre, a slot, S cell shift.

Slot (i, a) holds one neighbour k of i, within the cutoff, and the vector from i to it:

    neighbors[i, a] = k        vectors[i, a] = r_k + S·cell - r_i

The same bond appears once more, at k, seen from the other end. `reverse` names that slot, so that whatever leaves one
atom can arrive at the other: it pairs (i, slot of k with shift S) with (k, slot of i with shift -S), which is also right
where an atom is its own neighbour. `reverse` is a permutation of the N·K slots and its own inverse.

Several structures are one graph with more atoms: no bond crosses between them. Padding (atoms without neighbours, slots
without an atom) lets graphs of different sizes share a shape, so that a network is compiled once or twice, not per size.
"""

from typing import NamedTuple

import numpy as np
import vesin
from ase.geometry import complete_cell


class Graph(NamedTuple):
    """Neighbour slots of B structures with N atoms and K slots per atom. Arrays, so that it passes through jax.jit."""

    species: np.ndarray  # [N] int32, row of the element in the embedding table
    vectors: np.ndarray  # [N, K, 3] Å, from the centre to the neighbour
    neighbors: np.ndarray  # [N, K] int32, index of the neighbour
    reverse: (
        np.ndarray
    )  # [N, K] int32, flat index (k·K + b) of the same bond seen from the other end
    mask: np.ndarray  # [N, K] bool, False: an empty slot
    structure: np.ndarray  # [N] int32, the structure that each atom belongs to
    atom_mask: np.ndarray  # [N] bool, False: an atom that is only padding
    volume: np.ndarray  # [B] Å^3; 0 where the structure is not periodic in all three directions


class Topology(NamedTuple):
    """Who neighbours whom in one structure; stays true while no atom moves farther than half the skin."""

    neighbors: np.ndarray  # [N, K] int32
    offsets: np.ndarray  # [N, K, 3] Å, S·cell
    reverse: np.ndarray  # [N, K] int32
    mask: np.ndarray  # [N, K] bool

    def vectors(self, positions):
        """Bond vectors [N, K, 3] in Å for positions [N, 3] in Å; empty slots give zeros."""
        vectors = positions[self.neighbors] - positions[:, None] + self.offsets
        return np.where(self.mask[..., None], vectors, 0)


def topology(atoms, cutoff, slots=None):
    """Neighbour slots of one ase.Atoms within `cutoff` (Å), through periodic images, any cell, any pbc (vesin).

    `slots`: K, at least the largest number of neighbours (default: that number). Raises ValueError when K is too small
    or when two atoms sit at the same place.
    """
    n = len(atoms)
    pbc = np.asarray(atoms.pbc)
    box = np.where(pbc[:, None], atoms.cell.array, 0)
    if pbc.any() and not pbc.all():
        box = atoms.cell.complete().array
    elif pbc.all() and abs(np.linalg.det(box)) < 1e-6:
        raise ValueError(
            "a periodic structure needs a cell with a volume; set atoms.cell or atoms.pbc = False"
        )
    calculator = vesin.NeighborList(cutoff=float(cutoff), full_list=True)
    i, j, S, d = calculator.compute(
        points=np.ascontiguousarray(atoms.positions),
        box=np.ascontiguousarray(box),
        periodic=pbc,
        quantities="ijSd",
    )
    i, j = i.astype(np.int64), j.astype(np.int64)
    if len(d) and d.min() < 1e-3:
        k = int(d.argmin())
        raise ValueError(
            f"atoms {i[k]} and {j[k]} are at the same place; every pair must be at least 0.001 Å apart"
        )

    S = S.astype(np.int64)
    order = np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))
    i, j, S = i[order], j[order], S[order]
    counts = np.bincount(i, minlength=n)
    most = int(counts.max()) if len(i) else 1
    K = most if slots is None else int(slots)
    if K < most:
        raise ValueError(
            f"an atom has {most} neighbours within {cutoff} Å but the graph has {K} slots; allow {most} or more"
        )

    slot = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
    flat = i * K + slot
    # Bonds sorted by (i, j, S) and bonds sorted by (j, i, -S) list the same bonds from their two ends.
    other = np.lexsort((-S[:, 2], -S[:, 1], -S[:, 0], i, j))
    if not (np.array_equal(i[other], j) and np.array_equal(S[other], -S)):
        raise ValueError(
            "the neighbour list is not symmetric; a distance coincides with the cutoff to the last bit"
        )
    reverse = np.arange(n * K)
    reverse[flat] = flat[other]

    def in_slots(values, fill):
        out = np.full((n * K, *values.shape[1:]), fill, values.dtype)
        out[flat] = values
        return out.reshape(n, K, *values.shape[1:])

    neighbors = np.repeat(np.arange(n), K)  # an empty slot names its own atom
    neighbors[flat] = j
    return Topology(
        neighbors.reshape(n, K).astype(np.int32),
        in_slots(S @ box, 0.0),
        reverse.reshape(n, K).astype(np.int32),
        in_slots(np.ones(len(i), bool), False),
    )


def species_of(atoms, elements):
    """Rows [N] of the atoms' elements in `elements`; ValueError names the elements that are missing."""
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(elements))
    if unknown:
        raise ValueError(
            f"this potential knows {', '.join(elements)}; it has never seen {', '.join(unknown)}"
        )
    return np.array([elements.index(s) for s in atoms.get_chemical_symbols()], np.int32)


def volume_of(atoms):
    """Cell volume in Å^3, or 0 where a stress has no meaning (not periodic in all three directions)."""
    return float(atoms.get_volume()) if atoms.pbc.all() else 0.0


def from_topology(atoms, top, elements, dtype=np.float32):
    """Graph of one ase.Atoms whose Topology is known already."""
    n = len(atoms)
    return Graph(
        species_of(atoms, elements),
        top.vectors(atoms.positions).astype(dtype),
        top.neighbors,
        top.reverse,
        top.mask,
        np.zeros(n, np.int32),
        np.ones(n, bool),
        np.array([volume_of(atoms)], dtype),
    )


def from_atoms(frames, elements, cutoff, dtype=np.float32, slots=None):
    """Graph of one ase.Atoms or a list of them within `cutoff` (Å), as tight as its fullest atom allows.

    `elements`: symbols in the order of the embedding rows. Raises ValueError for an element that is not among them, for
    an empty list and for two atoms at one place.
    """
    frames = [frames] if hasattr(frames, "get_positions") else list(frames)
    if not frames or any(len(atoms) == 0 for atoms in frames):
        raise ValueError("a graph needs at least one structure, and each needs at least one atom")
    return join([from_topology(a, topology(a, cutoff, slots), elements, dtype) for a in frames])


def join(graphs, atoms=None, slots=None, structures=None):
    """One graph of several, padded to `atoms` N, `slots` K and `structures` B (defaults: no padding).

    Empty slots point at themselves, padding atoms belong to the last structure and carry no energy (atom_mask). Raises
    ValueError where the shape asked for is too small: nothing is ever cut off.
    """
    n, K = sum(len(g.species) for g in graphs), max(g.neighbors.shape[1] for g in graphs)
    B = sum(len(g.volume) for g in graphs)
    N, slots, structures = atoms or n, slots or K, structures or B
    if n > N or K > slots or B > structures:
        raise ValueError(
            f"{B} structures with {n} atoms and {K} neighbours do not fit a shape of {structures}, {N} and {slots}"
        )
    dtype = graphs[0].vectors.dtype
    out = Graph(
        np.zeros(N, np.int32),
        np.zeros((N, slots, 3), dtype),
        np.repeat(np.arange(N, dtype=np.int32)[:, None], slots, 1),
        np.arange(N * slots, dtype=np.int32).reshape(N, slots),
        np.zeros((N, slots), bool),
        np.full(N, structures - 1, np.int32),
        np.zeros(N, bool),
        np.zeros(structures, dtype),
    )
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


def widen(top, slots):
    """A Topology with more slots per atom, the new ones empty."""
    n, K = top.mask.shape
    centre, slot = np.divmod(top.reverse, K)
    pad = lambda x, *empty: np.concatenate([x, *empty], 1)
    own = np.repeat(np.arange(n, dtype=np.int32)[:, None], slots - K, 1)
    return Topology(
        pad(top.neighbors, own),
        pad(top.offsets, np.zeros((n, slots - K, 3))),
        pad(centre * slots + slot, own * slots + np.arange(K, slots, dtype=np.int32)).astype(
            np.int32
        ),
        pad(top.mask, np.zeros((n, slots - K), bool)),
    )


def shapes_of(frames, elements, cutoff, most=3):
    """The padded shapes (N, K), at most `most`, that hold every structure of a dataset: see few_shapes."""
    return sorted(set(few_shapes([from_atoms(atoms, elements, cutoff) for atoms in frames], most)))


def few_shapes(graphs, most):
    """A padded shape (N, K) for each graph, at most `most` different ones, with little padding.

    most: a number, or the shapes themselves as a list of (N, K), say those of a larger dataset that these are a part of.

    Shapes are merged two at a time, always the pair that adds the fewest slots: a program is compiled for each shape, and
    padding is computed like the rest. Raises ValueError for a graph that fits none of the shapes given.
    """
    own = [g.neighbors.shape for g in graphs]
    if not isinstance(most, int):
        fitting = [[(N * K, (N, K)) for N, K in most if N >= n and K >= k] for n, k in own]
        if not all(fitting):
            raise ValueError(
                f"a structure with {own[fitting.index([])]} atoms and slots fits none of the shapes {most}"
            )
        return [min(shapes)[1] for shapes in fitting]
    members = {shape: own.count(shape) for shape in set(own)}
    becomes = {shape: shape for shape in members}

    def cost(a, b):
        N, K = max(a[0], b[0]), max(a[1], b[1])
        return sum(members[s] * (N * K - s[0] * s[1]) for s in (a, b))

    while len(members) > most:
        shapes = sorted(members)
        a, b = min(
            ((a, b) for i, a in enumerate(shapes) for b in shapes[i + 1 :]),
            key=lambda pair: cost(*pair),
        )
        both = (max(a[0], b[0]), max(a[1], b[1]))
        count = members.pop(a) + members.pop(b)
        members[both] = members.get(both, 0) + count
        becomes = {s: both if to in (a, b) else to for s, to in becomes.items()}
    return [becomes[s] for s in own]


def pairs(atoms, cutoff, quantities):
    """What vesin knows of all pairs within a cutoff in Å, through periodic images; 'i', 'j', 'S', 'd' and 'D' as it has them."""
    pbc = np.asarray(atoms.pbc)
    box = complete_cell(atoms.cell.array * pbc[:, None]) if not pbc.all() else atoms.cell.array
    if pbc.all() and abs(np.linalg.det(box)) < 1e-6:
        raise ValueError(
            "a periodic structure needs a cell with a volume; set atoms.cell or atoms.pbc = False"
        )
    search = vesin.NeighborList(cutoff=float(cutoff), full_list=True)
    return search.compute(
        points=np.ascontiguousarray(atoms.positions),
        box=np.ascontiguousarray(box),
        periodic=pbc,
        quantities=quantities,
    )


def heights(cell):
    """Distances [3] in Å between opposite faces of a cell [3, 3]."""
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
