"""Repulsion of nuclei, which keeps atoms apart where there are no training data.

In a hot liquid a network may let two atoms fall into one another. Below a distance `core` (Å), the
screened Coulomb repulsion of two nuclei is therefore added to its energy, and switched off smoothly
as d -> core. `core` is four fifths of the shortest covalent bond, or the shortest distance of the
training data where that is less. So it changes no training.

    V(d) = u(d/core) Z_1 Z_2 e²/(4πε0 d) φ(d/a)
    φ(x) = Σ_k c_k exp(-b_k x),   a = 0.46850 Å / (Z_1^0.23 + Z_2^0.23)

Source: Ziegler, Biersack & Littmark, The Stopping and Range of Ions in Matter (1985); u is the
envelope of tlmlp.bessel.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from .bessel import envelope
from .dimenet import at_nodes
from .graph import Graph

C = (0.18175, 0.50986, 0.28022, 0.02817)
B = (3.19980, 0.94229, 0.40290, 0.20162)
COULOMB = units.Hartree * units.Bohr  # e²/(4πε0) in eV Å


def energies(graph: Graph, charges: np.ndarray, core: np.ndarray) -> jax.Array:
    """Repulsion [N] in eV of each atom of a Graph, half of every bond to either end.

    `charges` [n_elements]: nuclear charges of the embedding rows; zero beyond `core` (Å).
    """
    N = len(graph.atom_mask)  # a part of a system has more rows, see dimenet
    squared = jnp.sum(graph.vectors[:N] ** 2, -1)
    inside = graph.mask[:N] & (squared < core**2)
    # An empty slot gets a harmless distance before the square root and the division.
    d = jnp.sqrt(jnp.where(inside, squared, core**2 + (core == 0)))
    d, inside = (at_nodes(x, N // len(d)) for x in (d, inside))
    mixed = graph.species.ndim == 2  # rows of alchemy: charges linear in the fraction
    Z = graph.species @ charges if mixed else charges[graph.species]
    Z_i, Z_k = Z[:N, None], Z[graph.neighbors[:N]]
    x = d * (Z_i**0.23 + Z_k**0.23) / 0.46850
    phi = sum(c * jnp.exp(-b * x) for c, b in zip(C, B))
    u = envelope(jnp.where(inside, d / jnp.maximum(core, 1e-6), 1.0))
    bonds = jnp.where(inside, u * COULOMB * Z_i * Z_k / d * phi, 0)
    if graph.weights is not None:  # of alchemical nodes: a bond counts by those of both ends
        bonds *= graph.weights[:, None] * graph.weights[graph.neighbors]
    return 0.5 * bonds.sum(-1)


def core_of(frames: Sequence[Atoms], cutoff: float) -> float:
    """Distance in Å below which nuclei repel, after training on `frames`; at most `cutoff`."""
    bonds = (2 * covalent_radii[atoms.numbers].min() for atoms in frames)
    most = min(cutoff, 0.8 * min(bonds))  # pairs farther apart change nothing, so none is sought
    return float(min(neighbor_list("d", atoms, most).min(initial=most) for atoms in frames))
