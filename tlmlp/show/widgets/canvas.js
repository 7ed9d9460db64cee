const floats = (view) => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function render({ model, el }) {
  const { width, height, words, edges: flat } = model.get("stage"), edges = floats(flat), canvas = document.createElement("canvas");
  const sharp = window.devicePixelRatio || 1, c = canvas.getContext("2d");
  canvas.width = width * sharp; canvas.height = height * sharp;
  canvas.style.width = width + "px"; canvas.style.height = height + "px"; canvas.style.cursor = "grab";
  canvas.className = "tlmlp-canvas";
  canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", words);
  el.appendChild(canvas);
  let turn = 0.3, tilt = 0.2, zoom = 1, held = null;

  const seen = (x, y, z) => {
    const u = x * Math.cos(turn) + z * Math.sin(turn), w = -x * Math.sin(turn) + z * Math.cos(turn);
    return [u, y * Math.cos(tilt) - w * Math.sin(tilt), y * Math.sin(tilt) + w * Math.cos(tilt)];
  };
  const draw = () => {
    const frame = model.get("frame"), r = floats(frame.positions), rgb = bytes(frame.colours);
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
  const answer = () => { model.set("drawn", model.get("frame").number); model.save_changes(); };
  const frame = () => requestAnimationFrame(() => { draw(); answer(); });
  canvas.onpointerdown = (e) => { held = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
  canvas.onpointerup = () => { held = null; };
  canvas.onpointermove = (e) => {
    if (!held) return;
    turn += (e.clientX - held[0]) / 120; tilt += (e.clientY - held[1]) / 120; held = [e.clientX, e.clientY]; draw();
  };
  canvas.onwheel = (e) => { e.preventDefault(); zoom *= Math.exp(-e.deltaY / 600); draw(); };
  model.on("change:frame", frame);
  frame();
  return () => model.off("change:frame", frame);
}
export default { render };
