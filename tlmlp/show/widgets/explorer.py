"""TransferExplorer: germanium from silicon, with the data and the freezing that you choose."""

import json
import time

import ipywidgets as widgets
import pooch
import psutil

from ... import transfer
from ...course import machine, race, results
from ...course.runs import Run
from ...course.sources import COURSE, SOURCES
from ...files import expanded, write_whole
from ...potential import Potential
from ...refusal import one_of, refuse
from ..figures import learning
from .controls import button, duration, fixed, left, line, muted, plain, slider, small, tag, text
from .explorer_table import chosen, count, summary, table, thousands
from .job import UNTRAINED, Job

CHOICES = dict(  # what each control offers: [(words, value)]
    source=[(SOURCES[source].words, source) for source in COURSE],
    n=[(str(n or "all"), n) for n in results.SIZES],
    start=[("copied weights", "transfer"), ("reduced units", "reduced")],
    learning_rate=[(f"{rate:g}", rate) for rate in (5e-4, 1e-3, 2e-3, 4e-3)],
    steps=[(str(steps), steps) for steps in (100, 200, 400, 800, 1600)],
    seeds=[(str(seeds), seeds) for seeds in (1, 2, 3, 5)],
    replay=[(str(n), n) for n in (0, 10, 50)],
    taylor=[("labels", 0.0), ("Taylor", 1.2)],
)
MENUS = dict(  # what stands above them, their width in pixels, and what they are
    learning_rate=("rate", 68, "learning rate"),
    steps=("steps", 56, "steps"),
    seeds=("seeds", 40, "seeds"),
    replay=("replay", 44, "replay: structures of silicon that get half of the steps of transfer"),
    taylor=("loss", 66, "loss: of labels alone, or with Taylor consistency of displaced copies"),
)
NAMES = dict(  # what stands above them
    source="Data", n="Germanium structures to train on", start="Start from silicon's weights"
)
DEPTH = "Freeze the first … groups"
DEFAULT = dict(n=10, start="transfer", frozen=(), learning_rate=2e-3, steps=400, seeds=1, replay=0)
DEFAULT |= dict(taylor=0.0)
FULL = 0.6  # fraction of the memory beyond which compiled programs are given up
GREETING = "Choose, then press Train. The first time on a computer, it compiles: 10 to 30 s."
FREE = "One group at least must stay free, or there is nothing to train."
TAKEN = "Taken over from the explorer before, which has stopped"
STALE = "a control has moved since this run: press Train"
WAIT = "both curves grow here"
EMPTY = f"press Train: {WAIT}"
TOOLTIPS = {
    "embedding": "one row of numbers for each element, the frequencies of the radial functions, "
    "and the first message of a bond",
    "interaction": "messages meet those that arrive where they start: distances and angles, one "
    "cutoff farther",
    "output": "reads a part of each atom's energy from the messages",
}


class TransferExplorer(Job):
    """Transfer and scratch race on one plot; you choose data, frozen groups, rate, steps and seeds.

    source: of tlmlp.course.COURSE, what the controls start with; precomputed: rows to show where
    they fit the controls and a run of these settings has ended [default: those that ship].

    `.runs` holds every run, newest last: its settings and its rows, one a training. `.rows` are
    those of the newest run, `.potentials` what it trained: "transfer" and "scratch". `save` and
    `load` keep runs in a file. A new explorer stops the one before and takes over its runs and
    potentials, so that a cell that is run twice loses nothing.
    """

    shows = "Force MAE on held-out germanium against training steps, of transfer and scratch."
    _given = ()  # runs that another explorer has taken over; Reset there does not bring them back

    def __init__(self, source="dft", precomputed=None):
        one_of("source", source, COURSE)
        super().__init__("Train")
        if precomputed is None:
            precomputed = results.rows("learning-curve") + results.rows("frozen")
        self.default, self.precomputed = DEFAULT | dict(source=source), list(precomputed)
        self.runs, self.potentials, self._pace, self._greeting = [], {}, [], GREETING
        self._reached = 0  # step of the newest point on the curve of the potentials
        self._network = Potential.load(SOURCES[source].silicon)
        self.groups, self.sizes = transfer.groups(self._network), transfer.sizes(self._network)
        self._short, self.table = None, text().add_class("tlmlp-runs")
        top = line(self._controls(), self._freeze_map(), width="100%", align_items="stretch")
        look = dict(layout=fixed(220), continuous_update=False, tooltip="file of runs")
        self.file = widgets.Text("germanium_runs.json", **look)
        save, load = (lambda: self._pressed(self.save)), (lambda: self._pressed(self.load))
        self.load_button = button("Load", "folder-open", load, "runs from it")
        save_button = button("Save", "save", save, "runs to this file")
        files = line(widgets.Label("Runs:"), self.file, save_button, self.load_button)
        self.children = [top, self.table, files]
        self.layout.width, self.layout.max_width = "100%", "1100px"
        self._take_over()
        self.set(**self.default)
        for control in self.controls.values():
            control.observe(self.changed, "value")

    def _take_over(self):
        for other in self.others:
            other.stop("superseded")  # from here on its runs stay as they are
            runs = getattr(other, "runs", [])  # none where its __init__ has failed
            if new := [run for run in runs if run["rows"] and run not in other._given]:
                self.runs += [run for run in new if run not in self.runs]
                self.potentials, self._reached = other.potentials, other._reached
                self._greeting = f"{TAKEN}: {count(len(self.runs))}. Press Train for more."
            other._given = list(runs)

    def _controls(self):
        for name, width in dict(source="134px", n="41px", start="134px").items():
            look = dict(style={"button_width": width}, layout={"width": "auto"})
            buttons = widgets.ToggleButtons(options=CHOICES[name], tooltip=NAMES[name], **look)
            self.controls[name] = buttons.add_class("tlmlp-choice")
        menus = []
        for name, (words, width, tip) in MENUS.items():
            look = dict(options=CHOICES[name], layout=fixed(width))
            box = self.controls[name] = widgets.Dropdown(tooltip=tip, **look)
            menus.append(widgets.VBox([text(words), box]))
        self.controls["start"].observe(self._start_moved, "value")
        self.depth = slider(0, len(self.groups) - 1, DEPTH, width=286, readout=True)
        self.depth.observe(self._frozen_moved, "value")
        reset = button("Reset", "undo", self.reset, "forget all runs, move controls back")
        self.bar.layout = fixed(282, height="18px")
        head = lambda words: text(tag("b", words, font_size="12px"), margin="4px 2px -4px")
        parts = [
            *(part for name in NAMES for part in (head(NAMES[name]), self.controls[name])),
            *(head(DEPTH), self.depth, line(*menus)),
            *(line(self.start_button, self.stop_button, reset), self.bar, self.time, self.status),
        ]
        return widgets.VBox(parts, layout=fixed(296, overflow="hidden"))

    def _freeze_map(self):
        """Messages run along the top; each block below adds its part of the energy."""
        self.blocks = {}
        for name in self.groups:
            block = widgets.ToggleButton(False, tooltip=TOOLTIPS[name.partition("_")[0]])
            self.blocks[name] = block.add_class("tlmlp-block")
            block.observe(self._frozen_moved, "value")
        arrow = lambda sign: text(sign).add_class("tlmlp-arrow")
        rows = []
        for sign, end in (("→", ""), ("+", "= E")):
            names = [name for name in self.groups if name.startswith("output") == bool(end)]
            parts = [part for name in names for part in (self.blocks[name], arrow(sign))]
            parts[-1] = arrow(end).add_class("tlmlp-sum")
            rows.append(line(*parts, width="100%"))
        self.map_words = text(margin="4px 2px -2px")
        look = dict(flex="1 1 0", min_width="0", margin="0 0 0 10px", overflow="hidden")
        return widgets.VBox([self.map_words, *rows, self.picture], layout=look)

    @property
    def settings(self):
        """What the controls say now, by the names of CHOICES, and the frozen groups."""
        frozen = [name for name, block in self.blocks.items() if block.value]
        return super().settings | dict(frozen=frozen)

    def set(self, **settings):
        """Move controls; names as in `settings`. ValueError for a value that a control lacks."""
        frozen = settings.pop("frozen", self.settings["frozen"])
        transfer.freeze(self._network, frozen)  # says what is wrong with it
        there = f"there are frozen, {', '.join(CHOICES)}"
        for name, value in settings.items():
            refuse(name not in CHOICES, f"there is no control {name!r}; {there}")
            one_of(name, value, [value for _, value in CHOICES[name]])
        start = settings.get("start", self.controls["start"].value)
        words = "there is no replay in reduced units, where silicon has other lengths"
        refuse(settings.get("replay") and start == "reduced", words)
        self.quiet = True  # one picture, when all have moved
        for name, value in settings.items():
            self.controls[name].value = value
        self._freeze({frozen} if isinstance(frozen, str) else set(frozen))
        return self

    def _start_moved(self, change):
        """In reduced units silicon has other lengths and energies: there is no replay."""
        replay = self.controls["replay"]
        replay.disabled = change["new"] == "reduced"
        replay.value = 0 if replay.disabled else replay.value

    def _frozen_moved(self, change):
        """The slider or a block was moved; it counts the frozen groups at the front."""
        if self.quiet:
            return
        owner, slider = change["owner"], self.depth
        frozen = set(self.groups[: slider.value] if owner is slider else self.settings["frozen"])
        if len(frozen) == len(self.groups):
            frozen -= {name for name, block in self.blocks.items() if block is owner}
            self.say(FREE, "warn", hold=5)
        self._freeze(frozen)

    def _freeze(self, names):
        self.quiet = True
        for name, block in self.blocks.items():
            block.value = name in names
        self.depth.value = next(d for d, name in enumerate(self.groups) if name not in names)
        self.quiet = False
        self.changed()

    @property
    def rows(self):
        """Rows of the newest run, one a training."""
        return list(self.runs[-1]["rows"]) if self.runs else []

    def reset(self):
        """Stop, forget all runs and put the controls back."""
        self.stop("reset")
        with self.lock:
            self.run.latest = self.run.error = None
            self.run.how = "reset" if self.begun else self.run.how
            self.runs, self.potentials, self.asked = [], {}, None
            self._greeting = "All runs are forgotten. Choose, then press Train."
        self.set(**self.default)

    def save(self, path=None):
        """Write all runs to a JSON file; returns a sentence about it."""
        path, runs = expanded(path or self.file.value), [run for run in self.runs if run["rows"]]
        refuse(not runs, "there is no run to save yet; press Train first")
        known = json.loads(json.dumps(runs))
        lost = [run for run in self._read(path) if run not in known] if path.is_file() else []
        words = "runs that are not here and would be lost; press Load first, or name another file"
        refuse(lost, f"{path} holds {len(lost)} {words}")
        write_whole(path, json.dumps(dict(tlmlp_runs=1, runs=runs)).encode())
        return f"{count(len(runs))} saved to {path}."

    def load(self, path=None):
        """Read runs that `save` wrote, before those of today; returns a sentence about it."""
        path = expanded(path or self.file.value)
        words = f"there is no file {path}; press Save first, or name another"
        refuse(not path.is_file(), words, FileNotFoundError)
        runs = self._read(path)
        with self.lock:
            known = json.loads(json.dumps(self.runs))
            new = [run for run in runs if run not in known]
            self.runs = new + self.runs
        self.redraw()
        here = f", {len(runs) - len(new)} here already" if len(new) < len(runs) else ""
        return f"{count(len(new))} read from {path}{here}."

    def _read(self, path):
        """The runs of a file; ValueError for one that holds none."""
        try:
            runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
            for run in runs:
                Run.of(run["rows"][0])
                table([run], {})
            return runs
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            words = "does not hold runs of this explorer; Save writes such a file"
            raise ValueError(f"{path} {words}") from None

    def _pressed(self, action):
        try:
            self.say(action(), hold=5)
        except (OSError, ValueError) as error:
            self.say(plain(error), "error", hold=5)

    def result(self, steps=100):
        """The potentials of the newest run: {"transfer": Potential, "scratch": Potential}.

        Where nobody has pressed Train, it trains `steps` steps here and now, so that a notebook
        runs from top to bottom. Waits for the end of a training under way. RuntimeError where one
        was stopped before the first point of its curve.
        """
        if not self.begun and not self.potentials:
            before = self.settings["steps"]
            self.set(steps=steps).start().wait()
            self.set(steps=before)
            self._short = self.settings
            self.redraw()
            words = f"Nobody pressed Train, so this cell trained {steps} steps."
            print(f"{words} Press Train above for {before}.")
        self.finish()
        refuse(not self.potentials, UNTRAINED, RuntimeError)
        if self._reached < (of := self.runs[-1]["settings"]["steps"]):
            print(f"The training was stopped: its curve ends at step {self._reached} of {of}.")
        return dict(self.potentials)

    def work(self):
        pooch.get_logger().setLevel("WARNING")  # it announces a download in red, like an error
        with self.lock:
            if self.run.stop.is_set():  # Reset was pressed just now
                return ()
            self.asked, self.potentials, self._pace = self.order, {}, []
            self.runs.append(dict(settings=self.asked, rows=[], seconds=0.0))
        if psutil.Process().memory_info().rss > FULL * 1e9 * machine.memory_limit():
            race.forget_programs()
        return race.laps(race.pairs(**self.asked))

    def take(self, lap):
        if lap.rows:
            run = self.runs[-1]
            rows = {(row["method"], row["seed"]): row for row in [*run["rows"], *lap.rows]}
            run["rows"], run["seconds"] = list(rows.values()), round(self.run.seconds, 1)
            reached = max(row["curve"][-1][0] for row in lap.rows)
            if reached:  # no weights before the first point of a curve
                self.potentials, self._reached = dict(lap.potentials), reached
        if lap.stage.startswith("training"):
            self._pace = [*self._pace[:1], (time.monotonic(), lap.done)]

    def paint(self, run):
        with self.lock:
            runs, lap, pace = [dict(r) for r in self.runs], run.latest, list(self._pace)
            # A run under way shows its own settings; before it, the one before may end a step.
            shown = self.settings if run.how else self.order
            own = self.asked is not None and (bool(run.how) or self.asked is shown)
            stale = own and self.asked != shown
            short = self.asked["steps"] if own and shown == self._short else 0  # see result
        done, total = (lap.done, lap.total) if lap else (0, 1)
        words = f"{lap.stage}, {duration(run.seconds)}" if lap else "beginning"
        if lap and len(pace) == 2:
            steps = shown["steps"]  # of each side of a pair: they take turns
            step = f"step {done % (2 * steps) // 2} of {steps}"
            words = f"{lap.stage}, {step}: {left(*pace, total)}"
        self.progress(run, done, total, small(muted("" if run.how else words)))
        rows = runs[-1]["rows"] if runs and own else []
        earlier = [r["rows"] for r in (runs[:-1] if own else runs) if r["rows"]]
        self._label_blocks(rows if not stale and shown["frozen"] == self.settings["frozen"] else [])
        self.table.value = table(runs, shown)
        asked = bool(run.how) and shown in [r["settings"] for r in runs if r["rows"]]
        lengths, known = [len(r["curve"]) for r in rows], fitting(self.precomputed * asked, shown)
        words = f"a short run of {short} steps: press Train" if short else STALE
        moved, empty = words * bool(stale and rows), EMPTY if run.how else WAIT
        key = json.dumps([moved, empty, lengths, len(earlier), shown, asked])
        self.show(key, lambda: learning.race(rows, earlier, known, moved, empty, shown["steps"]))
        self.say(self._words(run, lap) if own or not run.how else self._greeting)

    def _words(self, run, lap):
        if not run.how:
            if self.order != self.settings:
                return f"This training has {chosen(self.order)}: the controls are for the next one."
            return "Training runs in the background: move the controls, run other cells."
        words = {"superseded": "Stopped, because another explorer was started. "}
        words["done"] = f"Done in {duration(self.runs[-1]['seconds'])}. "
        head = words.get(run.how, "Stopped. ")
        if not run.over.is_set() and lap is not None and not lap.stage.startswith("training"):
            goes_on = f"What had begun ({lap.stage}) ends in the background; "
            return f"{head}{goes_on}Train may be pressed at once."
        return head + summary(self.rows)

    def _label_blocks(self, rows):
        moved = [row["moved"] for row in rows if row["method"] != "scratch"]
        for name, block in self.blocks.items():
            words = "frozen" if block.value else ""
            if moved:
                far = 100 * sum(m[name] for m in moved) / len(moved)
                words = f"moved {far:.1f} %" if far else "moved 0"
            block.description = f"{name.replace('_', ' ')}\n{thousands(self.sizes[name])}\n{words}"
        frozen = sum(self.sizes[name] for name in self.settings["frozen"])
        of = f"{thousands(frozen)} of {thousands(sum(self.sizes.values()))} frozen"
        self.map_words.value = small(f"<b>Freeze map</b> (press a block): {of}")


def fitting(rows, settings):
    """The precomputed rows that belong to some settings: transfer and scratch, every seed.

    Where there are none with the same number of steps and learning rate, those that come closest.
    """
    rate, steps, out = settings["learning_rate"], settings["steps"], []
    apart = lambda r: (r["learning_rate"] != rate, abs(r["steps"] - steps))
    if settings.get("replay") or settings.get("taylor"):
        return []
    simple = [r for r in rows if not (r.get("validation") or r.get("phase"))]
    for method, frozen in ((settings["start"], settings["frozen"]), ("scratch", ())):
        same = learning.where(simple, source=settings["source"], method=method, n=settings["n"])
        same = [r for r in same if set(r["frozen"]) == set(frozen)]
        best = min(map(apart, same), default=None)
        out += [r for r in same if apart(r) == best]
    return out
