"""A LAMMPS script as a process of its own, and its thermo output while it runs."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..refusal import is_whole, refuse

WORDS = 400  # characters of the end of the output, in an error


def thermo(
    script: str | os.PathLike,
    ranks: int = 1,
    command: Sequence[str] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[dict[str, float]]:
    """Run a script and yield each line of its thermo output, {"Step": 100.0, "Temp": 300.0, ...}.

    `thermo_modify flush yes` in the script lets each line through at once. The process runs in the
    folder of the script, on so many `ranks` of MPI; it ends when the generator is closed, and when
    `stop` is set. command: what runs a script [default: `tlmlp lammps`].

    Raises ValueError for a script that does not exist, RuntimeError with the last words of a run
    that failed.
    """
    path = Path(script).resolve()
    refuse(not path.is_file(), f"there is no script {script}")
    refuse(not is_whole(ranks), f"ranks must be 1 or more, not {ranks!r}")
    alone = list(command or (sys.executable, "-m", "tlmlp.cli", "lammps"))
    bound = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    folders = str(Path(sys.executable).parent), os.environ.get("PATH", "")  # mpirun of this venv
    settings = os.environ | dict(PATH=os.pathsep.join(folders), OMP_NUM_THREADS="1")
    with subprocess.Popen(
        [*bound, *alone, str(path)],
        cwd=path.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=settings,
    ) as process:
        if stop is not None:  # also while LAMMPS is silent
            threading.Thread(target=_end, args=(stop, process), daemon=True).start()
        names: list[str] = []
        said = ""
        try:
            for line in process.stdout or ():
                said, words = (said + line)[-WORDS:], line.split()
                if words[:1] == ["Step"]:
                    names = words
                elif names and len(words) == len(names):
                    with suppress(ValueError):  # other words between the lines of the table
                        yield dict(zip(names, map(float, words)))
        except BaseException:  # closed early, or interrupted
            process.terminate()
            raise
    failed = process.returncode and not (stop and stop.is_set())
    refuse(failed, f"LAMMPS ended with an error: {said.strip()}", RuntimeError)


def _end(stop: threading.Event, process: subprocess.Popen) -> None:
    stop.wait()
    process.terminate()
