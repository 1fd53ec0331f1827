// The table of places: no more is ticked than is drawn, and the tile map begins at what it shows.
const MOST = 6;
const form = document.getElementById("places");
form?.addEventListener("change", () => {
  const boxes = [...form.querySelectorAll("input[name=pick]")];
  const full = boxes.filter((box) => box.checked).length >= MOST;
  for (const box of boxes) box.disabled = full && !box.checked;
});
