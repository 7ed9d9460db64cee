"""Where labelled structures come from.

A dataset is a list of `ase.Atoms`, each with a calculator that holds its labels: energy (eV), forces [N, 3] (eV/Å) and,
where known, stress [6] (eV/Å^3, order xx yy zz yz xz xy, positive when the cell wants to shrink: ASE's convention).
So `ase.io.read("mine.extxyz", ":")` is a dataset, and `frame.get_forces()` are its labels.

Where a frame comes from is in `frame.info`: source, element, group, phase ("crystal" or "liquid"), temperature (K, None
where unknown).
"""

import functools
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pooch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from . import elements
from .elements import element as _element
from .frames import check, copies, read, split, subset
from .stillinger_weber import stillinger_weber_calculator

__all__ = [
    "check",
    "copies",
    "dft",
    "dft_reference",
    "mlearn",
    "read",
    "split",
    "stillinger_weber",
    "stillinger_weber_calculator",
    "subset",
]

# --- mlearn: DFT (PBE) ---------------------------------------------------------------------------------------------

MLEARN_COMMIT = "10c427a5480c6281c15c64efaf869b03be04818f"
MLEARN_URL = f"https://raw.githubusercontent.com/materialsvirtuallab/mlearn/{MLEARN_COMMIT}/data"
MLEARN_SHA256 = {
    "Si/training.json": "ae6d4b0a65b00e0fcf7ba0a6fad366716710d2f0d21d70199203089c6866b500",
    "Si/test.json": "d452b30a89f23bff76f7cc529b7b6c2d159ea81ccd5a4599fb1a18207654fa91",
    "Ge/training.json": "43dee02009a5167f94c7aafce19051222bcfc328c46181750cc2a2018187ca00",
    "Ge/test.json": "737ea6159c9dd27ebee7fb8ffae22f15e20466884927771248ca4f5b2cd3f093",
}
# eV/atom between the least bound solid frame (Si -5.06, a surface; Ge -4.25, strained by 10 %) and the best bound
# liquid one (Si -4.78, Ge -4.05). The temperatures in the published descriptions of vacancies are wrong, so the phase
# has to come from the energy.
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
            raise FileNotFoundError(
                f"{path} does not exist: put it there, or unset TLMLP_DATA to download it"
            )
        if pooch.file_hash(str(path)) != sha256:
            raise ValueError(
                f"{path} is not the published file (wrong sha256): replace it, or unset TLMLP_DATA"
            )
        return path

    url = f"{MLEARN_URL}/{name}"
    folder = pooch.os_cache("tlmlp") / "mlearn" / Path(name).parent
    try:
        # Writes to a temporary file and moves it once the checksum is right; a damaged file in the cache is replaced.
        return Path(
            pooch.retrieve(url, known_hash=f"sha256:{sha256}", path=folder, fname=Path(name).name)
        )
    except ValueError as error:
        raise ValueError(
            f"what came from {url} is not the published file (wrong sha256): try again, or from another network"
        ) from error
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
    # Published in kbar (0.1 GPa), positive under compression, and in two orders: xx yy zz xy yz zx for strained cells and
    # surfaces, xx yy zz xy zx yz for what came from molecular dynamics. Our own DFT of the same structures tells which.
    dynamics = record["group"] in ("AIMD-NVT", "Vacancy")
    order = [0, 1, 2, 5, 4, 3] if dynamics else [0, 1, 2, 4, 5, 3]
    stress = -0.1 * units.GPa * np.array(outputs["virial_stress"])[order]
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=float(outputs["energy"]),
        forces=np.array(outputs["forces"], float),
        stress=stress,
    )
    temperature = (
        re.search(r"at (\d+) K", record["description"]) if record["group"] == "AIMD-NVT" else None
    )
    atoms.info = {
        "source": "mlearn",
        "element": symbol,
        "group": record["group"],
        "phase": "liquid"
        if outputs["energy"] / len(atoms) > MLEARN_LIQUID_ABOVE[symbol]
        else "crystal",
        "temperature": float(temperature[1]) if temperature else None,
        "description": record["description"],
        "tag": record["tag"],
    }
    return atoms


# --- DFT of our own: in the package ----------------------------------------------------------------------------------

DFT = Path(__file__).parent / "data" / "dft"


def dft(element: str, split: str) -> list[Atoms]:
    """DFT structures of silicon or germanium that come with the package: solid, liquid, vacancy, strained, high energy.

    63 or 64 atoms each, drawn by one recipe for both elements in units of lattice constant and melting temperature, every
    one from a trajectory of its own. Energies are free energies of the electrons at 1000 K, whose gradients the forces are.
    How they were made, and what was converged: `datasets/README.md` in the repository.

    `info` has group ("Solid", "Liquid", "Vacancy", "Strained" or "High energy"), phase, temperature (K, of the trajectory;
    None for atoms displaced at random), name, entropy (eV, the electrons' -T S in the energy), protocol, element, source.

    Args:
        element: "Si" or "Ge".
        split: "train" or "test".

    Raises:
        ValueError: unknown element or split.

    Source: CP2K, PBE, GTH pseudopotentials, DZVP-MOLOPT-SR-GTH, 2 x 2 x 2 k-points.
    """
    symbol = _element(element).symbol
    if split not in ("train", "test"):
        raise ValueError(f"split {split!r} is not known, use 'train' or 'test'")
    return read(DFT / f"{symbol}-{split}.extxyz.xz")


def dft_reference(element: str) -> dict:
    """Properties of the diamond crystal at the level of `dft`: lattice constant (Å), elastic constants (GPa), phonons (THz),
    equation of state and vacancy (eV), each with the processor time it took (s).

    Raises:
        ValueError: unknown element.
        FileNotFoundError: this version ships none.
    """
    symbol, path = _element(element).symbol, DFT / "properties.json"
    if not path.is_file():
        raise FileNotFoundError(
            "this version ships no properties at the level of its DFT data; datasets/properties.py computes them"
        )
    return json.loads(path.read_text(encoding="utf-8"))[symbol]


# --- Stillinger-Weber: a classical potential -------------------------------------------------------------------------

TIMESTEP = 2.0  # fs; the fastest vibration of silicon takes 63 fs
FRICTION = 0.01  # 1/fs, of the Langevin thermostat: velocities are forgotten after 100 fs
STRIDE = 100  # steps between two frames: 200 fs
EQUILIBRATION = 3000  # fs; another 3000 fs to melt, where needed
SLOTS = 20  # places for neighbours of an atom in molecular dynamics; a liquid atom has about 10, at most 16


def stillinger_weber(
    element: str, n: int, temperatures=(300, 1000), seed: int = 0, cells=(2, 2, 2)
) -> list[Atoms]:
    """Frames of Stillinger-Weber molecular dynamics: energy, forces, stress, momenta.

    One Langevin trajectory (BAOAB, 2 fs, friction 0.01/fs) per temperature, in a cube of the model's diamond lattice.
    It starts from the crystal; above the model's melting temperature (1691 K for Si, but 2900 K for Ge: see elements),
    it is molten first, for 3 ps at twice that. The liquid keeps the crystal's volume, which puts Si under tension (4 GPa)
    and Ge under pressure (7 GPa). Then 3 ps to equilibrate.

    Frames alternate between the temperatures. Two of one temperature are 200 fs apart, by when forces are forgotten
    (correlation below 0.15; total energies, which hang on few slow modes, below 0.2 in crystals, up to 0.6 in liquids).
    Stress is that of the potential, without the motion of the atoms.

    `info` has temperature (K, the thermostat's), phase, step and time (fs, both since equilibration), element, group
    ("MD") and source.

    Args:
        element: "Si" or "Ge".
        n: how many frames in all.
        temperatures: K, at least one.
        seed: of initial velocities and thermostat; the same seed gives the same frames on the same machine.
        cells: cubic cells of 8 atoms along each side, at least 2.

    Raises:
        ValueError: unknown element; n, temperatures or cells out of range.
        RuntimeError: the trajectory is not sound.
    """
    row = _element(element)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"the number of frames must be a positive integer, not {n!r}")
    temperatures = np.atleast_1d(np.asarray(temperatures, float))
    if (
        temperatures.ndim != 1
        or not len(temperatures)
        or not np.all((temperatures > 0) & (temperatures < np.inf))
    ):
        raise ValueError(f"temperatures must be positive numbers in K, not {temperatures.tolist()}")
    if np.shape(cells) != (3,) or any(int(c) != c or c < 2 for c in cells):
        raise ValueError(
            f"cells must be three integers of at least 2 (a box of two cutoffs), not {cells}"
        )

    import jax

    crystal = bulk(row.symbol, "diamond", a=row.lattice_constant, cubic=True).repeat(
        [int(c) for c in cells]
    )
    temperatures = temperatures[:n]
    liquid = temperatures > row.melting_temperature
    kT = units.kB * temperatures
    hot = units.kB * np.where(
        liquid, np.maximum(temperatures, 2 * row.melting_temperature), temperatures
    )

    start, advance = _langevin(row.symbol)
    pause, chunks = round(EQUILIBRATION / TIMESTEP / STRIDE), -(-n // len(temperatures))
    cell, frames, crowd = crystal.cell.array, [], 0
    with jax.enable_x64(True):
        state = start(jax.random.split(jax.random.key(seed), len(kT)), hot, crystal.positions, cell)
        schedule = [hot] * (pause if liquid.any() else 0) + [kT] * (pause + chunks)
        for chunk, target in enumerate(schedule, start=1 + chunks - len(schedule)):
            state, crowds = advance(state, target, cell)
            crowd = max(crowd, int(crowds.max()))
            if chunk < 1:
                continue
            for t, temperature in enumerate(temperatures):
                atoms = Atoms(crystal.numbers, state.position[t], cell=crystal.cell, pbc=True)
                atoms.set_masses([row.mass] * len(atoms))
                atoms.set_momenta(np.asarray(state.momentum[t]))
                atoms.wrap()
                atoms.info = {
                    "source": "stillinger-weber",
                    "element": row.symbol,
                    "group": "MD",
                    "phase": "liquid" if liquid[t] else "crystal",
                    "temperature": float(temperature),
                    "step": chunk * STRIDE,
                    "time": chunk * STRIDE * TIMESTEP,
                }
                frames.append(atoms)

    if crowd > SLOTS or not np.all(np.isfinite(frames[-1].positions)):
        raise RuntimeError(
            f"molecular dynamics of {row.symbol} at up to {temperatures.max():g} K went wrong ({crowd} neighbours, "
            f"at most {SLOTS} expected): lower the temperatures"
        )
    calculator = stillinger_weber_calculator(row.symbol)
    for atoms in frames[:n]:
        calculator.calculate(atoms)
        atoms.calc = SinglePointCalculator(atoms, **calculator.results)
    return frames[:n]


def _nearest_image(a, b, cell):
    """Vector from atom b to atom a, or to the image of a nearest to b."""
    import jax.numpy as jnp

    vector = a - b
    return vector - jnp.round(vector @ jnp.linalg.inv(cell)) @ cell


@functools.cache
def _stillinger_weber_energy(symbol: str):
    """energy(positions [N, 3], cell [3, 3], slots [N, K]) -> eV, by jax-md, for sampling: right to 1e-7 eV an atom."""
    from jax_md import energy, partition

    row = _element(symbol)
    _, potential = energy.stillinger_weber_neighbor_list(
        _nearest_image,
        row.cutoff,
        sigma=row.sigma,
        A=elements.SW_A,
        B=elements.SW_B,
        lam=row.lam,
        gamma=elements.SW_GAMMA,
        epsilon=row.epsilon,
        cutoff=row.cutoff,
        neighbor_list_fn=lambda *args, **kwargs: None,  # the slots come from us
    )

    def total(positions, cell, slots):
        return potential(positions, SimpleNamespace(format=partition.Dense, idx=slots), cell=cell)

    return total


@functools.cache
def _langevin(symbol: str):
    """(start, advance): T Langevin trajectories in one cell, to be called where float64 is enabled.

    start(keys [T], kT [T], positions [N, 3], cell [3, 3]) -> state
    advance(state, kT [T], cell [3, 3]) -> state STRIDE steps later, and the most neighbours an atom had on the way [T]
    """
    import jax
    import jax.numpy as jnp
    from jax_md import simulate

    row = _element(symbol)
    energy = _stillinger_weber_energy(symbol)

    def nearest(positions, cell):  # afresh at every step: no skin, and so fewer triples
        squared = jnp.sum(_nearest_image(positions[:, None], positions[None], cell) ** 2, axis=-1)
        squared = jnp.where(jnp.eye(len(positions), dtype=bool), jnp.inf, squared)
        near, slots = jax.lax.top_k(-squared, SLOTS)
        slots = jnp.where(-near < row.cutoff**2, slots, len(positions))
        return slots, jnp.max(jnp.sum(squared < row.cutoff**2, axis=1))

    def force(positions, cell, **_):
        return -jax.grad(energy)(positions, cell, nearest(positions, cell)[0])

    init, step = simulate.nvt_langevin(
        force, lambda r, dr, **_: r + dr, dt=TIMESTEP * units.fs, kT=0.0, gamma=FRICTION / units.fs
    )

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, None, None))
    def start(key, kT, positions, cell):
        return init(key, positions, mass=row.mass, kT=kT, cell=cell)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, None))
    def advance(state, kT, cell):
        def one_step(_, carry):
            state, crowd = carry
            state = step(state, kT=kT, cell=cell)
            return state, jnp.maximum(crowd, nearest(state.position, cell)[1])

        return jax.lax.fori_loop(0, STRIDE, one_step, (state, 0))

    return start, advance


# --- any file ------------------------------------------------------------------------------------------------------


# --- parts of a dataset --------------------------------------------------------------------------------------------
