"""Rows that ship: what each precomputed training came to.

A row is a dict: the fields of its Run (see runs) and what came out, such as

    force_mae, force_rmse     errors on the test structures of its source, meV/Å
    energy_rmse               meV/atom
    curve                     [[step, force MAE, force RMSE, energy RMSE], ...]
"""

import json
from collections.abc import Sequence
from importlib import resources

import numpy as np

SHIPPED = resources.files("tlmlp") / "course" / "rows"
SIZES = (5, 10, 20, 50, 100, 0)  # training structures; 0: all
SOURCE = ("source", "row")  # what a transfer has and scratch has not
# Random weights; silicon's weights; silicon's weights in germanium's units.
METHODS = ("scratch", "transfer", "reduced")


def rows(name: str) -> list[dict]:
    """The rows of a table that ship with the package; empty where none do."""
    path = SHIPPED / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else ()
    return [json.loads(line) for line in lines]


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """(mean, standard deviation of the sample) of numbers; the latter nan for a single one."""
    spread = float(np.std(np.asarray(values, float), ddof=1)) if len(values) > 1 else float("nan")
    return float(np.mean(np.asarray(values, float))), spread


def gains_of(rows: list[dict], keys: tuple[str, ...]) -> dict[tuple, list[tuple[float, float]]]:
    """{(values of keys, method): [(gain, error before training over the mean force), ...]}.

    The gain is the force MAE of scratch over that of a transfer, for each seed that has both. A
    transfer to a target is compared with the scratch of this target, whatever its source.
    """
    of = lambda row: tuple(row[k] for k in (*keys, "n", "seed", "steps") if k not in SOURCE)
    scratch = {of(row): row["force_mae"] for row in rows if row["method"] == "scratch"}
    out: dict[tuple, list] = {}
    for row in rows:
        if row["method"] != "scratch" and of(row) in scratch:
            pair = scratch[of(row)] / row["force_mae"], row["before"] / row["force"]
            out.setdefault((tuple(row[k] for k in keys), row["method"]), []).append(pair)
    return out


def own_best(rows: list[dict]) -> list[dict]:
    """Of trainings that differ in learning rate or steps, those that validate best.

    The choice is made once for a method and its frozen groups: by the mean logarithm of the
    validation error over all sources, sizes and seeds that have tried every choice. So no
    point of a curve has had more choices than another.
    """
    methods: dict = {}
    for row in rows:
        choices = methods.setdefault((row["method"], tuple(row["frozen"])), {})
        tried = choices.setdefault((row["learning_rate"], row["steps"]), {})
        tried[row["source"], row["n"], row["seed"]] = row
    chosen = []
    for choices in methods.values():
        tried = set.intersection(*map(set, choices.values()))

        def error(own, tried=tried):
            errors = [own[key].get("valid_force_rmse") or 1 for key in tried]
            return np.mean(np.log(errors)) if errors else -len(own)

        chosen += min(choices.values(), key=error).values()
    return chosen
