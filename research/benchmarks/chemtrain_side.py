"""Time and memory of chemtrain's DimeNet++ on one structure, as a line of JSON.

    python research/benchmarks/chemtrain_side.py --fixture tests/chemtrain/fixture.npz --case si64

It runs inside chemtrain's environment. `compare.py` makes that environment and calls this script;
`ours_side.py` prints the same line for tlmlp and borrows `measure` from here, so both sides are
timed by the same code.

What is timed starts from positions and a neighbour list that is already known, as a step of
molecular dynamics does, and includes turning both into edges (and, here, triplets). chemtrain is
shown at its best: its neighbour list has no skin and no spare column, and its lists of edges and
triplets are at most 5 % longer than needed instead of the 25 % of its default. With --defaults it
has that 25 % (jax-md's default for neighbours too) and a skin of 0.5 Å, as in a simulation.
"""

import argparse
import importlib.util
import json
import resource
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_make_fixture():
    """tests/chemtrain/make_fixture.py as a module: chemtrain's environment, model, structures."""
    path = ROOT / "tests" / "chemtrain" / "make_fixture.py"
    spec = importlib.util.spec_from_file_location("make_fixture", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_params(file):
    """Haiku parameters {module: {name: array}} of an open fixture."""
    params = {}
    for key in file.files:
        if key.startswith("params:"):
            _, module, name = key.split(":")
            params.setdefault(module, {})[name] = file[key]
    return params


def loss_of(energy_forces, n_atoms):
    """Force-matching loss (params, *structure) -> []; the references are arbitrary."""

    def loss(params, *structure):
        energy, forces = energy_forces(params, *structure)
        return ((forces - 0.1) ** 2).mean() + (energy + 1.0) ** 2 / n_atoms**2

    return loss


def measure(energy_forces, params, structure, repeat, gradient=True):
    """Compile and time energy_forces(params, *structure) and the gradient of its loss.

    Returns the fields of the JSON line (ms, s and MB) and the forces. Peak memory is that of the
    process, with everything in it, so call this once per process.
    """
    import jax
    import numpy as np

    jax.config.update("jax_enable_compilation_cache", False)
    out, rate = {"base_mb": round(peak_mb(), 1)}, matrix_product()
    n_atoms = structure[0].shape[0]
    functions = {"ef": energy_forces}
    if gradient:
        functions["grad"] = jax.grad(loss_of(energy_forces, n_atoms))
    forces = None
    for name, function in functions.items():
        start = time.perf_counter()
        compiled = jax.jit(function).lower(params, *structure).compile()
        out[f"compile_{name}_s"] = round(time.perf_counter() - start, 2)
        result = jax.block_until_ready(
            compiled(params, *structure)
        )  # the first call also sets up threads: not timed
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            result = jax.block_until_ready(compiled(params, *structure))
            times.append(time.perf_counter() - start)
        out[f"{name}_ms"] = round(1000 * statistics.median(times), 2)
        cost = compiled.cost_analysis()
        flops = (cost[0] if isinstance(cost, list) else cost)["flops"]  # a list in jax 0.4
        out[f"{name}_bound"] = round(statistics.median(times) * rate / flops, 2)
        if name == "ef":
            forces = np.asarray(result[1])
            out["buffers_mb"] = round(compiled.memory_analysis().temp_size_in_bytes / 2**20, 1)
    out["peak_mb"] = round(peak_mb(), 1)
    return out, forces


def matrix_product(n=1024, repeat=20):
    """FLOP/s of this process at its fastest, the product of two matrices: the bound of the rest."""
    import jax

    x = jax.numpy.ones((n, n), jax.numpy.float32)
    compiled, times = jax.jit(lambda x: x @ x).lower(x).compile(), []
    for _ in range(repeat):
        start = time.perf_counter()
        jax.block_until_ready(compiled(x))
        times.append(time.perf_counter() - start)
    return 2 * n**3 / min(times)


def peak_mb():
    """The most memory this process has held so far, in MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def parse(description, **more):
    """Command line shared with ours_side.py."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--fixture", type=Path, default=ROOT / "tests" / "chemtrain" / "fixture.npz"
    )
    parser.add_argument("--case", default="si64", help="si64, si216 or another case of the fixture")
    parser.add_argument(
        "--repeat", type=int, default=10, help="timed calls; their median is reported"
    )
    for name, help in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=help)
    return parser.parse_args()


def main():
    arguments = parse(
        __doc__, defaults="lists as long as chemtrain's and jax-md's defaults make them"
    )
    import jax
    import jax.numpy as jnp
    import numpy as np

    with np.load(arguments.fixture) as file:
        positions, cell, species, expected = (
            file[f"{arguments.case}:{name}"] for name in ("positions", "cell", "species", "forces")
        )
        params = jax.tree.map(jnp.asarray, read_params(file))
    positions, species = jnp.asarray(positions), jnp.asarray(species)
    lists = dict(margin=1.25, skin=0.5, capacity=1.25) if arguments.defaults else dict(margin=1.05)
    _, apply, neighbor, n_edges, _ = load_make_fixture().build_model(cell, positions, **lists)

    def energy_forces(params, positions, neighbor, species):
        energy = lambda r: apply(params, r, neighbor, species=species).sum()
        value, gradient = jax.value_and_grad(energy)(positions)
        return value, -gradient

    out, forces = measure(energy_forces, params, (positions, neighbor, species), arguments.repeat)
    head = {
        "case": arguments.case,
        "n_atoms": len(positions),
        "n_edges": n_edges,
        "jax": jax.__version__,
    }
    print(json.dumps(head | out | {"force_difference": float(np.abs(forces - expected).max())}))


if __name__ == "__main__":
    main()
