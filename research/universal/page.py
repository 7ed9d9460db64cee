"""The section of docs/results.md on universal potentials; research.results writes it."""

from tlmlp import datasets, properties
from tlmlp.course import cards, universals
from tlmlp.course.results import rows
from tlmlp.properties.measured import PROPERTIES
from tlmlp.show.figures.learning import where
from tlmlp.show.figures.style import METHODS

from ..text import SWEEP, cell, number, prose, section, table

COMMAND = "python -m research.universal"
WORDS = """\
Universal potentials are evaluated on the test structures of this project's DFT. Their energies have
a zero of their own, so the mean difference is subtracted. s is the slope of their forces, q the
fraction of the squared error along the forces of DFT. ± is a standard error over structures in the
first two tables, one standard deviation over seeds in the others.
"""
PICKS = {"crystal": "an eleventh crystal", "random": "at random", "farthest": "the farthest"}
GROUPS = ("Solid", "Liquid", "High energy")
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
    lines = [["DFT", *(number(known[name]) for name in (*SHOWN, "c44"))]]
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


def variants():
    """CHGNet on ten structures: free, with most of it frozen, and with replay."""
    if not (kept := rows("universal-variants")):
        return []
    kinds = {
        "all weights": where(rows("universal-finetuned"), model="chgnet-0.3.0", n=10, steps=400),
        "most frozen": where(kept, frozen=True),
        "with replay of silicon": where(kept, replay=True),
    }
    lines = []
    for word, own in kinds.items():
        of = lambda part, digits=0, own=own: cell([row[part] for row in own], digits)
        errors = of("force_mae"), of("energy_rmse", 1), of("silicon_force_mae")
        lines.append([word, len(own), *errors, of("training_cpu_s")])
    words = (
        "CHGNet 0.3.0 on ten structures. Most frozen: the last interaction block and the readout "
        "are trained. With replay every second step has a structure of silicon by DFT."
    )
    titles = ["trained", "seeds", "force MAE", "energy RMSE", "on silicon", "processor s"]
    return [prose(words), table(titles, lines)]


def one_more():
    """What one structure of high energy does, drawn at random or the farthest."""
    ours = [row | dict(model=row["method"]) for row in rows("one-more")]
    own = ours + rows("universal-one-more")
    if not own:
        return []
    lines = []
    for model, pick in dict.fromkeys((row["model"], row["pick"]) for row in own):
        some = where(own, model=model, pick=pick)
        slope = lambda group, some=some: cell([row["softening"][group][0] for row in some], 2)
        word = METHODS[model].word if model in METHODS else universals.header(model)["words"]
        error = cell([row["force_mae"] for row in some])
        lines.append([word, PICKS[pick], error, *map(slope, GROUPS)])
    words = (
        "One structure of high energy, as Deng et al. propose: 0.2 eV/atom or more above the "
        "lowest, so a liquid or hotter. It is drawn at random from half of those by DFT, or is the "
        "farthest of them in a network's features. Scratch and transfer have ten warm crystals "
        "besides and 800 steps; CHGNet is fine-tuned on this structure alone. Five seeds. s is the "
        "slope of forces."
    )
    titles = ["potential", "the structure", "force MAE", *(f"s, {g.lower()}" for g in GROUPS)]
    return [prose(words), table(titles, lines)]


def universal():
    """Slopes, properties, rivals and fine-tunings."""
    commands = [f"{COMMAND} {word} NAME" for word in ("predict", "properties", "cost")]
    commands.append("python -m research.universal.finetune NAME")
    commands += ["python -m research.universal.finetune chgnet-0.3.0 variants"]
    commands += ["python -m research.universal.finetune chgnet-0.3.0 one-more", f"{SWEEP} one-more"]
    alone = (
        "From one structure nothing is held out: scratch has 800 steps, all others 40. In column 0 "
        "nothing is trained. A transfer has its zero of energy there, and in reduced units its "
        "factor of energies, from eight structures."
    )
    return [
        section("Universal potentials", WORDS, *commands),
        "Germanium; force errors in meV/Å, energy errors in meV/atom:\n",
        slopes("Ge"),
        "Silicon:\n",
        slopes("Si"),
        "Properties of germanium; elastic constants at a strain of 0.005, of DFT at 0.01:\n",
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
        *variants(),
        *one_more(),
    ]
