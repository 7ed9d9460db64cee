"""Weakly supervised losses: what energies and forces of displaced structures must have in common.

Copies of a training structure r, displaced by random vectors d, have no labels. Yet their energies
are known to first order. Two terms are added to the loss of tlmlp.train, for n atoms:

    L += w_E (taylor ⟨ρ²⟩ + path ⟨π²⟩)
    ρ = [E(r + d) - E* + F·d] / n             the Taylor expansion about the labels E*, F*
    π = [E(r + d) - E(r + e) + F·(d - e)] / n          two ways to r + d, the second over r + e

    order 1:  F = F* in ρ, F(r + e) in π                                error of the expansion O(d²)
    order 2:  F is the mean of that and F(r + d), the trapezoidal rule                         O(d³)

E and F are the network's. w_E is the weight of the energy, which grows as η falls. Every structure
of a batch has new d and e at every step: components uniform within ±`displacement`, which is also
the root mean square of an atom's way. Neighbours stay those of r. A pair that comes nearer than
the cutoff is missed, where the network is switched off smoothly: below 0.001 meV/atom at 0.05 Å.

Order 1 is biased. A true energy has ⟨ρ⟩ = ⟨½ d·H d⟩/n > 0, with its curvature H, and the loss takes
that for an error. At 0.05 Å it is 12 meV/atom in silicon (si-dft-course with its own labels), with
order 2 0.02 meV/atom.

Forces here are slopes of the energy, so that they are conservative without a loss. π of order 1 is
then curvature as well, and its loss smooths the energy; π of order 2 almost vanishes. ρ is mostly
the error of the energy once more: forces that are wrong by f (eV/Å) in each component make f δ/√n
of it for a displacement δ, 1 meV/atom where f = 0.2, δ = 0.05 Å and n = 64. Ten structures of
germanium from scratch give 125 meV/Å, with taylor=1.2 151, with 2.2 times w_E instead 150, and 125
with w_E divided between the two.

Where a structure has no forces, ρ takes F(r) for F*. It is then E(r) - E* but for O(d²) or O(d³):
the error of the energy, which w_E weighs already. weights.force = 0 trains on energies alone.

Source: Takamoto, Zaverkin & Niepert, Physics-Informed Weakly Supervised Learning for Interatomic
Potentials, ICML 2025, arXiv 2408.05215 (PITC and PISC). Their published code expands about the
network's own E(r) and F(r), to order 1, at every structure of a batch; its settings for ANI-1x are
taylor=1.2, path=0.01 and 0.05 Å. About labels as here: Cooper, Kästner, Urban & Artrith, npj
Comput. Mater. 6, 54 (2020).
"""

from collections.abc import Callable
from math import inf
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .forces import Prediction
from .graph import Graph
from .labels import Labels
from .refusal import positive, refuse

FARTHEST = 0.3  # Å; neighbours stay those of the structure that is not displaced


class Consistency(NamedTuple):
    """Weights of the two terms, in units of that of the energy, and what is displaced how far."""

    taylor: float = 0.0  # of ρ
    path: float = 0.0  # of π
    displacement: float = 0.05  # Å
    order: int = 2  # of the expansion, 1 or 2

    def check(self) -> None:
        """ValueError for what no training can use."""
        numbers = all(isinstance(x, Real) and 0 <= x < inf for x in self[:2])
        words = f"must be numbers of at least 0 and one of them more, not {self[:2]!r}"
        refuse(not numbers or not max(self[:2]), f"taylor and path of a Consistency {words}")
        positive(displacement=self.displacement)
        words = f"displacement must be at most {FARTHEST} Å, not {self.displacement!r}"
        refuse(self.displacement > FARTHEST, words)
        refuse(self.order not in (1, 2), f"order must be 1 or 2, not {self.order!r}")


def displaced(graph: Graph, by: jax.Array) -> Graph:
    """A Graph whose atoms have moved by [N, 3] in Å, with the neighbours that it had."""
    return graph._replace(vectors=graph.vectors + by[graph.neighbors] - by[:, None])


def displacements(
    key: jax.Array, most: float, graph: Graph, labels: Labels, axis: str | None = None
) -> jax.Array:
    """Two displacements [2, N, 3] in Å of each atom; zero for padding.

    They are those of a place in the batch and an atom's place in its structure, whatever the shape
    is padded to, and on however many devices of an `axis` the batch is divided.
    """
    before, size = 0, jnp.asarray(labels.n_atoms, jnp.int32)
    if axis:
        counts = jax.lax.all_gather((size > 0).sum(), axis)
        before = jnp.where(jnp.arange(len(counts)) < jax.lax.axis_index(axis), counts, 0).sum()
    place = jnp.arange(len(graph.structure)) - (jnp.cumsum(size) - size)[graph.structure]
    fold = jax.vmap(jax.random.fold_in)
    keys = fold(jax.vmap(jax.random.fold_in, (None, 0))(key, graph.structure + before), place)
    draw = lambda key: jax.random.uniform(key, (2, 3), graph.vectors.dtype, -most, most)
    return jnp.moveaxis(jax.vmap(draw)(keys), 1, 0) * graph.atom_mask[:, None]


def penalty(
    consistency: Consistency,
    field: Callable[[Graph], Prediction],
    graph: Graph,
    labels: Labels,
    key: jax.Array,
    axis: str | None = None,
) -> jax.Array:
    """taylor ⟨ρ²⟩ + path ⟨π²⟩ in eV² of one Graph; pure, `axis` as in train.loss.

    `field` gives the Prediction of a Graph; what is not needed of it is not computed.
    """
    c, real = consistency, labels.n_atoms > 0
    sums = lambda x: jax.ops.segment_sum(x, graph.structure, len(real), indices_are_sorted=True)
    end, other = displacements(key, c.displacement, graph, labels, axis)
    away = field(displaced(graph, end))

    def mean_square(energy: Any, forces: Any, way: Any) -> jax.Array:
        if c.order == 2:
            forces = (forces + away.forces) / 2
        residual = sums(away.energies) - energy + sums(jnp.sum(forces * way, -1))
        residual = residual / jnp.maximum(labels.n_atoms, 1) * real
        count = jax.lax.psum(real.sum(), axis) if axis else real.sum()
        return jnp.sum(residual**2) / jnp.maximum(count, 1)

    total = jnp.zeros(())
    if c.taylor:
        forces = labels.forces
        if labels.has_forces is not None:
            known = labels.has_forces[graph.structure, None] > 0
            forces = jnp.where(known, forces, field(graph).forces)
        total += c.taylor * mean_square(labels.energy, forces, end)
    if c.path:
        over = field(displaced(graph, other))
        total += c.path * mean_square(sums(over.energies), over.forces, end - other)
    return total
