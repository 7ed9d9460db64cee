"""Figures of property cards, and of the slopes of forces."""

import numpy as np

from ...course.results import METHODS as TRAINED, mean_and_spread
from ...course.sources import SOURCES
from ...properties.measured import PROPERTIES
from .learning import groups, where
from .picture import legend_below, note, nothing, panels
from .style import BLACK, GREEN, GREY, METHODS, OWN, PALE, RED, TEXT

SIGNS = {"helped": ("+", GREEN), "hurt": ("–", RED), "no difference": ("=", GREY), "": ("", GREY)}
ENDS = 60  # % of the reference; what is farther out is drawn at the edge


def card_dots(results, sizes=None, methods=TRAINED):
    """Deviations of a Card from its reference in %, a panel a number of structures.

    Mean and spread over seeds. Grey: silicon's potential, unchanged. The signs at the right say
    what transfer did against scratch. results: {any name: a Card}; sizes: numbers of structures,
    0 for all [default: all that the card has].
    """
    (card,) = results.values()
    measured = {line.property for line in card.lines if line.values}
    known = [name for name in PROPERTIES if card.reference.get(name) and name in measured]
    if not known:
        return nothing()
    if sizes is None:
        trained = {line.n for line in card.lines if line.n is not None}
        sizes = sorted(trained, key=lambda n: n or np.inf)
    size = 2.2 + 3.1 * len(sizes), 1.5 + 0.29 * len(known)
    figure, (axes,) = panels(*size, 1, len(sizes), sharey=True)
    null = METHODS["silicon"]
    if card.element == "Si":
        null = null._replace(word="the potential that transfer starts from")
    hollow = False  # whether a point stands for some of its seeds only
    for ax, n in zip(axes, sizes):
        ax.grid(False, axis="y")
        for y in range(0, len(known), 2):
            ax.axhspan(y - 0.5, y + 0.5, color=PALE, alpha=0.5, lw=0, zorder=0)
        ax.axvline(0, color=BLACK, lw=1)
        hollow |= _deviations(ax, card, known, ("transfer", None), 0.0, null)
        for k, method in enumerate(methods):
            shift = 0.22 * (k - (len(methods) - 1) / 2)
            hollow |= _deviations(ax, card, known, (method, n), shift, METHODS[method])
        _beside(ax, card, known)
        for y, line in enumerate(card.line(name, "transfer", n) for name in known):
            sign, colour = SIGNS[line.verdict if line else ""]
            look = dict(fontsize=12, color=colour, weight="bold", annotation_clip=False)
            note(ax, sign, (1.02, y), on=("axes fraction", "data"), va="center", **look)
        ax.set(xlim=(-ENDS, ENDS), ylim=(len(known) - 0.5, -0.5))
        ax.set_xlabel("deviation from the reference (%)")
        ax.set_title(f"{n or 'all'} structures", fontsize=10.5)
    axes[0].set_yticks(range(len(known)), [_quantity(card, name) for name in known], fontsize=9)
    legend_below(figure, columns=6)
    words = f"{card.element}, {SOURCES[card.source].words}, precomputed."
    if any(line.verdict for line in card.lines):
        words += "  Transfer helped +, hurt –, made no difference =."
    words += "  Hollow: some seeds have no value." * hollow
    figure.suptitle(words, fontsize=10.5)
    return figure


def _quantity(card, name):
    """A property with its reference value and unit."""
    words, unit = PROPERTIES[name]
    value = card.reference[name]
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{words}  {value:.{digits}f} {unit}".rstrip()


def _deviations(ax, card, known, kind, shift, look):
    """Points of one method in a panel; whether one is hollow. kind: (method, n) of its lines."""
    word, _, colour, marker, zorder = look
    lines = [(y, name, card.line(name, *kind)) for y, name in enumerate(known)]
    lines = [(y + shift, name, line) for y, name, line in lines if line and line.values]
    for y, name, line in lines:
        reference = card.reference[name]
        percent = 100 * (line.mean / reference - 1)
        spread = np.nan_to_num(100 * line.spread / abs(reference))
        point = dict(color=colour, ms=5, zorder=zorder)
        if abs(percent) > ENDS:
            edge = np.sign(percent) * 0.985 * ENDS
            ax.plot(edge, y, ">" if percent > 0 else "<", clip_on=False, **point)
        else:
            fill = "white" if line.failed else colour
            ax.errorbar(percent, y, xerr=spread, marker=marker, mfc=fill, elinewidth=1.5, **point)
    if lines:
        ax.plot([], [], marker, color=colour, ms=5, label=word)
    return any(line.failed for *_, line in lines)


def _beside(ax, card, known):
    """Stars of the calculators that were put beside a card."""
    for k, (label, values) in enumerate(card.mine.items()):
        found = [(y, name) for y, name in enumerate(known) if values.get(name) is not None]
        percent = [100 * (values[name] / card.reference[name] - 1) for _, name in found]
        at = np.clip(percent, -0.985 * ENDS, 0.985 * ENDS)
        star = dict(color=OWN[k % len(OWN)], ms=9, label=label, zorder=4)
        ax.plot(at, [y for y, _ in found], "*", **star)


def repair(rows, source="stillinger-weber"):
    """Slopes of forces on germanium's test structures, of "softening", a panel a method.

    Trained on 10 crystals (hollow), or on 9 and one structure of the highest energy (full). The
    slope s is a mean over seeds with its standard deviation. R² is dotted, or a dash where
    structures come in groups and not in temperatures.
    """
    methods = groups(where(rows, source=source), method=METHODS)
    if not methods:
        return nothing()
    late = ("Liquid", "High energy")  # calm ones first
    kinds = sorted(methods[0][1][0]["softening"], key=lambda k: (k != "all", k in late))
    along = all(kind.endswith(" K") for kind in kinds[1:])
    r2 = dict(ls=":") if along else dict(ls="", marker="_", ms=13)
    figure, (axes,) = panels(1.0 + 3.0 * len(methods), 3.8, 1, len(methods), sharey=True)
    for ax, (method, own) in zip(axes, methods):
        _, _, colour, marker, _ = METHODS[method]
        for hot, at in enumerate(np.arange(len(kinds)) + [[-0.06], [0.06]]):
            if not (group := [row["softening"] for row in own if row["hot"] == hot]):
                continue
            slopes = [mean_and_spread([row[kind][0] for row in group]) for kind in kinds]
            mean, spread = np.nan_to_num(slopes).T
            look = dict(color=colour, marker=marker, mfc=colour if hot else "white", ms=6)
            look |= dict(elinewidth=1.5, capsize=2)
            ax.errorbar(at[:1], mean[:1], spread[:1], lw=0, **look)  # of all: no point of the line
            ax.errorbar(at[1:], mean[1:], spread[1:], lw=1.5 * along, **look)
            values = [np.mean([row[kind][1] for row in group]) for kind in kinds[1:]]
            ax.plot(at[1:], values, color=colour, lw=0.9 + 0.9 * hot, mew=0.9 + 0.9 * hot, **r2)
        ax.axhline(1, color=BLACK, lw=1)
        seeds = len({row["seed"] for row in own})
        ax.set_title(f"{METHODS[method].word}, {seeds} seeds", fontsize=10)
        words = [kind.replace(" ", "\n") for kind in kinds]
        ax.set_xticks(range(len(kinds)), words, fontsize=8.5 if along else 7.5)
    for hot, words in enumerate(("10 crystals", "9 crystals and 1 of the hottest")):
        fill, width = TEXT if hot else "white", 0.9 + 0.9 * hot
        axes[0].plot([], [], "o", color=TEXT, mfc=fill, label=f"s, {words}")
        axes[0].plot([], [], color=TEXT, lw=width, mew=width, label=f"R², {words}", **r2)
    legend_below(figure)
    axes[0].set_ylabel("slope s and R² of test forces (no unit)")
    return figure
