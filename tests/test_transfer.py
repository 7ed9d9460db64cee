"""Transfer: what is copied, what stays frozen, and that other units are only other units."""

import jax
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

import tlmlp
from tlmlp import forces, repulsion, transfer

TINY = tlmlp.Config("course", embed_size=8, n_blocks=2, n_spherical=2, n_dense_out=1, cutoff=3.0)


def like_germanium(source, n, length=1.06, energy=0.9):
    """Rattled crystals of a germanium that is `source`'s silicon in other units, 2 eV lower."""
    frames = []
    for seed in range(n):
        silicon = bulk("Si", "diamond", a=5.43, cubic=True)
        silicon.rattle(0.15, seed=seed)
        silicon.calc = source.calculator()
        atoms = bulk("Ge", "diamond", a=5.43 * length, cubic=True)
        atoms.positions = silicon.positions * length
        results = dict(
            energy=energy * silicon.get_potential_energy() - 16,
            forces=silicon.get_forces() * energy / length,
        )
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def source():
    return tlmlp.Potential.load("si-sw-course")


@pytest.fixture(scope="module")
def germanium(source):
    return like_germanium(source, 4)


@pytest.fixture(scope="module")
def tiny():
    return tlmlp.Potential.create(TINY).replace(trained=("Si",), core=1.5)


def test_replay_takes_half_of_the_steps(germanium):
    """The smaller set is repeated, whichever it is; without old structures nothing changes."""
    old = germanium[:1] * 2
    for train in (germanium[1:], germanium[1:2]):
        both = transfer.with_replay(train, old)
        olds = sum(atoms is germanium[0] for atoms in both)
        assert abs(olds - len(both) / 2) <= 1 and all(any(a is b for b in both) for a in train)
    assert transfer.with_replay(germanium, []) == germanium
    with pytest.raises(ValueError):
        transfer.with_replay([], old)


def test_an_element_that_the_source_has_no_row_for_gets_one(source, germanium):
    """The row is a copy of silicon's, so tin's forces are first those of silicon."""
    tin = []
    for atoms in germanium:
        same = atoms.copy()
        same.symbols[:] = "Sn"
        same.calc = SinglePointCalculator(same, **atoms.calc.results)
        tin.append(same)
    copied = transfer.start(source, "Sn", tin)
    assert copied.elements == ("Si", "Ge", "Sn") and copied.trained == ("Si", "Sn")
    assert len(copied.reference) == 3 and copied.reference[:2] == source.reference
    as_germanium = transfer.start(source, "Ge", germanium)
    (ours,), (known,) = copied.predict(tin[:1]), as_germanium.predict(germanium[:1])
    assert np.array_equal(ours.get_forces(), known.get_forces())
    assert ours.get_potential_energy() == pytest.approx(known.get_potential_energy())
    *_, last = tlmlp.fit(copied, tin, steps=2)
    assert last.potential.trained == ("Si", "Sn")
    reduced = transfer.start(source, "Sn", tin, reduced_units=True)
    assert reduced.trained == ("Sn",)


def test_a_start_for_smaller_atoms_lets_them_come_close(source, germanium):
    """Silicon's nuclei repel below 1.78 Å; bonds of carbon have 1.54 Å."""
    diamond = bulk("C", "diamond", a=3.57, cubic=True)
    diamond.rattle(0.02, seed=0)
    results = {key: germanium[0].calc.results[key] for key in ("energy", "forces")}
    diamond.calc = SinglePointCalculator(diamond, **results)
    assert transfer.start(source, "C", [diamond]).core < 1.5 < source.core


def test_training_on_large_atoms_lets_smaller_ones_stay_close(source, germanium):
    """A repulsion that begins below 1.9 Å would push carbon's bonds of 1.54 Å apart."""
    carbon = source.replace(core=1.2)
    *_, last = tlmlp.fit(transfer.start(carbon, "Ge", germanium), germanium, steps=2)
    assert last.potential.core == 1.2 and last.potential.trained == ("Si", "Ge")
    *_, alone = tlmlp.fit(source.replace(trained=(), core=0.0), germanium, steps=2)
    assert alone.potential.core > 1.7


def test_in_other_units_the_repulsion_begins_below_all_distances(source, germanium):
    core = repulsion.core_of(germanium, source.config.cutoff * 1.2)
    stretched = transfer.start(source, "Ge", germanium, True, 1.2)
    assert stretched.core == pytest.approx(core) and source.core * 1.2 > core


def test_isolated_atoms_alone_are_no_structures_of_an_element(source, germanium):
    atom, silicon = germanium[0][:1], germanium[0].copy()
    atom.set_cell([20] * 3)
    atom.calc = SinglePointCalculator(atom, energy=-3.0, forces=np.zeros((1, 3)))
    silicon.symbols[:] = "Si"
    silicon.calc = SinglePointCalculator(silicon, **germanium[0].calc.results)
    with pytest.raises(ValueError, match="the training frames must hold Ge"):
        transfer.start(source, "Ge", [silicon, atom])


def test_a_row_that_the_source_has_trained_stays(germanium):
    both = tlmlp.Potential.load("sige-dft-course")
    rows = lambda potential: potential.params["dimenet/embedding"]["elements"]
    assert np.array_equal(rows(transfer.start(both, "Ge", germanium)), rows(both))
    assert not np.array_equal(*rows(both)[:2])


def test_groups_hold_every_weight_once(source):
    names = transfer.groups(source)
    assert names == [
        "embedding",
        "interaction_1",
        "interaction_2",
        "output_0",
        "output_1",
        "output_2",
    ]
    sizes = transfer.sizes(source)
    assert (
        list(sizes) == names and sum(sizes.values()) == source.n_weights and min(sizes.values()) > 0
    )


def test_copied_weights_say_of_germanium_what_they_said_of_silicon(source, germanium):
    copied = transfer.start(source, "Ge", germanium)
    assert copied.trained == ("Si", "Ge") and copied.core == source.core
    ge, si = germanium[0].copy(), germanium[0].copy()
    si.symbols = "Si8"
    ge.calc, si.calc = copied.calculator(), source.calculator()
    np.testing.assert_allclose(ge.get_forces(), si.get_forces(), atol=1e-5)
    # reference energies: germanium's is fitted to the frames, silicon's is as it was
    assert copied.reference[0] == source.reference[0]
    errors = [
        a.get_potential_energy() - b.get_potential_energy()
        for a, b in zip(copied.predict(germanium), germanium)
    ]
    assert np.mean(errors) == pytest.approx(0, abs=1e-4)
    # and silicon is not forgotten
    si.calc = copied.calculator()
    assert si.get_potential_energy() == pytest.approx(
        source.predict([si])[0].get_potential_energy(), abs=1e-5
    )


def test_reduced_units_find_the_units(source, germanium):
    reduced = transfer.start(source, "Ge", germanium, reduced_units=True, lattice_ratio=1.06)
    assert reduced.info["transfer"]["energy"] == pytest.approx(0.9, rel=1e-4)
    errors, copied = (
        reduced.evaluate(germanium),
        transfer.start(source, "Ge", germanium).evaluate(germanium),
    )
    assert errors.force_rmse < 0.2 and errors.energy_rmse < 0.1  # float32 of forces of eV/Å, in meV
    assert copied.force_rmse > 100  # so the agreement above means something
    assert reduced.trained == ("Ge",)


def test_ratio_of_lattice_constants_needs_no_help(source, germanium):
    assert transfer.lattice_ratio_of(source, germanium) == pytest.approx(1.06, rel=1e-3)
    reduced = transfer.start(source, "Ge", germanium, reduced_units=True)
    assert reduced.info["transfer"]["length"] == pytest.approx(1.06, rel=1e-3)


def test_other_units_are_exact_and_can_be_undone(source):
    atoms = bulk("Si", "diamond", a=5.5, cubic=True)
    atoms.rattle(0.1, seed=1)
    scaled = atoms.copy()
    scaled.set_cell(1.07 * atoms.cell, scale_atoms=True)
    other = transfer.rescale(source, 1.07, 0.8)
    atoms.calc, scaled.calc = source.calculator("float64"), other.calculator("float64")
    assert scaled.get_potential_energy() == pytest.approx(
        0.8 * atoms.get_potential_energy(), rel=1e-6
    )
    np.testing.assert_allclose(scaled.get_forces(), atoms.get_forces() * 0.8 / 1.07, atol=2e-6)
    np.testing.assert_allclose(scaled.get_stress(), atoms.get_stress() * 0.8 / 1.07**3, atol=1e-8)
    back = transfer.rescale(other, 1 / 1.07, 1 / 0.8)
    assert back.config.cutoff == pytest.approx(source.config.cutoff)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), back.params, source.params
    )


@pytest.mark.parametrize(
    "frozen", [("embedding", "interaction_1"), ("output_0", "output_1", "output_2")]
)
def test_frozen_groups_do_not_move_at_all_and_others_do(tiny, germanium, frozen):
    begun = transfer.start(tiny, "Ge", germanium)
    mask = transfer.freeze(begun, frozen)
    assert sum(
        w.size for m, ws in begun.params.items() for n, w in ws.items() if not mask[m][n]
    ) == sum(size for name, size in transfer.sizes(begun).items() if name in frozen)
    *_, last = tlmlp.fit(begun, germanium, steps=5, trainable=mask)
    for name, distance in transfer.moved(begun, last.potential).items():
        assert (distance == 0) == (name in frozen), name
    for module, weights in begun.params.items():
        if transfer.group_of(module) in frozen:
            jax.tree.map(np.testing.assert_array_equal, weights, last.potential.params[module])


def test_no_gradient_is_taken_of_frozen_weights(tiny, germanium):
    """The state of a training holds gradients' moments of what is trained, and nothing else."""
    import haiku as hk

    from tlmlp.train import make_step

    mask = transfer.freeze(tiny, "embedding")
    trainable, frozen = hk.data_structures.partition(
        lambda module, name, _: mask[module][name], tiny.params
    )
    assert {transfer.group_of(m) for m in frozen} == {"embedding"}
    state, unravel = make_step(TINY, 0.9)[0](trainable)
    assert set(unravel(state.adam.mu)) == set(
        trainable
    ) and state.adam.mu.size == hk.data_structures.tree_size(trainable)


def test_another_part_of_the_same_data_compiles_nothing(tiny, source):
    frames = like_germanium(source, 6)
    shapes = tlmlp.graph.shapes_of(frames, tiny.elements, TINY.cutoff)
    from tlmlp.train import make_step

    step = make_step(TINY, 0.995)[1]
    for _ in tlmlp.fit(tiny, frames[:4], frames[4:], steps=2, shapes=shapes):
        pass
    compiled = step._cache_size(), forces.predict._cache_size()
    for _ in tlmlp.fit(tiny, frames[3:], frames[:2], steps=2, shapes=shapes):
        pass
    assert (step._cache_size(), forces.predict._cache_size()) == compiled


@pytest.mark.parametrize(
    "call, sentence",
    [
        (
            lambda p, ge: transfer.freeze(p, ["interaction_9"]),
            "no group 'interaction_9'; there are embedding, ",
        ),
        (
            lambda p, ge: transfer.freeze(p, transfer.groups(p)),
            "every group is frozen; leave at least one",
        ),
        (lambda p, ge: transfer.start(p, "Sn", ge), "training frames must hold Sn"),
        (
            lambda p, ge: transfer.start(tlmlp.Potential.create(TINY), "Ge", ge),
            "never been trained",
        ),
        (lambda p, ge: transfer.start(p, "Ge", [bulk("Ge")]), "frame 0 has no 'energy'"),
        (lambda p, ge: transfer.start(p, "Si", ge), "training frames must hold Si"),
        (
            lambda p, ge: transfer.start(p, "Ge", ge, lattice_ratio=1.1),
            "go with reduced_units=True",
        ),
        (lambda p, ge: transfer.start(p, "Ge", ge, True, -1.0), "positive number"),
        (lambda p, ge: transfer.rescale(p, 0.0, 1.0), "length must be a positive"),
        (lambda p, ge: transfer.moved(p, tlmlp.Potential.create("course")), "different shapes"),
        (lambda p, ge: p.evaluate(ge, [(2, 4)]), "fits none of the shapes"),
        (
            lambda p, ge: tlmlp.datasets.subset(ge, 5),
            "5 frames were asked for, but there are only 4",
        ),
    ],
)
def test_bad_input_is_one_sentence(tiny, germanium, call, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        call(tiny.replace(trained=("Si", "Ge")) if "shapes" in sentence else tiny, germanium)
    assert "\n" not in str(error.value)
