"""Energy and forces by the linear potential and by DimeNet++, in turn, in one process.

    python research/benchmarks/linear.py [--cells 4] [--rounds 15]

Silicon off its sites, single precision, neighbours found before. Of each the median wall time and
the median processor time of all threads, and their ratios. Weights are random, at the same cost.
"""

import argparse
import time

import jax
import numpy as np
from ase.build import bulk

import tlmlp
from tlmlp import graph as graphs
from tlmlp.forces import on_device, predict
from tlmlp.splines import Splines


def call(config, atoms):
    """A function that computes energy and forces of `atoms` once."""
    potential = tlmlp.Potential.create(config, ("Si",))
    if isinstance(config, Splines):
        random = np.random.default_rng(0).normal(size=potential.params["splines"]["weights"].shape)
        potential = potential.replace(params={"splines": {"weights": random}})
    graph = on_device(graphs.from_atoms(atoms, potential.elements, potential.config.cutoff))
    params = jax.device_put(jax.tree.map(np.float32, potential.params))
    return lambda: jax.block_until_ready(predict(potential.config, params, graph))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=4, help="cubic cells along a side")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    atoms = bulk("Si", cubic=True).repeat(asked.cells)
    atoms.rattle(0.1, seed=0)
    configs = {"linear": Splines(), "larger": Splines(cutoff=5.5, n_pair=22, n_triple=8)}
    configs |= {name: tlmlp.Config(name) for name in ("course", "paper")}
    calls = {name: call(config, atoms) for name, config in configs.items()}
    times = {name: [] for name in calls}
    for round_ in range(asked.rounds + 2):
        for name, compute in calls.items():
            repeats = 20 if isinstance(configs[name], Splines) else 1
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                compute()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if round_ > 1:  # the first ones compile and warm up
                times[name].append((wall / repeats * 1e3, cpu / repeats * 1e3))
    base = np.median(times["linear"], axis=0)
    print(f"{len(atoms)} atoms   wall ms   processor ms   ratios to the linear potential")
    for name, rows in times.items():
        wall, cpu = np.median(rows, axis=0)
        print(f"{name:9}{wall:12.2f}{cpu:15.2f}{wall / base[0]:12.1f}{cpu / base[1]:8.1f}")


if __name__ == "__main__":
    main()
