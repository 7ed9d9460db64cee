"""Exercises on transfer: the right answer passes, each usual mistake is named."""

from types import SimpleNamespace

import numpy as np
import pytest

import tlmlp
from tlmlp import course, linear, transfer, uncertainty
from tlmlp.frames import label


def judged(check, right, wrong):
    """The right answers pass; each wrong one does not, and its words say why."""
    for answer in right:
        assert check(answer), check(answer)
    for answer, words in [(..., "dots"), (None, "dots"), *wrong]:
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


@pytest.fixture(scope="module")
def silicon():
    return tlmlp.Potential.load("si-dft-course")


@pytest.fixture(scope="module")
def germanium():
    return course.data("dft")[1]


def test_plans_have_the_errors_of_the_results():
    """Numbers of docs/results.md."""
    errors = course.plan_errors("dft")
    known = {(5, 0, "reduced"): 78, (10, 0, "copied"): 78, (10, 0, "scratch"): 125}
    known |= {(10, 2, "copied"): 80, (10, 3, "copied"): 85, (50, 5, "copied"): 91}
    assert {plan: round(errors[plan]) for plan in known} == known
    assert round(course.plan_errors("stillinger-weber")[10, 0, "reduced"]) == 40


def test_a_plan_within_an_error_and_a_budget():
    plan = lambda n, frozen, start: dict(n=n, frozen=frozen, start=start)
    check = lambda answer: course.check_plan(answer, course.plan_errors("dft"), 20, 80)
    wrong = [
        ((10, 0, "copied"), "dict(n=10"),
        (plan(50, 2, "copied"), "50 structures are over the budget of 20"),
        (plan(10, 3, "copied"), "84.7 meV/Å, more than the 80 allowed"),
        (plan(20, 0, "scratch"), "more than the 80 allowed"),
        (plan(10, 0, "reduced"), "fewer structures are enough"),
        (plan(10, 1, "copied"), "more groups can be frozen"),
        (plan(10, 2, "reduced"), "no reduced start was precomputed with 2"),
        (plan(30, 0, "copied"), "n may be 5, 10, 20, 50, 100"),
        (plan(10, 0, "reduced units"), "start is one of scratch, copied, reduced"),
        (plan(10, ["embedding"], "copied"), "a number of groups"),
    ]
    judged(check, [plan(5, 0, "reduced"), plan(np.int64(10), 2, "copied")], wrong)


def test_forces_in_reduced_units(silicon, germanium):
    """Against transfer.start, which puts the same law into the weights."""
    s, some = 5.783 / 5.456, tlmlp.datasets.subset(course.data("dft")[0], 10)
    reduced = transfer.start(silicon, "Ge", some, reduced_units=True, lattice_ratio=s)
    e, atoms = reduced.info["transfer"]["energy"], germanium[2]

    def force(cell, positions):
        small = atoms.copy()
        small.symbols[:] = "Si"
        small.set_cell(cell * atoms.cell)
        small.positions = positions * atoms.positions
        small.calc = silicon.calculator()
        return small.get_forces()

    right = e / s * force(1 / s, 1 / s)
    check = lambda answer: course.check_reduced_forces(answer, atoms, silicon, reduced)
    wrong = [
        (right / e, "e is missing"),
        (right * s, "1/s is missing"),
        (right * s**2, "divide by s"),
        (right * s / e, "silicon's forces at r/s"),
        (1000 * right, "in meV/Å"),
        (-right, "wrong sign"),
        (e / s * force(s, s), "was multiplied by s"),
        (e / s * force(1, 1), "r was not scaled"),
        (force(1, 1), "unchanged"),
        (e / s * force(1, 1 / s), "scale_atoms=True"),
        (right + 0.1, "Divide cell and positions"),
        (right[0], "shape (64, 3)"),
    ]
    judged(check, [right, right.tolist(), reduced.predict([atoms])[0].get_forces()], wrong)


def test_the_step_where_a_training_overfits():
    """Errors by hand: smallest at 300, that of the energy at 400."""
    curve = [[100, 90, 0, 9], [200, 80, 0, 8], [300, 71, 0, 7], [400, 75, 0, 5], [500, 99, 0, 6]]
    check = lambda answer: course.check_overfitting(answer, curve, chosen=60)
    wrong = [
        (500, "the last step, with 99 meV/Å; it was less before"),
        (60, "validation chose this step"),
        (71, "its step is asked for"),
        (2, "the number of the point"),
        (400, "error of the energy"),
        (200, "still falls: 80 meV/Å"),
        (440, "has risen already: 75 meV/Å"),
        (9999, "steps from 100 to 500"),
        ("late", "one number"),
    ]
    judged(check, [300, 330, np.int64(290)], wrong)


def test_a_mask_made_by_hand(silicon):
    frozen = ("embedding", "interaction_1")
    made = lambda train: {
        module: {weight: train(module) for weight in weights}
        for module, weights in silicon.params.items()
    }
    embedding = "dimenet/embedding"
    right = made(lambda m: "interaction_1" not in m and m != "dimenet" and embedding not in m)
    half = made(lambda m: "interaction_1" not in m)
    more = made(lambda m: right[m] != {} and "interaction" not in m and all(right[m].values()))
    first = {m: w for m, w in right.items() if m != embedding}
    number = right | {embedding: dict.fromkeys(right[embedding], 0.0)}
    wrong = [
        (["embedding"], "dict of dicts"),
        (first, "has no entry for dimenet/embedding"),
        (right | {"dimenet/head": {"w": True}}, "the network lacks: dimenet/head/w (1 in all)"),
        (made(lambda m: not all(right[m].values())), "inverted"),
        (half, "of the group embedding, should be frozen"),
        (more, "of the group interaction_2, should train"),
        (number, "neither True nor False"),
    ]
    check = lambda answer: course.check_mask(answer, silicon, frozen)
    judged(check, [right, transfer.freeze(silicon, frozen)], wrong)
    sizes = transfer.sizes(silicon)
    held = sizes["embedding"] + sizes["interaction_1"]
    assert f"{held} of {silicon.n_weights} weights" in check(right).words


def test_the_factor_by_which_an_error_grows():
    wrong = [
        (300, "the difference"),
        (0.25, "upside down"),
        (400, "in percent"),
        (3, "one more"),
        (42, "divide 400 meV/Å by 100 meV/Å"),
    ]
    judged(lambda answer: course.check_forgetting(answer, 100.0, 400.0), [4, 4.03], wrong)
    judged(lambda x: course.check_forgetting(x, 80, 360), [4.5], [(350, "increase in percent")])


def test_replay_has_to_keep_both_elements(silicon):
    """The two networks that ship fail on one side each; a network of known errors passes."""
    ge_test, si_test = (course.data("dft", element)[1][:6] for element in ("Ge", "Si"))
    known = lambda ge, si: SimpleNamespace(
        evaluate=lambda frames: SimpleNamespace(
            force_mae={"Ge": ge, "Si": si}[frames[0].get_chemical_symbols()[0]]
        )
    )
    check = lambda answer: course.check_replay(answer, ge_test, si_test, 105, 125)
    wrong = [
        (tlmlp.Potential.load("ge-dft-course-transfer-10"), "Silicon fails"),
        (known(198, 120), "198 meV/Å on germanium (105 allowed), 120 on silicon (125)"),
        (known(198, 120), "Germanium fails"),
        (known(198, 135), "Both are too large"),
        (0.1, "a potential is asked for"),
    ]
    judged(check, [known(93, 100)], wrong)


def test_disagreement_is_a_standard_deviation(germanium):
    nets = [tlmlp.Potential.load(f"ge-dft-course-{start}-10") for start in ("transfer", "reduced")]
    a, b = (net.predict(germanium[:2]) for net in nets)
    apart = [np.abs(label(x, "forces") - label(y, "forces")).mean() for x, y in zip(a, b)]
    spread = course.disagreement(nets, germanium[:2])
    assert spread == pytest.approx(1e3 * np.array(apart) / 2, rel=1e-5)


def test_which_structure_to_label_next(germanium):
    """The order by hand, of pairs of networks: half their distance is their standard deviation."""
    nets = [tlmlp.Potential.load(f"ge-dft-course-{start}-10") for start in ("transfer", "scratch")]
    candidates = [germanium[k] for k in (2, 10, 12)]
    own, other = (net.predict(candidates) for net in nets)
    apart = [np.abs(x.get_forces() - y.get_forces()).mean() for x, y in zip(own, other)]
    first, second, last = (int(k) for k in np.argsort(apart)[::-1])
    check = lambda answer: course.check_next_structure(answer, candidates, nets)
    wrong = [(second, "second most"), (last, "least of all"), (3, "numbered from 0 to 2")]
    judged(check, [first], wrong)
    error = np.abs(own[first].get_forces() - label(candidates[first], "forces")).mean()
    assert f"an error of {1e3 * error:.0f} meV/Å" in check(first).words


def test_two_labels_have_to_cover_liquids_and_strained_crystals(germanium):
    """Ten warm crystals; candidates of three groups. The errors said are those of the fit."""
    known = course.choices.choose("calm", 10)
    train, test = course.data("dft")
    names = {atoms.info["name"] for atoms in known}
    rest = [atoms for atoms in train if atoms.info["name"] not in names]
    first = lambda group: next(a for a in rest if a.info["group"] == group)
    candidates = [first("Solid"), first("Liquid"), first("Strained")]
    allowed = dict(Liquid=210, Strained=70)
    check = lambda answer: course.check_labels(answer, known, candidates, test, allowed)
    wrong = [
        ([0, 1], "most like Strained?"),
        ([0, 2], "most like Liquid?"),
        (0, "most like Liquid and Strained?"),
        ([0, 1, 2], "label one to 2"),
        ([1, 3], "numbers from 0 to 2"),
        ([1, 1], "a list of numbers"),
        ("liquid", "a list of numbers"),
        ([], "label one to 2"),
        ([[0, 1]], "a list of numbers"),
    ]
    judged(check, [[1, 2], (2, 1)], wrong)
    fitted = linear.fit([*known, candidates[1], candidates[2]])
    found = fitted.evaluate(test).groups
    words = check([1, 2]).words
    assert f"Liquid {found['Liquid'].force_mae:.0f} (210)" in words
    assert f"Solid 47 to {found['Solid'].force_mae:.0f}" in words


def test_an_expected_error_is_the_factor_times_the_distance():
    found = uncertainty.Reliability(np.ones(1), np.ones(1), 0.5, 0.3)
    wrong = [
        (360, "in meV/Å"),
        (1.2, "the number itself"),
        (0.3, "that is the factor"),
        (4.0, "upside down"),
        (0.6, "the correlation"),
        (2.0, "multiply 1.2"),
    ]
    judged(lambda answer: course.check_expected_error(answer, found, 1.2), [0.36, 0.365], wrong)
