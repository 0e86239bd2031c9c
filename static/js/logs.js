// [data-follow]: a log that is swapped again and again stays at its end, unless it was scrolled away from there.
const away = new Map();

document.addEventListener(
  "scroll",
  (event) => {
    const log = event.target;
    if (!(log instanceof Element) || !log.matches("[data-follow]")) return;
    const fromEnd = log.scrollHeight - log.scrollTop - log.clientHeight;
    if (fromEnd > 24) away.set(log.id, log.scrollTop);
    else away.delete(log.id);
  },
  true,
);

function place() {
  for (const log of document.querySelectorAll("[data-follow]")) log.scrollTop = away.get(log.id) ?? log.scrollHeight;
}

document.addEventListener("htmx:afterSwap", place);
place();
