"""Rows that ship: what each precomputed training came to."""

import json
from importlib import resources
from pathlib import Path

import numpy as np

SHIPPED = resources.files("tlmlp") / "course" / "rows"


def read(path):
    """Rows of a file of JSON lines; a last line that was cut off is left out."""
    out = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return out


def rows(name):
    """The rows of a table that ship with the package; empty where none do."""
    path = Path(str(SHIPPED / f"{name}.jsonl"))
    return read(path) if path.is_file() else []


def mean_and_spread(values):
    """(mean, standard deviation of the sample) of numbers; the latter nan for a single one."""
    values = np.asarray(values, float)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def own_best(rows):
    """Of trainings that differ in learning rate or steps, those with what has the smallest errors on validation structures.

    It is chosen once for a method: by the mean logarithm of the error over all sources, sizes and seeds that have tried every
    choice. So no point of a curve has had more choices than another.
    """
    methods = {}
    for row in rows:
        choices = methods.setdefault((row["method"], tuple(row["frozen"])), {})
        choices.setdefault((row["learning_rate"], row["steps"]), {})[
            row["source"], row["n"], row["seed"]
        ] = row
    chosen = []
    for choices in methods.values():
        tried = set.intersection(*map(set, choices.values()))
        error = lambda own: (
            np.mean([np.log(own[k].get("valid_force_rmse") or 1) for k in tried])
            if tried
            else -len(own)
        )
        chosen += min(choices.values(), key=error).values()
    return chosen
