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
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.build import bulk

from .. import datasets
from ..elements import ELEMENTS
from ..sources import SOURCES
from . import defects, mechanics, phases as crystals, transport, vibrations

# name: (words, unit)
PROPERTIES = {
    "lattice_constant": ("lattice constant", "Å"),
    "bulk_modulus": ("bulk modulus", "GPa"),
    "c11": ("C11", "GPa"),
    "c12": ("C12", "GPa"),
    "c44": ("C44", "GPa"),
    "c44_clamped": ("C44, atoms clamped", "GPa"),
    "phonon_gamma": ("phonon Γ, optical", "THz"),
    "phonon_x_low": ("phonon X, lowest", "THz"),
    "phonon_x_high": ("phonon X, highest", "THz"),
    "phonon_l_low": ("phonon L, lowest", "THz"),
    "phonon_l_high": ("phonon L, highest", "THz"),
    "vacancy_unrelaxed": ("vacancy, unrelaxed", "eV"),
    "vacancy": ("vacancy", "eV"),
    "migration": ("vacancy's barrier", "eV"),
    "interstitial": ("interstitial, tetrahedral", "eV"),
    "dumbbell": ("interstitial, dumbbell", "eV"),
    "surface_cut": ("surface (100), as cut", "J/m²"),
    "surface": ("surface (100), dimers", "J/m²"),
    "beta_tin": ("β-tin above diamond", "eV/atom"),
    "sc": ("simple cubic above diamond", "eV/atom"),
    "bcc": ("bcc above diamond", "eV/atom"),
    "fcc": ("fcc above diamond", "eV/atom"),
    "liquid_neighbours": ("liquid, neighbours", ""),
    "liquid_pressure": ("liquid, pressure", "GPa"),
    "liquid_diffusion": ("liquid, diffusion", "Å²/ps"),
    "softening": ("slope of forces, test set", ""),
    "force_r2": ("R² of forces, test set", ""),
}
# VASP, PBE, from mlearn's stresses: the diamond lattice where they vanish, and slopes of stress against strain in its strained cells;
# and neighbours in its liquids, germanium's at 1816 K and silicon's at 2530 K, 20 frames each, ± 0.06. Their pressure, 1.7 and
# 0.3 GPa, is known to 0.2 only.
MLEARN = {
    "Ge": dict(lattice_constant=SOURCES["mlearn"].lattice["Ge"], c11=109.5, c12=40.9, c44_clamped=76.3, liquid_neighbours=5.79),
    "Si": dict(lattice_constant=SOURCES["mlearn"].lattice["Si"], c11=153.6, c12=57.1, c44_clamped=98.9, liquid_neighbours=5.97),
}
NEIGHBOURS = 0.58  # lattice constants: a neighbour in a liquid, near the first minimum of g(r)
VASP, CP2K, DIRECT = "VASP, PBE (mlearn's cells)", "CP2K, PBE (tlmlp.datasets.dft_reference)", "Stillinger-Weber, evaluated directly"
LIQUID = ("liquid_neighbours", "liquid_pressure", "liquid_diffusion")
METHODS = {"scratch": "scratch", "copied": "transfer", "reduced": "transfer, reduced units"}
NULLS = {  # what nothing was trained for on this card
    "Ge": {"copied": "silicon unchanged", "reduced": "silicon, in reduced units"},
    "Si": {"copied": "the potential that transfer starts from"},
}


class Measured(NamedTuple):
    name: str  # of PROPERTIES
    value: float | None  # in its unit; None where there is none
    note: str  # why there is no value, or what to know about it
    seconds: float  # that its computation took, shared by properties computed together


def measure(calculator, element, elastic_at=None, only=None, melt=None):
    """Yields Measured, one for each property that the calculator has of a diamond crystal: a minute or less for a course potential.

    calculator: any of ASE's that knows forces and stress; element: "Si" or "Ge"; elastic_at: Å, a lattice constant to compute
    elastic constants at [default: the calculator's own]; only: names of PROPERTIES to measure; melt: (ase.Atoms of a liquid, its
    temperature in K), such as tlmlp.sources.melt gives, for the properties of the liquid, half a minute more [default: without them].
    What fails has no value but a note. A potential without a diamond crystal has none of the crystal's properties. Networks in
    float32 are good for this: in float64 all values of crystals change by less than 1e-4 of themselves.
    """
    if element not in ELEMENTS:
        raise ValueError(f"element must be one of {', '.join(ELEMENTS)}, not {element!r}")
    if unknown := set(only or ()) - set(PROPERTIES):
        raise ValueError(f"no property {', '.join(sorted(unknown))}; there are {', '.join(PROPERTIES)}")
    never = ("softening", "force_r2") if melt else ("softening", "force_r2", *LIQUID)
    if lost := set(only or ()) & set(never):
        raise ValueError(f"{', '.join(sorted(lost))} cannot be measured on a crystal: those of a liquid need melt, slopes of forces a test set")
    wanted = [name for name in PROPERTIES if name not in never and (only is None or name in only)]
    begun, a = time.perf_counter(), None
    try:
        a = mechanics.lattice_constant(bulk(element, cubic=True, a=ELEMENTS[element].lattice_constant), calculator)
        if not np.isfinite(a):
            a = None
    except (RuntimeError, FloatingPointError, np.linalg.LinAlgError) as error:
        reason = f"no diamond crystal: {error}"
    jobs = () if melt is None else ((LIQUID, lambda: _liquid(calculator, element, *melt)),)
    if a is None:
        yield from (Measured(name, None, reason, 0.0) for name in wanted if name not in LIQUID)
    else:
        jobs = (*_jobs(element, calculator, a, bulk(element, "diamond", a=a, cubic=True), elastic_at), *jobs)
    for names, compute in jobs:
        if not set(names) & set(wanted):
            continue
        try:
            values, notes = compute()
        except (RuntimeError, ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            values, notes = (None,) * len(names), (str(error),) * len(names)
        seconds, begun = time.perf_counter() - begun, time.perf_counter()
        for name, value, note in zip(names, values, notes):
            if value is not None and not np.isfinite(value):
                value, note = None, note or "not a number"
            if name in wanted:
                yield Measured(name, None if value is None else float(value), note, seconds / len(names))


def _liquid(calculator, element, atoms, temperature):
    x = transport.liquid(atoms, calculator, temperature, neighbours=NEIGHBOURS * ELEMENTS[element].lattice_constant)
    note = f"at {temperature:.0f} K"
    return (x.coordination.mean, x.pressure, x.diffusion.coefficient), (note,) * 3


def _jobs(element, calculator, a, cube, elastic_at):
    """(names, function that gives their values and notes) of what is computed together, quick ones first."""
    big = cube.repeat(2)
    relaxed = lambda result, value: (value, "") if result.converged else (None, f"did not relax, {result.force:.2g} eV/Å are left")

    def eos():
        return (mechanics.equation_of_state(cube, calculator, 0.03).bulk_modulus,), ("",)

    def elastic():
        at = cube if elastic_at is None else bulk(element, "diamond", a=elastic_at, cubic=True)
        e = mechanics.elastic(at, calculator, zero_pressure=False, cubic=True)
        note = "" if elastic_at is None else f"at {elastic_at} Å"
        return (e.c11, e.c12, e.c44, e.c44_clamped), (note,) * 4

    def phonons():
        p = vibrations.phonons(cube, calculator, points=5, mesh=8, temperatures=[300.0]).special
        values = p["Γ"][-1], p["X"][0], p["X"][-1], p["L"][0], p["L"][-1]
        return values, tuple("imaginary" if v < -0.05 else "" for v in values)

    def vacancy():
        d = defects.vacancy(big, calculator)
        value, note = relaxed(d, d.energy)
        return (d.unrelaxed, value), ("", note)

    def interstitial(kind):
        d = defects.interstitial(big, calculator, kind)
        value, note = relaxed(d, d.energy)
        return (value,), (note,)

    def migration():
        b = defects.migration(big, calculator)
        value, note = (b.barrier, "") if b.force < 0.1 else (None, f"the band did not settle, {b.force:.2g} eV/Å are left")
        return (value,), (note,)

    def surface():
        s = defects.surface(element, calculator, a, layers=8)
        value, note = relaxed(s, s.energy)
        return (s.unrelaxed, value), ("", note)

    def phases():
        p = crystals.phases(element, calculator, a)
        names = ("beta-tin", "sc", "bcc", "fcc")
        if "diamond" in p.missing:
            raise RuntimeError(p.missing["diamond"])
        return tuple(p.differences.get(n) for n in names), tuple(p.missing.get(n, "") for n in names)

    return (
        (("lattice_constant",), lambda: ((a,), ("",))),
        (("bulk_modulus",), eos),
        (("c11", "c12", "c44", "c44_clamped"), elastic),
        (("phonon_gamma", "phonon_x_low", "phonon_x_high", "phonon_l_low", "phonon_l_high"), phonons),
        (("beta_tin", "sc", "bcc", "fcc"), phases),
        (("vacancy_unrelaxed", "vacancy"), vacancy),
        (("interstitial",), lambda: interstitial("tetrahedral")),
        (("dumbbell",), lambda: interstitial("dumbbell")),
        (("surface_cut", "surface"), surface),
        (("migration",), migration),
    )


def reference(element, source, rows=None):
    """(values {name: number}, words {name: where it is from}) of the truth that a source of data has.

    "stillinger-weber": from the row of tlmlp.sweep.rows("properties") that evaluated it directly. "mlearn": VASP's, and CP2K's where
    mlearn has none: the same functional, but forces in germanium are 5 % softer there (datasets/README.md). "dft": CP2K's, and VASP's
    for the liquid: its trajectories have the volume and the temperature of the liquid that is measured (tlmlp.sources.melt).
    """
    ideal = dict(softening=1.0, force_r2=1.0)
    values, words = dict(ideal), dict.fromkeys(ideal, "a perfect potential")
    if source == "stillinger-weber":
        for row in rows or ():
            if (row["source"], row["method"], row.get("element", "Ge")) == (source, "reference", element):
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
        out |= {name: known["elastic"][name] for name in ("c11", "c12", "c44")} | dict(c44_clamped=known["elastic"]["c44_clamped_ions"])
    if "phonons" in known:
        f = known["phonons"]["frequencies"]
        ends = dict(phonon_gamma=("Γ", -1), phonon_x_low=("X", 0), phonon_x_high=("X", -1), phonon_l_low=("L", 0), phonon_l_high=("L", -1))
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
        """The Line of a property, "scratch", "copied" or "reduced", and a number of structures (0: all; None: untrained)."""
        return next((x for x in self.lines if (x.property, x.method, x.n) == (property, method, n)), None)

    def beside(self, name, measured):
        """The card with one more calculator: an iterable of Measured, or a dict of values."""
        values = measured if isinstance(measured, dict) else {m.name: m.value for m in measured}
        return self._replace(mine=self.mine | {name: values})

    def verdicts(self, method="copied"):
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
            writer.writerow([
                self.element, self.source, PROPERTIES[x.property][0], PROPERTIES[x.property][1], number(self.reference.get(x.property)),
                self.origin.get(x.property, ""), method, "" if x.n is None else x.n or "all", number(x.mean), number(x.spread), len(x.values),
                x.failed, number(x.error), x.verdict, number(x.difference), number(x.margin),
            ])  # fmt: skip
        if path is not None:
            Path(path).write_text(out.getvalue(), encoding="utf-8")
        return out.getvalue()

    def __str__(self):
        if not self.lines:
            return "no precomputed properties yet: tlmlp sweep properties"
        sizes = sorted({x.n for x in self.lines if x.n is not None}, key=lambda n: n or np.inf)
        head = f"{self.element}, {self.source}"
        labels = {name: words + (", " + unit if unit else "") for name, (words, unit) in PROPERTIES.items()}
        width = max(map(len, labels.values()))
        columns = [("scratch", 20)] + [("copied", 34)] * (self.element == "Ge")
        titles = "".join(f"{METHODS[method] + ', ' + str(n or 'all'):>{wide}}" for n in sizes for method, wide in columns)
        out = [f"{head:{width}}{'reference':>10}{titles}"]
        for name, label in labels.items():
            cells = []
            for n in sizes:
                for method, wide in columns:
                    x = self.line(name, method, n)
                    text = _plus_minus(x) + (f" ({x.verdict})" if x is not None and x.verdict else "")
                    cells.append(f"{text:>{wide}}")
            known = self.reference.get(name)
            out.append(f"{label:{width}}{'–' if known is None else _digits(known):>10}" + "".join(cells))
        return "\n".join(out)

    def plot(self, **options):
        from . import plot

        return plot({"": self}, **options)


def _digits(x):
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 20 else f"{x:.2f}" if abs(x) >= 5 else f"{x:.3f}"


def _plus_minus(x):
    if x is None or not len(x.values):
        return "–"
    return _digits(x.mean) + (f" ± {_digits(x.spread)}" if np.isfinite(x.spread) else "")


def card(element="Ge", source="dft", rows=None):
    """Card of the precomputed potentials of a source, "dft" or "stillinger-weber"; empty where none ship.

    That of germanium compares scratch with transfer. That of silicon, where transfer starts, has scratch alone, and the start itself.
    rows: of tlmlp.sweep.rows("properties") [default: those that ship]. Raises ValueError where they hold nothing of this source.
    """
    if rows is None:
        from .. import sweep

        rows = [row for row in sweep.rows("properties") if row["source"] == source]
    if element not in NULLS:
        raise ValueError(f"element must be one of {', '.join(NULLS)}, not {element!r}")
    truth, origin = reference(element, source, rows)
    own = [row for row in rows if (row["source"], row.get("element", "Ge")) == (source, element) and row["method"] != "reference"]
    if rows and not own:
        known = sorted({f"{row.get('element', 'Ge')} on {row['source']}" for row in rows})
        raise ValueError(f"no rows of {element} on {source!r}; there are {', '.join(known)}")
    lines, groups = [], {}
    for row in own:
        groups.setdefault((row["method"], row["n"] if row["steps"] else None), {})[row["seed"]] = row["properties"]
    order = lambda key: (key[1] is not None, key[1] or np.inf, list(METHODS).index(key[0]))  # untrained first, then 10, 50, all
    for name in PROPERTIES:
        for method, n in sorted(groups, key=order):
            seeds = groups[method, n]
            values = {seed: p[name] for seed, p in seeds.items() if p.get(name) is not None}
            rivals = {}
            if method != "scratch" and n is not None:
                rivals = {seed: p.get(name) for seed, p in groups.get(("scratch", n), {}).items()}
            lines.append(_line(name, method, n, values, len(seeds) - len(values), truth.get(name), rivals))
    return Card(element, source, truth, origin, tuple(lines))


def _line(name, method, n, values, failed, truth, rivals):
    numbers = np.array(list(values.values()), float)
    mean, spread = (numbers.mean() if len(numbers) else np.nan), (numbers.std(ddof=1) if len(numbers) > 1 else np.nan)
    error = float(np.abs(numbers - truth).mean()) if truth is not None and len(numbers) else np.nan
    pairs = [(rivals[seed], value) for seed, value in values.items() if rivals.get(seed) is not None]
    word, difference, margin = verdict(*zip(*pairs), truth) if truth is not None and len(pairs) >= 3 else ("", np.nan, np.nan)
    return Line(name, method, n, float(mean), float(spread), tuple(numbers.tolist()), failed, error, word, difference, margin)


def verdict(scratch, transfer, truth):
    """("helped", "hurt" or "no difference", mean of |scratch| - |transfer|, margin) of values paired by seed; see the module."""
    from scipy.stats import t

    d = np.abs(np.asarray(scratch, float) - truth) - np.abs(np.asarray(transfer, float) - truth)
    margin = float(t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5)
    mean = float(d.mean())
    return ("helped" if mean > margin else "hurt" if mean < -margin else "no difference"), mean, margin
