"""Property cards: what a potential says of a crystal nobody trained it on, beside what the reference says.

    for m in measure(calculator, "Ge"):     each property as it comes: name, value, note, seconds
    card("Ge", "dft")                       the table of precomputed potentials, with verdicts

A verdict compares training from scratch with transfer on one property at one number of structures. Two trainings with one seed share
their structures, so their absolute errors are subtracted seed by seed, d = |scratch| - |transfer|, and

    helped             mean(d) > t s / sqrt(S)           s the standard deviation of d over S seeds, t Student's for 95 %
    hurt               mean(d) < -t s / sqrt(S)
    no difference      otherwise: within the spread of the seeds

Of forty such verdicts two are wrong by chance, where nothing differs. A seed counts that has a value from both; without three of
them there is no verdict.
"""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import datasets
from ..properties.measured import LIQUID, PROPERTIES
from . import results
from .sources import SOURCES

# VASP, PBE, from mlearn's stresses: the diamond lattice where they vanish, and slopes of stress against strain in its strained cells;
# and neighbours in its liquids, germanium's at 1816 K and silicon's at 2530 K, 20 frames each, ± 0.06. Their pressure, 1.7 and
# 0.3 GPa, is known to 0.2 only.
MLEARN = {
    "Ge": dict(
        lattice_constant=SOURCES["mlearn"].lattice["Ge"],
        c11=109.5,
        c12=40.9,
        c44_clamped=76.3,
        liquid_neighbours=5.79,
    ),
    "Si": dict(
        lattice_constant=SOURCES["mlearn"].lattice["Si"],
        c11=153.6,
        c12=57.1,
        c44_clamped=98.9,
        liquid_neighbours=5.97,
    ),
}


VASP, CP2K, DIRECT = (
    "VASP, PBE (mlearn's cells)",
    "CP2K, PBE (tlmlp.datasets.dft_reference)",
    "Stillinger-Weber, evaluated directly",
)


METHODS = {"scratch": "scratch", "transfer": "transfer", "reduced": "transfer, reduced units"}
NULLS = {  # what nothing was trained for on this card
    "Ge": {"transfer": "silicon unchanged", "reduced": "silicon, in reduced units"},
    "Si": {"transfer": "the potential that transfer starts from"},
}


def reference(element, source, rows=None):
    """(values {name: number}, words {name: where it is from}) of the truth that a source of data has.

    "stillinger-weber": from the row of tlmlp.results.rows("properties") that evaluated it directly. "mlearn": VASP's, and CP2K's where
    mlearn has none: the same functional, but forces in germanium are 5 % softer there (datasets/README.md). "dft": CP2K's, and VASP's
    for the liquid: its trajectories have the volume and the temperature of the liquid that is measured (tlmlp.sources.melt).
    """
    ideal = dict(softening=1.0, force_r2=1.0)
    values, words = dict(ideal), dict.fromkeys(ideal, "a perfect potential")
    if source == "stillinger-weber":
        for row in rows or ():
            if (row["source"], row["method"], row.get("element", "Ge")) == (
                source,
                "reference",
                element,
            ):
                values |= {k: v for k, v in row["properties"].items() if v is not None}
        return values, {name: words.get(name, DIRECT) for name in values}
    own = _from_cp2k(element)
    values |= own
    words |= dict.fromkeys(own, CP2K)
    vasp = {k: v for k, v in MLEARN[element].items() if source == "mlearn" or k in LIQUID}
    return values | vasp, words | dict.fromkeys(vasp, VASP)


def _from_cp2k(element):
    try:
        known = datasets.dft_reference(element)
    except FileNotFoundError:
        return {}
    out = {}
    if "eos" in known:
        out |= {name: known["eos"][name] for name in ("lattice_constant", "bulk_modulus")}
    if "elastic" in known:
        out |= {name: known["elastic"][name] for name in ("c11", "c12", "c44")} | dict(
            c44_clamped=known["elastic"]["c44_clamped_ions"]
        )
    if "phonons" in known:
        f = known["phonons"]["frequencies"]
        ends = dict(
            phonon_gamma=("Γ", -1),
            phonon_x_low=("X", 0),
            phonon_x_high=("X", -1),
            phonon_l_low=("L", 0),
            phonon_l_high=("L", -1),
        )
        out |= {name: sorted(f[point])[k] for name, (point, k) in ends.items()}
    if "vacancy" in known:
        out |= {name: known["vacancy"][name] for name in ("vacancy", "vacancy_unrelaxed")}
    return out


# -- the card ----------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One property by one method with one number of structures."""

    property: str  # of PROPERTIES
    method: str  # of METHODS, or of NULLS with n = None
    n: int | None  # training structures; 0: all
    mean: float  # over seeds, in the property's unit
    spread: float  # standard deviation over seeds; nan for one
    values: tuple  # of each seed that has one
    failed: int  # seeds without a value
    error: float  # mean absolute error against the reference; nan without one
    verdict: str  # of transfer against scratch: "helped", "no difference", "hurt"; "" where there is none
    difference: float  # mean of |scratch| - |transfer| over seeds; nan without
    margin: float  # t s / sqrt(S) of the rule


class Card(NamedTuple):
    element: str
    source: str
    reference: dict  # value of each property that has one
    origin: dict  # where it is from, in words
    lines: tuple  # of Line
    mine: dict = {}  # {name: {property: value}} of calculators that were put beside

    def line(self, property, method, n):
        """The Line of a property, "scratch", "transfer" or "reduced", and a number of structures (0: all; None: untrained)."""
        return next(
            (x for x in self.lines if (x.property, x.method, x.n) == (property, method, n)), None
        )

    def beside(self, name, measured):
        """The card with one more calculator: an iterable of Measured, or a dict of values."""
        values = measured if isinstance(measured, dict) else {m.name: m.value for m in measured}
        return self._replace(mine=self.mine | {name: values})

    def verdicts(self, method="transfer"):
        """How often transfer helped, made no difference and hurt: {n: {verdict: properties}}."""
        out = {}
        for x in self.lines:
            if x.method == method and x.verdict:
                out.setdefault(x.n, {}).setdefault(x.verdict, []).append(x.property)
        return out

    def csv(self, path=None):
        """The table as CSV: written to `path`, where one is given; returns its text."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(
            "element source property unit reference origin method structures mean spread seeds failed mean_absolute_error verdict "
            "difference margin".split()
        )
        number = lambda x: "" if x is None or not np.isfinite(x) else f"{x:.6g}"
        for x in self.lines:
            method = NULLS[self.element][x.method] if x.n is None else METHODS[x.method]
            writer.writerow(
                [
                    self.element,
                    self.source,
                    PROPERTIES[x.property][0],
                    PROPERTIES[x.property][1],
                    number(self.reference.get(x.property)),
                    self.origin.get(x.property, ""),
                    method,
                    "" if x.n is None else x.n or "all",
                    number(x.mean),
                    number(x.spread),
                    len(x.values),
                    x.failed,
                    number(x.error),
                    x.verdict,
                    number(x.difference),
                    number(x.margin),
                ]
            )
        if path is not None:
            Path(path).write_text(out.getvalue(), encoding="utf-8")
        return out.getvalue()

    def __str__(self):
        if not self.lines:
            return "no precomputed properties yet: tlmlp sweep properties"
        sizes = sorted({x.n for x in self.lines if x.n is not None}, key=lambda n: n or np.inf)
        head = f"{self.element}, {self.source}"
        labels = {
            name: words + (", " + unit if unit else "")
            for name, (words, unit) in PROPERTIES.items()
        }
        width = max(map(len, labels.values()))
        columns = [("scratch", 20)] + [("transfer", 34)] * (self.element == "Ge")
        titles = "".join(
            f"{METHODS[method] + ', ' + str(n or 'all'):>{wide}}"
            for n in sizes
            for method, wide in columns
        )
        out = [f"{head:{width}}{'reference':>10}{titles}"]
        for name, label in labels.items():
            cells = []
            for n in sizes:
                for method, wide in columns:
                    x = self.line(name, method, n)
                    text = _plus_minus(x) + (
                        f" ({x.verdict})" if x is not None and x.verdict else ""
                    )
                    cells.append(f"{text:>{wide}}")
            known = self.reference.get(name)
            out.append(
                f"{label:{width}}{'–' if known is None else _digits(known):>10}" + "".join(cells)
            )
        return "\n".join(out)

    def plot(self, **options):
        from . import plot

        return plot({"": self}, **options)


def _digits(x):
    return (
        f"{x:.0f}"
        if abs(x) >= 100
        else f"{x:.1f}"
        if abs(x) >= 20
        else f"{x:.2f}"
        if abs(x) >= 5
        else f"{x:.3f}"
    )


def _plus_minus(x):
    if x is None or not len(x.values):
        return "–"
    return _digits(x.mean) + (f" ± {_digits(x.spread)}" if np.isfinite(x.spread) else "")


def card(element="Ge", source="dft", rows=None):
    """Card of the precomputed potentials of a source, "dft" or "stillinger-weber"; empty where none ship.

    That of germanium compares scratch with transfer. That of silicon, where transfer starts, has scratch alone, and the start itself.
    rows: of tlmlp.results.rows("properties") [default: those that ship]. Raises ValueError where they hold nothing of this source.
    """
    if rows is None:
        rows = [row for row in results.rows("properties") if row["source"] == source]
    if element not in NULLS:
        raise ValueError(f"element must be one of {', '.join(NULLS)}, not {element!r}")
    truth, origin = reference(element, source, rows)
    own = [
        row
        for row in rows
        if (row["source"], row.get("element", "Ge")) == (source, element)
        and row["method"] != "reference"
    ]
    if rows and not own:
        known = sorted({f"{row.get('element', 'Ge')} on {row['source']}" for row in rows})
        raise ValueError(f"no rows of {element} on {source!r}; there are {', '.join(known)}")
    lines, groups = [], {}
    for row in own:
        groups.setdefault((row["method"], row["n"] if row["steps"] else None), {})[row["seed"]] = (
            row["properties"]
        )
    order = lambda key: (
        key[1] is not None,
        key[1] or np.inf,
        list(METHODS).index(key[0]),
    )  # untrained first, then 10, 50, all
    for name in PROPERTIES:
        for method, n in sorted(groups, key=order):
            seeds = groups[method, n]
            values = {seed: p[name] for seed, p in seeds.items() if p.get(name) is not None}
            rivals = {}
            if method != "scratch" and n is not None:
                rivals = {seed: p.get(name) for seed, p in groups.get(("scratch", n), {}).items()}
            lines.append(
                _line(name, method, n, values, len(seeds) - len(values), truth.get(name), rivals)
            )
    return Card(element, source, truth, origin, tuple(lines))


def _line(name, method, n, values, failed, truth, rivals):
    numbers = np.array(list(values.values()), float)
    mean, spread = (
        (numbers.mean() if len(numbers) else np.nan),
        (numbers.std(ddof=1) if len(numbers) > 1 else np.nan),
    )
    error = float(np.abs(numbers - truth).mean()) if truth is not None and len(numbers) else np.nan
    pairs = [
        (rivals[seed], value) for seed, value in values.items() if rivals.get(seed) is not None
    ]
    word, difference, margin = (
        verdict(*zip(*pairs), truth)
        if truth is not None and len(pairs) >= 3
        else ("", np.nan, np.nan)
    )
    return Line(
        name,
        method,
        n,
        float(mean),
        float(spread),
        tuple(numbers.tolist()),
        failed,
        error,
        word,
        difference,
        margin,
    )


def verdict(scratch, transfer, truth):
    """("helped", "hurt" or "no difference", mean of |scratch| - |transfer|, margin) of values paired by seed; see the module."""
    from scipy.stats import t

    d = np.abs(np.asarray(scratch, float) - truth) - np.abs(np.asarray(transfer, float) - truth)
    margin = float(t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5)
    mean = float(d.mean())
    return (
        ("helped" if mean > margin else "hurt" if mean < -margin else "no difference"),
        mean,
        margin,
    )
