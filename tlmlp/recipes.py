"""Recipes: how every potential that ships was trained, and the one way to train it again.

A recipe is a table in weights/recipes.toml. A potential's header holds it and the errors reached.
"""

import os
import platform
import time
import tomllib
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path

from ase import Atoms

from . import datasets, transfer
from .dimenet import Config
from .potential import WEIGHTS, Errors, Potential
from .refusal import refuse
from .settings import Weights
from .train import Progress, fit

FIT = ("steps", "learning_rate", "average", "batch_size", "seed")  # passed on to fit


def recipes() -> dict[str, dict]:
    """All recipes by name, each complete."""
    tables = tomllib.loads((WEIGHTS / "recipes.toml").read_text(encoding="utf-8"))
    defaults = tables.pop("defaults")
    return {name: defaults | own for name, own in tables.items()}


def recipe(name: str) -> dict:
    """One recipe; ValueError names those that exist."""
    known = recipes()
    refuse(name not in known, f"no recipe {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def frames(recipe: dict) -> tuple[list[Atoms], list[Atoms] | None, list[Atoms]]:
    """(train, valid, test) of a recipe; valid is None where nothing is held out."""
    source, element = recipe["data"].split(":")
    several = element.split("+")
    if source == "stillinger-weber":
        train, test = _stillinger_weber(element, recipe)
    else:
        read = lambda part: [a for e in several for a in getattr(datasets, source)(e, part)]
        train, test = read("train"), read("test")
    if "n" in recipe:
        train = datasets.subset(train, recipe["n"], recipe["seed"])
    if recipe["valid"]:
        return *datasets.split(train, recipe["valid"], recipe["seed"]), test
    return train, None, test


def _stillinger_weber(element: str, recipe: dict) -> tuple[list[Atoms], list[Atoms]]:
    """(train, test): the frames that ship where the recipe asks for these, else sampled anew."""
    n, seed, temperatures = recipe["frames"], recipe["seed"], recipe["temperatures"]
    train, test = datasets.stillinger_weber_shipped(element)
    if (len(train), {a.info["temperature"] for a in train}, 0) == (n, set(temperatures), seed):
        return train, test
    sample = lambda n, seed: datasets.stillinger_weber(element, n, tuple(temperatures), seed)
    return sample(n, seed), sample(n // 4, seed + 1000)


def run(name: str, checkpoint: str | Path | None = None) -> Iterator[Progress]:
    """Train a recipe; `checkpoint` is a file to resume from, see `tlmlp.fit`.

    Yields the Progress of fit, the last one with `.best` as it should be saved, header complete.
    """
    r = recipe(name)
    train, valid, test = frames(r)
    if "start" in r:
        start, units = Potential.load(r["start"]), (r["reduced_units"], r.get("lattice_ratio"))
        potential = transfer.start(start, r["data"].split(":")[1], train, *units)
    else:
        config = Config(r["config"], **{key: r[key] for key in ("cutoff",) if key in r})
        potential = Potential.create(config, r.get("elements", ("Si", "Ge")), r["seed"])
    settings = {key: r[key] for key in FIT if key in r}
    settings |= {key: Weights(**r[key]) for key in ("weights", "final_weights") if key in r}
    started = time.perf_counter()
    for last in fit(potential, train, valid, checkpoint=checkpoint, **settings):
        if last.step < last.steps:
            yield last
    yield last._replace(best=last.best.replace(info=header(name, r, last, test, started)))


def header(name: str, recipe: dict, last: Progress, test: list[Atoms], started: float) -> dict:
    """What a file of weights says of its own making, and of the transfer it started from."""
    errors, made = last.best.evaluate(test), circumstances(started, "dm-haiku", "optax", "ase")
    groups = {name: _rounded(own) for name, own in errors.groups.items()}
    about = dict(recipe=name, command=f"tlmlp train --recipe {name}", **recipe, **last.best.info)
    about |= dict(best_step=last.best_step, test_errors=_rounded(errors) | dict(groups=groups))
    about |= dict(units="energy meV/atom, force meV/Å, stress GPa")
    return about | dict(minutes_of_the_last_part=round(made.pop("seconds") / 60, 1), **made)


def _rounded(errors: Errors) -> dict:
    values = {key: value for key, value in errors._asdict().items() if key != "groups"}
    return {key: round(v, 3) if isinstance(v, float) else v for key, v in values.items()}


def circumstances(started: float, *packages: str) -> dict:
    """How a result came about: seconds since `started` of perf_counter, machine, date, versions."""
    seconds = round(time.perf_counter() - started, 1)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    versions = {package: metadata.version(package) for package in ("jax", *packages)}
    return dict(seconds=seconds, machine=machine, date=str(date.today()), versions=versions)
