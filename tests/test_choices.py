"""Which structures to label: the choices of the table, and its rows."""

from collections import Counter

import numpy as np
import pytest
from conftest import until

from research import diversity
from tlmlp import course, show
from tlmlp.course import choices


def task(choice, method="linear", **more):
    return dict(source="dft", choice=choice, method=method, n=10, seed=0) | more


def test_tasks_are_all_different():
    tasks = diversity.tasks()
    assert len({tuple(t.items()) for t in tasks}) == len(tasks) == 2 * 5 * 2 * 8 * 3 + 5 * 3


@pytest.mark.parametrize("source", course.COURSE)
@pytest.mark.parametrize("choice", [c for c in choices.CHOICES if c != "committee"])
def test_a_choice_has_as_many_structures_as_it_says(source, choice):
    if (choice, source) == ("strained", "stillinger-weber"):
        with pytest.raises(ValueError, match="have no strained crystals"):
            choices.choose(choice, 10, source=source)
        return
    own = choices.choose(choice, 10, source=source)
    kinds = Counter(map(choices.group_of, own))
    assert len({id(atoms) for atoms in own}) == len(own) == (20 if "more" in choice else 10)
    calm = kinds["Solid"] + kinds["crystal"]
    if choice in ("calm", "calm, more"):
        assert calm == 10
    if choice == "by hand":
        assert max(kinds.values()) == min(kinds.values())
    if choice == "liquid":
        assert set(kinds) <= {"Liquid", "liquid"}


def test_features_that_are_kept_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        choices.described("dft")[0] = 0


def test_the_farthest_point_is_taken_next():
    points = np.array([[0.0], [1.0], [10.0], [4.0]])
    assert choices.farthest(points, 4, 0) == [0, 2, 3, 1]


def test_a_committee_takes_what_its_members_disagree_on():
    """A row is complete, and its structures are not those of the stratified choice."""
    row = diversity.perform(task("committee"))
    assert sum(row["structures"].values()) == 10 and set(row["groups"]) >= {"Solid", "Liquid"}
    assert row["structures"] != diversity.perform(task("groups"))["structures"]
    assert 0 < row["force_mae"] < row["force_rmse"] < 400


def test_a_committee_of_linear_potentials_begins_with_two_structures(monkeypatch):
    """Of one structure all members are the same, and disagree on nothing."""
    begun = []
    real = choices.committee
    note = lambda own, *rest: begun.append(len(own)) or real(own, *rest)
    monkeypatch.setattr(choices, "committee", note)
    found = choices.choose("committee", 5, 0, "stillinger-weber", "linear")
    assert begun == [2, 3, 4] and len(found) == 5


def test_more_data_hurt_a_linear_potential_on_calm_crystals():
    """Liquids and the rest lower its error on all structures, and raise that on the crystals."""
    alone, more = (diversity.perform(task(choice)) for choice in ("calm", "calm, more"))
    assert more["force_mae"] < alone["force_mae"]
    assert more["groups"]["Solid"] > 1.1 * alone["groups"]["Solid"]


def test_an_attempt_gives_the_errors_of_its_potential():
    """Those of a row of the table, in all and in each group."""
    (row,) = choices.attempt("groups", "linear", 10)
    other = diversity.perform(task("groups"))
    assert row["force_mae"] == pytest.approx(other["force_mae"], abs=0.02)
    assert row["groups"] == pytest.approx(other["groups"], abs=0.02)
    assert row["structures"] == other["structures"] and row["step"] == row["steps"] == 1


def test_energies_alone_say_less():
    labels, energies = (
        list(choices.attempt("groups", "linear", 10, loss))[-1]
        for loss in ("labels", "energies alone")
    )
    assert energies["force_mae"] > 2 * labels["force_mae"]


@pytest.mark.parametrize(
    "wrong, words",
    [
        (dict(choice="best"), "choice must be one of"),
        (dict(algorithm="forest"), "algorithm must be one of"),
        (dict(loss="none"), "loss must be one of"),
        (dict(loss="labels, Taylor"), "loss of a linear potential must be one of"),
        (dict(choice="random", n=147), "n must be a whole number from 1 to 146, not 147"),
        (dict(choice="farthest", n=0), "n must be a whole number"),
        (dict(choice="random", n=-1), "n must be a whole number"),
        (dict(choice="committee", loss="energies alone"), "a committee compares forces"),
    ],
)
def test_other_names_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        next(choices.attempt(**dict(choice="groups", algorithm="linear") | wrong))


def test_the_widget_adds_a_line_for_each_training(monkeypatch):
    monkeypatch.setattr("tlmlp.show.widgets.choices.STEPS", 20)
    widget = show.Choices().set(n=5, choice="random")
    assert [row["method"] for row in widget.result()] == ["linear"]
    widget.set(algorithm="scratch", loss="energies, Taylor").start().wait()
    linear, scratch = widget.found
    assert linear["structures"] == scratch["structures"] and scratch["step"] == 20
    assert scratch["loss"] == "energies, Taylor" and scratch["force_mae"] > linear["force_mae"]
    until(lambda: f"Force MAE {scratch['force_mae']:.0f} meV/Å, " in widget.status.value)
    widget.set(algorithm="linear").start()
    until(lambda: "loss of a linear potential" in widget.status.value)
    assert widget.found == [linear, scratch]
    widget.close()


def test_shipped_rows_are_those_of_the_table():
    rows, tasks = course.rows("diversity"), diversity.tasks()
    of = lambda task: [row for row in rows if task.items() <= row.items()]
    assert all(len(of(task)) == 1 for task in tasks) and len(rows) == len(tasks)
