"""All properties of a diamond crystal by one calculator, one after the other."""

import time
from typing import NamedTuple

import numpy as np
from ase.build import bulk

from ..elements import ELEMENTS
from . import crystals, defects, mechanics, transport, vibrations

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


NEIGHBOURS = 0.58  # lattice constants: a neighbour in a liquid, near the first minimum of g(r)


LIQUID = ("liquid_neighbours", "liquid_pressure", "liquid_diffusion")


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
        raise ValueError(
            f"no property {', '.join(sorted(unknown))}; there are {', '.join(PROPERTIES)}"
        )
    never = ("softening", "force_r2") if melt else ("softening", "force_r2", *LIQUID)
    if lost := set(only or ()) & set(never):
        raise ValueError(
            f"{', '.join(sorted(lost))} cannot be measured on a crystal: those of a liquid need melt, slopes of forces a test set"
        )
    wanted = [name for name in PROPERTIES if name not in never and (only is None or name in only)]
    begun, a = time.perf_counter(), None
    try:
        a = mechanics.lattice_constant(
            bulk(element, cubic=True, a=ELEMENTS[element].lattice_constant), calculator
        )
        if not np.isfinite(a):
            a = None
    except (RuntimeError, FloatingPointError, np.linalg.LinAlgError) as error:
        reason = f"no diamond crystal: {error}"
    jobs = () if melt is None else ((LIQUID, lambda: _liquid(calculator, element, *melt)),)
    if a is None:
        yield from (Measured(name, None, reason, 0.0) for name in wanted if name not in LIQUID)
    else:
        jobs = (
            *_jobs(element, calculator, a, bulk(element, "diamond", a=a, cubic=True), elastic_at),
            *jobs,
        )
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
                yield Measured(
                    name, None if value is None else float(value), note, seconds / len(names)
                )


def _liquid(calculator, element, atoms, temperature):
    x = transport.liquid(
        atoms, calculator, temperature, neighbours=NEIGHBOURS * ELEMENTS[element].lattice_constant
    )
    note = f"at {temperature:.0f} K"
    return (x.coordination.mean, x.pressure, x.diffusion.coefficient), (note,) * 3


def _jobs(element, calculator, a, cube, elastic_at):
    """(names, function that gives their values and notes) of what is computed together, quick ones first."""
    big = cube.repeat(2)
    relaxed = lambda result, value: (
        (value, "")
        if result.converged
        else (None, f"did not relax, {result.force:.2g} eV/Å are left")
    )

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
        value, note = (
            (b.barrier, "")
            if b.force < 0.1
            else (None, f"the band did not settle, {b.force:.2g} eV/Å are left")
        )
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
        return tuple(p.differences.get(n) for n in names), tuple(
            p.missing.get(n, "") for n in names
        )

    return (
        (("lattice_constant",), lambda: ((a,), ("",))),
        (("bulk_modulus",), eos),
        (("c11", "c12", "c44", "c44_clamped"), elastic),
        (
            ("phonon_gamma", "phonon_x_low", "phonon_x_high", "phonon_l_low", "phonon_l_high"),
            phonons,
        ),
        (("beta_tin", "sc", "bcc", "fcc"), phases),
        (("vacancy_unrelaxed", "vacancy"), vacancy),
        (("interstitial",), lambda: interstitial("tetrahedral")),
        (("dumbbell",), lambda: interstitial("dumbbell")),
        (("surface_cut", "surface"), surface),
        (("migration",), migration),
    )
