"""Stillinger-Weber's family: elements that differ from silicon by as much as one wants.

A member has silicon's parameters but for four: its size σ, its energy ε, the stiffness λ of its
angles, and the angle θ0 that its bonds prefer. Its structures are silicon's, scaled by its size, so
that members differ by their forces alone. In a network they stand for germanium, with the symbol
Ge.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from .. import datasets, graph, transfer
from ..datasets import DFT, copies
from ..elements import ELEMENTS, Element
from ..potential import Potential
from ..refusal import positive, refuse
from ..stillinger_weber import StillingerWeber
from ..sweep import BEGIN, END
from ..train import fit
from .similarity import mean_force

FILE = DFT.parent / "stillinger-weber-family.extxyz.gz"  # by research/stillinger_weber.py
SILICON = ELEMENTS["Si"]
TETRAHEDRAL = float(np.degrees(np.arccos(-1 / 3)))
KNOBS = dict(size=1.0, energy=1.0, stiffness=SILICON.lam, angle=TETRAHEDRAL)  # of silicon
_read = lru_cache(ase.io.read)  # the file once for all members


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

    def __str__(self) -> str:
        numbers = f"size {self.size:.3g}, energy {self.energy:.3g}, stiffness {self.stiffness:.3g}"
        return f"{numbers}, angle {self.angle:.4g}°"

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


def knob_of(values: Sequence[float]) -> str | None:
    """The one of KNOBS by which a member with these values differs from silicon.

    "several" where there is more than one, None for silicon.
    """
    pairs = zip(KNOBS.items(), values, strict=True)
    moved = [knob for (knob, own), value in pairs if not np.isclose(value, own)]
    return moved[0] if len(moved) == 1 else "several" if moved else None


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
    for frame in _read(FILE, ":", format="extxyz"):
        info = dict(frame.info)
        split = info.pop("split")
        atoms = Atoms("Ge" * len(frame), frame.positions, cell=frame.cell, pbc=True, info=info)
        atoms.set_cell(atoms.cell * member.size, scale_atoms=True)
        calculator.calculate(atoms)
        results = {key: calculator.results[key] for key in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        parts[split].append(atoms)
    return parts["train"], parts["test"]


def begin(member: Member, reduced: bool, frames: list[Atoms]) -> tuple[Callable, Callable, list]:
    """(scratch(seed), transfer(structures), shapes): two starts, and padded shapes of all frames.

    The transfer starts from silicon's weights; reduced, its cutoff is in the member's units.
    """
    source, ratio = Potential.load("si-sw-course"), member.size if reduced else None
    config = source.config
    shapes = graph.shapes_of(frames, source.elements, config.cutoff * max(1.0, ratio or 1.0))
    scratch = partial(Potential.create, config, source.elements)
    return scratch, lambda some: transfer.start(source, "Ge", some, reduced, ratio, shapes), shapes


def compete(member: Member, reduced: bool = False, steps: int = 400) -> Iterator[list[dict]]:
    """Train scratch and transfer on ten structures of a member, in turns; yields both rows so far.

    A row has `method`, `steps`, `force` (mean |F| in meV/Å) and `curve`, [[step, force MAE], ...]
    on the test structures. The transfer starts from silicon's weights, or in the member's units.
    """
    train, test = structures(member)
    some = datasets.subset(train, 10)
    scratch, carried, shapes = begin(member, reduced, some + test)
    starts = {"scratch": scratch(0), "reduced" if reduced else "transfer": carried(some)}
    error = lambda potential: float(potential.evaluate(test, shapes).force_mae)
    force = 1e3 * mean_force(test)
    rows: list[dict] = []
    fits, every = [], max(1, steps // 10)
    how: dict[str, Any] = dict(weights=BEGIN, final_weights=END, average=0.99)
    how |= dict(shapes=shapes, steps=steps, report_every=every, validate_every=every)
    for method, start in starts.items():
        curve = [[0, error(start)]]
        rows.append(dict(method=method, steps=steps, force=force, curve=curve))
        fits.append(fit(start, some, **how))
        yield rows
    for both in zip(*fits, strict=True):
        for row, progress in zip(rows, both, strict=True):
            row["curve"].append([progress.step, error(progress.potential)])
        yield rows
