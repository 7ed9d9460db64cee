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

from .blocks import mean_and_error
from .card import card, measure
from .defects import interstitial, migration, surface, vacancy
from .mechanics import at_zero_pressure, elastic, equation_of_state, lattice_constant, thermal_expansion
from .melting import melting
from .phases import crystal, phases
from .softening import curvatures, modes, softening, softening_of_curvature
from .structure import angular_distribution, coordination, radial_distribution, structure_factor, tetrahedrality
from .transport import diffusion, liquid
from .vibrations import phonons, velocity_spectrum


def plot(results, **options):
    """A figure of results of one kind, a dict from a name to each; names such as "reference" and "scratch" have their own colours."""
    from ..show import properties as figures

    return figures.draw(results, **options)
