"""Runs: one training, said in full, and how it is begun and trained.

    run = Run(source="dft", method="transfer", n=10)
    for progress in train(run, *begin(run)):     fit, on the run's structures
    Run.of(row) == run                           a row holds the run that it came from

A row is `run.as_dict()` with what came out, as JSON. Runs know nothing of each other, so that a
list of them can be divided over processes and machines (tlmlp.sweep).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms

from .. import datasets, graph as graphs, transfer
from ..consistency import Consistency
from ..frames import label
from ..potential import Potential
from ..refusal import one_of, refuse
from ..sweep import BEGIN, END
from ..train import Progress, fit
from . import sources
from .results import METHODS
from .sources import SOURCES

POINTS, VALIDATIONS = 16, 64  # of a training: points of its curve, validations
# Scratch and transfer have silicon's cutoff, 4.5 Å; in reduced units it has grown to 4.76 Å.
# "short" brings a reduced start to 4.5 Å, from a silicon trained with 4.25 Å; "long" brings
# random weights to 4.76 Å.
CUTOFFS = {"short": "reduced", "long": "scratch"}
# Fields that rows from before there were any lack, with the values that change nothing.
REPLAY = dict(replay=0, labels="data", anchor=0.0)  # against forgetting
WEAK = dict(taylor=0.0, path=0.0, displacement=0.05, order=2, forces=True)  # of weak labels


@dataclass(frozen=True)
class Run:
    """One training. Raises ValueError for a value that is not allowed."""

    source: str = "dft"  # of the data, and of the silicon potential: of SOURCES
    element: str = "Ge"  # "Ge" or "Si"; silicon is where transfer starts, so it has scratch alone
    method: str = "scratch"  # of METHODS, or "reference", which trains nothing
    n: int = 10  # training structures, validation included; 0: all
    seed: int = 0  # of the subset, the weights and the order
    steps: int = 800  # gradient steps, one structure each; 0: untrained
    learning_rate: float = 2e-3  # its highest value
    frozen: tuple[str, ...] = ()  # groups of weights, of transfer.groups
    validation: float = 0.0  # fraction of the n that is held out to choose the best step; below 1
    phase: str | None = None  # "crystal" or "liquid": train on these, without "High energy"
    hot: int = 0  # how many of the n are of the highest energy there is, whatever the phase
    cutoff: str | None = None  # of CUTOFFS, with the method that it goes with; None: the method's
    replay: int = 0  # training structures of silicon that get half of the steps
    labels: str = "data"  # of these: of the data, or what the "source" of the transfer predicts
    anchor: float = 0.0  # penalty on weights that leave their start, see fit
    taylor: float = 0.0  # of tlmlp.consistency; it shares the weight of energies with their error
    path: float = 0.0  # the other term's
    displacement: float = 0.05  # Å
    order: int = 2  # of both terms
    forces: bool = True  # False: training structures have energies alone, those held out have all

    def __post_init__(self):
        frozen = (self.frozen,) if isinstance(self.frozen, str) else tuple(self.frozen)
        object.__setattr__(self, "frozen", frozen)
        one_of("source", self.source, SOURCES)
        one_of("method", self.method, (*METHODS, "reference"))
        one_of("phase", self.phase, (None, "crystal", "liquid"))
        one_of("element", self.element, ("Ge", "Si"))
        refuse(min(self.n, self.seed, self.steps) < 0, "n, seed and steps must be 0 or more")
        refuse(not 0 < self.learning_rate < np.inf, "learning_rate must be above 0")
        refuse(not 0 <= self.validation < 1, "validation must be from 0 to below 1")
        trained = self.method == "reduced" or (self.method == "transfer" and self.steps)
        words = "silicon is where transfer starts: train it from scratch, "
        words += "or take it as it is with method 'transfer' and no steps"
        refuse(self.element == "Si" and trained, words)
        most = f"hot must be at most the n = {self.n} structures, not {self.hot!r}"
        refuse(not 0 <= self.hot <= (self.n or self.hot), most)
        one_of("labels", self.labels, ("data", "source"))
        words = f"replay must be 0 or more and goes with method 'transfer', not {self.replay!r}"
        refuse(self.replay < 0 or (self.replay and self.method != "transfer"), words)
        one_of("order", self.order, (1, 2))
        if consistency := self.consistency():
            consistency.check()
        words = "forces can be left out with scratch and transfer, without replay"
        refuse(not self.forces and (self.method == "reduced" or self.replay), words)
        pairs = " and ".join(f"{cutoff} with {method}" for cutoff, method in CUTOFFS.items())
        words = f"cutoff must be None, or {pairs}, not {self.cutoff!r} with {self.method}"
        refuse(self.cutoff is not None and CUTOFFS.get(self.cutoff) != self.method, words)

    @classmethod
    def of(cls, row: Mapping) -> "Run":
        """The run of a row, or of any dict with a run's fields among others."""
        return cls(**{f.name: row[f.name] for f in fields(cls) if f.name in row})

    def as_dict(self) -> dict:
        """The run as JSON has it, without REPLAY and WEAK where these change nothing."""
        whole = asdict(self) | {"frozen": list(self.frozen)}
        for fields_of in (REPLAY, WEAK):
            if replace(self, **fields_of) == self:
                whole = {k: v for k, v in whole.items() if k not in fields_of}
        return whole

    def consistency(self) -> Consistency | None:
        """The weakly supervised terms of its loss."""
        if self.taylor == self.path == 0:
            return None
        return Consistency(self.taylor, self.path, self.displacement, self.order)


def silicon(run: Run) -> Potential:
    """The silicon potential that a run starts from, or whose shape it has."""
    return Potential.load(SOURCES[run.source].silicon + "-short" * (run.cutoff == "short"))


def begin(run: Run, most: int = 3) -> tuple[Potential, list, list | None, list]:
    """(potential before training, training structures, validation structures or None, shapes).

    most: number of padded shapes (see graph.few_shapes), so of programs to compile.
    """
    fitted, valid = pick(run)
    fitted = fitted if run.forces else energies_alone(fitted)
    source, known = silicon(run), SOURCES[run.source]
    grown = run.method == "reduced" or run.cutoff == "long"
    old = known.silicon_lattice_short if run.cutoff == "short" else known.silicon_lattice
    ratio = known.lattice["Ge"] / old if grown else 1.0
    config = replace(source.config, cutoff=source.config.cutoff * ratio)
    seen = (run.element, *["Si"] * bool(run.replay))
    shapes = padded_shapes(run.source, seen, source.elements, config.cutoff, most)
    if run.method == "scratch":
        potential = Potential.create(config, source.elements, run.seed)
    elif run.element == "Si":
        potential = source
    else:
        stretch = ratio if grown else None
        potential = transfer.start(source, run.element, fitted, grown, stretch, shapes=shapes)
    if run.replay:
        replayed = datasets.subset(sources.data(run.source, "Si")[0], run.replay, run.seed)
        if run.labels == "source":
            replayed = source.predict(replayed, shapes)
        fitted = transfer.with_replay(fitted, replayed)
    return potential, fitted, valid, shapes


def pick(run: Run) -> tuple[list[Atoms], list[Atoms] | None]:
    """(training structures, validation structures or None) of a run."""
    everything = sources.data(run.source, run.element)[0]
    frames = of_phase(everything, run.phase)
    if run.n:
        frames = datasets.subset(frames, run.n - run.hot, run.seed) if run.n > run.hot else []
    if run.hot:
        frames = frames + datasets.subset(sources.hottest(everything), run.hot, run.seed)
    return held_out(run, frames)


def of_phase(frames: list[Atoms], phase: str | None) -> list[Atoms]:
    """Those of a phase, without "High energy"; all for None."""
    calm = [atoms for atoms in frames if atoms.info["group"] != "High energy"]
    return [atoms for atoms in calm if atoms.info["phase"] == phase] if phase else frames


def energies_alone(frames: list[Atoms]) -> list[Atoms]:
    """The frames, without their forces and stresses."""
    for atoms in frames:
        del atoms.calc.results["forces"], atoms.calc.results["stress"]
    return frames


def held_out(run: Run, frames: list[Atoms]) -> tuple[list[Atoms], list[Atoms] | None]:
    """(structures to train on, those that `run.validation` holds out, or None)."""
    if not run.validation:
        return frames, None
    # Of frames with forces: a strained crystal has none, and its first validation is its best.
    forces = lambda atoms: label(atoms, "forces")
    moving = [atoms for atoms in frames if np.abs(forces(atoms)).max() > 1e-3]
    valid = datasets.subset(moving, max(1, round(run.validation * len(frames))), run.seed)
    return [atoms for atoms in frames if not any(atoms is v for v in valid)], valid


@lru_cache
def padded_shapes(source, seen, elements, cutoff, most):
    """Padded shapes that hold all structures of some elements of a source: runs share programs."""
    frames = [atoms for element in seen for atoms in sum(sources.data(source, element), [])]
    return graphs.shapes_of(frames, elements, cutoff, most)


def spacing(run: Run, valid: list | None) -> int:
    """Steps between two Progress of `train`: 16 in all, or 64 where it validates."""
    return max(1, run.steps // (VALIDATIONS if valid else POINTS))


def train(
    run: Run, potential, fitted, valid, shapes, every=None, checkpoint=None
) -> Iterator[Progress]:
    """`fit` of what `begin` gives, a Progress each `every` steps [default: `spacing`].

    It goes on from `checkpoint`, a file that is written at each Progress, where it exists.
    """
    every = every or spacing(run, valid)
    mask = transfer.freeze(potential, run.frozen) if run.frozen else None
    options: dict[str, Any] = dict(seed=run.seed, shapes=shapes, learning_rate=run.learning_rate)
    # The Taylor term is mostly the error of the energy once more: their sum keeps its weight.
    ours = {} if run.forces else dict(force=0.0, stress=0.0)
    first, last = (w._replace(energy=w.energy / (1 + run.taylor), **ours) for w in (BEGIN, END))
    options |= dict(weights=first, final_weights=last, average=0.99, anchor=run.anchor)
    options |= dict(consistency=run.consistency())
    options |= dict(report_every=every, validate_every=every, checkpoint=checkpoint)
    yield from fit(potential, fitted, valid, run.steps, mask, **options)


def as_silicon(potential: Potential, source: Potential) -> Potential:
    """A transferred potential, in silicon's units again where it is in germanium's."""
    scale = potential.info["transfer"]
    back = transfer.rescale(potential, 1 / scale["length"], 1 / scale["energy"])
    # 4.5 Å times s over s need not be 4.5 Å to the last bit, and would be compiled anew
    return back.replace(config=source.config, trained=source.trained)
