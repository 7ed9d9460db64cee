"""Figures of properties: results of one kind, each potential in a colour of its own."""

import numpy as np
from matplotlib.ticker import MultipleLocator
from scipy.interpolate import CubicSpline

from ...course.cards import Card
from ...properties import defects, mechanics, slopes, structure, transport, vibrations
from .cards import card_dots
from .picture import DISTANCE, SMALL, G, band, note, panels, points
from .style import PALETTE, RED, TEXT, method_of, styled

TIME, MSD = "time (ps)", "mean squared displacement (Å$^2$)"
VOLUME = "volume per atom (Å$^3$)"
RISE, ATOMS = "energy above the minimum (meV/atom)", "fraction of the atoms (%)"
CUT = "energy of the (100) surface (J/m$^2$)"
PHASE_COLOURS = dict(zip(("diamond", "beta-tin", "sc", "bcc", "fcc"), PALETTE))


def plot(results, **options):
    """Figure of one result of tlmlp.properties, or of a dict from a name to results of one kind.

    Or of a Card of tlmlp.course. options: `sizes` and `methods` of a Card, `known` of phonons.
    Names that are a key or a word of style.METHODS have their colours. Raises ValueError where
    there is no figure of the kind.
    """
    results = results if isinstance(results, dict) else {"": results}
    kinds = {type(result) for result in results.values()}
    if len(kinds) != 1 or not kinds <= set(FIGURES):
        names = lambda kinds: ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
        words = f"a figure shows results of one kind, not {names(kinds)}"
        raise ValueError(f"{words}; there are figures of {names(FIGURES)}")
    return FIGURES[kinds.pop()](results, **options)


def _plus_minus(value, error):
    return f"{value:.2f}" + (f" ± {error:.2f}" if np.isfinite(error) else "")


def one_panel(draw, x, y, caption, zero=""):
    """Figures of one panel, in which draw(ax, result, look, shift, width of a bar) draws a result.

    It returns the artist of its legend, and words; zero: those axes of "xy" that begin at 0.
    """

    def figure_of(results):
        figure, ((ax,),) = panels(max(5.6, 1.8 + 1.4 * len(results)), 3.6)
        width, said = 0.8 / len(results), []  # of bars, side by side
        for k, (result, look) in enumerate(styled(results)):
            shift = (k - (len(results) - 1) / 2) * width
            artist, words = draw(ax, result, look, shift, 0.92 * width)
            words = ": ".join(filter(None, (look.word, words)))
            if artist is not None:
                artist.set_label(words)
            if artist is None or not words:  # which no legend names
                said.append((words or points(ax, artist)) + ".")
        ax.set(xlabel=x, ylabel=y, **{f"{axis}lim": (0, None) for axis in zero})
        if any(ax.get_legend_handles_labels()[1]):
            ax.legend(**SMALL)
        return figure.describe(caption, *said)

    return figure_of


def _equation(ax, eos, look, *_):
    v = np.linspace(eos.volumes.min(), eos.volumes.max(), 200)
    ax.plot(v, 1e3 * (eos.at(v) - eos.energy), color=look.colour, lw=1.6)
    energies = 1e3 * (eos.energies - eos.energy)
    (dots,) = ax.plot(eos.volumes, energies, look.marker, color=look.colour, ms=4.5)
    edge = f"{eos.lattice_constant:.3f} Å, " if np.isfinite(eos.lattice_constant) else ""
    return dots, f"{edge}{eos.bulk_modulus:.0f} GPa"


def _elastic(ax, r, look, shift, width):
    values = r.c11, r.c12, r.c44, r.c44_clamped, r.bulk_modulus, r.shear_modulus
    bars = ax.bar(np.arange(6) + shift, values, width, color=look.colour)
    digits = lambda y: f"{y:.0f}" if abs(y) >= 10 else f"{y:.2f}"
    ax.bar_label(bars, fmt=digits, padding=2, fontsize=8)
    names = ("$C_{11}$", "$C_{12}$", "$C_{44}$", "$C_{44}$ clamped", "bulk", "shear")
    ax.set_xticks(range(6), names)
    ax.margins(y=0.12)
    ax.grid(False, axis="x")
    return bars, ""


def _radial(ax, r, look, *_):
    line = band(ax, r.r, r.g, r.error, color=look.colour)
    ax.axhline(1, color=TEXT, lw=0.8)
    if r.half_height >= r.r[-1]:
        return line, ""
    ax.axvline(r.half_height, color=look.colour, lw=1, ls=":")
    return line, f"half the cell (dotted) {r.half_height:.1f} Å"


def _coordination(ax, r, look, shift, width):
    at = np.flatnonzero(r.share > 5e-4)
    errors = dict(yerr=100 * np.nan_to_num(r.share_error)[at], capsize=2)
    bars = ax.bar(at + shift, 100 * r.share[at], width, color=look.colour, **errors)
    ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.grid(False, axis="x")
    ax.margins(y=0.15)
    return bars, f"mean {_plus_minus(r.mean, r.error)}, within {r.cutoff:.2f} Å"


def _barrier(ax, r, look, *_):
    x = np.linspace(0, r.path[-1], 200)  # its slope is clamped: both ends are at rest
    ax.plot(x, CubicSpline(r.path, r.energies, bc_type="clamped")(x), color=look.colour, lw=1.4)
    (dots,) = ax.plot(r.path, r.energies, look.marker, color=look.colour, ms=5)
    return dots, f"{r.barrier:.2f} eV" + ", not converged" * (not r.converged)


def _displacement(ax, r, look, *_):
    line = band(ax, r.times / 1e3, r.msd, r.msd_error, color=look.colour)
    t = np.array(r.fitted) / 1e3
    inside = (r.times >= r.fitted[0]) & (r.times <= r.fitted[1])
    start = r.msd[inside].mean() - 6 * r.coefficient * r.times[inside].mean() / 1e3
    ax.plot(t, start + 6 * r.coefficient * t, color=look.colour, lw=3, alpha=0.35)
    return line, f"D = {_plus_minus(r.coefficient, r.error)} Å$^2$/ps"


def _formation(ax, r, look, shift, width):
    at, hatch = (shift - width / 4, shift + width / 4), ("", "" if r.converged else "//")
    colours = ((look.colour, 0.35), look.colour)
    bars = ax.bar(at, (r.unrelaxed, r.energy), 0.45 * width, color=colours, hatch=hatch)
    ax.bar_label(bars, fmt="%.2f", padding=2, fontsize=8.5)
    dimers = f"dimers {r.dimer:.2f} Å" if np.isfinite(getattr(r, "dimer", np.nan)) else ""
    words = f"{r.sites} sites" if isinstance(r, defects.Defect) else dimers
    names = "\n".join(filter(None, (look.word, words)))
    note(ax, names, (shift, 0), (0, -4), ha="center", va="top", fontsize=9.5)
    ax.set_xticks([])
    ax.margins(y=0.12)
    ax.set_title("pale: nothing moved; full: relaxed; hatched: not converged", fontsize=9.5)
    return None, f"{r.unrelaxed:.2f} where nothing moved, {r.energy:.2f} relaxed"


def phonon_bands(results, known=None):
    """Phonon bands along the path (left), density of states (middle) and heat capacity (right).

    known: {label of a special point: frequencies of the reference in THz}, drawn as markers.
    """
    figure, ((path, states, heat),) = panels(9.1, 3.8, 1, 3, width_ratios=(2.2, 0.8, 1.1))
    first = next(iter(results.values()))
    for r, look in styled(results):
        line = dict(color=look.colour, lw=1.4, zorder=look.zorder)
        for part in r.parts:  # other lattice constants have paths of other lengths
            path.plot(r.q[part] * (first.q[-1] / r.q[-1]), r.frequencies[part], **line)
        states.plot(r.density, r.nu, **line)
        heat.plot(r.temperatures, r.heat_capacity, label=look.word, **line)
    top = 1.06 * max(r.frequencies.max() for r in results.values())
    low = 1.1 * min(min(r.lowest, r.frequencies.min()) for r in results.values())
    for ax in (path, states):
        ax.set_ylim(low if low < -0.05 else 0, top)
        ax.axhline(0, color=RED, lw=0.8 * (low < -0.05))
    words = "imaginary" if low < -0.05 else ""
    note(path, words, (0.01, 0), (0, -10), ("axes fraction", "data"), color=RED)
    look = method_of("reference")
    marks = dict(color=look.colour, marker=look.marker, ms=4, ls="", zorder=4)
    for tick, name in zip(first.ticks, first.labels):
        if name in (known or {}):
            path.plot([tick] * len(known[name]), known[name], clip_on=False, **marks)
    if known:
        heat.plot([], [], label=f"reference, at {', '.join(known)}", **marks)
    path.set_xticks(first.ticks, first.labels)
    path.grid(axis="x", color=TEXT, lw=0.8)
    path.set(xlim=(0, first.q[-1]), xlabel="wave vector", ylabel="frequency (THz)")
    states.set(xlabel="states (1/THz)", xlim=(0, None))
    states.locator_params(axis="x", nbins=4)
    states.tick_params(labelleft=False)
    heat.axhline(3, color=TEXT, lw=1, ls="--", label="3 $k_B$")
    heat.set(xlabel="temperature (K)", ylabel="heat capacity ($k_B$/atom)", ylim=(0, 3.3))
    heat.legend(loc="lower right", **SMALL)
    ends = lambda r: f"from {round(r.lowest, 2) + 0:.2f} to {r.frequencies.max():.2f} THz"
    found = (f"{look.word} {ends(r)}".strip() for r, look in styled(results))
    words = "Frequencies below the red line are imaginary: the crystal is unstable." * (low < -0.05)
    return figure.describe("phonons", f"Frequencies: {'; '.join(found)}.", imaginary=words)


def liquids(results):
    """g(r) (left) and mean squared displacement (right) of liquids."""
    figure, ((near, far),) = panels(9.1, 3.6, 1, 2)
    for r, look in styled(results):
        line, _ = _radial(near, r.structure._replace(half_height=np.inf), look)
        line.set_label(f"{look.word}  {r.coordination.mean:.2f} neighbours".strip())
        line, words = _displacement(far, r.diffusion, look)
        line.set_label(words + (f", {r.pressure:.1f} GPa" if np.isfinite(r.pressure) else ""))
    farthest = min(r.structure.half_height for r in results.values())
    near.set(xlabel=DISTANCE, ylabel=G, xlim=(1.5, farthest), ylim=(0, None))
    far.set(xlabel=TIME, ylabel=MSD, xlim=(0, None), ylim=(0, None))
    for ax in (near, far):
        ax.legend(**SMALL)
    return figure.describe("liquid")


def phase_curves(results):
    """Energy against volume of all phases, measured from diamond's minimum; a panel a potential."""
    n = len(results)
    rows, columns = -(-n // 3), min(n, 3)
    figure, axes = panels(0.85 + 2.75 * columns, 0.7 + 2.7 * rows, rows, columns, sharey=True)
    for k, (ax, (r, look)) in enumerate(zip(axes.flat, styled(results))):
        curves = r.curves if "diamond" in r.curves else {}  # without it there is no zero
        for phase, eos in curves.items():
            zero = curves["diamond"].energy
            v = np.linspace(0.93 * eos.volume, 1.07 * eos.volume, 200)
            colour, label = PHASE_COLOURS.get(phase, TEXT), f"{phase} {eos.energy - zero:.2f}"
            ax.plot(v, eos.at(v) - zero, color=colour, lw=1.6, label=label)
            ax.plot(eos.volumes, eos.energies - zero, "o", color=colour, ms=3)
        words = f"no minimum: {', '.join(r.missing)}" if r.missing else ""
        note(ax, words, (0.98, 0.97), on="axes fraction", ha="right", va="top", color=RED)
        if curves:
            ax.legend(**SMALL | dict(fontsize=8.5))
        ax.set_title(look.word, fontsize=10)
        ax.set(xlabel=VOLUME * (k >= n - columns), ylabel="energy (eV/atom)" * (k % columns == 0))
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    return figure.describe("phases")


def force_slopes(results):
    """Predicted against reference force components, and a line of slope s; a panel a potential."""
    n = len(results)
    figure, (axes,) = panels(0.7 + 2.8 * n, 3.9, 1, n, sharex=True, sharey=True)
    end, said = max(np.abs(r.true).max() for r in results.values()) * 1.05, []
    for ax, (r, look) in zip(axes, styled(results)):
        ax.plot(r.true, r.predicted, ".", ms=2, color=look.colour, alpha=0.35, rasterized=True)
        s = r.overall
        ax.axline((0, 0), slope=1, color=TEXT, lw=1, label="slope 1")
        ax.axline((0, 0), slope=s.slope, color=RED, lw=1.4, label="slope s")
        words = f"s = {s.slope:.3f} ± {s.error:.3f}\nR² = {s.r2:.3f}, s' = {s.reverse:.3f}"
        ax.set_title("\n".join(filter(None, (look.word, words))), fontsize=9.5)
        said.append(": ".join(filter(None, (look.word, words.replace("\n", ", ")))) + ".")
        ax.set(xlim=(-end, end), ylim=(-end, end), xlabel="reference force (eV/Å)", aspect="equal")
    axes[0].set_ylabel("predicted force (eV/Å)")
    axes[0].legend(**SMALL)
    return figure.describe("softening", *said)


FIGURES = {
    mechanics.EquationOfState: one_panel(_equation, VOLUME, RISE, "equation"),
    mechanics.Elastic: one_panel(_elastic, "", "elastic constant (GPa)", "elastic"),
    structure.RadialDistribution: one_panel(_radial, DISTANCE, G, "radial", zero="xy"),
    structure.Coordination: one_panel(_coordination, "neighbours", ATOMS, "coordination", zero="y"),
    defects.Defect: one_panel(_formation, "", "formation energy (eV)", "defect"),
    defects.Surface: one_panel(_formation, "", CUT, "surface"),
    defects.Barrier: one_panel(_barrier, "length of the path (Å)", "energy (eV)", "barrier"),
    transport.Diffusion: one_panel(_displacement, TIME, MSD, "diffusion", zero="xy"),
    vibrations.Phonons: phonon_bands,
    transport.Liquid: liquids,
    mechanics.Phases: phase_curves,
    slopes.Softening: force_slopes,
    Card: card_dots,
}
