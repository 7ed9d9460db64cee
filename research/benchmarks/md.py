"""Molecular dynamics: time per step against the number of atoms, as tables in markdown.

    python research/benchmarks/md.py         # an hour on two cores; on a GPU if jax finds one
    python research/benchmarks/md.py --presets course --atoms 64 512 --no-chemtrain

Silicon at 300 K, Langevin, 2 fs. Each row is a fresh process, so that memory is that of this size
alone. Beside a step of ours stand

- the model's bare energies and forces for one snapshot of that run, with neighbours known and as
  many slots: what is left is what molecular dynamics costs on top;
- a step of ASE's Langevin with our ASE calculator;
- a step of chemtrain 0.2.0's DimeNet++ (paper preset) through its jax-md, as in a simulation: a
  skin of 0.5 Å, and lists 1.25 times longer than needed. It needs an environment of its own
  (`--env`), made if it is missing.

Ours and the bare model take turns, so a machine that is slow for a while is slow for both. Run it
on an otherwise idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from chemtrain_side import ROOT, load_make_fixture, peak_mb, read_params

NAMES = {"course": "si-sw-course", "paper": "si-sw"}
TIMESTEP = 2.0  # fs


def crystal(n):
    from ase.build import bulk

    repeats = round((n / 8) ** (1 / 3))
    if 8 * repeats**3 != n:
        raise SystemExit(f"{n} atoms are no cube of diamond: take 64, 216, 512, 1000, 1728, ...")
    return bulk("Si", "diamond", a=5.431, cubic=True).repeat(repeats)


def turns(functions, rounds=9):
    """Median seconds of each function, called in turn."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def ours(preset, n):
    import jax

    sys.path.insert(0, str(ROOT))  # the code of this checkout, installed or not
    from ase import units
    from ase.md.langevin import Langevin

    import tlmlp

    atoms, potential = crystal(n), tlmlp.Potential.load(NAMES[preset])
    steps = max(4, min(50, 10_000 // n))
    run = tlmlp.simulate.nvt(potential, atoms, 300, every=steps, timestep_fs=TIMESTEP)
    next(run)
    for _ in range(3):  # compiles, and again should a list be too short
        snapshot = next(run)
    before = snapshot.searches
    job = run.gi_frame.f_locals["self"].job
    graph = tlmlp.graph.from_atoms([snapshot.atoms], potential.elements, potential.config.cutoff)
    neighbors = float(graph.mask.sum(1).mean())
    graph = tlmlp.graph.join([graph], slots=job.plan.slots)
    bare = jax.device_put((potential.params, graph, potential.repulsion()))
    predict = lambda: jax.block_until_ready(tlmlp.forces.predict(potential.config, *bare))
    predict()
    state = {}
    functions = {
        "ms": lambda: state.update(last=next(run)),
        "bare_ms": lambda: [predict() for _ in range(steps)],
    }
    out = {name: 1000 * t / steps for name, t in turns(functions).items()}
    out |= dict(
        slots=job.plan.slots,
        neighbors=neighbors,
        searches=(state["last"].searches - before) / (9 * steps),
    )
    out |= dict(peak_mb=peak_mb(), device=jax.devices()[0].device_kind, jax=jax.__version__)
    if jax.default_backend() == "gpu":
        out["device_mb"] = jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20
        cost = tlmlp.forces.predict.lower(potential.config, *bare).compile().cost_analysis()
        out |= dict(
            gflops=cost["flops"] / 1e6 / out["bare_ms"],
            gb_per_s=cost["bytes accessed"] / 1e6 / out["bare_ms"],
        )
    atoms = snapshot.atoms
    atoms.calc = potential.calculator()
    loop = Langevin(
        atoms, TIMESTEP * units.fs, temperature_K=300, friction=0.01 / units.fs, fixcm=False
    )
    loop.run(3)
    few = max(4, steps // 5)
    return out | {"ase_ms": 1000 * turns({"ase": lambda: loop.run(few)}, 3)["ase"] / few}


def chemtrain(n):
    """Runs inside chemtrain's environment."""
    import jax
    import jax.numpy as jnp
    import jax_md_mod  # noqa: F401  patches jax_md, so it comes first
    import numpy as np
    from jax_md import simulate, space

    fixture = load_make_fixture()
    with np.load(ROOT / "tests" / "chemtrain" / "fixture.npz") as file:
        params = jax.tree.map(jnp.asarray, read_params(file))
    positions, cell, species = fixture.structure(round((n / 8) ** (1 / 3)), False, seed=0)
    _, apply, neighbor, _, _ = fixture.build_model(
        cell, positions, margin=1.25, skin=0.5, capacity=1.25
    )
    _, shift = space.periodic(jnp.diagonal(jnp.asarray(cell)))
    fs = 0.09822694788464063  # in units of Å sqrt(amu/eV)
    species = jnp.asarray(species)
    energy = lambda r, neighbor: apply(params, r, neighbor, species=species).sum()
    # The fixture's weights are random: at a tenth of the timestep the crystal lasts as long as the
    # benchmark.
    init, step = simulate.nvt_langevin(
        energy, shift, dt=0.1 * TIMESTEP * fs, kT=300 * 8.617e-5, gamma=0.01 / fs
    )
    state = init(jax.random.PRNGKey(0), jnp.asarray(positions), mass=28.085, neighbor=neighbor)
    steps = max(2, min(20, 2000 // n))

    def body(_, carry):
        state, neighbor = carry
        neighbor = neighbor.update(state.position)
        return step(state, neighbor=neighbor), neighbor

    many = jax.jit(lambda carry: jax.lax.fori_loop(0, steps, body, carry))
    carry = jax.block_until_ready(many((state, neighbor)))
    seconds = turns({"ms": lambda: jax.block_until_ready(many(carry))}, 3)["ms"]
    if not np.isfinite(carry[0].position).all() or carry[1].did_buffer_overflow:
        raise SystemExit("chemtrain's simulation broke down")
    return {"ms": 1000 * seconds / steps, "peak_mb": peak_mb(), "jax": jax.__version__}


def run(python, side, preset, n, environ):
    """The JSON line of one side, from a fresh process; None where it failed."""
    command = [
        str(python),
        str(Path(__file__).resolve()),
        "--side",
        side,
        "--presets",
        preset,
        "--atoms",
        str(n),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environ)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def main():
    fixture = load_make_fixture()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", nargs="+", type=int, default=[64, 216, 512, 1000, 1728, 4096])
    parser.add_argument("--presets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--no-chemtrain", action="store_true")
    parser.add_argument(
        "--chemtrain-atoms",
        nargs="+",
        type=int,
        default=[64, 216, 512],
        help="sizes that it is asked for",
    )
    parser.add_argument(
        "--env", type=Path, default=fixture.ENVIRONMENT, help="folder of chemtrain's environment"
    )
    parser.add_argument("--side", choices=("ours", "chemtrain"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.side:
        print(
            json.dumps(
                ours(a.presets[0], a.atoms[0]) if a.side == "ours" else chemtrain(a.atoms[0])
            )
        )
        return
    for preset in a.presets:
        compared = preset == "paper" and not a.no_chemtrain
        print(f"\n{preset}, {NAMES[preset]}; ms per step\n")
        head = ["atoms", "step", "bare model", "MD on top", "ASE loop"] + [
            "chemtrain",
            "chemtrain / ours",
        ] * compared
        head += [
            "atom-steps/s",
            "ns/day",
            "neighbours (slots)",
            "searches per step",
            "peak memory, MB",
        ]
        print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
        for n in a.atoms:
            x = run(
                sys.executable,
                "ours",
                preset,
                n,
                os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
            )
            if x is None:
                print(f"| {n} | did not fit or failed, see above |")
                continue
            row = [
                n,
                f"{x['ms']:.4g}",
                f"{x['bare_ms']:.4g}",
                f"{100 * (x['ms'] / x['bare_ms'] - 1):.0f} %",
                f"{x['ase_ms']:.4g}",
            ]
            if compared:
                c = (
                    run(fixture.environment(a.env), "chemtrain", preset, n, fixture.clean_environ())
                    if n in a.chemtrain_atoms
                    else None
                )
                row += [f"{c['ms']:.4g}", f"{c['ms'] / x['ms']:.1f}"] if c else ["", ""]
            row += [
                f"{n / x['ms'] * 1000:.3g}",
                f"{86.4 * TIMESTEP / x['ms']:.3g}",
                f"{x['neighbors']:.1f} ({x['slots']})",
            ]
            memory = f"{x['peak_mb']:.0f}" + (
                f", {x['device_mb']:.0f} on the device" if "device_mb" in x else ""
            )
            print(
                "| " + " | ".join(map(str, [*row, f"{x['searches']:.3f}", memory])) + " |",
                flush=True,
            )
            if "gflops" in x:
                rates = f"{x['gflops']:.0f} GFLOP/s, {x['gb_per_s']:.0f} GB/s"
                print(f"<!-- bare model: {rates} as XLA counts them -->")
    from compare import machine

    print("\n" + machine(x["device"] if x else "", f"jax {x['jax']}" if x else ""))


if __name__ == "__main__":
    main()
