"""Which structures to label? Equally many of germanium, chosen in different ways.

    python -m research.sweep diversity     stopped, the same command does the rest

A row is one training on `n` structures of a source, chosen by `choice`:

    groups       in turn from all groups, as datasets.subset does
    random       each as likely as any other
    by hand      as many of each group as of any other
    farthest     each the farthest from those before, in the features of silicon's network
    committee    a fifth as `groups`; then a fifth at a time, those on whose forces three potentials
                 of the same algorithm, trained so far for 400 steps, disagree most
    calm         warm crystals alone ("Solid" by DFT)
    liquid       liquids alone
    calm, more   the same n as `calm`, and n others of all other groups: 2n structures

`method` is "linear" (tlmlp.linear, its penalty by a fifth of the structures), "scratch" or
"transfer" (the course's network, 800 steps). `force_mae` is that of all test structures in meV/Å,
`groups` that of each group of them. Features of a structure are means and standard deviations of
those of its atoms.
"""

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from ase import Atoms

from tlmlp import Potential, allocator, datasets, graph, linear, transfer
from tlmlp.course.runs import Run, train
from tlmlp.course.sources import COURSE, SOURCES, data
from tlmlp.course.transfer_checks import disagreement
from tlmlp.recipes import circumstances
from tlmlp.uncertainty import features

from .linear import CURVATURES, LONGER, scaled
from .rows import three

SIZES, SEEDS, MEMBERS, ROUNDS = (10, 40), 5, 3, 5
CHOICES = ("groups", "random", "by hand", "farthest", "committee", "calm", "liquid", "calm, more")
ALGORITHMS = ("linear", "scratch", "transfer")
PENALTIES = (*CURVATURES, 1e-4, 1e-3)  # of a linear potential, in (eV/Å)²/eV²


def tasks() -> list[dict]:
    """One a training, the most telling first."""
    return [
        dict(source=source, choice=choice, method=method, n=n, seed=seed)
        for source in COURSE
        for seed in range(SEEDS)
        for n in SIZES
        for choice in CHOICES
        for method in ALGORITHMS
    ]


def group(atoms: Atoms) -> str:
    """What kind of structure it is; of Stillinger-Weber's, crystal or liquid."""
    return atoms.info["phase"] if atoms.info["group"] == "MD" else atoms.info["group"]


@lru_cache
def described(source: str) -> np.ndarray:
    """[structures, D] features of the training structures, each of unit spread."""
    silicon = Potential.load(SOURCES[source].silicon)
    known = data(source, "Ge")[0]
    as_silicon = [atoms.copy() for atoms in known]
    for atoms in as_silicon:
        atoms.symbols[:] = "Si"
    each = np.array([np.concatenate([f.mean(0), f.std(0)]) for f in features(silicon, as_silicon)])
    return each / np.maximum(each.std(0), 1e-9)


def farthest(points: np.ndarray, n: int, first: int) -> list[int]:
    """Indices of n points, each the farthest from all before it."""
    chosen, away = [first], np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < n:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def chosen(task: dict) -> list[Atoms]:
    """The structures of a task."""
    known, n, seed = data(task["source"], "Ge")[0], task["n"], task["seed"]
    rng = np.random.default_rng(seed)
    kinds = {
        kind: [a for a in known if group(a) == kind] for kind in dict.fromkeys(map(group, known))
    }
    calm = kinds.get("Solid", kinds.get("crystal"))
    match task["choice"]:
        case "groups":
            return datasets.subset(known, n, seed)
        case "random":
            return [known[k] for k in rng.permutation(len(known))[:n]]
        case "by hand":
            turns = [datasets.subset(own, min(len(own), n), seed) for own in kinds.values()]
            mixed = [own[k] for k in range(n) for own in turns if k < len(own)]
            return mixed[:n]
        case "farthest":
            points = described(task["source"])
            return [known[k] for k in farthest(points, n, int(rng.integers(len(points))))]
        case "committee":
            return by_committee(task, known)
        case "liquid":
            return datasets.subset([a for a in known if a.info["phase"] == "liquid"], n, seed)
    own = datasets.subset(calm, n, seed)
    if task["choice"] == "calm":
        return own
    others = [a for a in known if not any(a is b for b in calm)]
    return own + datasets.subset(others, n, seed)


def by_committee(task: dict, known: list[Atoms]) -> list[Atoms]:
    """As many as asked for, chosen in ROUNDS by the disagreement of MEMBERS potentials."""
    step = task["n"] // ROUNDS
    own = datasets.subset(known, step, task["seed"])
    while len(own) < task["n"]:
        rest = [a for a in known if not any(a is b for b in own)]
        members = [
            trained(task, member_structures(task, own, k), MEMBERS * task["seed"] + k, 400)
            for k in range(MEMBERS)
        ]
        one = members[0]
        shapes = shapes_of(task["source"], one.elements, one.config.cutoff)
        own += [rest[k] for k in np.argsort(disagreement(members, rest, shapes))[::-1][:step]]
    return own


def member_structures(task: dict, own: list[Atoms], k: int) -> list[Atoms]:
    """A linear fit has no seed: each of its members leaves out a part of the structures."""
    if task["method"] != "linear":
        return own
    return [atoms for i, atoms in enumerate(own) if i % MEMBERS != k] or own


def trained(
    task: dict, fitted: list[Atoms], seed: int, steps: int = 800, others: tuple = ()
) -> Potential:
    """A potential of a task's algorithm; `others` may have more neighbours than the data."""
    if task["method"] == "linear":
        return splines_of(task["source"], fitted, seed, others)
    source = Potential.load(SOURCES[task["source"]].silicon)
    shapes = shapes_of(task["source"], source.elements, source.config.cutoff, others)
    if task["method"] == "scratch":
        begun = Potential.create(source.config, source.elements, seed)
    else:
        begun = transfer.start(source, "Ge", fitted, shapes=shapes)
    how = dict(source=task["source"], method=task["method"], n=len(fitted), seed=seed)
    *_, last = train(Run(**how, steps=steps), begun, fitted, None, shapes)
    return last.potential


def splines_of(source: str, fitted: list[Atoms], seed: int, others: tuple = ()) -> Potential:
    """A linear potential, whose penalty a fifth of the structures has chosen."""
    splines = scaled(linear.Splines(), LONGER["Ge"])
    if len(fitted) < 3:
        return linear.fit(fitted, splines)
    valid = datasets.subset(fitted, max(1, len(fitted) // 5), seed)
    shapes = shapes_of(source, ("Ge",), splines.cutoff, others)
    rest = linear.equations([a for a in fitted if not any(a is b for b in valid)], splines)
    error = lambda curvature: linear.solve(rest, curvature).evaluate(valid, shapes).force_rmse
    return linear.fit(fitted, splines, curvature=min(PENALTIES, key=error))


def shapes_of(source: str, elements: tuple[str, ...], cutoff: float, others: tuple = ()) -> list:
    """Padded shapes of all structures of a source, and of others: runs share programs."""
    known = shapes_of_data(source, elements, cutoff)
    return (
        known
        if not others
        else graph.shapes_of([*sum(data(source, "Ge"), []), *others], elements, cutoff)
    )


@lru_cache
def shapes_of_data(source: str, elements: tuple[str, ...], cutoff: float) -> list:
    """Those of a source alone."""
    return graph.shapes_of(sum(data(source, "Ge"), []), elements, cutoff)


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task."""
    allocator.prepare()
    started, test = time.perf_counter(), data(task["source"], "Ge")[1]
    fitted = chosen(task)
    potential = trained(task, fitted, task["seed"])
    shapes = shapes_of(task["source"], potential.elements, potential.config.cutoff)
    of = lambda frames: three(potential.evaluate(frames, shapes))
    groups = {
        kind: of([a for a in test if group(a) == kind])[0] for kind in sorted({*map(group, test)})
    }
    force, rmse, energy = of(test)
    row = task | dict(force_mae=force, force_rmse=rmse, energy_rmse=energy, groups=groups)
    kinds = [group(atoms) for atoms in fitted]
    held = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return row | dict(structures=held) | circumstances(started, "tlmlp")
