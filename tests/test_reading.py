"""tlmlp.datasets.read: files of other programs, each label against the number written into it."""

import gzip
import re
import shutil
from contextlib import nullcontext

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixSymmetry, Hookean
from conftest import ROOT

import tlmlp
from tlmlp import datasets
from tlmlp.reading import KNOWN, RANKS

PAGE = ROOT / "docs" / "reading.md"

RNG = np.random.default_rng(0)
FORCES, STRESS = RNG.normal(size=(8, 3)), RNG.normal(size=(3, 3)) / 100
STRESS = (STRESS + STRESS.T) / 2
VOIGT = STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def silicon(**info):
    atoms = bulk("Si", cubic=True)
    atoms.info = info
    return atoms


def written(path, frames, **how):
    ase.io.write(path, frames, format="extxyz", **how)
    return path


@pytest.mark.parametrize(
    ("energy", "forces", "stress"),
    [
        ("REF_energy", "REF_forces", "REF_stress"),  # MACE
        ("dft_energy", "dft_force", "dft_stress"),
        ("DFT_energy", "DFT_forces", "DFT_virial"),
        ("energy", "force", "virial"),  # NEP, GAP
        ("Energy", "Forces", "virials"),
        ("energy_ref", "forces_ref", "virial_ref"),
        ("free_energy", "forces", "stress"),
    ],
)
def test_known_names(tmp_path, energy, forces, stress):
    """Lattices of another orientation, so that an order of components cannot hide."""
    atoms = silicon()
    volume = atoms.get_volume()
    tensor = -STRESS * volume if "virial" in stress else STRESS
    atoms.info |= {energy: -34.5, stress: tensor.ravel()}
    atoms.set_array(forces, FORCES)
    path = written(tmp_path / "mine.extxyz", [atoms, atoms])
    said = (energy, forces, stress) != ("free_energy", "forces", "stress")
    with pytest.warns(UserWarning, match=": read ") if said else nullcontext():
        frame = datasets.read(path)[1]
    assert frame.get_potential_energy() == -34.5
    np.testing.assert_allclose(frame.get_forces(), FORCES, atol=1e-8)
    np.testing.assert_allclose(frame.get_stress(), VOIGT, atol=1e-8)


def test_the_page_lists_what_is_read():
    """docs/reading.md: every name in its table is a known one, of the kind that it says."""
    rows = re.findall(r"^\| (energy|forces|stress) \| ([^|]*) \|", PAGE.read_text(), re.M)
    listed = [(kind, name) for kind, names in rows for name in re.findall("`(\\w+)`", names)]
    known = [(kind, name) for kind, names in RANKS.items() for name in names]
    assert sorted(listed) == sorted(known)
    for name in re.findall(r"`(\w+_\w+)`", PAGE.read_text().split("## Formats")[0]):
        if name not in ("energy_key", "my_virial", "frames_in_memory"):
            assert KNOWN.fullmatch(name), name


def test_names_of_their_own(tmp_path):
    atoms = silicon(E0=-30.0, my_virial=-STRESS * silicon().get_volume(), energy=7.0)
    atoms.set_array("F", FORCES)
    path = written(tmp_path / "own.extxyz", atoms)
    with pytest.warns(UserWarning, match="energy from 'E0', forces from 'F', stress .* by -W/V"):
        (frame,) = datasets.read(path, None, "E0", "F", "my_virial")
    assert frame.get_potential_energy() == -30.0
    np.testing.assert_allclose(frame.get_stress(), VOIGT, atol=1e-8)
    with pytest.raises(ValueError, match="frame 0 of .* has no 'E1': its names are .*'E0'"):
        datasets.read(path, energy_key="E1")
    with pytest.raises(ValueError, match="has no 'forces': .* forces_key of tlmlp.datasets.read"):
        datasets.read(path)


def test_labels_in_memory():
    atoms = silicon(REF_energy=-3.0)
    atoms.set_array("REF_forces", FORCES)
    with pytest.warns(UserWarning, match="the dataset: read energy from 'REF_energy'"):
        (frame,) = datasets.labelled([atoms])
    assert frame.get_potential_energy() == -3.0 and atoms.calc is None
    moved = frame.copy()
    moved.calc = frame.calc
    moved.positions[0, 0] += 0.1
    with pytest.raises(ValueError, match="labels of frame 0 are out of date"):
        datasets.labelled([moved])


def test_two_names_that_differ(tmp_path):
    """No guess is made between two numbers, and none where they are the same."""
    atoms = silicon(energy=-3.0, REF_energy=-4.0)
    atoms.set_array("forces", FORCES)
    path = written(tmp_path / "two.extxyz", atoms)
    with pytest.raises(ValueError, match="'REF_energy' and 'energy'|'energy' and 'REF_energy'"):
        datasets.read(path)
    with pytest.warns(UserWarning, match="REF_energy"):
        assert datasets.read(path, energy_key="REF_energy")[0].get_potential_energy() == -4.0
    assert datasets.read(path, energy_key="energy")[0].get_potential_energy() == -3.0
    same = silicon(energy=-3.0, REF_energy=-3.0)
    same.set_array("forces", FORCES)
    written(path, same)
    assert datasets.read(path, energy_key="energy")[0].get_potential_energy() == -3.0
    mixed = silicon(REF_energy=-3.0)
    mixed.set_array("forces", FORCES)
    plain = silicon(energy=-3.0)
    plain.set_array("forces", FORCES)
    written(path, [plain, mixed])
    with pytest.raises(ValueError, match="'energy' in frame 0 and 'REF_energy' in frame 1"):
        datasets.read(path)


@pytest.mark.parametrize("off, fine", [(5.0, False), (0.02, False), (1e-4, True)])
def test_two_total_energies_differ_by_more_than_rounding(tmp_path, off, fine):
    """A total of -6080 eV hides what is much to a potential."""
    atoms = silicon(energy=-6080.0, REF_energy=-6080.0 + off)
    atoms.set_array("forces", FORCES)
    path = written(tmp_path / "total.extxyz", atoms)
    if fine:
        with pytest.warns(UserWarning, match="read energy from 'REF_energy'"):
            datasets.read(path)
    else:
        with pytest.raises(ValueError, match="'REF_energy' and 'energy', which differ"):
            datasets.read(path)


def test_stress_and_virial_that_contradict(tmp_path):
    """The sign of a virial is GAP's; one of the other sign beside a stress is noticed."""
    atoms = silicon(energy=-3.0, stress=STRESS, virial=STRESS * silicon().get_volume())
    atoms.set_array("forces", FORCES)
    path = written(tmp_path / "sign.extxyz", atoms)
    with pytest.raises(ValueError, match="'stress' and 'virial', which differ"):
        datasets.read(path)


def test_free_energy(tmp_path):
    """Forces are its gradient. VASP's energy is extrapolated to no smearing."""
    atoms = bulk("Si")
    labels = dict(energy=-10.5, free_energy=-11.0, forces=[[0.5, 0, 0], [-0.5, 0, 0]])
    atoms.calc = SinglePointCalculator(atoms, **labels)
    path = written(tmp_path / "free.extxyz", atoms)
    with pytest.warns(UserWarning, match="'free_energy' .*up to 0.5 eV away"):
        (frame,) = datasets.read(path)
    assert frame.get_potential_energy() == frame.get_potential_energy(force_consistent=True) == -11
    (frame,) = datasets.read(path, energy_key="energy")
    assert (
        frame.get_potential_energy() == frame.get_potential_energy(force_consistent=True) == -10.5
    )
    assert tlmlp.frames.label(atoms, "energy") == -11.0  # also of frames that no file was read for


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints>
  <varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>
 </kpoints>
 <atominfo>
  <atoms>2</atoms>
  <array name="atoms"><set><rc><c>Si</c><c>1</c></rc><rc><c>Si</c><c>1</c></rc></set></array>
 </atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>0 2.7 2.7</v><v>2.7 0 2.7</v><v>2.7 2.7 0</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>0.25 0.25 0.25</v></varray>
 </structure>
 <calculation>
  <scstep>
   <energy><i name="e_fr_energy">-11.0</i><i name="e_0_energy">-10.5</i></energy>
  </scstep>
  <structure>
   <crystal><varray name="basis"><v>0 2.7 2.7</v><v>2.7 0 2.7</v><v>2.7 2.7 0</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v><v>0.26 0.25 0.25</v></varray>
  </structure>
  <varray name="forces"><v>0.5 0 0</v><v>-0.5 0 0</v></varray>
  <varray name="stress"><v>10 0 0</v><v>0 20 0</v><v>0 0 30</v></varray>
  <energy>
   <i name="e_fr_energy">-11.0</i><i name="e_wo_entrp">-10.0</i><i name="e_0_energy">-10.5</i>
  </energy>
 </calculation>
</modeling>
"""


def test_vasprun(tmp_path):
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    with pytest.warns(UserWarning, match="free_energy"):
        (frame,) = datasets.read(tmp_path / "vasprun.xml")
    assert frame.get_potential_energy() == -11.0
    # VASP's stress is in kbar, positive under pressure
    np.testing.assert_allclose(frame.get_stress()[:3] * 160.21766, [-1, -2, -3], rtol=1e-6)


def test_formats_that_hold_no_labels(tmp_path):
    """ASE gives a LAMMPS dump hydrogen and an energy of zero."""
    head = "ITEM: TIMESTEP\n1\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 6\n0 6\n0 6\n"
    atoms = "ITEM: ATOMS id type x y z fx fy fz\n1 1 0 0 0 .1 0 0\n2 1 2.3 0 0 -.1 0 0\n"
    for name in ("run.lammpstrj", "run.dump", "run.extxyz"):
        (tmp_path / name).write_text(head + atoms)
        with pytest.raises(ValueError, match="is a LAMMPS dump, which holds no energies"):
            datasets.read(tmp_path / name)
    ase.io.write(tmp_path / "POSCAR", bulk("Si"))
    with pytest.raises(ValueError, match="frame 0 has no 'energy'"):
        datasets.read(tmp_path / "POSCAR")
    unknown = Atoms("X2", [(0, 0, 0), (0, 0, 2)])
    with pytest.raises(ValueError, match="frame 0 has atoms 'X' without an element"):
        datasets.check([unknown])


@pytest.mark.parametrize(
    "name", ["si@300K.extxyz", "train.data", "si_OUTCAR.xyz", "mysql_1.extxyz"]
)
def test_names_of_files(tmp_path, monkeypatch, name):
    atoms = silicon(energy=-3.0)
    atoms.set_array("forces", FORCES)
    written(tmp_path / "plain.extxyz", [atoms] * 3)
    shutil.move(tmp_path / "plain.extxyz", tmp_path / name)
    assert len(datasets.read(tmp_path / name)) == 3
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(datasets.read(f"~/{name}")) == 3


def test_formats_by_name(tmp_path):
    atoms = silicon()
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=FORCES)
    ase.io.write(tmp_path / "mine.stuff", atoms, format="traj")
    assert datasets.read(tmp_path / "mine.stuff")[0].get_potential_energy() == -3.0  # by content
    (tmp_path / "mine.stuff").write_text("what?\n")
    with pytest.raises(ValueError, match="format of .*mine.stuff, stuff, is not known: .*'extxyz'"):
        datasets.read(tmp_path / "mine.stuff")
    with pytest.raises(ValueError, match="ASE cannot read structures"):
        datasets.read(tmp_path / "mine.stuff", format="extxyz")
    with gzip.open(tmp_path / "mine.extxyz.gz", "wb") as file:
        file.write(b"64\n" * 100_000)
    whole = (tmp_path / "mine.extxyz.gz").read_bytes()
    (tmp_path / "mine.extxyz.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "mine.traj.gz").write_bytes(whole[:20])
    (tmp_path / "mine.stuff.gz").write_bytes(whole[:30] + bytes(40) + whole[70:])
    (tmp_path / "mine.extxyz.xz").write_text("no compressed file")
    for name in ("mine.extxyz.gz", "mine.traj.gz", "mine.stuff.gz", "mine.extxyz.xz"):
        with pytest.raises(ValueError, match=f"{name}"):
            datasets.read(tmp_path / name)
    with pytest.raises(ValueError, match="xyzzy, is not known"):
        datasets.read(tmp_path / "mine.stuff", format="xyzzy")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ('energy="-5 eV"', "energy of frame 1 must be a number, not '-5 eV'"),
        ("energy", "energy of frame 1 must be a number, not (np.)?True"),
        ("", "frame 1 has no 'energy'"),
        ("energy=nan", "energy of frame 1 is not finite"),
        ('energy="1 2 3"', "energy of frame 1 has shape"),
    ],
)
def test_labels_of_a_wrong_type(tmp_path, labels, words):
    line = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 '
    atom = "Si 0 0 0 0 0 0\n"
    (tmp_path / "bad.extxyz").write_text(f"1\n{line}energy=-5\n{atom}1\n{line}{labels}\n{atom}")
    with pytest.raises(ValueError, match=words):
        datasets.read(tmp_path / "bad.extxyz")


def test_groups():
    """Numbers beside words are groups of their own; a list is none."""
    frames = []
    for group in ("a", 1, np.int64(1), "a"):
        atoms = silicon(group=group)
        atoms.calc = SinglePointCalculator(atoms, energy=-34.0, forces=FORCES)
        frames.append(atoms)
    potential = tlmlp.Potential.create("course", ("Si",))
    assert set(potential.evaluate(frames).groups) == {"a", "1"}
    frames[2].info["group"] = ["a", "b"]
    with pytest.raises(ValueError, match="'group' of frame 2 must be a word or a number"):
        potential.evaluate(frames)
    with pytest.raises(TypeError, match="not one Atoms"):
        potential.predict(frames[0])


def test_constraints_are_no_part_of_a_label(tmp_path):
    """A spring of 5 eV/Å², stretched by 1 Å, would add 2.5 eV."""
    atoms = silicon()
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=FORCES, stress=VOIGT)
    length = atoms.get_distance(0, 1)
    atoms.set_constraint([FixAtoms([0, 1, 2]), Hookean(0, 1, rt=length - 1, k=5)])
    assert atoms.get_potential_energy() == pytest.approx(-0.5)
    assert tlmlp.frames.label(atoms, "energy") == -3.0
    np.testing.assert_array_equal(tlmlp.frames.label(atoms, "forces"), FORCES)
    atoms.set_constraint(FixSymmetry(atoms, verbose=False))
    np.testing.assert_array_equal(tlmlp.frames.label(atoms, "stress"), VOIGT)
    atoms.set_constraint(FixAtoms([0, 1, 2]))
    path = written(tmp_path / "fixed.extxyz", atoms, write_results=True)
    np.testing.assert_allclose(
        tlmlp.frames.label(datasets.read(path)[0], "forces"), FORCES, atol=1e-8
    )
    ase.io.write(tmp_path / "fixed.traj", atoms)
    (frame,) = datasets.read(tmp_path / "fixed.traj")
    assert frame.constraints and np.array_equal(tlmlp.frames.label(frame, "forces"), FORCES)


def test_duplicates_on_both_sides():
    frames = []
    for seed in (0, 1, 2, 3, 0, 1, 2, 3):
        atoms = silicon()
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    with pytest.warns(UserWarning, match="of the 2 frames held out are also among those to train"):
        datasets.split(frames, 2)
    datasets.split(frames[:4], 2)  # without one


def test_isolated_atoms_fix_what_compositions_leave_open():
    """SiGe alone does not tell silicon's energy from germanium's; the atoms do."""
    frames, energies = [], {"Si": -100.0, "Ge": -200.0}
    for seed in range(4):
        atoms = bulk("SiGe", "zincblende", a=5.55, cubic=True)
        atoms.rattle(0.05, seed=seed)
        forces = np.zeros((8, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=8 * -155.0, forces=forces)
        frames.append(atoms)
    potential = tlmlp.Potential.create("course", ("Ge", "Si"))
    flat = lambda p: p.replace(
        params={m: {n: 0 * w for n, w in ws.items()} for m, ws in p.params.items()}
    )
    with pytest.warns(UserWarning, match="do not fix the reference energies of Ge and Si each"):
        tlmlp.train.shift_reference(flat(potential), frames)
    for symbol, energy in energies.items():
        atom = Atoms(symbol, cell=[20] * 3, pbc=True)
        atom.calc = SinglePointCalculator(atom, energy=energy, forces=np.zeros((1, 3)))
        frames.append(atom)
    reference = tlmlp.train.shift_reference(flat(potential), frames).reference
    assert reference == pytest.approx((-205.0, -105.0), abs=1e-3)
    *_, last = tlmlp.fit(potential, frames, steps=2)  # they are not trained on
    assert last.potential.reference == pytest.approx((-205.0, -105.0), abs=0.5)
    with pytest.raises(ValueError, match="all frames are isolated atoms"):
        next(tlmlp.fit(potential, frames[-2:], steps=2))


def test_a_virial_of_a_slab_is_left_out(tmp_path):
    atoms = silicon(energy=-3.0, virial=np.zeros(9))
    atoms.pbc = (True, True, False)
    atoms.arrays["forces"] = np.zeros((len(atoms), 3))
    with pytest.warns(UserWarning, match="read stress from 'virial'"):
        (frame,) = datasets.labelled([atoms])
    assert "stress" not in frame.calc.results and frame.get_potential_energy() == -3.0


def test_a_cluster_is_read(tmp_path):
    atoms = molecule("Si2H6")
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=np.zeros((8, 3)))
    (frame,) = datasets.read(written(tmp_path / "cluster.xyz", atoms))
    assert not frame.pbc.any() and frame.get_potential_energy() == -3.0
