"""tlmlp: transfer learning of machine-learning potentials across chemical elements, a course and its library."""

import importlib
import os
from importlib.metadata import PackageNotFoundError, version

# JAX would take three quarters of a graphics card as soon as it is used; this way two notebooks can share one. Only in effect
# where jax has not computed anything yet, and where the user has not said otherwise.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

try:
    __version__ = version("tlmlp")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "unknown"

# Names of the package and the module each lives in, imported when it is first used: `import tlmlp` and the command line
# stay quick, and only what draws imports matplotlib and nglview.
_HOME = {
    "Config": "dimenet",
    "Potential": "potential",
    "Errors": "potential",
    "shipped": "potential",
    "fit": "train",
    "Progress": "train",
    "Weights": "train",
    "from_chemtrain": "chemtrain",
}
_MODULES = (
    "allocator",
    "bessel",
    "chemtrain",
    "course",
    "datasets",
    "dimenet",
    "elements",
    "graph",
    "potential",
    "properties",
    "recipes",
    "repulsion",
    "show",
    "simulate",
    "stillinger_weber",
    "sweep",
    "train",
    "transfer",
)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME, *_MODULES])
