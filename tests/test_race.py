"""The race: two trainings side by side, on the same structures for the same number of steps."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

import tlmlp
from tlmlp import train
from tlmlp.course import race, runs, sources

TINY = tlmlp.Config(
    "course", embed_size=8, n_blocks=2, n_spherical=2, out_size=8, n_dense_out=1, cutoff=3.2
)
QUICK = dict(source="dft", n=5, steps=100)
FROZEN = ["embedding", "interaction_1"]


def labelled(element, n, length=1.0, energy=1.0, seed=0):
    """Rattled crystals with Lennard-Jones labels; germanium is silicon in other units."""
    frames = []
    for i in range(n):
        atoms = bulk(element, "diamond", a=5.43 * length, cubic=True)
        atoms.rattle(0.12 * length, seed=100 * seed + i)
        atoms.calc = LennardJones(sigma=2.1 * length, epsilon=energy, rc=3.0 * length, smooth=True)
        labels = dict(
            energy=atoms.get_potential_energy(),
            forces=atoms.get_forces(),
            stress=atoms.get_stress(),
        )
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info |= dict(group="MD", phase="crystal", temperature=300.0)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module", autouse=True)
def small_world(tmp_path_factory):
    """Ten frames of each element and a network of a few hundred weights, not the course's."""
    silicon = labelled("Si", 10)
    start = tlmlp.Potential.create(TINY)
    *_, last = tlmlp.fit(start, silicon, steps=40, shapes=1, average=0.9)
    path = tmp_path_factory.mktemp("weights") / "silicon.safetensors"
    last.potential.save(path)
    data = {
        "Si": (silicon, labelled("Si", 4, seed=1)),
        "Ge": (labelled("Ge", 10, 1.05, 0.9, 2), labelled("Ge", 4, 1.05, 0.9, 3)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "data", lambda source, element="Ge": data[element])
        for name, source in sources.SOURCES.items():
            patch.setitem(sources.SOURCES, name, source._replace(silicon=str(path)))
        runs.padded_shapes.cache_clear()
        yield
    runs.padded_shapes.cache_clear()


@pytest.fixture(scope="module")
def laps():
    return list(race.laps(race.pairs(seeds=2, frozen=FROZEN, **QUICK)))


def test_both_sides_take_the_same_steps_side_by_side(laps):
    done = [lap.done for lap in laps]
    assert done == sorted(done) and done[-1] == 400 and {lap.total for lap in laps} == {400}
    at = [[row["curve"][-1][0] for row in lap.rows] for lap in laps if lap.rows]
    assert max(abs(a - b) for a, b in at) <= 10  # one point of the curve
    for row in laps[-1].rows:
        assert [point[0] for point in row["curve"]] == list(range(0, 101, 10))
        assert row["seed"] == 1 and row["force_mae"] == row["curve"][-1][1]


def test_the_last_point_is_the_error_of_the_potential(laps):
    _, test = sources.data("dft")
    for name, row in zip(("transfer", "scratch"), laps[-1].rows):
        found = laps[-1].potentials[name].evaluate(test).force_mae
        assert found == pytest.approx(row["force_mae"], abs=0.02)


def test_frozen_groups_moved_by_exactly_nothing(laps):
    transferred, scratch = laps[-1].rows
    assert {name for name, far in transferred["moved"].items() if far == 0} == set(FROZEN)
    assert min(scratch["moved"].values()) > 0  # random weights are never frozen


def test_seeds_differ_and_repeat(laps):
    first = next(lap.rows for lap in reversed(laps) if lap.rows and lap.rows[0]["seed"] == 0)
    assert first[0]["force_mae"] != laps[-1].rows[0]["force_mae"]
    *_, again = race.laps(race.pairs(seeds=1, frozen=FROZEN, **QUICK))
    for one, other in zip(first, again.rows):
        assert one["curve"] == other["curve"]


def test_a_second_race_compiles_nothing(laps, monkeypatch):
    traced, loss = [], train.loss
    monkeypatch.setattr(train, "loss", lambda *a: traced.append(1) or loss(*a))
    other = QUICK | dict(n=10, steps=10, learning_rate=1e-3)
    stages = [lap.stage for lap in race.laps(race.pairs(frozen=FROZEN, **other))]
    assert not traced and not any("compiling" in stage for stage in stages)


def test_programs_that_were_given_up_are_compiled_again(laps):
    race.forget_programs()
    stages = [lap.stage for lap in race.laps(race.pairs(**QUICK | dict(steps=4)))]
    assert sum("compiling" in stage for stage in stages) == 1  # both sides share one program


@pytest.mark.parametrize("start", ["transfer", "reduced"])
def test_silicon_errors_are_the_same_before_training(start):
    """With no steps, a potential in germanium's units is silicon's again when it is taken back."""
    *_, last = race.laps(race.pairs(start=start, **QUICK | dict(steps=0)))
    row, _ = last.rows
    before, after = row["silicon_before"], row["silicon_force_mae"]
    assert before > 10 and after == pytest.approx(before, abs=0.05)
    assert np.isfinite(row["force_mae"]) and row["step_ms"] is None
