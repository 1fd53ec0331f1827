// Says while somebody types what the server would say: the same check, without storing anything.
const form = document.querySelector("form.edit[data-check]");
const SINGLE = ["dga", "role", "state", "from", "until", "zone", "source", "time", "kind", "note"];
const LISTS = ["names", "addresses", "families", "nameservers"];

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

// The rows of a table in which something was typed, and where each of them stands in the form.
function rows(table, wanted) {
  const found = new Map();
  for (const [key, value] of new FormData(form)) {
    const [, number, name] = key.match(`^${table}-(\\d+)-([a-z]+)$`) || [];
    if (number === undefined) continue;
    if (!found.has(number)) found.set(number, {});
    const row = found.get(number);
    if (LISTS.includes(name)) row[name] = lines(value);
    else if (SINGLE.includes(name)) row[name] = value.trim();
  }
  return [...found].filter(([, row]) => wanted.some((name) => row[name]?.length));
}

function draft(watches, events) {
  const given = new FormData(form), sinkhole = {};
  for (const [key, value] of given) {
    const name = key.startsWith("sinkhole-") && key.slice(9).replaceAll("-", "_");
    if (!name) continue;
    const box = form.elements[key].type === "checkbox";
    sinkhole[name] = box ? true : /^(addresses|nameservers)$/.test(name) ? lines(value) : value.trim();
  }
  const used = Object.entries(sinkhole).some(([name, value]) => name !== "http" && value.length !== 0);
  return {
    name: form.dataset.check || given.get("name") || "",
    title: given.get("title"),
    takedown: given.get("takedown"),
    watches: watches.map(([, row]) => row),
    events: events.map(([, row]) => row),
    sinkhole: used ? sinkhole : null,
  };
}

function tell(field, kind, text) {
  const place = document.getElementById(`said-${field}`);
  if (!place) return;
  const line = document.createElement("span");
  line.className = kind;
  line.textContent = text;
  place.append(line);
  if (kind === "wrong") document.getElementById(field)?.setAttribute("aria-invalid", "true");
}

const sentence = (one) => [one.what, one.got && `got ${one.got}`,
  one.expected && `expected ${one.expected}`, one.hint].filter(Boolean).join("; ");

let waiting, asking;
async function check() {
  const isText = form.elements.tab.value === "text";
  const watches = isText ? [] : rows("watch", ["names", "addresses", "families", "dga", "from", "until", "zone", "source"]);
  const events = isText ? [] : rows("event", ["time", "note", "source"]);
  const body = isText ? {text: form.elements.text.value} : {draft: draft(watches, events)};
  const name = form.dataset.check || (form.elements.name?.value ?? "") || "new";
  asking?.abort();
  asking = new AbortController();
  let answer;
  try {
    answer = await fetch(`/api/cases/${encodeURIComponent(name)}/check`, {
      method: "POST",
      signal: asking.signal,
      headers: {"content-type": "application/json", "x-csrf-token": form.elements.csrf.value},
      body: JSON.stringify(body),
    });
  } catch {
    return;
  }
  const live = form.querySelector(".live");
  if (!answer.ok) {
    live.textContent = "";
    return;
  }
  const look = await answer.json();
  for (const old of form.querySelectorAll(".told .wrong, .told .odd")) old.remove();
  for (const old of form.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
  // The check counts the rows that were sent; the form counts all of them.
  const stands = (field) => field?.replace(/^(watch|event)-(\d+)/, (all, table, at) => {
    const row = (table === "watch" ? watches : events)[at];
    return row ? `${table}-${row[0]}` : all;
  });
  for (const one of look.wrong) {
    const line = one.line ? `line ${one.line}: ` : "";
    tell(isText ? "text" : stands(one.field), "wrong", line + sentence(one));
  }
  for (const one of look.odd.slice(0, 20))
    tell(isText ? "text" : stands(one.field), "odd", `Look: ${one.text}: ${one.message}`);
  live.textContent = look.is_valid
    ? `Can be stored${look.odd_count ? `; ${look.odd_count} to look at` : ""}.`
    : `${look.wrong.length} to mend.`;
}

if (form) {
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(check, 400);
  });
  // What was typed and not stored is not lost by a click on a link.
  let sent = false, typed = false;
  form.addEventListener("input", () => { typed = true; });
  form.addEventListener("submit", () => { sent = true; });
  addEventListener("beforeunload", (event) => {
    if (typed && !sent) event.preventDefault();
  });
}
document.getElementById("wrongs")?.focus();
document.getElementById("preview")?.scrollIntoView();
