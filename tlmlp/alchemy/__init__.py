"""Alchemical atoms: each lies at a fraction λ between two elements, A at 0 and B at 1.

mixed        AlchemicalCalculator, masses      energy, forces, stress and ∂E/∂λ
inverse      descend                           the λ at which a crystal has a wanted property
free_energy  integrate, harmonic               of one element in the place of another
"""

from .free_energy import harmonic, integrate
from .inverse import descend
from .mixed import AlchemicalCalculator, masses

__all__ = ["AlchemicalCalculator", "descend", "harmonic", "integrate", "masses"]
