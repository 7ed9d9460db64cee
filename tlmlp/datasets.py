"""Where labelled structures come from.

A dataset is a list of `ase.Atoms`, each with a calculator that holds its labels: energy (eV), forces [N, 3] (eV/Å) and,
where known, stress [6] (eV/Å^3, order xx yy zz yz xz xy, positive when the cell wants to shrink, as everywhere in ASE).
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

import ase.io
import numpy as np
import pooch
import vesin
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import complete_cell

from . import elements
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


# --- Stillinger-Weber: a classical potential that labels in no time ------------------------------------------------------

TIMESTEP = 2.0  # fs; the fastest vibration of silicon takes 63 fs
FRICTION = 0.01  # 1/fs, of the Langevin thermostat: velocities are forgotten after 100 fs
STRIDE = 100  # steps between two frames: 200 fs
EQUILIBRATION = 3000  # fs; another 3000 fs to melt, where needed
SLOTS = 20  # places for neighbours of an atom in molecular dynamics; a liquid atom has about 10, at most 16


def stillinger_weber(
    element: str, n: int, temperatures=(300, 1000), seed: int = 0, cells=(2, 2, 2)
) -> list[Atoms]:
    """Frames of Stillinger-Weber molecular dynamics: energy, forces, stress, momenta.

    One Langevin trajectory (BAOAB, 2 fs, friction 0.01/fs) per temperature, all at once, in a fixed cube of diamond lattice.
    It starts from the crystal. Above the model's melting temperature (`elements.ELEMENTS`: 1691 K for Si, but about 2900 K for Ge)
    it is first molten for 3 ps at twice that, so the liquid has the density of the crystal, which is below its own:
    expect tension. All equilibrate for 3 ps; frames are 200 fs apart. Frames alternate between the temperatures, so the first
    of them are as evenly spread as all of them.

    `info` has temperature (K, of the thermostat), phase, time (fs since equilibration), step, element, group ("MD") and source.

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
    if temperatures.ndim != 1 or not len(temperatures) or not np.all((temperatures > 0) & (temperatures < np.inf)):
        raise ValueError(f"temperatures must be positive numbers in K, not {temperatures.tolist()}")
    if np.shape(cells) != (3,) or any(int(c) != c or c < 2 for c in cells):
        raise ValueError(f"cells must be three integers of at least 2, not {cells}: smaller boxes are below twice the cutoff")

    import jax
    import jax.numpy as jnp
    from jax_md import simulate, space

    crystal = bulk(row.symbol, "diamond", a=row.lattice_constant, cubic=True).repeat([int(c) for c in cells])
    temperatures = temperatures[:n]
    liquid = temperatures > row.melting_temperature
    kT = units.kB * temperatures
    hot = units.kB * np.where(liquid, np.maximum(2 * row.melting_temperature, temperatures), temperatures)

    # In float32, a pair just inside the cutoff can round to r = a, where exp(1 / (r - a)) is infinite: once in some ten
    # thousand steps of 64 atoms. Hence float64, for this block only.
    with jax.enable_x64(True):
        energy = _stillinger_weber_energy(row.symbol)
        cell, strain = jnp.asarray(crystal.cell.array), jnp.zeros((3, 3))

        def force(positions):
            slots, _ = _nearest(positions, cell, row.cutoff)
            return -jax.grad(energy)(positions, strain, cell, slots)

        init, step = simulate.nvt_langevin(
            force, space.free()[1], dt=TIMESTEP * units.fs, kT=0.0, gamma=FRICTION / units.fs
        )

        def one_step(_, carry):
            state, crowd, kT = carry
            state = step(state, kT=kT)
            return state, jnp.maximum(crowd, _nearest(state.position, cell, row.cutoff)[1]), kT

        @jax.jit
        @jax.vmap
        def advance(state, kT):  # STRIDE steps of all trajectories
            state, crowd, _ = jax.lax.fori_loop(0, STRIDE, one_step, (state, 0, kT))
            return state, crowd

        keys = jax.random.split(jax.random.key(seed), len(temperatures))
        start = jax.vmap(lambda key, kT: init(key, jnp.asarray(crystal.positions), mass=row.mass, kT=kT))
        state, crowds, frames, steps = start(keys, hot), [], [], 0
        pause = round(EQUILIBRATION / TIMESTEP / STRIDE)
        for _ in range(pause if liquid.any() else 0):
            state, crowd = advance(state, hot)
            crowds.append(crowd)
        for chunk in range(-pause, -(-n // len(temperatures))):
            state, crowd = advance(state, kT)
            crowds.append(crowd)
            if chunk < 0:
                continue
            positions, momenta = np.asarray(state.position), np.asarray(state.momentum)
            for t, temperature in enumerate(temperatures):
                atoms = crystal.copy()
                atoms.positions = positions[t]
                atoms.set_momenta(momenta[t])
                atoms.wrap()
                atoms.info = {
                    "source": "stillinger-weber",
                    "element": row.symbol,
                    "group": "MD",
                    "phase": "liquid" if liquid[t] else "crystal",
                    "temperature": float(temperature),
                    "step": (chunk + 1) * STRIDE,
                    "time": (chunk + 1) * STRIDE * TIMESTEP,
                }
                frames.append(atoms)

    if np.max(crowds) > SLOTS or not np.all(np.isfinite(positions)):
        raise RuntimeError(
            f"molecular dynamics of {row.symbol} at {temperatures.max():g} K went wrong (up to {np.max(crowds)} neighbours, "
            f"{SLOTS} expected): lower the temperature"
        )
    calculator = stillinger_weber_calculator(row.symbol)
    for atoms in frames[:n]:
        calculator.calculate(atoms)
        atoms.calc = SinglePointCalculator(atoms, **calculator.results)
    return frames[:n]


def stillinger_weber_calculator(element: str) -> Calculator:
    """ASE calculator of the Stillinger-Weber potential: energy, free_energy (eV), forces (eV/Å), stress (eV/Å^3).

    In float64, whatever jax is set to. Any cell: one that is too small for its cutoff is repeated, and the results are
    those of one cell. Periodic in all, some or no directions; stress needs all three. Compiled once for a number of
    atoms, then reused while atoms and cell move.

    Raises:
        ValueError: unknown element; from the calculator: atoms of another element, or a periodic direction without length.
        PropertyNotImplementedError: from the calculator: stress of atoms that are not periodic in three directions.
    """
    return _StillingerWeber(_element(element).symbol)


class _StillingerWeber(Calculator):
    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, symbol):
        super().__init__()
        self.row, self.evaluate, self.slots = _element(symbol), _stillinger_weber_evaluate(symbol), 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if others := set(atoms.symbols) - {self.row.symbol}:
            raise ValueError(f"this Stillinger-Weber calculator knows {self.row.symbol} alone, these atoms are {', '.join(sorted(others))} too")
        if "stress" in properties and not atoms.pbc.all():
            raise PropertyNotImplementedError("stress needs atoms that are periodic in three directions")
        import jax

        large, copies = _large_enough(atoms, self.row.cutoff)
        slots = _slots(large, self.row.cutoff, self.slots)
        self.slots = slots.shape[1]  # never fewer again: every new shape is compiled anew
        with jax.enable_x64(True):
            energy, forces, stress = map(np.asarray, self.evaluate(large.positions, large.cell.array, slots))
        self.results = {"energy": float(energy) / copies, "free_energy": float(energy) / copies, "forces": forces[: len(atoms)]}
        if atoms.pbc.all():
            self.results["stress"] = stress


def _large_enough(atoms: Atoms, cutoff: float) -> tuple[Atoms, int]:
    """The same atoms in a fully periodic cell whose every height exceeds two cutoffs, and how many copies of them it holds.

    Then the nearest image of an atom is the only one in reach, which is what jax-md takes for granted.
    """
    large = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array * atoms.pbc[:, None], pbc=True)
    if np.linalg.matrix_rank(large.cell.array, tol=1e-6) < atoms.pbc.sum():
        raise ValueError("a direction is periodic but has no cell vector of its own: give the atoms a cell, or set pbc to False")
    if not atoms.pbc.all():  # vacuum: as long as the atoms plus more than two cutoffs, across the periodic directions
        normal = complete_cell(large.cell.array)
        extent = np.ptp(large.positions @ normal.T, axis=0)
        large.set_cell(np.where(atoms.pbc[:, None], large.cell.array, normal * (extent + 2.1 * cutoff)[:, None]))
    heights = 1 / np.linalg.norm(np.linalg.inv(large.cell.array), axis=0)
    repeats = np.floor(2 * cutoff / heights + 1e-6).astype(int) + 1
    return large.repeat(repeats), int(np.prod(repeats))


def _slots(atoms: Atoms, cutoff: float, at_least: int) -> np.ndarray:
    """Neighbours of each atom [N, K], filled up with N; K is a multiple of 8."""
    i, j = vesin.ase_neighbor_list("ij", atoms, cutoff)
    order = np.argsort(i, kind="stable")
    i, j = i[order], j[order]
    count = np.bincount(i, minlength=len(atoms))
    slots = np.full((len(atoms), max(at_least, 8 * -(-count.max() // 8), 8)), len(atoms), np.int32)
    slots[i, np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)] = j
    return slots


def _nearest(positions, cell, cutoff):
    """The same as `_slots` with K = SLOTS, but for jax, and the number of neighbours of the atom which has most."""
    import jax.numpy as jnp
    from jax import lax

    squared = jnp.sum(_nearest_image(positions[:, None], positions[None], cell) ** 2, axis=-1)
    distance = jnp.where(jnp.eye(len(positions), dtype=bool), jnp.inf, jnp.sqrt(squared))
    near, index = lax.top_k(-distance, min(SLOTS, len(positions)))
    return jnp.where(-near < cutoff, index, len(positions)), jnp.max(jnp.sum(distance < cutoff, axis=1))


def _nearest_image(a, b, cell, strain=0.0):
    """a - b of two atoms, or of the images nearest to each other, in a cell which is then strained."""
    import jax.numpy as jnp

    away = a - b
    away = away - jnp.round(away @ jnp.linalg.inv(cell)) @ cell
    return away + away @ (strain * jnp.ones((3, 3)))


@functools.cache
def _stillinger_weber_energy(symbol: str):
    """energy(positions [N, 3], strain [3, 3], cell [3, 3], slots [N, K]) -> eV, by jax-md."""
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
        neighbor_list_fn=lambda *args, **kwargs: None,  # slots come from us
    )

    def total(positions, strain, cell, slots):
        neighbor = SimpleNamespace(format=partition.Dense, idx=slots)
        return potential(positions, neighbor, cell=cell, strain=strain)

    return total


@functools.cache
def _stillinger_weber_evaluate(symbol: str):
    """(positions, cell, slots) -> energy [], forces [N, 3], stress [6] in ASE's sign and order."""
    import jax
    import jax.numpy as jnp

    energy = jax.value_and_grad(_stillinger_weber_energy(symbol), argnums=(0, 1))

    @jax.jit
    def evaluate(positions, cell, slots):
        total, (gradient, virial) = energy(positions, jnp.zeros((3, 3)), cell, slots)
        stress = (virial + virial.T) / 2 / jnp.abs(jnp.linalg.det(cell))
        return total, -gradient, stress[jnp.array([0, 1, 2, 1, 0, 0]), jnp.array([0, 1, 2, 2, 2, 1])]

    return evaluate


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
