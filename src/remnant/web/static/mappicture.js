// What there is to paint: which edges and things are on a day, and how each is marked.

import { LOOKS } from "./mapglyph.js";

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
export const ARMS = 1, RING = 2, NUMBER = 4, RANK = 8;

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
