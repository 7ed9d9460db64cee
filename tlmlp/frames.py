"""A dataset is a list of ase.Atoms with labels: checked, copied, divided."""

import copy
import hashlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.calculators.singlepoint import SinglePointCalculator

from .refusal import is_whole, refuse


def structures(frames: Any) -> list[Atoms]:
    """The frames, if they are structures; labels are not looked at.

    Raises TypeError for what is no list of ase.Atoms; ValueError where there are none, or one has
    no atoms, an unknown element, or a position or cell that is not finite.
    """
    words = "a dataset is a list of ase.Atoms, not"
    kind = "one Atoms" if isinstance(frames, Atoms) else type(frames).__name__
    one = isinstance(frames, (Atoms, str, dict)) or not isinstance(frames, Iterable)
    refuse(one, f"{words} {kind}", TypeError)
    frames = list(frames)
    others = ", ".join(sorted({type(f).__name__ for f in frames if not isinstance(f, Atoms)}))
    refuse(others, f"{words} a list with {others}", TypeError)
    refuse(not frames, "the dataset is empty, it needs at least one frame")
    for index, frame in enumerate(frames):
        refuse(not len(frame), f"frame {index} has no atoms")
        unknown = "has atoms 'X' without an element: name the elements in the file"
        refuse(not all(0 < z < 119 for z in frame.numbers), f"frame {index} {unknown}")
        for name in ("positions", "cell"):
            _finite(np.asarray(getattr(frame, name)), f"{name} of frame {index}")
        group_of(frame, index)
    return frames


def check(frames: Any, forces: bool = True) -> list[Atoms]:
    """The frames, if a potential can be trained on them; without forces, if these are not needed.

    Raises as `structures`, and ValueError where a frame lacks energy or forces, or where a label is
    no number, has a wrong shape, NaN or infinity.
    """
    frames = structures(frames)
    for index, frame in enumerate(frames):
        shapes: dict[str, tuple] = dict(energy=())
        if forces or knows_forces(frame):
            shapes["forces"] = (len(frame), 3)
        if "stress" in getattr(frame.calc, "results", {}):
            shapes["stress"] = (6,)
        for name, needed in shapes.items():
            value, which = _label(frame, index, name), f"{name} of frame {index}"
            if np.asarray(value).dtype.kind not in "fiu":
                raise ValueError(f"{which} must be a number, not {value!r}"[:200])
            shape = np.shape(value)
            refuse(shape != needed, f"{which} has shape {shape}, {needed} is needed")
            _finite(value, which)
    return frames


def knows_forces(frame: Atoms) -> bool:
    """Whether a frame carries forces."""
    return "forces" in getattr(frame.calc, "results", {})


def _finite(value, which):
    words = f"{which} is not finite (NaN or infinity): remove the frame"
    refuse(not np.all(np.isfinite(value)), words)


def group_of(frame: Atoms, index: int = 0) -> str | None:
    """info["group"] as a word, if there is one; ValueError for what is neither word nor number."""
    group = frame.info.get("group")
    words = f"'group' of frame {index} must be a word or a number, not {group!r}"
    refuse(group is not None and not np.isscalar(group), words[:200])
    return None if group is None else str(group)


def label(frame: Atoms, name: str) -> Any:
    """The "energy" (eV), "forces" [N, 3] (eV/Å) or "stress" [6] (eV/Å³) that a frame carries.

    Constraints change none of them. Where there is a free energy it is the energy: forces are its
    gradient. Raises as the frame's calculator does.
    """
    if name != "energy":
        return getattr(frame, f"get_{name}")(apply_constraint=False)
    known = lambda: "free_energy" in getattr(frame.calc, "results", {})
    if not known():
        energy = frame.get_potential_energy(apply_constraint=False)
        if not known():  # nor does the calculation that this may have been give one
            return energy
    try:
        return frame.get_potential_energy(force_consistent=True, apply_constraint=False)
    except PropertyNotImplementedError:  # CHGNet gives one that it does not claim to have
        frame.get_potential_energy(apply_constraint=False)
        return frame.calc.results["free_energy"]


def _label(frame: Atoms, index: int, name: str) -> Any:
    try:
        return label(frame, name)
    except (RuntimeError, PropertyNotImplementedError):  # no calculator, or not this property
        known = getattr(frame.calc, "results", {})
        found = ", ".join(map(repr, [*frame.info, *frame.arrays, *known]))
        words = f"frame {index} has no '{name}': its names are {found}; {name}_key of "
        words += "tlmlp.datasets.read or labelled says which of them it is"
        if name == "forces":
            words += "; read(forces=False), and fit with force=0 in both weights, need none"
        if name in known:
            words = f"'{name}' of frame {index} is out of date: its atoms changed since"
        raise ValueError(words) from None
    except (TypeError, AssertionError, AttributeError):  # of ASE, for what is no array
        raise ValueError(f"{name} of frame {index} must be numbers") from None


def labels(frames: Sequence[Atoms], name: str) -> list:
    """`label` of each frame; ValueError names the one that has none."""
    return [_label(frame, index, name) for index, frame in enumerate(frames)]


def apart(frames: Sequence[Atoms]) -> tuple[list[Atoms], list[Atoms]]:
    """(frames of bound atoms, isolated atoms: one alone, whose energy is the element's own)."""
    alone = lambda f: len(f) == 1 and not any(f.pbc & (f.cell.lengths() < 10))
    return [f for f in frames if not alone(f)], [f for f in frames if alone(f)]


def symbols_of(frames: Iterable[Atoms]) -> set[str]:
    """The elements of all frames."""
    return {symbol for atoms in frames for symbol in atoms.symbols}


def fingerprint(frames: Iterable[Atoms]) -> str:
    """A word that changes where any structure or label does; constraints and info play no role."""
    digest = hashlib.sha256()
    for f in frames:
        parts, known = [f.numbers, f.positions, f.cell.array, f.pbc], f.calc.results
        names = [k for k in ("energy", "forces", "stress") if k in known or "free_" + k in known]
        for part in (*parts, *(label(f, name) for name in names)):
            digest.update(np.ascontiguousarray(part, float).tobytes())
        digest.update(" ".join(names).encode())
    return digest.hexdigest()[:16]


def copies(frames: Iterable[Atoms]) -> list[Atoms]:
    """The same structures and labels; changes to them leave the originals alone."""
    out = []
    for frame in frames:
        out.append(frame.copy())
        out[-1].info = copy.deepcopy(frame.info)
        if frame.calc is not None:  # Atoms.copy leaves the labels behind
            own = {k: v for k, v in frame.calc.results.items() if k in all_properties}
            results = copy.deepcopy(own)  # a committee has more than ASE has names for
            of = getattr(frame.calc, "atoms", None) or frame  # what is out of date stays so
            out[-1].calc = SinglePointCalculator(of, **results)
    return out


def subset(frames: Sequence[Atoms], n: int, seed: int = 0) -> list[Atoms]:
    """n frames with the same fraction of each group, phase and temperature as in all of them.

    Nested: `subset(frames, 10, seed)` is the beginning of `subset(frames, 20, seed)`. Raises
    ValueError where n is not a positive integer, or there are fewer frames than that.
    """
    frames = structures(frames)
    refuse(not is_whole(n), f"the number of frames must be a positive integer, not {n!r}")
    refuse(n > len(frames), f"{n} frames were asked for, but there are only {len(frames)}")
    return [frames[i] for i in _stratified(frames, seed)[:n]]


def split(
    frames: Sequence[Atoms], n_valid: int | float, seed: int = 0
) -> tuple[list[Atoms], list[Atoms]]:
    """(train, valid), neither empty: n_valid frames, or that fraction, held out as by `subset`.

    Warns of structures that end up on both sides, because the errors of these are too small.
    """
    frames = structures(frames)
    n = round(n_valid * len(frames)) if isinstance(n_valid, float) and n_valid < 1 else n_valid
    which = f"{n_valid!r} of {len(frames)} frames cannot be held out"
    refuse(not is_whole(n) or n >= len(frames), f"{which}: some must be left on both sides")
    order, n = _stratified(frames, seed), int(n)
    train, valid = [frames[i] for i in order[n:]], [frames[i] for i in order[:n]]
    known = {_structure(frame) for frame in train}
    if twice := sum(_structure(frame) in known for frame in valid):
        words = f"{twice} of the {n} frames held out are also among those to train on, as the same"
        warnings.warn(f"{words} structure: their errors are too small", stacklevel=2)
    return train, valid


def _structure(frame):
    parts = frame.numbers, frame.positions.round(6), frame.cell.array.round(6)
    return b"".join(part.tobytes() for part in parts)


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
