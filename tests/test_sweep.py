"""Sweeps: every run once, whatever dies on the way; and a run that says what it did."""

import json
import os
import signal
import sys
import threading
import time

import cloudpickle
import numpy as np
import pytest
from conftest import ROOT

from tlmlp import Potential, datasets, elements, sources, sweep, transfer

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test

def runs(n):
    return [sweep.run(seed=seed) for seed in range(n)]


def pretend(folder, slow=None):
    """A perform that leaves a file for each attempt, and lets a run hang the first time."""

    def perform(run):
        attempts = len([name for name in os.listdir(folder) if name.startswith(f"{run['seed']}-")])
        with open(f"{folder}/{run['seed']}-{attempts}", "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60 if run["seed"] == slow and attempts == 0 else 0.1)
        return run | {"force_mae": 1.5}

    return perform


def attempts(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "attempts").mkdir()
    return tmp_path / "attempts"


def test_a_killed_worker_loses_its_own_run_alone(folder, tmp_path):
    """Two processes; the one that performs run 1 is killed by force, as a machine out of memory would."""
    killed = []

    def kill():
        while not (folder / "1-0").is_file() or not (folder / "1-0").read_text():
            time.sleep(0.02)
        killed.append(int((folder / "1-0").read_text()))
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    rows = list(
        sweep.execute(runs(6), tmp_path / "rows.jsonl", workers=2, perform=pretend(folder, slow=1))
    )
    assert killed and sorted(row["seed"] for row in rows) == [0, 1, 2, 3, 4, 5]
    assert sweep.read(tmp_path / "rows.jsonl") == rows
    assert attempts(folder) == ["0-0", "1-0", "1-1", "2-0", "3-0", "4-0", "5-0"]


def test_the_same_command_does_what_is_left(folder, tmp_path):
    path = tmp_path / "rows.jsonl"
    first = [run | {"force_mae": 2.0} for run in runs(2)]
    path.write_text(
        "".join(json.dumps(row) + "\n" for row in first) + '{"source": "mlearn", "cut of'
    )
    rows = list(sweep.execute(runs(4), path, workers=1, perform=pretend(folder)))
    assert [row["seed"] for row in rows] == [2, 3] and attempts(folder) == ["2-0", "3-0"]
    assert [row["seed"] for row in sweep.read(path)] == [0, 1, 2, 3]
    assert list(sweep.execute(runs(4), path, workers=1, perform=pretend(folder))) == []


def test_runs_that_fail_are_named_after_the_others_are_done(tmp_path):
    def fragile(run):
        if run["seed"] == 0:
            raise FloatingPointError("the loss stopped being a number")
        return run

    with pytest.raises(
        RuntimeError, match="1 of 3 runs failed, the first with .*stopped being a number"
    ):
        list(sweep.execute(runs(3), tmp_path / "rows.jsonl", workers=1, perform=fragile))
    assert sorted(row["seed"] for row in sweep.read(tmp_path / "rows.jsonl")) == [1, 2]
