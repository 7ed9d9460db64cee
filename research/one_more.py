"""Does one structure of high energy mend softness, and must it be the farthest from what was seen?

    python -m research.sweep one-more     half a minute a row; stopped, it does the rest later

Deng et al. (arXiv 2405.07105) mend the soft forces of universal potentials with one structure of
high energy. Here potentials of the course are trained on ten warm crystals, and with one structure
more. It is 0.2 eV/atom or more above the lowest, so a liquid or hotter, and is drawn `random`, or
is the `farthest` from the ten in the features of silicon's network. With the pick "crystal" it is
an eleventh warm crystal. Half of the training structures, chosen by the seed, are candidates. A row
has errors on test structures, and `softening` as those of universal potentials: {"all" or a group:
[s, R², ...]}.
"""

import time
from pathlib import Path

import numpy as np
from ase import Atoms

from tlmlp import allocator, properties
from tlmlp.course.choices import choose, described, shapes_of, trained
from tlmlp.course.sources import data
from tlmlp.recipes import circumstances

from .rows import three

METHODS, PICKS = ("scratch", "transfer"), ("crystal", "random", "farthest")
SEEDS, N = 5, 10
HIGH = 0.2  # eV/atom above the lowest of the training structures


def tasks() -> list[dict]:
    """One a training."""
    kinds = [(seed, method, pick) for seed in range(SEEDS) for method in METHODS for pick in PICKS]
    return [dict(method=m, pick=p, n=N + 1, seed=s, steps=800) for s, m, p in kinds]


def pool(seed: int) -> list[int]:
    """Numbers, among germanium's training structures, of half of those of high energy."""
    energies = np.array([a.get_potential_energy() / len(a) for a in data("dft", "Ge")[0]])
    high = np.flatnonzero(energies > energies.min() + HIGH)
    return sorted(map(int, np.random.default_rng(seed).permutation(high)[: len(high) // 2]))


def picked(pick: str, seed: int) -> tuple[list[Atoms], Atoms]:
    """(ten warm crystals, the structure that joins them)."""
    eleven = choose("calm", N + 1, seed)
    ten, known = eleven[:N], data("dft", "Ge")[0]
    if pick == "crystal":
        return ten, eleven[N]
    numbers = pool(seed)
    if pick == "random":
        return ten, known[int(np.random.default_rng(seed).choice(numbers))]
    points, names = described("dft"), [atoms.info["name"] for atoms in known]
    own = points[[names.index(atoms.info["name"]) for atoms in ten]]
    away = [np.linalg.norm(own - points[k], axis=1).min() for k in numbers]
    return ten, known[numbers[int(np.argmax(away))]]


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task."""
    allocator.prepare()
    started = time.perf_counter()
    ten, one = picked(task["pick"], task["seed"])
    potential = trained(task["method"], [*ten, one], task["seed"], "dft", task["steps"])
    test = data("dft", "Ge")[1]
    shapes = shapes_of("dft", potential.elements, potential.config.cutoff)
    force, rmse, energy = three(potential.evaluate(test, shapes))
    row = task | dict(force_mae=force, force_rmse=rmse, energy_rmse=energy)
    row |= dict(structure=one.info["name"], softening=slopes(test, potential.predict(test)))
    return row | circumstances(started, "tlmlp")


def slopes(frames: list[Atoms], predicted: list[Atoms]) -> dict[str, list[float]]:
    """{"all" or a group: [s, R², s', error of s, frames, q, error of q]} of forces."""
    s = properties.softening(frames, predicted)
    moving = {g: x for g, x in s.groups.items() if np.isfinite(x.slope)}
    return {g: [round(x, 4) for x in own] for g, own in ({"all": s.overall} | moving).items()}
