"""What research.vacancy trains and measures on, and its rows."""

import numpy as np
import pytest

from research import vacancy
from tlmlp import datasets


def test_cold_vacancies_are_colder_than_those_to_train_on():
    cold, path = vacancy.own("cold"), vacancy.own("path")
    assert len(cold) == 8 and all(len(atoms) == 63 for atoms in cold + path)
    size = lambda frames: np.sqrt(np.mean([atoms.get_forces() ** 2 for atoms in frames]))
    hot = [a for a in datasets.dft("Ge", "train") if a.info["group"] == "Vacancy"]
    assert size(cold[:1] + cold[4:5]) < size(cold[3::4]) < 0.7 * size(hot)


def test_the_path_goes_from_rest_to_a_vacancy_of_the_training_set():
    path, known = vacancy.own("path"), datasets.dft_reference("Ge")["vacancy"]
    for stored, made in zip(path, vacancy.on_the_path(), strict=True):
        assert np.allclose(stored.positions, made.positions, atol=1e-5)
    _, crystal = vacancy.relaxed_by_dft()
    above = vacancy.energies(path) - vacancy.energies([crystal]) * 63 / 64
    assert above[0] == pytest.approx(known["vacancy_unrelaxed"], abs=0.01)
    assert np.argsort(above[1:]).tolist() == [0, 1, 2, 3] and above[-1] > 4
    hot = next(a for a in datasets.dft("Ge", "train") if a.info["group"] == "Vacancy")
    scaled = [
        np.sort(a.get_all_distances(mic=True).ravel() / a.cell[0, 0]) for a in (path[-1], hot)
    ]
    assert np.allclose(*scaled, atol=1e-6)


@pytest.mark.parametrize("variant", ["with eight cold vacancies", "from silicon's weights"])
def test_a_row_of_a_few_steps(variant, monkeypatch):
    monkeypatch.setitem(vacancy.VARIANTS, variant, vacancy.VARIANTS[variant] | dict(steps=3))
    (task,) = [t for t in vacancy.tasks() if (t["variant"], t["seed"]) == (variant, 0)]
    row = vacancy.perform(task)
    assert task.items() <= row.items() and len(row["path"]) == len(vacancy.PATH)
    # path[0] is the vacancy whose neighbours have not moved, in another lattice constant's digits
    known = datasets.dft_reference("Ge")["vacancy"]["vacancy_unrelaxed"]
    assert row["unrelaxed"] - known == pytest.approx(row["path"][0], abs=0.02)
    assert row["relaxed"] < row["unrelaxed"] + 0.01 and {"Solid", "Vacancy"} <= {*row["off"]}
