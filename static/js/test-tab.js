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
    if (check()) body.value = JSON.stringify(JSON.parse(body.value), null, 2);
  });
  check();
}
