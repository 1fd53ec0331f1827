// What stands below the map: kinds with their signs, colours, sizes; and things in a few words.

import { KIND_WORDS, LOOKS, icon } from "./mapglyph.js";
import { element, legible, number } from "./maptext.js";

/** A thing in a sentence. */
export function called(data, n) {
  const kind = KIND_WORDS[data.kindOf(n)];
  const rank = data.rank.get(n);
  const more = data.sizeOf(n) > 1 ? ` and ${number(data.sizeOf(n) - 1)} alike` : "";
  return `${kind[0]} ${legible(data.value[n] ?? "", 100)}${more}${rank ? `, candidate ${rank}` : ""}${data.seeds[n] ? ", in the case" : ""}`;
}

/** What is said of a thing below its name when somebody points at it. */
export function short(scene, n) {
  const { data } = scene;
  const kind = KIND_WORDS[data.kindOf(n)];
  const parts = [data.sizeOf(n) > 1 ? `${number(data.sizeOf(n))} ${kind[1]} alike` : kind[0]];
  if (data.told("label", n)) parts.push(legible(data.told("label", n), 60));
  if (data.told("state", n)) parts.push(legible(data.told("state", n), 20));
  if (data.told("hub", n)) parts.push("joins nothing");
  if (data.rank.has(n)) parts.push(`candidate ${data.rank.get(n)}`);
  parts.push(`${number(scene.edgesAt(n).length)} relations here`);
  return parts.join(" · ");
}

/**
 * List the kinds on the map, each with a box that hides it, and what its colours and sizes mean.
 * @param at      finds a part of the page by its name
 * @param change  what to do when kinds are hidden or shown again
 */
export function legend(at, data, state, looks, change) {
  const counts = new Map();
  for (let n = 0; n < data.folded; n++) counts.set(data.kindOf(n), (counts.get(data.kindOf(n)) ?? 0) + data.size[n]);
  const list = at("kinds");
  const focus = document.activeElement?.dataset?.kind;
  list.replaceChildren();
  for (const [kind, words] of Object.entries(KIND_WORDS)) {
    const count = counts.get(kind);
    if (!count) continue;
    const item = element("li"), label = element("label"), box = element("input", null, { type: "checkbox" });
    box.checked = !state.hide.has(kind);
    box.dataset.kind = kind;
    box.addEventListener("change", () => {
      if (box.checked) state.hide.delete(kind);
      else state.hide.add(kind);
      change();
    });
    const colour = state.colour === "kind" ? `var(--${LOOKS[kind][1]})` : "var(--soft)";
    label.append(box, icon(LOOKS[kind][0], colour, kind === "sinkhole" ? "×" : null), `${number(count)} ${words[count === 1 ? 0 : 1]}`);
    item.append(label);
    list.append(item);
    if (kind === focus) box.focus();
  }
  const more = at("colours");
  more.replaceChildren();
  for (const [colour, words, count] of looks.legend) {
    const item = element("li");
    item.append(icon("circle", colour), count === null ? words : `${words}: ${number(count)}`);
    more.append(item);
  }
  at("sizes").textContent = looks.sizes;
}
