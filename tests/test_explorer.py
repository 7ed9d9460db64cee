"""The explorer: controls say the same thing, and what is shown is what was run."""

import json
import threading

import pytest
from conftest import until
from test_race import small_world  # noqa: F401  a fixture

import tlmlp
from tlmlp import show
from tlmlp.course import race
from tlmlp.course.runs import Run
from tlmlp.course.sources import SOURCES
from tlmlp.show.widgets import explorer as explorer_module
from tlmlp.show.widgets.explorer import fitting
from tlmlp.show.widgets.explorer_table import sides, summary

GROUPS = ["embedding", "interaction_1", "interaction_2", "output_0", "output_1", "output_2"]


@pytest.fixture
def explorer():
    explorer = show.TransferExplorer(precomputed=[]).set(n=5, steps=100)
    yield explorer
    explorer.close()


def test_slider_and_blocks_are_kept_in_step(explorer):
    explorer.depth.value = 2
    assert explorer.settings["frozen"] == GROUPS[:2]
    explorer.blocks["interaction_2"].value = True
    assert explorer.depth.value == 3
    explorer.blocks["output_2"].value = True  # not at the front: the slider stays
    assert explorer.depth.value == 3 and explorer.settings["frozen"] == [*GROUPS[:3], "output_2"]
    explorer.blocks["embedding"].value = False
    assert explorer.depth.value == 0 and explorer.settings["frozen"] == [
        "interaction_1",
        "interaction_2",
        "output_2",
    ]
    explorer.depth.value = 1
    assert explorer.settings["frozen"] == ["embedding"]
    size = tlmlp.transfer.sizes(tlmlp.Potential.load(SOURCES["dft"].silicon))["embedding"]
    assert f"{size} of" in explorer.map_words.value
    assert "frozen" in explorer.blocks["embedding"].description


def test_one_group_stays_free(explorer):
    explorer.depth.value = 5
    explorer.blocks["output_2"].value = True
    assert explorer.settings["frozen"] == GROUPS[:5] and "must stay free" in explorer.status.value


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        (dict(n=7), "n must be one of 5, 10, 20, 50, 100, 0, not 7"),
        (dict(depth=2), "no control 'depth'; there are frozen, source"),
        (dict(frozen=["head"]), "no group 'head'; there are embedding"),
        (dict(frozen=GROUPS), "every group is frozen"),
    ],
)
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
        replay=50,
        start="reduced",
        frozen=["output_0"],
        learning_rate=1e-3,
        steps=200,
        seeds=2,
        taylor=1.2,
    )
    assert set(others) == set(explorer.settings)
    runs = lambda: race.pairs(**explorer.settings)
    for name, value in others.items():
        before = runs()
        explorer.set(**{name: value})
        assert runs() != before, name
    assert explorer.settings["replay"] == 0 and explorer.controls["replay"].disabled
    explorer.set(start="transfer", replay=10)
    carried, scratch = runs()[0]
    assert (carried.replay, scratch.replay) == (10, 0)


def test_a_run_from_press_to_table(explorer, tmp_path):
    empty = bytes(explorer.picture.value)
    explorer.depth.value = 1
    explorer.start_button.click()
    explorer.wait(240)
    until(lambda: "Done in" in explorer.status.value)
    (run,) = explorer.runs
    assert [row["method"] for row in run["rows"]] == ["transfer", "scratch"]
    assert run["rows"] == explorer.rows
    assert set(explorer.potentials) == {"transfer", "scratch"}
    assert bytes(explorer.picture.value) != empty and explorer.bar.value == explorer.bar.max == 200
    assert "moved 0" in explorer.blocks["embedding"].description
    assert "%" in explorer.blocks["output_2"].description
    mae, silicon = run["rows"][0]["force_mae"], run["rows"][0]["silicon_force_mae"]
    assert (
        f"transfer {mae:.0f}, scratch" in explorer.status.value
        and f"to {silicon:.0f} meV/Å" in explorer.status.value
    )
    assert (
        f"<b>{mae:.0f}</b>" in explorer.table.value and 'class="other"' not in explorer.table.value
    )

    # a control moves: the result is marked, and no longer is when it moves back
    assert not explorer.stale
    fresh = bytes(explorer.picture.value)
    explorer.controls["n"].value = 10
    assert explorer.stale
    until(lambda: 'class="other"' in explorer.table.value)
    until(lambda: bytes(explorer.picture.value) != fresh)
    assert "moved" not in explorer.blocks["output_2"].description
    explorer.controls["n"].value = 5
    assert not explorer.stale

    path = tmp_path / "runs.json"
    assert "1 run saved" in explorer.save(path)
    other = show.TransferExplorer(precomputed=[])
    other.reset()  # it has taken over the run
    assert "1 run read" in other.load(path) and "0 runs read" in other.load(path)
    assert (
        other.runs == json.loads(json.dumps(explorer.runs))
        and f"<b>{mae:.0f}</b>" in other.table.value
    )
    assert not other.rows or other.rows == explorer.rows
    mine, elsewhere = explorer.runs, tmp_path / "elsewhere.json"
    explorer.runs = [run | dict(rows=[run["rows"][0] | dict(seconds=1.5)]) for run in mine]
    with pytest.raises(ValueError, match="holds 1 runs that are not here and would be lost"):
        explorer.save(path)  # of another session
    assert "1 run saved" in explorer.save(elsewhere)
    explorer.runs = mine
    (tmp_path / "bad.json").write_text('{"runs": [{}]}')
    with pytest.raises(ValueError, match="bad.json does not hold runs"):
        other.load(tmp_path / "bad.json")
    other.file.value = str(tmp_path / "none.json")
    other.load_button.click()
    assert "there is no file" in other.status.value
    other.close()

    explorer.reset()
    assert (
        explorer.runs == [] and explorer.settings["frozen"] == [] and explorer.settings["n"] == 10
    )
    with pytest.raises(ValueError, match="no run to save"):
        explorer.save(path)


def test_precomputed_curves_wait_for_the_end_of_an_own_run(explorer, monkeypatch):
    """They answer no question before the learner's own run of the same settings."""
    drawn, draw = [], explorer_module.learning.race
    seen = lambda *args: drawn.append(args) or draw(*args)
    monkeypatch.setattr(explorer_module.learning, "race", seen)
    explorer.precomputed = rows(n=5) + rows(n=10)
    explorer.set(n=10).set(n=5)
    until(lambda: drawn)
    assert not any(known for _, _, known, *_ in drawn)
    explorer.start().wait(240)
    until(lambda: drawn[-1][2])
    assert {row["n"] for row in drawn[-1][2]} == {5}
    assert not any(known for own, _, known, *_ in drawn if own and own[0]["curve"][-1][0] < 100)
    explorer.controls["n"].value = 10
    until(lambda: not drawn[-1][2])


def test_a_run_under_way_shows_its_own_settings_until_it_ends(explorer, monkeypatch):
    drawn, draw, held, laps = [], explorer_module.learning.race, threading.Event(), race.laps
    seen = lambda *args: drawn.append(args) or draw(*args)
    monkeypatch.setattr(explorer_module.learning, "race", seen)

    def waits(pairs):
        for lap in laps(pairs):
            yield lap
            if lap.done > 4:
                assert held.wait(120)

    monkeypatch.setattr(race, "laps", waits)
    explorer.precomputed = rows(n=5) + rows(n=10)
    explorer.start()
    until(lambda: drawn and drawn[-1][0] and explorer.run.latest.done > 4)
    assert "press Train" not in explorer.status.value
    explorer.set(n=10, steps=800)
    explorer.blocks["embedding"].value = True
    until(lambda: "for the next one" in explorer.status.value)
    current, _, known, stale, empty, steps = drawn[-1]
    assert (known, stale, steps) == ([], "", 100) and "press" not in empty and current
    words = "This training has 5 DFT structures, transfer, nothing frozen, rate 0.002, 100 steps"
    assert words in explorer.status.value
    assert "step 2 of 100:" in explorer.time.value  # of each side, not 5 of 200 of both
    assert 'class="other"' not in explorer.table.value
    until(lambda: "frozen" in explorer.blocks["embedding"].description)
    held.set()
    explorer.wait(240)
    until(lambda: drawn[-1][3] == explorer_module.STALE and drawn[-1][5] == 800)
    assert 'class="other"' in explorer.table.value and not explorer.start_button.disabled


def test_stop_keeps_what_there_is(explorer):
    explorer.set(steps=1600, seeds=5)
    explorer.start_button.click()
    until(lambda: explorer.rows and explorer.rows[0]["curve"][-1][0] > 0)
    explorer.stop_button.click()
    until(lambda: not explorer.alive)
    until(lambda: "Stopped." in explorer.status.value)
    assert 0 < explorer.rows[0]["curve"][-1][0] < 1600 and set(explorer.potentials) == {
        "transfer",
        "scratch",
    }
    assert explorer.stop_button.disabled and not explorer.start_button.disabled
    assert " of 1600" in explorer.table.value


def test_the_cell_run_twice_loses_nothing(explorer):
    """The new explorer stops the training of the old one and has its runs and its weights."""
    explorer.set(steps=1600, seeds=5).start()
    until(lambda: explorer.potentials)
    second = show.TransferExplorer(precomputed=[])
    until(lambda: not explorer.alive)
    until(lambda: "another explorer was started" in explorer.status.value)
    assert second.runs == explorer.runs and " of 1600" in second.table.value
    assert "explorer before, which has stopped: 1 run." in second.status.value
    assert second.result() == explorer.potentials  # nothing is trained anew
    third = show.TransferExplorer(precomputed=[])
    assert third.runs == explorer.runs  # once, not once from each
    third.reset()
    fourth = show.TransferExplorer(precomputed=[])
    assert fourth.runs == [] and len(second.runs) == 1
    for other in (second, third, fourth):
        other.close()


def test_reset_while_it_trains_does_not_end_as_stopped(explorer, monkeypatch):
    """Pressed in the middle of a training, and just when one begins."""
    explorer.set(steps=1600).start()
    until(lambda: explorer.potentials)
    explorer.reset()
    until(lambda: not any(thread.is_alive() for thread in explorer.run.threads))
    assert "All runs are forgotten" in explorer.status.value and explorer.bar.bar_style == ""
    logger = explorer_module.pooch.get_logger
    monkeypatch.setattr(explorer_module.pooch, "get_logger", lambda: explorer.reset() or logger())
    explorer.start()
    until(lambda: not any(thread.is_alive() for thread in explorer.run.threads))
    assert "All runs are forgotten" in explorer.status.value and explorer.runs == []
    monkeypatch.undo()


def test_closing_ends_the_thread(explorer):
    explorer.set(steps=1600).start()
    until(lambda: explorer.potentials)
    explorer.close()
    until(lambda: not explorer.alive)
    until(lambda: not any(thread.is_alive() for thread in explorer.run.threads))


def test_a_failure_is_shown_in_words(explorer, monkeypatch):
    def broken(*_, **__):
        raise FloatingPointError("the loss stopped being a number")
        yield

    monkeypatch.setattr(race, "train", broken)
    explorer.start()
    until(lambda: "stopped being a number" in explorer.status.value)
    assert "ended with an error" in explorer.status.value and not explorer.start_button.disabled


def test_result_trains_a_little_where_nobody_pressed_train(explorer, capsys):
    explorer.set(steps=400)
    assert set(explorer.result(steps=100)) == {"transfer", "scratch"}
    assert explorer.rows[0]["steps"] == 100 and explorer.settings["steps"] == 400
    assert "Nobody pressed Train" in capsys.readouterr().out
    assert explorer.result() == explorer.potentials


def test_a_cell_that_comes_early_waits_for_the_end(explorer, capsys):
    explorer.start()
    assert set(explorer.result()) == {"transfer", "scratch"}
    assert not explorer.alive and explorer.rows[0]["curve"][-1][0] == 100
    assert "this cell waits for its end" in capsys.readouterr().out
    explorer.result()
    assert capsys.readouterr().out == ""


def test_weights_before_the_first_point_are_no_result(explorer, capsys, monkeypatch):
    laps, enough = race.laps, [lambda lap: lap.rows]

    def stopped(pairs):
        for lap in laps(pairs):
            yield lap
            if enough[0](lap):
                explorer.stop()

    monkeypatch.setattr(race, "laps", stopped)
    explorer.set(steps=400).start()
    with pytest.raises(RuntimeError, match="wait for the first point of the curve"):
        explorer.result()
    enough[0] = lambda lap: explorer.potentials
    explorer.start()
    assert set(explorer.result()) == {"transfer", "scratch"}
    assert "stopped: its curve ends at step 40 of 400" in capsys.readouterr().out


def test_a_seed_under_way_does_not_count_in_the_mean():
    ours = [r for r in rows(2) if r["method"] != "reduced"]
    begun = [r | dict(curve=r["curve"][:1], force_mae=300.0) if r["seed"] == 1 else r for r in ours]
    assert [[r["seed"] for r in side] for side in sides(begun)] == [[0], [0]]
    assert "transfer 60, scratch 90" in summary(
        begun
    ) and "transfer 60 ± 1, scratch 90 ± 1" in summary(ours)


def test_sides_that_were_stopped_are_compared_at_the_same_step():
    """Stop came where transfer had been tested once more than scratch."""
    ours = [r for r in rows(1) if r["method"] != "reduced"]
    end = dict(transfer=([0, 300.0], [40, 110.0]), scratch=([0, 400.0],))
    cut = [r | dict(curve=[*end[r["method"]]], force_mae=end[r["method"]][-1][1]) for r in ours]
    assert "After 0 steps" in summary(cut) and "transfer 300, scratch 400" in summary(cut)


def test_programs_are_given_up_where_memory_runs_short(explorer, monkeypatch):
    forgotten, forget = [], race.forget_programs
    monkeypatch.setattr(race, "forget_programs", lambda: forgotten.append(1) or forget())
    explorer.start().wait(240)
    assert forgotten == []
    monkeypatch.setattr("tlmlp.show.widgets.explorer.machine.memory_limit", lambda: 0.1)  # GB
    explorer.start().wait(240)
    assert forgotten == [1]


def rows(seeds=3, **changes):
    out = []
    for seed in range(seeds):
        for method, mae in (("transfer", 60.0), ("reduced", 50.0), ("scratch", 90.0)):
            row = Run(method=method, seed=seed, **changes).as_dict()
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
