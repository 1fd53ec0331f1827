// What is seen, as a picture of twice the pixels, with what must stand beside it.

import { finish, paint } from "./mappaint.js";
import { KIND_WORDS, LOOKS, trace } from "./mapglyph.js";
import { legible } from "./maptext.js";

const FONT = '"Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const SCALE = 2;

/**
 * Paint the view with its title, window, age and legend into a canvas.
 * @param told  {title, lines}: texts
 */
export function picture(view, told) {
  const { picture: shown, camera, w, h } = view;
  const { theme, looks } = shown;
  const head = told.simulated ? 84 : 56, foot = 54;
  const canvas = document.createElement("canvas");
  canvas.width = w * SCALE;
  canvas.height = (h + head + foot) * SCALE;
  const ctx = canvas.getContext("2d", { alpha: false });
  const sheet = document.createElement("canvas");
  sheet.width = w * SCALE;
  sheet.height = h * SCALE;
  finish(paint(sheet.getContext("2d", { alpha: false }), shown, camera, w, h, SCALE));
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.drawImage(sheet, 0, head * SCALE);
  ctx.scale(SCALE, SCALE);
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  let top = 0;
  if (told.simulated) {
    ctx.fillStyle = theme.alarm;
    ctx.fillRect(0, 0, w, 28);
    ctx.fillStyle = theme.paper;
    ctx.font = `600 14px ${FONT}`;
    ctx.fillText("SIMULATED: this traffic was made up", 14, 14, w - 28);
    top = 28;
  }
  ctx.fillStyle = theme.ink;
  ctx.font = `600 18px ${FONT}`;
  ctx.fillText(legible(told.title, 120), 14, top + 20, w - 28);
  ctx.fillStyle = theme.soft;
  ctx.font = `12px ${FONT}`;
  ctx.fillText(legible(told.window, 200), 14, top + 42, w - 28);
  ctx.fillText(legible(told.line, 240), 14, head + h + 40, w - 28);
  let x = 14;
  const { data } = shown.scene;
  const kinds = new Set([...shown.scene.nodes].map((n) => data.kindOf(n)));
  ctx.font = `12px ${FONT}`;
  const items = looks.legend.length
    ? looks.legend.map(([colour, words]) => ["circle", colour, words])
    : Object.keys(LOOKS).filter((kind) => kinds.has(kind)).map((kind) => [LOOKS[kind][0], theme[LOOKS[kind][1]], KIND_WORDS[kind][1]]);
  for (const [shape, colour, words] of items) {
    const wide = ctx.measureText(words).width;
    if (x + wide + 20 > w - 14) break;
    ctx.fillStyle = colour;
    ctx.beginPath();
    trace(ctx, shape, x + 5, head + h + 18, 5);
    ctx.fill();
    ctx.fillStyle = theme.ink;
    ctx.fillText(words, x + 15, head + h + 18);
    x += wide + 32;
  }
  return canvas;
}

/** Offer a canvas as a file. */
export function download(canvas, name) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}
