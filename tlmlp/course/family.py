"""Stillinger-Weber's family: elements that differ from silicon by as much as one wants.

A member has silicon's parameters but for four: its size σ, its energy ε, the stiffness λ of its
angles, and the angle θ0 that its bonds prefer. Its structures are silicon's, scaled by its size, so
that members differ by their forces alone. In a network they stand for germanium, with the symbol
Ge.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ..datasets import DFT, copies
from ..elements import ELEMENTS, Element
from ..refusal import positive, refuse
from ..stillinger_weber import StillingerWeber

FILE = DFT.parent / "stillinger-weber-family.extxyz.gz"  # by research/stillinger_weber.py
SILICON = ELEMENTS["Si"]
TETRAHEDRAL = float(np.degrees(np.arccos(-1 / 3)))


@dataclass(frozen=True)
class Member:
    """One element of the family. Raises ValueError for values that are not allowed."""

    size: float = 1.0  # σ over silicon's
    energy: float = 1.0  # ε over silicon's
    stiffness: float = SILICON.lam  # λ, no unit
    angle: float = TETRAHEDRAL  # θ0, degrees

    def __post_init__(self) -> None:
        positive(size=self.size, energy=self.energy)
        refuse(not 0 <= self.stiffness < np.inf, "stiffness must be 0 or more")
        refuse(not 0 <= self.angle <= 180, "angle must be from 0 to 180 degrees")

    @property
    def row(self) -> Element:
        """Its parameters, in eV and Å. The lattice constant and the melting point are scaled."""
        return replace(
            SILICON,
            symbol="Ge",
            lattice_constant=SILICON.lattice_constant * self.size,
            melting_temperature=SILICON.melting_temperature * self.energy,
            epsilon=SILICON.epsilon * self.energy,
            sigma=SILICON.sigma * self.size,
            lam=self.stiffness,
            cos_angle=float(np.cos(np.radians(self.angle))),
        )


def structures(member: Member) -> tuple[list[Atoms], list[Atoms]]:
    """(60 to train on, 36 to test on) of 64 atoms: crystals at four temperatures, liquids at two.

    Labels are the member's energy (eV), forces (eV/Å) and stress (eV/Å³). `info` has group, phase,
    temperature (K, of silicon's trajectory), element and source.
    """
    parts = _labelled_once(member)
    return copies(parts[0]), copies(parts[1])


@lru_cache(maxsize=4)
def _labelled_once(member):
    calculator, parts = StillingerWeber(member.row), {"train": [], "test": []}
    for frame in ase.io.read(FILE, ":", format="extxyz"):
        info = dict(frame.info)
        split = info.pop("split")
        atoms = Atoms("Ge" * len(frame), frame.positions, cell=frame.cell, pbc=True, info=info)
        atoms.set_cell(atoms.cell * member.size, scale_atoms=True)
        calculator.calculate(atoms)
        results = {key: calculator.results[key] for key in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        parts[split].append(atoms)
    return parts["train"], parts["test"]
