"""Our own DFT: the generator in research/dft, its protocol, and the files that ship."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list
from ase.phonons import Phonons
from conftest import ROOT

from tlmlp import datasets
from tlmlp.course.sources import SOURCES

sys.path.insert(0, str(ROOT / "research" / "dft"))
import cp2k  # noqa: E402
import generate  # noqa: E402
import properties  # noqa: E402

needs_cp2k = pytest.mark.skipif(
    shutil.which("cp2k.psmp") is None, reason="CP2K is not installed: apt install cp2k"
)

# --- the recipe --------------------------------------------------------------------------------


def test_every_beginning_is_balanced():
    jobs = generate.order(["Si", "Ge"], 150, 40)
    assert len(set(jobs)) == len(jobs) == 380
    for n in range(40, 381, 2):
        count = Counter((element, split) for element, split, _ in jobs[:n])
        assert (
            count["Si", "train"] == count["Ge", "train"]
            and count["Si", "test"] == count["Ge", "test"]
        )
        share = [n * 40 // 150 for n in (count["Si", "train"] - 1, count["Si", "train"])]
        assert share[0] <= count["Si", "test"] <= share[1]
    for split in generate.SPLITS:
        for first in range(100):  # 15 in a row hold every kind in its share
            kinds = Counter(generate.recipe(split, i)[0] for i in range(first, first + 15))
            assert kinds == {"Solid": 5, "Liquid": 5, "Vacancy": 2, "Strained": 2, "High energy": 1}


def test_structure_repeats_and_is_its_own():
    """Number 29 is displaced at random, so it needs no potential: 0.045 lattice constants, and no
    one else's numbers.
    """
    ge, again, si = (generate.structure(element, "train", 29) for element in ("Ge", "Ge", "Si"))
    np.testing.assert_array_equal(ge.positions, again.positions)
    assert ge.info["group"] == "High energy" and ge.info["temperature"] is None
    for atoms in (ge, si):
        a = atoms.cell[0, 0] / 2
        assert a == pytest.approx(generate.ELEMENTS[atoms.info["element"]][0], rel=0.02)
        u = (
            atoms.get_scaled_positions()
            - bulk("Si", cubic=True, a=a).repeat(2).get_scaled_positions()
        )
        u = (u - u.round()) * 2 * a / generate.ELEMENTS[atoms.info["element"]][0]
        assert u.std() == pytest.approx(
            0.045, abs=4 * 0.045 / np.sqrt(2 * 192)
        )  # four standard errors
    assert (
        abs(
            np.corrcoef(
                ge.get_scaled_positions().ravel() % 0.25, si.get_scaled_positions().ravel() % 0.25
            )[0, 1]
        )
        < 0.5
    )


def test_alloys_meet_all_compositions():
    """Within 90 structures a kind meets each of its compositions at two temperatures or more."""
    met = {}
    for i in range(90):
        kind, fraction, composition = generate.recipe("train", i)
        met.setdefault((kind, composition), set()).add(fraction)
    assert set(met) == {(k, c) for k, own in generate.COMPOSITIONS.items() for c in own}
    assert min(map(len, met.values())) >= 2


def test_elements_of_an_alloy():
    """As many of the second element as asked for; ordered ones repeat the cell of eight atoms."""
    crystal, rng = bulk("Si", cubic=True).repeat(2), np.random.default_rng(0)
    for order, fraction in (
        ("random", 0.25),
        ("random", 1 / 64),
        ("ordered", 0.5),
        ("ordered", 0.75),
    ):
        symbols = generate.symbols("SiGe", order, fraction, crystal, rng)
        assert symbols.count("Ge") == 64 * fraction
        cells = np.array(symbols).reshape(8, 8)  # a cell's atoms stand together
        assert (order == "ordered") == (cells == cells[0]).all()
    zincblende = generate.symbols("SiGe", "ordered", 0.5, crystal, rng)
    i, j = neighbor_list("ij", crystal, 2.5)
    assert all(zincblende[a] != zincblende[b] for a, b in zip(i, j))
    assert set(generate.symbols("Ge", "random", 0.5, crystal, rng)) == {"Ge"}


def test_bonds_of_an_alloy_go_to_their_lengths():
    """A bond goes to the mean of its elements' own lengths, but for second order."""
    own = np.where(np.random.default_rng(0).random(64) < 0.5, 2.36, 2.46)
    lengths = (own[:, None] + own) / 2
    crystal = bulk("Si", cubic=True, a=4 / 3**0.5 * own.mean()).repeat(2)
    crystal.positions += generate.relaxation(crystal, lengths)
    i, j, d = neighbor_list("ijd", crystal, 3.0)
    assert len(d) == 4 * 64 and np.abs(d - lengths[i, j]).max() < 5e-3 < np.ptp(lengths)


# --- workers -----------------------------------------------------------------------------------


def stub(monkeypatch, label):
    def structure(element, split, index):
        atoms = bulk(element, cubic=True)
        atoms.info = dict(name=f"{element}-{split}-{index:03d}", group="Solid")
        return atoms

    monkeypatch.setattr(generate, "structure", structure)
    monkeypatch.setattr(generate, "label", label)


def labelled(atoms):
    atoms.calc = SinglePointCalculator(
        atoms, energy=-1.0, forces=np.zeros((8, 3)), stress=np.zeros(6)
    )
    atoms.info |= dict(seconds=1.0, scf_steps=1, entropy=0.0)
    return atoms


def test_workers_share_the_structures(monkeypatch, tmp_path):
    """Three workers at once: each structure is computed once."""
    computed = []

    def label(atoms):
        computed.append(atoms.info["name"])
        threading.Event().wait(0.01)
        return labelled(atoms)

    stub(monkeypatch, label)
    jobs = generate.order(["Si", "Ge"], 12, 3)
    silent = dict(say=lambda *a, **k: None)
    worker = lambda: threading.Thread(target=generate.run, args=(tmp_path, jobs), kwargs=silent)
    workers = [worker() for _ in range(3)]
    [worker.start() for worker in workers], [worker.join() for worker in workers]
    assert (
        sorted(computed) == sorted(p.stem for p in tmp_path.glob("*.extxyz"))
        and len(computed) == 30
    )


def test_another_recipe_begins_another_folder(monkeypatch, tmp_path):
    """A folder whose structures came about in another way is left alone."""
    stub(monkeypatch, labelled)
    jobs, silent = [("Si", "train", 0)], dict(say=lambda *a, **k: None)
    generate.run(tmp_path, jobs, **silent)
    generate.run(tmp_path, [("Ge", "train", 0)], **silent)  # another element may join
    before = sorted(tmp_path.iterdir())
    monkeypatch.setitem(generate.ELEMENTS, "Ge", (6.5, 1211.0))
    generate.run(tmp_path, jobs, **silent)
    with pytest.raises(SystemExit, match="was begun with another Ge: give another folder"):
        generate.run(tmp_path, [("Ge", "train", 1)], **silent)
    monkeypatch.setattr(generate, "FRICTION", 0.01)
    with pytest.raises(SystemExit, match="was begun with another drawn: give another folder"):
        generate.run(tmp_path, [("Si", "train", 1)], **silent)
    monkeypatch.setattr(generate, "FRICTION", 0.02)
    monkeypatch.setitem(generate.cp2k.PROTOCOL, "cutoff", 1)
    with pytest.raises(SystemExit, match="another protocol"):
        generate.run(tmp_path, [("Si", "train", 1)], **silent)
    assert sorted(tmp_path.iterdir()) == before


def test_killed_worker_loses_its_structure_alone(monkeypatch, tmp_path):
    code = f"""
import os, signal, sys
sys.path[:0] = {[str(ROOT / "research" / "dft"), str(ROOT / "tests")]}
import generate
from test_dft import labelled, stub
class Patch:
    setattr = staticmethod(setattr)
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
stub(Patch, lambda atoms: labelled(atoms) if atoms.info["name"] != "Si-train-002" else die())
generate.run(generate.Path({str(tmp_path)!r}), generate.order(["Si", "Ge"], 4, 0))
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True).returncode
        == -signal.SIGKILL
    )
    assert sorted(p.stem for p in tmp_path.glob("*.extxyz")) == [
        f"{e}-train-{i:03d}" for e in ("Ge", "Si") for i in (0, 1)
    ]

    computed = []
    stub(monkeypatch, lambda atoms: computed.append(atoms.info["name"]) or labelled(atoms))
    generate.run(tmp_path, generate.order(["Si", "Ge"], 4, 0), say=lambda *a, **k: None)
    assert computed == ["Si-train-002", "Ge-train-002", "Si-train-003", "Ge-train-003"]


def test_packed_files_are_read_back(monkeypatch, tmp_path):
    """To 1e-5 eV/Å and 1e-6 Å."""
    rng = np.random.default_rng(0)
    frames = {}
    for element, split, index in generate.order(["Si", "Ge"], 3, 1):
        atoms = generate.structure(element, "train", 29)
        atoms.info |= dict(
            name=f"{element}-{split}-{index:03d}",
            seconds=1.0,
            scf_steps=1,
            entropy=-0.1,
            protocol="p",
        )
        results = dict(
            energy=-7000.0, forces=rng.normal(0, 1e-3, (64, 3)), stress=rng.normal(0, 0.01, 6)
        )
        atoms.calc = SinglePointCalculator(atoms, **results)
        generate.ase.io.write(tmp_path / f"{atoms.info['name']}.extxyz", atoms)
        frames[atoms.info["name"]] = atoms
    (tmp_path / "Ge-train-001.extxyz").unlink()  # not there yet, so silicon's number 1 waits too
    monkeypatch.setattr(generate, "SHIPPED", tmp_path / "packed")
    monkeypatch.setattr(datasets, "DFT", tmp_path / "packed")
    generate.collect(tmp_path, ["Si", "Ge"])
    for element in ("Si", "Ge"):
        train = datasets.dft(element, "train")
        assert [f.info["name"] for f in train] == [f"{element}-train-000", f"{element}-train-002"]
        for atoms in train + datasets.dft(element, "test"):
            source = frames[atoms.info["name"]]
            assert atoms.info["temperature"] is None and atoms.info["seconds"] == 1
            np.testing.assert_allclose(atoms.positions, source.positions, atol=1e-6)
            np.testing.assert_allclose(atoms.get_forces(), source.get_forces(), atol=1e-5)
            np.testing.assert_allclose(atoms.get_stress(), source.get_stress(), atol=1e-8)
            assert atoms.get_potential_energy() == source.get_potential_energy()

    # what ships need not be computed again, where it is of the present protocol
    generate.unpack(tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())
    monkeypatch.setattr(generate.cp2k, "LINE", "p")
    generate.unpack(tmp_path / "again")
    assert len(list((tmp_path / "again").iterdir())) == 6
    monkeypatch.setattr(generate, "SHIPPED", tmp_path / "repacked")
    generate.collect(tmp_path / "again", ["Si", "Ge"])
    for name in ("Si-train", "Ge-test"):
        assert (tmp_path / "repacked" / f"{name}.extxyz.xz").read_bytes() == (
            tmp_path / "packed" / f"{name}.extxyz.xz"
        ).read_bytes()


# --- CP2K --------------------------------------------------------------------------------------


def germanium():
    """Eight atoms off their sites in a skewed cell."""
    atoms = bulk("Ge", cubic=True, a=5.78)
    atoms.rattle(0.1, seed=1)
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + [[0.02, 0, 0.01], [0, -0.01, 0.03], [0.01, 0.03, 0]]),
        scale_atoms=True,
    )
    return atoms


def test_output_without_an_answer():
    with pytest.raises(cp2k.NotConverged):
        cp2k.read_output("  *** SCF run NOT converged ***", 8)
    with pytest.raises(
        ValueError, match="incomplete output: 0 energies, 0 forces, 0 rows of stress"
    ):
        cp2k.read_output("", 8)


@needs_cp2k
def test_protocol_repeats(tmp_path):
    """What another run of the protocol gave, to the noise of its grids and iterations
    (convergence.csv).
    """
    stored = json.loads((ROOT / "tests" / "ge8.json").read_text())
    results = cp2k.compute(germanium(), tmp_path, kpoints=(4, 4, 4))
    assert results["energy"] == pytest.approx(stored["energy"], abs=8 * 0.1e-3)
    np.testing.assert_allclose(results["forces"], stored["forces"], atol=2e-3)
    np.testing.assert_allclose(results["stress"], stored["stress"], atol=0.02 * units.GPa)


@needs_cp2k
def test_no_convergence_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cp2k, "MAX_SCF", 2)
    with pytest.raises(cp2k.NotConverged):
        cp2k.compute(bulk("Si", cubic=True), tmp_path, kpoints=None)


@pytest.mark.long
@needs_cp2k
def test_forces_and_stress_are_derivatives(tmp_path):
    """Sign, unit and order, by central differences of the energy: along the forces, and under one
    strain of all six.
    """
    calculator = cp2k.CP2K(tmp_path, kpoints=(4, 4, 4))
    atoms = germanium()
    atoms.calc = calculator
    forces, stress = atoms.get_forces(), atoms.get_stress()
    direction = forces / np.linalg.norm(forces)
    strain = np.array([[0.3, 0.2, -0.4], [0.2, -0.5, 0.6], [-0.4, 0.6, 0.1]])

    def energy(h, e):
        moved = germanium()
        moved.positions += h * direction
        moved.set_cell(moved.cell.array @ (np.eye(3) + e * strain), scale_atoms=True)
        moved.calc = calculator
        return moved.get_potential_energy()

    assert (energy(-0.05, 0) - energy(0.05, 0)) / 0.1 == pytest.approx(
        np.linalg.norm(forces), rel=0.02
    )
    work = atoms.get_volume() * stress @ (strain.ravel()[[0, 4, 8, 5, 2, 1]] * [1, 1, 1, 2, 2, 2])
    assert (energy(0, 0.01) - energy(0, -0.01)) / 0.02 == pytest.approx(work, rel=0.02)


# --- properties --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sw():
    return datasets.stillinger_weber_calculator("Si")


def test_elastic_of_a_known_potential(sw):
    """Stillinger-Weber silicon: Cowley, PRL 60, 2379 (1988), and H. Balamane et al., PRB 46, 2250
    (1992).
    """
    values = properties.elastic("Si", 5.4309, sw)
    known = dict(c11=151.4, c12=76.4, c44=56.4)
    assert {name: values[name] for name in known} == pytest.approx(known, abs=0.3)
    eos = properties.equation_of_state("Si", 5.45, sw)
    assert eos["lattice_constant"] == pytest.approx(5.431, abs=2e-3)
    assert eos["bulk_modulus"] == pytest.approx(101.4, abs=1)


def test_phonons_against_ase(sw, tmp_path):
    """The cubic cell of 8 atoms folds three X onto Γ."""
    ours = properties.phonons("Si", 5.4309, sw)["frequencies"]
    cell = bulk("Si", cubic=True, a=5.4309)
    theirs = Phonons(
        cell, sw, supercell=(2, 2, 2), delta=properties.DISPLACEMENT, name=str(tmp_path / "phonons")
    )
    theirs.run()
    theirs.read(acoustic=True)
    energies = np.asarray(theirs.band_structure([[0, 0, 0]], verbose=False)).ravel()
    thz = np.sort(energies) / (units._hplanck * 1e12 / units._e)
    assert np.sort(ours["Γ"] + 3 * ours["X"])[3:] == pytest.approx(thz[3:], abs=0.02)


def test_vacancy_of_a_known_potential(sw):
    """2.82 eV in larger cells (Balamane et al., PRB 46, 2250); unrelaxed, the energy of an atom in
    the crystal.
    """
    values = properties.vacancy("Si", 5.4309, sw)
    assert values["vacancy_unrelaxed"] == pytest.approx(4.3366, abs=1e-3)
    assert values["vacancy"] == pytest.approx(2.82, abs=0.05)


# --- what ships --------------------------------------------------------------------------------


def test_shipped_files_are_those_of_the_index():
    index = json.loads((datasets.DFT / "index.json").read_text())
    assert len(index["files"]) == 10
    assert index["protocol"] == json.loads(
        json.dumps(cp2k.PROTOCOL | dict(name=cp2k.NAME, harder=cp2k.HARDER))
    )
    for name, entry in index["files"].items():
        data = (datasets.DFT / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], name
        assert len(datasets.dft(*name.split(".")[0].split("-"))) == entry["frames"]
    assert sum(path.stat().st_size for path in datasets.DFT.iterdir()) < 5e6


@pytest.mark.parametrize("split", generate.SPLITS)
def test_shipped_pair_is_symmetric(split):
    """The same numbers of the recipe for silicon and germanium, the first ones for tin and carbon;
    temperatures are the same fractions of melting.
    """
    reduced = []
    for element in ("Si", "Ge", "Sn", "C"):
        frames = datasets.dft(element, split)
        melting = generate.ELEMENTS[element][1]
        kinds = []
        for atoms in frames:
            symbol, where, number = atoms.info["name"].split("-")
            assert (symbol, where, atoms.info["source"], atoms.info["protocol"]) == (
                element,
                split,
                "dft",
                cp2k.name_of(atoms),
            )
            kind, fraction, _ = generate.recipe(split, int(number))
            assert atoms.info["group"] == kind and set(atoms.symbols) == {element}
            assert len(atoms) == (63 if kind == "Vacancy" else 64)
            assert atoms.info["phase"] == ("liquid" if (fraction or 0) > 1 else "crystal")
            t = atoms.info["temperature"]
            assert (
                t is None if fraction is None else t == pytest.approx(fraction * melting, abs=0.01)
            )
            kinds.append((number, kind))
        reduced.append(kinds)
    assert reduced[0] == reduced[1]
    for element, kinds in zip(("Sn", "C"), reduced[2:]):
        numbers = [int(number) for number, _ in kinds]
        failed = {*range(numbers[-1] + 1)} - {*numbers}  # the sampler brought atoms together
        assert failed == ({29} if (element, split) == ("C", "train") else set())


def test_shipped_alloys():
    """Compositions are those of the recipe; energies lie above the line of pure crystals."""
    assert [len(datasets.dft("SiGe", split)) for split in generate.SPLITS] == [91, 30]
    pure = {
        e: min(a.get_potential_energy() / len(a) for a in datasets.dft(e, "train"))
        for e in ("Si", "Ge")
    }
    for atoms in datasets.dft("SiGe", "train") + datasets.dft("SiGe", "test"):
        _, split, number = atoms.info["name"].split("-")
        kind, _, (order, fraction) = generate.recipe(split, int(number))
        assert (atoms.info["group"], atoms.info["order"]) == (kind, order)
        assert atoms.info["fraction"] == pytest.approx(fraction, abs=1e-5)
        x = np.mean(atoms.numbers == 32)
        assert x == pytest.approx(fraction, abs=1 / 63)
        line = (1 - x) * pure["Si"] + x * pure["Ge"]
        assert -0.01 < atoms.get_potential_energy() / len(atoms) - line < 1.5  # eV/atom
        assert atoms.info["protocol"] == cp2k.NAME


@pytest.mark.parametrize("element", ["Si", "Ge", "Sn", "C"])
def test_shipped_labels(element):
    """No net force; liquids less bound than solids; nothing twice."""
    train, test = datasets.dft(element, "train"), datasets.dft(element, "test")
    for atoms in train + test:  # eV/Å on 64 atoms: the grid's, which carbon feels more (README.md)
        assert np.abs(atoms.get_forces().sum(axis=0)).max() < (0.2 if element == "C" else 0.05)
        assert atoms.info["entropy"] <= 0
    energy = lambda group: [
        f.get_potential_energy() / len(f) for f in train + test if f.info["group"] == group
    ]
    assert max(energy("Solid")) < min(energy("Liquid"))
    numbers = {tuple(f.positions[0].tolist()) for f in train + test}
    assert len(numbers) == len(train + test)


@pytest.mark.parametrize("element, a", [("Si", 5.469), ("Ge", 5.784)])
def test_reference(element, a):
    """Lattice constants of VASP's PBE (mlearn, zero stress); energies against stresses, B = (C11 +
    2 C12) / 3.
    """
    reference = datasets.dft_reference(element)
    assert reference["eos"]["lattice_constant"] == pytest.approx(a, abs=0.01)
    assert SOURCES["dft"].lattice[element] == pytest.approx(
        reference["eos"]["lattice_constant"], abs=1e-3
    )
    c = reference["elastic"]
    assert (c["c11"] + 2 * c["c12"]) / 3 == pytest.approx(
        reference["eos"]["bulk_modulus"], rel=0.02
    )
    assert 0 < c["c44"] < c["c44_clamped_ions"]
    acoustic, optical = np.split(np.array(reference["phonons"]["frequencies"]["Γ"]), 2)
    assert (
        np.abs(acoustic).max() < 0.1 < optical.min() and np.ptp(optical) < 0.05
    )  # THz; threefold by symmetry
    assert reference["vacancy"]["vacancy"] < reference["vacancy"]["vacancy_unrelaxed"]


def test_dft_refuses():
    with pytest.raises(ValueError, match="element must be one of Si, Ge, Sn, C, SiGe, not 'Pb'"):
        datasets.dft("Pb", "train")
    with pytest.raises(ValueError, match="split must be one of train, test"):
        datasets.dft("Si", "valid")
