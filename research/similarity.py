"""How similar must an element be? Gains of a transfer, in a family of elements and for real pairs.

    python -m research.sweep family     Stillinger-Weber's family, from silicon
    python -m research.sweep pairs      DFT: from each element, and others, to each element

Stopped, the same command does the rest. A row is one training; what it has beside errors on test
structures:

    force        mean |F| of these structures in meV/Å, the error of a network that knows nothing
    before       force MAE before training
    units        factor between the energies of the source and of the target
    overlap      share of neighbours at the same distance in bonds (pairs)

*family*: trainings on `n` structures of a member of tlmlp.course.family, which `size`, `energy`,
`stiffness` and `angle` say. A transfer starts from silicon's potential, "si-sw-course".

*pairs*: trainings on `n` structures of `target`. All lengths are measured in bonds and given in
those of silicon, so a network has one cutoff, 1.9 bonds, for all elements. Energies of a start are
scaled by a fit to the forces of its training structures. `source` is an element, "others" (all of
group 14 but the target) or Stillinger-Weber's silicon; its network has seen all its structures.
The target's embedding row is a copy of the first that the source has. With `row` "neighbours" it is
the mean of those above and below it in the group. Errors are of the target's own lengths again.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from tlmlp import Config, Potential, allocator, datasets, fit, graph, transfer
from tlmlp.course.family import Member, begin, structures
from tlmlp.course.runs import Run, held_out, train
from tlmlp.course.similarity import mean_force, overlap
from tlmlp.recipes import circumstances
from tlmlp.sweep import BEGIN, END

from .tables import LONG, RATES

NETWORK = "course"
SIZES, SEEDS = (10, 50, 5), 5
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

GROUP = ("C", "Si", "Ge", "Sn")  # by DFT of one protocol
METALS = ("Li", "Mo")  # of mlearn
# Å, nearest neighbours: of diamond crystals (research/dft) and body-centred ones (mlearn), and of
# Stillinger-Weber's silicon.
BONDS = {"C": 1.547, "Si": 2.368, "Ge": 2.505, "Sn": 2.882, "Li": 2.98, "Mo": 2.74, "SW": 2.352}
SOURCES = ("Si", "Ge", "Sn", "C", "others", "SW", *METALS)
TRAINED = dict(steps=12000, average=0.999, seed=0)  # of a source
HELD_OUT = 0.1  # of its structures, to choose its best step


# -- the family ------------------------------------------------------------------------------------


def methods(member: Member) -> tuple[str, ...]:
    """Starts of a training; in silicon's own units, those of reduced units are the same."""
    own = (member.size, member.energy) == (1.0, 1.0)
    return ("scratch", "transfer") if own else ("scratch", "transfer", "reduced")


def family() -> list[dict]:
    """One a training, the most telling first: equal steps, then each method at its own best."""
    out = []
    for seed in range(SEEDS):
        for n in SIZES:
            for member in MEMBERS:
                for method in methods(member):
                    out.append(asdict(member) | dict(method=method, n=n, seed=seed, steps=800))
    for seed in range(SEEDS):
        for member in AT_BEST:
            for method in methods(member):
                run = dict(method=method, n=10, seed=seed, learning_rate=RATES[method], **LONG)
                out.append(asdict(member) | run)
    return out


def family_row(task: dict, folder: Path) -> dict:
    """The row of a task of `family`."""
    allocator.prepare()
    member = Member(**{name: task[name] for name in asdict(Member())})
    everything, test = structures(member)
    run = Run.of(task)
    scratch, carried, shapes = begin(member, run.method == "reduced", everything + test)
    start = (lambda fitted: scratch(run.seed)) if run.method == "scratch" else carried
    return trained_row(task, everything, test, start, shapes)


# -- pairs -----------------------------------------------------------------------------------------


def pairs() -> list[dict]:
    """One a training: the sources, then each of them to each target, and scratch."""
    sources = [dict(method="source", source=name) for name in SOURCES if name != "others"]
    sources += [dict(method="source", source="others", target=target) for target in GROUP]
    out = []
    for seed in range(SEEDS):
        for n in (10, 50):
            for target in GROUP:
                run = dict(target=target, n=n, seed=seed, steps=800)
                out.append(run | dict(source=None, row=None, method="scratch"))
                for source in SOURCES:
                    each = run | dict(source=source, row="copy", method="reduced")
                    out += [each, each | dict(row="neighbours")] if source == "others" else [each]
    return sources + out


@lru_cache
def known(name: str) -> tuple[list[Atoms], list[Atoms]]:
    """(train, test) of one of BONDS, with lengths in bonds of silicon."""
    if name == "SW":
        parts = datasets.stillinger_weber_shipped("Si")
    else:
        load = datasets.mlearn if name in METALS else datasets.dft
        parts = load(name, "train"), load(name, "test")
    return tuple([in_bonds(atoms, name) for atoms in part] for part in parts)


def in_bonds(atoms: Atoms, name: str) -> Atoms:
    """A copy whose bonds are as long as those of silicon; energies in eV stay what they are."""
    ratio, out = BONDS["Si"] / BONDS[name], atoms.copy()
    out.set_cell(out.cell * ratio, scale_atoms=True)
    stress = atoms.get_stress() / ratio**3
    labels = dict(energy=atoms.get_potential_energy(), forces=atoms.get_forces() / ratio)
    out.calc = SinglePointCalculator(out, **labels, stress=stress)
    return out


def file_of(task: dict, folder: Path) -> Path:
    """Where the network of a task's source is kept."""
    without = f"-but-{task['target']}" if task["source"] == "others" else ""
    return folder / f"{task['source']}{without}.safetensors"


def pair_row(task: dict, folder: Path) -> dict:
    """The row of a task of `pairs`; `folder` keeps the networks of its sources."""
    allocator.prepare()
    if task["method"] == "source":
        return source_row(task, folder)
    target = task["target"]
    everything, test = known(target)
    start, shapes = start_of(task, folder)
    row = trained_row(task, everything, test, start, shapes)
    unit = BONDS["Si"] / BONDS[target]
    forces = {
        key: round(row[key] * unit, 2) for key in ("force_mae", "force", "before") if key in row
    }
    if task["source"]:
        row |= likeness(task["source"], target)
    return row | forces


@lru_cache
def likeness(source: str, target: str) -> dict:
    """How alike two elements are before anything is trained, see tlmlp.course.similarity."""
    names = [e for e in GROUP if e != target] if source == "others" else [source]
    old = [atoms for name in names for atoms in known(name)[0]]
    bonds = None if source == "others" else round(BONDS[target] / BONDS[source], 3)
    return dict(bonds=bonds, overlap=round(overlap(old, known(target)[0]), 3))


def start_of(task: dict, folder: Path) -> tuple[Callable, list]:
    """(what begins a training with `start(structures)`, padded shapes) of a target's task."""
    target, config = task["target"], Config(NETWORK)
    elements = ("Si", target) if target != "Si" else ("Si", "Ge")
    shapes = graph.shapes_of(sum(known(target), []), elements, config.cutoff)

    def start(fitted):
        if task["method"] == "scratch":
            return Potential.create(config, elements, task["seed"])
        source = Potential.load(file_of(task, folder))
        source = averaged(source, target) if task.get("row") == "neighbours" else source
        try:
            return transfer.start(source, target, fitted, True, 1.0, shapes)
        except ValueError as error:  # no factor brings the forces together
            if "point apart" not in str(error):
                raise
            return transfer.start(source, target, fitted, shapes=shapes)

    return start, shapes


def averaged(source: Potential, target: str) -> Potential:
    """A source whose first row, which a target's is a copy of, is the mean of its neighbours'."""
    place, weights = GROUP.index(target), source.params["dimenet/embedding"]
    around = [e for e in GROUP[max(0, place - 1) : place + 2] if e != target]
    table = np.array(weights["elements"])
    mean = table[[source.elements.index(e) for e in around]].mean(0)
    table[source.elements.index(source.trained[0])] = mean
    embedding = {"dimenet/embedding": weights | {"elements": table}}
    return source.replace(params=source.params | embedding)


def source_row(task: dict, folder: Path) -> dict:
    """Train a source, and keep its network."""
    started, own = time.perf_counter(), task["source"]
    names = [e for e in GROUP if e != task["target"]] if own == "others" else [own]
    train, test = (sum(parts, []) for parts in zip(*map(known, names)))
    fitted, valid = datasets.split(train, HELD_OUT, 0)
    elements = tuple(dict.fromkeys(symbol for atoms in train for symbol in atoms.symbols))
    potential = Potential.create(NETWORK, elements)
    how = dict(weights=BEGIN, final_weights=END, **TRAINED)
    *_, last = fit(potential, fitted, valid, **how)
    folder.mkdir(parents=True, exist_ok=True)
    last.best.save(file_of(task, folder))
    errors = last.best.evaluate(test)
    row = task | dict(force_mae=round(errors.force_mae, 2), best_step=last.best_step, **TRAINED)
    return row | circumstances(started, "tlmlp")


# -- both ------------------------------------------------------------------------------------------


def trained_row(
    task: dict, everything: list[Atoms], test: list[Atoms], start: Callable, shapes: list
) -> dict:
    """The row of one training that begins with `start(structures)`."""
    started, run = time.perf_counter(), Run.of(task | dict(source="dft"))
    fitted, valid = held_out(run, datasets.subset(everything, run.n, run.seed))
    begun = start(fitted)
    *_, last = train(run, begun, fitted, valid, shapes)
    best = last.best if valid else last.potential
    errors = best.evaluate(test, shapes)
    row = task | dict(
        force_mae=round(errors.force_mae, 2),
        energy_rmse=round(errors.energy_rmse, 2),
        force=round(1e3 * mean_force(test), 1),
        best_step=last.best_step if valid else run.steps,
    )
    if run.method != "scratch":
        row |= dict(units=round(begun.info["transfer"]["energy"], 3))
        row |= dict(before=round(begun.evaluate(test, shapes).force_mae, 2))
    return row | circumstances(started, "tlmlp")
