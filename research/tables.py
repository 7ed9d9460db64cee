"""Tables of runs of the course."""

from tlmlp import Potential, transfer
from tlmlp.course.runs import CUTOFFS, LONG, METHODS, RATES, SIZES, run
from tlmlp.course.sources import COURSE, TRAJECTORIES

MELTING = dict(
    cell=(2, 2, 4), between=(0.7, 1.3), accuracy=0.02
)  # cubes of one half; of the reference's melting temperature


def table(name):
    """The runs of a table, most telling first, so that a sweep cut short has seen a bit of everything.

    learning-curve: every size, method and source, five seeds, equal steps. own-best: the same with sixteen times the steps,
    of which validation structures choose the best, and the learning rate that three seeds with 10 and 50 structures chose
    of two (RATES). frozen: depths of freezing at 10 and 50 structures. frozen-best: the same at 10, trained as in own-best.
    temperature: trained on crystals alone and on liquids alone. cutoff: the gain of a change of units taken apart from that
    of the larger cutoff. properties: what potentials trained on 10, 50 and all structures say of crystal and liquid, with
    silicon's untrained and the reference itself; and silicon's own. softening: 10 crystals, or 9 and one structure of the
    highest energy. stability: for how long they hold in molecular dynamics, trained on 10 and 50 structures, or on 10
    crystals alone, and the reference itself. melting: the temperature at which crystal and liquid coexist, by the reference
    itself, by silicon's potential, and by germanium's. Raises ValueError for another name.
    """
    sources, out = COURSE, []
    if name == "learning-curve":
        for seed in range(5):
            for n in SIZES:
                out += [run(source=s, method=m, n=n, seed=seed) for s in sources for m in METHODS]
    elif name == "own-best":
        out += [
            run(source=s, method=m, n=n, seed=seed, learning_rate=RATES[m], **LONG)
            for seed in range(5)
            for n in (50, 10, 20, 0, 100, 5)
            for s in sources
            for m in METHODS
        ]
        out += [
            run(source=s, method=m, n=n, seed=seed, learning_rate=rate, **LONG)
            for n in (50, 10)
            for seed in range(3)
            for s in sources
            for m in METHODS
            for rate in (1e-3, 3e-3)
            if rate != RATES[m]
        ]
        # scratch likes the higher rate, so a still higher one is tried
        out += [
            run(source=s, n=50, seed=seed, learning_rate=1e-2, **LONG)
            for seed in range(3)
            for s in sources
        ]
    elif name == "frozen":
        names = transfer.groups(Potential.load("si-sw-course"))
        for seed in range(5):
            for n in (10, 50):
                out += [
                    run(source=s, method="transfer", n=n, seed=seed, frozen=names[:depth])
                    for s in sources
                    for depth in range(1, len(names))
                ]
    elif name == "frozen-best":
        names = transfer.groups(Potential.load("si-sw-course"))
        for depth in (2, 5, 3, 1, 4):
            out += [
                run(
                    source=s,
                    method="transfer",
                    n=10,
                    seed=seed,
                    frozen=names[:depth],
                    learning_rate=RATES["transfer"],
                    **LONG,
                )
                for seed in range(3)
                for s in sources
            ]
    elif name == "temperature":
        for seed in range(3):
            for phase in ("crystal", "liquid"):  # there are 49 liquids of DFT
                out += [
                    run(source=s, method=m, n=40 if s == "dft" else 50, seed=seed, phase=phase)
                    for s in sources
                    for m in METHODS
                ]
    elif name == "cutoff":
        for seed in range(5):
            for n in (10, 50):
                out += [
                    run(source=s, method=m, n=n, seed=seed, cutoff=c)
                    for s in sources
                    for c, m in CUTOFFS.items()
                ]
    elif name == "properties":
        out += [
            run(source="stillinger-weber", element=e, method="reference", n=0, steps=0)
            for e in ("Ge", "Si")
        ]
        out += [
            run(source=s, method=m, n=0, steps=0) for s in sources for m in ("transfer", "reduced")
        ]
        out += [run(source=s, element="Si", method="transfer", n=0, steps=0) for s in sources]
        for seed in range(5):
            for n in (10, 50, 0):
                out += [run(source=s, method=m, n=n, seed=seed) for s in sources for m in METHODS]
                if seed < 3:
                    out += [
                        run(source=s, element="Si", method="scratch", n=n, seed=seed)
                        for s in sources
                    ]
    elif name == "softening":
        for seed in range(5):
            out += [
                run(source=s, method=m, n=10, phase="crystal", hot=hot, seed=seed)
                for s in sources
                for m in METHODS
                for hot in (0, 1)
            ]
    elif name == "stability":
        for seed in range(3):
            out += [run(source="stillinger-weber", method="reference", n=0, steps=0, seed=seed)]
            for n, phase in ((10, None), (10, "crystal"), (50, None)):
                out += [
                    run(source=s, method=m, n=n, phase=phase, seed=seed)
                    for s in TRAJECTORIES
                    for m in METHODS
                ]
    elif name == "melting":
        out += [
            run(source="stillinger-weber", element=e, method="reference", n=0, steps=0)
            for e in ("Si", "Ge")
        ]
        out += [run(source="stillinger-weber", element="Si", method="transfer", n=0, steps=0)]
        out += [run(source="stillinger-weber", method=m, n=n) for n in (50, 10) for m in METHODS]
    else:
        names = "learning-curve, own-best, frozen, frozen-best, temperature, cutoff, properties, softening, stability and melting"
        raise ValueError(f"no table {name!r}; there are {names}")
    return out
