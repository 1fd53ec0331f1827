// The canvas: camera, movement, and pictures made ahead of it.
//
// While something moves, a picture larger than the view is shifted; a new one is made beside it in
// slices. When it is still, what is seen is painted crisply.

import { finish, paint } from "./mappaint.js";
import { Pointing } from "./mappoint.js";

const PAD = 1.5;
const STILL_MS = 110;
const SLICE_MS = 7;
const SETTLED_MS = 250;
const MOST_SIDE = 4096;
const ZOOM = [0.2, 400];

export class View {
  /**
   * @param canvas  what is seen
   * @param on      what to tell: select(n), open(n), hover(n, x, y), moved(), pinned(n)
   */
  constructor(canvas, on) {
    this.canvas = canvas;
    this.on = on;
    this.ctx = canvas.getContext("2d", { alpha: false });
    this.camera = { x: 0, y: 0, k: 1 };
    this.scene = null;
    this.picture = null;
    this.front = null;
    this.pending = null;
    this.overview = null;
    this.selected = -1;
    this.beside = -1;
    this.hovered = -1;
    this.dragged = -1;
    this.lastInput = -Infinity;
    this.running = false;
    this.share = 1;
    this.probe = new OffscreenCanvas(1, 1).getContext("2d");
    this.shown = 0;
    this.told = null;
    this.fitted = true;
    this.glide = null;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.pointing = new Pointing(this);
    this.#measure();
    new ResizeObserver(() => this.#resized()).observe(canvas);
  }

  #measure() {
    const box = this.canvas.getBoundingClientRect();
    this.w = Math.max(1, Math.round(box.width));
    this.h = Math.max(1, Math.round(box.height));
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    const wide = Math.round(this.w * this.ratio), high = Math.round(this.h * this.ratio);
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
  }

  #resized() {
    this.#measure();
    if (!this.picture) return;
    if (this.fitted) this.fit();
    this.repaint();
  }

  /** Show another picture: a scene, look or day has changed. */
  show(picture) {
    this.picture = picture;
    this.scene = picture.scene;
    this.overview = null;
    this.pending = null;
    this.pointing.forget();
    this.shown = performance.now();
    this.repaint();
  }

  get bounds() {
    const { data, nodes } = this.scene;
    let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
    for (const n of nodes) {
      left = Math.min(left, data.x[n] - data.r[n]);
      right = Math.max(right, data.x[n] + data.r[n]);
      top = Math.min(top, data.y[n] - data.r[n]);
      bottom = Math.max(bottom, data.y[n] + data.r[n]);
    }
    return nodes.length ? [left, top, right, bottom] : [-1, -1, 1, 1];
  }

  /** Show all of the map. */
  fit(animated = false) {
    const [left, top, right, bottom] = this.bounds;
    const k = Math.min((this.w - 40) / Math.max(right - left, 8), (this.h - 40) / Math.max(bottom - top, 8));
    this.#go({ x: (left + right) / 2, y: (top + bottom) / 2, k: Math.min(k, 24) }, animated);
    this.fitted = true;
  }

  /** Bring a place into the middle; `k` pixels per unit, or as it is. */
  centre(x, y, k = this.camera.k, animated = false) {
    this.fitted = false;
    this.#go({ x, y, k }, animated);
  }

  #go(camera, animated) {
    camera.k = Math.min(Math.max(camera.k, ZOOM[0]), ZOOM[1]);
    if (animated && !this.calm.matches) this.glide = { from: { ...this.camera }, to: camera, start: performance.now() };
    else {
      this.glide = null;
      this.camera = camera;
    }
    this.touch();
  }

  pan(dx, dy) {
    this.fitted = false;
    this.glide = null;
    this.camera = { ...this.camera, x: this.camera.x - dx / this.camera.k, y: this.camera.y - dy / this.camera.k };
    this.touch();
  }

  /** Zoom so that what is at a point of the canvas stays there. */
  zoom(factor, px = this.w / 2, py = this.h / 2) {
    this.fitted = false;
    this.glide = null;
    const { x, y, k } = this.camera;
    const to = Math.min(Math.max(k * factor, ZOOM[0]), ZOOM[1]);
    const dx = px - this.w / 2, dy = py - this.h / 2;
    this.camera = { x: x + dx / k - dx / to, y: y + dy / k - dy / to, k: to };
    this.touch();
  }

  toScreen(n) {
    const { data } = this.picture.scene;
    return [(data.x[n] - this.camera.x) * this.camera.k + this.w / 2, (data.y[n] - this.camera.y) * this.camera.k + this.h / 2];
  }

  toWorld(px, py) {
    return [(px - this.w / 2) / this.camera.k + this.camera.x, (py - this.h / 2) / this.camera.k + this.camera.y];
  }

  /** Somebody moves: shift pictures until it is still. */
  touch() {
    this.lastInput = performance.now();
    this.#run();
  }

  /** What lies on top of the picture has changed. */
  refresh() { this.#run(); }

  #run() {
    if (this.running || !this.picture) return;
    this.running = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame() {
    this.running = false;
    if (!this.picture) return;
    const now = performance.now();
    if (this.glide) this.#glide(now);
    const moving = now - this.lastInput < STILL_MS || this.glide;
    if (this.pending) this.#slice();
    if (moving) {
      if (!this.pending && !this.#covers(this.front, 0.08)) this.#begin();
    } else if (!this.#crisp()) {
      this.repaint();
      return;
    } else if (!this.pending) this.#ahead(now);
    this.#blit();
    if (moving || this.pending || this.dragged >= 0) this.#run();
    else if (this.told !== this.camera) {
      this.told = this.camera;
      this.on.moved();
    }
  }

  /** Make pictures for the next movement, once nothing has changed for a while. */
  #ahead(now) {
    const whole = this.#covers(this.front, 0.1);
    if (whole && this.overview) return;
    const wait = this.shown + SETTLED_MS - now;
    if (wait <= 0) this.#begin(whole);
    else {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.#run(), wait + 1);
    }
  }

  #glide(now) {
    const { from, to, start } = this.glide;
    const share = Math.min(1, (now - start) / 220);
    const ease = 1 - (1 - share) ** 3;
    const k = from.k * (to.k / from.k) ** ease;
    this.camera = { x: from.x + (to.x - from.x) * ease, y: from.y + (to.y - from.y) * ease, k };
    this.lastInput = now;
    if (share === 1) {
      this.camera = to;
      this.glide = null;
    }
  }

  /** Whether a picture holds the view and a margin around it. */
  #covers(made, margin) {
    if (!made) return false;
    const s = this.camera.k / made.camera.k;
    if (s > 3 || s < 0.34) return false;
    const room = (side) => (side / 2) * (1 + 2 * margin) / this.camera.k;
    return Math.abs(made.camera.x - this.camera.x) + room(this.w) <= made.w / 2 / made.camera.k + 1e-9
      && Math.abs(made.camera.y - this.camera.y) + room(this.h) <= made.h / 2 / made.camera.k + 1e-9;
  }

  #crisp() {
    return this.front && this.front.picture === this.picture && this.front.ratio === this.ratio
      && Math.abs(this.front.camera.k / this.camera.k - 1) < 1e-6 && this.#covers(this.front, 0);
  }

  #sheet(pad, camera, old = null) {
    const w = Math.ceil(Math.min(this.w * pad, MOST_SIDE / this.ratio)), h = Math.ceil(Math.min(this.h * pad, MOST_SIDE / this.ratio));
    const canvas = old ?? document.createElement("canvas");
    canvas.width = Math.round(w * this.ratio);
    canvas.height = Math.round(h * this.ratio);
    return { canvas, ctx: canvas.getContext("2d", { alpha: false }), camera: { ...camera }, w, h, ratio: this.ratio, picture: this.picture };
  }

  /** Begin a larger picture around the view, or a small one of the whole map. */
  #begin(whole = false) {
    let made;
    if (whole) {
      const [left, top, right, bottom] = this.bounds;
      const k = Math.min(1000 / Math.max(right - left, 8), 800 / Math.max(bottom - top, 8));
      const canvas = document.createElement("canvas");
      const w = Math.ceil((right - left) * k) + 8, h = Math.ceil((bottom - top) * k) + 8;
      [canvas.width, canvas.height] = [w, h];
      made = { canvas, ctx: canvas.getContext("2d", { alpha: false }), camera: { x: (left + right) / 2, y: (top + bottom) / 2, k }, w, h, ratio: 1, picture: this.picture, whole };
    } else made = this.#sheet(PAD, this.camera, this.spare);
    if (!whole) this.spare = null;
    const left = (made.w - this.w) / 2, top = (made.h - this.h) / 2;
    const inner = whole ? null : [left, top, left + this.w, top + this.h];
    this.pending = { made, steps: paint(made.ctx, this.picture, made.camera, made.w, made.h, made.ratio, { labels: !whole, inner }) };
  }

  /** Make a little more of the picture ahead: as much as a frame has room for. */
  #slice() {
    const start = performance.now();
    const { made, steps } = this.pending;
    let done = false;
    do done = steps.next().done; while (!done && performance.now() - start < this.share);
    // What is drawn is only noted down until somebody asks for the picture: asked for it here, it
    // is painted piece by piece and not all at once when it is first shown.
    this.probe.drawImage(made.canvas, 0, 0, 1, 1, 0, 0, 1, 1);
    const took = performance.now() - start;
    this.share = Math.min(SLICE_MS, Math.max(0.5, this.share * (took > SLICE_MS ? 0.7 : 1.15)));
    if (!done) return;
    this.pending = null;
    if (made.whole) this.overview = made;
    else {
      this.spare = this.front?.canvas ?? null;
      this.front = made;
    }
  }

  /** Paint what is seen, now. */
  repaint() {
    if (!this.picture) return;
    const start = performance.now();
    if (this.pending && !this.pending.made.whole) this.spare = this.pending.made.canvas;
    if (this.pending && this.pending.made.picture !== this.picture) this.pending = null;
    else if (this.pending && !this.pending.made.whole) this.pending = null;
    const made = this.#sheet(1, this.camera, this.front?.canvas);
    finish(paint(made.ctx, this.picture, made.camera, made.w, made.h, made.ratio));
    this.front = made;
    this.#blit();
    performance.measure("map:repaint", { start });
    this.#run();
  }

  #blit() {
    const { ctx, camera, ratio } = this;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.globalAlpha = 1;
    const whole = this.#covers(this.front, 0);
    if (!whole) {
      ctx.fillStyle = this.picture.theme.paper;
      ctx.fillRect(0, 0, this.canvas.width, this.canvas.height);
      if (this.overview) this.#lay(this.overview);
    }
    if (this.front) this.#lay(this.front);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#mark(camera);
  }

  #lay(made) {
    const { ctx, camera, ratio } = this;
    const s = camera.k / made.camera.k;
    const w = made.w * s, h = made.h * s;
    const x = (made.camera.x - camera.x) * camera.k + (this.w - w) / 2, y = (made.camera.y - camera.y) * camera.k + (this.h - h) / 2;
    const still = Math.abs(s - 1) < 1e-6;
    ctx.imageSmoothingEnabled = false;
    if (still && made.ratio === ratio) ctx.drawImage(made.canvas, Math.round(x * ratio), Math.round(y * ratio));
    else ctx.drawImage(made.canvas, x * ratio, y * ratio, w * ratio, h * ratio);
  }

  /** What is chosen, pointed at, pinned. */
  #mark(camera) {
    const { ctx } = this;
    const { scene, theme, looks } = this.picture;
    const { data } = scene;
    const ring = (n, colour, width, more) => {
      const [x, y] = this.toScreen(n);
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      ctx.beginPath();
      ctx.arc(x, y, Math.max(looks.radius[n] * camera.k, 3) + more, 0, 2 * Math.PI);
      ctx.stroke();
    };
    const focus = this.dragged >= 0 ? this.dragged : this.selected;
    if (focus >= 0 && scene.on[focus]) {
      const edges = scene.edgesAt(focus);
      if (edges.length < 400 || performance.now() - this.lastInput > STILL_MS) {
        ctx.strokeStyle = theme.accent;
        ctx.lineWidth = 1;
        ctx.globalAlpha = edges.length > 200 ? 0.35 : 0.8;
        ctx.beginPath();
        const [x, y] = this.toScreen(focus);
        for (const e of edges) {
          if (this.picture.group[e] < 0) continue;
          const [u, v] = this.toScreen(scene.other(e, focus));
          ctx.moveTo(x, y);
          ctx.lineTo(u, v);
        }
        ctx.stroke();
        ctx.globalAlpha = 1;
      }
      ring(focus, theme.paper, 5, 4);
      ring(focus, theme.accent, 3, 4);
    }
    if (this.beside >= 0 && scene.on[this.beside]) {
      ctx.setLineDash([4, 3]);
      ring(this.beside, theme.ink, 2, 5);
      ctx.setLineDash([]);
    }
    if (this.hovered >= 0 && this.hovered !== focus && scene.on[this.hovered]) ring(this.hovered, theme.ink, 1.5, 3);
    ctx.fillStyle = theme.ink;
    for (const n of this.on.pins()) {
      if (!scene.on[n]) continue;
      const [x, y] = this.toScreen(n);
      const at = y - Math.max(looks.radius[n] * camera.k, 3) - 2;
      ctx.beginPath();
      ctx.moveTo(x, at);
      ctx.lineTo(x - 4, at - 8);
      ctx.lineTo(x + 4, at - 8);
      ctx.closePath();
      ctx.fill();
    }
  }
}
