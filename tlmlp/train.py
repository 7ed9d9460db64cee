"""Training: the loss, one step of it, and `fit`, a generator that trains while you watch.

    L = w_F ⟨|F - F*|²⟩ + w_E ⟨((E - E*)/n)²⟩ + w_S ⟨|σV/n - σ*V/n|²⟩

with means over components and structures, n atoms, labels F*, E*, σ*. Forces alone (w_E = 0), as in
the paper, leave one energy per atom open, which `shift_reference` fits afterwards.

Adam (Kingma & Ba, arXiv 1412.6980) with a clipped gradient, a short warm-up and a cosine decay of
the learning rate η. The result is a running average of the weights (Polyak & Juditsky 1992).

One structure has one energy but hundreds of force components, so the gradient of the energy term is
much noisier. Its weight w_E (and w_S) therefore grows as η falls, from `weights` to
`final_weights`, as in DeePMD-kit (Wang et al. 2018): w(η) = w_final + (w_start - w_final) η/η_peak.

Terms for displaced copies of the structures, without labels of their own: tlmlp.consistency.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from tqdm import tqdm

from . import allocator, checkpoint as checkpoints, frames as datasets, graph as graphs, repulsion
from .checkpoint import Best
from .consistency import Consistency, penalty
from .devices import AXIS, Devices, chosen, place, stack, summed
from .dimenet import Config, Params
from .files import expanded
from .forces import energy_forces
from .graph import Frames, Graph, Shapes
from .initial import parts
from .labels import Labels, labels_of
from .potential import Errors, Potential
from .reference import fixing, shift_reference
from .refusal import is_whole, refuse
from .settings import END, START, Settings, Weights

Mask = dict[str, dict[str, bool]]  # {module: {weight: whether it is trained}}


MANY = 2000  # frames whose neighbours take so long to find that a bar is shown
CLIP = 5.0  # longest gradient allowed, in units of its running mean


class Progress(NamedTuple):
    """State of a training. Training errors are running ones, of the weights before each step."""

    step: int
    steps: int
    seconds: float  # spent in this call of fit
    learning_rate: float
    loss: float  # (eV/Å)², mean since the last Progress
    energy_mae: float  # meV/atom, training, likewise
    force_mae: float  # meV/Å, training, likewise; NaN where no forces are known
    valid: Errors | None  # of the averaged weights, where validation ran at this step
    potential: Potential  # averaged weights, now
    best: Potential  # those with the smallest validation force MAE; `potential` without validation
    best_step: int


def loss(
    config: Config,
    weights: Weights,
    params: Params,
    graph: Graph,
    labels: Labels,
    axis: str | None = None,
    consistency: Consistency | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """(loss, (energy MAE in eV/atom, force MAE in eV/Å)) of one Graph; pure.

    With an `axis` of shard_map the Graph is the share of one device. Sums are its own, and numbers
    that divide them those of all devices, so that all that comes out adds up over devices. `key`
    is of the displacements of a `consistency`. The force MAE is NaN where no forces are known.
    """
    field = partial(energy_forces, config, params)
    p, B = field(graph), len(labels.n_atoms)
    n = jnp.maximum(labels.n_atoms, 1)
    count = lambda x: jax.lax.psum(x.sum(), axis) if axis else x.sum()
    real = jnp.maximum(count(labels.n_atoms > 0), 1)
    energy = jax.ops.segment_sum(p.energies, graph.structure, B, indices_are_sorted=True)
    de = (energy - labels.energy) / n * (labels.n_atoms > 0)
    df = (p.forces - labels.forces) * graph.atom_mask[:, None]
    ds = (p.virial - labels.virial) / n[:, None, None] * labels.has_virial[:, None, None]
    if labels.has_forces is None:
        components = 3 * count(labels.n_atoms)
        force = weights.force * jnp.sum(df**2) / components
    else:  # some frame has none, so that forces have no weight
        df = df * labels.has_forces[graph.structure, None]
        components, force = 3 * count(labels.n_atoms * labels.has_forces), 0.0
    total = force + weights.energy * jnp.sum(de**2) / real
    total += weights.stress * jnp.sum(ds**2) / (9 * jnp.maximum(count(labels.has_virial), 1))
    if consistency is not None:
        total += weights.energy * penalty(consistency, field, graph, labels, key, axis)
    return total, (jnp.abs(de).sum() / real, jnp.abs(df).sum() / components)


class State(NamedTuple):
    """What a step changes; frozen weights are not in it.

    All weights are one vector [P], because hundreds of small arrays cost a fifth of a step.
    """

    trainable: jax.Array
    adam: Any
    average: jax.Array
    norm: jax.Array  # running mean of the gradient's norm
    step: jax.Array


@lru_cache(maxsize=16)
def make_step(
    config: Config, average: float, devices: Devices = (), consistency: Consistency | None = None
) -> tuple[Callable, Callable]:
    """start(trainable) -> (state, unravel), which makes a dict of a vector; and the compiled step.

    Cached, so that a second training with the same settings and shapes compiles nothing. Frozen
    weights are an argument of their own: no gradient is ever computed for them. Where there are
    several devices, each differentiates its share of the loss.
    """
    adam = optax.scale_by_adam()
    axis = AXIS if len(devices) > 1 else None

    def objective(trainable, frozen, weights, *rest):
        *key, example = rest
        params = hk.data_structures.merge(trainable, frozen)
        more = (consistency, *key) if key else ()
        return loss(config, weights, params, *example, axis, *more)

    differentiate = summed(jax.value_and_grad(objective, has_aux=True), devices)

    @partial(jax.jit, static_argnums=0)
    def step(unravel, state, frozen, rate, weights, graph, labels, pull=None, key=None):
        trainable = unravel(state.trainable)
        keys = () if key is None else (jax.random.fold_in(key, state.step),)
        (value, maes), gradient = differentiate(trainable, frozen, weights, *keys, (graph, labels))
        gradient, _ = ravel_pytree(gradient)
        if pull is not None:  # (anchor, the vector of weights that it holds to)
            gradient += pull[0] * (state.trainable - pull[1])

        # A gradient much longer than usual is shortened. The usual length depends on the data, the
        # loss and the stage of the training, so it is measured.
        norm = jnp.linalg.norm(gradient)
        allowed = jnp.where(state.step == 0, norm, jnp.minimum(norm, CLIP * state.norm))
        gradient *= allowed / jnp.maximum(norm, 1e-30)
        usual = jnp.where(state.step == 0, norm, 0.99 * state.norm + 0.01 * allowed)

        update, moments = adam.update(gradient, state.adam)
        trainable = state.trainable - rate * update
        keep = jnp.minimum(average, (1 + state.step) / (10 + state.step))  # a short memory at first
        averaged = keep * state.average + (1 - keep) * trainable
        return State(trainable, moments, averaged, usual, state.step + 1), (value, *maes)

    def start(trainable):
        vector, unravel = ravel_pytree(trainable)
        zero = jnp.zeros((), jnp.int32)
        return State(vector, adam.init(vector), vector, jnp.zeros(()), zero), unravel

    return start, step


def schedule(step: int, steps: int, peak: float) -> float:
    """Learning rate at a step: a rise over the first 2 %, then a cosine to a hundredth of it."""
    warm = max(1, steps // 50)
    if step < warm:
        return peak * (step + 1) / warm
    x = (step - warm) / max(1, steps - warm)
    # a float: a numpy number would be a type of its own to jax.jit
    return float(peak * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * x))))


def fit(
    potential: Potential,
    train: Frames,
    valid: Frames | None = None,
    steps: int = 2000,
    trainable: Mask | None = None,
    seed: int = 0,
    learning_rate: float = 2e-3,
    batch_size: int = 1,
    weights: Weights = START,
    final_weights: Weights = END,
    average: float = 0.995,
    report_every: int | None = None,
    validate_every: int | None = None,
    checkpoint: str | Path | None = None,
    shapes: Shapes = 3,
    devices: int | Sequence[jax.Device] | None = None,
    anchor: float = 0.0,
    consistency: Consistency | None = None,
) -> Iterator[Progress]:
    """Train a Potential on a dataset; the same seed gives the same numbers on the same machine.

    Args:
        potential: where to start from, of `Potential.create` or `transfer.start`.
        train: structures with energy, and forces if these have a weight; those with a stress count
            if it has one. Isolated atoms are for the reference energies alone (shift_reference).
        valid: the same, with forces, to choose the best weights by.
        steps: gradient steps.
        trainable: mask from tlmlp.transfer.freeze [default: all weights].
        seed: of the order of the structures.
        learning_rate: its peak.
        batch_size: structures in a step.
        weights: of the terms of the loss at the peak of the learning rate. Default: no stress.
        final_weights: the same at the end.
        average: decay of the weight average per step, 0.99 for hundreds of steps, 0.999 for 10 000.
        report_every: steps between two Progress [default: 50 in all]; validations give one, too.
        validate_every: steps between two validations [default: 20 in all].
        checkpoint: file to save to at validations and to resume from, with the same numbers. One
            of other settings, data or starting weights is refused.
        shapes: how many padded shapes to compile for at most, or these (graph.shapes_of).
        devices: divide each batch over so many jax devices, or over these [default: one]. The
            result is the same to rounding; a checkpoint does not ask how many there were.
        anchor: (eV/Å)², of a penalty anchor/2 |w - w0|² on trained weights w that leave their start
            w0 (Li, Grandvalet and Davoine, arXiv 1802.01483). Progress.loss is without it.
        consistency: terms for displaced copies of the structures, see there [default: none].

    Yields Progress, with the `.potential` so far. Before the first it raises ValueError (TypeError)
    for bad data or settings; later FloatingPointError where the loss stops being a number.
    """
    allocator.prepare()
    ends = Weights(*weights), Weights(*final_weights)
    train = datasets.check(train, forces=max(w.force for w in ends) > 0)
    valid = [] if valid is None else datasets.check(valid)
    checkpoint = expanded(checkpoint) if checkpoint else None
    s = Settings(steps, seed, learning_rate, batch_size, *ends, average, validate_every, anchor)
    s = s._replace(consistency=consistency)
    s.check(train)
    on = chosen(devices, batch_size)
    potential = _for(potential, train, valid)
    yield from _steps(potential, train, valid, trainable, checkpoint, shapes, report_every, s, on)


def _steps(potential, train, valid, trainable, checkpoint, shapes, report_every, s, devices):
    """The steps of fit, from the first or from where a checkpoint stopped."""
    words = f"report_every must be a whole number of at least 1, not {report_every!r}"
    refuse(report_every is not None and not is_whole(report_every), words)
    words = "trainable is a mask of another network: make it with tlmlp.transfer.freeze"
    same = jax.tree.structure(trainable) == jax.tree.structure(potential.params)
    refuse(trainable is not None and not same, words)
    trains = lambda module, name, _: trainable is None or trainable[module][name]
    start_params, frozen = hk.data_structures.partition(trains, potential.params)
    refuse(not start_params, "every weight is frozen; leave at least one group trainable")
    several = devices if len(devices) > 1 else ()  # one device has the program of none
    more = (several, s.consistency) if s.consistency else (several,) * bool(several)
    start, step_function = make_step(potential.config, float(s.average), *more)
    state, unravel = start(start_params)
    pull = [(s.anchor, state.trainable)] if s.anchor else []
    if s.consistency:
        pull = [*(pull or [None]), jax.random.key(s.seed % 2**32)]
    report_every = report_every or max(1, s.steps // 50)
    s = s._replace(validate_every=s.validate_every or max(1, s.steps // 20))
    settings = _settings(potential, train, valid, frozen, s) if checkpoint else {}
    some = fixing(potential, train)  # once, not at every report
    known = [*train, *valid]  # each shape compiles two programs
    shapes = graphs.shapes_of(known, potential.elements, potential.config.cutoff, shapes)
    if resumed := checkpoint and checkpoints.load(checkpoint, settings, state, potential):
        state, potential, best = resumed
    else:
        potential = shift_reference(potential, some, shapes)
        best = Best(potential, 0, np.inf)

    def averaged():
        params = hk.data_structures.merge(parts(state.average, start_params), frozen)
        now = potential.replace(params=hk.data_structures.to_mutable_dict(params))
        return now if s.final_weights.energy else shift_reference(now, some, shapes)

    if state.step == s.steps:  # a checkpoint of a finished training: what it reached is not lost
        yield Progress(s.steps, s.steps, 0.0, 0.0, *[np.nan] * 3, None, averaged(), *best[:2])
        return
    state, fixed, pull = (place(tree, devices) for tree in (state, frozen, pull))
    examples = _examples(potential, datasets.apart(train)[0], s.batch_size, shapes, devices)
    n, clock, metrics = len(examples), time.perf_counter(), []
    for step in range(int(state.step), s.steps):
        example = examples[_epoch(s.seed, step // n, n)[step % n]]
        rate = schedule(step, s.steps, s.learning_rate)
        ends = zip(s.weights, s.final_weights)
        mixed = Weights(*(f + (w - f) * rate / s.learning_rate for w, f in ends))
        state, metric = step_function(unravel, state, fixed, rate, mixed, *example, *pull)
        metrics.append(metric)
        done = step + 1
        validates = done % s.validate_every == 0 or done == s.steps
        if done % report_every and not validates:
            continue
        value, energy_mae, force_mae = _means(metrics, done, s.learning_rate)
        metrics, now = [], averaged()
        errors = now.evaluate(valid, shapes) if valid and validates else None
        if not valid or errors and errors.force_mae < best.mae:
            best = Best(now, done, errors.force_mae if errors else np.inf)
        if checkpoint and validates:
            checkpoints.save(checkpoint, settings, state, potential, best)
        seconds, maes = time.perf_counter() - clock, (energy_mae * 1e3, force_mae * 1e3)
        yield Progress(done, s.steps, seconds, rate, value, *maes, errors, now, *best[:2])


def _settings(potential, train, valid, frozen, s):
    """What a checkpoint compares: settings, data, network, the weights and which are frozen."""
    sizes = dict(frames=len(train), n_weights=potential.n_weights)
    settings = s._asdict() | sizes | dict(frozen=hk.data_structures.tree_size(frozen))
    off = dict(anchor=0, consistency=None)  # as it was before there were any
    settings = {k: v for k, v in settings.items() if k not in off or v != off[k]}
    data = dict(train=datasets.fingerprint(train), valid=datasets.fingerprint(valid))
    names = sorted(f"{module}:{name}" for module, name, _ in hk.data_structures.traverse(frozen))
    network = dict(network=[*astuple(potential.config)[1:], *potential.elements], which=names)
    return settings | data | dict(start=checkpoints.sketch(potential.params)) | network


def _for(potential, train, valid):
    """The potential with what it is going to be trained on: elements, and the core of repulsion."""
    for atoms in train + valid:
        graphs.species_of(atoms, potential.elements)
    now, before = datasets.symbols_of(datasets.apart(train)[0]), set(potential.trained)
    lost = ", ".join(sorted(datasets.symbols_of(valid) - now - before))
    refuse(lost, f"valid holds {lost}, of which there is no structure to train on")
    trained = tuple(e for e in potential.elements if e in now | before)
    core = repulsion.core_of(train, potential.network.cutoff)
    core = min(core, potential.core) if before - now else core  # their atoms may be closer
    return potential.replace(trained=trained, core=core)


def _means(metrics, done, learning_rate):
    """Mean loss, energy MAE (eV/atom) and force MAE (eV/Å) of the last steps."""
    metrics = np.array(metrics, float)
    known = ~np.isnan(metrics) | (np.arange(3) == 0)  # a batch without forces has no error of them
    with np.errstate(invalid="ignore"):  # nor have all of them, where no forces are known
        means = np.sum(metrics, 0, where=known) / known.sum(0)
    if not np.isfinite(means[0]):
        when = f"between steps {done - len(metrics)} and {done}"
        how = f"try a learning_rate below {learning_rate:g}, or look for outliers in the data"
        raise FloatingPointError(f"the loss stopped being a number {when}; {how}")
    return means


def _examples(potential, frames, batch_size, shapes, devices=()):
    """Padded (Graph, Labels) pairs of `batch_size` structures each, in few shapes.

    Several devices have a first axis of their own, and as many structures each, or one less.
    """
    shown = tqdm(frames, "neighbours", unit=" frames", mininterval=1, disable=len(frames) < MANY)
    tight = [graphs.from_atoms(a, potential.elements, potential.config.cutoff) for a in shown]
    padded = graphs.few_shapes(tight, shapes)
    forces, out = all(map(datasets.knows_forces, frames)), []
    for N, K in sorted(set(padded)):
        members = [i for i, shape in enumerate(padded) if shape == (N, K)]
        size, n = min(batch_size, len(members)), max(1, len(devices))
        B = -(-size // n)
        for first in range(0, len(members), size):
            shares = []
            for share in np.array_split(members[first : first + size], n):
                graph = graphs.join([tight[i] for i in share], N * B, K, B)
                own = [frames[i] for i in share]
                shares.append((graph, labels_of(potential, own, graph, forces)))
            out.append(place(stack(shares), devices, divided=True))
    return out


@lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, n: int) -> np.ndarray:
    """Order of n examples in an epoch, known from its number alone, so that a run can resume."""
    return np.random.default_rng([seed, epoch]).permutation(n)
