"""Molecular dynamics with any Potential or with Stillinger-Weber: nve, nvt and npt.

    for s in tlmlp.simulate.nvt("si-sw-course", atoms, 300, steps=1000):
        print(s.time_fs, s.temperature_K, s.potential_energy)

Each is a generator of Snapshot. Units: fs, Å, eV, K, GPa.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from .. import allocator
from ..potential import Potential
from ..refusal import one_of
from .settings import Settings
from .snapshot import SimulationError, Snapshot

__all__ = ["SimulationError", "Snapshot", "npt", "nve", "nvt"]


def nve(
    potential: Potential | Calculator | str | os.PathLike,
    atoms: Atoms,
    temperature_K: float | None = None,
    *,
    steps: int | None = None,
    every: int | Callable[[], int] = 50,
    timestep_fs: float = 2.0,
    seed: int = 0,
    trajectory: str | os.PathLike | None = None,
    resume: bool = False,
    dtype: str = "float32",
    skin: float | None = None,
    slots: int | None = None,
) -> Iterator[Snapshot]:
    """Constant energy: velocity Verlet. Yields Snapshot; arguments and errors as in `nvt`.

    `temperature_K` is that of the initial velocities. It is needed where `atoms` has none.
    """
    return _start("nve", **locals())


def nvt(
    potential: Potential | Calculator | str | os.PathLike,
    atoms: Atoms,
    temperature_K: float | Callable[[float], float],
    thermostat: str = "langevin",
    damping_fs: float = 100.0,
    *,
    steps: int | None = None,
    every: int | Callable[[], int] = 50,
    timestep_fs: float = 2.0,
    seed: int = 0,
    trajectory: str | os.PathLike | None = None,
    resume: bool = False,
    dtype: str = "float32",
    skin: float | None = None,
    slots: int | None = None,
) -> Iterator[Snapshot]:
    """Constant temperature. Yields Snapshot: the first at step 0, then one every `every` steps.

    Args:
        potential: a Potential, the name or file of one, its calculator (whose dtype and skin do
            not count), or a Stillinger-Weber calculator (tlmlp.datasets).
        atoms: their velocities are kept, less that of the centre of mass; where they have none,
            they are drawn (Maxwell-Boltzmann). Directions that are not periodic have vacuum.
        temperature_K: K, or a function of the time in fs that is asked before every chunk.
        thermostat: "langevin" (BAOAB) or "nose-hoover" (a chain of three).
        damping_fs: time constant of the thermostat.
        steps: how many in all; None: without end.
        every: steps between two snapshots (a chunk); a number, or a function that gives one.
        timestep_fs: 2 fs is right for silicon and heavier elements.
        seed: of initial velocities and of the thermostat's noise.
        trajectory: a new file to which every good snapshot is written at once, .extxyz or .traj.
        resume: go on from the last frame of `trajectory`, up to the same `steps`. With .traj that
            is the same run to rounding, thermostat included; .extxyz keeps eight decimals.
        dtype: of the network, "float32" or "float64"; Stillinger-Weber always has float64.
        skin: Å by which neighbour lists reach beyond the cutoff. None: 0.4, less in a small cell.
        slots: places for neighbours of an atom to begin with. None: as the atoms need now. When a
            crystal melts it needs more, and each time a program is compiled.

    Raises:
        TypeError: `atoms` or `potential` is of another kind.
        ValueError: what cannot be simulated, such as a cell too small for the cutoff.
        FileExistsError: `trajectory` exists, and `resume` is not set; FileNotFoundError: no
            potential has this name or file.
        SimulationError: after a Snapshot whose `health` is not "ok".
    """
    asked = locals()
    one_of("thermostat", thermostat, ("langevin", "nose-hoover"))
    return _start(asked.pop("thermostat"), **asked)


def npt(
    potential: Potential | Calculator | str | os.PathLike,
    atoms: Atoms,
    temperature_K: float | Callable[[float], float],
    pressure_GPa: float | Callable[[float], float] = 0.0,
    damping_fs: float = 100.0,
    pressure_damping_fs: float = 1000.0,
    *,
    steps: int | None = None,
    every: int | Callable[[], int] = 50,
    timestep_fs: float = 2.0,
    seed: int = 0,
    trajectory: str | os.PathLike | None = None,
    resume: bool = False,
    dtype: str = "float32",
    skin: float | None = None,
    slots: int | None = None,
) -> Iterator[Snapshot]:
    """Constant temperature and pressure, by Nosé-Hoover chains. Yields Snapshot.

    The cell keeps its shape and changes its volume. `atoms` must be periodic in three directions.
    `pressure_GPa` is a number or a function of the time in fs, `pressure_damping_fs` the time
    constant of the barostat. All other arguments and errors as in `nvt`.
    """
    return _start("npt", **locals())


def _start(ensemble: str, potential: Any, atoms: Any, **asked: Any) -> Iterator[Snapshot]:
    settings = Settings(ensemble, **asked)
    allocator.prepare()  # before what jax-md compiles when it is imported
    from .run import start  # which takes 10 to 20 s where nothing of that is kept

    return start(potential, atoms, settings)
