"""The section of docs/results.md on universal potentials; research.results writes it."""

from tlmlp import datasets, properties
from tlmlp.course import cards, universals
from tlmlp.course.results import rows
from tlmlp.properties.measured import PROPERTIES
from tlmlp.show.figures.style import METHODS

from ..text import cell, number, prose, section, table

COMMAND = "python -m research.universal"
WORDS = """\
Universal potentials are evaluated on the test structures of this project's DFT. Their energies have
a zero of their own, so the mean difference is subtracted. s is the slope of their forces, q the
share of the squared error that one factor would mend. ± is a standard error over structures in
slopes, one standard deviation over seeds elsewhere.
"""
SHOWN = ("lattice_constant", "c11", "c12", "c44", "phonon_gamma", "vacancy")


def plus(value, error):
    return f"{value:.2f} ± {error:.2f}"


def slopes(element):
    """A line a model: errors, and slopes of crystals, liquids and energies."""
    test, lines = datasets.dft(element, "test"), []
    for name in universals.names():
        head = universals.header(name)
        if f"{element}-test" not in head["sets"]:
            continue
        predicted = universals.universal(name, element)
        errors = [f"{x:.0f}" for x in universals.errors(test, predicted).values()]
        crystal, liquid = (s.overall for s in universals.by_phase(test, predicted).values())
        energy = properties.softening(test, predicted).energy
        found = [plus(s.slope, s.error) for s in (crystal, liquid)]
        found += [plus(crystal.share, crystal.share_error), plus(energy.slope, energy.error)]
        lines.append([head["words"], head["data"], *errors, *found])
    titles = ["potential", "trained on", "force MAE", "force RMSE", "energy RMSE"]
    return table([*titles, "s, crystals", "s, liquids", "q, crystals", "s, energies"], lines)


def crystals(element):
    """A line a model: properties, and C44 at twice the strain."""
    known, _ = cards.reference(element, "dft")
    lines = [["DFT", *(number(known[name]) for name in SHOWN), "–"]]
    for row in (r for r in rows("universal-properties") if r["element"] == element):
        values = [number(row["properties"][name]) for name in SHOWN]
        word = universals.header(row["model"])["words"]
        lines.append([word, *values, number(row["elastic"]["0.01"][2])])
    titles = [", ".join(filter(None, PROPERTIES[name])) for name in SHOWN]
    return table(["potential", *titles, "C44 at strain 0.01"], lines)


def rivals(part, digits=0):
    """A line a rival, a column a number of structures; part: force, energy or silicon's force."""
    found = universals.rivals()
    sizes = sorted({n for rival in found.values() for n in rival.seeds})
    lines = []
    for name, rival in found.items():
        word = METHODS[name].word if name in METHODS else rival.words
        own = [rival.seeds.get(n, ()) for n in sizes]
        cells = [cell([seed[part] for seed in seeds], digits) for seeds in own]
        lines.append([word, *cells, f"{1e3 * rival.cost_s:.0f}"])
    return table(["potential", *map(str, sizes), "ms a call"], lines)


def trainings():
    """A line a kind of fine-tuning: what it cost, and what it came to."""
    kinds: dict = {}
    for row in rows("universal-finetuned"):
        key = row["model"], row["n"], row["learning_rate"], row["steps"]
        kinds.setdefault(key, []).append(row)
    lines = []
    for (name, n, rate, steps), own in sorted(kinds.items()):
        pick = lambda *keys, own=own: [row[keys[0]] for row in own]
        slope = lambda group, own=own: cell([row["softening"][group][0] for row in own], 2)
        made = [universals.header(name)["words"], n, rate, steps, len(own)]
        cost = f"{sum(pick('training_cpu_s')) / len(own):.0f}"
        errors = cell(pick("force_mae")), cell(pick("silicon_force_mae"))
        lines.append([*made, cost, *errors, slope("Solid"), slope("Liquid")])
    titles = ["potential", "structures", "learning rate", "steps", "seeds", "processor s"]
    return table([*titles, "force MAE", "on silicon", "s, solids", "s, liquids"], lines)


def universal():
    """Slopes, properties, rivals and fine-tunings."""
    commands = [f"{COMMAND} {word} NAME" for word in ("predict", "properties", "cost")]
    commands.append("python -m research.universal.finetune NAME")
    alone = "From one structure nothing is held out: scratch has 800 steps, all others 40."
    return [
        section("Universal potentials", WORDS, *commands),
        "Germanium; force errors in meV/Å, energy errors in meV/atom:\n",
        slopes("Ge"),
        "Silicon:\n",
        slopes("Si"),
        "Properties of germanium, at a strain of 0.005 where no other is named:\n",
        crystals("Ge"),
        "Properties of silicon:\n",
        crystals("Si"),
        prose(f"Rivals: force MAE in meV/Å, by germanium structures to train on. {alone}"),
        rivals(0),
        "Energy RMSE in meV/atom of the same (of the universal ones after a shift):\n",
        rivals(1, 1),
        "Force MAE in meV/Å of the same on silicon:\n",
        rivals(2),
        "Fine-tunings:\n",
        trainings(),
    ]
