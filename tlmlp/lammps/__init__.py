"""Molecular dynamics in LAMMPS, on one rank or on many: `pair_style tlmlp`.

    pair_style tlmlp
    pair_coeff * * si-sw-course Si      # a potential's name or file, an element for each type

`tlmlp lammps in.melt` runs such a script, and `mpirun -n 4 tlmlp lammps in.melt` on four ranks.
"""

from .plugin import connect
from .script import open_lammps, run

__all__ = ["connect", "open_lammps", "run"]
