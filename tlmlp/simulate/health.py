"""When a simulation has broken down: limits, and one sentence that says why."""

from collections.abc import Iterable

import numpy as np
from ase.data import covalent_radii
from numpy.typing import ArrayLike

NEAREST = 0.64  # of the sum of two covalent radii; no temperature of ours brings atoms closer
CORE_NEAREST = 0.8  # of the distance below which a potential's own core repels, where it has one
WRONG = "the potential is wrong for such structures, or the timestep is too long."


def limit(hottest_K: float) -> float:
    """K above which a temperature has run away; of the highest temperature asked for so far."""
    return 2 * hottest_K + 1000


def nearest(numbers: ArrayLike, core: float = 0.0) -> np.ndarray:
    """Radii [N] in Å by atomic numbers [N]: two atoms may come no closer than the sum of theirs.

    `core` is the distance in Å below which a potential repels; 0 where it has no such core.
    """
    if core > 0:
        return np.full(np.shape(numbers), CORE_NEAREST / 2 * core)
    return NEAREST * covalent_radii[np.asarray(numbers)]


def check(
    numbers: Iterable[ArrayLike], temperature_K: float, hottest_K: float, time_ps: float
) -> str:
    """One sentence on what went wrong, or "": not a number, or far too hot.

    `numbers` are what must be finite, such as positions and energies. `hottest_K` is the highest
    temperature asked for so far, infinity where none was. `time_ps` is said in the sentence.
    """
    if not all(np.isfinite(x).all() for x in numbers):
        words = f"A position or an energy was no longer a number before {time_ps:.2f} ps"
        return f"{words}: take a shorter timestep, or another potential."
    if temperature_K > limit(hottest_K):
        words = f"The temperature rose to {temperature_K:.0f} K before {time_ps:.2f} ps, far above"
        return f"{words} the {hottest_K:.0f} K asked for: {WRONG}"
    return ""
