"""Is this computer ready for the notebooks, and how much may it be asked to do?

The doctor is for broken installations too: this file imports no other of ours, and packages that
may be missing where they are used.
"""

import html
import json
import os
import platform
import tempfile
from importlib import metadata, resources
from pathlib import Path
from typing import NamedTuple

WEIGHTS = resources.files("tlmlp") / "weights"
DFT = resources.files("tlmlp") / "data" / "dft"
SMALL = 3.0  # GB; with less, we are on Binder or a computer like it
AGAIN = "The installation is incomplete: install tlmlp again."
VIEWER = "pip install --force-reinstall nglview==4.0.1"
PACKAGES = {"jax": "jax", "dm-haiku": "haiku", "optax": "optax", "ase": "ASE", "nglview": "nglview"}
# (package, version): why it must not be there, and what to do.
BAD_VERSIONS = {
    ("jax", "0.10.2"): 'computes wrong numbers on CPU: pip install "jax!=0.10.2"',
    ("jax", "0.11.1"): 'breaks flax, which jax-md needs: pip install "jax!=0.11.1"',
}
SHOWN = dict(ok=("#009E73", "✓ ok"), warn=("#B87A00", "! look"), fail=("#D55E00", "✗ fail"))


class Line(NamedTuple):
    """One line of the doctor's table."""

    state: str  # "ok", "warn" or "fail"
    what: str
    found: str
    advice: str = ""


class Report(list):
    """Lines of the doctor; shows itself as a table. `ok` is False where a line fails."""

    @property
    def ok(self) -> bool:
        return all(line.state != "fail" for line in self)

    def __repr__(self):
        advice = lambda line: f"  -> {line.advice}" if line.advice else ""
        return "\n".join(f"{x.state:5}{x.what:22}{x.found}{advice(x)}" for x in self)

    def _repr_html_(self):
        style, out = "text-align:left; padding:2px 14px 2px 0; vertical-align:top", ""
        for line in self:
            colour, sign = SHOWN[line.state]
            bar = f"border-left:4px solid {colour}; padding-left:8px; white-space:nowrap"
            head = f'<b style="{bar}">{sign}</b>'
            cells = head, *map(html.escape, line[1:])
            out += "<tr>" + "".join(f'<td style="{style}">{x}</td>' for x in cells) + "</tr>"
        return f"<table>{out}</table>"


def doctor() -> Report:
    """A table of what this computer has and lacks, with what to do about it. Downloads nothing."""
    rest = _viewer, _device, memory, _weights, _dft, _mlearn, _compiled, _writable
    python = Line("ok", "Python", platform.python_version())
    return Report([python, *map(_package, PACKAGES), *(look() for look in rest)])


def _package(name):
    try:
        found, advice = metadata.version(name), ""
    except metadata.PackageNotFoundError:
        found, advice = "missing", f"Install it: pip install {name}"
    if reason := BAD_VERSIONS.get((name, found)):
        advice = f"This version {reason}, then restart the kernel."
    return Line("fail" if advice else "ok", PACKAGES[name], found, advice)


def front_end():
    """Version of the front end that the installed nglview ships; None without nglview.

    4.0.1 asks for another one, and shows nothing: whoever makes a view must ask for this one.
    """
    try:
        files = metadata.files("nglview") or []
    except metadata.PackageNotFoundError:
        return None
    found = [f for f in files if str(f).endswith("labextensions/nglview-js-widgets/package.json")]
    return json.loads(found[0].locate().read_text())["version"] if found else None


def _viewer():
    """Whether JupyterLab has the front end that the views of this package ask for."""
    from jupyter_core.paths import jupyter_path

    wanted = front_end()
    if wanted is None:
        return Line("fail", "viewer", "missing", f"Without nglview no atoms move: {VIEWER}")
    places = [Path(p) / "nglview-js-widgets" for p in jupyter_path("labextensions")]
    files = [p / "package.json" for p in places if (p / "package.json").is_file()]
    if not files:
        return Line("fail", "viewer", "no front end", f"JupyterLab will show no atoms: {VIEWER}")
    found = json.loads(files[0].read_text())["version"]
    if found == wanted:
        return Line("ok", "viewer", f"both sides {found}")
    advice = f"The two sides of nglview differ, so no atoms will be shown: {VIEWER}"
    return Line("fail", "viewer", f"asks for {wanted}, finds {found}", advice)


def _device():
    import jax

    devices = jax.devices()
    if devices[0].platform == "gpu":
        return Line("ok", "device", ", ".join(d.device_kind for d in devices))
    n = cores()
    found = f"CPU, {n:g} core{'s' if n != 1 else ''}"
    return Line("ok", "device", found, "" if n >= 2 else "One core: have patience.")


def cores() -> float:
    """Cores this process may use, also where a container gives it a part of them."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _numbers(_read("/sys/fs/cgroup/cpu.max"))  # and its period, where there is a quota
    given = [quota[0] / quota[1]] if len(quota) == 2 else []
    return min([float(own or 1), *given, *_numbers(os.environ.get("CPU_LIMIT", ""))])


def memory_limit() -> float:
    """Memory in GB that this process may use: the machine's, or less inside a container."""
    import psutil

    files = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    texts = [*map(_read, files), os.environ.get("MEM_LIMIT", "")]
    return min([psutil.virtual_memory().total, *_numbers(" ".join(texts))]) / 1e9


def _read(file):
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def _numbers(text):
    """Those above 0; where a container has no limit, the kernel writes "max"."""
    return [float(x) for x in text.split() if x.replace(".", "", 1).isdigit() and float(x)]


def memory() -> Line:
    """Whether memory is left for one more notebook; with advice where it is short."""
    import psutil

    limit, own = memory_limit(), psutil.Process().memory_info().rss / 1e9
    n, others = _other_kernels()
    free = min(psutil.virtual_memory().available / 1e9, limit - own - others)
    found = f"{free:.1f} of {limit:.1f} GB free"
    found += f", {n} other kernel{'s' * (n > 1)} hold{'s' * (n == 1)} {others:.1f} GB" if n else ""
    if free < 0.7:
        advice = "The kernel may be killed: shut down other kernels (Kernel, Shut Down All)."
        return Line("fail", "memory", found, advice)
    advice = "" if free >= 1.5 else "Enough for one notebook: shut down the kernels of others."
    return Line("warn" if advice else "ok", "memory", found, advice)


def _other_kernels():
    """(number, GB) of the other Jupyter kernels that can be seen from here."""
    import psutil

    sizes = []
    for process in psutil.process_iter(["cmdline", "memory_info", "uids"]):
        words, used = process.info["cmdline"] or (), process.info["memory_info"]
        mine = process.info["uids"] and process.info["uids"].real == os.getuid()
        other = process.pid != os.getpid() and any("ipykernel" in word for word in words)
        if mine and other and used:
            sizes.append(used.rss / 1e9)
    return len(sizes), sum(sizes)


def _weights():
    found = sorted(p.name for p in WEIGHTS.iterdir() if p.name.endswith(".safetensors"))
    if not found:
        return Line("fail", "shipped potentials", "none", AGAIN)
    words = f"{len(found)}, such as {found[-1].removesuffix('.safetensors')}"
    return Line("ok", "shipped potentials", f"{words}; `tlmlp list` names all")


def _dft():
    files = [f"{e}-{split}.extxyz.xz" for e in ("Si", "Ge") for split in ("train", "test")]
    if all((DFT / file).is_file() for file in files):
        return Line("ok", "DFT data", "structures of Si and Ge come with the package")
    return Line("fail", "DFT data", "not complete", AGAIN)


def _mlearn():
    import pooch

    what, mirror = "public DFT data", os.environ.get("TLMLP_DATA")
    folder = Path(mirror or pooch.os_cache("tlmlp")).expanduser() / "mlearn"
    files = [folder / s / f"{split}.json" for s in ("Si", "Ge") for split in ("training", "test")]
    if all(file.is_file() for file in files):
        return Line("ok", what, "mlearn's Si and Ge at hand")
    if mirror:
        advice = "TLMLP_DATA names a folder without mlearn/Si and mlearn/Ge: "
        advice += "put them there, or unset it to download them."
        return Line("warn", what, "mlearn is not there, or not complete", advice)
    words = "mlearn is fetched (5 MB) by what asks for it; no cell of the notebooks does"
    return Line("ok", what, words)


def _compiled():
    """Where programs are kept, and how many, as tlmlp/compiled.py decides it."""
    import jax
    import pooch

    what, said = "compiled programs", os.environ.get("TLMLP_COMPILATION_CACHE", "")
    usual = Path(pooch.os_cache("tlmlp"), "compiled")
    place = jax.config.jax_compilation_cache_dir or said or usual
    if place == "off" or not jax.config.jax_enable_compilation_cache:
        return Line("ok", what, "not kept: each kernel compiles anew")
    place = Path(place).expanduser()
    sizes = [file.stat().st_size for file in place.glob("*-cache")]
    found = f"{len(sizes)} in {place}, {sum(sizes) / 1e6:.0f} MB"
    if os.access(next(p for p in (place, *place.parents) if p.exists()), os.W_OK):
        return Line("ok", what, found)
    advice = "Each kernel compiles anew: TLMLP_COMPILATION_CACHE can name another folder."
    return Line("warn", what, f"{place} cannot be written", advice)


def _writable():
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd(), prefix=".tlmlp"):
            return Line("ok", "this folder", "writable")
    except OSError:
        advice = "You cannot save potentials here: copy the notebook elsewhere."
        return Line("warn", "this folder", "not writable", advice)


def mode() -> str:
    """How much this computer may be asked to do: "gpu", "cpu", or "binder" (little memory).

    The environment variable TLMLP_MODE overrides it, to see what others see.
    """
    if chosen := os.environ.get("TLMLP_MODE"):
        if chosen not in ("gpu", "cpu", "binder"):
            raise ValueError(f"TLMLP_MODE must be gpu, cpu or binder, not {chosen!r}")
        return chosen
    import jax

    if jax.default_backend() == "gpu":
        return "gpu"
    return "binder" if "BINDER_SERVICE_HOST" in os.environ or memory_limit() < SMALL else "cpu"
