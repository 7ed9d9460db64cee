"""Tables of precomputed rows, as text."""

from ...course.results import SIZES, mean_and_spread, own_best
from ...course.sources import SOURCES
from ...potential import header, shipped
from .learning import groups, where
from .picture import NOTHING
from .style import METHODS

ERRORS = {"force_mae": "force MAE, meV/Å", "force_rmse": "force RMSE, meV/Å"}
ERRORS |= {"energy_rmse": "energy RMSE, meV/atom"}


def _line(cells, *widths):
    """Cells of a line: the first ones to the left, of these widths, the others to the right."""
    left = "".join(f"{cell:{width}}" for cell, width in zip(cells, widths))
    return left + "".join(f"{cell:>12}" for cell in cells[len(widths) :])


def _cell(values, digits=0, least=1):
    """Mean ± standard deviation; a dash where there are fewer than `least` values."""
    if len(values) < least:
        return "–"
    mean, spread = mean_and_spread(values)
    return f"{mean:.{digits}f}" + f" ± {spread:.{digits}f}" * (len(values) > 1)


def error_table(rows, key="force_mae"):
    """The numbers of `learning_curves` as text: mean ± standard deviation over seeds.

    key: "force_mae" (meV/Å), "force_rmse" (meV/Å) or "energy_rmse" (meV/atom), of held-out
    structures. Raises ValueError for another.
    """
    if key not in ERRORS:
        raise ValueError(f"key must be one of {', '.join(ERRORS)}, not {key!r}")
    lines, digits = [ERRORS[key]], 1 if key == "energy_rmse" else 0
    for source, own in groups(own_best(rows), source=SOURCES):
        lines.append(_line([SOURCES[source].words, *(n or "all" for n in SIZES)], 24))
        for method, group in groups(own, method=METHODS):
            cells = [_cell([r[key] for r in where(group, n=n)], digits) for n in SIZES]
            lines.append(_line([METHODS[method].word, *cells], 24))
        lines.append("")
    return "\n".join(lines[:-1]) or NOTHING


def cutoff_table(rows):
    """Force MAE in meV/Å as text: is it the change of units that helps, or the larger cutoff?

    Rows of "cutoff", with those of "learning-curve" for the methods with cutoffs of their own.
    """
    kinds = (
        ("scratch", None, "silicon's"),
        ("scratch", "long", "larger"),
        ("transfer", None, "silicon's"),
        ("reduced", "short", "silicon's"),
        ("reduced", None, "larger"),
    )
    lines, changed = [], [r for r in rows if r.get("cutoff")]
    sizes = sorted({r["n"] for r in changed})
    for source, _ in groups(changed, source=SOURCES):
        names = [SOURCES[source].words, "cutoff", "untrained", *(f"N = {n}" for n in sizes)]
        lines.append(_line(names, 26, 12))
        for method, cutoff, words in kinds:
            own = where(rows, source=source, method=method, cutoff=cutoff)
            columns = [[r["untrained"][0] for r in own if r["untrained"]]]
            columns += [[r["force_mae"] for r in where(own, n=n)] for n in sizes]
            cells = [_cell(values, least=2) for values in columns]
            lines.append(_line([METHODS[method].word, words, *cells], 26, 12))
        lines.append("")
    return "\n".join(lines[:-1]) or NOTHING


# Energy RMSE (meV/atom) and force RMSE (meV/Å) on mlearn's test sets, silicon's and germanium's.
# M3GNet, NNP, MTP: C. Chen and S. P. Ong, Nat. Comput. Sci. 2, 718 (2022), table 1. SNAP, qSNAP:
# the coefficients released with Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020), evaluated.
PUBLISHED = {
    "M3GNet": {"Si": (9.6, 102.8), "Ge": (9.4, 76.4)},
    "NNP": {"Si": (9.9, 174.2), "Ge": (11.0, 124.3)},
    "MTP": {"Si": (3.0, 88.1), "Ge": (3.7, 70.3)},
    "SNAP": {"Si": (8.1, 205.3), "Ge": (9.8, 295.1)},
    "qSNAP": {"Si": (5.5, 176.9), "Ge": (10.6, 200.5)},
}


def published_table(element="Ge"):
    """Published potentials and ours of the paper's size on mlearn's test set, as text.

    Ours are those that ship. element: "Ge" or "Si"; raises ValueError for another.
    """
    if element not in ("Si", "Ge"):
        raise ValueError(f"element must be one of Si, Ge, not {element!r}")
    table = {name: errors[element] for name, errors in PUBLISHED.items()}
    for name in shipped():
        info = header(name)["info"]
        if (info["data"], info["config"]) == (f"mlearn:{element}", "paper"):
            key = "reduced" if info.get("reduced_units") else "transfer"
            word = METHODS[key if "start" in info else "scratch"].word
            errors = info["test_errors"]["energy_rmse"], info["test_errors"]["force_rmse"]
            table[f"DimeNet++ here, {word} ({name})"] = errors
    width = max(map(len, table))
    title = f"{element}, test set of mlearn"
    lines = [f"{title:{width}}{'energy RMSE, meV/atom':>24}{'force RMSE, meV/Å':>20}"]
    for name, (energy, force) in sorted(table.items(), key=lambda item: item[1][1]):
        lines.append(f"{name:{width}}{energy:24.1f}{force:20.1f}")
    return "\n".join(lines)
