"""Weights of chemtrain's DimeNet++ (Röcken & Zavadlav's library, 0.2.0) as a Potential."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .dimenet import Config, Params
from .potential import Potential, shapes_of_weights
from .refusal import refuse

# chemtrain's names of our layers, where they are neither numbered nor residual.
THEIRS = dict(dense_kj="Dense_kj", dense_ji="Dense_ji", skip="FinalBeforeSkip")
THEIRS |= dict(down="Downprojection", up="Upprojection", final="Final_output")


def from_chemtrain(
    params: Mapping[str, Any], config: Config, species: Mapping[str, int]
) -> Potential:
    """A Potential with the haiku weights of chemtrain's `dimenetpp_neighborlist`.

    `params` are {module: {name: array}} as haiku returns it, or {"module:name": array}; `species`
    has the embedding row of each element: {"Si": 1}. The units that the weights were trained in are
    taken for eV and Å; reference energies are zero, as there. Raises ValueError where weights are
    missing, left over or of another shape than `config` says.
    """
    flat = {}
    for module, value in params.items():
        for name, w in value.items() if isinstance(value, Mapping) else [("", value)]:
            key = f"{module}:{name}".removeprefix("params:").removeprefix("DimeNetPP/~/")
            flat[key.replace("/~/linear", "").removesuffix(":")] = np.asarray(w, np.float32)
    weights: Params = {}
    for module, shapes in shapes_of_weights(config, tuple(species)).items():
        for name, shape in shapes.items():
            key = _name(module, name, config)
            what = "these are not chemtrain's DimeNet++ weights for this config"
            refuse(key not in flat, f"{what}: {key} is missing")
            w = flat.pop(key)
            if key == "Embedding:Embedding_vect":
                rows = list(species.values())
                bad = not all(0 <= row < len(w) for row in rows)
                refuse(bad, f"rows in species must be 0 to {len(w) - 1}, not {rows}")
                w = w[rows]
            refuse(w.shape != shape, f"{key} has shape {w.shape}, the config wants {shape}")
            weights.setdefault(module, {})[name] = w
    left = ", ".join(sorted(flat)[:3])
    refuse(left, f"weights that the config has no place for: {left}")
    zeros = (0.0,) * len(species)
    return Potential(config, tuple(species), weights, zeros, info=dict(source="chemtrain"))


def _name(module: str, name: str, config: Config) -> str:
    """chemtrain's flat name of one of our weights."""
    # haiku numbers modules of one name from the second on: Interaction, Interaction_1, ...
    nth = lambda base, n: base if n == 0 else f"{base}_{n}"
    _, block, layer = (module.split("/") + ["", ""])[:3]
    kind, _, number = block.partition("_")
    if not block:
        return "BesselRadial:RBF_Frequencies"
    if kind == "embedding":
        theirs = {"elements": "Embedding:Embedding_vect", "rbf": "Embedding/~/RBF_Dense:w"}
        return theirs.get(name, f"Embedding/~/Concat_Dense:{name}")
    path = nth("Output", int(number)) if kind == "output" else nth("Interaction", int(number) - 1)
    if not layer:
        return f"{path}/~/{'RBF_Dense' if kind == 'output' else name}:w"
    if layer in THEIRS:
        return f"{path}/~/{THEIRS[layer]}:{name}"
    when, _, which = layer.partition("_")
    if when == "dense":
        return f"{path}/~/{nth('Dense_Series', int(which) - 1)}:{name}"
    # before_1a: first half of the first residual layer
    index = int(which[:-1]) - 1 + (config.n_residual_before if when == "after" else 0)
    half = nth("ResidualSubLayer", "ab".index(which[-1]))
    return f"{path}/~/{nth('ResLayer', index)}/~/{half}:{name}"
