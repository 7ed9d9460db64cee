"""Recipes: how every potential that ships was trained, and the one way to train it again.

A recipe is a table in weights/recipes.toml; its potential carries it in its header, with the errors it reached.
"""

import os
import platform
import time
import tomllib
from datetime import date
from importlib import metadata

from . import datasets, transfer
from .dimenet import Config
from .potential import WEIGHTS, Potential
from .train import Weights, fit

FIT = (
    "steps",
    "learning_rate",
    "average",
    "batch_size",
    "clip",
    "seed",
)  # passed to fit as they stand


def recipes():
    """All recipes by name."""
    return tomllib.loads((WEIGHTS / "recipes.toml").read_text())


def recipe(name):
    """One recipe; ValueError names those that exist."""
    known = recipes()
    if name not in known:
        raise ValueError(f"no recipe {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def frames(recipe):
    """(train, valid, test) lists of ase.Atoms of a recipe; valid is None where nothing is held out."""
    source, element = recipe["data"].split(":")
    seed = recipe["seed"]
    if source in ("mlearn", "dft"):
        load = getattr(datasets, source)
        train, test = load(element, "train"), load(element, "test")
    elif source == "stillinger-weber":
        sample = lambda n, seed: datasets.stillinger_weber(
            element, n, tuple(recipe["temperatures"]), seed
        )
        train, test = sample(recipe["frames"], seed), sample(recipe["frames"] // 4, seed + 1000)
    else:
        raise ValueError(
            f"data must be mlearn:ELEMENT, dft:ELEMENT or stillinger-weber:ELEMENT, not {recipe['data']!r}"
        )
    if "n" in recipe:
        train = datasets.subset(train, recipe["n"], seed)
    return *(
        datasets.split(train, recipe["valid"], seed) if recipe["valid"] else (train, None)
    ), test


def run(name, checkpoint=None):
    """Train a recipe; yields the Progress of fit, the last one with `.best` as it should be saved, its header complete."""
    r = recipe(name)
    train, valid, test = frames(r)
    if "start" in r:
        source = Potential.load(r["start"])
        potential = transfer.start(
            source, r["data"].split(":")[1], train, r["reduced_units"], r.get("lattice_ratio")
        )
    else:
        potential = Potential.create(
            Config(r["config"], cutoff=r.get("cutoff")), r.get("elements", ("Si", "Ge")), r["seed"]
        )
    settings = {key: r[key] for key in FIT if key in r}
    settings |= {key: Weights(**r[key]) for key in ("weights", "final_weights") if key in r}
    started = time.perf_counter()
    for last in fit(potential, train, valid, checkpoint=checkpoint, **settings):
        if last.step < last.steps:
            yield last
    yield last._replace(
        best=last.best.replace(info=header(name, r, last, test, time.perf_counter() - started))
    )


def header(name, recipe, progress, test, seconds):
    """What a file of weights says of its own making, and of the transfer it started from."""
    errors = progress.best.evaluate(test)
    as_dict = lambda e: {
        k: round(v, 3) if isinstance(v, float) else v
        for k, v in e._asdict().items()
        if k != "groups"
    }
    return dict(
        recipe=name,
        command=f"tlmlp train --recipe {name}",
        **recipe,
        **progress.best.info,
        best_step=progress.best_step,
        test_errors=as_dict(errors) | {"groups": {k: as_dict(v) for k, v in errors.groups.items()}},
        units="energy meV/atom, force meV/Å, stress GPa",
        minutes_of_the_last_part=round(seconds / 60, 1),
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        date=str(date.today()),
        versions={p: metadata.version(p) for p in ("jax", "dm-haiku", "optax", "ase")},
    )
