"""Training: watch a potential learn, and stop it when it has learned enough."""

import time

from ...refusal import refuse
from ..figures.learning import learning_curve
from .controls import duration, image, left, line
from .job import UNTRAINED, Job

SIZE = (720, 300)  # pixels of the picture, which is that of `learning_curve`


class Training(Job):
    """Train and Stop buttons around `tlmlp.fit`, with a moving curve.

    make_fit: a function without arguments that returns the generator, called by every Train:

        show.Training(lambda: tlmlp.fit(potential, train, valid, steps=1000, report_every=5))

    report_every decides how fast Stop answers. `.potential` is the newest one, `.best` the one
    with the smallest validation error (the newest without validation), `.history` the reports.
    """

    shows = "Training curve."

    def __init__(self, make_fit):
        super().__init__("Train", image(SIZE))
        self.make_fit, self.history, self.last = make_fit, [], None
        controls = line(self.start_button, self.stop_button, self.bar, self.time)
        self.status.layout.min_height = "48px"  # two lines, so that nothing below jumps
        self.arrange(controls, self.picture, width=SIZE[0] + 20)

    @property
    def potential(self):
        """The newest Potential of this training. RuntimeError while there is none."""
        return self._reached().potential

    @property
    def best(self):
        """The Potential with the smallest validation error. RuntimeError while there is none."""
        last = self._reached()
        return last.best if last.best_step else last.potential

    def _reached(self):
        refuse(self.last is None, UNTRAINED, RuntimeError)
        return self.last

    def result(self, at_least=100):
        """`.best`, after a training of at least so many steps; says which.

        Where nobody has pressed Train, it trains `at_least` steps here and now, so that a notebook
        runs from top to bottom. Waits for the end of a training that is under way.
        """
        started_here = not self.begun
        if started_here:
            self.start()
            while self.alive and (self.last is None or self.last.step < at_least):
                time.sleep(0.05)
            self.stop()
            self.wait()
        self.finish()
        last = self._reached()
        reached = f"{last.step} of {last.steps} steps"
        if started_here and last.step < last.steps:
            print(f"Nobody pressed Train, so this cell trained {reached}. Press Train for all.")
        elif last.step < last.steps:
            print(f"The training was stopped: these are its weights after {reached}.")
        return self.best

    def work(self):
        with self.lock:
            self.history, self.last = [], None
        return self.make_fit()

    def take(self, progress):
        self.last = progress  # of the others numbers only: weights would fill the memory
        self.history.append(progress._replace(potential=None, best=None))

    def paint(self, run):
        with self.lock:
            running, p, history = not run.how, self.last, list(self.history)
        self.show(p and p.step, lambda: learning_curve(history))
        if p is None:
            self.progress(run, 0, 1, f"compiling the network, {duration(run.seconds)}" * running)
            words = "The network is compiled for this data: 10 to 30 s, once on a computer."
            ended = f"{run.how.capitalize()} before the first step."
            self.say(words if running else ended if self.begun else "Nothing is trained yet.")
            return
        words = f"step {p.step} of {p.steps}"
        if running:
            ends = ((h.seconds, h.step) for h in (history[0], history[-1]))
            words += f", {left(*ends, p.steps)}"
        self.progress(run, p.step, p.steps, words)
        self.say(self._words(run, p))

    def _words(self, run, p):
        stopped = "Stopping after this step." if not run.over.is_set() else "Stopped."
        superseded = "Stopped, because another training was started."
        known = {"": "", "done": f"Done in {duration(p.seconds)}.", "superseded": superseded}
        words = f"{known.get(run.how, stopped)} Training frames: energy MAE {p.energy_mae:.1f} "
        words += f"meV/atom, force MAE {p.force_mae:.0f} meV/Å."
        if valid := [h.valid for h in self.history if h.valid]:
            v = valid[-1]
            words += f" Validation frames: energy MAE {v.energy_mae:.1f} meV/atom, force MAE "
            words += f"{v.force_mae:.0f}, RMSE {v.force_rmse:.0f} meV/Å"
            words += f"; best weights: step {p.best_step}." if p.best_step else "."
        return words.strip()
