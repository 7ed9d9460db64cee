"""Reading a dataset: any file of ASE's, and labels under the names that other programs give them.

    read("mine.extxyz")                                   energy, forces and stress by known names
    read("mine.extxyz", energy_key="E0", forces_key="F")  by names of your own

Known names are energy, force(s), stress and virial(s), also with REF_, DFT_ and their like before
or behind, in capitals or not. A virial W (eV, of GAP and NEP) becomes the stress -W/V. Of a free
energy and an energy the first is read, because forces are its gradient: VASP's `energy` is
extrapolated to no smearing. What is not called energy, forces and stress is said in a warning.
"""

import re
import warnings
import zlib
from collections.abc import Iterable
from io import StringIO
from lzma import LZMAError
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from tqdm import tqdm

from .files import expanded
from .frames import check, structures
from .graph import volume_of
from .refusal import refuse

AFFIX = "ref|dft|qm|true|target|reference"
LABELS = "free_energy|energy|forces?|stress|virials?"
KNOWN = re.compile(rf"(?:(?:{AFFIX})_)?({LABELS})(?:_(?:{AFFIX}))?", re.I)
# What a label may be called, the best first.
RANKS: dict[str, tuple[str, ...]] = {
    "energy": ("free_energy", "energy"),
    "forces": ("forces", "force"),
    "stress": ("stress", "virial", "virials"),
}
DAMAGED = OSError, EOFError, LZMAError, zlib.error  # of files compressed by their names
LARGE = 50e6  # bytes of a file that takes so long to read that a bar is shown
NO_LABELS = "lammps-dump-text", "lammps-dump-binary"  # to which ASE gives an energy of 0


def read(
    path: str | Path,
    format: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    forces: bool = True,
) -> list[Atoms]:
    """A dataset from any file that ASE reads and that carries energy and forces.

    Args:
        path: a file; "~" is the home folder, "@" a letter like any other.
        format: ASE's name of it, such as "extxyz" or "vasp-xml" [default: by content and name].
        energy_key: name of the energy, in eV [default: a known one].
        forces_key: the same of the forces, in eV/Å.
        stress_key: of the stress in eV/Å³, positive under tension; or of a virial in eV, if its
            name says so.
        forces: False where frames may lack forces, to be trained on by their energies.

    Raises FileNotFoundError, or ValueError where ASE cannot read it, or `check` refuses it.
    """
    path = expanded(path)
    refuse(not path.is_file(), f"{path} does not exist", FileNotFoundError)
    frames = _frames(path, format)
    for frame in frames:
        if frame.info.get("temperature") is True:  # how ASE writes None and reads it back
            frame.info["temperature"] = None
    keys = dict(energy=energy_key, forces=forces_key, stress=stress_key)
    return _labelled(frames, keys, path, forces)


def _frames(path: Path, format: str | None) -> list[Atoms]:
    from ase.io import formats, iread  # half a second, for all the formats it knows

    if not path.stat().st_size:
        return []
    try:
        kind = format or ("extxyz" if _is_extxyz(path) else formats.filetype(str(path)))
    except (formats.UnknownFileTypeError, *DAMAGED):
        kind = None
    cure = "name one of ASE's with format, such as 'extxyz' or 'vasp-xml'"
    refuse(kind not in formats.ioformats, f"the format of {path}, {kind}, is not known: {cure}")
    words = f"{path} is a LAMMPS dump, which holds no energies"
    refuse(kind in NO_LABELS, f"{words}: write extended xyz, with energy, forces and elements")
    try:
        source: Any = str(path)
        if kind == "extxyz" and formats.get_compression(source)[1]:
            # ASE goes back in the file at each frame, which unpacks it from the start again.
            with formats.open_with_compression(source, "rt") as file:
                source = StringIO(file.read())
        frames = iread(source, ":", kind, do_not_split_by_at_sign=True)
        small = path.stat().st_size < LARGE
        return list(tqdm(frames, path.name, unit=" frames", mininterval=1, disable=small))
    except Exception as error:  # each format of ASE raises errors of its own
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"ASE cannot read structures from {path} ({why})") from error


def _is_extxyz(path: Path) -> bool:
    """Whether the content is extended xyz, whatever the name says."""
    from ase.io.formats import open_with_compression

    try:
        with open_with_compression(str(path), "rb") as file:
            count, comment = (file.readline(100_000) for _ in range(2))
    except DAMAGED:
        return False
    named = re.search(rb"Lattice=|Properties=", comment, re.I)
    return count.strip().isdigit() and named is not None


def labelled(
    frames: Iterable[Atoms],
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
) -> list[Atoms]:
    """Copies of frames whose labels are where training looks for them, from results, info, arrays.

    Keys as in `read`. Raises ValueError where a key is not there, or two known names hold different
    numbers.
    """
    keys = dict(energy=energy_key, forces=forces_key, stress=stress_key)
    return _labelled(frames, keys, "the dataset")


def _labelled(
    frames: Iterable[Atoms], keys: dict[str, str | None], where: Any, forces: bool = True
) -> list[Atoms]:
    """The same; `where` names the frames in sentences."""
    names: dict[str, dict[str, int]] = {kind: {} for kind in keys}  # and the first frame of each
    apart, out = 0.0, []
    for index, frame in enumerate(structures(frames)):
        old = frame.calc is not None and bool(frame.calc.check_state(frame))
        refuse(old, f"labels of frame {index} are out of date: its atoms changed since")
        found: dict[str, Any] = frame.info | frame.arrays | getattr(frame.calc, "results", {})
        labels = {}
        for kind, key in keys.items():
            named = key or _choose(kind, found, frame, f"frame {index} of {where}")
            missing = f"frame {index} of {where} has no {named!r}: its names are"
            refuse(named and named not in found, f"{missing} {', '.join(map(repr, found))}")
            if named:
                names[kind].setdefault(named, index)
                labels[kind] = _as(kind, named, found[named], frame)
        if {"energy", "free_energy"} <= set(found) and names["energy"].keys() == {"free_energy"}:
            apart = max(apart, _distance(found["energy"], found["free_energy"]))
        out.append(frame.copy())
        results = {k: v for k, v in found.items() if k in all_properties and k not in frame.info}
        results = {k: v for k, v in results.items() if k not in ("free_energy", *keys)} | labels
        if "energy" in labels:
            results["free_energy"] = labels["energy"]
        out[-1].calc = _carrier(out[-1], results, f"frame {index} of {where}")
    for kind in ("energy", "forces"):
        two = " and ".join(f"{name!r} in frame {i}" for name, i in names[kind].items())
        words = f"{where} has its {kind} under different names, {two}; name one with {kind}_key"
        refuse(len(names[kind]) > 1, words)
    check(out, forces)
    _say(where, names, apart)
    return out


def _choose(kind: str, found: dict[str, Any], frame: Atoms, which: str) -> str | None:
    """The known name of a label; ValueError where two of one rank hold different numbers."""
    ranked: dict[str, list[str]] = {}
    for name in found:
        if (match := KNOWN.fullmatch(name)) and found[name] is not None:
            ranked.setdefault(match[1].lower(), []).append(name)
    some = [(name, rank) for rank in RANKS[kind] for name in ranked.get(rank, [])]
    for name, rank in some[1:]:
        if kind == "energy" and rank != some[0][1]:
            continue  # a free energy goes before an energy
        a, b = (_as(kind, n, found[n], frame) for n in (some[0][0], name))
        words = f"{which} has {some[0][0]!r} and {name!r}, which differ"
        relative, least = (1e-7, 1e-3) if kind == "energy" else (1e-3, 1e-6)  # more than rounding
        off = _distance(a, b) > max(least, relative * _size(a))
        refuse(off, f"{words}; name one with {kind}_key")
    return some[0][0] if some else None


def _size(value: Any) -> float:
    return float(np.abs(np.asarray(value, float)).max(initial=0.0))


def _distance(a: Any, b: Any) -> float:
    """The largest difference of two labels; infinite where they cannot be compared."""
    try:
        return _size(np.asarray(a, float) - np.asarray(b, float))
    except (TypeError, ValueError):
        return np.inf


def _as(kind: str, name: str, value: Any, frame: Atoms) -> Any:
    """The label as training wants it; a virial and a tensor become a stress [6]."""
    if kind != "stress" or not np.issubdtype(np.asarray(value).dtype, np.number):
        return value
    value = np.asarray(value, float)
    if value.size == 9:
        value = full_3x3_to_voigt_6_stress(value.reshape(3, 3))
    if "virial" in name.lower():
        volume = volume_of(frame)
        value = -value / volume if volume else None  # as a stress there, it has no meaning
    return value


def _carrier(frame: Atoms, results: dict[str, Any], which: str) -> SinglePointCalculator:
    try:
        return SinglePointCalculator(frame, **results)
    except (TypeError, ValueError, AssertionError):  # what cannot be an array of numbers
        words = f"one of {', '.join(results)} of {which} is no number or array of numbers"
        raise ValueError(words) from None


def _say(where: Any, names: dict[str, dict[str, int]], apart: float) -> None:
    """Warn of labels that were not called energy, forces and stress."""
    said = []
    for kind, of in names.items():
        name = next(iter(of), kind)
        if name == "free_energy" and apart > 1e-6:
            why = "forces are its gradient; energy_key='energy' would take the other"
            said.append(f"{kind} from {name!r} ('energy' is up to {apart:.3g} eV away; {why})")
        elif name not in (kind, "free_energy"):
            how = " by -W/V" if "virial" in name.lower() else ""
            said.append(f"{kind} from {name!r}{how}")
    if said:
        warnings.warn(f"{where}: read {', '.join(said)}", stacklevel=4)
