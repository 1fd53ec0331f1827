// Suggestions under the search box: what the search page would find, while one types.
// Without this module the box is a form that leads to that page.
const box = document.getElementById("q");
const form = box?.form;
let list, waiting, asked, chosen = -1;

function close() {
  chosen = -1;
  if (list) list.hidden = true;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

function choose(next) {
  const options = [...list.querySelectorAll("[role=option]")];
  if (!options.length) return;
  chosen = (next + options.length) % options.length;
  options.forEach((option, place) => option.setAttribute("aria-selected", place === chosen));
  box.setAttribute("aria-activedescendant", options[chosen].id);
  options[chosen].scrollIntoView({ block: "nearest" });
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Characters that draw nothing, or turn the text around them, are shown as what they are.
const legible = (text) => text.replace(/[\p{C}\u2028\u2029]/gu,
  (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`);

function show(answer) {
  list.replaceChildren();
  let number = 0;
  for (const group of answer.groups) {
    const head = element("div", "found-kind", group.title);
    head.setAttribute("role", "presentation");
    list.append(head);
    for (const hit of group.hits.slice(0, 4)) {
      const option = element("div", "found");
      option.id = `found-${number++}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.path = hit.path;
      option.append(element("bdi", "", legible(hit.label)),
        element("span", "soft", `${legible(hit.detail)}${hit.case && hit.kind !== "case" ? ` · ${hit.case}` : ""}`));
      list.append(option);
    }
  }
  if (!number) list.append(element("div", "found-kind", "Nothing found"));
  chosen = -1;
  list.hidden = false;
  box.setAttribute("aria-expanded", "true");
  box.removeAttribute("aria-activedescendant");
}

async function ask() {
  const text = box.value.trim();
  asked?.abort();
  if (text.length < 2) return close();
  const own = asked = new AbortController();
  try {
    const answer = await fetch(`/search.json?q=${encodeURIComponent(text)}`,
      { signal: own.signal, headers: { accept: "application/json" } });
    if (answer.ok && own === asked && document.activeElement === box) show(await answer.json());
  } catch (error) {
    if (error.name !== "AbortError") close();
  }
}

function open(option) {
  const path = option?.dataset.path;
  // Only ways inside of this site, whatever a label says.
  if (path?.startsWith("/") && !path.startsWith("//")) location.assign(path);
}

if (box && form) {
  list = element("div", "findings");
  list.id = "findings";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  form.append(list);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", list.id);
  box.setAttribute("aria-expanded", "false");
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 150);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) {
      close();
      event.preventDefault();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) ask();
      else choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
      event.preventDefault();
    } else if (event.key === "Enter" && !list.hidden && chosen >= 0) {
      open(list.querySelectorAll("[role=option]")[chosen]);
      event.preventDefault();
    }
  });
  // Before the box loses the focus, which closes the list.
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    open(event.target.closest("[role=option]"));
  });
  box.addEventListener("blur", close);
}
