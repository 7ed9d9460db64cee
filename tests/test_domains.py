"""Ghosts of a domain, and how many machines a simulation needs."""

import numpy as np
import pytest
from ase import Atoms

import tlmlp
from tlmlp import course
from tlmlp.course.domains import domain, reaches


def cubic(edge=3.0, n=8):
    """A simple cubic crystal, so that ghosts can be counted along one axis."""
    return Atoms("Si", cell=[edge] * 3, pbc=True).repeat(n)


@pytest.mark.parametrize(
    "grid, reach, along",  # atoms within reach along each axis
    [
        ((2, 2, 2), 4.5, (7, 7, 7)),  # at -3, 0 ... 15 Å; the box ends at 12 Å
        ((2, 1, 1), 4.5, (7, 11, 11)),  # a box as long as the cell has images of itself as ghosts
        ((2, 2, 2), 30.0, (24, 24, 24)),  # further than the cell is long
        ((8, 8, 8), 0.5, (2, 2, 2)),  # those on the far faces
    ],
)
def test_ghosts_of_a_simple_cubic_crystal(grid, reach, along):
    found = domain(cubic(), grid, reach)
    assert len(found.owned) == 512 / np.prod(grid)
    assert len(found.ghosts) == np.prod(along) - len(found.owned)
    assert (found.size * grid == 24).all()


def test_every_atom_has_one_owner():
    """Moved by the edges of a box, the first box owns the atoms of each other one."""
    atoms, owned = cubic(), 0
    atoms.rattle(0.4, seed=0)
    for shift in np.ndindex(2, 2, 2):
        moved = atoms.copy()
        moved.positions -= np.array(shift) * 12
        owned += len(domain(moved, (2, 2, 2), 4.5).owned)
    assert owned == len(atoms)


def test_a_halo_reaches_one_cutoff_further_with_each_block():
    assert reaches(tlmlp.Config("course")) == {"exchange": 4.5, "halo": 13.5}
    assert reaches(tlmlp.Config("paper")) == {"exchange": 5.0, "halo": 25.0}


def test_what_no_domain_can_be_cut_from():
    slanted, slab = cubic(), cubic()
    slanted.cell[0, 1], slab.pbc = 1, (True, True, False)
    for atoms, grid, reach, words in (
        (slanted, (2, 2, 2), 4.5, "edges along x, y and z"),
        (slab, (2, 2, 2), 4.5, "must be periodic"),
        (cubic(), (2, 2), 4.5, "three whole numbers"),
        (cubic(), (2, 0, 1), 4.5, "three whole numbers"),
        (cubic(), (2, 2, 2), float("nan"), "more than 0"),
    ):
        with pytest.raises(ValueError, match=words):
            domain(atoms, grid, reach)


def test_machines():
    """A million atoms for 10 ns: 5e6 steps of 2 fs, 5e12 over 4e6 a second are 14.5 days of one."""
    check = lambda answer: course.check_machines(answer, 1_000_000, 10, 2, 4e6, 3)
    assert check(5) and "14.5 days" in check(5).words
    for answer, words in (
        (5e12 / 4e6 / 86400 / 3, "round up"),
        (4, "not down"),
        (10, "not 1 fs"),
        (15, "for one day; more"),
        (116, "in days"),
        (1, "factor of 1000"),
        (77, "atoms times steps"),
        (..., "dots"),
    ):
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)
