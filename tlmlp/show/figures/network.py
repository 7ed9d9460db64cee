"""DimeNet++ in three pictures: atoms and slots, bases of distance and angle, blocks and weights."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from scipy.spatial.transform import Rotation

from ... import bessel, graph, transfer
from ...refusal import refuse
from .picture import SMALL, Picture, note, panels, quiet
from .style import INDIGO, INK, OLIVE, PALE, RED, TEXT, WINE, shades

CENTRE = dict(ha="center", va="center")
LINES = "-", "-."  # neighbours in order are told apart without colours, too
COLOURS = shades(4)  # of shells, the nearest first
WAVES = LinearSegmentedColormap.from_list("waves", (RED, "white", INDIGO))


def _arrow(ax, start, end, style="-|>", size=13, color=TEXT, lw=1.4, **options):
    look = dict(arrowstyle=style, mutation_scale=size, color=color, lw=lw)
    ax.add_patch(FancyArrowPatch(start, end, **look, **options))


def picture_slots(atoms, cutoff):
    """Atom 0, its neighbours and the messages that arrive (left); the same as slots (right).

    ase.Atoms are seen along a slanted direction. Raises ValueError for no neighbour within cutoff.
    """
    top = graph.topology(atoms, cutoff)
    vectors = top.vectors(atoms.positions)
    distances = np.where(top.mask, np.linalg.norm(vectors, axis=-1), np.inf)
    order = np.argsort(distances, axis=1, kind="stable")  # nearest first, for the eye
    near = order[0, : top.mask[0].sum()]
    refuse(not near.size, f"atom 0 has no neighbour within {cutoff} Å; take a larger cutoff")
    gaps = np.flatnonzero(np.diff(distances[0, near]) > 0.3) + 1  # Å, between two shells
    shells = [part.mean() for part in np.split(distances[0, near], gaps)]
    shell = np.abs(distances[..., None] - shells).argmin(-1)  # of each slot

    figure, ((ax, table),) = panels(9.1, 4.5, 1, 2, width_ratios=(1, 1.15))
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.96))
    seen = Rotation.from_euler("yx", (24, -18), degrees=True).apply(vectors[0, near])
    _messages(ax, list(zip(seen, top.neighbors[0, near], shell[0, near])), cutoff)
    sizes = [f"{(shell[0, near] == s).sum()} near {d:.2f} Å" for s, d in enumerate(shells)]
    for s, label in enumerate(sizes):
        ax.plot([], [], "o", color=COLOURS[s % 4], label=label)
    ax.legend(loc="upper center", ncol=len(shells), handletextpad=0.1, **SMALL)
    _table(table, top, order, shell)
    words = f"Atom 0 has {near.size} neighbours: {', '.join(sizes)}."
    return figure.describe("slots", words, f"An atom has {top.mask.shape[1]} slots.")


def _messages(ax, neighbours, cutoff):
    """Arrows from neighbours to atom 0. neighbours: (vector in Å, index, shell), nearest first."""
    for neighbour in sorted(neighbours, key=lambda n: n[0][2]):  # from the back to the front
        (x, y, _), i, s = neighbour
        bold = neighbour is neighbours[0]
        look = dict(color=COLOURS[s % 4], lw=2.4 if bold else 1, alpha=1 if bold else 0.55)
        _arrow(ax, (x, y), (0, 0), size=11, shrinkA=9, shrinkB=13, zorder=2, **look)
        ax.add_patch(Circle((x, y), 0.30, fc=COLOURS[s % 4], ec="white", zorder=3))
        ax.text(x, y, str(i), color="white", fontsize=8, zorder=4, **CENTRE)
    ax.add_patch(Circle((0, 0), 0.38, fc=INK, ec="white", zorder=5))
    ax.text(0, 0, "0", color="white", fontsize=9, zorder=6, **CENTRE)
    ax.add_patch(Circle((0, 0), cutoff, fill=False, ls="--", color=TEXT, lw=1))
    note(ax, f"cutoff {cutoff:g} Å", (0, -cutoff), (0, -3), ha="center", va="top", fontsize=9)
    ax.set(xlim=(-1.3 * cutoff, 1.3 * cutoff), ylim=(-1.2 * cutoff, 1.35 * cutoff))
    ax.set(xlabel="x (Å)", ylabel="y (Å)", aspect="equal")


def _table(ax, top, order, shell):
    """Rows of slots of atom 0 and four neighbours. Frames mark the two slots of its first bond."""
    slots, rank = top.mask.shape[1], np.argsort(order, axis=1)
    around, seen = top.neighbors[0, order[0, : top.mask[0].sum()]].tolist(), order[0, 0]
    other, back = around[0], int(top.reverse[0, seen]) % slots
    rows = list(dict.fromkeys([0, *around]))[:5]
    for r, i in enumerate(rows):
        y = -1.5 * r
        for a in range(slots):
            filled, x = top.mask[i, a], rank[i, a]
            framed = (i, a) == (0, seen) or (r, i, a) == (1, other, back)
            look = dict(alpha=1 if framed else 0.45, edgecolor=INK if framed else "none", lw=2)
            colour = COLOURS[shell[i, a] % 4] if filled else PALE
            ax.add_patch(Rectangle((x, y), 0.92, 0.92, facecolor=colour, **look))
            if filled:
                look = dict(fontsize=8, color="white" if framed else "black")
                ax.text(x + 0.46, y + 0.46, str(top.neighbors[i, a]), **look, **CENTRE)
        weight = None if r else "bold"
        ax.text(-0.3, y + 0.46, f"atom {i}", ha="right", va="center", fontsize=9, weight=weight)
    if len(rows) > 1:
        start, end = (rank[0, seen] + 0.46, 0), (rank[other, back] + 0.46, -1.5 + 0.92)
        bent = "arc3,rad=-0.3" if abs(start[0] - end[0]) > 0.5 else "arc3"
        _arrow(ax, start, end, "<|-|>", 10, INK, 1.3, zorder=5, connectionstyle=bent)
    low = -1.5 * len(rows) - 0.6
    ax.set(xlim=(-2.9, max(slots, 10) + 0.2), ylim=(low, 2.2))
    ax.text(0, 1.35, f"{slots} slots per atom, nearest neighbour first", fontsize=10)
    note(ax, "framed: one bond, kept at both of its ends.", (0, low + 0.9), fontsize=9)
    note(ax, "A message leaves one slot and arrives at the other.", (0, low + 0.4), fontsize=9)
    ax.set_axis_off()


def picture_bases(config):
    """Functions in which the network of a Config writes a distance, an angle, and both together.

    Left: radial Bessel functions e_n and their envelope. Middle: Legendre polynomials P_l of the
    angle. Right: one product R_ln(d) P_l(cosθ) around an atom.
    """
    c, figure = config, Picture(9.1, 3.4)
    radial, angular, both = figure.subplots(1, 3, width_ratios=(1, 1, 0.95))
    d = np.linspace(1.0, 1.06 * c.cutoff, 400, dtype=np.float32)
    inside = np.minimum(d / c.cutoff, 1)
    frequencies = np.pi * np.arange(1, c.n_radial + 1, dtype=np.float32)
    e = np.asarray(bessel.radial_bessel(inside, frequencies, c.cutoff, c.envelope_power))
    for n, colour in enumerate(shades(c.n_radial)):
        radial.plot(d, e[:, n], LINES[n % 2], color=colour, lw=1.4, label=f"n = {n + 1}")
    u = np.asarray(bessel.envelope(inside, c.envelope_power)) * (d < c.cutoff)
    radial.plot(d, u, color=TEXT, ls="--", lw=1.8, label="envelope u")
    radial.axvline(c.cutoff, color=TEXT, lw=1, ls=":")
    look = dict(ha="right", va="top", fontsize=9, rotation=90)
    note(radial, "cutoff", (c.cutoff, 0.98), (-2, 0), ("data", "axes fraction"), **look)
    radial.set(xlabel="distance d (Å)", title="distance", ylim=(-1.45, 1.1))
    radial.set_ylabel("radial Bessel $e_n$ (Å$^{-3/2}$), u (no unit)")

    angle = np.linspace(0, np.pi, 181)
    polynomials = zip(bessel.legendre(np.cos(angle), c.n_spherical), shades(c.n_spherical))
    for l, (p, colour) in enumerate(polynomials):
        look = dict(color=colour, lw=1.4, label=f"l = {l}")
        angular.plot(np.rad2deg(angle), p, LINES[l % 2], **look)
    angular.axvline(109.47, color=TEXT, lw=1, ls=":")
    angular.text(111, 0.75, "109.5°:\ndiamond", fontsize=8, color=TEXT)
    angular.set(xlabel="angle θ between two bonds (°)", ylabel="Legendre $P_l$(cos θ) (no unit)")
    angular.set(title="angle", xticks=range(0, 181, 45), ylim=(-1.6, 1.1))
    for ax in (radial, angular):
        ax.legend(loc="lower center", ncol=2, frameon=False, fontsize=8)
        quiet(ax)

    l, n = min(2, c.n_spherical - 1), min(1, c.n_radial - 1)
    axis = np.linspace(-c.cutoff, c.cutoff, 241, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    r = np.maximum(np.hypot(x, y), 0.25)
    shape = c.n_spherical, c.n_radial, c.envelope_power
    R = bessel.spherical_bessel(np.minimum(r / c.cutoff, 1), *shape)
    P = bessel.legendre(x / np.hypot(x, y).clip(1e-9), c.n_spherical)
    value = np.where(r < c.cutoff, np.asarray(R)[..., l, n] * np.asarray(P[l]), np.nan)
    most = np.nanmax(np.abs(value))
    look = dict(origin="lower", cmap=WAVES, vmin=-most, vmax=most)
    image = both.imshow(value, extent=[-c.cutoff, c.cutoff] * 2, **look)
    label = f"$R_{{{l}{n + 1}}}(d)\\,P_{l}$(cos θ) (no unit)"
    figure.colorbar(image, ax=both, shrink=0.85, label=label)
    both.annotate("", (2.35, 0), (0, 0), arrowprops=dict(arrowstyle="-|>", color=INK))
    both.set(xlabel="x (Å)", ylabel="y (Å)", title=f"both: l = {l}, n = {n + 1}")
    words = f"There are {c.n_radial} radial and {c.n_spherical} angular functions"
    return figure.describe("bases", f"{words}; the cutoff is {c.cutoff:g} Å.")


def picture_network(potential):
    """The blocks of a Potential from messages to energy, each with its number of weights."""
    sizes, blocks = transfer.sizes(potential), potential.config.n_blocks
    figure, ((ax,),) = panels(max(8.0, 2.25 * (blocks + 1) + 2.35), 3.5)
    step, width, height, top, low, base = 3.0, 2.2, 1.0, 3.0, 1.2, -0.35
    last = blocks * step
    number = lambda count: f"{count:,}".replace(",", " ")

    def box(x, y, name, colour):
        look = dict(boxstyle="round,pad=0.02,rounding_size=0.12", fc=colour + "33", ec=colour)
        ax.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, lw=1.6, **look))
        ax.text(x, y + 0.17, name, fontsize=10.5, **CENTRE)
        ax.text(x, y - 0.22, f"{number(sizes[name])} weights", fontsize=8.5, color=TEXT, **CENTRE)

    for n in range(blocks + 1):
        x = n * step
        box(x, top, f"interaction_{n}" if n else "embedding", INDIGO if n else WINE)
        box(x, low, f"output_{n}", OLIVE)
        _arrow(ax, (x, top - height / 2), (x, low + height / 2))
        ax.plot([x, x], [low - height / 2, base], color=TEXT, lw=1.4)
        if n < blocks:
            _arrow(ax, (x + width / 2, top), (x + step - width / 2, top))
            ax.text(x + step / 2, top + 0.12, "$m_{ji}$", fontsize=9, ha="center", va="bottom")
        ax.text(x + 0.12, base + 0.1, "+" if n else "", fontsize=11)
    ax.plot([0, last], [base, base], color=TEXT, lw=1.4)
    _arrow(ax, (last, base), (last + 0.9, base))
    total = f"{number(sum(sizes.values()))} weights in all,\n{potential.config.n_radial} of them "
    total += "frequencies\nof the radial functions, in the\nembedding"
    above, look = top + 0.9, dict(fontsize=9, va="center", color=TEXT)
    ax.text(last + 1.0, base, r"$E = \sum_i \epsilon_i$", **look | dict(fontsize=13))
    ax.text(last + 1.0, base - 0.42, "energy in eV", **look)
    ax.text(last + width / 2 + 0.25, top, total, **look)
    ax.text(-width / 2, above, "distance and elements of a bond", **look | dict(color=WINE))
    ax.text(step - width / 2, above, "each block: distances and angles, one cutoff farther", **look)
    ax.set(xlim=(-1.3, last + 3.6), ylim=(base - 0.75, top + 1.2))
    ax.set_axis_off()
    words = ", ".join(f"{name} {number(count)}" for name, count in sizes.items())
    return figure.describe("network", f"{number(sum(sizes.values()))} weights: {words}.")
