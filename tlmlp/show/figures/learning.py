"""Figures of learning: errors against steps, predictions against labels, and how alike two crystals are."""

import numpy as np

from ...graph import pairs
from .picture import SMALL, log_axis, panels
from .style import BLUE, ELEMENT_COLOURS, GREY, MARKERS, METHODS, PALETTE, RED, SKY

AXIS = "test force MAE (meV/Å)"


# -- one training ------------------------------------------------------------------------------------------------------


def learning_curve(history, size=(7.2, 3.0)):
    """Force errors in meV/Å against the step, of a list of Progress; without lines where it is empty."""
    figure, ((ax,),) = panels(size)
    valid = [p for p in history if p.valid is not None]
    values = [36, 240]  # the least that the axis shows
    if history:
        steps, training, over = running_mean(history)
        ax.plot(steps, training, color=SKY, lw=1.6, label=f"training, MAE over {over} steps")
        values += training
    for key, colour, line in (("force_mae", BLUE, "o-"), ("force_rmse", RED, "s--")):
        errors = [getattr(p.valid, key) for p in valid]
        words = "validation, " + key.removeprefix("force_").upper()
        if valid:
            at = [p.step for p in valid]
            ax.plot(at, errors, line, color=colour, ms=4, lw=1.5, label=words)
        values += errors
    log_axis(ax, values)
    ax.set(xlabel="training step", ylabel="force error (meV/Å)")
    ax.set_xlim(0, history[-1].steps if history else 1)
    if history:
        ax.legend(loc="upper right", **SMALL)
    else:
        ax.set_xticks([])
        ax.text(0.5, 0.5, "no step yet", transform=ax.transAxes, ha="center", color=GREY)
    return figure


def running_mean(history, points=25):
    """(steps, force MAE, how many steps each is a mean of); `points` windows make a whole training.

    A report is of a few structures only. Alone, reports would fill the picture with their noise.
    """
    step = np.array([p.step for p in history])
    mae = np.array([p.force_mae for p in history])
    weight = np.diff(step, prepend=0)  # steps that a report is a mean of
    over = max(int(weight.max()), history[-1].steps // points)
    total, count = np.cumsum(weight * mae), np.cumsum(weight)
    # the first report of each window
    first = np.searchsorted(step, np.maximum(step - over, 0), side="right")
    before = lambda sums: np.where(first > 0, sums[np.maximum(first - 1, 0)], 0)
    return list(step), list((total - before(total)) / (count - before(count))), over


# -- predictions -------------------------------------------------------------------------------------------------------


def parity(frames, predicted, by="group", shift=False):
    """Predicted against reference energies (eV/atom) and force components (eV/Å), with errors.

    Args:
        frames: list of ase.Atoms that carry the reference.
        predicted: the same structures with predictions (Potential.predict), a Potential, or a dict
            from a name to either, one column each.
        by: the entry of atoms.info that gives the colour.
        shift: add a constant per atom to predicted energies, so that they agree on average. For
            two methods whose energies have different zeros.
    """
    columns = predicted if isinstance(predicted, dict) else {"": predicted}
    groups = [str(atoms.info.get(by, "all")) for atoms in frames]
    n = len(columns)
    if n == 1:
        figure, axes = panels((8.4, 3.7), 1, 2)
        axes = axes.T
    else:
        figure, axes = panels((3.9 * n, 6.6), 2, n, sharex="row", sharey="row")
    energy = lambda atoms: np.array([atoms.get_potential_energy() / len(atoms)])
    force = lambda atoms: atoms.get_forces(apply_constraint=False).ravel()
    for column, (name, own) in zip(axes.T, columns.items()):
        own = own.predict(frames) if hasattr(own, "predict") else list(own)
        if len(own) != len(frames):
            whose = f" of {name}" if name else ""
            raise ValueError(f"there are {len(frames)} frames but {len(own)} predictions{whose}")
        for ax, get, what, unit, area in (
            (column[0], energy, "energy", "eV/atom", 26),
            (column[1], force, "force component", "eV/Å", 7),
        ):
            reference, guess = [get(a) for a in frames], [get(a) for a in own]
            shifted = shift and get is energy
            if shifted:
                constant = np.mean(np.concatenate(reference) - np.concatenate(guess))
                guess = [e + constant for e in guess]
            words = _scatter(ax, reference, guess, groups, area) + f" m{unit}"
            ax.set_title(f"{name}\n{words}" if name and get is energy else words, fontsize=9.5)
            ax.set_xlabel(f"reference {what} ({unit})")
            if column is axes.T[0] or n == 1:
                ax.set_ylabel(f"predicted {what}{', shifted' * shifted} ({unit})")
    return figure


def _scatter(ax, reference, guess, groups, area):
    """Points of each group and the diagonal; the errors in words, in thousandths of the unit."""
    error = 1e3 * (np.concatenate(guess) - np.concatenate(reference))
    both = np.concatenate(reference + guess)
    margin = 0.05 * (np.ptp(both) or 1)
    ends = [both.min() - margin, both.max() + margin]
    ax.plot(ends, ends, color=GREY, lw=1, zorder=1)
    names = sorted(set(groups))
    for k, group in enumerate(names):
        x, y = (
            np.concatenate([v for v, own in zip(values, groups) if own == group])
            for values in (reference, guess)
        )
        look = dict(color=PALETTE[k % 8], marker=MARKERS[k % 8], alpha=0.75, linewidths=0)
        ax.scatter(x, y, s=area, rasterized=True, label=group, zorder=2, **look)
    if len(names) > 1:
        ax.legend(loc="upper left", handletextpad=0.2, borderpad=0.1, **SMALL)
    ax.locator_params(nbins=5)  # four digits a tick: more of them run into each other
    return f"MAE {np.abs(error).mean():.1f}, RMSE {np.sqrt(np.mean(error**2)):.1f}"


# -- two crystals ------------------------------------------------------------------------------------------------------


def likeness(silicon, germanium, cutoff=1.25):
    """How alike two crystals are: distances in Å and in lattice constants, and angles between bonds.

    Args:
        silicon: (list of ase.Atoms, lattice constant in Å), a crystal; germanium likewise.
        cutoff: up to where distances are counted, in lattice constants. Bonds reach to 0.54 of
            them, halfway between first and second neighbours.
    """
    figure, ((far, scaled, angles),) = panels((10.6, 3.2), 1, 3)
    for name, (frames, a), line in (("Si", silicon, "-"), ("Ge", germanium, "--")):
        found = [_lengths_and_angles(atoms, a, cutoff) for atoms in frames]
        lengths, bends = map(np.concatenate, zip(*found))
        look = dict(color=ELEMENT_COLOURS[name], lw=1.8, ls=line)
        for ax, values, unit in ((far, lengths, 1.0), (scaled, lengths / a, 1 / a)):
            edges = np.linspace(0.35 * a, 0.95 * cutoff * a, 120) * unit
            count = np.histogram(values, edges)[0] / np.diff(edges) / sum(map(len, frames))
            middles = (edges[1:] + edges[:-1]) / 2
            ax.plot(middles, count, label=f"{name}, a = {a:.2f} Å", **look)
            ax.set_ylim(0, max(1.25 * count.max(), ax.get_ylim()[1]))  # room for the legend
        density, edges = np.histogram(bends, np.linspace(70, 150, 61), density=True)
        width = np.sqrt(np.mean((bends - 109.47) ** 2))
        middles = (edges[1:] + edges[:-1]) / 2
        angles.plot(middles, density, label=f"{name}, width {width:.1f}°", **look)
    far.set(xlabel="distance of two atoms (Å)", ylabel="neighbours per atom (1/Å)")
    scaled.set(xlabel="distance (lattice constants a)", ylabel="neighbours per atom (1/a)")
    angles.set(xlabel="angle between two bonds (°)", ylabel="fraction of all angles (1/°)")
    for ax in (far, scaled, angles):
        ax.legend(frameon=False, fontsize=8.5)
    return figure


def _lengths_and_angles(atoms, a, cutoff):
    """Distances in Å of all pairs within `cutoff` lattice constants a, and all angles in degrees."""
    centre, vectors = pairs(atoms, cutoff * a, "iD")
    lengths = np.linalg.norm(vectors, axis=1)
    bends = []
    for i in range(len(atoms)):
        bonds = (centre == i) & (lengths < 0.54 * a)
        u = vectors[bonds] / lengths[bonds, None]
        bends.append((u @ u.T)[np.triu_indices(len(u), 1)])
    return lengths, np.rad2deg(np.arccos(np.clip(np.concatenate(bends), -1, 1)))


# -- transfer and scratch ----------------------------------------------------------------------------------------------


def race(current=(), earlier=(), precomputed=(), stale="", empty="", steps=None, size=(5.6, 2.9)):
    """Force errors on held-out germanium against the training step.

    Args:
        current: rows of the newest run, thick.
        earlier: list of lists of rows, thin.
        precomputed: rows that were computed before, dotted.
        stale: words that mark the newest run as one of other settings.
        empty: words where there is nothing to draw.
        steps: where the axis ends at least.
    """
    figure, ((ax,),) = panels(size)
    strength = 0.4 if stale else 1.0
    seen = []
    for rows in earlier:
        for method, group in by_method(rows):
            at, mean, *_ = over_seeds(group)
            ax.plot(at, mean, color=METHODS[method].colour, lw=0.9, alpha=0.45, zorder=2)
            seen += list(mean)
    for method, group in by_method(precomputed):
        look = dict(ls=":", lw=2, zorder=METHODS[method].zorder)
        seen += _mean_line(ax, method, group, "precomputed ", 0.10, **look)
    for method, group in by_method(current):
        colour, marker, z = METHODS[method][2:]
        for row in group if len(group) > 1 else ():
            own = np.array(row["curve"], float)
            ax.plot(own[:, 0], own[:, 1], color=colour, lw=0.8, alpha=0.6 * strength, zorder=3)
        look = dict(marker=marker, ms=4.5, lw=2.2, alpha=strength, zorder=1 + z)
        seen += _mean_line(ax, method, group, "", 0.18 * strength, **look)
    log_axis(ax, seen or [50.0, 500.0])
    every = [*current, *precomputed, *(row for rows in earlier for row in rows)]
    end = max([steps or 1, *(row["steps"] for row in every)])
    ax.set(xlim=(-0.01 * end, 1.01 * end), xlabel="training step", ylabel=AXIS)
    if seen and (current or precomputed):
        ax.legend(loc="upper right", **SMALL)
    elif empty:
        middle = dict(transform=ax.transAxes, ha="center", va="center")
        ax.text(0.5, 0.5, empty, color=GREY, fontsize=10, **middle)
    ax.set_title(stale, loc="left", fontsize=9.5, color="#B35900")
    return figure


def _mean_line(ax, method, rows, before, strength, **look):
    """The mean over seeds in a band of one standard deviation, its end in the legend; its values."""
    at, mean, spread, seeds = over_seeds(rows)
    colour = METHODS[method].colour
    label = f"{before}{METHODS[method].word}: {mean[-1]:.0f}"
    if seeds > 1:
        label += f" ± {spread[-1]:.0f}, {seeds} seeds"
        ax.fill_between(at, mean - spread, mean + spread, color=colour, alpha=strength, lw=0)
    ax.plot(at, mean, color=colour, label=label, **look)
    return list(mean)


def by_method(rows):
    """[(method, its rows)] of the methods that rows are of."""
    groups = [(method, [r for r in rows if r["method"] == method]) for method in METHODS]
    return [(method, group) for method, group in groups if group]


def over_seeds(rows):
    """(steps, mean, standard deviation, rows) of force MAE at the steps that all complete rows have.

    A training under way is drawn by itself. It joins the mean when it is complete.
    """
    complete = [r for r in rows if r["curve"][-1][0] >= r["steps"]] or rows[:1]
    common = set.intersection(*({point[0] for point in row["curve"]} for row in complete))
    curves = np.array([[p[1] for p in row["curve"] if p[0] in common] for row in complete], float)
    spread = curves.std(0, ddof=1) if len(curves) > 1 else np.zeros(curves.shape[1])
    return np.array(sorted(common)), curves.mean(0), spread, len(complete)
