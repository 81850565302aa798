// Marks and thin lines by the ten thousand: they are blended into an image directly, an order of magnitude faster than
// a canvas without a graphics card draws them one by one.
const telosPixels = (function () {
  "use strict";
  const TAU = 2 * Math.PI, PHASES = 4; // places within a pixel, each way

  // #rrggbb as the image's words hold it, without opacity.
  const known = new Map();
  function word(color) {
    if (!known.has(color)) {
      const rgb = parseInt(color.slice(1), 16);
      known.set(color, (rgb & 255) << 16 | (rgb & 0xff00) | rgb >> 16);
    }
    return known.get(color);
  }

  // Covers width × height pixels of the page with `ratio` of its own to one.
  return function (width, height, ratio) {
    const canvas = document.createElement("canvas"), across = canvas.width = Math.round(width * ratio), down = canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d"), image = context.createImageData(across, down), words = new Uint32Array(image.data.buffer);
    const masks = new Map(); // by shape and radius: the pixels that a mark covers, for each phase

    // Colour over what is there; opacities from 0 to 255.
    function blend(at, rgb, alpha) {
      const old = words[at], before = old >>> 24;
      if (before === 0) { words[at] = alpha << 24 | rgb; return; }
      const all = alpha + ((before * (255 - alpha) * 257 + 32768) >> 16), share = (alpha << 8) / all | 0;
      const r = old & 255, g = old >> 8 & 255, b = old >> 16 & 255;
      words[at] = all << 24 | b + (((rgb >> 16) - b) * share >> 8) << 16 | g + (((rgb >> 8 & 255) - g) * share >> 8) << 8 | r + (((rgb & 255) - r) * share >> 8);
    }
    // For each phase, a mark's pixels as column, row and cover in turn, seen from the pixel of its middle.
    function masksOf(shape, r) {
      if (!masks.has(shape)) masks.set(shape, new Map());
      const known = masks.get(shape);
      if (known.has(r)) return known.get(r);
      const half = Math.ceil(1.4 * r * ratio) + 1, size = 2 * half + 1, phases = [];
      const stencil = document.createElement("canvas");
      stencil.width = stencil.height = size;
      const ink = stencil.getContext("2d", { willReadFrequently: true });
      for (let phase = 0; phase < PHASES * PHASES; ++phase) {
        const x = half + (phase % PHASES + 0.5) / PHASES, y = half + (Math.floor(phase / PHASES) + 0.5) / PHASES, pixels = [];
        ink.clearRect(0, 0, size, size);
        ink.beginPath();
        if (shape) for (let k = 0; k < shape.length; k += 2) ink[k ? "lineTo" : "moveTo"](x + r * ratio * shape[k], y + r * ratio * shape[k + 1]);
        else ink.arc(x, y, r * ratio, 0, TAU);
        ink.fill();
        const data = ink.getImageData(0, 0, size, size).data;
        for (let k = 0; k < size * size; ++k) if (data[4 * k + 3]) pixels.push(k % size - half, Math.floor(k / size) - half, data[4 * k + 3]);
        phases.push(Int16Array.from(pixels));
      }
      known.set(r, phases);
      return phases;
    }

    return {
      clear() { words.fill(0); },
      mark(shape, x, y, r, color, opacity) {
        const rgb = word(color), left = Math.floor(x * ratio), top = Math.floor(y * ratio), share = Math.round(256 * opacity);
        const phase = Math.floor((x * ratio - left) * PHASES) + PHASES * Math.floor((y * ratio - top) * PHASES), mask = masksOf(shape, r)[phase];
        for (let k = 0; k < mask.length; k += 3) {
          const column = left + mask[k], row = top + mask[k + 1], alpha = mask[k + 2] * share >> 8;
          if (alpha !== 0 && column >= 0 && column < across && row >= 0 && row < down) blend(row * across + column, rgb, alpha);
        }
      },
      // Thin lines: at each step along the longer axis two neighbours share the ink (Wu 1991).
      lines(segments, color, opacity) {
        const rgb = word(color), ink = Math.round(255 * opacity), longest = 4 * (across + down);
        for (let s = 0; s < segments.length; s += 4) {
          const x = segments[s] * ratio, y = segments[s + 1] * ratio, dx = segments[s + 2] * ratio - x, dy = segments[s + 3] * ratio - y;
          const steps = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy))) || 1, flat = Math.abs(dx) >= Math.abs(dy);
          if (steps > longest) continue;
          const ahead = (flat ? dx : dy) / steps, aside = (flat ? dy : dx) / steps, most = flat ? across : down, least = flat ? down : across;
          const stride = flat ? 1 : across, turn = flat ? across : 1;
          let major = flat ? x : y, minor = (flat ? y : x) - 0.5;
          for (let k = 0; k <= steps; ++k, major += ahead, minor += aside) {
            const low = Math.floor(minor), far = (minor - low) * ink | 0, along = Math.floor(major);
            if (along < 0 || along >= most || low < 0 || low + 1 >= least) continue;
            const at = along * stride + low * turn;
            if (ink - far) blend(at, rgb, ink - far);
            if (far) blend(at + turn, rgb, far);
          }
        }
      },
      // Onto another canvas, as opaque as `opacity` says.
      put(onto, opacity) {
        context.putImageData(image, 0, 0);
        onto.globalAlpha = opacity;
        onto.drawImage(canvas, 0, 0, width, height);
        onto.globalAlpha = 1;
      },
    };
  };
})();
