// Linked sliders: moving one moves the unlocked others in proportion, so that the sum stays 100.
// It only helps the hand; the rule is checked on the server.

const TOTAL = 100;
const share = (row) => Number(row.number.value) || 0;
const clamp = (value) => Math.max(0, Math.min(TOTAL, Math.round(value)));

function link(form) {
  const rows = [...form.querySelectorAll("[data-share-row]")].map((element) => ({
    element,
    name: element.dataset.name,
    slider: element.querySelector("[data-slider]"),
    number: element.querySelector("[data-share]"),
    lock: element.querySelector("[data-lock]"),
  }));
  const free = rows.filter((row) => !row.number.disabled && !row.slider.disabled);

  for (const row of free) {
    row.slider.addEventListener("input", () => move(row, Number(row.slider.value)));
    row.number.addEventListener("change", () => move(row, clamp(Number(row.number.value) || 0)));
    row.lock?.addEventListener("click", () => {
      const locked = row.lock.getAttribute("aria-pressed") !== "true";
      row.lock.setAttribute("aria-pressed", String(locked));
      row.slider.disabled = locked;
      row.number.readOnly = locked;
    });
  }
  form.addEventListener("click", (event) => {
    const preset = event.target.closest("[data-all-to], [data-swap], [data-stop]");
    if (!preset) return;
    if ("allTo" in preset.dataset) setAll((row) => (row.name === preset.dataset.allTo ? TOTAL : 0));
    else if ("swap" in preset.dataset) setAll((row) => share(free[1 - free.indexOf(row)]));
    else setAll(() => 0);
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    for (const row of rows) put(row, Number(row.element.dataset.now));
    changed();
  });
  for (const field of form.querySelectorAll("[name=mirror_target], [name=mirror_percent]")) {
    field.addEventListener("input", forgetPreview);
  }
  const swap = form.querySelector("[data-swap]");
  if (swap) swap.hidden = free.length !== 2;
  showSum();

  function move(row, wanted) {
    const others = free.filter((other) => other !== row && other.lock?.getAttribute("aria-pressed") !== "true");
    const fixed = rows.filter((other) => other !== row && !others.includes(other));
    const room = TOTAL - fixed.reduce((sum, other) => sum + share(other), 0);
    const value = others.length ? Math.min(wanted, room) : room;
    spread(others, room - value);
    put(row, value);
    changed();
  }

  function setAll(of) {
    const values = free.map((row) => of(row));
    free.forEach((row, index) => put(row, values[index]));
    changed();
  }

  function changed() {
    forgetPreview();
    showSum();
  }

  function showSum() {
    const sum = rows.reduce((total, row) => total + share(row), 0);
    const output = form.querySelector("[data-sum]");
    output.textContent = `${sum} %`;
    output.parentElement.classList.toggle("is-off", sum !== TOTAL && sum !== 0);
  }
}

// Shares `amount` among the rows as they share now; whole numbers, the largest remainders rounded up.
function spread(rows, amount) {
  const sum = rows.reduce((total, row) => total + share(row), 0);
  const exact = rows.map((row) => (sum ? (share(row) / sum) * amount : amount / rows.length));
  const parts = exact.map(Math.floor);
  let left = amount - parts.reduce((total, part) => total + part, 0);
  const order = exact.map((value, index) => [value - parts[index], index]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [, index] of order) {
    if (left <= 0) break;
    parts[index] += 1;
    left -= 1;
  }
  rows.forEach((row, index) => put(row, parts[index]));
}

function put(row, value) {
  row.slider.value = value;
  row.number.value = value;
}

// A preview is of the numbers it was made from; once they change it no longer says what would happen.
function forgetPreview() {
  document.querySelector("[data-preview]")?.remove();
}

for (const form of document.querySelectorAll("form[data-traffic]")) link(form);
