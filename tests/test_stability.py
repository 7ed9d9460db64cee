"""Stability: the reference survives by the criterion, and what is wrong does not."""

import dataclasses
import json

import numpy as np
import pytest
from ase.build import bulk
from scipy import stats

import tlmlp
from research import rows as performers, tables
from tlmlp import elements, show
from tlmlp.course import results, stability
from tlmlp.course.runs import Run
from tlmlp.course.sources import SOURCES

SW = "stillinger-weber"
TINY = tlmlp.Config("course", embed_size=8, n_blocks=1, n_spherical=2, n_dense_out=1, cutoff=3.0)


def nothing():
    """A potential without forces: an ideal gas."""
    potential = tlmlp.Potential.create(TINY, ("Si", "Ge"))
    zero = {
        m: {name: np.zeros_like(w) for name, w in ws.items()} for m, ws in potential.params.items()
    }
    zero["dimenet"] = potential.params["dimenet"]  # frequencies
    return potential.replace(params=zero)


def test_apart_is_the_earth_movers_distance():
    """scipy's, of two samples of pair distances, to the width of a bin."""
    rng = np.random.default_rng(0)
    a, b = (
        rng.normal(2.4, 0.1, 4000),
        np.concatenate([rng.normal(2.5, 0.2, 3000), rng.normal(4.0, 0.2, 1000)]),
    )
    n = lambda d: np.cumsum(np.histogram(d, stability.BINS, (0, stability.REACH))[0]) / 64
    expected = stats.wasserstein_distance(a, b)
    assert (
        stability.apart(n(a), n(b)) == pytest.approx(expected, abs=stability.REACH / stability.BINS)
        and expected > 0.3
    )
    assert stability.apart(n(a), n(a)) == 0


def test_references_are_crystals_and_liquids():
    known = stability.references(SW)
    assert [round(T) for T in known] == [520, 1010, 1740, 2460, 3480, 4500]
    at_3 = round(3 / stability.REACH * stability.BINS) - 1
    for T, r in known.items():
        assert (r.phase == "liquid") == (T > elements.element("Ge").melting_temperature)
        assert r.phase == "liquid" or r.n[at_3] == pytest.approx(4, abs=0.02)
        assert 1.9 < r.nearest < 2.3
    assert set(SOURCES[SW].temperatures) <= set(known)
    with pytest.raises(ValueError, match="has no frames at 300 K, only at 520, 1010"):
        stability.reference(SW, 300)


@pytest.mark.parametrize("temperature", [520, 2460, 4500])
def test_the_reference_itself_survives(temperature):
    """Seeds that the limits were not chosen with."""
    t = stability.trial(stability.truth(SW), stability.reference(SW, temperature), 3, seed=11)
    assert not t.failure and t.time_ps == 3 and "survived 3 ps" in t.words, t.words
    assert len(t.apart) == len(t.nearest) == 3 and max(t.apart) < stability.APART


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20, 25))
def test_the_reference_survives_for_long(seed):
    for temperature in stability.references(SW):
        t = stability.trial(stability.truth(SW), stability.reference(SW, temperature), 20, seed)
        assert not t.failure, (temperature, t.words)


def test_a_quiet_failure_is_seen(monkeypatch):
    """Germanium with silicon's lambda melts near 1500 K; at 2460 K simulate itself says nothing."""
    own = elements.ELEMENTS["Ge"]
    reference = stability.reference(SW, 2460)
    monkeypatch.setitem(elements.ELEMENTS, "Ge", dataclasses.replace(own, lam=21.0))
    t = stability.trial(stability.truth(SW), reference, 8, seed=0)
    assert t.failure == "structure" and 1 <= t.time_ps < 8 and "pairs of atoms" in t.words


def test_atoms_without_forces_fail_at_once():
    t = stability.trial(nothing(), stability.reference(SW, 2460), 2)
    assert t.failure in ("too close", "brakes") and t.time_ps < 1


def test_a_crystal_that_is_heated_is_lost_above_its_melting_temperature():
    looks = list(stability.heat(stability.truth(SW), SW, rate=2500, seed=1))
    last = looks[-1]
    assert "crystal is lost" in last.failure and not any(look.failure for look in looks[:-1])
    assert last.snapshot.target_K > elements.element("Ge").melting_temperature
    cold = [look.liquid for look in looks if 500 < look.snapshot.target_K < 2900]
    assert max(cold) < 0.25 and last.liquid > 0.5


def test_survival_is_that_of_kaplan_and_meier():
    """Remission under 6-MP, a median of 23 weeks (Freireich et al., Blood 21, 699 (1963))."""
    weeks = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+".split()
    trials = [
        dict(time_ps=float(w.strip("+")), failure="" if "+" in w else "structure") for w in weeks
    ]
    s = stability.survival(trials)
    assert (s.trials, s.median_ps, s.fraction) == (21, 23, pytest.approx(12 / 21))
    never = stability.survival([dict(time_ps=8.0, failure="")] * 3)
    assert (never.fraction, never.median_ps) == (1, np.inf)
    with pytest.raises(ValueError, match="no trials"):
        stability.survival([])


def test_a_row_of_the_table():
    """Of the reference, which needs no training; as JSON and back it is a row of its run."""
    table = tables.table("stability")
    assert len(set(table)) == len(table) and {run.n for run in table} == {0, 10, 50}
    run = next(run for run in table if run.method == "reference")
    made = performers.stability_row(run.as_dict(), temperatures=(2460,), length_ps=1)
    row = json.loads(json.dumps(made))
    assert Run.of(row) == run and row["trials"][0]["failure"] == "" and row["force_mae"] is None
    assert row["limits"]["apart"] == stability.APART
    assert performers.PERFORMERS["stability"] is performers.stability_row


def test_shipped_rows_belong_to_the_table_and_the_reference_survives_in_them():
    table = set(tables.table("stability"))
    for row in results.rows("stability"):
        assert Run.of(row) in table
        assert row["limits"]["apart"] == stability.APART and row["date"]
        temperatures = [t["temperature"] for t in row["trials"]]
        assert temperatures == list(SOURCES[row["source"]].temperatures)
        if row["method"] == "reference":
            assert not any(t["failure"] for t in row["trials"])


@pytest.mark.parametrize(
    "call, sentence",
    [
        (
            lambda: stability.trial("si-sw-course", stability.reference(SW, 520), 0.5),
            "length_ps must be at least 1",
        ),
        (lambda: stability.heat("si-sw-course", rate=0), "rate must be a number of K/ps above 0"),
        (lambda: stability.truth("mlearn"), "DFT cannot"),
        (
            lambda: stability.references("dft"),
            "source must be one of mlearn, stillinger-weber, not 'dft'",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def made_up(method, n, seed, times, phase=None):
    trials = [
        dict(
            temperature=float(T),
            phase="crystal",
            time_ps=t,
            failure="" if t == 8 else "structure",
            apart=[],
            nearest=[],
        )
        for T, t in zip(SOURCES[SW].temperatures, times)
    ]
    return Run(source=SW, method=method, n=n, seed=seed, phase=phase).as_dict() | dict(
        trials=trials, length_ps=8.0
    )


def test_figures():
    rows = [made_up("scratch", 10, s, (8, 8, 8, 2 + s, 1)) for s in range(3)]
    rows += [made_up("transfer", 10, s, (8, 8, 8, 8, 8 - s)) for s in range(3)]
    (ax,) = show.stability_map(rows).axes
    said = {
        (
            text.get_position()[0],
            ax.get_yticklabels()[text.get_position()[1]].get_text(),
        ): text.get_text()
        for text in ax.texts
        if "of" in text.get_text()
    }
    assert [said[x, "scratch, 10 structures"] for x in range(5)] == ["3 of 3"] * 3 + [
        "0 of 3\n3.0 ps",
        "0 of 3\n1.0 ps",
    ]
    assert said[4, "transfer, 10 structures"] == "1 of 3\n7.0 ps"
    assert "no precomputed" in show.stability_map([]).texts[0].get_text()

    crystal = bulk("Ge", "diamond", a=elements.element("Ge").lattice_constant, cubic=True).repeat(2)
    run = lambda dt: list(
        tlmlp.simulate.nve(
            stability.truth(SW), crystal, 600, steps=240 // dt, every=24 // dt, timestep_fs=dt
        )
    )
    energy, error = show.conservation({dt: run(dt) for dt in (1, 2, 4)}).axes
    points = {
        line.get_xdata()[0]: line.get_ydata()[0]
        for line in error.lines
        if len(line.get_xdata()) == 1
    }
    assert (
        np.log2(points[4] / points[2]) == pytest.approx(2, abs=0.4)
        and "meV/atom" in energy.get_ylabel()
    )

    snapshots = list(
        tlmlp.simulate.nvt(
            stability.truth(SW), crystal, lambda t: 300 + t, steps=400, every=10, timestep_fs=2
        )
    )
    energy, g = show.melting(snapshots, (400, 1000)).axes
    with pytest.raises(ValueError, match="stages must be between 300 and 1080 K.* not 1700, 4000"):
        show.melting(snapshots, (400, 1700, 4000))
    cold, hot = (line.get_ydata().max() for line in g.lines)
    assert cold > 1.5 * hot and [t.get_text() for t in g.get_legend().get_texts()] == [
        "400 K",
        "1000 K",
    ]


def test_rows_of_stability():
    """How many of 15 liquids survived: nearly all, but none of scratch trained on ten crystals."""
    rows = [r for r in results.rows("stability") if r["method"] != "reference"]
    trials = [(r["method"], r["n"], r["phase"], t) for r in rows for t in r["trials"]]
    held = {}
    for method, n, phase, t in trials:
        if t["phase"] == "liquid":
            held.setdefault((n, phase), {}).setdefault(method, []).append(not t["failure"])
    count = lambda kind: [sum(held[kind][m]) for m in results.METHODS]
    assert {len(v) for methods in held.values() for v in methods.values()} == {15}
    assert count((10, "crystal")) == [0, 11, 12]
    assert count((10, None)) == [13, 14, 13] and count((50, None)) == [12, 14, 15]
    failed = [t["failure"] for *_, t in trials if t["failure"]]
    assert (len(failed), failed.count("structure")) == (33, 24)
