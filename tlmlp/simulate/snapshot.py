"""Snapshot: one moment of a simulation."""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress


class Snapshot(NamedTuple):
    """One moment of a simulation; frozen, everything in it is a copy."""

    step: int
    time_fs: float
    positions: np.ndarray  # [N, 3] Å, not wrapped back into the cell
    velocities: np.ndarray  # [N, 3] Å/fs
    potential_energy: float  # eV
    kinetic_energy: float  # eV
    temperature_K: float  # of 3 N - 3 degrees of freedom: the centre of mass rests
    health: str  # "ok", or what went wrong
    forces: np.ndarray  # [N, 3] eV/Å
    cell: np.ndarray  # [3, 3] Å
    pressure_GPa: float  # of atoms and their motion; nan where not periodic in three directions
    conserved_energy: float  # eV, what exact dynamics would keep; nan for Langevin
    target_K: float  # of the thermostat; nan for NVE
    searches: int  # how often neighbours were searched since the run (or its resumption) began
    virial: np.ndarray  # [3, 3] eV, ∂E/∂strain
    thermostat: tuple[float, ...]  # what a resumed run needs beside positions and velocities
    start: Atoms  # what the run was given

    @property
    def atoms(self) -> Atoms:
        """These atoms with energy, forces and, if periodic, stress; `info` has step and time."""
        out = self.start.copy()
        out.set_cell(self.cell)
        out.positions = self.positions
        out.set_velocities(self.velocities / units.fs)
        results = dict(energy=self.potential_energy, forces=self.forces)
        if out.pbc.all():
            results["stress"] = full_3x3_to_voigt_6_stress(self.virial) / out.get_volume()
        out.calc = SinglePointCalculator(out, **results)
        out.info |= {"step": self.step, "time_fs": self.time_fs, "target_K": self.target_K}
        if self.thermostat:
            out.info["thermostat"] = np.array(self.thermostat)
        return out


class SimulationError(RuntimeError):
    """A simulation broke down. `snapshot` is the last good one, with the reason in its `health`."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot.health)
        self.snapshot = snapshot
