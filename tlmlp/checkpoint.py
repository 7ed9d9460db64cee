"""Checkpoints: a training that was stopped goes on with the same numbers."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from .dimenet import Params
from .files import write_whole
from .potential import Potential

# What a training must have in common with a checkpoint, beside settings called by their names.
WORDS = dict(train="training data", valid="validation data", start="starting weights")
WORDS |= dict(network="network or elements", which="frozen weights")


class Best(NamedTuple):
    """The averaged weights with the smallest validation error so far."""

    potential: Potential
    step: int
    mae: float  # meV/Å, forces; inf before the first validation


def sketch(params: Params) -> list[float]:
    """The length of all weights and their shadows on two fixed directions.

    Numbers that agree to rounding for the same weights, made on any machine, and for no others.
    """
    w = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)]).astype(float)
    place = np.arange(len(w))
    return [float(np.linalg.norm(w)), float(w @ np.cos(place)), float(w @ np.sin(place * 0.7))]


def _plain(settings: dict) -> dict:
    """The settings as JSON has them: tuples are lists, numbers of numpy are numbers."""
    return json.loads(json.dumps(settings, default=lambda x: x.item()))


def save(path: str | Path, settings: dict, state: Any, potential: Potential, best: Best) -> None:
    """Write all that a training needs to go on; `state` is a tree of arrays."""
    leaves = jax.tree.leaves((state, best.potential.params))
    header: dict[str, Any] = dict(best_step=best.step, best_mae=float(best.mae))
    header |= dict(best_reference=best.potential.reference, reference=potential.reference)
    header |= dict(settings=_plain(settings))
    tensors = {f"{i:05d}": np.array(leaf, order="C", ndmin=1) for i, leaf in enumerate(leaves)}
    write_whole(path, safetensors.numpy.save(tensors, metadata={"checkpoint": json.dumps(header)}))


def load(
    path: str | Path, settings: dict, state: Any, potential: Potential
) -> tuple[Any, Potential, Best] | None:
    """(state, potential, best) of the training that began with these; None without a file.

    Raises ValueError for a file that is no checkpoint, or one of other settings.
    """
    wrong = lambda words: ValueError(f"{path} {words}; name another file or delete it")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            header = json.loads(file.metadata()["checkpoint"])
            leaves = [file.get_tensor(key) for key in sorted(file.keys())]
    except FileNotFoundError:
        return None
    except (safetensors.SafetensorError, OSError, KeyError, TypeError) as error:
        raise wrong(f"is not a checkpoint of a training ({error})") from None
    known, then = _plain(settings), header["settings"]
    known = {k: v for k, v in known.items() if k in then or k not in ("network", "which")}
    differ = [k for k in known | then if k != "start" and then.get(k) != known.get(k)]
    other = sorted(WORDS.get(k, k) for k in differ)
    if not np.allclose(then.get("start", np.nan), known["start"], 0, 1e-4 * known["start"][0]):
        other.append(WORDS["start"])
    if other:
        raise wrong(f"belongs to a training with other {', '.join(other)}")
    template, structure = jax.tree.flatten((state, potential.params))
    if len(leaves) != len(template) or "best_mae" not in header:
        raise wrong("was written by another version of tlmlp")
    like = lambda x, t: jnp.asarray(x.reshape(np.shape(t)), np.asarray(t).dtype)
    state, params = jax.tree.unflatten(structure, map(like, leaves, template))
    reference, best_reference = (tuple(header[k]) for k in ("reference", "best_reference"))
    best = potential.replace(params=jax.tree.map(np.asarray, params), reference=best_reference)
    best_of = Best(best, header["best_step"], header["best_mae"])
    return state, potential.replace(reference=reference), best_of
