"""Figures of molecular dynamics: what is conserved, how a crystal melts, how long potentials hold."""

import numpy as np

from .curves import NOTHING, SOURCES, STYLE
from .figures import BLUE, GREEN, GREY, MARKERS, ORANGE, PALETTE, RED, Picture, _quiet
from .md import radial_distribution


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
    error.plot(ends, spreads[0] * (ends / steps[0]) ** 2, color=GREY, lw=1.2, ls="--", label="∝ dt²")
    error.set(xscale="log", yscale="log", xlabel="timestep (fs)", ylabel="spread of E (meV/atom)")
    error.set_xticks(steps, [f"{dt:g}" for dt in steps])
    error.minorticks_off()
    error.legend(frameon=False, fontsize=9)
    energy.set(xlabel="time (ps)", ylabel="E − E(0) (meV/atom)")
    handles, labels = energy.get_legend_handles_labels()
    energy.legend(handles[::-1], labels[::-1], title="timestep", frameon=False, fontsize=9, ncol=len(steps), loc="best")
    for ax in (energy, error):
        _quiet(ax)
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
        r, values = radial_distribution(atoms, [s.positions for s in part])
        colour = (BLUE, ORANGE, RED, GREEN)[i % 4]
        energy.plot(
            np.mean([s.target_K for s in part]), np.mean([s.potential_energy for s in part]) / n, MARKERS[i % 8], color=colour, ms=8,
        )  # fmt: skip
        g.plot(r, values, color=colour, lw=1.5, label=f"{stage:.0f} K")
    energy.set(xlabel="temperature of the thermostat (K)", ylabel="potential energy (eV/atom)")
    g.set(xlabel="r (Å)", ylabel="g(r)", xlim=(1.5, 6))
    g.set_ylim(0, min(9, g.get_ylim()[1]))
    g.legend(frameon=False, fontsize=9)
    for ax in (energy, g):
        _quiet(ax)
    return figure


def stability_curves(rows, size=None):
    """How many runs hold, and the median time until they fail, against T over the melting temperature; one column a source.

    rows: of tlmlp.sweep.rows("stability"). Bars are 68 % intervals of a fraction; an arrow says that fewer than half
    failed, so that the median lies beyond the length of the runs. Dotted: the temperature where germanium melts.
    """
    from ..stability import MELTING, survival

    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    figure = Picture(*(size or (4.9 * max(1, len(sources)), 5.6 if sources else 0.8)))
    axes = np.array(figure.subplots(2 if sources else 1, max(1, len(sources)), sharex="col", squeeze=False))
    if not sources:
        axes[0, 0].set_axis_off()
        axes[0, 0].text(0.5, 0.5, NOTHING, ha="center", va="center", color=GREY)
        return figure
    for column, source in enumerate(sources):
        own = [r for r in rows if r["source"] == source]
        length, hold, wait = max(r["length_ps"] for r in own), *axes[:, column]
        kinds = [(m, n, p) for n, p in ((50, None), (10, None), (10, "crystal")) for m in ("copied", "reduced", "scratch")]
        drawn = [k for k in [("reference", 0, None), *kinds] if any((r["method"], r["n"], r["phase"]) == k for r in own)]
        for i, kind in enumerate(drawn):
            method, n, phase = kind
            colour, marker, words = STYLE.get(method, (GREY, "D", "the truth itself"))
            trials = [t for r in own if (r["method"], r["n"], r["phase"]) == kind for t in r["trials"]]
            temperatures = sorted({t["temperature"] for t in trials})
            some = [survival([t for t in trials if t["temperature"] == T]) for T in temperatures]
            x = np.array(temperatures) / MELTING[source] + 0.012 * (i - len(drawn) / 2)  # side by side
            line = dict(
                color=colour, marker=marker, ms=5, lw=1.4, ls={(50, None): "-", (10, None): "--", (10, "crystal"): ":"}.get((n, phase), "-"),
                label=words + (f", {n}{' crystals' if phase else ''}" if n else "") + f" ({max(s.trials for s in some)} runs)",
                mfc="white" if phase else colour,
            )  # fmt: skip
            fraction = np.array([s.fraction for s in some])
            error = np.array([fraction - [s.low for s in some], [s.high for s in some] - fraction])
            hold.errorbar(x, fraction, np.maximum(error, 0), capsize=2, elinewidth=0.8, **line)
            failed = [(T, s.median_ps) for T, s in zip(x, some) if np.isfinite(s.median_ps)]
            if failed:
                wait.plot(*np.transpose(failed), **{**line, "ls": "", "label": None})
            beyond = [T for T, s in zip(x, some) if not np.isfinite(s.median_ps)]
            wait.plot(beyond, [length * (1.04 + 0.035 * i) for _ in beyond], "^", color=colour, ms=5, mfc="white" if phase else colour)
        wait.axhline(length, color=GREY, lw=0.8)
        wait.text(0.02, length, f"not reached in {length:g} ps", fontsize=8, color="#56606b", va="top", ha="left",
                  transform=wait.get_yaxis_transform())  # fmt: skip
        wait.set_ylim(0, length * (1.1 + 0.035 * len(drawn)))
        hold.set_ylim(-0.05, 1.08)
        hold.set_title(f"{SOURCES[source]}: precomputed", fontsize=10)
        wait.set_xlabel("T / melting temperature")
        for ax, label in ((hold, "runs that hold"), (wait, "median time to failure (ps)")):
            _quiet(ax)
            ax.axvline(1, color=GREY, ls=":", lw=1.2, zorder=1)
            if column == 0:
                ax.set_ylabel(label)
        hold.legend(frameon=False, fontsize=7.5, loc="lower left")
    return figure
