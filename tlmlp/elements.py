"""What the rest of the package knows about an element: one row of a table.

Sources of the parameters, whose formula is in tlmlp.stillinger_weber:
    Si  F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985)
    Ge  K. Ding and H. C. Andersen, Phys. Rev. B 34, 6987 (1986)
Only lambda tells the two apart once lengths are measured in sigma and energies in epsilon. With
silicon's 21 for both, germanium would be a rescaled silicon and a transfer would prove nothing.
"""

from dataclasses import dataclass

from ase.data import atomic_masses, atomic_numbers

SW_CUTOFF = 1.80  # a, in units of sigma


@dataclass(frozen=True)
class Element:
    """One element, as Stillinger-Weber describes it.

    `lattice_constant` and `melting_temperature` are the *model's*, at zero pressure. Experiments
    give 5.431 Å and 1687 K for Si, 5.658 Å and 1211 K for Ge: Ding and Andersen fitted the solid.
    2900 K is our estimate, to 50 K: 1536 atoms, half molten, 60 ps in LAMMPS at constant enthalpy.
    """

    symbol: str
    lattice_constant: float  # Å, diamond
    melting_temperature: float  # K
    epsilon: float  # eV
    sigma: float  # Å
    lam: float  # lambda, strength of the three-body term, no unit
    cos_angle: float = -1 / 3  # cos theta_0 of the bonds, here the tetrahedral angle

    @property
    def mass(self) -> float:
        """Mass of an atom in amu."""
        return float(atomic_masses[atomic_numbers[self.symbol]])

    @property
    def cutoff(self) -> float:
        """Distance beyond which two atoms do not interact, a sigma, in Å."""
        return SW_CUTOFF * self.sigma


ELEMENTS = {
    "Si": Element("Si", 5.4309, 1691, epsilon=2.1683, sigma=2.0951, lam=21.0),
    "Ge": Element("Ge", 5.6536, 2900, epsilon=1.93, sigma=2.181, lam=31.0),
}


def element(symbol: str) -> Element:
    """The row of an element, by its chemical symbol; ValueError for one that is not known."""
    if isinstance(symbol, str) and symbol in ELEMENTS:
        return ELEMENTS[symbol]
    known = ", ".join(map(repr, ELEMENTS))
    raise ValueError(f"element {symbol!r} is not known, use one of {known}")
