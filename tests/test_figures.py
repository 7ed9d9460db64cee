"""Figures: units, legends, and what they draw."""

import numpy as np
import pytest
from ase.build import bulk

import tlmlp
from tlmlp import show


def has_units(ax):
    return all("(" in label and ")" in label for label in (ax.get_xlabel(), ax.get_ylabel()))


def test_parity_has_units_and_the_errors_of_evaluate(potential):
    data = frames(4)
    figure = show.parity(data, {"a": potential, "b": potential.predict(data)}, by="phase")
    assert len(figure.axes) == 4
    assert all("(eV" in ax.get_xlabel() for ax in figure.axes)
    assert all("(eV" in ax.get_ylabel() for ax in figure.axes[::2])
    errors = potential.evaluate(data)
    assert (
        f"MAE {errors.energy_mae:.1f}, RMSE {errors.energy_rmse:.1f} meV/atom"
        in figure.axes[0].get_title()
    )
    assert (
        f"MAE {errors.force_mae:.1f}, RMSE {errors.force_rmse:.1f} meV/Å"
        in figure.axes[3].get_title()
    )
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["crystal", "liquid"]
    with pytest.raises(ValueError, match="4 frames but 3"):
        show.parity(data, data[:3])


def test_a_shift_takes_a_constant_out_of_energies_alone(potential):
    data = frames(3)
    higher = potential.replace(reference=tuple(e + 7 for e in potential.reference))
    titles = lambda p, shift: [ax.get_title() for ax in show.parity(data, p, shift=shift).axes]
    assert titles(higher, True) == titles(potential, True)
    assert (
        titles(higher, False)[0] != titles(potential, False)[0]
        and titles(higher, False)[1] == titles(potential, False)[1]
    )


def test_training_curve_is_a_running_mean():
    report = lambda step, mae: tlmlp.Progress(step, 100, 0, 0, 0, 0, mae, None, None, None, 0)
    history = [report(step, mae) for step, mae in ((2, 1.0), (4, 3.0), (6, 5.0), (8, 7.0))]
    steps, mean, over = _running(history, points=25)
    assert (steps, over) == ([2, 4, 6, 8], 4)
    np.testing.assert_allclose(mean, [1, 2, 4, 6])


def test_learning_curve_has_units_and_a_legend(potential):
    data = frames(4)
    history = list(tlmlp.fit(potential, data[:3], data[3:], steps=4, report_every=1))
    (ax,) = show.learning_curve(history).axes
    assert "meV/Å" in ax.get_ylabel() and "step" in ax.get_xlabel() and ax.get_yscale() == "log"
    assert len(ax.get_legend().get_texts()) == 3
    assert show.learning_curve([]).png(50).startswith(b"\x89PNG")


def test_the_three_pictures(potential):
    atoms = bulk("Si", "diamond", a=5.43, cubic=True) * (2, 2, 2)
    slots = show.picture_slots(atoms, 4.0)
    assert has_units(slots.axes[0])
    assert [t.get_text() for t in slots.axes[0].get_legend().get_texts()] == [
        "4 near 2.35 Å",
        "12 near 3.84 Å",
    ]
    bases = show.picture_bases(TINY)
    assert all(has_units(ax) for ax in bases.axes[:3])
    network = show.picture_network(potential)
    words = " ".join(t.get_text() for t in network.axes[0].texts)
    size = lambda block: sum(
        w.size for m, ws in potential.params.items() if block in m for w in ws.values()
    )
    for block in ("embedding", "interaction_1", "output_0", "output_1"):
        assert f"{size(block):,} weights".replace(",", " ") in words
    for figure in (slots, bases, network):
        bundle, metadata = figure._repr_mimebundle_()
        assert bundle["image/png"].startswith(b"\x89PNG") and metadata["image/png"]["width"] > 300
    with pytest.raises(ValueError, match="no neighbour within"):
        show.picture_slots(atoms, 1.0)


def texts(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_curves_show_mean_and_spread_over_seeds_and_say_what_was_precomputed():
    ours = [r for r in rows() if r["method"] != "reduced"]
    figure = curves.race(ours, [ours], ours, stale="old")
    (ax,) = figure.axes
    assert "meV/Å" in ax.get_ylabel() and ax.get_title(loc="left") == "old"
    assert texts(ax) == [
        "precomputed transfer: 61 ± 1, 3 seeds", "precomputed scratch: 91 ± 1, 3 seeds",
        "transfer: 61 ± 1, 3 seeds", "scratch: 91 ± 1, 3 seeds",
    ]  # fmt: skip
    growing = ours[:1] + [
        ours[2] | dict(curve=[[0, 300.0, 1, 1]])
    ]  # the second seed has just begun
    at, mean, _ = curves._over_seeds(growing)
    assert list(at) == [0, 800] and mean[-1] == 60.0
    assert "press" in curves.race(empty="press Train").axes[0].texts[0].get_text()


def test_curves_of_a_sweep_are_means_with_units():
    every = rows() + rows(n=50) + rows(source="stillinger-weber", n=5)
    left, right = show.learning_curves(every).axes
    assert (
        "meV/Å" in left.get_ylabel()
        and "structures" in left.get_xlabel()
        and "precomputed" in left.get_title()
    )
    assert texts(left) == [
        "transfer, 3 seeds",
        "transfer, reduced units, 3 seeds",
        "scratch, 3 seeds",
    ]
    assert "Stillinger-Weber" in right.get_title()
    title, *lines = show.error_table(every).splitlines()
    line = next(text for text in lines if text.startswith("scratch"))
    assert title == "force MAE, meV/Å" and line.split() == [
        "scratch",
        "–",
        "91",
        "±",
        "1",
        "–",
        "91",
        "±",
        "1",
        "–",
        "–",
    ]

    frozen = rows(frozen=GROUPS[:2])
    ax, *_ = show.freezing(rows() + frozen).axes
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "nothing",
        "+ embedding",
        "+ interaction 1",
    ]
    energies = show.error_table(
        [r | dict(energy_rmse=1.25 + r["seed"]) for r in every], "energy_rmse"
    ).splitlines()
    assert energies[0] == "energy RMSE, meV/atom" and energies[2].split()[2:5] == [
        "2.2",
        "±",
        "1.0",
    ]
    with pytest.raises(
        ValueError, match="key must be one of force_mae, force_rmse, energy_rmse, not 'mae'"
    ):
        show.error_table(every, "mae")
    assert "no precomputed runs" in show.error_table([])
    for empty in (show.learning_curves([]), show.freezing([]), show.temperatures([])):
        assert "no precomputed runs" in empty.texts[0].get_text()


def test_training_curves_have_the_best_rate_and_a_marker_where_validation_was_best():
    marked = lambda few, **changes: [
        r | dict(best_step=r["steps"] // 2, valid_force_rmse=float(few))
        for r in rows(validation=0.2, **changes)
    ]
    every = (
        marked(2, steps=6400)
        + marked(3, steps=6400, learning_rate=1e-3)
        + marked(4, n=50, steps=6400)
    )
    small, large = show.training_curves(every).axes
    assert (
        "10 structures" in small.get_title()
        and "50 structures" in large.get_title()
        and "step" in large.get_xlabel()
    )
    *lines, dashed = small.lines
    markers = [line for line in lines if line.get_marker() != "None"]
    assert len(markers) == 9 and {float(line.get_xdata()[0]) for line in markers} == {3200.0}
    assert dashed.get_ydata()[0] == pytest.approx(61)  # copied, ten structures, at its own best
    assert [t.get_text() for t in large.get_xticklabels()] == [
        "100",
        "200",
        "400",
        "800",
        "1600",
        "3200",
        "6400",
    ]
    assert "no precomputed runs" in show.training_curves([]).texts[0].get_text()


def test_temperatures_and_cutoffs_keep_apart_what_they_compare():
    hot = [
        [300.0, "crystal", 20.0, 25.0, 8],
        [1200.0, "crystal", 40.0, 50.0, 8],
        [1200.0, "liquid", 90.0, 120.0, 8],
    ]
    every = [r | dict(temperatures=hot) for r in rows(phase="crystal") + rows(phase="liquid")]
    left, right = show.temperatures(every).axes
    assert [t.get_text() for t in left.get_xticklabels()] == [
        "300 K\ncrystal",
        "1200 K\ncrystal",
        "1200 K\nliquid",
    ]
    assert "crystals alone" in left.get_title() and "liquids alone" in right.get_title()
    shaded = [
        ax.patches[0].get_extents().transformed(ax.transData.inverted()).intervalx
        for ax in (left, right)
    ]
    assert [x.round(1).tolist() for x in shaded] == [[-0.4, 1.4], [1.6, 2.4]]

    starts = dict(transfer=[300.0, 400.0, 5.0], scratch=None)
    kept = [r | dict(untrained=starts[r["method"]]) for r in rows() if r["method"] in starts]
    short = [
        r | dict(untrained=[100.0, 130.0, 5.0], cutoff="short")
        for r in rows()
        if r["method"] == "reduced"
    ]
    lines = show.cutoff_table(kept + short).splitlines()
    assert lines[3].split() == ["transfer", "silicon's", "300", "±", "0", "61", "±", "1"]
    assert lines[4].split()[-7:] == ["silicon's", "100", "±", "0", "51", "±", "1"] and lines[
        5
    ].split()[-2:] == ["–", "–"]
    assert "no precomputed runs" in show.cutoff_table(kept)


def test_published_errors_are_listed_with_ours():
    title, *lines = show.published_table("Si").splitlines()
    forces = [float(line.split()[-1]) for line in lines]
    assert "meV/Å" in title and forces == sorted(forces) and len(lines) == 6
    (ours,) = [line for line in lines if "si-mlearn" in line]
    assert float(ours.split()[-1]) == round(
        tlmlp.Potential.load("si-mlearn").info["test_errors"]["force_rmse"], 1
    )
    with pytest.raises(ValueError, match="element must be one of Si, Ge, not 'Sn'"):
        show.published_table("Sn")


def test_each_side_at_its_own_best_is_chosen_by_validation_alone():
    slow = [r | dict(valid_force_rmse=10.0, force_mae=80.0) for r in rows(1, learning_rate=1e-3)]
    fast = [r | dict(valid_force_rmse=11.0, force_mae=20.0) for r in rows(1, learning_rate=3e-3)]
    assert [r["force_mae"] for r in curves._own_best(fast + slow)] == [80.0] * 3
    alone = [
        r | dict(valid_force_rmse=1.0) for r in rows(1, learning_rate=3e-3, n=50)
    ]  # compares with nothing
    assert [r["force_mae"] for r in curves._own_best(alone + fast + slow)] == [80.0] * 3


def test_likeness_measures_lengths_in_lattice_constants():
    crystals = lambda element, a: [bulk(element, "diamond", a=a, cubic=True)]
    _, scaled, angles = show.likeness(
        (crystals("Si", 5.43), 5.43), (crystals("Ge", 5.66), 5.66)
    ).axes
    peaks = [line.get_xdata()[np.argmax(line.get_ydata() > 0)] for line in scaled.lines]
    assert peaks == pytest.approx(
        [3**0.5 / 4] * 2, abs=0.01
    )  # a bond of diamond is √3/4 of its lattice constant
    assert [t.split()[-1] for t in texts(angles)] == ["0.0°", "0.0°"]
