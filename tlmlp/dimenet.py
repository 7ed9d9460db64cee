"""DimeNet++ in Haiku, the whole network, without a single triplet.

Letters: N atoms, K neighbour slots per atom, F embed_size, A angle_size, L n_spherical, R n_radial;
i, j, k atoms with bonds k->j->i. Slot (j, a) holds the bond between j and its neighbour a, and the
message that *arrives* at j along it.

An interaction block updates the message m_ji, from j to i, with all messages m_kj that arrive at j,
weighted by the distance d_kj and the angle θ between the two bonds. The published network lists
every triplet k->j->i. The basis is a product, so none is needed:

    o_ji = Σ_{k≠i} y_kj ⊙ Σ_ln W_ln R_ln(d_kj) c_l P_l(cosθ)
         = Σ_l Σ_{k≠i} P_l(û_ji·û_jk) g_kj,l     with   g_kj,l = y_kj ⊙ Σ_n W_ln c_l R_ln(d_kj)

    y_kj  the down-projected message [A]         W_ln = sbf1 @ sbf2, a linear map [A]
    û_jk  unit vector from j to k                c_l  = sqrt((2l+1)/4π)

g belongs to a bond, and P_l(û·û') is a [K, K] table per atom. So the sum over k and l is one matrix
product per atom, [K, K·L] x [K·L, A], with zeros on the diagonal k = i. Without arccos there is no
NaN where three atoms lie on a line. `graph.reverse` carries the result from j, slot of i, to i.

Source: Gasteiger et al., DimeNet (arXiv 2003.03123) and DimeNet++ (arXiv 2011.14115). Where their
codes differ (envelope, angle, bias-free RBF_Dense) we follow chemtrain (tlmlp.from_chemtrain).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from . import bessel
from .initial import orthogonal_glorot
from .refusal import one_of, refuse

PRESETS = ("paper", "course")
Params = dict[str, dict[str, Any]]  # {module: {weight: array}}, as haiku has it
Swap = Callable[[jax.Array, ArrayLike], jax.Array]  # as `swap` below


def by_preset(paper: float | None = None, course: float | None = None) -> Any:
    """A field of Config that takes the value of its preset where it is not given."""
    return field(default=None, metadata=dict(paper=paper, course=course or paper))


@dataclass(frozen=True)
class Config:
    """Shape of a DimeNet++. `Config("course")` or `Config("paper")`, and any field by name.

    paper: the network of Röcken & Zavadlav (arXiv 2502.13522). course: a quarter of its cost, to
    train live on two cores. Raises ValueError for an unknown preset and for values out of range.
    """

    preset: str = "paper"
    cutoff: float = by_preset(5.0, course=4.5)  # Å, radius within which atoms are neighbours
    embed_size: int = by_preset(32)  # F, length of a message
    n_blocks: int = by_preset(4, course=2)  # interaction blocks; each adds a cutoff to the reach
    n_radial: int = by_preset(6)  # R, radial functions per angular degree
    n_spherical: int = by_preset(7, course=4)  # L, angular degrees l = 0 .. L-1
    n_residual_before: int = by_preset(1)  # residual layers before the skip connection of a block
    n_residual_after: int = by_preset(2, course=1)  # residual layers after it
    angle_size: int = by_preset()  # A, length of the down-projected message [default: F/2]
    basis_size: int = by_preset(8)  # bottleneck between the bases and the messages
    type_size: int = by_preset()  # length of an element's embedding vector [default: F/2]
    out_size: int = by_preset()  # width of the per-atom output layers [default: 2F]
    n_dense_out: int = by_preset(3)  # output layers
    envelope_power: int = by_preset(6)  # p of the polynomial cutoff

    def __post_init__(self) -> None:
        one_of("preset", self.preset, PRESETS)
        defaults = {f.name: f.metadata.get(self.preset) for f in fields(self)}
        size = self.embed_size if isinstance(self.embed_size, int) else defaults["embed_size"]
        half = max(1, size // 2)
        defaults |= dict(angle_size=half, type_size=half, out_size=2 * size)
        for name in list(defaults)[1:]:
            if getattr(self, name) is None:
                object.__setattr__(self, name, defaults[name])
            value, lowest = getattr(self, name), 0 if name.startswith("n_res") else 1
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            words = f"{name} must be a number of at least {lowest}, not {value!r}"
            refuse(not number or not value >= lowest, words)
            broken = name != "cutoff" and value != int(value)
            refuse(broken, f"{name} must be a whole number, not {value!r}")
        words = "n_spherical must be at least 2 (without angles it is not DimeNet)"
        refuse(self.n_spherical < 2, f"{words}, not {self.n_spherical}")


def dense(size: int, name: str, bias: bool = True) -> hk.Linear:
    """A layer with `size` outputs."""
    return hk.Linear(size, with_bias=bias, w_init=orthogonal_glorot, name=name)


def weight(name: str, shape: Sequence[int]) -> jax.Array:
    """A matrix of weights of the module that asks for it."""
    return hk.get_parameter(name, shape, jnp.float32, init=orthogonal_glorot)


def residual(x: jax.Array, name: str) -> jax.Array:
    """x plus two activated dense layers of it."""
    h = swish(dense(x.shape[-1], name + "a")(x))
    return x + swish(dense(x.shape[-1], name + "b")(h))


@jax.custom_vjp
def swish(x: jax.Array) -> jax.Array:
    """x σ(x), which keeps nothing but x for its gradients.

    An activation costs memory traffic here, not arithmetic: autodiff would store σ(x) and more.
    The derivatives use tanh, so that the compiler does not recognise and keep the exponential.
    """
    return x / (1 + jnp.exp(-x))


@jax.custom_vjp
def _times_slope(x, dy):
    """dy d(x σ(x))/dx."""
    sigma = 0.5 + 0.5 * jnp.tanh(0.5 * x)
    return dy * (sigma + x * sigma * (1 - sigma))


def _slope_backward(residuals, ct):
    x, dy = residuals
    sigma = 0.5 + 0.5 * jnp.tanh(0.5 * x)
    curvature = sigma * (1 - sigma) * (2 + x * (1 - 2 * sigma))
    return ct * dy * curvature, _times_slope(x, ct)


swish.defvjp(lambda x: (swish(x), x), lambda x, dy: (_times_slope(x, dy),))
_times_slope.defvjp(lambda x, dy: (_times_slope(x, dy), (x, dy)), _slope_backward)


@jax.custom_vjp
def symmetric_product(p: jax.Array, p_t: jax.Array, g: jax.Array) -> jax.Array:
    """p @ g, batched; the gradient uses p_t, the transpose of p, in the layout that it needs.

    Here p is P_l(û_a·û_b), [N, K, K·L], symmetric in a and b: writing it down twice costs less than
    transposing it in every product.
    """
    return p @ g


def _product_backward(residuals, do):
    p, p_t, g = residuals
    return do @ jnp.swapaxes(g, 1, 2), None, symmetric_product(p_t, p, do)


symmetric_product.defvjp(lambda *args: (symmetric_product(*args), args), _product_backward)


def swap(slots: jax.Array, reverse: ArrayLike) -> jax.Array:
    """slots [N·K, F], every row at the other end of its bond; its own transpose: no scatter."""
    move = lambda reverse, x: jnp.take(x, reverse, axis=0, mode="clip", unique_indices=True)
    return jax.custom_derivatives.linear_call(move, move, reverse, slots)


def angular_sum(
    basis: jax.Array, y: jax.Array, legendre: tuple[jax.Array, jax.Array], w: jax.Array | None
) -> jax.Array:
    """o [N·K, A] of the equations above, at j in the slot of i; `basis` is Σ_n W_ln c_l R_ln.

    Alchemical nodes send y by their weights w [N·K, 1]. Where all P places with k slots have n = 2
    nodes, N = 2P and K = 2k, those at the place of k send together, and those at i receive alike.
    So the product is one of places. Otherwise n = 1, and what is done for n = 2 changes nothing.
    """
    (P, k), A = legendre[0].shape[:2], y.shape[1]
    n = 2 if len(y) > P * k else 1
    y = y if w is None else y * w
    y = y.reshape(P, n, k, n, A).sum(3).swapaxes(1, 2)  # [P, k, n, A]
    g = basis.reshape(P, k, -1, 1, A) * y[:, :, None]  # [P, k, L, n, A]
    o = symmetric_product(*legendre, g.reshape(P, -1, n * A)).reshape(P, k, n, A)
    o = jnp.broadcast_to(o.swapaxes(1, 2)[:, :, :, None], (P, n, k, n, A))
    return o.reshape(-1, A)


def at_nodes(x: jax.Array, n: int) -> jax.Array:
    """What belongs to slots of places [P, k, ...], in those of n nodes at each [n·P, n·k, ...]."""
    return x if n == 1 else jnp.repeat(jnp.repeat(x, n, 0), n, 1)


class Embedding(hk.Module):
    """First message of a bond, from the elements at both ends and the distance: [N·K, F]."""

    def __call__(self, c, rbf, centre, neighbor):
        T = c.type_size  # c, here and in the other parts: the Config
        uniform = hk.initializers.RandomUniform(-(3**0.5), 3**0.5)
        table = hk.get_parameter("elements", (centre.shape[1], T), jnp.float32, init=uniform)
        w_rbf = weight("rbf", (c.n_radial, c.embed_size))
        w = weight("w", (2 * T + c.embed_size, c.embed_size))
        b = hk.get_parameter("b", (c.embed_size,), jnp.float32, init=jnp.zeros)
        # concat(h_i, h_j, rbf @ w_rbf) @ w, taken apart: elements by one-hot rows of a small table
        rows = jnp.concatenate([table @ w[:T], table @ w[T : 2 * T]])
        types = jnp.concatenate([centre, neighbor], -1) @ rows
        return swish(types + rbf @ (w_rbf @ w[2 * T :]) + b)


class Interaction(hk.Module):
    """Messages [N·K, F], each updated with those that arrive where it starts.

    A `swap` that gives fewer rows than it takes ends with fewer messages: the first of them.
    """

    def __call__(self, c, m, rbf, sbf, legendre, reverse, swap, w=None):
        K = legendre[0].shape[1]
        N = len(m) // K
        rbf, sbf, legendre = rbf[: N * K], sbf[: N * K], [p[:N] for p in legendre]
        F, A, L, R, Q = c.embed_size, c.angle_size, c.n_spherical, c.n_radial, c.basis_size

        w_rbf = weight("rbf1", (R, Q)) @ weight("rbf2", (Q, F))  # [R, F]
        w_sbf = weight("sbf1", (L * R, Q)) @ weight("sbf2", (Q, A))  # [L·R, A]
        # One large product with a block per l: L times more numbers than one for each l, but faster
        blocks = jnp.eye(L, dtype=m.dtype)[:, None, :, None]
        w_sbf = (w_sbf.reshape(L, R, 1, A) * blocks).reshape(L * R, L * A)
        x = swish(dense(F, "dense_kj")(m)) * (rbf @ w_rbf)  # [N·K, F]
        y = swish(dense(A, "down", bias=False)(x))  # [N·K, A]
        o = angular_sum(sbf @ w_sbf, y, legendre, w)  # [N·K, A], at j in the slot of i
        o = swap(o, reverse)  # at i in the slot of j
        m = m[: len(o)]

        x = swish(dense(F, "dense_ji")(m)) + swish(dense(F, "up", bias=False)(o))
        for n in range(c.n_residual_before):
            x = residual(x, f"before_{n + 1}")
        x = swish(dense(F, "skip")(x)) + m
        for n in range(c.n_residual_after):
            x = residual(x, f"after_{n + 1}")
        return x


class Output(hk.Module):
    """Messages [N·K, F] -> energy of each atom [N], in eV."""

    def __call__(self, c, m, rbf, N):
        # zero in empty slots, and smooth at the cutoff
        m = m * (rbf @ weight("rbf", (c.n_radial, c.embed_size)))
        x = dense(c.out_size, "up", bias=False)(m.reshape(N, -1, c.embed_size).sum(1))
        for n in range(c.n_dense_out):
            x = swish(dense(c.out_size, f"dense_{n + 1}")(x))
        return dense(1, "final", bias=False)(x)[:, 0]


class DimeNetPP(hk.Module):
    """Graph -> energy of each atom [N] in eV; zero for padding atoms.

    Where a part of a system is computed, the graph has more rows of slots than atoms with energies,
    N = len(atom_mask), and its species go on for neighbours without slots (tlmlp.lammps).
    Vectors are those of P places with k slots: N and K, or the half where each has two nodes.
    """

    def __call__(self, c, graph, n_elements, swaps):
        (N, K), (P, k, _), dtype = graph.neighbors.shape, graph.vectors.shape, graph.vectors.dtype
        atoms = len(graph.atom_mask)
        own = slice(atoms * K)

        # Empty slots get a distance that sqrt and division can bear: the cutoff, where bases are 0.
        squared = jnp.sum(graph.vectors**2, -1)
        inside = graph.mask & (squared < c.cutoff**2)
        r = jnp.where(inside[..., None], graph.vectors, jnp.array([c.cutoff, 0, 0], dtype))
        d = jnp.sqrt(jnp.sum(r**2, -1))  # [P, k]
        u = r / d[..., None]

        x = (d / c.cutoff).reshape(P * k)
        first = lambda shape, dtype: jnp.pi * jnp.arange(1, shape[0] + 1, dtype=dtype)
        frequencies = hk.get_parameter("frequencies", (c.n_radial,), jnp.float32, init=first)
        rbf = bessel.radial_bessel(x, frequencies, c.cutoff, c.envelope_power)  # [P·k, R]
        c_l = np.sqrt((2 * np.arange(c.n_spherical) + 1) / (4 * np.pi))[:, None]
        sbf = bessel.spherical_bessel(x, c.n_spherical, c.n_radial, c.envelope_power)
        sbf = (sbf * jnp.asarray(c_l, dtype)).reshape(P * k, -1)  # [P·k, L·R]
        others, rbf_out, w = 1 - jnp.eye(k, dtype=dtype), rbf, None  # k ≠ i
        if graph.weights is not None:  # alchemical nodes: what a node sends counts by its weight
            w = graph.weights[graph.neighbors].reshape(N * K, 1)
            rbf = at_nodes(rbf.reshape(P, k, -1), N // P).reshape(N * K, -1)
            rbf_out = rbf * w
            others = (r[:, :, None] != r[:, None]).any(-1).astype(dtype)  # nor k at the place of i
        cosines = jnp.einsum("jax,jbx->jab", u, u)
        p_l = [p * others for p in bessel.legendre(cosines, c.n_spherical)]
        legendre = jnp.stack(p_l, -1).reshape(P, k, -1), jnp.stack(p_l, 2).reshape(P, -1, k)

        rows = lambda species: jax.nn.one_hot(species, n_elements, dtype=dtype)
        one_hot = graph.species if graph.species.ndim > 1 else rows(graph.species)  # >: of alchemy
        centre = jnp.broadcast_to(one_hot[:N, None], (N, K, n_elements)).reshape(N * K, -1)
        neighbor, reverse = one_hot[graph.neighbors.reshape(-1)], graph.reverse.reshape(-1)

        m = Embedding("embedding")(c, rbf, centre, neighbor)
        energies = Output("output_0")(c, m[own], rbf_out[own], atoms)
        for n, swap in enumerate(swaps, 1):
            m = Interaction(f"interaction_{n}")(c, m, rbf, sbf, legendre, reverse, swap, w)
            energies += Output(f"output_{n}")(c, m[own], rbf_out[own], atoms)
        energies = energies if graph.weights is None else energies * graph.weights
        return jnp.where(graph.atom_mask, energies, 0)


def network(
    config: Config, n_elements: int, swaps: Sequence[Swap] | None = None
) -> Callable[[Any], jax.Array]:
    """The network as haiku has it, to be transformed: graph -> energies [N] in eV.

    `swaps`, one a block, carry messages to the other ends of their bonds. Nothing else in the
    network looks beyond an atom and its own slots.
    """
    swaps = swaps or [swap] * config.n_blocks
    return lambda graph: DimeNetPP("dimenet")(config, graph, n_elements, swaps)
