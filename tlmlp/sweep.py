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
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from ase import Atoms

from . import allocator, cluster, datasets, graph, transfer
from .dimenet import Config
from .frames import apart, symbols_of
from .potential import Potential
from .recipes import circumstances
from .refusal import is_whole, refuse
from .settings import Weights
from .train import fit

TEST, VALID = 0.2, 0.1  # fractions held out: of the target to test on, of the source to choose by
LONGER = 5  # steps of the source's training for each step of a row
SOURCE = ("source_sha256", "source_steps", "preset", "elements", "keys")  # what one depends on
RUN = ("target_sha256", "test", "method", "n", "seed", "steps")  # and what a run does beside these
BEGIN, END = Weights(energy=2.0, stress=0.01), Weights(energy=50.0, stress=0.1)  # of the loss


def read(path: str | Path) -> list[dict]:
    """Rows of a file of JSON lines; a line that was cut off is left out."""
    out = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            out.append(json.loads(line))
    return out


def check_rows(path: Path) -> None:
    """ValueError for a file that holds anything but rows: it is never appended to."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = all(line.startswith('{"') for line in lines if line)
    words = f"{path} exists and is no file of rows: give another name"
    refuse(not rows or not all("method" in row for row in read(path)), words)


def found(tasks: Iterable[dict], path: str | Path) -> list[dict | None]:
    """The row of each task in a file, one that has all the task's items; None where it has none."""
    rows = read(path) if Path(path).is_file() else []
    plain = json.loads(json.dumps(list(tasks)))  # as rows have them: a tuple is a list
    return [next((row for row in rows if task.items() <= row.items()), None) for task in plain]


def execute(
    tasks: list[dict], path: Path, perform: Callable, workers: int = 2, scheduler: str | None = None
) -> Iterator[dict]:
    """Perform the tasks that a file holds no row of; yields each row when it is written.

    Tasks are dicts of what JSON can write; `perform` makes the row of one. `path` is appended to.
    `workers` are processes of one thread each, here; `scheduler` is a running dask scheduler
    instead (cluster.connect). A worker that dies loses its own task alone, which another performs.
    Raises RuntimeError for tasks that failed, when all others are done, and at once where the
    scheduler is lost; ValueError for bad workers or no scheduler, OSError where none answers.
    """
    words = f"workers must be a whole number of at least 1, not {workers!r}"
    refuse(not is_whole(workers), words)
    todo = [task for task, row in zip(tasks, found(tasks, path)) if row is None]
    if not todo:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_off = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    failed: list[str] = []
    processes = cluster.connect(min(workers, len(todo)), scheduler, path.parent)
    with processes as client, path.open("a", encoding="utf-8") as file:
        from distributed import as_completed

        file.write("\n" * cut_off)  # what follows a line that was cut off starts a new one
        submit = partial(client.submit, cluster.checked(perform), pure=False)
        for future in as_completed([submit(task, priority=-i) for i, task in enumerate(todo)]):
            if future.status == "cancelled":
                words = f"the dask scheduler was lost; rows are in {path}"
                raise RuntimeError(f"{words}, and the same command does the rest")
            if future.status == "error":
                if isinstance(error := future.exception(), ImportError):
                    raise error  # other versions, which spoil each task that they get
                failed.append(repr(error))
                continue
            file.write(json.dumps(row := future.result()) + "\n")
            file.flush()
            os.fsync(file.fileno())
            yield row
    words = f"{len(failed)} of {len(todo)} runs failed, the first with {''.join(failed[:1])}"
    refuse(failed, f"{words}; the others are in {path}", RuntimeError)


def pair(
    source: Path,
    target: Path,
    sizes: list,
    seeds: int,
    steps: int = 800,
    preset: str = "course",
    keys: dict[str, str] | None = None,
) -> list[dict]:
    """Tasks of a learning curve. They name what is in the files: rows of other data never mix in.

    `source` and `target` are files of structures with energies and forces, of any elements and
    cells; the target may hold one element that the source does not. `sizes` are numbers of its
    structures to train on; `seeds` counts choices and orders of them, and random weights of
    scratch. The source has five times the `steps` of scratch and transfer. `preset` of the network
    is "course" or "paper", `keys` are arguments of datasets.read for labels under other names.
    Isolated atoms are left out. Raises ValueError where one of these will not do, and
    FileNotFoundError where there is no file.
    """
    Config(preset)  # raises for another
    if not sizes or not all(map(is_whole, (*sizes, seeds, steps))):
        raise ValueError("sizes, seeds and steps must be whole numbers of at least 1")
    old, new = (_bound(path, keys) for path in (source, target))
    known, wanted = map(symbols_of, (old, new))
    added, test = sorted(wanted - known), max(1, round(TEST * len(new)))
    words = f"{target} may hold one element that {source} does not, not {' and '.join(added)}"
    refuse(len(added) > 1, words)
    words = f"there are {len(old)} and {len(new)} structures; {source} must hold at least 2, and "
    words += f"{target} {max(sizes)} beside the {test} that are held out"
    refuse(len(old) < 2 or max(sizes) > len(new) - test, words)
    datasets.split(new, test)  # warns of structures that are on both sides
    data: dict[str, Any] = dict(element=(added or sorted(wanted))[0], test=test, preset=preset)
    data |= dict(elements=[*sorted(known), *added], source_steps=LONGER * steps)
    for name, path in dict(source=source, target=target).items():
        data |= {name: path.name, f"{name}_sha256": pooch.file_hash(str(path))}
    data |= dict(keys=keys) if keys else {}
    if data["source_sha256"] == data["target_sha256"]:
        raise ValueError(f"{source} and {target} hold the same; transfer needs two sets of data")
    each = itertools.product(range(seeds), sorted(set(sizes)), ("scratch", "transfer"))
    some = [data | dict(method=method, n=n, seed=seed, steps=steps) for seed, n, method in each]
    return [data | dict(method="source", n=len(old), seed=0), *some]


def learn(
    tasks: list[dict], files: Sequence[Path], path: Path, workers: int, scheduler: str | None = None
) -> Iterator[dict]:
    """`execute` for the tasks of `pair` and its two files.

    All workers must see the files, and the folder of `path`, which keeps the source's potential and
    checkpoints of what is under way: where a worker dies, another goes on from there.
    """
    perform = partial(_perform, files=[file.resolve() for file in files], path=path.resolve())
    for late in (False, True):  # transfer starts from what the first part has trained
        part = [task for task in tasks if (task["method"] == "transfer") == late]
        for row in execute(part, path, perform, workers, scheduler):
            _checkpoint(row, path).unlink(missing_ok=True)  # not before its row is written
            yield row


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
        frames, shapes = _data(files[1], task["target_sha256"], elements, task)
        train, test = datasets.split(frames, task["test"])
        some = datasets.subset(train, task["n"], task["seed"])
        if task["method"] == "scratch":
            potential = Potential.create(task["preset"], elements, task["seed"])
        else:
            start, _ = _source(task, files[0], path)
            potential = transfer.start(start, task["element"], some, shapes=shapes)
        settings = _loss(some) | dict(steps=task["steps"], seed=task["seed"], average=0.99)
        settings |= dict(checkpoint=_checkpoint(task, path))
        *_, last = fit(potential, some, report_every=task["steps"], shapes=shapes, **settings)
        errors = last.potential.evaluate(test, shapes)
    names = ("force_mae", "force_rmse", "energy_rmse")
    reached = {name: round(float(getattr(errors, name)), 2) for name in names}
    return task | reached | circumstances(started, "tlmlp")


def _source(task: dict, file: Path, path: Path) -> tuple[Potential, list[Atoms]]:
    """(the source's potential, structures that chose it); trained where no file holds it yet."""
    said, digest = _said(task, SOURCE)
    weights = path.with_name(f"{path.name}.source-{digest}.safetensors")
    frames, shapes = _data(file, task["source_sha256"], tuple(task["elements"]), task)
    train, valid = datasets.split(frames, max(1, round(VALID * len(frames))))
    if not weights.is_file():
        checkpoint = weights.with_name(weights.name + ".checkpoint")
        how = _loss(train) | dict(steps=task["source_steps"], checkpoint=checkpoint, shapes=shapes)
        *_, last = fit(Potential.create(task["preset"], task["elements"]), train, valid, **how)
        last.best.replace(info=said | dict(source=task["source"])).save(weights)
        checkpoint.unlink(missing_ok=True)
    return Potential.load(weights), valid


def _checkpoint(task: dict, path: Path) -> Path:
    """The file that a training of `pair` is kept in while it is under way."""
    return path.with_name(f"{path.name}.run-{_said(task, SOURCE + RUN)[1]}.checkpoint")


def _said(task: dict, names: tuple) -> tuple[dict, str]:
    """(these items of a task or its row, eight letters that stand for them)."""
    said = {name: task[name] for name in names if name in task}
    return said, hashlib.sha256(json.dumps(said).encode()).hexdigest()[:8]


def _loss(frames: list[Atoms]) -> dict[str, Any]:
    """Weights of the loss; those of stress count where there is one."""
    stress = any("stress" in atoms.calc.results for atoms in frames)
    begin, end = (w if stress else w._replace(stress=0.0) for w in (BEGIN, END))
    return dict(weights=begin, final_weights=end)


def _data(path: Path, sha256: str, elements: tuple, task: dict) -> tuple[list[Atoms], list]:
    """(structures of a file, padded shapes that hold all, so that trainings share one program)."""
    return _read_once(path, sha256, elements, task["preset"], tuple(task.get("keys", {}).items()))


@lru_cache(maxsize=2)
def _read_once(path, sha256, elements, preset, keys):
    words = f"{path} has changed since the sweep began; give the same command again"
    refuse(pooch.file_hash(str(path)) != sha256, words)
    frames = _bound(path, dict(keys))
    return frames, graph.shapes_of(frames, elements, Config(preset).cutoff)


def _bound(path: Path, keys: dict[str, Any] | None) -> list[Atoms]:
    """The structures of a file but for isolated atoms, which belong to neither side of a test."""
    return apart(datasets.read(path, **keys or {}))[0]
