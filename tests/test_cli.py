"""The command line, on a learner's own file, and recipes."""

import ase.io
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

import tlmlp
from tlmlp import recipes
from tlmlp.cli import app

pytestmark = pytest.mark.xdist_group("training")  # one worker compiles for all of these


@pytest.fixture
def own_file(tmp_path):
    frames = []
    for i in range(6):
        atoms = bulk("Ge", cubic=True)
        atoms.rattle(0.1, seed=i)
        atoms.calc = LennardJones(sigma=2.2, epsilon=1.0, rc=3.0, smooth=True)
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()
        )
        frames.append(atoms)
    ase.io.write(tmp_path / "mine.extxyz", frames)
    return tmp_path / "mine.extxyz"


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


def test_mistakes_get_one_sentence(own_file, tmp_path):
    for arguments, words in (
        (("train", tmp_path / "missing.extxyz"), "missing.extxyz does not exist"),
        (("train", "--recipe", "si-unobtainium"), "there are"),
        (("train", own_file, "--preset", "huge"), "preset must be one of"),
        (("train", own_file, "--steps", 0), "steps must be"),
    ):
        result = run(
            *arguments,
            *(("--out", tmp_path / "out.safetensors") if "--recipe" not in arguments else ()),
        )
        assert result.exit_code == 1 and words in result.output, (arguments, result.output)
        assert "Traceback" not in result.output
        assert not (tmp_path / "out.safetensors").exists()
    assert run("train").exit_code == 2
    assert run("train", own_file, "--recipe", "si-sw").exit_code == 2


def test_list_names_what_ships():
    result = run("list")
    assert result.exit_code == 0
    assert all(name in result.output for name in tlmlp.shipped()) and "meV/Å" in result.output


def test_every_recipe_names_data_that_exists():
    for name, recipe in recipes.recipes().items():
        assert recipe["config"] in ("paper", "course") and recipe["seed"] >= 0, name
        assert recipe["data"].split(":")[0] in ("dft", "mlearn", "stillinger-weber"), name
    assert set(tlmlp.shipped()) <= set(recipes.recipes())


def test_a_recipe_runs_from_start_to_header(monkeypatch):
    small = dict(
        data="stillinger-weber:Si", frames=8, temperatures=[300], config="course", steps=2, learning_rate=1e-3, valid=2, seed=0,
        weights=dict(energy=1.0), final_weights=dict(energy=10.0, stress=0.1),
    )  # fmt: skip
    monkeypatch.setattr(recipes, "recipes", lambda: {"small": small})
    *_, last = recipes.run("small")
    assert last.step == 2 and last.best.trained == ("Si",) and 1.5 < last.best.core < 2.4
    assert {k: last.best.info[k] for k in small} == small
    assert last.best.info["recipe"] == "small" and last.best.info["test_errors"]["frames"] == 2


def test_a_card_names_what_was_asked_for():
    result = run("card", "si-sw-course", "--only", "lattice_constant", "--only", "c11")
    assert result.exit_code == 0, result.output
    lattice, c11 = result.output.splitlines()
    assert (
        lattice.startswith("lattice constant")
        and abs(float(lattice.split()[2]) - 5.431) < 0.01
        and lattice.endswith("Å")
    )
    assert abs(float(c11.split()[1]) - 151.4) < 8
    for arguments, words in (
        (("card", "nothing"), "no potential 'nothing'"),
        (("card", "si-sw-course", "--only", "c13"), "no property c13"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and words in result.output
