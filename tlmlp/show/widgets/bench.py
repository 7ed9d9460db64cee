"""PropertyBench: what scratch, transfer and unchanged silicon say of germanium's properties."""

import ipywidgets as widgets
from ase.build import bulk

from ... import datasets, properties as P, transfer
from ...course import cards, runs
from ...course.sources import COURSE, SOURCES, melt
from ...elements import ELEMENTS
from ...potential import Potential
from ...properties.measured import NEIGHBOURS, PROPERTIES
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
KNOWN = {  # what DFT has of each
    "elastic constants": "c11 c12 c44 c44_clamped",
    "equation of state": "lattice_constant bulk_modulus",
    "phonon bands": "phonon_gamma phonon_x_low phonon_x_high phonon_l_low phonon_l_high",
    "vacancy": "vacancy_unrelaxed vacancy",
    "liquid": "liquid_neighbours",
}


class PropertyBench(Job):
    """Buttons around tlmlp.properties: a property, the data, their number, freezing; Compute.

    source: of tlmlp.course.COURSE; "stillinger-weber" has a reference that is evaluated beside,
    DFT has numbers only; kind: one of KINDS; mine: {name: ASE calculator} to compare with.
    Potentials that ship are used where nothing is frozen; with frozen groups, transfer is trained
    here first, 800 steps of one structure. `.results` are those of the last computation, by name.
    """

    def __init__(self, source="stillinger-weber", kind="elastic constants", mine=None):
        one_of("source", source, COURSE)
        one_of("kind", kind, KINDS)
        empty = picture.nothing("nothing computed yet", (SIZE[0] / 100, SIZE[1] / 100)).png(110)
        fit = dict(max_width="100%", object_fit="contain", object_position="left top")
        super().__init__("Compute", image(SIZE, empty, **fit))
        self.mine, self.results, self.missing = dict(mine or {}), {}, {}
        self.groups = transfer.groups(Potential.load(SOURCES[source].silicon))
        kind = menu(KINDS, kind, 230, "property")
        source = menu([(SOURCES[s].words, s) for s in COURSE], source, 190, "data")
        look = dict(style={"button_width": "44px"})
        n = widgets.ToggleButtons(options=[(str(n), n) for n in SIZES], **look)
        depth = slider(0, len(self.groups) - 1, width=220, readout=True)
        self.controls, self.frozen = dict(kind=kind, source=source, n=n, depth=depth), text()
        label, wrap = widgets.Label, dict(flex_flow="row wrap")
        first = line(kind, source, label("germanium structures"), n, **wrap)
        second = line(label("freeze the first … groups"), depth, self.frozen, **wrap)
        third = line(self.start_button, self.stop_button, self.bar, self.time)
        self.children = [first, second, third, self.picture, self.status]
        self.layout.width, self.layout.max_width = f"{SIZE[0] + 10}px", "100%"
        self.start_button.layout.width, self.status.layout.min_height = "108px", "46px"
        for control in self.controls.values():
            control.observe(self.changed, "value")
        self.redraw()

    def result(self):
        """The results, {name: result}; computes them here where nobody has pressed Compute."""
        (self.finish if self.begun else self.start().wait)()
        return self.results

    def work(self):
        """Yields (percent done, words), while `results` grows."""
        with self.lock:  # no picture of the results before under this one's title
            asked = self.asked = self.order
            self.results, self.missing = {}, {}
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


def titled(asked, results):
    """The figure of some results, with a title that says what was computed, and from what."""
    figure, frozen = figures.plot(results), f", {asked['depth']} groups frozen"
    words = f"{asked['kind'].capitalize()} of Ge: {SOURCES[asked['source']].words}, "
    words += f"{asked['n']} structures" + frozen * bool(asked["depth"])
    figure.suptitle(words, x=0.01, ha="left", fontsize=10)
    return figure


def said(asked):
    """What a computation shows, in words; for DFT the numbers that it has."""
    if asked["source"] == "stillinger-weber":
        frozen = f"the first {asked['depth']} groups" if asked["depth"] else "nothing"
        return f"{asked['n']} structures, {frozen} frozen."
    values, words = cards.reference("Ge", asked["source"])
    known = [name for name in KNOWN.get(asked["kind"], "").split() if name in values]
    if not known:
        return "No DFT value of this is at hand."
    told = [f"{PROPERTIES[k][0]} {values[k]:.4g} {PROPERTIES[k][1]}".strip() for k in known]
    origin = " and ".join(sorted({words[name] for name in known}))
    return f"DFT says: {', '.join(told)} ({origin})."


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
