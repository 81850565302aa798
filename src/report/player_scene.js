// What an animated figure shows at a moment: decodes the paths of its points (player_data.cpp writes them), projects
// them, and draws them with a pen (player_pen.js). Knows nothing of the page around it.
const telosScene = (function () {
  "use strict";
  const TAU = 2 * Math.PI;
  const NEVER = 0x7fffffff;
  const COLORS = 8;
  const FEW = 80; // points; so many are all labelled where there is room
  const MOST_LABELS = 400; // that are tried
  const LONGEST_LABEL = 32; // characters
  const MARGIN = { left: 54, right: 16, top: 14, bottom: 44 };

  // ---- paths --------------------------------------------------------------------------------------------------

  function bytes(base64) {
    const text = atob(base64), out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; ++i) out[i] = text.charCodeAt(i);
    return out;
  }

  function coordinates(data) {
    const buffer = bytes(data.paths).buffer;
    if (data.bits === 32) return new Float32Array(buffer);
    const codes = new Uint16Array(buffer), out = new Float32Array(codes.length);
    // Every step and target has all axes, so that they follow each other in turn.
    for (let i = 0, axis = 0; i < codes.length; ++i, axis = axis + 1 < data.dimension ? axis + 1 : 0) {
      out[i] = codes[i] === 65535 ? NaN : data.low[axis] + data.step[axis] * codes[i];
    }
    return out;
  }

  function decode(data, labels) {
    const n = data.points, whole = bytes(data.whole);
    const scene = {
      n, labels, dimension: data.dimension, frames: data.frames, names: data.groups, divide: data.divide, axes: data.axes,
      given: new Int32Array(n), aimed: new Uint8Array(n), start: new Int32Array(n), star: new Int32Array(n),
      groupStart: new Int32Array(n), groupCount: new Int32Array(n), groups: [], numbers: coordinates(data),
      weights: data.weights ? new Float32Array(bytes(data.weights).buffer) : new Float32Array(n).fill(1),
      powers: Float64Array.from(data.frames, (_, k) => data.ratio ** k),
    };
    let at = 0, start = 0;
    const next = () => {
      let value = 0, factor = 1;
      while (whole[at] >= 128) { value += factor * (whole[at++] - 128); factor *= 128; }
      return value + factor * whole[at++];
    };
    for (let i = 0; i < n; ++i) {
      const rows = next(), star = next(), count = next();
      scene.given[i] = rows >> 1;
      scene.aimed[i] = rows & 1;
      scene.start[i] = start;
      start += data.dimension * (scene.given[i] + scene.aimed[i]);
      scene.star[i] = star === 0 ? NEVER : star - 1;
      scene.groupStart[i] = scene.groups.length;
      scene.groupCount[i] = count;
      for (let k = 0; k < count; ++k) scene.groups.push(next());
    }
    return measure(scene);
  }

  // Coordinates of point i at frame f into out[at], out[at + 1], out[at + 2].
  function position(scene, i, f, out, at) {
    const { dimension, numbers } = scene, given = scene.given[i], start = scene.start[i];
    const last = start + dimension * (Math.min(f + 1, given) - 1);
    const power = f < given || !scene.aimed[i] ? 1 : scene.powers[f - given + 1];
    for (let a = 0; a < 3; ++a) {
      if (a >= dimension) { out[at + a] = 0; continue; }
      const from = given === 0 ? NaN : numbers[last + a];
      out[at + a] = power === 1 ? from : numbers[start + dimension * given + a] * (1 - power) + from * power;
    }
  }

  function groupAt(scene, i, f) {
    const count = scene.groupCount[i];
    return count === 0 ? 0 : scene.groups[scene.groupStart[i] + Math.min(f, count - 1)];
  }

  // The box of all positions, the order in which stars are named, and the sizes of marks.
  function measure(scene) {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity], p = new Float64Array(3);
    const final = scene.frames.length - 1, sizes = new Map(); // group: its points at the last frame
    const see = (i, f) => {
      position(scene, i, f, p, 0);
      if (!isFinite(p[0] + p[1] + p[2])) return;
      for (let a = 0; a < 3; ++a) { low[a] = Math.min(low[a], p[a]); high[a] = Math.max(high[a], p[a]); }
    };
    let weight = 0, weighed = 0;
    for (let i = 0; i < scene.n; ++i) {
      for (let f = 0; f < scene.given[i]; ++f) see(i, f);
      see(i, final);
      const group = groupAt(scene, i, final);
      sizes.set(group, (sizes.get(group) || 0) + 1);
      if (scene.weights[i] > 0) { weight += scene.weights[i]; ++weighed; }
    }
    for (let a = 0; a < 3; ++a) if (!(low[a] <= high[a])) { low[a] = -1; high[a] = 1; }
    scene.low = low;
    scene.high = high;
    scene.sizes = sizes;
    const usual = weight / weighed || 1, base = scene.n <= 300 ? 4.5 : scene.n <= 2000 ? 3.2 : 2.2;
    // Quarters of a pixel: few different sizes are drawn beforehand.
    scene.radius = Float32Array.from(scene.weights, (w) =>
      Math.round(4 * Math.min(16, Math.max(1, base * Math.sqrt(Math.max(0, w) / usual)))) / 4);
    const size = (i) => sizes.get(groupAt(scene, i, final));
    scene.stars = Array.from(scene.star.keys()).filter((i) => scene.star[i] !== NEVER).sort((a, b) => size(b) - size(a) || a - b);
    return scene;
  }

  // ---- projection -------------------------------------------------------------------------------------------------

  // A rectangle of pixels onto the scene. Equal scales on all axes; the axis with room to spare shows more.
  function view(scene, width, height) {
    const v = {
      scene, width, height, yaw: 0.6, pitch: 0.35, // as player_panels.cpp
      left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom,
      from: new Float32Array(3 * scene.n), to: new Float32Array(3 * scene.n), frame: -1,
      x: new Float32Array(scene.n), y: new Float32Array(scene.n), depth: new Float32Array(scene.n),
    };
    if (scene.dimension === 3) { v.left = v.top = 8; v.right = width - 8; v.bottom = height - 8; }
    const { low, high } = scene;
    v.middle = low.map((l, a) => (l + high[a]) / 2);
    const half = low.map((l, a) => (high[a] - l) / 2);
    const reach = scene.dimension === 3 ? Math.hypot(...half) : 0;
    const room = 2 * (reach ? 1.01 : 1.07);
    v.scale = Math.min((v.right - v.left) / (room * (reach || half[0])), (v.bottom - v.top) / (room * (reach || half[1])));
    if (!isFinite(v.scale) || v.scale <= 0) v.scale = 1;
    v.center = [(v.left + v.right) / 2, (v.top + v.bottom) / 2];
    return v;
  }

  function resize(v, width, height) {
    return Object.assign(view(v.scene, width, height), { yaw: v.yaw, pitch: v.pitch });
  }

  // Screen x, y and depth of coordinates; depth grows away from the reader, from −1 to 1.
  function project(v, x, y, z, out, at) {
    x -= v.middle[0]; y -= v.middle[1]; z -= v.middle[2];
    let right = x, up = y, away = 0;
    if (v.scene.dimension === 3) {
      const cy = Math.cos(v.yaw), sy = Math.sin(v.yaw), cp = Math.cos(v.pitch), sp = Math.sin(v.pitch);
      right = x * cy - y * sy;
      const flat = x * sy + y * cy;
      up = z * cp + flat * sp;
      away = flat * cp - z * sp;
    }
    out[at] = v.center[0] + v.scale * right;
    out[at + 1] = v.center[1] - v.scale * up;
    out[at + 2] = away * v.scale * 2 / Math.min(v.width, v.height);
  }

  // All points at time t, which lies between two frames: straight lines.
  function move(v, t) {
    const { scene, from, to } = v, final = scene.frames.length - 1;
    const frame = Math.min(Math.max(Math.floor(t), 0), final), u = Math.min(Math.max(t - frame, 0), 1);
    if (frame !== v.frame) {
      for (let i = 0; i < scene.n; ++i) {
        position(scene, i, frame, from, 3 * i);
        position(scene, i, Math.min(frame + 1, final), to, 3 * i);
      }
      v.frame = frame;
    }
    const p = new Float64Array(3);
    for (let i = 0; i < scene.n; ++i) {
      const k = 3 * i;
      project(v, from[k] + u * (to[k] - from[k]), from[k + 1] + u * (to[k + 1] - from[k + 1]), from[k + 2] + u * (to[k + 2] - from[k + 2]), p, 0);
      v.x[i] = p[0]; v.y[i] = p[1]; v.depth[i] = p[2];
    }
  }

  // ---- geometry on the screen -------------------------------------------------------------------------------------

  // Corners of the convex hull (monotone chain, Andrew 1979). Points within the octagon of the extremes in eight
  // directions are no corners; leaving them out first keeps 10⁴ points cheap.
  function hull(x, y) {
    const directions = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];
    const best = directions.map(([a, b]) => {
      let at = -1, most = -Infinity;
      for (let i = 0; i < x.length; ++i) { const s = a * x[i] + b * y[i]; if (s > most) { most = s; at = i; } }
      return at;
    });
    if (best[0] < 0) return [];
    const cross = (a, b, i) => (x[b] - x[a]) * (y[i] - y[a]) - (y[b] - y[a]) * (x[i] - x[a]);
    const within = (i) => {
      for (const [a, b] of edges) if (cross(a, b, i) <= 0) return false;
      return edges.length >= 3;
    };
    const edges = best.map((a, k) => [a, best[(k + 1) % 8]]).filter(([a, b]) => x[a] !== x[b] || y[a] !== y[b]);
    const outside = [];
    for (let i = 0; i < x.length; ++i) {
      if (isFinite(x[i] + y[i]) && !within(i)) outside.push(i);
    }
    outside.sort((a, b) => x[a] - x[b] || y[a] - y[b]);
    const half = (order) => {
      const out = [];
      for (const i of order) {
        while (out.length > 1 && cross(out[out.length - 2], out[out.length - 1], i) <= 0) out.pop();
        out.push(i);
      }
      out.pop();
      return out;
    };
    return half(outside).concat(half(outside.reverse())).flatMap((i) => [x[i], y[i]]);
  }

  // The part of a rectangle where a·x + b·y + c ≥ 0 (Sutherland and Hodgman 1974), flat coordinates.
  function halfOf(v, a, b, c) {
    const corners = [[v.left, v.top], [v.right, v.top], [v.right, v.bottom], [v.left, v.bottom]], out = [];
    corners.forEach((p, i) => {
      const q = corners[(i + 1) % 4], s = a * p[0] + b * p[1] + c, t = a * q[0] + b * q[1] + c;
      if (s >= 0) out.push(p[0], p[1]);
      if ((s < 0) !== (t < 0)) out.push(p[0] + s / (s - t) * (q[0] - p[0]), p[1] + s / (s - t) * (q[1] - p[1]));
    });
    return out;
  }

  // ---- marks ------------------------------------------------------------------------------------------------------

  function regular(corners, turn, stretch) {
    return Array.from({ length: corners }, (_, i) => i / corners * TAU + turn).flatMap((w) => [stretch * Math.cos(w), stretch * Math.sin(w)]);
  }
  const PLUS = [[-1, -3], [1, -3], [1, -1], [3, -1], [3, 1], [1, 1], [1, 3], [-1, 3], [-1, 1], [-3, 1], [-3, -1], [-1, -1]].flat().map((c) => c / 2.7);
  // As the charts: groups with the same colour differ in shape. The first is a circle.
  const SHAPES = [
    null, regular(4, TAU / 8, 1.2), regular(3, -TAU / 4, 1.3), regular(4, 0, 1.3), PLUS, regular(3, TAU / 4, 1.3),
    regular(3, TAU / 2, 1.3), regular(3, 0, 1.3),
  ];
  const STAR = Array.from({ length: 10 }, (_, i) => {
    const w = (i / 10 - 0.25) * TAU, r = i % 2 ? 0.42 : 1;
    return [r * Math.cos(w), r * Math.sin(w)];
  }).flat();
  const TRIANGLE = regular(3, -TAU / 4, 1);

  function shapeOf(group) {
    return SHAPES[Math.floor(group / COLORS) % SHAPES.length];
  }
  const placed = telosPen.placed;

  // ---- drawing ----------------------------------------------------------------------------------------------------

  function ticks(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((s) => s * power >= rough);
    const out = [];
    for (let k = Math.ceil(low / step); k * step <= high && out.length < 50; ++k) out.push(k * step);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return out.map((value) => [value, (digits > 6 || Math.abs(value) >= 1e6 ? value.toPrecision(3) : value.toFixed(digits)).replace("-", "−")]);
  }

  function drawPlane(v, pen, look) {
    const { colors } = look, toX = (x) => v.center[0] + v.scale * (x - v.middle[0]), toY = (y) => v.center[1] - v.scale * (y - v.middle[1]);
    const fromX = (x) => v.middle[0] + (x - v.center[0]) / v.scale, fromY = (y) => v.middle[1] - (y - v.center[1]) / v.scale;
    const divide = v.scene.divide;
    if (divide) {
      // a·x + b·y + c of the pixels.
      const [nx, ny] = divide.normal, a = nx / v.scale, b = -ny / v.scale;
      const c = nx * fromX(0) + ny * fromY(0) + divide.offset;
      const positive = halfOf(v, a, b, c), negative = halfOf(v, -a, -b, -c);
      if (negative.length) pen.polygon(negative, { fill: colors.negative, opacity: 0.08 });
      if (positive.length) pen.polygon(positive, { fill: colors.positive, opacity: 0.08 });
      v.halves = { positive, negative };
    }
    for (const [value, text] of ticks(fromX(v.left), fromX(v.right), Math.max(2, (v.right - v.left) / 90))) {
      pen.strokes([toX(value), v.top, toX(value), v.bottom], colors.line, value === 0 ? 1.8 : 0.8, 1);
      pen.text(text, toX(value), v.bottom + 17, { color: colors.quiet, align: "center", size: 12 });
    }
    if (v.scene.dimension > 1) {
      for (const [value, text] of ticks(fromY(v.bottom), fromY(v.top), Math.max(2, (v.bottom - v.top) / 55))) {
        pen.strokes([v.left, toY(value), v.right, toY(value)], colors.line, value === 0 ? 1.8 : 0.8, 1);
        pen.text(text, v.left - 8, toY(value) + 4, { color: colors.quiet, align: "right", size: 12 });
      }
    }
    pen.text(v.scene.axes[0] || "", (v.left + v.right) / 2, v.height - 7, { color: colors.ink, align: "center", size: 13 });
    pen.text(v.scene.axes[1] || "", 12, (v.top + v.bottom) / 2, { color: colors.ink, align: "center", size: 13, turn: true });
    if (divide) drawDivider(v, pen, look, v.halves);
  }

  // The line where the halves meet, and each half's name in the corner that lies deepest in it.
  function drawDivider(v, pen, look, { positive, negative }) {
    const { divide } = v.scene, shared = [];
    for (let i = 0; i < positive.length; i += 2) {
      const x = positive[i], y = positive[i + 1];
      for (let j = 0; j < negative.length; j += 2) {
        if (Math.abs(negative[j] - x) + Math.abs(negative[j + 1] - y) < 1e-6) { shared.push(x, y); break; }
      }
    }
    if (shared.length === 4) pen.strokes(shared, look.colors.quiet, 1.5, 1);
    for (const [name, sign, part] of [[divide.positive, 1, positive], [divide.negative, -1, negative]]) {
      if (!name || !part.length) continue;
      const right = sign * divide.normal[0] > 0, up = sign * divide.normal[1] > 0;
      pen.text(name, right ? v.right - 10 : v.left + 10, up ? v.top + 20 : v.bottom - 12, {
        color: sign > 0 ? look.colors.positive : look.colors.negative, align: right ? "right" : "left", size: 14, weight: 600, halo: look.colors.ground,
      });
    }
  }

  // The edges of the box of all positions.
  function drawBox(v, pen, look) {
    const { low, high } = v.scene, corner = (k) => {
      const out = [0, 0, 0];
      project(v, k & 1 ? high[0] : low[0], k & 2 ? high[1] : low[1], k & 4 ? high[2] : low[2], out, 0);
      return out;
    };
    for (let a = 0; a < 3; ++a) {
      for (let k = 0; k < 8; ++k) {
        if (k & (1 << a)) continue;
        const p = corner(k), q = corner(k | (1 << a));
        pen.strokes([p[0], p[1], q[0], q[1]], look.colors.line, 1, 1);
        if (k === 0) {
          const x = (p[0] + q[0]) / 2, y = (p[1] + q[1]) / 2;
          pen.text(v.scene.axes[a] || "xyz"[a], x, y + 14, { color: look.colors.quiet, align: "center", size: 12, halo: look.colors.ground });
        }
      }
    }
  }

  // Segments of the paths up to frame `frame` by colour; between the last given step and the target a path is
  // straight. With `only`, just the piece that ends there.
  function trails(v, frame, only, on) {
    const { scene } = v, out = Array.from({ length: COLORS }, () => []), p = new Float64Array(3), q = new Float64Array(3), s = new Float64Array(3);
    for (let i = 0; i < scene.n; ++i) {
      if (on && !on[i]) continue;
      const rows = scene.given[i], last = scene.aimed[i] ? frame : Math.min(frame, rows - 1);
      if (only && last < frame) continue;
      let f = only ? frame - 1 : 0;
      position(scene, i, f, p, 0);
      project(v, p[0], p[1], p[2], s, 0);
      while (f < last) {
        const next = f + 1 < rows ? f + 1 : last;
        position(scene, i, next, p, 0);
        project(v, p[0], p[1], p[2], q, 0);
        if (isFinite(s[0] + q[0]) && Math.abs(s[0] - q[0]) + Math.abs(s[1] - q[1]) > 0.2) out[groupAt(scene, i, f) % COLORS].push(s[0], s[1], q[0], q[1]);
        s.set(q);
        f = next;
      }
    }
    return out;
  }

  // The pieces from the frame to now.
  function tails(v, t, on) {
    const { scene } = v, out = Array.from({ length: COLORS }, () => []), s = new Float64Array(3);
    if (t === v.frame) return out;
    for (let i = 0; i < scene.n; ++i) {
      if (on && !on[i]) continue;
      if (v.from[3 * i] === v.to[3 * i] && v.from[3 * i + 1] === v.to[3 * i + 1] && v.from[3 * i + 2] === v.to[3 * i + 2]) continue;
      project(v, v.from[3 * i], v.from[3 * i + 1], v.from[3 * i + 2], s, 0);
      if (isFinite(s[0] + v.x[i])) out[groupAt(scene, i, v.frame) % COLORS].push(s[0], s[1], v.x[i], v.y[i]);
    }
    return out;
  }

  // Far points first, by counting.
  function farFirst(v) {
    const buckets = 256, count = new Int32Array(buckets + 1), order = new Int32Array(v.scene.n);
    const bucket = (i) => Math.min(buckets - 1, Math.max(0, Math.floor((1 - v.depth[i]) / 2 * buckets))) || 0;
    for (let i = 0; i < v.scene.n; ++i) ++count[bucket(i) + 1];
    for (let b = 0; b < buckets; ++b) count[b + 1] += count[b];
    for (let i = 0; i < v.scene.n; ++i) order[count[bucket(i)]++] = i;
    return order;
  }

  function drawMean(v, pen, look) {
    let x = 0, y = 0, weight = 0;
    for (let i = 0; i < v.scene.n; ++i) {
      const w = v.scene.weights[i];
      if (!(w > 0) || !isFinite(v.x[i] + v.y[i])) continue;
      x += w * v.x[i]; y += w * v.y[i]; weight += w;
    }
    if (weight > 0) pen.polygon(placed(TRIANGLE, x / weight, y / weight, 9), { fill: look.colors.ink, stroke: look.colors.ground, width: 1.5 });
  }

  // Labels where there is room, the important ones first: found and pointed at, stars by the size of their group,
  // then, among few points, all others. A label keeps its side while it can, so that it does not jump.
  function drawLabels(v, pen, look) {
    const { scene } = v, first = [], rest = [];
    const wanted = (i) => i === look.hover || (look.found && look.on[i]);
    if (look.hover >= 0) first.push(look.hover);
    if (look.found) for (let i = 0; i < scene.n && first.length < MOST_LABELS; ++i) if (look.on[i] && i !== look.hover) first.push(i);
    const shown = (i) => !wanted(i) && (!look.on || look.on[i]) && scene.labels[i] !== "" && isFinite(v.x[i] + v.y[i]);
    if (look.labels) {
      for (const i of scene.stars) if (scene.star[i] <= v.frame && shown(i)) rest.push(i);
      if (scene.n <= FEW) for (let i = 0; i < scene.n; ++i) if (scene.star[i] > v.frame && shown(i)) rest.push(i);
    }
    const boxes = scene.stars.length <= MOST_LABELS ? scene.stars.filter((i) => scene.star[i] <= v.frame).map((i) => [v.x[i] - 5, v.y[i] - 5, v.x[i] + 5, v.y[i] + 5]) : [];
    v.sides = v.sides || new Map();
    let drawn = 0;
    for (const i of first.concat(rest).slice(0, MOST_LABELS)) {
      const star = scene.star[i] <= v.frame, characters = Array.from(scene.labels[i]);
      const text = characters.length > LONGEST_LABEL ? characters.slice(0, LONGEST_LABEL - 1).join("") + "…" : scene.labels[i];
      const size = star || wanted(i) ? 12.5 : 11, width = telosPen.width(text, size, star ? 600 : 400), gap = (star ? 9 : scene.radius[i] + 2) + 1;
      const sides = [[gap, 4], [-gap - width, 4], [-width / 2, -gap - 3], [-width / 2, gap + 9]];
      const kept = v.sides.get(i) || 0;
      const order = [kept, 0, 1, 2, 3];
      const boxAt = (side) => {
        const [dx, dy] = sides[side];
        return [v.x[i] + dx - 2, v.y[i] + dy - size, v.x[i] + dx + width + 2, v.y[i] + dy + 3];
      };
      const free = order.find((side) => {
        const b = boxAt(side);
        return b[0] >= 2 && b[2] <= v.width - 2 && b[1] >= 0 && b[3] <= v.height && !boxes.some((o) => o[0] < b[2] && o[2] > b[0] && o[1] < b[3] && o[3] > b[1]);
      });
      if (free === undefined && i !== look.hover) continue;
      const side = free === undefined ? kept : free;
      v.sides.set(i, side);
      boxes.push(boxAt(side));
      ++drawn;
      pen.text(text, v.x[i] + sides[side][0], v.y[i] + sides[side][1], {
        color: star || wanted(i) ? look.colors.ink : look.colors.quiet, align: "left", size, weight: star ? 600 : 400, halo: look.colors.ground,
      });
    }
    return drawn;
  }

  // Draws the moment t. look: colors; trails, hull, labels, mean (what is shown); on (bytes: the points that are not
  // faint, or null) and found (they were searched for); hover (a point, or −1); drawTrails (draws them, optional).
  // Returns what was drawn.
  function draw(v, t, pen, look) {
    const { scene } = v, { colors } = look, solid = scene.dimension === 3;
    move(v, t);
    const drawn = { points: 0, stars: 0, labels: 0, corners: 0 };
    if (solid) drawBox(v, pen, look);
    else drawPlane(v, pen, look);
    if (look.hull) {
      const corners = hull(v.x, v.y);
      drawn.corners = corners.length / 2;
      if (corners.length > 4) pen.polygon(corners, { fill: colors.quiet, opacity: 0.07, stroke: colors.quiet, width: 1, faint: 0.6 });
    }
    if (look.trails) {
      if (look.drawTrails) look.drawTrails(v);
      else trails(v, v.frame, false, look.on).forEach((s, c) => pen.lines(s, colors.categories[c], 0.35));
      tails(v, t, look.on).forEach((s, c) => pen.lines(s, colors.categories[c], 0.35));
    }
    const order = solid ? farFirst(v) : null, full = scene.n > 600 ? 0.75 : 0.9;
    for (let k = 0; k < scene.n; ++k) {
      const i = order ? order[k] : k;
      if (scene.star[i] <= v.frame || !isFinite(v.x[i] + v.y[i])) continue;
      const group = groupAt(scene, i, v.frame), near = solid ? 0.7 - 0.3 * v.depth[i] : 1;
      pen.mark(shapeOf(group), v.x[i], v.y[i], scene.radius[i], colors.categories[group % COLORS], (look.on && !look.on[i] ? 0.12 : full) * near);
      ++drawn.points;
    }
    pen.flush();
    for (let k = scene.stars.length - 1; k >= 0; --k) {
      const i = scene.stars[k];
      if (scene.star[i] > v.frame || !isFinite(v.x[i] + v.y[i])) continue;
      const faint = look.on && !look.on[i], r = scene.stars.length > 200 ? 6 : Math.max(8, scene.radius[i] + 3);
      pen.polygon(placed(STAR, v.x[i], v.y[i], r), { fill: colors.categories[groupAt(scene, i, v.frame) % COLORS], opacity: faint ? 0.15 : 1, stroke: colors.ground, width: 1 });
      ++drawn.stars;
    }
    if (look.mean) drawMean(v, pen, look);
    if (look.hover >= 0) pen.ring(v.x[look.hover], v.y[look.hover], scene.radius[look.hover] + 5, colors.ink);
    drawn.labels = drawLabels(v, pen, look);
    return drawn;
  }

  return { decode, view, resize, draw, trails, groupAt, position, shapeOf, COLORS, STAR, TRIANGLE };
})();
