"""tlmlp.datasets: each label against another source, each error by its sentence."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, diamond100
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from tlmlp import datasets
from tlmlp.elements import ELEMENTS, element


@pytest.fixture
def mlearn_mirror():
    if "TLMLP_DATA" not in os.environ:
        pytest.skip(
            "needs the mlearn files: set TLMLP_DATA to a folder with mlearn/Si/training.json etc."
        )
    return Path(os.environ["TLMLP_DATA"])


@pytest.fixture(scope="module")
def sampled():
    """Silicon below and above its melting temperature, 30 frames each."""
    return datasets.stillinger_weber("Si", 60, temperatures=(600, 2500), seed=1)


def labelled(n=8, **info):
    atoms = bulk("Si", cubic=True).repeat((1, 1, 1))[:n]
    atoms.calc = SinglePointCalculator(atoms, energy=-4.0 * n, forces=np.zeros((n, 3)))
    atoms.info = info
    return atoms


def textbook(atoms, row):
    """Stillinger-Weber as the paper writes it: every pair and every triple, over 27 images of each
    atom.
    """
    shifts = (
        np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)])
        @ atoms.cell.array
    )
    energy = 0.0
    for center in atoms.positions:
        bonds = (atoms.positions[None] + shifts[:, None] - center).reshape(-1, 3) / row.sigma
        length = np.linalg.norm(bonds, axis=1)
        bonds, length = bonds[(length > 0) & (length < 1.8)], length[(length > 0) & (length < 1.8)]
        energy += 0.5 * np.sum(
            7.049556277 * (0.6022245584 * length**-4 - 1) * np.exp(1 / (length - 1.8))
        )
        for j in range(len(bonds)):
            for k in range(j):
                cosine = bonds[j] @ bonds[k] / length[j] / length[k]
                decay = np.exp(1.2 / (length[j] - 1.8) + 1.2 / (length[k] - 1.8))
                energy += row.lam * (cosine + 1 / 3) ** 2 * decay
    return energy * row.epsilon


def disordered(symbol, cells=(2, 2, 2), seed=0):
    """Atoms off their sites in a cell without any symmetry."""
    atoms = bulk(symbol, "diamond", a=element(symbol).lattice_constant, cubic=True).repeat(cells)
    atoms.rattle(0.12, seed=seed)
    deformation = np.eye(3) + [[0.02, 0.03, 0.0], [0.01, -0.01, 0.04], [0.0, -0.02, 0.03]]
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


# --- elements ----------------------------------------------------------------------------------


def test_element_unknown():
    with pytest.raises(ValueError, match="element 'C' is not known, use one of 'Si', 'Ge'"):
        element("C")


# --- Stillinger-Weber: the potential -----------------------------------------------------------


@pytest.mark.parametrize("symbol, lattice, cohesion", [("Si", 5.431, 4.3366), ("Ge", 5.6536, 3.86)])
def test_cohesive_energy(symbol, lattice, cohesion):
    """Published cohesive energies; the table's lattice constant is where the stress vanishes."""
    calculator = datasets.stillinger_weber_calculator(symbol)
    atoms = bulk(symbol, "diamond", a=lattice)
    atoms.calc = calculator
    assert atoms.get_potential_energy() / 2 == pytest.approx(-cohesion, abs=1e-4)
    atoms = bulk(symbol, "diamond", a=element(symbol).lattice_constant)
    atoms.calc = calculator
    np.testing.assert_allclose(atoms.get_stress(), 0, atol=0.01 * units.GPa)


@pytest.mark.parametrize("symbol", list(ELEMENTS))
def test_textbook_energy(symbol):
    atoms = disordered(symbol)
    atoms.calc = datasets.stillinger_weber_calculator(symbol)
    assert atoms.get_potential_energy() == pytest.approx(
        textbook(atoms, element(symbol)), abs=1e-6 * len(atoms)
    )


@pytest.mark.parametrize("symbol", list(ELEMENTS))
def test_forces_and_stress_are_derivatives(symbol):
    atoms = disordered(symbol, (1, 1, 1))
    atoms.calc = datasets.stillinger_weber_calculator(symbol)
    np.testing.assert_allclose(
        atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-5
    )
    np.testing.assert_allclose(
        atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7
    )


def test_small_cell_is_large_cell():
    """Two atoms in a skewed cell, and the same crystal with 54: energy per atom, forces, stress."""
    calculator = datasets.stillinger_weber_calculator("Ge")
    small = bulk("Ge", "diamond", a=5.8)
    small.rattle(0.1, seed=3)
    large = small.repeat(3)
    small.calc = large.calc = calculator
    energy, forces, stress = small.get_potential_energy(), small.get_forces(), small.get_stress()
    assert large.get_potential_energy() / 27 == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(
        large.get_forces().reshape(27, 2, 3), np.broadcast_to(forces, (27, 2, 3)), atol=1e-9
    )
    np.testing.assert_allclose(large.get_stress(), stress, atol=1e-9)


def test_open_directions():
    """A slab and a cluster are what they are in a periodic cell with enough vacuum; their stress is
    refused.
    """
    slab = diamond100("Si", (2, 2, 6), a=5.43, vacuum=0)
    cluster = bulk("Si", cubic=True).repeat(2)
    cluster.pbc, cluster.cell = False, None
    for atoms in (slab, cluster):
        atoms.rattle(0.1, seed=1)
        periodic = atoms.copy()
        periodic.center(vacuum=5, axis=np.flatnonzero(~atoms.pbc))
        periodic.pbc = True
        atoms.calc = periodic.calc = datasets.stillinger_weber_calculator("Si")
        assert atoms.get_potential_energy() == pytest.approx(
            periodic.get_potential_energy(), abs=1e-9
        )
        np.testing.assert_allclose(atoms.get_forces(), periodic.get_forces(), atol=1e-9)
        with pytest.raises(PropertyNotImplementedError, match="periodic in three directions"):
            atoms.get_stress()


def test_lonely_atom():
    atoms = Atoms("Si", calculator=datasets.stillinger_weber_calculator("Si"))
    assert atoms.get_potential_energy() == 0
    assert not atoms.get_forces().any()


@pytest.mark.parametrize(
    "atoms, sentence",
    [
        (bulk("SiGe", "zincblende", a=5.5), "knows Si alone, not Ge"),
        (Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]], pbc=True), "periodic direction has no cell vector"),
        (Atoms("Si2", [[0, 0, 0], [0, 0, np.nan]]), "not finite"),
    ],
)
def test_calculator_refuses(atoms, sentence):
    atoms.calc = datasets.stillinger_weber_calculator("Si")
    with pytest.raises(ValueError, match=sentence):
        atoms.get_potential_energy()


def test_float64_stays_inside():
    import jax.numpy as jnp

    atoms = bulk("Si")
    atoms.calc = datasets.stillinger_weber_calculator("Si")
    assert atoms.get_forces().dtype == np.float64
    assert jnp.ones(1).dtype == jnp.float32


# --- Stillinger-Weber: sampling ----------------------------------------------------------------


def test_labels_of_samples(sampled):
    datasets.check(sampled)
    for atoms in sampled[:2]:
        again = atoms.copy()
        again.calc = datasets.stillinger_weber_calculator("Si")
        assert atoms.get_potential_energy() == pytest.approx(
            textbook(atoms, element("Si")), abs=1e-6 * len(atoms)
        )
        np.testing.assert_allclose(atoms.get_forces(), again.get_forces(), atol=1e-9)
        np.testing.assert_allclose(atoms.get_stress(), again.get_stress(), atol=1e-12)


def test_temperatures_of_samples(sampled):
    """Kinetic energy of 30 frames of 192 degrees of freedom: 1.9 % standard error; 4 of them are
    allowed.
    """
    for target, phase in ((600, "crystal"), (2500, "liquid")):
        frames = [f for f in sampled if f.info["temperature"] == target]
        assert [f.info["phase"] for f in frames] == [phase] * 30
        assert np.mean([f.get_temperature() for f in frames]) == pytest.approx(target, rel=0.075)
    # Equipartition in a nearly harmonic crystal: as much potential as kinetic energy. Forces that
    # are wrong would show.
    excess = (
        np.mean(
            [f.get_potential_energy() / len(f) for f in sampled if f.info["phase"] == "crystal"]
        )
        + 4.3366
    )
    assert excess / 1.5 / units.kB == pytest.approx(600, rel=0.1)


def test_liquid_is_liquid(sampled):
    """Diamond has four neighbours and (220) reflections of full strength; liquid silicon more, and
    none.
    """
    from vesin import ase_neighbor_list

    wave = (
        2
        * np.pi
        / element("Si").lattice_constant
        * np.array([[2, 2, 0], [2, 0, 2], [0, 2, 2], [2, -2, 0]])
    )
    for phase in ("crystal", "liquid"):
        frames = [f for f in sampled if f.info["phase"] == phase]
        order = np.mean(
            [np.abs(np.exp(1j * f.positions @ wave.T).mean(axis=0)) ** 2 for f in frames]
        )
        coordination = np.mean([len(ase_neighbor_list("ij", f, 2.95)[0]) / len(f) for f in frames])
        if phase == "crystal":
            assert order > 0.85 and coordination == pytest.approx(4, abs=0.02)
        else:
            assert order < 0.1 and coordination > 4.4


def test_samples_are_apart(sampled):
    """Forces of successive frames of one trajectory do not resemble each other; times are those of
    the trajectory.
    """
    for phase in ("crystal", "liquid"):
        frames = [f for f in sampled if f.info["phase"] == phase]
        forces = np.array([f.get_forces().ravel() for f in frames])
        assert abs(np.mean(forces[1:] * forces[:-1]) / np.mean(forces**2)) < 0.2
        np.testing.assert_allclose([f.info["time"] for f in frames], 200.0 * np.arange(1, 31))


def test_seed():
    first, again = (
        datasets.stillinger_weber("Si", 2, temperatures=(600, 900), seed=5) for _ in range(2)
    )
    other = datasets.stillinger_weber("Si", 2, temperatures=(600, 900), seed=6)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        assert np.abs(a.get_distance(0, 1, mic=True) - c.get_distance(0, 1, mic=True)) > 1e-4


def test_order_and_marks_of_samples(sampled):
    """Frames alternate between the temperatures, and say where they come from."""
    assert [f.info["temperature"] for f in sampled] == [600, 2500] * 30
    marks = dict(source="stillinger-weber", element="Si", group="MD", phase="liquid")
    assert sampled[3].info == marks | dict(temperature=2500, step=200, time=400)
    few = datasets.stillinger_weber("Si", 5, temperatures=(500, 600, 700), seed=1)
    found = [(f.info["temperature"], f.info["step"]) for f in few]
    assert found == [(500, 100), (600, 100), (700, 100), (500, 200), (600, 200)]
    assert few[0].get_momenta().any()
    assert ((few[0].get_scaled_positions(wrap=False) >= -1e-9).all()) and few[0].pbc.all()


def test_all_temperatures_share_one_program(sampled):
    from tlmlp.simulate import steps

    compiled = steps.chunk._cache_size()
    datasets.stillinger_weber("Si", 2, temperatures=(400, 2700), seed=8)
    assert steps.chunk._cache_size() == compiled


def test_sampling_that_breaks_down_says_so():
    with pytest.raises(RuntimeError, match="Si at 1e\\+06 K broke down, lower the temperatures"):
        datasets.stillinger_weber("Si", 1, temperatures=(1e6,))


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (dict(element="Xx", n=3), "'Xx' is not known, use one of 'Si', 'Ge'"),
        (dict(element="Si", n=0), "positive integer, not 0"),
        (dict(element="Si", n=3, temperatures=(300, -1)), "temperatures must be positive"),
        (dict(element="Si", n=3, temperatures=()), "temperatures must be positive"),
        (dict(element="Si", n=3, cells=(1, 2, 2)), "integers of at least 2"),
    ],
)
def test_sampling_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.stillinger_weber(**arguments)


# --- mlearn ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "symbol, sizes", [("Si", (214, 25)), ("Ge", (228, 25)), ("Li", (241, 29)), ("Mo", (194, 23))]
)
def test_mlearn(mlearn_mirror, symbol, sizes):
    frames, test = datasets.mlearn(symbol, "train"), datasets.mlearn(symbol, "test")
    assert (len(frames), len(test)) == sizes
    for atoms in datasets.check(frames + test):
        assert set(atoms.symbols) == {symbol} and atoms.pbc.all()
        assert np.linalg.norm(atoms.get_forces().sum(axis=0)) < 0.05
        assert atoms.info["source"] == "mlearn" and atoms.info["element"] == symbol
        assert (atoms.info["temperature"] is None) == (atoms.info["group"] != "AIMD-NVT")
        if atoms.info["group"] in ("Elastic", "Surface"):
            assert atoms.info["phase"] == "crystal"
    phases = Counter(
        (f.info["temperature"], f.info["phase"]) for f in frames if f.info["group"] == "AIMD-NVT"
    )
    expected = {
        "Si": {
            (300, "crystal"),
            (843, "crystal"),
            (1518, "crystal"),
            (2530, "liquid"),
            (3374, "liquid"),
        },
        "Ge": {
            (300, "crystal"),
            (605, "crystal"),
            (1089, "liquid"),
            (1816, "liquid"),
            (2422, "liquid"),
        },
        "Li": {(300, "crystal"), (408, "crystal"), (680, "liquid"), (907, "liquid")},
        "Mo": {(300, "crystal"), (3000, "crystal"), (6000, "liquid")},
    }[symbol]
    assert set(phases) == expected
    if symbol in ("Si", "Ge"):
        assert phases == dict.fromkeys(expected, 18)


def test_mlearn_vacancies(mlearn_mirror):
    """By structure, whatever the energy said: nearly all bonds of a solid are near 2.4 Å, none is
    near 3.0 Å.
    """
    from vesin import ase_neighbor_list

    between = {"crystal": [], "liquid": []}
    for atoms in datasets.mlearn("Si", "train"):
        if atoms.info["group"] == "Vacancy":
            distances = ase_neighbor_list("ijd", atoms, 3.3)[2]
            between[atoms.info["phase"]].append(np.mean(distances > 2.7))
    assert max(between["crystal"]) < 0.2 < 0.35 < min(between["liquid"])


def elastic(symbol, mode):
    frames = [
        f
        for f in datasets.mlearn(symbol, "train") + datasets.mlearn(symbol, "test")
        if f"mode {mode}, strain" in f.info["description"]
    ]
    return {float(f.info["description"].split()[-1]): f for f in frames}


def test_mlearn_stress(mlearn_mirror):
    """Germanium is compressed at 5.7542 Å, so its cell wants to grow; stretched along x, it pulls
    back along x.
    """
    (rest,) = [f for f in datasets.mlearn("Ge", "train") if "Ground state" in f.info["description"]]
    assert rest.cell.lengths() / 2 == pytest.approx(5.7542, abs=1e-4)
    assert rest.get_stress()[:3] / units.GPa == pytest.approx(-0.96, abs=0.01)
    stretched = elastic("Ge", 0)[0.04].get_stress() / units.GPa
    assert stretched[0] > 2 and stretched[0] > stretched[1] + 2


@pytest.mark.parametrize(
    "symbol, mode", [*(("Si", k) for k in range(6)), *(("Mo", k) for k in range(1, 7))]
)
def test_mlearn_stress_is_derivative_of_energy(mlearn_mirror, symbol, mode):
    """Unit, sign and order: the work that a cell's own stress does from one strain to the next is
    its energy.
    """
    low, high = (elastic(symbol, mode)[strain] for strain in (0.02, 0.04))
    strain = np.linalg.solve(low.cell.array, high.cell.array) - np.eye(3)
    strain = ((strain + strain.T) / 2)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] * [1, 1, 1, 2, 2, 2]
    mean = (low.get_volume() * low.get_stress() + high.get_volume() * high.get_stress()) / 2
    difference = high.get_potential_energy() - low.get_potential_energy()
    assert difference > 0.1 and mean @ strain == pytest.approx(difference, rel=0.08)


@pytest.mark.parametrize(
    "symbol, index, own", [("Si", 15, (-0.50, 0.16, -0.23)), ("Ge", 14, (0.09, 0.51, 0.26))]
)
def test_mlearn_stress_of_dynamics(mlearn_mirror, symbol, index, own):
    """Frames of molecular dynamics list their shear in another order than strained cells; own:
    CP2K, yz xz xy in GPa.
    """
    shear = datasets.mlearn(symbol, "test")[index].get_stress()[3:] / units.GPa
    assert shear == pytest.approx(own, abs=0.1)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("C", "train"), "element must be one of Si, Ge, Li, Mo, not 'C'"),
        (("Si", "valid"), "split must be one of train, test, not 'valid'"),
    ],
)
def test_mlearn_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.mlearn(*arguments)


def test_mirror_altered(mlearn_mirror, tmp_path, monkeypatch):
    altered = tmp_path / "mlearn" / "Ge" / "test.json"
    altered.parent.mkdir(parents=True)
    shutil.copyfile(mlearn_mirror / "mlearn" / "Ge" / "test.json", altered)
    altered.write_text(altered.read_text().replace("-2", "-3", 1))
    monkeypatch.setenv("TLMLP_DATA", str(tmp_path))
    with pytest.raises(
        ValueError, match="not the published file .*replace it, or unset TLMLP_DATA"
    ):
        datasets.mlearn("Ge", "test")


def test_mirror_without_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TLMLP_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match="does not exist: put it there, or unset TLMLP_DATA"
    ):
        datasets.mlearn("Ge", "test")


@pytest.fixture
def download(tmp_path, monkeypatch):
    """A web server of our own in place of the public one, and an empty cache."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "served")

        def log_message(self, *args):
            pass

    (tmp_path / "served" / "Ge").mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("TLMLP_DATA", raising=False)
    monkeypatch.setattr(datasets, "MLEARN_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(datasets.pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    yield tmp_path
    server.shutdown()
    server.server_close()


def cached(folder):
    return [path for path in (folder / "cache").rglob("*") if path.is_file()]


def test_download(mlearn_mirror, download):
    """Fetched once; a damaged copy in the cache is fetched again."""
    served = download / "served" / "Ge" / "test.json"
    shutil.copyfile(mlearn_mirror / "mlearn" / "Ge" / "test.json", served)
    first = datasets.mlearn("Ge", "test")
    (copy,) = cached(download)
    copy.write_text("half a fi")
    assert len(datasets.mlearn("Ge", "test")) == 25
    served.unlink()
    assert (
        datasets.mlearn("Ge", "test")[7].get_potential_energy() == first[7].get_potential_energy()
    )


def test_download_altered(download):
    (download / "served" / "Ge" / "test.json").write_text(json.dumps([]))
    with pytest.raises(ValueError, match="not the published file"):
        datasets.mlearn("Ge", "test")
    assert cached(download) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", None], ids=["no network", "not found"])
def test_download_fails(download, monkeypatch, url):
    if url:
        monkeypatch.setattr(datasets, "MLEARN_URL", url)
    with pytest.raises(
        ConnectionError, match="connect to the network, or set TLMLP_DATA to a folder that holds"
    ):
        datasets.mlearn("Ge", "test")
    assert cached(download) == []


# --- any file ----------------------------------------------------------------------------------


def test_read(tmp_path):
    frames = [labelled(temperature=None, group="a"), labelled(5, temperature=300.0, group="b")]
    frames[1].calc.results["stress"] = np.arange(6) / 100
    write(tmp_path / "mine.extxyz", frames)
    back = datasets.read(tmp_path / "mine.extxyz")
    assert [f.info["temperature"] for f in back] == [None, 300.0]
    assert [f.get_potential_energy() for f in back] == [-32.0, -20.0]
    np.testing.assert_allclose(back[1].get_stress(), np.arange(6) / 100)


def test_read_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        datasets.read(tmp_path / "none.extxyz")
    (tmp_path / "text.extxyz").write_text("This is not a structure.\n")
    with pytest.raises(
        ValueError, match="ASE cannot read structures from .*text.extxyz|format of .*text.extxyz"
    ):
        datasets.read(tmp_path / "text.extxyz")
    (tmp_path / "empty.extxyz").write_text("")
    with pytest.raises(ValueError, match="empty"):
        datasets.read(tmp_path / "empty.extxyz")
    atoms = bulk("Si")
    atoms.info["E0"] = -8.0
    write(tmp_path / "other_names.extxyz", atoms)
    with pytest.raises(ValueError, match="frame 0 has no 'energy'.*'E0'"):
        datasets.read(tmp_path / "other_names.extxyz")


def test_check_names_the_first_bad_frame():
    for name, value in (
        ("forces", np.full((8, 3), np.nan)),
        ("energy", np.inf),
        ("stress", np.full(6, np.nan)),
    ):
        frames = [labelled() for _ in range(4)]
        for bad in frames[2:]:
            bad.calc.results[name] = value
        with pytest.raises(ValueError, match=f"{name} of frame 2 is not finite"):
            datasets.check(frames)
    moved, nowhere = labelled(), labelled()
    moved.positions[0, 0] += 0.1
    nowhere.positions[0, 0] = np.nan
    with pytest.raises(ValueError, match="'energy' of frame 1 is out of date"):
        datasets.check([labelled(), moved])
    with pytest.raises(ValueError, match="positions of frame 1 is not finite"):
        datasets.check([labelled(), nowhere])


def test_check_refuses():
    with pytest.raises(ValueError, match="dataset is empty"):
        datasets.check([])
    with pytest.raises(TypeError, match="list of ase.Atoms, not one Atoms"):
        datasets.check(labelled())
    with pytest.raises(TypeError, match="list of ase.Atoms, not a list with str"):
        datasets.check([labelled(), "mine.extxyz"])
    with pytest.raises(ValueError, match="frame 0 has no 'energy'"):
        datasets.check([bulk("Si")])
    no_forces, wrong = labelled(), labelled()
    del no_forces.calc.results["forces"]
    with pytest.raises(ValueError, match="frame 1 has no 'forces'"):
        datasets.check([labelled(), no_forces])
    wrong.calc.results["forces"] = np.zeros((7, 3))
    with pytest.raises(
        ValueError, match=r"forces of frame 0 has shape \(7, 3\), \(8, 3\) is needed"
    ):
        datasets.check([wrong])


# --- parts -------------------------------------------------------------------------------------


@pytest.fixture
def strata():
    """60 crystals, 30 liquids, 10 surfaces."""
    kinds = (
        [("MD", "crystal", 300)] * 60
        + [("MD", "liquid", 2000)] * 30
        + [("Surface", "crystal", None)] * 10
    )
    frames = [
        labelled(group=g, phase=p, temperature=t, index=i) for i, (g, p, t) in enumerate(kinds)
    ]
    for frame in frames:
        frame.positions[0, 0] += frame.info["index"] * 1e-3  # no two are the same
    return frames


@pytest.mark.parametrize("seed", range(5))
def test_subset_is_nested_and_stratified(strata, seed):
    all_of_them = datasets.subset(strata, 100, seed)
    assert sorted(f.info["index"] for f in all_of_them) == list(range(100))
    for n in (1, 7, 10, 20, 50):
        part = datasets.subset(strata, n, seed)
        assert all(a is b for a, b in zip(part, all_of_them, strict=False))
        for temperature, share in {300: 0.6, 2000: 0.3, None: 0.1}.items():
            assert abs(sum(f.info["temperature"] == temperature for f in part) - share * n) < 2
    ours, next_seed = datasets.subset(strata, 10, seed), datasets.subset(strata, 10, seed + 1)
    assert [f.info["index"] for f in ours] != [f.info["index"] for f in next_seed]


def test_subset_without_info():
    frames = [labelled() for _ in range(6)]
    assert len(datasets.subset(frames, 4, 0)) == 4


@pytest.mark.parametrize(
    "n, sentence",
    [
        (101, "101 frames were asked for, but there are only 100"),
        (0, "positive integer"),
        (2.0, "positive integer"),
    ],
)
def test_subset_refuses(strata, n, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.subset(strata, n, 0)


def test_split(strata):
    train, valid = datasets.split(strata, 0.2, seed=3)
    assert [f.info["index"] for f in valid] == [
        f.info["index"] for f in datasets.subset(strata, 20, seed=3)
    ]
    assert sorted(f.info["index"] for f in train + valid) == list(range(100))
    for n_valid in (0, 100, 1.5):
        with pytest.raises(ValueError, match="some must be left on both sides"):
            datasets.split(strata, n_valid)


def test_import_is_light():
    code = (
        "import sys, tlmlp.datasets; print({'jax_md', 'matplotlib', 'pymatgen'} & set(sys.modules))"
    )
    root = Path(datasets.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
