"""Does a committee tell its errors, and does the distance to its training structures?

    python -m research.sweep committee     five trainings a row; stopped, it does the rest later

A row is a committee of five networks that have the same `n` structures of germanium by DFT and
differ in the order of these; from scratch also in their random weights. It has 800 steps a member
and, of the test structures ("all", "crystal" and "liquid"), under `spread` and `distance`

    correlation         of the error |F - F_DFT| of an atom with the spread or distance (Spearman)
    factor              root mean square of errors over that of spreads
    check               the same of every second test structure over that of the others; 1 is best
    predicted, error    root mean squares of both, in ten bins of equal count (eV/Å; no unit)

Errors beside the spread are those of the committee's mean, those beside the distance are those of
its first member, whose features measure it. `force_mae` is of the mean, `member_mae` of each member
(meV/Å).
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from tlmlp import Potential, allocator
from tlmlp.course.runs import Run, begin, train
from tlmlp.course.sources import data
from tlmlp.course.universals import errors
from tlmlp.recipes import circumstances
from tlmlp.uncertainty import Committee, Distance, force_errors, reliability

MEMBERS, SEEDS = 5, 5


def tasks() -> list[dict]:
    """One a committee, whose seed chooses the structures."""
    return [
        dict(source="dft", method=method, n=n, seed=seed, steps=800, members=MEMBERS)
        for seed in range(SEEDS)
        for n in (10, 50)
        for method in ("scratch", "transfer")
    ]


def trained(run: Run, members: int) -> tuple[list[Potential], list[Atoms], list]:
    """(members, the structures that all were trained on, padded shapes)."""
    start, fitted, valid, shapes = begin(run)
    out = []
    for seed in range(run.seed * members, (run.seed + 1) * members):
        begun, own = start, replace(run, seed=seed)
        if run.method == "scratch":
            begun = Potential.create(start.config, start.elements, seed)
        *_, last = train(own, begun, fitted, valid, shapes)
        out.append(last.potential)
    return out, fitted, shapes


def told(
    test: Sequence[Atoms], errors: Sequence[np.ndarray], spreads: Sequence[np.ndarray]
) -> dict[str, dict]:
    """What spreads tell of errors in all structures, crystals and liquids, as a row has it."""
    out = {}
    for phase in ("all", "crystal", "liquid"):
        own = [k for k, atoms in enumerate(test) if phase in ("all", atoms.info["phase"])]
        of = lambda part: [[x[k] for k in part] for x in (errors, spreads)]
        whole, known, other = (reliability(*of(part)) for part in (own, own[::2], own[1::2]))
        digits = lambda values: [float(f"{value:.4g}") for value in values]
        numbers = whole.correlation, whole.factor, other.factor / known.factor
        out[phase] = dict(zip(("correlation", "factor", "check"), digits(numbers)))
        out[phase] |= dict(predicted=digits(whole.predicted), error=digits(whole.error))
    return out


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task."""
    allocator.prepare()
    started, run = time.perf_counter(), Run.of(task)
    members, fitted, shapes = trained(run, task["members"])
    _, test = data(run.source)
    mean, first = Committee(members).predict(test), members[0].predict(test, shapes)
    spreads = [atoms.arrays["forces_spread"] for atoms in mean]
    return task | dict(
        force_mae=errors(test, mean)["force_mae"],
        member_mae=[round(m.evaluate(test, shapes).force_mae, 2) for m in members],
        spread=told(test, force_errors(test, mean), spreads),
        distance=told(test, force_errors(test, first), Distance(members[0], fitted)(test)),
        **circumstances(started, "tlmlp"),
    )
