"""The Stillinger-Weber structures that ship, by molecular dynamics."""

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from tlmlp import datasets
from tlmlp.elements import element as _element

REDUCED_TEMPERATURES = (
    0.18,
    0.35,
    0.6,
    0.85,
    1.2,
    1.55,
)  # T / T_melting of Stillinger-Weber: crystals at four, liquids at two


def sample(element, path=None):
    """(train, test) of Stillinger-Weber by molecular dynamics; written to `path`, where one is given, as `data` reads it."""
    melting = _element(element).melting_temperature
    temperatures = tuple(float(round(t * melting, -1)) for t in REDUCED_TEMPERATURES)
    parts = tuple(
        datasets.stillinger_weber(element, n, temperatures, seed)
        for n, seed in ((240, 0), (48, 1000))
    )
    if path is not None:
        import ase.io  # half a second, for all the formats it knows

        frames = []
        for split, part in zip(("train", "test"), parts):
            for atoms in part:
                frame = Atoms(
                    atoms.symbols,
                    atoms.positions,
                    cell=atoms.cell,
                    pbc=True,
                    info=atoms.info | dict(split=split),
                )
                labels = dict(
                    energy=atoms.get_potential_energy(),
                    forces=atoms.get_forces(),
                    stress=atoms.get_stress(),
                )
                frame.calc = SinglePointCalculator(frame, **labels)
                frames.append(frame)
        ase.io.write(path, frames, format="extxyz")
    return parts
