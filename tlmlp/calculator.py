"""The ASE calculator of a Potential."""

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from . import graph as graphs
from .forces import on_device, predict


class PotentialCalculator(Calculator):
    """ASE calculator of a Potential. Keeps its compiled function, and its neighbour slots while atoms move little."""

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, potential, dtype="float32", skin=0.3):
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
        if not skin >= 0:
            raise ValueError(f"skin must be 0 Å or more, not {skin!r}")
        super().__init__()
        self.potential, self.dtype, self.skin = potential, dtype, skin
        with self._precision():  # on the device once, not at every step
            weights = (potential.params, potential.repulsion())
            self._params, self._core = jax.tree.map(partial(jnp.asarray, dtype=dtype), weights)
        self.rebuilds = 0  # how often neighbours were searched
        self._topology = self._graph = self._at = None

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        p = self.potential
        self._refresh(self.atoms)
        with self._precision():
            graph = on_device(
                self._graph._replace(
                    vectors=self._topology.vectors(self.atoms.positions).astype(self.dtype)
                )
            )
            out = predict(p.config, self._params, graph, self._core)
            energies, forces, virial = (np.asarray(x, float) for x in out)
        self.results = p._results(self.atoms, energies, forces, virial[0])

    def _precision(self):
        return jax.enable_x64(True) if self.dtype == "float64" else nullcontext()

    def _refresh(self, atoms):
        """Search neighbours again when the cell or the atoms are others, or one has moved more than half the skin."""
        at = self._at
        same = (
            at is not None
            and len(at) == len(atoms)
            and (at.cell == atoms.cell).all()
            and (at.pbc == atoms.pbc).all()
        )
        if same and (at.numbers == atoms.numbers).all():
            moved = np.square(atoms.positions - at.positions).sum(-1).max() ** 0.5
            if moved <= self.skin / 2:
                return
        self.potential.check_elements(atoms)
        if not np.isfinite(atoms.positions).all():
            raise ValueError("positions must be finite; at least one atom is at nan or infinity")
        top = graphs.topology(atoms, self.potential.config.cutoff + self.skin)
        # A few shapes only: K grows in steps of four and never shrinks while the number of atoms stays the same.
        K = -(-top.mask.shape[1] // 4) * 4
        if self._topology is not None and len(self._topology.mask) == len(atoms):
            K = max(K, self._topology.mask.shape[1])
        self._topology, self._at = graphs.widen(top, K), atoms.copy()
        with self._precision():  # all but the vectors stays there until the next search
            self._graph = on_device(
                graphs.from_topology(atoms, self._topology, self.potential.elements, self.dtype)
            )
        self.rebuilds += 1
