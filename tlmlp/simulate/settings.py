"""What is asked of a run, checked before anything is compiled."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..refusal import is_number, is_whole, refuse

Asked = float | Callable[[float], float]  # a number, or a function of the time in fs


@dataclass(frozen=True)
class Settings:
    """The arguments of nve, nvt and npt, see nvt; ValueError for what cannot be."""

    ensemble: str  # "nve", "langevin", "nose-hoover" or "npt"
    temperature_K: Asked | None
    steps: int | None
    every: int | Callable[[], int]
    timestep_fs: float
    seed: int
    trajectory: str | os.PathLike | None
    resume: bool
    dtype: str
    skin: float | None
    slots: int | None
    damping_fs: float = 100.0
    pressure_GPa: Asked = 0.0
    pressure_damping_fs: float = 1000.0

    def __post_init__(self) -> None:
        time = lambda x: is_number(x) and 0 < x < np.inf
        number, duration = "a whole number of at least 1", "a positive number of femtoseconds"
        for name, fine, words in (
            ("steps", lambda x: x is None or is_whole(x), f"{number}, or None for ever"),
            ("every", lambda x: callable(x) or is_whole(x), number),
            ("slots", lambda x: x is None or is_whole(x), number),
            ("seed", lambda x: is_whole(x, 0), "a whole number of at least 0"),
            ("timestep_fs", time, duration),
            ("damping_fs", time, duration),
            ("pressure_damping_fs", time, duration),
            ("dtype", lambda x: x in ("float32", "float64"), "'float32' or 'float64'"),
            ("skin", lambda x: x is None or is_number(x) and x >= 0, "0 Å or more"),
        ):
            value = getattr(self, name)
            refuse(not fine(value), f"{name} must be {words}, not {value!r}")
        if self.ensemble != "nve":
            self.temperature(0.0), self.pressure(0.0)

    def temperature(self, time: float) -> float:
        """K, at a time in fs."""
        return self._asked("temperature_K", time, 0.0 if self.ensemble == "langevin" else 1e-3)

    def pressure(self, time: float) -> float:
        """GPa, at a time in fs."""
        return self._asked("pressure_GPa", time, -np.inf)

    def _asked(self, name: str, time: float, lowest: float) -> float:
        x: Any = getattr(self, name)
        x = x(time) if callable(x) else x
        fine = is_number(x) and np.isfinite(float(x)) and x >= lowest
        bound = {-np.inf: "", 0.0: " of at least 0"}.get(lowest, " above 0")
        words = f"a number{bound}, or a function of the time that gives one"
        refuse(not fine, f"{name} must be {words}, not {x!r}")
        return float(x)
