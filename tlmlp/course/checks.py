"""Exercises: is an answer right, and if not, which mistake leads to it?"""

import html
from collections.abc import Callable, Mapping
from functools import wraps
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.units import kB

from ..properties.measured import PROPERTIES
from ..refusal import one_of
from .answers import Answers
from .cards import Card


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
        words = f"<b>{sign}</b> {html.escape(self.words)}"  # text has the colours of the theme
        return f'<div style="border-left:4px solid {colour}; padding:4px 10px">{words}</div>'


DOTS = Verdict(False, "put your answer in place of the dots.")


def recorded(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """A check that keeps each try in the answers of this kernel, where some are open.

    Dots in place of an answer are no try: nothing is checked.
    """

    @wraps(check)
    def judged(answer, *args, **options):
        if answer is None or answer is ...:
            return DOTS
        verdict = check(answer, *args, **options)
        if Answers.opened is not None:
            name = check.__name__.removeprefix("check_")
            Answers.opened.exercise(name, answer, verdict.right, verdict.words)
        return verdict

    return judged


def judge(answer, tolerance: Callable[[float], float], right, wrong, otherwise: str) -> Verdict:
    """Compare an answer with the right value and with those that typical mistakes lead to.

    right: (value, words); wrong: such pairs, where a third item is a tolerance of its own;
    otherwise: words for any other number. In words, {answer} stands for the answer.
    """
    try:
        number = float(answer)
    except (TypeError, ValueError):
        return Verdict(False, f"one number is asked for, not {answer!r}.")
    if not np.isfinite(number):
        return Verdict(False, f"{number} is not a number that nature knows.")
    for k, (value, words, *own) in enumerate([right, *wrong]):
        if abs(number - value) < (own[0] if own else tolerance(value)):
            return Verdict(k == 0, words.format(answer=number))
    return Verdict(False, otherwise.format(answer=number))


@recorded
def check_kinetic_energy(answer, temperature_K: float) -> Verdict:
    """Mean kinetic energy of an atom, in eV, at a temperature in K."""
    right = 1.5 * kB * temperature_K
    words = f"3/2 k T = {right:.4f} eV: each of the three directions holds k T / 2."
    both = "that is 3 k T, kinetic and potential energy together; only the kinetic half"
    wrong = (
        (right * 1000, "that is in meV; the answer is asked for in eV."),
        (right / 3, "that is k T / 2, one direction; an atom moves in three."),
        (right * 2 / 3, "that is k T; count k T / 2 for each of three directions."),
        (right * 2, f"{both} is asked for."),
    )
    theorem = "the equipartition theorem gives each direction k T / 2, with k = "
    return judge(answer, lambda x: 0.03 * x, (right, words), wrong, f"{theorem}{kB:.4e} eV/K.")


@recorded
def check_force(answer, atoms: Atoms, atom: int, axis: int) -> Verdict:
    """Force on one atom along one axis (0, 1 or 2), in eV/Å, against the calculator's own.

    The answer may differ by 2 meV/Å or 1 %, whichever is more.
    """
    forces = [float(f) for f in atoms.get_forces()[atom]]
    force, margin = forces[axis], max(2e-3, 0.01 * abs(forces[axis]))
    agree = f"your {{answer:.4f}} eV/Å and the calculator's {force:.4f} eV/Å agree"
    right = force, f"{agree}: a force is a slope of the energy."
    along = "that is the force along {}; the one along {} is asked for."
    wrong = [(-force, "right size, wrong sign: atoms are pushed downhill, F = -dE/dx.")]
    for value, words in (
        (2 * force, "twice too large: the two points are 2 h apart."),
        (0.5 * force, "half of it: divide by 2 h, not by 4 h."),
        *((forces[k], along.format("xyz"[k], "xyz"[axis])) for k in range(3) if k != axis),
    ):
        wrong += [(value, words), (-value, words)]
    zero = "zero: did the atom move between the two energies? Move atoms.positions, then ask again."
    otherwise = "{answer:.4f} eV/Å is not it. Take the energies of two copies, "
    otherwise += "the atom moved by +h and by -h, with h near 0.01 Å."
    return judge(answer, lambda x: margin, right, [*wrong, (0.0, zero, 1e-6)], otherwise)


@recorded
def check_constant(answer) -> Verdict:
    """By how much forces change (eV/Å) when every atom's energy is shifted by 1 eV."""
    anew = "This is why a reference energy can be fitted anew and no force moves."
    lift = "lift a hill by a metre, and how much steeper does it get?"
    right = (0.0, f"a constant has no slope. {anew}")
    return judge(answer, lambda x: 1e-9, right, (), f"a force is a slope of the energy; {lift}")


@recorded
def check_frequency(answer, known: float, length: float, energy: float, mass: float) -> Verdict:
    """A frequency (THz) by the law of corresponding states, from the `known` one (THz).

    length, energy, mass: new over old, of lattice constants, energies and atomic masses.
    """
    root = (energy / mass) ** 0.5
    law, spring = "an energy over a length squared", "What are the units of a spring constant?"
    right = known * root / length
    words = f"{right:.2f} THz: a spring constant is {law}, and heavier atoms swing slower."
    wrong = (
        (right * root / length, "that is the ratio of squared frequencies: take the square root."),
        (right * mass**0.5, "and the mass? Germanium's atom is heavier."),
        (right * length, f"and the length? A spring constant is {law}."),
        (known / mass**0.5, f"the mass is right; now the spring constant, {law}."),
        (right * mass, "a heavier atom swings slower, not faster: divide by the mass."),
        (right * length**2, "a longer bond is a softer spring: divide by the length."),
    )
    otherwise = f"a frequency is the square root of a spring constant over a mass. {spring}"
    return judge(answer, lambda x: 0.01 * abs(x), (right, words), wrong, otherwise)


@recorded
def check_bulk_modulus(answer, c11: float, c12: float) -> Verdict:
    """Bulk modulus in GPa of a cubic crystal, from its elastic constants in GPa."""
    right = (c11 + 2 * c12) / 3
    words = f"{right:.1f} GPa: 1 % less volume takes {right / 100:.2f} GPa of pressure."
    one = "that is the stress over the strain of one axis: the volume changes three times as much."
    wrong = (
        (c11 + 2 * c12, one),
        ((c11 + c12) / 3, "each axis feels the strain of the two others: C12 counts twice."),
        ((c11 - c12) / 2, "that is a shear modulus, which has no say in a change of volume."),
        (c11, "C11 alone is the answer to a strain of one axis, with the others held."),
        (1000 * right, "that is in MPa; GPa are asked for."),
    )
    otherwise = "strain all three axes by ε: what is the stress along one of them, "
    otherwise += "and by how much does the volume change?"
    return judge(answer, lambda x: 0.005 * abs(right), (right, words), wrong, otherwise)


@recorded
def check_timestep(answer, timestep: float, error: float, allowed: float) -> Verdict:
    """The longest timestep (fs) for which the error of the energy stays below `allowed`.

    error: what it is at `timestep`, in the unit of `allowed`. It grows as the timestep squared.
    """
    ratio, right = allowed / error, timestep * (allowed / error) ** 0.5
    words = f"{right:.1f} fs: the error grows as the timestep squared, so the timestep as its"
    linear = "that would be right if the error grew as the timestep; it grows as its square."
    inverse = "the other way round: the error is the square of the timestep, so the timestep"
    down = "upside down: a larger error is allowed, so the timestep may be longer."
    wrong = (
        (timestep * ratio, linear),
        (timestep * ratio**2, f"{inverse} is its root."),
        (timestep / ratio**0.5, down),
    )
    otherwise = f"error = c dt². Find c from the {error:.3g} at {timestep:g} fs, then solve for dt."
    return judge(answer, lambda x: 0.03 * x, (right, f"{words} square root."), wrong, otherwise)


@recorded
def check_machines(
    answer, atoms: int, time_ns: float, timestep_fs: float, rate: float, days: float
) -> Verdict:
    """The fewest machines that simulate so many ns within so many days.

    rate: atoms times steps that one machine computes in a second; n machines compute n times that.
    """
    steps = time_ns * 1e6 / timestep_fs
    exact = atoms * steps / rate / (86400 * days)
    right = int(np.ceil(exact))
    words = f"{right}: one alone needs {exact * days:.1f} days for {steps:.3g} steps."
    wrong = (
        (exact, "the sum is right; machines are whole, so round up."),
        (right - 1, "that is not quite enough: round up, not down."),
        (np.ceil(exact * timestep_fs), f"a step is {timestep_fs:g} fs long, not 1 fs."),
        (np.ceil(exact / 1000), "a factor of 1000 is missing: 1 ns is a million fs."),
        (np.ceil(exact * 24), "those are the machines for hours; the limit is in days."),
        (np.ceil(exact * days), "that is for one day; more days need fewer machines."),
    )
    otherwise = "atoms times steps, over the rate, is the time of one machine in seconds."
    return judge(answer, lambda x: 1e-3 * abs(x), (right, words), wrong, otherwise)


@recorded
def check_fewest(answer, errors: Mapping[int, float], allowed: float) -> Verdict:
    """The smallest number whose error is at most `allowed`. errors: {number: error in meV/Å}."""
    enough = [number for number in errors if errors[number] <= allowed]
    there = lambda number: f"the error at {number} is {errors[number]:.0f} meV/Å, "
    if not enough:
        least = min(errors.values())
        none = f"no number has {allowed:.0f} meV/Å: the smallest error is {least:.0f}. Allow more."
        return Verdict(False, none)
    fewest, limit = min(enough), f"the {allowed:.0f} meV/Å allowed."
    words = dict.fromkeys(errors, f"more than {limit}")
    words |= dict.fromkeys(enough, "low enough; but a smaller number is enough too.")
    wrong = [(n, there(n) + words[n]) for n in errors if n != fewest]
    otherwise = f"the curve has points at {', '.join(map(str, errors))}; choose one of them."
    right = (fewest, f"{there(fewest)}at most {limit}")
    return judge(answer, lambda _: 1e-9, right, wrong, otherwise)


@recorded
def check_failure_probability(answer, held: int, confidence: float = 0.95) -> Verdict:
    """Largest probability of failure that `held` runs, none of which failed, do not exclude."""
    chance = 1 - confidence
    right = 1 - chance ** (1 / held)
    words = f"{right:.2f}: {held} of {held} runs hold by chance in {100 * chance:.0f} % of cases."
    wrong = (
        (0.0, f"{held} runs do not show that no run ever fails."),
        (1 - right, "that is the probability p that a run holds; a failure has 1 - p."),
        (1 - confidence ** (1 / held), f"set p to the power {held} equal to {chance:.2f}."),
        (100 * right, "that is in percent; a number between 0 and 1 is asked for.", 1),
    )
    otherwise = f"{held} independent runs hold with probability p to the power {held}."
    return judge(answer, lambda x: 0.01, (right, words), wrong, otherwise)


@recorded
def check_margin(answer, differences) -> Verdict:
    """Half of the 95 % interval of a mean over seeds: t s / sqrt(S) of S differences."""
    from scipy.stats import t

    S, s = len(differences), float(np.std(differences, ddof=1))
    right, student = t.ppf(0.975, S - 1) * s / S**0.5, f"Student's t of {S} seeds"
    words = f"{right:.2f}: a mean difference within it is no difference."
    wrong = (
        (s, "that is the standard deviation: divide by the root of S, and multiply by t."),
        (s / S**0.5, f"that is the standard error: multiply it by {student}."),
        (1.96 * s / S**0.5, f"1.96 is for many seeds; {student} is larger."),
        (right * S**0.5, "the mean of S seeds has less spread than one: divide by the root of S."),
        (right * (1 - 1 / S) ** 0.5, "take the standard deviation with S - 1: ddof=1."),
    )
    otherwise = f"t s / sqrt(S), with {student}."
    return judge(answer, lambda x: 0.01 * abs(x), (right, words), wrong, otherwise)


@recorded
def check_verdicts(answer, card: Card, n: int) -> Verdict:
    """What transfer did to three or more properties, {property: verdict}, against a card.

    A verdict is "helped", "hurt" or "no difference", from scratch and transfer on n structures.
    Raises ValueError where the card has none for n.
    """
    one_of("n", n, card.verdicts())
    form = '{"property": "helped", "hurt" or "no difference"}'
    if not isinstance(answer, Mapping):
        return Verdict(False, f"a dict is asked for, {form}, not {answer!r}.")
    judged = {x.property: x for x in card.lines if (x.method, x.n) == ("transfer", n) and x.verdict}
    for name, said in answer.items():
        if name not in judged:
            return Verdict(False, f"no verdict on {name!r}; there is one on {', '.join(judged)}.")
        if said not in ("helped", "hurt", "no difference"):
            return Verdict(False, f"{name}: {said!r} is no verdict. Write {form}.")
    wrong = [_against(judged[name], said) for name, said in answer.items()]
    wrong = [words for words in wrong if words]
    if not wrong and len(answer) < 3:
        return Verdict(False, f"so far so good: three properties are asked for, not {len(answer)}.")
    fine = "a verdict compares a mean with its spread, both of errors, not of values."
    return Verdict(not wrong, " ".join(wrong) or fine)


def _against(line, said):
    """The numbers of a line of the card that contradict what was said; "" for the verdict."""
    if said == line.verdict:
        return ""
    unit = PROPERTIES[line.property][1]
    mean, margin = f"{line.difference:.2g} {unit}", f"{line.margin:.2g} {unit}"
    numbers = f"{line.property}: the mean difference of errors is {mean}, its margin {margin}: "
    if line.verdict == "no difference":
        return f"{numbers}it is within the margin, so it may be chance."
    nearer = "transfer" if line.difference > 0 else "scratch"
    more = "that is more than chance, and " if said == "no difference" else ""
    return f"{numbers}{more}{nearer} is nearer to the reference."


@recorded
def check_slope(answer, true, predicted) -> Verdict:
    """Slope through the origin of predicted against reference forces, arrays of components."""
    x, y = np.ravel(true), np.ravel(predicted)
    both, square, other = float(x @ y), float(x @ x), float(y @ y)
    right = both / square
    off, size = 100 * abs(1 - right), "small" if right < 1 else "large"
    words = f"{right:.3f}: on average the predicted forces are {off:.0f} % too {size}."
    wrong = (
        (both / other, "that is s', the slope of the reference against the prediction."),
        (square / both, "upside down: the products with the prediction stand above."),
        (both / (square * other) ** 0.5, "that is a correlation: it ignores the size of forces."),
        ((other / square) ** 0.5, "that compares sizes alone; a slope needs directions too."),
        (1 - np.square(y - x).sum() / square, "that is R²."),
        (1 - right, "that is how far the slope is from 1; the slope itself is asked for."),
    )
    otherwise = "sum F_ref F_pred over all components, and divide by the sum of F_ref squared."
    return judge(answer, lambda v: 0.005 * abs(v), (right, words), wrong, otherwise)


@recorded
def check_share(answer, true, predicted) -> Verdict:
    """Fraction of the squared error of forces that lies along the reference, between 0 and 1."""
    x, y = np.ravel(true), np.ravel(predicted)
    s, rest = float(x @ y / (x @ x)), float(np.square(y - x).sum() / (x @ x))  # rest: 1 - R²
    right = (1 - s) ** 2 / rest
    words = f"{right:.3f}: that part of the squared error is softness."
    wrong = (
        (1 - right, "that is the other part, which the slope leaves."),
        ((1 - s) / rest, "an error counts with its square: (1 - s)²."),
        ((1 - s) ** 2, "that is softness over all squared forces; divide by 1 - R²."),
        (rest, "that is 1 - R², all of the error; which part of it is (1 - s)²?"),
        (1 - s, "that is how far the slope is from 1; how much of the error is it?"),
        (right**0.5, "that is the fraction of the root of the squared error."),
        (100 * right, "that is in percent; a number between 0 and 1 is asked for.", 0.5),
    )
    otherwise = "softness is (1 - s)² of all squared forces, the whole error 1 - R² of them."
    return judge(answer, lambda v: 0.005 * abs(v), (right, words), wrong, otherwise)
