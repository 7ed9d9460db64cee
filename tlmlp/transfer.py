"""Transfer: a potential of one element as the start of another's, and what of it may still change.

    start        every weight copied; the new element's embedding row starts as the old element's
    groups       the parts of the network, as one freezes them
    freeze       the mask of what fit may change
    rescale      the same potential in other units of length and energy, exactly

Two crystals of one structure are alike once lengths are measured in lattice constants a and energies in a unit ε:

    E_Ge(r) ≈ e E_Si(r / s)        s = a_Ge / a_Si,  e = ε_Ge / ε_Si

This is the law of corresponding states. `start(..., reduced_units=True)` puts it into the weights: the cutoff grows by s, so
that the network sees r/s; the weights behind the radial Bessel functions make up for their unit, Å^(-3/2); the last layers
are multiplied by e. What comes out is a potential like any other.
"""

from functools import lru_cache

import jax
import numpy as np
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii

from . import dimenet, frames as datasets, graph as graphs
from .potential import Potential
from .train import shift_reference


def groups(potential):
    """Names of the groups of weights: embedding, interaction_1 .., output_0 .. ; the first d are a freezing of depth d.

    embedding holds the elements' rows, the frequencies of the radial basis and the first message; an interaction block
    carries messages on, an output block reads energies from them. Only output blocks are left to train when everything
    before them is frozen.
    """
    n = potential.config.n_blocks
    return [
        "embedding",
        *(f"interaction_{i}" for i in range(1, n + 1)),
        *(f"output_{i}" for i in range(n + 1)),
    ]


def group_of(module):
    """The group that a haiku module of the network belongs to."""
    return (
        module.split("/")[1] if "/" in module else "embedding"
    )  # the frequencies sit at the root, "dimenet"


def sizes(potential):
    """Number of weights of each group, by name."""
    out = dict.fromkeys(groups(potential), 0)
    for module, weights in potential.params.items():
        out[group_of(module)] += sum(w.size for w in weights.values())
    return out


def freeze(potential, names):
    """Mask {module: {weight: whether it is trained}} for `tlmlp.fit(..., trainable=mask)`, with the groups `names` frozen.

    Raises ValueError for a group that the network does not have, and where nothing would be left to train.
    """
    names = _checked(potential, names)
    if len(names) == len(groups(potential)):
        raise ValueError("every group is frozen; leave at least one to train")
    return {
        module: dict.fromkeys(weights, group_of(module) not in names)
        for module, weights in potential.params.items()
    }


def moved(before, after):
    """How far the weights of each group are from where they were, |w - w0| / |w0|, by name; 0 where they were frozen.

    Raises ValueError where the two potentials are not of one network.
    """
    if jax.tree.map(np.shape, before.params) != jax.tree.map(np.shape, after.params):
        raise ValueError(
            "weights can only be compared within one network; these two have different shapes"
        )
    change, length = (dict.fromkeys(groups(before), 0.0) for _ in range(2))
    for module, weights in before.params.items():
        for name, w in weights.items():
            w = np.asarray(w, float)
            change[group_of(module)] += np.square(
                np.asarray(after.params[module][name], float) - w
            ).sum()
            length[group_of(module)] += np.square(w).sum()
    return {name: float((change[name] / length[name]) ** 0.5) for name in change}


def start(
    source,
    element,
    train,
    reduced_units=False,
    lattice_ratio=None,
    reinitialise=(),
    seed=0,
    shapes=3,
):
    """A Potential for `element` that starts from what `source` knows of another one.

    source: a trained Potential with a row for `element` (or one already trained on it); train: list of ase.Atoms of the new
    element with energy and forces, to which the reference energy is fitted; reduced_units: scale lengths by the ratio of
    the lattice constants and energies by a factor fitted to the forces of `train`, instead of copying; lattice_ratio:
    that ratio, new over old [default: from the volumes of `train` and the diamond lattice of `source`, see
    `lattice_ratio_of`]; reinitialise: groups to fill with random weights instead, from `seed`; shapes: as fit has it.

    In reduced units the result no longer speaks silicon (`trained` is the new element alone):
    `rescale(p, 1 / s, 1 / e)` with s and e from `p.info["transfer"]` brings it back.

    Raises ValueError for an element that source has no row for, a source without training, a group that does not exist,
    frames of other elements or without labels, and a ratio that is not positive.
    """
    if element not in source.elements:
        raise ValueError(
            f"the source has embedding rows for {', '.join(source.elements)}, none for {element}; "
            f"train it with elements that include {element}"
        )
    if not source.trained:
        raise ValueError(
            "the source has never been trained; train it or load a shipped potential first"
        )
    reinitialise = _checked(source, reinitialise)
    train = datasets.check(list(train))
    for atoms in train:
        graphs.species_of(atoms, source.elements)
    others = sorted(
        {s for atoms in train for s in atoms.get_chemical_symbols()} - {element, *source.trained}
    )
    if others or not any(element in atoms.get_chemical_symbols() for atoms in train):
        raise ValueError(
            f"the training frames must hold {element} (and elements that the source was trained on, no others)"
        )
    if lattice_ratio is not None and not (reduced_units and 0 < lattice_ratio < np.inf):
        raise ValueError(
            f"lattice_ratio must be a positive number and go with reduced_units=True, not {lattice_ratio!r}"
        )

    potential = source
    if element not in source.trained:
        table = np.array(source.params["dimenet/embedding"]["elements"])
        table[source.elements.index(element)] = table[source.elements.index(source.trained[0])]
        embedding = source.params["dimenet/embedding"] | {"elements": table}
        potential = source.replace(params=source.params | {"dimenet/embedding": embedding})
    scale = dict(length=1.0, energy=1.0)
    if reduced_units:
        scale["length"] = float(lattice_ratio or lattice_ratio_of(source, train))
        potential = rescale(potential, **scale)
        # one factor for all forces, least squares through the origin
        now = np.concatenate(
            [
                atoms.get_forces().ravel()
                for atoms in potential.replace(trained=()).predict(train, shapes)
            ]
        )
        wanted = np.concatenate(
            [atoms.get_forces(apply_constraint=False).ravel() for atoms in train]
        )
        scale["energy"] = float(now @ wanted / (now @ now))
        if not scale["energy"] > 0:
            raise ValueError(
                "forces of the source and of the training frames point apart; copy the weights instead"
            )
        potential = rescale(potential, 1.0, scale["energy"])
    if reinitialise:
        fresh = Potential.create(potential.config, potential.elements, seed).params
        chosen = {module: fresh[module] for module in fresh if group_of(module) in reinitialise}
        potential = potential.replace(params=potential.params | chosen)
    info = dict(
        source=source.info.get("recipe"),
        element=element,
        reduced_units=bool(reduced_units),
        **scale,
    )
    potential = potential.replace(
        trained=(element,)
        if reduced_units
        else tuple(e for e in source.elements if e in {element, *source.trained}),
        info=dict(transfer=info | {"reinitialised": sorted(reinitialise)}),
    )
    return shift_reference(potential, train, shapes)


def rescale(potential, length, energy):
    """The same potential in other units: E'(r) = energy E(r / length), exactly, for all distances beyond `core`.

    length, energy: positive numbers, of new units per old one.
    """
    if not (0 < length < np.inf and 0 < energy < np.inf):
        raise ValueError(f"units must be positive numbers, not {length!r} and {energy!r}")
    c = potential.config
    params = {module: dict(weights) for module, weights in potential.params.items()}
    for module, weights in params.items():
        kind = group_of(module).partition("_")[0]
        if (
            module.count("/") == 1
        ):  # what is multiplied by the radial Bessel functions, which carry Å^(-3/2)
            name = {"embedding": "rbf", "interaction": "rbf1", "output": "rbf"}[kind]
            weights[name] = np.asarray(weights[name]) * np.float32(length**1.5)
        if module.endswith("/final"):
            weights["w"] = np.asarray(weights["w"]) * np.float32(energy)
    config = type(c)(**{**c.__dict__, "cutoff": c.cutoff * length})
    reference = tuple(r * energy for r in potential.reference)
    return potential.replace(
        config=config, params=params, reference=reference, core=potential.core * length
    )


def lattice_ratio_of(source, train):
    """Lattice constant of the new element over that of the source's, both in the diamond structure.

    New: edge of a cube of 8 atoms with the median volume per atom of `train`, which a few strained cells, vacancies and slabs
    do not move. Where many frames are liquids or under pressure, it is not the crystal's: then give `start` the ratio yourself.
    Old: where the source's own energy of the perfect lattice is smallest. Raises ValueError where no frame is periodic.
    """
    volumes = [atoms.get_volume() / len(atoms) for atoms in train if atoms.pbc.all()]
    if not volumes:
        raise ValueError(
            "the training frames have no volume (not periodic); give the lattice_ratio yourself"
        )
    return float((8 * np.median(volumes)) ** (1 / 3) / lattice_constant(source))


def lattice_constant(potential, element=None):
    """Diamond lattice constant in Å with the smallest energy, for the first element the potential was trained on."""
    element = element or potential.trained[0]
    middle = 8 / 3**0.5 * covalent_radii[atomic_numbers[element]]  # within 10 % of the truth
    for step in (0.01, 0.001):  # first a wide look, then a close one
        lengths = middle * (1 + step * np.arange(-15, 21))
        energies = _energies(potential, [bulk(element, "diamond", a=a) for a in lengths])
        middle = lengths[np.argmin(energies)]
    a, b, _ = np.polyfit(lengths - middle, energies, 3)[-3:]
    return float(middle - b / (2 * a))


def _energies(potential, frames):
    """Network energies in eV of small structures, in one call."""
    graph = graphs.from_atoms(frames, potential.elements, potential.config.cutoff)
    energies = _apply(potential.config, len(potential.elements))(potential.params, graph)
    return np.bincount(graph.structure, np.asarray(energies, float), len(frames))


@lru_cache(maxsize=8)
def _apply(config, n_elements):
    return jax.jit(dimenet.transform(config, n_elements).apply)


def _checked(potential, names):
    names, known = {names} if isinstance(names, str) else set(names), groups(potential)
    if names - set(known):
        raise ValueError(
            f"no group {', '.join(sorted(map(repr, names - set(known))))}; there are {', '.join(known)}"
        )
    return names
