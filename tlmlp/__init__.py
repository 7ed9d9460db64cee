"""tlmlp: transfer learning of machine-learning potentials across chemical elements, a course and its library."""

import importlib
from importlib.metadata import PackageNotFoundError, version

from . import datasets, dimenet, elements, graph, potential, train
from .chemtrain import from_chemtrain
from .dimenet import Config
from .potential import Errors, Potential
from .train import Progress, Weights, fit

try:
    __version__ = version("tlmlp")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "unknown"


def __getattr__(name):
    """What draws or asks the machine is imported when it is first used: `import tlmlp` stays quick."""
    if name in ("show", "course", "recipes"):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
