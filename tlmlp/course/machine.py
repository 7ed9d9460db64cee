"""What the notebooks lean on: is this computer ready, how much may it be asked to do, and is an answer right?

    doctor()        a table: what is there, what is missing, what to do
    mode()          "gpu", "cpu" or "binder"
    check_...       one for each exercise; each says in words what is right or wrong
"""

import html
import os
import platform
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

import numpy as np

SMALL = 3.0  # GB; with less, we are on Binder or a computer like it

# (package, version): why it must not be there, and what to do.
BAD_VERSIONS = {
    ("jax", "0.10.2"): 'computes wrong numbers on CPU: pip install "jax!=0.10.2"',
    ("jax", "0.11.1"): 'breaks flax, which jax-md needs: pip install "jax!=0.11.1"',
    ("nglview", "4.0.1"): 'shows nothing in JupyterLab: pip install "nglview==4.0"',
}
PACKAGES = {"jax": "jax", "dm-haiku": "haiku", "optax": "optax", "ase": "ASE", "nglview": "nglview"}


class Line(NamedTuple):
    """One line of the doctor's table."""

    state: str  # "ok", "warn" or "fail"
    what: str
    found: str
    advice: str = ""


class Report(list):
    """Lines of the doctor; shows itself as a table. `ok` is False where something is bound to go wrong."""

    @property
    def ok(self):
        return all(line.state != "fail" for line in self)

    def __str__(self):
        return "\n".join(f"{x.state:5}{x.what:22}{x.found}{'  -> ' + x.advice if x.advice else ''}" for x in self)

    __repr__ = __str__

    def _repr_html_(self):
        colours = {"ok": "#009E73", "warn": "#B87A00", "fail": "#D55E00"}
        signs = {"ok": "✓ ok", "warn": "! look", "fail": "✗ fail"}
        style = 'style="text-align:left; padding:2px 14px 2px 0; vertical-align:top"'
        rows = (
            f'<tr><td {style}><b style="color:{colours[x.state]}; white-space:nowrap">{signs[x.state]}</b></td>'
            f"<td {style}>{html.escape(x.what)}</td><td {style}>{html.escape(x.found)}</td>"
            f"<td {style}>{html.escape(x.advice)}</td></tr>"
            for x in self
        )
        return "<table>" + "".join(rows) + "</table>"


def doctor():
    """A table of what this computer has and lacks, each line with what to do about it. Downloads nothing."""
    return Report([_python(), *map(_package, PACKAGES), _viewer(), _device(), _memory(), _weights(), _dft(), _mlearn(), _writable()])


def _python():
    found = platform.python_version()
    if sys.version_info < (3, 11):
        return Line("fail", "Python", found, "tlmlp needs Python 3.11 or newer.")
    return Line("ok", "Python", found)


def _package(name):
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Line("fail", PACKAGES[name], "missing", f"Install it: pip install {name}")
    if reason := BAD_VERSIONS.get((name, found)):
        return Line("fail", PACKAGES[name], found, f"This version {reason}, then restart the kernel.")
    return Line("ok", PACKAGES[name], found)


def _viewer():
    """Whether nglview's Python side asks for the front end that JupyterLab has."""
    import json

    from jupyter_core.paths import jupyter_path

    spec = util.find_spec("nglview")
    if spec is None:
        return Line("fail", "viewer", "missing", "Without nglview no atoms move: pip install nglview==4.0")
    text = (Path(spec.origin).parent / "_frontend.py").read_text()
    wanted = text.split("=")[1].strip().strip("'\"")
    found = None
    for folder in jupyter_path("labextensions"):
        file = Path(folder) / "nglview-js-widgets" / "package.json"
        if file.is_file():
            found = json.loads(file.read_text())["version"]
            break
    if found is None:
        return Line("fail", "viewer", "no front end", "JupyterLab will show no atoms: pip install --force-reinstall nglview==4.0")
    if found != wanted:
        advice = "The two sides of nglview differ, so no atoms will be shown: pip install --force-reinstall nglview==4.0"
        return Line("fail", "viewer", f"asks for {wanted}, finds {found}", advice)
    return Line("ok", "viewer", f"both sides {found}")


def _device():
    import jax

    devices = jax.devices()
    if devices[0].platform == "gpu":
        return Line("ok", "device", ", ".join(d.device_kind for d in devices))
    cores = _cores()
    return Line("ok", "device", f"CPU, {cores:g} core{'s' if cores != 1 else ''}", "" if cores >= 2 else "One core: have patience.")


def _cores():
    """Cores this process may use, also where a container gives it a share of them."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, float(quota) / float(period)) if quota != "max" else cores
    except (OSError, ValueError):
        pass
    limit = _number(os.environ.get("CPU_LIMIT"))
    return min(cores, limit) if limit else cores


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def memory_limit():
    """Memory in GB that this process may use: that of the machine, or less inside a container such as Binder's."""
    import psutil

    limits = [psutil.virtual_memory().total]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(_number(Path(file).read_text()))
        except OSError:
            pass
    limits.append(_number(os.environ.get("MEM_LIMIT")))
    return min(x for x in limits if x) / 1e9


def _memory():
    import psutil

    limit = memory_limit()
    free = psutil.virtual_memory().available / 1e9
    free = min(free, limit - psutil.Process().memory_info().rss / 1e9)
    found = f"{free:.1f} of {limit:.1f} GB free"
    if free < 0.7:
        return Line("fail", "memory", found, "The kernel may be killed: shut down other kernels (Kernel, Shut Down All).")
    if free < 1.5:
        return Line("warn", "memory", found, "Enough for one notebook: shut down the kernels of others.")
    return Line("ok", "memory", found)


def _weights():
    from .potential import shipped

    found = shipped()
    if not found:
        return Line("fail", "shipped potentials", "none", "The installation is incomplete: install tlmlp again.")
    return Line("ok", "shipped potentials", f"{len(found)}, such as {found[-1]}; `tlmlp list` names all")


def _dft():
    from . import datasets

    if all((datasets.DFT / f"{e}-{split}.extxyz.xz").is_file() for e in ("Si", "Ge") for split in ("train", "test")):
        return Line("ok", "DFT data", "structures of Si and Ge come with the package")
    return Line("fail", "DFT data", "not complete", "The installation is incomplete: install tlmlp again.")


def _mlearn():
    import pooch

    mirror = os.environ.get("TLMLP_DATA")
    folder = Path(mirror).expanduser() if mirror else Path(pooch.os_cache("tlmlp"))
    names = [s for s in ("Si", "Ge") if all((folder / "mlearn" / s / f).is_file() for f in ("training.json", "test.json"))]
    if len(names) == 2:
        return Line("ok", "public DFT data", "mlearn's Si and Ge at hand")
    if mirror:
        advice = "TLMLP_DATA names a folder without mlearn/Si and mlearn/Ge: put them there, or unset it to download them."
        return Line("warn", "public DFT data", f"mlearn: {names[0]} alone" if names else "mlearn is not there", advice)
    return Line("ok", "public DFT data", "mlearn is fetched (5 MB) by what asks for it; no cell of the notebooks does")


def _writable():
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd(), prefix=".tlmlp"):
            return Line("ok", "this folder", "writable")
    except OSError:
        return Line("warn", "this folder", "not writable", "You cannot save potentials here: copy the notebook elsewhere.")


def mode():
    """How much this computer may be asked to do: "gpu", "cpu" or "binder" (a CPU with little memory).

    The environment variable TLMLP_MODE overrides it, to see what others see.
    """
    chosen = os.environ.get("TLMLP_MODE")
    if chosen:
        if chosen not in ("gpu", "cpu", "binder"):
            raise ValueError(f"TLMLP_MODE must be gpu, cpu or binder, not {chosen!r}")
        return chosen
    import jax

    if jax.default_backend() == "gpu":
        return "gpu"
    return "binder" if "BINDER_SERVICE_HOST" in os.environ or memory_limit() < SMALL else "cpu"


# -- exercises ----------------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """Whether an answer is right, and why. True or False in an `if`."""

    right: bool
    words: str

    def __bool__(self):
        return self.right

    def __repr__(self):
        return f"{'Right' if self.right else 'Not yet'}: {self.words}"

    def _repr_html_(self):
        colour, sign = ("#009E73", "✓ Right.") if self.right else ("#D55E00", "✗ Not yet.")
        return (
            f'<div style="border-left:4px solid {colour}; padding:4px 10px"><b style="color:{colour}">{sign}</b> '
            f"{html.escape(self.words)}</div>"
        )


def _answer(value):
    """A number, or the Verdict that says why it is none."""
    if value is None or value is ...:
        return None, Verdict(False, "put your answer in place of the dots.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None, Verdict(False, f"one number is asked for, not {value!r}.")
    if not np.isfinite(number):
        return None, Verdict(False, f"{number} is not a number that nature knows.")
    return number, None


def check_kinetic_energy(answer, temperature_K):
    """Mean kinetic energy of an atom, in eV, at a temperature in K."""
    from ase.units import kB

    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = 1.5 * kB * temperature_K
    close = lambda x: abs(value - x) < 0.03 * x
    if close(right):
        return Verdict(True, f"3/2 k T = {right:.4f} eV: each of the three directions holds k T / 2.")
    if close(right * 1000):
        return Verdict(False, "that is in meV; the answer is asked for in eV.")
    if close(right / 3):
        return Verdict(False, "that is k T / 2, one direction; an atom moves in three.")
    if close(right * 2 / 3):
        return Verdict(False, "that is k T; count k T / 2 for each of three directions.")
    if close(right * 2):
        return Verdict(False, "that is 3 k T, kinetic and potential energy together; only the kinetic half is asked for.")
    return Verdict(False, f"the equipartition theorem gives each direction k T / 2, with k = {kB:.4e} eV/K.")


def check_force(answer, atoms, atom, axis):
    """Force on one atom along one axis (0, 1 or 2), in eV/Å, against the calculator's own.

    atoms: ase.Atoms with a calculator. The answer may differ by 2 meV/Å or 1 %, whichever is more.
    """
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    force = float(atoms.get_forces()[atom, axis])
    tolerance = max(2e-3, 0.01 * abs(force))
    close = lambda x: abs(value - x) < tolerance
    if close(force):
        return Verdict(True, f"your {value:.4f} eV/Å and the calculator's {force:.4f} eV/Å agree: a force is a slope of the energy.")
    if close(-force):
        return Verdict(False, "right size, wrong sign: atoms are pushed downhill, F = -dE/dx.")
    for factor, words in ((2, "twice too large: the two points are 2 h apart"), (0.5, "half of it: divide by 2 h, not by 4 h")):
        if close(factor * force) or close(-factor * force):
            return Verdict(False, f"{words}.")
    others = atoms.get_forces()[atom]
    for other in range(3):
        if other != axis and (abs(value - others[other]) < tolerance or abs(value + others[other]) < tolerance):
            return Verdict(False, f"that is the force along {'xyz'[other]}; the one along {'xyz'[axis]} is asked for.")
    if abs(value) < 1e-6:
        return Verdict(False, "zero: did the atom move between the two energies? Move atoms.positions, then ask again.")
    return Verdict(
        False, f"{value:.4f} eV/Å is not it. Take the energies of two copies, the atom moved by +h and by -h, with h near 0.01 Å."
    )


def check_constant(answer):
    """By how much forces change (eV/Å) when every atom's energy is shifted by 1 eV."""
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    if abs(value) < 1e-9:
        return Verdict(True, "a constant has no slope. This is why a reference energy can be fitted anew and no force moves.")
    return Verdict(False, "a force is a slope of the energy; lift a hill by a metre, and how much steeper does it get?")


def check_frequency(answer, known, length, energy, mass):
    """A frequency (THz) that the law of corresponding states makes of a known one.

    length, energy, mass: new over old, of lattice constants, energies and atoms' masses.
    """
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = known * (energy / mass) ** 0.5 / length
    close = lambda x: abs(value - x) < 0.01 * abs(x)
    if close(right):
        return Verdict(True, f"{right:.2f} THz: a spring constant is an energy over a length squared, and heavier atoms swing slower.")
    for wrong, words in (
        (known * (energy / mass) / length**2, "that is the ratio of squared frequencies: take the square root"),
        (known * energy**0.5 / length, "and the mass? Germanium's atom is heavier"),
        (known * (energy / mass) ** 0.5, "and the length? A spring constant is an energy over a length squared"),
        (known * (1 / mass) ** 0.5, "the mass is right; now the spring constant, an energy over a length squared"),
        (known * (energy * mass) ** 0.5 / length, "a heavier atom swings slower, not faster: divide by the mass"),
        (known * (energy / mass) ** 0.5 * length, "a longer bond is a softer spring: divide by the length"),
    ):
        if close(wrong):
            return Verdict(False, f"{words}.")
    return Verdict(False, "a frequency is the square root of a spring constant over a mass. What are the units of a spring constant?")


def check_bulk_modulus(answer, c11, c12):
    """Bulk modulus in GPa of a cubic crystal, from its elastic constants in GPa."""
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = (c11 + 2 * c12) / 3
    close = lambda x: abs(value - x) < 0.005 * abs(right)
    if close(right):
        return Verdict(True, f"{right:.1f} GPa: 1 % less volume takes {right / 100:.2f} GPa of pressure.")
    for wrong, words in (
        (c11 + 2 * c12, "that is the stress over the strain of one axis: the volume changes three times as much"),
        ((c11 + c12) / 3, "each axis feels the strain of the two others: C12 counts twice"),
        ((c11 - c12) / 2, "that is a shear modulus, which has no say in a change of volume"),
        (c11, "C11 alone is the answer to a strain of one axis, with the others held"),
        (1000 * right, "that is in MPa; GPa are asked for"),
    ):
        if close(wrong):
            return Verdict(False, f"{words}.")
    return Verdict(False, "strain all three axes by ε: what is the stress along one of them, and by how much does the volume change?")


def check_timestep(answer, timestep, error, allowed):
    """The longest timestep (fs) for which the error of the energy stays below `allowed`.

    error: what it is at `timestep`, in the unit of `allowed`. It grows as the timestep squared.
    """
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = timestep * (allowed / error) ** 0.5
    close = lambda x: abs(value - x) < 0.03 * x
    if close(right):
        return Verdict(True, f"{right:.1f} fs: the error grows as the timestep squared, so the timestep as its square root.")
    for wrong, words in (
        (timestep * allowed / error, "that would be right if the error grew as the timestep; it grows as its square"),
        (timestep * (allowed / error) ** 2, "the other way round: the error is the square of the timestep, so the timestep is its root"),
        (timestep * (error / allowed) ** 0.5, "upside down: a larger error is allowed, so the timestep may be longer"),
    ):
        if close(wrong):
            return Verdict(False, f"{words}.")
    return Verdict(False, f"error = c dt². Find c from the {error:.3g} at {timestep:g} fs, then solve for dt.")
