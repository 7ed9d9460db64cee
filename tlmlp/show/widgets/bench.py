"""PropertyBench: what scratch, transfer and unchanged silicon say of germanium's properties."""

import ipywidgets as widgets
import numpy as np
from ase import Atoms
from ase.build import bulk

from ... import datasets, properties as P, transfer
from ...course import cards, runs
from ...course.sources import COURSE, SOURCES, melt
from ...elements import ELEMENTS
from ...potential import Potential
from ...properties import defects, mechanics
from ...properties.measured import NEIGHBOURS
from ...refusal import one_of
from ..figures import picture, properties as figures
from ..figures.style import METHODS
from .controls import duration, image, line, menu, slider, small, text
from .job import Job

SIZES = (10, 50)  # shipped potentials were trained on these
SIZE = (840, 430)  # pixels of the picture
OTHER = "The picture belongs to other settings: press Compute."
FIRST = "Predict, then press Compute. The first time, networks are compiled: some 10 s each."


def cube(calculator):
    """Germanium's cubic cell of eight atoms at zero pressure."""
    a = P.lattice_constant(bulk("Ge", cubic=True, a=5.7), calculator)
    return bulk("Ge", "diamond", a=a, cubic=True)


def _liquid(calculator, source):
    atoms, temperature, _ = melt(source)
    reach = NEIGHBOURS * ELEMENTS["Ge"].lattice_constant
    return P.liquid(atoms, calculator, temperature, length_ps=2, timestep_fs=4, neighbours=reach)


# What a learner chooses, and how a calculator computes it, for the data of a source.
KINDS = {
    "elastic constants": lambda k, _: P.elastic(cube(k), k, zero_pressure=False, cubic=True),
    "equation of state": lambda k, _: P.equation_of_state(cube(k), k),
    "phonon bands": lambda k, _: P.phonons(cube(k), k, points=30, mesh=12),
    "vacancy": lambda k, _: P.vacancy(cube(k).repeat(2), k),
    "vacancy's barrier": lambda k, _: P.migration(cube(k).repeat(2), k),
    "(100) surface": lambda k, _: P.surface("Ge", k, float(cube(k).cell[0, 0]), layers=8),
    "other crystals": lambda k, _: P.phases("Ge", k, float(cube(k).cell[0, 0])),
    "liquid": _liquid,
}


def from_dft(kind):
    """What DFT has of germanium, as a result to draw; None where that is no whole result."""
    known, nan = datasets.dft_reference("Ge"), float("nan")
    if kind == "elastic constants":
        c11, c12, c44, clamped = list(known["elastic"].values())[:4]
        tensor = np.diag([c11 - c12] * 3 + [c44] * 3)
        tensor[:3, :3] += c12
        whole = tensor, np.full((6, 6), nan), nan, known["eos"]["lattice_constant"]
        bulk_and_shear = (float(np.mean(b)) for b in mechanics.bounds_of(tensor))
        return mechanics.Elastic(*whole, c11, c12, c44, clamped, *bulk_and_shear, np.eye(3))
    if kind == "equation of state":
        eos, volume = known["eos"], lambda edge: np.asarray(edge) ** 3 / 8
        points = volume(eos["eos"]["lattice_constant"]), np.array(eos["eos"]["energy_per_atom"])
        edge, energy = eos["lattice_constant"], eos["energy_per_atom"]
        stiffness = eos["bulk_modulus"], eos["bulk_modulus_derivative"]
        return mechanics.EquationOfState(volume(edge), energy, *stiffness, edge, *points)
    if kind == "vacancy":
        v = known["vacancy"]
        atoms = Atoms(f"Ge{len(v['positions'])}", v["positions"])
        energies = v["vacancy"], v["vacancy_unrelaxed"]
        return defects.Defect(*energies, atoms, v["force"], True, len(atoms) + 1)
    return None


class PropertyBench(Job):
    """Buttons around tlmlp.properties: a property, the data, their number, freezing; Compute.

    source: of tlmlp.course.COURSE; the reference of "stillinger-weber" is evaluated beside, that
    of "dft" is what datasets.dft_reference holds; kind: one of KINDS; mine: {name: ASE calculator}
    to compare with.
    Potentials that ship are used where nothing is frozen; with frozen groups, transfer is trained
    here first, 800 steps of one structure. `.results` are those of the last computation, by name.
    """

    def __init__(self, source="stillinger-weber", kind="elastic constants", mine=None):
        one_of("source", source, COURSE)
        one_of("kind", kind, KINDS)
        empty = picture.nothing("nothing computed yet", (SIZE[0] / 100, SIZE[1] / 100)).png(110)
        fit = dict(height=f"{SIZE[1]}px", object_fit="contain", object_position="left top")
        super().__init__("Compute", image(SIZE, empty, **fit))
        self.mine, self.results, self.missing = dict(mine or {}), {}, {}
        self.groups = transfer.groups(Potential.load(SOURCES[source].silicon))
        kind = menu(KINDS, kind, 230, "property")
        source = menu([(SOURCES[s].words, s) for s in COURSE], source, 190, "data")
        look = dict(style={"button_width": "44px"}, tooltip="germanium structures")
        n = widgets.ToggleButtons(options=[(str(n), n) for n in SIZES], **look)
        depth = slider(0, len(self.groups) - 1, "groups to freeze", width=220, readout=True)
        self.controls, self.frozen = dict(kind=kind, source=source, n=n, depth=depth), text()
        label = widgets.Label
        first = line(kind, source, label("germanium structures"), n)
        second = line(label("freeze the first … groups"), depth, self.frozen)
        third = line(self.start_button, self.stop_button, self.bar, self.time)
        self.start_button.layout.width, self.status.layout.min_height = "108px", "46px"
        self.arrange(first, second, third, self.picture, width=SIZE[0] + 10)

    def result(self):
        """The results, {name: result}; computes them here where nobody has pressed Compute."""
        (self.finish if self.begun else self.start().wait)()
        return self.results

    def work(self):
        """Yields (percent done, words), while `results` grows."""
        with self.lock:  # no picture of the results before under this one's title
            asked = self.asked = self.order
            self.results, self.missing = {}, {}
            if asked["source"] != "stillinger-weber" and (known := from_dft(asked["kind"])):
                self.results = {METHODS["reference"].word: known}
        frozen = self.groups[: asked["depth"]]
        exact = asked["source"] == "stillinger-weber"
        methods = ["scratch", "transfer", *["reduced"] * (not frozen), "silicon"]
        names = [*["reference"] * exact, *methods, *self.mine]
        for number, name in enumerate(names):
            done = 100 * number / len(names)
            words = name if name in self.mine else METHODS[name].word
            yield done, f"{words}: {asked['kind']}"
            if name == "transfer" and frozen:
                run = runs.Run(source=asked["source"], method=name, n=asked["n"], frozen=frozen)
                for p in runs.train(run, *runs.begin(run)):
                    step = f"transfer: training, step {p.step} of {p.steps}"
                    yield done + 70 / len(names) * p.step / p.steps, step
                calculator = p.potential.calculator()
            else:
                calculator = self.mine.get(name) or shipped(name, asked["source"], asked["n"])
            try:
                result = KINDS[asked["kind"]](calculator, asked["source"])
                self.results = self.results | {words: result}
            except RuntimeError as error:
                self.missing = self.missing | {words: str(error)}
            yield 100 * (number + 1) / len(names), words

    def paint(self, run):
        with self.lock:
            asked, results, missing = self.asked, self.results, self.missing
        self.shows = f"{title(asked)}: {', '.join(results)}." if results else ""
        depth = self.settings["depth"]
        names = ", ".join(name.replace("_", " ") for name in self.groups[:depth]) or "nothing"
        self.frozen.value = small(names + " (trains here, 20 to 60 s)" * (depth > 0))
        done, words = run.latest or (0, "")
        words = f"{words}, {duration(run.seconds)}" if words and not run.how else ""
        self.progress(run, round(done), 100, words)
        if results:
            self.show((run.started, *results), lambda: titled(asked, results), 130)
        words = "Stopped." if run.how else "Computing."
        if not self.begun:
            words = FIRST
        elif run.how and self.stale:
            words = OTHER
        elif run.how == "done":
            words = said(asked)
        failed = " ".join(f"{name}: {why}." for name, why in missing.items())
        self.say(f"{words} {failed}".strip(), "warn" if failed or words == OTHER else "note")


def title(asked):
    """What was computed, and from what, in words."""
    frozen = f", {asked['depth']} groups frozen" * bool(asked["depth"])
    source = SOURCES[asked["source"]].words
    return f"{asked['kind'].capitalize()} of Ge: {source}, {asked['n']} structures{frozen}"


def titled(asked, results):
    """The figure of some results, with their title."""
    bands = asked["kind"] == "phonon bands" and asked["source"] != "stillinger-weber"
    known = datasets.dft_reference("Ge")["phonons"]["frequencies"]
    figure = figures.plot(results, **dict(known=known) if bands else {})
    figure.suptitle(title(asked), x=0.01, ha="left", fontsize=10)
    return figure


def said(asked):
    """What a computation shows, in words; for DFT where the reference is from."""
    if asked["source"] == "stillinger-weber":
        frozen = f"the first {asked['depth']} groups" if asked["depth"] else "nothing"
        return f"{asked['n']} structures, {frozen} frozen."
    if asked["kind"] == "phonon bands" or from_dft(asked["kind"]):
        return f"Black is the reference: {cards.CP2K}."
    if asked["kind"] == "liquid":
        values, origin = (part["liquid_neighbours"] for part in cards.reference("Ge", "dft"))
        return f"The reference has {values:.2f} neighbours: {origin}."
    return "No DFT value of this is at hand."


def shipped(name, source, n):
    """The calculator of the reference, of silicon's potential unchanged, or of one that ships."""
    exact = datasets.stillinger_weber_calculator("Ge")
    if name == "reference":
        return exact
    if name != "silicon":
        return Potential.load(f"ge-{SOURCES[source].short}-course-{name}-{n}").calculator()
    # Nothing is trained: a crystal, whatever labels it, sets the zero of the energy and no more.
    crystal = bulk("Ge", cubic=True)
    crystal.calc = exact
    return transfer.start(Potential.load(SOURCES[source].silicon), "Ge", [crystal]).calculator()
