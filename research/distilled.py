"""A universal potential as source: a small network that has learned its labels, then germanium's.

    python -m research.sweep distilled      ten seconds a short training, three minutes a long one

The start "distilled" is the network "sige-distilled-course" that ships, which
`python -m research.universal.distill` made without any label of DFT. "then silicon" is the same
network after 12 000 steps on silicon by DFT; `folder` keeps it. Training structures, steps and
rates are those of the learning curves and of each start at its own best, so that these rows belong
beside theirs. What they have beside errors is said in research.similarity.
"""

import time
from pathlib import Path

from tlmlp import Potential, allocator, datasets, fit, graph, transfer
from tlmlp.course.sources import data
from tlmlp.recipes import circumstances
from tlmlp.sweep import BEGIN, END

from .similarity import HELD_OUT, TRAINED, trained_row
from .tables import LONG, RATES

NETWORK = "sige-distilled-course"
STARTS = ("distilled", "then silicon")
SIZES, SEEDS = (10, 50, 0), 5  # structures, 0: all


def tasks() -> list[dict]:
    """The source; then equal steps, then each training at its own best."""
    best = dict(learning_rate=RATES["transfer"], **LONG)
    out = [dict(method="source", start="then silicon")]
    for how in (dict(steps=800), best):
        for seed in range(SEEDS):
            for n in SIZES:
                run = dict(method="transfer", n=n, seed=seed, **how)
                out += [run | dict(start=start) for start in STARTS]
    return out


def perform(task: dict, folder: Path) -> dict:
    """The row of a task."""
    allocator.prepare()
    then_silicon = folder / "then-silicon.safetensors"
    if task["method"] == "source":
        return on_silicon(task, then_silicon)
    source = Potential.load(NETWORK if task["start"] == "distilled" else then_silicon)
    train, test = data("dft", "Ge")
    shapes = graph.shapes_of(train + test, source.elements, source.config.cutoff)
    start = lambda fitted: transfer.start(source, "Ge", fitted, shapes=shapes)
    return trained_row(task, train, test, start, shapes)


def on_silicon(task: dict, file: Path) -> dict:
    """Train the distilled network on silicon, and keep it."""
    started, (train, test) = time.perf_counter(), data("dft", "Si")
    fitted, valid = datasets.split(train, HELD_OUT, 0)
    begun = transfer.start(Potential.load(NETWORK), "Si", fitted)
    *_, last = fit(begun, fitted, valid, weights=BEGIN, final_weights=END, **TRAINED)
    file.parent.mkdir(parents=True, exist_ok=True)
    last.best.save(file)
    known = dict(best_step=last.best_step, before=round(begun.evaluate(test).force_mae, 2))
    row = task | known | dict(force_mae=round(last.best.evaluate(test).force_mae, 2), **TRAINED)
    return row | circumstances(started, "tlmlp")
