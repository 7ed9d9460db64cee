"""Our DimeNet++ without triplets gives the energies and forces of chemtrain's, with its weights."""

from pathlib import Path

import ase
import haiku as hk
import jax
import numpy as np
import pytest
from ase.build import bulk

import tlmlp

FIXTURE = Path(__file__).parent / "chemtrain" / "fixture.npz"


@pytest.fixture(scope="module")
def fixture():
    return dict(np.load(FIXTURE))


@pytest.fixture(scope="module")
def potential(fixture):
    params = {k: v for k, v in fixture.items() if k.startswith("params:")}
    return tlmlp.from_chemtrain(params, tlmlp.Config("paper"), species={"Si": 0, "Ge": 1})


def structure(fixture, case):
    symbols = np.array(["Si", "Ge"])[fixture[f"{case}:species"]]
    return ase.Atoms(
        symbols, fixture[f"{case}:positions"].astype(float), cell=fixture[f"{case}:cell"], pbc=True
    )


@pytest.mark.parametrize("case", ["si64", "mixed64", "si216"])
@pytest.mark.parametrize("bits", [32, 64])
def test_energy_and_forces_are_chemtrains(fixture, potential, case, bits):
    """To 1e-5 in float32, and far closer in float64: what differs in float32 is rounding."""
    atoms = structure(fixture, case)
    atoms.calc = potential.calculator(dtype=f"float{bits}")
    suffix, tolerance = (
        ("", 1e-5) if bits == 32 else ("64", 2e-6)
    )  # chemtrain's Bessel zeros are rounded to float32
    energy, forces = fixture[f"{case}:energy{suffix}"], fixture[f"{case}:forces{suffix}"]
    assert atoms.get_potential_energy() == pytest.approx(float(energy), rel=tolerance)
    np.testing.assert_allclose(
        atoms.get_forces(), forces, atol=tolerance * np.abs(forces).max(), rtol=0
    )


def test_perfect_lattice_is_the_limit_of_perturbed_ones(potential):
    """Where chemtrain's angle fails (collinear atoms) ours is the limit of what it agrees on."""
    perfect = bulk("Si", a=5.431, cubic=True).repeat(2)
    perfect.calc = potential.calculator(dtype="float64")
    energy = perfect.get_potential_energy()
    assert np.abs(perfect.get_forces()).max() < 1e-10
    shift = np.random.default_rng(0).normal(size=(64, 3))
    differences = []
    for amplitude in (1e-2, 1e-3, 1e-4):
        atoms = perfect.copy()
        atoms.positions += amplitude * shift
        atoms.calc = perfect.calc
        differences.append(abs(atoms.get_potential_energy() - energy))
    # forces vanish on the perfect lattice, so the energy nears its limit as the amplitude squared
    np.testing.assert_allclose(differences[1:], np.array(differences[:-1]) / 100, rtol=0.1)


def test_wrong_weights_are_refused(fixture):
    params = {k: v for k, v in fixture.items() if k.startswith("params:")}
    with pytest.raises(ValueError, match="no place for"):
        tlmlp.from_chemtrain(params, tlmlp.Config("paper", n_blocks=3), {"Si": 0})
    with pytest.raises(ValueError, match="missing"):
        tlmlp.from_chemtrain(params, tlmlp.Config("paper", n_blocks=5), {"Si": 0})
    with pytest.raises(ValueError, match="shape"):
        tlmlp.from_chemtrain(params, tlmlp.Config("paper", n_radial=5), {"Si": 0})
    with pytest.raises(ValueError, match="rows"):
        tlmlp.from_chemtrain(params, tlmlp.Config("paper"), {"Si": 2})


def test_containers_of_haiku_are_read(fixture, potential):
    """Weights that are kept for long are often in haiku's own mapping, which nothing can change."""
    params: dict = {}
    for key, w in fixture.items():
        if key.startswith("params:"):
            module, name = key.removeprefix("params:").rsplit(":", 1)
            params.setdefault(module, {})[name] = w
    kept = hk.data_structures.to_immutable_dict(params)
    again = tlmlp.from_chemtrain(kept, tlmlp.Config("paper"), {"Si": 0, "Ge": 1})
    same = jax.tree.map(np.array_equal, again.params, potential.params)
    assert all(jax.tree.leaves(same))


def test_one_element_of_two(fixture, potential):
    """A row picked out of the table gives what the whole table gives."""
    params = {k: v for k, v in fixture.items() if k.startswith("params:")}
    atoms = structure(fixture, "si64")
    germanium = tlmlp.from_chemtrain(params, tlmlp.Config("paper"), {"Ge": 1})
    atoms.symbols = ["Ge"] * 64
    a, b = (p.predict([atoms])[0].get_potential_energy() for p in (germanium, potential))
    assert a == pytest.approx(b, abs=1e-5)
    assert jax.tree.leaves(germanium.params)[0].dtype == np.float32
