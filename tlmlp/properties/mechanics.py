"""Mechanics of crystals: lattice constant, equation of state, elastic constants, thermal expansion.

Everything takes a perfect crystal (ase.Atoms, any cell of it) and any ASE calculator; nothing is changed in place.

    E(V) = E0 + 9 V0 B0/16 {[(V0/V)^(2/3) - 1]^3 B0' + [(V0/V)^(2/3) - 1]^2 [6 - 4 (V0/V)^(2/3)]}      Birch and Murnaghan
    C_ij = ∂σ_i/∂ε_j, i and j from 1 to 6: xx yy zz yz xz xy (Voigt; a shear strain counts twice)

Birch and Murnaghan's energy is a polynomial of third degree in V^(-2/3), so its fit is linear and has one answer. Elastic constants
are central differences of the stress; the atoms relax inside the strained cell, unless they are clamped. Averages over the
directions of a polycrystal after Voigt, Reuss and Hill.

Sources: F. Birch, Phys. Rev. 71, 809 (1947); R. Hill, Proc. Phys. Soc. A 65, 349 (1952). Units: Å, eV, GPa, K.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.optimize import LBFGS

from ..crystal import at_zero_pressure, crystal_of, cubic_edge, strained, stress
from .blocks import frames_of, mean_and_error

RANGE = 0.04  # of the length, to either side: where an equation of state is sampled
POINTS = 9


class EquationOfState(NamedTuple):
    """Energy against volume; the fit by Birch and Murnaghan."""

    volume: float  # Å^3 per atom, where the energy is smallest
    energy: float  # eV per atom, there
    bulk_modulus: float  # GPa
    derivative: float  # of the bulk modulus with respect to pressure
    lattice_constant: float  # Å, edge of the cubic cell; nan where the crystal is not cubic
    residual: float  # meV per atom, root mean square of what the fit leaves
    volumes: np.ndarray  # [P] Å^3 per atom
    energies: np.ndarray  # [P] eV per atom

    def at(self, volumes):
        """The fitted energy in eV per atom at volumes per atom."""
        eta = (self.volume / np.asarray(volumes, float)) ** (2 / 3) - 1
        stiffness = 9 * self.volume * self.bulk_modulus * units.GPa / 16
        return self.energy + stiffness * (eta**3 * self.derivative + eta**2 * (2 - 4 * eta))

    def plot(self):
        return _plot(self)


class Elastic(NamedTuple):
    """Elastic constants in GPa."""

    tensor: np.ndarray  # [6, 6], atoms relaxed
    clamped: np.ndarray  # [6, 6], atoms carried along by the cell
    pressure: float  # GPa, of the crystal without strain
    lattice_constant: float  # Å, edge of the cubic cell; nan where the crystal is not cubic
    atoms: Atoms  # the crystal without strain

    c11 = property(lambda self: float(np.diag(self.tensor)[:3].mean()), doc="mean of the three")
    c12 = property(
        lambda self: float(self.tensor[[0, 0, 1], [1, 2, 2]].mean()), doc="mean of the three"
    )
    c44 = property(
        lambda self: float(np.diag(self.tensor)[3:].mean()), doc="mean of the three, atoms relaxed"
    )
    c44_clamped = property(
        lambda self: float(np.diag(self.clamped)[3:].mean()), doc="mean of the three, atoms clamped"
    )
    bulk_modulus = property(
        lambda self: sum(self.bounds[0]) / 2, doc="Hill's mean of Voigt's and Reuss's"
    )
    shear_modulus = property(
        lambda self: sum(self.bounds[1]) / 2, doc="Hill's mean of Voigt's and Reuss's"
    )

    @property
    def bounds(self):
        """((bulk by Reuss, by Voigt), (shear by Reuss, by Voigt)): what a polycrystal lies between."""
        out = []
        for tensor, reuss in ((np.linalg.inv(self.tensor), True), (self.tensor, False)):
            axial, mixed, shear = (
                np.trace(tensor[:3, :3]),
                tensor[[0, 0, 1], [1, 2, 2]].sum(),
                np.trace(tensor[3:, 3:]),
            )
            if reuss:
                out.append((1 / (axial + 2 * mixed), 15 / (4 * axial - 4 * mixed + 3 * shear)))
            else:
                out.append(((axial + 2 * mixed) / 9, (axial - mixed + 3 * shear) / 15))
        return tuple((float(a), float(b)) for a, b in zip(*out))

    def plot(self):
        return _plot(self)


class Expansion(NamedTuple):
    """Thermal expansion, from trajectories at constant pressure."""

    temperatures: np.ndarray  # [T] K
    lengths: np.ndarray  # [T] Å, cube root of the volume per atom
    errors: np.ndarray  # [T] Å, by blocks
    coefficient: float  # 1/K, of the length, mean over the temperatures
    error: float  # 1/K

    def plot(self):
        return _plot(self)


def _plot(result):
    from . import plot

    return plot({"": result})


# -- crystals ---------------------------------------------------------------------------------------------------------


def relaxed(atoms, calculator, force=0.01, steps=300):
    """(atoms with the calculator, whether the largest force fell below `force` in eV/Å) after at most so many steps."""
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms, bool(LBFGS(atoms, logfile=None, maxstep=0.1).run(fmax=force, steps=steps))


# -- equation of state --------------------------------------------------------------------------------------------------


def equation_of_state(atoms, calculator, span=RANGE, scales=None):
    """EquationOfState of a crystal whose shape and fractions stay as they are.

    span: of the length, to either side of its best, where nine energies are computed; scales: or the factors of the length
    themselves. Raises RuntimeError where the energy has no minimum within them, or between 0.6 and 1.6 times the length.
    """
    atoms, energies = crystal_of(atoms), {}
    volume, N = atoms.get_volume(), len(atoms)

    def energy(scale):
        if scale not in energies:
            moved = strained(atoms, (scale - 1) * np.eye(3))
            moved.calc = calculator
            energies[scale] = moved.get_potential_energy() / N
        return energies[scale]

    if scales is None:
        step, middle = 2 * span / (POINTS - 1), 0
        while True:  # until the smallest energy is about in the middle
            places = np.arange(middle - POINTS // 2, middle + POINTS // 2 + 1)
            scales = [1 + step * int(k) for k in places]
            if not 0.6 < scales[0] or not scales[-1] < 1.6:
                raise RuntimeError("the energy has no minimum between 0.6 and 1.6 times the length")
            lowest = int(np.argmin([energy(s) for s in scales])) - POINTS // 2
            if abs(lowest) < 2:
                break
            middle += lowest
    if len(scales) < 5:
        raise ValueError(
            f"an equation of state has four numbers to fit and needs at least 5 volumes, not {len(scales)}"
        )
    volumes = volume / N * np.asarray(scales, float) ** 3
    return fit_equation_of_state(
        volumes, [energy(s) for s in scales], cubic_edge(atoms) ** 3 / (volume / N)
    )


def fit_equation_of_state(volumes, energies, atoms_in_cube=float("nan")):
    """EquationOfState of energies (eV per atom) at volumes (Å^3 per atom); atoms_in_cube: in the cubic cell, for its edge."""
    volumes, energies = np.asarray(volumes, float), np.asarray(energies, float)
    middle = volumes.mean()
    x = (volumes / middle) ** (-2 / 3)
    p = np.polynomial.Polynomial.fit(x, energies, 3).convert()
    turning = p.deriv().roots()
    turning = turning[np.isreal(turning)].real
    turning = turning[p.deriv(2)(turning) > 0]
    inside = turning[(turning > 0.9 * x.min()) & (turning < 1.1 * x.max())]
    if not len(inside):
        raise RuntimeError("the energies have no minimum near the volumes given")
    x0 = inside[0]
    volume = middle * x0**-1.5
    # With x = (V/middle)^(-2/3): dx/dV = -2x/3V. B = V E'' and B' = -1 - V E'''/E'' at the minimum.
    d2, d3 = p.deriv(2)(x0), p.deriv(3)(x0)
    dx = -2 * x0 / (3 * volume)
    ddx = 10 * x0 / (9 * volume**2)
    second = d2 * dx**2
    third = d3 * dx**3 + 3 * d2 * dx * ddx
    residual = 1e3 * np.sqrt(np.mean((p(x) - energies) ** 2))
    return EquationOfState(
        float(volume),
        float(p(x0)),
        float(volume * second / units.GPa),
        float(-1 - volume * third / second),
        float((atoms_in_cube * volume) ** (1 / 3)),
        float(residual),
        volumes,
        energies,
    )


# -- elastic constants ----------------------------------------------------------------------------------------------------


def elastic(
    atoms, calculator, strain=0.005, force=5e-4, steps=100, zero_pressure=True, cubic=False
):
    """Elastic constants of a crystal.

    strain: to either side; force: eV/Å, where the relaxation of atoms in the strained cell ends, after at most `steps`;
    zero_pressure: first scale the crystal to zero pressure (if not, and it has a pressure, these are coefficients of stress
    against strain about that pressure); cubic: strain one axis and one angle alone, a third of the work, and fill in the rest by
    the symmetry of a cubic crystal whose axes are x, y and z.

    Raises ValueError for a calculator without stress, RuntimeError where no volume has zero pressure.
    """
    atoms = at_zero_pressure(atoms, calculator) if zero_pressure else crystal_of(atoms)
    if cubic and not np.isfinite(cubic_edge(atoms)):
        raise ValueError("this crystal is not cubic: leave cubic=False")
    if not 0 < strain < 0.1:
        raise ValueError(f"strain must be a small positive number such as 0.005, not {strain!r}")

    def stresses(direction):
        """Difference quotients [2, 6] of the stress, clamped and relaxed, for one Voigt strain."""
        out = []
        for sign in (1, -1):
            moved = strained(atoms, sign * strain * _voigt(direction))
            clamped = stress(moved, calculator)
            # a crystal whose symmetry holds the atoms has no forces, and nothing is computed again
            moved, _ = relaxed(moved, calculator, force, steps)
            out.append((clamped, moved.getstress() / units.GPa))
        return (np.array(out[0]) - np.array(out[1])) / (2 * strain)

    pressure = -float(stress(atoms.copy(), calculator)[:3].mean())
    tensors = np.zeros((2, 6, 6))
    if cubic:
        axial, shear = stresses(0), stresses(3)
        for tensor, a, s in zip(tensors, axial, shear):
            tensor[:3, :3] = (a[1] + a[2]) / 2
            np.fill_diagonal(tensor, [a[0]] * 3 + [s[3]] * 3)
    else:
        for direction in range(6):
            tensors[:, :, direction] = stresses(direction)
        tensors = (tensors + tensors.transpose(0, 2, 1)) / 2
    return Elastic(tensors[1], tensors[0], pressure, cubic_edge(atoms), atoms)


def _voigt(direction):
    """Strain [3, 3] of one Voigt direction; shear strains count twice, so half of them goes to either side."""
    out = np.zeros((3, 3))
    a, b = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))[direction]
    out[a, b] = out[b, a] = 1.0 if a == b else 0.5
    return out


# -- temperature -----------------------------------------------------------------------------------------------------------


def thermal_expansion(trajectories, temperatures=None, skip=0.2, blocks=5):
    """Expansion of trajectories at constant pressure, one for each temperature: of tlmlp.simulate.npt, or lists of ase.Atoms.

    temperatures: K [default: those of their thermostats]; skip: share of each left out at its beginning. The coefficient is
    the slope of the logarithm of the length, weighted by the errors. Raises ValueError for fewer than two temperatures, or
    for cells that do not change.
    """
    trajectories = [frames_of(t, skip) for t in trajectories]
    if temperatures is None:
        if not all("target_K" in frames[0].info for frames in trajectories):
            raise ValueError("the temperatures are not known: give them in K")
        temperatures = [frames[0].info["target_K"] for frames in trajectories]
    temperatures = np.asarray(temperatures, float)
    if len(temperatures) != len(trajectories) or len(set(temperatures)) < 2:
        raise ValueError(
            "thermal expansion needs trajectories at two temperatures or more, and one temperature for each"
        )
    series = [
        np.array([(atoms.get_volume() / len(atoms)) ** (1 / 3) for atoms in frames])
        for frames in trajectories
    ]
    if any(np.ptp(s) == 0 for s in series):
        raise ValueError(
            "the volume does not change: these trajectories are not at constant pressure (tlmlp.simulate.npt)"
        )
    lengths, errors = np.array([mean_and_error(s, blocks) for s in series]).T
    logarithm, sigma = np.log(lengths), errors / lengths
    weight = 1 / sigma**2
    t = temperatures - (weight * temperatures).sum() / weight.sum()
    slope = (weight * t * logarithm).sum() / (weight * t**2).sum()
    return Expansion(
        temperatures, lengths, errors, float(slope), float((weight * t**2).sum() ** -0.5)
    )
