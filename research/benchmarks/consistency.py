"""A step of training with weakly supervised losses against one without, in turn, in one process.

    python research/benchmarks/consistency.py [--preset paper] [--rounds 15] [--steps 5]

Silicon of 64 atoms (Stillinger-Weber), one structure a step. A step is all of it: gradient, Adam,
the average of the weights. Ratios are medians over rounds, of wall time and of processor time.
"""

import argparse
import sys
import time

import numpy as np
from chemtrain_side import ROOT

LOSSES = {
    "labels alone": None,
    "taylor, order 1": dict(taylor=1.2, order=1),
    "taylor, order 2": dict(taylor=1.2),
    "taylor and path, order 1": dict(taylor=1.2, path=0.01, order=1),
    "taylor and path, order 2": dict(taylor=1.2, path=0.01),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="course", choices=("course", "paper"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5, help="in a round")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))  # the code of this checkout, installed or not
    import tlmlp

    potential = tlmlp.Potential.create(asked.preset, ("Si", "Ge"))
    frames = tlmlp.datasets.stillinger_weber_shipped("Si")[0][:8]
    runs, many = {}, (asked.rounds + 1) * asked.steps
    for name, what in LOSSES.items():
        how = dict(steps=many, report_every=asked.steps, validate_every=many, shapes=1)
        consistency = what and tlmlp.Consistency(**what)
        runs[name] = tlmlp.fit(potential, frames, consistency=consistency, **how)
        next(runs[name])  # compiles
    times = {name: [] for name in runs}
    for _ in range(asked.rounds):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            next(run)
            spent = time.perf_counter() - wall, time.process_time() - cpu
            times[name].append(1e3 * np.array(spent) / asked.steps)
    base = np.array(times["labels alone"])
    print("| loss | ms a step | ratio | ratio of processor time |\n|---|---|---|---|")
    for name, spent in times.items():
        wall, cpu = np.median(np.array(spent) / base, axis=0)
        print(f"| {name} | {np.median(spent, axis=0)[0]:.1f} | {wall:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
