"""Mechanics of crystals: equation of state, phases, elastic constants.

Everything takes a perfect crystal (ase.Atoms, any cell of it) and any ASE calculator.

    E(V) = E0 + 9 V0 B0/16 {[(V0/V)^(2/3) - 1]^3 B0' + [(V0/V)^(2/3) - 1]^2 [6 - 4 (V0/V)^(2/3)]}
    C_ij = ∂σ_i/∂ε_j, i and j from 1 to 6: xx yy zz yz xz xy (Voigt; a shear strain counts twice)

E has its minimum E0 at the volume V0, with the bulk modulus B0 and B0' = ∂B/∂P there. It is a
polynomial of third degree in V^(-2/3), so its fit is linear. Elastic constants C are central
differences of the stress σ by the strain ε; the atoms relax in the strained cell, unless clamped.

Sources: F. Birch, Phys. Rev. 71, 809 (1947); R. Hill, Proc. Phys. Soc. A 65, 349 (1952).
Units: Å, eV, GPa.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from ase.optimize import LBFGS
from numpy.typing import ArrayLike

from ..crystal import at_zero_pressure, crystal_of, cubic_edge, in_standard_frame, strained, stress
from ..refusal import one_of, positive, refuse
from .blocks import energy_of, with_calculator

RANGE = 0.04  # of the length, to either side: where an equation of state is sampled
POINTS = 9
SPAN = 0.02  # of the length: what Birch and Murnaghan fit to 0.1 meV per atom
AXIAL_RATIO = 0.55  # c / a of beta-tin, held: some potentials would turn it into diamond
# Volumes of an atom over that in diamond, where a search begins: about those of silicon by DFT.
VOLUME = {"diamond": 1.0, "beta-tin": 0.75, "sc": 0.80, "bcc": 0.72, "fcc": 0.72}
PHASES = tuple(VOLUME)
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class EquationOfState(NamedTuple):
    volume: float  # Å³ per atom, where the energy is smallest
    energy: float  # eV per atom, there
    bulk_modulus: float  # GPa
    derivative: float  # of the bulk modulus with respect to pressure
    lattice_constant: float  # Å, edge of the cubic cell; nan where the crystal is not cubic
    volumes: np.ndarray  # [P] Å³ per atom
    energies: np.ndarray  # [P] eV per atom

    def at(self, volumes: ArrayLike) -> np.ndarray:
        """The fitted energy in eV per atom at volumes in Å³ per atom."""
        eta = (self.volume / np.asarray(volumes, float)) ** (2 / 3) - 1
        stiffness = 9 * self.volume * self.bulk_modulus * units.GPa / 16
        return self.energy + stiffness * (eta**3 * self.derivative + eta**2 * (2 - 4 * eta))


class Elastic(NamedTuple):
    tensor: np.ndarray  # [6, 6] GPa, atoms relaxed; in the crystal's standard frame
    clamped: np.ndarray  # [6, 6] GPa, atoms carried along by the cell; likewise
    pressure: float  # GPa, of the crystal without strain
    lattice_constant: float  # Å, edge of the cubic cell; nan where the crystal is not cubic
    c11: float  # GPa; this, c12 and c44 are means over the three axes
    c12: float  # GPa
    c44: float  # GPa
    c44_clamped: float  # GPa
    bulk_modulus: float  # GPa, of a polycrystal: Hill's mean of the bounds
    shear_modulus: float  # GPa, likewise
    rotation: np.ndarray  # [3, 3], turns the frame of the file into the standard frame: r' = R r


def _sums(tensor):
    """Three times the means over the axes of C11, C12 and C44."""
    return tensor[:3, :3].trace(), tensor[[0, 0, 1], [1, 2, 2]].sum(), tensor[3:, 3:].trace()


def bounds_of(tensor: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """((bulk by Reuss, by Voigt), (shear by Reuss, by Voigt)) of elastic constants [6, 6]."""
    axial, mixed, shear = _sums(np.linalg.inv(tensor))
    bulk, slide = 1 / (axial + 2 * mixed), 15 / (4 * axial - 4 * mixed + 3 * shear)
    axial, mixed, shear = _sums(tensor)
    above, beyond = (axial + 2 * mixed) / 9, (axial - mixed + 3 * shear) / 15
    return (float(bulk), float(above)), (float(slide), float(beyond))


def relaxed(
    atoms: Atoms, calculator: Calculator, force: float = 0.01, steps: int = 300
) -> tuple[Atoms, bool]:
    """Atoms moved, in a cell that is held, until no force is above `force` in eV/Å.

    Returns a copy with the calculator, and whether that was so after at most `steps`.
    """
    atoms = with_calculator(atoms.copy(), calculator)
    search = LBFGS(atoms, logfile=None, maxstep=0.1)  # type: ignore[arg-type] # None: no log
    return atoms, bool(search.run(fmax=force, steps=steps))


def equation_of_state(atoms: Atoms, calculator: Calculator, span: float = RANGE) -> EquationOfState:
    """Equation of state of a crystal whose shape and fractional positions are held.

    Nine energies are computed, up to `span` of the length to either side of its best. Raises
    RuntimeError where the energy has no minimum between 0.6 and 1.6 times the length.
    """
    atoms = crystal_of(atoms)
    positive(span=span)
    volume = atoms.get_volume() / len(atoms)

    @cache
    def energy(scale):
        return energy_of(strained(atoms, (scale - 1) * np.eye(3)), calculator) / len(atoms)

    step, middle, half = 2 * span / (POINTS - 1), 0, POINTS // 2
    while True:  # until the smallest energy is about in the middle
        scales = [1 + step * k for k in range(middle - half, middle + half + 1)]
        words = "the energy has no minimum between 0.6 and 1.6 times the length"
        refuse(not 0.6 < scales[0] or not scales[-1] < 1.6, words, RuntimeError)
        lowest = int(np.argmin([energy(s) for s in scales])) - half
        if abs(lowest) < 2:
            break
        middle += lowest
    volumes = volume * np.array(scales) ** 3
    in_cube = cubic_edge(atoms) ** 3 / volume
    return fit_equation_of_state(volumes, [energy(s) for s in scales], in_cube)


def fit_equation_of_state(
    volumes: ArrayLike, energies: ArrayLike, atoms_in_cube: float = float("nan")
) -> EquationOfState:
    """Equation of state through energies [P] (eV per atom) at volumes [P] (Å³ per atom).

    `atoms_in_cube` is the number of atoms in the cubic cell, for its edge. Raises ValueError for
    fewer than five volumes, RuntimeError where there is no minimum near them.
    """
    v, e = np.asarray(volumes, float), np.asarray(energies, float)
    words = "an equation of state has four numbers to fit and needs at least 5 volumes"
    refuse(len(v) < 5, f"{words}, not {len(v)}")
    middle = v.mean()
    x = (v / middle) ** (-2 / 3)
    p = np.polynomial.Polynomial.fit(x, e, 3).convert()
    roots = p.deriv().roots()
    real = roots[np.isreal(roots)].real
    minima = real[p.deriv(2)(real) > 0]
    inside = minima[(minima > 0.9 * x.min()) & (minima < 1.1 * x.max())]
    refuse(not len(inside), "the energies have no minimum near the volumes given", RuntimeError)
    x0, volume = inside[0], middle * inside[0] ** -1.5
    # x = (V/middle)^(-2/3) has dx/dV = -2x/3V. B = V E'' and B' = -1 - V E'''/E'' at the minimum.
    d2, d3 = p.deriv(2)(x0), p.deriv(3)(x0)
    dx, ddx = -2 * x0 / (3 * volume), 10 * x0 / (9 * volume**2)
    second, third = d2 * dx**2, d3 * dx**3 + 3 * d2 * dx * ddx
    modulus, derivative = float(volume * second / units.GPa), float(-1 - volume * third / second)
    edge = float((atoms_in_cube * volume) ** (1 / 3))
    return EquationOfState(float(volume), float(p(x0)), modulus, derivative, edge, v, e)


class Phases(NamedTuple):
    curves: dict[str, EquationOfState]  # of each phase
    missing: dict[str, str]  # of a phase without one: why

    @property
    def differences(self) -> dict[str, float]:
        """Energy of each phase above diamond, both at their best volume, in eV per atom.

        Raises RuntimeError where diamond has no minimum.
        """
        refuse("diamond" in self.missing, self.missing.get("diamond", ""), RuntimeError)
        lowest = self.curves["diamond"].energy
        return {name: eos.energy - lowest for name, eos in self.curves.items()}


def crystal(symbol: str, phase: str, lattice_constant: float) -> Atoms:
    """Eight atoms in one of PHASES, at about the volume that goes with a diamond lattice in Å."""
    one_of("phase", phase, PHASES)
    known = isinstance(symbol, str) and symbol in chemical_symbols[1:]
    refuse(not known, f"symbol must be that of an element, such as 'Si', not {symbol!r}")
    positive(lattice_constant=lattice_constant)
    volume = VOLUME[phase] * lattice_constant**3 / 8
    if phase == "diamond":
        return bulk(symbol, "diamond", a=lattice_constant, cubic=True)
    if phase == "beta-tin":
        a = (4 * volume / AXIAL_RATIO) ** (1 / 3)
        places = [(0, 0, 0), (0, 0.5, 0.25), (0.5, 0.5, 0.5), (0.5, 0, 0.75)]
        cell = (a, a, AXIAL_RATIO * a)
        return Atoms([symbol] * 4, scaled_positions=places, cell=cell, pbc=True).repeat((1, 1, 2))
    per_cube, repeat = {"sc": (1, (2, 2, 2)), "bcc": (2, (2, 2, 1)), "fcc": (4, (2, 1, 1))}[phase]
    return bulk(symbol, phase, a=(per_cube * volume) ** (1 / 3), cubic=True).repeat(repeat)


def phases(symbol: str, calculator: Calculator, lattice_constant: float) -> Phases:
    """Energy against volume of several crystals, each of one shape at all volumes.

    `lattice_constant` is that of the element's diamond structure in Å, within some 10 %. A phase
    whose energy has no minimum is left out, with the reason in `missing`.
    """
    curves, missing = {}, {}
    for name in reversed(PHASES):  # most neighbours first: a network compiled for them fits all
        try:
            atoms = crystal(symbol, name, lattice_constant)
            curves[name] = equation_of_state(atoms, calculator, SPAN)
        except RuntimeError as error:
            missing[name] = str(error)
    return Phases({name: curves[name] for name in PHASES if name in curves}, missing)


def elastic(
    atoms: Atoms,
    calculator: Calculator,
    strain: float = 0.005,
    zero_pressure: bool = True,
    cubic: bool = False,
) -> Elastic:
    """Elastic constants of a crystal, in its standard frame whatever frame its cell has.

    In the standard frame a cubic crystal's axes are x, y and z (tlmlp.crystal.in_standard_frame).
    The strain is to either side, and atoms relax in the strained cell. With `zero_pressure`, the
    crystal is first scaled to where it has none; else these are coefficients of stress against
    strain about the pressure that it has. With `cubic`, one axis and one angle alone are strained,
    a third of the work; the rest follows by the symmetry of a cubic crystal.
    Raises ValueError for a calculator without stress, RuntimeError where no volume has no pressure.
    """
    atoms = at_zero_pressure(atoms, calculator) if zero_pressure else crystal_of(atoms)
    (atoms, rotation), edge = in_standard_frame(atoms), cubic_edge(atoms)
    refuse(cubic and not np.isfinite(edge), "this crystal is not cubic: leave cubic=False")
    positive(strain=strain)
    words = "strain must be a small positive number such as 0.005"
    refuse(not 0 < strain < 0.1, f"{words}, not {strain!r}")

    def stresses(direction):
        """Difference quotients [2, 6] of the stress, clamped and relaxed, for one Voigt strain."""
        (a, b), unit, out = VOIGT[direction], np.zeros((3, 3)), []
        unit[a, b] += 0.5  # half of a shear strain goes to either side
        unit[b, a] += 0.5
        for sign in (1, -1):
            moved = strained(atoms, sign * strain * unit)
            clamped = stress(moved, calculator)
            # a crystal whose symmetry holds the atoms has no forces, and nothing is computed again
            moved, _ = relaxed(moved, calculator, 5e-4, 100)
            out.append((clamped, moved.get_stress() / units.GPa))
        return (np.array(out[0]) - np.array(out[1])) / (2 * strain)

    pressure = -float(stress(atoms.copy(), calculator)[:3].mean())
    if cubic:
        tensors = np.zeros((2, 6, 6))
        for tensor, axial, shear in zip(tensors, stresses(0), stresses(3)):
            tensor[:3, :3] = (axial[1] + axial[2]) / 2
            np.fill_diagonal(tensor, [axial[0]] * 3 + [shear[3]] * 3)
    else:
        columns = np.array([stresses(direction) for direction in range(6)])  # [6, 2, 6]
        tensors = (columns.transpose(1, 0, 2) + columns.transpose(1, 2, 0)) / 2
    clamped, full = tensors
    c11, c12, c44, c44_clamped = (float(s / 3) for s in (*_sums(full), _sums(clamped)[2]))
    bulk, shear = (sum(both) / 2 for both in bounds_of(full))
    return Elastic(full, clamped, pressure, edge, c11, c12, c44, c44_clamped, bulk, shear, rotation)
