// Draws the figures that the page's data address gives, again every few seconds, with the colours of the present theme.
(() => {
  const grid = document.querySelector("[data-charts]");
  if (!grid || !window.Plotly) return;

  const options = { displayModeBar: false, responsive: true, doubleClick: "reset", locale: "en-US" };
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  // Plotly knows no custom properties: each is looked up where the page's own style has settled it.
  const colour = (name) => {
    probe.style.color = name;
    return getComputedStyle(probe).color;
  };

  const coloured = (value) => {
    if (typeof value === "string") {
      if (value === "inherit") return getComputedStyle(document.body).fontFamily;
      return value.startsWith("var(--") ? colour(value) : value;
    }
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]));
    }
    return value;
  };

  const cell = (tag, text, isNumber) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (isNumber) made.className = "number";
    else made.scope = tag === "th" ? "row" : "";
    return made;
  };

  const fillTable = (card, chart) => {
    const head = document.createElement("tr");
    head.append(...chart.columns.map((text, at) => cell("th", text, at > 0)));
    for (const one of head.cells) one.scope = "col";
    card.querySelector("thead").replaceChildren(head);
    const rows = chart.table.map((texts) => {
      const row = document.createElement("tr");
      row.append(...texts.map((text, at) => cell(at ? "td" : "th", text, at > 0)));
      return row;
    });
    card.querySelector("tbody").replaceChildren(...rows);
  };

  let latest = {};
  let zoomed = false;

  const draw = async (card) => {
    const chart = latest[card.dataset.chart];
    if (!chart) return;
    const plot = card.querySelector("[data-plot]");
    plot.hidden = chart.empty;
    card.querySelector("[data-nothing]").hidden = !chart.empty;
    if (chart.empty) return;
    const isNew = !plot.classList.contains("js-plotly-plot");
    const layout = coloured(chart.layout);
    await Plotly.react(plot, coloured(chart.data), layout, options);
    if (isNew) plot.on("plotly_relayout", (change) => follow(plot, change));
  };

  // One zoom for all: they show the same time.
  const follow = (source, change) => {
    if (follow.busy) return;
    const isReset = change["xaxis.autorange"] || change["xaxis.range"];
    const update = {};
    if ("xaxis.range[0]" in change) {
      zoomed = true;
      update["xaxis.range"] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    } else if (isReset) {
      zoomed = false;
    } else {
      return;
    }
    follow.busy = true;
    const others = [...grid.querySelectorAll(".js-plotly-plot")].filter((plot) => plot !== source);
    const all = others.map((plot) => {
      const own = latest[plot.closest("[data-chart]").dataset.chart];
      return Plotly.relayout(plot, zoomed ? update : { "xaxis.range": own.layout.xaxis.range });
    });
    Promise.all(all).finally(() => { follow.busy = false; });
  };

  const cards = [...grid.querySelectorAll("[data-chart]")];
  const freshness = document.querySelector("[data-freshness]");

  const show = async () => {
    for (const card of cards) {
      const chart = latest[card.dataset.chart];
      if (!chart) continue;
      const sentence = card.querySelector("[data-sentence]");
      if (sentence.textContent !== chart.sentence) sentence.textContent = chart.sentence;
      if (card.querySelector(".chart-table").open) fillTable(card, chart);
      await draw(card);
    }
  };

  const load = async () => {
    try {
      const answer = await fetch(grid.dataset.charts, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      latest = (await answer.json()).charts;
      await show();
      grid.dataset.drawn = String(Date.now());
      if (freshness) freshness.textContent = "";
    } catch (error) {
      if (freshness) freshness.textContent = `Not refreshed: ${error.message}`;
    }
  };

  for (const card of cards) {
    card.querySelector(".chart-table").addEventListener("toggle", (event) => {
      const chart = latest[card.dataset.chart];
      if (event.target.open && chart) fillTable(card, chart);
    });
  }

  const seconds = Number(grid.dataset.refreshSeconds);
  const again = async () => {
    if (!document.hidden) await load();
    if (seconds) setTimeout(again, seconds * 1000);
  };
  again();

  new MutationObserver(() => show()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
})();
