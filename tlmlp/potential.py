"""Potential: a DimeNet++ with its weights and reference energies, ready to use, to save, for ASE.

    E = Σ_i (ε_net,i + ε_ref,Z(i))      F_i = -∂E/∂r_i      σ = (1/V) ∂E/∂strain

The network's energy, forces and virial are those of tlmlp.forces. Reference energies are added in
float64: total energies are too large for the digits of a float32.

Units: eV, Å, eV/Å, eV/Å^3 (stress in ASE's sign, positive is tension; order xx yy zz yz xz xy).
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import ase
import jax
import numpy as np
import safetensors
import safetensors.numpy
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers

from . import allocator, dimenet, graph as graphs
from .calculator import PotentialCalculator, results_of
from .dimenet import Config, Params
from .files import write_whole
from .forces import Core, on_device, predict
from .graph import Frames, Shapes

WEIGHTS = resources.files("tlmlp") / "weights"
FORMAT = 1


class Errors(NamedTuple):
    """Errors over a dataset: energies per atom, forces and stresses per component."""

    energy_rmse: float  # meV/atom
    energy_mae: float  # meV/atom
    force_rmse: float  # meV/Å
    force_mae: float  # meV/Å
    stress_rmse: float  # GPa, nan where no frame carries a stress
    frames: int
    groups: dict[str, "Errors"]  # the same for each value of atoms.info["group"]

    def __str__(self) -> str:
        line = "{:12}{:>7}{:>13}{:>11}{:>12}{:>13}".format
        lines = [
            line("", "frames", "energy RMSE", "force MAE", "force RMSE", "stress RMSE"),
            line("", "", "meV/atom", "meV/Å", "meV/Å", "GPa"),
        ]
        for name, e in [("all", self), *sorted(self.groups.items())]:
            stress = f"{e.stress_rmse:.3f}"
            errors = (f"{x:.1f}" for x in (e.force_mae, e.force_rmse))
            lines.append(line(name, e.frames, f"{e.energy_rmse:.2f}", *errors, stress))
        return "\n".join(lines)


@dataclass(frozen=True)
class Potential:
    """A trained (or fresh) potential. Made by `create`, `load` or `fit`; never changed in place."""

    config: Config
    elements: tuple[str, ...]  # symbols, in the order of the embedding rows
    params: Params = field(repr=False)  # float32
    reference: tuple[float, ...]  # eV per atom and element, added to the network's energies
    trained: tuple[str, ...] = ()  # the elements that its training data held
    core: float = 0.0  # Å, no more than any training distance; below it nuclei repel (repulsion)
    info: dict[str, Any] = field(default_factory=dict, repr=False)  # recipe, data, seed, errors

    @classmethod
    def create(
        cls, config: Config | str = "course", elements: Sequence[str] = ("Si", "Ge"), seed: int = 0
    ) -> "Potential":
        """A fresh potential with random weights; `config` is a Config or a preset's name."""
        allocator.prepare()
        config = Config(config) if isinstance(config, str) else config
        elements = tuple(elements)
        weights = _compiled_initialiser(config, elements)(jax.random.key(seed))
        return cls(config, elements, jax.tree.map(np.asarray, weights), (0.0,) * len(elements))

    def replace(self, **changes: Any) -> "Potential":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def n_weights(self) -> int:
        """Number of weights of the network."""
        return sum(w.size for w in jax.tree.leaves(self.params))

    def save(self, path: str | Path) -> Path:
        """Write weights and all that describes them to a safetensors file, whole or not at all."""
        head: dict[str, Any] = dict(format=FORMAT) | vars(self)
        head["config"] = dataclasses.asdict(self.config)
        tensors = {
            f"{module}:{name}": np.asarray(w)
            for module, weights in head.pop("params").items()
            for name, w in weights.items()
        }
        metadata = {"tlmlp": json.dumps(head, ensure_ascii=False)}
        write_whole(path, safetensors.numpy.save(tensors, metadata=metadata))
        return Path(path)

    @classmethod
    def load(cls, name: str | Path) -> "Potential":
        """A shipped potential by its name ("si-sw-course", see `shipped()`), or a file of `save`.

        Raises FileNotFoundError, or ValueError where the file does not hold a potential.
        """
        head, tensors = _read(name)
        params: Params = {}
        for key, w in tensors.items():
            module, weight = key.rsplit(":", 1)
            params.setdefault(module, {})[weight] = w
        config, elements = Config(**head["config"]), head["elements"]
        if jax.tree.map(np.shape, params) != shapes_of_weights(config, elements):
            words = "do not fit the network that its header describes"
            raise ValueError(f"the weights in {name} {words}")
        rest = (head[name] for name in ("reference", "trained", "core", "info"))
        return cls(config, elements, params, *rest)

    def check_elements(self, atoms: Atoms) -> None:
        """ValueError for an element without weights, or one that this was never trained on."""
        graphs.species_of(atoms, self.elements)
        seen, symbols = self.trained or self.elements, set(atoms.get_chemical_symbols())
        if unseen := ", ".join(sorted(symbols - set(seen))):
            words = f"was trained on {', '.join(seen)} and has never seen {unseen}"
            how = "tlmlp.transfer.start carries it to another element"
            raise ValueError(f"this potential {words}; {how}")

    def repulsion(self) -> Core:
        """(charges [n_elements], core in Å) as energy_forces takes them."""
        charges = [atomic_numbers[e] for e in self.elements]
        return np.array(charges, np.float32), np.array(self.core, np.float32)

    def reference_energies(self, atoms: Atoms) -> np.ndarray:
        """Reference energy [N] of each atom in eV, float64."""
        return np.array(self.reference)[graphs.species_of(atoms, self.elements)]

    def calculator(self, dtype: str = "float32", skin: float = 0.3) -> PotentialCalculator:
        """An ASE calculator: energy, free_energy, energies, forces, stress.

        `dtype` "float64" is two to three times as expensive; it is for phonons and elastic
        constants. Neighbours are searched again when an atom has moved half of `skin` (Å).
        """
        return PotentialCalculator(self, dtype, skin)

    def predict(self, frames: Frames, shapes: Shapes = 3) -> list[Atoms]:
        """The same structures, carrying this potential's energy, energies, forces and stress.

        `shapes`: how many padded shapes to compile for at most, or these (tlmlp.graph.shapes_of).
        """
        allocator.prepare()
        for atoms in frames:
            self.check_elements(atoms)
        tight = [graphs.from_atoms(atoms, self.elements, self.config.cutoff) for atoms in frames]
        out, core = [], self.repulsion()
        for atoms, graph, (N, K) in zip(frames, tight, graphs.few_shapes(tight, shapes)):
            p = predict(self.config, self.params, on_device(graphs.join([graph], N, K)), core)
            results = results_of(atoms, p, self.reference_energies(atoms))
            out.append(atoms.copy())
            out[-1].calc = SinglePointCalculator(out[-1], **results)
        return out

    def evaluate(self, frames: Frames, shapes: Shapes = 3) -> Errors:
        """Errors against the labels that `frames` carry, in all and for each info["group"]."""
        pairs = list(zip(frames, self.predict(frames, shapes)))
        groups = [atoms.info.get("group") for atoms in frames]
        names = sorted({g for g in groups if g is not None})
        in_group = lambda name: [pair for pair, g in zip(pairs, groups) if g == name]
        by_group = {name: _errors(in_group(name)) for name in names}
        return _errors(pairs)._replace(groups=by_group if len(names) > 1 else {})


def _initialiser(config: Config, elements: tuple[str, ...]) -> Callable[[jax.Array], Any]:
    """key -> random weights of a network, by a graph of two atoms that gives it its shapes."""
    unknown = [e for e in elements if e not in atomic_numbers or e == "X"]
    if not elements or unknown or len(set(elements)) < len(elements):
        words = "must be different chemical symbols such as ('Si', 'Ge')"
        raise ValueError(f"elements {words}, not {elements!r}")
    pair = Atoms(elements[0] + "2", [(0, 0, 0), (0, 0, 2)])
    graph = graphs.from_atoms(pair, elements, config.cutoff)
    return lambda key: dimenet.transform(config, len(elements)).init(key, graph)


@lru_cache(maxsize=8)
def _compiled_initialiser(config: Config, elements: tuple[str, ...]) -> Callable:
    """The same, compiled once for all seeds: it takes some ten seconds."""
    return jax.jit(_initialiser(config, elements))


def shapes_of_weights(config: Config, elements: tuple[str, ...]) -> dict[str, dict[str, tuple]]:
    """{module: {weight: shape}} of a network; nothing is computed, so that jax is not started."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.tree.map(np.shape, jax.eval_shape(_initialiser(config, elements), key))


def shipped() -> list[str]:
    """Names of the potentials that come with the package."""
    end = ".safetensors"
    return sorted(p.name.removesuffix(end) for p in WEIGHTS.iterdir() if p.name.endswith(end))


def header(potential: "Potential | str | Path") -> dict[str, Any]:
    """The fields of a Potential by name, without `params`: only the head of its file is read.

    `trained` names all elements where no training has named any.
    """
    if isinstance(potential, Potential):
        head = {name: value for name, value in vars(potential).items() if name != "params"}
    else:
        head, _ = _read(potential, weights=False)
    return head | {"trained": head["trained"] or head["elements"]}


def _read(name: str | Path, weights: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The head of a potential's file and, where asked for, its weights by "module:name"."""
    path = Path(name)
    if not path.suffix and not path.is_file():
        path = Path(str(WEIGHTS / f"{name}.safetensors"))
    if not path.is_file():
        known = ", ".join(shipped())
        raise FileNotFoundError(f"no potential {str(name)!r}: give a file or one of {known}")
    wrong = lambda words: ValueError(f"{path} {words}")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            head = json.loads((file.metadata() or {})["tlmlp"])
            tensors = {key: file.get_tensor(key) for key in (file.keys() if weights else ())}
    except KeyError:
        words = "is a safetensors file but not a tlmlp potential; Potential.save writes one"
        raise wrong(words) from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        words = f"is empty, truncated or not a safetensors file ({error}); copy it again"
        raise wrong(words) from None
    if head["format"] != FORMAT:
        words = f"has format {head['format']}, this tlmlp reads {FORMAT}"
        raise wrong(f"{words}; update the older of the two")
    return head | {k: tuple(head[k]) for k in ("elements", "reference", "trained")}, tensors


def _errors(pairs: Sequence[tuple[Atoms, Atoms]]) -> Errors:
    """Errors of (reference, prediction) pairs."""
    energies = [(p.get_potential_energy() - t.get_potential_energy()) / len(t) for t, p in pairs]
    de = np.array(energies) * 1e3
    # Without constraints: forces that they hold at zero on both sides are not right for that.
    forces = [[a.get_forces(apply_constraint=False).ravel() for a in pair] for pair in pairs]
    df = np.concatenate([p - t for t, p in forces]) * 1e3
    known = [all("stress" in atoms.calc.results for atoms in pair) for pair in pairs]
    stress = lambda atoms: atoms.get_stress(apply_constraint=False)
    ds = [stress(p) - stress(t) for (t, p), both in zip(pairs, known) if both]
    rms = lambda x: float(np.sqrt(np.mean(np.square(x)))) if len(x) else float("nan")
    mae = lambda x: float(np.abs(x).mean())
    return Errors(rms(de), mae(de), rms(df), mae(df), rms(ds) / ase.units.GPa, len(pairs), {})
