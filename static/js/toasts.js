// Toasts: what the server said about the last action, and what went wrong with a background request.
const box = () => document.getElementById("toasts");
const LASTS_MS = 7000;

function dismissLater(toast) {
  if (toast.classList.contains("toast-error")) return;
  let timer = setTimeout(() => toast.remove(), LASTS_MS);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("focusin", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => (timer = setTimeout(() => toast.remove(), LASTS_MS)));
}

function show(text, level) {
  const template = document.getElementById("toast-template");
  const existing = [...box().querySelectorAll(".toast")].find((toast) => toast.dataset.text === text);
  if (!template || existing) return;
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.dataset.text = text;
  toast.classList.add(`toast-${level}`);
  toast.querySelector("[data-toast-text]").textContent = text;
  box().append(toast);
  dismissLater(toast);
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-toast-close]")) event.target.closest(".toast").remove();
});

// HX-Trigger: {"toast": {"text": …, "level": "success" | "error"}} shows one from a background answer
document.addEventListener("toast", (event) => show(event.detail.text, event.detail.level || "info"));
document.addEventListener("htmx:sendError", () => show("The studio cannot be reached; what you see may be old.", "error"));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401 || status === 403) show("You may not do this (any more).", "error");
  else if (status === 404) show("This is gone; reload the page.", "error");
  else show(`The studio answered with an error (${status}).`, "error");
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  for (const toast of box().querySelectorAll(".toast-error[data-text^='The studio cannot']")) toast.remove();
});

for (const toast of document.querySelectorAll("#toasts .toast")) dismissLater(toast);
