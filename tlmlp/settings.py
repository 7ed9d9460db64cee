"""Settings of a training: weights of the terms of its loss, and what a checkpoint must share."""

from typing import NamedTuple

import numpy as np

from .consistency import Consistency
from .frames import apart
from .graph import Frames, volume_of
from .refusal import is_whole, positive, refuse


class Weights(NamedTuple):
    """Weights of the terms of the loss, which is in (eV/Å)²."""

    force: float = 1.0
    energy: float = 2.0  # 1/Å²; at 50 an error of 7 meV/atom weighs as much as 50 meV/Å
    stress: float = 0.0  # 1/Å²; at 0.1 an error of 1 GPa in silicon weighs as much as 40 meV/Å


START, END = Weights(), Weights(energy=50.0)


class Settings(NamedTuple):
    """The numbers of a training, which a checkpoint must agree with; see fit."""

    steps: int
    seed: int
    learning_rate: float
    batch_size: int
    weights: Weights
    final_weights: Weights
    average: float
    validate_every: int | None
    anchor: float = 0.0
    consistency: Consistency | None = None

    def check(self, train: Frames) -> None:
        """ValueError for what no training can use."""
        refuse(not is_whole(self.seed, 0), f"seed must be a whole number, not {self.seed!r}")
        for name, value in dict(steps=self.steps, batch_size=self.batch_size).items():
            words = f"{name} must be a whole number of at least 1, not {value!r}"
            refuse(not is_whole(value), words)
        words = f"validate_every must be a whole number of at least 1, not {self.validate_every!r}"
        refuse(self.validate_every is not None and not is_whole(self.validate_every), words)
        positive(learning_rate=self.learning_rate)
        words = f"average must be at least 0 and less than 1, not {self.average!r}"
        refuse(not 0 <= self.average < 1, words)
        words = f"anchor must be a number of at least 0, not {self.anchor!r}"
        refuse(not 0 <= self.anchor < np.inf, words)
        start, end = self.weights, self.final_weights
        words = "must be finite and not negative, and either forces or energies must have one"
        fine = np.isfinite(start + end).all() and min(start + end) >= 0
        trains = min(max(start[:2]), max(end[:2])) > 0
        refuse(not fine or not trains, f"weights of the loss {words}")
        unknown = not any("stress" in a.calc.results and volume_of(a) for a in train)
        words = "a stress weight was given but no training frame carries a stress "
        words += "and is periodic in three directions"
        refuse((start.stress or end.stress) and unknown, words)
        words = "all frames are isolated atoms, which fix reference energies alone"
        refuse(not apart(train)[0], f"{words}: training needs others")
        if self.consistency is not None:
            words = f"consistency must be a tlmlp.Consistency or None, not {self.consistency!r}"
            refuse(not isinstance(self.consistency, Consistency), words, TypeError)
            self.consistency.check()
            words = "consistency has the weight of energies, which must be more than 0"
            refuse(not max(start.energy, end.energy) > 0, words)
