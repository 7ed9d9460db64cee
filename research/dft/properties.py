"""Reference properties at the level of the data, with k-points that fold onto its own.

    python research/dft/properties.py CACHE [ELEMENT ...]

writes tlmlp/data/dft/properties.json; a stopped run continues.

Lattice constant, equation of state and elastic constants use the cell of 8 atoms with 4 x 4 x 4
k-points, which are the 2 x 2 x 2 of the cell of 64 atoms; the vacancy (63 of 64 atoms, fixed cell)
and the force constants use the large cell.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.optimize import BFGS, LBFGS

from tlmlp.properties.mechanics import fit_equation_of_state

sys.path.insert(0, str(Path(__file__).parent))
import cp2k
from generate import ELEMENTS, SHIPPED

STRAIN = 0.01  # of the finite differences for elastic constants
DISPLACEMENT = 0.02  # Å, of those for force constants
FORCE = 0.005  # eV/Å, where relaxations end


def equation_of_state(symbol, guess, calculator):
    """Birch-Murnaghan through lattice constants of 0.96 to 1.04 of a guess (Å); GPa, eV/atom."""
    points = []
    for a in np.linspace(0.96, 1.04, 9) * guess:
        atoms = bulk(symbol, "diamond", a=a, cubic=True)
        atoms.calc = calculator
        points.append((float(a), atoms.get_volume() / 8, atoms.get_potential_energy() / 8))
    fit = fit_equation_of_state(*np.array(points).T[1:], atoms_in_cube=8)
    return dict(
        lattice_constant=fit.lattice_constant,
        bulk_modulus=fit.bulk_modulus,
        bulk_modulus_derivative=fit.derivative,
        energy_per_atom=fit.energy,
        eos=dict(lattice_constant=[p[0] for p in points], energy_per_atom=[p[2] for p in points]),
    )


def elastic(symbol, a, calculator):
    """C11, C12, C44 (GPa) by central differences of the stress; the ions relax under shear."""

    def stress(strain, relax):
        atoms = bulk(symbol, "diamond", a=a, cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.calc = calculator
        if relax:
            BFGS(atoms, logfile=None).run(fmax=FORCE, steps=30)
        return atoms.get_stress() / units.GPa

    stretch, shear = np.diag([STRAIN, 0, 0]), np.zeros((3, 3))
    shear[1, 2] = shear[2, 1] = STRAIN / 2
    d = (stress(stretch, False) - stress(-stretch, False)) / (2 * STRAIN)
    relaxed, clamped = (
        (stress(shear, r)[3] - stress(-shear, r)[3]) / (2 * STRAIN) for r in (True, False)
    )
    return dict(
        c11=float(d[0]),
        c12=float(d[1] + d[2]) / 2,
        c44=float(relaxed),
        c44_clamped_ions=float(clamped),
    )


def phonons(symbol, a, calculator):
    """Force constants of 64 atoms [2, 64, 3, 3], and frequencies (THz) where they are exact.

    One atom is moved along x. Threefold rotation about [111] through it gives y and z, inversion
    about a bond the atom of the other sublattice. Frequencies are exact at the points that the cell
    holds, of which Γ, X and L are listed.
    """
    crystal = bulk(symbol, "diamond", a=a, cubic=True).repeat(2)
    forces = []
    for sign in (1, -1):
        atoms = crystal.copy()
        atoms.positions[0, 0] += sign * DISPLACEMENT
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    along_x = -(forces[0] - forces[1]) / (
        2 * DISPLACEMENT
    )  # [64, 3], derivative of force on j by motion of atom 0 along x
    find = lambda positions: _match(crystal, positions)

    first = np.zeros((64, 3, 3))  # [j, motion of atom 0, force on j]
    for turn in range(3):  # rotation x -> y -> z -> x about atom 0, which sits at the origin
        image = find(np.roll(crystal.positions, turn, axis=1))
        first[image, turn] = np.roll(along_x, turn, axis=1)
    other = 1  # the atom at a/4 (1, 1, 1)
    second = np.zeros_like(first)
    second[find(crystal.positions[other] - crystal.positions)] = first
    phi = np.array([first, second])
    for kappa, atom in enumerate((0, other)):  # atoms do not feel a shift of all
        phi[kappa, atom] -= phi[kappa].sum(axis=0)

    mass, frequencies = crystal.get_masses()[0], {}
    for name, q in dict(Γ=(0, 0, 0), X=(1, 0, 0), L=(0.5, 0.5, 0.5)).items():
        dynamical = np.zeros((6, 6), complex)
        for kappa, atom in enumerate((0, other)):
            for j in range(64):
                beta = j % 2  # ase.build.bulk lists the sublattices in turn
                phase = np.exp(
                    2j * np.pi / a * np.dot(q, crystal.positions[j] - crystal.positions[atom])
                )
                dynamical[3 * kappa : 3 * kappa + 3, 3 * beta : 3 * beta + 3] += (
                    phi[kappa, j] * phase / mass
                )
        dynamical = (dynamical + dynamical.conj().T) / 2
        omega2 = np.linalg.eigvalsh(dynamical)  # eV/Å^2/amu
        omega = np.sign(omega2) * np.sqrt(np.abs(omega2)) * units.fs * 1e3  # rad/ps
        frequencies[name] = (omega / (2 * np.pi)).round(3).tolist()
    return dict(frequencies=frequencies, force_constants=phi.round(5).tolist())


def _match(crystal, positions):
    """Index of the site of the crystal at each position."""
    scaled = np.linalg.solve(
        crystal.cell.array.T, (positions[:, None] - crystal.positions[None]).reshape(-1, 3).T
    ).T
    distance = np.abs(scaled - np.round(scaled)).max(axis=1).reshape(len(positions), -1)
    assert distance.min(axis=1).max() < 1e-6
    return distance.argmin(axis=1)


def vacancy(symbol, a, calculator):
    """Formation energy (eV) of a vacancy in 64 sites at fixed cell, unrelaxed and relaxed."""
    crystal = bulk(symbol, "diamond", a=a, cubic=True).repeat(2)
    crystal.calc = calculator
    bulk_energy = crystal.get_potential_energy() / 64

    atoms = crystal.copy()
    site, bond = atoms.positions[0].copy(), a * 3**0.5 / 4
    vectors = atoms.get_distances(0, range(1, 64), mic=True, vector=True)
    del atoms[0]
    atoms.calc = calculator
    unrelaxed = atoms.get_potential_energy() - 63 * bulk_energy
    near = np.linalg.norm(vectors, axis=1) < 1.1 * bond
    # The symmetric vacancy is a stationary point: pairs of neighbours approach each other
    # (Jahn-Teller).
    pairs = np.flatnonzero(near).reshape(2, 2)
    for pair in pairs:
        for i in pair:
            atoms.positions[i] -= 0.1 * vectors[i]
            atoms.positions[i] += 0.05 * (vectors[pair].mean(axis=0) - vectors[i])
    LBFGS(atoms, logfile=None).run(fmax=0.02, steps=60)  # BFGS is slow with 63 atoms
    return dict(
        vacancy=float(atoms.get_potential_energy() - 63 * bulk_energy),
        vacancy_unrelaxed=float(unrelaxed),
        force=float(np.abs(atoms.get_forces()).max()),
        positions=atoms.positions.round(4).tolist(),
        site=site.tolist(),
    )


def reference(symbol, cache):
    """(name, values) of each property, most important first; `seconds` is processor time."""
    timed = lambda values, calculator: values | dict(seconds=round(calculator.seconds))
    small, large = (lambda: cp2k.CP2K(cache, kpoints=(4, 4, 4))), (lambda: cp2k.CP2K(cache))
    calculator = small()
    eos = timed(equation_of_state(symbol, ELEMENTS[symbol][0], calculator), calculator)
    yield "eos", eos
    a = round(eos["lattice_constant"], 4)
    for name, function, calculator in (
        ("elastic", elastic, small()),
        ("phonons", phonons, large()),
        ("vacancy", vacancy, large()),
    ):
        yield name, timed(function(symbol, a, calculator), calculator)


if __name__ == "__main__":
    path = SHIPPED / "properties.json"
    table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if table.get("protocol") != cp2k.NAME:  # elements of one protocol, those not named now too
        table = dict(protocol=cp2k.NAME)
    running = {symbol: reference(symbol, sys.argv[1]) for symbol in sys.argv[2:] or ["Si", "Ge"]}
    for _ in range(4):  # the elements in turn
        for symbol, generator in running.items():
            name, values = next(generator)
            table.setdefault(symbol, {})[name] = values
            print(
                symbol,
                name,
                {k: v for k, v in values.items() if isinstance(v, float | int | dict)},
                flush=True,
            )
    SHIPPED.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table, ensure_ascii=False) + "\n", encoding="utf-8")
