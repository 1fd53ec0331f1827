// Keeps an open page as new as the data. When the server says that something has changed, the page
// is fetched again, and what differs in the elements marked data-live is changed in place: focus,
// scroll, selection, open details and what scripts added stay as they are.
const meta = document.querySelector('meta[name="remnant-live"]');
const line = document.getElementById("fresh");
const SHORTEST_MS = 1_000;
const SAY_MS = 60_000;

// What the server sent last: only what it changes is changed here.
let before = copies(document);
let shown = meta?.content;
let tag = null;
let busy = false;
let again = false;
let next = 0;
let said = 0;
let isOver = false;

function copies(root) {
  const found = new Map();
  for (const element of root.querySelectorAll("[data-live][id]"))
    found.set(element.id, element.cloneNode(true));
  return found;
}

function state(word) {
  const place = document.getElementById("fresh-state");
  if (place && place.textContent !== word) place.textContent = word;
  if (word !== "Live.") say(word);
}

function say(word) {
  const place = document.getElementById("fresh-said");
  if (place && place.textContent !== word) place.textContent = word;
}

function heard(message) {
  if (isOver) return;
  if (message.kind === "open") state("Live.");
  else if (message.kind === "lost") state("Connection lost; trying again.");
  else if (message.kind === "ended") over("Signed out. Sign in again to go on.");
  else if (message.case !== meta.dataset.case) return;
  else if (message.kind === "gone") over("This case was deleted.");
  else if (message.state !== shown) later();
}

function over(words) {
  isOver = true;
  state(words);
  leave();
}

function later() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  setTimeout(refresh, Math.max(0, next - performance.now()));
}

async function refresh() {
  const begun = performance.now();
  let failed = false;
  again = false;
  try {
    const headers = { accept: "text/html", "x-remnant-by-itself": "1" };
    if (tag) headers["if-none-match"] = tag;
    const answer = await fetch(location.href, { headers, cache: "no-store" });
    if (answer.redirected || answer.status === 401 || answer.status === 403)
      over("Signed out. Sign in again to go on.");
    else if (answer.status === 404) over("This page is gone.");
    else if (answer.ok) {
      tag = answer.headers.get("etag");
      update(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } else failed = answer.status !== 304;
  } catch {
    failed = true; // the stream says that the connection is lost
  }
  // A page that takes long to make is not asked for all the time, nor is one that cannot be made.
  const now = performance.now();
  next = now + Math.max(SHORTEST_MS, 2 * (now - begun), failed ? 5_000 : 0);
  busy = false;
  if ((again || failed) && !isOver) later();
}

function update(page) {
  const fresh = copies(page);
  const held = selected();
  const focused = document.activeElement;
  let changed = false;
  for (const [id, now] of fresh) {
    const live = document.getElementById(id);
    if (!live) continue;
    if (held && live.contains(held) && !before.get(id)?.isEqualNode(now)) {
      // Somebody marks text to copy it: wait until that is done.
      document.addEventListener("selectionchange", onceFree);
      continue;
    }
    if (merge(live, before.get(id), now)) changed = true;
    before.set(id, now);
  }
  shown = page.querySelector('meta[name="remnant-live"]')?.content ?? shown;
  if (focused && focused !== document.activeElement && focused.isConnected)
    focused.focus({ preventScroll: true });
  tick();
  if (!changed) return;
  document.dispatchEvent(new CustomEvent("remnant:updated"));
  if (performance.now() - said > SAY_MS || !said) {
    said = performance.now();
    say("New data are shown.");
  }
}

function selected() {
  const selection = getSelection();
  return selection && !selection.isCollapsed ? selection.anchorNode : null;
}

function onceFree() {
  if (selected()) return;
  document.removeEventListener("selectionchange", onceFree);
  tag = null;
  later();
}

// Change `live` as the server changed `old` into `now`; say whether anything was changed.
function merge(live, old, now) {
  if (old?.isEqualNode(now)) return false;
  if (live.nodeType === Node.TEXT_NODE) {
    if (live.data === now.data) return false;
    live.data = now.data;
    return true;
  }
  if (live.nodeType !== Node.ELEMENT_NODE || live.hasAttribute("data-own")) return false;
  let changed = attributes(live, old, now);
  const given = [...now.childNodes].map((node) => [node, key(node)]);
  const olds = byKey(old);
  const lives = byKey(live);
  let at = live.firstChild;
  for (const [node, name] of given) {
    while (at && at.nodeType === Node.ELEMENT_NODE && at.hasAttribute("data-own"))
      at = at.nextSibling;
    const match = lives.get(name);
    lives.delete(name);
    if (!match) {
      live.insertBefore(document.importNode(node, true), at);
      changed = true;
      continue;
    }
    if (match !== at) live.insertBefore(match, at);
    at = match.nextSibling;
    if (merge(match, olds.get(name), node)) changed = true;
  }
  for (const gone of lives.values()) {
    gone.remove();
    changed = true;
  }
  return changed;
}

// What a node is called among its siblings: by its id or key, else by what it is and how many such
// stand before it.
function key(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return `${node.nodeName} ${rank(node)}`;
  const name = node.id || node.dataset?.key;
  return name ? `${node.nodeName}=${name}` : `${node.nodeName} ${rank(node)}`;
}

function rank(node) {
  let count = 0;
  for (let other = node.previousSibling; other; other = other.previousSibling)
    if (other.nodeName === node.nodeName) count += 1;
  return count;
}

function byKey(node) {
  const found = new Map();
  const counts = new Map();
  for (const child of node?.childNodes ?? []) {
    if (child.nodeType === Node.ELEMENT_NODE && child.hasAttribute("data-own")) continue;
    const count = counts.get(child.nodeName) ?? 0;
    counts.set(child.nodeName, count + 1);
    const name = child.nodeType === Node.ELEMENT_NODE && (child.id || child.dataset?.key);
    found.set(name ? `${child.nodeName}=${name}` : `${child.nodeName} ${count}`, child);
  }
  return found;
}

function attributes(live, old, now) {
  let changed = false;
  for (const { name, value } of now.attributes) {
    if (old?.getAttribute(name) === value || live.getAttribute(name) === value) continue;
    live.setAttribute(name, value);
    changed = true;
  }
  for (const { name } of old?.attributes ?? []) {
    if (now.hasAttribute(name) || !live.hasAttribute(name) || name === "open") continue;
    live.removeAttribute(name);
    changed = true;
  }
  return changed;
}

// How old the data are, as they get older.
const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [172_800, 3600, "h"],
  [63_072_000, 86_400, "days"],
  [Infinity, 31_536_000, "years"],
];

function tick() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const place = time.nextElementSibling;
    if (!place?.hasAttribute("data-ago")) continue;
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const [, unit, word] = STEPS.find(([limit]) => seconds < limit);
    const text = `(${Math.floor(seconds / unit)} ${word} ago)`;
    if (place.textContent !== text) place.textContent = text;
  }
}

let join = () => {};
let leave = () => {};

function connect() {
  if (typeof SharedWorker !== "undefined") {
    const { port } = new SharedWorker(meta.dataset.worker, { type: "module" });
    port.onmessage = ({ data }) => heard(data);
    join = () => port.postMessage({ case: meta.dataset.case });
    leave = () => port.postMessage({ leave: true });
  } else {
    // Here each page has a stream of its own, while it can be seen.
    const own = import(meta.dataset.worker).then((worker) => {
      const { port1, port2 } = new MessageChannel();
      worker.join(port2);
      port1.onmessage = ({ data }) => heard(data);
      return port1;
    });
    join = async () => (await own).postMessage({ case: meta.dataset.case });
    leave = async () => (await own).postMessage({ leave: true });
    document.addEventListener("visibilitychange", () => (document.hidden ? leave() : join()));
  }
  addEventListener("pagehide", () => leave());
  addEventListener("pageshow", (event) => event.persisted && !isOver && join());
  join();
}

if (meta && line) {
  tick();
  setInterval(() => document.hidden || tick(), 1_000);
  connect();
}
