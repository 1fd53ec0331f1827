// Pointers on the map: what lies under one, dragging, pinching, wheel, double click.

const SLACK = 4;
const REACH = 9;

export class Pointing {
  constructor(view) {
    this.view = view;
    this.down = new Map();
    this.grid = null;
    this.drag = null;
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#release(event));
    canvas.addEventListener("pointerleave", () => this.#hover(-1, 0, 0));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      const [x, y] = this.#place(event);
      const n = this.at(x, y);
      if (n >= 0) view.on.open(n);
      else view.zoom(2, x, y);
    });
  }

  forget() { this.grid = null; }

  #place(event) {
    const box = this.view.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The thing at a point of the canvas, or -1: the nearest within reach. */
  at(px, py) {
    const { view } = this;
    const { data, nodes } = view.picture.scene;
    const { radius } = view.picture.looks;
    if (!this.grid) {
      const [left, top, right, bottom] = view.bounds;
      const cell = Math.max(2, Math.sqrt(((right - left) * (bottom - top)) / Math.max(nodes.length, 1)));
      const cells = new Map();
      let widest = 1;
      for (const n of nodes) {
        const key = Math.floor(data.x[n] / cell) * 65536 + Math.floor(data.y[n] / cell);
        const found = cells.get(key);
        if (found) found.push(n);
        else cells.set(key, [n]);
        widest = Math.max(widest, radius[n]);
      }
      this.grid = { cell, cells, widest };
    }
    const { cell, cells, widest } = this.grid;
    const [x, y] = view.toWorld(px, py);
    const k = view.camera.k;
    const reach = Math.max(widest, REACH / k);
    let best = -1, least = Infinity;
    for (let i = Math.floor((x - reach) / cell); i <= Math.floor((x + reach) / cell); i++) {
      for (let j = Math.floor((y - reach) / cell); j <= Math.floor((y + reach) / cell); j++) {
        for (const n of cells.get(i * 65536 + j) ?? []) {
          const far = Math.hypot(data.x[n] - x, data.y[n] - y) * k;
          const over = far - Math.max(radius[n] * k, 3);
          if (over < 5 && over < least) {
            least = over;
            best = n;
          }
        }
      }
    }
    return best;
  }

  #press(event) {
    if (event.button > 0 || !this.view.picture) return;
    const [x, y] = this.#place(event);
    this.view.canvas.focus({ preventScroll: true });
    // A made-up event of a test has no pointer that could be captured.
    try { this.view.canvas.setPointerCapture(event.pointerId); } catch { /* as it is */ }
    this.down.set(event.pointerId, [x, y]);
    if (this.down.size === 2) { this.drag = null; this.#drop(); return; }
    const n = this.at(x, y);
    const { view } = this;
    const large = n >= 0 && view.picture.looks.radius[n] * view.camera.k >= 5;
    const holds = n >= 0 && (n === view.selected || (large && event.pointerType === "mouse"));
    this.drag = { x, y, n, holds, moved: false };
  }

  #move(event) {
    if (!this.view.picture) return;
    const [x, y] = this.#place(event);
    const was = this.down.get(event.pointerId);
    if (!was) {
      this.#hover(this.at(x, y), x, y);
      return;
    }
    this.#hover(-1, x, y);
    this.down.set(event.pointerId, [x, y]);
    if (this.down.size === 2) {
      const [other] = [...this.down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const before = Math.hypot(was[0] - other[0], was[1] - other[1]), now = Math.hypot(x - other[0], y - other[1]);
      this.view.pan((x - was[0]) / 2, (y - was[1]) / 2);
      if (before > 1 && now > 1) this.view.zoom(now / before, (x + other[0]) / 2, (y + other[1]) / 2);
      return;
    }
    const { drag } = this;
    if (!drag) return;
    if (!drag.moved && Math.hypot(x - drag.x, y - drag.y) < SLACK) return;
    if (drag.holds) {
      this.view.dragged = drag.n;
      this.view.picture.scene.data.move(drag.n, ...this.view.toWorld(x, y));
      this.view.refresh();
    } else {
      const [fx, fy] = drag.moved ? was : [drag.x, drag.y];
      this.view.pan(x - fx, y - fy);
    }
    drag.moved = true;
  }

  #release(event) {
    if (!this.down.delete(event.pointerId)) return;
    const { drag } = this;
    this.drag = null;
    if (this.view.dragged >= 0) this.#drop();
    else if (drag && !drag.moved && event.type === "pointerup") this.view.on.select(drag.n);
  }

  #drop() {
    const n = this.view.dragged;
    this.view.dragged = -1;
    if (n >= 0) this.view.on.pinned(n);
  }

  #hover(n, x, y) {
    const { view } = this;
    if (n !== view.hovered) {
      view.hovered = n;
      view.canvas.classList.toggle("over", n >= 0);
      view.refresh();
    }
    view.on.hover(n, x, y);
  }

  #wheel(event) {
    event.preventDefault();
    const [x, y] = this.#place(event);
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const amount = Math.min(Math.max(event.deltaY * lines, -400), 400);
    this.view.zoom(Math.exp(-amount * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
  }
}
