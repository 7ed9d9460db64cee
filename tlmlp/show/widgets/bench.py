"""PropertyBench: choose a property, and see what scratch, transfer and silicon unchanged say of germanium, beside the reference."""

import ipywidgets as widgets
from ase.build import bulk

from ... import datasets, properties as P, transfer
from ...course import runs as sweep
from ...course.cards import reference
from ...course.sources import COURSE, SOURCES, melt
from ...elements import ELEMENTS
from ...potential import Potential
from ...properties.measured import NEIGHBOURS, PROPERTIES
from ..figures.picture import nothing
from ..figures.properties import draw
from .live import Live, duration, sentence

SIZES = (10, 50)  # shipped potentials were trained on these
NAMES = {"scratch": "scratch", "transfer": "transfer", "reduced": "transfer, reduced units"}


def _cube(calculator):
    a = P.lattice_constant(bulk("Ge", cubic=True, a=5.7), calculator)
    return bulk("Ge", "diamond", a=a, cubic=True)


def _liquid(calculator, source):
    atoms, temperature, _ = melt(source)
    return P.liquid(
        atoms,
        calculator,
        temperature,
        length_ps=2,
        timestep_fs=4,
        neighbours=NEIGHBOURS * ELEMENTS["Ge"].lattice_constant,
    )


KINDS = {  # what a learner chooses, and how it is computed by a calculator, for the data of a source
    "elastic constants": lambda k, source: P.elastic(_cube(k), k, zero_pressure=False, cubic=True),
    "equation of state": lambda k, source: P.equation_of_state(_cube(k), k),
    "phonon bands": lambda k, source: P.phonons(_cube(k), k, points=30, mesh=12),
    "vacancy": lambda k, source: P.vacancy(_cube(k).repeat(2), k),
    "vacancy's barrier": lambda k, source: P.migration(_cube(k).repeat(2), k),
    "(100) surface": lambda k, source: P.surface(
        "Ge", k, float(_cube(k).cell.lengths()[0]), layers=8
    ),
    "other crystals": lambda k, source: P.phases("Ge", k, float(_cube(k).cell.lengths()[0])),
    "liquid": _liquid,
}


class PropertyBench(Live):
    """Buttons around tlmlp.properties: a property, the data, how many structures, how much is frozen; Compute.

    source: of tlmlp.sources.COURSE; "stillinger-weber" has a reference that is evaluated beside, DFT has numbers only; kind: one of KINDS.
    Potentials that ship are used where nothing is frozen; with frozen groups, transfer is trained here first, 800 steps of one
    structure. `.results` are those of the last computation, by name; `mine`: {name: ASE calculator} to compare with.
    """

    interval = 0.7
    size = (840, 430)  # pixels of the picture

    def __init__(self, source="stillinger-weber", kind="elastic constants", mine=None):
        if source not in COURSE:
            raise ValueError(f"source must be one of {', '.join(COURSE)}, not {source!r}")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
        self.mine, self.results, self.missing, self._drawn, self._asked = (
            dict(mine or {}),
            {},
            {},
            None,
            None,
        )
        self.groups = transfer.groups(Potential.load(sweep.SILICON[source]))
        slim = lambda width: widgets.Layout(width=width, flex="0 0 auto")
        self._kind = widgets.Dropdown(options=list(KINDS), value=kind, layout=slim("170px"))
        self._source = widgets.Dropdown(
            options=[(SOURCES[s].words, s) for s in COURSE], value=source, layout=slim("150px")
        )
        self._n = widgets.ToggleButtons(
            options=[(str(n), n) for n in SIZES],
            value=10,
            style={"button_width": "44px"},
            layout=slim("auto"),
        )
        self._depth = widgets.IntSlider(
            0, 0, len(self.groups) - 1, continuous_update=True, layout=slim("190px")
        )
        self._frozen = widgets.HTML(layout=slim("330px"))
        self._compute = widgets.Button(
            description="Compute", icon="play", button_style="primary", layout=slim("104px")
        )
        self._stop = widgets.Button(
            description="Stop", icon="stop", disabled=True, layout=slim("84px")
        )
        self._bar = widgets.IntProgress(
            0, 0, 100, layout=widgets.Layout(width="200px", margin="2px 8px")
        )
        self._time = widgets.Label("", layout=slim("330px"))
        width, height = self.size
        fixed = widgets.Layout(
            width=f"{width}px",
            max_width="100%",
            height=f"{height}px",
            object_fit="contain",
            object_position="left top",
        )
        self._picture = widgets.Image(
            value=nothing("nothing computed yet", (self.size[0] / 100, self.size[1] / 100)).png(
                110
            ),
            format="png",
            layout=fixed,
        )
        text = lambda words: widgets.Label(
            words, layout=widgets.Layout(margin="0 4px 0 8px", flex="0 0 auto")
        )
        line = lambda *children: widgets.HBox(
            children, layout=widgets.Layout(align_items="center", flex_flow="row wrap")
        )
        super().__init__(
            [
                line(
                    text("property"),
                    self._kind,
                    text("data"),
                    self._source,
                    text("germanium structures"),
                    self._n,
                ),
                line(text("freeze the first … groups"), self._depth, self._frozen),
                line(self._compute, self._stop, self._bar, self._time),
                self._picture,
            ]
        )
        self.layout.width, self.layout.max_width, self.layout.overflow = (
            f"{width + 10}px",
            "100%",
            "hidden",
        )
        self.status.layout.min_height = "46px"
        self._compute.on_click(self.start)
        self._stop.on_click(self.stop)
        for control in (self._kind, self._source, self._n, self._depth):
            control.observe(lambda _: self._changed(), "value")
        self._changed()
        self.status.value = sentence(
            "Predict, then press Compute. The first time, networks are compiled: some 10 s each."
        )

    def _settings(self):
        return dict(
            kind=self._kind.value,
            source=self._source.value,
            n=self._n.value,
            depth=self._depth.value,
        )

    def _changed(self):
        depth = self._depth.value
        names = ", ".join(name.replace("_", " ") for name in self.groups[:depth]) or "nothing"
        self._frozen.value = (
            f'<span style="font-size:12px">{names}'
            + (" (trains here, 20 to 60 s)" if depth else "")
            + "</span>"
        )
        if self._asked is not None and self._asked != self._settings() and not self.running:
            self.status.value = sentence(
                "The picture belongs to other settings: press Compute.", "warn"
            )

    # -- what Live asks for --------------------------------------------------------------------------------------------

    def work(self):
        """Yields (share done, words), while `results` grows."""
        settings = self._asked = self._settings()
        compute, source, n = KINDS[settings["kind"]], settings["source"], settings["n"]
        self.results, self.missing, self._drawn = {}, {}, None
        frozen = self.groups[: settings["depth"]]
        names = (["reference"] if source == "stillinger-weber" else []) + [
            "scratch",
            "transfer",
            "reduced",
            "silicon unchanged",
            *self.mine,
        ]
        if frozen:
            names.remove("reduced")
        share, done = 100 / len(names), 0.0
        for name in names:
            words = NAMES.get(name, name)
            yield done, f"{words}: {settings['kind']}"
            if name == "reference":
                calculator = datasets.stillinger_weber_calculator("Ge")
            elif name == "silicon unchanged":
                calculator = _unchanged(source).calculator()
            elif name in self.mine:
                calculator = self.mine[name]
            elif name == "transfer" and frozen:
                run = sweep.run(source=source, method="transfer", n=n, frozen=frozen)
                for progress in sweep.train(run, *sweep.begin(run)):
                    yield (
                        done + 0.7 * share * progress.step / progress.steps,
                        f"transfer: training, step {progress.step} of {progress.steps}",
                    )
                calculator = progress.potential.calculator()
            else:
                calculator = Potential.load(
                    f"ge-{SOURCES[source].short}-course-{name}-{n}"
                ).calculator()
            try:
                self.results = self.results | {words: compute(calculator, source)}
            except RuntimeError as error:
                self.missing = self.missing | {words: str(error)}
            done += share
            yield done, words

    def paint(self, run):
        running, item = not run.stop.is_set(), run.latest
        self._compute.disabled, self._stop.disabled = running, not running
        self._bar.value = round(item[0]) if item else 0
        self._bar.bar_style = "" if running else "success" if run.how == "done" else "warning"
        self._time.value = f"{item[1]}, {duration(run.seconds)}" if running and item else ""
        failed = " ".join(f"{name}: {why}." for name, why in self.missing.items())
        words = "Computing." if running else self._said() if run.how == "done" else "Stopped."
        if self._asked not in (None, self._settings()) and not running:
            words = "The picture belongs to other settings: press Compute."
        self.status.value = sentence(f"{words} {failed}".strip(), "note" if not failed else "warn")
        results = dict(self.results)
        if results and tuple(results) != self._drawn:
            self._picture.value = draw(results).png(130)
            self._drawn = tuple(results)

    def _said(self):
        asked = self._asked
        if asked["source"] != "stillinger-weber":
            values, words = reference("Ge", asked["source"])
            asks = {
                "elastic constants": ("c11", "c12", "c44", "c44_clamped"),
                "equation of state": ("lattice_constant", "bulk_modulus"),
                "phonon bands": (
                    "phonon_gamma",
                    "phonon_x_low",
                    "phonon_x_high",
                    "phonon_l_low",
                    "phonon_l_high",
                ),
                "vacancy": ("vacancy_unrelaxed", "vacancy"),
                "liquid": ("liquid_neighbours",),
            }
            known = [name for name in asks.get(asked["kind"], ()) if name in values]
            told = [
                f"{PROPERTIES[name][0]} {values[name]:.4g} {PROPERTIES[name][1]}".strip()
                for name in known
            ]
            origin = " and ".join(sorted({words[name] for name in known}))
            return (
                f"DFT says: {', '.join(told)} ({origin})."
                if told
                else "Nobody has computed this by DFT here."
            )
        return f"{asked['n']} structures, {'nothing frozen' if not asked['depth'] else 'the first ' + str(asked['depth']) + ' groups frozen'}."

    def result(self):
        """The results, {name: result}; computes them here where nobody has pressed Compute."""
        if self._run is None:
            self.start()
        self.wait()
        return self.results


def _unchanged(source):
    """Silicon's potential that takes germanium for silicon: nothing is trained. A crystal sets the zero of its energy, no more."""
    crystal = bulk("Ge", cubic=True)
    crystal.calc = datasets.stillinger_weber_calculator(
        "Ge"
    )  # whatever the source: at hand without data
    return transfer.start(Potential.load(sweep.SILICON[source]), "Ge", [crystal])
