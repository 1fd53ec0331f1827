// Paints a scene. It is a generator that stops every few thousand marks, so that a picture can be
// made beside a movement; who wants it at once runs it to its end.

import { KIND_WORDS, trace } from "./mapglyph.js";
import { ARMS, NUMBER, RANK, RING } from "./mappicture.js";
import { legible, number, shortened } from "./maptext.js";

const EDGES_AT_ONCE = 400;
const MARKS_AT_ONCE = 60;
const TINY = 1.7;
const LABELS = 90;
const ROOM_OF_LABEL = 8000;
const FONT = '"Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** Run a painting to its end. */
export function finish(painting) {
  while (!painting.next().done);
}

/** What is written beside a thing. */
function words(data, n) {
  const kind = data.kindOf(n);
  const value = shortened(data.value[n] ?? "");
  if (data.sizeOf(n) > 1) return `${number(data.sizeOf(n))} ${KIND_WORDS[kind][1]}, as ${value}`;
  const label = data.told("label", n);
  if ((kind === "asn" || kind === "sinkhole" || kind === "client_network") && label) return `${value} ${legible(label, 30)}`;
  return value;
}

/**
 * Paint a view into a canvas.
 * @param camera  {x, y, k}: what lies in the middle, and pixels per unit
 * @param w,h     size in CSS pixels; the context's transform is set to `ratio`
 */
export function* paint(ctx, picture, camera, w, h, ratio, { labels = true, inner = null } = {}) {
  const { scene, looks, theme } = picture;
  const { data, edges } = scene;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, w, h);
  const k = camera.k, ox = w / 2 - camera.x * k, oy = h / 2 - camera.y * k;
  yield* paintEdges(ctx, picture, k, ox, oy, w, h, ratio);

  // Marks: tiny ones as squares, others as their shapes; what is not there on this day is faint.
  const { style, over, styles } = picture.marks;
  const groups = Array.from({ length: 2 * styles.length }, () => []);
  const sinks = [], rings = [], folds = [], ranks = [];
  const { order, alive } = picture;
  const { radius } = looks;
  let seen = 0;
  for (const n of scene.nodes) {
    const x = data.x[n] * k + ox, y = data.y[n] * k + oy;
    const r = Math.max(radius[n] * k, 0.8);
    if (x < -r - 9 || y < -r - 9 || x > w + r + 9 || y > h + r + 9) continue;
    const gone = alive !== null && !alive[n];
    groups[gone ? style[n] : styles.length + style[n]].push(x, y, r);
    const more = over[n];
    if (more) {
      if (!gone) {
        if (more & ARMS) sinks.push(x, y, r);
        if (more & RING && r > TINY) rings.push(x, y, r);
        if (more & NUMBER) folds.push(n, x, y, r);
      }
      if (more & RANK) ranks.push(n, x, y, r);
    }
    if (++seen % 2000 === 0) yield;
  }
  for (let g = 0; g < groups.length; g++) {
    const marks = groups[g];
    if (!marks.length) continue;
    const { hollow, colour, shape } = styles[g % styles.length];
    ctx.globalAlpha = g < styles.length ? 0.16 : 1;
    ctx.fillStyle = hollow ? theme.paper : colour;
    ctx.strokeStyle = theme.soft;
    ctx.lineWidth = 1.4;
    let inPath = 0;
    ctx.beginPath();
    const flush = () => {
      if (!inPath) return;
      ctx.fill();
      if (hollow) ctx.stroke();
      ctx.beginPath();
      inPath = 0;
    };
    for (let i = 0; i < marks.length; i += 3) {
      const x = marks[i], y = marks[i + 1], r = marks[i + 2];
      if (r < TINY && !hollow) {
        ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
        if (i % 1500 === 0) yield;
        continue;
      }
      trace(ctx, shape, x, y, r);
      if (++inPath === MARKS_AT_ONCE) {
        flush();
        yield;
      }
    }
    flush();
    yield;
  }
  ctx.globalAlpha = 1;
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1;
  for (let i = 0; i < rings.length; i += 3 * MARKS_AT_ONCE) {
    ctx.beginPath();
    for (let j = i; j < Math.min(i + 3 * MARKS_AT_ONCE, rings.length); j += 3) trace(ctx, "circle", rings[j], rings[j + 1], rings[j + 2] + Math.min(3, 1 + 0.25 * rings[j + 2]));
    ctx.stroke();
  }
  yield;
  ctx.strokeStyle = theme.paper;
  ctx.beginPath();
  for (let i = 0; i < sinks.length; i += 3) {
    const x = sinks[i], y = sinks[i + 1], arm = 0.5 * sinks[i + 2];
    ctx.moveTo(x - arm, y - arm); ctx.lineTo(x + arm, y + arm);
    ctx.moveTo(x - arm, y + arm); ctx.lineTo(x + arm, y - arm);
  }
  ctx.lineWidth = 1.4;
  ctx.stroke();
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.paper;
  for (let i = 0; i < folds.length; i += 4) {
    const [n, x, y, r] = folds.slice(i, i + 4);
    if (r < 6.5) continue;
    const count = number(data.sizeOf(n));
    // Whole pixels: every size is a font that has to be found and drawn for the first time.
    const size = Math.floor(Math.min(r, (1.8 * r) / (count.length * 0.6), 16) + 0.5);
    if (size < 7) continue;
    ctx.font = `600 ${size}px ${FONT}`;
    ctx.fillText(count, x, y + 0.05 * size);
  }
  for (let i = ranks.length - 4; i >= 0; i -= 4) {
    const [n, x, y, r] = ranks.slice(i, i + 4);
    // On a large shape the rank stands at its corner, so that the shape can be seen.
    const aside = r > 11 ? 0.75 * r : 0;
    candidate(ctx, theme, x + aside, y - aside, Math.max(Math.min(r + 1, 9), 7.5), data.rank.get(n));
  }
  yield;
  if (!labels) return;
  const room = new Room(w);
  const seenOnly = inner ?? [0, 0, w, h];
  yield* paintLabels(ctx, picture, order, k, ox, oy, room, seenOnly, null);
  // Beyond the view, for when it moves there.
  if (inner) yield* paintLabels(ctx, picture, order, k, ox, oy, room, [0, 0, w, h], inner);
}

function candidate(ctx, theme, x, y, r, rank) {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.fillStyle = theme.alarm;
  ctx.strokeStyle = theme.paper;
  ctx.lineWidth = 1.3;
  ctx.fill();
  ctx.stroke();
  ctx.fillStyle = theme.paper;
  ctx.font = `600 ${Math.round(rank > 9 ? 1.05 * r : 1.25 * r)}px ${FONT}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(String(rank), x, y + 0.05 * r);
}

function* paintEdges(ctx, picture, k, ox, oy, w, h, ratio) {
  const { scene, styles, theme, starts } = picture;
  const { tail, head } = scene.edges;
  const { x: px, y: py } = scene.data;
  let drawn = 0;
  for (let g = 0; g < styles.length; g++) {
    const [colour, width, alpha] = styles[g];
    ctx.strokeStyle = theme[colour];
    ctx.globalAlpha = alpha;
    // One device pixel at most is much cheaper than more.
    ctx.lineWidth = width <= 1 ? 1 / ratio : width;
    ctx.beginPath();
    let inPath = 0;
    for (let i = starts[g]; i < starts[g + 1]; i++) {
      const e = picture.edges[i];
      const t = tail[e], d = head[e];
      const x = px[t] * k + ox, y = py[t] * k + oy, u = px[d] * k + ox, v = py[d] * k + oy;
      if ((x < 0 && u < 0) || (y < 0 && v < 0) || (x > w && u > w) || (y > h && v > h)) continue;
      ctx.moveTo(x, y);
      ctx.lineTo(u, v);
      if (++inPath === (width <= 1 ? EDGES_AT_ONCE : 40)) {
        ctx.stroke();
        ctx.beginPath();
        inPath = 0;
      }
      if (++drawn % EDGES_AT_ONCE === 0) yield;
    }
    if (inPath) ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

const widths = new Map();

/** Write names where there is room: of what lies in `frame` and not in `done`. */
function* paintLabels(ctx, picture, order, k, ox, oy, room, frame, done) {
  const { scene, looks, theme, alive } = picture;
  const { data } = scene;
  const size = 12, high = 15;
  const [left, top_, right, bottom] = frame;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.lineJoin = "round";
  for (const [n, rank] of data.rank) {
    if (scene.on[n]) room.take(data.x[n] * k + ox - 8, data.y[n] * k + oy - 8, 16, 16, rank);
  }
  const most = Math.min(LABELS, Math.max(14, ((right - left) * (bottom - top_)) / ROOM_OF_LABEL));
  let written = 0, tried = 0;
  for (const n of order) {
    const x = data.x[n] * k + ox, y = data.y[n] * k + oy;
    if (x < left || y < top_ || x > right || y > bottom || (alive && !alive[n])) continue;
    if (done && x >= done[0] && y >= done[1] && x <= done[2] && y <= done[3]) continue;
    const ranked = data.rank.has(n);
    const r = Math.max(looks.radius[n] * k, ranked ? 8 : 0);
    if (!ranked && r < 2.2 && written > 40) continue;
    if (written >= most || ++tried > 700) break;
    const text = words(data, n);
    ctx.font = `${ranked ? 600 : 400} ${size}px ${FONT}`;
    const key = ranked ? `!${text}` : text;
    let wide = widths.get(key);
    if (wide === undefined) widths.set(key, (wide = ctx.measureText(text).width));
    const gap = r + 4;
    for (const [at, top] of [[x + gap, y - high / 2], [x - gap - wide, y - high / 2], [x - wide / 2, y + gap - 2], [x - wide / 2, y - gap - high + 2]]) {
      if (at < left + 2 || at + wide > right - 2 || top < top_ + 1 || top + high > bottom - 1 || !room.free(at, top, wide, high)) continue;
      room.take(at, top, wide, high);
      ctx.globalAlpha = 0.78;
      ctx.fillStyle = theme.paper;
      ctx.fillRect(at - 2, top + 1, wide + 4, high - 2);
      ctx.globalAlpha = 1;
      ctx.fillStyle = picture.hubs[n] && !ranked ? theme.soft : theme.ink;
      ctx.fillText(text, at, top + high / 2);
      written++;
      break;
    }
    if (written % 30 === 29) yield;
  }
  if (widths.size > 20000) widths.clear();
}

/** Which parts of a picture are written on: boxes in a grid. */
class Room {
  constructor(w) {
    this.cell = 64;
    this.across = Math.ceil(w / this.cell) + 2;
    this.cells = new Map();
  }

  free(x, y, wide, high) {
    const c = this.cell;
    const right = Math.floor((x + wide) / c), bottom = Math.floor((y + high) / c);
    for (let i = Math.floor(x / c); i <= right; i++) {
      for (let j = Math.floor(y / c); j <= bottom; j++) {
        const boxes = this.cells.get(j * this.across + i);
        if (!boxes) continue;
        for (const [u, v, s, t] of boxes) if (x < u + s && u < x + wide && y < v + t && v < y + high) return false;
      }
    }
    return true;
  }

  take(x, y, wide, high) {
    const box = [x, y, wide, high], c = this.cell;
    const right = Math.floor((x + wide) / c), bottom = Math.floor((y + high) / c);
    for (let i = Math.floor(x / c); i <= right; i++) {
      for (let j = Math.floor(y / c); j <= bottom; j++) {
        const key = j * this.across + i;
        const boxes = this.cells.get(key);
        if (boxes) boxes.push(box);
        else this.cells.set(key, [box]);
      }
    }
  }
}
