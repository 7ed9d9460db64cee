"""Perform the runs of a table, on as many cores or machines as there are.

    python -m research.sweep learning-curve --workers 8          in the folder of the repository
    python -m research.sweep stability --scheduler tcp://node1:8786

Rows are written as they come. Stopped, the same command does the rest. A training of TABLES that
was under way goes on from its checkpoint; a task of OTHERS begins anew.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import cloudpickle
import typer
from tqdm import tqdm

from tlmlp import sweep
from tlmlp.course.runs import REPLAY, WEAK, Run
from tlmlp.refusal import refuse

from . import (
    alchemy,
    alloys,
    committee,
    distilled,
    diversity,
    one_more,
    oracle,
    other_pairs,
    rows,
    similarity,
    vacancy,
)
from .tables import TABLES, table as runs_of

# What is no list of a course's runs: the tasks, and what makes the row of one.
OWN = (alchemy, alloys, committee, distilled, diversity, one_more, oracle, other_pairs, vacancy)
name_of = lambda module: module.__name__.rpartition(".")[2].replace("_", "-")
OTHERS = {name_of(module): (module.tasks, module.perform) for module in OWN}
OTHERS |= dict(family=(similarity.family, similarity.family_row))
OTHERS |= dict(pairs=(similarity.pairs, similarity.pair_row))
BY_VALUE = (rows, *rows.BY_VALUE, *OWN, similarity)
NAMES = ", ".join([*TABLES, *OTHERS])
SAID = (
    "source",
    "target",
    "variant",
    "driver",
    "choice",
    "method",
    "n",
    "seed",
    "force_mae",
)  # of a row, if it has it


def tasks_of(runs: list[Run]) -> list[dict]:
    """Runs as dicts with equal fields, or the row of one would be taken for that of another."""
    tasks = [run.as_dict() for run in runs]
    there, plain = set().union(*tasks), REPLAY | WEAK
    return [{k: v for k, v in plain.items() if k in there} | task for task in tasks]


def main(
    table: Annotated[str, typer.Argument(help=NAMES)],
    out: Annotated[Path | None, typer.Option(help="file of rows [default: TABLE.jsonl]")] = None,
    workers: Annotated[int, typer.Option(help="processes of one thread each")] = 2,
    scheduler: Annotated[
        str | None,
        typer.Option(help="address or file of a dask scheduler instead of processes here"),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="only the runs on this data, such as stillinger-weber")
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="folder, seen by all workers, of runs under way [default: OUT.running]"),
    ] = None,
) -> None:
    """Perform all runs of a table; stopped, the same command does the rest."""
    out = out or Path(f"{table}.jsonl")
    folder = (checkpoints or out.with_name(f"{out.name}.running")).resolve()
    # Workers of a scheduler elsewhere need not import research, but for those named in cluster.md.
    for module in BY_VALUE:
        cloudpickle.register_pickle_by_value(module)
    try:
        if table in OTHERS:
            refuse(source, f"--source goes with {', '.join(TABLES)}, not with {table}")
            make, perform = OTHERS[table]
            tasks = make()
        else:
            tasks = tasks_of([run for run in runs_of(table) if source in (None, run.source)])
            perform = partial(rows.perform, table)
        perform = partial(perform, folder=folder)
        done = sum(row is not None for row in sweep.found(tasks, out))
        with tqdm(
            total=len(tasks), initial=done, desc=table, unit="run", dynamic_ncols=True
        ) as bar:
            for first in (True, False):  # sources of others' transfers come first
                part = [task for task in tasks if (task["method"] == "source") == first]
                for row in sweep.execute(part, out, perform, workers, scheduler):
                    said = ", ".join(f"{row[key]}" for key in SAID if row.get(key) is not None)
                    bar.set_postfix_str(said)
                    bar.update()
                    if table not in OTHERS:  # not before its row is written
                        rows.forget(rows.checkpoint_of(row, folder))
        with suppress(OSError):  # none was written, or one is left of a run that failed
            folder.rmdir()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        typer.secho(f"research.sweep: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
