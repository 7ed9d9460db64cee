"""Why is the energy of a vacancy too low? Networks of germanium by DFT, one change at a time.

    python -m research.sweep vacancy     2 to 55 minutes a run; stopped, it does the rest later
    python -m research.vacancy FOLDER    structures of its own, by CP2K, into vacancies.extxyz.xz

A row says, in eV, the energy of a vacancy (63 of 64 atoms, fixed cell) whose neighbours have not
moved, after relaxation by the network, and in the structure that DFT has relaxed; and, in meV/atom,
the mean error of energies in each group of the training set. A vacancy's energy is a difference of
63 atoms in a group and 63 in another, so 1 meV/atom between groups is 0.06 eV. `path` is the error
of the energy (eV) on a straight line from the vacancy whose neighbours have not moved to one of the
training set.
"""

import lzma
import time
from io import StringIO
from pathlib import Path
from typing import Annotated

import ase.io
import numpy as np
import typer
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.optimize import linear_sum_assignment

from tlmlp import Config, Potential, allocator, datasets, fit, properties, transfer
from tlmlp.files import write_whole
from tlmlp.recipes import circumstances
from tlmlp.sweep import BEGIN, END

ELEMENT, SEEDS = "Ge", 3
# What differs from the course's network and 16 000 steps. What costs much has fewer seeds.
VARIANTS = {
    "as it is": {},
    "a quarter of the steps": dict(steps=4000),
    "four times the steps": dict(steps=64000, seeds=2),
    "from silicon's weights": dict(start="si-dft-course"),
    "with eight cold vacancies": dict(cold=True),
    "with the relaxed vacancy": dict(relaxed=True),
    "ten times the weight of energies": dict(energy=10),
    "cutoff 6 Å": dict(cutoff=6.0, seeds=1),
    "with silicon and alloys": dict(sets=("Si", "Ge", "SiGe"), steps=32000, seeds=1),
    "the paper's network": dict(preset="paper", seeds=1),
}
OWN = Path(__file__).resolve().parent / "dft" / "vacancies.extxyz.xz"
COLD = (0.02, 0.05, 0.1, 0.2)  # melting temperatures of the cold vacancies, in turn
PATH = (0.0, 0.25, 0.5, 0.75, 1.0)  # places on the path; at 1 a vacancy of the training set


def tasks() -> list[dict]:
    """One a variant and seed."""
    return [
        dict(method="scratch", variant=name, seed=seed)
        for seed in range(SEEDS)
        for name, how in VARIANTS.items()
        if seed < how.get("seeds", SEEDS)
    ]


def relaxed_by_dft() -> tuple[Atoms, Atoms]:
    """(the vacancy, the perfect crystal) of 63 and 64 atoms at rest, with energies by DFT."""
    reference = datasets.dft_reference(ELEMENT)
    eos, vacancy = reference["eos"], reference["vacancy"]
    crystal = bulk(ELEMENT, "diamond", a=eos["lattice_constant"], cubic=True).repeat(2)
    total = eos["energy_per_atom"] * len(crystal)
    energies = vacancy["vacancy"] + total * 63 / 64, total
    hole = Atoms(f"{ELEMENT}63", vacancy["positions"], cell=crystal.cell, pbc=True)
    for atoms, energy in zip((hole, crystal), energies):
        zero = np.zeros((len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=zero)
        atoms.info = dict(group="Rest")
    return hole, crystal


def own(kind: str) -> list[Atoms]:
    """Structures of `OWN` with labels: "cold" vacancies to train on, or those on the "path"."""
    text = StringIO(lzma.decompress(OWN.read_bytes()).decode())
    return [a for a in ase.io.read(text, ":", format="extxyz") if f"-{kind}-" in a.info["name"]]


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task."""
    allocator.prepare()
    started, how = time.perf_counter(), VARIANTS[task["variant"]]
    train = [a for name in how.get("sets", (ELEMENT,)) for a in datasets.dft(name, "train")]
    pure = [atoms for atoms in train if set(atoms.symbols) == {ELEMENT}]
    hole, crystal = relaxed_by_dft()
    train += [hole, crystal] if how.get("relaxed") else own("cold") if how.get("cold") else []
    config = Config(how.get("preset", "course"), cutoff=how.get("cutoff"))
    weights = [w._replace(energy=w.energy * how.get("energy", 1)) for w in (BEGIN, END)]
    options = dict(steps=how.get("steps", 16000), seed=task["seed"], average=0.999)
    options |= dict(weights=weights[0], final_weights=weights[1], report_every=4000)
    start = Potential.create(config, ("Si", "Ge"), task["seed"])
    if "start" in how:
        start = transfer.start(Potential.load(how["start"]), ELEMENT, train)
    *_, last = fit(start, train, **options)
    potential = last.potential
    found, energy = properties.vacancy(crystal, potential.calculator()), {}
    path = own("path")
    perfect, at_rest, *_ = guesses = energies(potential.predict([crystal, hole, *path]))
    off = guesses - energies([crystal, hole, *path])
    for atoms, guess in zip(pure, potential.predict(pure)):
        wrong = (guess.get_potential_energy() - atoms.get_potential_energy()) / len(atoms)
        energy.setdefault(atoms.info["group"], []).append(1e3 * wrong)
    errors = potential.evaluate(datasets.dft(ELEMENT, "test"))
    return task | dict(
        unrelaxed=round(found.unrelaxed, 4),
        relaxed=round(found.energy, 4),
        as_dft=round(float(at_rest - perfect * 63 / 64), 4),
        path=(off[2:] - off[0] * 63 / 64).round(4).tolist(),
        off={group: round(float(np.mean(values)), 2) for group, values in energy.items()},
        force_mae=round(errors.force_mae, 2),
        energy_rmse=round(errors.energy_rmse, 2),
        **circumstances(started, "tlmlp", "ase"),
    )


def energies(frames: list[Atoms]) -> np.ndarray:
    """Total energies in eV."""
    return np.array([float(atoms.get_potential_energy()) for atoms in frames])


def cold(index: int) -> Atoms:
    """A cold vacancy by the recipe of the vacancies of research/dft/generate.py, without labels."""
    from .dft import generate

    (silicon, melting), (lattice, _) = (generate.ELEMENTS[name] for name in ("Si", ELEMENT))
    rng, heat = np.random.default_rng([2502, index]), COLD[index % len(COLD)]
    atoms = bulk("Si", "diamond", a=silicon, cubic=True).repeat(2)
    del atoms[rng.integers(len(atoms))]
    atoms.set_cell(atoms.cell.array * (1 + rng.uniform(-0.01, 0.01)), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.035 * silicon * heat**0.5, atoms.positions.shape)
    generate.dynamics(atoms, heat * melting, 300, rng)
    cell = (atoms.cell.array * lattice / silicon).round(8)
    return Atoms(f"{ELEMENT}63", (atoms.positions * lattice / silicon).round(6), cell=cell, pbc=1)


def on_the_path() -> list[Atoms]:
    """At `PATH` from a vacancy at rest to the first of the training set, in the cell of rest."""
    _, crystal = relaxed_by_dft()
    train = datasets.dft(ELEMENT, "train")
    hot = next(atoms for atoms in train if atoms.info["group"] == "Vacancy")
    apart = hot.get_scaled_positions()[:, None] - crystal.get_scaled_positions()
    apart -= np.round(apart)
    atom, site = linear_sum_assignment((apart**2).sum(-1))
    rest = crystal[site]
    moves = apart[atom, site] @ rest.cell.array
    moves -= moves.mean(axis=0)
    out = [rest.copy() for _ in PATH]
    for atoms, share in zip(out, PATH):
        atoms.positions = (rest.positions + share * moves).round(6)
    return out


def main(
    folder: Annotated[Path, typer.Argument(help="of what CP2K has computed; it goes on there")],
) -> None:
    """Compute the structures of `OWN` by CP2K, about a minute each."""
    from .dft import generate

    folder.mkdir(parents=True, exist_ok=True)
    kinds = dict(cold=[cold(k) for k in range(2 * len(COLD))], path=on_the_path())
    for kind, frames in kinds.items():
        for k, atoms in enumerate(frames):
            found = generate.cp2k.cached(atoms, folder)
            values = {key: np.array(found[key]) for key in ("forces", "stress")}
            atoms.calc = SinglePointCalculator(atoms, energy=found["energy"], **values)
            atoms.info = dict(group="Vacancy", name=f"{ELEMENT}-{kind}-{k}")
            atoms.info |= dict(protocol=generate.cp2k.name_of(atoms))
    write_whole(OWN, generate.packed([*kinds["cold"], *kinds["path"]]))


if __name__ == "__main__":
    typer.run(main)
