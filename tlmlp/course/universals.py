"""What universal potentials predict on our DFT structures: files that ship.

`data/universal/NAME.safetensors` holds, for each SET such as "Ge-test", the frames of
`tlmlp.datasets.dft("Ge", "test")` in their order:

    SET/forces     [atoms of all frames, 3] float32, eV/Å
    SET/energy     [frames] eV; the zero of energy is the model's own

Its head tells the model, its licence, how it was run, and the fingerprint of each set.
`python -m research.universal predict NAME` makes it.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import safetensors
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from .. import datasets
from ..frames import fingerprint
from ..potential import errors_of, header as header_of
from ..properties.slopes import Softening, softening
from ..refusal import one_of, refuse
from .results import METHODS, own_best, rows
from .sources import SOURCES

FOLDER = datasets.DFT.parent / "universal"
PHASES = ("crystal", "liquid")


def names() -> list[str]:
    """The universal potentials whose predictions ship."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def header(name: str) -> dict:
    """Model, package, training data, licence, versions and sets of a file."""
    one_of("universal potential", name, names())
    with safetensors.safe_open(FOLDER / f"{name}.safetensors", "numpy") as file:
        return json.loads(file.metadata()["universal"])


def universal(name: str, element: str = "Ge", split: str = "test") -> list[Atoms]:
    """The frames of `datasets.dft(element, split)`, labelled by a universal potential.

    `name` is one of `names()`. Energies have the zero of their model. Raises ValueError for a set
    that the file does not hold, and where it was made of other structures.
    """
    frames, key = datasets.dft(element, split), f"{element}-{split}"
    known = header(name)["sets"]
    one_of(f"set of {name}", key, known)
    words = f"{name} was evaluated on other structures than dft({element!r}, {split!r})"
    refuse(known[key] != fingerprint(frames), f"{words}: python -m research.universal predict")
    with safetensors.safe_open(FOLDER / f"{name}.safetensors", "numpy") as file:
        forces, energies = (file.get_tensor(f"{key}/{kind}") for kind in ("forces", "energy"))
    return labelled(frames, energies, forces)


def labelled(frames: Sequence[Atoms], energies: np.ndarray, forces: np.ndarray) -> list[Atoms]:
    """Copies of frames with energies [frames] (eV) and forces [atoms of all, 3] (eV/Å)."""
    out = datasets.copies(frames)
    parts = np.split(forces.astype(float), np.cumsum([len(atoms) for atoms in out])[:-1])
    for atoms, energy, own in zip(out, energies, parts):
        atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=own)
    return out


def errors(frames: Sequence[Atoms], predicted: Sequence[Atoms]) -> dict[str, float]:
    """Force MAE and RMSE (meV/Å) and energy RMSE (meV/atom) of predictions.

    The mean difference of the energies per atom is subtracted: other models have other zeros.
    """
    found = errors_of(list(zip(frames, predicted, strict=True)))
    kinds = ("force_mae", "force_rmse", "energy_rmse")
    return {name: round(getattr(found, name), 2) for name in kinds}


def by_phase(frames: Sequence[Atoms], predicted: Sequence[Atoms]) -> dict[str, Softening]:
    """Softening of the crystals and of the liquids."""
    pairs = list(zip(frames, predicted))
    kinds = {name: [p for p in pairs if p[0].info["phase"] == name] for name in PHASES}
    return {name: softening(*zip(*own)) for name, own in kinds.items()}


class Rival(NamedTuple):
    """A potential of germanium, trained on several numbers of structures.

    Of each seed: test force MAE (meV/Å), energy RMSE (meV/atom), and force MAE on silicon.
    """

    words: str
    seeds: dict[int, list[tuple[float, float, float]]]  # by structures of germanium; 0: none
    cost_s: float  # of a call on 64 atoms, on one core


def rivals() -> dict[str, Rival]:
    """Ours at their own best, and universal potentials as they are and fine-tuned, on DFT's data.

    A single structure leaves none for validation: scratch has 800 steps then, transfers have 40.
    """
    known, out = SOURCES["dft"], {}
    costs = {row["model"]: row["cpu_s"] for row in rows("universal-cost")}
    silicon = header_of(known.silicon)["info"]["test_errors"]["force_mae"]
    everything = len(datasets.dft("Ge", "train"))
    ours = [r for r in own_best(rows("own-best")) if r["source"] == "dft" and r["n"] in (0, 10, 50)]
    numbers = lambda row: (row["force_mae"], row["energy_rmse"], row["silicon_force_mae"])
    for method in METHODS:
        seeds: dict = {}
        for row in (r for r in rows("one-structure") + ours if r["method"] == method):
            seeds.setdefault(row["n"] or everything, []).append(numbers(row))
            if row["untrained"] and row["n"] == 10:
                start = row["untrained"][0], row["untrained"][2], silicon
                seeds.setdefault(0, []).append(start)
        out[method] = Rival(method, dict(sorted(seeds.items())), costs[f"ge-dft-course-{method}"])
    tuned = rows("universal-finetuned")
    for name in names():
        sets = [key for key in ("Ge-test", "Si-test") if key in header(name)["sets"]]
        here, *there = (errors(datasets.dft(k[:2], "test"), universal(name, k[:2])) for k in sets)
        on_silicon = there[0]["force_mae"] if there else np.nan
        seeds = {0: [(here["force_mae"], here["energy_rmse"], on_silicon)]}
        own = [row for row in tuned if row["model"] == name]
        grid = [row for row in own if (row["n"], row["seed"]) == (10, 0)]
        best = min(grid, key=lambda row: row["valid_force_rmse"], default={})
        for row in own:
            same = row["n"] != 10 or row["steps"] == best["steps"]
            if same and row["learning_rate"] == best["learning_rate"]:
                seeds.setdefault(row["n"], []).append(numbers(row))
        out[name] = Rival(header(name)["words"], dict(sorted(seeds.items())), costs[name])
    return out
