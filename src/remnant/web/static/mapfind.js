// The search box of the map: type, choose from the list, Enter goes to the thing.

import { KIND_WORDS } from "./mapglyph.js";
import { element, legible } from "./maptext.js";

const MOST = 12;

export class Find {
  /** @param on  what to do: go(n), data() */
  constructor(input, list, on) {
    Object.assign(this, { input, list, on });
    this.found = [];
    this.chosen = -1;
    input.addEventListener("input", () => this.#search());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => setTimeout(() => this.#close(), 150));
    list.addEventListener("pointerdown", (event) => {
      const item = event.target.closest("[role=option]");
      if (item) { event.preventDefault(); this.#go(+item.dataset.place); }
    });
  }

  #search() {
    const asked = this.input.value.trim().toLowerCase();
    this.found = asked ? best(this.on.data(), asked) : [];
    this.chosen = this.found.length ? 0 : -1;
    this.list.replaceChildren(...this.found.map((n, place) => this.#item(n, place)));
    this.list.hidden = !asked;
    if (asked && !this.found.length) this.list.append(element("li", "Nothing of that name is on the map.", { role: "option", "aria-disabled": "true", "aria-selected": "false" }));
    this.input.setAttribute("aria-expanded", String(Boolean(asked)));
    this.#mark();
  }

  #item(n, place) {
    const data = this.on.data();
    const item = element("li", null, { role: "option", id: `map-found-${place}`, "aria-selected": "false" });
    item.dataset.place = place;
    const label = data.told("label", n);
    item.append(element("bdi", legible(data.value[n], 80)), element("span", ` ${KIND_WORDS[data.kindOf(n)][0]}${label ? `, ${legible(label, 40)}` : ""}`, { class: "soft" }));
    return item;
  }

  #mark() {
    [...this.list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === this.chosen)));
    if (this.chosen >= 0) this.input.setAttribute("aria-activedescendant", `map-found-${this.chosen}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.found.length) {
      this.chosen = (this.chosen + step + this.found.length) % this.found.length;
      this.#mark();
      event.preventDefault();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.chosen >= 0) this.#go(this.chosen);
    } else if (event.key === "Escape") {
      this.#close();
      event.preventDefault();
    }
  }

  #go(place) {
    const n = this.found[place];
    if (n === undefined) return;
    this.#close();
    this.on.go(n);
  }

  #close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}

/** What is found: what begins with the text first, then what holds it; big before small. */
function best(data, asked) {
  const begin = [], hold = [];
  for (let n = 0; n < data.count; n++) {
    const value = data.value[n];
    if (value === undefined) continue;
    // The first member of a fold has its name too.
    if (n < data.folded && data.size[n] > 1) continue;
    const at = value.toLowerCase().indexOf(asked);
    if (at === 0) begin.push(n);
    else if (at > 0) hold.push(n);
    else if (data.sparse.label.get(n)?.toLowerCase().includes(asked)) hold.push(n);
  }
  const short = (one, two) => data.value[one].length - data.value[two].length || (data.value[one] < data.value[two] ? -1 : 1);
  if (begin.length < 3000) begin.sort(short);
  return [...begin.slice(0, MOST), ...hold.slice(0, MOST)].slice(0, MOST);
}
