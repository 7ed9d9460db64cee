"""Every door of the library, tried with malformed structures, cells, labels and files (hypothesis).

What comes out is a number, or a sentence raised by our own code: no error of a library below, and
nothing that is not finite. 200 examples here, 5000 with `pytest -m long tests/test_doors.py`.
"""

import functools
import itertools
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from hypothesis import HealthCheck, example, given, settings, strategies as st
from silicon import TINY
from typer.testing import CliRunner

import tlmlp
from tlmlp import Potential, alchemy, datasets, properties as P, simulate, sweep, transfer
from tlmlp.cli import app
from tlmlp.properties.measured import measure

PACKAGE = str(Path(tlmlp.__file__).parent)
SENTENCES = (ValueError, TypeError, RuntimeError, OSError, FloatingPointError)
SENTENCES += (PropertyNotImplementedError,)


@functools.cache
def potential():
    return tlmlp.Potential.create(TINY, ("Si", "Ge")).replace(trained=("Si", "Ge"), core=1.0)


@functools.cache
def sw():
    return datasets.stillinger_weber_calculator("Si")


# -- what goes in --------------------------------------------------------------------------------

BAD = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e12])
COORDINATE = st.floats(-4, 8) | st.floats(-4, 8) | st.floats(-4, 8) | BAD
GROUPS = ["a", "b", 1, None, ["a"], {}, 2.5, np.arange(3)]
OTHERS = ["-5 eV", True, None, [1.0]]  # no energies
STRESSES = [None, None, np.zeros(6), np.eye(3), np.zeros(5), np.full(6, np.nan), "zero"]
KIND = st.sampled_from(["Si"] * 6 + ["Ge", "Ge", "X", "H", "Og"])


@st.composite
def cells(draw):
    which = draw(st.sampled_from("cube cube primitive skew left tiny flat none line nan".split()))
    a = draw(st.floats(3.0, 7.0))
    if which == "skew":
        strain = draw(st.lists(st.floats(-0.6, 0.6), min_size=9, max_size=9))
        return a * (np.eye(3) + np.reshape(strain, (3, 3)))
    return {
        "cube": a * np.eye(3), "primitive": a / 2 * (1 - np.eye(3)),
        "left": a * np.eye(3)[[1, 0, 2]],
        "tiny": np.diag([1e-3, a, a]), "flat": np.diag([a, a, 0]), "none": np.zeros((3, 3)),
        "line": a * np.ones((3, 3)), "nan": np.full((3, 3), np.nan),
    }[which]  # fmt: skip


@st.composite
def structures(draw, crystals=True):
    if crystals and draw(st.booleans()):
        atoms = bulk(draw(st.sampled_from(["Si", "Si", "Ge"])), cubic=draw(st.booleans()))
        atoms.rattle(draw(st.sampled_from([0.0, 0.0, 0.05])), seed=1)
        if draw(st.booleans()):
            atoms.rotate(draw(st.floats(0, 180)), (1, 2, 3), rotate_cell=True)
    else:
        n = draw(st.integers(0, 4))
        symbols = draw(st.lists(KIND, min_size=n, max_size=n))
        places = draw(st.lists(st.tuples(*[COORDINATE] * 3), min_size=n, max_size=n))
        atoms = Atoms(symbols, np.array(places).reshape(n, 3), cell=draw(cells()))
        atoms.pbc = draw(st.sampled_from([True, True, False, (1, 1, 0), (0, 0, 1)]))
    n = len(atoms)
    if draw(st.booleans()):
        atoms.set_constraint(FixAtoms([0] if n else []))
    if draw(st.integers(0, 9)) == 0 and n:
        atoms.set_masses([draw(st.sampled_from([0.0, -1.0, np.nan, 1e-9]))] * n)
    if draw(st.booleans()):
        atoms.info["group"] = draw(st.sampled_from(GROUPS))
    if draw(st.integers(0, 4)) == 0:
        atoms.info["notes"] = draw(st.sampled_from(["a\nb", [[1], [2, 3]], object(), None, {1: 2}]))
    return atoms


NUMBERS = st.sampled_from([-8.7] * 3 + [np.float32(-3), 0, 1e30, np.nan, np.inf] + OTHERS)


@st.composite
def frames(draw):
    atoms = draw(structures())
    n = len(atoms)
    forces = draw(st.sampled_from(["right"] * 5 + ["missing", "words", "short", "nan", "flat"]))
    results = dict(energy=draw(NUMBERS))
    if forces != "missing":
        results["forces"] = {
            "right": np.ones((n, 3)), "words": [["a"] * 3] * n, "short": np.ones((n + 1, 3)),
            "nan": np.full((n, 3), np.nan), "flat": np.ones(3 * n),
        }[forces]  # fmt: skip
    stress = draw(st.sampled_from(STRESSES))
    if stress is not None:
        results["stress"] = stress
    if draw(st.integers(0, 4)) == 0:
        results["free_energy"] = draw(NUMBERS)
    where = draw(st.sampled_from(["calc", "calc", "calc", "info", "none"]))
    if where == "calc":
        atoms.calc = SinglePointCalculator(atoms)
        atoms.calc.results |= {k: v for k, v in results.items() if v is not None}
    elif where == "info":
        before = draw(st.sampled_from(["", "REF_", "dft_", "my_"]))
        atoms.info |= {before + k: v for k, v in results.items() if k != "forces"}
        if np.shape(results.get("forces")) == (n, 3) and n:
            atoms.set_array(before + "forces", np.array(results["forces"]))
    return atoms


DATASETS = st.lists(frames(), min_size=0, max_size=3) | frames() | st.just([1]) | st.none()


# -- what comes out ------------------------------------------------------------------------------


def finite(*values, but=()):
    """No nan and no infinity, at any depth of lists, dicts and NamedTuples."""
    for value in values:
        if isinstance(value, dict):
            finite(*(v for k, v in value.items() if k not in but), but=but)
        elif hasattr(value, "_asdict"):
            finite(value._asdict(), but=but)
        elif isinstance(value, (list, tuple)):
            finite(*value, but=but)
        elif isinstance(value, (float, np.floating, np.ndarray)):
            assert np.all(np.isfinite(np.asarray(value, float))), value


def or_a_sentence(door, *arguments):
    """Run a door; an error must be raised by a line of this package."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            door(*arguments)
    except SENTENCES as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = last.filename.startswith(PACKAGE) and last.line.startswith("raise ")
        assert ours, "".join(traceback.format_exception(error))
        words = str(error)
        assert words and len(words) < 600 and "\n" not in words.strip(), words


SHAPE = [(8, 80)]  # one shape of structures: nothing is compiled twice


def check(data):
    for atoms in datasets.check(data):
        finite(tlmlp.frames.label(atoms, "energy"), tlmlp.frames.label(atoms, "forces"))


def label(data):
    check(datasets.labelled(data))


def predict(data):
    for atoms in potential().predict(data, SHAPE):
        finite(atoms.calc.results)


def evaluate(data):
    finite(potential().evaluate(data, SHAPE), but=("stress_rmse",))


def train(data):
    for p in tlmlp.fit(potential(), data, steps=1, shapes=SHAPE):
        finite(p.loss, p.energy_mae, p.force_mae, p.potential.reference)


def start(data):
    transfer.start(potential(), "Ge", data, shapes=SHAPE)


def soften(data):
    finite(P.softening(data, data), but=("error", "reverse", "share", "share_error"))


def split(data):
    datasets.split(datasets.check(data), 0.5)


OF_DATA = dict(check=25, label=25, predict=15, evaluate=15, train=12, start=8, soften=8, split=5)


def calculator(atoms):
    atoms = atoms.copy()
    atoms.calc = sw()
    finite(atoms.get_potential_energy(), atoms.get_forces(apply_constraint=False))
    if atoms.pbc.all():
        finite(atoms.get_stress(apply_constraint=False))


def molecular_dynamics(atoms):
    for s in itertools.islice(simulate.nvt(sw(), atoms, 300, steps=1, every=1), 1):
        finite(s.positions, s.temperature_K, s.potential_energy)


def structure(atoms):
    finite(P.radial_distribution(atoms, 5.0, 20), but=("error", "half_height"))
    finite(P.coordination(atoms, 2.8), but=("error", "share_error"))
    finite(P.tetrahedrality(atoms))


def diffusion(atoms):
    finite(P.diffusion([atoms] * 20, 10.0), but=("temperature_K",))


def elastic(atoms):
    finite(P.elastic(atoms, sw()), but=("lattice_constant",))


def equation_of_state(atoms):
    finite(P.equation_of_state(atoms, sw()), but=("lattice_constant",))


def phonons(atoms):
    finite(P.phonons(atoms, sw(), points=2, mesh=2))


def vacancy(atoms):
    finite(P.vacancy(atoms, sw()))


def lattice_constant(atoms):
    finite(P.lattice_constant(atoms, sw()))


OF_ATOMS = dict(calculator=15, molecular_dynamics=6, structure=10, diffusion=5, elastic=6)
OF_ATOMS |= dict(equation_of_state=4, phonons=5, vacancy=4, lattice_constant=4)
OBJECTS = dict(calculator=structures())  # what is no Atoms has no calculator
QUIET = dict(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
TIMES = 25  # as many examples in the long test


def tried(name, strategy, examples):
    how = settings(max_examples=examples, derandomize=examples < 100, database=None, **QUIET)
    how(given(strategy)(lambda value: or_a_sentence(globals()[name], value)))()


@pytest.mark.parametrize("door", OF_DATA)
def test_datasets(door):
    tried(door, DATASETS, OF_DATA[door])


@pytest.mark.parametrize("door", OF_ATOMS)
def test_structures(door):
    tried(door, OBJECTS.get(door, structures() | st.just([]) | st.none()), OF_ATOMS[door])


@pytest.mark.long
@pytest.mark.parametrize("door", [*OF_DATA, *OF_ATOMS])
def test_all_doors_for_long(door):
    of_data = door in OF_DATA
    strategy = OBJECTS.get(door, structures() | st.just([]) | st.none())
    strategy = DATASETS if of_data else strategy
    tried(door, strategy, TIMES * (OF_DATA if of_data else OF_ATOMS)[door])


# -- files ---------------------------------------------------------------------------------------

VALUES = ["-8.7", '"-5 eV"', "nan", "T", "", '"1 2 3"', "[1, 2", "{"]
VALUES = st.sampled_from([*VALUES, '"0 0 0 0 0 0 0 0 0"', '"0 0 0 0 0 0"'])
KEYS = st.sampled_from("energy REF_energy free_energy stress virial group forces pbc notes".split())
COLUMNS = ["species:S:1:pos:R:3:forces:R:3"] * 4 + ["species:S:1:pos:R:3", "pos:R:3"]
COLUMNS += ["species:S:1:pos:R:3:REF_forces:R:3", "species:S:2:pos:R:3"]
PROPERTIES = st.sampled_from(COLUMNS)
CELLS = ["5.4 0 0 0 5.4 0 0 0 5.4"] * 4 + ["0 0 0 0 0 0 0 0 0", "5 5 5", "nan " * 9]
CELLS = st.sampled_from(CELLS)


@st.composite
def files(draw):
    """Text of an extended xyz file that may be wrong anywhere."""
    text = ""
    for _ in range(draw(st.integers(0, 3))):
        n = draw(st.integers(0, 3))
        keys = draw(st.dictionaries(KEYS, VALUES, max_size=4)) | dict(energy=draw(VALUES))
        words = " ".join(f"{k}={v}" for k, v in keys.items())
        text += f'{n}\nLattice="{draw(CELLS)}" Properties={draw(PROPERTIES)} {words}\n'
        for i in range(n + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))):
            symbol = draw(st.sampled_from(["Si", "Si", "Si", "Ge", "X", "?", "1"]))
            text += f"{symbol} {i}.{i} 0 0.1 0.1 0 0\n"
    return text[: draw(st.integers(1, len(text) or 1))] if draw(st.integers(0, 5)) == 0 else text


def read(path):
    for atoms in datasets.read(path):
        finite(tlmlp.frames.label(atoms, "energy"), tlmlp.frames.label(atoms, "forces"))


def pair(path):
    other = path.with_name("other.extxyz")
    other.write_text(path.read_text() * 2)
    sweep.pair(path, other, [1], 1)


def command(path):
    """Of the command line, where data are wrong: an exit with a sentence, never a traceback."""
    result = CliRunner().invoke(app, ["train", str(path), "--valid", "5", "--steps", "1"])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    assert result.output.count("tlmlp:") >= 1, result.output


@pytest.mark.parametrize("door", ["read", "pair", "command"])
@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=pytest.mark.long)])
def test_files(door, examples, tmp_path):
    path = tmp_path / "mine.extxyz"

    @settings(max_examples=examples, derandomize=examples < 100, database=None, **QUIET)
    @given(files())
    @example("")
    def tries(text):
        path.write_text(text)
        or_a_sentence(globals()[door], path)

    tries()


@pytest.mark.parametrize("element", ["Si", "C", "", None, 14])
@pytest.mark.parametrize("only", [["lattice_constant"], ["nothing"], [], "c44", None])
def test_card(element, only):
    def door():
        for m in itertools.islice(measure(sw(), element, only=only), 1):
            finite(m.value)

    or_a_sentence(door)


# -- arguments -----------------------------------------------------------------------------------

CRYSTAL = bulk("Si", cubic=True)
BIG = CRYSTAL.repeat(2)
WRONG_ARGUMENTS = [
    lambda: P.surface("Si", sw(), np.nan),
    lambda: P.surface("Si", sw(), -5),
    lambda: P.surface("Si", sw(), 5.43, layers=9.5),
    lambda: P.surface("Ge", sw(), 5.43),
    lambda: P.phases("Si", sw(), -1),
    lambda: P.phases("Si", sw(), np.nan),
    lambda: P.liquid(Atoms(), sw(), 300),
    lambda: P.liquid(CRYSTAL, None, 300),
    lambda: P.liquid(None, sw(), 300),
    lambda: P.liquid(CRYSTAL, sw(), 300, timestep_fs=0),
    lambda: P.liquid(CRYSTAL, sw(), 300, timestep_fs=np.nan),
    lambda: P.liquid(CRYSTAL, sw(), "hot"),
    lambda: P.vacancy(BIG, sw(), index=64),
    lambda: P.vacancy(BIG, sw(), index=-1),
    lambda: P.vacancy(BIG, None),
    lambda: P.vacancy(BIG, sw(), index="a"),
    lambda: P.vacancy(BIG, sw(), index=2.5),
    lambda: P.migration(BIG, sw(), images=0),
    lambda: P.migration(BIG, sw(), images=2.5),
    lambda: P.migration(BIG, sw(), index=99),
    lambda: P.elastic(CRYSTAL, None),
    lambda: P.elastic("Si", sw()),
    lambda: P.elastic(CRYSTAL, sw(), strain=np.nan),
    lambda: P.elastic(CRYSTAL, sw(), strain="a"),
    lambda: P.phonons(CRYSTAL, sw(), path="QW"),
    lambda: P.phonons(CRYSTAL, sw(), points=0),
    lambda: P.phonons(CRYSTAL, sw(), mesh=0),
    lambda: P.phonons(CRYSTAL, sw(), supercell="a"),
    lambda: P.phonons(CRYSTAL, sw(), displacement=0),
    lambda: P.phonons(CRYSTAL, sw(), temperatures=[-5]),
    lambda: P.phonons(CRYSTAL, sw(), supercell=2.7),
    lambda: P.phonons(CRYSTAL, sw(), displacement=np.nan),
    lambda: P.radial_distribution(CRYSTAL, farthest=np.nan),
    lambda: P.radial_distribution(CRYSTAL, bins=1),
    lambda: P.radial_distribution(CRYSTAL, farthest=1e4),
    lambda: P.coordination(CRYSTAL, cutoff=-1),
    lambda: P.coordination(CRYSTAL, cutoff=np.nan),
    lambda: P.coordination(CRYSTAL, cutoff="a"),
    lambda: P.radial_distribution(CRYSTAL, blocks=0),
    lambda: P.tetrahedrality(None),
    lambda: P.tetrahedrality(Atoms("Si")),
    lambda: P.structure.first_minimum(Atoms("Si")),
    lambda: P.diffusion([CRYSTAL] * 50, 10.0, blocks=0),
    lambda: P.diffusion([CRYSTAL] * 25 + [BIG] * 25, 10.0),
    lambda: P.diffusion([CRYSTAL] * 50, np.nan),
    lambda: P.diffusion([CRYSTAL] * 50, "a"),
    lambda: P.equation_of_state(CRYSTAL, sw(), span=0),
    lambda: P.equation_of_state(CRYSTAL, sw(), span=np.nan),
    lambda: P.equation_of_state(CRYSTAL, None),
    lambda: P.lattice_constant(CRYSTAL, None),
    lambda: P.softening(CRYSTAL, sw()),
    lambda: P.softening([CRYSTAL], None),
    lambda: P.softening([CRYSTAL], [CRYSTAL, CRYSTAL]),
    lambda: network().calculator("float16"),
    lambda: network().calculator(skin=-1),
    lambda: network().calculator(skin=np.nan),
    lambda: network().calculator(skin="a"),
    lambda: network().calculator(skin=np.inf),
    lambda: network().predict("a"),
    lambda: network().predict(None),
    lambda: network().predict([CRYSTAL], shapes=0),
    lambda: network().predict([CRYSTAL], shapes=[(1, 1)]),
    lambda: network().predict([CRYSTAL], shapes="a"),
    lambda: Potential.create("nope"),
    lambda: Potential.create("course", "Si"),
    lambda: Potential.create("course", ("Si", "Si")),
    lambda: Potential.create("course", ()),
    lambda: Potential.create("course", ("Si",), seed="a"),
    lambda: Potential.create(None),
    lambda: Potential.create("course", ("Si",), seed=-1),
    lambda: Potential.load(""),
    lambda: Potential.load(None),
    lambda: transfer.start(network(), "Xx", [CRYSTAL]),
    lambda: transfer.start(None, "Ge", [CRYSTAL]),
    lambda: transfer.start(network(), "Ge", [CRYSTAL]),
    lambda: transfer.freeze(network(), ["x"]),
    lambda: transfer.rescale(network(), np.nan, 1),
    lambda: transfer.rescale(network(), "a", 1),
    lambda: datasets.subset([CRYSTAL], 2),
    lambda: datasets.subset([CRYSTAL], "a"),
    lambda: datasets.split([CRYSTAL, CRYSTAL], np.nan),
    lambda: datasets.split([CRYSTAL], 0.5),
    lambda: datasets.split([CRYSTAL, CRYSTAL], "a"),
    lambda: datasets.read(None),
    lambda: datasets.dft("Pb", "train"),
    lambda: datasets.mlearn("Si", "valid"),
    lambda: P.surface("Qq", sw(), 5.43),
    lambda: P.phases("Qq", sw(), 5.43),
    lambda: simulate.nvt(None, BIG, 300),
    lambda: simulate.nvt("nothere", BIG, 300),
    lambda: simulate.nvt(sw(), BIG, np.nan),
    lambda: simulate.nvt(sw(), BIG, 300, skin="a"),
    lambda: simulate.nvt(sw(), BIG, 300, trajectory=5),
    lambda: simulate.nvt(sw(), BIG, 300, seed="a"),
    lambda: simulate.nvt(sw(), BIG, 300, seed=-1),
    lambda: simulate.npt(sw(), BIG, 300, pressure_GPa=np.nan),
    lambda: simulate.nvt(sw(), BIG, True),
    lambda: simulate.nvt(sw(), BIG, 300, timestep_fs=True),
    lambda: next(simulate.nvt(alchemical(), BIG, 300, steps=1)),  # its fractions would be lost
    lambda: list(simulate.nve(sw(), BIG, 300, steps=4, every=lambda: 0)),
    lambda: alchemy.harmonic(sw(), CRYSTAL, 300),
    lambda: next(alchemy.integrate(sw(), CRYSTAL, 300)),
    lambda: next(alchemy.descend(sw(), CRYSTAL, "lattice_constant", 5.5)),
    lambda: P.vacancy(bulk("SiGe", "zincblende", a=5.5, cubic=True).repeat(2), sw()),
    lambda: P.diffusion([Atoms("Si2", pbc=True)] * 20, 10.0),
    lambda: next(tlmlp.fit(potential(), [labelled(CRYSTAL)], learning_rate=np.inf)),
    lambda: next(tlmlp.fit(potential(), [labelled(CRYSTAL)], learning_rate=True)),
    lambda: next(tlmlp.fit(potential(), [labelled(CRYSTAL)], weights=(1, np.nan, 0))),
    lambda: next(sweep.execute([dict(method="a")], Path("never.jsonl"), print, workers=0)),
    lambda: next(tlmlp.fit(potential(), [labelled(CRYSTAL)], report_every=0)),
    lambda: next(tlmlp.fit(potential(), [labelled(CRYSTAL)], validate_every=-5)),
    lambda: next(tlmlp.fit(potential(), [labelled(CRYSTAL)], trainable={"other": {"w": True}})),
    lambda: P.softening_of_curvature(CRYSTAL, sw(), sw(), 0),
    lambda: datasets.subset(CRYSTAL, 3),
    lambda: datasets.split(CRYSTAL, 2),
]


def alchemical():
    return alchemy.AlchemicalCalculator(network(), ("Si", "Ge"), 1.0)


def labelled(atoms):
    out = atoms.copy()
    out.calc = SinglePointCalculator(out, energy=0.0, forces=np.zeros((len(out), 3)))
    return out


@functools.cache
def network():
    return Potential.load("si-sw-course")


@pytest.mark.parametrize("number", range(len(WRONG_ARGUMENTS)))
def test_wrong_arguments(number):
    """Each is refused by a sentence of ours: none runs, none meets an error of a library below."""
    refused = []

    def door():
        try:
            WRONG_ARGUMENTS[number]()
        except Exception:
            refused.append(True)
            raise

    or_a_sentence(door)
    assert refused
