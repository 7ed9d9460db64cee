"""Frames of a trajectory; means of correlated samples and their errors, by blocks."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike

from ..crystal import with_calculator
from ..frames import label
from ..refusal import is_whole, positive, refuse
from ..simulate import Snapshot

Trajectory: TypeAlias = Atoms | Snapshot | Iterable[Atoms | Snapshot]


def mean_and_error(samples: ArrayLike, blocks: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Mean [...] of a series [T, ...] and its standard error, by the scatter of means of blocks.

    Blocks are successive parts of the series. The error is right once a block is longer than the
    correlation time. With fewer samples than blocks, each sample is a block; the error of a single
    sample is nan.
    """
    series = np.asarray(samples, float)
    refuse(not len(series), "a mean needs at least one sample")
    refuse(not is_whole(blocks), f"blocks must be a whole number of at least 1, not {blocks!r}")
    parts = np.array_split(series, min(blocks, len(series)))
    means = np.array([part.mean(0) for part in parts])
    if len(means) == 1:
        return series.mean(0), np.full(series.shape[1:], np.nan)
    return series.mean(0), means.std(0, ddof=1) / len(means) ** 0.5


def bare(atoms: Atoms) -> Atoms:
    """A copy of elements, positions and cell alone."""
    out = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    out.set_masses(atoms.get_masses())
    return out


def energy_of(atoms: Atoms, calculator: Any) -> float:
    """Energy in eV by a calculator: the one that forces are the gradient of."""
    return label(with_calculator(atoms, calculator), "energy")


def frames_of(trajectory: Trajectory, skip: float = 0.0) -> list[Atoms]:
    """Frames of one ase.Atoms, a list of them, or Snapshots of tlmlp.simulate or their generator.

    `skip` is the fraction of the frames to leave out at the beginning, for equilibration. Raises
    ValueError where nothing is left or the simulation broke down, TypeError for anything else.
    """
    words = "skip is a fraction of the frames, at least 0 and less than 1"
    refuse(not 0 <= skip < 1, f"{words}, not {skip!r}")
    one = isinstance(trajectory, Atoms) or hasattr(trajectory, "health")
    words = "a trajectory is a list of ase.Atoms or of Snapshots"
    bad = not one and not isinstance(trajectory, Iterable)
    refuse(bad, f"{words}, not {trajectory!r}", TypeError)
    frames: list[Any] = [trajectory] if one else list(trajectory)
    out: list[Atoms] = []
    for frame in frames[int(skip * len(frames)) :]:
        health = getattr(frame, "health", "ok")
        refuse(health != "ok", f"this simulation broke down and has no properties: {health}")
        frame = frame.atoms if hasattr(frame, "health") else frame
        refuse(not isinstance(frame, Atoms), f"{words}, not of {type(frame).__name__}", TypeError)
        refuse(not len(frame), "a frame of a trajectory has no atoms")
        out.append(frame)
    refuse(not out, "the trajectory is empty; it needs at least one frame")
    return out


def interval_of(frames: Sequence[Atoms], interval_fs: float | None = None) -> float:
    """Time in fs between frames, given or by info["time_fs"]; ValueError if unknown or changing."""
    if interval_fs is not None:
        positive(interval_fs=interval_fs)
        return float(interval_fs)
    known = len(frames) > 1 and all("time_fs" in atoms.info for atoms in frames)
    refuse(not known, "the time between two frames is not known: give interval_fs")
    steps = np.diff([atoms.info["time_fs"] for atoms in frames])
    even = steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6)
    words = "frames must follow each other at one distance in time; write one every so many steps"
    refuse(not even, words)
    return float(steps.mean())
