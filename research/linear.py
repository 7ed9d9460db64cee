"""The linear potential on all data: resolution and penalty by validation, errors on the test sets.

    python -m research.linear     writes tlmlp/course/rows/linear.jsonl, in five minutes

A fifth of the training structures chooses among CHOICES and CURVATURES, by its force RMSE. The
choice is then fitted to all of them. Lengths of germanium are longer by the lattice ratio.
"""

import json
from dataclasses import asdict, replace

from tlmlp import datasets, linear
from tlmlp.course.results import SHIPPED
from tlmlp.splines import Splines

CHOICES = (Splines(), Splines(cutoff=5.5, n_pair=22), Splines(cutoff=5.5, n_pair=22, n_triple=8))
CURVATURES = (1e-7, 1e-6, 1e-5)
SOURCES = dict(mlearn=datasets.mlearn, dft=datasets.dft)
LONGER = dict(Si=1.0, Ge=1.05)  # lengths of splines, over silicon's


def scaled(splines: Splines, factor: float) -> Splines:
    """The same splines with other lengths."""
    lengths = ("cutoff", "triple_cutoff", "triple_start")
    return replace(splines, **{name: round(getattr(splines, name) * factor, 3) for name in lengths})


def row(source: str, element: str) -> dict:
    """Choice and errors of one data set."""
    train, test = (SOURCES[source](element, split) for split in ("train", "test"))
    rest, valid = datasets.split(train, 0.2, seed=0)
    tried = []
    for choice in CHOICES:
        splines = scaled(choice, LONGER[element])
        known = linear.equations(rest, splines)
        for curvature in CURVATURES:
            rmse = linear.solve(known, curvature).evaluate(valid).force_rmse
            tried.append((rmse, curvature, splines))
    rmse, curvature, splines = min(tried, key=lambda one: one[0])
    potential = linear.fit(train, splines, curvature=curvature)
    errors = potential.evaluate(test)._asdict()
    kept = ("energy_rmse", "force_mae", "force_rmse", "stress_rmse")
    out = dict(table="linear", source=source, element=element, n=len(train))
    out |= asdict(splines) | dict(curvature=curvature, n_weights=potential.n_weights)
    return out | dict(valid_force_rmse=rmse) | {name: errors[name] for name in kept}


if __name__ == "__main__":
    found = [row(source, element) for source in SOURCES for element in LONGER]
    lines = "".join(json.dumps(one) + "\n" for one in found)
    (SHIPPED / "linear.jsonl").write_text(lines, encoding="utf-8")
    print(lines)
