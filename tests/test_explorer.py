"""The explorer: two trainings race fairly, controls say the same thing, and what is shown is what was run."""

import json
import threading
import time

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from tlmlp.show.explorer import _sides, _summary, fitting

import tlmlp
from tlmlp import course, race, show, sweep, train
from tlmlp.show import curves

TINY = tlmlp.Config(
    "course", embed_size=8, n_blocks=2, n_spherical=2, out_size=8, n_dense_out=1, cutoff=3.2
)
GROUPS = ["embedding", "interaction_1", "interaction_2", "output_0", "output_1", "output_2"]
QUICK = dict(source="dft", n=5, steps=100)


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
    """Ten frames of each element and a network of a few hundred weights instead of the course's."""
    silicon = labelled("Si", 10)
    for last in tlmlp.fit(tlmlp.Potential.create(TINY), silicon, steps=40, shapes=1, average=0.9):
        pass
    path = tmp_path_factory.mktemp("weights") / "silicon.safetensors"
    last.potential.save(path)
    data = {
        "Si": (silicon, labelled("Si", 4, seed=1)),
        "Ge": (labelled("Ge", 10, 1.05, 0.9, 2), labelled("Ge", 4, 1.05, 0.9, 3)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "data", lambda source, element="Ge": data[element])
        patch.setattr(sweep, "SILICON", dict.fromkeys(sweep.SILICON, str(path)))
        race.frames.cache_clear()
        yield
    race.frames.cache_clear()


@pytest.fixture
def explorer():
    explorer = show.TransferExplorer(precomputed=[]).set(n=5, steps=100)
    yield explorer
    explorer.close()


@pytest.fixture(scope="module")
def laps():
    return list(race.race(race.pairs(seeds=2, frozen=["embedding", "interaction_1"], **QUICK)))


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


# -- the race ---------------------------------------------------------------------------------------------------------


def test_both_sides_take_the_same_steps_side_by_side(laps):
    assert [lap.done for lap in laps] == sorted(lap.done for lap in laps) and laps[-1].done == laps[
        -1
    ].total == 400
    at = [[row["curve"][-1][0] for row in lap.rows] for lap in laps if lap.rows]
    assert max(abs(a - b) for a, b in at) <= 10  # one point of the curve
    for row in laps[-1].rows:
        assert [point[0] for point in row["curve"]] == list(range(0, 101, 10))
        assert row["seed"] == 1 and row["force_mae"] == row["curve"][-1][1]


def test_the_last_point_is_the_error_of_the_potential(laps):
    _, test = sweep.data("dft")
    for name, row in zip(("transfer", "scratch"), laps[-1].rows):
        assert laps[-1].potentials[name].evaluate(test).force_mae == pytest.approx(
            row["force_mae"], abs=0.02
        )


def test_frozen_groups_moved_by_exactly_nothing(laps):
    transferred, scratch = laps[-1].rows
    assert {name for name, far in transferred["moved"].items() if far == 0} == {
        "embedding",
        "interaction_1",
    }
    assert min(scratch["moved"].values()) > 0  # random weights are never frozen


def test_seeds_differ_and_repeat(laps):
    first = next(lap.rows for lap in reversed(laps) if lap.rows and lap.rows[0]["seed"] == 0)
    assert first[0]["force_mae"] != laps[-1].rows[0]["force_mae"]
    *_, again = race.race(race.pairs(seeds=1, frozen=["embedding", "interaction_1"], **QUICK))
    assert (
        again.rows[0]["curve"] == first[0]["curve"] and again.rows[1]["curve"] == first[1]["curve"]
    )


def test_a_second_race_compiles_nothing(laps, monkeypatch):
    traced, loss = [], train.loss
    monkeypatch.setattr(train, "loss", lambda *a: traced.append(1) or loss(*a))
    other = QUICK | dict(n=10, steps=10, learning_rate=1e-3)
    assert not any(
        "compiling" in lap.stage
        for lap in race.race(race.pairs(frozen=["embedding", "interaction_1"], **other))
    )
    assert not traced


@pytest.mark.parametrize("start", ["transfer", "reduced"])
def test_nothing_is_forgotten_before_training(start):
    _, silicon = race.frames("dft")
    side = race._Side(race.pairs(start=start, **QUICK)[0][0], silicon)
    side.forgotten(silicon)
    before, after = side.silicon
    assert before > 10 and after == pytest.approx(before, abs=0.05)


# -- controls -----------------------------------------------------------------------------------------------------------


def test_slider_and_blocks_are_kept_in_step(explorer):
    explorer._depth.value = 2
    assert explorer.settings["frozen"] == GROUPS[:2]
    explorer._blocks["interaction_2"].value = True
    assert explorer._depth.value == 3
    explorer._blocks["output_2"].value = True  # not at the front: the slider stays
    assert explorer._depth.value == 3 and explorer.settings["frozen"] == [*GROUPS[:3], "output_2"]
    explorer._blocks["embedding"].value = False
    assert explorer._depth.value == 0 and explorer.settings["frozen"] == [
        "interaction_1",
        "interaction_2",
        "output_2",
    ]
    explorer._depth.value = 1
    assert explorer.settings["frozen"] == ["embedding"]
    size = tlmlp.transfer.sizes(tlmlp.Potential.load(sweep.SILICON["dft"]))["embedding"]
    assert (
        f"{size} of" in explorer._map_words.value
        and "frozen" in explorer._blocks["embedding"].description
    )


def test_one_group_stays_free(explorer):
    explorer._depth.value = 5
    explorer._blocks["output_2"].value = True
    assert explorer.settings["frozen"] == GROUPS[:5] and "must stay free" in explorer.status.value


@pytest.mark.parametrize("wrong, sentence", [
    (dict(n=7), "n must be one of 5, 10, 20, 50, 100, 0, not 7"),
    (dict(depth=2), "no control 'depth'; there are frozen, source"),
    (dict(frozen=["head"]), "no group 'head'; there are embedding"),
    (dict(frozen=GROUPS), "every group is frozen"),
])  # fmt: skip
def test_a_setting_that_is_none_is_one_sentence(explorer, wrong, sentence):
    before = explorer.settings
    with pytest.raises(ValueError, match=sentence):
        explorer.set(**wrong)
    assert explorer.settings == before
    with pytest.raises(ValueError, match="source must be one of dft, stillinger-weber"):
        show.TransferExplorer("dft9")


def test_every_control_changes_the_run(explorer):
    others = dict(
        source="stillinger-weber",
        n=10,
        start="reduced",
        frozen=["output_0"],
        learning_rate=1e-3,
        steps=200,
        seeds=2,
    )
    assert set(others) == set(explorer.settings)
    runs = lambda: race.pairs(**explorer.settings)
    for name, value in others.items():
        before = runs()
        explorer.set(**{name: value})
        assert runs() != before, name


# -- runs -----------------------------------------------------------------------------------------------------------------


def test_a_run_from_press_to_table(explorer, tmp_path):
    empty = bytes(explorer._picture.value)
    explorer._depth.value = 1
    explorer._train.click()
    explorer.wait(120)
    until(lambda: "Done in" in explorer.status.value)
    (run,) = explorer.runs
    assert [row["method"] for row in run["rows"]] == ["transfer", "scratch"] and run[
        "rows"
    ] == explorer.rows
    assert set(explorer.potentials) == {"transfer", "scratch"}
    assert (
        bytes(explorer._picture.value) != empty and explorer._bar.value == explorer._bar.max == 200
    )
    assert "moved 0" in explorer._blocks["embedding"].description
    assert "%" in explorer._blocks["output_2"].description
    mae, silicon = run["rows"][0]["force_mae"], run["rows"][0]["silicon_force_mae"]
    assert (
        f"transfer {mae:.0f}, scratch" in explorer.status.value
        and f"to {silicon:.0f} meV/Å" in explorer.status.value
    )
    assert (
        f"<b>{mae:.0f}</b>" in explorer._table.value
        and 'class="other"' not in explorer._table.value
    )

    # a control moves: the result is marked, and no longer is when it moves back
    assert not explorer.stale
    fresh = bytes(explorer._picture.value)
    explorer._n.value = 10
    assert (
        explorer.stale
        and bytes(explorer._picture.value) != fresh
        and 'class="other"' in explorer._table.value
    )
    assert "moved" not in explorer._blocks["output_2"].description
    explorer._n.value = 5
    assert not explorer.stale

    path = tmp_path / "runs.json"
    assert "1 run saved" in explorer.save(path)
    other = show.TransferExplorer(precomputed=[])
    assert "1 run read" in other.load(path) and "0 runs read" in other.load(path)
    assert (
        other.runs == json.loads(json.dumps(explorer.runs))
        and f"<b>{mae:.0f}</b>" in other._table.value
    )
    assert not other.rows or other.rows == explorer.rows
    (tmp_path / "bad.json").write_text('{"runs": [{}]}')
    with pytest.raises(ValueError, match="bad.json does not hold runs"):
        other.load(tmp_path / "bad.json")
    other._file.value = str(tmp_path / "none.json")
    other._load.click()
    assert "there is no file" in other.status.value

    explorer.reset()
    assert (
        explorer.runs == [] and explorer.settings["frozen"] == [] and explorer.settings["n"] == 10
    )
    with pytest.raises(ValueError, match="no run to save"):
        explorer.save(path)


def test_stop_answers_within_a_second_and_keeps_what_there_is(explorer):
    explorer.set(steps=1600, seeds=5)
    explorer._train.click()
    until(lambda: explorer.rows and explorer.rows[0]["curve"][-1][0] > 0)
    explorer._stop.click()
    until(lambda: not explorer.alive, 1)
    until(lambda: "Stopped." in explorer.status.value, 3)
    assert 0 < explorer.rows[0]["curve"][-1][0] < 1600 and set(explorer.potentials) == {
        "transfer",
        "scratch",
    }
    assert explorer._stop.disabled and not explorer._train.disabled
    assert " of 1600" in explorer._table.value


def test_closing_ends_the_thread(explorer):
    explorer.set(steps=1600).start()
    until(lambda: explorer.potentials)
    explorer.close()
    until(lambda: not explorer.alive, 1)
    until(
        lambda: (
            not any(t.name == "TransferExplorer" and t.is_alive() for t in threading.enumerate())
        ),
        1,
    )


def test_a_failure_is_shown_in_words(explorer, monkeypatch):
    def broken(*_, **__):
        raise FloatingPointError("the loss stopped being a number")
        yield

    monkeypatch.setattr(race, "fit", broken)
    explorer.start()
    until(lambda: "stopped being a number" in explorer.status.value)
    assert "ended with an error" in explorer.status.value and not explorer._train.disabled


def test_result_trains_a_little_where_nobody_pressed_train(explorer, capsys):
    explorer.set(steps=400)
    assert set(explorer.result(steps=100)) == {"transfer", "scratch"}
    assert explorer.rows[0]["steps"] == 100 and explorer.settings["steps"] == 400
    assert "Nobody pressed Train" in capsys.readouterr().out
    assert explorer.result() == explorer.potentials


def test_a_seed_under_way_does_not_count_in_the_mean():
    ours = [r for r in rows(2) if r["method"] != "reduced"]
    begun = [r | dict(curve=r["curve"][:1], force_mae=300.0) if r["seed"] == 1 else r for r in ours]
    assert [[r["seed"] for r in side] for side in _sides(begun)] == [[0], [0]]
    assert "transfer 60, scratch 90" in _summary(
        begun
    ) and "transfer 60 ± 1, scratch 90 ± 1" in _summary(ours)


def test_programs_are_given_up_where_memory_runs_short(explorer, monkeypatch):
    forgotten, forget = [], race.forget_programs
    monkeypatch.setattr(race, "forget_programs", lambda: forgotten.append(1) or forget())
    explorer.start().wait(60)
    assert forgotten == []
    monkeypatch.setattr("tlmlp.show.explorer.memory_limit", lambda: 0.1)  # GB
    explorer.start().wait(60)
    assert forgotten == [1]


# -- curves ---------------------------------------------------------------------------------------------------------------


def rows(seeds=3, **changes):
    out = []
    for seed in range(seeds):
        for method, mae in (("transfer", 60.0), ("reduced", 50.0), ("scratch", 90.0)):
            row = sweep.run(method=method, seed=seed, **changes)
            final = mae + seed
            out.append(
                row | dict(force_mae=final, curve=[[0, 300.0, 1, 1], [row["steps"], final, 1, 1]])
            )
    return out


def test_precomputed_rows_belong_to_the_settings():
    every = (
        rows()
        + rows(n=50)
        + rows(steps=100)
        + rows(source="stillinger-weber")
        + rows(validation=0.2)
    )
    settings = dict(
        source="dft", n=10, start="reduced", frozen=[], learning_rate=2e-3, steps=400, seeds=1
    )
    found = fitting(every, settings)
    assert {r["method"] for r in found} == {"reduced", "scratch"} and len(found) == 6
    assert {r["steps"] for r in found} == {100}  # the closest there is
    assert {r["steps"] for r in fitting(every, settings | dict(steps=800))} == {800}
    assert {r["method"] for r in fitting(every, settings | dict(frozen=["embedding"]))} == {
        "scratch"
    }
    assert fitting([], settings) == []


# -- exercise -------------------------------------------------------------------------------------------------------------


