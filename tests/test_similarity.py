"""How similar must an element be? The family of Stillinger-Weber, and the rows of its table."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import until

import tlmlp
from research import how_similar, other_pairs, similarity, vacancy
from tlmlp import course, datasets, elements, show
from tlmlp.course import family
from tlmlp.course.family import Member
from tlmlp.course.similarity import bond, overlap
from tlmlp.stillinger_weber import StillingerWeber


@pytest.fixture(scope="module")
def silicon():
    return family.structures(Member())[1]


def test_the_member_without_a_difference_is_silicon(silicon):
    truth = StillingerWeber("Si")
    assert len(silicon) == 36 and {a.info["phase"] for a in silicon} == {"crystal", "liquid"}
    for atoms in silicon[:6]:
        same = atoms.copy()
        same.symbols[:] = "Si"
        same.calc = truth
        assert np.allclose(same.get_forces(), atoms.get_forces(), atol=1e-6)
        assert same.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
        assert np.allclose(same.get_stress(), atoms.get_stress(), atol=1e-8)


def test_size_and_energy_are_units_of_length_and_of_energy(silicon):
    """E'(s r) = e E(r), so forces are e / s times those of silicon."""
    scaled = family.structures(Member(size=1.2, energy=0.5))[1]
    for old, new in zip(silicon, scaled):
        assert np.allclose(new.positions, 1.2 * old.positions)
        assert new.get_potential_energy() == pytest.approx(0.5 * old.get_potential_energy())
        assert np.allclose(new.get_forces(), 0.5 / 1.2 * old.get_forces(), atol=1e-9)


def test_stiffness_and_angle_are_those_of_the_bonds():
    """In the perfect crystal all angles are tetrahedral, and each of six costs the same."""
    crystal = bulk("Ge", "diamond", a=elements.element("Si").lattice_constant, cubic=True)

    def energy(**changes):
        crystal.calc = StillingerWeber(Member(**changes).row)
        return crystal.get_potential_energy() / len(crystal)

    pairs = energy(stiffness=0.0)
    assert energy() == pytest.approx(pairs, abs=1e-7)
    assert energy(stiffness=42.0) == pytest.approx(pairs, abs=1e-7)
    bent = [energy(angle=90.0, stiffness=stiffness) - pairs for stiffness in (10.0, 20.0)]
    assert bent[1] == pytest.approx(2 * bent[0]) and bent[0] > 0
    more = energy(angle=60.0, stiffness=10.0) - pairs  # (cos - 1/2)² over (cos - 0)², cos = -1/3
    assert more / bent[0] == pytest.approx((5 / 6) ** 2 / (1 / 3) ** 2, rel=1e-6)


def test_structures_are_copies(silicon):
    first = family.structures(Member())[1]
    first[0].positions += 1
    assert np.array_equal(family.structures(Member())[1][0].positions, silicon[0].positions)
    train, test = family.structures(Member())
    assert len(train) == 60 and len(datasets.check(train + test)) == 96


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (dict(size=0.0), "size must be"),
        (dict(energy=-1.0), "energy must be"),
        (dict(stiffness=-1.0), "stiffness must be 0 or more"),
        (dict(angle=181.0), "angle must be from 0 to 180"),
        (dict(angle=float("nan")), "angle must be from 0 to 180"),
    ],
)
def test_a_member_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Member(**wrong)


def test_a_row_says_errors_before_and_after():
    """A short training of the member that the source knows: it begins close, and stays close."""
    row = similarity.family_row(similarity.family()[1] | dict(steps=20), None)
    assert row["method"] == "transfer" and row["before"] < 60 < 900 < row["force"]
    assert row["force_mae"] < 100


def test_the_outlook_of_silicon_in_other_units_is_that_of_silicon_itself():
    """Only units differ, so structures are the same and the network's error is that on silicon."""
    silicon = tlmlp.Potential.load("si-sw-course")
    old, new = (family.structures(m)[1] for m in (Member(), Member(size=1.2, energy=0.5)))
    same = course.outlook(silicon, old, new)
    assert same.bonds == pytest.approx(1.2) and same.overlap == pytest.approx(1.0)
    assert same.error < 0.05
    other = course.outlook(silicon, old, family.structures(Member(stiffness=0.0))[1])
    assert other.error > 5 * same.error and "100% of neighbours alike" in str(other)


def test_overlap_counts_neighbours_at_a_common_distance():
    """Within two bonds diamond has 4, 12 and 12 neighbours, bcc 8, 6, 12 and 24: 28 of 50 agree."""
    diamond = bulk("Si", "diamond", a=5.43, cubic=True)
    metal = bulk("Li", "bcc", a=3.44, cubic=True).repeat(2)
    larger = bulk("Ge", "diamond", a=5.66, cubic=True)
    assert bond([diamond]) == pytest.approx(5.43 * 3**0.5 / 4)
    assert overlap([diamond], [larger]) == pytest.approx(1.0)
    assert overlap([diamond], [metal]) == pytest.approx(28 / 50)


def test_an_outlook_is_of_one_new_element():
    mixed = [bulk("NaCl", "rocksalt", a=5.6)]
    mixed[0].calc = SinglePointCalculator(mixed[0], energy=0.0, forces=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="one element, not Cl, Na"):
        course.outlook(tlmlp.Potential.load("si-sw-course"), mixed, mixed)


def trained(member, reduced, scratch, carried):
    """What show.Family().result() holds after one training."""
    ends = zip("st", (scratch, carried))
    rows = [dict(method=m, steps=400, curve=[[0, 500.0], [400, x]]) for m, x in ends]
    return {(member, reduced): rows}


def test_an_element_that_silicon_harms_is_found_among_copied_weights():
    far = Member(size=1.2, angle=90.0)
    judge = course.check_hurts
    assert judge(trained(Member(), False, 160, 40) | trained(far, False, 90, 100))
    stopped = trained(far, False, 90, 100)
    for row in stopped[far, False]:
        row["curve"] = row["curve"][:1]
    for answer, words in (
        (..., "dots"),
        (stopped, "no training came to its end"),
        ({}, "press Train"),
        (0.8, "press Train"),
        ({(far, False): []}, "choose copied weights"),
        (trained(far, True, 90, 100), "choose copied weights"),
        (trained(Member(), False, 160, 40), "gain of 4.00 at size 1, energy 1, stiffness 21"),
    ):
        verdict = judge(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_what_a_transfer_may_gain():
    check = lambda answer: course.check_expected_gain(answer, 125, 89, 1.05, 0.95)
    right = 125 / (89 * 0.95 / 1.05)
    assert check(right) and check(np.float32(right))
    for answer, words in (
        (..., "dots"),
        (125 / 89, "units are missing"),
        (125 / (89 * 1.05 / 0.95), "not by s/e"),
        (1 / right, "upside down"),
        (89 * 0.95 / 1.05, "in meV/Å"),
        (4.0, "divide scratch's error"),
        ("much", "one number"),
    ):
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_gains_compare_the_same_structures_and_steps():
    """Scratch of another seed, size or member is no rival."""
    run = dict(size=1.0, n=10, seed=0, steps=800, force=1000.0)
    carried = run | dict(method="transfer", force_mae=50.0, before=200.0)
    scratch = [run | dict(method="scratch", force_mae=100.0)]
    scratch += [scratch[0] | change for change in (dict(seed=1), dict(n=50), dict(size=1.2))]
    for k, row in enumerate(scratch):
        row["force_mae"] += 100.0 * k
    assert course.results.gains_of([carried, *scratch], ("size",)) == {
        ((1.0,), "transfer"): [(2.0, 0.2)]
    }
    assert course.results.gains_of([carried], ("size",)) == {}
    knob = lambda **changes: family.knob_of((*vars(Member(**changes)).values(),))
    assert knob() is None and knob(size=1.1) == "size" and knob(angle=90.0) == "angle"
    assert knob(size=1.1, energy=2.0) == "several"


def test_the_widget_trains_towards_the_element_of_its_sliders(monkeypatch):
    monkeypatch.setattr("tlmlp.show.widgets.family.STEPS", 100)
    widget = show.Family()
    assert widget.member == Member() and "copied" not in widget.numbers.value
    widget.set(stiffness=0.0, angle=90.0)
    assert widget.member == Member(stiffness=0.0, angle=90.0)
    widget.set(stiffness=21.0, size=1.2)
    ((key, (scratch, carried)),) = widget.result().items()
    assert key == (Member(size=1.2, angle=90.0), False)
    assert [row["curve"][-1][0] for row in (scratch, carried)] == [100, 100]
    assert carried["curve"][0][1] > carried["curve"][-1][1]
    until(lambda: "a gain of" in widget.status.value)
    widget.set(reduced=True)
    assert widget.member.size == 1.2 and len(widget.found) == 1
    widget.close()


@pytest.mark.parametrize(
    ("name", "tasks", "number"),
    [
        ("family", similarity.family, 745),
        ("pairs", similarity.pairs, 411),
        ("other-pairs", other_pairs.tasks, 65),
        ("vacancy", vacancy.tasks, 23),
    ],
)
def test_shipped_rows_are_those_of_the_table(name, tasks, number):
    rows, tasks = course.rows(name), tasks()
    of = lambda task: [row for row in rows if task.items() <= row.items()]
    assert all(len(of(task)) == 1 for task in tasks) and len(rows) == len(tasks) == number


def test_likeness_of_two_elements():
    classical, silicon = (similarity.likeness(name, "Ge") for name in ("SW", "Si"))
    assert classical["bonds"] == 1.065 and silicon["bonds"] == 1.058
    assert 0.7 < classical["overlap"] < silicon["overlap"] < 1


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A folder with a network of silicon and germanium, after three steps."""
    folder, kept = tmp_path_factory.mktemp("sources"), vars(similarity).copy()
    few = {name: datasets.subset(datasets.dft(name, "train"), 12, 0) for name in ("Si", "Ge")}
    few["Sn"] = datasets.copies(few["Ge"])
    for atoms in few["Sn"]:  # germanium pretends to be tin
        atoms.symbols[:] = atoms.calc.atoms.symbols[:] = "Sn"
    similarity.TRAINED = dict(steps=3, average=0.9, seed=0)
    similarity.GROUP = ("Si", "Ge", "Sn")
    similarity.known = lambda name: (few[name], few[name])
    task = dict(method="source", source="others", target="Sn")
    row = similarity.pair_row(task, folder)
    assert 100 < row["force_mae"] < 1500 and row["best_step"] <= 3
    yield folder, task
    vars(similarity).update(kept)
    similarity.likeness.cache_clear()


def test_a_pair_of_elements_makes_a_row(sources):
    run = dict(target="Sn", n=4, seed=0, steps=3)
    rows = [
        similarity.pair_row(run | dict(source=source, row=way, method=method), sources[0])
        for source, way, method in (
            (None, None, "scratch"),
            ("others", "copy", "reduced"),
            ("others", "neighbours", "reduced"),
        )
    ]
    scratch, copied, around = rows
    assert "overlap" not in scratch and "before" not in scratch and copied["bonds"] is None
    assert scratch["force"] == copied["force"] and 0.8 < copied["overlap"] < 1
    assert copied["before"] != around["before"]


def test_another_pair_is_followed_through_molecular_dynamics(sources, monkeypatch):
    monkeypatch.setattr(other_pairs, "FRACTIONS", (0.5, 2.0))
    monkeypatch.setattr(other_pairs, "TRIAL", 1.0)
    monkeypatch.setattr(other_pairs, "REFERENCE", 2.0)
    monkeypatch.setattr(similarity, "known", other_pairs.known)  # all structures
    folder, task = sources
    similarity.file_of(task, folder).rename(folder / "Ge.safetensors")
    tlmlp.Potential.load("si-dft-course").save(folder / "Si.safetensors")
    (task,) = [
        t
        for t in other_pairs.tasks()
        if (t["method"], t.get("target"), t.get("phase"), t.get("seed"))
        == ("reduced", "Si", "crystal", 0)
    ]
    row = other_pairs.perform(task | dict(steps=3), folder)
    assert row["source"] == "Ge" and row["phases"]["crystal"] < row["phases"]["liquid"]
    cold, hot = row["trials"]
    assert (cold["phase"], hot["phase"]) == ("crystal", "liquid") and hot["failure"]
    assert all(0 <= trial["time_ps"] <= 1 for trial in row["trials"])
    own = other_pairs.perform(dict(method="own", target="Si", source="Si", seed=0), folder)
    assert [trial["failure"] for trial in own["trials"]] == ["", ""]  # but for its seed
    assert own["phases"]["crystal"] < row["phases"]["crystal"]
    for fraction, phase in ((0.5, "crystal"), (2.0, "liquid")):
        known = other_pairs.reference("Si", fraction, folder)
        assert known.phase == phase and known.temperature == pytest.approx(1687 * fraction)
        assert 1.2 < known.nearest < 2.37
    cold = other_pairs.reference("Si", 0.5, folder)
    assert cold.start.cell.lengths() == pytest.approx(2 * 4 * similarity.BONDS["Si"] / 3**0.5)
    bonds = cold.n[int(2.8 / other_pairs.stability.REACH * other_pairs.stability.BINS)]
    assert bonds == pytest.approx(4.0, abs=0.1)


def test_sections_of_pairs_say_what_their_rows_say(monkeypatch):
    own = [dict(method="source", source="Si", force_mae=80.0, steps=12000, seed=0)]
    for n, source, target in ((10, "Si", "Ge"), (50, "Si", "Ge"), (10, "Ge", "C"), (50, "Ge", "C")):
        run, far = dict(target=target, n=n, steps=800), target == "C"
        alike = dict(bonds=0.618, overlap=0.8) if far else dict(bonds=1.058, overlap=0.91)
        for seed in (0, 1):
            own.append(run | dict(method="scratch", source=None, seed=seed, force_mae=120.0))
            own.append(
                run
                | dict(method="reduced", source=source, row="copy", seed=seed, **alike)
                | dict(before=150.0, force=300.0 + 300 * (not far), units=0.9)
                | dict(force_mae=60.0 - 20 * seed + 10 * far)
            )
    trials = [[dict(fraction=0.5, failure=f)] for f in ("", "brakes")]
    other = [
        dict(method="scratch", target="Si", phase=None, phases=dict(crystal=50.0, liquid=90.0))
        | dict(seed=s, trials=trials[s])
        for s in (0, 1)
    ]
    monkeypatch.setattr(how_similar, "rows", {"pairs": own, "other-pairs": other}.get)
    _, gains, _, orders = how_similar.pairs()
    assert gains.splitlines()[2] == (
        "| Si | Ge | 1.06 | 91 % | 0.90 ± 0.00 | 25 ± 0 % | 80 | 120 ± 0 "
        "| 2.50 ± 0.71 | 2.50 ± 0.71 |"
    )
    assert [line.split(" | ")[1] for line in orders.splitlines()[2:]] == ["-1.00", "1.00", "-1.00"]
    line = how_similar.other_pairs()[1].splitlines()[2]
    assert line == "| Si | scratch | all | 50 ± 0 | 90 ± 0 | 1 of 2 |"
