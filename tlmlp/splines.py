"""A linear potential: cubic B-splines of distances and Legendre polynomials of angles.

Letters: N atoms, K slots, E elements; i centre, j and k its neighbours, m and n splines (those of
triples: of each element), l degree of a Legendre polynomial, c monomials of a unit vector u, h
distance of two knots.

    E_i  = Σ_j Σ_m w_m β_m(r_ij) / 2 + Σ_j≠k Σ_lmn w_lmn B_m(r_ij) B_n(r_ik) P_l(cos θ_jik) / 2
    β(x) = [max(2 - |x|, 0)³ - 4 max(1 - |x|, 0)³] / 6           β_m(r) = β((r - r_0) / h - m)

with w_lmn = w_lnm, and weights of their own for each element of the centre. B_m are splines up to
the cutoff of triples. All end with a triple zero at their cutoff, where energy, forces and their
slopes are therefore continuous. Energies are linear in w, so that one least-squares problem finds
it: tlmlp.linear.

No triple is listed. By the multinomial theorem a power of u·v is a sum over monomials y_c = x^a y^b
z^(p-a-b) of u and of v. The sum over j and k becomes one of products of moments A_mc. Terms with
j = k are subtracted.

    (u·v)^p     = Σ_c p!/(a! b! (p-a-b)!) y_c(u) y_c(v)      A_mc = Σ_j B_m(r_ij) y_c(u_ij)
    P_l(u·v)    = Σ_c M_lc y_c(u) y_c(v)
    Σ_jk BB P_l = Σ_c M_lc A_mc A_nc

Cost is linear in neighbours. Sources: Xie, Rupp & Hennig, npj Comput. Mater. 9, 162 (2023): UF3,
whose third coordinate is the distance r_jk. The angle describes the same triangle, its range does
not depend on the other two, and the sum over triples becomes one over neighbours, as in
Drautz, Phys. Rev. B 99, 014104 (2019). Units: eV, Å.
"""

from dataclasses import dataclass
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial.legendre import leg2poly

from .graph import Graph
from .refusal import is_whole, positive, refuse

# Of a cubic between two knots, t in [0, 1): its powers of t (rows) by four weights (columns).
CUBIC = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


@dataclass(frozen=True)
class Splines:
    """Cutoffs and resolution of a linear potential; ValueError for what cannot be."""

    cutoff: float = 5.0  # Å, of pairs
    triple_cutoff: float = 5.0  # Å, at most that of pairs
    triple_start: float = 2.0  # Å, about the shortest distance of the data; triples fade below it
    n_pair: int = 20  # splines of pairs, from 0 Å to the cutoff
    n_triple: int = 6  # splines of each of the two distances of a triple
    n_angle: int = 4  # Legendre polynomials, l = 0 to n_angle - 1

    def __post_init__(self) -> None:
        lengths = dict(cutoff=self.cutoff, triple_cutoff=self.triple_cutoff)
        positive(**lengths, triple_start=self.triple_start)
        words = f"triple_cutoff must be at most the cutoff of {self.cutoff:g} Å and more than "
        words += f"triple_start, {self.triple_start:g} Å, not {self.triple_cutoff:g} Å"
        refuse(not self.triple_start < self.triple_cutoff <= self.cutoff, words)
        for name, least in dict(n_pair=3, n_triple=3, n_angle=1).items():
            value = getattr(self, name)
            words = f"{name} must be a whole number from {least} to 100, not {value!r}"
            refuse(not is_whole(value, least) or value > 100, words)

    def sizes(self, n_elements: int) -> tuple[int, int]:
        """How many weights the pairs have, and the triples, for each element of the centre."""
        both = n_elements * self.n_triple
        return n_elements * self.n_pair, self.n_angle * both * (both + 1) // 2

    def shape(self, n_elements: int) -> tuple[int, int]:
        """Shape of the weights: elements, and pairs and triples."""
        return n_elements, sum(self.sizes(n_elements))


def bspline(x: jax.Array) -> jax.Array:
    """Cubic B-spline β(x) with knots at -2, -1, 0, 1, 2."""
    return (jnp.maximum(2 - abs(x), 0) ** 3 - 4 * jnp.maximum(1 - abs(x), 0) ** 3) / 6


def basis(r: jax.Array, start: float, end: float, n: int) -> jax.Array:
    """The n splines [N, n, K] of r [N, K] on n intervals from start to end (Å), zero at the end."""
    x = (r - start) * (n / (end - start))
    return bspline(x[:, None] - np.arange(-1, n - 1, dtype=r.dtype)[:, None])


def monomials(u: jax.Array, n: int) -> jax.Array:
    """x^a y^b z^c of vectors u [N, K, 3], all of degree 0, then 1, up to n - 1 -> [N, C, K]."""
    x, y, z = (u[..., axis] for axis in range(3))
    degrees = [[jnp.ones_like(x)]]
    for p in range(1, n):
        below = degrees[-1]  # its last p have no x, and its last one neither x nor y
        degrees.append([x * f for f in below] + [y * f for f in below[-p:]] + [z * below[-1]])
    return jnp.stack([f for degree in degrees for f in degree], 1)


def addition(n: int) -> np.ndarray:
    """M [n, C] with P_l(u·v) = Σ_c M_lc monomials(u)_c monomials(v)_c."""
    powers = [np.pad(leg2poly(np.eye(n)[l, : l + 1]), (0, n - l - 1)) for l in range(n)]
    columns = []
    for p in range(n):
        for q in range(p + 1):  # of y and z together
            columns += [comb(p, q) * comb(q, c) * np.array(powers)[:, p] for c in range(q + 1)]
    return np.array(columns).T


def bonds(splines: Splines, graph: Graph, n_elements: int) -> tuple[jax.Array, ...]:
    """(d [N, K], B [N, E·n_triple, K], monomials [N, C, K]) of the bonds of a Graph."""
    s, squared = splines, jnp.sum(graph.vectors**2, -1)
    # An empty slot gets a harmless distance before the square root: all splines are zero there.
    inside = graph.mask & (squared < s.cutoff**2)
    d = jnp.sqrt(jnp.where(inside, squared, s.cutoff**2))
    B = basis(d, s.triple_start, s.triple_cutoff, s.n_triple)
    B = jnp.concatenate([B * of for of in of_element(graph, n_elements)], 1)
    return d, B, monomials(graph.vectors / d[..., None], s.n_angle)


def of_element(graph: Graph, n_elements: int) -> list[jax.Array]:
    """For each element, 1 [N, 1, K] where the neighbour in a slot is of it, else 0."""
    if n_elements == 1:
        return [jnp.ones(())]  # which costs nothing
    kinds = jnp.asarray(graph.species)[graph.neighbors][:, None]
    return [(kinds == e).astype(graph.vectors.dtype) for e in range(n_elements)]


def symmetric(triples: jax.Array, size: int) -> jax.Array:
    """[..., size, size], symmetric, from its upper triangle [..., size·(size + 1)/2]."""
    rows, columns = np.triu_indices(size)
    place = np.zeros((size, size), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return triples[..., place]


def of_pairs(splines: Splines, graph: Graph, d: jax.Array, n_elements: int) -> jax.Array:
    """Splines [N, E·n_pair, K] of the distances d [N, K], of each element apart."""
    pairs = basis(d, 0.0, splines.cutoff, splines.n_pair)
    return jnp.concatenate([pairs * of for of in of_element(graph, n_elements)], 1)


def upper(triples: jax.Array) -> jax.Array:
    """Upper triangle, flat, of symmetric [..., size, size]; its diagonal halved."""
    rows, columns = np.triu_indices(triples.shape[-1])
    return triples[..., rows, columns] * np.where(rows == columns, 0.5, 1.0)


def descriptors(splines: Splines, n_elements: int, graph: Graph) -> jax.Array:
    """[N, P'] of each atom of a Graph, whose product with its element's weights is its energy."""
    d, B, u = bonds(splines, graph, n_elements)
    pairs, A = of_pairs(splines, graph, d, n_elements), jnp.einsum("ick,imk->icm", u, B)
    triples = jnp.einsum("icm,lc,icn->ilmn", A, addition(splines.n_angle).astype(A.dtype), A)
    triples = upper(triples - jnp.einsum("imk,ink->imn", B, B)[:, None])
    return jnp.concatenate([pairs.sum(2) / 2, triples.reshape(len(triples), -1)], 1)


def energies(splines: Splines, params: dict[str, dict[str, jax.Array]], graph: Graph) -> jax.Array:
    """Energy [N] in eV of each atom of a Graph, without reference energies; pure."""
    s, dtype = splines, graph.vectors.dtype
    weights = jnp.asarray(params["splines"]["weights"], dtype)
    E = len(weights)
    pairs, triples = jnp.split(weights, [s.sizes(E)[0]], axis=1)
    d, B, u = bonds(s, graph, E)

    # Between two knots a spline is a cubic; [E, E, n_pair, 4], the last of all is zero.
    w = jnp.pad(pairs.reshape(E, E, s.n_pair), ((0, 0), (0, 0), (0, 3)))
    cubics = jnp.stack([w[..., k : k + s.n_pair] for k in range(4)], -1) @ CUBIC.T.astype(dtype)
    x = d * (s.n_pair / s.cutoff)
    interval = jnp.minimum(x.astype(jnp.int32), s.n_pair - 1)
    species = jnp.asarray(graph.species)
    both = E * species[:, None] + species[graph.neighbors] if E > 1 else 0
    a = cubics.reshape(-1, 4)[both * s.n_pair + interval]  # [N, K, 4]
    t = x - interval
    pair = a[..., 0] + t * (a[..., 1] + t * (a[..., 2] + t * a[..., 3]))
    pair = jnp.where(d < s.cutoff, pair, 0).sum(-1)

    size = E * s.n_triple
    w = symmetric(triples.reshape(E, s.n_angle, -1), size)  # [E, l, m, n]
    A = jnp.einsum("ick,imk->icm", jnp.concatenate([u, B], 1), B)
    A, BB = A[:, : u.shape[1]], A[:, u.shape[1] :]  # in one product
    by_monomial = jnp.einsum("elmn,lc->ecmn", w, addition(s.n_angle).astype(dtype))
    triple = jnp.einsum("icm,icn,ecmn->ei", A, A, by_monomial)
    triple -= jnp.einsum("imn,emn->ei", BB, w.sum(1))  # j = k, where P_l is 1
    triple = triple[0] if E == 1 else triple[species, jnp.arange(len(species))]
    return (pair + triple) / 2
