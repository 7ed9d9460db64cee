"""Memory that the C library keeps for the next step, instead of giving it back to the system after each.

XLA asks for one large piece of memory at every call (90 MB for a training step on 64 atoms at the paper preset) and frees it
afterwards. glibc maps such pieces afresh each time, and the system fills them with zeros page by page, on touch: 20 000 page
faults a step, close to half of its time. Here glibc is told to serve them from its heap, and to keep the heap. A process then
holds on to what it needed at its peak; the peak is the same.

Only the main thread's heap is without limit, those of other threads end at 64 MB. So jax is told to compute in the thread
that calls it, rather than in one of its own; the steps of a training wait for each other anyway.

Linux with glibc only, elsewhere nothing happens. Whoever has set MALLOC_ variables, GLIBC_TUNABLES, another allocator
(LD_PRELOAD) or JAX_CPU_ENABLE_ASYNC_DISPATCH knows better and is left alone.
"""

import ctypes
import os
import platform

import jax

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt, in malloc.h
THEIRS = ("GLIBC_TUNABLES", "LD_PRELOAD", "JAX_CPU_ENABLE_ASYNC_DISPATCH")


def keep_freed_memory(environment=os.environ):
    """Tell glibc and jax; whether they were told."""
    theirs = any(name.startswith("MALLOC_") or name in THEIRS for name in environment)
    if theirs or platform.libc_ver()[0] != "glibc":
        return False
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(MMAP_MAX, 0), mallopt(TRIM_THRESHOLD, 2**30)])


def give_back_freed_memory():
    """Ask glibc to return to the system what it keeps: after programs were given up, say. Elsewhere nothing happens."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
