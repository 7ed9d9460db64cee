"""Trajectories on disk, extended xyz or ASE's .traj: a file can be read whenever a run stops."""

import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.io.trajectory import Trajectory

from ..files import expanded
from ..refusal import refuse

FORMATS = (".extxyz", ".xyz", ".traj")


def append(path: str | os.PathLike, atoms: Atoms) -> None:
    """One more frame of a file."""
    if Path(path).suffix == ".traj":
        with Trajectory(path, "a") as trajectory:
            trajectory.write(atoms)
        return
    text = io.StringIO()
    ase.io.write(text, atoms, format="extxyz")
    with open(path, "ab", buffering=0) as file:
        file.write(text.getvalue().encode())


def write(path: str | os.PathLike, frames: list[Atoms]) -> list[str]:
    """Write a new file; returns the names in info and arrays that it has to leave out."""
    path = expanded(path)
    kept, left_out = storable(frames[0], path.suffix)
    path.write_bytes(b"")
    for frame in frames:
        own = frame.copy()  # labels are held by the calculator
        own.calc = frame.calc
        own.info = {name: frame.info[name] for name in kept.info}
        for name in set(own.arrays) - set(kept.arrays):
            del own.arrays[name]
        append(path, own)
    return left_out


def storable(atoms: Atoms, suffix: str) -> tuple[Atoms, list[str]]:
    """(atoms with what a file of this kind gives back, names of info and arrays it does not)."""
    out, left_out = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc), []
    for kind in ("info", "arrays"):
        for name, value in getattr(atoms, kind).items():
            if kind == "arrays" and name in ("numbers", "positions"):
                continue
            one = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            getattr(one, kind)[name] = value
            if name not in all_properties and _comes_back(one, kind, name, suffix):
                getattr(out, kind)[name] = value
            else:
                left_out.append(f"{kind}[{name!r}]")
    return out, left_out


def _comes_back(atoms: Atoms, kind: str, name: str, suffix: str) -> bool:
    """Whether one name of info or arrays, written, is read again with its value."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ASE says of it is said by whoever asks
        try:
            append(path := Path(folder) / f"one{suffix}", atoms)
            (frame,) = ase.io.read(path, ":")
            value, back = getattr(atoms, kind)[name], getattr(frame, kind)[name]
            if isinstance(value, dict):
                return bool(value == back)
            a, b = np.asarray(value), np.asarray(back)
            if "f" in a.dtype.kind + b.dtype.kind:
                return a.shape == b.shape and np.allclose(a, b, 1e-6, 1e-8, equal_nan=True)
            return a.dtype.kind == b.dtype.kind and np.array_equal(a, b)
        except Exception:  # whatever either of the two meets: it does not come back
            return False


def last_frame(
    path: str | os.PathLike, atoms: Atoms, resume: bool, run: str = "", start: str = ""
) -> Atoms | None:
    """The last whole frame of a trajectory to resume; what follows it is cut off. None: no file.

    `run` and `start` are what the run is and began with, as words; a trajectory that has others was
    written by another run.

    Raises:
        ValueError: a kind of file that cannot be appended to, or a trajectory of other atoms, or
            of another run.
        FileExistsError: there is a file that is not to be resumed; it would be lost.
    """
    path, kinds = expanded(path), " or ".join(FORMATS)
    kind, folder = path.suffix or path.name, path.parent
    refuse(path.suffix not in FORMATS, f"a trajectory is written as {kinds}, not as {kind!r}")
    refuse(not folder.is_dir(), f"there is no folder {str(folder)!r} to write a trajectory to")
    if not path.exists() or path.stat().st_size == 0:
        return None
    words = f"{path} exists: resume=True goes on from its last frame; or give another name"
    refuse(not resume, words, FileExistsError)
    if path.suffix != ".traj":
        _cut_to_whole_frames(path)
    try:
        frame: Any = ase.io.read(str(path), -1, do_not_split_by_at_sign=True)
    except Exception as error:  # each format of ASE raises errors of its own
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} holds no frame that can be resumed ({why})") from error
    if not np.array_equal(frame.numbers, atoms.numbers):
        raise ValueError(f"{path} is a trajectory of {frame.symbols}, not of {atoms.symbols}")
    words = "was not written by tlmlp.simulate: its last frame has no 'step' and 'time_fs'"
    refuse(not {"step", "time_fs"} <= set(frame.info), f"{path} {words}")
    then, now = str(frame.info.get("run", run)).split(), run.split()
    other = ", ".join(b.partition("=")[0] for a, b in zip(then, now) if a != b)
    refuse(other, f"{path} belongs to a run with another {other}: give another name")
    same = np.allclose(frame.positions, atoms.positions, atol=1e-6)  # its last frame was given
    words = "belongs to a run that began with other positions, velocities or masses"
    refuse(not same and frame.info.get("start", start) != start, f"{path} {words}")
    frame.set_masses(atoms.get_masses())
    frame.pbc = atoms.pbc
    return frame


def _cut_to_whole_frames(path: Path) -> None:
    """Drop a frame of an xyz file that was left unfinished; ValueError where it is no such file."""
    with open(path, "r+b") as file:
        whole = 0
        while last := file.readline():
            if not last.strip().isdigit():
                words = f"{path} is not an xyz file: a frame begins with {last[:20]!r}"
                refuse(last.endswith(b"\n"), words)
                break
            for _ in range(int(last) + 1):
                last = file.readline()
            if not last.endswith(b"\n"):
                break
            whole = file.tell()
        file.truncate(whole)
