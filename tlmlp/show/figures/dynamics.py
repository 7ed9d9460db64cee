"""Figures of molecular dynamics: what is conserved, how a crystal melts, how long potentials hold."""

import numpy as np

from ...properties import structure
from .picture import Picture, quiet
from .style import BLUE, GREEN, GREY, MARKERS, ORANGE, PALETTE, RED


def conservation(runs, size=(8.6, 3.2)):
    """Total energy along constant-energy runs, and how its error grows with the timestep.

    runs: a dict from the timestep in fs to the list of tlmlp.simulate.Snapshot of a run. Left, the deviation from the first
    snapshot after the start, in meV per atom; right, its standard deviation against the timestep, beside dt².
    """
    figure = Picture(*size)
    energy, error = figure.subplots(1, 2, width_ratios=(1.5, 1))
    steps, spreads = sorted(runs), []
    for i, dt in reversed(list(enumerate(steps))):
        snapshots, colour = runs[dt], PALETTE[i % 8]
        n = len(snapshots[0].positions)
        E = 1e3 * np.array([s.conserved_energy for s in snapshots]) / n
        t = np.array([s.time_fs for s in snapshots]) / 1000
        energy.plot(t, E - E[0], color=colour, lw=1.2, label=f"{dt:g} fs")
        spreads.insert(0, E[1:].std())
        error.plot(dt, spreads[0], MARKERS[i % 8], color=colour, ms=7, zorder=3)
    ends = np.array([steps[0] / 1.2, steps[-1] * 1.2])
    error.plot(
        ends, spreads[0] * (ends / steps[0]) ** 2, color=GREY, lw=1.2, ls="--", label="∝ dt²"
    )
    error.set(xscale="log", yscale="log", xlabel="timestep (fs)", ylabel="spread of E (meV/atom)")
    error.set_xticks(steps, [f"{dt:g}" for dt in steps])
    error.minorticks_off()
    error.legend(frameon=False, fontsize=9)
    energy.set(xlabel="time (ps)", ylabel="E − E(0) (meV/atom)")
    handles, labels = energy.get_legend_handles_labels()
    energy.legend(
        handles[::-1],
        labels[::-1],
        title="timestep",
        frameon=False,
        fontsize=9,
        ncol=len(steps),
        loc="best",
    )
    for ax in (energy, error):
        quiet(ax)
    return figure


def melting(snapshots, stages=(), width_ps=0.4, size=(8.6, 3.3)):
    """A crystal that is heated: potential energy against the thermostat's temperature, and g(r) at some stages.

    snapshots: list of tlmlp.simulate.Snapshot of a run whose temperature rises; stages: temperatures in K at which to
    look at g(r), a mean over width_ps [default: the first, the middle, the last].
    """
    T = np.array([s.target_K for s in snapshots])
    t = np.array([s.time_fs for s in snapshots]) / 1000
    n, atoms = len(snapshots[0].positions), snapshots[0].start
    stages = stages or (T[0], (T[0] + T[-1]) / 2, T[-1])
    figure = Picture(*size)
    energy, g = figure.subplots(1, 2)
    energy.plot(T, [s.potential_energy / n for s in snapshots], color=GREY, lw=1)
    for i, stage in enumerate(stages):
        middle = np.clip(t[np.argmin(abs(T - stage))], t[0] + width_ps / 2, t[-1] - width_ps / 2)
        part = [s for s, time in zip(snapshots, t) if abs(time - middle) <= width_ps / 2]
        r, values = structure.radial_distribution([s.atoms for s in part], 6.0, 80)[:2]
        colour = (BLUE, ORANGE, RED, GREEN)[i % 4]
        energy.plot(
            np.mean([s.target_K for s in part]),
            np.mean([s.potential_energy for s in part]) / n,
            MARKERS[i % 8],
            color=colour,
            ms=8,
        )
        g.plot(r, values, color=colour, lw=1.5, label=f"{stage:.0f} K")
    energy.set(xlabel="temperature of the thermostat (K)", ylabel="potential energy (eV/atom)")
    g.set(xlabel="r (Å)", ylabel="g(r)", xlim=(1.5, 6))
    g.set_ylim(0, min(9, g.get_ylim()[1]))
    g.legend(frameon=False, fontsize=9)
    for ax in (energy, g):
        quiet(ax)
    return figure
