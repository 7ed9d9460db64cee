"""The Stillinger-Weber structures that ship, by molecular dynamics: a minute or two each.

    python research/stillinger_weber.py FOLDER

writes stillinger-weber-Si.extxyz.gz and stillinger-weber-Ge.extxyz.gz, and silicon's positions for
tlmlp.course.family, stillinger-weber-family.extxyz.gz; those that ship are in tlmlp/data.
"""

import argparse
from pathlib import Path

import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from tlmlp import allocator, datasets
from tlmlp.elements import ELEMENTS, element as element_of

# T / T_melting of Stillinger-Weber: crystals at four temperatures, liquids at two.
REDUCED_TEMPERATURES = (0.18, 0.35, 0.6, 0.85, 1.2, 1.55)
SPLITS = {"train": (240, 0), "test": (48, 1000)}  # structures, seed
FAMILY = {"train": (60, 1), "test": (36, 1001)}


def sample(element: str, splits: dict = SPLITS) -> dict[str, list[Atoms]]:
    """{split: structures} of an element."""
    melting = element_of(element).melting_temperature
    temperatures = tuple(float(round(t * melting, -1)) for t in REDUCED_TEMPERATURES)
    return {
        split: datasets.stillinger_weber(element, n, temperatures, seed)
        for split, (n, seed) in splits.items()
    }


def write(parts: dict[str, list[Atoms]], path: Path) -> None:
    """One file of all splits, as tlmlp.course.data reads it."""
    frames = []
    for split, part in parts.items():
        for atoms in part:
            info = atoms.info | dict(split=split)
            frame = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, info=info)
            labels = dict(
                energy=atoms.get_potential_energy(),
                forces=atoms.get_forces(),
                stress=atoms.get_stress(),
            )
            frame.calc = SinglePointCalculator(frame, **labels)
            frames.append(frame)
    ase.io.write(path, frames, format="extxyz")


def write_positions(parts: dict[str, list[Atoms]], path: Path) -> None:
    """One file of all splits without labels, positions to 1e-4 Å."""
    frames = []
    for split, part in parts.items():
        for atoms in part:
            keys = ("source", "group", "phase", "temperature")
            info = dict(split=split) | {key: atoms.info[key] for key in keys}
            positions = atoms.positions.round(4)
            frames.append(Atoms(atoms.symbols, positions, cell=atoms.cell, pbc=True, info=info))
    ase.io.write(path, frames, format="extxyz")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    allocator.prepare()
    for symbol in ELEMENTS:
        write(sample(symbol), folder / f"stillinger-weber-{symbol}.extxyz.gz")
    write_positions(sample("Si", FAMILY), folder / "stillinger-weber-family.extxyz.gz")
