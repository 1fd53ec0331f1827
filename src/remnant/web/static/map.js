// The map's page: joins the data, the canvas, and what stands around it.

import { MapData, fetched } from "./mapdata.js";
import { Picture } from "./mappaint.js";
import { View } from "./mapview.js";
import { Panel, joinWords, neighbours } from "./mappanel.js";
import { Find } from "./mapfind.js";
import { Days } from "./maptime.js";
import { KIND_WORDS, LOOKS, icon } from "./mapglyph.js";
import { COLOURS, SIZES, looksOf, theme } from "./mapstyle.js";
import { download, picture } from "./mapsave.js";
import { tellNewer, waitForMap } from "./mapnewer.js";
import { dayWords, element, isoDay, legible, number } from "./maptext.js";

const FOLDS = [3, 4, 5, 8, 12, 20, 50, 100];
const NEVER = 1e9;
const PAN = 60;

class MapPage {
  constructor(root, sent) {
    this.root = root;
    this.at = (name) => root.querySelector(`[data-map="${name}"]`);
    this.base = root.dataset.path;
    this.caseName = root.dataset.case;
    this.data = new MapData(sent);
    this.asked = new URLSearchParams(location.search);
    this.state = this.#read();
    this.selected = -1;
    this.walkAt = -1;
    this.pins = new Map();
    this.theme = theme();
    this.live = this.at("said");
    this.view = new View(this.at("canvas"), {
      select: (n) => this.select(n),
      open: (n) => this.open(n),
      hover: (n, x, y) => this.#hover(n, x, y),
      moved: () => this.#write(),
      pinned: (n) => this.#pin(n),
      pins: () => this.pins.keys(),
    });
    this.panel = new Panel(this.at("panel"), this.caseName, {
      select: (n) => this.select(n, true),
      open: (n) => this.open(n),
      unfold: (fold) => this.unfold(fold, true),
      fold: (fold) => this.unfold(fold, false),
      free: (n) => this.#free(n),
      isPinned: (n) => this.pins.has(n),
    });
    this.find = new Find(this.at("find"), this.at("found"), { go: (n) => this.go(n), data: () => this.data });
    this.days = new Days(root, { change: (day) => this.#day(day), rest: () => this.#write() });
    this.#loadPins();
    this.#controls();
  }

  #read() {
    const { asked } = this;
    const known = (name, table, fallback) => (Object.hasOwn(table, asked.get(name)) ? asked.get(name) : fallback);
    const day = /^\d{4}-\d\d-\d\d$/.test(asked.get("day") ?? "") ? Math.floor((Date.parse(asked.get("day")) - this.data.zero) / 86_400_000) : null;
    const fold = asked.get("fold") === "never" ? NEVER : Math.max(3, parseInt(asked.get("fold"), 10) || 3);
    return {
      colour: known("colour", COLOURS, "kind"),
      size: known("size", SIZES, "laid"),
      fold,
      open: new Set((asked.getAll("open") ?? []).slice(0, 20).map((key) => this.data.find(key)).filter((n) => n !== undefined)),
      hide: new Set((asked.get("hide") ?? "").split(",").filter((kind) => Object.hasOwn(KIND_WORDS, kind))),
      day,
    };
  }

  /** Draw for the first time, then fetch what can wait. */
  async start() {
    const { state, view } = this;
    this.days.take(this.data, state.day);
    this.#build();
    const place = (this.asked.get("at") ?? "").split(",").map(Number);
    if (place.length === 3 && place.every(Number.isFinite) && place[2] > 0) view.centre(...place);
    else view.fit();
    this.#draw();
    const node = this.asked.get("node");
    if (node && this.data.find(node) !== undefined) this.select(this.data.shownAs(this.data.find(node), state), !this.asked.has("at"));
    else this.panel.show(this.scene, -1, null);
    performance.mark("map:ready");
    this.root.dataset.ready = "";
    if (state.fold > 3 || state.open.size) await this.#members();
    await this.#traffic();
    this.root.dataset.complete = "";
  }

  /** Return where a part of this map is; of a newer one it would fit nothing here. */
  #part(name) {
    return `${this.base}/${name}.json?made=${encodeURIComponent(this.root.dataset.made)}`;
  }

  async #traffic() {
    if (!("days" in this.root.dataset)) return;
    const days = await fetched(this.#part("days"));
    if (!days) { this.say("Requests of each day could not be loaded."); return; }
    this.data.addDays(days);
    this.days.take(this.data, this.state.day);
    this.scene.byPair = null;
    if (this.state.day !== null) this.#day(this.state.day);
  }

  #members() {
    this.loading ??= fetched(this.#part("members")).then((members) => {
      if (members) {
        this.data.addMembers(members);
        this.#rebuild();
        return;
      }
      this.loading = null; // whoever asks next tries again
      this.say("What is folded could not be loaded; where a newer map is there, reload.");
    });
    return this.loading;
  }

  #build() {
    this.scene = this.data.scene(this.state);
    this.view.scene = this.scene;
    this.looks = looksOf(this.scene, this.state, this.theme);
    this.#legend();
  }

  #rebuild() {
    this.#build();
    if (this.selected >= 0) this.selected = this.data.shownAs(this.selected, this.state);
    this.view.selected = this.selected;
    this.#draw();
    this.panel.show(this.scene, this.selected, this.day);
    this.#write();
  }

  #draw() {
    const { state, data } = this;
    this.day = null;
    if (state.day !== null) {
      const start = (data.dayStart(state.day) - data.origin) / data.step;
      this.day = { number: state.day, start, end: start + 86_400_000 / data.step, traffic: this.scene.trafficOn(state.day, state) };
    }
    const shown = new Picture(this.scene, this.looks, this.day, this.theme);
    if (this.day) {
      let alive = 0;
      for (const n of this.scene.nodes) if (shown.alive[n]) alive += data.sizeOf(n);
      this.day.alive = alive;
    }
    this.view.show(shown);
    this.days.show(this.day);
  }

  #day(day) {
    const start = performance.now();
    this.state.day = day;
    this.#draw();
    performance.measure("map:day", { start });
    if (!this.days.isPlaying) {
      this.#write();
      if (this.selected >= 0) this.panel.show(this.scene, this.selected, this.day);
    }
  }

  say(text) { this.live.textContent = text; }

  /** Choose a thing; -1 for none. */
  select(n, centred = false) {
    this.selected = n;
    this.walkAt = -1;
    this.view.selected = n;
    this.view.beside = -1;
    if (n >= 0 && centred) this.#bring(n);
    this.panel.show(this.scene, n, this.day);
    this.view.refresh();
    this.say(n < 0 ? "Nothing is chosen." : `${this.#called(n)}, joined to ${number(this.scene.edgesAt(n).length)}.`);
    this.#write();
  }

  #called(n) {
    const { data } = this;
    const kind = KIND_WORDS[data.kindOf(n)];
    const rank = data.rank.get(n);
    const more = data.sizeOf(n) > 1 ? ` and ${number(data.sizeOf(n) - 1)} alike` : "";
    return `${kind[0]} ${legible(data.value[n] ?? "", 100)}${more}${rank ? `, candidate ${rank}` : ""}${data.seeds[n] ? ", in the case" : ""}`;
  }

  /** Bring a thing into sight, where it is not well inside. */
  #bring(n) {
    const [x, y] = this.view.toScreen(n);
    const { w, h } = this.view;
    if (x < 0.15 * w || x > 0.85 * w || y < 0.15 * h || y > 0.85 * h) this.view.centre(this.data.x[n], this.data.y[n], this.view.camera.k, true);
  }

  /** Zoom to a thing. */
  open(n) {
    this.select(n);
    const k = Math.max(this.view.camera.k, Math.min(40, 26 / Math.max(this.looks.radius[n], 0.5)));
    this.view.centre(this.data.x[n], this.data.y[n], k, true);
  }

  /** Go to what was searched for. */
  go(n) {
    const start = performance.now();
    const { data, state } = this;
    if (state.hide.delete(data.kindOf(n))) this.#rebuild();
    if (n >= data.folded && data.own && !data.isOpen(data.parent[n], state)) {
      state.open.add(data.parent[n]);
      this.#rebuild();
    }
    const shown = data.shownAs(n, state);
    this.select(shown);
    const k = Math.max(this.view.camera.k, 12);
    this.view.centre(data.x[shown], data.y[shown], k);
    this.view.repaint();
    this.at("canvas").focus({ preventScroll: true });
    if (shown !== n) this.say(`${legible(data.value[n], 100)} is one of ${this.#called(shown)}.`);
    performance.measure("map:find", { start });
  }

  async unfold(fold, open) {
    await this.#members();
    if (open) this.state.open.add(fold);
    else {
      this.state.open.delete(fold);
      if (this.data.size[fold] < this.state.fold) this.state.fold = 3;
      this.#foldControl();
      this.selected = fold;
    }
    this.#rebuild();
  }

  // Around the canvas.

  #controls() {
    const { at, view } = this;
    const canvas = at("canvas");
    canvas.addEventListener("keydown", (event) => this.#key(event));
    at("in").addEventListener("click", () => view.zoom(1.5));
    at("out").addEventListener("click", () => view.zoom(1 / 1.5));
    at("fit").addEventListener("click", () => view.fit(true));
    at("png").addEventListener("click", () => this.#save());
    at("unpin").addEventListener("click", () => this.#unpin());
    for (const [name, table] of [["colour", COLOURS], ["size", SIZES]]) {
      const choice = at(name);
      for (const [key, [words]] of Object.entries(table)) choice.append(element("option", words, { value: key }));
      choice.value = this.state[name];
      choice.addEventListener("change", () => {
        this.state[name] = choice.value;
        this.#rebuild();
      });
    }
    this.folds = FOLDS.filter((least, k) => k === 0 || least <= Math.max(...this.data.size, 1));
    this.folds.push(NEVER);
    const fold = at("fold");
    fold.max = this.folds.length - 1;
    this.#foldControl();
    fold.addEventListener("input", async () => {
      this.state.fold = this.folds[+fold.value];
      this.state.open.clear();
      this.#foldControl();
      await this.#members();
      this.#rebuild();
    });
    const recolour = () => {
      this.theme = theme();
      this.#rebuild();
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
    addEventListener("popstate", () => location.reload());
  }

  #foldControl() {
    const { fold } = this.state;
    const place = Math.max(0, this.folds.findIndex((least) => least >= fold));
    const words = this.folds[place] === NEVER ? "never" : `at least ${this.folds[place]}`;
    this.at("fold").value = place;
    this.at("fold").setAttribute("aria-valuetext", words);
    this.at("folds").textContent = words;
    this.state.fold = this.folds[place];
  }

  #legend() {
    const { data, state } = this;
    const counts = new Map();
    for (let n = 0; n < data.folded; n++) counts.set(data.kindOf(n), (counts.get(data.kindOf(n)) ?? 0) + data.size[n]);
    const list = this.at("kinds");
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
        this.#rebuild();
      });
      const colour = state.colour === "kind" ? `var(--${LOOKS[kind][1]})` : "var(--soft)";
      label.append(box, icon(LOOKS[kind][0], colour, kind === "sinkhole" ? "×" : null), `${number(count)} ${words[count === 1 ? 0 : 1]}`);
      item.append(label);
      list.append(item);
      if (kind === focus) box.focus();
    }
    const more = this.at("colours");
    more.replaceChildren();
    for (const [colour, words, count] of this.looks.legend) {
      const item = element("li");
      item.append(icon("circle", colour), count === null ? words : `${words}: ${number(count)}`);
      more.append(item);
    }
    this.at("sizes").textContent = this.looks.sizes;
  }

  #hover(n, x, y) {
    const tip = this.at("tip");
    tip.hidden = n < 0;
    if (n < 0) return;
    const { data } = this;
    tip.replaceChildren(element("bdi", legible(data.value[n] ?? "", 100)), element("span", this.#short(n)));
    const { w } = this.view;
    tip.style.transform = `translate(${Math.round(Math.min(x + 14, w - 200))}px, ${Math.round(y + 16)}px)`;
  }

  #short(n) {
    const { data } = this;
    const kind = KIND_WORDS[data.kindOf(n)];
    const parts = [data.sizeOf(n) > 1 ? `${number(data.sizeOf(n))} ${kind[1]} alike` : kind[0]];
    if (data.told("label", n)) parts.push(legible(data.told("label", n), 60));
    if (data.told("state", n)) parts.push(legible(data.told("state", n), 20));
    if (data.told("hub", n)) parts.push("joins nothing");
    if (data.rank.has(n)) parts.push(`candidate ${data.rank.get(n)}`);
    parts.push(`${number(this.scene.edgesAt(n).length)} relations here`);
    return parts.join(" · ");
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { view } = this;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && event.shiftKey) this.#walkTowards(...arrow);
    else if (arrow) view.pan(-PAN * arrow[0], -PAN * arrow[1]);
    else if (event.key === "+" || event.key === "=") view.zoom(1.3);
    else if (event.key === "-") view.zoom(1 / 1.3);
    else if (event.key === "0") view.fit(true);
    else if (event.key === "]" || event.key === "n") this.#walk(1);
    else if (event.key === "[" || event.key === "p") this.#walk(-1);
    else if (event.key === "Enter") {
      if (view.beside >= 0) this.select(view.beside, true);
      else if (this.selected >= 0) this.open(this.selected);
    } else if (event.key === "Escape") this.select(-1);
    else if (event.key === "f") this.at("find").focus();
    else return;
    event.preventDefault();
  }

  /** Point at the next neighbour of what is chosen; Enter goes there. */
  #walk(by) {
    const { view, scene, data } = this;
    if (this.selected < 0) {
      // Where to begin: the first candidate, or what matters most.
      const first = view.picture.order[0];
      if (first !== undefined) this.select(first, true);
      return;
    }
    const all = neighbours(scene, this.selected);
    if (!all.length) return;
    this.walkAt = (this.walkAt + by + all.length + (this.walkAt < 0 && by < 0 ? 1 : 0)) % all.length;
    const e = all[this.walkAt];
    view.beside = scene.other(e, this.selected);
    view.refresh();
    this.#bring(view.beside);
    this.say(`${this.walkAt + 1} of ${number(all.length)}: ${joinWords(data, scene.edges, e, this.selected)} ${this.#called(view.beside)}. Enter goes there.`);
  }

  /** Go to the neighbour that lies most in a direction. */
  #walkTowards(dx, dy) {
    const { scene, data, selected } = this;
    if (selected < 0) { this.#walk(1); return; }
    let best = -1, most = 0.3;
    for (const e of scene.edgesAt(selected)) {
      const other = scene.other(e, selected);
      const x = data.x[other] - data.x[selected], y = data.y[other] - data.y[selected];
      const far = Math.hypot(x, y) || 1;
      const fit = (x * dx + y * dy) / far - 0.002 * far;
      if (fit > most) { most = fit; best = other; }
    }
    if (best >= 0) this.select(best, true);
    else this.say("Nothing is joined to it in this direction.");
  }

  #save() {
    const { facts } = this.data;
    const window_ = this.state.day === null ? "All times on record" : dayWords(this.data.dayStart(this.state.day));
    download(
      picture(this.view, {
        simulated: facts.simulated,
        title: `${facts.title}: map`,
        window: `${window_} · ${facts.source}`,
        line: `Map as of ${facts.made.slice(0, 16).replace("T", " ")} UTC · a relation is what sensors saw, no proof of who runs a server`,
      }),
      `${this.caseName}-map.png`,
    );
    this.say("The picture is being saved.");
  }

  // Pins: kept in this browser, for this case.

  get #store() { return `remnant-map-pins ${this.caseName}`; }

  #loadPins() {
    try {
      for (const [key, x, y] of JSON.parse(localStorage.getItem(this.#store) ?? "[]")) {
        const n = this.data.find(key);
        if (n === undefined || !Number.isFinite(x) || !Number.isFinite(y)) continue;
        this.pins.set(n, [this.data.x[n], this.data.y[n]]);
        this.data.move(n, x, y);
      }
    } catch { /* a store that cannot be read holds no pins */ }
    this.#pinControl();
  }

  #savePins() {
    try {
      localStorage.setItem(this.#store, JSON.stringify([...this.pins.keys()].map((n) => [this.data.key(n), this.data.x[n], this.data.y[n]])));
    } catch { /* without a store pins last as long as the page */ }
    this.#pinControl();
  }

  #pinControl() {
    const button = this.at("unpin");
    button.hidden = !this.pins.size;
    button.textContent = `Unpin ${number(this.pins.size)}`;
  }

  #pin(n) {
    if (!this.pins.has(n)) this.pins.set(n, null);
    this.#savePins();
    this.say(`Pinned ${this.#called(n)}.`);
    this.#rebuild();
  }

  #free(n) {
    this.pins.delete(n);
    this.#savePins();
    this.data.moveHome(n);
    this.#rebuild();
  }

  #unpin() {
    for (const n of this.pins.keys()) this.data.moveHome(n);
    this.pins.clear();
    this.#savePins();
    this.say("Nothing is pinned.");
    this.#rebuild();
    this.at("canvas").focus({ preventScroll: true });
  }

  /** Keep what is seen in the address. */
  #write() {
    if (this.days.isPlaying || !("ready" in this.root.dataset)) return;
    const { state, view, data } = this;
    const query = new URLSearchParams();
    if (this.selected >= 0) query.set("node", data.key(this.selected));
    if (state.colour !== "kind") query.set("colour", state.colour);
    if (state.size !== "laid") query.set("size", state.size);
    if (state.fold > 3) query.set("fold", state.fold === NEVER ? "never" : state.fold);
    for (const n of [...state.open].slice(0, 20)) query.append("open", data.key(n));
    if (state.hide.size) query.set("hide", [...state.hide].join(","));
    if (state.day !== null) query.set("day", isoDay(data.dayStart(state.day)));
    if (!view.fitted) query.set("at", [view.camera.x.toFixed(2), view.camera.y.toFixed(2), view.camera.k.toFixed(3)].join(","));
    const text = query.toString();
    const target = text ? `?${text}` : location.pathname;
    if (text !== location.search.slice(1)) history.replaceState(null, "", target);
  }
}

async function start(root) {
  const said = root.querySelector('[data-map="loading"]');
  try {
    const answer = await fetch(`${root.dataset.path}/viewer.json?made=${encodeURIComponent(root.dataset.made)}`);
    if (answer.status === 409) return location.reload(); // worked out since the page was sent
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    root.hidden = false;
    // Kept where a person who looks with the browser's tools can find it.
    const page = (globalThis.mapPage = new MapPage(root, await answer.json()));
    await page.start();
    tellNewer(root);
  } catch (error) {
    root.hidden = false;
    said.hidden = false;
    said.textContent = `The map cannot be drawn here: ${error.message}. The tables below hold all of it.`;
    throw error;
  }
}

const root = document.getElementById("map");
if (root) start(root);
waitForMap();
