"""What every test process, and every notebook kernel a test starts, finds in its environment.

Set at import, before anything imports jax.
"""

import os
import shutil
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

data = ROOT.parent / "shared" / "data"
if data.is_dir():
    os.environ.setdefault("TLMLP_DATA", str(data))

# One place of compiled programs for all workers, kernels and runs.
os.environ.setdefault("TLMLP_COMPILATION_CACHE", str(ROOT / ".pytest_cache" / "compiled"))

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

# Workers share the cores. NPROC is XLA's thread pool; with a single thread a host callback would
# wait for itself.
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
if workers > 1:
    threads = (
        len(os.sched_getaffinity(0)) // workers
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() // workers
    )
    os.environ["NPROC"] = str(max(2, threads))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(max(1, threads))


@pytest.hookimpl(tryfirst=True)  # xdist's own hook reads the groups
def pytest_collection_modifyitems(items):
    """One worker a file, unless a test says otherwise: what one test compiles the next one has."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def until(condition, seconds=120):
    """Wait for a state, and fail where it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


@pytest.fixture(scope="session", autouse=True)
def prepared():
    """Also what a test compiles by itself is kept."""
    from tlmlp import allocator

    allocator.prepare()


MAPS = Path("/proc/self/maps")  # Linux; a process may have 65 530 lines of them


@pytest.fixture(scope="module", autouse=True)
def room():
    """Every compiled program maps memory, and thousands of them use up what a process may map.

    Then a worker dies in the midst of a compilation.
    """
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > 25_000:
        import jax

        jax.clear_caches()
