"""Bad input gets one sentence that says what is allowed, before anything is computed."""

from collections.abc import Iterable
from math import inf
from numbers import Integral, Real
from typing import TypeGuard


def refuse(when: object, sentence: str, error: type[Exception] = ValueError) -> None:
    """Raise `error` with this sentence, where `when` is true."""
    if when:
        raise error(sentence)


def is_whole(value: object, least: int = 1) -> bool:
    """Whether this is a whole number of at least `least`; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def positive(**values: object) -> None:
    """Raise ValueError, by its name, for a value that is not a positive, finite number."""
    for name, value in values.items():
        fine = is_number(value) and 0 < float(value) < inf
        refuse(not fine, f"{name} must be a positive, finite number, not {value!r}")


def one_of(name: str, value: object, allowed: Iterable) -> None:
    """Raise ValueError, naming what is allowed, for a value that is not among it."""
    allowed = tuple(allowed)
    words = ", ".join(map(str, allowed))
    refuse(value not in allowed, f"{name} must be one of {words}, not {value!r}")
