"""How far a potential can be trusted: the spread of a committee, the distance to training data.

    s_i = sqrt(Σ_m |F_im - <F_i>|² / (M - 1))            spread of the forces on atom i, eV/Å
    d_i = min_j sqrt(Σ_k ((φ_ik - φ_jk) / σ_k)² / D)      distance of atom i, no unit

M members m of a committee; φ_ik, k = 1 .. D, features of atom i; j training atoms of its element,
σ_k the standard deviation of feature k over these. Neither is an error: `reliability` compares them
with errors and gives the one factor between them.

An energy of an atom, without the repulsion of nuclei, is linear in its features. Those of a
DimeNet++ are the last hidden layers of its output blocks, those of a linear potential its
descriptors (tlmlp.splines).

Sources: spread of seeds, Lakshminarayanan et al., arXiv 1612.01474; distance in the network's own
features, Janet et al., Chem. Sci. 10, 7913 (2019); one factor, Musil et al., J. Chem. Theory
Comput. 15, 906 (2019); bins of reliability, Levi et al., Sensors 22, 5540 (2022).
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from . import allocator, graph as graphs, splines
from .dimenet import Params
from .forces import Model, energies_of, on_device
from .frames import label, labels, structures, symbols_of
from .graph import Frames, Graph
from .potential import Potential
from .refusal import is_whole, refuse
from .splines import Splines

BLOCK = 10**7  # distances at a time, 80 MB
LEAST = 1e-3  # of all features' root mean square: a σ below it counts as this, against round-off


class Committee(Calculator):
    """An ASE calculator of several potentials: the means of what they predict, and the spreads.

    Its results hold energy, free_energy (eV), forces (eV/Å), where all members give one also stress
    (eV/Å³), and

        forces_spread  [N] eV/Å, as above: root of the variances' sum over x, y and z
        energy_spread  eV/atom, standard deviation of the energy per atom

    with M - 1 in both variances. Members share the zero of energy, or the latter is none. Mean
    forces are the gradient of the mean energy.

    Args:
        potentials: at least two Potentials or ASE calculators. Those of one Config share a program.

    Raises TypeError and ValueError for other members, and ValueError where one does not know an
    element of the structure.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]
    implemented_properties += ["forces_spread", "energy_spread"]

    def __init__(self, potentials: Sequence[Potential | Calculator]) -> None:
        super().__init__()
        words = "a committee is a list of at least two potentials or ASE calculators, not"
        fine = isinstance(potentials, (list, tuple))
        refuse(not fine, f"{words} {type(potentials).__name__}", TypeError)
        good = lambda m: isinstance(m, Potential) or hasattr(m, "get_potential_energy")
        other = [type(m).__name__ for m in potentials if not good(m)]
        refuse(other, f"{words} a list with {', '.join(other)}", TypeError)
        refuse(len(potentials) < 2, f"{words} {len(potentials)}")
        self.members = tuple(potentials)
        own = lambda m: m.calculator() if isinstance(m, Potential) else m
        self._calculators = [own(member) for member in potentials]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """ASE's interface: fill `results` for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        self._check(self.atoms)
        self.results = _combined([_labels(self.atoms, own) for own in self._calculators])
        words = "stress needs three periodic directions, and members that all give one"
        missing = "stress" in properties and "stress" not in self.results
        refuse(missing, words, PropertyNotImplementedError)

    def spread(self, atoms: Atoms) -> np.ndarray:
        """Spread [N] of the forces on each atom in eV/Å."""
        return self.get_property("forces_spread", atoms)

    def predict(self, frames: Frames) -> list[Atoms]:
        """The same structures with mean labels, as Potential.predict.

        atoms.arrays["forces_spread"] and atoms.info["energy_spread"] hold the spreads, as above.
        """
        frames = structures(frames)
        for atoms in frames:
            self._check(atoms)
        predicted = []
        for member, own in zip(self.members, self._calculators):
            if isinstance(member, Potential):
                predicted.append([_labels(atoms, atoms.calc) for atoms in member.predict(frames)])
            else:
                predicted.append([_labels(atoms, own) for atoms in frames])
        out = []
        for atoms, *results in zip(frames, *predicted):
            mean = _combined(results)
            out.append(atoms.copy())
            out[-1].arrays["forces_spread"] = mean.pop("forces_spread")
            out[-1].info["energy_spread"] = mean.pop("energy_spread")
            out[-1].calc = SinglePointCalculator(out[-1], **mean)
        return out

    def _check(self, atoms: Atoms) -> None:
        for number, member in enumerate(self.members):
            try:
                if isinstance(member, Potential):
                    member.check_elements(atoms)
            except ValueError as error:
                raise ValueError(f"member {number} of the committee: {error}") from None


def _labels(atoms: Atoms, calculator: Calculator) -> dict[str, Any]:
    """Energy, forces and, where it has one, stress of a structure by a calculator."""
    copy = atoms.copy()
    copy.calc = calculator
    out = {name: np.array(label(copy, name), float) for name in ("energy", "forces")}
    if atoms.pbc.all():
        with suppress(NotImplementedError):
            out["stress"] = label(copy, "stress")
    return out


def _combined(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over members, and their spreads."""
    known = set.intersection(*map(set, results))
    every = {name: np.stack([own[name] for own in results]) for name in known}
    # less the first member: members that agree have no spread at all, not one of round-off
    off = {name: every[name] - every[name][0] for name in known}
    out = {name: every[name][0] + off[name].mean(0) for name in known}
    variances = off["forces"].var(0, ddof=1)
    n = len(variances)
    spreads = dict(forces_spread=variances.sum(-1) ** 0.5)
    spreads |= dict(energy_spread=float(off["energy"].std(ddof=1)) / n)
    return out | dict(energy=float(out["energy"]), free_energy=float(out["energy"])) | spreads


def features(potential: Potential, frames: Frames) -> list[np.ndarray]:
    """Features [N, D] of the atoms of each structure, no unit; see above.

    They stay the same when the structure is rotated or moved. Raises TypeError for what is no
    Potential, ValueError for an element that it was not trained on.
    """
    words = f"features are those of a tlmlp.Potential, not of {type(potential).__name__}"
    refuse(not isinstance(potential, Potential), words, TypeError)
    allocator.prepare()
    frames = structures(frames)
    for atoms in frames:
        potential.check_elements(atoms)
    p, cutoff = potential, potential.config.cutoff
    # slots in steps of four: in a simulation their number changes, and each one is compiled for
    tops = [graphs.topology(atoms, cutoff, step=4) for atoms in frames]
    tight = [graphs.from_topology(atoms, top, p.elements) for atoms, top in zip(frames, tops)]
    out = []
    for graph, (N, K) in zip(tight, graphs.few_shapes(tight, 3)):
        padded = on_device(graphs.join([graph], N, K))
        out.append(np.asarray(_features(p.config, p.params, padded), float)[: len(graph.species)])
    return out


@partial(jax.jit, static_argnums=0)
def _features(config: Model, params: Params, graph: Graph) -> jax.Array:
    if isinstance(config, Splines):
        return splines.descriptors(config, len(params["splines"]["weights"]), graph)
    found: list[jax.Array] = []

    def keep(call, args, kwargs, context):
        if context.method_name == "__call__" and context.module.name == "final":
            found.append(args[0])
        return call(*args, **kwargs)

    with hk.intercept_methods(keep):
        energies_of(config, params)(graph)
    return jnp.concatenate(found, -1)


class Distance:
    """Distance [N] of the atoms of a structure to a training set in a potential's features.

    No unit, see above. 0: an atom of the training set; two of its atoms drawn at random are some
    1.4 apart, the root of 2. With 10 to 146 training structures of 64 atoms a call costs one to two
    times as much as energy and forces.

        distance = Distance(potential, train)
        distance(atoms)       [N];  distance(frames): a list of these

    Args:
        potential: a Potential; it need not be the one that predicts.
        train: structures, of which no labels are needed.

    Raises ValueError for elements that the potential was not trained on, or that `train` lacks.
    """

    def __init__(self, potential: Potential, train: Frames) -> None:
        known = np.concatenate(features(potential, train := structures(train)))
        symbols = np.concatenate([atoms.symbols for atoms in train])
        self.potential = potential
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for element in np.unique(symbols):
            own = known[symbols == element]
            least = max(LEAST * (own**2).mean() ** 0.5, 1e-30)
            unit = np.maximum(own.std(0), least) * own.shape[1] ** 0.5
            self._known[str(element)] = unit, own / unit

    def __call__(self, frames: Atoms | Frames) -> Any:
        one = isinstance(frames, Atoms)
        frames = structures([frames] if one else frames)
        missing = symbols_of(frames) - set(self._known)
        words = f"the training structures have no {', '.join(sorted(missing))}"
        refuse(missing, f"{words}, only {', '.join(self._known)}")
        out = []
        for atoms, own in zip(frames, features(self.potential, frames)):
            out.append(np.zeros(len(atoms)))
            for element in set(atoms.symbols):
                unit, train = self._known[element]
                here = atoms.symbols == element
                out[-1][here] = _nearest(own[here] / unit, train)
        return out[0] if one else out


def _nearest(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distance [N] of points [N, D] to the nearest of `known` [n, D].

    By matrix products: with some hundred dimensions a tree looks at nearly all, one after another.
    """
    squares, out = (known**2).sum(1), []
    for part in np.array_split(points, -(-len(points) * len(known) // BLOCK)):
        nearest = (squares - 2 * part @ known.T).argmin(1)
        out.append(np.linalg.norm(part - known[nearest], axis=1))  # exact, 0 for the same atom
    return np.concatenate(out)


class Reliability(NamedTuple):
    """Errors against predicted errors; all in the unit of the errors but those of a distance."""

    predicted: np.ndarray  # [bins] root mean square of the spreads in each bin, ascending
    error: np.ndarray  # [bins] root mean square of the errors there
    correlation: float  # Spearman's, of errors and spreads
    factor: float  # root mean square of all errors over that of all spreads

    def __str__(self) -> str:
        words = f"correlation {self.correlation:.2f}, factor {self.factor:.3g}"
        lines = (f"\n{p:11.4g}{e:11.4g}" for p, e in zip(self.predicted, self.error))
        return f"{words}\n  predicted      error" + "".join(lines)


def force_errors(frames: Frames, predicted: Frames) -> list[np.ndarray]:
    """|F - F_reference| [N] in eV/Å of each structure's atoms; the frames carry the reference."""
    words = f"there are {len(frames)} frames but {len(predicted)} predictions"
    refuse(len(frames) != len(predicted), words)
    both = zip(labels(frames, "forces"), labels(predicted, "forces"))
    return [np.linalg.norm(own - reference, axis=1) for reference, own in both]


def reliability(
    errors: ArrayLike | Sequence[ArrayLike],
    spreads: ArrayLike | Sequence[ArrayLike],
    bins: int = 10,
) -> Reliability:
    """Whether spreads tell errors: Reliability, in `bins` of equal count by the spread.

    A calibrated spread is as large as the error: points on the diagonal, and factor 1. A larger
    factor is overconfidence; spreads of other data times this factor are calibrated on average. It
    is a ratio of root mean squares, which no atom with a spread of nearly 0 decides.

    Args:
        errors: [n] of atoms, or a list of these, one a structure: `force_errors`, in eV/Å.
        spreads: likewise, spreads or distances.
        bins: how many.

    Raises ValueError for what are not equally many finite numbers, at least one a bin and not all
    alike.
    """
    refuse(not is_whole(bins), f"bins must be a whole number of at least 1, not {bins!r}")
    errors, spreads = (np.abs(np.hstack([*x, []])) for x in (errors, spreads))
    fine = errors.ndim == 1 and errors.shape == spreads.shape and len(errors) >= max(bins, 2)
    words = f"errors and spreads must be two lists of the same {max(bins, 2)} or more numbers"
    refuse(not fine, f"{words}, not of shapes {errors.shape} and {spreads.shape}")
    refuse(not np.isfinite(errors + spreads).all(), "errors and spreads must be finite numbers")
    alike = np.ptp(errors) == 0 or np.ptp(spreads) == 0
    refuse(alike, "errors or spreads are all the same: there is nothing to compare")
    order = np.array_split(np.argsort(spreads, kind="stable"), bins)
    rms = lambda x: float(np.mean(x**2) ** 0.5)
    predicted, error = (np.array([rms(x[own]) for own in order]) for x in (spreads, errors))
    correlation = float(spearmanr(errors, spreads).statistic)
    return Reliability(predicted, error, correlation, rms(errors) / rms(spreads))
