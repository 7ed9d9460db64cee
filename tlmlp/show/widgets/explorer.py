"""TransferExplorer: germanium from silicon, with what you freeze and as much data as you give it."""

import json
import threading
import time
from pathlib import Path

import ipywidgets as widgets
import pooch
import psutil

from ... import transfer
from ...course import race, results, runs as sweep
from ...course.machine import memory_limit
from ...course.sources import COURSE, SOURCES
from ...potential import Potential, write_whole
from ..figures import learning as curves
from .explorer_table import STARTS, count, small, summary, table, thousands
from .live import Live, duration, plain, sentence

RATES = (5e-4, 1e-3, 2e-3, 4e-3)
STEPS = (100, 200, 400, 800, 1600)
DEFAULT = dict(
    source="dft", n=10, start="transfer", frozen=(), learning_rate=2e-3, steps=400, seeds=1
)
FULL = 0.6  # share of the memory there is; beyond it compiled programs are given up, or Binder would end the kernel


TOOLTIPS = {
    "embedding": "one row of numbers for each element, the frequencies of the radial functions, and the first message of a bond",
    "interaction": "messages meet those that arrive where they start: distances and angles, one cutoff farther",
    "output": "reads a share of each atom's energy from the messages",
}
CSS = f"<style>{Path(__file__).with_name('explorer.css').read_text()}</style>"


class TransferExplorer(Live):
    """Transfer and scratch race on one plot; you choose data, frozen groups, learning rate, steps and seeds.

    source: of tlmlp.sources.COURSE, what the controls start with; precomputed: rows of a sweep to show wherever
    they fit the controls [default: those that ship].

    `.runs` holds every run, newest last: its settings and its rows, one a training, as tlmlp.sweep has them. `.rows` are
    those of the newest run, `.potentials` what it trained: "transfer" and "scratch". `save` and `load` keep runs in a file.
    """

    interval = 1.0

    def __init__(self, source=DEFAULT["source"], precomputed=None):
        if source not in COURSE:
            raise ValueError(f"source must be one of {', '.join(COURSE)}, not {source!r}")
        self.default = DEFAULT | dict(source=source)
        self.precomputed = (
            results.rows("learning-curve") + results.rows("frozen")
            if precomputed is None
            else list(precomputed)
        )
        self.runs, self.potentials = [], {}
        self._settings_of_run, self._drawn, self._quiet, self._drawing = (
            None,
            None,
            False,
            threading.RLock(),
        )
        self._network = Potential.load(sweep.SILICON[source])
        self.groups, self.sizes = transfer.groups(self._network), transfer.sizes(self._network)
        self._build()
        super().__init__(
            [
                widgets.HTML(CSS, layout=widgets.Layout(height="0", margin="0", overflow="hidden")),
                widgets.HBox(
                    [self._controls, self._right],
                    layout=widgets.Layout(width="100%", align_items="stretch"),
                ),
                self._table,
                self._files,
            ]
        )
        self._controls.children, self.children = (
            (*self._controls.children, self.status),
            self.children[:-1],
        )
        self.layout.width, self.layout.max_width, self.layout.overflow = "100%", "1100px", "hidden"
        self.status.value = sentence(
            "Choose, then press Train. The first time, the network is compiled: 10 to 30 s."
        )
        self._changed()

    # -- what there is to press ----------------------------------------------------------------------------------------

    def _build(self):
        full = widgets.Layout(width="auto")

        def choice(options, value, width):
            out = widgets.ToggleButtons(
                options=options, value=value, style={"button_width": width}, layout=full
            )
            out.add_class("tlmlp-choice")
            return out

        pick = lambda label, options, value: (
            box := widgets.Dropdown(
                options=options, value=value, layout=widgets.Layout(width="88px")
            ),
            widgets.VBox([widgets.HTML(label), box]),
        )
        d = self.default
        self._source = choice([(SOURCES[s].words, s) for s in COURSE], d["source"], "134px")
        self._n = choice([(str(n or "all"), n) for n in sweep.SIZES], d["n"], "41px")
        self._start = choice(
            [(words, start) for start, words in STARTS.items()], d["start"], "134px"
        )
        self._depth = widgets.IntSlider(
            0,
            0,
            len(self.groups) - 1,
            continuous_update=True,
            readout=True,
            layout=widgets.Layout(width="286px"),
        )
        self._rate, rate = pick("learning rate", [(f"{r:g}", r) for r in RATES], d["learning_rate"])
        self._steps, steps = pick("steps", STEPS, d["steps"])
        self._seeds, seeds = pick("seeds", (1, 2, 3, 5), d["seeds"])
        button = lambda text, icon, **more: widgets.Button(
            description=text, icon=icon, layout=widgets.Layout(width="88px"), **more
        )
        self._train, self._stop = (
            button("Train", "play", button_style="primary"),
            button("Stop", "stop", disabled=True),
        )
        self._reset = button("Reset", "undo", tooltip="forget all runs, and put the controls back")
        self._bar = widgets.IntProgress(
            0, 0, 1, layout=widgets.Layout(width="282px", height="18px")
        )
        self._time = widgets.HTML("", layout=widgets.Layout(width="286px", min_height="20px"))
        head = lambda words: widgets.HTML(
            f'<b style="font-size:12px">{words}</b>', layout=widgets.Layout(margin="4px 2px -4px")
        )
        self._controls = widgets.VBox(
            [
                head("Data"),
                self._source,
                head("Germanium structures to train on"),
                self._n,
                head("Start from silicon's weights"),
                self._start,
                head("Freeze the first … groups"),
                self._depth,
                widgets.HBox([rate, steps, seeds]),
                widgets.HBox([self._train, self._stop, self._reset]),
                self._bar,
                self._time,
            ],
            layout=widgets.Layout(flex="0 0 296px", width="296px", overflow="hidden"),
        )

        self._blocks = {}
        for name in self.groups:
            block = widgets.ToggleButton(False, tooltip=TOOLTIPS[name.partition("_")[0]])
            block.add_class("tlmlp-block")
            self._blocks[name] = block
        self._map_words = widgets.HTML(layout=widgets.Layout(margin="4px 2px -2px"))
        self._picture = widgets.Image(format="png", layout=widgets.Layout(width="100%"))
        self._right = widgets.VBox(
            [self._map_words, *self._network_rows(), self._picture],
            layout=widgets.Layout(
                flex="1 1 0", min_width="0", margin="0 0 0 10px", overflow="hidden"
            ),
        )
        self._table = widgets.HTML()
        self._table.add_class("tlmlp-runs")
        self._file = widgets.Text(
            "germanium_runs.json", layout=widgets.Layout(width="220px"), continuous_update=False
        )
        self._save, self._load = (
            button("Save", "save", tooltip="runs to this file"),
            button("Load", "folder-open", tooltip="runs from it"),
        )
        self._files = widgets.HBox([widgets.Label("Runs:"), self._file, self._save, self._load])

        self._train.on_click(self.start)
        self._stop.on_click(self.stop)
        self._reset.on_click(lambda _: self.reset())
        self._save.on_click(lambda _: self._pressed(self.save))
        self._load.on_click(lambda _: self._pressed(self.load))
        self._depth.observe(self._depth_moved, "value")
        for block in self._blocks.values():
            block.observe(self._block_pressed, "value")
        for control in (self._source, self._n, self._start, self._rate, self._steps, self._seeds):
            control.observe(self._changed, "value")

    def _network_rows(self):
        """The network: messages run along the top, each block adds its share of the energy below."""

        def arrow(sign, *more):
            out = widgets.HTML(sign)
            for name in ("tlmlp-arrow", *more):
                out.add_class(name)
            return out

        def row(blocks, sign, last):
            parts = [part for block in blocks for part in (block, arrow(sign))]
            return widgets.HBox(
                [*parts[:-1], last], layout=widgets.Layout(width="100%", align_items="center")
            )

        top = [self._blocks[g] for g in self.groups if not g.startswith("output")]
        low = [self._blocks[g] for g in self.groups if g.startswith("output")]
        return row(top, "→", arrow("", "tlmlp-sum")), row(low, "+", arrow("= E", "tlmlp-sum"))

    @property
    def settings(self):
        """What the controls say now: source, n, start, frozen, learning_rate, steps, seeds."""
        frozen = [name for name, block in self._blocks.items() if block.value]
        return dict(
            source=self._source.value,
            n=self._n.value,
            start=self._start.value,
            frozen=frozen,
            learning_rate=self._rate.value,
            steps=self._steps.value,
            seeds=self._seeds.value,
        )

    def set(self, **settings):
        """Move controls; names as in `settings`. Raises ValueError for a value that a control does not have."""
        controls = dict(
            source=self._source,
            n=self._n,
            start=self._start,
            learning_rate=self._rate,
            steps=self._steps,
            seeds=self._seeds,
        )
        for name, value in settings.items():
            if name == "frozen":
                transfer.freeze(self._network, value)  # says what is wrong with it
            elif name not in controls:
                raise ValueError(
                    f"there is no control {name!r}; there are frozen, {', '.join(controls)}"
                )
            elif value not in (
                options := [o[1] if isinstance(o, tuple) else o for o in controls[name].options]
            ):
                raise ValueError(
                    f"{name} must be one of {', '.join(map(str, options))}, not {value!r}"
                )
        frozen = settings.pop("frozen", self.settings["frozen"])
        self._quiet = True  # one picture, when all have moved
        for name, value in settings.items():
            controls[name].value = value
        self._freeze({frozen} if isinstance(frozen, str) else set(frozen))
        return self

    # slider and blocks say the same: the slider counts the frozen groups at the front

    def _depth_moved(self, change):
        if not self._quiet:
            self._freeze(set(self.groups[: change["new"]]))

    def _block_pressed(self, change):
        if self._quiet:
            return
        if all(block.value for block in self._blocks.values()):
            change["owner"].value = False  # comes back here, and says what there is
            self.status.value = sentence(
                "One group at least must stay free, or there is nothing to train.", "warn"
            )
            return
        self._freeze({name for name, block in self._blocks.items() if block.value})

    def _freeze(self, names):
        self._quiet = True
        for name, block in self._blocks.items():
            block.value = name in names
        self._depth.value = next(
            (d for d, name in enumerate(self.groups) if name not in names), len(self.groups) - 1
        )
        self._quiet = False
        self._changed()

    def _changed(self, *_):
        if not self.running and not self._quiet:  # while it runs, the painter draws
            self._show()

    # -- runs ----------------------------------------------------------------------------------------------------------

    @property
    def rows(self):
        """Rows of the newest run, one a training."""
        return list(self.runs[-1]["rows"]) if self.runs else []

    def reset(self):
        """Stop, forget all runs and put the controls back."""
        self.stop()
        with self._lock:
            self.runs, self.potentials, self._settings_of_run = [], {}, None
            if self._run is not None:
                self._run.latest = None
        d = dict(self.default)
        self.set(**d)
        self._bar.value, self._time.value = 0, ""
        self.status.value = sentence("All runs are forgotten. Choose, then press Train.")
        self._show()

    def save(self, path=None):
        """Write all runs to a JSON file; returns a sentence about it."""
        path = Path(path or self._file.value)
        runs = [run for run in self.runs if run["rows"]]
        if not runs:
            raise ValueError("there is no run to save yet; press Train first")
        write_whole(path, json.dumps(dict(tlmlp_runs=1, runs=runs)).encode())
        return f"{count(len(runs))} saved to {path}."

    def load(self, path=None):
        """Read runs that `save` wrote, and put them before those of today; returns a sentence about it."""
        path = Path(path or self._file.value)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}; press Save first, or name another")
        try:
            runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
            for run in runs:
                sweep.run(
                    **{
                        name: run["rows"][0].get(name, default)
                        for name, default in sweep.RUN.items()
                    }
                )
        except (ValueError, KeyError, TypeError, IndexError):
            raise ValueError(
                f"{path} does not hold runs of this explorer; Save writes such a file"
            ) from None
        known = {json.dumps(run, sort_keys=True) for run in self.runs}
        new = [run for run in runs if json.dumps(run, sort_keys=True) not in known]
        with self._lock:
            self.runs = new + self.runs
        self._show()
        return f"{count(len(new))} read from {path}" + (
            f", {len(runs) - len(new)} here already." if len(new) < len(runs) else "."
        )

    def _pressed(self, action):
        try:
            self.status.value = sentence(action())
        except (OSError, ValueError) as error:
            self.status.value = sentence(plain(error), "error")

    def result(self, steps=100):
        """The potentials of the newest run: {"transfer": Potential, "scratch": Potential}.

        Where nobody has pressed Train, it trains `steps` steps here and now, so that a notebook runs from top to bottom. A
        training under way goes on.
        """
        if self._run is None:
            before = self._steps.value
            self._steps.value = steps
            self.start().wait()
            self._steps.value = before
            print(
                f"Nobody pressed Train, so this cell trained {steps} steps. Press Train above for {before}."
            )
        while self.alive and not self.potentials:
            time.sleep(0.05)
        if self.running and self.runs:
            print(
                f"The training still runs; these are its weights after {self.rows[0]['curve'][-1][0]} steps."
            )
        if not self.potentials:
            self.wait()
            raise RuntimeError(
                "nothing is trained yet: press Train, and wait for the first point of the curves"
            )
        return dict(self.potentials)

    # -- what Live asks for --------------------------------------------------------------------------------------------

    def start(self, *_):
        self._wanted = self.settings
        return super().start()

    def work(self):
        pooch.get_logger().setLevel("WARNING")  # it announces a download in red, like an error
        with self._lock:
            self._settings_of_run, self.potentials, self._pace = dict(self._wanted), {}, []
            self.runs.append(dict(settings=self._settings_of_run, rows=[], seconds=0.0))
        if psutil.Process().memory_info().rss > FULL * 1e9 * memory_limit():
            race.forget_programs()
        return race.race(race.pairs(**self._settings_of_run))

    def take(self, lap):
        if lap.rows:
            run = self.runs[-1]
            here = {(row["method"], row["seed"]) for row in lap.rows}
            run["rows"] = [
                row for row in run["rows"] if (row["method"], row["seed"]) not in here
            ] + list(lap.rows)
            run["seconds"] = round(self._run.seconds, 1)
            self.potentials = dict(lap.potentials)
        if lap.stage.startswith("training"):
            self._pace = [*self._pace[:1], (time.monotonic(), lap.done)]

    def paint(self, run):
        running, lap = not run.stop.is_set(), run.latest
        self._train.disabled, self._stop.disabled = running, not running
        if lap is not None:
            self._bar.max, self._bar.value = lap.total, lap.done
            self._bar.bar_style = "" if running else "success" if run.how == "done" else "warning"
        begun = time.monotonic()
        if self._show():
            self.interval = max(
                type(self).interval, 5 * (time.monotonic() - begun)
            )  # drawing never takes over
        self._time.value = small(self._left(run, lap) if running else "")
        self.status.value = sentence(self._words(run, lap))

    def _left(self, run, lap):
        if lap is None:
            return "beginning"
        words = f"{lap.stage}, {duration(run.seconds)}"
        if len(self._pace) == 2 and self._pace[1][1] > self._pace[0][1]:
            (t0, d0), (t1, d1) = self._pace
            words = f"{lap.stage}, step {lap.done} of {lap.total}: {duration((t1 - t0) / (d1 - d0) * (lap.total - d1))} left"
        return words

    def _words(self, run, lap):
        if not run.stop.is_set():
            return "Training runs in the background: move the controls, run other cells."
        head = {
            "done": f"Done in {duration(self.runs[-1]['seconds'])}." if self.runs else "",
            "failed": "",
            "superseded": "Stopped, because another explorer was started.",
        }.get(run.how, "Stopped.")
        if run.worker.is_alive() and lap is not None and not lap.stage.startswith("training"):
            return f"{head} What had begun ({lap.stage}) ends in the background; Train may be pressed at once."
        return " ".join(filter(None, [head, summary(self.rows)]))

    # -- what there is to see --------------------------------------------------------------------------------------------

    @property
    def stale(self):
        """Whether a control has moved since the newest run."""
        return self._settings_of_run is not None and self._settings_of_run != self.settings

    def _show(self):
        """Blocks, picture and table as they should be now; whether the picture had to be drawn."""
        with self._drawing:  # the painter and a control that moves: the last one has seen both
            return self._show_all()

    def _show_all(self):
        with self._lock:
            runs, settings, stale = [dict(run) for run in self.runs], self.settings, self.stale
        self._label_blocks(runs[-1]["rows"] if runs and not stale and self._settings_of_run else [])
        self._table.value = table(runs, settings)
        precomputed = fitting(self.precomputed, settings)
        own = runs[-1]["rows"] if runs and self._settings_of_run else []
        earlier = [run["rows"] for run in (runs[:-1] if self._settings_of_run else runs)]
        key = json.dumps(
            [stale, [len(r["curve"]) for r in own], len(earlier), settings], default=str
        )
        if key == self._drawn:
            return False
        figure = curves.race(
            own,
            [rows for rows in earlier if rows],
            precomputed,
            steps=settings["steps"],
            stale="a control has moved since this run: press Train" if stale and own else "",
            empty="press Train: both curves grow here",
        )
        self._picture.value, self._drawn = figure.png(150), key
        return True

    def _label_blocks(self, rows):
        moved = [row["moved"] for row in rows if row["method"] != "scratch"]
        frozen = 0
        for name, block in self._blocks.items():
            frozen += self.sizes[name] * block.value
            words = "frozen" if block.value else ""
            if moved:
                far = 100 * sum(m[name] for m in moved) / len(moved)
                words = f"moved {far:.1f} %" if far else "moved 0"
            block.description = f"{name.replace('_', ' ')}\n{thousands(self.sizes[name])}\n{words}"
        of = thousands(sum(self.sizes.values()))
        self._map_words.value = f'<div style="font-size:12px; line-height:1.3"><b>Freeze map</b> (press a block): {thousands(frozen)} of {of} frozen</div>'


def fitting(rows, settings):
    """The precomputed rows that belong to some settings of the explorer: transfer and scratch, every seed there is.

    Where there are none with the same number of steps and learning rate, those that come closest.
    """
    out = []
    for method, frozen in ((settings["start"], set(settings["frozen"])), ("scratch", set())):
        same = [
            r
            for r in rows
            if (r["source"], r["method"], r["n"]) == (settings["source"], method, settings["n"])
            and set(r.get("frozen", ())) == frozen
            and not r.get("validation")
            and not r.get("phase")
        ]
        if same:
            apart = lambda r: (
                r["learning_rate"] != settings["learning_rate"],
                abs(r["steps"] - settings["steps"]),
            )
            best = min(map(apart, same))
            out += [r for r in same if apart(r) == best]
    return out
