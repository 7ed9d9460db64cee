"""Distil a universal potential: structures of silicon and germanium, its labels, a DimeNet++.

    python -m research.universal.distill label FOLDER nequix-oam-1 --weights FILE
    python -m research.universal.distill train FOLDER course

`label` makes trajectories by the recipe of research/dft/generate.py and labels their structures;
several processes may run, and it goes on with what is there. `train` fits a network to them and
writes tlmlp/weights/sige-distilled-course.safetensors; stopped, it goes on.

No label of DFT takes part. The errors in the header are against DFT of the test sets, and against
the teacher on trajectories held out.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Annotated

import ase.io
import numpy as np
import typer
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers

from tlmlp import Potential, allocator, datasets, fit, recipes
from tlmlp.potential import WEIGHTS
from tlmlp.sweep import BEGIN, END

from ..dft import generate
from .models import MODELS

app = typer.Typer(add_completion=False, no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="of trajectories, a file each")]
ELEMENTS = ("Si", "Ge")
TRAJECTORIES = 360  # of both elements
FRAMES, SPACING = 8, 100  # of a trajectory; steps of 2 fs, each with new velocities
HELD_OUT = 11  # every 11th trajectory of an element; kinds have a period of 15, so all are met
STEPS = {"course": 128000, "paper": 64000}


def trajectory(element: str, index: int) -> list[Atoms]:
    """Up to `FRAMES` structures without labels, of the kind and temperature of number `index`.

    Those with two atoms closer than 0.63 of a bond are left out.
    """
    kind, reduced, _ = generate.recipe("train", index)
    (silicon, hot), (lattice, melting) = generate.ELEMENTS["Si"], generate.ELEMENTS[element]
    rng = np.random.default_rng([2502, atomic_numbers[element], index])
    atoms = bulk("Si", "diamond", a=silicon, cubic=True).repeat(2)
    if kind == "Vacancy":
        del atoms[rng.integers(len(atoms))]
    strain = generate.strain_of(kind, reduced, rng)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    at_rest, out = atoms.positions.copy(), []
    for k in range(FRAMES):
        try:
            if k == 0 or reduced is None:
                atoms.positions = at_rest
                generate.settle(atoms, reduced, rng)
            else:
                generate.dynamics(atoms, reduced * hot, SPACING, rng)
            frame = generate.of_element(atoms, [element] * len(atoms), lattice / silicon)
        except FloatingPointError:  # atoms that came together
            continue
        frame.info = dict(group=kind, name=f"{element}-{index:03d}-{k}")
        frame.info |= dict(temperature=None if reduced is None else round(reduced * melting, 2))
        out.append(frame)
    return out


def labelled(frames: list[Atoms], calculator: Calculator) -> list[Atoms]:
    """The frames with the calculator's energy, forces and stress."""
    for atoms in frames:
        atoms.calc = calculator
        labels = dict(energy=float(atoms.get_potential_energy()))
        labels |= dict(forces=atoms.get_forces(), stress=atoms.get_stress())
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return frames


def files(folder: Path, trajectories: int) -> list[tuple[str, int, Path]]:
    """(element, index, file) of each trajectory, elements in turn."""
    pairs = [(ELEMENTS[k % 2], k // 2) for k in range(trajectories)]
    return [(element, k, folder / f"{element}-{k:03d}.extxyz") for element, k in pairs]


@app.command()
def label(
    folder: Folder,
    name: Annotated[str, typer.Argument(help=", ".join(MODELS))],
    weights: Annotated[Path | None, typer.Option(help="file of weights, for Nequix")] = None,
    trajectories: int = TRAJECTORIES,
) -> None:
    """Make and label what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (teacher := folder / "teacher").touch()
    if (then := teacher.read_text()) not in ("", name):
        raise typer.BadParameter(f"{folder} holds labels of {then}: give another folder")
    teacher.write_text(name)
    calculator = MODELS[name].make(weights)
    for element, index, path in files(folder, trajectories):
        with open(path.with_suffix(".lock"), "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process has it
                continue
            if not path.exists():
                started = time.perf_counter()
                frames = labelled(trajectory(element, index), calculator)
                ase.io.write(part := path.with_suffix(".part"), frames, format="extxyz")
                part.rename(path)
                seconds = time.perf_counter() - started
                print(f"{path.stem}: {len(frames)} structures, {seconds:.0f} s", flush=True)


def read(folder: Path, trajectories: int) -> tuple[list[Atoms], list[Atoms]]:
    """(train, valid) of the trajectories: those held out share none with the others."""
    train, valid = [], []
    for _, index, path in files(folder, trajectories):
        part = valid if index % HELD_OUT == HELD_OUT - 1 else train
        part += ase.io.read(path, ":") if path.stat().st_size else []
    return train, valid


def aligned(frames: list[Atoms], potential: Potential) -> list[Atoms]:
    """Copies whose energies have the potential's zero: the mean difference is taken off."""
    energies = np.array([atoms.get_potential_energy() for atoms in frames])
    sizes = np.array([len(atoms) for atoms in frames])
    found = np.array([atoms.get_potential_energy() for atoms in potential.predict(frames)])
    energies += sizes * np.mean((found - energies) / sizes)
    out = [atoms.copy() for atoms in frames]
    for atoms, known, energy in zip(out, frames, energies):
        labels = dict(forces=known.get_forces(), stress=known.get_stress())
        atoms.calc = SinglePointCalculator(atoms, energy=energy, **labels)
    return out


@app.command()
def train(
    folder: Folder,
    config: Annotated[str, typer.Argument(help=" or ".join(STEPS))] = "course",
    trajectories: int = TRAJECTORIES,
    steps: Annotated[int | None, typer.Option(help=f"[default: {STEPS}]")] = None,
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="file [default: the one that ships]")] = None,
) -> None:
    """Fit a network of random weights to the labels."""
    allocator.prepare()
    started, steps = time.perf_counter(), steps or STEPS[config]
    fitted, valid = read(folder, trajectories)
    how = dict(steps=steps, seed=seed, learning_rate=2e-3, average=0.999)
    start = Potential.create(config, ELEMENTS, seed)
    checkpoint = folder / f"{config}-{steps}-{seed}.checkpoint"
    losses = dict(weights=BEGIN, final_weights=END)
    for last in fit(start, fitted, valid, checkpoint=checkpoint, **losses, **how):
        if last.valid:
            print(f"{last.step}: {last.valid.force_mae:.1f} meV/Å on trajectories held out")
    model = MODELS[(folder / "teacher").read_text()]
    losses = {name: one._asdict() for name, one in losses.items()}
    about = dict(data=f"{model.words}:Si+Ge", config=config, **how, **losses)
    about |= dict(n=len(fitted), valid=len(valid), licence=model.licence)
    name, test = f"sige-distilled-{config}", {e: datasets.dft(e, "test") for e in ELEMENTS}
    info = recipes.header(name, about, last, aligned(test["Ge"], last.best), started)
    info |= dict(test_energies="less the mean difference: the zero of energy is the teacher's")
    info |= dict(command=f"python -m research.universal.distill train FOLDER {config}")
    teacher = model._asdict()
    del teacher["make"]
    info |= dict(teacher=teacher)
    info |= dict(teacher_force_mae=round(last.best.evaluate(valid).force_mae, 2))
    info |= dict(silicon_force_mae=round(last.best.evaluate(test["Si"]).force_mae, 2))
    last.best.replace(info=info).save(out or WEIGHTS / f"{name}.safetensors")


if __name__ == "__main__":
    # One thread, since several processes share the machine.
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    app()
