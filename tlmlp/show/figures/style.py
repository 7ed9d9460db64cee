"""One look for all figures: what each method and element is called, its colour and its marker."""

from typing import NamedTuple

# M. Okabe and K. Ito, Color Universal Design (2008): told apart with every kind of colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE, TEXT, INK = "#8a929b", "#e4e7ea", "#56606b", "#1b1f23"  # marks, grids, notes, frames

PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, YELLOW)  # of series that are no methods
OWN = (PURPLE, RED, SKY, YELLOW)  # of potentials beside METHODS
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


def method_of(name):
    """The Method of a key of METHODS or of its word; None for any other name."""
    return METHODS.get(name) or {method.word: method for method in METHODS.values()}.get(name)
