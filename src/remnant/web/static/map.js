// The map's page: joins the data, the canvas, and what stands around it.

import { NEVER, asked, keep } from "./mapaddress.js";
import { MapData, fetched } from "./mapdata.js";
import { Find } from "./mapfind.js";
import { Keys } from "./mapkeys.js";
import { called, legend, short } from "./maplegend.js";
import { tellNewer, waitForMap } from "./mapnewer.js";
import { Panel } from "./mappanel.js";
import { Picture } from "./mappicture.js";
import { Pins } from "./mappins.js";
import { download, picture } from "./mapsave.js";
import { COLOURS, SIZES, looksOf, theme } from "./mapstyle.js";
import { dayWords, element, legible, number } from "./maptext.js";
import { Days } from "./maptime.js";
import { View } from "./mapview.js";

const FOLDS = [3, 4, 5, 8, 12, 20, 50, 100];

class MapPage {
  constructor(root, sent) {
    this.root = root;
    this.at = (name) => root.querySelector(`[data-map="${name}"]`);
    this.base = root.dataset.path;
    this.caseName = root.dataset.case;
    this.data = new MapData(sent);
    this.asked = asked(this.data);
    this.state = this.asked.state;
    this.selected = -1;
    this.theme = theme();
    this.pins = new Pins(this.data, this.caseName, this.at("unpin"));
    this.view = new View(this.at("canvas"), {
      select: (n) => this.select(n),
      open: (n) => this.open(n),
      hover: (n, x, y) => this.#hover(n, x, y),
      moved: () => this.#write(),
      pinned: (n) => this.#pin(n),
      pins: () => this.pins.all(),
    });
    this.panel = new Panel(this.at("panel"), this.caseName, {
      select: (n) => this.select(n, true),
      open: (n) => this.open(n),
      unfold: (fold) => this.unfold(fold, true),
      fold: (fold) => this.unfold(fold, false),
      free: (n) => {
        this.pins.free(n);
        this.#rebuild();
      },
      isPinned: (n) => this.pins.has(n),
    });
    this.find = new Find(this.at("find"), this.at("found"), { go: (n) => this.go(n), data: () => this.data });
    this.keys = new Keys(this);
    this.days = new Days(root, { change: (day) => this.#day(day), rest: () => this.#write() });
    this.#controls();
  }

  /** Draw for the first time, then fetch what can wait. */
  async start() {
    const { state, view } = this;
    this.days.take(this.data, state.day);
    this.#build();
    const { place, node } = this.asked;
    if (place) view.centre(...place);
    else view.fit();
    this.#draw();
    if (node >= 0) this.select(this.data.shownAs(node, state), !place);
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
    if (!days || !this.data.addDays(days)) { this.say("Requests of each day could not be loaded."); return; }
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
    legend(this.at, this.data, this.state, this.looks, () => this.#rebuild());
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

  say(text) { this.at("said").textContent = text; }

  /** Choose a thing; -1 for none. */
  select(n, centred = false) {
    this.selected = n;
    this.keys.forget();
    this.view.selected = n;
    this.view.beside = -1;
    if (n >= 0 && centred) this.bring(n);
    this.panel.show(this.scene, n, this.day);
    this.view.refresh();
    this.say(n < 0 ? "Nothing is chosen." : `${this.called(n)}, joined to ${number(this.scene.edgesAt(n).length)}.`);
    this.#write();
  }

  called(n) { return called(this.data, n); }

  /** Bring a thing into sight, where it is not well inside. */
  bring(n) {
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
    if (shown !== n) this.say(`${legible(data.value[n], 100)} is one of ${this.called(shown)}.`);
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
    const most = this.data.size.reduce((one, two) => Math.max(one, two), 1);
    this.folds = FOLDS.filter((least, k) => k === 0 || least <= most);
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

  #hover(n, x, y) {
    const tip = this.at("tip");
    tip.hidden = n < 0;
    if (n < 0) return;
    const { data } = this;
    tip.replaceChildren(element("bdi", legible(data.value[n] ?? "", 100)), element("span", short(this.scene, n)));
    const { w } = this.view;
    tip.style.transform = `translate(${Math.round(Math.min(x + 14, w - 200))}px, ${Math.round(y + 16)}px)`;
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

  #pin(n) {
    this.pins.add(n);
    this.say(`Pinned ${this.called(n)}.`);
    this.#rebuild();
  }

  #unpin() {
    this.pins.clear();
    this.say("Nothing is pinned.");
    this.#rebuild();
    this.at("canvas").focus({ preventScroll: true });
  }

  /** Keep what is seen in the address, but not at every step of what is played. */
  #write() {
    if (!this.days.isPlaying && "ready" in this.root.dataset) keep(this.data, this.state, this.selected, this.view);
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
