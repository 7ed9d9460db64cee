"""tlmlp.uncertainty: spreads by hand, distances and their symmetries, known noise."""

from dataclasses import replace

import ase.io
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr
from silicon import TINY, alert

import tlmlp
from research import committee as table
from tlmlp import uncertainty
from tlmlp.graph import from_atoms
from tlmlp.splines import Splines
from tlmlp.uncertainty import Committee, Distance, features, reliability

SMALL = Splines(cutoff=4.6, triple_cutoff=4.0, n_pair=8, n_triple=3, n_angle=3)
BLOCKS = replace(TINY, n_blocks=2, cutoff=3.6)


def crystal(symbols="Si8", seed=0):
    """Eight atoms off their sites."""
    atoms = bulk("Si", cubic=True)
    atoms.symbols = symbols
    atoms.rattle(0.15, seed=seed)
    return atoms


def splines_of(elements, seed=1):
    potential = tlmlp.Potential.create(SMALL, elements)
    shape = potential.params["splines"]["weights"].shape
    weights = np.random.default_rng(seed).normal(size=shape)
    return potential.replace(params={"splines": {"weights": weights}})


@pytest.fixture(scope="module")
def members():
    """Two networks of one shape, and one with the elements in the other order."""
    both, turned = ("Si", "Ge"), ("Ge", "Si")
    return [alert(BLOCKS, both, 4), alert(BLOCKS, both, 5), alert(BLOCKS, turned, 6)]


@pytest.fixture(scope="module", params=["network", "linear"])
def potential(request):
    return alert(BLOCKS, ("Si", "Ge")) if request.param == "network" else splines_of(("Si", "Ge"))


# -- committee -------------------------------------------------------------------------------------


def test_identical_members_have_no_spread(members):
    atoms = crystal("Si5Ge3")
    atoms.calc = Committee([members[0]] * 3)
    assert np.array_equal(atoms.calc.spread(atoms), np.zeros(8))
    assert atoms.calc.get_property("energy_spread", atoms) == 0
    alone = atoms.copy()
    alone.calc = members[0].calculator()
    assert np.array_equal(atoms.get_forces(), alone.get_forces())
    assert atoms.get_potential_energy() == alone.get_potential_energy()


def test_means_and_spreads_are_those_by_hand(members):
    """Also of a member that is no Potential, and the same one by one and of a list."""
    both = [*members, LennardJones(sigma=2.1, epsilon=0.3, rc=3.5)]
    committee, structures = Committee(both), [crystal("Si5Ge3"), crystal("Si8", 1)]
    # As old as the committee's: neighbours are added in an order that the structure before set.
    alone = [m.calculator() if isinstance(m, tlmlp.Potential) else m for m in both]
    for atoms, whole in zip(structures, committee.predict(structures)):
        E, F, S = [], [], []
        for calculator in alone:
            own = atoms.copy()
            own.calc = calculator
            E.append(own.get_potential_energy())
            F.append(own.get_forces())
            S.append(own.get_stress())
        F = np.array(F)
        variance = ((F - F.mean(0)) ** 2).sum(0) / 3
        spread = np.sqrt(variance[:, 0] + variance[:, 1] + variance[:, 2])
        assert spread.min() > 0.01
        assert np.allclose(committee.spread(atoms), spread, rtol=1e-9)
        energy_spread = np.std(np.array(E) / 8, ddof=1)
        assert committee.get_property("energy_spread", atoms) == pytest.approx(energy_spread)
        assert committee.get_property("energy", atoms) == pytest.approx(np.mean(E))
        assert np.allclose(committee.get_property("stress", atoms), np.mean(S, 0))
        assert np.allclose(whole.arrays["forces_spread"], spread, rtol=1e-4)
        assert whole.info["energy_spread"] == pytest.approx(energy_spread, rel=1e-4)
        assert whole.get_potential_energy() == pytest.approx(np.mean(E), abs=1e-5)
        assert np.allclose(whole.get_forces(), F.mean(0), atol=1e-5)


def test_mean_forces_and_stress_are_slopes_of_the_mean_energy(members):
    atoms = crystal("Si5Ge3")
    atoms.calc = Committee([m.calculator("float64") for m in members])
    assert np.abs(atoms.get_forces()).max() > 0.05
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    assert np.allclose(atoms.get_forces(), numerical, atol=1e-6)
    assert np.allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-6)


def test_a_committee_is_a_calculator_like_others(members, tmp_path):
    """Constraints change no spread; clusters have no stress; spreads travel in files."""
    committee, atoms = Committee(members), crystal()
    free = committee.spread(atoms)
    atoms.set_constraint(FixAtoms([0, 1]))
    assert np.array_equal(committee.spread(atoms), free)
    atoms.positions[3] += 0.05
    assert not np.allclose(committee.spread(atoms), free)
    cluster = Atoms("Si4", crystal().positions[:4], calculator=committee)
    assert np.isfinite(cluster.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError, match="three periodic directions"):
        cluster.get_stress()
    ase.io.write(path := tmp_path / "mean.extxyz", committee.predict([crystal()]))
    back = ase.io.read(path)
    assert np.allclose(back.arrays["forces_spread"], free, rtol=1e-4)
    assert np.allclose(back.get_forces(), committee.predict([crystal()])[0].get_forces(), atol=1e-7)


def test_members_that_cannot_be_are_refused(members):
    words = "a committee is a list of at least two potentials or ASE calculators, not"
    for wrong, said, kind in (
        (members[0], "Potential", TypeError),
        ("si-sw", "str", TypeError),
        ([members[0], "si-sw", None], "a list with str, NoneType", TypeError),
        ([members[0]], "1", ValueError),
    ):
        with pytest.raises(kind, match=f"{words} {said}$"):
            Committee(wrong)


def test_an_element_that_a_member_does_not_know_is_refused(members):
    silicon = alert(BLOCKS, ("Si",))
    committee = Committee([members[0], silicon])
    words = "member 1 of the committee: this potential knows Si; it has never seen Ge"
    for ask in (committee.spread, lambda atoms: committee.predict([crystal(), atoms])):
        with pytest.raises(ValueError, match=words):
            ask(crystal("Si5Ge3"))
    assert len(committee.spread(crystal())) == 8


# -- distance --------------------------------------------------------------------------------------


def test_the_energy_is_linear_in_the_features(potential):
    """So the features are all that an atom's energy depends on."""
    atoms = crystal("Si5Ge3")
    (own,) = features(potential, [atoms])
    energies = potential.calculator().get_property("energies", atoms)
    if isinstance(potential.config, Splines):
        weights = potential.params["splines"]["weights"]
        rows = weights[[potential.elements.index(symbol) for symbol in atoms.symbols]]
        expected = (own * rows).sum(1)
    else:
        names = [f"dimenet/output_{k}/final" for k in range(3)]
        expected = own @ np.concatenate([potential.params[name]["w"] for name in names])[:, 0]
    assert np.abs(energies).max() > 0.01
    assert np.allclose(energies, expected, rtol=1e-4, atol=1e-5)


def test_descriptors_of_a_linear_potential_are_its_slopes_by_the_weights():
    p = splines_of(("Si", "Ge"))
    graph = from_atoms(crystal("Si5Ge3"), p.elements, SMALL.cutoff)
    of = lambda w: uncertainty.splines.energies(SMALL, {"splines": {"weights": w}}, graph)
    slopes = jax.jacrev(of)(np.asarray(p.params["splines"]["weights"], np.float32))
    own = slopes[np.arange(8), graph.species]  # by the weights of each atom's own element
    assert np.allclose(features(p, [crystal("Si5Ge3")])[0], own, atol=1e-4)


def test_a_training_structure_is_at_distance_zero(potential):
    train = [crystal("Si5Ge3", seed) for seed in range(4)]
    distance = Distance(potential, train)
    assert max(d.max() for d in distance(train)) < 1e-3
    new = distance(crystal("Si5Ge3", 9))
    assert new.shape == (8,) and new.min() > 0.05


def test_the_distance_is_that_of_the_definition(potential):
    train, atoms = [crystal("Si5Ge3", seed) for seed in range(4)], crystal("Si5Ge3", 9)
    known = np.concatenate(features(potential, train))
    symbols = np.concatenate([list(atoms.symbols) for atoms in train])
    expected = []
    for symbol, own in zip(atoms.symbols, features(potential, [atoms])[0]):
        same = known[symbols == symbol]
        unit = np.maximum(same.std(0), 1e-3 * (same**2).mean() ** 0.5)
        expected.append(min(np.sqrt((((own - x) / unit) ** 2).mean()) for x in same))
    assert np.allclose(Distance(potential, train)(atoms), expected, rtol=1e-6)


def test_distances_follow_the_atoms_through_symmetries(potential):
    distance = Distance(potential, [crystal("Si5Ge3", seed) for seed in range(2)])
    atoms = crystal("Si5Ge3", 9)
    before, order = distance(atoms), np.random.default_rng(0).permutation(8)
    assert np.allclose(distance(atoms[order]), before[order], rtol=1e-3)
    moved = atoms.copy()
    turn = Rotation.from_euler("xyz", (0.3, 1.1, -0.4)).as_matrix()
    moved.set_cell(moved.cell.array @ turn.T, scale_atoms=True)
    moved.positions += [0.4, -1.3, 2.2]
    moved.wrap()
    assert np.allclose(distance(moved), before, rtol=1e-3)


def test_a_crystal_alone_gives_finite_distances(potential):
    """All its atoms are alike, so no feature has a standard deviation."""
    alone = bulk("Si", cubic=True)
    distance = Distance(potential, [alone])
    assert distance(alone).max() < 0.1 < distance(crystal()).min()
    assert np.isfinite(distance(crystal())).all()


def test_a_long_search_gives_the_same_in_parts(potential, monkeypatch):
    distance, many = Distance(potential, [crystal("Si8")]), crystal().repeat(2)
    whole = distance(many)
    monkeypatch.setattr(uncertainty, "BLOCK", 16)
    assert np.array_equal(distance(many), whole)


def test_elements_without_training_atoms_are_refused(potential):
    distance = Distance(potential, [crystal("Si8")])
    with pytest.raises(ValueError, match="the training structures have no Ge, only Si"):
        distance([crystal(), crystal("Si5Ge3")])
    with pytest.raises(ValueError, match="it has never seen C"):
        features(potential, [crystal("C8")])
    with pytest.raises(TypeError, match="those of a tlmlp.Potential, not of LennardJones"):
        features(LennardJones(), [crystal()])
    with pytest.raises(ValueError, match="the dataset is empty"):
        Distance(potential, [])


# -- reliability -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noise():
    """(errors of vectors, their true standard deviations): 20 000 Gaussian draws."""
    rng = np.random.default_rng(0)
    sigma = rng.lognormal(-2, 0.7, 20_000)
    errors = np.linalg.norm(rng.normal(size=(20_000, 3)) * sigma[:, None] / 3**0.5, axis=1)
    return errors, sigma


def test_errors_are_lengths_of_differences(members):
    """Constraints change none; both lists are equally long."""
    committee, reference = Committee(members[:2]), Committee(members[1:])
    frames = reference.predict([crystal("Si5Ge3"), crystal("Si8", 1)])
    frames[0].set_constraint(FixAtoms([0]))
    guess = committee.predict(frames)
    found = uncertainty.force_errors(frames, guess)
    for atoms, own, errors in zip(frames, guess, found):
        off = own.calc.results["forces"] - atoms.calc.results["forces"]
        assert np.allclose(errors, (off**2).sum(1) ** 0.5) and errors.min() > 0
    with pytest.raises(ValueError, match="there are 2 frames but 1 predictions"):
        uncertainty.force_errors(frames, guess[:1])
    with pytest.raises(ValueError, match="frame 0 has no 'forces'"):
        uncertainty.force_errors([atoms.copy() for atoms in frames], guess)


def test_gaussian_noise_of_known_size_is_calibrated(noise):
    """A bin's 2000 squared errors have a relative standard deviation of sqrt(2/3/2000) = 0.018."""
    found = reliability(*noise)
    assert found.factor == pytest.approx(1, abs=0.03)
    assert np.allclose(found.error / found.predicted, 1, atol=0.06)
    assert (np.diff(found.predicted) > 0).all() and len(found.error) == 10
    assert found.correlation == spearmanr(*noise).statistic > 0.5


def test_overconfidence_is_seen_and_mended_by_the_factor_of_other_data(noise):
    errors, sigma = noise
    known = reliability(errors[::2], sigma[::2] / 3)
    assert known.factor == pytest.approx(3, abs=0.1)
    assert (known.error > 2.7 * known.predicted).all()
    rest = reliability(errors[1::2], known.factor * sigma[1::2] / 3)
    assert rest.factor == pytest.approx(1, abs=0.05)
    assert rest.correlation == pytest.approx(reliability(errors[1::2], sigma[1::2]).correlation)


def test_bins_are_root_mean_squares_of_equal_counts():
    found = reliability([3.0, -1, 1, 5, 7, 1], [0.3, 0.1, 0.2, 0.5, 0.4, 0.6], bins=3)
    assert np.allclose(found.predicted**2, [0.025, 0.125, 0.305])
    assert np.allclose(found.error**2, [1, 29, 13])
    assert found.factor == pytest.approx((86 / 0.91) ** 0.5)
    parts = reliability([[3.0, -1], [1, 5, 7, 1]], [[0.3, 0.1], [0.2, 0.5, 0.4, 0.6]], bins=3)
    assert np.array_equal(parts.error, found.error) and parts.factor == found.factor
    assert str(found).startswith("correlation 0.") and str(found).count("\n") == 4


@pytest.mark.parametrize(
    ("errors", "spreads", "bins", "words"),
    [
        ([1, 2], [1, 2], 0, "bins must be a whole number"),
        ([1, 2], [1, 2], 3, "the same 3 or more numbers"),
        ([1, 2, 3], [1, 2], 2, "not of shapes"),
        ([[1, 2], [3]], [[1, 2]], 2, "not of shapes"),
        ([1, np.nan], [1, 2], 1, "must be finite"),
        ([1, 2], [0, 0], 1, "nothing to compare"),
        ([], [], 1, "the same 2 or more numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused(errors, spreads, bins, words):
    with pytest.raises(ValueError, match=words):
        reliability(errors, spreads, bins)


# -- the table of committees -----------------------------------------------------------------------


def test_a_row_tells_phases_apart_and_checks_on_the_other_half():
    """Spreads are half the errors in every second structure, a third in the others."""
    test = [crystal(seed=k) for k in range(8)]
    for k, atoms in enumerate(test):
        atoms.info["phase"] = "crystal" if k < 4 else "liquid"
    errors = [np.linspace(0.1, 0.9, 8) * (1 + k // 4) for k in range(8)]
    found = table.told(test, errors, [e / (2 + k % 2) for k, e in enumerate(errors)])
    assert {name: own["check"] for name, own in found.items()} == dict.fromkeys(found, 1.5)
    assert list(found) == ["all", "crystal", "liquid"]
    assert found["crystal"]["factor"] == pytest.approx((2 / (1 / 4 + 1 / 9)) ** 0.5, rel=1e-3)
    assert len(found["all"]["error"]) == 10 and found["all"]["correlation"] > 0.8


def test_a_short_committee_makes_a_row():
    """Seeds share the training structures and differ in their order, so they differ a little."""
    (task,) = [t for t in table.tasks() if (t["method"], t["n"], t["seed"]) == ("transfer", 10, 0)]
    row = table.perform(task | dict(steps=12, members=2))
    first, second = row["member_mae"]
    assert first != second and abs(first - second) < 10 and row["force_mae"] <= max(first, second)
    assert task.items() - {"steps": 800, "members": 5}.items() <= row.items()
    assert row["spread"]["all"]["factor"] > 1 and row["distance"]["all"]["correlation"] > 0.4
