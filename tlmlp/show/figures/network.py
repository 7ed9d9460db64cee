"""Figures: matplotlib, with units on every axis and colours that colour-blind readers can tell apart.

Every function returns a Figure that shows itself as the last line of a cell, and has `.savefig`.
"""

import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from ... import bessel, graph as graphs
from .picture import Picture, quiet
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, PALETTE

# -- learning ---------------------------------------------------------------------------------------------------------


# -- DimeNet++ in three pictures --------------------------------------------------------------------------------------


def picture_slots(atoms, cutoff, atom=0):
    """An atom, its neighbours and the messages that arrive (left); the same as rows of slots (right).

    atoms: ase.Atoms; cutoff: Å; atom: whose neighbours are drawn. The structure is seen along a slanted direction.
    """
    top = graphs.topology(atoms, cutoff)
    K = top.mask.shape[1]
    if not top.mask[atom].any():
        raise ValueError(f"atom {atom} has no neighbour within {cutoff} Å; take a larger cutoff")
    vectors = top.vectors(atoms.positions)
    distances = np.linalg.norm(vectors, axis=-1)
    order = np.argsort(
        np.where(top.mask, distances, np.inf), axis=1, kind="stable"
    )  # nearest first, for the eye
    rank = np.argsort(order, axis=1)
    shells = _shells(distances[atom][top.mask[atom]])

    figure = Picture(9.8, 4.6)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.96))
    ax, table = figure.subplots(1, 2, width_ratios=(1, 1.15))
    own = np.flatnonzero(top.mask[atom])
    own = own[np.argsort(distances[atom, own], kind="stable")]
    turn = _turn(24, -18)
    flat = vectors[atom] @ turn.T
    seen = order[atom, 0]
    for a in sorted(own, key=lambda a: flat[a, 2]):
        x, y, _ = flat[a]
        colour = PALETTE[_shell_of(distances[atom, a], shells) % 8]
        arrow = FancyArrowPatch(
            (x, y),
            (0, 0),
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=9,
            shrinkB=13,
            lw=2.4 if a == seen else 1,
            color=colour,
            alpha=1 if a == seen else 0.55,
            zorder=2,
        )
        ax.add_patch(arrow)
        ax.add_patch(Circle((x, y), 0.30, facecolor=colour, edgecolor="white", lw=1, zorder=3))
        ax.text(
            x,
            y,
            str(top.neighbors[atom, a]),
            ha="center",
            va="center",
            color="white",
            fontsize=7.5,
            zorder=4,
        )
    ax.add_patch(Circle((0, 0), 0.38, facecolor=BLACK, edgecolor="white", lw=1, zorder=5))
    ax.text(0, 0, str(atom), ha="center", va="center", color="white", fontsize=9, zorder=6)
    ax.add_patch(Circle((0, 0), cutoff, fill=False, ls="--", color=GREY, lw=1))
    ax.text(
        0,
        -cutoff * 1.03,
        f"cutoff {cutoff:g} Å",
        ha="center",
        va="top",
        color="#56606b",
        fontsize=9,
    )
    for s, shell in enumerate(shells):
        count = sum(_shell_of(distances[atom, a], shells) == s for a in own)
        label = f"{count} near {shell:.2f} Å"
        ax.plot([], [], "o", color=PALETTE[s % 8], label=label)
    ax.legend(
        loc="upper center",
        frameon=False,
        fontsize=8.5,
        ncol=len(shells),
        handletextpad=0.1,
        columnspacing=0.8,
    )
    ax.set(xlim=(-1.3 * cutoff, 1.3 * cutoff), ylim=(-1.2 * cutoff, 1.35 * cutoff), aspect="equal")
    ax.set_xlabel("x (Å)")
    ax.set_ylabel("y (Å)")
    quiet(ax)

    other = int(top.neighbors[atom, seen])
    back = int(top.reverse[atom, seen]) % K
    rows = list(dict.fromkeys([atom, other, *(int(top.neighbors[atom, a]) for a in own)]))[:5]
    for r, i in enumerate(rows):
        for a in range(K):
            filled, column = top.mask[i, a], rank[i, a]
            s = _shell_of(distances[i, a], shells) if filled else None
            colour = PALETTE[s % 8] if filled and s is not None else "#eef0f2"
            special = (i == atom and a == seen) or (i == other and a == back and r == 1)
            table.add_patch(
                Rectangle(
                    (column, -r * 1.5),
                    0.92,
                    0.92,
                    facecolor=colour,
                    alpha=1 if special else 0.45,
                    edgecolor=BLACK if special else "none",
                    lw=2,
                )
            )
            if filled:
                table.text(
                    column + 0.46,
                    -r * 1.5 + 0.46,
                    str(top.neighbors[i, a]),
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if special else "black",
                )
        table.text(
            -0.3,
            -r * 1.5 + 0.46,
            f"atom {i}",
            ha="right",
            va="center",
            fontsize=9,
            weight="bold" if r == 0 else None,
        )
    if len(rows) > 1:
        a, b = (rank[atom, seen] + 0.46, 0), (rank[other, back] + 0.46, -1.5 + 0.92)
        table.add_patch(
            FancyArrowPatch(
                a,
                b,
                arrowstyle="<|-|>",
                mutation_scale=10,
                color=BLACK,
                lw=1.3,
                zorder=5,
                connectionstyle="arc3,rad=-0.3" if abs(a[0] - b[0]) > 0.5 else "arc3",
            )
        )
    table.set(xlim=(-2.9, max(K, 10) + 0.2), ylim=(-len(rows) * 1.5 - 0.6, 2.2))
    table.text(0, 1.35, f"{K} slots per atom, nearest neighbour first", fontsize=10)
    table.text(
        0,
        -len(rows) * 1.5 + 0.6,
        "framed: one bond, kept at both of its ends.\nA message leaves one slot and arrives at the other.",
        fontsize=9,
        va="top",
        color="#56606b",
    )
    table.set_axis_off()
    return figure


def _shells(distances, width=0.3):
    """Mean distance of each group of neighbours; groups are apart by more than `width` Å."""
    d = np.sort(distances)
    return [part.mean() for part in np.split(d, np.flatnonzero(np.diff(d) > width) + 1)]


def _shell_of(distance, shells):
    return int(np.argmin([abs(distance - s) for s in shells]))


def _turn(about_y, about_x):
    a, b = np.deg2rad(about_y), np.deg2rad(about_x)
    y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return x @ y


def picture_bases(config):
    """What the network knows of a distance, of an angle, and of both together.

    Left: radial Bessel functions e_n with their envelope; middle: Legendre polynomials P_l of the angle; right: one
    product R_ln(d) P_l(cosθ) around an atom.
    """
    c = config
    figure = Picture(11, 3.6)
    radial, angular, both = figure.subplots(1, 3, width_ratios=(1, 1, 0.95))
    d = np.linspace(1.0, 1.06 * c.cutoff, 400, dtype=np.float32)
    inside = np.minimum(d / c.cutoff, 1)
    e = np.asarray(
        bessel.radial_bessel(
            inside,
            np.pi * np.arange(1, c.n_radial + 1, dtype=np.float32),
            c.cutoff,
            c.envelope_power,
        )
    )
    for n in range(c.n_radial):
        radial.plot(d, e[:, n], color=PALETTE[n % 8], lw=1.4, label=f"n = {n + 1}")
    u = np.asarray(bessel.envelope(inside, c.envelope_power)) * (d < c.cutoff)
    radial.plot(d, u, color=GREY, ls="--", lw=1.6, label="envelope u")
    radial.axvline(c.cutoff, color=GREY, lw=1, ls=":")
    radial.annotate(
        "cutoff",
        (c.cutoff, 0),
        (c.cutoff - 0.04, 0.98),
        textcoords=("data", "axes fraction"),
        ha="right",
        va="top",
        fontsize=9,
        color="#56606b",
        rotation=90,
    )
    radial.set(
        xlabel="distance d (Å)",
        ylabel="radial Bessel $e_n$ (Å$^{-3/2}$), u (no unit)",
        title="distance",
    )
    radial.set_ylim(-1.45, 1.1)
    radial.legend(fontsize=8, frameon=False, ncol=2, loc="lower center", bbox_to_anchor=(0.5, 0.0))

    angle = np.linspace(0, np.pi, 181)
    for l, p in enumerate(bessel.legendre(np.cos(angle), c.n_spherical)):
        angular.plot(
            np.rad2deg(angle), np.asarray(p), color=PALETTE[l % 8], lw=1.4, label=f"l = {l}"
        )
    angular.axvline(109.47, color=GREY, lw=1, ls=":")
    angular.text(111, 0.75, "109.5°:\ndiamond", fontsize=8, color="#56606b")
    angular.set_ylim(-1.6, 1.1)
    angular.set(
        xlabel="angle θ between two bonds (°)",
        ylabel="Legendre $P_l$(cos θ) (no unit)",
        title="angle",
        xticks=range(0, 181, 45),
    )
    angular.legend(fontsize=8, frameon=False, ncol=2, loc="lower center")

    l, n = min(2, c.n_spherical - 1), min(1, c.n_radial - 1)
    axis = np.linspace(-c.cutoff, c.cutoff, 241, dtype=np.float32)
    X, Y = np.meshgrid(axis, axis)
    r = np.maximum(np.hypot(X, Y), 0.25)
    R = np.asarray(
        bessel.spherical_bessel(
            np.minimum(r / c.cutoff, 1), c.n_spherical, c.n_radial, c.envelope_power
        )
    )
    value = R[..., l, n] * np.asarray(
        bessel.legendre(X / np.hypot(X, Y).clip(1e-9), c.n_spherical)[l]
    )
    value = np.where(r < c.cutoff, value, np.nan)
    most = np.nanmax(np.abs(value))
    image = both.imshow(
        value, extent=[-c.cutoff, c.cutoff] * 2, origin="lower", cmap="PuOr", vmin=-most, vmax=most
    )
    figure.colorbar(
        image, ax=both, shrink=0.85, label=f"$R_{{{l}{n + 1}}}(d)\\,P_{l}$(cos θ) (no unit)"
    )
    both.annotate("", (2.35, 0), (0, 0), arrowprops=dict(arrowstyle="-|>", color=BLACK))
    both.set(xlabel="x (Å)", ylabel="y (Å)", title=f"both: l = {l}, n = {n + 1}")
    for ax in (radial, angular):
        quiet(ax)
    return figure


def picture_network(potential):
    """The blocks of a Potential from its messages to the energy, each with its number of weights."""
    sizes = _sizes(potential.params)
    blocks = potential.config.n_blocks
    total = sum(sizes.values())
    figure = Picture(max(8.0, 2.4 * (blocks + 1) + 2.6), 3.5)
    ax = figure.subplots()
    step, width, height = 3.0, 2.2, 1.0

    def box(x, y, title, note, colour):
        ax.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - height / 2),
                width,
                height,
                boxstyle="round,pad=0.02,rounding_size=0.12",
                facecolor=colour + "33",
                edgecolor=colour,
                lw=1.6,
            )
        )
        ax.text(x, y + 0.17, title, ha="center", va="center", fontsize=10.5)
        ax.text(x, y - 0.22, note, ha="center", va="center", fontsize=8.5, color="#404850")

    def arrow(a, b, label="", **kwargs):
        ax.add_patch(
            FancyArrowPatch(
                a, b, arrowstyle="-|>", mutation_scale=13, color="#404850", lw=1.4, **kwargs
            )
        )
        if label:
            ax.text(
                (a[0] + b[0]) / 2,
                (a[1] + b[1]) / 2 + 0.12,
                label,
                ha="center",
                va="bottom",
                fontsize=9,
            )

    weights = lambda name: f"{sizes.get(name, 0):,} weights".replace(",", " ")
    top, low, base = 3.0, 1.2, -0.35
    for n in range(blocks + 1):
        x, name = n * step, f"interaction_{n}" if n else "embedding"
        box(x, top, name, weights(name), BLUE if n else GREEN)
        box(x, low, f"output_{n}", weights(f"output_{n}"), ORANGE)
        arrow((x, top - height / 2), (x, low + height / 2))
        ax.plot([x, x], [low - height / 2, base], color="#404850", lw=1.4)
        if n < blocks:
            arrow((x + width / 2, top), (x + step - width / 2, top), "$m_{ji}$")
    last = blocks * step
    ax.plot([0, last], [base, base], color="#404850", lw=1.4)
    arrow((last, base), (last + 0.9, base))
    ax.text(last + 1.0, base, r"$E = \sum_i \epsilon_i$", fontsize=13, va="center")
    ax.text(last + 1.0, base - 0.42, "energy in eV", fontsize=9, va="center", color="#404850")
    for n in range(blocks + 1):
        ax.text(n * step + (0.12 if n else 0.12), base + 0.1, "+" if n else "", fontsize=11)
    shared = sizes.get("frequencies", 0)
    ax.text(
        last + width / 2 + 0.25,
        top,
        f"{total:,} weights in all,\n{shared} of them frequencies\nof the radial functions".replace(
            ",", " ", 1
        ),
        fontsize=9,
        va="center",
        color="#404850",
    )
    ax.text(-width / 2, top + 0.85, "distance and elements of a bond", fontsize=9, color=GREEN)
    if blocks:
        ax.text(
            step - width / 2,
            top + 0.85,
            "each block: distances and angles, one cutoff farther",
            fontsize=9,
            color=BLUE,
        )
    ax.set(xlim=(-1.3, last + 3.6), ylim=(base - 0.75, top + 1.2))
    ax.set_axis_off()
    return figure


def _sizes(params):
    """Number of weights of each block: embedding, interaction_1 ..., output_0 ..., frequencies."""
    sizes = {}
    for module, weights in params.items():
        parts = module.split("/")
        for name, w in weights.items():
            block = parts[1] if len(parts) > 1 else name
            sizes[block] = sizes.get(block, 0) + int(np.size(w))
    return sizes


# -- silicon and germanium ------------------------------------------------------------------------------------------------
