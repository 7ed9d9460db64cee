"""Transfer: a potential of one element is the start of another's, and parts of it may be frozen.

Every weight is copied; the new element's embedding row starts as that of the first element that the
source was trained on. Two crystals of one structure are alike once lengths are measured in lattice
constants a and energies in a unit ε:

    E_Ge(r) ≈ e E_Si(r / s)        s = a_Ge / a_Si,  e = ε_Ge / ε_Si

`start(..., reduced_units=True)` puts this law of corresponding states into the weights: the cutoff
grows by s, so that the network sees r/s; the weights behind the radial Bessel functions make up for
their unit, Å^(-3/2); the last layers are multiplied by e.
"""

from collections.abc import Collection
from dataclasses import replace

import jax
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii

from . import crystal, frames as datasets, repulsion
from .graph import Frames, Shapes
from .potential import Potential
from .reference import shift_reference
from .refusal import positive, refuse
from .train import Mask


def groups(potential: Potential) -> list[str]:
    """Names of the groups of weights; the first d of them are a freezing of depth d.

    embedding has the elements' rows, the radial frequencies and the first message; interaction_1,
    .. carry messages on; output_0, .. read energies from them.
    """
    n = potential.network.n_blocks
    interactions = [f"interaction_{i}" for i in range(1, n + 1)]
    return ["embedding", *interactions, *(f"output_{i}" for i in range(n + 1))]


def group_of(module: str) -> str:
    """The group of a haiku module; the frequencies sit at the root, "dimenet"."""
    return module.split("/")[1] if "/" in module else "embedding"


def sizes(potential: Potential) -> dict[str, int]:
    """Number of weights of each group, by name."""
    out = dict.fromkeys(groups(potential), 0)
    for module, weights in potential.params.items():
        out[group_of(module)] += sum(w.size for w in weights.values())
    return out


def freeze(potential: Potential, names: str | Collection[str]) -> Mask:
    """Mask for `tlmlp.fit(..., trainable=mask)`, with the groups `names` frozen.

    Raises ValueError for a group that the network does not have, and where none is left to train.
    """
    names, known = {names} if isinstance(names, str) else set(names), groups(potential)
    unknown = ", ".join(sorted(map(repr, names - set(known))))
    refuse(unknown, f"no group {unknown}; there are {', '.join(known)}")
    refuse(len(names) == len(known), "every group is frozen; leave at least one to train")
    trains = lambda module: group_of(module) not in names
    return {m: dict.fromkeys(weights, trains(m)) for m, weights in potential.params.items()}


def moved(before: Potential, after: Potential) -> dict[str, float]:
    """|w - w0| / |w0| of each group's weights; ValueError for potentials of two networks."""
    shapes = [jax.tree.map(np.shape, potential.params) for potential in (before, after)]
    words = "weights can only be compared within one network; these two have different shapes"
    refuse(shapes[0] != shapes[1], words)
    change, length = (dict.fromkeys(groups(before), 0.0) for _ in range(2))
    for module, weights in before.params.items():
        for name, w in weights.items():
            w, w_after = (np.asarray(x, float) for x in (w, after.params[module][name]))
            change[group_of(module)] += np.square(w_after - w).sum()
            length[group_of(module)] += np.square(w).sum()
    return {name: float((change[name] / length[name]) ** 0.5) for name in change}


def start(
    source: Potential,
    element: str,
    train: Frames,
    reduced_units: bool = False,
    lattice_ratio: float | None = None,
    shapes: Shapes = 3,
) -> Potential:
    """A Potential for `element` that starts from the weights of `source`.

    In reduced units the result is for the new element alone. With `u = p.info["transfer"]`,
    `rescale(p, 1 / u["length"], 1 / u["energy"]).replace(trained=source.trained)` is for the old.

    Args:
        source: a trained Potential.
        element: chemical symbol; where the source has no embedding row for it, one is added.
        train: structures of the new element; the reference energy is fitted to their energies.
        reduced_units: scale lengths by the lattice ratio, energies by a fit to the forces of train.
        lattice_ratio: of lattice constants, new over old [default: lattice_ratio_of, of diamond's].
        shapes: as fit has it.

    Raises ValueError for no training, frames of other elements, no labels, a bad ratio, a linear
    potential or forces that point apart; TypeError where source is no Potential.
    """
    train = _checked(source, element, train, reduced_units)
    bad = lattice_ratio is not None and not (reduced_units and 0 < lattice_ratio < np.inf)
    words = "lattice_ratio must be a positive number and go with reduced_units=True"
    refuse(bad, f"{words}, not {lattice_ratio!r}")
    potential, cutoff = source, source.network.cutoff
    if element not in source.trained:
        weights, reference = source.params["dimenet/embedding"], (*source.reference, 0.0)
        rows = dict(zip(source.elements, np.asarray(weights["elements"])))
        rows[element] = rows[source.trained[0]]
        embedding = weights | {"elements": np.array([*rows.values()])}
        own = dict(params=source.params | {"dimenet/embedding": embedding}, elements=(*rows,))
        potential = potential.replace(**own, reference=reference[: len(rows)])
    length = float(lattice_ratio or lattice_ratio_of(source, train)) if reduced_units else 1.0
    potential, core = rescale(potential, length, 1.0), repulsion.core_of(train, cutoff * length)
    potential = potential.replace(core=min(core, potential.core))
    energy = _energy_ratio(potential, train, shapes) if reduced_units else 1.0
    potential = rescale(potential, 1.0, energy)
    trained = {element, *(() if reduced_units else source.trained)}
    known = tuple(e for e in potential.elements if e in trained)
    units = dict(reduced_units=bool(reduced_units), length=length, energy=energy)
    info = dict(source=source.info.get("recipe"), element=element) | units
    return shift_reference(potential.replace(trained=known, info={"transfer": info}), train, shapes)


def with_replay(train: Frames, old: Frames) -> list[Atoms]:
    """`train` and `old` in one list, the smaller set repeated: each gets half of a fit's steps.

    `old` are structures that the source was trained on, or some with its own predictions as labels,
    `source.predict(frames)` (Li and Hoiem, arXiv 1606.09282); without any it is `train`.
    """
    sets = [datasets.check(frames) for frames in (train, old) if frames is train or frames]
    most = max(map(len, sets))
    return [atoms for frames in sets for atoms in [*frames] * round(most / len(frames))]


def _checked(source: Potential, element: str, train: Frames, forces: bool) -> list[Atoms]:
    """The frames, where `source` can start a potential for `element` on them."""
    words = f"source must be a tlmlp.Potential, not {type(source).__name__}"
    refuse(not isinstance(source, Potential), words, TypeError)
    words = "the source has never been trained; train it or load a shipped potential first"
    refuse(not source.trained, words)
    train = datasets.check(train, bool(forces))
    bad = {element} - datasets.symbols_of(datasets.apart(train)[0])
    bad |= datasets.symbols_of(train) - {element, *source.trained}
    words = f"the training frames must hold {element} (and elements that the source was trained on"
    refuse(bad, f"{words}, no others)")
    return train


def _energy_ratio(potential: Potential, train: list[Atoms], shapes: Shapes) -> float:
    """The factor that best makes the potential's forces those of `train` (least squares)."""
    predicted = potential.replace(trained=()).predict(train, shapes)
    forces = lambda atoms: datasets.label(atoms, "forces").ravel()
    now, wanted = (np.concatenate([*map(forces, frames)]) for frames in (predicted, train))
    factor = float(now @ wanted / (now @ now))
    words = "forces of the source and of the training frames point apart; copy the weights instead"
    refuse(not factor > 0, words)
    return factor


def rescale(potential: Potential, length: float, energy: float) -> Potential:
    """The same potential in other units: E'(r) = energy E(r / length), exactly, beyond `core`."""
    positive(length=length, energy=energy)
    c = potential.network
    params = {module: dict(weights) for module, weights in potential.params.items()}
    for module, weights in params.items():
        kind = group_of(module).partition("_")[0]
        if module.count("/") == 1:  # multiplied by radial Bessel functions, which carry Å^(-3/2)
            name = "rbf1" if kind == "interaction" else "rbf"
            weights[name] = np.asarray(weights[name]) * np.float32(length**1.5)
        if module.endswith("/final"):
            weights["w"] = np.asarray(weights["w"]) * np.float32(energy)
    config, core = replace(c, cutoff=c.cutoff * length), potential.core * length
    reference = tuple(r * energy for r in potential.reference)
    return potential.replace(config=config, params=params, reference=reference, core=core)


def lattice_ratio_of(source: Potential, train: Frames) -> float:
    """Lattice constant of the new element over that of the source's, both in the diamond structure.

    New: by the median volume per atom of `train`; where many frames are liquids or under pressure,
    give `start` the ratio. Old: at zero pressure. Raises ValueError where no frame is periodic.
    """
    bound, _ = datasets.apart(train)
    volumes = [atoms.get_volume() / len(atoms) for atoms in bound if atoms.pbc.all()]
    words = "the training frames have no volume (not periodic); give the lattice_ratio yourself"
    refuse(not volumes, words)
    symbol = source.trained[0]
    guess = 8 / 3**0.5 * covalent_radii[atomic_numbers[symbol]]  # Å, within 10 %
    old = crystal.lattice_constant(bulk(symbol, "diamond", a=guess), source.calculator())
    return float((8 * np.median(volumes)) ** (1 / 3) / old)
