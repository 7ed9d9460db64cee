"""chemtrain's DimeNet++ and ours, of the same weights and structure, as a table in markdown.

    python research/benchmarks/compare.py              # twenty minutes on two cores
    python research/benchmarks/compare.py --rounds 1 --cases si64
    python research/benchmarks/compare.py --memory     # ours only, from 64 to 1000 atoms

The bound is the time that the arithmetic (as XLA counts it) of a side takes at the speed of a large
matrix product in the same process. The two sides take turns, each run in a fresh process, and
ratios are taken within a round: a machine that is slow for a while is slow for both. Run it on an
otherwise idle machine with tlmlp installed; chemtrain gets an environment of its own (`--env`),
made if it is missing.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from chemtrain_side import load_make_fixture

HERE = Path(__file__).resolve().parent
ROWS = {
    "ef_ms": "energy + forces, ms",
    "grad_ms": "loss gradient, ms",
    "ef_bound": "energy + forces, times the bound",
    "grad_bound": "loss gradient, times the bound",
    "compile_ef_s": "compile energy + forces, s",
    "compile_grad_s": "compile loss gradient, s",
    "peak_mb": "peak memory, MB",
}


def run(python, script, *arguments):
    """The JSON line of one side, from a fresh process."""
    environ = load_make_fixture().clean_environ() | {"TLMLP_COMPILATION_CACHE": "off"}
    done = subprocess.run(
        [str(python), str(HERE / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(map(str, arguments))} failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def machine(*sides):
    """One line: processor, cores, versions, date."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join([model, f"{cores} cores", *sides, datetime.date.today().isoformat()])


def compare(python, cases, rounds, repeat, defaults=False):
    for case in cases:
        theirs, ours = [], []
        for number in range(rounds):
            arguments = ("--case", case, "--repeat", repeat)
            theirs.append(run(python, "chemtrain_side.py", *arguments, *["--defaults"] * defaults))
            ours.append(run(sys.executable, "ours_side.py", *arguments))
            print(f"{case}: round {number + 1} of {rounds}", file=sys.stderr)
        each = "one process" if rounds == 1 else f"median of {rounds} processes"
        size = f"{ours[0]['n_atoms']} atoms, {ours[0]['n_edges']} edges"
        print(f"\n{case}: {size}; {each} on each side\n")
        print("| | chemtrain | ours | chemtrain / ours |\n|---|---|---|---|")
        for key, label in ROWS.items():
            a, b = (statistics.median(side[key] for side in sides) for sides in (theirs, ours))
            ratio = statistics.median(t[key] / o[key] for t, o in zip(theirs, ours))
            print(f"| {label} | {a:.4g} | {b:.4g} | {ratio:.1f} |")
        difference = f"{ours[0]['force_difference']:.1e} eV/Å"
        print(f"\nLargest difference between their forces and ours: {difference}", flush=True)
    version = load_make_fixture().PINS["chemtrain"]
    print(
        "\n"
        + machine(
            f"chemtrain {version} with jax {theirs[0]['jax']}", f"ours with jax {ours[0]['jax']}"
        )
    )


def memory(atoms):
    """Ours only. Buffers: of the compiled program; peak: of the process, with its compiler."""
    names = "atoms", "edges", "buffers, MB", "kB per edge", "peak, MB", "before compilation, MB"
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
    for n in atoms:
        side = run(
            sys.executable, "ours_side.py", "--case", f"si{n}", "--repeat", 3, "--energy-only"
        )
        per_edge = 1024 * side["buffers_mb"] / side["n_edges"]
        print(
            f"| {side['n_atoms']} | {side['n_edges']} | {side['buffers_mb']:.1f} | {per_edge:.2f} "
            f"| {side['peak_mb']:.0f} | {side['base_mb']:.0f} |",
            flush=True,
        )
    print("\n" + machine(f"jax {side['jax']}"))


def main():
    make_fixture = load_make_fixture()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--env",
        type=Path,
        default=make_fixture.ENVIRONMENT,
        help="folder of chemtrain's environment",
    )
    parser.add_argument("--cases", nargs="+", default=["si64", "si216"])
    parser.add_argument(
        "--rounds", type=int, default=3, help="processes of each side, taking turns"
    )
    parser.add_argument("--repeat", type=int, default=10, help="timed calls in a process")
    parser.add_argument(
        "--defaults",
        action="store_true",
        help="chemtrain with lists as long as its defaults make them",
    )
    parser.add_argument(
        "--memory", action="store_true", help="only our memory against the number of edges"
    )
    arguments = parser.parse_args()
    if arguments.memory:
        memory((64, 216, 512, 1000))
    else:
        python = make_fixture.environment(arguments.env)
        compare(python, arguments.cases, arguments.rounds, arguments.repeat, arguments.defaults)


if __name__ == "__main__":
    main()
