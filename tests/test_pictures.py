"""Pictures for everybody: alt texts, captions, one meaning per colour, legends, letters, ticks."""

import functools
import inspect
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk
from matplotlib.lines import Line2D
from matplotlib.text import Text
from silicon import TINY, frames

import tlmlp
from tlmlp import course, properties, show, uncertainty
from tlmlp.course import universals
from tlmlp.course.runs import Run
from tlmlp.potential import Errors
from tlmlp.properties import defects, mechanics, slopes, transport
from tlmlp.show.figures import learning, picture, results, style
from tlmlp.show.figures.properties import FIGURES
from tlmlp.show.widgets import plots

LARGEST = 914, 647  # pixels of an output of JupyterLab in a window of 1366 x 768
CELL = bulk("Ge", "diamond", a=5.66, cubic=True)
SW = "stillinger-weber"


def row(k, method, seed=0, **changes):
    """A row of any table; errors, energies and times are k times as large."""
    run = Run(method=method, seed=seed, **dict(source=SW, n=10, validation=0.2) | changes)
    mae = k * (60.0 + 30 * (method == "scratch"))
    hot = [[300.0, "crystal", 20.0 * k, 25, 8], [3000.0, "liquid", 50.0 * k, 60, 8]]
    trials = [dict(temperature=T, phase="crystal", failure="lost" * (T > 600 * k**2), time_ps=3.0)
              for T in (520.0, 1740.0)]  # fmt: skip
    return run.as_dict() | dict(
        curve=[[400, 1.1 * mae, 1, 1], [800, mae, 1, 1]],
        **dict(force_mae=mae, best_step=800, valid_force_rmse=1.0),
        **dict(temperatures=hot, trials=trials, length_ps=6.0),
        **dict(element="Ge", atoms=256, between=[2e3, 38e2], runs=[[29e2, 4, 0.6], [3e3, 2, 0.1]]),
        **dict(note="", interval=[29e2, 3e3], melting_K=[2950.0 * k, 50.0]),
        softening={kind: [0.8 * k, 0.9, 1, 0.1, 8] for kind in ("all", "300 K", "3000 K")},
        properties=dict(lattice_constant=5.4 + 0.1 * k, c11=100.0 + k**8),
    )


def table(k, methods=("scratch", "transfer"), **changes):
    return [row(k, method, seed, **changes) for method in methods for seed in (0, 1)]


def run(k, dt=1):
    """A crystal that is shaken more and more."""
    shaken = [CELL.copy() for _ in range(30)]
    for n, atoms in enumerate(shaken):
        atoms.rattle(0.005 * k * n, seed=n)
    energy = lambda n: dict(potential_energy=k * n, conserved_energy=k * dt**2 * (n % 3))
    when = lambda n: dict(time_fs=40.0 * n, target_K=50.0 * n)
    return [
        SimpleNamespace(atoms=atoms, positions=atoms.positions, **when(n), **energy(n))
        for n, atoms in enumerate(shaken)
    ]


def history(k):
    errors = Errors(1, 1, 20.0 * k, 10.0 * k, 1, 4, {})
    return [tlmlp.Progress(s, 8, 0, 0, 0, 0, 9.0 * k, errors, None, None, 0) for s in (4, 8)]


def crystals(k, symbol, a):
    atoms = bulk(symbol, "diamond", a=a, cubic=True)
    atoms.rattle(0.02 * k, seed=0)
    return [atoms], a


def card(k):
    start = [row(1, "reference", n=0, steps=0), row(k, "transfer", n=0, steps=0)]
    return course.card("Ge", SW, [*start, *table(k)])


@functools.cache
def measured(k):
    """{kind: a result of it}, k times as large."""
    path, shaken = np.linspace(0, 2, 5), CELL.repeat(2)
    shaken.rattle(0.12 * k, seed=0)
    radial, coordination = (
        properties.radial_distribution(shaken),
        properties.coordination(shaken, 2.6),
    )
    moved = transport.Diffusion(path * 100, k * path, 0.1 * path, 2.0 * k, 0.1, (50, 150), 900.0)
    eos = mechanics.EquationOfState(22.0, -4.0, 70.0 * k, 4.0, 5.6, 20 + path, k * path)
    slope = slopes.Slope(0.9 * k, 0.9, 1.0, 0.1, 4)
    stiff = dict(
        zip(("c11", "c12", "c44", "c44_clamped", "bulk_modulus", "shear_modulus"), range(6))
    )
    band = dict(q=path, parts=(slice(0, 5),), ticks=path[[0, -1]], labels=("Γ", "X"), special={})
    band |= dict(frequencies=np.outer(path, [k, 2 * k]), nu=path, density=path, lowest=0.0)
    band |= dict(temperatures=path * 400, heat_capacity=path)
    elastic = mechanics.Elastic(**dict.fromkeys(mechanics.Elastic._fields, 0.0))
    return {
        mechanics.EquationOfState: eos,
        mechanics.Elastic: elastic._replace(**{name: 9.0 * k * y for name, y in stiff.items()}),
        mechanics.Phases: mechanics.Phases(dict(diamond=eos, fcc=eos._replace(energy=k)), {}),
        defects.Defect: defects.Defect(3.0 * k, 4.0, CELL, 0.01, True, 64),
        defects.Surface: defects.Surface(1.2 * k, 1.9, 2.5, 0.1, CELL, 0.01, True),
        defects.Barrier: defects.Barrier(0.2 * k, path, k * path * (2 - path), [], 0.01, True),
        type(radial): radial,
        type(coordination): coordination,
        transport.Diffusion: moved,
        transport.Liquid: transport.Liquid(radial, coordination, moved, 1.0, 0.1),
        properties.vibrations.Phonons: properties.vibrations.Phonons(**band),
        slopes.Softening: slopes.Softening(slope, {}, path, k * path),
        type(card(k)): card(k),
    }  # fmt: skip


def network(k):
    return tlmlp.Potential.create(tlmlp.Config(**vars(TINY) | dict(out_size=8 * k)), ("Ge",))


def phases(k):
    """Of three potentials; the slopes of crystals are smaller."""
    of = lambda s: measured(1)[slopes.Softening]._replace(overall=slopes.Slope(s, 0.9, 1, 0.1, 4))
    pair = lambda s: dict(crystal=of(0.8 * s), liquid=of(s))
    return {name: pair(0.5 * k) for name in ("chgnet-0.3.0", "7net-0", "transfer")}


def rival(k):
    seeds = {n: [(90.0 * k, 9, 99), (80.0 * k, 9, 99)] for n in (1, 10, 50)}
    return universals.Rival("", seeds, 0.01 * k)


def soft(k, name):
    found = dict(c44=20.0 * k, phonon_gamma=7.0 * k, vacancy=1.0 * k)
    elastic = {"0.005": [90, 40, 20.0 * k], "0.01": [90, 40, 10.0 * k]}
    return dict(model=name, element="Ge", properties=found, elastic=elastic)


def peaked(k):
    """Phonons with one peak, at 6 k THz."""
    nu = np.arange(0, 16, 0.05)
    density = 3 * np.exp(-((nu - 6.0 * k) ** 2))
    return measured(1)[properties.vibrations.Phonons]._replace(nu=nu, density=density)


def between(k):
    """Rows of alchemical crystals and of alloys, whose curves bend by k."""
    q = np.linspace(0, 2, 5)
    bands = dict(q=q.tolist(), ticks=[0, 2], labels=["Γ", "X"], parts=[[0, 5]])
    bands |= dict(frequencies=np.outer(q, [3.0 * k, 5.0 * k]).tolist())
    at = lambda x: dict(x=x, lattice_constant=5.4 + 0.3 * x - 0.02 * k * x * (1 - x),
                        bulk_modulus=90 - 30 * x - k * x * (1 - x), phonons=bands)  # fmt: skip
    every = [(way, x) for way in ("nodes", "embedding") for x in (0.0, 0.5, 1.0)]
    mixed = [dict(method="alchemical", way=way, **at(x)) for way, x in every]
    return mixed + [dict(method="random", seed=seed, **at(0.5)) for seed in (0, 1)]


def forgotten(k):
    """Rows of each way against forgetting; errors are k times as large."""
    ways = {}, dict(replay=10), dict(replay=50), dict(replay=50, labels="source"), dict(anchor=1.0)
    ways = enumerate((*ways, dict(replay=50, frozen=("embedding",))))
    return [
        row(k, "transfer", seed, source="dft", **way) | dict(silicon_force_mae=(400.0 - 50 * j) * k)
        for j, way in ways
        for seed in (0, 1)
    ]


def relatives(k):
    """Rows of the family: silicon, softer angles, larger atoms; gains are 2, 1.5 k and 1.5."""
    own = dict(size=1.0, energy=1.0, stiffness=21.0, angle=course.family.TETRAHEDRAL)
    members = ({}, 60.0), (dict(stiffness=0.0), 80.0 / k), (dict(size=1.2), 80.0)
    out = []
    for (changes, error), seed in ((m, s) for m in members for s in (0, 1)):
        each = own | changes | dict(n=10, seed=seed, steps=800, force=1000.0 * k, before=300.0)
        out.append(each | dict(method="scratch", force_mae=120.0))
        ways = ("transfer", "reduced") if "size" in changes else ("transfer",)
        out += [each | dict(method=way, force_mae=error) for way in ways]
    return out


def known_pairs(k):
    """Rows of two sources and two targets: gains are 2 and k."""
    run = dict(n=10, steps=800, force=900.0, before=200.0)
    out = []
    for target in ("Si", "Ge"):
        for seed in (0, 1):
            each = run | dict(target=target, seed=seed)
            out.append(each | dict(source=None, row=None, method="scratch", force_mae=120.0))
            for source, error in (("Si", 60.0), ("Li", 120.0 / k)):
                each |= dict(source=source, row="copy", method="reduced")
                out.append(each | dict(force_mae=error))
    return out


def chosen(k):
    """Rows of each choice and algorithm; errors are k times as large."""
    return [
        dict(
            source="dft",
            choice=choice,
            method=method,
            n=10,
            seed=seed,
            loss="labels",
            step=1,
            steps=1,
        )
        | dict(force_mae=80.0 * k, groups=dict(Solid=50.0 * k, Liquid=(150.0 + seed) * k))
        for seed in (0, 1)
        for choice in course.choices.CHOICES
        for method in course.choices.ALGORITHMS
    ]


def weakly(k):
    """Rows with labels alone and with each term; without forces errors are four times as large."""
    ways = {}, dict(taylor=1.2), dict(taylor=1.2, path=0.01), dict(forces=False)
    run = dict(source="dft", steps=800)
    return [
        dict(run, method=method, n=n, seed=0, force_mae=(400.0 if "forces" in way else 100.0) * k)
        | way
        for method in ("scratch", "transfer")
        for n in (5, 10, 20)
        for way in ways
    ]


def moved(k):
    """Rows of three drivers; half of the temperatures hold."""
    trials = [dict(failure=""), dict(failure="brakes")]
    tried = {method: dict(trials=trials) for method in course.choices.ALGORITHMS}
    tried["fine-tuned"] = dict()
    return [
        dict(driver=driver, method=method, seed=seed, force_mae=60.0 * k + seed) | more
        for method, more in tried.items()
        for driver in ("linear", "transfer", "by hand")
        for seed in (0, 1)
    ]


def told(k, name):
    """Errors that are k times as large as predicted, twice that for scratch."""
    sigma = np.geomspace(0.01, 0.5, 500) * (0.5 if name == "scratch" else 1.0)
    noise = np.random.default_rng(0).normal(size=500)
    return uncertainty.reliability(0.03 * k * sigma**0.5 * noise, sigma)


FROZEN = dict(frozen=("embedding",), n=10)
DRAWN = {  # of each public function: a picture of data that grow with k
    "attempts": lambda k: show.attempts(chosen(k)),
    "choices": lambda k: show.choices(chosen(k)),
    "coexistence": lambda k: show.coexistence([row(k, "reference", n=0, steps=0), *table(k)]),
    "conservation": lambda k: show.conservation({dt: run(k, dt) for dt in (1, 2, 4)}),
    "densities": lambda k: show.densities({"mine": peaked(k), "other": peaked(2)}),
    "domains": lambda k: show.domains(CELL.repeat(3), tlmlp.Config("course"), (k, 1, 1)),
    "forgetting": lambda k: show.forgetting(forgotten(k)),
    "freezing": lambda k: show.freezing(table(k) + table(k, **FROZEN)),
    "gain_matrix": lambda k: show.gain_matrix(known_pairs(k)),
    "gains": lambda k: show.gains(relatives(k)),
    "learning_curve": lambda k: show.learning_curve(history(k)),
    "learning_curves": lambda k: show.learning_curves(table(k) + table(k, n=50)),
    "likeness": lambda k: show.likeness(crystals(k, "Si", 5.43), crystals(k, "Ge", 5.66)),
    "losses": lambda k: show.losses(weakly(k)),
    "melting": lambda k: show.melting(run(k)),
    "moves": lambda k: show.moves(moved(k)),
    "mixture": lambda k: show.mixture(between(k), 0.5),
    "outlooks": lambda k: show.outlooks(relatives(k), known_pairs(k)),
    "parity": lambda k: show.parity(frames(3), {"mine": frames(3 + k)[k:]}, by="phase", shift=True),
    "picture_bases": lambda k: show.picture_bases(tlmlp.Config("course", cutoff=4.0 + k)),
    "picture_network": lambda k: show.picture_network(network(k)),
    "picture_slots": lambda k: show.picture_slots(CELL.repeat(3), 2.6 + 1.5 * (k - 1)),
    "phase_slopes": lambda k: show.phase_slopes(phases(k)),
    "plot": lambda k: show.plot(measured(k)[mechanics.Elastic]),
    "reliability": lambda k: show.reliability(
        {name: told(k, name) for name in ("scratch", "mine")}
    ),
    "repair": lambda k: show.repair(table(k, hot=0) + table(k, hot=1), SW),
    "rivals": lambda k: show.rivals({name: rival(k) for name in ("scratch", "transfer")}),
    "scaling": lambda k: show.scaling({"mine": {64: 5.0 * k, 512: 40.0 * k, 4096: 300.0}}),
    "soft_properties": lambda k: show.soft_properties([soft(k, "7net-0"), soft(k, "nequix-mp-1")]),
    "stability_map": lambda k: show.stability_map(table(k, phase="crystal")),
    "temperatures": lambda k: show.temperatures(
        table(k, phase="crystal") + table(k, phase="liquid")
    ),
    "thermo_output": lambda k: show.thermo_output(
        [dict(Step=n, Temp=300.0 * k + n, TotEng=-9.0 * k) for n in (0, 100)]
    ),
    "training_curves": lambda k: show.training_curves(table(k) + table(k, n=50)),
}
KINDS = {
    kind.__name__: lambda k, kind=kind: show.plot({"transfer": measured(k)[kind]})
    for kind in FIGURES
}
OTHERS = {
    "race": lambda k: learning.race(table(k), [table(2 * k)], table(k)),
    "pair": lambda k: results.pair_curves(
        [r | dict(target="Sn") for n in (5, 10, 50) for r in table(k, n=n)]
    ),
}
ALL = DRAWN | KINDS | OTHERS
every = pytest.mark.parametrize("name", ALL)


@functools.cache
def drawn(name, k=1):
    return ALL[name](k)


def test_every_public_figure_is_among_them():
    functions = {name for name in show.__all__ if inspect.isfunction(getattr(show, name))}
    assert functions == set(DRAWN)


@every
def test_alt_and_caption_say_what_is_seen_with_these_data(name):
    """The alt text changes with the data, and both stand in the HTML that a notebook keeps."""
    figure, other = drawn(name), drawn(name, 2)
    assert figure.alt != other.alt and re.search(r"\d", figure.alt) and "$" not in figure.alt
    assert 40 < len(figure.caption) < 500 and "{" not in figure.caption
    assert figure.caption.endswith(".") and "  " not in figure.caption
    sentences = re.split(r"[.:;?] ", figure.caption)
    assert max(len(sentence.split()) for sentence in sentences) <= 25
    bundle = figure._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"} and bundle["text/plain"] == figure.alt
    page = bundle["text/html"]
    assert unescape(re.search('alt="([^"]*)"', page)[1]) == figure.alt
    assert unescape(re.search(">([^<>]*)</figcaption>", page)[1]) == figure.caption


def test_numbers_of_an_alt_text_are_those_of_the_data():
    known = dict(
        attempts="crystals, and as many others, transfer, labels: all test structures 80, warm",
        choices="liquids, scratch: 150 in turn from all groups, 150 at random",
        losses="energies alone, scratch, labels: 400 with 5, 400 with 10",
        moves="data of by hand, transfer: 60 ± 1",
        forgetting="germanium alone: 400 on silicon, 60 on germanium. replay, 800 steps, 10: 350",
        gains="stiffness, transfer: 1.5 at 0, 2.0 at 21.",
        gain_matrix="Li to Si: 1.00. Li to Ge: 1.00.",
        outlooks="family: stiffness: gain 1.5 at 30 %.",
        mixture="two nodes: lattice constant -5 mÅ at 0.5",
        densities="mine: peaks in the upper two thirds at 6.0 THz",
        learning_curves="scratch, 2 seeds (90 at 10, 90 at 50); transfer, 2 seeds (60 at 10",
        training_curves="10 structures, at best: scratch 90 meV/Å; transfer 60 meV/Å",
        stability_map="scratch, 10 crystals alone: 50 %; transfer, 10 crystals alone: 50 %",
        coexistence="Ge, reference: 2950 ± 50 K; Ge, scratch, 10, at its best: 2950 ± 50 K",
        repair="scratch, crystals alone: s = 0.80 ± 0.00",
        learning_curve="validation, MAE (10 at 4, 10 at 8)",
        temperatures="transfer, 2 seeds (20 at 300 K crystal, 50 at 3000 K liquid)",
        plot="0 at C11, 9 at C12, 18 at C44",
    )
    assert [name for name, words in known.items() if words not in drawn(name).alt] == []
    assert "the cutoff is 5 Å" in drawn("picture_bases").alt


def test_html_is_escaped_and_fits_a_narrow_window():
    data = frames(2)
    figure = show.parity(data, {'<b>"mine" & co</b>': data})
    page = figure.html(50)
    assert "<b>" not in page and "&lt;b&gt;&quot;mine&quot; &amp; co" in page
    assert 'width="840"' in page and "max-width: 100%" in page and "background: white" in page


def test_nothing_to_draw_is_said_in_the_alt_text():
    assert show.freezing([]).alt == "No precomputed runs of this kind yet."
    assert "<figcaption" not in show.freezing([]).html(50)
    assert picture.nothing("nothing computed yet").alt == "Nothing computed yet."


def styles(lines):
    return {line.get_linestyle() for line in lines} - {"-", "None"}


@every
def test_each_line_style_is_in_a_legend_or_in_the_caption(name):
    figure = drawn(name)
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    named = styles(line for legend in legends if legend for line in legend.findobj(Line2D))
    seen = styles(line for ax in figure.axes for line in ax.lines)
    words = {"--": "dashed", ":": "dotted", "-.": "dash-dotted"}
    assert [s for s in seen - named if words[s] not in figure.caption.lower()] == []


@every
def test_letters_are_legible_and_axes_have_three_ticks(name):
    figure = drawn(name)
    figure.draw_without_rendering()
    words = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    assert min(t.get_fontsize() for t in words) >= 8
    assert (figure.get_size_inches() * 100 <= LARGEST).all()
    for ax in (ax for ax in figure.axes if ax.axison):
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            labels = [
                t.label1.get_text() for t in axis.get_major_ticks() if low <= t.get_loc() <= high
            ]
            numbers = [w for w in labels if re.fullmatch(r"[−\d.]+", w)]
            assert not numbers or len(labels) >= 3, (ax.get_title(), labels)  # fmt: skip


@pytest.mark.parametrize("element, source", [("Ge", "dft"), ("Ge", SW), ("Si", "dft"), ("Si", SW)])
def test_cards_fit_a_screen_and_name_their_reference(element, source):
    """The longest has 27 properties by three numbers of structures."""
    figure = show.plot(course.card(element, source))
    assert (figure.get_size_inches() * 100 <= LARGEST).all()
    assert ("CP2K" in figure.caption) == (source == "dft")
    assert ("Stillinger-Weber" in figure.caption) == (source == SW)
    assert ("Transfer against scratch" in figure.alt) == (element == "Ge")


def test_captions_are_right_for_each_source():
    strained = "strained cells"
    assert strained not in drawn("temperatures").caption
    assert strained in show.temperatures(course.rows("temperature")).caption
    rows = course.rows("softening")
    assert "DFT: slope s" in (dft := show.repair(rows, "dft").caption) and "Dashes" in dft
    assert "Dotted" in show.repair(rows, SW).caption
    curves = lambda name: show.learning_curves(course.rows(name)).caption
    assert "its last step" in curves("learning-curve") and "validation" in curves("own-best")


# -- colours ---------------------------------------------------------------------------------------


def test_colours_of_methods_mean_methods_alone():
    """No figure takes one for anything else: no file names them, no other table holds them."""
    words = "|".join(("BLACK", "ORANGE", "BLUE", "GREEN", "GREY", '"(black|grey|orange|C\\d)"'))
    folder = Path(picture.__file__).parent
    files = [p for p in (*folder.glob("*.py"), Path(plots.__file__)) if p.name != "style.py"]
    named = {p.name: re.findall(rf"\b({words})\b", p.read_text("utf-8")) for p in files}
    assert {name: found for name, found in named.items() if found} == {}
    taken = {method.colour for method in style.METHODS.values()}
    assert len(taken) == len(style.METHODS) == 5
    assert not taken & {*style.PALETTE, *style.ELEMENT_COLOURS.values(), *style.shades(9)}


def test_shades_go_from_dark_to_pale():
    """So that their order is seen with every kind of colour vision, and in grey."""
    rgb = lambda colour: [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    light = [np.dot(rgb(colour), (0.299, 0.587, 0.114)) for colour in style.shades(6)]
    assert (np.diff(light) > 5).all() and style.shades(1) == [style.INDIGO.lower()]
