"""Vibrations: phonons by finite displacements (phonopy).

    D_ab(q) = Σ_j Φ_ab(0, j) exp[i q·(r_j - r_0)] / sqrt(m_a m_b)      ω² e = D e      Φ = ∂²E/∂r∂r

Φ are the force constants between atoms at r_0 and r_j, m their masses, D the dynamical matrix at
the wave vector q, ω the frequencies and e the modes.

Frequencies are exact at the wave vectors that fit into the supercell, and interpolated between
them. An imaginary one, where the crystal is unstable, is given as a negative number.
Units: Å, THz; heat capacities in k_B per atom.
"""

import re
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.dft.kpoints import parse_path_string
from numpy.typing import ArrayLike

from ..crystal import crystal_of, with_calculator
from ..graph import heights
from ..refusal import is_whole, positive, refuse

# Of a face-centred cubic lattice, as measured bands are drawn; others as ASE has them.
PATHS = {"FCC": "GXU,KGL"}
HEIGHT = 10.0  # Å, of the supercell if none is asked for
REST = 0.02  # eV/Å, the largest force that a crystal at rest may have: float32 leaves 0.001
LEAST = 7.0  # Å; in a smaller one the neighbours of a displaced atom interact with its images


class Phonons(NamedTuple):
    q: np.ndarray  # [Q] 1/Å, length along the path
    frequencies: np.ndarray  # [Q, M] THz, ascending; negative: imaginary
    parts: tuple[slice, ...]  # of Q, each a stretch of path without a jump
    ticks: np.ndarray  # [L] 1/Å, where the special points are
    labels: tuple[str, ...]  # [L] their names
    special: dict[str, np.ndarray]  # THz [M] at each of them
    nu: np.ndarray  # [F] THz, of the density of states
    density: np.ndarray  # [F] 1/THz, per atom: its integral is 3
    temperatures: np.ndarray  # [T] K
    heat_capacity: np.ndarray  # [T] k_B per atom, at constant volume; 3 at high temperature
    lowest: float  # THz, anywhere in the zone; negative: imaginary, the crystal is unstable


def phonons(
    atoms: Atoms,
    calculator: Calculator,
    supercell: ArrayLike | None = None,
    displacement: float = 0.02,
    path: str | None = None,
    points: int = 50,
    mesh: int = 20,
    temperatures: ArrayLike | None = None,
) -> Phonons:
    """Phonons of a crystal at the volume it has (at_zero_pressure gives that of a calculator).

    `supercell` are repeats of the cell along its axes [default: until it is 10 Å high everywhere];
    one atom after the other moves by `displacement` Å to either side. `path` are special points as
    ASE writes them, "GX,KGL", with `points` for each stretch. The density of states takes `mesh`
    wave vectors along each axis, the heat capacity `temperatures` in K [default: 0 to 1000 by 20].
    Atoms of one element with different masses or magnetic moments make the cell as it is given the
    primitive one. Raises ValueError for a supercell below 7 Å, and where atoms are not at rest.
    """
    T = np.arange(0, 1001, 20.0) if temperatures is None else np.asarray(temperatures, float)
    whole = is_whole(points, 2) and is_whole(mesh) and np.all(T >= 0)
    words = "points must be at least 2, mesh at least 1, both whole, and temperatures at least 0 K"
    refuse(not whole, words)
    positive(displacement=displacement)
    job = _force_constants(crystal_of(atoms), calculator, supercell, displacement)
    primitive = _atoms(job.primitive)
    q, parts, ticks, labels, waves = _path(primitive, path, points)
    frequencies = np.asarray(job.run_qpoints(waves).frequencies)
    special: dict[str, np.ndarray] = {}
    for k, names in enumerate(labels):  # after a jump a stretch begins with its second name
        for n, name in enumerate(names.split("|")):
            special.setdefault(name, frequencies[max(k * points - 1, 0) + n])
    alike = _alike(atoms, atoms.get_masses())  # else two wave vectors that look alike are not
    grid = job.run_mesh([mesh] * 3, is_gamma_center=True, is_mesh_symmetry=alike).frequencies
    dos = job.run_total_dos(freq_pitch=0.05)
    thermal = job.run_thermal_properties(temperatures=T, exclude_gamma_acoustic=True)
    per_cell = np.asarray(thermal.heat_capacity)  # J/K per mol of primitive cells
    capacity = np.where(T > 0, per_cell * units.J / units.mol / units.kB / len(primitive), 0.0)
    nu, density = np.asarray(dos.frequency_points), np.asarray(dos.dos) / len(primitive)
    lowest = min(float(frequencies.min()), float(grid.min()))
    return Phonons(q, frequencies, parts, ticks, labels, special, nu, density, T, capacity, lowest)


def _atoms(cell):
    """ase.Atoms of one of phonopy's cells."""
    out = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
    if cell.magnetic_moments is not None:
        out.set_initial_magnetic_moments(cell.magnetic_moments)
    return out


def _alike(atoms, values):
    """Whether all atoms of one element have the same value."""
    return all(np.ptp(values[atoms.numbers == z], axis=0).max() < 1e-6 for z in set(atoms.numbers))


def _force_constants(atoms, calculator, supercell, displacement):
    """phonopy's job of a crystal, with the force constants in it."""
    import phonopy
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.cells import guess_primitive_matrix

    height = heights(atoms.cell.array)
    enough = tuple(int(n) for n in np.ceil(HEIGHT / height - 1e-9))
    asked = enough if supercell is None else np.ravel(supercell).tolist()
    words = f"supercell must be one or three whole numbers of at least 1, not {supercell!r}"
    refuse(len(asked) not in (1, 3) or not all(is_whole(n) for n in asked), words)
    repeats = tuple(np.broadcast_to(asked, 3).tolist())
    least = (height * repeats).min()
    words = f"a supercell of {least:.1f} Å is too small, images of a displaced atom would be felt"
    refuse(least < LEAST, f"{words}; supercell={enough} is enough")
    if np.linalg.det(atoms.cell.array) < 0:  # phonopy wants the three in a right-handed order
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
        repeats = tuple(np.array(repeats)[[1, 0, 2]])
    known = dict(symbols=atoms.get_chemical_symbols(), masses=atoms.get_masses())
    moments = atoms.get_initial_magnetic_moments()
    known |= dict(magnetic_moments=moments) if moments.any() else {}
    cell = PhonopyAtoms(cell=atoms.cell.array, positions=atoms.positions, **known)
    # Symmetry by elements alone would make atoms equivalent that are not: the cell stays as given.
    same, magnetic = _alike(atoms, atoms.get_masses()), not _alike(atoms, moments)
    whole = np.eye(3) if magnetic or not same else guess_primitive_matrix(cell)
    how = dict(is_symmetry=not magnetic, log_level=0)
    job = phonopy.Phonopy(cell, np.diag(repeats), whole, **how)
    job.generate_displacements(distance=displacement, is_plusminus=True)
    forces = lambda atoms: with_calculator(atoms, calculator).get_forces()
    left = np.linalg.norm(forces(atoms.repeat(repeats)), axis=1).max()
    words = f"the atoms are not at rest, the largest force on one is {left:.2g} eV/Å"
    refuse(left > REST, f"{words}: relax them first, with an optimizer of ASE's")
    job.forces = np.array([forces(_atoms(moved)) for moved in job.supercells_with_displacements])
    job.produce_force_constants()
    words = "atoms exert no forces on each other: a crystal without bonds has no phonons"
    refuse(not np.abs(job.force_constants).max() > 1e-9, words)
    job.symmetrize_force_constants()
    return job


def _path(primitive, path, points):
    """(q [Q], parts, ticks [L], labels [L], waves [Q, 3]) along the special points of a lattice."""
    lattice = primitive.cell.get_bravais_lattice()
    known = set(lattice.get_special_points())
    points_of = re.findall("[A-Z][0-9]?", path or "")
    words = f"path must be special points of this lattice, {' '.join(sorted(known))}, not {path!r}"
    refuse(path is not None and not (points_of and set(points_of) <= known), words)
    band = primitive.cell.bandpath(path or PATHS.get(lattice.name), npoints=0)
    stretches = parse_path_string(band.path)
    words = f"each part of a path must have two special points at least, not {path!r}"
    refuse(min(map(len, stretches)) < 2, words)
    inverse, fractions = primitive.cell.reciprocal(), np.linspace(0, 1, points)
    q, waves, parts, ticks, labels = [], [], [], [0.0], [stretches[0][0]]
    for stretch in stretches:
        if labels[-1] != stretch[0]:  # a jump: two special points at one place
            labels[-1] += "|" + stretch[0]
        begin = len(q) * points
        for a, b in zip(stretch[:-1], stretch[1:]):
            start, move = band.special_points[a], band.special_points[b] - band.special_points[a]
            length = 2 * np.pi * np.linalg.norm(move @ inverse)
            q.append(ticks[-1] + length * fractions)
            waves.append(start + fractions[:, None] * move)
            ticks.append(ticks[-1] + length)
            labels.append(b)
        parts.append(slice(begin, len(q) * points))
    names = tuple(label.replace("G", "Γ") for label in labels)
    return np.concatenate(q), tuple(parts), np.array(ticks), names, np.concatenate(waves)
