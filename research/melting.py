"""Melting: a crystal beside its liquid, and the temperature at which neither grows.

Half of a long cell is crystal, half liquid, at constant temperature and no pressure (simulate.npt).
Below the melting temperature the crystal grows, above it the liquid does; each run halves the
interval that it lies in. No barrier to nucleation is in the way: a crystal without surfaces melts
hundreds of K too late. The cell keeps its proportions, although the two densities differ. With half
of a cell as long as two or three of its widths this shifts the result by less than some 25 K, the
accuracy that can be had here. Small cells err by as much.

Source: J. R. Morris et al., Phys. Rev. B 49, 3109 (1994); S. Yoo, X. C. Zeng and J. R. Morris,
J. Chem. Phys. 120, 1654 (2004).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from tlmlp import simulate
from tlmlp.crystal import crystal_of
from tlmlp.graph import pairs
from tlmlp.potential import Potential
from tlmlp.properties import tetrahedrality

GAP = 1.0  # Å between the two at first, so that no two atoms meet
SETTLING = 4000  # fs, in which the two faces grow together
DECIDED = 0.2  # fraction of one phase below which the other has won
BOILED = 1.6  # times the volume of the crystal; a liquid of silicon or germanium has 0.9 to 1.2


class Boiling(RuntimeError):
    """A liquid that expands as a gas does. It has the runs before, and their interval."""

    def __init__(self, temperature_K: float, runs: tuple, interval: tuple[float, float]):
        super().__init__(f"boils at {temperature_K:.0f} K")
        self.runs, self.interval = runs, interval


class Coexistence(NamedTuple):
    """One moment of the search; the last one has `done`."""

    temperature_K: float  # of this run
    time_ps: float  # in this run
    solid: float  # fraction of the cell that is crystal, by tetrahedral order
    low: float  # K, the crystal grew at this temperature
    high: float  # K, the liquid grew at this one
    runs: tuple[tuple[float, float, float], ...]  # that are over: (K, ps, fraction of crystal then)
    done: bool
    atoms: Atoms

    @property
    def melting_K(self) -> float:
        """The middle of the interval."""
        return (self.low + self.high) / 2

    @property
    def error_K(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2


def melting(
    potential: Potential | Calculator | str,
    crystal: Atoms,
    low: float,
    high: float,
    accuracy_K: float = 50.0,
    longest_ps: float = 40.0,
    every: int = 250,
    timestep_fs: float = 2.0,
    seed: int = 0,
    melted_by: Potential | Calculator | None = None,
) -> Iterator[Coexistence]:
    """Yields Coexistence every so many steps, until half the interval is `accuracy_K` or less.

    `crystal` is half the cell, of the diamond structure, near zero pressure. The halves are stacked
    along its third axis, which must be perpendicular to the others: bulk(..., cubic=True) repeated
    (3, 3, 4) times is a start. It should grow at `low` K, and the liquid at `high` K. A run that is
    not decided after `longest_ps` counts what has grown since its first quarter. It takes minutes
    for Stillinger-Weber and for a network. The liquid is molten at twice `high`, and brought to the
    temperature of a run, by `potential` or by another, `melted_by`: a network that has seen nothing
    so hot breaks down there. Raises ValueError for bad input, Boiling where the liquid expands as a
    gas does, and SimulationError where a simulation breaks down.
    """
    crystal = crystal_of(crystal)
    if not 0 < low < high:
        raise ValueError(
            "low and high must be positive temperatures in K, in this order, "
            f"not {low!r} and {high!r}"
        )
    if not 0 < accuracy_K < np.inf or not longest_ps > 0:
        raise ValueError(
            f"accuracy_K and longest_ps must be positive, not {accuracy_K!r} and {longest_ps!r}"
        )
    cell = crystal.cell.array
    if np.abs(cell[2] @ cell[:2].T).max() > 1e-6 * np.linalg.norm(cell[2]) ** 2:
        raise ValueError(
            "the third cell vector must be perpendicular to the other two: "
            "use ase.build.bulk(..., cubic=True)"
        )
    options = dict(every=every, timestep_fs=timestep_fs, seed=seed)
    search = crystal, float(low), float(high), accuracy_K, longest_ps
    return _search((potential, melted_by), *search, options)


def _search(potentials, crystal, low, high, accuracy, longest_ps, options):
    longest = int(round(1000 * longest_ps / options["timestep_fs"]))
    runs, interval = [], (low, high)
    while not runs or interval[1] - interval[0] > 2 * accuracy:
        T, fractions = sum(interval) / 2, []
        boiling = Boiling(T, tuple(runs), interval)
        solid, liquid = _halves(*potentials, crystal, T, high, boiling, options)
        order = [tetrahedrality(atoms).mean() for atoms in (liquid, solid)]
        both = stacked(solid, liquid)
        for s in simulate.npt(potentials[0], both, T, steps=longest, **options):
            if s.health != "ok":
                continue  # SimulationError comes next
            atoms, time_ps = s.atoms, s.time_fs / 1000
            if atoms.get_volume() > BOILED * 2 * solid.get_volume():
                raise boiling
            fraction = (tetrahedrality(atoms).mean() - order[0]) / (order[1] - order[0])
            fractions.append(float(np.clip(fraction, 0, 1)))
            yield Coexistence(T, time_ps, fractions[-1], *interval, tuple(runs), False, atoms)
            if s.time_fs > SETTLING and not DECIDED < fractions[-1] < 1 - DECIDED:
                grown = fractions[-1] > 0.5
                break
        else:  # neither has won: the end against the second half of the first quarter
            part = max(1, len(fractions) // 4)
            early = fractions[:part][-max(1, part // 2) :]
            grown = np.mean(fractions[-part:]) > np.mean(early)
        runs.append((T, time_ps, fractions[-1]))
        interval = (T, interval[1]) if grown else (interval[0], T)
    yield Coexistence(T, time_ps, fractions[-1], *interval, tuple(runs), True, atoms)


def _halves(potential, melted_by, crystal, T, high, boiling, options):
    """The crystal and its liquid (molten at twice `high`), both at T and no pressure."""

    def last(run):
        *_, snapshot = run
        return snapshot.atoms

    steps = int(round(2000 / options["timestep_fs"]))
    solid = last(simulate.npt(potential, crystal, T, steps=steps, **options))
    first = potential if melted_by is None else melted_by
    liquid = last(simulate.nvt(first, crystal, 2 * high, steps=steps, damping_fs=50, **options))
    for each in (first,) if melted_by is None else (first, potential):
        for snapshot in simulate.npt(each, liquid, T, steps=2 * steps, **options):
            liquid = snapshot.atoms
            if liquid.get_volume() > BOILED * solid.get_volume():
                raise boiling
    return solid, liquid


def stacked(solid: Atoms, liquid: Atoms, trials: int = 60) -> Atoms:
    """Crystal and liquid in one cell of the crystal's width, one above the other.

    The liquid is shifted, through its own images, to where the faces are farthest from each other.
    """
    cell = solid.cell.array
    thick, width = np.linalg.norm(cell[2]), np.linalg.norm(np.cross(cell[0], cell[1]))
    up, height = cell[2] / thick, liquid.get_volume() / width

    def moved(atoms, positions):
        kept = dict(momenta=atoms.get_momenta(), masses=atoms.get_masses())
        return Atoms(atoms.numbers, positions, **kept)

    solid = moved(solid, solid.get_positions(wrap=True))
    solid.set_cell([cell[0], cell[1], up * (thick + height + 2 * GAP)])
    solid.pbc = True
    best, widest, rng = solid, -1.0, np.random.default_rng(0)
    for _ in range(trials):
        scaled = (liquid.get_scaled_positions() + rng.uniform(size=3)) % 1.0
        positions = scaled[:, :2] @ cell[:2] + np.outer(thick + GAP + scaled[:, 2] * height, up)
        both = solid + moved(liquid, positions)
        closest = pairs(both, 2.5, "d")[0].min(initial=2.5)
        if closest > widest:
            best, widest = both, closest
    return best
