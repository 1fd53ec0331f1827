// The keys of the map: moving, zooming, and walking from neighbour to neighbour.

import { joinWords, neighbours } from "./mappanel.js";
import { number } from "./maptext.js";

const PAN = 60;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Keys {
  /** @param page  the map's page (map.js): what is chosen, the view, and what can be done */
  constructor(page) {
    this.page = page;
    this.at = -1; // which neighbour of what is chosen is pointed at
    page.at("canvas").addEventListener("keydown", (event) => this.#key(event));
  }

  /** Something else is chosen. */
  forget() { this.at = -1; }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { page } = this;
    const { view, selected } = page;
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) this.#towards(...arrow);
    else if (arrow) view.pan(-PAN * arrow[0], -PAN * arrow[1]);
    else if (event.key === "+" || event.key === "=") view.zoom(1.3);
    else if (event.key === "-") view.zoom(1 / 1.3);
    else if (event.key === "0") view.fit(true);
    else if (event.key === "]" || event.key === "n") this.#walk(1);
    else if (event.key === "[" || event.key === "p") this.#walk(-1);
    else if (event.key === "Enter") {
      if (view.beside >= 0) page.select(view.beside, true);
      else if (selected >= 0) page.open(selected);
    } else if (event.key === "Escape") page.select(-1);
    else if (event.key === "f") page.at("find").focus();
    else return;
    event.preventDefault();
  }

  /** Point at the next neighbour of what is chosen; Enter goes there. */
  #walk(by) {
    const { page } = this;
    const { view, scene, data, selected } = page;
    if (selected < 0) {
      // Where to begin: the first candidate, or what matters most.
      const first = view.picture.order[0];
      if (first !== undefined) page.select(first, true);
      return;
    }
    const all = neighbours(scene, selected);
    if (!all.length) return;
    this.at = (this.at + by + all.length + (this.at < 0 && by < 0 ? 1 : 0)) % all.length;
    const e = all[this.at];
    view.beside = scene.other(e, selected);
    view.refresh();
    page.bring(view.beside);
    page.say(`${this.at + 1} of ${number(all.length)}: ${joinWords(data, scene.edges, e, selected)} ${page.called(view.beside)}. Enter goes there.`);
  }

  /** Go to the neighbour that lies most in a direction. */
  #towards(dx, dy) {
    const { page } = this;
    const { scene, data, selected } = page;
    if (selected < 0) { this.#walk(1); return; }
    let best = -1, most = 0.3;
    for (const e of scene.edgesAt(selected)) {
      const other = scene.other(e, selected);
      const x = data.x[other] - data.x[selected], y = data.y[other] - data.y[selected];
      const far = Math.hypot(x, y) || 1;
      const fit = (x * dx + y * dy) / far - 0.002 * far;
      if (fit > most) { most = fit; best = other; }
    }
    if (best >= 0) page.select(best, true);
    else page.say("Nothing is joined to it in this direction.");
  }
}
