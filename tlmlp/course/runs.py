"""Sweeps: many independent trainings, on as many cores or machines as there are.

A run is a dict that says all of one training; its row is the same dict with what came out. Runs know nothing of each other: a list
of them goes through `dask.distributed`, each row is written the moment it is there, and a file that holds some rows already
makes the same command do the rest.

    table("learning-curve")       the runs of one table
    execute(runs, "rows.jsonl")   do those that the file does not hold yet; yields rows
    rows("learning-curve")        the rows that ship with the package

Test structures take part in nothing but the errors that are reported.
"""

import json
from functools import lru_cache

import numpy as np

from .. import datasets, graph as graphs, transfer
from ..potential import Potential
from ..train import Weights, fit
from .sources import SOURCES, data, hottest

SILICON = {name: source.silicon for name, source in SOURCES.items()}  # where a transfer starts
SIZES = (5, 10, 20, 50, 100, 0)  # training structures; 0: all
METHODS = (
    "scratch",
    "transfer",
    "reduced",
)  # random weights; silicon's; silicon's in germanium's units
RATES = dict(
    scratch=3e-3, transfer=1e-3, reduced=1e-3
)  # of 1e-3 and 3e-3 the better by validation errors of "own-best"
LONG = dict(steps=12800, validation=0.2)  # each side at its own best
POINTS = 16  # of a curve of test errors
FIT = dict(
    weights=Weights(energy=2.0, stress=0.01),
    final_weights=Weights(energy=50.0, stress=0.1),
    average=0.99,
)


RUN = dict(
    source="dft",  # of the data, and of what its silicon learned: see SILICON
    element="Ge",  # that is trained; "Si" has no transfer, only scratch and what SILICON names
    method="scratch",
    n=10,  # training structures, validation included; 0: all
    seed=0,  # of the subset, the weights, the order
    steps=800,  # gradient steps, one structure each
    learning_rate=2e-3,
    frozen=(),  # groups
    validation=0.0,  # share of the n structures held out, to choose the best step by
    phase=None,  # "crystal" or "liquid": train on these alone, without the group "High energy"
    hot=0,  # of the n structures, how many are of the highest energy there is, whatever the phase
    cutoff=None,  # "short" or "long": see CUTOFFS; None: the method's own
)
# Copied weights and random ones look as far as silicon's network does, 4.5 Å; in germanium's units that has grown to 4.76 Å.
# "short" brings a reduced start to 4.5 Å, from a silicon trained with 4.25 Å; "long" brings random weights to 4.76 Å.
CUTOFFS = {"short": "reduced", "long": "scratch"}


def run(**changes):
    """A run, complete: RUN with some values changed. ValueError for a name or a value that does not exist."""
    if set(changes) - set(RUN):
        raise ValueError(
            f"a run has no {', '.join(sorted(set(changes) - set(RUN)))}; it has {', '.join(RUN)}"
        )
    out = RUN | changes
    for key, allowed in dict(
        source=tuple(SILICON), method=(*METHODS, "reference"), phase=(None, "crystal", "liquid")
    ).items():
        if out[key] not in allowed:
            raise ValueError(
                f"{key} must be one of {', '.join(map(str, allowed))}, not {out[key]!r}"
            )
    if out["element"] not in ("Ge", "Si"):
        raise ValueError(f"element must be one of Ge, Si, not {out['element']!r}")
    if (
        out["element"] == "Si"
        and out["method"] not in ("scratch", "reference")
        and not (out["method"] == "transfer" and out["steps"] == 0)
    ):
        raise ValueError(
            "silicon is where transfer starts: train it from scratch, or take it as it is with method 'copied' and no steps"
        )
    if not 0 <= out["hot"] <= (out["n"] or out["hot"]):
        raise ValueError(
            f"hot must be a share of the n = {out['n']} structures, not {out['hot']!r}"
        )
    if out["cutoff"] is not None and CUTOFFS.get(out["cutoff"]) != out["method"]:
        pairs = " and ".join(f"{c} with {m}" for c, m in CUTOFFS.items())
        raise ValueError(
            f"cutoff must be None, or {pairs}, not {out['cutoff']!r} with {out['method']}"
        )
    return out | {"frozen": list(out["frozen"])}


def key(row):
    """What identifies a run, of a run or of its row."""
    return json.dumps({name: row.get(name, RUN[name]) for name in RUN}, sort_keys=True)


# -- one run -----------------------------------------------------------------------------------------------------------


@lru_cache
def _shapes(source, element, elements, config, most):
    """Padded shapes that hold all structures of a source, so that all its runs share one program."""
    train, test = data(source, element)
    return graphs.shapes_of(train + test, elements, config.cutoff, most)


def silicon(run):
    """The silicon potential that a run starts from, or whose shape it has."""
    return Potential.load(SILICON[run["source"]] + ("-short" if run["cutoff"] == "short" else ""))


def lattice_ratio(run, source):
    """Germanium's lattice constant in a source of data over that of a silicon potential."""
    return SOURCES[run["source"]].lattice["Ge"] / transfer.lattice_constant(source)


def begin(run, most=3):
    """(potential before training, train, valid, shapes, at most `most` of them) of a run."""
    element = run["element"]
    everything, _ = data(run["source"], element)
    train = everything
    if run["phase"]:
        calm = [atoms for atoms in train if atoms.info["group"] != "High energy"]
        train = [atoms for atoms in calm if atoms.info["phase"] == run["phase"]]
    if run["n"]:
        train = (
            datasets.subset(train, run["n"] - run["hot"], run["seed"])
            if run["n"] > run["hot"]
            else []
        )
    if run["hot"]:
        train = train + datasets.subset(hottest(everything), run["hot"], run["seed"])
    fitted, valid = train, None
    if run["validation"]:
        # by frames with forces: a strained crystal has none, and nothing could ever be better than its first validation
        moving = [atoms for atoms in train if np.abs(atoms.get_forces()).max() > 1e-3]
        valid = datasets.subset(moving, max(1, round(run["validation"] * len(train))), run["seed"])
        fitted = [atoms for atoms in train if not any(atoms is v for v in valid)]
    source = silicon(run)
    if run["method"] == "scratch":
        config = source.config
        if run["cutoff"]:
            config = transfer.rescale(source, lattice_ratio(run, source), 1.0).config
        potential = Potential.create(config, source.elements, run["seed"])
        return (
            potential,
            fitted,
            valid,
            _shapes(run["source"], element, source.elements, potential.config, most),
        )
    if element == "Si":
        return (
            source,
            fitted,
            valid,
            _shapes(run["source"], element, source.elements, source.config, most),
        )
    reduced = run["method"] == "reduced"
    ratio = (
        lattice_ratio(run, source) if reduced else None
    )  # first: shapes hang on the cutoff, and the cutoff on it
    config = transfer.rescale(source, ratio, 1.0).config if reduced else source.config
    shapes = _shapes(run["source"], element, source.elements, config, most)
    return (
        transfer.start(source, element, fitted, reduced, ratio, shapes=shapes),
        fitted,
        valid,
        shapes,
    )


def train(run, potential, fitted, valid, shapes):
    """`fit` with the settings of a run, begun; yields 16 Progress, or 64 where it validates."""
    every = max(1, run["steps"] // (64 if valid else POINTS))
    mask = transfer.freeze(potential, run["frozen"]) if run["frozen"] else None
    yield from fit(
        potential,
        fitted,
        valid,
        steps=run["steps"],
        trainable=mask,
        seed=run["seed"],
        shapes=shapes,
        learning_rate=run["learning_rate"],
        report_every=every,
        validate_every=every,
        **FIT,
    )


def as_silicon(potential, source):
    """A transferred potential as it speaks of silicon: what is in germanium's units is taken back to those of its `source`."""
    scale = potential.info["transfer"]
    back = transfer.rescale(potential, 1 / scale["length"], 1 / scale["energy"])
    # 4.5 Å times s over s need not be 4.5 Å to the last bit, and would be compiled anew
    return back.replace(config=source.config, trained=source.trained)


# -- many runs -----------------------------------------------------------------------------------------------------------
