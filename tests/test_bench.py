"""PropertyBench: what it computes is what the library says, and it can be stopped."""

import time

import pytest

from tlmlp import datasets, properties, show
from tlmlp.show import bench as module


@pytest.fixture
def quick(monkeypatch):
    """Silicon unchanged without its data; every name is Stillinger-Weber, so that nothing is compiled but that."""

    class Same:
        def calculator(self):
            return datasets.stillinger_weber_calculator("Ge")

    load = module.Potential.load
    monkeypatch.setattr(module, "_unchanged", lambda source: Same())
    monkeypatch.setattr(
        module.Potential, "load", lambda name: load(name) if name.startswith("si-") else Same()
    )


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
    bench.wait(60)
    end = time.monotonic() + 20
    while "no volume" not in bench.status.value and time.monotonic() < end:
        time.sleep(0.1)
    assert bench.results == {} and "scratch: no volume with zero pressure" in bench.status.value
    bench.close()


def test_it_stops_between_potentials_and_says_what_the_picture_shows(quick, monkeypatch):
    monkeypatch.setitem(
        module.KINDS,
        "vacancy",
        lambda k, source: time.sleep(0.3) or properties.radial_distribution(module._cube(k)),
    )
    bench = show.PropertyBench(kind="vacancy")
    bench.start()
    while not bench.results and bench.alive:
        time.sleep(0.01)
    bench.stop()
    bench.wait(30)
    assert 1 <= len(bench.results) < 5
    bench._n.value = 50
    assert "other settings" in bench.status.value
    bench.close()


def test_frozen_groups_are_named():
    bench = show.PropertyBench("dft")
    bench._depth.value = 2
    assert (
        "embedding, interaction 1" in bench._frozen.value and "trains here" in bench._frozen.value
    )
    bench.close()


def test_dft_says_its_own_values_beside_the_picture():
    bench = show.PropertyBench("dft")
    known = datasets.dft_reference("Ge")["elastic"]
    bench._asked = bench._settings()
    assert f"DFT says: C11 {known['c11']:.4g} GPa" in bench._said() and "CP2K" in bench._said()
    bench._asked = bench._settings() | dict(kind="liquid")
    assert "neighbours 5.79" in bench._said() and "VASP" in bench._said()
    bench._asked = bench._settings() | dict(kind="vacancy's barrier")
    assert "Nobody" in bench._said()
    bench.close()


@pytest.mark.parametrize(
    "options, sentence",
    [(dict(source="vasp"), "source must be one of"), (dict(kind="colour"), "kind must be one of")],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        show.PropertyBench(**options)
