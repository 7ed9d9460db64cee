"""Sections of docs/results.md on what helps where labels are few, besides transfer.

Losses of physics, choices of structures, data between algorithms, and how sure a potential is.
"""

from itertools import product

import numpy as np

from tlmlp.course import cards
from tlmlp.course.choices import ALGORITHMS, CHOICES
from tlmlp.course.results import rows
from tlmlp.course.sources import COURSE, SOURCES
from tlmlp.properties.measured import PROPERTIES
from tlmlp.show.figures.learning import where
from tlmlp.show.figures.style import METHODS as STYLES

from .tables import RATES, SIDES
from .text import SWEEP, cell, section, table

LOSSES = {"labels": (0, 0), "Taylor": (1.2, 0), "Taylor and path": (1.2, 0.01)}
SIZES = (5, 10, 20, 50)  # structures


def sections():
    """All of them."""
    return [*weak(), *diversity(), *oracle(), *committees()]


def weak():
    """The tables weak and weak-best: with and without weakly supervised terms."""
    if not (own := rows("weak")):
        return []
    own = own + rows("weak-best") + [r for r in rows("learning-curve") if r["n"] in SIZES]
    own += [r for r in rows("own-best") if r["n"] in (10, 50)]
    words = (
        "The Taylor term (weight 1.2) compares displaced copies of the training structures with "
        "their labels, the path term (0.01) with each other (`tlmlp.Consistency`, 0.05 Å). "
        "They share the weight of energies with the error of the energy. Where labels are energies "
        "alone, the forces have no weight. With paths both terms are of first order, which biases "
        "energies: it leaves out their curvature. Trainings have 800 steps. At own best they have "
        "12 800, validation, and the learning rate of the section on each side at its best. The "
        "table gives force MAE in meV/Å, and the energy RMSE in meV/atom with ten structures; five "
        "seeds."
    )
    lines = []
    for source, method, forces in product(COURSE, SIDES, (True, False)):
        for kind, terms in LOSSES.items():
            some = [
                row
                for row in where(own, source=source, method=method)
                if row.get("forces", True) == forces
                and (row.get("taylor", 0), row.get("path", 0)) == terms
            ]
            if some:
                lines.append(_of_loss(source, method, forces, kind, some))
    titles = ["data", "start", "labels", "loss", *map(str, SIZES), "energy, 10"]
    titles += ["10, own best", "50, own best"]
    heading = section("Physics in the loss", words, f"{SWEEP} weak", f"{SWEEP} weak-best")
    return [heading, table(titles, lines), *_out_of_target()]


def _of_loss(source, method, forces, kind, some):
    """A line of the table of losses."""
    at = lambda n, key="force_mae": cell([r[key] for r in where(some, n=n, steps=800)])
    best = lambda n: cell(
        [r["force_mae"] for r in where(some, n=n, steps=12800, learning_rate=RATES[method])]
    )
    labels = "energies, forces" if forces else "energies"
    start = [SOURCES[source].words, STYLES[method].word, labels, kind]
    return [*start, *map(at, SIZES), at(10, "energy_rmse"), best(10), best(50)]


def _out_of_target():
    """The tables weak-properties and weak-stability: what both terms do beside the errors."""
    own, held = rows("weak-properties"), rows("weak-stability")
    if not own or not held:
        return []
    words = (
        "Potentials of ten structures, trained with the Taylor and the path term, are compared "
        "with those trained on the same structures without them. Properties are those of the card, "
        "with its rule for verdicts. In dynamics, a trial at each of five temperatures runs for "
        "6 ps, with three seeds, on Stillinger-Weber's data."
    )
    lines, counts = [], []
    for source, method in product(COURSE, SIDES):
        known, _ = cards.reference("Ge", source, rows("properties"))
        fields = dict(source=source, method=method, n=10, steps=800, element="Ge")
        plain, terms = (
            {row["seed"]: row["properties"] for row in where(some, **fields)}
            for some in (rows("properties"), own)
        )
        verdicts: dict = {"helped": [], "no difference": [], "hurt": []}
        for name, value in known.items():
            pairs = [(plain[seed].get(name), terms[seed].get(name)) for seed in terms]
            pairs = [pair for pair in pairs if None not in pair]
            if len(pairs) >= 3:
                verdicts[cards.verdict(*zip(*pairs), value)[0]].append(PROPERTIES[name][0])
        numbers, named = map(len, verdicts.values()), verdicts["helped"] + verdicts["hurt"]
        start = SOURCES[source].words, STYLES[method].word
        lines.append([*start, *numbers, "; ".join(named) or "–"])
    for method in SIDES:
        fields = dict(source="stillinger-weber", method=method, n=10, phase=None)
        for kind, some in (("labels", rows("stability")), ("Taylor and path", held)):
            trials = [trial for row in where(some, **fields) for trial in row["trials"]]
            cells = [
                [not trial["failure"] for trial in trials if trial["phase"] == phase]
                for phase in ("crystal", "liquid")
            ]
            counts.append([STYLES[method].word, kind, *(f"{sum(c)} of {len(c)}" for c in cells)])
    commands = f"{SWEEP} weak-properties", f"{SWEEP} weak-stability"
    titles = ["data", "start", "helped", "no difference", "hurt", "which helped or hurt"]
    return [
        section("Physics in the loss: properties and stability", words, *commands),
        table(titles, lines),
        table(["start", "loss", "crystals that held", "liquids that held"], counts),
    ]


def diversity():
    """The table diversity: equally many structures, chosen in different ways."""
    if not (own := rows("diversity")):
        return []
    words = (
        "Structures of germanium are chosen in different ways (`tlmlp.course.choices`). The last "
        "choice has twice as many structures. A linear potential is fitted to them; networks have "
        "800 steps from random or from silicon's weights. The table gives force MAE in meV/Å on "
        "all test structures, on warm crystals and on liquids, for five seeds."
    )
    lines = []
    for source in COURSE:
        crystals, liquids = ("Solid", "Liquid") if source == "dft" else ("crystal", "liquid")
        for n in (10, 40):
            there = [row["choice"] for row in where(own, source=source, n=n)]
            for choice, said in ((c, words) for c, words in CHOICES.items() if c in there):
                cells = []
                for method in ALGORITHMS:
                    some = where(own, source=source, n=n, choice=choice, method=method)
                    cells.append(cell([row["force_mae"] for row in some]))
                    cells += [
                        cell([row["groups"][group] for row in some])
                        for group in (crystals, liquids)
                    ]
                lines.append([SOURCES[source].words, n, said, *cells])
    titles = ["data", "structures", "choice"]
    titles += [
        f"{method}: {part}" for method in ALGORITHMS for part in ("all", "crystals", "liquids")
    ]
    return [section("Which structures to label", words, f"{SWEEP} diversity"), table(titles, lines)]


def oracle():
    """The table oracle: data that one algorithm chose, for another."""
    if not (own := rows("oracle")):
        return []
    words = (
        "Stillinger-Weber labels germanium at no cost. A potential runs 2 ps at each of the "
        "course's temperatures. Where three potentials disagree by 0.1 eV/Å or more, the structure "
        "is labelled, until all temperatures hold or 40 structures are there. Other sets are made "
        "by hand, or have atoms at random places. Each algorithm is then trained on each set. The "
        "table gives force MAE in meV/Å on the course's test structures, and the temperatures at "
        "which 3 ps of molecular dynamics held. *Apart* says how far pairs of atoms are from those "
        'of the reference, in runs that lasted a picosecond. "±" is over five seeds. CHGNet was '
        "fine-tuned as in the section on universal potentials; its dynamics was not run."
    )
    lines, foreign = [], rows("universal-oracle")
    drivers = [*ALGORITHMS, "by hand", "random"]
    for driver in drivers:
        for method in ALGORITHMS:
            some = where(own, driver=driver, method=method)
            lasted = [[t["apart"][-1] for t in row["trials"] if t["apart"]] for row in some]
            apart = [1e3 * np.mean(own) for own in lasted if own]
            held = [sum(not trial["failure"] for trial in row["trials"]) for row in some]
            lines.append(
                [
                    driver,
                    cell([row["n"] for row in some]),
                    method,
                    cell([row["force_mae"] for row in some]),
                    *(cell([row["phases"][p] for row in some]) for p in ("crystal", "liquid")),
                    cell(held, 1) + f" of {len(some[0]['trials'])}",
                    cell(apart),
                ]
            )
        if tuned := where(foreign, driver=driver):
            errors = [[row["force_mae"] for row in tuned]]
            errors += [[row["phases"][p] for row in tuned] for p in ("crystal", "liquid")]
            number = cell([row["n"] for row in tuned])
            lines.append([driver, number, "CHGNet, fine-tuned", *map(cell, errors), "–", "–"])
    titles = ["chosen by", "structures", "trained", "force MAE", "crystals", "liquids"]
    titles += ["temperatures that held", "apart, mÅ"]
    commands = f"{SWEEP} oracle", "python -m research.universal.finetune chgnet-0.3.0 SETS"
    return [section("Data between algorithms", words, *commands), table(titles, lines)]


def committees():
    """The table committee: whether spreads and distances tell errors."""
    if not (own := rows("committee")):
        return []
    words = (
        "Five networks have the same structures of germanium by DFT, and 800 steps. They differ "
        "in the order of the structures; those from scratch also in their random weights. The "
        "spread is that of the forces on an atom over the five. The distance is that to the "
        "training structures in the features of one network (`tlmlp.uncertainty`). The correlation "
        "with the error of the force on an atom is Spearman's. The factor is the root mean square "
        "of errors over that of spreads (no unit) or distances (eV/Å). The check is the factor of "
        'one half of the test structures over that of the other half. "±" is over five choices of '
        "structures."
    )
    lines = []
    for method in ("scratch", "transfer"):
        for n in (10, 50):
            part = where(own, method=method, n=n)
            for phase in ("all", "crystal", "liquid"):
                found = [
                    cell([row[kind][phase][key] for row in part], 2)
                    for kind in ("spread", "distance")
                    for key in ("correlation", "factor", "check")
                ]
                lines.append([STYLES[method].word, n, phase, *found])
    titles = ["start", "structures", "atoms of"]
    titles += [
        f"{kind}: {key}"
        for kind in ("spread", "distance")
        for key in ("correlation", "factor", "check")
    ]
    return [
        section("A committee and its errors", words, f"{SWEEP} committee"),
        table(titles, lines),
    ]
