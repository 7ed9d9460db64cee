"""Figures of property cards, and of what softening does."""

import numpy as np

from ...course.cards import METHODS, NULLS
from ...course.sources import SOURCES
from ...properties.measured import PROPERTIES
from .picture import Picture, nothing, quiet
from .style import BLACK, CARD, GREEN, GREY, PURPLE, RED, SKY

SMALL = dict(frameon=False, fontsize=9)


def repair(rows, source="stillinger-weber"):
    """Slopes of forces on germanium's test structures, trained on 10 crystals (hollow), or on 9 and one structure of the highest energy (full).

    rows: of tlmlp.sweep.rows("softening"). Points and solid lines: slope s, mean and standard deviation over seeds; dotted lines, or
    dashes where structures come in groups and not in temperatures: R².
    """
    rows = [row for row in rows if row["source"] == source]
    if not rows:
        return nothing()
    methods = [m for m in CARD if any(row["method"] == m for row in rows)]
    figure = Picture(1.0 + 3.0 * len(methods), 3.8)
    axes = np.atleast_1d(figure.subplots(1, len(methods), sharey=True))
    kinds = sorted(
        rows[0]["softening"], key=lambda kind: (kind != "all", kind in ("Liquid", "High energy"))
    )  # calm ones first
    along = all(kind.endswith(" K") for kind in kinds[1:])
    for ax, method in zip(axes, methods):
        quiet(ax)
        colour, marker = CARD[method]
        for hot, fill, words in (
            (0, "white", "10 crystals"),
            (1, colour, "9 crystals and 1 of the hottest"),
        ):
            own = [row for row in rows if (row["method"], row.get("hot", 0)) == (method, hot)]
            if not own:
                continue
            s, r2 = (
                np.array([[row["softening"][kind][k] for kind in kinds] for row in own])
                for k in (0, 1)
            )
            spread = s.std(0, ddof=1) if len(own) > 1 else np.zeros(len(kinds))
            at = np.arange(len(kinds)) + 0.12 * (hot - 0.5)
            look = dict(color=colour, marker=marker, mfc=fill, ms=6, capsize=2)
            ax.errorbar(
                at[:1], s.mean(0)[:1], spread[:1], lw=0, elinewidth=1.5, **look
            )  # of all, so no point of the line
            ax.errorbar(
                at[1:],
                s.mean(0)[1:],
                spread[1:],
                lw=1.5 * along,
                elinewidth=1.5,
                label=f"s, {words}",
                **look,
            )
            line = (
                dict(ls=":", lw=1.8 if hot else 0.9)
                if along
                else dict(ls="", marker="_", ms=13, mew=1.8 if hot else 0.9)
            )
            ax.plot(at[1:], r2.mean(0)[1:], color=colour, label=f"R², {words}", **line)
        ax.axhline(1, color=BLACK, lw=1)
        ax.set_title(
            f"{METHODS[method]}, {len({row['seed'] for row in rows if row['method'] == method})} seeds",
            fontsize=10,
        )
        ax.set_xticks(
            range(len(kinds)),
            [kind.replace(" ", "\n") for kind in kinds],
            fontsize=8.5 if along else 7.5,
        )
    figure.legend(
        *axes[-1].get_legend_handles_labels(), loc="outside lower center", ncol=4, **SMALL
    )
    axes[0].set_ylabel("slope s and R² of test forces")
    return figure


SIGNS = {"helped": ("+", GREEN), "hurt": ("–", RED), "no difference": ("=", GREY), "": ("", GREY)}


ENDS = 60  # % of the reference; what is farther out is drawn at the edge


def card_dots(results, sizes=None, methods=("scratch", "transfer", "reduced")):
    """Deviation from the reference in %, property by property, one panel a number of structures: mean and spread over seeds.

    Grey: silicon's own potential, unchanged. Signs at the right: what transfer (weights copied) did against scratch.
    """
    (card,) = results.values()
    known = [
        name
        for name in PROPERTIES
        if card.reference.get(name) and any(x.property == name and x.values for x in card.lines)
    ]
    if not known:
        return nothing()
    if sizes is None:
        sizes = sorted({x.n for x in card.lines if x.n is not None}, key=lambda n: n or np.inf)
    sizes = list(sizes)
    figure = Picture(2.2 + 3.1 * len(sizes), 1.5 + 0.29 * len(known))
    axes = np.atleast_1d(figure.subplots(1, len(sizes), sharey=True))
    y = np.arange(len(known))
    percent = lambda value, name: 100 * (value / card.reference[name] - 1)
    hollow = False  # whether a point stands for some of its seeds only
    for ax, n in zip(axes, sizes):
        quiet(ax)
        ax.grid(False, axis="y")
        for row in y[::2]:
            ax.axhspan(row - 0.5, row + 0.5, color="#f4f6f8", zorder=0)
        ax.axvline(0, color=BLACK, lw=1)
        drawn = [("transfer", None, GREY, "D", NULLS[card.element]["transfer"], 0.0)]
        drawn += [
            (m, n, *CARD[m], METHODS[m], 0.22 * (methods.index(m) - (len(methods) - 1) / 2))
            for m in methods
        ]
        for method, size, colour, marker, words, shift in drawn:
            lines = [card.line(name, method, size) for name in known]
            if not any(x is not None and len(x.values) for x in lines):
                continue
            mean = np.array(
                [
                    percent(x.mean, name) if x is not None else np.nan
                    for x, name in zip(lines, known)
                ]
            )
            spread = np.array(
                [
                    100 * x.spread / abs(card.reference[name]) if x is not None else np.nan
                    for x, name in zip(lines, known)
                ]
            )
            seen, whole = np.abs(mean) <= ENDS, np.array([x is None or not x.failed for x in lines])
            look = dict(color=colour, marker=marker, lw=0, elinewidth=1.5)
            look |= dict(ms=5, zorder=3) if size is not None else dict(ms=4, zorder=2, alpha=0.7)
            for some, fill in ((seen & whole, colour), (seen & ~whole, "white")):
                label = words if fill == colour else None
                ax.errorbar(
                    mean[some],
                    (y + shift)[some],
                    xerr=np.nan_to_num(spread)[some],
                    mfc=fill,
                    label=label,
                    **look,
                )
                hollow |= fill == "white" and some.any()
            for at, value in zip(
                (y + shift)[~seen & np.isfinite(mean)], mean[~seen & np.isfinite(mean)]
            ):
                ax.plot(
                    np.sign(value) * 0.985 * ENDS,
                    at,
                    ">" if value > 0 else "<",
                    color=colour,
                    ms=5,
                    clip_on=False,
                    zorder=3,
                )
        for k, (name, values) in enumerate(card.mine.items()):
            own = [
                (percent(values[p], p), row)
                for p, row in zip(known, y)
                if values.get(p) is not None
            ]
            x, at = np.array(own).T if own else (np.zeros(0), np.zeros(0))
            ax.plot(
                np.clip(x, -0.985 * ENDS, 0.985 * ENDS),
                at,
                "*",
                color=(PURPLE, RED, SKY)[k % 3],
                ms=9,
                label=name,
                zorder=4,
            )
        for name, row in zip(known, y):
            line = card.line(name, "transfer", n)
            sign, colour = SIGNS[line.verdict if line is not None else ""]
            ax.annotate(
                sign,
                (1.02, row),
                xycoords=("axes fraction", "data"),
                va="center",
                ha="left",
                fontsize=12,
                color=colour,
                weight="bold",
                annotation_clip=False,
            )
        ax.set_xlim(-ENDS, ENDS)
        ax.set_ylim(len(known) - 0.5, -0.5)
        ax.set_title(f"{'all' if n == 0 else n} structures", fontsize=10.5)
        ax.set_xlabel("deviation from the reference (%)")
    digits = lambda x: f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"
    words = lambda name: (
        f"{PROPERTIES[name][0]}  {digits(card.reference[name])}"
        + (f" {PROPERTIES[name][1]}" if PROPERTIES[name][1] else "")
    )
    axes[0].set_yticks(y, [words(name) for name in known], fontsize=9)
    named = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(
        named.values(), named, loc="outside lower center", ncol=max(1, len(named)), **SMALL
    )
    verdicts = any(x.verdict for x in card.lines)
    figure.suptitle(
        f"{card.element}, {SOURCES[card.source].words}, precomputed."
        + ("  Transfer helped +, hurt –, made no difference =." if verdicts else "")
        + ("  Hollow: some seeds have no value." if hollow else ""),
        fontsize=10.5,
    )
    return figure
