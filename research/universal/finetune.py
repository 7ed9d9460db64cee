"""Fine-tune CHGNet or SevenNet on germanium, and append a row for each training.

python -m research.universal.finetune chgnet-0.3.0       stopped, the same command does the rest

One structure a step; Adam, its learning rate a cosine. The loss is the mean of (ΔF)² in (eV/Å)²,
and ENERGY (ΔE / atoms)² in eV². Of the training structures a fifth is held out for validation; the
weights with the smallest force RMSE there count. One structure leaves none to hold out: then the
last weights do. The zero of energy is fitted to the training structures first.
"""

import copy
import json
import sys
import time

import numpy as np
import torch

from tlmlp import datasets, properties
from tlmlp.course.results import rows
from tlmlp.course.universals import errors, labelled
from tlmlp.recipes import circumstances

from .__main__ import append, evaluate
from .models import MODELS

TABLE, ENERGY = "universal-finetuned", 10.0
STEPS = {1: 40, 10: 200, 50: 400}
LONGER = {"chgnet-0.3.0": 400, "7net-0": 200}  # also tried with ten structures
RATES = {"chgnet-0.3.0": (1e-3, 3e-4, 3e-3, 1e-2), "7net-0": (1e-3, 3e-4)}
POINTS = 10  # validations of a training
KEYS = ("model", "n", "seed", "learning_rate", "steps")


def tasks(name):
    """The grid of learning rates at ten structures, then the best of them at each size and seed."""
    for rate in RATES[name]:
        yield dict(model=name, n=10, seed=0, learning_rate=rate, steps=STEPS[10])
    grid = [r for r in rows(TABLE) if (r["model"], r["n"], r["seed"]) == (name, 10, 0)]
    rate = min(grid, key=lambda row: row["valid_force_rmse"])["learning_rate"]
    kinds = [(n, seed, STEPS[n]) for n in STEPS for seed in range(5)]
    kinds += [(10, seed, LONGER[name]) for seed in range(5) if LONGER[name] != STEPS[10]]
    for n, seed, steps in sorted(kinds, key=lambda k: (k[1] > 2, k[0] > 10 and k[1] > 0, k[1])):
        yield dict(model=name, n=n, seed=seed, learning_rate=rate, steps=steps)


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


def slopes(frames, predicted):
    """{"all" or a group: [s, R², s', error of s, frames, q, error of q]}."""
    s = properties.softening(frames, predicted)
    moving = {g: x for g, x in s.groups.items() if np.isfinite(x.slope)}
    return {g: [round(x, 4) for x in own] for g, own in ({"all": s.overall} | moving).items()}


def train(task):
    """The row of a task."""
    started, cpu = time.perf_counter(), time.process_time()
    name, n, seed, steps = (task[key] for key in ("model", "n", "seed", "steps"))
    torch.manual_seed(seed)
    calculator = MODELS[name].make(None)
    model, graph, predict = (of_chgnet if name.startswith("chgnet") else of_sevennet)(calculator)
    some = datasets.subset(datasets.dft("Ge", "train"), n, seed)
    fitted, valid = datasets.split(some, 0.2, seed) if n > 1 else (some, [])
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
    optimiser = torch.optim.Adam(model.parameters(), task["learning_rate"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng, order, best, curve = np.random.default_rng(seed), [], (np.inf, 0, None), []
    for step in range(1, steps + 1):
        order = order or list(rng.permutation(len(fitted)))
        k = order.pop()
        model.train()
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
    trained = time.process_time() - cpu
    row = dict(valid_force_rmse=best[0] if valid else None, best_step=best[1] or steps)
    for element, prefix in (("Ge", ""), ("Si", "silicon_")):
        test = datasets.dft(element, "test")
        guess = labelled(test, *evaluate(calculator, datasets.copies(test)))
        row |= {f"{prefix}{key}": value for key, value in errors(test, guess).items()}
        row[f"{prefix}softening"] = slopes(test, guess)
    seconds = dict(training_cpu_s=round(trained, 1), cpu_s=round(time.process_time() - cpu, 1))
    made = circumstances(started, "tlmlp", "ase", "torch", MODELS[name].package)
    return task | row | dict(curve=curve) | seconds | made


def main(name):
    """Every task that no row has yet."""
    torch.set_num_threads(1)
    while True:
        done = {json.dumps([row[key] for key in KEYS]) for row in rows(TABLE)}
        left = (t for t in tasks(name) if json.dumps([t[key] for key in KEYS]) not in done)
        task = next(left, None)
        if task is None:
            return
        row = train(task)
        append(TABLE, row)
        print({key: row[key] for key in (*KEYS, "force_mae", "silicon_force_mae", "seconds")})


if __name__ == "__main__":
    main(sys.argv[1])
