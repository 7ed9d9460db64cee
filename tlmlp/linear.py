"""Fitting a linear potential (tlmlp.splines): one least-squares problem, solved at once.

Letters: P columns, one for each reference energy and each weight; X the design matrix, whose rows
are what a unit of each weight gives for an energy, a force or a stress; y their labels.

    min_w  |s (X w - y)|² + w·R w        (Σ X^T s² X + R) w = Σ X^T s² y

The loss is that of tlmlp.train: s² are the weights of its terms, over the number of labels of each.
Only the sums are kept, structure by structure, so that memory is P² numbers.

R holds curvature: the second difference of every spline and l(l+1), its like for an angle, squared.
Where there are no data, splines so go on as straight lines. `ridge` keeps triples that no structure
has at zero. Legendre polynomials count by 1/(2l+1), their mean square over the sphere.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from ase.stress import voigt_6_to_full_3x3_stress

from . import allocator, frames as datasets, graph as graphs, repulsion
from .forces import on_device
from .graph import Frames, Graph
from .potential import Potential
from .refusal import positive, refuse
from .settings import Weights
from .splines import Splines, addition, bonds, descriptors, of_pairs, symmetric, upper

WEIGHTS = Weights(energy=50.0, stress=0.1)


class Equations(NamedTuple):
    """The normal equations of a data set, without the penalty; `solve` wants them."""

    splines: Splines
    start: Potential  # without interactions; its reference energies are those of compositions alone
    gram: np.ndarray  # [P, P] Σ X^T s² X
    moment: np.ndarray  # [P] Σ X^T s² y


def fit(
    train: Frames,
    splines: Splines | None = None,
    *,
    weights: Weights = WEIGHTS,
    curvature: float = 1e-6,
    ridge: float = 1e-8,
) -> Potential:
    """The linear potential that fits `train` best; seconds for 150 structures of 64 atoms.

    Args:
        train: structures with energies, and forces unless these have no weight; stresses count
            where they are known.
        splines: cutoffs and resolution [default: Splines()].
        weights: of the terms of the loss, as in tlmlp.fit.
        curvature: of the penalty, in (eV/Å)²/eV², see above. Choose it by validation.
        ridge: likewise.

    Raises ValueError for no labels, and weights or penalties that cannot be; TypeError for splines.
    """
    positive(curvature=curvature, ridge=ridge)
    return solve(equations(train, splines, weights=weights), curvature, ridge)


def equations(
    train: Frames, splines: Splines | None = None, *, weights: Weights = WEIGHTS
) -> Equations:
    """The normal equations of `train`; arguments as in `fit`."""
    s = Splines() if splines is None else splines
    words = f"splines must be a tlmlp.splines.Splines, not {s!r}"
    refuse(not isinstance(s, Splines), words, TypeError)
    words = "weights must be three numbers of at least 0, and forces or energies must have one"
    fine = np.shape(weights) == (3,) and np.isfinite(weights).all() and min(weights) >= 0
    refuse(not fine or not max(weights[:2]), f"{words}, not {weights!r}")
    weights = Weights(*weights)
    train = datasets.check(train, weights.force > 0)
    allocator.prepare()
    elements = tuple(sorted(datasets.symbols_of(train)))
    start = Potential.create(s, elements).replace(core=repulsion.core_of(train, s.cutoff))
    counts = np.array([[atoms.symbols.count(e) for e in elements] for atoms in train], float)
    energies = np.array([datasets.label(atoms, "energy") for atoms in train])
    sizes = counts.sum(1)
    alone = np.linalg.lstsq(counts / sizes[:, None], energies / sizes, rcond=None)[0]
    stressed = ["stress" in atoms.calc.results and bool(graphs.volume_of(atoms)) for atoms in train]
    terms = sizes.sum() * 3, len(train), 9 * max(sum(stressed), 1)
    scales = [weight / count for weight, count in zip(weights, terms)]

    tight = [graphs.from_atoms(atoms, elements, s.cutoff, np.float64) for atoms in train]
    gram, moment = 0.0, 0.0
    with jax.enable_x64(True):
        for i, (graph, (N, K)) in enumerate(zip(tight, graphs.few_shapes(tight, 2))):
            forces, virial = np.zeros((N, 3)), np.zeros((3, 3))
            if weights.force:
                forces[: len(train[i])] = datasets.label(train[i], "forces")
            if stressed[i]:
                stress = voigt_6_to_full_3x3_stress(datasets.label(train[i], "stress"))
                virial = stress * graphs.volume_of(train[i])
            y = forces, energies[i] - counts[i] @ alone, virial
            s2 = *scales[:2], scales[2] * stressed[i]
            padded = on_device(graphs.join([graph], N, K))
            more = normal(s, padded, counts[i], y, s2)
            gram, moment = gram + np.asarray(more[0]), moment + np.asarray(more[1])
    info = dict(method="linear", frames=len(train), data=datasets.fingerprint(train))
    info |= dict(weights=weights._asdict())
    trained = tuple(sorted(datasets.symbols_of(datasets.apart(train)[0])))
    start = start.replace(reference=tuple(alone.tolist()), trained=trained, info=info)
    return Equations(s, start, gram, moment)


def solve(equations: Equations, curvature: float = 1e-6, ridge: float = 1e-8) -> Potential:
    """The potential of normal equations under a penalty; many penalties cost little. See `fit`."""
    positive(curvature=curvature, ridge=ridge)
    s, start, gram, moment = equations
    E = len(start.elements)
    R = penalty(s, E, curvature, ridge)
    w = np.linalg.lstsq(gram + R, moment, rcond=None)[0]
    reference = tuple((np.array(start.reference) + w[:E]).tolist())
    info = start.info | dict(curvature=curvature, ridge=ridge)
    params = {"splines": {"weights": w[E:].reshape(E, -1)}}
    return start.replace(params=params, reference=reference, info=info)


def design(s: Splines, n_elements: int, graph: Graph) -> tuple[jax.Array, ...]:
    """(energy [P'], forces [3, N, P'], virial [3, 3, P']) by each weight, for one structure.

    The weights are in the order of Splines.shape. Units: eV, eV/Å, eV.
    """
    v, E, (N, K) = graph.vectors, n_elements, graph.neighbors.shape

    def parts(vectors):  # what depends on a bond alone
        d, B, u = bonds(s, graph._replace(vectors=vectors), E)
        return of_pairs(s, graph, d, E), B, u

    along = lambda axis: jax.jvp(parts, (v,), (jnp.broadcast_to(axis, v.shape),))[1]
    _, B, u = parts(v)
    d_pairs, dB, du = jax.vmap(along)(jnp.eye(3))  # [x, ...]: by each coordinate
    M, sum_of = addition(s.n_angle), jnp.einsum
    A = sum_of("ick,imk->icm", u, B)
    dA = sum_of("ick,ximk->xikcm", u, dB) + sum_of("xick,imk->xikcm", du, B)
    MA = sum_of("lc,icn->ilcn", M, A)
    half = sum_of("xikcm,ilcn->xiklmn", dA, MA) - sum_of("ximk,ink->xikmn", dB, B)[..., None, :, :]
    d_triples = upper(half + half.swapaxes(-1, -2)).reshape(3, N, K, -1)

    values = descriptors(s, E, graph)  # [i, p]
    slopes = jnp.concatenate([d_pairs.swapaxes(2, 3) / 2, d_triples], -1)  # [x,i,k,p]
    own = (graph.species[:, None] == np.arange(E)) * graph.atom_mask[:, None]  # [i, e]
    energy = sum_of("ie,ip->ep", own * 1.0, values).ravel()
    g = sum_of("ie,xikp->xikep", own * 1.0, slopes).reshape(3, N * K, -1)
    forces = (g - g[:, graph.reverse.ravel()]).reshape(3, N, K, -1).sum(2)
    return energy, forces, sum_of("bx,ybp->xyp", v.reshape(-1, 3), g)


@partial(jax.jit, static_argnums=0)
def normal(
    s: Splines, graph: Graph, counts: np.ndarray, labels: tuple, scales: tuple
) -> tuple[jax.Array, jax.Array]:
    """(X^T s² X [P, P], X^T s² y [P]) of a structure with `counts` atoms of each element.

    labels: forces [N, 3], energy without reference energies, virial [3, 3]; scales: s² of each.
    """
    n, E = counts.sum(), len(counts)
    energy, forces, virial = design(s, E, graph)
    blocks = [
        (forces.swapaxes(0, 1).reshape(-1, len(energy)), labels[0].ravel(), scales[0]),
        (energy[None] / n, labels[1][None] / n, scales[1]),
        (virial.reshape(9, -1) / n, labels[2].ravel() / n, scales[2]),
    ]
    gram, moment = 0.0, 0.0
    for term, (X, y, s2) in enumerate(blocks):
        alone = jnp.broadcast_to(counts / n * (term == 1), (len(X), E))
        X = jnp.concatenate([alone, X], 1)
        gram, moment = gram + s2 * X.T @ X, moment + s2 * X.T @ y
    return gram, moment


def penalty(s: Splines, n_elements: int, curvature: float, ridge: float) -> np.ndarray:
    """R [P, P]; see above."""
    E, size = n_elements, n_elements * s.n_triple

    def bending(n):  # squared second differences of n weights and the zeros after them
        D = np.diff(np.eye(n + 2), 2, axis=0)[:, :n]
        return np.kron(np.eye(E), D.T @ D)

    one, D = np.eye(size), bending(s.n_triple)
    full = symmetric(np.eye(size * (size + 1) // 2), size).reshape(-1, size * size)
    bent = full @ (np.kron(D, one) + np.kron(one, D)) @ full.T
    plain, blocks = full @ full.T, [curvature * bending(s.n_pair)]
    for l in range(s.n_angle):
        turned = (l * (l + 1) / s.n_angle**2) ** 2 * plain
        blocks.append((curvature * (bent + turned) + ridge * plain) / (2 * l + 1))
    return scipy.linalg.block_diag(ridge * np.eye(E), *blocks * E)
