"""Potential: a DimeNet++ with its weights and reference energies, ready to use, to save and to hand to ASE.

    E = Σ_i (ε_net,i + ε_ref,Z(i))      F_i = -∂E/∂r_i      σ = (1/V) ∂E/∂strain

The network sees bond vectors only, so one gradient, g[i, a] = ∂E/∂r_ia, gives everything else: atom i feels the bonds that
start at it and, through `reverse`, those that end at it, and the virial is Σ r ⊗ g. No scatter is needed.

Units: eV, Å, eV/Å, eV/Å^3 (stress in ASE's sign, positive = tension, Voigt order xx yy zz yz xz xy).
"""

import dataclasses
import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import ase
import jax
import numpy as np
import safetensors
import safetensors.numpy
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from . import allocator, dimenet, graph as graphs
from .calculator import PotentialCalculator
from .files import write_whole
from .forces import on_device, predict

WEIGHTS = resources.files("tlmlp") / "weights"
FORMAT = 1

allocator.keep_freed_memory()


class Errors(NamedTuple):
    """Errors over a dataset; energies per atom, forces per component, stress per component where it is known."""

    energy_rmse: float  # meV/atom
    energy_mae: float  # meV/atom
    force_rmse: float  # meV/Å
    force_mae: float  # meV/Å
    stress_rmse: float  # GPa, nan where no frame carries a stress
    frames: int
    groups: dict = {}  # the same for each value of atoms.info["group"]

    def __str__(self):
        rows = [("all", self), *sorted(self.groups.items())]
        head = f"{'':12}{'frames':>7}{'energy RMSE':>13}{'force MAE':>11}{'force RMSE':>12}{'stress RMSE':>13}\n"
        units = f"{'':19}{'meV/atom':>13}{'meV/Å':>11}{'meV/Å':>12}{'GPa':>13}\n"
        return (
            head
            + units
            + "\n".join(
                f"{name:12}{e.frames:7d}{e.energy_rmse:13.2f}{e.force_mae:11.1f}{e.force_rmse:12.1f}{e.stress_rmse:13.3f}"
                for name, e in rows
            )
        )


@dataclass(frozen=True)
class Potential:
    """A trained (or fresh) potential. Made by `create`, `load` or `fit`; never changed in place."""

    config: dimenet.Config
    elements: tuple  # symbols, in the order of the embedding rows
    params: dict = field(repr=False)  # haiku weights, float32
    reference: tuple  # eV per atom and element, added to the network's energies
    trained: tuple = ()  # the elements it has seen in training
    core: float = 0.0  # Å, shorter than any distance of the training data; below it nuclei repel (see tlmlp.repulsion)
    info: dict = field(
        default_factory=dict, repr=False
    )  # recipe, data, seed, errors: whatever rebuilds it

    @classmethod
    def create(cls, config="course", elements=("Si", "Ge"), seed=0):
        """A fresh potential with random weights; config: a Config or a preset's name."""
        config = dimenet.Config(config) if isinstance(config, str) else config
        elements = tuple(elements)
        unknown = [e for e in elements if e not in ase.data.atomic_numbers or e == "X"]
        if not elements or unknown or len(set(elements)) < len(elements):
            raise ValueError(
                f"elements must be different chemical symbols such as ('Si', 'Ge'), not {elements!r}"
            )
        params = jax.tree.map(
            np.asarray, _compiled_initialiser(config, elements)(jax.random.key(seed))
        )
        return cls(config, elements, params, (0.0,) * len(elements))

    def replace(self, **changes):
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def n_weights(self):
        return sum(w.size for w in jax.tree.leaves(self.params))

    # -- files ---------------------------------------------------------------------------------------------------------

    def save(self, path):
        """Write weights and everything needed to use and rebuild them to a safetensors file; replaces it whole or not at all."""
        path = Path(path)
        header = dict(
            format=FORMAT,
            config=dataclasses.asdict(self.config),
            elements=self.elements,
            reference=self.reference,
            trained=self.trained,
            core=self.core,
            info=self.info,
        )
        tensors = {
            f"{module}:{name}": np.asarray(w)
            for module, ws in self.params.items()
            for name, w in ws.items()
        }
        data = safetensors.numpy.save(
            tensors, metadata={"tlmlp": json.dumps(header, ensure_ascii=False)}
        )
        write_whole(path, data)
        return path

    @classmethod
    def load(cls, name):
        """A shipped potential by its name ("si-sw-course", see `shipped()`), or any file that `save` wrote.

        Raises FileNotFoundError or ValueError, in one sentence, for a name or file that does not hold a potential.
        """
        path = Path(name)
        if not path.suffix and not path.is_file():
            path = Path(str(WEIGHTS / f"{name}.safetensors"))
        if not path.is_file():
            raise FileNotFoundError(
                f"no potential {str(name)!r}: give a file or one of {', '.join(shipped())}"
            )
        try:
            with safetensors.safe_open(path, "numpy") as file:
                header = json.loads((file.metadata() or {})["tlmlp"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        except KeyError:
            raise ValueError(
                f"{path} is a safetensors file but not a tlmlp potential; Potential.save writes one"
            ) from None
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise ValueError(
                f"{path} is empty, truncated or not a safetensors file ({error}); copy it again"
            ) from None
        if header["format"] != FORMAT:
            raise ValueError(
                f"{path} has format {header['format']}, this tlmlp reads {FORMAT}; update the older of the two"
            )
        params = {}
        for key, w in tensors.items():
            module, weight = key.rsplit(":", 1)
            params.setdefault(module, {})[weight] = w
        potential = cls(
            dimenet.Config(**header["config"]),
            tuple(header["elements"]),
            params,
            tuple(header["reference"]),
            tuple(header["trained"]),
            header["core"],
            header["info"],
        )
        expected = jax.eval_shape(
            _initialiser(potential.config, potential.elements), jax.random.key(0)
        )
        if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, expected):
            raise ValueError(
                f"the weights in {path} do not fit the network that its header describes"
            )
        return potential

    # -- use -----------------------------------------------------------------------------------------------------------

    def check_elements(self, atoms):
        """ValueError where `atoms` holds an element that this potential has no weights for or was never trained on."""
        graphs.species_of(atoms, self.elements)
        unseen = sorted(set(atoms.get_chemical_symbols()) - set(self.trained or self.elements))
        if unseen:
            raise ValueError(
                f"this potential was trained on {', '.join(self.trained)} and has never seen {', '.join(unseen)}; "
                f"tlmlp.transfer.start carries it to another element"
            )

    def repulsion(self):
        """(charges [n_elements], core in Å) as energy_forces takes them."""
        charges = [ase.data.atomic_numbers[e] for e in self.elements]
        return np.array(charges, np.float32), np.array(self.core, np.float32)

    def reference_energies(self, atoms):
        """Reference energy [N] of each atom in eV, float64."""
        return np.array(self.reference)[graphs.species_of(atoms, self.elements)]

    def calculator(self, dtype="float32", skin=0.3):
        """An ASE calculator: energy, free_energy, energies, forces, stress.

        dtype: "float64" costs two to three times as much, for phonons and elastic constants; skin in Å: how far atoms move
        (twice) before neighbours are searched again.
        """
        return PotentialCalculator(self, dtype, skin)

    def predict(self, frames, shapes=3):
        """The same structures [list of ase.Atoms] carrying this potential's energy, energies, forces and stress.

        shapes: how many padded shapes to compile for at most, or the shapes (tlmlp.graph.shapes_of).
        """
        for atoms in frames:
            self.check_elements(atoms)
        tight = [graphs.from_atoms(atoms, self.elements, self.config.cutoff) for atoms in frames]
        out, core = [], self.repulsion()
        for atoms, graph, (N, K) in zip(frames, tight, graphs.few_shapes(tight, shapes)):
            p = predict(self.config, self.params, on_device(graphs.join([graph], N, K)), core)
            energies, forces, virial = (np.asarray(x, float) for x in p)
            out.append(_carrying(atoms, self._results(atoms, energies, forces, virial[0])))
        return out

    def _results(self, atoms, energies, forces, virial):
        energies = energies[: len(atoms)] + self.reference_energies(atoms)
        results = dict(
            energy=energies.sum(),
            free_energy=energies.sum(),
            energies=energies,
            forces=forces[: len(atoms)],
        )
        if graphs.volume_of(atoms):
            results["stress"] = full_3x3_to_voigt_6_stress(virial) / atoms.get_volume()
        return results

    def evaluate(self, frames, shapes=3):
        """Errors against the energy, forces and stress that `frames` carry, in all and for each info["group"]."""
        predicted = self.predict(frames, shapes)
        groups = [atoms.info.get("group") for atoms in frames]
        names = sorted({g for g in groups if g is not None})
        pairs = list(zip(frames, predicted))
        return _errors(pairs)._replace(
            groups={n: _errors([p for p, g in zip(pairs, groups) if g == n]) for n in names}
            if len(names) > 1
            else {}
        )


def _initialiser(config, elements):
    """key -> random weights of a network, shown two atoms so that it knows its shapes."""
    pair = ase.Atoms(elements[0] + "2", [(0, 0, 0), (0, 0, 2)])
    graph = graphs.from_atoms(pair, elements, config.cutoff)
    return lambda key: dimenet.transform(config, len(elements)).init(key, graph)


@lru_cache(maxsize=8)
def _compiled_initialiser(config, elements):
    """The same, compiled once for all seeds: it takes some ten seconds."""
    return jax.jit(_initialiser(config, elements))


def shipped():
    """Names of the potentials that come with the package."""
    return sorted(
        p.name.removesuffix(".safetensors")
        for p in WEIGHTS.iterdir()
        if p.name.endswith(".safetensors")
    )


def _carrying(atoms, results):
    out = atoms.copy()
    out.calc = SinglePointCalculator(out, **results)
    return out


def _errors(pairs):
    de = (
        np.array([(p.get_potential_energy() - t.get_potential_energy()) / len(t) for t, p in pairs])
        * 1e3
    )
    df = np.concatenate([(p.get_forces() - t.get_forces()).ravel() for t, p in pairs]) * 1e3
    ds = [
        p.get_stress() - t.get_stress()
        for t, p in pairs
        if "stress" in t.calc.results and "stress" in p.calc.results
    ]
    rms = lambda x: float(np.sqrt(np.mean(np.square(x)))) if len(x) else float("nan")
    return Errors(
        rms(de),
        float(np.abs(de).mean()),
        rms(df),
        float(np.abs(df).mean()),
        rms(ds) / ase.units.GPa,
        len(pairs),
    )


def header(potential):
    """Elements a potential was trained on, and its info: from the head of its file, without its weights."""
    if isinstance(potential, Potential):
        return {"trained": potential.trained or potential.elements, "info": potential.info}
    path = Path(potential) if Path(potential).suffix else WEIGHTS / f"{potential}.safetensors"
    with safetensors.safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["tlmlp"])
    return {"trained": header["trained"] or header["elements"], "info": header["info"]}
