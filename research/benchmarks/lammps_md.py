"""Molecular dynamics in LAMMPS: milliseconds a step, beside tlmlp.simulate, as a table in markdown.

    python research/benchmarks/lammps_md.py                    # minutes on two cores
    python research/benchmarks/lammps_md.py --atoms 512 --ways exchange --ranks 1 2 4

Silicon at 600 K and constant energy, 1 fs, course preset; every rank, and `simulate`, has one
thread. Each figure is of a fresh process, after ten steps that compile. Run it on an otherwise idle
machine. "CPU" is processor time a step and rank: it stands even where the machine is not idle.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """units metal
lattice diamond 5.431
region box block 0 {n} 0 {n} 0 {n}
create_box 1 box
create_atoms 1 box
mass 1 28.085
pair_style tlmlp {way}
pair_coeff * * si-sw-course Si
neighbor 1.0 bin
velocity all create 1200 1
fix 1 all nve
timestep 0.001
run 10
"""


def watch(advance, steps):
    """[wall, CPU] in ms a step of a function that goes on by so many steps."""
    wall, cpu = time.perf_counter(), time.process_time()
    advance(steps)
    return [1e3 * (time.perf_counter() - wall) / steps, 1e3 * (time.process_time() - cpu) / steps]


def simulate(n, steps):
    from ase.build import bulk

    import tlmlp

    atoms = bulk("Si", "diamond", a=5.431, cubic=True).repeat(n)
    chunks = [10]
    run = tlmlp.simulate.nve("si-sw-course", atoms, 1200, every=lambda: chunks[-1], timestep_fs=1)
    next(run), next(run)
    chunks[-1] = steps
    print(json.dumps(watch(lambda _: next(run), steps)))


def rank(way, n, steps):
    from tlmlp.lammps import open_lammps
    from tlmlp.lammps.network import bonds

    lmp = open_lammps(["-log", "none", "-screen", "none"])
    lmp.commands_string(SCRIPT.format(way=way, n=n))
    times = watch(lambda steps: lmp.command(f"run {steps}"), steps)
    if lmp.extract_setting("world_rank") == 0:
        print(json.dumps([*times, bonds._cache_size()]))
    lmp.finalize()


def timed(ranks, *words):
    """What a fresh process prints; ranks = 0: without LAMMPS."""
    from tlmlp.lammps.plugin import file_of

    own = dict(os.environ, PYTHONPATH=str(ROOT), NPROC="1", OMP_NUM_THREADS="1")
    command = [sys.executable, __file__, "--one", *map(str, words)]
    if ranks:
        command = [str(file_of("mpich", "mpirun")), "-n", str(ranks), *command]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", nargs="+", type=int, default=[512, 4096])
    parser.add_argument("--ways", nargs="+", default=["exchange", "halo"])
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    a = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if a.one:
        way, n, steps = a.one[0], int(a.one[1]), int(a.one[2])
        simulate(n, steps) if way == "simulate" else rank(way, n, steps)
        return
    print("| atoms | way | ranks | ms a step | of simulate | CPU ms | of simulate | compiled |")
    print("|---|---|---|---|---|---|---|---|")
    for atoms in a.atoms:
        n = round((atoms / 8) ** (1 / 3))
        wall, cpu = timed(0, "simulate", n, a.steps)
        print(f"| {8 * n**3} | simulate | | {wall:.0f} | 1 | {cpu:.0f} | 1 | |", flush=True)
        for way in a.ways:
            for ranks in a.ranks:
                w, c, compiled = timed(ranks, way, n, a.steps)
                words = f"| {8 * n**3} | {way} | {ranks} | {w:.0f} | {w / wall:.2f} | {c:.0f}"
                print(f"{words} | {c / cpu:.2f} | {compiled} |", flush=True)


if __name__ == "__main__":
    main()
