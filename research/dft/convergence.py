"""What the settings of the protocol cost in accuracy, on four structures that VASP has computed.

    python research/dft/convergence.py CACHE

writes convergence.csv beside this file; a stopped run continues. The structures are mlearn's, of
VASP with dense k-points.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from ase import units

sys.path.insert(0, str(Path(__file__).parent))
import cp2k

from tlmlp import datasets

# A solid and a liquid of each element: number in the test set of mlearn.
STRUCTURES = {
    "Si liquid": ("Si", 15),
    "Ge solid": ("Ge", 14),
    "Ge liquid": ("Ge", 10),
    "Si solid": ("Si", 14),
}

TIGHT = dict(cutoff=400, rel_cutoff=60, eps_default=1e-10, eps_scf=1e-6)
SETTINGS = {
    "protocol": {},
    "k-points: Γ": dict(kpoints=None),
    "k-points: 3 x 3 x 3": dict(kpoints=(3, 3, 3)),
    "grids and SCF: 400 Ry, rel 60, eps 1e-10, SCF 1e-6": TIGHT,
    "basis: TZV2P-MOLOPT-PBE (UZH)": dict(
        basis="TZV2P-MOLOPT-PBE-GTH-q4", basis_file="BASIS_MOLOPT_UZH"
    ),
    "cutoff: 160 Ry": dict(cutoff=160),
    "electrons at 500 K": dict(temperature=500),
}
COLUMNS = (
    "structure",
    "settings",
    "force_difference",
    "force_difference_max",
    "energy_difference",
    "stress_difference",
    "vasp_force_rmse",
    "vasp_force_slope",
    "vasp_stress_rmse",
    "scf_steps",
    "seconds",
)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


def rows(cache):
    """One row per structure and setting: differences to the protocol and to VASP."""
    frames = {name: datasets.mlearn(symbol, "test")[i] for name, (symbol, i) in STRUCTURES.items()}
    for settings, changes in SETTINGS.items():
        for name, atoms in frames.items():
            ours, base = cp2k.cached(atoms, cache, **changes), cp2k.cached(atoms, cache)
            vasp, difference = atoms.get_forces(), ours["forces"] - base["forces"]
            yield dict(
                structure=name,
                settings=settings,
                force_difference=1e3 * rms(difference),
                force_difference_max=1e3 * float(np.abs(difference).max()),
                energy_difference=1e3 * (ours["energy"] - base["energy"]) / len(atoms),
                stress_difference=rms(ours["stress"] - base["stress"]) / units.GPa,
                vasp_force_rmse=1e3 * rms(ours["forces"] - vasp),
                vasp_force_slope=float(np.sum(ours["forces"] * vasp) / np.sum(vasp**2)),
                vasp_stress_rmse=rms(ours["stress"] - atoms.get_stress()) / units.GPa,
                scf_steps=ours["scf_steps"],
                seconds=round(ours["seconds"], 1),
            )


if __name__ == "__main__":
    table = []
    for row in rows(sys.argv[1]):
        table.append({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
        print(*table[-1].values(), sep=", ", flush=True)
        with open(Path(__file__).with_suffix(".csv"), "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(table)
