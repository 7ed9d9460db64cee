"""PropertyBench: what it computes is what the library says, and it can be stopped."""

import threading
import time

import pytest

from tlmlp import datasets, properties, show
from tlmlp.show.widgets import bench as module


@pytest.fixture
def quick(monkeypatch):
    """Every potential is Stillinger-Weber, so that nothing is compiled but that."""
    exact = lambda *_: datasets.stillinger_weber_calculator("Ge")
    monkeypatch.setattr(module, "shipped", exact)


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


def test_results_are_those_of_the_library(quick):
    bench = show.PropertyBench(mine={"mine": datasets.stillinger_weber_calculator("Ge")})
    results = bench.result()
    assert list(results) == [
        "reference",
        "scratch",
        "transfer",
        "transfer, reduced units",
        "silicon unchanged",
        "mine",
    ]
    assert all(r.c44 == pytest.approx(58.82, abs=0.02) for r in results.values())
    bench.close()


def test_what_does_not_exist_is_said(quick, monkeypatch):
    def fails(calculator, source):
        raise RuntimeError("no volume with zero pressure was found")

    monkeypatch.setitem(module.KINDS, "vacancy", fails)
    bench = show.PropertyBench(kind="vacancy")
    bench.start()
    until(lambda: "scratch: no volume with zero pressure" in bench.status.value)
    bench.wait(60)
    assert bench.results == {}
    bench.close()


def test_it_stops_between_potentials_and_says_what_the_picture_shows(quick, monkeypatch):
    monkeypatch.setitem(
        module.KINDS,
        "vacancy",
        lambda k, source: time.sleep(0.3) or properties.radial_distribution(module.cube(k)),
    )
    bench = show.PropertyBench(kind="vacancy")
    bench.start()
    until(lambda: bench.results)
    bench.stop()
    bench.wait(120)
    assert 1 <= len(bench.results) < 5
    bench.controls["n"].value = 50
    until(lambda: "other settings" in bench.status.value)
    bench.close()


def test_a_picture_is_named_after_what_was_computed(quick, monkeypatch):
    """Not after what the controls say by now."""
    going, drawn, plot = threading.Event(), [], module.figures.plot
    monkeypatch.setattr(module.figures, "plot", lambda r: drawn.append(plot(r)) or drawn[-1])
    radial = lambda k, source: going.wait(60) and properties.radial_distribution(module.cube(k))
    monkeypatch.setitem(module.KINDS, "vacancy", radial)
    bench = show.PropertyBench(kind="vacancy")
    bench.start()
    bench.controls["kind"].value = "phonon bands"
    bench.controls["n"].value = 50
    going.set()
    bench.wait(120)
    until(lambda: len(bench.results) == 5 and "other settings" in bench.status.value)
    titles = {figure.get_suptitle() for figure in drawn}
    assert titles == {"Vacancy of Ge: Stillinger-Weber, 10 structures"}
    assert bench.asked["kind"] == "vacancy"
    bench.close()


def test_what_is_computed_is_what_was_chosen_when_compute_was_pressed(quick, monkeypatch):
    """Also where the computation before ends a step first."""
    begun, going, seen = threading.Event(), threading.Event(), []

    def slow(calculator, source):
        begun.set()
        assert going.wait(60)
        return properties.radial_distribution(module.cube(calculator))

    monkeypatch.setitem(module.KINDS, "vacancy", slow)
    monkeypatch.setitem(module.KINDS, "liquid", lambda *_: seen.append("liquid") or slow(*_))
    bench = show.PropertyBench(kind="vacancy").start()
    begun.wait(60)
    bench.controls["kind"].value = "liquid"
    bench.start()
    bench.controls["kind"].value = "other crystals"
    going.set()
    bench.wait(120)
    assert bench.asked["kind"] == "liquid" and len(seen) == 5
    bench.close()


def test_frozen_groups_are_named():
    bench = show.PropertyBench("dft")
    bench.controls["depth"].value = 2
    assert "embedding, interaction 1" in bench.frozen.value and "trains here" in bench.frozen.value
    bench.close()


def test_dft_says_its_own_values_beside_the_picture():
    bench = show.PropertyBench("dft")
    known = datasets.dft_reference("Ge")["elastic"]
    words = module.said(bench.settings)
    assert f"DFT says: C11 {known['c11']:.4g} GPa" in words and "CP2K" in words
    words = module.said(bench.settings | dict(kind="liquid"))
    assert "neighbours 5.79" in words and "VASP" in words
    assert "No DFT value" in module.said(bench.settings | dict(kind="vacancy's barrier"))
    bench.close()


@pytest.mark.parametrize(
    "options, sentence",
    [(dict(source="vasp"), "source must be one of"), (dict(kind="colour"), "kind must be one of")],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        show.PropertyBench(**options)
