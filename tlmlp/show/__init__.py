"""What a person sees: figures, and widgets that work in the background while the notebook stays free."""

from .figures.cards import card_dots, repair
from .figures.dynamics import conservation, melting
from .figures.learning import learning_curve, likeness, parity
from .figures.network import picture_bases, picture_network, picture_slots
from .figures.properties import draw as plot
from .figures.results import (
    coexistence,
    cutoff_table,
    error_table,
    freezing,
    learning_curves,
    published_table,
    stability_map,
    temperatures,
    training_curves,
)
from .widgets.bench import PropertyBench
from .widgets.duel import Duel
from .widgets.explorer import TransferExplorer
from .widgets.live import Live
from .widgets.md import LiveMD
from .widgets.training import Training
from .widgets.watch import Watch, watch

__all__ = [
    "Duel",
    "Live",
    "LiveMD",
    "PropertyBench",
    "Training",
    "TransferExplorer",
    "Watch",
    "card_dots",
    "coexistence",
    "conservation",
    "cutoff_table",
    "error_table",
    "freezing",
    "learning_curve",
    "learning_curves",
    "likeness",
    "melting",
    "parity",
    "picture_bases",
    "picture_network",
    "picture_slots",
    "plot",
    "published_table",
    "repair",
    "stability_map",
    "temperatures",
    "training_curves",
    "watch",
]
