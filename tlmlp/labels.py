"""Labels: what the network should give for a Graph, from what its structures carry."""

from typing import NamedTuple

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from .frames import knows_forces, label
from .graph import Frames, Graph, volume_of
from .potential import Potential


class Labels(NamedTuple):
    """What the network should give for a Graph with N atoms and B structures."""

    energy: np.ndarray  # [B] eV, without reference energies
    forces: np.ndarray  # [N, 3] eV/Å
    virial: np.ndarray  # [B, 3, 3] eV, σV
    n_atoms: np.ndarray  # [B] atoms of each structure; 0 for padding
    has_virial: np.ndarray  # [B] 1 where a stress is known
    has_forces: np.ndarray | None = None  # [B] 1 where forces are known; None: everywhere


def labels_of(
    potential: Potential, frames: Frames, graph: Graph, all_forces: bool = True
) -> Labels:
    """Labels of the structures in a padded Graph; `all_forces`: each of the dataset has forces."""
    B, N = len(graph.volume), len(graph.species)
    out = Labels(*(np.zeros(shape) for shape in (B, (N, 3), (B, 3, 3), B, B)))
    known_forces, first = np.zeros(B, np.float32), 0
    for b, atoms in enumerate(frames):
        known, own = label(atoms, "energy"), potential.reference_energies(atoms)
        out.energy[b] = known - own.sum()
        if knows_forces(atoms):
            out.forces[first : first + len(atoms)] = label(atoms, "forces")
            known_forces[b] = 1
        out.n_atoms[b], first = len(atoms), first + len(atoms)
        if "stress" in atoms.calc.results and (volume := volume_of(atoms)):
            stress = voigt_6_to_full_3x3_stress(label(atoms, "stress"))
            out.virial[b], out.has_virial[b] = stress * volume, 1
    arrays = Labels(*(x.astype(np.float32) for x in out[:5]))
    return arrays if all_forces else arrays._replace(has_forces=known_forces)
