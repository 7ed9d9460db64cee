"""What is read or measured once is kept apart from what a learner gets, and may change."""

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from tlmlp import datasets
from tlmlp.course import race, sources, stability
from tlmlp.frames import fingerprint


@pytest.mark.parametrize("source", sources.COURSE)
def test_a_learner_who_changes_the_data_changes_no_others(source):
    train, test = sources.data(source)
    label, forces, positions = (
        test[0].get_potential_energy(),
        test[0].get_forces(),
        test[0].positions.copy(),
    )
    test[0].calc = LennardJones(sigma=2.2)  # as one compares a calculator of one's own
    assert test[0].get_potential_energy() != pytest.approx(label)
    train[0].calc.results["energy"] = 0.0
    test[1].positions[:] = 0
    test[1].info["group"] = "mine"
    del test[2:], train[1:]
    again, other = sources.data(source)[1], sources.data(source)[0]
    assert again[0].get_potential_energy() == label and other[0].get_potential_energy() != 0
    np.testing.assert_array_equal(again[0].get_forces(), forces)
    np.testing.assert_array_equal(again[0].positions, positions)
    assert np.ptp(again[1].positions) > 0 and again[1].info["group"] != "mine" and len(again) > 30


def test_forces_in_place_change_no_label():
    frames = datasets.dft("Ge", "test")[:1]
    (copied,) = datasets.copies(frames)
    assert (
        copied.calc is not frames[0].calc
        and copied.calc.results.keys() == frames[0].calc.results.keys()
    )
    copied.calc.results["forces"][:] = 0
    assert np.abs(frames[0].get_forces()).max() > 0.1


def test_labels_that_are_out_of_date_stay_so():
    (atoms,) = datasets.dft("Ge", "test")[:1]
    atoms.positions[0] += 0.5
    for frames in ([atoms], datasets.copies([atoms])):
        with pytest.raises(ValueError, match="out of date"):
            datasets.check(frames)


def test_a_word_for_labels_changes_with_a_free_energy():
    words = []
    for energy in (-1.0, -2.0):
        (atoms,) = datasets.dft("Ge", "test")[:1]
        forces = atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, free_energy=energy, forces=forces)
        words.append(fingerprint([atoms]))
    assert words[0] != words[1]


def test_what_a_race_tests_on_is_a_copy():
    germanium, silicon = race.frames("dft")
    label = germanium[0].get_potential_energy()
    germanium[0].calc = silicon[0].calc = LennardJones(sigma=2.2)
    assert race.frames("dft")[0][0].get_potential_energy() == label


def test_references_of_stability_are_copies():
    temperature = 3480
    r = stability.reference("stillinger-weber", temperature)
    n, nearest = stability.neighbours(r.start)
    r.start.positions[:] = 0
    r.n[:] = 0
    stability.references("stillinger-weber").clear()
    again = stability.reference("stillinger-weber", temperature)
    assert again.n[-1] > 10
    np.testing.assert_array_equal(stability.neighbours(again.start)[0], n)
