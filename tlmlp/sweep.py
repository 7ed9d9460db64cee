"""Sweeps: a list of independent runs, on as many cores or machines as there are."""

import json
import os
from pathlib import Path

from .course.results import read
from .course.runs import key


def execute(runs, path, workers=2, scheduler=None, perform=None):
    """Perform the runs that `path` holds no row of; yields each row, when it is written.

    path: a file of JSON lines, appended to; workers: processes of one thread each, on this machine; scheduler: address of a
    running dask scheduler instead, such as "tcp://node1:8786"; perform: what makes a row of a run. A worker that dies
    loses its own run, which another one starts anew. Raises RuntimeError, after all others are done, when runs failed.
    """
    import dask
    from distributed import Client, LocalCluster, as_completed

    path = Path(path)
    done = {key(row) for row in read(path)} if path.is_file() else set()
    todo = [r for r in runs if key(r) not in done]
    if not todo:
        return
    if (
        path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    ):  # a line that was cut off: what follows starts a new one
        with path.open("a") as file:
            file.write("\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    # One thread per worker, and one cache of compiled programs for all. It takes the place of dask's own settings, whose
    # MALLOC_TRIM_THRESHOLD_ makes every step of a training map its memory afresh.
    environment = {
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")
        + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "NPROC": "1",  # of XLA's pool, which the flags leave at one thread a core: workers would take turns at each other's cores
        "OMP_NUM_THREADS": "1",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get(
            "JAX_COMPILATION_CACHE_DIR", str(path.parent.resolve() / ".jax")
        ),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        "TF_CPP_MIN_LOG_LEVEL": "3",  # XLA takes two of its own preferences for features of the CPU, at every load
    }
    failed = []
    with dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ": environment,
            "distributed.scheduler.allowed-failures": 3,
        }
    ):
        cluster = (
            None
            if scheduler
            else LocalCluster(
                n_workers=min(workers, len(todo)), threads_per_worker=1, dashboard_address=":0"
            )
        )
        with Client(scheduler or cluster) as client, path.open("a", encoding="utf-8") as file:
            futures = [
                client.submit(perform, r, pure=False, priority=-i) for i, r in enumerate(todo)
            ]
            for future in as_completed(futures):
                if future.status == "error":
                    failed.append(f"{future.exception()!r}")
                    continue
                row = future.result()
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
                future.release()
                yield row
        if cluster:
            cluster.close()
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(todo)} runs failed, the first with {failed[0]}; the others are in {path}"
        )
