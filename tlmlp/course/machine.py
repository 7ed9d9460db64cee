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
        return "\n".join(
            f"{x.state:5}{x.what:22}{x.found}{'  -> ' + x.advice if x.advice else ''}" for x in self
        )

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
    return Report(
        [
            _python(),
            *map(_package, PACKAGES),
            _viewer(),
            _device(),
            _memory(),
            _weights(),
            _dft(),
            _mlearn(),
            _writable(),
        ]
    )


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
        return Line(
            "fail", PACKAGES[name], found, f"This version {reason}, then restart the kernel."
        )
    return Line("ok", PACKAGES[name], found)


def _viewer():
    """Whether nglview's Python side asks for the front end that JupyterLab has."""
    import json

    from jupyter_core.paths import jupyter_path

    spec = util.find_spec("nglview")
    if spec is None:
        return Line(
            "fail", "viewer", "missing", "Without nglview no atoms move: pip install nglview==4.0"
        )
    text = (Path(spec.origin).parent / "_frontend.py").read_text()
    wanted = text.split("=")[1].strip().strip("'\"")
    found = None
    for folder in jupyter_path("labextensions"):
        file = Path(folder) / "nglview-js-widgets" / "package.json"
        if file.is_file():
            found = json.loads(file.read_text())["version"]
            break
    if found is None:
        return Line(
            "fail",
            "viewer",
            "no front end",
            "JupyterLab will show no atoms: pip install --force-reinstall nglview==4.0",
        )
    if found != wanted:
        advice = "The two sides of nglview differ, so no atoms will be shown: pip install --force-reinstall nglview==4.0"
        return Line("fail", "viewer", f"asks for {wanted}, finds {found}", advice)
    return Line("ok", "viewer", f"both sides {found}")


def _device():
    import jax

    devices = jax.devices()
    if devices[0].platform == "gpu":
        return Line("ok", "device", ", ".join(d.device_kind for d in devices))
    cores = cores()
    return Line(
        "ok",
        "device",
        f"CPU, {cores:g} core{'s' if cores != 1 else ''}",
        "" if cores >= 2 else "One core: have patience.",
    )


def cores():
    """Cores this process may use, also where a container gives it a share of them."""
    cores = float(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
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
        return Line(
            "fail",
            "memory",
            found,
            "The kernel may be killed: shut down other kernels (Kernel, Shut Down All).",
        )
    if free < 1.5:
        return Line(
            "warn", "memory", found, "Enough for one notebook: shut down the kernels of others."
        )
    return Line("ok", "memory", found)


def _weights():
    from ..potential import shipped

    found = shipped()
    if not found:
        return Line(
            "fail",
            "shipped potentials",
            "none",
            "The installation is incomplete: install tlmlp again.",
        )
    return Line(
        "ok", "shipped potentials", f"{len(found)}, such as {found[-1]}; `tlmlp list` names all"
    )


def _dft():
    from .. import datasets

    if all(
        (datasets.DFT / f"{e}-{split}.extxyz.xz").is_file()
        for e in ("Si", "Ge")
        for split in ("train", "test")
    ):
        return Line("ok", "DFT data", "structures of Si and Ge come with the package")
    return Line(
        "fail", "DFT data", "not complete", "The installation is incomplete: install tlmlp again."
    )


def _mlearn():
    import pooch

    mirror = os.environ.get("TLMLP_DATA")
    folder = Path(mirror).expanduser() if mirror else Path(pooch.os_cache("tlmlp"))
    names = [
        s
        for s in ("Si", "Ge")
        if all((folder / "mlearn" / s / f).is_file() for f in ("training.json", "test.json"))
    ]
    if len(names) == 2:
        return Line("ok", "public DFT data", "mlearn's Si and Ge at hand")
    if mirror:
        advice = "TLMLP_DATA names a folder without mlearn/Si and mlearn/Ge: put them there, or unset it to download them."
        return Line(
            "warn",
            "public DFT data",
            f"mlearn: {names[0]} alone" if names else "mlearn is not there",
            advice,
        )
    return Line(
        "ok",
        "public DFT data",
        "mlearn is fetched (5 MB) by what asks for it; no cell of the notebooks does",
    )


def _writable():
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd(), prefix=".tlmlp"):
            return Line("ok", "this folder", "writable")
    except OSError:
        return Line(
            "warn",
            "this folder",
            "not writable",
            "You cannot save potentials here: copy the notebook elsewhere.",
        )


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
