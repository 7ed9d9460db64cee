"""Crystals between silicon and germanium: alchemical ones, alloys of the same network, one atom.

    python -m research.sweep alchemy     half an hour; stopped, the same command does the rest

Every row has a `method`:

    alchemical   all atoms at the fraction x, by the `way` of tlmlp.alchemy: lattice constant (Å),
                 bulk modulus and elastic constants (GPa), energy (eV/atom), phonons (THz)
    random       64 atoms, of which x are germanium, relaxed with their cell (`seed`)
    ordered      the same with the order of research/dft
    dilute       ΔF (eV) of one atom of 64 from silicon to germanium at 600 K, in a crystal of
                 `host`: integrated, by perturbation in the other direction, and harmonic

The energies of alloys include that of mixing: `mixing` in meV/atom against both pure crystals.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.optimize import LBFGS

from tlmlp import Potential, alchemy, allocator, crystal, properties
from tlmlp.recipes import circumstances

from .dft.generate import symbols

NETWORK = "sige-dft-course"
PAIR = ("Si", "Ge")
GUESS = 5.6  # Å, where a search for the lattice constant begins
FRACTIONS = [n / 16 for n in range(17)]
ALLOYS, SEEDS = [n / 8 for n in range(1, 8)], 4
BANDS = 12  # wave vectors of each stretch
TEMPERATURE = 600.0  # K, of the free energies
STEPS = dict(points=5, steps=5000, equilibration=1000)
STAGES = (1.0, 0.75, 0.5, 0.25, 0.0)  # of the perturbation


def tasks() -> list[dict]:
    """One a crystal; x is the fraction of germanium."""
    first = [dict(method="alchemical", way="nodes", x=x) for x in FRACTIONS]
    first += [dict(method="ordered", x=x, seed=0) for x in (0.25, 0.5, 0.75)]
    first += [dict(method="random", x=x, seed=seed) for seed in range(SEEDS) for x in ALLOYS]
    first += [dict(method="alchemical", way="embedding", x=x) for x in FRACTIONS]
    return first + [dict(method="dilute", host=host, way="nodes", seed=0) for host in PAIR]


def perform(task: dict, folder: Path | None = None) -> dict:
    """The row of a task."""
    allocator.prepare()
    started, potential = time.perf_counter(), Potential.load(NETWORK)
    of = dict(alchemical=alchemical, random=alloy, ordered=alloy, dilute=dilute)[task["method"]]
    return task | of(potential, task) | circumstances(started, "tlmlp", "ase")


def alchemical(potential: Potential, task: dict) -> dict:
    """A crystal all of whose atoms are at the fraction x."""
    calculator = alchemy.AlchemicalCalculator(
        potential, PAIR, task["x"], way=task["way"], dtype="float64"
    )
    atoms = crystal.at_zero_pressure(bulk("Si", "diamond", a=GUESS), calculator)
    atoms.set_masses(alchemy.masses(atoms, PAIR, task["x"]))
    atoms.calc = calculator
    c = properties.elastic(atoms, calculator)
    p = properties.phonons(atoms, calculator, points=BANDS, mesh=8)
    bands = dict(
        q=p.q.round(4).tolist(),
        ticks=p.ticks.round(4).tolist(),
        labels=list(p.labels),
        parts=[[part.start, part.stop] for part in p.parts],
        frequencies=p.frequencies.round(3).tolist(),
    )
    return dict(
        lattice_constant=round(crystal.cubic_edge(atoms), 5),
        bulk_modulus=round(c.bulk_modulus, 3),
        **{name: round(getattr(c, name), 3) for name in ("c11", "c12", "c44")},
        energy=round(float(atoms.get_potential_energy()) / len(atoms), 6),
        phonons=bands,
    )


def alloy(potential: Potential, task: dict) -> dict:
    """Lattice constant, bulk modulus and energy of mixing of an explicit alloy, relaxed."""
    calculator = potential.calculator("float64")
    atoms = bulk("Si", "diamond", a=GUESS, cubic=True).repeat(2)
    rng = np.random.default_rng([task["seed"], round(task["x"] * len(atoms))])
    atoms.symbols[:] = symbols("SiGe", task["method"], task["x"], atoms, rng)
    atoms.calc = calculator
    relax = partial(LBFGS, logfile=None)
    relax(FrechetCellFilter(atoms, hydrostatic_strain=True)).run(fmax=1e-3, steps=500)
    pressures, volumes = [], []
    for strain in (-0.004, 0.004):
        squeezed = crystal.strained(atoms, strain * np.eye(3))
        squeezed.calc = calculator
        relax(squeezed).run(fmax=1e-3, steps=500)
        pressures.append(-squeezed.get_stress()[:3].mean() / units.GPa)
        volumes.append(squeezed.get_volume())
    x = np.mean(atoms.numbers == 32)
    pure = [pure_energy(potential, symbol) for symbol in PAIR]
    energy = atoms.get_potential_energy() / len(atoms)
    return dict(
        lattice_constant=round(float(atoms.get_volume() ** (1 / 3) / 2), 5),
        bulk_modulus=round(float(-np.diff(pressures)[0] / np.diff(np.log(volumes))[0]), 3),
        energy=round(float(energy), 6),
        mixing=round(1e3 * float(energy - (1 - x) * pure[0] - x * pure[1]), 3),
    )


def pure_energy(potential: Potential, symbol: str) -> float:
    """eV/atom of the crystal of one element at rest."""
    calculator = potential.calculator("float64")
    atoms = crystal.at_zero_pressure(bulk(symbol, "diamond", a=GUESS), calculator)
    atoms.calc = calculator
    return atoms.get_potential_energy() / len(atoms)


def dilute(potential: Potential, task: dict) -> dict:
    """ΔF of one atom from silicon to germanium among 63 of `host`, in three ways."""
    host, seed = task["host"], task["seed"]
    edge = crystal.lattice_constant(bulk(host, "diamond", a=GUESS), potential.calculator("float64"))
    atoms = bulk(host, "diamond", a=edge, cubic=True).repeat(2)
    at = partial(alchemy.AlchemicalCalculator, potential, PAIR, which=[0], way=task["way"])
    *_, found = alchemy.integrate(at(), atoms, TEMPERATURE, seed=seed, **STEPS)
    exact = alchemy.harmonic(at(dtype="float64"), atoms, TEMPERATURE)
    back, error = perturbation(at(), atoms, seed)
    return dict(
        integrated=[round(found.free_energy, 5), round(found.free_energy_error, 5)],
        perturbation=[round(back, 5), round(error, 5)],
        harmonic=[round(v, 5) for v in exact],
        temperature=TEMPERATURE,
        lattice_constant=round(edge, 5),
    )


def perturbation(calculator, atoms, seed, blocks=10, every=5):
    """(ΔF, its error) in eV from λ = 1 to 0 and with its sign turned: Zwanzig, stage by stage.

    F(λ') - F(λ) = -kT ln ⟨exp(-[E(λ') - E(λ)] / kT)⟩ in the ensemble of λ.
    """
    kT, rng, atoms = units.kB * TEMPERATURE, np.random.default_rng([seed, 1]), atoms.copy()
    atoms.calc = calculator
    calculator.fractions = STAGES[0]
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * (atoms.get_masses()[:, None] * kT) ** 0.5)
    langevin = dict(temperature_K=TEMPERATURE, friction=0.01 / units.fs, rng=rng, fixcm=False)
    dynamics = Langevin(atoms, 2 * units.fs, **langevin)
    total = np.zeros(blocks)
    for here, there in zip(STAGES, STAGES[1:]):
        calculator.fractions = here
        dynamics.run(STEPS["equilibration"])
        for block in range(blocks):
            differences = []
            for _ in range(STEPS["steps"] // blocks // every):
                dynamics.run(every)
                energy = atoms.get_potential_energy()
                calculator.fractions = there
                differences.append(atoms.get_potential_energy() - energy)
                calculator.fractions = here
            total[block] -= kT * np.log(np.mean(np.exp(-np.array(differences) / kT)))
    return -float(total.mean()), float(total.std(ddof=1) / blocks**0.5)
