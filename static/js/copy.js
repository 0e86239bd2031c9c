// data-copy="text" copies that text; data-copy-from="id" copies what the element with that id shows.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copyFrom);
  const text = source ? (source.value ?? source.textContent) : button.dataset.copy;
  const label = button.getAttribute("aria-label") || "Copy";
  const done = await put(text);
  button.dataset.copied = done ? "yes" : "no";
  button.setAttribute("aria-label", done ? "Copied" : "Could not copy");
  setTimeout(() => {
    delete button.dataset.copied;
    button.setAttribute("aria-label", label);
  }, 1600);
});

// The clipboard interface exists only over https and on loopback; elsewhere a selection does it.
async function put(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // the browser refused: try the other way
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
