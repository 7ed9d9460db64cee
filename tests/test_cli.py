"""The command line, on a learner's own files, and recipes."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

import tlmlp
from tlmlp import datasets, recipes, sweep
from tlmlp.cli import app


def write(path, symbol, n=6, shift=0):
    """Crystals whose atoms all have sixteen neighbours: one shape, which compiles once."""
    frames = []
    for i in range(n):
        atoms = bulk(symbol, "diamond", a=5.66, cubic=True)
        atoms.rattle(0.03, seed=i + shift)
        atoms.calc = LennardJones(sigma=2.2, epsilon=1.0, rc=3.0, smooth=True)
        results = dict(energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase.io.write(path, frames)
    return path


@pytest.fixture
def own_file(tmp_path):
    return write(tmp_path / "mine.extxyz", "Ge")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_train_on_an_own_file_and_use_it(own_file):
    out = own_file.with_name("mine.safetensors")
    result = run("train", own_file, "--out", out, "--steps", 4)
    assert result.exit_code == 0, result.output
    assert "held-out frames" in result.output and "ASE calculator" in result.output
    assert sorted(p.name for p in own_file.parent.iterdir()) == ["mine.extxyz", "mine.safetensors"]
    potential = tlmlp.Potential.load(out)
    assert potential.elements == ("Ge",) and potential.info["data"] == "mine.extxyz"
    atoms = bulk("Ge")
    atoms.calc = potential.calculator()
    assert atoms.get_forces().shape == (2, 3)


def test_labels_and_formats_by_name(own_file, tmp_path):
    frames = ase.io.read(own_file, ":")
    for atoms in frames:
        atoms.info["E0"] = atoms.get_potential_energy()
        atoms.set_array("F", atoms.get_forces())
        atoms.calc = None
    file = tmp_path / "ge@300K.stuff"
    ase.io.write(file, frames, format="extxyz")
    out = tmp_path / "new.safetensors"
    result = run("train", file, "--steps", 2, "--out", out)
    assert result.exit_code == 1 and "has no 'energy'" in result.output and not out.exists()
    keys = ("--energy-key", "E0", "--forces-key", "F", "--format", "extxyz")
    result = run("train", file, "--steps", 2, "--out", out, *keys)
    assert result.exit_code == 0 and "energy from 'E0', forces from 'F'" in result.output
    sweep_keys = keys[:4]
    other = write(tmp_path / "si.extxyz", "Si")
    result = run("sweep", other, file, "--sizes", "2", *sweep_keys)
    assert result.exit_code == 1 and "si.extxyz has no 'E0'" in result.output


def test_what_cannot_be_is_refused_before_it_starts(own_file, tmp_path):
    result = run("train", own_file, "--valid", 5, "--steps", 2)
    assert result.exit_code == 1 and "--valid is a fraction of the frames" in result.output
    untrained = tlmlp.Potential.create("course", ("Si",)).save(tmp_path / "new.safetensors")
    result = run("card", untrained)
    assert result.exit_code == 1 and "was never trained" in result.output


def test_a_file_that_is_not_this_run_s_is_never_overwritten(own_file, tmp_path):
    """Not the data, not an earlier result, not a figure or a text of the user's."""
    before = own_file.read_bytes()
    result = run("train", own_file, "--out", own_file, "--steps", 2)
    assert result.exit_code == 1 and "mine.extxyz exists: delete it, or give" in result.output
    assert own_file.read_bytes() == before
    other, notes = write(tmp_path / "si.extxyz", "Si"), tmp_path / "notes.jsonl"
    for text in ("dear diary\nit rains\n", "dear diary\n", '{"mine": 1}\n'):
        notes.write_text(text)
        result = run("sweep", other, own_file, "--sizes", "2", "--out", notes)
        assert result.exit_code == 1 and "exists and is no file of rows" in result.output
        assert notes.read_text() == text
    (tmp_path / "rows.png").write_text("a picture")
    result = run("sweep", other, own_file, "--sizes", "2", "--out", tmp_path / "rows.jsonl")
    assert result.exit_code == 1 and "rows.png exists, and is not of this sweep" in result.output
    assert not (tmp_path / "rows.jsonl").exists()


def test_isolated_atoms_are_never_held_out(own_file):
    frames = ase.io.read(own_file, ":")
    for _ in range(2):
        atom = Atoms("Ge")
        atom.calc = SinglePointCalculator(atom, energy=-1.0, forces=[[0, 0, 0]])
        frames.append(atom)
    ase.io.write(own_file, frames)
    result = run(
        "train", own_file, "--valid", 0.5, "--steps", 2, "--out", own_file.with_suffix(".st")
    )
    assert result.exit_code == 0 and "all               3" in result.output, result.output


def test_a_checkpoint_is_never_a_file_of_the_user(own_file, tmp_path):
    """Beside m.checkpoint it is m.checkpoint.checkpoint; si.seed0 and si.seed1 have one each."""
    neighbour = tmp_path / "m.checkpoint"
    for name in ("m", "m.checkpoint", "si.seed0", "si.seed1"):
        result = run("train", own_file, "--out", tmp_path / name, "--steps", 2)
        assert result.exit_code == 0 and (tmp_path / name).is_file(), result.output
    assert tlmlp.Potential.load(neighbour).elements == ("Ge",)
    assert len(list(tmp_path.iterdir())) == 5


def test_mistakes_get_one_sentence(own_file, tmp_path):
    for arguments, words in (
        (("train", tmp_path / "missing.extxyz"), "missing.extxyz does not exist"),
        (("train", "--recipe", "si-unobtainium"), "there are"),
        (("train", own_file, "--preset", "huge"), "preset must be one of"),
        (("train", own_file, "--steps", 0), "steps must be"),
        (("sweep", own_file, tmp_path / "missing.extxyz"), "missing.extxyz does not exist"),
        (("sweep", own_file, own_file), "hold at least 2, and"),
        (("sweep", own_file, own_file, "--sizes", "2"), "hold the same"),
        (("sweep", own_file, own_file, "--sizes", "2,some"), "sizes, seeds and steps must be"),
    ):
        out = () if "--recipe" in arguments else ("--out", tmp_path / "out")
        result = run(*arguments, *out)
        assert result.exit_code == 1 and words in result.output, (arguments, result.output)
        assert "Traceback" not in result.output
        assert not (tmp_path / "out").exists()
    assert run("train").exit_code == 2
    assert run("train", own_file, "--recipe", "si-sw").exit_code == 2
    ignored = run("train", "--recipe", "si-sw", "--steps", 10, "--learning-rate", 1e-3)
    assert ignored.exit_code == 2 and "leave out" in ignored.output
    assert "--steps" in ignored.output and "--learning-rate" in ignored.output


def test_options_reach_the_training(own_file, tmp_path, monkeypatch):
    """And the checkpoint that makes the same command go on."""
    told = {}

    def fit(potential, train, valid, steps, mask, seed, rate, checkpoint):
        told.update(steps=steps, seed=seed, rate=rate, checkpoint=checkpoint)
        raise RuntimeError("stopped")
        yield

    def recipe(name, checkpoint):
        told.update(recipe=name, checkpoint=checkpoint)
        raise RuntimeError("stopped")
        yield

    monkeypatch.setattr("tlmlp.train.fit", fit)
    monkeypatch.setattr(recipes, "run", recipe)
    own = ("--seed", 3, "--learning-rate", 1e-4, "--steps", 7)
    assert "stopped" in run("train", own_file, "--out", tmp_path / "m", *own).output
    assert told == dict(steps=7, seed=3, rate=1e-4, checkpoint=tmp_path / "m.checkpoint")
    assert "stopped" in run("train", "--recipe", "si-sw", "--out", tmp_path / "r").output
    assert (told["recipe"], told["checkpoint"]) == ("si-sw", tmp_path / "r.checkpoint")


def test_a_file_of_isolated_atoms_says_what_it_lacks(tmp_path):
    atom = Atoms("Ge", cell=[20] * 3, pbc=True)
    atom.calc = SinglePointCalculator(atom, energy=-3.0, forces=np.zeros((1, 3)))
    ase.io.write(tmp_path / "atom.extxyz", atom)
    result = run("train", tmp_path / "atom.extxyz", "--out", tmp_path / "out")
    assert result.exit_code == 1 and "all frames are isolated atoms" in result.output


def test_list_names_what_ships():
    result = run("list")
    assert result.exit_code == 0
    assert all(name in result.output for name in tlmlp.shipped()) and "meV/Å" in result.output


# -- sweep -----------------------------------------------------------------------------------------


def test_a_killed_sweep_goes_on_and_other_data_begin_anew(tmp_path):
    """Killed by force after its first row; then the same command; then with another target."""
    source = write(tmp_path / "si.extxyz", "Si")
    target, out = write(tmp_path / "ge.extxyz", "Ge"), tmp_path / "pair.jsonl"
    # One worker, since two compile the same programs at the same time.
    options = ["--sizes", "2", "--seeds", "2", "--steps", "2", "--workers", "1", "--out", out]
    command = [str(a) for a in ("sweep", source, target, *options)]
    begun = subprocess.Popen(
        [sys.executable, "-m", "tlmlp.cli", *command],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 1200
    while not (out.is_file() and sweep.read(out)):
        assert begun.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    first = sweep.read(out)

    result = run(*command)
    assert result.exit_code == 0, result.output
    tasks = sweep.pair(source, target, [2], 2, 2)
    rows = sweep.read(out)
    assert len(tasks) == len(rows) == 5 and None not in sweep.found(tasks, out)
    assert rows[: len(first)] == first
    assert sweep.table(rows) in result.output and "± " in result.output
    assert (tmp_path / "pair.png").read_bytes().startswith(b"\x89PNG")
    (weights,) = tmp_path.glob("pair.jsonl.source-*")
    start = tlmlp.Potential.load(weights)
    assert start.elements == ("Si", "Ge") and start.trained == ("Si",)
    again = run(*command)
    assert again.exit_code == 0 and sweep.read(out) == rows

    write(target, "Ge", shift=50)
    fewer = ["--sizes", 2, "--seeds", 1, "--steps", 2, "--workers", 1, "--out", out]
    result = run("sweep", source, target, *fewer)
    assert result.exit_code == 0, result.output
    later = sweep.read(out)
    assert later[:5] == rows and len(later) == 5 + 3
    assert sweep.table(later[5:]) in result.output
    assert list(tmp_path.glob("pair.jsonl.source-*")) == [weights]  # the source is the same


# -- recipes ---------------------------------------------------------------------------------------


def test_every_recipe_names_data_that_exists():
    for name, recipe in recipes.recipes().items():
        assert recipe["config"] in ("paper", "course") and recipe["seed"] >= 0, name
        assert recipe["data"].split(":")[0] in ("dft", "mlearn", "stillinger-weber"), name
        assert recipe["learning_rate"] == 2e-3 and recipe["weights"]["energy"] == 2.0, name
    assert set(tlmlp.shipped()) <= set(recipes.recipes()) and "defaults" not in recipes.recipes()


@pytest.mark.parametrize("name", tlmlp.shipped())
def test_a_header_holds_its_recipe(name):
    """A ratio that was measured when the potential was made stands with the transfer."""
    info, recipe = tlmlp.Potential.load(name).info, recipes.recipe(name)
    ratio = recipe.pop("lattice_ratio", None)
    assert {key: info.get(key) for key in recipe} == recipe
    if recipe.get("reduced_units"):
        assert info["transfer"]["length"] == ratio == info.get("lattice_ratio", ratio)


def test_frames_that_ship_are_read():
    """Germanium's of Stillinger-Weber; silicon's have other temperatures and are sampled."""
    train, valid, test = recipes.frames(recipes.recipe("ge-sw-course-scratch"))
    assert (len(train), len(valid), len(test)) == (220, 20, 48)
    shipped = {atoms.positions.tobytes() for atoms in datasets.stillinger_weber_shipped("Ge")[0]}
    assert {atoms.positions.tobytes() for atoms in train + valid} <= shipped
    some, none, _ = recipes.frames(recipes.recipe("ge-sw-course-transfer-10"))
    assert len(some) == 10 and none is None


def test_a_recipe_runs_from_start_to_header(monkeypatch):
    small = dict(
        data="stillinger-weber:Si",
        frames=8,
        temperatures=[300],
        config="course",
        steps=2,
        learning_rate=1e-3,
        valid=2,
        seed=0,
        weights=dict(energy=1.0),
        final_weights=dict(energy=10.0, stress=0.1),
    )
    monkeypatch.setattr(recipes, "recipes", lambda: {"small": small})
    *_, last = recipes.run("small")
    assert last.step == 2 and last.best.trained == ("Si",) and 1.5 < last.best.core < 2.4
    assert {k: last.best.info[k] for k in small} == small
    assert last.best.info["recipe"] == "small" and last.best.info["test_errors"]["frames"] == 2
    assert last.best.info["minutes_of_the_last_part"] >= 0 and last.best.info["date"]
    json.dumps(last.best.info)


def test_a_card_is_of_the_last_element_or_of_the_one_asked_for():
    for element, edge in ((None, 5.78), ("Si", 5.46)):
        own = ("--element", element) if element else ()
        result = run("card", "sige-dft-course", "--only", "lattice_constant", *own)
        assert float(result.output.split()[2]) == pytest.approx(edge, abs=0.05), result.output


def test_a_card_names_what_was_asked_for():
    result = run("card", "si-sw-course", "--only", "lattice_constant", "--only", "c11")
    assert result.exit_code == 0, result.output
    lattice, c11 = result.output.splitlines()
    assert lattice.startswith("lattice constant") and lattice.endswith("Å")
    assert abs(float(lattice.split()[2]) - 5.431) < 0.01
    assert abs(float(c11.split()[1]) - 151.4) < 8
    for arguments, words in (
        (("card", "nothing"), "no potential 'nothing'"),
        (("card", "si-sw-course", "--only", "c13"), "no property c13"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and words in result.output


def test_the_course_is_laid_into_a_folder(tmp_path):
    """Never over what a learner has changed; links from notebooks to pages hold."""
    names = run("course", "--list").output.splitlines()
    assert names[0].startswith("00_start_here") and "Start here" in names[0] and len(names) >= 10
    folder = tmp_path / "mine"
    result = run("course", folder, "--no-open")
    assert result.exit_code == 0 and f"the course is in {folder / 'notebooks'}" in result.output
    assert (folder / "docs" / "results.md").is_file()
    own = folder / "notebooks" / "01_silicon.ipynb"
    own.write_text("changed")
    (folder / "notebooks" / "02_germanium_transfer.ipynb").unlink()
    result = run("course", folder, "--no-open")
    assert "kept your notebooks/01_silicon.ipynb" in result.output and own.read_text() == "changed"
    assert (folder / "notebooks" / "02_germanium_transfer.ipynb").is_file()
    for path in (folder / "notebooks").glob("*.ipynb"):
        for link in re.findall(r"\]\((\.\./docs/[\w.]+)\)", path.read_text()):
            assert (path.parent / link).is_file(), link


def test_without_a_command_the_course_is_opened(tmp_path, monkeypatch):
    """What `uvx tlmlp` does."""
    monkeypatch.chdir(tmp_path)
    opened = []
    monkeypatch.setattr("subprocess.call", lambda command: opened.append(command) or 0)
    result = run()
    assert result.exit_code == 0 and "tlmlp --help" in result.output
    assert opened[0][1:4] == ["-m", "jupyter", "lab"]
    assert (tmp_path / "tlmlp-course" / "notebooks" / "00_start_here.ipynb").is_file()
