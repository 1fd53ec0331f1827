// One stream for all open pages of this browser: it allows few connections to one server.
const TICK_MS = 20_000;
const ASLEEP_MS = 90_000;
const pages = new Map();
let source = null;
let cases = null;
let pause = 5_000;
let timer = 0;

const tell = (message) => {
  for (const port of pages.keys()) port.postMessage(message);
};

function listen() {
  const wanted = [...new Set(pages.values())].sort();
  if (source && source.readyState !== EventSource.CLOSED && wanted.join() === cases) return;
  source?.close();
  source = null;
  clearTimeout(timer);
  if (!wanted.length) return;
  cases = wanted.join();
  const query = wanted.map((name) => `case=${encodeURIComponent(name)}`).join("&");
  const mine = (source = new EventSource(`/live?${query}`));
  for (const kind of ["changed", "gone"])
    mine.addEventListener(kind, (event) => tell({ kind, ...JSON.parse(event.data) }));
  mine.addEventListener("ended", () => {
    mine.close();
    tell({ kind: "ended" });
  });
  mine.addEventListener("open", () => {
    pause = 5_000;
    tell({ kind: "open" });
  });
  mine.addEventListener("error", () => {
    tell({ kind: "lost" });
    // After a refusal the browser does not try again by itself.
    if (mine.readyState !== EventSource.CLOSED || mine !== source) return;
    timer = setTimeout(listen, pause);
    pause = Math.min(2 * pause, 60_000);
  });
}

// A machine that slept has a stream that looks open and is dead: it is opened anew.
let ticked = Date.now();
setInterval(() => {
  const slept = Date.now() - ticked > ASLEEP_MS;
  ticked = Date.now();
  if (!slept || !source) return;
  cases = null;
  pause = 5_000;
  listen();
}, TICK_MS);

export function join(port) {
  port.onmessage = ({ data }) => {
    if (data.leave) pages.delete(port);
    else pages.set(port, data.case);
    if (pages.has(port) && source?.readyState === EventSource.OPEN)
      port.postMessage({ kind: "open" });
    listen();
  };
}

if (typeof SharedWorkerGlobalScope !== "undefined")
  addEventListener("connect", (event) => join(event.ports[0]));
