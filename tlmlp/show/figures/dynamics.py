"""Figures of molecular dynamics: what is conserved, and how a crystal melts."""

import numpy as np

from ...properties.structure import radial_distribution
from .picture import DISTANCE, SMALL, G, panels
from .style import BLUE, GREEN, GREY, MARKERS, ORANGE, PALETTE, RED


def conservation(runs):
    """Total energy along constant-energy runs, and how its error grows with the time step.

    The spread on the right stands beside dt². runs: {time step in fs: list of Snapshot}.
    """
    figure, ((energy, error),) = panels(8.6, 3.2, 1, 2, width_ratios=(1.5, 1))
    steps, spreads = sorted(runs), []
    for k, dt in enumerate(steps):
        meV = 1e3 * np.array([s.conserved_energy for s in runs[dt]]) / len(runs[dt][0].positions)
        spreads.append(meV[1:].std())
        look = dict(color=PALETTE[k % 8], zorder=3 - 0.1 * k)  # long steps are noisy: behind
        time = np.array([s.time_fs for s in runs[dt]]) / 1000
        energy.plot(time, meV - meV[0], lw=1.2, label=f"{dt:g} fs", **look)
        error.plot(dt, spreads[-1], MARKERS[k % 8], ms=7, **look)
    ends = np.array([steps[0] / 1.2, steps[-1] * 1.2])
    look = dict(color=GREY, lw=1.2, ls="--", label="∝ dt²")
    error.plot(ends, spreads[0] * (ends / steps[0]) ** 2, **look)
    energy.set(xlabel="time (ps)", ylabel="E − E(0) (meV/atom)")
    energy.legend(title="time step", ncol=len(steps), **SMALL)
    error.set(xscale="log", yscale="log", xlabel="time step (fs)", ylabel="spread of E (meV/atom)")
    error.set_xticks(steps, [f"{dt:g}" for dt in steps])
    error.minorticks_off()
    error.legend(**SMALL)
    return figure


def melting(snapshots, stages=(), width_ps=0.4):
    """A crystal that is heated: potential energy against temperature, and g(r) at some stages.

    snapshots: tlmlp.simulate.Snapshot of a run whose temperature rises; stages: temperatures of the
    thermostat in K [default: the first, the middle, the last]; g(r) is a mean over width_ps.
    """
    T = np.array([s.target_K for s in snapshots])
    t = np.array([s.time_fs for s in snapshots]) / 1000
    E = np.array([s.potential_energy / len(s.positions) for s in snapshots])
    figure, ((energy, g),) = panels(8.6, 3.3, 1, 2)
    energy.plot(T, E, color=GREY, lw=1, label="each frame")
    for k, stage in enumerate(stages or (T[0], (T[0] + T[-1]) / 2, T[-1])):
        middle = np.clip(t[np.argmin(abs(T - stage))], t[0] + width_ps / 2, t[-1] - width_ps / 2)
        part = np.flatnonzero(abs(t - middle) <= width_ps / 2)
        look = dict(color=(BLUE, ORANGE, RED, GREEN)[k % 4], label=f"{stage:.0f} K")
        energy.plot(T[part].mean(), E[part].mean(), MARKERS[k % 8], ms=8, **look)
        found = radial_distribution([snapshots[i].atoms for i in part], 6.0, 80)
        g.plot(found.r, found.g, lw=1.5, **look)
    energy.set(xlabel="temperature of the thermostat (K)", ylabel="potential energy (eV/atom)")
    g.set(xlabel=DISTANCE, ylabel=G, xlim=(1.5, 6), ylim=(0, min(9, g.get_ylim()[1])))
    for ax in (energy, g):
        ax.legend(**SMALL)
    return figure
