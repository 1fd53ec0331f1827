// What is known of the chosen thing, beside the map.

import { KIND_WORDS, LOOKS, icon } from "./mapglyph.js";
import { dayWords, element, legible, number } from "./maptext.js";

const FIRST = 60;
const TYPE_WORDS = {
  resolves_to: ["resolves to", "address of"],
  alias_of: ["alias of", "has the alias"],
  below: ["below", "holds the name"],
  served_by: ["served by", "serves"],
  mail_by: ["mail by", "takes mail for"],
  in_prefix: ["in the prefix", "holds"],
  in_asn: ["announced by", "announces"],
  sinkholed_at: ["sinkholed at", "sinkhole of"],
  asks: ["asks for", "asked for by"],
};

/** How a thing is joined to another by an edge, in words. */
export function joinWords(data, edges, e, n) {
  const words = TYPE_WORDS[data.types[edges.type[e]]];
  return words ? words[edges.tail[e] === n ? 0 : 1] : "joined to";
}

/** Its neighbours with how each is joined, most certain first: edge numbers. */
export function neighbours(scene, n) {
  const { edges } = scene;
  return [...scene.edgesAt(n)].sort((one, two) => edges.type[one] - edges.type[two] || edges.count[two] - edges.count[one]);
}

export class Panel {
  /** @param on  what to do: select(n), unfold(fold), free(n), isPinned(n), isOpen(fold), memberOf(n) */
  constructor(root, caseName, on) {
    this.root = root;
    this.caseName = caseName;
    this.on = on;
  }

  show(scene, n, day) {
    const { root } = this;
    root.replaceChildren();
    if (n < 0) {
      root.append(element("p", "Choose a thing on the map, or find one by name: what is known of it stands here.", { class: "soft" }));
      return;
    }
    const { data } = scene;
    const kind = data.kindOf(n), value = data.value[n] ?? "";
    const head = element("h3");
    const name = element("bdi", legible(value));
    head.append(icon(LOOKS[kind][0], `var(--${LOOKS[kind][1]})`), name);
    const what = data.sizeOf(n) > 1 ? `${number(data.sizeOf(n))} ${KIND_WORDS[kind][1]} with the same neighbours, drawn as one; the first of them` : KIND_WORDS[kind][0];
    root.append(element("p", what, { class: "soft kind" }), head);
    root.append(this.#facts(scene, n, day));
    this.#reasons(data, n);
    root.append(this.#actions(scene, n));
    if (n < data.folded && data.size[n] > 1) root.append(this.#members(data, n));
    root.append(this.#neighbours(scene, n));
  }

  #facts(scene, n, day) {
    const { data } = scene;
    const list = element("dl");
    const add = (name, text, link = null) => {
      if (text === null || text === undefined || text === "") return;
      const said = element("dd");
      const words = link ? element("a", text, { href: link }) : element("bdi", text);
      said.append(words);
      list.append(element("dt", name), said);
    };
    const label = data.told("label", n);
    const seen = (step) => (step === null || step === undefined ? "not dated" : dayWords(data.timeOf(step)));
    add("Called", label && legible(label, 100));
    add("In the case", data.seeds[n] ? [data.told("role", n), data.told("state", n)].filter(Boolean).map((word) => legible(word, 30)).join(", ") || "yes" : null);
    if (n < data.folded || data.own) {
      add("First seen", seen(data.first[n]));
      add("Last seen", seen(data.last[n]));
    }
    const known = data.degree[n];
    if (known !== undefined) add("Neighbours known", `${number(known)}, ${number(scene.edgesAt(n).length)} relations on this map`);
    const asn = data.told("asn", n);
    add("AS", asn && `AS${asn}`, asn && `/search?q=AS${asn}`);
    const country = data.told("country", n);
    add("Country", country && legible(country, 30), country && `/search?q=${encodeURIComponent(country)}`);
    const hub = data.told("hub", n);
    add("Joins nothing", hub && legible(hub, 200));
    const rank = data.rank.get(n);
    if (rank) add("Candidate", `number ${rank}, score ${data.candidates[rank - 1].score?.toFixed(3) ?? "not known"} (an order, no probability)`);
    else if (data.scoreOf(n) && !data.seeds[n]) add("Score", `${(data.scoreOf(n) / 1000).toFixed(3)} (an order, no probability)`);
    const asked = this.#asked(scene, n, day);
    if (asked) add(asked[0], asked[1]);
    return list;
  }

  #asked(scene, n, day) {
    if (!day?.traffic) return null;
    const title = `Requests on ${dayWords(scene.data.dayStart(day.number))}`;
    if (!day.traffic.covered) return [title, "no sensor delivered: a gap, not zero"];
    let queries = 0, known = false;
    for (const e of scene.edgesAt(n)) {
      if (Number.isNaN(day.traffic.queries[e])) continue;
      known = true;
      queries += day.traffic.queries[e];
    }
    return known ? [title, `${number(queries)}, of the links counted day by day`] : null;
  }

  #reasons(data, n) {
    const rank = data.rank.get(n);
    if (!rank) return;
    const list = element("ul", null, { class: "reasons" });
    for (const reason of data.candidates[rank - 1].reasons) list.append(element("li", legible(reason, 300)));
    this.root.append(element("h4", "Why it may belong to the botnet"), list, element("p", "A lead, no finding.", { class: "soft" }));
  }

  #actions(scene, n) {
    const { data } = scene;
    const bar = element("p", null, { class: "actions" });
    const value = data.value[n] ?? "";
    const add = (text, act) => {
      const button = element("button", text, { type: "button" });
      button.addEventListener("click", act);
      bar.append(button);
    };
    add("Zoom to it", () => this.on.open(n));
    if (n < data.folded && data.size[n] > 1) add("Unfold", () => this.on.unfold(n));
    if (n >= data.folded) add("Fold again", () => this.on.fold(data.parent[n]));
    if (this.on.isPinned(n)) add("Unpin", () => this.on.free(n));
    bar.append(element("a", "Find it everywhere", { href: `/search?q=${encodeURIComponent(value.slice(0, 255))}` }));
    bar.append(element("a", "Its row", { href: `/cases/${encodeURIComponent(this.caseName)}/map/table?find=${encodeURIComponent(value.slice(0, 255))}` }));
    return bar;
  }

  #members(data, fold) {
    const box = element("details");
    box.append(element("summary", `The ${number(data.size[fold])} it stands for`));
    const list = element("ul", null, { class: "plain" });
    for (let k = 0; k < data.size[fold]; k++) {
      const value = data.value[data.member(fold, k)];
      if (value === undefined || k === 200) {
        list.append(element("li", `and ${number(data.size[fold] - k)} more: see the table`, { class: "soft" }));
        break;
      }
      const item = element("li");
      item.append(element("bdi", legible(value)));
      list.append(item);
    }
    box.append(list);
    return box;
  }

  #neighbours(scene, n) {
    const { data, edges } = scene;
    const all = neighbours(scene, n);
    const box = element("div");
    box.append(element("h4", `Joined to (${number(all.length)})`));
    const list = element("ul", null, { class: "plain joined" });
    const add = (from, to) => {
      for (const e of all.slice(from, to)) {
        const other = scene.other(e, n);
        const kind = data.kindOf(other);
        const item = element("li");
        const button = element("button", null, { type: "button", class: "link" });
        button.append(icon(LOOKS[kind][0], `var(--${LOOKS[kind][1]})`), element("bdi", legible(data.value[other] ?? "", 80)));
        if (data.sizeOf(other) > 1) button.append(` and ${number(data.sizeOf(other) - 1)} alike`);
        button.addEventListener("click", () => this.on.select(other));
        const days = edges.first[e] < 0 ? "" : `, ${span(data, edges.first[e], edges.last[e])}`;
        const counted = data.types[edges.type[e]] === "asks" ? `, ${number(edges.count[e])} queries, ${number(edges.clients[e])} clients` : "";
        item.append(button, element("span", `${joinWords(data, edges, e, n)}${days}${counted}`, { class: "soft" }));
        list.append(item);
      }
    };
    add(0, FIRST);
    box.append(list);
    if (all.length > FIRST) {
      const more = element("button", `Show ${number(Math.min(all.length, 1000) - FIRST)} more`, { type: "button" });
      more.addEventListener("click", () => {
        add(FIRST, 1000);
        more.remove();
      });
      box.append(more);
    }
    return box;
  }
}

const day = (data, step) => new Date(data.timeOf(step)).toISOString().slice(0, 10);

function span(data, first, last) {
  const from = day(data, first), to = day(data, last);
  return from === to ? from : `${from} to ${to}`;
}
