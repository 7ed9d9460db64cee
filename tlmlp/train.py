"""Training: the loss, one step of it, and `fit`, a generator that trains while you watch.

    L = w_F ⟨|F - F*|²⟩ + w_E ⟨((E - E*)/n)²⟩ + w_S ⟨|σV/n - σ*V/n|²⟩      means over components and structures, n atoms

Forces alone (w_E = 0) is what the paper does: the energy is then known up to a constant per atom, which is fitted to the
training energies afterwards (`shift_reference`).

Adam (Kingma & Ba, arXiv 1412.6980) with a clipped gradient, a short warm-up and a cosine decay of the learning rate η, and
a running average of the weights (Polyak & Juditsky 1992), which is what you get: it is better than the last weights.

One structure has one energy but hundreds of force components, so energies pull the weights about much more noisily. Their
weight w_E (and w_S) therefore grows as η falls, from `weights` to `final_weights`, as in DeePMD-kit (Wang et al. 2018):

    w(η) = w_final + (w_start - w_final) η/η_peak
"""

import time
from functools import lru_cache, partial
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ase.stress import voigt_6_to_full_3x3_stress
from jax.flatten_util import ravel_pytree

from . import checkpoint as checkpoints, frames as datasets, graph as graphs, repulsion
from .forces import energy_forces
from .potential import Errors, Potential


class Labels(NamedTuple):
    """What the network should say of a Graph with N atoms and B structures."""

    energy: np.ndarray  # [B] eV, without reference energies
    forces: np.ndarray  # [N, 3] eV/Å
    virial: np.ndarray  # [B, 3, 3] eV, σV
    n_atoms: np.ndarray  # [B] atoms of each structure; 0 for padding
    has_virial: np.ndarray  # [B] 1 where a stress is known


class Weights(NamedTuple):
    """Weights of the terms of the loss, which is in (eV/Å)²."""

    force: float = 1.0
    energy: float = 2.0  # 1/Å²; at 50 an error of 7 meV/atom weighs as much as 50 meV/Å
    stress: float = 0.0  # 1/Å²; at 0.1 an error of 1 GPa in silicon weighs as much as 40 meV/Å


class Progress(NamedTuple):
    """Where a training is. Errors of the training data are running ones, of the weights before each step."""

    step: int
    steps: int
    seconds: float  # spent in this call of fit
    learning_rate: float
    loss: float  # (eV/Å)², mean since the last Progress
    energy_mae: float  # meV/atom, training, likewise
    force_mae: float  # meV/Å, training, likewise
    valid: Errors | None  # of the averaged weights, where validation ran at this step
    potential: Potential  # averaged weights, now
    best: Potential  # the averaged weights with the smallest validation force MAE so far; `potential` without validation
    best_step: int


def loss(config, weights, params, graph, labels):
    """(loss, (energy MAE in eV/atom, force MAE in eV/Å)) of one Graph; pure."""
    p = energy_forces(config, params, graph)
    B = len(labels.n_atoms)
    n = jnp.maximum(labels.n_atoms, 1)
    real = jnp.maximum((labels.n_atoms > 0).sum(), 1)
    energy = jax.ops.segment_sum(p.energies, graph.structure, B, indices_are_sorted=True)
    de = (energy - labels.energy) / n * (labels.n_atoms > 0)
    df = (p.forces - labels.forces) * graph.atom_mask[:, None]
    ds = (p.virial - labels.virial) / n[:, None, None] * labels.has_virial[:, None, None]
    components = 3 * labels.n_atoms.sum()
    total = weights.force * jnp.sum(df**2) / components + weights.energy * jnp.sum(de**2) / real
    total += weights.stress * jnp.sum(ds**2) / (9 * jnp.maximum(labels.has_virial.sum(), 1))
    return total, (jnp.abs(de).sum() / real, jnp.abs(df).sum() / components)


class State(NamedTuple):
    """What a step changes; frozen weights are not in it.

    All weights are one vector [P], and so are their moments: hundreds of small arrays cost a fifth of a step to hand over.
    """

    trainable: jax.Array
    adam: tuple
    average: jax.Array
    norm: jax.Array  # running mean of the gradient's norm
    step: jax.Array


@lru_cache(maxsize=16)
def make_step(config, average, clip):
    """start(trainable) -> (state, unravel), and a compiled step(unravel, state, frozen, rate, weights, graph, labels) -> (state, (loss, energy MAE, force MAE)).

    Cached, so that a second training with the same settings and shapes compiles nothing. Frozen weights are an argument of
    their own: no gradient is ever computed for them. unravel makes a dict of the state's vectors.
    """
    adam = optax.scale_by_adam()

    def objective(trainable, frozen, weights, graph, labels):
        return loss(config, weights, hk.data_structures.merge(trainable, frozen), graph, labels)

    @partial(jax.jit, static_argnums=0)
    def step(unravel, state, frozen, rate, weights, graph, labels):
        differentiate = jax.value_and_grad(objective, has_aux=True)
        (value, maes), gradient = differentiate(
            unravel(state.trainable), frozen, weights, graph, labels
        )
        gradient, _ = ravel_pytree(gradient)

        # A gradient much longer than usual is shortened. The usual length depends on the data, the weights of the loss and
        # the stage of the training, so it is measured: a fixed limit would make every structure pull equally hard.
        norm = jnp.linalg.norm(gradient)
        allowed = jnp.where(state.step == 0, norm, jnp.minimum(norm, clip * state.norm))
        gradient *= allowed / jnp.maximum(norm, 1e-30)
        usual = jnp.where(state.step == 0, norm, 0.99 * state.norm + 0.01 * allowed)

        update, moments = adam.update(gradient, state.adam)
        trainable = state.trainable - rate * update
        keep = jnp.minimum(average, (1 + state.step) / (10 + state.step))  # a short memory at first
        averaged = keep * state.average + (1 - keep) * trainable
        return State(trainable, moments, averaged, usual, state.step + 1), (value, *maes)

    def start(trainable):
        vector, unravel = ravel_pytree(trainable)
        return State(
            vector, adam.init(vector), vector, jnp.zeros(()), jnp.zeros((), jnp.int32)
        ), unravel

    return start, step


def schedule(step, steps, peak):
    """Learning rate at a step: a rise over the first 2 %, then a cosine down to a hundredth of the peak."""
    warm = max(1, steps // 50)
    if step < warm:
        return peak * (step + 1) / warm
    x = (step - warm) / max(1, steps - warm)
    return float(
        peak * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * x)))
    )  # a numpy number would be a type of its own to jax.jit


def fit(
    potential,
    train,
    valid=None,
    steps=2000,
    trainable=None,
    seed=0,
    learning_rate=2e-3,
    batch_size=1,
    weights=Weights(),
    final_weights=Weights(energy=50.0),
    average=0.995,
    clip=5.0,
    report_every=None,
    validate_every=None,
    checkpoint=None,
    shapes=3,
):
    """Train a Potential on a dataset; yields Progress, each with the `.potential` so far.

    train, valid: list of ase.Atoms with energy and forces (stress if weights.stress); steps: gradient steps, each on
    `batch_size` structures; trainable: mask from tlmlp.transfer.freeze, or None for all weights; learning_rate: its peak;
    weights, final_weights: Weights of the loss at the peak of the learning rate and at its end; average: decay of the
    weight average per step (0.99 for hundreds of steps, 0.999 for tens of thousands); clip: longest gradient allowed, in
    units of its running mean; report_every, validate_every: steps between two Progress and between
    two validations (default: 50 reports, 20 validations in all); checkpoint: a file to save to at every validation and to
    resume from, with the same numbers as an uninterrupted run; shapes: how many padded shapes of structures to compile for at
    most, or the shapes themselves (tlmlp.graph.shapes_of a larger dataset, so that every part of it runs the same program).

    The same seed gives the same numbers on the same machine. Raises ValueError for bad data or settings, before anything is
    compiled, and FloatingPointError when the loss stops being a number.
    """
    train = list(train)
    datasets.check(train)
    valid = None if valid is None else datasets.check(list(valid))
    for name, value in dict(steps=steps, batch_size=batch_size).items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    for name, value in dict(learning_rate=learning_rate, clip=clip).items():
        if not value > 0:
            raise ValueError(f"{name} must be greater than 0, not {value!r}")
    if not 0 <= average < 1:
        raise ValueError(f"average must be at least 0 and less than 1, not {average!r}")
    weights, final_weights = Weights(*weights), Weights(*final_weights)
    if min(weights + final_weights) < 0 or not min(max(weights[:2]), max(final_weights[:2])) > 0:
        raise ValueError(
            "weights of the loss must not be negative, and either forces or energies must have one"
        )
    has_stress = ["stress" in atoms.calc.results for atoms in train]
    if (weights.stress or final_weights.stress) and not any(has_stress):
        raise ValueError("a stress weight was given but no training frame carries a stress")
    for atoms in train + (valid or []):
        graphs.species_of(atoms, potential.elements)
    report_every = report_every or max(1, steps // 50)
    validate_every = validate_every or max(1, steps // 20)

    predicate = (
        (lambda module, name, _: True)
        if trainable is None
        else (lambda module, name, _: trainable[module][name])
    )
    start_params, frozen = hk.data_structures.partition(predicate, potential.params)
    if not start_params:
        raise ValueError("every weight is frozen; leave at least one group trainable")
    start, step_function = make_step(potential.config, float(average), float(clip))

    settings = dict(
        steps=steps,
        seed=seed,
        learning_rate=learning_rate,
        batch_size=batch_size,
        weights=weights,
        final_weights=final_weights,
        average=average,
        clip=clip,
        frames=len(train),
        n_weights=potential.n_weights,
        frozen=hk.data_structures.tree_size(frozen),
        validate_every=validate_every,
    )
    seen = {symbol for atoms in train for symbol in atoms.get_chemical_symbols()}
    potential = potential.replace(
        trained=tuple(e for e in potential.elements if e in seen | set(potential.trained)),
        core=repulsion.core_of(train, potential.config.cutoff),
    )
    state, unravel = start(start_params)
    resumed = checkpoints.load(checkpoint, settings, state, potential) if checkpoint else None
    if resumed:
        state, potential, best, best_step, best_mae = resumed
    else:
        potential = shift_reference(potential, train, shapes)
        best, best_step, best_mae = potential, 0, np.inf

    def averaged(state):
        params = hk.data_structures.merge(jax.tree.map(np.asarray, unravel(state.average)), frozen)
        now = potential.replace(params=hk.data_structures.to_mutable_dict(params))
        return now if final_weights.energy else shift_reference(now, train, shapes)

    if state.step == steps:  # a checkpoint of a finished training: what it reached is not lost
        nan = float("nan")
        yield Progress(
            steps, steps, 0.0, 0.0, nan, nan, nan, None, averaged(state), best, best_step
        )
        return

    examples = _examples(potential, train, batch_size, shapes)
    clock, since, metrics = time.perf_counter(), int(state.step), []
    for step in range(since, steps):
        example = examples[_order(seed, step, len(examples))]
        rate = schedule(step, steps, learning_rate)
        mixed = Weights(
            *(f + (w - f) * rate / learning_rate for w, f in zip(weights, final_weights))
        )
        state, metric = step_function(unravel, state, frozen, rate, mixed, *example)
        metrics.append(metric)
        done, last = step + 1, step + 1 == steps
        if done % report_every and done % validate_every and not last:
            continue
        value, energy_mae, force_mae = np.mean(np.array(metrics, float), 0)
        if not np.isfinite(value):
            raise FloatingPointError(
                f"the loss stopped being a number between steps {done - len(metrics)} and {done}; "
                f"try a learning_rate below {learning_rate:g}, or look for outliers in the data"
            )
        metrics, now, errors = [], averaged(state), None
        if valid and (done % validate_every == 0 or last):
            errors = now.evaluate(valid, shapes)
            if errors.force_mae < best_mae:
                best, best_step, best_mae = now, done, errors.force_mae
        if not valid:
            best, best_step = now, done
        if checkpoint and (done % validate_every == 0 or last):
            checkpoints.save(checkpoint, settings, state, potential, best, best_step, best_mae)
        seconds = time.perf_counter() - clock
        yield Progress(
            done,
            steps,
            seconds,
            rate,
            value,
            energy_mae * 1e3,
            force_mae * 1e3,
            errors,
            now,
            best,
            best_step,
        )


def shift_reference(potential, frames, shapes=3, most=64):
    """A Potential whose reference energies best fit the energies that `frames` carry, elements unseen there unchanged.

    Least squares on what the network leaves; `most` frames, spread over the dataset, are enough for one number an element.
    """
    frames = [
        frames[i] for i in np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)
    ]
    counts = np.array(
        [[a.get_chemical_symbols().count(e) for e in potential.elements] for a in frames], float
    )
    predicted = np.array(
        [a.get_potential_energy() for a in potential.replace(trained=()).predict(frames, shapes)]
    )
    residual = np.array([a.get_potential_energy() for a in frames]) - predicted
    size = counts.sum(1)  # per atom, so that a large cell does not outvote a small one
    shift = np.linalg.lstsq(counts / size[:, None], residual / size, rcond=None)[0]
    return potential.replace(
        reference=tuple(float(r + s) for r, s in zip(potential.reference, shift))
    )


def _examples(potential, frames, batch_size, shapes):
    """Padded (Graph, Labels) pairs of `batch_size` structures each, in few shapes."""
    tight = [graphs.from_atoms(a, potential.elements, potential.config.cutoff) for a in frames]
    shapes = graphs.few_shapes(tight, shapes)
    order = sorted(range(len(frames)), key=lambda i: shapes[i])
    out = []
    for shape in sorted(set(shapes)):
        members = [i for i in order if shapes[i] == shape]
        size = min(batch_size, len(members))
        for first in range(0, len(members), size):
            batch = members[first : first + size]
            graph = graphs.join([tight[i] for i in batch], shape[0] * size, shape[1], size)
            out.append(
                jax.tree.map(
                    jnp.asarray, (graph, _labels(potential, [frames[i] for i in batch], graph))
                )
            )
    return out


def _labels(potential, frames, graph):
    B, N = len(graph.volume), len(graph.species)
    energy, virial, n_atoms, has_virial = np.zeros(B), np.zeros((B, 3, 3)), np.zeros(B), np.zeros(B)
    forces = np.zeros((N, 3))
    first = 0
    for b, atoms in enumerate(frames):
        energy[b] = atoms.get_potential_energy() - potential.reference_energies(atoms).sum()
        forces[first : first + len(atoms)] = atoms.get_forces(apply_constraint=False)
        n_atoms[b], first = len(atoms), first + len(atoms)
        if "stress" in atoms.calc.results and graphs.volume_of(atoms):
            virial[b] = (
                voigt_6_to_full_3x3_stress(atoms.get_stress(apply_constraint=False))
                * atoms.get_volume()
            )
            has_virial[b] = 1
    return Labels(*(x.astype(np.float32) for x in (energy, forces, virial, n_atoms, has_virial)))


@lru_cache(maxsize=4)
def _epoch(seed, epoch, n):
    return np.random.default_rng([seed, epoch]).permutation(n)


def _order(seed, step, n):
    """Which example a step sees: every epoch in an order of its own, known from the step alone, so that a run can resume."""
    return _epoch(seed, step // n, n)[step % n]
