"""Energy of mixing of zincblende SiGe, by the protocol of the data and with more of each setting.

    python research/dft/mixing.py CACHE        three minutes of one core

Cells of 8 atoms with 4 x 4 x 4 k-points, at lattice constants of the data's own equation of state.
"""

import sys
from pathlib import Path

import numpy as np
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent))
import cp2k
from convergence import SETTINGS
from generate import symbols

EDGES = {"Si": 5.463, "Ge": 5.783, "SiGe": 5.615}  # Å
SHOWN = ("protocol", *(name for name in SETTINGS if name.startswith(("grids", "basis"))))


def energy(name, cache, **changes):
    """eV/atom of a crystal: of an element, or zincblende."""
    atoms = bulk("Si", "diamond", a=EDGES[name], cubic=True)
    atoms.symbols[:] = symbols(name, "ordered", 0.5, atoms.repeat(2), None)[:8]
    return cp2k.cached(atoms, cache, **dict(kpoints=(4, 4, 4)) | changes)["energy"] / 8


if __name__ == "__main__":
    for setting in SHOWN:
        pure, mixed = ("Si", "Ge"), "SiGe"
        of = {name: energy(name, sys.argv[1], **SETTINGS[setting]) for name in (*pure, mixed)}
        mixing = of[mixed] - np.mean([of[name] for name in pure])
        print(f"{setting}: {1e3 * mixing:.1f} meV/atom", flush=True)
