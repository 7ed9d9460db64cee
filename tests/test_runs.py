"""Runs, tables and rows: a run says what it did, and shipped rows are those of their tables."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import ROOT
from test_transfer import TINY, like_germanium

import tlmlp
from research import rows, sweep, tables, vacancy
from research.melting import Boiling, Coexistence
from research.stillinger_weber import REDUCED_TEMPERATURES, write
from tlmlp import datasets, elements, show, train, transfer
from tlmlp.course import runs, sources
from tlmlp.course.results import METHODS, SIZES, own_best, rows as shipped
from tlmlp.course.runs import Run
from tlmlp.course.sources import COURSE, SOURCES
from tlmlp.simulate import SimulationError

TRAININGS = (
    "learning-curve",
    "own-best",
    "frozen",
    "frozen-best",
    "temperature",
    "cutoff",
    "softening",
    "weak",
)
SW = "stillinger-weber"


# -- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tables.TABLES)
def test_tables_ask_for_each_run_once(name):
    table = tables.table(name)
    assert len(set(table)) == len(table)
    if name in TRAININGS:
        assert len(table) >= 30 and {run.source for run in table} == set(COURSE)


def test_there_are_as_many_structures_as_the_tables_ask_for():
    known = {}
    for source in COURSE:
        for element in ("Ge", "Si"):
            train, _ = sources.data(source, element)
            known[source, element, None] = len(train)
            for phase in ("crystal", "liquid"):
                calm = [a for a in train if a.info["group"] != "High energy"]
                own = [a for a in calm if a.info["phase"] == phase]
                known[source, element, phase] = len(own)
    for name in TRAININGS:
        for run in tables.table(name):
            assert run.n - run.hot <= known[run.source, run.element, run.phase], (name, run)


def test_shipped_rows_are_those_of_their_tables():
    for name in TRAININGS:
        own = shipped(name)
        assert len(own) == len(tables.table(name))
        assert set(map(Run.of, own)) == set(tables.table(name))
        for row in own:
            assert np.isfinite(row["force_mae"]) and row["date"] and row["machine"]
            assert row.items() >= Run.of(row).as_dict().items()  # no field is left out


@pytest.mark.parametrize("name", ["weak-best", "weak-properties", "weak-stability"])
def test_rows_beside_weak_are_all_there_or_none(name):
    own = [Run.of(row) for row in shipped(name)]
    assert not own or (len(own) == len(set(own)) and set(own) == set(tables.table(name)))


def test_shipped_rows_of_melting_belong_to_their_table():
    for row in shipped("melting"):
        assert Run.of(row) in tables.table("melting")
        assert row["atoms"] == 256 and (row["melting_K"] is None) == bool(row["note"])
        # silicon: J. Q. Broughton and X. P. Li, PRB 35, 9120 (1987); germanium: tlmlp.elements
        if row["method"] == "reference":
            found, error = row["melting_K"]
            known = elements.element(row["element"]).melting_temperature
            assert abs(found - known) < error + 50


@pytest.mark.parametrize("name", tables.TABLES)
def test_no_row_is_taken_for_that_of_another_run(name):
    """A row belongs to a task whose items it has, and some runs have more fields than others."""
    some = tables.table(name)
    tasks = sweep.tasks_of(some)
    assert all(task.keys() == tasks[0].keys() for task in tasks)
    assert [Run.of(task) for task in tasks] == some


def test_weakly_supervised_runs_say_what_they_are(monkeypatch):
    """Rows from before there were any hold none of their fields."""
    assert not {*runs.WEAK, *runs.REPLAY} & Run().as_dict().keys()
    run = Run(taylor=1.2, forces=False)
    assert run.as_dict().items() > (runs.WEAK | dict(taylor=1.2, forces=False)).items()
    assert run.consistency() == tlmlp.Consistency(1.2) and Run().consistency() is None
    for bad, words in (
        (dict(taylor=-1), "taylor and path of a Consistency"),
        (dict(taylor=1, displacement=2.0), "displacement must be at most 0.3 Å"),
        (dict(order=3), "order must be one of 1, 2"),
        (dict(forces=False, method="reduced"), "forces can be left out with scratch and transfer"),
        (dict(forces=False, method="transfer", replay=5), "forces can be left out"),
    ):
        with pytest.raises(ValueError, match=words):
            Run(**bad)
    for method in ("scratch", "transfer"):
        start, fitted, valid, _ = runs.begin(Run(method=method, forces=False, validation=0.2))
        assert not any({"forces", "stress"} & atoms.calc.results.keys() for atoms in fitted)
        assert all("forces" in atoms.calc.results for atoms in valid)
    told = {}  # what is trained with: the energy's weight is shared
    monkeypatch.setattr(runs, "fit", lambda *_, **how: told.update(how) or iter(()))
    for run, force in ((Run(taylor=1.0), 1.0), (Run(taylor=1.0, forces=False), 0.0)):
        list(runs.train(run, *[None] * 4))
        assert told["consistency"] == tlmlp.Consistency(1.0)
        energy, stress = runs.BEGIN.energy / 2, runs.BEGIN.stress * force
        assert told["weights"] == tlmlp.Weights(force, energy, stress)
        assert told["final_weights"].energy == runs.END.energy / 2


def test_a_sweep_names_the_tables_where_there_is_none():
    command = [sys.executable, "-m", "research.sweep", "curve"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 1 and "no table 'curve'; there are learning-curve" in told.stderr


@pytest.mark.parametrize("name", sweep.OTHERS)
def test_tasks_of_other_tables_are_lines_of_json_and_differ(name):
    make, _ = sweep.OTHERS[name]
    tasks = [json.dumps(task, sort_keys=True) for task in make()]
    assert len(set(tasks)) == len(tasks) > 10
    assert all("method" in task for task in make()) and name in sweep.NAMES
    assert len(shipped(name)) in (0, len(tasks))


def test_the_vacancy_at_rest_has_the_energy_of_the_reference():
    """What is added to a training set is what DFT has relaxed."""
    hole, crystal = vacancy.relaxed_by_dft()
    energies = [atoms.get_potential_energy() for atoms in (hole, crystal)]
    known = datasets.dft_reference("Ge")["vacancy"]["vacancy"]
    assert energies[0] - energies[1] * 63 / 64 == pytest.approx(known, abs=1e-6)
    assert (len(hole), len(crystal)) == (63, 64) and np.allclose(hole.cell, crystal.cell)
    frames = datasets.dft("Ge", "train")
    assert energies[1] / 64 < min(a.get_potential_energy() / len(a) for a in frames)


def test_a_worker_needs_no_research_of_its_own(tmp_path):
    """A pickled performer can be read by a process that cannot import research."""
    code = """
import sys, cloudpickle
from functools import partial
from research import rows
for module in (rows, *rows.BY_VALUE):
    cloudpickle.register_pickle_by_value(module)
sys.stdout.buffer.write(cloudpickle.dumps(partial(rows.perform, "frozen")))
"""
    pickled = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True
    )
    code = "import sys, pickle; print(pickle.loads(sys.stdin.buffer.read()).args)"
    told = subprocess.run(
        [sys.executable, "-c", code], input=pickled.stdout, cwd=tmp_path, capture_output=True
    )
    assert told.returncode == 0 and b"frozen" in told.stdout, told.stderr


# -- one run -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: tables.table("curve"), "no table 'curve'; there are learning-curve"),
        (lambda: Run(method="copy"), "method must be one of scratch, transfer, reduced"),
        (
            lambda: Run(method="transfer", cutoff="long"),
            "cutoff must be None, or short with reduced and long with scratch",
        ),
        (lambda: Run(element="Sn"), "element must be one of Ge, Si, not 'Sn'"),
        (lambda: Run(element="Si", method="reduced"), "silicon is where transfer starts"),
        (lambda: Run(n=5, hot=6), "hot must be at most the n = 5 structures, not 6"),
        (lambda: Run(validation=1.0), "validation must be from 0 to below 1"),
        (lambda: Run(n=-1), "n, seed and steps must be 0 or more"),
        (
            lambda: Run(replay=10),
            "replay must be 0 or more and goes with method 'transfer', not 10",
        ),
        (lambda: Run(method="transfer", replay=1, labels="dft"), "labels must be one of data, sou"),
        (lambda: sources.data("vasp"), "source must be one of dft, mlearn, stillinger-weber"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_run_has_no_other_fields():
    with pytest.raises(TypeError, match="depth"):
        Run(depth=2)


def test_a_row_says_its_run():
    """As JSON and back, whatever came out; and a run cannot be changed."""
    run = Run(method="transfer", n=20, frozen=["embedding"], seed=3)
    row = json.loads(json.dumps(run.as_dict() | dict(force_mae=1.0)))
    assert Run.of(row) == run and hash(Run.of(row)) == hash(run) and run.frozen == ("embedding",)
    with pytest.raises(AttributeError):
        run.n = 10


def test_a_run_with_replay_trains_on_both_elements():
    """Half of what it trains on is silicon, with the data's labels or the source's predictions."""
    how = dict(method="transfer", n=10, replay=5)
    for labels in ("data", "source"):
        run = Run(labels=labels, **how)
        potential, fitted, _, shapes = runs.begin(run)
        silicon = [atoms for atoms in fitted if "Si" in atoms.symbols]
        assert len(silicon) == len(fitted) / 2 == 10 and set(potential.trained) == {"Si", "Ge"}
        known = potential.evaluate(silicon, shapes).force_mae
        assert known < 1 if labels == "source" else known > 50
        assert Run.of(json.loads(json.dumps(run.as_dict()))) == run
    assert "replay" not in Run(method="transfer").as_dict()


def test_one_structure_of_the_highest_energy():
    """9 crystals and one of the hottest liquid; the crystals are the same in both."""
    calm, hot = (runs.pick(Run(source=SW, n=10, phase="crystal", hot=hot))[0] for hot in (0, 1))
    assert len(calm) == len(hot) == 10 and {a.info["phase"] for a in calm} == {"crystal"}
    assert [a.info["temperature"] for a in hot if a.info["phase"] == "liquid"] == [4500.0]
    calm, hot = (runs.pick(Run(n=10, phase="crystal", hot=hot))[0] for hot in (0, 1))
    groups = [[a.info["group"] for a in part] for part in (calm, hot)]
    assert "High energy" not in groups[0] and groups[1].count("High energy") == 1
    fitted, _ = runs.pick(Run(source=SW, element="Si", n=5))
    assert {a.info["element"] for a in fitted} == {"Si"}


def test_a_run_holds_out_what_it_says(monkeypatch):
    """Validation comes out of the training structures, and never out of the test set."""
    source = tlmlp.Potential.load("si-sw-course")
    frames = like_germanium(source, 12)
    for atoms in frames:
        atoms.info.update(phase="crystal", temperature=300.0, group="MD")
    monkeypatch.setattr(sources, "data", lambda source, element="Ge": (frames[:8], frames[8:]))
    tiny = tlmlp.Potential.create(TINY).replace(trained=("Si",))
    monkeypatch.setattr(tlmlp.Potential, "load", lambda name: tiny)
    runs.padded_shapes.cache_clear()
    potential, fitted, valid, _ = runs.begin(Run(n=5, validation=0.2, method="transfer"))
    ids = {id(atoms) for atoms in frames[:8]}
    assert (len(fitted), len(valid)) == (4, 1) and {id(a) for a in fitted + valid} < ids
    assert potential.info["transfer"]["source"] is None
    assert not transfer.moved(potential, potential)["output_0"]
    # a crystal without forces is never what a training stops by
    for atoms in frames[1:8]:
        atoms.calc.results["forces"][:] = 0
    _, fitted, valid, _ = runs.begin(Run(n=8, validation=0.1, method="transfer"))
    assert len(fitted) == 7 and valid[0] is frames[0]
    runs.padded_shapes.cache_clear()


def test_reduced_units_take_the_lattice_constants_of_the_crystals():
    """Whatever volumes a run trains on: the cutoff is silicon's in germanium's units."""
    for source in COURSE:
        lattice = SOURCES[source].lattice
        potential, *_ = runs.begin(Run(source=source, method="reduced", n=10, phase="liquid"))
        expected = 4.5 * lattice["Ge"] / lattice["Si"]
        assert potential.config.cutoff == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("source", COURSE)
@pytest.mark.parametrize("short", [False, True])
def test_stored_lattice_constants_are_those_of_the_potentials(source, short):
    """At zero pressure, by the library; the stored ones are where the energy is smallest."""
    known = SOURCES[source].silicon_lattice_short if short else SOURCES[source].silicon_lattice
    potential = tlmlp.Potential.load(SOURCES[source].silicon + "-short" * short)
    cube = bulk("Si", "diamond", a=SOURCES[source].lattice["Si"], cubic=True)
    found = tlmlp.properties.lattice_constant(cube, potential.calculator())
    assert found == pytest.approx(known, rel=2e-3)


# -- rows --------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch):
    """Twelve structures and a tiny network in place of the course's data and silicon potential."""
    source = tlmlp.Potential.load("si-sw-course")
    frames = like_germanium(source, 12)
    for atoms in frames:
        atoms.calc.results["stress"] = np.zeros(6)
        atoms.info.update(phase="crystal", temperature=300.0, group="MD")
    silicon = [Atoms("Si8", a.positions, cell=a.cell, pbc=True, info=a.info) for a in frames[8:]]
    for atoms, like in zip(silicon, frames[8:]):
        atoms.calc = SinglePointCalculator(atoms, **like.calc.results)

    def data(source, element="Ge"):
        return (frames[:8], frames[8:]) if element == "Ge" else ([], silicon)

    monkeypatch.setattr(sources, "data", data)
    monkeypatch.setattr(rows, "data", data)
    tiny = tlmlp.Potential.create(TINY).replace(trained=("Si",))
    monkeypatch.setattr(tlmlp.Potential, "load", lambda name: tiny)
    runs.padded_shapes.cache_clear()
    yield
    runs.padded_shapes.cache_clear()


def test_a_training_makes_a_row(few):
    """Two dozen steps of a tiny network: the row says what the curve says."""
    task = Run(method="transfer", n=5, steps=24, validation=0.2, frozen=["embedding"]).as_dict()
    row = json.loads(json.dumps(rows.perform("frozen", task)))
    assert row.items() >= task.items() and row["moved"]["embedding"] == 0 < row["best_step"]
    assert [point[0] for point in row["curve"]] == list(range(1, 25))
    (best,) = [point for point in row["curve"] if point[0] == row["best_step"]]
    assert best[1:] == [row["force_mae"], row["force_rmse"], row["energy_rmse"]]
    assert row["temperatures"] == [[300.0, "crystal", row["force_mae"], row["force_rmse"], 4]]
    assert row["valid_force_mae"] > 0 and row["silicon_force_mae"] > 0 and row["untrained"]


@pytest.mark.parametrize("pointed", [True, False])
def test_a_training_that_was_stopped_goes_on_from_its_checkpoint(
    few, tmp_path, monkeypatch, pointed
):
    """The row is that of an undisturbed one, and no step is made twice.

    Stopped after a checkpoint, before the point of its curve, it starts anew: no point is left out.
    """
    task, made = Run(n=4, steps=24, validation=0.25).as_dict(), []

    def fit(*arguments, stop=13, **options):
        for progress in train.fit(*arguments, **options):
            stops = len(made) == stop - 1
            made.append(progress.step)
            if stops and not pointed:
                raise KeyboardInterrupt
            yield progress
            if stops:
                raise KeyboardInterrupt

    whole = rows.perform("learning-curve", task)
    monkeypatch.setattr(runs, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        rows.perform("learning-curve", task, tmp_path)
    row = rows.perform("learning-curve", task, tmp_path)
    left = [] if pointed else [14, *range(1, 14)]  # 14: where it is seen that a point is missing
    assert made == [*range(1, 14), *left, *range(14, 25)]
    assert row["curve"] == whole["curve"] and len(row["curve"]) == 24
    assert row | {"seconds": 0} == whole | {"seconds": 0}
    assert len([*tmp_path.iterdir()]) == 2
    rows.forget(rows.checkpoint_of(row, tmp_path))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("table", ["properties", "softening", "stability", "melting"])
def test_each_performer_trains_with_the_checkpoint(table, few, tmp_path, monkeypatch):
    task, given = Run(n=4, steps=3).as_dict(), []

    def fit(*_, checkpoint, **options):
        given.append(checkpoint)
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(runs, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        rows.perform(table, task, tmp_path)
    assert given == [rows.checkpoint_of(task, tmp_path)]


@pytest.mark.parametrize(
    "true, found, note",
    [
        (1600.0, [1596, 32], ""),
        (5000.0, None, "melts above"),
        (0.0, None, "melts below"),
        (None, None, "The temperature rose to 9000 K"),
        (None, None, "boils at 1691 K"),
    ],
)
def test_a_run_of_melting_makes_a_row(true, found, note, monkeypatch):
    """Bisection by a pretended simulation: in the interval, outside it, or one that breaks down."""

    def search(potential, crystal, low, high, accuracy_K, seed, melted_by):
        assert melted_by is None  # of the reference
        assert len(crystal) == 128 and (low, high) == pytest.approx((0.7 * 1691, 1.3 * 1691))
        done = []
        while high - low > 2 * accuracy_K:
            T = (low + high) / 2
            if note.startswith("boils"):
                raise Boiling(T, ((1500.0, 10.0, 1.0),), (1500.0, high))
            if true is None:
                raise SimulationError(type("Last", (), dict(health=note)))
            done.append((T, 10.0, 1.0 if T < true else 0.0))
            low, high = (T, high) if T < true else (low, T)
            settled = high - low <= 2 * accuracy_K
            yield Coexistence(T, 10.0, 0.5, low, high, tuple(done), settled, Atoms())

    monkeypatch.setattr("research.melting.melting", search)
    row = rows.perform("melting", tables.table("melting")[0].as_dict())
    assert row["note"] == note and row["atoms"] == 256
    boils = note.startswith("boils")
    assert len(row["runs"]) == (boils if true is None else 4)
    assert not boils or row["interval"] == [1500.0, 1.3 * 1691] == [1500.0, row["between"][1]]
    assert row["melting_K"] is found is None or row["melting_K"] == pytest.approx(found, abs=1)
    (ax,) = show.coexistence([json.loads(json.dumps(row))]).axes
    words = "broke down" if note.startswith("The temperature") else note or "1596 ± 32 K"
    assert ax.texts[0].get_text() == words


# -- data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("element", ["Si", "Ge"])
def test_shipped_frames_carry_the_labels_of_stillinger_weber(element):
    train, test = sources.data(SW, element)
    assert (len(train), len(test)) == (240, 48)
    melting = elements.element(element).melting_temperature
    assert {round(a.info["temperature"] / melting, 2) for a in train} == set(REDUCED_TEMPERATURES)
    for atoms in (train[0], train[-1], test[-1]):
        again = atoms.copy()
        again.calc = datasets.stillinger_weber_calculator(element)
        # positions and forces are written with eight digits behind the point
        np.testing.assert_allclose(again.get_forces(), atoms.get_forces(), atol=1e-6)
        assert again.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        assert (atoms.info["phase"] == "liquid") == (atoms.info["temperature"] > melting)


def test_frames_are_written_as_they_ship(tmp_path):
    """The shipped frames, written again, are the same file to the last digit."""
    train, test = sources.data(SW, "Ge")
    path = tmp_path / "again.extxyz"
    write(dict(train=train[:3], test=test[:2]), path)
    again = datasets.read(path)
    assert [atoms.info.pop("split") for atoms in again] == ["train"] * 3 + ["test"] * 2
    for a, b in zip([*train[:3], *test[:2]], again):
        assert a.get_potential_energy() == b.get_potential_energy()
        np.testing.assert_array_equal(a.get_forces(), b.get_forces())
        assert a.info["temperature"] == b.info["temperature"]


@pytest.mark.parametrize("element", ["Si", "Ge"])
def test_the_liquid_of_dft_is_like_that_of_its_reference(element):
    """mlearn's liquids have 1.5 times the melting temperature and VASP's volume, to 0.4 %."""
    atoms, temperature, frames = sources.melt("dft", element)
    assert temperature == 1.5 * SOURCES["dft"].melting[element]
    assert {a.info["temperature"] for a in frames} == {temperature}
    known = {"Si": 20.444, "Ge": 24.148}[element]
    assert atoms.get_volume() / len(atoms) == pytest.approx(known, rel=4e-3)


# -- what the rows show ------------------------------------------------------------------------


def values(rows, key="force_mae", **wanted):
    """A number of each row that has some values; those of `frozen` are counted."""
    of = lambda row, name: len(row["frozen"]) if name == "frozen" else row[name]
    own = [r for r in rows if all(of(r, name) == value for name, value in wanted.items())]
    assert own, wanted
    return np.array([r[key] for r in own])


def mean(rows, **wanted):
    return values(rows, **wanted).mean()


def test_rows_of_temperature():
    """Trained on crystals alone, transfer errs half as much in liquids as scratch, or less."""
    rows = shipped("temperature")

    def error(source, phase, method, kind):
        own = [r for r in rows if (r["source"], r["phase"], r["method"]) == (source, phase, method)]
        if source == "dft":
            return np.mean([r["groups"][kind][0] for r in own])
        return np.mean([mae for r in own for T, _, mae, *_ in r["temperatures"] if T == kind])

    for source, kind in (("dft", "Liquid"), (SW, 3480.0)):
        scratch, copied, reduced = (error(source, "crystal", m, kind) for m in METHODS)
        assert reduced < copied < scratch / 2
    for T in (3480.0, 4500.0):
        ratio = error(SW, "liquid", "scratch", T) / error(SW, "liquid", "transfer", T)
        assert 2 < ratio < 3
    # and the cold crystal is the exception
    assert error(SW, "liquid", "transfer", 520.0) > error(SW, "liquid", "scratch", 520.0)


def test_rows_of_frozen():
    """Freezing the embedding costs nothing; from the second interaction on it costs errors."""
    rows = shipped("frozen") + [r for r in shipped("learning-curve") if r["method"] == "transfer"]
    for source, ratio in (("dft", 1.1), (SW, 1.5)):
        for n in (10, 50):
            own = [values(rows, source=source, n=n, frozen=depth) for depth in range(6)]
            assert [len(v) for v in own] == [5] * 6
            free, *depths = (v.mean() for v in own)
            assert abs(depths[0] - free) < 1 and 0.5 < depths[1] - free < 3.5
            assert depths[2] / free == pytest.approx(ratio, abs=0.02)
            assert min(depths) > free - 1
    long, best = shipped("frozen-best"), shipped("own-best")
    for source in COURSE:
        rate = tables.RATES["transfer"]
        free = values(best, source=source, method="transfer", n=10, learning_rate=rate)[:3].mean()
        ratios = [mean(long, source=source, frozen=depth) / free for depth in range(1, 6)]
        assert min(ratios[:2]) > 0.98 and min(ratios[2:]) > 1.05
    silicon = [mean(rows, key="silicon_force_mae", source="dft", n=10, frozen=d) for d in (0, 5)]
    assert silicon == pytest.approx([375, 459], abs=1)  # freezing does not keep silicon


def test_the_learning_rates_of_own_best_are_those_that_validate_best():
    """And a still higher one is worse."""
    rows = shipped("own-best")
    low = [r for r in rows if r["learning_rate"] < 1e-2]
    chosen = {(r["method"], r["learning_rate"]) for r in own_best(low)}
    assert chosen == set(tables.RATES.items()) and own_best(rows) == own_best(low)


def test_ten_structures_with_transfer_and_fifty_without():
    """Clear at equal steps; each at its own best, clear on Stillinger-Weber and even on DFT."""
    equal, best = shipped("learning-curve"), own_best(shipped("own-best"))
    for source in COURSE:
        level = lambda rows, method, n, source=source: mean(rows, source=source, method=method, n=n)
        fifty = level(equal, "scratch", 50)
        assert max(level(equal, m, 10) for m in ("transfer", "reduced")) < 0.7 * fifty
        assert level(best, "transfer", 10) < 0.9 * level(best, "scratch", 10)
        every = min(level(best, "scratch", n) for n in SIZES)
        assert level(best, "transfer", 20) < 0.97 * every
        assert source == "dft" or level(best, "transfer", 10) < 0.9 * every
        own = [values(best, source=source, method=m, n=n) for m in METHODS for n in SIZES]
        assert {len(v) for v in own} == {5}
    ten, fifty = (
        values(best, source="dft", method=m, n=n) for m, n in (("transfer", 10), ("scratch", 50))
    )
    spread = np.hypot(ten.std(ddof=1), fifty.std(ddof=1)) / 5**0.5
    assert abs(ten.mean() - fifty.mean()) < 2 * spread
    untrained = [
        r["untrained"][0] for r in equal if (r["source"], r["method"]) == ("dft", "reduced")
    ]
    assert np.mean(untrained) < mean(equal, source="dft", method="scratch", n=0)


def test_reduced_units_help_by_themselves_and_not_by_the_larger_cutoff():
    rows = shipped("cutoff") + shipped("learning-curve")
    for source in COURSE:
        for n in (10, 50):
            of = lambda method, cutoff, key="force_mae", source=source, n=n: values(
                rows, key, source=source, method=method, n=n, cutoff=cutoff
            )
            for method, cutoff in (("reduced", "short"), ("scratch", "long")):
                a, b = of(method, cutoff), of(method, None)
                assert len(a) == len(b) == 5
                noise = 2 * np.hypot(a.std(ddof=1), b.std(ddof=1)) / 5**0.5
                assert abs(a.mean() - b.mean()) < max(noise, 1)
            assert of("reduced", "short").mean() < of("transfer", None).mean() - 3
