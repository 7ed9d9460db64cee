"""Trajectories on disk, written while a simulation runs: extended xyz or ASE's .traj.

Every frame is written whole and at once, so a file can be read at any moment, also after an interruption.
"""

import io
from pathlib import Path

import ase.io
import numpy as np
from ase.io.trajectory import Trajectory

FORMATS = (".extxyz", ".xyz", ".traj")


class Writer:
    """Appends frames (ase.Atoms) to a file."""

    def __init__(self, path):
        self.path = Path(path)

    def write(self, atoms):
        if self.path.suffix == ".traj":
            with Trajectory(self.path, "a") as file:
                file.write(atoms)
            return
        text = io.StringIO()
        ase.io.write(text, atoms, format="extxyz")
        with open(self.path, "ab", buffering=0) as file:
            file.write(text.getvalue().encode())


def last_frame(path, atoms, resume):
    """The last whole frame of a trajectory to resume; None where there is no file yet. What follows that frame is cut off.

    Raises ValueError for a kind of file that cannot be appended to, or for a trajectory of other atoms, and FileExistsError
    where there is a file that is not to be resumed: it would be lost.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(
            f"a trajectory is written as {' or '.join(FORMATS)}, not as {path.suffix or path.name!r}"
        )
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {str(path.parent)!r} to write a trajectory to")
    if not path.exists() or path.stat().st_size == 0:
        return None
    if not resume:
        raise FileExistsError(
            f"{path} exists: resume=True goes on from its last frame; or give another name"
        )
    if path.suffix != ".traj":
        _cut_to_whole_frames(path)
    try:
        frame = ase.io.read(path, -1)
    except Exception as error:  # each format of ASE raises errors of its own
        raise ValueError(
            f"{path} holds no frame that can be resumed ({type(error).__name__}: {error})"
        ) from error
    if not np.array_equal(frame.numbers, atoms.numbers):
        raise ValueError(f"{path} is a trajectory of {frame.symbols}, not of {atoms.symbols}")
    if not {"step", "time_fs"} <= set(frame.info):
        raise ValueError(
            f"{path} was not written by tlmlp.simulate: its last frame has no 'step' and 'time_fs'"
        )
    frame.set_masses(atoms.get_masses())
    frame.pbc = atoms.pbc
    return frame


def _cut_to_whole_frames(path):
    """A frame of an xyz file that an interrupted run left unfinished goes. ValueError where it is no such file."""
    with open(path, "r+b") as file:
        whole = 0
        while head := file.readline():
            try:
                lines = int(head) + 1
            except ValueError:
                if head.endswith(b"\n"):
                    raise ValueError(
                        f"{path} is not an xyz file: a frame begins with {head[:20]!r}"
                    ) from None
                break
            last = head
            for _ in range(lines):
                last = file.readline()
            if not last.endswith(b"\n"):
                break
            whole = file.tell()
        file.truncate(whole)
