"""What alchemical atoms cost, as a ratio to the plain network's energy and forces.

    python research/benchmarks/alchemy.py

All calculators take turns at the same structures, so that a slow moment is slow for each. A ratio
is that of medians.
"""

import statistics
import time
from functools import partial

from ase.build import bulk

import tlmlp
from tlmlp.alchemy import AlchemicalCalculator

ROUNDS = 40
CASES = (("course", 2), ("course", 3), ("paper", 2))


def calculators(potential, n):
    """{name: a calculator}, of a crystal of n atoms."""
    alchemical = partial(AlchemicalCalculator, potential, ("Si", "Ge"), 0.3)
    return {
        "plain": potential.calculator(),
        "mixed rows, all atoms": alchemical(way="embedding"),
        "two nodes, one atom": alchemical(which=0),
        "two nodes, half of all": alchemical(which=range(0, n, 2)),
        "two nodes, all atoms": alchemical(),
    }


def measure(preset, cells):
    """Lines of a table: ms a call, and the ratio to the plain network."""
    potential = tlmlp.Potential.create(preset, ("Si", "Ge")).replace(trained=("Si", "Ge"))
    atoms = bulk("Si", cubic=True, a=5.5).repeat(cells)
    frames = []
    for seed in range(2):
        atoms.rattle(0.02, seed=seed)
        frames.append(atoms.copy())
    every = calculators(potential, len(atoms))
    times = {name: [] for name in every}
    for k in range(ROUNDS + 2):
        for name, calculator in every.items():
            frames[k % 2].calc = calculator
            started = time.perf_counter()
            frames[k % 2].get_forces()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(own[2:]) for name, own in times.items()}
    for name, seconds in medians.items():
        ratio = seconds / medians["plain"]
        print(f"| {preset}, {len(atoms)} atoms | {name} | {1e3 * seconds:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    print("| network | atoms between two elements | ms | times plain |\n|---|---|---|---|")
    for case in CASES:
        measure(*case)
