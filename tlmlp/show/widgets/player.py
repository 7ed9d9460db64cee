"""Player: a Live that plays atoms, with Play, Pause and Stop, and a viewer or two."""

import time

from ...refusal import one_of
from .controls import button, duration, line, menu
from .live import Live, Run
from .viewer import KINDS, usual

PLOTS = 0.9  # s between two plots at least; drawing them takes a seventh of the time at most
SILENCE = 3.0  # s without a frame, after which it says so


class Player(Live):
    """Live with a beginning to go back to: Play goes on, Pause holds, Stop goes back.

    viewer: "nglview" or "canvas" [default: on Colab the latter]; pause_after: s after which it
    pauses by itself, so that a forgotten notebook does not work for ever (0 or None: never).

    A subclass has, besides `work` of Live,

        back()            take everything to the start, `rest`: ase.Atoms, one for each viewer
        frames()          what each viewer shows: something with positions; None for `rest`
        colours(frame)    [N] from 0 to 1, or None for those of the elements
        tell(run)         write numbers and labels, at every look
        plot()            draw what takes long, less often

    Stop is final: where the worker is in the middle of a step, it takes everything back itself.
    """

    interval, leisure, health = 0.02, 0, "ok"
    size = (410, 390)  # of a viewer, in pixels
    noun, playing = "simulation", "The atoms move."
    beginning = "Compiling"  # what is done before the first frame
    colouring = "element"  # another one is another picture of the same frame

    def __init__(self, viewer=None, pause_after=300):
        viewer = viewer or usual()
        one_of("viewer", viewer, KINDS)
        super().__init__()
        self.pause_after, self.rest, self.views = pause_after, [], []
        toggle = lambda: self.pause() if self.running else self.play()
        self.play_button = button("Play", "play", toggle, "go on, or begin")
        self.stop_button = button("Stop", "stop", self.stop, "end, and go back to the start")
        self.viewer_menu = menu(KINDS, viewer, 140, "viewer")
        # The viewers and what is beside them, in one row: in a column nglview loses its camera.
        self.stage, self.beside = line(align_items="flex-start").add_class("tlmlp-stage"), []
        self._asked_back, self._staged, self._sent = False, None, []
        self._seen, self._moved, self._plotted, self._plot_after = (), 0.0, (), 0.0
        self.viewer_menu.observe(self.redraw, "value")

    def plot(self, *_):
        """Nothing is drawn."""

    colours = tell = plot

    def play(self):
        return self if self.running else self.start()

    def pause(self):
        super().stop("paused")

    def stop(self, how="stopped"):
        """End, and go back to the start."""
        with self.lock:
            super().stop(how)
            if how == "stopped":
                self._asked_back = self.alive
                if self.alive:
                    self.run.how = how  # also where it was paused, in the middle of a step
                else:
                    self.back()
                    self.run = Run(how)
        self.redraw()

    def anew(self, *_, between=lambda: None):
        """A setting of the start has moved: go back to it, and play on where it played."""
        with self.lock:  # a worker that ends meanwhile goes back when `between` is done as well
            playing = self.running
            self.stop()
            between()
        if playing:
            self.play()

    def heat(self, change):
        """The slider of a thermostat was moved."""
        self.target = float(change["new"])
        self.redraw()

    def ended(self, run):
        if self._asked_back:
            self._asked_back, run.latest, run.error = False, None, None
            self.back()

    def paint(self, run):
        running, last, now = not run.how, run.over.is_set(), time.monotonic()
        label = ("Pause", "pause") if running else ("Play", "play")
        self.play_button.description, self.play_button.icon = label
        if running and self.pause_after and run.seconds > self.pause_after:
            self.stop("rested")
        with self.lock:
            rest = self.rest
            shown = [a if f is None else f for a, f in zip(rest, self.frames())]
        ids = lambda frames: [id(frame) for frame in frames]  # arrays have no truth value for `==`
        if ids(shown) != ids(self._seen):
            self._seen, self._moved = shown, now
        self._set_stage(rest, shown)
        colouring = self.colouring
        for number, (view, frame) in enumerate(zip(self.views, shown)):
            known = self._sent[number][0] is frame and self._sent[number][1] == colouring
            if not known and (view.ready or last):
                view.draw(frame.positions, self.colours(frame))
                self._sent[number] = frame, colouring
        self.tell(run)
        if ids(shown) != ids(self._plotted) and (last or now > self._plot_after):
            begun = time.monotonic()
            self.plot()
            done = time.monotonic()
            self._plotted, self._plot_after = shown, done + max(PLOTS, 6 * (done - begun))
        self.say(self.words(run), "note" if self.health == "ok" else "error")

    def _set_stage(self, rest, shown):
        """New viewers, where others than those on the stage are asked for."""
        kind = self.viewer_menu.value
        staged = [kind] + [(a.numbers.tobytes(), a.cell.array.tobytes()) for a in rest]
        if staged == self._staged:
            return
        old, atoms = self.views, [a.copy() for a in rest]
        for a, frame in zip(atoms, shown):
            a.positions = frame.positions
        self.views = [KINDS[kind](a, self.size) for a in atoms]
        self.stage.children = [*(view.widget for view in self.views), *self.beside]
        self._staged, self._sent = staged, [(frame, "element") for frame in shown]
        for view in old:
            view.widget.close()

    def words(self, run):
        if not run.how:
            if any(frame is None for frame in self.frames()):
                return f"{self.beginning}, {duration(run.seconds)}."
            silence = time.monotonic() - max(self._moved, run.started)
            if silence > SILENCE:
                return f"Computing, {duration(silence)} since the last picture."
            return self.playing
        rested = f"Paused after {duration(self.pause_after or 0)}, to spare the processor."
        return {
            "idle": "Press Play.",
            "paused": "Paused.",
            "stopped": "Stopping." if not run.over.is_set() else "The atoms are back at the start.",
            "cleared": "Paused, because its output was cleared. Play goes on.",
            "rested": f"{rested} Play goes on.",
            "superseded": f"Paused, because another {self.noun} plays. Play goes on here.",
        }.get(run.how, "Stopped.")
