"""What the notebooks lean on: is this computer ready, the data, precomputed rows, cards, exercises."""

from . import results, sources, stability
from .cards import card, verdict
from .checks import (
    Verdict,
    check_bulk_modulus,
    check_constant,
    check_force,
    check_frequency,
    check_kinetic_energy,
    check_timestep,
)
from .machine import doctor, memory_limit, mode
from .results import rows
from .sources import COURSE, SOURCES, data, melt

__all__ = [
    "COURSE",
    "SOURCES",
    "Verdict",
    "card",
    "check_bulk_modulus",
    "check_constant",
    "check_force",
    "check_frequency",
    "check_kinetic_energy",
    "check_timestep",
    "data",
    "doctor",
    "melt",
    "memory_limit",
    "mode",
    "results",
    "rows",
    "sources",
    "stability",
    "verdict",
]
