"""Physics of the network, with weights that nobody trained: what must hold for any of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from scipy.special import eval_legendre, spherical_jn

import tlmlp
from tlmlp import bessel, forces, graph as graphs

SMALL = dict(embed_size=8, n_blocks=2, n_spherical=4, n_residual_after=1, cutoff=4.0)


@pytest.fixture(scope="module")
def potential():
    return tlmlp.Potential.create(tlmlp.Config("paper", **SMALL), ("Si", "Ge"), seed=1)


@pytest.fixture(scope="module")
def mixed():
    """Eight atoms of two elements in a skewed cell smaller than the cutoff in every direction."""
    atoms = bulk("Si", cubic=True)
    atoms.symbols[::3] = "Ge"
    atoms.set_cell(atoms.cell.array + [[0, 0, 0], [0.4, 0, 0], [-0.2, 0.3, 0]], scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def energy(potential, atoms):
    atoms = atoms.copy()
    atoms.calc = potential.calculator(dtype="float64", skin=0.0)
    return atoms.get_potential_energy()


def test_bessel_functions_are_scipys():
    x = np.linspace(0.3, 0.999, 50, dtype=np.float32)
    ours = np.asarray(bessel.spherical_bessel(x, 7, 6))
    zeros, norms = bessel.zeros_and_norms(7, 6)
    one = jax.jacfwd(lambda x: bessel.spherical_bessel(x, 7, 6))
    slopes = np.asarray(jax.vmap(one)(jnp.asarray(x)))
    for l in range(7):
        np.testing.assert_allclose(spherical_jn(l, zeros[l]), 0, atol=1e-12)
        theirs = (
            norms[l]
            * spherical_jn(l, zeros[l] * x[:, None])
            * np.asarray(bessel.envelope(x))[:, None]
        )
        np.testing.assert_allclose(ours[:, l], theirs, atol=2e-5)
        # and their slopes, which are a rule of their own
        value = lambda x, l=l: norms[l] * spherical_jn(l, zeros[l] * x[:, None])
        cut = lambda x: (1 - 28 * x**6 + 48 * x**7 - 21 * x**8)[:, None]
        wide, h = x.astype(float), 1e-5
        slope = (value(wide + h) * cut(wide + h) - value(wide - h) * cut(wide - h)) / (2 * h)
        np.testing.assert_allclose(slopes[:, l], slope, atol=1e-3, rtol=1e-3)
    c = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(
        bessel.legendre(jnp.asarray(c), 7)[6], eval_legendre(6, c), atol=1e-6
    )


def test_forces_and_stress_are_derivatives_of_the_energy(potential, mixed):
    atoms = mixed.copy()
    atoms.calc = potential.calculator(dtype="float64", skin=0.0)
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, atol=1e-6 * np.abs(numerical).max())
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), numerical, atol=1e-6 * np.abs(numerical).max())
    assert np.abs(atoms.get_forces().sum(0)).max() < 1e-10
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())


def test_energy_knows_nothing_of_frames_and_labels(potential, mixed):
    reference = energy(potential, mixed)
    moved = mixed.copy()
    moved.positions += [0.3, -1.2, 7.0]
    moved.wrap()
    turned = mixed.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    shuffled = mixed[np.random.default_rng(0).permutation(len(mixed))]
    for other in (moved, turned, shuffled):
        assert energy(potential, other) == pytest.approx(reference, abs=1e-9)
    mirrored = mixed.copy()
    mirrored.set_cell(-mixed.cell.array, scale_atoms=False)
    mirrored.positions *= -1
    assert energy(potential, mirrored) == pytest.approx(reference, abs=1e-9)


def test_primitive_cell_and_supercell_agree(potential):
    primitive = bulk("Si")
    large = primitive.repeat(4)
    assert len(large) == 128
    for atoms in (bulk("Si", cubic=True).repeat(2), large):
        assert energy(potential, atoms) / len(atoms) == pytest.approx(
            energy(potential, primitive) / 2, abs=1e-6
        )


def test_smooth_through_the_cutoff(potential):
    """Energy, force and its slope vanish as an atom leaves: the envelope has a triple zero."""
    bond = lambda d: Atoms("Si2", [(0, 0, 0), (0, 0, d)])
    inside = [energy(potential, bond(4.0 - h)) for h in (4e-2, 2e-2, 1e-2)]
    alone = energy(potential, bond(4.5))
    ratios = np.diff(np.log(np.abs(np.array(inside) - alone))) / np.log(0.5)
    assert (ratios > 2.8).all()  # |E - E_alone| ~ (c - d)^3


def test_gradients_are_finite_on_a_perfect_lattice_and_in_padding(potential):
    frames = [bulk("Si", cubic=True), bulk("Ge")]
    tight = [graphs.from_atoms(a, potential.elements, potential.config.cutoff) for a in frames]
    batch = graphs.join(tight, atoms=16, slots=20, structures=3)

    def loss(params, graph):
        p = forces.energy_forces(potential.config, params, graph)
        return p.energies.sum() ** 2 + (p.forces**2).sum() + (p.virial**2).sum()

    gradient = jax.jit(jax.grad(loss))(potential.params, batch)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    assert any(np.abs(g).max() > 0 for g in jax.tree.leaves(gradient))


def test_a_padded_batch_gives_what_each_structure_gives_alone(potential, mixed):
    frames = [mixed, bulk("Ge"), bulk("Si", cubic=True)]
    tight = [graphs.from_atoms(a, potential.elements, potential.config.cutoff) for a in frames]
    together = forces.predict(potential.config, potential.params, graphs.join(tight, 24, 24, 4))
    first = 0
    for b, (atoms, g) in enumerate(zip(frames, tight)):
        alone = forces.predict(potential.config, potential.params, graphs.join([g], 8, 24))
        rows = slice(first, first + len(atoms))
        np.testing.assert_allclose(together.energies[rows], alone.energies[: len(atoms)], atol=2e-5)
        np.testing.assert_allclose(together.forces[rows], alone.forces[: len(atoms)], atol=2e-4)
        np.testing.assert_allclose(together.virial[b], alone.virial[0], atol=2e-3)
        first += len(atoms)
    assert np.abs(together.energies[first:]).max() == 0 and np.abs(together.virial[3]).max() == 0


def test_presets_and_bad_configs():
    assert (tlmlp.Config("paper").n_blocks, tlmlp.Config("paper").cutoff) == (4, 5.0)
    assert tlmlp.Config("course").n_blocks == 2
    for bad in (
        dict(preset="huge"),
        dict(cutoff=-1),
        dict(n_blocks=0),
        dict(n_blocks=1.5),
        dict(n_spherical=1),
        dict(embed_size="8"),
    ):
        with pytest.raises(ValueError):
            tlmlp.Config(**bad)
