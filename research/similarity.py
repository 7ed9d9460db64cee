"""How similar must an element be? Transfers to members of Stillinger-Weber's family.

    python -m research.similarity      stopped, the same command does the rest

Every row is a training on `n` structures of a member of tlmlp.course.family, which `size`,
`energy`, `stiffness` and `angle` say. A transfer starts from silicon's potential, "si-sw-course".
What a row has beside errors on test structures:

    force        mean |F| of these structures in meV/Å, the error of a network that knows nothing
    before       force MAE before training
"""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from tlmlp import Config, Potential, allocator, datasets, graph, sweep, transfer
from tlmlp.course.family import Member, structures
from tlmlp.course.runs import Run, held_out, train
from tlmlp.recipes import circumstances

from .tables import LONG, RATES

SILICON, NETWORK = "si-sw-course", "course"
SIZES, SEEDS, LONG_SEEDS = (10, 50, 5), 5, 3
ALIKE = [Member()]
BY_SIZE = [Member(size=size) for size in (0.9, 1.05, 1.1, 1.2)]
BY_ENERGY = [Member(energy=energy) for energy in (0.5, 2.0)]
BY_STIFFNESS = [Member(stiffness=stiffness) for stiffness in (0.0, 10.0, 15.0, 31.0, 42.0)]
BY_ANGLE = [Member(angle=angle) for angle in (90.0, 100.0, 120.0, 135.0)]
TOGETHER = [
    Member(size=1.05, energy=0.9, stiffness=31.0),
    Member(size=1.1, stiffness=31.0, angle=100.0),
    Member(size=1.2, energy=0.5, stiffness=10.0, angle=90.0),
]
MEMBERS = ALIKE + BY_STIFFNESS + BY_ANGLE + BY_SIZE + BY_ENERGY + TOGETHER
AT_BEST = (Member(), Member(stiffness=0.0), Member(stiffness=31.0), Member(angle=90.0))


def methods(member: Member) -> tuple[str, ...]:
    """Starts of a training; in silicon's own units, those of reduced units are the same."""
    own = (member.size, member.energy) == (1.0, 1.0)
    return ("scratch", "transfer") if own else ("scratch", "transfer", "reduced")


def tasks() -> list[dict]:
    """One a training, the most telling first: equal steps, then each method at its own best."""
    out = []
    for seed in range(SEEDS):
        for n in SIZES:
            for member in MEMBERS:
                for method in methods(member):
                    out.append(asdict(member) | dict(method=method, n=n, seed=seed, steps=800))
    for seed in range(LONG_SEEDS):
        for member in AT_BEST:
            for method in methods(member):
                run = dict(method=method, n=10, seed=seed, learning_rate=RATES[method], **LONG)
                out.append(asdict(member) | run)
    return out


def perform(task: dict) -> dict:
    """The row of a task."""
    allocator.prepare()
    started, run = time.perf_counter(), Run.of(task | dict(source="stillinger-weber"))
    member = Member(**{name: task[name] for name in asdict(Member())})
    everything, test = structures(member)
    fitted, valid = held_out(run, datasets.subset(everything, run.n, run.seed))
    source = Potential.load(SILICON)
    grown = member.size if run.method == "reduced" else 1.0
    config = replace(source.config, cutoff=source.config.cutoff * grown)
    shapes = graph.shapes_of(everything + test, source.elements, config.cutoff)
    if run.method == "scratch":
        start = Potential.create(Config(NETWORK), source.elements, run.seed)
    else:
        stretch = grown if run.method == "reduced" else None
        start = transfer.start(source, "Ge", fitted, stretch is not None, stretch, shapes)
    *_, last = train(run, start, fitted, valid, shapes)
    best = last.best if valid else last.potential
    errors = best.evaluate(test, shapes)
    row = task | dict(
        force_mae=round(errors.force_mae, 2),
        energy_rmse=round(errors.energy_rmse, 2),
        force=round(1e3 * float(np.mean([np.abs(a.get_forces()).mean() for a in test])), 1),
        best_step=last.best_step if valid else run.steps,
    )
    if run.method != "scratch":
        row |= dict(before=round(start.evaluate(test, shapes).force_mae, 2))
    return row | circumstances(started, "tlmlp")


def main(
    out: Annotated[Path, typer.Option(help="file of rows")] = Path("similarity.jsonl"),
    workers: Annotated[int, typer.Option(help="processes of one thread each")] = 2,
    scheduler: Annotated[
        str | None, typer.Option(help="address or file of a dask scheduler instead")
    ] = None,
) -> None:
    """Perform all trainings; stopped, the same command does the rest."""
    todo = tasks()
    done = sum(row is not None for row in sweep.found(todo, out))
    with tqdm(total=len(todo), initial=done, desc="similarity", unit="run") as bar:
        for row in sweep.execute(todo, out, perform, workers, scheduler):
            bar.set_postfix_str(f"{row['method']} N={row['n']}: {row['force_mae']:.0f} meV/Å")
            bar.update()


if __name__ == "__main__":
    typer.run(main)
