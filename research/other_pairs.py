"""Do findings on silicon and germanium hold for other pairs? Temperatures, and stability.

    python -m research.sweep other-pairs     about half a minute a run; stopped, it does the rest

Silicon learns from germanium, and tin from silicon, by DFT and in bonds of silicon, as in
research.similarity. Trainings have structures of all groups, warm crystals and strained cells
alone, or liquids alone. A row says

    phases     force MAE of crystals and of liquids among the test structures, in meV/Å
    trials     what became of molecular dynamics at some fractions of the melting temperature

A trial compares pairs of atoms with those of a reference (tlmlp.course.stability): molecular
dynamics of a network that was trained on all structures of the target itself, the method "own". Its
own trials, with another seed, show what a trial can tell. The DFT structures themselves are no
reference: a silicon potential moved them, and tin is softer. Lengths are in bonds of silicon, so
times are not the target's own, and structures are.
"""

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from tlmlp import Potential, allocator, datasets, simulate
from tlmlp.course import stability
from tlmlp.course.runs import Run, of_phase, train
from tlmlp.course.sources import NATURE
from tlmlp.recipes import circumstances

from . import similarity
from .similarity import BONDS, file_of, known

PAIRS = {"Si": "Ge", "Sn": "Si"}  # target: source
MELTING = NATURE | {"Sn": 505.0}  # K
FRACTIONS = (0.5, 0.9, 1.5, 2.0)  # of it
N, SEEDS, TRIAL, REFERENCE = 16, 5, 3.0, 6.0  # structures; ps of a trial, and of its reference
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
def reference(target: str, fraction: float, folder: Path) -> stability.Reference:
    """Pairs of atoms at a fraction of the melting temperature, by the target's own network.

    The first ps is left out. The volume is that of the perfect crystal, or of DFT's liquids.
    """
    frames = [
        atoms
        for atoms in sum(known(target), [])
        if atoms.info["group"] in ("Solid", "Liquid")
        and abs(atoms.info["temperature"] / MELTING[target] - fraction) < 0.01
    ]
    phase, T = frames[0].info["phase"], fraction * MELTING[target]
    start = bulk(target, "diamond", a=4 * BONDS["Si"] / 3**0.5, cubic=True).repeat(2)
    if phase == "liquid":
        per_atom = np.mean([atoms.get_volume() / len(atoms) for atoms in frames])
        last = frames[-1]
        start = Atoms([target] * len(last), last.positions, cell=last.cell, pbc=True)
        start.set_cell(np.eye(3) * (per_atom * len(last)) ** (1 / 3), scale_atoms=True)
    own = Potential.load(file_of(dict(source=target), folder))
    steps = dict(steps=round(1000 * REFERENCE / stability.TIMESTEP), every=stability.EVERY)
    run = simulate.nvt(own, start, T, timestep_fs=stability.TIMESTEP, seed=SEEDS, **steps)
    seen = [stability.neighbours(start, s.positions) for s in run if s.time_fs > 1000]
    n, nearest = zip(*seen)
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
        trial = stability.trial(potential, reference(target, fraction, folder), TRIAL, task["seed"])
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
