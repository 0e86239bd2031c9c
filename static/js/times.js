// Keeps "4 min ago" true while a page stays open. The words are those of studio/lib/formats.py.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const EVERY_MS = 15000;

function words(seconds) {
  const distance = Math.abs(seconds);
  if (distance < 5) return "just now";
  if (distance > 30 * 86400) return null;
  const [size, unit] = UNITS.find(([size]) => distance >= size);
  const amount = `${Math.floor(distance / size)} ${unit}`;
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

function refresh() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = words((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (text && text !== time.textContent) time.textContent = text;
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
