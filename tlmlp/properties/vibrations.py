"""Vibrations: phonons by finite displacements (phonopy), and the spectrum of velocities in molecular dynamics.

    D_ab(q) = Σ_j Φ_ab(0, j) exp[i q·(r_j - r_0)] / sqrt(m_a m_b)      ω² e = D e      Φ = ∂²E/∂r∂r
    c(t) = <v(t)·v(0)> / <v²>                                          g(ν) = 4 ∫ c(t) cos(2πνt) dt from 0 to ∞

Phonon frequencies are exact at the wave vectors that fit into the supercell, and interpolated between them; an imaginary one,
where the crystal is unstable, is given as a negative number. Units: Å, fs, THz; heat capacities in k_B per atom.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.dft.kpoints import parse_path_string

from ..crystal import crystal_of
from .blocks import frames_of, interval_of

PATHS = {
    "FCC": "GXU,KGL"
}  # of a face-centred cubic lattice, as measured bands are drawn; others as ASE has them
HEIGHT = 10.0  # Å, of the supercell if none is asked for
LEAST = 7.0  # Å; in a smaller one an atom's neighbours would feel its images


class Phonons(NamedTuple):
    q: np.ndarray  # [Q] 1/Å, length along the path
    frequencies: np.ndarray  # [Q, M] THz, ascending; negative: imaginary
    parts: tuple  # slices of Q, each a stretch of path without a jump
    ticks: np.ndarray  # [L] 1/Å, where the special points are
    labels: tuple  # [L] their names
    special: dict  # THz [M] at each of them
    nu: np.ndarray  # [F] THz, of the density of states
    density: np.ndarray  # [F] 1/THz, per atom: its integral is 3
    temperatures: np.ndarray  # [T] K
    heat_capacity: np.ndarray  # [T] k_B per atom, at constant volume; 3 at high temperature
    lowest: float  # THz, the lowest frequency anywhere in the zone; negative: imaginary, the crystal is unstable
    atoms: Atoms  # of the supercell

    def plot(self):
        return _plot(self)


class Spectrum(NamedTuple):
    times: np.ndarray  # [T] fs
    correlation: np.ndarray  # [T], 1 at time 0
    correlation_error: np.ndarray  # [T], by blocks of the trajectory
    nu: np.ndarray  # [F] THz
    density: np.ndarray  # [F] 1/THz; its integral is 3, the directions of an atom
    error: np.ndarray  # [F] 1/THz, by blocks
    diffusion: float  # Å²/ps, from the density at ν = 0 (Green and Kubo)
    diffusion_error: float  # Å²/ps
    frames: int

    def plot(self):
        return _plot(self)


def _plot(result):
    from . import plot

    return plot({"": result})


def phonons(
    atoms,
    calculator,
    supercell=None,
    displacement=0.02,
    path=None,
    points=50,
    mesh=20,
    temperatures=None,
):
    """Phonons of a crystal at the volume it has (see mechanics.at_zero_pressure for its own).

    atoms: any cell of it; supercell: how often it is repeated along its axes, three numbers [default: until it is 10 Å high
    everywhere]; displacement: Å, of one atom to either side; path: special points as ASE writes them, "GX,KGL"; points: of
    the path for each stretch; mesh: of q for the density of states, along each axis; temperatures: K.

    Raises ValueError for a supercell below 7 Å, and for a crystal that is not at rest by its symmetry and feels forces.
    """
    import phonopy
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.cells import guess_primitive_matrix

    atoms = crystal_of(atoms)
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    enough = tuple(int(n) for n in np.ceil(HEIGHT / heights - 1e-9))
    repeats = enough if supercell is None else tuple(int(n) for n in np.broadcast_to(supercell, 3))
    if min(repeats) < 1 or (heights * repeats).min() < LEAST:
        raise ValueError(
            f"a supercell of {(heights * repeats).min():.1f} Å is too small, images of a displaced atom would be felt; "
            f"supercell={enough} is enough"
        )
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        positions=atoms.positions,
        masses=atoms.get_masses(),
    )
    job = phonopy.Phonopy(cell, np.diag(repeats), guess_primitive_matrix(cell), log_level=0)
    job.generate_displacements(distance=displacement, is_plusminus=True)
    forces = []
    for displaced in job.supercells_with_displacements:
        moved = Atoms(displaced.symbols, displaced.positions, cell=displaced.cell, pbc=True)
        moved.calc = calculator
        forces.append(moved.get_forces())
    job.forces = np.array(forces)
    job.produce_force_constants()
    job.symmetrize_force_constants()

    primitive = Atoms(
        job.primitive.symbols,
        cell=job.primitive.cell,
        scaled_positions=job.primitive.scaled_positions,
        pbc=True,
    )
    q, parts, ticks, labels, waves = _path(primitive, path, points)
    frequencies = np.asarray(job.run_qpoints(waves).frequencies)
    at = [int(np.argmin(np.abs(q - tick))) for tick in ticks]
    special = {}
    for name, index in zip(labels, at):
        for one in name.split("|"):
            special.setdefault(one, frequencies[index])
    lowest = min(
        float(frequencies.min()),
        float(job.run_mesh([mesh] * 3, is_gamma_center=True).frequencies.min()),
    )
    dos = job.run_total_dos(freq_pitch=0.05)
    temperatures = (
        np.arange(0, 1001, 20.0) if temperatures is None else np.asarray(temperatures, float)
    )
    thermal = job.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
    capacity = (
        np.asarray(thermal.heat_capacity) * units.J / units.mol / units.kB / len(primitive)
    )  # phonopy: J/K per mol of cells
    held = Atoms(job.supercell.symbols, job.supercell.positions, cell=job.supercell.cell, pbc=True)
    return Phonons(
        q,
        frequencies,
        parts,
        ticks,
        labels,
        special,
        np.asarray(dos.frequency_points),
        np.asarray(dos.dos) / len(primitive),
        temperatures,
        np.where(temperatures > 0, capacity, 0.0),
        lowest,
        held,
    )


def _path(primitive, path, points):
    """(q [Q], parts, ticks [L], labels [L], wave vectors [Q, 3] of the primitive cell) along the special points of its lattice."""
    lattice = primitive.cell.get_bravais_lattice()
    band = primitive.cell.bandpath(path or PATHS.get(lattice.name), npoints=0)
    inverse = primitive.cell.reciprocal()
    q, parts, ticks, labels, waves, at = [], [], [], [], [], 0.0
    for stretch in parse_path_string(band.path):
        begin = len(q)
        for a, b in zip(stretch[:-1], stretch[1:]):
            start, end = band.special_points[a], band.special_points[b]
            length = 2 * np.pi * np.linalg.norm((end - start) @ inverse)
            share = np.linspace(0, 1, points)
            q += list(at + length * share)
            waves += list(start + share[:, None] * (end - start))
            if not ticks or abs(ticks[-1] - at) > 1e-9:
                ticks.append(at), labels.append(a)
            elif labels[-1] != a:
                labels[-1] += "|" + a
            at += length
            ticks.append(at), labels.append(b)
        parts.append(slice(begin, len(q)))
    labels = tuple(
        "|".join("Γ" if one == "G" else one for one in label.split("|")) for label in labels
    )
    return np.array(q), tuple(parts), np.array(ticks), labels, np.array(waves)


def velocity_spectrum(trajectory, interval_fs=None, longest_fs=None, skip=0.0, blocks=5):
    """Spectrum of the velocities that the frames of a trajectory carry, weighted by mass; the centre of mass is held.

    interval_fs: between two frames [default: as they say]; it must be short against a vibration: 10 fs shows up to 50 THz.
    longest_fs: of the correlation, to which a window of Hann's brings it to zero; it makes the resolution, 1 / longest_fs
    [default: a block]. blocks: parts of the trajectory, whose scatter is the error.

    Raises ValueError for frames without velocities and for too few of them.
    """
    frames = frames_of(trajectory, skip)
    interval = interval_of(frames, interval_fs)
    mass = frames[0].get_masses()
    v = np.array([atoms.get_velocities() for atoms in frames]) * units.fs  # Å/fs
    if not v.any():
        raise ValueError("these frames carry no velocities; a spectrum needs them")
    v -= (mass[:, None] * v).sum(1, keepdims=True) / mass.sum()
    length = len(v) // blocks
    longest = length if longest_fs is None else int(round(longest_fs / interval)) + 1
    if length < 8 or not 8 <= longest <= length:
        raise ValueError(
            f"{len(v)} frames in {blocks} blocks can be correlated for at most {max(0, length - 1) * interval:g} fs, and 8 frames at least; "
            f"give longest_fs, fewer blocks, or a longer trajectory"
        )
    n = 2 ** int(np.ceil(np.log2(2 * length)))
    correlations = []
    for part in np.array_split(v, blocks):
        spectrum = np.fft.rfft(part, n, axis=0)
        c = np.fft.irfft(np.abs(spectrum) ** 2, n, axis=0)[:longest]
        c = (c.sum(2) * mass).sum(1) / (
            len(part) - np.arange(longest)
        )  # time origins of each distance
        correlations.append(c / c[0])
    window = np.cos(0.5 * np.pi * np.arange(longest) / longest) ** 2
    # 3 directions: ∫ g dν = 3 with ∫ 4 c cos dt dν = 1
    densities = [3 * 4 * interval * 1e-3 * _cosine(c * window) for c in correlations]
    nu = np.arange(longest) / (2 * (longest - 1) * interval * 1e-3)
    squares = (mass[:, None] * v**2).sum() / mass.sum() / len(v)  # Å²/fs², mean square speed
    speeds = squares * 1e6  # Å²/ps²
    # D = <v²>/3 ∫ c dt, in the mean over atoms weighted by mass
    integrals = [speeds / 3 * np.trapezoid(c, dx=interval * 1e-3) for c in correlations]
    error = lambda x: (
        np.std(x, axis=0, ddof=1) / blocks**0.5 if blocks > 1 else np.full(np.shape(x[0]), np.nan)
    )
    return Spectrum(
        np.arange(longest) * interval,
        np.mean(correlations, 0),
        error(correlations),
        nu,
        np.mean(densities, 0),
        error(densities),
        float(np.mean(integrals)),
        float(error(integrals)),
        len(frames),
    )


def _cosine(c):
    """∑ c_k cos(π k m / (n - 1)) for m = 0 .. n - 1, the ends by half: a trapezoidal cosine integral."""
    from scipy.fft import dct

    return dct(c, type=1) / 2
