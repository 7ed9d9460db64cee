"""Sections of docs/results.md on how similar an element must be for a transfer to pay."""

import numpy as np
from scipy.stats import spearmanr

from tlmlp.course.family import KNOBS
from tlmlp.course.results import METHODS, gains_of, rows
from tlmlp.show.figures.learning import where
from tlmlp.show.figures.style import METHODS as STYLES

from .similarity import GROUP
from .text import SWEEP, cell, prose, section, table


def sections():
    """All of them."""
    return [*family(), *pairs(), *other_pairs()]


def family():
    """The table family: gains of a transfer to elements that differ from silicon."""
    words = (
        "Targets of Stillinger-Weber's family differ from silicon by size, energy, stiffness of "
        "angles (21) and the angle that bonds prefer. Each has silicon's structures, scaled, and "
        "36 of them as a test. `si-sw-course` is the source. A gain is the force MAE of scratch "
        "over that of the transfer, for the same structures and steps. In reduced units the cutoff "
        "grows with the size; scratch and copied weights keep 4.5 Å. *Before* is the error "
        "before training over the mean force. Trainings have 800 steps. At own best they have "
        "12 800, the learning rate of the table above and validation. There are five seeds."
    )
    own, lines = rows("family"), []
    found = {
        kind: gains_of([row for row in own if (row["n"], row["steps"] > 800) == kind], KNOBS)
        for kind in ((5, False), (10, False), (50, False), (10, True))
    }
    members = [*dict.fromkeys(knobs for knobs, _ in found[10, False])]
    for key in sorted(
        found[10, False], key=lambda key: (members.index(key[0]), METHODS.index(key[1]))
    ):
        knobs, method = key
        gains = [cell([gain for gain, _ in found[kind].get(key, ())], 2) for kind in found]
        before = cell([100 * error for _, error in found[10, False][key]])
        scratch = [
            row["force_mae"]
            for row in where(own, n=10, steps=800, method="scratch")
            if tuple(row[name] for name in KNOBS) == knobs
        ]
        numbers = [f"{value:.4g}" for value in knobs]
        lines.append([*numbers, STYLES[method].word, before, cell(scratch), *gains])
    titles = ["size", "energy", "stiffness", "angle, °", "start", "before, %", "scratch from 10"]
    titles += ["gain from 5", "from 10", "from 50", "from 10, own best"]
    return [
        section("How similar an element must be", words, f"{SWEEP} family"),
        table(titles, lines),
    ]


def pairs():
    """The table pairs: gains of a transfer from each source to each target."""
    if not (own := rows("pairs")):
        return []
    words = (
        "Each target learns from each source. C, Si, Ge and Sn are DFT of this project, Li and "
        "Mo are mlearn's body-centred metals, SW is Stillinger-Weber's silicon. *others* is one "
        "network of all of C, Si, Ge and Sn but the target. Its embedding row for the target is "
        "a copy of its first element's, or the mean of the target's neighbours in the group. All "
        "lengths are in bonds. Energies are scaled by *energy*, where forces do not point apart. "
        "A gain is the force MAE of scratch over that of the transfer, for the same structures "
        "and 800 steps; five seeds. *Bonds* is the ratio of nearest distances, new over old. "
        "*Alike* is the fraction of neighbours at the same distance in bonds. *Before* is the "
        "error before training over the mean force. *Source* is the error of the source on its "
        "own test structures, in meV/Å and bonds of silicon."
    )
    found = {n: gains_of(where(own, n=n, steps=800), ("source", "target", "row")) for n in (10, 50)}
    lines = []
    for (source, target, copied), _ in found[10]:
        key = ((source, target, copied), "reduced")
        some = where(own, source=source, target=target, row=copied, n=10)
        scratch = where(own, method="scratch", target=target, n=10)
        sources = where(own, method="source", source=source)
        known = [r["force_mae"] for r in sources if r.get("target") in (None, target)]
        bonds = some[0]["bonds"]
        before = [100 * error for _, error in found[10][key]]
        lines.append(
            [
                f"{source}, by neighbours" if copied == "neighbours" else source,
                target,
                "–" if bonds is None else f"{bonds:.2f}",
                f"{100 * some[0]['overlap']:.0f} %",
                cell([row["units"] for row in some], 2),
                f"{cell(before)} %",
                cell(known),
                cell([row["force_mae"] for row in scratch]),
                *(cell([gain for gain, _ in found[n].get(key, ())], 2) for n in found),
            ]
        )
    titles = ["from", "to", "bonds", "alike", "energy", "before", "source", "scratch from 10"]
    return [
        section("Pairs of elements", words, f"{SWEEP} pairs"),
        table([*titles, "gain from 10", "gain from 50"], lines),
        *predictors(own, found),
    ]


def predictors(own, by_n):
    """Table: Spearman's correlation of the gain with what is known before any training.

    by_n: gains of `own` from 10 and from 50 structures, by source, target and row.
    """
    known = {(r["source"], r["target"]): r for r in own if r.get("bonds")}
    pairs = [pair for pair in known if len(set(pair)) == 2]
    mean = lambda n, place: [
        np.mean([both[place] for both in by_n[n][(*pair, "copy"), "reduced"]]) for pair in pairs
    ]
    numbers = {
        "distance of the bonds' ratio from 1": [abs(np.log(known[p]["bonds"])) for p in pairs],
        "neighbours alike": [known[pair]["overlap"] for pair in pairs],
        "error before training, over the mean force": mean(10, 1),
    }
    inside = np.array([source in GROUP for source, _ in pairs])
    parts = {"all": inside | True, "inside the group": inside, "from outside": ~inside}
    order = lambda x, y, part: spearmanr(np.array(x)[part], np.array(y)[part]).statistic
    lines = [
        [words, *(f"{order(x, mean(n, 0), part):.2f}" for n in by_n for part in parts.values())]
        for words, x in numbers.items()
    ]
    words = (
        f"Spearman's correlation of the gain with each number, over {len(pairs)} pairs of one "
        "source with another target (-1 or 1 would order them all). Inside the group source and "
        "target are of C, Si, Ge and Sn: one silicon potential has moved the atoms of all four, so "
        "their neighbours are alike by construction. From outside come Li, Mo and SW."
    )
    titles = [f"gain from {n}, {part}" for n in by_n for part in parts]
    return [prose(words), table(["known before training", *titles], lines)]


def other_pairs():
    """The table other-pairs: temperatures and stability of two more pairs."""
    if not (own := rows("other-pairs")):
        return []
    words = (
        "Silicon learns from germanium, and tin from silicon, by DFT and in bonds. Networks are "
        "trained on 16 structures of all groups, of crystals or of liquids, for 800 steps; five "
        "seeds. The table gives force MAE in meV/Å on crystals and on liquids. The last columns "
        "give how many trials of 3 ps kept the structure, at fractions of the melting temperature. "
        "*Own* is a network of all structures of the target. The reference of the trials is its "
        "dynamics with another seed."
    )
    lines = []
    for target in dict.fromkeys(row["target"] for row in own if row.get("target")):
        for method in ("own", "scratch", "reduced"):
            for phase in (None, "crystal", "liquid"):
                if some := where(own, target=target, method=method, phase=phase):
                    errors = [
                        cell([r["phases"][kind] for r in some]) for kind in ("crystal", "liquid")
                    ]
                    trials = zip(*(row["trials"] for row in some))
                    held = [
                        f"{sum(not trial['failure'] for trial in each)} of {len(some)}"
                        for each in trials
                    ]
                    start = "own" if method == "own" else STYLES[method].word
                    lines.append([target, start, phase or "all", *errors, *held])
    fractions = [f"{t['fraction']:g} T_m" for row in own for t in row.get("trials", ())]
    titles = ["target", "start", "trained on", "crystals", "liquids", *dict.fromkeys(fractions)]
    return [
        section("Temperatures and stability of other pairs", words, f"{SWEEP} other-pairs"),
        table(titles, lines),
    ]
