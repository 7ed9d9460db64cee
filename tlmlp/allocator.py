"""What this library sets in the whole process: memory and programs that are kept, where jax runs.

XLA asks for one large piece of memory at every call (90 MB for a training step on 64 atoms at the
paper preset) and frees it afterwards. glibc maps such pieces afresh, and the system fills them with
zeros page by page: 20 000 page faults a step, close to half of its time. Here glibc serves them
from its heap and keeps the heap: a process holds what it needed at its peak. Only the main thread's
heap is without limit (others: 64 MB), so jax is told to compute in the thread that calls it. It
reads this, and how much of a graphics card to take, when it first computes.

Nothing happens at import: whatever computes calls `prepare`. It respects MALLOC_, GLIBC_TUNABLES,
LD_PRELOAD, JAX_CPU_ENABLE_ASYNC_DISPATCH and XLA_PYTHON_CLIENT_PREALLOCATE where they are set.
"""

import ctypes
import functools
import os
import platform

import jax

from . import compiled

# Versions whose numbers or imports are known to be wrong; pyproject.toml excludes them as well.
BAD_JAX = {
    "0.10.2": "computes wrong numbers on a CPU (jax issue 39103)",
    "0.11.1": "does not work with flax, which jax-md imports",
}
TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt, in malloc.h
THEIRS = ("GLIBC_TUNABLES", "LD_PRELOAD", "JAX_CPU_ENABLE_ASYNC_DISPATCH")


@functools.cache
def prepare() -> bool:
    """Set the process up for long computations, once; True where memory is kept (Linux, glibc).

    Raises RuntimeError for a jax that is known to be broken, ValueError as `compiled.folder`.
    """
    if why := BAD_JAX.get(jax.__version__):
        cure = "install another, with pip install -U jax jaxlib"
        raise RuntimeError(f"jax {jax.__version__} {why}: {cure}")
    # jax would take three quarters of a graphics card; this way two notebooks can share one.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    compiled.keep()
    theirs = any(name.startswith("MALLOC_") or name in THEIRS for name in os.environ)
    if theirs or platform.libc_ver()[0] != "glibc":
        return False
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(MMAP_MAX, 0), mallopt(TRIM_THRESHOLD, 2**30)])


def give_back_freed_memory() -> None:
    """Ask glibc to return to the system what it keeps: after programs were given up, say."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
