"""A dataset is a list of ase.Atoms with labels: read, checked, copied, divided."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator

from .refusal import is_whole, refuse


def read(path: str | Path) -> list[Atoms]:
    """A dataset from any file that ASE reads and that carries energy and forces (extended xyz).

    Raises FileNotFoundError, or ValueError where ASE cannot read it or `check` refuses it.
    """
    import ase.io  # half a second, for all the formats it knows

    refuse(not Path(path).is_file(), f"{path} does not exist", FileNotFoundError)
    try:
        frames = list(ase.io.iread(path, ":"))
    except Exception as error:  # each format of ASE raises errors of its own
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"ASE cannot read structures from {path} ({why})") from error
    for frame in frames:
        if frame.info.get("temperature") is True:  # how ASE writes None and reads it back
            frame.info["temperature"] = None
    return check(frames)


def check(frames: Sequence[Atoms]) -> list[Atoms]:
    """The frames, if a potential can be trained on them.

    Raises TypeError for what is no list of ase.Atoms; ValueError where there are no frames, or one
    lacks labels, has wrong shapes, NaN or infinity.
    """
    words = "a dataset is a list of ase.Atoms, not"
    kind = "one Atoms" if isinstance(frames, Atoms) else type(frames).__name__
    refuse(not isinstance(frames, (list, tuple)), f"{words} {kind}", TypeError)
    others = ", ".join(sorted({type(f).__name__ for f in frames if not isinstance(f, Atoms)}))
    refuse(others, f"{words} a list with {others}", TypeError)
    refuse(not frames, "the dataset is empty, it needs at least one frame")
    for index, frame in enumerate(frames):
        n = len(frame)
        refuse(n == 0, f"frame {index} has no atoms")
        shapes = dict[str, tuple](positions=(n, 3), cell=(3, 3), energy=(), forces=(n, 3))
        if "stress" in getattr(frame.calc, "results", {}):
            shapes["stress"] = (6,)
        for name, needed in shapes.items():
            value = _value(frame, index, name)
            shape, which = np.shape(value), f"{name} of frame {index}"
            refuse(shape != needed, f"{which} has shape {shape}, {needed} is needed")
            words = f"{which} is not finite (NaN or infinity): remove the frame"
            refuse(not np.all(np.isfinite(value)), words)
    return list(frames)


def _value(frame: Atoms, index: int, name: str) -> Any:
    try:
        if name in ("positions", "cell"):
            return np.asarray(getattr(frame, name))
        if name == "energy":
            return frame.get_potential_energy()
        return getattr(frame, f"get_{name}")(apply_constraint=False)
    except (RuntimeError, PropertyNotImplementedError):  # no calculator, or not this property
        known = getattr(frame.calc, "results", {})
        found = ", ".join(map(repr, [*frame.info, *frame.arrays, *known]))
        words = f"frame {index} has no '{name}': its names are {found}"
        if name in known:
            words = f"'{name}' of frame {index} is out of date: its atoms changed since"
        raise ValueError(words) from None


def copies(frames: Iterable[Atoms]) -> list[Atoms]:
    """The same structures and labels; changes to them leave the originals alone."""
    out = []
    for frame in frames:
        out.append(frame.copy())
        out[-1].info = copy.deepcopy(frame.info)
        if frame.calc is not None:  # Atoms.copy leaves the labels behind
            results = copy.deepcopy(frame.calc.results)
            out[-1].calc = SinglePointCalculator(out[-1], **results)
    return out


def subset(frames: Sequence[Atoms], n: int, seed: int = 0) -> list[Atoms]:
    """n frames with the same fraction of each group, phase and temperature as in all of them.

    Nested: `subset(frames, 10, seed)` is the beginning of `subset(frames, 20, seed)`. Raises
    ValueError where n is not a positive integer, or there are fewer frames than that.
    """
    refuse(not is_whole(n), f"the number of frames must be a positive integer, not {n!r}")
    refuse(n > len(frames), f"{n} frames were asked for, but there are only {len(frames)}")
    return [frames[i] for i in _stratified(frames, seed)[:n]]


def split(
    frames: Sequence[Atoms], n_valid: int | float, seed: int = 0
) -> tuple[list[Atoms], list[Atoms]]:
    """(train, valid), neither empty: n_valid frames, or that fraction, held out as by `subset`."""
    n = round(n_valid * len(frames)) if isinstance(n_valid, float) and n_valid < 1 else n_valid
    which = f"{n_valid!r} of {len(frames)} frames cannot be held out"
    refuse(not is_whole(n) or n >= len(frames), f"{which}: some must be left on both sides")
    order, n = _stratified(frames, seed), int(n)
    return [frames[i] for i in order[n:]], [frames[i] for i in order[:n]]


def _stratified(frames: Sequence[Atoms], seed: int) -> list[int]:
    """Indices of all frames; every beginning of them holds the strata in proportion."""
    rng = np.random.default_rng(seed)
    strata: dict[tuple[str, ...], list[int]] = {}
    for index, frame in enumerate(frames):
        stratum = tuple(str(frame.info.get(name)) for name in ("group", "phase", "temperature"))
        strata.setdefault(stratum, []).append(index)
    keys: dict[int, float] = {}
    for stratum in sorted(strata):  # in which order a file has the strata plays no role
        members, start = rng.permutation(strata[stratum]), rng.uniform()
        for rank, index in enumerate(members):  # spread evenly over the unit interval
            keys[int(index)] = (rank + start) / len(members)
    return sorted(keys, key=lambda index: keys[index])
