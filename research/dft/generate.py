"""Ab initio data of silicon and germanium: structures, labels by CP2K, and the files that ship.

    python research/dft/generate.py run OUT         compute; the same command again continues
    python research/dft/generate.py run OUT Sn --train 4 --test 1
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
ELEMENTS = {"Si": (5.469, 1687.0), "Ge": (5.784, 1211.0), "Sn": (6.655, 505.0)}

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


def recipe(split: str, index: int) -> tuple[str, float | None]:
    """Kind and reduced temperature of structure number `index`."""
    index += 7 * SPLITS.index(split)  # so that the two splits do not begin alike
    kind = PATTERN[index % 15]
    turn = index // 15 * PATTERN.count(kind) + PATTERN[: index % 15].count(kind)
    return kind, TEMPERATURES[kind][turn % len(TEMPERATURES[kind])]


def structure(element: str, split: str, index: int) -> Atoms:
    """One structure without labels; deterministic on one machine.

    Solid: linear strain within 2 %, the same along all axes. Liquid: 0.86 to 1.02 of the crystal's
    volume (the liquids are denser than their crystals, by 5 to 10 %). Strained: all six components
    within 6 %. Vacancy: 63 atoms, strain within 1 %. High energy: liquid at three times melting,
    0.75 to 1.05 of the volume; or a crystal whose atoms are displaced by normal deviates of 0.045
    lattice constants along each axis.
    """
    kind, reduced = recipe(split, index)
    lattice_constant, melting = ELEMENTS[element]
    silicon, silicon_melting = ELEMENTS["Si"]
    rng = np.random.default_rng([atomic_numbers[element], SPLITS.index(split), index])
    liquid = reduced is not None and reduced > 1

    atoms = bulk("Si", "diamond", a=silicon, cubic=True).repeat(2)
    if kind == "Vacancy":
        del atoms[rng.integers(len(atoms))]
    if liquid:
        low, high = (0.86, 1.02) if kind == "Liquid" else (0.75, 1.05)
        strain = (rng.uniform(low, high) ** (1 / 3) - 1) * np.eye(3)
    elif kind == "Strained":
        xx, yy, zz, yz, xz, xy = rng.uniform(-0.06, 0.06, 6)
        strain = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    else:
        strain = rng.uniform(-1, 1) * (0.01 if kind == "Vacancy" else 0.02) * np.eye(3)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)

    if reduced is None:
        atoms.positions += rng.normal(0, 0.045 * silicon, atoms.positions.shape)
    elif liquid:
        atoms.positions += rng.normal(0, 0.045 * silicon, atoms.positions.shape)
        _dynamics(atoms, 3.0 * silicon_melting, 250, rng)
        _dynamics(atoms, reduced * silicon_melting, 350, rng)
    else:
        atoms.positions += rng.normal(0, 0.035 * silicon * np.sqrt(reduced), atoms.positions.shape)
        _dynamics(atoms, reduced * silicon_melting, 300, rng)

    if neighbor_list("d", atoms, 1.5).size:  # closer than 0.63 of a bond: the potential has failed
        raise FloatingPointError("molecular dynamics brought two atoms together")

    scale = lattice_constant / silicon
    atoms = Atoms(
        [element] * len(atoms), atoms.positions * scale, cell=atoms.cell.array * scale, pbc=True
    )
    atoms.wrap()
    atoms.positions, cell = (
        atoms.positions.round(6),
        atoms.cell.array.round(8),
    )  # as they are stored
    atoms.set_cell(cell)
    atoms.info = dict(
        source="dft",
        element=element,
        group=kind,
        phase="liquid" if liquid else "crystal",
        temperature=None if reduced is None else round(reduced * melting, 2),
        name=f"{element}-{split}-{index:03d}",
    )
    return atoms


def _dynamics(atoms, temperature, steps, rng):
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
        protocol=cp2k.NAME,
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
            if atoms.info["protocol"] == cp2k.NAME and not done.exists():
                ase.io.write(done, atoms, format="extxyz")


def same_recipe(out: Path):
    """SystemExit where the folder was begun by another recipe: its structures would be mixed in."""
    drawn = [ELEMENTS, PATTERN, TEMPERATURES, SAMPLER, TIMESTEP, FRICTION]
    own = json.loads(json.dumps(dict(protocol=cp2k.PROTOCOL | dict(name=cp2k.NAME), drawn=drawn)))
    path = out / "recipe.json"
    then = json.loads(path.read_text()) if path.exists() else own
    if other := [key for key in own if then.get(key) != own[key]]:
        sys.exit(f"{out} was begun with another {' and '.join(other)}: give another folder")
    part = out / f"recipe.json.{os.getpid()}.{threading.get_ident()}"
    part.write_text(json.dumps(own, indent=1) + "\n")
    part.rename(path)


def run(out: Path, jobs, say=print):
    """Compute what is missing. The lock on a structure's file ends with the process that has it."""
    out.mkdir(parents=True, exist_ok=True)
    same_recipe(out)
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
    """Pack every structure that all elements have; index.json has the checksums."""
    SHIPPED.mkdir(parents=True, exist_ok=True)
    index = dict(protocol=cp2k.PROTOCOL | dict(name=cp2k.NAME), files={})
    for split in SPLITS:
        numbers = [
            {int(p.stem.split("-")[2]) for p in out.glob(f"{e}-{split}-*.extxyz")} for e in elements
        ]
        common = sorted(set.intersection(*numbers))
        for element in elements:
            text = io.StringIO()
            for i in common:
                atoms = ase.io.read(out / f"{element}-{split}-{i:03d}.extxyz")
                atoms.info.pop("scf_steps", None)
                atoms.info["seconds"] = round(float(atoms.info["seconds"]))
                results = atoms.calc.results
                results["forces"], results["stress"] = (
                    results["forces"].round(5),
                    results["stress"].round(8),
                )
                results["energy"] = round(results["energy"], 6)
                ase.io.write(text, atoms, format="extxyz")
            data = lzma.compress(_short(text.getvalue()).encode(), preset=9 | lzma.PRESET_EXTREME)
            path = SHIPPED / f"{element}-{split}.extxyz.xz"
            path.write_bytes(data)
            index["files"][path.name] = dict(
                frames=len(common), sha256=hashlib.sha256(data).hexdigest()
            )
            print(f"{path.name}: {len(common)} structures, {len(data) / 1e6:.2f} MB")
    (SHIPPED / "index.json").write_text(json.dumps(index, indent=1) + "\n")


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
    if unknown := set(arguments.elements) - set(ELEMENTS):
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
