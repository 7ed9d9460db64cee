"""Where labelled structures come from.

A dataset is a list of `ase.Atoms`, each with a calculator that holds its labels: energy (eV), forces [N, 3] (eV/Å) and,
where known, stress [6] (eV/Å^3, order xx yy zz yz xz xy, positive when the cell wants to shrink, as everywhere in ASE).
So `ase.io.read("mine.extxyz", ":")` is a dataset, and `frame.get_forces()` are its labels.

Where a frame comes from is in `frame.info`: source, element, group, phase ("crystal" or "liquid"), temperature (K, None
where unknown).
"""

import json
import os
import re
from pathlib import Path

import ase.io
import numpy as np
import pooch
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator

from .elements import element as _element

# --- mlearn: DFT (PBE) ---------------------------------------------------------------------------------------------

MLEARN_URL = "https://raw.githubusercontent.com/materialsvirtuallab/mlearn/10c427a5480c6281c15c64efaf869b03be04818f/data"
MLEARN_SHA256 = {
    "Si/training.json": "ae6d4b0a65b00e0fcf7ba0a6fad366716710d2f0d21d70199203089c6866b500",
    "Si/test.json": "d452b30a89f23bff76f7cc529b7b6c2d159ea81ccd5a4599fb1a18207654fa91",
    "Ge/training.json": "43dee02009a5167f94c7aafce19051222bcfc328c46181750cc2a2018187ca00",
    "Ge/test.json": "737ea6159c9dd27ebee7fb8ffae22f15e20466884927771248ca4f5b2cd3f093",
}
# eV/atom between the least bound solid frame (Si -5.06, a surface; Ge -4.25, strained by 10 %) and the best bound
# liquid one (Si -4.78, Ge -4.05). The temperatures in the published descriptions of vacancies are wrong, so the phase has
# to come from the energy.
MLEARN_LIQUID_ABOVE = {"Si": -4.92, "Ge": -4.15}


def mlearn(element: str, split: str) -> list[Atoms]:
    """DFT structures of silicon or germanium: molecular dynamics, strained cells, surfaces, vacancies.

    Downloaded once into the user's cache, unless the environment variable TLMLP_DATA names a folder that holds
    mlearn/Si/training.json and its like. The checksum is verified in both cases.

    `info` has group ("AIMD-NVT", "Elastic", "Surface" or "Vacancy"), phase, temperature (K; None for strained cells and
    surfaces, which did not come from molecular dynamics, and for vacancies, whose published temperatures are wrong),
    description (as published), tag, element and source.

    Args:
        element: "Si" (214 train, 25 test) or "Ge" (228 train, 25 test).
        split: "train" or "test".

    Raises:
        ValueError: unknown element or split, or a file that is not the published one.
        FileNotFoundError: TLMLP_DATA is set, but the file is not there.
        ConnectionError: the file could not be downloaded.

    Source: Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020); VASP, PBE; licence BSD-3-Clause.
    """
    files = {"train": "training.json", "test": "test.json"}
    symbol = _element(element).symbol
    if split not in files:
        raise ValueError(f"split {split!r} is not known, use 'train' or 'test'")
    with open(_mlearn_file(f"{symbol}/{files[split]}"), encoding="utf-8") as file:
        return [_mlearn_atoms(record) for record in json.load(file)]


def _mlearn_file(name: str) -> Path:
    sha256, mirror = MLEARN_SHA256[name], os.environ.get("TLMLP_DATA")
    if mirror:
        path = Path(mirror).expanduser() / "mlearn" / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: put it there, or unset TLMLP_DATA to download it")
        if pooch.file_hash(str(path)) != sha256:
            raise ValueError(f"{path} is not the published file (its sha256 differs): replace it, or unset TLMLP_DATA to download it")
        return path

    url = f"{MLEARN_URL}/{name}"
    folder = pooch.os_cache("tlmlp") / "mlearn" / Path(name).parent
    try:
        # Writes to a temporary file and moves it once the checksum is right; a damaged file in the cache is replaced.
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", path=folder, fname=Path(name).name))
    except ValueError as error:
        raise ValueError(f"what came from {url} is not the published file (its sha256 differs): try again, or look for a proxy that alters downloads") from error
    except OSError as error:  # of which every exception of requests is one
        raise ConnectionError(
            f"could not fetch {url} into {folder} ({type(error).__name__}): connect to the network, "
            f"or set TLMLP_DATA to a folder that holds mlearn/{name}"
        ) from error


def _mlearn_atoms(record: dict) -> Atoms:
    sites, outputs, symbol = record["structure"]["sites"], record["outputs"], record["element"]
    atoms = Atoms(
        [site["species"][0]["element"] for site in sites],
        positions=[site["xyz"] for site in sites],
        cell=record["structure"]["lattice"]["matrix"],
        pbc=True,
    )
    # Published in kbar (0.1 GPa), order xx yy zz xy yz zx, positive under compression.
    stress = -0.1 * units.GPa * np.array(outputs["virial_stress"])[[0, 1, 2, 4, 5, 3]]
    atoms.calc = SinglePointCalculator(
        atoms, energy=float(outputs["energy"]), forces=np.array(outputs["forces"], float), stress=stress
    )
    temperature = re.search(r"at (\d+) K", record["description"]) if record["group"] == "AIMD-NVT" else None
    atoms.info = {
        "source": "mlearn",
        "element": symbol,
        "group": record["group"],
        "phase": "liquid" if outputs["energy"] / len(atoms) > MLEARN_LIQUID_ABOVE[symbol] else "crystal",
        "temperature": float(temperature[1]) if temperature else None,
        "description": record["description"],
        "tag": record["tag"],
    }
    return atoms


# --- any file ------------------------------------------------------------------------------------------------------


def read(path) -> list[Atoms]:
    """A dataset from any file that ASE reads and that carries energy and forces, such as extended xyz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: ASE cannot read it, or `check` finds fault with it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        frames = ase.io.read(path, ":")
    except Exception as error:  # each format of ASE raises errors of its own
        raise ValueError(f"ASE cannot read structures from {path} ({type(error).__name__}: {error})") from error
    for frame in frames:
        if frame.info.get("temperature") is True:  # how ASE writes None and reads it back
            frame.info["temperature"] = None
    return check(frames)


def check(frames, forces: bool = True) -> list[Atoms]:
    """The frames themselves, if they can be learned from.

    Args:
        frames: list of ase.Atoms.
        forces: whether forces are needed, or energy will do.

    Raises:
        TypeError: not a list of ase.Atoms.
        ValueError: no frames; a frame without energy or forces, with some of the wrong shape, or with NaN or infinity.
    """
    if not isinstance(frames, (list, tuple)) or not all(isinstance(frame, Atoms) for frame in frames):
        raise TypeError(f"a dataset is a list of ase.Atoms, not {_describe(frames)}")
    if not frames:
        raise ValueError("the dataset is empty, it needs at least one frame")
    for index, frame in enumerate(frames):
        n = len(frame)
        if n == 0:
            raise ValueError(f"frame {index} has no atoms")
        values = {"positions": (frame.positions, (n, 3)), "cell": (frame.cell.array, (3, 3)), "energy": (_label(frame, index, "energy"), ())}
        if forces:
            values["forces"] = (_label(frame, index, "forces"), (n, 3))
        if frame.calc is not None and "stress" in getattr(frame.calc, "results", {}):
            values["stress"] = (_label(frame, index, "stress"), (6,))
        for name, (value, shape) in values.items():
            if np.shape(value) != shape:
                raise ValueError(f"{name} of frame {index} has shape {np.shape(value)} where {shape} is needed for its {n} atoms")
            if not np.all(np.isfinite(value)):
                raise ValueError(f"{name} of frame {index} is not finite (NaN or infinity), remove that frame or compute it again")
    return list(frames)


def _label(frame: Atoms, index: int, name: str):
    get = {"energy": frame.get_potential_energy, "forces": frame.get_forces, "stress": frame.get_stress}[name]
    try:
        return get() if name == "energy" else get(apply_constraint=False)
    except (RuntimeError, PropertyNotImplementedError):  # no calculator at all, or one without this property
        found = sorted([*frame.info, *(set(frame.arrays) - {"numbers", "positions"}), *getattr(frame.calc, "results", {})])
        raise ValueError(
            f"frame {index} has no {name}: ASE looks for the name '{name}', the frame has {', '.join(found) or 'no labels'}"
        ) from None


def _describe(frames) -> str:
    if isinstance(frames, (list, tuple)):
        return "a list with " + ", ".join(sorted({type(f).__name__ for f in frames if not isinstance(f, Atoms)}))
    return "one " + type(frames).__name__ if isinstance(frames, Atoms) else type(frames).__name__


# --- parts of a dataset --------------------------------------------------------------------------------------------


def subset(frames, n: int, seed: int = 0) -> list[Atoms]:
    """n frames with the same share of each group, phase and temperature as in all of them.

    Nested: `subset(frames, 10, seed)` is the beginning of `subset(frames, 20, seed)`, so that a learning curve adds data
    and never exchanges it.

    Raises:
        ValueError: n is not a positive integer, or there are fewer frames than that.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"the number of frames must be a positive integer, not {n!r}")
    if n > len(frames):
        raise ValueError(f"{n} frames were asked for, but there are only {len(frames)}")
    return [frames[i] for i in _stratified(frames, seed)[:n]]


def split(frames, n_valid, seed: int = 0) -> tuple[list[Atoms], list[Atoms]]:
    """(train, valid): n_valid frames, chosen as `subset` does, are held out.

    Args:
        n_valid: a number of frames, or a fraction between 0 and 1.

    Raises:
        ValueError: one of the two would be empty.
    """
    n = round(n_valid * len(frames)) if isinstance(n_valid, float) and n_valid < 1 else n_valid
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 0 < n < len(frames):
        raise ValueError(f"{n_valid!r} of {len(frames)} frames cannot be held out, use a number or a fraction that leaves some on both sides")
    order = _stratified(frames, seed)
    return [frames[i] for i in order[n:]], [frames[i] for i in order[:n]]


def _stratified(frames, seed: int) -> list[int]:
    """Indices of all frames, in an order whose every beginning has about the same share of each stratum."""
    rng = np.random.default_rng(seed)
    strata = {}
    for index, frame in enumerate(frames):
        strata.setdefault(tuple(str(frame.info.get(name)) for name in ("group", "phase", "temperature")), []).append(index)
    keys = {}
    for stratum in sorted(strata):  # sorted: the order of frames of different strata in the file plays no role
        members, start = rng.permutation(strata[stratum]), rng.uniform()
        for rank, index in enumerate(members):
            keys[int(index)] = (rank + start) / len(members)  # spreads a stratum evenly over the unit interval
    return sorted(keys, key=keys.get)
