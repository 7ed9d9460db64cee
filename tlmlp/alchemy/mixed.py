"""Energies between two elements: A at the fraction λ = 0, B at λ = 1.

A network sees an element as a vector, a row of its table. So elements can be mixed, and the energy
has a slope ∂E/∂λ. There are two ways to mix. Both are exact at λ = 0 and at λ = 1.

    embedding   an atom has the row (1-λ) h_A + λ h_B
    nodes       two nodes lie at the place of an atom: A of the weight 1-λ and B of the weight λ

Messages from a node j, and the energy ε_j of this node, count by its weight w_j:

    o_ji = Σ_k w_k Σ_l P_l(û_ji·û_jk) g_kj,l      Output: Σ_j w_j m_ji rbf_ji      E = Σ_j w_j ε_j

Letters are those of tlmlp.dimenet. Nodes at one place have no bond with each other, and k is none
of the nodes at the place of i. So two nodes of the same element are exactly one atom of it.

Reference energies are linear in λ. The repulsion of nuclei (tlmlp.repulsion) counts by the weights
of both nodes; in the way "embedding" nuclear charges are linear in λ.

Source of the nodes: Nam & Gómez-Bombarelli, arXiv 2404.10746.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import ArrayLike

from .. import graph as graphs
from ..calculator import PotentialCalculator
from ..dimenet import Config, Params
from ..forces import Core, Prediction, assemble, energies_of
from ..graph import Graph, Topology
from ..potential import Potential
from ..refusal import is_whole, one_of, refuse

FIELDS = dict(embedding="species", nodes="weights")  # way: what depends on λ in a Graph


class Nodes(NamedTuple):
    """The Graph of M nodes with S slots, and what it takes from that of N places with K slots."""

    graph: Graph  # of the nodes
    place: np.ndarray  # [M] int32, of each node
    bond: np.ndarray | None  # [M, S] int32, flat slot i·K + a of the places with the same vector;
    # None where all places have as many nodes: their own vectors will do (tlmlp.dimenet)
    start: np.ndarray  # what depends on λ, weights [M] or rows of elements [M, E], at λ = 0
    change: np.ndarray  # and its difference to that at λ = 1


def split(
    top: Topology, double: np.ndarray, extra: int = 0
) -> tuple[Topology, np.ndarray, np.ndarray, np.ndarray]:
    """(bonds of nodes, their place [M], first or second [M], their bond [M, S]); see Nodes.

    Two nodes are where `double` [N] is true. S is K and the largest number of neighbours that are
    double, at least `extra`. It is 2K where all are double. The offsets are left empty.
    """
    K, count = top.mask.shape[1], 1 + double
    place = np.repeat(np.arange(len(double)), count)
    first = np.cumsum(count) - count  # node of a place
    second = np.arange(len(place)) - first[place]
    width = np.where(top.mask | double.all(), count[top.neighbors], 0)  # nodes in a place's slot
    begin = np.cumsum(width, 1) - width
    S = K + (K if double.all() else max(extra, int((width == 2).sum(1).max())))
    # One row for each bond: slot a of node n, to the node `b` (0 or 1) at the other place
    n, a, b = np.nonzero(np.arange(2) < width[place][..., None])
    i, slot = place[n], begin[place[n], a] + b
    j, back = np.divmod(top.reverse[i, a], K)
    shape = len(place), S
    neighbors = np.repeat(np.arange(len(place), dtype=np.int32)[:, None], S, 1)
    reverse = np.arange(len(place) * S, dtype=np.int32).reshape(shape)
    mask, bond = np.zeros(shape, bool), np.zeros(shape, np.int32)
    neighbors[n, slot] = first[j] + b
    reverse[n, slot] = (first[j] + b) * S + begin[j, back] + second[n]
    mask[n, slot], bond[n, slot] = top.mask[i, a], i * K + a
    return Topology(neighbors, np.zeros((*shape, 3)), reverse, mask), place, second, bond


@partial(jax.jit, static_argnums=(0, 1))
def predict(
    config: Config, field: str, params: Params, core: Core, graph: Graph, nodes: Nodes, lam: Any
) -> tuple[Prediction, jax.Array]:
    """(Prediction of N places, ∂E/∂λ [N] in eV) by the fractions `lam` [N] of the places."""
    energies = energies_of(config, params, core)

    def energy(vectors, lam):
        bonds = vectors if nodes.bond is None else vectors.reshape(-1, 3)[nodes.bond]
        mixed = (nodes.start.T + nodes.change.T * lam[nodes.place]).T
        out = energies(nodes.graph._replace(vectors=bonds, **{field: mixed}))
        out = jax.ops.segment_sum(out, nodes.place, len(lam), indices_are_sorted=True)
        return out.sum(), out

    (g, slopes), out = jax.grad(energy, (0, 1), has_aux=True)(graph.vectors, lam)
    return assemble(graph, out, g), slopes


class AlchemicalCalculator(PotentialCalculator):
    """ASE calculator of a potential whose atoms lie between two elements.

    `fractions` can be set at any time. results["slopes"] [M] are ∂E/∂λ in eV of the M alchemical
    atoms, in their order, at fixed positions and cell; `slopes(atoms)` gives them. They include
    the reference energies. Energies, forces and stress are those of every GraphCalculator.

    The symbol of an alchemical atom does not count: its fraction does. Others count by symbol. Set
    `atoms.set_masses(masses(...))` for dynamics.
    """

    implemented_properties = [*PotentialCalculator.implemented_properties, "slopes"]

    def __init__(
        self,
        potential: Potential,
        pair: tuple[str, str] = ("Si", "Ge"),
        fractions: ArrayLike = 0.0,
        which: int | Sequence[int] | None = None,
        way: str = "nodes",
        dtype: str = "float32",
        skin: float = 0.3,
    ) -> None:
        """An alchemical calculator.

        Args:
            potential: one that was trained on both elements.
            pair: the elements at λ = 0 and at λ = 1.
            fractions: λ from 0 to 1, a number for all or one for each alchemical atom.
            which: indices of the alchemical atoms [default: all atoms].
            way: "nodes" or "embedding". Two places with two nodes each exchange four times the
                messages, which cost 1.9 to 2.5 times the plain forces (64, 216 atoms; two cores).
                With one alchemical atom of 64 it is 1.2 times, by embeddings at most 1.1 times.
            dtype: "float32" or "float64", as in Potential.calculator.
            skin: Å, likewise.

        Raises:
            ValueError: for elements without training, fractions outside 0 to 1, bad indices.
        """
        super().__init__(potential, dtype, skin)
        self.config = potential.network
        one_of("way", way, FIELDS)
        self.pair, self.way, self.which = _pair(pair), way, _indices(which)
        potential.check_elements(Atoms(self.pair))
        self.rows = [self.elements.index(e) for e in self.pair]
        self._nodes: Nodes
        self._extra, self._slopes = 0, np.zeros(0)
        self.fractions = fractions

    @property
    def fractions(self) -> np.ndarray:
        """λ, read-only: a number [] for all, or one for each alchemical atom [M]. May be set."""
        return self._fractions

    @fractions.setter
    def fractions(self, values: ArrayLike) -> None:
        self._fractions = _fractions(values, self.which)
        self.reset()

    def slopes(self, atoms: Atoms) -> np.ndarray:
        """∂E/∂λ [M] in eV of the alchemical atoms."""
        return self.get_property("slopes", atoms)

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        low, high = (self.potential.reference[row] for row in self.rows)
        places = slice(None) if self.which is None else self.which
        self.results["slopes"] = self._slopes[places] + high - low

    def reference(self, atoms: Atoms) -> np.ndarray:
        lam = _at_places(len(atoms), self.which, self.fractions)
        low, high = (self.potential.reference[row] for row in self.rows)
        return super().reference(self._at_zero(atoms)) + lam * (high - low)

    def graph_of(self, atoms: Atoms, top: Topology) -> Graph:
        atoms = self._at_zero(atoms)
        alchemical = np.zeros(len(atoms), bool)
        alchemical[slice(None) if self.which is None else self.which] = True
        double = alchemical & (self.way == "nodes")
        bonds, place, second, bond = split(top, double, self._extra)
        self._extra = bonds.mask.shape[1] - top.mask.shape[1]
        graph = graphs.from_topology(atoms[place], bonds, self.elements, self.dtype)
        graph.species[second == 1] = self.rows[1]
        if self.way == "nodes":
            start, change = 1.0 - second, np.where(double[place], 2.0 * second - 1, 0)
        else:
            one_hot = np.eye(len(self.elements))
            start = one_hot[graph.species]
            change = np.where(alchemical[:, None], one_hot[self.rows[1]] - start, 0)
        mixing = (x.astype(self.dtype) for x in (start, change))
        places = graphs.from_topology(atoms, top, self.elements, self.dtype)
        if double.all() or not double.any():
            graph, bond = graph._replace(vectors=places.vectors, mask=top.mask), None
        self._nodes = jax.device_put(Nodes(graph, place.astype(np.int32), bond, *mixing))
        return places

    def predict(self, graph: Graph) -> Prediction:
        lam = _at_places(len(graph.species), self.which, self.fractions).astype(self.dtype)
        at = self.config, FIELDS[self.way], self.weights, self.core
        prediction, slopes = predict(*at, graph, self._nodes, lam)
        self._slopes = np.asarray(slopes, float)
        return prediction

    def _at_zero(self, atoms: Atoms) -> Atoms:
        """A copy whose alchemical atoms are of the first element."""
        atoms = atoms.copy()
        atoms.symbols[slice(None) if self.which is None else self.which] = self.pair[0]
        return atoms


def alchemical(calculator: object) -> None:
    """TypeError for what is no AlchemicalCalculator, and so has no fractions to change."""
    words = f"calculator must be an AlchemicalCalculator, not {type(calculator).__name__}"
    refuse(not isinstance(calculator, AlchemicalCalculator), words, TypeError)


def masses(
    atoms: Atoms,
    pair: tuple[str, str],
    fractions: ArrayLike,
    which: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Masses [N] in amu, for atoms.set_masses: (1-λ) m_A + λ m_B where an atom is alchemical.

    Arguments and errors are those of AlchemicalCalculator.
    """
    pair, which = _pair(pair), _indices(which)
    lam = _at_places(len(atoms), which, _fractions(fractions, which))
    low, high = (atomic_masses[atomic_numbers[e]] for e in pair)
    out = atoms.get_masses()
    places = slice(None) if which is None else which
    out[places] = low + lam[places] * (high - low)
    return out


def _pair(pair: tuple[str, str]) -> tuple[str, str]:
    fine = isinstance(pair, (tuple, list)) and len(pair) == 2 and pair[0] != pair[1]
    fine = fine and all(e in atomic_numbers and e != "X" for e in pair)
    refuse(not fine, f"pair must be two different elements such as ('Si', 'Ge'), not {pair!r}")
    return pair[0], pair[1]


def _indices(which: int | Sequence[int] | None) -> np.ndarray | None:
    if which is None:
        return None
    indices = np.atleast_1d(np.asarray(which)).tolist()
    fine = indices and all(is_whole(i, 0) for i in indices) and len(set(indices)) == len(indices)
    refuse(not fine, f"which must be different indices of atoms, from 0 on, not {which!r}")
    return np.array(indices)


def _fractions(values: ArrayLike, which: np.ndarray | None) -> np.ndarray:
    """Fractions as a read-only array, of the right length where that is known already."""
    words = f"fractions must be numbers from 0 to 1, not {values!r}"
    try:
        out = np.array(values, float)
    except (TypeError, ValueError):
        raise ValueError(words) from None
    refuse(out.ndim > 1 or not ((out >= 0) & (out <= 1)).all(), words)
    if which is not None:
        _at_places(which.max() + 1, which, out)
    out.flags.writeable = False
    return out


def _at_places(n: int, which: np.ndarray | None, fractions: np.ndarray) -> np.ndarray:
    """Fractions [n] of all atoms; 0 where they are not alchemical."""
    places = np.arange(n) if which is None else which
    words = f"an atom of which has the index {places.max(initial=0)}, but there are {n} atoms"
    refuse(places.max(initial=0) >= n > 0, words)
    words = f"fractions must be one number, or one for each of the {len(places)} alchemical atoms"
    refuse(fractions.ndim and len(fractions) != len(places), f"{words}, not {fractions.size}")
    out = np.zeros(n)
    out[places] = fractions
    return out
