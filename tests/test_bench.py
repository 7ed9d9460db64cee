"""PropertyBench: what it computes is what the library says, and it can be stopped."""

import threading
import time

import pytest
from conftest import until

from tlmlp import datasets, properties, show
from tlmlp.show.widgets import bench as module


@pytest.fixture
def quick(monkeypatch):
    """Every potential is Stillinger-Weber, so that nothing is compiled but that."""
    exact = lambda *_: datasets.stillinger_weber_calculator("Ge")
    monkeypatch.setattr(module, "shipped", exact)


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


def test_the_reference_of_dft_stands_in_the_picture(quick):
    bench, known = show.PropertyBench("dft"), datasets.dft_reference("Ge")
    results = bench.result()
    assert next(iter(results)) == "reference"
    r, e = results["reference"], known["elastic"]
    assert (r.c11, r.c44_clamped) == (e["c11"], e["c44_clamped_ions"])
    assert r.bulk_modulus == pytest.approx((e["c11"] + 2 * e["c12"]) / 3)
    (ax,) = module.titled(bench.asked, results).axes
    assert [c.get_label() for c in ax.containers] == list(results)
    assert [bar.get_height() for bar in ax.containers[0]][:2] == [e["c11"], e["c12"]]
    until(lambda: "CP2K" in bench.status.value and "reference" in bench.picture.tooltip)
    words = module.said(bench.settings | dict(kind="liquid"))
    assert "5.79 neighbours" in words and "VASP" in words
    assert "No DFT value" in module.said(bench.settings | dict(kind="vacancy's barrier"))
    bench.close()


def test_curves_of_dft_are_those_of_its_files():
    known, eos = datasets.dft_reference("Ge"), module.from_dft("equation of state")
    assert eos.at(eos.volume) == pytest.approx(eos.energy)
    assert abs(eos.at(eos.volumes) - eos.energies).max() < 1e-3  # eV: the fit goes through them
    vacancy = module.from_dft("vacancy")
    assert (vacancy.energy, vacancy.sites) == (known["vacancy"]["vacancy"], 64)
    crystal = datasets.stillinger_weber_calculator("Ge")
    results = {"scratch": module.KINDS["phonon bands"](crystal, "dft")}
    asked = dict(source="dft", kind="phonon bands", n=10, depth=0)
    path = module.titled(asked, results).axes[0]
    diamonds = {line.get_xdata()[0]: line for line in path.lines if line.get_marker() == "D"}
    drawn = [sorted(line.get_ydata()) for line in diamonds.values()]
    frequencies = known["phonons"]["frequencies"]
    assert all(sorted(frequencies[name]) in drawn for name in ("Γ", "X", "L"))


@pytest.mark.parametrize(
    "options, sentence",
    [(dict(source="vasp"), "source must be one of"), (dict(kind="colour"), "kind must be one of")],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        show.PropertyBench(**options)
