"""research.universal.distill: structures, a teacher's labels, and a network that learns them."""

from pathlib import Path

import numpy as np
import pytest
import typer
from ase.build import bulk
from ase.neighborlist import neighbor_list

import tlmlp
from research import distilled
from research.dft import generate
from research.universal import distill
from research.universal.models import MODELS, Model
from tlmlp import datasets

MELTING = {name: melting for name, (_, melting) in generate.ELEMENTS.items()}


def test_a_trajectory_repeats_and_each_structure_is_its_own():
    """Number 29 is displaced at random, so it needs no potential: 0.045 lattice constants."""
    frames, again = (distill.trajectory("Ge", 29) for _ in range(2))
    places = np.array([atoms.get_scaled_positions() for atoms in frames])
    assert [a.positions.tobytes() for a in frames] == [a.positions.tobytes() for a in again]
    assert 3 < len(frames) == len({p.tobytes() for p in places}) < distill.FRAMES
    nearest = [neighbor_list("d", atoms, 3.0).min() for atoms in frames]
    assert min(nearest) > 1.5 * generate.ELEMENTS["Ge"][0] / generate.ELEMENTS["Si"][0]
    lattice = generate.ELEMENTS["Ge"][0]
    u = places - bulk("Si", cubic=True).repeat(2).get_scaled_positions()
    u = (u - u.round()) * frames[0].cell[0, 0] / lattice
    assert u.std() == pytest.approx(0.045, abs=0.002)
    others = u.reshape(len(u), -1)
    assert abs(np.corrcoef(others)[~np.eye(len(u), dtype=bool)]).max() < 0.3
    assert frames[0].cell[0, 0] / 2 == pytest.approx(lattice, rel=0.021)


def test_a_liquid_is_molten_first(monkeypatch):
    """Number 1 is a liquid at 1.05 of the melting temperature; number 4 lacks an atom."""
    done, crystal = [], bulk("Si", cubic=True).repeat(2).get_scaled_positions()

    def dynamics(atoms, temperature, steps, rng):
        done.append((temperature, steps))
        atoms.set_scaled_positions(crystal[: len(atoms)])

    monkeypatch.setattr(generate, "dynamics", dynamics)
    kind, reduced, _ = generate.recipe("train", 1)
    frames = distill.trajectory("Ge", 1)
    assert (kind, reduced) == ("Liquid", 1.05)
    melting = MELTING["Si"]  # the sampler's
    later = [(1.05 * melting, 350)] + [(1.05 * melting, distill.SPACING)] * (distill.FRAMES - 1)
    assert done == [(3 * melting, 250), *later]
    assert frames[0].info["temperature"] == round(1.05 * MELTING["Ge"], 2)
    assert {len(atoms) for atoms in distill.trajectory("Si", 4)} == {63}


def test_every_kind_is_held_out():
    held = {k for _, k, _ in distill.files(Path(), distill.TRAJECTORIES)}
    held = [k for k in held if k % distill.HELD_OUT == distill.HELD_OUT - 1]
    assert {generate.recipe("train", k)[0] for k in held} == set(generate.PATTERN)


@pytest.fixture
def quick(monkeypatch):
    """Displaced crystals for all trajectories but one, and a teacher that is at hand."""
    calls, displaced = [], distill.trajectory

    def trajectory(element, index):
        calls.append((element, index))
        return [] if (element, index) == ("Ge", 1) else displaced(element, 29)[:2]

    make = lambda weights: tlmlp.Potential.load("sige-dft-course").calculator()
    monkeypatch.setattr(distill, "trajectory", trajectory)
    monkeypatch.setattr(distill, "HELD_OUT", 3)
    monkeypatch.setitem(MODELS, "ours", Model("Ours", "tlmlp", "none", "MIT", "in tlmlp", make))
    return calls


def test_labels_are_made_once_and_of_one_teacher(quick, tmp_path, capsys):
    distill.label(tmp_path, "ours", trajectories=4)
    assert quick == [("Si", 0), ("Ge", 0), ("Si", 1), ("Ge", 1)]
    assert "Ge-001: 0 structures" in capsys.readouterr().out
    distill.label(tmp_path, "ours", trajectories=6)
    assert quick[4:] == [("Si", 2), ("Ge", 2)]
    with pytest.raises(typer.BadParameter, match="holds labels of ours: give another folder"):
        distill.label(tmp_path, "chgnet-0.3.0", trajectories=8)
    train, valid = distill.read(tmp_path, 6)
    assert (len(train), len(valid)) == (6, 4)  # two of three trajectories; Ge-001 has none
    (known,) = tlmlp.Potential.load("sige-dft-course").predict([train[0].copy()])
    assert train[0].get_potential_energy() == pytest.approx(known.get_potential_energy(), abs=1e-3)
    assert np.allclose(train[0].get_forces(), known.get_forces(), atol=1e-3)
    assert train[0].get_stress().shape == (6,)


def test_the_network_says_who_taught_it(quick, tmp_path):
    distill.label(tmp_path, "ours", trajectories=6)
    out = tmp_path / "distilled.safetensors"
    distill.train(tmp_path, "course", trajectories=6, steps=2, out=out)
    potential = tlmlp.Potential.load(out)
    info, teacher = potential.info, potential.info["teacher"]
    assert potential.trained == ("Si", "Ge")
    assert (teacher["words"], teacher["licence"], info["n"]) == ("Ours", "MIT", 6)
    assert info["command"] == "python -m research.universal.distill train FOLDER course"
    errors = potential.evaluate(datasets.dft("Ge", "test"))
    assert info["test_errors"]["force_mae"] == pytest.approx(errors.force_mae, abs=0.01)
    test = datasets.dft("Ge", "test")
    apart = [
        a.get_potential_energy() - b.get_potential_energy()
        for a, b in zip(potential.predict(test), test)
    ]
    spread = 1e3 * np.std([x / len(atoms) for x, atoms in zip(apart, test)])
    assert info["test_errors"]["energy_rmse"] == pytest.approx(spread, rel=0.01)
    held_out = potential.evaluate(distill.read(tmp_path, 6)[1])
    assert info["teacher_force_mae"] == pytest.approx(held_out.force_mae, rel=1e-3)


def test_a_distilled_network_is_a_source(tmp_path, monkeypatch):
    """Any network of both elements stands in for it."""
    monkeypatch.setattr(distilled, "NETWORK", "sige-dft-course")
    monkeypatch.setattr(distilled, "TRAINED", dict(steps=2, average=0.0, seed=0))
    first, *others = distilled.tasks()
    row = distilled.perform(first, tmp_path)
    assert (row["start"], row["steps"]) == ("then silicon", 2) and row["force_mae"] > 0
    for task in others[:2]:
        row = distilled.perform(task | dict(steps=1), tmp_path)
        assert (row["method"], row["n"], row["units"]) == ("transfer", 10, 1.0)
        assert row["before"] != row["force_mae"] > 0
    assert len({tuple(sorted(task.items())) for task in others}) == len(others) == 60
