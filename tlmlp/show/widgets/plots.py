"""The plots beside atoms that move."""

import numpy as np

from ..figures.picture import panels
from ..figures.style import INDIGO, OLIVE, RED, TEXT

FARTHEST = 6.0  # Å, of g(r)
FINE = 130  # dots per inch
LEGEND = dict(fontsize=8, frameon=False, loc="upper left", ncol=2, borderpad=0)


def _axes(size, rows, columns):
    """(figure of `size` pixels, its small axes)."""
    figure, axes = panels(size[0] / 100, size[1] / 100, rows, columns)
    for ax in axes.flat:
        ax.tick_params(labelsize=8)
        ax.locator_params(axis="y" if rows > 1 else "both", nbins=4)
    return figure, axes.flatten()


def live(curves, rdf, size):
    """PNG of temperature, energy and g(r), one below the other.

    curves: [(time in ps, temperature in K, that of the thermostat, potential energy in eV/atom)];
    rdf: (r in Å, g), or None.
    """
    figure, axes = _axes(size, 3, 1)
    heat, energy, g = axes
    if curves:
        t, T, wanted, E = np.array(curves).T
        heat.plot(t, T, color=RED, lw=1, label="atoms")
        heat.plot(t, wanted, color=TEXT, lw=1.2, ls="--", label="thermostat")
        heat.legend(handlelength=1.4, **LEGEND)
        heat.set_ylim(0, 1.35 * max(T.max(), wanted.max(), 100))
        energy.plot(t, E, color=INDIGO, lw=1)
    if rdf is not None:
        g.fill_between(*rdf, color=OLIVE, alpha=0.25, lw=0)
        g.plot(*rdf, color=OLIVE, lw=1.2)
        g.set_ylim(0, max(3.0, min(12, 1.1 * rdf[1].max())))
    g.set_xlim(0, FARTHEST)
    labels = ("", "T (K)"), ("time (ps)", "$E_{pot}$ (eV/atom)"), ("r (Å)", "g(r)")
    for ax, empty, (x, y) in zip(axes, (not curves, not curves, rdf is None), labels):
        ax.set_xlabel(x, fontsize=8.5, labelpad=1)
        ax.set_ylabel(y, fontsize=8.5)
        if empty:
            ax.set_yticks([])  # no numbers that nothing was measured in
    figure.align_ylabels()
    return figure.png(FINE)


def duel(sides, melting, size):
    """PNG of temperature, share of liquid and nearest distance, side by side.

    sides: [(name, colour, curve, broken)], the reference first; curve: [(time in ps, temperature
    in K, that of the thermostat, share of liquid, nearest distance in Å)]; melting: K.
    """
    figure, axes = _axes(size, 1, 3)
    heat, liquid, near = axes
    longest = max((curve for *_, curve, _ in sides), key=lambda c: c[-1][0] if c else 0)
    end = max(0.5, longest[-1][0] if longest else 0)
    for name, colour, curve, broken in sides:
        if not curve:
            continue
        t, T, _, share, nearest = np.array(curve).T
        behind = name == sides[0][0]
        look = dict(color=colour, lw=1 if behind else 1.3, zorder=2 if behind else 3, label=name)
        for ax, y in zip(axes, (T, share, nearest)):
            ax.plot(t, y, **look)
            if broken:
                ax.plot(t[-1], y[-1], "X", color=colour, ms=8, mec="white", zorder=4)
    titles = "temperature (K)", "g(r) between crystal and liquid", "nearest two atoms (Å)"
    for ax, title in zip(axes, titles):
        ax.set_xlim(0, 1.02 * end)
        ax.set_xlabel("time (ps)", fontsize=8.5, labelpad=1)
        ax.set_title(title, fontsize=8.5, loc="left")
    if longest:
        t, _, target, _, _ = np.array(longest).T
        heat.plot(t, target, color=TEXT, lw=1, ls="--", zorder=1, label="thermostat")
        heat.set_ylim(0, 1.5 * max(target[-1], 600))
        if melting < heat.get_ylim()[1]:
            heat.axhline(melting, color=TEXT, ls=":", lw=1.2)
            words = dict(fontsize=8, color=TEXT, ha="right", va="bottom")
            heat.text(0.99 * end, melting, "melting", **words)
        heat.legend(handlelength=1.2, columnspacing=0.8, **LEGEND)
    else:
        heat.set_yticks([]), near.set_yticks([])
    liquid.axhline(0.5, color=TEXT, ls=":", lw=1.2)
    liquid.set_ylim(0, 1)
    liquid.set_yticks((0, 0.5, 1), ("crystal 0", "0.5", "liquid 1"))
    return figure.png(FINE)
