"""Sources of data: what labelled the structures, and what the course has to know of each."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from ase import Atoms

from .. import datasets
from ..elements import ELEMENTS
from ..refusal import one_of


class Source(NamedTuple):
    words: str  # for people
    short: str  # in names of potentials: si-SHORT-course, ge-SHORT-course-transfer-10
    silicon: str  # name of the potential that a transfer starts from
    melting: dict  # K, of each element: the model's, or nature's
    lattice: dict  # Å, of each element's diamond crystal at zero pressure
    # Å, of that silicon potential, and of the one with the cutoff 4.25 Å: once measured, where
    # the energy is smallest. Reduced units need them to the last bit.
    silicon_lattice: float
    silicon_lattice_short: float = np.nan
    temperatures: tuple = ()  # K, of germanium's trajectories, where it has its own
    strained_at: dict = {}  # Å, of an element whose strained cells are under pressure


NATURE = {"Si": 1687.0, "Ge": 1211.0}  # K, melting temperatures
CP2K, VASP = {"Si": 5.463, "Ge": 5.783}, {"Si": 5.4687, "Ge": 5.784}  # Å
SW_MELTING = {symbol: row.melting_temperature for symbol, row in ELEMENTS.items()}
SW_LATTICE = {symbol: row.lattice_constant for symbol, row in ELEMENTS.items()}
SOURCES = {
    "dft": Source(
        "DFT", "dft", "si-dft-course", NATURE, CP2K, 5.455998614468278, 5.4632787755751036
    ),
    "mlearn": Source(
        *("DFT (mlearn)", "mlearn", "si-mlearn-course", NATURE, VASP, 5.468660287275043),
        temperatures=(300, 605, 1089, 1816, 2422),
        strained_at={"Ge": 5.7542},
    ),
    "stillinger-weber": Source(
        *("Stillinger-Weber", "sw", "si-sw-course", SW_MELTING, SW_LATTICE),
        *(5.428784661074029, 5.4249505105830265),
        temperatures=(520, 1740, 2460, 3480, 4500),
    ),
}
COURSE = ("dft", "stillinger-weber")  # the two that the course compares
TRAJECTORIES = tuple(name for name, source in SOURCES.items() if source.temperatures)


def data(source: str, element: str = "Ge") -> tuple[list[Atoms], list[Atoms]]:
    """(train, test) of a source, each time anew: a caller may change them and nobody else sees it.

    Of Stillinger-Weber those that ship.
    """
    train, test = _read_once(source, element)
    return datasets.copies(train), datasets.copies(test)


@lru_cache
def _read_once(source, element):
    """What `data` copies. Atoms are mutable: `test[0].calc = mine` would replace a label."""
    one_of("source", source, SOURCES)
    if source == "stillinger-weber":
        return datasets.stillinger_weber_shipped(element)
    return tuple(getattr(datasets, source)(element, split) for split in ("train", "test"))


def hottest(frames: list[Atoms]) -> list[Atoms]:
    """The frames of the highest energy: the group "High energy", or the highest temperature."""
    own = [atoms for atoms in frames if atoms.info["group"] == "High energy"]
    top = max(atoms.info["temperature"] or 0.0 for atoms in frames)
    return own or [atoms for atoms in frames if atoms.info["temperature"] == top]


def melt(source: str, element: str = "Ge") -> tuple[Atoms, float, list[Atoms]]:
    """(liquid, temperature in K, frames): the middle one of the temperatures with liquids.

    The frames are those of this temperature, train and test; the liquid is the first of them.
    Those of "dft" have volumes of their own. There the liquid is brought to the volume of the
    crystal, which mlearn's liquids have, at the same 1.5 of the melting temperature.
    """
    frames = [atoms for part in data(source, element) for atoms in part]
    at = lambda atoms: atoms.info["temperature"]
    liquids = [atoms for atoms in frames if atoms.info["phase"] == "liquid" and at(atoms)]
    temperatures = sorted(set(map(at, liquids)))
    temperature = temperatures[(len(temperatures) - 1) // 2]
    frames = [atoms for atoms in liquids if at(atoms) == temperature]
    atoms = Atoms(frames[0].symbols, frames[0].positions, cell=frames[0].cell, pbc=True)
    if source == "dft":
        edge = SOURCES[source].lattice[element] * (len(atoms) / 8) ** (1 / 3)
        atoms.set_cell(edge * np.eye(3), scale_atoms=True)
    return atoms, temperature, frames
