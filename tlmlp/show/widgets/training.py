"""Training: watch a potential learn, and stop it when it has learned enough."""

import time

import ipywidgets as widgets

from ..figures.learning import learning_curve
from .live import Live, duration, sentence


class Training(Live):
    """Train and Stop buttons around `tlmlp.fit`, with a moving curve.

    make_fit: a function without arguments that returns the generator, called at each press of Train:

        training = show.Training(lambda: tlmlp.fit(potential, train, valid, steps=1000, report_every=5))

    The training is looked at after every report, so report_every decides how fast Stop answers. `.potential` is the newest
    one, `.best` the one with the smallest validation error (the newest without validation), `.history` the reports.
    """

    interval = 1.0
    size = (720, 300)  # pixels of the picture

    def __init__(self, make_fit):
        self.make_fit, self.history, self.last = make_fit, [], None
        self._drawn = None
        button = widgets.Layout(width="110px")
        self._train = widgets.Button(
            description="Train", icon="play", button_style="primary", layout=button
        )
        self._stop = widgets.Button(description="Stop", icon="stop", disabled=True, layout=button)
        self._bar = widgets.IntProgress(
            0, 0, 1, layout=widgets.Layout(width="190px", margin="2px 8px")
        )
        self._time = widgets.Label("", layout=widgets.Layout(width="280px"))
        width, height = self.size
        self._picture = widgets.Image(
            value=_png([], self.size),
            format="png",
            width=width,
            height=height,
            layout=widgets.Layout(width=f"{width}px", height=f"{height}px", object_fit="fill"),
        )
        super().__init__(
            [widgets.HBox([self._train, self._stop, self._bar, self._time]), self._picture]
        )
        self.layout.width = f"{width + 20}px"
        self.layout.overflow = "hidden"
        self.status.layout.min_height = "48px"  # two lines, so that nothing below jumps
        self._train.on_click(self.start)
        self._stop.on_click(self.stop)
        self.status.value = sentence("Nothing is trained yet.")

    @property
    def potential(self):
        """The newest Potential of this training. RuntimeError while there is none."""
        return self._reached().potential

    @property
    def best(self):
        """The Potential with the smallest validation error so far. RuntimeError while there is none."""
        last = self._reached()
        return last.best if last.best_step else last.potential

    def _reached(self):
        if self.last is None:
            raise RuntimeError(
                "nothing is trained yet: press Train, and wait for the first point of the curve"
            )
        return self.last

    def result(self, at_least=100):
        """`.best`, after a training of at least so many steps; says which.

        Where nobody has pressed Train, it trains `at_least` steps here and now, so that a notebook runs from top to
        bottom. A training that is under way goes on.
        """
        started_here = self._run is None
        if started_here:
            self.start()
        while self.alive and (self.last is None or self.last.step < at_least and started_here):
            time.sleep(0.05)
        if started_here and self.running:
            self.stop()
            self.wait()
        elif not self.alive and self.last is None:
            self.wait()
        last = self._reached()
        if started_here and last.step < last.steps:
            print(
                f"Nobody pressed Train, so this cell trained {last.step} of {last.steps} steps. Press Train above for all."
            )
        elif self.running:
            print(
                f"The training still runs; these are its weights after {last.step} of {last.steps} steps."
            )
        return self.best

    # -- what Live asks for --------------------------------------------------------------------------------------------

    def work(self):
        with self._lock:
            self.history, self.last, self._drawn = [], None, None
        return self.make_fit()

    def take(self, progress):
        self.last = progress
        self.history.append(
            progress._replace(potential=None, best=None)
        )  # numbers only: weights would fill the memory

    def paint(self, run):
        running, p = not run.stop.is_set(), run.latest
        self._train.disabled, self._stop.disabled = running, not running
        self._train.description = "Train" if running or p is None else "Train anew"
        if p is None:
            self._bar.value = 0
            self._time.value = f"compiling the network, {duration(run.seconds)}" if running else ""
            self.status.value = sentence(
                "The network is being compiled for this data: 10 to 30 s, once."
                if running
                else f"{run.how.capitalize()} before the first step."
            )
            if running and not self._drawn:
                self._picture.value, self._drawn = _png([], self.size), "empty"
            return
        self._bar.max, self._bar.value = p.steps, p.step
        self._bar.bar_style = "" if running else "success" if run.how == "done" else "warning"
        self._time.value = f"step {p.step} of {p.steps}" + (f", {self._left(p)}" if running else "")
        if self._drawn != p.step:
            with self._lock:
                history = list(self.history)
            begun = time.monotonic()
            self._picture.value, self._drawn = _png(history, self.size), p.step
            self.interval = max(
                type(self).interval, 5 * (time.monotonic() - begun)
            )  # drawing never takes over
        self.status.value = _words(run, p, [h.valid for h in self.history if h.valid])

    def _left(self, p):
        first = self.history[0]
        if p.step == first.step:
            return "measuring its speed"
        return f"{duration((p.seconds - first.seconds) / (p.step - first.step) * (p.steps - p.step))} left"


def _words(run, p, valid):
    head = {
        "": "",
        "done": f"Done in {duration(p.seconds)}.",
        "failed": "",
        "superseded": "Stopped, because another training was started.",
    }.get(run.how, "Stopped." if not run.worker.is_alive() else "Stopping after this step.")
    parts = [
        head,
        f"Training frames: energy MAE {p.energy_mae:.1f} meV/atom, force MAE {p.force_mae:.0f} meV/Å.",
    ]
    if valid:
        v = valid[-1]
        parts.append(
            f"Validation frames: energy MAE {v.energy_mae:.1f} meV/atom, force MAE {v.force_mae:.0f}, RMSE {v.force_rmse:.0f} meV/Å"
            + (f"; best weights: step {p.best_step}." if p.best_step else ".")
        )
    return sentence(" ".join(filter(None, parts)))


def _png(history, size):
    return learning_curve(history, size=(size[0] / 100, size[1] / 100)).png(150)
