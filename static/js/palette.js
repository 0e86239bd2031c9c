// Ctrl+K: a combobox over everything by name. The server searches; arrow keys choose, Enter goes there.
(() => {
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("[role=listbox]");
  const said = dialog.querySelector("[role=status]");
  const delayMs = 120;
  let chosen = -1;
  let timer = 0;
  let asking = null;

  const choose = (at) => {
    const options = [...list.children];
    chosen = options.length ? (at + options.length) % options.length : -1;
    options.forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
    if (chosen < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", options[chosen].id);
      options[chosen].scrollIntoView({ block: "nearest" });
    }
  };

  const optionOf = (row, at) => {
    const option = document.createElement("li");
    option.id = `palette-${at}`;
    option.role = "option";
    option.dataset.url = row.url;
    const name = document.createElement("span");
    name.textContent = row.name;
    const about = document.createElement("span");
    about.className = "muted small";
    about.textContent = row.place ? `${row.kind} · ${row.place}` : row.kind;
    option.append(name, " ", about);
    return option;
  };

  const show = (rows) => {
    list.replaceChildren(...rows.map(optionOf));
    input.setAttribute("aria-expanded", String(rows.length > 0));
    said.textContent = rows.length ? `${rows.length} found. Enter opens the chosen one.` : "Nothing is called like that.";
    choose(0);
  };

  const ask = async () => {
    asking?.abort();
    asking = new AbortController();
    const query = new URLSearchParams({ q: input.value, ws: dialog.dataset.workspace });
    try {
      const answer = await fetch(`${dialog.dataset.find}?${query}`, { signal: asking.signal });
      if (answer.redirected) location.reload();
      else if (answer.ok) show((await answer.json()).found);
      else said.textContent = `The studio answered with an error (${answer.status}).`;
    } catch (error) {
      if (error.name !== "AbortError") said.textContent = "The studio cannot be reached.";
    }
  };

  const go = (option) => {
    if (option) location.assign(option.dataset.url);
  };

  const open = () => {
    if (document.querySelector("dialog[open]")) return;
    input.value = "";
    dialog.showModal();
    ask();
  };

  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else open();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette]")) open();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, delayMs);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") go(list.children[chosen]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]")));
})();
