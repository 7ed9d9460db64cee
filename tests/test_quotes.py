"""Numbers that a notebook or an answer quotes are those of the rows that ship.

Each quote is written anew from the rows and looked for in the text, so that both move together.
Numbers of a notebook's own run are held by test_notebooks, all others by docs/results.md.
"""

from itertools import product

import nbformat
import numpy as np
import pytest
from conftest import ROOT
from scipy.stats import spearmanr

from research.out_of_target import judged
from research.similarity import BONDS, GROUP, METALS, SOURCES
from tlmlp import course, datasets
from tlmlp.course import answers
from tlmlp.course.family import KNOBS, Member
from tlmlp.course.results import mean_and_spread, own_best
from tlmlp.show.figures import alloys

DFT, SW = "dft", "stillinger-weber"


def errors(rows, value="force_mae", frozen=0, **fields):
    """Values of the rows with these fields and as many frozen groups."""
    own = [row for row in rows if all(row[key] == x for key, x in fields.items())]
    return [row[value] for row in own if len(row["frozen"]) == frozen]


def spread(rows, digits=0, **fields):
    """Mean ± standard deviation, as it is written."""
    mean, deviation = mean_and_spread(errors(rows, **fields))
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def mean(rows, **fields):
    return f"{np.mean(errors(rows, **fields)):.0f}"


def about(rows, **fields):
    """To the nearest ten."""
    return f"{10 * round(np.mean(errors(rows, **fields)) / 10):.0f}"


def explorer():
    """Notebook 02: 800 steps."""
    rows = course.rows("learning-curve") + course.rows("frozen")
    at = dict(source=DFT, method="transfer", n=10)
    scratch = spread(rows, source=DFT, method="scratch", n=10)
    start = spread(rows, **at)
    silicon = lambda **more: spread(rows, value="silicon_force_mae", **at | more)
    yield f"gave {start} meV/Å for transfer and {scratch} for scratch"
    frozen = [mean(rows, frozen=k, **at) for k in (0, 2, 3)]
    yield f"raise the error from {frozen[0]} to {frozen[1]} meV/Å. Three raise it to {frozen[2]}"
    yield f"| 1 | {start} | {scratch} | {silicon()} |"
    fifty = spread(rows, **at | dict(n=50))
    other = spread(rows, source=DFT, method="scratch", n=50)
    yield f"| 2 | {fifty} | {other} | {silicon(n=50)} |"
    for task, k in ((3, 2), (4, 5)):
        yield f"| {task} | {spread(rows, frozen=k, **at)} | as 1 | {silicon(frozen=k)} |"
    reduced = at | dict(method="reduced")
    yield f"| 5 | {spread(rows, **reduced)} | as 1 | {silicon(**reduced)} |"


def learning_curves():
    """Notebook 02b: each side at its own best, of 12 800 steps."""
    rows, short = own_best(course.rows("own-best")), course.rows("learning-curve")
    best = lambda source, method, n: dict(source=source, method=method, n=n)
    ten, fifty = best(DFT, "transfer", 10), best(DFT, "scratch", 50)
    yield f"Scratch has {spread(rows, **fifty)} meV/Å with fifty, transfer {spread(rows, **ten)}"
    sw = mean(rows, **best(SW, "transfer", 10)), mean(rows, **best(SW, "scratch", 0))
    yield f"{sw[0]} for transfer with ten, {sw[1]} for scratch with all"
    twenty, all_ = mean(rows, **best(DFT, "transfer", 20)), mean(rows, **best(DFT, "scratch", 0))
    yield f"transfer has {twenty} meV/Å, less than scratch with all ({all_})"
    some = [best(source, "scratch", 50) for source in (DFT, SW)]
    before, after = ([mean(r, **x) for x in some] for r in (short, rows))
    yield f"It has {before[0]} (DFT) and {before[1]} meV/Å (Stillinger-Weber) after 800, {after[0]}"
    yield f"{after[0]} and {after[1]} after 12 800"
    yield f"Reduced units help on DFT: {spread(rows, **best(DFT, 'reduced', 10))} with ten"
    energies = [spread(rows, 1, value="energy_rmse", **x) for x in (ten, fifty)]
    yield f"{energies[0]} meV/atom for transfer with ten, {energies[1]} for scratch with fifty"


def freezing():
    """Notebook 02c."""
    long = course.rows("frozen-best") + own_best(course.rows("own-best"))
    seeds = {row["seed"] for row in course.rows("frozen-best")}
    long = [row for row in long if row["seed"] in seeds]
    ends = {
        k: [mean(long, source=s, method="transfer", n=10, frozen=k) for s in (DFT, SW)]
        for k in (0, 2, 3, 5)
    }
    assert ends[0] == ends[2]
    yield f"end at {ends[2][0]} (DFT) and {ends[2][1]} meV/Å (Stillinger-Weber), as with none"
    yield f"With three groups: {ends[3][0]} and {ends[3][1]}; with five: {ends[5][0]}"
    yield f"with five: {ends[5][0]} and {ends[5][1]}."
    rows = course.rows("learning-curve") + course.rows("frozen")
    at = dict(value="silicon_force_mae", source=DFT, n=10)
    transfer = [spread(rows, method="transfer", frozen=k, **at) for k in (0, 5)]
    yield f"to {transfer[0]} meV/Å (five seeds), and to {transfer[1]} with five groups frozen"
    yield f"less, to {spread(rows, method='reduced', **at)}"
    yield from replaying(course.rows("forgetting"))


def replaying(rows):
    """The second half of 02c: errors on silicon and on germanium, with ten structures of it."""

    def both(write, **fields):
        own = dict(replay=50, labels="data", steps=1600, anchor=0.0) | fields
        return [write(rows, n=10, value=of, **own) for of in ("silicon_force_mae", "force_mae")]

    silicon, germanium = both(spread, replay=10)
    yield f"gave {silicon} on silicon, and {germanium} on germanium"
    pays = float(both(mean, replay=10)[1]) - 78
    yield f"and {pays:.0f} meV/Å on germanium."
    yield f"On germanium it costs {pays:.0f} meV/Å in 1600 steps"
    assert float(both(mean, replay=50, steps=12800)[1]) < 74.5  # as without replay
    yield f"After 1600 steps all 146 give {both(spread, replay=146)[0]}"
    long = [both(spread, replay=n, steps=12800)[0] for n in (10, 50, 146)]
    yield f"After 12 800 steps ten give {long[0]}, 50 give {long[1]}, and 146 give {long[2]}"
    (predicted, same), (own, germanium) = both(spread, labels="source"), both(spread)
    yield f"silicon ends at {predicted} meV/Å, with those of DFT at {own}"
    assert same.split()[0] == germanium.split()[0]
    yield f"On germanium both give {same.split()[0]}."
    silicon, germanium = both(mean, steps=12800)
    yield f"50 structures of silicon, germanium has {germanium} meV/Å and silicon {silicon}, less"
    yield f"too few for so many steps: {both(mean, replay=10, steps=12800)[0]}."
    silicon, germanium = both(mean, replay=0, steps=800, anchor=100.0)
    yield f"at the strength 100 silicon has {silicon}, and germanium {germanium}."
    silicon, germanium = both(mean, frozen=1)
    yield f"{silicon} on silicon, {germanium} on germanium"


OTHER_TARGETS = {"Si": "silicon", "Sn": "tin"}


def other_pair(target, phase):
    """Rows of scratch and of transfer, of the table other-pairs."""
    rows = course.rows("other-pairs")
    key = lambda row: (row.get("target"), row["method"], row.get("phase"))
    return [
        [row for row in rows if key(row) == (target, method, phase)]
        for method in ("scratch", "reduced")
    ]


def temperatures():
    """Notebook 02d: networks of one phase, tested on the other."""
    rows = course.rows("temperature")

    def dft(method, phase, group):
        own = [r for r in rows if (r["source"], r["method"], r["phase"]) == (DFT, method, phase)]
        return f"{np.mean([row['groups'][group][0] for row in own]):.0f}"

    def sw(method, phase, temperature):
        own = [r for r in rows if (r["source"], r["method"], r["phase"]) == (SW, method, phase)]
        return [x[2] for row in own for x in row["temperatures"] if x[0] == temperature]

    cold, cool = (dft(method, "crystal", "Liquid") for method in ("transfer", "reduced"))
    scratch = dft("scratch", "crystal", "Liquid")
    yield f"On DFT transfer has {cold} meV/Å, reduced units {cool}, scratch {scratch}."
    hot = [
        f"{10 * round(np.mean(sw(method, 'crystal', 3480)) / 10):.0f}"
        for method in ("transfer", "reduced", "scratch")
    ]
    yield f"data it is about {hot[0]}, {hot[1]} and {hot[2]}."
    solids = [dft("scratch", "liquid", "Solid")]
    means = [np.mean(sw("scratch", "liquid", T)) for T in (520, 1010, 1740, 2460)]
    yield f"it has {solids[0]} in solids on DFT and {min(means):.0f} to {max(means):.0f} on Still"
    near = dft("scratch", "crystal", "Solid")
    yield f"transfer has {float(dft('transfer', 'liquid', 'Solid')):.0f} meV/Å in solids on DFT"
    yield f"scratch {solids[0]}. After training on crystals scratch has {near} there."
    at = {m: mean_and_spread(sw(m, "liquid", 520)) for m in ("transfer", "scratch", "reduced")}
    words = {m: f"{x[0]:.0f} ± {x[1]:.0f}" for m, x in at.items()}
    yield f"does not help: {words['transfer']} meV/Å. Scratch has {words['scratch']}, and "
    yield f"and {words['reduced']} in reduced units."
    for target, word in OTHER_TARGETS.items():
        for phase, other in (("crystal", "liquid"), ("liquid", "crystal")):
            cells = [
                "{:.0f} ± {:.0f}".format(*mean_and_spread([r["phases"][other] for r in own]))
                for own in other_pair(target, phase)
            ]
            yield f"| {word} | {phase}s | {' | '.join(cells)} |"


def stability():
    """Notebook 03b: liquids that held, and how the others failed."""
    rows = [row for row in course.rows("stability") if row["method"] != "reference"]
    kinds = {
        "10 crystals alone": dict(n=10, phase="crystal"),
        "10 structures": dict(n=10, phase=None),
        "50 structures": dict(n=50, phase=None),
    }

    def held(method, **fields):
        own = [r for r in rows if all(r[k] == x for k, x in (fields | dict(method=method)).items())]
        trials = [t for row in own for t in row["trials"] if t["phase"] == "liquid"]
        assert len(trials) == 15
        return sum(not t["failure"] for t in trials)

    for words, fields in kinds.items():
        counts = [held(method, **fields) for method in ("scratch", "transfer", "reduced")]
        yield f"| {words} | {counts[0]} | {counts[1]} | {counts[2]} |"
    failures = [(r["method"], t["failure"]) for r in rows for t in r["trials"] if t["failure"]]
    scratch = [kind for method, kind in failures if method == "scratch"]
    yield f"Of {len(scratch)} failures of scratch {scratch.count('structure')} are `structure`."
    quiet = [kind for _, kind in failures].count("structure")
    yield f"Of all {len(failures)} failures {quiet} are `structure`"
    for target, word in OTHER_TARGETS.items():
        for phase, words in (("crystal", "crystals alone"), ("liquid", "liquids alone")):
            cells = []
            for own in other_pair(target, phase):
                trials = [t for row in own for t in row["trials"]]
                for kind in ("crystal", "liquid"):
                    cells.append(sum(not t["failure"] for t in trials if t["phase"] == kind))
                assert len(trials) == 20
            yield f"| {word} | {words} | {' | '.join(map(str, cells))} |"
    own = [row for row in course.rows("other-pairs") if row["method"] == "own"]
    assert not any(trial["failure"] for row in own for trial in row["trials"])
    yield "A network of all structures held once at each temperature."


def card():
    """Notebook 04b."""
    verdicts = [v for s in (DFT, SW) for v in course.card("Ge", s).verdicts().values()]
    number = lambda word: sum(len(v.get(word, ())) for v in verdicts)
    helped, equal, hurt = map(number, ("helped", "no difference", "hurt"))
    yield f"{helped} helped, {equal} made no difference and {hurt} hurt"
    rows, known = course.rows("vacancy"), datasets.dft_reference("Ge")["vacancy"]
    value = lambda key, variant: np.mean([r[key] for r in rows if r["variant"] == variant])
    unrelaxed, relaxed = known["vacancy_unrelaxed"], known["vacancy"]
    after = [course.card("Ge", DFT).line(f"vacancy{x}", "transfer", 0) for x in ("", "_unrelaxed")]
    assert {f"{line.mean:.1f}" for line in after} == {"1.2"}
    yield f"transfer has 1.2 eV, DFT {unrelaxed:.2f} and {relaxed:.2f} eV"
    longest = [value(key, "four times the steps") for key in ("unrelaxed", "relaxed")]
    plain = f"16 000 steps give {value('relaxed', 'as it is'):.1f} eV"
    yield f"{plain}, 64 000 give {longest[0]:.2f} and {longest[1]:.2f} eV"
    yield from at_best()


def at_best():
    """Notebook 04b: what became of the verdicts, and two properties."""
    short, long = (
        judged(course.rows(table), "transfer") for table in ("properties", "properties-best")
    )
    became = lambda before, after: sum(long[key] == after for key in short if short[key] == before)
    words = [became("helped", word) for word in ("helped", "no difference")]
    assert len(long) == len(short) and "hurt" not in long.values()
    yield f"Of {sum(words)} *helped* {words[0]} stay, {words[1]} become *no difference*. No *hurt*"
    yield f"{became('no difference', 'helped')} more are *helped*"
    own = course.rows("properties-best")
    cards = {source: course.card("Ge", source, own) for source in (DFT, SW)}
    mean = lambda source, name, method, n: cards[source].line(name, method, n).mean
    four = [mean(DFT, "c44", method, n) for n in (10, 50) for method in ("scratch", "transfer")]
    known = cards[DFT].reference["c44"]
    yield (
        "{:.0f} GPa from scratch, {:.0f} GPa after transfer; ".format(*four)
        + f"DFT has {known:.0f}"
    )
    yield "From fifty they are {:.0f} and {:.0f} GPa".format(*four[2:])
    yield from melting(course.rows("melting"))


def melting(rows):
    """Notebook 04b: where crystal and liquid coexist, and whose liquid boils."""
    trained = [row for row in rows if row["steps"]]
    best = {row["method"]: row for row in trained if row["validation"]}
    short = [row for row in trained if not row["validation"]]
    assert (
        len(rows) == 9 and all(row["n"] == 50 for row in trained) and len(short) == len(best) == 3
    )
    assert all(row["note"].startswith("boils") for row in [*short, best["scratch"]])
    (reference,) = [r["melting_K"][0] for r in rows if not r["steps"] and r["element"] == "Ge"]
    found = best["transfer"]["melting_K"][0]
    off = round(100 * (1 - found / reference))
    yield f"germanium melts at {round(found, -1):.0f} K, {off} % below the reference"
    yield f"at its best, has {round(found, -1):.0f} K; from random weights the liquid boils"
    yield f"It melts near {round(reference, -1) // 50 * 50:.0f} K"
    yield f"crystal's volume, and {course.card('Ge', SW).reference['liquid_pressure']:.0f} GPa"
    known = [row for row in rows if row["melting_K"]]
    ends = [
        run for row in known for run in row["runs"] if round(run[0]) in map(round, row["interval"])
    ]
    assert len(ends) == 2 * len(known)
    yield f"At {sum(ps == 40 for _, ps, _ in ends)} of {len(ends)} ends neither phase had won"


def alchemy():
    """Notebook 07: how far crystals lie from the line between the elements, and one atom."""
    yield from trained_on_alloys(course.rows("alloys"))
    rows = course.rows("alchemy")
    ways = {way: alloys.of_way(rows, way) for way in ("nodes", "embedding")}
    bent = {}
    for key in ("lattice_constant", "bulk_modulus"):
        for way, own in ways.items():
            x = [row["x"] for row in own]
            bent[key, way] = alloys.above_line(x, [row[key] for row in own])
        ends = [own[k][key] for k in (0, -1)]
        at, mean, _ = alloys.means(rows, key, ends)
        lie = [x.index(value) for value in at]
        bent[key, "random"] = mean
        for way in ways:
            bent[key, way, "off"] = bent[key, way][lie] - mean
    a = {way: bent["lattice_constant", way] for way in ("nodes", "embedding", "random")}
    half = {way: -1e3 * a[way][len(a[way]) // 2] for way in a}
    yield f"lie {half['random']:.0f} mÅ below the line at x = 0.5"
    yield f"has {half['nodes']:.0f} mÅ with two nodes, {half['embedding']:.0f} mÅ with mixed rows"
    assert 0.4 < x[a["nodes"].argmin()] < 0.5
    yield f"Near $x = 0.45$, {-1e3 * a['nodes'].min():.0f} mÅ below the line"
    assert np.abs(bent["lattice_constant", "nodes", "off"]).max() < 1.1e-3
    assert np.abs(bent["bulk_modulus", "nodes", "off"]).max() < 0.6
    modulus = bent["bulk_modulus", "embedding"]
    assert (modulus[1 : x.index(0.5625) + 1] > 0).all() and (modulus[x.index(0.6875) :] <= 0).all()
    top = [np.max(row["phonons"]["frequencies"]) for row in ways["nodes"]]
    assert (np.diff(top) < 0).all()
    yield f"from {top[0]:.1f} to {top[-1]:.1f} THz"
    mixing = lambda method: np.mean(
        [row["mixing"] for row in rows if row["method"] == method and row["x"] == 0.5]
    )
    yield f"of the other element: this costs {mixing('ordered'):.0f} meV/atom"
    yield f"a random alloy {mixing('random'):.0f}."
    found = []
    for name, host in (("silicon", "Si"), ("germanium", "Ge"), ("difference", None)):
        if host:
            (row,) = [r for r in rows if r["method"] == "dilute" and r["host"] == host]
            found.append([row["integrated"], row["perturbation"], row["harmonic"]])
        else:
            apart = [(a[0] - b[0], np.hypot(a[1], b[1])) for a, b in zip(*found)]
            found.append(apart)
        *both, (exact, *_) = found[-1]
        cells = [f"{value:.3f} ± {error:.3f}" for value, error in both]
        yield f"| {name} | {cells[0]} | {cells[1]} | {exact:.3f} |"


def trained_on_alloys(rows):
    """Networks that saw no alloys, ten or 90: their errors on alloys."""
    of = lambda n, name, k: np.mean([row[name][k] for row in rows if row["alloys"] == n])
    ratio = lambda n: of(n, "SiGe", 0) / np.mean([of(n, "Si", 0), of(n, "Ge", 0)])
    yield f"Without any, the error on alloys is {ratio(0):.2f} times that on pure elements"
    yield f"with ten it is {ratio(10):.2f} times, with 90 {ratio(90):.2f} times"
    energies = [of(n, "SiGe", 1) for n in (0, 10)]
    yield f"{energies[0]:.0f} meV/atom on alloys without any, {energies[1]:.0f} with ten"


def gains(**changes):
    """(mean gain, ± as it is written, error before training, gains): functions of a member."""
    rows = [r for r in course.rows("family") if all(r[k] == x for k, x in changes.items())]
    found = course.results.gains_of(rows, tuple(KNOBS))
    of = lambda method, member: found[tuple(vars(Member(**member)).values()), method]
    each = lambda method="transfer", **member: [g for g, _ in of(method, member)]
    gain = lambda method="transfer", **member: np.mean(each(method, **member))
    before = lambda **member: 100 * of("transfer", member)[0][1]

    def spread(digits=1, **member):
        both = mean_and_spread(each(**member))
        return " ± ".join(f"{value:.{digits}f}" for value in both)

    return gain, spread, before, each


ALL_FOUR = dict(size=1.2, energy=0.5, stiffness=10.0, angle=90.0)


def family():
    """Gains of a transfer from silicon, from ten structures after 800 steps, and at own best."""
    gain, spread, before, _ = gains(n=10, steps=800)
    stiff, soft, bent = dict(stiffness=31.0), dict(stiffness=0.0), dict(angle=90.0)
    of_three = (gain(energy=2.0), gain(size=1.1), gain(**bent))
    yield "The gains are {:.1f}, {:.1f} and {:.1f}.".format(*of_three)
    assert of_three[0] > of_three[1] > of_three[2]
    yield f"The gain is {gain(**soft):.1f}. Before training"
    yield f"is wrong by {before(**soft):.0f} % of the mean force"
    asked = answers.questions("06_how_similar").predictions[3].ask
    assert f"the gain is about {gain(size=1.2):.1f}. And in reduced units?" in asked
    yield f"The gain is {gain('reduced', size=1.2):.1f}, and {gain():.1f} from silicon to itself"
    assert gain("reduced", size=1.2) >= gain()
    yield f"the gain is {spread(**stiff)}, and {spread()} for silicon itself"
    assert min(gain("reduced", size=size) for size in (0.9, 1.05, 1.1, 1.2)) > 3.9
    yield f"the gain is {spread(2, **ALL_FOUR)}"
    yield f"in reduced units {gain('reduced', **ALL_FOUR):.1f}."
    yield f"From silicon to silicon itself it is about {gain():.0f} with ten"
    yield f"an angle of 90° has {before(**bent):.0f} % and a gain of {gain(**bent):.1f} only"
    _, best, _, each = gains(steps=12800)
    yield f"the gain is {best()} for silicon itself. It is {best(**stiff)} for $"
    yield f"= 31, {best(**bent)} for 90° and {best(**soft)} for $"
    assert sum(g < 1.15 for g in each(**soft)) == 2


def real_elements():
    """Gains of a transfer from each source to each target, by DFT, from ten structures."""
    gain, spread, before = pairs()
    three = (gain("Mo", "Sn"), gain("Si", "Sn"), gain("others", "Sn"))
    yield "The gains are {:.1f}, {:.1f} and {:.1f}. Before".format(*three)
    assert three[1] > max(three[0], three[2])
    yield f"is wrong on tin by {before('Si', 'Sn'):.0f} % of the mean force"
    yield f"three elements is wrong by {before('others', 'Sn'):.0f} %"
    yield f"the lowest gain is {spread('Li', 'Sn')}, from lithium to tin."
    for element in GROUP:  # "800 steps end near the source's own error"
        own = [r for r in course.rows("pairs") if r["source"] == element]
        source, *ends = (
            r["force_mae"]
            for r in own
            if r.get("target", element) == element and r.get("n", 10) == 10
        )
        assert len(ends) == 5 and max(ends) * BONDS[element] / BONDS["Si"] < 1.3 * source
    pairs_by = {pair: (gain(*pair), before(*pair)) for pair in product(SOURCES, GROUP)}
    near, far = ([g for g, b in pairs_by.values() if (b < 35) == below] for below in (True, False))
    assert not any(30 < b < 40 for _, b in pairs_by.values())
    yield f"Real pairs below 30 % gain {min(near):.1f} to {max(near):.1f}"
    yield f"those above 40 % {min(far):.1f} to {max(far):.1f}."
    assert min(pairs_by.values())[0] == gain("Li", "Sn") > 1
    alike = lambda names: [
        100 * r["overlap"]
        for r in course.rows("pairs")
        if r["source"] in names and "overlap" in r and r["source"] != r["target"]
    ]
    both = [f"{min(found):.0f} to {max(found):.0f} %" for found in map(alike, (GROUP, METALS))]
    yield "the group has {}, metals {}.".format(*both)
    inside = [pair for pair in product(GROUP, GROUP) if len(set(pair)) == 2]
    gains = [gain(*pair) for pair in inside]
    ratios = [abs(np.log(BONDS[new] / BONDS[old])) for old, new in inside]
    found = [spearmanr(x, gains)[0] for x in ([before(*pair) for pair in inside], ratios)]
    yield "(Spearman's correlation −{:.1f} and −{:.1f})".format(*np.abs(found))
    assert max(found) < 0
    three = gain("others", "Sn"), gain("others", "Sn", "neighbours"), gain("Ge", "Sn")
    yield "Tin gains {:.1f} from three elements with carbon's".format(*three)
    yield "row, {1:.1f} with germanium's, and {2:.1f} from germanium alone.".format(*three)


def pairs(n=10):
    """(mean gain, ± as it is written, error before training) of a source and a target."""
    found = course.results.gains_of(
        [r for r in course.rows("pairs") if r.get("n") == n], ("source", "target", "row")
    )
    of = lambda source, target, row: np.array(found[(source, target, row), "reduced"]).T
    gain = lambda source, target, row="copy": np.mean(of(source, target, row)[0])
    before = lambda source, target, row="copy": 100 * np.mean(of(source, target, row)[1])

    def spread(source, target, row="copy"):
        return "{:.2f} ± {:.2f}".format(*mean_and_spread(of(source, target, row)[0]))

    return gain, spread, before


def committees():
    """Spreads and distances of networks with ten structures, against errors."""
    rows = [row for row in course.rows("committee") if row["n"] == 10]
    told = lambda kind, phase, key, method=None: [
        row[kind][phase][key] for row in rows if method in (None, row["method"])
    ]
    both = lambda method: mean_and_spread(told("spread", "all", "factor", method))
    carried, alone = both("transfer"), both("scratch")
    words = "The factor is {:.1f} ± {:.1f} for transfer, and {:.1f} ± {:.1f} for scratch"
    yield words.format(*carried, *alone)
    first = [row for row in rows if (row["method"], row["seed"]) == ("transfer", 0)]
    one = first[0]["spread"]["all"]["factor"]
    yield f"too small by a factor of {one:.0f} here, and {carried[0]:.0f} over five seeds"
    every = course.rows("committee")
    of = lambda phase, kind, method, n: np.mean(
        [r[kind][phase]["correlation"] for r in every if (r["method"], r["n"]) == (method, n)]
    )
    cells = list(product(("spread", "distance"), ("scratch", "transfer"), (10, 50)))
    within = [of("liquid", *cell) for cell in cells]
    yield f"For committees of networks it is {min(within):.2f} to {max(within):.2f}. Over all"
    assert all(0.45 < of("all", *cell) < 0.75 for cell in cells)
    check = lambda kind, method, n: np.mean(
        [r[kind]["all"]["check"] for r in every if (r["method"], r["n"]) == (method, n)]
    )
    assert all(abs(check(*cell) - 1) < 0.15 for cell in cells)


def same_data():
    """Choices of ten structures by DFT, for three algorithms."""
    rows = [row for row in course.rows("diversity") if (row["source"], row["n"]) == (DFT, 10)]

    def mean(choice, method, group=None):
        own = [r for r in rows if (r["choice"], r["method"]) == (choice, method)]
        assert len(own) == 5
        return np.mean([r["groups"][group] if group else r["force_mae"] for r in own])

    solids = lambda method: [mean(c, method, "Solid") for c in ("calm", "calm, more")]
    linear, scratch, transfer = map(solids, ("linear", "scratch", "transfer"))
    yield "The error rises from {:.0f} to {:.0f} meV/Å".format(*linear)
    every = [mean(choice, "linear") for choice in ("calm", "calm, more")]
    yield "On all test structures the error falls from {:.0f} to {:.0f}.".format(*every)
    liquids = [mean(choice, "linear", "Liquid") for choice in ("calm", "calm, more")]
    yield "On liquids the error falls, from {:.0f} to {:.0f} meV/Å; ".format(*liquids) + (
        "on warm crystals it rises, from {:.0f} to {:.0f}".format(*linear)
    )
    yield f"raises the error of the linear one to {mean('committee', 'linear'):.0f}"
    words = (
        "on crystals: from {:.0f} to {:.0f} meV/Å for scratch, from {:.0f} to {:.0f} for transfer"
    )
    yield words.format(*scratch, *transfer)
    errors = [mean("groups", method) for method in ("transfer", "linear", "scratch")]
    yield "The errors are {:.0f}, {:.0f} and {:.0f} meV/Å.".format(*errors)
    assert sorted(errors) == errors
    long = own_best(course.rows("own-best"))
    scratch = [
        r["force_mae"] for r in long if (r["source"], r["method"], r["n"]) == (DFT, "scratch", 10)
    ]
    assert abs(np.mean(scratch) - errors[1]) < np.std(scratch, ddof=1)
    classical = [
        [
            r["force_mae"]
            for r in course.rows("diversity")
            if r["choice"] == "groups" and (r["source"], r["n"], r["method"]) == (SW, 10, method)
        ]
        for method in ("linear", "transfer")
    ]
    words = "ten structures give the linear potential {:.0f} meV/Å and transfer {:.0f}"
    yield words.format(*map(np.mean, classical))
    first = ("groups", "random", "by hand", "farthest")
    assert all(np.ptp([mean(c, m) for c in first]) < 2.5 for m in ("linear", "transfer"))
    every = course.rows("weak") + course.rows("learning-curve")

    def error(source, method, n, forces=True, taylor=0, path=0):
        way = dict(source=source, method=method, n=n, forces=forces, taylor=taylor, path=path)
        whole = [dict(forces=True, taylor=0, path=0) | row for row in every]
        own = {row["seed"]: row["force_mae"] for row in whole if way.items() <= row.items()}
        return np.array([own[seed] for seed in range(5)])

    alone, plain = error(DFT, "transfer", 50, forces=False), error(DFT, "scratch", 50)
    assert f"{alone.mean():.0f}" == f"{plain.mean():.0f}"
    yield f"Transfer from 50 energies alone has {alone.mean():.0f} meV/Å, as scratch has"
    few, terms = (error(SW, "transfer", 10, False, *way) for way in ((0, 0), (1.2, 0.01)))
    yield f"transfer's error from {few.mean():.0f} to {terms.mean():.0f} meV/Å, in all seeds"
    assert (terms < few).all()
    best = {(r["source"], r["method"], r["n"]): r for r in course.rows("weak-best")}
    for (source, method, n), row in best.items():
        way = dict(source=source, method=method, n=n, steps=row["steps"])
        way["learning_rate"] = row["learning_rate"]
        both = [
            {r["seed"]: r["force_mae"] for r in course.rows(table) if way.items() <= r.items()}
            for table in ("weak-best", "own-best")
        ]
        ratios = [both[0][seed] / both[1][seed] for seed in both[0]]
        assert len(ratios) == 5 and 0.99 < np.mean(ratios) < 1.09
    yield "No, nor after 12 800 steps. To first order"
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    bare = [error(DFT, method, 10, forces=False).mean() for method in ("transfer", "scratch")]
    assert "transfer has {:.0f} meV/Å and scratch {:.0f}".format(*bare) in readme
    ten, term = (error(DFT, "scratch", 10, taylor=taylor) for taylor in (0, 1.2))
    yield f"With it and without it, the error is {ten.mean():.0f} meV/Å"
    assert abs(term.mean() - ten.mean()) < 1
    moved = lambda driver, method: np.mean(
        [
            r["force_mae"]
            for r in course.rows("oracle")
            if (r["driver"], r["method"]) == (driver, method)
        ]
    )
    asked = {
        driver: [
            (r["n"], len(r["held"]))
            for r in course.rows("oracle")
            if (r["driver"], r["method"]) == (driver, "source")
        ]
        for driver in ("transfer", "linear", "scratch")
    }
    number = lambda driver: np.mean([n for n, _ in asked[driver]])
    words = "transfer needs {:.0f} labels and the linear potential {:.0f}. For scratch {:.0f}"
    yield words.format(*map(number, asked)) + " are too few."
    assert {held for driver in ("transfer", "linear") for _, held in asked[driver]} == {6}
    assert max(held for _, held in asked["scratch"]) < 6
    pair = moved("linear", "transfer"), moved("transfer", "transfer")
    words = "Transfer has {:.0f} meV/Å on the linear potential's set, {:.0f} on its own"
    yield words.format(*pair)
    tuned = {driver: [] for driver in (*asked, "by hand", "random")}
    for row in course.rows("universal-oracle"):
        tuned[row["driver"]].append(row["force_mae"])
    chosen = [np.mean(tuned[driver]) for driver in asked]
    yield f"Fine-tuned CHGNet has {min(chosen):.0f} to {max(chosen):.0f}: it starts from DFT."
    hand = [moved("by hand", method) for method in ("linear", "transfer", "scratch")]
    yield "do not: linear {:.0f}, transfer {:.0f}, scratch {:.0f}.".format(*hand)


QUOTES = {
    "08_more_from_the_same_data": same_data,
    "08b_how_sure": committees,
    "06_how_similar": lambda: [*family(), *real_elements()],
    "07_alchemy": alchemy,
    "02_germanium_transfer": explorer,
    "02b_how_much_data": learning_curves,
    "02c_freezing_and_forgetting": freezing,
    "02d_temperatures": temperatures,
    "03b_stability": stability,
    "04b_card_and_melting": card,
}


@pytest.mark.parametrize("name", QUOTES)
def test_what_is_quoted_is_what_the_rows_say(name):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    asked = answers.questions(name).predictions.values()
    text = " ".join([*(cell.source for cell in cells), *(question.because for question in asked)])
    text = " ".join(text.split())
    missing = [quote for quote in QUOTES[name]() if quote not in text]
    assert missing == []


def test_the_readme_quotes_the_family():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    gain, *_ = gains(n=10, steps=800)
    angles = f"the gain is {gain(stiffness=0.0):.1f}, with an angle of 90° {gain(angle=90.0):.1f}"
    assert (
        f"is {gain():.0f} from" in text
        and f"silicon to itself, and {gains(steps=12800)[0]():.0f} at each" in text
    )
    assert angles in text
    assert f"({gain(**ALL_FOUR):.2f}) where all four" in text
    assert f"reduced units have {gain('reduced', **ALL_FOUR):.1f} there" in text


def test_the_readme_quotes_real_pairs():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    gain, *_ = pairs()
    heavy = ("Si", "Ge", "Sn")
    of = lambda sources, targets: [gain(s, t) for s in sources for t in targets if s != t]
    span = lambda gains: f"{min(gains):.1f} to {max(gains):.1f}"
    assert f"tin give each other gains of {span(of(heavy, heavy))}. Their own" in text
    for target in heavy:  # "as much as their own networks give"
        assert 0.8 < max(of(heavy, [target])) / gain(target, target) < 1.2
    carbon = of(["C"], heavy) + of(heavy, ["C"])
    metals = of(METALS, GROUP)
    assert (
        f"To and from carbon it is {span(carbon)}, from lithium and molybdenum {span(metals)}."
        in text
    )
    for n in (10, 50):  # "No source hurt", "less than the nearest one"
        gain, *_ = pairs(n)
        assert min(of(SOURCES, GROUP)) > 1
        for target in heavy:
            three = [gain("others", target, row) for row in ("copy", "neighbours")]
            assert max(three) < max(of(heavy, [target]))


def test_the_readme_quotes_the_other_pairs():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    held = []
    for target in OTHER_TARGETS:
        for own in other_pair(target, "crystal"):
            trials = [t for row in own for t in row["trials"] if t["phase"] == "liquid"]
            held.append((sum(not t["failure"] for t in trials), len(trials)))
    scratch, transfer = (np.sum(held[k::2], axis=0) for k in (0, 1))
    words = f"it kept {transfer[0]} of {transfer[1]} liquids, scratch {scratch[0]} ("
    assert words in text
    for target in OTHER_TARGETS:
        for phase, other in (("crystal", "liquid"), ("liquid", "crystal")):
            errors = [[r["phases"][other] for r in own] for own in other_pair(target, phase)]
            assert 0.35 < np.mean(errors[1]) / np.mean(errors[0]) < 0.55  # "about half"
