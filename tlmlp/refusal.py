"""Bad input gets one sentence that says what is allowed, before anything is computed."""

from collections.abc import Iterable
from numbers import Integral


def refuse(when: object, sentence: str, error: type[Exception] = ValueError) -> None:
    """Raise `error` with this sentence, where `when` is true."""
    if when:
        raise error(sentence)


def is_whole(value: object, least: int = 1) -> bool:
    """Whether this is a whole number of at least `least`; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def one_of(name: str, value: object, allowed: Iterable) -> None:
    """Raise ValueError, naming what is allowed, for a value that is not among it."""
    allowed = tuple(allowed)
    words = ", ".join(map(str, allowed))
    refuse(value not in allowed, f"{name} must be one of {words}, not {value!r}")
