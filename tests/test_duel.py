"""The duel without a browser: a fair start, and clocks that stop."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from test_stability import nothing

import tlmlp
from tlmlp.course import stability
from tlmlp.show import Duel
from tlmlp.show.widgets.md import SW


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@pytest.fixture
def duel(request):
    duel = Duel(*request.param, rate=800, viewer="canvas")
    yield duel
    duel.stop()
    duel.wait()
    duel.close()


@pytest.mark.parametrize("duel", [(SW, SW)], indirect=True)
def test_play_pause_stop_with_equal_weapons(duel):
    """One potential against itself: the same trajectory on both sides, and that of the truth."""
    duel.play()
    until(lambda: all(duel.looks) and duel.looks[1].snapshot.step > 40)
    duel.pause()
    duel.wait()
    left, right = (look.snapshot for look in duel.looks)
    shared = min(left.step, right.step)  # Pause may come between the two
    steps = lambda side: {
        round(t, 6) for t, *_ in side.curve if t <= shared * stability.TIMESTEP / 1000
    }
    assert steps(duel.sides[0]) == steps(duel.sides[1]) == steps(duel.reference)
    for a, b in zip(duel.sides[0].curve, duel.sides[1].curve):
        assert a == b
    assert right.target_K == pytest.approx(
        300 + 0.8 * (right.time_fs - 20)
    )  # asked before the chunk of 20 fs that ends here
    held = duel.looks
    time.sleep(0.2)
    assert duel.looks == held and "holds" in duel.sides[0].clock.value
    duel.pause_after = 0.5
    duel.play().wait(60)
    until(lambda: "spare the processor" in duel.status.value)
    assert duel.looks[1].snapshot.step > right.step
    duel.pause_after, rested = 600, duel.looks[1].snapshot
    duel.play()
    until(lambda: duel.looks[1].snapshot.step > rested.step)
    duel.stop()
    duel.wait()
    until(lambda: duel.looks == (None, None) and "back at the start" in duel.status.value)
    assert "0.00 ps" in duel.sides[1].clock.value
    duel.paint(duel.run)  # as where the worker ends between the painter's two last looks at it
    assert duel.looks == (None, None) and "back at the start" in duel.status.value


def test_a_side_that_cannot_run_is_said_at_each_play():
    """Silicon's potential has no germanium: no side may begin without the other."""
    duel = Duel(SW, tlmlp.Potential.load("si-sw-course"), viewer="canvas")
    for _ in range(2):
        with pytest.raises(ValueError, match="has never seen Ge"):
            duel.play().wait(60)
        until(lambda: "has never seen Ge" in duel.status.value)
        assert not duel.alive and duel.sides[0].run is None
        duel.say("")
    duel.close()


@pytest.mark.parametrize("duel", [(SW, SW)], indirect=True)
def test_a_setting_begins_anew_and_plays_on_where_it_played(duel):
    duel.play()
    until(lambda: all(duel.looks) and duel.looks[1].snapshot.step > 20)
    held = duel.sides[1].run
    duel.seed_box.value = 3
    assert duel.running
    until(lambda: all(duel.looks) and duel.sides[1].run is not held)
    assert duel.sides[1].curve[0][0] <= 5 * stability.TIMESTEP / 1000
    duel.pause()
    duel.wait()
    duel.rate_menu.value = 400
    assert not duel.running and duel.looks == (None, None)


@pytest.mark.parametrize("duel", [(nothing(), SW)], indirect=True)
def test_a_clock_stops_when_its_side_breaks_and_the_other_goes_on(duel):
    duel.play()
    until(lambda: duel.sides[0].broken)
    broken = duel.looks[0]
    until(lambda: duel.looks[1].snapshot.step > broken.snapshot.step + 20)
    assert duel.looks[0] is broken and duel.verdict == ""
    until(lambda: "broken" in duel.sides[0].clock.value and "Left has broken" in duel.status.value)
    assert np.isfinite(broken.snapshot.positions).all()


def test_the_verdict_names_both_and_the_truth():
    duel = Duel(nothing(), nothing(), rate=800, viewer="canvas")
    duel.play().wait(120)
    until(lambda: "Left broke at" in duel.status.value)
    assert (
        "melts at 2900 K: both broke below" in duel.verdict
        and "The reference still held at" in duel.verdict
    )
    assert all(look.failure for look in duel.looks)
    look = lambda T, fs: stability.Look(SimpleNamespace(target_K=T, time_fs=fs), 0.0, 2.0, "lost")
    left, right = duel.sides
    left.look, right.look = look(2000, 4000), look(3000, 6500)
    assert "right at 3000 K, 2.5 ps later" in duel.verdict and "one broke below" in duel.verdict
    left.look = look(3100, 7000)
    assert "0.5 ps earlier" in duel.verdict and "superheated" in duel.verdict
    duel.seed_box.value = 5  # a control that moves takes both back
    until(lambda: duel.looks == (None, None))
    duel.close()


@pytest.mark.parametrize(
    "options, sentence",
    [
        (dict(source="vasp"), "source must be one of mlearn, stillinger-weber"),
        (dict(rate=3), "rate in K/ps must be one of 100, 200, 400, 800"),
        (dict(left="si-sw"), "no potential 'si-sw' for this duel; use one of 'ge-sw"),
        (dict(n=11), "no potential 'ge-sw-course-scratch-11'"),
        (dict(viewer="vmd"), "viewer must be one of"),
    ],
)
def test_refuses(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Duel(**options)


def test_germanium_of_dft_has_no_truth_to_run_along():
    try:
        duel = Duel(source="mlearn", n=50, viewer="canvas")
    except (OSError, ValueError):
        pytest.skip(
            "needs the mlearn files: TLMLP_DATA names a folder with mlearn/Si/training.json etc."
        )
    assert [c.value for c in duel.choices] == [
        "ge-mlearn-course-scratch-50",
        "ge-mlearn-course-transfer-50",
    ]
    assert SW not in duel._potentials and not any("-sw-" in name for name in duel._potentials)
    assert duel._crystal.cell.lengths()[0] > 11.5  # Å, of two lattice constants
    duel.close()
