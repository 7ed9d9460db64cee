"""Training: it learns, repeats itself, resumes, and stops with a sentence where it must."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import safetensors.numpy
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

import tlmlp
from tlmlp import datasets, graph, train, transfer

TINY = tlmlp.Config("course", embed_size=8, n_blocks=1, n_spherical=2, n_dense_out=1, cutoff=3.0)


def labelled(n, seed=0, energy_offset=0.0):
    """Rattled silicon with Lennard-Jones labels: a smooth energy that a tiny network can learn."""
    frames = []
    for i in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.12, seed=1000 * seed + i)
        atoms.calc = LennardJones(sigma=2.1, epsilon=1.0, rc=3.0, smooth=True)
        results = dict(
            energy=atoms.get_potential_energy() + 8 * energy_offset,
            forces=atoms.get_forces(),
            stress=atoms.get_stress(),
        )
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def frames():
    return labelled(12, energy_offset=-300.0)


@pytest.fixture(scope="module")
def potential():
    return tlmlp.Potential.create(TINY, ("Si", "Ge"))


def last(progress):
    *_, p = progress
    return p


def same(a, b):
    return all(
        np.array_equal(x, y)
        for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True)
    )


def test_it_learns_and_reports(potential, frames):
    reports = list(
        tlmlp.fit(
            potential,
            frames,
            labelled(4, 1, -300.0),
            steps=300,
            average=0.98,
            report_every=50,
            validate_every=100,
        )
    )
    first, end = reports[0], reports[-1]
    assert [p.step for p in reports] == [50, 100, 150, 200, 250, 300]
    assert [p.valid is not None for p in reports] == [False, True] * 3
    assert end.force_mae < 0.6 * first.force_mae
    assert end.best.trained == ("Si",) and end.best_step in (100, 200, 300)
    # the energy per atom is near -300 eV, of which a float32 keeps 30 µeV: hence reference energies
    assert end.valid.energy_rmse < 100
    assert end.valid == end.potential.evaluate(labelled(4, 1, -300.0))


def test_the_best_weights_are_those_of_the_smallest_force_mae(potential, frames, monkeypatch):
    """Neither the last ones, nor those of the smallest RMSE."""
    found = iter([(3.0, 3.0), (1.0, 9.0), (2.0, 1.0)])

    def evaluate(*_):
        mae, rmse = next(found)
        return tlmlp.Errors(0.0, 0.0, rmse, mae, 0.0, 1, {})

    monkeypatch.setattr(tlmlp.Potential, "evaluate", evaluate)
    how = dict(steps=3, validate_every=1, report_every=3)
    assert last(tlmlp.fit(potential, frames[:2], frames[2:3], **how)).best_step == 2


def test_the_loss_is_the_mean_square_of_known_errors(frames):
    """Labels are off by 0.02 eV/atom, 0.1 eV/Å and 0.01 eV/Å³ from what the network says."""
    p = tlmlp.Potential.load("si-sw-course")
    known = p.predict([atoms.copy() for atoms in frames[:2]])
    for atoms in known:
        own = dict(energy=atoms.get_potential_energy() + 8 * 0.02)
        own |= dict(forces=atoms.get_forces() + 0.1, stress=atoms.get_stress() + 0.01)
        atoms.calc = SinglePointCalculator(atoms, **own)
    example = train._examples(p, known, 2, 3)[0]
    value = lambda *weights: train.loss(p.config, tlmlp.Weights(*weights), p.params, *example)[0]
    assert float(value(1, 0, 0)) == pytest.approx(0.01, rel=1e-2)
    assert float(value(0, 1, 0)) == pytest.approx(4e-4, rel=2e-2)
    virial = 0.01 * known[0].get_volume() / 8  # eV per atom, in each of nine components
    assert float(value(0, 0, 1)) == pytest.approx(virial**2, rel=1e-2)


def test_rate_and_weights_go_from_begin_to_end(potential, frames, monkeypatch):
    """The rate rises for 2 %, then falls as a cosine to a hundredth; weights go with it."""
    rates = [train.schedule(step, 100, 1.0) for step in (0, 1, 51, 99)]
    assert rates == pytest.approx([0.5, 1.0, 0.505, 0.0103], abs=1e-3)
    make, seen = train.make_step, []

    def spied(*how):
        start, step = make(*how)

        def noted(unravel, state, frozen, rate, weights, *rest):
            seen.append(weights.energy)
            return step(unravel, state, frozen, rate, weights, *rest)

        return start, noted

    monkeypatch.setattr(train, "make_step", spied)
    last(tlmlp.fit(potential, frames[:2], steps=100))
    assert seen[1] == pytest.approx(2) and seen[-1] == pytest.approx(50, abs=1)


def test_same_seed_same_numbers_and_resume(potential, frames, tmp_path):
    settings = dict(steps=40, report_every=10, validate_every=10, batch_size=2)
    whole = last(tlmlp.fit(potential, frames, frames[:2], **settings))
    again = last(tlmlp.fit(potential, frames, frames[:2], **settings))
    assert same(whole.potential, again.potential) and whole.best_step == again.best_step
    other = last(tlmlp.fit(potential, frames, frames[:2], seed=1, **settings))
    assert not same(whole.potential, other.potential)

    checkpoint = tmp_path / "run.checkpoint"
    for p in tlmlp.fit(potential, frames, frames[:2], checkpoint=checkpoint, **settings):
        if p.step == 20:
            break
    resumed = list(tlmlp.fit(potential, frames, frames[:2], checkpoint=checkpoint, **settings))
    assert resumed[0].step == 30
    assert same(resumed[-1].potential, whole.potential) and same(resumed[-1].best, whole.best)
    assert resumed[-1].best.reference == whole.best.reference
    (finished,) = tlmlp.fit(potential, frames, frames[:2], checkpoint=checkpoint, **settings)
    assert (
        finished.step == 40
        and same(finished.best, whole.best)
        and finished.best_step == whole.best_step
    )
    with pytest.raises(ValueError, match="other steps"):
        next(
            tlmlp.fit(
                potential, frames, frames[:2], checkpoint=checkpoint, **settings | dict(steps=50)
            )
        )
    with safetensors.safe_open(checkpoint, "numpy") as file:
        tensors, header = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()
    fewer, older = (
        dict(list(tensors.items())[1:]),
        {"checkpoint": header["checkpoint"].replace("best_mae", "best_rmse")},
    )
    for kept, words in ((fewer, header), (tensors, older)):
        safetensors.numpy.save_file(kept, checkpoint, metadata=words)
        with pytest.raises(ValueError, match="another version"):
            next(tlmlp.fit(potential, frames, frames[:2], checkpoint=checkpoint, **settings))
    checkpoint.write_bytes(b"")
    with pytest.raises(ValueError, match="not a checkpoint"):
        next(tlmlp.fit(potential, frames, frames[:2], checkpoint=checkpoint, **settings))


def test_forces_alone_leave_the_energy_to_be_shifted(potential, frames):
    forces_only = tlmlp.Weights(energy=0.0)
    p = last(
        tlmlp.fit(
            potential,
            frames,
            steps=150,
            weights=forces_only,
            final_weights=forces_only,
            average=0.98,
        )
    ).potential
    error = [
        q.get_potential_energy() - t.get_potential_energy()
        for q, t in zip(p.predict(frames), frames)
    ]
    assert abs(np.mean(error)) < 1e-3


def test_reference_energies_of_two_elements(potential):
    frames = labelled(6)
    for k, atoms in enumerate(frames):
        atoms.symbols[:k] = "Ge"
    flat = potential.replace(params=jax.tree.map(np.zeros_like, potential.params))
    for k, atoms in enumerate(frames):
        atoms.calc.results["energy"] = -5.0 * (8 - k) - 3.0 * k
        atoms.calc.atoms = atoms.copy()
    np.testing.assert_allclose(
        train.shift_reference(flat, frames).reference, (-5.0, -3.0), atol=1e-9
    )


def test_frozen_weights_do_not_move(potential, frames):
    mask = jax.tree.map(lambda w: True, potential.params)
    mask["dimenet/embedding"] = dict.fromkeys(mask["dimenet/embedding"], False)
    after = last(tlmlp.fit(potential, frames, steps=10, trainable=mask)).potential
    for name, w in after.params["dimenet/embedding"].items():
        np.testing.assert_array_equal(w, potential.params["dimenet/embedding"][name])
    assert not same(after, potential)
    with pytest.raises(ValueError, match="every weight is frozen"):
        next(
            tlmlp.fit(potential, frames, trainable=jax.tree.map(lambda w: False, potential.params))
        )


def test_an_anchor_holds_the_weights_where_they_started(potential, frames):
    """It pulls on weights that have left, so the first step is that of no anchor, to the last bit.

    A strong one keeps them near; where groups are frozen it holds what is trained.
    """
    free, weak = (
        [p.potential for p in tlmlp.fit(potential, frames, steps=2, report_every=1, anchor=a)]
        for a in (0.0, 1e-3)
    )
    assert same(free[0], weak[0]) and not same(free[1], weak[1])

    def far(anchor, mask=None):
        how = dict(steps=40, trainable=mask, anchor=anchor)
        return transfer.moved(potential, last(tlmlp.fit(potential, frames, **how)).potential)

    loose, held = far(0.0), far(1e4)
    assert all(held[name] < 0.2 * loose[name] for name in loose)
    half = far(1e4, transfer.freeze(potential, "embedding"))
    assert half["embedding"] == 0 < half["output_1"] < 0.2 * loose["output_1"]


def test_a_training_compiles_once(potential, frames, monkeypatch):
    traced, loss = [], train.loss
    monkeypatch.setattr(train, "loss", lambda *a: traced.append(1) or loss(*a))
    last(
        tlmlp.fit(potential, frames, steps=5, average=0.91, shapes=1)
    )  # a learning rate that rises, then falls
    assert len(traced) == 1


def test_shapes_too_small_for_validation_are_refused_before_the_first_step(potential, frames):
    shapes = graph.shapes_of(frames, potential.elements, potential.config.cutoff, 1)
    large = frames[0].repeat((2, 1, 1))
    large.calc = SinglePointCalculator(large, energy=1.0, forces=np.zeros((16, 3)))
    seen = tlmlp.fit(potential, frames, [large], steps=40, report_every=1, shapes=shapes)
    with pytest.raises(ValueError, match="fits none of the shapes"):
        next(seen)


def test_a_second_training_compiles_nothing(potential, frames):
    settings = dict(steps=5, average=0.9)
    last(tlmlp.fit(potential, frames, **settings))
    step = train.make_step(TINY, 0.9)[1]
    compiled = step._cache_size()
    last(
        tlmlp.fit(
            potential,
            frames,
            seed=7,
            learning_rate=1e-4,
            weights=tlmlp.Weights(energy=1.0),
            **settings,
        )
    )
    assert step._cache_size() == compiled > 0


def test_loss_gradient_is_the_slope_of_the_loss(potential, frames):
    """Along one random direction, against a central difference, in double precision."""
    with jax.enable_x64(True):
        double = potential.replace(
            params=jax.tree.map(lambda w: np.asarray(w, np.float64), potential.params)
        )
        example = train._examples(double, frames[:2], 2, 3)[0]
        example = jax.tree.map(
            lambda x: np.asarray(x, np.float64) if x.dtype == np.float32 else x, example
        )
        value = jax.jit(
            lambda params: train.loss(TINY, tlmlp.Weights(1.0, 3.0, 0.5), params, *example)[0]
        )
        rng = np.random.default_rng(0)
        direction = jax.tree.map(lambda w: rng.normal(size=w.shape), double.params)
        moved = lambda h: jax.tree.map(lambda w, d: w + h * d, double.params, direction)
        slope = (value(moved(1e-5)) - value(moved(-1e-5))) / 2e-5
        gradient = jax.jit(jax.grad(value))(double.params)
        along = sum(
            np.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction))
        )
    assert along == pytest.approx(float(slope), rel=1e-5)


def test_bad_settings_and_bad_data(potential, frames):
    for bad, words in (
        (dict(steps=0), "steps"),
        (dict(batch_size=1.5), "batch_size"),
        (dict(learning_rate=0), "learning_rate"),
        (dict(average=1.0), "average"),
        (dict(weights=(0, 0, 0)), "weights"),
        (dict(weights=(1, -1, 0)), "weights"),
        (dict(anchor=-1.0), "anchor must be a number of at least 0"),
        (dict(anchor=float("nan")), "anchor must be a number of at least 0"),
    ):
        with pytest.raises(ValueError, match=words):
            next(tlmlp.fit(potential, frames, **bad))
    with pytest.raises(ValueError):
        next(tlmlp.fit(potential, []))
    silent = [bulk("Si", cubic=True)]
    with pytest.raises(ValueError):
        next(tlmlp.fit(potential, silent))
    no_stress = labelled(1)
    del no_stress[0].calc.results["stress"]
    with pytest.raises(ValueError, match="stress"):
        next(tlmlp.fit(potential, no_stress, final_weights=(1, 1, 1)))


def test_a_loss_that_is_no_number_stops_the_training(potential, frames):
    broken = potential.replace(
        params=jax.tree.map(lambda w: w * np.float32(np.nan), potential.params)
    )
    with pytest.raises(FloatingPointError, match="stopped being a number"):
        last(tlmlp.fit(broken, frames, steps=5))


def test_a_rare_element_gets_its_reference_energy():
    """9 of 127 frames hold one germanium atom, all at places that 64 evenly spread frames miss."""
    energies, frames = {"Ge": -57000.0, "Si": -7900.0}, []
    for i in range(127):
        atoms = bulk("Si", cubic=True)
        if i % 14 == 1:
            atoms.numbers[0] = 32
        energy = sum(energies[s] for s in atoms.get_chemical_symbols())
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((8, 3)))
        frames.append(atoms)
    tiny = tlmlp.Config("course", embed_size=4, n_blocks=1, n_spherical=2, cutoff=2.6)
    potential = tlmlp.Potential.create(tiny, ("Ge", "Si"))
    shifted = train.shift_reference(potential, frames)
    assert shifted.reference == pytest.approx((-57000, -7900), abs=5)
    assert shifted.evaluate(frames).energy_rmse < 100  # meV/atom, of the random network


def test_an_element_of_isolated_atoms_alone_is_not_trained_on(potential, frames):
    lone = bulk("Ge", cubic=True)[:1]
    lone.set_cell([20] * 3)
    lone.calc = SinglePointCalculator(lone, energy=-50.0, forces=np.zeros((1, 3)))
    trained = last(tlmlp.fit(potential, [*frames[:2], lone], steps=2)).potential
    assert trained.trained == ("Si",)
    with pytest.raises(ValueError, match="has never seen Ge"):
        trained.predict([bulk("Ge", cubic=True)])


def test_validation_on_an_element_that_is_not_trained_on_is_refused_at_once(potential, frames):
    germanium = frames[2].copy()
    germanium.symbols[:] = "Ge"
    germanium.calc = SinglePointCalculator(germanium, **frames[2].calc.results)
    with pytest.raises(ValueError, match="valid holds Ge, of which there is no structure"):
        next(tlmlp.fit(potential, frames[:2], [germanium], steps=2))


def test_a_stress_of_a_slab_is_none(potential, frames):
    slab = frames[0].copy()
    slab.pbc = (True, True, False)
    slab.calc = SinglePointCalculator(slab, **frames[0].calc.results)
    with pytest.raises(ValueError, match="carries a stress and is periodic in three directions"):
        next(tlmlp.fit(potential, [slab], final_weights=(1, 1, 1)))


def test_forces_that_constraints_hold_are_no_right_forces():
    """The error is that of the same structures without constraints."""
    potential = tlmlp.Potential.load("si-sw-course")
    frames, held = datasets.dft("Si", "test")[:3], datasets.dft("Si", "test")[:3]
    for atoms in held:
        atoms.set_constraint(FixAtoms(range(48)))
    assert potential.evaluate(held) == potential.evaluate(frames)


@pytest.mark.parametrize("changed", ["labels", "order", "validation", "start", "network", "frozen"])
def test_other_data_does_not_resume(potential, frames, tmp_path, changed):
    """A stopped training, a corrected file, the same command: the old weights went on."""
    file, settings = tmp_path / "a.checkpoint", dict(steps=20, validate_every=5, report_every=5)
    if changed == "frozen":
        settings |= dict(trainable=transfer.freeze(potential, "output_0"))
    wrong = {}
    for p in tlmlp.fit(potential, frames[:6], frames[6:9], checkpoint=file, **settings):
        if p.step == 10:
            break
    start, train, valid = potential, datasets.copies(frames[:6]), datasets.copies(frames[6:9])
    if changed == "labels":
        train[3].calc.results["forces"] *= -1
    elif changed == "order":
        train = train[::-1]
    elif changed == "validation":
        valid[0].calc.results["energy"] += 1e-3
    elif changed == "network":  # whose random weights are the same
        wider = replace(TINY, cutoff=TINY.cutoff + 0.5)
        start = potential.replace(config=wider)
    elif changed == "frozen":  # as many others
        wrong = dict(trainable=transfer.freeze(potential, "output_1"))
    else:
        start = tlmlp.Potential.create(TINY, ("Si", "Ge"), seed=1)
    words = dict(validation="validation data", start="starting weights", frozen="frozen weights")
    words |= dict(network="network or elements")
    words = words.get(changed, "training data")
    before = file.read_bytes()
    with pytest.raises(ValueError, match=f"belongs to a training with other {words}; name another"):
        next(tlmlp.fit(start, train, valid, checkpoint=file, **settings | wrong))
    assert file.read_bytes() == before
    resumed = last(tlmlp.fit(potential, frames[:6], frames[6:9], checkpoint=file, **settings))
    whole = last(tlmlp.fit(potential, frames[:6], frames[6:9], **settings))
    assert same(resumed.potential, whole.potential)


def test_rounding_is_no_other_start(potential, frames, tmp_path):
    """The same start, computed on another machine, differs in its last bits."""
    file, settings = tmp_path / "a.checkpoint", dict(steps=10, validate_every=5, report_every=5)
    next(tlmlp.fit(potential, frames[:4], checkpoint=file, **settings))
    nudge = lambda w: (w * np.float32(1 + 1e-6)).astype(np.float32)
    rounded = potential.replace(params=jax.tree.map(nudge, potential.params))
    assert next(tlmlp.fit(rounded, frames[:4], checkpoint=file, **settings)).step == 10


def test_broken_jax_is_refused(monkeypatch):
    """Versions that compute wrong numbers, which an environment of a user's own may hold."""
    from tlmlp import allocator

    monkeypatch.setattr(jax, "__version__", "0.10.2")
    with pytest.raises(RuntimeError, match=r"jax 0.10.2 computes wrong numbers .*install another"):
        allocator.prepare.__wrapped__()
