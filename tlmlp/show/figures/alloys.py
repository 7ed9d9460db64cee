"""Figures of crystals between two elements: what follows Vegard's line, and phonons on the way."""

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from .picture import SMALL, legend_below, note, panels
from .style import BROWN, INDIGO, OLIVE, PALETTE, RED, TEXT

# Å: a(x) of SiGe at 300 K, by X-rays. J. P. Dismukes, L. Ekstrom and R. J. Paff, J. Phys. Chem. 68,
# 3021 (1964): 5.431 + 0.20 x + 0.027 x².
MEASURED = 0.027
LOOKS = dict(nodes=("alchemical, two nodes", INDIGO, "-"))
LOOKS |= dict(embedding=("alchemical, mixed rows", RED, "--"))


def above_line(x, y):
    """y minus the straight line between its ends, at x = 0 and x = 1."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    return y - (1 - x) * y[0] - x * y[-1]


def of_way(rows, way):
    """Rows of the alchemical crystals of a way, by x."""
    own = [row for row in rows if row["method"] == "alchemical" and row["way"] == way]
    return sorted(own, key=lambda row: row["x"])


def nearest(rows, way, x):
    """Of these the row whose fraction is next to x."""
    return min(of_way(rows, way), key=lambda row: abs(row["x"] - x))


def means(rows, key, ends, method="random"):
    """(x, mean, standard deviation) of explicit alloys, less the line between `ends`."""
    own = [row for row in rows if row["method"] == method]
    x = sorted({row["x"] for row in own})
    values = [[row[key] for row in own if row["x"] == at] for at in x]
    line = np.array([ends[0] + at * (ends[1] - ends[0]) for at in x])
    spread = [np.std(v, ddof=1) if len(v) > 1 else 0.0 for v in values]
    return np.array(x), np.array([*map(np.mean, values)]) - line, np.array(spread)


def mixture(rows, x=0.5, way="nodes"):
    """Lattice constant and bulk modulus less Vegard's line, and phonons at the fraction x.

    rows: of `course.rows("alchemy")`. Phonons are those of the nearest x that was computed.
    """
    figure, ((bowing, bulk, bands),) = panels(9.1, 3.5, 1, 3)
    said = []
    for ax, key, unit, factor in (
        (bowing, "lattice_constant", "mÅ", 1e3),
        (bulk, "bulk_modulus", "GPa", 1.0),
    ):
        for name, (words, colour, dashes) in LOOKS.items():
            own = of_way(rows, name)
            at, y = [row["x"] for row in own], [row[key] for row in own]
            bent = factor * above_line(at, y)
            ax.plot(at, bent, dashes, color=colour, lw=1.6, label=words)
            said.append(f"{words}: {key.replace('_', ' ')} {bent[len(at) // 2]:.2g} {unit} at 0.5.")
        at, bent, error = means(rows, key, (y[0], y[-1]))
        look = dict(color=OLIVE, ms=4, capsize=2, label="random alloys")
        ax.errorbar(at, factor * bent, factor * error, fmt="o", **look)
        if key == "lattice_constant":
            at = np.linspace(0, 1, 33)
            known = -MEASURED * at * (1 - at) * factor
            ax.plot(at, known, ":", color=BROWN, lw=1.8, label="experiment, 300 K")
        ax.axhline(0, color=TEXT, lw=1)
        ax.axvline(x, color=TEXT, lw=1, ls="--")
        ax.set(xlabel="fraction of germanium x", xlim=(0, 1))
    bowing.set(ylabel="a(x) less its line (mÅ)")
    bulk.set(ylabel="B(x) less its line (GPa)")
    said.append(draw_bands(bands, rows, x, way))
    return legend_below(figure).describe("mixture", *said)


def draw_bands(ax, rows, x, way):
    """Phonons of the alchemical crystal next to x; a sentence about them."""
    row = nearest(rows, way, x)
    highest = max(np.max(own["phonons"]["frequencies"]) for own in of_way(rows, way))
    p, nu = row["phonons"], np.array(row["phonons"]["frequencies"])
    for first, last in p["parts"]:
        ax.plot(p["q"][first:last], nu[first:last], color=LOOKS[way][1], lw=1)
    ax.set_xticks(p["ticks"], p["labels"])
    ax.set(ylabel="phonons (THz)", xlim=(0, p["q"][-1]), ylim=(0, 1.08 * highest))
    note(ax, f"x = {row['x']:.2f}", (0.04, 0.95), on="axes fraction")
    return f"Phonons at x = {row['x']:.2f}: the highest has {nu.max():.1f} THz."


def densities(phonons, width=0.2):
    """Densities of states of several crystals, each as a sum of Gaussians of `width` THz.

    phonons: {a name: its Phonons}.
    """
    figure, ((ax,),) = panels(7.2, 3.2)
    said = []
    for k, (name, p) in enumerate(phonons.items()):
        density = gaussian_filter1d(p.density, width / (p.nu[1] - p.nu[0]))
        look = dict(color=PALETTE[k % len(PALETTE)], ls="-" if k % 2 else "--", lw=1.6)
        ax.plot(p.nu, density, label=name, **look)
        tops = [n for n in find_peaks(density, prominence=0.1)[0] if p.nu[n] > p.nu.max() / 3]
        where = ", ".join(f"{p.nu[n]:.1f}" for n in tops)
        said.append(f"{name}: peaks in the upper two thirds at {where} THz.")
    ax.set(xlabel="frequency (THz)", ylabel="density (1/THz and atom)", xlim=(0, None))
    ax.set_ylim(0, None)
    ax.legend(**SMALL)
    return figure.describe("densities", *said, width=f"{width:g}")
