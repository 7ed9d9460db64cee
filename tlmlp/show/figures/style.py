"""One look for all figures: what each method and element is called, its colour and its marker."""

from itertools import cycle
from typing import NamedTuple

from matplotlib.colors import LinearSegmentedColormap, to_hex

# M. Okabe and K. Ito, Color Universal Design (2008): told apart with every kind of colour vision.
BLACK, ORANGE, BLUE, GREEN = "#000000", "#E69F00", "#0072B2", "#009E73"  # of methods alone
GREY = "#8a929b"  # so is this one
PURPLE, SKY, RED = "#CC79A7", "#56B4E9", "#D55E00"
INDIGO, WINE, OLIVE = "#332288", "#882255", "#999933"  # P. Tol, Colour Schemes
BROWN, SAND = "#7B4B2A", "#C9AE3C"
PALE, TEXT, INK = "#e4e7ea", "#56606b", "#1b1f23"  # grids; notes and lines to compare with; frames

PALETTE = (INDIGO, RED, WINE, OLIVE, BROWN)  # of series without order, and of others' potentials
ORDER = LinearSegmentedColormap.from_list("order", (INDIGO, WINE, "#CC6677", SAND))
MARKERS = "os^Dv<>P"
ELEMENT_COLOURS = {"Si": PURPLE, "Ge": SKY}


class Method(NamedTuple):
    """How a method is shown, in every figure and widget."""

    word: str  # in legends and menus
    short: str  # in narrow columns
    colour: str
    marker: str  # of matplotlib
    zorder: float  # what lies on top where lines meet


METHODS = {
    "reference": Method("reference", "reference", BLACK, "D", 3.3),
    "scratch": Method("scratch", "scratch", ORANGE, "s", 3.2),
    "transfer": Method("transfer", "transfer", BLUE, "o", 3.1),
    "reduced": Method("transfer, reduced units", "reduced units", GREEN, "^", 3.0),
    "silicon": Method("silicon unchanged", "silicon", GREY, "D", 2.9),
}

LINEAR = Method("linear potential", "linear", BROWN, "D", 3.1)


def method_of(name):
    """The Method of a key of METHODS or of its word; None for any other name."""
    return METHODS.get(name) or {method.word: method for method in METHODS.values()}.get(name)


def styled(results):
    """(result, Method) of each; names that the table of methods lacks have other colours."""
    others = zip(cycle(PALETTE), cycle(MARKERS))
    for name, result in results.items():
        yield result, method_of(name) or Method(name, name, *next(others), 3.0)


def shades(n):
    """n colours from dark to pale, of series that have an order, such as time steps."""
    return [to_hex(ORDER(k / max(n - 1, 1))) for k in range(n)]
