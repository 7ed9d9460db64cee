"""Which structures of germanium to label, what to train on them, and with which loss.

    row = list(attempt("farthest", "linear", n=10))[-1]      its errors on test structures

CHOICES draw `n` of the training structures of a source:

    groups       in turn from all groups, as datasets.subset does
    random       each as likely as any other
    by hand      as many of each group as of any other
    farthest     each the farthest from those before, in the features of silicon's network
    committee    a fifth as `groups`; then a fifth at a time, those on whose forces three potentials
                 of one algorithm, trained so far for 400 steps, disagree most
    calm         warm crystals alone ("Solid" by DFT)
    liquid       liquids alone
    strained     strained crystals alone
    calm, more   the same n as `calm`, and n others of all other groups: 2n structures

ALGORITHMS train on them: a linear potential, whose penalty a fifth of the structures chooses, or
the course's network, from random or from silicon's weights.

Features of a structure are means and standard deviations of those of its atoms.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms

from .. import datasets, graph, linear, transfer
from ..frames import knows_forces, label
from ..linear import WEIGHTS
from ..potential import Potential
from ..refusal import is_whole, one_of, refuse
from ..splines import Splines
from ..uncertainty import features
from .runs import Run, energies_alone, padded_shapes, train
from .sources import SOURCES, data
from .transfer_checks import disagreement

CHOICES = {
    "groups": "in turn from all groups",
    "random": "at random",
    "by hand": "as many of each group",
    "farthest": "farthest from each other",
    "committee": "where a committee disagrees",
    "calm": "warm crystals alone",
    "liquid": "liquids alone",
    "strained": "strained crystals alone",
    "calm, more": "crystals, and as many others",
}
ALGORITHMS = {"linear": "linear potential", "scratch": "scratch", "transfer": "transfer"}
# Fields of a Run; a linear potential is solved at once, and has none of the Taylor terms.
LOSSES: dict[str, dict[str, Any]] = {
    "labels": dict(),
    "labels, Taylor": dict(taylor=1.2),
    "energies alone": dict(forces=False),
    "energies, Taylor": dict(forces=False, taylor=1.2, order=1),
}
MEMBERS, ROUNDS, MEMBER_STEPS = 3, 5, 400  # of a committee that chooses
CURVATURES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)  # penalties of a linear potential, in (eV/Å)²/eV²
SPLINES = Splines(5.25, 5.25, 2.1)  # with lengths of 1.05 times silicon's


def group_of(atoms: Atoms) -> str:
    """What kind of structure it is; of Stillinger-Weber's, crystal or liquid."""
    return atoms.info["phase"] if atoms.info["group"] == "MD" else atoms.info["group"]


def choose(
    choice: str, n: int, seed: int = 0, source: str = "dft", algorithm: str = "linear"
) -> list[Atoms]:
    """The structures of a choice, with their labels; `algorithm` is that of its committee.

    Raises ValueError for a name that is none of CHOICES, ALGORITHMS or SOURCES, and where there are
    fewer than n.
    """
    one_of("choice", choice, CHOICES)
    one_of("algorithm", algorithm, ALGORITHMS)
    known, rng = data(source, "Ge")[0], np.random.default_rng(seed)
    words = f"n must be a whole number from 1 to {len(known)}, not {n!r}"
    refuse(not is_whole(n) or n > len(known), words)
    kinds = {k: [a for a in known if group_of(a) == k] for k in dict.fromkeys(map(group_of, known))}
    match choice:
        case "groups":
            return datasets.subset(known, n, seed)
        case "random":
            return [known[k] for k in rng.permutation(len(known))[:n]]
        case "by hand":
            turns = [datasets.subset(own, min(len(own), n), seed) for own in kinds.values()]
            return [own[k] for k in range(n) for own in turns if k < len(own)][:n]
        case "farthest":
            points = described(source)
            return [known[k] for k in farthest(points, n, int(rng.integers(len(points))))]
        case "committee":
            return _by_committee(known, n, seed, source, algorithm)
        case "liquid":
            return datasets.subset(kinds.get("Liquid", kinds.get("liquid", [])), n, seed)
        case "strained":
            refuse("Strained" not in kinds, f"the data of {source} have no strained crystals")
            return datasets.subset(kinds["Strained"], n, seed)
    calm = kinds.get("Solid", kinds.get("crystal", []))
    own = datasets.subset(calm, n, seed)
    if choice == "calm":
        return own
    others = [a for a in known if not any(a is b for b in calm)]
    return own + datasets.subset(others, n, seed)


@lru_cache
def described(source: str) -> np.ndarray:
    """[structures, D] features of a source's training structures, each of unit spread."""
    silicon = Potential.load(SOURCES[source].silicon)
    as_silicon = data(source, "Ge")[0]
    for atoms in as_silicon:
        atoms.symbols[:] = "Si"
    each = np.array([np.concatenate([f.mean(0), f.std(0)]) for f in features(silicon, as_silicon)])
    each /= np.maximum(each.std(0), 1e-9)
    each.setflags(write=False)
    return each


def farthest(points: np.ndarray, n: int, first: int) -> list[int]:
    """Indices of n of the points [N, D], each the farthest from all before it."""
    chosen, away = [first], np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < n:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def _by_committee(known, n, seed, source, algorithm):
    """n of the known structures, in ROUNDS, by the disagreement of MEMBERS potentials."""
    step = max(1, n // ROUNDS)
    own = datasets.subset(known, max(step, min(2, n)), seed)  # one structure makes no committee
    while len(own) < n:
        rest = [a for a in known if not any(a is b for b in own)]
        members = committee(own, seed, source, algorithm)
        shapes = shapes_of(source, members[0].elements, members[0].config.cutoff)
        order = np.argsort(disagreement(members, rest, shapes))[::-1]
        own += [rest[k] for k in order[: min(step, n - len(own))]]
    return own


def committee(
    own: list[Atoms], seed: int, source: str, algorithm: str, others: tuple = ()
) -> list[Potential]:
    """MEMBERS potentials trained on the same structures.

    A linear fit has no seed: each of its members leaves out a part of the structures.
    """
    parts = [own] * MEMBERS
    if algorithm == "linear":
        parts = [[a for i, a in enumerate(own) if i % MEMBERS != k] or own for k in range(MEMBERS)]
    seeds, steps = [MEMBERS * seed + k for k in range(MEMBERS)], MEMBER_STEPS
    pairs = zip(parts, seeds, strict=True)
    return [trained(algorithm, part, seed, source, steps, others) for part, seed in pairs]


def trained(
    algorithm: str, fitted: list[Atoms], seed: int, source: str, steps: int = 800, others=()
) -> Potential:
    """A potential of these structures; `others` may have more neighbours than those of the source.

    A linear potential takes no steps.
    """
    if algorithm == "linear":
        return splines_of(source, fitted, seed, others)
    *_, last = _training(algorithm, fitted, source, others, dict(seed=seed, steps=steps))
    return last.potential


def _training(algorithm, fitted, source, others, more, every=None):
    """The Progress of a training of the course's network."""
    silicon = Potential.load(SOURCES[source].silicon)
    run = Run(source=source, method=algorithm, n=len(fitted), **more)
    shapes = shapes_of(source, silicon.elements, silicon.config.cutoff, others)
    if run.method == "scratch":
        begun = Potential.create(silicon.config, silicon.elements, run.seed)
    else:
        begun = transfer.start(silicon, "Ge", fitted, shapes=shapes)
    yield from train(run, begun, fitted, None, shapes, every)


def splines_of(source: str, fitted: list[Atoms], seed: int, others: tuple = ()) -> Potential:
    """A linear potential, whose penalty a fifth of the structures has chosen by their forces."""
    if not all(map(knows_forces, fitted)):
        return linear.fit(fitted, SPLINES, weights=WEIGHTS._replace(force=0.0))
    if len(fitted) < 3:
        return linear.fit(fitted, SPLINES)
    valid = datasets.subset(fitted, max(1, len(fitted) // 5), seed)
    shapes = shapes_of(source, ("Ge",), SPLINES.cutoff, others)
    rest = [a for a in fitted if not any(a is v for v in valid)]
    known = linear.equations(rest, SPLINES)
    error = lambda curvature: linear.solve(known, curvature).evaluate(valid, shapes).force_rmse
    return linear.fit(fitted, SPLINES, curvature=min(CURVATURES, key=error))


def shapes_of(source: str, elements: tuple[str, ...], cutoff: float, others: tuple = ()) -> list:
    """Padded shapes of all structures of a source, and of others: runs share programs."""
    if not others:
        return padded_shapes(source, ("Ge",), elements, cutoff, 3)
    return graph.shapes_of([*sum(data(source, "Ge"), []), *others], elements, cutoff)


def attempt(
    choice: str, algorithm: str, n: int = 10, loss: str = "labels", steps: int = 400, seed: int = 0
) -> Iterator[dict]:
    """Choose, train, test, by DFT; yields the row as it is, each tenth of the steps.

    A committee that chooses is one of linear potentials. A row has the arguments, `step`,
    `structures` ({group: how many}), `seconds`, and force MAE on test structures in meV/Å:
    `force_mae` and `groups` ({group: force MAE}).

    Raises ValueError for a name that is none of CHOICES, ALGORITHMS or LOSSES, for a linear
    potential with a Taylor term, and for a committee where forces, which it compares, are unknown.
    """
    source = "dft"
    one_of("loss", loss, LOSSES)
    one_of("algorithm", algorithm, ALGORITHMS)
    alone = algorithm == "linear"
    solved = [name for name, fields in LOSSES.items() if not alone or "taylor" not in fields]
    one_of("loss of a linear potential", loss, solved)
    forces = LOSSES[loss].get("forces", True)
    words = "a committee compares forces: choose a loss with labels of them"
    refuse(choice == "committee" and not forces, words)
    started, fitted, test = time.perf_counter(), choose(choice, n, seed, source), data(source)[1]
    held = dict(Counter(map(group_of, fitted)))
    row = dict(choice=choice, method=algorithm, n=n, loss=loss, seed=seed, source=source)
    row |= dict(structures=held, steps=1 if alone else steps)

    def found(potential, step):
        shapes = shapes_of(source, potential.elements, potential.config.cutoff)
        seconds = round(time.perf_counter() - started, 1)
        return row | dict(step=step, seconds=seconds) | errors_of(potential, test, shapes)

    fitted = fitted if forces else energies_alone(fitted)
    if alone:
        yield found(splines_of(source, fitted, seed), 1)
        return
    more, every = dict(seed=seed, steps=steps, **LOSSES[loss]), max(1, steps // 10)
    for progress in _training(algorithm, fitted, source, (), more, every):
        yield found(progress.potential, progress.step)


def errors_of(potential: Potential, test: Sequence[Atoms], shapes: list | int = 3) -> dict:
    """dict(force_mae, groups={group: force MAE}) on test structures, in meV/Å."""
    off: dict[str, list] = {}
    for atoms, own in zip(test, potential.predict(list(test), shapes), strict=True):
        error = 1e3 * np.abs(label(own, "forces") - label(atoms, "forces"))
        off.setdefault(group_of(atoms), []).append(error.ravel())
    mean = lambda parts: round(float(np.concatenate(parts).mean()), 2)
    groups = {name: mean(parts) for name, parts in sorted(off.items())}
    return dict(force_mae=mean(sum(off.values(), [])), groups=groups)
