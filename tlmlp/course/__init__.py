"""What the notebooks lean on: is this computer ready, data, precomputed rows, cards, exercises.

Each name is imported when it is first used, so that `course.doctor()` also runs where a package
is missing.
"""

import importlib

_HOME = {
    "machine": ("doctor", "memory_limit", "mode"),
    "checks": (
        "Verdict",
        "check_bulk_modulus",
        "check_constant",
        "check_force",
        "check_frequency",
        "check_kinetic_energy",
        "check_timestep",
    ),
    "sources": ("COURSE", "SOURCES", "data", "melt"),
    "results": ("rows",),
    "runs": ("Run",),
    "cards": ("card", "verdict"),
    "race": (),
    "stability": (),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted([*_HOME, *_MODULE_OF])


def __getattr__(name):
    if name in _HOME:
        return importlib.import_module(f".{name}", __name__)
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
