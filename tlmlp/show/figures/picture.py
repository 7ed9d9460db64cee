"""Picture: a matplotlib figure that a notebook shows by itself; and what all figures share."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .style import GREY, PALE, TEXT

SMALL = dict(frameon=False, fontsize=9)  # a legend
DISTANCE, G = "distance r (Å)", "g(r) (no unit)"


class Picture(Figure):
    """A matplotlib Figure that a notebook shows by itself, without pyplot: safe in any thread."""

    def __init__(self, width, height):
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        FigureCanvasAgg(self)

    def png(self, dpi=200):
        """The picture as the bytes of a PNG file."""
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=dpi)
        return out.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        width, height = (round(100 * x) for x in self.get_size_inches())
        return {"image/png": self.png()}, {"image/png": {"width": width, "height": height}}


def nothing(words="no precomputed runs of this kind yet", size=(5.0, 0.8)):
    """A Picture without axes that says why there is nothing to draw."""
    figure = Picture(*size)
    figure.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def quiet(ax):
    """Axes with a pale grid behind the data and without a frame."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color=PALE, linewidth=0.7)
    ax.set_axisbelow(True)


def panels(width, height, rows=1, columns=1, **options):
    """(Picture, its quiet axes [rows, columns]). options: of `Figure.subplots`."""
    figure = Picture(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        quiet(ax)
    return figure, axes


def note(ax, words, at, shift=(0, 0), on="data", **look):
    """Small words at a point of an axes; shift: points to the right and up; on: its coordinates."""
    look = dict(fontsize=8, color=TEXT) | look
    ax.annotate(words, at, shift, xycoords=on, textcoords="offset points", **look)


def log_axis(ax, values):
    """A logarithmic y axis around `values`, with plain numbers at its ticks."""
    low, high = max(0.85 * min(values), 1e-2), 1.25 * max(values)
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [d * 10.0**e for e in range(-2, 6) for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) >= 4:
            break
    ax.set(yscale="log", ylim=(low, high))
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def legend_below(figure, columns=4):
    """The figure, with one legend below its axes, which names each line of any of them once."""
    named = {}
    for ax in figure.axes:
        named |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels())}
    if named:
        figure.legend(named.values(), named, loc="outside lower center", ncol=columns, **SMALL)
    return figure


def band(ax, x, y, error, **look):
    """A line and, where errors are finite, a band of them. Returns the line."""
    (line,) = ax.plot(x, y, **dict(lw=1.6) | look)
    if np.isfinite(error).any():
        ax.fill_between(x, y - error, y + error, color=line.get_color(), alpha=0.25, lw=0)
    return line
