"""Two viewers for atoms that move, behind the same few lines.

    v = viewer(atoms, size, "nglview")  or  viewer(atoms, size, "canvas")
    v.widget                      to display
    v.draw(positions, colours)    positions [N, 3] Å; colours [N] from 0 to 1, or None for those of the elements
    v.ready                       whether a browser shows it, and has drawn what it was sent, but for the last

Whoever draws only when `ready` never fills a queue: the browser answers every frame that it has drawn.

The first is nglview, in three dimensions with WebGL. The second is a canvas of our own on anywidget, which needs neither
WebGL nor a front end that was installed to the right place: it works where nglview cannot be shown.
"""

import time
from pathlib import Path

import numpy as np
import traitlets
from ase.geometry import cell_to_cellpar, cellpar_to_cell

from ..figures.style import ELEMENT_COLOURS, GREY

# Six steps of cividis: from dark to light for every kind of colour vision.
SCALE = ("#00224E", "#2A3F6D", "#575C6D", "#7D7C78", "#A69D75", "#FDE737")
AHEAD = 1  # frame that may be under way while the next is sent: the browser need not wait for the kernel between the two
PATIENCE = 3.0  # s to wait for the answer to a frame before another is sent all the same


class _Viewer:
    _shown = False  # whether a browser has ever answered
    _asked = _answered = _at = 0

    @property
    def ready(self):
        return self._shown and (
            self._answered >= self._asked - AHEAD or time.monotonic() - self._at > PATIENCE
        )

    def _next(self):
        self._asked, self._at = self._asked + 1, time.monotonic()
        return self._asked


class NGLViewer(_Viewer):
    def __init__(self, atoms, size):
        self._wrap, self._symbols = wrapping(atoms), sorted(set(atoms.get_chemical_symbols()))
        self.widget = nglview_of(atoms, self._wrap, size)
        self._dealt = None
        self.widget.observe(self._loaded, "loaded")
        self.widget.on_msg(self._answer)

    def _loaded(self, change):
        self._shown = self._shown or bool(change["new"])

    def _answer(self, widget, message, buffers):
        if message.get("type") == "drawn":
            self._shown, self._answered = True, max(self._answered, message["data"])

    def draw(self, positions, colours=None):
        self._deal(
            None
            if colours is None
            else np.clip((len(SCALE) * colours).astype(int), 0, len(SCALE) - 1)
        )
        self.widget.set_coordinates({0: self._wrap(positions)})
        code = f"requestAnimationFrame(() => this.send({{type: 'drawn', data: {self._next()}}}))"
        self.widget.send(
            {
                "type": "call_method",
                "target": "Widget",
                "methodName": "executeCode",
                "args": [code],
                "kwargs": {},
            }
        )

    def _deal(self, bins):
        """One representation per element and one per colour of the scale, to which the atoms are dealt out."""
        if self._dealt is None:
            if bins is None:
                return
            for colour in (
                SCALE
            ):  # not earlier: representations without atoms confuse the camera while it is set up
                self.widget.add_representation(
                    "spacefill", selection="none", radiusType="size", radiusSize=0.75, color=colour
                )
        selections = [f"_{s}" if bins is None else "none" for s in self._symbols]
        for b in range(len(SCALE)):
            members = np.flatnonzero(bins == b) if bins is not None else []
            selections.append("@" + ",".join(map(str, members)) if len(members) else "none")
        for index, selection in enumerate(selections):
            if self._dealt is None or self._dealt[index] != selection:
                self.widget._set_selection(selection, component=0, repr_index=index)
        self._dealt = selections


def _canvas_class():
    import anywidget

    class Canvas(anywidget.AnyWidget):
        """Spheres in a cell, drawn on a plain canvas; drag to turn, wheel to zoom."""

        _esm = CANVAS
        positions = traitlets.Bytes(b"").tag(sync=True)  # float32 [N, 3], Å, centred
        colours = traitlets.Bytes(b"").tag(sync=True)  # uint8 [N, 3]
        edges = traitlets.Bytes(b"").tag(sync=True)  # float32 [12, 2, 3]
        width = traitlets.Int(480).tag(sync=True)
        height = traitlets.Int(400).tag(sync=True)
        asked = traitlets.Int(0).tag(sync=True)  # number of the newest frame
        drawn = traitlets.Int(-1).tag(sync=True)  # of the newest that the browser has drawn

    return Canvas


class CanvasViewer(_Viewer):
    def __init__(self, atoms, size):
        self._wrap = wrapping(atoms)
        start = self._wrap(atoms.positions)
        edges = (
            np.array([e[1:3] for e in _edges(atoms.cell.standard_form()[0])])
            if atoms.cell.rank == 3
            else np.zeros((0, 2, 3))
        )
        self._centre = edges.reshape(-1, 3).mean(0) if len(edges) else start.mean(0)
        own = [ELEMENT_COLOURS.get(s, GREY) for s in atoms.get_chemical_symbols()]
        self._own = np.array([_rgb(c) for c in own], np.uint8)
        self._scale = np.array([_rgb(c) for c in SCALE], np.uint8)
        width, height = size
        self.widget = _canvas_class()(
            width=width,
            height=height,
            edges=(edges - self._centre).astype("f4").tobytes(),
            colours=self._own.tobytes(),
            positions=(start - self._centre).astype("f4").tobytes(),
        )
        self.widget.layout.width, self.widget.layout.height = f"{width}px", f"{height}px"
        self.widget.observe(self._answer, "drawn")

    def _answer(self, change):
        self._shown, self._answered = True, max(self._answered, change["new"])

    def draw(self, positions, colours=None):
        rgb = self._own
        if colours is not None:
            rgb = self._scale[np.clip((len(SCALE) * colours).astype(int), 0, len(SCALE) - 1)]
        with self.widget.hold_sync():  # one message
            self.widget.positions = (self._wrap(positions) - self._centre).astype("f4").tobytes()
            self.widget.colours = rgb.tobytes()
            self.widget.asked = self._next()


def _rgb(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


KINDS = {"nglview": NGLViewer, "canvas": CanvasViewer}


def viewer(atoms, size, kind="nglview"):
    """A viewer of ase.Atoms; kind: "nglview" or "canvas"."""
    check_kind(kind)
    return KINDS[kind](atoms, size)


def check_kind(kind):
    if kind not in KINDS:
        raise ValueError(f"viewer must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")


CANVAS = Path(__file__).with_name("canvas.js")


def wrapping(atoms):
    """positions [N, 3] -> positions inside the cell, turned and shifted for drawing.

    The faces at which atoms re-enter are put into the widest gap between them, so that no crystal plane flickers from one
    side to the other. The cell is turned as a PDB file, in which it travels to the browser, would turn it.
    """
    if not atoms.pbc.any() or not atoms.cell.rank == 3:
        return lambda positions: positions
    cell, pbc = atoms.cell.array, atoms.pbc
    inverse = np.linalg.inv(cell)
    exported = cellpar_to_cell(cell_to_cellpar(cell))
    start = atoms.positions @ inverse
    lowest = np.zeros(3)
    for axis in np.flatnonzero(pbc):
        x = np.sort(start[:, axis] % 1)
        gaps = np.diff(np.append(x, x[0] + 1))
        widest = int(np.argmax(gaps > gaps.max() - 1e-6))
        lowest[axis] = x[widest] + gaps[widest] / 2

    def wrap(positions):
        scaled = positions @ inverse
        scaled = np.where(pbc, (scaled - lowest) % 1, scaled)
        return scaled @ exported

    return wrap


def nglview_of(atoms, wrap, size):
    import nglview

    drawn = atoms.copy()
    drawn.set_constraint()
    if atoms.cell.rank == 3:
        drawn.set_cell(cellpar_to_cell(cell_to_cellpar(atoms.cell.array)))
    drawn.positions = wrap(atoms.positions)
    view = nglview.NGLWidget(nglview.ASEStructure(drawn), default=False)
    for symbol in sorted(set(atoms.get_chemical_symbols())):
        colour = ELEMENT_COLOURS.get(symbol)
        view.add_representation(
            "spacefill",
            selection=f"_{symbol}",
            radiusType="size",
            radiusSize=0.75,
            **({"color": colour} if colour else {}),
        )
    view.camera = "perspective"
    view.control.spin([0, 1, 0], 0.30)
    view.control.spin([1, 0, 0], 0.20)
    view.center()
    view.control.zoom(0.1)
    if atoms.cell.rank == 3:
        view._add_shape(_edges(drawn.cell.array), name="cell")
    width, height = (f"{pixels}px" for pixels in size)
    view.layout.width, view.layout.height = width, height
    view._set_size(width, height)
    return view


def _edges(cell):
    """The twelve edges of a cell [3, 3] as cylinders of NGL: from, to, colour, radius in Å."""
    grey = [0.34, 0.38, 0.42]
    corners = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    pairs = [
        (p, q)
        for p in corners
        for q in corners
        if sum(np.subtract(q, p)) == 1 and min(np.subtract(q, p)) == 0
    ]
    return [
        ("cylinder", (np.array(p) @ cell).tolist(), (np.array(q) @ cell).tolist(), grey, 0.05)
        for p, q in pairs
    ]
