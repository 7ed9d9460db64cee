"""Do data move between algorithms? Active learning with Stillinger-Weber germanium as the oracle.

    python -m research.sweep oracle     stopped, the same command does the rest

Its labels are free, so a potential can ask for those that it needs. A row of method "source" is a
data set of at most MOST structures, chosen by a `driver`:

    of ALGORITHMS      molecular dynamics of 2 ps at each temperature of the course's data, with the
                       potential trained so far. Where three potentials disagree by LIMIT or more,
                       or a run breaks, the frame is labelled. After a round of all temperatures
                       they are trained anew, until all hold.
    by hand            crystals squeezed or stretched, sheared, shaken, with a vacancy, and with two
                       atoms pushed together, as many of each
    random             atoms anywhere, but for a shortest distance, at 0.8 to 1.2 times the density

Its `held` are the temperatures that held in the last round. Other rows train a `method` on the
structures of a `driver`. Beside errors on the course's test structures (meV/Å) they have trials:
of each temperature, what became of 3 ps of molecular dynamics, and how far its pairs were from
those of the reference in the last picosecond (Å, tlmlp.course.stability).

Source of the question: Niblett et al., J. Chem. Theory Comput. 2025, arXiv 2409.05590.
"""

import time
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from tlmlp import allocator, datasets, elements, simulate
from tlmlp.course import stability
from tlmlp.course.choices import ALGORITHMS, committee, shapes_of, trained
from tlmlp.course.sources import data
from tlmlp.graph import pairs
from tlmlp.recipes import circumstances
from tlmlp.uncertainty import Committee

from .rows import three

SOURCE = stability.SW
DRIVERS = (*ALGORITHMS, "by hand", "random")
SEEDS, MOST = 5, 40
LIMIT = 0.1  # eV/Å, root mean square over atoms of the spread of a committee
LOOK, LENGTH, TRIAL = 20, 2.0, 3.0  # steps between two looks; ps, and of a trial
CLOSEST = 1.7  # Å, of two atoms in what a person makes
GERMANIUM = elements.element("Ge").lattice_constant


def tasks() -> list[dict]:
    """The data sets, then the trainings on each of them."""
    kinds = [(driver, seed) for seed in range(SEEDS) for driver in DRIVERS]
    sets = [dict(method="source", driver=driver, seed=seed) for driver, seed in kinds]
    each = [(d, s, a) for d, s in kinds for a in ALGORITHMS]
    return sets + [dict(method=a, driver=d, seed=s) for d, s, a in each]


def file_of(task: dict, folder: Path) -> Path:
    """Where the structures of a driver are kept."""
    return folder / f"{task['driver'].replace(' ', '-')}-{task['seed']}.extxyz"


def labelled(atoms: Atoms) -> Atoms:
    """A copy with the oracle's energy, forces and stress."""
    out = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    out.calc = datasets.stillinger_weber_calculator("Ge")
    results = dict(energy=out.get_potential_energy(), forces=out.get_forces())
    results["stress"] = out.get_stress()
    out.calc = SinglePointCalculator(out, **results)
    out.info["group"] = "chosen"
    return out


# -- drivers ---------------------------------------------------------------------------------------


def crystal(strain: np.ndarray | None = None) -> Atoms:
    """64 atoms at rest; `strain` [3, 3] changes the cell."""
    atoms = bulk("Ge", "diamond", a=GERMANIUM, cubic=True).repeat(2)
    if strain is not None:
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def by_hand(n: int, rng: np.random.Generator) -> list[Atoms]:
    """What a person would think of; five kinds in turn. All are shaken a little."""
    out = []
    for k in range(n):
        kind = k % 5
        strain = np.zeros((3, 3))
        if kind == 0:
            strain = rng.uniform(-0.08, 0.08) * np.eye(3)
        elif kind == 1:
            half = rng.uniform(-0.06, 0.06, (3, 3))
            strain = (half + half.T) / 2
        atoms = crystal(strain)
        width = rng.uniform(0.05, 0.25) if kind == 2 else 0.02
        if kind == 3:
            del atoms[rng.integers(len(atoms))]
        if kind == 4:
            near = atoms.get_distances(0, range(1, len(atoms)), mic=True).argmin() + 1
            atoms.set_distance(0, int(near), rng.uniform(1.8, 2.3), fix=0.5, mic=True)
        still = atoms.positions.copy()
        atoms.positions += rng.normal(0, width, still.shape)
        while pairs(atoms, CLOSEST, "d")[0].size:  # no person would label atoms that collide
            atoms.positions = still + rng.normal(0, width, still.shape)
        out.append(labelled(atoms))
    return out


def random(n: int, rng: np.random.Generator) -> list[Atoms]:
    """64 atoms anywhere, none closer than 2 Å to another."""
    out = []
    for _ in range(n):
        atoms = crystal((rng.uniform(0.8, 1.2) ** (-1 / 3) - 1) * np.eye(3))
        placed = atoms[:0]
        while len(placed) < len(atoms):
            new = Atoms("Ge", [rng.uniform(size=3) @ atoms.cell.array], cell=atoms.cell, pbc=True)
            both = placed + new
            if not len(placed) or both.get_distances(-1, range(len(placed)), mic=True).min() > 2.0:
                placed = both
        out.append(labelled(placed))
    return out


def active(driver: str, seed: int, most: int = MOST, length: float = LENGTH) -> tuple[list, list]:
    """(structures, temperatures that held at last) of a driver that asks for what it needs."""
    own, held, turn = by_hand(3, np.random.default_rng(seed)), [], 0
    while len(own) < most:
        members = committee(own, seed, SOURCE, driver, (*own,))
        held, turn = [], turn + 1
        for temperature, start in stability.references(SOURCE).items():
            found = first_doubt(members, start, length, seed + 1000 * turn)
            if found is None:
                held.append(temperature)
            elif len(own) < most:
                own.append(labelled(found))
        if len(held) == len(stability.references(SOURCE)):
            break
    return own, held


def first_doubt(
    members: list, start: stability.Reference, length: float, seed: int
) -> Atoms | None:
    """The first frame of a run of members[0] on which they disagree, or where it broke."""
    committee, settings = Committee(members), dict(timestep_fs=2.0, every=LOOK, seed=seed)
    steps = round(1000 * length / 2.0)
    last = start.start
    for s in simulate.nvt(members[0], start.start, start.temperature, steps=steps, **settings):
        if s.health != "ok":
            return last
        last = Atoms(start.start.symbols, s.positions, cell=s.cell, pbc=True)
        last.wrap()
        if s.step and np.mean(committee.spread(last) ** 2) ** 0.5 > LIMIT:
            return last
    return None


# -- rows ------------------------------------------------------------------------------------------


def perform(task: dict, folder: Path) -> dict:
    """The row of a task; `folder` keeps the data sets."""
    allocator.prepare()
    started, seed = time.perf_counter(), task["seed"]
    if task["method"] == "source":
        held: list = []
        if task["driver"] in ("by hand", "random"):
            make = dict(zip(("by hand", "random"), (by_hand, random)))[task["driver"]]
            own = make(MOST, np.random.default_rng(seed))
        else:
            own, held = active(task["driver"], seed)
        folder.mkdir(parents=True, exist_ok=True)
        ase.io.write(file_of(task, folder), own, format="extxyz")
        return task | dict(n=len(own), held=held) | circumstances(started, "tlmlp")
    own = datasets.read(file_of(task, folder))
    potential = trained(task["method"], own, seed, SOURCE, others=(*own,))
    test = data(SOURCE, "Ge")[1]
    shapes = shapes_of(SOURCE, potential.elements, potential.config.cutoff)
    force, rmse, energy = three(potential.evaluate(test, shapes))
    row = task | dict(n=len(own), force_mae=force, force_rmse=rmse, energy_rmse=energy)
    of = lambda phase: [atoms for atoms in test if atoms.info["phase"] == phase]
    row["phases"] = {p: three(potential.evaluate(of(p), shapes))[0] for p in ("crystal", "liquid")}
    trials = [
        stability.trial(potential, reference, TRIAL, seed)._asdict()
        for reference in stability.references(SOURCE).values()
    ]
    kept = ("temperature", "phase", "time_ps", "failure", "apart")
    row["trials"] = [{name: trial[name] for name in kept} for trial in trials]
    return row | circumstances(started, "tlmlp")
