"""Which structures to label? Equally many of germanium, chosen in different ways.

    python -m research.sweep diversity     stopped, the same command does the rest

A row is one training on `n` structures of a source, chosen by `choice` (tlmlp.course.choices).
`method` is "linear" (tlmlp.linear), "scratch" or "transfer" (the course's network, 800 steps); a
committee that chooses is one of the same method. `force_mae` is that of all test structures in
meV/Å, `groups` that of each group of them.
"""

import time
from collections import Counter
from pathlib import Path

from tlmlp import allocator
from tlmlp.course.choices import ALGORITHMS, CHOICES, choose, group_of, shapes_of, trained
from tlmlp.course.sources import COURSE, data
from tlmlp.recipes import circumstances

from .rows import three

SIZES, SEEDS = (10, 40), 5


def tasks() -> list[dict]:
    """One a training, the most telling first; there are 20 strained crystals, by DFT alone."""
    return [
        dict(source=source, choice=choice, method=method, n=n, seed=seed)
        for source in COURSE
        for seed in range(SEEDS)
        for n in SIZES
        for choice in CHOICES
        for method in ALGORITHMS
        if choice != "strained" or (source, n) == ("dft", 10)
    ]


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task."""
    allocator.prepare()
    started, source, seed = time.perf_counter(), task["source"], task["seed"]
    test = data(source, "Ge")[1]
    fitted = choose(task["choice"], task["n"], seed, source, task["method"])
    potential = trained(task["method"], fitted, seed, source)
    shapes = shapes_of(source, potential.elements, potential.config.cutoff)
    of = lambda frames: three(potential.evaluate(frames, shapes))
    kinds = sorted({*map(group_of, test)})
    groups = {kind: of([a for a in test if group_of(a) == kind])[0] for kind in kinds}
    force, rmse, energy = of(test)
    row = task | dict(force_mae=force, force_rmse=rmse, energy_rmse=energy, groups=groups)
    row |= dict(structures=dict(Counter(map(group_of, fitted))))
    return row | circumstances(started, "tlmlp")
