"""LiveMD without a browser: what its controls do, and that a slow browser is not flooded."""

import time

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk

import tlmlp
from tlmlp.properties.structure import radial_distribution
from tlmlp.show.widgets import md, viewer as viewers

SW = md.SW


@pytest.fixture(scope="module")
def live():
    live = md.LiveMD(SW, temperature_K=300, viewer="canvas")
    yield live
    live.close()


@pytest.fixture(autouse=True)
def at_the_start(request):
    yield
    if "live" in request.fixturenames:
        live = request.getfixturevalue("live")
        live.stop()
        live.wait()
        until(lambda: live.snapshot is None)


def until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def played(live, steps=20):
    live.play()
    until(lambda: live.snapshot is not None and live.snapshot.step > steps)


def paused(live, steps=20):
    """The snapshot at which it stands, more than so many steps after the start."""
    played(live, steps)
    live.pause()
    live.wait()
    return live.snapshot


def test_play_pause_step_stop(live):
    held = paused(live)
    time.sleep(0.2)
    assert live.snapshot is held and live.health == "ok"
    live.step().wait()
    assert live.snapshot.step == held.step + 1
    played(live, held.step + 1)
    live.stop()
    live.wait()
    until(lambda: live.snapshot is None)
    assert live._curves == [] and not live._frames


def test_a_setting_begins_anew_and_plays_on_where_it_played(live):
    played(live)
    live.system_menu.value = "vacancy"
    assert live.running
    until(lambda: live.snapshot is not None and len(live.snapshot.positions) == 63)
    live.pause()
    live.wait()
    live.system_menu.value = "crystal"
    assert not live.running and live.snapshot is None and len(live.rest[0]) == 64


def test_temperature_acts_while_it_runs(live):
    played(live)
    live.thermostat.value = 2500
    until(lambda: live.snapshot.temperature_K > 1500)
    assert live.running and live.snapshot.target_K == 2500
    live.thermostat.value = 300


def test_another_potential_takes_the_atoms_over(live):
    before = paused(live)
    live.potential_menu.value = "si-sw-course"
    live.step().wait()
    after = live.snapshot
    assert after.step == before.step + 1 and np.abs(after.positions - before.positions).max() < 0.1
    atoms = after.atoms
    atoms.calc = tlmlp.Potential.load("si-sw-course").calculator()
    np.testing.assert_allclose(after.forces, atoms.get_forces(), atol=1e-4)
    live.potential_menu.value = SW


def test_systems_are_what_they_are_called():
    crystal, vacancy, slab = (md.structure("Ge", s, 5.65) for s in ("crystal", "vacancy", "slab"))
    assert (len(crystal), len(vacancy)) == (64, 63) and slab.pbc.tolist() == [True, True, False]
    for atoms in (crystal, vacancy, slab):  # large enough for the widest cutoff of a preset
        heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.complete().array), axis=0)
        assert heights[atoms.pbc].min() >= 2 * tlmlp.Config("paper").cutoff
    crystal, melt = (md.structure("Si", system, 5.4309) for system in ("crystal", "melt"))
    wave = 2 * np.pi / 5.4309 * np.array([[2, 2, 0], [2, 0, 2], [0, 2, 2], [2, -2, 0]])
    order = lambda atoms: np.mean(np.abs(np.exp(1j * atoms.positions @ wave.T).mean(0)) ** 2)
    assert order(crystal) > 0.99 and order(melt) < 0.3


def test_radial_distribution_counts_neighbours():
    """The integral of 4π r² ρ g(r) over the first two shells of diamond: 4 and 12 neighbours."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(2)
    r, g = radial_distribution([atoms, atoms], 6.0, 80)[:2]
    shell = 4 / 3 * np.pi * ((r + r[0]) ** 3 - (r - r[0]) ** 3) * 64 / atoms.get_volume() * g
    assert shell[r < 3].sum() == pytest.approx(4) and shell[
        (r > 3) & (r < 4.2)
    ].sum() == pytest.approx(12)


def height(atoms):
    return atoms.positions[:, 2] - atoms.positions[:, 2].min()


def test_atoms_are_coloured_by_a_function_on_frames_that_are_shown(monkeypatch):
    """Its numbers go to the viewer over the end of the scale, which the legend names."""
    asked, drawn = [], []
    measure = lambda atoms: asked.append(atoms) or height(atoms)
    live = md.LiveMD(SW, viewer="canvas", colour={"height <Å>": measure})
    view = live.views[0]
    monkeypatch.setattr(
        type(view), "draw", lambda self, x, colours=None: drawn.append((x, colours))
    )
    monkeypatch.setattr(type(view), "ready", property(lambda self: len(drawn) < 3))
    try:
        assert live.colour_menu.value == "height <Å>" and live.legend.value == "" and not asked
        live.play()
        until(lambda: len(drawn) == 3 and live.snapshot.step > 100)
        assert len(asked) == sum(colours is not None for _, colours in drawn) > 0
        positions, colours = drawn[-1]
        # The highest of eight layers is 9.5 Å above the lowest, so the scale ends at 10 Å.
        assert np.allclose(colours, (positions[:, 2] - positions[:, 2].min()) / 10)
        assert live.legend.value.endswith(" 10 height &lt;Å&gt;")
        live.colour_menu.value = "element"
        assert live.legend.value == ""
    finally:
        live.close()


def test_speeds_and_errors_of_forces_have_units(live):
    """Å/ps, on a scale of three thermal speeds; of Stillinger-Weber's own forces no error."""
    s = paused(live)
    live.colour_menu.value = "speed"
    thermal = np.sqrt(3 * units.kB * 300 / 28.085) * 1000 * units.fs  # Å/ps
    assert live.brightest == round(3 * thermal, -1) == 20
    speeds = np.linalg.norm(s.velocities, axis=1) * 1000  # of Å/fs
    np.testing.assert_allclose(live.colours(s) * live.brightest, speeds)
    live.colour_menu.value = "force error"
    assert np.abs(live.colours(s)).max() < 1e-6
    live.colour_menu.value = "element"


def test_a_function_that_gives_no_number_for_each_atom_is_told(monkeypatch):
    live = md.LiveMD(SW, viewer="canvas", colour={"one": lambda atoms: 1.0})
    monkeypatch.setattr(type(live.views[0]), "ready", True)
    try:
        live.play()
        until(lambda: "must give one finite number for each atom" in live.status.value)
    finally:
        live.close()


def test_the_scale_ends_at_a_round_number():
    values = (0.01, 0.011, 0.2, 0.21, 3, 5, 7, 99.0)
    assert [md.rounded_up(v) for v in values] == pytest.approx(
        [0.01, 0.02, 0.2, 0.5, 5, 5, 10, 100]
    )


def test_a_breakdown_lights_the_lamp_and_keeps_the_last_good_frame():
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(2)
    atoms.positions[0] = atoms.positions[1] + [0, 0, 1.0]
    live = md.LiveMD(SW, atoms=atoms, viewer="canvas")
    live.play().wait()
    until(lambda: "Two atoms came within 1.00 Å" in live.status.value)
    assert (
        "<b>stopped</b>" in live.lamp.value
        and live.health.startswith("Two atoms")
        and live.snapshot is None
    )
    live.close()


def test_a_refused_potential_is_not_replaced_by_the_one_before(monkeypatch):
    live = md.LiveMD(SW, viewer="canvas")
    begin, real = paused(live, 5), md.simulate.nvt

    def refuses(*arguments, **options):
        raise ValueError("the cell is too small for this one")

    monkeypatch.setattr(md.simulate, "nvt", refuses)
    live.potential_menu.value = next(n for n in live.potential_menu.options if n != SW)
    for _ in range(2):
        with pytest.raises(ValueError, match="the cell is too small"):
            live.play().wait()
        until(lambda: "the cell is too small for this one" in live.status.value)
        assert live.snapshot is begin
    monkeypatch.setattr(md.simulate, "nvt", real)
    live.potential_menu.value = SW
    live.step().wait()
    assert live.snapshot.step == begin.step + 1  # the clock went on, and did not jump
    live.close()


def test_a_generator_that_failed_is_not_asked_again(monkeypatch):
    live, real = md.LiveMD(SW, viewer="canvas"), md.simulate.nvt

    def fails(*arguments, **options):
        yield next(real(*arguments, **options))
        raise RuntimeError("no memory")

    monkeypatch.setattr(md.simulate, "nvt", fails)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no memory"):
            live.play().wait()
        until(lambda: "no memory" in live.status.value)
    live.close()


def test_save(live, tmp_path):
    with pytest.raises(ValueError, match="nothing to save yet"):
        live.save(tmp_path / "none.extxyz")
    paused(live, 30)
    frames = ase.io.read(live.save(tmp_path / "run.extxyz"), ":")
    assert frames[0].info["step"] == 0 and frames[-1].info["step"] == live.snapshot.step
    np.testing.assert_allclose(frames[-1].positions, live.snapshot.positions, atol=1e-7)
    np.testing.assert_allclose(
        frames[-1].get_velocities() * units.fs, live.snapshot.velocities, atol=1e-7
    )


def test_the_saved_file_names_the_element(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = bulk("Ge", "diamond", a=5.66, cubic=True).repeat(2)
    for options, name in (
        (dict(element="Ge", system="vacancy"), "Stillinger-Weber-Ge-vacancy-300K-0.extxyz"),
        (dict(atoms=atoms), "Stillinger-Weber-Ge64-300K-0.extxyz"),
    ):
        live = md.LiveMD(SW, viewer="canvas", **options)
        live.step().wait()
        live._save()
        assert (tmp_path / name).is_file() and name in live.status.value
        live.close()


def test_the_numbers_keep_pace_with_the_curves(live, monkeypatch):
    """When a picture comes, the line of numbers is already that of its last point."""
    drawn, seen, draw = [], [], md.plots.live
    monkeypatch.setattr(md.plots, "live", lambda c, *args: drawn.append(c) or draw(c, *args))
    beside = lambda _: seen.append((drawn[-1][-1][0] if drawn[-1] else None, live.numbers.value))
    live.image.observe(beside, "value")
    played(live, 50)
    until(lambda: len([time_ps for time_ps, _ in seen if time_ps]) > 1)
    live.image.unobserve(beside, "value")
    assert all(f"{time_ps:.2f} ps" in words for time_ps, words in seen if time_ps is not None)


@pytest.mark.parametrize("kind", ["nglview", "canvas"])
def test_a_browser_that_does_not_answer_is_not_flooded(kind, monkeypatch):
    """Two frames are under way at most; the next is sent when one was drawn, or after a while."""
    clock = [0.0]
    monkeypatch.setattr(viewers.time, "monotonic", lambda: clock[0])
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    viewer = viewers.KINDS[kind](atoms, (300, 300))
    assert not viewer.ready  # nobody looks
    if kind == "nglview":
        answer = lambda: viewer.answer(viewer.asked)
    else:
        answer = lambda: setattr(viewer.widget, "drawn", viewer.asked)
    answer()
    assert viewer.ready
    viewer.draw(atoms.positions)
    assert viewer.ready
    viewer.draw(atoms.positions)
    assert not viewer.ready
    answer()
    assert viewer.ready
    viewer.draw(atoms.positions, np.linspace(0, 1, 8))
    viewer.draw(atoms.positions, np.linspace(0, 1, 8))
    assert not viewer.ready
    clock[0] += viewers.PATIENCE + 0.1
    assert viewer.ready


def test_a_view_that_is_set_up_gets_the_newest_frame_and_its_colours(monkeypatch):
    """Nothing overtakes the structure on its way; a page that is loaded anew gets it all again."""
    atoms, calls = bulk("Si", "diamond", a=5.43, cubic=True), []
    viewer = viewers.KINDS["nglview"](atoms, (300, 300))
    monkeypatch.setattr(viewer.widget, "_remote_call", lambda name, **call: calls.append(name))
    monkeypatch.setattr(viewer.widget, "send", lambda *_, **__: calls.append("send"))
    drawn = lambda number: viewer.widget._handle_custom_msg(dict(type="drawn", data=number), [])
    heard = []
    viewer.heard += (lambda: heard.append(viewer.asked),)
    viewer.draw(atoms.positions, np.zeros(8))
    viewer.draw(atoms.positions, np.ones(8))
    assert calls == [] and not viewer.ready
    drawn(0)
    dealt, selections = viewer._dealt, calls.count("setSelection")
    assert viewer.asked == 1 and heard == [1] and "send" in calls and "@" in dealt[-1]
    viewer.draw(atoms.positions, np.ones(8))
    assert calls.count("setSelection") == selections  # the colours are there
    calls.clear()
    drawn(0)
    assert viewer._dealt == dealt and calls.count("setSelection") == selections and "send" in calls


def test_refuses():
    with pytest.raises(
        ValueError, match="system must be one of crystal, melt, vacancy, slab, not 'gas'"
    ):
        md.LiveMD(system="gas")
    with pytest.raises(ValueError, match="no potential 'si-sw' for Ge"):
        md.LiveMD("si-sw", element="Ge")
    for atoms in (bulk("C", cubic=True), bulk("Si")[:0]):
        with pytest.raises(ValueError, match="is not known, use one of 'Si', 'Ge'"):
            md.LiveMD(atoms=atoms)
    with pytest.raises(ValueError, match="between 0 and 4000 K"):
        md.LiveMD(temperature_K=-5)
    for wrong in (len, {"speed": len}, {"spread": 3}):
        with pytest.raises(ValueError, match="colour must be a dict from words to functions"):
            md.LiveMD(SW, colour=wrong)
    with pytest.raises(ValueError, match="nglview, canvas, not 'vmd'"):
        md.LiveMD(viewer="vmd")


def test_nobody_watches_and_it_rests(live):
    live.pause_after = 0.5
    live.play()
    live.wait(60)
    until(lambda: "spare the processor" in live.status.value)
    assert not live.running and live.snapshot.health == "ok"
    live.pause_after = 300
