// Says while typing whether the body is JSON, tidies it up, and sends on Ctrl+Enter. The server checks again.

for (const form of document.querySelectorAll("form[data-test]")) {
  const body = form.querySelector("[data-json]");
  const verdict = form.querySelector("[data-json-check]");

  const check = () => {
    try {
      JSON.parse(body.value);
      verdict.textContent = "This is JSON.";
      verdict.classList.remove("is-bad");
      return true;
    } catch (error) {
      verdict.textContent = body.value.trim() ? `Not JSON yet: ${error.message}` : "";
      verdict.classList.toggle("is-bad", Boolean(body.value.trim()));
      return false;
    }
  };
  body.addEventListener("input", check);
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.querySelector("[data-json-format]")?.addEventListener("click", () => {
    if (check()) body.value = pretty(JSON.parse(body.value));
  });
  check();
}

// The same shape as the server shows answers in: what fits stays on one line.
function pretty(value, indent = "") {
  const line = JSON.stringify(value);
  if (value === null || typeof value !== "object") return line;
  const items = Object.values(value);
  const deep = items.some((item) => item !== null && typeof item === "object" && Object.keys(item).length);
  if (!deep && indent.length + line.length <= 80) return Array.isArray(value) ? `[${items.map((item) => pretty(item)).join(", ")}]` : line;
  const inner = `${indent}  `;
  const parts = Object.entries(value).map(([name, item]) =>
    Array.isArray(value) ? pretty(item, inner) : `${JSON.stringify(name)}: ${pretty(item, inner)}`,
  );
  const [start, end] = Array.isArray(value) ? "[]" : "{}";
  return `${start}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${end}`;
}
