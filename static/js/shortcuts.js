// g then a letter follows the link with data-key of that letter; / focuses the search field; ? lists the keys.
const WAITS_MS = 1200;
let goUntil = 0;

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    document.getElementById("shortcuts")?.showModal();
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  } else if (event.key === "g") {
    goUntil = Date.now() + WAITS_MS;
  } else if (Date.now() < goUntil) {
    goUntil = 0;
    document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`)?.click();
  }
});
