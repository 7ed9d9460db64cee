"""Figures of universal potentials: slopes of crystals and liquids, properties, rivals."""

import numpy as np

from ...course.cards import reference
from ...course.results import mean_and_spread
from ...course.universals import header, names
from ...properties.measured import PROPERTIES
from .learning import AXIS
from .picture import legend_below, log_axis, note, panels
from .style import INK, METHODS, PURPLE, RED, SKY, TEXT, Method

# A colour a family, a marker a model: ours have those of METHODS.
FAMILIES = {"chgnet": PURPLE, "7net": RED, "nequix": SKY}
MARKERS = "ovP"
SHOWN = ("c44", "phonon_gamma", "vacancy")


def look_of(name):
    """The Method of one of METHODS or of a universal potential."""
    if name in METHODS:
        return METHODS[name]
    family = next((f for f in FAMILIES if name.startswith(f)), None)
    if family is None:
        return Method(name, name, INK, "X", 3.0)
    own = [n for n in names() if n.startswith(family)]
    word = header(name)["words"]
    return Method(word, word, FAMILIES[family], MARKERS[own.index(name) % len(MARKERS)], 3.0)


def phase_slopes(results):
    """Slopes of forces in crystals (full) and liquids (hollow), a line a potential.

    results: {name: {"crystal": Softening, "liquid": Softening}}, of course.universals.by_phase.
    """
    figure, ((ax,),) = panels(7.2, 0.9 + 0.36 * len(results))
    ax.axvline(1, color=TEXT, lw=1)
    note(ax, "as steep as DFT", (1, 1), (0, 3), ("data", "axes fraction"), ha="center")
    for y, (name, phases) in enumerate(results.items()):
        colour = look_of(name).colour
        for phase, hollow in (("crystal", False), ("liquid", True)):
            s = phases[phase].overall
            look = dict(color=colour, mfc="white" if hollow else colour, ms=7.5, capsize=3)
            ax.errorbar(s.slope, y, xerr=s.error, fmt="os"[hollow], zorder=3, **look)
        pair = [phases[p].overall.slope for p in ("crystal", "liquid")]
        ax.plot(pair, [y, y], color=colour, lw=1, alpha=0.5)
    for marker, hollow, word in (("o", False, "crystals"), ("s", True, "liquids")):
        ax.plot([], [], marker, color=INK, mfc="white" if hollow else INK, label=word)
    ax.set_yticks(range(len(results)), [look_of(name).word for name in results])
    ax.set(xlabel="slope s of the forces", ylim=(len(results) - 0.5, -0.5))
    return legend_below(figure).describe("phase_slopes", *_said(results))


def _said(results):
    """Slopes in words, a sentence a potential."""
    for name, phases in results.items():
        pair = (f"{phases[p].overall.slope:.2f} in {p}s" for p in ("crystal", "liquid"))
        yield f"{look_of(name).word}: slope {', '.join(pair)}."


def soft_properties(rows, element="Ge"):
    """Properties over those of DFT, a marker a universal potential; rows of "universal-properties".

    Bars of C44 reach from the smaller to the larger of two strains.
    """
    known, _ = reference(element, "dft")
    figure, ((ax,),) = panels(7.2, 3.4)
    own = sorted((r for r in rows if r["element"] == element), key=lambda r: r["properties"]["c44"])
    width = 0.7 / max(len(own), 1)
    for k, row in enumerate(own):
        look, shift = look_of(row["model"]), (k - (len(own) - 1) / 2) * width
        values = [row["properties"][name] for name in SHOWN]
        at = [x + shift for x, value in enumerate(values) if value is not None]
        ratios = [v / known[name] for name, v in zip(SHOWN, values) if v is not None]
        style = dict(color=look.colour, ms=7.5, label=look.word, zorder=3)
        ax.plot(at, ratios, look.marker, mec="white", **style)
        ends = [c[2] / known["c44"] for c in row["elastic"].values()]
        ax.plot([at[0]] * len(ends), ends, color=look.colour, lw=2)
    ax.axhline(1, color=TEXT, lw=1)
    words = [f"{PROPERTIES[n][0]}\nDFT {known[n]:.1f} {PROPERTIES[n][1]}" for n in SHOWN]
    ax.set_xticks(range(len(SHOWN)), words)
    ax.set(ylabel="value / value of DFT", xlim=(-0.5, len(SHOWN) - 0.5))
    ax.grid(False, axis="x")
    c44 = lambda row: f"C44 {row['properties']['c44']:.1f} GPa."
    found = (f"{look_of(row['model']).word}: {c44(row)}" for row in own)
    return legend_below(figure, columns=3).describe("soft_properties", *found, element=element)


def rivals(table, shown=None):
    """Force errors against germanium structures (left), and with ten against a call's cost (right).

    table: course.universals.rivals(); shown: names of it [default: ours, and those fine-tuned].
    """
    shown = shown or [n for n, rival in table.items() if len(rival.seeds) > 1 or "oam" in n]
    sizes = sorted({n for name in shown for n in table[name].seeds})
    figure, ((ax, cost),) = panels(9.1, 3.9, 1, 2, sharey=True, width_ratios=(1.7, 1))
    values = []
    for name in shown:
        rival, look = table[name], look_of(name)
        found = {n: mean_and_spread([s[0] for s in seeds]) for n, seeds in rival.seeds.items()}
        at = [sizes.index(n) for n in found]
        means, spreads = np.nan_to_num([*found.values()]).T
        values += list(means)
        style = dict(color=look.colour, marker=look.marker, ms=6, capsize=3, zorder=look.zorder)
        ax.errorbar(at, means, spreads, lw=1.8, label=look.word, **style)
        ten = 10 if 10 in found else 0
        point = 1e3 * rival.cost_s, found[ten][0]
        cost.plot(*point, look.marker, color=look.colour, ms=8)
        note(cost, "" if ten else "as it is", point, (0, 8), ha="center")
    log_axis(ax, values)
    ax.set_xticks(range(len(sizes)), sizes)
    ax.set(xlabel="germanium structures to train on", ylabel=AXIS)
    cost.set(xscale="log", xlabel="processor time of a call, 64 atoms (ms)")
    cost.set_title("with ten structures", fontsize=9)
    return legend_below(figure, columns=3).describe("rivals")
