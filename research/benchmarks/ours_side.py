"""Time and memory of tlmlp's DimeNet++ on one structure, as a line of JSON: see chemtrain_side.

    python research/benchmarks/ours_side.py --fixture tests/chemtrain/fixture.npz --case si64

The weights are chemtrain's, from the fixture, and `force_difference` (eV/Å) says how far our forces
are from chemtrain's: both sides did the same work. A case siN that the fixture lacks is made here,
for N = 8 n³ atoms.
"""

import json
import sys

from chemtrain_side import ROOT, load_make_fixture, measure, parse, read_params

# Our name of each of chemtrain's arguments.
FIELDS = {
    "r_cutoff": "cutoff",
    "embed_size": "embed_size",
    "n_interaction_blocks": "n_blocks",
    "num_residual_before_skip": "n_residual_before",
    "num_residual_after_skip": "n_residual_after",
    "num_rbf": "n_radial",
    "num_sbf": "n_spherical",
}


def main():
    arguments = parse(__doc__, energy_only="no loss gradient: memory of energy and forces alone")
    import ase
    import jax
    import jax.numpy as jnp
    import numpy as np

    sys.path.insert(0, str(ROOT))  # the code of this checkout, installed or not
    import tlmlp

    tlmlp.allocator.prepare()
    case, expected = arguments.case, None
    with np.load(arguments.fixture) as file:
        params, config = read_params(file), json.loads(str(file["config"]))
        if f"{case}:positions" in file.files:
            positions, cell, species, expected = (
                file[f"{case}:{name}"] for name in ("positions", "cell", "species", "forces")
            )
        else:
            repeats = round((int(case.removeprefix("si")) / 8) ** (1 / 3))
            positions, cell, species = load_make_fixture().structure(repeats, False, seed=0)
    symbols = np.array(["Si", "Ge"])[species].tolist()
    atoms = ase.Atoms(symbols, positions, cell=cell, pbc=True)

    config = tlmlp.Config("paper", **{ours: config[theirs] for theirs, ours in FIELDS.items()})
    potential = tlmlp.from_chemtrain(params, config, species={"Si": 0, "Ge": 1})
    graph = tlmlp.graph.from_atoms([atoms], potential.elements, potential.config.cutoff)
    n_edges = int(np.asarray(graph.mask).sum())
    positions = jnp.asarray(positions)
    graph = jax.tree.map(jnp.asarray, graph)
    shifts = graph.vectors - (
        positions[graph.neighbors] - positions[:, None]
    )  # the cell vectors of each edge

    def energy_forces(params, positions, graph, shifts):
        vectors = positions[graph.neighbors] - positions[:, None] + shifts
        graph = graph._replace(vectors=jnp.where(graph.mask[..., None], vectors, 0.0))
        prediction = tlmlp.forces.energy_forces(potential.config, params, graph)
        return prediction[0].sum(), prediction[1]

    params = jax.tree.map(jnp.asarray, potential.params)
    structure = (positions, graph, shifts)
    out, forces = measure(
        energy_forces, params, structure, arguments.repeat, gradient=not arguments.energy_only
    )
    head = {"case": case, "n_atoms": len(positions), "n_edges": n_edges, "jax": jax.__version__}
    difference = None if expected is None else float(np.abs(forces - expected).max())
    print(json.dumps(head | out | {"force_difference": difference}))


if __name__ == "__main__":
    main()
