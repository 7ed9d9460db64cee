"""Rows: what a run of a table comes to."""

import os
import platform
import time
from datetime import date
from importlib import metadata

import numpy as np
from ase.build import bulk

from tlmlp import datasets, transfer
from tlmlp.course.runs import POINTS, as_silicon, begin, silicon, train
from tlmlp.course.sources import SOURCES, TRAJECTORIES, data, melt
from tlmlp.course.stability import APART, LENGTH, NEAREST, TIMESTEP, WINDOW, reference, trial, truth
from tlmlp.elements import element as _element

from .tables import MELTING


def perform(run):
    """The row of a run: the run, its curve of test errors, its errors by group and by temperature, what silicon it forgot."""
    started, curve = time.perf_counter(), []
    _, test = data(run["source"], run["element"])
    potential, fitted, valid, shapes = begin(run)
    before = potential.evaluate(test, shapes) if run["method"] != "scratch" else None
    for progress in train(run, potential, fitted, valid, shapes):
        if progress.step % max(1, run["steps"] // POINTS):
            continue  # a validation between two points of the curve
        errors = progress.potential.evaluate(test, shapes)
        curve.append(
            [progress.step, *_round(errors.force_mae, errors.force_rmse, errors.energy_rmse)]
        )
    best = progress.best if run["validation"] else progress.potential
    errors = best.evaluate(test, shapes)
    row = run | dict(zip(("force_mae", "force_rmse", "energy_rmse"), _round(*_three(errors))))
    if valid:
        held_out = best.evaluate(valid, shapes)
        row |= dict(
            zip(
                ("valid_force_mae", "valid_force_rmse"),
                _round(held_out.force_mae, held_out.force_rmse),
            )
        )
    row |= dict(
        curve=curve,
        untrained=_round(*_three(before)) if before else None,
        temperatures=_by_temperature(best, test, shapes),
        groups={name: _round(*_three(e)) for name, e in errors.groups.items()},
        best_step=progress.best_step if run["validation"] else run["steps"],
        silicon_force_mae=_round(_forgotten(best, run))[0] if run["method"] != "scratch" else None,
        moved={k: round(v, 5) for k, v in transfer.moved(potential, best).items()},
        **circumstances(started),
    )
    return row


def perform_properties(run):
    """The row of a run of the table "properties": the run, its test errors, and its properties (tlmlp.properties.card).

    With no steps nothing is trained; the method "reference" is Stillinger-Weber itself.
    """
    from tlmlp.properties import measure

    started, element = time.perf_counter(), run["element"]
    values, notes, seconds = {}, {}, {}
    calculator, row = _asked(run)
    if "softening" in row:
        values |= dict(softening=row["softening"]["all"][0], force_r2=row["softening"]["all"][1])
    trained = time.perf_counter() - started
    atoms, temperature, _ = melt(run["source"], element)
    for measured in measure(
        calculator,
        element,
        SOURCES[run["source"]].strained_at.get(element),
        melt=(atoms, temperature),
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
        **circumstances(started, "ase", "phonopy"),
    )


def perform_softening(run):
    """The row of a run of the table "softening": slopes of its forces on test structures of each kind, and of curvatures.

    Curvatures are those of the perfect crystal's own modes, where the reference can be asked for them (Stillinger-Weber).
    """
    from tlmlp.properties import softening_of_curvature

    started = time.perf_counter()
    potential, row = _softened(run)
    curvature = None
    if run["source"] == "stillinger-weber":
        crystal = bulk(
            run["element"], "diamond", a=_element(run["element"]).lattice_constant, cubic=True
        ).repeat(2)
        c = softening_of_curvature(
            crystal, datasets.stillinger_weber_calculator(run["element"]), potential.calculator()
        )
        curvature = [round(c.slope, 4), round(c.spread, 4)]
    return row | dict(curvature=curvature, **circumstances(started))


def _asked(run):
    """(ASE calculator, row so far) of a run whose properties are asked for: the reference itself, or what it has trained."""
    if run["method"] == "reference":
        return datasets.stillinger_weber_calculator(run["element"]), dict(run, force_mae=None)
    potential, row = _softened(run)
    return potential.calculator(), row


def _softened(run):
    """(potential, trained, its row so far) with test errors and slopes of forces: [s, R², s', error of s, frames] by temperature or group."""
    from tlmlp.properties import softening

    _, test = data(run["source"], run["element"])
    potential, fitted, valid, shapes = begin(run)
    for progress in train(run, potential, fitted, valid, shapes) if run["steps"] else ():
        potential = progress.potential
    row = dict(
        run,
        **dict(
            zip(
                ("force_mae", "force_rmse", "energy_rmse"),
                _round(*_three(potential.evaluate(test, shapes))),
            )
        ),
    )
    guess, kinds = potential.predict(test, shapes), {}
    for k, atoms in enumerate(test):
        t = (
            atoms.info["temperature"] if run["source"] in TRAJECTORIES else None
        )  # elsewhere, too many of them
        kinds.setdefault(f"{t:.0f} K" if t else atoms.info["group"], []).append(k)
    parts = {"all": range(len(test)), **kinds}
    moving = {
        name: ks
        for name, ks in parts.items()
        if any(np.abs(test[k].get_forces()).max() > 1e-3 for k in ks)
    }
    slopes = {
        name: softening([test[k] for k in ks], [guess[k] for k in ks]).overall
        for name, ks in moving.items()
    }
    return potential, row | dict(
        softening={name: [round(x, 4) for x in s] for name, s in slopes.items()}
    )


def perform_melting(run):
    """The row of a run of the table "melting": where tlmlp.properties.melting has found crystal and liquid to coexist.

    All of an element share the reference's cell and interval, so that what a small cell does to the number is the same for all.
    `melting_K` is None where the interval does not hold it, or where the simulation broke down; then `note` says which.
    """
    from tlmlp.properties import melting
    from tlmlp.simulate import SimulationError

    started, source = time.perf_counter(), SOURCES[run["source"]]
    calculator, row = _asked(run)
    crystal = bulk(run["element"], "diamond", a=source.lattice[run["element"]], cubic=True).repeat(
        MELTING["cell"]
    )
    known = source.melting[run["element"]]
    between, last, note = [share * known for share in MELTING["between"]], None, ""
    try:
        for last in melting(
            calculator, crystal, *between, accuracy_K=MELTING["accuracy"] * known, seed=run["seed"]
        ):
            pass
    except SimulationError as error:
        note = str(error)
    runs = (
        []
        if last is None
        else [[round(T, 1), round(ps, 2), round(share, 3)] for T, ps, share in last.runs]
    )
    found = None
    if not note:
        note = (
            "melts below"
            if last.low == between[0]
            else "melts above"
            if last.high == between[1]
            else ""
        )
        found = None if note else [round(last.melting_K, 1), round(last.error_K, 1)]
    return row | dict(
        melting_K=found,
        between=between,
        interval=[last.low, last.high] if last else between,
        runs=runs,
        note=note,
        atoms=2 * len(crystal),
        **circumstances(started, "ase"),
    )


def circumstances(started, *packages):
    """What a row says of how it came about: seconds since `started`, machine, date, versions."""
    return dict(
        seconds=round(time.perf_counter() - started, 1),
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        date=str(date.today()),
        versions={p: metadata.version(p) for p in ("tlmlp", "jax", *packages)},
    )


def perform_stability(run):
    """The row of a run of the table "stability": see tlmlp.stability.perform."""
    return perform_trials(run)


def performer(name):
    """The function that makes a row of a run of a table."""
    own = dict(
        properties=perform_properties,
        softening=perform_softening,
        stability=perform_stability,
        melting=perform_melting,
    )
    return own.get(name, perform)


def _three(errors):
    return errors.force_mae, errors.force_rmse, errors.energy_rmse


def _round(*values):
    return [round(float(v), 2) for v in values]


def _by_temperature(potential, test, shapes):
    """Force MAE and RMSE on the test frames of each temperature, as [temperature in K, phase, MAE, RMSE, frames]."""
    kinds = sorted(
        {(a.info["temperature"], a.info["phase"]) for a in test if a.info["temperature"]}
    )
    out = []
    for kind in kinds:
        part = [a for a in test if (a.info["temperature"], a.info["phase"]) == kind]
        errors = potential.evaluate(part, shapes)
        out.append([*kind, *_round(errors.force_mae, errors.force_rmse), len(part)])
    return out


def _forgotten(potential, run):
    """Force MAE in meV/Å on silicon's test set."""
    back = as_silicon(potential, silicon(run))
    return back.evaluate(data(run["source"], "Si")[1]).force_mae


def perform_trials(run, temperatures=None, length_ps=LENGTH):
    """The row of a run of tlmlp.sweep: trains it, then tries the potential at every temperature of its source.

    The method "reference" is Stillinger-Weber itself, and trains nothing.
    """
    started, error = time.perf_counter(), None
    if run["method"] == "reference":
        potential = truth(run["source"])
    else:
        *begun, shapes = begin(run)
        for progress in train(run, *begun, shapes):
            pass
        potential = progress.best if run["validation"] else progress.potential
        error = round(float(potential.evaluate(data(run["source"])[1], shapes).force_mae), 2)
    trained = time.perf_counter()
    trials = [
        trial(potential, reference(run["source"], T), length_ps, run["seed"])
        for T in temperatures or SOURCES[run["source"]].temperatures
    ]
    row = run | dict(force_mae=error, trials=[t._asdict() for t in trials], length_ps=length_ps)
    row |= dict(limits=dict(apart=APART, nearest=NEAREST, window_fs=WINDOW, timestep_fs=TIMESTEP))
    seconds = [round(trained - started, 1), round(time.perf_counter() - trained, 1)]
    return row | circumstances(started, "jax-md") | dict(seconds=seconds)
