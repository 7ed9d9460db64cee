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

from ..crystal import crystal_of
from ..graph import pairs
from .structure import tetrahedrality

GAP = 1.0  # Å between the two at first, so that no two atoms meet
SETTLING = 4000  # fs, in which the two faces grow together
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


def melting(
    potential,
    crystal,
    low,
    high,
    accuracy_K=50.0,
    longest_ps=40.0,
    every=250,
    timestep_fs=2.0,
    seed=0,
):
    """Yields Coexistence until the melting temperature lies within `accuracy_K`, half the interval.

    potential: as tlmlp.simulate takes it; crystal: ase.Atoms of half the cell, of the diamond structure, near zero pressure; the
    two halves are stacked along its third axis, which should be perpendicular to the others: bulk(..., cubic=True).repeat((3, 3, 4))
    is a start. low, high: K, between which it is looked for; longest_ps: of one run, after which it counts which share
    has grown since its first quarter.

    Minutes for Stillinger-Weber, hours for a network. Raises ValueError for bad input, and SimulationError with the potential.
    """
    crystal = crystal_of(crystal)
    if not 0 < low < high:
        raise ValueError(
            f"low and high must be positive temperatures in K, in this order, not {low!r} and {high!r}"
        )
    if not 0 < accuracy_K < np.inf or not longest_ps > 0:
        raise ValueError(
            f"accuracy_K and longest_ps must be positive, not {accuracy_K!r} and {longest_ps!r}"
        )
    cell = crystal.cell.array
    if np.abs(cell[2] @ cell[:2].T).max() > 1e-6 * np.linalg.norm(cell[2]) ** 2:
        raise ValueError(
            "the third cell vector must be perpendicular to the other two: use ase.build.bulk(..., cubic=True)"
        )
    return _search(
        potential,
        crystal,
        float(low),
        float(high),
        accuracy_K,
        longest_ps,
        every,
        timestep_fs,
        seed,
    )


def _search(potential, crystal, low, high, accuracy, longest_ps, every, timestep, seed):
    from .. import simulate

    options = dict(every=every, timestep_fs=timestep, seed=seed)
    steps = int(round(2000 / timestep))
    runs, interval = [], (low, high)
    while interval[1] - interval[0] > 2 * accuracy:
        T = sum(interval) / 2
        solid = _last(simulate.npt(potential, crystal, T, steps=steps, **options))
        hot = _last(
            simulate.nvt(potential, crystal, 2 * high, steps=steps, damping_fs=50, **options)
        )
        liquid = _last(simulate.npt(potential, hot.atoms, T, steps=2 * steps, **options))
        ends = [tetrahedrality(s.atoms).mean() for s in (liquid, solid)]
        both, shares = _stacked(solid.atoms, liquid.atoms), []
        for s in simulate.npt(
            potential, both, T, steps=int(round(1000 * longest_ps / timestep)), **options
        ):
            if s.health != "ok":
                continue  # the next one is SimulationError
            atoms = s.atoms
            share = float(
                np.clip((tetrahedrality(atoms).mean() - ends[0]) / (ends[1] - ends[0]), 0, 1)
            )
            shares.append(share)
            yield Coexistence(T, s.time_fs / 1000, share, *interval, tuple(runs), False, atoms)
            if s.time_fs > SETTLING and not DECIDED < share < 1 - DECIDED:
                break
        else:  # neither has won
            part = max(1, len(shares) // 4)
            share = (
                0.5
                + np.sign(np.mean(shares[-part:]) - np.mean(shares[:part][-max(1, part // 2) :]))
                / 2
            )
        runs.append((T, s.time_fs / 1000, shares[-1]))
        interval = (T, interval[1]) if share > 0.5 else (interval[0], T)
    yield Coexistence(T, s.time_fs / 1000, shares[-1], *interval, tuple(runs), True, atoms)


def _last(run):
    for snapshot in run:
        pass
    return snapshot


def _stacked(solid, liquid, trials=60):
    """Crystal and liquid in one cell, one after the other along the third axis, at the crystal's width.

    The liquid is shifted, through its own images, to where its faces keep farthest from the crystal's.
    """
    cell = solid.cell.array
    thick, width = np.linalg.norm(cell[2]), np.linalg.norm(np.cross(cell[0], cell[1]))
    up, height = cell[2] / thick, liquid.get_volume() / width
    solid = Atoms(
        solid.numbers,
        solid.get_positions(wrap=True),
        momenta=solid.get_momenta(),
        masses=solid.get_masses(),
    )
    solid.set_cell([cell[0], cell[1], up * (thick + height + 2 * GAP)])
    solid.pbc = True
    best, widest = None, -1.0
    rng = np.random.default_rng(0)
    for _ in range(trials):
        scaled = (liquid.get_scaled_positions() + rng.uniform(size=3)) % 1.0
        positions = scaled[:, :2] @ cell[:2] + np.outer(thick + GAP + scaled[:, 2] * height, up)
        both = solid + Atoms(
            liquid.numbers, positions, momenta=liquid.get_momenta(), masses=liquid.get_masses()
        )
        closest = pairs(both, 2.5, "d")[0].min(initial=2.5)
        if closest > widest:
            best, widest = both, closest
    return best
