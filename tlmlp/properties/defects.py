"""Defects of the diamond structure: vacancy, interstitials, the vacancy's way, the (100) surface and its dimers.

    E_f = E(defect) - n E(crystal) / N        γ = [E(slab) - n E(crystal) / N] / 2A

`atoms` is a perfect crystal, repeated: 64 atoms as a cube of two cells to a side are usual, 216 are converged to a tenth of an eV.
It should be at the zero pressure of the calculator (mechanics.at_zero_pressure); the cell is held while atoms relax.
Units: Å, eV, eV/Å; surface energies also in J/m².
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import diamond100
from ase.optimize import FIRE

from ..crystal import crystal_of, cubic_edge
from ..graph import pairs
from .mechanics import relaxed

FORCE = 0.01  # eV/Å, where relaxations end
PUSH = 0.4  # Å, of the vacancy's neighbours: where they were, Stillinger-Weber has a stationary point that is no minimum
HEIGHT = 10.0  # Å of a cell, in which a defect and its images leave each other alone, or nearly
INTERSTITIALS = ("tetrahedral", "hexagonal", "dumbbell")


class Defect(NamedTuple):
    energy: float  # eV, formation, relaxed
    unrelaxed: float  # eV, formation, before anything moved
    atoms: Atoms  # relaxed
    force: float  # eV/Å, largest, at the end
    converged: bool  # whether it fell below what was asked for
    sites: int  # of the perfect crystal

    def plot(self):
        return _plot(self)


class Barrier(NamedTuple):
    barrier: float  # eV, highest point above the start
    path: np.ndarray  # [I] Å, length of the path up to each image, in the space of all atoms
    energies: np.ndarray  # [I] eV, above the start
    images: list  # [I] of ase.Atoms
    force: float  # eV/Å, largest of the nudged elastic band, at the end
    converged: bool
    formation: float  # eV, of the vacancy at the start

    def plot(self):
        return _plot(self)


class Surface(NamedTuple):
    energy: float  # J/m², relaxed, with dimers
    unrelaxed: float  # J/m², cut and nothing moved
    dimer: float  # Å, length of the shortest dimer; nan without dimers
    buckling: float  # Å, by how much one end of a dimer is higher
    atoms: Atoms  # relaxed slab
    force: float  # eV/Å, largest, at the end
    converged: bool

    def plot(self):
        return _plot(self)


def _plot(result):
    from . import plot

    return plot({"": result})


def _host(atoms):
    """The perfect crystal, checked: diamond structure, large enough for a defect."""
    atoms = crystal_of(atoms)
    edge = cubic_edge(atoms)
    i, d = pairs(atoms, 0.55 * edge, "id") if np.isfinite(edge) else ([], [])
    if not np.isfinite(edge) or len(i) != 4 * len(atoms):
        raise ValueError(
            "a perfect crystal of the diamond structure is needed, such as ase.build.bulk('Si', 'diamond', a, cubic=True).repeat(2)"
        )
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    if heights.min() < 0.9 * HEIGHT:
        repeats = tuple(int(n) for n in np.ceil(HEIGHT / heights - 1e-9))
        raise ValueError(
            f"the cell is too small for a defect, which would meet its own images: its smallest height is {heights.min():.1f} Å; "
            f"atoms.repeat({repeats}) is enough"
        )
    return atoms


def _neighbours(atoms, index):
    """(indices [4], vectors [4, 3]) of the bonds of an atom of the perfect crystal."""
    i, j, D = pairs(atoms, 0.55 * cubic_edge(atoms), "ijD")
    return j[i == index].astype(int), D[i == index]


def _energy(atoms, calculator):
    atoms.calc = calculator
    return atoms.get_potential_energy()


def _formed(atoms, defect, calculator, starts, force, steps):
    """Defect of atoms as they were cut (`defect`), relaxed from each of several starts; the lowest counts."""
    each = _energy(atoms.copy(), calculator) / len(atoms)
    unrelaxed = _energy(defect.copy(), calculator) - len(defect) * each
    out = []
    for start in starts:
        end, converged = relaxed(start, calculator, force, steps)
        left = float(np.linalg.norm(end.get_forces(), axis=1).max())
        energy = float(end.get_potential_energy() - len(end) * each)
        end.calc = None
        out.append(Defect(energy, float(unrelaxed), end, left, converged, len(atoms)))
    return min(out, key=lambda defect: (not np.isfinite(defect.energy), defect.energy))


def vacancy(atoms, calculator, index=0, force=FORCE, steps=300):
    """Defect: one atom taken out and everything relaxed, from its neighbours where they were and from 0.4 Å farther in.

    The lower of the two counts. Neighbours pair up where that has less energy: a hundredth of an Å, at random, breaks their
    symmetry, in which the energy may have a saddle.
    Raises ValueError for a crystal of another structure and for a cell below 9 Å, with the repeat that is enough.
    """
    atoms = _host(atoms)
    cut, pushed, _ = _vacant(atoms, index)
    still = cut.copy()
    still.rattle(0.01, seed=0)
    return _formed(atoms, cut, calculator, (pushed, still), force, steps)


def _vacant(atoms, index):
    """(atoms without one, the same with its neighbours pushed in, indices of those neighbours)."""
    near, bonds = _neighbours(atoms, index)
    pushed = atoms.copy()
    pushed.positions[near] -= PUSH * bonds / np.linalg.norm(bonds, axis=1, keepdims=True)
    pushed.rattle(0.01, seed=0)
    cut = atoms.copy()
    del cut[index], pushed[index]
    return cut, pushed, near - (near > index)


def interstitial(atoms, calculator, kind="tetrahedral", index=0, force=FORCE, steps=300):
    """Defect: one atom too many, in the "tetrahedral" or the "hexagonal" hole, or as a "dumbbell" along [110] that shares a site.

    Started at its own symmetric place; a hundredth of an Å, at random, lets it leave where that is a saddle, so look at `.atoms`.
    """
    if kind not in INTERSTITIALS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, INTERSTITIALS))}, not {kind!r}")
    atoms = _host(atoms)
    _, bonds = _neighbours(atoms, index)
    start, site = atoms.copy(), atoms.positions[index]
    symbol = atoms.symbols[index]
    if kind == "dumbbell":
        along = bonds[0] - bonds[1]  # from one neighbour to another: [110]
        half = 0.5 * np.linalg.norm(bonds[0]) * along / np.linalg.norm(along)
        start.positions[index] = site + half
        start += Atoms(symbol, [site - half])
    else:
        start += Atoms(symbol, [site - (1.0 if kind == "tetrahedral" else 1.5) * bonds[0]])
    cut = start.copy()
    start.rattle(0.01, seed=0)
    return _formed(atoms, cut, calculator, (start,), force, steps)


def migration(atoms, calculator, images=5, index=0, force=0.03, steps=300):
    """Barrier for the vacancy to change places with a neighbour, by the nudged elastic band of ASE with a climbing image.

    images: between the two ends, an odd number, so that one is in the middle; force: eV/Å, where the band's relaxation ends.
    Source: G. Henkelman, B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000).
    """
    from ase.mep import NEB

    if images < 1:
        raise ValueError(f"a band needs at least one image between its ends, not {images!r}")
    atoms = _host(atoms)
    _, _, near = _vacant(atoms, index)
    partner = int(near[0])
    # The far end: the vacancy sits where the partner was, and the partner where the vacancy was. The inversion about the middle of
    # the bond maps one onto the other, so the two ends have one energy if the relaxation is that of one vacancy.
    lowest = vacancy(atoms, calculator, index, FORCE, steps)
    first = lowest.atoms
    full = partner + (partner >= index)
    middle = atoms.positions[index] + 0.5 * _bond(atoms, index, full)
    last = first.copy()
    inverted = 2 * middle - first.positions
    sites = np.delete(atoms.positions, index, axis=0)
    target = sites.copy()
    target[partner] = atoms.positions[index]
    last.positions = inverted[_match(atoms, 2 * middle - sites, target)]
    # the same side of the cell, so that every atom takes the short way
    step = np.linalg.solve(atoms.cell.array.T, (last.positions - first.positions).T).T
    last.positions -= np.round(step) @ atoms.cell.array
    band = [first.copy() for _ in range(images + 1)] + [last]
    for image in band:
        image.calc = calculator
    neb = NEB(band, climb=True, allow_shared_calculator=True, method="improvedtangent")
    neb.interpolate("idpp")
    converged = bool(FIRE(neb, logfile=None, maxstep=0.1).run(fmax=force, steps=steps))
    left = float(np.linalg.norm(neb.get_forces().reshape(-1, 3), axis=1).max())
    energies = np.array([image.get_potential_energy() for image in band])
    moves = [np.linalg.norm(b.positions - a.positions) for a, b in zip(band[:-1], band[1:])]
    for image in band:
        image.calc = None
    return Barrier(
        float(energies.max() - energies[0]),
        np.cumsum([0.0, *moves]),
        energies - energies[0],
        band,
        left,
        converged and lowest.converged,
        lowest.energy,
    )


def _bond(atoms, a, b):
    near, bonds = _neighbours(atoms, a)
    return bonds[list(near).index(b)]


def _match(atoms, positions, targets):
    """For each target [N, 3] the index of the position [N, 3] that is at the same place, images included."""
    scaled = np.linalg.solve(
        atoms.cell.array.T, (targets[:, None] - positions[None]).reshape(-1, 3).T
    ).T
    distance = np.linalg.norm((scaled - np.round(scaled)) @ atoms.cell.array, axis=1).reshape(
        len(targets), -1
    )
    index = distance.argmin(1)
    if distance.min(1).max() > 0.1 or len(set(index)) < len(index):
        raise ValueError("the crystal is not perfect: sites do not fall onto sites")
    return index


def surface(symbol, calculator, lattice_constant, layers=12, dimers=True, force=FORCE, steps=300):
    """Surface energy of (100), of a slab with both its faces relaxed: 2 x 1 with rows of dimers, or 1 x 1 as cut.

    symbol: of the element; lattice_constant: Å; layers: of atoms, at least 8. A face holds 2 x 2 atoms, 7.7 Å wide in silicon, so
    the calculator must see periodic images, as those of this package do; between the slabs are 15 Å of vacuum. Dimers start
    with a tenth of an Å of buckling, so that those that want to buckle do.
    """
    if layers < 8:
        raise ValueError(
            f"a slab needs at least 8 layers, or its two faces feel each other; not {layers!r}"
        )
    slab = diamond100(symbol, (2, 2, layers), a=lattice_constant, vacuum=7.5)
    slab.pbc = True
    crystal = diamond100(symbol, (2, 2, 4), a=lattice_constant)
    crystal.set_cell([crystal.cell.lengths()[0], crystal.cell.lengths()[1], lattice_constant])
    crystal.pbc = True
    each = _energy(crystal, calculator) / len(crystal)
    area = slab.cell.lengths()[0] * slab.cell.lengths()[1]
    gamma = lambda atoms: (
        (atoms.get_potential_energy() - len(atoms) * each) / (2 * area) / (units.J / units.m**2)
    )
    slab.calc = calculator
    unrelaxed = gamma(slab)
    start, ends = slab.copy(), []
    if dimers:
        for face in (slab.positions[:, 2].max(), slab.positions[:, 2].min()):
            ends += _dimerise(start, face, lattice_constant)
    start.rattle(0.01, seed=0)
    end, converged = relaxed(start, calculator, force, steps)
    left = float(np.linalg.norm(end.get_forces(), axis=1).max())
    lengths = [end.get_distance(a, b, mic=True) for a, b in ends]
    heights = [abs(end.positions[a, 2] - end.positions[b, 2]) for a, b in ends]
    energy = gamma(end)
    end.calc = None
    return Surface(
        float(energy),
        float(unrelaxed),
        float(min(lengths, default=np.nan)),
        float(max(heights, default=np.nan)),
        end,
        left,
        converged,
    )


def _dimerise(slab, face, a):
    """Moves the atoms of one face together in pairs, along the direction of their broken bonds; returns the pairs."""
    atoms = np.flatnonzero(np.abs(slab.positions[:, 2] - face) < 0.1)
    i, j, D = pairs(slab, 0.55 * a, "ijD")
    back = np.abs(
        D[i == atoms[0]]
    )  # the two bonds that are left lie in a plane; the broken ones across it
    axis = int(np.argmin(back[:, :2].sum(0)))
    across = slab.positions[atoms]
    spacing, out = a / 2**0.5, []
    row = np.round((across[:, axis] - across[:, axis].min()) / spacing).astype(int)
    for lane in np.unique(np.round(across[:, 1 - axis], 3)):
        members = [m for m in np.argsort(row) if round(across[m, 1 - axis], 3) == lane]
        for first, second in zip(members[::2], members[1::2]):
            first, second = atoms[first], atoms[second]
            shift = 0.5 * (spacing - 2.4 / 5.431 * a)
            slab.positions[first, axis] += shift
            slab.positions[second, axis] -= shift
            sign = 0.05 * np.sign(slab.positions[first, 2] - slab.positions[:, 2].mean())
            slab.positions[first, 2] += sign
            slab.positions[second, 2] -= sign
            out.append((int(first), int(second)))
    return out
