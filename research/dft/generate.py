"""Ab initio data of silicon, germanium, tin, carbon and alloys: structures, labels of CP2K, files.

    python research/dft/generate.py run OUT         compute; the same command again continues
    python research/dft/generate.py run OUT C --train 61 --test 20
    python research/dft/generate.py run OUT SiGe --train 93 --test 31
    python research/dft/generate.py status OUT
    python research/dft/generate.py collect OUT     pack what is there into tlmlp/data/dft

The recipe is one for all elements: lengths in lattice constants, temperatures in melting
temperatures. Structures come from molecular dynamics of a silicon potential, each from a trajectory
of its own, and are then scaled to the element; only positions are taken from it. Structures are
computed in an order whose every beginning is a balanced data set. Several processes may run.
"""

import argparse
import fcntl
import hashlib
import io
import json
import lzma
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

sys.path.insert(0, str(Path(__file__).parent))
import cp2k

SHIPPED = Path(__file__).resolve().parents[2] / "tlmlp" / "data" / "dft"
SPLITS = ("train", "test")

# Lattice constant of diamond in PBE (Å) and experimental melting temperature (K): all that the
# recipe asks of an element.
ELEMENTS = {
    "Si": (5.469, 1687.0),
    "Ge": (5.784, 1211.0),
    "Sn": (6.655, 505.0),
    "C": (3.573, 4500.0),
}

ALLOYS = {"SiGe": ("Si", "Ge")}  # lengths and temperatures are linear in the composition

SAMPLER = "si-mlearn-course"  # its lattice constant is ELEMENTS["Si"][0]
TIMESTEP, FRICTION = 2.0, 0.02  # fs, 1/fs of the Langevin thermostat

# What structure number i is: 5 solids, 5 liquids, 2 vacancies, 2 strained, 1 of high energy in 15.
PATTERN = (
    "Solid",
    "Liquid",
    "Solid",
    "Liquid",
    "Vacancy",
    "Solid",
    "Liquid",
    "Strained",
    "Solid",
    "Liquid",
    "Vacancy",
    "Solid",
    "Liquid",
    "Strained",
    "High energy",
)
# Temperatures in melting temperatures, in turn.
TEMPERATURES = {
    "Solid": (0.2, 0.5, 0.8, 0.35, 0.65, 0.9),
    "Liquid": (1.05, 1.5, 1.25, 2.0),
    "Vacancy": (0.35, 0.65, 0.8),
    "Strained": (0.05, 0.3),
    "High energy": (3.0, None),  # None: displaced at random, without temperature
}
# Fractions of an alloy's second element, in turn. Ordered alloys repeat their cell of 8 atoms: 0.5
# is zincblende; 0.25 and 0.75 have one or three of the four sites of each face-centred lattice. The
# numbers of compositions and of temperatures have no common factor, so that all pairs are met.
HALVES = (("random", 0.5), ("random", 0.25), ("random", 0.75))
DILUTE = (("random", 1 / 64), ("random", 63 / 64))
COMPOSITIONS = {
    "Solid": (("ordered", 0.5), *HALVES, *DILUTE, ("ordered", 0.25)),
    "Liquid": HALVES,
    "Vacancy": (*HALVES, ("ordered", 0.5)),
    "Strained": (("ordered", 0.5), *HALVES, ("ordered", 0.75)),
    "High energy": HALVES,
}
# How far the bonds of an alloy go from the mean to their own length (0.7: Cai and Thorpe, Phys.
# Rev. B 46, 15872 (1992)). The sampler has one element and does not do it.
RELAXED = 0.7


def recipe(split: str, index: int) -> tuple[str, float | None, tuple[str, float]]:
    """Kind, reduced temperature, and an alloy's order and fraction, of structure number `index`."""
    index += 7 * SPLITS.index(split)  # so that the two splits do not begin alike
    kind = PATTERN[index % 15]
    turn = index // 15 * PATTERN.count(kind) + PATTERN[: index % 15].count(kind)
    in_turn = lambda choices: choices[turn % len(choices)]
    return kind, in_turn(TEMPERATURES[kind]), in_turn(COMPOSITIONS[kind])


def symbols(element: str, order: str, fraction: float, crystal: Atoms, rng) -> list[str]:
    """The element of each atom of `crystal`, 64 atoms of diamond."""
    first, second = ALLOYS.get(element, (element, element))
    if first == second:
        return [first] * len(crystal)
    if order == "random":
        chosen = rng.permutation(len(crystal)) < round(fraction * len(crystal))
    else:
        a = crystal.cell[0, 0] / 2
        quarters = np.rint(crystal.positions / a * 4).astype(int) % 4
        odd = quarters[:, 0] % 2 == 1  # of the second face-centred lattice
        site = np.array([tuple(q - o) == (0, 0, 0) for q, o in zip(quarters, odd)])
        chosen = {0.5: odd, 0.25: site, 0.75: ~site}[fraction]
    return [second if c else first for c in chosen]


def relaxation(crystal: Atoms, lengths: np.ndarray) -> np.ndarray:
    """The smallest displacements [N, 3] that bring all bonds to `lengths` [N, N], to first order.

    Of a crystal of diamond in the cell that it has; all in Å.
    """
    i, j, d, vector = neighbor_list("ijdD", crystal, 0.55 * crystal.cell[0, 0] / 2)
    rows = np.zeros((len(i), len(crystal), 3))
    number = np.arange(len(i))
    rows[number, j] += vector / d[:, None]
    rows[number, i] -= vector / d[:, None]
    flat = rows.reshape(len(i), -1)
    return np.linalg.lstsq(flat, lengths[i, j] - d, rcond=1e-8)[0].reshape(-1, 3)


def structure(element: str, split: str, index: int) -> Atoms:
    """One structure without labels; deterministic on one machine.

    Solid: linear strain within 2 %, the same along all axes. Liquid: 0.86 to 1.02 of the crystal's
    volume (the liquids are denser than their crystals, by 5 to 10 %). Strained: all six components
    within 6 %. Vacancy: 63 atoms, strain within 1 %. High energy: liquid at three times melting,
    0.75 to 1.05 of the volume; or a crystal whose atoms are displaced by normal deviates of 0.045
    lattice constants along each axis. Alloys: COMPOSITIONS; in crystals bonds go to their lengths.
    """
    kind, reduced, (order, fraction) = recipe(split, index)
    pair = ALLOYS.get(element, (element,))
    silicon, _ = ELEMENTS["Si"]
    seed = [*(atomic_numbers[symbol] for symbol in pair), SPLITS.index(split), index]
    rng = np.random.default_rng(seed)
    liquid = reduced is not None and reduced > 1

    atoms = bulk("Si", "diamond", a=silicon, cubic=True).repeat(2)
    of_atom = symbols(element, order, fraction, atoms, rng)
    share = np.mean([symbol == pair[-1] for symbol in of_atom])
    ends = np.array([ELEMENTS[pair[0]], ELEMENTS[pair[-1]]])
    lattice_constant, melting = ends[0] + share * (ends[1] - ends[0])
    own = np.array([ELEMENTS[symbol][0] for symbol in of_atom]) / lattice_constant
    lengths = 3**0.5 / 4 * silicon * (own[:, None] + own) / 2
    moved = RELAXED * relaxation(atoms, lengths) if len(pair) > 1 and not liquid else None
    if kind == "Vacancy":
        out = rng.integers(len(atoms))
        del atoms[out], of_atom[out]
        moved = None if moved is None else np.delete(moved, out, 0)
    strain = strain_of(kind, reduced, rng)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)

    settle(atoms, reduced, rng)
    if moved is not None:
        atoms.positions += moved

    atoms = of_element(atoms, of_atom, lattice_constant / silicon)
    atoms.info = dict(
        source="dft",
        element=element,
        group=kind,
        phase="liquid" if liquid else "crystal",
        temperature=None if reduced is None else round(reduced * melting, 2),
        name=f"{element}-{split}-{index:03d}",
    )
    if len(pair) > 1:
        atoms.info |= dict(order=order, fraction=round(float(share), 6))
    return atoms


def strain_of(kind, reduced, rng) -> np.ndarray:
    """The strain [3, 3] of a structure of some kind."""
    if reduced is not None and reduced > 1:
        low, high = (0.86, 1.02) if kind == "Liquid" else (0.75, 1.05)
        return (rng.uniform(low, high) ** (1 / 3) - 1) * np.eye(3)
    if kind == "Strained":
        xx, yy, zz, yz, xz, xy = rng.uniform(-0.06, 0.06, 6)
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return rng.uniform(-1, 1) * (0.01 if kind == "Vacancy" else 0.02) * np.eye(3)


def settle(atoms, reduced, rng):
    """Displace atoms of silicon's crystal, and bring them to a temperature, in place."""
    silicon, melting = ELEMENTS["Si"]
    if reduced is None or reduced > 1:
        atoms.positions += rng.normal(0, 0.045 * silicon, atoms.positions.shape)
        if reduced is not None:
            dynamics(atoms, 3.0 * melting, 250, rng)
            dynamics(atoms, reduced * melting, 350, rng)
    else:
        atoms.positions += rng.normal(0, 0.035 * silicon * np.sqrt(reduced), atoms.positions.shape)
        dynamics(atoms, reduced * melting, 300, rng)


def of_element(atoms, symbols, scale) -> Atoms:
    """A structure of silicon as one of other elements, lengths times `scale`, to stored digits.

    Raises FloatingPointError where two atoms are closer than 0.63 of a bond: the potential that
    moved them has failed.
    """
    if neighbor_list("d", atoms, 1.5).size:
        raise FloatingPointError("molecular dynamics brought two atoms together")
    atoms = Atoms(symbols, atoms.positions * scale, cell=atoms.cell.array * scale, pbc=True)
    atoms.wrap()
    atoms.positions, cell = atoms.positions.round(6), atoms.cell.array.round(8)
    atoms.set_cell(cell)
    return atoms


def dynamics(atoms, temperature, steps, rng):
    """Langevin dynamics, in place."""
    from ase.md.langevin import Langevin

    if atoms.calc is None:
        import tlmlp

        atoms.calc = tlmlp.Potential.load(SAMPLER).calculator()
    mass = atoms.get_masses()[:, None]
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(mass * units.kB * temperature))
    Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    ).run(steps)
    if not np.all(np.isfinite(atoms.positions)):
        raise FloatingPointError("molecular dynamics went wrong")


def order(elements, n_train: int, n_test: int) -> list[tuple[str, str, int]]:
    """(element, split, index) of all structures; elements, splits and kinds in turn."""
    jobs = []
    for i in range(max(n_train, n_test)):
        if i < n_train:
            jobs += [(element, "train", i) for element in elements]
        for m in range(
            i * n_test // max(n_train, 1), min(n_test, (i + 1) * n_test // max(n_train, 1))
        ):
            jobs += [(element, "test", m) for element in elements]
    return jobs


def label(atoms: Atoms, **changes) -> Atoms:
    """The same structure with energy, forces and stress by CP2K."""
    try:
        results = cp2k.compute(atoms, **changes)
    except cp2k.NotConverged:
        results = cp2k.compute(atoms, **changes | dict(alpha=0.1))
    atoms.calc = SinglePointCalculator(
        atoms, **{k: results[k] for k in ("energy", "forces", "stress")}
    )
    atoms.info |= dict(
        protocol=cp2k.name_of(atoms),
        entropy=round(results["entropy"], 6),
        scf_steps=results["scf_steps"],
        seconds=round(results["seconds"], 1),
    )
    return atoms


def unpack(out: Path):
    """Structures that ship, back into files of their own: they need not be computed again."""
    out.mkdir(parents=True, exist_ok=True)
    for path in SHIPPED.glob("*.extxyz.xz"):
        for atoms in ase.io.read(
            io.StringIO(lzma.decompress(path.read_bytes()).decode()), ":", format="extxyz"
        ):
            done = out / f"{atoms.info['name']}.extxyz"
            if atoms.info["protocol"] == cp2k.name_of(atoms) and not done.exists():
                ase.io.write(done, atoms, format="extxyz")


def same_recipe(out: Path, elements):
    """SystemExit where the folder was begun by another recipe: its structures would be mixed in."""
    alloys = [element for element in elements if element in ALLOYS]
    pure = {"Si", *elements, *(e for alloy in alloys for e in ALLOYS[alloy])} - {*alloys}
    drawn = [PATTERN, TEMPERATURES, SAMPLER, TIMESTEP, FRICTION]
    own = dict(protocol=cp2k.PROTOCOL | dict(name=cp2k.NAME), drawn=drawn)
    own |= {element: ELEMENTS[element] for element in sorted(pure)}
    own |= {f"{element}'s cutoff": cp2k.HARDER[element] for element in pure & {*cp2k.HARDER}}
    own |= dict(alloys=[ALLOYS, COMPOSITIONS, RELAXED]) if alloys else {}
    own, path = json.loads(json.dumps(own)), out / "recipe.json"
    then = json.loads(path.read_text()) if path.exists() else own
    if other := [key for key in own if then.get(key, own[key]) != own[key]]:
        sys.exit(f"{out} was begun with another {' and '.join(other)}: give another folder")
    part = out / f"recipe.json.{os.getpid()}.{threading.get_ident()}"
    part.write_text(json.dumps(then | own, indent=1) + "\n")
    part.rename(path)


def run(out: Path, jobs, say=print):
    """Compute what is missing. The lock on a structure's file ends with the process that has it."""
    out.mkdir(parents=True, exist_ok=True)
    same_recipe(out, {element for element, _, _ in jobs})
    for element, split, index in jobs:
        name = f"{element}-{split}-{index:03d}"
        done, failed = out / f"{name}.extxyz", out / f"{name}.failed"
        if done.exists() or failed.exists():
            continue
        lock = out / f"{name}.lock"
        with open(lock, "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if done.exists():  # finished by another between the two looks at it
                lock.unlink(missing_ok=True)
                continue
            started = time.perf_counter()
            try:
                atoms = label(structure(element, split, index))
                part = out / f"{name}.part"
                ase.io.write(part, atoms, format="extxyz")
                part.rename(done)
                spent = f"{atoms.info['seconds']:.0f} s of CP2K, "
                spent += f"{time.perf_counter() - started:.0f} s in all"
                now = time.strftime("%H:%M:%S")
                say(f"{now} {name} {atoms.info['group']}: {spent}", flush=True)
            except (RuntimeError, ValueError, FloatingPointError) as error:
                failed.write_text(f"{type(error).__name__}: {error}\n")
                say(f"{name} failed: {error}", flush=True)
            finally:
                lock.unlink(missing_ok=True)


def status(out: Path):
    """How many structures of each kind are there, what they cost, and what failed."""
    frames = [ase.io.read(path) for path in sorted(out.glob("*.extxyz"))]
    counts = Counter(
        (f.info["element"], f.info["name"].split("-")[1], f.info["group"]) for f in frames
    )
    for key, n in sorted(counts.items()):
        print(*key, n)
    seconds = [f.info["seconds"] for f in frames]
    hours, median = np.sum(seconds) / 3600, np.median(seconds)
    print(f"{len(frames)} structures, {hours:.2f} h of processor time, median {median:.0f} s")
    for path in out.glob("*.failed"):
        print(path.stem, "failed:", path.read_text().splitlines()[0])


def collect(out: Path, elements):
    """Pack every structure that all `elements` have; index.json has the checksums of all files."""
    SHIPPED.mkdir(parents=True, exist_ok=True)
    path = SHIPPED / "index.json"
    index = json.loads(path.read_text()) if path.exists() else dict(files={})
    index["protocol"] = cp2k.PROTOCOL | dict(name=cp2k.NAME, harder=cp2k.HARDER)
    for split in SPLITS:
        numbers = [
            {int(p.stem.split("-")[2]) for p in out.glob(f"{e}-{split}-*.extxyz")} for e in elements
        ]
        common = sorted(set.intersection(*numbers))
        for element in elements:
            frames = [ase.io.read(out / f"{element}-{split}-{i:03d}.extxyz") for i in common]
            for atoms in frames:
                atoms.info.pop("scf_steps", None)
                atoms.info["seconds"] = round(float(atoms.info["seconds"]))
            data = packed(frames)
            path = SHIPPED / f"{element}-{split}.extxyz.xz"
            path.write_bytes(data)
            index["files"][path.name] = dict(
                frames=len(common), sha256=hashlib.sha256(data).hexdigest()
            )
            print(f"{path.name}: {len(common)} structures, {len(data) / 1e6:.2f} MB")
    (SHIPPED / "index.json").write_text(json.dumps(index, indent=1) + "\n")


def packed(frames) -> bytes:
    """Labelled structures as they ship: extended XYZ, with the digits that mean something."""
    text = io.StringIO()
    for atoms in frames:
        results = atoms.calc.results
        results["forces"], results["stress"] = (
            results["forces"].round(5),
            results["stress"].round(8),
        )
        results["energy"] = round(results["energy"], 6)
        ase.io.write(text, atoms, format="extxyz")
    return lzma.compress(_short(text.getvalue()).encode(), preset=9 | lzma.PRESET_EXTREME)


def _short(text: str) -> str:
    """Columns without trailing zeros and spaces that say nothing."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 7 and words[0].isalpha():  # symbol, position, force
            line = " ".join(
                [words[0]] + [np.format_float_positional(float(w), trim="-") for w in words[1:]]
            )
        lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "status", "collect"))
    parser.add_argument("out", type=Path)
    parser.add_argument("elements", nargs="*", default=["Si", "Ge"])
    parser.add_argument("--train", type=int, default=150)
    parser.add_argument("--test", type=int, default=40)
    arguments = parser.parse_args()
    if unknown := set(arguments.elements) - {*ELEMENTS, *ALLOYS}:
        names = ", ".join(sorted(unknown))
        parser.error(f"{names}: add lattice constant and melting temperature to ELEMENTS first")
    if arguments.command == "run":
        # One thread, since several workers share the machine.
        os.environ.setdefault(
            "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        unpack(arguments.out)
        run(arguments.out, order(arguments.elements, arguments.train, arguments.test))
    elif arguments.command == "status":
        status(arguments.out)
    else:
        collect(arguments.out, arguments.elements)
