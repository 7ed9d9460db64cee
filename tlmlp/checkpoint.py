"""Checkpoints: a training that was stopped goes on with the same numbers."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from .files import write_whole
from .potential import Potential


class Best(NamedTuple):
    """The averaged weights with the smallest validation error so far."""

    potential: Potential
    step: int
    mae: float  # meV/Å, forces; inf before the first validation


def save(
    path: str | Path, settings: dict[str, Any], state: Any, potential: Potential, best: Best
) -> None:
    """Write all that a training needs to go on; `state` is a tree of arrays."""
    leaves = [np.asarray(x) for x in jax.tree.leaves((state, best.potential.params))]
    header = dict(
        settings=settings,
        reference=potential.reference,
        best_reference=best.potential.reference,
        best_step=best.step,
        best_mae=float(best.mae),
    )
    tensors = {f"{i:05d}": np.atleast_1d(leaf) for i, leaf in enumerate(leaves)}
    write_whole(path, safetensors.numpy.save(tensors, metadata={"checkpoint": json.dumps(header)}))


def load(
    path: str | Path, settings: dict[str, Any], state: Any, potential: Potential
) -> tuple[Any, Potential, Best] | None:
    """(state, potential, best) from a checkpoint of the same training; None without a file.

    `state` and `potential` are those at its beginning. Raises ValueError for a file that is none,
    or is one of other settings.
    """
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
    if other := sorted(k for k in known if header["settings"].get(k) != known[k]):
        raise ValueError(
            f"{path} belongs to a training with other {', '.join(other)}; "
            f"name another file or delete it"
        )
    template, structure = jax.tree.flatten((state, potential.params))
    if len(leaves) != len(template) or "best_mae" not in header:
        raise ValueError(
            f"{path} was written by another version of tlmlp; name another file or delete it"
        )
    arrays = [
        jnp.asarray(x.reshape(np.shape(t)), np.asarray(t).dtype)
        for x, t in zip(leaves, template, strict=True)
    ]
    state, params = jax.tree.unflatten(structure, arrays)
    potential = potential.replace(reference=tuple(header["reference"]))
    best = potential.replace(
        params=jax.tree.map(np.asarray, params), reference=tuple(header["best_reference"])
    )
    return state, potential, Best(best, header["best_step"], header["best_mae"])
