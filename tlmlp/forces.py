"""Energies, forces and virials of a function of bonds: one gradient gives them all.

    F_i = -∂E/∂r_i = Σ_a (g[i, a] - g[reverse[i, a]])      virial = Σ_ia r_ia ⊗ g[i, a]

with g[i, a] = ∂E/∂r_ia, by the vector of the bond in slot a of atom i. The force on i comes from
bonds that start at it and, through `reverse`, from those that end at it: no scatter is needed.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from . import dimenet, repulsion, splines
from .dimenet import Config, Params
from .graph import Graph
from .splines import Splines

Model = Config | Splines  # of a DimeNet++, or of a linear potential
Core = tuple[np.ndarray, np.ndarray]  # nuclear charges [n_elements], distance in Å


class Prediction(NamedTuple):
    """What a potential gives for a Graph with N atoms and B structures."""

    energies: jax.Array  # [N] eV, of each atom, without reference energies
    forces: jax.Array  # [N, 3] eV/Å
    virial: jax.Array  # [B, 3, 3] eV, ∂E/∂strain of each structure


def energy_forces(
    config: Model, params: Params, graph: Graph, core: Core | None = None
) -> Prediction:
    """Prediction for a Graph; pure, with `config` static. Precision follows graph.vectors.

    `core`, of tlmlp.repulsion, is added; None in training, where it is zero anyway.
    """
    return differentiate(energies_of(config, params, core), graph)


def energies_of(
    config: Model,
    params: Params,
    core: Core | None = None,
    swaps: Sequence[dimenet.Swap] | None = None,
) -> Callable[[Graph], jax.Array]:
    """The function of Graph that gives the energy [N] in eV of each atom; `swaps` of dimenet."""
    if isinstance(config, Splines):
        bound = partial(splines.energies, config, params)
    else:
        n_elements = len(params["dimenet/embedding"]["elements"])
        network = dimenet.network(config, n_elements, swaps)
        pure: hk.Transformed = hk.without_apply_rng(hk.transform(network))
        bound = partial(pure.apply, params)
    if core is None:
        return bound
    return lambda graph: bound(graph) + repulsion.energies(graph, *core)


def slopes(energies: Callable[[Graph], jax.Array], graph: Graph) -> tuple[jax.Array, jax.Array]:
    """(energies [N] in eV, g [N, K, 3] in eV/Å) of a function of Graph; g as above."""

    def energy(vectors: Any) -> tuple[jax.Array, jax.Array]:
        out = energies(graph._replace(vectors=vectors))
        return out.sum(), out

    g, out = jax.grad(energy, has_aux=True)(graph.vectors)
    return out, g


def differentiate(energies: Callable[[Graph], jax.Array], graph: Graph) -> Prediction:
    """Prediction of a function of Graph that gives the energy [N] in eV of each atom."""
    return assemble(graph, *slopes(energies, graph))


def assemble(graph: Graph, energies: jax.Array, g: jax.Array) -> Prediction:
    """Prediction of energies [N] in eV and their slopes g [N, K, 3] in eV/Å by the bonds."""
    N, K = graph.neighbors.shape
    g_other = dimenet.swap(g.reshape(N * K, 3), graph.reverse.reshape(-1)).reshape(N, K, 3)
    virials, B = jnp.einsum("iax,iay->ixy", graph.vectors, g), len(graph.volume)
    virial = jax.ops.segment_sum(virials, graph.structure, B, indices_are_sorted=True)
    return Prediction(energies, (g - g_other).sum(1), virial)


predict = jax.jit(energy_forces, static_argnums=0)


def on_device(graph: Graph) -> Graph:
    """The Graph as jax arrays, all arrived: else a call would compute in a thread of jax's own."""
    return jax.block_until_ready(jax.device_put(graph))
