// What every page does beside being read: "/" goes to the search box.
addEventListener("keydown", (event) => {
  const inText = event.target.closest?.("input,textarea,select,[contenteditable]");
  if (event.key === "/" && !inText && !event.ctrlKey && !event.metaKey && !event.altKey) {
    document.getElementById("q")?.focus();
    event.preventDefault();
  }
});
