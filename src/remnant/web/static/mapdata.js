// The map as columns: what the server sent, what is folded, and what is on the scene.

const NONE = -1;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));

/** What a part of the map's page says, or null where it cannot be had. */
export async function fetched(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** A map. Numbers of things: those of the folded map first, then members of folds, in order. */
export class MapData {
  constructor(sent) {
    const { nodes, edges, unit } = sent;
    this.facts = sent.facts;
    this.kinds = sent.kinds;
    this.types = sent.types;
    this.folded = nodes.kind.length;
    this.origin = Date.parse(sent.time.origin);
    this.step = sent.time.step_s * 1000;
    this.size = Int32Array.from(nodes.size);
    this.start = new Int32Array(this.folded + 1);
    for (let n = 0; n < this.folded; n++) this.start[n + 1] = this.start[n] + (this.size[n] > 1 ? this.size[n] : 0);
    this.count = this.folded + this.start[this.folded];
    const places = (column) => {
      const made = new Float32Array(this.count);
      for (let n = 0; n < this.folded; n++) made[n] = column[n] / unit;
      return made;
    };
    this.x = places(nodes.x);
    this.y = places(nodes.y);
    this.r = places(nodes.r);
    this.laid = [this.x.slice(), this.y.slice()];
    this.keys = null;
    this.cluster = nodes.cluster;
    this.value = nodes.value.slice();
    this.kind = new Uint8Array(this.count);
    this.kind.set(nodes.kind);
    this.degree = nodes.degree.slice();
    this.first = nodes.first.slice();
    this.last = nodes.last.slice();
    this.score = nodes.score ?? [];
    this.sparse = {};
    for (const name of ["label", "hub", "role", "state", "asn", "country"]) this.sparse[name] = new Map(Object.entries(nodes[name]).map(([n, v]) => [+n, v]));
    this.seeds = new Uint8Array(this.count);
    for (const n of sent.seeds) this.seeds[n] = 1;
    this.candidates = sent.candidates;
    this.rank = new Map();
    sent.candidates.forEach((one, k) => one.node !== null && !this.rank.has(one.node) && this.rank.set(one.node, k + 1));
    this.parent = new Int32Array(this.count).fill(NONE);
    for (const [fold, values] of Object.entries(sent.folds)) values.forEach((value, k) => (this.value[this.member(+fold, k)] = value));
    for (let n = 0; n < this.folded; n++) this.#spread(n);
    this.edges = columns(edges);
    this.own = null;
    this.days = null;
    const times = [...this.edges.first, ...this.edges.last].filter((time) => time !== NONE);
    // No spreading of large arrays into arguments.
    let low = Infinity, high = -Infinity;
    for (const time of times) { if (time < low) low = time; if (time > high) high = time; }
    const day = 86_400_000;
    this.zero = Math.floor(this.origin / day) * day;
    this.dated = times.length > 0;
    this.firstDay = this.dated ? Math.floor((this.origin + low * this.step - this.zero) / day) : 0;
    this.lastDay = this.dated ? Math.floor((this.origin + high * this.step - this.zero) / day) : 0;
  }

  member(fold, k) { return this.folded + this.start[fold] + k; }

  /** Put the members of a fold where it lies: in a spiral inside its outline. */
  #spread(fold) {
    const size = this.size[fold];
    if (size < 2) return;
    const wide = 0.88 * this.r[fold];
    const radius = Math.min(1, (0.8 * wide) / Math.sqrt(size));
    for (let k = 0; k < size; k++) {
      const n = this.member(fold, k);
      const far = (wide - 0.5 * radius) * Math.sqrt((k + 0.5) / size);
      this.x[n] = this.x[fold] + far * Math.cos(k * GOLDEN);
      this.y[n] = this.y[fold] + far * Math.sin(k * GOLDEN);
      this.r[n] = radius;
      this.parent[n] = fold;
      this.kind[n] = this.kind[fold];
      this.seeds[n] = this.seeds[fold];
    }
  }

  /** Take in what folds stand for, so that they can be unfolded. */
  addMembers(sent) {
    const at = this.folded;
    sent.nodes.value.forEach((value, k) => {
      this.value[at + k] = value;
      this.degree[at + k] = sent.nodes.degree[k];
      this.first[at + k] = sent.nodes.first[k];
      this.last[at + k] = sent.nodes.last[k];
    });
    for (const [name, found] of Object.entries(this.sparse)) {
      for (const [k, value] of Object.entries(sent.nodes[name])) found.set(at + +k, value);
    }
    this.own = columns(sent.edges);
  }

  /** Take in requests of each day; say whether they are such. */
  addDays(sent) {
    const { starts, tail, head, queries, clients, covered } = sent;
    const rows = [tail, head, queries, clients];
    if (![...rows, starts, covered].every(Array.isArray) || rows.some((row) => row.length !== tail.length)) return false;
    const dayOf = new Map(starts.map((start, k) => [Math.floor((Date.parse(start) - this.zero) / 86_400_000), k]));
    const days = [...dayOf.keys()];
    if (!days.every(Number.isFinite)) return false;
    this.days = sent;
    this.dayOf = dayOf;
    // Dates of the map come as steps, and may lie beyond those of the requests.
    this.firstDay = days.reduce((one, two) => Math.min(one, two), this.firstDay);
    this.lastDay = days.reduce((one, two) => Math.max(one, two), this.lastDay);
    this.dated = true;
    return true;
  }

  /** Put a thing back to where it was laid out. */
  moveHome(n) {
    if (n < this.folded) this.move(n, this.laid[0][n], this.laid[1][n]);
    else this.#spread(this.parent[n]);
  }

  /** Move a thing; what is folded into it goes with it. */
  move(n, x, y) {
    this.x[n] = x;
    this.y[n] = y;
    if (n < this.folded) this.#spread(n);
  }

  key(n) { return `${this.kinds[this.kind[n]]} ${this.value[n]}`; }
  kindOf(n) { return this.kinds[this.kind[n]]; }
  told(name, n) { return this.sparse[name].get(n) ?? (n >= this.folded && !this.own ? this.sparse[name].get(this.parent[n]) : undefined); }
  sizeOf(n) { return n < this.folded ? this.size[n] : 1; }
  scoreOf(n) { return this.score[n < this.folded ? n : this.parent[n]] ?? 0; }
  dayStart(day) { return this.zero + day * 86_400_000; }
  timeOf(step) { return this.origin + step * this.step; }

  /** The thing of a key, or undefined. */
  find(key) {
    if (!this.keys) {
      this.keys = new Map();
      for (let n = this.count - 1; n >= 0; n--) if (this.value[n] !== undefined) this.keys.set(this.key(n), n);
    }
    return this.keys.get(key);
  }

  isOpen(fold, view) { return this.own !== null && this.size[fold] > 1 && (this.size[fold] < view.fold || view.open.has(fold)); }

  /** What stands for a thing on a scene. */
  shownAs(n, view) {
    if (n < this.folded) return this.isOpen(n, view) ? this.member(n, 0) : n;
    return this.isOpen(this.parent[n], view) ? n : this.parent[n];
  }

  /** What is shown: things and edges with folds open or closed and kinds hidden. */
  scene(view) {
    const hidden = this.kinds.map((kind) => view.hide.has(kind));
    const nodes = [];
    const on = new Uint8Array(this.count);
    const place = (n) => { if (!hidden[this.kind[n]]) { nodes.push(n); on[n] = 1; } };
    let opened = false;
    for (let n = 0; n < this.folded; n++) {
      if (!this.isOpen(n, view)) place(n);
      else {
        opened = true;
        for (let k = 0; k < this.size[n]; k++) place(this.member(n, k));
      }
    }
    const all = opened ? this.#unfolded(view) : this.edges;
    const kept = [];
    for (let e = 0; e < all.tail.length; e++) if (on[all.tail[e]] && on[all.head[e]]) kept.push(e);
    return new Scene(this, Int32Array.from(nodes), on, kept.length === all.tail.length ? all : picked(all, kept));
  }

  #unfolded(view) {
    const found = new Map();
    const rows = { tail: [], head: [], type: [], first: [], last: [], count: [], clients: [] };
    const add = (edges, e, tail, head) => {
      const key = (tail * this.count + head) * 16 + edges.type[e];
      const k = found.get(key);
      if (k === undefined) {
        found.set(key, rows.tail.length);
        rows.tail.push(tail);
        rows.head.push(head);
        for (const name of ["type", "first", "last", "count", "clients"]) rows[name].push(edges[name][e]);
        return;
      }
      rows.first[k] = rows.first[k] === NONE ? edges.first[e] : edges.first[e] === NONE ? rows.first[k] : Math.min(rows.first[k], edges.first[e]);
      rows.last[k] = Math.max(rows.last[k], edges.last[e]);
      rows.count[k] += edges.count[e];
      rows.clients[k] = Math.max(rows.clients[k], edges.clients[e]);
    };
    for (let e = 0; e < this.edges.tail.length; e++) {
      const tail = this.edges.tail[e], head = this.edges.head[e];
      if (!this.isOpen(tail, view) && !this.isOpen(head, view)) add(this.edges, e, tail, head);
    }
    for (let e = 0; e < this.own.tail.length; e++) {
      const tail = this.shownAs(this.own.tail[e], view), head = this.shownAs(this.own.head[e], view);
      if (tail >= this.folded || head >= this.folded) add(this.own, e, tail, head);
    }
    return typed(rows);
  }
}

/** What is on the canvas: things, edges between them, and who is joined to whom. */
class Scene {
  constructor(data, nodes, on, edges) {
    Object.assign(this, { data, nodes, on, edges });
    this.starts = null;
    this.byPair = null;
    this.plan = null; // what pictures of it have in common (mappicture.js)
  }

  #index() {
    const { tail, head } = this.edges;
    const starts = new Int32Array(this.data.count + 1);
    for (let e = 0; e < tail.length; e++) { starts[tail[e] + 1]++; starts[head[e] + 1]++; }
    for (let n = 0; n < this.data.count; n++) starts[n + 1] += starts[n];
    const fill = starts.slice();
    this.beside = new Int32Array(2 * tail.length);
    for (let e = 0; e < tail.length; e++) { this.beside[fill[tail[e]]++] = e; this.beside[fill[head[e]]++] = e; }
    this.starts = starts;
  }

  /** Edges at a thing, by number. */
  edgesAt(n) {
    if (!this.starts) this.#index();
    return this.beside.subarray(this.starts[n], this.starts[n + 1]);
  }

  other(e, n) { return this.edges.tail[e] === n ? this.edges.head[e] : this.edges.tail[e]; }

  /** Queries and clients of each edge on a day: of those that have a row by themselves. */
  trafficOn(day, view) {
    const { days } = this.data;
    const column = days ? this.data.dayOf.get(day) : undefined;
    if (column === undefined) return null;
    if (!this.byPair) {
      this.byPair = new Map();
      const asks = this.data.types.indexOf("asks");
      for (let e = 0; e < this.edges.tail.length; e++) {
        if (this.edges.type[e] === asks) this.byPair.set(this.edges.tail[e] * this.data.count + this.edges.head[e], e);
      }
      this.rowEdge = days.tail.map((tail, row) => this.byPair.get(this.data.shownAs(tail, view) * this.data.count + this.data.shownAs(days.head[row], view)) ?? NONE);
    }
    const queries = new Float64Array(this.edges.tail.length).fill(NaN);
    const clients = new Float64Array(this.edges.tail.length);
    let total = days.others?.[column] ?? 0;
    for (let row = 0; row < days.tail.length; row++) {
      const count = days.queries[row][column], e = this.rowEdge[row];
      total += count ?? 0;
      if (e === NONE || count === null) continue;
      queries[e] = (Number.isNaN(queries[e]) ? 0 : queries[e]) + count;
      clients[e] = Math.max(clients[e], days.clients[row][column] ?? 0);
    }
    return { covered: days.covered[column] === 1, queries, clients, total };
  }
}

function columns(sent) {
  let sum = 0;
  const tail = sent.tail.map((step) => (sum += step));
  const clients = new Array(tail.length).fill(0);
  for (const [e, count] of Object.entries(sent.clients)) clients[+e] = count;
  const time = (value) => value ?? NONE;
  return typed({ ...sent, tail, clients, first: sent.first.map(time), last: sent.last.map(time), count: sent.count.map((n) => n ?? 0) });
}

const WIDE = new Set(["count", "clients"]);
const NAMES = ["tail", "head", "type", "first", "last", "count", "clients"];

const typed = (rows) => Object.fromEntries(NAMES.map((name) => [name, (WIDE.has(name) ? Float64Array : Int32Array).from(rows[name])]));

function picked(edges, kept) {
  return Object.fromEntries(NAMES.map((name) => {
    const made = new edges[name].constructor(kept.length);
    for (let k = 0; k < kept.length; k++) made[k] = edges[name][kept[k]];
    return [name, made];
  }));
}
