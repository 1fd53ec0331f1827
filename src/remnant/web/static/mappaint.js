// Paints a scene. It is a generator that stops every few thousand marks, so that a picture can be
// made beside a movement; who wants it at once runs it to its end.

import { KIND_WORDS, LOOKS, trace } from "./mapglyph.js";
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

/**
 * What is the same for all views of one scene, look and day.
 * @param looks  colour and radius of each thing (mapstyle.js)
 * @param day    null, or {start, end, traffic}: steps of the map's times, end not included
 */
export class Picture {
  constructor(scene, looks, day, theme) {
    Object.assign(this, { scene, looks, day, theme });
    const { data, edges } = scene;
    // What no day changes is worked out once for a scene, and once for its looks.
    const plan = (scene.plan ??= planned(scene));
    this.marks = looks.marks ??= marked(scene, looks, plan.hubs);
    this.hubs = plan.hubs;
    this.order = plan.order;
    const count = edges.tail.length;
    this.group = new Int8Array(count).fill(-1);
    this.alive = day ? new Uint8Array(data.count) : null;
    const sizes = new Int32Array(GROUPS);
    for (let e = 0; e < count; e++) {
      let g = plan.group[e];
      if (day) {
        const dated = edges.first[e] >= 0;
        if (dated && (edges.first[e] >= day.end || edges.last[e] < day.start)) continue;
        if (g >= ASKS && day.traffic) {
          const own = day.traffic.queries[e];
          if (own === 0 || !day.traffic.covered) continue;
          g = asked(own);
        }
        if (dated) this.alive[edges.tail[e]] = this.alive[edges.head[e]] = 1;
      }
      this.group[e] = g;
      sizes[g]++;
    }
    // Edges by group: each is painted with one style.
    this.starts = new Int32Array(GROUPS + 1);
    for (let g = 0; g < GROUPS; g++) this.starts[g + 1] = this.starts[g] + sizes[g];
    const at = this.starts.slice();
    this.edges = new Int32Array(this.starts[GROUPS]);
    for (let e = 0; e < count; e++) if (this.group[e] >= 0) this.edges[at[this.group[e]]++] = e;
    const crowd = Math.min(1, (3000 / Math.max(count, 1)) ** 0.35);
    const faint = (n, most) => Math.min(1, (most / Math.max(n, 1)) ** 0.5);
    const requests = this.starts[GROUPS] - this.starts[ASKS];
    this.styles = [
      ["soft", 1, 0.14 * faint(sizes[0], 400) * crowd],
      ["soft", 1, Math.max(0.3 * faint(sizes[1], 250), 0.07) * crowd],
      ["soft", 1, 0.55 * crowd],
      ["alarm", 1, 0.6],
      ...[0, 1, 2, 3, 4].map((k) => ["client", k > 2 ? k - 1 : 1, (0.14 + 0.09 * k) * faint(requests, 60)]),
    ];
  }
}

// Groups of edges: 0 at a hub, 1 between clusters, 2 within one, 3 at a candidate, from ASKS on
// requests by their number.
const ASKS = 4;
const GROUPS = 9;

const asked = (queries) => ASKS + (queries > 0 ? Math.min(4, Math.floor(Math.log10(queries))) : 0);

/** Which group each edge belongs to on all days, what is a hub, and what matters most. */
function planned(scene) {
  const { data, edges } = scene;
  const asks = data.types.indexOf("asks");
  const hubs = new Uint8Array(data.count);
  for (const n of data.sparse.hub.keys()) hubs[n] = 1;
  const ranked = new Uint8Array(data.count);
  for (const [n, rank] of data.rank) if (rank <= 10) ranked[n] = 1;
  const cluster = (n) => data.cluster[n < data.folded ? n : data.parent[n]];
  const group = new Int8Array(edges.tail.length);
  for (let e = 0; e < group.length; e++) {
    const t = edges.tail[e], h = edges.head[e];
    if (edges.type[e] === asks) group[e] = asked(edges.count[e]);
    else if (hubs[t] || hubs[h]) group[e] = 0;
    else if (ranked[t] || ranked[h]) group[e] = 3;
    else group[e] = cluster(t) === cluster(h) ? 2 : 1;
  }
  return { group, hubs, order: importance(scene, hubs) };
}

/** Things by how much they matter, for labels and for what lies on top. */
function importance(scene, hubs) {
  const { data, nodes } = scene;
  const weight = new Float64Array(data.count);
  for (const n of nodes) {
    let w = data.degree[n] ?? 1;
    const rank = data.rank.get(n);
    if (rank !== undefined) w += 1e7 - rank;
    const kind = data.kindOf(n);
    if (kind === "sinkhole") w += 1e6;
    if (data.seeds[n]) w = 4 * w + 10;
    if (hubs[n]) w *= 0.5;
    if (kind === "asn") w += 20;
    weight[n] = w + 0.5 * data.sizeOf(n);
  }
  return nodes.slice().sort((m, n) => weight[n] - weight[m]).subarray(0, 4000);
}

// What is drawn over the mark of a thing.
const ARMS = 1, RING = 2, NUMBER = 4, RANK = 8;

/** How things are marked: which of some styles each has, and what is drawn over it. */
function marked(scene, looks, hubs) {
  const { data } = scene;
  const style = new Uint16Array(data.count), over = new Uint8Array(data.count);
  const styles = [];
  const known = data.kinds.map(() => [new Map(), new Map()]);
  for (const n of scene.nodes) {
    const kind = data.kindOf(n);
    const hollow = hubs[n] && kind !== "sinkhole" ? 1 : 0;
    const colour = hollow ? null : looks.colour[n];
    const found = known[data.kind[n]][hollow];
    let k = found.get(colour);
    if (k === undefined) {
      found.set(colour, (k = styles.length));
      styles.push({ hollow: Boolean(hollow), colour, shape: LOOKS[kind][0] });
    }
    style[n] = k;
    const ranked = data.rank.has(n);
    over[n] = (kind === "sinkhole" ? ARMS : 0) | (data.seeds[n] && !ranked ? RING : 0) | (data.sizeOf(n) > 1 ? NUMBER : 0) | (ranked ? RANK : 0);
  }
  return { style, over, styles };
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
