"""Duel: two potentials, the same crystal, the same heat, side by side until they break."""

import ipywidgets as widgets

from ...course import stability
from ...course.sources import SOURCES
from ...potential import header, shipped
from ...refusal import one_of, refuse
from ..figures.style import METHODS
from . import plots
from .controls import NUMBERS, block, image, line, menu, muted, tag, text
from .md import SW, thinned
from .player import Player

RATES = (100, 200, 400, 800)  # K/ps
EVERY = 5  # steps at a time, always the same: a seed gives the same duel on a slow computer
PLOTTED = "Temperature, fraction of liquid and nearest two atoms against time"
SIDES = {"left": "scratch", "right": "transfer"}  # what stands there at first


class Side:
    """One of the two, or the reference: its potential's run and what was seen of it."""

    broken = property(lambda self: self.look is not None and bool(self.look.failure))

    def __init__(self, name, colour):
        self.name, self.colour = name, colour
        self.title, self.clock = text(), text()
        self.forget()

    def forget(self):
        self.run, self.look, self.curve = None, None, []

    def advance(self):
        """One chunk; nothing for a side that has broken."""
        if self.run is None or self.broken:
            return
        self.look = look = next(self.run)
        s = look.snapshot
        point = s.time_fs / 1000, s.temperature_K, s.target_K, look.liquid, look.nearest
        self.curve = thinned([*self.curve, point])


class Duel(Player):
    """Two germanium potentials side by side, at a temperature that rises until they break.

    left, right: names of potentials that ship, or Potentials [default: scratch and transfer, both
    trained on `n` structures of `source`]; source: of tlmlp.course.TRAJECTORIES, which says how
    germanium should look; rate: K/ps by which the thermostat rises from 300 K; seed: of velocities
    and heat; viewer and pause_after as in LiveMD. Where one of these changes, the duel begins
    anew, and plays on where it played.

    Both take the same number of steps in turn, so their clocks agree. A side has broken when
    tlmlp.course.stability.heat says so: its clock stops and its atoms hold still, while the other
    goes on. With the source "stillinger-weber" the reference runs along as a black line: a crystal
    that is lost no earlier than there was not the potential's fault. `.looks` are the newest Looks
    of left and right, None at first. ValueError for names and numbers that do not exist.
    """

    size = (392, 300)  # the two no wider than a cell on a small screen
    plot_size, noun = (800, 215), "duel"
    looks = property(lambda self: tuple(side.look for side in self.sides))
    over = property(lambda self: all(side.broken for side in self.sides))

    def __init__(
        self,
        left=None,
        right=None,
        source="stillinger-weber",
        n=10,
        rate=400,
        seed=0,
        viewer=None,
        pause_after=600,
    ):
        one_of("rate in K/ps", rate, RATES)
        known = stability.references(source).values()
        self._crystal = [r for r in known if r.phase == "crystal"][-1].start
        short = SOURCES[source].short
        names = [x for x in shipped() if "Ge" in header(x)["trained"] and f"-{short}-" in f"-{x}-"]
        self._potentials = dict(zip(names, names))
        if source == "stillinger-weber":
            self._potentials[SW] = stability.truth(source)
        chosen = []
        for own, (side, method) in zip((left, right), SIDES.items()):
            name = own or f"ge-{short}-course-{method}-{n}"
            if not isinstance(name, str):
                name = f"your potential, {side}"
                self._potentials[name] = own
            words = f"there is no potential {name!r} for this duel; use one of "
            refuse(name not in self._potentials, words + ", ".join(map(repr, self._potentials)))
            chosen.append(name)
        super().__init__(viewer, pause_after)
        self.source, self.reference = source, Side("reference", METHODS["reference"].colour)
        self.sides = [Side(side, METHODS[method].colour) for side, method in SIDES.items()]
        self._build(chosen, rate, seed)
        self.back()
        self.redraw()

    def _build(self, chosen, rate, seed):
        offer = lambda name, side: menu(self._potentials, name, 300, tip=f"{side} potential")
        self.choices = [offer(name, side) for name, side in zip(chosen, SIDES)]
        self.rate_menu = menu([(f"{r} K/ps", r) for r in RATES], rate, 170, "heat by")
        look = dict(style={"description_width": "initial"}, layout={"width": "120px"})
        self.seed_box = widgets.BoundedIntText(seed, 0, 10**6, description="seed", **look)
        self.image = image(self.plot_size)
        look = dict(width=f"{self.size[0] + 6}px", max_width="50%", overflow="hidden")
        half = lambda *children: line(*children, **look)
        titles = [half(side.title, choice) for side, choice in zip(self.sides, self.choices)]
        clocks = line(*(half(side.clock) for side in self.sides))
        controls = self.play_button, self.stop_button, self.rate_menu, self.seed_box
        below = clocks, line(*controls, self.viewer_menu), self.image, self.status
        self.children = [line(*titles), self.stage, *below]
        for control in (*self.choices, self.rate_menu, self.seed_box):
            control.observe(self.anew, "value")

    def play(self):
        if self.over and not self.running:
            self.stop()
        return super().play()

    def work(self):
        everyone = [*[self.reference] * (SW in self._potentials), *self.sides]
        if self.sides[0].run is None:
            names = [SW, *(choice.value for choice in self.choices)]
            same = dict(source=self.source, rate=self.rate_menu.value, seed=self.seed_box.value)
            chosen = (self._potentials[name] for name in names[-len(everyone) :])
            runs = [stability.heat(potential, every=EVERY, **same) for potential in chosen]
            for side, run in zip(everyone, runs):  # all or none
                side.run = run
        while not self.over:
            for side in everyone:
                if side.look is None and side is not self.reference:
                    self.beginning = f"Compiling the network on the {side.name}"
                side.advance()
            yield self.looks

    def back(self):
        self.rest, self.beginning = [self._crystal] * 2, "Beginning"
        for side in (*self.sides, self.reference):
            side.forget()

    def frames(self):
        return [look and look.snapshot for look in self.looks]

    def tell(self, run):
        for side in self.sides:
            words, time_ps = muted("at rest, 300 K at first"), 0.0
            if side.look is not None:
                s, state = side.look.snapshot, "<b>broken</b>" if side.broken else "holds"
                words, time_ps = f"{s.target_K:.0f} K &nbsp; {state}", s.time_fs / 1000
            side.title.value = f"{block(side.colour)} <b>{side.name}</b> &nbsp;"
            clock = tag("span", f"{time_ps:.2f} ps", font_size="22px", **NUMBERS)
            side.clock.value = f"{clock} &nbsp; {tag('span', words, **NUMBERS)}"

    def plot(self):
        everyone = [(s.name, s.colour, s.curve, s.broken) for s in (self.reference, *self.sides)]
        told = (f"{s.name} {s.look.snapshot.time_fs / 1000:.2f} ps" for s in self.sides if s.look)
        self.image.tooltip = f"{PLOTTED}: {', '.join(told) or 'nothing yet'}."
        self.image.value = plots.duel(everyone, SOURCES[self.source].melting["Ge"], self.plot_size)

    @property
    def playing(self):
        for side in self.sides:
            if side.broken:
                return f"{side.name.capitalize()} has broken: {side.look.failure}"
        return "Both hold. The kernel is free: other cells may run."

    def words(self, run):
        if run.how == "idle":
            return "Press Play. Both networks are compiled first, 5 to 30 s."
        return self.verdict if run.how == "done" else super().words(run)

    @property
    def verdict(self):
        """What the duel said, in a sentence or two; empty before both have broken."""
        if not self.over:
            return ""
        left, right = self.frames()
        later, melting = (right.time_fs - left.time_fs) / 1000, SOURCES[self.source].melting["Ge"]
        above = sum(s.target_K > melting for s in (left, right))
        fault = f": {'one' if above else 'both'} broke below, which a crystal should not."
        if above == 2:
            fault = "; a small crystal without a surface can be superheated."
        out = f"Left broke at {left.target_K:.0f} K, right at {right.target_K:.0f} K, "
        out += f"{abs(later):.1f} ps {'later' if later > 0 else 'earlier'}. "
        this = "This" if self.source == "stillinger-weber" else "In nature"
        out += f"{this} germanium melts at {melting:.0f} K{fault}"
        if self.reference.look is not None:
            T = self.reference.look.snapshot.target_K
            lost = "lost its crystal" if self.reference.broken else "still held"
            out += f" The reference {lost} at {T:.0f} K."
        return out + " Another seed is another duel."
