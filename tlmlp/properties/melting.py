"""Melting: a crystal beside its liquid, and the temperature at which neither grows.

Half of a long cell is crystal, half liquid, at constant temperature and no pressure (tlmlp.simulate.npt). Below the melting
temperature the crystal grows, above it the liquid does; what happened halves the interval that the melting temperature is in.
No barrier to nucleation is in the way, as it is for a crystal without surfaces, which melts hundreds of K too late.

The cell keeps its proportions while the two, whose densities differ, change their shares; with half of a cell as long as two or
three of its widths this shifts the result by less than the accuracy that can be had here, some 25 K. Small cells err by as much.

Source: J. R. Morris et al., Phys. Rev. B 49, 3109 (1994); S. Yoo, X. C. Zeng and J. R. Morris, J. Chem. Phys. 120, 1654 (2004).
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms

from .mechanics import crystal_of
from .structure import tetrahedrality

GAP = 1.0  # Å between the two at first, so that no two atoms meet
DECIDED = 0.2  # share of one phase below which the other has won


class Coexistence(NamedTuple):
    """One moment of the search; the last one has `done`."""

    temperature_K: float  # of this run
    time_ps: float  # in this run
    solid: float  # share of the cell that is crystal, by tetrahedral order
    low: float  # K, the crystal grew at this temperature
    high: float  # K, the liquid grew at this one
    runs: tuple  # of the runs that are over: (K, ps, share of crystal at the end)
    done: bool
    atoms: Atoms

    melting_K = property(lambda self: (self.low + self.high) / 2, doc="the middle of the interval")
    error_K = property(lambda self: (self.high - self.low) / 2, doc="half of the interval")


def melting(potential, crystal, low, high, accuracy_K=50.0, longest_ps=40.0, every=250, timestep_fs=2.0, seed=0):
    """Yields Coexistence until the melting temperature lies within `accuracy_K`, half the interval.

    potential: as tlmlp.simulate takes it; crystal: ase.Atoms of half the cell, of the diamond structure, near zero pressure; the
    two halves are stacked along its third axis, which should be perpendicular to the others: bulk(..., cubic=True).repeat((3, 3, 4))
    is a start. low, high: K, between which it is looked for; longest_ps: of one run, after which the larger share decides.

    Minutes for Stillinger-Weber, hours for a network. Raises ValueError for bad input, and SimulationError with the potential.
    """
    crystal = crystal_of(crystal)
    if not 0 < low < high:
        raise ValueError(f"low and high must be positive temperatures in K, in this order, not {low!r} and {high!r}")
    if not 0 < accuracy_K < np.inf or not longest_ps > 0:
        raise ValueError(f"accuracy_K and longest_ps must be positive, not {accuracy_K!r} and {longest_ps!r}")
    cell = crystal.cell.array
    if np.abs(cell[2] @ cell[:2].T).max() > 1e-6 * np.linalg.norm(cell[2]) ** 2:
        raise ValueError("the third cell vector must be perpendicular to the other two: use ase.build.bulk(..., cubic=True)")
    return _search(potential, crystal, float(low), float(high), accuracy_K, longest_ps, every, timestep_fs, seed)


def _search(potential, crystal, low, high, accuracy, longest_ps, every, timestep, seed):
    from .. import simulate

    options = dict(every=every, timestep_fs=timestep, seed=seed)
    steps = int(round(2000 / timestep))
    runs, interval = [], (low, high)
    while interval[1] - interval[0] > 2 * accuracy:
        T = sum(interval) / 2
        solid = _last(simulate.npt(potential, crystal, T, steps=steps, **options))
        hot = _last(simulate.nvt(potential, crystal, 2 * high, steps=steps, damping_fs=50, **options))
        liquid = _last(simulate.npt(potential, hot.atoms, T, steps=2 * steps, **options))
        ends = [tetrahedrality(s.atoms).mean() for s in (liquid, solid)]
        both, share = _stacked(solid.atoms, liquid.atoms), 0.5
        for s in simulate.npt(potential, both, T, steps=int(round(1000 * longest_ps / timestep)), **options):
            if s.health != "ok":
                continue  # the next one is SimulationError
            atoms = s.atoms
            share = float(np.clip((tetrahedrality(atoms).mean() - ends[0]) / (ends[1] - ends[0]), 0, 1))
            yield Coexistence(T, s.time_fs / 1000, share, *interval, tuple(runs), False, atoms)
            if s.time_fs > 2000 and not DECIDED < share < 1 - DECIDED:
                break
        runs.append((T, s.time_fs / 1000, share))
        interval = (T, interval[1]) if share > 0.5 else (interval[0], T)
    yield Coexistence(T, s.time_fs / 1000, share, *interval, tuple(runs), True, atoms)


def _last(run):
    for snapshot in run:
        pass
    return snapshot


def _stacked(solid, liquid):
    """Crystal and liquid in one cell, one after the other along the third axis, at the crystal's width."""
    liquid = liquid.copy()
    liquid.wrap()
    cell = solid.cell.array.copy()
    width = np.linalg.norm(np.cross(cell[0], cell[1]))
    height = liquid.get_volume() / width
    scaled = liquid.get_scaled_positions()
    up = cell[2] / np.linalg.norm(cell[2])
    solid = solid.copy()
    solid.wrap()
    thick = np.linalg.norm(cell[2])
    solid.set_cell(np.array([cell[0], cell[1], up * (thick + height + 2 * GAP)]))
    solid.calc = None
    positions = scaled[:, :2] @ cell[:2] + np.outer(thick + GAP + scaled[:, 2] * height, up)
    momenta = np.concatenate([solid.get_momenta(), liquid.get_momenta()])
    out = solid + Atoms(liquid.numbers, positions)
    out.set_masses(np.concatenate([solid.get_masses(), liquid.get_masses()]))
    out.set_momenta(momenta)
    out.info = {}
    return out
