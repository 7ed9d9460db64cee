"""ASE calculators of whatever computes on the slots of a Graph."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from . import allocator, graph as graphs
from .forces import Prediction, on_device, predict
from .graph import Graph, Topology
from .refusal import one_of, refuse


class GraphCalculator(Calculator):
    """ASE calculator: energy, free_energy, energies (eV), forces (eV/Å), stress (eV/Å^3).

    Any cell, also one smaller than the cutoff; any pbc, but stress needs all three directions.
    Neighbours are searched again (`rebuilds` counts) when an atom has moved half of `skin`. The
    number of slots grows in steps of four, because each shape is compiled anew.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
    shrinks = True  # whether another number of atoms may have fewer slots
    predict: Callable[[Graph], Prediction]  # a subclass defines these two
    reference: Callable[[Atoms], np.ndarray]  # energies [N] in eV to be added, or ValueError

    def __init__(self, elements: tuple[str, ...], cutoff: float, dtype: str, skin: float) -> None:
        super().__init__()
        allocator.prepare()
        self.elements, self.cutoff, self.dtype, self.skin = elements, cutoff, dtype, skin
        self.rebuilds = 0
        self._found: tuple[Atoms, Topology, Graph] | None = None  # by the last search

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """ASE's interface: fill `results` for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        refuse(not len(atoms), "there are no atoms to compute")
        reference = self.reference(atoms)
        refuse(not np.isfinite(atoms.positions).all(), "positions are not finite (NaN or infinity)")
        words = "stress needs atoms that are periodic in three directions: relax positions without "
        words += "a cell filter, or set pbc to True, with vacuum in the cell"
        refuse("stress" in properties and not atoms.pbc.all(), words, PropertyNotImplementedError)
        top, graph = self._slots(atoms)
        vectors = top.vectors(atoms.positions).astype(self.dtype)
        with self.precision():
            prediction = self.predict(on_device(graph._replace(vectors=vectors)))
        self.results = results_of(atoms, prediction, reference)

    def graph_of(self, atoms: Atoms, top: Topology) -> Graph:
        """The Graph of `atoms`, made once in a search of neighbours."""
        return graphs.from_topology(atoms, top, self.elements, self.dtype)

    def precision(self) -> AbstractContextManager:
        """Inside it, jax computes in the calculator's precision."""
        return jax.enable_x64(True) if self.dtype == "float64" else nullcontext()

    def _slots(self, atoms: Atoms) -> tuple[Topology, Graph]:
        slots = 1
        if self._found is not None:
            at, top, graph = self._found
            if len(at) == len(atoms) or not self.shrinks:
                slots = top.mask.shape[1]
            if len(at) == len(atoms) and (at.numbers == atoms.numbers).all():
                moved = np.square(atoms.positions - at.positions).sum(-1).max() ** 0.5
                same = (at.cell == atoms.cell).all() and (at.pbc == atoms.pbc).all()
                if same and moved <= self.skin / 2:
                    return top, graph
        top = graphs.topology(atoms, self.cutoff + self.skin, slots, step=4)
        with self.precision():  # all but the vectors stays on the device until the next search
            graph = on_device(self.graph_of(atoms, top))
        self._found = atoms.copy(), top, graph
        self.rebuilds += 1
        return top, graph


class PotentialCalculator(GraphCalculator):
    """ASE calculator of a Potential, a type that cannot be named here: its file imports this."""

    def __init__(self, potential: Any, dtype: str = "float32", skin: float = 0.3) -> None:
        one_of("dtype", dtype, ("float32", "float64"))
        fine = isinstance(skin, Real) and 0 <= float(skin) <= 5
        refuse(not fine, f"skin must be from 0 to 5 Å, not {skin!r}")
        super().__init__(potential.elements, potential.config.cutoff, dtype, skin)
        self.potential = potential
        with self.precision():  # on the device once, not at every step
            weights = (potential.params, potential.repulsion())
            self.weights, self.core = jax.tree.map(partial(jnp.asarray, dtype=dtype), weights)

    def predict(self, graph: Graph) -> Prediction:
        return predict(self.potential.config, self.weights, graph, self.core)

    def reference(self, atoms: Atoms) -> np.ndarray:
        self.potential.check_elements(atoms)
        return self.potential.reference_energies(atoms)


def results_of(atoms: Atoms, prediction: Prediction, reference: np.ndarray) -> dict[str, Any]:
    """What an ASE calculator gives for `atoms`, by the Prediction of their (padded) graph."""
    energies, forces, virial = (np.asarray(x, float) for x in prediction)
    energies = energies[: len(atoms)] + reference
    results: dict[str, Any] = dict(energies=energies, forces=forces[: len(atoms)])
    results["energy"] = results["free_energy"] = energies.sum()
    if volume := graphs.volume_of(atoms):
        results["stress"] = full_3x3_to_voigt_6_stress(virial[0]) / volume
    return results
