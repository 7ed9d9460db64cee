"""A dask cluster for a sweep: processes of this machine, or workers of a scheduler elsewhere.

Their workers get one thread, memory that is kept (tlmlp.allocator) and one cache of compiled
programs; jax tells processors of another kind apart there. Elsewhere a nanny starts each worker,
and starts it again when it dies. A plugin takes the settings to all nannies, also to those that
come later. It travels by value: a scheduler need not have this library.
"""

import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import expanded

PACKAGES = ("tlmlp", "jax", "numpy")  # of one version each, or rows could not be compared
DEATHS = 100  # workers that a run may lose; dask says 3, but nodes are taken away and come back


@contextmanager
def connect(workers: int, scheduler: str | None, folder: Path) -> Iterator[Any]:
    """A distributed.Client of `workers` processes here, or of a `scheduler` elsewhere.

    `scheduler` is an address, or a file that `dask scheduler --scheduler-file` wrote. All see
    `folder`, which holds the cache of compiled programs. Raises ValueError for a `scheduler` that
    is neither, OSError for one that does not answer, ImportError for other PACKAGES there.
    """
    import dask  # here, because notebooks and trainings need none of it
    from distributed import Client, LocalCluster
    from distributed.utils import silence_logging_cmgr

    own = environment(folder if scheduler else None)
    if scheduler is None:
        settings = {"distributed.nanny.pre-spawn-environ": own}  # in place of dask's own
        how: dict[str, Any] = dict(threads_per_worker=1, dashboard_address=":0", env=own)
        quiet = silence_logging_cmgr(logging.ERROR, "distributed.nanny")  # of a slow end
        with dask.config.set(settings), quiet, LocalCluster(n_workers=workers, **how) as cluster:
            with Client(cluster) as client:
                yield client
        return
    address = address_of(scheduler)
    try:
        client = Client(address)
    except OSError:
        words = f"no dask scheduler answers at {address}"
        raise OSError(f"{words}: is it running, and can this machine reach it?") from None
    with silence_logging_cmgr(logging.CRITICAL, "distributed.client"), client:
        _check(client, address)
        client.register_plugin(_plugin(own))
        client.run_on_scheduler(_allow(DEATHS))
        yield client


def address_of(scheduler: str) -> str:
    """The address of a scheduler, which is given itself or as the file that the scheduler wrote."""
    if re.fullmatch(r"(\w+://)?[^/\s]+:\d+", scheduler):
        return scheduler
    try:
        return json.loads(expanded(scheduler).read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError):
        words = "a scheduler is an address such as tcp://node1:8786, or the file that"
        words = f"{words} `dask scheduler --scheduler-file` writes, not {scheduler!r}"
        raise ValueError(words) from None


def environment(folder: Path | None = None) -> dict[str, str]:
    """A worker's: one thread, and one cache of compiled programs: a folder's, or the user's.

    What is set here of XLA and caches goes to the workers, and takes the place of what is there.
    """
    flags = " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    own = dict(XLA_FLAGS=os.environ.get("XLA_FLAGS", "") + flags, OMP_NUM_THREADS="1")
    own["NPROC"] = "1"  # of XLA's pool, which the flags leave at one thread a core
    caches = ("TLMLP_COMPILATION_CACHE", "JAX_COMPILATION_CACHE_DIR")
    known = {name: os.environ[name] for name in caches if name in os.environ}
    return own | (known or ({caches[0]: str(folder.resolve() / ".compiled")} if folder else {}))


def checked(perform: Callable) -> Callable:
    """`perform`, for a worker that may have come late: ImportError for other versions there."""
    from distributed.versions import get_package_info

    compare, own = _comparison(), get_package_info(PACKAGES)

    def run(task: dict) -> dict:
        from distributed import get_worker

        compare(get_worker().address, get_package_info(own), own)
        return perform(task)

    return run


def _comparison() -> Callable:
    """By value: raises ImportError where versions at an address are other than here."""
    names = PACKAGES

    def compare(address: str, there: dict, here: dict) -> None:
        other = [name for name in names if there.get(name) != here.get(name)]
        say = lambda versions: ", ".join(f"{name} {versions.get(name) or '–'}" for name in other)
        if other:
            words = f"the worker at {address} has {say(there)}, and here is {say(here)}"
            raise ImportError(f"{words}; all need the same versions")

    return compare


def _check(client: Any, address: str) -> None:
    """ImportError for workers of other versions; a warning for what will make a sweep slow."""
    versions, compare = client.get_versions(packages=PACKAGES), _comparison()
    for worker, there in versions["workers"].items():
        compare(worker, there["packages"], versions["client"]["packages"])
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    slow = any(worker["nthreads"] > 1 or not worker["nanny"] for worker in workers)
    start = "start them by `dask worker --nthreads 1 --nworkers N`"
    for words, so in {
        f"no worker has come to {address} yet; runs begin when one does": not workers,
        f"some workers have no nanny or several threads, which makes runs slow: {start}": slow,
    }.items():
        if so:
            warnings.warn(words, stacklevel=5)


def _allow(deaths: int) -> Callable:
    """By value: let a scheduler give up a run only after so many deaths of workers."""

    def allow(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = max(deaths, dask_scheduler.allowed_failures)

    return allow


def _plugin(environment: dict[str, str]) -> Any:
    """By value: a plugin that gives nannies a worker's environment."""
    from distributed import NannyPlugin

    class Settings(NannyPlugin):
        name = "tlmlp"  # a second sweep's takes the first one's place

        async def setup(self, nanny: Any) -> None:
            """Start the worker anew where it has other settings, or those of dask for memory."""
            trim = "MALLOC_TRIM_THRESHOLD_"
            if environment.items() <= nanny.env.items() and trim not in nanny.env:
                return
            for where in (nanny.env, nanny.pre_spawn_env, os.environ):
                where.update(environment)
                where.pop(trim, None)
            await nanny.restart(reason="settings of tlmlp")

    return Settings()
