"""Radial functions of DimeNet++: how the network describes a distance.

Letters: d distance (Å), c cutoff (Å), x = d/c in (0, 1], l angular degree, n radial index (from 1),
p envelope power.

    u(x)    = 1 + a x^p + b x^(p+1) + c x^(p+2)        envelope: 1 at 0, a triple zero at x = 1
    e_n(d)  = u(x) sqrt(2/c) sin(f_n x) / d            radial Bessel, f_n trainable, from n π
    R_ln(x) = u(x) N_ln j_l(z_ln x)                    spherical Bessel, z_ln the n-th zero of j_l
    P_l(cosθ)                                          Legendre, by Bonnet's recursion: no angle

Source: Gasteiger et al., DimeNet (arXiv 2003.03123, eq. 6 to 8), with the envelope of the paper
rather than of its code, as chemtrain has it.
"""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import spherical_jn


def envelope(x: jax.Array, p: int = 6) -> jax.Array:
    """Polynomial cutoff u(x) of x = d/c [...]: twice differentiable at x = 1, zero beyond it."""
    a, b, c = -(p + 1) * (p + 2) / 2, p * (p + 2), -p * (p + 1) / 2
    return jnp.where(x < 1, 1 + x**p * (a + x * (b + x * c)), 0)


def radial_bessel(x: jax.Array, frequencies: jax.Array, cutoff: float, p: int = 6) -> jax.Array:
    """e_n(d) of x = d/c [...] with frequencies [n_radial] -> [..., n_radial], in Å^(-3/2)."""
    scale = (2 / cutoff) ** 0.5 / cutoff
    return (scale * envelope(x, p) / x)[..., None] * jnp.sin(frequencies * x[..., None])


@lru_cache
def zeros_and_norms(n_spherical: int, n_radial: int) -> tuple[np.ndarray, np.ndarray]:
    """Zeros z_ln of j_l, norms N_ln = sqrt(2) / |j_(l+1)(z_ln)|, both [n_spherical, n_radial].

    The zeros of j_(l+1) lie between those of j_l, so each row brackets the next.
    """
    zeros = np.zeros((n_spherical, n_radial))
    row = np.arange(1, n_radial + n_spherical) * np.pi
    for l in range(n_spherical):
        if l > 0:
            j_l = lambda z, l=l: spherical_jn(l, z)
            row = np.array([brentq(j_l, a, b, xtol=1e-14) for a, b in zip(row[:-1], row[1:])])
        zeros[l] = row[:n_radial]
    degrees = np.arange(n_spherical)[:, None]
    norms = np.sqrt(2) / np.abs(spherical_jn(degrees + 1, zeros))
    zeros.flags.writeable = norms.flags.writeable = False  # they are kept and handed out
    return zeros, norms


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def spherical_bessel(x: jax.Array, n_spherical: int, n_radial: int, p: int = 6) -> jax.Array:
    """R_ln of x = d/c [...] -> [..., n_spherical, n_radial].

    Upward recursion j_(l+1) = (2l+1)/z j_l - j_(l-1). It loses digits where z < l, that is for
    atoms much closer than a bond; from a third of the cutoff on, float32 keeps six of them.
    """
    return _with_slope(x, n_spherical, n_radial, p)[0]


def _with_slope(x, n_spherical, n_radial, p):
    """R_ln and its derivative by x, from one sine and one cosine: j_l' = j_(l-1) - (l+1)/z j_l."""
    zeros, norms = (jnp.asarray(a, x.dtype) for a in zeros_and_norms(n_spherical, n_radial))
    l = np.arange(n_spherical, dtype=x.dtype)[:, None]
    z = x[..., None, None] * zeros
    below, j = jnp.cos(z) / z, jnp.sin(z) / z  # j_(-1), j_0
    for k in range(n_spherical - 1):  # each degree stops at its own
        below, j = jnp.where(k < l, j, below), jnp.where(k < l, (2 * k + 1) / z * j - below, j)
    both = jax.jvp(lambda x: envelope(x, p), (x,), (jnp.ones_like(x),))
    u, du = (f[..., None, None] for f in both)
    return u * norms * j, norms * (du * j + u * zeros * (below - (l + 1) / z * j))


@spherical_bessel.defjvp
def _spherical_bessel_jvp(n_spherical, n_radial, p, primals, tangents):
    value, slope = _with_slope(*primals, n_spherical, n_radial, p)
    return value, slope * tangents[0][..., None, None]


def legendre(cosines: jax.Array, n_spherical: int) -> list[jax.Array]:
    """P_l, l < n_spherical, of cosines [...] -> list of n_spherical arrays [...]."""
    p = [jnp.ones_like(cosines), cosines]
    for l in range(1, n_spherical - 1):
        p.append(((2 * l + 1) * cosines * p[l] - l * p[l - 1]) / (l + 1))
    return p[:n_spherical]
