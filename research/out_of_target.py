"""Sections of docs/results.md on properties out of target: cards, and why vacancies fail."""

from collections import Counter

import numpy as np

from tlmlp import datasets
from tlmlp.course import cards
from tlmlp.course.results import METHODS, rows
from tlmlp.course.sources import COURSE, SOURCES
from tlmlp.properties.measured import PROPERTIES
from tlmlp.show.figures.learning import where
from tlmlp.show.figures.style import METHODS as STYLES

from .text import SWEEP, cell, names, number, places, section, sized, table
from .vacancy import VARIANTS

KINDS = ("helped", "no difference", "hurt")
UNTRAINED = {"silicon unchanged": ("transfer", None), "in reduced units": ("reduced", None)}


def sections():
    """All of them."""
    return [*vacancies(), *properties(), *at_its_best()]


def vacancies():
    """The table vacancy: what mends the energy of a vacancy."""
    if not (own := rows("vacancy")):
        return []
    known = datasets.dft_reference("Ge")["vacancy"]
    words = (
        "A vacancy of germanium by networks of the course, trained from random weights on all "
        "structures by DFT for 16 000 steps, and with one change each. Neighbours *have not "
        "moved*, are *relaxed* by the network, or are *where DFT has them*. *Path* is the error of "
        "the energy on a straight line from the vacancy at rest (0) to one of the training set at "
        "424 K (1). *Groups* is the mean error of energies in vacancies minus that in solids, for "
        "63 atoms. Cold vacancies have 0.02 to 0.2 of the melting temperature; they are in no "
        "other training. With silicon and alloys there are 32 000 steps. There are three seeds, "
        "with four times the steps two, in the last three lines one."
    )
    lines = [
        ["DFT", f"{known['vacancy_unrelaxed']:.2f}", *[f"{known['vacancy']:.2f}"] * 2, *["–"] * 6]
    ]
    for variant in VARIANTS:
        some = where(own, variant=variant)
        numbers = [[row[key] for row in some] for key in ("unrelaxed", "relaxed", "as_dft")]
        numbers += zip(*([row["path"][k] for k in (0, 2, 4)] for row in some))
        numbers += [[63e-3 * (row["off"]["Vacancy"] - row["off"]["Solid"]) for row in some]]
        errors = [cell([row["force_mae"] for row in some])]
        errors += [cell([row["energy_rmse"] for row in some], 1)]
        lines.append([variant, *(cell(values, 2) for values in numbers), *errors])
    titles = ["network", "have not moved, eV", "relaxed, eV", "where DFT has them, eV"]
    titles += ["path 0, eV", "0.5", "1", "groups, eV", "force MAE, meV/Å"]
    return [
        section("Why vacancies cost too little", words, f"{SWEEP} vacancy"),
        table([*titles, "energy RMSE, meV/atom"], lines),
    ]


def properties():
    """The table properties: verdicts, and the cards behind them."""
    words = (
        "Few of these properties are in a training set: slope and R² of forces, and vacancies of "
        "DFT. Trainings have 800 steps and five seeds. A verdict compares the errors of scratch "
        "and transfer seed by seed. Transfer helped or hurt where the difference exceeds chance "
        "(Student's paired test, 95 %)."
    )
    parts = [
        section("Properties out of target", words, f"{SWEEP} properties"),
        verdicts(rows("properties")),
        "The cards behind these verdicts follow. A seed that failed has no value.\n",
    ]
    start = {"start of transfer": ("transfer", None)}
    for source in COURSE:
        card = cards.card("Ge", source)
        parts += [*card_table(card, "untrained", UNTRAINED), *trained(card)]
        scratch = {f"scratch, {sized(n)}": ("scratch", n) for n in (10, 50, 0)}
        parts += card_table(cards.card("Si", source), "three seeds", start | scratch)
    return parts


def at_its_best():
    """The table properties-best: the same by trainings of each start at its own best."""
    if not (own := rows("properties-best")):
        return []
    seeds = len({row["seed"] for row in own})
    words = (
        "The same by trainings of 12 800 steps, of which held-out structures choose the best, as "
        f"in the learning curves of each start at its best. There are {seeds} seeds. The dumbbell "
        "is the lowest of five relaxations from different starts. Barriers of 18 vacancies were "
        "computed later, by the same trainings: before, their bands had not settled."
    )
    lines = []
    for method in METHODS[1:]:
        both = [judged(table, method) for table in (rows("properties"), own)]
        count = Counter((both[0][key], both[1][key]) for key in both[0] if key in both[1])
        for kind in KINDS:
            cells = [count[kind, after] for after in KINDS]
            lines.append([STYLES[method].word, kind, sum(cells), *cells])
    titles = ["start", "at 800 steps", "verdicts", *(f"at best: {kind}" for kind in KINDS)]
    parts = [
        section(
            "Properties out of target, each start at its best", words, f"{SWEEP} properties-best"
        ),
        verdicts(own),
        "What became of the verdicts at 800 steps:\n",
        table(titles, lines),
    ]
    for source in COURSE:
        parts += trained(cards.card("Ge", source, own), ", at best")
    return parts


def judged(own, method):
    """{(source, property, number of structures): verdict} of a start, of rows of a card."""
    return {
        (source, line.property, line.n): line.verdict
        for source in COURSE
        for line in cards.card("Ge", source, own).lines
        if line.method == method and line.verdict
    }


def verdicts(own):
    """Table: how many verdicts of each kind the rows of cards come to."""
    lines, total = [], Counter()
    for source in COURSE:
        card = cards.card("Ge", source, own)
        for method in METHODS[1:]:
            for n, found in card.verdicts(method).items():
                numbers = [len(found.get(kind, ())) for kind in KINDS]
                total.update({(method, kind): k for kind, k in zip(KINDS, numbers)})
                hurt = "; ".join(PROPERTIES[name][0] for name in found.get("hurt", ()))
                lines.append([*names(source, method), sized(n), *numbers, hurt or "–"])
    for method in METHODS[1:]:
        numbers = [total[method, kind] for kind in KINDS]
        lines.append(["both", STYLES[method].word, "10, 50, all", *numbers, "see above"])
    titles = ["data", "start", "training structures", *KINDS, "properties that it hurt"]
    return table(titles, lines)


def trained(card, words=""):
    """Tables of a card: all starts, for each number of training structures."""
    columns = lambda n: {STYLES[method].word: (method, n) for method in METHODS}
    parts = (
        card_table(card, f"trained on {sized(n)} structures{words}", columns(n))
        for n in (10, 50, 0)
    )
    return [part for both in parts for part in both]


def card_table(card, words, columns):
    """A heading and a card's table. columns: title -> (method, number of structures)."""
    lines = []
    for name, (property, unit) in PROPERTIES.items():
        known = number(card.reference.get(name))
        cells = [value(card.line(name, method, n)) for method, n in columns.values()]
        lines.append([f"{property}, {unit}" if unit else property, known, *cells])
    element = {"Ge": "Germanium", "Si": "Silicon"}[card.element]
    heading = f"### {element}, {SOURCES[card.source].words}, {words}\n"
    return [heading, table(["property", "reference", *columns], lines)]


def value(line):
    """Mean and spread of a line of a card, its verdict, and how many seeds have no value."""
    if line is None or not line.values:
        return "–"
    spread = f" ± {line.spread:.{places(line.mean)}f}" if np.isfinite(line.spread) else ""
    notes = [line.verdict, f"{line.failed} failed" * bool(line.failed)]
    noted = ", ".join(filter(None, notes))
    return number(line.mean) + spread + (f" ({noted})" if noted else "")
