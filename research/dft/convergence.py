"""What the settings of the protocol cost in accuracy, on a solid and a liquid of each element.

    python research/dft/convergence.py CACHE

writes convergence.csv beside this file. Rows that it has already are kept: delete it to begin anew.
Structures of silicon and germanium are mlearn's, which VASP has computed with dense k-points; those
of tin and carbon are the first ones of their training sets, with fewer settings.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from ase import units

sys.path.insert(0, str(Path(__file__).parent))
import cp2k
import generate

from tlmlp import datasets

# A solid and a liquid of each element: number in the test set of mlearn.
STRUCTURES = {
    "Si liquid": ("Si", 15),
    "Ge solid": ("Ge", 14),
    "Ge liquid": ("Ge", 10),
    "Si solid": ("Si", 14),
}

OWN = {"C solid": ("C", 0), "C liquid": ("C", 1), "Sn solid": ("Sn", 0), "Sn liquid": ("Sn", 1)}
FEW = ("protocol", "k-points: Γ", "k-points: 3 x 3 x 3", "grids and SCF")  # how these begin
CARBON = {"cutoff: 240 Ry": dict(cutoff=240), "cutoff: 500 Ry": dict(cutoff=500)}

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


def settings_for(name):
    """Names of the settings that a structure is computed with."""
    own = [settings for settings in SETTINGS if name not in OWN or settings.startswith(FEW)]
    return own + [*CARBON] if name.startswith("C ") else own


def rows(cache, known):
    """A row per structure and setting not `known`: differences to the protocol, and to VASP."""
    frames = {name: datasets.mlearn(symbol, "test")[i] for name, (symbol, i) in STRUCTURES.items()}
    frames |= {name: generate.structure(symbol, "train", i) for name, (symbol, i) in OWN.items()}
    for settings, changes in (SETTINGS | CARBON).items():
        for name, atoms in frames.items():
            if settings not in settings_for(name) or (name, settings) in known:
                continue
            ours, base = cp2k.cached(atoms, cache, **changes), cp2k.cached(atoms, cache)
            difference = ours["forces"] - base["forces"]
            row = dict(
                structure=name,
                settings=settings,
                force_difference=1e3 * rms(difference),
                force_difference_max=1e3 * float(np.abs(difference).max()),
                energy_difference=1e3 * (ours["energy"] - base["energy"]) / len(atoms),
                stress_difference=rms(ours["stress"] - base["stress"]) / units.GPa,
                scf_steps=ours["scf_steps"],
                seconds=round(ours["seconds"], 1),
            )
            if name in STRUCTURES:
                vasp = atoms.get_forces()
                row |= dict(
                    vasp_force_rmse=1e3 * rms(ours["forces"] - vasp),
                    vasp_force_slope=float(np.sum(ours["forces"] * vasp) / np.sum(vasp**2)),
                    vasp_stress_rmse=rms(ours["stress"] - atoms.get_stress()) / units.GPa,
                )
            yield row


if __name__ == "__main__":
    path = Path(__file__).with_suffix(".csv")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    table = list(csv.DictReader(lines))
    known = {(row["structure"], row["settings"]) for row in table}
    for row in rows(sys.argv[1], known):
        table.append({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
        print(*table[-1].values(), sep=", ", flush=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
