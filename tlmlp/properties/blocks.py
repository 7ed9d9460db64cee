"""Means of correlated samples and their errors: frames of molecular dynamics know of each other, means of long blocks hardly do."""

import numpy as np
from ase import Atoms


def mean_and_error(samples, blocks=5):
    """(mean, standard error of the mean) [...] of a series [T, ...], by the scatter of the means of `blocks` successive parts.

    Right once a block is longer than what the series remembers; with fewer samples than blocks, each sample is a block. The
    error of a single sample is nan.
    """
    samples = np.asarray(samples, float)
    if not len(samples):
        raise ValueError("a mean needs at least one sample")
    means = np.array([part.mean(0) for part in np.array_split(samples, min(blocks, len(samples)))])
    error = (
        means.std(0, ddof=1) / len(means) ** 0.5
        if len(means) > 1
        else np.full(samples.shape[1:], np.nan)
    )
    return samples.mean(0), error


def frames_of(trajectory, skip=0.0):
    """A list of ase.Atoms, of one ase.Atoms, a list of them, or of tlmlp.simulate.Snapshots (or their generator).

    skip: share of the frames at the beginning to leave out, for equilibration. Raises ValueError where nothing is left, TypeError
    for anything else, and SimulationError for a simulation that broke down.
    """
    if not 0 <= skip < 1:
        raise ValueError(f"skip is a share of the frames, at least 0 and less than 1, not {skip!r}")
    frames = (
        [trajectory]
        if isinstance(trajectory, Atoms) or hasattr(trajectory, "health")
        else list(trajectory)
    )
    out = []
    for frame in frames[int(skip * len(frames)) :]:
        if hasattr(frame, "health"):
            if frame.health != "ok":
                raise ValueError(
                    f"this simulation broke down and has no properties: {frame.health}"
                )
            frame = frame.atoms
        if not isinstance(frame, Atoms):
            raise TypeError(
                f"a trajectory is a list of ase.Atoms or of Snapshots, not of {type(frame).__name__}"
            )
        out.append(frame)
    if not out:
        raise ValueError("the trajectory is empty; it needs at least one frame")
    return out


def interval_of(frames, interval_fs=None):
    """Time in fs between two frames: as given, or from their info["time_fs"]. ValueError where it is unknown or changes."""
    if interval_fs is not None:
        if not (np.isscalar(interval_fs) and 0 < interval_fs < np.inf):
            raise ValueError(
                f"interval_fs must be a positive number of femtoseconds, not {interval_fs!r}"
            )
        return float(interval_fs)
    if not all("time_fs" in atoms.info for atoms in frames) or len(frames) < 2:
        raise ValueError("the time between two frames is not known: give interval_fs")
    steps = np.diff([atoms.info["time_fs"] for atoms in frames])
    if not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6)):
        raise ValueError(
            "frames must follow each other at one distance in time; write one every so many steps"
        )
    return float(steps.mean())
