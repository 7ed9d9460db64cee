"""Potential: a DimeNet++ with its weights and reference energies, ready to use, to save, for ASE.

    E = Σ_i (ε_net,i + ε_ref,Z(i))      F_i = -∂E/∂r_i      σ = (1/V) ∂E/∂strain

The network's energy, forces and virial come from tlmlp.forces. Reference energies are added in
float64: total energies are too large for the digits of a float32.

Units: eV, Å, eV/Å, eV/Å^3 (stress in ASE's sign, positive is tension; order xx yy zz yz xz xy).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import haiku as hk
import jax
import numpy as np
import safetensors.numpy
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers

from . import allocator, dimenet, graph as graphs, initial
from .calculator import PotentialCalculator, results_of
from .dimenet import Config, Params
from .files import expanded, write_whole
from .forces import Core, Model, on_device, predict
from .frames import check, group_of, label, structures
from .graph import Frames, Shapes
from .refusal import is_whole, refuse
from .splines import Splines

WEIGHTS = resources.files("tlmlp") / "weights"
FORMAT = 1
OTHER_ZERO = 1.0  # eV/atom: a mean error of energies that no potential of one method has


class Errors(NamedTuple):
    """Errors over a dataset: energies per atom, forces and stresses per component."""

    energy_rmse: float  # meV/atom
    energy_mae: float  # meV/atom
    force_rmse: float  # meV/Å
    force_mae: float  # meV/Å
    stress_rmse: float  # GPa, nan where no frame carries a stress
    frames: int
    groups: dict[str, "Errors"]  # the same for each value of atoms.info["group"]
    shift: float = 0.0  # eV/atom, taken from the predicted energies where the zeros differ

    def __str__(self) -> str:
        out = " " * 13 + "frames  energy RMSE  force MAE  force RMSE  stress RMSE\n"
        out += " " * 24 + "meV/atom      meV/Å       meV/Å          GPa"
        line = "\n{:12}{:7}{:13.2f}{:11.1f}{:12.1f}{:13.3f}".format
        for name, e in [("all", self), *sorted(self.groups.items())]:
            out += line(name, e.frames, e.energy_rmse, e.force_mae, e.force_rmse, e.stress_rmse)
        words = f"\nThe zeros of energy differ: {self.shift:.2f} eV/atom are subtracted first."
        return out + words * bool(self.shift)


@dataclass(frozen=True)
class Potential:
    """A trained (or fresh) potential. Made by `create`, `load` or `fit`; never changed in place."""

    config: Model  # of a DimeNet++, or of a linear potential (tlmlp.linear)
    elements: tuple[str, ...]  # symbols, in the order of the embedding rows
    params: Params = field(repr=False)  # float32
    reference: tuple[float, ...]  # eV per atom and element, added to the network's energies
    trained: tuple[str, ...] = ()  # the elements that its training data held
    core: float = 0.0  # Å, no more than any training distance; below it nuclei repel (repulsion)
    info: dict[str, Any] = field(default_factory=dict, repr=False)  # recipe, data, seed, errors

    @classmethod
    def create(
        cls, config: Model | str = "course", elements: Sequence[str] = ("Si", "Ge"), seed: int = 0
    ) -> "Potential":
        """A fresh potential with random weights; `config` is a Config or a preset's name."""
        allocator.prepare()
        config = Config(config) if isinstance(config, str) else config
        words = f"config must be a Config, 'course' or 'paper', not {config!r}"
        refuse(not isinstance(config, (Config, Splines)), words, TypeError)
        refuse(not is_whole(seed, 0), f"seed must be a whole number of at least 0, not {seed!r}")
        elements = tuple(elements)
        weights = initial.draw(_initialisers(config, elements), seed)
        return cls(config, elements, weights, (0.0,) * len(elements))

    def replace(self, **changes: Any) -> "Potential":
        """A copy with some fields changed."""
        return replace(self, **changes)

    @property
    def network(self) -> Config:
        """The Config of a DimeNet++; ValueError for a linear potential, which has no network."""
        if isinstance(self.config, Splines):
            raise ValueError("this needs a DimeNet++; a linear potential has no network")
        return self.config

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return sum(w.size for w in jax.tree.leaves(self.params))

    def save(self, path: str | Path) -> Path:
        """Write weights and all that describes them to a safetensors file, whole or not at all."""
        head: dict[str, Any] = dict(format=FORMAT) | vars(self) | dict(config=asdict(self.config))
        weights = hk.data_structures.traverse(head.pop("params"))
        tensors = {f"{module}:{name}": np.asarray(w, order="C") for module, name, w in weights}
        metadata = {"tlmlp": json.dumps(head, ensure_ascii=False, default=_plain)}
        write_whole(path := expanded(path), safetensors.numpy.save(tensors, metadata=metadata))
        return path

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
        kind = Splines if "triple_cutoff" in head["config"] else Config
        config, elements = kind(**head["config"]), head["elements"]
        words = f"the weights in {name} do not fit the network that its header describes"
        refuse(jax.tree.map(np.shape, params) != shapes_of_weights(config, elements), words)
        rest = (head[name] for name in ("reference", "trained", "core", "info"))
        return cls(config, elements, params, *rest)

    def check_elements(self, atoms: Atoms) -> None:
        """ValueError for an element without weights, or one that this was never trained on."""
        graphs.species_of(atoms, self.elements)
        seen, symbols = self.trained or self.elements, set(atoms.get_chemical_symbols())
        unseen = ", ".join(sorted(symbols - set(seen)))
        words = f"this potential was trained on {', '.join(seen)} and has never seen {unseen}"
        refuse(unseen, f"{words}; tlmlp.transfer.start carries it to another element")

    def repulsion(self) -> Core:
        """(charges [n_elements], core in Å) as energy_forces takes them."""
        charges = [atomic_numbers[e] for e in self.elements]
        return np.array(charges, np.float32), np.array(self.core, np.float32)

    def reference_energies(self, atoms: Atoms) -> np.ndarray:
        """Reference energy [N] of each atom in eV, float64."""
        return np.array(self.reference)[graphs.species_of(atoms, self.elements)]

    def calculator(self, dtype: str = "float32", skin: float = 0.3) -> PotentialCalculator:
        """An ASE calculator; neighbours are searched again when an atom has moved half of `skin`.

        "float64" costs two to three times as much: for phonons. `skin`: 0 to 5 Å, or ValueError.
        """
        return PotentialCalculator(self, dtype, skin)

    def predict(self, frames: Frames, shapes: Shapes = 3) -> list[Atoms]:
        """The same structures with this potential's labels, stress included; `shapes` as in fit."""
        allocator.prepare()
        frames = structures(frames)
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
        """Errors against the labels that `frames` carry, in all and for each info["group"].

        Where the energies differ by more than 1 eV/atom on average, as two methods' do, the mean
        difference is subtracted from those predicted: `.shift`.
        """
        frames = check(frames)
        pairs = list(zip(frames, self.predict(frames, shapes)))
        mean = float(np.mean([_energy_error(pair) for pair in pairs]))
        shift = mean if abs(mean) > OTHER_ZERO else 0.0
        in_group = lambda name: [pair for pair in pairs if group_of(pair[0]) == name]
        names = sorted({name for atoms in frames if (name := group_of(atoms))})
        by_group = {name: errors_of(in_group(name), shift) for name in names}
        return errors_of(pairs, shift)._replace(groups=by_group if len(names) > 1 else {})


@lru_cache(maxsize=8)
def _initialisers(config: Model, elements: tuple[str, ...]) -> initial.Drawn:
    unknown = [e for e in elements if e not in atomic_numbers or e == "X"]
    words = f"elements must be different chemical symbols such as ('Si', 'Ge'), not {elements!r}"
    refuse(not elements or unknown or len(set(elements)) < len(elements), words)
    if isinstance(config, Splines):
        return {"splines": {"weights": (np.zeros, config.shape(len(elements)), float)}}
    pair = Atoms(elements[0] + "2", [(0, 0, 0), (0, 0, 2)])  # gives the network its shapes
    graph = graphs.from_atoms(pair, elements, config.cutoff)
    network = dimenet.network(config, len(elements))
    return initial.weights_of(lambda: network(graph))


def shapes_of_weights(config: Model, elements: tuple[str, ...]) -> dict[str, dict[str, tuple]]:
    """{module: {weight: shape}} of a network; nothing is computed, so that jax is not started."""
    shapes = lambda weights: {name: shape for name, (_, shape, _) in weights.items()}
    return {m: shapes(weights) for m, weights in _initialisers(config, elements).items()}


def shipped() -> list[str]:
    """Names of the potentials that come with the package."""
    end = ".safetensors"
    return sorted(p.name.removesuffix(end) for p in WEIGHTS.iterdir() if p.name.endswith(end))


def header(potential: "Potential | str | Path") -> dict[str, Any]:
    """The fields of a Potential but `params`, from its file's head; `trained` is never empty."""
    head = vars(potential) if isinstance(potential, Potential) else _read(potential, False)[0]
    trained = dict(trained=head["trained"] or head["elements"])
    return {name: value for name, value in (head | trained).items() if name != "params"}


def _read(name: str | Path, weights: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The head of a potential's file and, where asked for, its weights by "module:name"."""
    path = expanded(name)
    if not path.suffix and not path.is_file():
        path = Path(str(WEIGHTS / f"{name}.safetensors"))
    if not path.is_file():
        like = get_close_matches(str(name), shipped(), 3, 0.0)  # `tlmlp list` names all
        words = f"no potential {str(name)!r}: give a file, or a name that ships such as"
        raise FileNotFoundError(f"{words} {', '.join(like)}")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            head = json.loads((file.metadata() or {})["tlmlp"])
            tensors = {key: file.get_tensor(key) for key in (file.keys() if weights else ())}
    except KeyError:
        words = "is a safetensors file but not a tlmlp potential; Potential.save writes one"
        raise ValueError(f"{path} {words}") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        words = f"is empty, truncated or not a safetensors file ({error}); copy it again"
        raise ValueError(f"{path} {words}") from None
    words = f"{path} has format {head['format']}, this tlmlp reads {FORMAT}"
    refuse(head["format"] != FORMAT, f"{words}; update the older of the two")
    return head | {k: tuple(head[k]) for k in ("elements", "reference", "trained")}, tensors


def _plain(value: Any) -> Any:
    """What json has for numpy's numbers and arrays, and for paths."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    words = "info of a potential must be words, numbers, and lists or dicts of them"
    refuse(not isinstance(value, Path), f"{words}, not {value!r}", TypeError)
    return str(value)


def _energy_error(pair: tuple[Atoms, Atoms]) -> float:
    """Predicted less reference energy in eV/atom."""
    return float(label(pair[1], "energy") - label(pair[0], "energy")) / len(pair[0])


def errors_of(pairs: Sequence[tuple[Atoms, Atoms]], shift: float | None = None) -> Errors:
    """Errors of (reference, prediction) pairs; `shift` of the zeros of energy [default: mean]."""
    off = np.array([_energy_error(pair) for pair in pairs])
    shift = float(off.mean()) if shift is None else shift
    de = (off - shift) * 1e3
    forces = [[label(a, "forces").ravel() for a in pair] for pair in pairs]
    df = np.concatenate([p - t for t, p in forces]) * 1e3
    known = [all("stress" in atoms.calc.results for atoms in pair) for pair in pairs]
    ds = [label(p, "stress") - label(t, "stress") for (t, p), both in zip(pairs, known) if both]
    rms = lambda x: float(np.sqrt(np.mean(np.square(x)))) if len(x) else float("nan")
    mae = lambda x: float(np.abs(x).mean())
    return Errors(rms(de), mae(de), rms(df), mae(df), rms(ds) / units.GPa, len(pairs), {}, shift)
