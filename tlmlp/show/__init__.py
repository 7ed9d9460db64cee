"""What a person sees: figures, and widgets that work in the background of a notebook."""

from .figures.cards import repair
from .figures.dynamics import coexistence, conservation, melting
from .figures.learning import learning_curve, likeness, parity
from .figures.network import picture_bases, picture_network, picture_slots
from .figures.properties import plot
from .figures.results import freezing, learning_curves, stability_map, temperatures, training_curves
from .figures.scaling import domains, scaling, thermo_output
from .figures.universal import phase_slopes, rivals, soft_properties
from .widgets.bench import PropertyBench
from .widgets.duel import Duel
from .widgets.explorer import TransferExplorer
from .widgets.lammps_run import LammpsRun
from .widgets.live import Live
from .widgets.md import LiveMD
from .widgets.training import Training
from .widgets.watch import Watch
from .widgets.worksheet import Worksheet

watch = Watch
__all__ = [
    "Duel",
    "LammpsRun",
    "Live",
    "LiveMD",
    "PropertyBench",
    "Training",
    "TransferExplorer",
    "Watch",
    "Worksheet",
]
__all__ += [
    "coexistence",
    "conservation",
    "domains",
    "freezing",
    "scaling",
    "learning_curve",
    "learning_curves",
]
__all__ += ["likeness", "melting", "parity", "picture_bases", "picture_network", "picture_slots"]
__all__ += ["phase_slopes", "plot", "repair", "rivals", "soft_properties", "stability_map"]
__all__ += ["temperatures", "thermo_output", "training_curves", "watch"]
