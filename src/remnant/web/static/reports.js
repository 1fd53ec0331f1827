// While a report is being made: tell how far it is, and show the list anew when it is there.
const wait = 1500;

async function look() {
  let told;
  try {
    const headers = { accept: "application/json", "x-remnant-by-itself": "1" };
    const answer = await fetch(`${location.pathname}.json`, { headers });
    if (!answer.ok) throw new Error(String(answer.status));
    told = await answer.json();
  } catch {
    setTimeout(look, 4 * wait); // the server starts again, or the way to it is gone
    return;
  }
  const rows = new Map(told.reports.map((row) => [row.id, row]));
  for (const line of document.querySelectorAll("[data-report]")) {
    const row = rows.get(line.dataset.report);
    if (!row || (row.state !== line.dataset.state && row.state !== "working")) {
      location.reload();
      return;
    }
    const stage = line.querySelector("[data-stage]");
    if (stage && row.state === "working") {
      const words = `being made: ${row.stage || "starting"}`;
      if (stage.textContent !== words) stage.textContent = words;
    }
  }
  if (told.open) setTimeout(look, wait);
}

setTimeout(look, wait);
