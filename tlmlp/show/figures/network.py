"""Figures: matplotlib, with units on every axis and colours that colour-blind readers can tell apart.

Every function returns a Figure that shows itself as the last line of a cell, and has `.savefig`.
"""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from .. import bessel, graph as graphs

# Okabe & Ito (2008): told apart with every kind of colour vision.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, YELLOW)
MARKERS = "os^Dv<>P"
GREY = "#8a929b"
ELEMENT_COLOURS = {"Si": ORANGE, "Ge": BLUE}


class Picture(Figure):
    """A matplotlib Figure that a notebook shows by itself, without pyplot: safe in any thread."""

    def __init__(self, width, height):
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        FigureCanvasAgg(self)

    def png(self, dpi=200):
        """The picture as the bytes of a PNG file."""
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=dpi)
        return out.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        width, height = (round(100 * x) for x in self.get_size_inches())
        return {"image/png": self.png()}, {"image/png": {"width": width, "height": height}}

    def __repr__(self):
        return f"<figure, {len(self.axes)} axes>"


NOTHING = "no precomputed runs of this kind yet"


def nothing(words=NOTHING, size=(5.0, 0.8)):
    """A Picture without axes that says why there is nothing to draw."""
    figure = Picture(*size)
    figure.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def _quiet(ax):
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#e4e7ea", linewidth=0.7)
    ax.set_axisbelow(True)


# -- learning ---------------------------------------------------------------------------------------------------------


def learning_curve(history, size=(7.2, 3.0)):
    """Force errors in meV/Å against the step, from a list of Progress; axes without curves where it is empty."""
    figure = Picture(*size)
    ax = figure.subplots()
    _quiet(ax)
    steps, training, over = _running(history)
    valid = [(p.step, p.valid) for p in history if p.valid is not None]
    if history:
        ax.plot(steps, training, color=SKY, lw=1.6, label=f"training, MAE over {over} steps")
    if valid:
        at = [s for s, _ in valid]
        ax.plot(at, [v.force_mae for _, v in valid], "o-", color=BLUE, ms=4, lw=1.6, label="validation, MAE")
        ax.plot(at, [v.force_rmse for _, v in valid], "s--", color=RED, ms=4, lw=1.4, label="validation, RMSE")
    ax.set_yscale("log")
    low, high = 30, 1000
    if history:
        values = [*training] + [v.force_rmse for _, v in valid] + [v.force_mae for _, v in valid]
        low, high = min(low, 0.8 * min(values)), max(300, 1.2 * max(values))
    ax.set_ylim(max(low, 1e-2), high)
    ax.set_xlim(0, history[-1].steps if history else 1)
    ticks = [t * 10.0**e for e in range(-2, 6) for t in (1, 2, 5) if low <= t * 10.0**e <= high]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel("training step")
    ax.set_ylabel("force error (meV/Å)")
    if history:
        ax.legend(loc="upper right", frameon=False, fontsize=9)
    else:
        ax.set_xticks([])
        ax.text(0.5, 0.5, "no step yet", transform=ax.transAxes, ha="center", color=GREY)
    return figure


def _running(history, points=25):
    """(steps, force MAE, how many steps each is a mean of): a running mean, `points` of which make a whole training.

    One report is of a few structures only, some calm and some wild; alone they would fill the picture with their noise.
    """
    if not history:
        return [], [], 0
    step = np.array([p.step for p in history])
    mae = np.array([p.force_mae for p in history])
    weight = np.diff(step, prepend=0)  # steps that a report is a mean of
    over = max(int(weight.max()), history[-1].steps // points)
    total, count = np.cumsum(weight * mae), np.cumsum(weight)
    first = np.searchsorted(step, np.maximum(step - over, 0), side="right")  # the first report of each window
    before = lambda sums: np.where(first > 0, sums[np.maximum(first - 1, 0)], 0)
    return list(step), list((total - before(total)) / (count - before(count))), over


def parity(frames, predicted, by="group", shift=False):
    """Predicted against true energies (eV/atom) and force components (eV/Å), with errors.

    frames: list of ase.Atoms that carry the truth; predicted: the same structures carrying predictions (Potential.predict),
    a Potential, or a dict from a name to either, one column each; by: the entry of atoms.info that gives the colour;
    shift: move predicted energies by a constant per atom, so that they agree on average: for two methods whose energies have
    different zeros.
    """
    columns = predicted if isinstance(predicted, dict) else {"": predicted}
    columns = {name: p.predict(frames) if hasattr(p, "predict") else list(p) for name, p in columns.items()}
    for name, p in columns.items():
        if len(p) != len(frames):
            raise ValueError(f"there are {len(frames)} frames but {len(p)} predictions{' of ' + name if name else ''}")
    groups = [str(atoms.info.get(by, "all")) for atoms in frames]
    names = sorted(set(groups))
    n = len(columns)
    figure = Picture(4.2 * n, 3.5) if n == 1 else Picture(3.9 * n, 6.6)
    if n == 1:
        figure.set_size_inches(8.4, 3.7)
        axes = np.array(figure.subplots(1, 2)).reshape(2, 1)
    else:
        axes = np.array(figure.subplots(2, n, sharex="row", sharey="row")).reshape(2, n)

    energy = lambda atoms: np.array([atoms.get_potential_energy() / len(atoms)])
    force = lambda atoms: atoms.get_forces(apply_constraint=False).ravel()
    rows = ((energy, "energy", "eV/atom", "meV/atom", 26), (force, "force component", "eV/Å", "meV/Å", 7))
    for column, (name, p) in enumerate(columns.items()):
        for row, (get, what, unit, small, area) in enumerate(rows):
            ax = axes[row, column]
            truth, guess = [get(a) for a in frames], [get(a) for a in p]
            if row == 0 and shift:
                constant = np.mean(np.concatenate(truth) - np.concatenate(guess))
                guess = [e + constant for e in guess]
            error = 1e3 * (np.concatenate(guess) - np.concatenate(truth))
            both = np.concatenate(truth + guess)
            margin = 0.05 * (np.ptp(both) or 1)
            ends = [both.min() - margin, both.max() + margin]
            ax.plot(ends, ends, color=GREY, lw=1, zorder=1)
            for g, group in enumerate(names):
                x, y = (np.concatenate([v for v, own in zip(values, groups) if own == group]) for values in (truth, guess))
                ax.scatter(
                    x, y, s=area, color=PALETTE[g % 8], marker=MARKERS[g % 8], linewidths=0, alpha=0.75, rasterized=True,
                    label=group if len(names) > 1 else None, zorder=2,
                )  # fmt: skip
            words = f"MAE {np.abs(error).mean():.1f}, RMSE {np.sqrt(np.mean(error**2)):.1f} {small}"
            ax.set_title(f"{name}\n{words}" if name and row == 0 else words, fontsize=9.5)
            if len(names) > 1:
                ax.legend(loc="upper left", frameon=False, fontsize=8, handletextpad=0.2, borderpad=0.1)
            _quiet(ax)
            ax.locator_params(nbins=5)  # four digits a tick: more of them run into each other
            ax.set_xlabel(f"true {what} ({unit})")
            if column == 0:
                ax.set_ylabel(f"predicted {what}{', shifted' if shift and row == 0 else ''} ({unit})")
    return figure


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
    order = np.argsort(np.where(top.mask, distances, np.inf), axis=1, kind="stable")  # nearest first, for the eye
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
            (x, y), (0, 0), arrowstyle="-|>", mutation_scale=11, shrinkA=9, shrinkB=13, lw=2.4 if a == seen else 1,
            color=colour, alpha=1 if a == seen else 0.55, zorder=2,
        )  # fmt: skip
        ax.add_patch(arrow)
        ax.add_patch(Circle((x, y), 0.30, facecolor=colour, edgecolor="white", lw=1, zorder=3))
        ax.text(x, y, str(top.neighbors[atom, a]), ha="center", va="center", color="white", fontsize=7.5, zorder=4)
    ax.add_patch(Circle((0, 0), 0.38, facecolor=BLACK, edgecolor="white", lw=1, zorder=5))
    ax.text(0, 0, str(atom), ha="center", va="center", color="white", fontsize=9, zorder=6)
    ax.add_patch(Circle((0, 0), cutoff, fill=False, ls="--", color=GREY, lw=1))
    ax.text(0, -cutoff * 1.03, f"cutoff {cutoff:g} Å", ha="center", va="top", color="#56606b", fontsize=9)
    for s, shell in enumerate(shells):
        count = sum(_shell_of(distances[atom, a], shells) == s for a in own)
        label = f"{count} near {shell:.2f} Å"
        ax.plot([], [], "o", color=PALETTE[s % 8], label=label)
    ax.legend(loc="upper center", frameon=False, fontsize=8.5, ncol=len(shells), handletextpad=0.1, columnspacing=0.8)
    ax.set(xlim=(-1.3 * cutoff, 1.3 * cutoff), ylim=(-1.2 * cutoff, 1.35 * cutoff), aspect="equal")
    ax.set_xlabel("x (Å)")
    ax.set_ylabel("y (Å)")
    _quiet(ax)

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
                Rectangle((column, -r * 1.5), 0.92, 0.92, facecolor=colour, alpha=1 if special else 0.45, edgecolor=BLACK if special else "none", lw=2)
            )
            if filled:
                table.text(column + 0.46, -r * 1.5 + 0.46, str(top.neighbors[i, a]), ha="center", va="center", fontsize=7.5,
                           color="white" if special else "black")  # fmt: skip
        table.text(-0.3, -r * 1.5 + 0.46, f"atom {i}", ha="right", va="center", fontsize=9, weight="bold" if r == 0 else None)
    if len(rows) > 1:
        a, b = (rank[atom, seen] + 0.46, 0), (rank[other, back] + 0.46, -1.5 + 0.92)
        table.add_patch(FancyArrowPatch(a, b, arrowstyle="<|-|>", mutation_scale=10, color=BLACK, lw=1.3, zorder=5,
                                        connectionstyle="arc3,rad=-0.3" if abs(a[0] - b[0]) > 0.5 else "arc3"))  # fmt: skip
    table.set(xlim=(-2.9, max(K, 10) + 0.2), ylim=(-len(rows) * 1.5 - 0.6, 2.2))
    table.text(0, 1.35, f"{K} slots per atom, nearest neighbour first", fontsize=10)
    table.text(0, -len(rows) * 1.5 + 0.6, "framed: one bond, kept at both of its ends.\nA message leaves one slot and arrives at the other.",
               fontsize=9, va="top", color="#56606b")  # fmt: skip
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
    e = np.asarray(bessel.radial_bessel(inside, np.pi * np.arange(1, c.n_radial + 1, dtype=np.float32), c.cutoff, c.envelope_power))
    for n in range(c.n_radial):
        radial.plot(d, e[:, n], color=PALETTE[n % 8], lw=1.4, label=f"n = {n + 1}")
    u = np.asarray(bessel.envelope(inside, c.envelope_power)) * (d < c.cutoff)
    radial.plot(d, u, color=GREY, ls="--", lw=1.6, label="envelope u")
    radial.axvline(c.cutoff, color=GREY, lw=1, ls=":")
    radial.annotate("cutoff", (c.cutoff, 0), (c.cutoff - 0.04, 0.98), textcoords=("data", "axes fraction"), ha="right",
                    va="top", fontsize=9, color="#56606b", rotation=90)  # fmt: skip
    radial.set(xlabel="distance d (Å)", ylabel="radial Bessel $e_n$ (Å$^{-3/2}$), u (no unit)", title="distance")
    radial.set_ylim(-1.45, 1.1)
    radial.legend(fontsize=8, frameon=False, ncol=2, loc="lower center", bbox_to_anchor=(0.5, 0.0))

    angle = np.linspace(0, np.pi, 181)
    for l, p in enumerate(bessel.legendre(np.cos(angle), c.n_spherical)):
        angular.plot(np.rad2deg(angle), np.asarray(p), color=PALETTE[l % 8], lw=1.4, label=f"l = {l}")
    angular.axvline(109.47, color=GREY, lw=1, ls=":")
    angular.text(111, 0.75, "109.5°:\ndiamond", fontsize=8, color="#56606b")
    angular.set_ylim(-1.6, 1.1)
    angular.set(xlabel="angle θ between two bonds (°)", ylabel="Legendre $P_l$(cos θ) (no unit)", title="angle", xticks=range(0, 181, 45))
    angular.legend(fontsize=8, frameon=False, ncol=2, loc="lower center")

    l, n = min(2, c.n_spherical - 1), min(1, c.n_radial - 1)
    axis = np.linspace(-c.cutoff, c.cutoff, 241, dtype=np.float32)
    X, Y = np.meshgrid(axis, axis)
    r = np.maximum(np.hypot(X, Y), 0.25)
    R = np.asarray(bessel.spherical_bessel(np.minimum(r / c.cutoff, 1), c.n_spherical, c.n_radial, c.envelope_power))
    value = R[..., l, n] * np.asarray(bessel.legendre(X / np.hypot(X, Y).clip(1e-9), c.n_spherical)[l])
    value = np.where(r < c.cutoff, value, np.nan)
    most = np.nanmax(np.abs(value))
    image = both.imshow(value, extent=[-c.cutoff, c.cutoff] * 2, origin="lower", cmap="PuOr", vmin=-most, vmax=most)
    figure.colorbar(image, ax=both, shrink=0.85, label=f"$R_{{{l}{n + 1}}}(d)\\,P_{l}$(cos θ) (no unit)")
    both.annotate("", (2.35, 0), (0, 0), arrowprops=dict(arrowstyle="-|>", color=BLACK))
    both.set(xlabel="x (Å)", ylabel="y (Å)", title=f"both: l = {l}, n = {n + 1}")
    for ax in (radial, angular):
        _quiet(ax)
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
        ax.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0.02,rounding_size=0.12",
                                    facecolor=colour + "33", edgecolor=colour, lw=1.6))  # fmt: skip
        ax.text(x, y + 0.17, title, ha="center", va="center", fontsize=10.5)
        ax.text(x, y - 0.22, note, ha="center", va="center", fontsize=8.5, color="#404850")

    def arrow(a, b, label="", **kwargs):
        ax.add_patch(FancyArrowPatch(a, b, arrowstyle="-|>", mutation_scale=13, color="#404850", lw=1.4, **kwargs))
        if label:
            ax.text((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 0.12, label, ha="center", va="bottom", fontsize=9)

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
    ax.text(last + width / 2 + 0.25, top, f"{total:,} weights in all,\n{shared} of them frequencies\nof the radial functions".replace(",", " ", 1),
            fontsize=9, va="center", color="#404850")  # fmt: skip
    ax.text(-width / 2, top + 0.85, "distance and elements of a bond", fontsize=9, color=GREEN)
    if blocks:
        ax.text(step - width / 2, top + 0.85, "each block: distances and angles, one cutoff farther", fontsize=9, color=BLUE)
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


def likeness(silicon, germanium, cutoff=1.25):
    """How alike two crystals are: distances in Å, distances in lattice constants, and the angles between bonds.

    silicon, germanium: (list of ase.Atoms, lattice constant in Å) of each, crystals; cutoff: how far distances are counted, in
    lattice constants. Bonds reach to 0.54 of them, halfway between first and second neighbours.
    """
    figure = Picture(10.6, 3.2)
    far, scaled, angles = figure.subplots(1, 3)
    for name, (frames, a) in dict(Si=silicon, Ge=germanium).items():
        lengths, bends = [], []
        for atoms in frames:
            top = graphs.topology(atoms, cutoff * a)
            vectors = top.vectors(atoms.positions)
            d = np.where(top.mask, np.linalg.norm(vectors, axis=-1), np.inf)
            lengths.append(d[top.mask])
            for i in range(len(atoms)):
                u = vectors[i, d[i] < 0.54 * a] / d[i, d[i] < 0.54 * a][:, None]
                bends.append(np.rad2deg(np.arccos(np.clip((u @ u.T)[np.triu_indices(len(u), 1)], -1, 1))))
        lengths, bends = np.concatenate(lengths), np.concatenate(bends)
        look = dict(color=ELEMENT_COLOURS[name], lw=1.8, ls="-" if name == "Si" else "--", label=f"{name}, a = {a:.2f} Å")
        for ax, values, unit in ((far, lengths, 1.0), (scaled, lengths / a, 1 / a)):
            edges = np.linspace(0.35 * a, 0.95 * cutoff * a, 120) * unit
            count = np.histogram(values, edges)[0] / np.diff(edges) / sum(map(len, frames))
            ax.plot((edges[1:] + edges[:-1]) / 2, count, **look)
            ax.set_ylim(0, max(1.25 * count.max(), ax.get_ylim()[1]))  # room for the legend
        edges = np.linspace(70, 150, 61)
        share = np.histogram(bends, edges, density=True)[0]
        width = np.sqrt(np.mean((bends - 109.47) ** 2))
        angles.plot((edges[1:] + edges[:-1]) / 2, share, **look | dict(label=f"{name}, width {width:.1f}°"))
    far.set(xlabel="distance of two atoms (Å)", ylabel="neighbours per atom (1/Å)")
    scaled.set(xlabel="distance (lattice constants a)", ylabel="neighbours per atom (1/a)")
    angles.set(xlabel="angle between two bonds (°)", ylabel="share of all angles (1/°)")
    for ax in (far, scaled, angles):
        _quiet(ax)
        ax.legend(frameon=False, fontsize=8.5)
    return figure
