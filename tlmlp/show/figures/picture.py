"""Picture: a matplotlib figure that a notebook shows by itself."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .style import GREY


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

    def __repr__(self):
        return f"<figure, {len(self.axes)} axes>"


NOTHING = "no precomputed runs of this kind yet"


def nothing(words=NOTHING, size=(5.0, 0.8)):
    """A Picture without axes that says why there is nothing to draw."""
    figure = Picture(*size)
    figure.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def quiet(ax):
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#e4e7ea", linewidth=0.7)
    ax.set_axisbelow(True)
