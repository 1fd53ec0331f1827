// Curves that can be read and zoomed: by pointer, by touch, and by keys. The drawing comes from the
// server and stays as it is; its numbers are the JSON of the figure, fetched when somebody looks.
const SVG = "http://www.w3.org/2000/svg";
const DAY = 86_400_000;
const RETRY_MS = 2000;
const NUMBER = new Intl.NumberFormat("en", {maximumSignificantDigits: 4});
const WHOLE = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const DATE = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC",
});
const HOUR = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});

function say(value) {
  if (value === null) return "none";
  if (typeof value !== "number") return String(value);
  return Math.abs(value) >= 1000 ? WHOLE.format(value) : NUMBER.format(value);
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class Curve {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector(".plot");
    this.zooms = "zoom" in figure.dataset;
    this.at = -1;
    this.mark = null;
    this.rows = null;
    const title = figure.querySelector("h3").textContent;
    const keys = this.zooms ? ", with Shift mark a span, Enter zooms into it" : "";
    Object.entries({
      tabindex: 0, role: "slider", "aria-label": title, "aria-orientation": "horizontal",
      "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0,
      "aria-valuetext": `Arrow keys read values${keys}`,
    }).forEach(([key, value]) => this.plot.setAttribute(key, value));
    this.hint = document.createElement("p");
    this.hint.className = "hint";
    this.hint.dataset.own = "";
    this.hint.textContent = this.zooms
      ? "Point at the curve to read it, drag to zoom. Keys: ← → read, Shift marks a span, Enter zooms."
      : "Point at the curve to read it. Keys: ← → read.";
    this.plot.after(this.hint);
    this.readout = document.createElement("div");
    this.readout.className = "readout";
    this.readout.dataset.own = "";
    this.readout.hidden = true;
    this.plot.append(this.readout);
    this.plot.addEventListener("pointerenter", () => this.load());
    this.plot.addEventListener("focus", () => this.load());
    this.plot.addEventListener("pointermove", (event) => this.moved(event));
    this.plot.addEventListener("pointerdown", (event) => this.pressed(event));
    this.plot.addEventListener("pointerup", (event) => this.released(event));
    this.plot.addEventListener("pointercancel", () => this.clear());
    this.plot.addEventListener("pointerleave", () => this.dragged === undefined && this.clear());
    this.plot.addEventListener("keydown", (event) => this.typed(event));
    this.plot.addEventListener("blur", () => this.clear());
  }

  async load() {
    if (this.rows || this.loading) return this.loading;
    const mine = this.loading = fetch(this.figure.dataset.curve, {headers: {accept: "application/json"}})
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
      .then((data) => {
        if (mine !== this.loading) return; // of an older state
        this.columns = data.columns.filter((name) => name !== "start" && name !== "gap");
        this.rows = data.rows;
        this.starts = data.rows.map((row) => Date.parse(row.start));
        this.step = this.starts.length > 1 ? this.starts[1] - this.starts[0] : DAY;
        this.plot.setAttribute("aria-valuemax", Math.max(0, this.rows.length - 1));
      })
      // Tried again when somebody looks, but not at every move of a pointer.
      .catch(() => setTimeout(() => { if (mine === this.loading) this.loading = undefined; }, RETRY_MS));
    return mine;
  }

  // The numbers are those of an older state: they are fetched again when somebody looks.
  forget() {
    this.rows = null;
    this.loading = undefined;
    if (!this.readout.hidden) this.load().then(() => this.at >= 0 && this.show(this.at));
  }

  // The drawing that is shown now, and how it places times and values.
  drawing() {
    for (const svg of this.plot.querySelectorAll("svg")) {
      const box = svg.getBoundingClientRect();
      if (!box.width) continue;
      const [left, top, width, height] = svg.dataset.plot.split(" ").map(Number);
      const [foot, rise, low, high, log] = svg.dataset.scale.split(" ").map(Number);
      const from = Number(svg.dataset.from), until = Number(svg.dataset.until);
      const unit = box.width / svg.viewBox.baseVal.width;
      return {
        svg, box, unit, left, top, width, height,
        time: (clientX) => {
          const part = ((clientX - box.left) / unit - left) / width;
          return from + Math.min(1, Math.max(0, part)) * (until - from);
        },
        x: (time) => left + width * Math.min(1, Math.max(0, (time - from) / (until - from))),
        y: (value) => {
          const part = log
            ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
            : (value - low) / (high - low);
          return foot - rise * Math.min(1, Math.max(0, part));
        },
      };
    }
    return null;
  }

  nearest(time) {
    const place = Math.floor((time - this.starts[0]) / this.step);
    return Math.min(this.rows.length - 1, Math.max(0, place));
  }

  show(place) {
    const drawing = this.drawing();
    if (!drawing || !this.rows?.length) return;
    this.at = place;
    const row = this.rows[place];
    const middle = this.starts[place] + this.step / 2;
    const x = drawing.x(middle);
    this.overlay?.remove();
    this.overlay = element("g", {"pointer-events": "none", "data-own": ""});
    if (this.mark !== null && this.mark !== place) {
      const [first, last] = [Math.min(this.mark, place), Math.max(this.mark, place)];
      const a = drawing.x(this.starts[first]), b = drawing.x(this.starts[last] + this.step);
      this.overlay.append(element("rect", {
        class: "brush", x: a, y: drawing.top, width: Math.max(1, b - a), height: drawing.height,
        fill: "var(--accent)", "fill-opacity": 0.16, stroke: "var(--accent)",
      }));
    }
    this.overlay.append(element("path", {
      d: `M${x} ${drawing.top}v${drawing.height}`, stroke: "var(--ink)", "stroke-dasharray": "2 2",
    }));
    const value = row[this.columns[0]];
    if (typeof value === "number" && !row.gap) {
      this.overlay.append(element("circle", {
        cx: x, cy: drawing.y(value), r: 4, fill: "var(--accent)", stroke: "var(--paper)",
        "stroke-width": 2,
      }));
    }
    drawing.svg.append(this.overlay);
    const lines = this.lines(row, place);
    this.readout.replaceChildren();
    lines.forEach((text, number) => {
      const line = document.createElement(number ? "span" : "b");
      line.textContent = text;
      this.readout.append(line);
      if (number) this.readout.append(document.createElement("br"));
    });
    this.readout.hidden = false;
    const px = x * drawing.unit, wide = this.readout.offsetWidth;
    const left = px + 14 + wide > drawing.box.width ? px - 14 - wide : px + 14;
    this.readout.style.left = `${Math.max(0, left)}px`;
    this.plot.setAttribute("aria-valuenow", place);
    this.plot.setAttribute("aria-valuetext", lines.join(", "));
  }

  lines(row, place) {
    const time = new Date(this.starts[place]);
    const out = [this.step < DAY ? `${HOUR.format(time)} UTC` : DATE.format(time)];
    if (this.step > DAY) out[0] = `Week from ${out[0]}`;
    if (row.gap) out.push("gap: not covered, no number");
    for (const name of this.columns) {
      const value = row[name];
      if (value === null || value === undefined || name === "low" || name === "high") continue;
      if (name === "coverage") out.push(`coverage ${NUMBER.format(100 * value)} %`);
      else if (name === "trend") out.push(`trend ${say(value)} (${say(row.low)} to ${say(row.high)})`);
      else if (name === "clients") out.push(`distinct clients ${say(value)}`);
      else out.push(`${name.replaceAll("_", " ")} ${say(value)}${row.gap ? " (not whole)" : ""}`);
    }
    if (this.mark !== null && this.mark !== place) {
      out.push(`${Math.abs(this.mark - place) + 1} marked${this.zooms ? ", Enter zooms" : ""}`);
    }
    return out;
  }

  // The numbers may come after the pointer: then what it points at by that time is shown.
  async moved(event) {
    this.pointed = event.clientX;
    if (!this.rows) await this.load();
    if (this.pointed !== undefined) this.point();
  }

  point() {
    const drawing = this.rows && this.drawing();
    if (!drawing) return;
    if (this.dragged !== undefined && Math.abs(this.pointed - this.dragged) > 5) {
      this.mark = this.nearest(drawing.time(this.dragged));
    }
    this.show(this.nearest(drawing.time(this.pointed)));
  }

  pressed(event) {
    if (!this.zooms || event.button !== 0) return;
    this.dragged = event.clientX;
    this.mark = null;
    this.plot.setPointerCapture(event.pointerId);
  }

  async released(event) {
    if (this.dragged === undefined) return;
    this.pointed = event.clientX;
    const far = Math.abs(event.clientX - this.dragged) > 5;
    if (far && !this.rows) await this.load();
    if (this.dragged === undefined) return;
    if (far) this.point();
    this.dragged = undefined;
    if (far && this.mark !== null) this.zoom();
  }

  async typed(event) {
    const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: -7, PageDown: 7};
    const {key, shiftKey} = event;
    if (key === "Escape") return this.clear();
    if (!(key in steps) && !["Home", "End", "Enter"].includes(key)) return undefined;
    event.preventDefault();
    await this.load();
    if (!this.rows?.length) return undefined;
    if (key === "Enter") return this.mark === null ? undefined : this.zoom();
    const last = this.rows.length - 1;
    const from = this.at < 0 ? last : this.at;
    let to = key === "Home" ? 0 : key === "End" ? last : from + steps[key];
    if (this.at < 0 && key in steps) to = last;
    if (shiftKey && this.zooms) this.mark ??= from;
    else this.mark = null;
    this.show(Math.min(last, Math.max(0, to)));
    return undefined;
  }

  zoom() {
    const [first, last] = [Math.min(this.mark, this.at), Math.max(this.mark, this.at)];
    const bounds = [this.starts[first], this.starts[last] + this.step];
    const text = (time) => {
      const iso = new Date(time).toISOString();
      return time % DAY ? iso.replace(".000", "") : iso.slice(0, 10);
    };
    const address = new URL(location.href);
    address.searchParams.set("since", text(bounds[0]));
    address.searchParams.set("until", text(bounds[1]));
    // A few days show more by the hour.
    if (this.step === DAY && bounds[1] - bounds[0] <= 7 * DAY) address.searchParams.set("step", "hour");
    address.hash = this.figure.id;
    location.assign(address);
  }

  clear() {
    this.overlay?.remove();
    this.readout.hidden = true;
    this.mark = null;
    this.dragged = undefined;
    this.pointed = undefined;
    this.at = document.activeElement === this.plot ? this.at : -1;
  }
}

// Vega draws the same figure so that it can be moved and zoomed; it is large, so it is asked for.
function offerVega(figure) {
  const {vega, curve} = figure.dataset;
  const files = figure.querySelector(".files");
  if (!vega || !files) return;
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.own = "";
  button.textContent = "Explore";
  button.setAttribute("aria-label", `Explore: ${figure.querySelector("h3").textContent}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "Loading…";
    try {
      const [answer] = await Promise.all([fetch(curve.replace(".json", ".vega")), import(vega)]);
      const colours = getComputedStyle(document.documentElement);
      const text = (await answer.text()).replace(/var\(--([a-z]+)\)/g,
        (_, name) => colours.getPropertyValue(`--${name}`).trim());
      const place = document.createElement("div");
      place.className = "vega";
      place.dataset.own = "";
      files.before(place);
      await window.vegaEmbed(place, JSON.parse(text), {
        mode: "vega", renderer: "canvas", ast: true, actions: false, defaultStyle: false, logLevel: 1,
        tooltip: {disableDefaultStyle: true},
      });
      button.textContent = "Wheel zooms, drag moves";
    } catch (error) {
      console.warn(error);
      button.textContent = "Not available";
    }
  });
  files.append(button);
}

const known = new Map();
function enhance() {
  for (const figure of document.querySelectorAll("figure.curve")) {
    if (known.has(figure)) known.get(figure).forget();
    else {
      known.set(figure, new Curve(figure));
      offerVega(figure);
    }
  }
  for (const figure of known.keys()) if (!figure.isConnected) known.delete(figure);
}
enhance();
// New traffic has come, and the page was changed in place.
document.addEventListener("remnant:updated", enhance);
