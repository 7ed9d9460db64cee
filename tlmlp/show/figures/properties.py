"""Figures of properties: results of one kind side by side, each potential in a colour of its own.

`plot` takes any result of tlmlp.properties, or a dict from a name to a result. Names that are a key
or a word of style.METHODS have their colours.
"""

import numpy as np
from scipy.interpolate import CubicSpline

from ...course.cards import Card
from ...properties.crystals import Phases
from ...properties.defects import Barrier, Defect, Surface
from ...properties.mechanics import Elastic, EquationOfState
from ...properties.slopes import Curvatures, Softening
from ...properties.structure import Coordination, RadialDistribution
from ...properties.transport import Diffusion, Liquid
from ...properties.vibrations import Phonons
from .cards import card_dots
from .picture import SMALL, band, legend_below, note, panels
from .style import BLUE, GREEN, GREY, MARKERS, ORANGE, OWN, PURPLE, RED, SKY, Method, method_of


def plot(results, **options):
    """Figure of one result, or of a dict from a name to a result, all of one kind.

    Args:
        results: what a function of tlmlp.properties returned, or a Card of tlmlp.course.
        options: of the kind; for a Card `sizes` and `methods`.

    Raises:
        ValueError: where results are of several kinds, or of one that has no figure.
    """
    if not isinstance(results, dict):
        results = {"": results}
    kinds = {type(result) for result in results.values()}
    names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
    if len(kinds) != 1:
        raise ValueError(f"a figure shows results of one kind, not {names}")
    draw = FIGURES.get(kinds.pop())
    if draw is None:
        known = ", ".join(kind.__name__ for kind in FIGURES)
        raise ValueError(f"there is no figure of {names}; there are figures of {known}")
    return draw(results, **options)


def styled(results):
    """[(result, Method)] of each; those that the course does not compare have colours of their own."""
    own = []
    for k, (name, result) in enumerate(results.items()):
        look = method_of(name)
        if look is None:
            colour = (OWN if name else (BLUE,))[k % (len(OWN) if name else 1)]
            look = Method(name, name, colour, MARKERS[k % len(MARKERS)], 3.0)
        own.append((result, look))
    return own


def _label(name, words):
    return ": ".join(filter(None, (name, words)))


def _one_panel(results, draw, x, y, size=(5.6, 3.6)):
    """(figure, axes) of all results in one panel.

    draw(ax, result, method) draws one; it returns what stands for it in the legend, and words.
    """
    figure, ((ax,),) = panels(size)
    for result, look in styled(results):
        artist, words = draw(ax, result, look)
        artist.set_label(_label(look.word, words))
    ax.set(xlabel=x, ylabel=y)
    if any(ax.get_legend_handles_labels()[1]):
        ax.legend(**SMALL)
    return figure, ax


def _bars(results, columns, values, x, y, size=(5.6, 3.6), errors=None, words=lambda r: ""):
    """(figure, axes) of groups of bars, one bar a result; values, errors: of a result, [columns]."""
    width = 0.8 / len(results)
    shifts = iter((np.arange(len(results)) - (len(results) - 1) / 2) * width)

    def draw(ax, r, look):
        at = np.arange(len(columns)) + next(shifts)
        yerr = None if errors is None else errors(r)
        bars = ax.bar(at, values(r), 0.92 * width, color=look.colour, yerr=yerr, capsize=2)
        return bars, words(r)

    figure, ax = _one_panel(results, draw, x, y, size)
    ax.set_xticks(range(len(columns)), columns)
    ax.grid(False, axis="x")
    ax.margins(y=0.15)
    return figure, ax


# -- mechanics ---------------------------------------------------------------------------------------------------------


def equations_of_state(results):
    """Energy against volume, each measured from its own minimum."""

    def draw(ax, eos, look):
        v = np.linspace(eos.volumes.min(), eos.volumes.max(), 200)
        ax.plot(v, 1e3 * (eos.at(v) - eos.energy), color=look.colour, lw=1.6)
        energies = 1e3 * (eos.energies - eos.energy)
        (dots,) = ax.plot(eos.volumes, energies, look.marker, color=look.colour, ms=4.5)
        edge = f"{eos.lattice_constant:.3f} Å, " if np.isfinite(eos.lattice_constant) else ""
        return dots, f"{edge}{eos.bulk_modulus:.0f} GPa"

    labels = "volume per atom (Å$^3$)", "energy above the minimum (meV/atom)"
    return _one_panel(results, draw, *labels)[0]


def elastic_constants(results):
    """Bars of C11, C12, C44, bulk and shear modulus."""
    names = ("$C_{11}$", "$C_{12}$", "$C_{44}$", "$C_{44}$ clamped", "bulk", "shear")
    fields = "c11 c12 c44 c44_clamped bulk_modulus shear_modulus".split()
    values = lambda r: [getattr(r, field) for field in fields]
    figure, ax = _bars(results, names, values, "", "elastic constant (GPa)", (6.4, 3.6))
    for bars in ax.containers:
        digits = lambda y: f"{y:.0f}" if abs(y) >= 10 else f"{y:.2f}"
        ax.bar_label(bars, fmt=digits, padding=2, fontsize=8 if len(results) < 4 else 6.5)
    return figure


# -- structure ---------------------------------------------------------------------------------------------------------


def radial_distributions(results):
    """g(r) with its error; a dotted line at half of each cell, beyond which atoms meet images."""
    draw = lambda ax, r, look: (band(ax, r.r, r.g, r.error, color=look.colour), "")
    figure, ax = _one_panel(results, draw, "distance r (Å)", "g(r) (no unit)")
    ax.axhline(1, color=GREY, lw=0.8)
    farthest = max(r.r[-1] for r in results.values())
    halves = [(r.half_height, look.colour) for r, look in styled(results)]
    halves = [(half, colour) for half, colour in halves if half < farthest]
    for half, colour in halves:
        ax.axvline(half, color=colour if len(results) > 1 else GREY, lw=1, ls=":")
    if halves:
        at = max(half for half, _ in halves), 0.98
        note(ax, "half the cell", at, (3, 0), ("data", "axes fraction"), va="top")
    ax.set(xlim=(0, farthest))
    ax.set_ylim(0)
    return figure


def coordinations(results):
    """Bars of the fractions of atoms that have some number of neighbours."""
    most = max(len(r.share) for r in results.values())
    first = min(int(np.argmax(r.share > 0.005)) for r in results.values())
    percent = lambda x: 100 * np.pad(x, (0, most - len(x)))[first:]

    def words(r):
        return f"mean {r.mean:.2f}{_plus_minus(r.error)}, within {r.cutoff:.2f} Å"

    labels = "neighbours of an atom", "fraction of the atoms (%)"
    errors = lambda r: percent(np.nan_to_num(r.share_error))
    values = lambda r: percent(r.share)
    return _bars(results, range(first, most), values, *labels, errors=errors, words=words)[0]


def _plus_minus(error, digits=2):
    return f" ± {error:.{digits}f}" if np.isfinite(error) else ""


# -- vibrations --------------------------------------------------------------------------------------------------------


def phonon_bands(results):
    """Phonon bands along the path (left), density of states (middle) and heat capacity (right)."""
    figure, ((path, states, heat),) = panels((9.6, 3.8), 1, 3, width_ratios=(2.2, 0.8, 1.1))
    first = next(iter(results.values()))
    for r, look in styled(results):
        line = dict(color=look.colour, lw=1.4, zorder=look.zorder)
        for part in r.parts:  # other lattice constants have paths of other lengths
            path.plot(r.q[part] * (first.q[-1] / r.q[-1]), r.frequencies[part], **line)
        states.plot(r.density, r.nu, **line)
        heat.plot(r.temperatures, r.heat_capacity, label=look.word, **line)
    for tick in first.ticks:
        path.axvline(tick, color=GREY, lw=0.8)
    top = 1.06 * max(r.frequencies.max() for r in results.values())
    low = 1.1 * min(min(r.lowest, r.frequencies.min()) for r in results.values())
    low = low if low < -0.05 else 0
    for ax in (path, states):
        ax.set_ylim(low, top)
        if low:
            ax.axhline(0, color=RED, lw=0.8)
    if low:
        note(path, "imaginary", (0.01, 0), (0, -10), ("axes fraction", "data"), color=RED)
    path.set_xticks(first.ticks, first.labels)
    path.grid(False, axis="x")
    path.set(xlim=(0, first.q[-1]), xlabel="wave vector", ylabel="frequency (THz)")
    states.set(xlabel="states (1/THz)")
    states.set_xlim(0)
    states.tick_params(labelleft=False)
    heat.axhline(3, color=GREY, lw=1, ls="--")
    note(heat, "3 $k_B$", (0.02, 3), (0, 3), ("axes fraction", "data"))
    heat.set(xlabel="temperature (K)", ylabel="heat capacity ($k_B$/atom)", ylim=(0, 3.3))
    if any(results):
        heat.legend(loc="lower right", **SMALL)
    return figure


# -- defects and surfaces ----------------------------------------------------------------------------------------------


def _before_and_after(results, y, pale, words):
    """Two bars a result: pale its energy with nothing moved, full that of the relaxed atoms."""
    figure, ((ax,),) = panels((1.8 + 1.4 * max(2, len(results)), 3.4))
    for k, (r, look) in enumerate(styled(results)):
        hatch = None if r.converged else "//"
        for bars in (
            ax.bar(k - 0.2, r.unrelaxed, 0.36, color=look.colour, alpha=0.35),
            ax.bar(k + 0.2, r.energy, 0.36, color=look.colour, hatch=hatch),
        ):
            ax.bar_label(bars, fmt="%.2f", padding=2, fontsize=8.5)
    names = [f"{look.word or ''}\n{words(r)}" for r, look in styled(results)]
    ax.set_xticks(range(len(results)), names)
    ax.grid(False, axis="x")
    ax.margins(y=0.12)
    ax.set_ylabel(y)
    title = f"pale: {pale}, full: relaxed"
    if not all(r.converged for r in results.values()):
        title += ",\nhatched: not converged"
    ax.set_title(title, fontsize=9.5, loc="left")
    return figure


def defects(results):
    """Formation energies, unrelaxed and relaxed."""
    labels = "formation energy (eV)", "nothing moved"
    return _before_and_after(results, *labels, lambda r: f"{r.sites} sites")


def surfaces(results):
    """Energies of the (100) surface, unrelaxed and relaxed."""
    labels = "energy of the (100) surface (J/m$^2$)", "as cut"
    words = lambda r: f"dimers {r.dimer:.2f} Å" if np.isfinite(r.dimer) else ""
    return _before_and_after(results, *labels, words)


def barriers(results):
    """Energy along the path of a migrating vacancy."""

    def draw(ax, r, look):
        x = np.linspace(0, r.path[-1], 200)
        smooth = CubicSpline(r.path, r.energies, bc_type="clamped")  # both ends are at rest
        ax.plot(x, smooth(x), color=look.colour, lw=1.4)
        (dots,) = ax.plot(r.path, r.energies, look.marker, color=look.colour, ms=5)
        return dots, f"{r.barrier:.2f} eV" + ", not converged" * (not r.converged)

    return _one_panel(results, draw, "length of the path (Å)", "energy (eV)")[0]


# -- liquids and phases ------------------------------------------------------------------------------------------------

TIME, MSD = "time (ps)", "mean squared displacement (Å$^2$)"


def _displacements(ax, r, look):
    """Mean squared displacement of a Diffusion; its line, and the coefficient in words."""
    line = band(ax, r.times / 1e3, r.msd, r.msd_error, color=look.colour)
    ax.set_xlim(0)
    ax.set_ylim(0)
    return line, f"D = {r.coefficient:.2f}{_plus_minus(r.error)} Å$^2$/ps"


def diffusions(results):
    """Mean squared displacement; thick and pale the part that gave the diffusion coefficient."""

    def draw(ax, r, look):
        t = np.array(r.fitted) / 1e3
        inside = (r.times >= r.fitted[0]) & (r.times <= r.fitted[1])
        start = r.msd[inside].mean() - 6 * r.coefficient * r.times[inside].mean() / 1e3
        ax.plot(t, start + 6 * r.coefficient * t, color=look.colour, lw=3, alpha=0.35)
        return _displacements(ax, r, look)

    return _one_panel(results, draw, TIME, MSD)[0]


def liquids(results):
    """g(r) (left) and mean squared displacement (right) of liquids."""
    figure, ((near, far),) = panels((9.2, 3.6), 1, 2)
    for r, look in styled(results):
        s = r.structure
        words = _label(look.word, f"{r.coordination.mean:.2f} neighbours")
        band(near, s.r, s.g, s.error, color=look.colour, label=words)
        line, words = _displacements(far, r.diffusion, look)
        pressure = f", {r.pressure:.1f} GPa" if np.isfinite(r.pressure) else ""
        line.set_label(words + pressure)
    near.axhline(1, color=GREY, lw=0.8)
    farthest = min(r.structure.half_height for r in results.values())
    near.set(xlabel="distance r (Å)", ylabel="g(r) (no unit)", xlim=(1.5, farthest))
    near.set_ylim(0)
    far.set(xlabel=TIME, ylabel=MSD)
    for ax in (near, far):
        ax.legend(**SMALL)
    return figure


PHASE_COLOURS = {"diamond": BLUE, "beta-tin": ORANGE, "sc": GREEN, "bcc": RED, "fcc": PURPLE}


def phase_curves(results):
    """Energy against volume of all phases, measured from diamond's minimum; a panel a potential."""
    n, columns = len(results), min(len(results), 3)
    rows = -(-n // 3)
    figure, axes = panels((1.0 + 3.1 * columns, 0.7 + 2.7 * rows), rows, columns, sharey=True)
    for k, (ax, (r, look)) in enumerate(zip(axes.flat, styled(results))):
        _phases(ax, r)
        ax.set_title(look.word, fontsize=10)
        ax.set_xlabel("volume per atom (Å$^3$)" if k >= n - columns else "")
        ax.set_ylabel("energy (eV/atom)" if k % columns == 0 else "")
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    legend_below(figure, columns=5)
    return figure


def _phases(ax, result):
    """Curves of the phases of one potential; each minimum with its height above diamond's."""
    lowest = min(eos.energy for eos in result.curves.values())
    zero = result.curves["diamond"].energy if "diamond" in result.curves else lowest
    for phase, eos in result.curves.items():
        v = np.linspace(0.93 * eos.volume, 1.07 * eos.volume, 200)
        colour = PHASE_COLOURS.get(phase, SKY)
        ax.plot(v, eos.at(v) - zero, color=colour, lw=1.6, label=phase)
        ax.plot(eos.volumes, eos.energies - zero, "o", color=colour, ms=3)
        if phase != "diamond":
            at = eos.volume, eos.energy - zero
            note(ax, f"{at[1]:.2f}", at, (0, -10), ha="center", color=colour)
    if result.missing:
        words = f"no minimum: {', '.join(result.missing)}"
        note(ax, words, (0.98, 0.97), on="axes fraction", ha="right", va="top", color=RED)


# -- softening ---------------------------------------------------------------------------------------------------------


def force_slopes(results):
    """Predicted against reference force components, and the line of slope s; a panel a potential."""
    n = len(results)
    figure, (axes,) = panels((0.8 + 3.3 * n, 3.6), 1, n, sharex=True, sharey=True)
    end = max(np.abs(r.true).max() for r in results.values()) * 1.05
    line = np.array([-end, end])
    for ax, (r, look) in zip(axes, styled(results)):
        ax.plot(r.true, r.predicted, ".", ms=2, color=look.colour, alpha=0.35, rasterized=True)
        ax.plot(line, line, color=GREY, lw=1, label="slope 1")
        s = r.overall
        ax.plot(line, s.slope * line, color=RED, lw=1.4, label="slope s")
        words = f"s = {s.slope:.3f} ± {s.error:.3f}\nR² = {s.r2:.3f}, s' = {s.reverse:.3f}"
        ax.set_title("\n".join(filter(None, (look.word, words))), fontsize=9.5)
        ax.set(xlim=line, ylim=line, xlabel="reference force (eV/Å)", aspect="equal")
    axes[0].set_ylabel("predicted force (eV/Å)")
    axes[0].legend(**SMALL)
    return figure


def curvature_pairs(results):
    """Predicted against reference curvatures, and lines of their slopes."""
    end = 1.08 * max(max(r.reference.max(), r.predicted.max()) for r in results.values())

    def draw(ax, r, look):
        ax.plot([0, end], [0, r.slope * end], color=look.colour, lw=1)
        points = dict(color=look.colour, ms=4.5, alpha=0.8)
        (dots,) = ax.plot(r.reference, r.predicted, look.marker, **points)
        return dots, f"slope {r.slope:.3f}, spread {r.spread:.3f}"

    labels = "curvature, reference (eV/Å$^2$)", "curvature, predicted (eV/Å$^2$)"
    figure, ax = _one_panel(results, draw, *labels, (4.6, 4.2))
    ax.plot([0, end], [0, end], color=GREY, lw=1)
    ax.set(xlim=(0, end))
    return figure


FIGURES = {
    EquationOfState: equations_of_state,
    Elastic: elastic_constants,
    RadialDistribution: radial_distributions,
    Coordination: coordinations,
    Phonons: phonon_bands,
    Defect: defects,
    Barrier: barriers,
    Surface: surfaces,
    Diffusion: diffusions,
    Liquid: liquids,
    Phases: phase_curves,
    Softening: force_slopes,
    Curvatures: curvature_pairs,
    Card: card_dots,
}
