"""Choices: which structures are labelled, what is trained on them, with which loss."""

from ...course.choices import ALGORITHMS, CHOICES, LOSSES, attempt
from ..figures.choices import attempts
from .controls import image, menu
from .job import Job

SIZE = (580, 360)  # pixels of the picture, which is that of `figures.choices.attempts`
STEPS = 400
SIZES = (5, 10, 20, 40)


class Choices(Job):
    """Four menus choose structures of germanium, their number, an algorithm and a loss.

    Train labels them, trains, and adds a line to the picture. `.found` has the rows of what has
    run, see course.choices.attempt.
    """

    shows = "Force errors of what was trained, the newest on top."

    def __init__(self):
        super().__init__("Train", image(SIZE))
        self.found, self.current = [], None
        flipped = lambda names: [(words, name) for name, words in names.items()]
        self.controls = dict(
            choice=menu(flipped(CHOICES), "groups", 300, "structures"),
            n=menu([(str(n), n) for n in SIZES], 10, 130, "how many"),
            algorithm=menu(flipped(ALGORITHMS), "linear", 240, "algorithm"),
            loss=menu([(name, name) for name in LOSSES], "labels", 220, "loss"),
        )
        self.beside(310)

    def work(self):
        self.current = None
        yield from attempt(**self.order, steps=STEPS)

    def take(self, row):
        if self.current is not None:
            self.found.pop()
        self.current = row
        self.found.append(row)

    def paint(self, run):
        with self.lock:
            found, current = list(self.found), self.current
        done, steps = (current["step"], current["steps"]) if current else (0, 1)
        words = f"step {done} of {steps}" if current and done < steps else ""
        self.progress(run, done, steps, words)
        key = (len(found), done, current and current["seconds"])
        self.show(key, lambda: attempts(found))
        self.say(self._words(run, current))

    def _words(self, run, current):
        if not self.begun:
            return "Choose in the menus, then press Train."
        if not current:
            return "Stopped before the first result." if run.how else "Structures are chosen."
        held = ", ".join(f"{n} {group.lower()}" for group, n in current["structures"].items())
        words = f"{CHOICES[current['choice']].capitalize()}: {held}. "
        words += f"Force MAE {current['force_mae']:.0f} meV/Å, "
        words += f"{current['seconds']:.0f} s." if run.how else f"step {current['step']}."
        return words
