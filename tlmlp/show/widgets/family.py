"""Family: choose an element by four sliders, and train towards it."""

import ipywidgets as widgets
import numpy as np

from ...course.family import KNOBS, Member, compete
from ...course.results import gains_of, mean_and_spread, rows
from ..figures.learning import race
from ..figures.style import METHODS
from .controls import image, menu, tag, text
from .job import Job

SIZE = (560, 290)  # pixels of the picture, which is that of `figures.learning.race`
STEPS = 400
RANGES = dict(  # lowest, highest, step, words
    size=(0.85, 1.25, 0.05, "size σ, over silicon's"),
    energy=(0.5, 2.0, 0.1, "energy ε, over silicon's"),
    stiffness=(0.0, 42.0, 3.0, "stiffness λ (21)"),
    angle=(90.0, 135.0, 2.5, "angle θ0 (109.5°)"),
)
UNITS = {"copied weights": False, "reduced units": True}


class Family(Job):
    """Four sliders choose an element of Stillinger-Weber's family; Train starts from its silicon.

    Scratch and transfer train on ten structures, in turns. Beside them stand the gains of the
    precomputed member next to it. `.found` has the rows of what has run, by (member, reduced).
    """

    shows = "Scratch and transfer to an element of the family."

    def __init__(self):
        super().__init__("Train", image(SIZE))
        known = [row for row in rows("family") if (row["n"], row["steps"]) == (10, 800)]
        self.known, self.found, self.current = gains_of(known, tuple(KNOBS)), {}, []
        self.controls = {name: self._slider(name) for name in KNOBS}
        self.controls["reduced"] = menu(UNITS.items(), False, 160, tip="start of the transfer")
        self.numbers = text()
        self.beside(360, self.numbers)

    @staticmethod
    def _slider(name):
        low, high, step, words = RANGES[name]
        own = low + step * round((KNOBS[name] - low) / step)
        look = dict(description=words, style=dict(description_width="170px"), readout_format=".3g")
        wide = widgets.Layout(width="350px")
        return widgets.FloatSlider(own, min=low, max=high, step=step, layout=wide, **look)

    @property
    def member(self):
        """The element that the sliders say."""
        return self._member(self.settings)

    @staticmethod
    def _member(settings):
        near = lambda name: abs(settings[name] - KNOBS[name]) < RANGES[name][2] / 2
        return Member(**{name: KNOBS[name] if near(name) else settings[name] for name in KNOBS})

    def work(self):
        self.current, self.asked = [], self.order
        yield from compete(self._member(self.order), self.order["reduced"], steps=STEPS)

    def take(self, found):
        self.current = [dict(row, curve=list(row["curve"])) for row in found]
        self.found[self._member(self.asked), self.asked["reduced"]] = self.current

    def paint(self, run):
        with self.lock:
            current = list(self.current)
        done = current[-1]["curve"][-1][0] if len(current) == 2 else 0
        self.progress(run, done, STEPS, "")
        other = "Trained with other sliders." if self.stale and current else ""
        key = (len(current), done, other)
        self.show(key, lambda: race(current, stale=other, empty="no step yet", steps=STEPS))
        self.numbers.value = self._table()
        self.say(self._words(run, current))

    def _words(self, run, current):
        if not self.begun:
            return "Move the sliders away from silicon, then press Train."
        if not run.how:
            return "Scratch and transfer train in turns." if current else "The data are computed."
        if len(current) < 2:
            return "Stopped before the first step."
        scratch, carried = (row["curve"][-1][1] for row in current)
        before = current[1]["curve"][0][1] / current[1]["force"]
        done = current[1]["curve"][-1][0]
        words = "" if done == STEPS else f"Stopped after step {done}. "
        words += f"Scratch {scratch:.0f}, transfer {carried:.0f} meV/Å: a gain of "
        words += f"{scratch / carried:.1f}. Before training silicon's network had an error of "
        return words + f"{before:.0%} of the mean force."

    def _table(self):
        """Gains of the precomputed member that is next to the sliders."""
        scale = [high - low for low, high, *_ in RANGES.values()]
        own = [getattr(self.member, name) for name in KNOBS]
        far = lambda values: np.abs((np.array(values) - own) / scale).sum()
        nearest = min({values for values, _ in self.known}, key=far)
        lines = [tag("b", "Precomputed, 800 steps, five seeds:"), str(Member(*nearest))]
        for method in ("transfer", "reduced"):
            if pairs := self.known.get((nearest, method)):
                mean, spread = mean_and_spread([gain for gain, _ in pairs])
                lines.append(f"{METHODS[method].word}: gain {mean:.1f} ± {spread:.1f}")
        return "<br>".join(lines)
