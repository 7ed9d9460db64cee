"""Picture: a matplotlib figure that a notebook shows by itself; and what all figures share."""

import base64
import io
import re
import tomllib
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from .style import PALE, TEXT

CAPTIONS = tomllib.loads(Path(__file__).with_name("captions.toml").read_text("utf-8"))
SMALL = dict(frameon=False, fontsize=9)  # a legend
DISTANCE, G = "distance r (Å)", "g(r) (no unit)"


class Picture(Figure):
    """A matplotlib Figure that a notebook shows by itself, without pyplot: safe in any thread."""

    caption, findings = "", ()

    def __init__(self, width, height):
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        FigureCanvasAgg(self)

    def png(self, dpi=200):
        """The picture as the bytes of a PNG file."""
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=dpi)
        return out.getvalue()

    def describe(self, name, *findings, **words):
        """The Picture with its caption, of captions.toml, and sentences that its alt opens with."""
        if not self.findings:  # of `nothing`: words that stay
            self.caption = " ".join(CAPTIONS[name].format(**words).split())
            self.findings = findings
        return self

    @property
    def alt(self):
        """What is to be seen, for those who do not see it: findings and axes, or axes and lines."""
        axes = dict.fromkeys(read_aloud(ax, lines=not self.findings) for ax in self.axes)
        once = (a for a in axes if a and not any(a[6:-1] in other for other in axes if other != a))
        return " ".join([*self.findings, *once])

    def html(self, dpi=200):
        """An element <figure>: JupyterLab ignores alt texts in the metadata of image/png."""
        width, height = (round(100 * x) for x in self.get_size_inches())
        look = "max-width: 100%; height: auto; background: white; border-radius: 4px"
        source = f"data:image/png;base64,{base64.b64encode(self.png(dpi)).decode()}"
        size = f'width="{width}" height="{height}" style="{look}"'
        words = f'<img alt="{escape(self.alt)}" {size} src="{source}">'
        if self.caption:
            look = f"max-width: {width}px; color: var(--jp-content-font-color1, inherit)"
            words += f'<figcaption style="{look}">{escape(self.caption)}</figcaption>'
        return f'<figure style="margin: 0">{words}</figure>'

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": self.alt}


def plain(words):
    """A label without the marks of mathematics, on one line."""
    words = words.replace("$^2$", "²").replace("$^3$", "³")
    return re.sub(r"\\,|[${}_\\]", "", " ".join(words.split()))


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{round(float(value), 3) + 0:.3g}"


def read_aloud(ax, lines=True):
    """Labels of an axes in words and, with its title, points of the lines that a legend names."""
    labels = " against ".join(filter(None, map(plain, (ax.get_ylabel(), ax.get_xlabel()))))
    parts = [f"Axes: {labels}"] if labels and ax.axison else []
    if not lines:
        return "".join(part + "." for part in parts)
    handles, names = ax.get_legend_handles_labels()
    said = zip(names, (points(ax, handle) for handle in handles))
    parts.insert(0, plain(ax.get_title() or ax.get_title("left")))
    parts.append("; ".join(f"{plain(name)} ({values})" for name, values in said if values))
    return " ".join(part + "." for part in parts if part)


def points(ax, handle):
    """First, smallest, largest and last point of a line in words, or all bars."""
    x, y = _data(ax, handle)
    fixed = isinstance(ax.xaxis.get_major_locator(), FixedLocator)
    ticks = {t.get_position()[0]: plain(t.get_text()) for t in ax.get_xticklabels() if fixed}
    if some := np.flatnonzero(np.isfinite(y)).tolist():
        ends = {some[0], some[np.argmin(y[some])], some[np.argmax(y[some])], some[-1]}
        some = some if isinstance(handle, BarContainer) else sorted(ends)
    return ", ".join(f"{number(y[k])} at {ticks.get(x[k]) or number(x[k])}" for k in some)


def _data(ax, handle):
    """x and y of a line, of its bars of error, or of bars; none of what goes across an axes."""
    if isinstance(handle, BarContainer):
        centres = [round(bar.get_x() + bar.get_width() / 2) for bar in handle]
        return centres, np.array([bar.get_height() for bar in handle], float)
    line = handle[0] if isinstance(handle, ErrorbarContainer) else handle
    inside = isinstance(line, Line2D) and line.get_transform() == ax.transData
    return np.array(line.get_data() if inside else ((), ()), float)


def nothing(words="no precomputed runs of this kind yet", size=(5.0, 0.8)):
    """A Picture without axes that says why there is nothing to draw."""
    figure = Picture(*size)
    figure.text(0.5, 0.5, words, ha="center", va="center", color=TEXT)
    figure.findings = (words[0].upper() + words[1:] + ".",)
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


def log_axis(ax, values, axis="y", floor=1e-2):
    """A logarithmic axis, "x" or "y", around `values`, with plain numbers at its ticks."""
    low, high = max(0.85 * min(values), floor), 1.25 * max(values)
    fine = (np.arange(1, 10, step) for step in (0.5, 0.1))
    for least, digits in zip((4, 3, 3, 3), ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), *fine)):
        ticks = [d * 10.0**e for e in range(-6, 6) for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) >= least:
            break
    ax.set(**{f"{axis}scale": "log", f"{axis}lim": (low, high)})
    getattr(ax, f"set_{axis}ticks")(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def legend_below(figure, columns=4):
    """The figure, with one legend below its axes, which names each line of any of them once."""
    named = {}
    for ax in figure.axes:
        named |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels())}
    if named:
        look = dict(ncol=columns, handlelength=2.8, **SMALL)  # room for dashes beside a marker
        figure.legend(named.values(), named, loc="outside lower center", **look)
    return figure


def band(ax, x, y, error, **look):
    """A line and, where errors are finite, a band of them. Returns the line."""
    (line,) = ax.plot(x, y, **dict(lw=1.6) | look)
    if np.isfinite(error).any():
        ax.fill_between(x, y - error, y + error, color=line.get_color(), alpha=0.25, lw=0)
    return line
