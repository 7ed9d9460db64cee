"""The tables of runs behind the course's rows: TABLES, from a table's name to a generator of Run.

The most telling runs come first, so that a sweep cut short has seen a bit of everything.
`python -m research.sweep TABLE` performs them; the rows that ship are in tlmlp/course/rows.
"""

from collections.abc import Iterator
from itertools import product

from tlmlp import Potential, transfer
from tlmlp.course.results import METHODS, SIZES
from tlmlp.course.runs import CUTOFFS, Run
from tlmlp.course.sources import COURSE, TRAJECTORIES

SW = "stillinger-weber"
# Of 1e-3 and 3e-3, the one with the lower validation errors in "own-best".
RATES = dict(scratch=3e-3, transfer=1e-3, reduced=1e-3)
LONG = dict(steps=12800, validation=0.2)  # each method at its own best
SIDES = ("scratch", "transfer")
BOTH = dict(taylor=1.2, path=0.01, order=1)  # terms of a weakly supervised loss
KINDS = [(source, method) for source in COURSE for method in METHODS]


def learning_curve() -> Iterator[Run]:
    """Every size, method and source, five seeds, equal steps."""
    for seed in range(5):
        for n in SIZES:
            for source, method in KINDS:
                yield Run(source=source, method=method, n=n, seed=seed)


def one_structure() -> Iterator[Run]:
    """A single structure of DFT, for which none is left to hold out.

    A start that knows something overfits after some 50 steps; random weights need more.
    """
    for seed in range(5):
        for method in METHODS:
            steps = 800 if method == "scratch" else 40
            yield Run(source="dft", method=method, n=1, seed=seed, steps=steps)


def own_best() -> Iterator[Run]:
    """The same with sixteen times the steps, of which validation structures choose the best.

    Three seeds with 10 and 50 structures chose the learning rate, of two (RATES). A still higher
    one is tried for scratch, which does best with the higher of the two.
    """
    for seed in range(5):
        for n in (50, 10, 20, 0, 100, 5):
            for source, method in KINDS:
                rate = RATES[method]
                yield Run(source=source, method=method, n=n, seed=seed, learning_rate=rate, **LONG)
    for n in (50, 10):
        for seed in range(3):
            for source, method in KINDS:
                (rate,) = {1e-3, 3e-3} - {RATES[method]}
                yield Run(source=source, method=method, n=n, seed=seed, learning_rate=rate, **LONG)
    for seed in range(3):
        for source in COURSE:
            yield Run(source=source, n=50, seed=seed, learning_rate=1e-2, **LONG)


def _groups():
    return transfer.groups(Potential.load("si-sw-course"))


def frozen() -> Iterator[Run]:
    """Every depth of freezing, at 10 and 50 structures."""
    names = _groups()
    for seed in range(5):
        for n in (10, 50):
            for source in COURSE:
                for depth in range(1, len(names)):
                    part = names[:depth]
                    yield Run(source=source, method="transfer", n=n, seed=seed, frozen=part)


def frozen_best() -> Iterator[Run]:
    """Every depth of freezing at 10 structures, trained as in own_best."""
    names, start = _groups(), dict(method="transfer", learning_rate=RATES["transfer"], **LONG)
    for depth in (2, 5, 3, 1, 4):
        for seed in range(3):
            for source in COURSE:
                yield Run(source=source, n=10, seed=seed, frozen=names[:depth], **start)


def temperature() -> Iterator[Run]:
    """Training on crystals alone and on liquids alone; there are 49 liquids of DFT."""
    for seed in range(3):
        for phase in ("crystal", "liquid"):
            for source, method in KINDS:
                n = 40 if source == "dft" else 50
                yield Run(source=source, method=method, n=n, seed=seed, phase=phase)


def cutoff() -> Iterator[Run]:
    """Reduced units without their larger cutoff, and the larger cutoff without reduced units."""
    for seed in range(5):
        for n in (10, 50):
            for source in COURSE:
                for name, method in CUTOFFS.items():
                    yield Run(source=source, method=method, n=n, seed=seed, cutoff=name)


def properties() -> Iterator[Run]:
    """Crystal and liquid by potentials trained on 10, 50 and all structures.

    With them silicon's, untrained, the reference itself, and cards of silicon.
    """
    untrained = dict(n=0, steps=0)
    for element in ("Ge", "Si"):
        yield Run(source=SW, element=element, method="reference", **untrained)
    for source in COURSE:
        for method in ("transfer", "reduced"):
            yield Run(source=source, method=method, **untrained)
    for source in COURSE:
        yield Run(source=source, element="Si", method="transfer", **untrained)
    for seed in range(5):
        for n in (10, 50, 0):
            for source, method in KINDS:
                yield Run(source=source, method=method, n=n, seed=seed)
            for source in COURSE if seed < 3 else ():
                yield Run(source=source, element="Si", n=n, seed=seed)


def properties_best() -> Iterator[Run]:
    """Crystal and liquid by potentials that were trained as in own_best, and the reference."""
    yield Run(source=SW, method="reference", n=0, steps=0)
    for seed in range(5):
        for n in (10, 50, 0):
            for source, method in KINDS:
                rate = RATES[method]
                yield Run(source=source, method=method, n=n, seed=seed, learning_rate=rate, **LONG)


def softening() -> Iterator[Run]:
    """Ten crystals, or nine and one structure of the highest energy."""
    for seed in range(5):
        for source, method in KINDS:
            for hot in (0, 1):
                yield Run(source=source, method=method, n=10, phase="crystal", hot=hot, seed=seed)


def stability() -> Iterator[Run]:
    """Molecular dynamics of potentials trained on 10 and 50 structures, or on 10 crystals."""
    for seed in range(3):
        yield Run(source=SW, method="reference", n=0, steps=0, seed=seed)
        for n, phase in ((10, None), (10, "crystal"), (50, None)):
            for source in TRAJECTORIES:
                for method in METHODS:
                    yield Run(source=source, method=method, n=n, phase=phase, seed=seed)


def melting() -> Iterator[Run]:
    """Coexistence of crystal and liquid by the reference, silicon's potential and germanium's.

    Those of germanium have 50 structures, and 800 steps or as many as in own_best.
    """
    for element in ("Si", "Ge"):
        yield Run(source=SW, element=element, method="reference", n=0, steps=0)
    yield Run(source=SW, element="Si", method="transfer", n=0, steps=0)
    for method in METHODS:
        yield Run(source=SW, method=method, n=50, learning_rate=RATES[method], **LONG)
    for method in METHODS:
        yield Run(source=SW, method=method, n=50)


def forgetting() -> Iterator[Run]:
    """Replay of silicon, by its data or by its potential's predictions; frozen groups; an anchor.

    With replay half of 1600 steps are germanium's, so it has the 800 of learning_curve. Three seeds
    have eight times as many.
    """
    first, both = _groups()[:1], dict(method="transfer", steps=1600)
    for seed in range(5):
        for n, sizes in ((10, (10, 50, 146)), (50, (50, 146))):
            for replay in sizes:
                yield Run(n=n, seed=seed, replay=replay, **both)
        for replay in (50, 146):
            yield Run(seed=seed, replay=replay, labels="source", **both)
        yield Run(seed=seed, replay=50, frozen=first, **both)
        for anchor in (1.0, 10.0, 100.0):
            yield Run(seed=seed, method="transfer", anchor=anchor)
    long = dict(method="transfer", steps=12800, learning_rate=RATES["transfer"])
    for seed in range(3):
        for replay in (146, 50, 10):
            yield Run(seed=seed, replay=replay, **long)


def weak() -> Iterator[Run]:
    """Weakly supervised losses, with labels of forces and without.

    `taylor` and `path` are those published for ANI-1x. A path is of order 1, since order 2 hardly
    changes a network whose forces are slopes. The same holds for Taylor where there are energies
    alone. DFT has Taylor without paths too. Labels of energies and forces alone are in
    learning_curve.
    """
    for seed, n, source, method in product(range(5), (10, 50, 5, 20), COURSE, SIDES):
        start = dict(source=source, method=method, n=n, seed=seed)
        for loss in ([dict(taylor=1.2)] if source == "dft" else []) + [BOTH]:
            yield Run(**start, **loss)
        for loss in ({}, BOTH):
            yield Run(**start, **loss, forces=False)


def weak_best() -> Iterator[Run]:
    """Both terms at once, trained as in own_best, which has the same without them."""
    for n, seed, source, method in product((10, 50), range(5), COURSE, SIDES):
        start = dict(source=source, method=method, n=n, seed=seed)
        yield Run(**start, **BOTH, learning_rate=RATES[method], **LONG)


def weak_properties() -> Iterator[Run]:
    """Crystal and liquid by potentials of weak; "properties" has the same without the terms."""
    for seed, source, method in product(range(5), COURSE, SIDES):
        yield Run(source=source, method=method, seed=seed, **BOTH)


def weak_stability() -> Iterator[Run]:
    """Molecular dynamics of potentials of weak; "stability" has the same without the terms."""
    for seed, method in product(range(3), SIDES):
        yield Run(source=SW, method=method, seed=seed, **BOTH)


TABLES = {
    "learning-curve": learning_curve,
    "own-best": own_best,
    "one-structure": one_structure,
    "frozen": frozen,
    "frozen-best": frozen_best,
    "forgetting": forgetting,
    "temperature": temperature,
    "cutoff": cutoff,
    "properties": properties,
    "properties-best": properties_best,
    "softening": softening,
    "stability": stability,
    "melting": melting,
    "weak": weak,
    "weak-best": weak_best,
    "weak-properties": weak_properties,
    "weak-stability": weak_stability,
}


def table(name: str) -> list[Run]:
    """The runs of a table; ValueError for a name that is none."""
    if name not in TABLES:
        raise ValueError(f"no table {name!r}; there are {', '.join(TABLES)}")
    return list(TABLES[name]())
