// Draws the figures of the page from the data that the page carries, ties them together, and offers them for download.
// Everything works on the element ids and data attributes that html.cpp writes. No network, no eval: Vega runs its
// expressions through an interpreter (ast).
(function () {
  "use strict";
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("telos-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const CANVAS_FROM = 2500; // marks; above, SVG becomes slow
  const EXPORT_WIDTH = 900;

  // ---- data ---------------------------------------------------------------------------------------------------

  // A table's column as an array; repeated text comes as dictionary and indices.
  function values(column) {
    return column.values || column.at.map((i) => column.of[i]);
  }
  const tables = {};
  for (const [name, table] of Object.entries(data.tables)) {
    tables[name] = { rows: table.rows, columns: table.columns.map((c) => ({ name: c.name, values: values(c), special: c.special || [] })) };
  }

  function csvField(text) {
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }
  function csv(table) {
    const special = table.columns.map((c) => new Map(c.special));
    const lines = [table.columns.map((c) => csvField(c.name)).join(",")];
    for (let r = 0; r < table.rows; ++r) {
      lines.push(table.columns.map((c, i) => {
        const value = c.values[r];
        return value === null ? special[i].get(r) || "" : csvField(String(value));
      }).join(","));
    }
    return lines.join("\r\n") + "\r\n";
  }

  // The complete specification: the page keeps the drawn rows in the table only.
  function complete(figure, theme) {
    const spec = JSON.parse(JSON.stringify(figure.spec));
    if (figure.fields) {
      const columns = tables[figure.table].columns;
      const count = tables[figure.table].rows;
      const rows = figure.rows || Array.from({ length: count }, (_, i) => i);
      spec.data.values = rows.map((r) => {
        const datum = {};
        figure.fields.forEach((field, c) => { datum[field] = columns[c].values[r]; });
        return datum;
      });
    }
    spec.config = data.config[theme];
    if (theme === "dark") {
      setParam(spec, "telos_ink", "#e6e6e3");
      setParam(spec, "telos_on_strong", "#16181b");
      setParam(spec, "telos_strong", [-0.6, 0.6]);
    }
    return spec;
  }
  function setParam(spec, name, value) {
    for (const param of spec.params || []) if (param.name === name) param.value = value;
  }
  function hasParam(spec, name) {
    return (spec.params || []).some((param) => param.name === name);
  }

  // ---- figures ------------------------------------------------------------------------------------------------

  const figures = data.figures.map((figure) => ({
    ...figure,
    element: document.getElementById("fig-" + figure.id),
    drawing: null, // what vegaEmbed returned
  }));

  // What moves has a script of its own (player.js).
  const players = data.players.map((player) => ({ ...player, element: document.getElementById("fig-" + player.id), drawing: null }));

  // The colours of a theme, which the charts use too; without one those of the page.
  function playerStyle(theme) {
    const config = data.config[theme || root.dataset.theme];
    return {
      categories: config.range.category, ink: config.text.color, quiet: config.axis.labelColor, line: config.axis.gridColor,
      negative: config.range.diverging[1], positive: config.range.diverging[5],
      ground: theme ? "#ffffff" : getComputedStyle(root).getPropertyValue("--ground").trim(),
    };
  }
  function drawPlayer(player) {
    if (player.drawing) player.drawing.restyle();
    else player.drawing = telosPlayer(player.element, player, tables[player.table].columns[0].values, playerStyle);
  }

  // Marks that are really there: items of the figure's own marks with a place on the plane; a line counts once.
  function countMarks(view) {
    let count = 0;
    (function visit(item) {
      if (item.marktype === "group") {
        for (const group of item.items) for (const child of group.items || []) visit(child);
        return;
      }
      if (item.role !== "mark") return;
      if (item.marktype === "line" || item.marktype === "area") {
        if (item.items.some((i) => isFinite(i.x) && isFinite(i.y) && i.defined !== false)) ++count;
        return;
      }
      for (const i of item.items) {
        const drawn = !i._svg || i._svg.isConnected;
        if (i.opacity !== 0 && isFinite(i.x) && isFinite(i.y) && drawn) ++count;
      }
    })(view.scenegraph().root);
    return count;
  }

  async function draw(figure, theme) {
    const plot = figure.element.querySelector(".plot");
    if (!figure.spec) throw new Error("figure " + figure.id + " has no specification");
    const spec = complete(figure, theme);
    const meta = (spec.usermeta && spec.usermeta.telos) || {};
    plot.style.maxWidth = (meta.widest || 860) + "px";
    // The page shows title and description itself.
    delete spec.title;
    delete spec.description;
    const rows = figure.fields ? (figure.rows ? figure.rows.length : tables[figure.table].rows) : 0;
    if (figure.drawing) figure.drawing.finalize();
    figure.drawing = await vegaEmbed(plot, spec, {
      ast: true, actions: false, renderer: rows > CANVAS_FROM ? "canvas" : "svg", tooltip: { theme: theme },
    });
    const view = figure.drawing.view;
    figure.marksKey = hasParam(spec, "telos_key");
    if (figure.marksKey) {
      view.addEventListener("pointerover", (_, item) => point(keyOf(item)));
      view.addEventListener("pointerout", () => point(""));
      if (shownKey) await view.signal("telos_key", shownKey).runAsync();
    }
    figure.element.dataset.marks = countMarks(view);
  }

  function keyOf(item) {
    return (item && item.datum && typeof item.datum.key === "string" && item.datum.key) || "";
  }

  let drawing = Promise.resolve();
  function drawAll() {
    const theme = dark.matches ? "dark" : "light";
    root.dataset.theme = theme;
    root.dataset.ready = "false";
    drawing = drawing.then(async () => {
      let failed = 0;
      for (const figure of figures) {
        try {
          await draw(figure, theme);
        } catch (error) {
          ++failed;
          figure.element.querySelector(".plot").textContent = "This figure could not be drawn; its numbers are in the table.";
          console.error("figure " + figure.id + ": " + error.message);
        }
      }
      for (const player of players) {
        try {
          drawPlayer(player);
        } catch (error) {
          ++failed;
          player.element.querySelector(".plot").textContent = "This figure could not be drawn; its last positions are in the table.";
          console.error("figure " + player.id + ": " + error.message);
        }
      }
      root.dataset.figures = figures.length;
      root.dataset.players = players.length;
      root.dataset.failed = failed;
      root.dataset.ready = "true";
    });
  }

  // ---- one head, marked everywhere ------------------------------------------------------------------------------

  let chosenKey = ""; // stays: by link or by the menu
  let shownKey = ""; // what is marked now: pointed at, else chosen
  const rowsOf = new Map();
  for (const row of document.querySelectorAll("tr[data-key]")) {
    const key = row.dataset.key;
    if (!rowsOf.has(key)) rowsOf.set(key, []);
    rowsOf.get(key).push(row);
  }

  function show(key) {
    if (key === shownKey) return;
    for (const row of rowsOf.get(shownKey) || []) row.classList.remove("marked");
    shownKey = key;
    for (const row of rowsOf.get(shownKey) || []) row.classList.add("marked");
    for (const figure of figures) {
      if (figure.drawing && figure.marksKey) figure.drawing.view.signal("telos_key", key).runAsync();
    }
  }
  function point(key) { show(key || chosenKey); }
  function choose(key) {
    chosenKey = key;
    const menu = document.getElementById("key-menu");
    if (menu) menu.value = key;
    show(key);
  }

  for (const row of document.querySelectorAll("tr[data-key]")) {
    row.addEventListener("pointerenter", () => point(row.dataset.key));
    row.addEventListener("pointerleave", () => point(""));
    row.addEventListener("focusin", () => point(row.dataset.key));
    row.addEventListener("focusout", () => point(""));
  }

  function byNumbers(a, b) {
    return a.localeCompare(b, "en", { numeric: true });
  }
  function addKeyMenu() {
    const keys = [...rowsOf.keys()].sort(byNumbers);
    if (keys.length < 2) return;
    const label = document.createElement("label");
    label.className = "key-menu";
    label.textContent = "Mark ";
    const menu = document.createElement("select");
    menu.id = "key-menu";
    menu.add(new Option("nothing", ""));
    for (const key of keys) menu.add(new Option(key, key));
    menu.addEventListener("change", () => choose(menu.value));
    label.append(menu);
    document.querySelector("nav.contents details").append(label);
  }

  // ---- links into the page ----------------------------------------------------------------------------------------

  function followHash() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    if (target.dataset.key) choose(target.dataset.key);
    target.scrollIntoView();
  }

  function followReading() {
    const links = new Map();
    for (const link of document.querySelectorAll("nav.contents a")) links.set(link.hash.slice(1), link);
    const parts = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    const update = () => {
      const line = window.innerHeight / 3;
      let current = parts[0];
      for (const part of parts) if (part.getBoundingClientRect().top <= line) current = part;
      for (const [id, link] of links) {
        if (current && id === current.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    };
    let waiting = false;
    window.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; update(); });
    }, { passive: true });
    update();
  }

  // ---- downloads --------------------------------------------------------------------------------------------------

  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  function saveText(name, type, text) {
    save(name, new Blob([text], { type: type + ";charset=utf-8" }));
  }

  // Pictures are always light and carry their title, so that they can stand in a paper.
  async function withPicture(figure, use) {
    const spec = complete(figure, "light");
    const meta = (spec.usermeta && spec.usermeta.telos) || {};
    spec.width = Math.min(meta.widest || EXPORT_WIDTH, EXPORT_WIDTH);
    spec.autosize = { type: "pad" };
    spec.background = "#ffffff";
    setParam(spec, "telos_key", chosenKey);
    const stage = document.createElement("div");
    stage.className = "stage";
    document.body.append(stage);
    const result = await vegaEmbed(stage, spec, { ast: true, actions: false, renderer: "svg" });
    try {
      await use(result.view);
    } finally {
      result.finalize();
      stage.remove();
    }
  }

  const downloads = {
    SVG: (figure) => withPicture(figure, async (view) => saveText(figure.id + ".svg", "image/svg+xml", await view.toSVG())),
    PNG: (figure) => withPicture(figure, async (view) => {
      const canvas = await view.toCanvas(2);
      await new Promise((done) => canvas.toBlob((blob) => { save(figure.id + ".png", blob); done(); }, "image/png"));
    }),
    CSV: async (figure) => saveText(figure.table + ".csv", "text/csv", csv(tables[figure.table])),
    JSON: async (figure) => saveText(figure.id + ".vl.json", "application/json", JSON.stringify(complete(figure, "light"), null, 1)),
  };
  const playerDownloads = {
    SVG: (player) => {
      const pen = telosPen.svg();
      player.drawing.picture(pen);
      saveText(player.id + ".svg", "image/svg+xml", pen.finish(player.drawing.width, player.drawing.height, "#ffffff"));
    },
    PNG: (player) => {
      const canvas = document.createElement("canvas"), context = canvas.getContext("2d"), ratio = 2;
      canvas.width = ratio * player.drawing.width;
      canvas.height = ratio * player.drawing.height;
      context.scale(ratio, ratio);
      context.fillStyle = "#ffffff";
      context.fillRect(0, 0, player.drawing.width, player.drawing.height);
      player.drawing.picture(telosPen.canvas(context, null));
      canvas.toBlob((blob) => save(player.id + ".png", blob), "image/png");
    },
    CSV: downloads.CSV,
  };
  const downloadHints = {
    SVG: "Save the figure as SVG", PNG: "Save the figure as PNG", CSV: "Save the figure’s numbers as CSV",
    JSON: "Save the figure as a Vega-Lite specification with its data",
  };

  function button(text, hint, action) {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = text;
    element.title = hint;
    element.setAttribute("aria-label", hint);
    element.addEventListener("click", action);
    return element;
  }

  function addButtons() {
    for (const figure of figures) {
      const tools = figure.element.querySelector(".tools");
      for (const [name, action] of Object.entries(downloads)) {
        if (!figure.spec && name !== "CSV") continue;
        tools.append(button(name, downloadHints[name], () => action(figure)));
      }
    }
    for (const player of players) {
      const tools = player.element.querySelector(".tools");
      for (const [name, action] of Object.entries(playerDownloads)) tools.append(button(name, downloadHints[name], () => action(player)));
    }
    for (const element of document.querySelectorAll(".tabular table[data-table]")) {
      const name = element.dataset.table;
      const tools = document.createElement("div");
      tools.className = "tools";
      tools.append(button("CSV", "Save the table as CSV", () => saveText(name + ".csv", "text/csv", csv(tables[name]))));
      element.closest(".scroll").after(tools);
    }
  }

  // ---- tables -----------------------------------------------------------------------------------------------------

  // A click on the arrow beside a heading sorts by that column's exact numbers; another click turns the order round.
  function addSorting() {
    for (const element of document.querySelectorAll("table[data-table]")) {
      const table = tables[element.dataset.table];
      const body = element.tBodies[0];
      if (body.rows.length < 3) continue;
      const rows = [...body.rows];
      for (const head of element.tHead.rows[0].cells) {
        const column = table.columns[Number(head.dataset.column)];
        const arrow = button("", "Sort by " + column.name, () => {
          const down = head.getAttribute("aria-sort") === "ascending";
          for (const other of element.tHead.rows[0].cells) other.removeAttribute("aria-sort");
          head.setAttribute("aria-sort", down ? "descending" : "ascending");
          const order = rows.map((_, i) => i).sort((a, b) => compare(column.values[a], column.values[b], down) || a - b);
          body.append(...order.map((i) => rows[i]));
        });
        arrow.className = "sort";
        head.append(arrow);
      }
    }
  }
  // Missing values come last in either order.
  function compare(a, b, down) {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : byNumbers(String(a), String(b));
    return down ? -order : order;
  }

  function foldTables() {
    for (const details of document.querySelectorAll("details.data:not([data-stays-open])")) details.open = false;
    if (window.matchMedia("(max-width: 68rem)").matches) document.querySelector("nav.contents details").open = false;
  }

  foldTables();
  addKeyMenu();
  addButtons();
  addSorting();
  followReading();
  window.addEventListener("hashchange", followHash);
  dark.addEventListener("change", drawAll);
  drawAll();
  drawing.then(() => { if (location.hash) followHash(); });
})();
