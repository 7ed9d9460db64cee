"""Figures of learning: errors against steps and against data, and predictions against labels."""

import numpy as np

from ... import graph as graphs
from .picture import Picture, quiet
from .style import BLUE, ELEMENT_COLOURS, GREY, MARKERS, PALETTE, RED, SKY, STYLE


def learning_curve(history, size=(7.2, 3.0)):
    """Force errors in meV/Å against the step, from a list of Progress; axes without curves where it is empty."""
    figure = Picture(*size)
    ax = figure.subplots()
    quiet(ax)
    steps, training, over = _running(history)
    valid = [(p.step, p.valid) for p in history if p.valid is not None]
    if history:
        ax.plot(steps, training, color=SKY, lw=1.6, label=f"training, MAE over {over} steps")
    if valid:
        at = [s for s, _ in valid]
        ax.plot(
            at,
            [v.force_mae for _, v in valid],
            "o-",
            color=BLUE,
            ms=4,
            lw=1.6,
            label="validation, MAE",
        )
        ax.plot(
            at,
            [v.force_rmse for _, v in valid],
            "s--",
            color=RED,
            ms=4,
            lw=1.4,
            label="validation, RMSE",
        )
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
    first = np.searchsorted(
        step, np.maximum(step - over, 0), side="right"
    )  # the first report of each window
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
    columns = {
        name: p.predict(frames) if hasattr(p, "predict") else list(p) for name, p in columns.items()
    }
    for name, p in columns.items():
        if len(p) != len(frames):
            raise ValueError(
                f"there are {len(frames)} frames but {len(p)} predictions{' of ' + name if name else ''}"
            )
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
    rows = (
        (energy, "energy", "eV/atom", "meV/atom", 26),
        (force, "force component", "eV/Å", "meV/Å", 7),
    )
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
                x, y = (
                    np.concatenate([v for v, own in zip(values, groups) if own == group])
                    for values in (truth, guess)
                )
                ax.scatter(
                    x,
                    y,
                    s=area,
                    color=PALETTE[g % 8],
                    marker=MARKERS[g % 8],
                    linewidths=0,
                    alpha=0.75,
                    rasterized=True,
                    label=group if len(names) > 1 else None,
                    zorder=2,
                )
            words = f"MAE {np.abs(error).mean():.1f}, RMSE {np.sqrt(np.mean(error**2)):.1f} {small}"
            ax.set_title(f"{name}\n{words}" if name and row == 0 else words, fontsize=9.5)
            if len(names) > 1:
                ax.legend(
                    loc="upper left", frameon=False, fontsize=8, handletextpad=0.2, borderpad=0.1
                )
            quiet(ax)
            ax.locator_params(nbins=5)  # four digits a tick: more of them run into each other
            ax.set_xlabel(f"true {what} ({unit})")
            if column == 0:
                ax.set_ylabel(
                    f"predicted {what}{', shifted' if shift and row == 0 else ''} ({unit})"
                )
    return figure


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
                bends.append(
                    np.rad2deg(np.arccos(np.clip((u @ u.T)[np.triu_indices(len(u), 1)], -1, 1)))
                )
        lengths, bends = np.concatenate(lengths), np.concatenate(bends)
        look = dict(
            color=ELEMENT_COLOURS[name],
            lw=1.8,
            ls="-" if name == "Si" else "--",
            label=f"{name}, a = {a:.2f} Å",
        )
        for ax, values, unit in ((far, lengths, 1.0), (scaled, lengths / a, 1 / a)):
            edges = np.linspace(0.35 * a, 0.95 * cutoff * a, 120) * unit
            count = np.histogram(values, edges)[0] / np.diff(edges) / sum(map(len, frames))
            ax.plot((edges[1:] + edges[:-1]) / 2, count, **look)
            ax.set_ylim(0, max(1.25 * count.max(), ax.get_ylim()[1]))  # room for the legend
        edges = np.linspace(70, 150, 61)
        share = np.histogram(bends, edges, density=True)[0]
        width = np.sqrt(np.mean((bends - 109.47) ** 2))
        angles.plot(
            (edges[1:] + edges[:-1]) / 2, share, **look | dict(label=f"{name}, width {width:.1f}°")
        )
    far.set(xlabel="distance of two atoms (Å)", ylabel="neighbours per atom (1/Å)")
    scaled.set(xlabel="distance (lattice constants a)", ylabel="neighbours per atom (1/a)")
    angles.set(xlabel="angle between two bonds (°)", ylabel="share of all angles (1/°)")
    for ax in (far, scaled, angles):
        quiet(ax)
        ax.legend(frameon=False, fontsize=8.5)
    return figure


AXIS = "test force MAE (meV/Å)"


def race(current=(), earlier=(), precomputed=(), stale="", empty="", steps=None, size=(5.6, 2.9)):
    """Force errors on held-out germanium against the training step.

    current: rows of the newest run, thick; earlier: a list of lists of rows, thin; precomputed: rows that others computed,
    dotted; stale: words that mark the newest run as one of other settings; empty: words where there is nothing to draw;
    steps: where the axis ends at least.
    """
    figure = Picture(*size)
    ax = figure.subplots()
    quiet(ax)
    seen = []
    for rows in earlier:
        for method, group in by_method(rows):
            at, mean, _ = _over_seeds(group)
            ax.plot(at, mean, color=STYLE[method][0], lw=0.9, alpha=0.45, zorder=2)
            seen.append(mean)
    for method, group in by_method(precomputed):
        colour, _, words = STYLE[method]
        at, mean, spread = _over_seeds(group)
        ax.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.10, lw=0, zorder=1)
        label = f"precomputed {words}: {mean[-1]:.0f}" + (
            f" ± {spread[-1]:.0f}, {len(group)} seeds" if len(group) > 1 else ""
        )
        ax.plot(at, mean, ":", color=colour, lw=2, zorder=3, label=label)
        seen.append(mean)
    strength = 0.4 if stale else 1.0
    for method, group in by_method(current):
        colour, marker, words = STYLE[method]
        at, mean, spread = _over_seeds(group)
        if len(group) > 1:
            ax.fill_between(
                at,
                mean - spread,
                mean + spread,
                color=colour,
                alpha=0.18 * strength,
                lw=0,
                zorder=3,
            )
            for row in group:
                own = np.array(row["curve"], float)
                ax.plot(own[:, 0], own[:, 1], color=colour, lw=0.8, alpha=0.6 * strength, zorder=3)
        complete = sum(row["curve"][-1][0] >= row["steps"] for row in group)
        label = f"{words}: {mean[-1]:.0f}" + (
            f" ± {spread[-1]:.0f}, {max(complete, 1)} seeds"
            if len(group) > 1 and complete > 1
            else ""
        )
        ax.plot(
            at,
            mean,
            color=colour,
            marker=marker,
            ms=4.5,
            lw=2.2,
            alpha=strength,
            zorder=4,
            label=label,
        )
        seen.append(mean)
    values = np.concatenate(seen) if seen else np.array([50.0, 500.0])
    low, high = 0.85 * values.min(), 1.25 * values.max()
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    plain_ticks(ax, low, high)
    ends = [row["steps"] for row in [*current, *precomputed, *sum(map(list, earlier), [])]] + [
        steps or 1
    ]
    ax.set_xlim(-0.01 * max(ends), 1.01 * max(ends))
    ax.set_xlabel("training step")
    ax.set_ylabel(AXIS)
    if seen and (current or precomputed):
        ax.legend(loc="upper right", frameon=False, fontsize=9)
    elif empty:
        ax.text(
            0.5,
            0.5,
            empty,
            transform=ax.transAxes,
            ha="center",
            va="center",
            color=GREY,
            fontsize=10,
        )
    if stale:
        ax.set_title(stale, loc="left", fontsize=9.5, color="#B35900")
    return figure


def by_method(rows):
    """[(method, its rows)], scratch last, so that it lies on top where lines meet."""
    return [
        (m, [r for r in rows if r["method"] == m])
        for m in ("transfer", "reduced", "scratch")
        if any(r["method"] == m for r in rows)
    ]


def _over_seeds(rows):
    """(steps, mean, standard deviation) of force MAE over rows, at the steps that all complete ones have.

    A training under way is drawn by itself; it joins the mean when it is complete.
    """
    complete = [r for r in rows if r["curve"][-1][0] >= r["steps"]] or rows[:1]
    common = set.intersection(*({point[0] for point in row["curve"]} for row in complete))
    curves = np.array([[p[1] for p in row["curve"] if p[0] in common] for row in complete], float)
    spread = curves.std(0, ddof=1) if len(curves) > 1 else np.zeros(curves.shape[1])
    return np.array(sorted(common)), curves.mean(0), spread


def plain_ticks(ax, low, high):
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [d * 10.0**e for e in range(-2, 6) for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) >= 4:
            break
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
