"""Figures on similarity: what a transfer gains, against how far two elements are apart.

The gain is the force MAE of scratch over that of the transfer, with the same structures and steps.
Above 1 the transfer helps, below 1 it hurts. Bars are one standard deviation over seeds.
"""

import numpy as np
from ase.data import atomic_numbers

from ...course.family import KNOBS, knob_of
from ...course.results import gains_of, mean_and_spread
from .learning import where
from .picture import SMALL, legend_below, log_axis, note, nothing, panels
from .style import INK, MARKERS, METHODS, PALETTE, TEXT

WORDS = dict(
    size="size σ, over silicon's",
    energy="energy ε, over silicon's",
    stiffness="stiffness λ of angles",
    angle="angle θ0 (°)",
)
GAIN = "gain: scratch over transfer"
PAIR = ("source", "target", "row")


def gains(rows, n=10):
    """Gain of a transfer from Stillinger-Weber's silicon, against each knob of its family.

    rows: of `course.rows("family")` with equal steps; n: training structures.
    """
    found = gains_of(where(rows, n=n, steps=800), tuple(KNOBS))
    if not found:
        return nothing()
    figure, axes = panels(9.1, 2.9, 1, 4, sharey=True)
    said, highest = [], 2.0
    for place, (ax, knob) in enumerate(zip(axes[0], KNOBS)):
        for method in ("transfer", "reduced"):
            points = [
                (member[place], *mean_and_spread([gain for gain, _ in own]))
                for (member, name), own in found.items()
                if knob_of(member) in (knob, None) and (name == method or knob_of(member) is None)
            ]
            if len(points) < 2:  # silicon alone: other units change nothing here
                continue
            (x, y, dy), look = np.array(sorted(points)).T, METHODS[method]
            style = dict(fmt=f"{look.marker}-", color=look.colour, ms=5, capsize=2)
            ax.errorbar(x, y, np.nan_to_num(dy), label=look.word, **style)
            highest = max(highest, *y)
            each = ", ".join(f"{b:.1f} at {a:g}" for a, b in zip(x, y))
            said.append(f"{knob}, {look.word}: {each}.")
        ax.axhline(1, color=TEXT, lw=1)
        ax.axvline(KNOBS[knob], color=TEXT, lw=1, ls=":")
        ax.set(xlabel=WORDS[knob])
    for ax in axes[0]:
        log_axis(ax, (0.8, highest))
    axes[0, 0].set(ylabel=GAIN)
    return legend_below(figure).describe("gains", *said, n=n)


def outlooks(rows, pairs=(), n=10):
    """Gain against the error before training, for the family and for pairs of elements.

    rows: of `course.rows("family")`; pairs: of `course.rows("pairs")`; n: training structures. A
    start in reduced units counts where there is one, since lengths and energies are known.
    """
    family, real = {}, {}
    for (member, method), own in gains_of(where(rows, n=n, steps=800), tuple(KNOBS)).items():
        moved = knob_of(member)
        if method == "reduced" or moved not in ("size", "energy", "several"):
            words = dict(several="several at once").get(moved, moved) or "silicon itself"
            family.setdefault(f"family: {words}", []).append((own, ""))
    for ((source, target, row), _), own in gains_of(where(pairs, n=n, steps=800), PAIR).items():
        if row == "copy" and source != "others":
            real.setdefault(f"to {target}", []).append((own, source))
    if not (shown := [kinds for kinds in (family, real) if kinds]):
        return nothing()
    figure, (axes,) = panels(3.5 + 2.8 * len(shown), 4.2, 1, len(shown))
    said = []
    for ax, kinds in zip(axes, shown):
        all_y = [1.0]
        for k, (kind, members) in enumerate(kinds.items()):
            points = [[mean_and_spread(values) for values in zip(*own)] for own, _ in members]
            (y, dy), (x, dx) = np.nan_to_num(points).transpose(1, 2, 0)
            colour = INK if kind == "family: silicon itself" else PALETTE[k % len(PALETTE)]
            look = dict(fmt=MARKERS[k], color=colour, ms=6, capsize=2, elinewidth=1)
            ax.errorbar(100 * x, y, dy, 100 * dx, label=kind, **look)
            for (_, source), a, b in zip(members, x, y):
                note(ax, source, (100 * a, b), (5 - k // 2 % 2 * 19, 4 - k % 2 * 15))
                said.append(f"{source} {kind}: gain {b:.1f} at {100 * a:.0f} %.".strip())
            all_y += [*y]
        ax.axhline(1, color=TEXT, lw=1)
        log_axis(ax, all_y)
        ax.set(xlabel="error before training (% of the mean force)", ylabel=GAIN, xlim=(0, None))
        ax.legend(**SMALL)
    return figure.describe("outlooks", *said, n=n)


def gain_matrix(rows, n=10):
    """Gain from each source (rows of the matrix) to each target, ± one standard deviation.

    rows: of `course.rows("pairs")`; n: training structures.
    """
    found = gains_of(where(rows, n=n, steps=800), PAIR).items()
    found = {(s + ", by neighbours" * (row != "copy"), t): own for ((s, t, row), _), own in found}
    if not found:
        return nothing()
    targets = sorted({t for _, t in found}, key=atomic_numbers.get)
    kind = lambda s: (s not in targets, not s.startswith("others"), atomic_numbers.get(s, 0), s)
    sources = sorted({s for s, _ in found}, key=kind)
    means = {key: mean_and_spread([gain for gain, _ in own]) for key, own in found.items()}
    strength = np.log2([[means[s, t][0] for t in targets] for s in sources])
    figure, ((ax,),) = panels(6.2, 0.8 + 0.42 * len(sources))
    far = max(0.1, np.abs(strength).max())
    ax.imshow(strength, cmap="PuOr", vmin=-far, vmax=far, aspect="auto")
    said = [f"{s} to {t}: {means[s, t][0]:.2f}." for s in sources for t in targets]
    for i, j in np.ndindex(strength.shape):
        dark = abs(strength[i, j]) > 0.55 * far
        look = dict(ha="center", va="center", color="white" if dark else INK, fontsize=9)
        ax.text(j, i, "{:.2f} ± {:.2f}".format(*means[sources[i], targets[j]]), **look)
    ax.grid(False)
    ax.set_xticks(range(len(targets)), targets)
    ax.set_yticks(range(len(sources)), sources)
    ax.set(xlabel="target", ylabel="source")
    return figure.describe("gain_matrix", *said, n=n)
