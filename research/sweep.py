"""Perform the runs of a table of the course, on as many cores or machines as there are.

    python -m research.sweep learning-curve --workers 8          in the folder of the repository
    python -m research.sweep stability --scheduler tcp://node1:8786

Rows are written as they come. Stopped, the same command does the rest; a training that was under
way goes on from its checkpoint.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import cloudpickle
import typer
from tqdm import tqdm

from tlmlp import sweep

from . import rows
from .tables import TABLES, table as runs_of

NAMES = ", ".join(TABLES)


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
    """Perform all runs of a table of the course; stopped, the same command does the rest."""
    out = out or Path(f"{table}.jsonl")
    folder = (checkpoints or out.with_name(f"{out.name}.running")).resolve()
    # Workers of a scheduler elsewhere cannot import research.
    for module in (rows, *rows.BY_VALUE):
        cloudpickle.register_pickle_by_value(module)
    try:
        tasks = [run.as_dict() for run in runs_of(table) if source in (None, run.source)]
        done = sum(row is not None for row in sweep.found(tasks, out))
        perform = partial(rows.perform, table, folder=folder)
        with tqdm(
            total=len(tasks), initial=done, desc=table, unit="run", dynamic_ncols=True
        ) as bar:
            for row in sweep.execute(tasks, out, perform, workers, scheduler):
                error = f": {row['force_mae']:.0f} meV/Å" if row["force_mae"] else ""
                words = f"{row['source']} {row['method']} N={row['n'] or 'all'}{error}"
                bar.set_postfix_str(words)
                bar.update()
                rows.forget(rows.checkpoint_of(row, folder))  # not before its row is written
        with suppress(OSError):  # none was written, or one is left of a run that failed
            folder.rmdir()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        typer.secho(f"research.sweep: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
