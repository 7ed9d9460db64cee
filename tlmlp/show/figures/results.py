"""Curves of test errors: as they grow, against the amount of data, against what is frozen.

They draw rows: dicts as `tlmlp.sweep` and `tlmlp.race` write them, one for each training. Rows that differ in their seed alone
are one line, their mean, in a band of one standard deviation.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D

from ...course.results import own_best
from ...course.runs import SIZES
from ...course.sources import SOURCES
from ...course.stability import survival
from ...potential import header, shipped
from .learning import AXIS, by_method, plain_ticks
from .picture import NOTHING, Picture, nothing, quiet
from .style import BLUE, GREEN, GREY, ORANGE, STYLE, WORDS

# -- precomputed sweeps -----------------------------------------------------------------------------------------------


def learning_curves(rows, size=None):
    """Force errors on held-out germanium against the number of training structures, one panel a source.

    rows: of tlmlp.sweep.rows("learning-curve"), or of "own-best", of which those with the learning rate and steps count that
    were best on validation structures. The dashed line is transfer with ten structures, on to where scratch meets it.
    """
    if not rows:
        return nothing()
    rows = own_best(rows)
    sources, figure, axes = _panels(rows, size)
    for source, ax in zip(sources, axes):
        own = [r for r in rows if r["source"] == source]
        for method, group in by_method(own):
            colour, marker, words = STYLE[method]
            sizes = [n for n in SIZES if any(r["n"] == n for r in group)]
            means, spreads, most = _statistics([[r for r in group if r["n"] == n] for n in sizes])
            at = [SIZES.index(n) for n in sizes]
            ax.errorbar(
                at,
                means,
                spreads,
                color=colour,
                marker=marker,
                ms=5.5,
                lw=1.8,
                capsize=3,
                label=f"{words}, {most} seeds",
            )
            if method == "transfer" and 10 in sizes:
                level = means[sizes.index(10)]
                ax.axhline(level, color=colour, ls="--", lw=1, alpha=0.7, zorder=1)
        _finish(ax, own, SOURCES[source].words)
        ax.set_xticks(range(len(SIZES)), [str(n or "all") for n in SIZES])
        ax.set_xlabel("germanium structures to train on")
    return figure


def training_curves(rows, size=None):
    """Force errors on held-out germanium against the training step, one panel a source and number of structures, one line a seed.

    rows: of tlmlp.sweep.rows("own-best"), of which those with the learning rate and steps are drawn that were best on validation
    structures. They also chose the step of the marker. The dashed line is transfer with ten structures, as in `learning_curves`.
    """
    if not rows:
        return nothing()
    rows = own_best(rows)
    longest = max(r["steps"] for r in rows)
    sizes = [n for n in SIZES if any(r["n"] == n for r in rows)]
    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    figure = Picture(*(size or (4.9 * len(sources), 2.9 * len(sizes) + 0.4)))
    axes = figure.subplots(len(sizes), len(sources), squeeze=False, sharex=True)
    for source, column in zip(sources, axes.T):
        own = [r for r in rows if r["source"] == source]
        level = [r["force_mae"] for r in own if (r["method"], r["n"]) == ("transfer", 10)]
        values = [p[1] for r in own for p in r["curve"] if p[0]]
        low, high = 0.85 * min(values + level), 1.15 * max(values)
        for n, ax in zip(sizes, column):
            for method, group in by_method([r for r in own if r["n"] == n]):
                colour, marker, words = STYLE[method]
                for k, row in enumerate(group):
                    points = [p[:2] for p in row["curve"] if p[0]] + [
                        [row["best_step"], row["force_mae"]]
                    ]
                    at, errors = np.array(sorted(points), float).T
                    ax.plot(at, errors, color=colour, lw=1.2, alpha=0.7)
                    ax.plot(
                        row["best_step"],
                        row["force_mae"],
                        marker,
                        color=colour,
                        ms=7,
                        mec="white",
                        zorder=3,
                        label="" if k else words,
                    )
            if level:
                ax.axhline(
                    np.mean(level), color=STYLE["transfer"][0], ls="--", lw=1, alpha=0.7, zorder=1
                )
            quiet(ax)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_ylim(low, high)
            plain_ticks(ax, low, high)
            ticks = [longest // 2**k for k in range(6, -1, -1)]
            ax.set_xticks(ticks, [str(t) for t in ticks])
            ax.set_xlim(0.8 * ticks[0], 1.25 * longest)
            ax.minorticks_off()
            ax.set_title(
                f"{SOURCES[source].words}, {n or 'all'} structures: precomputed", fontsize=10
            )
        column[-1].set_xlabel("training step")
    for ax in axes[:, 0]:
        ax.set_ylabel(AXIS)
    handles = {
        label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels())
    }
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncol=3, frameon=False, fontsize=9
    )
    return figure


def freezing(rows, size=None):
    """Force errors on held-out germanium against the number of groups frozen, one panel a source, one line a data size.

    rows: of tlmlp.sweep.rows("frozen"), with those of "learning-curve" for freezing nothing; or of "frozen-best" and "own-best".
    """
    rows = own_best([r for r in rows if r["method"] == "transfer"])
    sizes = sorted({r["n"] for r in rows if r["frozen"]})
    rows = [r for r in rows if r["n"] in sizes]
    if not rows:
        return nothing()
    sources, figure, axes = _panels(rows, size)
    longest = max((r["frozen"] for r in rows), key=len)
    names = ["nothing", *(f"+ {name.replace('_', ' ')}" for name in longest)]
    for source, ax in zip(sources, axes):
        own = [r for r in rows if r["source"] == source]
        for n, colour, marker in zip(sizes, (BLUE, GREEN, ORANGE), "o^s"):
            depths = sorted({len(r["frozen"]) for r in own if r["n"] == n})
            means, spreads, most = _statistics(
                [[r for r in own if r["n"] == n and len(r["frozen"]) == d] for d in depths]
            )
            ax.errorbar(
                depths,
                means,
                spreads,
                color=colour,
                marker=marker,
                ms=5.5,
                lw=1.8,
                capsize=3,
                label=f"{n} structures, {most} seeds",
            )
        _finish(ax, own, SOURCES[source].words)
        ax.set_xticks(range(len(names)), names, rotation=25, ha="right", fontsize=8.5)
        ax.set_xlabel("frozen")
    return figure


def temperatures(rows, size=None):
    """Force errors at every temperature of the test set, of potentials that saw crystals alone, or liquids alone.

    rows: of tlmlp.sweep.rows("temperature"). One panel a source and phase; what was trained on is shaded. Frames of a temperature
    that the test set has in both phases count where their phase belongs.
    """
    if not rows:
        return nothing()
    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    figure = Picture(*(size or (9.4, 3.5 * len(sources))))
    axes = figure.subplots(len(sources), 2, squeeze=False)
    for source, pair in zip(sources, axes):
        own = [r for r in rows if r["source"] == source]
        kinds = sorted(
            {(phase, t) for r in own for t, phase, *_ in r["temperatures"]}
        )  # crystals first
        values = [e[2] for r in own for e in r["temperatures"]]
        for phase, ax in zip(("crystal", "liquid"), pair):
            quiet(ax)
            for method, group in by_method([r for r in own if r["phase"] == phase]):
                colour, marker, words = STYLE[method]
                errors = [
                    [e[2] for r in group for e in r["temperatures"] if (e[1], e[0]) == kind]
                    for kind in kinds
                ]
                spreads = [np.std(e, ddof=1) if len(e) > 1 else 0.0 for e in errors]
                ax.errorbar(
                    range(len(kinds)),
                    [np.mean(e) for e in errors],
                    spreads,
                    color=colour,
                    marker=marker,
                    ms=5.5,
                    lw=1.8,
                    capsize=3,
                    label=f"{words}, {len(group)} seeds",
                )
            trained = [i for i, kind in enumerate(kinds) if kind[0] == phase]
            ax.axvspan(trained[0] - 0.4, trained[-1] + 0.4, color=GREY, alpha=0.12, lw=0, zorder=0)
            ax.set_yscale("log")
            low, high = 0.85 * min(values), 1.25 * max(values)
            ax.set_ylim(low, high)
            plain_ticks(ax, low, high)
            if len(kinds) > 6:
                ax.set_xticks(
                    range(len(kinds)),
                    [f"{p} {t:.0f} K" for p, t in kinds],
                    fontsize=8,
                    rotation=55,
                    ha="right",
                    rotation_mode="anchor",
                )
            else:
                ax.set_xticks(range(len(kinds)), [f"{t:.0f} K\n{p}" for p, t in kinds], fontsize=8)
            ax.set_title(f"{SOURCES[source].words}: trained on {phase}s alone", fontsize=10)
            ax.set_ylabel(AXIS)
            ax.legend(frameon=False, fontsize=9)
    return figure


def cutoff_table(rows):
    """Does a change of units help by itself, or by the larger cutoff that comes with it? Force MAE in meV/Å as text.

    rows: of tlmlp.sweep.rows("cutoff"), with those of "learning-curve" for the methods with cutoffs of their own.
    """
    kinds = [
        ("scratch", None, "silicon's"),
        ("scratch", "long", "larger"),
        ("transfer", None, "silicon's"),
        ("reduced", "short", "silicon's"),
        ("reduced", None, "larger"),
    ]
    sizes = sorted({r["n"] for r in rows if r.get("cutoff")})
    lines = []
    for source in (s for s in SOURCES if any(r["source"] == s and r.get("cutoff") for r in rows)):
        lines.append(
            f"{SOURCES[source].words:26}{'cutoff':12}{'untrained':>12}"
            + "".join(f"{f'N = {n}':>12}" for n in sizes)
        )
        for method, cutoff, words in kinds:
            own = [
                r
                for r in rows
                if (r["source"], r["method"], r.get("cutoff")) == (source, method, cutoff)
            ]
            start = [r["untrained"][0] for r in own if r["untrained"]]
            cells = [start, *([r["force_mae"] for r in own if r["n"] == n] for n in sizes)]
            texts = [
                f"{np.mean(c):.0f} ± {np.std(c, ddof=1):.0f}" if len(c) > 1 else "–" for c in cells
            ]
            lines.append(
                f"{STYLE[method][2]:26}{words:12}" + "".join(f"{text:>12}" for text in texts)
            )
        lines.append("")
    return "\n".join(lines[:-1]) or NOTHING


ERRORS = dict(
    force_mae="force MAE, meV/Å",
    force_rmse="force RMSE, meV/Å",
    energy_rmse="energy RMSE, meV/atom",
)


def error_table(rows, key="force_mae"):
    """The numbers of `learning_curves` as text: mean ± standard deviation over seeds.

    key: "force_mae" (meV/Å), "force_rmse" (meV/Å) or "energy_rmse" (meV/atom), of held-out structures; ValueError for another.
    """
    if key not in ERRORS:
        raise ValueError(f"key must be one of {', '.join(ERRORS)}, not {key!r}")
    if not rows:
        return NOTHING
    rows, lines, digits = own_best(rows), [ERRORS[key]], 1 if key == "energy_rmse" else 0
    for source in (s for s in SOURCES if any(r["source"] == s for r in rows)):
        lines.append(f"{SOURCES[source].words:24}" + "".join(f"{n or 'all':>12}" for n in SIZES))
        for method, group in by_method([r for r in rows if r["source"] == source]):
            cells = []
            for n in SIZES:
                values = [r[key] for r in group if r["n"] == n]
                cells.append(f"{np.mean(values):.{digits}f}" if values else "–")
                if len(values) > 1:
                    cells[-1] += f" ± {np.std(values, ddof=1):.{digits}f}"
            lines.append(f"{STYLE[method][2]:24}" + "".join(f"{cell:>12}" for cell in cells))
        lines.append("")
    return "\n".join(lines[:-1])


# Energy RMSE (meV/atom) and force RMSE (meV/Å) on mlearn's test sets. M3GNet, NNP, MTP: C. Chen, S. P. Ong, Nat. Comput. Sci. 2,
# 718 (2022), table 1. SNAP, qSNAP: the coefficients released with Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020), evaluated.
PUBLISHED = {
    "Si": {
        "M3GNet": (9.6, 102.8),
        "NNP": (9.9, 174.2),
        "MTP": (3.0, 88.1),
        "SNAP": (8.1, 205.3),
        "qSNAP": (5.5, 176.9),
    },
    "Ge": {
        "M3GNet": (9.4, 76.4),
        "NNP": (11.0, 124.3),
        "MTP": (3.7, 70.3),
        "SNAP": (9.8, 295.1),
        "qSNAP": (10.6, 200.5),
    },
}


def published_table(element="Ge"):
    """Published potentials and ours of the paper's size on mlearn's test set, smallest force error first, as text.

    element: "Ge" or "Si". Ours are those that ship, with the errors their files hold. Raises ValueError for another element.
    """
    if element not in PUBLISHED:
        raise ValueError(f"element must be one of {', '.join(PUBLISHED)}, not {element!r}")
    table = dict(PUBLISHED[element])
    for name in shipped():
        info = header(name)["info"]
        if (info["data"], info["config"]) == (f"mlearn:{element}", "paper"):
            start = (
                "scratch"
                if "start" not in info
                else "transfer" + ", reduced units" * info["reduced_units"]
            )
            table[f"DimeNet++ here, {start} ({name})"] = tuple(
                info["test_errors"][k] for k in ("energy_rmse", "force_rmse")
            )
    width = max(map(len, table))
    lines = [
        f"{element + ', test set of mlearn':{width}}{'energy RMSE, meV/atom':>24}{'force RMSE, meV/Å':>20}"
    ]
    return "\n".join(
        lines
        + [
            f"{k:{width}}{e:24.1f}{f:20.1f}"
            for k, (e, f) in sorted(table.items(), key=lambda item: item[1][1])
        ]
    )


def _panels(rows, size):
    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    figure = Picture(*(size or (4.9 * len(sources), 3.7)))
    return sources, figure, figure.subplots(1, len(sources), squeeze=False)[0]


def _statistics(groups):
    """(means, standard deviations, the most seeds of a point) of groups of rows."""
    values = [[r["force_mae"] for r in group] for group in groups]
    spreads = [float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for v in values]
    return [float(np.mean(v)) for v in values], spreads, max(map(len, values))


def _finish(ax, rows, source):
    quiet(ax)
    ax.set_yscale("log")
    values = [r["force_mae"] for r in rows]
    low, high = 0.85 * min(values), 1.25 * max(values)
    ax.set_ylim(low, high)
    plain_ticks(ax, low, high)
    steps = sorted({r["steps"] for r in rows})
    stopped = "up to " * any(r["validation"] for r in rows)
    ax.set_title(
        f"{source}: precomputed, {stopped}{' or '.join(map(str, steps))} steps", fontsize=10
    )
    ax.set_ylabel(AXIS)
    ax.legend(frameon=False, fontsize=9)


HOLDS = LinearSegmentedColormap.from_list(
    "holds", ("#F0A868", "#FBEBD5", "#D6EAF5")
)  # none, half, all: orange to blue


TRAINED = {
    (0, None): "",
    (50, None): "50 structures",
    (10, None): "10 structures",
    (10, "crystal"): "10 crystals alone",
}


def stability_map(rows, size=None):
    """How many runs hold, and the median time until they fail, against temperature; one panel a source.

    rows: of tlmlp.sweep.rows("stability"). A cell says how many runs of how many held, and the median time to failure where
    at least half of them failed. The line stands between crystals and liquids.
    """
    if not rows:
        return nothing()
    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    kinds = [
        (m, n, p)
        for n, p in TRAINED
        for m in WORDS
        if any((r["method"], r["n"], r["phase"]) == (m, n, p) for r in rows)
    ]
    figure = Picture(*(size or (4.0 * len(sources) + 2.4, 0.4 * len(kinds) + 1.3)))
    axes = figure.subplots(1, len(sources), squeeze=False)[0]
    names = [", ".join(filter(None, (WORDS[m], TRAINED[n, p]))) for m, n, p in kinds]
    for ax, source in zip(axes, sources):
        own = [r for r in rows if r["source"] == source]
        temperatures = sorted({t["temperature"] for r in own for t in r["trials"]})
        phases = {t["temperature"]: t["phase"] for r in own for t in r["trials"]}
        fractions = np.full((len(kinds), len(temperatures)), np.nan)
        for y, kind in enumerate(kinds):
            trials = [
                t for r in own if (r["method"], r["n"], r["phase"]) == kind for t in r["trials"]
            ]
            for x, T in enumerate(temperatures):
                some = [t for t in trials if t["temperature"] == T]
                if not some:
                    continue
                s = survival(some)
                fractions[y, x] = s.fraction
                words = f"{round(s.fraction * s.trials)} of {s.trials}" + (
                    f"\n{s.median_ps:.1f} ps" if np.isfinite(s.median_ps) else ""
                )
                ax.text(x, y, words, ha="center", va="center", fontsize=8.5, linespacing=1.15)
            if not trials and kind[0] == "reference":
                ax.text(
                    len(temperatures) / 2 - 0.5,
                    y,
                    "cannot be run here",
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color="#56606b",
                    bbox=dict(color="white", pad=2),
                )
        ax.imshow(fractions, cmap=HOLDS, vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(
            range(len(temperatures)),
            [f"{T:.0f} K\n{T / SOURCES[source].melting['Ge']:.2f}" for T in temperatures],
            fontsize=8.5,
        )
        ax.set_yticks(range(len(kinds)), names if ax is axes[0] else [""] * len(kinds), fontsize=9)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("temperature, and in units of the melting temperature", fontsize=9)
        length = max(r["length_ps"] for r in own)
        ax.set_title(
            f"{SOURCES[source].words}, precomputed:\nruns that hold for {length:g} ps", fontsize=10
        )
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
    kinds = lambda e: sorted(
        (r for r in rows if r["element"] == e),
        key=lambda r: (r["steps"] > 0, r["n"], list(WORDS).index(r["method"])),
    )
    most = max(len(kinds(e)) for e in elements)
    figure = Picture(*(size or (4.6 * len(elements) + 0.6, 0.42 * most + 1.5)))
    axes = figure.subplots(1, len(elements), squeeze=False)[0]
    for ax, element in zip(axes, elements):
        quiet(ax)
        own, names = kinds(element), []
        for y, row in enumerate(own):
            untrained = (
                "silicon's potential" if row["method"] == "transfer" else WORDS[row["method"]]
            )
            names.append(
                f"{WORDS[row['method']]}, {row['n'] or 'all'}" if row["steps"] else untrained
            )
            low, high = row["interval"]
            for T, _, share in row["runs"]:
                ax.plot(T, y, "o", ms=6, color=BLUE, mfc=BLUE if T <= low else "white", zorder=3)
            if row["melting_K"]:
                ax.barh(y, high - low, 0.5, low, color=ORANGE, alpha=0.45, zorder=2)
            words = (
                "{:.0f} ± {:.0f} K".format(*row["melting_K"])
                if row["melting_K"]
                else row["note"]
                if row["note"].startswith("melts")
                else "broke down"
            )
            ax.annotate(
                words,
                (1.0, y),
                (4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
            if row["method"] == "reference" and row["melting_K"]:
                ax.axvline(row["melting_K"][0], color=GREY, lw=1, ls="--", zorder=1)
        ax.set_xlim(
            *(np.array(own[0]["between"]) + np.array([-1, 1]) * 0.03 * own[0]["between"][0])
        )
        ax.set_ylim(most - 0.4, -0.6)
        ax.set_yticks(range(len(own)), names, fontsize=9)
        ax.set_xlabel("temperature (K)")
        ax.set_title(
            f"{SOURCES[own[0]['source']].words} {element}, {own[0]['atoms']} atoms, precomputed",
            fontsize=10,
        )
    figure.legend(
        handles=[
            Line2D([], [], marker="o", lw=0, color=BLUE, mfc=fill, label=words)
            for fill, words in ((BLUE, "the crystal grew"), ("white", "the liquid grew"))
        ],
        loc="outside lower center",
        ncol=2,
        frameon=False,
        fontsize=9,
    )
    return figure
