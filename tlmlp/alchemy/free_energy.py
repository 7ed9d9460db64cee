"""Free energy of one element in the place of another, in a cell that is held.

    ΔF = ∫_0^1 ⟨∂E/∂λ⟩_λ dλ                              integrate: thermodynamic integration
    ΔF ≈ E_1 - E_0 + (kT/2) Σ_n ln(κ_n,1 / κ_n,0)        harmonic

⟨ ⟩_λ is the mean in the ensemble of the potential at λ; Gauss-Legendre points give the integral.
E is the energy of the relaxed atoms, κ are the eigenvalues of the second derivatives of the energy
there, without the three translations; 0 and 1 are the values of λ.

This is the classical free energy of configurations. The masses do not enter: of the kinetic part,
which is the same in every phase, nothing is computed. Units: eV, K, fs.

Sources: J. G. Kirkwood, J. Chem. Phys. 3, 300 (1935); Frenkel & Smit, Understanding Molecular
Simulation, chapters on free energies.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import LBFGS

from ..crystal import crystal_of, hessian
from ..refusal import is_whole, positive, refuse
from .mixed import AlchemicalCalculator, alchemical

HOTTEST = 5  # times the temperature asked for: there the dynamics has failed


class Average(NamedTuple):
    """After each block; the last one holds the result."""

    done: float  # fraction of all blocks
    fraction: float  # λ
    slope: float  # eV, mean of ∂E/∂λ at this λ so far
    error: float  # eV, its standard error, by the scatter of blocks; nan for one block
    free_energy: float  # eV, ΔF so far; nan until each λ has a block
    free_energy_error: float  # eV, its standard error


class Harmonic(NamedTuple):
    free_energy: float  # eV, ΔF
    energy: float  # eV, E_1 - E_0
    vibrations: float  # eV, (kT/2) Σ ln(κ_1 / κ_0)


def integrate(
    calculator: AlchemicalCalculator,
    atoms: Atoms,
    temperature_K: float,
    points: int = 5,
    steps: int = 4000,
    equilibration: int = 500,
    blocks: int = 10,
    timestep: float = 2.0,
    friction: float = 0.01,
    seed: int = 0,
) -> Iterator[Average]:
    """ΔF of the alchemical atoms from the first element to the second, by molecular dynamics.

    The dynamics is Langevin's (ASE) in a cell that is held, with the masses of `atoms`. Each λ goes
    on from the positions of the one before. The fractions of the calculator are changed.

    Args:
        calculator: its alchemical atoms (`which`) change together, one for a dilute alloy.
        atoms: a crystal, without defects that move.
        temperature_K: in K.
        points: values of λ, those of Gauss and Legendre.
        steps: of the dynamics that count, at each λ.
        equilibration: steps before them.
        blocks: whose scatter is the error; right where a block is longer than the correlation time.
        timestep: fs.
        friction: 1/fs.
        seed: of the random forces.

    Yields an Average after each block. Raises ValueError for bad settings, TypeError for
    another calculator, RuntimeError where the atoms become far too hot.
    """
    alchemical(calculator)
    positive(temperature_K=temperature_K, timestep=timestep, friction=friction)
    whole = dict(points=(points, 1), blocks=(blocks, 2), equilibration=(equilibration, 0))
    for name, (value, least) in (whole | dict(steps=(steps, 1))).items():
        words = f"{name} must be a whole number of at least {least}, not {value!r}"
        refuse(not is_whole(value, least), words)
    refuse(steps < blocks, f"{steps} steps do not fill {blocks} blocks; a block needs one at least")
    atoms, rng = crystal_of(atoms), np.random.default_rng(seed)
    atoms.calc = calculator
    atoms.set_constraint(FixCom())  # else the whole crystal diffuses
    thermalize_momenta(atoms, temperature_K, rng=rng)
    options = dict(temperature_K=temperature_K, friction=friction / units.fs, rng=rng, fixcm=False)
    dynamics = Langevin(atoms, timestep * units.fs, **options)
    x, w = np.polynomial.legendre.leggauss(points)
    means, errors = np.full((2, points), np.nan)
    for n, fraction in enumerate(((1 + x) / 2).tolist()):
        calculator.fractions = fraction
        _sample(dynamics, equilibration, temperature_K)
        parts = []
        for block in range(1, blocks + 1):
            parts.append(_sample(dynamics, steps // blocks, temperature_K))
            means[n] = np.mean(parts)
            errors[n] = np.std(parts, ddof=1) / block**0.5 if block > 1 else np.nan
            total = w @ means / 2, np.linalg.norm(w * errors) / 2
            numbers = map(float, (means[n], errors[n], *total))
            yield Average((n * blocks + block) / (points * blocks), fraction, *numbers)


def _sample(dynamics, steps, temperature_K):
    """Mean of ∂E/∂λ in eV over some steps; nan over none."""
    atoms, series = dynamics.atoms, []
    for _ in range(steps):
        dynamics.run(1)
        series.append((atoms.calc.slopes(atoms).sum(), atoms.get_temperature()))
    slope, temperature = np.mean(series, 0) if series else (np.nan, 0.0)
    words = f"the atoms had {temperature:.3g} K, not {temperature_K:g} K: the crystal is unstable"
    failed = not temperature < HOTTEST * temperature_K
    refuse(failed, f"{words}, or {dynamics.dt / units.fs:g} fs are too long", RuntimeError)
    return slope


def harmonic(
    calculator: AlchemicalCalculator, atoms: Atoms, temperature_K: float, force: float = 1e-3
) -> Harmonic:
    """ΔF of the alchemical atoms from the first element to the second, in the harmonic limit.

    The atoms relax at both ends, in a cell that is held, until no force is above `force` in eV/Å.
    Second derivatives are central differences of forces: two evaluations for each coordinate.
    The fractions of the calculator are changed; float64 is best.

    Raises RuntimeError where the relaxed crystal is not at a minimum of the energy.
    """
    alchemical(calculator)
    positive(temperature_K=temperature_K, force=force)
    atoms, ends = crystal_of(atoms), []
    for calculator.fractions in (0.0, 1.0):
        atoms.calc = calculator
        search = LBFGS(atoms, logfile=None)  # type: ignore[arg-type] # None: no log
        search.run(fmax=force, steps=500)
        strongest = np.linalg.norm(atoms.get_forces(), axis=1).max()
        end = f"at the fraction {calculator.fractions:g}"
        words = f"the atoms did not relax {end}; the largest force is {strongest:.2g} eV/Å"
        refuse(strongest > force, words, RuntimeError)
        curvatures = np.linalg.eigvalsh(hessian(atoms))
        curvatures = np.delete(curvatures, np.abs(curvatures).argsort()[:3])
        words = f"the crystal is unstable {end}: {(curvatures <= 0).sum()} modes have no restoring"
        refuse(curvatures.min(initial=1) <= 0, f"{words} force", RuntimeError)
        ends.append((atoms.get_potential_energy(), np.log(curvatures).sum()))
    energy, logarithms = np.subtract(ends[1], ends[0])
    vibrations = units.kB * temperature_K / 2 * logarithms
    return Harmonic(float(energy + vibrations), float(energy), float(vibrations))
