"""Weights of chemtrain's DimeNet++ (Röcken & Zavadlav's library, 0.2.0) as a Potential."""

import numpy as np

from .potential import Potential


def from_chemtrain(params, config, species):
    """A Potential with the haiku weights of chemtrain's `dimenetpp_neighborlist`.

    params: {module: {name: array}} as haiku returns it (flat "module:name" keys are fine too); config: the Config of that
    network; species: the embedding row of each element, for instance {"Si": 1}. Reference energies are zero, as there; units
    are whatever the weights were trained in, and this library means eV and Å. Raises ValueError where weights are missing,
    left over or of another shape than config says.
    """
    flat = {}
    for module, value in params.items():
        for name, w in value.items() if isinstance(value, dict) else [(None, value)]:
            key = module if name is None else f"{module}:{name}"
            flat[
                key.removeprefix("params:").removeprefix("DimeNetPP/~/").replace("/~/linear", "")
            ] = np.asarray(w, np.float32)

    potential = Potential.create(config, tuple(species))
    taken, weights = set(), {}
    for module, ws in potential.params.items():
        for name, w in ws.items():
            key = _name(module, name, potential.config)
            if key not in flat:
                raise ValueError(
                    f"these are not chemtrain's DimeNet++ weights for this config: {key} is missing"
                )
            theirs = flat[key]
            if key == "Embedding:Embedding_vect":
                rows = list(species.values())
                if not all(0 <= row < len(theirs) for row in rows):
                    raise ValueError(f"rows in species must be 0 to {len(theirs) - 1}, not {rows}")
                theirs = theirs[rows]
            if theirs.shape != w.shape:
                raise ValueError(f"{key} has shape {theirs.shape}, the config wants {w.shape}")
            weights.setdefault(module, {})[name] = theirs
            taken.add(key)
    if set(flat) - taken:
        raise ValueError(
            f"weights that the config has no place for: {', '.join(sorted(set(flat) - taken)[:3])}"
        )
    return potential.replace(params=weights, info=dict(source="chemtrain"))


def _name(module, name, config):
    """chemtrain's flat name of one of our weights."""
    if module == "dimenet":
        return "BesselRadial:RBF_Frequencies"
    _, block, *layer = module.split("/")
    kind, _, number = block.partition("_")
    if kind == "embedding":
        return {"elements": "Embedding:Embedding_vect", "rbf": "Embedding/~/RBF_Dense:w"}.get(
            name, f"Embedding/~/Concat_Dense:{name}"
        )
    # haiku numbers modules of one name from the second on: Interaction, Interaction_1, ...
    nth = lambda base, n: base if n == 0 else f"{base}_{n}"
    if kind == "output":
        path = nth("Output", int(number))
        if not layer:
            return f"{path}/~/RBF_Dense:w"
        if layer[0].startswith("dense_"):
            return f"{path}/~/{nth('Dense_Series', int(layer[0][6:]) - 1)}:{name}"
        return f"{path}/~/{dict(up='Upprojection', final='Final_output')[layer[0]]}:{name}"
    path = nth("Interaction", int(number) - 1)
    if not layer:
        return f"{path}/~/{name}:w"
    plain = dict(
        dense_kj="Dense_kj",
        dense_ji="Dense_ji",
        down="Downprojection",
        up="Upprojection",
        skip="FinalBeforeSkip",
    )
    if layer[0] in plain:
        return f"{path}/~/{plain[layer[0]]}:{name}"
    when, _, number_and_half = layer[0].partition(
        "_"
    )  # before_1a: first half of the first residual layer
    index = int(number_and_half[:-1]) - 1 + (config.n_residual_before if when == "after" else 0)
    half = nth("ResidualSubLayer", "ab".index(number_and_half[-1]))
    return f"{path}/~/{nth('ResLayer', index)}/~/{half}:{name}"
