"""Bundles for lammps-jax: their programs, run here as its pair style runs them on a card."""

import base64
import json
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from silicon import alloy
from test_lammps import silicon
from typer.testing import CliRunner

from tlmlp.cli import app
from tlmlp.lammps.export import bundle

ELEMENTS = ("Ge", "Si")  # of types 1 and 2: not the order of the potential
ATOMS, NEIGHBORS = 2200, 28


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The potential of silicon.alloy, which reaches beyond nearest neighbours, and its file."""
    potential = alloy(cutoff=4.4)
    return potential, potential.save(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def exported(tiny, out, **sizes):
    """The contract of a bundle, and its program for energy and forces as a function on the CPU."""
    pytest.importorskip("lammps_jax", reason="lammps-jax is not installed: tlmlp[lammps-jax]")
    bundle(tiny[1], ELEMENTS, out, **(dict(atoms=ATOMS, neighbors=NEIGHBORS) | sizes))
    written = json.loads(out.read_text())
    contract = written["contract"]
    N, E = contract["max_atoms"], contract["max_edges"]
    whole = lambda *shape: jax.ShapeDtypeStruct(shape, np.int32)
    with jax.enable_x64(True):
        x = jax.ShapeDtypeStruct((N, 3), np.float64)
        mask = jax.ShapeDtypeStruct((E,), bool)
        inputs = x, whole(N), whole(), whole(), whole(E), whole(E), mask
        shaped = jax.jit(lambda x, *rest: (x.sum(), x))  # the same inputs and outputs
        it = jax.export.export(shaped, platforms=("cpu",))(*inputs)
    program = base64.b64decode(written["programs"]["energy_and_forces_mlir_b64"])
    it = replace(it, mlir_module_serialized=program, module_kept_var_idx=tuple(range(len(inputs))))
    call = jax.jit(it.call)

    def run(*inputs):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, call(*inputs))

    return contract, run


def domain(atoms, own, contract, seed):
    """(inputs of the program, index of the atom that each row repeats) of a rank with some atoms.

    Its ghosts are what is promised, n_hops cutoffs around own atoms; bonds are in a random order,
    as a card lists them, with some that are longer than the cutoff. Padding points past the end.
    """
    reach, skin = contract["n_hops"] * contract["cutoff"], 0.5
    i, j, S = neighbor_list("ijS", atoms, reach)
    near = np.unique(np.column_stack([j, S])[np.isin(i, own)], axis=0)
    ghosts = near[np.any(near[:, 1:] != 0, 1) | ~np.isin(near[:, 0], own)]
    rows = np.concatenate([own, ghosts[:, 0]])
    all_ = atoms[rows]
    all_.positions[len(own) :] += ghosts[:, 1:] @ atoms.cell.array
    all_.pbc = False
    bonds = np.column_stack(neighbor_list("ij", all_, contract["cutoff"] + skin))
    np.random.default_rng(seed).shuffle(bonds)
    N, E = contract["max_atoms"], contract["max_edges"]
    assert len(rows) <= N and len(bonds) <= E
    positions, types = np.zeros((N, 3)), np.zeros(N, np.int32)
    positions[: len(rows)] = all_.positions
    types[: len(rows)] = [ELEMENTS.index(s) for s in all_.symbols]
    ends = np.full((2, E), N, np.int32)
    ends[:, : len(bonds)] = bonds.T
    counts = np.int32(len(own)), np.int32(len(ghosts))
    return (positions, types, *counts, *ends, np.arange(E) < len(bonds)), rows


def test_bundle_is_the_calculator(tiny, tmp_path):
    """Energy, forces and virial, on one rank and on two, with a skewed cell below twice its reach.

    The order in which bonds are listed changes no bit.
    """
    atoms = silicon(1, 2, 1, skewed=True)
    contract, run = exported(tiny, tmp_path / "tiny.json", platform="cpu")
    assert contract["n_hops"] == 3 and contract["n_species"] == 2
    left = atoms.get_scaled_positions()[:, 1] < 0.5
    atoms.calc = tiny[0].calculator()
    assert np.abs(atoms.get_forces()).max() > 0.1
    for ranks in ([left | True], [left, ~left]):
        energy, forces, virial = 0, np.zeros((len(atoms), 3)), np.zeros((3, 3))
        for seed, own in enumerate(map(np.flatnonzero, ranks)):
            inputs, rows = domain(atoms, own, contract, seed)
            e, f = run(*inputs)
            assert e.dtype == f.dtype == np.float64
            again = run(*domain(atoms, own, contract, seed + 7)[0])
            assert again[0] == e and np.array_equal(again[1], f)
            assert not f[len(rows) :].any()
            energy, virial = energy + e, virial + f[: len(rows)].T @ inputs[0][: len(rows)]
            np.add.at(forces, rows, f[: len(rows)])  # reverse communication
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6 * len(atoms))
        np.testing.assert_allclose(forces, atoms.get_forces(), atol=2e-5, rtol=0)
        stress = -virial / atoms.get_volume()
        np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=2e-7)


def test_bundle_gives_no_energy_where_slots_are_too_few(tiny, tmp_path):
    atoms = silicon(1, 1, 1)
    most = np.bincount(neighbor_list("i", atoms, tiny[0].config.cutoff)).max()
    for neighbors, fits in ((most, True), (most - 1, False)):
        sizes = dict(neighbors=int(neighbors), platform="cpu")
        contract, run = exported(tiny, tmp_path / f"{neighbors}.json", **sizes)
        energy, forces = run(*domain(atoms, np.arange(len(atoms)), contract, 0)[0])
        assert np.isfinite(energy) == fits and np.isfinite(forces).all() == fits


def test_bundle_for_a_card_is_written_without_one(tiny, tmp_path):
    """By the command, with the elements that it is given; a file is never overwritten."""
    pytest.importorskip("lammps_jax", reason="lammps-jax is not installed: tlmlp[lammps-jax]")
    out = tmp_path / "si.json"
    words = ["lammps-jax", "si-sw-course", "Si", "--atoms", "500", "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert written["export_info"]["platform"] == "cuda"
    promised = dict(max_atoms=500, max_edges=16000, cutoff=4.5, unit_style="metal", n_hops=3)
    assert promised.items() <= written["contract"].items()
    before = out.read_bytes()
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 1 and "exists: delete it" in again.output
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(elements=["Ge"]), "si-sw-course was trained on Si, so it has no forces for Ge"),
        (dict(elements=["Si", "NULL"]), "name an element, not NULL"),
        (dict(potential="si-none"), "no potential 'si-none'"),
        (dict(atoms=0), "atoms must be a whole number of at least 1, not 0"),
        (dict(neighbors=2.5), "neighbors must be a whole number of at least 1, not 2.5"),
        (dict(atoms=2**30), "atoms times neighbors must be less than"),
        (dict(platform="tpu"), "platform must be one of cuda, cpu, not 'tpu'"),
        (dict(out="nowhere/si.json"), "there is no folder nowhere"),
    ],
)
def test_bundle_refuses_in_one_sentence(tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    arguments = dict(potential="si-sw-course", elements=["Si"], out="si.json", atoms=500)
    with pytest.raises((ValueError, OSError), match=words) as error:
        bundle(**(arguments | change))
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_bundle_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps_jax.export", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tlmlp\[lammps-jax\]'"):
        bundle("si-sw-course", ["Si"], tmp_path / "si.json", atoms=500)
