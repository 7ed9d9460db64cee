"""Trajectories on disk, extended xyz or ASE's .traj: a file can be read whenever a run stops."""

import io
import os
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.io.trajectory import Trajectory

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


def last_frame(path: str | os.PathLike, atoms: Atoms, resume: bool) -> Atoms | None:
    """The last whole frame of a trajectory to resume; what follows it is cut off. None: no file.

    Raises:
        ValueError: a kind of file that cannot be appended to, or a trajectory of other atoms.
        FileExistsError: there is a file that is not to be resumed; it would be lost.
    """
    path, kinds = Path(path), " or ".join(FORMATS)
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
        frame: Any = ase.io.read(path, -1)
    except Exception as error:  # each format of ASE raises errors of its own
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} holds no frame that can be resumed ({why})") from error
    if not np.array_equal(frame.numbers, atoms.numbers):
        raise ValueError(f"{path} is a trajectory of {frame.symbols}, not of {atoms.symbols}")
    words = "was not written by tlmlp.simulate: its last frame has no 'step' and 'time_fs'"
    refuse(not {"step", "time_fs"} <= set(frame.info), f"{path} {words}")
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
