"""Checkpoints: a training that was stopped goes on with the same numbers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from .files import write_whole


def save(path, settings, state, potential, best, best_step, best_mae):
    leaves = [np.asarray(x) for x in jax.tree.leaves((state, best.params))]
    header = dict(
        settings=settings,
        reference=potential.reference,
        best_reference=best.reference,
        best_step=best_step,
        best_mae=float(best_mae),
    )
    tensors = {f"{i:05d}": np.atleast_1d(leaf) for i, leaf in enumerate(leaves)}
    write_whole(path, safetensors.numpy.save(tensors, metadata={"checkpoint": json.dumps(header)}))


def load(path, settings, state, potential):
    """(state, potential, best, best_step, best_mae) from a checkpoint of the same run; None where there is no file yet."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            header = json.loads(file.metadata()["checkpoint"])
            leaves = [file.get_tensor(key) for key in sorted(file.keys())]
    except FileNotFoundError:
        return None
    except (safetensors.SafetensorError, OSError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of a training ({error}); name another file or delete it"
        ) from None
    known = json.loads(json.dumps(settings))
    other = sorted(k for k in known if header["settings"].get(k) != known[k])
    if other:
        raise ValueError(
            f"{path} belongs to a training with other {', '.join(other)}; name another file or delete it"
        )
    template, structure = jax.tree.flatten((state, potential.params))
    if len(leaves) != len(template) or "best_mae" not in header:
        raise ValueError(
            f"{path} was written by another version of tlmlp; name another file or delete it"
        )
    leaves = [
        jnp.asarray(x.reshape(np.shape(t)), np.asarray(t).dtype)
        for x, t in zip(leaves, template, strict=True)
    ]
    state, best_params = jax.tree.unflatten(structure, leaves)
    potential = potential.replace(reference=tuple(header["reference"]))
    best = potential.replace(
        params=jax.tree.map(np.asarray, best_params), reference=tuple(header["best_reference"])
    )
    return state, potential, best, header["best_step"], header["best_mae"]
