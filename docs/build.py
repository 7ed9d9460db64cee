"""The API reference, from the docstrings: HTML pages in a folder.

    pip install -e ".[docs]" && python docs/build.py site
"""

import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import tlmlp


def public():
    """Names of the modules that a reader looks up: without the command line, and without private ones."""
    yield "tlmlp"
    for module in pkgutil.walk_packages(tlmlp.__path__, "tlmlp."):
        if not any(part.startswith("_") for part in module.name.split(".")) and module.name != "tlmlp.cli":
            yield module.name


def build(folder):
    warnings.simplefilter("error", UserWarning)  # pdoc warns of what it cannot import
    pdoc.render.configure(docformat="google", math=True, footer_text=f"tlmlp {tlmlp.__version__}")
    pdoc.pdoc(*public(), output_directory=Path(folder))


if __name__ == "__main__":
    build(sys.argv[1] if len(sys.argv) > 1 else "site")
