"""Devices: a batch of structures is divided over them, and each computes its share of a loss.

Shares are added, never averaged: a device may have fewer structures, or stresses, than another.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from .refusal import is_whole, refuse

AXIS = "devices"  # the first one of arrays that are divided
Devices = tuple[jax.Device, ...]  # none: what jax chooses


def chosen(devices: int | Sequence[jax.Device] | None, batch_size: int) -> Devices:
    """The jax devices for `fit(devices=...)`; ValueError for others than there are, or too many."""
    if devices is None:
        return ()
    there = jax.local_devices()
    asked: Any = devices if isinstance(devices, (list, tuple)) else ()
    n = int(devices) if is_whole(devices) else len(asked)  # type: ignore[arg-type]
    known = all(device in there for device in asked) and len(set(asked)) == len(asked)
    words = "devices must be None, a whole number of at least 1, or a list of different jax devices"
    refuse(not n or not known, f"{words} of this process, not {devices!r}")
    cure = f"XLA_FLAGS=--xla_force_host_platform_device_count={n} makes {n} of a processor"
    refuse(n > len(there), f"jax has {len(there)} devices here, not {n}; {cure}")
    words = f"batch_size must be at least the number of devices, {n}, not {batch_size}"
    refuse(n > batch_size, words)
    return tuple(asked or there[:n])


def place(tree: Any, devices: Devices, divided: bool = False) -> Any:
    """Arrays on devices: on each of them, or `divided` along their first axis."""
    if not devices:
        return jax.tree.map(jax.numpy.asarray, tree)
    spec = PartitionSpec(AXIS) if divided else PartitionSpec()
    one, many = SingleDeviceSharding(devices[0]), lambda: NamedSharding(_mesh(devices), spec)
    return jax.device_put(tree, many() if len(devices) > 1 else one)


def stack(shares: Sequence[Any]) -> Any:
    """Trees of equal shapes, one a device, as one tree that `place` divides."""
    return jax.tree.map(lambda *x: np.stack(x), *shares) if len(shares) > 1 else shares[0]


def summed(share: Callable, devices: Devices) -> Callable:
    """share(weights, ..., example) on each device with its part of the example, results added."""
    if len(devices) < 2:
        return share

    def on_device(*arguments: Any) -> Any:
        *whole, example = arguments
        return jax.lax.psum(share(*whole, jax.tree.map(lambda x: x[0], example)), AXIS)

    def over_all(*arguments: Any) -> Any:
        specs = *(PartitionSpec(),) * (len(arguments) - 1), PartitionSpec(AXIS)
        how = dict(mesh=_mesh(devices), in_specs=specs, out_specs=PartitionSpec())
        # not check_vma: it would add up gradients once more, and has no rule for linear_call
        return jax.shard_map(on_device, **how, check_vma=False)(*arguments)

    return over_all


def _mesh(devices: Devices) -> Mesh:
    return Mesh(np.array(devices), (AXIS,))
