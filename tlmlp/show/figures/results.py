"""Figures of precomputed rows: against the amount of data, the step, what is frozen, the temperature.

A row is a dict of `tlmlp.course.rows`, one for each training. Rows that differ in their seed alone
are one line: their mean, with bars of one standard deviation.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...course.results import SIZES, mean_and_spread, own_best
from ...course.sources import SOURCES
from ...course.stability import survival
from .learning import AXIS, by_method
from .picture import SMALL, legend_below, log_axis, note, nothing, panels
from .style import BLACK, BLUE, GREY, INK, METHODS, PURPLE, SKY, TEXT

SHADES = (SKY, BLUE, BLACK)  # of transfer, with more and more data


def where(rows, **fields):
    """Those rows that have these values."""
    return [r for r in rows if all(r.get(name) == value for name, value in fields.items())]


def by_source(rows):
    """[(source, its rows)] of the sources that rows are of."""
    groups = [(source, where(rows, source=source)) for source in SOURCES]
    return [(source, group) for source, group in groups if group]


def _seed_line(ax, at, groups, words, colour, marker, zorder=3):
    """Mean and standard deviation of each group of numbers, joined by a line; the means."""
    means, spreads = zip(*map(mean_and_spread, groups))
    look = dict(color=colour, marker=marker, ms=5.5, lw=1.8, capsize=3, zorder=zorder)
    label = f"{words}, {max(map(len, groups))} seeds"
    ax.errorbar(at, means, np.nan_to_num(spreads), label=label, **look)
    return means


def _level(ax, errors):
    """A dashed line at the mean error of transfer with ten structures."""
    look = dict(color=METHODS["transfer"].colour, ls="--", lw=1, alpha=0.7, zorder=1)
    ax.axhline(np.mean(errors), label="transfer, 10 structures", **look)


def _mae(rows):
    return [row["force_mae"] for row in rows]


def _finish(ax, source, rows):
    """Title, axis and legend of a panel of `learning_curves` and `freezing`."""
    log_axis(ax, _mae(rows))
    steps = sorted({r["steps"] for r in rows})
    stopped = "up to " * any(r["validation"] for r in rows)
    words = f"precomputed, {stopped}{' or '.join(map(str, steps))} steps"
    ax.set_title(f"{SOURCES[source].words}: {words}", fontsize=10)
    ax.set_ylabel(AXIS)
    ax.legend(**SMALL)


# -- data, steps, frozen groups, temperatures --------------------------------------------------------------------------


def learning_curves(rows, size=None):
    """Force errors on held-out germanium against the number of training structures, a panel a source.

    The dashed line is transfer with ten structures.

    Args:
        rows: of tlmlp.course.rows("learning-curve"), or of "own-best". Of these, those with the
            learning rate and steps are drawn that were best on validation structures.
    """
    if not rows:
        return nothing()
    sources = by_source(own_best(rows))
    figure, (axes,) = panels(size or (4.9 * len(sources), 3.7), 1, len(sources))
    for (source, own), ax in zip(sources, axes):
        for method, group in by_method(own):
            at = [k for k, n in enumerate(SIZES) if where(group, n=n)]
            errors = [_mae(where(group, n=SIZES[k])) for k in at]
            _seed_line(ax, at, errors, METHODS[method].word, *METHODS[method][2:])
        if level := _mae(where(own, method="transfer", n=10)):
            _level(ax, level)
        _finish(ax, source, own)
        ax.set_xticks(range(len(SIZES)), [str(n or "all") for n in SIZES])
        ax.set_xlabel("germanium structures to train on")
    return figure


def training_curves(rows, size=None):
    """Force errors on held-out germanium against the step, a panel a source and number of structures.

    One line a seed. A marker stands where the error on validation structures was smallest. The
    dashed line is transfer with ten structures, as in `learning_curves`.

    Args:
        rows: of tlmlp.course.rows("own-best"). Those with the learning rate and steps are drawn
            that were best on validation structures.
    """
    if not rows:
        return nothing()
    rows = own_best(rows)
    sizes, sources = [n for n in SIZES if where(rows, n=n)], by_source(rows)
    size = size or (4.9 * len(sources), 2.9 * len(sizes) + 0.4)
    figure, axes = panels(size, len(sizes), len(sources), sharex=True)
    longest = max(r["steps"] for r in rows)
    ticks = [longest // 2**k for k in range(6, -1, -1)]
    for (source, own), column in zip(sources, axes.T):
        level = _mae(where(own, method="transfer", n=10))
        values = [p[1] for r in own for p in r["curve"] if p[0]] + level
        for n, ax in zip(sizes, column):
            _trainings(ax, where(own, n=n))
            if level:
                _level(ax, level)
            log_axis(ax, values)
            ax.set(xscale="log", xlim=(0.8 * ticks[0], 1.25 * longest))
            ax.set_xticks(ticks, [str(t) for t in ticks])
            ax.minorticks_off()
            words = f"{SOURCES[source].words}, {n or 'all'} structures: precomputed"
            ax.set_title(words, fontsize=10)
        column[-1].set_xlabel("training step")
    for ax in axes[:, 0]:
        ax.set_ylabel(AXIS)
    legend_below(figure)
    return figure


def _trainings(ax, rows):
    """A line for each row, with a marker where validation was best."""
    for method, group in by_method(rows):
        word, _, colour, marker, z = METHODS[method]
        for k, row in enumerate(group):
            best = [row["best_step"], row["force_mae"]]
            curve = sorted([p[:2] for p in row["curve"] if p[0]] + [best])
            ax.plot(*np.array(curve, float).T, color=colour, lw=1.2, alpha=0.7, zorder=z - 1)
            look = dict(color=colour, ms=7, mec="white", zorder=z)
            ax.plot(*best, marker, label="" if k else word, **look)


def freezing(rows, size=None):
    """Force errors on held-out germanium against the groups frozen, a panel a source.

    Args:
        rows: of tlmlp.course.rows("frozen"), with those of "learning-curve" for freezing nothing;
            or of "frozen-best" and "own-best". One line a number of training structures.
    """
    rows = own_best(where(rows, method="transfer"))
    sizes = sorted({r["n"] for r in rows if r["frozen"]})
    sources = by_source([r for r in rows if r["n"] in sizes])
    if not sources:
        return nothing()
    figure, (axes,) = panels(size or (4.9 * len(sources), 3.7), 1, len(sources))
    longest = max((r["frozen"] for r in rows), key=len)
    names = ["nothing", *(f"+ {name.replace('_', ' ')}" for name in longest)]
    for (source, own), ax in zip(sources, axes):
        for n, colour, marker in zip(sizes, SHADES, "o^s"):
            group = where(own, n=n)
            depths = sorted({len(r["frozen"]) for r in group})
            errors = [_mae(r for r in group if len(r["frozen"]) == depth) for depth in depths]
            _seed_line(ax, depths, errors, f"transfer, {n} structures", colour, marker)
        _finish(ax, source, own)
        ax.set_xticks(range(len(names)), names, rotation=25, ha="right", fontsize=8.5)
        ax.set_xlabel("frozen groups")
    return figure


def temperatures(rows, size=None):
    """Force errors at every temperature of the test set, trained on crystals or on liquids alone.

    A panel a source and phase; what was trained on is shaded. A temperature that the test set has in
    both phases counts twice.

    Args:
        rows: of tlmlp.course.rows("temperature").
    """
    if not rows:
        return nothing()
    sources = by_source(rows)
    figure, axes = panels(size or (9.4, 3.5 * len(sources)), len(sources), 2)
    for (source, own), pair in zip(sources, axes):
        errors = [(phase, T, mae) for r in own for T, phase, mae, *_ in r["temperatures"]]
        kinds = sorted({(phase, T) for phase, T, _ in errors})  # crystals first
        for phase, ax in zip(("crystal", "liquid"), pair):
            for method, group in by_method(where(own, phase=phase)):
                found = [(e[1], e[0], e[2]) for r in group for e in r["temperatures"]]
                values = [[e[2] for e in found if e[:2] == kind] for kind in kinds]
                at = range(len(kinds))
                _seed_line(ax, at, values, METHODS[method].word, *METHODS[method][2:])
            trained = [k for k, kind in enumerate(kinds) if kind[0] == phase]
            ends = trained[0] - 0.4, trained[-1] + 0.4
            ax.axvspan(*ends, color=GREY, alpha=0.12, lw=0, zorder=0, label="trained on")
            log_axis(ax, [mae for *_, mae in errors])
            many = dict(rotation=55, ha="right", rotation_mode="anchor") if len(kinds) > 6 else {}
            words = [f"{p} {T:.0f} K" if many else f"{T:.0f} K\n{p}" for p, T in kinds]
            ax.set_xticks(range(len(kinds)), words, fontsize=8, **many)
            words = f"{SOURCES[source].words}, precomputed: trained on {phase}s alone"
            ax.set_title(words, fontsize=10)
            ax.set_ylabel(AXIS)
    legend_below(figure)
    return figure


# -- stability ---------------------------------------------------------------------------------------------------------

HOLDS = LinearSegmentedColormap.from_list("holds", ("#F0A868", "#FBEBD5", "#D6EAF5"))  # none to all
TRAINED = {
    (0, None): "",
    (50, None): "50 structures",
    (10, None): "10 structures",
    (10, "crystal"): "10 crystals alone",
}


def stability_map(rows, size=None):
    """How many runs hold, and the median time until they fail, against temperature; a panel a source.

    A cell has the median time where at least half of its runs failed. The vertical line stands
    between crystals and liquids.

    Args:
        rows: of tlmlp.course.rows("stability").
    """
    if not rows:
        return nothing()
    kinds = {
        ", ".join(filter(None, (METHODS[method].word, words))): dict(
            method=method, n=n, phase=phase
        )
        for (n, phase), words in TRAINED.items()
        for method in METHODS
        if where(rows, method=method, n=n, phase=phase)
    }
    sources = by_source(rows)
    size = size or (4.0 * len(sources) + 2.4, 0.4 * len(kinds) + 1.3)
    figure, (axes,) = panels(size, 1, len(sources))
    for (source, own), ax in zip(sources, axes):
        _survivals(ax, source, own, kinds)
        ax.set_yticks(range(len(kinds)), kinds if ax is axes[0] else [""] * len(kinds), fontsize=9)
    return figure


def _survivals(ax, source, rows, kinds):
    """One source of `stability_map`; kinds: {words: the fields of its rows}."""
    phases = {t["temperature"]: t["phase"] for r in rows for t in r["trials"]}
    temperatures = sorted(phases)
    fractions = np.full((len(kinds), len(temperatures)), np.nan)
    middle = dict(ha="center", va="center", fontsize=8.5)
    for y, fields in enumerate(kinds.values()):
        trials = [t for r in where(rows, **fields) for t in r["trials"]]
        for x, T in enumerate(temperatures):
            if some := where(trials, temperature=T):
                s = survival(some)
                fractions[y, x] = s.fraction
                words = f"{round(s.fraction * s.trials)} of {s.trials}"
                words += f"\n{s.median_ps:.1f} ps" if np.isfinite(s.median_ps) else ""
                ax.text(x, y, words, linespacing=1.15, **middle)
        if not trials and fields["method"] == "reference":
            look = dict(color=TEXT, bbox=dict(color="white", pad=2)) | middle
            ax.text(len(temperatures) / 2 - 0.5, y, "cannot be run here", **look)
    ax.imshow(fractions, cmap=HOLDS, vmin=0, vmax=1, aspect="auto")
    melting = SOURCES[source].melting["Ge"]
    words = [f"{T:.0f} K\n{T / melting:.2f}" for T in temperatures]
    ax.set_xticks(range(len(temperatures)), words, fontsize=8.5)
    ax.set_xlabel("temperature, and in units of the melting temperature", fontsize=9)
    length = max(r["length_ps"] for r in rows)
    words = f"{SOURCES[source].words}, precomputed:\nruns that hold for {length:g} ps"
    ax.set_title(words, fontsize=10)
    ax.spines[:].set_visible(False)
    ax.grid(False)
    for axis, cells in ((ax.xaxis, len(temperatures)), (ax.yaxis, len(kinds))):
        axis.set_ticks(np.arange(cells + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=2)
    ax.tick_params(which="both", length=0)
    ax.axvline(list(phases.values()).count("crystal") - 0.5, color=INK, lw=1.2)
    trained = [(fields["n"], fields["phase"]) for fields in kinds.values()]
    for y, (before, here) in enumerate(zip(trained, trained[1:]), 1):
        if here != before:
            ax.axhline(y - 0.5, color=INK, lw=0.8)


# -- melting -----------------------------------------------------------------------------------------------------------


def coexistence(rows, size=None):
    """Melting temperatures by two-phase coexistence, a panel an element.

    Every temperature that was tried, and what grew there. The bar is the interval that is left,
    between the hottest crystal that grew and the coldest liquid. The dashed line is the reference.

    Args:
        rows: of tlmlp.course.rows("melting").
    """
    if not rows:
        return nothing()
    elements = [(e, where(rows, element=e)) for e in ("Si", "Ge") if where(rows, element=e)]
    most = max(len(own) for _, own in elements)
    size = size or (4.6 * len(elements) + 0.6, 0.42 * most + 1.5)
    figure, (axes,) = panels(size, 1, len(elements))
    for (element, own), ax in zip(elements, axes):
        own.sort(key=lambda r: (r["steps"] > 0, r["n"], list(METHODS).index(r["method"])))
        for y, row in enumerate(own):
            _interval(ax, y, row)
        low, high = own[0]["between"]
        ax.set(xlim=(0.97 * low, high + 0.03 * low), ylim=(most - 0.4, -0.6))
        ax.set_yticks(range(len(own)), map(_trained_on, own), fontsize=9)
        ax.set_xlabel("temperature (K)")
        words = f"{SOURCES[own[0]['source']].words} {element}, {own[0]['atoms']} atoms, precomputed"
        ax.set_title(words, fontsize=10)
    dot = lambda fill, words: Line2D([], [], marker="o", lw=0, color=PURPLE, mfc=fill, label=words)
    handles = [
        dot(PURPLE, "the crystal grew"),
        dot("white", "the liquid grew"),
        Patch(color=SKY, alpha=0.45, label="melting is in here"),
        Line2D([], [], color=GREY, lw=1, ls="--", label="middle of the reference's"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncol=4, **SMALL)
    return figure


def _trained_on(row):
    """What the potential of a row of `coexistence` is, in words."""
    if row["steps"]:
        return f"{METHODS[row['method']].word}, {row['n'] or 'all'}"
    return METHODS["silicon" if row["method"] == "transfer" else row["method"]].word


def _interval(ax, y, row):
    """One row of `coexistence`."""
    low, high = row["interval"]
    for T, *_ in row["runs"]:
        ax.plot(T, y, "o", ms=6, color=PURPLE, mfc=PURPLE if T <= low else "white", zorder=3)
    words = row["note"] if row["note"].startswith("melts") else "broke down"
    if row["melting_K"]:
        words = "{:.0f} ± {:.0f} K".format(*row["melting_K"])
        ax.barh(y, high - low, 0.5, low, color=SKY, alpha=0.45, zorder=2)
        if row["method"] == "reference":
            ax.axvline(row["melting_K"][0], color=GREY, lw=1, ls="--", zorder=1)
    note(ax, words, (1.0, y), (4, 0), ("axes fraction", "data"), va="center", fontsize=9)
