"""Potential: files that survive, errors that say what to do, a calculator that keeps its slots."""

import json
import os
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

import tlmlp
from tlmlp import checkpoint, forces, potential as potentials

TINY = tlmlp.Config("course", embed_size=8, n_blocks=1, n_spherical=2, n_dense_out=1, cutoff=3.0)


@pytest.fixture(scope="module")
def potential():
    return tlmlp.Potential.create(TINY, ("Si", "Ge"), seed=2).replace(
        reference=(-5.4, -4.5), trained=("Si",)
    )


@pytest.fixture
def atoms():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=0)
    return atoms


def test_saved_is_loaded(potential, atoms, tmp_path):
    file = potential.replace(info={"recipe": "none", "seed": 2}, core=1.7).save(
        tmp_path / "p.safetensors"
    )
    loaded = tlmlp.Potential.load(file)
    assert (loaded.config, loaded.elements, loaded.reference) == (TINY, ("Si", "Ge"), (-5.4, -4.5))
    assert (loaded.trained, loaded.info, loaded.core) == (
        ("Si",),
        {"recipe": "none", "seed": 2},
        1.7,
    )
    a, b = (p.predict([atoms])[0] for p in (potential, loaded))
    assert a.get_potential_energy() == b.get_potential_energy()
    assert list(tmp_path.iterdir()) == [file]


def test_weights_in_another_order_of_memory_are_saved_as_they_are(potential, tmp_path):
    turned = potential.replace(params=jax.tree.map(np.asfortranarray, potential.params))
    same = partial(jax.tree.map, np.testing.assert_array_equal, potential.params)
    same(tlmlp.Potential.load(turned.save(tmp_path / "p.safetensors")).params)
    file, state = tmp_path / "a.checkpoint", np.zeros(3, np.float32)
    settings = dict(start=checkpoint.sketch(potential.params))
    checkpoint.save(file, settings, state, turned, checkpoint.Best(turned, 0, 1.0))
    same(checkpoint.load(file, settings, state, potential)[2].potential.params)


def test_a_file_that_holds_no_potential_says_so(potential, tmp_path):
    good = potential.save(tmp_path / "good.safetensors").read_bytes()
    bad = tmp_path / "bad.safetensors"
    for content in (b"", good[: len(good) // 2], good[:-1], b"not at all safetensors"):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match="empty, truncated or not"):
            tlmlp.Potential.load(bad)
    import safetensors.numpy

    safetensors.numpy.save_file({"x": np.zeros(3)}, bad)
    with pytest.raises(ValueError, match="not a tlmlp potential"):
        tlmlp.Potential.load(bad)
    other = tlmlp.Potential.create(tlmlp.Config("course", embed_size=4, n_blocks=1, cutoff=3.0))
    potential.replace(params=other.params).save(bad)
    with pytest.raises(ValueError, match="do not fit"):
        tlmlp.Potential.load(bad)
    with pytest.raises(FileNotFoundError, match="give a file, or a name that ships such as si-"):
        tlmlp.Potential.load("si-unobtainium")


def test_a_save_that_fails_leaves_the_old_file(potential, tmp_path, monkeypatch):
    file = potential.save(tmp_path / "p.safetensors")
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        potential.replace(reference=(0.0, 0.0)).save(file)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_only_trained_elements_are_computed(potential, atoms):
    with pytest.raises(ValueError, match="trained on Si and has never seen Ge"):
        ge = bulk("Ge", cubic=True)
        ge.calc = potential.calculator()
        ge.get_potential_energy()
    with pytest.raises(ValueError, match="knows Si, Ge; it has never seen C"):
        potential.predict([bulk("C", "diamond", a=3.57)])
    for elements in ((), ("Si", "Si"), ("Xx",)):
        with pytest.raises(ValueError, match="chemical symbols"):
            tlmlp.Potential.create(TINY, elements)
    with pytest.raises(ValueError, match="preset"):
        tlmlp.Potential.create("enormous")


def test_calculator_and_predict_agree(potential, atoms):
    slab = bulk("Si", cubic=True).repeat((1, 1, 2))
    slab.center(6.0, axis=2)
    slab.rattle(0.1, seed=1)
    for frame, predicted in zip([atoms, slab], potential.predict([atoms, slab])):
        frame.calc = potential.calculator()
        assert frame.get_potential_energy() == pytest.approx(
            predicted.get_potential_energy(), abs=1e-4
        )
        np.testing.assert_allclose(frame.get_forces(), predicted.get_forces(), atol=1e-4)
        np.testing.assert_allclose(frame.get_stress(), predicted.get_stress(), atol=1e-5)
        assert frame.get_potential_energies().sum() == pytest.approx(frame.get_potential_energy())
        frame.calc = None


def test_reference_energies_are_added_in_double_precision(potential, atoms):
    shifted = potential.replace(reference=(-5.4 + 1000.0, 0.0))
    energies = [p.predict([atoms])[0].get_potential_energy() for p in (potential, shifted)]
    assert energies[1] - energies[0] == pytest.approx(8000.0, abs=1e-9)


def test_neighbours_are_kept_while_atoms_move_little(potential, atoms):
    atoms.calc = potential.calculator(skin=0.5)
    fresh = potential.calculator(skin=0.0)
    rng = np.random.default_rng(0)
    compiled = None
    for _ in range(20):
        atoms.positions += rng.normal(scale=0.01, size=(8, 3))
        expected = fresh.get_potential_energy(atoms.copy())
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=2e-5)
        compiled = compiled or forces.predict._cache_size()
    assert atoms.calc.rebuilds < 4 < fresh.rebuilds
    assert forces.predict._cache_size() <= compiled + 2  # at most another number of slots
    before = atoms.calc.rebuilds
    atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
    atoms.get_potential_energy()
    assert atoms.calc.rebuilds == before + 1


def test_wrong_use_of_the_calculator(potential, atoms):
    with pytest.raises(ValueError, match="float32"):
        potential.calculator(dtype="float16")
    with pytest.raises(ValueError, match="skin"):
        potential.calculator(skin=-1)
    atoms.calc = potential.calculator()
    atoms.positions[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        atoms.get_forces()


def test_energy_is_conserved_and_minimised(potential, atoms):
    """Forces are those of the energy, so dynamics keeps it and a relaxation lowers it."""
    atoms.calc = potential.calculator(dtype="float64")
    total = lambda: atoms.get_potential_energy() + atoms.get_kinetic_energy()
    before = total()
    VelocityVerlet(atoms, 1.0 * units.fs).run(50)
    assert atoms.get_kinetic_energy() > 0.001
    assert total() == pytest.approx(before, abs=0.01 * atoms.get_kinetic_energy() + 1e-4)
    start = atoms.get_potential_energy()
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=10)
    assert atoms.get_potential_energy() < start


def test_errors_are_what_they_say(potential, atoms):
    """Labels made by shifting the prediction by known amounts."""
    frames = []
    for group, de, df in (("a", 0.010, 0.1), ("b", -0.030, 0.2)):
        p = potential.predict([atoms])[0]
        labelled = atoms.copy()
        labelled.info["group"] = group
        labelled.calc = SinglePointCalculator(
            labelled,
            energy=p.get_potential_energy() + 8 * de,
            forces=p.get_forces() + df,
            stress=p.get_stress() + 0.5 * units.GPa,
        )
        frames.append(labelled)
    e = potential.evaluate(frames)
    assert e.energy_mae == pytest.approx(20, abs=1e-3) and e.energy_rmse == pytest.approx(
        np.sqrt(500), abs=1e-3
    )
    assert e.force_mae == pytest.approx(150, abs=1e-3) and e.force_rmse == pytest.approx(
        np.sqrt(25000), abs=1e-3
    )
    assert e.stress_rmse == pytest.approx(0.5, abs=1e-6)
    assert e.groups["b"].force_mae == pytest.approx(200, abs=1e-3) and e.groups["a"].frames == 1
    assert "meV/Å" in str(e) and "b " in str(e)


def test_energies_with_another_zero_are_shifted_and_it_is_said(potential, atoms):
    """Another method's energies: 100 eV/atom lower, and scattered by 10 and 30 meV/atom."""
    frames = []
    for group, de in (("a", -0.010), ("b", 0.030)):
        p = potential.predict([atoms])[0]
        labelled = atoms.copy()
        labelled.info["group"] = group
        energy = p.get_potential_energy() - len(atoms) * (100 + de)
        labelled.calc = SinglePointCalculator(labelled, energy=energy, forces=p.get_forces())
        frames.append(labelled)
    e = potential.evaluate(frames)
    assert e.shift == pytest.approx(100.01, abs=1e-4)
    assert e.energy_mae == pytest.approx(20) and e.groups["a"].energy_mae == pytest.approx(20)
    assert "100.01 eV/atom are subtracted" in str(e)
    same = potential.evaluate(potential.predict([atoms]))
    assert same.shift == 0 and "zeros" not in str(same)


def test_a_lone_atom_has_no_forces(potential):
    lone = Atoms("Si")
    lone.calc = potential.calculator()
    assert np.isfinite(lone.get_potential_energy()) and (lone.get_forces() == 0).all()
    with pytest.raises(Exception, match="stress"):
        lone.get_stress()


@pytest.mark.parametrize("name", potentials.shipped())
def test_what_ships_works_and_says_how_it_was_made(name):
    potential = tlmlp.Potential.load(name)
    assert (
        potential.info["recipe"] == name
        and potential.info["command"] == f"tlmlp train --recipe {name}"
    )
    assert potential.info["test_errors"]["force_rmse"] > 0
    head = potentials.header(name)
    assert head == potentials.header(potential) | {k: head[k] for k in ("format", "config")}


def test_nuclei_repel_below_the_shortest_distance_of_training(potential):
    """Nothing beyond it; ZBL well below it, where the network says anything it likes."""
    dimer = lambda d: Atoms("Si2", [(0, 0, 0), (0, 0, d)])
    with_core = potential.replace(core=1.9)
    energy = lambda p, d: p.calculator(dtype="float64", skin=0.0).get_potential_energy(dimer(d))
    for d in (1.9, 2.0, 2.9):
        assert energy(with_core, d) == energy(potential, d)
    # Ziegler, Biersack & Littmark at 0.1 Å, where the switch is still 1:
    # 14.4 eV Å · 14² / 0.1 Å · φ(0.1 / 0.12764)
    x = 0.1 * 2 * 14**0.23 / 0.4685
    phi = (
        0.18175 * np.exp(-3.1998 * x)
        + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.4029 * x)
        + 0.02817 * np.exp(-0.20162 * x)
    )
    assert energy(with_core, 0.1) - energy(potential, 0.1) == pytest.approx(
        14.3996 * 196 / 0.1 * phi, rel=1e-4
    )
    steps = np.linspace(1.89, 0.2, 30)
    added = np.array([energy(with_core, d) - energy(potential, d) for d in steps])
    assert (np.diff(added) > 0).all()
    close = dimer(1.2)
    close.calc = with_core.calculator(dtype="float64")
    assert close.get_forces()[1, 2] == pytest.approx(
        (energy(with_core, 1.2 - 1e-5) - energy(with_core, 1.2 + 1e-5)) / 2e-5, rel=1e-6
    )


def test_hot_silicon_keeps_its_atoms_apart():
    """A network alone lets two atoms of a hot liquid fall into one another, and energy is lost."""
    atoms = bulk("Si", cubic=True).repeat(2)
    rng = np.random.default_rng(3)
    atoms.set_velocities(
        rng.normal(size=(64, 3)) * np.sqrt(units.kB * 12000 / atoms.get_masses())[:, None]
    )
    atoms.calc = tlmlp.Potential.load("si-sw-course").calculator()
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    dynamics.run(100)
    total = atoms.get_total_energy()
    for _ in range(30):
        dynamics.run(10)
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(64, 1)]
        assert distances.min() > 1.0
    assert atoms.get_total_energy() == pytest.approx(total, abs=0.02 * atoms.get_kinetic_energy())


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc maps large memory afresh at every call"
)
def test_a_step_needs_no_new_pages():
    """After a few calls the memory is there: no page faults, which would cost half of a step."""
    code = """
import resource, numpy as np
from ase.build import bulk
import tlmlp
calculator = tlmlp.Potential.load("si-sw-course").calculator()
atoms = bulk("Si", cubic=True).repeat(5)
faults = []
for _ in range(8):
    atoms.rattle(1e-4)
    calculator.get_forces(atoms)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(np.diff(faults).tolist())
"""
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("MALLOC_") and k not in tlmlp.allocator.THEIRS
    }
    out = lambda env: json.loads(
        subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
        ).stdout
    )
    assert (
        min(out(clean)) < 500 < 10_000 < min(out(clean | {"MALLOC_ARENA_MAX": "8"}))
    )  # the user's own setting is respected


def test_what_numpy_and_pathlib_leave_in_info_is_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    info = dict(n=np.int64(3), mae=np.float32(2.5), curve=np.arange(3), data=Path("a/b"), note=None)
    potential = tlmlp.Potential.create("course", ("Si",)).replace(info=info)
    assert potential.save("~/mine.safetensors") == tmp_path / "mine.safetensors"
    back = tlmlp.Potential.load("~/mine.safetensors").info
    assert back == dict(n=3, mae=2.5, curve=[0, 1, 2], data="a/b", note=None)
    with pytest.raises(TypeError, match="info of a potential must be words, numbers, and lists"):
        potential.replace(info=dict(thing=object())).save(tmp_path / "new.safetensors")
    assert not (tmp_path / "new.safetensors").exists()


def test_what_cannot_be_computed_says_what_to_do():
    """A slab in a cell filter, a cell without a vector, no atoms, mad cells and positions."""
    calculator = tlmlp.Potential.load("si-sw-course").calculator()
    slab = bulk("Si", cubic=True)
    slab.pbc = (True, True, False)
    slab.calc = calculator
    with pytest.raises(PropertyNotImplementedError, match="relax positions without a cell filter"):
        FrechetCellFilter(slab).get_forces()
    assert np.isfinite(slab.get_forces()).all()
    flat = Atoms("Si2", [(0, 0, 0), (0, 0, 2.3)], cell=[6, 6, 0], pbc=True)
    tiny = Atoms("Si", cell=[0.01, 5, 5], pbc=True)
    dense = Atoms("Si30", np.random.default_rng(0).normal(size=(30, 3)), cell=[1] * 3, pbc=True)
    far = Atoms("Si2", [(0, 0, 0), (0, 0, 1e12)])
    for atoms, words in (
        (flat, "a periodic direction has no cell vector of its own"),
        (tiny, "a cell must be 0.3 Å high at least, this one is 0.01 Å"),
        (dense, "30 atoms in 1 Å³ are too dense"),
        (far, "positions within 1e6 Å of the origin"),
        (Atoms(), "no atoms"),
    ):
        atoms.calc = calculator
        with pytest.raises(ValueError, match=words):
            atoms.get_potential_energy()
        with pytest.raises(ValueError, match=words):
            tlmlp.Potential.load("si-sw-course").predict([atoms])


def test_errors_need_labels_and_say_so():
    potential = tlmlp.Potential.load("si-sw-course")
    with pytest.raises(ValueError, match="frame 0 has no 'energy'"):
        potential.evaluate([bulk("Si")])
    with pytest.raises(ValueError, match="the dataset is empty"):
        potential.evaluate([])
