"""DimeNet++ in three pictures: atoms and slots, bases of distance and angle, blocks and their weights."""

import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from ... import bessel
from ...graph import topology
from .picture import Picture, note, panels, quiet
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, PALE, PALETTE, TEXT

CENTRE = dict(ha="center", va="center")


def _arrow(ax, start, end, style="-|>", size=13, color=TEXT, lw=1.4, **options):
    look = dict(arrowstyle=style, mutation_scale=size, color=color, lw=lw)
    ax.add_patch(FancyArrowPatch(start, end, **look, **options))


# -- slots -------------------------------------------------------------------------------------------------------------


def picture_slots(atoms, cutoff, atom=0):
    """An atom, its neighbours and the messages that arrive (left); the same as rows of slots (right).

    Args:
        atoms: ase.Atoms; they are seen along a slanted direction.
        cutoff: Å.
        atom: index of the one whose neighbours are drawn.

    Raises:
        ValueError: where it has no neighbour.
    """
    top = topology(atoms, cutoff)
    mask = top.mask
    if not mask[atom].any():
        raise ValueError(f"atom {atom} has no neighbour within {cutoff} Å; take a larger cutoff")
    vectors = top.vectors(atoms.positions)
    distances = np.where(mask, np.linalg.norm(vectors, axis=-1), np.inf)
    order = np.argsort(distances, axis=1, kind="stable")  # nearest first, for the eye
    near = order[atom, : mask[atom].sum()]
    shells = _shells(distances[atom, near])
    shell = np.abs(distances[..., None] - shells).argmin(-1)  # of each slot

    figure = Picture(9.8, 4.6)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.96))
    ax, table = figure.subplots(1, 2, width_ratios=(1, 1.15))
    neighbours = [(vectors[atom, a], top.neighbors[atom, a], shell[atom, a]) for a in near]
    _messages(ax, atom, neighbours, cutoff)
    for s, distance in enumerate(shells):
        label = f"{(shell[atom, near] == s).sum()} near {distance:.2f} Å"
        ax.plot([], [], "o", color=PALETTE[s % 8], label=label)
    spacing = dict(ncol=len(shells), handletextpad=0.1, columnspacing=0.8)
    ax.legend(loc="upper center", frameon=False, fontsize=8.5, **spacing)
    _table(table, atom, top, order, shell)
    return figure


def _shells(distances, width=0.3):
    """Mean distance of each group of neighbours; groups are apart by more than `width` Å."""
    return [
        part.mean() for part in np.split(distances, np.flatnonzero(np.diff(distances) > width) + 1)
    ]


def _turn(about_y, about_x):
    """Rotation matrix [3, 3] about y and then about x, by degrees."""
    a, b = np.deg2rad(about_y), np.deg2rad(about_x)
    y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return x @ y


def _messages(ax, atom, neighbours, cutoff):
    """Arrows from neighbours to an atom. neighbours: (vector in Å, index, shell), nearest first."""
    turned = [(*(_turn(24, -18) @ vector), i, s, k) for k, (vector, i, s) in enumerate(neighbours)]
    for x, y, _, i, s, k in sorted(turned, key=lambda item: item[2]):  # from the back to the front
        colour = PALETTE[s % 8]
        look = dict(color=colour, lw=1 if k else 2.4, alpha=0.55 if k else 1, zorder=2)
        _arrow(ax, (x, y), (0, 0), size=11, shrinkA=9, shrinkB=13, **look)
        ax.add_patch(Circle((x, y), 0.30, facecolor=colour, edgecolor="white", lw=1, zorder=3))
        ax.text(x, y, str(i), color="white", fontsize=7.5, zorder=4, **CENTRE)
    ax.add_patch(Circle((0, 0), 0.38, facecolor=BLACK, edgecolor="white", lw=1, zorder=5))
    ax.text(0, 0, str(atom), color="white", fontsize=9, zorder=6, **CENTRE)
    ax.add_patch(Circle((0, 0), cutoff, fill=False, ls="--", color=GREY, lw=1))
    note(ax, f"cutoff {cutoff:g} Å", (0, -cutoff), (0, -3), ha="center", va="top", fontsize=9)
    low, high = -1.3 * cutoff, 1.3 * cutoff
    ax.set(xlim=(low, high), ylim=(-1.2 * cutoff, 1.35 * cutoff), aspect="equal")
    ax.set(xlabel="x (Å)", ylabel="y (Å)")
    quiet(ax)


def _table(ax, atom, top, order, shell):
    """Rows of slots of an atom and of four neighbours. Frames mark the two slots of its first bond."""
    slots = top.mask.shape[1]
    rank = np.argsort(order, axis=1)
    seen = order[atom, 0]
    other, back = int(top.neighbors[atom, seen]), int(top.reverse[atom, seen]) % slots
    around = top.neighbors[atom, order[atom, : top.mask[atom].sum()]]
    rows = list(dict.fromkeys([atom, other, *map(int, around)]))[:5]
    for r, i in enumerate(rows):
        y = -1.5 * r
        for a in range(slots):
            filled, x = top.mask[i, a], rank[i, a]
            framed = (i == atom and a == seen) or (i == other and a == back and r == 1)
            look = dict(alpha=1 if framed else 0.45, edgecolor=BLACK if framed else "none", lw=2)
            colour = PALETTE[shell[i, a] % 8] if filled else PALE
            ax.add_patch(Rectangle((x, y), 0.92, 0.92, facecolor=colour, **look))
            if filled:
                look = dict(fontsize=7.5, color="white" if framed else "black")
                ax.text(x + 0.46, y + 0.46, str(top.neighbors[i, a]), **look, **CENTRE)
        look = dict(ha="right", va="center", fontsize=9, weight=None if r else "bold")
        ax.text(-0.3, y + 0.46, f"atom {i}", **look)
    if len(rows) > 1:
        start, end = (rank[atom, seen] + 0.46, 0), (rank[other, back] + 0.46, -1.5 + 0.92)
        bent = "arc3,rad=-0.3" if abs(start[0] - end[0]) > 0.5 else "arc3"
        look = dict(color=BLACK, lw=1.3, zorder=5, connectionstyle=bent)
        _arrow(ax, start, end, "<|-|>", 10, **look)
    low = -1.5 * len(rows) - 0.6
    ax.set(xlim=(-2.9, max(slots, 10) + 0.2), ylim=(low, 2.2))
    ax.text(0, 1.35, f"{slots} slots per atom, nearest neighbour first", fontsize=10)
    words = "framed: one bond, kept at both of its ends.\nA message leaves one slot and arrives at the other."
    ax.text(0, low + 1.2, words, fontsize=9, va="top", color=TEXT)
    ax.set_axis_off()


# -- bases -------------------------------------------------------------------------------------------------------------


def picture_bases(config):
    """Functions in which the network writes a distance, an angle, and both together.

    Left: radial Bessel functions e_n and their envelope. Middle: Legendre polynomials P_l of the
    angle. Right: one product R_ln(d) P_l(cosθ) around an atom.

    Args:
        config: tlmlp.Config.
    """
    figure = Picture(11, 3.6)
    radial, angular, both = figure.subplots(1, 3, width_ratios=(1, 1, 0.95))
    _radial(radial, config)
    _angular(angular, config)
    for ax in (radial, angular):
        ax.legend(fontsize=8, frameon=False, ncol=2, loc="lower center")
        quiet(ax)
    _product(figure, both, config)
    return figure


def _radial(ax, c):
    d = np.linspace(1.0, 1.06 * c.cutoff, 400, dtype=np.float32)
    inside = np.minimum(d / c.cutoff, 1)
    frequencies = np.pi * np.arange(1, c.n_radial + 1, dtype=np.float32)
    e = np.asarray(bessel.radial_bessel(inside, frequencies, c.cutoff, c.envelope_power))
    for n in range(c.n_radial):
        ax.plot(d, e[:, n], color=PALETTE[n % 8], lw=1.4, label=f"n = {n + 1}")
    u = np.asarray(bessel.envelope(inside, c.envelope_power)) * (d < c.cutoff)
    ax.plot(d, u, color=GREY, ls="--", lw=1.6, label="envelope u")
    ax.axvline(c.cutoff, color=GREY, lw=1, ls=":")
    look = dict(ha="right", va="top", fontsize=9, rotation=90)
    note(ax, "cutoff", (c.cutoff, 0.98), (-2, 0), ("data", "axes fraction"), **look)
    words = "radial Bessel $e_n$ (Å$^{-3/2}$), u (no unit)"
    ax.set(xlabel="distance d (Å)", ylabel=words, title="distance", ylim=(-1.45, 1.1))


def _angular(ax, c):
    angle = np.linspace(0, np.pi, 181)
    for l, p in enumerate(bessel.legendre(np.cos(angle), c.n_spherical)):
        ax.plot(np.rad2deg(angle), np.asarray(p), color=PALETTE[l % 8], lw=1.4, label=f"l = {l}")
    ax.axvline(109.47, color=GREY, lw=1, ls=":")
    ax.text(111, 0.75, "109.5°:\ndiamond", fontsize=8, color=TEXT)
    ax.set(xlabel="angle θ between two bonds (°)", ylabel="Legendre $P_l$(cos θ) (no unit)")
    ax.set(title="angle", xticks=range(0, 181, 45), ylim=(-1.6, 1.1))


def _product(figure, ax, c):
    l, n = min(2, c.n_spherical - 1), min(1, c.n_radial - 1)
    axis = np.linspace(-c.cutoff, c.cutoff, 241, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    r = np.maximum(np.hypot(x, y), 0.25)
    scaled = np.minimum(r / c.cutoff, 1)
    R = bessel.spherical_bessel(scaled, c.n_spherical, c.n_radial, c.envelope_power)
    P = bessel.legendre(x / np.hypot(x, y).clip(1e-9), c.n_spherical)
    value = np.where(r < c.cutoff, np.asarray(R)[..., l, n] * np.asarray(P[l]), np.nan)
    most = np.nanmax(np.abs(value))
    look = dict(origin="lower", cmap="PuOr", vmin=-most, vmax=most)
    image = ax.imshow(value, extent=[-c.cutoff, c.cutoff] * 2, **look)
    words = f"$R_{{{l}{n + 1}}}(d)\\,P_{l}$(cos θ) (no unit)"
    figure.colorbar(image, ax=ax, shrink=0.85, label=words)
    ax.annotate("", (2.35, 0), (0, 0), arrowprops=dict(arrowstyle="-|>", color=BLACK))
    ax.set(xlabel="x (Å)", ylabel="y (Å)", title=f"both: l = {l}, n = {n + 1}")


# -- blocks ------------------------------------------------------------------------------------------------------------


def picture_network(potential):
    """The blocks of a Potential from its messages to the energy, each with its number of weights."""
    sizes = _sizes(potential.params)
    blocks = potential.config.n_blocks
    figure, ((ax,),) = panels((max(8.0, 2.4 * (blocks + 1) + 2.6), 3.5))
    step, width, height = 3.0, 2.2, 1.0
    top, low, base = 3.0, 1.2, -0.35
    last = blocks * step
    number = lambda count: f"{count:,}".replace(",", " ")

    def box(x, y, name, colour):
        shape = dict(boxstyle="round,pad=0.02,rounding_size=0.12")
        look = dict(facecolor=colour + "33", edgecolor=colour, lw=1.6)
        corner = (x - width / 2, y - height / 2)
        ax.add_patch(FancyBboxPatch(corner, width, height, **shape, **look))
        ax.text(x, y + 0.17, name, fontsize=10.5, **CENTRE)
        words = f"{number(sizes.get(name, 0))} weights"
        ax.text(x, y - 0.22, words, fontsize=8.5, color=TEXT, **CENTRE)

    for n in range(blocks + 1):
        x = n * step
        box(x, top, f"interaction_{n}" if n else "embedding", BLUE if n else GREEN)
        box(x, low, f"output_{n}", ORANGE)
        _arrow(ax, (x, top - height / 2), (x, low + height / 2))
        ax.plot([x, x], [low - height / 2, base], color=TEXT, lw=1.4)
        if n < blocks:
            _arrow(ax, (x + width / 2, top), (x + step - width / 2, top))
            ax.text(x + step / 2, top + 0.12, "$m_{ji}$", fontsize=9, ha="center", va="bottom")
        if n:
            ax.text(x + 0.12, base + 0.1, "+", fontsize=11)
    ax.plot([0, last], [base, base], color=TEXT, lw=1.4)
    _arrow(ax, (last, base), (last + 0.9, base))
    ax.text(last + 1.0, base, r"$E = \sum_i \epsilon_i$", fontsize=13, va="center")
    ax.text(last + 1.0, base - 0.42, "energy in eV", fontsize=9, va="center", color=TEXT)
    words = f"{number(sum(sizes.values()))} weights in all,\n{sizes.get('frequencies', 0)} of them "
    words += "frequencies\nof the radial functions"
    ax.text(last + width / 2 + 0.25, top, words, fontsize=9, va="center", color=TEXT)
    words = "distance and elements of a bond"
    ax.text(-width / 2, top + 0.85, words, fontsize=9, color=GREEN)
    words = "each block: distances and angles, one cutoff farther" if blocks else ""
    ax.text(step - width / 2, top + 0.85, words, fontsize=9, color=BLUE)
    ax.set(xlim=(-1.3, last + 3.6), ylim=(base - 0.75, top + 1.2))
    ax.set_axis_off()
    return figure


def _sizes(params):
    """Number of weights of each block: embedding, interaction_1 ..., output_0 ..., frequencies."""
    sizes = {}
    for module, weights in params.items():
        _, *block = module.split("/")
        for name, w in weights.items():
            key = block[0] if block else name
            sizes[key] = sizes.get(key, 0) + int(np.size(w))
    return sizes
