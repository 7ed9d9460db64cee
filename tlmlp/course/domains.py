"""Domains: a cell cut into boxes, one for each process, and the ghosts that each box needs.

A process computes the forces on the atoms that it owns. Their neighbours beyond the faces of its
box are copies of atoms of other processes, or periodic images: *ghosts*. A message-passing network
with B interaction blocks and cutoff r has two ways.

    exchange    ghosts within r: after each block, processes send each other their messages
    halo        ghosts within (B + 1) r: nothing is sent, but messages of ghosts are computed anew
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from ..dimenet import Config
from ..refusal import is_whole, refuse


class Domain(NamedTuple):
    """The box of one process, with the atoms in it and around it."""

    size: np.ndarray  # [3] edges of the box (Å), which begins at the origin
    owned: np.ndarray  # [n, 3] positions (Å)
    ghosts: np.ndarray  # [m, 3] positions (Å), within reach of the box


def reaches(config: Config) -> dict[str, float]:
    """Distance (Å) within which a domain needs ghosts, of "exchange" and of "halo"."""
    return dict(exchange=config.cutoff, halo=(config.n_blocks + 1) * config.cutoff)


def domain(atoms: Atoms, grid: Sequence[int], reach: float) -> Domain:
    """The first of grid[0] x grid[1] x grid[2] equal boxes of a right-angled periodic cell.

    reach: of ghosts (Å), measured from the faces as LAMMPS does. Raises ValueError for a slanted
    or open cell, for a grid that is no three whole numbers, and for a reach of 0 or less.
    """
    edges = atoms.cell.lengths()
    right = np.allclose(atoms.cell[:], np.diag(edges)) and bool(atoms.pbc.all())
    refuse(not right, "the cell must be periodic, with edges along x, y and z")
    whole = np.shape(grid) == (3,) and all(map(is_whole, grid))
    refuse(not whole, f"grid must be three whole numbers of at least 1, not {grid!r}")
    refuse(not reach > 0, f"reach must be more than 0 Å, not {reach!r}")
    size, inside = edges / np.array(grid), atoms.get_positions(wrap=True)
    images = [range(-(n := int(np.ceil(reach / edge))), n + 1) for edge in edges]
    shifts = np.array(list(itertools.product(*images))) * edges
    every = (inside + shifts[:, None]).reshape(-1, 3)
    every += 1e-6  # Å; an atom on a face belongs to one box, whatever the rounding
    near = every[((every >= -reach) & (every < size + reach)).all(axis=1)]
    own = ((near >= 0) & (near < size)).all(axis=1)
    return Domain(size, near[own], near[~own])
