"""Properties of matter, by the same functions for every ASE calculator.

    structure    radial_distribution, coordination, tetrahedrality       of trajectories
    transport    diffusion; liquid                                       of trajectories; liquids
    mechanics    equation_of_state, elastic; phases, crystal             of crystals; of an element
    vibrations   phonons                                                 of crystals
    defects      vacancy, interstitial, migration; surface               of crystals; of an element
    slopes       softening                                               of forces
    stiffness    softening_of_curvature                                  of structures at rest
    measured     measure, PROPERTIES                                     of a crystal, one by one
    blocks       mean_and_error                                          of correlated samples

Each gives a NamedTuple with units beside its fields; `tlmlp.show.plot({name: result, ...})` draws
several of a kind into one picture. Nothing is changed in place.
"""

from ..crystal import at_zero_pressure, lattice_constant
from .blocks import mean_and_error
from .defects import interstitial, migration, surface, vacancy
from .measured import PROPERTIES, Measured, measure
from .mechanics import crystal, elastic, equation_of_state, phases
from .slopes import softening
from .stiffness import softening_of_curvature
from .structure import coordination, radial_distribution, tetrahedrality
from .transport import diffusion, liquid
from .vibrations import phonons

__all__ = ["Measured", "PROPERTIES", "at_zero_pressure", "coordination", "crystal", "diffusion"]
__all__ += ["elastic", "equation_of_state", "interstitial", "lattice_constant", "liquid"]
__all__ += ["mean_and_error", "measure", "migration", "phases", "phonons", "radial_distribution"]
__all__ += ["softening", "softening_of_curvature", "surface", "tetrahedrality", "vacancy"]
