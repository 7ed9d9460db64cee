"""Neighbour slots of atoms that move, inside a compiled function; jax-md finds the neighbours.

Letters: N atoms, M places in a list, K slots of a Graph; i centre, m place, a slot.

A list holds, for every atom, all others within `reach` = cutoff + skin. It is right until an atom
has moved by half the skin. Each step takes from it those within the cutoff and puts them into the K
slots of a Graph, as few as will do: an empty slot costs a network as much as a full one. Positions
are not wrapped back into the cell, so a bond keeps its cell shift. jax-md takes the nearest image
of every atom alone, so no height of the cell may be less than twice the reach.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from jax_md import partition, space

from ..graph import Graph, heights, pairs

Array = Any  # numpy's outside a compiled function, jax's within
ROUNDING = 1e-4  # Å; the search is in float32
# Why a step cannot be trusted; bits of one number.
LIST_FULL, SLOTS_FULL, GRID_FULL, CELL_SMALL, VACUUM_SMALL = 1, 2, 4, 8, 16


class Plan(NamedTuple):
    """Sizes that a program is compiled for."""

    cutoff: float  # Å
    slots: int  # K
    places: int  # M
    grid: int  # cells per side for jax-md's search; 0: all pairs are looked at
    occupancy: int  # places in a cell of that grid


class Listing(NamedTuple):
    """Neighbours within reach of N atoms, as they were at `positions` and `cell`."""

    neighbors: Array  # [N, M] int32; N: an empty place
    shifts: Array  # [N, M, 3] cell shifts, whole numbers
    back: Array  # [N, M] int32, flat place (k·M + m) of the same bond at its other end
    positions: Array  # [N, 3] Å
    cell: Array  # [3, 3] Å
    reach: Array  # [] Å, cutoff + skin


Grown = tuple[int, Plan, int] | None


def plan(
    positions: Array, cell: Array, cutoff: float, reach: float, least: int = 0, grown: Grown = None
) -> Plan:
    """A Plan with room for atoms at positions [N, 3] in a cell [3, 3], and for others like them.

    It has at least `least` slots. `grown` holds the bits that say what was too small in a Plan,
    that Plan, and the neighbours of its fullest atom.
    """
    n, rng = len(positions), np.random.default_rng(0)
    # A perfect crystal has few neighbours; atoms that move have more.
    shaken = [positions + rng.normal(0, 0.12, positions.shape) for _ in range(1 + 200 // n)]
    count = lambda r: max(_most(x, cell, r) for x in (positions, *shaken))
    slots, places = max(_even(count(cutoff) + 1), least), _even(1.1 * count(reach) + 2)
    side = int(min(heights(cell)) / (1.02 * reach))  # larger than needed: a cell may shrink
    grid, occupancy = side if side >= 4 else 0, 0
    if grid:
        fractional = positions @ np.linalg.inv(cell) % 1
        cells = np.ravel_multi_index(tuple((fractional * grid).astype(int).T % grid), (grid,) * 3)
        occupancy = int(1.3 * np.bincount(cells).max()) + 2
    if grown is not None:
        problem, old, crowd = grown
        slots = max(slots, old.slots, _even(crowd + 1) if problem & SLOTS_FULL else 0)
        places = max(places, old.places, _even(1.2 * old.places + 4) if problem & LIST_FULL else 0)
        if grid == old.grid:
            more = int(1.3 * old.occupancy) + 2 if problem & GRID_FULL else old.occupancy
            occupancy = max(occupancy, more)
    places = min(max(places, slots), max(n - 1, 1))
    if grid:
        occupancy = max(occupancy, places // 27 + 1)
    return Plan(cutoff, min(slots, _even(n)), places, grid, occupancy)


def _most(positions: np.ndarray, cell: np.ndarray, r: float) -> int:
    """Neighbours of the fullest atom within r in Å."""
    atoms = Atoms(np.zeros(len(positions), int), positions, cell=cell, pbc=True)
    (i,) = pairs(atoms, r, "i")
    return int(np.bincount(i.astype(int)).max(initial=1))


def _even(x: float) -> int:
    return 2 * -(-int(x) // 2)


def nothing(plan: Plan, reach: float, cell: np.ndarray, n: int) -> Listing:
    """An empty list of n atoms, in the size of a plan, which is stale."""
    nobody, back = np.full((n, plan.places), n, np.int32), np.zeros((n, plan.places), np.int32)
    shifts, nowhere = np.zeros((n, plan.places, 3)), np.full((n, 3), np.inf)
    return Listing(nobody, shifts, back, nowhere, cell, np.array(reach))


@lru_cache
def _searcher(grid: int, occupancy: int, places: int) -> Callable:
    """search(fractional [N, 3], box [3, 3]) -> (neighbours [N, M], bits).

    The columns of box are the cell vectors, in units of the reach.
    """
    with jax.ensure_compile_time_eval():  # kept, so it must not hold anything of its caller's trace
        displacement, _ = space.periodic_general(np.eye(3), fractional_coordinates=True)
        how = dict(disable_cell_list=not grid, fractional_coordinates=True)
        finder = partition.neighbor_list(displacement, 1.0, 1.0, 0.0, **how)
        cells = partition.cell_list(1.0, 1 / (grid + 0.01)) if grid else None

    def search(fractional, box):
        blank = jnp.zeros((len(fractional), places), jnp.int32)
        fine = partition.PartitionError(jnp.zeros((), jnp.uint8))
        size = (occupancy or None, places, partition.Dense, 1 / (grid + 0.01) if grid else None)
        empty = partition.NeighborList(blank, fractional, fine, *size, cells, finder.update)
        found = finder.update(fractional, empty, box=box)
        code = found.error.code
        full = jnp.where(code & partition.PEC.NEIGHBOR_LIST_OVERFLOW, LIST_FULL, 0)
        return found.idx, full | jnp.where(code & partition.PEC.CELL_LIST_OVERFLOW, GRID_FULL, 0)

    return search


def search(
    plan: Plan, reach: Array, positions: Array, cell: Array, pbc: Array
) -> tuple[Listing, Array]:
    """(Listing, bits) of atoms at positions [N, 3] in a cell [3, 3], all in Å.

    In directions without pbc [3] the cell has vacuum.
    """
    n, M = len(positions), plan.places
    inverse = jnp.linalg.inv(cell)
    fractional = positions @ inverse
    # The same cell, turned to the upper triangle that jax-md's grid wants.
    box = jnp.linalg.cholesky(cell @ cell.T).T / (reach + ROUNDING)
    finder = _searcher(plan.grid, plan.occupancy, M)
    single = (fractional - jnp.floor(fractional)).astype(jnp.float32), box.astype(jnp.float32)
    with jax.enable_x64(False):  # jax-md mixes its integers otherwise
        found, bits = finder(*single)
    filled, k = found < n, jnp.minimum(found, n - 1)
    shifts = -jnp.round(fractional[k] - fractional[:, None])
    # The place of i at k: no atom is there twice, since the cell is large.
    place = jnp.argmax(found[k] == jnp.arange(n)[:, None, None], axis=2)
    own = jnp.arange(n * M).reshape(n, M)
    back = jnp.where(filled, k * M + place, own).astype(jnp.int32)
    height = 1 / jnp.linalg.norm(inverse, axis=0)
    bits |= jnp.where(height.min() < 2 * reach, CELL_SMALL, 0)
    meet = jnp.ptp(fractional, axis=0) * height + reach > height
    bits |= jnp.where(jnp.any(meet & ~pbc), VACUUM_SMALL, 0)
    if plan.grid:
        bits |= jnp.where(height.min() < plan.grid * (reach + ROUNDING), GRID_FULL, 0)
    return Listing(found, shifts, back, positions, cell, jnp.asarray(reach)), bits.astype(jnp.int32)


def stale(plan: Plan, listing: Listing, positions: Array, cell: Array) -> Array:
    """Whether an atom outside the list may be within the cutoff; a cell that shrinks counts too."""
    scale = jnp.cbrt(jnp.abs(jnp.linalg.det(cell) / jnp.linalg.det(listing.cell)))
    moved = jnp.sqrt(jnp.sum((positions - scale * listing.positions) ** 2, -1).max())
    return ~(scale * listing.reach - 2 * moved > plan.cutoff)  # nan: search again


class Crowd(NamedTuple):
    """The neighbours that a step met."""

    most: Array  # [] neighbours of the fullest atom
    closest: Array  # [] shortest distance, in units of what is allowed for its two atoms
    distance: Array  # [] Å, that distance


def graph_of(
    plan: Plan,
    listing: Listing,
    positions: Array,
    cell: Array,
    species: Array,
    radii: Array,
    dtype: str,
) -> tuple[Graph, Crowd]:
    """(Graph, Crowd) of atoms at positions [N, 3] Å, as long as the list is not stale.

    species [N] int32; radii [N] Å: two atoms should be no closer than the sum of theirs. Where
    Crowd.most exceeds the slots, the graph is wrong.
    """
    n, K, M = len(positions), plan.slots, plan.places
    found, filled = jnp.minimum(listing.neighbors, n - 1), listing.neighbors < n
    vectors = positions[found] - positions[:, None] + listing.shifts @ cell  # [N, M, 3]
    squared = jnp.sum(vectors**2, -1)
    inside = filled & (squared < plan.cutoff**2)
    rank = jnp.cumsum(inside, axis=1, dtype=jnp.int32) - 1  # [N, M] slot of each neighbour

    # [N, K]: the places of those inside come first.
    places = jnp.argsort(~inside, axis=1, stable=True)[:, :K]
    places = jnp.pad(places, ((0, 0), (0, max(0, K - M))))
    mask = jnp.arange(K) <= rank[:, -1:]
    own = jnp.arange(n * K, dtype=jnp.int32).reshape(n, K)
    take = lambda x: jnp.take_along_axis(x, places, axis=1)
    neighbors = jnp.where(mask, take(found), own // K)
    reverse = jnp.where(mask, neighbors * K + rank.reshape(-1)[take(listing.back)], own)
    in_slots = jnp.take_along_axis(vectors, places[..., None], axis=1)
    in_slots = jnp.where(mask[..., None], in_slots, 0).astype(dtype)

    relative = jnp.where(inside, squared / (radii[:, None] + radii[found]) ** 2, jnp.inf)
    nearest, root = jnp.argmin(relative), lambda x: jnp.sqrt(x.reshape(-1)[nearest])
    crowd = Crowd(rank[:, -1].max() + 1, root(relative), root(squared))
    volume = jnp.abs(jnp.linalg.det(cell)).reshape(1).astype(dtype)
    one = (jnp.zeros(n, jnp.int32), jnp.ones(n, bool), volume)  # it is one structure
    slots: tuple[Array, ...] = (in_slots, neighbors, reverse, mask, *one)
    return Graph(species, *slots), crowd
