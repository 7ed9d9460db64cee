"""Properties of matter: the same functions for every ASE calculator, be it a reference, a network, or a learner's own.

    structure    radial_distribution, angular_distribution, coordination, structure_factor      of trajectories
    mechanics    lattice_constant, equation_of_state, elastic; thermal_expansion                of crystals; of trajectories
    vibrations   phonons; velocity_spectrum                                                     of crystals; of trajectories
    defects      vacancy, interstitial, migration, surface                                      of crystals
    transport    diffusion; liquid                                                              of trajectories; of a liquid
    phases       phases                                                                         of an element
    melting      melting                                                                        of a crystal beside its liquid
    softening    softening, softening_of_curvature                                              of forces
    card         measure; card                                                                  all at once; beside the reference

Each returns a NamedTuple with units beside its fields and a `.plot()`; `plot({name: result, ...})` draws several of a kind into one
picture. Nothing is changed in place.
"""

from ..crystal import at_zero_pressure, lattice_constant
from .blocks import mean_and_error
from .coexistence import melting
from .crystals import crystal, phases
from .defects import interstitial, migration, surface, vacancy
from .measured import PROPERTIES, Measured, measure
from .mechanics import elastic, equation_of_state, thermal_expansion
from .slopes import curvatures, modes, softening, softening_of_curvature
from .structure import (
    angular_distribution,
    coordination,
    radial_distribution,
    structure_factor,
    tetrahedrality,
)
from .transport import diffusion, liquid
from .vibrations import phonons, velocity_spectrum

__all__ = [
    "Measured",
    "PROPERTIES",
    "angular_distribution",
    "at_zero_pressure",
    "coordination",
    "crystal",
    "curvatures",
    "diffusion",
    "elastic",
    "equation_of_state",
    "interstitial",
    "lattice_constant",
    "liquid",
    "mean_and_error",
    "measure",
    "melting",
    "migration",
    "modes",
    "phases",
    "phonons",
    "radial_distribution",
    "softening",
    "softening_of_curvature",
    "structure_factor",
    "surface",
    "tetrahedrality",
    "thermal_expansion",
    "vacancy",
    "velocity_spectrum",
]
