// What a person has put elsewhere: kept in this browser, for this case.

import { number } from "./maptext.js";

export class Pins {
  constructor(data, caseName, button) {
    Object.assign(this, { data, button });
    this.place = `remnant-map-pins ${caseName}`;
    this.pinned = new Set();
    try {
      for (const [key, x, y] of JSON.parse(localStorage.getItem(this.place) ?? "[]")) {
        const n = data.find(key);
        if (n === undefined || !Number.isFinite(x) || !Number.isFinite(y)) continue;
        this.pinned.add(n);
        data.move(n, x, y);
      }
    } catch { /* a store that cannot be read holds no pins */ }
    this.#tell();
  }

  has(n) { return this.pinned.has(n); }
  all() { return this.pinned; }

  /** A thing stays where it was dragged to. */
  add(n) {
    this.pinned.add(n);
    this.#save();
  }

  /** A thing goes back to where it was laid out. */
  free(n) {
    this.pinned.delete(n);
    this.data.moveHome(n);
    this.#save();
  }

  clear() {
    for (const n of this.pinned) this.data.moveHome(n);
    this.pinned.clear();
    this.#save();
  }

  #save() {
    const { data } = this;
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.pinned].map((n) => [data.key(n), data.x[n], data.y[n]])));
    } catch { /* without a store pins last as long as the page */ }
    this.#tell();
  }

  #tell() {
    this.button.hidden = !this.pinned.size;
    this.button.textContent = `Unpin ${number(this.pinned.size)}`;
  }
}
