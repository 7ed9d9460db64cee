"""Stability: how long molecular dynamics of a potential stays close to the reference.

A simulation seldom explodes. More often it goes wrong quietly, and only a comparison with the
reference shows it. A run at a fixed temperature has failed at the first moment when

    brakes      tlmlp.simulate stopped it: not a number, far too hot, atoms in one another
    too close   two atoms are closer than NEAREST times the shortest distance in any frame
    structure   its pairs are, over a picosecond, APART or more from where the reference's are

The distance of the last line is an area. n(r) = 4πρ ∫ g r² dr is the number of neighbours within
r, with ρ the density of atoms and g(r) the radial distribution function. Then

    apart = ∫ |n(r) - n_ref(r)| dr / n_ref(REACH),   r < REACH

is how far a pair has to be moved, on average, to turn one g(r) into the other: the earth mover's
distance. It is the same for crystals and liquids, and has little noise. Values in Å, for germanium:

    a reference trajectory (Stillinger-Weber) against its own frames, any ps of 20      up to 0.03
    twenty DFT frames of a temperature, one half against the other                      up to 0.012
    the crystal at 520 K against 1010 K; the liquid at 3480 K against 4500 K            0.033; 0.023
    the crystal against the liquid (Stillinger-Weber, DFT)                              0.19, 0.28

So APART = 0.05 Å is well above what the reference itself shows. It is as wrong as a temperature
that is off by hundreds of kelvin, and a quarter of what melting does. In 20 ps the reference
brings two atoms up to 8 % closer than in its frames, so NEAREST = 0.85.

Source: the idea is that of Fu et al., Forces are not Enough, arXiv 2210.07237, whose distance is
∫ |g(r) - g_ref(r)| dr.
"""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import ase
import numpy as np
from ase.build import bulk
from ase.calculators.calculator import Calculator

from .. import datasets, simulate
from ..graph import pairs
from ..refusal import one_of, refuse
from .sources import TRAJECTORIES, data

SW = "stillinger-weber"  # the source whose reference can be simulated
REACH = 5.5  # Å, less than half of any cell here; three shells of neighbours
BINS = 220
APART = 0.05  # Å
NEAREST = 0.85
WINDOW = 1000.0  # fs over which n(r) is a mean
TIMESTEP = 4.0  # fs; germanium's fastest vibration takes 110 fs
EVERY = 10  # steps between two looks
LENGTH = 6.0  # ps


def neighbours(atoms: ase.Atoms, positions: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """(n [BINS], nearest in Å): neighbours within r = REACH (i + 1) / BINS, shortest distance."""
    if positions is not None:
        atoms = ase.Atoms(atoms.numbers, positions, cell=atoms.cell, pbc=atoms.pbc)
    (d,) = pairs(atoms, REACH, "d")
    n = np.cumsum(np.histogram(d, BINS, (0, REACH))[0]) / len(atoms)
    return n, float(d.min(initial=REACH))


def apart(n: np.ndarray, reference: np.ndarray) -> float:
    """Å between two n(r) [BINS], see above."""
    return float(np.abs(n - reference).sum() * REACH / BINS / reference[-1])


class Reference(NamedTuple):
    """How germanium of a source looks at a temperature."""

    temperature: float  # K
    phase: str  # "crystal" or "liquid"
    n: np.ndarray  # [BINS], see neighbours
    nearest: float  # Å, shortest distance of any frame
    start: ase.Atoms  # the perfect crystal, or a frame of the liquid; at rest


def references(source: str) -> dict[float, Reference]:
    """{temperature in K: Reference} of one of TRAJECTORIES, or a ValueError; anew each time."""
    known = _measured_once(source)
    return {T: r._replace(n=r.n.copy(), start=r.start.copy()) for T, r in known.items()}


@lru_cache
def _measured_once(source):
    one_of("source", source, TRAJECTORIES)
    kinds, out = {}, {}
    for atoms in (atoms for part in data(source) for atoms in part):
        if T := atoms.info["temperature"]:
            kinds.setdefault(float(T), []).append(atoms)
    for T, frames in sorted(kinds.items()):
        n, nearest = zip(*map(neighbours, frames))
        last, phase = frames[-1], frames[-1].info["phase"]
        start = ase.Atoms(last.symbols, last.positions, cell=last.cell, pbc=True)
        if phase == "crystal":
            start = bulk("Ge", "diamond", a=float(last.cell.lengths()[0]) / 2, cubic=True).repeat(2)
        out[T] = Reference(T, phase, np.mean(n, axis=0), min(nearest), start)
    return out


def reference(source: str, temperature: float) -> Reference:
    """The Reference of a source at one of its temperatures; ValueError names those there are."""
    known, asked = references(source), float(temperature)
    there = ", ".join(f"{T:.0f}" for T in known)
    refuse(asked not in known, f"{source} has no frames at {temperature!r} K, only at {there} K")
    return known[asked]


def truth(source: str) -> Calculator:
    """The calculator that made a source, for a reference trajectory; ValueError for DFT."""
    words = f"only the source {SW!r} can be run as molecular dynamics; DFT cannot, here"
    refuse(source != SW, words)
    return datasets.stillinger_weber_calculator("Ge")


class Trial(NamedTuple):
    """What became of a run at one temperature."""

    temperature: float  # K
    phase: str  # what it started from, and should stay
    time_ps: float  # of the failure; how long it ran where there was none
    failure: str  # "", "brakes", "too close" or "structure"
    apart: tuple[float, ...]  # Å, at the end of each whole picosecond
    nearest: tuple[float, ...]  # Å, the shortest distance within it
    words: str  # one sentence


def trial(potential, reference: Reference, length_ps: float = LENGTH, seed: int = 0) -> Trial:
    """Langevin dynamics at the temperature of a Reference and constant volume, from its start.

    potential: what tlmlp.simulate takes; length_ps: at least 1, or it is a ValueError.
    """
    why = f"the time over which structures are compared, not {length_ps!r}"
    fine = np.isscalar(length_ps) and 1 <= length_ps < np.inf
    refuse(not fine, f"length_ps must be at least 1, {why}")
    temperature, phase, start = reference.temperature, reference.phase, reference.start
    steps, window = round(1000 * length_ps / TIMESTEP), round(WINDOW / TIMESTEP / EVERY)
    recent: deque = deque(maxlen=window)
    curve, shortest, failure, words = [], [], "", f"The {phase} survived {length_ps:g} ps."
    settings: dict = dict(steps=steps, every=EVERY, timestep_fs=TIMESTEP, seed=seed)
    for s in simulate.nvt(potential, start, temperature, **settings):
        if s.health != "ok":
            failure, words = "brakes", s.health
            break
        if not s.step:
            continue
        n, nearest = neighbours(start, s.positions)
        recent.append((n, nearest))
        full = len(recent) == window
        off = apart(np.mean([n for n, _ in recent], axis=0), reference.n) if full else 0.0
        if s.step % (window * EVERY) == 0:
            curve.append(round(off, 4))
            shortest.append(round(min(d for _, d in recent), 3))
        if nearest < NEAREST * reference.nearest:
            failure, words = "too close", f"Two atoms were {nearest:.2f} Å apart; "
            words += f"no reference frame has less than {reference.nearest:.2f} Å."
            break
        if off > APART:
            failure, words = "structure", "Over a picosecond, pairs of atoms were "
            words += f"{off:.3f} Å from where the {phase} has them."
            break
    time = s.time_fs / 1000
    return Trial(temperature, phase, time, failure, tuple(curve), tuple(shortest), words)


class Look(NamedTuple):
    """One moment of a crystal that is heated."""

    snapshot: simulate.Snapshot
    liquid: float  # 0: a crystal of the reference; 1: a liquid
    nearest: float  # Å
    failure: str  # "", or one sentence


def heat(potential, source=SW, rate=200.0, temperature_K=300.0, every=EVERY, seed=0):
    """A germanium crystal whose thermostat rises by `rate` K/ps, until it breaks; yields Look.

    It has broken when simulate stops it, when two atoms are too close for any frame, or when its
    n(r), over half a picosecond, is nearer to a liquid of the reference than to any of its
    crystals: `liquid` = d_crystal / (d_crystal + d_liquid) > 1/2. Above the melting temperature
    that is no fault. Small crystals without a surface can be superheated, but not for ever.

    every: steps between two looks, a number or a function that gives one.
    """
    fine = np.isscalar(rate) and 0 < rate < np.inf
    refuse(not fine, f"rate must be a number of K/ps above 0, not {rate!r}")
    known = references(source).values()
    start = [r for r in known if r.phase == "crystal"][-1].start
    ramp = lambda time_fs: temperature_K + rate * time_fs / 1000
    run = simulate.nvt(potential, start, ramp, every=every, timestep_fs=TIMESTEP, seed=seed)
    return _heated(run, known)


def _heated(run, known):
    closest = NEAREST * min(r.nearest for r in known)
    recent: deque = deque()
    for s in run:
        n, nearest = neighbours(s.start, s.positions)
        recent.append((s.time_fs, n))
        while s.time_fs - recent[0][0] > WINDOW / 2:
            recent.popleft()
        mean = np.mean([n for _, n in recent], axis=0)
        far = lambda phase, mean=mean: min(apart(mean, r.n) for r in known if r.phase == phase)
        liquid = far("crystal") / (far("crystal") + far("liquid"))
        failure = "" if s.health == "ok" else s.health
        if not failure and nearest < closest:
            failure = f"Two atoms came within {nearest:.2f} Å of each other."
        if not failure and liquid > 0.5 and s.time_fs >= WINDOW / 2:
            failure = "The crystal is lost: its g(r) is nearer to the liquid's."
        yield Look(s, liquid, nearest, failure)
        if failure:
            return


class Survival(NamedTuple):
    """What trials of one kind say together."""

    trials: int
    fraction: float  # that survived
    median_ps: float  # time to failure; inf where less than half of them failed


def survival(trials: Sequence[Trial | dict]) -> Survival:
    """Survival of several trials of one length, as Trial or as the dicts in rows.

    A trial that survived is not one that failed at its end: it is censored, and the median is
    that of Kaplan and Meier. Raises ValueError where there are no trials.
    """
    from scipy import stats

    rows = [t if isinstance(t, dict) else t._asdict() for t in trials]
    refuse(not rows, "there are no trials to count")
    times, survived = [t["time_ps"] for t in rows], [not t["failure"] for t in rows]
    curve = stats.ecdf(stats.CensoredData.right_censored(times, survived)).sf
    below = curve.quantiles[curve.probabilities <= 0.5]
    median = float(below[0]) if len(below) else float("inf")
    return Survival(len(rows), sum(survived) / len(rows), median)
