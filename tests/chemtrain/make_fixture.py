"""Energies and forces of chemtrain's DimeNet++, so that ours can be held against them.

`fixture.npz` lies beside this file and is committed; nobody needs to run this to run the tests. To make it again:

    python tests/chemtrain/make_fixture.py                    # five minutes, and 900 MB on disk

chemtrain 0.2.0 pins jax 0.4.37, so it gets an environment of its own (`--env`, by default `.chemtrain-env` in the
repository), built with Python 3.11 or 3.12. Inside it the script runs itself twice:

1. in float32, the arithmetic chemtrain is used with. Weights are initialised from a seed, then every weight is
   changed by 10 % noise, and every bias gets noise of width 0.1 on top of its initial zero: no array is zero or
   orthogonal, so a missing bias, a transposed matrix or two swapped layers cannot pass unseen. Matrices are also
   made 1.5 times larger, 2.4 times where angles pass. As initialised, angles change forces by only 2e-5 eV/Å, and a
   network without them would pass; like this forces are up to about 1 eV/Å and angles make half of that;
2. in float64 with the same weights and positions, so that one can tell whose rounding a difference in float32 is.
   chemtrain casts sums and the cutoff to `jax_md.util.f32`; that name is pointed at float64 before chemtrain's
   model is imported. The zeros z_ln of its spherical Bessel functions stay rounded to float32 in both (their
   norms are float64, at the rounded zeros): with exact zeros, float64 forces differ by some 1e-7 eV/Å, with zeros
   rounded likewise by 1e-14.

Structures are diamond lattices (a = 5.4310 Å, the cell of 8 atoms repeated 2 or 3 times along each axis) whose
coordinates are displaced by Gaussian noise of 0.08 Å: chemtrain's angle has no gradient for three atoms in a line.

Keys of the file (a flat dictionary; N atoms):

    config                        JSON: the arguments of `dimenetpp_neighborlist`
    made_with                     JSON: versions of the packages and of Python
    params:<module>:<name>        float32, every haiku parameter, e.g. params:DimeNetPP/~/Embedding:Embedding_vect
    <case>:positions              [N, 3] float32, Å, inside the cell
    <case>:cell                   [3, 3] float32, Å, rows are cell vectors
    <case>:species                [N] int32, the row of `Embedding_vect` of each atom
    <case>:energy, :forces        float32 [], [N, 3], in the unit of the weights' energy (eV) and eV/Å
    <case>:energy64, :forces64    float64, the same

with the cases si64 (all species 0), mixed64 (species 0 and 1 at random) and si216 (all species 0).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".chemtrain-env"

# Everything that takes part in the numbers, or whose newer versions no longer import next to jax 0.4.37.
PINS = {
    "chemtrain": "0.2.0",
    "jax": "0.4.37",
    "jaxlib": "0.4.36",
    "jax-md": "0.2.8",
    "dm-haiku": "0.0.17",
    "numpy": "1.26.4",
    "scipy": "1.12.0",
    "sympy": "1.14.0",
    "chex": "0.1.90",
    "optax": "0.2.5",
    "flax": "0.10.4",
    "orbax-checkpoint": "0.11.5",
    "e3nn-jax": "0.21.0",
    "jax-sgmc": "0.1.5",
    "jaxopt": "0.8.5",
    "protobuf": "3.20.0",
}
PYTHONS = ("3.11", "3.12")  # scipy < 1.13, which chemtrain asks for, has no wheels for 3.13

CONFIG = dict(
    r_cutoff=5.0,
    n_species=2,
    embed_size=32,
    n_interaction_blocks=4,
    num_residual_before_skip=1,
    num_residual_after_skip=2,
    num_rbf=6,
    num_sbf=7,
)
LATTICE_CONSTANT = 5.4310  # Å
DISPLACEMENT = 0.08  # Å
GAIN, ANGULAR_GAIN = 1.5, 2.4
ANGULAR_LAYERS = ("rbf1", "rbf2", "sbf1", "sbf2", "Downprojection", "Upprojection")  # of an Interaction
CASES = {"si64": (2, False), "mixed64": (2, True), "si216": (3, False)}  # repeats, two species?


# --- the environment ------------------------------------------------------------------------------------------------


def find_python():
    """Path of an interpreter that chemtrain can be installed with; SystemExit if there is none."""
    candidates = [sys.executable]
    for version in PYTHONS:
        candidates.append(shutil.which(f"python{version}"))
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        # A version manager's launcher can exist for a Python that is not installed: ask, do not look.
        asked = subprocess.run([candidate, "-c", ask], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.strip() in PYTHONS:
            return candidate
    raise SystemExit(
        f"chemtrain 0.2.0 needs Python {' or '.join(PYTHONS)} and none was found "
        f"(this is {sys.version_info.major}.{sys.version_info.minor}): install one and put it on the PATH."
    )


def environment(folder=ENVIRONMENT):
    """Make chemtrain's environment in `folder` unless it is there already; return the path of its Python."""
    folder = Path(folder).expanduser().absolute()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if _is_complete(python):
        return python
    print(f"installing chemtrain {PINS['chemtrain']} into {folder}", file=sys.stderr)
    subprocess.run([find_python(), "-m", "venv", "--clear", str(folder)], check=True)
    requirements = [f"{name}=={version}" for name, version in PINS.items()]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
    return python


def _is_complete(python):
    if not python.exists():
        return False
    ask = "import importlib.metadata as m, json, sys; print(json.dumps([m.version(n) for n in sys.argv[1:]]))"
    asked = subprocess.run([str(python), "-c", ask, *PINS], capture_output=True, text=True)
    return asked.returncode == 0 and json.loads(asked.stdout) == list(PINS.values())


def clean_environ():
    """Environment variables of a run inside chemtrain's environment: the CPU, and nothing inherited from ours."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "PYTHONPATH", "VIRTUAL_ENV"))}
    # chemtrain asks for float64 sums also where jax has only float32, and jax warns about each of them.
    return environ | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}


# --- inside it ------------------------------------------------------------------------------------------------------


def build_model(cell, positions, margin=None, skin=0.0, capacity=1.0):
    """chemtrain's model for one structure.

    Args:
        cell: [3, 3] orthorhombic cell, Å.
        positions: [N, 3], Å.
        margin: how much longer than needed the lists of edges and triplets are, e.g. 1.05; None for lists of the
            longest possible length.
        skin: Å, of the neighbour list; capacity: how much longer than needed it is.

    Returns:
        init and apply of the energy, (key or params, positions, neighbor, species) -> params or energy; the
        neighbour list (fixed length); the number of edges; the number of triplets.

    Raises:
        RuntimeError: if a list is too short, which chemtrain itself would not tell.
    """
    import jax.numpy as jnp
    import jax_md_mod  # noqa: F401  patches jax_md, so it comes first
    from jax_md import partition, space
    from jax_md_mod.model import neural_networks, sparse_graph

    box = jnp.diagonal(jnp.asarray(cell))
    displacement, _ = space.periodic(box)
    cutoff = CONFIG["r_cutoff"]
    neighbor_fn = partition.neighbor_list(
        displacement, box, cutoff, dr_threshold=skin, capacity_multiplier=capacity, disable_cell_list=True,
        format=partition.NeighborListFormat.Dense,
    )
    neighbor = neighbor_fn.allocate(jnp.asarray(positions))

    full, _ = sparse_graph.sparse_graph_from_neighborlist(displacement, jnp.asarray(positions), neighbor, cutoff)
    n_edges, n_triplets = int(full.n_edges), int(full.n_triplets)
    limits = {}
    if margin is not None:
        n_atoms, n_slots = neighbor.idx.shape
        limits["max_edges"] = min(int(margin * n_edges) + 1, n_atoms * n_slots)
        limits["max_triplets"] = min(int(margin * n_triplets) + 1, limits["max_edges"] * n_slots)
        _, overflow = sparse_graph.sparse_graph_from_neighborlist(
            displacement, jnp.asarray(positions), neighbor, cutoff, None, **limits
        )
        if overflow:
            raise RuntimeError(f"{limits} is too short for {n_edges} edges and {n_triplets} triplets")
    if neighbor.did_buffer_overflow:
        raise RuntimeError("the neighbour list is too short")

    arguments = dict(CONFIG)
    init, apply = neural_networks.dimenetpp_neighborlist(
        displacement, arguments.pop("r_cutoff"), arguments.pop("n_species"), **limits, **arguments
    )
    return init, apply, neighbor, n_edges, n_triplets


def structure(repeats, mixed, seed):
    """A displaced diamond lattice: float32 positions [N, 3] and cell [3, 3] in Å, int32 species [N]."""
    import numpy as np

    random = np.random.default_rng(seed)
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
    corners = np.stack(np.meshgrid(*3 * [np.arange(repeats)], indexing="ij"), -1).reshape(-1, 1, 3)
    positions = (corners + basis).reshape(-1, 3) * LATTICE_CONSTANT
    # The length is rounded first, so that float32 and float64 see the same periodic structure.
    length = np.float32(repeats * LATTICE_CONSTANT)
    positions = np.mod(positions + random.normal(0, DISPLACEMENT, positions.shape), length).astype(np.float32)
    species = random.integers(0, 2, len(positions)) if mixed else np.zeros(len(positions))
    return positions, np.eye(3, dtype=np.float32) * length, species.astype(np.int32)


def perturb(params, seed):
    """Add noise to every parameter, 10 % of each weight and 0.1 to each bias, and enlarge the matrices."""
    import jax.numpy as jnp
    import numpy as np

    random = np.random.default_rng(seed)
    noisy = {}
    for module in sorted(params):
        noisy[module] = {}
        for name in sorted(params[module]):
            value = np.asarray(params[module][name], np.float64)
            value = value * (1 + 0.1 * random.normal(size=value.shape))
            if name == "w":
                angular = "Interaction" in module and any(layer in module for layer in ANGULAR_LAYERS)
                value = value * (ANGULAR_GAIN if angular else GAIN)
            if name == "b":
                value = value + random.normal(0, 0.1, value.shape)
            if not np.all(value):
                raise RuntimeError(f"{module}:{name} has zeros")
            noisy[module][name] = jnp.asarray(value, jnp.float32)
    return noisy


def check_counts(positions, cell, n_edges, n_triplets):
    """Count edges and triplets in numpy, minimum image; RuntimeError if chemtrain's lists hold anything else."""
    import numpy as np

    length = np.diagonal(cell).astype(np.float64)
    d = positions[:, None].astype(np.float64) - positions[None]
    d -= length * np.round(d / length)
    degree = (np.linalg.norm(d, axis=-1) < CONFIG["r_cutoff"]).sum(1) - 1
    expected = degree.sum(), (degree * (degree - 1)).sum()
    if (n_edges, n_triplets) != expected:
        raise RuntimeError(f"chemtrain has {n_edges} edges and {n_triplets} triplets, expected {expected}")


def evaluate(precision, source, target):
    """Energy and forces of every case; float32 makes weights and structures, float64 reads them from `source`."""
    import jax

    if precision == "float64":
        jax.config.update("jax_enable_x64", True)
        import jax_md_mod  # noqa: F401  patches jax and jax_md, without which jax_md 0.2.8 does not import
        import jax_md.util

        jax_md.util.f32 = jax.numpy.float64  # before chemtrain's model is imported: it is a default argument there
    import haiku
    import jax.numpy as jnp
    import numpy as np

    dtype = jnp.dtype(precision)
    if precision == "float32":
        made_with = PINS | {"python": sys.version.split()[0]}
        out, params = {"config": json.dumps(CONFIG), "made_with": json.dumps(made_with)}, None
    else:
        with np.load(source) as file:
            out = dict(file)
        params = {}
        for key, value in out.items():
            if key.startswith("params:"):
                _, module, name = key.split(":")
                params.setdefault(module, {})[name] = jnp.asarray(value, dtype)
    for index, (case, (repeats, mixed)) in enumerate(CASES.items()):
        if precision == "float32":
            positions, cell, species = structure(repeats, mixed, seed=index)
            out |= {f"{case}:positions": positions, f"{case}:cell": cell, f"{case}:species": species}
        positions, cell, species = (out[f"{case}:{name}"] for name in ("positions", "cell", "species"))
        r, species = jnp.asarray(positions, dtype), jnp.asarray(species)
        init, apply, neighbor, n_edges, n_triplets = build_model(cell.astype(dtype), r)
        check_counts(positions, cell, n_edges, n_triplets)
        if params is None:
            params = perturb(init(jax.random.PRNGKey(0), r, neighbor, species=species), seed=100)
            for module, name, value in haiku.data_structures.traverse(params):
                out[f"params:{module}:{name}"] = np.asarray(value)

        def energy(r):
            return apply(params, r, neighbor, species=species).sum()  # one target: [1] -> []

        value, gradient = jax.jit(jax.value_and_grad(energy))(r)
        if value.dtype != dtype or gradient.dtype != dtype:
            raise RuntimeError(f"asked for {dtype}, got {value.dtype} and {gradient.dtype}")
        if not np.isfinite(np.asarray(gradient)).all():
            raise RuntimeError(f"{case} has forces that are not numbers")
        suffix = "64" if precision == "float64" else ""
        out[f"{case}:energy{suffix}"], out[f"{case}:forces{suffix}"] = np.asarray(value), -np.asarray(gradient)
        print(f"{case} {precision}: {len(positions)} atoms, {n_edges} edges, {n_triplets} triplets, "
              f"E = {float(value):.6f} eV, largest force {np.abs(gradient).max():.3f} eV/Å", flush=True)
        if suffix:
            print(f"    float32 differs by {abs(value - out[f'{case}:energy']):.1e} eV and "
                  f"{np.abs(out[f'{case}:forces'] + np.asarray(gradient)).max():.1e} eV/Å", flush=True)
    np.savez_compressed(target, **out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", type=Path, default=ENVIRONMENT, help="folder of chemtrain's environment")
    parser.add_argument("--out", type=Path, default=HERE / "fixture.npz")
    parser.add_argument("--inside", nargs=3, metavar=("PRECISION", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        return evaluate(*arguments.inside)
    python = environment(arguments.env)
    with tempfile.TemporaryDirectory() as folder:
        single, final = Path(folder, "float32.npz"), Path(folder, "fixture.npz")
        # Two processes: jax fixes its precision when it starts, and util.f32 is read when chemtrain is imported.
        for inside in (("float32", "none", str(single)), ("float64", str(single), str(final))):
            subprocess.run([str(python), __file__, "--inside", *inside], check=True, env=clean_environ())
        shutil.copyfile(final, arguments.out)
    print(f"wrote {arguments.out.name}, {arguments.out.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
