"""Sources of data: what labelled the structures, and what the rest of the course has to know of each.

SOURCES["dft"].words         what to call it
COURSE                       the two that the course compares
data("dft", "Ge")            its structures
"""

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms

from .. import datasets
from ..elements import ELEMENTS, element as _element

SHIPPED = resources.files("tlmlp") / "data"


class Source(NamedTuple):
    words: str  # for people
    short: str  # in names of potentials: si-SHORT-course, ge-SHORT-course-transfer-10
    melting: dict  # K, of each element: the model's, or nature's
    lattice: dict  # Å, of each element's diamond crystal at zero pressure
    temperatures: tuple  # K, of germanium's trajectories; empty where structures come from none of the source's own
    strained_at: dict = {}  # Å, of each element whose strained cells are not at zero pressure: elastic constants are compared there

    @property
    def silicon(self):
        """Name of the potential that a transfer starts from."""
        return f"si-{self.short}-course"


SOURCES = {
    "dft": Source("DFT", "dft", {"Si": 1687.0, "Ge": 1211.0}, {"Si": 5.463, "Ge": 5.783}, ()),
    "mlearn": Source(
        "DFT (mlearn)",
        "mlearn",
        {"Si": 1687.0, "Ge": 1211.0},
        {"Si": 5.4687, "Ge": 5.784},
        (300, 605, 1089, 1816, 2422),
        {"Ge": 5.7542},
    ),
    "stillinger-weber": Source(
        "Stillinger-Weber",
        "sw",
        {e: row.melting_temperature for e, row in ELEMENTS.items()},
        {e: row.lattice_constant for e, row in ELEMENTS.items()},
        (520, 1740, 2460, 3480, 4500),
    ),
}
COURSE = ("dft", "stillinger-weber")
TRAJECTORIES = tuple(
    name for name, source in SOURCES.items() if source.temperatures
)  # how their germanium moves is known


def data(source, element="Ge"):
    """(train, test) lists of ase.Atoms of a source, each time anew: what a caller does to them nobody else sees.

    Stillinger-Weber: 240 and 48 frames at the same reduced temperatures for every element, the test frames from
    trajectories of their own. They ship with the package, as `sample` made them: it takes a minute or two.
    """
    return tuple(datasets.copies(part) for part in _read_once(source, element))


@lru_cache
def _read_once(source, element):
    """What `data` hands out copies of. Atoms are mutable: a caller's `test[0].calc = mine` would replace a label for good."""
    if source in ("dft", "mlearn"):
        load = getattr(datasets, source)
        return load(element, "train"), load(element, "test")
    if source != "stillinger-weber":
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, not {source!r}")
    path = Path(str(SHIPPED / f"stillinger-weber-{_element(element).symbol}.extxyz.gz"))
    frames = datasets.read(path)
    parts = [
        [atoms for atoms in frames if atoms.info["split"] == split] for split in ("train", "test")
    ]
    for atoms in frames:
        del atoms.info["split"]
        atoms.info |= {
            k: v.item() for k, v in atoms.info.items() if isinstance(v, np.generic)
        }  # as they were before the file
    return tuple(parts)


def hottest(frames):
    """Those frames of a list that are of the highest energy: the group "High energy", or the highest temperature there is."""
    own = [atoms for atoms in frames if atoms.info["group"] == "High energy"]
    top = max(atoms.info["temperature"] or 0.0 for atoms in frames)
    return own or [atoms for atoms in frames if atoms.info["temperature"] == top]


def melt(source, element="Ge"):
    """(ase.Atoms, temperature in K, frames) of a liquid of a source: the middle one of the temperatures at which it has liquids.

    Frames are those of this temperature, train and test, the first of which the Atoms are. Those of "dft" have volumes of their
    own: its Atoms are brought to that of the crystal, which mlearn's liquids have, at the same 1.5 of melting.
    """
    train, test = data(source, element)
    liquids = [
        atoms
        for atoms in [*train, *test]
        if atoms.info["phase"] == "liquid" and atoms.info["temperature"]
    ]
    temperatures = sorted({atoms.info["temperature"] for atoms in liquids})
    temperature = temperatures[(len(temperatures) - 1) // 2]
    frames = [atoms for atoms in liquids if atoms.info["temperature"] == temperature]
    atoms = Atoms(frames[0].symbols, frames[0].positions, cell=frames[0].cell, pbc=True)
    if source == "dft":
        edge = SOURCES[source].lattice[element] * (len(atoms) / 8) ** (1 / 3)
        atoms.set_cell(edge * np.eye(3), scale_atoms=True)
    return atoms, temperature, frames
