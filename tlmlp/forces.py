"""Energies, forces and virials of a function of bonds: one gradient gives them all."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from . import dimenet, repulsion


class Prediction(NamedTuple):
    energies: jax.Array  # [N] eV, of each atom, without reference energies
    forces: jax.Array  # [N, 3] eV/Å
    virial: jax.Array  # [B, 3, 3] eV, ∂E/∂strain of each structure


def energy_forces(config, params, graph, core=None):
    """Prediction for a Graph; pure, with `config` static. Precision follows graph.vectors (float32 or float64).

    core: (charges, distance), of tlmlp.repulsion, which is added; None in training, where it is zero anyway.
    """
    n_elements = len(params["dimenet/embedding"]["elements"])
    network = dimenet.transform(config, n_elements)

    def energies(moved):
        out = network.apply(params, moved)
        return out if core is None else out + repulsion.energies(moved, *core)

    return differentiate(energies, graph)


def differentiate(energies, graph):
    """Prediction of a function of Graph that gives the energy [N] in eV of each atom."""

    def energy(vectors):
        out = energies(graph._replace(vectors=vectors))
        return out.sum(), out

    g, out = jax.grad(energy, has_aux=True)(graph.vectors)  # [N, K, 3], ∂E/∂r of each bond
    N, K = graph.neighbors.shape
    g_other = dimenet.swap(g.reshape(N * K, 3), graph.reverse.reshape(-1)).reshape(N, K, 3)
    virial = jax.ops.segment_sum(
        jnp.einsum("iax,iay->ixy", graph.vectors, g),
        graph.structure,
        len(graph.volume),
        indices_are_sorted=True,
    )
    return Prediction(out, (g - g_other).sum(1), virial)


predict = jax.jit(energy_forces, static_argnums=0)


def on_device(graph):
    """The Graph as jax arrays, all there: a call that waits for its arguments computes in another thread (tlmlp.allocator)."""
    return jax.block_until_ready(jax.device_put(graph))
