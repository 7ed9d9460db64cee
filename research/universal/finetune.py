"""Fine-tune CHGNet or SevenNet on germanium, and append a row for each training.

python -m research.universal.finetune chgnet-0.3.0       stopped, the same command does the rest
python -m research.universal.finetune chgnet-0.3.0 variants
python -m research.universal.finetune chgnet-0.3.0 one-more
python -m research.universal.finetune chgnet-0.3.0 SETS

One structure a step; Adam, its learning rate a cosine. The loss is the mean of (ΔF)² in (eV/Å)²,
and ENERGY (ΔE / atoms)² in eV². Of the training structures a fifth is held out for validation; the
weights with the smallest force RMSE there count. One structure leaves none to hold out: then the
last weights do. The zero of energy is fitted to the training structures first.

Variants: `frozen` trains the last interaction block and the readout alone. With `replay` every
second step has a structure of silicon by DFT, and there are twice as many steps.

"one-more" tests what Deng et al. (arXiv 2405.07105) say of one structure of high energy. It is
drawn at random, or is the farthest from the perfect crystal, see research.one_more.

SETS is X.jsonl.running, where `python -m research.sweep oracle --out X.jsonl` keeps the structures
that algorithms chose. Its labels are of Stillinger-Weber. A row says, as those of that table, who
chose (`driver`, `seed`).
"""

import copy
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ase.build import bulk

from tlmlp import datasets
from tlmlp.course.results import rows
from tlmlp.course.sources import data
from tlmlp.course.universals import errors, labelled
from tlmlp.recipes import circumstances

from .. import oracle
from ..one_more import picked as our_picked, pool, slopes
from .__main__ import append, evaluate
from .models import MODELS

ENERGY, EDGE = 10.0, 5.783  # weight of energies; Å, of DFT's germanium
STEPS = {1: 40, 10: 200, 50: 400}
LONGER = {"chgnet-0.3.0": 400, "7net-0": 200}  # also tried with ten structures
RATES = {"chgnet-0.3.0": (1e-3, 3e-4, 3e-3, 1e-2), "7net-0": (1e-3, 3e-4)}
POINTS = 10  # validations of a training
FROZEN = {  # what is not trained
    "chgnet-0.3.0": "atom_embedding bond_embedding angle_embedding bond_basis_expansion "
    "angle_basis_expansion atom_conv_layers.0 atom_conv_layers.1 atom_conv_layers.2 "
    "bond_conv_layers angle_layers bond_weights_ag bond_weights_bg"
}
KEYS = ("model", "n", "seed", "learning_rate", "steps", "driver", "pick", "frozen", "replay")


def tasks(name):
    """The grid of learning rates at ten structures, then the best of them at each size and seed."""
    for rate in RATES[name]:
        yield dict(model=name, n=10, seed=0, learning_rate=rate, steps=STEPS[10])
    rate = best_rate(name)
    kinds = [(n, seed, STEPS[n]) for n in STEPS for seed in range(5)]
    kinds += [(10, seed, LONGER[name]) for seed in range(5) if LONGER[name] != STEPS[10]]
    for n, seed, steps in sorted(kinds, key=lambda k: (k[1] > 2, k[0] > 10 and k[1] > 0, k[1])):
        yield dict(model=name, n=n, seed=seed, learning_rate=rate, steps=steps)


def variants(name):
    """Ten structures with most of the network frozen, and with replay."""
    for seed in range(5):
        ten = dict(model=name, n=10, seed=seed, learning_rate=best_rate(name))
        yield ten | dict(steps=STEPS[50], frozen=True)
        yield ten | dict(steps=2 * STEPS[50], replay=True)


def best_rate(name):
    """The learning rate with the smallest error of validation, tried with ten structures."""
    tried = dict(model=name, n=10, seed=0)
    grid = [row for row in rows("universal-finetuned") if tried.items() <= row.items()]
    return min(grid, key=lambda row: row["valid_force_rmse"])["learning_rate"]


def of_the_oracle(name):
    """A training on each set that an algorithm, a person or chance chose."""
    how = dict(model=name, method="fine-tuned", learning_rate=best_rate(name), steps=STEPS[50])
    kinds = [(driver, seed) for seed in range(oracle.SEEDS) for driver in oracle.DRIVERS]
    return [dict(driver=driver, seed=seed, **how) for driver, seed in kinds]


def of_chgnet(calculator):
    """(network, structure -> its graph, (network, graph) -> energy in eV and forces in eV/Å)."""
    from pymatgen.io.ase import AseAtomsAdaptor

    graph = lambda atoms: calculator.model.graph_converter(AseAtomsAdaptor.get_structure(atoms))

    def predict(model, graph):
        out = model([graph], task="ef")
        return out["e"][0] * len(graph.atomic_number), out["f"][0]

    return calculator.model, graph, predict


def of_sevennet(calculator):
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    def graph(atoms):
        numbers = unlabeled_atoms_to_graph(atoms, calculator.cutoff, with_shift=False)
        return AtomGraphData.from_numpy_dict(numbers)

    def predict(model, graph):
        out = model(graph.clone())
        return out["inferred_total_energy"].squeeze(), out["inferred_force"]

    return calculator.model, graph, predict


def guessed(model, predict, graphs, frames):
    """The structures with what the network predicts."""
    model.eval()
    pairs = [predict(model, graph) for graph in graphs]
    forces = np.concatenate([f.detach().numpy() for _, f in pairs])
    return labelled(frames, np.array([energy.item() for energy, _ in pairs]), forces)


def tuned(task, some, more=()):
    """(calculator, what a row says of its training) after a training on `some` structures.

    Every second step has one of `more`, whose energies do not count.
    """
    cpu, name, seed, steps = time.process_time(), *(task[k] for k in ("model", "seed", "steps"))
    torch.manual_seed(seed)
    calculator = MODELS[name].make(None)
    model, graph, predict = (of_chgnet if name.startswith("chgnet") else of_sevennet)(calculator)
    fitted, valid = datasets.split(some, 0.2, seed) if len(some) > 1 else (some, [])
    if task.get("frozen"):
        for part, weights in model.named_parameters():
            if part.startswith((*FROZEN[name].split(),)):
                weights.requires_grad = False
    graphs = [graph(atoms) for atoms in fitted]
    held = [graph(atoms) for atoms in valid]
    per_atom = lambda frames: [atoms.get_potential_energy() / len(atoms) for atoms in frames]
    before = guessed(model, predict, graphs, fitted)
    shift = float(np.mean(np.subtract(per_atom(before), per_atom(fitted))))
    targets = [
        (
            torch.tensor(atoms.get_potential_energy() / len(atoms) + shift),
            torch.tensor(atoms.get_forces(), dtype=torch.float32),
        )
        for atoms in fitted
    ]
    size = sum(w.numel() for w in model.parameters() if w.requires_grad)
    optimiser = torch.optim.Adam(model.parameters(), task["learning_rate"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng, order, best, curve = np.random.default_rng(seed), [], (np.inf, 0, None), []
    for step in range(1, steps + 1):
        model.train()
        if more and step % 2 == 0:
            old = more[rng.integers(len(more))]
            f = torch.tensor(old.get_forces(), dtype=torch.float32)
            loss = ((predict(model, graph(old))[1] - f) ** 2).mean()
        else:
            order = order or list(rng.permutation(len(fitted)))
            k = order.pop()
            energy, forces = predict(model, graphs[k])
            e, f = targets[k]
            loss = ((forces - f) ** 2).mean() + ENERGY * (energy / len(f) - e) ** 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if valid and step % (steps // POINTS) == 0:
            rmse = errors(valid, guessed(model, predict, held, valid))["force_rmse"]
            curve.append([step, rmse])
            if rmse < best[0]:
                best = rmse, step, copy.deepcopy(model.state_dict())
    if valid:
        model.load_state_dict(best[2])
    model.eval()
    row = dict(valid_force_rmse=best[0] if valid else None, best_step=best[1] or steps)
    spent = round(time.process_time() - cpu, 1)
    return calculator, row | dict(curve=curve, trained_weights=size, training_cpu_s=spent)


def train(task):
    """The row of a training on DFT."""
    started, cpu = time.perf_counter(), time.process_time()
    known = datasets.dft("Ge", "train")
    some = picked(task) if "pick" in task else datasets.subset(known, task["n"], task["seed"])
    more = datasets.dft("Si", "train") if task.get("replay") else ()
    calculator, row = tuned(task, some, more)
    if "pick" in task:
        row["structure"] = some[0].info["name"]
    for element, prefix in (("Ge", ""), ("Si", "silicon_")):
        test = datasets.dft(element, "test")
        guess = labelled(test, *evaluate(calculator, datasets.copies(test)))
        row |= {f"{prefix}{key}": value for key, value in errors(test, guess).items()}
        row[f"{prefix}softening"] = slopes(test, guess)
    return task | row | made(task, started, cpu)


def one_more(name):
    """One structure of high energy, drawn at random or the farthest, five times."""
    how = dict(model=name, n=1, learning_rate=best_rate(name), steps=STEPS[1])
    return [dict(pick=p, seed=seed, **how) for seed in range(5) for p in ("random", "farthest")]


def picked(task):
    """[the structure] of a task of `one_more`."""
    if task["pick"] == "random":
        return [our_picked("random", task["seed"])[1]]
    known = datasets.dft("Ge", "train")
    some = [known[k] for k in pool(task["seed"])]
    calculator = MODELS[task["model"]].make(None)
    model, graph, _ = of_chgnet(calculator)
    of = lambda atoms: model.predict_graph(graph(atoms), task="e", return_atom_feas=True)
    features = [of(atoms)["atom_fea"] for atoms in [bulk("Ge", a=EDGE, cubic=True), *some]]
    away = [np.linalg.norm(own - features[0][0], axis=1).mean() for own in features[1:]]
    return [some[int(np.argmax(away))]]


def train_on_set(task, folder):
    """The row of a training on a set of the oracle."""
    started, cpu = time.perf_counter(), time.process_time()
    some = datasets.read(oracle.file_of(task, folder))
    calculator, row = tuned(task, some)
    test = data(oracle.SOURCE, "Ge")[1]
    guess = labelled(test, *evaluate(calculator, datasets.copies(test)))
    row |= dict(n=len(some), **errors(test, guess), phases={})
    for phase in ("crystal", "liquid"):
        pairs = [pair for pair in zip(test, guess) if pair[0].info["phase"] == phase]
        row["phases"][phase] = errors(*zip(*pairs))["force_mae"]
    return task | row | made(task, started, cpu)


def made(task, started, cpu):
    """Versions, and what a row cost."""
    package = MODELS[task["model"]].package
    cost = dict(cpu_s=round(time.process_time() - cpu, 1))
    return cost | circumstances(started, "tlmlp", "ase", "torch", package)


# The table, its tasks, and what makes a row.
OTHERS = {
    "": ("universal-finetuned", tasks, train),
    "variants": ("universal-variants", variants, train),
    "one-more": ("universal-one-more", one_more, train),
}


def main(name, what=""):
    """Every task that no row has yet."""
    torch.set_num_threads(1)
    on_set = partial(train_on_set, folder=Path(what))
    table, wanted, perform = OTHERS.get(what, ("universal-oracle", of_the_oracle, on_set))
    key = lambda entry: [entry.get(name) for name in KEYS if what in OTHERS or name != "n"]
    while True:
        done = [key(row) for row in rows(table)]
        task = next((task for task in wanted(name) if key(task) not in done), None)
        if task is None:
            return
        row = perform(task)
        append(table, row)
        print({name: row.get(name) for name in (*KEYS, "force_mae", "seconds")}, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
