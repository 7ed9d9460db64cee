"""Figures of molecular dynamics: what is conserved, and how a crystal melts."""

import numpy as np

from ...course.sources import SOURCES
from ...properties.structure import radial_distribution
from ...refusal import refuse
from .learning import groups
from .picture import DISTANCE, SMALL, G, legend_below, log_axis, note, nothing, panels
from .style import INDIGO, MARKERS, METHODS, SAND, TEXT, shades


def conservation(runs):
    """Total energy along constant-energy runs, and how its error grows with the time step.

    The spread on the right stands beside dt². runs: {time step in fs: list of Snapshot}.
    """
    figure, ((energy, error),) = panels(8.6, 3.2, 1, 2, width_ratios=(1.5, 1))
    steps, spreads = sorted(runs), []
    for k, (dt, colour) in enumerate(zip(steps, shades(len(steps)))):
        meV = 1e3 * np.array([s.conserved_energy for s in runs[dt]]) / len(runs[dt][0].positions)
        spreads.append(meV[1:].std())
        look = dict(color=colour, zorder=3 - 0.1 * k)  # long steps are noisy: behind
        time = np.array([s.time_fs for s in runs[dt]]) / 1000
        energy.plot(time, meV - meV[0], lw=1.2, label=f"{dt:g} fs", **look)
        error.plot(dt, spreads[-1], MARKERS[k % 8], ms=7, **look)
    ends = np.array([steps[0] / 1.2, steps[-1] * 1.2])
    error.plot(ends, spreads[0] * (ends / steps[0]) ** 2, "--", color=TEXT, lw=1.2, label="∝ dt²")
    energy.set(xlabel="time (ps)", ylabel="E − E(0) (meV/atom)")
    energy.legend(title="time step", ncol=len(steps), **SMALL)
    error.set(xscale="log", xlabel="time step (fs)", ylabel="spread of E (meV/atom)")
    log_axis(error, spreads, floor=1e-6)
    error.set_xticks(steps, [f"{dt:g}" for dt in steps])
    error.minorticks_off()
    error.legend(**SMALL)
    found = (f"{spread:.2g} meV/atom at {dt:g} fs" for dt, spread in zip(steps, spreads))
    return figure.describe("conservation", f"The energy spreads by {', '.join(found)}.")


def melting(snapshots, stages=(), width_ps=0.4):
    """A crystal that is heated: potential energy against temperature, and g(r) at some stages.

    snapshots: tlmlp.simulate.Snapshot of a run whose temperature rises; stages: temperatures of the
    thermostat in K [default: the first, the middle, the last]; g(r) is a mean over width_ps.
    """
    T = np.array([s.target_K for s in snapshots])
    t = np.array([s.time_fs for s in snapshots]) / 1000
    E = np.array([s.potential_energy / len(s.positions) for s in snapshots])
    figure, ((energy, g),) = panels(8.6, 3.3, 1, 2)
    energy.plot(T, E, color=TEXT, lw=0.8, alpha=0.7, label="each frame")
    stages, said = stages or (T[0], (T[0] + T[-1]) / 2, T[-1]), []
    far = ", ".join(f"{stage:g}" for stage in stages if abs(T - stage).min() > 0.05 * stage)
    refuse(far, f"stages must be between {T.min():.0f} and {T.max():.0f} K, as the run, not {far}")
    for k, (stage, colour) in enumerate(zip(stages, shades(len(stages) + 1))):
        middle = np.clip(t[np.argmin(abs(T - stage))], t[0] + width_ps / 2, t[-1] - width_ps / 2)
        part = np.flatnonzero(abs(t - middle) <= width_ps / 2)
        look = dict(color=colour, label=f"{stage:.0f} K")
        energy.plot(T[part].mean(), E[part].mean(), MARKERS[k % 8], ms=8, **look)
        found = radial_distribution([snapshots[i].atoms for i in part], 6.0, 80)
        g.plot(found.r, found.g, lw=1.5, **look)
        said.append(f"{found.g.max():.1f} at {stage:.0f} K")
    energy.set(xlabel="temperature of the thermostat (K)", ylabel="potential energy (eV/atom)")
    g.set(xlabel=DISTANCE, ylabel=G, xlim=(1.5, 6), ylim=(0, min(9, g.get_ylim()[1])))
    for ax in (energy, g):
        ax.legend(**SMALL)
    peaks = f"The highest peak of g(r) is {', '.join(said)}."
    return figure.describe("melting", peaks, width=width_ps)


def coexistence(rows):
    """Melting temperatures by two-phase coexistence, a panel an element, of "melting"."""
    if not rows:
        return nothing()
    elements = groups(rows, element=("Si", "Ge"))
    most = max(len(own) for _, own in elements)
    figure, (axes,) = panels(4.3 * len(elements) + 0.5, 0.42 * most + 1.5, 1, len(elements))
    said = []
    for (element, own), ax in zip(elements, axes):
        own.sort(key=lambda r: (r["steps"], r["n"], list(METHODS).index(r["method"])))
        names = []
        for y, row in enumerate(own):
            method = row["method"] if row["steps"] or row["method"] != "transfer" else "silicon"
            names.append(METHODS[method].word + f", {row['n'] or 'all'}" * bool(row["steps"]))
            names[-1] += ", at its best" * bool(row["steps"] and row["validation"])
            low, high = row["interval"]
            for T, *_ in row["runs"]:
                fill, kind = (INDIGO, "crystal") if T <= low else ("white", "liquid")
                ax.plot(T, y, "o", color=INDIGO, mfc=fill, ms=6, zorder=3, label=f"the {kind} grew")
            words = row["note"] if row["note"].startswith(("melts", "boils")) else "broke down"
            if row["melting_K"]:
                words = "{:.0f} ± {:.0f} K".format(*row["melting_K"])
                look = dict(color=SAND, alpha=0.6, zorder=2, label="melting is in here")
                ax.barh(y, high - low, 0.5, low, **look)
            if row["melting_K"] and row["method"] == "reference":
                look = dict(color=TEXT, lw=1, ls="--", zorder=1, label="middle of the reference's")
                ax.axvline(row["melting_K"][0], **look)
            said.append(f"{element}, {names[-1]}: {words}")
            note(ax, words, (1.0, y), (4, 0), ("axes fraction", "data"), va="center", fontsize=9)
        ax.set_yticks(range(len(own)), names, fontsize=9)
        low, high = own[0]["between"]
        ax.set(xlim=(0.97 * low, high + 0.03 * low), ylim=(most - 0.4, -0.6))
        ax.set_xlabel("temperature (K)")
        words = f"{SOURCES[own[0]['source']].words} {element}, {own[0]['atoms']} atoms, precomputed"
        ax.set_title(words, fontsize=10)
    return legend_below(figure).describe("coexistence", f"Melting temperatures. {'; '.join(said)}.")
