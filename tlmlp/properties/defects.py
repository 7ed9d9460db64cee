"""Defects of the diamond structure: vacancy and its migration, interstitials, the (100) surface.

    E_f = E(defect) - n E(crystal) / N        γ = [E(slab) - n E(crystal) / N] / 2A

E_f is the formation energy of a defect with n atoms in a crystal of N, γ the surface energy of a
slab of n atoms with two faces of area A.

`atoms` are the perfect crystal at zero pressure (at_zero_pressure), repeated: 64 atoms, two cubic
cells to a side, are usual; 216 are converged to a tenth of an eV. `index` is the atom whose site
has the defect. Atoms relax in a cell that is held. ValueError is raised for another structure, and
for a cell below 9 Å. Units: Å, eV, eV/Å; surface energies in J/m².
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import diamond100
from ase.calculators.calculator import Calculator
from ase.geometry import get_distances

from ..crystal import crystal_of, cubic_edge
from ..frames import label
from ..graph import heights, pairs
from ..refusal import is_whole, one_of, refuse
from .blocks import energy_of
from .mechanics import crystal as crystal_at, relaxed

FORCE, STEPS = 0.01, 300  # eV/Å, where relaxations end, and how many steps they may take
PUSH = 0.4  # Å, inward, of a vacancy's neighbours: Stillinger-Weber has a saddle where they were
RATTLE = 0.01  # Å, at random: breaks a symmetry in which the energy may have a saddle
FARTHER = 0.1  # Å, at random: other starts of a relaxation that has more than one end
HEIGHT = 10.0  # Å of a cell, in which a defect and its images hardly interact
J_PER_M2 = units.J / units.m**2  # in eV/Å²


class Defect(NamedTuple):
    energy: float  # eV, formation, relaxed
    unrelaxed: float  # eV, formation, before anything moved
    atoms: Atoms  # relaxed
    force: float  # eV/Å, largest, at the end
    converged: bool  # whether it fell below what was asked for
    sites: int  # of the perfect crystal


class Barrier(NamedTuple):
    barrier: float  # eV, highest point of a curve through the images, above the start
    path: np.ndarray  # [I] Å, length of the path up to each image, in the space of all atoms
    energies: np.ndarray  # [I] eV, above the start
    images: list[Atoms]  # [I]
    force: float  # eV/Å, largest of the nudged elastic band, at the end
    converged: bool


class Surface(NamedTuple):
    energy: float  # J/m², relaxed, with dimers
    unrelaxed: float  # J/m², cut and nothing moved
    dimer: float  # Å, length of the shortest dimer; nan without dimers
    buckling: float  # Å, by how much one end of a dimer is higher
    atoms: Atoms  # relaxed slab
    force: float  # eV/Å, largest, at the end
    converged: bool


def _host(atoms, index):
    """The perfect crystal, checked: of diamond structure, large enough for a defect."""
    atoms = crystal_of(atoms)
    edge, height = cubic_edge(atoms), heights(atoms.cell.array)
    diamond = np.isfinite(edge) and len(pairs(atoms, 0.55 * edge, "i")[0]) == 4 * len(atoms)
    diamond = diamond and len(set(atoms.numbers)) == 1  # else what is taken out has no reference
    example = "ase.build.bulk('Si', 'diamond', a, cubic=True).repeat(2)"
    refuse(not diamond, f"a perfect crystal of the diamond structure is needed, such as {example}")
    repeats = tuple(int(n) for n in np.ceil(HEIGHT / height - 1e-9))
    small = "the cell is too small for a defect, which would meet its own images"
    words = f"its smallest height is {height.min():.1f} Å; atoms.repeat({repeats}) is enough"
    refuse(height.min() < 0.9 * HEIGHT, f"{small}: {words}")
    words = f"index must be the number of an atom, from 0 to {len(atoms) - 1}"
    refuse(not is_whole(index, 0) or index >= len(atoms), f"{words}, not {index!r}")
    return atoms


def _neighbours(atoms, index):
    """(indices [4], vectors [4, 3]) of the bonds of an atom of the perfect crystal."""
    i, j, D = pairs(atoms, 0.55 * cubic_edge(atoms), "ijD")
    return j[i == index].astype(int), D[i == index]


def _largest(forces):
    return float(np.linalg.norm(forces.reshape(-1, 3), axis=1).max())


def _rattled(atoms, by=RATTLE, seed=0):
    out = atoms.copy()
    out.rattle(by, seed=seed)
    return out


def _formed(atoms, cut, calculator, starts):
    """Defect of atoms as they were cut, relaxed from several starts.

    The lowest of those counts that relaxed.
    """
    each = energy_of(atoms.copy(), calculator) / len(atoms)
    before = energy_of(cut.copy(), calculator)
    unrelaxed, out = float(before - len(cut) * each), []
    for start in starts:
        end, converged = relaxed(start, calculator, FORCE, STEPS)
        energy, left = label(end, "energy"), _largest(end.get_forces())
        end.calc = None
        formation = float(energy - len(end) * each)
        out.append(Defect(formation, unrelaxed, end, left, converged, len(atoms)))
    return min(out, key=lambda d: (not np.isfinite(d.energy), not d.converged, d.energy))


def vacancy(atoms: Atoms, calculator: Calculator, index: int = 0) -> Defect:
    """Vacancy: one atom taken out and everything relaxed.

    The relaxation starts twice: with the four neighbours where they were, and 0.4 Å farther in. The
    lower energy counts. Neighbours form pairs where that has less energy.
    """
    atoms = _host(atoms, index)
    near, bonds = _neighbours(atoms, index)
    cut, pushed = atoms.copy(), atoms.copy()
    pushed.positions[near] -= PUSH * bonds / np.linalg.norm(bonds, axis=1, keepdims=True)
    pushed = _rattled(pushed)
    del cut[index], pushed[index]
    return _formed(atoms, cut, calculator, (pushed, _rattled(cut)))


def interstitial(
    atoms: Atoms, calculator: Calculator, kind: str = "tetrahedral", index: int = 0, starts: int = 1
) -> Defect:
    """Interstitial: one atom too many, relaxed from its own symmetric place.

    `kind` is "tetrahedral" or "hexagonal", the hole, or "dumbbell", two atoms along [110] on one
    site. The atom can leave a place that is a saddle, so look at `.atoms`.

    The energy of a network can have many minima near by. `starts` is the number of relaxations: all
    atoms are displaced at random, by 0.01 Å at first and by 0.1 Å in each further one. The lowest
    energy counts. Source: I. Mosquera-Lois et al., npj Comput. Mater. 9, 25 (2023).
    """
    one_of("kind", kind, ("tetrahedral", "hexagonal", "dumbbell"))
    refuse(not is_whole(starts), f"starts must be a whole number of at least 1, not {starts!r}")
    atoms = _host(atoms, index)
    _, bonds = _neighbours(atoms, index)
    start, site, symbol = atoms.copy(), atoms.positions[index], atoms.symbols[index]
    if kind == "dumbbell":
        along = bonds[0] - bonds[1]  # from one neighbour to another: [110]
        half = 0.5 * np.linalg.norm(bonds[0]) * along / np.linalg.norm(along)
        start.positions[index] = site + half
        start += Atoms(symbol, [site - half])
    else:
        start += Atoms(symbol, [site - (1.0 if kind == "tetrahedral" else 1.5) * bonds[0]])
    others = (_rattled(start, FARTHER, seed) for seed in range(1, starts))
    return _formed(atoms, start, calculator, (_rattled(start), *others))


def migration(
    atoms: Atoms, calculator: Calculator, images: int = 9, index: int = 0, force: float = 0.03
) -> Barrier:
    """Barrier of a vacancy that changes places with a neighbour, by a nudged elastic band.

    `images` lie between the two ends; of an odd number, one is in the middle. The band relaxes
    until no force is above `force` in eV/Å. The barrier is the top of a curve through the energies.
    Source: G. Henkelman and H. Jónsson, J. Chem. Phys. 113, 9978 (2000); the optimizer: S. Makri,
    C. Ortner and J. R. Kermode, J. Chem. Phys. 150, 094109 (2019).
    """
    from ase.mep.neb import NEB, NEBOptimizer, NEBTools

    words = f"a band needs at least one image between its ends, not {images!r}"
    refuse(not is_whole(images), words)
    atoms = _host(atoms, index)
    lowest = vacancy(atoms, calculator, index)
    band = [lowest.atoms.copy() for _ in range(images + 1)]
    band.append(_moved_vacancy(atoms, lowest.atoms, index))
    for image in band:
        image.calc = calculator
    neb = NEB(band, allow_shared_calculator=True, method="improvedtangent")
    neb.interpolate("idpp")
    NEBOptimizer(neb, logfile=None).run(force / 2, STEPS)  # of a component; left is of an atom
    left, (barrier, _) = _largest(neb.get_forces()), NEBTools(band).get_barrier()
    energies = np.array([label(image, "energy") for image in band])
    moves = [np.linalg.norm(b.positions - a.positions) for a, b in zip(band[:-1], band[1:])]
    for image in band:
        image.calc = None
    path, converged = np.cumsum([0.0, *moves]), left <= force and lowest.converged
    return Barrier(float(barrier), path, energies - energies[0], band, left, converged)


def _moved_vacancy(atoms, first, index):
    """The relaxed vacancy `first` on a neighbouring site: inverted about the middle of the bond."""
    near, bonds = _neighbours(atoms, index)
    partner = near[0] - (near[0] > index)  # its index once the vacancy's atom is gone
    middle = atoms.positions[index] + 0.5 * bonds[0]
    sites = np.delete(atoms.positions, index, axis=0)
    target = sites.copy()
    target[partner] = atoms.positions[index]
    distance = get_distances(target, 2 * middle - sites, cell=atoms.cell, pbc=True)[1]
    order = distance.argmin(1)
    perfect = distance.min(1).max() <= 0.1 and len(set(order)) == len(order)
    refuse(not perfect, "the crystal is not perfect: sites do not fall onto sites")
    last = first.copy()
    last.positions = (2 * middle - first.positions)[order]
    # the same side of the cell, so that every atom takes the short way
    step = np.linalg.solve(atoms.cell.array.T, (last.positions - first.positions).T).T
    last.positions -= np.round(step) @ atoms.cell.array
    return last


def surface(
    symbol: str,
    calculator: Calculator,
    lattice_constant: float,
    layers: int = 12,
    dimers: bool = True,
) -> Surface:
    """Surface energy of (100), of a slab with both its faces relaxed.

    `lattice_constant` is that of the diamond structure in Å. The faces are 2 x 1 with rows of
    dimers, or 1 x 1 as cut, of 2 x 2 atoms: the calculator must see periodic images at 7.7 Å, as
    those of this package do. The vacuum is 15 Å. Dimers start buckled by a tenth of an Å, so that
    those that buckle by themselves can.
    """
    words = "a slab needs at least 8 layers, or its two faces feel each other"
    refuse(not is_whole(layers, 8), f"{words}; not {layers!r}")
    crystal_at(symbol, "diamond", lattice_constant)  # raises for what is no element or length
    cut = dict(a=lattice_constant, periodic=True)
    slab = diamond100(symbol, (2, 2, layers), vacuum=7.5, **cut)
    width, depth = slab.cell.lengths()[:2]
    crystal = diamond100(symbol, (2, 2, 4), **cut)
    each = energy_of(crystal, calculator) / len(crystal)
    gamma = lambda energy: float((energy - len(slab) * each) / (2 * width * depth) / J_PER_M2)
    unrelaxed = gamma(energy_of(slab, calculator))
    start, z = slab.copy(), slab.positions[:, 2]
    faces = (z.max(), z.min()) if dimers else ()
    dimers_at = [ends for face in faces for ends in _dimerise(start, face, lattice_constant)]
    end, converged = relaxed(_rattled(start), calculator, FORCE, STEPS)
    energy, left = gamma(label(end, "energy")), _largest(end.get_forces())
    lengths = [end.get_distance(a, b, mic=True) for a, b in dimers_at]
    buckling = [abs(end.positions[a, 2] - end.positions[b, 2]) for a, b in dimers_at]
    end.calc = None
    dimer, tilt = float(min(lengths, default=np.nan)), float(max(buckling, default=np.nan))
    return Surface(energy, unrelaxed, dimer, tilt, end, left, converged)


def _dimerise(slab, face, a):
    """Moves atoms of one face together in pairs along their broken bonds; gives the pairs."""
    atoms = np.flatnonzero(np.abs(slab.positions[:, 2] - face) < 0.1)
    i, D = pairs(slab, 0.55 * a, "iD")
    # the two bonds that are left lie in a plane, the broken ones across it
    axis = int(np.argmin(np.abs(D[i == atoms[0]])[:, :2].sum(0)))
    across, spacing = slab.positions[atoms], a / 2**0.5
    row = np.round((across[:, axis] - across[:, axis].min()) / spacing)
    lane = np.round(across[:, 1 - axis], 3)
    first, second = atoms[np.lexsort((row, lane))].reshape(-1, 2).T
    shift = 0.5 * (spacing - 2.4 / 5.431 * a)  # to the length of silicon's dimers, scaled
    up = 0.05 * np.sign(face - slab.positions[:, 2].mean())
    for ends, sign in ((first, 1), (second, -1)):
        slab.positions[ends, axis] += sign * shift
        slab.positions[ends, 2] += sign * up
    return list(zip(first, second))
