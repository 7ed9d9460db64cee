"""The API reference, from the docstrings: HTML pages in a folder.

pip install -e ".[docs]" && python docs/build.py site
"""

import sys
import warnings
from pathlib import Path

import pdoc

import tlmlp


def build(folder):
    warnings.simplefilter("error", UserWarning)  # pdoc warns of what it cannot import
    pdoc.render.configure(docformat="google", math=True, footer_text=f"tlmlp {tlmlp.__version__}")
    pdoc.pdoc("tlmlp", "!tlmlp.cli", output_directory=Path(folder))


if __name__ == "__main__":
    build(sys.argv[1] if len(sys.argv) > 1 else "site")
