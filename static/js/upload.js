// form[data-upload]: sends files with a progress bar and keeps the chosen files when the server finds a mistake.
// Folders keep their paths: the server reads them from the field "paths", in the order of the files.

for (const form of document.querySelectorAll("form[data-upload]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
  for (const zone of form.querySelectorAll("[data-drop]")) prepare(zone);
}

function prepare(zone) {
  const input = zone.querySelector("input[type=file]");
  for (const name of ["dragover", "dragenter"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("is-over");
    });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("is-over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("is-over");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  input.addEventListener("change", () => list(zone, input));
}

function list(zone, input) {
  const files = [...input.files];
  const lines = files.slice(0, 50).map((file) => line(path(file), size(file.size)));
  if (files.length > 50) lines.push(line(`and ${files.length - 50} more`, ""));
  if (files.length > 1) lines.push(line(`${files.length} files`, size(files.reduce((sum, file) => sum + file.size, 0))));
  zone.querySelector("[data-drop-list]").replaceChildren(...lines);
}

function line(name, amount) {
  const item = document.createElement("li");
  for (const text of [name, amount]) {
    const part = document.createElement("span");
    part.textContent = text;
    item.append(part);
  }
  return item;
}

const path = (file) => file.webkitRelativePath || file.name;

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 999.5 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit && bytes < 9.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

function send(form) {
  const body = new FormData(form);
  const chosen = [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
  body.set("paths", JSON.stringify(chosen.map(path)));
  const request = new XMLHttpRequest();
  const box = form.querySelector("[data-upload-progress]");
  const bar = box.querySelector("progress");
  const text = box.querySelector("[data-upload-text]");
  const buttons = form.querySelectorAll("button[type=submit]");
  const busy = (on) => {
    box.hidden = !on;
    buttons.forEach((button) => (button.disabled = on));
  };
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    bar.max = event.total;
    bar.value = event.loaded;
    text.textContent =
      event.loaded < event.total
        ? `${size(event.loaded)} of ${size(event.total)}`
        : "Received. Checking and storing the files…";
  });
  request.addEventListener("load", () => {
    if (request.status === 201) return location.assign(request.getResponseHeader("Location"));
    busy(false);
    if (request.status === 200) return showErrors(form, request.responseText);
    fail(form, `The studio answered with an error (${request.status}).`);
  });
  request.addEventListener("error", () => {
    busy(false);
    fail(form, "The connection was lost; nothing was stored. Try again.");
  });
  busy(true);
  request.open("POST", form.action || location.href);
  request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
  request.send(body);
}

// Takes only the messages from the answer; what was typed and chosen stays in the page.
function showErrors(form, html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  for (const place of form.querySelectorAll("[data-errors]")) {
    const found = answer.querySelector(`[data-errors="${CSS.escape(place.dataset.errors)}"]`);
    place.replaceChildren(...(found ? [...found.childNodes].map((node) => document.importNode(node, true)) : []));
    place.closest(".field")?.classList.toggle("has-error", place.childElementCount > 0);
  }
  const first = form.querySelector(".has-error :is(input, select, textarea)");
  const target = first || form.querySelector("[data-errors=form]");
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "center" });
}

function fail(form, message) {
  form.dispatchEvent(new CustomEvent("toast", { bubbles: true, detail: { text: message, level: "error" } }));
}
