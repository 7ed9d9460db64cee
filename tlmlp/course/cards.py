"""Property cards: what trained potentials predict beside the reference, and what transfer changed.

A verdict compares scratch with transfer on one property at one number of structures. Two trainings
with one seed share their structures. So their absolute errors are subtracted seed by seed,
d = |scratch| - |transfer|. With s the standard deviation of d over S seeds, and t Student's, 95 %:

    helped             mean(d) > t s / sqrt(S)
    hurt               mean(d) < -t s / sqrt(S)
    no difference      otherwise: within the spread of the seeds

Of forty such verdicts two are wrong by chance, where nothing differs. A seed counts that has a
value from both. With fewer than three of them there is no verdict.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .. import datasets
from ..properties.measured import LIQUID, PROPERTIES
from ..refusal import one_of, refuse
from . import results
from .results import METHODS
from .sources import SOURCES

# VASP, PBE, from mlearn's files: the slopes of stress against strain in its strained cells (GPa),
# and neighbours in its liquids, germanium's at 1816 K and silicon's at 2530 K, 20 frames each, to
# 0.06. Their pressure, 1.7 and 0.3 GPa, is only known to 0.2.
MLEARN = {
    "Ge": dict(c11=109.5, c12=40.9, c44_clamped=76.3, liquid_neighbours=5.79),
    "Si": dict(c11=153.6, c12=57.1, c44_clamped=98.9, liquid_neighbours=5.97),
}
VASP = "VASP, PBE (mlearn's cells)"
CP2K = "CP2K, PBE (tlmlp.datasets.dft_reference)"
DIRECT = "Stillinger-Weber, evaluated directly"
# What nothing was trained for on the card of an element: silicon's potential.
NULLS = {"Ge": "silicon unchanged", "Si": "the potential that transfer starts from"}


def reference(element: str, source: str, rows: Iterable[dict] = ()) -> tuple[dict, dict]:
    """({property: value}, {property: where it is from}) of the reference that a source has.

    "stillinger-weber": the potential itself, from its row among `rows`. "mlearn": VASP's values,
    and CP2K's where mlearn has none; it is the same functional, but forces in germanium are 5 %
    softer there (research/dft/README.md). "dft": CP2K's, and VASP's for the liquid, whose volume
    and temperature are those of the liquid that is measured (sources.melt).
    """
    values = dict(softening=1.0, force_r2=1.0)
    origin = dict.fromkeys(values, "a perfect potential")
    if source == "stillinger-weber":
        for row in rows:
            if (row["source"], row["method"], row["element"]) == (source, "reference", element):
                values |= {name: v for name, v in row["properties"].items() if v is not None}
        return values, dict.fromkeys(values, DIRECT) | origin
    known = datasets.dft_reference(element)
    names = dict(eos="lattice_constant bulk_modulus", elastic="c11 c12 c44")
    names |= dict(vacancy="vacancy vacancy_unrelaxed")
    cp2k = {name: known[part][name] for part, own in names.items() for name in own.split()}
    cp2k |= dict(c44_clamped=known["elastic"]["c44_clamped_ions"])
    point = {p: sorted(f) for p, f in known["phonons"]["frequencies"].items()}
    cp2k |= dict(phonon_x_low=point["X"][0], phonon_x_high=point["X"][-1])
    cp2k |= dict(phonon_l_low=point["L"][0], phonon_l_high=point["L"][-1])
    cp2k |= dict(phonon_gamma=point["Γ"][-1])
    vasp = MLEARN[element] | dict(lattice_constant=SOURCES["mlearn"].lattice[element])
    if source == "dft":
        vasp = {name: value for name, value in vasp.items() if name in LIQUID}
    origin |= dict.fromkeys(cp2k, CP2K) | dict.fromkeys(vasp, VASP)
    return values | cp2k | vasp, origin


class Line(NamedTuple):
    """One property by one method with one number of structures."""

    property: str  # of PROPERTIES
    method: str  # of METHODS, or of NULLS with n = None
    n: int | None  # training structures; 0: all
    mean: float  # over seeds, in the property's unit
    spread: float  # standard deviation over seeds; nan for one
    values: tuple[float, ...]  # of each seed that has one
    failed: int  # seeds without a value
    error: float  # mean absolute error against the reference; nan without one
    verdict: str  # on transfer: "helped", "no difference", "hurt"; "" where there is none
    difference: float  # mean of |scratch| - |transfer| over seeds; nan without
    margin: float  # t s / sqrt(S) of the rule


class Card(NamedTuple):
    """Properties of an element by the precomputed potentials of a source."""

    element: str
    source: str
    reference: dict  # value of each property that has one
    origin: dict  # where it is from, in words
    lines: tuple[Line, ...]
    mine: dict = {}  # {name: {property: value}} of calculators that were put beside

    def line(self, property: str, method: str, n: int | None) -> Line | None:
        """The Line of a property, a method and a number of structures (0: all; None: untrained)."""
        wanted = (property, method, n)
        return next((x for x in self.lines if (x.property, x.method, x.n) == wanted), None)

    def beside(self, name: str, measured) -> "Card":
        """The card with one more calculator: an iterable of Measured, or a dict of values."""
        values = measured if isinstance(measured, dict) else {m.name: m.value for m in measured}
        return self._replace(mine=self.mine | {name: values})

    def verdicts(self, method: str = "transfer") -> dict[int, dict[str, list[str]]]:
        """Names of the properties with each verdict: {n: {verdict: names}}."""
        out: dict = {}
        for x in self.lines:
            if x.method == method and x.verdict:
                out.setdefault(x.n, {}).setdefault(x.verdict, []).append(x.property)
        return out

    def __repr__(self):
        if not self.lines:
            return "no precomputed properties yet: python -m research.sweep properties"
        counts = {n: {word: len(v) for word, v in x.items()} for n, x in self.verdicts().items()}
        words = f"; verdicts on transfer: {counts}" if counts else ""
        words = f"{SOURCES[self.source].words}{words}. tlmlp.show.plot draws it."
        return f"card of {self.element}, {words}"


def card(element: str = "Ge", source: str = "dft", rows: list[dict] | None = None) -> Card:
    """Card of the precomputed potentials of a source, "dft" or "stillinger-weber".

    That of germanium compares scratch with transfer. That of silicon, where transfer starts, has
    scratch alone, and the start itself. rows: of the table "properties" [default: those that ship].
    Raises ValueError for an unknown element, and for rows that hold nothing of it.
    """
    one_of("element", element, NULLS)
    one_of("source", source, SOURCES)
    if rows is None:
        rows = [row for row in results.rows("properties") if row["source"] == source]
    groups: dict = {}
    for row in rows:
        if (row["source"], row["element"]) == (source, element) and row["method"] != "reference":
            key = row["method"], row["n"] if row["steps"] else None
            groups.setdefault(key, {})[row["seed"]] = row["properties"]
    known = ", ".join(sorted({f"{row['element']} on {row['source']}" for row in rows}))
    refuse(rows and not groups, f"no rows of {element} on {source!r}; there are {known}")
    # untrained first, then 10, 50, all
    order = lambda key: (key[1] is not None, key[1] or np.inf, METHODS.index(key[0]))
    values, origin = reference(element, source, rows)
    lines = []
    for name in PROPERTIES:
        for method, n in sorted(groups, key=order):
            rivals = {} if method == "scratch" or n is None else groups.get(("scratch", n), {})
            lines.append(_line(name, method, n, groups[method, n], rivals, values.get(name)))
    return Card(element, source, values, origin, tuple(lines))


def _line(name, method, n, seeds, rivals, known):
    values = {seed: float(p[name]) for seed, p in seeds.items() if p.get(name) is not None}
    numbers, error, judged = tuple(values.values()), np.nan, ("", np.nan, np.nan)
    mean, spread = results.mean_and_spread(numbers) if values else (np.nan, np.nan)
    other = {seed: p[name] for seed, p in rivals.items() if p.get(name) is not None}
    pairs = [(other[seed], value) for seed, value in values.items() if seed in other]
    if known is not None and values:
        error = float(np.abs(np.array(numbers) - known).mean())
    if known is not None and len(pairs) >= 3:
        judged = verdict(*zip(*pairs), known)
    failed = len(seeds) - len(values)
    return Line(name, method, n, mean, spread, numbers, failed, error, *judged)


def verdict(scratch: Sequence[float], transfer: Sequence[float], known: float) -> tuple:
    """(word, mean of d, margin) of values paired by seed against a known value; see the module."""
    from scipy.stats import t

    d = np.abs(np.asarray(scratch, float) - known) - np.abs(np.asarray(transfer, float) - known)
    mean, margin = float(d.mean()), float(t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5)
    word = "helped" if mean > margin else "hurt" if mean < -margin else "no difference"
    return word, mean, margin
