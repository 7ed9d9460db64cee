"""Figures of learning: errors against steps, predictions against labels, two crystals compared."""

import numpy as np

from ...frames import label
from ...graph import pairs
from ...refusal import refuse
from .picture import SMALL, log_axis, panels
from .style import ELEMENT_COLOURS, INDIGO, MARKERS, METHODS, OLIVE, PALETTE, RED, TEXT, WINE

AXIS = "test force MAE (meV/Å)"


def learning_curve(history, size=(7.2, 3.0)):
    """Force errors in meV/Å against the step, of a list of Progress, which may be empty."""
    figure, ((ax,),) = panels(*size)
    values = [36, 240]  # the least that the axis shows
    valid = [p for p in history if p.valid is not None]
    if history:
        steps, training, over = running_mean(history)
        ax.plot(steps, training, color=OLIVE, lw=1.6, label=f"training, MAE over {over} steps")
        values += training
    else:
        ax.text(0.5, 0.5, "no step yet", transform=ax.transAxes, ha="center", color=TEXT)
    for key, colour, line in (("mae", INDIGO, "o-"), ("rmse", RED, "s--")) if valid else ():
        errors = [getattr(p.valid, f"force_{key}") for p in valid]
        look = dict(color=colour, ms=4, lw=1.5, label=f"validation, {key.upper()}")
        ax.plot([p.step for p in valid], errors, line, **look)
        values += errors
    log_axis(ax, values)
    end = history[-1].steps if history else 1
    ax.set(xlabel="training step", ylabel="force error (meV/Å)", xlim=(0, end))
    if history:
        ax.legend(**SMALL)
    return figure.describe("learning_curve", *() if history else ("There is no step yet.",))


def running_mean(history, points=25):
    """(steps, force MAE, how many steps each is a mean of): single reports are noisy."""
    step = np.array([p.step for p in history])
    weight = np.diff(step, prepend=0)  # steps that a report is a mean of
    over = max(int(weight.max()), history[-1].steps // points)  # steps of a window
    total, count = np.cumsum(weight * [p.force_mae for p in history]), np.cumsum(weight)
    first = np.searchsorted(step, np.maximum(step - over, 0), side="right")  # of each window
    before = lambda sums: np.where(first > 0, sums[np.maximum(first - 1, 0)], 0)
    return list(step), list((total - before(total)) / (count - before(count))), over


def parity(frames, predicted, by="group", shift=False):
    """Predicted against reference energies (eV/atom) and force components (eV/Å), with errors.

    frames carry the reference; predicted: a Potential, the same structures with predictions, or a
    dict from a name to either, one column each; by: the entry of atoms.info that gives the colour;
    shift: add a constant per atom to predicted energies, whose zero may be another.
    """
    predicted = predicted if isinstance(predicted, dict) else {"": predicted}
    kinds = [str(atoms.info.get(by, "all")) for atoms in frames]
    n = len(predicted)
    many = dict(rows=2, columns=n, sharex="row", sharey="row")
    figure, axes = panels(min(3.9 * n, 9.1), 6.3, **many) if n > 1 else panels(8.4, 3.7, 1, 2)
    axes, said = axes.reshape(2, n), []
    energy = lambda atoms: np.array([label(atoms, "energy") / len(atoms)])
    force = lambda atoms: label(atoms, "forces").ravel()
    for (top, bottom), (name, own) in zip(axes.T, predicted.items()):
        own = own.predict(frames) if hasattr(own, "predict") else list(own)
        words = f"there are {len(frames)} frames but {len(own)} predictions"
        refuse(len(own) != len(frames), words + f" of {name}" * bool(name))
        known, guess = ([energy(atoms) for atoms in part] for part in (frames, own))
        constant = shift * np.mean(np.concatenate(known) - np.concatenate(guess))
        words = _scatter(top, known, [e + constant for e in guess], kinds, 26) + " meV/atom"
        top.set_title(f"{name}\n" * bool(name) + words, fontsize=9.5)
        known, guess = ([force(atoms) for atoms in part] for part in (frames, own))
        bottom.set_title(_scatter(bottom, known, guess, kinds, 7) + " meV/Å", fontsize=9.5)
        top.set_xlabel("reference energy (eV/atom)")
        bottom.set_xlabel("reference force component (eV/Å)")
        words = (ax.get_title().removeprefix(f"{name}\n") for ax in (top, bottom))
        said.append((f"{name}: " if name else "") + "energy {}; forces {}.".format(*words))
    axes[0, 0].set_ylabel(f"predicted energy{', shifted' * shift} (eV/atom)")
    axes[1, 0].set_ylabel("predicted force component (eV/Å)")
    constant = "A constant per atom was added to predicted energies, so that the means agree."
    return figure.describe("parity", *said, shift=constant * shift)


def _scatter(ax, reference, guess, kinds, area):
    """Points of each kind and the diagonal; the errors in words, in thousandths of the unit."""
    both = np.concatenate(reference + guess)
    ends = [both.min(), both.max()] + np.array([-0.05, 0.05]) * (np.ptp(both) or 1)
    ax.plot(ends, ends, color=TEXT, lw=1, zorder=1)
    names = sorted(set(kinds))
    for k, name in enumerate(names):
        own = [i for i, kind in enumerate(kinds) if kind == name]
        points = (np.concatenate([values[i] for i in own]) for values in (reference, guess))
        look = dict(color=PALETTE[k % 5], marker=MARKERS[k % 8], alpha=0.75, linewidths=0)
        ax.scatter(*points, s=area, rasterized=True, label=name, zorder=2, **look)
    if len(names) > 1:
        ax.legend(loc="upper left", handletextpad=0.2, borderpad=0.1, markerscale=1.4, **SMALL)
    ax.locator_params(nbins=5)  # four digits a tick: more of them run into each other
    error = 1e3 * (np.concatenate(guess) - np.concatenate(reference))
    return f"MAE {np.abs(error).mean():.1f}, RMSE {np.sqrt(np.mean(error**2)):.1f}"


def likeness(silicon, germanium, cutoff=1.25):
    """Distances in Å, distances in lattice constants, and angles between bonds, of two crystals.

    silicon, germanium: (structures, lattice constant in Å); cutoff: the longest distance, of these.
    """
    figure, ((far, scaled, angles),) = panels(9.1, 3.1, 1, 3)
    for name, (frames, a), line in (("Si", silicon, "-"), ("Ge", germanium, "--")):
        found = [_lengths_and_angles(atoms, cutoff, a) for atoms in frames]
        lengths, bends = map(np.concatenate, zip(*found))
        look = dict(color=ELEMENT_COLOURS[name], lw=1.8, ls=line)
        for ax, values, unit in ((far, lengths, 1.0), (scaled, lengths / a, 1 / a)):
            edges = np.linspace(0.35 * a, 0.95 * cutoff * a, 120) * unit
            count = np.histogram(values, edges)[0] / np.diff(edges) / sum(map(len, frames))
            ax.plot((edges[1:] + edges[:-1]) / 2, count, label=f"{name}, a = {a:.2f} Å", **look)
            ax.set_ylim(0, max(1.25 * count.max(), ax.get_ylim()[1]))  # room for the legend
        density, edges = np.histogram(bends, np.linspace(70, 150, 61), density=True)
        label = f"{name}, width {np.sqrt(np.mean((bends - 109.47) ** 2)):.1f}°"
        angles.plot((edges[1:] + edges[:-1]) / 2, density, label=label, **look)
        angles.set_ylim(0, max(1.35 * density.max(), angles.get_ylim()[1]))
    far.set(xlabel="distance of two atoms (Å)", ylabel="neighbours per atom (1/Å)")
    scaled.set(xlabel="distance (lattice constants a)", ylabel="neighbours per atom (1/a)")
    angles.set(xlabel="angle between two bonds (°)", ylabel="fraction of all angles (1/°)")
    for ax in (far, scaled, angles):
        ax.legend(frameon=False, fontsize=8.5)
    return figure.describe("likeness")


def _lengths_and_angles(atoms, cutoff, a):
    """Distances to cutoff a, in Å; angles in degrees of bonds (to 0.54 a, between two shells)."""
    centre, vectors = pairs(atoms, cutoff * a, "iD")
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / lengths[:, None]
    around = (units[(centre == i) & (lengths < 0.54 * a)] for i in range(len(atoms)))
    cosines = np.concatenate([(u @ u.T)[np.triu_indices(len(u), 1)] for u in around])
    return lengths, np.rad2deg(np.arccos(np.clip(cosines, -1, 1)))


def race(current=(), earlier=(), precomputed=(), stale="", empty="", steps=None):
    """Force errors on held-out germanium against the training step.

    Rows of the newest run are thick, lists of earlier rows thin, precomputed ones dotted. stale:
    words on a newest run of other settings; empty: words for no rows; steps: the least on the axis.
    """
    figure, ((ax,),) = panels(5.6, 2.9)
    strength, seen = 0.4 if stale else 1.0, []
    for method, group in (pair for rows in earlier for pair in groups(rows, method=METHODS)):
        seen += _mean_line(ax, method, group, "_", 0.0, lw=0.9, alpha=0.45)  # _: in no legend
    for method, group in groups(precomputed, method=METHODS):
        seen += _mean_line(ax, method, group, "precomputed ", 0.10, ls=":", lw=2)
    for method, group in groups(current, method=METHODS):
        for row in group if len(group) > 1 else ():
            look = dict(color=METHODS[method].colour, lw=0.8, alpha=0.6 * strength, zorder=3)
            ax.plot(*np.array(row["curve"], float).T[:2], **look)
        look = dict(marker=METHODS[method].marker, ms=4.5, lw=2.2, alpha=strength)
        seen += _mean_line(ax, method, group, "", 0.18 * strength, **look)
    log_axis(ax, seen or [50.0, 500.0])
    every = (row for rows in (current, precomputed, *earlier) for row in rows)
    end = max([steps or 1, *(row["steps"] for row in every)])
    ax.set(xlim=(-0.01 * end, 1.01 * end), xlabel="training step", ylabel=AXIS)
    if seen and (current or precomputed):
        ax.legend(loc="upper right", **SMALL)
    elif empty:
        ax.text(0.5, 0.5, empty, color=TEXT, ha="center", va="center", transform=ax.transAxes)
    ax.set_title(stale, loc="left", fontsize=9.5, color=WINE)
    return figure.describe("race", dotted="Dotted lines were precomputed." * bool(precomputed))


def _mean_line(ax, method, rows, before, strength, **look):
    """The mean over seeds, its last value in the legend, in a band of one standard deviation."""
    at, mean, spread, seeds = over_seeds(rows)
    word, _, colour, _, zorder = METHODS[method]
    label = f"{before}{word}: {mean[-1]:.0f}"
    if seeds > 1:
        label += f" ± {spread[-1]:.0f}, {seeds} seeds"
        ax.fill_between(at, mean - spread, mean + spread, color=colour, alpha=strength, lw=0)
    zorder += not before  # what runs lies above what was run before
    ax.plot(at, mean, color=colour, label=label, zorder=zorder, **look)
    return list(mean)


def where(rows, **fields):
    """Those rows that have these values."""
    return [r for r in rows if all(r.get(name) == value for name, value in fields.items())]


def groups(rows, **values):
    """[(value, its rows)] of one field, such as method=METHODS, for the values that rows have."""
    ((field, values),) = values.items()
    return [(value, own) for value in values if (own := where(rows, **{field: value}))]


def over_seeds(rows):
    """(steps, mean, standard deviation, seeds) of the force MAE of complete rows."""
    complete = [r for r in rows if r["curve"][-1][0] >= r["steps"]] or rows[:1]
    common = set.intersection(*({point[0] for point in row["curve"]} for row in complete))
    curves = np.array([[p[1] for p in row["curve"] if p[0] in common] for row in complete], float)
    spread = curves.std(0, ddof=1) if len(curves) > 1 else np.zeros(curves.shape[1])
    return np.array(sorted(common)), curves.mean(0), spread, len(complete)
