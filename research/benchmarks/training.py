"""Training: structures a second against batch size, as a table in markdown.

    python research/benchmarks/training.py                            # on a GPU if jax finds one
    python research/benchmarks/training.py --preset paper --batches 1 8 64 --devices 4

`tlmlp.fit` on silicon of 64 atoms (Stillinger-Weber, with stresses). A step is all of it: gradient,
Adam, the average of the weights. Medians of nine turns, in which the batch sizes follow each other.
GFLOP/s and GB/s are XLA's own counts of the gradient over the time of a step: beside the peaks of a
device they say what bounds it. With several devices they are those of all together.
"""

import argparse
import statistics
import sys
import time

from chemtrain_side import ROOT

TURNS = 9


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="course", choices=("course", "paper"))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--devices", type=int, help="divide each batch over so many [default: one]")
    parser.add_argument("--steps", type=int, default=10, help="in a turn")
    asked = parser.parse_args()
    import jax

    sys.path.insert(0, str(ROOT))  # the code of this checkout, installed or not
    import tlmlp

    potential = tlmlp.Potential.create(asked.preset, ("Si", "Ge"))
    frames = tlmlp.datasets.stillinger_weber_shipped("Si")[0]
    runs = {batch: steps(potential, frames, batch, asked) for batch in asked.batches}
    for run in runs.values():
        next(run)  # compiles
    times = {batch: [] for batch in runs}
    for _ in range(TURNS):
        for batch, run in runs.items():
            start = time.perf_counter()
            next(run)
            times[batch].append((time.perf_counter() - start) / asked.steps)
    device, n = jax.devices()[0], asked.devices or 1
    print(f"\n{asked.preset}, {n} x {device.device_kind}, jax {jax.__version__}\n")
    print("| batch size | ms a step | structures a second | against the first | GFLOP/s | GB/s |")
    print("|---|---|---|---|---|---|")
    each = {batch: batch / statistics.median(times[batch]) for batch in runs}
    for batch, rate in each.items():
        ratio, second = rate / each[asked.batches[0]], batch / rate
        flops, moved = (count / second / 1e9 for count in counts(potential, frames, batch))
        row = f"{1000 * second:.1f} | {rate:.1f} | {ratio:.2f} | {flops:.0f} | {moved:.0f}"
        print(f"| {batch} | {row} |")
    if memory := device.memory_stats():
        print(f"\npeak memory of a device: {memory['peak_bytes_in_use'] / 2**20:.0f} MB")


def steps(potential, frames, batch, asked):
    """A training without an end that reports each turn; every batch is full."""
    import tlmlp

    data = [frames[k % len(frames)] for k in range(batch * max(1, len(frames) // batch))]
    how = dict(batch_size=batch, report_every=asked.steps, validate_every=10**9, shapes=1)
    how |= dict(weights=(1.0, 2.0, 0.1), final_weights=(1.0, 50.0, 0.1), devices=asked.devices)
    return tlmlp.fit(potential, data, steps=(TURNS + 1) * asked.steps, **how)


def counts(potential, frames, batch):
    """(floating-point operations, bytes moved) of the loss's gradient, as XLA counts them."""
    import jax
    import numpy as np

    from tlmlp import graph as graphs, train

    some = [frames[k % len(frames)] for k in range(batch)]
    graph = graphs.from_atoms(some, potential.elements, potential.config.cutoff)
    B, N = batch, len(graph.species)
    shapes = (B, (N, 3), (B, 3, 3), B, B)
    labels = train.Labels(*(np.ones(shape, np.float32) for shape in shapes))
    loss = lambda params: train.loss(potential.config, train.Weights(1, 2, 0.1), params, *example)
    example = graph, labels
    cost = jax.jit(jax.grad(loss, has_aux=True)).lower(potential.params).compile().cost_analysis()
    return cost["flops"], cost["bytes accessed"]


if __name__ == "__main__":
    main()
