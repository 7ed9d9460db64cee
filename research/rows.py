"""Rows: what a run of a table comes to. One performer for each kind of table.

A performer takes a task, a run as a dict (Run.as_dict), and gives its row, the task with what came
out. `python -m research.sweep TABLE` calls them. dask workers which cannot import research get this
file with their task, and BY_VALUE, all that it imports of research.

Where a performer is given a `checkpoint`, a file, its training goes on from there.
"""

import hashlib
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
from ase.build import bulk

from tlmlp import allocator, datasets, properties, transfer
from tlmlp.course import stability
from tlmlp.course.runs import POINTS, Run, as_silicon, begin, silicon, spacing, train
from tlmlp.course.sources import SOURCES, TRAJECTORIES, data, melt
from tlmlp.files import write_whole
from tlmlp.recipes import circumstances
from tlmlp.simulate import SimulationError

from . import melting

BY_VALUE = (melting,)  # what a worker that cannot import research needs beside this file

ERRORS = ("force_mae", "force_rmse", "energy_rmse")
# The crystal and the liquid are cells of this size each; the interval is a fraction of the
# reference's melting temperature, and so is the accuracy.
MELTING = dict(cell=(2, 2, 4), between=(0.7, 1.3), accuracy=0.02)


def perform(table: str, task: dict, folder: Path | None = None) -> dict:
    """The row of a task of a table; `folder` keeps what is under way, until `forget`."""
    allocator.prepare()
    checkpoint = folder and checkpoint_of(task, folder)
    return PERFORMERS.get(table, training_row)(task, checkpoint=checkpoint)


def checkpoint_of(task: dict, folder: Path) -> Path:
    """The file that the training of a task, or of its row, is kept in while it is under way."""
    said = json.dumps(Run.of(task).as_dict())
    return folder / f"{hashlib.sha256(said.encode()).hexdigest()[:12]}.checkpoint"


def forget(checkpoint: Path) -> None:
    """Remove a checkpoint and the curve beside it."""
    for file in (checkpoint, checkpoint.with_suffix(".curve")):
        file.unlink(missing_ok=True)


def training_row(task: dict, checkpoint: Path | None = None) -> dict:
    """Curve of test errors, errors by group and by temperature, and the error on silicon.

    With replay also the error on alloys of both.
    """
    started, run, seen, curve, alloys = time.perf_counter(), Run.of(task), 0, [], {}
    _, test = data(run.source, run.element)
    start, fitted, valid, shapes = begin(run)
    every, file = max(1, run.steps // POINTS), checkpoint and checkpoint.with_suffix(".curve")
    if (
        file and checkpoint.is_file() and file.is_file()
    ):  # [last step, points], where it was stopped
        seen, curve = json.loads(file.read_text())
    for progress in train(run, start, fitted, valid, shapes, checkpoint=checkpoint):
        if progress.step > min(seen + spacing(run, valid), run.steps):
            forget(checkpoint)  # it was stopped after a checkpoint and before the point of its step
            return training_row(task, checkpoint)
        if progress.step > seen and progress.step % every == 0:  # or a validation between points
            curve.append([progress.step, *three(progress.potential.evaluate(test, shapes))])
        seen = progress.step
        if file:
            write_whole(file, json.dumps([seen, curve]).encode())
    best = progress.best if valid else progress.potential
    errors = best.evaluate(test, shapes)
    row = task | dict(zip(ERRORS, three(errors)))
    if valid:
        row |= dict(
            zip(("valid_force_mae", "valid_force_rmse"), three(best.evaluate(valid, shapes)))
        )
    untrained = on_silicon = None
    if run.method != "scratch":
        untrained = three(start.evaluate(test, shapes))
        back = as_silicon(best, silicon(run))
        on_silicon = three(back.evaluate(data(run.source, "Si")[1]))[0]
    if run.replay:
        alloys = dict(alloy_force_mae=three(best.evaluate(datasets.dft("SiGe", "test")))[0])
    return row | dict(
        curve=curve,
        untrained=untrained,
        temperatures=by_temperature(best, test, shapes),
        groups={name: three(own) for name, own in errors.groups.items()},
        best_step=progress.best_step if valid else run.steps,
        silicon_force_mae=on_silicon,
        moved={name: round(far, 5) for name, far in transfer.moved(start, best).items()},
        **alloys,
        **circumstances(started, "tlmlp"),
    )


def properties_row(task: dict, checkpoint: Path | None = None, starts: int = 1) -> dict:
    """Test errors, slopes of forces, and all properties of crystal and liquid.

    With no steps nothing is trained; the method "reference" is Stillinger-Weber itself. The
    dumbbell is the lowest of `starts` relaxations.
    """
    started, run = time.perf_counter(), Run.of(task)
    values, notes, seconds = {}, {}, {}
    calculator, row = asked(run, task, checkpoint)
    if "softening" in row:
        values |= dict(zip(("softening", "force_r2"), row["softening"]["all"]))
    trained = time.perf_counter() - started
    liquid, temperature, _ = melt(run.source, run.element)
    strained_at = SOURCES[run.source].strained_at.get(run.element)
    for measured in properties.measure(
        calculator, run.element, strained_at, melt=(liquid, temperature), starts=starts
    ):
        values[measured.name] = measured.value
        seconds[measured.name] = round(measured.seconds, 2)
        if measured.note:
            notes[measured.name] = measured.note
    return row | dict(
        properties={name: None if v is None else float(f"{v:.6g}") for name, v in values.items()},
        notes=notes,
        seconds_of=seconds,
        training_seconds=round(trained, 1),
        **circumstances(started, "tlmlp", "ase", "phonopy"),
    )


def softening_row(task: dict, checkpoint: Path | None = None) -> dict:
    """Slopes of forces on test structures of each kind, and slopes of curvatures.

    Curvatures are those of the perfect crystal's own modes, where the reference can be evaluated
    (Stillinger-Weber).
    """
    started, run = time.perf_counter(), Run.of(task)
    potential, row = softened(run, task, checkpoint)
    curvature = None
    if run.source == "stillinger-weber":
        reference = datasets.stillinger_weber_calculator(run.element)
        lattice = SOURCES[run.source].lattice[run.element]
        crystal = bulk(run.element, "diamond", a=lattice, cubic=True).repeat(2)
        c = properties.softening_of_curvature(crystal, reference, potential.calculator())
        curvature = [round(c.slope, 4), round(c.spread, 4)]
    return row | dict(curvature=curvature, **circumstances(started, "tlmlp"))


def melting_row(task: dict, checkpoint: Path | None = None) -> dict:
    """Where melting.melting finds crystal and liquid to coexist.

    All potentials of an element share the reference's cell, interval and first liquid, so that what
    a small cell does to the number is the same for all. `melting_K` is None where the interval does
    not hold it, the liquid boils, or the simulation broke down; then `note` says which.
    """
    started, run = time.perf_counter(), Run.of(task)
    calculator, row = asked(run, task, checkpoint)
    source = SOURCES[run.source]
    cube = bulk(run.element, "diamond", a=source.lattice[run.element], cubic=True)
    crystal, known = cube.repeat(MELTING["cell"]), source.melting[run.element]
    low, high = between = [fraction * known for fraction in MELTING["between"]]
    accuracy = MELTING["accuracy"] * known
    note, found, runs, interval = "", None, (), between
    other = run.method != "reference"
    melted_by = datasets.stillinger_weber_calculator(run.element) if other else None
    how = dict(accuracy_K=accuracy, seed=run.seed, melted_by=melted_by)
    try:
        for state in melting.melting(calculator, crystal, low, high, **how):
            runs, interval = state.runs, [state.low, state.high]
    except melting.Boiling as error:
        note, runs, interval = str(error), error.runs, list(error.interval)
    except SimulationError as error:
        note = str(error)
    if not note:
        note = "melts below" * (interval[0] == low) or "melts above" * (interval[1] == high)
    if not note:
        found = [round(state.melting_K, 1), round(state.error_K, 1)]
    return row | dict(
        melting_K=found,
        between=between,
        interval=interval,
        runs=[[round(T, 1), round(ps, 2), round(share, 3)] for T, ps, share in runs],
        note=note,
        atoms=2 * len(crystal),
        **circumstances(started, "tlmlp", "ase"),
    )


def stability_row(
    task: dict,
    temperatures=None,
    length_ps: float = stability.LENGTH,
    checkpoint: Path | None = None,
) -> dict:
    """Trials at every temperature of the source, of what the run has trained.

    The method "reference" is Stillinger-Weber itself, and trains nothing.
    """
    started, run, error = time.perf_counter(), Run.of(task), None
    if run.method == "reference":
        potential = stability.truth(run.source)
    else:
        start, fitted, valid, shapes = begin(run)
        *_, progress = train(run, start, fitted, valid, shapes, checkpoint=checkpoint)
        potential = progress.best if valid else progress.potential
        error, *_ = three(potential.evaluate(data(run.source)[1], shapes))
    trained = time.perf_counter()
    trials = [
        stability.trial(potential, stability.reference(run.source, T), length_ps, run.seed)
        for T in temperatures or SOURCES[run.source].temperatures
    ]
    limits = dict(
        apart=stability.APART,
        nearest=stability.NEAREST,
        window_fs=stability.WINDOW,
        timestep_fs=stability.TIMESTEP,
    )
    row = task | dict(force_mae=error, trials=[t._asdict() for t in trials], length_ps=length_ps)
    seconds = [round(trained - started, 1), round(time.perf_counter() - trained, 1)]
    made = circumstances(started, "tlmlp", "jax-md")
    return row | dict(limits=limits) | made | dict(seconds=seconds)


PERFORMERS = {
    "properties": properties_row,
    "properties-best": partial(properties_row, starts=5),
    "softening": softening_row,
    "weak-properties": properties_row,
    "stability": stability_row,
    "weak-stability": stability_row,
    "melting": melting_row,
}  # all other tables: training_row


def asked(run: Run, task: dict, checkpoint: Path | None):
    """(ASE calculator, row so far): the reference itself, or what the run has trained."""
    if run.method == "reference":
        return datasets.stillinger_weber_calculator(run.element), task | dict(force_mae=None)
    potential, row = softened(run, task, checkpoint)
    return potential.calculator(), row


def softened(run: Run, task: dict, checkpoint: Path | None):
    """(potential, its row so far): test errors and slopes of forces by temperature or group.

    A slope is [s, R², s', error of s, frames].
    """
    _, test = data(run.source, run.element)
    potential, fitted, valid, shapes = begin(run)
    begun = train(run, potential, fitted, valid, shapes, checkpoint=checkpoint)
    for progress in begun if run.steps else ():
        potential = progress.best if valid else progress.potential
    row = task | dict(zip(ERRORS, three(potential.evaluate(test, shapes))))
    guess, kinds = potential.predict(test, shapes), {"all": list(range(len(test)))}
    for k, atoms in enumerate(test):
        # without trajectories of its own, a source has too many temperatures
        T = atoms.info["temperature"] if run.source in TRAJECTORIES else None
        kinds.setdefault(f"{T:.0f} K" if T else atoms.info["group"], []).append(k)
    slopes = {}
    for name, members in kinds.items():
        if any(np.abs(test[k].get_forces()).max() > 1e-3 for k in members):
            pairs = [test[k] for k in members], [guess[k] for k in members]
            slopes[name] = [round(x, 4) for x in properties.softening(*pairs).overall[:5]]
    return potential, row | dict(softening=slopes)


def three(errors) -> list[float]:
    """Force MAE and RMSE in meV/Å, and energy RMSE in meV/atom, rounded."""
    return [round(float(getattr(errors, name)), 2) for name in ERRORS]


def by_temperature(potential, test, shapes) -> list:
    """[temperature in K, phase, force MAE, force RMSE, frames] for each temperature of test."""
    kind_of = lambda atoms: (atoms.info["temperature"], atoms.info["phase"])
    out = []
    for kind in sorted({kind_of(atoms) for atoms in test if atoms.info["temperature"]}):
        part = [atoms for atoms in test if kind_of(atoms) == kind]
        out.append([*kind, *three(potential.evaluate(part, shapes))[:2], len(part)])
    return out
