"""Figures of large cells: how the cost of a step grows, and what a domain needs of others."""

import numpy as np
from matplotlib.patches import Rectangle

from ...course.domains import domain, reaches
from .picture import SMALL, legend_below, panels
from .style import INDIGO, INK, MARKERS, PALETTE, RED, SAND, TEXT

SLICE = 3.0  # Å, the thickness of what is drawn of a domain


def scaling(times):
    """Milliseconds a step against the number of atoms, beside a line of slope 1.

    times: {a name: {number of atoms: ms a step}}.
    """
    figure, ((ax,),) = panels(6.4, 3.6)
    said = []
    for k, (name, own) in enumerate(times.items()):
        atoms, ms = np.array(sorted(own.items()), float).T
        ax.plot(atoms, ms, MARKERS[k], ls="-", color=PALETTE[k], label=name)
        first, last = (f"{t:.3g} ms for {n:.0f} atoms" for n, t in zip(atoms[[0, -1]], ms[[0, -1]]))
        said.append(f"{name}: {first}, {last}.")
        if k == 0:
            ends = atoms[[0, -1]]
            ax.plot(ends, ms[-1] * ends / ends[-1], "--", color=TEXT, lw=1, label="proportional")
    ax.set(xscale="log", yscale="log", xlabel="atoms", ylabel="time a step (ms)")
    ticks = sorted({n for own in times.values() for n in own})
    ax.set_xticks(ticks, [f"{n}" for n in ticks])
    ax.minorticks_off()
    ax.legend(**SMALL)
    return figure.describe("scaling", *said)


def domains(atoms, config, grid):
    """A slice of the first domain of a grid with its ghosts: by exchange (left), by halo (right).

    atoms: in a right-angled periodic cell; config: of a potential. Errors as in `course.domains`.
    """
    figure, (axes,) = panels(8.8, 4.4, 1, 2, sharex=True, sharey=True)
    said, box = [], atoms.cell.lengths()
    for ax, (way, reach) in zip(axes, reaches(config).items()):
        found = domain(atoms, grid, reach)
        kinds = (("owned", found.owned, INDIGO), ("ghost", found.ghosts, SAND))
        for marker, (name, positions, colour) in zip("os", kinds):
            x, y, z = positions.T
            seen = (z >= 0) & (z < SLICE)
            ax.plot(x[seen], y[seen], marker, ls="", ms=3, color=colour, label=name)
        edges = (found.size, INK, "-", "its domain"), (box, TEXT, "--", "the cell")
        for size, colour, dashes, name in edges:
            look = dict(fill=False, color=colour, ls=dashes, lw=1.2, label=name)
            ax.add_patch(Rectangle((0, 0), size[0], size[1], **look))
        words = f"{way}: {len(found.owned)} owned, {len(found.ghosts)} ghosts within {reach:g} Å"
        ax.set_title(words, fontsize=10)
        ax.set(xlabel="x (Å)", ylabel="y (Å)", aspect="equal")
        said.append(f"{words[0].upper()}{words[1:]}.")
    return legend_below(figure).describe("domains", *said, slice=f"{SLICE:g}")


def thermo_output(lines):
    """Temperature and total energy against the step, of a LAMMPS run.

    lines: of its thermo output, each {"Step": ..., "Temp": K, "TotEng": eV}, as in units metal.
    """
    figure, ((heat, energy),) = panels(8.6, 2.9, 1, 2)
    names = (heat, "Temp", "temperature (K)", RED), (energy, "TotEng", "total energy (eV)", INDIGO)
    said = []
    for ax, name, words, colour in names:
        known = [(line["Step"], line[name]) for line in lines if name in line]
        ax.set(xlabel="step", ylabel=words)
        if known:
            ax.plot(*np.array(known).T, "o-", ms=3, lw=1, color=colour)
            said.append(f"{words}: {known[0][1]:.6g} at first, {known[-1][1]:.6g} at last.")
        else:
            ax.set_xticks([]), ax.set_yticks([])  # no numbers that nothing was measured in
    return figure.describe("thermo_output", *said)
