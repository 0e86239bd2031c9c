// Asks every two seconds whether the rows of [data-live] are still what they were, and swaps only the cells that are not.
// The server answers 204 to a mark it would give again. Choices, focus and scroll position stay.
(() => {
  const everyMs = 2000;

  function patchRow(row, fresh) {
    [...fresh.cells].forEach((cell, at) => {
      const present = row.cells[at];
      if (present.className !== cell.className) present.className = cell.className;
      if (present.innerHTML !== cell.innerHTML) present.innerHTML = cell.innerHTML;
    });
  }

  function patch(list, fresh) {
    const rows = [...list.querySelectorAll("[data-row]")];
    const freshRows = [...fresh.querySelectorAll("[data-row]")];
    if (!rows.length || !freshRows.length) {
      list.replaceWith(fresh);
      window.htmx?.process(fresh);
      return;
    }
    const known = new Map(rows.map((row) => [row.dataset.row, row]));
    const body = rows[0].parentElement;
    freshRows.forEach((row, at) => {
      const present = known.get(row.dataset.row) ?? row;
      if (present !== row) patchRow(present, row);
      if (body.rows[at] !== present) body.insertBefore(present, body.rows[at] ?? null);
    });
    while (body.rows.length > freshRows.length) body.lastElementChild.remove();
    list.dataset.live = fresh.dataset.live;
  }

  async function look() {
    const list = document.querySelector("[data-live]");
    if (!list || document.hidden) return;
    const address = new URL(location.href);
    address.searchParams.set("seen", list.dataset.live);
    let answer;
    try {
      answer = await fetch(address, { headers: { "HX-Request": "true" } });
    } catch {
      return; // the next look may succeed
    }
    const still = document.querySelector("[data-live]");
    if (answer.status !== 200 || answer.redirected || still !== list) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
    if (fresh) patch(list, fresh);
  }

  setInterval(look, everyMs);
})();
