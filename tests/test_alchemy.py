"""Alchemical atoms, mostly with weights that nobody trained: what must hold for any of them."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

import tlmlp
from tlmlp import alchemy, properties
from tlmlp.alchemy import AlchemicalCalculator

SMALL = dict(embed_size=8, n_spherical=3, out_size=8, n_dense_out=1, cutoff=3.8)
SMALL |= dict(n_residual_before=0, n_residual_after=0)
WAYS = ("nodes", "embedding")
SOME = [1, 2, 6]


@pytest.fixture(scope="module")
def potential():
    """Three elements, each with a reference energy; nuclei repel where bonds are shortest."""
    config = tlmlp.Config("course", **SMALL)
    fresh = tlmlp.Potential.create(config, ("C", "Si", "Ge"), seed=1)
    return fresh.replace(reference=(-3.0, -5.0, -4.0), core=2.4)


@pytest.fixture(scope="module")
def mixed():
    """Eight atoms of three elements in a skewed cell smaller than the cutoff in one direction."""
    atoms = bulk("Si", cubic=True)
    atoms.symbols[[0, 3]], atoms.symbols[[4]] = "Ge", "C"
    atoms.set_cell(atoms.cell.array + [[-2, 0, 0], [0.4, 0, 0], [-0.2, 0.3, 0]], scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def alchemical(potential, **options):
    return AlchemicalCalculator(potential, **dict(dtype="float64", skin=0.0) | options)


def results(atoms, calculator):
    atoms = atoms.copy()
    atoms.calc = calculator
    names = ("energies", "forces", "stress")
    return [np.array(calculator.get_property(name, atoms)) for name in names]


def equal(ours, theirs, accuracy=1e-10):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=accuracy)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", [None, SOME], ids=["all", "some"])
def test_at_both_ends_it_is_the_plain_potential(potential, mixed, way, which):
    calculator = alchemical(potential, which=which, way=way)
    for fraction, symbol in ((0, "Si"), (1, "Ge")):
        calculator.fractions = fraction
        pure = mixed.copy()
        pure.symbols[slice(None) if which is None else which] = symbol
        ours = results(mixed, calculator)
        equal(ours, results(pure, potential.calculator("float64")))
        if which:  # and each atom at an end of its own
            calculator.fractions = [0, fraction, 1]
            pure.symbols[which] = ["Si", symbol, "Ge"]
            equal(results(mixed, calculator), results(pure, potential.calculator("float64")))


@pytest.mark.parametrize("way", WAYS)
def test_shipped_weights_in_single_precision(mixed, way):
    potential = tlmlp.Potential.load("ge-dft-course-transfer").replace(trained=())
    atoms = bulk("Ge", cubic=True)
    atoms.rattle(0.1, seed=0)
    ours = results(atoms, AlchemicalCalculator(potential, fractions=0, which=[0, 5], way=way))
    atoms.symbols[[0, 5]] = "Si"
    equal(ours, results(atoms, potential.calculator()), 5e-6)


@pytest.mark.parametrize("way", WAYS)
def test_two_atoms_of_equal_weights_in_the_network_are_one(potential, mixed, way):
    """Two nodes of one element at one place send what one atom sends, and miss what it misses."""
    twins = {m: dict(w) for m, w in potential.params.items()}
    table = twins["dimenet/embedding"]["elements"].copy()
    table[2] = table[1]
    twins["dimenet/embedding"]["elements"] = table
    same = potential.replace(params=twins, reference=(-3.0, -5.0, -5.0), core=0.0)
    calculator = alchemical(same, fractions=[0.2, 0.7, 1], which=SOME, way=way)
    ours = results(mixed, calculator)
    equal(ours, results(mixed, same.calculator("float64")))
    np.testing.assert_allclose(calculator.results["slopes"], 0, atol=1e-10)


@pytest.mark.parametrize("way", WAYS)
def test_slopes_forces_and_stress_are_derivatives_of_the_energy(potential, mixed, way):
    start, h = np.array([0.3, 0.6, 0.9]), 1e-4
    calculator = alchemical(potential, fractions=start, which=SOME, way=way)
    atoms = mixed.copy()
    atoms.calc = calculator
    slopes = calculator.slopes(atoms)
    assert np.abs(slopes).min() > 1e-3
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, atol=1e-6 * np.abs(numerical).max())
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), numerical, atol=1e-6 * np.abs(numerical).max())
    assert np.abs(atoms.get_forces().sum(0)).max() < 1e-10
    for m, slope in enumerate(slopes):
        energy = []
        for step in (h, -h):
            calculator.fractions = start + step * (np.arange(3) == m)
            energy.append(atoms.get_potential_energy())
        assert (energy[0] - energy[1]) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("way", WAYS)
def test_slopes_at_an_end_are_those_inside(potential, mixed, way):
    """So that a path may begin where an element is pure."""
    calculator = alchemical(potential, which=4, way=way)
    at_end = calculator.slopes(mixed)
    calculator.fractions = 1e-6
    np.testing.assert_allclose(calculator.slopes(mixed), at_end, rtol=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_energy_knows_nothing_of_frames_and_labels(potential, mixed, way):
    fractions = np.linspace(0.1, 0.8, len(mixed))
    calculator = alchemical(potential, fractions=fractions, way=way)
    energy = lambda atoms: results(atoms, calculator)[0].sum()
    reference = energy(mixed)
    moved, turned = mixed.copy(), mixed.copy()
    moved.positions += [0.3, -1.2, 7.0]
    moved.wrap()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    assert energy(moved) == pytest.approx(reference, abs=1e-9)
    assert energy(turned) == pytest.approx(reference, abs=1e-9)
    order = np.random.default_rng(0).permutation(len(mixed))
    calculator.fractions = fractions[order]
    assert energy(mixed[order]) == pytest.approx(reference, abs=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_a_supercell_has_the_energy_of_its_cells(potential, mixed, way):
    """Periodic images of an alchemical atom are bonds of its nodes."""
    calculator = alchemical(potential, fractions=0.4, way=way)
    one, many = (results(atoms, calculator)[0] for atoms in (mixed, mixed.repeat((2, 1, 1))))
    np.testing.assert_allclose(np.tile(one, 2), many, atol=1e-10)


def test_pure_neighbours_may_have_one_node_or_two(potential, mixed):
    """Two layouts of the same graph: a second node of the weight 0 changes nothing."""
    fractions = np.linspace(0.9, 0.0, len(mixed))
    atoms = mixed.copy()
    atoms.symbols[-1] = "Si"
    every = alchemical(potential, fractions=fractions)
    some = alchemical(potential, fractions=fractions[:-1], which=range(len(mixed) - 1))
    equal(results(atoms, every), results(atoms, some))
    np.testing.assert_allclose(every.results["slopes"][:-1], some.results["slopes"], atol=1e-10)


@pytest.mark.parametrize("which", [None, [0]], ids=["all", "some"])
def test_molecules_and_isolated_atoms(potential, which):
    """Without a cell, and with places that have fewer neighbours than slots, or none."""
    atoms = Atoms("SiSiC", [(0, 0, 0), (0, 0, 2.3), (2, 0, 0.5)])
    for count in (1, 3):
        part = atoms[:count]
        part.calc = alchemical(potential, fractions=1, which=which)
        pure = part.copy()
        pure.symbols[slice(None) if which is None else which] = "Ge"
        pure.calc = potential.calculator("float64")
        assert part.get_potential_energy() == pytest.approx(pure.get_potential_energy(), abs=1e-10)
        np.testing.assert_allclose(part.get_forces(), pure.get_forces(), atol=1e-10)


@pytest.mark.parametrize("way", WAYS)
def test_energy_is_conserved_between_elements(potential, way):
    atoms = bulk("Si", cubic=True)
    atoms.set_masses(alchemy.masses(atoms, ("Si", "Ge"), 0.3, SOME))
    # skin: neighbours stay the same for some steps, and change with the nodes at others
    atoms.calc = AlchemicalCalculator(potential, fractions=0.3, which=SOME, way=way, skin=0.1)
    thermalize_momenta(atoms, temperature_K=600, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, 0.25 * units.fs)
    total, kinetic = [], []
    for _ in range(100):
        dynamics.run(2)
        total.append(atoms.get_total_energy())
        kinetic.append(atoms.get_kinetic_energy())
    assert np.std(total) < 0.01 * np.std(kinetic)


def test_new_fractions_are_computed_and_kept_apart(potential, mixed):
    calculator = alchemical(potential)
    atoms = mixed.copy()
    atoms.calc = calculator
    first = atoms.get_potential_energy()
    calculator.fractions = given = np.full(len(atoms), 0.5)
    second = atoms.get_potential_energy()
    assert abs(first - second) > 1e-3
    given[:] = 0.7
    assert atoms.get_potential_energy() == second and (calculator.fractions == 0.5).all()
    with pytest.raises(ValueError, match="read-only"):
        calculator.fractions[0] = 1


def test_symbols_of_alchemical_atoms_do_not_count(potential, mixed):
    calculator = alchemical(potential, fractions=0.5, which=SOME)
    renamed = mixed.copy()
    renamed.symbols[SOME] = "X"
    equal(results(renamed, calculator), results(mixed, calculator))


def test_masses_are_linear_in_the_fraction():
    atoms = Atoms("SiSiC")
    si, ge = Atoms("SiGe").get_masses()
    ours = alchemy.masses(atoms, ("Si", "Ge"), [0.25, 1.0], [0, 1])
    np.testing.assert_allclose(ours, [0.75 * si + 0.25 * ge, ge, atoms.get_masses()[2]])


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(fractions=1.1), "from 0 to 1"),
        (dict(fractions=-0.1), "from 0 to 1"),
        (dict(fractions=np.nan), "from 0 to 1"),
        (dict(fractions="half"), "from 0 to 1"),
        (dict(fractions=[[0.1]]), "from 0 to 1"),
        (dict(fractions=[0.1, 0.2], which=[0, 1, 2]), "each of the 3 alchemical atoms, not 2"),
        (dict(fractions=[0.1, 0.2]), "each of the 8 alchemical atoms, not 2"),
        (dict(which=[0, 8]), "index 8, but there are 8 atoms"),
        (dict(which=[-1]), "different indices"),
        (dict(which=[1, 1]), "different indices"),
        (dict(which=[]), "different indices"),
        (dict(which=[0.5]), "different indices"),
        (dict(which=[True, False]), "different indices"),
        (dict(pair=("Si", "Si")), "two different elements"),
        (dict(pair=("Si", "Xy")), "two different elements"),
        (dict(pair="Si"), "two different elements"),
        (dict(pair=("Si", "Sn")), "has never seen Sn"),
        (dict(way="magic"), "way must be one of embedding, nodes"),
        (dict(dtype="float16"), "dtype must be one of"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(potential, mixed, options, words):
    with pytest.raises(ValueError, match=words):
        mixed.copy().calc = calculator = AlchemicalCalculator(potential, **options)
        calculator.slopes(mixed)


def test_elements_without_training_are_refused(potential, mixed):
    half = potential.replace(trained=("C", "Si"))
    with pytest.raises(ValueError, match="has never seen Ge"):
        AlchemicalCalculator(half)
    with pytest.raises(ValueError, match="has never seen Ge"):
        AlchemicalCalculator(half, ("Si", "C"), which=1).slopes(mixed)


# -- what it is for --------------------------------------------------------------------


def with_rows(potential, rows):
    """The potential with other rows in its table of elements."""
    params = {module: dict(weights) for module, weights in potential.params.items()}
    params["dimenet/embedding"]["elements"] = rows
    return potential.replace(params=params)


@pytest.fixture(scope="module")
def stretched():
    """Shipped germanium beside "silicon": its row lies 20 times as far away as after the transfer.

    So they are two crystals with a difference that is worth the search, at no price of a training.
    """
    shipped = tlmlp.Potential.load("ge-dft-course-transfer").replace(trained=())
    silicon, germanium = shipped.params["dimenet/embedding"]["elements"]
    return with_rows(shipped, np.array([germanium + 20 * (silicon - germanium), germanium]))


@pytest.mark.parametrize("way", WAYS)
def test_the_composition_of_a_wanted_lattice_constant(stretched, way):
    calculator = AlchemicalCalculator(stretched, way=way, dtype="float64")
    path = list(alchemy.descend(calculator, bulk("Si", a=5.7), 5.85))
    assert 2 <= len(path) <= 6 and 0 < path[-1].fraction < 1
    constant = lambda: properties.lattice_constant(bulk("Si", cubic=True), calculator)
    assert calculator.fractions == path[-1].fraction
    assert constant() == pytest.approx(5.85, abs=1e-3)
    found = []
    for calculator.fractions in (0.49, 0.51):
        found.append(constant())
    assert path[0].fraction == 0.5
    assert path[0].slope == pytest.approx((found[1] - found[0]) / 0.02, rel=0.01)


def test_the_composition_of_a_wanted_bulk_modulus(stretched):
    calculator = AlchemicalCalculator(stretched, way="embedding", dtype="float64")
    crystal = bulk("Si", a=5.7)
    path = list(alchemy.descend(calculator, crystal, 56.5, "bulk_modulus", start=0.9))
    assert len(path) <= 8 and path[-1].value == pytest.approx(56.5, rel=1e-4)
    curve = properties.equation_of_state(crystal, calculator, span=0.01)
    assert curve.bulk_modulus == pytest.approx(56.5, rel=1e-3)
    assert calculator.fractions == path[-1].fraction


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((6.5,), "goes from 5.936 to 5.787 between the elements; 6.5 is outside"),
        ((5.8, "density"), "quantity must be one of lattice_constant, bulk_modulus"),
        ((-1.0,), "wanted must be a positive, finite number"),
        ((5.8, "lattice_constant", 1.5), "start must be a fraction"),
        ((5.8, "lattice_constant", 0.5, 0), "steps must be a whole number"),
    ],
)
def test_what_cannot_be_found_is_refused(stretched, arguments, words):
    calculator = AlchemicalCalculator(stretched, way="embedding")
    with pytest.raises(ValueError, match=words):
        next(alchemy.descend(calculator, bulk("Si", a=5.7), *arguments))


def test_a_search_that_is_cut_off_says_so(stretched):
    calculator = AlchemicalCalculator(stretched, way="embedding")
    with pytest.raises(RuntimeError, match="after 1 steps"):
        list(alchemy.descend(calculator, bulk("Si", a=5.7), 5.8, start=0.1, steps=1))


def test_two_names_of_one_element_have_the_same_free_energy(stretched):
    """But for the reference energies, which are not the network's."""
    rows = stretched.params["dimenet/embedding"]["elements"][[1, 1]]
    same = with_rows(stretched, rows).replace(core=0.0)
    low, high = same.reference
    calculator = AlchemicalCalculator(same, which=0, dtype="float64")
    atoms = bulk("Ge", cubic=True)
    *_, last = alchemy.integrate(calculator, atoms, 300, points=2, steps=10, blocks=2)
    assert last.free_energy == pytest.approx(high - low, abs=1e-7) and last.done == 1
    assert last.free_energy_error < 1e-7
    ours = alchemy.harmonic(calculator, atoms, 300)
    assert ours.free_energy == pytest.approx(high - low, abs=1e-7)


def test_integration_is_harmonic_in_a_cold_crystal(stretched):
    """One of eight atoms, where anharmonicity is below the errors and vibrations are above them."""
    atoms, temperature = bulk("Ge", a=5.75, cubic=True), 100
    calculator = AlchemicalCalculator(stretched, which=0, dtype="float64")
    harmonic = alchemy.harmonic(calculator, atoms, temperature)
    settings = dict(points=3, steps=400, equilibration=100, seed=1)
    calculator = AlchemicalCalculator(stretched, which=0)
    *_, last = alchemy.integrate(calculator, atoms, temperature, **settings)
    assert last.free_energy_error < 0.4 * abs(harmonic.vibrations)
    assert abs(last.free_energy - harmonic.free_energy) < 4 * last.free_energy_error
    assert harmonic.free_energy == harmonic.energy + harmonic.vibrations


def test_an_unstable_crystal_is_named(stretched):
    row, germanium = stretched.params["dimenet/embedding"]["elements"]
    opposite = with_rows(stretched, np.array([germanium - (row - germanium) / 2, germanium]))
    calculator = AlchemicalCalculator(opposite, which=0, dtype="float64")
    atoms = bulk("Si", a=5.75, cubic=True)
    with pytest.raises(RuntimeError, match="unstable at the fraction 0"):
        alchemy.harmonic(calculator, atoms, 100)
    with pytest.raises(RuntimeError, match="the crystal is unstable"):
        list(alchemy.integrate(calculator, atoms, 100, points=1, steps=400))


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(temperature_K=-1), "temperature_K must be a positive"),
        (dict(points=0), "points must be a whole number of at least 1"),
        (dict(blocks=1), "blocks must be a whole number of at least 2"),
        (dict(steps=5), "5 steps do not fill 10 blocks"),
        (dict(equilibration=0.5), "equilibration must be a whole number"),
        (dict(timestep=np.nan), "timestep must be a positive"),
    ],
)
def test_settings_of_an_integration_are_checked(stretched, options, words):
    calculator = AlchemicalCalculator(stretched, which=0)
    with pytest.raises(ValueError, match=words):
        next(alchemy.integrate(calculator, bulk("Ge"), **dict(temperature_K=300) | options))
