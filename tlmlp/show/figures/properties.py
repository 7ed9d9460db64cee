"""Figures of properties: results of one kind side by side, each potential in a colour of its own.

`draw` takes a dict from a name to a result of tlmlp.properties; the functions below draw one kind each.
"""

import numpy as np

from .cards import card_dots
from .picture import Picture, quiet
from .style import BLUE, GREEN, GREY, KNOWN, MARKERS, ORANGE, PALETTE, PURPLE, RED, SKY

SMALL = dict(frameon=False, fontsize=9)


def draw(results, **options):
    """Figure of a dict from a name to a result, all of one kind. ValueError where they are not."""
    kinds = {type(result) for result in results.values()}
    if len(kinds) != 1:
        raise ValueError(
            f"a figure shows results of one kind, not {', '.join(sorted(k.__name__ for k in kinds)) or 'nothing'}"
        )
    return FIGURES[kinds.pop().__name__](results, **options)


def _styled(results):
    """(name, result, colour, marker) of each; names that the course knows have their own colours."""
    free = [c for c in PALETTE if c not in [KNOWN.get(name) for name in results]]
    for k, (name, result) in enumerate(results.items()):
        yield (
            name or None,
            result,
            KNOWN.get(name) or free[k % len(free)],
            MARKERS[k % len(MARKERS)],
        )


def _axes(x, y, size=(5.6, 3.6)):
    figure = Picture(*size)
    ax = figure.subplots()
    quiet(ax)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    return figure, ax


def _legend(ax, results, **options):
    if any(results):
        ax.legend(**(SMALL | options))


def _band(ax, x, y, error, colour, label, **options):
    if np.isfinite(error).any():
        ax.fill_between(x, y - error, y + error, color=colour, alpha=0.25, lw=0)
    ax.plot(x, y, color=colour, lw=1.6, label=label, **options)


def _bars(ax, results, names, values, errors=None):
    """Groups of bars: `names` along the axis, one bar for each result; values [result][name]."""
    n = len(results)
    width = 0.8 / n
    for k, (name, _, colour, _) in enumerate(_styled(results)):
        at = np.arange(len(names)) + (k - (n - 1) / 2) * width
        ax.bar(
            at,
            values[k],
            0.92 * width,
            color=colour,
            label=name,
            yerr=None if errors is None else errors[k],
            capsize=2,
        )
        for x, y in zip(at, values[k]):
            if np.isfinite(y):
                text = f"{y:.0f}" if abs(y) >= 10 else f"{y:.2f}"
                offset = (0, 2) if y >= 0 else (0, -9)
                ax.annotate(
                    text,
                    (x, y),
                    offset,
                    textcoords="offset points",
                    ha="center",
                    fontsize=8 if n < 4 else 6.5,
                )
    ax.set_xticks(range(len(names)), names)
    ax.grid(False, axis="x")
    ax.margins(y=0.12)


# -- mechanics ---------------------------------------------------------------------------------------------------------


def equations_of_state(results):
    """Energy against volume, each measured from its own minimum."""
    figure, ax = _axes("volume per atom (Å$^3$)", "energy above the minimum (meV/atom)")
    for name, eos, colour, marker in _styled(results):
        v = np.linspace(eos.volumes.min(), eos.volumes.max(), 200)
        words = (
            f"{eos.lattice_constant:.3f} Å, {eos.bulk_modulus:.0f} GPa"
            if np.isfinite(eos.lattice_constant)
            else f"{eos.bulk_modulus:.0f} GPa"
        )
        ax.plot(
            v,
            1e3 * (eos.at(v) - eos.energy),
            color=colour,
            lw=1.6,
            label=f"{name}: {words}" if name else words,
        )
        ax.plot(eos.volumes, 1e3 * (eos.energies - eos.energy), marker, color=colour, ms=4.5)
    ax.legend(**SMALL)
    return figure


def elastic_constants(results):
    """Bars of C11, C12, C44, bulk and shear modulus."""
    figure, ax = _axes("", "elastic constant (GPa)", (6.4, 3.6))
    names = ("$C_{11}$", "$C_{12}$", "$C_{44}$", "$C_{44}$ clamped", "bulk", "shear")
    values = [
        [r.c11, r.c12, r.c44, r.c44_clamped, r.bulk_modulus, r.shear_modulus]
        for r in results.values()
    ]
    _bars(ax, results, names, values)
    _legend(ax, results)
    return figure


def expansions(results):
    """Length against temperature."""
    figure, ax = _axes("temperature (K)", "(volume per atom)$^{1/3}$ (Å)")
    for name, r, colour, marker in _styled(results):
        words = f"{1e6 * r.coefficient:.1f} ± {1e6 * r.error:.1f} per million and K"
        ax.errorbar(
            r.temperatures,
            r.lengths,
            r.errors,
            color=colour,
            marker=marker,
            ms=5,
            lw=0,
            elinewidth=1.4,
            capsize=3,
            label=f"{name}: {words}" if name else words,
        )
        weight = 1 / r.errors**2
        middle, height = (
            (weight * x).sum() / weight.sum() for x in (r.temperatures, np.log(r.lengths))
        )
        t = np.linspace(r.temperatures.min(), r.temperatures.max(), 50)
        ax.plot(t, np.exp(height + r.coefficient * (t - middle)), color=colour, lw=1.2)
    ax.legend(**SMALL)
    return figure


# -- structure ---------------------------------------------------------------------------------------------------------


def radial(results):
    figure, ax = _axes("distance r (Å)", "g(r)")
    for name, r, colour, _ in _styled(results):
        _band(ax, r.r, r.g, r.error, colour, name)
        if r.half_height < r.r[-1]:
            ax.axvline(r.half_height, color=colour if len(results) > 1 else GREY, lw=1, ls=":")
            ax.annotate(
                "half the cell",
                (r.half_height, 0.98),
                (3, 0),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=8,
                color="#56606b",
                va="top",
            )
    ax.axhline(1, color=GREY, lw=0.8)
    ax.set_ylim(0)
    ax.set_xlim(0, max(r.r[-1] for r in results.values()))
    _legend(ax, results)
    return figure


def angular(results):
    figure, ax = _axes("angle between two bonds (°)", "density (1/°)")
    for name, r, colour, _ in _styled(results):
        _band(ax, r.angle, r.density, r.error, colour, name)
    random = np.linspace(0, 180, 181)
    ax.plot(
        random,
        np.sin(np.radians(random)) * np.pi / 360,
        color=GREY,
        lw=1,
        ls="--",
        label="at random",
    )
    ax.set(xlim=(0, 180), xticks=range(0, 181, 30))
    ax.set_ylim(0)
    ax.legend(**SMALL)
    return figure


def coordinations(results):
    most = max(len(r.share) for r in results.values())
    first = min(int(np.argmax(r.share > 0.005)) for r in results.values())
    figure, ax = _axes("neighbours of an atom", "share of the atoms (%)")
    pad = lambda x: 100 * np.pad(x, (0, most - len(x)))[first:]
    n, width = len(results), 0.8 / len(results)
    for k, (name, r, colour, _) in enumerate(_styled(results)):
        mean = (
            f"mean {r.mean:.2f}"
            + (f" ± {r.error:.2f}" if np.isfinite(r.error) else "")
            + f", within {r.cutoff:.2f} Å"
        )
        error = pad(r.share_error) if np.isfinite(r.share_error).all() else None
        ax.bar(
            np.arange(first, most) + (k - (n - 1) / 2) * width,
            pad(r.share),
            0.92 * width,
            color=colour,
            yerr=error,
            capsize=2,
            label=f"{name}: {mean}" if name else mean,
        )
    ax.set_xticks(range(first, most))
    ax.grid(False, axis="x")
    ax.margins(y=0.15)
    ax.legend(**SMALL)
    return figure


def structure_factors(results):
    figure, ax = _axes("wave vector q (1/Å)", "S(q)")
    for name, r, colour, _ in _styled(results):
        _band(ax, r.q, r.s, r.error, colour, name)
    ax.axhline(1, color=GREY, lw=0.8)
    ax.set_ylim(0)
    _legend(ax, results)
    return figure


# -- vibrations --------------------------------------------------------------------------------------------------------


def bands(results):
    """Phonon bands along the path of each (left), density of states (middle) and heat capacity (right)."""
    figure = Picture(9.6, 3.8)
    band, dos, heat = figure.subplots(1, 3, width_ratios=(2.2, 0.8, 1.1))
    for ax in (band, dos, heat):
        quiet(ax)
    first = next(iter(results.values()))
    scale = first.q[-1]
    for name, r, colour, _ in _styled(results):
        x = r.q / r.q[-1] * scale  # of other lattice constants: their paths are of other lengths
        for part in r.parts:
            band.plot(
                x[part],
                r.frequencies[part],
                color=colour,
                lw=1.4,
                zorder=3 if name == "reference" else 2,
            )
        dos.plot(r.density, r.nu, color=colour, lw=1.3)
        heat.plot(r.temperatures, r.heat_capacity, color=colour, lw=1.4, label=name)
    for tick in first.ticks:
        band.axvline(tick, color=GREY, lw=0.8)
    top = 1.06 * max(r.frequencies.max() for r in results.values())
    low = min(0, 1.1 * min(min(r.lowest, r.frequencies.min()) for r in results.values()))
    low = low if low < -0.05 else 0
    for ax in (band, dos):
        ax.set_ylim(low, top)
    if low:
        band.annotate(
            "imaginary",
            (0.01, 0),
            (0, -10),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8,
            color=RED,
        )
        band.axhline(0, color=RED, lw=0.8)
        dos.axhline(0, color=RED, lw=0.8)
    band.set_xlim(0, scale)
    band.set_xticks(first.ticks, first.labels)
    band.grid(False, axis="x")
    band.set_ylabel("frequency (THz)")
    band.set_xlabel("wave vector")
    dos.set_xlim(0)
    dos.set_xlabel("states (1/THz)")
    dos.tick_params(labelleft=False)
    heat.axhline(3, color=GREY, lw=1, ls="--")
    heat.annotate(
        "3 $k_B$",
        (0.02, 3),
        (0, 2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        color="#56606b",
    )
    heat.set(xlabel="temperature (K)", ylabel="heat capacity ($k_B$/atom)", ylim=(0, 3.3))
    _legend(heat, results, loc="lower right")
    return figure


def spectra(results):
    figure = Picture(8.4, 3.4)
    time, nu = figure.subplots(1, 2)
    for name, r, colour, _ in _styled(results):
        _band(time, r.times, r.correlation, r.correlation_error, colour, name)
        _band(nu, r.nu, r.density, r.error, colour, name)
    time.axhline(0, color=GREY, lw=0.8)
    time.set(
        xlabel="time (fs)",
        ylabel="velocity autocorrelation",
        xlim=(0, min(r.times[-1] for r in results.values())),
    )
    occupied = max(
        r.nu[np.flatnonzero(r.density > 0.01 * r.density.max())[-1]] for r in results.values()
    )
    nu.set(xlabel="frequency (THz)", ylabel="density (1/THz)", xlim=(0, 1.2 * occupied))
    nu.set_ylim(0)
    for ax in (time, nu):
        quiet(ax)
    _legend(nu, results)
    return figure


# -- defects -----------------------------------------------------------------------------------------------------------


def _before_and_after(ax, results):
    """Two bars for each result: pale its energy with nothing moved, full that of the relaxed atoms, hatched where they did not converge."""
    for k, (name, r, colour, _) in enumerate(_styled(results)):
        ax.bar(k - 0.2, r.unrelaxed, 0.36, color=colour, alpha=0.35)
        ax.bar(k + 0.2, r.energy, 0.36, color=colour, hatch=None if r.converged else "//")
        for x, y in ((k - 0.2, r.unrelaxed), (k + 0.2, r.energy)):
            ax.annotate(
                f"{y:.2f}", (x, y), (0, 2), textcoords="offset points", ha="center", fontsize=8.5
            )


def defects(results):
    figure, ax = _axes("", "formation energy (eV)", (1.8 + 1.3 * max(2, len(results)), 3.4))
    _before_and_after(ax, results)
    ax.set_xticks(
        range(len(results)), [f"{name or ''}\n{r.sites} sites" for name, r in results.items()]
    )
    ax.grid(False, axis="x")
    ax.margins(y=0.12)
    ax.set_title("pale: nothing moved, full: relaxed", fontsize=9.5, loc="left")
    return figure


def barriers(results):
    from scipy.interpolate import CubicSpline

    figure, ax = _axes("length of the path (Å)", "energy (eV)")
    for name, r, colour, marker in _styled(results):
        x = np.linspace(0, r.path[-1], 200)
        words = f"{r.barrier:.2f} eV" + ("" if r.converged else ", not converged")
        flat = CubicSpline(r.path, r.energies, bc_type="clamped")  # both ends are at rest
        ax.plot(x, flat(x), color=colour, lw=1.4, label=f"{name}: {words}" if name else words)
        ax.plot(r.path, r.energies, marker, color=colour, ms=5)
    ax.legend(**SMALL)
    return figure


def surfaces(results):
    figure, ax = _axes("", "surface energy (J/m$^2$)", (1.8 + 1.4 * max(2, len(results)), 3.4))
    _before_and_after(ax, results)
    words = lambda r: f"\ndimers {r.dimer:.2f} Å" if np.isfinite(r.dimer) else ""
    ax.set_xticks(
        range(len(results)), [f"{name or '(100)'}{words(r)}" for name, r in results.items()]
    )
    ax.grid(False, axis="x")
    ax.margins(y=0.12)
    ax.set_title("pale: as cut, full: relaxed", fontsize=9.5, loc="left")
    return figure


# -- transport, phases -----------------------------------------------------------------------------------------------------


def _coefficient(diffusion):
    return (
        f"D = {diffusion.coefficient:.2f}"
        + (f" ± {diffusion.error:.2f}" if np.isfinite(diffusion.error) else "")
        + " Å$^2$/ps"
    )


def diffusions(results):
    figure, ax = _axes("time (ps)", "mean squared displacement (Å$^2$)")
    for name, r, colour, _ in _styled(results):
        words = _coefficient(r)
        _band(ax, r.times / 1e3, r.msd, r.msd_error, colour, f"{name}: {words}" if name else words)
        t = np.array(r.fitted) / 1e3
        inside = (r.times >= r.fitted[0]) & (r.times <= r.fitted[1])
        middle = r.msd[inside].mean() - 6 * r.coefficient * r.times[inside].mean() / 1e3
        ax.plot(t, middle + 6 * r.coefficient * t, color=colour, lw=3, alpha=0.35)
    ax.set_xlim(0)
    ax.set_ylim(0)
    ax.legend(**SMALL)
    return figure


def liquids(results):
    """g(r) (left) and mean squared displacement (right) of liquids."""
    figure = Picture(9.2, 3.6)
    near, far = figure.subplots(1, 2)
    for name, r, colour, _ in _styled(results):
        _band(
            near,
            r.structure.r,
            r.structure.g,
            r.structure.error,
            colour,
            f"{name or ''}  {r.coordination.mean:.2f} neighbours".strip(),
        )
        pressure = f", {r.pressure:.1f} GPa" if np.isfinite(r.pressure) else ""
        _band(
            far,
            r.diffusion.times / 1e3,
            r.diffusion.msd,
            r.diffusion.msd_error,
            colour,
            _coefficient(r.diffusion) + pressure,
        )
    for ax in (near, far):
        quiet(ax)
        ax.set_xlim(0)
        ax.set_ylim(0)
        ax.legend(**SMALL)
    near.axhline(1, color=GREY, lw=0.8)
    near.set(
        xlabel="distance r (Å)",
        ylabel="g(r)",
        xlim=(1.5, min(r.structure.half_height for r in results.values())),
    )
    far.set(xlabel="time (ps)", ylabel="mean squared displacement (Å$^2$)")
    return figure


PHASE_COLOURS = {"diamond": BLUE, "beta-tin": ORANGE, "sc": GREEN, "bcc": RED, "fcc": PURPLE}


def phase_curves(results):
    """Energy against volume of all phases, measured from diamond's minimum; one panel a potential."""
    n = len(results)
    columns, rows = min(n, 3), -(-n // 3)
    figure = Picture(1.0 + 3.1 * columns, 0.7 + 2.7 * rows)
    axes = np.atleast_1d(figure.subplots(rows, columns, sharey=True, squeeze=False)).ravel()
    seen = {}
    for ax, (name, result) in zip(axes, results.items()):
        quiet(ax)
        zero = (
            result.curves["diamond"].energy
            if "diamond" in result.curves
            else min(e.energy for e in result.curves.values())
        )
        for phase, eos in result.curves.items():
            v = np.linspace(0.93 * eos.volume, 1.07 * eos.volume, 200)
            colour = PHASE_COLOURS.get(phase, SKY)
            seen[phase], *_ = ax.plot(v, eos.at(v) - zero, color=colour, lw=1.6)
            ax.plot(eos.volumes, eos.energies - zero, "o", color=colour, ms=3)
            if phase != "diamond":
                ax.annotate(
                    f"{eos.energy - zero:.2f}",
                    (eos.volume, eos.energy - zero),
                    (0, -10),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                    color=colour,
                )
        lost = f"no minimum: {', '.join(result.missing)}" if result.missing else ""
        ax.annotate(
            lost,
            (0.98, 0.97),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=8,
            color=RED,
        )
        ax.set_title(name, fontsize=10)
    for ax in axes[n:]:
        ax.set_axis_off()
    for ax in axes[max(0, n - columns) : n]:
        ax.set_xlabel("volume per atom (Å$^3$)")
    for ax in axes[:n:columns]:
        ax.set_ylabel("energy (eV/atom)")
    figure.legend(seen.values(), seen, loc="outside lower center", ncol=5, **SMALL)
    return figure


# -- softening ---------------------------------------------------------------------------------------------------------


def force_slopes(results):
    """Predicted against true force components, and the line of slope s; one panel a potential."""
    n = len(results)
    figure = Picture(0.8 + 3.3 * n, 3.6)
    axes = np.atleast_1d(figure.subplots(1, n, sharex=True, sharey=True))
    end = max(np.abs(r.true).max() for r in results.values()) * 1.05
    for ax, (name, r, colour, _) in zip(axes, _styled(results)):
        quiet(ax)
        ax.plot(r.true, r.predicted, ".", ms=2, color=colour, alpha=0.35, rasterized=True)
        line = np.array([-end, end])
        ax.plot(line, line, color=GREY, lw=1)
        s = r.overall
        ax.plot(line, s.slope * line, color=RED, lw=1.4)
        ax.set_title(
            f"{name or ''}\ns = {s.slope:.3f} ± {s.error:.3f}\nR² = {s.r2:.3f}, s' = {s.reverse:.3f}",
            fontsize=9.5,
        )
        ax.set(xlim=line, ylim=line, xlabel="true force (eV/Å)", aspect="equal")
    axes[0].set_ylabel("predicted force (eV/Å)")
    return figure


def curvature_pairs(results):
    figure, ax = _axes(
        "curvature, reference (eV/Å$^2$)", "curvature, predicted (eV/Å$^2$)", (4.6, 4.2)
    )
    end = 1.08 * max(max(r.reference.max(), r.predicted.max()) for r in results.values())
    for name, r, colour, marker in _styled(results):
        words = f"slope {r.slope:.3f}, spread {r.spread:.3f}"
        ax.plot(
            r.reference,
            r.predicted,
            marker,
            color=colour,
            ms=4.5,
            alpha=0.8,
            label=f"{name}: {words}" if name else words,
        )
        ax.plot([0, end], [0, r.slope * end], color=colour, lw=1)
    ax.plot([0, end], [0, end], color=GREY, lw=1)
    ax.set(xlim=(0, end))
    ax.legend(**SMALL)
    return figure


# -- cards -------------------------------------------------------------------------------------------------------------

FIGURES = {
    "EquationOfState": equations_of_state,
    "Elastic": elastic_constants,
    "Expansion": expansions,
    "RadialDistribution": radial,
    "AngularDistribution": angular,
    "Coordination": coordinations,
    "StructureFactor": structure_factors,
    "Phonons": bands,
    "Spectrum": spectra,
    "Defect": defects,
    "Barrier": barriers,
    "Surface": surfaces,
    "Diffusion": diffusions,
    "Liquid": liquids,
    "Card": card_dots,
    "Phases": phase_curves,
    "Softening": force_slopes,
    "Curvatures": curvature_pairs,
}
