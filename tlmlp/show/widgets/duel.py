"""Duel: two potentials, the same crystal, the same heat, side by side until they break."""

import time

import ipywidgets as widgets
import numpy as np

from ...course import stability
from ...course.sources import SOURCES
from ...potential import Potential, header, shipped
from ..figures.picture import Picture, quiet
from ..figures.style import BLUE, GREY, ORANGE
from .live import duration, sentence
from .md import POINTS, SW, header
from .player import Player
from .viewer import KINDS, check_kind, viewer as make_viewer

RATES = (100, 200, 400, 800)  # K/ps
EVERY = 5  # steps at a time, always the same, so that a seed gives the same duel on a slow computer
SIDES = ((ORANGE, "scratch"), (BLUE, "transfer"))  # colours that these two have in all figures


class Side:
    """One of the two: its potential, its viewer, its clock, and what was seen of it."""

    def __init__(self, colour):
        self.colour, self.run, self.look, self.curve, self.sent = colour, None, None, [], None
        self.title, self.clock, self.view = (
            (widgets.HTML(), widgets.HTML(), None) if colour else (None,) * 3
        )

    def forget(self):
        self.run, self.look, self.curve, self.sent = None, None, [], None

    @property
    def broken(self):
        return self.look is not None and bool(self.look.failure)

    def advance(self):
        """One chunk; nothing for who has broken."""
        if self.run is None or self.broken:
            return
        self.look = look = next(self.run)
        s = look.snapshot
        self.curve.append(
            (s.time_fs / 1000, s.temperature_K, s.target_K, look.liquid, look.nearest)
        )
        if len(self.curve) > POINTS:
            self.curve = self.curve[::2]


class Duel(Player):
    """Two germanium potentials side by side: the same crystal, the same seed, a temperature that rises until they break.

    left, right: names of potentials that ship, or Potentials [default: scratch and transfer, both trained on `n` structures of
    `source`]; source: of tlmlp.sources.SOURCES, which says how germanium should look; rate: K/ps by which the
    thermostat rises from 300 K; seed: of velocities and heat; viewer: "nglview" or "canvas", which needs no WebGL;
    pause_after: s after which it pauses by itself.

    Both take the same number of steps in turn, so their clocks agree. A side has broken when tlmlp.stability.heat says so: its
    clock stops and its atoms hold still, while the other goes on. With the source "stillinger-weber" the truth itself runs
    along as a grey line: a crystal that is lost no earlier than there was not the potential's fault. Pause keeps the atoms where they
    are, Stop takes them back. `.looks` are the newest tlmlp.stability.Look of left and right, None before the first.

    Raises ValueError for names and numbers that do not exist, and as tlmlp.datasets does where DFT data are out of reach.
    """

    interval = 0.02
    size = (392, 300)  # of each viewer, in pixels; the two no wider than a cell on a small screen
    plot_size = (800, 215)

    def __init__(
        self,
        left=None,
        right=None,
        source="stillinger-weber",
        n=10,
        rate=400,
        seed=0,
        viewer="nglview",
        pause_after=600,
    ):
        if rate not in RATES:
            raise ValueError(f"rate must be one of {', '.join(map(str, RATES))} K/ps, not {rate!r}")
        check_kind(viewer)
        self.source, self.pause_after, self.kind = source, pause_after, viewer
        known = stability.references(source)
        self._crystal = [r for r in known.values() if r.phase == "crystal"][-1].start
        self._potentials = {
            name: name
            for name in shipped()
            if "Ge" in header(name)["trained"] and f"-{SOURCES[source].short}-" in f"-{name}-"
        }
        if source == "stillinger-weber":
            self._potentials[SW] = stability.truth(source)
        chosen = []
        for side, (own, (_, method)) in enumerate(zip((left, right), SIDES)):
            if own is not None and not isinstance(own, str):
                self._potentials[name := f"your potential, {('left', 'right')[side]}"] = own
            else:
                name = own or f"ge-{SOURCES[source].short}-course-{method}-{n}"
            if name not in self._potentials:
                raise ValueError(
                    f"there is no potential {name!r} for this duel; use one of {', '.join(map(repr, self._potentials))}"
                )
            chosen.append(name)

        self._sides = [Side(colour) for colour, _ in SIDES]
        self._truth = Side(None)
        self._plotted, self._plot_after, self._newest = None, 0.0, 0.0
        self._stage_words = ""
        button = lambda text, icon, tip: widgets.Button(
            description=text,
            icon=icon,
            tooltip=tip,
            layout=widgets.Layout(width="92px", min_width="92px"),
        )
        self._play = button("Play", "play", "go on, or begin")
        self._stop = button("Stop", "stop", "end, and go back to the start")
        choose = lambda options, value, width, text="": widgets.Dropdown(
            description=text,
            options=options,
            value=value,
            style={"description_width": "initial"},
            layout=widgets.Layout(width=width),
        )
        self._choices = [choose(list(self._potentials), name, "300px") for name in chosen]
        self._rate = choose([(f"{r} K/ps", r) for r in RATES], rate, "170px", "heat by")
        self._seed = widgets.BoundedIntText(
            seed,
            0,
            10**6,
            description="seed",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="120px"),
        )
        self._viewer = choose(list(KINDS), viewer, "140px", "viewer")
        width, height = self.plot_size
        self._plot = widgets.Image(
            value=self._picture(),
            format="png",
            width=width,
            height=height,
            layout=widgets.Layout(width=f"{width}px", height=f"{height}px", object_fit="fill"),
        )
        half = lambda *children: widgets.HBox(
            children,
            layout=widgets.Layout(
                width=f"{self.size[0] + 6}px", overflow="hidden", align_items="center"
            ),
        )
        self._stage = (
            widgets.HBox()
        )  # of the viewers alone: in a column nglview puts its camera nowhere
        super().__init__(
            [
                widgets.HBox(
                    [half(side.title, choice) for side, choice in zip(self._sides, self._choices)]
                ),
                self._stage,
                widgets.HBox([half(side.clock) for side in self._sides]),
                widgets.HBox(
                    [self._play, self._stop, self._rate, self._seed, self._viewer],
                    layout=widgets.Layout(align_items="center"),
                ),
                self._plot,
            ]
        )
        self.layout.overflow = "hidden"
        self._show()
        self._back()
        self.status.value = sentence("Press Play. Both networks are compiled first, 5 to 30 s.")
        self._play.on_click(lambda _: self.pause() if self.running else self.play())
        self._stop.on_click(lambda _: self.stop())
        self._viewer.observe(lambda change: self._show(), "value")
        for control in (*self._choices, self._rate, self._seed):
            control.observe(lambda change: self.stop(), "value")

    # -- for everyone --------------------------------------------------------------------------------------------------

    @property
    def looks(self):
        return tuple(side.look for side in self._sides)

    def play(self):
        """Go on, or begin; anew, where both have broken."""
        if not self.running and all(side.broken for side in self._sides):
            self._asked_back = True
        return super().play()

    # -- what Live asks for --------------------------------------------------------------------------------------------

    def work(self):
        self._rewind()
        everyone = [self._truth, *self._sides] if self.source == "stillinger-weber" else self._sides
        if self._sides[0].run is None:
            potentials = [choice.value for choice in self._choices]
            for side, name in zip(everyone[-2:], potentials):
                side.run = self._heated(self._potentials[name])
            if everyone[0] is self._truth:
                self._truth.run = self._heated(self._potentials[SW])
        while not all(side.broken for side in self._sides):
            for side in everyone:
                if side.look is None and side.colour:
                    self._stage_words = f"Compiling the network on the {'left' if side is self._sides[0] else 'right'}"
                side.advance()
            self._newest = time.monotonic()
            yield self.looks

    def _heated(self, potential):
        potential = Potential.load(potential) if isinstance(potential, str) else potential
        return stability.heat(
            potential, self.source, self._rate.value, every=EVERY, seed=self._seed.value
        )

    def paint(self, run):
        running = not run.stop.is_set()
        last = not run.worker.is_alive()
        self._play.description, self._play.icon = (
            ("Pause", "pause") if running else ("Play", "play")
        )
        if self._went_back(run):
            return
        for side in self._sides:
            look = side.look
            if look is not None and look is not side.sent and (side.view.ready or last):
                side.view.draw(look.snapshot.positions)
                side.sent = look
            self._tell(side)
        now, looks = time.monotonic(), self.looks
        if looks[0] is not None and looks != self._plotted and (now > self._plot_after or last):
            self._plot.value = self._picture()
            self._plot_after = time.monotonic() + max(
                0.9, 6 * (time.monotonic() - now)
            )  # drawing never takes over
            self._plotted = looks
        if running and self.pause_after and run.seconds > self.pause_after:
            self.stop("rested")
        self.status.value = sentence(self._words(run))

    def _words(self, run):
        if run.how == "done":
            return self.verdict
        if run.stop.is_set():
            return {
                "paused": "Paused.",
                "stopped": "Stopping.",
                "failed": "",
                "rested": f"Paused after {duration(self.pause_after or 0)}, to spare the processor. Play goes on.",
                "superseded": "Paused, because another duel plays. Play goes on here.",
            }.get(run.how, "Stopped.")
        if self.looks[1] is None:
            return f"{self._stage_words or 'Beginning'}, {duration(run.seconds)}."
        broken = [side for side in self._sides if side.broken]
        if broken:
            return f"{'Left' if broken[0] is self._sides[0] else 'Right'} has broken: {broken[0].look.failure}"
        if time.monotonic() - self._newest > 2:
            return "Compiling again: an atom has more neighbours than any had before."
        return "Both hold. The kernel is free: other cells may run."

    @property
    def verdict(self):
        """What the duel said, in a sentence or two; empty before both have broken."""
        if not all(side.broken for side in self._sides):
            return ""
        times = [side.look.snapshot.time_fs / 1000 for side in self._sides]
        hot = [side.look.snapshot.target_K for side in self._sides]
        out = f"Left broke at {hot[0]:.0f} K, right at {hot[1]:.0f} K, {abs(times[1] - times[0]):.1f} ps "
        out += "later." if times[1] > times[0] else "earlier."
        melting = SOURCES[self.source].melting["Ge"]
        above = sum(T > melting for T in hot)
        out += f" {'This' if self.source == 'stillinger-weber' else 'In nature'} germanium melts at {melting:.0f} K"
        out += {
            0: ": both broke below, which a crystal should not.",
            1: ": one broke below, which a crystal should not.",
            2: "; a small crystal without a surface can be superheated.",
        }[above]
        if self._truth.look is not None:
            T = self._truth.look.snapshot.target_K
            out += (
                f" The truth lost its crystal at {T:.0f} K."
                if self._truth.broken
                else f" The truth still held at {T:.0f} K."
            )
        return out + " Another seed is another duel."

    # -- what there is to see ------------------------------------------------------------------------------------------

    def _back(self):
        """Atoms at rest, from which the next duel starts."""
        for side in self._sides:
            if (
                side.look is not None
            ):  # a viewer that nobody has seen yet loses its camera when it is told to draw
                side.view.draw(self._crystal.positions)
        for side in (*self._sides, self._truth):
            side.forget()
        for side in self._sides:
            self._tell(side)
        self._plotted, self._stage_words = None, ""
        self._plot.value = self._picture()
        self.status.value = sentence("The atoms are back at the start. Press Play.")

    def _show(self):
        """A viewer for either side."""
        old = [side.view for side in self._sides]
        for side in self._sides:
            atoms = self._crystal.copy()
            if side.look is not None:
                atoms.positions = side.look.snapshot.positions
            side.view, side.sent = make_viewer(atoms, self.size, self._viewer.value), None
        self._stage.children = [side.view.widget for side in self._sides]
        for view in old:
            if view is not None:
                view.widget.close()

    def _tell(self, side):
        """Title and clock of a side."""
        number = self._sides.index(side)
        name = ("left", "right")[number]
        side.title.value = f'<b style="color:{side.colour}">■ {name}</b> &nbsp;'
        if side.look is None:
            words = '<span style="color:#56606b">at rest, 300 K at first</span>'
        else:
            s = side.look.snapshot
            state = "<b>broken</b>" if side.broken else "holds"
            words = f"{s.target_K:.0f} K &nbsp; {state}"
        time_ps = side.look.snapshot.time_fs / 1000 if side.look is not None else 0.0
        side.clock.value = (
            f'<span style="font-size:22px; font-variant-numeric:tabular-nums; color:{side.colour}">{time_ps:.2f} ps</span>'
            f' &nbsp; <span style="font-variant-numeric:tabular-nums">{words}</span>'
        )

    def _picture(self):
        figure = Picture(self.plot_size[0] / 100, self.plot_size[1] / 100)
        axes = heat, liquid, near = figure.subplots(1, 3)
        melting, end = SOURCES[self.source].melting["Ge"], 0.5
        everyone = [
            ("truth", GREY, self._truth),
            ("left", ORANGE, self._sides[0]),
            ("right", BLUE, self._sides[1]),
        ]
        for name, colour, side in everyone:
            if not side.curve:
                continue
            t, T, target, share, nearest = np.array(side.curve).T
            end = max(end, t[-1])
            for ax, y in ((heat, T), (liquid, share), (near, nearest)):
                ax.plot(
                    t,
                    y,
                    color=colour,
                    lw=1 if name == "truth" else 1.3,
                    zorder=2 if name == "truth" else 3,
                    label=name,
                )
                if side.broken:
                    ax.plot(t[-1], y[-1], "X", color=colour, ms=8, mec="white", zorder=4)
        for ax in axes:
            quiet(ax)
            ax.tick_params(labelsize=8)
            ax.locator_params(nbins=4)
            ax.set_xlim(0, 1.02 * end)
            ax.set_xlabel("time (ps)", fontsize=8.5, labelpad=1)
        longest = max((side.curve for _, _, side in everyone), key=lambda c: c[-1][0] if c else 0)
        if longest:
            t, _, target, _, _ = np.array(longest).T
            heat.plot(t, target, color="#1b1f23", lw=1, ls="--", zorder=1, label="thermostat")
            heat.set_ylim(0, 1.5 * max(target[-1], 600))
            if melting < heat.get_ylim()[1]:
                heat.axhline(melting, color=GREY, ls=":", lw=1.2)
                heat.text(
                    0.99 * end,
                    melting,
                    "melting",
                    fontsize=7.5,
                    color="#56606b",
                    ha="right",
                    va="bottom",
                )
            handles, labels = heat.get_legend_handles_labels()
            heat.legend(
                handles,
                labels,
                fontsize=7,
                frameon=False,
                loc="upper left",
                ncol=2,
                borderpad=0,
                handlelength=1.2,
                columnspacing=0.8,
            )
        liquid.axhline(0.5, color=GREY, ls=":", lw=1.2)
        liquid.set(ylim=(0, 1), yticks=(0, 0.5, 1))
        liquid.set_yticklabels(("crystal 0", "0.5", "liquid 1"))
        if not longest:
            heat.set_yticks([]), near.set_yticks([])  # no numbers that nothing was measured in
        for ax, title in zip(
            axes, ("temperature (K)", "g(r) between crystal and liquid", "nearest two atoms (Å)")
        ):
            ax.set_title(title, fontsize=8.5, loc="left")
        return figure.png(130)
