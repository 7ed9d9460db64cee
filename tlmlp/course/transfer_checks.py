"""Exercises on transfer itself: plans, units, overfitting, masks, forgetting, replay, labels."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from ase import Atoms

from .. import linear, transfer
from ..frames import label
from ..graph import Shapes
from ..potential import Potential
from ..refusal import one_of
from ..train import Mask
from ..uncertainty import Reliability
from . import results
from .checks import Verdict, judge, recorded
from .sources import SOURCES

STARTS = dict(scratch="scratch", transfer="copied", reduced="reduced")  # what learners call them
Plan = tuple[int, int, str]  # (training structures, groups frozen from the front, start)


def plan_errors(source: str) -> dict[Plan, float]:
    """Mean force MAE (meV/Å) over the seeds of every precomputed plan of 800 steps of a source.

    Keys: (structures, frozen groups, "copied", "reduced" or "scratch"). Plans with all structures
    are left out.
    """
    one_of("source", source, SOURCES)
    found: dict[Plan, list[float]] = {}
    for row in results.rows("learning-curve") + results.rows("frozen"):
        if row["source"] == source and row["n"]:
            plan = row["n"], len(row["frozen"]), STARTS[row["method"]]
            found.setdefault(plan, []).append(row["force_mae"])
    return {plan: float(np.mean(errors)) for plan, errors in sorted(found.items())}


@recorded
def check_plan(answer, errors: Mapping[Plan, float], structures: int, allowed: float) -> Verdict:
    """A plan, dict(n=, frozen=, start=), within a number of structures and an error (meV/Å).

    Right is a plan that no other one beats: none has fewer structures and as many frozen groups, or
    more frozen groups and as few structures. errors: of every plan, see plan_errors.
    """
    if not isinstance(answer, Mapping) or set(answer) != {"n", "frozen", "start"}:
        return Verdict(False, "a plan is dict(n=10, frozen=0, start='copied'), with these names.")
    n, frozen, start = answer["n"], answer["frozen"], answer["start"]
    if start not in STARTS.values():
        return Verdict(False, f"start is one of {', '.join(STARTS.values())}, not {start!r}.")
    if not all(isinstance(number, (int, np.integer)) for number in (n, frozen)):
        return Verdict(False, "n is a number of structures, frozen a number of groups.")
    plan = n, frozen, start = int(n), int(frozen), start
    if plan not in errors:
        known = sorted({p[0] for p in errors if p[1:] == plan[1:]})
        words = f"with this start and freezing, n may be {', '.join(map(str, known))}."
        words = words if known else f"no {start} start was precomputed with {frozen} frozen groups."
        return Verdict(False, f"this plan is not in the table: {words}")
    found = f"the mean error is {errors[plan]:.1f} meV/Å"
    if errors[plan] > allowed:
        return Verdict(False, f"{found}, more than the {allowed:g} allowed.")
    if n > structures:
        return Verdict(False, f"{found}, but {n} structures are over the budget of {structures}.")
    enough = [p for p in errors if errors[p] <= allowed and p[0] <= n and p[1] >= frozen]
    if any(p[0] < n for p in enough):
        return Verdict(False, f"{found}, low enough; fewer structures are enough: mind the start.")
    if any(p[1] > frozen for p in enough):
        return Verdict(False, f"{found}, low enough; more groups can be frozen.")
    words = f"{found} with {n} structures and {frozen} frozen groups"
    return Verdict(True, f"{words}: no other plan saves more of both.")


@recorded
def check_reduced_forces(answer, atoms: Atoms, silicon: Potential, reduced: Potential) -> Verdict:
    """Forces [N, 3] (eV/Å) on germanium by silicon's network, against those of the reduced start.

    They may differ by 1 meV/Å.
    """
    shape = np.shape(answer)
    if shape != (len(atoms), 3):
        return Verdict(False, f"forces have the shape ({len(atoms)}, 3), not {shape}.")
    forces = np.asarray(answer, float)
    s, e = (reduced.info["transfer"][name] for name in ("length", "energy"))
    right = _forces(reduced, atoms, atoms.numbers[0])
    differ = lambda values: float(np.abs(forces - values).max())
    if differ(right) < 1e-3:
        words = f"they differ from those of `reduced` by {1e3 * differ(right):.2f} meV/Å at most"
        return Verdict(True, f"{words}: its weights contain this change of units.")
    force = lambda cell, positions: _forces(silicon, atoms, silicon.trained[0], cell, positions)
    stretched, cell_left, unscaled = force(s, s), force(1, 1 / s), force(1, 1)
    wrong = (
        (right / e, "e is missing: energies, and so forces, grow by e."),
        (right * s, "1/s is missing: a force is an energy over a length."),
        (right * s**2, "multiplied by s: a force is an energy over a length, so divide by s."),
        (right * s / e, "e/s is missing: these are silicon's forces at r/s."),
        (1000 * right, "in meV/Å; eV/Å are asked for."),
        (-right, "right size, wrong sign: no sign changes here."),
        (stretched * e / s, "r was multiplied by s: silicon's atoms are closer, at r/s."),
        (unscaled * e / s, "r was not scaled: silicon's atoms are closer, at r/s."),
        (unscaled, "silicon's forces, unchanged: scale r, and then the forces."),
        (cell_left * e / s, "the cell has its old size: scale it too, scale_atoms=True."),
    )
    values, words = min(wrong, key=lambda pair: differ(pair[0]))
    if differ(values) < 1e-3 * max(1, np.abs(values).max()):
        return Verdict(False, words)
    words = f"they differ from those of `reduced` by up to {differ(right):.2g} eV/Å."
    return Verdict(False, f"{words} Divide cell and positions by s, and ask silicon's network.")


def _forces(potential, atoms, element, cell=1.0, positions=1.0):
    """Forces (eV/Å) on a copy of other atoms, its cell and positions multiplied."""
    atoms = Atoms([element] * len(atoms), positions * atoms.positions, cell=cell * atoms.cell[:])
    atoms.pbc, atoms.calc = True, potential.calculator()
    return atoms.get_forces()


@recorded
def check_overfitting(answer, curve: Sequence, chosen: int | None = None) -> Verdict:
    """The step from which on a training overfits: where its test error is smallest.

    curve: [[step, force MAE, force RMSE, energy RMSE], ...] of tests (meV/Å, meV/atom); the nearest
    of its steps counts. chosen: the step that validation chose.
    """
    steps, errors = np.array(curve, float)[:, :2].T
    best, last = steps[errors.argmin()], steps[-1]
    resolution = np.diff(steps).max() / 2
    smallest = f"{errors.min():.0f} meV/Å at step {best:.0f}"
    wrong = [(last, f"that is the last step, with {errors[-1]:.0f} meV/Å; it was less before.")]
    if chosen is not None:
        wrong.append((chosen, "validation chose this step; the test error is smallest elsewhere."))
    energy = steps[np.array(curve, float)[:, 3].argmin()]
    wrong += [
        (errors.min(), "that is the smallest error; its step is asked for."),
        (errors.argmin(), "that is the number of the point; its step is asked for."),
        (energy, "that is the smallest error of the energy; take that of the forces."),
    ]
    number = float(answer) if isinstance(answer, (int, float, np.number)) else np.nan
    if steps[0] - resolution < number <= last + resolution:
        there = np.abs(steps - number).argmin()
        falls = "still falls" if steps[there] < best else "has risen already"
        otherwise = f"there the error {falls}: {errors[there]:.0f} meV/Å."
    else:
        otherwise = f"the curve has steps from {steps[0]:.0f} to {last:.0f}."
    right = best, f"{smallest}, and {errors[-1]:.0f} at the end: from here on it overfits."
    near = lambda value: resolution if value == best else 0.5
    return judge(answer, near, right, wrong, otherwise)


@recorded
def check_mask(answer, potential: Potential, frozen: Collection[str]) -> Verdict:
    """A mask {module: {weight: bool}} for `fit` in which these groups are frozen, and no others."""
    if not isinstance(answer, Mapping) or not all(isinstance(w, Mapping) for w in answer.values()):
        return Verdict(False, "a mask is a dict of dicts, {module: {weight: True or False}}.")
    right: Mask = transfer.freeze(potential, frozen)
    names = lambda mask: {(module, weight) for module in mask for weight in mask[module]}
    for missing, words in (
        (names(right) - names(answer), "has no entry for"),
        (names(answer) - names(right), "has an entry that the network lacks:"),
    ):
        if missing:
            first = "/".join(min(missing))
            return Verdict(False, f"the mask {words} {first} ({len(missing)} in all).")
    pairs = {(m, w): (answer[m][w], right[m][w]) for m, w in sorted(names(right))}
    strange = [key for key, (own, _) in pairs.items() if not isinstance(own, (bool, np.bool_))]
    if strange:
        return Verdict(False, f"{'/'.join(strange[0])} has neither True nor False.")
    wrong = {m: known for (m, _), (own, known) in pairs.items() if own != known}
    if not wrong:
        sizes = transfer.sizes(potential)
        held = sum(sizes[group] for group in frozen)
        return Verdict(True, f"{held} of {sum(sizes.values())} weights are frozen.")
    if all(own != known for own, known in pairs.values()):
        return Verdict(False, "the mask is inverted: True is for the weights that train.")
    module = min(wrong)
    should = "train" if wrong[module] else "be frozen"
    group, more = transfer.group_of(module), f"; {len(wrong)} modules are wrong" * (len(wrong) > 1)
    return Verdict(False, f"{module}, of the group {group}, should {should}{more}.")


@recorded
def check_forgetting(answer, before: float, after: float) -> Verdict:
    """The factor by which the error on silicon grows, from errors before and after (meV/Å)."""
    right = after / before
    words = f"{right:.2f}: the error on silicon is {right:.1f} times as large as before."
    wrong = (
        (after - before, "that is the difference, in meV/Å; a factor is a ratio."),
        (before / after, "upside down: that is the error before over the error after."),
        (100 * right, "that is in percent; the factor itself is asked for."),
        (100 * (right - 1), "that is the increase in percent; the factor is asked for."),
        (right - 1, "that is the increase over the first error; the factor is one more."),
        (after, "that is the error after the training; divide it by the error before."),
    )
    otherwise = f"divide {after:.0f} meV/Å by {before:.0f} meV/Å."
    return judge(answer, lambda x: 0.02 * abs(x), (right, words), wrong, otherwise)


@recorded
def check_replay(
    answer, germanium: Sequence[Atoms], silicon: Sequence[Atoms], ge_most: float, si_most: float
) -> Verdict:
    """A potential whose force MAE (meV/Å) on structures of both elements is within two bounds."""
    if not hasattr(answer, "evaluate"):
        return Verdict(False, f"a potential is asked for, not {answer!r}.")
    ge, si = (answer.evaluate(list(frames)).force_mae for frames in (germanium, silicon))
    found = f"{ge:.0f} meV/Å on germanium ({ge_most:g} allowed), {si:.0f} on silicon ({si_most:g})"
    if ge <= ge_most and si <= si_most:
        return Verdict(True, f"{found}: one network for both elements.")
    if ge > ge_most and si > si_most:
        return Verdict(False, f"{found}. Both are too large: train for more steps.")
    if ge > ge_most:
        return Verdict(False, f"{found}. Germanium fails: it needs more steps or structures.")
    return Verdict(False, f"{found}. Silicon fails: replay structures of silicon, or more of them.")


@recorded
def check_hurts(answer, below: float = 1.0) -> Verdict:
    """A training towards a member of the family where copied weights gain less than `below`.

    answer: {(member, reduced): [row of scratch, row of transfer]}, of `show.Family().result()`.
    """
    if not isinstance(answer, Mapping) or not answer:
        return Verdict(False, "nothing was trained: press Train, and pass element.result().")
    ended = lambda rows: len(rows) == 2 and rows[1]["curve"][-1][0] == rows[1]["steps"]
    copied = {m: rows for (m, reduced), rows in answer.items() if not reduced and ended(rows)}
    if not copied:
        return Verdict(False, "no training came to its end: choose copied weights, press Train.")
    errors = {m: [row["curve"][-1][1] for row in rows] for m, rows in copied.items()}
    member, (scratch, carried) = min(errors.items(), key=lambda own: own[1][0] / own[1][1])
    gain = scratch / carried
    found = f"scratch {scratch:.0f}, transfer {carried:.0f} meV/Å: a gain of {gain:.2f}"
    if gain < below:
        return Verdict(True, f"{found} at {member}. Here random weights are the better start.")
    words = "It is the lowest so far. Distances matter most: move the size further, below 1 too."
    return Verdict(False, f"{found} at {member}. {words}")


@recorded
def check_expected_gain(
    answer, scratch: float, own: float, length: float, energy: float
) -> Verdict:
    """What a transfer may gain, within 2 %: scratch over the source's own error in new units.

    scratch: force MAE on the new element, own: that of the source on its own, both in meV/Å;
    length and energy: new units over old ones.
    """
    carried = own * energy / length
    right = scratch / carried
    words = f"scratch has {scratch:.0f} meV/Å, and silicon's own error is {carried:.0f} meV/Å here"
    wrong = (
        (scratch / own, "the units are missing: forces grow by e/s."),
        (scratch / (own * length / energy), "upside down: forces grow by e/s, not by s/e."),
        (1 / right, "upside down: the gain is the error of scratch over that of the transfer."),
        (carried, "that is the error to expect, in meV/Å; divide scratch's by it."),
    )
    otherwise = "divide scratch's error by silicon's, brought to the new units."
    return judge(answer, lambda x: 0.02 * abs(x), (right, f"{words}."), wrong, otherwise)


def disagreement(
    potentials: Sequence[Potential], frames: Sequence[Atoms], shapes: Shapes = 3
) -> np.ndarray:
    """Standard deviation of a force component over potentials (meV/Å); `shapes` as in predict."""
    predicted = [potential.predict(list(frames), shapes) for potential in potentials]
    spread = lambda same: np.std([label(atoms, "forces") for atoms in same], axis=0).mean()
    return np.array([1e3 * spread(same) for same in zip(*predicted)])


@recorded
def check_next_structure(
    answer, candidates: Sequence[Atoms], potentials: Sequence[Potential]
) -> Verdict:
    """The candidate (from 0) on whose forces the potentials disagree most.

    The candidates carry labels, so that the words can say the error of the first potential there.
    """
    spread = disagreement(potentials, candidates)
    predicted = potentials[0].predict(list(candidates))
    order = [int(k) for k in np.argsort(-spread)]
    best = order[0]
    off = np.abs(label(predicted[best], "forces") - label(candidates[best], "forces"))
    there = lambda k: f"the networks disagree by {spread[k]:.0f} meV/Å"
    label_it = f"here, most of all. The label shows an error of {1e3 * off.mean():.0f} meV/Å."
    words = dict.fromkeys(order, "but by more on another one.")
    words[order[1]] = "second most: one structure is better."
    words[order[-1]] = "least of all: they agree here, so a label teaches least."
    wrong = [(k, f"{there(k)}, {words[k]}") for k in order[1:]]
    otherwise = f"candidates are numbered from 0 to {len(order) - 1}."
    right = best, f"{there(best)} {label_it}"
    return judge(answer, lambda _: 1e-9, right, wrong, otherwise)


@recorded
def check_labels(
    answer,
    known: Sequence[Atoms],
    candidates: Sequence[Atoms],
    test: Sequence[Atoms],
    allowed: Mapping[str, float],
    most: int = 2,
) -> Verdict:
    """At most so many candidates (from 0) that bring a linear potential within errors.

    It is fitted to them and to the `known` structures. allowed: {group: force MAE on the test
    structures of this group, in meV/Å}.
    """
    chosen = [answer] if isinstance(answer, (int, np.integer)) else answer
    listed = isinstance(chosen, (list, tuple, set))
    whole = listed and all(isinstance(k, (int, np.integer)) for k in chosen)
    if not whole or len(set(chosen)) < len(chosen):
        return Verdict(False, "a list of numbers of candidates is asked for, such as [0, 1].")
    if not chosen or len(chosen) > most or not all(0 <= k < len(candidates) for k in chosen):
        numbers = f"from 0 to {len(candidates) - 1}"
        return Verdict(False, f"label one to {most} candidates, with numbers {numbers}.")
    fitted = linear.fit([*known, *(candidates[k] for k in chosen)])
    groups = fitted.evaluate(list(test)).groups
    error = {name: groups[name].force_mae for name in allowed}
    each = ", ".join(f"{name} {error[name]:.0f} ({limit:g})" for name, limit in allowed.items())
    found = f"force MAE in meV/Å, allowed in brackets: {each}"
    before = linear.fit(list(known)).evaluate(list(test)).groups
    others = [name for name in groups if name not in allowed]
    worse = [name for name in others if groups[name].force_mae > 1.1 * before[name].force_mae]
    rise = lambda name: f"{name} {before[name].force_mae:.0f} to {groups[name].force_mae:.0f}"
    words = f" Errors that rose: {', '.join(map(rise, worse))}." if worse else ""
    if missed := [name for name in allowed if error[name] > allowed[name]]:
        hint = f"Which candidate is most like {' and '.join(missed)}?"
        return Verdict(False, f"{found}. {hint}{words}")
    return Verdict(True, f"{found}.{words}")


@recorded
def check_expected_error(answer, found: Reliability, value: float) -> Verdict:
    """Error to expect of an atom with this spread or distance, in eV/Å, within 2 %."""
    right = found.factor * value
    words = f"{right:.3f} eV/Å: the factor {found.factor:.3g} times {value:g}."
    wrong = (
        (1000 * right, "that is in meV/Å; eV/Å are asked for."),
        (value, "that is the number itself; multiply it by the factor."),
        (found.factor, "that is the factor; multiply the number of this atom by it."),
        (value / found.factor, "upside down: the factor is errors over spreads or distances."),
        (found.correlation * value, "the correlation tells the order, not the size of errors."),
    )
    otherwise = f"multiply {value:g} by the factor of errors over what predicts them."
    return judge(answer, lambda x: 0.02 * abs(x), (right, words), wrong, otherwise)
