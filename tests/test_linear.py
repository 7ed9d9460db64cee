"""tlmlp.splines and tlmlp.linear: splines against scipy, sums against every triple, fits."""

import itertools
from dataclasses import fields

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.interpolate import BSpline
from scipy.special import eval_legendre

import tlmlp
from tlmlp import alchemy, datasets, linear, simulate, splines, transfer
from tlmlp.course import rows
from tlmlp.graph import from_atoms
from tlmlp.splines import Splines

SMALL = Splines(cutoff=4.6, triple_cutoff=4.0, n_pair=9, n_triple=4, n_angle=4)


def crystal(symbols="Si8", seed=0):
    """Eight atoms off their sites in a sheared cell, smaller than twice the cutoff."""
    atoms = bulk("Si", cubic=True)
    atoms.symbols = symbols
    atoms.rattle(0.15, seed=seed)
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + [[0, 0.03, 0], [0, 0.02, 0], [0.01, 0, 0]]), True
    )
    return atoms


def random_potential(s=SMALL, elements=("Si",), seed=1):
    potential = tlmlp.Potential.create(s, elements)
    shape = potential.params["splines"]["weights"].shape
    weights = np.random.default_rng(seed).normal(size=shape)
    return potential.replace(params={"splines": {"weights": weights}})


def scipy_splines(start, end, n):
    """The n cubic B-splines on n intervals by scipy, as functions of distance."""
    h = (end - start) / n
    knots = lambda m: start + h * np.arange(m - 2, m + 3)
    return [BSpline.basis_element(knots(m), extrapolate=False) for m in range(-1, n - 1)]


def every_triple(potential, atoms):
    """Energy in eV: every pair and every triple of atoms and images, splines by scipy."""
    s, E = potential.config, len(potential.elements)
    pairs, triples = np.split(potential.params["splines"]["weights"], [s.sizes(E)[0]], axis=1)
    pairs, size = pairs.reshape(E, E, s.n_pair), E * s.n_triple
    triples = triples.reshape(E, s.n_angle, -1)
    two = scipy_splines(0.0, s.cutoff, s.n_pair)
    three = scipy_splines(s.triple_start, s.triple_cutoff, s.n_triple)
    at = lambda functions, r: np.array([np.nan_to_num(f(r)) for f in functions])
    row = [potential.elements.index(symbol) for symbol in atoms.symbols]
    shifts = np.array([*itertools.product(range(-2, 3), repeat=3)]) @ atoms.cell.array
    energy = 0.0
    for i, centre in enumerate(atoms.positions):
        found = []
        for k, place in enumerate(atoms.positions):
            for bond in place + shifts - centre:
                r = np.linalg.norm(bond)
                if 0 < r < s.cutoff:
                    energy += 0.5 * pairs[row[i], row[k]] @ at(two, r)
                    B = np.zeros((E, s.n_triple))
                    B[row[k]] = at(three, r)
                    found.append((bond / r, B.ravel()))
        for (u, B), (v, C) in itertools.combinations(found, 2):
            P = eval_legendre(np.arange(s.n_angle), u @ v)
            w = np.zeros((s.n_angle, size, size))
            w[:, *np.triu_indices(size)] = triples[row[i]]
            w = w + np.triu(w, 1).swapaxes(1, 2)
            energy += np.einsum("m,n,l,lmn->", B, C, P, w)
    return energy


def test_splines_are_those_of_scipy():
    r = np.linspace(1.9, 5.2, 200)
    with jax.enable_x64(True):
        ours = splines.basis(r[None], 2.0, 5.0, 7)[0]
    for mine, other in zip(ours, scipy_splines(2.0, 5.0, 7)):
        assert np.allclose(mine, np.nan_to_num(other(r)), atol=1e-12)


def test_legendre_polynomials_are_sums_over_monomials():
    u, v = np.random.default_rng(0).normal(size=(2, 1, 20, 3))
    u, v = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (u, v))
    with jax.enable_x64(True):
        products = splines.monomials(u, 6)[0] * splines.monomials(v, 6)[0]
    cosines = np.sum(u * v, -1)[0]
    for l, row in enumerate(splines.addition(6)):
        assert np.allclose(row @ np.asarray(products), eval_legendre(l, cosines), atol=1e-12)


@pytest.mark.parametrize("symbols, elements", [("Si8", ("Si",)), ("SiGe3SiGeSi2", ("Ge", "Si"))])
def test_energy_is_the_sum_over_every_pair_and_triple(symbols, elements):
    atoms, potential = crystal(symbols), random_potential(elements=elements)
    atoms.calc = potential.calculator("float64")
    assert atoms.get_potential_energy() == pytest.approx(every_triple(potential, atoms), abs=1e-8)


def test_forces_and_stress_are_derivatives_of_the_energy():
    atoms = crystal("SiGe3SiGeSi2")
    atoms.calc = random_potential(elements=("Ge", "Si")).calculator("float64")
    forces = calculate_numerical_forces(atoms, 1e-4, iatoms=[0, 3])
    assert np.allclose(atoms.get_forces()[[0, 3]], forces, atol=1e-5)
    assert np.allclose(atoms.get_stress(), calculate_numerical_stress(atoms, 1e-5), atol=1e-6)


def test_energy_does_not_change_when_atoms_are_renumbered_or_turned():
    potential, atoms = random_potential(elements=("Ge", "Si")), crystal("SiGe3SiGeSi2")
    other = atoms[np.random.default_rng(0).permutation(8)]
    other.rotate(50, (1, 2, 3), rotate_cell=True)
    other.positions += 0.7
    energies = []
    for frame in (atoms, other):
        frame.calc = potential.calculator("float64")
        energies.append(frame.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


def test_forces_go_to_zero_with_two_derivatives_at_the_cutoff():
    """A third atom comes in through both cutoffs; forces grow with the square of the way."""
    calculator = random_potential().calculator("float64", skin=0.0)

    def force(r):
        trimer = Atoms("Si3", [(0, 0, 0), (2.4, 0, 0), (0, 0, r)], calculator=calculator)
        return trimer.get_forces()[2, 2], trimer.get_potential_energy()

    (near, _), (nearer, _) = force(4.6 - 0.01), force(4.6 - 0.02)
    assert nearer / near == pytest.approx(4, rel=1e-3) and force(4.601)[0] == 0
    below, above = force(4.0 - 1e-5), force(4.0 + 1e-5)  # the cutoff of triples
    assert np.allclose(below, above, atol=1e-3 * np.abs(above).max())


@pytest.fixture(scope="module")
def known():
    """Structures with the energies, forces and stresses of a linear potential with references."""
    potential = random_potential(elements=("Ge", "Si")).replace(reference=(-3.0, -5.0))
    names = ("SiGe3SiGeSi2", "Si6Ge2", "Ge8", "Si8", "SiGe7", "Ge4SiGeSi2")
    frames = [crystal(name, seed) for seed in range(4) for name in names]
    calculator = potential.calculator("float64")
    for frame in frames:
        calculator.get_stress(frame)
        found = {name: calculator.results[name] for name in ("energy", "forces", "stress")}
        frame.calc = SinglePointCalculator(frame, **found)
    return potential, frames


def test_fit_finds_the_potential_that_made_the_data(known):
    _, frames = known
    fitted = linear.fit(frames, SMALL, curvature=1e-12, ridge=1e-12)
    assert fitted.elements == fitted.trained == ("Ge", "Si")
    errors = fitted.evaluate(frames)  # in single precision
    assert errors.force_rmse < 1 and errors.energy_rmse < 0.1 and errors.stress_rmse < 0.01


def test_design_times_weights_is_the_prediction(known):
    potential, frames = known
    with jax.enable_x64(True):
        graph = from_atoms(frames[0], potential.elements, SMALL.cutoff, np.float64)
        energy, forces, virial = map(np.asarray, linear.design(SMALL, 2, graph))
    weights = potential.params["splines"]["weights"].ravel()
    label = frames[0].calc.results
    reference = potential.reference_energies(frames[0]).sum()
    assert energy @ weights == pytest.approx(label["energy"] - reference, abs=1e-8)
    assert np.allclose((forces @ weights).T, label["forces"], atol=1e-8)
    stress = (virial @ weights) / frames[0].get_volume()
    assert np.allclose(np.diag(stress), label["stress"][:3], atol=1e-9)


def test_curvature_goes_on_as_a_straight_line_where_there_are_no_data(known):
    _, frames = known
    weights = linear.fit(frames, SMALL, curvature=1e-6).params["splines"]["weights"]
    pairs = weights[1, SMALL.n_pair : 2 * SMALL.n_pair]  # Si-Si; the first ones are below 1 Å
    assert np.abs(np.diff(pairs[:3], 2)) < 0.02 * np.ptp(pairs)


def test_energies_alone_are_enough_where_forces_have_no_weight(known):
    """The forces that a structure has then play no role."""
    _, frames = known
    silent = datasets.copies(frames)
    for atoms in silent:
        del atoms.calc.results["forces"]
    energies = linear.WEIGHTS._replace(force=0.0)
    one, other = (linear.fit(some, SMALL, weights=energies) for some in (frames, silent))
    assert one.evaluate(frames).force_mae == other.evaluate(frames).force_mae > 0
    assert one.evaluate(frames).energy_rmse < 1


def test_a_file_holds_the_same_potential(known, tmp_path):
    _, frames = known
    fitted = linear.fit(frames[:6], SMALL)
    again = tlmlp.Potential.load(fitted.save(tmp_path / "linear.safetensors"))
    assert again.config == SMALL and again.info == fitted.info
    assert again.evaluate(frames) == fitted.evaluate(frames)


def test_dynamics_keep_the_energy():
    """Splines fitted to Stillinger-Weber, in the engine that networks run in."""
    train = datasets.stillinger_weber_shipped("Si")[0][:12]
    fitted = linear.fit(train, Splines(4.5, 4.0, 2.0, 12, 4, 3))
    atoms = bulk("Si", cubic=True).repeat(2)
    snapshots = [*simulate.nve(fitted, atoms, 600, steps=100, every=100, timestep_fs=0.5)]
    total = [x.potential_energy + x.kinetic_energy for x in snapshots]
    assert abs(total[1] - total[0]) < 1e-3 * snapshots[0].kinetic_energy
    calculator = fitted.calculator("float64")
    energy = calculator.get_potential_energy(snapshots[1].atoms)
    assert energy == pytest.approx(snapshots[1].potential_energy, abs=1e-3)


def test_isolated_atoms_are_no_training_of_an_element():
    frame, atom = crystal(), Atoms("Ge", cell=[20] * 3, pbc=True)
    frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((8, 3)))
    atom.calc = SinglePointCalculator(atom, energy=-2.0, forces=np.zeros((1, 3)))
    found = linear.fit([frame, atom], SMALL)
    assert found.elements == ("Ge", "Si") and found.trained == ("Si",)


def test_bad_input_is_refused():
    frame, quiet = crystal(), crystal()
    frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((8, 3)))
    quiet.calc = SinglePointCalculator(quiet, energy=0.0)
    for words, error, call in (
        ("triple_cutoff must be at most", ValueError, lambda: Splines(triple_cutoff=7.0)),
        ("n_pair must be a whole number", ValueError, lambda: Splines(n_pair=2.5)),
        ("cutoff must be a positive", ValueError, lambda: Splines(cutoff=-1)),
        ("ridge must be a positive", ValueError, lambda: linear.fit([frame], ridge=0)),
        ("has no 'energy'", ValueError, lambda: linear.fit([crystal()])),
        (
            "weights must be three numbers",
            ValueError,
            lambda: linear.fit([frame], weights=(0, 0, 1)),
        ),
        ("weights must be three numbers", ValueError, lambda: linear.fit([frame], weights=None)),
        ("has no 'forces'", ValueError, lambda: linear.fit([quiet])),
        ("splines must be", TypeError, lambda: linear.fit([frame], tlmlp.Config())),
    ):
        with pytest.raises(error, match=words):
            call()


def test_what_needs_a_network_says_so():
    frame, potential = crystal(), random_potential(elements=("Ge", "Si"))
    frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((8, 3)))
    for call in (
        lambda: next(tlmlp.fit(potential, [frame], steps=1)),
        lambda: transfer.groups(potential),
        lambda: transfer.rescale(potential, 1.0, 2.0),
        lambda: transfer.start(potential.replace(trained=("Ge",)), "Si", [frame]),
        lambda: alchemy.AlchemicalCalculator(potential, ("Si", "Ge"), fractions=0.5),
    ):
        with pytest.raises(ValueError, match="needs a DimeNet"):
            call()


def test_the_rows_that_ship_are_those_of_a_fit():
    (row,) = [r for r in rows("linear") if (r["source"], r["element"]) == ("dft", "Ge")]
    chosen = Splines(**{field.name: row[field.name] for field in fields(Splines)})
    train, test = (datasets.dft("Ge", split) for split in ("train", "test"))
    fitted = linear.fit(train, chosen, curvature=row["curvature"])
    errors = fitted.evaluate(test, 1)
    assert errors.force_rmse == pytest.approx(row["force_rmse"], rel=1e-3)
    assert errors.energy_rmse == pytest.approx(row["energy_rmse"], rel=1e-2)
