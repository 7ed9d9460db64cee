"""What a person sees: figures, and widgets that work in the background of a notebook.

Each name is imported when it is first used: moving atoms need not wait for what draws figures.
"""

import importlib

_NAMES = {
    "figures.alloys": "densities mixture",
    "figures.cards": "repair",
    "figures.choices": "attempts choices losses moves",
    "figures.dynamics": "coexistence conservation melting",
    "figures.learning": "learning_curve likeness parity",
    "figures.network": "picture_bases picture_network picture_slots",
    "figures.properties": "plot",
    "figures.results": "forgetting freezing learning_curves stability_map temperatures "
    "training_curves",
    "figures.scaling": "domains scaling thermo_output",
    "figures.similarity": "gain_matrix gains outlooks",
    "figures.uncertainty": "reliability",
    "figures.universal": "phase_slopes rivals soft_properties",
    "widgets.alchemy": "Alchemy",
    "widgets.bench": "PropertyBench",
    "widgets.choices": "Choices",
    "widgets.duel": "Duel",
    "widgets.explorer": "TransferExplorer",
    "widgets.family": "Family",
    "widgets.lammps_run": "LammpsRun",
    "widgets.live": "Live",
    "widgets.md": "LiveMD",
    "widgets.training": "Training",
    "widgets.watch": "Watch",
    "widgets.worksheet": "Worksheet",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted([*_HOME, "watch"])


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    wanted = "Watch" if name == "watch" else name
    return getattr(importlib.import_module(f".{_HOME[wanted]}", __name__), wanted)


def __dir__():
    return __all__
