// An animated figure on the page: its controls, legend and search, the pointer and the keyboard, and the moments in
// between (player_scene.js draws them).
const telosPlayer = (function () {
  "use strict";
  const SECONDS_PER_FRAME = 0.8, LONGEST_RUN = 16; // seconds at speed 1
  const LONGEST_START = 8; // seconds; what runs longer does not start by itself
  const MANY = 500; // points, from which on they are drawn in pixels
  const LEGEND = 8; // groups that are listed
  const NEAR = 12; // pixels within which the pointer finds a point
  const EXPORT = { width: 900, height: 600, title: 64 };
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }
  function number(value) {
    if (!isFinite(value)) return "–";
    return String(Number(value.toPrecision(4))).replace("-", "−");
  }
  function count(n) {
    return n.toLocaleString("en");
  }

  // figure: the element; data and labels: the player's own; style(theme): the page's colours of a theme, or of the
  // one that is shown.
  return function (figure, data, labels, style) {
    const scene = telosScene.decode(data, labels), final = scene.frames.length - 1;
    const plot = figure.querySelector(".plot"), flat = scene.dimension !== 3;
    let t = 0, playing = false, speed = 1, hover = -1, pinned = -1, query = "", on = null;
    let view = telosScene.view(scene, 640, 400), colors = style();
    let waiting = 0, before = 0; // the animation frame that was asked for, and the time of the last
    const show = { trails: data.trails, hull: data.hull, labels: true };

    // ---- elements -------------------------------------------------------------------------------------------------

    const canvas = make("canvas", { tabIndex: 0, role: "img", "aria-label": data.alt || data.title,
      "aria-keyshortcuts": "Space ArrowLeft ArrowRight Home End" + (flat ? "" : " Shift+ArrowLeft Shift+ArrowRight Shift+ArrowUp Shift+ArrowDown") });
    if (!flat) canvas.classList.add("turns");
    const context = canvas.getContext("2d");
    const tip = make("div", { className: "tip", hidden: true });
    const stage = make("div", { className: "stage-of-player" }, canvas, tip);
    const icon = (text, label, action) => {
      const button = make("button", { type: "button", textContent: text, title: label, "aria-label": label });
      button.addEventListener("click", action);
      return button;
    };
    const play = icon("", "Play", () => (playing ? pause() : start()));
    play.classList.add("play");
    const slider = make("input", { type: "range", min: 0, max: final, step: 0.01, value: 0, "aria-label": data.frame });
    const now = make("output", { className: "now" });
    const pace = make("select", { title: "Speed", "aria-label": "Speed" }, ...[0.25, 0.5, 1, 2, 4].map((s) => new Option(s + "×", s, s === 1, s === 1)));
    const search = make("input", { type: "search", placeholder: "find a label", "aria-label": "Find points by label", autocomplete: "off", spellcheck: false });
    const found = make("span", { className: "note", "aria-live": "polite" });
    const legend = make("ul", { className: "legend" });
    const switches = Object.keys(show).filter((name) => name !== "hull" || data.hull).map((name) => {
      const box = make("input", { type: "checkbox", checked: show[name] });
      box.addEventListener("change", () => { show[name] = box.checked; refresh(); });
      return make("label", {}, box, " " + name);
    });
    plot.replaceChildren(stage,
      make("div", { className: "controls", role: "group", "aria-label": "Animation" },
        icon("‹", "Step back", () => step(-1)), play, icon("›", "Step forward", () => step(1)), slider, now, pace),
      make("div", { className: "controls" }, ...switches, search, found), legend);

    // ---- drawing --------------------------------------------------------------------------------------------------

    let pen = null;
    // Paths that are done do not change while it plays: they are kept in pixels of their own.
    let past = null, pastFrame = -1;
    function drawTrails(v) {
      if (v.frame !== pastFrame) {
        const only = pastFrame >= 0 && v.frame === pastFrame + 1;
        if (!only) past.clear();
        telosScene.trails(v, v.frame, only, on).forEach((s, c) => past.lines(s, colors.categories[c], 1));
        pastFrame = v.frame;
      }
      past.put(context, 0.35);
    }

    const look = () => ({ ...show, mean: data.mean, colors, on, found: query !== "", hover });
    function draw() {
      context.clearRect(0, 0, view.width, view.height);
      const drawn = telosScene.draw(view, t, pen, { ...look(), drawTrails });
      Object.assign(figure.dataset, { frame: view.frame, points: drawn.points, stars: drawn.stars, labels: drawn.labels, corners: drawn.corners });
    }

    function fit() {
      const width = Math.max(240, Math.round(plot.clientWidth)), height = Math.round(Math.min(620, Math.max(280, width * 0.66)));
      const ratio = Math.min(scene.n > MANY ? 2 : 4, window.devicePixelRatio || 1);
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = height + "px";
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      view = telosScene.resize(view, width, height);
      past = telosPixels(width, height, ratio);
      pen = telosPen.canvas(context, scene.n > MANY ? telosPixels(width, height, ratio) : null);
    }

    // Everything anew, at the next moment that the browser draws.
    function refresh() {
      pastFrame = -1;
      ask();
    }
    function ask() {
      if (!waiting) waiting = requestAnimationFrame(tick);
    }
    function tick(time) {
      waiting = 0;
      if (playing) {
        const pacePerSecond = speed / Math.min(SECONDS_PER_FRAME, LONGEST_RUN / Math.max(1, final));
        // After a pause of the browser it goes on where it was.
        t = Math.min(final, t + Math.min(0.1, Math.max(0, time - before) / 1000) * pacePerSecond);
        before = time;
        if (t >= final) pause();
        else ask();
      }
      told();
      draw();
    }

    // ---- time -----------------------------------------------------------------------------------------------------

    let toldFrame = -1;
    function told() {
      slider.value = t;
      const frame = Math.min(final, Math.floor(t + 1e-9));
      if (frame === toldFrame) return;
      toldFrame = frame;
      now.textContent = data.frame + " " + number(scene.frames[frame]) + " of " + number(scene.frames[final]);
      slider.setAttribute("aria-valuetext", now.textContent);
      tellLegend(frame);
    }
    function seek(to) {
      t = Math.min(final, Math.max(0, to));
      ask();
    }
    function start() {
      if (final === 0) return;
      if (t >= final) { t = 0; pastFrame = -1; }
      playing = true;
      before = performance.now();
      play.classList.add("playing");
      play.title = "Pause";
      play.setAttribute("aria-label", "Pause");
      ask();
    }
    function pause() {
      playing = false;
      play.classList.remove("playing");
      play.title = "Play";
      play.setAttribute("aria-label", "Play");
      ask();
    }
    function step(by) {
      pause();
      seek(by > 0 ? Math.floor(t + 1e-6) + 1 : Math.ceil(t - 1e-6) - 1);
    }
    slider.addEventListener("input", () => { pause(); seek(Number(slider.value)); });
    slider.addEventListener("change", () => seek(Math.round(t)));
    pace.addEventListener("change", () => { speed = Number(pace.value); });

    // ---- legend and search ------------------------------------------------------------------------------------------

    const listed = Array.from(scene.sizes).sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, LEGEND).map(([group]) => group);
    const counts = new Map(); // group, or −1 for all others: the element that shows its size
    function swatch(shape, color) {
      const ink = telosPen.svg();
      ink.mark(shape, 7, 7, 5, color, 1);
      const image = make("img", { width: 14, height: 14, alt: "", src: "data:image/svg+xml," + encodeURIComponent(ink.finish(14, 14)) });
      return image;
    }
    function fillLegend() {
      counts.clear();
      const entries = [];
      const entry = (group, name, ...swatches) => {
        counts.set(group, make("span", { className: "note" }));
        const content = [...swatches, make("span", {}, name), counts.get(group)];
        if (group < 0) return make("li", {}, make("span", { className: "others" }, ...content));
        const button = make("button", { type: "button", title: "Show this group only", "aria-pressed": String(group === pinned) }, ...content);
        button.addEventListener("click", () => {
          pinned = pinned === group ? -1 : group;
          fillLegend();
          choose();
          legend.querySelector(`[data-group="${group}"]`)?.focus();
        });
        button.dataset.group = group;
        return make("li", {}, button);
      };
      if (scene.names.length) {
        for (const group of listed) entries.push(entry(group, scene.names[group] ?? "–", swatch(telosScene.shapeOf(group), colors.categories[group % telosScene.COLORS])));
        const others = new Set(scene.groups.filter((group) => !counts.has(group))).size;
        if (others) entries.push(entry(-1, others === 1 ? "1 other group" : `${count(others)} other groups`));
      }
      if (scene.stars.length) entries.push(make("li", {}, make("span", { className: "others" }, swatch(telosScene.STAR, colors.ink), make("span", {}, data.star))));
      if (data.mean) entries.push(make("li", {}, make("span", { className: "others" }, swatch(telosScene.TRIANGLE, colors.ink), make("span", {}, "weighted mean"))));
      legend.replaceChildren(...entries);
      tellLegend(Math.min(final, Math.floor(t + 1e-9)));
    }
    function tellLegend(frame) {
      if (!counts.size) return;
      const sizes = new Map();
      for (let i = 0; i < scene.n; ++i) {
        const group = telosScene.groupAt(scene, i, frame), key = counts.has(group) ? group : -1;
        sizes.set(key, (sizes.get(key) || 0) + 1);
      }
      for (const [group, element] of counts) element.textContent = count(sizes.get(group) || 0);
    }

    // Which points are not faint.
    function choose() {
      const wanted = query.toLowerCase();
      on = null;
      if (pinned >= 0 || wanted !== "") {
        const end = Math.max(0, final);
        on = Uint8Array.from(labels, (label, i) => (pinned < 0 || telosScene.groupAt(scene, i, end) === pinned) && label.toLowerCase().includes(wanted) ? 1 : 0);
      }
      const hits = wanted === "" ? 0 : on.reduce((sum, b) => sum + b, 0);
      found.textContent = wanted === "" ? "" : hits === 0 ? "not found" : count(hits) + " found";
      refresh();
    }
    search.addEventListener("input", () => { query = search.value.trim(); choose(); });

    // ---- pointer and keyboard ---------------------------------------------------------------------------------------

    function nearest(x, y) {
      let best = -1, least = NEAR * NEAR;
      for (let i = 0; i < scene.n; ++i) {
        const dx = view.x[i] - x, dy = view.y[i] - y, d = dx * dx + dy * dy;
        if (d < least && (!on || on[i])) { least = d; best = i; }
      }
      return best;
    }
    function point(i) {
      if (i === hover && i < 0) return;
      hover = i;
      tip.hidden = i < 0;
      if (i >= 0) {
        const frame = Math.min(final, Math.round(t)), p = [0, 0, 0], group = scene.names[telosScene.groupAt(scene, i, frame)];
        telosScene.position(scene, i, frame, p, 0);
        const lines = [`${data.frame} ${number(scene.frames[frame])}: (${p.slice(0, scene.dimension).map(number).join(", ")})`];
        if (group) lines.unshift(group);
        if (scene.star[i] < scene.frames.length) lines.push(`${data.star} from ${data.frame} ${number(scene.frames[scene.star[i]])}`);
        tip.replaceChildren(make("strong", {}, labels[i] || "(no label)"), ...lines.map((line) => make("div", {}, line)));
        const right = view.x[i] > view.width / 2;
        tip.style.left = right ? "auto" : view.x[i] + 16 + "px";
        tip.style.right = right ? view.width - view.x[i] + 16 + "px" : "auto";
        tip.style.top = Math.max(0, Math.min(view.y[i] - 20, view.height - 96)) + "px";
      }
      ask();
    }

    let grip = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (flat) return;
      grip = { x: event.clientX, y: event.clientY, yaw: view.yaw, pitch: view.pitch };
      canvas.setPointerCapture(event.pointerId);
      point(-1);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (grip) return turn(grip.yaw - (event.clientX - grip.x) * 0.01, grip.pitch + (event.clientY - grip.y) * 0.01);
      const box = canvas.getBoundingClientRect();
      point(nearest(event.clientX - box.left, event.clientY - box.top));
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { grip = null; });
    canvas.addEventListener("pointerleave", () => point(-1));
    function turn(yaw, pitch) {
      view.yaw = yaw;
      view.pitch = Math.min(Math.PI / 2, Math.max(-Math.PI / 2, pitch));
      refresh();
    }

    const keys = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => { pause(); seek(0); }, End: () => { pause(); seek(final); } };
    const turns = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    function press(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.shiftKey && !flat && event.target === canvas && turns[event.key]) turn(view.yaw + turns[event.key][0], view.pitch + turns[event.key][1]);
      else if (event.key === " ") playing ? pause() : start();
      else if (!event.shiftKey && keys[event.key]) keys[event.key]();
      else return;
      event.preventDefault();
    }
    canvas.addEventListener("keydown", press);
    slider.addEventListener("keydown", press);

    // ---- life -------------------------------------------------------------------------------------------------------

    function restyle() {
      colors = style();
      fillLegend();
      fit();
      refresh();
    }
    new ResizeObserver(() => { if (Math.round(plot.clientWidth) !== view.width) { fit(); refresh(); } }).observe(plot);

    // Starts once, when it has come into view, unless the reader prefers stillness or has already taken hold of it.
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      if (!calm.matches && t === 0 && final * SECONDS_PER_FRAME <= LONGEST_START) start();
    }, { threshold: 0.6 });
    watch.observe(canvas);
    stage.addEventListener("focusin", () => watch.disconnect());
    for (const hand of ["pointerdown", "keydown", "input"]) plot.addEventListener(hand, () => watch.disconnect());

    // The moment as a picture for a paper: light, with the title and the frame, as large as EXPORT says.
    function picture(ink) {
      const light = style("light"), { width, height, title } = EXPORT;
      const frozen = telosScene.view(scene, width, height);
      frozen.yaw = view.yaw;
      frozen.pitch = view.pitch;
      ink.text(data.title, 16, 26, { color: light.ink, align: "left", size: 15, weight: 600 });
      ink.text(now.textContent, 16, 48, { color: light.quiet, align: "left", size: 13 });
      ink.shift(title);
      telosScene.draw(frozen, t, ink, { ...look(), colors: light, hover: -1 });
    }

    restyle();
    told();
    draw();
    figure.telos = { seek: (to) => { pause(); seek(to); t = Math.min(final, Math.max(0, to)); told(); draw(); }, start, pause };
    return { restyle, picture, width: EXPORT.width, height: EXPORT.height + EXPORT.title };
  };
})();
