"""Two viewers for atoms that move, behind the same few lines.

    v = KINDS["nglview"](atoms, size)    in three dimensions, with WebGL
    v = KINDS["canvas"](atoms, size)     needs neither WebGL nor a front end in the right place
    KINDS["canvas"](atoms, size, scale)  with other colours from 0 to 1, "#rrggbb" each
    v.widget                             to display
    v.draw(positions, colours)           [N, 3] in Å; [N] from 0 to 1, None: those of the elements
    v.ready                              whether a browser has drawn all frames but the last
    v.heard                              functions to call whenever the browser has drawn

Whoever draws only when `ready` never fills a queue: the browser answers every frame it has drawn.
"""

import importlib
import itertools
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import anywidget
import numpy as np
import traitlets

from ...course.machine import front_end
from ..figures.style import ELEMENT_COLOURS, GREY

# Six steps of cividis: from dark to light for every kind of colour vision.
SCALE = ("#00224E", "#2A3F6D", "#575C6D", "#7D7C78", "#A69D75", "#FDE737")
AHEAD = 1  # frame that may be under way while the next is sent
PATIENCE = 3.0  # s to wait for the answer to a frame before another is sent all the same
DRAWN = "requestAnimationFrame(() => this.send({type: 'drawn', data: %d}))"
BALLS = dict(radiusType="size", radiusSize=0.75)  # Å


class Viewer:
    """What both have: the count of frames sent and of frames that the browser has drawn."""

    shown = False  # whether a browser has ever answered
    asked = answered = sent_at = 0
    heard = ()

    @property
    def ready(self):
        drawn = self.answered >= self.asked - AHEAD
        return self.shown and (drawn or time.monotonic() - self.sent_at > PATIENCE)

    def count(self):
        """The number of the frame that is sent now."""
        self.asked, self.sent_at = self.asked + 1, time.monotonic()
        return self.asked

    def answer(self, number):
        """The browser has drawn a frame."""
        self.shown, self.answered = True, max(self.answered, number)
        for function in self.heard:
            function()


def _nglview():
    """nglview, which asks for a front end of 4.0 and ships another: it is told of the latter.

    All that it makes at its import, a register of colours, would be an error in the notebook else.
    """
    if "nglview" not in sys.modules:
        told = sys.modules.setdefault("nglview._frontend", ModuleType("nglview._frontend"))
        vars(told).setdefault("__frontend_version__", front_end())
    return importlib.import_module("nglview")


class NGLViewer(Viewer):
    def __init__(self, atoms, size, scale=SCALE):
        self.scale, nglview = scale, _nglview()
        self._wrap, self._symbols = wrapping(atoms), sorted(set(atoms.get_chemical_symbols()))
        self._dealt = None  # selections of the representations, where there are any for colours
        self._newest = atoms.positions, None  # what `draw` was given last
        self._lock = threading.RLock()  # a thread paints; another hears the browser
        turned, periodic = atoms.copy(), atoms.cell.rank == 3
        turned.set_constraint()
        if periodic:
            turned.set_cell(atoms.cell.standard_form()[0])
        turned.positions = self._wrap(atoms.positions)
        asked = dict.fromkeys(("_view_module_version", "_model_module_version"), front_end())
        view = nglview.NGLWidget(nglview.ASEStructure(turned), default=False, **asked)
        for symbol in self._symbols:
            colour = dict(color=ELEMENT_COLOURS[symbol]) if symbol in ELEMENT_COLOURS else {}
            view.add_representation("spacefill", selection=f"_{symbol}", **BALLS, **colour)
        view._ibtn_fullscreen.tooltip = "whole screen"
        view.camera = "perspective"
        view.control.spin([0, 1, 0], 0.30)
        view.control.spin([1, 0, 0], 0.20)
        view.center()
        view.control.zoom(0.1)
        if periodic:
            view._add_shape(_edges(turned.cell.array), name="cell")
        view._js(DRAWN % 0, fire_embed=True)  # last of the calls that set a view up
        view.on_msg(lambda _, told, __: self._told(**told))
        view.layout.width, view.layout.height = (f"{pixels}px" for pixels in size)
        view._set_size(view.layout.width, view.layout.height)
        self.widget = view

    def _told(self, type=None, data=0, **_):
        if type == "drawn":
            with self._lock:
                if data == 0:  # a view was set up, perhaps of a page loaded anew: it knows no frame
                    self.shown, self._dealt = True, self._dealt and [None] * len(self._dealt)
                    self.draw(*self._newest)
            self.answer(data)

    def draw(self, positions, colours=None):
        with self._lock:
            self._newest = positions, colours
            if self.shown:  # before, it would overtake the calls that set the view up
                if colours is not None or self._dealt is not None:
                    self._deal(None if colours is None else _bins(colours, len(self.scale)))
                self.widget.set_coordinates({0: self._wrap(positions)})
                call = dict(methodName="executeCode", args=[DRAWN % self.count()], kwargs={})
                self.widget.send({"type": "call_method", "target": "Widget"} | call)

    def _deal(self, bins):
        """One representation an element and one a colour, to which the atoms are dealt out."""
        if self._dealt is None:
            # not earlier: representations without atoms confuse the camera while it is set up
            for colour in self.scale:
                self.widget.add_representation("spacefill", selection="none", color=colour, **BALLS)
            self._dealt = [None] * (len(self._symbols) + len(self.scale))
        selections = [f"_{s}" if bins is None else "none" for s in self._symbols]
        for b in range(len(self.scale)):
            members = np.flatnonzero(bins == b) if bins is not None else []
            selections.append("@" + ",".join(map(str, members)) if len(members) else "none")
        for index, selection in enumerate(selections):
            if self._dealt[index] != selection:
                self.widget._set_selection(selection, component=0, repr_index=index)
        self._dealt = selections


class Canvas(anywidget.AnyWidget):
    """Spheres in a cell, drawn on a plain canvas; drag to turn, wheel to zoom."""

    _esm = Path(__file__).with_name("canvas.js")
    stage = traitlets.Dict().tag(sync=True)  # words, width, height; edges: float32 [12, 2, 3], Å
    # positions: float32 [N, 3], Å, centred; colours: uint8 [N, 3]; number
    frame = traitlets.Dict().tag(sync=True)
    drawn = traitlets.Int(-1).tag(sync=True)  # number of the newest that the browser has drawn


class CanvasViewer(Viewer):
    def __init__(self, atoms, size, scale=SCALE):
        self.scale = scale
        self._wrap, edges = wrapping(atoms), np.zeros((0, 2, 3))
        if atoms.cell.rank == 3:
            edges = np.array([edge[1:3] for edge in _edges(atoms.cell.standard_form()[0])])
        corners = edges.reshape(-1, 3) if len(edges) else self._wrap(atoms.positions)
        self._centre = corners.mean(0)
        self._own = _rgb([ELEMENT_COLOURS.get(s, GREY) for s in atoms.get_chemical_symbols()])
        words = f"{len(atoms)} atoms, {atoms.get_chemical_formula()}; drag to turn, wheel to zoom"
        stage = dict(width=size[0], height=size[1], edges=self._bytes(edges), words=words)
        self.widget = Canvas(stage=stage, frame=self._frame(atoms.positions, self._own, 0))
        self.widget.layout.width, self.widget.layout.height = (f"{pixels}px" for pixels in size)
        self.widget.observe(lambda change: self.answer(change["new"]), "drawn")

    def _bytes(self, points):
        return (points - self._centre).astype("f4").tobytes()

    def _frame(self, positions, rgb, number):
        positions = self._bytes(self._wrap(positions))
        return dict(positions=positions, colours=rgb.tobytes(), number=number)

    def draw(self, positions, colours=None):
        rgb = self._own if colours is None else _rgb(self.scale)[_bins(colours, len(self.scale))]
        self.widget.frame = self._frame(positions, rgb, self.count())


KINDS = {"nglview": NGLViewer, "canvas": CanvasViewer}


def usual():
    """The kind that can be shown here: Colab has no front end of nglview."""
    return "canvas" if "google.colab" in sys.modules else "nglview"


def _bins(colours, steps):
    """Which step of a scale each colour [N] from 0 to 1 is."""
    return np.clip((steps * colours).astype(int), 0, steps - 1)


def _rgb(colours):
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], np.uint8)


def wrapping(atoms):
    """positions [N, 3] -> positions inside the cell, turned and shifted for drawing.

    The faces at which atoms re-enter are put into the widest gap between them, so that no crystal
    plane flickers from one side to the other. The cell is turned as a PDB file, in which it
    travels to the browser, would turn it.
    """
    if not atoms.pbc.any() or not atoms.cell.rank == 3:
        return lambda positions: positions
    pbc, inverse, turned = atoms.pbc, np.linalg.inv(atoms.cell), atoms.cell.standard_form()[0]
    lowest = np.zeros(3)
    for axis in np.flatnonzero(pbc):
        x = np.sort((atoms.positions @ inverse)[:, axis] % 1)
        gaps = np.diff(np.append(x, x[0] + 1))
        widest = int(np.argmax(gaps > gaps.max() - 1e-6))
        lowest[axis] = x[widest] + gaps[widest] / 2

    def wrap(positions):
        scaled = positions @ inverse
        return np.where(pbc, (scaled - lowest) % 1, scaled) @ turned.array

    return wrap


def _edges(cell):
    """The twelve edges of a cell [3, 3] as cylinders of NGL: from, to, colour, radius in Å."""
    edges = []
    for corner in itertools.product((0, 1), repeat=3):
        for axis in np.flatnonzero(np.equal(corner, 0)):
            ends = np.array(corner) @ cell, (corner + np.eye(3)[axis]) @ cell
            edges.append(("cylinder", *(end.tolist() for end in ends), [0.34, 0.38, 0.42], 0.05))
    return edges
