"""Race: germanium from silicon against germanium from nothing, step by step on the same structures.

Both sides of a pair see the same structures in the same order for the same number of steps, and both are tested on the same
held-out ones as they go. They take turns, so that their curves grow side by side.
"""

import gc
import statistics
import time
from typing import NamedTuple

import jax

from .. import datasets, graph as graphs, transfer
from ..allocator import give_back_freed_memory
from ..potential import Potential
from ..train import fit
from . import runs as sweep

POINTS = 10  # of a curve, after the one at step 0: testing then takes less than a fifth of the time
TESTED = 25  # held-out structures behind each point, at most
SILICON = 12  # silicon structures behind the error of what was forgotten


_compiled = set()  # the programs that this process has compiled


class Lap(NamedTuple):
    """Where a race is."""

    stage: str  # what is done next, in words
    done: int  # gradient steps of all trainings so far
    total: int
    rows: tuple = ()  # of the pair under way, as far as they are: dicts as tlmlp.sweep has them
    potentials: dict = {}  # "transfer" and "scratch" of the pair under way, newest


def pairs(seeds=1, start="transfer", frozen=(), **settings):
    """[(transfer, scratch)] runs of a race, one pair a seed; start: "transfer" or "reduced"; the rest as in tlmlp.sweep.RUN.

    Frozen groups are the transfer's: a network with random weights trains all of them.
    """
    return [
        (
            sweep.run(method=start, frozen=frozen, seed=s, **settings),
            sweep.run(method="scratch", seed=s, **settings),
        )
        for s in range(seeds)
    ]


def race(pairs):
    """Run pairs of trainings; yields Lap, several a second once the programs are compiled."""
    done, total = 0, sum(run["steps"] for pair in pairs for run in pair)
    for number, pair in enumerate(pairs, 1):
        source = pair[0]["source"]
        of = f", seed {number} of {len(pairs)}" if len(pairs) > 1 else ""
        yield Lap("reading the data", done, total)
        tested, silicon = frames(source)
        yield Lap(f"preparing both starts{of}", done, total)
        sides = [_Side(run, tested) for run in pair]
        for side in sides:
            side.test()
        rows = lambda: tuple(side.row() for side in sides)
        potentials = lambda: {name: side.now for name, side in zip(("transfer", "scratch"), sides)}
        while any(side.step < side.run["steps"] for side in sides):
            for side in sides:
                stage = (
                    "training"
                    if side.program in _compiled
                    else "compiling the network, once for each pattern of freezing"
                )
                yield Lap(stage + of, done, total, rows(), potentials())
                done += side.advance()
                _compiled.add(side.program)
        yield Lap(f"testing on silicon{of}", done, total, rows(), potentials())
        sides[0].forgotten(silicon)
        yield Lap(f"tested{of}", done, total, rows(), potentials())


def frames(source):
    """(germanium to test on, silicon to test on) of a source, each time anew."""
    test, silicon = (sweep.data(source, element)[1] for element in ("Ge", "Si"))
    part = lambda atoms, n: datasets.subset(atoms, min(n, len(atoms)))
    return part(test, TESTED), part(silicon, SILICON)


def forget_programs():
    """Give up every compiled program, for its memory: about 0.1 GB for each pattern of freezing. The next race compiles anew."""
    jax.clear_caches()
    _compiled.clear()
    gc.collect()
    give_back_freed_memory()


class _Side:
    """One training of a pair: what it is, how far it is, how good."""

    def __init__(self, run, tested):
        self.run, self.tested, self.curve, self.step, self.times = run, tested, [], 0, []
        self.before, train, _, self.shapes = sweep.begin(
            run, most=1
        )  # one shape: one program to wait for
        self.now, self.silicon = self.before, None
        self.program = (self.before.config, tuple(run["frozen"]), tuple(self.shapes))
        mask = transfer.freeze(self.before, run["frozen"]) if run["frozen"] else None
        self._reports = fit(
            self.before,
            train,
            steps=run["steps"],
            trainable=mask,
            seed=run["seed"],
            shapes=self.shapes,
            learning_rate=run["learning_rate"],
            report_every=max(1, run["steps"] // (10 * POINTS)),
            **sweep.FIT,
        )

    def advance(self):
        """A few steps, and a test where one is due; how many steps."""
        begun, before = time.perf_counter(), self.step
        progress = next(self._reports)
        self.now, self.step = progress.potential, progress.step
        self.times.append((time.perf_counter() - begun) / (self.step - before))
        if self.step == progress.steps or self.step % max(1, progress.steps // POINTS) == 0:
            self.test()
        return self.step - before

    def test(self):
        errors = self.now.evaluate(self.tested, self.shapes)
        self.curve.append(
            [
                self.step,
                *(round(e, 2) for e in (errors.force_mae, errors.force_rmse, errors.energy_rmse)),
            ]
        )

    def forgotten(self, silicon):
        """Force MAE on silicon before and after, in meV/Å."""
        source = Potential.load(sweep.SILICON[self.run["source"]])
        back = sweep.as_silicon(self.now, source)
        shapes = graphs.shapes_of(silicon, source.elements, source.config.cutoff, 1)
        self.silicon = tuple(
            round(p.evaluate(silicon, shapes).force_mae, 2) for p in (source, back)
        )

    def row(self):
        """The run with what came of it so far; complete when the last point of its curve is at its last step."""
        _, mae, rmse, energy = self.curve[-1]
        before, after = self.silicon or (None, None)
        return self.run | dict(
            curve=list(self.curve),
            force_mae=mae,
            force_rmse=rmse,
            energy_rmse=energy,
            silicon_before=before,
            silicon_force_mae=after,
            step_ms=round(1e3 * statistics.median(self.times), 1) if self.times else None,
            moved={name: round(x, 5) for name, x in transfer.moved(self.before, self.now).items()},
        )
