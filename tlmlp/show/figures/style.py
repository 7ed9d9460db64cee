"""One look for all figures: what each method, element and phase is called, and its colour and marker."""

# Okabe & Ito (2008): told apart with every kind of colour vision.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)


PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, YELLOW)


MARKERS = "os^Dv<>P"


GREY = "#8a929b"


ELEMENT_COLOURS = {"Si": ORANGE, "Ge": BLUE}


STYLE = {  # of a method: colour, marker, words
    "transfer": (BLUE, "o", "transfer"),
    "reduced": (GREEN, "^", "transfer, reduced units"),
    "scratch": (ORANGE, "s", "scratch"),
}


WORDS = {
    "reference": "the truth itself",
    "transfer": "transfer",
    "reduced": "transfer, reduced units",
    "scratch": "scratch",
}


CARD = {  # of a method: colour, marker
    "scratch": (ORANGE, "s"),
    "transfer": (BLUE, "o"),
    "reduced": (GREEN, "^"),
}


KNOWN = {  # colours of what the course compares
    "reference": BLACK,
    "scratch": ORANGE,
    "transfer": BLUE,
    "transfer, reduced units": GREEN,
    "silicon unchanged": GREY,
}
