"""Where the time of 64 atoms goes, by kind of operation, and what arithmetic alone would take.

    NPROC=1 taskset -c 0 python research/benchmarks/bound.py    # one thread: none waits for another
    python research/benchmarks/bound.py --presets course

The bound is the arithmetic, as XLA counts it, at the speed of a large matrix product in the same
process. Times are CPU times, so that other work on the machine counts little.
"""

import argparse
import collections
import re
import statistics
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ase.build import bulk

import tlmlp

KINDS = (  # what a fusion holds, the first that it has
    ("matrix products", {"dot"}),
    ("exp, tanh, sin, cos", {"exponential", "tanh", "sine", "cosine"}),
    ("swaps of bonds", {"gather"}),
    ("other arithmetic", {"add", "multiply", "subtract", "divide", "reduce", "select"}),
)


def programs(preset):
    """{name: (compiled program, arguments)} of energy and forces, and of a loss's gradient."""
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=0)
    potential = tlmlp.Potential.create(preset)
    graph = tlmlp.graph.from_atoms([atoms], potential.elements, potential.config.cutoff)
    wanted = jnp.asarray(np.random.default_rng(0).normal(size=(64, 3)), jnp.float32)
    arguments = jax.tree.map(jnp.asarray, (potential.params, graph))
    forces = lambda params, graph: tlmlp.forces.energy_forces(potential.config, params, graph)

    def loss(params, graph):
        found = forces(params, graph)
        errors = found.energies.sum(), found.forces - wanted, found.virial
        return sum(jnp.mean(e**2) for e in errors)

    functions = {"energy + forces": forces, "loss gradient": jax.grad(loss)}
    compiled = lambda f: jax.jit(f).lower(*arguments).compile()
    return {name: (compiled(f), arguments) for name, f in functions.items()}


def cpu_seconds(program, arguments, blocks=15, calls=6):
    """CPU time of a call, the least of several blocks."""
    jax.block_until_ready(program(*arguments))
    times = []
    for _ in range(blocks):
        start = time.process_time()
        for _ in range(calls):
            jax.block_until_ready(program(*arguments))
        times.append((time.process_time() - start) / calls)
    return min(times)


def kinds(program, arguments, calls=30):
    """{kind: (number of operations, s)}; an operation's time is the tenth percentile of calls."""
    durations = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                jax.block_until_ready(program(*arguments))
        (file,) = Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
            for line in plane.lines:
                for event in line.events:
                    durations[event.name].append(event.duration_ns / 1e9)
    text = program.as_text()
    bodies = dict(re.findall(r"^%?([\w.-]+) \(.*?\{\n(.*?)^\}", text, re.M | re.S))
    out = {kind: [0, 0.0] for kind, _ in (*KINDS, ("copies", ()))}
    operation = r"^  (?:ROOT )?%?([\w.-]+) = \S+ ([a-z-]+)\((.*)$"
    for name, op, rest in re.findall(operation, text[text.index("ENTRY") :], re.M):
        if name in durations:
            called = re.search(r"calls=%?([\w.-]+)", rest)
            has = {op, *re.findall(r" ([a-z-]+)\(", bodies[called[1]] if called else "")}
            kind = next((kind for kind, some in KINDS if has & some), "copies")
            out[kind][0] += 1
            out[kind][1] += statistics.quantiles(durations[name], n=10)[0]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["course", "paper"])
    presets = parser.parse_args().presets
    tlmlp.allocator.prepare()
    jax.config.update("jax_enable_compilation_cache", False)
    n, x = 1024, jnp.ones((1024, 1024), jnp.float32)
    product = jax.jit(lambda x: x @ x).lower(x).compile()
    for preset in presets:
        for name, (program, arguments) in programs(preset).items():
            rate = 2 * n**3 / cpu_seconds(product, (x,), calls=2)
            took, flops = cpu_seconds(program, arguments), program.cost_analysis()["flops"]
            bound = flops / rate
            print(f"\n{preset}, {name}: {1e3 * took:.2f} ms of CPU time, {flops / 1e6:.0f} MFLOP;")
            print(f"at {rate / 1e9:.0f} GFLOP/s {1e3 * bound:.2f} ms: {took / bound:.1f} times\n")
            print("| | operations | ms |\n|---|---|---|")
            for kind, (count, seconds) in kinds(program, arguments).items():
                print(f"| {kind} | {count} | {1e3 * seconds:.2f} |", flush=True)
    import compare

    print("\n" + compare.machine(f"jax {jax.__version__}"))


if __name__ == "__main__":
    main()
