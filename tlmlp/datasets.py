"""Where labelled structures come from.

A dataset is a list of `ase.Atoms`, each with a calculator that holds its labels: energy (eV),
forces [N, 3] (eV/Å) and, where known, stress [6] (eV/Å^3, order xx yy zz yz xz xy, positive when
the cell wants to shrink: ASE's convention). So `ase.io.read("mine.extxyz", ":")` is a dataset,
and `frame.get_forces()` are its labels.

Where a frame comes from is in `frame.info`: source, element, group, phase ("crystal" or
"liquid"), temperature (K, None where unknown).
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from . import elements, simulate
from .frames import check, copies, split, subset
from .reading import labelled, read
from .refusal import is_whole, one_of, refuse
from .stillinger_weber import stillinger_weber_calculator

__all__ = ["dft", "dft_reference", "mlearn", "stillinger_weber", "stillinger_weber_shipped"]
__all__ += ["check", "copies", "labelled", "read", "split", "stillinger_weber_calculator", "subset"]

MLEARN_COMMIT = "10c427a5480c6281c15c64efaf869b03be04818f"
MLEARN_URL = f"https://raw.githubusercontent.com/materialsvirtuallab/mlearn/{MLEARN_COMMIT}/data"
MLEARN_SHA256 = {
    "Si/training.json": "ae6d4b0a65b00e0fcf7ba0a6fad366716710d2f0d21d70199203089c6866b500",
    "Si/test.json": "d452b30a89f23bff76f7cc529b7b6c2d159ea81ccd5a4599fb1a18207654fa91",
    "Ge/training.json": "43dee02009a5167f94c7aafce19051222bcfc328c46181750cc2a2018187ca00",
    "Ge/test.json": "737ea6159c9dd27ebee7fb8ffae22f15e20466884927771248ca4f5b2cd3f093",
    "Li/training.json": "1cac01475c5a4fb85771ee1fd23366a6b8abfb9891e0c9e088b6e37228e147b3",
    "Li/test.json": "554d0ce60b35a07b357be3a80bf04f68eb8fc97b5a88328caf08c860b5e9b260",
    "Mo/training.json": "b13305fca0d0d2631ab080c8fcf13c743ee79a911712fb65a34ca88fadf09f9a",
    "Mo/test.json": "68169e2927c2115daa2f504805fcb9548ee65daf2dd015428807ba92f8e13bb8",
}
# eV/atom, between the least bound solid frame (Si -5.06, a surface; Ge -4.25, strained by 10 %)
# and the best bound liquid one (Si -4.78, Ge -4.05). The phase has to come from the energy: the
# temperatures in the published descriptions of vacancies are wrong.
MLEARN_LIQUID_ABOVE = {"Si": -4.92, "Ge": -4.15}
# K: of lithium, whose liquids are bound as well as its surfaces, and of molybdenum, whose vacancies
# stay solid at 6000 K, dynamics at these temperatures are molten.
MLEARN_LIQUID_FROM = {"Li": 680, "Mo": 6000}


def mlearn(element: str, split: str) -> list[Atoms]:
    """DFT structures of "Si", "Ge", "Li" or "Mo", for "train" or "test".

    There are 214, 228, 241 and 194 to train on, and 25, 25, 29 and 23 to test on: dynamics,
    strained cells, surfaces and vacancies. Downloaded once into the user's cache, unless the
    environment variable TLMLP_DATA names a folder that holds mlearn/Si/training.json and its like.
    The checksum is always verified. `info` has group ("AIMD-NVT", "Elastic", "Surface" or
    "Vacancy"), phase, temperature (K, known for "AIMD-NVT" alone), description (as published),
    tag, element and source.

    Raises:
        ValueError: unknown element or split, or a file that is not the published one.
        FileNotFoundError: TLMLP_DATA is set, but the file is not there.
        ConnectionError: the file could not be downloaded.

    Source: Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020); VASP, PBE; licence BSD-3-Clause.
    """
    one_of("element", element, ("Si", "Ge", "Li", "Mo"))
    one_of("split", split, ("train", "test"))
    name = f"{element}/{'training' if split == 'train' else split}.json"
    with open(_mlearn_file(name), encoding="utf-8") as file:
        return [_mlearn_atoms(record) for record in json.load(file)]


def _mlearn_file(name: str) -> Path:
    sha256, mirror = MLEARN_SHA256[name], os.environ.get("TLMLP_DATA")
    if mirror:
        path = Path(mirror).expanduser() / "mlearn" / name
        words = f"{path} does not exist: put it there, or unset TLMLP_DATA to download it"
        refuse(not path.is_file(), words, FileNotFoundError)
        words = "is not the published file (wrong sha256): replace it, or unset TLMLP_DATA"
        refuse(pooch.file_hash(str(path)) != sha256, f"{path} {words}")
        return path

    url = f"{MLEARN_URL}/{name}"
    folder, file = pooch.os_cache("tlmlp") / "mlearn" / Path(name).parent, Path(name).name
    try:  # a damaged file in the cache is fetched again
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", path=folder, fname=file))
    except ValueError as error:
        what = f"what came from {url} is not the published file (wrong sha256)"
        raise ValueError(f"{what}: try again, or from another network") from error
    except OSError as error:  # of which every exception of requests is one
        what = f"could not fetch {url} into {folder} ({type(error).__name__})"
        cure = f"connect to the network, or set TLMLP_DATA to a folder that holds mlearn/{name}"
        raise ConnectionError(f"{what}: {cure}") from error


def _mlearn_atoms(record: dict) -> Atoms:
    sites, outputs = record["structure"]["sites"], record["outputs"]
    symbol, group, words = record["element"], record["group"], record["description"]
    symbols, positions = zip(*((site["species"][0]["element"], site["xyz"]) for site in sites))
    cell = record["structure"]["lattice"]["matrix"]
    atoms = Atoms(symbols, positions, cell=cell, pbc=True)
    # Published in kbar (0.1 GPa), positive under compression, and in two orders, as our own DFT
    # of the same structures tells, and strained cells: xx yy zz xy zx yz for dynamics and for
    # molybdenum's strained cells, xx yy zz xy yz zx for the rest.
    other = group in ("AIMD-NVT", "Vacancy") or (symbol, group) == ("Mo", "Elastic")
    order = [0, 1, 2, 5, 4, 3] if other else [0, 1, 2, 4, 5, 3]
    stress = -0.1 * units.GPa * np.array(outputs["virial_stress"])[order]
    energy, forces = float(outputs["energy"]), np.array(outputs["forces"], float)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    found = re.search(r"at (\d+) K", words) if group == "AIMD-NVT" else None
    kelvin = float(found[1]) if found else None
    if symbol in MLEARN_LIQUID_FROM:
        molten = bool(kelvin and kelvin >= MLEARN_LIQUID_FROM[symbol])
    else:
        molten = energy / len(atoms) > MLEARN_LIQUID_ABOVE[symbol]
    phase = "liquid" if molten else "crystal"
    atoms.info = dict(source="mlearn", element=symbol, group=group, phase=phase)
    atoms.info["temperature"] = kelvin
    atoms.info |= dict(description=words, tag=record["tag"])
    return atoms


DFT = Path(__file__).parent / "data" / "dft"


def dft(element: str, split: str) -> list[Atoms]:
    """DFT structures that ship, of "Si", "Ge", "Sn", "C" or "SiGe"; ValueError for others.

    split: "train" or "test". 63 or 64 atoms each, drawn by one recipe in units of lattice constant
    and melting temperature, every one from a trajectory of its own; of tin and carbon fewer.
    "SiGe" are alloys, whose info has `order` ("random" or "ordered") and `fraction` of germanium
    besides. Energies are free energies of the electrons at 1000 K, whose gradients the forces are.
    `info` has group ("Solid", "Liquid", "Vacancy", "Strained" or "High energy"), phase,
    temperature (K, of the trajectory; None for atoms displaced at random), name, entropy (eV, the
    electrons' -T S in the energy), protocol, element, source.

    Source: CP2K, PBE, GTH pseudopotentials, DZVP-MOLOPT-SR-GTH, 2 x 2 x 2 k-points; research/dft.
    """
    one_of("element", element, ("Si", "Ge", "Sn", "C", "SiGe"))
    one_of("split", split, ("train", "test"))
    return read(DFT / f"{element}-{split}.extxyz.xz")


def dft_reference(element: str) -> dict:
    """Properties of the diamond crystal of "Si" or "Ge" at the level of `dft`.

    Lattice constant (Å), elastic constants (GPa), phonons (THz), equation of state and vacancy
    (eV), each with the processor time it took (s). ValueError for an unknown element.
    """
    symbol = elements.element(element).symbol
    return json.loads((DFT / "properties.json").read_text(encoding="utf-8"))[symbol]


TIMESTEP = 2.0  # fs; the fastest vibration of silicon takes 63 fs
DAMPING = 100.0  # fs, of the Langevin thermostat
STRIDE = 100  # steps between two frames: 200 fs
EQUILIBRATION = 1500  # steps: 3 ps; another 3 ps to melt, where needed
# Places for neighbours of an atom. A liquid atom has about 10, at most 16 or so. With the same
# number for crystals and liquids all trajectories run with one compiled program.
SLOTS = 20


def stillinger_weber_shipped(element: str) -> tuple[list[Atoms], list[Atoms]]:
    """(train, test) of "Si" or "Ge" that ship: 240 and 48 frames of `stillinger_weber`.

    Both have the same reduced temperatures, test frames trajectories of their own. ValueError for
    an unknown element. They are made by research/stillinger_weber.py.
    """
    parts: dict[str, list[Atoms]] = {"train": [], "test": []}
    symbol = elements.element(element).symbol
    for atoms in read(DFT.parent / f"stillinger-weber-{symbol}.extxyz.gz"):
        parts[atoms.info.pop("split")].append(atoms)
        # numbers of Python's own, as they were before they were written
        atoms.info |= {k: v.item() for k, v in atoms.info.items() if isinstance(v, np.generic)}
    return parts["train"], parts["test"]


def stillinger_weber(
    element: str,
    n: int,
    temperatures: Sequence[float] = (300, 1000),
    seed: int = 0,
    cells: Sequence[int] = (2, 2, 2),
) -> list[Atoms]:
    """Frames of Stillinger-Weber molecular dynamics: energy, forces, stress, momenta.

    One Langevin trajectory of `simulate.nvt` (2 fs, damping 100 fs) per temperature, in a cube of
    the model's diamond lattice. It starts from the crystal. Above the model's melting temperature
    (1691 K for Si, but 2900 K for Ge: see elements), it is molten first, for 3 ps at twice that.
    The liquid keeps the crystal's volume, which puts Si under tension (4 GPa) and Ge under
    pressure (7 GPa). Then 3 ps to equilibrate.

    Frames alternate between the temperatures. Two of one temperature are 200 fs apart, and their
    forces uncorrelated (below 0.15). The correlation of total energies is below 0.2 in crystals,
    up to 0.6 in liquids. Stress is that of the potential, without the motion of the atoms.
    `info` has temperature (K, the thermostat's), phase, step and time (fs, both since
    equilibration), element, group ("MD") and source.

    Args:
        element: "Si" or "Ge".
        n: how many frames in all.
        temperatures: K, at least one.
        seed: of velocities and thermostat; it gives the same frames again on the same machine.
        cells: cubic cells of 8 atoms along each side, at least 2.

    Raises:
        ValueError: unknown element; n, temperatures or cells out of range.
        RuntimeError: the dynamics broke down.
    """
    row = elements.element(element)
    refuse(not is_whole(n), f"the number of frames must be a positive integer, not {n!r}")
    kelvin = np.atleast_1d(np.asarray(temperatures, float))
    fine = kelvin.ndim == 1 and len(kelvin) and np.all((kelvin > 0) & (kelvin < np.inf))
    refuse(not fine, f"temperatures must be positive numbers in K, not {kelvin.tolist()}")
    words = f"cells must be three integers of at least 2 (a box of two cutoffs), not {cells}"
    refuse(np.shape(cells) != (3,) or any(int(c) != c or c < 2 for c in cells), words)
    crystal = bulk(row.symbol, "diamond", a=row.lattice_constant, cubic=True)
    crystal = crystal.repeat([int(c) for c in cells])
    kelvin, lengths = kelvin[:n], -(np.arange(-n, 0) // len(kelvin))
    seeds = np.random.SeedSequence(seed).generate_state(len(kelvin)).tolist()
    tasks = zip(kelvin.tolist(), lengths.tolist(), seeds)
    trajectories = [_trajectory(row, crystal, *task) for task in tasks]
    return [trajectories[k % len(kelvin)][k // len(kelvin)] for k in range(n)]


def _trajectory(
    row: elements.Element, crystal: Atoms, temperature: float, n: int, seed: int
) -> list[Atoms]:
    """n frames at one temperature in K, see stillinger_weber."""
    liquid, hot = temperature > row.melting_temperature, 2 * row.melting_temperature
    melting = EQUILIBRATION if liquid else 0
    start, calculator = melting + EQUILIBRATION, stillinger_weber_calculator(row.symbol)
    kelvin = lambda time: max(hot, temperature) if time < melting * TIMESTEP else temperature
    options: dict[str, Any] = dict(damping_fs=DAMPING, timestep_fs=TIMESTEP, slots=SLOTS, seed=seed)
    options |= dict(steps=start + n * STRIDE, every=STRIDE)
    origin = dict(source="stillinger-weber", element=row.symbol, group="MD")
    origin |= dict(phase="liquid" if liquid else "crystal")
    frames = []
    try:
        for snapshot in simulate.nvt(calculator, crystal, kelvin, **options):
            if snapshot.step > start:
                atoms = snapshot.atoms
                labels, step = atoms.calc.results, snapshot.step - start
                time = snapshot.time_fs - start * TIMESTEP
                atoms.wrap()
                atoms.calc = SinglePointCalculator(atoms, **labels)
                atoms.info = origin | dict(temperature=temperature, step=step, time=time)
                frames.append(atoms)
    except simulate.SimulationError as error:
        where = f"{row.symbol} at {temperature:g} K broke down, lower the temperatures"
        raise RuntimeError(f"molecular dynamics of {where}: {error}") from error
    return frames
