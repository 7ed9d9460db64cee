"""What the pair style asks for: the energies of atoms, and their slopes by the vectors of bonds.

pair_tlmlp.cpp fills slots of a Graph and calls `evaluate`. Two kinds of graphs are not whole: in
the exchange some bonds end on other ranks, in the halo the outermost rows have bonds to atoms
without slots. All that differs is how a block of the network swaps the ends of bonds.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import dimenet, forces
from ..dimenet import Config, Params
from ..forces import Core, on_device
from ..graph import Graph
from ..potential import Potential
from ..refusal import refuse

CARDS = (
    "the exchange between ranks is for processors: on graphics cards, take pair_style tlmlp halo"
)
FAULT = 1024  # bytes for the words of what is wrong


class Model(ctypes.Structure):
    """The struct of the same name in pair_tlmlp.h."""

    _fields_ = [
        ("cutoff", ctypes.c_double),
        ("blocks", ctypes.c_int),
        ("halo", ctypes.c_int),
        ("ranks", ctypes.c_int),
        ("elements", ctypes.c_int),
        ("element_of", ctypes.POINTER(ctypes.c_int)),
    ]


class Step(ctypes.Structure):
    """The struct of the same name in pair_tlmlp.h."""

    _fields_ = [(name, ctypes.c_int) for name in ("energies", "rows", "slots", "ranks")]
    _fields_ += [
        (name, ctypes.POINTER(kind))
        for kind, names in (
            (ctypes.c_int, ("layers", "species", "neighbors", "reverse")),
            (ctypes.c_float, ("vectors",)),
            (ctypes.c_bool, ("mask", "atom_mask")),
            (ctypes.c_double, ("energy",)),
            (ctypes.c_float, ("slopes",)),
        )
        for name in names
    ]


WORDS = ctypes.POINTER(ctypes.c_char_p)
DESCRIBE = ctypes.CFUNCTYPE(*[ctypes.c_int] * 3, WORDS, ctypes.POINTER(Model), ctypes.c_void_p)
EVALUATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(Step), ctypes.c_void_p)


class Network(NamedTuple):
    """A potential as one pair style has it."""

    config: Config
    params: Params
    core: Core
    reference: np.ndarray  # [elements] eV
    halo: bool


def network_of(types: int, name: str, elements: Sequence[str], halo: bool) -> tuple[Network, list]:
    """(Network, [types] the row of each type's element, -1 for NULL); ValueError for bad words."""
    p = Potential.load(name)
    n, known = len(elements), ", ".join(p.trained or p.elements)
    words = f"pair_coeff names {n} elements, and the box has {types} types of atoms"
    refuse(n != types, f"{words}: give one for each")
    unknown = ", ".join(sorted(set(elements) - set(p.trained or p.elements) - {"NULL"}))
    refuse(unknown, f"{name} was trained on {known}, so it has no forces for {unknown}")
    rows = [-1 if e == "NULL" else p.elements.index(e) for e in elements]
    params, core = jax.tree.map(jnp.asarray, (p.params, p.repulsion()))
    return Network(p.network, params, core, np.array(p.reference), halo), rows


def away(slots: jax.Array, reverse: jax.Array) -> jax.Array:
    """As dimenet.swap, where a bond may end on another rank: the pair style knows which."""

    def move(reverse: jax.Array, x: jax.Array) -> jax.Array:
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.ffi.ffi_call("tlmlp_swap", shape)(x, reverse)

    return jax.custom_derivatives.linear_call(move, move, reverse, slots)


def inward(rows: int, wider: int) -> dimenet.Swap:
    """A swap of the slots of `wider` rows that gives those of the first `rows` alone."""

    def move(from_rows: int, to_rows: int, reverse: jax.Array, x: jax.Array) -> jax.Array:
        ends = reverse[: to_rows * (len(x) // from_rows)]
        moved = jnp.take(x, ends, axis=0, mode="clip")
        return jnp.where((ends < len(x))[:, None], moved, 0)

    there, back = partial(move, wider, rows), partial(move, rows, wider)
    return lambda x, reverse: jax.custom_derivatives.linear_call(there, back, reverse, x)


@partial(jax.jit, static_argnames=("config", "layers", "ranks", "halo"))
def bonds(
    config: Config,
    layers: tuple[int, ...],
    ranks: int,
    halo: bool,
    params: Params,
    core: Core,
    graph: Graph,
) -> tuple[jax.Array, jax.Array]:
    """(energies [N] in eV, slopes [R, K, 3] in eV/Å) of a part of a system."""
    swaps: Sequence[dimenet.Swap] | None = None
    if halo:
        swaps = [inward(rows, wider) for rows, wider in zip(layers[-2::-1], layers[::-1])]
    elif ranks > 1:
        swaps = [away] * config.n_blocks
    energies = forces.energies_of(config, params, core, swaps)
    # The rows that pad those of own atoms hold ghosts, whose repulsion is for another rank.
    return forces.slopes(lambda g: jnp.where(g.atom_mask, energies(g), 0), graph)


class Networks:
    """The networks of all pair styles of this process, and the two functions that they call."""

    def __init__(self) -> None:
        self.known: dict[int, Network] = {}
        self.describe, self.evaluate = DESCRIBE(self._describe), EVALUATE(self._evaluate)

    def _describe(self, key, count, words, model, fault):
        def work():
            types, name, *elements = [words[k].decode() for k in range(count)]
            model_ = model.contents
            across = model_.ranks > 1 and not model_.halo
            refuse(across and jax.default_backend() != "cpu", CARDS)
            network, rows = network_of(int(types), name, elements, bool(model_.halo))
            self.known[key] = network
            model_.cutoff, model_.blocks = network.config.cutoff, network.config.n_blocks
            model_.elements = len(network.reference)
            for type_, row in enumerate(rows, 1):
                model_.element_of[type_] = row

        return _said(work, fault)

    def _evaluate(self, key, step, fault):
        return _said(lambda: evaluate(self.known[key], step.contents), fault)


def evaluate(network: Network, step: Step) -> None:
    """Fill in the energies and slopes of a Step."""
    R, K, E = step.rows, step.slots, step.energies
    blocks, kinds = network.config.n_blocks, len(network.reference)
    view = lambda pointer, *shape: np.ctypeslib.as_array(pointer, shape)
    species, neighbors = view(step.species, R + kinds), view(step.neighbors, R, K)
    vectors, reverse = view(step.vectors, R, K, 3), view(step.reverse, R, K)
    mask, atom_mask = view(step.mask, R, K), view(step.atom_mask, E)
    nothing = np.zeros(0, np.int32)
    graph = Graph(species, vectors, neighbors, reverse, mask, nothing, atom_mask, nothing)
    layers = tuple(view(step.layers, blocks + 1).tolist())
    shape = (network.config, layers, step.ranks, network.halo)
    energies, slopes = bonds(*shape, network.params, network.core, on_device(graph))
    view(step.energy, E)[:] = np.asarray(energies) + network.reference[species[:E]]
    view(step.slopes, R, K, 3)[:] = slopes


def _said(work: Callable[[], Any], fault: int) -> int:
    """0 after `work`; 1 where it raised, and its words at the address `fault`."""
    try:
        work()
        return 0
    except BaseException as error:  # nothing can be raised through LAMMPS
        plain = isinstance(error, (ValueError, OSError))  # ours, in whole sentences
        words = str(error) if plain else f"{type(error).__name__} {error}"
        said = " ".join(words.split()).encode()[: FAULT - 1]
        ctypes.memmove(fault, said + b"\0", len(said) + 1)
        return 1
