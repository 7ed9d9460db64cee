"""Figures of precomputed rows: against data, steps, frozen groups and temperatures.

A row is a dict of `tlmlp.course.rows`, one for each training. Rows that differ in their seed alone
are one line: their mean, with bars of one standard deviation. Of rows that differ in learning rate
or steps, those are drawn that were best on validation structures. Each source has its own panels.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from ...course.results import SIZES, mean_and_spread, own_best
from ...course.sources import SOURCES
from ...course.stability import survival
from ...potential import header
from .learning import AXIS, groups, where
from .picture import SMALL, legend_below, log_axis, note, nothing, panels
from .style import INK, MARKERS, METHODS, PALE, PALETTE, TEXT

ALONE = "germanium alone"
HOLDS = LinearSegmentedColormap.from_list("holds", ("#D995B0", "#F6EAEE", "#DEDAF0"))  # none to all


def _mae(rows):
    return [row["force_mae"] for row in rows]


def _seed_line(ax, at, values, look, **other):
    """Mean and standard deviation over seeds at each point, joined by a line."""
    means, spreads = np.nan_to_num([mean_and_spread(seeds) for seeds in values]).T
    line = dict(color=look.colour, marker=look.marker, ms=5.5, lw=1.8, capsize=3) | other
    label = f"{look.word}, {max(map(len, values))} seeds"
    ax.errorbar(at, means, spreads, label=label, zorder=look.zorder, **line)


def _level(ax, rows):
    """A dashed line at the mean error of transfer with ten structures, where rows have it."""
    if errors := _mae(where(rows, method="transfer", n=10)):
        look = dict(color=METHODS["transfer"].colour, ls="--", lw=1, alpha=0.7, zorder=1)
        ax.axhline(np.mean(errors), label="transfer, 10 structures", **look)
    return errors


def _data_panel(ax, rows, sizes, words):
    """Errors against the number of structures, a line a method."""
    for method, group in groups(rows, method=METHODS):
        own = [(sizes.index(n), _mae(some)) for n, some in groups(group, n=sizes)]
        _seed_line(ax, *zip(*own), METHODS[method])
    log_axis(ax, _mae(rows))
    ax.set_xticks(range(len(sizes)), [str(n or "all") for n in sizes])
    ax.set(xlabel=words, ylabel=AXIS)


def _columns(rows, lines=1, size=(4.55, 4.0), **options):
    """(Picture, [(Source, its rows, its axes)]): a column of axes a source."""
    sources = groups(rows, source=SOURCES)
    if not sources:
        return nothing(), []
    figure, axes = panels(size[0] * len(sources), size[1], lines, len(sources), **options)
    return figure, [(SOURCES[key], own, column) for (key, own), column in zip(sources, axes.T)]


def _title(ax, source, rows):
    """What the trainings of a panel were."""
    steps = sorted({r["steps"] for r in rows})
    words = "up to " * any(r["validation"] for r in rows) + " or ".join(map(str, steps))
    ax.set_title(f"{source.words}: precomputed, {words} steps", fontsize=10)


def learning_curves(rows):
    """Force errors on germanium against the structures, of "learning-curve" or "own-best"."""
    figure, columns = _columns(own_best(rows))
    for source, own, (ax,) in columns:
        _data_panel(ax, own, SIZES, "germanium structures to train on")
        _level(ax, own)
        _title(ax, source, own)
    best = any(row["validation"] for row in rows)
    step = "the step with the smallest validation error" if best else "its last step"
    return legend_below(figure).describe("learning_curves", step=step)


def pair_curves(rows):
    """Force errors of any two elements, of tlmlp.sweep.pair, against the number of structures."""
    rows = [row for row in rows if row["method"] != "source"]
    figure, ((ax,),) = panels(4.9, 3.7)
    words = f"training structures of {rows[0]['target']}"
    _data_panel(ax, rows, sorted({row["n"] for row in rows}), words)
    ax.set_title(f"transfer from {rows[0]['source']}, {rows[0]['steps']} steps", fontsize=10)
    return legend_below(figure).describe("pair_curves", target=rows[0]["target"])


def training_curves(rows):
    """Force errors on held-out germanium against the step, one line a seed, of "own-best"."""
    rows = own_best(rows)
    sizes = [n for n in SIZES if where(rows, n=n)]
    longest = max((r["steps"] for r in rows), default=1)
    ticks = [longest // 2**k for k in range(6, -1, -1)]
    figure, columns = _columns(rows, len(sizes), (4.55, 2.8 * len(sizes) + 0.4), sharex=True)
    said = []
    for source, own, axes in columns:
        for n, ax in zip(sizes, axes):
            for row in where(own, n=n):
                word, _, colour, marker, z = METHODS[row["method"]]
                best = [row["best_step"], row["force_mae"]]
                curve = sorted([p[:2] for p in row["curve"] if p[0]] + [best])
                ax.plot(*np.array(curve, float).T, color=colour, lw=1.2, alpha=0.7, zorder=z - 1)
                ax.plot(*best, marker, color=colour, ms=7, mec="white", zorder=z, label=word)
            log_axis(ax, [p[1] for r in own for p in r["curve"] if p[0]] + _level(ax, own))
            ax.set(xscale="log", xlim=(0.8 * ticks[0], 1.25 * longest), ylabel=AXIS)
            ax.set_xticks(ticks, [str(t) for t in ticks])
            ax.minorticks_off()
            ax.set_title(f"{source.words}, {n or 'all'} structures: precomputed", fontsize=10)
            each = groups(where(own, n=n), method=METHODS)
            best = (f"{METHODS[m].word} {np.mean(_mae(some)):.0f} meV/Å" for m, some in each)
            said.append(f"{source.words}, {n or 'all'} structures, at best: {'; '.join(best)}.")
        axes[-1].set_xlabel("training step")
    return legend_below(figure).describe("training_curves", *said)


def freezing(rows):
    """Force errors on held-out germanium against the groups frozen, a line a number of structures.

    Rows of "frozen" and, for freezing nothing, "learning-curve"; or "frozen-best" and "own-best".
    """
    rows = own_best(where(rows, method="transfer"))
    sizes = sorted({r["n"] for r in rows if r["frozen"]})
    longest = max((r["frozen"] for r in rows), key=len, default=())
    names = ["nothing", *(f"+ {name.replace('_', ' ')}" for name in longest)]
    figure, columns = _columns([r for r in rows if r["n"] in sizes])
    for source, own, (ax,) in columns:
        for n, line, marker, fill in zip(sizes, ("--", "-", ":"), "o^s", ("white", None, None)):
            group = where(own, n=n)
            look = METHODS["transfer"]._replace(word=f"transfer, {n} structures", marker=marker)
            depths = sorted({len(r["frozen"]) for r in group})
            errors = [_mae(r for r in group if len(r["frozen"]) == depth) for depth in depths]
            _seed_line(ax, depths, errors, look, ls=line, mfc=fill)
        log_axis(ax, _mae(own))
        _title(ax, source, own)
        ax.set_xticks(range(len(names)), names, rotation=25, ha="right", fontsize=8.5)
        ax.set(xlabel="frozen groups", ylabel=AXIS)
    return legend_below(figure).describe("freezing")


def temperatures(rows):
    """Force errors at every temperature of the test set, trained on one phase, of "temperature"."""
    figure, columns = _columns(rows, 2, (4.55, 6.3))
    for source, own, axes in columns:
        kinds = sorted({(e[1], e[0]) for r in own for e in r["temperatures"]})  # crystals first
        for phase, ax in zip(("crystal", "liquid"), axes):
            for method, group in groups(where(own, phase=phase), method=METHODS):
                found = [((e[1], e[0]), e[2]) for r in group for e in r["temperatures"]]
                values = [[mae for own_kind, mae in found if own_kind == kind] for kind in kinds]
                _seed_line(ax, range(len(kinds)), values, METHODS[method])
            known = lambda T, source=source: T < 2.5 * source.melting["Ge"]  # not "High energy"
            trained = [k for k, (p, T) in enumerate(kinds) if p == phase and known(T)]
            look = dict(color=PALE, alpha=0.8, lw=0, zorder=0, label="trained on")
            ax.axvspan(trained[0] - 0.4, trained[-1] + 0.4, **look)
            log_axis(ax, [e[2] for r in own for e in r["temperatures"]])
            many = dict(rotation=55, ha="right", rotation_mode="anchor") if len(kinds) > 6 else {}
            words = [f"{p} {T:.0f} K" if many else f"{T:.0f} K\n{p}" for p, T in kinds]
            ax.set_xticks(range(len(kinds)), words, fontsize=8, **many)
            ax.set_title(f"{source.words}, precomputed: trained on {phase}s alone", fontsize=9)
            ax.set_ylabel(AXIS)
    strained = any(e[0] < 100 for r in rows for e in r["temperatures"])
    words = "DFT structures at 60 K and 363 K are strained cells." * strained
    return legend_below(figure).describe("temperatures", strained=words)


def stability_map(rows):
    """How many runs of "stability" hold, and the median time until they fail, by temperature."""
    kinds = {}
    for n, phase in ((0, None), (50, None), (10, None), (10, "crystal")):
        words = f", {n} {phase or 'structure'}s" * bool(n) + " alone" * bool(phase)
        for method, _ in groups(where(rows, n=n, phase=phase), method=METHODS):
            kinds[METHODS[method].word + words] = dict(method=method, n=n, phase=phase)
    figure, columns = _columns(rows, size=(4.55, 0.4 * len(kinds) + 1.3), sharey=True)
    said = []
    for source, own, (ax,) in columns:
        phases = {t["temperature"]: t["phase"] for r in own for t in r["trials"]}
        temperatures = sorted(phases)
        fractions = np.full((len(kinds), len(temperatures)), np.nan)
        middle, held = dict(ha="center", va="center", fontsize=8.5), []
        for y, (kind, fields) in enumerate(kinds.items()):
            trials = [t for r in where(own, **fields) for t in r["trials"]]
            for T, some in groups(trials, temperature=temperatures):
                x, s = temperatures.index(T), survival(some)
                fractions[y, x] = s.fraction
                words = f"{round(s.fraction * s.trials)} of {s.trials}"
                words += f"\n{s.median_ps:.1f} ps" if np.isfinite(s.median_ps) else ""
                ax.text(x, y, words, linespacing=1.15, **middle)
            if trials:
                held.append(f"{kind}: {100 * np.nanmean(fractions[y]):.0f} %")
            elif fields["method"] == "reference":
                look = dict(color=TEXT, bbox=dict(color="white", pad=2)) | middle
                ax.text(len(temperatures) / 2 - 0.5, y, "cannot be run here", **look)
        at = range(len(temperatures)), range(len(kinds))
        ax.pcolormesh(*at, fractions, cmap=HOLDS, vmin=0, vmax=1, edgecolors="white", lw=2)
        ax.set_ylim(len(kinds) - 0.5, -0.5)
        words = [f"{T:.0f} K\n{T / source.melting['Ge']:.2f}" for T in temperatures]
        ax.set_xticks(at[0], words, fontsize=8.5)
        ax.set_yticks(at[1], kinds, fontsize=9)
        ax.set_xlabel("temperature T; T / melting temperature", fontsize=9)
        length = max(r["length_ps"] for r in own)
        ax.set_title(f"{source.words}, precomputed:\nruns that hold for {length:g} ps", fontsize=10)
        ax.spines[:].set_visible(False)
        ax.grid(False)
        ax.tick_params(length=0)
        ax.axvline(list(phases.values()).count("crystal") - 0.5, color=INK, lw=1.2)
        said.append(f"{source.words}, runs that hold: {'; '.join(held)}.")
        trained = [(fields["n"], fields["phase"]) for fields in kinds.values()]
        for y in range(1, len(kinds)):
            if trained[y] != trained[y - 1]:
                ax.axhline(y - 0.5, color=INK, lw=0.8)
    return figure.describe("stability_map", *said)


def forgetting(rows, n=10):
    """Force MAE on silicon against that on germanium, of each way against forgetting.

    rows: of "forgetting" and "learning-curve"; n: structures of germanium. DFT data alone.
    """
    figure, ((ax,),) = panels(7.6, 4.2)
    before = header(SOURCES["dft"].silicon)["info"]["test_errors"]["force_mae"]
    ax.axvline(before, color=TEXT, lw=1, ls="--", label=f"silicon before: {before:.0f} meV/Å")
    said, all_x, all_y = [], [before], []
    errors = lambda own: ([row["silicon_force_mae"] for row in own], _mae(own))
    for k, (name, strengths) in enumerate(against_forgetting(rows, n).items()):
        look = dict(fmt=f"{MARKERS[k]}-", color=[INK, *PALETTE][k], ms=6, capsize=2, elinewidth=1)
        points = [[mean_and_spread(part) for part in errors(own)] for own in strengths.values()]
        (x, dx), (y, dy) = np.nan_to_num(points).transpose(1, 2, 0)
        ax.errorbar(x, y, dy, dx, label=name, lw=1, **look)
        all_x, all_y = [*all_x, *x], [*all_y, *y]
        apart = np.ptp(np.log(x)) > 0.3  # else their labels lie on each other
        for strength, *at in zip(strengths, x, y) if apart else ():
            note(ax, strength, at, (5, 5))
        for strength, *at in zip(strengths, x, y):
            which = f"{name}, {strength}" if name != ALONE else name
            said.append(f"{which}: {at[0]:.0f} on silicon, {at[1]:.0f} on germanium.")
    log_axis(ax, all_x, "x")
    log_axis(ax, all_y)
    ax.set(xlabel="force MAE on silicon (meV/Å)", ylabel="force MAE on germanium (meV/Å)")
    ax.legend(**SMALL)
    return figure.describe("forgetting", *said, n=n)


def against_forgetting(rows, n):
    """{a way: {its strength: rows}}, of trainings on `n` structures of germanium by DFT."""
    own = [row for row in where(rows, source="dft", method="transfer", n=n) if not row["cutoff"]]
    alone = [row for row in own if "replay" not in row and not row["frozen"]]
    replayed = [row for row in own if row.get("replay")]
    free = [row for row in replayed if not row["frozen"]]
    kinds = dict(zip(("data", "source"), ("", ", predicted labels")))
    ways = {ALONE: (alone, "n")}
    for steps in sorted({row["steps"] for row in free}):
        for labels, words in kinds.items():
            some = where(free, steps=steps, labels=labels)
            ways[f"replay{words}, {steps} steps"] = some, "replay"
    ways["replay, embedding frozen"] = [row for row in replayed if row["frozen"]], "replay"
    ways["penalty, its strength"] = [row for row in own if row.get("anchor")], "anchor"
    values = lambda some, key: sorted({row[key] for row in some})
    of = lambda some, key: {f"{v:g}": where(some, **{key: v}) for v in values(some, key)}
    return {name: of(*way) for name, way in ways.items() if way[0]}
