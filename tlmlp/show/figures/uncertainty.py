"""Figure of uncertainty: errors against those that were predicted."""

from .picture import legend_below, log_axis, note, panels
from .style import TEXT, styled


def reliability(results):
    """Errors of bins against their predicted errors, meV/Å: a reliability diagram.

    results: a tlmlp.uncertainty.Reliability, or a dict from a name to one, in eV/Å: of spreads, or
    of distances that a factor of other data has brought to eV/Å.
    """
    results = results if isinstance(results, dict) else {"": results}
    figure, ((ax,),) = panels(6.2, 4.6 + 0.2 * len(results))
    seen, said = [], []
    for found, look in styled(results):
        words = f"{look.word}: correlation {found.correlation:.2f}"
        words = f"{words}, errors {found.factor:.2g} times the predicted".removeprefix(": ")
        points = 1e3 * found.predicted, 1e3 * found.error
        ax.plot(*points, marker=look.marker, color=look.colour, lw=1.6, ms=6, label=words)
        seen += [value for values in points for value in values if value > 0]
        said.append(f"{words}.")
    for axis in "xy":
        log_axis(ax, seen, axis)
    ends = ax.get_xlim()
    ax.plot(ends, ends, color=TEXT, lw=1, zorder=1)
    look = dict(va="top", rotation=45, rotation_mode="anchor")
    note(ax, "as large as predicted", (0.05, 0.05), (4, -2), "axes fraction", **look)
    ax.set(xlabel="predicted error (meV/Å)", ylabel="error of forces (meV/Å)", aspect="equal")
    return legend_below(figure, columns=1).describe("reliability", *said)
