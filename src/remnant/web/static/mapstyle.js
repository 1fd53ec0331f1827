// Colours and sizes: of the page, and by attributes of things.

import { KIND_WORDS, LOOKS } from "./mapglyph.js";
import { legible, number } from "./maptext.js";

const NAMES = ["paper", "panel", "ink", "soft", "line", "gap", "accent", "band", "alarm", "address", "prefix", "network", "server", "mail", "client"];
const SERIES = ["accent", "address", "network", "server", "mail", "client", "prefix", "ink"];
const OTHER = "soft";

/** The colours of the page as it is now: light or dark. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim() || "#888"]));
}

let names = null;
const country = (code) => {
  names ??= new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });
  try { return names.of(code); } catch { return legible(code, 20); }
};

export const COLOURS = {
  kind: ["kind", (data, n) => data.kindOf(n), (key) => KIND_WORDS[key][1]],
  state: ["state in the case", (data, n) => data.told("state", n), (key) => legible(key, 30)],
  cluster: ["cluster", (data, n) => data.cluster[n < data.folded ? n : data.parent[n]], (key) => `cluster ${key + 1}`],
  asn: ["network (AS)", (data, n) => (data.kindOf(n) === "asn" || data.kindOf(n) === "client_network" ? asNumber(data.value[n]) : data.told("asn", n)), (key) => `AS${key}`],
  country: ["country", (data, n) => data.told("country", n), (key) => country(key)],
  score: ["score of the ranking", null, null],
};

const asNumber = (value) => (/^AS[0-9]{1,10}$/.test(value ?? "") ? +value.slice(2) : undefined);

export const SIZES = {
  laid: ["as laid out", null],
  degree: ["neighbours known", (data, n) => data.degree[n] ?? 0],
  clients: ["clients of its busiest link", null],
  members: ["things it stands for", (data, n) => data.sizeOf(n)],
  score: ["score of the ranking", (data, n) => data.scoreOf(n)],
};

/** Steps from grey to the alarm colour. */
const RAMP = [0, 0.25, 0.5, 0.75, 1];

/**
 * Colour and radius of each thing on a scene, and the legend.
 * @returns {colour: string[], radius: Float32Array, legend: [colour, words, count][], sizes: text}
 */
export function looksOf(scene, view, colours) {
  const { data } = scene;
  const colour = new Array(data.count).fill(colours[OTHER]);
  let legend = [];
  if (view.colour === "kind") {
    for (const n of scene.nodes) colour[n] = colours[LOOKS[data.kindOf(n)][1]];
  } else if (view.colour === "score") {
    const ramp = RAMP.map((share) => mixed(colours.soft, colours.alarm, share));
    for (const n of scene.nodes) colour[n] = ramp[Math.min(4, Math.floor(data.scoreOf(n) / 200))];
    legend = ramp.map((shade, k) => [shade, `${(k / 5).toFixed(1)} to ${((k + 1) / 5).toFixed(1)}`, null]);
  } else {
    const [, of, called] = COLOURS[view.colour];
    const counts = new Map();
    const keys = new Array(data.count);
    for (const n of scene.nodes) {
      keys[n] = of(data, n);
      if (keys[n] !== undefined && keys[n] !== null) counts.set(keys[n], (counts.get(keys[n]) ?? 0) + data.sizeOf(n));
    }
    const top = [...counts].sort((one, two) => two[1] - one[1] || (one[0] < two[0] ? -1 : 1)).slice(0, SERIES.length);
    const chosen = new Map(top.map(([key], k) => [key, colours[SERIES[k]]]));
    for (const n of scene.nodes) colour[n] = chosen.get(keys[n]) ?? mixed(colours.soft, colours.paper, 0.35);
    legend = top.map(([key, count]) => [chosen.get(key), called(key), count]);
    legend.push([mixed(colours.soft, colours.paper, 0.35), counts.size > top.length ? `others (${number(counts.size - top.length)} more) and not known` : "not known", null]);
  }
  return { colour, legend, ...radiiOf(scene, view) };
}

function radiiOf(scene, view) {
  const { data } = scene;
  if (view.size === "laid") return { radius: data.r, sizes: "" };
  let of = SIZES[view.size][1];
  if (view.size === "clients") {
    const clients = new Float64Array(data.count);
    const { tail, head, clients: count } = scene.edges;
    for (let e = 0; e < tail.length; e++) {
      clients[tail[e]] = Math.max(clients[tail[e]], count[e]);
      clients[head[e]] = Math.max(clients[head[e]], count[e]);
    }
    of = (_, n) => clients[n];
  }
  let most = 0;
  for (const n of scene.nodes) most = Math.max(most, of(data, n));
  const radius = new Float32Array(data.count).fill(0.5);
  // Area by value; bounded, as the layout left room for its own radii.
  for (const n of scene.nodes) radius[n] = 0.45 + 3.2 * Math.sqrt(of(data, n) / Math.max(most, 1));
  return { radius, sizes: `Area: ${SIZES[view.size][1] || view.size === "clients" ? SIZES[view.size][0] : ""}, the largest ${view.size === "score" ? (most / 1000).toFixed(2) : number(most)}` };
}

/** A colour between two, both #rrggbb. */
function mixed(one, two, share) {
  const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const a = parts(one), b = parts(two);
  return `#${a.map((value, k) => Math.round(value + (b[k] - value) * share).toString(16).padStart(2, "0")).join("")}`;
}
