"""Sweeps on a cluster: a scheduler and workers that are processes of their own, and are killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import cloudpickle
import dask
import pytest
from conftest import ROOT
from distributed import Client
from test_train import TINY, labelled

import tlmlp
from tlmlp import cluster, sweep

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test
WHOLE = [10, 20, 30, 40, 50, 60]  # steps that a run reports, each once


@pytest.fixture
def start(tmp_path):
    """start("scheduler") and start("worker", ...): processes that end with the test."""
    begun = []

    def start(what, *options, file="cluster.json", **environment):
        own = ("--port", "0") if what == "scheduler" else ("--nthreads", "1", *options)
        command = [sys.executable, "-m", "dask", what, "--no-dashboard", "--host", "127.0.0.1"]
        command += ["--scheduler-file", str(tmp_path / file), *own]
        with (tmp_path / f"{len(begun)}-{what}.log").open("w") as log:
            how = dict(env=os.environ | environment, cwd=tmp_path, stdout=log, stderr=log)
            begun.append(subprocess.Popen(command, **how))
        until((tmp_path / file).exists)
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait(60)


@pytest.fixture
def begin(start, tmp_path):
    """begin(workers) -> (process, file) of a scheduler to which these have come."""

    def begin(workers, name="cluster.json", **environment):
        scheduler = start("scheduler", file=name)
        for _ in range(workers):
            start("worker", file=name, **environment)
        with Client(scheduler_file=str(tmp_path / name)) as client:
            client.wait_for_workers(workers, timeout=120)
        return scheduler, str(tmp_path / name)

    return begin


def until(true):
    """Wait for a state, for two minutes at most."""
    for _ in range(2400):
        if value := true():
            return value
        time.sleep(0.05)
    raise AssertionError("it never came")


def tasks(n):
    return [dict(method="scratch", seed=seed) for seed in range(n)]


# -- killed ----------------------------------------------------------------------------------------


def training(folder, slow=None):
    """A perform that trains and notes who reports which step; a slow one stops once, at step 30."""
    potential, frames = tlmlp.Potential.create(TINY, ("Si",)), labelled(4)

    def perform(task):
        note = f"{folder}/{task['seed']}.log"
        hangs = task["seed"] == slow and not os.path.exists(note)
        how = dict(steps=60, report_every=10, validate_every=10, seed=task["seed"])
        checkpoint = f"{folder}/{task['seed']}.checkpoint"
        for p in tlmlp.fit(potential, frames, checkpoint=checkpoint, **how):
            with open(note, "a") as file:
                file.write(json.dumps([p.step, os.getpid(), os.getppid()]) + "\n")
            if hangs and p.step == 30:
                time.sleep(600)
        return task | {"force_mae": p.force_mae}

    return perform


def notes(folder, seed):
    """[step, process, its parent] of the reports of a run."""
    path = folder / f"{seed}.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def in_order(rows):
    return sorted(rows, key=lambda row: row["seed"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Rows of three trainings."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return in_order(sweep.execute(tasks(3), folder / "rows.jsonl", training(folder), workers=1))


@pytest.mark.parametrize("who", ["worker", "nanny"])
def test_a_killed_process_loses_nothing_before_its_checkpoint(begin, tmp_path, undisturbed, who):
    """By force, after 30 steps. Another goes on from there, with the same numbers."""
    _, file = begin(2)
    killed = []

    def kill():
        until(lambda: len(notes(tmp_path, 1)) == 3)
        step, worker, nanny = notes(tmp_path, 1)[-1]
        killed.append(worker)
        os.kill(worker if who == "worker" else nanny, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    arguments = tasks(3), tmp_path / "rows.jsonl", training(tmp_path, slow=1)
    rows = list(sweep.execute(*arguments, scheduler=file))
    assert in_order(rows) == in_order(sweep.read(arguments[1])) == undisturbed
    steps, processes, _ = zip(*notes(tmp_path, 1))
    assert steps == tuple(WHOLE)
    assert set(processes[:3]) == set(killed) and not set(processes[3:]) & set(killed)


def test_a_killed_scheduler_loses_nothing_before_checkpoints(begin, tmp_path, undisturbed):
    """Another scheduler, another worker, the same call: finished runs are not repeated."""
    scheduler, file = begin(2)
    path, perform = tmp_path / "rows.jsonl", training(tmp_path, slow=2)
    execute = lambda file: list(sweep.execute(tasks(3), path, perform, scheduler=file))

    def kill():
        until(lambda: len(notes(tmp_path, 2)) == 3 and path.exists() and len(sweep.read(path)) == 2)
        scheduler.kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(RuntimeError, match="scheduler was lost; .* the same command does the rest"):
        execute(file)
    assert in_order(sweep.read(path)) == undisturbed[:2]
    assert execute(begin(1, "other.json")[1]) == undisturbed[2:]
    assert [[note[0] for note in notes(tmp_path, seed)] for seed in range(3)] == [WHOLE] * 3


# -- settings and versions -------------------------------------------------------------------------


def looks(task):
    return task | dict(environment=dict(os.environ), process=os.getpid())


def test_workers_elsewhere_have_the_settings_of_those_here(start, begin, tmp_path, monkeypatch):
    """Also one that comes later; and a second sweep does not start them anew."""
    monkeypatch.setenv("TLMLP_COMPILATION_CACHE", "off")
    _, file = begin(1, XLA_FLAGS="--xla_cpu_multi_thread_eigen=true")
    sweeps = [
        list(sweep.execute(tasks(1), tmp_path / f"{k}.jsonl", looks, scheduler=file)) for k in "ab"
    ]
    (first,), (second,) = sweeps
    assert first["process"] == second["process"]
    with cluster.connect(1, file, tmp_path) as client:
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures) > 3
        start("worker")
        client.wait_for_workers(2, timeout=120)
        environments = [first["environment"], *client.run(lambda: dict(os.environ)).values()]
    (here,) = sweep.execute(tasks(1), tmp_path / "here.jsonl", looks)
    names = "XLA_FLAGS OMP_NUM_THREADS NPROC TLMLP_COMPILATION_CACHE".split()
    names += ["MALLOC_TRIM_THRESHOLD_", "JAX_COMPILATION_CACHE_DIR"]
    for environment in environments:
        for name in names:
            assert environment.get(name) == here["environment"].get(name), name
    assert "MALLOC_TRIM_THRESHOLD_" not in here["environment"]
    assert here["environment"]["TLMLP_COMPILATION_CACHE"] == "off"
    assert "intra_op_parallelism_threads=1" in here["environment"]["XLA_FLAGS"]


@pytest.fixture
def other_jax(tmp_path):
    """A folder in which jax has another version, for importlib.metadata."""
    folder = tmp_path / "packages" / "jax-0.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: jax\nVersion: 0.1\n")
    paths = [str(folder.parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return dict(PYTHONPATH=os.pathsep.join(paths))


WORDS = r"the worker at tcp://[\d.:]+ has jax 0.1, and here is jax \d.*all need the same versions"


def test_other_versions_are_named(begin, tmp_path, other_jax):
    _, file = begin(1, **other_jax)
    path = tmp_path / "rows.jsonl"
    with pytest.raises(ImportError, match=WORDS):
        list(sweep.execute(tasks(1), path, looks, scheduler=file))
    assert not path.exists()


def test_other_versions_are_named_when_they_come_late(start, begin, tmp_path, other_jax):
    _, file = begin(1)
    busy, folder = tmp_path / "busy", str(tmp_path)

    def perform(task):
        open(f"{folder}/busy", "w").close()
        time.sleep(600)

    def late():
        until(busy.exists)
        start("worker", **other_jax)

    thread = threading.Thread(target=late, daemon=True)
    thread.start()
    with pytest.raises(ImportError, match=WORDS):
        list(sweep.execute(tasks(9), tmp_path / "rows.jsonl", perform, scheduler=file))
    thread.join()


@pytest.mark.parametrize("scheduler", ["node1", "missing.json", "", "tcp://node1", "rows.jsonl"])
def test_what_is_no_scheduler_is_one_sentence(tmp_path, monkeypatch, scheduler):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"method": "scratch"}')
    words = "a scheduler is an address such as tcp://node1:8786, or the file .*, not "
    with pytest.raises(ValueError, match=words + f"'{scheduler}'"):
        list(sweep.execute(tasks(1), tmp_path / "own.jsonl", looks, scheduler=scheduler))


def test_a_scheduler_that_does_not_answer_is_named(tmp_path):
    with socket.socket() as held, dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        held.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        (tmp_path / "cluster.json").write_text(json.dumps(dict(address=address)))
        with pytest.raises(OSError, match=f"no dask scheduler answers at {address}: is it"):
            list(sweep.execute(tasks(1), tmp_path / "a", looks, 1, str(tmp_path / "cluster.json")))


def test_what_makes_runs_slow_is_said(start, tmp_path):
    """No worker yet; then one with two threads and without a nanny."""
    start("scheduler")
    file = str(tmp_path / "cluster.json")
    with pytest.warns(UserWarning, match="no worker has come to tcp://.* yet"):
        with cluster.connect(1, file, tmp_path) as client:
            start("worker", "--nthreads", "2", "--no-nanny")
            client.wait_for_workers(1, timeout=120)
    with pytest.warns(UserWarning, match="some workers have no nanny or several threads"):
        with cluster.connect(1, file, tmp_path):
            pass
