"""Race: germanium from silicon's weights against germanium from random ones, step by step.

    for lap in laps(pairs(seeds=2, n=10)):     lap.rows, lap.potentials

Both sides of a pair see the same structures in the same order for the same number of steps, and
both are tested on the same held-out ones. They take turns, so that their curves grow side by side.
"""

import gc
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax

from .. import allocator, datasets, graph as graphs, transfer
from . import sources
from .runs import Run, as_silicon, begin, silicon, train

POINTS = 10  # of a curve, after the one at step 0: testing takes less than a fifth of the time
REPORTS = 100  # of a training; it can be stopped at each
TESTED = 25  # held-out structures behind each point, at most
SILICON = 12  # silicon structures behind the error on silicon
COMPILING = "compiling the network, or reading it where it was compiled before"

# Programs that this process has compiled, at most one for each pattern of freezing of a network.
compiled: set[tuple] = set()


class Lap(NamedTuple):
    """Where a race is."""

    stage: str  # what is done next, in words
    done: int  # gradient steps of all trainings so far
    total: int
    rows: tuple[dict, ...] = ()  # of the pair under way, as far as they are
    potentials: dict = {}  # "transfer" and "scratch" of the pair under way, newest


def pairs(
    seeds: int = 1, start: str = "transfer", frozen=(), replay: int = 0, **settings
) -> list[tuple[Run, Run]]:
    """(transfer, scratch) runs of a race, one pair for each seed.

    start: "transfer" or "reduced"; frozen: groups that the transfer does not train, where scratch
    trains all of them; replay: structures of silicon in the transfer; settings: other fields of
    Run.
    """
    carried = dict(method=start, frozen=frozen, replay=replay)
    method = dict(transfer=carried, scratch=dict(method="scratch"))
    run = lambda side, seed: Run(seed=seed, **method[side], **settings)
    return [(run("transfer", seed), run("scratch", seed)) for seed in range(seeds)]


def laps(pairs: list[tuple[Run, Run]]) -> Iterator[Lap]:
    """Run pairs of trainings; yields Lap, several a second once the programs are compiled."""
    done, total = 0, sum(run.steps for pair in pairs for run in pair)
    of, sides = "", list[Side]()

    def lap(stage):
        rows = tuple(side.row() for side in sides)
        potentials = {name: side.now for name, side in zip(("transfer", "scratch"), sides)}
        return Lap(stage + of, done, total, rows, potentials)

    for number, pair in enumerate(pairs, 1):
        of, sides = f", seed {number} of {len(pairs)}" if len(pairs) > 1 else "", []
        yield lap("reading the data")
        tested, on_silicon = frames(pair[0].source)
        yield lap("preparing both starts")
        sides = [Side(run, tested) for run in pair]
        while any(side.step < side.run.steps for side in sides):
            for side in sides:
                yield lap("training" if side.program in compiled else COMPILING)
                done += side.advance()
                compiled.add(side.program)
        yield lap("testing on silicon")
        sides[0].test_on_silicon(on_silicon)
        yield lap("tested")


def frames(source: str) -> tuple[list, list]:
    """(germanium, silicon) structures of a source to test on, each time anew."""
    germanium, silicon = (sources.data(source, element)[1] for element in ("Ge", "Si"))
    part = lambda atoms, n: datasets.subset(atoms, min(n, len(atoms)))
    return part(germanium, TESTED), part(silicon, SILICON)


def forget_programs() -> None:
    """Give up every compiled program, about 0.1 GB each. The next race compiles anew."""
    jax.clear_caches()
    compiled.clear()
    gc.collect()
    allocator.give_back_freed_memory()


class Side:
    """One training of a pair: how far it is, and how large its errors are."""

    def __init__(self, run: Run, tested: list):
        self.run, self.tested, self.step = run, tested, 0
        self.curve: list[list[float]] = []
        self.times: list[float] = []  # s of each step
        self.on_silicon: tuple = (None, None)  # force MAE before and after, meV/Å
        # one padded shape: one program to wait for
        self.before, fitted, valid, self.shapes = begin(run, most=1)
        self.now = self.before
        self.program = (self.before.config, run.frozen, tuple(self.shapes), run.consistency())
        every = max(1, run.steps // REPORTS)
        self.reports = train(run, self.before, fitted, valid, self.shapes, every)
        self.test()

    def advance(self) -> int:
        """A few steps, and a test where one is due; returns the number of steps."""
        begun, before = time.perf_counter(), self.step
        progress = next(self.reports)
        self.now, self.step = progress.potential, progress.step
        self.times.append((time.perf_counter() - begun) / (self.step - before))
        if self.step == progress.steps or self.step % max(1, progress.steps // POINTS) == 0:
            self.test()
        return self.step - before

    def test(self) -> None:
        """One more point of the curve."""
        errors = self.now.evaluate(self.tested, self.shapes)
        values = errors.force_mae, errors.force_rmse, errors.energy_rmse
        self.curve.append([self.step, *(round(e, 2) for e in values)])

    def test_on_silicon(self, frames: list) -> None:
        """Force MAE before and after, of the potential in silicon's units."""
        source = silicon(self.run)
        shapes = graphs.shapes_of(frames, source.elements, source.config.cutoff, 1)
        both = source, as_silicon(self.now, source)
        self.on_silicon = tuple(round(p.evaluate(frames, shapes).force_mae, 2) for p in both)

    def row(self) -> dict:
        """The run with what came of it so far; complete when its curve ends at its last step."""
        row = self.run.as_dict() | dict(curve=list(self.curve))
        row |= dict(zip(("force_mae", "force_rmse", "energy_rmse"), self.curve[-1][1:]))
        row |= dict(zip(("silicon_before", "silicon_force_mae"), self.on_silicon))
        row["step_ms"] = round(1e3 * statistics.median(self.times), 1) if self.times else None
        moved = transfer.moved(self.before, self.now)
        return row | dict(moved={name: round(far, 5) for name, far in moved.items()})
