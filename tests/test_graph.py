"""Neighbour slots against ASE, one by one, and what batching and padding must leave alone."""

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk, diamond100
from ase.neighborlist import neighbor_list

from tlmlp import graph as graphs

SI = ("Si",)


def _random(seed=0, n=20, side=7.0):
    """Atoms anywhere, at least 1 Å apart."""
    rng, points = np.random.default_rng(seed), []
    while len(points) < n:
        p = rng.uniform(0, side, 3)
        if all(np.linalg.norm((p - q + side / 2) % side - side / 2) > 1 for q in points):
            points.append(p)
    return ase.Atoms(["Si"] * n, points, cell=[side] * 3, pbc=True)


def _rattled(atoms, amplitude=0.1):
    atoms.rattle(amplitude, seed=1)
    return atoms


STRUCTURES = {
    "primitive": bulk("Si"),
    "conventional": bulk("Si", cubic=True),
    "64": _rattled(bulk("Si", cubic=True).repeat(2)),
    "216": _rattled(bulk("Si", cubic=True).repeat(3)),
    "triclinic": _rattled(
        ase.Atoms("Si4", np.eye(4, 3) * 2.1, cell=[[5, 0, 0], [2, 4, 0], [-1, 1.5, 6]], pbc=True)
    ),
    "slab": _rattled(diamond100("Si", (2, 2, 6), vacuum=8.0)),
    "slab, periodic in two": diamond100("Si", (1, 1, 4), vacuum=None),
    "random": _random(),
    "cluster": ase.Atoms("Si3", [(0, 0, 0), (2, 0, 0), (0, 40, 0)]),
}


@pytest.mark.parametrize("cutoff", [3.0, 5.0])
@pytest.mark.parametrize("name", STRUCTURES)
def test_neighbours_are_those_of_ase(name, cutoff):
    atoms = STRUCTURES[name]
    g = graphs.from_atoms(atoms, SI, cutoff, dtype=np.float64)
    i, j, D = neighbor_list("ijD", atoms, cutoff)
    for centre in range(len(atoms)):
        ours = sorted(
            (int(k), *np.round(v, 6))
            for k, v, m in zip(*(x[centre] for x in (g.neighbors, g.vectors, g.mask)))
            if m
        )
        theirs = sorted((int(k), *np.round(v, 6)) for k, v in zip(j[i == centre], D[i == centre]))
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_large_clusters_have_neighbours():
    cluster = bulk("Si", "diamond", a=5.43, cubic=True).repeat(14)  # 21 952 atoms
    cluster.pbc = False
    (i,) = graphs.pairs(cluster, 2.6, "i")
    # four of each atom, but for the bonds cut at faces, which edges share
    assert len(i) == 4 * len(cluster) - (24 * 14**2 - 6 * 14)
    with pytest.raises(ValueError, match="too many to list"):
        graphs.pairs(cluster, 60.0, "i")


@pytest.mark.parametrize("name", STRUCTURES)
def test_reverse_is_the_same_bond_from_the_other_end(name):
    atoms = STRUCTURES[name]
    g = graphs.from_atoms(atoms, SI, 5.0, dtype=np.float64)
    N, K = g.neighbors.shape
    reverse = g.reverse.reshape(-1)
    np.testing.assert_array_equal(reverse[reverse], np.arange(N * K))
    bonds = g.mask.reshape(-1)
    np.testing.assert_array_equal(bonds[reverse], bonds)
    np.testing.assert_allclose(
        g.vectors.reshape(-1, 3)[reverse], -g.vectors.reshape(-1, 3), atol=1e-9
    )
    centre = np.repeat(np.arange(N), K)
    np.testing.assert_array_equal(centre[reverse], g.neighbors.reshape(-1))


def test_joined_graphs_keep_their_bonds():
    frames = [STRUCTURES["64"], STRUCTURES["random"], STRUCTURES["primitive"]]
    tight = [graphs.from_atoms(a, SI, 4.0) for a in frames]
    g = graphs.join(tight, atoms=100, slots=40, structures=4)
    assert g.mask.shape == (100, 40) and g.mask.sum() == sum(t.mask.sum() for t in tight)
    N, K = g.neighbors.shape
    reverse = g.reverse.reshape(-1)
    np.testing.assert_array_equal(reverse[reverse], np.arange(N * K))
    np.testing.assert_allclose(
        g.vectors.reshape(-1, 3)[reverse], -g.vectors.reshape(-1, 3), atol=1e-6
    )
    assert (g.structure[g.neighbors] == g.structure[:, None]).all()
    assert g.atom_mask.sum() == 86 and not g.mask[86:].any()


def test_wider_slots_change_nothing_that_was_there():
    top = graphs.topology(STRUCTURES["random"], 4.0)
    wide = graphs.topology(STRUCTURES["random"], 4.0, slots=top.mask.shape[1] + 3)
    N, K = wide.mask.shape
    np.testing.assert_array_equal(
        wide.reverse.reshape(-1)[wide.reverse.reshape(-1)], np.arange(N * K)
    )
    np.testing.assert_array_equal(wide.neighbors[:, :-3], top.neighbors)
    v = wide.vectors(STRUCTURES["random"].positions).reshape(-1, 3)
    np.testing.assert_allclose(v[wide.reverse.reshape(-1)], -v, atol=1e-9)


def test_too_small_is_reported_never_cut_off():
    atoms = STRUCTURES["64"]
    with pytest.raises(ValueError, match="do not fit"):
        graphs.join([graphs.from_atoms(atoms, SI, 5.0)], atoms=63)
    with pytest.raises(ValueError, match="never seen Ge"):
        graphs.from_atoms(bulk("Ge"), SI, 5.0)
    with pytest.raises(ValueError, match="same place"):
        graphs.from_atoms(ase.Atoms("Si2", [(0, 0, 0), (0, 0, 0)]), SI, 5.0)
    with pytest.raises(ValueError, match="at least one"):
        graphs.from_atoms([], SI, 5.0)
    with pytest.raises(ValueError, match="volume"):
        graphs.from_atoms(ase.Atoms("Si", pbc=True), SI, 5.0)


def test_few_shapes_cover_all_graphs():
    sizes = [(64, 28)] * 50 + [(63, 28)] * 20 + [(64, 34)] * 30 + [(12, 25), (96, 30)]
    tight = [graphs.Graph(*[None] * 2, np.zeros(s), *[None] * 5) for s in sizes]
    shapes = graphs.few_shapes(tight, 3)
    assert len(set(shapes)) == 3
    assert all(a[0] >= b[0] and a[1] >= b[1] for a, b in zip(shapes, sizes))
    padded, tight = (sum(n * k for n, k in s) for s in (shapes, sizes))
    assert padded < 1.05 * tight  # the one large cell has not blown up the others


def test_a_graph_goes_through_jit():
    g = graphs.from_atoms(STRUCTURES["primitive"], SI, 3.0)
    assert jax.jit(lambda g: jnp.sum(g.mask))(g) == 8
