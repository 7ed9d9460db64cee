"""The slider from silicon to germanium, and the exercises on it."""

import numpy as np
import pytest
from ase.build import bulk
from conftest import until

import tlmlp
from research import alchemy as table, alloys as alloy_table
from tlmlp import alchemy, course, crystal, show
from tlmlp.show.figures import alloys
from tlmlp.show.widgets.alchemy import between

PAIR = ("Si", "Ge")


@pytest.fixture(scope="module")
def network():
    return tlmlp.Potential.load("sige-dft-course")


def test_relax_computes_what_is_asked_for_and_what_was_precomputed(network):
    """The rows were computed in float64, the widget's crystal in float32."""
    widget = show.Alchemy(network)
    drawn = widget.picture.value
    widget.set(0.25, "embedding")
    assert widget.x == 0.25 and widget.picture.value != drawn
    (found,) = widget.result().values()
    (row,) = [r for r in alloys.of_way(course.rows("alchemy"), "embedding") if r["x"] == 0.25]
    assert found["lattice_constant"] == pytest.approx(row["lattice_constant"], abs=2e-4)
    assert found["bulk_modulus"] == pytest.approx(row["bulk_modulus"], rel=5e-3)
    until(lambda: "Done in" in widget.status.value)
    assert "computed now, x = 0.25" in widget.numbers.value
    widget.set(0.5)
    assert "computed now" not in widget.numbers.value and "x = 0.50" in widget.heading.value
    widget.close()


def test_atoms_have_the_colours_of_the_fraction(network, monkeypatch):
    """As many atoms of an alloy as the fraction says are germanium; a mixture has one colour."""
    widget = show.Alchemy(network, viewer="canvas")
    drawn = []
    monkeypatch.setattr(widget.view, "draw", lambda positions, colours: drawn.append(colours))
    widget.view.answer(0)  # a browser has shown it
    widget.set(0.25)
    assert set(drawn[-1]) == {0.25}
    widget.shown.value = True
    assert sorted(drawn[-1]) == [0.0] * 48 + [1.0] * 16
    before = drawn[-1]
    widget.set(0.5)
    assert (drawn[-1] >= before).all() and drawn[-1].sum() == 32
    widget.close()


@pytest.mark.parametrize(("name", "table"), [("alchemy", table), ("alloys", alloy_table)])
def test_shipped_rows_are_those_of_their_table(name, table):
    rows = course.rows(name)
    of = lambda task: [row for row in rows if task.items() <= row.items()]
    assert all(len(of(task)) == 1 for task in table.tasks()) and len(rows) == len(table.tasks())


def test_one_atom_costs_the_same_by_three_ways():
    """Integration, perturbation in the other direction and vibrations, within three errors."""
    found = [row for row in course.rows("alchemy") if row["method"] == "dilute"]
    assert [row["host"] for row in found] and {row["temperature"] for row in found} == {600.0}
    for row in found:
        (ti, error), (back, other), (exact, *_) = (
            row[name] for name in ("integrated", "perturbation", "harmonic")
        )
        assert abs(ti - back) < 3 * np.hypot(error, other) and abs(ti - exact) < 3 * error + 1e-3


def test_a_mixture_follows_random_alloys():
    """By two nodes, within 1 mÅ and 0.6 GPa; by mixed rows it does not."""
    rows, off = course.rows("alchemy"), {}
    for key in ("lattice_constant", "bulk_modulus"):
        for way in alloys.LOOKS:
            known = {row["x"]: row[key] for row in alloys.of_way(rows, way)}
            at, mean, _ = alloys.means(rows, key, (known[0.0], known[1.0]))
            line = [known[0.0] + x * (known[1.0] - known[0.0]) for x in at]
            off[key, way] = np.abs([known[x] for x in at] - (mean + line)).max()
    assert off["lattice_constant", "nodes"] < 1.1e-3 < off["lattice_constant", "embedding"]
    assert off["bulk_modulus", "nodes"] < 0.6 < 3 < off["bulk_modulus", "embedding"]


def test_colours_between_two():
    assert between("#000000", "#ff8000", 3) == ["#000000", "#804000", "#ff8000"]


def test_what_lies_above_a_line():
    """A parabola over the ends' line keeps its own height."""
    x = np.linspace(0, 1, 5)
    np.testing.assert_allclose(alloys.above_line(x, 3 + 2 * x - x * (1 - x)), -x * (1 - x))
    rows = [dict(method="random", x=0.5, seed=s, a=4.0 + s) for s in (0, 1)]
    (at,), (mean,), (spread,) = alloys.means(rows, "a", (3.0, 5.0))
    assert (at, mean) == (0.5, 0.5) and spread == pytest.approx(0.5**0.5)


def test_the_slope_by_the_fraction(network):
    atoms = bulk("Si", "diamond", a=5.55, cubic=True)
    mixed = alchemy.AlchemicalCalculator(network, PAIR, 0.3, dtype="float64")
    slope = mixed.slopes(atoms).sum()
    check = lambda answer: course.check_fraction_slope(answer, mixed, atoms)
    assert check(slope) and check(1.005 * slope)
    for answer, words in (
        (slope / 2, "half"),
        (2 * slope, "twice"),
        (-slope, "sign"),
        (slope / 8, "each of 8 atoms"),
        (0.1, "divide their difference by 2h"),
        (..., "dots"),
    ):
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_a_composition(network):
    wanted = 5.6
    mixed = alchemy.AlchemicalCalculator(network, PAIR)
    atoms = bulk("Si", "diamond", a=wanted)
    *_, last = alchemy.descend(mixed, atoms, wanted)
    check = lambda answer: course.check_composition(answer, wanted, network)
    assert check(last.fraction)
    mixed.fractions = last.fraction
    assert crystal.lattice_constant(atoms, mixed) == pytest.approx(wanted, abs=2e-3)
    assert "more germanium" in check(0.1).words and "less germanium" in check(0.9).words
    for answer in (1.1, "0.5", True):
        assert "a fraction is a number from 0 to 1" in check(answer).words
