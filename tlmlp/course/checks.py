"""Exercises: is an answer right, and if not, why?"""

import html
from typing import NamedTuple

import numpy as np


class Verdict(NamedTuple):
    """Whether an answer is right, and why. True or False in an `if`."""

    right: bool
    words: str

    def __bool__(self):
        return self.right

    def __repr__(self):
        return f"{'Right' if self.right else 'Not yet'}: {self.words}"

    def _repr_html_(self):
        colour, sign = ("#009E73", "✓ Right.") if self.right else ("#D55E00", "✗ Not yet.")
        return (
            f'<div style="border-left:4px solid {colour}; padding:4px 10px"><b style="color:{colour}">{sign}</b> '
            f"{html.escape(self.words)}</div>"
        )


def _answer(value):
    """A number, or the Verdict that says why it is none."""
    if value is None or value is ...:
        return None, Verdict(False, "put your answer in place of the dots.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None, Verdict(False, f"one number is asked for, not {value!r}.")
    if not np.isfinite(number):
        return None, Verdict(False, f"{number} is not a number that nature knows.")
    return number, None


def check_kinetic_energy(answer, temperature_K):
    """Mean kinetic energy of an atom, in eV, at a temperature in K."""
    from ase.units import kB

    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = 1.5 * kB * temperature_K
    close = lambda x: abs(value - x) < 0.03 * x
    if close(right):
        return Verdict(
            True, f"3/2 k T = {right:.4f} eV: each of the three directions holds k T / 2."
        )
    if close(right * 1000):
        return Verdict(False, "that is in meV; the answer is asked for in eV.")
    if close(right / 3):
        return Verdict(False, "that is k T / 2, one direction; an atom moves in three.")
    if close(right * 2 / 3):
        return Verdict(False, "that is k T; count k T / 2 for each of three directions.")
    if close(right * 2):
        return Verdict(
            False,
            "that is 3 k T, kinetic and potential energy together; only the kinetic half is asked for.",
        )
    return Verdict(
        False, f"the equipartition theorem gives each direction k T / 2, with k = {kB:.4e} eV/K."
    )


def check_force(answer, atoms, atom, axis):
    """Force on one atom along one axis (0, 1 or 2), in eV/Å, against the calculator's own.

    atoms: ase.Atoms with a calculator. The answer may differ by 2 meV/Å or 1 %, whichever is more.
    """
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    force = float(atoms.get_forces()[atom, axis])
    tolerance = max(2e-3, 0.01 * abs(force))
    close = lambda x: abs(value - x) < tolerance
    if close(force):
        return Verdict(
            True,
            f"your {value:.4f} eV/Å and the calculator's {force:.4f} eV/Å agree: a force is a slope of the energy.",
        )
    if close(-force):
        return Verdict(False, "right size, wrong sign: atoms are pushed downhill, F = -dE/dx.")
    for factor, words in (
        (2, "twice too large: the two points are 2 h apart"),
        (0.5, "half of it: divide by 2 h, not by 4 h"),
    ):
        if close(factor * force) or close(-factor * force):
            return Verdict(False, f"{words}.")
    others = atoms.get_forces()[atom]
    for other in range(3):
        if other != axis and (
            abs(value - others[other]) < tolerance or abs(value + others[other]) < tolerance
        ):
            return Verdict(
                False,
                f"that is the force along {'xyz'[other]}; the one along {'xyz'[axis]} is asked for.",
            )
    if abs(value) < 1e-6:
        return Verdict(
            False,
            "zero: did the atom move between the two energies? Move atoms.positions, then ask again.",
        )
    return Verdict(
        False,
        f"{value:.4f} eV/Å is not it. Take the energies of two copies, the atom moved by +h and by -h, with h near 0.01 Å.",
    )


def check_constant(answer):
    """By how much forces change (eV/Å) when every atom's energy is shifted by 1 eV."""
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    if abs(value) < 1e-9:
        return Verdict(
            True,
            "a constant has no slope. This is why a reference energy can be fitted anew and no force moves.",
        )
    return Verdict(
        False,
        "a force is a slope of the energy; lift a hill by a metre, and how much steeper does it get?",
    )


def check_frequency(answer, known, length, energy, mass):
    """A frequency (THz) that the law of corresponding states makes of a known one.

    length, energy, mass: new over old, of lattice constants, energies and atoms' masses.
    """
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = known * (energy / mass) ** 0.5 / length
    close = lambda x: abs(value - x) < 0.01 * abs(x)
    if close(right):
        return Verdict(
            True,
            f"{right:.2f} THz: a spring constant is an energy over a length squared, and heavier atoms swing slower.",
        )
    for wrong, words in (
        (
            known * (energy / mass) / length**2,
            "that is the ratio of squared frequencies: take the square root",
        ),
        (known * energy**0.5 / length, "and the mass? Germanium's atom is heavier"),
        (
            known * (energy / mass) ** 0.5,
            "and the length? A spring constant is an energy over a length squared",
        ),
        (
            known * (1 / mass) ** 0.5,
            "the mass is right; now the spring constant, an energy over a length squared",
        ),
        (
            known * (energy * mass) ** 0.5 / length,
            "a heavier atom swings slower, not faster: divide by the mass",
        ),
        (
            known * (energy / mass) ** 0.5 * length,
            "a longer bond is a softer spring: divide by the length",
        ),
    ):
        if close(wrong):
            return Verdict(False, f"{words}.")
    return Verdict(
        False,
        "a frequency is the square root of a spring constant over a mass. What are the units of a spring constant?",
    )


def check_bulk_modulus(answer, c11, c12):
    """Bulk modulus in GPa of a cubic crystal, from its elastic constants in GPa."""
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = (c11 + 2 * c12) / 3
    close = lambda x: abs(value - x) < 0.005 * abs(right)
    if close(right):
        return Verdict(
            True, f"{right:.1f} GPa: 1 % less volume takes {right / 100:.2f} GPa of pressure."
        )
    for wrong, words in (
        (
            c11 + 2 * c12,
            "that is the stress over the strain of one axis: the volume changes three times as much",
        ),
        ((c11 + c12) / 3, "each axis feels the strain of the two others: C12 counts twice"),
        ((c11 - c12) / 2, "that is a shear modulus, which has no say in a change of volume"),
        (c11, "C11 alone is the answer to a strain of one axis, with the others held"),
        (1000 * right, "that is in MPa; GPa are asked for"),
    ):
        if close(wrong):
            return Verdict(False, f"{words}.")
    return Verdict(
        False,
        "strain all three axes by ε: what is the stress along one of them, and by how much does the volume change?",
    )


def check_timestep(answer, timestep, error, allowed):
    """The longest timestep (fs) for which the error of the energy stays below `allowed`.

    error: what it is at `timestep`, in the unit of `allowed`. It grows as the timestep squared.
    """
    value, verdict = _answer(answer)
    if verdict is not None:
        return verdict
    right = timestep * (allowed / error) ** 0.5
    close = lambda x: abs(value - x) < 0.03 * x
    if close(right):
        return Verdict(
            True,
            f"{right:.1f} fs: the error grows as the timestep squared, so the timestep as its square root.",
        )
    for wrong, words in (
        (
            timestep * allowed / error,
            "that would be right if the error grew as the timestep; it grows as its square",
        ),
        (
            timestep * (allowed / error) ** 2,
            "the other way round: the error is the square of the timestep, so the timestep is its root",
        ),
        (
            timestep * (error / allowed) ** 0.5,
            "upside down: a larger error is allowed, so the timestep may be longer",
        ),
    ):
        if close(wrong):
            return Verdict(False, f"{words}.")
    return Verdict(
        False, f"error = c dt². Find c from the {error:.3g} at {timestep:g} fs, then solve for dt."
    )
