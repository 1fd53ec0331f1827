// The days: a slider over them with a button that plays, and requests of each day as bars.

import { dayWords, number } from "./maptext.js";

const PLAY_MS = 350;
const CALM_MS = 1200;

export class Days {
  /** @param on  what to do: change(day or null) */
  constructor(root, on) {
    this.on = on;
    const at = (name) => root.querySelector(`[data-days="${name}"]`);
    [this.range, this.play, this.back, this.forth, this.all, this.said, this.bars] = ["range", "play", "back", "forth", "all", "said", "bars"].map(at);
    this.day = null;
    this.timer = null;
    this.data = null;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.range.addEventListener("input", () => { this.stop(); this.#set(+this.range.value); });
    this.back.addEventListener("click", () => { this.stop(); this.step(-1); });
    this.forth.addEventListener("click", () => { this.stop(); this.step(1); });
    this.all.addEventListener("click", () => { this.stop(); this.#set(null); });
    this.play.addEventListener("click", () => (this.timer === null ? this.#start() : this.stop()));
    new ResizeObserver(() => this.draw()).observe(this.bars);
  }

  take(data, day = null) {
    this.data = data;
    this.range.min = data.firstDay;
    this.range.max = data.lastDay;
    for (const control of [this.range, this.play, this.back, this.forth, this.all]) control.disabled = !data.dated;
    this.day = day;
    this.#tell(null);
  }

  step(by) {
    const { firstDay, lastDay } = this.data;
    if (this.day === null) this.#set(by > 0 ? firstDay : lastDay);
    else this.#set(Math.min(Math.max(this.day + by, firstDay), lastDay));
  }

  #start() {
    if (this.day === null || this.day >= this.data.lastDay) this.#set(this.data.firstDay);
    this.play.textContent = "Pause";
    this.play.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => {
      if (document.hidden) return;
      if (this.day >= this.data.lastDay) this.stop();
      else this.step(1);
    }, this.calm.matches ? CALM_MS : PLAY_MS);
  }

  stop() {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
    this.play.setAttribute("aria-pressed", "false");
    this.on.rest();
  }

  get isPlaying() { return this.timer !== null; }

  #set(day) {
    this.day = day;
    this.on.change(day);
  }

  /** Say which day it is, and what was asked on it. */
  #tell(told) {
    const { data } = this;
    if (this.day === null) {
      this.range.setAttribute("aria-valuetext", "all days");
      this.said.textContent = data.dated ? `All days, ${dayWords(data.dayStart(data.firstDay))} to ${dayWords(data.dayStart(data.lastDay))}` : "Nothing on this map is dated";
    } else {
      this.range.value = this.day;
      const day = dayWords(data.dayStart(this.day));
      const asked = !told?.traffic ? "" : told.traffic.covered ? ` · ${number(told.traffic.total)} requests` : " · no sensor delivered: a gap, not zero";
      const words = `${day} · ${number(told?.alive ?? 0)} things seen${asked}`;
      this.said.textContent = words;
      this.range.setAttribute("aria-valuetext", words);
    }
    this.all.setAttribute("aria-pressed", String(this.day === null));
    this.draw();
  }

  show(told) { this.#tell(told); }

  /** Bars of requests per day; a gap is hatched. */
  draw() {
    const { bars, data } = this;
    const wide = bars.clientWidth, high = bars.clientHeight;
    if (!data?.days || !wide) { bars.hidden = !data?.days; return; }
    bars.hidden = false;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    bars.width = wide * ratio;
    bars.height = high * ratio;
    const ctx = bars.getContext("2d");
    ctx.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const days = data.lastDay - data.firstDay + 1;
    // The thumb of a range does not reach its ends.
    const inset = 8, each = (wide - 2 * inset) / Math.max(days - 1, 1);
    const sums = this.sums ??= data.days.starts.map((_, k) => data.days.queries.reduce((sum, row) => sum + (row[k] ?? 0), data.days.others?.[k] ?? 0));
    const most = Math.max(...sums, 1);
    for (const [day, k] of data.dayOf) {
      const x = inset + (day - data.firstDay) * each;
      if (!data.days.covered[k]) {
        ctx.fillStyle = colour("gap");
        ctx.fillRect(x - each / 2, 0, each, high);
        continue;
      }
      ctx.fillStyle = day === this.day ? colour("alarm") : colour("client");
      const tall = Math.max((high - 2) * (sums[k] / most), sums[k] ? 1 : 0);
      ctx.fillRect(x - 0.4 * each, high - tall, Math.max(0.8 * each, 1), tall);
    }
    if (this.day !== null) {
      ctx.fillStyle = colour("ink");
      ctx.fillRect(inset + (this.day - data.firstDay) * each - 0.5, 0, 1, high);
    }
  }
}
