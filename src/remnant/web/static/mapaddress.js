// What is seen stands in the address, so that it can be passed on and is there after a reload.

import { KIND_WORDS } from "./mapglyph.js";
import { COLOURS, SIZES } from "./mapstyle.js";
import { isoDay } from "./maptext.js";

/** The least number of things alike that is folded where nothing is. */
export const NEVER = 1e9;

const MOST_OPEN = 20;
const DAY_MS = 86_400_000;

/** What the address asks for: how the map looks, what is chosen, and the place, or null. */
export function asked(data) {
  const given = new URLSearchParams(location.search);
  const known = (name, table, fallback) => (Object.hasOwn(table, given.get(name)) ? given.get(name) : fallback);
  const date = given.get("day") ?? "";
  const day = /^\d{4}-\d\d-\d\d$/.test(date) ? Math.floor((Date.parse(date) - data.zero) / DAY_MS) : null;
  const place = (given.get("at") ?? "").split(",").map(Number);
  const node = given.get("node");
  return {
    state: {
      colour: known("colour", COLOURS, "kind"),
      size: known("size", SIZES, "laid"),
      fold: given.get("fold") === "never" ? NEVER : Math.max(3, parseInt(given.get("fold"), 10) || 3),
      open: new Set(given.getAll("open").slice(0, MOST_OPEN).map((key) => data.find(key)).filter((n) => n !== undefined)),
      hide: new Set((given.get("hide") ?? "").split(",").filter((kind) => Object.hasOwn(KIND_WORDS, kind))),
      day: Number.isFinite(day) ? day : null,
    },
    node: (node && data.find(node)) ?? -1,
    place: place.length === 3 && place.every(Number.isFinite) && place[2] > 0 ? place : null,
  };
}

/** Keep what is seen in the address. */
export function keep(data, state, selected, view) {
  const query = new URLSearchParams();
  if (selected >= 0) query.set("node", data.key(selected));
  if (state.colour !== "kind") query.set("colour", state.colour);
  if (state.size !== "laid") query.set("size", state.size);
  if (state.fold > 3) query.set("fold", state.fold === NEVER ? "never" : state.fold);
  for (const n of [...state.open].slice(0, MOST_OPEN)) query.append("open", data.key(n));
  if (state.hide.size) query.set("hide", [...state.hide].join(","));
  if (state.day !== null) query.set("day", isoDay(data.dayStart(state.day)));
  const { x, y, k } = view.camera;
  if (!view.fitted) query.set("at", [x.toFixed(2), y.toFixed(2), k.toFixed(3)].join(","));
  const text = query.toString();
  if (text !== location.search.slice(1)) history.replaceState(null, "", text ? `?${text}` : location.pathname);
}
