"""Run a universal potential on the course's structures, in an environment of its own (README.md).

python -m research.universal predict chgnet-0.3.0        energies and forces of DFT structures
python -m research.universal properties chgnet-0.3.0     a row for silicon and one for germanium
python -m research.universal cost chgnet-0.3.0           a row: seconds of a call
"""

import json
import os
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import safetensors.numpy
import typer

from tlmlp import Potential, datasets, properties
from tlmlp.course.results import SHIPPED
from tlmlp.course.universals import FOLDER
from tlmlp.files import write_whole
from tlmlp.frames import fingerprint
from tlmlp.recipes import circumstances

from .models import MODELS

app = typer.Typer(add_completion=False, no_args_is_help=True)
Name = Annotated[str, typer.Argument(help=", ".join(MODELS))]
Weights = Annotated[Path | None, typer.Option(help="file of weights, for Nequix")]
SETS = ("Ge-test", "Si-test", "Ge-train", "Si-train")
STRAINS = (0.005, 0.01)
MEASURED = ("lattice_constant", "c11", "c12", "c44", "c44_clamped")
MEASURED += ("phonon_gamma", "phonon_x_low", "vacancy_unrelaxed", "vacancy")


def calculator_of(name, weights=None):
    """One of MODELS, or a potential of the course."""
    known = name in MODELS
    return MODELS[name].make(weights) if known else Potential.load(name).calculator()


def append(table, row):
    """A row at the end of a table that ships."""
    with open(SHIPPED / f"{table}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def evaluate(calculator, frames):
    """(energies [frames], forces [atoms of all frames, 3]) of a calculator."""
    energies, forces = [], []
    for atoms in frames:
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    return np.array(energies, float), np.concatenate(forces).astype(np.float32)


@app.command()
def predict(
    name: Name,
    weights: Weights = None,
    only: Annotated[list[str] | None, typer.Option(help=f"some of {', '.join(SETS)}")] = None,
) -> None:
    """Energies and forces of sets of DFT structures, as a file that ships."""
    only = only or list(SETS[:2])
    calculator, model, started = MODELS[name].make(weights), MODELS[name], time.perf_counter()
    tensors, sets = {}, {}
    for key in only:
        frames = datasets.dft(*key.split("-"))
        sets[key] = fingerprint(frames)
        tensors[f"{key}/energy"], tensors[f"{key}/forces"] = evaluate(calculator, frames)
    head = model._asdict() | dict(name=name, sets=sets)
    words = [name, *([f"--weights {weights.name}"] if weights else ())]
    words += [f"--only {key}" for key in only]
    head["make"] = f"python -m research.universal predict {' '.join(words)}"
    head |= circumstances(started, "tlmlp", "ase", "numpy", model.package)
    if model.package != "nequix":
        head["versions"]["torch"] = metadata.version("torch")
    data = safetensors.numpy.save(tensors, metadata={"universal": json.dumps(head)})
    write_whole(FOLDER / f"{name}.safetensors", data)


@app.command(name="properties")
def measured(name: Name, weights: Weights = None) -> None:
    """Elastic constants at two strains, vacancy and phonons of both crystals, as rows."""
    for element in ("Ge", "Si"):
        started, calculator = time.perf_counter(), calculator_of(name, weights)
        values, notes = {}, {}
        for found in properties.measure(calculator, element, only=MEASURED):
            values[found.name] = found.value and float(f"{found.value:.5g}")
            notes |= {found.name: found.note} if found.note else {}
        crystal = properties.crystal(element, "diamond", values["lattice_constant"])
        strained = {}
        for strain in STRAINS:
            c = properties.elastic(crystal, calculator, strain, cubic=True)
            strained[strain] = [round(x, 2) for x in (c.c11, c.c12, c.c44, c.c44_clamped)]
        row = dict(model=name, element=element, properties=values, notes=notes, elastic=strained)
        packages = ("tlmlp", "ase", "phonopy", *(MODELS[name].package,) * (name in MODELS))
        append("universal-properties", row | circumstances(started, *packages))


@app.command()
def cost(name: Name, weights: Weights = None) -> None:
    """Seconds of a call on 64 atoms of germanium, on one core, as a row."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    started, calculator, wall, cpu = time.perf_counter(), calculator_of(name, weights), [], []
    for atoms in [atoms for atoms in datasets.dft("Ge", "test") if len(atoms) == 64][:20]:
        before = time.perf_counter(), time.process_time()
        evaluate(calculator, [atoms])
        wall.append(time.perf_counter() - before[0])
        cpu.append(time.process_time() - before[1])
    row = dict(model=name, wall_s=round(median(wall), 4), cpu_s=round(median(cpu), 4), calls=20)
    append("universal-cost", row | circumstances(started, "tlmlp"))


if __name__ == "__main__":
    app()
