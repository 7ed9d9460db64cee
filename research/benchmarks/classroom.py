"""What a class waits for: several kernels at once, each running a notebook from top to bottom.

    TLMLP_MODE=binder python research/benchmarks/classroom.py notebooks/00_start_here.ipynb
    ... classroom.py notebooks/02_germanium_transfer.ipynb --then "explorer.start().wait()"

Run it on an otherwise idle machine. One kernel alone comes first. A line is a kernel: seconds of
all cells, of the slowest and of one more (`--then`), CPU seconds, and peak memory (RSS, read five
times a second). There is no browser, so no atoms move.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient


async def learner(path, then, late):
    """Seconds of the notebook, of its slowest cell, of `then` and of CPU; peak in MB."""
    await asyncio.sleep(late)  # s; kernels that start at one moment may choose the same port
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(then))
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, where = [], 0, {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=3600, resources=where)
        async with client.async_setup_kernel():
            kernel = psutil.Process(client.km.provisioner.pid)
            for number, cell in enumerate(notebook.cells):
                begin = time.monotonic()
                running = asyncio.ensure_future(client.async_execute_cell(cell, number))
                while not running.done():
                    peak = max(peak, kernel.memory_info().rss)
                    await asyncio.wait([running], timeout=0.2)
                running.result()  # raises the error of the cell
                seconds.append(time.monotonic() - begin)
            cpu = sum(kernel.cpu_times()[:2])
    return sum(seconds[:-1]), max(seconds[:-1]), seconds[-1], cpu, peak / 1e6


async def together(path, then, kernels):
    print(f"{kernels} at once, {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}")
    for row in await asyncio.gather(*(learner(path, then, k) for k in range(kernels))):
        line = "  {:.0f} s, its slowest cell {:.0f} s; then {:.0f} s; CPU {:.0f} s; peak {:.0f} MB"
        print(line.format(*row), flush=True)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("notebook", type=Path)
parser.add_argument("--kernels", type=int, default=5)
parser.add_argument("--then", default="pass")
given = parser.parse_args()
for n in (1, given.kernels):
    asyncio.run(together(given.notebook, given.then, n))
