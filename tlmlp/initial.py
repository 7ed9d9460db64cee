"""Weights of a haiku network without programs of their own: random ones, and those of a vector.

Drawn as one program, as haiku's `init` does, they compile for ten seconds: there are dozens of
decompositions, and the rounds of as many random numbers. To take a vector apart by jax takes three.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

Drawn = dict[str, dict[str, tuple]]  # {module: {weight: (initialiser, shape, dtype)}}, in order


_normal = jax.jit(lambda key, n: jax.random.normal(key, (n,)), static_argnums=1)


def orthogonal_glorot(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Random (semi-)orthogonal weights with the variance of Glorot, as in DimeNet; an initialiser.

    The numbers are those of haiku's Orthogonal, to rounding.
    """
    n = prod(shape)  # numbers begin alike however many are drawn: one program serves all shapes
    z = np.asarray(_normal(hk.next_rng_key(), 1 << max(14, (n - 1).bit_length())))[:n]
    q, r = np.linalg.qr(z.reshape(max(shape), min(shape)))
    q *= np.sign(np.diag(r))
    w = q if shape[0] > shape[1] else q.T
    return (w / max(w.std(), 1e-3) / sum(shape) ** 0.5).astype(dtype, order="C")


def weights_of(network: Callable[[], Any]) -> Drawn:
    """What `network`, a call of haiku modules, asks for. It is traced, and nothing is computed."""
    found: Drawn = {}

    def note(_, shape, dtype, init, context):
        found.setdefault(context.module.module_name, {})[context.name] = init, tuple(shape), dtype
        return jnp.zeros(shape, dtype)

    def noted():
        with hk.custom_creator(note):
            network()

    jax.eval_shape(partial(hk.transform(noted).init, None))
    return found


def draw(drawn: Drawn, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """The weights of a seed."""
    each = lambda ws: {name: np.asarray(how(*what)) for name, (how, *what) in ws.items()}
    all_of = hk.transform(lambda: {module: each(ws) for module, ws in drawn.items()})
    return all_of.apply({}, jax.random.key(seed))


def parts(vector: jax.Array, weights: Any) -> Any:
    """A vector as weights of these shapes, in the order of jax.flatten_util.ravel_pytree."""
    leaves, tree = jax.tree.flatten(weights)
    own = np.split(np.asarray(vector), np.cumsum([w.size for w in leaves])[:-1])
    return tree.unflatten(part.reshape(w.shape) for part, w in zip(own, leaves))
