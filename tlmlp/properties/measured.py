"""All properties of a diamond crystal by one calculator, one after the other."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from ..crystal import lattice_constant
from ..elements import ELEMENTS
from ..refusal import is_whole, one_of, refuse
from . import defects, mechanics, transport, vibrations

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
ELASTIC = ("c11", "c12", "c44", "c44_clamped")
PHONONS = ("phonon_gamma", "phonon_x_low", "phonon_x_high", "phonon_l_low", "phonon_l_high")
LIQUID = ("liquid_neighbours", "liquid_pressure", "liquid_diffusion")
OF_FORCES = ("softening", "force_r2")  # of a test set, which `measure` does not have
# Lattice constants within which atoms of a liquid are neighbours, near the first minimum of g(r).
NEIGHBOURS = 0.58
FAILURES = (RuntimeError, FloatingPointError, np.linalg.LinAlgError)


class Measured(NamedTuple):
    name: str  # of PROPERTIES
    value: float | None  # in its unit; None where there is none
    note: str  # why there is no value, or what is special about it
    seconds: float  # of its computation; of properties computed together, an equal part


def measure(
    calculator: Calculator,
    element: str,
    elastic_at: float | None = None,
    only: Iterable[str] | None = None,
    melt: tuple[Atoms, float] | None = None,
    starts: int = 1,
) -> Iterator[Measured]:
    """Measures silicon's or germanium's diamond crystal; yields each property as it comes.

    `element` is "Si" or "Ge", `only` names of PROPERTIES. Elastic constants are those at a lattice
    constant of `elastic_at` Å [default: the calculator's own]. Those of the liquid need `melt`,
    a liquid and its temperature in K. The dumbbell is the lowest of `starts` relaxations; in the
    precomputed rows it is that of one. A course potential takes a minute or less, and half a minute
    for the liquid. What fails has no value but a note; a potential without a diamond crystal has
    none of its properties. In float32 they differ from those in float64 by a fraction below 1e-4.
    Raises ValueError for bad input, and for a calculator without stress.
    """
    one_of("element", element, ELEMENTS)
    refuse(not is_whole(starts), f"starts must be a whole number of at least 1, not {starts!r}")
    wanted, begun, jobs = _wanted(only, melt), time.perf_counter(), {}
    try:
        start = bulk(element, cubic=True, a=ELEMENTS[element].lattice_constant)
        jobs = _jobs(calculator, element, lattice_constant(start, calculator), elastic_at, starts)
    except FAILURES as error:
        for name in wanted:
            if name not in LIQUID:
                yield Measured(name, None, f"no diamond crystal: {error}", 0.0)
    if melt is not None:
        jobs[LIQUID] = lambda: _liquid(calculator, element, *melt)
    for names, compute in jobs.items():
        if not set(names) & set(wanted):
            continue
        try:
            found = compute()
        except (*FAILURES, ValueError) as error:
            found = [(None, str(error))] * len(names)
        now = time.perf_counter()
        seconds, begun = (now - begun) / len(names), now
        for name, (value, note) in zip(names, found):
            if value is not None and not np.isfinite(value):
                value, note = None, note or "not a number"
            if name in wanted:
                yield Measured(name, None if value is None else float(value), note, seconds)


def _wanted(only, melt):
    """Names of the properties to measure; ValueError for those that cannot be."""
    never = set(OF_FORCES) if melt else {*OF_FORCES, *LIQUID}
    names = set(PROPERTIES) - never if only is None else set(only)
    unknown, lost = (", ".join(sorted(part)) for part in (names - set(PROPERTIES), names & never))
    refuse(names - set(PROPERTIES), f"no property {unknown}; there are {', '.join(PROPERTIES)}")
    why = "those of a liquid need melt, slopes of forces a test set"
    refuse(names & never, f"{lost} cannot be measured on a crystal: {why}")
    return [name for name in PROPERTIES if name in names]


def _jobs(calculator, element, a, elastic_at, starts):
    """{names: function that gives (value, note) of each}, quick ones first."""
    cube = lambda edge: bulk(element, "diamond", a=edge, cubic=True)
    here, big, k = cube(a), cube(a).repeat(2), calculator
    strained = cube(elastic_at or a)
    note = "" if elastic_at is None else f"at {elastic_at} Å"
    bands = dict(points=5, mesh=8, temperatures=[300.0])
    elastic = lambda: mechanics.elastic(strained, k, zero_pressure=False, cubic=True)._asdict()
    dumbbell = lambda: defects.interstitial(big, k, "dumbbell", starts=starts)
    several = f"lowest of {starts} starts" * (starts > 1)
    return {
        ("lattice_constant",): lambda: [(a, "")],
        ("bulk_modulus",): lambda: [(mechanics.equation_of_state(here, k, 0.03).bulk_modulus, "")],
        ELASTIC: lambda: [(value, note) for value in map(elastic().get, ELASTIC)],
        PHONONS: lambda: _phonons(vibrations.phonons(here, k, **bands).special),
        ("beta_tin", "sc", "bcc", "fcc"): lambda: _phases(mechanics.phases(element, k, a)),
        ("vacancy_unrelaxed", "vacancy"): lambda: _relaxed(defects.vacancy(big, k)),
        ("interstitial",): lambda: _relaxed(defects.interstitial(big, k))[1:],
        ("dumbbell",): lambda: _relaxed(dumbbell(), several)[1:],
        ("surface_cut", "surface"): lambda: _relaxed(defects.surface(element, k, a, layers=8)),
        ("migration",): lambda: _barrier(defects.migration(big, k)),
    }


def _relaxed(found, note=""):
    if found.converged:
        return [(found.unrelaxed, ""), (found.energy, note)]
    return [(found.unrelaxed, ""), (None, f"did not relax, {found.force:.2g} eV/Å are left")]


def _phonons(at):
    values = at["Γ"][-1], at["X"][0], at["X"][-1], at["L"][0], at["L"][-1]
    return [(value, "imaginary" if value < -0.05 else "") for value in values]


def _phases(found):
    others = mechanics.PHASES[1:]
    return [(found.differences.get(name), found.missing.get(name, "")) for name in others]


def _barrier(found):
    note = "" if found.force < 0.1 else f"the band did not settle, {found.force:.2g} eV/Å are left"
    return [(None if note else found.barrier, note)]


def _liquid(calculator, element, atoms, temperature):
    neighbours = NEIGHBOURS * ELEMENTS[element].lattice_constant
    x = transport.liquid(atoms, calculator, temperature, neighbours=neighbours)
    values = x.coordination.mean, x.pressure, x.diffusion.coefficient
    return [(value, f"at {temperature:.0f} K") for value in values]
