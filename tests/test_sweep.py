"""Sweeps: every task once, whatever dies on the way; and the tasks of a pair of files."""

import json
import os
import re
import signal
import sys
import threading
import time
from types import SimpleNamespace

import ase.io
import cloudpickle
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from tlmlp import sweep

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test


def tasks(n):
    return [dict(method="scratch", frozen=("embedding",), seed=seed) for seed in range(n)]


def pretend(folder, slow=None):
    """A perform that leaves a file for each attempt, and lets a task hang the first time."""

    def perform(task):
        attempts = len([name for name in os.listdir(folder) if name.startswith(f"{task['seed']}-")])
        with open(f"{folder}/{task['seed']}-{attempts}", "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60 if task["seed"] == slow and attempts == 0 else 0.1)
        return json.loads(json.dumps(task)) | {"force_mae": 1.5}

    return perform


def attempts(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "attempts").mkdir()
    return tmp_path / "attempts"


def test_a_killed_worker_loses_its_own_task_alone(folder, tmp_path):
    """Two processes; the one that performs task 1 is killed by force, as if out of memory."""
    killed = []

    def kill():
        while not (folder / "1-0").is_file() or not (folder / "1-0").read_text():
            time.sleep(0.02)
        killed.append(int((folder / "1-0").read_text()))
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    path = tmp_path / "rows.jsonl"
    rows = list(sweep.execute(tasks(6), path, pretend(folder, slow=1), workers=2))
    assert killed and sorted(row["seed"] for row in rows) == [0, 1, 2, 3, 4, 5]
    assert sweep.read(path) == rows
    assert attempts(folder) == ["0-0", "1-0", "1-1", "2-0", "3-0", "4-0", "5-0"]


def test_the_same_call_does_what_is_left(folder, tmp_path):
    path = tmp_path / "rows.jsonl"
    first = [task | {"force_mae": 2.0} for task in tasks(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in first) + '{"method": "cut of')
    rows = list(sweep.execute(tasks(4), path, pretend(folder), workers=1))
    assert [row["seed"] for row in rows] == [2, 3] and attempts(folder) == ["2-0", "3-0"]
    assert [row["seed"] for row in sweep.read(path)] == [0, 1, 2, 3]
    assert list(sweep.execute(tasks(4), path, pretend(folder), workers=1)) == []


def test_a_row_belongs_to_a_task_when_it_has_all_its_items(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert sweep.found(tasks(2), path) == [None, None]
    row = tasks(2)[1] | {"force_mae": 3.0}
    others = [row | {"frozen": []}, row | {"method": "transfer"}, {"seed": 1}]
    path.write_text("".join(json.dumps(r) + "\n" for r in [*others, row]))
    assert sweep.found(tasks(2), path) == [None, json.loads(json.dumps(row))]


def test_tasks_that_fail_are_named_after_the_others_are_done(tmp_path):
    def fragile(task):
        if task["seed"] == 0:
            raise FloatingPointError("the loss stopped being a number")
        return task

    path = tmp_path / "rows.jsonl"
    words = "1 of 3 runs failed, the first with .*stopped being a number"
    with pytest.raises(RuntimeError, match=words):
        list(sweep.execute(tasks(3), path, fragile, workers=1))
    assert sorted(row["seed"] for row in sweep.read(path)) == [1, 2]


def test_a_worker_has_one_thread(tmp_path, monkeypatch):
    """Whatever a user has set here."""
    monkeypatch.setenv("NPROC", "2")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    look = lambda task: task | {"environment": dict(os.environ)}
    (row,) = sweep.execute(tasks(1), tmp_path / "rows.jsonl", look)
    environment = row["environment"]
    assert environment["NPROC"] == environment["OMP_NUM_THREADS"] == "1"
    assert "intra_op_parallelism_threads=1" in environment["XLA_FLAGS"]
    assert "MALLOC_TRIM_THRESHOLD_" not in environment


# -- a pair of files -------------------------------------------------------------------------------


def labelled(atoms):
    atoms.calc = LennardJones(sigma=2.2, epsilon=1.0, rc=3.0, smooth=True)
    results = dict(energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def write(path, symbol, n, shift=0):
    frames = [bulk(symbol, cubic=True) for _ in range(n)]
    for i, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=i + shift)
    ase.io.write(path, [labelled(atoms) for atoms in frames])
    return path


@pytest.fixture
def pair(tmp_path):
    return write(tmp_path / "si.extxyz", "Si", 4), write(tmp_path / "ge.extxyz", "Ge", 10)


def test_a_pair_makes_each_task_once(pair):
    tasks = sweep.pair(*pair, [4, 2, 4], seeds=2, steps=10)
    found = [(task["method"], task["n"], task["seed"]) for task in tasks]
    assert found[0] == ("source", 4, 0) and len(set(found)) == len(found) == 1 + 2 * 2 * 2
    assert set(found[1:]) == {
        (m, n, s) for m in ("scratch", "transfer") for n in (2, 4) for s in (0, 1)
    }
    for task in tasks:
        assert (task["elements"], task["element"], task["test"]) == (["Si", "Ge"], "Ge", 2)
        assert (task["source"], task["target"]) == ("si.extxyz", "ge.extxyz")
    assert json.loads(json.dumps(tasks)) == tasks


def test_other_data_make_other_tasks(pair, tmp_path):
    """The content counts, not the place."""
    source, target = pair
    before = sweep.pair(source, target, [2], 1)
    (tmp_path / "elsewhere").mkdir()
    moved = [path.rename(tmp_path / "elsewhere" / path.name) for path in pair]
    assert sweep.pair(*moved, [2], 1) == before
    after = sweep.pair(moved[0], write(target, "Ge", 10, shift=1), [2], 1)
    assert not any(a.items() <= b.items() for a, b in zip(before, after))


@pytest.mark.parametrize(
    "change, sentence",
    [
        (dict(sizes=[9]), "there are 4 and 10 structures; .* 9 beside the 2 that are held out"),
        (dict(sizes=[]), "sizes, seeds and steps must be whole numbers of at least 1"),
        (dict(sizes=[0]), "sizes, seeds and steps must be"),
        (dict(sizes=[10.5]), "sizes, seeds and steps must be"),
        (dict(seeds=2.0), "sizes, seeds and steps must be"),
        (dict(steps=0), "sizes, seeds and steps must be"),
        (dict(seeds=0), "sizes, seeds and steps must be"),
        (dict(preset="huge"), "preset must be one of"),
        (dict(target="missing.extxyz"), "missing.extxyz does not exist"),
        (dict(target="same"), "si.extxyz and .*si.extxyz hold the same"),
        (dict(target="three"), "may hold one element that .* does not, not Ge and O"),
        (dict(source="one"), "there are 1 and 10 structures; .* must hold at least 2"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(pair, tmp_path, change, sentence):
    files = dict(
        same=pair[0], one=write(tmp_path / "one.extxyz", "Si", 1), three=tmp_path / "three.extxyz"
    )
    oxide = Atoms("SiGeO", [(0, 0, 0), (0, 0, 2), (0, 2, 0)])
    ase.io.write(files["three"], [labelled(oxide)] * 4)
    arguments = dict(source=pair[0], target=pair[1], sizes=[2], seeds=1) | change
    for name in ("source", "target"):
        arguments[name] = files.get(arguments[name], arguments[name])
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        sweep.pair(**arguments)


def test_the_same_elements_may_stand_in_both_files(tmp_path):
    """Transfer between two kinds of labels of one element."""
    files = [write(tmp_path / f"{k}.extxyz", "Si", 5, shift=9 * k) for k in (0, 1)]
    task = sweep.pair(*files, [2], 1)[0]
    assert (task["elements"], task["element"]) == (["Si"], "Si")


def test_held_out_structures_take_part_in_errors_alone(pair, tmp_path, monkeypatch):
    """A pretended training that notes what it was given."""
    seen, tested, carried = [], [], []

    def fit(potential, train, valid=None, **settings):
        seen.append((train, valid, settings))
        carried.append("carried" in potential.info)
        yield SimpleNamespace(potential=potential, best=potential.replace(trained=("Si",)))

    def evaluate(potential, frames, shapes=3):
        tested.append(frames)
        return SimpleNamespace(force_mae=1.0, force_rmse=2.0, energy_rmse=3.0)

    monkeypatch.setattr(sweep, "fit", fit)
    monkeypatch.setattr(sweep.Potential, "evaluate", evaluate)
    start = lambda potential, *_, **options: potential.replace(info=dict(carried=True))
    monkeypatch.setattr(sweep.transfer, "start", start)
    perform = lambda task: sweep._perform(task, pair, tmp_path / "rows.jsonl")
    rows = [perform(task) for task in sweep.pair(*pair, [2, 8], seeds=2, steps=7)]

    key = lambda atoms: atoms.positions.tobytes()
    keys = lambda frames: {key(atoms) for atoms in frames}
    (train, valid, settings), *others = seen  # the source is trained once
    assert len(rows) == 9 and len(others) == 8
    assert (len(train), len(valid), settings["steps"]) == (3, 1, 35)
    assert keys(tested[0]) == keys(valid) and not keys(train) & keys(valid)
    test = keys(tested[1])
    assert len(test) == 2 and all(keys(frames) == test for frames in tested[1:])
    for (train, valid, settings), row in zip(others, rows[1:]):
        assert len(train) == row["n"] and valid is None and not keys(train) & test
        assert (settings["steps"], settings["seed"]) == (7, row["seed"])
    assert [row["force_mae"] for row in rows] == [1.0] * 9 and rows[0]["versions"]["jax"]
    assert carried == [row["method"] == "transfer" for row in rows] and sum(carried) == 4


def test_a_run_under_way_has_a_checkpoint_of_its_own(pair, tmp_path, monkeypatch):
    """Beside the rows, where all workers see it; removed when its row is written, not before."""
    checkpoints, kept = [], lambda: [*tmp_path.glob("rows.jsonl.*checkpoint")]

    def fit(potential, *_, checkpoint, **settings):
        checkpoint.touch()
        checkpoints.append(checkpoint)
        yield SimpleNamespace(potential=potential, best=potential)

    def execute(tasks, path, perform, *_):
        for task in tasks:
            row = json.loads(json.dumps(perform(task)))
            assert len(kept()) == (task["method"] != "source")  # which weights remain of
            yield row
            assert not kept()

    errors = SimpleNamespace(force_mae=1.0, force_rmse=2.0, energy_rmse=3.0)
    monkeypatch.setattr(sweep, "fit", fit)
    monkeypatch.setattr(sweep, "execute", execute)
    monkeypatch.setattr(sweep.Potential, "evaluate", lambda *_: errors)
    monkeypatch.setattr(sweep.transfer, "start", lambda potential, *_, **options: potential)
    tasks = sweep.pair(*pair, [2, 4], seeds=2, steps=7)
    rows = list(sweep.learn(tasks, pair, tmp_path / "rows.jsonl", 1))
    assert len(rows) == len(set(checkpoints)) == 9


def test_files_that_change_on_the_way_are_refused(pair, tmp_path):
    task = sweep.pair(*pair, [2], 1)[1]
    write(pair[1], "Ge", 10, shift=5)
    with pytest.raises(ValueError, match="ge.extxyz has changed since the sweep began"):
        sweep._perform(task, pair, tmp_path / "rows.jsonl")


def test_a_table_has_means_and_spreads_of_seeds():
    common = dict(target="ge.extxyz", test=2, steps=800)
    rows = [common | dict(method="source", n=4, force_mae=1.0)]
    for method, values in (("scratch", (90, 110)), ("transfer", (61, 63))):
        rows += [common | dict(method=method, n=10, force_mae=v) for v in values]
    rows += [common | dict(method="scratch", n=50, force_mae=70)]
    lines = sweep.table(rows).splitlines()
    assert lines[0] == "force MAE in meV/Å on 2 held-out structures of ge.extxyz, 800 steps"
    assert [re.split(r"\s{2,}", line) for line in lines[1:]] == [
        ["structures", "10", "50"],
        ["scratch", f"100 ± {np.std([90, 110], ddof=1):.0f}", "70"],
        ["transfer", "62 ± 1", "–"],
    ]
