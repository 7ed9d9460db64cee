"""Figures: units, legends, and what they draw."""

import numpy as np
import pytest
from ase.build import bulk
from silicon import TINY, frames

import tlmlp
from tlmlp import datasets, properties, show
from tlmlp.course.results import own_best
from tlmlp.course.runs import Run
from tlmlp.properties.mechanics import Phases
from tlmlp.show.figures import learning, results
from tlmlp.show.figures.picture import log_axis, panels
from tlmlp.show.figures.style import BLUE, GREEN, METHODS, PALETTE, method_of


@pytest.fixture(scope="module")
def potential():
    return tlmlp.Potential.create(TINY, ("Si",))


def rows(seeds=3, **changes):
    """Rows of three methods; each seed errs by one meV/Å more than the one before."""
    out = []
    for seed in range(seeds):
        for method, mae in (("transfer", 60.0), ("reduced", 50.0), ("scratch", 90.0)):
            row = Run(method=method, seed=seed, **changes).as_dict()
            curve = [[0, 300.0, 1, 1], [row["steps"], mae + seed, 1, 1]]
            out.append(row | dict(force_mae=mae + seed, curve=curve))
    return out


def has_units(ax):
    return all("(" in label and ")" in label for label in (ax.get_xlabel(), ax.get_ylabel()))


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def below(figure):
    (legend,) = figure.legends
    return texts(legend)


def ticks(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


# -- one table of methods --------------------------------------------------------------------------


def test_a_method_is_found_by_its_key_and_by_its_word():
    assert method_of("reduced") is method_of("transfer, reduced units") is METHODS["reduced"]
    assert method_of("mine") is None and method_of("") is None


# -- learning --------------------------------------------------------------------------------------


def test_parity_has_units_and_the_errors_of_evaluate(potential):
    data = frames(4)
    figure = show.parity(data, {"a": potential, "b": potential.predict(data)}, by="phase")
    assert len(figure.axes) == 4
    assert all("(eV" in ax.get_xlabel() for ax in figure.axes)
    assert all("(eV" in ax.get_ylabel() for ax in figure.axes[::2])
    errors = potential.evaluate(data)
    energy = f"MAE {errors.energy_mae:.1f}, RMSE {errors.energy_rmse:.1f} meV/atom"
    force = f"MAE {errors.force_mae:.1f}, RMSE {errors.force_rmse:.1f} meV/Å"
    assert energy in figure.axes[0].get_title() and force in figure.axes[3].get_title()
    assert texts(figure.axes[0].get_legend()) == ["crystal", "liquid"]
    assert all(has_units(ax) for ax in show.parity(data, potential).axes)
    with pytest.raises(ValueError, match="4 frames but 3"):
        show.parity(data, data[:3])


def test_a_shift_takes_a_constant_out_of_energies_alone(potential):
    data = frames(3)
    higher = potential.replace(reference=tuple(e + 7 for e in potential.reference))
    titles = lambda p, shift: [ax.get_title() for ax in show.parity(data, p, shift=shift).axes]
    assert titles(higher, True) == titles(potential, True)
    (energy, force), (right, right_force) = titles(higher, False), titles(potential, False)
    assert energy != right and force == right_force


def test_training_curve_is_a_running_mean():
    report = lambda step, mae: tlmlp.Progress(step, 100, 0, 0, 0, 0, mae, None, None, None, 0)
    history = [report(step, mae) for step, mae in ((2, 1.0), (4, 3.0), (6, 5.0), (8, 7.0))]
    steps, mean, over = learning.running_mean(history, points=25)
    assert (steps, over) == ([2, 4, 6, 8], 4)
    np.testing.assert_allclose(mean, [1, 2, 4, 6])


def test_learning_curve_has_units_and_a_legend(potential):
    data = frames(4)
    history = list(tlmlp.fit(potential, data[:3], data[3:], steps=4, report_every=1))
    (ax,) = show.learning_curve(history).axes
    assert "meV/Å" in ax.get_ylabel() and "step" in ax.get_xlabel() and ax.get_yscale() == "log"
    assert len(ax.get_legend().get_texts()) == 3
    assert show.learning_curve([]).png(50).startswith(b"\x89PNG")


def test_likeness_measures_lengths_in_lattice_constants():
    crystals = lambda element, a: ([bulk(element, "diamond", a=a, cubic=True)], a)
    figure = show.likeness(crystals("Si", 5.43), crystals("Ge", 5.66))
    _, scaled, angles = figure.axes
    peaks = [line.get_xdata()[np.argmax(line.get_ydata() > 0)] for line in scaled.lines]
    bond = 3**0.5 / 4  # of diamond, in lattice constants
    assert peaks == pytest.approx([bond] * 2, abs=0.01)
    assert [t.split()[-1] for t in texts(angles.get_legend())] == ["0.0°", "0.0°"]
    assert all(has_units(ax) for ax in figure.axes)


def test_the_three_pictures(potential):
    atoms = bulk("Si", "diamond", a=5.43, cubic=True) * (2, 2, 2)
    slots = show.picture_slots(atoms, 4.0)
    assert has_units(slots.axes[0])
    assert texts(slots.axes[0].get_legend()) == ["4 near 2.35 Å", "12 near 3.84 Å"]
    bases = show.picture_bases(TINY)
    assert all(has_units(ax) for ax in bases.axes[:3])
    network = show.picture_network(potential)
    words = " ".join(t.get_text() for t in network.axes[0].texts)
    for block, size in tlmlp.transfer.sizes(potential).items():
        assert block in words and f"{size:,} weights".replace(",", " ") in words
    for figure in (slots, bases, network):
        assert figure.png(50).startswith(b"\x89PNG") and figure.get_figwidth() > 3
    with pytest.raises(ValueError, match="no neighbour within"):
        show.picture_slots(atoms, 1.0)


# -- rows ------------------------------------------------------------------------------------------


def test_curves_show_mean_and_spread_over_seeds_and_say_what_was_precomputed():
    ours = [r for r in rows() if r["method"] != "reduced"]
    (ax,) = learning.race(ours, [ours], ours, stale="old").axes
    assert "meV/Å" in ax.get_ylabel() and ax.get_title(loc="left") == "old"
    means = ["scratch: 91 ± 1, 3 seeds", "transfer: 61 ± 1, 3 seeds"]
    assert texts(ax.get_legend()) == [f"precomputed {words}" for words in means] + means
    begun = ours[2] | dict(curve=[[0, 300.0, 1, 1]])  # the second seed
    at, mean, _, seeds = learning.over_seeds([ours[0], begun])
    assert list(at) == [0, 800] and mean[-1] == 60.0 and seeds == 1
    (ax,) = learning.race([ours[0], begun]).axes
    assert texts(ax.get_legend()) == ["transfer: 60"]
    assert "press" in learning.race(empty="press Train").axes[0].texts[0].get_text()


def test_curves_of_a_sweep_are_means_with_units():
    every = rows() + rows(n=50) + rows(source="stillinger-weber", n=5)
    figure = show.learning_curves(every)
    left, right = figure.axes
    assert "meV/Å" in left.get_ylabel() and "structures" in left.get_xlabel()
    assert "precomputed" in left.get_title() and "Stillinger-Weber" in right.get_title()
    words = ["scratch, 3 seeds", "transfer, 3 seeds", "transfer, reduced units, 3 seeds"]
    assert sorted(below(figure)) == sorted([*words, "transfer, 10 structures"])

    figure = show.freezing(rows() + rows(frozen=("embedding", "interaction_1")))
    assert ticks(figure.axes[0]) == ["nothing", "+ embedding", "+ interaction 1"]
    assert below(figure) == ["transfer, 10 structures, 3 seeds"]
    for empty in (show.learning_curves([]), show.freezing([]), show.temperatures([])):
        assert "no precomputed runs" in empty.texts[0].get_text()


def test_a_pair_of_ones_own_has_its_curve_without_its_source():
    own = [r | dict(target="mine-ge.xyz", source="mine-si.xyz") for r in rows() + rows(n=50)]
    figure = results.pair_curves([own[0] | dict(method="source", n=40, force_mae=1e4)] + own)
    (ax,) = figure.axes
    assert ticks(ax) == ["10", "50"] and ax.get_ylim()[1] < 200
    assert "mine-ge.xyz" in ax.get_xlabel() and "mine-si.xyz, 800 steps" in ax.get_title()


def test_each_side_at_its_own_best_is_chosen_by_validation_alone():
    some = lambda error, mae, **changes: [
        r | dict(valid_force_rmse=error, force_mae=mae) for r in rows(1, **changes)
    ]
    slow = some(10.0, 80.0, learning_rate=1e-3)
    fast = some(11.0, 20.0, learning_rate=3e-3)
    assert [r["force_mae"] for r in own_best(fast + slow)] == [80.0] * 3
    alone = some(1.0, 20.0, learning_rate=3e-3, n=50)  # compares with nothing
    assert [r["force_mae"] for r in own_best(alone + fast + slow)] == [80.0] * 3


def test_training_curves_have_the_best_rate_and_a_marker_where_validation_was_best():
    def marked(error, **changes):
        best = dict(best_step=3200, valid_force_rmse=float(error))
        return [r | best for r in rows(validation=0.2, steps=6400, **changes)]

    figure = show.training_curves(marked(2) + marked(3, learning_rate=1e-3) + marked(4, n=50))
    small, large = figure.axes
    assert "10 structures" in small.get_title() and "50 structures" in large.get_title()
    assert "step" in large.get_xlabel() and "meV/Å" in small.get_ylabel()
    *lines, dashed = small.lines
    markers = [line for line in lines if line.get_marker() != "None"]
    assert len(markers) == 9 and {float(line.get_xdata()[0]) for line in markers} == {3200.0}
    assert dashed.get_ydata()[0] == pytest.approx(61)  # transfer, ten structures, at its best
    assert ticks(large) == ["100", "200", "400", "800", "1600", "3200", "6400"]
    assert "no precomputed runs" in show.training_curves([]).texts[0].get_text()


def test_temperatures_keep_apart_what_they_compare():
    hot = [
        [300.0, "crystal", 20.0, 25.0, 8],
        [1200.0, "crystal", 40.0, 50.0, 8],
        [1200.0, "liquid", 90.0, 120.0, 8],
    ]
    every = [r | dict(temperatures=hot) for r in rows(phase="crystal") + rows(phase="liquid")]
    left, right = show.temperatures(every).axes
    assert ticks(left) == ["300 K\ncrystal", "1200 K\ncrystal", "1200 K\nliquid"]
    assert "crystals alone" in left.get_title() and "liquids alone" in right.get_title()
    for ax, ends in ((left, [-0.4, 1.4]), (right, [1.6, 2.4])):
        shaded = ax.patches[0].get_extents().transformed(ax.transData.inverted())
        assert shaded.intervalx.round(1).tolist() == ends


def test_melting_has_a_line_a_potential_and_says_what_failed():
    found = dict(
        element="Ge",
        source="stillinger-weber",
        atoms=256,
        between=[2000.0, 3800.0],
        runs=[[2900.0, 40.0, 0.6], [3008.0, 20.0, 0.1]],
        interval=[2900.0, 3008.0],
        melting_K=[2954.0, 54.0],
        note="",
    )
    reference = Run(source="stillinger-weber", method="reference", n=0, steps=0).as_dict() | found
    lost = found | dict(melting_K=None, note="melts at once")
    trained = [r | lost for r in rows(1, source="stillinger-weber")]
    best = trained[0] | dict(steps=12800, validation=0.2, note="boils at 2900 K")
    figure = show.coexistence([best, *trained, reference])
    (ax,) = figure.axes
    *names, last = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["reference", "scratch, 10", "transfer, 10", "transfer, reduced units, 10"]
    assert last == "transfer, 10, at its best"
    words = ["2954 ± 54 K", *["melts at once"] * 3, "boils at 2900 K"]
    assert [t.get_text() for t in ax.texts] == words
    assert below(figure)[:2] == ["the crystal grew", "the liquid grew"]


# -- properties ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured():
    """{kind: result} of Stillinger-Weber germanium, of every kind that is quick to compute."""
    calculator = datasets.stillinger_weber_calculator("Ge")
    cell = bulk("Ge", "diamond", a=5.66, cubic=True)
    large = cell.repeat(2)
    large.rattle(0.1, seed=0)
    return dict(
        equation=properties.equation_of_state(cell, calculator),
        elastic=properties.elastic(cell, calculator),
        radial=properties.radial_distribution(large),
        coordination=properties.coordination(large, 2.9),
        vacancy=properties.vacancy(cell.repeat(2), calculator),
        phonons=properties.phonons(cell, calculator),
    )


def test_every_kind_is_drawn_alone_and_side_by_side(measured):
    for kind, result in measured.items():
        alone = show.plot(result)
        both = show.plot({"reference": result, "reduced": result, "mine": result})
        assert alone.png(50).startswith(b"\x89PNG") and both.png(50).startswith(b"\x89PNG"), kind
        for ax in [*alone.axes, *both.axes]:
            assert "(" in ax.get_ylabel() + ax.get_xlabel(), kind


def test_a_logarithmic_axis_holds_small_numbers():
    figure, ((ax,),) = panels(4, 3, 1, 1)
    log_axis(ax, [0.0026, 0.04], floor=1e-6)
    assert ax.get_ylim()[0] < 0.0026 and len(ax.get_yticks()) > 2


def test_phases_without_diamond_have_no_zero(measured):
    equation, why = measured["equation"], "the energies have no minimum near the volumes given"
    phases = Phases({"sc": equation}, {"diamond": why})
    (ax,) = show.plot(phases).axes
    assert not ax.lines and "no minimum: diamond" in [t.get_text() for t in ax.texts]
    with pytest.raises(RuntimeError, match=why):
        print(phases.differences)


def test_names_are_looked_up_by_key_or_word_and_others_have_colours_of_their_own(measured):
    elastic = measured["elastic"]
    (ax,) = show.plot({"transfer": elastic, "reduced": elastic, "mine": elastic}).axes
    assert texts(ax.get_legend()) == ["transfer", "transfer, reduced units", "mine"]
    colours = [tuple(bars[0].get_facecolor()) for bars in ax.containers]
    rgb = lambda colour: tuple(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)) + (1.0,)
    assert colours == [rgb(colour) for colour in (BLUE, GREEN, PALETTE[0])]
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert heights[:3] == [elastic.c11, elastic.c12, elastic.c44]


def test_results_of_several_kinds_or_of_none_are_one_sentence(measured):
    mixed = {"a": measured["radial"], "b": measured["elastic"]}
    with pytest.raises(ValueError, match="of one kind, not Elastic, RadialDistribution"):
        show.plot(mixed)
    with pytest.raises(ValueError, match="of one kind, not nothing"):
        show.plot({})
    with pytest.raises(ValueError, match="not float; there are figures of Barrier, Card, Coord"):
        show.plot(1.0)
