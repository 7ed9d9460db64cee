"""Figures of property cards, and of the slopes of forces."""

import numpy as np

from ...course.cards import NULLS
from ...course.results import METHODS as TRAINED, mean_and_spread
from ...course.sources import SOURCES
from ...properties.measured import PROPERTIES
from .learning import groups, where
from .picture import legend_below, note, nothing, panels
from .style import INK, METHODS, PALE, PALETTE, RED, TEXT, Method

SIGNS = {"helped": ("+", INK), "hurt": ("–", RED), "no difference": ("=", TEXT), "": ("", TEXT)}
ENDS = 60  # % of the reference; what is farther out is drawn at the edge


def card_dots(results, sizes=None, methods=TRAINED):
    """Deviations of a Card from its reference in %, a panel a number of structures.

    Means and spreads over seeds. Signs say what transfer did against scratch. results: {any name:
    a Card}; sizes: numbers of structures, 0 for all [default: all that the card has].
    """
    (card,) = results.values()
    whole = [line for line in card.lines if line.values]
    known = [p for p in PROPERTIES if card.reference.get(p) and p in {x.property for x in whole}]
    if not known:
        return nothing()
    sizes = sizes or sorted({line.n for line in whole} - {None}, key=lambda n: n or np.inf)
    size = 2.65 + 2.15 * len(sizes), 1.2 + 0.193 * len(known)
    figure, (axes,) = panels(*size, 1, len(sizes), sharey=True)
    null = METHODS["silicon"]._replace(word=NULLS[card.element])
    for ax, n in zip(axes, sizes):
        ax.grid(False, axis="y")
        ax.axvline(0, color=INK, lw=1)
        shifts = 0.22 * (np.arange(len(methods)) - (len(methods) - 1) / 2)
        drawn = [((m, n), METHODS[m], shift) for m, shift in zip(methods, shifts)]
        for kind, look, shift in [(("transfer", None), null, 0.0), *drawn]:
            lines = [card.line(name, *kind) for name in known]
            found = {x.property: (x.mean, x.spread, x.failed) for x in lines if x and x.values}
            _deviations(ax, card, known, found, look, shift)
        for k, (name, values) in enumerate(card.mine.items()):
            found = {p: (values[p], 0.0, 0) for p in known if values.get(p) is not None}
            _deviations(ax, card, known, found, Method(name, name, PALETTE[k % 5], "*", 4))
        for y, name in enumerate(known):
            line = card.line(name, "transfer", n)
            sign, colour = SIGNS[line.verdict if line else ""]
            look = dict(fontsize=12, color=colour, weight="bold", annotation_clip=False)
            note(ax, sign, (1.02, y), on=("axes fraction", "data"), va="center", **look)
            ax.axhspan(y - 0.5, y + 0.5, color=PALE, alpha=0.5 * (y % 2 == 0), lw=0, zorder=0)
        ax.set(xlim=(-ENDS, ENDS), ylim=(len(known) - 0.5, -0.5))
        ax.set_xlabel("deviation (%)")
        ax.set_title(f"{n or 'all'} structures", fontsize=10.5)
    digits = lambda x: f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"
    quantity = lambda p: f"{PROPERTIES[p][0]}  {digits(card.reference[p])} {PROPERTIES[p][1]}"
    axes[0].set_yticks(range(len(known)), [quantity(p).rstrip() for p in known], fontsize=9)
    words = f"{card.element}, {SOURCES[card.source].words}, precomputed."
    words += "  Transfer helped +, hurt –, made no difference =." * any(x.verdict for x in whole)
    failed = any(line.failed for line in whole if line.property in known)
    words += "  Hollow: some seeds have no value." * failed
    figure.suptitle(words, fontsize=9.5)
    found = (_counted(card, known, n, methods) for n in sizes)
    origin = "; ".join(sorted({card.origin[p] for p in known}))
    return legend_below(figure, columns=6).describe("card", *found, ends=ENDS, origin=origin)


def _counted(card, known, n, methods):
    """How many properties each method predicts within a tenth, and what transfer did."""
    own = [x for x in card.lines if x.n == n and x.property in known]
    near = lambda x: abs(x.mean / card.reference[x.property] - 1) < 0.1
    counts = [(METHODS[m].word, [near(x) for x in own if x.method == m]) for m in methods]
    words = ", ".join(f"{word} {sum(some)}" for word, some in counts if some)
    found = [(w, len(names)) for w, names in card.verdicts().get(n, {}).items()]
    against = f" Transfer against scratch: {', '.join(f'{k} {w}' for w, k in found)}." * bool(found)
    return f"{n or 'All'} structures, of {len(known)} properties within 10 %: {words}.{against}"


def _deviations(ax, card, known, found, look, shift=0.0):
    """Points of one method in a panel. found: {property: (mean, spread, seeds without a value)}."""
    size = dict(color=look.colour, ms=9 if look.marker == "*" else 4.5, zorder=look.zorder)
    for name, (mean, spread, failed) in found.items():
        of = card.reference[name]
        percent = 100 * (mean - of) / abs(of)
        bar = np.nan_to_num(100 * spread / abs(of))
        point = dict(marker=look.marker, mfc="white" if failed else look.colour)
        if abs(percent) > ENDS:
            percent, bar = np.sign(percent) * 0.985 * ENDS, 0
            point |= dict(marker=">" if percent > 0 else "<", clip_on=False)
        ax.errorbar(percent, known.index(name) + shift, xerr=bar, elinewidth=1.5, **point, **size)
    if found:
        ax.plot([], [], look.marker, label=look.word, **size)


def repair(rows, source="stillinger-weber"):
    """Slopes of forces on germanium's test structures, of "softening", a panel a method.

    R² is a line, or a dash where structures come in groups and not in temperatures.
    """
    methods = groups(where(rows, source=source), method=METHODS)
    if not methods:
        return nothing()
    late = ("Liquid", "High energy")  # calm ones first
    kinds = sorted(methods[0][1][0]["softening"], key=lambda k: (k != "all", k in late))
    along = all(kind.endswith(" K") for kind in kinds[1:])
    r2, small = (dict(ls=":"), 8.5) if along else (dict(ls="", marker="_", ms=13), 8)
    figure, (axes,) = panels(0.7 + 2.8 * len(methods), 3.8, 1, len(methods), sharey=True)
    said = []
    for ax, (method, own) in zip(axes, methods):
        _, _, colour, marker, _ = METHODS[method]
        for hot, some in groups(own, hot=(0, 1)):
            at, group = np.arange(len(kinds)) + (-0.06, 0.06)[hot], [r["softening"] for r in some]
            slopes = [mean_and_spread([row[kind][0] for row in group]) for kind in kinds]
            mean, spread = np.nan_to_num(slopes).T
            look = dict(marker=marker, ms=6, mfc=colour if hot else "white", elinewidth=1.5)
            look |= dict(color=colour, capsize=2)
            words = METHODS[method].word, ("crystals alone", "with one of the hottest")[hot]
            said.append(f"{', '.join(words)}: s = {mean[0]:.2f} ± {spread[0]:.2f} of all forces.")
            ax.errorbar(at[:1], mean[:1], spread[:1], lw=0, **look)  # of all: no point of the line
            ax.errorbar(at[1:], mean[1:], spread[1:], lw=1.5 * along, **look)
            values = [np.mean([row[kind][1] for row in group]) for kind in kinds[1:]]
            ax.plot(at[1:], values, color=colour, lw=0.9 + 0.9 * hot, mew=0.9 + 0.9 * hot, **r2)
        ax.axhline(1, color=INK, lw=1)
        ax.set_title(f"{METHODS[method].word}, {len({r['seed'] for r in own})} seeds", fontsize=10)
        ax.set_xticks(range(len(kinds)), [k.replace(" ", "\n") for k in kinds], fontsize=small)
    for hot, words in enumerate(("10 crystals", "9 crystals and 1 of the hottest")):
        fill, width = TEXT if hot else "white", 0.9 + 0.9 * hot
        axes[0].plot([], [], "o", color=TEXT, mfc=fill, label=f"s, {words}")
        axes[0].plot([], [], color=TEXT, lw=width, mew=width, label=f"R², {words}", **r2)
    axes[0].set_ylabel("slope s and R² of test forces (no unit)")
    lines = dict(source=SOURCES[source].words, r2="Dotted lines" if along else "Dashes")
    return legend_below(figure).describe("repair", *said, **lines)
