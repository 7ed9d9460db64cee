"""Sweeps: many independent trainings, on as many cores or machines as there are.

A run is a dict that says all of one training; its row is the same dict with what came out. Runs know nothing of each other: a list
of them goes through `dask.distributed`, each row is written the moment it is there, and a file that holds some rows already
makes the same command do the rest.

    table("learning-curve")       the runs of one table
    execute(runs, "rows.jsonl")   do those that the file does not hold yet; yields rows
    rows("learning-curve")        the rows that ship with the package

Test structures take part in nothing but the errors that are reported.
"""

import json
import os
import platform
import time
from datetime import date
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
from ase.build import bulk

from . import datasets, graph as graphs, transfer
from .elements import element as _element
from .potential import Potential
from .sources import COURSE, SHIPPED, SOURCES, TRAJECTORIES, data, hottest, melt
from .train import Weights, fit

SILICON = {name: source.silicon for name, source in SOURCES.items()}  # where a transfer starts
SIZES = (5, 10, 20, 50, 100, 0)  # training structures; 0: all
METHODS = ("scratch", "copied", "reduced")  # random weights; silicon's; silicon's in germanium's units
RATES = dict(scratch=3e-3, copied=1e-3, reduced=1e-3)  # of 1e-3 and 3e-3 the better by validation errors of "own-best"
LONG = dict(steps=12800, validation=0.2)  # each side at its own best
POINTS = 16  # of a curve of test errors
FIT = dict(weights=Weights(energy=2.0, stress=0.01), final_weights=Weights(energy=50.0, stress=0.1), average=0.99)
MELTING = dict(cell=(2, 2, 4), between=(0.7, 1.3), accuracy=0.02)  # cubes of one half; of the reference's melting temperature
RUN = dict(
    source="dft",  # of the data, and of what its silicon learned: see SILICON
    element="Ge",  # that is trained; "Si" has no transfer, only scratch and what SILICON names
    method="scratch",
    n=10,  # training structures, validation included; 0: all
    seed=0,  # of the subset, the weights, the order
    steps=800,  # gradient steps, one structure each
    learning_rate=2e-3,
    frozen=(),  # groups
    validation=0.0,  # share of the n structures held out, to choose the best step by
    phase=None,  # "crystal" or "liquid": train on these alone, without the group "High energy"
    hot=0,  # of the n structures, how many are of the highest energy there is, whatever the phase
    cutoff=None,  # "short" or "long": see CUTOFFS; None: the method's own
)
# Copied weights and random ones look as far as silicon's network does, 4.5 Å; in germanium's units that has grown to 4.76 Å.
# "short" brings a reduced start to 4.5 Å, from a silicon trained with 4.25 Å; "long" brings random weights to 4.76 Å.
CUTOFFS = {"short": "reduced", "long": "scratch"}


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
            for seed in range(5) for n in (50, 10, 20, 0, 100, 5) for s in sources for m in METHODS
        ]  # fmt: skip
        out += [
            run(source=s, method=m, n=n, seed=seed, learning_rate=rate, **LONG)
            for n in (50, 10) for seed in range(3) for s in sources for m in METHODS for rate in (1e-3, 3e-3) if rate != RATES[m]
        ]  # fmt: skip
        # scratch likes the higher rate, so a still higher one is tried
        out += [run(source=s, n=50, seed=seed, learning_rate=1e-2, **LONG) for seed in range(3) for s in sources]
    elif name == "frozen":
        names = transfer.groups(Potential.load("si-sw-course"))
        for seed in range(5):
            for n in (10, 50):
                out += [
                    run(source=s, method="copied", n=n, seed=seed, frozen=names[:depth])
                    for s in sources for depth in range(1, len(names))
                ]  # fmt: skip
    elif name == "frozen-best":
        names = transfer.groups(Potential.load("si-sw-course"))
        for depth in (2, 5, 3, 1, 4):
            out += [
                run(source=s, method="copied", n=10, seed=seed, frozen=names[:depth], learning_rate=RATES["copied"], **LONG)
                for seed in range(3) for s in sources
            ]  # fmt: skip
    elif name == "temperature":
        for seed in range(3):
            for phase in ("crystal", "liquid"):  # there are 49 liquids of DFT
                out += [run(source=s, method=m, n=40 if s == "dft" else 50, seed=seed, phase=phase) for s in sources for m in METHODS]
    elif name == "cutoff":
        for seed in range(5):
            for n in (10, 50):
                out += [run(source=s, method=m, n=n, seed=seed, cutoff=c) for s in sources for c, m in CUTOFFS.items()]
    elif name == "properties":
        out += [run(source="stillinger-weber", element=e, method="reference", n=0, steps=0) for e in ("Ge", "Si")]
        out += [run(source=s, method=m, n=0, steps=0) for s in sources for m in ("copied", "reduced")]
        out += [run(source=s, element="Si", method="copied", n=0, steps=0) for s in sources]
        for seed in range(5):
            for n in (10, 50, 0):
                out += [run(source=s, method=m, n=n, seed=seed) for s in sources for m in METHODS]
                if seed < 3:
                    out += [run(source=s, element="Si", method="scratch", n=n, seed=seed) for s in sources]
    elif name == "softening":
        for seed in range(5):
            out += [run(source=s, method=m, n=10, phase="crystal", hot=hot, seed=seed) for s in sources for m in METHODS for hot in (0, 1)]
    elif name == "stability":
        for seed in range(3):
            out += [run(source="stillinger-weber", method="reference", n=0, steps=0, seed=seed)]
            for n, phase in ((10, None), (10, "crystal"), (50, None)):
                out += [run(source=s, method=m, n=n, phase=phase, seed=seed) for s in TRAJECTORIES for m in METHODS]
    elif name == "melting":
        out += [run(source="stillinger-weber", element=e, method="reference", n=0, steps=0) for e in ("Si", "Ge")]
        out += [run(source="stillinger-weber", element="Si", method="copied", n=0, steps=0)]
        out += [run(source="stillinger-weber", method=m, n=n) for n in (50, 10) for m in METHODS]
    else:
        names = "learning-curve, own-best, frozen, frozen-best, temperature, cutoff, properties, softening, stability and melting"
        raise ValueError(f"no table {name!r}; there are {names}")
    return out


def run(**changes):
    """A run, complete: RUN with some values changed. ValueError for a name or a value that does not exist."""
    if set(changes) - set(RUN):
        raise ValueError(f"a run has no {', '.join(sorted(set(changes) - set(RUN)))}; it has {', '.join(RUN)}")
    out = RUN | changes
    for key, allowed in dict(source=tuple(SILICON), method=(*METHODS, "reference"), phase=(None, "crystal", "liquid")).items():
        if out[key] not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(map(str, allowed))}, not {out[key]!r}")
    if out["element"] not in ("Ge", "Si"):
        raise ValueError(f"element must be one of Ge, Si, not {out['element']!r}")
    if out["element"] == "Si" and out["method"] not in ("scratch", "reference") and not (out["method"] == "copied" and out["steps"] == 0):
        raise ValueError("silicon is where transfer starts: train it from scratch, or take it as it is with method 'copied' and no steps")
    if not 0 <= out["hot"] <= (out["n"] or out["hot"]):
        raise ValueError(f"hot must be a share of the n = {out['n']} structures, not {out['hot']!r}")
    if out["cutoff"] is not None and CUTOFFS.get(out["cutoff"]) != out["method"]:
        pairs = " and ".join(f"{c} with {m}" for c, m in CUTOFFS.items())
        raise ValueError(f"cutoff must be None, or {pairs}, not {out['cutoff']!r} with {out['method']}")
    return out | {"frozen": list(out["frozen"])}


def key(row):
    """What identifies a run, of a run or of its row."""
    return json.dumps({name: row.get(name, RUN[name]) for name in RUN}, sort_keys=True)


# -- one run -----------------------------------------------------------------------------------------------------------


@lru_cache
def _shapes(source, element, elements, config, most):
    """Padded shapes that hold all structures of a source, so that all its runs share one program."""
    train, test = data(source, element)
    return graphs.shapes_of(train + test, elements, config.cutoff, most)


def silicon(run):
    """The silicon potential that a run starts from, or whose shape it has."""
    return Potential.load(SILICON[run["source"]] + ("-short" if run["cutoff"] == "short" else ""))


def lattice_ratio(run, source):
    """Germanium's lattice constant in a source of data over that of a silicon potential."""
    return SOURCES[run["source"]].lattice["Ge"] / transfer.lattice_constant(source)


def begin(run, most=3):
    """(potential before training, train, valid, shapes, at most `most` of them) of a run."""
    element = run["element"]
    everything, _ = data(run["source"], element)
    train = everything
    if run["phase"]:
        calm = [atoms for atoms in train if atoms.info["group"] != "High energy"]
        train = [atoms for atoms in calm if atoms.info["phase"] == run["phase"]]
    if run["n"]:
        train = datasets.subset(train, run["n"] - run["hot"], run["seed"]) if run["n"] > run["hot"] else []
    if run["hot"]:
        train = train + datasets.subset(hottest(everything), run["hot"], run["seed"])
    fitted, valid = train, None
    if run["validation"]:
        # by frames with forces: a strained crystal has none, and nothing could ever be better than its first validation
        moving = [atoms for atoms in train if np.abs(atoms.get_forces()).max() > 1e-3]
        valid = datasets.subset(moving, max(1, round(run["validation"] * len(train))), run["seed"])
        fitted = [atoms for atoms in train if not any(atoms is v for v in valid)]
    source = silicon(run)
    if run["method"] == "scratch":
        config = source.config
        if run["cutoff"]:
            config = transfer.rescale(source, lattice_ratio(run, source), 1.0).config
        potential = Potential.create(config, source.elements, run["seed"])
        return potential, fitted, valid, _shapes(run["source"], element, source.elements, potential.config, most)
    if element == "Si":
        return source, fitted, valid, _shapes(run["source"], element, source.elements, source.config, most)
    reduced = run["method"] == "reduced"
    ratio = lattice_ratio(run, source) if reduced else None  # first: shapes hang on the cutoff, and the cutoff on it
    config = transfer.rescale(source, ratio, 1.0).config if reduced else source.config
    shapes = _shapes(run["source"], element, source.elements, config, most)
    return transfer.start(source, element, fitted, reduced, ratio, shapes=shapes), fitted, valid, shapes


def train(run, potential, fitted, valid, shapes):
    """`fit` with the settings of a run, begun; yields 16 Progress, or 64 where it validates."""
    every = max(1, run["steps"] // (64 if valid else POINTS))
    mask = transfer.freeze(potential, run["frozen"]) if run["frozen"] else None
    yield from fit(
        potential, fitted, valid, steps=run["steps"], trainable=mask, seed=run["seed"], shapes=shapes,
        learning_rate=run["learning_rate"], report_every=every, validate_every=every, **FIT,
    )  # fmt: skip


def perform(run):
    """The row of a run: the run, its curve of test errors, its errors by group and by temperature, what silicon it forgot."""
    started, curve = time.perf_counter(), []
    _, test = data(run["source"], run["element"])
    potential, fitted, valid, shapes = begin(run)
    before = potential.evaluate(test, shapes) if run["method"] != "scratch" else None
    for progress in train(run, potential, fitted, valid, shapes):
        if progress.step % max(1, run["steps"] // POINTS):
            continue  # a validation between two points of the curve
        errors = progress.potential.evaluate(test, shapes)
        curve.append([progress.step, *_round(errors.force_mae, errors.force_rmse, errors.energy_rmse)])
    best = progress.best if run["validation"] else progress.potential
    errors = best.evaluate(test, shapes)
    row = run | dict(zip(("force_mae", "force_rmse", "energy_rmse"), _round(*_three(errors))))
    if valid:
        held_out = best.evaluate(valid, shapes)
        row |= dict(zip(("valid_force_mae", "valid_force_rmse"), _round(held_out.force_mae, held_out.force_rmse)))
    row |= dict(
        curve=curve, untrained=_round(*_three(before)) if before else None, temperatures=_by_temperature(best, test, shapes),
        groups={name: _round(*_three(e)) for name, e in errors.groups.items()},
        best_step=progress.best_step if run["validation"] else run["steps"],
        silicon_force_mae=_round(_forgotten(best, run))[0] if run["method"] != "scratch" else None,
        moved={k: round(v, 5) for k, v in transfer.moved(potential, best).items()},
        **circumstances(started),
    )  # fmt: skip
    return row


def perform_properties(run):
    """The row of a run of the table "properties": the run, its test errors, and its properties (tlmlp.properties.card).

    With no steps nothing is trained; the method "reference" is Stillinger-Weber itself.
    """
    from .properties.card import measure

    started, element = time.perf_counter(), run["element"]
    values, notes, seconds = {}, {}, {}
    calculator, row = _asked(run)
    if "softening" in row:
        values |= dict(softening=row["softening"]["all"][0], force_r2=row["softening"]["all"][1])
    trained = time.perf_counter() - started
    atoms, temperature, _ = melt(run["source"], element)
    for measured in measure(calculator, element, SOURCES[run["source"]].strained_at.get(element), melt=(atoms, temperature)):
        values[measured.name] = measured.value
        seconds[measured.name] = round(measured.seconds, 2)
        if measured.note:
            notes[measured.name] = measured.note
    return row | dict(
        properties={name: None if v is None else float(f"{v:.6g}") for name, v in values.items()}, notes=notes, seconds_of=seconds,
        training_seconds=round(trained, 1), **circumstances(started, "ase", "phonopy"),
    )  # fmt: skip


def perform_softening(run):
    """The row of a run of the table "softening": slopes of its forces on test structures of each kind, and of curvatures.

    Curvatures are those of the perfect crystal's own modes, where the reference can be asked for them (Stillinger-Weber).
    """
    from .properties import softening_of_curvature

    started = time.perf_counter()
    potential, row = _softened(run)
    curvature = None
    if run["source"] == "stillinger-weber":
        crystal = bulk(run["element"], "diamond", a=_element(run["element"]).lattice_constant, cubic=True).repeat(2)
        c = softening_of_curvature(crystal, datasets.stillinger_weber_calculator(run["element"]), potential.calculator())
        curvature = [round(c.slope, 4), round(c.spread, 4)]
    return row | dict(curvature=curvature, **circumstances(started))


def _asked(run):
    """(ASE calculator, row so far) of a run whose properties are asked for: the reference itself, or what it has trained."""
    if run["method"] == "reference":
        return datasets.stillinger_weber_calculator(run["element"]), dict(run, force_mae=None)
    potential, row = _softened(run)
    return potential.calculator(), row


def _softened(run):
    """(potential, trained, its row so far) with test errors and slopes of forces: [s, R², s', error of s, frames] by temperature or group."""
    from .properties import softening

    _, test = data(run["source"], run["element"])
    potential, fitted, valid, shapes = begin(run)
    for progress in train(run, potential, fitted, valid, shapes) if run["steps"] else ():
        potential = progress.potential
    row = dict(run, **dict(zip(("force_mae", "force_rmse", "energy_rmse"), _round(*_three(potential.evaluate(test, shapes))))))
    guess, kinds = potential.predict(test, shapes), {}
    for k, atoms in enumerate(test):
        t = atoms.info["temperature"] if run["source"] in TRAJECTORIES else None  # elsewhere, too many of them
        kinds.setdefault(f"{t:.0f} K" if t else atoms.info["group"], []).append(k)
    parts = {"all": range(len(test)), **kinds}
    moving = {name: ks for name, ks in parts.items() if any(np.abs(test[k].get_forces()).max() > 1e-3 for k in ks)}
    slopes = {name: softening([test[k] for k in ks], [guess[k] for k in ks]).overall for name, ks in moving.items()}
    return potential, row | dict(softening={name: [round(x, 4) for x in s] for name, s in slopes.items()})


def perform_melting(run):
    """The row of a run of the table "melting": where tlmlp.properties.melting has found crystal and liquid to coexist.

    All of an element share the reference's cell and interval, so that what a small cell does to the number is the same for all.
    `melting_K` is None where the interval does not hold it, or where the simulation broke down; then `note` says which.
    """
    from .properties import melting
    from .simulate import SimulationError

    started, source = time.perf_counter(), SOURCES[run["source"]]
    calculator, row = _asked(run)
    crystal = bulk(run["element"], "diamond", a=source.lattice[run["element"]], cubic=True).repeat(MELTING["cell"])
    known = source.melting[run["element"]]
    between, last, note = [share * known for share in MELTING["between"]], None, ""
    try:
        for last in melting(calculator, crystal, *between, accuracy_K=MELTING["accuracy"] * known, seed=run["seed"]):
            pass
    except SimulationError as error:
        note = str(error)
    runs = [] if last is None else [[round(T, 1), round(ps, 2), round(share, 3)] for T, ps, share in last.runs]
    found = None
    if not note:
        note = "melts below" if last.low == between[0] else "melts above" if last.high == between[1] else ""
        found = None if note else [round(last.melting_K, 1), round(last.error_K, 1)]
    return row | dict(
        melting_K=found, between=between, interval=[last.low, last.high] if last else between, runs=runs, note=note, atoms=2 * len(crystal),
        **circumstances(started, "ase"),
    )  # fmt: skip


def circumstances(started, *packages):
    """What a row says of how it came about: seconds since `started`, machine, date, versions."""
    return dict(
        seconds=round(time.perf_counter() - started, 1), machine=f"{platform.machine()}, {os.cpu_count()} cores", date=str(date.today()),
        versions={p: metadata.version(p) for p in ("tlmlp", "jax", *packages)},
    )  # fmt: skip


def perform_stability(run):
    """The row of a run of the table "stability": see tlmlp.stability.perform."""
    from . import stability

    return stability.perform(run)


def performer(name):
    """The function that makes a row of a run of a table."""
    own = dict(properties=perform_properties, softening=perform_softening, stability=perform_stability, melting=perform_melting)
    return own.get(name, perform)


def _three(errors):
    return errors.force_mae, errors.force_rmse, errors.energy_rmse


def _round(*values):
    return [round(float(v), 2) for v in values]


def _by_temperature(potential, test, shapes):
    """Force MAE and RMSE on the test frames of each temperature, as [temperature in K, phase, MAE, RMSE, frames]."""
    kinds = sorted({(a.info["temperature"], a.info["phase"]) for a in test if a.info["temperature"]})
    out = []
    for kind in kinds:
        part = [a for a in test if (a.info["temperature"], a.info["phase"]) == kind]
        errors = potential.evaluate(part, shapes)
        out.append([*kind, *_round(errors.force_mae, errors.force_rmse), len(part)])
    return out


def as_silicon(potential, source):
    """A transferred potential as it speaks of silicon: what is in germanium's units is taken back to those of its `source`."""
    scale = potential.info["transfer"]
    back = transfer.rescale(potential, 1 / scale["length"], 1 / scale["energy"])
    # 4.5 Å times s over s need not be 4.5 Å to the last bit, and would be compiled anew
    return back.replace(config=source.config, trained=source.trained)


def _forgotten(potential, run):
    """Force MAE in meV/Å on silicon's test set."""
    back = as_silicon(potential, silicon(run))
    return back.evaluate(data(run["source"], "Si")[1]).force_mae


# -- many runs -----------------------------------------------------------------------------------------------------------


def execute(runs, path, workers=2, scheduler=None, perform=perform):
    """Perform the runs that `path` holds no row of; yields each row, when it is written.

    path: a file of JSON lines, appended to; workers: processes of one thread each, on this machine; scheduler: address of a
    running dask scheduler instead, such as "tcp://node1:8786"; perform: what makes a row of a run. A worker that dies
    loses its own run, which another one starts anew. Raises RuntimeError, after all others are done, when runs failed.
    """
    import dask
    from distributed import Client, LocalCluster, as_completed

    path = Path(path)
    done = {key(row) for row in read(path)} if path.is_file() else set()
    todo = [r for r in runs if key(r) not in done]
    if not todo:
        return
    if path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):  # a line that was cut off: what follows starts a new one
        with path.open("a") as file:
            file.write("\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    # One thread per worker, and one cache of compiled programs for all. It takes the place of dask's own settings, whose
    # MALLOC_TRIM_THRESHOLD_ makes every step of a training map its memory afresh.
    environment = {
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "NPROC": "1",  # of XLA's pool, which the flags leave at one thread a core: workers would take turns at each other's cores
        "OMP_NUM_THREADS": "1",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR", str(path.parent.resolve() / ".jax")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        "TF_CPP_MIN_LOG_LEVEL": "3",  # XLA takes two of its own preferences for features of the CPU, at every load
    }
    failed = []
    with dask.config.set({"distributed.nanny.pre-spawn-environ": environment, "distributed.scheduler.allowed-failures": 3}):
        cluster = None if scheduler else LocalCluster(n_workers=min(workers, len(todo)), threads_per_worker=1, dashboard_address=":0")
        with Client(scheduler or cluster) as client, path.open("a", encoding="utf-8") as file:
            futures = [client.submit(perform, r, pure=False, priority=-i) for i, r in enumerate(todo)]
            for future in as_completed(futures):
                if future.status == "error":
                    failed.append(f"{future.exception()!r}")
                    continue
                row = future.result()
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
                future.release()
                yield row
        if cluster:
            cluster.close()
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(todo)} runs failed, the first with {failed[0]}; the others are in {path}")


def read(path):
    """Rows of a file of JSON lines; a last line that was cut off is left out."""
    out = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return out


def rows(name):
    """The rows of a table that ship with the package; empty where none do."""
    path = Path(str(SHIPPED / f"{name}.jsonl"))
    return read(path) if path.is_file() else []


def mean_and_spread(values):
    """(mean, standard deviation of the sample) of numbers; the latter nan for a single one."""
    values = np.asarray(values, float)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")
