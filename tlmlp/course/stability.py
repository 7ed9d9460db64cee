"""Stability: for how long does a potential keep atoms where they belong?

A simulation seldom explodes. More often it goes wrong quietly, and only a comparison with the truth shows it. A run at a fixed
temperature has failed at the first moment when

    brakes      tlmlp.simulate stopped it: not a number, far too hot, atoms in one another;
    too close   two atoms are closer than NEAREST times the shortest distance in any reference frame of this temperature;
    structure   its pairs of atoms are, over the last picosecond, APART or more from where those of the reference are.

The distance of the last line is an area. n(r) = 4πρ ∫ g r² dr is the number of neighbours within r; then

    apart = ∫ |n(r) - n_ref(r)| dr / n_ref(REACH),   r < REACH

is how far a pair has to be moved, on average, to turn one g(r) into the other: the earth mover's distance. It is the same
for crystals and liquids, and has little noise. What it means, in Å, for the two sources of germanium here:

    a reference trajectory (Stillinger-Weber) against frames of its own temperature, any picosecond of 20   up to 0.03
    twenty DFT frames of a temperature, one half against the other                                        up to 0.012
    the crystal at 520 K against 1010 K; the liquid at 3480 K against 4500 K                                0.033; 0.023
    the crystal against the liquid (Stillinger-Weber, DFT)                                                0.19, 0.28

So APART = 0.05 Å, two hundredths of a bond, is well above what the truth itself shows, as wrong as a temperature that is off by
hundreds of kelvin, and a quarter of what melting does. In 20 ps the
reference brings two atoms up to 8 % closer than in its frames, so NEAREST = 0.85.

    trial        one potential at one temperature: when did it fail, and how?
    heat         a crystal whose temperature rises: when is it closer to the liquid than to the crystal?
    perform      all temperatures of a source for one run of tlmlp.sweep, which is trained first
    survival     the fraction that survives, and the median time to failure, of trials some of which never failed

Source: the idea is that of Fu et al., Forces are not Enough, arXiv 2210.07237, whose distance is ∫ |g(r) - g_ref(r)| dr.
"""

from collections import deque
from functools import lru_cache
from typing import NamedTuple

import ase
import numpy as np
from ase.build import bulk

from .. import datasets, simulate
from ..graph import pairs
from .sources import TRAJECTORIES, data

REACH = 5.5  # Å, less than half of any cell here; three shells of neighbours
BINS = 220
APART = 0.05  # Å
NEAREST = 0.85
WINDOW = 1000.0  # fs over which n(r) is a mean
TIMESTEP = 4.0  # fs; germanium's fastest vibration takes 110
EVERY = 10  # steps between two looks
LENGTH = 6.0  # ps


def neighbours(atoms, positions=None):
    """(n [BINS], nearest in Å): mean number of neighbours within r = REACH (i + 1) / BINS, and the shortest distance."""
    if positions is not None:
        atoms = atoms.copy()
        atoms.positions = positions
    (d,) = pairs(atoms, REACH, "d")
    return np.cumsum(np.histogram(d, BINS, (0, REACH))[0]) / len(atoms), float(d.min(initial=REACH))


def apart(n, reference):
    """Å between two n(r) [BINS], see above."""
    return float(np.abs(n - reference).sum() * REACH / BINS / reference[-1])


class Reference(NamedTuple):
    """How germanium of a source looks at a temperature."""

    source: str  # of tlmlp.sources.SOURCES
    temperature: float  # K
    phase: str  # "crystal" or "liquid"
    n: np.ndarray  # [BINS], see neighbours
    nearest: float  # Å, shortest distance of any frame
    start: ase.Atoms  # the perfect crystal, or a frame of the liquid; at rest


def references(source):
    """{temperature in K: Reference} of all molecular dynamics frames of a source, train and test. What is in them is a copy.

    Raises ValueError for a source that is none of tlmlp.sources.TRAJECTORIES, and the errors of tlmlp.datasets where DFT data are
    out of reach.
    """
    return {
        T: r._replace(n=r.n.copy(), start=r.start.copy()) for T, r in _measured_once(source).items()
    }


@lru_cache
def _measured_once(source):
    if source not in TRAJECTORIES:
        raise ValueError(
            f"source must be one of {', '.join(map(repr, TRAJECTORIES))}, which hold trajectories, not {source!r}"
        )
    train, test = data(source)
    kinds = {}
    for atoms in [*train, *test]:
        if atoms.info["temperature"]:
            kinds.setdefault(float(atoms.info["temperature"]), []).append(atoms)
    out = {}
    for temperature, frames in sorted(kinds.items()):
        looks = [neighbours(atoms) for atoms in frames]
        last = frames[-1]
        phase = last.info["phase"]
        if phase == "crystal":
            start = bulk("Ge", "diamond", a=float(last.cell.lengths()[0]) / 2, cubic=True).repeat(2)
        else:
            start = ase.Atoms(last.symbols, last.positions, cell=last.cell, pbc=True)
        out[temperature] = Reference(
            source,
            temperature,
            phase,
            np.mean([n for n, _ in looks], axis=0),
            min(d for _, d in looks),
            start,
        )
    return out


def reference(source, temperature):
    """The Reference of a source at one of its temperatures; ValueError names those there are."""
    known = references(source)
    if float(temperature) not in known:
        raise ValueError(
            f"{source} has no frames at {temperature!r} K, only at {', '.join(f'{t:.0f}' for t in known)} K"
        )
    return known[float(temperature)]


def truth(source):
    """The calculator that made a source, for a reference trajectory; ValueError for DFT, of which there is none here."""
    if source != "stillinger-weber":
        raise ValueError(
            "only the source 'stillinger-weber' can be run as molecular dynamics; DFT cannot, here"
        )
    return datasets.stillinger_weber_calculator("Ge")


# -- at one temperature --------------------------------------------------------------------------------------------------


class Trial(NamedTuple):
    """What became of a run at one temperature."""

    temperature: float  # K
    phase: str  # what it started from, and should stay
    time_ps: float  # of the failure; how long it ran where there was none
    failure: str  # "", "brakes", "too close" or "structure"
    apart: tuple  # Å, at the end of each whole picosecond
    nearest: tuple  # Å, the shortest distance within it
    words: str  # one sentence

    @property
    def survived(self):
        return not self.failure


def trial(potential, reference, length_ps=LENGTH, seed=0):
    """Trial of a potential at the temperature of a Reference: Langevin, constant volume, from its start.

    potential: whatever tlmlp.simulate takes; length_ps: at least 1. Raises ValueError for a shorter one.
    """
    if not (np.isscalar(length_ps) and 1 <= length_ps < np.inf):
        raise ValueError(
            f"length_ps must be at least 1, the time over which structures are compared, not {length_ps!r}"
        )
    steps, window = round(1000 * length_ps / TIMESTEP), round(WINDOW / TIMESTEP / EVERY)
    closest = NEAREST * reference.nearest
    recent, curve, shortest, failure, words = deque(maxlen=window), [], [], "", ""
    run = simulate.nvt(
        potential,
        reference.start,
        reference.temperature,
        steps=steps,
        every=EVERY,
        timestep_fs=TIMESTEP,
        seed=seed,
    )
    for s in run:
        if s.health != "ok":
            failure, words = "brakes", s.health
            break
        if not s.step:
            continue
        n, nearest = neighbours(reference.start, s.positions)
        recent.append((n, nearest))
        off = (
            apart(np.mean([n for n, _ in recent], axis=0), reference.n)
            if len(recent) == window
            else 0.0
        )
        if s.step % (window * EVERY) == 0:
            curve.append(round(off, 4))
            shortest.append(round(min(d for _, d in recent), 3))
        if nearest < closest:
            failure, words = (
                "too close",
                f"Two atoms were {nearest:.2f} Å apart; no reference frame has less than {reference.nearest:.2f} Å.",
            )
            break
        if off > APART:
            failure = "structure"
            words = f"Over a picosecond, pairs of atoms were {off:.3f} Å from where the {reference.phase} has them."
            break
    words = words or f"The {reference.phase} survived {length_ps:g} ps."
    return Trial(
        reference.temperature,
        reference.phase,
        s.time_fs / 1000,
        failure,
        tuple(curve),
        tuple(shortest),
        words,
    )


# -- at a rising temperature ---------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """One moment of a crystal that is heated."""

    snapshot: NamedTuple  # tlmlp.simulate.Snapshot
    liquid: float  # 0: a crystal of the reference; 1: a liquid
    nearest: float  # Å
    failure: str  # "", or one sentence


def heat(
    potential, source="stillinger-weber", rate=200.0, temperature_K=300.0, every=EVERY, seed=0
):
    """A germanium crystal whose thermostat rises by `rate` K/ps, until it breaks; yields Look.

    It has broken when simulate stops it, when two atoms are closer than NEAREST times the shortest distance of any frame, or when its n(r),
    over half a picosecond, is nearer to that of a liquid of the reference than to that of any of its crystals:
    `liquid` = d_crystal / (d_crystal + d_liquid) > 1/2, each d that to the nearest. Above the melting temperature that is no fault: small crystals
    without a surface can be superheated, but not for ever. every: steps between two looks, a number or a function that gives one.

    Raises ValueError for a rate that is not above 0, and as `references` does.
    """
    if not (np.isscalar(rate) and 0 < rate < np.inf):
        raise ValueError(f"rate must be a number of K/ps above 0, not {rate!r}")
    known = references(source).values()
    crystals, liquids = ([r for r in known if r.phase == phase] for phase in ("crystal", "liquid"))
    closest = NEAREST * min(r.nearest for r in known)
    ramp = lambda time_fs: temperature_K + rate * time_fs / 1000
    run = simulate.nvt(
        potential, crystals[-1].start, ramp, every=every, timestep_fs=TIMESTEP, seed=seed
    )
    return _heated(run, crystals, liquids, closest)


def _heated(run, crystals, liquids, closest):
    recent = deque()
    for s in run:
        n, nearest = neighbours(s.start, s.positions)
        recent.append((s.time_fs, n))
        while s.time_fs - recent[0][0] > WINDOW / 2:
            recent.popleft()
        mean = np.mean([n for _, n in recent], axis=0)
        d_crystal, d_liquid = (min(apart(mean, r.n) for r in some) for some in (crystals, liquids))
        share = d_crystal / (d_crystal + d_liquid)
        failure = "" if s.health == "ok" else s.health
        if not failure and nearest < closest:
            failure = f"Two atoms came within {nearest:.2f} Å of each other."
        if not failure and share > 0.5 and s.time_fs >= WINDOW / 2:
            failure = "The crystal is lost: its g(r) is nearer to the liquid's."
        yield Look(s, share, nearest, failure)
        if failure:
            return


# -- many ----------------------------------------------------------------------------------------------------------------


class Survival(NamedTuple):
    """What trials of one kind say together."""

    trials: int
    fraction: float  # that survived
    low: float  # of its 68 % interval (Wilson)
    high: float
    median_ps: float  # time to failure; inf where less than half of them failed


def survival(trials):
    """Survival of several trials of one length, as Trial or as the dicts in rows.

    A trial that survived is not one that failed at its end: it is censored, and the median is that of Kaplan and Meier.
    """
    from scipy import stats

    trials = [t if isinstance(t, dict) else t._asdict() for t in trials]
    if not trials:
        raise ValueError("there are no trials to count")
    times, survived = [t["time_ps"] for t in trials], [not t["failure"] for t in trials]
    interval = stats.binomtest(sum(survived), len(trials)).proportion_ci(0.683, "wilson")
    curve = stats.ecdf(stats.CensoredData.right_censored(times, survived)).sf
    below = curve.quantiles[curve.probabilities <= 0.5]
    return Survival(
        len(trials),
        sum(survived) / len(trials),
        interval.low,
        interval.high,
        float(below[0]) if len(below) else float("inf"),
    )
