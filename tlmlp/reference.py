"""Reference energies: one number for each element, which the network's energies are added to.

    min Σ_f [(E_f - Σ_e n_fe ε_e - E_net,f) / n_f]²

over the energies ε_e of the elements e, for frames f with n_fe atoms of each and n_f in all.
Unit: eV.
"""

import warnings

import numpy as np
from ase import Atoms

from .frames import apart, label
from .graph import Frames, Shapes
from .potential import Potential


def shift_reference(potential: Potential, frames: Frames, shapes: Shapes = 3) -> Potential:
    """A Potential whose reference energies best fit (least squares) the energies of `frames`.

    Elements that are not in `frames` are unchanged. What compositions leave open is taken from
    isolated atoms, where there are some of these elements; else a warning says so.
    """
    frames = fixing(potential, frames)
    bound, alone = apart(frames)
    energies = lambda frames: np.array([label(a, "energy") for a in frames])
    shift = np.zeros(len(potential.elements))
    for e, element in enumerate(potential.elements):
        if own := [atoms for atoms in alone if atoms.symbols[0] == element]:
            shift[e] = energies(own).mean() - potential.reference[e]
    if bound:
        counts = _counts(potential, bound)
        predicted = potential.replace(trained=()).predict(bound, shapes)
        residual = energies(bound) - energies(predicted) - counts @ shift
        size = counts.sum(1)  # per atom, so that a large cell does not outvote a small one
        shift += np.linalg.lstsq(counts / size[:, None], residual / size, rcond=None)[0]
    reference = tuple(float(r + s) for r, s in zip(potential.reference, shift))
    return potential.replace(reference=reference)


def _counts(potential, frames):
    """Atoms of each element [F, E]."""
    symbols = [atoms.get_chemical_symbols() for atoms in frames]
    return np.array([[s.count(e) for e in potential.elements] for s in symbols], float)


def fixing(potential: Potential, frames: Frames) -> list[Atoms]:
    """The frames that fix the reference energies: 64 of each element, or all there are.

    All, where those do not span what all hold; and every isolated atom.
    """
    bound, alone = apart(frames)
    if not bound:
        return alone
    counts, chosen = _counts(potential, bound), set()
    for column in counts.T:
        holding = np.flatnonzero(column)
        chosen |= set(holding[np.linspace(0, len(holding) - 1, min(64, len(holding))).astype(int)])
    some, rank = sorted(chosen), np.linalg.matrix_rank
    if rank(counts[some]) < rank(counts):
        some = [*range(len(bound))]
    _, size, directions = np.linalg.svd(counts, full_matrices=False)
    fixed = np.square(directions[size > 1e-9 * size.max()]).sum(0)  # 1: by compositions alone
    own = {atoms.symbols[0] for atoms in alone}
    held = zip(potential.elements, fixed, counts.any(0))
    if free := [e for e, share, there in held if there and share < 0.999 and e not in own]:
        words = f"compositions do not fix the reference energies of {' and '.join(free)} each"
        warnings.warn(f"{words}: predicted energies hold for these compositions", stacklevel=2)
    return [bound[i] for i in some] + alone
