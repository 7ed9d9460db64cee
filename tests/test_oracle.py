"""Data between algorithms: the data sets of the table and its rows."""

import numpy as np
import pytest

from research import oracle
from tlmlp import course


def test_tasks_are_all_different_and_sets_come_first():
    tasks = oracle.tasks()
    assert len({tuple(sorted(t.items())) for t in tasks}) == len(tasks) == 25 + 75
    assert [t["method"] == "source" for t in tasks] == [True] * 25 + [False] * 75


def test_structures_by_hand_are_of_five_kinds():
    own = oracle.by_hand(10, np.random.default_rng(0))
    volume = oracle.crystal().get_volume()
    assert [len(atoms) for atoms in own] == [64, 64, 64, 63, 64] * 2
    squeezed, sheared, *rest = own
    assert abs(squeezed.get_volume() / volume - 1) > 0.01 and np.ptp(squeezed.cell.lengths()) < 1e-9
    assert np.abs(sheared.cell.angles() - 90).max() > 1
    assert all(atoms.get_volume() == pytest.approx(volume) for atoms in rest[:3])
    assert own[4].get_all_distances(mic=True)[np.triu_indices(64, 1)].min() < 2.35
    for atoms in own:
        assert atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min() > 1.7
        assert np.isfinite(atoms.get_forces()).all() and np.isfinite(atoms.get_stress()).all()


def test_random_structures_keep_a_distance():
    for atoms in oracle.random(3, np.random.default_rng(0)):
        assert (
            len(atoms) == 64
            and atoms.get_all_distances(mic=True)[np.triu_indices(64, 1)].min() > 2.0
        )


def test_a_potential_asks_until_it_holds(monkeypatch):
    """With a limit that nothing reaches all hold at once; with none, each run gives a structure."""
    own, held = oracle.active("linear", 0, length=0.1)
    assert len(held) == 6 and len(own) < 40
    monkeypatch.setattr(oracle, "LIMIT", 0.0)
    own, held = oracle.active("linear", 0, most=7, length=0.1)
    assert len(own) == 7 and held == []


def test_a_row_is_of_the_set_that_was_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(oracle, "TRIAL", 1.0)
    made = oracle.perform(dict(method="source", driver="by hand", seed=0), tmp_path)
    assert made["n"] == oracle.MOST and made["held"] == []
    row = oracle.perform(dict(method="linear", driver="by hand", seed=0), tmp_path)
    assert row["n"] == oracle.MOST and 0 < row["force_mae"] < row["force_rmse"] < 400
    assert [trial["phase"] for trial in row["trials"]] == ["crystal"] * 4 + ["liquid"] * 2


def test_fine_tunings_are_on_the_same_sets():
    sets = {
        (row["driver"], row["seed"]): row["n"]
        for row in course.rows("oracle")
        if row["method"] == "source"
    }
    tuned = {(row["driver"], row["seed"]): row["n"] for row in course.rows("universal-oracle")}
    assert tuned in (sets, {})


def test_shipped_rows_are_those_of_the_table():
    rows, tasks = course.rows("oracle"), oracle.tasks()
    of = lambda task: [row for row in rows if task.items() <= row.items()]
    assert all(len(of(task)) == 1 for task in tasks) and len(rows) == len(tasks)
