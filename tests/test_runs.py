"""Runs, tables and rows: each says what it did."""

import json

import numpy as np
import pytest

TABLES = (
    "learning-curve",
    "own-best",
    "frozen",
    "frozen-best",
    "temperature",
    "cutoff",
    "softening",
)


@pytest.mark.parametrize("name", TABLES)
def test_tables_ask_for_each_run_once(name):
    table = sweep.table(name)
    assert len({sweep.key(run) for run in table}) == len(table) >= 30
    assert {run["source"] for run in table} == set(sources.COURSE)


def test_there_are_as_many_structures_as_the_tables_ask_for():
    for name in TABLES:
        for r in sweep.table(name):
            calm = [
                a
                for a in sweep.data(r["source"], r["element"])[0]
                if not r["phase"] or a.info["group"] != "High energy"
            ]
            assert r["n"] - r["hot"] <= sum(
                r["phase"] in (None, atoms.info["phase"]) for atoms in calm
            ), (name, r)


def test_shipped_rows_are_those_of_their_tables():
    for name in TABLES:
        assert sorted(map(sweep.key, sweep.rows(name))) == sorted(map(sweep.key, sweep.table(name)))
        for row in sweep.rows(name):
            assert np.isfinite(row["force_mae"]) and row["date"] and row["machine"]


@pytest.mark.parametrize(
    "true, found, note",
    [
        (1600.0, [1596, 32], ""),
        (5000.0, None, "melts above"),
        (0.0, None, "melts below"),
        (None, None, "The temperature rose to 9000 K"),
    ],
)
def test_a_run_of_melting_makes_a_row(true, found, note, monkeypatch):
    """Bisection by a pretended simulation: a temperature in the interval, outside it, or a run that breaks down."""
    from ase import Atoms
    from tlmlp.properties.melting import Coexistence

    from tlmlp import show
    from tlmlp.simulate import SimulationError

    def search(potential, crystal, low, high, accuracy_K, seed):
        assert len(crystal) == 128 and (low, high) == pytest.approx((0.7 * 1691, 1.3 * 1691))
        runs = []
        while high - low > 2 * accuracy_K:
            T = (low + high) / 2
            if true is None:
                raise SimulationError(type("Last", (), dict(health=note)))
            runs.append((T, 10.0, 1.0 if T < true else 0.0))
            low, high = (T, high) if T < true else (low, T)
            yield Coexistence(
                T, 10.0, 0.5, low, high, tuple(runs), high - low <= 2 * accuracy_K, Atoms()
            )

    monkeypatch.setattr("tlmlp.properties.melting", search)
    row = sweep.performer("melting")(sweep.table("melting")[0])
    assert (
        row["note"] == note
        and row["atoms"] == 256
        and len(row["runs"]) == (0 if true is None else 4)
    )
    assert row["melting_K"] is found is None or row["melting_K"] == pytest.approx(found, abs=1)
    (ax,) = show.coexistence([json.loads(json.dumps(row))]).axes
    words = "1596 ± 32 K" if found else note if note.startswith("melts") else "broke down"
    assert ax.texts[0].get_text() == words and len(ax.lines) == (5 if found else len(row["runs"]))


def test_shipped_rows_of_melting_belong_to_their_table():
    keys = {sweep.key(run) for run in sweep.table("melting")}
    assert len(keys) == len(sweep.table("melting"))
    for row in sweep.rows("melting"):
        assert (
            sweep.key(row) in keys
            and row["atoms"] == 256
            and (row["melting_K"] is None) == bool(row["note"])
        )
        if (
            row["method"] == "reference"
        ):  # silicon: J. Q. Broughton and X. P. Li, PRB 35, 9120 (1987); germanium: tlmlp.elements
            found, error = row["melting_K"]
            assert abs(found - elements.element(row["element"]).melting_temperature) < error + 50


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: sweep.table("curve"), "no table 'curve'; there are learning-curve"),
        (lambda: sweep.run(method="copy"), "method must be one of scratch, copied, reduced"),
        (lambda: sweep.run(depth=2), "a run has no depth"),
        (
            lambda: sweep.run(method="transfer", cutoff="long"),
            "cutoff must be None, or short with reduced and long with scratch",
        ),
        (lambda: sweep.run(element="Sn"), "element must be one of Ge, Si, not 'Sn'"),
        (lambda: sweep.run(element="Si", method="reduced"), "silicon is where transfer starts"),
        (lambda: sweep.run(n=5, hot=6), "hot must be a share of the n = 5 structures, not 6"),
        (lambda: sweep.data("vasp"), "source must be one of dft, mlearn, stillinger-weber"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_one_structure_of_the_highest_energy():
    """9 crystals and one of the hottest liquid; the crystals are the same whatever else is drawn."""
    calm, hot = (
        sweep.begin(sweep.run(source="stillinger-weber", n=10, phase="crystal", hot=hot))[1]
        for hot in (0, 1)
    )
    assert len(calm) == len(hot) == 10 and {a.info["phase"] for a in calm} == {"crystal"}
    assert [a.info["temperature"] for a in hot if a.info["phase"] == "liquid"] == [4500.0]
    calm, hot = (
        sweep.begin(sweep.run(source="dft", n=10, phase="crystal", hot=hot))[1] for hot in (0, 1)
    )
    groups = [[a.info["group"] for a in part] for part in (calm, hot)]
    assert "High energy" not in groups[0] and groups[1].count("High energy") == 1
    _, fitted, _, _ = sweep.begin(sweep.run(source="stillinger-weber", element="Si", n=5))
    assert {a.info["element"] for a in fitted} == {"Si"}


def test_a_run_holds_out_what_it_says(monkeypatch):
    """Validation comes out of the training structures, nested in the seed's order, and never out of the test set."""
    from test_transfer import TINY, like_germanium

    import tlmlp

    source = tlmlp.Potential.load("si-sw-course")
    frames = like_germanium(source, 12)
    for atoms in frames:
        atoms.info.update(phase="crystal", temperature=300.0, group="MD")
    monkeypatch.setattr(sweep, "data", lambda source, element="Ge": (frames[:8], frames[8:]))
    monkeypatch.setattr(
        tlmlp.Potential, "load", lambda name: tlmlp.Potential.create(TINY).replace(trained=("Si",))
    )
    sweep._shapes.cache_clear()
    potential, fitted, valid, _ = sweep.begin(sweep.run(n=5, validation=0.2, method="transfer"))
    ids = {id(atoms) for atoms in frames[:8]}
    assert (len(fitted), len(valid)) == (4, 1) and {id(a) for a in fitted + valid} < ids
    assert (
        potential.info["transfer"]["source"] is None
        and not transfer.moved(potential, potential)["output_0"]
    )
    # a crystal without forces is never what a training stops by
    for atoms in frames[1:8]:
        atoms.calc.results["forces"][:] = 0
    _, fitted, valid, _ = sweep.begin(sweep.run(n=8, validation=0.1, method="transfer"))
    assert len(fitted) == 7 and valid[0] is frames[0]
    sweep._shapes.cache_clear()


@pytest.mark.parametrize("element", ["Si", "Ge"])
def test_shipped_frames_carry_the_labels_of_stillinger_weber(element):
    train, test = sweep.data("stillinger-weber", element)
    assert (len(train), len(test)) == (240, 48)
    melting = elements.element(element).melting_temperature
    for atoms in (train[0], train[-1], test[-1]):
        again = atoms.copy()
        again.calc = datasets.stillinger_weber_calculator(element)
        # positions and forces are written with eight digits behind the point
        np.testing.assert_allclose(again.get_forces(), atoms.get_forces(), atol=1e-6)
        assert again.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        assert (atoms.info["phase"] == "liquid") == (atoms.info["temperature"] > melting)


@pytest.mark.parametrize("element", ["Si", "Ge"])
def test_the_liquid_of_dft_is_like_that_of_its_reference(element):
    """mlearn's liquids have 1.5 times the melting temperature and the volume of VASP's crystal, to 0.4 %."""
    atoms, temperature, frames = sources.melt("dft", element)
    assert temperature == 1.5 * sources.SOURCES["dft"].melting[element] and {
        a.info["temperature"] for a in frames
    } == {temperature}
    assert atoms.get_volume() / len(atoms) == pytest.approx(
        {"Si": 20.444, "Ge": 24.148}[element], rel=4e-3
    )


def test_reduced_units_take_the_lattice_constants_of_the_crystals():
    """Whatever volumes the structures have that a run trains on: the cutoff is silicon's in germanium's units."""
    for source in sources.COURSE:
        lattice = sources.SOURCES[source].lattice
        potential, *_ = sweep.begin(
            sweep.run(source=source, method="reduced", n=10, phase="liquid")
        )
        assert potential.config.cutoff == pytest.approx(
            4.5 * lattice["Ge"] / lattice["Si"], rel=3e-3
        )


def test_the_notebook_says_what_the_rows_of_temperature_show():
    text = " ".join(
        (ROOT / "notebooks" / "02_germanium_transfer.ipynb").read_text(encoding="utf-8").split()
    )
    rows = {
        source: [r for r in sweep.rows("temperature") if r["source"] == source]
        for source in sources.COURSE
    }

    def mean(phase, method, kind):
        """Of a temperature of Stillinger-Weber, or of a group of DFT."""
        if isinstance(kind, str):
            return np.mean(
                [
                    r["groups"][kind][0]
                    for r in rows["dft"]
                    if (r["phase"], r["method"]) == (phase, method)
                ]
            )
        own = [r for r in rows["stillinger-weber"] if (r["phase"], r["method"]) == (phase, method)]
        return np.mean([mae for r in own for T, _, mae, *_ in r["temperatures"] if T == kind])

    assert [round(mean("crystal", m, "Liquid")) for m in sweep.METHODS] == [656, 282, 181]
    scratch, copied, reduced = (mean("crystal", m, 3480.0) for m in sweep.METHODS)
    assert (round(scratch, -2), round(copied, -1), round(reduced, -1)) == (1100, 370, 240)
    assert (
        "by 656 meV/Å on DFT (mean of all of them), and by 1100 at" in text
        and "282 and 370" in text
        and "181 and 240" in text
    )
    assert (round(mean("liquid", "transfer", 520.0)), round(mean("liquid", "scratch", 520.0))) == (
        52,
        38,
    ) and "52 meV/Å at 520 K" in text
    assert all(
        2 < mean("liquid", "scratch", T) / mean("liquid", "transfer", T) < 3
        for T in (3480.0, 4500.0)
    )
    assert [
        round(mean(p, m, "Solid"))
        for p, m in (("crystal", "scratch"), ("liquid", "scratch"), ("liquid", "transfer"))
    ] == [83, 229, 96]
    assert (
        "error in solids is 229; trained on crystals it is 83" in text
        and "96 in solids against 229" in text
    )


def test_the_notebook_says_what_the_rows_of_frozen_show():
    """Freezing the embedding costs nothing, the first interaction little, the second a tenth or half of the error."""
    text = (ROOT / "notebooks" / "02_germanium_transfer.ipynb").read_text(encoding="utf-8")
    assert "germanium half as large again, on DFT a tenth" in text and "for 1 to 3 meV/Å" in text
    rows = [
        r for r in sweep.rows("frozen") + sweep.rows("learning-curve") if r["method"] == "transfer"
    ]
    for source, ratio in (("dft", 1.1), ("stillinger-weber", 1.5)):
        for n in (10, 50):
            own = lambda depth: np.array(
                [
                    r["force_mae"]
                    for r in rows
                    if (r["source"], r["n"], len(r["frozen"])) == (source, n, depth)
                ]
            )
            free = own(0)
            assert [len(own(depth)) for depth in range(6)] == [5] * 6
            assert abs(own(1).mean() - free.mean()) < 1 and 0.5 < own(2).mean() - free.mean() < 3.5
            assert own(3).mean() / free.mean() == pytest.approx(ratio, abs=0.02)
            assert min(own(depth).mean() for depth in range(1, 6)) > free.mean() - 1
    long, best = sweep.rows("frozen-best"), sweep.rows("own-best")
    free = [
        r
        for r in best
        if (r["method"], r["n"], r["learning_rate"]) == ("transfer", 10, sweep.RATES["transfer"])
        and r["seed"] in {r["seed"] for r in long}
    ]
    at = lambda depth: [
        np.mean(
            [r["force_mae"] for r in long + free if (r["source"], len(r["frozen"])) == (s, depth)]
        )
        for s in sources.COURSE
    ]
    say = lambda depth: "{:.0f} and {:.0f}".format(*at(depth))
    assert [len([r for r in long + free if len(r["frozen"]) == depth]) for depth in range(6)] == [
        6
    ] * 6
    assert (
        f"embedding and first interaction frozen {say(2)}, nothing {say(0)}, with the second interaction as well {say(3)}, five groups {say(5)}."
        in text
    )
    assert (
        min(np.min(np.divide(at(depth), at(0))) for depth in (1, 2)) > 0.98
        and min(np.min(np.divide(at(depth), at(0))) for depth in (3, 4, 5)) > 1.05
    )
    forgotten = lambda depth: np.mean(
        [
            r["silicon_force_mae"]
            for r in rows
            if (r["source"], r["n"], len(r["frozen"])) == ("dft", 10, depth)
        ]
    )
    assert (round(forgotten(5)), round(forgotten(0))) == (
        459,
        375,
    ) and "from 89 meV/Å to 375, with five of six groups frozen, to 459" in text


def test_the_learning_rates_of_own_best_are_those_that_validate_best():
    """And a still higher one is worse, so notebook 02 says."""
    from tlmlp.show.curves import _own_best

    rows = sweep.rows("own-best")
    low = [r for r in rows if r["learning_rate"] < 1e-2]
    assert {(r["method"], r["learning_rate"]) for r in _own_best(low)} == set(sweep.RATES.items())
    assert _own_best(rows) == _own_best(low)
    text = (ROOT / "notebooks" / "02_germanium_transfer.ipynb").read_text(encoding="utf-8")
    high = [
        "{:.0f} ± {:.0f}".format(
            *sweep.mean_and_spread(
                [r["force_mae"] for r in rows if (r["source"], r["learning_rate"]) == (s, 1e-2)]
            )
        )
        for s in sources.COURSE
    ]
    assert f"overfits: with fifty structures {' and '.join(high)}." in text


def test_ten_structures_with_transfer_and_fifty_without():
    """The paper's headline: clear at equal steps; each side at its own best, clear on Stillinger-Weber and a draw on DFT, where it takes twenty."""
    from tlmlp.show.curves import _own_best

    of = lambda rows, source, method, n: [
        r for r in rows if (r["source"], r["method"], r["n"]) == (source, method, n)
    ]
    values = lambda *which, key="force_mae": np.array([r[key] for r in of(*which)])
    mean = lambda *which: values(*which).mean()
    words = lambda *which, key="force_mae", digits=0: "{:.{d}f} ± {:.{d}f}".format(
        *sweep.mean_and_spread(values(*which, key=key)), d=digits
    )
    equal, best = sweep.rows("learning-curve"), _own_best(sweep.rows("own-best"))
    text = (ROOT / "notebooks" / "02_germanium_transfer.ipynb").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for source in sources.COURSE:
        assert max(mean(equal, source, m, 10) for m in ("transfer", "reduced")) < 0.7 * mean(
            equal, source, "scratch", 50
        )
        assert mean(best, source, "transfer", 10) < 0.9 * mean(best, source, "scratch", 10)
        assert mean(best, source, "transfer", 20) < 0.97 * min(
            mean(best, source, "scratch", n) for n in sweep.SIZES
        )
        still = [
            r["curve"][-1][1] < 1.002 * min(p[1] for p in r["curve"])
            for r in of(best, source, "scratch", 50)
        ]
        assert np.mean(still) > 0.7  # "nearly all its lines still fall"
    ten, fifty = values(best, "dft", "transfer", 10), values(best, "dft", "scratch", 50)
    assert (
        abs(ten.mean() - fifty.mean())
        < 2 * np.hypot(ten.std(ddof=1), fifty.std(ddof=1)) / min(len(ten), len(fifty)) ** 0.5
    )  # "a draw"
    assert mean(best, "stillinger-weber", "transfer", 10) < 0.9 * min(
        mean(best, "stillinger-weber", "scratch", n) for n in sweep.SIZES
    )

    untrained = {
        (
            s,
            m,
        ): f"{np.mean([r['untrained'][0] for r in equal if (r['source'], r['method']) == (s, m)]):.0f}"
        for s in sources.COURSE
        for m in ("transfer", "reduced")
    }
    assert (
        "bring {} meV/Å down to {} ".format(*(untrained["dft", m] for m in ("transfer", "reduced")))
        in text
    )
    assert (
        "bring {} only to {} ".format(
            *(untrained["stillinger-weber", m] for m in ("transfer", "reduced"))
        )
        in text
    )
    assert float(untrained["dft", "reduced"]) < mean(equal, "dft", "scratch", 0)

    both = lambda rows, method, n: " and ".join(
        f"{mean(rows, source, method, n):.0f}" for source in sources.COURSE
    )
    against = lambda a, b: f"{mean(best, *a):.0f} against {mean(best, *b):.0f}"
    assert (
        f"with the same ten to {both(best, 'copied', 10)}." in text
        and f"with all it comes to {both(best, 'scratch', 0)}." in text
    )
    assert (
        f"it is at {both(equal, 'scratch', 50)}, with 12 800 at {both(best, 'scratch', 50)},"
        in text
    )
    level = against(("stillinger-weber", "transfer", 10), ("stillinger-weber", "scratch", 0))
    assert (
        f"even all without, {level}; on DFT it is a draw, {words(best, 'dft', 'copied', 10)} against {words(best, 'dft', 'scratch', 50)}, but"
        in text
        and level in readme
    )
    assert f"beat all without**: {against(('dft', 'copied', 20), ('dft', 'scratch', 0))}." in text
    assert f"with all structures {against(('dft', 'reduced', 0), ('dft', 'copied', 0))}." in text
    assert (
        f"from ten structures {words(best, 'dft', 'reduced', 10)}, less" in text
        and mean(best, "dft", "reduced", 10) < mean(best, "dft", "scratch", 50) - 3
    )
    assert all(
        mean(best, "stillinger-weber", "transfer", n)
        < mean(best, "stillinger-weber", "reduced", n) + 0.5
        for n in sweep.SIZES[1:]
    )
    energies = lambda source, method, n: words(best, source, method, n, key="energy_rmse", digits=1)
    assert (
        f"with transfer {energies('stillinger-weber', 'copied', 10)} meV/atom, fifty without {energies('stillinger-weber', 'scratch', 50)}."
        in text
    )
    assert (
        f"{energies('dft', 'copied', 10)} against {energies('dft', 'scratch', 50)}: their weight"
        in text
    )

    overfitted = [r["curve"][-1][1] for r in of(best, "dft", "transfer", 10)]
    early, late = (
        max(of(best, "dft", "transfer", n), key=lambda r: r["force_mae"]) for n in (10, 5)
    )
    assert (
        f"and {min(overfitted):.0f} to {max(overfitted):.0f} at the end" in text
        and late["best_step"] == late["steps"]
    )
    assert (
        f"at step {early['best_step']}, with {early['force_mae']:.0f};" in text
        and f"run to its end, {late['force_mae']:.0f}." in text
    )
    cold = " and ".join(
        f"{r['force_mae']:.0f}"
        for r in of(best, "stillinger-weber", "scratch", 5)
        if r["best_step"] == r["steps"]
    )
    assert (
        f"ran to their end, {cold}." in text
        and f"it let two of scratch from five overfit to {cold}." in readme
    )
    assert (
        f"at step {early['best_step']} with {early['force_mae']:.0f}, and let one from five overfit to {late['force_mae']:.0f};"
        in readme
    )

    for source, first in (
        ("dft", "DFT: scratch"),
        ("stillinger-weber", "Stillinger-Weber: scratch"),
    ):
        for method, start in (
            ("scratch", first),
            ("transfer", "transfer"),
            ("reduced", "transfer, reduced units"),
        ):
            assert (
                f"| {start} | {' | '.join(words(best, source, method, n) for n in sweep.SIZES)} |"
                in readme
            )
    assert {
        len(of(best, source, m, n))
        for source in sources.COURSE
        for m in sweep.METHODS
        for n in sweep.SIZES
    } == {5}
    assert "structures chose; five seeds)" in readme


def test_reduced_units_help_by_themselves_and_not_by_the_larger_cutoff():
    rows = sweep.rows("cutoff") + sweep.rows("learning-curve")
    text = (ROOT / "notebooks" / "02_germanium_transfer.ipynb").read_text(encoding="utf-8")

    def of(source, method, n, cutoff, value=lambda r: r["force_mae"]):
        own = [
            value(r)
            for r in rows
            if (r["source"], r["method"], r["n"], r.get("cutoff")) == (source, method, n, cutoff)
        ]
        assert len(own) == 5
        return np.array(own)

    for source in sources.COURSE:
        for n in (10, 50):
            for method, cutoff in (("reduced", "short"), ("scratch", "long")):
                a, b = of(source, method, n, cutoff), of(source, method, n, None)
                assert abs(a.mean() - b.mean()) < max(
                    2 * np.hypot(a.std(ddof=1), b.std(ddof=1)) / 5**0.5, 1
                )
            assert (
                of(source, "reduced", n, "short").mean()
                < of(source, "transfer", n, None).mean() - 3
            )
            untrained = [
                of(source, m, n, c, lambda r: r["untrained"][0]).mean()
                for m, c in (("reduced", "short"), ("reduced", None), ("transfer", None))
            ]
            assert (
                untrained[0] == pytest.approx(untrained[1], rel=0.05)
                and untrained[0] < 0.8 * untrained[2]
            )
    words = [
        "{:.0f} ± {:.0f}".format(*sweep.mean_and_spread(of("stillinger-weber", "scratch", 10, c)))
        for c in ("long", None)
    ]
    assert f"{words[0]} against {words[1]}" in text


@pytest.mark.parametrize("source", sources.COURSE)
def test_errors_of_potentials_with_all_data_are_those_in_the_texts(source):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    name = f"ge-{sources.SOURCES[source].short}-course-"
    scratch, transfer, reduced = (
        Potential.load(name + m).info["test_errors"]["force_mae"]
        for m in ("scratch", "transfer", "reduced")
    )
    assert f"{scratch:.0f}, {transfer:.0f} and {reduced:.0f}" in readme
