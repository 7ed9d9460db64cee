"""Silicon for tests: a few small structures with labels, and a network of their size."""

from dataclasses import replace

import jax
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

import tlmlp

TINY = tlmlp.Config("course", embed_size=8, n_blocks=1, n_spherical=2, out_size=8, cutoff=3.0)


def alert(config, elements, seed=4):
    """A fresh potential whose forces would be others by a tenth if a message went astray.

    With the weights that training starts from it would be 1e-7 eV/Å, which no test can see.
    """
    fresh = tlmlp.Potential.create(config, elements, seed)
    larger = jax.tree.map(lambda w: 1.7 * w if w.ndim > 1 else w, fresh.params)
    return fresh.replace(params=larger)


def alloy(cutoff=3.6):
    """A small potential of two elements in two blocks, with nuclei that repel in its bonds."""
    config = replace(TINY, n_blocks=2, cutoff=cutoff)
    return alert(config, ("Si", "Ge")).replace(reference=(-1.5, -0.5), core=2.4)


def frames(n):
    """Silicon, two atoms each, with the labels of a Lennard-Jones potential."""
    out = []
    for seed in range(n):
        atoms = bulk("Si", "diamond", a=5.43)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = LennardJones(sigma=2.1, epsilon=0.5, rc=3.5)
        labels = dict(energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info["phase"] = "crystal" if seed % 2 else "liquid"
        out.append(atoms)
    return out
