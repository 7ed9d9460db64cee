"""Figures of molecular dynamics: what is conserved, how a crystal melts, how long potentials hold."""

import numpy as np

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D

from ..sources import SOURCES
from .figures import BLUE, GREEN, GREY, MARKERS, ORANGE, PALETTE, RED, Picture, _quiet, nothing
from .md import radial_distribution

HOLDS = LinearSegmentedColormap.from_list("holds", ("#F0A868", "#FBEBD5", "#D6EAF5"))  # none, half, all: orange to blue


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


TRAINED = {(0, None): "", (50, None): "50 structures", (10, None): "10 structures", (10, "crystal"): "10 crystals alone"}
WORDS = {"reference": "the truth itself", "copied": "transfer", "reduced": "transfer, reduced units", "scratch": "scratch"}


def stability_map(rows, size=None):
    """How many runs hold, and the median time until they fail, against temperature; one panel a source.

    rows: of tlmlp.sweep.rows("stability"). A cell says how many runs of how many held, and the median time to failure where
    at least half of them failed. The line stands between crystals and liquids.
    """
    from ..stability import survival

    if not rows:
        return nothing()
    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    kinds = [(m, n, p) for n, p in TRAINED for m in WORDS if any((r["method"], r["n"], r["phase"]) == (m, n, p) for r in rows)]
    figure = Picture(*(size or (4.0 * len(sources) + 2.4, 0.4 * len(kinds) + 1.3)))
    axes = figure.subplots(1, len(sources), squeeze=False)[0]
    names = [", ".join(filter(None, (WORDS[m], TRAINED[n, p]))) for m, n, p in kinds]
    for ax, source in zip(axes, sources):
        own = [r for r in rows if r["source"] == source]
        temperatures = sorted({t["temperature"] for r in own for t in r["trials"]})
        phases = {t["temperature"]: t["phase"] for r in own for t in r["trials"]}
        fractions = np.full((len(kinds), len(temperatures)), np.nan)
        for y, kind in enumerate(kinds):
            trials = [t for r in own if (r["method"], r["n"], r["phase"]) == kind for t in r["trials"]]
            for x, T in enumerate(temperatures):
                some = [t for t in trials if t["temperature"] == T]
                if not some:
                    continue
                s = survival(some)
                fractions[y, x] = s.fraction
                words = f"{round(s.fraction * s.trials)} of {s.trials}" + (f"\n{s.median_ps:.1f} ps" if np.isfinite(s.median_ps) else "")
                ax.text(x, y, words, ha="center", va="center", fontsize=8.5, linespacing=1.15)
            if not trials and kind[0] == "reference":
                ax.text(len(temperatures) / 2 - 0.5, y, "cannot be run here", ha="center", va="center", fontsize=8.5, color="#56606b",
                        bbox=dict(color="white", pad=2))  # fmt: skip
        ax.imshow(fractions, cmap=HOLDS, vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(temperatures)), [f"{T:.0f} K\n{T / SOURCES[source].melting['Ge']:.2f}" for T in temperatures], fontsize=8.5)
        ax.set_yticks(range(len(kinds)), names if ax is axes[0] else [""] * len(kinds), fontsize=9)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("temperature, and in units of the melting temperature", fontsize=9)
        length = max(r["length_ps"] for r in own)
        ax.set_title(f"{SOURCES[source].words}, precomputed:\nruns that hold for {length:g} ps", fontsize=10)
        melts = sum(phase == "crystal" for phase in phases.values()) - 0.5
        ax.axvline(melts, color="#1b1f23", lw=1.2)
        ax.set_xticks(np.arange(len(temperatures) + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(len(kinds) + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", lw=2)
        ax.tick_params(which="minor", length=0)
        trained = [k[1:] for k in kinds]
        for y, (here, before) in enumerate(zip(trained[1:], trained), 1):
            if here != before:
                ax.axhline(y - 0.5, color="#1b1f23", lw=0.8)
    return figure


def coexistence(rows, size=None):
    """Melting temperatures by two-phase coexistence, one panel an element: every temperature that was tried, and what grew there.

    rows: of tlmlp.sweep.rows("melting"). The bar is the interval that is left, between the hottest temperature at which the crystal
    grew (full) and the coldest at which the liquid did (hollow); the dashed line the reference's middle.
    """
    if not rows:
        return nothing()
    elements = [e for e in ("Si", "Ge") if any(r["element"] == e for r in rows)]
    kinds = lambda e: sorted((r for r in rows if r["element"] == e), key=lambda r: (r["steps"] > 0, r["n"], list(WORDS).index(r["method"])))
    most = max(len(kinds(e)) for e in elements)
    figure = Picture(*(size or (4.6 * len(elements) + 0.6, 0.42 * most + 1.5)))
    axes = figure.subplots(1, len(elements), squeeze=False)[0]
    for ax, element in zip(axes, elements):
        _quiet(ax)
        own, names = kinds(element), []
        for y, row in enumerate(own):
            untrained = "silicon's potential" if row["method"] == "copied" else WORDS[row["method"]]
            names.append(f"{WORDS[row['method']]}, {row['n'] or 'all'}" if row["steps"] else untrained)
            low, high = row["interval"]
            for T, _, share in row["runs"]:
                ax.plot(T, y, "o", ms=6, color=BLUE, mfc=BLUE if T <= low else "white", zorder=3)
            if row["melting_K"]:
                ax.barh(y, high - low, 0.5, low, color=ORANGE, alpha=0.45, zorder=2)
            words = "{:.0f} ± {:.0f} K".format(*row["melting_K"]) if row["melting_K"] else row["note"] if row["note"].startswith("melts") else "broke down"
            ax.annotate(words, (1.0, y), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", fontsize=9)
            if row["method"] == "reference" and row["melting_K"]:
                ax.axvline(row["melting_K"][0], color=GREY, lw=1, ls="--", zorder=1)
        ax.set_xlim(*(np.array(own[0]["between"]) + np.array([-1, 1]) * 0.03 * own[0]["between"][0]))
        ax.set_ylim(most - 0.4, -0.6)
        ax.set_yticks(range(len(own)), names, fontsize=9)
        ax.set_xlabel("temperature (K)")
        ax.set_title(f"{SOURCES[own[0]['source']].words} {element}, {own[0]['atoms']} atoms, precomputed", fontsize=10)
    figure.legend(
        handles=[Line2D([], [], marker="o", lw=0, color=BLUE, mfc=fill, label=words)
                 for fill, words in ((BLUE, "the crystal grew"), ("white", "the liquid grew"))],
        loc="outside lower center", ncol=2, frameon=False, fontsize=9,
    )  # fmt: skip
    return figure
