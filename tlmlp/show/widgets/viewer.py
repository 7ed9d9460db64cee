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

import numpy as np
import traitlets

from .figures import ELEMENT_COLOURS, GREY
from .watch import _edges, _view, _wrapping

# Six steps of cividis: from dark to light for every kind of colour vision.
SCALE = ("#00224E", "#2A3F6D", "#575C6D", "#7D7C78", "#A69D75", "#FDE737")
AHEAD = 1  # frame that may be under way while the next is sent: the browser need not wait for the kernel between the two
PATIENCE = 3.0  # s to wait for the answer to a frame before another is sent all the same


class _Viewer:
    _shown = False  # whether a browser has ever answered
    _asked = _answered = _at = 0

    @property
    def ready(self):
        return self._shown and (self._answered >= self._asked - AHEAD or time.monotonic() - self._at > PATIENCE)

    def _next(self):
        self._asked, self._at = self._asked + 1, time.monotonic()
        return self._asked


class NGLViewer(_Viewer):
    def __init__(self, atoms, size):
        self._wrap, self._symbols = _wrapping(atoms), sorted(set(atoms.get_chemical_symbols()))
        self.widget = _view(atoms, self._wrap, size)
        self._dealt = None
        self.widget.observe(self._loaded, "loaded")
        self.widget.on_msg(self._answer)

    def _loaded(self, change):
        self._shown = self._shown or bool(change["new"])

    def _answer(self, widget, message, buffers):
        if message.get("type") == "drawn":
            self._shown, self._answered = True, max(self._answered, message["data"])

    def draw(self, positions, colours=None):
        self._deal(None if colours is None else np.clip((len(SCALE) * colours).astype(int), 0, len(SCALE) - 1))
        self.widget.set_coordinates({0: self._wrap(positions)})
        code = f"requestAnimationFrame(() => this.send({{type: 'drawn', data: {self._next()}}}))"
        self.widget.send({"type": "call_method", "target": "Widget", "methodName": "executeCode", "args": [code], "kwargs": {}})

    def _deal(self, bins):
        """One representation per element and one per colour of the scale, to which the atoms are dealt out."""
        if self._dealt is None:
            if bins is None:
                return
            for colour in SCALE:  # not earlier: representations without atoms confuse the camera while it is set up
                self.widget.add_representation("spacefill", selection="none", radiusType="size", radiusSize=0.75, color=colour)
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
        self._wrap = _wrapping(atoms)
        start = self._wrap(atoms.positions)
        edges = np.array([e[1:3] for e in _edges(atoms.cell.standard_form()[0])]) if atoms.cell.rank == 3 else np.zeros((0, 2, 3))
        self._centre = edges.reshape(-1, 3).mean(0) if len(edges) else start.mean(0)
        own = [ELEMENT_COLOURS.get(s, GREY) for s in atoms.get_chemical_symbols()]
        self._own = np.array([_rgb(c) for c in own], np.uint8)
        self._scale = np.array([_rgb(c) for c in SCALE], np.uint8)
        width, height = size
        self.widget = _canvas_class()(
            width=width, height=height, edges=(edges - self._centre).astype("f4").tobytes(), colours=self._own.tobytes(),
            positions=(start - self._centre).astype("f4").tobytes(),
        )  # fmt: skip
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


CANVAS = """
const floats = (view) => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function render({ model, el }) {
  const width = model.get("width"), height = model.get("height"), canvas = document.createElement("canvas");
  const sharp = window.devicePixelRatio || 1, c = canvas.getContext("2d");
  canvas.width = width * sharp; canvas.height = height * sharp;
  canvas.style.width = width + "px"; canvas.style.height = height + "px"; canvas.style.cursor = "grab";
  canvas.className = "tlmlp-canvas";
  el.appendChild(canvas);
  let turn = 0.3, tilt = 0.2, zoom = 1, held = null;

  const seen = (x, y, z) => {
    const u = x * Math.cos(turn) + z * Math.sin(turn), w = -x * Math.sin(turn) + z * Math.cos(turn);
    return [u, y * Math.cos(tilt) - w * Math.sin(tilt), y * Math.sin(tilt) + w * Math.cos(tilt)];
  };
  const draw = () => {
    const r = floats(model.get("positions")), rgb = bytes(model.get("colours")), edges = floats(model.get("edges"));
    const n = r.length / 3;
    let size = 1;
    const extent = edges.length ? edges : r;
    for (let i = 0; i < extent.length; i += 3) size = Math.max(size, Math.hypot(extent[i], extent[i + 1], extent[i + 2]));
    const scale = 0.5 * Math.min(width, height) / (1.12 * size) * zoom, far = 4 * size;
    const place = (p) => { const s = scale * far / (far - p[2]); return [width / 2 + s * p[0], height / 2 - s * p[1], s]; };
    c.setTransform(sharp, 0, 0, sharp, 0, 0);
    c.fillStyle = "white"; c.fillRect(0, 0, width, height);
    c.strokeStyle = "#8a929b"; c.lineWidth = 1;
    for (let i = 0; i < edges.length; i += 6) {
      const a = place(seen(edges[i], edges[i + 1], edges[i + 2])), b = place(seen(edges[i + 3], edges[i + 4], edges[i + 5]));
      c.beginPath(); c.moveTo(a[0], a[1]); c.lineTo(b[0], b[1]); c.stroke();
    }
    const atoms = [];
    for (let i = 0; i < n; i++) atoms.push([seen(r[3 * i], r[3 * i + 1], r[3 * i + 2]), i]);
    atoms.sort((a, b) => a[0][2] - b[0][2]);
    for (const [p, i] of atoms) {
      const [x, y, s] = place(p), R = 0.75 * s, fade = 0.25 * (1 - p[2] / size) / 2;
      const tone = (k, light) => Math.round(rgb[3 * i + k] * (1 - fade) * (1 - light) + 255 * (fade + light * (1 - fade)));
      const shade = c.createRadialGradient(x - R / 3, y - R / 3, R / 8, x, y, R);
      shade.addColorStop(0, `rgb(${tone(0, 0.6)},${tone(1, 0.6)},${tone(2, 0.6)})`);
      shade.addColorStop(1, `rgb(${tone(0, 0)},${tone(1, 0)},${tone(2, 0)})`);
      c.fillStyle = shade; c.beginPath(); c.arc(x, y, R, 0, 2 * Math.PI); c.fill();
      c.lineWidth = 0.5; c.strokeStyle = "rgba(0,0,0,0.45)"; c.stroke();
    }
  };
  const answer = () => { model.set("drawn", model.get("asked")); model.save_changes(); };
  const frame = () => requestAnimationFrame(() => { draw(); answer(); });
  canvas.onpointerdown = (e) => { held = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
  canvas.onpointerup = () => { held = null; };
  canvas.onpointermove = (e) => {
    if (!held) return;
    turn += (e.clientX - held[0]) / 120; tilt += (e.clientY - held[1]) / 120; held = [e.clientX, e.clientY]; draw();
  };
  canvas.onwheel = (e) => { e.preventDefault(); zoom *= Math.exp(-e.deltaY / 600); draw(); };
  model.on("change:asked", frame);
  frame();
  return () => model.off("change:asked", frame);
}
export default { render };
"""
