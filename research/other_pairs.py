"""Do findings on silicon and germanium hold for other pairs? Temperatures, and stability.

    python -m research.sweep other-pairs     about half a minute a run; stopped, it does the rest

Silicon learns from germanium, and tin from silicon, by DFT and in bonds of silicon, as in
research.similarity. Trainings have structures of all groups, warm crystals and strained cells
alone, or liquids alone. A row says

    phases     force MAE of crystals and of liquids among the test structures, in meV/Å
    trials     what became of molecular dynamics at some fractions of the melting temperature

A trial compares pairs of atoms with those of DFT structures of this temperature, all brought to
one volume (tlmlp.course.stability). The method "own" is a network that was trained on all
structures of the target itself: it shows what a trial can tell. Lengths are in bonds of silicon, so
times are not the target's own, and structures are.
"""

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from tlmlp import Potential, allocator, datasets
from tlmlp.course import stability
from tlmlp.course.runs import Run, of_phase, train
from tlmlp.course.sources import NATURE
from tlmlp.recipes import circumstances

from . import similarity
from .similarity import BONDS, file_of, known

PAIRS = {"Si": "Ge", "Sn": "Si"}  # target: source
MELTING = NATURE | {"Sn": 505.0}  # K
FRACTIONS = (0.5, 0.9, 1.5, 2.0)  # of it
N, SEEDS, TRIAL = 16, 5, 3.0  # structures; ps of a trial
PHASES = (None, "crystal", "liquid")  # of the structures to train on


def tasks() -> list[dict]:
    """Networks of the sources first; then one a training."""
    names = dict.fromkeys([*PAIRS.values(), *PAIRS])
    out = [dict(method="source", source=name) for name in names]
    out += [dict(method="own", target=target, source=target, seed=0) for target in PAIRS]
    for seed in range(SEEDS):
        for target, source in PAIRS.items():
            for phase in PHASES:
                run = dict(target=target, phase=phase, n=N, seed=seed, steps=800)
                out.append(run | dict(method="scratch", source=None))
                out.append(run | dict(method="reduced", source=source))
    return out


@lru_cache
def reference(target: str, fraction: float) -> stability.Reference:
    """Pairs of a target's DFT structures at a fraction of its melting temperature."""
    frames = [
        atoms
        for atoms in sum(known(target), [])
        if atoms.info["group"] in ("Solid", "Liquid")
        and abs(atoms.info["temperature"] / MELTING[target] - fraction) < 0.01
    ]
    phase, perfect = frames[0].info["phase"], bulk("Si", "diamond", a=4 * BONDS["Si"] / 3**0.5)
    per_atom = perfect.get_volume() / 2
    if phase == "liquid":
        per_atom = np.mean([atoms.get_volume() / len(atoms) for atoms in frames])
    same = []
    for atoms in frames:
        atoms = Atoms([target] * len(atoms), atoms.positions, cell=atoms.cell, pbc=True)
        atoms.set_cell(np.eye(3) * (per_atom * len(atoms)) ** (1 / 3), scale_atoms=True)
        same.append(atoms)
    n, nearest = zip(*map(stability.neighbours, same))
    start = same[-1]
    if phase == "crystal":
        edge = (8 * per_atom) ** (1 / 3)
        start = bulk(target, "diamond", a=edge, cubic=True).repeat(2)
    T = fraction * MELTING[target]
    return stability.Reference(T, phase, np.mean(n, axis=0), min(nearest), start)


def perform(task: dict, folder: Path) -> dict:
    """The row of a task; `folder` keeps the networks of the sources."""
    allocator.prepare()
    if task["method"] == "source":
        return similarity.source_row(task, folder)
    started, target = time.perf_counter(), task["target"]
    test = known(target)[1]
    if task["method"] == "own":
        potential, shapes = Potential.load(file_of(task, folder)), 3
    else:
        potential, shapes = trained(task, folder)
    unit = BONDS["Si"] / BONDS[target]  # forces are again those of the target's own lengths
    of = lambda frames: round(unit * potential.evaluate(frames, shapes).force_mae, 2)
    phases = {p: [atoms for atoms in test if atoms.info["phase"] == p] for p in PHASES[1:]}
    row = task | dict(force_mae=of(test), phases={p: of(own) for p, own in phases.items()})
    row["trials"] = []
    for fraction in FRACTIONS:
        trial = stability.trial(potential, reference(target, fraction), TRIAL, task["seed"])
        kept = dict(phase=trial.phase, time_ps=trial.time_ps, failure=trial.failure)
        row["trials"].append(dict(fraction=fraction, **kept, apart=trial.apart))
    return row | circumstances(started, "tlmlp", "jax-md")


def trained(task: dict, folder: Path) -> tuple[Potential, list]:
    """(potential, shapes) after a training."""
    run = Run.of(task | dict(source="dft"))
    fitted = datasets.subset(of_phase(known(task["target"])[0], run.phase), run.n, run.seed)
    start, shapes = similarity.start_of(task, folder)
    *_, last = train(run, start(fitted), fitted, None, shapes)
    return last.potential, shapes
