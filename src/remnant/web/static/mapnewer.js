// Maps that come while the page is open.

// Says that a newer map was worked out while this one is open. It comes when a person asks for it:
// nothing moves under the hand of who looks at this one. What is chosen stands in the address.
export function tellNewer(root) {
  const made = document.querySelector("#map-made time");
  const line = document.getElementById("map-newer");
  let told = root.dataset.made;
  document.addEventListener("remnant:updated", () => {
    if (made.dateTime === told) return;
    told = made.dateTime;
    const link = document.createElement("a");
    link.href = location.pathname;
    link.textContent = "show it";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      location.reload();
    });
    line.replaceChildren(`A newer map of ${made.textContent} is there: `, link, ".");
  });
}

// Nothing to show yet: looks again from time to time.
export function waitForMap() {
  if (!document.querySelector("[data-map-waits]")) return;
  const headers = { "x-remnant-by-itself": "1" };
  const timer = setInterval(async () => {
    const answer = await fetch(`${location.pathname}.json`, { headers }).catch(() => null);
    if (!answer?.ok || (await answer.json()).state === "working") return;
    clearInterval(timer);
    location.reload();
  }, 2000);
}
