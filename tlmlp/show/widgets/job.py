"""Job: a Live that comes to an end, with controls, a bar and one picture."""

from copy import copy

import ipywidgets as widgets

from ...refusal import is_number, is_whole, one_of, refuse
from .controls import Picture, button, line, text
from .live import Live

UNTRAINED = "nothing is trained yet: press Train, and wait for the first point of the curve"
WAITING = "The widget is still at work: this cell waits for its end (Kernel, Interrupt gives up)."


class Job(Live):
    """Live with a start and a stop button, a bar, words beside it and a picture.

    label: of the start button; picture: a Picture [default: as wide as its place]. A subclass
    paints with `progress` and `show`. `shows` and the sentence below are the picture's alt text.
    `.settings` is what its `.controls` say now; `work` takes for `.asked` what they said, `.order`,
    when it was started: the work may begin later, where the one before has to end its step.
    """

    shows = ""

    def __init__(self, label, picture=None):
        super().__init__()
        self.controls, self.quiet = {}, False
        self.asked = self.order = self.found = None
        self.start_button = button(label, "play", self.start, button_style="primary")
        self.stop_button = button("Stop", "stop", self.stop, disabled=True)
        self.bar = widgets.IntProgress(0, 0, 1, layout=widgets.Layout(width="200px"))
        self.time, self._drawn = text(min_height="20px"), ""
        wide = dict(width="100%", margin="0")
        self.picture = picture or Picture(format="png", layout=wide)

    @property
    def settings(self):
        """What the controls say now."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def stale(self):
        """Whether a control has moved since the newest run began."""
        return self.asked is not None and self.asked != self.settings

    def set(self, **settings):
        """Move controls, by their names in `controls`; returns the widget.

        ValueError for another name, and for a value that a control lacks.
        """
        for name, value in settings.items():
            one_of("a setting", name, self.controls)
            if hasattr(control := self.controls[name], "min"):
                whole = isinstance(control.value, int)
                fine = is_whole(value, control.min) if whole else is_number(value)
                words = f"{name} must be a {'whole ' * whole}number from {control.min:g} to "
                words += f"{control.max:g}, not {value!r}"
                refuse(not fine or not control.min <= value <= control.max, words)
            else:  # a menu of values, or of (words, value)
                pairs = (o if isinstance(o, tuple) else (o, o) for o in control.options)
                one_of(name, value, [own for _, own in pairs])
        for name, value in settings.items():
            self.controls[name].value = value
        return self

    def arrange(self, *children, width):
        """Show these and the sentence below, in `width` pixels; draw anew where a control moves."""
        for control in self.controls.values():
            control.observe(self.changed, "value")
        self.children = [*children, self.status]
        self.layout.width, self.layout.max_width = f"{width}px", "100%"
        self.redraw()

    def beside(self, width, *more):
        """Lay the controls, the buttons and `more` in a column of `width` pixels by the picture."""
        side = [*self.controls.values(), line(self.start_button, self.stop_button), self.bar]
        look = dict(flex_flow="column", align_items="flex-start", width=f"{width}px")
        row = line(line(*side, self.time, *more, **look), self.picture)
        self.arrange(row, width=int(self.picture.width) + width + 30)

    def start(self, *_):
        self.order = self.settings
        return super().start()

    def finish(self):
        """Wait for what was started, in a cell that asks for its result; says so."""
        if self.alive:
            print(WAITING)
        return self.wait()

    def result(self):
        """A copy of `.found`, what has run; starts where nobody has, and waits for the end."""
        if not self.begun:
            self.start()
        self.finish()
        return copy(self.found)

    def changed(self, *_):
        """A control has moved. While it works, the painter draws by itself."""
        if not self.running and not self.quiet:
            self.redraw()

    def progress(self, run, done, total, words):
        """Say how far it is: `done` of `total`."""
        running = not run.how
        self.start_button.disabled, self.stop_button.disabled = running, not running
        self.bar.max, self.bar.value, self.time.value = total, done, words
        ended = "success" if run.how == "done" else "warning"
        self.bar.bar_style = ended if self.begun and not running else ""

    def say(self, words, kind="note", hold=0.0):
        super().say(words, kind, hold)
        self.picture.tooltip = f"{self.shows} {words}".strip()

    def show(self, key, draw, dpi=150):
        """Draw the picture, where its key is another than that of the last one."""
        if key != self._drawn:
            self.picture.value, self._drawn = draw().png(dpi), key
