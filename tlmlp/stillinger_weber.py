"""The Stillinger-Weber potential on the neighbour slots of a Graph (the formula and its parameters are in tlmlp.elements).

The sum over pairs of bonds needs no list of them: at every atom it is a table [K, K] of the angles between its slots, as in
tlmlp.dimenet. Units: eV, Å. Agrees with LAMMPS' pair_style sw to 1e-9 eV; jax-md's, which adds 1e-7 Å to every length in a
cosine, to 1e-7 eV an atom.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from . import elements, graph as graphs
from .elements import element as _element
from .forces import differentiate


def energies(graph, element):
    """Energy [N] in eV of each atom: half of its pairs, and the angles at it. element: a row of tlmlp.elements."""
    squared = jnp.sum(graph.vectors**2, -1)
    # An empty slot gets a harmless distance before the square root and the divisions.
    d = jnp.sqrt(jnp.where(graph.mask & (squared < element.cutoff**2), squared, element.cutoff**2))
    inside = d < element.cutoff
    x = jnp.where(inside, d / element.sigma, 1.0)
    decay = 1 / (x - elements.SW_CUTOFF)
    f2 = elements.SW_A * (elements.SW_B * x**-elements.SW_P - x**-elements.SW_Q) * jnp.exp(decay)
    pairs = jnp.where(inside, f2, 0).sum(-1) / 2

    g = jnp.where(inside, jnp.exp(elements.SW_GAMMA * decay), 0)  # [N, K]
    u = graph.vectors / jnp.where(inside, d, 1.0)[..., None]
    bend = (jnp.einsum("iax,ibx->iab", u, u) - elements.SW_COS_ANGLE) ** 2
    others = 1 - jnp.eye(d.shape[1], dtype=d.dtype)
    angles = jnp.einsum("ia,ib,iab,ab->i", g, g, bend, others) / 2
    return element.epsilon * (pairs + element.lam * angles)


def energy_forces(element, graph):
    """potential.Prediction of a Graph; pure, `element` static."""
    return differentiate(lambda moved: energies(moved, element), graph)


predict = jax.jit(energy_forces, static_argnums=0)


def stillinger_weber_calculator(element: str) -> Calculator:
    """ASE calculator of the Stillinger-Weber potential: energy, free_energy, energies (eV), forces (eV/Å), stress (eV/Å^3).

    In float64, whatever jax is set to. Any cell, also one smaller than the cutoff. Periodic in all, some or no directions;
    stress needs all three. Compiled once for a number of atoms, then reused while atoms and cell move.

    Raises:
        ValueError: unknown element. And by the calculator: atoms of another element, a periodic direction without
            length, positions that are not finite.
        PropertyNotImplementedError: by the calculator, stress of atoms that are not periodic in three directions.
    """
    return StillingerWeber(_element(element).symbol)


class StillingerWeber(Calculator):
    """See stillinger_weber_calculator."""

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, symbol):
        super().__init__()
        self.row, self.slots = _element(symbol), 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if others := set(atoms.symbols) - {self.row.symbol}:
            raise ValueError(
                f"this calculator knows {self.row.symbol} alone, not {', '.join(sorted(others))}"
            )
        if not np.all(np.isfinite(atoms.positions)):
            raise ValueError("positions are not finite (NaN or infinity)")
        if "stress" in properties and not atoms.pbc.all():
            raise PropertyNotImplementedError(
                "stress needs atoms that are periodic in three directions"
            )
        pbc = atoms.pbc
        if np.linalg.matrix_rank(atoms.cell.array[pbc], tol=1e-6) < pbc.sum():
            raise ValueError(
                "a periodic direction has no cell vector of its own: set the cell, or pbc to False there"
            )
        top = graphs.topology(atoms, self.row.cutoff)
        self.slots = max(
            self.slots, 4 * -(-top.mask.shape[1] // 4)
        )  # never fewer again: every new shape is compiled anew
        graph = graphs.from_topology(
            atoms, graphs.widen(top, self.slots), (self.row.symbol,), np.float64
        )
        with jax.enable_x64(True):
            energies, forces, virial = map(np.asarray, predict(self.row, graph))
        self.results = {
            "energy": energies.sum(),
            "free_energy": energies.sum(),
            "energies": energies,
            "forces": forces,
        }
        if pbc.all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial[0]) / atoms.get_volume()
