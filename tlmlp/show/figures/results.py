"""Curves of test errors: as they grow, against the amount of data, against what is frozen.

They draw rows: dicts as `tlmlp.sweep` and `tlmlp.race` write them, one for each training. Rows that differ in their seed alone
are one line, their mean, in a band of one standard deviation.
"""

import numpy as np

from ..potential import shipped
from ..sources import SOURCES
from ..sweep import SIZES
from .figures import BLUE, GREEN, GREY, NOTHING, ORANGE, Picture, _quiet, nothing
from .md import _header

STYLE = {  # of a method: colour, marker, words
    "copied": (BLUE, "o", "transfer"),
    "reduced": (GREEN, "^", "transfer, reduced units"),
    "scratch": (ORANGE, "s", "scratch"),
}
AXIS = "test force MAE (meV/Å)"


def race(current=(), earlier=(), precomputed=(), stale="", empty="", steps=None, size=(5.6, 2.9)):
    """Force errors on held-out germanium against the training step.

    current: rows of the newest run, thick; earlier: a list of lists of rows, thin; precomputed: rows that others computed,
    dotted; stale: words that mark the newest run as one of other settings; empty: words where there is nothing to draw;
    steps: where the axis ends at least.
    """
    figure = Picture(*size)
    ax = figure.subplots()
    _quiet(ax)
    seen = []
    for rows in earlier:
        for method, group in _methods(rows):
            at, mean, _ = _over_seeds(group)
            ax.plot(at, mean, color=STYLE[method][0], lw=0.9, alpha=0.45, zorder=2)
            seen.append(mean)
    for method, group in _methods(precomputed):
        colour, _, words = STYLE[method]
        at, mean, spread = _over_seeds(group)
        ax.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.10, lw=0, zorder=1)
        label = f"precomputed {words}: {mean[-1]:.0f}" + (f" ± {spread[-1]:.0f}, {len(group)} seeds" if len(group) > 1 else "")
        ax.plot(at, mean, ":", color=colour, lw=2, zorder=3, label=label)
        seen.append(mean)
    strength = 0.4 if stale else 1.0
    for method, group in _methods(current):
        colour, marker, words = STYLE[method]
        at, mean, spread = _over_seeds(group)
        if len(group) > 1:
            ax.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.18 * strength, lw=0, zorder=3)
            for row in group:
                own = np.array(row["curve"], float)
                ax.plot(own[:, 0], own[:, 1], color=colour, lw=0.8, alpha=0.6 * strength, zorder=3)
        complete = sum(row["curve"][-1][0] >= row["steps"] for row in group)
        label = f"{words}: {mean[-1]:.0f}" + (f" ± {spread[-1]:.0f}, {max(complete, 1)} seeds" if len(group) > 1 and complete > 1 else "")
        ax.plot(at, mean, color=colour, marker=marker, ms=4.5, lw=2.2, alpha=strength, zorder=4, label=label)
        seen.append(mean)
    values = np.concatenate(seen) if seen else np.array([50.0, 500.0])
    low, high = 0.85 * values.min(), 1.25 * values.max()
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    _plain_ticks(ax, low, high)
    ends = [row["steps"] for row in [*current, *precomputed, *sum(map(list, earlier), [])]] + [steps or 1]
    ax.set_xlim(-0.01 * max(ends), 1.01 * max(ends))
    ax.set_xlabel("training step")
    ax.set_ylabel(AXIS)
    if seen and (current or precomputed):
        ax.legend(loc="upper right", frameon=False, fontsize=9)
    elif empty:
        ax.text(0.5, 0.5, empty, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=10)
    if stale:
        ax.set_title(stale, loc="left", fontsize=9.5, color="#B35900")
    return figure


def _methods(rows):
    """[(method, its rows)], scratch last, so that it lies on top where lines meet."""
    return [(m, [r for r in rows if r["method"] == m]) for m in ("copied", "reduced", "scratch") if any(r["method"] == m for r in rows)]


def _over_seeds(rows):
    """(steps, mean, standard deviation) of force MAE over rows, at the steps that all complete ones have.

    A training under way is drawn by itself; it joins the mean when it is complete.
    """
    complete = [r for r in rows if r["curve"][-1][0] >= r["steps"]] or rows[:1]
    common = set.intersection(*({point[0] for point in row["curve"]} for row in complete))
    curves = np.array([[p[1] for p in row["curve"] if p[0] in common] for row in complete], float)
    spread = curves.std(0, ddof=1) if len(curves) > 1 else np.zeros(curves.shape[1])
    return np.array(sorted(common)), curves.mean(0), spread


def _plain_ticks(ax, low, high):
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [d * 10.0**e for e in range(-2, 6) for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) >= 4:
            break
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


# -- precomputed sweeps -----------------------------------------------------------------------------------------------


def learning_curves(rows, size=None):
    """Force errors on held-out germanium against the number of training structures, one panel a source.

    rows: of tlmlp.sweep.rows("learning-curve"), or of "own-best", of which those with the learning rate and steps count that
    were best on validation structures. The dashed line is transfer with ten structures, on to where scratch meets it.
    """
    if not rows:
        return nothing()
    rows = _own_best(rows)
    sources, figure, axes = _panels(rows, size)
    for source, ax in zip(sources, axes):
        own = [r for r in rows if r["source"] == source]
        for method, group in _methods(own):
            colour, marker, words = STYLE[method]
            sizes = [n for n in SIZES if any(r["n"] == n for r in group)]
            means, spreads, most = _statistics([[r for r in group if r["n"] == n] for n in sizes])
            at = [SIZES.index(n) for n in sizes]
            ax.errorbar(at, means, spreads, color=colour, marker=marker, ms=5.5, lw=1.8, capsize=3, label=f"{words}, {most} seeds")
            if method == "copied" and 10 in sizes:
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
    rows = _own_best(rows)
    longest = max(r["steps"] for r in rows)
    sizes = [n for n in SIZES if any(r["n"] == n for r in rows)]
    sources = [s for s in SOURCES if any(r["source"] == s for r in rows)]
    figure = Picture(*(size or (4.9 * len(sources), 2.9 * len(sizes) + 0.4)))
    axes = figure.subplots(len(sizes), len(sources), squeeze=False, sharex=True)
    for source, column in zip(sources, axes.T):
        own = [r for r in rows if r["source"] == source]
        level = [r["force_mae"] for r in own if (r["method"], r["n"]) == ("copied", 10)]
        values = [p[1] for r in own for p in r["curve"] if p[0]]
        low, high = 0.85 * min(values + level), 1.15 * max(values)
        for n, ax in zip(sizes, column):
            for method, group in _methods([r for r in own if r["n"] == n]):
                colour, marker, words = STYLE[method]
                for k, row in enumerate(group):
                    points = [p[:2] for p in row["curve"] if p[0]] + [[row["best_step"], row["force_mae"]]]
                    at, errors = np.array(sorted(points), float).T
                    ax.plot(at, errors, color=colour, lw=1.2, alpha=0.7)
                    ax.plot(row["best_step"], row["force_mae"], marker, color=colour, ms=7, mec="white", zorder=3, label="" if k else words)
            if level:
                ax.axhline(np.mean(level), color=STYLE["copied"][0], ls="--", lw=1, alpha=0.7, zorder=1)
            _quiet(ax)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_ylim(low, high)
            _plain_ticks(ax, low, high)
            ticks = [longest // 2**k for k in range(6, -1, -1)]
            ax.set_xticks(ticks, [str(t) for t in ticks])
            ax.set_xlim(0.8 * ticks[0], 1.25 * longest)
            ax.minorticks_off()
            ax.set_title(f"{SOURCES[source].words}, {n or 'all'} structures: precomputed", fontsize=10)
        column[-1].set_xlabel("training step")
    for ax in axes[:, 0]:
        ax.set_ylabel(AXIS)
    handles = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles, loc="outside lower center", ncol=3, frameon=False, fontsize=9)
    return figure


def freezing(rows, size=None):
    """Force errors on held-out germanium against the number of groups frozen, one panel a source, one line a data size.

    rows: of tlmlp.sweep.rows("frozen"), with those of "learning-curve" for freezing nothing; or of "frozen-best" and "own-best".
    """
    rows = _own_best([r for r in rows if r["method"] == "copied"])
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
            means, spreads, most = _statistics([[r for r in own if r["n"] == n and len(r["frozen"]) == d] for d in depths])
            ax.errorbar(depths, means, spreads, color=colour, marker=marker, ms=5.5, lw=1.8, capsize=3,
                        label=f"{n} structures, {most} seeds")  # fmt: skip
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
        kinds = sorted({(phase, t) for r in own for t, phase, *_ in r["temperatures"]})  # crystals first
        values = [e[2] for r in own for e in r["temperatures"]]
        for phase, ax in zip(("crystal", "liquid"), pair):
            _quiet(ax)
            for method, group in _methods([r for r in own if r["phase"] == phase]):
                colour, marker, words = STYLE[method]
                errors = [[e[2] for r in group for e in r["temperatures"] if (e[1], e[0]) == kind] for kind in kinds]
                spreads = [np.std(e, ddof=1) if len(e) > 1 else 0.0 for e in errors]
                ax.errorbar(range(len(kinds)), [np.mean(e) for e in errors], spreads, color=colour, marker=marker, ms=5.5, lw=1.8,
                            capsize=3, label=f"{words}, {len(group)} seeds")  # fmt: skip
            trained = [i for i, kind in enumerate(kinds) if kind[0] == phase]
            ax.axvspan(trained[0] - 0.4, trained[-1] + 0.4, color=GREY, alpha=0.12, lw=0, zorder=0)
            ax.set_yscale("log")
            low, high = 0.85 * min(values), 1.25 * max(values)
            ax.set_ylim(low, high)
            _plain_ticks(ax, low, high)
            if len(kinds) > 6:
                ax.set_xticks(range(len(kinds)), [f"{p} {t:.0f} K" for p, t in kinds], fontsize=8, rotation=55, ha="right", rotation_mode="anchor")
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
    kinds = [("scratch", None, "silicon's"), ("scratch", "long", "larger"), ("copied", None, "silicon's"),
             ("reduced", "short", "silicon's"), ("reduced", None, "larger")]  # fmt: skip
    sizes = sorted({r["n"] for r in rows if r.get("cutoff")})
    lines = []
    for source in (s for s in SOURCES if any(r["source"] == s and r.get("cutoff") for r in rows)):
        lines.append(f"{SOURCES[source].words:26}{'cutoff':12}{'untrained':>12}" + "".join(f"{f'N = {n}':>12}" for n in sizes))
        for method, cutoff, words in kinds:
            own = [r for r in rows if (r["source"], r["method"], r.get("cutoff")) == (source, method, cutoff)]
            start = [r["untrained"][0] for r in own if r["untrained"]]
            cells = [start, *([r["force_mae"] for r in own if r["n"] == n] for n in sizes)]
            texts = [f"{np.mean(c):.0f} ± {np.std(c, ddof=1):.0f}" if len(c) > 1 else "–" for c in cells]
            lines.append(f"{STYLE[method][2]:26}{words:12}" + "".join(f"{text:>12}" for text in texts))
        lines.append("")
    return "\n".join(lines[:-1]) or NOTHING


ERRORS = dict(force_mae="force MAE, meV/Å", force_rmse="force RMSE, meV/Å", energy_rmse="energy RMSE, meV/atom")


def error_table(rows, key="force_mae"):
    """The numbers of `learning_curves` as text: mean ± standard deviation over seeds.

    key: "force_mae" (meV/Å), "force_rmse" (meV/Å) or "energy_rmse" (meV/atom), of held-out structures; ValueError for another.
    """
    if key not in ERRORS:
        raise ValueError(f"key must be one of {', '.join(ERRORS)}, not {key!r}")
    if not rows:
        return NOTHING
    rows, lines, digits = _own_best(rows), [ERRORS[key]], 1 if key == "energy_rmse" else 0
    for source in (s for s in SOURCES if any(r["source"] == s for r in rows)):
        lines.append(f"{SOURCES[source].words:24}" + "".join(f"{n or 'all':>12}" for n in SIZES))
        for method, group in _methods([r for r in rows if r["source"] == source]):
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
    "Si": {"M3GNet": (9.6, 102.8), "NNP": (9.9, 174.2), "MTP": (3.0, 88.1), "SNAP": (8.1, 205.3), "qSNAP": (5.5, 176.9)},
    "Ge": {"M3GNet": (9.4, 76.4), "NNP": (11.0, 124.3), "MTP": (3.7, 70.3), "SNAP": (9.8, 295.1), "qSNAP": (10.6, 200.5)},
}


def published_table(element="Ge"):
    """Published potentials and ours of the paper's size on mlearn's test set, smallest force error first, as text.

    element: "Ge" or "Si". Ours are those that ship, with the errors their files hold. Raises ValueError for another element.
    """
    if element not in PUBLISHED:
        raise ValueError(f"element must be one of {', '.join(PUBLISHED)}, not {element!r}")
    table = dict(PUBLISHED[element])
    for name in shipped():
        info = _header(name)["info"]
        if (info["data"], info["config"]) == (f"mlearn:{element}", "paper"):
            start = "scratch" if "start" not in info else "transfer" + ", reduced units" * info["reduced_units"]
            table[f"DimeNet++ here, {start} ({name})"] = tuple(info["test_errors"][k] for k in ("energy_rmse", "force_rmse"))
    width = max(map(len, table))
    lines = [f"{element + ', test set of mlearn':{width}}{'energy RMSE, meV/atom':>24}{'force RMSE, meV/Å':>20}"]
    return "\n".join(lines + [f"{k:{width}}{e:24.1f}{f:20.1f}" for k, (e, f) in sorted(table.items(), key=lambda item: item[1][1])])


def _own_best(rows):
    """Of trainings that differ in learning rate or steps, those with what has the smallest errors on validation structures.

    It is chosen once for a method: by the mean logarithm of the error over all sources, sizes and seeds that have tried every
    choice. So no point of a curve has had more choices than another.
    """
    methods = {}
    for row in rows:
        choices = methods.setdefault((row["method"], tuple(row["frozen"])), {})
        choices.setdefault((row["learning_rate"], row["steps"]), {})[row["source"], row["n"], row["seed"]] = row
    chosen = []
    for choices in methods.values():
        tried = set.intersection(*map(set, choices.values()))
        error = lambda own: np.mean([np.log(own[k].get("valid_force_rmse") or 1) for k in tried]) if tried else -len(own)
        chosen += min(choices.values(), key=error).values()
    return chosen


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
    _quiet(ax)
    ax.set_yscale("log")
    values = [r["force_mae"] for r in rows]
    low, high = 0.85 * min(values), 1.25 * max(values)
    ax.set_ylim(low, high)
    _plain_ticks(ax, low, high)
    steps = sorted({r["steps"] for r in rows})
    stopped = "up to " * any(r["validation"] for r in rows)
    ax.set_title(f"{source}: precomputed, {stopped}{' or '.join(map(str, steps))} steps", fontsize=10)
    ax.set_ylabel(AXIS)
    ax.legend(frameon=False, fontsize=9)
