"""Sweeps: a list of independent trainings, on as many cores or machines as there are.

A task is a dict that says all of one training; its row is the same dict with what came out.

    execute(tasks, path, perform)         the engine: any tasks, any function that makes a row
    pair(source, target, sizes, seeds)    the tasks of a learning curve of your own pair of elements
    learn(tasks, files, path)             performs these; table(rows) is the curve as text

`scratch` starts from random weights, `transfer` from a potential of the source, trained once.
Both have equal steps and no early stopping. Few steps favour transfer, which starts closer.
A fifth of the target's structures, the same for all, takes part in nothing but the errors reported.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from . import allocator, datasets, graph, transfer
from .dimenet import Config
from .potential import Potential
from .recipes import circumstances
from .train import Weights, fit

TEST, VALID = 0.2, 0.1  # fractions held out: of the target to test on, of the source to choose by
LONGER = 5  # steps of the source's training for each step of a row


def read(path: str | Path) -> list[dict]:
    """Rows of a file of JSON lines; a line that was cut off is left out."""
    out = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return out


def found(tasks: Iterable[dict], path: str | Path) -> list[dict | None]:
    """The row of each task in a file, one that has all the task's items; None where it has none."""
    rows = read(path) if Path(path).is_file() else []
    plain = json.loads(json.dumps(list(tasks)))  # as rows have them: a tuple is a list
    return [next((row for row in rows if task.items() <= row.items()), None) for task in plain]


def execute(
    tasks: list[dict], path: Path, perform: Callable, workers: int = 2, scheduler: str | None = None
) -> Iterator[dict]:
    """Perform the tasks that a file holds no row of; yields each row when it is written.

    A worker that dies loses its own task alone, which another one begins anew.

    Args:
        tasks: dicts of what JSON can write.
        path: file of rows, appended to.
        perform: makes the row of a task.
        workers: processes of one thread each, on this machine.
        scheduler: address of a running dask scheduler instead, such as "tcp://node1:8786".

    Raises:
        RuntimeError: tasks failed; raised when all others are done.
    """
    try:
        import dask
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise ImportError('sweeps need dask: pip install "tlmlp[sweep]"') from None
    path = Path(path)
    todo = [task for task, row in zip(tasks, found(tasks, path)) if row is None]
    if not todo:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_off = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    environment = _environment(path.parent)
    local = partial(LocalCluster, threads_per_worker=1, dashboard_address=":0", env=environment)
    settings: dict[str, Any] = {"distributed.scheduler.allowed-failures": 3}
    settings["distributed.nanny.pre-spawn-environ"] = environment  # in place of dask's own
    failed: list[str] = []
    with dask.config.set(settings), ExitStack() as stack:
        cluster = scheduler or stack.enter_context(local(n_workers=min(workers, len(todo))))
        client = stack.enter_context(Client(cluster))
        file = stack.enter_context(path.open("a", encoding="utf-8"))
        file.write("\n" * cut_off)  # what follows a line that was cut off starts a new one
        submit = partial(client.submit, perform, pure=False)
        for future in as_completed([submit(task, priority=-i) for i, task in enumerate(todo)]):
            if future.status == "error":
                failed.append(repr(future.exception()))
                continue
            row = future.result()
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
            future.release()
            yield row
    if failed:
        words = f"{len(failed)} of {len(todo)} runs failed, the first with {failed[0]}"
        raise RuntimeError(f"{words}; the others are in {path}")


def _environment(folder: Path) -> dict[str, str]:
    """A worker's: one thread, one cache of compiled programs for all, no memory mapped anew.

    It replaces dask's, whose MALLOC_TRIM_THRESHOLD_ makes each step map memory anew, and what this
    process has set for itself.
    """
    flags = " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + flags,
        "NPROC": "1",  # of XLA's pool, which the flags leave at one thread a core
        "OMP_NUM_THREADS": "1",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get(
            "JAX_COMPILATION_CACHE_DIR", str(folder.resolve() / ".jax")
        ),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        "TF_CPP_MIN_LOG_LEVEL": "3",  # XLA warns of two features of the CPU at each read of it
    }


def pair(
    source: Path,
    target: Path,
    sizes: list[int],
    seeds: int,
    steps: int = 800,
    preset: str = "course",
) -> list[dict]:
    """Tasks of a learning curve. They name what is in the files: rows of other data never mix in.

    Args:
        source: file of structures with energies and forces; any elements, any cells.
        target: likewise; it may hold one element that the source does not.
        sizes: numbers of the target's structures to train on.
        seeds: how many choices and orders of structures, and random weights of scratch.
        steps: gradient steps of scratch and transfer; the source has five times as many.
        preset: of the network, "course" or "paper".

    Raises:
        ValueError: a file or a setting will not do. Nothing has been trained yet.
    """
    Config(preset)  # raises for another
    if not sizes or min(*sizes, seeds, steps) < 1:
        raise ValueError("sizes, seeds and steps must be whole numbers of at least 1")
    old, new = datasets.read(source), datasets.read(target)
    known, wanted = ({e for a in part for e in a.get_chemical_symbols()} for part in (old, new))
    added, test = sorted(wanted - known), max(1, round(TEST * len(new)))
    if len(added) > 1:
        words = f"{target} may hold one element that {source} does not"
        raise ValueError(f"{words}, not {' and '.join(added)}")
    if len(old) < 2 or max(sizes) > len(new) - test:
        raise ValueError(
            f"there are {len(old)} and {len(new)} structures; {source} must hold at least 2, and "
            f"{target} {max(sizes)} beside the {test} that are held out"
        )
    data: dict[str, Any] = dict(element=(added or sorted(wanted))[0], test=test, preset=preset)
    data |= dict(elements=[*sorted(known), *added], source_steps=LONGER * steps)
    for name, path in dict(source=source, target=target).items():
        data |= {name: path.name, f"{name}_bytes": path.stat().st_size}
        data[f"{name}_sha256"] = _sha256(path)
    if data["source_sha256"] == data["target_sha256"]:
        raise ValueError(f"{source} and {target} hold the same; transfer needs two sets of data")
    return [data | dict(method="source", n=len(old), seed=0)] + [
        data | dict(method=method, n=n, seed=seed, steps=steps)
        for seed in range(seeds)
        for n in sorted(set(sizes))
        for method in ("scratch", "transfer")
    ]


def learn(
    tasks: list[dict], files: Sequence[Path], path: Path, workers: int, scheduler: str | None = None
) -> Iterator[dict]:
    """`execute` for the tasks of `pair` and its two files.

    All workers must see the files, and the folder of `path`, which keeps the source's potential.
    """
    perform = partial(_perform, files=[file.resolve() for file in files], path=path.resolve())
    for late in (False, True):  # transfer starts from what the first part has trained
        part = [task for task in tasks if (task["method"] == "transfer") == late]
        yield from execute(part, path, perform, workers, scheduler)


def table(rows: Iterable[dict]) -> str:
    """Rows of one `pair` as text: force MAE in meV/Å, mean ± standard deviation over seeds."""
    rows = [row for row in rows if row["method"] != "source"]
    sizes, r = sorted({row["n"] for row in rows}), rows[0]
    where = f"{r['test']} held-out structures of {r['target']}, {r['steps']} steps"
    lines = [f"force MAE in meV/Å on {where}", "structures  " + "".join(f"{n:14}" for n in sizes)]
    for method in ("scratch", "transfer"):
        lines.append(f"{method:12}")
        for n in sizes:
            values = [r["force_mae"] for r in rows if (r["method"], r["n"]) == (method, n)]
            mean = f"{np.mean(values):.0f}" if values else "–"
            spread = f" ± {np.std(values, ddof=1):.0f}" if len(values) > 1 else ""
            lines[-1] += f"{mean + spread:>14}"
    return "\n".join(lines)


def _perform(task: dict, files: Sequence[Path], path: Path) -> dict:
    """The row of a task of `pair`."""
    allocator.prepare()
    started, elements = time.perf_counter(), tuple(task["elements"])
    if task["method"] == "source":
        potential, test = _source(task, files[0], path)
        errors = potential.evaluate(test)
    else:
        frames, shapes = _data(files[1], task["target_sha256"], elements, task["preset"])
        train, test = datasets.split(frames, task["test"])
        some = datasets.subset(train, task["n"], task["seed"])
        if task["method"] == "scratch":
            potential = Potential.create(task["preset"], elements, task["seed"])
        else:
            start, _ = _source(task, files[0], path)
            potential = transfer.start(start, task["element"], some, shapes=shapes)
        settings = _loss(some) | dict(steps=task["steps"], seed=task["seed"], average=0.99)
        *_, last = fit(potential, some, report_every=task["steps"], shapes=shapes, **settings)
        errors = last.potential.evaluate(test, shapes)
    names = ("force_mae", "force_rmse", "energy_rmse")
    reached = {name: round(float(getattr(errors, name)), 2) for name in names}
    return task | reached | circumstances(started, "tlmlp")


def _source(task: dict, file: Path, path: Path) -> tuple[Potential, list[Atoms]]:
    """(the source's potential, structures that chose it); trained where no file holds it yet."""
    said = {key: task[key] for key in ("source_sha256", "source_steps", "preset", "elements")}
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    weights = path.with_name(f"{path.name}.source-{digest[:8]}.safetensors")
    frames, shapes = _data(file, task["source_sha256"], tuple(task["elements"]), task["preset"])
    train, valid = datasets.split(frames, max(1, round(VALID * len(frames))))
    if not weights.is_file():
        potential = Potential.create(task["preset"], task["elements"])
        checkpoint = weights.with_name(weights.name + ".checkpoint")
        settings = _loss(train) | dict(steps=task["source_steps"], checkpoint=checkpoint)
        *_, last = fit(potential, train, valid, shapes=shapes, **settings)
        last.best.replace(info=said | dict(source=task["source"])).save(weights)
        checkpoint.unlink(missing_ok=True)
    return Potential.load(weights), valid


def _loss(frames: list[Atoms]) -> dict[str, Any]:
    """Weights of the course; those of stress count where there is one."""
    stress = any("stress" in atoms.calc.results for atoms in frames)
    weights = Weights(energy=2.0, stress=0.01 * stress)
    return dict(weights=weights, final_weights=Weights(energy=50.0, stress=0.1 * stress))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=2)
def _data(path: Path, sha256: str, elements: tuple, preset: str) -> tuple[list[Atoms], list]:
    """(structures of a file, padded shapes that hold all, so that trainings share one program)."""
    if _sha256(path) != sha256:
        raise ValueError(f"{path} has changed since the sweep began; give the same command again")
    frames = datasets.read(path)
    return frames, graph.shapes_of(frames, elements, Config(preset).cutoff)
