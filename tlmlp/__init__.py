"""tlmlp: transfer learning of machine-learning potentials across chemical elements.

A course and its library. Every name is imported when it is first used: `import tlmlp` is quick, and
only what draws imports matplotlib and nglview.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

HOMES = dict(Config="dimenet", Errors="potential", Potential="potential", shipped="potential")
HOMES |= dict(Progress="train", Weights="train", fit="train", from_chemtrain="chemtrain")
HOMES |= dict(Consistency="consistency")
MODULES = "alchemy course datasets lammps linear properties recipes".split()
MODULES += "show simulate sweep transfer uncertainty".split()
__all__ = ["__version__", *HOMES, *MODULES]

try:
    __version__ = version("tlmlp")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    """A name of `__all__`, or any module of the package."""
    home = f"{__name__}.{HOMES.get(name, name)}"
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(module, name) if name in HOMES else module


def __dir__() -> list[str]:
    return sorted(__all__)
