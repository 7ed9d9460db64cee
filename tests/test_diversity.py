"""Which structures to label: the choices of the table, and its rows."""

from collections import Counter

import numpy as np
import pytest

from research import diversity
from tlmlp import course
from tlmlp.course import choices


def task(choice, method="linear", **more):
    return dict(source="dft", choice=choice, method=method, n=10, seed=0) | more


def test_tasks_are_all_different():
    tasks = diversity.tasks()
    assert len({tuple(t.items()) for t in tasks}) == len(tasks) == 2 * 5 * 2 * 8 * 3


@pytest.mark.parametrize("source", course.COURSE)
@pytest.mark.parametrize("choice", [c for c in choices.CHOICES if c != "committee"])
def test_a_choice_has_as_many_structures_as_it_says(source, choice):
    own = choices.choose(choice, 10, source=source)
    kinds = Counter(map(choices.group_of, own))
    assert len({id(atoms) for atoms in own}) == len(own) == (20 if "more" in choice else 10)
    calm = kinds["Solid"] + kinds["crystal"]
    if choice in ("calm", "calm, more"):
        assert calm == 10
    if choice == "by hand":
        assert max(kinds.values()) == min(kinds.values())
    if choice == "liquid":
        assert {atoms.info["phase"] for atoms in own} == {"liquid"}


def test_the_farthest_point_is_taken_next():
    points = np.array([[0.0], [1.0], [10.0], [4.0]])
    assert choices.farthest(points, 4, 0) == [0, 2, 3, 1]


def test_a_committee_takes_what_its_members_disagree_on():
    """A row is complete, and its structures are not those of the stratified choice."""
    row = diversity.perform(task("committee"))
    assert sum(row["structures"].values()) == 10 and set(row["groups"]) >= {"Solid", "Liquid"}
    assert row["structures"] != diversity.perform(task("groups"))["structures"]
    assert 0 < row["force_mae"] < row["force_rmse"] < 400


def test_more_data_hurt_a_linear_potential_on_calm_crystals():
    """Liquids and the rest lower its error on all structures, and raise that on the crystals."""
    alone, more = (diversity.perform(task(choice)) for choice in ("calm", "calm, more"))
    assert more["force_mae"] < alone["force_mae"]
    assert more["groups"]["Solid"] > 1.1 * alone["groups"]["Solid"]
