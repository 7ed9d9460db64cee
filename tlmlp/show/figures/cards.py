"""Figures of property cards, and of the slopes of forces."""

import numpy as np

from ...course.results import METHODS as TRAINED
from ...course.results import mean_and_spread
from ...course.sources import SOURCES
from ...properties.measured import PROPERTIES
from .learning import by_method
from .picture import legend_below, note, nothing, panels
from .results import where
from .style import BLACK, GREEN, GREY, METHODS, OWN, PALE, RED, TEXT

SIGNS = {"helped": ("+", GREEN), "hurt": ("–", RED), "no difference": ("=", GREY)}
ENDS = 60  # % of the reference; what is farther out is drawn at the edge


def card_dots(results, sizes=None, methods=TRAINED):
    """Deviations of a Card from its reference in %, a panel a number of structures.

    Mean and spread over seeds. Grey: silicon's potential, unchanged. The signs at the right say
    what transfer did against scratch.

    Args:
        results: {any name: a Card}.
        sizes: numbers of structures to draw, 0 for all [default: every one that the card has].
        methods: to draw.
    """
    (card,) = results.values()
    measured = {line.property for line in card.lines if line.values}
    known = [name for name in PROPERTIES if card.reference.get(name) and name in measured]
    if not known:
        return nothing()
    if sizes is None:
        trained = {line.n for line in card.lines if line.n is not None}
        sizes = sorted(trained, key=lambda n: n or np.inf)
    size = (2.2 + 3.1 * len(sizes), 1.5 + 0.29 * len(known))
    figure, (axes,) = panels(size, 1, len(sizes), sharey=True)
    hollow = False  # whether a point stands for some of its seeds only
    for ax, n in zip(axes, sizes):
        ax.grid(False, axis="y")
        for y in range(0, len(known), 2):
            ax.axhspan(y - 0.5, y + 0.5, color=PALE, alpha=0.5, lw=0, zorder=0)
        ax.axvline(0, color=BLACK, lw=1)
        null = METHODS["silicon"]
        if card.element == "Si":
            null = null._replace(word="the potential that transfer starts from")
        look = dict(ms=4, alpha=0.7, zorder=2)
        hollow |= _deviations(ax, card, known, ("transfer", None), 0.0, null, **look)
        for k, method in enumerate(methods):
            shift = 0.22 * (k - (len(methods) - 1) / 2)
            hollow |= _deviations(ax, card, known, (method, n), shift, METHODS[method], ms=5)
        _beside(ax, card, known)
        for y, name in enumerate(known):
            line = card.line(name, "transfer", n)
            words, colour = SIGNS.get(line.verdict if line is not None else "", ("", GREY))
            look = dict(fontsize=12, color=colour, weight="bold", annotation_clip=False)
            note(ax, words, (1.02, y), on=("axes fraction", "data"), va="center", **look)
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


def _deviations(ax, card, known, kind, shift, look, **size):
    """Points of one method in a panel; whether one is hollow. kind: (method, structures) of its lines."""
    hollow = False
    lines = [card.line(name, *kind) for name in known]
    size = dict(lw=0, elinewidth=1.5, color=look.colour) | size
    for y, (name, line) in enumerate(zip(known, lines)):
        if line is None or not line.values:
            continue
        reference = card.reference[name]
        percent = 100 * (line.mean / reference - 1)
        if abs(percent) > ENDS:
            arrow = ">" if percent > 0 else "<"
            edge = dict(color=look.colour, ms=5, clip_on=False, zorder=3)
            ax.plot(np.sign(percent) * 0.985 * ENDS, y + shift, arrow, **edge)
            continue
        spread = np.nan_to_num(100 * line.spread / abs(reference))
        fill = "white" if line.failed else look.colour
        hollow |= bool(line.failed)
        ax.errorbar(percent, y + shift, xerr=spread, marker=look.marker, mfc=fill, **size)
    if any(line is not None and line.values for line in lines):
        ax.plot([], [], look.marker, color=look.colour, ms=5, label=look.word)
    return hollow


def _beside(ax, card, known):
    """Stars of the calculators that were put beside a card."""
    for k, (label, values) in enumerate(card.mine.items()):
        found = [(y, name) for y, name in enumerate(known) if values.get(name) is not None]
        percent = [100 * (values[name] / card.reference[name] - 1) for _, name in found]
        at = np.clip(percent, -0.985 * ENDS, 0.985 * ENDS)
        star = dict(color=OWN[k % len(OWN)], ms=9, label=label, zorder=4)
        ax.plot(at, [y for y, _ in found], "*", **star)


# -- slopes of forces --------------------------------------------------------------------------------------------------


def repair(rows, source="stillinger-weber"):
    """Slopes of forces on germanium's test structures, trained on 10 crystals (hollow), or on 9 and 1.

    The one is a structure of the highest energy (full). The slope s is drawn as mean and standard
    deviation over seeds; R² is dotted, or a dash where structures come in groups.

    Args:
        rows: of tlmlp.course.rows("softening").
        source: of the data.
    """
    methods = by_method(where(rows, source=source))
    if not methods:
        return nothing()
    kinds = sorted(
        methods[0][1][0]["softening"],
        key=lambda kind: (kind != "all", kind in ("Liquid", "High energy")),
    )  # calm ones first
    along = all(kind.endswith(" K") for kind in kinds[1:])
    figure, (axes,) = panels((1.0 + 3.0 * len(methods), 3.8), 1, len(methods), sharey=True)
    for ax, (method, own) in zip(axes, methods):
        for hot in (0, 1):
            if group := [row["softening"] for row in own if row["hot"] == hot]:
                _slopes(ax, group, kinds, METHODS[method], hot, along)
        ax.axhline(1, color=BLACK, lw=1)
        seeds = len({row["seed"] for row in own})
        ax.set_title(f"{METHODS[method].word}, {seeds} seeds", fontsize=10)
        words = [kind.replace(" ", "\n") for kind in kinds]
        ax.set_xticks(range(len(kinds)), words, fontsize=8.5 if along else 7.5)
    for hot, words in enumerate(("10 crystals", "9 crystals and 1 of the hottest")):
        dot = dict(color=TEXT, mfc=TEXT if hot else "white")
        axes[0].plot([], [], "o", label=f"s, {words}", **dot)
        axes[0].plot([], [], label=f"R², {words}", color=TEXT, **_dash(hot, along))
    legend_below(figure)
    axes[0].set_ylabel("slope s and R² of test forces")
    return figure


def _slopes(ax, group, kinds, look, hot, along):
    """Slope and R² of a group of rows against the kind of structure."""
    at = np.arange(len(kinds)) + 0.12 * (hot - 0.5)
    slopes = [mean_and_spread([row[kind][0] for row in group]) for kind in kinds]
    mean, spread = np.nan_to_num(slopes).T
    dot = dict(color=look.colour, marker=look.marker, mfc=look.colour if hot else "white", ms=6)
    for part, width in (
        (slice(0, 1), 0),
        (slice(1, None), 1.5 * along),
    ):  # "all" is no part of a line
        bars = dict(lw=width, elinewidth=1.5, capsize=2)
        ax.errorbar(at[part], mean[part], spread[part], **bars, **dot)
    r2 = [np.mean([row[kind][1] for row in group]) for kind in kinds[1:]]
    ax.plot(at[1:], r2, color=look.colour, **_dash(hot, along))


def _dash(hot, along):
    """How R² is drawn."""
    if along:
        return dict(ls=":", lw=1.8 if hot else 0.9)
    return dict(ls="", marker="_", ms=13, mew=1.8 if hot else 0.9)
