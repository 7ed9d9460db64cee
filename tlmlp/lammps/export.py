"""A potential for lammps-jax, whose pair style jax/kk keeps a whole step of LAMMPS on the card.

A rank of lammps-jax hands over its own atoms and its ghosts, within blocks + 1 cutoffs, and their
bonds in any order. So the network is computed for both, as by `pair_style tlmlp halo`, and the
energies of own atoms are counted. What it calls is one program of a fixed size, in one file, the
bundle: whoever runs it needs neither Python nor tlmlp.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..files import expanded
from ..forces import energies_of
from ..graph import Graph
from ..refusal import is_whole, one_of, refuse
from .network import Network, network_of

INSTALL = "pip install 'tlmlp[lammps-jax]'"
PLATFORMS = ("cuda", "cpu")


def graph_of(
    positions: jax.Array, species: jax.Array, bonds: Any, cutoff: float, K: int
) -> tuple[Graph, jax.Array]:
    """(Graph in K slots, whether an atom has more than K neighbours) of a domain, within a jit.

    `positions` [N, 3] in Å and `species` [N] are of own and ghost atoms; `bonds` has senders [E],
    receivers [E] and edge_mask [E] of lammps-jax, unordered, some longer than `cutoff` (Å).
    """
    N = len(positions)
    ends = [positions.at[end].get(mode="clip") for end in (bonds.senders, bonds.receivers)]
    inside = bonds.edge_mask & (jnp.sum((ends[1] - ends[0]) ** 2, -1) < cutoff**2)
    # In one order, since the card lists bonds in another one each time: sums then are the same.
    keys = jnp.where(inside, bonds.senders, N), bonds.receivers
    row, receivers = jax.lax.sort(keys, num_keys=2)
    atom = jnp.arange(N, dtype=jnp.int32)
    first = jnp.searchsorted(row, jnp.append(atom, N)).astype(jnp.int32)
    slot = jnp.arange(len(row), dtype=jnp.int32) - first[row]
    neighbors = jnp.repeat(atom[:, None], K, 1).at[row, slot].set(receivers, mode="drop")
    mask = jnp.zeros((N, K), bool).at[row, slot].set(True, mode="drop")
    # Each atom is in a row once, a ghost beside the atom that it repeats. Where a bond has no other
    # end, it is out of the reach of own atoms, and keeps its message.
    there = (neighbors[neighbors] == atom[:, None, None]) & mask[neighbors]  # [N, K, K]
    other = jnp.sum(there * jnp.arange(1, K + 1, dtype=jnp.int32), -1, dtype=jnp.int32) - 1
    own = atom[:, None] * K + jnp.arange(K, dtype=jnp.int32)
    reverse = jnp.where(mask & (other >= 0), neighbors * K + other, own)
    # Differences of double precision: in a large box its coordinates are as long as the box.
    vectors = jnp.where(mask[..., None], positions[neighbors] - positions[:, None], 0)
    none, all_ = jnp.zeros(N, jnp.int32), jnp.ones(N, bool)
    slots = (vectors.astype(jnp.float32), neighbors, reverse, mask)
    return Graph(species, *slots, none, all_, jnp.zeros(1)), jnp.any((row < N) & (slot >= K))


def energies_for(network: Network, rows: Sequence[int], K: int) -> Callable[..., jax.Array]:
    """The function that lammps-jax exports: energies [N] in eV, NaN where K slots are too few."""
    energies = energies_of(network.config, network.params, network.core)
    cutoff = network.config.cutoff

    def of_atoms(positions: jax.Array, types: jax.Array, bonds: Any) -> jax.Array:
        species = jnp.asarray(rows, jnp.int32).at[types].get(mode="clip")
        graph, full = graph_of(positions, species, bonds, cutoff, K)
        alone = jnp.asarray(network.reference, positions.dtype)[species]
        return energies(graph) * jnp.where(full, jnp.nan, jnp.float32(1)) + alone

    return of_atoms


def bundle(
    potential: str | os.PathLike,
    elements: Sequence[str],
    out: str | os.PathLike,
    atoms: int,
    neighbors: int = 32,
    platform: str = "cuda",
) -> dict[str, Any]:
    """Write a bundle for `pair_style jax/kk` of lammps-jax; returns what it promises to LAMMPS.

    Args:
        potential: a shipped potential's name or a file.
        elements: of LAMMPS's types, in their order.
        out: the file to write.
        atoms: N, the most own and ghost atoms of a rank. Memory and time go by this number.
        neighbors: K, the most neighbours of an atom within the cutoff; energies are NaN beyond.
        platform: "cuda" or "cpu", where it will run; neither is needed to write it.

    Raises:
        ValueError: an unknown element, or a size or platform that is not allowed.
        FileExistsError, FileNotFoundError: `out` exists, or its folder does not.
        ModuleNotFoundError: lammps-jax is not installed.
    """
    one_of("platform", platform, PLATFORMS)
    for name, value in dict(atoms=atoms, neighbors=neighbors).items():
        words = f"{name} must be a whole number of at least 1, not {value!r}"
        refuse(not is_whole(value), words)
    words = f"atoms times neighbors must be less than 2^31, not {atoms * neighbors:.1e}"
    refuse(atoms * neighbors >= 2**31, words)
    refuse("NULL" in elements, "a bundle has forces for all types: name an element, not NULL")
    file = expanded(out)
    refuse(file.exists(), f"{file} exists: delete it, or give another name", FileExistsError)
    words = f"there is no folder {file.parent}"
    refuse(not file.parent.is_dir(), words, FileNotFoundError)
    network, rows = network_of(len(elements), os.fspath(potential), elements, True)
    try:
        from lammps_jax.export import export_model
    except ImportError as error:
        raise ModuleNotFoundError(f"lammps-jax is not installed ({error}): {INSTALL}") from None
    with jax.enable_x64(True):  # for positions and the sum of energies; the network is of float32
        written = export_model(
            energy_fn=energies_for(network, rows, neighbors),
            path=file,
            max_atoms=atoms,
            max_edges=atoms * neighbors,
            cutoff=network.config.cutoff,
            unit_style="metal",
            precision="float64",
            n_hops=network.config.n_blocks + 1,
            n_species=len(elements),
            platform=platform,
        )
    return written["contract"]
