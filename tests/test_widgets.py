"""Widgets: they stop, they say what went wrong, and they never fill a queue."""

import subprocess
import sys
import threading
import time

import ase
import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.md.andersen import Andersen
from ase.md.langevin import Langevin
from ase.md.nvtberendsen import NVTBerendsen
from ase.md.verlet import VelocityVerlet
from conftest import until
from silicon import TINY, frames

import tlmlp
from tlmlp import show
from tlmlp.show.widgets import live as module
from tlmlp.show.widgets.viewer import wrapping


@pytest.fixture(scope="module")
def potential():
    return tlmlp.Potential.create(TINY, ("Si",))


class Count(show.Live):
    """Counts for ever, or until an error."""

    interval = 0.05

    def __init__(self, error=None):
        self.error, self.seen = error, []
        super().__init__()

    def work(self):
        n = 0
        while True:
            time.sleep(0.01)
            yield n
            n += 1
            if self.error and n == 3:
                raise self.error

    def take(self, item):
        self.seen.append(item)


def test_importing_tlmlp_imports_no_screen():
    screens = {"matplotlib", "nglview", "ipywidgets", "tlmlp.show"}
    code = f"import sys, tlmlp; assert not {screens} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- Live


def test_stop_ends_the_thread():
    live = Count().start()
    until(lambda: len(live.seen) > 3)
    live.stop()
    assert not live.running
    until(lambda: not live.alive)
    live.run.threads[0].join(60)
    seen = len(live.seen)
    assert not live.run.threads[0].is_alive() and len(live.seen) == seen


def test_start_begins_anew_and_the_first_thread_is_gone():
    live = Count().start()
    until(lambda: len(live.seen) > 3)
    first = live.run.threads[0]
    live.seen.clear()
    live.start()
    until(lambda: 0 in live.seen and len(live.seen) > 2 and not first.is_alive())
    live.close()


def test_an_exception_is_shown_in_words_and_raised_by_wait():
    live = Count(ValueError("the loss stopped being a <number>")).start()
    until(lambda: "stopped being" in live.status.value)
    assert "ended with an error" in live.status.value and "&lt;number&gt;" in live.status.value
    with pytest.raises(ValueError, match="stopped being"):
        live.wait()


def test_closing_ends_the_thread():
    live = Count().start()
    until(lambda: live.seen)
    live.close()
    until(lambda: not live.alive)


def test_one_of_a_kind_runs_at_a_time():
    first, second = Count().start(), Count().start()
    assert second.running and not first.running
    second.close()


def test_a_widget_that_is_painted_by_two_threads_shows_what_both_did():
    """Nobody waits for a picture that another thread draws; that thread draws once more."""
    pictures, drawing, go_on = [], threading.Event(), threading.Event()

    class Slow(Count):
        state = 0

        def paint(self, run):
            seen = self.state
            drawing.set()
            assert go_on.wait(60)
            pictures.append(seen)

    live = Slow()
    painter = threading.Thread(target=live.redraw)
    painter.start()
    drawing.wait(60)
    live.state = 1
    live.redraw()  # returns at once
    assert pictures == []
    go_on.set()
    painter.join(60)
    assert pictures == [0, 1]
    live.close()


def test_a_sentence_that_is_held_is_not_painted_over():
    live = Count()
    live.say("saved", hold=60)
    live.say("The atoms move.")
    assert "saved" in live.status.value
    live.say("not saved", "error", hold=60)
    assert "not saved" in live.status.value
    live.start().stop()
    live.wait()
    live.say("Paused.")
    assert "Paused." in live.status.value
    live.close()


def test_threads_do_not_keep_the_interpreter_alive():
    code = """
import itertools, time
from tlmlp import show
class Endless(show.Live):
    def work(self):
        for n in itertools.count():
            time.sleep(0.01)
            yield n
Endless().start()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- Training


def test_training_yields_a_potential(potential):
    data = frames(6)
    training = show.Training(
        lambda: tlmlp.fit(potential, data[:4], data[4:], steps=20, report_every=1)
    )
    with pytest.raises(RuntimeError, match="press Train"):
        _ = training.potential
    empty = training.picture.value
    training.start().wait(120)
    until(lambda: "Done" in training.status.value)
    assert [p.step for p in training.history] == list(range(1, 21))
    error = lambda potential: potential.evaluate(data[4:]).force_rmse
    assert error(training.best) <= error(training.potential) + 1e-6
    assert bytes(training.picture.value).startswith(b"\x89PNG")
    assert bytes(training.picture.value) != bytes(empty)
    assert training.bar.value == training.bar.max == 20
    until(lambda: training.stop_button.disabled and not training.start_button.disabled)


def test_a_stopped_training_keeps_what_it_learned(potential):
    training = show.Training(lambda: tlmlp.fit(potential, frames(3), steps=100000, report_every=1))
    training.start_button.click()
    until(lambda: training.last is not None, 60)
    training.stop_button.click()
    until(lambda: not training.alive)
    assert training.potential is training.last.potential is training.best
    assert training.last.step < 100000


def test_result_trains_a_little_where_nobody_pressed_train(potential, capsys):
    training = show.Training(lambda: tlmlp.fit(potential, frames(3), steps=100000, report_every=1))
    assert training.result(at_least=10).n_weights == potential.n_weights
    assert 10 <= training.last.step < 1000 and not training.running
    assert "Nobody pressed Train" in capsys.readouterr().out


def test_a_cell_that_comes_early_waits_for_the_end(potential, capsys):
    training = show.Training(lambda: tlmlp.fit(potential, frames(3), steps=200, report_every=1))
    training.start().result()
    assert training.last.step == 200
    assert "this cell waits for its end" in capsys.readouterr().out


def test_a_training_that_cannot_start_says_why(potential):
    training = show.Training(lambda: tlmlp.fit(potential, [], steps=10))
    training.start()
    until(lambda: "the dataset is empty" in training.status.value)
    with pytest.raises(ValueError, match="empty"):
        training.result()


# -- watch


class Spring(Calculator):
    """Every atom on a spring to where it was; after `good` calls, no number any more."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, atoms, good=10**9, stiffness=5.0):
        super().__init__()
        self.home, self.good, self.stiffness, self.threads = (
            atoms.positions.copy(),
            good,
            stiffness,
            set(),
        )

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.threads.add(threading.get_ident())
        self.good -= 1
        x = self.atoms.positions - self.home
        bad = np.nan if self.good < 0 else 1.0
        self.results = dict(
            energy=bad * self.stiffness / 2 * (x**2).sum(), forces=-bad * self.stiffness * x
        )


def langevin(temperature=300, **kwargs):
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.calc = Spring(atoms, **kwargs)
    return Langevin(
        atoms, 2 * units.fs, temperature_K=temperature, friction=0.01 / units.fs, fixcm=False
    )


class Seen:
    """A viewer that a browser shows, and that answers as long as it is ready."""

    def __init__(self):
        self.ready, self.sent, self.at = True, [], []

    def draw(self, positions, colours=None):
        self.sent.append(positions)
        self.at.append(time.monotonic())


def watched(dynamics, **options):
    """(Watch, its viewer) that has not begun."""
    watch = show.watch(dynamics, autoplay=False, **options)
    watch.views = [Seen()]
    return watch, watch.views[0]


def test_watch_plays_pauses_and_goes_back():
    dynamics = langevin()
    start = dynamics.atoms.positions.copy()
    watch, viewer = watched(dynamics)
    watch.play_button.click()
    until(lambda: len(viewer.sent) > 3)
    assert threading.get_ident() not in dynamics.atoms.calc.threads
    until(lambda: watch.play_button.description == "Pause")
    watch.play_button.click()
    until(lambda: not watch.alive and "Paused" in watch.status.value)
    assert abs(dynamics.atoms.positions - start).max() > 1e-4
    steps = watch.steps
    watch.play_button.click()
    until(lambda: watch.steps > steps)
    watch.stop_button.click()
    until(lambda: not watch.alive and "back at the start" in watch.status.value)
    np.testing.assert_array_equal(dynamics.atoms.positions, start)
    until(lambda: (viewer.sent[-1] == start).all() and "ps" not in watch.numbers.value)
    assert max(map(len, viewer.sent)) == 8


@pytest.mark.parametrize(
    "kind, more", [(NVTBerendsen, dict(taut=100 * units.fs)), (Andersen, dict(andersen_prob=0.1))]
)
def test_watch_keeps_the_temperature_that_was_asked_for(kind, more):
    """Each class of ASE keeps it elsewhere; the atoms have another, about 150 K."""
    atoms, told = bulk("Si", "diamond", a=5.43, cubic=True), []
    atoms.calc = Spring(atoms)
    width = np.sqrt(atoms.get_masses()[:, None] * units.kB * 150)
    atoms.set_momenta(width * np.random.default_rng(0).normal(size=(len(atoms), 3)))
    dynamics = kind(atoms, 2 * units.fs, temperature_K=1000, **more)
    watch, _ = watched(dynamics)
    assert watch.target == pytest.approx(1000) and watch.thermostat.value == 1000
    dynamics.set_temperature = lambda temperature_K: told.append(temperature_K)
    watch.play_button.click()
    until(lambda: watch.steps > 10)
    assert not told
    watch.thermostat.value = 600
    until(lambda: told == [600])
    watch.stop_button.click()
    until(lambda: not watch.alive)


def test_stop_takes_the_cell_back():
    dynamics = langevin()
    watch, _ = watched(dynamics)
    watch.play_button.click()
    until(lambda: watch.steps > 0)
    watch.play_button.click()
    until(lambda: not watch.alive)
    cell = dynamics.atoms.cell.array.copy()
    dynamics.atoms.set_cell(cell * 1.1, scale_atoms=True)
    watch.stop_button.click()
    until(lambda: "back at the start" in watch.status.value)
    np.testing.assert_array_equal(dynamics.atoms.cell.array, cell)


class Slow:
    """Makes a dynamics wait in the middle of a step until `go_on` is set."""

    def __init__(self, dynamics):
        self.under_way, self.go_on, self.run = threading.Event(), threading.Event(), dynamics.run
        dynamics.run = self.step

    def step(self, steps):
        self.under_way.set()
        assert self.go_on.wait(60)
        return self.run(steps)


def test_stop_is_final_while_a_step_is_under_way():
    """Pressed in the middle of a step, where Play follows at once: the worker goes back."""
    dynamics = langevin()
    (watch, _), slow, frames = watched(dynamics), Slow(dynamics), []
    take = watch.take
    watch.take = lambda frame: frames.append(frame) or take(frame)
    watch.play()
    slow.under_way.wait(60)
    watch.stop()
    assert watch.alive and not watch.running
    until(lambda: "Stopping" in watch.status.value)
    watch.play()
    slow.go_on.set()
    until(lambda: frames)
    assert frames[0].info["time"] == "0.01 ps"  # five steps from the start, not ten
    watch.pause()
    watch.wait()
    watch.stop()
    np.testing.assert_array_equal(dynamics.atoms.positions, watch.rest[0].positions)
    watch.close()


def test_stop_after_pause_while_a_step_is_under_way():
    dynamics = langevin()
    (watch, _), slow = watched(dynamics), Slow(dynamics)
    watch.play()
    slow.under_way.wait(60)
    watch.pause()
    until(lambda: "Paused" in watch.status.value)
    watch.stop()
    until(lambda: "Stopping" in watch.status.value)
    slow.go_on.set()
    until(lambda: "back at the start" in watch.status.value)
    np.testing.assert_array_equal(dynamics.atoms.positions, watch.rest[0].positions)
    watch.close()


def test_the_slider_sets_the_thermostat_at_once():
    dynamics = langevin(300)
    watch = show.watch(dynamics, autoplay=False).play()
    until(lambda: watch.run.latest)
    watch.thermostat.value = 900
    until(lambda: abs(dynamics.temp / units.kB - 900) < 1e-6)
    assert "900 K" in watch.heading.value
    watch.close()


def test_frames_are_drawn_ten_times_a_second_at_most_and_never_queued():
    watch, viewer = watched(langevin(), steps_per_frame=1)
    watch.play()
    until(lambda: len(viewer.sent) > 5)
    assert viewer.at[5] - viewer.at[0] >= 5 * 0.9 * watch.interval
    viewer.ready, steps = False, watch.steps  # the browser no longer answers
    until(lambda: watch.steps > steps + 3)
    sent = len(viewer.sent)
    until(lambda: watch.steps > steps + 10)
    assert len(viewer.sent) == sent
    watch.close()


def test_watch_rests_by_itself():
    watch = show.watch(langevin(), pause_after=0.3, autoplay=False).play()
    until(lambda: "to spare the processor" in watch.status.value)
    assert not watch.running


def test_watch_begins_when_the_browser_is_ready():
    watch = show.watch(langevin())
    assert not watch.running and "Waiting for the browser" in watch.status.value
    watch.views[0].answer(0)
    assert watch.running
    watch.close()


@pytest.mark.parametrize(
    "calculator, words",
    [(dict(good=20), "no longer a number"), (dict(stiffness=1e5), "far above|no longer")],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_broken_dynamics_stops_with_a_sentence(calculator, words):
    watch = show.watch(langevin(**calculator), autoplay=False).play()
    with pytest.raises(FloatingPointError, match=words):
        watch.wait(120)
    until(lambda: "ended with an error" in watch.status.value)


def test_one_atom_that_is_far_too_fast_stops_it():
    dynamics = langevin(300, stiffness=0.0)
    momenta = np.zeros((8, 3))
    momenta[5, 0] = np.sqrt(2 * dynamics.atoms.get_masses()[5] * 40 * units.kB * 600)  # 40 kT
    dynamics.atoms.set_momenta(momenta)
    with pytest.raises(FloatingPointError, match="Atom 5 has|far above"):
        show.watch(dynamics, steps_per_frame=1, autoplay=False).play().wait(120)


def test_dynamics_without_a_thermostat_has_no_slider():
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    with pytest.raises(ValueError, match="no calculator"):
        show.watch(VelocityVerlet(bulk("Si"), 2 * units.fs))
    atoms.calc = Spring(atoms)
    watch = show.watch(VelocityVerlet(atoms, 2 * units.fs), autoplay=False).play()
    until(lambda: watch.run.latest)
    assert watch.target is None and watch.thermostat not in watch.children[0].children[1].children
    watch.close()


def test_wrapping_keeps_crystal_planes_together_and_bond_lengths():
    crystal = bulk("Si", "diamond", a=5.43) * (3, 3, 3)  # not cubic
    moved = crystal.copy()
    moved.rattle(0.05, seed=0)
    wrap = wrapping(crystal)
    lengths = lambda wrap: np.linalg.norm(wrap(moved.positions) - wrap(crystal.positions), axis=1)
    np.testing.assert_allclose(lengths(wrap), lengths(np.asarray), atol=1e-9)
    far = crystal.positions + 2 * crystal.cell.array[0]
    np.testing.assert_allclose(wrap(far), wrap(crystal.positions), atol=1e-9)
    molecule = ase.Atoms("Si2", [(0, 0, 0), (0, 0, 2)])
    assert wrapping(molecule)(molecule.positions) is molecule.positions


# -- the page around a widget


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_widget_whose_output_is_cleared_stops(monkeypatch, comes_back):
    """A cell that is moved takes its output away and brings it back: then it goes on."""
    monkeypatch.setattr(module, "GRACE", 0.2)
    live = Count().start()
    until(lambda: len(live.seen) > 3)
    live.status.shown = 1  # as the browser does
    live.status.shown = 0
    if comes_back:
        live.status.shown = 1
        seen = len(live.seen)
        until(lambda: len(live.seen) > seen + 50)
    else:
        until(lambda: not live.alive)
    assert live.running is comes_back
    live.close()


def test_a_picture_says_what_it_shows(potential):
    training = show.Training(lambda: tlmlp.fit(potential, frames(3), steps=5, report_every=1))
    training.start().wait(120)
    until(lambda: training.picture.tooltip.startswith("Training curve. Done in"))
    assert "force MAE" in training.picture.tooltip


def test_long_silence_is_told_without_a_guess(monkeypatch):
    """In the middle of a step the widget says how long it computes, and gives no reason."""
    dynamics = langevin()
    (watch, _), slow = watched(dynamics), None
    watch.play()
    until(lambda: watch.frame is not None)
    slow = Slow(dynamics)
    monkeypatch.setattr("tlmlp.show.widgets.player.SILENCE", 0.0)
    slow.under_way.wait(60)
    until(lambda: "since the last picture" in watch.status.value)
    assert "compil" not in watch.status.value
    slow.go_on.set()
    watch.close()
