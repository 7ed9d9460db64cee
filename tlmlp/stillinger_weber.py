"""The Stillinger-Weber potential on the neighbour slots of a Graph.

For atoms i, j, k at distances r and with the angle theta_jik at atom i:

    E = sum_{i<j} epsilon f2(r_ij / sigma)
      + sum_i sum_{j<k} epsilon f3(r_ij / sigma, r_ik / sigma, theta_jik)
    f2(r)           = A (B r^-p - r^-q) exp[1 / (r - a)]                          r < a, else 0
    f3(r, s, theta) = lambda (cos theta - cos theta_0)^2
                      exp[gamma / (r - a) + gamma / (s - a)]                   r, s < a, else 0

The sum over pairs of bonds needs no list of them: at every atom it is a table [K, K] of the angles
between its slots, as in tlmlp.dimenet. Units: eV, Å. Agrees with LAMMPS' pair_style sw to 1e-9 eV,
and to 1e-7 eV an atom with jax-md's, which adds 1e-7 Å to every length in a cosine.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from . import elements
from .calculator import GraphCalculator
from .elements import SW_CUTOFF, Element
from .forces import Prediction, differentiate
from .graph import Graph
from .refusal import refuse

# Shared by both elements, without units.
SW_A = 7.049556277
SW_B = 0.6022245584
SW_P = 4
SW_Q = 0
SW_GAMMA = 1.2


def energies(graph: Graph, element: Element) -> jax.Array:
    """Energy [N] in eV of each atom: half of its pairs, and the angles at it."""
    squared, cutoff = jnp.sum(graph.vectors**2, -1), element.cutoff
    # An empty slot gets a harmless distance before the square root and the divisions.
    d = jnp.sqrt(jnp.where(graph.mask & (squared < cutoff**2), squared, cutoff**2))
    inside = d < cutoff
    x = jnp.where(inside, d / element.sigma, 1.0)
    decay = 1 / (x - SW_CUTOFF)
    f2 = SW_A * (SW_B * x**-SW_P - x**-SW_Q) * jnp.exp(decay)
    pairs = jnp.where(inside, f2, 0).sum(-1) / 2

    g = jnp.where(inside, jnp.exp(SW_GAMMA * decay), 0)  # [N, K]
    u = graph.vectors / jnp.where(inside, d, 1.0)[..., None]
    bend = (jnp.einsum("iax,ibx->iab", u, u) - element.cos_angle) ** 2
    others = 1 - jnp.eye(d.shape[1], dtype=d.dtype)
    angles = jnp.einsum("ia,ib,iab,ab->i", g, g, bend, others) / 2
    return element.epsilon * (pairs + element.lam * angles)


def energy_forces(element: Element, graph: Graph) -> Prediction:
    """Prediction for a Graph; pure, `element` static."""
    return differentiate(lambda moved: energies(moved, element), graph)


predict = jax.jit(energy_forces, static_argnums=0)


class StillingerWeber(GraphCalculator):
    """ASE calculator in float64, whatever jax is set to.

    `element` is "Si", "Ge" or a row of `elements`, also one with parameters of your own:
    `dataclasses.replace(elements.element("Si"), lam=25.0)`. ValueError for other symbols.
    """

    shrinks = False

    def __init__(self, element: str | Element) -> None:
        self.row = element if isinstance(element, Element) else elements.element(element)
        super().__init__((self.row.symbol,), self.row.cutoff, "float64", skin=0.0)

    def predict(self, graph: Graph) -> Prediction:
        return predict(self.row, graph)

    def reference(self, atoms: Atoms) -> np.ndarray:
        others = ", ".join(sorted(set(atoms.symbols) - {self.row.symbol}))
        refuse(others, f"this calculator knows {self.row.symbol} alone, not {others}")
        return np.zeros(len(atoms))


stillinger_weber_calculator = StillingerWeber  # as datasets offers it, beside its other references
