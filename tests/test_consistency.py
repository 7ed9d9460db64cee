"""Weakly supervised losses: their formulas by hand, what they change, and what stays as it was."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from test_train import TINY, labelled, last, same

import tlmlp
from tlmlp import Consistency, Weights, datasets, graph as graphs, train
from tlmlp.consistency import displaced, displacements, penalty
from tlmlp.course import sources
from tlmlp.forces import differentiate, energy_forces
from tlmlp.frames import knows_forces
from tlmlp.labels import Labels

DEPTH, WIDTH, LENGTH = 2.0, 1.3, 2.4  # of a Morse potential: eV, 1/Å, Å
ON = Consistency(taylor=1.2, path=0.01)
ENERGIES = dict(weights=Weights(force=0.0), final_weights=Weights(force=0.0, energy=50.0))


def morse(graph):
    """Energies [N] of a Graph, half of every bond to either end; by tlmlp's own Graph."""
    d = jnp.sqrt(jnp.where(graph.mask, jnp.sum(graph.vectors**2, -1), 1.0))
    bonds = DEPTH * (1 - jnp.exp(-WIDTH * (d - LENGTH))) ** 2
    return 0.5 * jnp.where(graph.mask, bonds, 0).sum(-1)


FIELD = partial(differentiate, morse)


def by_hand(positions):
    """(energy in eV, forces [2, 3] in eV/Å) of the same two atoms, in numpy."""
    vector = positions[1] - positions[0]
    d = np.linalg.norm(vector)
    decay = np.exp(-WIDTH * (d - LENGTH))
    slope = 2 * DEPTH * WIDTH * (1 - decay) * decay
    return DEPTH * (1 - decay) ** 2, slope * np.array([vector, -vector]) / d


POSITIONS = np.array([[[0, 0, 0], [2.1, 0.3, 0.2]], [[1, 1, 0], [1.2, 3.4, 1.1]]])


def two_pairs(wrong=0.0, has_forces=None, dtype=np.float64):
    """(Graph, Labels) of two pairs of atoms, padded to 7 atoms and 3 structures.

    Labels are off by `wrong`, in eV and eV/Å.
    """
    frames = [Atoms("Si2", p) for p in POSITIONS]
    tight = [graphs.from_atoms(a, ("Si",), 4.0, dtype) for a in frames]
    graph = graphs.join(tight, 7, 2, 3)
    labels = Labels(*(np.zeros(s) for s in (3, (7, 3), (3, 3, 3), 3, 3)), has_forces)
    for b, positions in enumerate(POSITIONS):
        labels.n_atoms[b] = 2
        labels.energy[b], labels.forces[2 * b : 2 * b + 2] = by_hand(positions)
        labels.energy[b] += wrong * (b + 1)
        labels.forces[2 * b] += wrong
    return graph, labels


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("taylor, path", [(1.2, 0.0), (0.0, 0.7), (1.2, 0.7)])
def test_two_atoms_by_hand(order, taylor, path):
    """Both terms of two pairs, whose labels are wrong, against the formulas in numpy."""
    with jax.enable_x64(True):
        graph, labels = two_pairs(wrong=0.01)
        c, key = Consistency(taylor, path, 0.1, order), jax.random.key(3)
        value = float(penalty(c, FIELD, graph, labels, key))
        moved = np.asarray(displacements(key, 0.1, graph, labels))
    expected = 0.0
    for b, positions in enumerate(POSITIONS):
        d, e = moved[:, 2 * b : 2 * b + 2]
        energy, force = by_hand(positions + d)
        over, aside = by_hand(positions + e)
        known = labels.forces[2 * b : 2 * b + 2]
        if order == 2:
            known, aside = (known + force) / 2, (aside + force) / 2
        rho = (energy - labels.energy[b] + np.sum(known * d)) / 2
        pi = (energy - over + np.sum(aside * (d - e))) / 2
        expected += (taylor * rho**2 + path * pi**2) / 2
    assert value == pytest.approx(expected, rel=1e-10) and value > 1e-6
    assert abs(moved).max() < 0.1 and not moved[:, 4:].any() and len(np.unique(moved[:, :4])) == 24


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("term", ["taylor", "path"])
def test_a_true_energy_is_consistent_to_its_order(order, term):
    """What is left falls as the square, or the cube, of the displacement."""
    with jax.enable_x64(True):
        left = lambda most: penalty(
            Consistency(**{term: 1.0}, displacement=most, order=order), FIELD, *two_pairs(), KEY
        )
        far, near = (float(left(most)) ** 0.5 for most in (4e-3, 2e-3))
    assert far / near == pytest.approx(2 ** (order + 1), rel=0.05)


KEY = jax.random.key(0)


def test_displacements_fill_their_cube():
    """`displacement` is the root mean square of an atom's way, whose mean is zero."""
    n = 20000
    graph, labels = two_pairs(dtype=np.float32)
    graph = graph._replace(structure=np.zeros(n, np.int32), atom_mask=np.ones(n, bool))
    labels = labels._replace(n_atoms=np.array([n]))
    moved = np.asarray(displacements(KEY, 0.05, graph, labels))
    assert np.sqrt(np.mean(np.sum(moved**2, -1))) == pytest.approx(0.05, rel=0.01)
    assert abs(moved.mean((0, 1))).max() < 1e-3 and abs(moved).max() <= np.float32(0.05)
    assert abs(np.corrcoef(moved.reshape(2, -1))[0, 1]) < 0.02


def test_padding_changes_no_displacement():
    graph, labels = two_pairs(dtype=np.float32)
    other = graphs.join([graph], 12, 5, 3)
    a, b = (np.asarray(displacements(KEY, 0.1, g, labels)) for g in (graph, other))
    assert np.array_equal(a[:, :4], b[:, :4]) and not b[:, 4:].any()


def test_without_forces_the_term_is_the_error_of_the_energy():
    """F(r) takes the place of F*, for the structure that has none."""
    with jax.enable_x64(True):
        value = lambda known, order, wrong=0.01: float(
            penalty(
                Consistency(1.0, displacement=1e-3, order=order),
                FIELD,
                *two_pairs(wrong, known),
                KEY,
            )
        )
        none, first = np.zeros(3), np.array([1.0, 0, 0])
        # (0.01, 0.02) eV of two atoms each: all that is left as d -> 0
        for order, rel in ((1, 0.01), (2, 1e-4)):
            assert value(none, order) == pytest.approx((0.005**2 + 0.01**2) / 2, rel=rel)
        assert value(np.ones(3), 1) == value(None, 1) != value(none, 1)
        assert value(first, 1) not in (value(None, 1), value(none, 1))


def test_neighbours_of_the_structure_at_rest_are_enough():
    """Missed pairs at the cutoff, and the bias of order 1, in meV/atom, of silicon's potential."""
    potential = tlmlp.Potential.load("si-dft-course")
    frames = potential.predict(sources.data("dft", "Si")[1][:4])  # whose energy is true to them
    field = jax.jit(partial(energy_forces, potential.config, potential.params))
    around = lambda a: graphs.from_atoms(a, potential.elements, potential.config.cutoff)
    padded = lambda a: graphs.join([around(a)], 64, 32)
    missed, bias = [], []
    for k, atoms in enumerate(frames):
        graph = padded(atoms)
        labels = train.labels_of(potential, [atoms], graph)
        d = np.asarray(displacements(jax.random.key(k), 0.05, graph, labels))[0]
        assert not d[len(atoms) :].any()
        energy = float(field(displaced(graph, d)).energies.sum())
        moved = atoms.copy()
        moved.positions += d[: len(atoms)]
        missed.append(1e3 * (float(field(padded(moved)).energies.sum()) - energy) / len(atoms))
        rho = energy - labels.energy[0] + np.sum(labels.forces * d)
        bias.append(1e3 * rho / len(atoms))
    assert np.abs(missed).max() < 2e-3
    assert 8 < np.mean(bias) < 20 and min(bias) > 5


# -- in a training ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames():
    return labelled(8)


@pytest.fixture(scope="module")
def potential():
    return tlmlp.Potential.create(TINY, ("Si", "Ge"))


def test_off_it_is_the_program_that_it_was(potential, frames, tmp_path):
    """No compilation, no other number, no word in the checkpoint."""
    how, file = dict(steps=6, average=0.88, batch_size=2), tmp_path / "a.checkpoint"
    plain = last(tlmlp.fit(potential, frames, **how))
    step = train.make_step(TINY, 0.88)[1]
    compiled = step._cache_size()
    off = last(tlmlp.fit(potential, frames, consistency=None, checkpoint=file, **how))
    assert same(off.potential, plain.potential) and off.loss == plain.loss
    assert step._cache_size() == compiled > 0
    with safetensors.safe_open(file, "numpy") as opened:
        assert "consistency" not in json.loads(opened.metadata()["checkpoint"])["settings"]
    on = last(tlmlp.fit(potential, frames, consistency=ON, **how))
    assert not same(on.potential, plain.potential) and step._cache_size() == compiled


def test_the_loss_has_the_weight_of_the_energy(potential, frames):
    example, key = train._examples(potential, frames[:2], 2, 3)[0], jax.random.key(1)
    field = partial(energy_forces, TINY, potential.params)
    extra = float(jax.jit(partial(penalty, ON, field))(*example, key))
    for w in (3.0, 6.0):
        plain = partial(train.loss, TINY, Weights(1.0, w), potential.params)
        value = jax.jit(plain, static_argnames="consistency")
        losses = float(value(*example, consistency=ON, key=key)[0]), float(value(*example)[0])
        assert losses[0] - losses[1] == pytest.approx(w * extra, rel=1e-4) and extra > 1e-4


def test_same_seed_same_numbers_and_resume(potential, frames, tmp_path):
    how = dict(steps=20, report_every=5, validate_every=5, batch_size=2, consistency=ON)
    whole = last(tlmlp.fit(potential, frames, frames[:2], **how))
    assert same(last(tlmlp.fit(potential, frames, frames[:2], **how)).potential, whole.potential)
    file = tmp_path / "a.checkpoint"
    for p in tlmlp.fit(potential, frames, frames[:2], checkpoint=file, **how):
        if p.step == 10:
            break
    resumed = list(tlmlp.fit(potential, frames, frames[:2], checkpoint=file, **how))
    assert resumed[0].step == 15 and same(resumed[-1].potential, whole.potential)
    for other in (None, ON._replace(path=0.02), ON._replace(order=1)):
        with pytest.raises(ValueError, match="a training with other consistency; name another"):
            next(
                tlmlp.fit(
                    potential, frames, frames[:2], checkpoint=file, **how | dict(consistency=other)
                )
            )


def test_every_step_has_its_own_displacements(potential, frames):
    """With one structure and no learning to speak of, the loss still differs from step to step."""
    how = dict(steps=6, report_every=1, learning_rate=1e-12)
    losses = lambda **more: [p.loss for p in tlmlp.fit(potential, frames[:1], **how | more)]
    strong = Consistency(1.0, displacement=0.2)
    assert np.ptp(losses(weights=Weights(), final_weights=Weights())) < 1e-5
    some = losses(consistency=strong, weights=Weights(), final_weights=Weights())
    others = losses(consistency=strong, weights=Weights(), final_weights=Weights(), seed=1)
    assert len(set(some + others)) == 12 and np.ptp(some) > 1e-3


def without_forces(frames):
    out = datasets.copies(frames)
    for atoms in out:
        del atoms.calc.results["forces"]
    return out


def test_energies_alone_train(potential, frames):
    """As with forces that have no weight; with consistency both errors fall."""
    silent, how = without_forces(frames), dict(steps=120, learning_rate=5e-3, average=0.9)
    how |= dict(report_every=1) | ENERGIES
    p, known = (next(tlmlp.fit(potential, f, **how)) for f in (silent, frames))
    assert p.energy_mae == pytest.approx(known.energy_mae, rel=1e-4)
    assert np.isnan(p.force_mae) and np.isfinite(known.force_mae)
    first, *_, end = tlmlp.fit(potential, silent, consistency=Consistency(1.0, 0.01), **how)
    before, after = (q.potential.evaluate(frames) for q in (first, end))
    assert (
        after.energy_rmse < 0.9 * before.energy_rmse and after.force_mae < 0.95 * before.force_mae
    )
    assert not same(first.potential, p.potential)


def test_a_file_without_forces_is_read_where_that_is_said(frames, tmp_path):
    file = tmp_path / "energies.extxyz"
    write(file, without_forces(frames[:2]))
    with pytest.raises(ValueError, match=r"no 'forces'.* read\(forces=False\)"):
        datasets.read(file)
    known = datasets.read(file, forces=False)
    energies = [[atoms.get_potential_energy() for atoms in part] for part in (known, frames[:2])]
    assert not any(knows_forces(atoms) for atoms in known) and energies[0] == energies[1]


def test_some_frames_may_lack_forces(potential, frames):
    """The others' are used by the Taylor term, and alone in the error that is shown."""
    mixed, how = frames[:4] + without_forces(frames[4:]), dict(steps=4, report_every=4) | ENERGIES
    how |= dict(batch_size=8, learning_rate=1e-9)
    p, known = (last(tlmlp.fit(potential, f, **how)) for f in (mixed, frames[:4]))
    assert p.force_mae == pytest.approx(known.force_mae, rel=1e-4)
    every = dict(batch_size=1, steps=8, report_every=8, validate_every=8)
    one = last(tlmlp.fit(potential, mixed, **how | every))
    assert np.isfinite(one.force_mae)  # though some of its batches have no forces
    none = last(tlmlp.fit(potential, without_forces(frames), **how))
    assert np.isnan(none.force_mae) and np.isfinite(none.energy_mae)


def test_what_no_training_can_use_is_one_sentence(potential, frames):
    bad = lambda **c: dict(consistency=Consistency(**c))
    silent = without_forces(frames)
    forces_alone = dict(weights=Weights(energy=0.0), final_weights=Weights(energy=0.0))
    for what, error, words in (
        (bad(), ValueError, "taylor and path of a Consistency must be numbers of at least 0 and"),
        (bad(taylor=-1.0), ValueError, "taylor and path"),
        (bad(taylor=float("nan")), ValueError, "taylor and path"),
        (bad(taylor=1.0, path="much"), ValueError, "taylor and path"),
        (bad(taylor=1.0, displacement=0), ValueError, "displacement must be a positive"),
        (bad(taylor=1.0, displacement=0.5), ValueError, "displacement must be at most 0.3 Å"),
        (bad(path=1.0, order=3), ValueError, "order must be 1 or 2, not 3"),
        (dict(consistency=(1.0, 0.0)), TypeError, "must be a tlmlp.Consistency or None"),
        (bad(taylor=1.0) | forces_alone, ValueError, "has the weight of energies, which must be"),
    ):
        with pytest.raises(error, match=words):
            next(tlmlp.fit(potential, frames, **what))
    for weights in ({}, dict(weights=Weights(force=0.0))):  # force has a weight at the end
        with pytest.raises(
            ValueError, match="frame 0 has no 'forces'.* fit with force=0 in both weights"
        ):
            next(tlmlp.fit(potential, silent, **weights))
    with pytest.raises(ValueError, match="no 'forces'"):
        next(tlmlp.fit(potential, frames, silent, **ENERGIES))
    no_energy = datasets.copies(silent)
    no_energy[1].calc = SinglePointCalculator(no_energy[1], stress=np.zeros(6))
    with pytest.raises(ValueError, match="frame 1 has no 'energy'"):
        next(tlmlp.fit(potential, no_energy, **ENERGIES))
