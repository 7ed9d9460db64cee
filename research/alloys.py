"""Networks of both elements, trained with few or many alloys: what they need of these.

    python -m research.sweep alloys      two minutes a run; stopped, the same command does the rest

A row says the errors on test structures of silicon, of germanium and of alloys. Each network sees
all training structures of both elements, and some alloys.
"""

import time
from pathlib import Path

from tlmlp import Config, Potential, allocator, datasets, fit, graph
from tlmlp.recipes import circumstances
from tlmlp.sweep import BEGIN, END

SIZES, SEEDS, STEPS = (0, 90, 10, 30), 3, 12000
SETS = ("Si", "Ge", "SiGe")
PARTS = ("train", "test")


def tasks() -> list[dict]:
    """One a number of alloys and seed, the most telling first."""
    each = [(n, seed) for seed in range(SEEDS) for n in SIZES]
    return [dict(method="scratch", alloys=n, seed=seed, steps=STEPS) for n, seed in each]


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task: for each of SETS force MAE (meV/Å) and energy RMSE (meV/atom)."""
    allocator.prepare()
    started, elements = time.perf_counter(), ("Si", "Ge")
    frames = {(e, part): datasets.dft(e, part) for e in SETS for part in PARTS}
    config = Config("course")
    shapes = graph.shapes_of(sum(frames.values(), []), elements, config.cutoff)
    train = frames["Si", "train"] + frames["Ge", "train"]
    if task["alloys"]:
        train += datasets.subset(frames["SiGe", "train"], task["alloys"], task["seed"])
    potential = Potential.create(config, elements, task["seed"])
    how = dict(steps=task["steps"], seed=task["seed"], average=0.999, shapes=shapes)
    how |= dict(weights=BEGIN, final_weights=END, report_every=task["steps"])
    *_, last = fit(potential, train, **how)
    row = dict(task)
    for name in SETS:
        errors = last.potential.evaluate(frames[name, "test"], shapes)
        row[name] = [round(errors.force_mae, 2), round(errors.energy_rmse, 2)]
    return row | circumstances(started, "tlmlp")
