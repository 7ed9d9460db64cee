"""Compiled programs that are kept on disk: what was compiled once is not compiled again.

This is jax's persistent compilation cache, in a folder of the user's own and no larger than LIMIT.
jax names an entry by its program, the version of jaxlib, XLA's flags and the processor's features.
XLA also compiles for a number of threads, which we add. A program from the cache is the same one,
and computes the same to the last bit.

TLMLP_COMPILATION_CACHE=off switches it off; the full path of a folder puts it there. It stays off
where the user has set a cache of jax's, or none, and where the folder cannot be written or is not
the user's own: what lies there is run.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import jax
import pooch

# Neither has a public place in jax: the name of an entry, and what happens when it is read.
from jax._src import cache_key, compilation_cache

from .refusal import refuse

NAME = "TLMLP_COMPILATION_CACHE"
LIMIT = 2**28  # bytes, where a process begins; the whole course needs about a tenth
READ, WRITE = "get_executable_and_time", "put_executable_and_time"  # of an entry, in jax
ENTRY = re.compile(r".*-[0-9a-f]{64}-cache")
# XLA takes two of its own preferences for features that this processor lacks, at each read of an
# entry where there is AVX-512 (jax issue 38445): "... This could lead to ... SIGILL." It does not.
FALSE = re.compile(rb"Target machine feature \+prefer-no-(gather|scatter) is not")
# One thread reads at a time, since what is filtered is the process's. It may hold this twice: two
# threads that both came first have set up two readers, one within the other.
ALONE = RLock()


def folder() -> Path | None:
    """Where programs are kept; None where this is switched off or the user's own is in use.

    Raises ValueError where TLMLP_COMPILATION_CACHE is neither "off" nor the path of a folder.
    """
    said = os.environ.get(NAME, "")
    if said == "off":
        return None
    place = Path(said).expanduser() if said else Path(pooch.os_cache("tlmlp")) / "compiled"
    wrong = said and (not place.is_absolute() or os.path.isfile(place))
    refuse(wrong, f"{NAME} must be off or the full path of a folder, not {said!r}")
    theirs = jax.config.jax_compilation_cache_dir not in (None, str(place))
    return None if theirs or not jax.config.jax_enable_compilation_cache else place


def usable(place: Path) -> bool:
    """Whether this folder, made if it is missing, can be written, and by the user alone."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            owner, mode = place.stat().st_uid, place.stat().st_mode
    except OSError:
        return False
    return not hasattr(os, "getuid") or (owner == os.getuid() and not mode & 0o022)


def entries(place: Path) -> list[tuple[float, int, Path]]:
    """(time of the last use in s, bytes, file) of each program in a folder, the oldest first."""
    found = []
    with suppress(OSError):  # another process may take one away
        for file in place.iterdir():
            if ENTRY.fullmatch(file.name):
                found.append((file.stat().st_mtime, file.stat().st_size, file))
    return sorted(found)


def keep() -> None:
    """Let jax keep what it compiles, and use what it has kept, from now on in this process."""
    place = folder()
    if place is None or not usable(place):
        return
    found = entries(place)
    total = sum(size for _, size, _ in found)
    for _, size, file in found:
        if total > LIMIT:
            _remove(file)
            total -= size
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = f"{os.environ.get('NPROC', '')} of {threads} threads"
    cache_key.custom_hook = lambda: words
    read, write = (getattr(compilation_cache, name) for name in (READ, WRITE))
    setattr(compilation_cache, READ, _reader(read, place))
    setattr(compilation_cache, WRITE, _writer(write, place))
    jax.config.update("jax_compilation_cache_dir", str(place))
    # Also the smallest: jax-md compiles 120 at its import, which takes 4 s, and to read them 0.4 s.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _reader(read: Callable, place: Path) -> Callable:
    def get(key: str, *rest: Any, **more: Any) -> tuple[Any, int | None]:
        file = place / f"{key}-cache"
        try:
            with _without_false_lines():
                found = read(key, *rest, **more)
        except Exception:  # what a full disk or a killed process left is compiled anew
            _remove(file)
            return None, None
        with suppress(OSError):
            os.utime(file)  # there is none where nothing was found
        return found

    return get


def _writer(write: Callable, place: Path) -> Callable:
    def put(key: str, *rest: Any, **more: Any) -> None:
        try:
            write(key, *rest, **more)
        except OSError:  # a full disk
            _remove(place / f"{key}-cache")

    return put


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


@contextmanager
def _without_false_lines() -> Iterator[None]:
    """What XLA writes to the process's stderr goes there when this ends, less FALSE."""
    with ALONE, ExitStack() as stack:
        try:
            said = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
        except OSError:  # no place for it, or no stderr
            yield
            return
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            with suppress(OSError):
                os.write(2, b"".join(line for line in said if not FALSE.search(line)))
