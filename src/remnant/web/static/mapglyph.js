// The shapes of things on a map: each kind has one, so that colour never tells alone.

export const LOOKS = {
  name: ["circle", "accent"],
  domain: ["hexagon", "accent"],
  address: ["square", "address"],
  prefix: ["diamond", "prefix"],
  asn: ["cross", "network"],
  name_server: ["up", "server"],
  mail_exchanger: ["down", "mail"],
  sinkhole: ["circle", "ink"],
  client_network: ["diamond", "client"],
};

export const KIND_WORDS = {
  name: ["name", "names"],
  domain: ["registered domain", "registered domains"],
  address: ["address", "addresses"],
  prefix: ["prefix", "prefixes"],
  asn: ["network (AS)", "networks (AS)"],
  name_server: ["name server", "name servers"],
  mail_exchanger: ["mail exchanger", "mail exchangers"],
  sinkhole: ["sinkhole", "sinkholes"],
  client_network: ["client network", "client networks"],
};

const polygon = (corners, turn, stretch) =>
  Array.from({ length: corners }, (_, k) => {
    const angle = turn + (2 * Math.PI * k) / corners;
    return [stretch * Math.cos(angle), stretch * Math.sin(angle)];
  });

const a = 0.38;
const CORNERS = {
  hexagon: polygon(6, 0, 1.05),
  square: polygon(4, Math.PI / 4, 1.22),
  diamond: polygon(4, 0, 1.2),
  up: polygon(3, -Math.PI / 2, 1.25),
  down: polygon(3, Math.PI / 2, 1.25),
  cross: [
    [-a, -1.1], [a, -1.1], [a, -a], [1.1, -a], [1.1, a], [a, a],
    [a, 1.1], [-a, 1.1], [-a, a], [-1.1, a], [-1.1, -a], [-a, -a],
  ],
};

/** Add a shape to a path: a canvas, a Path2D or an SvgPath. */
export function trace(path, shape, x, y, r) {
  const corners = CORNERS[shape];
  if (!corners) {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, 2 * Math.PI);
    return;
  }
  path.moveTo(x + r * corners[0][0], y + r * corners[0][1]);
  for (let k = 1; k < corners.length; k++) path.lineTo(x + r * corners[k][0], y + r * corners[k][1]);
  path.closePath();
}

/** A path for the attribute "d". */
class SvgPath {
  d = "";
  moveTo(x, y) { this.d += `M${x.toFixed(2)} ${y.toFixed(2)}`; }
  lineTo(x, y) { this.d += `L${x.toFixed(2)} ${y.toFixed(2)}`; }
  closePath() { this.d += "Z"; }
  arc(x, y, r) { this.d += `A${r} ${r} 0 1 1 ${(x - r).toFixed(2)} ${y}A${r} ${r} 0 1 1 ${(x + r).toFixed(2)} ${y}`; }
}

/** A shape as a small picture for a legend; colours are those of the page. */
export function icon(shape, colour, mark = null) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [key, value] of Object.entries({ viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  const add = (name, r, attributes) => {
    const path = new SvgPath();
    trace(path, name, 0, 0, r);
    const made = document.createElementNS(space, "path");
    made.setAttribute("d", path.d);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    svg.append(made);
  };
  if (mark === "hollow") add(shape, 4.5, { fill: "var(--paper)", stroke: "var(--soft)", "stroke-width": 1.6 });
  else add(shape, mark === "ring" ? 3.4 : 5.2, { fill: colour });
  if (mark === "ring") add("circle", 6.6, { fill: "none", stroke: "var(--ink)", "stroke-width": 1.3 });
  if (mark?.length === 1 || mark === "×") {
    const text = document.createElementNS(space, "text");
    for (const [key, value] of Object.entries({ y: 3, "text-anchor": "middle", "font-size": 8.5, "font-weight": 700, fill: "var(--paper)" })) text.setAttribute(key, value);
    text.textContent = mark;
    svg.append(text);
  }
  return svg;
}
